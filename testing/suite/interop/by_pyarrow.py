"""Files that pyarrow writes."""

import io

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet

import tables

ALL = ("parquet", "arrow", "arrows")


def write(suite):
    parquet_types(suite)
    parquet_layouts(suite)
    parquet_encodings(suite)
    parquet_shapes(suite)
    directories(suite)
    evolving(suite)
    arrow(suite)
    text(suite)


def one(suite, name, table, copies=(), expected=None, **options):
    parquet.write_table(table, suite.place(name) / "data.parquet", **options)
    suite.add(name, "parquet", "data.parquet", table if expected is None else expected, copies=copies)


def parquet_types(suite):
    one(suite, "pyarrow_parquet_numbers", tables.numbers(), ALL)
    one(suite, "pyarrow_parquet_texts", tables.texts(), ALL)
    one(suite, "pyarrow_parquet_dates", tables.dates(), ALL)
    one(suite, "pyarrow_parquet_offset", tables.offset())
    one(suite, "pyarrow_parquet_nested", tables.nested(), ALL)
    one(suite, "pyarrow_parquet_simple", tables.simple(), (*ALL, "csv", "tsv", "json", "avro"))
    # Without the copy of the Arrow schema, as writers that are not Arrow's write it: types are those of Parquet.
    plain = {"store_schema": False}
    unsigned = tables.numbers().drop(["decimal_76_20"])
    one(suite, "pyarrow_parquet_numbers_plain", unsigned, **plain)
    one(suite, "pyarrow_parquet_nested_plain", tables.nested(), **plain)
    one(suite, "pyarrow_parquet_dates_plain", tables.dates().drop(["time_s"]), **plain)
    nanos = tables.dates().select(["timestamp_ns", "utc_ns", "timestamp_us"])
    # INT96 holds moments without a zone.
    without_zone = nanos.set_column(1, "utc_ns", nanos["utc_ns"].cast(pa.timestamp("ns")))
    one(suite, "pyarrow_parquet_int96", without_zone, use_deprecated_int96_timestamps=True, store_schema=False)
    small = tables.numbers().select(["decimal_9_2", "decimal_38_10"])
    one(suite, "pyarrow_parquet_decimal_as_integer", small, store_decimal_as_integer=True)


def parquet_layouts(suite):
    table = tables.many(5000)
    for codec in ("none", "snappy", "gzip", "brotli", "zstd", "lz4"):
        one(suite, f"pyarrow_parquet_{codec}", table, compression=codec)
    for size in (1, 7, 1000):
        rows = table.slice(0, 50) if size == 1 else table
        one(suite, f"pyarrow_parquet_groups_of_{size}", rows, row_group_size=size)
    checked = {"data_page_size": 512, "write_page_index": True, "write_page_checksum": True}
    one(suite, "pyarrow_parquet_small_pages", table, **checked)
    one(suite, "pyarrow_parquet_version_1", table, version="1.0")
    one(suite, "pyarrow_parquet_no_statistics", table, write_statistics=False)
    one(suite, "pyarrow_parquet_old_lists", tables.nested(), use_compliant_nested_type=False)
    one(suite, "pyarrow_parquet_large", tables.many(200_000), ("parquet", "arrow"), row_group_size=30_000)


# For each encoding the columns of `tables.many` that can have it.
ENCODINGS = {
    "plain": ("PLAIN", ["id", "small", "wide", "half", "single", "flag", "sorted", "bytes", "at"]),
    "delta_binary_packed": ("DELTA_BINARY_PACKED", ["id", "small", "wide", "at"]),
    "delta_length_byte_array": ("DELTA_LENGTH_BYTE_ARRAY", ["sorted", "word"]),
    "delta_byte_array": ("DELTA_BYTE_ARRAY", ["sorted", "word", "bytes"]),
    "byte_stream_split": ("BYTE_STREAM_SPLIT", ["id", "small", "wide", "half", "single", "bytes", "at"]),
    "rle": ("RLE", ["flag"]),
}


