"""The plain twin of `ext.mysqlload`: the same rows of LOAD DATA text, a value at a time."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa

from ext.rowerror import RowError, printed

CALENDAR_FIRST = -62_135_596_800_000_000
CALENDAR_LAST = 253_402_300_799_999_999
TIME_LAST = 3_020_399_999_999

_DAY = 86_400_000_000
_EPOCH = date(1970, 1, 1).toordinal()
_NULL = b"\\N"
_LOW = {32: -(2**31), 64: -(2**63)}
_HIGH = {32: 2**31 - 1, 64: 2**63 - 1}
_NUMBER = re.compile(r"(-?)(\d*)(?:\.(\d*))?\Z", re.ASCII)
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|(-?\d[\d.eE+-]*|-)', re.DOTALL)


class LoadSpec(NamedTuple):
    column: str
    encoder: str
    options: Mapping[str, Any] = {}


class Refused(Exception):
    """The reason a value cannot go."""


class Day(NamedTuple):
    number: int


class Single(NamedTuple):
    value: float


class Field:
    """A column's options, and what its policies have changed in this batch."""

    def __init__(self, spec: LoadSpec) -> None:
        self.spec = spec
        self.touched: dict[str, int] = {}

    def get(self, option: str, default: Any = None) -> Any:
        return self.spec.options.get(option, default)

    def touch(self, policy: str) -> None:
        self.touched[policy] = self.touched.get(policy, 0) + 1


