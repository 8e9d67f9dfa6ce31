"""Config and both catalogs → what will be done. Nothing is written anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.config import Selection, SourceConnection, StreamConfig
from engine.connectors.base import (
    Chunk,
    KeyRange,
    Note,
    Severity,
    SnapshotSource,
    TableRead,
    TableState,
    Target,
    TargetDatabase,
    TargetTable,
)
from engine.errors import Code, EngineError
from engine.schema import COPIED_KINDS, Database, Table
from engine.streams.federated import FederatedSource
from engine.streams.several import SeveralSources

# Refusals with a code of their own; the others are PLAN_REFUSED.
_CODES = {
    "table-exists": Code.TABLE_EXISTS,
    "table-not-empty": Code.TABLE_NOT_EMPTY,
    "reserved-name": Code.TABLE_EXISTS,
    "table-missing": Code.STRUCTURE_MISMATCH,
    "table-kind": Code.STRUCTURE_MISMATCH,
    "column-missing": Code.STRUCTURE_MISMATCH,
    "column-not-given": Code.STRUCTURE_MISMATCH,
    "column-generated": Code.STRUCTURE_MISMATCH,
    "enum-labels": Code.STRUCTURE_MISMATCH,
    "type-mismatch": Code.STRUCTURE_MISMATCH,
    "source-changed": Code.STRUCTURE_MISMATCH,
}


@dataclass(frozen=True, slots=True)
class TablePlan:
    read: TableRead
    target: TargetTable  # with live column types where the table is on the target and stays
    chunks: tuple[Chunk, ...]
    creates: bool

    @property
    def source(self) -> Table:
        return self.read.table

    def journal_detail(self) -> dict[str, Any]:
        """What a later attempt needs to go on: the same chunks of a table of the same shape."""
        return {
            "source": self.source.name,
            "shape": shape_of(self.read),
            "chunks": [
                {
                    "bounds": chunk.bounds.to_json() if chunk.bounds else None,
                    "rows": chunk.estimated_rows,
                    "bytes": chunk.estimated_bytes,
                }
                for chunk in self.chunks
            ],
        }

    def to_json(self) -> dict[str, Any]:
        types = {column.source: column for column in self.target.columns}
        return {
            "source": {"schema": self.source.schema, "table": self.source.name},
            "target": {"schema": self.target.schema, "table": self.target.name},
            "creates": self.creates,
            "estimatedRows": self.source.estimated_rows,
            "estimatedBytes": self.source.estimated_bytes,
            "chunks": len(self.chunks),
            "columns": [
                {
                    "source": column.name,
                    "sourceType": column.native_type,
                    "target": types[column.name].name,
                    "targetType": types[column.name].type,
                    "generated": not types[column.name].loaded,
                    "conversion": types[column.name].conversion,
                }
                for column in self.source.columns
                if column.name in types
            ],
            "statements": [
                {"phase": statement.phase.value, "sql": statement.sql}
                for statement in self.target.statements
                if self.creates
            ],
        }


@dataclass(frozen=True, slots=True)
class Plan:
    source_database: str
    source_server: str
    target_database: str
    target_server: str
    database: TargetDatabase
    tables: tuple[TablePlan, ...]
    waves: tuple[tuple[str, ...], ...]  # target table names, in load order
    notes: tuple[Note, ...]

    @property
    def refusals(self) -> list[Note]:
        return [note for note in self.notes if note.severity is Severity.REFUSED]

    def require_executable(self) -> None:
        """Raise for the first refusal; `details.notes` has all of them."""
        refusals = self.refusals
        if refusals:
            first = refusals[0]
            raise EngineError(
                _CODES.get(first.slug, Code.PLAN_REFUSED),
                first.message + (f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""),
                table=first.table,
                column=first.column,
                notes=[note.as_dict() for note in refusals[:100]],
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "executable": not self.refusals,
            "source": {"server": self.source_server, "database": self.source_database},
            "target": {
                "server": self.target_server,
                "database": self.target_database,
                "schema": self.database.schema,
            },
            "tables": [table.to_json() for table in self.tables],
            "statements": [
                {"phase": statement.phase.value, "sql": statement.sql}
                for statement in self.database.statements
            ],
            "estimatedRows": sum(table.source.estimated_rows for table in self.tables),
            "estimatedBytes": sum(table.source.estimated_bytes for table in self.tables),
            "chunks": sum(len(table.chunks) for table in self.tables),
            "notes": [note.as_dict() for note in self.notes],
        }


_NO_SCHEMAS = Note(
    Severity.INFO,
    "source-schema",
    "MySQL and MariaDB have no schemas inside a database: the schema given for the source means nothing",
)


def make_plan(
    source: SnapshotSource,
    target: Target,
    config: StreamConfig,
    journal: Mapping[str, TableState],
    workers: int,
) -> Plan:
    """Plan a bounded load. `journal` is what earlier attempts of this stream decided: those tables keep their
    chunks and are not asked again whether they may exist."""
    mapping = _map(source, target, config)
    mapped = mapping.database
    notes = [*mapped.notes]
    if config.source.connections[0].schema_name is not None and source.info.flavor in ("mysql", "mariadb"):
        notes.append(_NO_SCHEMAS)
    tables: list[TablePlan] = []
    for table in mapped.tables:
        table_plan, more = _plan_table(
            source, target, config, table, mapping, journal.get(table.name), workers
        )
        tables.append(table_plan)
        notes += [*table.notes, *more]
    kept = [plan.target for plan in tables if not plan.creates]
    waves, cycles = target.load_order([plan.target for plan in tables])
    if kept:
        notes += cycles
    names = {plan.target.name: plan.target for plan in tables}
    return Plan(
        source_database=source.database,
        source_server=f"{source.info.flavor} {source.info.version}",
        target_database=target.database,
        target_server=f"{target.info.flavor} {target.info.version}",
        database=replace(mapped, tables=tuple(names[table.name] for table in mapped.tables)),
        tables=tuple(tables),
        waves=tuple(tuple(wave) for wave in waves),
        notes=tuple(dict.fromkeys(notes)),
    )


def make_pairs(
    source: SnapshotSource, target: Target, config: StreamConfig
) -> list[tuple[TableRead, TargetTable]]:
    """How each table is read and where its rows are on the target now: what `verify` compares."""
    mapped = _map(source, target, config)
    return [
        (
            _read(source, target, config, table, mapped)[0],
            target.as_found(table),
        )
        for table in mapped.database.tables
    ]


@dataclass(frozen=True, slots=True)
class _Mapped:
    """The target's structure, and the source's tables by name as they are, columns not selected included."""

    database: TargetDatabase
    sources: Mapping[str, Table]
    selections: Mapping[str, Selection]


def _map(source: SnapshotSource, target: Target, config: StreamConfig) -> _Mapped:
    found, selections = _selected(source, config.source.connections)
    selected = {table.name: narrowed(table, selections[table.name]) for table in found.tables}
    facts = {table.name: source.facts(table, target.spec.policies) for table in selected.values()}
    database = target.map(replace(found, tables=tuple(selected.values())), facts)
    return _Mapped(database, {table.name: table for table in found.tables}, selections)


def _selected(
    source: SnapshotSource, parts: Sequence[SourceConnection]
) -> tuple[Database, dict[str, Selection]]:
    """The tables of all sources of the stream and what is taken of each, by the names they have here."""
    if isinstance(source, FederatedSource):
        result = source.result()
        return Database(source.database, (result,)), {result.name: Selection()}
    if not isinstance(source, SeveralSources):
        found = select_tables(source, parts[0])
        return found, {table.name: selection_of(parts[0], table.name) for table in found.tables}
    databases = [
        select_tables(member.source, part) for member, part in zip(source.members, parts, strict=True)
    ]
    joined, names = source.join(databases)
    selections = {}
    for member, part in zip(source.members, parts, strict=True):
        for (alias, own), name in names.items():
            if alias == member.alias:
                selections[name] = selection_of(part, own)
    return joined, selections


def select_tables(source: SnapshotSource, part: SourceConnection) -> Database:
    """The catalog cut down to the tables and queries of the stream; UNKNOWN_TABLE names a table that is not
    there."""
    wanted = [table.name for table in part.tables]
    if part.queries and not wanted:
        database = Database(source.database)
    else:
        database = source.catalog(source.database, wanted or None)
    present = {table.name for table in database.tables if table.kind in COPIED_KINDS}
    missing = [name for name in wanted or part.exclude if name not in present]
    if missing:
        raise EngineError(
            Code.UNKNOWN_TABLE,
            f"there is no table {missing[0]} in {source.database}",
            tables=missing,
            database=source.database,
        )
    excluded = set(part.exclude)
    tables = [table for table in database.tables if table.kind in COPIED_KINDS and table.name not in excluded]
    return replace(
        database,
        tables=(*tables, *(source.query_table(query.name, query.query) for query in part.queries)),
    )


def selection_of(part: SourceConnection, name: str) -> Selection:
    return next((table.selection for table in part.tables if table.name == name), Selection())


def narrowed(table: Table, selection: Selection) -> Table:
    """The table with the selected columns only, in the table's order, and with the keys and constraints that
    need no other. UNKNOWN_COLUMN names one that is not there."""
    if not selection.selected_columns:
        return table
    kept = set(selection.selected_columns)
    unknown = sorted(kept - {column.name for column in table.columns})
    if unknown:
        raise EngineError(
            Code.UNKNOWN_COLUMN,
            f"{table.name} has no column {unknown[0]}",
            table=table.name,
            column=unknown[0],
        )

    def whole(columns: Iterable[str | None]) -> bool:
        return all(column in kept for column in columns)

    return replace(
        table,
        columns=tuple(column for column in table.columns if column.name in kept),
        primary_key=table.primary_key if whole(part.column for part in table.primary_key) else (),
        indexes=tuple(index for index in table.indexes if whole(part.column for part in index.parts)),
        foreign_keys=tuple(key for key in table.foreign_keys if whole(key.columns)),
        checks=(),  # which columns an expression names is the dialect's to know
        partitions=(),
    )


def _plan_table(
    source: SnapshotSource,
    target: Target,
    config: StreamConfig,
    table: TargetTable,
    mapping: _Mapped,
    state: TableState | None,
    workers: int,
) -> tuple[TablePlan, list[Note]]:
    read, read_notes = _read(source, target, config, table, mapping)
    notes = [*read_notes]
    chunks: tuple[Chunk, ...]
    if state is not None:
        # Decided by an earlier attempt: the policy is not asked again, the shape must be the same.
        if state.detail["shape"] != shape_of(read):
            notes.append(
                Note(
                    Severity.REFUSED,
                    "source-changed",
                    f"the structure of {table.source.name} changed on the source since the stream began",
                    table=table.name,
                )
            )
        chunks = chunks_from(state)
        creates = bool(state.detail["created"]) and not target.exists(table.name)
        return TablePlan(read, target.as_found(table), chunks, creates), notes
    notes += target.check(read, table)
    creates = not target.exists(table.name) or target.spec.schema_policy.value == "drop_and_recreate"
    refused = any(note.severity is Severity.REFUSED for note in notes)
    found = table if creates else target.as_found(table)
    if refused or target.spec.skip_data:
        chunks = ()
    elif not creates and target.references_itself(table.name):
        # A kept key of the table to itself is checked when a chunk commits: all rows must be in one.
        chunks = (Chunk(0, None, read.table.estimated_rows, read.table.estimated_bytes),)
    else:
        chunks = source.chunks(read, config.source.options.chunk_bytes, workers)
    return TablePlan(read, found, chunks, creates), notes


def _read(
    source: SnapshotSource, target: Target, config: StreamConfig, table: TargetTable, mapping: _Mapped
) -> tuple[TableRead, tuple[Note, ...]]:
    plain = frozenset(
        column.name
        for column in table.source.columns
        if column.generated is not None
        and any(mapped.loaded for mapped in table.columns if mapped.source == column.name)
    )
    name = table.source.name
    selection = mapping.selections[name]
    return source.plan_read(
        mapping.sources[name],
        target.spec.policies,
        plain_generated=plain,
        max_rows=config.source.options.data_bundle_size,
        selection=None if selection.is_everything else selection,
    )


def chunks_from(state: TableState) -> tuple[Chunk, ...]:
    return tuple(
        Chunk(
            number,
            KeyRange.from_json(chunk["bounds"]) if chunk["bounds"] else None,
            chunk["rows"],
            chunk["bytes"],
        )
        for number, chunk in enumerate(state.detail["chunks"])
    )


def shape_of(read: TableRead) -> str:
    """A digest of what is read and in which order: equal shapes give equal batches."""
    parts = [f"{column.name}\0{column.source.native_type}\0{column.expression}" for column in read.columns]
    if not read.selection.is_everything:
        parts.append(read.selection.model_dump_json())
    return hashlib.sha256("\1".join([*parts, read.table.query, *read.key]).encode()).hexdigest()[:32]
