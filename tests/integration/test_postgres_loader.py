"""How the loader meets a server that does not read."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.endpoints import PostgresEndpoint
from engine.config import WriteMode
from engine.connectors.base import LoadResult, LoadTable
from engine.connectors.postgres.checkpoint import Checkpoints
from engine.connectors.postgres.loader import PostgresLoader

pytestmark = pytest.mark.integration

LOCK = 4711
PARTS = 64
ROW = struct.pack(">hi", 1, 1 << 20) + bytes(1 << 20)  # one bytea of 1 MiB in binary COPY


def test_a_target_that_stands_still_holds_the_reader(
    postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """The sockets take some megabytes; what the server has not read beyond them is not taken from the reader,
    let alone kept in memory."""
    taken = 0

    def rows() -> Iterator[tuple[memoryview, int]]:
        nonlocal taken
        for _ in range(PARTS):
            taken += 1
            yield memoryview(ROW), 1

    with postgres.connect(postgres_database) as watch, postgres.connect(postgres_database) as session:
        session.autocommit = True
        watch.execute("CREATE TABLE t (b bytea)")
        watch.execute(
            "CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS"
            f" 'BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN NEW; END'"
        )
        watch.execute(
            "CREATE TRIGGER stand_still BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stand_still()"
        )
        watch.execute(f"SELECT pg_advisory_lock({LOCK})")
        loader = PostgresLoader(session, Checkpoints("public", "stream"))
        result = LoadResult()
        into = LoadTable("public", "t", ("b",), WriteMode.APPEND)
        load = threading.Thread(target=loader._copy, args=("t", into, rows(), result), daemon=True)
        load.start()
        before = -1
        while before != taken:  # until nothing more is taken
            before = taken
            time.sleep(0.5)
        assert load.is_alive()
        assert taken < PARTS
        watch.execute(f"SELECT pg_advisory_unlock({LOCK})")
        load.join(60)
        assert result.rows == PARTS
        assert watch.execute("SELECT count(*), sum(length(b)) FROM t").fetchone() == (PARTS, PARTS << 20)
