"""The table beside the data of which source type each changed column had. Sources do not read it yet."""

from __future__ import annotations

from engine.connectors.base import Phase, Statement
from engine.connectors.mysql.identifiers import literal, qualified
from engine.connectors.mysql.target_context import MappedDatabase, MappedTable

TABLE = "_dbstreams_types"


def add_manifest(database: MappedDatabase) -> None:
    """A table for all, and for each table one statement with its columns; none where all types are kept."""
    if not database.options.structure.tables:
        return
    any_rows = False
    for table in database.tables.values():
        rows = _rows(database, table)
        if rows:
            any_rows = True
            sql = (
                f"REPLACE INTO {qualified(database.schema, TABLE)} (`schema`, `table`, `column`, dialect,"
                f" source_schema, source_table, source_column, source_type, policy) VALUES {', '.join(rows)}"
            )
            table.statements.append(Statement(Phase.COMMENT, table.name, f"{table.name} source types", sql))
    if any_rows:
        name = "varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
        sql = (
            f"CREATE TABLE IF NOT EXISTS {qualified(database.schema, TABLE)} (`schema` {name},"
            f" `table` {name},"
            f" `column` {name}, dialect varchar(16) NOT NULL, source_schema text NOT NULL,"
            " source_table text NOT NULL, source_column text NOT NULL, source_type longtext NOT NULL,"
            " policy text NOT NULL, PRIMARY KEY (`schema`, `table`, `column`))"
            " ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            " COMMENT='dbstreams: the types columns had where they come from'"
        )
        database.statements.append(Statement(Phase.NAMESPACE, None, TABLE, sql))


def _rows(database: MappedDatabase, table: MappedTable) -> list[str]:
    source = table.source
    kept = source.dialect == database.server.flavor
    rows = []
    for column in table.columns.values():
        if kept and column.type.sql.lower() == column.source.native_type.lower():
            continue
        values = (
            database.schema,
            table.name,
            column.name,
            source.dialect,
            source.schema,
            source.name,
            column.source.name,
            column.source.native_type,
            column.type.conversion,
        )
        rows.append(f"({', '.join(literal(value) for value in values)})")
    return rows
