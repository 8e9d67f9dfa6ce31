"""Structure of a MySQL or MariaDB database → structure of a PostgreSQL schema: pure, no server is asked."""

from __future__ import annotations

from collections.abc import Mapping

from engine.connectors.base import Note, Severity, TargetColumn, TargetDatabase, TargetTable
from engine.connectors.postgres import ddl, inventory, native, sequences
from engine.connectors.postgres.constraints import add_checks, add_foreign_keys, add_type_checks
from engine.connectors.postgres.context import MapOptions, MappedColumn, MappedDatabase, MappedTable
from engine.connectors.postgres.defaults import decide_default
from engine.connectors.postgres.generated import decide_generated
from engine.connectors.postgres.identifiers import qualified, quote
from engine.connectors.postgres.indexes import add_indexes, add_primary_key
from engine.connectors.postgres.keys import Ref, Shared, decide
from engine.connectors.postgres.names import MAX_BYTES, byte_length, copied_tables, resolve_names
from engine.connectors.postgres.triggers import add_touch_triggers
from engine.connectors.postgres.types import TypeContext, map_type
from engine.errors import Code, EngineError
from engine.schema import Column, Database
from engine.types import Kind

__all__ = ["MapOptions", "map_database"]

# The nondeterministic collations of the policy `icu`: without accents, and with them.
_COLLATIONS = (("dbstreams_ai_ci", "und-u-ks-level1"), ("dbstreams_as_ci", "und-u-ks-level2"))
MIN_VERSION = 120000  # the first with generated columns and collations that take texts for equal
_MOMENTS = frozenset({Kind.DATE, Kind.DATETIME, Kind.TIMESTAMP})


