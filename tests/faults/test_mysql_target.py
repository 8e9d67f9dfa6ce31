"""Loads into MySQL and MariaDB killed at named points; the sides end equal, nothing twice or lost."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from benchmarks.endpoints import MysqlEndpoint
from engine import Engine
from engine.connectors.base import TargetDatabase
from engine.connectors.mysql.target import MysqlTarget
from engine.connectors.mysql.target_session import open_session
from engine.errors import Code, EngineError
from engine.streams.job import StreamJob
from tests import running
from tests.faults import shop
from tests.integration.mysql_targets import TARGETS

pytestmark = [pytest.mark.integration, pytest.mark.fault]

ROWS = 6_000
SMALL = {"workers": 2, "chunkBytes": 65_536, "dataBundleSize": 500}
MARK = "INSERT INTO parent (id, name, at) VALUES (5, 'old', now())"

Settings = dict[str, str]
TRUNCATE: Settings = {"writeMode": "truncate_and_load"}
RECREATE: Settings = {"schemaPolicy": "drop_and_recreate"}
UPSERT: Settings = {"writeMode": "upsert"}
FRESH: Settings = {}

KILLS = [
    ("after_decision_commit", FRESH),
    ("after_create:2", FRESH),
    ("during_chunk:3", FRESH),
    ("before_chunk_commit:2", FRESH),
    ("during_index:1", FRESH),
    ("after_truncate", TRUNCATE),
    ("after_chunk_commit:3", TRUNCATE),
    ("after_drop:2", RECREATE),
    ("after_chunk_commit:2", UPSERT),
]


class Place:
    def __init__(self, server: MysqlEndpoint) -> None:
        self.server = server
        self.source, self.target = server.database(), server.database()
        shop.build(server, self.source, ROWS)

    def job(self, **db: Any) -> StreamJob:
        tables = db.pop("tables", None)
        return running.job(
            self.server,
            self.source,
            self.server,  # type: ignore[arg-type]
            self.target,
            tables=tables,
            options=SMALL,
            **db,
        )

    def config(self, engine: Engine, tables: list[str], settings: Settings) -> str:
        body = running.connection(self.server).to_json(reveal=True)
        end = engine.connections.create(body)["id"]
        template = self.job(tables=tables, **settings).config.to_json()
        template["source"]["connections"][0]["connectionId"] = template["target"]["id"] = end
        return str(engine.configs.create(template)["id"])

    def tables_there(self, tables: list[str]) -> None:
        """The tables on the target, with a row nobody must add to."""
        running.finish(self.job(tables=tables, skipData=True))
        self.server.execute(MARK, database=self.target)

    def require_equal(self, tables: list[str]) -> None:
        for table in tables:
            want = sorted(self.server.query(f"SELECT * FROM {table}", database=self.source), key=repr)
            have = sorted(self.server.query(f"SELECT * FROM {table}", database=self.target), key=repr)
            assert have == want, (table, len(want), len(have))
            keys = "SELECT INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME FROM information_schema.STATISTICS"
            keys += " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s ORDER BY 1, 2"
            assert self.server.query(keys, [table], database=self.target) == self.server.query(
                keys, [table], database=self.source
            )


@pytest.fixture(params=TARGETS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    server: MysqlEndpoint = request.getfixturevalue(request.param)
    made = Place(server)
    yield made
    server.drop_database(made.source)
    server.drop_database(made.target)


@pytest.fixture
def mariadb_place(mariadb: MysqlEndpoint) -> Iterator[Place]:
    made = Place(mariadb)
    yield made
    mariadb.drop_database(made.source)
    mariadb.drop_database(made.target)


@pytest.mark.parametrize(("point", "settings"), KILLS)
def test_a_worker_killed_at_a_fail_point_is_resumed_to_equal_sides(
    data_dir: Path, mariadb_place: Place, point: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: mysql-journal"""
    place = mariadb_place
    tables = ["parent", "child"] if settings == UPSERT else ["parent", "child", "keyless"]
    if settings:
        place.tables_there(tables)
    monkeypatch.setenv("DBSTREAMS_FAILPOINT", point)
    with Engine(data_dir, worker_restarts=0) as engine:
        stream = engine.configs.start(place.config(engine, tables, settings))["id"]
        ended = engine.streams.wait(stream, 60)
        assert (ended["status"], ended["error"]["code"]) == ("FAILED", "WORKER_DIED"), ended
        monkeypatch.delenv("DBSTREAMS_FAILPOINT")
        engine.streams.resume(stream)
        ended = engine.streams.wait(stream, 60)
        assert ended["status"] == "FINISHED", ended["error"]
    place.require_equal(tables)


@pytest.mark.parametrize("point", ["after_create", "after_chunk_commit:2"])
def test_mysql_is_resumed_likewise(
    data_dir: Path, point: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """slug: mysql-journal"""
    if "mysql" not in TARGETS:
        pytest.skip("there is no MySQL")
    place = Place(request.getfixturevalue("mysql"))
    monkeypatch.setenv("DBSTREAMS_FAILPOINT", point)
    tables = ["parent", "child", "keyless"]
    with Engine(data_dir, worker_restarts=0) as engine:
        stream = engine.configs.start(place.config(engine, tables, FRESH))["id"]
        assert engine.streams.wait(stream, 60)["status"] == "FAILED"
        monkeypatch.delenv("DBSTREAMS_FAILPOINT")
        engine.streams.resume(stream)
        ended = engine.streams.wait(stream, 60)
        assert ended["status"] == "FINISHED", ended["error"]
    place.require_equal(tables)
    place.server.drop_database(place.source)
    place.server.drop_database(place.target)


def test_connections_cut_again_and_again(place: Place) -> None:
    """slug: mysql-journal. The loaders' sessions are killed by the server while they load."""
    over = threading.Event()

    def cut() -> None:
        with contextlib.closing(place.server.connect()) as session, session.cursor() as cursor:
            for _ in range(4):
                time.sleep(0.15)
                if over.is_set():
                    return
                cursor.execute(
                    "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = %s"
                    " AND (INFO LIKE 'LOAD DATA%%' OR COMMAND = 'Query')",
                    (place.target,),
                )
                for (number,) in cursor.fetchall():
                    with contextlib.suppress(pymysql.MySQLError):
                        cursor.execute(f"KILL {number}")

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        running.finish(place.job())
    finally:
        over.set()
        thread.join()
    place.require_equal(["parent", "child", "keyless"])


def test_an_attempt_that_was_taken_over_changes_nothing_more(place: Place) -> None:
    """slug: mysql-journal. Neither a chunk nor a statement of structure."""
    job = place.job()
    ends = running.connection(place.server)
    spec = job.config.target.spec.db
    assert spec is not None
    old, new = (MysqlTarget(ends, spec, place.target, job.stream_id) for _ in range(2))
    with contextlib.closing(old), contextlib.closing(new):
        assert not old.claim()
        assert new.claim()
        session = open_session(ends, place.target)
        with pytest.raises(EngineError) as caught:
            old.checkpoints.guard(session)
        assert caught.value.code is Code.EPOCH_SUPERSEDED
        session.close()
        with pytest.raises(EngineError) as caught:
            old.prepare(TargetDatabase(place.target, ()), {}, lambda statement, purpose: None)
        assert caught.value.code is Code.EPOCH_SUPERSEDED
        new.prepare(TargetDatabase(place.target, ()), {}, lambda statement, purpose: None)
        new.forget()
        assert not new.checkpoints.exists(new._session)
