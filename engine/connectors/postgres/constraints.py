"""Foreign keys and checks: added NOT VALID after the rows, then validated."""

from __future__ import annotations

from engine.connectors.base import Phase, Statement
from engine.connectors.postgres.context import MappedDatabase, MappedTable
from engine.connectors.postgres.ddl import constraint_exists
from engine.connectors.postgres.identifiers import qualified, quote, quoted_list
from engine.schema import ForeignKey


def add_foreign_keys(table: MappedTable, database: MappedDatabase) -> None:
    for key in table.source.foreign_keys:
        _add_foreign_key(table, database, key)


def _add_foreign_key(table: MappedTable, database: MappedDatabase, key: ForeignKey) -> None:
    found = database.names.find_table(key.ref_table) if key.ref_schema == table.source.schema else None
    if found is None:
        table.warn("foreign-key-skipped", f"The foreign key {key.name!r} points outside the stream.")
        return
    parent = database.tables[found]
    mine = [table.find(name) for name in key.columns]
    theirs = [parent.find(name) for name in key.ref_columns]
    child_names = [column.name for column in mine if column]
    parent_names = [column.name for column in theirs if column]
    name = table.constraints.take(key.name, key.name)
    sql = (
        f"ALTER TABLE {qualified(table.schema, table.name)} ADD CONSTRAINT {quote(name)} FOREIGN KEY"
        f" ({quoted_list(child_names)}) REFERENCES {qualified(parent.schema, parent.name)}"
        f" ({quoted_list(parent_names)}) ON UPDATE {key.on_update} ON DELETE {key.on_delete} NOT VALID"
    )
    exists = constraint_exists(table.schema, table.name, name)
    table.statements.append(Statement(Phase.FOREIGN_KEY, table.name, name, sql, exists))
    table.statements.append(validate(table, name))


def validate(table: MappedTable, name: str) -> Statement:
    sql = f"ALTER TABLE {qualified(table.schema, table.name)} VALIDATE CONSTRAINT {quote(name)}"
    exists = constraint_exists(table.schema, table.name, name, validated=True)
    return Statement(Phase.VALIDATE, table.name, name, sql, exists)
