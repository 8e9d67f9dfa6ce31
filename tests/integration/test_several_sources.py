"""Several sources in one stream: names that collide, keys within one source, who owns which table."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import StreamConfig
from engine.errors import Code
from engine.streams.job import StreamJob
from tests import running

pytestmark = pytest.mark.integration


def job(
    mariadb: MysqlEndpoint, parts: list[dict[str, Any]], postgres: PostgresEndpoint, database: str, **db: Any
) -> StreamJob:
    config = StreamConfig.parse(
        {
            "name": "several",
            "mode": "convert",
            "source": {
                "connections": [{"connectionId": "source", **part} for part in parts],
                "options": {"workers": 2},
            },
            "target": {"id": "target", "spec": {"db": {"database": database, "schema": "public", **db}}},
        }
    )
    ends = {"source": running.connection(mariadb), "target": running.connection(postgres)}
    return StreamJob("stream_several", config, ends)


def shop(mariadb: MysqlEndpoint, first: int) -> str:
    name = mariadb.database()
    mariadb.execute(
        "CREATE TABLE customer (id int PRIMARY KEY, name varchar(20));"
        "CREATE TABLE orders (id int PRIMARY KEY, customer int,"
        " FOREIGN KEY (customer) REFERENCES customer (id));"
        f"INSERT INTO customer SELECT seq, CONCAT('c', seq) FROM seq_{first}_to_{first + 9};"
        f"INSERT INTO orders SELECT seq, {first} FROM seq_{first}_to_{first + 99}",
        database=name,
    )
    return name


def test_tables_of_two_databases(
    mariadb: MysqlEndpoint, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """Tables called alike get their alias before them, and foreign keys go with their own source.
    slug: several-names"""
    east, west = shop(mariadb, 1), shop(mariadb, 1000)
    mariadb.execute("CREATE TABLE only_west (a int); INSERT INTO only_west VALUES (7)", database=west)
    few = {"column": "id", "operator": "<", "value": "1050"}
    stream = job(
        mariadb,
        [
            {"alias": "east", "database": east},
            {
                "alias": "west",
                "database": west,
                "tables": [
                    {"name": "customer"},
                    {"name": "orders", "selection": {"filters": [few]}},
                    {"name": "only_west"},
                ],
                "queries": [{"name": "busy", "query": "SELECT customer, COUNT(*) n FROM orders GROUP BY 1"}],
            },
        ],
        postgres,
        postgres_database,
    )
    outcome, _ = running.finish(stream)
    assert outcome.rows == 10 + 100 + 10 + 50 + 1 + 1
    with postgres.connect(postgres_database) as session:
        tables = session.execute(
            "SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables"
            " WHERE schemaname = 'public' AND left(tablename, 1) <> '_'"
        ).fetchone()
        assert tables == ("busy,east_customer,east_orders,only_west,west_customer,west_orders",)
        keys = session.execute(
            "SELECT string_agg(conrelid::regclass || '>' || confrelid::regclass, ','"
            " ORDER BY conrelid::regclass::text)"
            " FROM pg_constraint WHERE contype = 'f' AND convalidated"
        ).fetchone()
        assert keys == ("east_orders>east_customer,west_orders>west_customer",)
        assert session.execute("SELECT min(id), max(id) FROM west_orders").fetchone() == (1000, 1049)
        assert session.execute("SELECT customer, n FROM busy").fetchone() == (1000, 100)


@pytest.mark.parametrize("aliases", [(None, None), ("a", None), ("a", "a")], ids=str)
def test_aliases_that_do_not_tell_sources_apart(
    mariadb: MysqlEndpoint,
    postgres: PostgresEndpoint,
    postgres_database: str,
    aliases: tuple[str | None, str | None],
) -> None:
    """slug: several-aliases"""
    parts = [{"database": "a", **({"alias": alias} if alias else {})} for alias in aliases]
    outcome, _ = running.run(job(mariadb, parts, postgres, postgres_database))
    assert outcome.error is not None
    assert outcome.error["code"] == Code.VALIDATION_FAILED.value
