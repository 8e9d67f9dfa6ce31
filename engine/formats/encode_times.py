"""Dates, moments, times of day, durations and intervals in files."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.formats.encode_context import Context, any_true, refuse_first, settle

DAY = 86_400_000_000  # microseconds
_SENTINELS = {
    pa.date32(): (-(2**31), 2**31 - 1),
    pa.timestamp("us"): (-(2**63), 2**63 - 1),
    pa.timestamp("us", "UTC"): (-(2**63), 2**63 - 1),
}


def integers_of(array: pa.Array) -> pa.Array:
    return array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())


def infinite(array: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Masks of -infinity and infinity."""
    low, high = _SENTINELS[array.type]
    numbers = integers_of(array)
    return pc.equal(numbers, low), pc.equal(numbers, high)


def has_infinite(array: pa.Array) -> bool:
    low, high = _SENTINELS[array.type]
    found = pc.min_max(integers_of(array)).as_py()
    return bool(found["min"] == low or found["max"] == high)


def moments(array: pa.Array, context: Context) -> pa.Array:
    """Infinities by policy: refused, NULL, or kept as the smallest and largest integer. Then the unit of the
    file, where nothing is cut."""
    if has_infinite(array) and not _kept(context):
        mask = pc.or_(*infinite(array))
        array = settle(array, mask, "infinity", context, "infinity", context.policies.infinity)
    if pa.types.is_date(array.type) or array.type == context.arrow:
        return array
    return _scaled(array, context)


def _kept(context: Context) -> bool:
    """A zero date that became the sentinel was asked for as well."""
    return context.policies.infinity == "sentinel" or context.read.invalid == "sentinel"


def _scaled(array: pa.Array, context: Context) -> pa.Array:
    """Milliseconds or nanoseconds. What has more digits, or lies outside, is refused; the infinities become
    those of the new unit."""
    numbers = integers_of(array)
    low, high = infinite(array)
    special = pc.or_(low, high)
    if context.arrow.unit == "ms":
        rest = pc.subtract(numbers, pc.multiply(pc.divide(numbers, 1000), 1000))
        refuse_first(array, pc.and_not(pc.not_equal(rest, 0), special), "fraction-cut")
        scaled = pc.divide(numbers, 1000)
    else:
        most = (2**63 - 1) // 1000
        outside = pc.or_(pc.greater(numbers, most), pc.less(numbers, -most))
        refuse_first(array, pc.and_not(outside, special), "out-of-range")
        scaled = pc.multiply(pc.if_else(pc.fill_null(special, False), 0, numbers), 1000)
    scaled = pc.if_else(pc.fill_null(low, False), pa.scalar(-(2**63), pa.int64()), scaled)
    scaled = pc.if_else(pc.fill_null(high, False), pa.scalar(2**63 - 1, pa.int64()), scaled)
    return scaled.view(context.arrow)


def times_of_day(array: pa.Array, context: Context) -> pa.Array:
    """From midnight to before the next."""
    numbers = integers_of(array)
    outside = pc.or_(pc.less(numbers, 0), pc.greater_equal(numbers, DAY))
    refuse_first(array, outside, "out-of-range")
    return numbers.view(pa.time64("us"))


