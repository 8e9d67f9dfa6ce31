"""Images as another system's types give them → the images of the type a column once had."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from engine.formats.read_manifest import INFINITE, with_srid
from engine.formats.read_types import INTERVAL
from engine.types import Image, Kind, LogicalType
from ext.rowerror import RowError

Make = Callable[[pa.Array, LogicalType], pa.Array]
_DAY = 86_400_000_000
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Conversion:
    """make: None where the values already are what they have to be; raises RowError (column 0) for one that
    is not. arrow: of the result, None for that of the values."""

    image: Image
    make: Make | None = None
    arrow: pa.DataType | None = None


def conversion(image: Image, home: LogicalType) -> Conversion | None:
    """From values read as `image` to those of a column that was `home`; None where there is no exact way."""
    if image in _NATURAL.get(home.kind, ()):
        return Conversion(image)
    return _CONVERSIONS.get((image, home.kind))


def _each(array: pa.Array, make: Callable[[Any], Any], arrow: pa.DataType, reason: str) -> pa.Array:
    made = []
    for row, value in enumerate(array.to_pylist()):
        try:
            made.append(None if value is None else make(value))
        except (ValueError, TypeError, KeyError, OSError, OverflowError, struct.error):
            shown = value if isinstance(value, str) else repr(value)
            raise RowError(0, row, reason, shown[:200]) from None
    return pa.array(made, arrow)


def _instant(array: pa.Array, home: LogicalType) -> pa.Array:
    """Moments in UTC; the infinities stay what they are."""
    return array.view(pa.int64()).view(pa.timestamp("us", "UTC"))


def _plain_moment(array: pa.Array, home: LogicalType) -> pa.Array:
    return array.view(pa.int64()).view(pa.timestamp("us"))


def _flag(array: pa.Array, home: LogicalType) -> pa.Array:
    wrong = pc.fill_null(pc.greater(pc.abs_checked(pc.cast(array, pa.int64())), 1), False)
    negative = pc.fill_null(pc.less(array, 0), False) if pa.types.is_signed_integer(array.type) else wrong
    refused = np.flatnonzero(np.asarray(pc.or_(wrong, negative)))
    if refused.size:
        row = int(refused[0])
        raise RowError(0, row, "not-boolean", str(array[row].as_py()))
    return pc.cast(array, pa.bool_())


def _span(array: pa.Array, home: LogicalType) -> pa.Array:
    """Intervals without months, a day being 24 hours."""

    def micros(value: Mapping[str, int]) -> int:
        if value["months"]:
            raise ValueError
        return value["days"] * _DAY + value["microseconds"]

    return _each(array, micros, pa.duration("us"), "no-duration")


_ISO = re.compile(
    r"P(?=.)(?:(?P<y>-?\d+)Y)?(?:(?P<mo>-?\d+)M)?(?:(?P<d>-?\d+)D)?"
    r"(?:T(?=.)(?:(?P<h>-?\d+)H)?(?:(?P<m>-?\d+)M)?(?:(?P<s>-?\d+)(?:\.(?P<f>\d{1,6}))?S)?)?"
)


def iso_interval(text: str) -> dict[str, int]:
    """An ISO 8601 duration, each part with its own sign, as text columns keep intervals, or `Infinity`.
    ValueError for any other text."""
    if text in INFINITE:
        return INFINITE[text]
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no interval")
    parts = ("y", "mo", "d", "h", "m", "s")
    years, months, days, hours, minutes, seconds = (int(match[part] or 0) for part in parts)
    fraction = int((match["f"] or "").ljust(6, "0"))
    negative = (match["s"] or "").startswith("-")
    micros = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + (-fraction if negative else fraction)
    return {"months": years * 12 + months, "days": days, "microseconds": micros}


def _interval(array: pa.Array, home: LogicalType) -> pa.Array:
    return _each(array, iso_interval, INTERVAL, "no-interval")


def _interval_of_span(array: pa.Array, home: LogicalType) -> pa.Array:
    zeros = pa.array(np.zeros(len(array), "i4"))
    parts = [zeros, zeros, array.view(pa.int64())]
    return pa.StructArray.from_arrays(parts, fields=list(INTERVAL), mask=array.is_null())


def _uuid(array: pa.Array, home: LogicalType) -> pa.Array:
    def packed(text: str) -> bytes:
        if not _UUID.fullmatch(text):
            raise ValueError
        return bytes.fromhex(text.replace("-", ""))

    return _each(array, packed, pa.binary(), "no-uuid")


def _sixteen(array: pa.Array, home: LogicalType) -> pa.Array:
    def checked(value: bytes) -> bytes:
        if len(value) != 16:
            raise ValueError
        return value

    return _each(array, checked, pa.binary(), "no-uuid")


def _address(array: pa.Array, home: LogicalType) -> pa.Array:
    """Host addresses; PostgreSQL prints the mask of others."""
    width = 4 if home.kind is Kind.INET4 else 16

    def packed(text: str) -> bytes:
        made = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
        if len(made) == width:
            return made
        if width == 16 and len(made) == 4:
            return bytes(10) + b"\xff\xff" + made
        raise ValueError

    return _each(array, packed, pa.binary(), "no-address")


def _labels(array: pa.Array, home: LogicalType) -> pa.Array:
    """A JSON array of labels → the labels joined, in the order of the type."""
    order = {label: place for place, label in enumerate(home.labels)}

    def joined(text: str) -> str:
        found = orjson.loads(text)
        if not isinstance(found, list) or len(set(found)) < len(found):
            raise ValueError
        return ",".join(sorted(found, key=lambda label: order[label]))

    return _each(array, joined, pa.string(), "unknown-label")


def _joined_labels(array: pa.Array, home: LogicalType) -> pa.Array:
    known = set(home.labels)

    def checked(text: str) -> str:
        if text and not set(text.split(",")) <= known:
            raise ValueError
        return text

    return _each(array, checked, pa.string(), "unknown-label")


def _bits(array: pa.Array, home: LogicalType) -> pa.Array:
    """'0' and '1', the highest bit first."""
    width = home.length or 1

    def packed(text: str) -> bytes:
        if len(text) > width:
            raise ValueError
        return int(text, 2).to_bytes((width + 7) // 8, "big")

    return _each(array, packed, pa.binary(), "no-bits")


def _geometry(array: pa.Array, home: LogicalType) -> pa.Array:
    def unpacked(value: bytes) -> bytes:
        if len(value) < 5:
            raise ValueError
        return with_srid(value)

    return _each(array, unpacked, pa.binary(), "no-geometry")


def _floats(array: pa.Array, home: LogicalType) -> pa.Array:
    def packed(text: str) -> bytes:
        return np.asarray([float(number) for number in orjson.loads(text)], "<f4").tobytes()

    return _each(array, packed, pa.binary(), "no-vector")


_INTEGERS = (Kind.INT8, Kind.INT16, Kind.INT24, Kind.INT32, Kind.INT64)

# What a column of a kind may be read as without any change of its values.
_NATURAL: Mapping[Kind, tuple[Image, ...]] = {
    Kind.BOOL: (Image.BOOL,),
    **dict.fromkeys(_INTEGERS, (Image.INT, Image.DECIMAL)),
    Kind.YEAR: (Image.INT,),
    Kind.FLOAT32: (Image.FLOAT,),
    Kind.FLOAT64: (Image.FLOAT,),
    Kind.DECIMAL: (Image.DECIMAL, Image.INT),
    Kind.BIT: (Image.BITS,),
    Kind.DATE: (Image.DATE,),
    Kind.DATETIME: (Image.TIMESTAMP,),
    Kind.TIMESTAMP: (Image.TIMESTAMPTZ,),
    Kind.TIME: (Image.DURATION,),
    Kind.TIME_OF_DAY: (Image.DURATION,),
    Kind.INTERVAL: (Image.INTERVAL,),
    **dict.fromkeys((Kind.CHAR, Kind.VARCHAR, Kind.TEXT, Kind.ENUM, Kind.OTHER), (Image.TEXT,)),
    **dict.fromkeys((Kind.BINARY, Kind.VARBINARY, Kind.BLOB), (Image.BYTES,)),
    Kind.SET: (Image.SET, Image.SET_TEXT),
    **dict.fromkeys((Kind.JSON, Kind.JSON_TEXT, Kind.ARRAY), (Image.JSON,)),
    Kind.GEOMETRY: (Image.GEOMETRY,),
    Kind.VECTOR: (Image.VECTOR,),
    Kind.UUID: (Image.UUID,),
    Kind.INET4: (Image.INET,),
    Kind.INET6: (Image.INET,),
}
_CONVERSIONS: Mapping[tuple[Image, Kind], Conversion] = {
    (Image.INT, Kind.BOOL): Conversion(Image.BOOL, _flag, pa.bool_()),
    (Image.TEXT, Kind.DECIMAL): Conversion(Image.DECIMAL),
    (Image.TIMESTAMP, Kind.TIMESTAMP): Conversion(Image.TIMESTAMPTZ, _instant, pa.timestamp("us", "UTC")),
    (Image.TIMESTAMPTZ, Kind.DATETIME): Conversion(Image.TIMESTAMP, _plain_moment, pa.timestamp("us")),
    (Image.INTERVAL, Kind.TIME): Conversion(Image.DURATION, _span, pa.duration("us")),
    (Image.INTERVAL, Kind.TIME_OF_DAY): Conversion(Image.DURATION, _span, pa.duration("us")),
    (Image.TEXT, Kind.INTERVAL): Conversion(Image.INTERVAL, _interval, INTERVAL),
    (Image.DURATION, Kind.INTERVAL): Conversion(Image.INTERVAL, _interval_of_span, INTERVAL),
    (Image.TEXT, Kind.UUID): Conversion(Image.UUID, _uuid, pa.binary()),
    (Image.BYTES, Kind.UUID): Conversion(Image.UUID, _sixteen, pa.binary()),
    (Image.TEXT, Kind.INET4): Conversion(Image.INET, _address, pa.binary()),
    (Image.TEXT, Kind.INET6): Conversion(Image.INET, _address, pa.binary()),
    (Image.JSON, Kind.SET): Conversion(Image.SET_TEXT, _labels, pa.string()),
    (Image.TEXT, Kind.SET): Conversion(Image.SET_TEXT, _joined_labels, pa.string()),
    **{(Image.TEXT, kind): Conversion(Image.JSON) for kind in (Kind.JSON, Kind.JSON_TEXT, Kind.ARRAY)},
    (Image.TEXT, Kind.BIT): Conversion(Image.BITS, _bits, pa.binary()),
    (Image.BYTES, Kind.GEOMETRY): Conversion(Image.GEOMETRY, _geometry, pa.binary()),
    (Image.BYTES, Kind.VECTOR): Conversion(Image.VECTOR),
    (Image.JSON, Kind.VECTOR): Conversion(Image.VECTOR, _floats, pa.binary()),
}
