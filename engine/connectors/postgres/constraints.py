"""Checks and foreign keys: added NOT VALID after the rows, then validated."""

from __future__ import annotations

from engine.connectors.base import Phase, Severity, Statement
from engine.connectors.postgres import ddl, native
from engine.connectors.postgres.context import MappedColumn, MappedDatabase, MappedTable
from engine.connectors.postgres.expressions import translate
from engine.connectors.postgres.generated import scope_of
from engine.connectors.postgres.identifiers import qualified, quote, quoted_list
from engine.connectors.postgres.keys import is_case_insensitive
from engine.connectors.postgres.terms import Purpose, Untranslatable, boolean
from engine.schema import Check, ForeignKey

_RULES = frozenset({"NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"})

# Types a foreign key can join, by the operator families of PostgreSQL's unique indexes.
_FAMILIES = {
    **dict.fromkeys(("int2", "int4", "int8"), "integer"),
    **dict.fromkeys(("float4", "float8"), "float"),
    **dict.fromkeys(("varchar", "text"), "text"),
    **dict.fromkeys(("date", "timestamp", "timestamptz"), "datetime"),
}
_WIDENED = frozenset({("integer", "numeric"), ("integer", "float"), ("numeric", "float"), ("text", "citext")})


# ---------------------------------------------------------------- checks


def add_type_checks(table: MappedTable) -> None:
    """The checks that belong to types (unsigned, labels): one statement, so that the table is read once.

    They cannot fail: every value came through the type they describe.
    """
    added, names = [], []
    for column in table.columns.values():
        if column.type.check is None:
            continue
        before, after = column.type.check
        wanted = f"{table.name}_{column.name}_check"
        name = table.constraints.take(wanted, f"{column.source.name} type")
        names.append(name)
        added.append(f"ADD CONSTRAINT {quote(name)} CHECK ({before}{quote(column.name)}{after})")
    if added:
        sql = f"ALTER TABLE {qualified(table.schema, table.name)} {', '.join(added)}"
        exists = ddl.constraints_exist(table.schema, table.name, names)
        table.statements.append(Statement(Phase.CHECK, table.name, names[0], sql, exists))


def add_checks(table: MappedTable) -> None:
    """The table's own CHECKs, as far as they mean the same here."""
    for check in table.source.checks:
        if not check.enforced:
            table.inform("check-not-enforced", f"The check {check.name!r} is NOT ENFORCED: not made.")
            continue
        try:
            _add_check(table, check)
        except Untranslatable as error:
            message = f"The check {check.name!r} is not made, because {error.reason}: {check.expression}"
            table.warn("check-not-translated", message)


def _add_check(table: MappedTable, check: Check) -> None:
    if table.source.dialect == native.DIALECT:
        taken = native.verbatim(table, check.expression)
        if taken is None:
            raise Untranslatable("it names what is another on the target")
        _append_check(table, check, taken)
        return
    translation = translate(check.expression, scope_of(table, Purpose.CHECK))
    condition = boolean(translation.term)
    if translation.term.always:
        table.inform("check-implied", f"The check {check.name!r} always holds by the type of its column.")
        return
    _append_check(table, check, condition)
    for remark in translation.remarks:
        table.inform("check-remark", f"The check {check.name!r}: {remark}.")


def _append_check(table: MappedTable, check: Check, condition: str) -> None:
    name = _name(table, check.name, "check")
    sql = (
        f"ALTER TABLE {qualified(table.schema, table.name)} ADD CONSTRAINT {quote(name)}"
        f" CHECK ({condition}) NOT VALID"
    )
    exists = ddl.constraint_exists(table.schema, table.name, name)
    table.statements.append(Statement(Phase.CHECK, table.name, name, sql, exists))
    table.statements.append(_validate(table, name))


def _name(table: MappedTable, wanted: str, noun: str) -> str:
    name = table.constraints.take(wanted, f"{noun} {wanted}")
    if name != wanted:
        table.inform("constraint-name", f"The {noun} {wanted!r} is called {name!r} on the target.")
    return name


