"""A queue between a reader and a loader, bounded by bytes: a slow target slows the reader, never memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import TypeAlias

import pyarrow as pa

from engine.connectors.base import RawRows

Batch: TypeAlias = "pa.RecordBatch | RawRows"


class Closed(Exception):
    """The other side is gone; there is nobody to work for."""


class ByteQueue:
    """Batches in order. One that is larger than the whole budget still passes, alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._batches: deque[tuple[Batch, int]] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._abandoned = False
        self._failure: BaseException | None = None

    def put(self, batch: Batch) -> None:
        """Wait for room. Raises Closed when the consumer has gone."""
        size = batch.nbytes
        with self._changed:
            while self._held and self._held + size > self._limit and not self._abandoned:
                self._changed.wait()
            if self._abandoned:
                raise Closed
            self._batches.append((batch, size))
            self._held += size
            self._changed.notify_all()

    def end(self, failure: BaseException | None = None) -> None:
        """No more batches; with `failure`, the consumer gets it after what is queued has been dropped."""
        with self._changed:
            self._ended = True
            self._failure = failure
            self._changed.notify_all()

    def abandon(self) -> None:
        """The consumer wants no more; a producer waiting for room is released."""
        with self._changed:
            self._abandoned = True
            self._batches.clear()
            self._held = 0
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            with self._changed:
                while not self._batches and not self._ended:
                    self._changed.wait()
                if self._failure is not None:
                    raise self._failure
                if not self._batches:
                    return
                batch, size = self._batches.popleft()
                self._held -= size
                self._changed.notify_all()
            yield batch
