"""Numbers, booleans and vectors in files."""

from __future__ import annotations

import contextlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.formats.encode_context import Context, any_true, refuse_first, settle
from ext.rowerror import RowError, printed

MOST_DIGITS = 38  # of Parquet's decimals that every reader gets right
_NAN = ("NaN",)
_INFINITIES = ("Infinity", "-Infinity")


def booleans(array: pa.Array, context: Context) -> pa.Array:
    """int8 of 0 and 1, or bool."""
    if pa.types.is_boolean(array.type):
        return array
    refuse_first(array, pc.invert(pc.is_in(array, pa.array([0, 1, None], array.type))), "not-boolean")
    return pc.cast(array, pa.bool_())


def decimal_text(array: pa.Array, context: Context) -> pa.Array:
    """Digits without exponent, as they are; NaN and the infinities keep their names."""
    if pa.types.is_decimal(array.type):
        text = pc.cast(array, pa.string())
        if any_true(pc.match_substring(text, "E")):
            values = [None if value is None else format(value, "f") for value in array.to_pylist()]
            return pa.array(values, pa.string())
        return text
    return pc.cast(array, pa.string())


def decimal128(array: pa.Array, context: Context) -> pa.Array:
    """Exact, or refused: no digit is cut. NaN and infinities have no place there."""
    if pa.types.is_decimal(array.type) and array.type == context.arrow:
        return array
    text = not pa.types.is_decimal(array.type)
    if text:
        array = pc.cast(array, pa.string())
    with contextlib.suppress(pa.ArrowInvalid):
        return pc.cast(array, context.arrow)
    if text:
        array = _without_specials(array, context)
    try:
        return pc.cast(array, context.arrow)
    except pa.ArrowInvalid:
        raise _first_misfit(array, context.arrow) from None


def _without_specials(array: pa.Array, context: Context) -> pa.Array:
    if not any_true(pc.match_substring_regex(array, "[IN]")):
        return array
    nan = pc.is_in(array, pa.array(_NAN))
    array = settle(array, nan, "nan", context, "nan", context.policies.nan)
    infinite = pc.is_in(array, pa.array(_INFINITIES))
    return settle(array, infinite, "infinity", context, "infinity", context.policies.infinity)


def _first_misfit(array: pa.Array, arrow: pa.DataType) -> RowError:
    """By halves: casting tells that a value does not fit, not which."""
    low, high = 0, len(array)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pc.cast(array.slice(low, middle - low), arrow)
        except pa.ArrowInvalid:
            high = middle
        else:
            low = middle
    return RowError(0, low, "out-of-range", printed(array, low))


def vectors(array: pa.Array, context: Context) -> pa.Array:
    """Little-endian float32s → a list of them."""
    array = pc.cast(array, pa.large_binary())
    offsets = np.frombuffer(array.buffers()[1], np.int64, len(array) + 1, array.offset * 8)
    sizes = np.diff(offsets)
    broken = pa.array((sizes % 4 != 0), mask=_nulls(array))
    refuse_first(array, broken, "broken-vector")
    data = array.buffers()[2]
    start, end = int(offsets[0]), int(offsets[-1])
    octets = np.frombuffer(data or b"", np.uint8)[start:end]
    numbers = octets.copy().view("<f4")
    places = ((offsets - start) // 4).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(places), pa.array(numbers, pa.float32()))
    if array.null_count:
        return pc.if_else(array.is_valid(), lists, pa.scalar(None, lists.type))
    return lists


def _nulls(array: pa.Array) -> np.ndarray:
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False))