def clock(array: pa.Array, context: Context) -> pa.Array:
    """`[-]HH:MM:SS[.ffffff]`, with as many hours as there are and as many digits of a second as the column
    has, or all six where a value needs more."""
    numbers = integers_of(array)
    values = np.abs(pc.fill_null(numbers, 0).to_numpy())
    seconds, micros = np.divmod(values, 1_000_000)
    digits = min(6, context.read.source.type.fraction)
    if digits < 6 and (micros % 10 ** (6 - digits)).any():
        digits = 6
    parts = [
        pc.if_else(pc.less(pc.fill_null(numbers, 0), 0), "-", ""),
        _padded(seconds // 3600, 2),
        pa.scalar(":"),
        _padded(seconds // 60 % 60, 2),
        pa.scalar(":"),
        _padded(seconds % 60, 2),
    ]
    if digits:
        parts += [pa.scalar("."), _padded(micros // 10 ** (6 - digits), digits)]
    text = pc.binary_join_element_wise(*parts, "")
    return _null_like(text, array)


def _padded(values: np.ndarray, width: int) -> pa.Array:
    return pc.utf8_lpad(pc.cast(pa.array(values), pa.string()), width, "0")


def _null_like(text: pa.Array, array: pa.Array) -> pa.Array:
    if not array.null_count:
        return text
    return pc.if_else(array.is_valid(), text, pa.scalar(None, text.type))


# ---------------------------------------------------------------- intervals

_ENDS = (
    (-(2**31), -(2**31), -(2**63)),
    (2**31 - 1, 2**31 - 1, 2**63 - 1),
)


def intervals(array: pa.Array, context: Context) -> pa.Array:
    """The struct as it is; PostgreSQL's infinite intervals by policy."""
    mask = _infinite_interval(array, _ENDS[0]), _infinite_interval(array, _ENDS[1])
    either = pc.or_(*mask)
    if any_true(either) and context.policies.infinity != "sentinel":
        return settle(array, either, "infinity", context, "infinity", context.policies.infinity)
    return array


def _infinite_interval(array: pa.Array, ends: tuple[int, int, int]) -> pa.Array:
    """True where all three are at that end; NULL where the interval is."""
    months, days, micros = (pc.struct_field(array, at) for at in range(3))
    return pc.and_(
        pc.and_(pc.equal(months, ends[0]), pc.equal(days, ends[1])),
        pc.equal(micros, ends[2]),
    )


def iso_intervals(array: pa.Array, context: Context) -> pa.Array:
    """`P14M-3DT-5.25S`: the three parts, each with its sign. Infinite ones read Infinity and -Infinity."""
    array = intervals(array, context)
    months, days, micros = (pc.fill_null(pc.struct_field(array, at), 0) for at in range(3))
    number = micros.to_numpy()
    size = np.where(number < 0, -(number + 1), number).astype(np.uint64) + (number < 0).astype(np.uint64)
    whole, rest = np.divmod(size, np.uint64(1_000_000))
    parts = [
        "P",
        pc.cast(months, pa.string()),
        "M",
        pc.cast(days, pa.string()),
        "DT",
        pc.if_else(pc.less(micros, 0), "-", ""),
        pc.cast(pa.array(whole), pa.string()),
        pc.if_else(pa.array(rest > 0), pc.binary_join_element_wise(pa.scalar("."), _padded(rest, 6), ""), ""),
        "S",
    ]
    text = pc.binary_join_element_wise(*(pa.scalar(p) if isinstance(p, str) else p for p in parts), "")
    for ends, name in zip(_ENDS, ("-Infinity", "Infinity"), strict=True):
        text = pc.if_else(pc.fill_null(_infinite_interval(array, ends), False), name, text)
    return _null_like(text, array)


# ---------------------------------------------------------------- text of moments

_YEARS = 32_000  # either side of 0: what Arrow prints


def moment_text(array: pa.Array, separator: str) -> pa.Array:
    """`YYYY-MM-DD`, or with `HH:MM:SS.ffffff` (and Z for an instant) after the separator. Years are those of
    ISO 8601: 0000 comes before 0001. The infinities read infinity and -infinity."""
    numbers = integers_of(array)
    unit = 1 if pa.types.is_date(array.type) else DAY
    found = pc.min_max(numbers).as_py()
    reach = _YEARS * 365 * unit
    if found["min"] is not None and not (-reach < found["min"] and found["max"] < reach):
        return _far_text(array, separator)
    if unit != DAY:
        return pc.cast(array, pa.string())
    # With its zone Arrow would print it through a stream, at thirty times the cost.
    text = pc.cast(array.view(pa.timestamp("us")), pa.string())
    if separator != " ":
        text = pc.replace_substring(text, " ", separator, max_replacements=1)
    if array.type.tz:
        text = pc.binary_join_element_wise(text, "Z", "")
    return text


def _far_text(array: pa.Array, separator: str) -> pa.Array:
    low, high = _SENTINELS[array.type]
    instant = "Z" if pa.types.is_timestamp(array.type) and array.type.tz else ""
    result: list[str | None] = []
    for value in integers_of(array).to_pylist():
        if value is None:
            result.append(None)
        elif value in (low, high):
            result.append("-infinity" if value == low else "infinity")
        elif pa.types.is_date(array.type):
            result.append(_day_text(value))
        else:
            day, micros = divmod(value, DAY)
            seconds, rest = divmod(micros, 1_000_000)
            time = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:06}"
            result.append(f"{_day_text(day)}{separator}{time}{instant}")
    return pa.array(result, pa.string())


_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097  # after which the Gregorian calendar repeats itself
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_BASE = datetime.date(2000, 1, 1).toordinal() - _EPOCH


def _day_text(day: int) -> str:
    cycles, rest = divmod(day - _BASE, _CYCLE_DAYS)
    near = datetime.date.fromordinal(rest + _BASE + _EPOCH)
    year = near.year + cycles * _CYCLE_YEARS
    sign = "-" if year < 0 else ""
    return f"{sign}{abs(year):04}-{near.month:02}-{near.day:02}"
