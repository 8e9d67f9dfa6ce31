"""Tables that are on the target already, and logins that may read and nothing else."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.streams.job import StreamJob
from tests import running

pytestmark = pytest.mark.integration

ENUM = "CREATE TABLE t (id int PRIMARY KEY, e enum('a','b')); INSERT INTO t VALUES (1, 'b')"
PLAIN = "CREATE TABLE t (id int PRIMARY KEY)"

# slug, source, target, options, code
MISFITS: list[tuple[str, str, str, dict[str, Any], str]] = [
    (
        "enum-labels",
        ENUM,
        "CREATE TYPE public.letters AS ENUM ('a'); CREATE TABLE public.t (id int, e public.letters)",
        {},
        "STRUCTURE_MISMATCH",
    ),
    (
        "table-exists",
        PLAIN,
        "CREATE TABLE public.t (id int)",
        {"schemaPolicy": "fail_if_exists"},
        "TABLE_EXISTS",
    ),
    (
        "table-not-empty",
        PLAIN,
        "CREATE TABLE public.t (id int); INSERT INTO public.t VALUES (5)",
        {"writeMode": "fail_if_not_empty"},
        "TABLE_NOT_EMPTY",
    ),
    ("table-kind", PLAIN, "CREATE SEQUENCE public.t", {}, "STRUCTURE_MISMATCH"),
]


@pytest.mark.parametrize(("slug", "source", "target", "options", "code"), MISFITS)
def test_refused_before_anything_is_done(
    source_server: MysqlEndpoint,
    source_database: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
    slug: str,
    source: str,
    target: str,
    options: dict[str, Any],
    code: str,
) -> None:
    source_server.execute(source, database=source_database)
    if target:
        postgres.execute(target, database=postgres_database)
    outcome, _ = running.run(
        running.job(source_server, source_database, postgres, postgres_database, **options)
    )
    error: dict[str, Any] = outcome.error or {}
    assert (outcome.status, error["code"]) == ("FAILED", code), error
    assert [note["slug"] for note in error["details"]["notes"]] == [slug]


def test_a_login_that_may_only_read_has_a_picture_a_worker(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """slug: picture-per-worker. MariaDB shows every login at which place of its log a snapshot was taken."""
    user = f"r{secrets.token_hex(4)}"
    source_server.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v varchar(9) DEFAULT 'x'); INSERT INTO t (id) VALUES (1);"
        "CREATE TABLE u AS SELECT * FROM t;"
        f"CREATE USER {user} IDENTIFIED BY 'Only-reads-1'; GRANT SELECT ON `{source_database}`.* TO {user}",
        database=source_database,
    )
    try:
        stream = running.job(source_server, source_database, postgres, postgres_database)
        reader = running.connection(source_server, username=user, password="Only-reads-1")
        stream = StreamJob(stream.stream_id, stream.config, {**stream.connections, "source": reader})
        outcome, _ = running.finish(stream)
        told = source_server.kind == "mariadb" and bool(source_server.scalar("SELECT @@log_bin"))
        assert ("picture-per-worker" in {note["slug"] for note in outcome.notes}) is not told
        assert postgres.query("SELECT id, v FROM public.t", database=postgres_database) == [(1, "x")]
    finally:
        source_server.execute(f"DROP USER {user}")
