"""What verify and ConnectorX do by their policies, seen on servers."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.errors import EngineError
from engine.streams.job import Control, StreamJob
from engine.streams.run import run_stream
from tests import running
from tests.integration.mysql_tables import filled, opened, planned

pytestmark = pytest.mark.integration


@pytest.fixture
def stream(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> StreamJob:
    source_server.execute(
        "CREATE TABLE t (id int PRIMARY KEY, d decimal(9,2)); INSERT INTO t VALUES (1, 1.50), (2, -7)",
        database=source_database,
    )
    postgres.execute(
        "CREATE TABLE public.t (id int PRIMARY KEY, d text, extra int DEFAULT 3,"
        " twice int GENERATED ALWAYS AS (id * 2) STORED)",
        database=postgres_database,
    )
    job = running.job(source_server, source_database, postgres, postgres_database)
    running.finish(job)
    return job


# slug, statement on the source, on the target, is it equal then
MOMENTS: list[tuple[str, str, str, bool]] = [
    ("verify-printed", "", "", True),
    ("verify-printed", "", "UPDATE public.t SET d = '1.5' WHERE id = 1", False),
    ("verify-extra-columns", "", "UPDATE public.t SET extra = id", True),
    ("verify-extra-columns", "", "ALTER TABLE public.t ADD more text DEFAULT 'x'", True),
    ("verify-moving-source", "INSERT INTO t VALUES (3, 1)", "", False),
    ("verify-moving-source", "UPDATE t SET d = 9 WHERE id = 2", "", False),
]


@pytest.mark.parametrize(("slug", "theirs", "ours", "equal"), MOMENTS)
def test_what_verify_compares(
    stream: StreamJob,
    source_server: MysqlEndpoint,
    source_database: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
    slug: str,
    theirs: str,
    ours: str,
    equal: bool,
) -> None:
    if theirs:
        source_server.execute(theirs, database=source_database)
    if ours:
        postgres.execute(ours, database=postgres_database)
    assert running.verify(stream)["equal"] is equal, slug


def test_a_lost_picture_is_said(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """slugs: picture-lost, reader-cut"""
    filled(source_server, source_database, "v varchar(200)", 4000, "REPEAT('x', 200)")
    source_server.execute("ANALYZE TABLE t", database=source_database)
    options = {"workers": 1, "chunkBytes": 65_536}
    stream = running.job(source_server, source_database, postgres, postgres_database, options=options)
    report = running.Recorder()
    killed: list[int] = []

    def kill(*_: Any) -> None:
        """After the first chunk: every session on the source, the one of the picture among them."""
        if killed:
            return
        query = "SELECT id FROM information_schema.processlist WHERE db = %s"
        for (thread,) in source_server.query(query, (source_database,)):
            source_server.execute(f"KILL {thread}")
            killed.append(thread)

    report.progress = kill  # type: ignore[method-assign]
    outcome = run_stream(stream, Control(), report)
    assert outcome.status == "FINISHED", outcome.error
    assert killed
    assert "picture-lost" in {note["slug"] for note in outcome.notes}
    assert postgres.scalar("SELECT count(*) FROM public.t", database=postgres_database) == 4000


def test_the_hash_is_one_the_source_has(stream: StreamJob, source_server: MysqlEndpoint) -> None:
    """verify-hash"""
    try:
        source_server.query("SELECT MD5('x')")
        hashing = "md5"
    except Exception:
        hashing = "sha"
    (table,) = running.verify(stream)["tables"]
    assert hashing in table["method"].lower()


# ---------------------------------------------------------------- ConnectorX


def test_connectorx_reads_each_time_what_is_there(source_server: MysqlEndpoint, source_database: str) -> None:
    """connectorx-cancel: its reads are pictures of their own, ours are one."""
    filled(source_server, source_database, "v int", 5, "n")
    with opened(source_server, source_database) as source:
        read = planned(source)
        for kind, later in (("connectorx", 1), ("native", 0)):
            with closing(source.reader(kind)) as reader:  # type: ignore[arg-type]

                def rows(reader: Any = reader) -> int:
                    return sum(batch.num_rows for batch in reader.read(read, None))

                before = rows()
                source_server.execute("INSERT INTO t SELECT MAX(id) + 1, 0 FROM t", database=source_database)
                assert rows() == before + later, kind


def test_a_cancelled_connectorx_stops_when_its_batch_has_come(
    source_server: MysqlEndpoint, source_database: str
) -> None:
    """connectorx-cancel: between two batches its statement is ended on the server."""
    filled(source_server, source_database, "v text", 300, "'x'")
    with opened(source_server, source_database) as source, closing(source.reader("connectorx")) as reader:
        read = planned(source)
        # Long enough that the server sends each as it comes.
        slow = replace(read.columns[1], connectorx="REPEAT(v, 50000 + SLEEP(0.02))")
        read = replace(read, columns=(read.columns[0], slow), batch_rows=1)
        batches = iter(reader.read(read, None))
        assert next(batches).num_rows == 1
        reader.cancel()
        with pytest.raises(EngineError):
            list(batches)
