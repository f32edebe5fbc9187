"""The normal form of rows: what is compared, whoever read them and into whichever types.

A row is an object of JSON on one line; rows are sorted as texts. What values become:

    numbers               "#1.25", whatever their type: integers, decimals and floats alike
    text                  itself
    binary                "0x00ff", of fixed size or not
    dates, times          "2024-02-29", "12:34:56.789"
    timestamps            "2024-02-29T12:34:56.789", those with a zone as moments: "2024-02-29T10:34:56.789Z"
    lists, structs        arrays, objects
    maps                  arrays of {"key": …, "value": …} in the order of the map

Formats of text do not tell numbers, dates and texts apart, and readers guess. Their rows are compared `loose`: texts that
are numbers or timestamps become them first, midnight is its date, NULL is an empty text, maps with keys that are texts are
objects.
"""

import datetime
import decimal
import hashlib
import json
import re

import pyarrow as pa
import pyarrow.types as kinds

NANOS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
EPOCH = datetime.date(1970, 1, 1)
# Rows beyond which checksums stand for them.
FEW = 200

TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:?(?:00)?)?")
TIME = re.compile(r"(\d\d:\d\d:\d\d)(\.\d+)?")
NUMBER = re.compile(r"[+-]?(\d{1,80}\.?\d{0,80}|\.\d{1,80})([eE][+-]?\d{1,3})?")


def number(value):
    if isinstance(value, float):
        if value != value:
            return "#NaN"
        if value in (float("inf"), float("-inf")):
            return "#Infinity" if value > 0 else "#-Infinity"
        value = decimal.Decimal(repr(value))
    value = decimal.Decimal(value)
    if value == 0:
        return "#0"
    text = format(value, "f")
    return "#" + (text.rstrip("0").rstrip(".") if "." in text else text)


def fraction(nanos):
    return f".{nanos:09d}".rstrip("0").rstrip(".") if nanos else ""


def clock(nanos):
    seconds, rest = divmod(nanos, 10**9)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction(rest)}"


def day(days):
    return (EPOCH + datetime.timedelta(days=days)).isoformat()


def integers(array, width):
    return array.view(pa.int64() if width == 64 else pa.int32()).to_pylist()


def scalars(array, one):
    return [None if value is None else one(value) for value in array.to_pylist()]


def mapped(values, one):
    return [None if value is None else one(value) for value in values]


def values(array):
    """The normal forms of the values of an array."""
    type_ = array.type
    if isinstance(type_, pa.BaseExtensionType):
        return values(array.storage)
    if kinds.is_dictionary(type_):
        words = values(array.dictionary)
        return mapped(array.indices.to_pylist(), lambda index: words[index])
    if kinds.is_struct(type_):
        columns = [(field.name, values(array.field(i))) for i, field in enumerate(type_)]
        valid = array.is_valid().to_pylist()
        return [{name: c[i] for name, c in columns} if valid[i] else None for i in range(len(array))]
    if kinds.is_map(type_):
        keys, items = values(array.keys), values(array.items)
        pairs = [{"key": k, "value": v} for k, v in zip(keys, items)]
        return sliced(array, pairs)
    if kinds.is_fixed_size_list(type_):
        inner, size = values(array.values.slice(array.offset * type_.list_size)), type_.list_size
        valid = array.is_valid().to_pylist()
        return [inner[i * size : (i + 1) * size] if valid[i] else None for i in range(len(array))]
    if kinds.is_list(type_) or kinds.is_large_list(type_):
        return sliced(array, values(array.values))
    return plain(array, type_)


def sliced(array, inner):
    offsets, valid = array.offsets.to_pylist(), array.is_valid().to_pylist()
    return [inner[offsets[i] : offsets[i + 1]] if valid[i] else None for i in range(len(array))]


