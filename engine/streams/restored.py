"""Columns that come home: a type another system had no counterpart for is given back.

What a column once was is known from the manifest beside the data (`Column.origins`). On the way into a system
of that kind the column is mapped, read and compared as if it had kept its type all along; the reader's values
are turned into the image that type has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from engine.config import ConnectionType, Policies, Selection
from engine.connectors.base import (
    Chunk,
    Facts,
    KeyRange,
    Note,
    Picture,
    RawReader,
    RawRows,
    ReadColumn,
    ReaderKind,
    Severity,
    SnapshotReader,
    SnapshotSource,
    TableRead,
)
from engine.errors import Code, EngineError
from engine.schema import Column, Database, Origin, Table
from engine.types import Kind
from ext.rowerror import RowError

if TYPE_CHECKING:
    from engine.streams.restored_values import Conversion

# Dialects whose types a target of that kind has, or knows how to make; its own first.
_HOMES: Mapping[ConnectionType, tuple[str, ...]] = {
    ConnectionType.MYSQL: ("mysql", "mariadb"),
    ConnectionType.MARIADB: ("mariadb", "mysql"),
    ConnectionType.POSTGRESQL: ("postgres",),
    ConnectionType.DUCKDB: ("duckdb",),
}
_ALIKE = (
    frozenset({Kind.INT8, Kind.INT16, Kind.INT24, Kind.INT32, Kind.INT64, Kind.YEAR, Kind.DECIMAL}),
    frozenset({Kind.CHAR, Kind.VARCHAR, Kind.TEXT, Kind.ENUM}),
    frozenset({Kind.DATE, Kind.DATETIME, Kind.TIMESTAMP}),
)


def restoring(source: SnapshotSource, target: ConnectionType, policies: Policies) -> SnapshotSource:
    """The source as seen from a target of that type."""
    homes = _HOMES.get(target)
    if homes is None or policies.source_types == "ignore":
        return source
    return RestoringSource(source, homes, policies)


@dataclass(frozen=True, slots=True)
class RestoredRead(TableRead):
    """`plain`: how the source itself reads the table. `conversions`: by column name."""

    plain: TableRead = dataclasses.field(kw_only=True)
    conversions: Mapping[str, Conversion] = dataclasses.field(kw_only=True)


class RestoringSource:
    """Implements SnapshotSource over another one, which it owns."""

    def __init__(self, source: SnapshotSource, homes: tuple[str, ...], policies: Policies) -> None:
        self.inner = source
        self.database = source.database
        self.info = source.info
        self._homes = homes
        self._policies = policies
        self._plain: dict[str, Table] = {}  # tables with restored columns, as the source has them

    def catalog(self, database: str, only: Sequence[str] | None = None) -> Database:
        found = self.inner.catalog(database, only)
        notes = list(found.notes)
        tables = tuple(self._restored(table, notes) for table in found.tables)
        return replace(found, tables=tables, notes=tuple(notes))

    def _restored(self, table: Table, notes: list[str]) -> Table:
        wanted = {
            column.name: origin
            for column in table.columns
            if (origin := self._origin(table, column)) is not None
        }
        if not wanted:
            return table
        from engine.streams.restored_values import conversion  # long to load, and seldom needed

        read, _ = self.inner.plan_read(table, self._policies)
        images = {column.name: column.image for column in read.columns}
        columns = []
        for column in table.columns:
            origin = wanted.get(column.name)
            if origin is not None and column.name in images and conversion(images[column.name], origin.type):
                column = _come_home(table, column, origin, notes)
            columns.append(column)
        self._plain[table.name] = table
        return replace(table, columns=tuple(columns))

    def _origin(self, table: Table, column: Column) -> Origin | None:
        """What the column was on a system like the target, unless what it is now comes first."""
        for dialect in self._homes:
            if dialect == table.dialect:
                return None
            for origin in column.origins:
                if origin.dialect == dialect:
                    return origin
        return None

    def _as_there(self, table: Table) -> Table:
        """The table as the source knows it, in the selection of columns and under the name it has now."""
        plain = self._plain.get(table.name)
        if plain is None:
            return table
        known = {column.name: column for column in plain.columns}
        return replace(table, columns=tuple(known[column.name] for column in table.columns))

    def query_table(self, name: str, query: str) -> Table:
        return self.inner.query_table(name, query)

    def facts(self, table: Table, policies: Policies) -> Facts:
        return self.inner.facts(self._as_there(table), policies)

    def plan_read(
        self,
        table: Table,
        policies: Policies,
        *,
        plain_generated: frozenset[str] = frozenset(),
        max_rows: int | None = None,
        selection: Selection | None = None,
    ) -> tuple[TableRead, tuple[Note, ...]]:
        read, notes = self.inner.plan_read(
            self._as_there(table),
            policies,
            plain_generated=plain_generated,
            max_rows=max_rows,
            selection=selection,
        )
        if table.name not in self._plain:
            return read, notes
        from engine.streams.restored_values import conversion

        restored = {column.name: column for column in table.columns if column.type_dialect}
        conversions: dict[str, Conversion] = {}
        columns = []
        more = []
        for column in read.columns:
            home = restored.get(column.name)
            if home is not None:
                found = conversion(column.image, home.type)
                assert found is not None, column
                conversions[column.name] = found
                column = replace(
                    column, source=home, image=found.image, arrow=found.arrow or column.arrow, connectorx=None
                )
                said = f"the column is {home.native_type} again, as it was on {home.type_dialect}"
                more.append(Note(Severity.INFO, "source-type", said, table.name, column.name, "sourceTypes"))
            columns.append(column)
        fields = {field.name: getattr(read, field.name) for field in dataclasses.fields(TableRead)}
        fields.update(columns=tuple(columns), table=_described(read.table, restored))
        return RestoredRead(**fields, plain=read, conversions=conversions), (*notes, *more)

    def chunks(self, read: TableRead, target_bytes: int, minimum: int) -> tuple[Chunk, ...]:
        return self.inner.chunks(plain_read(read), target_bytes, minimum)

    def position(self) -> str | None:
        return self.inner.position()

    @contextmanager
    def picture(self, count: int) -> Generator[Picture, None, None]:
        with self.inner.picture(count) as picture:
            yield _Picture(picture)

    def close(self) -> None:
        self.inner.close()


def plain_read(read: TableRead) -> TableRead:
    return read.plain if isinstance(read, RestoredRead) else read


def _described(table: Table, restored: Mapping[str, Column]) -> Table:
    return replace(table, columns=tuple(restored.get(column.name, column) for column in table.columns))


def _come_home(table: Table, column: Column, origin: Origin, notes: list[str]) -> Column:
    default = column.default
    kinds = {column.type.kind, origin.type.kind}
    if default is not None and len(kinds) > 1 and not any(kinds <= alike for alike in _ALIKE):
        notes.append(f"the default of {table.name}.{column.name} is not carried: its type is another again")
        default = None
    return replace(
        column,
        type=origin.type,
        native_type=origin.native_type,
        charset=origin.charset,
        collation=origin.collation,
        default=default,
        origins=tuple(other for other in column.origins if other.dialect != origin.dialect),
        type_dialect=origin.dialect,
    )


class _Picture:
    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    @property
    def consistent(self) -> bool:
        return self._picture.consistent

    @property
    def broken(self) -> bool:
        return self._picture.broken

    def reader(self, kind: ReaderKind) -> SnapshotReader:
        return _Reader(self._picture.reader(kind))


class _Reader:
    """A SnapshotReader, and a RawReader where the other is one."""

    def __init__(self, reader: SnapshotReader) -> None:
        self._reader = reader

    def read(self, read: TableRead, bounds: KeyRange | None) -> Generator[pa.RecordBatch, None, None]:
        if not isinstance(read, RestoredRead):
            yield from self._reader.read(read, bounds)
            return
        for batch in self._reader.read(read.plain, bounds):
            yield _converted(read, batch)

    def read_raw(self, read: TableRead, bounds: KeyRange | None) -> Generator[RawRows, None, None]:
        yield from cast(RawReader, self._reader).read_raw(plain_read(read), bounds)

    @property
    def counters(self) -> Mapping[tuple[str, str], int]:
        return self._reader.counters

    def cancel(self) -> None:
        self._reader.cancel()

    def close(self) -> None:
        self._reader.close()


def _converted(read: RestoredRead, batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays = []
    for place, column in enumerate(read.columns):
        array = batch.column(place)
        found = read.conversions.get(column.name)
        if found is not None and found.make is not None:
            try:
                array = found.make(array, column.source.type)
            except RowError as error:
                raise _refused(read, batch, column, error) from error
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=read.arrow_schema)


def _refused(read: RestoredRead, batch: pa.RecordBatch, column: ReadColumn, error: RowError) -> EngineError:
    names = set(batch.schema.names)
    key = {name: str(batch.column(name)[error.row].as_py()) for name in read.key if name in names}
    where = ", ".join(f"{name}={value!r}" for name, value in key.items()) or f"row {error.row} of the batch"
    return EngineError(
        Code.VALUE_NOT_REPRESENTABLE,
        f"{read.table.name}.{column.name} at {where}: {error.value!r} is no {column.source.native_type}"
        " any more; set policies.sourceTypes to ignore",
        table=read.table.name,
        column=column.name,
        key=key,
        value=error.value,
        reason=error.reason,
    )
