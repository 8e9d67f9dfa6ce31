"""Streams with real worker processes that die, hang, leak and are killed. Their work is
`tests/fake_runner.py`; the whole path with real servers is tested elsewhere."""

from __future__ import annotations

import inspect
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from engine import Code, Engine, EngineError, copying
from engine.streams import run
from tests import fake_runner as fake_runner_module
from tests.runtime import PASSWORD, config, engine, fake_runner, refused, steps, until

__all__ = ["engine", "fake_runner"]  # fixtures

ROOT = Path(__file__).resolve().parents[2]


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


def test_secrets_are_not_in_the_worker_s_command_line_or_environment(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: worker-secrets"""
    for name in ("DBSTREAMS_SECRET_KEY_FILE", "DBSTREAMS_API_KEY", "DBSTREAMS_SOURCE_PASSWORD"):
        monkeypatch.setenv(name, f"withheld {name}")
    stream = engine.configs.start(config(engine, tmp_path, hang=True))["id"]
    pid = until(lambda: engine.streams.stats(stream)["nodes"][0]["pid"])
    for file in ("cmdline", "environ"):
        content = Path(f"/proc/{pid}/{file}").read_bytes()
        assert content
        assert PASSWORD.encode() not in content
        assert b"withheld" not in content
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


def test_an_interrupted_copy_is_stopped_and_can_be_resumed(engine: Engine, tmp_path: Path) -> None:
    """slug: copy-interrupted"""
    config_id = config(engine, tmp_path, steps=40, seconds=0.1)
    seen: list[str] = []

    def interrupt(stats: dict[str, Any]) -> None:
        seen.append(stats["streamID"])
        if steps(tmp_path):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copying.run(engine, config_id, on_progress=interrupt)
    assert engine.streams.get(seen[0])["status"] == "STOPPED"
    engine.streams.resume(seen[0])
    result = engine.follow(seen[0], verify=True)
    assert (result.status, result.rows, result.stream_id) == ("FINISHED", 400, seen[0])
    assert result.verify is not None
    assert result.verify["equal"]
    assert {"data", "verify"} <= set(result.phases)


def test_a_copy_whose_sides_differ_raises(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        copying.run(engine, config(engine, tmp_path, differ=True), verify=True)
    assert caught.value.code is Code.VERIFY_MISMATCH
    assert caught.value.details["verify"]["equal"] is False


def test_a_store_that_refuses_for_a_while_loses_no_end(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: store-full"""
    stream = engine.configs.start(config(engine, tmp_path, steps=3, seconds=0.2))["id"]
    until(lambda: steps(tmp_path))
    refusals = []

    def refuse(*_: Any, **__: Any) -> None:
        refusals.append(1)
        raise EngineError(Code.STORE_UNAVAILABLE, "the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(engine._rows, "move", refuse)
        until(lambda: len(refusals) >= 2)
    assert engine.streams.wait(stream, 30)["status"] == "FINISHED"


@pytest.mark.parametrize(
    ("left", "found"),
    [("PAUSING", "PAUSED"), ("STOPPING", "STOPPED"), ("PAUSED", "PAUSED"), ("STARTING", "FINISHED")],
)
def test_what_a_dead_server_left_half_done(tmp_path: Path, left: str, found: str) -> None:
    """slug: server-restart"""
    with Engine(tmp_path / "data") as engine:
        stream = engine.configs.start(config(engine, tmp_path, steps=30, seconds=0.05))["id"]
        until(lambda: steps(tmp_path))
    with sqlite3.connect(tmp_path / "data" / "store.sqlite") as store:
        store.execute("UPDATE streams SET status = ?", (left,))
    store.close()
    with Engine(tmp_path / "data") as engine:
        assert engine.streams.wait(stream, 30)["status"] == found


def test_checkpoints_a_dead_server_left_behind_go_at_the_next_start(tmp_path: Path) -> None:
    """slug: stop-cleanup"""
    with Engine(tmp_path / "data") as engine:
        stream = engine.configs.start(config(engine, tmp_path))["id"]
        assert engine.streams.wait(stream, 30)["status"] == "FINISHED"
        engine._rows.update(stream, cleaned=False)
    (tmp_path / "c.forgotten").unlink()
    with Engine(tmp_path / "data") as engine:
        until((tmp_path / "c.forgotten").exists)
        until(lambda: engine._rows.get(stream).cleaned)


def test_streams_are_listed_newest_first(engine: Engine, tmp_path: Path) -> None:
    for name in ("alpha", "beta", "alpine"):
        engine.streams.wait(engine.configs.start(config(engine, tmp_path, name, steps=1))["id"], 30)
    page = engine.streams.list(limit=1, offset=1)
    assert ([item["name"] for item in page["items"]], page["total"], page["filtered"]) == (["beta"], 3, 3)
    found = engine.streams.list(search="ALP")
    assert ([item["name"] for item in found["items"]], found["filtered"]) == (["alpine", "alpha"], 2)
    assert found["items"][0]["rowsInserted"] == 10


@pytest.mark.parametrize(
    "call", ["get", "stats", "pause", "resume", "stop", "logs", "verify", "verify_result", "wait"]
)
def test_an_unknown_stream_is_said_to_be_unknown(engine: Engine, call: str) -> None:
    refused(Code.STREAM_NOT_FOUND, getattr(engine.streams, call), "stream_unknown")


def test_the_stand_in_has_the_shape_of_what_it_stands_in_for() -> None:
    for name in ("run_stream", "verify_stream", "cleanup_stream"):
        assert inspect.signature(getattr(run, name)) == inspect.signature(getattr(fake_runner_module, name))


@pytest.mark.parametrize(("busy", "gone"), [(2, True), (3, False)])
def test_checkpoints_are_tried_again_and_never_fail_a_finished_stream(
    engine: Engine, tmp_path: Path, busy: int, gone: bool
) -> None:
    """slug: stop-cleanup"""
    stream = engine.configs.start(config(engine, tmp_path, busy=busy))["id"]
    assert engine.streams.wait(stream, 60)["status"] == "FINISHED"
    assert (tmp_path / "c.forgotten").exists() is gone
    warnings = [entry["message"] for entry in engine.streams.logs(stream, level="warning")["items"]]
    assert warnings == ([] if gone else ["its checkpoints are still on the target: too many clients"])
