"""Whether the target holds the source's rows: counts and digests of both sides, down to keys that differ."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.config import Connection, Policies, WriteMode
from engine.connectors.base import DigestColumn, KeyRange, TableRead, TargetTable
from engine.connectors.mysql.digest import MysqlDigestSession, MysqlDigestSql
from engine.connectors.postgres.digest import PostgresDigestSession, PostgresDigestSql
from engine.streams.job import Control, Report
from engine.streams.verify_columns import Layout, layout
from engine.streams.verify_narrow import Difference, Found, compare_subset, narrow
from engine.streams.verify_outcome import REPORTED, TableVerdict, log_verdict
from engine.streams.verify_sides import Side
from engine.streams.verify_values import source_encoder, target_encoder

CHUNK_ROWS = 262_144
_POLL = 0.2  # seconds between looks at the control

Result = TypeVar("Result")
Other = TypeVar("Other")


def verify_tables(
    source: Connection,
    source_database: str,
    target: Connection,
    target_database: str,
    pairs: Sequence[tuple[TableRead, TargetTable]],
    policies: Policies,
    write_mode: WriteMode,
    control: Control,
    report: Report,
) -> list[TableVerdict]:
    """Compare table after table, both servers at once. Raises Interrupted when asked to end, after cancelling
    what runs on the servers; CONNECTION_FAILED, CONNECTION_LOST, QUERY_FAILED, STRUCTURE_MISMATCH."""
    verdicts = []
    with ExitStack() as stack:
        ours = stack.enter_context(closing(MysqlDigestSession(source, source_database)))
        theirs = stack.enter_context(closing(PostgresDigestSession(target, target_database)))
        both = stack.enter_context(_Both(ours.cancel, theirs.cancel, control))
        flavor = ours.flavor
        for read, table in pairs:
            control.check()
            report.table(table.schema, table.name, phase="verify", status="RUNNING")
            comparison = _Comparison(ours, theirs, both, read, table, policies, write_mode, flavor)
            verdict = comparison.run()
            verdicts.append(verdict)
            report.table(
                table.schema, table.name, phase="done", status="FINISHED" if verdict.equal else "FAILED"
            )
            log_verdict(report, verdict)
    return verdicts


class _Both:
    """Runs one function per side, a thread each; ends both when one fails or the stream is asked to end."""

    def __init__(
        self, cancel_source: Callable[[], None], cancel_target: Callable[[], None], control: Control
    ):
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="verify")
        self._cancels = (cancel_source, cancel_target)
        self._control = control

    def __enter__(self) -> _Both:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True)

    def __call__(self, source: Callable[[], Result], target: Callable[[], Other]) -> tuple[Result, Other]:
        self._control.check()
        left, right = self._pool.submit(source), self._pool.submit(target)
        futures: tuple[Future[Any], Future[Any]] = (left, right)
        running: set[Future[Any]] = set(futures)
        failed = False
        while running:
            done, running = wait(running, timeout=_POLL, return_when=FIRST_COMPLETED)
            failed = failed or any(future.exception() is not None for future in done)
            if failed or self._control.requested:
                # Again and again: a cancel may come before the statement it is meant for.
                for future, cancel in zip(futures, self._cancels, strict=True):
                    if future in running:
                        cancel()
        self._control.check()
        for future in futures:
            error = future.exception()
            if error is not None and not _is_cancelled(error):
                raise error
        return left.result(), right.result()


def _is_cancelled(error: BaseException) -> bool:
    """A statement this module itself cancelled: MySQL 1317, MariaDB too; PostgreSQL 57014."""
    details = getattr(error, "details", {})
    return details.get("errno") == 1317 or details.get("sqlstate") == "57014"


@dataclass(frozen=True, slots=True)
class _Sides:
    source: Side
    target: Side
    layout: Layout


class _Comparison:
    """One table."""

    def __init__(
        self,
        ours: MysqlDigestSession,
        theirs: PostgresDigestSession,
        both: _Both,
        read: TableRead,
        table: TargetTable,
        policies: Policies,
        write_mode: WriteMode,
        flavor: str,
    ) -> None:
        self._ours, self._theirs, self._both = ours, theirs, both
        self._read, self._table = read, table
        self._subset = write_mode in (WriteMode.APPEND, WriteMode.UPSERT)
        self._layout = layout(read, table, policies, utf8=theirs.utf8)
        hashing = ours.hashing

        def encode_source(column: DigestColumn) -> Callable[[Any], bytes]:
            return source_encoder(column, flavor)

        def encode_target(column: DigestColumn) -> Callable[[Any], bytes]:
            return target_encoder(column, flavor)

        source_sql = MysqlDigestSql(read.table, policies, hashing)
        target_sql = PostgresDigestSql(table, hashing, utf8=theirs.utf8, version=theirs.version)
        self._source_table = source_sql.table

        def sides(columns: Layout) -> _Sides:
            return _Sides(
                Side(ours, source_sql, columns, hashing, encode_source),
                Side(theirs, target_sql, columns, hashing, encode_target),
                columns,
            )

        self._exact = sides(self._layout)
        likely = self._layout.likely
        self._likely = None if likely is None else sides(likely)
        self._method = f"sum of 64-bit {hashing.value} row digests"

    def run(self) -> TableVerdict:
        began = time.monotonic()
        self._both(self._ours.begin, self._theirs.begin)
        ranges = self._ranges()
        rows_source = rows_target = 0
        found: list[Difference] = []
        equal = True
        for bounds in ranges:
            result = self._range(bounds, REPORTED - len(found))
            rows_source += result.rows_source
            rows_target += result.rows_target
            equal = equal and result.equal
            found += result.differences
        self._both(self._ours.end, self._theirs.end)
        return TableVerdict(
            self._table.schema,
            self._table.name,
            rows_source,
            rows_target,
            equal,
            _method(self._method, self._layout, ranges, subset=self._subset),
            tuple(difference.as_dict() for difference in found),
            time.monotonic() - began,
        )

    def _range(self, bounds: KeyRange | None, wanted: int) -> Found:
        if self._likely is not None:
            found = self._compared(self._likely, bounds, 0)
            if found.equal:
                return found
        found = self._compared(self._exact, bounds, wanted)
        if found.equal:
            self._likely = None  # these values print differently: not worth another try
        return found

    def _compared(self, sides: _Sides, bounds: KeyRange | None, wanted: int) -> Found:
        ours, theirs, columns = sides.source, sides.target, sides.layout
        source, target = self._both(lambda: ours.sums(bounds), lambda: theirs.sums(bounds))
        if source == target:
            return Found(source.rows, target.rows, True)
        if self._subset:
            return compare_subset(self._both, ours, theirs, columns, bounds, source.rows, wanted)
        if wanted <= 0:
            return Found(source.rows, target.rows, False)
        rows = max(source.rows, target.rows)
        differences = narrow(self._both, ours, theirs, columns, bounds, rows, wanted)
        return Found(source.rows, target.rows, False, tuple(differences))

    def _ranges(self) -> list[KeyRange | None]:
        column = self._layout.ranged
        if column is None or not self._theirs.leads_an_index(self._table, column.target.name):
            return [None]
        name = column.read.source.name
        rows = self._read.table.estimated_rows or self._ours.count(self._source_table)
        limits = self._ours.bounds(self._source_table, name) if rows > CHUNK_ROWS else None
        if limits is None:
            return [None]
        return list(_even_ranges(name, *limits, -(-rows // CHUNK_ROWS)))


def _even_ranges(name: str, low: int, high: int, number: int) -> Iterator[KeyRange]:
    """Ranges of equal width without end at both ends: rows beyond the source's own are compared too. Skewed
    keys make some of them long, which costs time between two looks at the control, not memory."""
    width = max(1, -(-(high - low + 1) // number))
    edges = list(range(low + width, high + 1, width))
    lowers: list[int | None] = [None, *edges]
    uppers: list[int | None] = [*edges, None]
    for lower, upper in zip(lowers, uppers, strict=True):
        yield KeyRange((name,), None if lower is None else (lower,), None if upper is None else (upper,))


def _method(base: str, layout: Layout, ranges: Sequence[KeyRange | None], *, subset: bool) -> str:
    parts = [base]
    if layout.streamed:
        names = ", ".join(column.read.source.name for column in layout.streamed)
        parts.append(f"our own encoder where the servers print differently: {names}")
    else:
        parts.append("computed in both servers")
    if ranges[0] is not None:
        parts.append(f"{len(ranges)} ranges of {ranges[0].columns[0]}")
    else:
        parts.append("the whole table at once")
    if subset:
        parts.append("rows of the source only")
    return "; ".join(parts)
