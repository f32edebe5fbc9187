"""How others read what Windrow has written: each gives the rows of some files as an Arrow table."""

import uuid

import canon
import duckdb
import fastavro
import polars as pl
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.json as arrow_json
import pyarrow.parquet as parquet

TEXT = ("csv", "tsv", "json")


def visible(directory):
    """The files that every reader sees."""
    found = []
    for path in sorted(directory.rglob("*")):
        hidden = any(part.startswith(("_", ".")) for part in path.relative_to(directory).parts)
        if path.is_file() and not hidden:
            found.append(path)
    return found


def together(tables):
    tables = list(tables)
    assert tables, "there are no files"
    return pa.concat_tables(tables, promote_options="permissive")


def pyarrow_parquet(files, expected):
    return together(parquet.ParquetFile(path).read(columns=dotless(expected)) for path in files)


def dotless(expected):
    """The columns to read; all of them where a name has a dot, which would be a path."""
    names = expected["columns"]
    return None if any("." in name for name in names) else names


def duckdb_rows(sql, files, expected):
    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    columns = ", ".join('"' + name.replace('"', '""') + '"' for name in expected["columns"])
    paths = "[" + ", ".join(f"'{path}'" for path in files) + "]"
    table = connection.sql(f"SELECT {columns} FROM {sql.format(paths)}").to_arrow_table()
    for i, field in enumerate(table.schema):
        if expected.get("kinds", {}).get(field.name) == "binary" and canon.kind(field.type) == "text":
            # It shows 16 bytes that are said to be a UUID as text.
            texts = table[field.name].to_pylist()
            identifiers = [None if text is None else uuid.UUID(text).bytes for text in texts]
            table = table.set_column(i, field.name, pa.array(identifiers, pa.binary(16)))
    return table


def polars_rows(read):
    def rows(files, expected):
        frames = [read(path, expected["columns"]).select(expected["columns"]) for path in files]
        table = together(frame.to_arrow() for frame in frames)
        for i, field in enumerate(table.schema):
            if expected.get("kinds", {}).get(field.name) == "date" and pa.types.is_timestamp(field.type):
                # Dates of 64 bits are timestamps to it.
                table = table.set_column(i, field.name, table[field.name].cast(pa.date32()))
        return table

    return rows


def duckdb_read(sql):
    return lambda files, expected: duckdb_rows(sql, files, expected)


def pyarrow_csv(delimiter):
    def rows(files, _expected):
        options = csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
        parse = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
        return together(csv.read_csv(path, parse_options=parse, convert_options=options) for path in files)

    return rows


def pyarrow_ipc(begin):
    def rows(files, expected):
        tables = []
        for path in files:
            with begin(path) as reader:
                tables.append(reader.read_all())
        return together(tables).select(expected["columns"])

    return rows


def fastavro_rows(files, expected):
    records = []
    for path in files:
        with open(path, "rb") as source:
            records += list(fastavro.reader(source))
    columns = {name: [record[name] for record in records] for name in expected["columns"]}
    for name, column in columns.items():
        if expected.get("kinds", {}).get(name, "").startswith("map<"):
            columns[name] = [
                None if value is None else [{"key": key, "value": item} for key, item in value.items()] for value in column
            ]
    # Python's decimals lose no digits, and Arrow finds the type of the widest.
    return pa.table({name: pa.array(column) for name, column in columns.items()})


READERS = {
    "parquet": [
        ("pyarrow", pyarrow_parquet),
        ("duckdb", duckdb_read("read_parquet({}, union_by_name = true, hive_partitioning = false)")),
        ("polars", polars_rows(lambda path, columns: pl.read_parquet(path, columns=columns, hive_partitioning=False, glob=False))),
    ],
    "arrow": [("pyarrow", pyarrow_ipc(pa.ipc.open_file)), ("polars", polars_rows(lambda path, columns: pl.read_ipc(path, columns=columns)))],
    "arrows": [("pyarrow", pyarrow_ipc(pa.ipc.open_stream)), ("polars", polars_rows(lambda path, columns: pl.read_ipc_stream(path, columns=columns)))],
    "csv": [
        ("pyarrow", pyarrow_csv(",")),
        ("duckdb", duckdb_read("read_csv({}, header = true, all_varchar = true)")),
        ("polars", polars_rows(lambda path, _: pl.read_csv(path, infer_schema=False, glob=False))),
    ],
    "tsv": [
        ("pyarrow", pyarrow_csv("\t")),
        ("duckdb", duckdb_read("read_csv({}, header = true, all_varchar = true, delim = '\t')")),
        ("polars", polars_rows(lambda path, _: pl.read_csv(path, infer_schema=False, separator="\t", glob=False))),
    ],
    "json": [
        ("pyarrow", lambda files, _: together(arrow_json.read_json(path) for path in files)),
        ("duckdb", duckdb_read("read_json({}, format = 'newline_delimited', map_inference_threshold = -1)")),
        ("polars", polars_rows(lambda path, _: pl.read_ndjson(path))),
    ],
    "avro": [("fastavro", fastavro_rows)],
}


def of(format_):
    return READERS[format_]


# What readers do not know, by words of kinds: columns of these are not compared.
UNKNOWN = {
    # Decimals have 38 digits there; durations are read from Parquet as numbers.
    "duckdb": ("decimal(76", "duration"),
    "polars": ("decimal(76",),
}


def left_out(reader, format_, kinds):
    del format_
    return {name for name, kind in kinds.items() if any(word in kind for word in UNKNOWN.get(reader, ()))}
