"""The worker's end of the report pipe: counts are summed here and sent at most four times a second.

Callers never wait for the supervisor: they change numbers and append to bounded queues; one thread writes.
Numbers travel as totals, so a message that replaces another loses nothing.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

import orjson

from engine import clock

INTERVAL = 0.25
USAGE_SECONDS = 2.0
MAX_LOGS = 2_000
MAX_SQL = 500


class PipeReport:
    """A `Report` that writes JSON lines to a descriptor."""

    def __init__(self, descriptor: int, sql_capture: str, on_broken: Callable[[], None]) -> None:
        self.sql_capture = sql_capture
        self._descriptor = descriptor
        self._on_broken = on_broken
        self._broken = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ending = False
        self._tables: dict[tuple[str, str], dict[str, Any]] = {}
        self._changed: dict[tuple[str, str], None] = {}
        self._facts: list[dict[str, Any]] = []  # stage, plan, phase: few, and none may be lost
        self._logs: deque[dict[str, Any]] = deque(maxlen=MAX_LOGS)
        self._sql: deque[dict[str, Any]] = deque(maxlen=MAX_SQL)
        self._dropped = 0
        self._usage_due = 0.0
        self._sender = threading.Thread(target=self._send_loop, name="report", daemon=True)
        self._sender.start()

    # ------------------------------------------------------------ Report

    def stage(self, number: int) -> None:
        self._fact({"t": "stage", "stage": number})

    def plan(self, plan: Mapping[str, Any]) -> None:
        self._fact({"t": "plan", "plan": dict(plan)})

    def table(self, schema: str, table: str, **changes: Any) -> None:
        with self._lock:
            self._entry(schema, table).update(changes)

    def progress(self, schema: str, table: str, rows: int, bytes_: int) -> None:
        with self._lock:
            entry = self._entry(schema, table)
            entry["rows"] = entry.get("rows", 0) + rows
            entry["bytes"] = entry.get("bytes", 0) + bytes_

    def phase(self, name: str, seconds: float) -> None:
        self._fact({"t": "phase", "name": name, "seconds": seconds})

    def log(
        self,
        level: Literal["debug", "info", "warning", "error"],
        message: str,
        category: str = "general",
        **fields: Any,
    ) -> None:
        entry = {"level": level, "timestamp": clock.iso(), "message": message, "category": category, **fields}
        with self._lock:
            self._dropped += len(self._logs) == MAX_LOGS
            self._logs.append(entry)

    def sql(self, entry: Mapping[str, Any]) -> None:
        if self.sql_capture == "off":
            return
        with self._lock:
            self._dropped += len(self._sql) == MAX_SQL
            self._sql.append(dict(entry))

    # ------------------------------------------------------------ the worker's own

    def started(self) -> None:
        self._fact({"t": "started", "pid": os.getpid()})

    def finish(self, result: Mapping[str, Any]) -> None:
        """Send everything that is left, then the result, and wait until it is written."""
        self._ending = True
        self._wake.set()
        self._sender.join()
        self._write([{"t": "result", **result, "peakRssBytes": peak_rss()}])

    def send(self, message: dict[str, Any]) -> None:
        """One more message after `finish`."""
        self._write([message])

    def _entry(self, schema: str, table: str) -> dict[str, Any]:
        key = (schema, table)
        self._changed[key] = None
        return self._tables.setdefault(key, {"schema": schema, "table": table})

    def _fact(self, fact: dict[str, Any]) -> None:
        with self._lock:
            self._facts.append(fact)

    def _send_loop(self) -> None:
        while True:
            ending = self._ending
            self._write(self._collect())
            if ending:
                return
            self._wake.wait(INTERVAL)

    def _collect(self) -> list[dict[str, Any]]:
        with self._lock:
            messages, self._facts = self._facts, []
            if self._changed:
                messages.append({"t": "tables", "tables": [dict(self._tables[key]) for key in self._changed]})
                self._changed = {}
            if self._dropped:
                messages.append({"t": "dropped", "count": self._dropped})
                self._dropped = 0
            if self._logs:
                messages.append({"t": "logs", "entries": list(self._logs)})
                self._logs.clear()
            if self._sql:
                messages.append({"t": "sql", "entries": list(self._sql)})
                self._sql.clear()
        if clock.monotonic() >= self._usage_due:
            self._usage_due = clock.monotonic() + USAGE_SECONDS
            messages.append({"t": "usage", "peakRssBytes": peak_rss()})
        return messages

    def _write(self, messages: list[dict[str, Any]]) -> None:
        if self._broken:
            return
        for message in messages:
            line = memoryview(encode(message) + b"\n")
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:
                self._broken = True
                self._on_broken()
                return


def encode(message: Mapping[str, Any]) -> bytes:
    """One JSON line whatever a message holds: details of an error carry values as the source gave them."""
    try:
        return orjson.dumps(message, default=_text, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return orjson.dumps(_plain(message))


def _text(value: Any) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes | bytearray) else str(value)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else str(value)
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case Mapping():
            return {str(_plain(key)): _plain(inner) for key, inner in value.items()}
        case list() | tuple() | set():
            return [_plain(inner) for inner in value]
        case _:
            return _plain(_text(value))


def peak_rss() -> int:
    """The most memory this process has held, in bytes.

    VmHWM counts this program alone; ru_maxrss also remembers the parent's pages between fork and exec.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
