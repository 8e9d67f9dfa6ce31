"""Questions to the data that the structure alone does not answer, asked only where a policy needs them."""

from __future__ import annotations

from typing import Any

from pymysql.connections import Connection as MysqlSession

from engine.config import Policies
from engine.connectors.base import ColumnFacts, Facts
from engine.connectors.mysql.charsets import to_bytes
from engine.connectors.mysql.identifiers import quote
from engine.connectors.mysql.queries import relation
from engine.schema import Column, IndexMethod, IndexPart, Table
from engine.types import Kind

LONG_KEY = 2_600  # bytes; a B-tree entry of PostgreSQL ends at 2,704
_MOMENTS = (Kind.DATE, Kind.DATETIME, Kind.TIMESTAMP)
_BYTES = frozenset({Kind.BINARY, Kind.VARBINARY, Kind.BLOB})
_SIZED = _BYTES | {Kind.CHAR, Kind.VARCHAR, Kind.TEXT}


def facts(session: MysqlSession[Any], table: Table, policies: Policies) -> Facts:
    """One query a table with every question in it; none when there is nothing to ask."""
    questions: list[tuple[str, str, str]] = []  # column, fact, SQL
    for column in table.columns:
        questions += [(column.name, fact, sql) for fact, sql in _questions(table, column, policies)]
    if not questions:
        return Facts({})
    asked = ", ".join(sql for _, _, sql in questions)
    with session.cursor() as cursor:
        cursor.execute(f"SELECT {asked} FROM {relation(table)}")
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
        asked.append(("zero_dates", f"COALESCE(SUM({outside_calendar(name)}), 0)"))
    if kind.kind is Kind.ENUM:
        asked.append(("empty_enum", f"COALESCE(SUM({name} + 0 = 0), 0)"))
    if _may_be_long(table, column):
        value = name if kind.kind in _BYTES else f"CONVERT({name} USING utf8mb4)"
        asked.append(("max_octets", f"COALESCE(MAX(LENGTH({value})), 0)"))
    bytes_wanted = to_bytes(column, policies)
    if bytes_wanted is not None:
        asked.append(("lossy_text", f"COALESCE(SUM({bytes_wanted}), 0)"))
    return asked


def outside_calendar(name: str) -> str:
    """A condition on a quoted date column: zero parts, year 0, or a day its month does not have, which is
    what the readers refuse or replace."""
    return (
        f"DAYOFMONTH({name}) = 0 OR MONTH({name}) = 0 OR YEAR({name}) = 0"
        f" OR DAYOFMONTH({name}) > DAYOFMONTH(LAST_DAY({name}))"
    )


def _is_key(table: Table, name: str) -> bool:
    return (
        any(part.column == name for part in table.primary_key)
        or any(name in key.columns for key in table.foreign_keys)
        or table.column(name).auto_increment
    )


def _may_be_long(table: Table, column: Column) -> bool:
    """A column of an index whose entries could exceed what a B-tree of PostgreSQL takes, all parts together.
    MariaDB's HASH of a long UNIQUE becomes a B-tree too."""
    if column.type.kind not in _SIZED:
        return False
    keys = [table.primary_key]
    keys += [index.parts for index in table.indexes if index.method in (IndexMethod.BTREE, IndexMethod.HASH)]
    return any(
        any(part.column == column.name and part.prefix is None for part in parts)
        and sum(_widest(table, part) for part in parts) > LONG_KEY
        for parts in keys
    )


def _widest(table: Table, part: IndexPart) -> int:
    """Bytes of a key part at most, as UTF-8; 0 for what is always small, or is not a column."""
    if part.column is None:
        return 0
    kind = table.column(part.column).type
    if kind.kind not in _SIZED:
        return 0
    length = part.prefix if part.prefix is not None else (kind.length or 0)
    return length if kind.kind in _BYTES else 4 * length


def extremes(session: MysqlSession[Any], table: Table, column: str) -> tuple[int | None, int | None]:
    name = quote(column)
    with session.cursor() as cursor:
        cursor.execute(f"SELECT MIN({name}), MAX({name}) FROM {relation(table)}")
        row = cursor.fetchone()
    return (row[0], row[1]) if row else (None, None)
