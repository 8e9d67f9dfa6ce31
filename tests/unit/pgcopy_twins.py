"""Both encoders of binary COPY asked the same, and what they wrote taken apart."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ext import pgcopy
from ext.pgcopy import EncoderSpec
from ext.plain import pgcopy as plain
from ext.rowerror import RowError

Outcome = tuple[Any, ...]


def batch_of(*arrays: pa.Array) -> pa.RecordBatch:
    return pa.record_batch(list(arrays), names=[f"c{number}" for number in range(len(arrays))])


def outcome(module: Any, specs: Sequence[EncoderSpec], batch: pa.RecordBatch) -> Outcome:
    """The bytes and counters, or everything a RowError says."""
    encoder = module.CopyEncoder(specs)
    try:
        data = bytes(encoder.encode(batch))
    except RowError as error:
        return error.column, error.row, error.reason, error.value, encoder.counters
    return data, encoder.counters


def same(specs: Sequence[EncoderSpec], batch: pa.RecordBatch) -> Outcome:
    """What both say, after making sure that it is the same."""
    ours = outcome(pgcopy, specs, batch)
    assert ours == outcome(plain, specs, batch)
    return ours


def fields(data: bytes) -> list[list[bytes | None]]:
    """The rows of a binary COPY taken apart."""
    at, rows = 0, []
    while at < len(data):
        (count,) = struct.unpack_from(">h", data, at)
        at += 2
        row: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", data, at)
            at += 4
            row.append(None if length < 0 else data[at : at + length])
            at += max(length, 0)
        rows.append(row)
    return rows
