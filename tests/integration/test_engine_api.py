"""The façade with real worker processes. Their work is `tests/fake_runner.py`; the whole path with real
servers is tested in `test_copy.py` and in the fault tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import Code, Engine, EngineError
from engine.keys import KeyInfo
from engine.logs import QUEUE, LogFeed
from engine.streams.worker import RUNNER_VARIABLE

PASSWORD = "correct horse 'battery' staple"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _fake_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNNER_VARIABLE, "tests.fake_runner")
    monkeypatch.delenv("DBSTREAMS_SECRET_KEY", raising=False)
    monkeypatch.setattr("engine.supervisor.BACKOFF", (0.05, 0.05, 0.05))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path / "data") as engine:
        yield engine


def connection(name: str, type_: str = "mariadb", **changes: Any) -> dict[str, Any]:
    spec = {"host": "127.0.0.1", "port": 1, "username": "u", "password": PASSWORD}
    return {"name": name, "type": type_, "spec": {"database": spec | changes}}


def config(engine: Engine, tmp_path: Path, name: str = "c", **script: Any) -> str:
    script = {"ledger": str(tmp_path / f"{name}.ledger"), **script}
    ends = []
    for side, type_ in (("source", "mariadb"), ("target", "postgresql")):
        label = f"{name} {side}"
        known = [item for item in engine.connections.list()["items"] if item["name"] == label]
        ends.append(known[0]["id"] if known else engine.connections.create(connection(label, type_))["id"])
    body = {
        "name": name,
        "mode": "convert",
        "description": json.dumps(script),
        "reportingInterval": 1,
        "source": {"connections": [{"connectionId": ends[0], "database": "shop"}]},
        "target": {"id": ends[1], "spec": {"db": {"database": "shop"}}},
    }
    return str(engine.configs.create(body)["id"])


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


def steps(tmp_path: Path, name: str = "c") -> list[int]:
    ledger = tmp_path / f"{name}.ledger"
    return [int(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []


def refused(code: Code, call: Callable[..., Any], *args: Any, **kwargs: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        call(*args, **kwargs)
    assert caught.value.code is code
    return caught.value


# ---------------------------------------------------------------- connections


def test_a_connection_comes_back_masked_and_is_encrypted_on_disk(engine: Engine, tmp_path: Path) -> None:
    """slug: secrets-at-rest"""
    made = engine.connections.create(connection("shop"))
    found = engine.connections.get(made["id"])
    assert found["spec"]["database"]["password"] == "********"
    assert set(found) >= {"id", "name", "type", "created", "status", "ssl", "spec", "databasesInfo"}
    assert engine.connections.model(made["id"]).database.password.get_secret_value() == PASSWORD
    for file in (tmp_path / "data").iterdir():
        content = file.read_bytes()
        assert PASSWORD.encode() not in content
        assert b"127.0.0.1" not in content


def test_a_put_with_the_mask_keeps_the_secret(engine: Engine) -> None:
    """slug: masked-put"""
    made = engine.connections.create(connection("shop"))
    sent = engine.connections.get(made["id"])
    sent["spec"]["database"]["host"] = "db.example"
    assert engine.connections.update(made["id"], sent)["spec"]["database"]["host"] == "db.example"
    model = engine.connections.model(made["id"])
    assert (model.database.host, model.database.password.get_secret_value()) == ("db.example", PASSWORD)
    sent["spec"]["database"]["password"] = "new"
    engine.connections.update(made["id"], sent)
    assert engine.connections.model(made["id"]).database.password.get_secret_value() == "new"


def test_the_mask_without_a_stored_secret_is_refused(engine: Engine) -> None:
    """slug: masked-put"""
    error = refused(Code.VALIDATION_FAILED, engine.connections.create, connection("a", password="********"))
    assert error.details["fields"][0]["field"] == "spec.database.password"


def test_names_are_unique(engine: Engine) -> None:
    first = engine.connections.create(connection("shop"))
    refused(Code.NAME_TAKEN, engine.connections.create, connection("shop"))
    second = engine.connections.create(connection("other"))
    refused(Code.NAME_TAKEN, engine.connections.update, second["id"], connection("shop"))
    assert engine.connections.update(first["id"], connection("shop", port=2))["name"] == "shop"


def test_a_clone_has_the_secret_and_a_free_name(engine: Engine) -> None:
    made = engine.connections.create(connection("shop"))
    names = [engine.connections.clone(made["id"])["name"] for _ in range(3)]
    assert names == ["shop copy", "shop copy 2", "shop copy 3"]
    clone = engine.connections.list(search="copy 3")["items"][0]
    assert engine.connections.model(clone["id"]).database.password.get_secret_value() == PASSWORD


@pytest.mark.parametrize("type_", ["files", "s3", "duckdb", "snowflake"])
def test_types_that_are_not_there_yet_are_refused_by_name(engine: Engine, type_: str) -> None:
    specs = {
        "files": {"files": {"basePath": "/data"}},
        "s3": {"s3": {"region": "x", "credentials": {"accessKey": "a", "secretKey": "b"}}},
        "duckdb": {"duckdb": {"path": "/x.duckdb"}},
        "snowflake": {"snowflake": {}},
    }
    body = {"name": "a", "type": type_, "spec": specs[type_]}
    error = refused(Code.UNSUPPORTED_CONNECTION_TYPE, engine.connections.create, body)
    assert type_ in error.message
    refused(Code.UNSUPPORTED_CONNECTION_TYPE, engine.connections.test, body)


def test_search_and_paging(engine: Engine) -> None:
    for name in ("alpha", "beta", "gamma"):
        engine.connections.create(connection(name, host=f"{name}.example"))
    page = engine.connections.list(limit=1, offset=1)
    assert ([item["name"] for item in page["items"]], page["total"], page["filtered"]) == (["beta"], 3, 3)
    found = engine.connections.list(search="GAMMA.ex")
    assert ([item["name"] for item in found["items"]], found["filtered"]) == (["gamma"], 1)
    assert found["matchedPaths"] == ["gamma"]


def test_deleting_asks_first_when_a_config_names_it(engine: Engine, tmp_path: Path) -> None:
    """slug: delete-rules"""
    config_id = config(engine, tmp_path)
    id_ = engine.connections.list(search="c source")["items"][0]["id"]
    error = refused(Code.CONFIRMATION_REQUIRED, engine.connections.delete, id_)
    assert error.details["configIds"] == [config_id]
    engine.connections.delete(id_, confirmed=True)
    refused(Code.CONNECTION_NOT_FOUND, engine.connections.delete, id_)
    refused(Code.CONNECTION_NOT_FOUND, engine.configs.start, config_id)


def test_a_connection_of_a_stream_that_is_not_over_stays(engine: Engine, tmp_path: Path) -> None:
    """slug: delete-rules"""
    stream = engine.configs.start(config(engine, tmp_path, hang=True))["id"]
    id_ = engine.connections.list(search="c source")["items"][0]["id"]
    error = refused(Code.CONNECTION_IN_USE, engine.connections.delete, id_, confirmed=True)
    assert error.details["streamId"] == stream
    refused(Code.CONNECTION_IN_USE, engine.connections.delete_all)
    engine.streams.stop(stream, force=True)
    assert engine.connections.delete_all() == 2


def test_rotation_reencrypts_and_a_wrong_key_names_the_connection(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: secret-rotation"""
    made = engine.connections.create(connection("shop"))
    key = tmp_path / "data.key"
    before = key.read_text()
    assert engine.rotate_secrets() == 1
    assert key.read_text() != before
    assert engine.connections.model(made["id"]).database.password.get_secret_value() == PASSWORD
    engine.close()
    key.write_text(before)
    with Engine(tmp_path / "data") as reopened:
        error = refused(Code.SECRET_UNREADABLE, reopened.connections.get, made["id"])
        assert "shop" in error.message
        assert error.details["connectionId"] == made["id"]
        assert reopened.connections.list()["items"][0]["status"] == "unreadable"
        reopened.connections.delete(made["id"])
    key.unlink()
    Engine(tmp_path / "data").close()  # nothing is encrypted any more, so a new key may be made


