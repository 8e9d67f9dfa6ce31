"""Secondary indexes: what PostgreSQL has instead of each kind MySQL knows."""

from __future__ import annotations

from engine.connectors.base import Phase, Statement
from engine.connectors.postgres.context import MappedDatabase, MappedTable
from engine.connectors.postgres.ddl import index_exists
from engine.connectors.postgres.identifiers import qualified, quote
from engine.schema import Index


def add_indexes(table: MappedTable, database: MappedDatabase) -> None:
    """Statements for the table's indexes; whatever is not made gets a note."""
    for index in table.source.indexes:
        _add_index(table, database, index)


def _add_index(table: MappedTable, database: MappedDatabase, index: Index) -> None:
    parts = []
    for part in index.parts:
        column = table.find(part.column)
        if column is None:
            table.warn("index-skipped", f"The index {index.name!r} is not made.")
            return
        parts.append(quote(column.name) + (" DESC" if part.descending else ""))
    name = database.names.relations.take(f"{table.name}_{index.name}", f"{table.source.name}.{index.name}")
    unique = "UNIQUE " if index.unique else ""
    sql = f"CREATE {unique}INDEX {quote(name)} ON {qualified(table.schema, table.name)} ({', '.join(parts)})"
    table.statements.append(
        Statement(Phase.INDEX, table.name, name, sql, index_exists(table.schema, table.name, name))
    )
    if index.unique:
        table.unique.append(tuple(part.column for part in index.parts if part.column is not None))
