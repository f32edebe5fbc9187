"""What people do from Python: ADBC over Flight SQL against a running `windrow up`.

Usage: flight_sql.py URL TPCH_DATA_DIRECTORY TPCH_QUERY_DIRECTORY

Prints a line for each thing that was shown; an assertion that fails ends it.
"""

import datetime
import decimal
import pathlib
import resource
import sys
import threading
import time

import adbc_driver_flightsql.dbapi as flight_sql
import adbc_driver_manager
import pandas
import polars
import pyarrow
import pyarrow.compute

# A result that is read as a stream must not need more than this beside what was there before.
STREAM_MEMORY = 400 << 20
STREAM_ROWS = 6_000_000


def one(cursor, sql, parameters=None):
    """The only value of a query."""
    cursor.execute(sql, parameters)
    return cursor.fetchone()[0]


def external_tables(cursor, directory):
    for path in sorted(pathlib.Path(directory).glob("*")):
        if path.is_dir() or path.suffix == ".parquet":
            cursor.execute(f"CREATE EXTERNAL TABLE {path.stem} STORED AS PARQUET LOCATION '{path}'")
    assert one(cursor, "SELECT count(*) FROM lineitem") > 0


def tpch(cursor, directory):
    queries = sorted(pathlib.Path(directory).glob("q*.sql"))
    assert len(queries) == 22, queries
    for query in queries:
        cursor.execute(query.read_text())
        cursor.fetch_arrow_table()


def parameters(cursor):
    values = [
        True,
        -1,
        2**40,
        0.5,
        "it's",
        b"\x00\xff",
        datetime.date(2024, 2, 29),
        datetime.time(12, 34, 56),
        datetime.datetime(2024, 2, 29, 12, 34, 56, 789),
        decimal.Decimal("12345.67"),
        datetime.timedelta(seconds=90),
        None,
    ]
    for value in values:
        answer = one(cursor, "SELECT ? AS v", (value,))
        assert answer == value, (value, answer)
    typed = [
        pyarrow.array([1], t)
        for t in (pyarrow.int8(), pyarrow.int16(), pyarrow.int32(), pyarrow.uint8(), pyarrow.uint64(), pyarrow.float32())
    ]
    for array in typed:
        cursor.execute("SELECT $1 AS v", pyarrow.record_batch([array], names=["0"]))
        assert cursor.fetch_arrow_table().column(0).to_pylist() == [1], array.type
    cursor.executemany("INSERT INTO bound VALUES (?, ?)", [(n, f"row {n}") for n in range(100)])
    assert one(cursor, "SELECT count(*) FROM bound WHERE n < ? AND w LIKE ?", (50, "row %")) == 50


def ingest(cursor):
    table = pyarrow.table({"n": range(100_000), "w": [f"word {n}" for n in range(100_000)]})
    assert cursor.adbc_ingest("ingested", table, mode="create") == 100_000
    assert one(cursor, "SELECT sum(n) FROM ingested") == sum(range(100_000))
    assert cursor.adbc_ingest("ingested", table.slice(0, 10), mode="append") == 10
    assert one(cursor, "SELECT count(*) FROM ingested") == 100_010
    try:
        cursor.adbc_ingest("ingested", table, mode="create")
        raise AssertionError("a table was created twice")
    except adbc_driver_manager.Error:
        pass
    assert cursor.adbc_ingest("ingested", table.to_reader(1_000), mode="replace") == 100_000
    assert one(cursor, "SELECT count(*) FROM ingested") == 100_000
    assert cursor.adbc_ingest("ingested", table.slice(0, 7), mode="create", temporary=True) == 7
    assert one(cursor, "SELECT count(*) FROM ingested") == 7
    cursor.execute("DROP TABLE temp.ingested")
    assert one(cursor, "SELECT count(*) FROM ingested") == 100_000


