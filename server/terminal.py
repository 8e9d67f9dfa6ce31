"""What a person sees of a copy: the plan line, live progress, the table at the end, errors with a next step.

On a terminal one block is redrawn twice a second; elsewhere (a pipe, a CI log, NO_COLOR) plain lines come
every few seconds. Progress and messages go to stderr, results to stdout.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from engine import EngineError

PLAIN_SECONDS = 10.0  # between two plain lines
STALL_SECONDS = 30.0  # without a row: said aloud
STEADY_SECONDS = 5.0  # of running before a remaining time is shown
SHOWN_TABLES = 8
SHOWN_NOTES = 12


def _end(label: str, end: Mapping[str, Any]) -> str:
    """`mysql://user@host:port/database (server)`; a folder, a file or a bucket is its own name."""
    if "@" not in label:
        return label
    schema = f" schema {end['schema']}" if end.get("schema") else ""
    return f"{label}/{end['database']}{schema} ({end['server']})"


class Terminal:
    """Human output of one job."""

    def __init__(self, quiet: bool = False) -> None:
        self.out = Console(highlight=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._live: Live | None = None
        self._lines = PlainLines(self.err)
        self._fancy = self.err.is_terminal and not os.environ.get("NO_COLOR") and not quiet

    def plan(self, plan: Mapping[str, Any], source: str, target: str, workers: int) -> None:
        """One line: from, to, how much, how."""
        tables = plan["tables"]
        ends = f"{_end(source, plan['source'])} → {_end(target, plan['target'])}"
        much = (
            f"{counted(len(tables), 'table')}, about {plan['estimatedRows']:,} rows,"
            f" {size(plan['estimatedBytes'])}, {counted(plan['chunks'], 'chunk')},"
            f" {counted(workers or os.cpu_count() or 1, 'worker')}"
        )
        self.out.print(f"{ends}: {much}", markup=False)

    def whole_plan(self, plan: Mapping[str, Any]) -> None:
        """Every column, statement and note: what `--plan` is for."""
        for table in plan["tables"]:
            made = "created" if table["creates"] else "kept"
            grid = Table(title=f"{table['target']['table']} ({made})", title_justify="left", box=None)
            for heading in ("column", "from", "to", "conversion"):
                grid.add_column(heading, overflow="fold")
            for column in table["columns"]:
                name = column["target"] + (" (generated)" if column["generated"] else "")
                grid.add_row(name, column["sourceType"], column["targetType"], column["conversion"])
            self.out.print(grid, markup=False)
        for statement in [*plan["statements"], *(s for t in plan["tables"] for s in t["statements"])]:
            self.out.print(f"{statement['sql']};", markup=False)
        self.notes(plan["notes"], limit=None)

    def notes(self, notes: Sequence[Mapping[str, Any]], limit: int | None = SHOWN_NOTES) -> None:
        """Warnings and refusals; of mere information only how much there is."""
        serious = [note for note in notes if note["severity"] != "info"]
        shown = list(notes) if limit is None else serious[:limit]
        for note in shown:
            place = ".".join(filter(None, (note.get("table"), note.get("column"))))
            self.err.print(
                f"{note['severity']}: {place + ': ' if place else ''}{note['message']}", markup=False
            )
        left = len(notes) - len(shown)
        if left and not self._quiet:
            self.err.print(f"({left} more notes: --plan shows all)", markup=False)

    def progress(self, stats: Mapping[str, Any]) -> None:
        if self._quiet:
            return
        if not self._fancy:
            self._lines.show(stats)
            return
        if self._live is None:
            self._live = Live(console=self.err, refresh_per_second=2, transient=True)
            self._live.start()
        self._live.update(progress_block(stats))

    def done(self) -> None:
        """Take the live block away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def result(self, result: Mapping[str, Any], verdicts: Mapping[str, Any] | None) -> None:
        """The table per table, phases and totals."""
        self.done()
        self.out.print(end_table(result, verdicts))
        phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result["phases"].items())
        self.out.print(
            f"{result['status'].lower()}: {result['rows']:,} rows, {size(result['bytes'])}"
            + (f" ({phases})" if phases else ""),
            markup=False,
        )

    def verdict(self, compared: Mapping[str, Any]) -> None:
        """What differs, by key."""
        for table in compared["tables"]:
            for difference in table["differences"]:
                self.err.print(f"{table['table']}: {plain(difference)}", markup=False)
        words = "equal" if compared["equal"] else "DIFFERENT"
        self.out.print(f"verify: source and target are {words} ({compared['seconds']:.1f} s)", markup=False)

    def say(self, text: str) -> None:
        self.done()
        self.err.print(text, markup=False)

    def error(self, error: EngineError) -> None:
        self.done()
        self.err.print(f"error {error.code.value}: {error.message}", markup=False, style="red")
        for problem in error.details.get("fields", [])[1:]:
            self.err.print(f"  {problem['field']}: {problem['problem']}", markup=False)
        for note in error.details.get("notes", [])[1:SHOWN_NOTES]:
            self.err.print(f"  {note['message']}", markup=False)


