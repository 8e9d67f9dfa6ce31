"""Streams as they are seen and commanded: state, statistics, logs, pause, resume, stop, verify."""

from __future__ import annotations

from typing import Any

from engine import ids
from engine.connections import Connections
from engine.errors import Code, EngineError
from engine.feed import Feed
from engine.keys import KeyInfo, Keys
from engine.logs import LEVELS
from engine.running import not_supervising
from engine.side_jobs import SideJobs
from engine.stream_rows import StreamRows
from engine.streams.lifecycle import Command, Status, after
from engine.streams.progress import Progress
from engine.supervisor import Supervisor


class Streams:
    def __init__(
        self,
        rows: StreamRows,
        connections: Connections,
        keys: Keys,
        feed: Feed,
        supervisor: Supervisor | None,
        side_jobs: SideJobs,
    ) -> None:
        self._rows = rows
        self._connections = connections
        self._keys = keys
        self._feed = feed
        self._supervisor = supervisor
        self._side_jobs = side_jobs

    # ------------------------------------------------------------ looking

    def list(self, search: str | None = None, limit: int = 100, offset: int = 0) -> dict[str, Any]:
        """`{items, total, filtered, limit, offset}`, newest first; `search` looks into names and ids."""
        total = filtered = self._rows.count()
        if search:
            wanted = search.casefold()
            rows = [row for row in self._rows.of() if wanted in f"{row.config['name']}\n{row.id}".casefold()]
            filtered, rows = len(rows), rows[offset : offset + limit]
        else:
            rows = self._rows.of(limit=limit, offset=offset)
        return {
            "items": [_shape(row) for row in rows],
            "total": total,
            "filtered": filtered,
            "limit": limit,
            "offset": offset,
        }

    def get(self, stream_id: str) -> dict[str, Any]:
        """STREAM_NOT_FOUND"""
        row = self._rows.get(stream_id)
        positions = (row.stats or {}).get("positions", {})
        return {**_shape(row), "positions": positions, "config": row.config, "plan": row.plan}

    def stats(self, stream_or_config_id: str) -> dict[str, Any]:
        """The contract's stats, live while a worker runs. A config id means its newest stream."""
        stream_id = stream_or_config_id
        if stream_id.startswith(f"{ids.CONFIG}_"):
            newest = self._rows.newest(stream_id)
            if newest is None:
                raise EngineError(
                    Code.STREAM_NOT_FOUND, f"config {stream_id} has no stream yet", configId=stream_id
                )
            stream_id = newest
        row = self._rows.get(stream_id)
        progress = self._supervisor.progress(stream_id) if self._supervisor is not None else None
        if progress is None:
            progress = Progress(*self._types(row), row.stats)
        stats = progress.stats(stream_id, row.config_id, Status(row.status), row.error)
        if row.reason:
            stats["reason"] = row.reason
        return stats

    def logs(self, stream_id: str, level: str | None = None, limit: int = 100) -> dict[str, Any]:
        """`{items}`: the newest entries of at least `level` (debug, info, warning, error), oldest first."""
        self._rows.status(stream_id)
        if level is not None and level not in LEVELS:
            raise EngineError(
                Code.VALIDATION_FAILED,
                f"level: one of {', '.join(LEVELS)}",
                fields=[{"field": "level", "problem": f"one of {', '.join(LEVELS)}"}],
            )
        return {"items": self._feed.kept.read(stream_id, level, limit)}

    def wait(self, stream_id: str, timeout: float | None = None) -> dict[str, Any]:
        """Until the stream needs a command or is over, at most `timeout` seconds; its state then."""
        self._supervising().wait(stream_id, timeout)
        return self.get(stream_id)

    def plan(self, stream_id: str) -> dict[str, Any] | None:
        """What the stream does, as `configs.plan` tells it beforehand: waits until the worker has decided it.
        None when the stream ends without a plan."""
        return self._supervising().wait_planned(stream_id)

    # ------------------------------------------------------------ commands

    def pause(self, stream_id: str) -> dict[str, Any]:
        """INVALID_STREAM_STATE unless it is starting or running."""
        self._supervising().pause(stream_id)
        return self.get(stream_id)

    def resume(self, stream_id: str, key: KeyInfo | None = None) -> dict[str, Any]:
        """Go on under the same id from what the target holds. INVALID_STREAM_STATE, STREAM_ALREADY_RUNNING.

        `key`, when the call came over REST, is the key the stream lives on from now. Without one the stream
        stays on the key it had, unless that has lapsed: the same machine needs none.
        """
        supervisor = self._supervising()
        row = self._rows.get(stream_id)
        status = Status(row.status)
        to = after(status, Command.RESUME)
        if row.cleaned:
            raise EngineError(
                Code.INVALID_STREAM_STATE,
                "the checkpoints of this stream were dropped, so it cannot be resumed; start a new one",
                state=status.value,
                streamId=stream_id,
            )
        self._side_jobs.refuse_busy(stream_id)
        key_id = key.id if key is not None else self._keys.standing(row.key_id)
        moved = self._rows.move(stream_id, [status], to, ended=None, reason=None, error=None, key_id=key_id)
        if not moved:
            after(self._rows.status(stream_id), Command.RESUME)  # someone was quicker: their state decides
            raise EngineError(
                Code.INVALID_STREAM_STATE, "the stream is changing its state", streamId=stream_id
            )
        self._feed.log(stream_id, "info", "resume asked for")
        supervisor.launch(stream_id, resume=True)
        return self.get(stream_id)

    def stop(self, stream_id: str, force: bool = False, cleanup: bool = False) -> dict[str, Any]:
        """`force` kills the worker. `cleanup` waits for the end and drops the stream's checkpoints on the
        target: a stream so cleaned cannot be resumed; it also works on one that is stopped or failed."""
        supervisor = self._supervising()
        status = self._rows.status(stream_id)
        if not (cleanup and status in (Status.STOPPED, Status.FAILED)):
            supervisor.stop(stream_id, force=force)
        if cleanup:
            supervisor.wait(stream_id)
            self._side_jobs.cleanup(stream_id)
        return self.get(stream_id)

    def verify(self, stream_id: str) -> dict[str, Any]:
        """Start comparing both sides; the job `{id, streamId, status, startedAt, …}`. A comparison that runs
        already is given instead of a second one."""
        self._supervising()
        return self._side_jobs.start(stream_id)

    def verify_result(self, stream_id: str) -> dict[str, Any]:
        """The job of the newest comparison with its tables' progress and, when it is over, its `result`."""
        return self._side_jobs.result(stream_id)

    def wait_verify(self, stream_id: str, timeout: float | None = None) -> dict[str, Any]:
        return self._side_jobs.wait(stream_id, timeout)

    # ------------------------------------------------------------ inside

    def _supervising(self) -> Supervisor:
        if self._supervisor is None:
            raise not_supervising()
        return self._supervisor

    def _types(self, row: Any) -> tuple[str, str]:
        if row.stats is not None:
            return row.stats["source"]["type"], row.stats["target"]["type"]
        types = []
        for id_ in (row.config["source"]["connections"][0]["connectionId"], row.config["target"]["id"]):
            try:
                types.append(str(self._connections.get(id_)["type"]))
            except EngineError:
                types.append("unknown")  # deleted since
        return types[0], types[1]


def _shape(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "runId": row.run_id,
        "configId": row.config_id,
        "name": row.config["name"],
        "mode": row.config["mode"],
        "status": row.status,
        "stage": row.stage,
        "created": int(row.created),
        "started": None if row.started is None else int(row.started),
        "ended": None if row.ended is None else int(row.ended),
        "elapsed": round(row.active_seconds, 3),
        "rowsInserted": row.rows,
        "dataSize": row.bytes,
        "reason": row.reason,
        "error": row.error,
    }


def run_json(row: Any) -> dict[str, Any]:
    """A line of the history."""
    return {
        "id": row.run_id,
        "configId": row.config_id,
        "streamId": row.id,
        "timestamp": int(row.started or row.created),
        "durationMs": int(1000 * row.active_seconds),  # at work: pauses do not count
        "status": row.status,
        "dataSize": row.bytes,
        "rowsInserted": row.rows,
        "rowsSkipped": row.rows_skipped,
        "errorMessage": row.error["error"] if row.error else None,
    }
