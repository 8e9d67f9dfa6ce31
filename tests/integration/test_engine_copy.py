"""`Engine.copy` on real servers: the five lines of Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine import Code, Engine
from tests.runtime import refused

pytestmark = pytest.mark.integration

ROWS = 500


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path / "data") as engine:
        yield engine


@pytest.fixture
def shop(source_server: MysqlEndpoint, source_database: str) -> str:
    for statement in (
        "CREATE TABLE customer (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL)",
        "CREATE TABLE orders (id BIGINT PRIMARY KEY, customer_id INT UNSIGNED NOT NULL, total DECIMAL(12,2),"
        " KEY (customer_id), FOREIGN KEY (customer_id) REFERENCES customer (id))",
        f"INSERT INTO customer (name) SELECT CONCAT('Zoë ', seq.n) FROM ({_numbers(ROWS)}) seq",
        f"INSERT INTO orders SELECT n, n, n / 100 FROM ({_numbers(ROWS)}) seq",
    ):
        source_server.execute(statement, database=source_database)
    return source_database


def _numbers(count: int) -> str:
    return (
        f"WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) SELECT n FROM s"
    )


def test_five_lines_copy_and_verify_a_database(
    engine: Engine,
    source_server: MysqlEndpoint,
    shop: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
) -> None:
    """slug: copy-urls"""
    seen: list[dict[str, Any]] = []
    source, target = source_server.url(shop), postgres.url(postgres_database)
    result = engine.copy(source, target, verify=True, on_progress=seen.append)
    assert (result.status, result.rows) == ("FINISHED", 2 * ROWS)
    assert result.verify is not None
    assert result.verify["equal"]
    assert {"plan", "structure", "data", "indexes", "verify"} <= set(result.phases)
    assert {table["table"]: table["events"] for table in result.tables} == {"customer": ROWS, "orders": ROWS}
    assert result.bytes > 0
    assert 10 < result.peak_rss_mb < 1_000
    assert seen[-1]["status"] == "FINISHED"
    assert postgres.scalar("SELECT sum(total) FROM orders", database=postgres_database) is not None
    assert postgres.scalar("SELECT name FROM customer WHERE id = 7", database=postgres_database) == "Zoë 7"
    # The checkpoints went when the store had the end.
    assert not postgres.query(
        "SELECT 1 FROM pg_tables WHERE tablename = '_dbstreams_checkpoint'", database=postgres_database
    ) or not postgres.query("SELECT 1 FROM _dbstreams_checkpoint", database=postgres_database)
    # The second call uses what the first one saved.
    again = engine.copy(source, target, write_mode="truncate_and_load")
    assert again.rows == 2 * ROWS
    assert engine.connections.list()["total"] == 2


def test_a_copy_that_fails_raises_the_stream_s_error(
    engine: Engine,
    source_server: MysqlEndpoint,
    shop: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
) -> None:
    postgres.execute("CREATE TABLE customer (id BIGINT PRIMARY KEY)", database=postgres_database)
    source, target = source_server.url(shop), postgres.url(postgres_database)
    refused(Code.TABLE_EXISTS, engine.copy, source, target, schema_policy="fail_if_exists")
    refused(Code.UNKNOWN_TABLE, engine.copy, source, target, tables=["gone"])
    refused(Code.VALIDATION_FAILED, engine.copy, source, target, write_mode="overwrite")
    with_wrong_password = source.replace(f":{source_server.password}@", ":wrong@")
    error = refused(Code.CONNECTION_FAILED, engine.copy, with_wrong_password, target)
    assert error.details["reason"] == "auth"
