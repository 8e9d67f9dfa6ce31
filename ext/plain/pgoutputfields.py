"""One field of logical replication → the value an Arrow array is made from, in plain Python.

Numbers come back as the bytes of the Arrow buffer, text as bytes, times as integers. ValueError: no value of
its form; OverflowError: a moment that no 64 bits of microseconds since 1970 hold.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

from ext.pgoutputspec import ARRAY_DEPTH, ChangeField, Form
from ext.pgreadspec import (
    DATE_INFINITY,
    DATE_MINUS_INFINITY,
    DAY_MICROS,
    EPOCH_DAYS,
    EPOCH_MICROS,
    TIME_INFINITY,
    TIME_MINUS_INFINITY,
    bits_right_aligned,
    numeric_text,
)

LAST_MOMENT = 2**63 - 2  # in microseconds since 1970
_FIRST_DAY = -106_751_991


def printed_value(spec: ChangeField, data: bytes) -> Any:
    """A field in the form of the type's output function."""
    return _PRINTED[spec.form](spec, data)


def sent_value(spec: ChangeField, data: bytes) -> Any:
    """A field in the form of the type's send function."""
    if not spec.binary:
        raise ValueError("a binary field where only text is decoded")
    if spec.wire_bytes and len(data) != spec.wire_bytes:
        raise ValueError(f"{len(data)} bytes")
    return _SENT[spec.form](spec, data)


# ---------------------------------------------------------------- printed


def _number(spec: ChangeField, data: bytes) -> bytes:
    if spec.code in "fd":
        return _float(spec, data)
    if not re.fullmatch(rb"-?[0-9]{1,19}", data):
        raise ValueError("no integer")
    try:
        return struct.pack(f"<{spec.code}", int(data))
    except struct.error:
        raise ValueError("an integer of another type") from None


_FLOAT = re.compile(rb"-?[0-9]{1,20}(\.[0-9]{1,20})?(e[+-]?[0-9]{1,4})?")
_UNENDING = {b"NaN": "nan", b"Infinity": "inf", b"-Infinity": "-inf"}


def _float(spec: ChangeField, data: bytes) -> bytes:
    if data in _UNENDING:
        return struct.pack(f"<{spec.code}", float(_UNENDING[data]))
    if not _FLOAT.fullmatch(data):
        raise ValueError("no floating-point number")
    value = float(data)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number beyond its type")
    try:
        return struct.pack(f"<{spec.code}", value)
    except OverflowError:
        raise ValueError("a number beyond its type") from None


def _bool(spec: ChangeField, data: bytes) -> int:
    if data not in (b"t", b"f"):
        raise ValueError("neither true nor false")
    return int(data == b"t")


def _as_is(spec: ChangeField, data: bytes) -> bytes:
    return data


def _bytea(spec: ChangeField, data: bytes) -> bytes:
    if not re.fullmatch(rb"\\x([0-9a-fA-F]{2})*", data):
        raise ValueError("no bytes in hexadecimal")
    return bytes.fromhex(data[2:].decode())


