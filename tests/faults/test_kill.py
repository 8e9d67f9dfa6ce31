"""Workers, servers and connections killed at named points and at any moment; both sides must end equal."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from benchmarks.servers import MariaDB, Postgres
from engine import Engine
from tests import running
from tests.faults import shop

pytestmark = [pytest.mark.integration, pytest.mark.fault]

FAIL_POINTS = [
    "before_decision_commit",
    "after_decision_commit",
    "before_create_commit",
    "during_chunk:3",
    "before_chunk_commit:2",
    "after_chunk_commit:1",
    "after_chunk_commit:4",
    "during_primary_key:1",
    "during_index:2",
    "during_foreign_key",
    "during_validate",
    "during_sequence",
    "during_analyze:2",
    "after_finished",
]
WRITE_MODES = ["append", "truncate_and_load", "upsert", "fail_if_not_empty"]
SMALL_CHUNKS = {"workers": 2, "chunkBytes": 262_144, "dataBundleSize": 2_000}


class Place:
    """An engine over its own store, and one config from the source to the target."""

    def __init__(self, folder: Path, source: MysqlEndpoint, target: PostgresEndpoint, **db: Any) -> None:
        self.source, self.target = source, target
        self.source_database, self.target_database = source.database(), target.database()
        self.folder = folder
        self.db = db
        shop.build(source, self.source_database)

    def open(self) -> Engine:
        return Engine(self.folder, worker_restarts=0)

    def config(self, engine: Engine) -> str:
        ends = []
        for server in (self.source, self.target):
            body = running.connection(server).to_json(reveal=True)
            ends.append(engine.connections.create(body)["id"])
        template = running.job(
            self.source,
            self.source_database,
            self.target,
            self.target_database,
            options=SMALL_CHUNKS,
            **self.db,
        ).config.to_json()
        template["source"]["connections"][0]["connectionId"] = ends[0]
        template["target"]["id"] = ends[1]
        return str(engine.configs.create(template)["id"])

    def differences(self) -> dict[str, Any]:
        return shop.differences(self.source, self.source_database, self.target, self.target_database)


@pytest.fixture
def place(data_dir: Path, mariadb: MysqlEndpoint, postgres: PostgresEndpoint) -> Iterator[Place]:
    made = Place(data_dir, mariadb, postgres)
    yield made
    mariadb.drop_database(made.source_database)
    postgres.drop_database(made.target_database)


@pytest.mark.parametrize("point", FAIL_POINTS)
def test_a_worker_killed_at_a_fail_point_is_resumed_to_equal_sides(
    place: Place, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBSTREAMS_FAILPOINT", point)
    with place.open() as engine:
        stream = engine.configs.start(place.config(engine))["id"]
        ended = engine.streams.wait(stream, 120)
        assert (ended["status"], ended["error"]["code"]) == ("FAILED", "WORKER_DIED"), ended
        monkeypatch.delenv("DBSTREAMS_FAILPOINT")
        engine.streams.resume(stream)
        ended = engine.streams.wait(stream, 120)
        assert ended["status"] == "FINISHED", ended["error"]
        assert engine.streams.stats(stream)["target"]["counter"] == 2 * shop.ROWS + 1000
        assert place.differences() == {}


@pytest.mark.parametrize("mode", WRITE_MODES)
@pytest.mark.parametrize("point", ["after_decision_commit", "before_chunk_commit:3", "after_chunk_commit:3"])
def test_every_write_mode_survives_a_kill_into_tables_that_exist(
    data_dir: Path,
    mariadb: MysqlEndpoint,
    postgres: PostgresEndpoint,
    mode: str,
    point: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = ["parent", "child"] if mode == "upsert" else ["parent", "child", "keyless"]
    place = Place(data_dir, mariadb, postgres, writeMode=mode)
    # The tables are there, and hold rows where the mode has a use for them.
    running.finish(
        running.job(
            mariadb, place.source_database, postgres, place.target_database, tables=tables, skipData=True
        )
    )
    if mode in ("truncate_and_load", "upsert"):
        postgres.execute(
            "INSERT INTO public.parent (id, name, at) VALUES (5, 'old', now())",
            database=place.target_database,
        )
    if mode == "upsert":
        mariadb.execute("DROP TABLE keyless", database=place.source_database)
    monkeypatch.setenv("DBSTREAMS_FAILPOINT", point)
    with place.open() as engine:
        stream = engine.configs.start(place.config(engine))["id"]
        assert engine.streams.wait(stream, 120)["status"] == "FAILED"
        monkeypatch.delenv("DBSTREAMS_FAILPOINT")
        engine.streams.resume(stream)
        ended = engine.streams.wait(stream, 120)
        assert ended["status"] == "FINISHED", ended["error"]
    for table in tables:
        want = mariadb.scalar(f"SELECT count(*) FROM {table}", database=place.source_database)
        have = postgres.scalar(f"SELECT count(*) FROM public.{table}", database=place.target_database)
        assert have == want, table
    assert (
        postgres.scalar("SELECT name FROM public.parent WHERE id = 5", database=place.target_database)
        != "old"
    )


def test_pause_and_resume_again_and_again(place: Place) -> None:
    with place.open() as engine:
        stream = engine.configs.start(place.config(engine))["id"]
        for _ in range(4):
            time.sleep(0.3)
            state = engine.streams.get(stream)["status"]
            if state == "RUNNING":
                engine.streams.pause(stream)
                state = engine.streams.wait(stream, 60)["status"]
            if state == "PAUSED":
                engine.streams.resume(stream)
        ended = engine.streams.wait(stream, 120)
        assert ended["status"] == "FINISHED", ended["error"]
        assert place.differences() == {}


@pytest.mark.parametrize("seed", [1, 2])
def test_workers_killed_at_any_moment(place: Place, seed: int) -> None:
    kill_at_random(place, random.Random(seed))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 300))
def test_workers_killed_at_any_moment_many_times(place: Place, seed: int) -> None:
    kill_at_random(place, random.Random(seed))


def kill_at_random(place: Place, chance: random.Random) -> None:
    with place.open() as engine:
        stream = engine.configs.start(place.config(engine))["id"]
        for _ in range(5):
            time.sleep(chance.uniform(0.05, 1.5))
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


def test_two_attempts_at_one_stream_commit_every_row_once(
    place: Place,
) -> None:
    """slug: epoch. The slower attempt is a straggler whose supervisor believes it dead."""
    stream = running.job(
        place.source,
        place.source_database,
        place.target,
        place.target_database,
        options=SMALL_CHUNKS,
        stream_id="stream_twice",
    )
    outcomes: list[Any] = []

    def attempt() -> None:
        outcomes.append(running.run(stream)[0])

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    failed = [outcome.error["code"] for outcome in outcomes if outcome.status != "FINISHED"]
    assert all(code == "EPOCH_SUPERSEDED" for code in failed), outcomes
    assert len(failed) < 2
    running.cleanup(stream)
    assert place.differences() == {}


def test_source_connections_cut_in_the_middle(place: Place) -> None:
    def cut() -> None:
        for _ in range(3):
            time.sleep(0.4)
            found = place.source.query(
                "SELECT id FROM information_schema.processlist WHERE db = %s AND id <> CONNECTION_ID()",
                (place.source_database,),
            )
            for (connection_id,) in found[:1]:
                with contextlib.suppress(pymysql.OperationalError):  # it has ended by itself
                    place.source.execute(f"KILL {int(connection_id)}")

    thread = threading.Thread(target=cut)
    thread.start()
    with place.open() as engine:
        stream = engine.configs.start(place.config(engine))["id"]
        ended = engine.streams.wait(stream, 120)
        thread.join()
        assert ended["status"] == "FINISHED", ended["error"]
        assert place.differences() == {}


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_database_server_is_killed_and_comes_back(
    data_dir: Path, mariadb: MysqlEndpoint, postgres: PostgresEndpoint, side: str
) -> None:
    with MariaDB() if side == "source" else Postgres() as server:
        source = server if isinstance(server, MariaDB) else mariadb
        target = server if isinstance(server, Postgres) else postgres
        place = Place(data_dir, source, target)
        with place.open() as engine:
            stream = engine.configs.start(place.config(engine))["id"]
            time.sleep(0.8)
            server.kill()
            server.restart()
            ended = engine.streams.wait(stream, 120)
            for _ in range(3):
                if ended["status"] == "FINISHED":
                    break
                assert ended["error"]["code"] in ("CONNECTION_LOST", "CONNECTION_FAILED"), ended["error"]
                engine.streams.resume(stream)
                ended = engine.streams.wait(stream, 120)
            assert ended["status"] == "FINISHED", ended["error"]
            assert place.differences() == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of bounded size needs root")
def test_a_full_target_says_so_and_is_resumed_when_there_is_room(
    data_dir: Path, mariadb: MysqlEndpoint, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=True)
    try:
        for parent in [small, *small.parents]:
            parent.chmod(parent.stat().st_mode | 0o011)
        with Postgres() as target:
            (small / "space").mkdir()
            subprocess.run(["chown", "postgres", str(small / "space")], check=True)
            target.execute(f"CREATE TABLESPACE small LOCATION '{small / 'space'}'")
            place = Place(data_dir, mariadb, target)
            target.execute(f"ALTER DATABASE {place.target_database} SET default_tablespace = small")
            with place.open() as engine:
                stream = engine.configs.start(place.config(engine))["id"]
                ended = engine.streams.wait(stream, 120)
                assert ended["status"] == "FAILED", ended
                assert ended["error"]["code"] == "TARGET_FULL", ended["error"]
                subprocess.run(["mount", "-o", "remount,size=200m", str(small)], check=True)
                engine.streams.resume(stream)
                ended = engine.streams.wait(stream, 120)
                assert ended["status"] == "FINISHED", ended["error"]
            assert place.differences() == {}
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
