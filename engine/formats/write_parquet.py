"""Parquet files by pyarrow's writer: row groups by rows and by bytes, the source's types in the metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.config import FilesTarget
from engine.formats.encode import TableValues
from engine.formats.layout import codec_of
from engine.formats.storage import PartWriter
from engine.formats.write_text import open_for_library

GROUP_BYTES = 16 << 20  # of values held for a row group where targetRowGroupSizeMB does not say


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
    comes first; no more than that is held."""

    def __init__(self, sink: PartWriter, schema: pa.Schema, spec: FilesTarget) -> None:
        self._schema = schema
        self._rows = spec.format.parquet.max_row_group_size
        self._bytes = group_bytes(spec)
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0
        self._held_bytes = 0
        self._writer = pq.ParquetWriter(open_for_library(sink), schema, **writer_options(spec))

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
            self._writer.write_table(table, row_group_size=self._rows)
            del table
            pa.default_memory_pool().release_unused()
        self._held_rows = self._held_bytes = 0

    def close(self) -> None:
        """The last row group and the footer. Committing the sink is the caller's."""
        self._flush()
        self._writer.close()


def join(sink: PartWriter, schema: pa.Schema, spec: FilesTarget, parts: Iterable[Any]) -> None:
    """One file of the row groups of several (files open for reading), one group in memory at a time."""
    with pq.ParquetWriter(open_for_library(sink), schema, **writer_options(spec)) as writer:
        for part in parts:
            with pq.ParquetFile(part) as file:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group).cast(schema))
