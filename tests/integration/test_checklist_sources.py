"""Sources that are named oddly, wrongly declared, or altered while they are read."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import StreamConfig
from engine.streams.job import Control, StreamJob
from engine.streams.run import run_stream
from tests import running
from tests.integration.checklist import make

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("suffix", ["-with-hyphens", " a `b` \"c\" 'd'", ".dot é"])
def test_databases_of_any_name(
    source_server: MysqlEndpoint, postgres: PostgresEndpoint, postgres_database: str, suffix: str
) -> None:
    """slugs: mysql-odd-names, mysql-quoting. The target's schema is the one that was asked for."""
    name = f"{postgres_database}{suffix}"
    source_server.create_database(name)
    try:
        make(
            source_server,
            name,
            (
                "CREATE TABLE p (id int PRIMARY KEY)",
                "CREATE TABLE t (id int PRIMARY KEY, p int, CONSTRAINT f FOREIGN KEY (p) REFERENCES p (id))",
                "INSERT INTO p VALUES (1)",
                "INSERT INTO t VALUES (1, 1)",
            ),
        )
        for reader in ("native", "connectorx"):
            stream = running.job(
                source_server,
                name,
                postgres,
                postgres_database,
                options={"reader": reader},
                schema=f"s {reader}",
            )
            running.finish(stream)
            assert running.verify(stream)["equal"]
            counted = f'SELECT count(*) FROM "s {reader}".t JOIN "s {reader}".p ON p.id = t.p'
            assert postgres.scalar(counted, database=postgres_database) == 1
    finally:
        source_server.drop_database(name)


def test_mojibake_is_read_as_it_was_meant_by_the_query_of_the_note(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """slug: mojibake"""
    make(
        source_server,
        source_database,
        (
            "CREATE TABLE t (id int PRIMARY KEY, c varchar(20) CHARACTER SET latin1)",
            "INSERT INTO t VALUES (1, _binary 0xC3A9E282AC), (2, 'plain')",
        ),
    )
    stream = running.job(source_server, source_database, postgres, postgres_database)
    _, report = running.finish(stream)
    (note,) = [note for note in report.plans[-1]["notes"] if note["slug"] == "mojibake"]
    expression = "CONVERT(CAST(`c` AS BINARY) USING utf8mb4)"
    assert expression in note["message"]
    body = stream.config.to_json()
    query = f"SELECT id, {expression} AS c FROM t"
    body["source"]["connections"][0]["queries"] = [{"name": "meant", "query": query}]
    again = StreamJob("stream_meant", StreamConfig.parse(body), stream.connections)
    running.finish(again)
    shown = "SELECT t.c, m.c FROM public.t t JOIN public.meant m USING (id) ORDER BY id"
    assert postgres.query(shown, database=postgres_database) == [("Ã©â‚¬", "é€"), ("plain", "plain")]


# what is done to the other table, and whether the picture survives it on MariaDB, on MySQL
ALTERED = [
    ("ALTER TABLE {} MODIFY id bigint", False, False),
    ("TRUNCATE TABLE {}", False, False),
    ("ALTER TABLE {} ADD extra int", True, False),  # instant on MariaDB, whose old rows stay readable
]


@pytest.mark.parametrize(("change", "mariadb", "mysql"), ALTERED)
def test_a_table_altered_under_the_picture(
    source_server: MysqlEndpoint,
    source_database: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
    change: str,
    mariadb: bool,
    mysql: bool,
) -> None:
    """slug: source-altered"""
    rows = "(id int PRIMARY KEY) AS SELECT 1 AS id UNION SELECT 2"
    make(source_server, source_database, (f"CREATE TABLE a {rows}", f"CREATE TABLE z {rows}"))
    stream = running.job(source_server, source_database, postgres, postgres_database, options={"workers": 1})
    report = running.Recorder()
    altered: list[str] = []

    def alter(schema: str, table: str, rows: int, bytes_: int) -> None:
        """When one table is loaded, alter the other."""
        if not altered:
            altered.append("z" if table == "a" else "a")
            source_server.execute(change.format(altered[0]), database=source_database)

    report.progress = alter  # type: ignore[method-assign]
    outcome = run_stream(stream, Control(), report)
    (other,) = altered
    counted = postgres.scalar(f"SELECT count(*) FROM public.{other}", database=postgres_database)
    if mariadb if source_server.kind == "mariadb" else mysql:
        assert (outcome.status, counted) == ("FINISHED", 2)
        return
    error: dict[str, Any] = outcome.error or {}
    assert (outcome.status, error["code"], error["details"]["errno"]) == ("FAILED", "QUERY_FAILED", 1412)
    assert other in error["error"]
    assert counted == 0
