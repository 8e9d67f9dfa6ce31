"""Structure of a source → structure of a MySQL or MariaDB database: pure, no server is asked."""

from __future__ import annotations

from dataclasses import replace

from engine.connectors.base import ColumnFacts, Note, Severity, TargetColumn, TargetDatabase, TargetTable
from engine.connectors.mysql import target_ddl as ddl
from engine.connectors.mysql.identifiers import quote
from engine.connectors.mysql.target_context import MapOptions, MappedColumn, MappedDatabase, MappedTable
from engine.connectors.mysql.target_defaults import Untranslatable, default_clause
from engine.connectors.mysql.target_inventory import note_database, note_table
from engine.connectors.mysql.target_keys import (
    Room,
    add_counter_key,
    add_foreign_keys,
    add_indexes,
    add_primary_key,
    key_rooms,
)
from engine.connectors.mysql.target_manifest import manifest_of, table_statement
from engine.connectors.mysql.target_names import copied_tables, resolve_names
from engine.connectors.mysql.target_server import ROW_BYTES
from engine.connectors.mysql.target_types import FAMILY, MappedType, TypeContext, family_type
from engine.connectors.mysql.target_types_foreign import foreign_type
from engine.schema import Column, Database, Table
from engine.types import Kind

__all__ = ["MapOptions", "map_database"]

_MOMENTS = frozenset({Kind.DATE, Kind.DATETIME, Kind.TIMESTAMP})
_COLUMN_COMMENT = 1024
_TABLE_COMMENT = 2048


def map_database(source: Database, options: MapOptions) -> TargetDatabase:
    """The target's tables, statements and notes.

    Raises VALIDATION_FAILED for rename keys that fit nothing. What the policies refuse is not raised: it is a
    note of severity REFUSED, so that a plan can show all of them.
    """
    names = resolve_names(source, options.policies, options.rename, options.server.exact_names)
    database = MappedDatabase(source, options, names)
    for table in copied_tables(source):
        mapped = MappedTable(table, options.schema, names.tables[table.name])
        mapped.notes.extend(names.notes[table.name])
        database.tables[table.name] = mapped
        _map_columns(database, mapped)
    database.notes.extend(Note(Severity.INFO, "catalog", text) for text in source.notes)
    note_database(database)
    structure = options.structure
    for mapped in database.tables.values():
        note_table(mapped)
        if structure.tables:
            add_primary_key(mapped, database)
            add_counter_key(mapped, structure.indexes)
        if structure.indexes:
            add_indexes(mapped, database)
        if structure.check_constraints:
            _add_checks(database, mapped)
        if structure.tables:
            _create_table(database, mapped)
    for mapped in database.tables.values():
        if structure.foreign_keys:
            add_foreign_keys(mapped, database)
        if mapped.source.auto_increment and any(c.source.auto_increment for c in mapped.columns.values()):
            mapped.statements.append(
                ddl.set_counter(mapped.schema, mapped.name, mapped.source.auto_increment)
            )
        mapped.statements.append(ddl.analyze(mapped.schema, mapped.name))
    tables = tuple(_finish(table) for table in database.tables.values())
    if structure.tables:
        tables = _remembering(database, tables)
    return TargetDatabase(
        options.schema,
        tables,
        tuple(database.statements),
        tuple(database.notes),
    )


def _remembering(database: MappedDatabase, tables: tuple[TargetTable, ...]) -> tuple[TargetTable, ...]:
    """The tables, each with the statement that keeps the types its columns had."""
    flavor = database.server.flavor
    kept = [manifest_of(table, flavor) for table in tables]
    if any(kept):
        database.statements.append(table_statement(database.schema))
    return tuple(
        replace(table, statements=(*table.statements, statement)) if statement else table
        for table, statement in zip(tables, kept, strict=True)
    )


# ---------------------------------------------------------------- columns


