"""`make demo`: a MariaDB of a million rows into a PostgreSQL, over REST, compared row by row.

Starts private servers and a dbstreams server, all on 127.0.0.1 and in temporary folders, and removes them.
Where the database servers are not installed (or with --without-servers) the same job is done on the embedded
default: sample CSV files into a DuckDB database.
Exit codes: 0 everything equal, 1 something is off, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from benchmarks import demo_files, sample
from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from benchmarks.rest import ApiServer, CallFailed
from benchmarks.sample_tables import TABLES
from benchmarks.servers import MariaDB, Postgres, ServerMissing

DATABASE = "shop"
QUESTION = """
SELECT a.country, count(DISTINCT o.id) AS orders, sum(i.quantity) AS pieces
FROM orders o JOIN addresses a ON a.id = o.address_id JOIN order_items i ON i.order_id = o.id
WHERE o.status <> 'cart' GROUP BY a.country ORDER BY orders DESC, a.country LIMIT 5
"""


class Off(RuntimeError):
    """Something the demo promises did not come true."""


Ask = Callable[[str], list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Job:
    """What is moved: bodies of the two connections and of the stream config (without the ids of its ends),
    the rows that must arrive, and how both ends are asked for themselves."""

    names: tuple[str, str]  # of the two systems, for people
    connections: tuple[dict[str, Any], dict[str, Any]]
    config: dict[str, Any]
    rows: int
    ask: tuple[Ask, Ask]
    places: tuple[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the sample database (1 is 1.16M rows)")
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    parser.add_argument(
        "--without-servers",
        action="store_true",
        default=os.environ.get("DBSTREAMS_DEMO_FALLBACK") == "1",
        help="CSV files into an embedded DuckDB database (also by DBSTREAMS_DEMO_FALLBACK=1)",
    )
    options = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        if options.without_servers:
            run(console, files_job, options.scale, keep=options.keep)
        else:
            with_servers(console, options.scale, keep=options.keep)
    except (Off, CallFailed) as error:
        console.print(f"The demo failed: {error}", markup=False, style="red")
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("interrupted; everything the demo started is gone")
        sys.exit(130)


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)


def with_servers(console: Console, scale: float, *, keep: bool = False) -> None:
    """On real servers, or on files where there are none."""
    try:
        run(console, servers_job, scale, keep=keep)
    except ServerMissing as error:
        console.print(
            f"There are no database servers to show this on: {error}.\n"
            "So the same job runs on the embedded default: sample CSV files into a DuckDB database.",
            markup=False,
        )
        run(console, files_job, scale, keep=keep)


def run(
    console: Console,
    prepare: Callable[[Console, ExitStack, float], Job],
    scale: float,
    *,
    keep: bool = False,
) -> None:
    """The demo, in the order a user would do it. Raises Off, CallFailed, ServerMissing."""
    with ExitStack() as stack:
        job = prepare(console, stack, scale)
        console.print(f"  {len(TABLES)} tables, {job.rows:,} rows")
        with step(console, "starting dbstreams serve"):
            api = stack.enter_context(ApiServer())
        try:
            move(console, api, job)
        except CallFailed as error:
            raise CallFailed(f"{error}\nThe server's log ends:\n{api.log_tail()}") from None
        ask(console, job)
        show_calls(console, api)
        if keep:
            console.print("\nEverything stays up until Ctrl-C.")
            console.print("  " + "\n  ".join(job.places))
            try:
                signal.pause()
            except KeyboardInterrupt:
                console.print()


def servers_job(console: Console, stack: ExitStack, scale: float) -> Job:
    """A private MariaDB with the sample in it and an empty private PostgreSQL."""
    with step(console, "starting a private MariaDB and a private PostgreSQL"):
        source = stack.enter_context(MariaDB())
        target = stack.enter_context(Postgres())
    with step(console, f"making the sample database {DATABASE!r}"):
        made = sample.build(source, DATABASE, scale)
    return Job(
        ("MariaDB", "PostgreSQL"),
        (
            {**_server("shop on MariaDB", source), "database": DATABASE},
            _server("warehouse", target),
        ),
        {
            "name": "shop to PostgreSQL",
            "mode": "convert",
            "source": {"connections": [{"database": DATABASE}]},
            "target": {"spec": {"db": {"database": DATABASE, "schema": "public"}}},
        },
        made,
        (
            lambda question: source.query(question, database=DATABASE),
            lambda question: target.query(question, database=DATABASE),
        ),
        (source.url(DATABASE), target.url(DATABASE)),
    )


def _server(name: str, server: MysqlEndpoint | PostgresEndpoint) -> dict[str, Any]:
    return {
        "name": name,
        "type": server.kind,
        "host": server.host,
        "port": server.port,
        "username": server.user,
        "password": server.password,
    }


def files_job(console: Console, stack: ExitStack, scale: float) -> Job:
    """The sample as CSV files, and a DuckDB database that the stream makes."""
    with step(console, "making the sample CSV files"):
        files = stack.enter_context(demo_files.sample(scale))
    return Job(
        ("CSV", "DuckDB"),
        (
            {
                "name": "shop as CSV",
                "type": "files",
                "spec": {"files": {"basePath": str(files.source)}},
            },
            {
                "name": "warehouse",
                "type": "duckdb",
                "spec": {"duckdb": {"path": str(files.target)}},
            },
        ),
        {
            "name": "shop to DuckDB",
            "mode": "convert",
            "source": {"connections": [{}]},
            "target": {"spec": {"db": {}}},
        },
        files.rows,
        (files.ask_source, files.ask_target),
        (str(files.source), str(files.target)),
    )


@contextmanager
def step(console: Console, what: str) -> Iterator[None]:
    """Say what is being done and how long it took."""
    began = time.monotonic()
    console.print(f"• {what} …", end=" " if console.is_terminal else "\n")
    yield
    console.print(f"{'' if console.is_terminal else '  '}{time.monotonic() - began:.1f} s")


def move(console: Console, api: ApiServer, job: Job) -> None:
    """Connections, config, start, progress, comparison."""
    source, target = (
        api.call("POST", "/connections", body, variable=variable)["id"]
        for body, variable in zip(job.connections, ("SOURCE", "TARGET"), strict=True)
    )
    (part,) = job.config["source"]["connections"]
    config = api.call(
        "POST",
        "/stream-configs",
        {
            **job.config,
            "source": {"connections": [{"connectionId": source, **part}]},
            "target": {"id": target, **job.config["target"]},
        },
        variable="CONFIG",
    )
    stream = api.call("POST", f"/stream-configs/{config['id']}/start", variable="STREAM")["id"]
    console.print(f"• stream {stream}")
    stats = follow(console, api, stream, job.rows)
    rows, seconds = stats["target"]["counter"], stats["phases"].get("data") or stats["target"]["elapsed"]
    console.print(
        f"  {rows:,} rows in {seconds:.1f} s: {rows / max(seconds, 0.001):,.0f} rows/s; "
        + ", ".join(f"{name} {spent:.1f} s" for name, spent in stats["phases"].items())
        + f"; worker peak {stats['peakRssMb']:.0f} MB"
    )
    if rows != job.rows:
        raise Off(f"{job.rows:,} rows were made and {rows:,} arrived")
    verify(console, api, job, stream)


def follow(console: Console, api: ApiServer, stream: str, expected: int) -> dict[str, Any]:
    """Show progress until the stream ends; its last numbers. Raises Off unless it finished."""
    path = f"/streams/{stream}/stats"
    stats = api.call("GET", path, remember=False)
    with progress(console) as show:
        while stats["status"] in ("READY", "STARTING", "RUNNING"):
            time.sleep(0.2)
            stats = api.call("GET", path, remember=False)
            left = sum(table["status"] != "FINISHED" for table in stats["tables"])
            phase = f"{stats['stageName']}, {left} tables left" if stats["tables"] else "starting"
            show(stats["target"]["counter"], expected, stats["target"]["rate"], phase)
    if stats["status"] != "FINISHED":
        error = stats.get("error") or {}
        raise Off(f"the stream is {stats['status']}: {error.get('error')} {error.get('details', '')}")
    return api.call("GET", path, until="FINISHED")


@contextmanager
def progress(console: Console) -> Iterator[Any]:
    """A function `show(done, total, rate, phase)`: a live bar on a terminal, else a line every 2 seconds."""
    if not console.is_terminal:
        spoken = [0.0]

        def line(done: int, total: int, rate: float, phase: str) -> None:
            if time.monotonic() - spoken[0] >= 2:
                spoken[0] = time.monotonic()
                console.print(f"  {done:,} of {total:,} rows, {rate:,.0f} rows/s, {phase}")

        yield line
        return
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=40),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def update(done: int, total: int, rate: float, phase: str) -> None:
            bar.update(task, completed=done, total=total, description=f"{rate:,.0f} rows/s, {phase}")

        yield update


def verify(console: Console, api: ApiServer, job: Job, stream: str) -> None:
    """Compare both sides by count and checksum. Raises Off when a table differs."""
    path = f"/streams/{stream}/verify"
    with step(console, "comparing every table on both sides"):
        done = api.call("POST", path)
        while done["status"] in ("READY", "STARTING", "RUNNING"):
            time.sleep(0.2)
            done = api.call("GET", path, remember=False)
        api.call("GET", path, until=done["status"])
        api.call("GET", path)
    result = done["result"]
    if done["status"] != "FINISHED" or not result:
        raise Off(f"the comparison is {done['status']}: {done['error']}")
    table = Table("table", *(f"rows {name}" for name in job.names), "seconds", "equal")
    for verdict in sorted(result["tables"], key=lambda verdict: -verdict["rowsSource"]):
        counts = f"{verdict['rowsSource']:,}", f"{verdict['rowsTarget']:,}"
        equal = "yes" if verdict["equal"] else "NO"
        table.add_row(verdict["table"], *counts, f"{verdict['seconds']:.2f}", equal)
    console.print(table)
    if not result["equal"] or len(result["tables"]) != len(TABLES):
        raise Off("source and target differ")


def ask(console: Console, job: Job) -> None:
    """One query on both ends. Raises Off when the answers differ."""
    here, there = (ask(QUESTION) for ask in job.ask)
    table = Table("country", "orders", "pieces", title=f"{job.names[1]} answers: orders by country")
    for row in there:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row))
    console.print(table)
    if [tuple(map(str, row)) for row in here] != [tuple(map(str, row)) for row in there]:
        raise Off(f"{job.names[0]} answers the same query differently: {here}")


def show_calls(console: Console, api: ApiServer) -> None:
    """The calls made, as lines for a shell."""
    console.print("\nThe same by hand, to paste into a shell while `make demo ARGS=--keep` waits:\n")
    for line in api.script():
        console.print(line, markup=False, emoji=False)


if __name__ == "__main__":
    main()
