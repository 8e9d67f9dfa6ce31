"""Text, JSON and sets in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from engine.formats.encode_context import Context, any_true, refuse_first
from engine.types import Image, Kind
from ext.rowerror import RowError, printed


def text(array: pa.Array, context: Context) -> pa.Array:
    """UTF-8, checked; NUL as it is unless a policy takes it out. A value that is none of an enum's labels is
    MySQL's invalid one, and refused."""
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        array = _mended(array, context)
    array = _nul(array, context)
    kind = context.read.source.type
    if kind.kind is Kind.ENUM and kind.labels:
        known = pc.is_in(array, pa.array([*kind.labels, None], array.type))
        refuse_first(array, pc.invert(known), "unknown-label")
    return array


def _mended(array: pa.Array, context: Context) -> pa.Array:
    """`invalidText: replace` puts U+FFFD for what is no UTF-8."""
    raw = array.view(pa.large_binary() if pa.types.is_large_string(array.type) else pa.binary())
    result: list[str | None] = []
    for row, value in enumerate(raw.to_pylist()):
        try:
            result.append(None if value is None else value.decode())
        except UnicodeDecodeError:
            if context.policies.invalid_text != "replace":
                raise RowError(0, row, "invalid-utf8", printed(raw, row)) from None
            context.count("invalidText", 1)
            result.append(value.decode(errors="replace"))
    return pa.array(result, array.type)


def _nul(array: pa.Array, context: Context) -> pa.Array:
    policy = context.policies.nul_byte
    if policy not in ("strip", "replace"):
        return array
    found = pc.match_substring(array, "\0")
    if not any_true(found):
        return array
    context.count("nulByte", pc.sum(found).as_py())
    return pc.replace_substring(array, "\0", "" if policy == "strip" else "\ufffd")


def json_values(array: pa.Array, context: Context) -> pa.Array:
    """JSON to be nested in JSON. What a server has parsed itself is taken as it is; text that it merely keeps
    is checked, since one wrong value would spoil the whole file. A null of JSON's own would come back as
    NULL."""
    array = text(array, context)
    refuse_first(array, pc.match_substring_regex(array, r"^\s*null\s*$"), "json-null")
    if context.read.source.type.kind is not Kind.JSON:
        for row, value in enumerate(array.to_pylist()):
            if value is not None and not _is_json(value):
                raise RowError(0, row, "bad-json", printed(array, row))
    return array


def _is_json(value: str) -> bool:
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        try:  # numbers beyond a double, lone surrogates: JSON all the same
            json.loads(value, parse_constant=_no_constant, parse_float=str, parse_int=str)
        except (ValueError, RecursionError):
            return False
    return True


def _no_constant(name: str) -> None:
    raise ValueError(name)


# ---------------------------------------------------------------- sets


def labels_text(array: pa.Array, context: Context) -> pa.Array:
    """Labels joined by ','."""
    if context.read.image is Image.SET_TEXT:
        return text(array, context)
    return _by_distinct(array, lambda mask: ",".join(_labels_of(mask, context)), pa.string())


def labels(array: pa.Array, context: Context) -> pa.Array:
    """A list of labels, in the order of their definition; the empty set is an empty list."""
    arrow = pa.list_(pa.string())
    if context.read.image is Image.SET_TEXT:
        array = text(array, context)
        return _by_distinct(array, lambda value: value.split(",") if value else [], arrow)
    return _by_distinct(array, lambda mask: _labels_of(mask, context), arrow)


def _labels_of(mask: int, context: Context) -> list[str]:
    known = context.read.source.type.labels
    if mask >> len(known):
        raise _Unknown
    return [label for bit, label in enumerate(known) if mask >> bit & 1]


class _Unknown(Exception):
    """A bit without a label."""


def _by_distinct(array: pa.Array, make: Callable[[Any], Any], arrow: pa.DataType) -> pa.Array:
    """Every distinct value once: columns of sets have few."""
    coded = array.dictionary_encode()
    values = []
    for value in coded.dictionary.to_pylist():
        try:
            values.append(make(value))
        except _Unknown:
            refuse_first(array, pc.equal(array, pa.scalar(value, array.type)), "unknown-label")
    return pa.array(values, arrow).take(coded.indices)
