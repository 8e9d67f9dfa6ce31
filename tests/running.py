"""Running a stream inside the test process: the job from two servers, and a report that remembers."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine import ids
from engine.config import Connection, StreamConfig
from engine.streams.job import Control, Outcome, StreamJob
from engine.streams.run import cleanup_stream, run_stream, verify_stream


def connection(server: MysqlEndpoint | PostgresEndpoint, **changes: Any) -> Connection:
    """The saved form of a connection to that server; `changes` replace fields of the flat form."""
    body = {
        "name": f"{server.kind} {server.port}",
        "type": server.kind,
        "host": server.host,
        "port": server.port,
        "username": server.user,
        "password": server.password,
        **changes,
    }
    return Connection.parse(body)


def job(
    source: MysqlEndpoint,
    source_database: str,
    target: PostgresEndpoint,
    target_database: str,
    *,
    tables: list[str] | None = None,
    options: Mapping[str, Any] | None = None,
    stream_id: str | None = None,
    resume: bool = False,
    **db: Any,
) -> StreamJob:
    """A convert job; `db` are fields of `target.spec.db` by their wire names."""
    config = StreamConfig.parse(
        {
            "name": "test",
            "mode": "convert",
            "source": {
                "connections": [
                    {
                        "connectionId": "source",
                        "database": source_database,
                        "tables": [{"name": name} for name in tables or []],
                    }
                ],
                "options": {"workers": 2, **(options or {})},
            },
            "target": {
                "id": "target",
                "spec": {"db": {"database": target_database, "schema": "public", **db}},
            },
        }
    )
    ends = {"source": connection(source), "target": connection(target)}
    return StreamJob(stream_id or ids.new("stream"), config, ends, resume)


class Recorder:
    """A `Report` that keeps what it is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.stages: list[int] = []
        self.plans: list[dict[str, Any]] = []
        self.tables: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, int] = {}
        self.phases: dict[str, float] = {}
        self.logs: list[tuple[str, str, dict[str, Any]]] = []
        self.statements: list[dict[str, Any]] = []

    def stage(self, number: int) -> None:
        self.stages.append(number)

    def plan(self, plan: Mapping[str, Any]) -> None:
        self.plans.append(dict(plan))

    def table(self, schema: str, table: str, **changes: Any) -> None:
        with self._lock:
            self.tables.setdefault(table, {}).update(changes)

    def progress(self, schema: str, table: str, rows: int, bytes_: int) -> None:
        with self._lock:
            self.rows[table] = self.rows.get(table, 0) + rows

    def phase(self, name: str, seconds: float) -> None:
        self.phases[name] = seconds

    def log(self, level: str, message: str, category: str = "general", **fields: Any) -> None:
        with self._lock:
            self.logs.append((level, message, fields))

    def sql(self, entry: Mapping[str, Any]) -> None:
        with self._lock:
            self.statements.append(dict(entry))


def run(stream: StreamJob, control: Control | None = None) -> tuple[Outcome, Recorder]:
    report = Recorder()
    return run_stream(stream, control or Control(), report), report


def finish(stream: StreamJob) -> tuple[Outcome, Recorder]:
    """Run to the end; the failure, if any, is the assertion's message."""
    outcome, report = run(stream)
    assert outcome.status == "FINISHED", outcome.error
    return outcome, report


def verify(stream: StreamJob) -> dict[str, Any]:
    return verify_stream(stream, Control(), Recorder())


def cleanup(stream: StreamJob) -> None:
    """What the supervisor does once its store says FINISHED."""
    cleanup_stream(stream)
