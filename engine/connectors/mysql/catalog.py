"""The structure of one MySQL or MariaDB database as schema values.

Every kind of object is read by one query over information_schema, however many tables there are. What the
catalog cannot show (see hidden_values.py) is asked of the server table by table, for those tables only.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine import schema
from engine.connectors.base import ServerInfo
from engine.connectors.mysql import catalog_sql as sql
from engine.connectors.mysql import defaults, hidden_values, show_create
from engine.connectors.mysql.catalog_keys import checks, foreign_keys, indexes
from engine.connectors.mysql.catalog_objects import events, partitions, routines, sequences, triggers
from engine.connectors.mysql.catalog_sql import Catalog
from engine.connectors.mysql.expressions import server_expression
from engine.connectors.mysql.native_types import logical_type
from engine.errors import Code, EngineError
from engine.types import Kind, LogicalType

_TABLE_KINDS = {
    "BASE TABLE": schema.TableKind.TABLE,
    "SYSTEM VERSIONED": schema.TableKind.SYSTEM_VERSIONED,
    "SEQUENCE": schema.TableKind.SEQUENCE,
    "VIEW": schema.TableKind.VIEW,
}
_JSON_VALID = re.compile(r"^json_valid\(`((?:[^`]|``)+)`\)$", re.IGNORECASE)
_GIPK = "my_row_id"


def read_database(conn: Any, info: ServerInfo, database: str, only: Sequence[str] | None) -> schema.Database:
    """Everything of `database`, or of the tables and views named in `only`.

    conn: a PyMySQL connection in utf8mb4. Routines, events and sequences belong to the database and are read
    when `only` is None. Raises DATABASE_NOT_FOUND; UNKNOWN_TABLE with the names that are not there.
    """
    found, exact_names = _find_database(conn, database)
    catalog = Catalog(conn, found, only, exact_names)
    if info.flavor == "mysql":
        _fresh_statistics(conn)
    tables = {row[0]: row for row in catalog.of_tables(sql.TABLES)}
    absent = catalog.missing(list(tables))
    if absent:
        raise EngineError(
            Code.UNKNOWN_TABLE,
            f"no table named {', '.join(absent)} in database {found}",
            database=found,
            tables=absent,
        )
    notes: list[str] = []
    check_rows = checks(catalog, info)
    columns = _columns(catalog, info, tables, check_rows, notes)
    index_rows = indexes(catalog, info, notes)
    key_rows = foreign_keys(catalog)
    partition_rows = partitions(catalog, notes) if _any_partitioned(tables) else {}
    built: list[schema.Table] = []
    views: list[schema.View] = []
    definitions = dict(catalog.of_tables(sql.VIEWS)) if _any_view(tables) else {}
    for name, row in sorted(tables.items()):
        kind = _TABLE_KINDS.get(row[1])
        if kind is None:
            notes.append(f"{name} is a {row[1].lower()}, which is not read")
        elif kind is schema.TableKind.VIEW:
            query = _view_query(catalog, name, definitions.get(name) or "", notes)
            views.append(schema.View(found, name, query, tuple(columns[name])))
        elif kind is not schema.TableKind.SEQUENCE:
            primary, others = index_rows.get(name, ((), ()))
            table = _table(found, row, kind, info.flavor, columns[name])
            table = replace(
                table,
                primary_key=primary,
                indexes=others,
                foreign_keys=key_rows.get(name, ()),
                checks=_explicit_checks(check_rows.get(name, ()), columns[name]),
                partitions=partition_rows.get(name, ()),
            )
            built.append(_expressions_restored(catalog, table, notes) if info.flavor == "mariadb" else table)
            notes += _table_notes(built[-1])
    whole = only is None
    sequence_names = [name for name, row in sorted(tables.items()) if row[1] == "SEQUENCE"]
    return schema.Database(
        name=found,
        tables=tuple(built),
        views=tuple(views),
        routines=routines(catalog, notes) if whole else (),
        triggers=triggers(catalog),
        events=events(catalog) if whole else (),
        sequences=sequences(catalog, sequence_names),
        notes=tuple(notes),
    )


def _view_query(catalog: Catalog, name: str, query: str, notes: list[str]) -> str:
    """The SELECT of a view, whole; "" with a note where this user may not see it."""
    if not query:
        notes.append(f"the definition of view {name} is not shown to this user (SHOW VIEW is needed)")
    if "?" not in query:
        return query
    shown = show_create.statement(catalog.conn, "VIEW", catalog.database, name)
    return (show_create.view_query(shown, name) if shown else None) or query


def _expressions_restored(catalog: Catalog, table: schema.Table, notes: list[str]) -> schema.Table:
    """The table with '?' in its expressions as they were written."""
    suspects = [column for column in table.columns if _has_mark(column)]
    checks_of = [check for check in table.checks if "?" in check.expression]
    if not suspects and not checks_of:
        return table
    shown = show_create.statement(catalog.conn, "TABLE", catalog.database, table.name) or ""
    columns = {column.name: show_create.column_restored(column, shown) for column in suspects}
    named = {check.name: show_create.check_restored(check, shown) for check in checks_of}
    notes += [
        f"an expression of {table.name} ({name}) has a '?' that may stand for another character"
        for name in [n for n, c in columns.items() if c is None] + [n for n, c in named.items() if c is None]
    ]
    return replace(
        table,
        columns=tuple(columns.get(column.name) or column for column in table.columns),
        checks=tuple(named.get(check.name) or check for check in table.checks),
    )


def _has_mark(column: schema.Column) -> bool:
    texts = (
        column.generated.expression if column.generated else None,
        column.default.expression if column.default else None,
    )
    return any(text is not None and "?" in text for text in texts)


def _find_database(conn: Any, database: str) -> tuple[str, bool]:
    """The database's name as the server spells it, and whether names are compared exactly."""
    with conn.cursor() as cursor:
        cursor.execute("select @@lower_case_table_names")
        exact = int(cursor.fetchone()[0]) == 0
        cursor.execute(
            "select SCHEMA_NAME from information_schema.SCHEMATA where SCHEMA_NAME = %s", [database]
        )
        names = [row[0] for row in cursor.fetchall()]
    for name in names:
        if name == database or (not exact and name.lower() == database.lower()):
            return str(name), exact
    raise EngineError(Code.DATABASE_NOT_FOUND, f"there is no database named {database}", database=database)


