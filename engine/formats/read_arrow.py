"""Arrow types as Parquet files have them → kinds and images: one entry a type."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from engine.formats.read_types import INTERVAL
from engine.types import Image, Kind, LogicalType

Convert = Callable[[pa.Array], pa.Array]


@dataclass(frozen=True, slots=True)
class Carried:
    """How a column of an Arrow type travels. convert raises pa.ArrowInvalid for a value that is not carried
    exactly. remark: for the plan."""

    logical: LogicalType
    image: Image
    arrow: pa.DataType
    convert: Convert
    remark: str = ""


def carried(kind: pa.DataType) -> Carried | None:
    """None for a type that no image is exact for."""
    if isinstance(kind, pa.ExtensionType | pa.BaseExtensionType):
        return _extension(kind)
    if pa.types.is_dictionary(kind):
        inner = carried(kind.value_type)
        if inner is None:
            return None
        made = inner.convert
        return Carried(inner.logical, inner.image, inner.arrow, lambda array: made(_decoded(array)))
    if pa.types.is_integer(kind):
        sizes = {8: Kind.INT8, 16: Kind.INT16, 32: Kind.INT32, 64: Kind.INT64}
        unsigned = pa.types.is_unsigned_integer(kind)
        return Carried(LogicalType(sizes[kind.bit_width], unsigned=unsigned), Image.INT, kind, _as_is)
    if pa.types.is_decimal(kind):
        return _decimal(kind)
    if pa.types.is_nested(kind) or pa.types.is_map(kind):
        remark = "nested values travel as JSON: numbers as they print, bytes as base64, maps as key and value"
        return Carried(LogicalType(Kind.JSON_TEXT), Image.JSON, pa.string(), _to_json, remark)
    return _temporal(kind) or _scalar(kind)


def _as_is(array: pa.Array) -> pa.Array:
    return array


def _decoded(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array


def _cast(kind: pa.DataType) -> Convert:
    return lambda array: array.cast(kind)


def _extension(kind: Any) -> Carried | None:
    storage = kind.storage_type
    if kind.extension_name == "arrow.uuid":
        logical = LogicalType(Kind.UUID)
        return Carried(logical, Image.UUID, pa.binary(), lambda array: array.storage.cast(pa.binary()))
    if kind.extension_name == "arrow.json":
        logical = LogicalType(Kind.JSON_TEXT)
        return Carried(logical, Image.JSON, pa.string(), lambda array: array.storage.cast(pa.string()))
    inner = carried(storage)
    if inner is None:
        return None
    made = inner.convert
    return Carried(
        inner.logical, inner.image, inner.arrow, lambda array: made(array.storage), str(kind.extension_name)
    )


def _decimal(kind: Any) -> Carried:
    logical = LogicalType(Kind.DECIMAL, precision=kind.precision, scale=kind.scale)
    if kind.scale < 0:
        # No database declares such a scale; the digits are those of the number itself.
        logical = LogicalType(Kind.DECIMAL, precision=kind.precision - kind.scale, scale=0)
        return Carried(logical, Image.DECIMAL, pa.string(), _decimal_text)
    if kind.bit_width < 128:
        wide = pa.decimal128(kind.precision, kind.scale)
        return Carried(logical, Image.DECIMAL, wide, _cast(wide))
    return Carried(logical, Image.DECIMAL, kind, _as_is)


def _decimal_text(array: pa.Array) -> pa.Array:
    return pa.array([None if value is None else f"{value:f}" for value in array.to_pylist()], pa.string())


def _temporal(kind: Any) -> Carried | None:
    if pa.types.is_date(kind):
        return Carried(LogicalType(Kind.DATE), Image.DATE, pa.date32(), _cast(pa.date32()))
    if pa.types.is_timestamp(kind):
        instant = kind.tz is not None
        wanted = pa.timestamp("us", "UTC" if instant else None)
        logical = LogicalType(Kind.TIMESTAMP if instant else Kind.DATETIME, fraction=_digits(kind.unit))
        image = Image.TIMESTAMPTZ if instant else Image.TIMESTAMP
        return Carried(logical, image, wanted, lambda array: array.cast(wanted, safe=True))
    if pa.types.is_time(kind):
        logical = LogicalType(Kind.TIME_OF_DAY, fraction=_digits(kind.unit))
        return Carried(logical, Image.DURATION, pa.duration("us"), _time)
    if pa.types.is_duration(kind):
        logical = LogicalType(Kind.TIME, fraction=_digits(kind.unit))
        return Carried(logical, Image.DURATION, pa.duration("us"), _cast(pa.duration("us")))
    return None


def _digits(unit: str) -> int:
    return {"s": 0, "ms": 3}.get(unit, 6)


def _time(array: pa.Array) -> pa.Array:
    micro = array.cast(pa.time64("us"), safe=True)
    return micro.view(pa.int64()).cast(pa.duration("us"))


def _scalar(kind: Any) -> Carried | None:
    if pa.types.is_boolean(kind):
        return Carried(LogicalType(Kind.BOOL), Image.BOOL, pa.bool_(), _as_is)
    if pa.types.is_floating(kind):
        double = pa.types.is_float64(kind)
        wanted = pa.float64() if double else pa.float32()
        logical = LogicalType(Kind.FLOAT64 if double else Kind.FLOAT32)
        return Carried(logical, Image.FLOAT, wanted, _cast(wanted))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return Carried(LogicalType(Kind.TEXT), Image.TEXT, pa.string(), _cast(pa.string()))
    if pa.types.is_fixed_size_binary(kind):
        logical = LogicalType(Kind.BINARY, length=kind.byte_width)
        return Carried(logical, Image.BYTES, pa.binary(), _cast(pa.binary()))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return Carried(LogicalType(Kind.BLOB), Image.BYTES, pa.binary(), _cast(pa.binary()))
    if pa.types.is_null(kind):
        remark = "the file gives the column no type: every value is NULL, taken for text"
        return Carried(LogicalType(Kind.TEXT), Image.TEXT, pa.string(), _cast(pa.string()), remark)
    return None


def interval() -> Carried:
    """Parquet's INTERVAL: months, days and milliseconds, each an unsigned 32-bit integer, little-endian."""
    return Carried(LogicalType(Kind.INTERVAL, fraction=3), Image.INTERVAL, INTERVAL, _interval)


