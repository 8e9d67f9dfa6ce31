"""The rows of one chunk into files: parts rolled by size, visible only once the chunk is committed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from engine.config import FilesTarget
from engine.connectors.base import BatchEncoder, Encoded, LoadResult, LoadTable, RawRows, TableRead
from engine.errors import Code, EngineError
from engine.failpoints import fail_point
from engine.formats import layout, write_parquet
from engine.formats.encode import TableValues
from engine.formats.encode_text import CsvEncoder, JsonEncoder
from engine.formats.layout import Layout
from engine.formats.manifest import ManifestColumn, ManifestCsv, ManifestFile
from engine.formats.storage import PartWriter, Storage, StoredFile
from engine.formats.target_journal import Journal
from engine.formats.write_text import Frame, TextFile


class OpenFile(Protocol):
    """A file of one format, being written to a sink."""

    def write(self, rows: Any) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TableFormat:
    """How the files of one table are written. `bare`: without head and tail, to be joined. digits: of numbers
    whose values were looked at, by source column."""

    name: str
    folder: str
    read: TableRead
    spec: FilesTarget
    names: tuple[str, ...]  # of the columns, in the files
    bare: bool = False
    digits: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def values(self) -> TableValues:
        return TableValues(self.read, self.spec, self.digits)

    @property
    def columns(self) -> tuple[ManifestColumn, ...]:
        shapes = self.values.shapes
        return tuple(
            ManifestColumn(name, column.source, column.image, str(column.arrow), shape.encoding)
            for name, column, shape in zip(self.names, self.read.columns, shapes, strict=True)
        )

    @property
    def csv(self) -> ManifestCsv | None:
        """A row of one NULL would be an empty line, which readers skip: there NULL is `\\N`."""
        if self.spec.file_format != "csv":
            return None
        given = self.spec.format.csv
        null = "\\N" if len(self.names) == 1 else ""
        return ManifestCsv(given.delimiter, given.quote, given.header, null)

    @property
    def compression(self) -> str:
        if self.spec.file_format == "parquet":
            return layout.codec_of(self.spec)
        return self.spec.format.compression

    def encoder(self) -> BatchEncoder:
        values = self.values
        if self.spec.file_format == "parquet":
            return write_parquet.ParquetEncoder(values, write_parquet.schema_of(values, self.names))
        return self._text_encoder(values)

    def _text_encoder(self, values: TableValues) -> CsvEncoder | JsonEncoder:
        if self.csv is not None:
            return CsvEncoder(values, self.names, self.csv)
        return JsonEncoder(values, self.names, lines=self.spec.file_format == "jsonl")

    @property
    def schema(self) -> pa.Schema:
        """Of a Parquet file."""
        return write_parquet.schema_of(self.values, self.names)

    @property
    def frame(self) -> Frame:
        """Of a text file."""
        if self.spec.file_format == "json":
            return Frame(b"[\n", b",\n", b"\n]\n", separates=True)
        return Frame(self._text_encoder(self.values).head)

    def open(self, sink: PartWriter) -> OpenFile:
        if self.spec.file_format == "parquet":
            return write_parquet.ParquetFile(sink, self.schema, self.spec)
        frame = self.frame
        if self.bare:
            frame = Frame(end=frame.end, separates=frame.separates)
        return TextFile(sink, frame, self.spec.format.compression)


class PartLoader:
    """A Loader: writes the parts of a chunk, then commits all of them with one entry of the journal. `failed`
    is told of an attempt that may have left something behind."""

    def __init__(
        self,
        storage: Storage,
        where: Layout,
        journal: Journal,
        tables: Callable[[str], TableFormat],
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._storage = storage
        self._where = where
        self._journal = journal
        self._tables = tables
        self._failed = failed

    def load(self, table: LoadTable, chunk: int, encoded: Iterable[tuple[Encoded, int]]) -> LoadResult:
        """As the protocol says. Chunk 0 makes a file even without rows, so that a schema is always there."""
        writing = _Chunk(self._storage, self._where, self._tables(table.name), chunk)
        try:
            for rows, count in encoded:
                assert not isinstance(rows, RawRows)
                writing.write(rows, count)
            files = writing.finish()
        except BaseException:
            self._failed()
            writing.drop()
            raise
        fail_point("before_chunk_commit")
        result = LoadResult(sum(file.rows for file in files), sum(file.bytes for file in files))
        try:
            self._journal.commit_chunk(table.name, chunk, result.rows, result.bytes, files)
        except EngineError as error:
            # Whatever else went wrong, the entry may be there: the end of the stream sorts it out.
            self._failed()
            if error.code is Code.EPOCH_SUPERSEDED:
                writing.drop()
            raise
        fail_point("after_chunk_commit")
        return result

    def committed(self, table: str, chunk: int) -> tuple[int, int] | None:
        return self._journal.chunk(table, chunk)

    def cancel(self) -> None:
        """Nothing waits on another machine for long: the next batch ends it."""

    def close(self) -> None:
        """The storage belongs to the target."""


class _Chunk:
    def __init__(self, storage: Storage, where: Layout, table: TableFormat, chunk: int) -> None:
        self._storage = storage
        self._where = where
        self._table = table
        self._chunk = chunk
        self._attempt = where.new_try()
        self._files: list[ManifestFile] = []
        self._sink: PartWriter | None = None
        self._open: OpenFile | None = None
        self._rows = 0

    def write(self, rows: memoryview | pa.RecordBatch, count: int) -> None:
        if self._open is None:
            self._begin()
        assert self._open is not None
        assert self._sink is not None
        self._open.write(rows)
        self._rows += count
        if self._sink.size >= self._table.spec.part_bytes:
            self._end()

    def _begin(self) -> None:
        path = self._where.part(self._table.folder, self._chunk, len(self._files), self._attempt)
        self._sink = self._storage.create(self._where.at(path))
        self._open = self._table.open(self._sink)
        self._path = path

    def _end(self) -> None:
        assert self._open is not None
        assert self._sink is not None
        self._open.close()
        self._open = None
        stored = self._sink.commit()
        self._sink.close()
        self._sink = None
        self._files.append(manifest_file(self._path, stored, self._rows, self._where.stream, self._chunk))
        self._rows = 0

    def finish(self) -> tuple[ManifestFile, ...]:
        if self._open is None and not self._files and self._chunk == 0:
            self._begin()
        if self._open is not None:
            self._end()
        return tuple(self._files)

    def drop(self) -> None:
        """Take back what was written."""
        if self._sink is not None:
            self._sink.abort()
            with contextlib.suppress(Exception):  # a footer that has nowhere to go
                if self._open is not None:
                    self._open.close()
        for file in self._files:
            with contextlib.suppress(EngineError):
                self._storage.delete(self._where.at(file.path))


def manifest_file(path: str, stored: StoredFile, rows: int, stream: str, chunk: int) -> ManifestFile:
    etag = None if stored.sha256 else stored.version
    return ManifestFile(path, rows, stored.size, stream, chunk, stored.sha256, etag)
