"""Tables with everything that makes formats go wrong, as Arrow."""

import datetime
import decimal
import uuid

import numpy as np
import pyarrow as pa

D = decimal.Decimal
UTC = datetime.timezone.utc
UUIDS = [uuid.UUID(int=i * 0x0123456789ABCDEF0123456789ABCDEF % 2**128) for i in range(1, 4)]


def with_null(values, type_=None):
    """Three values and a NULL between."""
    return pa.array([values[0], None, *values[1:]], type_)


def moments(unit, zone=None):
    """Before 1970, at its start and after it, with all the digits that the unit has."""
    digits = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    nanos = [-86_399_123_456_789, 0, 1_709_210_096_123_456_789]
    return with_null([value // digits for value in nanos], pa.timestamp(unit, zone))


def times(unit):
    digits = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    nanos = [0, 86_399_999_999_999, 45_296_000_000_001]
    type_ = pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    return with_null([value // digits for value in nanos], type_)


def numbers():
    """Integers of every width at their ends, floats, decimals, booleans."""
    columns = {"boolean": with_null([True, False, True], pa.bool_())}
    for bits in (8, 16, 32, 64):
        columns[f"int{bits}"] = with_null([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 7], getattr(pa, f"int{bits}")())
        columns[f"uint{bits}"] = with_null([0, 2**bits - 1, 7], getattr(pa, f"uint{bits}")())
    columns["float16"] = pa.array([np.float16(1.5), None, np.float16(-0.25), np.float16(65504)], pa.float16())
    columns["float32"] = with_null([1.5, -0.1, float("inf")], pa.float32())
    columns["float64"] = with_null([0.1, -1e300, float("nan")], pa.float64())
    columns["decimal_9_2"] = with_null([D("1234567.89"), D("-0.01"), D("0")], pa.decimal128(9, 2))
    columns["decimal_38_10"] = with_null(
        [D("9999999999999999999999999999.9999999999"), D("-1.5"), D("0.0000000001")], pa.decimal128(38, 10)
    )
    columns["decimal_76_20"] = with_null([D("9" * 56 + "." + "9" * 20), D("-1.5"), D("0")], pa.decimal256(76, 20))
    return pa.table(columns)


def texts():
    """Texts and bytes, and dictionaries of them."""
    words = ["", "plain", 'quotes " and \' , ; \\ \n lines\ttabs é 😀 \u0000?']
    columns = {
        "text": with_null(words, pa.string()),
        "large_text": with_null(words, pa.large_string()),
        "binary": with_null([b"", b"\x00\xff", b"bytes"], pa.binary()),
        "large_binary": with_null([b"", b"\x00\xff", b"bytes"], pa.large_binary()),
        "fixed_binary": with_null([b"\x00\x00\x00", b"abc", b"\xff\xfe\xfd"], pa.binary(3)),
        "uuid": with_null([one.bytes for one in UUIDS], pa.uuid()),
        "dictionary": with_null(["red", "green", "red"]).dictionary_encode(),
        "dictionary_int8": with_null(["x", "y", "x"]).cast(pa.dictionary(pa.int8(), pa.string())),
    }
    return pa.table(columns)


def dates():
    """Dates, times of day and timestamps of every unit, with and without a zone."""
    some = [datetime.date(1582, 10, 15), datetime.date(1970, 1, 1), datetime.date(9999, 12, 31)]
    columns = {"date32": with_null(some, pa.date32()), "date64": with_null(some, pa.date64())}
    for unit in ("s", "ms", "us", "ns"):
        columns[f"time_{unit}"] = times(unit)
        columns[f"timestamp_{unit}"] = moments(unit)
        columns[f"utc_{unit}"] = moments(unit, "UTC")
    columns["berlin"] = moments("us", "Europe/Berlin")
    return pa.table(columns)


def offset():
    """A zone without a name."""
    return pa.table({"offset": moments("ns", "+05:30")})


def nested():
    """Lists, structs and maps in each other, empty ones and missing ones."""
    point = pa.struct([("x", pa.int32()), ("y", pa.float64()), ("name", pa.string())])
    points = [{"x": 1, "y": 0.5, "name": "a"}, {"x": None, "y": None, "name": None}, {"x": -1, "y": 2.0, "name": "é"}]
    columns = {
        "id": pa.array([1, 2, 3, 4], pa.int64()),
        "list": pa.array([[1, None, 3], [], None, [4]], pa.list_(pa.int64())),
        "large_list": pa.array([["a"], None, [], [None, "b"]], pa.large_list(pa.string())),
        "fixed_list": pa.array([[1.0, 2.0], None, [3.0, None], [4.0, 5.0]], pa.list_(pa.float64(), 2)),
        "struct": pa.array([points[0], None, points[1], points[2]], point),
        "list_of_struct": pa.array([points, [], None, [None, points[2]]], pa.list_(point)),
        "struct_of_list": pa.array(
            [{"v": [1, 2], "s": points[0]}, {"v": None, "s": None}, None, {"v": [], "s": points[2]}],
            pa.struct([("v", pa.list_(pa.int16())), ("s", point)]),
        ),
        "map": pa.array([[("a", 1), ("b", None)], [], None, [("c", 3)]], pa.map_(pa.string(), pa.int64())),
        "map_of_struct": pa.array(
            [[(1, points[0])], None, [], [(2, None), (3, points[1])]], pa.map_(pa.int32(), point)
        ),
        "list_of_list": pa.array([[[1], []], [], None, [None, [2, 3]]], pa.list_(pa.list_(pa.int32()))),
        "list_of_decimal": pa.array([[D("1.10")], None, [], [None, D("-2.25")]], pa.list_(pa.decimal128(9, 2))),
    }
    return pa.table(columns)


def side_by_side(*tables):
    columns = [(name, column) for table in tables for name, column in zip(table.column_names, table.columns)]
    return pa.table([column for _, column in columns], names=[name for name, _ in columns])


def simple(start=0, rows=10):
    """What formats of text hold too: no binary, nothing nested, values that survive being guessed at."""
    ids = list(range(start, start + rows))
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "word": pa.array([None if i % 7 == 3 else f"word {i}, with \"quotes\" é" for i in ids], pa.string()),
            "price": pa.array([D(i * 100 + 25) / 100 for i in ids], pa.decimal128(9, 2)),
            "ratio": pa.array([None if i % 5 == 4 else i / 8 for i in ids], pa.float64()),
            "flag": pa.array([i % 3 == 0 for i in ids], pa.bool_()),
            "day": pa.array([datetime.date(2024, 2, 29) + datetime.timedelta(days=i) for i in ids], pa.date32()),
            "at": pa.array([datetime.datetime(2024, 2, 29, 12, 34, 56, 789000) + datetime.timedelta(hours=i) for i in ids]),
        }
    )


def many(rows):
    """Enough rows for pages and row groups, of values that compress in different ways."""
    random = np.random.default_rng(7)
    ids = np.arange(rows, dtype=np.int64)
    mask = random.random(rows) < 0.1
    return pa.table(
        {
            "id": pa.array(ids),
            "small": pa.array(random.integers(-100, 100, rows, dtype=np.int32), mask=mask),
            "wide": pa.array(random.integers(-(2**62), 2**62, rows)),
            "half": pa.array(random.integers(0, 1000, rows) / 8, mask=random.random(rows) < 0.5),
            "single": pa.array((random.integers(0, 1000, rows) / 4).astype(np.float32)),
            "flag": pa.array(random.random(rows) < 0.5),
            "sorted": pa.array([f"key-{i // 3:08d}" for i in range(rows)]),
            "word": pa.array([f"w{i}" for i in random.integers(0, 50, rows)], mask=mask),
            "bytes": pa.array([int(i).to_bytes(4, "big") for i in random.integers(0, 2**31, rows)], pa.binary(4)),
            "at": pa.array(ids * 1_000_003, pa.timestamp("us", "UTC")),
            "list": pa.array([[int(i)] * int(i % 4) for i in ids], pa.list_(pa.int64())),
        }
    )