def parquet_encodings(suite):
    table = tables.many(5000)
    for page in ("1.0", "2.0"):
        suffix = f"pages_{page[0]}"
        for name, (encoding, columns) in ENCODINGS.items():
            said = dict.fromkeys(columns, encoding)
            options = {"use_dictionary": False, "column_encoding": said, "data_page_version": page}
            one(suite, f"pyarrow_parquet_{name}_{suffix}", table.select(columns), **options)
        one(suite, f"pyarrow_parquet_rle_dictionary_{suffix}", table, use_dictionary=True, data_page_version=page)
        # So many different values that the writer gives the dictionary up on the way.
        small = {"dictionary_pagesize_limit": 1024, "data_page_size": 2048}
        one(suite, f"pyarrow_parquet_dictionary_given_up_{suffix}", table, data_page_version=page, **small)
        one(suite, f"pyarrow_parquet_nested_{suffix}", tables.nested(), data_page_version=page)


def parquet_shapes(suite):
    empty = tables.side_by_side(tables.simple(rows=0), tables.nested().slice(0, 0).drop(["id"]))
    one(suite, "pyarrow_parquet_no_rows", empty, ("parquet", "arrow", "arrows"))
    place = suite.place("pyarrow_parquet_no_row_groups")
    parquet.ParquetWriter(place / "data.parquet", empty.schema).close()
    suite.add("pyarrow_parquet_no_row_groups", "parquet", "data.parquet", empty)
    wide = pa.table({f"c{i:05d}": pa.array([i, None, -i], pa.int32()) for i in range(10_000)})
    one(suite, "pyarrow_parquet_10000_columns", wide, ("parquet", "arrow", "csv"))
    names = ["with space", "ü", 'quo"te', "a.b", "Upper", "select", "line\nfeed", "1", "-"]
    one(suite, "pyarrow_parquet_odd_names", pa.table([pa.array([i, None]) for i in range(len(names))], names=names), ALL)
    only_null = pa.table({"id": [1, 2], "nothing": pa.nulls(2), "texts": pa.array([None, None], pa.string())})
    one(suite, "pyarrow_parquet_only_null", only_null)


def directories(suite):
    name = "pyarrow_parquet_directory"
    place = suite.place(name) / "data"
    place.mkdir()
    for i in range(4):
        # One of the files has no rows.
        rows = 0 if i == 2 else 5
        parquet.write_table(tables.simple(i * 5, rows), place / f"part-{i}.parquet", compression=["none", "zstd"][i % 2])
    parts = [tables.simple(i * 5, 5) for i in (0, 1, 3)]
    suite.add(name, "parquet", "data/", pa.concat_tables(parts), copies=("parquet",))
    name = "pyarrow_parquet_glob"
    place = suite.place(name)
    for i in range(3):
        parquet.write_table(tables.simple(i * 5, 5), place / f"{'skip' if i == 1 else 'take'}-{i}.parquet")
    parts = [tables.simple(i * 5, 5) for i in (0, 2)]
    suite.add(name, "parquet", "take-*.parquet", pa.concat_tables(parts))
    hive(suite, "parquet", dataset.ParquetFileFormat())
    hive(suite, "csv", dataset.CsvFileFormat())
    hive(suite, "arrow", dataset.IpcFileFormat())


def hive(suite, format_, written_as):
    """Two columns of partitions, with values that must be encoded in paths, and a NULL."""
    name = f"pyarrow_{format_}_hive"
    table = tables.simple(rows=24)
    years = pa.array([2023 + i % 2 for i in range(24)], pa.int32())
    regions = pa.array([["north", "a b/c=d%", "é", None][i % 4] for i in range(24)])
    table = table.append_column("year", years).append_column("region", regions)
    schema = pa.schema([("year", pa.int32()), ("region", pa.string())])
    dataset.write_dataset(
        table,
        suite.place(name) / "data",
        format=written_as,
        partitioning=dataset.partitioning(schema, flavor="hive"),
        basename_template="part-{i}." + format_,
    )
    # What the types of partition columns are is the reader's guess.
    suite.add(name, format_, "data/", table, loose=True, copies=("parquet",) if format_ == "parquet" else ())