class LoadEncoder:
    """As `ext.mysqlload.LoadEncoder`, except that a view it returned stays as it is."""

    def __init__(self, specs: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
        self.counters: dict[tuple[str, str], int] = {}
        self._specs = [LoadSpec(*spec) for spec in specs]
        for spec in self._specs:
            if spec.encoder not in ENCODERS:
                raise ValueError(f"{spec.column}: no encoder {spec.encoder!r}")

    def encode(self, batch: pa.RecordBatch) -> memoryview:
        if batch.num_columns != len(self._specs):
            raise ValueError(f"{batch.num_columns} columns where {len(self._specs)} are encoded")
        fields = [Field(spec) for spec in self._specs]
        out = bytearray()
        for row in range(batch.num_rows):
            cells = []
            for number, field in enumerate(fields):
                try:
                    cells.append(_cell(batch.column(number)[row], field))
                except Refused as refused:
                    raise RowError(number, row, str(refused), printed(batch.column(number), row)) from None
            out += b"\t".join(cells) + b"\n"
        for field in fields:
            for policy, count in field.touched.items():
                key = field.spec.column, policy
                self.counters[key] = self.counters.get(key, 0) + count
        return memoryview(bytes(out))


def _cell(scalar: pa.Scalar, field: Field) -> bytes:
    encoded = None
    if scalar.is_valid:
        encoded = ENCODERS[field.spec.encoder](_value(scalar), field)
    if encoded is None:
        if field.get("not_null"):
            raise Refused("null-refused")
        return _NULL
    return encoded.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n")


def _value(scalar: pa.Scalar) -> Any:
    """bool, int, float, Single, Decimal, bytes or a dict of parts; moments are integers."""
    kind = scalar.type
    if pa.types.is_date32(kind):
        return Day(scalar.value)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return scalar.value
    if pa.types.is_float32(kind):
        return Single(scalar.as_py())
    if (
        pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_float64(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_struct(kind)
    ):
        return scalar.as_py()
    return bytes(scalar.as_buffer().to_pybytes())


# ---------------------------------------------------------------- numbers


def _spelled(value: Any) -> tuple[bool, str, str]:
    """Sign, digits before the point without leading zeros, digits behind it without trailing ones."""
    text = f"{value:f}" if isinstance(value, Decimal) else value.decode("latin-1")
    found = _NUMBER.match(text)
    if not found or not (found[2] or found[3]):
        raise Refused("bad-number")
    whole, fraction = found[2].lstrip("0"), (found[3] or "").rstrip("0")
    return bool(found[1]) and bool(whole or fraction), whole, fraction


def _special(value: Any, field: Field) -> bool:
    if not isinstance(value, bytes) or value not in (b"NaN", b"Infinity", b"-Infinity"):
        return False
    return _not_a_number(field)


def _not_a_number(field: Field) -> bool:
    if field.get("nan", "refuse") != "null":
        raise Refused("nan")
    field.touch("nan")
    return True


def _integer(value: Any, field: Field) -> bytes | None:
    if _special(value, field):
        return None
    if isinstance(value, bytes | Decimal):
        negative, whole, fraction = _spelled(value)
        if fraction:
            raise Refused("scale-cut")
        value = -int(whole or "0") if negative else int(whole or "0")
    if not field.get("least", -(2**63)) <= value <= field.get("most", 2**63 - 1):
        raise Refused("out-of-range")
    _check_flag(value, field)
    return str(int(value)).encode()


def _check_flag(value: int, field: Field) -> None:
    if field.get("flag") and value not in (0, 1):
        raise Refused("not-boolean")


def _year(value: int, field: Field) -> bytes:
    if value and not 1901 <= value <= 2155:
        raise Refused("out-of-range")
    return f"{value:04}".encode()


def _decimal(value: Any, field: Field) -> bytes | None:
    if _special(value, field):
        return None
    if not isinstance(value, bytes | Decimal):
        _check_flag(value, field)
        value = str(int(value)).encode()
    negative, whole, fraction = _spelled(value)
    scale = field.get("scale", 0)
    if len(whole) > field.get("precision", 65) - scale or (negative and field.get("unsigned")):
        raise Refused("out-of-range")
    if len(fraction) > scale:
        raise Refused("scale-cut")
    return (("-" if negative else "") + (whole or "0") + (f".{fraction}" if fraction else "")).encode()


def _floating(digits: int) -> Callable[[Any, Field], bytes | None]:
    def encode(value: Any, field: Field) -> bytes | None:
        number = value.value if isinstance(value, Single) else value
        if isinstance(number, int):
            if abs(number) > 2**digits:
                raise Refused("inexact")
            return str(int(number)).encode()
        if number != number or number in (float("inf"), float("-inf")):
            _not_a_number(field)
            return None
        if digits == 24 and not isinstance(value, Single) and not _is_single(number):
            raise Refused("inexact")
        return repr(number).removesuffix(".0").encode()

    return encode


def _is_single(number: float) -> bool:
    try:
        return bool(pa.array([number], pa.float32())[0].as_py() == number)
    except (pa.ArrowInvalid, OverflowError):
        return False


# ---------------------------------------------------------------- moments


def _infinite(high: bool, field: Field) -> bytes | None:
    policy = field.get("high" if high else "low", "refuse")
    if policy == "refuse":
        raise Refused("infinity")
    field.touch("infinity")
    if policy == "null":
        return None
    if policy == "zero":
        return b"0000-00-00"
    moment = field.get("first", CALENDAR_FIRST) if policy == "first" else field.get("last", CALENDAR_LAST)
    if field.spec.encoder == "date":
        return _shown(moment)[:10]
    return _shown(moment - moment % (field.get("unit") or 1))


def _shown(micros: int) -> bytes:
    day, rest = divmod(micros, _DAY)
    seconds, fraction = divmod(rest, 1_000_000)
    text = date.fromordinal(_EPOCH + day).isoformat()
    text += f" {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return (text + (f".{fraction:06}" if fraction else "")).encode()


def _moment(value: Any, field: Field) -> bytes | None:
    number, bits = (value.number, 32) if isinstance(value, Day) else (value, 64)
    if number in (_LOW[bits], _HIGH[bits]):
        return _infinite(number > 0, field)
    micros = number * _DAY if isinstance(value, Day) else number
    first, last = field.get("first", CALENDAR_FIRST), field.get("last", CALENDAR_LAST)
    if not first <= micros <= last:
        raise Refused("out-of-range")
    if micros % (field.get("unit") or 1):
        raise Refused("fraction-cut")
    return _shown(micros)[:10] if field.spec.encoder == "date" else _shown(micros)


def _time(value: int, field: Field) -> bytes:
    if not field.get("first", -TIME_LAST) <= value <= field.get("last", TIME_LAST):
        raise Refused("out-of-range")
    if value % (field.get("unit") or 1):
        raise Refused("fraction-cut")
    seconds, fraction = divmod(abs(value), 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return (("-" if value < 0 else "") + text + (f".{fraction:06}" if fraction else "")).encode()


_ENDLESS = {
    (2**31 - 1, 2**31 - 1, 2**63 - 1): b"infinity",
    (-(2**31), -(2**31), -(2**63)): b"-infinity",
}


def _interval(value: Mapping[str, int], field: Field) -> bytes | None:
    months, days, micros = value.values()
    word = _ENDLESS.get((months, days, micros))
    if word is not None:
        policy = field.get("high" if months > 0 else "low", "refuse")
        if policy == "refuse":
            raise Refused("infinity")
        field.touch("infinity")
        return None if policy == "null" else word
    text = "P" + _part(months, 12, "Y", "M") + (f"{days}D" if days else "")
    if micros:
        sign, size = ("-" if micros < 0 else ""), abs(micros)
        hours, minutes = size // 3_600_000_000, size // 60_000_000 % 60
        text += "T" + (f"{sign}{hours}H" if hours else "") + (f"{sign}{minutes}M" if minutes else "")
        rest = timedelta(microseconds=size % 60_000_000)
        if rest:
            fraction = f".{rest.microseconds:06}".rstrip("0") if rest.microseconds else ""
            text += f"{sign}{rest.seconds}{fraction}S"
    return ("PT0S" if text == "P" else text).encode()


def _part(value: int, base: int, big: str, small: str) -> str:
    sign, size = ("-" if value < 0 else ""), abs(value)
    high, low = divmod(size, base)
    return (f"{sign}{high}{big}" if high else "") + (f"{sign}{low}{small}" if low else "")


# ---------------------------------------------------------------- text and bytes


def _text(value: Any, field: Field) -> bytes:
    if isinstance(value, Decimal):
        value = f"{value:f}".encode()
    elif isinstance(value, int):
        value = str(int(value)).encode()
    value = _valid(value, field)
    _check_length(value, field)
    if field.get("blanks") and value.endswith(b" "):
        raise Refused("blanks-cut")
    if field.get("bmp") and any(byte >= 0xF0 for byte in value):
        raise Refused("not-in-charset")
    labels = field.get("labels", ())
    if labels and value.decode() not in labels:
        raise Refused("unknown-label")
    return bytes(value)


def _valid(value: bytes, field: Field) -> bytes:
    """Each byte that is no UTF-8 is replaced by itself, by policy."""
    try:
        value.decode()
        return value
    except UnicodeDecodeError:
        if field.get("invalid", "refuse") != "replace":
            raise Refused("invalid-utf8") from None
    field.touch("invalidText")
    out, at = bytearray(), 0
    while at < len(value):
        for size in (1, 2, 3, 4):
            try:
                value[at : at + size].decode()
            except UnicodeDecodeError:
                continue
            out += value[at : at + size]
            at += size
            break
        else:
            out += b"\xef\xbf\xbd"
            at += 1
    return bytes(out)


def _check_length(value: bytes, field: Field) -> None:
    octets, chars = field.get("octets", -1), field.get("chars", -1)
    if (0 <= octets < len(value)) or (0 <= chars < len(value.decode())):
        raise Refused("too-long")


def _bytes(value: bytes, field: Field) -> bytes:
    if 0 <= field.get("octets", -1) < len(value):
        raise Refused("too-long")
    if 0 <= field.get("exact", -1) != len(value):
        raise Refused("bad-length")
    return value


def _bits(value: bytes, field: Field) -> bytes:
    number = int.from_bytes(value, "big")
    if number.bit_length() > field.get("width", 64):
        raise Refused("out-of-range")
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")


def _set(value: int, field: Field) -> bytes:
    labels = field.get("labels", ())
    if value < 0 or value >> len(labels):
        raise Refused("unknown-label")
    text = ",".join(label for bit, label in enumerate(labels) if value >> bit & 1)
    if 0 <= field.get("chars", -1) < len(text):
        raise Refused("too-long")
    return text.encode()


def _json(value: bytes, field: Field) -> bytes:
    value = _valid(value, field)
    if 0 <= field.get("octets", -1) < len(value):
        raise Refused("too-long")
    if field.get("exact_numbers"):
        for found in _JSON_TOKEN.finditer(value.decode()):
            if found[1] is not None and not _is_exact(found[1]):
                raise Refused("inexact")
    return value


def _is_exact(text: str) -> bool:
    try:
        number = Decimal(text)
    except ArithmeticError:
        return True  # no number at all: the server says what it is
    if re.fullmatch(r"-?\d+", text) and -(2**63) <= int(text) < 2**64:
        return True
    wide = float(text)
    return wide not in (float("inf"), float("-inf")) and Decimal(json.dumps(wide)) == number


def _uuid(value: bytes, field: Field) -> bytes:
    if len(value) != 16:
        raise Refused("bad-length")
    return str(uuid.UUID(bytes=value)).encode()


def _inet(value: bytes, field: Field) -> bytes:
    if len(value) == 4:
        return str(ipaddress.IPv4Address(value)).encode()
    if len(value) != 16:
        raise Refused("bad-length")
    return socket.inet_ntop(socket.AF_INET6, value).encode()


ENCODERS: Mapping[str, Callable[[Any, Field], bytes | None]] = {
    "integer": _integer,
    "year": _year,
    "decimal": _decimal,
    "float": _floating(24),
    "double": _floating(53),
    "text": _text,
    "bytes": _bytes,
    "bits": _bits,
    "date": _moment,
    "datetime": _moment,
    "time": _time,
    "interval": _interval,
    "uuid_text": _uuid,
    "inet_text": _inet,
    "set_text": _set,
    "json": _json,
}
