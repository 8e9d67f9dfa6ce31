"""What a start loads, and the process that is started ahead of its job. Modules are counted, never seconds:
each of those below takes longer to load than a small table takes to copy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import EngineError
from engine.streams import process

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "boto3",
    "botocore",
    "connectorx",
    "duckdb",
    "pandas",
    "pyarrow.compute",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "rich",
    "sqlalchemy",
    "sqlglot",
    "typer",
)
COMMAND = "import server.cli, engine.api"
WORKER = "import engine.streams.worker as worker; worker._load(['{}', '{}'])"


@pytest.mark.parametrize(
    ("code", "loaded", "absent"),
    [
        (COMMAND, {"sqlalchemy"}, {*HEAVY, "numpy", "psycopg", "pyarrow", "pymysql"} - {"rich", "typer"}),
        (WORKER.format("mysql", "postgresql"), {"pymysql", "psycopg", "engine.streams.run"}, {*HEAVY}),
        (WORKER.format("mariadb", "postgresql"), {"pymysql", "psycopg"}, {*HEAVY}),
        (WORKER.format("postgresql", "postgresql"), {"psycopg"}, {*HEAVY, "pymysql"}),
        (WORKER.format("mysql", "mysql"), {"pymysql"}, {*HEAVY, "psycopg"}),
        (
            WORKER.format("mysql", "duckdb"),
            {"pymysql", "duckdb"},
            {"boto3", "connectorx", "psycopg", "sqlalchemy"},
        ),
    ],
    ids=["command", "mysql-postgres", "mariadb-postgres", "postgres-postgres", "mysql-mysql", "mysql-duckdb"],
)
def test_a_start_loads_what_its_route_needs(code: str, loaded: set[str], absent: set[str]) -> None:
    absent -= loaded
    report = "import sys; print('\\n'.join(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules = set(shown.stdout.split())
    assert loaded <= modules
    assert modules & absent == set()


@pytest.fixture
def ahead() -> Iterator[process.Process]:
    process.start_ahead("mysql", "postgresql")
    taken = process.take()
    yield taken
    if taken.popen.poll() is None:
        taken.discard()


def test_the_next_worker_takes_the_process_started_ahead() -> None:
    process.start_ahead("mysql", "postgresql")
    process.start_ahead("mysql", "postgresql")  # one is enough
    first = process.take()
    second = process.take()
    try:
        assert first.popen.args[-2:] == ["mysql", "postgresql"]  # type: ignore[index]
        assert second.popen.args[-1].isdigit()  # type: ignore[index, union-attr]
        assert first.popen.pid != second.popen.pid
    finally:
        first.discard()
        second.discard()


def test_a_process_without_a_job_leaves_with_its_caller(ahead: process.Process) -> None:
    assert ahead.popen.stdin is not None
    ahead.popen.stdin.close()
    assert ahead.popen.wait(60) == 0


def test_one_that_died_is_not_taken() -> None:
    process.start_ahead("mysql", "postgresql")
    dead = process.take()
    dead.popen.kill()
    dead.popen.wait()
    process._ahead._waiting = dead
    taken = process.take()
    assert taken.popen.pid != dead.popen.pid
    taken.discard()


def test_discarding_ends_what_waits_and_is_harmless_without() -> None:
    process.start_ahead()
    waiting = process._ahead._waiting
    assert waiting is not None
    process.discard_ahead()
    assert waiting.popen.poll() is not None
    process.discard_ahead()


def test_a_wrong_url_starts_nothing() -> None:
    import engine

    with pytest.raises(EngineError):
        engine.worker_ahead("mysql://u@h/d", "http://x/y")
    assert process._ahead._waiting is None
