"""Where to cut a table into ranges of about equal size.

A cut is a key value; neighbouring ranges share it, one with `<`, the other with `>=`, so that whatever cuts
are chosen the ranges together are the whole table and no two overlap. How well they are chosen decides only
how even the ranges are:

- An integer leading key is halved again and again between keys that exist, by the server's own estimate of
  the rows between them (a dive into the index each): holes cost nothing and dense parts are cut finely.
- Any other key, and an integer that many rows share, is walked on the server in its own order, collation
  included, one probe for each cut.

Statistics that say far too little are noticed by counting through one range; the key is then walked too.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection as PyMySQLConnection

from engine.connectors.base import Chunk, KeyRange, KeyValue, TableRead
from engine.connectors.mysql.failures import explained
from engine.connectors.mysql.probes import KeyProbes
from engine.connectors.mysql.ranges import INTEGERS, index_hint
from engine.types import Kind

SHARE_BYTES = 4 << 20  # less than this for each worker is not worth sharing
_KNOWN_ROWS = 100  # with fewer rows the bytes of the statistics are mostly empty pages
_LEAST_COUNT = 10_000  # rows counted through to see whether statistics are stale
_TOO_LITTLE = 4  # times fewer rows than there are: stale

Cut = tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class _Span:
    """Rows between two integer keys that exist, both inclusive."""

    low: int
    high: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Size:
    """What the statistics say: of the table, and how many chunks that makes."""

    rows: int
    row_bytes: float
    chunks: int

    @property
    def step(self) -> int:
        """Rows of one chunk."""
        return max(1, math.ceil(self.rows / self.chunks))


def plan_chunks(
    session: PyMySQLConnection[Any], read: TableRead, target_bytes: int, minimum: int
) -> tuple[Chunk, ...]:
    """Ranges of about `target_bytes` that together are the table, in key order; at least `minimum` when each
    would hold SHARE_BYTES. One chunk for a table without a key, or whose key is no index.
    Raises QUERY_FAILED, CONNECTION_LOST."""
    table = read.table
    if not index_hint(table, read.key) or any(table.column(name).nullable for name in read.key):
        return (Chunk(0, None, table.estimated_rows, table.estimated_bytes),)
    with explained(f"cutting {table.schema}.{table.name} into chunks failed", table=table.name):
        return _plan(KeyProbes(session, read), read, target_bytes, minimum)


def _plan(probes: KeyProbes, read: TableRead, target_bytes: int, minimum: int) -> tuple[Chunk, ...]:
    size = _size(read, read.table.estimated_rows, target_bytes, minimum)
    if read.table.column(read.key[0]).type.kind in INTEGERS:
        limits = probes.limits()
        if limits is None:
            return (Chunk(0, None),)
        whole = _Span(*limits, max(size.rows, probes.estimate(*limits)))
        size = _size(read, whole.rows, target_bytes, minimum)
        spans = _halved(probes, whole, size)
        if not _stale(probes, spans):
            return _numbered(read, size, *_cuts(probes, spans, size, len(read.key) > 1))
    elif size.chunks == 1 and not probes.more_than(None, None, max(_LEAST_COUNT, _TOO_LITTLE * size.rows)):
        return (Chunk(0, None, size.rows, round(size.rows * size.row_bytes)),)
    # Nothing to go by but the rows themselves; `step` follows from the guessed width of a row.
    step = max(1, min(size.step, int(target_bytes / size.row_bytes)))
    step = max(step, _LEAST_COUNT) if size.chunks == 1 else step
    cuts = list(_walked(probes, None, None, step, size.chunks))
    return _numbered(read, size, cuts, [step] * (len(cuts) + 1))


# ---------------------------------------------------------------- sizes


def _size(read: TableRead, rows: int, target_bytes: int, minimum: int) -> _Size:
    width = _row_bytes(read)
    total = rows * width
    chunks = max(1, math.ceil(total / target_bytes), min(minimum, int(total // SHARE_BYTES)))
    if minimum < chunks <= 8 * minimum:
        chunks = math.ceil(chunks / minimum) * minimum  # so that no worker waits for the last one
    return _Size(rows, width, chunks)


def _row_bytes(read: TableRead) -> float:
    """Bytes of an average row: by the statistics, or guessed from the columns where they say nothing."""
    table = read.table
    if table.estimated_rows >= _KNOWN_ROWS and table.estimated_bytes:
        return max(8.0, table.estimated_bytes / table.estimated_rows)
    return float(sum(_guessed(column.source.type.kind, column.source.type.length) for column in read.columns))


def _guessed(kind: Kind, length: int | None) -> int:
    if kind in (Kind.BLOB, Kind.TEXT, Kind.JSON, Kind.JSON_TEXT, Kind.GEOMETRY, Kind.VECTOR):
        return 256
    if kind in (Kind.VARCHAR, Kind.CHAR, Kind.BINARY, Kind.VARBINARY):
        return min(64, length or 64)
    return 8


def _stale(probes: KeyProbes, spans: Sequence[_Span]) -> bool:
    """Does the fullest range hold several times the rows it is said to?"""
    fullest = max(spans, key=lambda span: (span.rows, span.high - span.low))
    count = max(_LEAST_COUNT, _TOO_LITTLE * fullest.rows)
    return probes.more_than((fullest.low,), (fullest.high,), count)


# ---------------------------------------------------------------- integers


def _halved(probes: KeyProbes, whole: _Span, size: _Size) -> list[_Span]:
    """The key range in spans of at most half a chunk, where the key allows; a bounded number of probes."""
    fine = max(1, size.step // 2) if size.chunks > 1 else whole.rows
    heap = [(-whole.rows, whole.low, whole)]
    done: list[_Span] = []
    for _ in range(8 * size.chunks + 128):
        if not heap or -heap[0][0] <= fine:
            break
        span = heapq.heappop(heap)[2]
        if span.low == span.high:
            done.append(span)
            continue
        middle = span.low + (span.high - span.low) // 2
        left, right = probes.around(span.low, middle, span.high)
        for low, high in ((span.low, left), (right, span.high)):
            rows = min(span.rows, max(1, probes.estimate(low, high)))
            heapq.heappush(heap, (-rows, low, _Span(low, high, rows)))
    return sorted([*done, *(entry[2] for entry in heap)], key=lambda span: span.low)


def _cuts(
    probes: KeyProbes, spans: Sequence[_Span], size: _Size, composite: bool
) -> tuple[list[Cut], list[int]]:
    """Cuts between spans, as near to equal shares as the spans allow; rows of the chunks they make. A single
    value shared by the rows of several chunks is cut by the columns behind it."""
    total = sum(span.rows for span in spans)
    share = total / size.chunks
    cuts: list[Cut] = []
    rows: list[int] = []
    held = seen = 0
    for span in spans:
        crowded = composite and span.low == span.high and span.rows > 2 * share
        if held and (crowded or seen + span.rows / 2 > share * (len(cuts) + 1)):
            cuts.append((span.low,))
            rows.append(held)
            held = 0
        if crowded:
            step = max(1, round(share))
            inner = list(_walked(probes, (span.low,), (span.low,), step, size.chunks))
            cuts += inner
            rows += [step] * len(inner)
            held = max(1, span.rows - step * len(inner))
        else:
            held += span.rows
        seen += span.rows
    scale = size.rows / total  # estimates of small ranges are often too high by a factor common to them
    return cuts, [round(count * scale) for count in (*rows, held)]


# ---------------------------------------------------------------- any key


def _walked(probes: KeyProbes, low: Cut | None, high: Cut | None, step: int, expected: int) -> Iterator[Cut]:
    """Every `step`-th key from `low` on, up to and including `high`. The step is doubled whenever twice the
    expected number of cuts was found, so that the number of probes stays bounded."""
    place = low
    asked = 0
    while (cut := probes.nth(place, high, step)) is not None:
        asked += 1
        if asked % (2 * expected + 8) == 0:
            step *= 2
        # Rows may share the key, and its text may not come back the same (a character set that does not
        # convert both ways): no cut there.
        if cut == place or not probes.exists(cut):
            step *= 2
        else:
            yield cut
            place = cut


def _numbered(read: TableRead, size: _Size, cuts: Sequence[Cut], rows: Sequence[int]) -> tuple[Chunk, ...]:
    edges: list[Cut | None] = [None, *cuts, None]
    chunks = []
    for number, (lower, upper, count) in enumerate(zip(edges[:-1], edges[1:], rows, strict=True)):
        columns = read.key[: max(len(lower or ()), len(upper or ()))]
        bounds = KeyRange(columns, lower, upper) if columns else None
        chunks.append(Chunk(number, bounds, count, round(count * size.row_bytes)))
    return tuple(chunks)
