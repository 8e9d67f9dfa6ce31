"""Whether rows fit a table that is on the target already: its live columns, keys and triggers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.config import DbTarget, Policies, WriteMode
from engine.connectors import target_tables
from engine.connectors.base import Note, ReadColumn, TableRead, TargetColumn, TargetTable
from engine.connectors.postgres import native
from engine.connectors.postgres.catalog import LiveColumn, LiveTable
from engine.connectors.postgres.encode import INFINITE_INTERVALS, choose
from engine.errors import EngineError
from engine.types import Kind
from ext.pgcopy import TEXT_ENCODERS, EncoderSpec


def live_columns(table: TargetTable, live: LiveTable) -> TargetTable:
    """The planned table with the types found on the server in place of the planned ones."""
    columns = []
    for column in table.columns:
        found = live.column(column.name)
        if found is not None:
            column = replace(
                column,
                type=found.type,
                base=found.base,
                labels=found.labels if found.base == "enum" else column.labels,
            )
        columns.append(column)
    return replace(table, columns=tuple(columns))


def encoders(
    read: TableRead, table: TargetTable, policies: Policies, version: int = 150000
) -> tuple[EncoderSpec, ...]:
    """One encoder per column of the read, in its order. STRUCTURE_MISMATCH names a pair without one."""
    targets = {column.source: column for column in table.columns}
    specs = [choose(column, targets[column.name], policies, version) for column in read.columns]
    if by_text(specs):
        # In text a geometry is hexadecimal digits, a bytea those with a mark before them.
        specs = [
            spec._replace(options={**spec.options, "bare": True})
            if targets[spec.column].base == "geometry"
            else spec
            for spec in specs
        ]
    return tuple(specs)


def by_text(specs: Sequence[EncoderSpec]) -> bool:
    """Whether a column has no binary form here: then the whole table is loaded by text COPY."""
    return any(spec.encoder in TEXT_ENCODERS for spec in specs)


# Their binary form is an object's id, which is another one elsewhere.
_IDS = frozenset(
    {"regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator"}
    | {"regproc", "regprocedure", "regrole", "regtype"}
)


def same_types(read: TableRead, table: TargetTable, version: int = 150000) -> bool:
    """Whether the source is PostgreSQL too and every column read has the very type of its target, in a binary
    form that holds no object ids of the source's own: arrays and ranges of built-in types have those of
    pg_type alone, composites and what is made of them have others. An enum goes as its label. An interval
    may be infinite since PostgreSQL 17, which an older server would take for a number of months."""
    if read.table.dialect != native.DIALECT:
        return False
    targets = {column.source: column for column in table.columns}
    older = version < INFINITE_INTERVALS <= read.version
    return all(_same_type(column, targets[column.name], older) for column in read.columns)


def _same_type(column: ReadColumn, target: TargetColumn, older: bool) -> bool:
    if column.source.type.kind is Kind.ENUM:
        return target.base == "enum" and set(column.source.type.labels) <= set(target.labels)
    base = target.base.removeprefix("_")
    if base in _IDS or (base == "interval" and older):
        return False
    found = target.type.partition(" COLLATE ")[0]
    return column.source.native_type == found and "." not in found


def misfits(
    read: TableRead, table: TargetTable, live: LiveTable, target: DbTarget, version: int = 150000
) -> list[Note]:
    """Everything that keeps these rows from being loaded into that table."""
    name = table.name
    if live.kind not in ("r", "p"):
        return [target_tables.no_table(name)]
    notes: list[Note] = []
    loaded = {column.name for column in read.columns}
    planned = {column.name: column for column in table.columns if column.source in loaded}
    for column in planned.values():
        notes += _column_misfit(name, column, live.column(column.name))
    for found in live.columns:
        if found.name not in planned and found.must_be_given:
            notes.append(target_tables.column_not_given(name, found.name))
    if not notes:
        notes += pair_misfits(read, live_columns(table, live), target.policies, version)
    if target.write_mode is WriteMode.UPSERT:
        notes += _upsert_misfit(read, table, live)
    if live.triggers and target.policies.triggers == "refuse":
        notes.append(
            target_tables.refused(
                "user-triggers",
                f"{name} has enabled triggers ({', '.join(live.triggers)}): set policies.triggers to disable"
                " or fire",
                name,
            )
        )
    return notes


def pair_misfits(read: TableRead, table: TargetTable, policies: Policies, version: int) -> list[Note]:
    """The first column whose values have no way into its type; none where rows are passed on undecoded."""
    if same_types(read, table, version):
        return []
    try:
        encoders(read, table, policies, version)
    except EngineError as error:
        return [target_tables.type_mismatch(table.name, error)]
    return []


def _column_misfit(table: str, column: TargetColumn, found: LiveColumn | None) -> list[Note]:
    if found is None:
        return [target_tables.column_missing(table, column.name)]
    notes = []
    if found.generated and column.loaded:
        notes.append(target_tables.column_generated(table, column.name))
    if found.base == "enum":
        notes += target_tables.lacking_labels(table, column.name, column.labels, found.labels)
    return notes


def _upsert_misfit(read: TableRead, table: TargetTable, live: LiveTable) -> list[Note]:
    if not live.primary_key:
        return [target_tables.without_key(table.name, " on the target")]
    key = target_tables.upsert_key(read, table)
    return target_tables.other_key(table.name, live.primary_key, key, caseless=False)
