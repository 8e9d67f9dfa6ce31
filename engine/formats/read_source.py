"""Files of a storage as the source of a bounded read: what both folders and buckets are."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Self

import pyarrow as pa

from engine.config import CsvDialect, FileReading, Policies, Selection
from engine.connectors.base import (
    Chunk,
    ColumnFacts,
    Facts,
    KeyRange,
    Note,
    ReadColumn,
    ReaderKind,
    ServerInfo,
    SnapshotReader,
    TableRead,
)
from engine.errors import Code, EngineError
from engine.formats import read_query, select
from engine.formats.read_json import JsonTables
from engine.formats.read_layout import FileColumn, Format, Layout, Unit
from engine.formats.read_parquet import ParquetTables
from engine.formats.read_session import Sessions
from engine.formats.read_text import CsvTables
from engine.formats.storage import Storage, StoredFile
from engine.formats.tables import Chosen, FileTable, tables_of
from engine.schema import Database, Table, TableKind

BATCH_ROWS = 65_536


class FilesSnapshot:
    """Implements SnapshotSource over any storage. `choose` gives the files, and is asked once."""

    def __init__(
        self,
        storage: Storage,
        reading: FileReading,
        info: ServerInfo,
        database: str,
        choose: Callable[[Chosen], None],
    ) -> None:
        self.storage = storage
        self.info = info
        self.database = database
        self._reading = reading
        self._choose = choose
        self._chosen: Chosen | None = None
        root = storage.local_path("")
        self._sessions = Sessions(None if root is None else str(root))
        self._tables: dict[str, FileTable] = {}
        self._layouts: dict[str, Layout] = {}
        self._queries: dict[str, Layout] = {}

    # ------------------------------------------------------------ structure

    def tables(self) -> dict[str, FileTable]:
        """The tables by name; nothing of them is read yet."""
        if self._chosen is None:
            chosen = Chosen(self.storage)
            self._choose(chosen)
            found = tables_of(chosen, self.storage, self._reading)
            self._tables = {table.name: table for table in found}
            self._chosen = chosen
        return self._tables

    def catalog(self, database: str, only: Sequence[str] | None = None) -> Database:
        tables = self.tables()
        assert self._chosen is not None
        wanted = [name for name in tables if only is None or name in only]
        layouts = [self.layout(name) for name in wanted]
        self._check_reading(layouts)
        structures = tuple(layout.structure for layout in layouts)
        return Database(database, structures, notes=tuple(self._chosen.notes))

    def _check_reading(self, layouts: Sequence[Layout]) -> None:
        """Nothing that was asked for is passed over in silence."""
        inferred = [layout for layout in layouts if layout.table.manifest is None]
        names = {column.name for layout in inferred for column in layout.columns}
        names |= {f"{layout.table.name}.{column.name}" for layout in inferred for column in layout.columns}
        others = {name for name in self.tables() if all(name != layout.table.name for layout in layouts)}
        for name in self._reading.columns:
            if name not in names and name.partition(".")[0] not in others:
                raise EngineError(
                    Code.UNKNOWN_COLUMN,
                    f"columns: no table whose types are inferred has a column {name}",
                    field="columns",
                    column=name,
                )
        formats = {table.format for table in self.tables().values() if table.manifest is None}
        given = self._reading.csv
        alone = given.model_copy(update={"encoding": None}) if formats & {"json", "jsonl"} else given
        if "csv" not in formats and alone != CsvDialect():
            raise EngineError(
                Code.VALIDATION_FAILED, "csv: there is no CSV file that it could be about", field="csv"
            )

    def layout(self, name: str) -> Layout:
        """What a table is; looked at once."""
        if name not in self._layouts:
            table = self.tables()[name]
            self._layouts[name] = self.format_of(table).look(table)
        return self._layouts[name]

    def format_of(self, table: FileTable) -> Format:
        if table.format == "parquet":
            return ParquetTables(self.storage, self._reading, self.database)
        if table.format == "csv":
            return CsvTables(self.storage, self._reading, self.database, self._sessions)
        return JsonTables(self.storage, self._reading, self.database, self._sessions)

    def query_table(self, name: str, query: str) -> Table:
        """A SELECT over the tables of this source, by their names; files it cannot name."""
        layout = read_query.look(name, query, self.database, list(self.tables()), self.layout)
        self._queries[name] = layout
        return layout.structure

    def layout_of(self, table: Table) -> Layout:
        """Of a table of the catalog, or of a query."""
        return self._queries[table.name] if table.kind is TableKind.QUERY else self.layout(table.name)

    def facts(self, table: Table, policies: Policies) -> Facts:
        octets = self.layout_of(table).octets
        return Facts({name: ColumnFacts(max_octets=longest) for name, longest in octets.items()})

    # ------------------------------------------------------------ reading

    def plan_read(
        self,
        table: Table,
        policies: Policies,
        *,
        plain_generated: frozenset[str] = frozenset(),
        max_rows: int | None = None,
        selection: Selection | None = None,
    ) -> tuple[TableRead, tuple[Note, ...]]:
        layout = self.layout_of(table)
        chosen = selection or Selection()
        select.check(layout, chosen)
        names = set(chosen.selected_columns) or {column.name for column in table.columns}
        generated = {column.name for column in table.columns if column.generated is not None}
        names -= generated - plain_generated
        columns = tuple(_read_column(column) for column in layout.columns if column.name in names)
        read = TableRead(
            table,
            columns,
            batch_rows=min(max_rows or BATCH_ROWS, BATCH_ROWS),
            selection=chosen.model_copy(update={"selected_columns": []}),
        )
        return read, tuple(layout.notes)

    def chunks(self, read: TableRead, target_bytes: int, minimum: int) -> tuple[Chunk, ...]:
        layout = self.layout_of(read.table)
        if not layout.units:
            return ()
        if read.table.kind is TableKind.QUERY:
            return (Chunk(0, None, read.table.estimated_rows, read.table.estimated_bytes),)
        if read.selection.sorts or read.selection.limit is not None:
            return (_chunk(0, layout.table.files, layout.units),)
        total = sum(unit.bytes for unit in layout.units)
        size = max(1, min(target_bytes, total // max(minimum, 1))) if total > 8 << 20 else target_bytes
        groups: list[list[Unit]] = [[]]
        weight = 0
        for unit in layout.units:
            if groups[-1] and weight + unit.bytes > size:
                groups.append([])
                weight = 0
            groups[-1].append(unit)
            weight += unit.bytes
        return tuple(_chunk(number, layout.table.files, units) for number, units in enumerate(groups))

    def position(self) -> str | None:
        digest = hashlib.sha256()
        for table in self.tables().values():
            for file in table.files:
                digest.update(f"{file.path}\0{file.size}\0{file.version}\n".encode())
        return digest.hexdigest()[:32]

    def picture(self, count: int) -> FilesPicture:
        return FilesPicture(self)

    def close(self) -> None:
        self._sessions.close()
        self.storage.close()


def _read_column(column: FileColumn) -> ReadColumn:
    expression = f"{column.stored}: {column.label}"
    return ReadColumn(column.name, expression, column.image, column.arrow, column.column)


def _chunk(number: int, files: Sequence[StoredFile], units: Sequence[Unit]) -> Chunk:
    first, last = units[0], units[-1]
    low: tuple[str | int, ...] = (
        first.file.path,
        first.start,
        _digest(files, first.file.path, last.file.path),
    )
    high: tuple[str | int, ...] = (last.file.path, -1 if last.end is None else last.end)
    bounds = KeyRange(("file", "start", "digest"), low, high)
    return Chunk(number, bounds, sum(unit.rows for unit in units), sum(unit.bytes for unit in units))


def _digest(files: Sequence[StoredFile], first: str, last: str) -> str:
    """Of what lies between two files, so that a chunk planned over others is not taken for this one."""
    digest = hashlib.sha256()
    for file in files:
        if first <= file.path <= last:
            digest.update(f"{file.path}\0{file.size}\0{file.version}\n".encode())
    return digest.hexdigest()[:32]


def units_of(layout: Layout, bounds: KeyRange | None) -> list[Unit]:
    """What a chunk covers now. FILE_CHANGED when its files are not those it was planned over."""
    if bounds is None:
        return layout.units
    assert bounds.lower is not None
    assert bounds.upper is not None
    first, start, digest = str(bounds.lower[0]), int(bounds.lower[1]), bounds.lower[2]
    last, end = str(bounds.upper[0]), int(bounds.upper[1])
    names = [file.path for file in layout.table.files]
    known = first in names and last in names
    if not known or _digest(layout.table.files, first, last) != digest:
        raise EngineError(
            Code.FILE_CHANGED,
            f"the files of {layout.table.name} from {first} to {last} are not those the stream was planned"
            " over: start a new stream",
            table=layout.table.name,
            file=first,
        )
    found = []
    for unit in layout.units:
        path = unit.file.path
        if not first <= path <= last or (path == first and unit.start < start):
            continue
        if path == last and end >= 0 and unit.start >= end:
            continue
        found.append(unit)
    return found


class FilesPicture:
    """Files are one picture by their versions: a reader refuses one that has changed."""

    consistent = True
    broken = False

    def __init__(self, source: FilesSnapshot) -> None:
        self._source = source

    def reader(self, kind: ReaderKind) -> SnapshotReader:
        return FilesReader(self._source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class FilesReader:
    def __init__(self, source: FilesSnapshot) -> None:
        self._source = source
        self._stop = threading.Event()

    @property
    def counters(self) -> Mapping[tuple[str, str], int]:
        return {}

    def read(self, read: TableRead, bounds: KeyRange | None) -> Generator[pa.RecordBatch, None, None]:
        self._stop.clear()
        layout = self._source.layout_of(read.table)
        units = units_of(layout, bounds)
        columns = [layout.column(column.name) for column in read.columns]
        more = [layout.column(name) for name in select.columns_of(read.selection)]
        wanted = [*columns, *(column for column in more if column not in columns)]
        rows = self._rows(layout, wanted, units, read.batch_rows)
        if not read.selection.is_everything:
            rows = select.apply(rows, wanted, columns, read.selection, read.batch_rows)
        with contextlib.closing(rows):
            for batch in rows:
                yield from split(batch, read.batch_bytes)

    def _rows(
        self, layout: Layout, columns: Sequence[FileColumn], units: Sequence[Unit], batch_rows: int
    ) -> Generator[pa.RecordBatch, None, None]:
        if isinstance(layout.state, read_query.QueryState):
            yield from read_query.batches(layout, columns, batch_rows, self._whole)
            return
        form = self._source.format_of(layout.table)
        for unit in units:
            average = max(1, unit.bytes // max(unit.rows, 1))
            fitting = max(64, min(batch_rows, (8 << 20) // average))
            batches = form.batches(layout, columns, unit, fitting)
            count = 0
            try:
                for batch in batches:
                    count += batch.num_rows
                    if self._stop.is_set():
                        raise EngineError(Code.QUERY_FAILED, f"reading {unit.file.path} was cancelled")
                    yield batch
            finally:
                close = getattr(batches, "close", None)
                if close is not None:
                    close()
            if count != unit.rows:
                raise EngineError(
                    Code.FILE_CHANGED,
                    f"{unit.file.path} gave {count} rows where there should be {unit.rows}",
                    table=layout.table.name,
                    file=unit.file.path,
                )

    def _whole(self, layout: Layout) -> Generator[pa.RecordBatch, None, None]:
        return self._rows(layout, layout.columns, layout.units, BATCH_ROWS)

    def cancel(self) -> None:
        self._stop.set()

    def close(self) -> None:
        self._stop.set()


def split(batch: pa.RecordBatch, limit: int) -> Generator[pa.RecordBatch, None, None]:
    """The batch in pieces of about `limit` bytes, a row at least."""
    if batch.num_rows <= 1 or batch.nbytes <= 2 * limit:
        if batch.num_rows:
            yield batch
        return
    half = batch.num_rows // 2
    yield from split(batch.slice(0, half), limit)
    yield from split(batch.slice(half), limit)
