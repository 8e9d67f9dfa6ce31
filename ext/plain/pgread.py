"""Binary COPY rows → Arrow record batches in plain Python: what ext/pgread.pyx must do, shown simply."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ext.pgreadspec import (
    CRITICAL_FLAGS,
    DATE_INFINITY,
    DATE_MINUS_INFINITY,
    DAY_MICROS,
    EPOCH_DAYS,
    EPOCH_MICROS,
    HEADER_BYTES,
    MAX_EXTENSION,
    MAX_FIELDS,
    OFFSETS32_LIMIT,
    SIGNATURE,
    TIME_INFINITY,
    TIME_MINUS_INFINITY,
    VARIABLE,
    CopyError,
    FieldSpec,
    Op,
    bits_right_aligned,
    moment_text,
    numeric_text,
)
from ext.rowerror import RowError

__all__ = ["CopyDecoder", "CopyRows"]


class _Framing:
    """The stream cut into tuples. Bytes fed and not used up yet are in `_pending`."""

    def __init__(self, count: int) -> None:
        if not 0 <= count <= MAX_FIELDS:
            raise ValueError(f"{count} columns")
        self._count = count
        self._pending = bytearray()
        self._started = False
        self._ended = False
        self._broken = False

    @property
    def ended(self) -> bool:
        """The trailer was seen."""
        return self._ended

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Put bytes behind those not decoded yet, whatever their number."""
        self._pending += data

    def _sound(self) -> None:
        if self._broken:
            raise CopyError("the rows failed before")

    def _fail(self, message: str) -> CopyError:
        self._broken = True
        return CopyError(message)

    def _next(self) -> bytes | None:
        """The next tuple, left where it is; None when bytes are missing or the trailer came."""
        if not self._started and not self._header():
            return None
        if self._ended:
            if self._pending:
                raise self._fail("bytes behind the trailer")
            return None
        if len(self._pending) < 2:
            return None
        (count,) = struct.unpack_from(">h", self._pending)
        if count == -1:
            self._ended = True
            del self._pending[:2]
            return self._next()
        if count != self._count:
            raise self._fail(f"a row of {count} fields where {self._count} were asked for")
        place = 2
        for _ in range(count):
            if len(self._pending) < place + 4:
                return None
            (size,) = struct.unpack_from(">i", self._pending, place)
            if size < -1:
                raise self._fail(f"a field of {size} bytes")
            place += 4 + max(0, size)
        if len(self._pending) < place:
            return None
        return bytes(self._pending[:place])

    def _used(self, row: bytes) -> None:
        del self._pending[: len(row)]

    def _header(self) -> bool:
        if len(self._pending) < HEADER_BYTES:
            return False
        flags, extension = struct.unpack_from(">Ii", self._pending, len(SIGNATURE))
        if not self._pending.startswith(SIGNATURE) or flags & CRITICAL_FLAGS:
            raise self._fail("no header of a binary COPY")
        if not 0 <= extension <= MAX_EXTENSION:
            raise self._fail("a header with an impossible extension")
        if len(self._pending) < HEADER_BYTES + extension:
            return False
        del self._pending[: HEADER_BYTES + extension]
        self._started = True
        return True