def _uuid(spec: ChangeField, data: bytes) -> bytes:
    if not re.fullmatch(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", data):
        raise ValueError("no UUID")
    return bytes.fromhex(data.replace(b"-", b"").decode())


_DATE = re.compile(rb"([0-9]{4,7})-([0-9]{2})-([0-9]{2})( BC)?")
_CLOCK = rb"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?"
_TIME = re.compile(_CLOCK)
_MOMENT = re.compile(rb"([0-9]{4,7}-[0-9]{2}-[0-9]{2}) (" + _CLOCK + rb")(\+00)?( BC)?")


def _days(data: bytes) -> int:
    """Since 1970-01-01."""
    found = _DATE.fullmatch(data)
    if not found:
        raise ValueError("no date")
    year, month, day = (int(found[place]) for place in (1, 2, 3))
    if found[4]:
        year = 1 - year
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    if not 1 <= month <= 12 or not 1 <= day <= lengths[month - 1]:
        raise ValueError("no date")
    before = year - 1
    return (
        before * 365 + before // 4 - before // 100 + before // 400 + sum(lengths[: month - 1]) + day - 719_163
    )


def _date(spec: ChangeField, data: bytes) -> int:
    if data in (b"infinity", b"-infinity"):
        return DATE_INFINITY if data == b"infinity" else DATE_MINUS_INFINITY
    days = _days(data)
    if days >= DATE_INFINITY or days <= DATE_MINUS_INFINITY:
        raise ValueError("a day no server has")
    return days


def _clock(data: bytes) -> int:
    found = _TIME.fullmatch(data)
    if not found:
        raise ValueError("no time")
    hours, minutes, seconds = (int(found[place]) for place in (1, 2, 3))
    if minutes > 59 or seconds > 60:
        raise ValueError("no time")
    micros = int((found[4] or b"").ljust(6, b"0"))
    return (hours * 3600 + minutes * 60 + seconds) * 1_000_000 + micros


def _time(spec: ChangeField, data: bytes) -> int:
    micros = _clock(data)
    if micros > DAY_MICROS:
        raise ValueError("no time of a day")
    return micros


def _moment(spec: ChangeField, data: bytes) -> int:
    if data in (b"infinity", b"-infinity"):
        return TIME_INFINITY if data == b"infinity" else TIME_MINUS_INFINITY
    found = _MOMENT.fullmatch(data)
    if not found or bool(found[7]) != (spec.arrow.tz is not None):
        raise ValueError("no moment")
    days = _days(found[1] + (found[8] or b""))
    micros = _clock(found[2])
    if micros > DAY_MICROS or days <= _FIRST_DAY:
        raise ValueError("no moment")
    total = days * DAY_MICROS + micros
    if total > LAST_MOMENT:
        raise OverflowError
    return total


_SPAN = re.compile(
    rb"(?:([+-]?[0-9]{1,10}) years? ?)?(?:([+-]?[0-9]{1,10}) mons? ?)?(?:([+-]?[0-9]{1,10}) days? ?)?"
    rb"(?:([+-]?)([0-9]{2,10}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?)?"
)


def _interval(spec: ChangeField, data: bytes) -> dict[str, int]:
    if data in (b"infinity", b"-infinity"):  # as interval_send has them, since PostgreSQL 17
        sign = 1 if data == b"infinity" else -1
        least = 1 if sign < 0 else 0
        return {
            "months": sign * (2**31 - 1) - least,
            "days": sign * (2**31 - 1) - least,
            "microseconds": sign * (2**63 - 1) - least,
        }
    found = _SPAN.fullmatch(data)
    if not found or not data or data.endswith(b" "):
        raise ValueError("no interval")
    years, months, days = (int(found[place] or 0) for place in (1, 2, 3))
    micros = 0
    if found[5]:
        minutes, seconds = int(found[6]), int(found[7])
        if minutes > 59 or seconds > 59:
            raise ValueError("no interval")
        whole = int(found[5]) * 3600 + minutes * 60 + seconds
        micros = whole * 1_000_000 + int((found[8] or b"").ljust(6, b"0"))
        micros = -micros if found[4] == b"-" else micros
    total = 12 * years + months
    if not -(2**31) <= total < 2**31 or not -(2**31) <= days < 2**31 or not -(2**63) <= micros < 2**63:
        raise ValueError("an interval no server has")
    return {"months": total, "days": days, "microseconds": micros}


def _numeric(spec: ChangeField, data: bytes) -> bytes:
    if not re.fullmatch(rb"-?[0-9]+(\.[0-9]+)?|NaN|-?Infinity", data):
        raise ValueError("no numeric")
    return data


def _bits(spec: ChangeField, data: bytes) -> bytes:
    if not re.fullmatch(rb"[01]*", data):
        raise ValueError("no bits")
    return int(data or b"0", 2).to_bytes((len(data) + 7) // 8, "big")


def _money(spec: ChangeField, data: bytes) -> bytes:
    if not re.fullmatch(rb"-?\$[0-9]{1,3}(,[0-9]{3})*\.[0-9]{2}", data):
        raise ValueError("no money")
    return data.replace(b"$", b"").replace(b",", b"")


def _char(spec: ChangeField, data: bytes) -> bytes:
    if len(data) > 4:
        raise ValueError("no character")
    return f"\\{data[0]:03o}".encode() if len(data) == 1 and data[0] > 127 else data


_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^{}"\\]+)', re.DOTALL)


def _elements(spec: ChangeField, data: bytes) -> bytes:
    """An array's text as JSON, as to_json writes it."""
    delimiter = spec.delimiter.encode()
    place = data.find(b"=") + 1 if data[:1] == b"[" else 0
    into = bytearray()
    depth, first, wanted = 0, False, True
    while place < len(data):
        character = data[place : place + 1]
        if wanted and character == b"{":
            depth += 1
            if depth > ARRAY_DEPTH:
                raise ValueError("an array of too many dimensions")
            into += b"["
            first = True
            place += 1
        elif character == b"}" and depth and (not wanted or first):
            depth -= 1
            into += b"]"
            wanted = first = False
            place += 1
        elif not wanted and depth and character == delimiter:
            into += b","
            wanted = True
            place += 1
        elif wanted and depth:
            place += _element(spec, data, place, delimiter, into)
            wanted = first = False
        else:
            raise ValueError("no array")
    if wanted or depth:
        raise ValueError("no array")
    return bytes(into)


def _element(spec: ChangeField, data: bytes, place: int, delimiter: bytes, into: bytearray) -> int:
    found = _TOKEN.match(data, place)
    if not found:
        raise ValueError("no element of an array")
    if found[1] is not None:
        if spec.form is not Form.ARRAY:
            raise ValueError("a number in quotes")
        into += _json_string(re.sub(rb"\\(.)", rb"\1", found[1], flags=re.DOTALL))
        return len(found[0])
    value = found[2].partition(delimiter)[0]
    following = data[place + len(value) : place + len(value) + 1]
    if not value or following not in (delimiter, b"}"):
        raise ValueError("no element of an array")
    if value == b"NULL":
        into += b"null"
    elif spec.form is Form.ARRAY:
        into += _json_string(value)
    elif spec.form is Form.BOOLS:
        into += b"true" if _bool(spec, value) else b"false"
    elif value in _UNENDING:
        into += b'"' + value + b'"'
    elif _FLOAT.fullmatch(value):
        into += value
    else:
        raise ValueError("no number")
    return len(value)


_ESCAPED = {8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r", 34: b'\\"', 92: b"\\\\"}


def _json_string(data: bytes) -> bytes:
    """As escape_json of the server."""
    parts = (
        _ESCAPED.get(byte) or (f"\\u{byte:04x}".encode() if byte < 32 else bytes([byte])) for byte in data
    )
    return b'"' + b"".join(parts) + b'"'


_PRINTED: Mapping[Form, Callable[[ChangeField, bytes], Any]] = {
    Form.NUMBER: _number,
    Form.BOOL: _bool,
    Form.TEXT: _as_is,
    Form.BYTEA: _bytea,
    Form.UUID: _uuid,
    Form.DATE: _date,
    Form.MOMENT: _moment,
    Form.TIME: _time,
    Form.INTERVAL: _interval,
    Form.NUMERIC: _numeric,
    Form.BITS: _bits,
    Form.MONEY: _money,
    Form.CHAR: _char,
    Form.JSONB: _as_is,
    Form.ARRAY: _elements,
    Form.NUMBERS: _elements,
    Form.BOOLS: _elements,
}

# ---------------------------------------------------------------- sent


def _sent_bool(spec: ChangeField, data: bytes) -> int:
    if data[0] > 1:
        raise ValueError("neither true nor false")
    return data[0]


def _sent_date(spec: ChangeField, data: bytes) -> int:
    (days,) = struct.unpack(">i", data)
    if days in (DATE_INFINITY, DATE_MINUS_INFINITY):
        return int(days)
    if days + EPOCH_DAYS >= DATE_INFINITY:
        raise ValueError("a day no server has")
    return int(days) + EPOCH_DAYS


def _sent_moment(spec: ChangeField, data: bytes) -> int:
    (micros,) = struct.unpack(">q", data)
    if micros in (TIME_INFINITY, TIME_MINUS_INFINITY):
        return int(micros)
    if micros + EPOCH_MICROS > LAST_MOMENT:
        raise OverflowError
    return int(micros) + EPOCH_MICROS


def _sent_time(spec: ChangeField, data: bytes) -> int:
    (micros,) = struct.unpack(">q", data)
    if not 0 <= micros <= DAY_MICROS:
        raise ValueError("no time of a day")
    return int(micros)


def _sent_interval(spec: ChangeField, data: bytes) -> dict[str, int]:
    micros, days, months = struct.unpack(">qii", data)
    return {"months": months, "days": days, "microseconds": micros}


def _sent_money(spec: ChangeField, data: bytes) -> bytes:
    (cents,) = struct.unpack(">q", data)
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole}.{rest:02}".encode()


def _sent_char(spec: ChangeField, data: bytes) -> bytes:
    return b"" if data == b"\0" else _char(spec, data)


def _sent_jsonb(spec: ChangeField, data: bytes) -> bytes:
    if data[:1] != b"\1":
        raise ValueError("jsonb of an unknown version")
    return data[1:]


def _sent_array(spec: ChangeField, data: bytes) -> bytes:
    raise ValueError("arrays are decoded from their text only")


_SENT: Mapping[Form, Callable[[ChangeField, bytes], Any]] = {
    Form.NUMBER: lambda spec, data: data[::-1],
    Form.BOOL: _sent_bool,
    Form.TEXT: _as_is,
    Form.BYTEA: _as_is,
    Form.UUID: _as_is,
    Form.DATE: _sent_date,
    Form.MOMENT: _sent_moment,
    Form.TIME: _sent_time,
    Form.INTERVAL: _sent_interval,
    Form.NUMERIC: lambda spec, data: numeric_text(data).encode(),
    Form.BITS: lambda spec, data: bits_right_aligned(data),
    Form.MONEY: _sent_money,
    Form.CHAR: _sent_char,
    Form.JSONB: _sent_jsonb,
    Form.ARRAY: _sent_array,
    Form.NUMBERS: _sent_array,
    Form.BOOLS: _sent_array,
}
