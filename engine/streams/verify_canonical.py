"""Values of any two images of one column, as Arrow arrays that are equal exactly when the values are.

The pair of images decides what is compared (`common`); then each side's arrays are brought into that form.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config import Policies
from engine.connectors.base import ReadColumn
from engine.errors import Code, EngineError
from engine.streams.verify_values import ewkb_geometry, json_value, mysql_geometry
from engine.types import Image, Kind

_DAY = 86_400_000_000  # microseconds
_LEAST, _MOST = -(2**63), 2**63 - 1
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Common(StrEnum):
    """What two columns are compared as."""

    NUMBER = "number"
    FLOAT = "float"
    FLOAT32 = "float32"
    MOMENT = "moment"
    MOMENT_TEXT = "moment_text"
    SPAN = "span"
    INTERVAL = "interval"
    TEXT = "text"
    BYTES = "bytes"
    JSON = "json"
    LABELS = "labels"
    UUID = "uuid"
    INET = "inet"
    BITS = "bits"
    GEOMETRY = "geometry"
    VECTOR = "vector"


_NUMBERS = frozenset({Image.INT, Image.BOOL, Image.DECIMAL})
_MOMENTS = frozenset({Image.DATE, Image.TIMESTAMP, Image.TIMESTAMPTZ})
_TEXTS = frozenset({Image.TEXT, Image.JSON, Image.SET_TEXT})
_SETS = frozenset({Image.SET, Image.SET_TEXT})

# Asked in order; the first whose two sets hold the two images, either way round.
_RULES: tuple[tuple[Common, frozenset[Image], frozenset[Image]], ...] = (
    (Common.NUMBER, _NUMBERS, _NUMBERS | {Image.TEXT, Image.BITS}),
    (Common.FLOAT, frozenset({Image.FLOAT}), _NUMBERS | {Image.FLOAT, Image.TEXT}),
    (Common.MOMENT, _MOMENTS, _MOMENTS),
    (Common.MOMENT_TEXT, _MOMENTS, frozenset({Image.TEXT})),
    (Common.SPAN, frozenset({Image.DURATION}), frozenset({Image.DURATION, Image.INTERVAL, Image.TEXT})),
    (Common.INTERVAL, frozenset({Image.INTERVAL}), frozenset({Image.INTERVAL, Image.TEXT, Image.JSON})),
    (Common.LABELS, _SETS, _SETS | _TEXTS),
    (Common.BITS, frozenset({Image.BITS}), frozenset({Image.BITS, Image.TEXT, Image.BYTES})),
    (Common.UUID, frozenset({Image.UUID}), frozenset({Image.UUID, Image.TEXT, Image.BYTES})),
    (Common.INET, frozenset({Image.INET}), frozenset({Image.INET, Image.TEXT, Image.BYTES})),
    (Common.GEOMETRY, frozenset({Image.GEOMETRY}), frozenset({Image.GEOMETRY, Image.BYTES})),
    (Common.BYTES, frozenset({Image.VECTOR}), frozenset({Image.BYTES})),
    (Common.VECTOR, frozenset({Image.VECTOR}), frozenset({Image.VECTOR, Image.JSON, Image.TEXT})),
    (Common.JSON, frozenset({Image.JSON}), _TEXTS),
    (Common.TEXT, frozenset({Image.TEXT}), frozenset({Image.TEXT})),
    (Common.BYTES, frozenset({Image.BYTES}), frozenset({Image.BYTES, Image.TEXT})),
)


@dataclass(frozen=True, slots=True)
class Form:
    """How one column of both sides becomes comparable. `zeros`: -0 and 0 are one value on one of the ends."""

    common: Common
    policies: Policies
    zeros: bool


def form(source: ReadColumn, target: ReadColumn, policies: Policies, *, zeros: bool) -> Form:
    """STRUCTURE_MISMATCH when nothing is known in which the two could be compared."""
    common = _common(source, target)
    if common is None:
        raise EngineError(
            Code.STRUCTURE_MISMATCH,
            f"{source.name} ({source.source.native_type}) cannot be compared with"
            f" {target.name} ({target.source.native_type})",
            column=source.name,
        )
    if common is Common.FLOAT and pa.types.is_float32(source.arrow) != pa.types.is_float32(target.arrow):
        # The narrower side holds what single precision holds.
        both = source.image is Image.FLOAT and target.image is Image.FLOAT
        common = Common.FLOAT32 if not both else common
    return Form(common, policies, zeros)


def _common(source: ReadColumn, target: ReadColumn) -> Common | None:
    if source.image is target.image is Image.JSON and Kind.JSON_TEXT is source.source.type.kind is (
        target.source.type.kind
    ):
        return Common.TEXT  # both keep the text as it was written
    for common, one, other in _RULES:
        for a, b in ((source.image, target.image), (target.image, source.image)):
            if a in one and b in other:
                return common
    return None


def canonical(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    """One side's values in the common form; NULL stays NULL."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    array = _by_policy(array, column, wanted)
    return _WAYS[wanted.common](array, column, wanted)