def _fresh_statistics(conn: Any) -> None:
    """AUTO_INCREMENT and TABLE_ROWS as they are now, not as cached up to a day ago; generated invisible
    primary keys shown."""
    with conn.cursor() as cursor:
        cursor.execute("set session information_schema_stats_expiry = 0")
        cursor.execute("show variables like 'show_gipk_in_create_table_and_information_schema'")
        if cursor.fetchall():
            cursor.execute("set session show_gipk_in_create_table_and_information_schema = on")


def _any_partitioned(tables: dict[str, tuple[Any, ...]]) -> bool:
    return any("partitioned" in (row[7] or "") for row in tables.values())


def _any_view(tables: dict[str, tuple[Any, ...]]) -> bool:
    return any(row[1] == "VIEW" for row in tables.values())


def _table(
    database: str, row: tuple[Any, ...], kind: schema.TableKind, flavor: str, columns: list[schema.Column]
) -> schema.Table:
    name, _, engine, rows, data_length, auto_increment, collation, _, comment = row
    has_counter = any(column.auto_increment for column in columns)
    return schema.Table(
        schema=database,
        name=name,
        columns=tuple(columns),
        dialect=flavor,
        comment=comment or "",
        kind=kind,
        engine=engine,
        collation=collation,
        auto_increment=int(auto_increment or 1) if has_counter else None,
        estimated_rows=int(rows or 0),
        estimated_bytes=int(data_length or 0),
    )


