#!/usr/bin/env python3
"""Compares the expected answers of the .slt files with DuckDB's, an engine that shares no code with ours.

    pip install duckdb
    python3 testing/suite/slt/check.py            says where DuckDB answers otherwise
    python3 testing/suite/slt/check.py --write    writes DuckDB's answers where none stand yet

A line `# duckdb: SQL` inside a record is what DuckDB is asked in its place; `# duckdb: -` leaves a record out, with the
reason behind it.
"""

import pathlib
import re
import sys
import tempfile

import duckdb

HERE = pathlib.Path(__file__).parent


def records(text):
    """The records of a file: their lines, with the number of the first one."""
    block, start = [], 1
    for number, line in enumerate(text.split("\n") + [""], 1):
        if line.strip() == "":
            if block:
                yield start, block
            block, start = [], number + 1
        else:
            block.append(line)


def text_of(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if str(value) != "" else "(empty)"


def ours(sql, directory):
    """DuckDB's way to say what only our tables need."""
    sql = sql.replace("{dir}", directory)
    made = re.match(r"CREATE EXTERNAL TABLE (\w+) STORED AS PARQUET LOCATION '(.*)/'$", sql)
    if made:
        return f"CREATE VIEW {made[1]} AS SELECT * FROM read_parquet('{made[2]}/*.parquet')"
    copied = re.match(r"COPY \((.*)\) TO '(.*)'$", sql, re.S)
    if copied:
        pathlib.Path(copied[2]).parent.mkdir(exist_ok=True)
        return f"COPY ({copied[1]}) TO '{copied[2]}' (FORMAT parquet)"
    return sql


def answer(database, sql, sort):
    rows = [" ".join(text_of(value) for value in row) for row in database.execute(sql).fetchall()]
    return sorted(rows) if sort else rows


def check(database, path, directory, write):
    text = path.read_text()
    lines, wrong, added = text.split("\n"), 0, 0
    for start, block in records(text):
        notes = [line for line in block if line.startswith("# duckdb: ")]
        body = [line for line in block if not line.startswith("#")]
        if not body or body[0].split()[0] not in ("statement", "query"):
            continue
        head = body[0].split()
        cut = body.index("----") if "----" in body else len(body)
        sql = "\n".join(body[1:cut])
        if notes:
            sql = notes[0].removeprefix("# duckdb: ")
        if sql.startswith("-"):
            continue
        if head[0] == "statement":
            if head[1] == "ok" and not re.match("PREPARE|DEALLOCATE", sql):
                database.execute(ours(sql, directory))
            continue
        expected = body[cut + 1 :]
        try:
            found = answer(database, sql, "rowsort" in head)
        except duckdb.Error as error:
            found = [f"error: {error}"]
        if found == expected:
            continue
        if write and not expected and not (found and found[0].startswith("error: ")):
            last = start + len(block) - 1 + added
            lines[last:last] = found
            added += len(found)
            continue
        wrong += 1
        print(f"{path.name}:{start}: {sql}\n  here:   {expected}\n  DuckDB: {found}")
    if added:
        path.write_text("\n".join(lines))
    return wrong


def main():
    write = "--write" in sys.argv
    files = sorted(HERE.glob("*.slt"), key=lambda path: (path.name != "tables.slt", path.name))
    with tempfile.TemporaryDirectory() as directory:
        database = duckdb.connect()
        wrong = sum(check(database, path, directory, write) for path in files)
    sys.exit(f"{wrong} answers differ" if wrong else 0)


main()
