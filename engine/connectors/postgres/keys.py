"""Columns joined by foreign keys, and what has to be decided for all of them together.

PostgreSQL compares a child with its parent by an operator of the two types, so a choice that depends on the
data (bigint or numeric, smallint or boolean, which enum, which text) is made once per connected component.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.config import Policies
from engine.connectors.base import ColumnFacts, Facts
from engine.connectors.postgres.names import Names
from engine.schema import Column, Index, IndexMethod, Table
from engine.types import Kind

Ref = tuple[str, str]  # source table, source column

BIGINT_MAX = 2**63 - 1

INTEGERS = frozenset({Kind.INT8, Kind.INT16, Kind.INT24, Kind.INT32, Kind.INT64})
TEXTS = frozenset({Kind.CHAR, Kind.VARCHAR, Kind.TEXT})


@dataclass(frozen=True, slots=True)
class Shared:
    """What a column's component decided. Fields that do not concern the column keep their defaults.

    wide: the type of all integers of a component that holds a BIGINT UNSIGNED, else None.
    boolean: TINYINT(1) becomes boolean. enum: the column whose enum type is used (for a type of PostgreSQL
    the first that has it); enum_gap: that type needs the label '' for invalid values. folded: text compared
    without case, by the policy; accents: but with accents. as_bytes: text that has to become bytea.
    """

    wide: str | None = None
    boolean: bool = False
    enum: Ref | None = None
    enum_gap: bool = False
    folded: bool = False
    accents: bool = True
    as_bytes: bool = False


def column_facts(facts: Mapping[str, Facts], ref: Ref) -> ColumnFacts | None:
    """What a scan of the source said of the column; None when it was not scanned."""
    table = facts.get(ref[0])
    return None if table is None else table.columns.get(ref[1])


def number(value: object) -> int | None:
    """A bound out of a scan as an integer; None when there is none."""
    return None if value is None else int(str(value).partition(".")[0])


def is_case_insensitive(column: Column) -> bool:
    """Whether the source compares this text without case."""
    return column.type.kind in TEXTS and "_ci" in (column.collation or "")


def unique_keys(table: Table) -> tuple[tuple[str, ...], ...]:
    """Column lists the source keeps unique, by whole columns."""
    keys = [_whole(index) for index in table.indexes if index.unique]
    if table.primary_key and all(part.column and part.prefix is None for part in table.primary_key):
        keys.insert(0, table.key_columns)
    return tuple(key for key in keys if key)


def _whole(index: Index) -> tuple[str, ...]:
    if any(part.column is None or part.prefix is not None for part in index.parts):
        return ()
    return tuple(part.column for part in index.parts if part.column is not None)


def components(tables: Sequence[Table], names: Names) -> dict[Ref, tuple[Ref, ...]]:
    """Every column → the sorted members of its component (itself at least)."""
    parent: dict[Ref, Ref] = {
        (table.name, column.name): (table.name, column.name) for table in tables for column in table.columns
    }

    def root(ref: Ref) -> Ref:
        while parent[ref] != ref:
            parent[ref] = parent[parent[ref]]
            ref = parent[ref]
        return ref

    for table in tables:
        for key in table.foreign_keys:
            other = names.find_table(key.ref_table) if key.ref_schema == table.schema else None
            if other is None:
                continue
            for mine, theirs in zip(key.columns, key.ref_columns, strict=False):
                left, right = names.find_column(table.name, mine), names.find_column(other, theirs)
                if left is not None and right is not None:
                    parent[root((table.name, left))] = root((other, right))
    members: dict[Ref, list[Ref]] = {}
    for ref in parent:
        members.setdefault(root(ref), []).append(ref)
    return {ref: tuple(sorted(group)) for group in members.values() for ref in group}


def decide(
    tables: Sequence[Table], names: Names, policies: Policies, facts: Mapping[str, Facts]
) -> dict[Ref, Shared]:
    """The shared decisions of every column."""
    by_ref = {(table.name, column.name): column for table in tables for column in table.columns}
    counters = {table.name: table.auto_increment or 0 for table in tables}
    compared = _compared(tables, names)
    decided: dict[Ref, Shared] = {}
    named: dict[str, Ref] = {}  # enum types of PostgreSQL itself: the first column of each
    theirs = {table.name for table in tables if table.dialect == "postgres"}
    for ref, group in components(tables, names).items():
        if ref in decided:
            continue
        columns = {member: by_ref[member] for member in group}
        wide = _wide(columns, counters, facts)
        boolean = policies.tinyint1 == "boolean" and _all_boolean(columns, facts)
        folded = policies.case_insensitive_text != "plain" and any(
            member in compared and is_case_insensitive(column) for member, column in columns.items()
        )
        accents = all("_as_" in (column.collation or "_as_") for column in columns.values())
        as_bytes = any(_needs_bytes(policies, facts, member, column) for member, column in columns.items())
        enums: dict[tuple[str, ...], Ref] = {}
        gaps = {column.type.labels for member, column in columns.items() if _has_invalid(facts, member)}
        for member, column in columns.items():
            owner = None
            if column.type.kind is Kind.ENUM and (
                column.type_dialect == "postgres" or (member[0] in theirs and not column.type_dialect)
            ):
                owner = named.setdefault(column.native_type, member)
            elif column.type.kind is Kind.ENUM:
                owner = enums.setdefault(column.type.labels, member)
            text = column.type.kind in TEXTS
            decided[member] = Shared(
                wide=wide if column.type.kind in INTEGERS else None,
                boolean=boolean,
                enum=owner,
                enum_gap=owner is not None and column.type.labels in gaps,
                folded=folded and text,
                accents=accents,
                as_bytes=as_bytes and text,
            )
    return decided


def _has_invalid(facts: Mapping[str, Facts], ref: Ref) -> bool:
    known = column_facts(facts, ref)
    return known is not None and bool(known.empty_enum)


def _wide(
    columns: Mapping[Ref, Column], counters: Mapping[str, int], facts: Mapping[str, Facts]
) -> str | None:
    """numeric(20,0) where a BIGINT UNSIGNED is; bigint only where an identity needs it and all values fit."""
    wide = {ref: c for ref, c in columns.items() if c.type.kind is Kind.INT64 and c.type.unsigned}
    if not wide:
        return None
    if not any(column.auto_increment for column in columns.values()):
        return "numeric(20,0)"
    for ref, column in wide.items():
        known = column_facts(facts, ref)
        if known is None or (number(known.max) or 0) > BIGINT_MAX:
            return "numeric(20,0)"
        if column.auto_increment and counters[ref[0]] > BIGINT_MAX:
            return "numeric(20,0)"
    return "bigint"


def is_flag(column: Column) -> bool:
    """TINYINT(1), which people use for booleans."""
    kind = column.type.kind
    return kind is Kind.INT8 and column.type.display_width == 1 and not column.type.unsigned


def _all_boolean(columns: Mapping[Ref, Column], facts: Mapping[str, Facts]) -> bool:
    for ref, column in columns.items():
        known = column_facts(facts, ref)
        if not is_flag(column) or column.auto_increment or known is None:
            return False
        if (number(known.min) or 0) < 0 or (number(known.max) or 0) > 1:
            return False
    return True


def _needs_bytes(policies: Policies, facts: Mapping[str, Facts], ref: Ref, column: Column) -> bool:
    """Text with values the scan found to be no text on PostgreSQL, where the policy asks for bytes."""
    known = column_facts(facts, ref)
    if known is None or column.type.kind not in TEXTS:
        return False
    return "bytea" in (policies.invalid_text, policies.nul_byte) and bool(known.lossy_text)


def _compared(tables: Sequence[Table], names: Names) -> set[Ref]:
    """Columns looked up by value: those of keys, of indexes other than FULLTEXT, and of foreign keys."""
    found: set[Ref] = set()
    for table in tables:
        parts = list(table.primary_key)
        for index in table.indexes:
            if index.method not in (IndexMethod.FULLTEXT, IndexMethod.SPATIAL):
                parts.extend(index.parts)
        wanted = [part.column for part in parts if part.column is not None]
        wanted += [column for key in table.foreign_keys for column in key.columns]
        for name in wanted:
            column = names.find_column(table.name, name)
            if column is not None:
                found.add((table.name, column))
    return found
