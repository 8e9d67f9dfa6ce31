"""What a deleted stream left on its target goes, in the background, sooner or later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine import Engine, abandoned
from engine.logs import Subscription
from engine.streams.worker import RUNNER_VARIABLE
from tests import runtime
from tests.integration.server_harness import Api, running_api

pytestmark = pytest.mark.integration

CONFIRMED = {"X-Confirm-Delete": "true"}


class Ends:
    """A config whose stream fails in the middle: the second of two rows breaks a check of the target."""

    def __init__(self, mariadb: MysqlEndpoint, source: str, postgres: PostgresEndpoint, target: str) -> None:
        mariadb.execute("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)", database=source)
        postgres.execute("CREATE TABLE t (id int PRIMARY KEY CHECK (id < 2))", database=target)
        self.mariadb, self.source, self.postgres, self.target = mariadb, source, postgres, target

    def fail(self, api: Api) -> tuple[str, str, str]:
        """Ids of the config, the failed stream and the target's connection."""
        ids = [self.connect(api, server) for server in (self.mariadb, self.postgres)]
        body = {
            "name": "fails",
            "mode": "convert",
            "source": {"connections": [{"connectionId": ids[0], "database": self.source}]},
            "target": {"id": ids[1], "spec": {"db": {"database": self.target}}},
        }
        config = api.expect(201, "POST", "/stream-configs", body)["id"]
        stream = api.expect(201, "POST", f"/stream-configs/{config}/start")["id"]
        assert api.engine is not None
        assert api.engine.streams.wait(stream, 60)["status"] == "FAILED"
        assert self.left() == [stream]
        return config, stream, ids[1]

    def connect(self, api: Api, server: MysqlEndpoint | PostgresEndpoint) -> str:
        return str(api.expect(201, "POST", "/connections", self.body(server))["id"])

    def body(self, server: MysqlEndpoint | PostgresEndpoint, **changes: Any) -> dict[str, Any]:
        return {
            "name": server.kind,
            "type": server.kind,
            "host": server.host,
            "port": server.port,
            "username": server.user,
            "password": server.password,
            **changes,
        }

    def left(self) -> list[str]:
        """The streams of which the target has checkpoints."""
        query = "SELECT DISTINCT stream_id FROM public._dbstreams_checkpoint"
        try:
            rows = self.postgres.query(query, database=self.target)
        except psycopg.errors.UndefinedTable:
            return []  # it goes with its last row
        return [str(stream) for (stream,) in rows]