def _interval(array: pa.Array) -> pa.Array:
    valid = np.asarray(array.is_valid())
    packed = b"".join(array.fill_null(bytes(12)).to_pylist())
    parts = np.frombuffer(packed, "<u4").reshape(-1, 3)
    if len(parts) and int(parts[:, :2].max()) >= 1 << 31:
        raise pa.ArrowInvalid("an interval of more than 2147483647 months or days")
    fields = [
        pa.array(parts[:, 0].astype("i4")),
        pa.array(parts[:, 1].astype("i4")),
        pa.array(parts[:, 2].astype("i8") * 1000),
    ]
    return pa.StructArray.from_arrays(fields, fields=list(INTERVAL), mask=pa.array(~valid))


# ---------------------------------------------------------------- nested values


class _Exact(float):
    """A decimal for json.dumps, printed with its own digits."""

    def __new__(cls, text: str) -> _Exact:
        made = super().__new__(cls, 0)
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        return self.text


def _to_json(array: pa.Array) -> pa.Array:
    return pa.array([None if not value.is_valid else json_text(value) for value in array], pa.string())


def json_text(value: pa.Scalar) -> str:
    """A nested value as JSON: decimals and integers with all their digits, NaN and infinities, moments and
    UUIDs as strings, bytes as base64, a map as a list of {"key", "value"}."""
    return _dumps(_tree(value))


def _dumps(tree: Any) -> str:
    if isinstance(tree, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {_dumps(v)}" for k, v in tree.items())
            + "}"
        )
    if isinstance(tree, list):
        return "[" + ", ".join(_dumps(item) for item in tree) + "]"
    if isinstance(tree, _Exact):
        return tree.text
    return json.dumps(tree, ensure_ascii=False)


def _tree(value: pa.Scalar) -> Any:
    if not value.is_valid:
        return None
    if isinstance(value, pa.MapScalar):
        entries = value.values
        return [
            {"key": _tree(item["key"]), "value": _tree(item["value"])} for item in _named_entries(entries)
        ]
    if isinstance(value, pa.StructScalar):
        return {name: _tree(value[name]) for name in value}
    if isinstance(value, pa.ListScalar):
        return [_tree(item) for item in value]
    if isinstance(value, pa.DictionaryScalar):
        return _tree(pa.scalar(value.as_py(), value.type.value_type))
    return _leaf(value)


def _named_entries(entries: pa.Array) -> list[dict[str, pa.Scalar]]:
    keys, items = entries.field(0), entries.field(1)
    return [{"key": keys[number], "value": items[number]} for number in range(len(entries))]


def _leaf(value: pa.Scalar) -> Any:
    if pa.types.is_timestamp(value.type) or pa.types.is_time(value.type) or pa.types.is_date(value.type):
        return str(value.cast(pa.string()).as_py())
    if pa.types.is_duration(value.type):
        return int(value.cast(pa.int64()).as_py())
    plain = value.as_py()
    if isinstance(plain, bool | int | str):
        return plain
    if isinstance(plain, float):
        if plain != plain:
            return "NaN"
        return plain if abs(plain) != float("inf") else ("Infinity" if plain > 0 else "-Infinity")
    if isinstance(plain, decimal.Decimal):
        return _Exact(f"{plain:f}")
    if isinstance(plain, bytes):
        return base64.b64encode(plain).decode()
    if isinstance(plain, datetime.date | datetime.time):
        return plain.isoformat()
    return str(plain)
