"""The sample database is what its docstring says, on every source server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from benchmarks import sample
from benchmarks.endpoints import MysqlEndpoint
from benchmarks.sample_tables import TABLES

pytestmark = pytest.mark.integration


@pytest.fixture
def small(source_server: MysqlEndpoint) -> Iterator[tuple[MysqlEndpoint, str, int]]:
    name = f"shop_{secrets.token_hex(3)}"
    rows = sample.build(source_server, name, 0.01)
    yield source_server, name, rows
    source_server.drop_database(name)


def test_rows_are_counted_keys_hold_and_a_second_build_gives_the_same(
    small: tuple[MysqlEndpoint, str, int],
) -> None:
    server, name, rows = small
    assert rows == sum(server.scalar(f"SELECT count(*) FROM {table}", database=name) for table in TABLES)
    assert rows > 10_000
    keys = server.query(
        "SELECT TABLE_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME"
        " FROM information_schema.KEY_COLUMN_USAGE"
        " WHERE TABLE_SCHEMA = %s AND REFERENCED_TABLE_NAME IS NOT NULL",
        [name],
    )
    assert len(keys) == 20
    orphans = {
        f"{table}.{column}": server.scalar(
            f"SELECT count(*) FROM {table} AS c LEFT JOIN {parent} AS p ON c.{column} = p.{key}"
            f" WHERE c.{column} IS NOT NULL AND p.{key} IS NULL",
            database=name,
        )
        for table, column, parent, key in keys
    }
    assert set(orphans.values()) == {0}, orphans
    again = f"{name}_again"
    sample.build(server, again, 0.01)
    try:
        checksum = f"CHECKSUM TABLE {', '.join(TABLES)}"
        first, second = (
            [row[1] for row in server.query(checksum, database=database)] for database in (name, again)
        )
        assert first == second
    finally:
        server.drop_database(again)
