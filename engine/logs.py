"""The live feed of log and SQL entries, and the bounded log kept with each stream."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import orjson
import sqlalchemy as sa

from engine import clock
from engine.store import Store, stream_logs, streams

Event = Literal["log", "sql"]
Entry = dict[str, Any]  # {id, event, data}: one server-sent event

RING, RING_BYTES = 5_000, 16 << 20  # entries and bytes kept for `Last-Event-ID`
QUEUE, QUEUE_BYTES = 1_000, 4 << 20  # entries and bytes a subscriber may be behind
PER_STREAM = 10_000
LEVELS = ("debug", "info", "warning", "error")


class _Bounded:
    """A queue that loses its oldest entries when it holds too many, or too many bytes."""

    def __init__(self, entries: int, size: int) -> None:
        self._limits = (entries, size)
        self._items: deque[tuple[Entry, int]] = deque()
        self._size = 0

    def push(self, entry: Entry, size: int) -> int:
        """How many were lost for it."""
        self._items.append((entry, size))
        self._size += size
        lost = 0
        while len(self._items) > self._limits[0] or (self._size > self._limits[1] and len(self._items) > 1):
            self.pop()
            lost += 1
        return lost

    def pop(self) -> Entry:
        entry, size = self._items.popleft()
        self._size -= size
        return entry

    def first(self) -> Entry:
        return self._items[0][0]

    def after(self, id_: int) -> list[tuple[Entry, int]]:
        return [(entry, size) for entry, size in self._items if entry["id"] > id_]

    def clear(self) -> None:
        self._items.clear()
        self._size = 0

    def __len__(self) -> int:
        return len(self._items)


class Subscription:
    """One reader of the feed. When it is slow the oldest entries go, and a marker says how many."""

    def __init__(
        self, feed: LogFeed, backlog: list[tuple[Entry, int]], on_ready: Callable[[], None] | None
    ) -> None:
        self._feed = feed
        self._entries = _Bounded(QUEUE, QUEUE_BYTES)
        self._dropped = 0
        self._condition = threading.Condition()
        self._on_ready = on_ready
        self.closed = False
        for entry, size in backlog:
            self._dropped += self._entries.push(entry, size)

    def offer(self, entry: Entry, size: int) -> None:
        with self._condition:
            if self.closed:
                return
            self._dropped += self._entries.push(entry, size)
            self._condition.notify()
        if self._on_ready is not None:
            self._on_ready()

    def get(self, timeout: float | None = None) -> Entry | None:
        """The next entry; None when none came within `timeout` seconds or the subscription is closed."""
        with self._condition:
            self._condition.wait_for(lambda: len(self._entries) > 0 or self.closed, timeout)
            return self._take()

    def drain(self) -> list[Entry]:
        """Everything that is there, without waiting: for an event loop told by `on_ready`."""
        with self._condition:
            taken = []
            while (entry := self._take()) is not None:
                taken.append(entry)
            return taken

    def _take(self) -> Entry | None:
        if not len(self._entries):
            return None
        if self._dropped:
            count, self._dropped = self._dropped, 0
            # The marker carries the id before the next entry, so that resuming after it loses nothing more.
            return {
                "id": self._entries.first()["id"] - 1,
                "event": "log",
                "data": {
                    "level": "warning",
                    "timestamp": clock.iso(),
                    "message": f"{count} entries were dropped because this reader was too slow",
                    "type": "api",
                    "category": "general",
                    "dropped": count,
                },
            }
        return self._entries.pop()

    def __iter__(self) -> Iterator[Entry]:
        while True:
            entry = self.get()
            if entry is None:
                return
            yield entry

    def close(self) -> None:
        self._feed.forget(self)
        with self._condition:
            self.closed = True
            self._entries.clear()
            self._condition.notify_all()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LogFeed:
    """Publishes entries to any number of subscribers. Publishing never waits for a reader."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ring = _Bounded(RING, RING_BYTES)
        self._next = int(clock.now() * 1_000_000)  # ids keep rising over a restart
        self._subscribers: set[Subscription] = set()

    def publish(self, event: Event, data: Mapping[str, Any]) -> Entry:
        size = len(orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS))
        with self._lock:
            self._next += 1
            entry: Entry = {"id": self._next, "event": event, "data": dict(data)}
            self._ring.push(entry, size)
            for subscriber in self._subscribers:
                subscriber.offer(entry, size)
        return entry

    def subscribe(
        self, last_event_id: int | str | None = None, on_ready: Callable[[], None] | None = None
    ) -> Subscription:
        """Entries from now on, or those after `last_event_id` as far as they are still kept.

        `on_ready` is called from the publishing thread after each entry; it must not block.
        """
        try:
            after = None if last_event_id in (None, "") else int(str(last_event_id))
        except ValueError:
            after = None
        with self._lock:
            backlog = [] if after is None else self._ring.after(after)
            subscription = Subscription(self, backlog, on_ready)
            self._subscribers.add(subscription)
            return subscription

    def forget(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscribers.discard(subscription)

    def close(self) -> None:
        with self._lock:
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            subscriber.close()


class StreamLog:
    """The log of each stream in the store. Appended in memory, written in batches by `flush`."""

    def __init__(self, store: Store, per_stream: int = PER_STREAM) -> None:
        self._store = store
        self._per_stream = per_stream
        self._lock = threading.Lock()
        self._waiting: deque[dict[str, Any]] = deque(maxlen=4 * per_stream)

    def append(self, stream_id: str, entry: Mapping[str, Any]) -> None:
        with self._lock:
            self._waiting.append({"stream_id": stream_id, "level": entry["level"], "entry": dict(entry)})

    def flush(self) -> None:
        with self._lock:
            batch = list(self._waiting)
            self._waiting.clear()
        if not batch:
            return
        with self._store.write() as connection:
            known = set(connection.scalars(_known_streams({row["stream_id"] for row in batch})))
            batch = [row for row in batch if row["stream_id"] in known]
            if batch:
                connection.execute(sa.insert(stream_logs), batch)
            for stream_id in known:
                oldest = (
                    sa.select(stream_logs.c.seq)
                    .where(stream_logs.c.stream_id == stream_id)
                    .order_by(stream_logs.c.seq.desc())
                    .offset(self._per_stream - 1)
                    .limit(1)
                )
                connection.execute(
                    sa.delete(stream_logs).where(
                        stream_logs.c.stream_id == stream_id, stream_logs.c.seq < oldest.scalar_subquery()
                    )
                )

    def read(self, stream_id: str, level: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """The newest `limit` entries of at least `level`, oldest first."""
        self.flush()
        query = sa.select(stream_logs.c.entry).where(stream_logs.c.stream_id == stream_id)
        if level is not None:
            query = query.where(stream_logs.c.level.in_(LEVELS[LEVELS.index(level) :]))
        with self._store.read() as connection:
            newest = connection.scalars(query.order_by(stream_logs.c.seq.desc()).limit(limit)).all()
        return list(reversed(newest))


def _known_streams(ids: set[str]) -> sa.Select[Any]:
    return sa.select(streams.c.id).where(streams.c.id.in_(ids))
