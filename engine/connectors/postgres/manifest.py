"""The types columns had where they come from, in a table beside the data. Written for people and for a way
back; sources do not read it yet."""

from __future__ import annotations

from collections.abc import Sequence

from engine.connectors.base import Phase, Statement, TargetTable
from engine.connectors.postgres.identifiers import literal, qualified
from engine.connectors.postgres.native import DIALECT

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


def statements(schema: str, tables: Sequence[TargetTable]) -> list[Statement]:
    """The table itself, and for each of `tables` one statement that says what its changed columns were;
    nothing where all types are kept. What is known of an earlier table of that name goes."""
    filled = [(table, rows) for table in tables if (rows := _rows(schema, table))]
    if not filled:
        return []
    target = qualified(schema, TABLE)
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    columns = ", ".join(f'"{name}" text NOT NULL' for name in _COLUMNS)
    made = [
        Statement(
            Phase.TRIGGER,  # before the phase that fills it
            None,
            TABLE,
            # Streams that end together would both find it missing.
            f"SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended({literal(target)}, 0));"
            f' CREATE TABLE IF NOT EXISTS {target} ({columns}, PRIMARY KEY ("schema", "table", "column"));'
            f" COMMENT ON TABLE {target} IS 'dbstreams: the types columns had where they come from'",
        )
    ]
    for table, rows in filled:
        sql = (
            f'DELETE FROM {target} WHERE "schema" = {literal(schema)} AND "table" = {literal(table.name)};'
            f" INSERT INTO {target} ({names}) VALUES {', '.join(rows)}"
        )
        made.append(Statement(Phase.COMMENT, table.name, f"{table.name} source types", sql))
    return made


def _rows(schema: str, table: TargetTable) -> list[str]:
    source = table.source
    natives = {column.name: column.native_type for column in source.columns}
    rows = []
    for column in table.columns:
        native = natives[column.source]
        if source.dialect == DIALECT and native == column.type.partition(" COLLATE ")[0]:
            continue
        values = (
            schema,
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