# ---------------------------------------------------------------- configs


def test_configs_are_stored_as_sent_with_defaults(engine: Engine, tmp_path: Path) -> None:
    config_id = config(engine, tmp_path)
    found = engine.configs.get(config_id)
    assert found["target"]["spec"]["db"]["schemaPolicy"] == "create_missing_only"
    found["name"] = "renamed"
    assert engine.configs.update(config_id, found)["name"] == "renamed"
    clone = engine.configs.clone(config_id)
    assert clone["name"] == "renamed copy"
    refused(Code.NAME_TAKEN, engine.configs.update, clone["id"], {**found, "name": "renamed"})
    assert engine.configs.list(search="COPY")["filtered"] == 1
    assert engine.configs.delete_all() == 2
    refused(Code.STREAM_CONFIG_NOT_FOUND, engine.configs.get, config_id)


@pytest.mark.parametrize(
    ("source", "target", "mode", "code"),
    [
        ("postgresql", "postgresql", "convert", Code.UNSUPPORTED_ROUTE),
        ("postgresql", "mysql", "convert", Code.UNSUPPORTED_ROUTE),
        ("mysql", "postgresql", "cdc", Code.UNSUPPORTED_ROUTE),
        ("mysql", None, "convert", Code.CONNECTION_NOT_FOUND),
    ],
)
def test_impossible_pairs_are_refused(
    engine: Engine, source: str, target: str | None, mode: str, code: Code
) -> None:
    """slug: routes"""
    one = engine.connections.create(connection("one", source))["id"]
    two = engine.connections.create(connection("two", target))["id"] if target else "conn_unknown"
    body = {
        "name": "c",
        "mode": mode,
        "source": {"connections": [{"connectionId": one, "database": "a"}]},
        "target": {"id": two, "spec": {"db": {"database": "b"}}},
    }
    refused(code, engine.configs.create, body)