def stream(cursor):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cursor.execute(
        f"SELECT value AS n, value * 2 AS twice, value / 3.0 AS third, 'text of row ' || value AS words "
        f"FROM generate_series(1, {STREAM_ROWS})"
    )
    rows, total = 0, 0
    for batch in cursor.fetch_record_batch():
        rows += batch.num_rows
        total += pyarrow.compute.sum(batch.column(0)).as_py()
    assert rows == STREAM_ROWS, rows
    assert total == STREAM_ROWS * (STREAM_ROWS + 1) // 2, total
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < STREAM_MEMORY, f"the client grew by {grown >> 20} MiB"


def catalog(connection, cursor):
    objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    schemas = {schema["db_schema_name"]: schema for entry in objects for schema in entry["catalog_db_schemas"]}
    tables = {table["table_name"]: table for table in schemas["public"]["db_schema_tables"]}
    columns = [column["column_name"] for column in tables["lineitem"]["table_columns"]]
    assert "l_orderkey" in columns, columns
    assert connection.adbc_get_table_schema("ingested").names == ["n", "w"]
    assert "TABLE" in connection.adbc_get_table_types()
    assert connection.adbc_get_info()["vendor_name"] == "Windrow"
    cursor.execute("SHOW TABLES")
    assert any("lineitem" in row for row in cursor.fetchall())


def cancel(cursor):
    cursor.execute("SELECT a.value FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b")
    started = time.monotonic()
    threading.Timer(0.2, cursor.adbc_cancel).start()
    try:
        for _ in cursor.fetch_record_batch():
            pass
        raise AssertionError("a cancelled query came to its end")
    except (adbc_driver_manager.Error, OSError, pyarrow.ArrowException) as error:
        assert "ancel" in str(error), error
    assert time.monotonic() - started < 30


def frames(connection):
    frame = pandas.read_sql("SELECT n, w FROM ingested WHERE n < 3 ORDER BY n", connection)
    assert frame["n"].tolist() == [0, 1, 2] and frame["w"].tolist()[2] == "word 2", frame
    frame = polars.read_database("SELECT n, w FROM ingested WHERE n >= 99998 ORDER BY n", connection)
    assert frame["n"].to_list() == [99998, 99999], frame


def errors(cursor):
    for sql, kind in [
        ("SELECT * FROM nowhere", adbc_driver_manager.ProgrammingError),
        ("SELEC 1", adbc_driver_manager.ProgrammingError),
        ("CREATE TABLE ingested AS SELECT 1", adbc_driver_manager.Error),
    ]:
        try:
            cursor.execute(sql)
            raise AssertionError(sql)
        except kind as error:
            assert str(error)


def warm(cursor):
    times = []
    for _ in range(60):
        start = time.perf_counter()
        assert one(cursor, "SELECT 1") == 1
        times.append(time.perf_counter() - start)
    times = sorted(times[10:])
    print(f"SELECT 1, warm: median {times[len(times) // 2] * 1e3:.1f} ms")


def main(url, directory, queries):
    connection = flight_sql.connect(url, autocommit=True)
    cursor = connection.cursor()

    def shown(name, part, *arguments):
        start = time.perf_counter()
        part(*arguments)
        print(f"shown: {name} ({time.perf_counter() - start:.2f} s)", flush=True)

    assert one(cursor, "SELECT 1") == 1
    shown("external tables", external_tables, cursor, directory)
    shown("TPC-H 1 to 22", tpch, cursor, queries)
    cursor.execute("CREATE TABLE bound (n BIGINT, w VARCHAR)")
    shown("parameters", parameters, cursor)
    shown("ingestion", ingest, cursor)
    shown("a stream of 6 million rows", stream, cursor)
    shown("the catalog", catalog, connection, cursor)
    with connection.cursor() as cancelled:
        shown("a cancelled query", cancel, cancelled)
    shown("pandas and polars", frames, connection)
    shown("errors", errors, cursor)
    warm(cursor)
    cursor.close()
    connection.close()
    print("all shown")


if __name__ == "__main__":
    main(*sys.argv[1:])