def _columns(
    catalog: Catalog,
    info: ServerInfo,
    tables: dict[str, tuple[Any, ...]],
    check_rows: dict[str, tuple[tuple[schema.Check, bool], ...]],
    notes: list[str],
) -> dict[str, list[schema.Column]]:
    rows = [row for row in catalog.of_tables(sql.COLUMNS[info.flavor]) if row[0] in tables]
    srids = _srids(catalog, info, rows)
    json_columns = {
        (table, json_valid_of(check.expression))
        for table, found in check_rows.items()
        for check, of_column in found
        if of_column
    }
    by_table: dict[str, list[schema.Column]] = defaultdict(list)
    suspects: dict[str, list[str]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row[0], row[2])):
        table = row[0]
        column = _column(row, info.flavor, srids.get((row[0], row[1])), (row[0], row[1]) in json_columns)
        by_table[table].append(column)
        if tables[table][1] in ("BASE TABLE", "SYSTEM VERSIONED") and (
            defaults.unreliable(row[3], row[8] or "", column.type)
            or any("?" in label for label in column.type.labels)
        ):
            suspects[table].append(column.name)
    for table, names in suspects.items():
        by_table[table] = hidden_values.repaired(
            catalog.conn, catalog.database, table, by_table[table], names, notes
        )
    return by_table


def _srids(catalog: Catalog, info: ServerInfo, rows: list[tuple[Any, ...]]) -> dict[tuple[str, str], int]:
    """Declared SRIDs by (table, column); MariaDB keeps them in GEOMETRY_COLUMNS, 0 meaning none."""
    if info.flavor == "mysql":
        return {(row[0], row[1]): int(row[11]) for row in rows if row[11] is not None}
    if not any(logical_type(row[7]).kind is Kind.GEOMETRY for row in rows):
        return {}
    found = catalog.of_tables(sql.GEOMETRY_COLUMNS, "G_TABLE_NAME")
    return {(table, column): int(srid) for table, column, srid in found if srid}


def _column(row: tuple[Any, ...], flavor: str, srid: int | None, is_json: bool) -> schema.Column:
    _, name, _, default, nullable, charset, collation, column_type, extra, comment, generation, _ = row
    extra = (extra or "").upper()
    type_ = logical_type(column_type, srid)
    if is_json and type_.kind is Kind.TEXT:
        type_ = LogicalType(Kind.JSON_TEXT)
    generated = None
    if generation:
        generated = schema.Generated(server_expression(generation, flavor), "VIRTUAL" not in extra)
    return schema.Column(
        name=name,
        type=type_,
        native_type=column_type,
        nullable=nullable == "YES",
        default=None if generated else defaults.column_default(default, extra, type_, flavor),
        auto_increment="AUTO_INCREMENT" in extra,
        generated=generated,
        on_update_now="ON UPDATE CURRENT_TIMESTAMP" in extra,
        invisible="INVISIBLE" in extra,
        charset=charset,
        collation=collation,
        comment=comment or "",
    )


def json_valid_of(expression: str) -> str | None:
    """The column of a check that is exactly `json_valid(column)`, which is how MariaDB keeps type JSON."""
    found = _JSON_VALID.match(expression.strip())
    return found.group(1).replace("``", "`") if found else None


def _explicit_checks(
    found: tuple[tuple[schema.Check, bool], ...], columns: list[schema.Column]
) -> tuple[schema.Check, ...]:
    """The checks without those that are only how MariaDB writes type JSON."""
    json_columns = {column.name for column in columns if column.type.kind is Kind.JSON_TEXT}
    return tuple(
        check
        for check, of_column in found
        if not (of_column and json_valid_of(check.expression) in json_columns)
    )


def _table_notes(table: schema.Table) -> list[str]:
    notes = []
    if table.kind is schema.TableKind.SYSTEM_VERSIONED:
        notes.append(f"{table.name} is system-versioned: its current rows are read, its history is not")
    if any(column.name == _GIPK and column.invisible and column.auto_increment for column in table.columns):
        notes.append(f"{table.name} has the generated invisible primary key {_GIPK}, carried as a column")
    notes += [
        f"{table.name}.{column.name} has type {column.native_type}, which is not known"
        for column in table.columns
        if column.type.kind is Kind.OTHER
    ]
    described = [("", table.comment), *((f".{column.name}", column.comment) for column in table.columns)]
    for where, comment in described:
        if "?" in comment:
            notes.append(
                f"the comment of {table.name}{where} has a '?', which is also how the server shows "
                "characters outside the basic plane"
            )
    return notes
