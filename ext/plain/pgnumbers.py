"""Numbers and times in binary COPY, plainly: `ENCODERS` names each encoder as `ext.pgcopy` does."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from ext.plain.pgcells import Column, Day, Parts, Refused, Single

_DAY = 86_400_000_000
_EPOCH_2000 = 946_684_800_000_000
_SMALLEST_32, _SMALLEST_64 = -(2**31), -(2**63)
_LARGEST_32, _LARGEST_64 = 2**31 - 1, 2**63 - 1
_BITS = {"int2": 16, "int4": 32, "int8": 64}
# Text of numbers that are none: reason, policy, and the sign that stands for them in a numeric.
_SPECIALS: Mapping[Any, tuple[str, str, int]] = {
    b"NaN": ("nan", "nan", 0xC000),
    b"Infinity": ("infinite", "infinity", 0xD000),
    b"-Infinity": ("infinite", "infinity", 0xF000),
}


def _integer(encoder: str) -> Callable[[Any, Column], bytes | None]:
    bits = _BITS[encoder]

    def encode(value: Any, column: Column) -> bytes | None:
        if isinstance(value, bytes | Decimal):
            if value in _SPECIALS:
                column.missing(*_SPECIALS[value][:2])
                return None
            digits, fraction, negative = _spelled(value)
            if fraction.strip("0"):
                raise Refused("scale-cut")
            value = -int(digits or "0") if negative else int(digits or "0")
        else:
            column.check_flag(value)
        if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            raise Refused("out-of-range")
        return int(value).to_bytes(bits // 8, "big", signed=True)

    return encode


def _bool(value: Any, column: Column) -> bytes:
    if isinstance(value, bytes):
        if not value:
            raise Refused("bad-length")
        value = int.from_bytes(value, "big")
    if value not in (0, 1):
        raise Refused("not-boolean")
    return bytes([value])


def _spelled(value: bytes | Decimal) -> tuple[str, str, bool]:
    """Digits before the point without leading zeros, digits behind it, and whether a '-' stands before."""
    text = f"{value:f}" if isinstance(value, Decimal) else value.decode("latin-1")
    negative = text.startswith("-")
    whole, _, fraction = text.removeprefix("-").partition(".")
    plain = (whole + fraction).isascii() and (whole + fraction).isdigit()
    if not plain or len(text) > 147_457:
        raise Refused("bad-number")
    return whole.lstrip("0"), fraction, negative


def _numeric(value: Any, column: Column) -> bytes | None:
    if isinstance(value, bytes) and value in _SPECIALS:
        reason, policy, sign = _SPECIALS[value]
        if reason == "infinite" and "precision" in column.options:
            column.missing(reason, policy)
            return None
        return struct.pack(">hhHH", 0, 0, sign, 0)
    if isinstance(value, bytes | Decimal):
        whole, fraction, negative = _spelled(value)
    else:
        column.check_flag(value)
        whole, fraction, negative = str(abs(int(value))).lstrip("0"), "", value < 0
    if "precision" in column.options:
        fraction = _fitting(whole, fraction, column.options["precision"], column.options.get("scale") or 0)
    if len(fraction) > 16383:
        raise Refused("too-large")
    padded = whole.zfill(-(-len(whole) // 4) * 4) + fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    groups = [int(padded[at : at + 4]) for at in range(0, len(padded), 4)]
    weight = -(-len(whole) // 4) - 1
    while groups and not groups[0]:
        groups.pop(0)
        weight -= 1
    while groups and not groups[-1]:
        groups.pop()
    if len(groups) > 3000 or len(whole) > 12_000:
        raise Refused("too-large")
    if not groups:
        weight, negative = 0, False
    head = struct.pack(">hhHH", len(groups), weight, 0x4000 if negative else 0, len(fraction))
    return head + struct.pack(f">{len(groups)}h", *groups)


def _fitting(whole: str, fraction: str, precision: int, scale: int) -> str:
    """The fraction without the zeros that numeric(precision, scale) has no room for."""
    room = max(scale, 0)
    fraction = fraction[:room] + fraction[room:].rstrip("0")
    integers = precision - scale
    first = len(whole) if whole else len(fraction.lstrip("0")) - len(fraction)
    if (whole or fraction.strip("0")) and first > integers:
        # The first digit that counts stands at 10^(first - 1).
        raise Refused("out-of-range")
    if len(fraction) > room:
        raise Refused("scale-cut")
    if scale < 0 and whole[scale:].strip("0"):
        raise Refused("scale-cut")
    return fraction


def _float8(value: Any, column: Column) -> bytes:
    if isinstance(value, Single):
        wide: float = struct.unpack(">f", value.bits.to_bytes(4, "big"))[0]
        return bytes.fromhex("7ff8000000000000") if wide != wide else struct.pack(">d", wide)
    if isinstance(value, int):
        column.check_flag(value)
        if abs(value) > 2**53:
            raise Refused("inexact")
    return struct.pack(">d", value)


def _float4(value: Any, column: Column) -> bytes:
    if isinstance(value, Single):
        return value.bits.to_bytes(4, "big")
    if isinstance(value, int):
        column.check_flag(value)
        if abs(value) > 2**24:
            raise Refused("inexact")
    elif value != value:
        return bytes.fromhex("7fc00000")
    try:
        data = struct.pack(">f", value)
    except OverflowError:
        raise Refused("inexact") from None
    if struct.unpack(">f", data)[0] != value:
        raise Refused("inexact")
    return data


# ---------------------------------------------------------------- times


def _date(value: Day, column: Column) -> bytes:
    days = value.number - 10957
    if value.number in (_SMALLEST_32, _LARGEST_32):
        days = value.number
    elif not -2451545 <= days < 2145031949:
        raise Refused("out-of-range")
    return struct.pack(">i", days)


def _timestamp(value: Day | int, column: Column) -> bytes:
    if isinstance(value, Day):
        if value.number == _SMALLEST_32:
            return struct.pack(">q", _SMALLEST_64)
        if value.number == _LARGEST_32:
            return struct.pack(">q", _LARGEST_64)
        if not -2451545 <= value.number - 10957 < 106751983:
            raise Refused("out-of-range")
        return struct.pack(">q", (value.number - 10957) * _DAY)
    if value in (_SMALLEST_64, _LARGEST_64):
        return struct.pack(">q", value)
    if value - _EPOCH_2000 < -211_813_488_000_000_000:
        raise Refused("out-of-range")
    _check_unit(value, column)
    return struct.pack(">q", value - _EPOCH_2000)


def _check_unit(micros: int, column: Column) -> None:
    if micros % (column.options.get("unit") or 1):
        raise Refused("fraction-cut")


def _infinity(value: Parts, column: Column) -> str | None:
    """The infinities of PostgreSQL 17 and later."""
    known = {
        (_LARGEST_32, _LARGEST_32, _LARGEST_64): "infinity",
        (_SMALLEST_32, _SMALLEST_32, _SMALLEST_64): "-infinity",
    }
    found = known.get((value.months, value.days, value.micros))
    if found and not column.options.get("infinite"):
        raise Refused("infinite")
    return found


def _interval(value: int | Parts, column: Column) -> bytes:
    parts = value if isinstance(value, Parts) else Parts(0, 0, value)
    if not _infinity(parts, column):
        _check_unit(parts.micros, column)
    return struct.pack(">qii", parts.micros, parts.days, parts.months)


def _interval_text(value: Parts, column: Column) -> bytes:
    text = _infinity(value, column) or ""
    if not text:
        text = "P" + (f"{value.months}M" if value.months else "") + (f"{value.days}D" if value.days else "")
        if value.micros or text == "P":
            seconds, fraction = divmod(abs(value.micros), 1_000_000)
            text += f"T{'-' if value.micros < 0 else ''}{seconds}"
            text += (f".{fraction:06}".rstrip("0") if fraction else "") + "S"
    if column.options.get("chars") and len(text) > column.options["chars"]:
        raise Refused("too-long")
    return text.encode()


def _time(value: int, column: Column) -> bytes:
    if not 0 <= value <= _DAY:
        raise Refused("out-of-range")
    _check_unit(value, column)
    return struct.pack(">q", value)


ENCODERS: Mapping[str, Callable[[Any, Column], bytes | None]] = {
    **{name: _integer(name) for name in _BITS},
    "bool": _bool,
    "numeric": _numeric,
    "float4": _float4,
    "float8": _float8,
    "date": _date,
    "timestamp": _timestamp,
    "interval": _interval,
    "interval_text": _interval_text,
    "time": _time,
}