class CopyDecoder(_Framing):
    """As ext.pgread.CopyDecoder."""

    def __init__(
        self, columns: Sequence[FieldSpec], batch_rows: int = 65_536, batch_bytes: int = 8 << 20
    ) -> None:
        if batch_rows < 1 or batch_bytes < 1:
            raise ValueError("batch_rows and batch_bytes are at least 1")
        super().__init__(len(columns))
        self.specs = tuple(columns)
        self.failed_row: bytes | None = None
        self._schema = pa.schema([pa.field(spec.name, spec.arrow) for spec in self.specs])
        self._batch_rows = batch_rows
        self._batch_bytes = min(batch_bytes, OFFSETS32_LIMIT // 2)
        self._rows = 0
        self._size = 0
        self._values: list[list[Any]] = [[] for _ in self.specs]

    @property
    def finished(self) -> bool:
        """The trailer was seen and every row was taken."""
        return self._ended and self._rows == 0

    def take(self) -> pa.RecordBatch | None:
        self._sound()
        while (row := self._next()) is not None:
            full = self._rows >= self._batch_rows or self._size + len(row) > self._batch_bytes
            if self._rows and full:
                return self._batch()
            self._decode(row)
            self._used(row)
        return self._batch() if self._ended and self._rows else None

    def receive(self, pgconn: Any) -> pa.RecordBatch | None:
        while True:
            batch = self.take()
            if batch is not None:
                return batch
            size, data = pgconn.get_copy_data(0)
            if size < 0:
                return None
            self.feed(data)

    def _decode(self, row: bytes) -> None:
        place = 2
        values: list[Any] = []
        size = len(row)
        for number, spec in enumerate(self.specs):
            (length,) = struct.unpack_from(">i", row, place)
            place += 4
            if length < 0:
                values.append(None)
                continue
            data = row[place : place + length]
            place += length
            if spec.wire_bytes and length != spec.wire_bytes:
                raise self._fail(f"a field of {length} bytes in column {number} is no {spec.op.name}")
            try:
                value = _value(spec, data)
            except OverflowError:
                self._broken = True
                self.failed_row = row
                shown = moment_text(struct.unpack(">q", data)[0])
                raise RowError(number, self._rows, "out-of-range", shown) from None
            except ValueError:
                raise self._fail(f"a field of column {number} is no {spec.op.name}") from None
            if spec.op is Op.NUMERIC:
                size += len(value)
            values.append(value)
        for column, value in zip(self._values, values, strict=True):
            column.append(value)
        self._rows += 1
        self._size += size

    def _batch(self) -> pa.RecordBatch:
        arrays = [_array(spec, values) for spec, values in zip(self.specs, self._values, strict=True)]
        rows, self._rows, self._size = self._rows, 0, 0
        self._values = [[] for _ in self.specs]
        if not arrays:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def _value(spec: FieldSpec, data: bytes) -> Any:
    """What the array is made from: integers for times, bytes for text. OverflowError for a moment outside
    Arrow's range."""
    match spec.op:
        case Op.FIXED:
            return data[::-1]
        case Op.BOOL:
            if data[0] > 1:
                raise ValueError("neither true nor false")
            return data[0]
        case Op.DATE:
            (days,) = struct.unpack(">i", data)
            if days in (DATE_INFINITY, DATE_MINUS_INFINITY):
                return days
            if days + EPOCH_DAYS >= DATE_INFINITY:
                raise ValueError("a day no server has")
            return days + EPOCH_DAYS
        case Op.MOMENT:
            (micros,) = struct.unpack(">q", data)
            if micros in (TIME_INFINITY, TIME_MINUS_INFINITY):
                return micros
            if micros + EPOCH_MICROS >= TIME_INFINITY:
                raise OverflowError
            return micros + EPOCH_MICROS
        case Op.TIME:
            (micros,) = struct.unpack(">q", data)
            if not 0 <= micros <= DAY_MICROS:
                raise ValueError("no time of a day")
            return micros
        case Op.INTERVAL:
            micros, days, months = struct.unpack(">qii", data)
            return {"months": months, "days": days, "microseconds": micros}
        case Op.NUMERIC:
            return numeric_text(data).encode()
        case Op.BITS:
            return bits_right_aligned(data)
        case _:
            return data


def _array(spec: FieldSpec, values: list[Any]) -> pa.Array:
    if spec.op is Op.FIXED:
        zero = bytes(spec.width)
        raw = b"".join(zero if value is None else value for value in values)
        mask = [value is not None for value in values]
        return pa.Array.from_buffers(spec.arrow, len(values), [_bitmap(mask), pa.py_buffer(raw)])
    if spec.op in VARIABLE:
        large = spec.op is Op.LARGE_BYTES
        array = pa.array(values, pa.large_binary() if large else pa.binary())
        return array.view(spec.arrow)  # without asking whether text is UTF-8: the encoder's to say
    if spec.op is Op.INTERVAL:
        return pa.array(values, spec.arrow)
    if spec.op is Op.DATE:
        return pa.array(values, pa.int32()).view(spec.arrow)
    if spec.op is Op.BOOL:
        return pa.array(values, pa.int8())
    return pa.array(values, pa.int64()).view(spec.arrow)


def _bitmap(mask: list[bool]) -> pa.Buffer | None:
    if all(mask):
        return None
    return pa.array(mask, pa.bool_()).buffers()[1]


class CopyRows(_Framing):
    """As ext.pgread.CopyRows."""

    def __init__(self, count: int, size: int = 1 << 20) -> None:
        if size < 1:
            raise ValueError("size is at least 1")
        super().__init__(count)
        self._size = size
        self._data = bytearray()
        self._rows = 0

    @property
    def finished(self) -> bool:
        """The trailer was seen and every row was taken."""
        return self._ended and self._rows == 0

    def take(self) -> tuple[memoryview, int] | None:
        self._sound()
        while (row := self._next()) is not None:
            if len(self._data) >= self._size:
                return self._piece()
            self._data += row
            self._rows += 1
            self._used(row)
        return self._piece() if self._ended and self._rows else None

    def _piece(self) -> tuple[memoryview, int]:
        taken = memoryview(bytes(self._data)), self._rows
        self._data.clear()
        self._rows = 0
        return taken

    def receive(self, pgconn: Any) -> tuple[memoryview, int] | None:
        while True:
            taken = self.take()
            if taken is not None:
                return taken
            size, data = pgconn.get_copy_data(0)
            if size < 0:
                return None
            self.feed(data)
