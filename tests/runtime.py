"""An engine whose workers run `tests/fake_runner.py`, and small steps the tests of the façade share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import Code, Engine, EngineError
from engine.streams.worker import RUNNER_VARIABLE

PASSWORD = "correct horse 'battery' staple"


@pytest.fixture(autouse=True)
def fake_runner(monkeypatch: pytest.MonkeyPatch) -> None:
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