def evolving(suite):
    """Columns come, go, change places and become wider."""
    first = pa.table({"a": pa.array([1, 2], pa.int32()), "b": ["x", "y"]})
    second = pa.table({"b": ["z"], "a": pa.array([2**40], pa.int64()), "c": [0.5]})
    third = pa.table({"c": [1.5], "d": [[1, 2]], "a": pa.array([3], pa.int32())})
    expected = pa.table(
        {
            "a": pa.array([1, 2, 2**40, 3], pa.int64()),
            "b": ["x", "y", "z", None],
            "c": [None, None, 0.5, 1.5],
            "d": pa.array([None, None, None, [1, 2]], pa.list_(pa.int64())),
        }
    )
    for format_ in ("parquet", "arrow"):
        name = f"pyarrow_{format_}_evolving"
        place = suite.place(name) / "data"
        place.mkdir()
        for i, table in enumerate((first, second, third)):
            path = place / f"part-{i}.{format_}"
            if format_ == "parquet":
                parquet.write_table(table, path)
            else:
                with pa.ipc.new_file(path, table.schema) as writer:
                    writer.write_table(table)
        suite.add(name, format_, "data/", expected)


def arrow(suite):
    duration = pa.table({unit: pa.array([1, None, -(10**12), 0], pa.duration(unit)) for unit in ("s", "ms", "us", "ns")})
    every = tables.side_by_side(tables.numbers(), tables.texts(), tables.dates(), tables.nested(), duration)
    for kind, extension, begin in (("file", "arrow", pa.ipc.new_file), ("stream", "arrows", pa.ipc.new_stream)):
        for codec in (None, "lz4", "zstd"):
            name = f"pyarrow_arrow_{kind}_{codec or 'none'}"
            path = f"data.{extension}"
            options = pa.ipc.IpcWriteOptions(compression=codec)
            with begin(suite.place(name) / path, every.schema, options=options) as writer:
                for batch in every.to_batches(max_chunksize=3):
                    writer.write_batch(batch)
            suite.add(name, extension, path, every, copies=ALL if codec is None and kind == "file" else ())
        for name, table in (("no_rows", every.slice(0, 0)), ("large", tables.many(100_000))):
            full = f"pyarrow_arrow_{kind}_{name}"
            path = f"data.{extension}"
            with begin(suite.place(full) / path, table.schema) as writer:
                if table.num_rows:
                    writer.write_table(table, max_chunksize=8192)
            suite.add(full, extension, path, table)
    name = "pyarrow_arrow_stream_new_dictionaries"
    path = suite.place(name) / "data.arrows"
    words = [["a", "b"], ["b", "c"], ["d"]]
    batches = [pa.record_batch({"word": pa.array(some).dictionary_encode()}) for some in words]
    with pa.ipc.new_stream(path, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    suite.add(name, "arrows", "data.arrows", pa.table({"word": [word for some in words for word in some]}))


def compressed(path, codec, data):
    with pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), codec) if codec else pa.OSFile(str(path), "wb") as out:
        out.write(data)


def text(suite):
    table = tables.simple(rows=50)
    for codec, extension in ((None, "csv"), ("gzip", "csv.gz"), ("zstd", "csv.zst")):
        name = f"pyarrow_csv_{codec or 'plain'}"
        sink = io.BytesIO()
        csv.write_csv(table, sink)
        compressed(suite.place(name) / f"data.{extension}", codec, sink.getvalue())
        suite.add(name, "csv", f"data.{extension}", table, loose=True, copies=("csv", "json") if codec is None else ())
    name = "pyarrow_tsv"
    csv.write_csv(table, suite.place(name) / "data.tsv", csv.WriteOptions(delimiter="\t"))
    suite.add(name, "tsv", "data.tsv", table, loose=True)
