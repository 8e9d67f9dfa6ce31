"""What is known of a stream while it runs and after: counters, smoothed rates, stages, and its stats JSON."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine import clock
from engine.streams.lifecycle import Status

WINDOW = 20.0  # seconds over which a rate is smoothed
SAMPLE = 0.5  # seconds between two samples at least

STAGE_NAMES = {1: "init", 2: "structure", 3: "data", 4: "upload", 5: "finished"}


@dataclass(slots=True)
class Rate:
    """Units a second over the last WINDOW seconds."""

    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, moment: float, total: int) -> None:
        samples = self._samples
        if samples and total < samples[-1][1]:
            samples.clear()  # a new attempt counts from what was committed
        if len(samples) >= 2 and moment - samples[-2][0] < SAMPLE:
            samples[-1] = (moment, total)
        else:
            samples.append((moment, total))
        while len(samples) > 2 and samples[1][0] <= moment - WINDOW:
            samples.popleft()

    def value(self, moment: float) -> float:
        """0 before two samples exist; falls when nothing more arrives."""
        if len(self._samples) < 2:
            return 0.0
        started, first = self._samples[0]
        seconds = moment - started
        return (self._samples[-1][1] - first) / seconds if seconds > 0 else 0.0


@dataclass(slots=True)
class TableProgress:
    schema: str
    table: str
    status: str = "READY"
    phase: str = ""
    rows: int = 0
    bytes: int = 0
    estimated_rows: int | None = None
    estimated_bytes: int | None = None
    elapsed: float = 0.0
    since: float | None = None  # monotonic, while running
    rate: Rate = field(default_factory=Rate)
    extra: dict[str, Any] = field(default_factory=dict)

    def update(self, changes: Mapping[str, Any], moment: float) -> None:
        for name, value in changes.items():
            match name:
                case "schema" | "table":
                    pass
                case "status":
                    self._turn(str(value), moment)
                case "phase":
                    self.phase = str(value)
                case "rows":
                    self.rows = int(value)
                    self.rate.add(moment, self.rows)
                case "bytes":
                    self.bytes = int(value)
                case "estimatedRows":
                    self.estimated_rows = None if value is None else int(value)
                case "estimatedBytes":
                    self.estimated_bytes = None if value is None else int(value)
                case _:
                    self.extra[name] = value

    def _turn(self, status: str, moment: float) -> None:
        if status == "RUNNING" and self.since is None:
            self.since = moment
            self.rate.add(moment, self.rows)
        elif status != "RUNNING" and self.since is not None:
            self.elapsed += moment - self.since
            self.since = None
        self.status = status

    def to_json(self, moment: float) -> dict[str, Any]:
        running = self.since is not None
        elapsed = self.elapsed + (moment - self.since if self.since is not None else 0.0)
        average = self.rows / elapsed if elapsed > 0 else 0.0
        return {
            "table": self.table,
            "schema": self.schema,
            "status": self.status,
            "events": self.rows,
            "size": self.bytes,
            "rate": round(self.rate.value(moment) if running else average, 1),
            "elapsed": round(elapsed, 3),
            "estimatedRows": self.estimated_rows,
            "estimatedBytes": self.estimated_bytes,
            "percentage": self.percentage(),
            "phase": self.phase,
            **self.extra,
        }

    def percentage(self) -> float | None:
        """Of the rows, by the estimate; 100 only when the table is finished; None without an estimate."""
        if self.status == "FINISHED":
            return 100.0
        if self.estimated_rows is None:
            return None
        if self.estimated_rows <= 0:
            return 0.0
        return min(99.9, round(100.0 * self.rows / self.estimated_rows, 1))


class Progress:
    """One stream's counters. Fed by the worker's messages, read by anyone; thread-safe."""

    def __init__(self, source_type: str, target_type: str, stored: Mapping[str, Any] | None = None) -> None:
        self._lock = threading.Lock()
        self._types = (source_type, target_type)
        self._tables: dict[tuple[str, str], TableProgress] = {}
        self._rate = Rate()
        self._elapsed = 0.0
        self._since: float | None = None
        self.stage = 0
        self.phases: dict[str, float] = {}
        self.peak_rss = 0
        self.failed_events = 0
        self.pid: int | None = None
        self.notes: list[dict[str, Any]] = []
        if stored:
            self._restore(stored)

    def begin(self) -> None:
        """An attempt starts: the clock of the stream runs."""
        with self._lock:
            if self._since is None:
                self._since = clock.monotonic()

    def end(self) -> None:
        """The attempt is over: tables that were running are not any more."""
        with self._lock:
            moment = clock.monotonic()
            if self._since is not None:
                self._elapsed += moment - self._since
                self._since = None
            self.pid = None
            for table in self._tables.values():
                if table.status == "RUNNING":
                    table.update({"status": "READY"}, moment)

    def complete(self) -> None:
        """The stream is FINISHED, so every table is: also when the attempt that found out had nothing left to
        do and the reports of the one before it were lost with their server."""
        with self._lock:
            self.stage = max(STAGE_NAMES)
            for table in self._tables.values():
                table.update({"status": "FINISHED", "phase": "done"}, clock.monotonic())

    def feed(self, message: Mapping[str, Any]) -> None:
        """Take over a worker's message: stage, tables, phase, usage, started, result."""
        moment = clock.monotonic()
        with self._lock:
            match message["t"]:
                case "started":
                    self.pid = message["pid"]
                case "stage":
                    self.stage = message["stage"]
                case "phase":
                    name = message["name"]
                    self.phases[name] = self.phases.get(name, 0.0) + message["seconds"]
                case "tables":
                    for changes in message["tables"]:
                        key = (changes["schema"], changes["table"])
                        if key not in self._tables:
                            self._tables[key] = TableProgress(*key)
                        self._tables[key].update(changes, moment)
                    self._rate.add(moment, sum(table.rows for table in self._tables.values()))
                case "usage" | "result":
                    self.peak_rss = max(self.peak_rss, message.get("peakRssBytes", 0))
                    self.notes = message.get("notes") or self.notes

    @property
    def rows(self) -> int:
        with self._lock:
            return sum(table.rows for table in self._tables.values())

    @property
    def bytes(self) -> int:
        with self._lock:
            return sum(table.bytes for table in self._tables.values())

    @property
    def elapsed(self) -> float:
        """Seconds a worker was at work, over all attempts."""
        with self._lock:
            return self._elapsed + (clock.monotonic() - self._since if self._since is not None else 0.0)

    def stats(
        self, stream_id: str, config_id: str, status: Status, error: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The contract's stats. Counts are committed rows, so both ends show the same; sizes are bytes as
        loaded; elapsed in seconds; rates in rows a second."""
        elapsed = self.elapsed
        with self._lock:
            moment = clock.monotonic()
            running = self._since is not None
            tables = [table.to_json(moment) for table in self._tables.values()]
            rows = sum(table.rows for table in self._tables.values())
            size = sum(table.bytes for table in self._tables.values())
            estimates = [table.estimated_rows for table in self._tables.values()]
            end = {
                "status": status.value,
                "counter": rows,
                "failedEvents": self.failed_events,
                "dataSize": size,
                "avgRate": round(rows / elapsed, 1) if elapsed > 0 else 0.0,
                "rate": round(self._rate.value(moment), 1) if running else 0.0,
                "elapsed": round(elapsed, 3),
                "activeNodes": 1 if running else 0,
            }
            result: dict[str, Any] = {
                "configID": config_id,
                "streamID": stream_id,
                "status": status.value,
                "source": {"type": self._types[0], **end},
                "target": {"type": self._types[1], **end},
                "nodes": [
                    {
                        "id": "local",
                        "status": status.value,
                        "pid": self.pid,
                        "peakRssMb": round(self.peak_rss / 2**20, 1),
                        **{name: end[name] for name in ("counter", "dataSize", "avgRate", "elapsed")},
                    }
                ],
                "tables": tables,
                "estimatedRows": sum(filter(None, estimates))
                if any(e is not None for e in estimates)
                else None,
                "stage": self.stage,
                "stageName": STAGE_NAMES.get(self.stage, ""),
                "phases": {name: round(seconds, 3) for name, seconds in self.phases.items()},
                "peakRssMb": round(self.peak_rss / 2**20, 1),
                "notes": self.notes,
            }
        if error:
            result["error"] = dict(error)
        return result

    def _restore(self, stored: Mapping[str, Any]) -> None:
        self._elapsed = float(stored["source"]["elapsed"])
        self.stage = stored["stage"]
        self.phases = dict(stored["phases"])
        self.peak_rss = int(stored["peakRssMb"] * 2**20)
        self.notes = list(stored["notes"])
        known = set(TableProgress("", "").to_json(0.0))
        for item in stored["tables"]:
            self._tables[item["schema"], item["table"]] = TableProgress(
                item["schema"],
                item["table"],
                "READY" if item["status"] == "RUNNING" else item["status"],
                item["phase"],
                item["events"],
                item["size"],
                item["estimatedRows"],
                item["estimatedBytes"],
                item["elapsed"],
                extra={name: value for name, value in item.items() if name not in known},
            )
