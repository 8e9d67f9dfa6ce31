"""Workers that load a DuckDB file, killed at named points: resumed, the file holds exactly the source's rows.

A worker that dies leaves a log beside the file, which the next one that opens it plays back.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint
from engine import Code, Engine, EngineError
from tests import running
from tests.faults import shop
from tests.integration.duckdb_files import ask, build, duckdb_connection, job

pytestmark = [pytest.mark.integration, pytest.mark.fault]

ROWS = 8_000
CHUNKS = {"workers": 2, "chunkBytes": 131_072, "dataBundleSize": 1_000}
POINTS = [
    "after_decision_commit",
    "before_create_commit",
    "during_chunk:3",
    "before_chunk_commit:2",
    "after_chunk_commit:4",
    "during_comment",
    "after_finished",
]
_TABLES = {
    "parent": ("id, name, CAST(amount AS CHAR), CAST(at AS CHAR)", "id, name, amount::VARCHAR, {at}"),
    "child": ("id, parent_id, body", "id, parent_id, body"),
    "keyless": ("a, b", "a, b"),
}
_AT = "strftime(\"at\", '%Y-%m-%d %H:%M:%S.%f')"


class Place:
    """An engine over its own store, and one config from the shop into a file."""

    def __init__(self, folder: Path, source: MysqlEndpoint, database: str, **db: Any) -> None:
        self.folder, self.source, self.database = folder, source, database
        self.file = folder / "shop.duckdb"
        self.db = db
        shop.build(source, database, ROWS)
        source.execute("ALTER TABLE parent COMMENT = 'the first'", database=database)

    def open(self) -> Engine:
        return Engine(self.folder / "engine", worker_restarts=0)

    def config(self, engine: Engine) -> str:
        ends = [
            engine.connections.create(end.to_json(reveal=True))["id"]
            for end in (running.connection(self.source), duckdb_connection(self.file))
        ]
        made = job(self.source, self.file, database=self.database, options=CHUNKS, **self.db)
        template = made.config.to_json()
        template["source"]["connections"][0]["connectionId"] = ends[0]
        template["target"]["id"] = ends[1]
        return str(engine.configs.create(template)["id"])

    def differences(self, tables: list[str] | None = None) -> dict[str, Any]:
        """By DuckDB's own client; empty when both sides are equal and no checkpoint is left."""
        self.wait_for_the_file()
        found: dict[str, Any] = {}
        for table in tables or list(_TABLES):
            mine, theirs = _TABLES[table]
            want = sorted(self.source.query(f"SELECT {mine} FROM {table}", database=self.database))
            have = sorted(ask(self.file, f"SELECT {theirs.format(at=_AT)} FROM main.{table}"))
            if want != have:
                found[table] = (len(want), len(have))
        return found

    def wait_for_the_file(self) -> None:
        """Checkpoints go once the store says FINISHED, by a process of its own: soon, not at once."""
        for _ in range(150):
            try:
                left = ask(
                    self.file,
                    "SELECT count(*) FROM duckdb_tables() WHERE table_name = '_dbstreams_checkpoint'",
                )
            except Exception:  # that process has the file just now
                left = [(1,)]
            if left == [(0,)]:
                return
            time.sleep(0.1)
        raise AssertionError("the checkpoints were left behind")


