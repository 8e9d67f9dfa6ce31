"""What columns were where their values come from: the table `_dbstreams_types` beside the data.

A target writes one row for each column whose type it had to change, a source reads them again, and a way back
gives the column its old type. A row counts only while the column still has the type it got then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import orjson

from engine.connectors.base import TargetColumn, TargetTable
from engine.plainvalues import plain, rich
from engine.schema import Column, Database, Origin, Table

TABLE = "_dbstreams_types"
COMMENT = "dbstreams: the types columns had where they come from"
MOST = 4  # systems remembered

# Columns of the table, all of them text. `type` is that of the column here, as this server prints it.
COLUMNS = (
    "schema",
    "table",
    "column",
    "type",
    "dialect",
    "source_schema",
    "source_table",
    "source_column",
    "source_type",
    "policy",
    "origins",
)


@dataclass(frozen=True, slots=True)
class TypeRow:
    """One row without `type`, which the server itself has to say."""

    table: TargetTable
    column: TargetColumn
    source: Column

    @property
    def before_type(self) -> tuple[str, ...]:
        return self.table.schema, self.table.name, self.column.name

    @property
    def after_type(self) -> tuple[str, ...]:
        table = self.table.source
        origins = came_from(self.source, table)
        return (
            origins[0].dialect,
            table.schema,
            table.name,
            self.column.source,
            origins[0].native_type,
            self.column.conversion,
            orjson.dumps([plain(origin) for origin in origins]).decode(),
        )


def type_rows(
    table: TargetTable, dialect: str, is_kept: Callable[[Column, TargetColumn], bool]
) -> list[TypeRow]:
    """A row for each column that is not what it was. `is_kept`, asked of columns whose type is of `dialect`:
    whether the target's type is the very one the source has."""
    by_name = {column.name: column for column in table.source.columns}
    rows = []
    for column in table.columns:
        source = by_name[column.source]
        same = (source.type_dialect or table.source.dialect) == dialect and is_kept(source, column)
        if not same or source.origins:
            rows.append(TypeRow(table, column, source))
    return rows


def came_from(column: Column, table: Table) -> tuple[Origin, ...]:
    """The column as it is now, then as it was before, one entry a dialect."""
    here = Origin(
        column.type_dialect or table.dialect,
        column.type,
        column.native_type,
        column.charset,
        column.collation,
    )
    earlier = tuple(origin for origin in column.origins if origin.dialect != here.dialect)
    return (here, *earlier)[:MOST]


def with_origins(database: Database, rows: Iterable[tuple[str, str, str, str]]) -> Database:
    """The database with what is known of its columns: rows of (table, column, type, origins). Of a column
    that has another type by now nothing is known any more."""
    known: dict[str, dict[str, tuple[str, str]]] = {}
    for table, column, type_, origins in rows:
        known.setdefault(table, {})[column] = (type_, origins)
    if not known:
        return database
    notes = list(database.notes)
    tables = tuple(
        _remembered(table, known[table.name], notes) if table.name in known else table
        for table in database.tables
    )
    return replace(database, tables=tables, notes=tuple(notes))


def _remembered(table: Table, known: Mapping[str, tuple[str, str]], notes: list[str]) -> Table:
    columns = []
    for column in table.columns:
        type_, text = known.get(column.name, ("", ""))
        if type_ and type_ == column.native_type:
            try:
                column = replace(column, origins=rich(tuple[Origin, ...], orjson.loads(text)))
            except (ValueError, TypeError, KeyError, AttributeError):
                notes.append(f"what {TABLE} says of {table.name}.{column.name} cannot be read; it is ignored")
        columns.append(column)
    return replace(table, columns=tuple(columns))