def _validate(table: MappedTable, name: str) -> Statement:
    sql = f"ALTER TABLE {qualified(table.schema, table.name)} VALIDATE CONSTRAINT {quote(name)}"
    exists = ddl.constraint_exists(table.schema, table.name, name, validated=True)
    return Statement(Phase.VALIDATE, table.name, name, sql, exists)


# ---------------------------------------------------------------- foreign keys


def add_foreign_keys(table: MappedTable, database: MappedDatabase) -> None:
    """The table's foreign keys; one that cannot be made is reported with the reason."""
    for key in table.source.foreign_keys:
        try:
            _add_foreign_key(table, database, key)
        except Untranslatable as error:
            message = f"The foreign key {key.name!r} is not made, because {error.reason}."
            table.warn("foreign-key-skipped", message)


def _add_foreign_key(table: MappedTable, database: MappedDatabase, key: ForeignKey) -> None:
    found = database.names.find_table(key.ref_table) if key.ref_schema == table.source.schema else None
    if found is None:
        raise Untranslatable(f"the table {key.ref_schema}.{key.ref_table} is not part of the stream")
    parent = database.tables[found]
    mine = [_column(table, name) for name in key.columns]
    theirs = [_column(parent, name) for name in key.ref_columns]
    if len(mine) != len(theirs):
        raise Untranslatable("its sides have different numbers of columns")
    _check_unique(database, parent, theirs)
    for child, other in zip(mine, theirs, strict=True):
        if not joinable(child, other):
            raise Untranslatable(f"{child.type.sql} cannot refer to {other.type.sql}")
    if not {key.on_update, key.on_delete} <= _RULES:
        raise Untranslatable(f"its rules are unknown ({key.on_update}, {key.on_delete})")
    name = _name(table, key.name, "foreign key")
    sql = (
        f"ALTER TABLE {qualified(table.schema, table.name)} ADD CONSTRAINT {quote(name)} FOREIGN KEY"
        f" ({quoted_list(column.name for column in mine)}) REFERENCES {qualified(parent.schema, parent.name)}"
        f" ({quoted_list(column.name for column in theirs)}) ON UPDATE {key.on_update}"
        f" ON DELETE {key.on_delete} NOT VALID"
    )
    exists = ddl.constraint_exists(table.schema, table.name, name)
    table.statements.append(Statement(Phase.FOREIGN_KEY, table.name, name, sql, exists))
    table.statements.append(_validate(table, name))
    _remarks(table, key, mine)


def _column(table: MappedTable, name: str) -> MappedColumn:
    column = table.find(name)
    if column is None:
        raise Untranslatable(f"the column {name!r} of {table.source.name!r} is not copied")
    return column


def _check_unique(database: MappedDatabase, parent: MappedTable, columns: list[MappedColumn]) -> None:
    wanted = {column.source.name for column in columns}
    key = parent.primary_key if database.options.structure.tables else parent.source.key_columns
    if any(wanted == set(unique) for unique in (key, *parent.unique)):
        return
    listed = quoted_list(column.name for column in columns)
    target = qualified(parent.schema, parent.name)
    raise Untranslatable(f"its parent is not kept unique here (CREATE UNIQUE INDEX ON {target} ({listed}))")


def joinable(child: MappedColumn, parent: MappedColumn) -> bool:
    """Whether a foreign key can compare the two types."""
    if child.type.base == "enum" or parent.type.base == "enum":
        return child.type.sql == parent.type.sql
    if "json" in (child.type.base, parent.type.base):
        return False
    mine = _FAMILIES.get(child.type.base, child.type.base)
    theirs = _FAMILIES.get(parent.type.base, parent.type.base)
    return mine == theirs or (mine, theirs) in _WIDENED


def _remarks(table: MappedTable, key: ForeignKey, columns: list[MappedColumn]) -> None:
    if "SET DEFAULT" in (key.on_update, key.on_delete):
        message = (
            f"The foreign key {key.name!r} says SET DEFAULT, which the source never does; here it works."
        )
        table.warn("foreign-key-set-default", message)
    for column in columns:
        if is_case_insensitive(column.source) and not column.shared.folded:
            message = (
                f"The foreign key {key.name!r} compares exactly here; rows that differ from their parent"
                " in case only are reported when it is validated."
            )
            table.note(Severity.INFO, "foreign-key-case", message, column.source.name, "caseInsensitiveText")