# ---------------------------------------------------------------- streams


def test_a_stream_from_start_to_history(engine: Engine, tmp_path: Path) -> None:
    config_id = config(engine, tmp_path, steps=3, log=2)
    stream = engine.configs.start(config_id)["id"]
    assert engine.streams.wait(stream, 30)["status"] == "FINISHED"
    stats = engine.streams.stats(config_id)
    assert (stats["streamID"], stats["target"]["counter"], stats["target"]["dataSize"]) == (stream, 30, 300)
    assert (stats["stage"], stats["tables"][0]["percentage"], stats["phases"]) == (5, 100.0, {"data": 0.5})
    assert stats["peakRssMb"] > 5
    assert stats["notes"] == [{"slug": "noted", "severity": "info"}]
    state = engine.streams.get(stream)
    assert state["plan"] == {"tables": [{"name": "t"}]}
    run = engine.configs.history(config_id)["items"][0]
    assert (run["streamId"], run["status"], run["rowsInserted"], run["dataSize"]) == (
        stream, "FINISHED", 30, 300,
    )  # fmt: skip
    messages = [entry["message"] for entry in engine.streams.logs(stream)["items"]]
    assert "entry 0" in messages
    assert "entry 1" in messages
    assert (tmp_path / "c.forgotten").exists()  # the checkpoints went, after the store said FINISHED
    refused(Code.RUN_NOT_FOUND, engine.configs.delete_run, config_id, "run_unknown")
    engine.configs.delete_run(config_id, run["id"])
    refused(Code.STREAM_NOT_FOUND, engine.streams.get, stream)


