"""What a worker is given, what it may be told while it runs, and what it reports."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from engine.config import Connection, StreamConfig
from engine.streams.lifecycle import Status


@dataclass(frozen=True, slots=True)
class StreamJob:
    """One execution of a stream config. `connections` hold the real secrets: never log a job."""

    stream_id: str
    config: StreamConfig
    connections: Mapping[str, Connection]  # by connection id
    resume: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "streamId": self.stream_id,
            "config": self.config.to_json(reveal=True),
            "connections": {key: value.to_json(reveal=True) for key, value in self.connections.items()},
            "resume": self.resume,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StreamJob:
        return cls(
            data["streamId"],
            StreamConfig.parse(data["config"]),
            {key: Connection.parse(value) for key, value in data["connections"].items()},
            data["resume"],
        )

    def __repr__(self) -> str:
        return f"StreamJob({self.stream_id}, resume={self.resume})"


Reason = Literal["pause", "stop", "time"]


class Interrupted(Exception):
    """Raised at a safe point after a pause or stop was asked for, or a limit was reached; everything
    committed stays."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass(slots=True)
class Control:
    """How the outside asks a running stream to end early. Thread-safe."""

    _event: threading.Event = field(default_factory=threading.Event)
    _reason: Reason = "stop"

    def request(self, reason: Reason) -> None:
        self._reason = reason
        self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise Interrupted when a pause or stop was asked for."""
        if self._event.is_set():
            raise Interrupted(self._reason)

    def wait(self, seconds: float) -> None:
        """Sleep, but raise Interrupted as soon as asked for."""
        if self._event.wait(seconds):
            raise Interrupted(self._reason)


class Report(Protocol):
    """Where a running stream tells what it does. Called from any thread; must not block on a slow reader."""

    def stage(self, number: int) -> None:
        """1 init, 2 structure, 3 data, 4 upload, 5 finished."""

    def plan(self, plan: Mapping[str, Any]) -> None:
        """The plan as `Plan.to_json` gives it, once it is decided."""

    def table(self, schema: str, table: str, **changes: Any) -> None:
        """Any of: status (READY RUNNING FINISHED FAILED), phase (structure data indexes verify done),
        estimatedRows, estimatedBytes, rows and bytes (absolute: what earlier attempts committed)."""

    def progress(self, schema: str, table: str, rows: int, bytes_: int) -> None:
        """More committed rows and bytes of a table (relative)."""

    def phase(self, name: str, seconds: float) -> None:
        """A finished phase: plan, structure, data, indexes, verify."""

    def log(
        self,
        level: Literal["debug", "info", "warning", "error"],
        message: str,
        category: str = "general",
        **fields: Any,
    ) -> None: ...

    def sql(self, entry: Mapping[str, Any]) -> None:
        """A statement run on either end: the contract's SQL entry without id and connectionId."""


@dataclass(slots=True)
class Outcome:
    """How a run ended. `error` is EngineError.as_dict() for FAILED."""

    status: Status
    rows: int = 0
    bytes: int = 0
    error: dict[str, Any] | None = None
    notes: list[dict[str, Any]] = field(default_factory=list)
