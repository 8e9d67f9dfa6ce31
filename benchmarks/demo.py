"""`make demo`: a MariaDB of a million rows into a PostgreSQL, over REST, compared row by row.

Starts private servers and a dbstreams server, all on 127.0.0.1 and in temporary folders, and removes them.
Exit codes: 0 everything equal, 1 something is off, 2 the database servers are not installed, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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

from benchmarks import sample
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the sample database (1 is 1.16M rows)")
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    options = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        run(console, options.scale, keep=options.keep)
    except ServerMissing as error:
        console.print(
            f"The demo needs real database servers: {error}.\n"
            "The fallback, sample CSV files into an embedded DuckDB database, is not available in this "
            "release,\nso there is nothing to show here.",
            markup=False,
        )
        sys.exit(2)
    except (Off, CallFailed) as error:
        console.print(f"The demo failed: {error}", markup=False, style="red")
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("interrupted; everything the demo started is gone")
        sys.exit(130)


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)


def run(console: Console, scale: float, *, keep: bool = False) -> None:
    """The demo, in the order a user would do it. Raises Off, CallFailed, ServerMissing."""
    with ExitStack() as stack:
        with step(console, "starting a private MariaDB and a private PostgreSQL"):
            source = stack.enter_context(MariaDB())
            target = stack.enter_context(Postgres())
        with step(console, f"making the sample database {DATABASE!r}"):
            made = sample.build(source, DATABASE, scale)
        console.print(f"  {len(TABLES)} tables, {made:,} rows")
        with step(console, "starting dbstreams serve"):
            api = stack.enter_context(ApiServer())
        try:
            move(console, api, source, target, made)
        except CallFailed as error:
            raise CallFailed(f"{error}\nThe server's log ends:\n{api.log_tail()}") from None
        ask(console, source, target)
        show_calls(console, api)
        if keep:
            console.print("\nEverything stays up until Ctrl-C.")
            console.print(f"  {source.url(DATABASE)}\n  {target.url(DATABASE)}")
            try:
                signal.pause()
            except KeyboardInterrupt:
                console.print()


@contextmanager
def step(console: Console, what: str) -> Iterator[None]:
    """Say what is being done and how long it took."""
    began = time.monotonic()
    console.print(f"• {what} …", end=" " if console.is_terminal else "\n")
    yield
    console.print(f"{'' if console.is_terminal else '  '}{time.monotonic() - began:.1f} s")


def move(
    console: Console, api: ApiServer, source: MysqlEndpoint, target: PostgresEndpoint, expected: int
) -> None:
    """Connections, config, start, progress, comparison."""
    ids = {}
    ends = (("shop on MariaDB", source, DATABASE, "SOURCE"), ("warehouse", target, None, "TARGET"))
    for name, server, database, variable in ends:
        body = {
            "name": name,
            "type": server.kind,
            "host": server.host,
            "port": server.port,
            "username": server.user,
            "password": server.password,
            **({"database": database} if database else {}),
        }
        ids[server.kind] = api.call("POST", "/connections", body, variable=variable)["id"]
    config = api.call(
        "POST",
        "/stream-configs",
        {
            "name": "shop to PostgreSQL",
            "mode": "convert",
            "source": {"connections": [{"connectionId": ids[source.kind], "database": DATABASE}]},
            "target": {
                "id": ids[target.kind],
                "spec": {"db": {"database": DATABASE, "schema": "public"}},
            },
        },
        variable="CONFIG",
    )
    stream = api.call("POST", f"/stream-configs/{config['id']}/start", variable="STREAM")["id"]
    console.print(f"• stream {stream}")
    stats = follow(console, api, stream, expected)
    rows, seconds = stats["target"]["counter"], stats["phases"].get("data") or stats["target"]["elapsed"]
    console.print(
        f"  {rows:,} rows in {seconds:.1f} s: {rows / max(seconds, 0.001):,.0f} rows/s; "
        + ", ".join(f"{name} {spent:.1f} s" for name, spent in stats["phases"].items())
        + f"; worker peak {stats['peakRssMb']:.0f} MB"
    )
    if rows != expected:
        raise Off(f"{expected:,} rows were made and {rows:,} arrived")
    verify(console, api, stream)


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


def verify(console: Console, api: ApiServer, stream: str) -> None:
    """Compare both sides by count and checksum. Raises Off when a table differs."""
    path = f"/streams/{stream}/verify"
    with step(console, "comparing every table on both sides"):
        job = api.call("POST", path)
        while job["status"] in ("READY", "STARTING", "RUNNING"):
            time.sleep(0.2)
            job = api.call("GET", path, remember=False)
        api.call("GET", path, until=job["status"])
        api.call("GET", path)
    result = job["result"]
    if job["status"] != "FINISHED" or not result:
        raise Off(f"the comparison is {job['status']}: {job['error']}")
    table = Table("table", "rows MariaDB", "rows PostgreSQL", "seconds", "equal")
    for verdict in sorted(result["tables"], key=lambda verdict: -verdict["rowsSource"]):
        counts = f"{verdict['rowsSource']:,}", f"{verdict['rowsTarget']:,}"
        equal = "yes" if verdict["equal"] else "NO"
        table.add_row(verdict["table"], *counts, f"{verdict['seconds']:.2f}", equal)
    console.print(table)
    if not result["equal"] or len(result["tables"]) != len(TABLES):
        raise Off("source and target differ")


def ask(console: Console, source: MysqlEndpoint, target: PostgresEndpoint) -> None:
    """One query on both ends. Raises Off when the answers differ."""
    there = target.query(QUESTION, database=DATABASE)
    table = Table("country", "orders", "pieces", title="PostgreSQL answers: orders by country")
    for row in there:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row))
    console.print(table)
    here = source.query(QUESTION, database=DATABASE)
    if [tuple(map(str, row)) for row in here] != [tuple(map(str, row)) for row in there]:
        raise Off(f"MariaDB answers the same query differently: {here}")


def show_calls(console: Console, api: ApiServer) -> None:
    """The calls made, as lines for a shell."""
    console.print("\nThe same by hand, to paste into a shell while `make demo ARGS=--keep` waits:\n")
    for line in api.script():
        console.print(line, markup=False, emoji=False)


if __name__ == "__main__":
    main()
