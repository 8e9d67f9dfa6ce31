"""Structure of a MySQL or MariaDB database → structure of a PostgreSQL schema: pure, no server is asked."""

from __future__ import annotations

from engine.connectors.base import TargetColumn, TargetDatabase, TargetTable
from engine.connectors.postgres import ddl, sequences
from engine.connectors.postgres.constraints import add_foreign_keys
from engine.connectors.postgres.context import MapOptions, MappedColumn, MappedDatabase, MappedTable
from engine.connectors.postgres.identifiers import quote
from engine.connectors.postgres.indexes import add_indexes
from engine.connectors.postgres.keys import Shared, decide
from engine.connectors.postgres.names import MAX_BYTES, byte_length, copied_tables, resolve_names
from engine.connectors.postgres.types import TypeContext, map_type
from engine.errors import Code, EngineError
from engine.schema import Column, Database

__all__ = ["MapOptions", "map_database"]


def map_database(source: Database, options: MapOptions) -> TargetDatabase:
    """The target's tables, statements and notes.

    Raises VALIDATION_FAILED for a target schema PostgreSQL refuses and for rename keys that fit nothing. What
    the policies refuse is not raised: it is a note of severity REFUSED, so that a plan can show all of them.
    """
    _check_schema(options.schema)
    names = resolve_names(source, options.policies, options.rename)
    database = MappedDatabase(source, options, names)
    shared = decide(copied_tables(source), names, options.policies, options.facts)
    for table in copied_tables(source):
        mapped = MappedTable(table, options.schema, names.tables[table.name])
        mapped.notes.extend(names.table_notes[table.name])
        database.tables[table.name] = mapped
    for mapped in database.tables.values():
        for column in mapped.source.columns:
            mapped.columns[column.name] = _map_column(database, mapped, column, shared)
    database.notes.extend(names.notes)
    structure = options.structure
    if structure.tables:
        database.statements.append(ddl.create_schema(options.schema))
        for mapped in database.tables.values():
            _create_table(mapped)
        for mapped in database.tables.values():
            _primary_key(mapped, database)
    if structure.indexes:
        for mapped in database.tables.values():
            add_indexes(mapped, database)
    if structure.foreign_keys:
        for mapped in database.tables.values():
            add_foreign_keys(mapped, database)
    for mapped in database.tables.values():
        for target in mapped.columns.values():
            mapped.statements.extend(sequences.after_rows(mapped, target))
        mapped.statements.append(ddl.analyze(mapped.schema, mapped.name))
    return TargetDatabase(
        options.schema,
        tuple(_finish(mapped) for mapped in database.tables.values()),
        tuple(database.statements),
        tuple(database.notes),
    )


def _check_schema(schema: str) -> None:
    problem = None
    if not schema or "\0" in schema or byte_length(schema) > MAX_BYTES:
        problem = f"a schema name has 1 to {MAX_BYTES} bytes and no NUL"
    elif schema.startswith("pg_") or schema == "information_schema":
        problem = "the schema belongs to PostgreSQL itself"
    if problem:
        field = "target.spec.db.schema"
        raise EngineError(
            Code.VALIDATION_FAILED, f"{field}: {problem}", fields=[{"field": field, "problem": problem}]
        )


def _map_column(
    database: MappedDatabase, table: MappedTable, column: Column, shared: dict[tuple[str, str], Shared]
) -> MappedColumn:
    options, names = database.options, database.names
    ref = (table.source.name, column.name)
    decision = shared[ref]
    facts = database.facts(*ref)
    enum_name = _enum_name(database, decision.enum) if decision.enum else ("", "")
    context = TypeContext(
        options.policies, decision, facts, enum_name, options.extensions, options.extension_schemas
    )
    mapped_type = map_type(column, context)
    mapped = MappedColumn(
        column, names.columns[table.source.name][column.name], mapped_type, decision, facts, column.nullable
    )
    for remark in mapped_type.remarks:
        table.remark(column.name, remark)
    mapped.in_key = column.name in table.source.key_columns
    if column.auto_increment:
        sequences.name_identity(table, mapped, database)
    return mapped


def _enum_name(database: MappedDatabase, owner: tuple[str, str]) -> tuple[str, str]:
    """Schema and name of the enum type of a component, named after the first column of it."""
    known = database.enum_names.get(owner)
    if known is None:
        table, column = owner
        names = database.names
        wanted = f"{names.tables[table]}_{names.columns[table][column]}"
        known = database.enum_names[owner] = names.relations.take(wanted, f"{table}.{column}")
    return database.schema, known


def _create_table(table: MappedTable) -> None:
    definitions = []
    for column in table.columns.values():
        table.statements.extend(sequences.before_table(table, column))
        owner = column.shared.enum
        if column.type.enum is not None and owner == (table.source.name, column.source.name):
            name = column.type.enum_name
            table.statements.append(ddl.create_enum(table.name, table.schema, name, column.type.enum))
        not_null = "" if column.nullable else " NOT NULL"
        identity = sequences.identity_clause(table, column)
        definitions.append(f"{quote(column.name)} {column.type.sql}{identity}{not_null}")
    table.statements.append(ddl.create_table(table.schema, table.name, definitions))


def _primary_key(table: MappedTable, database: MappedDatabase) -> None:
    columns = [table.find(part.column) for part in table.source.primary_key]
    names = [column.name for column in columns if column is not None]
    if not names:
        return
    name = database.names.relations.take(f"{table.name}_pkey", table.source.name)
    first = database.options.key_first
    table.statements.append(ddl.primary_key(table.schema, table.name, name, names, first=first))
    table.primary_key = table.source.key_columns


def _finish(table: MappedTable) -> TargetTable:
    columns = tuple(
        TargetColumn(
            column.source.name,
            column.name,
            column.type.sql,
            column.type.base,
            column.nullable,
            column.generated is None,
            column.type.conversion,
            column.type.labels,
        )
        for column in table.columns.values()
    )
    return TargetTable(
        table.source, table.schema, table.name, columns, tuple(table.statements), tuple(table.notes)
    )
