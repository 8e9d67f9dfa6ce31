"""A session on an empty utf8mb4 database; the tests of the MySQL catalog name this in pytest_plugins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.endpoints import MysqlEndpoint
from engine.connectors.mysql.source import MysqlSource
from tests.integration.mysql_tables import opened


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
