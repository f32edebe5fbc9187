"""Files that fastavro writes."""

import datetime
import decimal
import uuid

import fastavro
import pyarrow as pa

UTC = datetime.timezone.utc
AT = datetime.datetime(2024, 2, 29, 12, 34, 56, 789012)
MILLIS = AT.replace(microsecond=789000)
D = decimal.Decimal


def optional(type_):
    return ["null", type_]


def field(name, type_):
    return {"name": name, "type": type_}


def logical(type_, name, **more):
    return {"type": type_, "logicalType": name, **more}


COLOUR = {"type": "enum", "name": "colour", "symbols": ["RED", "GREEN"]}
FOUR = {"type": "fixed", "name": "four", "size": 4}
MONEY = {"type": "fixed", "name": "money", "size": 16, "logicalType": "decimal", "precision": 38, "scale": 10}
POINT = {"type": "record", "name": "point", "fields": [field("x", "int"), field("y", optional("double"))]}

# Name, Avro's type, Arrow's type, two values in the order of the rows; the third row has NULLs.
TYPES = [
    ("flag", "boolean", pa.bool_(), [True, False]),
    ("int", "int", pa.int32(), [-(2**31), 2**31 - 1]),
    ("long", "long", pa.int64(), [-(2**63), 2**63 - 1]),
    ("single", "float", pa.float32(), [0.5, -1.25]),
    ("double", "double", pa.float64(), [0.1, 1e300]),
    ("bytes", "bytes", pa.binary(), [b"", b"\x00\xff"]),
    ("word", "string", pa.string(), ["", 'é 😀 "']),
    ("colour", COLOUR, pa.string(), ["RED", "GREEN"]),
    ("four", FOUR, pa.binary(4), [b"abcd", b"\x00\x01\x02\x03"]),
    ("decimal", logical("bytes", "decimal", precision=9, scale=2), pa.decimal128(9, 2), [D("1234567.89"), D("-0.01")]),
    ("money", MONEY, pa.decimal128(38, 10), [D("9999999999999999999999999999.9999999999"), D("-1.5")]),
    ("day", logical("int", "date"), pa.date32(), [datetime.date(2024, 2, 29), datetime.date(1969, 12, 31)]),
    ("clock_ms", logical("int", "time-millis"), pa.time32("ms"), [datetime.time(12, 34, 56, 789000), datetime.time(0)]),
    ("clock_us", logical("long", "time-micros"), pa.time64("us"), [datetime.time(12, 34, 56, 789012), datetime.time(0)]),
    ("moment_ms", logical("long", "timestamp-millis"), pa.timestamp("ms", "UTC"), [MILLIS.replace(tzinfo=UTC)] * 2),
    ("moment_us", logical("long", "timestamp-micros"), pa.timestamp("us", "UTC"), [AT.replace(tzinfo=UTC)] * 2),
    ("local_ms", logical("long", "local-timestamp-millis"), pa.timestamp("ms"), [MILLIS] * 2),
    ("local_us", logical("long", "local-timestamp-micros"), pa.timestamp("us"), [AT] * 2),
    ("list", {"type": "array", "items": "long"}, pa.list_(pa.int64()), [[1, 2], []]),
    ("map", {"type": "map", "values": "string"}, pa.map_(pa.string(), pa.string()), [{"a": "b"}, {}]),
    ("point", POINT, pa.struct([("x", pa.int32()), ("y", pa.float64())]), [{"x": 1, "y": 0.5}, {"x": 2, "y": None}]),
    ("points", {"type": "array", "items": "point"}, pa.list_(pa.struct([("x", pa.int32()), ("y", pa.float64())])),
     [[{"x": 3, "y": None}], []]),
]


def types():
    fields = [field(name, optional(type_)) for name, type_, _, _ in TYPES]
    schema = {"type": "record", "name": "types", "fields": fields}
    records = [{name: values[i] for name, _, _, values in TYPES} for i in range(2)]
    records.append({name: None for name, *_ in TYPES})

    def arrow(type_, values):
        if pa.types.is_map(type_):
            values = [list(value.items()) for value in values]
        return pa.array([*values, None], type_)

    return schema, records, pa.table({name: arrow(type_, values) for name, _, type_, values in TYPES})


def simple(rows, start=0):
    fields = [field("id", "long"), field("word", optional("string")), field("tags", {"type": "array", "items": "string"})]
    records = [
        {"id": i, "word": None if i % 5 == 0 else f"word {i}", "tags": ["t"] * (i % 3)} for i in range(start, start + rows)
    ]
    columns = pa.table(
        {
            "id": pa.array([one["id"] for one in records], pa.int64()),
            "word": pa.array([one["word"] for one in records], pa.string()),
            "tags": pa.array([one["tags"] for one in records], pa.list_(pa.string())),
        }
    )
    return {"type": "record", "name": "simple", "fields": fields}, records, columns


def one(suite, name, schema, records, table, copies=(), **options):
    with open(suite.place(name) / "data.avro", "wb") as out:
        fastavro.writer(out, fastavro.parse_schema(schema), records, **options)
    suite.add(name, "avro", "data.avro", table, copies=copies)


def write(suite):
    one(suite, "fastavro_types", *types(), copies=("avro", "parquet"))
    for codec in ("null", "deflate", "snappy", "zstandard", "bzip2", "xz"):
        one(suite, f"fastavro_{codec}", *simple(3000), codec=codec)
    one(suite, "fastavro_many_blocks", *simple(5000), sync_interval=100, copies=("avro",))
    one(suite, "fastavro_no_rows", *simple(0))
    with_uuid(suite)
    null_last(suite)
    evolving(suite)


def with_uuid(suite):
    """UUIDs are texts in Avro, and 16 bytes to those who know better."""
    identifiers = [uuid.UUID(int=i) for i in (1, 2**128 - 1)]
    schema = {"type": "record", "name": "ids", "fields": [field("id", logical("string", "uuid"))]}
    table = pa.table({"id": pa.array([one_.bytes for one_ in identifiers], pa.binary(16))})
    one(suite, "fastavro_uuid", schema, [{"id": one_} for one_ in identifiers], table)


def null_last(suite):
    """NULL may be the second of a union, and fields may have defaults and documentation."""
    fields = [
        {"name": "a", "type": ["long", "null"], "default": 7, "doc": "what it is"},
        {"name": "b", "type": "string", "aliases": ["c"]},
    ]
    records = [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]
    table = pa.table({"a": pa.array([1, None], pa.int64()), "b": ["x", "y"]})
    schema = {"type": "record", "name": "r", "namespace": "org.example", "fields": fields}
    one(suite, "fastavro_null_last", schema, records, table)


def evolving(suite):
    """Columns come, change places and become wider, from file to file."""
    name = "fastavro_evolving"
    place = suite.place(name) / "data"
    place.mkdir()
    versions = [
        ([field("a", "int"), field("b", "string")], [{"a": 1, "b": "x"}]),
        ([field("b", "string"), field("a", "long"), field("c", optional("double"))], [{"a": 2**40, "b": "y", "c": 0.5}]),
    ]
    for i, (fields, records) in enumerate(versions):
        schema = fastavro.parse_schema({"type": "record", "name": "r", "fields": fields})
        with open(place / f"part-{i}.avro", "wb") as out:
            fastavro.writer(out, schema, records)
    expected = pa.table({"a": pa.array([1, 2**40], pa.int64()), "b": ["x", "y"], "c": [None, 0.5]})
    suite.add(name, "avro", "data/", expected)
