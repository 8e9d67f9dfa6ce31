"""Which encoder of `ext.pgcopy` carries an image into a column: the right half of every codec, in a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from engine.config import Policies
from engine.connectors.base import ReadColumn, TargetColumn
from engine.errors import Code, EngineError
from engine.types import Image
from ext.pgcopy import EncoderSpec

Options = Callable[[ReadColumn, TargetColumn, Policies], Mapping[str, Any]]

_TYPMOD = re.compile(r"\((\d+)(?:,\s*(-?\d+))?\)")


def _nothing(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    return {}


def _text(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    return {"nul": policies.nul_byte, "invalid": policies.invalid_text}


def _labels(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    return {"labels": column.source.type.labels}


def _scale(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    """numeric(p,s) rounds what it receives: more fraction digits than s are refused before."""
    match = _TYPMOD.search(target.type)
    return {"scale": int(match[2] or 0)} if match else {}


def _fraction(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    """timestamp(n), time(n) and interval(n) round likewise."""
    match = _TYPMOD.search(target.type)
    return {"unit": 10 ** (6 - int(match[1]))} if match and int(match[1]) < 6 else {}


def _bits(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    """bit(n) takes exactly n bits, varbit as many as the source column has."""
    match = _TYPMOD.search(target.type)
    if target.base == "bit":
        return {"width": int(match[1]) if match else 1}
    return {"width": column.source.type.length or 1}


_TEXTS = ("text", "varchar", "bpchar", "citext", "name", "xml", "enum")
_INTEGERS = {"int2": "int2", "int4": "int4", "int8": "int8", "bool": "bool"}

# (image, base of the target type) → encoder, its options
_ENCODERS: dict[tuple[Image, str], tuple[str, Options]] = {
    **{(Image.INT, base): (encoder, _nothing) for base, encoder in _INTEGERS.items()},
    (Image.INT, "numeric"): ("numeric_int", _nothing),
    **{(Image.INT, base): ("text", _nothing) for base in ("text", "varchar")},
    **{(Image.BOOL, base): (encoder, _nothing) for base, encoder in _INTEGERS.items()},
    (Image.FLOAT, "float8"): ("float8", _nothing),
    (Image.FLOAT, "float4"): ("float4", _nothing),
    (Image.DECIMAL, "numeric"): ("numeric", _scale),
    **{(Image.DECIMAL, base): ("text", _nothing) for base in ("text", "varchar")},
    **{(Image.TEXT, base): ("text", _text) for base in _TEXTS},
    (Image.TEXT, "bytea"): ("bytea", _nothing),
    (Image.BYTES, "bytea"): ("bytea", _nothing),
    (Image.BYTES, "uuid"): ("uuid", _nothing),
    (Image.BITS, "bit"): ("bit", _bits),
    (Image.BITS, "varbit"): ("bit", _bits),
    (Image.DATE, "date"): ("date", _nothing),
    (Image.TIMESTAMP, "timestamp"): ("timestamp", _fraction),
    (Image.TIMESTAMPTZ, "timestamptz"): ("timestamp", _fraction),
    (Image.DURATION, "interval"): ("interval", _fraction),
    (Image.DURATION, "time"): ("time", _fraction),
    (Image.JSON, "json"): ("json", _text),
    (Image.JSON, "jsonb"): ("jsonb", _nothing),
    **{(Image.JSON, base): ("text", _text) for base in ("text", "varchar", "citext")},
    (Image.UUID, "uuid"): ("uuid", _nothing),
    (Image.UUID, "bytea"): ("bytea", _nothing),
    (Image.INET, "inet"): ("inet", _nothing),
    (Image.SET, "_text"): ("set_array", _labels),
    **{(Image.SET, base): ("set_text", _labels) for base in ("text", "varchar", "citext")},
    (Image.SET_TEXT, "_text"): ("list_array", _nothing),
    **{(Image.SET_TEXT, base): ("text", _text) for base in ("text", "varchar", "citext")},
    (Image.GEOMETRY, "bytea"): ("ewkb", _nothing),
    (Image.GEOMETRY, "geometry"): ("ewkb", _nothing),
    (Image.VECTOR, "_float4"): ("float4_array", _nothing),
}


def choose(column: ReadColumn, target: TargetColumn, policies: Policies) -> EncoderSpec:
    """The encoder for values read as `column.image` into a column of the live type `target.base`.

    Raises STRUCTURE_MISMATCH when there is none: the values would have to be changed on the way.
    """
    found = _ENCODERS.get((column.image, target.base))
    narrowed = target.base == "float4" and column.arrow == pa.float64()
    if found is None or narrowed:
        raise EngineError(
            Code.STRUCTURE_MISMATCH,
            f"{column.name} ({column.source.native_type}) cannot be carried exactly into {target.name}"
            f" ({target.type})",
            column=column.name,
            image=column.image.value,
            targetType=target.type,
        )
    encoder, options = found
    if encoder == "numeric_int" and column.arrow == pa.uint64():
        encoder = "numeric_uint"
    return EncoderSpec(column.name, encoder, options(column, target, policies))
