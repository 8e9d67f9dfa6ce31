"""A stream that has a worker, or waits for its next one; and how its numbers get into the store."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine import clock
from engine.config import Mode, StreamConfig
from engine.errors import Code, EngineError
from engine.keys import Keys
from engine.stream_rows import StreamRows
from engine.streams.dispatch import Message, Worker
from engine.streams.lifecycle import Status
from engine.streams.progress import Progress


@dataclass(slots=True)
class Running:
    """Guarded by the supervisor's lock, but for `progress`, which guards itself."""

    stream_id: str
    config_id: str
    key_id: str | None
    config: StreamConfig
    progress: Progress
    worker: Worker | None = None
    wish: Literal["pause", "stop", "kill", "leave"] | None = None  # what was asked of the worker
    result: Message | None = None
    concluded: bool = False  # the store has its end; the worker only drops the checkpoints
    restarts: int = 0
    rows_at_spawn: int = 0
    spawned: float = 0.0
    timer: threading.Timer | None = None  # of the next restart
    saved: float = 0.0
    charged_bytes: int = 0
    charged_elapsed: float = 0.0

    @property
    def progressed(self) -> bool:
        """Whether the present attempt has committed rows."""
        return self.progress.rows > self.rows_at_spawn

    def save_due(self, moment: float) -> bool:
        return (
            self.worker is not None
            and not self.concluded
            and moment - self.saved >= self.config.reporting_interval
        )


class Recorder:
    """Writes a running stream's statistics, and charges its key for what it used."""

    def __init__(self, rows: StreamRows, keys: Keys) -> None:
        self._rows = rows
        self._keys = keys

    def save(
        self, run: Running, status: Status = Status.RUNNING, error: Mapping[str, Any] | None = None
    ) -> None:
        self._write({run.stream_id: _values(run, status, error)}, [run])

    def save_all(self, runs: Sequence[Running]) -> None:
        """Many at once, in one transaction: a commit waits for the disk."""
        if runs:
            self._write({run.stream_id: _values(run, Status.RUNNING, None) for run in runs}, runs)

    def _write(self, values: Mapping[str, Mapping[str, Any]], runs: Sequence[Running]) -> None:
        self._rows.update_all(values)
        for run in runs:
            run.saved = clock.monotonic()
            if run.key_id is not None:
                saved = values[run.stream_id]
                self._charge(run, run.key_id, saved["bytes"], saved["active_seconds"])

    def _charge(self, run: Running, key_id: str, size: int, elapsed: float) -> None:
        seconds = elapsed - run.charged_elapsed if run.config.mode is Mode.CDC else 0.0
        moved = max(0, size - run.charged_bytes) if run.config.mode is Mode.CONVERT else 0
        if moved or seconds > 0:
            self._keys.charge(key_id, moved, seconds)
        run.charged_bytes, run.charged_elapsed = max(size, run.charged_bytes), elapsed


def _values(run: Running, status: Status, error: Mapping[str, Any] | None) -> dict[str, Any]:
    progress = run.progress
    return {
        "stats": progress.stats(run.stream_id, run.config_id, status, error),
        "stage": progress.stage,
        "rows": progress.rows,
        "bytes": progress.bytes,
        "rows_skipped": progress.failed_events,
        "active_seconds": progress.elapsed,
    }


def not_supervising() -> EngineError:
    return EngineError(
        Code.STORE_UNAVAILABLE,
        "this engine was opened without supervision and does not run streams; use supervise=True",
    )
