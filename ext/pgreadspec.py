"""What both decoders of PostgreSQL's binary COPY agree on: the layout, and how each field becomes Arrow.

Layouts: PostgreSQL documentation, "COPY", section "Binary Format"; the fields are what the types' send
functions write, all in network byte order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import pyarrow as pa

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER_BYTES = len(SIGNATURE) + 8  # flags and the length of the extension
CRITICAL_FLAGS = 0xFFFF0000
MAX_EXTENSION = 1 << 20
MAX_FIELDS = 32_767
OFFSETS32_LIMIT = 2**31 - 1

EPOCH_DAYS = 10_957  # from 1970-01-01 to 2000-01-01
EPOCH_MICROS = EPOCH_DAYS * 86_400_000_000
DAY_MICROS = 86_400_000_000
DATE_INFINITY = 2**31 - 1
DATE_MINUS_INFINITY = -(2**31)
TIME_INFINITY = 2**63 - 1
TIME_MINUS_INFINITY = -(2**63)

NUMERIC_NEGATIVE = 0x4000
NUMERIC_NAN = 0xC000
NUMERIC_INFINITY = 0xD000
NUMERIC_MINUS_INFINITY = 0xF000
NUMERIC_MAX_SCALE = 0x3FFF


class Op(IntEnum):
    """How a field is decoded. The number is shared with the C code."""

    FIXED = 1  # a number of 2, 4 or 8 bytes
    BOOL = 2
    BYTES = 3  # as they are, 32-bit offsets
    LARGE_BYTES = 4  # the same with 64-bit offsets
    UUID = 5
    DATE = 6
    MOMENT = 7  # timestamp and timestamptz
    TIME = 8
    INTERVAL = 9
    NUMERIC = 10  # to text
    BITS = 11  # to bytes, right-aligned


INTERVAL = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])

# Bytes on the wire (0: any) and in Arrow (of an offset, for variable ones); Arrow types each op makes.
_FIXED = {
    pa.int16(): 2,
    pa.int32(): 4,
    pa.uint32(): 4,
    pa.int64(): 8,
    pa.float32(): 4,
    pa.float64(): 8,
}
_ARROW: Mapping[Op, tuple[pa.DataType, ...]] = {
    Op.FIXED: tuple(_FIXED),
    Op.BOOL: (pa.int8(),),
    Op.BYTES: (pa.string(), pa.binary()),
    Op.LARGE_BYTES: (pa.large_string(), pa.large_binary()),
    Op.UUID: (pa.binary(),),
    Op.DATE: (pa.date32(),),
    Op.MOMENT: (pa.timestamp("us"), pa.timestamp("us", "UTC")),
    Op.TIME: (pa.duration("us"),),
    Op.INTERVAL: (INTERVAL,),
    Op.NUMERIC: (pa.string(),),
    Op.BITS: (pa.binary(),),
}
_WIRE = {Op.BOOL: 1, Op.UUID: 16, Op.DATE: 4, Op.MOMENT: 8, Op.TIME: 8, Op.INTERVAL: 16}
_WIDTH = {
    Op.BOOL: 1,
    Op.BYTES: 4,
    Op.LARGE_BYTES: 8,
    Op.UUID: 4,
    Op.DATE: 4,
    Op.MOMENT: 8,
    Op.TIME: 8,
    Op.INTERVAL: 8,
    Op.NUMERIC: 4,
    Op.BITS: 4,
}
VARIABLE = frozenset({Op.BYTES, Op.LARGE_BYTES, Op.UUID, Op.NUMERIC, Op.BITS})


class CopyError(Exception):
    """Bytes that are no binary COPY of the columns they should be of: cut, garbage, or of other types."""


class ConnectionCut(Exception):
    """libpq says that the connection failed in the middle of the rows."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One column of a COPY: how its fields are decoded and the Arrow type of the batches' column."""

    name: str
    op: Op
    arrow: pa.DataType

    def __post_init__(self) -> None:
        if self.arrow not in _ARROW[self.op]:
            raise ValueError(f"{self.name}: {self.op.name} does not make {self.arrow}")

    @property
    def wire_bytes(self) -> int:
        """Of every field; 0 for fields of any length."""
        return _FIXED[self.arrow] if self.op is Op.FIXED else _WIRE.get(self.op, 0)

    @property
    def width(self) -> int:
        """Bytes of one value in the Arrow buffer, of one offset where values vary in length."""
        return _FIXED[self.arrow] if self.op is Op.FIXED else _WIDTH[self.op]


# ---------------------------------------------------------------- values for people


