"""Keys, indexes and constraints of a schema's tables, and what of them a neutral structure cannot say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.connectors.base import ServerInfo
from engine.connectors.postgres import source_catalog_sql as sql
from engine.connectors.postgres.session import PgConnection
from engine.schema import Check, ForeignKey, Index, IndexMethod, IndexPart

_RULES = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_METHODS = {"btree": IndexMethod.BTREE, "hash": IndexMethod.HASH}
_DESCENDING, _NULLS_FIRST = 1, 2


@dataclass(slots=True)
class Keys:
    """Rows of sql.INDEXES and sql.CONSTRAINTS by table."""

    indexes: dict[int, list[Sequence[Any]]] = field(default_factory=lambda: defaultdict(list))
    constraints: dict[int, list[Sequence[Any]]] = field(default_factory=lambda: defaultdict(list))

    def of(self, oid: int, table: str) -> tuple[tuple[IndexPart, ...], tuple[Index, ...], list[str]]:
        """Primary key, other indexes, and notes about those that are left out."""
        primary: tuple[IndexPart, ...] = ()
        indexes: list[Index] = []
        notes: list[str] = []
        for row in self.indexes[oid]:
            _, name, unique, is_primary, method, *flags, columns, texts, options, comment, classes, text = row
            if is_primary:
                # In a primary key INCLUDE adds nothing that makes a row the row it is.
                primary = _parts(columns, texts, options)
                continue
            problem = _problem(method, flags, options, classes)
            if problem:
                notes.append(f"index {name} of {table} is not carried: {problem} ({text})")
                continue
            parts = _parts(columns, texts, options)
            indexes.append(Index(name, parts, unique, _METHODS[method], comment=comment))
        return primary, tuple(indexes), notes


def read_keys(session: PgConnection, info: ServerInfo, oids: list[int]) -> Keys:
    keys = Keys()
    for row in session.execute(sql.INDEXES, (oids,)).fetchall():
        keys.indexes[row[0]].append(row)
    for row in session.execute(sql.CONSTRAINTS, (oids,)).fetchall():
        keys.constraints[row[0]].append(row)
    return keys


def _problem(method: str, flags: Sequence[Any], options: Sequence[int], classes: bool) -> str:
    partial, including, valid, exclusion, nulls_not_distinct = flags
    if exclusion:
        return "it is an exclusion constraint"
    if not valid:
        return "it is not valid"
    if method not in _METHODS:
        return f"its method is {method}"
    if partial:
        return "it is partial"
    if including:
        return "it includes columns"
    if nulls_not_distinct:
        return "its NULLs are not distinct"
    if classes:
        return "it has an operator class of its own"
    if any(bool(option & _DESCENDING) != bool(option & _NULLS_FIRST) for option in options):
        return "it sorts NULLs its own way"
    return ""


def _parts(
    columns: Sequence[str | None], texts: Sequence[str], options: Sequence[int]
) -> tuple[IndexPart, ...]:
    return tuple(
        IndexPart(
            column=column,
            expression=text if column is None else None,
            descending=bool(option & _DESCENDING),
        )
        for column, text, option in zip(columns, texts, options, strict=False)
    )


def checks_of(keys: Keys, oid: int, table: str) -> tuple[tuple[Check, ...], list[str]]:
    checks: list[Check] = []
    notes: list[str] = []
    for row in keys.constraints[oid]:
        _, name, kind, valid, _, columns, *_, expression, _text, enforced, _period = row
        if kind == "n" and not valid:
            notes.append(f"NOT NULL of {table}.{columns[0]} is not valid: it is not carried")
        if kind != "c":
            continue
        checks.append(Check(name, expression, enforced=enforced and valid))
    return tuple(checks), notes


def foreign_keys_of(keys: Keys, oid: int, table: str) -> tuple[tuple[ForeignKey, ...], list[str]]:
    found: list[ForeignKey] = []
    notes: list[str] = []
    for row in keys.constraints[oid]:
        _, name, kind, valid, deferrable, columns, ref_schema, ref_table, ref_columns = row[:9]
        on_update, on_delete, match = row[9:12]
        if deferrable:
            notes.append(f"constraint {name} of {table} is deferrable: it is carried as one that is not")
        period, enforced = row[-1], row[-2]
        if kind == "p" and period:
            notes.append(f"primary key {name} of {table} is WITHOUT OVERLAPS: it is carried as a plain one")
        if kind != "f":
            continue
        if period or not enforced:
            what = "is of a PERIOD" if period else "is not enforced"
            notes.append(f"foreign key {name} of {table} {what}: it is not carried")
            continue
        if not valid:
            notes.append(f"foreign key {name} of {table} is not valid: rows may break it")
        if match == "f":
            notes.append(f"foreign key {name} of {table} is MATCH FULL: it is carried as MATCH SIMPLE")
        found.append(
            ForeignKey(
                name,
                tuple(columns),
                ref_schema,
                ref_table,
                tuple(ref_columns),
                _RULES[on_update],
                _RULES[on_delete],
            )
        )
    return tuple(found), notes