def _by_policy(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    """What an opt-in policy makes NULL on the way is NULL on both sides."""
    policies = wanted.policies
    if policies.nan == "null" and column.image is Image.FLOAT:
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    if policies.infinity == "null" and column.image is Image.FLOAT:
        array = pc.if_else(pc.is_inf(array), pa.scalar(None, array.type), array)
    if column.image is Image.DECIMAL and pa.types.is_string(array.type):
        if policies.nan == "null":
            array = pc.if_else(pc.equal(array, "NaN"), pa.scalar(None, array.type), array)
        if policies.infinity == "null":
            array = pc.if_else(pc.is_in(array, pa.array(["Infinity", "-Infinity"])), None, array)
    if policies.infinity == "null" and column.image in _MOMENTS:
        numbers = array.cast(_integer_of(array.type))
        ends = pa.array(_ends(array.type), numbers.type)
        array = pc.if_else(pc.is_in(numbers, ends), pa.scalar(None, array.type), array)
    if column.image is Image.TEXT and policies.nul_byte in ("strip", "replace"):
        array = pc.replace_substring(_text(array), "\0", "" if policies.nul_byte == "strip" else "\ufffd")
    return array


def _integer_of(kind: pa.DataType) -> pa.DataType:
    return pa.int32() if pa.types.is_date32(kind) else pa.int64()


def _ends(kind: pa.DataType) -> list[int]:
    return [-(2**31), 2**31 - 1] if pa.types.is_date32(kind) else [_LEAST, _MOST]


# ---------------------------------------------------------------- numbers


def _number(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    if column.image is Image.BITS:
        return _each(array, lambda value: str(int.from_bytes(value, "big")))
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if pa.types.is_decimal(array.type):
        array = _each(array, lambda value: format(value, "f"))
    text = _text(array)
    if column.image in (Image.DECIMAL, Image.TEXT):
        text = pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1")
        text = pc.replace_substring_regex(text, r"\.$", "")
        text = pc.replace_substring_regex(text, r"^-0$", "0")
    return text


def _float(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    values = _doubles(array)
    if wanted.common is Common.FLOAT32:
        values = values.cast(pa.float32(), safe=False).cast(pa.float64())
    plain = values.fill_null(0.0).to_numpy(zero_copy_only=False)
    if wanted.zeros:
        plain = plain + 0.0
    bits = np.where(np.isnan(plain), np.float64("nan"), plain).view(np.int64)
    return _masked(bits, values)


def _doubles(array: pa.Array) -> pa.Array:
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if pa.types.is_decimal(array.type):
        return pa.array([None if v is None else float(v) for v in array.to_pylist()], pa.float64())
    if pa.types.is_integer(array.type):
        return array.cast(pa.float64(), safe=False)
    return array.cast(pa.float64())


# ---------------------------------------------------------------- times


def _moment(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    if not pa.types.is_date32(array.type):
        return array.cast(pa.int64())
    days = array.cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    micros = np.where(days == -(2**31), _LEAST, np.where(days == 2**31 - 1, _MOST, days * _DAY))
    return _masked(micros, array)


def _moment_text(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    if column.image is Image.TEXT:
        text = pc.replace_substring(_text(array), "T", " ")
        text = pc.replace_substring_regex(text, r"(\+00(:?00)?|Z)$", "")
        text = pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1")
        text = pc.replace_substring_regex(text, r"\.$", "")
        return pc.replace_substring_regex(text, r" 00:00:00$", "")
    return _each(_moment(array, column, wanted), _iso)


def _iso(micros: int) -> str:
    if micros in (_LEAST, _MOST):
        return "infinity" if micros == _MOST else "-infinity"
    try:
        moment = _EPOCH + dt.timedelta(microseconds=micros)
    except OverflowError:
        return f"{micros} us"
    text = moment.replace(tzinfo=None).isoformat(sep=" ")
    text = text.rstrip("0") if "." in text else text
    return text.removesuffix(" 00:00:00")


def _span(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    if column.image is Image.DURATION:
        return array.cast(pa.int64())
    if column.image is Image.TEXT:
        return _typed(array, _micros_of, pa.int64())
    return _typed(
        array,
        lambda value: value["microseconds"] + value["days"] * _DAY + value["months"] * 30 * _DAY,
        pa.int64(),
    )


def _micros_of(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    hours, minutes, seconds = text.lstrip("-").split(":")
    return sign * int((int(hours) * 3600 + int(minutes) * 60 + Decimal(seconds)) * 1_000_000)


def _interval(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    if column.image is Image.INTERVAL:
        return _each(array, lambda v: f"{v['months']} {v['days']} {v['microseconds']}")
    if column.image is Image.JSON:
        return _each(array, lambda text: _interval_parts(json.loads(text)))
    return _each(array, _iso_interval)


def _interval_parts(value: dict[str, int]) -> str:
    return f"{value['months']} {value['days']} {value['microseconds']}"


def _iso_interval(text: str) -> str:
    """PnYnMnDTnHnMnS, each number with a sign of its own, as months, days and microseconds."""
    months = days = 0
    micros = Decimal(0)
    number, time = "", False
    for mark in text.removeprefix("P"):
        if mark == "T":
            time = True
        elif mark in "YMDHSW":
            value = Decimal(number)
            number = ""
            if mark == "Y":
                months += int(value) * 12
            elif mark == "M" and not time:
                months += int(value)
            elif mark == "W":
                days += int(value) * 7
            elif mark == "D":
                days += int(value)
            else:
                micros += value * {"H": 3_600_000_000, "M": 60_000_000, "S": 1_000_000}[mark]
        else:
            number += mark
    return f"{months} {days} {int(micros)}"


# ---------------------------------------------------------------- texts and bytes


def _plain_text(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    return _text(array)


def _bytes(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    return array.cast(pa.large_binary())


def _json(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    return _typed(array, json_value, pa.large_binary())


def _labels(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    labels = column.source.type.labels
    if column.image is Image.SET:
        return _each(array, lambda mask: ",".join(n for i, n in enumerate(labels) if mask >> i & 1))
    if column.image is Image.JSON:
        return _each(array, lambda text: ",".join(json.loads(text)))
    return _text(array)


def _bits(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    if column.image is Image.TEXT:
        return _text(array)
    width = column.source.type.length or 1
    return _each(array, lambda value: format(int.from_bytes(value, "big"), f"0{width}b"))


def _uuid(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    if column.image is Image.TEXT:
        return pc.utf8_lower(pc.replace_substring(_text(array), "-", ""))
    return _each(array, lambda value: value.hex())


def _inet(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    if column.image is Image.TEXT:
        return _each(array, lambda text: str(ipaddress.ip_interface(text).ip))
    return _each(array, lambda value: str(ipaddress.ip_address(value)))


def _geometry(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    way = mysql_geometry if column.image is Image.GEOMETRY else ewkb_geometry
    return _typed(array, way, pa.large_binary())


def _vector(array: pa.Array, column: ReadColumn, wanted: Form) -> pa.Array:
    if column.image is Image.VECTOR:
        return array.cast(pa.large_binary())

    def packed(text: str) -> bytes:
        numbers = json.loads(text)
        return struct.pack(f"<{len(numbers)}f", *numbers)

    return _typed(array, packed, pa.large_binary())


_WAYS: dict[Common, Callable[[pa.Array, ReadColumn, Form], pa.Array]] = {
    Common.NUMBER: _number,
    Common.FLOAT: _float,
    Common.FLOAT32: _float,
    Common.MOMENT: _moment,
    Common.MOMENT_TEXT: _moment_text,
    Common.SPAN: _span,
    Common.INTERVAL: _interval,
    Common.TEXT: _plain_text,
    Common.BYTES: _bytes,
    Common.JSON: _json,
    Common.LABELS: _labels,
    Common.UUID: _uuid,
    Common.INET: _inet,
    Common.BITS: _bits,
    Common.GEOMETRY: _geometry,
    Common.VECTOR: _vector,
}


def _text(array: pa.Array) -> pa.Array:
    return array if pa.types.is_large_string(array.type) else array.cast(pa.large_string())


def _each(array: pa.Array, way: Callable[[Any], str]) -> pa.Array:
    return _typed(array, way, pa.large_string())


def _typed(array: pa.Array, way: Callable[[Any], Any], kind: pa.DataType) -> pa.Array:
    return pa.array([None if value is None else way(value) for value in array.to_pylist()], kind)


def _masked(values: Any, like: pa.Array) -> pa.Array:
    """int64 values with the NULLs of another array."""
    return pa.array(values, pa.int64(), mask=like.is_null().to_numpy(zero_copy_only=False))
