"""The data phase: chunks are read, encoded and loaded by a few workers, each chunk committed exactly once.

A worker is two threads, one reading batches from the source, one encoding and loading them, with a queue of
bounded bytes between. What a chunk did is durable together with its checkpoint row, so a chunk can be tried
again whenever it is not known to be committed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from typing import cast

import pyarrow as pa
import tenacity

from engine.connectors.base import (
    BatchEncoder,
    Chunk,
    Encoded,
    Loader,
    LoadResult,
    LoadTable,
    RawReader,
    RawRows,
    ReaderKind,
    SnapshotReader,
    TableRead,
    Target,
)
from engine.errors import Code, EngineError
from engine.failpoints import fail_point
from engine.streams.bytequeue import Batch, ByteQueue, Closed
from engine.streams.ends import is_loss
from engine.streams.job import Control, Interrupted, Report
from engine.streams.plan import TablePlan
from ext.rowerror import RowError

QUEUE_BYTES = 16 << 20  # held between the two threads of one worker
_POLL = 0.2  # seconds between looks at the control
DRAIN_SECONDS = 5.0  # how long a pause lets the chunks under way come to their end
ATTEMPTS = 6  # at one chunk, when a connection is lost

ReaderFactory = Callable[[ReaderKind], SnapshotReader]


@dataclass(frozen=True, slots=True)
class Task:
    plan: TablePlan
    load: LoadTable
    chunk: Chunk
    raw: bool = False  # the rows are passed on undecoded


@dataclass(slots=True)
class Totals:
    """What one data phase did: counters are (table, column, policy) → values."""

    rows: int = 0
    bytes: int = 0
    counters: dict[tuple[str, str, str], int] = field(default_factory=dict)
    reconnects: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, table: str, result: LoadResult) -> None:
        with self._lock:
            self.rows += result.rows
            self.bytes += result.bytes
            for (column, policy), count in result.counters.items():
                key = (table, column, policy)
                self.counters[key] = self.counters.get(key, 0) + count

    def reconnected(self) -> None:
        with self._lock:
            self.reconnects += 1


class DataPhase:
    """Runs tasks wave by wave over `workers`. `readers` gives a reader of the run's picture of the source."""

    def __init__(
        self,
        target: Target,
        readers: ReaderFactory,
        workers: int,
        prefer: ReaderKind,
        control: Control,
        report: Report,
        limit: int | None = None,
    ) -> None:
        """`limit`: rows to load at most, in the order of the tasks; then one worker does it all."""
        self._target = target
        self._readers = readers
        self._workers = workers if limit is None else 1
        self._limit = limit
        self._prefer: ReaderKind = prefer
        self._control = control
        self._report = report
        self._stop = threading.Event()
        self.totals = Totals()

    def run(self, waves: Sequence[Sequence[Task]]) -> Totals:
        """Raises what the first failing worker raised, or Interrupted; then every worker has ended and every
        connection is closed."""
        for tasks in waves:
            if tasks:
                self._run_wave(deque(tasks))
        return self.totals

    def _run_wave(self, tasks: deque[Task]) -> None:
        left = _Remaining(tasks, self._report)
        count = min(self._workers, len(tasks))
        workers = [
            _Worker(
                self._target,
                self._readers,
                self._prefer,
                self._control,
                self._report,
                self._stop,
                self.totals,
                self._limit,
            )
            for _ in range(count)
        ]
        with ThreadPoolExecutor(count, thread_name_prefix="load") as pool:
            futures: list[Future[None]] = [pool.submit(worker.work, tasks, left) for worker in workers]
            ended_early, first = self._watch(futures, workers)
        if ended_early:
            self._control.check()
        if first:
            raise cause(first)

    def _watch(
        self, futures: Sequence[Future[None]], workers: Sequence[_Worker]
    ) -> tuple[bool, list[BaseException]]:
        """Wait for the workers; cancel the rest when one fails, and all of them when they are asked to end
        and do not come to a safe point by themselves: a read may be silent for long. True in that case; and
        the failures that came before anything was cancelled."""
        deadline: float | None = None
        while True:
            done, pending = wait(futures, timeout=_POLL, return_when=FIRST_EXCEPTION)
            failed = [error for future in done if (error := future.exception()) is not None]
            if not pending:
                return False, failed
            if self._control.requested and deadline is None:
                deadline = time.monotonic() + DRAIN_SECONDS
            late = deadline is not None and time.monotonic() > deadline
            if failed or late:
                self._stop.set()
                while pending:
                    # Again and again: a cancel may come before the statement it is meant for.
                    for worker in workers:
                        worker.cancel()
                    _, pending = wait(pending, timeout=1)
                return late, failed


def cause(failures: Sequence[BaseException]) -> BaseException:
    """Which of the workers' failures ended the wave. One that was stopped because of another says Closed, one
    that was asked to end says Interrupted: both only where there is no other cause."""
    return min(failures, key=lambda error: 2 if isinstance(error, Closed) else isinstance(error, Interrupted))