def test_two_starts_at_once_give_one_stream(engine: Engine, tmp_path: Path) -> None:
    """slug: one-stream-a-config"""
    config_id = config(engine, tmp_path, hang=True)
    outcomes: list[str] = []

    def start() -> None:
        try:
            outcomes.append(engine.configs.start(config_id)["id"])
        except EngineError as error:
            outcomes.append(error.code.value)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("STREAM_ALREADY_RUNNING") == 5
    (stream,) = [outcome for outcome in outcomes if outcome.startswith("stream_")]
    refused(Code.STREAM_ALREADY_RUNNING, engine.configs.delete, config_id)
    engine.streams.stop(stream, force=True)


def test_pause_resume_stop_resume(engine: Engine, tmp_path: Path) -> None:
    """slug: stream-states"""
    config_id = config(engine, tmp_path, steps=8, seconds=0.1)
    stream = engine.configs.start(config_id)["id"]
    refused(Code.INVALID_STREAM_STATE, engine.streams.resume, stream)
    until(lambda: steps(tmp_path))
    engine.streams.pause(stream)
    assert engine.streams.wait(stream, 30)["status"] == "PAUSED"
    refused(Code.STREAM_ALREADY_RUNNING, engine.configs.start, config_id)
    refused(Code.INVALID_STREAM_STATE, engine.streams.pause, stream)
    held = steps(tmp_path)
    engine.streams.resume(stream)
    until(lambda: len(steps(tmp_path)) > len(held))
    engine.streams.stop(stream)
    assert engine.streams.wait(stream, 30)["status"] == "STOPPED"
    engine.streams.resume(stream)
    assert engine.streams.wait(stream, 30)["status"] == "FINISHED"
    assert steps(tmp_path) == list(range(8))
    assert engine.streams.stats(stream)["target"]["counter"] == 80
    refused(Code.INVALID_STREAM_STATE, engine.streams.resume, stream)
    assert engine.configs.history(config_id)["total"] == 1


def test_a_pause_before_the_worker_is_up_holds(engine: Engine, tmp_path: Path) -> None:
    stream = engine.configs.start(config(engine, tmp_path, steps=50, seconds=0.1))["id"]
    engine.streams.pause(stream)
    assert engine.streams.wait(stream, 30)["status"] == "PAUSED"


def test_force_stop_kills_a_worker_that_does_not_listen(engine: Engine, tmp_path: Path) -> None:
    """slug: force-stop"""
    stream = engine.configs.start(config(engine, tmp_path, hang=True))["id"]
    pid = until(lambda: engine.streams.stats(stream)["nodes"][0]["pid"])
    engine.streams.stop(stream)
    assert engine.streams.get(stream)["status"] == "STOPPING"
    assert engine.streams.stop(stream, force=True)["status"] == "STOPPED"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_that_died_is_restarted_and_nothing_is_done_twice(engine: Engine, tmp_path: Path) -> None:
    """slug: worker-restart"""
    stream = engine.configs.start(config(engine, tmp_path, steps=4, die_at=2))["id"]
    assert engine.streams.wait(stream, 30)["status"] == "FINISHED"
    assert steps(tmp_path) == [0, 1, 2, 3]
    assert any("signal 9" in entry["message"] for entry in engine.streams.logs(stream)["items"])


def test_a_worker_that_keeps_dying_fails_the_stream(engine: Engine, tmp_path: Path) -> None:
    """slug: worker-restart"""
    stream = engine.configs.start(config(engine, tmp_path, steps=4, die_at=2, always=True))["id"]
    state = engine.streams.wait(stream, 60)
    assert (state["status"], state["error"]["code"]) == ("FAILED", "WORKER_DIED")
    assert state["error"]["details"]["restarts"] == 2  # the third attempt committed nothing either
    assert "last words" in state["error"]["details"]["output"]
    assert PASSWORD not in json.dumps(state)
    assert PASSWORD not in json.dumps(engine.streams.logs(stream, limit=1000))


