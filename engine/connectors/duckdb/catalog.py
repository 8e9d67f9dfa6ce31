"""What a DuckDB target holds right now: tables with their live column types and their primary key."""

from __future__ import annotations

from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from engine.connectors.duckdb.database import Cursor
from engine.connectors.duckdb.identifiers import qualified
from engine.connectors.duckdb.labels import enum_labels
from engine.connectors.duckdb.types import base_of


@dataclass(frozen=True, slots=True)
class LiveColumn:
    name: str
    type: str  # as duckdb_columns() prints it
    nullable: bool
    has_default: bool
    generated: bool

    @property
    def base(self) -> str:
        return base_of(self.type)

    @property
    def labels(self) -> tuple[str, ...]:
        """Of an enum, in order; empty for other types."""
        return enum_labels(self.type) if self.base == "ENUM" else ()

    @property
    def must_be_given(self) -> bool:
        return not self.nullable and not self.has_default and not self.generated


@dataclass(frozen=True, slots=True)
class LiveTable:
    name: str
    is_table: bool
    columns: tuple[LiveColumn, ...]
    primary_key: tuple[str, ...]
    references: tuple[str, ...]  # tables its foreign keys point at

    def column(self, name: str) -> LiveColumn | None:
        """DuckDB's names have no case."""
        folded = name.casefold()
        return next((column for column in self.columns if column.name.casefold() == folded), None)


_COLUMNS = """
SELECT column_name, data_type, is_nullable, column_default IS NOT NULL
FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = $1 AND lower(table_name) = lower($2)
ORDER BY column_index
"""
_KEYS = """
SELECT constraint_type, constraint_column_names, referenced_table FROM duckdb_constraints()
WHERE database_name = current_database() AND schema_name = $1 AND lower(table_name) = lower($2)
AND constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY') ORDER BY constraint_index
"""


def live_table(cursor: Cursor, schema: str, name: str) -> LiveTable | None:
    """The table or view of that name, whatever its case; None when there is none."""
    rows = cursor.execute(_COLUMNS, [schema, name]).fetchall()
    if not rows:
        return None
    made = cursor.execute(
        "SELECT sql FROM duckdb_tables() WHERE database_name = current_database()"
        " AND schema_name = $1 AND lower(table_name) = lower($2)",
        [schema, name],
    ).fetchone()
    key: tuple[str, ...] = ()
    references = []
    for constraint, columns, other in cursor.execute(_KEYS, [schema, name]).fetchall():
        if constraint == "PRIMARY KEY":
            key = tuple(columns)
        else:
            references.append(other)
    generated = generated_columns(str(made[0])) if made else frozenset()
    return LiveTable(
        name,
        made is not None,
        tuple(
            LiveColumn(column, kind, nullable, default and column not in generated, column in generated)
            for column, kind, nullable, default in rows
        ),
        key,
        tuple(references),
    )


def generated_columns(statement: str) -> frozenset[str]:
    """The generated columns of a CREATE TABLE as DuckDB prints it: its catalog shows their expressions as
    defaults. Empty for a statement with types our parser does not know; DuckDB itself refuses values then."""
    if "GENERATED ALWAYS" not in statement:
        return frozenset()
    try:
        tree = sqlglot.parse_one(statement, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return frozenset()
    kinds = (exp.ComputedColumnConstraint, exp.GeneratedAsIdentityColumnConstraint)
    return frozenset(
        definition.name
        for definition in tree.find_all(exp.ColumnDef)
        if any(isinstance(constraint.kind, kinds) for constraint in definition.args.get("constraints") or ())
    )


def has_rows(cursor: Cursor, catalog: str, schema: str, name: str) -> bool:
    row = cursor.execute(
        f"SELECT EXISTS (SELECT 1 FROM {qualified(catalog, schema, name)} LIMIT 1)"
    ).fetchone()
    return bool(row and row[0])
