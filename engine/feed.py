"""Where entries go: the live feed, the stream's own log, and what `sqlCaptureMode` lets through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine import clock, ids
from engine.errors import Code, EngineError
from engine.logs import LogFeed, StreamLog
from engine.store import Store

MODES: Final = ("off", "minimal", "verbose")
MINIMAL_QUERY = 2_000  # characters
VERBOSE_QUERY = 16_384


class Feed:
    """Log entries always reach both; SQL entries as the mode says: `minimal` keeps the statement's first
    2,000 characters and no parameters, `verbose` everything up to 16,384. `forwardSQLLogs` sends SQL entries
    to the live feed too; the stream's log gets them in any mode but `off`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.live = LogFeed()
        self.kept = StreamLog(store)
        self.sql_capture = store.get_meta("sqlCaptureMode") or "off"
        self.forward_sql = store.get_meta("forwardSQLLogs") == "true"

    def log(self, stream_id: str, level: str, message: str, category: str = "general", **fields: Any) -> None:
        entry = {"level": level, "timestamp": clock.iso(), "message": message, "category": category, **fields}
        self._log(stream_id, {"type": "api", **entry})

    def publish_only(self, level: str, message: str) -> None:
        """For troubles of the store itself."""
        self.live.publish(
            "log",
            {
                "level": level,
                "timestamp": clock.iso(),
                "message": message,
                "type": "api",
                "category": "error",
            },
        )

    def worker_logs(self, stream_id: str, entries: Iterable[Mapping[str, Any]]) -> None:
        for entry in entries:
            self._log(stream_id, {"type": "source", **entry})

    def worker_sql(self, stream_id: str, entries: Iterable[Mapping[str, Any]]) -> None:
        for entry in entries:
            self.sql(entry, stream_id)

    def sql(self, entry: Mapping[str, Any], stream_id: str | None = None) -> None:
        """Take in a SQL entry of the contract, without its id."""
        if self.sql_capture == "off":
            return
        limit = VERBOSE_QUERY
        shaped = {"id": ids.new("sql"), **entry}
        if self.sql_capture == "minimal":
            limit = MINIMAL_QUERY
            shaped.pop("params", None)
        if len(query := str(shaped.get("query", ""))) > limit:
            shaped |= {"query": query[:limit], "redacted": True}
        if self.forward_sql:
            self.live.publish("sql", {**shaped, **({"streamId": stream_id} if stream_id else {})})
        if stream_id is not None:
            level = "error" if shaped.get("error") else "debug"
            line = {
                "level": level,
                "timestamp": clock.iso(),
                "message": str(shaped.get("purpose") or "sql"),
                "type": "api",
                "category": "sql",
                "nodeId": "local",
                "streamId": stream_id,
                **{key: value for key, value in shaped.items() if key != "id"},
                "sqlId": shaped["id"],
            }
            self.kept.append(stream_id, line)

    def settings(self) -> dict[str, Any]:
        return {"sqlCaptureMode": self.sql_capture, "forwardSQLLogs": self.forward_sql}

    def configure(self, body: Any) -> dict[str, Any]:
        """Take `{sqlCaptureMode?, forwardSQLLogs?}`; VALIDATION_FAILED for anything else."""
        if not isinstance(body, Mapping):
            raise _invalid("(body)", "an object")
        for field in body:
            if field not in ("sqlCaptureMode", "forwardSQLLogs"):
                raise _invalid(str(field), "unknown field")
        mode = body.get("sqlCaptureMode", self.sql_capture)
        forward = body.get("forwardSQLLogs", self.forward_sql)
        if mode not in MODES:
            raise _invalid("sqlCaptureMode", f"one of {', '.join(MODES)}")
        if not isinstance(forward, bool):
            raise _invalid("forwardSQLLogs", "true or false")
        self._store.set_meta("sqlCaptureMode", mode)
        self._store.set_meta("forwardSQLLogs", "true" if forward else "false")
        self.sql_capture, self.forward_sql = mode, forward
        return self.settings()

    def flush(self) -> None:
        self.kept.flush()

    def close(self) -> None:
        self.kept.flush()
        self.live.close()

    def _log(self, stream_id: str, entry: dict[str, Any]) -> None:
        entry = {**entry, "nodeId": "local", "streamId": stream_id}
        self.kept.append(stream_id, entry)
        self.live.publish("log", entry)


def _invalid(field: str, problem: str) -> EngineError:
    return EngineError(
        Code.VALIDATION_FAILED, f"{field}: {problem}", fields=[{"field": field, "problem": problem}]
    )