@pytest.fixture
def place(data_dir: Path, mariadb: MysqlEndpoint, mariadb_database: str) -> Place:
    return Place(data_dir, mariadb, mariadb_database)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_a_fail_point_is_resumed_to_equal_sides(
    place: Place, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: duckdb-kill"""
    monkeypatch.setenv("DBSTREAMS_FAILPOINT", point)
    with place.open() as engine:
        stream = engine.configs.start(place.config(engine))["id"]
        ended = engine.streams.wait(stream, 120)
        assert (ended["status"], ended["error"]["code"]) == ("FAILED", "WORKER_DIED"), ended
        monkeypatch.delenv("DBSTREAMS_FAILPOINT")
        engine.streams.resume(stream)
        ended = engine.streams.wait(stream, 120)
        assert ended["status"] == "FINISHED", ended["error"]
        assert engine.streams.stats(stream)["target"]["counter"] == 2 * ROWS + 1000
        assert place.differences() == {}
    comments = "SELECT comment FROM duckdb_tables() WHERE table_name = 'parent'"
    assert ask(place.file, comments) == [("the first",)]


@pytest.mark.parametrize(
    ("mode", "point"),
    [
        ("append", "before_chunk_commit:3"),
        ("truncate_and_load", "after_decision_commit"),
        ("truncate_and_load", "after_chunk_commit:3"),
        ("upsert", "before_chunk_commit:3"),
        ("upsert", "after_chunk_commit:3"),
        ("fail_if_not_empty", "before_chunk_commit:3"),
    ],
)
def test_every_write_mode_survives_a_kill_into_tables_that_exist(
    data_dir: Path,
    mariadb: MysqlEndpoint,
    mariadb_database: str,
    mode: str,
    point: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """slug: duckdb-kill"""
    tables = ["parent", "child"]
    place = Place(data_dir, mariadb, mariadb_database, writeMode=mode, tables=tables)
    structure = job(
        mariadb, place.file, database=mariadb_database, tables=tables, skipData=True, writeMode=mode
    )
    running.finish(structure)
    running.cleanup(structure)
    if mode in ("truncate_and_load", "upsert"):
        build(place.file, "INSERT INTO main.parent (id, name, \"at\") VALUES (5, 'old', now()::TIMESTAMP)")
    monkeypatch.setenv("DBSTREAMS_FAILPOINT", point)
    with place.open() as engine:
        stream = engine.configs.start(place.config(engine))["id"]
        assert engine.streams.wait(stream, 120)["status"] == "FAILED"
        monkeypatch.delenv("DBSTREAMS_FAILPOINT")
        engine.streams.resume(stream)
        ended = engine.streams.wait(stream, 120)
        assert ended["status"] == "FINISHED", ended["error"]
        assert place.differences(tables) == {}


@pytest.mark.parametrize("seed", [1])
def test_workers_killed_at_any_moment(place: Place, seed: int) -> None:
    """slug: duckdb-kill"""
    chance = random.Random(seed)
    with place.open() as engine:
        stream = engine.configs.start(place.config(engine))["id"]
        for _ in range(5):
            time.sleep(chance.uniform(0.05, 1.2))
            pid = engine.streams.stats(stream)["nodes"][0]["pid"]
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
            ended = engine.streams.wait(stream, 60)
            if ended["status"] == "FINISHED":
                break
            engine.streams.resume(stream)
        ended = engine.streams.wait(stream, 120)
        assert ended["status"] == "FINISHED", ended["error"]
        assert place.differences() == {}


_HOLD = """
import duckdb, sys
held = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_another_process_has_is_busy(place: Place) -> None:
    """slug: duckdb-busy. Said over every way to it, and the stream goes on once the file is free."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(place.file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with place.open() as engine:
            config = place.config(engine)
            target = engine.configs.get(config)["target"]["id"]
            with pytest.raises(EngineError) as caught:
                engine.connections.ping(target)
            assert caught.value.code is Code.CONNECTION_BUSY
            assert str(place.file) in caught.value.message
            stream = engine.configs.start(config)["id"]
            ended = engine.streams.wait(stream, 60)
            assert (ended["status"], ended["error"]["code"]) == ("FAILED", "CONNECTION_BUSY"), ended
            holder.communicate(b"")
            engine.streams.resume(stream)
            ended = engine.streams.wait(stream, 120)
            assert ended["status"] == "FINISHED", ended["error"]
            assert place.differences() == {}
    finally:
        holder.kill()
        holder.wait()
