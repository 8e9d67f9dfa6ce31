"""A hot standby as the source: it cannot write, and its log is replayed instead of written."""

from __future__ import annotations

from contextlib import closing

import pytest

from benchmarks.servers import Postgres
from tests.integration.postgres_sources import planned, rows_of, source

pytestmark = pytest.mark.integration


def test_a_standby_exports_its_snapshot_to_every_reader() -> None:
    """pg-standby"""
    with Postgres() as server:
        server.execute(
            "CREATE TABLE t (id int PRIMARY KEY, pad text);"
            " INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(1, 4000) i;"
            " CREATE UNLOGGED TABLE fast (id int); CREATE SEQUENCE s"
        )
        server.stop()
        # Without a primary to follow it waits for more log in its own folder.
        (server.data / "standby.signal").touch()
        server.start()
        assert server.scalar("SELECT pg_is_in_recovery()") in (True, "t", "true")
        with source(server, "postgres") as opened:
            database = opened.catalog("postgres")
            assert [table.name for table in database.tables] == ["t"]
            assert "table fast is unlogged: a standby does not have its rows" in database.notes
            assert opened.position() is not None
            read = planned(opened, "t")
            whole = rows_of(opened, read)
            with opened.picture(2) as picture:
                rows = 0
                for chunk in opened.chunks(read, 100_000, 2):
                    with closing(picture.reader("native")) as reader:
                        rows += sum(batch.num_rows for batch in reader.read(read, chunk.bounds))
        assert rows == whole.num_rows == 4000
