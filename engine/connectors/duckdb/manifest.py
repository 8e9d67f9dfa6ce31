"""The types columns had where they come from, in a table beside the data. Sources do not read it yet."""

from __future__ import annotations

from engine.connectors.base import Phase, Statement, TargetTable
from engine.connectors.duckdb.identifiers import literal, qualified, quote
from engine.connectors.duckdb.types import base_of

TABLE = "_dbstreams_types"
_COLUMNS = (
    "schema",
    "table",
    "column",
    "dialect",
    "source_schema",
    "source_table",
    "source_column",
    "source_type",
    "policy",
)


def statement(catalog: str, table: TargetTable) -> Statement | None:
    """What the table's changed columns were; None where all types are kept. What is known of an earlier table
    of that name goes."""
    rows = _rows(table)
    if not rows:
        return None
    place = qualified(catalog, table.schema, TABLE)
    columns = ", ".join(f"{quote(name)} VARCHAR NOT NULL" for name in _COLUMNS)
    names = ", ".join(quote(name) for name in _COLUMNS)
    sql = (
        f"CREATE TABLE IF NOT EXISTS {place} ({columns});"
        f" DELETE FROM {place} WHERE {quote('schema')} = {literal(table.schema)}"
        f" AND {quote('table')} = {literal(table.name)};"
        f" INSERT INTO {place} ({names}) VALUES {', '.join(rows)}"
    )
    return Statement(Phase.COMMENT, table.name, f"{table.name} source types", sql)


def _rows(table: TargetTable) -> list[str]:
    source = table.source
    natives = {column.name: column.native_type for column in source.columns}
    rows = []
    for column in table.columns:
        native = natives[column.source]
        if source.dialect == "duckdb" and column.type in (native, base_of(native)):
            continue
        values = (
            table.schema,
            table.name,
            column.name,
            source.dialect,
            source.schema,
            source.name,
            column.source,
            native,
            column.conversion,
        )
        rows.append(f"({', '.join(literal(value.replace(chr(0), '')) for value in values)})")
    return rows