def plain(array, type_):
    if kinds.is_null(type_):
        return [None] * len(array)
    if kinds.is_boolean(type_):
        return array.to_pylist()
    if kinds.is_integer(type_) or kinds.is_floating(type_) or kinds.is_decimal(type_):
        return scalars(array, number)
    if kinds.is_date32(type_):
        return mapped(integers(array, 32), day)
    if kinds.is_date64(type_):
        return mapped(integers(array, 64), lambda millis: day(millis // 86_400_000))
    if kinds.is_time(type_):
        scale = NANOS[type_.unit]
        return mapped(integers(array, type_.bit_width), lambda value: clock(value * scale))
    if kinds.is_timestamp(type_):
        scale, zone = NANOS[type_.unit], "Z" if type_.tz else ""

        def moment(value):
            days, nanos = divmod(value * scale, 86_400 * 10**9)
            return f"{day(days)}T{clock(nanos)}{zone}"

        return mapped(integers(array, 64), moment)
    if kinds.is_duration(type_):
        scale = NANOS[type_.unit]
        return mapped(integers(array, 64), lambda value: f"{value * scale} ns")
    if kinds.is_binary(type_) or kinds.is_large_binary(type_) or kinds.is_fixed_size_binary(type_) or kinds.is_binary_view(type_):
        return scalars(array, lambda value: "0x" + value.hex())
    if kinds.is_string(type_) or kinds.is_large_string(type_) or kinds.is_string_view(type_):
        return array.to_pylist()
    raise TypeError(f"there is no normal form for {type_}")


def loosened(value):
    """What a value is when texts, numbers and times cannot be told apart."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        if value and all(isinstance(one, dict) and set(one) == {"key", "value"} for one in value):
            # A map is an object in JSON.
            return {one["key"]: loosened(one["value"]) for one in value}
        return [loosened(one) for one in value]
    if isinstance(value, dict):
        return {name: loosened(one) for name, one in value.items()}
    if match := TIMESTAMP.fullmatch(value):
        date, time, part, zone = match.groups()
        if time == "00:00:00" and not (part or "").strip(".0") and not zone:
            return date
        return f"{date}T{time}{(part or '').rstrip('0').rstrip('.')}{'Z' if zone else ''}"
    if match := TIME.fullmatch(value):
        return match[1] + (match[2] or "").rstrip("0").rstrip(".")
    if NUMBER.fullmatch(value):
        return number(decimal.Decimal(value))
    return value


def columns(table, loose=False):
    """The normal forms of each column, by name."""
    table = table.combine_chunks()
    found = {}
    for name, column in zip(table.column_names, table.columns):
        if name in found:
            raise ValueError(f"two columns are named {name}")
        found[name] = [value for chunk in column.chunks for value in values(chunk)]
        if loose:
            found[name] = [loosened(value) for value in found[name]]
    return found


def text(value):
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def checksum(texts):
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()


def rows(columns_):
    names = list(columns_)
    return sorted(text(dict(zip(names, row))) for row in zip(*columns_.values()))


def content(columns_, count):
    """What a manifest says of the content: the rows, or checksums when they are many, of both forms."""
    if count <= FEW and len(columns_) <= FEW:
        return {"content": rows(columns_)}
    loose = {name: [loosened(value) for value in column] for name, column in columns_.items()}
    return {"strict": checksums(columns_), "loose": checksums(loose)}


def checksums(columns_):
    return {
        "columns": {name: checksum(map(text, column)) for name, column in columns_.items()},
        "rows": checksum(rows(columns_)),
    }


def difference(expected, columns_, loose=False):
    """The first thing that differs from what a manifest says; None if nothing does."""
    names = expected["columns"]
    if sorted(columns_) != sorted(names):
        missing, new = sorted(set(names) - set(columns_)), sorted(set(columns_) - set(names))
        return f"columns: missing {missing[:5]}, not expected {new[:5]}"
    counts = {len(column) for column in columns_.values()}
    if counts != {expected["rows"]}:
        return f"rows: {sorted(counts)}, expected {expected['rows']}"
    ordered = {name: columns_[name] for name in names}
    if "content" in expected:
        wanted_rows = [json.loads(row) for row in expected["content"]]
        if loose:
            wanted_rows = [loosened(row) for row in wanted_rows]
        wanted_texts = sorted(map(text, wanted_rows))
        for got, wanted in zip(rows(ordered), wanted_texts):
            if got != wanted:
                return first_difference(json.loads(got), json.loads(wanted))
        return None
    wanted = expected["loose" if loose else "strict"]
    for name, sum_ in wanted["columns"].items():
        if checksum(map(text, ordered[name])) != sum_:
            return f"column {name}: its values differ; the first are {text(ordered[name][:3])}"
    if checksum(rows(ordered)) != wanted["rows"]:
        return "every column holds its values, and the rows are other combinations of them"
    return None


def first_difference(got, wanted):
    for name in wanted:
        if got[name] != wanted[name]:
            return f"column {name}: {text(got[name])}, expected {text(wanted[name])}"
    return "rows differ"


def kind(type_):
    """What a type is, without what readers are free to choose: widths, units, views, dictionaries."""
    if isinstance(type_, pa.BaseExtensionType):
        return kind(type_.storage_type)
    if kinds.is_dictionary(type_):
        return kind(type_.value_type)
    if kinds.is_struct(type_):
        return "struct<" + ", ".join(f"{field.name}: {kind(field.type)}" for field in type_) + ">"
    if kinds.is_map(type_):
        return f"map<{kind(type_.key_type)}, {kind(type_.item_type)}>"
    if kinds.is_list(type_) or kinds.is_large_list(type_) or kinds.is_fixed_size_list(type_):
        return f"list<{kind(type_.value_type)}>"
    if kinds.is_decimal(type_):
        return f"decimal({type_.precision}, {type_.scale})"
    if kinds.is_timestamp(type_):
        return "moment" if type_.tz else "timestamp"
    for name, test in [
        ("null", kinds.is_null),
        ("boolean", kinds.is_boolean),
        ("integer", kinds.is_integer),
        ("float", kinds.is_floating),
        ("date", kinds.is_date),
        ("time", kinds.is_time),
        ("duration", kinds.is_duration),
    ]:
        if test(type_):
            return name
    text_ = kinds.is_string(type_) or kinds.is_large_string(type_) or kinds.is_string_view(type_)
    return "text" if text_ else "binary"
