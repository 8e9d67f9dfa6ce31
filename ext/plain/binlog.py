"""Row events of the binary log → Arrow arrays, in plain Python: the oracle of ext/binlog.pyx."""

from __future__ import annotations

import calendar
import datetime as dt
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from ext.binlogjson import decimal_text, json_steps
from ext.binloglater import later
from ext.binlogspec import (
    INSERTS,
    ROWS,
    ROWS_V2,
    UPDATES,
    Changes,
    Field,
    JsonChanges,
    Log,
    LogCodec,
    LogColumn,
    ProtocolError,
    Read,
    Shape,
    TableMap,
    log_codec,
)
from ext.binlogtable import Bytes
from ext.mysqlwire import FIRST_YEAR, printed_date, printed_moment
from ext.plain.binlogjson import json_bytes, json_text
from ext.rowerror import SHOWN, RowError

__all__ = ["RowsDecoder", "json_text"]

_EPOCH = dt.date(1970, 1, 1)
_VARIABLE = frozenset(
    {
        Read.DECIMAL,
        Read.BYTES,
        Read.PADDED,
        Read.SINGLE,
        Read.WIDE,
        Read.LABEL,
        Read.SET_LABELS,
        Read.JSON,
        Read.LATER,
    }
)
Row = list[bytes | None]


class _Bad(Exception):
    """Bytes that are no row of these columns."""


class _Moment(NamedTuple):
    year: int
    month: int
    day: int
    hour: int = 0
    minute: int = 0
    second: int = 0
    micro: int = 0


