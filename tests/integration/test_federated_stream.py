"""SQL over several sources as the source of a stream: what it gives, and what it may not reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import Connection, StreamConfig
from engine.errors import Code
from engine.streams.job import StreamJob
from tests import running

pytestmark = pytest.mark.integration

SIGNATURE = (
    "SELECT a.name, b.total FROM pg1.public.accounts a JOIN my1.{database}.orders b ON a.id = b.account_id"
)


@dataclass(frozen=True, slots=True)
class Ends:
    mariadb: MysqlEndpoint
    postgres: PostgresEndpoint
    orders: str
    accounts: str

    def job(self, query: str, spec: dict[str, Any], target: Connection, **part: Any) -> StreamJob:
        config = StreamConfig.parse(
            {
                "name": "Joined totals",
                "mode": "convert",
                "source": {
                    "query": query.format(database=self.orders),
                    "connections": [
                        {"alias": "pg1", "connectionId": "pg", "database": self.accounts, **part},
                        {"alias": "my1", "connectionId": "my"},
                    ],
                },
                "target": {"id": "target", "spec": spec},
            }
        )
        ends = {
            "pg": running.connection(self.postgres),
            "my": running.connection(self.mariadb),
            "target": target,
        }
        return StreamJob("stream_federated", config, ends)

    def to_postgres(self, query: str, database: str, **part: Any) -> StreamJob:
        spec = {"db": {"database": database, "schema": "public"}}
        return self.job(query, spec, running.connection(self.postgres), **part)


@pytest.fixture(scope="module")
def ends(mariadb: MysqlEndpoint, postgres: PostgresEndpoint) -> Iterator[Ends]:
    orders, accounts = mariadb.database(), postgres.database()
    mariadb.execute(
        "CREATE TABLE orders (id bigint unsigned PRIMARY KEY, account_id int, total decimal(38,10),"
        " at timestamp); INSERT INTO orders SELECT seq, seq % 50, seq / 3,"
        " '2024-01-01' + INTERVAL seq SECOND FROM seq_1_to_1000",
        database=orders,
    )
    postgres.execute(
        "CREATE TABLE accounts (id integer PRIMARY KEY, name text);"
        "INSERT INTO accounts SELECT i, 'account ' || i FROM generate_series(1, 20) i;"
        "CREATE SCHEMA other; CREATE TABLE other.more (id integer); INSERT INTO other.more VALUES (1), (2)",
        database=accounts,
    )
    yield Ends(mariadb, postgres, orders, accounts)
    mariadb.drop_database(orders)
    postgres.drop_database(accounts)


def test_a_join_becomes_a_table(ends: Ends, postgres_database: str) -> None:
    """slug: federated-staged"""
    outcome, report = running.finish(ends.to_postgres(SIGNATURE, postgres_database))
    assert outcome.rows == 400
    total = ends.mariadb.scalar(
        "SELECT SUM(total) FROM orders WHERE account_id BETWEEN 1 AND 20", database=ends.orders
    )
    found = ends.postgres.query(
        "SELECT count(*), count(DISTINCT name), sum(total) FROM joined_totals", database=postgres_database
    )
    assert found == [(400, 20, total)]
    assert any(note["slug"] == "federated-staged" for note in report.plans[0]["notes"])


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT count(*) AS n FROM pg1.accounts", 1),
        ("SELECT m.id FROM pg1.other.more m JOIN pg1.public.accounts USING (id)", 2),
        ("WITH few AS (SELECT * FROM my1.{database}.orders LIMIT 7) SELECT few.id, at FROM few", 7),
        (
            "SELECT orders.id FROM my1.{database}.orders"
            " WHERE total > (SELECT avg(total) FROM my1.{database}.orders)",
            500,
        ),
        ("SELECT id FROM pg1.other.more UNION ALL SELECT id FROM pg1.public.accounts", 22),
    ],
)
def test_statements(ends: Ends, postgres_database: str, query: str, rows: int) -> None:
    """slug: federated-staged"""
    outcome, _ = running.finish(ends.to_postgres(query, postgres_database))
    assert outcome.rows == rows


def test_into_files(ends: Ends, tmp_path: Path) -> None:
    """slug: federated-staged"""
    files = Connection.parse({"name": "f", "type": "files", "spec": {"files": {"basePath": str(tmp_path)}}})
    stream = ends.job(SIGNATURE, {"files": {"fileFormat": "csv", "path": "joined.csv"}}, files)
    running.finish(stream)
    lines = (tmp_path / "joined.csv").read_text().splitlines()
    assert len(lines) == 401
    assert lines[0] == '"name","total"'


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT * FROM nowhere.public.t", Code.UNKNOWN_ALIAS),
        ("SELECT * FROM accounts", Code.UNKNOWN_ALIAS),
        ("SELECT * FROM pg1.public.nothing", Code.UNKNOWN_TABLE),
        ("SELECT 1", Code.QUERY_FAILED),
        ("SELEC", Code.QUERY_FAILED),
        ("DROP TABLE pg1.public.accounts", Code.QUERY_FAILED),
        ("SELECT * FROM pg1.public.accounts; SELECT 1", Code.QUERY_FAILED),
        ("SELECT nothing FROM pg1.public.accounts", Code.QUERY_FAILED),
        ("SELECT * FROM pg1.public.accounts, read_csv('/etc/passwd')", Code.QUERY_NOT_ALLOWED),
        ("SELECT * FROM pg1.public.accounts, '/etc/passwd'", Code.UNKNOWN_ALIAS),
        ("SELECT getenv('HOME') FROM pg1.public.accounts", Code.QUERY_NOT_ALLOWED),
        ("SELECT * FROM pg1.public.accounts, duckdb_secrets()", Code.QUERY_NOT_ALLOWED),
    ],
)
def test_what_a_statement_may_not(ends: Ends, postgres_database: str, query: str, code: Code) -> None:
    """slug: federated-only-sources"""
    outcome, _ = running.run(ends.to_postgres(query, postgres_database))
    assert outcome.error is not None
    assert outcome.error["code"] == code.value, outcome.error
    assert "root:" not in str(outcome.error)


def test_tables_beside_the_statement_are_refused(ends: Ends, postgres_database: str) -> None:
    stream = ends.to_postgres(SIGNATURE, postgres_database, tables=[{"name": "accounts"}])
    outcome, _ = running.run(stream)
    assert outcome.error is not None
    assert outcome.error["code"] == Code.VALIDATION_FAILED.value
