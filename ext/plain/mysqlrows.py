"""MySQL binary-protocol rows → Arrow record batches, in plain Python: the oracle of ext/mysqlrows.pyx."""

from __future__ import annotations

import calendar
import datetime as dt
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ext.mysqlwire import (
    FIRST_YEAR,
    INPUT_BYTES,
    MAX_DAYS,
    MAX_PACKET,
    OFFSETS32_LIMIT,
    Codec,
    DecodeSpec,
    Op,
    ProtocolError,
    codec,
    printed_date,
    printed_moment,
    server_error,
)
from ext.rowerror import RowError

__all__ = ["RowDecoder"]

_EPOCH = dt.date(1970, 1, 1)


class _Cut(Exception):
    """A row that is shorter, longer or other than its columns."""


class RowDecoder:
    """As ext.mysqlrows.RowDecoder."""

    def __init__(
        self,
        columns: Sequence[DecodeSpec],
        batch_rows: int = 65_536,
        batch_bytes: int = 8 << 20,
        sequence: int = 0,
        deprecate_eof: bool = False,
    ) -> None:
        if batch_rows < 1 or batch_bytes < 1:
            raise ValueError("batch_rows and batch_bytes are at least 1")
        self.specs = tuple(columns)
        self._codecs = [codec(spec) for spec in self.specs]
        self._schema = pa.schema([pa.field(spec.name, spec.arrow) for spec in self.specs])
        self._batch_rows = batch_rows
        self._batch_bytes = min(batch_bytes, OFFSETS32_LIMIT)
        self._deprecate_eof = deprecate_eof
        self._sequence = sequence & 0xFF
        self._input = bytearray()
        self._space = bytearray(INPUT_BYTES)
        self._parts: list[bytes] = []  # of the packet under way
        self._packet: bytes | None = None  # whole, not decoded yet
        self._rows: list[list[Any]] = []
        self._used = 0
        self._ended = False
        self._broken = False
        self._discarding = False
        self._touched: dict[str, int] = {}
        self.failed_row: bytes | None = None

    # ------------------------------------------------------------ input

    def space(self) -> memoryview:
        self._require_sound()
        return memoryview(self._space)

    def advance(self, received: int) -> None:
        if not 0 <= received <= len(self._space):
            raise ValueError("more than there was space for")
        self._input += self._space[:received]

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        self._require_sound()
        self._input += data

    def discard(self) -> None:
        self._discarding = True
        self._rows.clear()
        if self.failed_row is not None and self._broken:
            self._packet = None
            self._broken = False

    # ------------------------------------------------------------ output

    @property
    def finished(self) -> bool:
        return self._ended and not self._rows

    @property
    def rest(self) -> bytes:
        return bytes(self._input) if self._ended else b""

    @property
    def next_sequence(self) -> int:
        return self._sequence

    @property
    def touched(self) -> Mapping[str, int]:
        return self._touched

    def take(self) -> pa.RecordBatch | None:
        self._require_sound()
        try:
            while not self._ended:
                if self._packet is None:
                    self._packet = self._next_packet()
                if self._packet is None:
                    return None
                if self._one(self._packet):
                    return self._batch()
                self._packet = None
        except Exception:
            self._broken = True
            raise
        return self._batch() if self._rows else None

    def _require_sound(self) -> None:
        if self._broken:
            raise ProtocolError("the result failed before")

    # ------------------------------------------------------------ packets

    def _next_packet(self) -> bytes | None:
        while True:
            if len(self._input) < 4:
                return None
            length = int.from_bytes(self._input[:3], "little")
            if len(self._input) - 4 < length:
                return None
            number = self._input[3]
            goodbye = number == 0 and length > 0 and self._input[4] == 0xFF and not self._parts
            if number != self._sequence and not goodbye:
                raise ProtocolError("packets out of order")
            self._sequence = (self._sequence + 1) % 256
            self._parts.append(bytes(self._input[4 : 4 + length]))
            del self._input[: 4 + length]
            if length < MAX_PACKET:
                packet = b"".join(self._parts)
                self._parts.clear()
                return packet

    def _one(self, packet: bytes) -> bool:
        """True when the batch is full and the packet has to wait for the next."""
        kind = packet[:1]
        if kind == b"\xff" and len(packet) >= 3:
            raise server_error(packet)
        if kind == b"\xfe":
            sizes = range(7, MAX_PACKET) if self._deprecate_eof else (1, 5)
            if len(packet) in sizes:
                self._ended = True
                return False
        if kind != b"\0":
            raise ProtocolError(f"a packet of {len(packet)} bytes is no row of {len(self.specs)} columns")
        if self._discarding:
            return False
        rows = len(self._rows)
        if rows and (rows >= self._batch_rows or self._used + len(packet) > self._batch_bytes):
            return True
        try:
            self._rows.append(self._row(packet))
        except (_Cut, IndexError, struct.error):
            raise ProtocolError(
                f"a packet of {len(packet)} bytes is no row of {len(self.specs)} columns"
            ) from None
        except RowError:
            self.failed_row = packet
            raise
        self._used += len(packet)
        return False

    def _batch(self) -> pa.RecordBatch:
        columns = zip(*self._rows, strict=True) if self.specs else ()
        arrays = [_array(list(values), spec.arrow) for values, spec in zip(columns, self.specs, strict=True)]
        self._rows, self._used = [], 0
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    # ------------------------------------------------------------ one row

    def _row(self, packet: bytes) -> list[Any]:
        count = len(self.specs)
        nulls = int.from_bytes(packet[1 : 1 + (count + 9) // 8], "little") >> 2
        place = 1 + (count + 9) // 8
        if len(packet) < place:
            raise _Cut
        values: list[Any] = []
        for number, (spec, how) in enumerate(zip(self.specs, self._codecs, strict=True)):
            if nulls >> number & 1:
                values.append(None)
                continue
            value, place = self._value(packet, place, number, spec, how)
            values.append(value)
        if place != len(packet):
            raise _Cut
        return values

    def _value(self, packet: bytes, place: int, number: int, spec: DecodeSpec, how: Codec) -> tuple[Any, int]:
        match how.op:
            case Op.COPY:
                return _taken(packet, place, how.size), place + how.size
            case Op.WIDEN:
                (narrow,) = struct.unpack("<f", _taken(packet, place, 4))
                return struct.pack("<d", narrow), place + 4
            case Op.INTEGER:
                value = int.from_bytes(_taken(packet, place, how.size), "little", signed=how.signed)
                if not how.low <= value <= how.high:
                    raise RowError(number, len(self._rows), "out-of-range", str(value))
                return value.to_bytes(how.width, "little", signed=value < 0), place + how.size
            case Op.BYTES | Op.LARGE_BYTES:
                return self._bytes(packet, place, number, how)
            case Op.DATE | Op.MOMENT:
                return self._moment(packet, place, number, spec, how)
            case Op.TIME:
                return _time(packet, place)
            case _:
                raise _Cut

    def _bytes(self, packet: bytes, place: int, number: int, how: Codec) -> tuple[bytes, int]:
        length = packet[place]
        place += 1
        if length >= 251:
            size = {252: 2, 253: 3, 254: 8}.get(length)
            if size is None:
                raise _Cut
            length = int.from_bytes(_taken(packet, place, size), "little")
            place += size
        value = _taken(packet, place, length)
        if how.lengths and length not in how.lengths:
            if length >= 251:
                raise _Cut
            raise RowError(number, len(self._rows), "bad-length", value.hex())
        return value, place + length

    def _moment(
        self, packet: bytes, place: int, number: int, spec: DecodeSpec, how: Codec
    ) -> tuple[bytes | None, int]:
        length = packet[place]
        if length not in (0, 4, 7, 11):
            raise _Cut
        fields = struct.unpack("<HBBBBBI", _taken(packet, place + 1, length).ljust(11, b"\0"))
        year, month, day, hour, minute, second, micro = fields
        place += 1 + length
        date = how.op is Op.DATE
        if max(minute, second) > 59 or hour > 23 or micro > 999_999 or year > 9999 or month > 12 or day > 31:
            raise _Cut
        if date and any(fields[3:]):
            raise _Cut
        inside = year >= FIRST_YEAR and month > 0 and 0 < day <= calendar.monthrange(year, month)[1]
        if inside:
            days = (dt.date(year, month, day) - _EPOCH).days
            if date:
                return struct.pack("<i", days), place
            seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
            return struct.pack("<q", seconds * 1_000_000 + micro), place
        if spec.invalid == "refuse":
            text = printed_date(*fields[:3]) if date else printed_moment(*fields)
            raise RowError(number, len(self._rows), "zero-date", text)
        self._touched[spec.name] = self._touched.get(spec.name, 0) + 1
        least = struct.pack("<i", -(2**31)) if date else struct.pack("<q", -(2**63))
        return (None if spec.invalid == "null" else least), place


def _taken(packet: bytes, place: int, size: int) -> bytes:
    if size > len(packet) - place:
        raise _Cut
    return packet[place : place + size]


def _time(packet: bytes, place: int) -> tuple[bytes, int]:
    length = packet[place]
    if length not in (0, 8, 12):
        raise _Cut
    fields = struct.unpack("<BIBBBI", _taken(packet, place + 1, length).ljust(12, b"\0"))
    negative, days, hour, minute, second, micro = fields
    if negative > 1 or days > MAX_DAYS or hour > 23 or max(minute, second) > 59 or micro > 999_999:
        raise _Cut
    value = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micro
    return struct.pack("<q", -value if negative else value), place + 1 + length


def _array(values: list[bytes | None], wanted: pa.DataType) -> pa.Array:
    """Every value is given as the bytes Arrow holds it in."""
    valid = pa.array([value is not None for value in values])
    nulls = sum(value is None for value in values)
    bitmap = valid.buffers()[1] if nulls else None
    if pa.types.is_string(wanted) or pa.types.is_binary(wanted):
        return pa.array(values, pa.binary()).view(wanted)
    if pa.types.is_large_string(wanted) or pa.types.is_large_binary(wanted):
        return pa.array(values, pa.large_binary()).view(wanted)
    width = wanted.bit_width // 8
    data = b"".join(bytes(width) if value is None else value for value in values)
    return pa.Array.from_buffers(wanted, len(values), [bitmap, pa.py_buffer(data)], null_count=nulls)
