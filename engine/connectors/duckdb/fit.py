"""Whether rows fit a table that is in the file already: its live columns and its key."""

from __future__ import annotations

from dataclasses import replace

from engine.config import WriteMode
from engine.connectors import target_tables
from engine.connectors.base import Note, TableRead, TargetColumn, TargetTable
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
        return [target_tables.no_table(name)]
    notes: list[Note] = []
    loaded = {column.name for column in read.columns}
    planned = [column for column in table.columns if column.source in loaded]
    for column in planned:
        notes += _column_misfit(name, column, live.column(column.name))
    given = {column.name.casefold() for column in planned}
    for found in live.columns:
        if found.name.casefold() not in given and found.must_be_given:
            notes.append(target_tables.column_not_given(name, found.name))
    if not notes:
        try:
            shapes(read, live_columns(table, live))
        except EngineError as error:
            notes.append(target_tables.type_mismatch(name, error))
    if mode is WriteMode.UPSERT:
        notes += _upsert_misfit(read, table, live)
    return notes


def _column_misfit(table: str, column: TargetColumn, found: LiveColumn | None) -> list[Note]:
    if found is None:
        return [target_tables.column_missing(table, column.name)]
    if found.generated:
        return [target_tables.column_generated(table, column.name)]
    if not found.labels:
        return []
    return target_tables.lacking_labels(table, column.name, column.labels, found.labels)


def _upsert_misfit(read: TableRead, table: TargetTable, live: LiveTable) -> list[Note]:
    """By the source's key; where the table has one of its own it must be the same."""
    key = target_tables.upsert_key(read, table)
    if not key:
        return [target_tables.without_key(table.name)]
    if not live.primary_key:
        return []
    return target_tables.other_key(table.name, live.primary_key, key, caseless=True)
