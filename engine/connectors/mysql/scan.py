"""Questions to the data that the structure alone does not answer, asked only where a policy needs them."""

from __future__ import annotations

from typing import Any

from pymysql.connections import Connection as MysqlSession

from engine.config import Policies
from engine.connectors.base import ColumnFacts, Facts
from engine.connectors.mysql.identifiers import qualified, quote
from engine.schema import Column, IndexMethod, Table
from engine.types import Kind

LONG_KEY = 2_600  # bytes; a B-tree entry of PostgreSQL ends at 2,704
_MOMENTS = (Kind.DATE, Kind.DATETIME, Kind.TIMESTAMP)
# Charsets whose bytes the server may turn into '?' on their way to utf8mb4.
_LOSSY = frozenset({"sjis", "cp932", "ujis", "eucjpms", "gbk", "gb2312", "gb18030", "big5", "euckr"})
_TEXTS = (Kind.CHAR, Kind.VARCHAR, Kind.TEXT)


def facts(session: MysqlSession[Any], table: Table, policies: Policies) -> Facts:
    """One query a table with every question in it; none when there is nothing to ask."""
    questions: list[tuple[str, str, str]] = []  # column, fact, SQL
    for column in table.columns:
        questions += [(column.name, fact, sql) for fact, sql in _questions(table, column, policies)]
    if not questions:
        return Facts({})
    asked = ", ".join(sql for _, _, sql in questions)
    with session.cursor() as cursor:
        cursor.execute(f"SELECT {asked} FROM {qualified(table.schema, table.name)}")
        row = cursor.fetchone() or ()
    found: dict[str, dict[str, Any]] = {}
    for (name, fact, _), value in zip(questions, row, strict=True):
        found.setdefault(name, {})[fact] = value if value is None else int(value)
    return Facts({name: ColumnFacts(**values) for name, values in found.items()})


def _questions(table: Table, column: Column, policies: Policies) -> list[tuple[str, str]]:
    name = quote(column.name)
    kind = column.type
    asked = []
    flag = kind.kind is Kind.INT8 and kind.display_width == 1 and policies.tinyint1 == "boolean"
    wide_counter = kind.kind is Kind.INT64 and kind.unsigned and _is_key(table, column.name)
    if flag or wide_counter:
        asked += [("min", f"MIN({name})"), ("max", f"MAX({name})")]
    if kind.kind in _MOMENTS and policies.zero_date == "null" and not column.nullable:
        asked.append(("zero_dates", f"COALESCE(SUM(DAYOFMONTH({name}) = 0 OR MONTH({name}) = 0), 0)"))
    if kind.kind is Kind.ENUM:
        asked.append(("empty_enum", f"COALESCE(SUM({name} + 0 = 0), 0)"))
    if _may_be_long(table, column):
        asked.append(("max_octets", f"COALESCE(MAX(LENGTH(CONVERT({name} USING utf8mb4))), 0)"))
    if kind.kind in _TEXTS and column.charset in _LOSSY:
        back = f"CONVERT(CONVERT({name} USING utf8mb4) USING {column.charset})"
        asked.append(("lossy_text", f"COALESCE(SUM(CAST({back} AS BINARY) <> CAST({name} AS BINARY)), 0)"))
    return asked


def _is_key(table: Table, name: str) -> bool:
    return (
        any(part.column == name for part in table.primary_key)
        or any(name in key.columns for key in table.foreign_keys)
        or table.column(name).auto_increment
    )


def _may_be_long(table: Table, column: Column) -> bool:
    """An indexed column whose values could exceed what a B-tree of PostgreSQL takes."""
    kind = column.type
    if kind.kind in (Kind.CHAR, Kind.VARCHAR):
        widest = 4 * (kind.length or 0)
    elif kind.kind in (Kind.BINARY, Kind.VARBINARY):
        widest = kind.length or 0
    else:
        widest = LONG_KEY + 1 if kind.kind in (Kind.TEXT, Kind.BLOB) else 0
    if widest <= LONG_KEY:
        return False
    parts = [
        *table.primary_key,
        *(p for index in table.indexes if index.method is IndexMethod.BTREE for p in index.parts),
    ]
    return any(part.column == column.name and part.prefix is None for part in parts)


def extremes(session: MysqlSession[Any], table: Table, column: str) -> tuple[int | None, int | None]:
    name = quote(column)
    with session.cursor() as cursor:
        cursor.execute(f"SELECT MIN({name}), MAX({name}) FROM {qualified(table.schema, table.name)}")
        row = cursor.fetchone()
    return (row[0], row[1]) if row else (None, None)
