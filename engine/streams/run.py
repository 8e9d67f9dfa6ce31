"""One execution of a bounded stream, from plan to finished; what the worker process calls."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Literal

import tenacity

from engine.connectors.base import (
    Note,
    ReaderKind,
    Severity,
    SnapshotSource,
    TableRead,
    TableState,
    Target,
    TargetTable,
)
from engine.errors import Code, EngineError
from engine.failpoints import fail_point
from engine.streams.ends import (
    explained,
    is_loss,
    open_source,
    open_target,
    open_written,
    source_of,
    target_of,
)
from engine.streams.finishing import finish
from engine.streams.job import Control, Interrupted, Outcome, Report, StreamJob
from engine.streams.lifecycle import Status
from engine.streams.plan import Plan, TablePlan, chunks_from, make_pairs, make_plan
from engine.streams.restored import RestoredRead
from engine.streams.several import gives_raw
from engine.streams.snapshot import DataPhase, Task, Totals

ATTEMPTS = 6  # at a stream whose connections are lost


def plan_stream(job: StreamJob) -> dict[str, Any]:
    """A dry run: `Plan.to_json`. Reads both catalogs, writes nothing."""
    with explained(), closing(open_source(job)) as source, closing(open_target(job)) as target:
        return make_plan(source, target, job.config, target.journal(), workers_of(job)).to_json()


def run_stream(job: StreamJob, control: Control, report: Report) -> Outcome:
    """Run or resume a stream to its end, a pause, a stop or a failure. Raises nothing."""
    run = _Run(job, control, report)
    try:
        with _time_limit(job.config.limits.elapsed_time, control):
            run.to_the_end()
        wanted = job.config.limits.number_of_events
        status = Status.EVENT_LIMIT_REACHED if wanted and run.rows >= wanted else Status.FINISHED
        error = None
    except Interrupted as interrupted:
        status = _ENDED[interrupted.reason]
        error = None
    except EngineError as failure:
        status, error = Status.FAILED, failure.as_dict()
        report.log("error", failure.message, "error", code=failure.code.value)
    except Exception as failure:
        traceback.print_exc()
        status = Status.FAILED
        error = EngineError(
            Code.INTERNAL_ERROR,
            f"an unexpected {type(failure).__name__} ended the stream; see the worker's log",
        ).as_dict()
        report.log("error", str(error["error"]), "error", code=Code.INTERNAL_ERROR.value)
    return Outcome(status, run.rows, run.bytes, error, [note.as_dict() for note in run.notes])


_ENDED = {"pause": Status.PAUSED, "stop": Status.STOPPED, "time": Status.TIME_LIMIT_REACHED}


@contextmanager
def _time_limit(seconds: int, control: Control) -> Iterator[None]:
    """End the run at the next safe point after so many seconds of running; 0 is never."""
    if not seconds:
        yield
        return
    timer = threading.Timer(seconds, control.request, args=("time",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def verify_stream(job: StreamJob, control: Control, report: Report) -> dict[str, Any]:
    """Compare both sides of a stream: `{equal, tables: [TableVerdict.as_dict()], seconds}`."""
    # What only a comparison needs is not loaded by every stream that starts.
    from engine.streams.verify import verify_tables
    from engine.streams.verify_read import verify_by_reading

    began = time.monotonic()
    with explained(), closing(open_source(job)) as source, closing(open_target(job)) as target:
        pairs = make_pairs(source, target, job.config)
        if _digest_in_servers(source, target, pairs):
            verdicts = verify_tables(
                source_of(job)[0],
                source.database,
                target_of(job),
                target.database,
                pairs,
                target.spec.policies,
                target.spec.write_mode,
                control,
                report,
            )
        else:
            policies, mode = target.spec.policies, target.spec.write_mode
            target.close()  # of an embedded database: one owner at a time
            with closing(open_written(job, target)) as written:
                verdicts = verify_by_reading(source, written, pairs, policies, mode, control, report)
    seconds = time.monotonic() - began
    report.phase("verify", seconds)
    return {
        "equal": all(verdict.equal for verdict in verdicts),
        "tables": [verdict.as_dict() for verdict in verdicts],
        "seconds": round(seconds, 3),
    }


def _digest_in_servers(
    source: SnapshotSource, target: Target, pairs: Sequence[tuple[TableRead, TargetTable]]
) -> bool:
    """Both servers can be asked for equal digests of whole tables; otherwise both sides are read."""
    whole = all(
        read.selection.is_everything and not read.table.query and not isinstance(read, RestoredRead)
        for read, _ in pairs
    )
    return source.info.flavor in ("mysql", "mariadb") and target.info.flavor == "postgresql" and whole


def cleanup_stream(job: StreamJob) -> None:
    """Drop the checkpoint rows: once the store says FINISHED, or when a stream is given up for good."""
    with explained(), closing(open_target(job)) as target:
        target.forget()


def workers_of(job: StreamJob) -> int:
    return job.config.source.options.workers or os.cpu_count() or 1


_INCONSISTENT = Note(
    Severity.WARNING,
    "picture-per-worker",
    "each worker reads its own picture of the source: rows written while the stream starts may be seen by one"
    " and not by another (grant RELOAD, or use one worker, for a single picture)",
)
_PICTURE_LOST = Note(
    Severity.WARNING,
    "picture-lost",
    "a connection to the source was lost and opened again: the rows after it come from a newer picture of it",
)


class _Run:
    def __init__(self, job: StreamJob, control: Control, report: Report) -> None:
        self.job = job
        self.control = control
        self.report = report
        self.workers = workers_of(job)
        self.rows = 0
        self.bytes = 0
        self.notes: list[Note] = []
        self.begun = False

    def to_the_end(self) -> None:
        """Execute, and again from what is durable when a connection is lost on the way. One that cannot be
        made before anything was begun is the user's to mend, at once."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._goes_on),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_exponential_jitter(multiplier=1, max=20),
            sleep=self.control.wait,
            before_sleep=lambda state: self.report.log(
                "warning", f"{state.outcome and state.outcome.exception()}; going on from what is durable"
            ),
            reraise=True,
        )
        for attempt in retrying:
            with attempt, explained():
                self._execute()

    def _goes_on(self, error: BaseException) -> bool:
        lost = isinstance(error, EngineError) and error.code is Code.CONNECTION_LOST
        return lost or (self.begun and is_loss(error))

    def _execute(self) -> None:
        self.rows = self.bytes = 0
        self.notes.clear()
        self.report.stage(1)
        source_ = open_source(self.job, self.control, self.report)
        with closing(source_) as source, closing(open_target(self.job)) as target:
            with self._phase("plan"):
                plan = make_plan(source, target, self.job.config, target.journal(), self.workers)
                self.report.plan(plan.to_json())
                self._note(plan.notes)
                plan.require_executable()
            self.control.check()
            with self._phase("structure"):
                journal = self._structure(source, target, plan)
            if target.is_finished():
                self.report.stage(5)
                return
            self.control.check()
            with self._phase("data"):
                self._data(source, target, plan, journal)
            with self._phase("indexes"):
                self._finish(target, plan, journal)
            target.put_stream("finished", {})
            fail_point("after_finished")
            self.report.stage(5)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.report.phase(name, time.monotonic() - began)

    def _note(self, notes: Sequence[Note]) -> None:
        self.notes += notes
        for note in notes:
            fields = {key: value for key, value in note.as_dict().items() if key != "message"}
            level: Literal["info", "warning"] = "info" if note.severity is Severity.INFO else "warning"
            self.report.log(level, note.message, "table_metadata", **fields)

    def _sql(self, statement: str, purpose: str) -> None:
        self.report.sql({"query": statement, "purpose": purpose})

    # ------------------------------------------------------------ structure

    def _structure(self, source: SnapshotSource, target: Target, plan: Plan) -> dict[str, TableState]:
        self.report.stage(2)
        earlier = target.claim()
        self.begun = True
        details = {table.target.name: table.journal_detail() for table in plan.tables}
        journal = target.prepare(plan.database, details, self._sql)
        if not target.is_finished():  # else an attempt has ended, and died before it could say so
            self._source_position(source, target, earlier)
        for table in plan.tables:
            done = journal[table.target.name].chunks.values()
            rows, bytes_ = sum(r for r, _ in done), sum(b for _, b in done)
            self.rows += rows
            self.bytes += bytes_
            self.report.table(
                table.target.schema,
                table.target.name,
                status="READY",
                phase="structure",
                estimatedRows=table.source.estimated_rows,
                estimatedBytes=table.source.estimated_bytes,
                rows=rows,
                bytes=bytes_,
            )
        return journal

    def _source_position(self, source: SnapshotSource, target: Target, earlier: bool) -> None:
        """Remember where the source's log stood; after a pause or crash say whether it has moved since."""
        position = source.position()
        before = target.stream_detail().get("sourcePosition") if earlier else None
        if before is None:
            target.put_stream("running", {"sourcePosition": position})
        elif position is None or position != before:
            moved = "cannot be told" if position is None else f"moved from {before} to {position}"
            self._note(
                [
                    Note(
                        Severity.WARNING,
                        "source-moved",
                        f"the stream goes on from a new picture of the source: its log position {moved}, so"
                        " rows written in between are seen in some chunks and not in others",
                    )
                ]
            )

    # ------------------------------------------------------------ data

    def _data(
        self,
        source: SnapshotSource,
        target: Target,
        plan: Plan,
        journal: Mapping[str, TableState],
    ) -> None:
        if target.spec.skip_data:
            return
        self.report.stage(3)
        waves = self._tasks(source, target, plan, journal)
        count = min(self.workers, max((len(wave) for wave in waves), default=0))
        prefer: ReaderKind = (
            "connectorx" if self.job.config.source.options.reader == "connectorx" else "native"
        )
        with source.picture(count) as picture:
            if not picture.consistent:
                self._note([_INCONSISTENT])
            wanted_rows = self.job.config.limits.number_of_events
            limit = max(0, wanted_rows - self.rows) if wanted_rows else None
            phase = DataPhase(target, picture.reader, self.workers, prefer, self.control, self.report, limit)
            try:
                phase.run(waves)
            finally:
                self._count(phase.totals)
        if picture.broken:
            self._note([_PICTURE_LOST])

    def _tasks(
        self, source: SnapshotSource, target: Target, plan: Plan, journal: Mapping[str, TableState]
    ) -> list[list[Task]]:
        by_name = {table.target.name: table for table in plan.tables}
        waves = []
        for names in plan.waves:
            tasks: list[Task] = []
            for name in names:
                tasks += self._tasks_of(source, target, by_name[name], journal[name])
            # The largest first, so that the last worker does not end alone.
            if not self.job.config.limits.number_of_events:
                tasks.sort(
                    key=lambda task: (-task.plan.source.estimated_bytes, task.load.name, task.chunk.number)
                )
            waves.append(tasks)
        return waves

    def _tasks_of(
        self, source: SnapshotSource, target: Target, table: TablePlan, state: TableState
    ) -> list[Task]:
        table_plan = TablePlan(table.read, target.as_found(table.target), table.chunks, table.creates)
        load = target.load_table(table.read, table.target)
        # Undecoded rows cannot be counted off one by one.
        counted = self.job.config.limits.number_of_events > 0
        raw = (
            not counted and gives_raw(source, table.read) and target.takes_raw(table.read, table_plan.target)
        )
        left = [chunk for chunk in chunks_from(state) if chunk.number not in state.chunks]
        if not left:
            self.report.table(table.target.schema, table.target.name, phase="indexes")
        return [Task(table_plan, load, chunk, raw) for chunk in left]

    def _count(self, totals: Totals) -> None:
        self.rows += totals.rows
        self.bytes += totals.bytes
        self._note(
            [
                Note(
                    Severity.WARNING,
                    "values-converted",
                    f"{table}.{column}: {count} values changed by policy {policy}",
                    table=table,
                    column=column,
                    policy=policy,
                    count=count,
                )
                for (table, column, policy), count in sorted(totals.counters.items())
            ]
        )

    # ------------------------------------------------------------ after the data

    def _finish(self, target: Target, plan: Plan, journal: Mapping[str, TableState]) -> None:
        phases = target.finishing(plan.database, journal)
        for note in finish(target, phases, self.workers, self.control, self._sql):
            self._note([note])
        for table in plan.tables:
            self.report.table(table.target.schema, table.target.name, status="FINISHED", phase="done")
