"""Dialect-neutral structure: what a catalog reads and a DDL writer renders. Plain immutable values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from engine.types import LogicalType


@dataclass(frozen=True, slots=True)
class Default:
    """A column default: exactly one of the two.

    literal: the value itself, unquoted (text), or raw bytes for binary, bit and spatial columns.
    expression: SQL text in the source dialect, e.g. `CURRENT_TIMESTAMP(6)` or `(uuid())`.
    A column whose default is NULL, or which has none, carries no Default at all.
    """

    literal: str | bytes | None = None
    expression: str | None = None


@dataclass(frozen=True, slots=True)
class Generated:
    expression: str  # source dialect, unescaped
    stored: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """What a column was on a system its values have come through: the dialect, and its type there."""

    dialect: str
    type: LogicalType
    native_type: str
    charset: str | None = None
    collation: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """origins: where its values come from when another system's type holds them now, the latest first.
    type_dialect: whose type it has, where that is another's than the table's."""

    name: str
    type: LogicalType
    native_type: str  # as the server prints it, e.g. "int(10) unsigned"
    nullable: bool = True
    default: Default | None = None
    auto_increment: bool = False
    generated: Generated | None = None
    on_update_now: bool = False  # ON UPDATE CURRENT_TIMESTAMP
    invisible: bool = False
    charset: str | None = None
    collation: str | None = None
    comment: str = ""
    origins: tuple[Origin, ...] = ()
    type_dialect: str = ""


@dataclass(frozen=True, slots=True)
class IndexPart:
    """One key part: a column or an expression (source dialect, unescaped)."""

    column: str | None = None
    expression: str | None = None
    prefix: int | None = None  # characters (bytes for binary columns)
    descending: bool = False


class IndexMethod(StrEnum):
    BTREE = "btree"
    HASH = "hash"
    FULLTEXT = "fulltext"
    SPATIAL = "spatial"
    MULTIVALUE = "multivalue"


@dataclass(frozen=True, slots=True)
class Index:
    name: str
    parts: tuple[IndexPart, ...]
    unique: bool = False
    method: IndexMethod = IndexMethod.BTREE
    visible: bool = True
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    name: str
    columns: tuple[str, ...]
    ref_schema: str
    ref_table: str
    ref_columns: tuple[str, ...]
    on_update: str = "NO ACTION"  # NO ACTION, RESTRICT, CASCADE, SET NULL, SET DEFAULT
    on_delete: str = "NO ACTION"


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    expression: str  # source dialect, unescaped
    enforced: bool = True


@dataclass(frozen=True, slots=True)
class Partition:
    name: str
    method: str  # RANGE, LIST, HASH, KEY, RANGE COLUMNS, …
    expression: str
    description: str | None  # VALUES LESS THAN / IN
    estimated_rows: int = 0


class TableKind(StrEnum):
    TABLE = "table"
    SYSTEM_VERSIONED = "system_versioned"
    SEQUENCE = "sequence"
    VIEW = "view"
    QUERY = "query"  # the result of a SELECT
    FILE = "file"  # one file, or several of one shape


# Kinds that have rows of their own, which a stream can carry.
COPIED_KINDS = (TableKind.TABLE, TableKind.SYSTEM_VERSIONED, TableKind.QUERY, TableKind.FILE)


@dataclass(frozen=True, slots=True)
class Table:
    schema: str  # database on MySQL, schema on PostgreSQL
    name: str
    columns: tuple[Column, ...]
    dialect: str = "mysql"  # of every expression in it: mysql, mariadb, postgres, duckdb
    primary_key: tuple[IndexPart, ...] = ()
    indexes: tuple[Index, ...] = ()  # without the primary key
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    partitions: tuple[Partition, ...] = ()
    comment: str = ""
    kind: TableKind = TableKind.TABLE
    engine: str | None = None
    collation: str | None = None
    auto_increment: int | None = None  # the next value the server would hand out
    estimated_rows: int = 0
    estimated_bytes: int = 0
    create_statement: str = ""
    query: str = ""  # of kind QUERY: the SELECT it is the result of

    def column(self, name: str) -> Column:
        """The column of that name; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def key_columns(self) -> tuple[str, ...]:
        return tuple(part.column for part in self.primary_key if part.column is not None)


@dataclass(frozen=True, slots=True)
class View:
    schema: str
    name: str
    definition: str
    columns: tuple[Column, ...] = ()
    materialized: bool = False


@dataclass(frozen=True, slots=True)
class Routine:
    schema: str
    name: str
    kind: str  # FUNCTION, PROCEDURE
    definition: str


@dataclass(frozen=True, slots=True)
class Trigger:
    schema: str
    name: str
    table: str
    timing: str  # BEFORE, AFTER, INSTEAD OF
    event: str  # INSERT, UPDATE, DELETE
    definition: str


@dataclass(frozen=True, slots=True)
class Event:
    schema: str
    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class Sequence:
    schema: str
    name: str
    start: int = 1
    increment: int = 1
    minimum: int | None = None
    maximum: int | None = None
    cycle: bool = False
    next_value: int | None = None


@dataclass(frozen=True, slots=True)
class Database:
    """Everything of one database (MySQL) or schema (PostgreSQL) that structure copying looks at."""

    name: str
    tables: tuple[Table, ...] = ()
    views: tuple[View, ...] = ()
    routines: tuple[Routine, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    events: tuple[Event, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    notes: tuple[str, ...] = field(default=())  # what the catalog saw and could not carry
