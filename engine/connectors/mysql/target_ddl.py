"""Statements of tables, and the queries that tell whether one has been carried out already."""

from __future__ import annotations

from collections.abc import Sequence

from engine.connectors.base import Phase, Statement
from engine.connectors.mysql.identifiers import literal, qualified, quote


def text(value: str) -> str:
    """A string in quotes, for DDL: COMMENT and labels take no introducer, and MariaDB prints hexadecimal
    constants of checks again without escapes. The session has no NO_BACKSLASH_ESCAPES."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0") + "'"


def table_exists(schema: str, name: str) -> str:
    return (
        "SELECT 1 FROM information_schema.TABLES"
        f" WHERE TABLE_SCHEMA = {literal(schema)} AND TABLE_NAME = {literal(name)}"
    )


def indexes_exist(schema: str, table: str, names: Sequence[str]) -> str:
    """A row when the table has all these indexes."""
    listed = ", ".join(literal(name) for name in names)
    return (
        "SELECT 1 FROM information_schema.STATISTICS"
        f" WHERE TABLE_SCHEMA = {literal(schema)} AND TABLE_NAME = {literal(table)}"
        f" AND INDEX_NAME IN ({listed}) HAVING COUNT(DISTINCT INDEX_NAME) = {len(names)}"
    )


def constraint_exists(schema: str, table: str, name: str) -> str:
    return (
        "SELECT 1 FROM information_schema.TABLE_CONSTRAINTS"
        f" WHERE TABLE_SCHEMA = {literal(schema)} AND TABLE_NAME = {literal(table)}"
        f" AND CONSTRAINT_NAME = {literal(name)}"
    )


def create_table(schema: str, table: str, definitions: Sequence[str], options: str) -> Statement:
    body = ",\n  ".join(definitions)
    sql = f"CREATE TABLE {qualified(schema, table)} (\n  {body}\n){options}"
    return Statement(Phase.TABLE, table, table, sql, table_exists(schema, table))


def add_indexes(schema: str, table: str, names: Sequence[str], clauses: Sequence[str]) -> Statement:
    """All of them in one pass over the table."""
    listed = ",\n  ".join(f"ADD {clause}" for clause in clauses)
    sql = f"ALTER TABLE {qualified(schema, table)}\n  {listed}"
    return Statement(Phase.INDEX, table, ", ".join(names), sql, indexes_exist(schema, table, names))


def add_foreign_key(
    schema: str,
    table: str,
    name: str,
    columns: Sequence[str],
    parent: str,
    ref_columns: Sequence[str],
    rules: tuple[str, str],
) -> Statement:
    own = ", ".join(quote(column) for column in columns)
    other = ", ".join(quote(column) for column in ref_columns)
    sql = (
        f"ALTER TABLE {qualified(schema, table)} ADD CONSTRAINT {quote(name)} FOREIGN KEY ({own})"
        f" REFERENCES {qualified(schema, parent)} ({other}) ON UPDATE {rules[0]} ON DELETE {rules[1]}"
    )
    return Statement(Phase.FOREIGN_KEY, table, name, sql, constraint_exists(schema, table, name))


def set_counter(schema: str, table: str, value: int) -> Statement:
    """The next AUTO_INCREMENT value; the server itself takes at least the largest there is and one."""
    sql = f"ALTER TABLE {qualified(schema, table)} AUTO_INCREMENT = {value}"
    exists = (
        "SELECT 1 FROM information_schema.TABLES"
        f" WHERE TABLE_SCHEMA = {literal(schema)} AND TABLE_NAME = {literal(table)}"
        f" AND COALESCE(AUTO_INCREMENT, 0) >= {value}"
    )
    return Statement(Phase.SEQUENCE, table, f"{table} counter", sql, exists)


def analyze(schema: str, table: str) -> Statement:
    return Statement(Phase.ANALYZE, table, f"{table} statistics", f"ANALYZE TABLE {qualified(schema, table)}")
