"""Files as Python's own modules, or people, write them."""

import csv
import gzip
import io
import json

import pyarrow as pa


def csv_text(rows, **options):
    out = io.StringIO()
    csv.writer(out, **options).writerows(rows)
    return out.getvalue()


def table(header, rows):
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(header)})


def write(suite):
    header = ["id", "word", "ratio"]
    rows = [[1, 'quo"te, comma', 0.5], [2, "two\nlines", 1.25], [3, "é 😀", -2.0]]
    cases = {
        "crlf": (csv_text([header, *rows]), table(header, rows)),
        "all_quoted": (csv_text([header, *rows], quoting=csv.QUOTE_ALL, lineterminator="\n"), table(header, rows)),
        "no_last_line_feed": (csv_text([header, *rows], lineterminator="\n").rstrip("\n"), table(header, rows)),
        "one_column": ("only\n1\n2\n", pa.table({"only": [1, 2]})),
    }
    for name, (text, expected) in cases.items():
        full = f"python_csv_{name}"
        (suite.place(full) / "data.csv").write_bytes(text.encode())
        suite.add(full, "csv", "data.csv", expected, loose=True)
    header_only(suite)
    directory_with_nothing(suite)
    ndjson(suite)


def header_only(suite):
    (suite.place("python_csv_header_only") / "data.csv").write_text("a,b\n")
    suite.add("python_csv_header_only", "csv", "data.csv", pa.table({"a": pa.nulls(0), "b": pa.nulls(0)}), loose=True)


def directory_with_nothing(suite):
    """Files of no bytes beside others are no rows; hidden ones are not looked at."""
    name = "python_csv_directory"
    place = suite.place(name) / "data"
    place.mkdir()
    (place / "part-0.csv").write_text("a,b\n1,x\n")
    (place / "part-1.csv").write_text("")
    (place / "part-2.csv").write_text("a,b\n2,y\n")
    (place / "_SUCCESS").write_text("")
    (place / ".part-3.csv.crc").write_bytes(b"\xff")
    suite.add(name, "csv", "data/", pa.table({"a": [1, 2], "b": ["x", "y"]}), loose=True)


def ndjson(suite):
    records = [{"id": 1, "tags": ["a"]}, {"id": 2, "word": "é \u2028 \\ \"", "at": {"x": 1.5}}, {"word": None}]
    expected = pa.table(
        {
            "id": [1, 2, None],
            "tags": [["a"], None, None],
            "word": [None, records[1]["word"], None],
            "at": [None, {"x": 1.5}, None],
        }
    )
    text = "".join(json.dumps(record, ensure_ascii=i == 0) + "\n" for i, record in enumerate(records))
    (suite.place("python_ndjson") / "data.jsonl").write_text(text)
    suite.add("python_ndjson", "json", "data.jsonl", expected, loose=True)
    (suite.place("python_ndjson_gzip") / "data.json.gz").write_bytes(gzip.compress(text.encode()))
    suite.add("python_ndjson_gzip", "json", "data.json.gz", expected, loose=True)
    # Several members one after another, as `cat a.gz b.gz` makes them.
    twice = gzip.compress(text.encode()) + gzip.compress(text.encode())
    (suite.place("python_ndjson_two_members") / "data.json.gz").write_bytes(twice)
    suite.add("python_ndjson_two_members", "json", "data.json.gz", pa.concat_tables([expected] * 2), loose=True)