def numeric_text(data: bytes) -> str:
    """A numeric as the server prints it; ValueError for bytes that are none."""
    if len(data) < 8:
        raise ValueError("a numeric of less than 8 bytes")
    count, weight, sign, scale = struct.unpack_from(">HhHH", data)
    if len(data) != 8 + 2 * count or scale > NUMERIC_MAX_SCALE:
        raise ValueError("a numeric whose length is not what it says")
    special = {NUMERIC_NAN: "NaN", NUMERIC_INFINITY: "Infinity", NUMERIC_MINUS_INFINITY: "-Infinity"}
    if sign in special:
        if count:
            raise ValueError("a special numeric with digits")
        return special[sign]
    if sign not in (0, NUMERIC_NEGATIVE):
        raise ValueError("a numeric with an unknown sign")
    digits = struct.unpack_from(f">{count}H", data, 8)
    if any(digit > 9999 for digit in digits):
        raise ValueError("a numeric with a digit above 9999")
    groups = {weight - place: digit for place, digit in enumerate(digits)}
    whole = "".join(f"{groups.get(place, 0):04}" for place in range(weight if count else -1, -1, -1))
    after = range(-1, -1 - (scale + 3) // 4, -1)
    fraction = "".join(f"{groups.get(place, 0):04}" for place in after)[:scale]
    text = (whole.lstrip("0") or "0") + ("." + fraction if scale else "")
    return ("-" if sign else "") + text


def bits_right_aligned(data: bytes) -> bytes:
    """The bytes of a bit string with its last bit in the lowest place; ValueError for bytes that are none."""
    if len(data) < 4:
        raise ValueError("a bit string of less than 4 bytes")
    count: int = struct.unpack_from(">i", data)[0]
    size = (count + 7) // 8
    if count < 0 or len(data) != 4 + size:
        raise ValueError("a bit string whose length is not what it says")
    value: int = int.from_bytes(data[4:], "big") >> (8 * size - count)
    return value.to_bytes(size, "big")


def civil_date(days: int) -> str:
    """ISO date of a day counted from 1970-01-01, any year, BC as PostgreSQL writes it."""
    # Days of 400 years are always the same; the rest is the calendar of the years 1..400.
    era, rest = divmod(days + 719_468, 146_097)
    of_era = (rest - rest // 1460 + rest // 36_524 - rest // 146_096) // 365
    of_year = rest - (365 * of_era + of_era // 4 - of_era // 100)
    shifted = (5 * of_year + 2) // 153
    day = of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = of_era + era * 400 + (month <= 2)
    return f"{year:04}-{month:02}-{day:02}" if year > 0 else f"{1 - year:04}-{month:02}-{day:02} BC"


def moment_text(micros: int) -> str:
    """A timestamp counted from 2000-01-01, as PostgreSQL writes it."""
    if micros == TIME_INFINITY:
        return "infinity"
    if micros == TIME_MINUS_INFINITY:
        return "-infinity"
    days, rest = divmod(micros, DAY_MICROS)
    date, _, era = civil_date(days + EPOCH_DAYS).partition(" ")
    return f"{date} {clock_text(rest)}" + (f" {era}" if era else "")


def clock_text(micros: int) -> str:
    seconds, fraction = divmod(micros, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return text + (f".{fraction:06}".rstrip("0") if fraction else "")


def _date_text(days: int) -> str:
    infinities = {DATE_INFINITY: "infinity", DATE_MINUS_INFINITY: "-infinity"}
    return infinities.get(days) or civil_date(days + EPOCH_DAYS)


def _number(code: str) -> Callable[[bytes], str]:
    return lambda data: str(struct.unpack(f">{code}", data)[0])


_CODES = {
    pa.int16(): "h",
    pa.int32(): "i",
    pa.uint32(): "I",
    pa.int64(): "q",
    pa.float32(): "f",
    pa.float64(): "d",
}
_PRINT: Mapping[Op, Callable[[bytes], str]] = {
    Op.BOOL: lambda data: "t" if data[0] else "f",
    Op.UUID: lambda data: (
        f"{data.hex()[:8]}-{data.hex()[8:12]}-{data.hex()[12:16]}-{data.hex()[16:20]}-{data.hex()[20:]}"
    ),
    Op.DATE: lambda data: _date_text(struct.unpack(">i", data)[0]),
    Op.MOMENT: lambda data: moment_text(struct.unpack(">q", data)[0]),
    Op.TIME: lambda data: clock_text(struct.unpack(">q", data)[0]),
    Op.NUMERIC: numeric_text,
}


def printed_field(spec: FieldSpec, data: bytes | None, longest: int = 200) -> str:
    """A field for people, at most `longest` characters; bytes and what is malformed in hexadecimal."""
    if data is None:
        return "NULL"
    try:
        if spec.op is Op.FIXED:
            return _number(_CODES[spec.arrow])(data)
        if spec.arrow in (pa.string(), pa.large_string()) and spec.op is not Op.NUMERIC:
            return data[: 4 * longest].decode(errors="backslashreplace")[:longest]
        if spec.op in _PRINT:
            return _PRINT[spec.op](data)[:longest]
    except (ValueError, struct.error, IndexError):
        pass
    return data[: longest // 2].hex()


def printed_row(row: bytes, specs: Sequence[FieldSpec]) -> list[str]:
    """The fields of one tuple for people."""
    texts = []
    place = 2
    for spec in specs:
        (size,) = struct.unpack_from(">i", row, place)
        place += 4
        data = None if size < 0 else row[place : place + size]
        texts.append(printed_field(spec, data))
        place += max(0, size)
    return texts
