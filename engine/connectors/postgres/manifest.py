"""The types columns had where they come from, in a table beside the data (see connectors/origins.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.connectors.base import Phase, Statement, TargetColumn, TargetTable
from engine.connectors.origins import COLUMNS, COMMENT, TABLE, TypeRow, type_rows
from engine.connectors.postgres.identifiers import literal, qualified
from engine.connectors.postgres.native import DIALECT
from engine.connectors.postgres.session import PgConnection
from engine.schema import Column

__all__ = ["TABLE", "known_types", "statements"]

_READABLE = """
SELECT has_table_privilege(c.oid, 'SELECT') AND (
  SELECT count(*) = 4 FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
  AND a.attname IN ('table', 'column', 'type', 'origins') AND a.atttypid = 'text'::regtype)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'r'"""


def statements(schema: str, tables: Sequence[TargetTable]) -> list[Statement]:
    """The table itself, and for each of `tables` one statement that says what its changed columns were;
    nothing where all types are kept. What is known of an earlier table of that name goes."""
    filled = [(table, rows) for table in tables if (rows := type_rows(table, DIALECT, _is_kept))]
    if not filled:
        return []
    target = qualified(schema, TABLE)
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    columns = ", ".join(f'"{name}" text NOT NULL' for name in COLUMNS)
    made = [
        Statement(
            Phase.TRIGGER,  # before the phase that fills it
            None,
            TABLE,
            # Streams that end together would both find it missing.
            f"SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended({literal(target)}, 0));"
            f' CREATE TABLE IF NOT EXISTS {target} ({columns}, PRIMARY KEY ("schema", "table", "column"));'
            f" COMMENT ON TABLE {target} IS {literal(COMMENT)}",
        )
    ]
    for table, rows in filled:
        sql = (
            f'DELETE FROM {target} WHERE "schema" = {literal(schema)} AND "table" = {literal(table.name)};'
            f" INSERT INTO {target} ({names}) VALUES {', '.join(map(_values, rows))}"
        )
        made.append(Statement(Phase.COMMENT, table.name, f"{table.name} source types", sql))
    return made


def _is_kept(source: Column, target: TargetColumn) -> bool:
    return source.native_type == target.type.partition(" COLLATE ")[0]


def _values(row: TypeRow) -> str:
    place = literal(qualified(row.table.schema, row.table.name))
    printed = (
        "(SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a"
        f" WHERE a.attrelid = {place}::pg_catalog.regclass AND a.attname = {literal(row.column.name)})"
    )
    before, after = (
        [literal(value.replace("\0", "")) for value in part] for part in (row.before_type, row.after_type)
    )
    return f"({', '.join([*before, printed, *after])})"


def known_types(session: PgConnection, schema: str) -> list[tuple[Any, ...]]:
    """(table, column, type, origins) of the columns of a schema; none where there is no such table, or this
    user may not read it."""
    found = session.execute(_READABLE, (schema, TABLE)).fetchone()
    if not found or not found[0]:
        return []
    query = f'SELECT "table", "column", "type", origins FROM {qualified(schema, TABLE)} WHERE "schema" = %s'
    return session.execute(query, (schema,)).fetchall()