class RowsDecoder:
    """As ext.binlog.RowsDecoder."""

    def __init__(self, table: TableMap, columns: Sequence[LogColumn | None]) -> None:
        self.table = table
        self.columns = tuple(columns)
        if len(self.columns) != len(table.columns):
            raise ValueError(f"{len(self.columns)} columns for a table of {len(table.columns)}")
        self._codecs = [log_codec(*pair) for pair in zip(table.columns, self.columns, strict=True)]
        self._wanted = [number for number, column in enumerate(self.columns) if column is not None]
        self._json = [number for number, column in enumerate(table.columns) if column.type == Field.JSON]
        self._lost: dict[str, int] = {}
        self._broken = False
        self._clear()

    def _clear(self) -> None:
        self._before: list[Row] = []
        self._after: list[Row] = []
        self._tags: list[int] = []
        self._shape: list[int] = []
        self._shapes: list[Shape] = []
        self._diffs: list[JsonChanges] = []
        self.used = 0

    @property
    def rows(self) -> int:
        return len(self._tags)

    @property
    def touched(self) -> Mapping[str, int]:
        return self._lost

    def add(self, kind: int, body: bytes, tag: int = 0) -> int:
        if self._broken:
            raise ProtocolError("the decoder failed before")
        if kind not in ROWS:
            raise ProtocolError(f"an event of type {kind} has no rows")
        first = len(self._tags)
        self._broken = True
        try:
            self._event(kind, body, tag)
        except _Bad:
            raise self._garbage(body) from None
        self.used += len(body)
        self._broken = False
        return len(self._tags) - first

    def take(self) -> Changes:
        if self._broken:
            raise ProtocolError("the decoder failed before")
        self._broken = True
        changes = Changes(
            pa.array(self._tags, pa.int64()),
            pa.array(self._shape, pa.uint16()),
            tuple(self._shapes),
            self._batch(self._before),
            self._batch(self._after),
            tuple(self._diffs),
        )
        self._clear()
        self._broken = False
        return changes

    # ------------------------------------------------------------ events

    def _garbage(self, body: bytes) -> ProtocolError:
        return ProtocolError(
            f"a rows event of {len(body)} bytes holds no rows of {len(self._codecs)} columns"
        )

    def _event(self, kind: int, body: bytes, tag: int) -> None:
        reader = Bytes(body)
        count = len(self._codecs)
        size = (count + 7) // 8
        insert, update = kind in INSERTS, kind in UPDATES
        try:
            reader.take(8)
            if kind in ROWS_V2:
                extra = reader.number(2)
                reader.take(extra - 2 if extra >= 2 else len(body))
            if reader.packed() != count:
                raise _Bad
            before = None if insert else _bits(reader.take(size), count)
            after = _bits(reader.take(size), count) if insert or update else None
        except ProtocolError:
            raise _Bad from None
        shape = self._shape_of(before, after)
        if not any(before or ()) and not any(after or ()) and reader.left:
            raise _Bad
        while reader.left:
            self._change(reader, kind, before, after)
            self._tags.append(tag)
            self._shape.append(shape)

    def _shape_of(self, before: list[bool] | None, after: list[bool] | None) -> int:
        first, second = (
            tuple(bits is not None and bits[number] for number in self._wanted) for bits in (before, after)
        )
        if before is None:
            shape = Shape("insert", first, second)
        else:
            shape = Shape("delete" if after is None else "update", first, second)
        if shape not in self._shapes:
            self._shapes.append(shape)
        return self._shapes.index(shape)

    def _change(self, reader: Bytes, kind: int, before: list[bool] | None, after: list[bool] | None) -> None:
        try:
            if before is not None:
                self._before.append(self._image(reader, before, frozenset(), len(self._before)))
            if after is None:
                return
            partial: frozenset[int] = frozenset()
            if kind == Log.PARTIAL_UPDATE_ROWS:
                options = reader.packed()
                if options & ~1:
                    raise _Bad
                if options & 1:
                    marks = _bits(reader.take((len(self._json) + 7) // 8), len(self._json))
                    partial = frozenset(n for n, mark in zip(self._json, marks, strict=True) if mark)
            self._after.append(self._image(reader, after, partial, len(self._after)))
        except ProtocolError:
            raise _Bad from None

    def _image(self, reader: Bytes, present: list[bool], partial: frozenset[int], row: int) -> Row:
        nulls = _bits(reader.take((sum(present) + 7) // 8), sum(present))
        values: Row = []
        bit = -1
        for number, (codec, there) in enumerate(zip(self._codecs, present, strict=True)):
            bit += there
            value = None
            if there and not nulls[bit]:
                data = reader.take(reader.number(codec.prefix) if codec.prefix else codec.size)
                if number in partial:
                    self._partial(data, number, row)
                elif codec.read is not Read.PASS_OVER:
                    value = self._value(number, codec, data)
            if codec.read is not Read.PASS_OVER:
                values.append(value)
        return values

    def _partial(self, data: bytes, number: int, row: int) -> None:
        steps = json_steps(data, json_text)
        if number in self._wanted:
            self._diffs.append(JsonChanges(row, self._wanted.index(number), steps))

    # ------------------------------------------------------------ values

    def _error(self, number: int, reason: str, value: str) -> RowError:
        return RowError(self._wanted.index(number), len(self._tags), reason, value)

    def _touch(self, number: int) -> None:
        column = self.columns[number]
        assert column is not None
        self._lost[column.name] = self._lost.get(column.name, 0) + 1

    def _value(self, number: int, codec: LogCodec, data: bytes) -> bytes | None:
        """As Arrow holds it."""
        match codec.read:
            case Read.COPY:
                return data
            case Read.WIDEN:
                return struct.pack("<d", *struct.unpack("<f", data))
            case Read.YEAR:
                return (1900 + data[0] if data[0] else 0).to_bytes(codec.width, "little")
            case Read.SET_MASK:
                return data.ljust(8, b"\0")
            case Read.INTEGER:
                value = int.from_bytes(data, "little", signed=codec.signed)
                if not codec.low <= value <= codec.high:
                    raise self._error(number, "out-of-range", str(value))
                return value.to_bytes(codec.width, "little", signed=value < 0)
            case Read.DECIMAL:
                return _sure(decimal_text(data, codec.precision, codec.scale, bool(codec.pad)))
            case Read.BYTES | Read.LATER | Read.PADDED:
                return self._bytes(number, codec, data)
            case Read.SINGLE | Read.WIDE:
                return self._text(number, codec, data)
            case Read.LABEL | Read.SET_LABELS:
                return _labels(codec, int.from_bytes(data, "little"))
            case Read.JSON:
                return json_bytes(data)
            case Read.OLD_TIME | Read.TIME2:
                return _duration(codec, data)
            case Read.OLD_TIMESTAMP | Read.TIMESTAMP2:
                return self._instant(number, codec, data)
            case _:
                return self._calendar(number, codec, data)

    def _bytes(self, number: int, codec: LogCodec, data: bytes) -> bytes:
        if len(data) > codec.pad and codec.read is Read.PADDED:
            raise _Bad
        padded = data.ljust(codec.pad, b"\0") if codec.read is Read.PADDED else data
        if codec.lengths and len(padded) not in codec.lengths:
            raise self._error(number, "bad-length", data.hex()[:SHOWN])
        return padded

    def _text(self, number: int, codec: LogCodec, data: bytes) -> bytes:
        column = self.columns[number]
        assert column is not None
        text, lost = _single(codec, data) if codec.read is Read.SINGLE else _wide(codec.wide, data)
        if lost and column.lossy != "replace":
            raise self._error(number, "lossy-charset", data.hex()[:SHOWN])
        if lost:
            self._touch(number)
        return text

    def _outside(self, number: int, codec: LogCodec, at: _Moment) -> bytes | None:
        column = self.columns[number]
        assert column is not None
        if column.invalid == "refuse":
            text = printed_date(*at[:3]) if codec.read is Read.DATE else printed_moment(*at)
            raise self._error(number, "zero-date", text)
        self._touch(number)
        least = struct.pack("<i", -(2**31)) if codec.width == 4 else struct.pack("<q", -(2**63))
        return None if column.invalid == "null" else least

    def _instant(self, number: int, codec: LogCodec, data: bytes) -> bytes | None:
        old = codec.read is Read.OLD_TIMESTAMP
        seconds = int.from_bytes(data[:4], "little" if old else "big")
        micro = 0 if old else _fraction(data[4:])
        if not seconds and not micro:
            return self._outside(number, codec, _Moment(0, 0, 0))
        return struct.pack("<q", seconds * 1_000_000 + micro)

    def _calendar(self, number: int, codec: LogCodec, data: bytes) -> bytes | None:
        at = _parts(codec, data)
        inside = (
            at.year >= FIRST_YEAR and at.month > 0 and 0 < at.day <= calendar.monthrange(at.year, at.month)[1]
        )
        if not inside:
            return self._outside(number, codec, at)
        days = (dt.date(at.year, at.month, at.day) - _EPOCH).days
        if codec.read is Read.DATE:
            return struct.pack("<i", days)
        seconds = ((days * 24 + at.hour) * 60 + at.minute) * 60 + at.second
        return struct.pack("<q", seconds * 1_000_000 + at.micro)

    # ------------------------------------------------------------ output

    def _batch(self, rows: list[Row]) -> pa.RecordBatch:
        arrays = []
        for place, number in enumerate(self._wanted):
            column, codec = self.columns[number], self._codecs[number]
            assert column is not None
            array = _array([row[place] for row in rows], column.arrow, codec)
            if codec.read is Read.LATER:
                array, lost = later(array, column, codec, place)
                if lost:
                    self._lost[column.name] = self._lost.get(column.name, 0) + lost
            arrays.append(array)
        wanted = [column for column in self.columns if column is not None]
        schema = pa.schema([pa.field(column.name, column.arrow) for column in wanted])
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _bits(data: bytes, count: int) -> list[bool]:
    return [bool(data[number >> 3] >> (number & 7) & 1) for number in range(count)]


def _sure(text: bytes | None) -> bytes:
    if text is None:
        raise _Bad
    return text


def _labels(codec: LogCodec, value: int) -> bytes:
    if codec.read is Read.LABEL:
        if value >= len(codec.table):
            raise _Bad
        return codec.table[value]
    if value >> len(codec.table):
        raise _Bad
    return b",".join(label for bit, label in enumerate(codec.table) if value >> bit & 1)


def _single(codec: LogCodec, data: bytes) -> tuple[bytes, bool]:
    parts, lost = [], False
    for byte in data:
        char = codec.table[byte]
        none = char == b"\0" and byte != 0
        lost = lost or none or char == b"\xef\xbf\xbd"
        parts.append(b"?" if none else char)
    return b"".join(parts), lost


def _wide(how: int, data: bytes) -> tuple[bytes, bool]:
    unit, order = (4 if how == 4 else 2), ("little" if how == 3 else "big")
    codes = [
        int.from_bytes(data[place : place + unit], order)  # type: ignore[arg-type]
        for place in range(0, len(data) - unit + 1, unit)
    ]
    if len(data) % unit:
        codes.append(-1)
    parts, lost, place = [], False, 0
    while place < len(codes):
        code = codes[place]
        follower = codes[place + 1] if place + 1 < len(codes) else 0
        if how in (2, 3) and 0xD800 <= code < 0xDC00 and 0xDC00 <= follower < 0xE000:
            code = 0x10000 + (code - 0xD800 << 10) + follower - 0xDC00
            place += 1
        place += 1
        if not 0 <= code <= 0x10FFFF or 0xD800 <= code < 0xE000:
            lost = True
            code = 0x3F
        parts.append(chr(code))
    return "".join(parts).encode(), lost


def _fraction(data: bytes) -> int:
    """Microseconds; the digits are as many as the bytes hold, at least the next even number."""
    micro = int.from_bytes(data) * (1, 10_000, 100, 1)[len(data)]
    if micro > 999_999:
        raise _Bad
    return micro


def _parts(codec: LogCodec, data: bytes) -> _Moment:
    if codec.read is Read.DATE:
        packed = int.from_bytes(data, "little")
        at = _Moment(packed >> 9, packed >> 5 & 15, packed & 31)
    elif codec.read is Read.OLD_DATETIME:
        packed = int.from_bytes(data, "little")
        if packed > 99_991_231_235_959:
            raise _Bad
        date, time = divmod(packed, 1_000_000)
        at = _Moment(
            date // 10_000, date // 100 % 100, date % 100, time // 10_000, time // 100 % 100, time % 100
        )
    else:
        packed = int.from_bytes(data[:5])
        if not packed & 0x80_0000_0000:
            raise _Bad
        year, month = divmod(packed >> 22 & 0x1FFFF, 13)
        micro = _fraction(data[5:])
        at = _Moment(year, month, packed >> 17 & 31, packed >> 12 & 31, packed >> 6 & 63, packed & 63, micro)
    if at.year > 9999 or at.month > 12 or at.day > 31 or at.hour > 23 or max(at.minute, at.second) > 59:
        raise _Bad
    return at


def _duration(codec: LogCodec, data: bytes) -> bytes:
    if codec.read is Read.OLD_TIME:
        packed = int.from_bytes(data, "little", signed=True)
        magnitude, micro = abs(packed), 0
        hour, minute, second = magnitude // 10_000, magnitude // 100 % 100, magnitude % 100
    else:
        bits = 8 * (len(data) - 3)
        packed = int.from_bytes(data) - (0x800000 << bits)
        magnitude = abs(packed)
        micro = (magnitude & (1 << bits) - 1) * (1, 10_000, 100, 1)[bits // 8]
        whole = magnitude >> bits
        hour, minute, second = whole >> 12, whole >> 6 & 63, whole & 63
    if minute > 59 or second > 59 or micro > 999_999:
        raise _Bad
    value = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micro
    return struct.pack("<q", -value if packed < 0 else value)


def _array(values: list[bytes | None], wanted: pa.DataType, codec: LogCodec) -> pa.Array:
    if codec.read in _VARIABLE:
        raw = pa.array(values, pa.binary() if codec.width == 4 else pa.large_binary())
        return raw if codec.read is Read.LATER else raw.view(wanted)
    nulls = sum(value is None for value in values)
    bitmap = pa.array([value is not None for value in values]).buffers()[1] if nulls else None
    data = b"".join(bytes(codec.width) if value is None else value for value in values)
    return pa.Array.from_buffers(wanted, len(values), [bitmap, pa.py_buffer(data)], null_count=nulls)
