"""The plain twin of `ext.pgcopy`: the same rows of binary COPY, a value at a time.

Layouts: PostgreSQL documentation, "COPY", "Binary Format", and the `*_recv` functions of the types.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from ext.plain import pglines, pgnumbers, pgshapes, pgtext
from ext.plain.pgcells import Column, Day, Parts, Refused, Single
from ext.rowerror import RowError, printed

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"

MAX_FIELD = 0x3FFFFFFF - 64
MAX_ROW = 0x3FFFFFFF - 1024

ENCODERS: Mapping[str, Callable[[Any, Column], bytes | None]] = {
    **pgnumbers.ENCODERS,
    **pgtext.ENCODERS,
    **pgshapes.ENCODERS,
}


TEXT_ENCODERS = pglines.ENCODERS


class EncoderSpec(NamedTuple):
    column: str
    encoder: str
    options: Mapping[str, Any] = {}


class CopyEncoder:
    """As `ext.pgcopy.CopyEncoder`, except that a view it returned stays as it is."""

    def __init__(self, specs: Sequence[tuple[str, str, Mapping[str, Any]]], *, text: bool = False) -> None:
        self.text = text
        self._known = {**ENCODERS, **TEXT_ENCODERS} if text else ENCODERS
        self.counters: dict[tuple[str, str], int] = {}
        self._specs = [EncoderSpec(*spec) for spec in specs]
        for spec in self._specs:
            if spec.encoder not in self._known:
                raise ValueError(f"{spec.column}: no encoder {spec.encoder!r}")

    def encode(self, batch: pa.RecordBatch) -> memoryview:
        if batch.num_columns != len(self._specs):
            raise ValueError(f"{batch.num_columns} columns where {len(self._specs)} are encoded")
        columns = [Column(spec.options) for spec in self._specs]
        out = bytearray()
        for row in range(batch.num_rows):
            self._row(out, batch, row, columns)
        for spec, column in zip(self._specs, columns, strict=True):
            for policy, count in column.touched.items():
                key = spec.column, policy
                self.counters[key] = self.counters.get(key, 0) + count
        return memoryview(bytes(out))

    def _row(self, out: bytearray, batch: pa.RecordBatch, row: int, columns: Sequence[Column]) -> None:
        begun = len(out)
        if not self.text:
            out += struct.pack(">h", len(self._specs))
        for number, spec in enumerate(self._specs):
            try:
                data = self._field(batch.column(number)[row], spec, columns[number])
                if self.text:
                    out += (b"\t" if number else b"") + pglines.shown(spec.encoder, data, columns[number])
                else:
                    out += struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data
                if len(out) - begun > MAX_ROW:
                    raise Refused("too-large")
            except Refused as refused:
                raise RowError(number, row, str(refused), printed(batch.column(number), row)) from None
        if self.text:
            out += b"\n"

    def _field(self, scalar: pa.Scalar, spec: EncoderSpec, column: Column) -> bytes | None:
        if not scalar.is_valid:
            return None
        value = _value(scalar)
        if isinstance(value, bytes) and len(value) > MAX_FIELD:
            raise Refused("too-large")
        data = self._known[spec.encoder](value, column)
        if data is not None and len(data) > MAX_FIELD + 64:
            raise Refused("too-large")
        return data


def _value(scalar: pa.Scalar) -> Any:
    """bool, int, float, Single, Decimal, Parts or bytes; times are integers."""
    kind = scalar.type
    if pa.types.is_struct(kind):
        parts = scalar.as_py()
        return Parts(parts["months"], parts["days"], parts["microseconds"])
    if pa.types.is_date32(kind):
        return Day(scalar.value)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return scalar.value
    if pa.types.is_float32(kind):
        return Single(pa.array([scalar]).view(pa.uint32())[0].as_py())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_float64(kind):
        return scalar.as_py()
    if pa.types.is_decimal(kind):
        return scalar.as_py()
    return bytes(scalar.as_buffer().to_pybytes())
