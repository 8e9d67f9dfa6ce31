"""Jobs beside a stream, each in a worker process of its own: comparing both sides, dropping checkpoints."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine import clock, ids
from engine.config import StreamConfig
from engine.connections import Connections, connections_of
from engine.errors import Code, EngineError
from engine.feed import Feed
from engine.stream_rows import StreamRows
from engine.streams import dispatch
from engine.streams.dispatch import Message, Task, Worker
from engine.streams.job import StreamJob
from engine.streams.lifecycle import Status
from engine.streams.progress import Progress

LEFT_OVER_SECONDS = 24 * 3600.0


@dataclass(slots=True)
class _Job:
    id: str
    task: Task
    stream_id: str
    started: float
    progress: Progress
    worker: Worker | None = None
    result: Message | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)


class SideJobs:
    """At most one job a stream, and none while the stream itself has a worker."""

    def __init__(self, rows: StreamRows, connections: Connections, feed: Feed) -> None:
        self._rows = rows
        self._connections = connections
        self._feed = feed
        self._lock = threading.RLock()
        self._jobs: dict[str, _Job] = {}
        self._closing = False

    def start(self, stream_id: str) -> dict[str, Any]:
        """Compare both sides of a stream that has no worker. INVALID_STREAM_STATE."""
        with self._lock:
            running = self._jobs.get(stream_id)
            if running is not None and running.task == "verify":
                return self._json(running)
            job = self._spawn("verify", stream_id)
            self._rows.update(stream_id, verify=self._json(job))
            return self._json(job)

    def result(self, stream_id: str) -> dict[str, Any]:
        """RUN_NOT_FOUND when the stream was never verified."""
        with self._lock:
            job = self._jobs.get(stream_id)
            if job is not None and job.task == "verify":
                return self._json(job)
        stored = self._rows.get(stream_id).verify
        if stored is None:
            raise EngineError(
                Code.RUN_NOT_FOUND, f"stream {stream_id} has not been verified", streamId=stream_id
            )
        if stored["status"] == Status.RUNNING:
            # Its process died with an earlier server; comparing again is all there is to do.
            return {**stored, "status": Status.STOPPED.value, "reason": "the server was restarted"}
        return dict(stored)

    def wait(self, stream_id: str, timeout: float | None = None) -> dict[str, Any]:
        with self._lock:
            job = self._jobs.get(stream_id)
        if job is not None:
            job.done.wait(timeout)
        return self.result(stream_id)

    def cleanup(self, stream_id: str) -> None:
        """Drop the stream's checkpoints on the target, and wait until that is done. Errors of the target."""
        with self._lock:
            job = self._spawn("cleanup", stream_id)
        _await_cleanup(job)
        self._rows.update(stream_id, cleaned=True)
        self._feed.log(stream_id, "info", "the checkpoints on the target were dropped")

    def drop_checkpoints(self, of: StreamJob) -> None:
        """As `cleanup`, of a stream that is gone from the store. A comparison that still runs is ended."""
        with self._lock:
            running = self._jobs.get(of.stream_id)
        if running is not None:
            if running.worker is not None:
                running.worker.kill()
            running.done.wait()
        with self._lock:
            job = self._launch("cleanup", of)
        _await_cleanup(job)

    def cleanup_left_over(self) -> None:
        """In the background: streams that ended lately, but whose server died before their checkpoints."""
        since = clock.now() - LEFT_OVER_SECONDS
        over = [
            row.id
            for row in self._rows.of(statuses=[status for status in Status if status.is_final])
            if not row.cleaned and (row.ended or 0) >= since
        ]

        def drop() -> None:
            for stream_id in over:
                try:
                    self.cleanup(stream_id)
                except EngineError as error:
                    self._feed.log(stream_id, "warning", f"its checkpoints are still there: {error.message}")

        if over:
            threading.Thread(target=drop, name="left-over checkpoints", daemon=True).start()

    def refuse_busy(self, stream_id: str) -> None:
        """INVALID_STREAM_STATE while a job of this stream runs."""
        with self._lock:
            job = self._jobs.get(stream_id)
        if job is not None:
            raise EngineError(
                Code.INVALID_STREAM_STATE,
                f"a {job.task} of this stream is running; wait for it",
                streamId=stream_id,
                jobId=job.id,
            )

    def close(self) -> None:
        with self._lock:
            self._closing = True
            workers = [job.worker for job in self._jobs.values() if job.worker is not None]
        for worker in workers:
            worker.kill()  # they only read, or repeat harmlessly
        for worker in workers:
            worker.done.wait(10)

    # ------------------------------------------------------------ workers

    def message(self, worker: Worker, message: Message) -> None:
        job = self._jobs.get(worker.stream_id)
        if job is None:
            return
        job.progress.feed(message)
        match message["t"]:
            case "logs":
                self._feed.worker_logs(job.stream_id, message["entries"])
            case "sql":
                self._feed.worker_sql(job.stream_id, message["entries"])
            case "result":
                job.result = message

    def exited(self, worker: Worker, returncode: int, tail: str) -> None:
        with self._lock:
            job = self._jobs.pop(worker.stream_id)
            job.progress.end()
            if job.task == "verify" and not self._closing:
                if job.result is None:
                    died = EngineError(
                        Code.WORKER_DIED,
                        "the worker comparing both sides died; verify again",
                        returncode=returncode,
                        output=tail[-2000:] or None,
                    )
                    job.result = {"status": Status.FAILED.value, "error": died.as_dict()}
                try:
                    self._rows.update(job.stream_id, verify=self._json(job, clock.now()))
                finally:
                    job.done.set()
            job.done.set()

    def _spawn(self, task: Task, stream_id: str) -> _Job:
        row = self._rows.get(stream_id)
        if Status(row.status).has_worker:
            raise EngineError(
                Code.INVALID_STREAM_STATE,
                f"cannot {task} a stream that is {row.status}",
                state=row.status,
                streamId=stream_id,
            )
        models = {id_: self._connections.model(id_) for id_ in connections_of(row.config)}
        return self._launch(task, StreamJob(stream_id, StreamConfig.parse(row.config), models, True))

    def _launch(self, task: Task, of: StreamJob) -> _Job:
        """The job under way; the lock is held."""
        if self._closing:
            raise EngineError(Code.NOT_READY, "the engine is closing")
        self.refuse_busy(of.stream_id)
        ends = (of.config.source.connections[0].connection_id, of.config.target.id)
        source, target = (of.connections[id_].type.value if id_ in of.connections else "" for id_ in ends)
        progress = Progress(source, target)
        job = _Job(ids.new(ids.JOB), task, of.stream_id, clock.now(), progress)
        self._jobs[of.stream_id] = job
        try:
            job.worker = dispatch.start(task, of, self, sqlCapture=self._feed.sql_capture)
        except EngineError:
            del self._jobs[of.stream_id]
            raise
        progress.begin()
        return job

    def _json(self, job: _Job, finished: float | None = None) -> dict[str, Any]:
        result: Mapping[str, Any] = job.result if job.result is not None and finished is not None else {}
        status = Status(result.get("status", Status.RUNNING))
        stats = job.progress.stats(job.stream_id, "", status)
        return {
            "id": job.id,
            "streamId": job.stream_id,
            "status": status.value,
            "startedAt": clock.iso(job.started),
            "finishedAt": None if finished is None else clock.iso(finished),
            "elapsed": stats["source"]["elapsed"],
            "tables": stats["tables"],
            "peakRssMb": stats["peakRssMb"],
            "result": result.get("value"),
            "error": result.get("error"),
        }


def _await_cleanup(job: _Job) -> None:
    job.done.wait()
    result = job.result
    if result is None or result["status"] != Status.FINISHED:
        if result is not None and result.get("error"):
            raise EngineError.from_dict(result["error"])
        raise EngineError(
            Code.WORKER_DIED, "the worker dropping the checkpoints died", streamId=job.stream_id
        )