class _Raw:
    """In the place of an encoder where rows are passed on as they are."""

    counters: Mapping[tuple[str, str], int] = {}

    def encode(self, batch: pa.RecordBatch) -> Encoded:
        raise TypeError("rows that are passed on are not encoded")


class _Remaining:
    """Chunks left per table, so that a table is reported finished when its last chunk is."""

    def __init__(self, tasks: deque[Task], report: Report) -> None:
        self._report = report
        self._left: dict[str, int] = {}
        self._lock = threading.Lock()
        for task in tasks:
            self._left[task.load.name] = self._left.get(task.load.name, 0) + 1

    def one_done(self, task: Task) -> None:
        with self._lock:
            self._left[task.load.name] -= 1
            last = self._left[task.load.name] == 0
        if last:
            self._report.table(task.load.schema, task.load.name, phase="indexes")


class _Worker:
    def __init__(
        self,
        target: Target,
        readers: ReaderFactory,
        prefer: ReaderKind,
        control: Control,
        report: Report,
        stop: threading.Event,
        totals: Totals,
        limit: int | None,
    ) -> None:
        self._target = target
        self._readers = readers
        self._prefer: ReaderKind = prefer
        self._control = control
        self._report = report
        self._stop = stop
        self._totals = totals
        self._limit = limit
        self._loader: Loader | None = None
        self._open: dict[ReaderKind, SnapshotReader] = {}
        self._deadline: float | None = None

    def work(self, tasks: deque[Task], left: _Remaining) -> None:
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="read") as reading:
                encoder: BatchEncoder | None = None
                current: TablePlan | None = None
                while not self._stop.is_set():
                    self._control.check()
                    try:
                        task = tasks.popleft()
                    except IndexError:
                        return
                    if self._left() == 0:
                        return
                    if current is not task.plan or encoder is None:
                        encoder = self._encoder(task)
                        current = task.plan
                        self._report.table(task.load.schema, task.load.name, status="RUNNING", phase="data")
                    self._one(task, encoder, reading)
                    left.one_done(task)
        finally:
            self._close()

    def _encoder(self, task: Task) -> BatchEncoder:
        return _Raw() if task.raw else self._target.encoder(task.plan.read, task.plan.target)

    def _left(self) -> int | None:
        """Rows that may still be loaded, None without a limit."""
        return None if self._limit is None else max(0, self._limit - self._totals.rows)

    def cancel(self) -> None:
        """From another thread: nobody waits for this work any more."""
        for end in (*self._open.values(), self._loader):
            if end is not None:
                try:
                    end.cancel()
                except Exception as error:
                    self._report.log("debug", f"cancelling failed: {type(error).__name__}")

    def _close(self) -> None:
        for reader in self._open.values():
            reader.close()
        if self._loader is not None:
            self._loader.close()
        self._open.clear()
        self._loader = None

    # ------------------------------------------------------------ one chunk

    def _one(self, task: Task, encoder: BatchEncoder, reading: ThreadPoolExecutor) -> None:
        """Load one chunk, trying again when a connection is lost; each try first asks whether the last one's
        COMMIT got through."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_loss),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_exponential_jitter(multiplier=0.5, max=15),
            sleep=self._control.wait,
            before_sleep=lambda state: self._lost(task, state),
            reraise=True,
        )
        for attempt in retrying:
            with attempt:
                if self._stop.is_set():
                    raise Closed
                loader = self._ready_loader()
                if attempt.retry_state.attempt_number > 1:
                    done = loader.committed(task.load.name, task.chunk.number)
                    if done is not None:
                        self._totals.add(task.load.name, LoadResult(*done))
                        return
                self._attempt(task, encoder, loader, reading)

    def _ready_loader(self) -> Loader:
        if self._loader is None:
            self._loader = self._target.loader()
        return self._loader

    def _lost(self, task: Task, state: tenacity.RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        message = failure.message if isinstance(failure, EngineError) else str(failure)
        self._report.log(
            "warning", f"{task.load.name}: {message}; trying again ({state.attempt_number} of {ATTEMPTS - 1})"
        )
        self._totals.reconnected()
        self._close()

    def _attempt(
        self, task: Task, encoder: BatchEncoder, loader: Loader, reading: ThreadPoolExecutor
    ) -> None:
        kind = self._kind(task.plan.read)
        try:
            self._transfer(task, encoder, loader, reading, kind)
        except EngineError as error:
            if kind == "native" or error.code in (Code.CONNECTION_LOST, Code.EPOCH_SUPERSEDED):
                raise
            # What ConnectorX cannot carry, our own reader reads, or names the row it cannot.
            self._report.log("debug", f"{task.load.name}: read again by our own reader: {error.message}")
            self._transfer(task, encoder, loader, reading, "native")

    def _kind(self, read: TableRead) -> ReaderKind:
        able = all(column.connectorx is not None for column in read.columns)
        return "connectorx" if self._prefer == "connectorx" and able else "native"

    def _transfer(
        self,
        task: Task,
        encoder: BatchEncoder,
        loader: Loader,
        reading: ThreadPoolExecutor,
        kind: ReaderKind,
    ) -> None:
        reader = self._open.get(kind)
        if reader is None:
            reader = self._open[kind] = self._readers(kind)
        queue = ByteQueue(QUEUE_BYTES)
        sent = [0, 0]
        seen = dict(encoder.counters), dict(reader.counters)
        producer = reading.submit(_produce, reader, task, queue)
        try:
            result = loader.load(task.load, task.chunk.number, self._encoded(task, encoder, queue, sent))
        except BaseException:
            self._report.progress(task.load.schema, task.load.name, -sent[0], -sent[1])
            queue.abandon()
            if not producer.done():
                reader.cancel()
            raise
        finally:
            queue.abandon()
            wait([producer])
        result.counters = _increase(seen[0], encoder.counters)
        for key, count in _increase(seen[1], reader.counters).items():
            result.counters[key] = result.counters.get(key, 0) + count
        self._totals.add(task.load.name, result)

    def _encoded(
        self, task: Task, encoder: BatchEncoder, queue: ByteQueue, sent: list[int]
    ) -> Iterator[tuple[Encoded, int]]:
        left = self._left()
        for batch in queue:
            self._check()
            if left is not None and not isinstance(batch, RawRows):
                if left == 0:
                    return
                batch = batch.slice(0, left)
                left -= batch.num_rows
            data, rows = _encode(task, encoder, batch)
            yield data, rows
            size = data.nbytes
            sent[0] += rows
            sent[1] += size
            self._report.progress(task.load.schema, task.load.name, rows, size)
            fail_point("during_chunk")

    def _check(self) -> None:
        """A pause lets the chunk end when that is soon; a failure elsewhere does not."""
        if self._stop.is_set():
            raise Closed
        if self._control.requested:
            now = time.monotonic()
            if self._deadline is None:
                self._deadline = now + DRAIN_SECONDS
            if now > self._deadline:
                self._control.check()


def _encode(task: Task, encoder: BatchEncoder, batch: pa.RecordBatch | RawRows) -> tuple[Encoded, int]:
    if isinstance(batch, RawRows):
        return batch, batch.rows
    try:
        return encoder.encode(batch), batch.num_rows
    except RowError as error:
        raise rejected(task.plan, batch, error) from error


def _produce(reader: SnapshotReader, task: Task, queue: ByteQueue) -> None:
    try:
        for batch in _batches(reader, task):
            queue.put(batch)
    except Closed:
        return
    except BaseException as error:
        queue.end(error)
    else:
        queue.end()


def _batches(reader: SnapshotReader, task: Task) -> Iterator[Batch]:
    if task.raw:
        with closing(cast(RawReader, reader).read_raw(task.plan.read, task.chunk.bounds)) as rows:
            yield from rows
        return
    with closing(reader.read(task.plan.read, task.chunk.bounds)) as batches:
        yield from batches


def _increase(
    before: Mapping[tuple[str, str], int], after: Mapping[tuple[str, str], int]
) -> dict[tuple[str, str], int]:
    return {key: count - before.get(key, 0) for key, count in after.items() if count != before.get(key, 0)}


# ---------------------------------------------------------------- naming the row

_ADVICE = {
    "nul-byte": "set policies.nulByte to strip, replace or bytea",
    "invalid-utf8": "set policies.invalidText to replace or bytea",
    "not-boolean": "leave policies.tinyint1 at smallint",
    "bad-json": "set policies.json to json or text",
    "json-null": "set policies.json to text: in a JSON file a nested null cannot be told from NULL",
    "unknown-label": "the column holds a value that is none of its labels",
    "out-of-range": "widen the column on the target",
    "too-long": "widen the column on the target",
    "scale-cut": "the target column keeps fewer fraction digits: widen it",
    "fraction-cut": "the target column keeps fewer digits of a second: widen it",
    "inexact": "the target column cannot hold the number exactly: widen it",
}


def rejected(plan: TablePlan, batch: pa.RecordBatch, error: RowError) -> EngineError:
    """The value that cannot go: table, column, key of the row and the value itself."""
    column = plan.read.columns[error.column].name
    key = row_key(plan.read, batch, error.row)
    where = ", ".join(f"{name}={value!r}" for name, value in key.items()) or f"row {error.row} of the batch"
    advice = _ADVICE.get(error.reason)
    return EngineError(
        Code.VALUE_NOT_REPRESENTABLE,
        f"{plan.source.name}.{column} at {where}: {error.value!r} cannot be stored ({error.reason})"
        + (f"; {advice}" if advice else ""),
        table=plan.source.name,
        column=column,
        key=key,
        value=error.value,
        reason=error.reason,
        hint=advice,
    )


def row_key(read: TableRead, batch: pa.RecordBatch, row: int) -> dict[str, str]:
    """The key columns of a row as text; empty for a table without a key."""
    names = set(batch.schema.names)
    return {name: _text(batch.column(name)[row]) for name in read.key if name in names}


def _text(value: pa.Scalar) -> str:
    plain = value.as_py()
    return plain.hex() if isinstance(plain, bytes) else str(plain)