def map_database(source: Database, options: MapOptions) -> TargetDatabase:
    """The target's tables, statements and notes.

    Raises VALIDATION_FAILED for a target schema PostgreSQL refuses and for rename keys that fit nothing. What
    the policies refuse is not raised: it is a note of severity REFUSED, so that a plan can show all of them.

    `structureOptions.tables` stands for tables with their types, primary keys, defaults, triggers, comments;
    `indexes` for secondary indexes, unique ones among them; `checkConstraints` also for the checks that
    belong to types. Sequences are set and tables analyzed in any case.
    """
    _check_schema(options.schema)
    names = resolve_names(source, options.policies, options.rename)
    database = MappedDatabase(source, options, names)
    _map_tables(database)
    database.notes.extend(names.notes)
    database.notes.extend(Note(Severity.INFO, "catalog", text) for text in source.notes)
    if options.server_version < MIN_VERSION:
        message = f"The target is too old: PostgreSQL {MIN_VERSION // 10000} or newer is needed."
        database.notes.append(Note(Severity.REFUSED, "target-too-old", message))
    inventory.note_database(database)
    if options.structure.tables:
        _create(database)
    _add_keys(database)
    for table in database.tables.values():
        inventory.note_table(table)
        for column in table.columns.values():
            table.statements.extend(sequences.after_rows(table, column))
        table.statements.append(ddl.analyze(table.schema, table.name))
    return TargetDatabase(
        options.schema,
        tuple(_finish(table) for table in database.tables.values()),
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
        fields = [{"field": field, "problem": problem}]
        raise EngineError(Code.VALIDATION_FAILED, f"{field}: {problem}", fields=fields)


# ---------------------------------------------------------------- columns


def _map_tables(database: MappedDatabase) -> None:
    """Tables with the types, defaults and generation of their columns."""
    options, names = database.options, database.names
    tables = copied_tables(database.source)
    shared = decide(tables, names, options.policies, options.facts)
    for table in tables:
        mapped = MappedTable(
            table,
            options.schema,
            names.tables[table.name],
            server_version=options.server_version,
            functions=options.functions,
        )
        mapped.notes.extend(names.table_notes[table.name])
        database.tables[table.name] = mapped
    for mapped in database.tables.values():
        for column in mapped.source.columns:
            mapped.columns[column.name] = _map_column(database, mapped, column, shared)
    for mapped in database.tables.values():
        decide_generated(mapped, database)
        for target in mapped.columns.values():
            decide_default(mapped, target, database)


def _map_column(
    database: MappedDatabase, table: MappedTable, column: Column, shared: Mapping[Ref, Shared]
) -> MappedColumn:
    options, ref = database.options, (table.source.name, column.name)
    decision, facts = shared[ref], database.facts(*ref)
    context = TypeContext(
        options.policies,
        decision,
        facts,
        _enum_name(database, decision.enum) if decision.enum else ("", ""),
        options.extensions,
        options.extension_schemas,
        (qualified(options.schema, _COLLATIONS[0][0]), qualified(options.schema, _COLLATIONS[1][0])),
        options.server_version,
    )
    foreign = (column.type_dialect or table.source.dialect) != native.DIALECT
    mapped_type = map_type(column, context) if foreign else native.native_type(column, context)
    name = database.names.columns[table.source.name][column.name]
    mapped = MappedColumn(column, name, mapped_type, decision, facts, column.nullable)
    for remark in mapped_type.remarks:
        table.remark(column.name, remark)
    mapped.in_key = column.name in table.source.key_columns
    _loosen(database, table, mapped)
    if column.auto_increment:
        sequences.name_identity(table, mapped, database)
    return mapped


def _loosen(database: MappedDatabase, table: MappedTable, column: MappedColumn) -> None:
    """Drop NOT NULL where the policy turns dates of zeros into NULL and there may be some."""
    zeros = column.facts.zero_dates if column.facts is not None else None
    if (
        column.nullable
        or column.source.type.kind not in _MOMENTS
        or database.options.policies.zero_date != "null"
        or zeros == 0
    ):
        return
    name = column.source.name
    if column.in_key:
        if zeros:
            message = "Zero dates in the primary key cannot become NULL."
            table.note(Severity.REFUSED, "zero-date-in-key", message, name, "zeroDate", zeros)
        return
    column.nullable = True
    message = "NOT NULL is dropped, because zero dates become NULL."
    table.note(Severity.WARNING, "zero-date-nullable", message, name, "zeroDate", zeros)


def _enum_name(database: MappedDatabase, owner: Ref) -> tuple[str, str]:
    """Schema and name of the enum type of a component: named after the first column of it, or as it was on
    PostgreSQL."""
    known = database.enum_names.get(owner)
    if known is None:
        table, column = owner
        names = database.names
        wanted = f"{names.tables[table]}_{names.columns[table][column]}"
        source = database.tables[table].source
        first = source.column(column)
        if (first.type_dialect or source.dialect) == native.DIALECT:
            wanted = native.type_name(first.native_type)
        known = database.enum_names[owner] = names.types.take(wanted, f"{table}.{column}")
    return database.schema, known


# ---------------------------------------------------------------- statements


def _create(database: MappedDatabase) -> None:
    """Namespace, types and tables."""
    database.statements.append(ddl.create_schema(database.schema))
    database.statements.extend(sequences.create_sequences(database))
    used = {column.type.collation for table in database.tables.values() for column in table.columns.values()}
    for name, locale in _COLLATIONS:
        if qualified(database.schema, name) in used:
            database.statements.append(ddl.create_collation(database.schema, name, locale))
    users: dict[str, set[str]] = {}
    for table in database.tables.values():
        for column in table.columns.values():
            if column.type.enum is not None:
                users.setdefault(column.type.enum_name, set()).add(table.name)
    for table in database.tables.values():
        _create_table(database, table, users)
        _comments(table)


def _create_table(database: MappedDatabase, table: MappedTable, users: dict[str, set[str]]) -> None:
    definitions = []
    for column in table.columns.values():
        table.statements.extend(sequences.before_table(table, column))
        kind = column.type
        if kind.enum is not None and kind.enum_name in users:
            # A type that several tables use belongs to none of them.
            alone = users.pop(kind.enum_name) == {table.name}
            owner = table.name if alone else None
            made = ddl.create_enum(owner, table.schema, kind.enum_name, kind.enum)
            (table.statements if alone else database.statements).append(made)
        definitions.append(_definition(table, column))
    table.statements.append(ddl.create_table(table.schema, table.name, definitions))
    for column in table.columns.values():
        table.statements.extend(sequences.after_table(table, column))
    add_touch_triggers(table, database)


def _definition(table: MappedTable, column: MappedColumn) -> str:
    parts = [f"{quote(column.name)} {column.type.declared}{sequences.identity_clause(table, column)}"]
    if column.generated is not None:
        how = "STORED" if column.stored else "VIRTUAL"
        parts.append(f"GENERATED ALWAYS AS ({column.generated}) {how}")
    elif column.default is not None:
        parts.append(f"DEFAULT {column.default}")
    if not column.nullable:
        parts.append("NOT NULL")
    return " ".join(parts)


def _comments(table: MappedTable) -> None:
    target = qualified(table.schema, table.name)
    if table.source.comment:
        table.statements.append(ddl.comment(table.name, "table", f"TABLE {target}", table.source.comment))
    for column in table.columns.values():
        if column.source.comment:
            what = f"COLUMN {target}.{quote(column.name)}"
            made = ddl.comment(table.name, f"column {column.name}", what, column.source.comment)
            table.statements.append(made)


def _add_keys(database: MappedDatabase) -> None:
    """Keys, indexes and constraints. Foreign keys come last: they ask which unique keys were made."""
    structure = database.options.structure
    tables = database.tables.values()
    for table in tables:
        if structure.tables:
            add_primary_key(table, database)
    for table in tables:
        if structure.indexes:
            add_indexes(table, database)
        if structure.check_constraints:
            add_type_checks(table)
            add_checks(table)
    for table in tables:
        if structure.foreign_keys:
            add_foreign_keys(table, database)


def _finish(table: MappedTable) -> TargetTable:
    columns = tuple(
        TargetColumn(
            source=column.source.name,
            name=column.name,
            type=column.type.declared,
            base=column.type.base,
            nullable=column.nullable,
            loaded=column.generated is None,
            conversion=column.type.conversion,
            labels=column.type.labels,
        )
        for column in table.columns.values()
    )
    return TargetTable(
        table.source, table.schema, table.name, columns, tuple(table.statements), tuple(table.notes)
    )
