"""Reads what Windrow has read and written, with the readers of others, and compares it with what was to be there.

Usage: check.py DIRECTORY

The directory was made by `make.py`. For each of its cases there must be

    DIR/NAME/read.arrows       the answer to the case's query, as an Arrow stream
    DIR/NAME/copy-FORMAT/      for each of its copies, a directory that Windrow has written the rows to

or, where Windrow has failed, DIR/NAME/failed.txt with what it said. Ends with 1 if anything differs, after all of it was
looked at.
"""

import json
import pathlib
import sys

import canon
import readers
import pyarrow as pa


def answer(place, expected):
    """What is wrong with the answer to the query; None if nothing is."""
    path = place / "read.arrows"
    if not path.is_file():
        return "there is no answer"
    try:
        with pa.ipc.open_stream(path) as stream:
            table = stream.read_all()
        wrong = canon.difference(expected, canon.columns(table, expected["loose"]), expected["loose"])
    except (pa.ArrowException, TypeError, ValueError) as error:
        return f"it cannot be read: {error}"
    if wrong or expected["loose"]:
        return wrong
    for field in table.schema:
        kind = canon.kind(field.type)
        if kind != expected["kinds"][field.name]:
            return f"column {field.name} is {kind}, expected {expected['kinds'][field.name]}"
    return None


def without(expected, left_out):
    """A manifest without these columns, which a reader does not know. Of rows that are checksums only columns are left."""
    kept = [name for name in expected["columns"] if name not in left_out]
    cut = {**expected, "columns": kept}
    if "content" in expected:
        rows = [json.loads(row) for row in expected["content"]]
        cut["content"] = [canon.text({name: row[name] for name in kept}) for row in rows]
    elif left_out:
        raise ValueError("columns of large tables are not left out")
    return cut


def copy(place, format_, expected):
    """What each reader finds wrong with a copy."""
    directory = place / f"copy-{format_}"
    files = readers.visible(directory)
    if not (directory / "_SUCCESS").is_file():
        yield "Windrow", "there is no _SUCCESS"
    loose = expected["loose"] or format_ in readers.TEXT
    for reader, read in readers.of(format_):
        left_out = readers.left_out(reader, format_, expected.get("kinds", {}))
        wanted = without(expected, left_out)
        try:
            table = read(files, wanted)
            yield reader, canon.difference(wanted, canon.columns(table, loose), loose)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 a panic of polars is no Exception
            yield reader, f"{type(error).__name__}: {error}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = pathlib.Path(sys.argv[1])
    cases = json.loads((directory / "cases.json").read_text())
    compared, wrong = 0, []
    for case in cases:
        place = directory / case["name"]
        expected = json.loads((place / "expected.json").read_text())
        failed = place / "failed.txt"
        if failed.is_file():
            wrong.append(f"{case['name']}: Windrow said {failed.read_text().strip()}")
            continue
        found = [("the answer", answer(place, expected))]
        for format_ in case["copies"]:
            found += [(f"its {format_}, read by {reader}", what) for reader, what in copy(place, format_, expected)]
        compared += len(found)
        wrong += [f"{case['name']}: {where}: {what}" for where, what in found if what]
    for line in wrong:
        print(line)
    print(f"{len(cases)} cases, {compared} comparisons, {len(wrong)} wrong")
    sys.exit(1 if wrong or not compared else 0)


if __name__ == "__main__":
    main()