class PlainLines:
    """A line now and then, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = time.monotonic()

    def show(self, stats: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if now - self._last < PLAIN_SECONDS:
            return
        self._last = now
        tables = stats["tables"]
        finished = sum(table["status"] == "FINISHED" for table in tables)
        self._console.print(
            f"{stats['stageName']}: {stats['target']['counter']:,} rows,"
            f" {stats['target']['rate']:,.0f} rows/s, {finished} of {len(tables)} tables{remaining(stats)}",
            markup=False,
        )


def progress_block(stats: Mapping[str, Any]) -> RenderableType:
    rows, estimate = stats["target"]["counter"], stats["estimatedRows"]
    head = Text(
        f"{stats['stageName']}  {rows:,} rows  {stats['target']['rate']:,.0f} rows/s"
        f"  {size(stats['target']['dataSize'])}{remaining(stats)}"
    )
    parts: list[RenderableType] = [head]
    if estimate:
        parts.append(ProgressBar(total=max(estimate, rows), completed=rows, width=60))
    running = [table for table in stats["tables"] if table["status"] == "RUNNING"]
    for table in running[:SHOWN_TABLES]:
        share = "" if table["percentage"] is None else f"{table['percentage']:5.1f} %"
        parts.append(Text(f"  {table['table'][:40]:<40} {table['events']:>14,} rows {share}"))
    if stalled(stats):
        parts.append(
            Text(f"  nothing has moved for {STALL_SECONDS:.0f} s: which side waits?", style="yellow")
        )
    return Group(*parts)


def remaining(stats: Mapping[str, Any]) -> str:
    """`, about 2 min left` once the rate is steady; nothing where no estimate can be trusted."""
    rate, estimate = stats["target"]["rate"], stats["estimatedRows"]
    rows, elapsed = stats["target"]["counter"], stats["target"]["elapsed"]
    if not estimate or rate <= 0 or elapsed < STEADY_SECONDS or rows >= estimate or stats["stage"] != 3:
        return ""
    return f", about {duration((estimate - rows) / rate)} left"


def stalled(stats: Mapping[str, Any]) -> bool:
    return bool(
        stats["stage"] == 3 and stats["target"]["elapsed"] > STALL_SECONDS and stats["target"]["rate"] == 0
    )


def end_table(result: Mapping[str, Any], verdicts: Mapping[str, Any] | None) -> Table:
    """Per table: rows, bytes, time, rows/s, verdict; the unequal first, then the slowest."""
    by_name = {verdict["table"]: verdict for verdict in (verdicts or {}).get("tables", [])}
    grid = Table(box=None, pad_edge=False)
    grid.add_column("table", overflow="fold")
    for heading in ("rows", "bytes", "seconds", "rows/s"):
        grid.add_column(heading, justify="right", no_wrap=True)
    if by_name:
        grid.add_column("verify")
    ordered = sorted(
        result["tables"],
        key=lambda table: (by_name.get(table["table"], {}).get("equal", True), -table["elapsed"]),
    )
    for table in ordered:
        seconds = table["elapsed"]
        speed = f"{table['events'] / seconds:,.0f}" if seconds else ""
        cells = [table["table"], f"{table['events']:,}", size(table["size"]), f"{seconds:.1f}", speed]
        if by_name:
            verdict = by_name.get(table["table"])
            cells.append("" if verdict is None else "equal" if verdict["equal"] else "DIFFERENT")
        grid.add_row(*(Text(cell) for cell in cells))
    return grid


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def size(count: float) -> str:
    """`1.2 MB`: decimal units, as disks and networks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def plain(difference: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in difference.items())
