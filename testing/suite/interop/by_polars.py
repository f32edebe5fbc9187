"""Files that polars writes."""

import datetime
import decimal

import polars as pl


def types():
    at = datetime.datetime(2024, 2, 29, 12, 34, 56, 789012)
    return pl.DataFrame(
        {
            "id": pl.Series([1, 2, 3, 4], dtype=pl.Int64),
            "small": pl.Series([1, None, -3, 4], dtype=pl.Int8),
            "unsigned": pl.Series([0, None, 2**64 - 1, 4], dtype=pl.UInt64),
            "single": pl.Series([0.5, None, -1.25, 4.0], dtype=pl.Float32),
            "double": pl.Series([0.1, None, 1e300, float("nan")], dtype=pl.Float64),
            "flag": [True, None, False, True],
            "word": ["a", None, "", "long enough not to be inline: é 😀"],
            "bytes": [b"\x00", None, b"", b"long enough not to be inline"],
            "day": [datetime.date(2024, 2, 29), None, datetime.date(1900, 1, 1), datetime.date(1970, 1, 1)],
            "clock": [datetime.time(12, 34, 56, 789), None, datetime.time(0), datetime.time(23, 59, 59, 999999)],
            "at_ms": pl.Series([at, None, at, at], dtype=pl.Datetime("ms")),
            "at_us": pl.Series([at, None, at, at], dtype=pl.Datetime("us")),
            "at_ns": pl.Series([at, None, at, at], dtype=pl.Datetime("ns")),
            "zoned": pl.Series([at, None, at, at], dtype=pl.Datetime("us")).dt.replace_time_zone("Europe/Berlin"),
            "decimal": pl.Series([decimal.Decimal("1.10"), None, decimal.Decimal("-2.25"), decimal.Decimal(0)], dtype=pl.Decimal(38, 10)),
            "colour": pl.Series(["red", None, "green", "red"], dtype=pl.Categorical),
            "level": pl.Series(["low", None, "high", "low"], dtype=pl.Enum(["low", "high"])),
        }
    )


def nested():
    return pl.DataFrame(
        {
            "id": [1, 2, 3],
            "list": pl.Series([[1, None], [], None], dtype=pl.List(pl.Int64)),
            "array": pl.Series([[1.0, 2.0], None, [3.0, 4.0]], dtype=pl.Array(pl.Float64, 2)),
            "struct": [{"x": 1, "y": "a"}, {"x": None, "y": None}, {"x": 3, "y": "c"}],
            "structs": [[{"k": 1, "v": ["a"]}], [], [{"k": 2, "v": None}, {"k": 3, "v": []}]],
        }
    )


def simple(rows=40):
    ids = list(range(rows))
    return pl.DataFrame(
        {
            "id": ids,
            "word": [None if i % 7 == 3 else f'word {i}, "quoted" é' for i in ids],
            "ratio": [i / 8 for i in ids],
            "flag": [i % 3 == 0 for i in ids],
            "day": [datetime.date(2024, 2, 29) + datetime.timedelta(days=i) for i in ids],
        }
    )


def write(suite):
    for name, frame in (("types", types()), ("nested", nested()), ("no_rows", nested().clear())):
        full = f"polars_parquet_{name}"
        frame.write_parquet(suite.place(full) / "data.parquet")
        suite.add(full, "parquet", "data.parquet", frame.to_arrow(), copies=("parquet", "arrow") if name != "no_rows" else ())
        for codec in ("uncompressed", "lz4", "zstd"):
            ipc(suite, f"polars_arrow_{name}_{codec}", frame, "arrow", codec)
            ipc(suite, f"polars_arrows_{name}_{codec}", frame, "arrows", codec)
    for codec in ("uncompressed", "snappy", "gzip", "brotli", "zstd", "lz4"):
        name = f"polars_parquet_{codec}"
        simple().write_parquet(suite.place(name) / "data.parquet", compression=codec, row_group_size=11, data_page_size=64)
        suite.add(name, "parquet", "data.parquet", simple().to_arrow())
    text(suite)
    avro(suite)
    partitioned(suite)


def ipc(suite, name, frame, extension, codec):
    path = f"data.{extension}"
    target = suite.place(name) / path
    write = frame.write_ipc if extension == "arrow" else frame.write_ipc_stream
    write(target, compression=codec)
    suite.add(name, extension, path, frame.to_arrow())


def text(suite):
    frame = simple()
    frame.write_csv(suite.place("polars_csv") / "data.csv")
    suite.add("polars_csv", "csv", "data.csv", frame.to_arrow(), loose=True)
    frame.write_csv(suite.place("polars_tsv") / "data.tsv", separator="\t")
    suite.add("polars_tsv", "tsv", "data.tsv", frame.to_arrow(), loose=True)
    for name, some in (("polars_ndjson", frame), ("polars_ndjson_nested", nested().drop("array"))):
        some.write_ndjson(suite.place(name) / "data.ndjson")
        suite.add(name, "json", "data.ndjson", some.to_arrow(), loose=True, copies=("json",))


def avro(suite):
    frame = types().select("id", "single", "double", "flag", "word", "bytes", "day", "at_us")
    for codec in ("uncompressed", "deflate", "snappy"):
        name = f"polars_avro_{codec}"
        frame.write_avro(suite.place(name) / "data.avro", compression=codec)
        suite.add(name, "avro", "data.avro", frame.to_arrow(), copies=("avro",) if codec == "deflate" else ())


def partitioned(suite):
    name = "polars_parquet_hive"
    frame = simple().with_columns(year=2020 + pl.col("id") % 3, region=pl.lit("a b"))
    place = suite.place(name) / "data"
    place.mkdir()
    frame.write_parquet(place, partition_by=["year", "region"])
    suite.add(name, "parquet", "data/", frame.to_arrow(), loose=True)
