"""Whether rows fit a table that is on the target already: its live columns, keys, engine and triggers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.config import DbTarget, Policies, WriteMode
from engine.connectors import target_tables
from engine.connectors.base import Note, TableRead, TargetColumn, TargetTable
from engine.connectors.mysql.encode import Server, choose
from engine.connectors.mysql.target_types import with_labels
from engine.errors import EngineError
from engine.schema import Column, Table, Trigger
from engine.types import Kind
from ext.mysqlload import LoadSpec

_TRANSACTIONAL = frozenset({"innodb", "rocksdb", "tokudb", "ndbcluster"})
_TEXTS = frozenset({Kind.CHAR, Kind.VARCHAR, Kind.TEXT, Kind.ENUM, Kind.SET, Kind.JSON_TEXT})


@dataclass(frozen=True, slots=True)
class LiveTable:
    """A table as the target's catalog shows it; `table` None for a view or a sequence."""

    name: str
    table: Table | None
    triggers: tuple[Trigger, ...] = ()

    def column(self, name: str) -> Column | None:
        """Names of columns have no case."""
        if self.table is None:
            return None
        folded = name.casefold()
        return next((column for column in self.table.columns if column.name.casefold() == folded), None)

    @property
    def primary_key(self) -> tuple[str, ...]:
        return self.table.key_columns if self.table is not None else ()


def rendered(column: Column) -> str:
    """The live type as `encode.LiveType` reads it."""
    native = with_labels(column)
    if column.type.kind in _TEXTS and column.charset:
        return f"{native} CHARACTER SET {column.charset} COLLATE {column.collation}"
    return native


def live_columns(table: TargetTable, live: LiveTable) -> TargetTable:
    """The planned table with the types found on the server in place of the planned ones."""
    columns = []
    for column in table.columns:
        found = live.column(column.name)
        if found is not None:
            column = replace(
                column,
                type=rendered(found),
                nullable=found.nullable,
                labels=found.type.labels or column.labels,
            )
        columns.append(column)
    return replace(table, columns=tuple(columns))


def encoders(read: TableRead, table: TargetTable, policies: Policies, server: Server) -> tuple[LoadSpec, ...]:
    """One encoder per column of the read, in its order. STRUCTURE_MISMATCH names a pair without one."""
    by_source = {column.source: column for column in table.columns}
    return tuple(choose(column, by_source[column.name], policies, server) for column in read.columns)


def misfits(
    read: TableRead, table: TargetTable, live: LiveTable, target: DbTarget, server: Server
) -> list[Note]:
    """Everything that keeps these rows from being loaded into that table."""
    name = table.name
    if live.table is None:
        return [target_tables.no_table(name)]
    notes: list[Note] = []
    engine = (live.table.engine or "").lower()
    if engine not in _TRANSACTIONAL:
        notes.append(
            target_tables.refused(
                "engine-not-transactional",
                f"{name} is kept by {live.table.engine}, which has no transactions: rows could not be taken"
                f" back (ALTER TABLE `{name}` ENGINE=InnoDB)",
                name,
            )
        )
    loaded = {column.name for column in read.columns}
    planned = {column.name.casefold(): column for column in table.columns if column.source in loaded}
    for column in planned.values():
        notes += _column_misfit(name, column, live.column(column.name))
    for found in live.table.columns:
        if found.name.casefold() not in planned and _must_be_given(found):
            notes.append(target_tables.column_not_given(name, found.name))
    if not notes:
        try:
            encoders(read, live_columns(table, live), target.policies, server)
        except EngineError as error:
            notes.append(target_tables.type_mismatch(name, error))
    if target.write_mode is WriteMode.UPSERT:
        notes += _upsert_misfit(read, table, live)
    inserts = [trigger.name for trigger in live.triggers if trigger.event != "DELETE"]
    if inserts and target.policies.triggers != "fire":
        advice = "set policies.triggers to fire, or drop them"
        if target.policies.triggers == "disable":
            advice = "MySQL cannot switch triggers off: drop them, or set policies.triggers to fire"
        notes.append(
            target_tables.refused(
                "user-triggers", f"{name} has triggers ({', '.join(inserts)}): {advice}", name
            )
        )
    return notes


def _must_be_given(column: Column) -> bool:
    return (
        not column.nullable
        and column.default is None
        and column.generated is None
        and not column.auto_increment
    )


def _column_misfit(table: str, column: TargetColumn, found: Column | None) -> list[Note]:
    if found is None:
        return [target_tables.column_missing(table, column.name)]
    if found.generated is not None and column.loaded:
        return [target_tables.column_generated(table, column.name)]
    if found.type.kind is Kind.ENUM:
        return target_tables.lacking_labels(table, column.name, column.labels, found.type.labels)
    return []


def _upsert_misfit(read: TableRead, table: TargetTable, live: LiveTable) -> list[Note]:
    if not live.primary_key:
        return [target_tables.without_key(table.name, " on the target")]
    key = target_tables.upsert_key(read, table)
    return target_tables.other_key(table.name, live.primary_key, key, caseless=True)