def _map_columns(database: MappedDatabase, table: MappedTable) -> None:
    rooms = {} if table.is_family else key_rooms(table.source)
    for column in table.source.columns:
        context = _context(database, table.source, column, rooms)
        family = (column.type_dialect or table.source.dialect) in FAMILY
        mapped_type = family_type(column, context) if family else foreign_type(column, context)
        name = database.names.columns[table.source.name][column.name]
        mapped = MappedColumn(column, name, mapped_type, column.nullable)
        table.columns[column.name] = mapped
        for remark in mapped_type.remarks:
            table.note(remark.severity, remark.slug, remark.message, column.name, remark.policy)
        _loosen(database, table, mapped, context.facts)
        _admit_invalid(table, mapped, context.facts)
        if column.generated is not None:
            _generate(database, table, mapped)
        if mapped.generated is None and not column.auto_increment:
            try:
                ours = replace(context, dialect=table.source.dialect)  # whose expressions these are
                mapped.default = default_clause(column, mapped.type, ours)
            except Untranslatable as error:
                table.warn("default-skipped", f"The default {error} is not carried.", column.name)
    if not table.is_family:
        _narrow_row(table)


def _context(database: MappedDatabase, table: Table, column: Column, rooms: dict[str, Room]) -> TypeContext:
    facts, room = database.options.facts.get(table.name), rooms.get(column.name)
    return TypeContext(
        database.server,
        database.options.policies,
        column.type_dialect or table.dialect,
        facts.columns.get(column.name) if facts is not None else None,
        room.chars if room is not None else None,
        room is not None and room.firm,
    )


def _loosen(
    database: MappedDatabase, table: MappedTable, column: MappedColumn, facts: ColumnFacts | None
) -> None:
    """Drop NOT NULL where a policy makes NULL of values that cannot go."""
    policies, kind = database.options.policies, column.source.type.kind
    if column.nullable:
        return
    zeros = facts.zero_dates if facts is not None else None
    policy = None
    if table.is_family and kind in _MOMENTS and policies.zero_date == "null" and zeros != 0:
        policy = "zeroDate"
    elif not table.is_family and kind in _MOMENTS and policies.infinity == "null":
        policy = "infinity"
    elif (
        not table.is_family and policies.nan == "null" and kind in (Kind.FLOAT32, Kind.FLOAT64, Kind.DECIMAL)
    ):
        policy = "nan"
    if policy is None or column.source.name in table.source.key_columns:
        return
    column.nullable = True
    table.warn(
        "nullable-by-policy", "NOT NULL is dropped: some values become NULL.", column.source.name, policy
    )


def _admit_invalid(table: MappedTable, column: MappedColumn, facts: ColumnFacts | None) -> None:
    """Rows with the invalid value of an ENUM (index 0) need a label to be stored by."""
    labels = column.source.type.labels
    count = facts.empty_enum if facts is not None else None
    if column.source.type.kind is not Kind.ENUM or not count or "" in labels or not table.is_family:
        return
    sql = column.type.sql[:-1] + ",'')"
    column.type = replace(column.type, sql=sql, labels=(*labels, ""))
    table.note(
        Severity.WARNING,
        "enum-invalid-value",
        "Rows hold the invalid value (index 0): the label '' is added for them.",
        column.source.name,
        count=count,
    )


def _generate(database: MappedDatabase, table: MappedTable, column: MappedColumn) -> None:
    """A generated column is generated again on the same flavor; elsewhere it holds the values it had."""
    generated = column.source.generated
    assert generated is not None
    if database.options.policies.generated == "plain":
        return
    if table.source.dialect == database.server.flavor:
        word = "STORED" if generated.stored else "VIRTUAL"
        column.generated = f" GENERATED ALWAYS AS ({generated.expression}) {word}"
        return
    table.warn(
        "generated-as-plain",
        "The expression is not translated: the column holds the values it had on the source.",
        column.source.name,
    )


def _narrow_row(table: MappedTable) -> None:
    """A row has 65,535 bytes without large values: the widest VARCHARs that no key needs become LONGTEXT."""
    keyed = set(key_rooms(table.source))
    while sum(_inline(column.type) for column in table.columns.values()) > ROW_BYTES:
        wide = [
            column
            for name, column in table.columns.items()
            if name not in keyed
            and _inline(column.type) > 40
            and column.type.sql.startswith(("varchar", "varbin"))
        ]
        if not wide:
            table.warn("row-too-wide", f"A row takes more than {ROW_BYTES} bytes; the server will refuse it.")
            return
        widest = max(wide, key=lambda column: _inline(column.type))
        lob = "longtext" if widest.type.sql.startswith("varchar") else "longblob"
        widest.type = replace(widest.type, sql=lob, key_bytes=None)
        table.inform(
            "row-narrowed", f"The column becomes {lob}, because a row has a limit.", widest.source.name
        )


