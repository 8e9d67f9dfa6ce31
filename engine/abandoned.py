"""Streams that were deleted from the store while their checkpoints were still on the target.

Such rows would keep others from loading the same tables for good: nobody can resume or clean up a stream
that is gone. So each is noted in the transaction that deletes it, and its checkpoints are dropped in the
background, here or after the next start of the owner.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable
from typing import Any

import orjson
import sqlalchemy as sa

from engine import clock
from engine.config import Connection, StreamConfig
from engine.connections import Connections, connections_of
from engine.errors import Code, EngineError
from engine.feed import Feed
from engine.side_jobs import SideJobs
from engine.store import Store, meta, streams
from engine.streams.job import StreamJob

PAUSES = (2.0, 15.0)  # between attempts; after the last one the next start of the owner tries again
GIVE_UP_SECONDS = 7 * 24 * 3600.0
_PREFIX = "abandoned:"
_UNREACHABLE = (Code.CONNECTION_FAILED, Code.CONNECTION_LOST)

_log = logging.getLogger(__name__)


class Abandoned:
    """Threads may share it. The work is done one stream at a time, by a thread of its own."""

    def __init__(self, store: Store, connections: Connections, side_jobs: SideJobs, feed: Feed) -> None:
        self._store = store
        self._connections = connections
        self._side_jobs = side_jobs
        self._feed = feed
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[list[StreamJob] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def note(self, connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[str]:
        """In the transaction that deletes streams, before it does: remember those of them that may have left
        something. Gives their ids, for `drop`."""
        rows = connection.execute(
            sa.select(streams.c.id, streams.c.config).where(which, sa.not_(streams.c.cleaned))
        ).all()
        if rows:
            values = [
                {
                    "key": _PREFIX + row.id,
                    "value": orjson.dumps({"since": clock.now(), "config": row.config}).decode(),
                }
                for row in rows
            ]
            connection.execute(sa.insert(meta), values)
        return [row.id for row in rows]

    def drop(self, stream_ids: Iterable[str]) -> None:
        """Begin to drop what these left. The connections are read now: they may be deleted next."""
        jobs = [job for stream_id in stream_ids if (job := self._job(stream_id)) is not None]
        if not jobs:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="abandoned streams", daemon=True)
                self._thread.start()
        self._queue.put(jobs)

    def drop_left_over(self) -> None:
        """At the start of the owner: what an earlier one, or a process beside it, has not done."""
        with self._store.read() as connection:
            keys = connection.scalars(sa.select(meta.c.key).where(meta.c.key.startswith(_PREFIX))).all()
        self.drop(key.removeprefix(_PREFIX) for key in keys)

    def close(self) -> None:
        """After `SideJobs.close`, which ends the worker at work. What is not done stays noted."""
        self._closing.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    # ------------------------------------------------------------ inside

    def _job(self, stream_id: str) -> StreamJob | None:
        noted = self._store.get_meta(_PREFIX + stream_id)
        if noted is None:
            return None
        entry: dict[str, Any] = orjson.loads(noted)
        config = StreamConfig.parse(entry["config"])
        if clock.now() - entry["since"] > GIVE_UP_SECONDS:
            self._give_up(stream_id, "its target could not be reached for a week")
            return None
        models: dict[str, Connection] = {}
        for id_ in connections_of(entry["config"]):
            try:
                models[id_] = self._connections.model(id_)
            except EngineError as error:
                if id_ != config.target.id:
                    continue  # only the target is needed
                if error.code is not Code.CONNECTION_NOT_FOUND:
                    self._warn(stream_id, error.message)  # a lost key may come back
                else:
                    self._give_up(stream_id, "the connection to its target was deleted")
                return None
        return StreamJob(stream_id, config, models, True)

    def _work(self) -> None:
        while (jobs := self._queue.get()) is not None:
            unreachable: set[str] = set()
            for job in jobs:
                if self._closing.is_set():
                    return
                if job.config.target.id in unreachable:
                    self._warn(job.stream_id, "its target cannot be reached")
                    continue
                try:
                    self._drop(job)
                except EngineError as error:
                    if error.code in _UNREACHABLE:
                        unreachable.add(job.config.target.id)
                    if not self._closing.is_set():
                        self._warn(job.stream_id, error.message)
                except Exception:  # the next one must have its turn
                    _log.exception("the checkpoints of the deleted stream %s are still there", job.stream_id)

    def _drop(self, job: StreamJob) -> None:
        for pause in (*PAUSES, None):
            try:
                self._side_jobs.drop_checkpoints(job)
            except EngineError:
                if pause is None or self._closing.wait(pause):
                    raise
            else:
                self._done(job.stream_id)
                self._feed.log(job.stream_id, "info", "the checkpoints of the deleted stream were dropped")
                return

    def _warn(self, stream_id: str, reason: str) -> None:
        message = (
            f"the checkpoints of the deleted stream {stream_id} are still on its target, and will be tried "
            f"again at the next start: {reason}"
        )
        _log.warning("%s", message)
        self._feed.log(stream_id, "warning", message)

    def _give_up(self, stream_id: str, reason: str) -> None:
        self._done(stream_id)
        message = f"the checkpoints of the deleted stream {stream_id} stay on its target: {reason}"
        _log.warning("%s", message)
        self._feed.log(stream_id, "warning", message)

    def _done(self, stream_id: str) -> None:
        with self._store.write() as connection:
            connection.execute(sa.delete(meta).where(meta.c.key == _PREFIX + stream_id))
