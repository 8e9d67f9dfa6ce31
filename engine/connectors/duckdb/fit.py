"""Whether rows fit a table that is in the file already: its live columns and its key."""

from __future__ import annotations

from dataclasses import replace

from engine.config import WriteMode
from engine.connectors.base import Note, Severity, TableRead, TargetColumn, TargetTable
from engine.connectors.duckdb.catalog import LiveColumn, LiveTable
from engine.connectors.duckdb.encode import shapes
from engine.errors import EngineError


def live_columns(table: TargetTable, live: LiveTable) -> TargetTable:
    """The planned table with the names and types found in the file in place of the planned ones."""
    columns = []
    for column in table.columns:
        found = live.column(column.name)
        if found is not None:
            column = replace(
                column,
                name=found.name,
                type=found.type,
                base=found.base,
                labels=found.labels or column.labels,
                nullable=found.nullable,
            )
        columns.append(column)
    return replace(table, columns=tuple(columns))


def misfits(read: TableRead, table: TargetTable, live: LiveTable, mode: WriteMode) -> list[Note]:
    """Everything that keeps these rows from being loaded into that table."""
    name = table.name
    if not live.is_table:
        return [refused("table-kind", f"{name} exists on the target and is not a table", name)]
    notes: list[Note] = []
    loaded = {column.name for column in read.columns}
    planned = [column for column in table.columns if column.source in loaded]
    for column in planned:
        notes += _column_misfit(name, column, live.column(column.name))
    given = {column.name.casefold() for column in planned}
    for found in live.columns:
        if found.name.casefold() not in given and found.must_be_given:
            notes.append(
                refused(
                    "column-not-given",
                    f"{name}.{found.name} is NOT NULL without a default and the source has no such column",
                    name,
                    found.name,
                )
            )
    if not notes:
        try:
            shapes(read, live_columns(table, live))
        except EngineError as error:
            notes.append(refused("type-mismatch", error.message, name, error.details.get("column")))
    if mode is WriteMode.UPSERT:
        notes += _upsert_misfit(read, table, live)
    return notes


def _column_misfit(table: str, column: TargetColumn, found: LiveColumn | None) -> list[Note]:
    if found is None:
        return [refused("column-missing", f"{table}.{column.name} is not on the target", table, column.name)]
    if found.generated:
        said = f"{table}.{column.name} is generated on the target and cannot be given values"
        return [refused("column-generated", said, table, column.name)]
    missing = [label for label in column.labels if found.labels and label not in found.labels]
    if missing:
        said = f"{table}.{column.name} lacks the labels {', '.join(map(repr, missing[:5]))}"
        return [refused("enum-labels", said, table, column.name)]
    return []


def _upsert_misfit(read: TableRead, table: TargetTable, live: LiveTable) -> list[Note]:
    """By the source's key; where the table has one of its own it must be the same."""
    by_source = {column.source: column.name.casefold() for column in table.columns}
    key = {by_source[column] for column in read.table.key_columns if column in by_source}
    if not key:
        return [refused("upsert-without-key", f"{table.name} has no primary key", table.name)]
    if live.primary_key and {name.casefold() for name in live.primary_key} != key:
        return [
            refused(
                "upsert-key-differs",
                f"the primary key of {table.name} is ({', '.join(live.primary_key)}) on the target and"
                f" ({', '.join(sorted(key))}) on the source",
                table.name,
            )
        ]
    return []


def refused(slug: str, message: str, table: str, column: str | None = None) -> Note:
    return Note(Severity.REFUSED, slug, message, table=table, column=column)
