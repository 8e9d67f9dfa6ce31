"""Which encoder of `ext.pgcopy` carries an image into a column: the right half of every codec, as one table.

What the target's type modifier would cut without a word goes into the encoder's options, so that such a value
is refused instead: digits and fractions (numeric, times), blanks beyond a length (varchar).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from engine.config import Policies
from engine.connectors.base import ReadColumn, TargetColumn
from engine.errors import Code, EngineError
from engine.types import Image, Kind
from ext.pgcopy import EncoderSpec

Options = Callable[[ReadColumn, TargetColumn, Policies], Mapping[str, Any] | None]

_TYPMOD = re.compile(r"\((\d+)(?:,\s*(-?\d+))?\)")
# How types are spelled whose modifier matters. Another spelling is a domain, whose modifier is not in it.
_SPELLINGS = {
    "numeric": ("numeric", "decimal"),
    "timestamp": ("timestamp",),
    "timestamptz": ("timestamp",),
    "time": ("time",),
    "interval": ("interval",),
    "varchar": ("varchar", "character varying"),
    "bpchar": ("bpchar", "character", "char"),
    "bit": ("bit",),
    "varbit": ("bit varying", "varbit"),
}
# An interval restricted to fields loses what is smaller than the last of them.
_INTERVAL_ENDS = {"hour": 3_600_000_000, "minute": 60_000_000, "second": 0}
_VARCHAR = 1043  # pg_type.oid


def _nothing(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    return {}


def _chars(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    if target.base == "name":
        return {"octets": 63}  # NAMEDATALEN - 1
    match = _TYPMOD.search(target.type) if target.base in ("varchar", "bpchar") else None
    return {"chars": int(match[1])} if match else {}


def _text(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    options = {"nul": policies.nul_byte, "invalid": policies.invalid_text}
    if target.base == "enum":
        return {**options, "labels": target.labels}
    return {**options, **_chars(column, target, policies)}


def _labels(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    options = {"labels": column.source.type.labels}
    if target.base.startswith("_"):
        return {**options, **_element(column, target, policies)}
    return {**options, **_chars(column, target, policies)}


def _element(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    return {"element": _VARCHAR} if target.base == "_varchar" else {}


def _precision(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    match = _TYPMOD.search(target.type)
    return {"precision": int(match[1]), "scale": int(match[2] or 0)} if match else {}


def _specials(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    """NaN and the infinities, where the type has none: refused unless a policy makes them NULL."""
    return {
        name: choice
        for name, choice in (("nan", policies.nan), ("infinity", policies.infinity))
        if choice == "null"
    }


def _decimal(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    return {**_specials(column, target, policies), **_precision(column, target, policies)}


def _flag_number(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    return {**_flag(column, target, policies), **_precision(column, target, policies)}


def _flag(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any]:
    return {"flag": True}


def _fraction(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any] | None:
    """timestamp(n), time(n) and interval(n) round what has more digits."""
    match = _TYPMOD.search(target.type)
    unit = 10 ** (6 - int(match[1])) if match and int(match[1]) < 6 else 0
    if target.base == "interval":
        fields = _TYPMOD.sub("", target.type).split()[1:]
        if fields:
            least = _INTERVAL_ENDS.get(fields[-1])
            if least is None:
                return None
            unit = max(unit, least)
    return {"unit": unit} if unit else {}


def _bits(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any] | None:
    """bit(n) takes exactly n bits, a longer one the same number with zeros before it; varbit takes as many as
    the source column has."""
    match = _TYPMOD.search(target.type)
    width = column.source.type.length or 1
    if target.base == "bit":
        return {"width": int(match[1]) if match else 1}
    return None if match and int(match[1]) < width else {"width": width}


def _one_bit(column: ReadColumn, target: TargetColumn, policies: Policies) -> Mapping[str, Any] | None:
    return {} if (column.source.type.length or 1) == 1 else None


_STRINGS = ("text", "varchar", "bpchar", "citext")
_INTEGERS = ("int2", "int4", "int8")

# (image, base of the target type) → encoder and its options (None: not carried). Every encoder reads each
# Arrow type its image may have; what depends on that is checked value by value.
_ENCODERS: dict[tuple[Image, str], tuple[str, Options]] = {
    **{(Image.INT, base): (base, _nothing) for base in (*_INTEGERS, "bool", "float4", "float8")},
    (Image.INT, "numeric"): ("numeric", _precision),
    **{(Image.INT, base): ("text", _chars) for base in _STRINGS},
    (Image.BOOL, "bool"): ("bool", _nothing),
    **{(Image.BOOL, base): (base, _flag) for base in _INTEGERS},
    (Image.BOOL, "numeric"): ("numeric", _flag_number),
    (Image.FLOAT, "float8"): ("float8", _nothing),
    (Image.FLOAT, "float4"): ("float4", _nothing),
    (Image.DECIMAL, "numeric"): ("numeric", _decimal),
    **{(Image.DECIMAL, base): (base, _specials) for base in _INTEGERS},
    **{(Image.DECIMAL, base): ("text", _chars) for base in _STRINGS},
    **{(Image.TEXT, base): ("text", _text) for base in (*_STRINGS, "name", "xml", "enum")},
    (Image.TEXT, "bytea"): ("bytea", _nothing),
    (Image.BYTES, "bytea"): ("bytea", _nothing),
    (Image.BYTES, "uuid"): ("uuid", _nothing),
    (Image.BITS, "bit"): ("bit", _bits),
    (Image.BITS, "varbit"): ("bit", _bits),
    (Image.BITS, "bool"): ("bool", _one_bit),
    (Image.DATE, "date"): ("date", _nothing),
    (Image.DATE, "timestamp"): ("timestamp", _nothing),
    (Image.TIMESTAMP, "timestamp"): ("timestamp", _fraction),
    (Image.TIMESTAMPTZ, "timestamptz"): ("timestamp", _fraction),
    (Image.DURATION, "interval"): ("interval", _fraction),
    (Image.DURATION, "time"): ("time", _fraction),
    (Image.INTERVAL, "interval"): ("interval", _fraction),
    **{(Image.INTERVAL, base): ("interval_text", _chars) for base in _STRINGS},
    (Image.JSON, "json"): ("text", _text),
    (Image.JSON, "jsonb"): ("jsonb", _nothing),
    **{(Image.JSON, base): ("text", _text) for base in _STRINGS},
    (Image.UUID, "uuid"): ("uuid", _nothing),
    (Image.UUID, "bytea"): ("bytea", _nothing),
    **{(Image.UUID, base): ("uuid_text", _chars) for base in _STRINGS},
    (Image.INET, "inet"): ("inet", _nothing),
    **{(Image.INET, base): ("inet_text", _chars) for base in _STRINGS},
    **{(Image.SET, base): ("set_array", _labels) for base in ("_text", "_varchar")},
    **{(Image.SET, base): ("set_text", _labels) for base in _STRINGS},
    **{(Image.SET_TEXT, base): ("list_array", _element) for base in ("_text", "_varchar")},
    **{(Image.SET_TEXT, base): ("text", _text) for base in _STRINGS},
    (Image.GEOMETRY, "bytea"): ("ewkb", _nothing),
    (Image.GEOMETRY, "geometry"): ("ewkb", _nothing),
    (Image.VECTOR, "_float4"): ("float4_array", _nothing),
}


INFINITE_INTERVALS = 170000  # the first version whose intervals have infinities


def choose(
    column: ReadColumn, target: TargetColumn, policies: Policies, version: int = 150000
) -> EncoderSpec:
    """The encoder for values read as `column.image` into a column of the live type `target.base`, on a server
    of that version. One of `TEXT_ENCODERS` means that the table has to be loaded by text COPY.

    A target wider than the source's values takes them all, a narrower one those that fit; the others are a
    RowError when they come. Raises STRUCTURE_MISMATCH when there is no encoder for the pair: the values would
    have to be changed on the way.
    """
    encoder, wanted = _ENCODERS.get((column.image, target.base), ("", _nothing))
    options = wanted(column, target, policies) if encoder and _modifier_known(target) else None
    if column.image is Image.INTERVAL and encoder:
        if options is None and _is_kept(column, target):
            options = {}  # the source's own modifier has cut what it cuts
        if options is not None and (encoder == "interval_text" or version >= INFINITE_INTERVALS):
            options = {**options, "infinite": True}
    if not encoder:
        encoder, options = _by_text(column, target, policies)
    if options is None:
        raise EngineError(
            Code.STRUCTURE_MISMATCH,
            f"{column.name} ({column.source.native_type}) cannot be carried exactly into {target.name}"
            f" ({target.type})",
            column=column.name,
            image=column.image.value,
            targetType=target.type,
        )
    return EncoderSpec(column.name, encoder, options)


def _modifier_known(target: TargetColumn) -> bool:
    spellings = _SPELLINGS.get(target.base)
    if spellings is None:
        return True
    bare = _TYPMOD.sub("", target.type).strip()
    return any(bare == spelling or bare.startswith(spelling + " ") for spelling in spellings)


# ---------------------------------------------------------------- by the type's own text


def _by_text(
    column: ReadColumn, target: TargetColumn, policies: Policies
) -> tuple[str, Mapping[str, Any] | None]:
    """What the server's input function of the type reads: the text another PostgreSQL prints of the very
    type, and arrays. A modifier the source's type has not could cut values without a word: not carried."""
    kind = column.source.type.kind
    if not _is_kept(column, target) and (_TYPMOD.search(target.type) or not _is_akin(column, target)):
        return "", None
    if column.image is Image.JSON and kind is Kind.ARRAY and target.base.startswith("_"):
        return "array", {"delimiter": ";"} if target.base == "_box" else {}
    if column.image is Image.TEXT and kind is Kind.OTHER:
        # Elsewhere "char" would keep the first byte of a longer text.
        return "literal", {"octets": 1} if target.base == "char" else {}
    if _is_kept(column, target) and target.base in ("money", "oid"):  # read as numbers
        return "literal", {}
    return "", None


def _is_kept(column: ReadColumn, target: TargetColumn) -> bool:
    return column.source.native_type == target.type


def _is_akin(column: ReadColumn, target: TargetColumn) -> bool:
    """Arrays go into arrays of any element the server has itself; other types, and elements of somebody's own
    making, into those of the same name."""
    if column.source.type.kind is Kind.ARRAY and "." not in target.type:
        return True
    return _last_name(column.source.native_type) == _last_name(target.type)


def _last_name(type_: str) -> str:
    return _TYPMOD.sub("", type_).rpartition(".")[2].strip('"[] ')
