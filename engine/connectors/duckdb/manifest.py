"""The types columns had where they come from, in a table beside the data (see connectors/origins.py)."""

from __future__ import annotations

from engine.connectors.base import Phase, Statement, TargetColumn, TargetTable
from engine.connectors.duckdb.database import Cursor
from engine.connectors.duckdb.identifiers import literal, qualified, quote
from engine.connectors.duckdb.types import base_of
from engine.connectors.origins import COLUMNS, TABLE, TypeRow, type_rows
from engine.schema import Column

__all__ = ["TABLE", "known_types", "statement"]


def statement(catalog: str, table: TargetTable) -> Statement | None:
    """What the table's changed columns were; None where all types are kept. What is known of an earlier table
    of that name goes."""
    rows = type_rows(table, "duckdb", _is_kept)
    if not rows:
        return None
    place = qualified(catalog, table.schema, TABLE)
    columns = ", ".join(f"{quote(name)} VARCHAR NOT NULL" for name in COLUMNS)
    names = ", ".join(quote(name) for name in COLUMNS)
    sql = (
        f"CREATE TABLE IF NOT EXISTS {place} ({columns});"
        f" DELETE FROM {place} WHERE {quote('schema')} = {literal(table.schema)}"
        f" AND {quote('table')} = {literal(table.name)};"
        f" INSERT INTO {place} ({names}) VALUES {', '.join(_values(row, catalog) for row in rows)}"
    )
    return Statement(Phase.COMMENT, table.name, f"{table.name} source types", sql)


def _is_kept(source: Column, target: TargetColumn) -> bool:
    return target.type in (source.native_type, base_of(source.native_type))


def _values(row: TypeRow, catalog: str) -> str:
    schema, table, column = (literal(value) for value in row.before_type)
    printed = (
        f"(SELECT data_type FROM duckdb_columns() WHERE database_name = {literal(catalog)} AND schema_name ="
        f" {schema} AND table_name = {table} AND column_name = {column})"
    )
    after = [literal(value.replace("\0", "")) for value in row.after_type]
    return f"({', '.join([schema, table, column, printed, *after])})"


def known_types(cursor: Cursor, catalog: str, schema: str) -> list[tuple[str, str, str, str]]:
    """(table, column, type, origins) of the columns of a schema; none where there is no such table."""
    found = cursor.execute(
        "SELECT count(*) FROM duckdb_columns() WHERE database_name = $1 AND schema_name = $2 AND"
        " table_name = $3 AND column_name IN ('table', 'column', 'type', 'origins')",
        [catalog, schema, TABLE],
    ).fetchone()
    if not found or found[0] != 4:
        return []
    place = qualified(catalog, schema, TABLE)
    query = f'SELECT "table", "column", "type", origins FROM {place} WHERE "schema" = $1'
    return cursor.execute(query, [schema]).fetchall()
