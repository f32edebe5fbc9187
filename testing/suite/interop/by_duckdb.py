"""Files that DuckDB writes."""

import uuid

import duckdb
import pyarrow as pa

TYPES = """
    SELECT
        i AS id,
        (i % 2 = 0) AS flag,
        CAST(i AS TINYINT) AS tiny, CAST(i AS USMALLINT) AS usmall, CAST(-i AS INTEGER) AS int, CAST(i AS UBIGINT) AS ubig,
        CAST(i / 8.0 AS FLOAT) AS single, i / 16.0::DOUBLE AS double,
        CAST(i + 0.25 AS DECIMAL(9, 2)) AS decimal_9_2, CAST(-i - 0.0000000001 AS DECIMAL(38, 10)) AS decimal_38_10,
        CASE WHEN i % 3 = 0 THEN NULL ELSE 'text "' || i || '" é' END AS word,
        CAST('\\xAA\\x00' AS BLOB) AS bytes,
        DATE '2024-02-29' + CAST(i AS INTEGER) AS day,
        TIME '12:34:56.789' AS clock,
        TIMESTAMP '2024-02-29 12:34:56.789012' + INTERVAL (i) HOUR AS at,
        TIMESTAMP_NS '2024-02-29 12:34:56.789012345' AS at_ns,
        TIMESTAMPTZ '2024-02-29 12:34:56.789+05:30' AS moment,
        CAST(['red', 'green'][1 + i % 2] AS ENUM ('red', 'green')) AS colour
    FROM range(20) r(i)
"""
NESTED = """
    SELECT
        i AS id,
        CASE WHEN i = 3 THEN NULL ELSE range(i) END AS list,
        {'x': i, 'name': 'n' || i} AS struct,
        [{'k': i, 'v': [i, NULL]}] AS list_of_struct,
        MAP {'a': i, 'b': NULL} AS map,
        [[i], []] AS list_of_list
    FROM range(6) r(i)
"""
SIMPLE = """
    SELECT
        i AS id,
        CASE WHEN i % 7 = 3 THEN NULL ELSE 'word ' || i || ', "quoted" é' END AS word,
        i / 8.0::DOUBLE AS ratio,
        i % 3 = 0 AS flag,
        DATE '2024-02-29' + CAST(i AS INTEGER) AS day,
        TIMESTAMP '2024-02-29 12:34:56.789' + INTERVAL (i) HOUR AS at
    FROM range(60) r(i)
"""
JSON = """
    SELECT i AS id, 'w' || i AS word, {'x': i / 4.0::DOUBLE, 'tags': ['a', 'b']} AS s, CASE WHEN i % 2 = 0 THEN [i] END AS l
    FROM range(12) r(i)
"""


def write(suite):
    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    duck = Duck(suite, connection)
    duck.copy("duckdb_parquet_types", TYPES, "parquet", "FORMAT parquet", copies=("parquet",))
    duck.copy("duckdb_parquet_nested", NESTED, "parquet", "FORMAT parquet", copies=("parquet", "json"))
    duck.copy("duckdb_parquet_no_rows", f"SELECT * FROM ({NESTED}) WHERE id < 0", "parquet", "FORMAT parquet")
    for codec in ("uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4"):
        duck.copy(f"duckdb_parquet_{codec}", SIMPLE, "parquet", f"FORMAT parquet, CODEC '{codec}'")
    duck.copy("duckdb_parquet_version_2", TYPES, "parquet", "FORMAT parquet, PARQUET_VERSION v2")
    big = "SELECT i, i // 1000 AS thousands, md5(i::VARCHAR) AS hash FROM range(100000) r(i)"
    duck.copy("duckdb_parquet_row_groups", big, "parquet", "FORMAT parquet, ROW_GROUP_SIZE 10000")
    wide = "SELECT " + ", ".join(f"{i} AS c{i}" for i in range(1000))
    duck.copy("duckdb_parquet_1000_columns", wide, "parquet", "FORMAT parquet")
    duck.copy("duckdb_csv", SIMPLE, "csv", "FORMAT csv, HEADER", copies=("csv",))
    duck.copy("duckdb_csv_gzip", SIMPLE, "csv.gz", "FORMAT csv, HEADER, COMPRESSION gzip")
    duck.copy("duckdb_csv_zstd", SIMPLE, "csv.zst", "FORMAT csv, HEADER, COMPRESSION zstd")
    duck.copy("duckdb_tsv", SIMPLE, "tsv", "FORMAT csv, HEADER, DELIMITER '\t'")
    duck.copy("duckdb_ndjson", JSON, "ndjson", "FORMAT json", copies=("json",))
    duck.copy("duckdb_ndjson_gzip", JSON, "ndjson.gz", "FORMAT json, COMPRESSION gzip")
    duck.partitioned("parquet")
    duck.partitioned("csv")
    delimiter = duck.copy("duckdb_csv_semicolons", SIMPLE, "csv", "FORMAT csv, HEADER, DELIMITER ';'", add=False)
    setup = "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{path}' OPTIONS (delimiter ';', header 'true')"
    suite.add("duckdb_csv_semicolons", "csv", "data.csv", delimiter, loose=True, setup=[setup], query="SELECT * FROM t")


class Duck:
    def __init__(self, suite, connection):
        self.suite, self.connection = suite, connection

    def rows(self, sql):
        return plain_uuids(self.connection.sql(sql).to_arrow_table())

    def copy(self, name, sql, extension, options, copies=(), add=True):
        path = f"data.{extension}"
        self.connection.sql(f"COPY ({sql}) TO '{self.suite.place(name) / path}' ({options})")
        format_ = extension.split(".")[0].replace("ndjson", "json")
        table = self.rows(sql)
        if add:
            self.suite.add(name, format_, path, table, loose=format_ != "parquet", copies=copies)
        return table

    def partitioned(self, format_):
        name = f"duckdb_{format_}_hive"
        sql = f"SELECT *, 2020 + id % 3 AS year, ['north', 'a b'][1 + id % 2] AS region FROM ({SIMPLE})"
        place = self.suite.place(name) / "data"
        self.connection.sql(f"COPY ({sql}) TO '{place}' (FORMAT {format_}, PARTITION_BY (year, region))")
        self.suite.add(name, format_, "data/", self.rows(sql), loose=True)


def plain_uuids(table):
    """UUIDs lie in files as 16 bytes."""
    for i, field in enumerate(table.schema):
        if str(field.type).startswith("extension<arrow.uuid"):
            table = table.set_column(i, field.name, table[field.name].combine_chunks().storage)
    return table
