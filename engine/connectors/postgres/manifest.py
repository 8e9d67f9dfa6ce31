"""The types columns had where they come from, in a table beside the data: what the way back reads first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from engine.connectors.base import Phase, Statement, TargetTable
from engine.connectors.postgres.identifiers import literal, qualified
from engine.connectors.postgres.native import DIALECT
from engine.connectors.postgres.session import PgConnection

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


@dataclass(frozen=True, slots=True)
class SourceType:
    """What a column was. dialect: of the source (mysql, mariadb, postgres, duckdb). policy: how its values
    changed, empty when they did not."""

    table: str
    column: str
    dialect: str
    source_schema: str
    source_table: str
    source_column: str
    source_type: str
    policy: str


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


def source_types(session: PgConnection, schema: str) -> dict[tuple[str, str], SourceType]:
    """(table, column) → what it was, for every column of the schema that is known to have changed; nothing
    where the table is not there."""
    found = session.execute("SELECT to_regclass(%s) IS NOT NULL", (qualified(schema, TABLE),)).fetchone()
    if not (found and found[0]):
        return {}
    with session.cursor(row_factory=class_row(SourceType)) as cursor:
        rows = cursor.execute(
            'SELECT "table", "column", dialect, source_schema, source_table, source_column, source_type,'
            f' policy FROM {qualified(schema, TABLE)} WHERE "schema" = %s'.encode(),
            (schema,),
        ).fetchall()
    return {(row.table, row.column): row for row in rows}
