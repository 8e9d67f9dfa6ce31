"""What both decoders of MySQL rows agree on: wire types, and which image each can be read into.

Layouts: MySQL Source Code Documentation, "Binary Protocol Resultset" and "Column Definition Protocol".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import pyarrow as pa

UNSIGNED_FLAG = 0x20
MAX_PACKET = 0xFFFFFF
OFFSETS32_LIMIT = 2**31 - 1
FIRST_YEAR = 1  # MySQL's year 0 is no year of the calendar
MAX_DAYS = 1_000_000  # of a TIME; the servers' own limit is 838 hours
INPUT_BYTES = 1 << 20  # of the input buffer, when no row is longer


class Wire(IntEnum):
    """enum_field_types, as far as results carry them."""

    DECIMAL = 0
    TINY = 1
    SHORT = 2
    LONG = 3
    FLOAT = 4
    DOUBLE = 5
    NULL = 6
    TIMESTAMP = 7
    LONGLONG = 8
    INT24 = 9
    DATE = 10
    TIME = 11
    DATETIME = 12
    YEAR = 13
    NEWDATE = 14
    VARCHAR = 15
    BIT = 16
    VECTOR = 242
    JSON = 245
    NEWDECIMAL = 246
    ENUM = 247
    SET = 248
    TINY_BLOB = 249
    MEDIUM_BLOB = 250
    LONG_BLOB = 251
    BLOB = 252
    VAR_STRING = 253
    STRING = 254
    GEOMETRY = 255


# Bytes of an integer on the wire; INT24 comes as four, YEAR as two.
INTEGER_BYTES = {
    Wire.TINY: 1,
    Wire.SHORT: 2,
    Wire.YEAR: 2,
    Wire.LONG: 4,
    Wire.INT24: 4,
    Wire.LONGLONG: 8,
}
STRINGS = frozenset({Wire.DECIMAL, Wire.VARCHAR, Wire.BIT, *(wire for wire in Wire if wire >= Wire.VECTOR)})
DATES = frozenset({Wire.DATE, Wire.NEWDATE})
MOMENTS = frozenset({Wire.DATETIME, Wire.TIMESTAMP, *DATES})


@dataclass(frozen=True, slots=True)
class DecodeSpec:
    """One column of a result: as the server sends it (`wire`, `flags`) and as it is wanted.

    image: a value of engine.types.Image. arrow: the type of the batches' column. invalid: what becomes of a
    temporal value outside the calendar.
    """

    name: str
    wire: int
    flags: int
    image: str
    arrow: pa.DataType
    invalid: Literal["refuse", "null", "sentinel"] = "refuse"


class ServerError(Exception):
    """An ERR packet in place of a row: `errno`, `sqlstate` and `message` as the server gave them."""

    def __init__(self, errno: int, sqlstate: str, message: str) -> None:
        super().__init__(errno, message)
        self.errno = errno
        self.sqlstate = sqlstate
        self.message = message


class ProtocolError(Exception):
    """Bytes that are no result of the columns they should be of: cut, out of sequence, or garbage."""


class WireTypeError(ProtocolError):
    """A column that comes as another wire type than its image is read from: the table is not as planned."""


class Op(IntEnum):
    """How a value is decoded. The number is shared with the C code."""

    NOTHING = 0  # always NULL
    COPY = 1  # `size` bytes as they are
    INTEGER = 2  # `size` bytes to another width or sign, range checked
    WIDEN = 3  # float to double
    BYTES = 4  # length-encoded, 32-bit offsets
    LARGE_BYTES = 5  # the same with 64-bit offsets
    DATE = 6
    MOMENT = 7
    TIME = 8


@dataclass(frozen=True, slots=True)
class Codec:
    """size: bytes on the wire of a fixed-width value. width: bytes in the Arrow values buffer. low, high:
    what the Arrow integer holds. lengths: the only lengths a byte value may have, () for any."""

    op: Op
    size: int
    width: int
    signed: bool = True
    low: int = 0
    high: int = 0
    lengths: tuple[int, ...] = ()


_TEXTUAL = frozenset({"decimal", "text", "json", "set_text"})
_BINARY = frozenset({"bytes", "bits", "uuid", "inet", "geometry", "vector"})
_LENGTHS = {"uuid": (16,), "inet": (4, 16)}


def codec(spec: DecodeSpec) -> Codec:
    """How `spec` is decoded; WireTypeError when this wire type is not read into that image and Arrow type."""
    found = _codec(spec)
    if found is None:
        raise WireTypeError(
            f"column {spec.name} comes as wire type {spec.wire}, not read as {spec.image} ({spec.arrow})"
        )
    return found


def _codec(spec: DecodeSpec) -> Codec | None:
    arrow, image, wire = spec.arrow, spec.image, spec.wire
    if image in _TEXTUAL or image in _BINARY:
        large = pa.types.is_large_string(arrow) or pa.types.is_large_binary(arrow)
        fits = (
            pa.types.is_string(arrow) or pa.types.is_large_string(arrow)
            if image in _TEXTUAL
            else pa.types.is_binary(arrow) or pa.types.is_large_binary(arrow)
        )
        if not fits or (wire not in STRINGS and wire != Wire.NULL):
            return None
        lengths = _LENGTHS.get(image, ())
        return Codec(Op.LARGE_BYTES if large else Op.BYTES, 0, 8 if large else 4, lengths=lengths)
    if not _fixed_fits(image, arrow):
        return None
    width = arrow.bit_width // 8
    if wire == Wire.NULL:
        return Codec(Op.NOTHING, 0, width)
    if image in ("int", "bool", "set"):
        return _integer(spec, width) if wire in INTEGER_BYTES else None
    if image == "float":
        if wire == Wire.DOUBLE or (wire == Wire.FLOAT and width == 4):
            size = 8 if wire == Wire.DOUBLE else 4
            return Codec(Op.COPY, size, width) if size == width else None
        return Codec(Op.WIDEN, 4, 8) if wire == Wire.FLOAT else None
    if image == "date":
        return Codec(Op.DATE, 0, width) if wire in DATES else None
    if image == "duration":
        return Codec(Op.TIME, 0, width) if wire == Wire.TIME else None
    return Codec(Op.MOMENT, 0, width) if wire in MOMENTS else None


def _fixed_fits(image: str, arrow: pa.DataType) -> bool:
    match image:
        case "int":
            return bool(pa.types.is_integer(arrow))
        case "bool":
            return bool(arrow == pa.int8())
        case "set":
            return bool(arrow == pa.uint64())
        case "float":
            return bool(arrow == pa.float32() or arrow == pa.float64())
        case "date":
            return bool(arrow == pa.date32())
        case "timestamp":
            return bool(arrow == pa.timestamp("us"))
        case "timestamptz":
            return bool(pa.types.is_timestamp(arrow) and arrow.unit == "us" and arrow.tz is not None)
        case "duration":
            return bool(arrow == pa.duration("us"))
        case _:
            return False


def _integer(spec: DecodeSpec, width: int) -> Codec:
    size = INTEGER_BYTES[Wire(spec.wire)]
    signed = not spec.flags & UNSIGNED_FLAG and spec.wire != Wire.YEAR
    wanted = bool(pa.types.is_signed_integer(spec.arrow))
    if size == width and (signed == wanted or spec.image == "set"):
        return Codec(Op.COPY, size, width)
    bits = 8 * width
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if wanted else (0, (1 << bits) - 1)
    return Codec(Op.INTEGER, size, width, signed, low, high)


def printed_date(year: int, month: int, day: int) -> str:
    return f"{year:04}-{month:02}-{day:02}"


def printed_moment(year: int, month: int, day: int, hour: int, minute: int, second: int, micro: int) -> str:
    fraction = f".{micro:06}" if micro else ""
    return f"{printed_date(year, month, day)} {hour:02}:{minute:02}:{second:02}{fraction}"


def server_error(packet: bytes) -> ServerError:
    """The content of an ERR packet ("ERR_Packet"); text that is not UTF-8 is shown as far as it is."""
    errno = int.from_bytes(packet[1:3], "little")
    rest = packet[3:]
    state = ""
    if rest[:1] == b"#":
        state, rest = rest[1:6].decode("ascii", "replace"), rest[6:]
    return ServerError(errno, state, rest.decode("utf-8", "replace"))


def printed_row(packet: bytes, specs: Sequence[DecodeSpec]) -> list[str | None]:
    """Every value of a binary row as text for people: how a bad row is named. Bytes are in hexadecimal.

    Raises ProtocolError for a packet that is no row of these columns.
    """
    place = 1 + (len(specs) + 9) // 8
    texts: list[str | None] = []
    try:
        for number, spec in enumerate(specs):
            if packet[1 + (number + 2) // 8] >> (number + 2) % 8 & 1:
                texts.append(None)
                continue
            text, place = _printed(packet, place, spec)
            texts.append(text)
    except (IndexError, struct.error):
        raise ProtocolError("a row that is cut") from None
    return texts


def _printed(packet: bytes, place: int, spec: DecodeSpec) -> tuple[str, int]:
    wire = spec.wire
    if wire in INTEGER_BYTES:
        end = place + INTEGER_BYTES[Wire(wire)]
        signed = not spec.flags & UNSIGNED_FLAG
        return str(int.from_bytes(packet[place:end], "little", signed=signed)), end
    if wire == Wire.FLOAT:
        return str(struct.unpack_from("<f", packet, place)[0]), place + 4
    if wire == Wire.DOUBLE:
        return str(struct.unpack_from("<d", packet, place)[0]), place + 8
    length = packet[place]
    if wire in STRINGS:
        place += 1
        if length >= 251:
            size = {252: 2, 253: 3, 254: 8}[length]
            length = int.from_bytes(packet[place : place + size], "little")
            place += size
        value = packet[place : place + length]
        textual = spec.image in _TEXTUAL
        return value.decode("utf-8", "replace") if textual else value.hex(), place + length
    value = packet[place + 1 : place + 1 + length].ljust(12, b"\0")
    if wire == Wire.TIME:
        sign, days, hour, minute, second, micro = struct.unpack_from("<BIBBBI", value)
        fraction = f".{micro:06}" if micro else ""
        text = f"{'-' if sign else ''}{days * 24 + hour:02}:{minute:02}:{second:02}{fraction}"
    else:
        parts = struct.unpack_from("<HBBBBBI", value)
        text = printed_date(*parts[:3]) if wire in DATES else printed_moment(*parts)
    return text, place + 1 + length