def _inline(type_: MappedType) -> int:
    return 12 if type_.key_bytes is None or type_.key_bytes < 0 else type_.key_bytes + 2


# ---------------------------------------------------------------- statements


def _create_table(database: MappedDatabase, table: MappedTable) -> None:
    charset, collation = _default_charset(database, table)
    columns = [
        _definition(database, table, column, (charset, collation)) for column in table.columns.values()
    ]
    source = table.source
    options = f" ENGINE=InnoDB DEFAULT CHARACTER SET {charset} COLLATE {collation}"
    if source.comment:
        options += f" COMMENT={_comment(table, source.comment, _TABLE_COMMENT, None)}"
    made = ddl.create_table(table.schema, table.name, [*columns, *table.definitions], options)
    table.statements.insert(0, made)


def _default_charset(database: MappedDatabase, table: MappedTable) -> tuple[str, str]:
    """Character set and collation of the table: the source's own, or the nearest there is."""
    wanted = table.source.collation if table.is_family else None
    if wanted is None:
        return "utf8mb4", database.server.exact_collation
    charset = {"utf8": "utf8mb3"}.get(wanted.partition("_")[0], wanted.partition("_")[0])
    found = database.server.nearest_collation(charset, wanted.replace("utf8_", "utf8mb3_", 1))
    return (charset, found) if found else ("utf8mb4", "utf8mb4_bin")


def _definition(
    database: MappedDatabase, table: MappedTable, column: MappedColumn, default: tuple[str, str]
) -> str:
    inherits = (column.type.charset, column.type.collation) == default
    parts = f"{quote(column.name)} {column.type.sql if inherits else column.type.declared}"
    if column.generated is not None:
        parts += column.generated
        # MariaDB takes no NULL or NOT NULL here.
        if database.server.flavor == "mysql" and not column.nullable:
            parts += " NOT NULL"
    else:
        parts += " NULL" if column.nullable else " NOT NULL"
        parts += column.default
        if column.source.auto_increment:
            parts += " AUTO_INCREMENT"
    if column.source.invisible and table.is_family and database.server.has_invisible:
        parts += " INVISIBLE"
    if column.source.comment:
        parts += f" COMMENT {_comment(table, column.source.comment, _COLUMN_COMMENT, column.source.name)}"
    return parts


def _comment(table: MappedTable, comment: str, most: int, column: str | None) -> str:
    """The comment as the server can hold it: cut, and without what is beyond the basic plane."""
    kept = "".join(char if char <= "\uffff" else "\ufffd" for char in comment)[:most]
    if kept != comment:
        table.inform("comment-cut", f"The comment is not held whole; it is: {comment}", column)
    return ddl.text(kept)


def _add_checks(database: MappedDatabase, table: MappedTable) -> None:
    for check in table.source.checks:
        if table.source.dialect != database.server.flavor:
            table.warn("check-skipped", f"The check {check.name!r} is not translated: {check.expression}")
            continue
        name = database.names.constraints.take(check.name, f"{table.name}.{check.name}")
        enforced = "" if check.enforced else " NOT ENFORCED"
        table.definitions.append(f"CONSTRAINT {quote(name)} CHECK ({check.expression}){enforced}")
    for column in table.columns.values():
        if column.type.check is not None:
            wanted = f"{table.name}_{column.name}_check"
            name = database.names.constraints.take(wanted, f"{table.name}.{column.name}")
            table.definitions.append(
                f"CONSTRAINT {quote(name)} CHECK ({column.type.check.format(quote(column.name))})"
            )


def _finish(table: MappedTable) -> TargetTable:
    columns = tuple(
        TargetColumn(
            source=column.source.name,
            name=column.name,
            type=column.type.declared,
            base=column.type.sql.partition("(")[0].lower(),
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
