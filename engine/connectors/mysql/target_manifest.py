"""The types columns had where they come from, in a table beside the data (see connectors/origins.py)."""

from __future__ import annotations

from typing import Any

import pymysql
from pymysql.constants import ER

from engine.connectors.base import Phase, Statement, TargetColumn, TargetTable
from engine.connectors.mysql.identifiers import literal, qualified, quote
from engine.connectors.origins import COLUMNS, COMMENT, TABLE, TypeRow, type_rows
from engine.schema import Column

__all__ = ["TABLE", "known_types", "manifest_of", "table_statement"]

_KEY = ("schema", "table", "column")
_SHORT = {"dialect": "varchar(16) NOT NULL"}
_MISSING = (ER.NO_SUCH_TABLE, ER.BAD_FIELD_ERROR, ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR)


def manifest_of(table: TargetTable, flavor: str) -> Statement | None:
    """The statement that says what the table's changed columns were; None where all types are kept."""
    rows = type_rows(table, flavor, _is_kept)
    if not rows:
        return None
    names = ", ".join(quote(name) for name in COLUMNS)
    sql = (
        f"REPLACE INTO {qualified(table.schema, TABLE)} ({names}) VALUES"
        f" {', '.join(_values(row) for row in rows)}"
    )
    return Statement(Phase.COMMENT, table.name, f"{table.name} source types", sql)


def table_statement(schema: str) -> Statement:
    """The table itself."""
    name = "varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
    types = {**dict.fromkeys(COLUMNS, "longtext NOT NULL"), **dict.fromkeys(_KEY, name), **_SHORT}
    columns = ", ".join(f"{quote(column)} {types[column]}" for column in COLUMNS)
    sql = (
        f"CREATE TABLE IF NOT EXISTS {qualified(schema, TABLE)} ({columns},"
        f" PRIMARY KEY ({', '.join(map(quote, _KEY))}))"
        f" ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='{COMMENT}'"
    )
    return Statement(Phase.NAMESPACE, None, TABLE, sql)


def _is_kept(source: Column, target: TargetColumn) -> bool:
    return target.type.partition(" CHARACTER SET ")[0].lower() == source.native_type.lower()


def _values(row: TypeRow) -> str:
    schema, table, column = (literal(value) for value in row.before_type)
    printed = (
        "(SELECT c.COLUMN_TYPE FROM information_schema.COLUMNS c WHERE c.TABLE_SCHEMA ="
        f" {schema} AND c.TABLE_NAME = {table} AND c.COLUMN_NAME = {column})"
    )
    return f"({', '.join([schema, table, column, printed, *map(literal, row.after_type)])})"


def known_types(session: Any, database: str) -> list[tuple[Any, ...]]:
    """(table, column, type, origins) of the columns of a database; none where there is no such table, or this
    user may not read it."""
    with session.cursor() as cursor:
        try:
            cursor.execute(
                f"SELECT `table`, `column`, `type`, origins FROM {qualified(database, TABLE)}"
                " WHERE `schema` = %s",
                (database,),
            )
        except pymysql.MySQLError as error:
            if error.args and error.args[0] in _MISSING:
                return []
            raise
        return list(cursor.fetchall())
