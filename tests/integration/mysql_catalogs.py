"""What the tests of the MySQL catalog share: a session on an empty utf8mb4 database, and short spellings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint
from engine import schema
from engine.connectors.mysql.source import MysqlSource
from engine.schema import (
    Default,
    IndexPart,
)
from engine.types import Kind, LogicalType
from tests.integration.mysql_tables import opened

UTF8 = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}


def value(literal: str | bytes) -> Default:
    return Default(literal=literal)


def varchar(length: int) -> LogicalType:
    return LogicalType(Kind.VARCHAR, length=length)


@pytest.fixture
def database(source_server: MysqlEndpoint, source_database: str) -> str:
    source_server.execute(
        f"ALTER DATABASE {source_database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        database=source_database,
    )
    return source_database


@pytest.fixture
def source(source_server: MysqlEndpoint, database: str) -> Iterator[MysqlSource]:
    with opened(source_server, database) as source:
        yield source


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