def test_no_restart_when_none_is_wanted(tmp_path: Path) -> None:
    with Engine(tmp_path / "data", worker_restarts=0) as engine:
        stream = engine.configs.start(config(engine, tmp_path, die_at=1))["id"]
        assert engine.streams.wait(stream, 30)["status"] == "FAILED"
        engine.streams.resume(stream)
        assert engine.streams.wait(stream, 30)["status"] == "FINISHED"
        assert steps(tmp_path) == [0, 1, 2]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ({"error": True}, "VALUE_NOT_REPRESENTABLE"),
        ({"leak": True}, "INTERNAL_ERROR"),
        ({"panic": True}, "INTERNAL_ERROR"),
    ],
)
def test_what_a_worker_raises_becomes_the_stream_s_error(
    engine: Engine, tmp_path: Path, script: dict[str, Any], code: str
) -> None:
    """slug: no-secrets-in-errors"""
    config_id = config(engine, tmp_path, **script)
    stream = engine.configs.start(config_id)["id"]
    state = engine.streams.wait(stream, 30)
    assert (state["status"], state["error"]["code"]) == ("FAILED", code)
    assert engine.streams.stats(stream)["error"]["code"] == code
    assert engine.configs.history(config_id)["items"][0]["errorMessage"] == state["error"]["error"]
    if script.get("error"):
        assert state["error"]["details"] == {"table": "t", "column": "d", "key": {"id": 7}}
    everything = json.dumps([state, engine.streams.logs(stream, limit=1000)])
    assert PASSWORD not in everything
    assert "correct horse" not in everything


def test_secrets_are_not_in_the_worker_s_command_line_or_environment(engine: Engine, tmp_path: Path) -> None:
    """slug: worker-secrets"""
    stream = engine.configs.start(config(engine, tmp_path, hang=True))["id"]
    pid = until(lambda: engine.streams.stats(stream)["nodes"][0]["pid"])
    for file in ("cmdline", "environ"):
        content = Path(f"/proc/{pid}/{file}").read_bytes()
        assert content
        assert PASSWORD.encode() not in content
    engine.streams.stop(stream, force=True)


def test_sigterm_to_a_worker_stops_the_stream(engine: Engine, tmp_path: Path) -> None:
    stream = engine.configs.start(config(engine, tmp_path, steps=500, seconds=0.1))["id"]
    pid = until(lambda: engine.streams.stats(stream)["nodes"][0]["pid"])
    until(lambda: steps(tmp_path))
    os.kill(pid, signal.SIGTERM)
    assert engine.streams.wait(stream, 30)["status"] == "STOPPED"


def test_cleanup_drops_the_checkpoints_and_forbids_to_resume(engine: Engine, tmp_path: Path) -> None:
    """slug: stop-cleanup"""
    stream = engine.configs.start(config(engine, tmp_path, steps=500, seconds=0.1))["id"]
    until(lambda: steps(tmp_path))
    assert engine.streams.stop(stream)["status"] in ("STOPPING", "STOPPED")
    engine.streams.wait(stream, 30)
    assert not (tmp_path / "c.forgotten").exists()
    assert engine.streams.stop(stream, cleanup=True)["status"] == "STOPPED"
    assert (tmp_path / "c.forgotten").exists()
    refused(Code.INVALID_STREAM_STATE, engine.streams.resume, stream)


def test_verify_runs_as_a_job_and_its_result_is_kept(tmp_path: Path) -> None:
    with Engine(tmp_path / "data") as engine:
        stream = engine.configs.start(config(engine, tmp_path, differ=True, seconds=0.3))["id"]
        refused(Code.INVALID_STREAM_STATE, engine.streams.verify, stream)
        engine.streams.wait(stream, 30)
        refused(Code.RUN_NOT_FOUND, engine.streams.verify_result, stream)
        job = engine.streams.verify(stream)
        assert (job["status"], engine.streams.verify(stream)["id"]) == ("RUNNING", job["id"])
        done = engine.streams.wait_verify(stream, 30)
        assert (done["id"], done["status"], done["result"]["equal"]) == (job["id"], "FINISHED", False)
    with Engine(tmp_path / "data") as engine:
        assert engine.streams.verify_result(stream) == done


