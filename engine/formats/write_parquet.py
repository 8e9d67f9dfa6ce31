"""Parquet files by pyarrow's writer: row groups by rows and by bytes, the source's types in the metadata."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.config import FilesTarget
from engine.formats.encode import TableValues
from engine.formats.layout import codec_of
from engine.formats.storage import PartWriter
from engine.formats.write_text import open_for_library

GROUP_BYTES = 16 << 20  # of values held for a row group where targetRowGroupSizeMB does not say
DICTIONARY_PAGE = 1 << 20  # bytes above which the writer gives a dictionary up
_SAMPLE = 10_000  # rows by which it is decided which columns have one,
_SAMPLE_BYTES = 2 << 20  # fewer where they are wide
_WORTH = 0.5  # of the bytes of the values: less is not saved after compression, and costs time


class ParquetEncoder:
    """Batches as read → batches as they are in the file; a BatchEncoder."""

    def __init__(self, values: TableValues, schema: pa.Schema) -> None:
        self._values = values
        self._schema = schema

    @property
    def counters(self) -> Mapping[tuple[str, str], int]:
        return self._values.counters

    def encode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Raises RowError for the first value that cannot go."""
        return pa.RecordBatch.from_arrays(self._values.arrays(batch), schema=self._schema)


def schema_of(values: TableValues, names: tuple[str, ...]) -> pa.Schema:
    """The file's schema; each field says what it was at the source and how it is written."""
    return pa.schema(
        pa.field(
            name,
            shape.arrow,
            metadata={
                "dbstreams.source_type": column.source.native_type,
                "dbstreams.kind": column.source.type.kind.value,
                "dbstreams.encoding": shape.encoding.value,
            },
        )
        for name, shape, column in zip(names, values.shapes, values.read.columns, strict=True)
    )


def writer_options(spec: FilesTarget) -> dict[str, Any]:
    options = spec.format.parquet
    codec = codec_of(spec)
    return {
        "compression": "none" if codec == "none" else codec,
        "compression_level": options.compression_level,
        "use_dictionary": options.enable_dictionary,
        "dictionary_pagesize_limit": DICTIONARY_PAGE,
        "write_statistics": options.enable_statistics,
        "version": "2.6",
        "coerce_timestamps": None,
        "use_deprecated_int96_timestamps": False,
        "store_schema": True,
    }


def group_bytes(spec: FilesTarget) -> int:
    size = spec.format.parquet.target_row_group_size_mb
    return size << 20 if size else GROUP_BYTES


class ParquetFile:
    """One file being written. A row group ends at `maxRowGroupSize` rows or at the bytes asked for, whichever
    comes first; no more than that is held. Which columns have dictionaries is decided by the first one."""

    def __init__(self, sink: PartWriter, schema: pa.Schema, spec: FilesTarget) -> None:
        self._sink = sink
        self._schema = schema
        self._spec = spec
        self._rows = spec.format.parquet.max_row_group_size
        self._bytes = group_bytes(spec)
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0
        self._held_bytes = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.RecordBatch) -> None:
        left = rows
        while left.num_rows:
            piece = left.slice(0, self._rows - self._held_rows)
            left = left.slice(piece.num_rows)
            self._held.append(piece)
            self._held_rows += piece.num_rows
            self._held_bytes += piece.nbytes
            if self._held_rows >= self._rows or self._held_bytes >= self._bytes:
                self._flush()

    def _flush(self) -> None:
        if self._held:
            table = pa.Table.from_batches(self._held, self._schema)
            self._held = []
            self._open(table).write_table(table, row_group_size=self._rows)
            del table
            pa.default_memory_pool().release_unused()
        self._held_rows = self._held_bytes = 0

    def _open(self, first: pa.Table) -> pq.ParquetWriter:
        if self._writer is None:
            self._writer = _writer(self._sink, self._schema, self._spec, first)
        return self._writer

    def close(self) -> None:
        """The last row group and the footer. Committing the sink is the caller's."""
        self._flush()
        self._open(self._schema.empty_table()).close()


def _writer(sink: PartWriter, schema: pa.Schema, spec: FilesTarget, first: pa.Table) -> pq.ParquetWriter:
    options = writer_options(spec)
    if options["use_dictionary"]:
        options["use_dictionary"] = repeating(first)
    return pq.ParquetWriter(open_for_library(sink), schema, **options)


def repeating(table: pa.Table) -> list[str]:
    """The columns, as paths of the file, whose values are few enough for a dictionary to make them smaller,
    as a sample tells. The writer would find out too, but by looking up every value of every row group."""
    step = max(1, table.num_rows // _SAMPLE, table.nbytes // _SAMPLE_BYTES)
    rows = table.take(np.arange(0, table.num_rows, step)) if step > 1 else table
    found = []
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        found += [path for path, values in _leaves(name, column) if _repeats(values, step)]
    return found


def _leaves(path: str, column: pa.ChunkedArray) -> Iterator[tuple[str, pa.ChunkedArray]]:
    if pa.types.is_list(column.type):
        yield from _leaves(f"{path}.list.element", pc.list_flatten(column))
    elif pa.types.is_struct(column.type):
        for field, values in zip(column.type, column.flatten(), strict=True):
            yield from _leaves(f"{path}.{field.name}", values)
    elif not isinstance(column.type, pa.BaseExtensionType):  # of a UUID there is one
        yield path, column


def _repeats(values: pa.ChunkedArray, step: int) -> bool:
    """Whether a dictionary of `step` times those values fits, and is smaller than they are."""
    sampled = len(values) - values.null_count
    found = pc.count_distinct(values).as_py()
    if not 0 < found < sampled:
        return False
    count, width = sampled * step, values.nbytes / len(values)
    distinct = _distinct(found, sampled, count)
    dictionary = distinct * width
    places = count * math.log2(distinct + 1) / 8
    most = _WORTH * count * width
    return bool(dictionary <= DICTIONARY_PAGE and dictionary + places <= most)


def _distinct(found: int, sampled: int, count: int) -> float:
    """How many values `count` draws give, of those equally frequent ones of which `sampled` gave `found`."""
    low, high = float(found), float(found)
    while high < count and high * -math.expm1(-sampled / high) < found:
        low, high = high, 2 * high
    for _ in range(20):
        middle = (low + high) / 2
        if middle * -math.expm1(-sampled / middle) < found:
            low = middle
        else:
            high = middle
    return high * -math.expm1(-count / high)


def join(sink: PartWriter, schema: pa.Schema, spec: FilesTarget, parts: Iterable[Any]) -> None:
    """One file of the row groups of several (files open for reading), one group in memory at a time."""
    with contextlib.ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for group in _groups(parts):
            table = group.cast(schema)
            if writer is None:
                writer = stack.enter_context(_writer(sink, schema, spec, table))
            writer.write_table(table)
        if writer is None:
            _writer(sink, schema, spec, schema.empty_table()).close()


def _groups(parts: Iterable[Any]) -> Iterator[pa.Table]:
    for part in parts:
        with pq.ParquetFile(part) as file:
            for number in range(file.num_row_groups):
                yield file.read_row_group(number)