@pytest.fixture
def ends(
    mariadb: MysqlEndpoint, mariadb_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> Ends:
    return Ends(mariadb, mariadb_database, postgres, postgres_database)


def logged(log: Subscription, text: str) -> bool:
    """Whether an entry that was not looked at yet says that."""
    return any(text in str(entry["data"].get("message")) for entry in log.drain())


@pytest.mark.parametrize(
    "path",
    [
        "/stream-configs/{config}",
        "/stream-configs",
        "/stream-configs/{config}/runs",
        "/stream-configs/{config}/runs/{run}",
    ],
)
def test_deleting_drops_the_checkpoints(data_dir: Path, ends: Ends, path: str) -> None:
    """slug: delete-cleanup"""
    with running_api(data_dir) as api:
        config, stream, _ = ends.fail(api)
        run = api.get(f"/streams/{stream}")["runId"]
        answer = api.expect(200, "DELETE", path.format(config=config, run=run), headers=CONFIRMED)
        assert answer == {"deleted": 1}
        api.refuses("STREAM_NOT_FOUND", "GET", f"/streams/{stream}")
        runtime.until(lambda: ends.left() == [])
        runtime.until(lambda: noted(api) == [])


def noted(api: Api) -> list[str]:
    assert api.engine is not None
    with api.engine._store.read() as connection:
        rows = connection.exec_driver_sql("SELECT key FROM meta WHERE key LIKE 'abandoned:%'")
        return [str(key).partition(":")[2] for (key,) in rows]


def test_an_unreachable_target_is_not_waited_for(
    data_dir: Path, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: delete-cleanup: it is logged, and tried again when the owner starts next."""
    monkeypatch.setattr(abandoned, "PAUSES", (0.01,))
    with running_api(data_dir) as api:
        config, stream, target = ends.fail(api)
        gone = ends.body(ends.postgres, port=1)
        api.expect(200, "PUT", f"/connections/{target}", gone)
        assert api.engine is not None
        with api.engine.logs.subscribe() as log:
            assert api.expect(200, "DELETE", f"/stream-configs/{config}") == {"deleted": 1}
            runtime.until(lambda: logged(log, f"the checkpoints of the deleted stream {stream} are still on"))
        assert (ends.left(), noted(api)) == ([stream], [stream])
        api.expect(200, "PUT", f"/connections/{target}", ends.body(ends.postgres))
    with running_api(data_dir) as api:
        runtime.until(lambda: ends.left() == [])
        runtime.until(lambda: noted(api) == [])


def test_a_process_beside_the_owner_leaves_it_to_the_owner(data_dir: Path, ends: Ends) -> None:
    """slug: delete-cleanup"""
    with running_api(data_dir) as api:
        config, stream, _ = ends.fail(api)
    with Engine(data_dir, supervise=False) as beside:
        beside.configs.delete(config)
    assert ends.left() == [stream]
    with Engine(data_dir):
        runtime.until(lambda: ends.left() == [])


def test_a_deleted_connection_leaves_nothing_to_try(data_dir: Path, ends: Ends) -> None:
    """slug: delete-cleanup"""
    with running_api(data_dir) as api:
        config, stream, target = ends.fail(api)
        api.expect(200, "DELETE", f"/connections/{target}", headers=CONFIRMED)
        assert api.engine is not None
        with api.engine.logs.subscribe() as log:
            api.expect(200, "DELETE", f"/stream-configs/{config}")
            runtime.until(
                lambda: logged(log, f"the checkpoints of the deleted stream {stream} stay on its target")
            )
        assert noted(api) == []


def test_connections_deleted_next_are_still_cleaned(data_dir: Path, ends: Ends) -> None:
    with running_api(data_dir) as api:
        config, _, _ = ends.fail(api)
        api.expect(200, "DELETE", f"/stream-configs/{config}")
        api.expect(200, "DELETE", "/connections", headers=CONFIRMED)
        runtime.until(lambda: ends.left() == [])


# ---------------------------------------------------------------- with workers that misbehave


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv(RUNNER_VARIABLE, "tests.fake_runner")
    monkeypatch.setattr(abandoned, "PAUSES", (0.01, 0.01))
    with Engine(tmp_path / "data") as engine:
        yield engine


def failed(engine: Engine, tmp_path: Path, **script: Any) -> tuple[str, str]:
    config = runtime.config(engine, tmp_path, error=True, **script)
    stream = engine.configs.start(config)["id"]
    assert engine.streams.wait(stream, 30)["status"] == "FAILED"
    return config, stream


def test_a_comparison_that_runs_is_ended(engine: Engine, tmp_path: Path) -> None:
    config, stream = failed(engine, tmp_path, seconds=600)
    assert engine.streams.verify(stream)["status"] == "RUNNING"
    engine.configs.delete_runs(config)
    runtime.until((tmp_path / "c.forgotten").exists)


def test_a_busy_target_is_tried_again(engine: Engine, tmp_path: Path) -> None:
    config, _ = failed(engine, tmp_path, busy=2)
    engine.configs.delete(config)
    runtime.until((tmp_path / "c.forgotten").exists)
    assert (tmp_path / "c.tried").stat().st_size == 3


def test_what_is_clean_is_left_alone(engine: Engine, tmp_path: Path) -> None:
    config, stream = failed(engine, tmp_path)
    engine.streams.stop(stream, cleanup=True)
    engine.configs.delete(config)
    with engine._store.read() as connection:
        assert connection.exec_driver_sql("SELECT key FROM meta WHERE key LIKE 'abandoned:%'").all() == []
    assert (tmp_path / "c.tried").stat().st_size == 1