# ---------------------------------------------------------------- restarts of the server


def test_one_owner_a_directory(engine: Engine, tmp_path: Path) -> None:
    """slug: one-owner"""
    error = refused(Code.STORE_UNAVAILABLE, Engine, tmp_path / "data")
    assert error.details["pid"] == os.getpid()
    with Engine(tmp_path / "data", supervise=False) as beside:
        made = beside.keys.create("from the command line")
        assert engine.keys.authenticate(made["key"]).name == "from the command line"
        refused(Code.STORE_UNAVAILABLE, beside.configs.start, config(beside, tmp_path))


def test_a_closed_engine_leaves_streams_to_be_resumed(tmp_path: Path) -> None:
    """slug: server-restart"""
    with Engine(tmp_path / "data") as engine:
        running = engine.configs.start(config(engine, tmp_path, "a", steps=12, seconds=0.2))["id"]
        paused = engine.configs.start(config(engine, tmp_path, "b", steps=500, seconds=0.1))["id"]
        until(lambda: steps(tmp_path, "a") and steps(tmp_path, "b"))
        engine.streams.pause(paused)
        engine.streams.wait(paused, 30)
    held = len(steps(tmp_path, "a"))
    assert 0 < held < 12
    with Engine(tmp_path / "data") as engine:
        assert engine.resumed == [running]
        assert engine.streams.get(paused)["status"] == "PAUSED"
        assert engine.streams.wait(running, 30)["status"] == "FINISHED"
        assert steps(tmp_path, "a") == list(range(12))
        assert engine.streams.stats(running)["target"]["counter"] == 120


