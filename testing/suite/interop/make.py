"""Writes files with the writers of others, and what is in them.

Usage: make.py DIRECTORY

The directory must not be there, or be empty. See `suite.py` for what is made.
"""

import pathlib
import sys

import by_duckdb
import by_fastavro
import by_polars
import by_pyarrow
import by_python
import suite


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = pathlib.Path(sys.argv[1])
    if directory.exists() and any(directory.iterdir()):
        sys.exit(f"{directory} is not empty")
    made = suite.Suite(directory)
    for writer in (by_pyarrow, by_duckdb, by_polars, by_fastavro, by_python):
        writer.write(made)
    made.finish()
    copies = sum(len(case["copies"]) for case in made.cases)
    print(f"{len(made.cases)} cases, {copies} copies")


if __name__ == "__main__":
    main()
