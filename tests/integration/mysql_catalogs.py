"""What the tests of the MySQL catalog share: short spellings of schema values."""

from __future__ import annotations

from typing import Any

from engine import schema
from engine.connectors.mysql.source import MysqlSource
from engine.schema import (
    Default,
    IndexPart,
)
from engine.types import Kind, LogicalType

UTF8 = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}


def value(literal: str | bytes) -> Default:
    return Default(literal=literal)


def varchar(length: int) -> LogicalType:
    return LogicalType(Kind.VARCHAR, length=length)


def run(source: MysqlSource, *statements: str) -> None:
    """On the source's own session, whose sql_mode lets zero dates and truncation through."""
    with source._session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def table(source: MysqlSource, name: str = "t") -> schema.Table:
    (found,) = source.catalog(source.database, [name]).tables
    return found


def part(column: str, **more: Any) -> IndexPart:
    return IndexPart(column=column, **more)


def is_mariadb(source: MysqlSource) -> bool:
    return source.info.flavor == "mariadb"