def test_a_killed_server_s_workers_leave_and_its_streams_go_on(tmp_path: Path) -> None:
    """slug: server-restart"""
    with Engine(tmp_path / "data") as engine:
        config_id = config(engine, tmp_path, steps=40, seconds=0.1)
    program = (
        "import sys, time\nfrom engine import Engine\n"
        "engine = Engine(sys.argv[1])\nstream = engine.configs.start(sys.argv[2])['id']\n"
        "while not (pid := engine.streams.stats(stream)['nodes'][0]['pid']): time.sleep(0.02)\n"
        "print(stream, pid, flush=True)\ntime.sleep(600)\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "data"), config_id],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    with server.stdout:
        stream, pid = server.stdout.readline().split()
    until(lambda: steps(tmp_path))
    server.kill()
    server.wait()
    until(lambda: not _is_running(int(pid)))
    assert steps(tmp_path) == list(range(len(steps(tmp_path))))
    with Engine(tmp_path / "data") as engine:
        assert engine.resumed == [stream]
        assert engine.streams.wait(stream, 30)["status"] == "FINISHED"
        assert steps(tmp_path) == list(range(40))


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rsplit(")", 1)[1].split()[0] != "Z"  # an orphan nobody waits for is a zombie in a container


# ---------------------------------------------------------------- keys and logs


def test_a_stream_whose_key_lapses_is_paused_with_the_reason(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: key-lapse"""
    monkeypatch.setattr("engine.supervisor.KEY_CHECK_SECONDS", 0.1)
    made = engine.keys.create("trial", "trial", byte_limit=300)
    key: KeyInfo = engine.keys.authenticate(made["key"])
    stream = engine.configs.start(config(engine, tmp_path, steps=500, seconds=0.1), key)["id"]
    state = engine.streams.wait(stream, 60)
    assert state["status"] == "PAUSED"
    assert "300 bytes" in state["reason"]
    assert engine.user(key)["subscriptionStatus"] == "expired"
    refused(Code.SUBSCRIPTION_REQUIRED, engine.keys.require_subscription, key)
    used = engine.keys.get(made["id"]).bytes_used
    assert used == engine.streams.stats(stream)["target"]["dataSize"]
    engine.streams.resume(stream)  # from the same machine: needs no key, and is not tied to the lapsed one
    until(lambda: len(steps(tmp_path)) * 100 > used + 500)
    assert engine.streams.get(stream)["status"] == "RUNNING"
    engine.streams.stop(stream, force=True)


@pytest.mark.parametrize(
    ("mode", "entries", "longest", "with_params"),
    [("off", 0, 0, False), ("minimal", 2, 2000, False), ("verbose", 2, 3012, True)],
)
def test_sql_capture(
    engine: Engine, tmp_path: Path, mode: str, entries: int, longest: int, with_params: bool
) -> None:
    """slug: sql-capture"""
    assert engine.sql_logging.get() == {"sqlCaptureMode": "off", "forwardSQLLogs": False}
    engine.sql_logging.set({"sqlCaptureMode": mode, "forwardSQLLogs": True})
    with engine.logs.subscribe() as feed:
        stream = engine.configs.start(config(engine, tmp_path, log=2))["id"]
        engine.streams.wait(stream, 30)
        live = [entry["data"] for entry in feed.drain() if entry["event"] == "sql"]
    kept = [entry for entry in engine.streams.logs(stream)["items"] if entry["category"] == "sql"]
    assert len(live) == len(kept) == entries
    assert max((len(entry["query"]) for entry in live), default=0) == longest
    assert all(("params" in entry) is with_params for entry in live + kept)
    refused(Code.VALIDATION_FAILED, engine.sql_logging.set, {"sqlCaptureMode": "all"})
    refused(Code.VALIDATION_FAILED, engine.sql_logging.set, {"other": 1})


def test_logs_are_filtered_by_level_and_bounded(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: stream-log-bounded"""
    monkeypatch.setattr(engine._feed.kept, "_per_stream", 50)
    stream = engine.configs.start(config(engine, tmp_path, log=300))["id"]
    engine.streams.wait(stream, 30)
    items = engine.streams.logs(stream, limit=1000)["items"]
    assert len(items) == 50
    assert items[-2]["message"] == "entry 299"
    assert next(entry["message"] for entry in engine.streams.logs(stream, limit=2)["items"]) == "entry 299"
    assert engine.streams.logs(stream, level="error")["items"] == []
    refused(Code.VALIDATION_FAILED, engine.streams.logs, stream, level="loud")


def test_the_live_feed_resumes_and_never_waits_for_a_slow_reader() -> None:
    """slug: log-feed"""
    feed = LogFeed(capacity=3000)
    first = feed.publish("log", {"message": "0"})
    slow = feed.subscribe()
    for number in range(1, QUEUE + 500):
        feed.publish("log", {"message": str(number)})
    got = slow.drain()
    assert got[0]["data"]["dropped"] == 499
    assert len(got) == QUEUE + 1
    assert got[-1]["data"]["message"] == str(QUEUE + 499)
    again = feed.subscribe(str(first["id"]))
    assert [entry["data"]["message"] for entry in again.drain()[:2]] != []
    late = feed.subscribe(got[-3]["id"])
    assert [entry["data"]["message"] for entry in late.drain()] == [str(QUEUE + 498), str(QUEUE + 499)]
    assert feed.subscribe("not a number").get(0) is None
    feed.close()
    assert slow.get() is None


def test_what_the_system_says_of_itself(engine: Engine, tmp_path: Path) -> None:
    assert engine.defaults()["installId"] == engine.install_id
    status = {item["name"]: item["status"] for item in engine.services()["services"]}
    assert status == {"api": "passing", "store": "passing", "workers": "passing", "duckdb": "passing"}
    config(engine, tmp_path)
    both = engine.user_configs()
    assert (len(both["connections"]), len(both["streamConfigs"])) == (2, 1)
    engine.close()
    with Engine(tmp_path / "data") as again:
        assert again.install_id == engine.install_id
