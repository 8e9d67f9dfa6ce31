"""What both decoders of MySQL's binary JSON share: doubles and opaque values as the server prints them,
and the steps of a partial update.

Layouts: MySQL Source Code Documentation, "json_binary.h", "json_diff.h"; my_gcvt of dtoa.cc for doubles.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable

from ext.binlogspec import Field, JsonChange, ProtocolError

MAX_DEPTH = 150  # the server's own limit is 100
_DIGITS_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
_POINT_LIMIT = 15  # a point farther away is written as an exponent
_OPERATIONS = ("replace", "insert", "remove")


def double_text(value: float) -> bytes:
    """The shortest digits that give the double again, with '.0' for a whole number; ProtocolError for NaN and
    infinities, which JSON has not."""
    if not math.isfinite(value):
        raise ProtocolError("a JSON number that is none")
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if not digits:
        return f"{sign}0.0".encode()
    if -_POINT_LIMIT < point <= _POINT_LIMIT:
        if point <= 0:
            text = "0." + "0" * -point + digits
        elif point >= len(digits):
            text = digits.ljust(point, "0") + ".0"
        else:
            text = f"{digits[:point]}.{digits[point:]}"
    else:
        text = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "") + f"e{point - 1}"
    return f"{sign}{text}".encode()


def opaque_text(kind: int, data: bytes) -> bytes:
    """A value of a type JSON has not: decimals as numbers, temporal ones as strings, all else as base64."""
    if kind == Field.NEWDECIMAL:
        return _decimal(data)
    if kind in (Field.DATE, Field.NEWDATE, Field.DATETIME, Field.TIMESTAMP, Field.TIME):
        if len(data) != 8:
            raise ProtocolError("an opaque JSON value of a wrong length")
        packed = int.from_bytes(data, "little", signed=True)
        return f'"{_time(packed) if kind == Field.TIME else _moment(kind, packed)}"'.encode()
    return b'"base64:type%d:%s"' % (kind, base64.b64encode(data))


def _time(packed: int) -> str:
    sign, packed = ("-" if packed < 0 else ""), abs(packed)
    whole, micro = packed >> 24, packed & 0xFFFFFF
    return f"{sign}{whole >> 12 & 0x3FF:02}:{whole >> 6 & 63:02}:{whole & 63:02}.{micro:06}"


def _moment(kind: int, packed: int) -> str:
    packed = abs(packed)
    whole, micro = packed >> 24, packed & 0xFFFFFF
    year, month = divmod(whole >> 22 & 0x1FFFF, 13)
    date = f"{year:04}-{month:02}-{whole >> 17 & 31:02}"
    if kind in (Field.DATE, Field.NEWDATE):
        return date
    return f"{date} {whole >> 12 & 31:02}:{whole >> 6 & 63:02}:{whole & 63:02}.{micro:06}"


def decimal_text(data: bytes, precision: int, scale: int, pad: bool = False) -> bytes | None:
    """A stored decimal ("decimal2bin"); None for a group of more digits than it has."""
    negative = not data[0] & 0x80
    flipped = bytes([data[0] ^ 0x80]) + data[1:]
    if negative:
        flipped = bytes(byte ^ 0xFF for byte in flipped)
    texts, place = [], 0
    for half, left in enumerate((precision - scale, scale)):
        digits = ""
        while left:
            group = (left % 9 or 9) if half == 0 else min(left, 9)
            size = _DIGITS_BYTES[group]
            value = int.from_bytes(flipped[place : place + size])
            if value >= 10**group:
                return None
            digits += f"{value:0{group}}"
            place += size
            left -= group
        texts.append(digits)
    whole = texts[0] if pad else texts[0].lstrip("0")
    text = ("-" if negative else "") + (whole or "0") + ("." + texts[1] if scale else "")
    return text.encode()


def _decimal(data: bytes) -> bytes:
    if len(data) < 3:
        raise ProtocolError("an opaque JSON decimal that is cut")
    precision, scale = data[0], data[1]
    sizes = [digits // 9 * 4 + _DIGITS_BYTES[digits % 9] for digits in (max(0, precision - scale), scale)]
    if not (1 <= precision <= 81 and scale <= precision) or len(data) != 2 + sum(sizes):
        raise ProtocolError("an opaque JSON decimal of a wrong length")
    text = decimal_text(data[2:], precision, scale)
    if text is None:
        raise ProtocolError("an opaque JSON decimal that is none")
    return text


def json_steps(data: bytes, json_text: Callable[[bytes], str]) -> tuple[JsonChange, ...]:
    """The steps of a partial update: operation, length-encoded path, and for all but remove a length-encoded
    binary value. Raises ProtocolError."""
    steps, place = [], 0
    while place < len(data):
        operation = data[place]
        if operation >= len(_OPERATIONS):
            raise ProtocolError(f"an unknown operation {operation} in a partial JSON update")
        path, place = _counted(data, place + 1)
        value = None
        if _OPERATIONS[operation] != "remove":
            binary, place = _counted(data, place)
            value = json_text(binary)
        try:
            steps.append(JsonChange(_OPERATIONS[operation], path.decode(), value))  # type: ignore[arg-type]
        except UnicodeDecodeError:
            raise ProtocolError("a path of a partial JSON update that is no UTF-8") from None
    return tuple(steps)


def _counted(data: bytes, place: int) -> tuple[bytes, int]:
    """Bytes behind their length, and the place behind them."""
    head = data[place : place + 1]
    size = {252: 2, 253: 3, 254: 8}.get(head[0] if head else 0, 0)
    if not head or head[0] in (251, 255) or place + 1 + size > len(data):
        raise ProtocolError("a partial JSON update that is cut")
    length = int.from_bytes(data[place + 1 : place + 1 + size], "little") if size else head[0]
    start = place + 1 + size
    if length > len(data) - start:
        raise ProtocolError("a partial JSON update that is cut")
    return data[start : start + length], start + length
