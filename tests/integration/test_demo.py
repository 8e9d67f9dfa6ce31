"""The demo as a whole, interrupted, and where servers cannot be had."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import duckdb
import pytest

from benchmarks import demo, sample_files
from benchmarks.sample_tables import TABLES
from benchmarks.servers import ServerMissing

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where everything the demo makes has to be, and where nothing may be afterwards."""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o755)
        yield Path(path)


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.demo", "--scale", "0.01", *options],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder), "DBSTREAMS_SERVERS_DIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def running_in(folder: Path) -> list[str]:
    """Command lines of processes that name the folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


WAYS = pytest.mark.parametrize("options", [(), ("--without-servers",)], ids=["servers", "files"])


@pytest.mark.parametrize("fallback", ["0", "1"])
def test_moves_verifies_and_leaves_nothing(
    folder: Path, fallback: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBSTREAMS_DEMO_FALLBACK", fallback)
    with start(folder) as process:
        printed, _ = process.communicate(timeout=240)
    assert process.returncode == 0, printed
    assert "rows/s" in printed
    assert re.findall(r"│ (yes|NO) ", printed) == ["yes"] * 17
    assert printed.count("curl -sS -X POST") == 5  # two connections, config, start, verify
    assert ("DuckDB answers" in printed) is (fallback == "1")
    assert list(folder.iterdir()) == []
    assert running_in(folder) == []


@pytest.mark.parametrize(
    ("after", "options"),
    [
        ("making the sample", ()),
        ("starting dbstreams", ()),
        ("• stream", ()),
        ("• stream", ("--without-servers",)),
    ],
)
def test_ctrl_c_at_any_moment_ends_with_130_and_leaves_nothing(
    folder: Path, after: str, options: tuple[str, ...]
) -> None:
    with start(folder, *options) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if after in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read()
    assert process.returncode == 130, rest
    assert list(folder.iterdir()) == []
    assert running_in(folder) == []


@WAYS
def test_the_lines_it_prints_do_the_same_again(folder: Path, options: tuple[str, ...]) -> None:
    with start(folder, "--keep", *options) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Everything stays up" in line:
                break
        printed = "".join(lines)
        try:
            script = printed.partition("waits:")[2].partition("Everything stays up")[0]
            again = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=120
            )
            assert again.returncode == 0, again.stdout + again.stderr + printed
            verified = json.loads(again.stdout[again.stdout.rindex('{"id":"job_') :])
            assert verified["result"]["equal"] is True
            assert len(verified["result"]["tables"]) == 17
        finally:
            process.send_signal(signal.SIGINT)
            process.stdout.read()
    assert process.returncode == 0
    assert running_in(folder) == []


def test_without_servers_it_says_so_and_shows_the_embedded_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> NoReturn:
        raise ServerMissing("mariadbd is not installed (make setup installs it)")

    monkeypatch.setattr(demo, "MariaDB", missing)
    monkeypatch.setattr(sys, "argv", ["demo", "--scale", "0.01"])
    monkeypatch.setenv("DBSTREAMS_SERVERS_DIR", str(folder))
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        demo.main()
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    printed = capsys.readouterr().out
    assert "mariadbd is not installed" in printed
    assert re.findall(r"│ (yes|NO) ", printed) == ["yes"] * 17
    assert list(folder.iterdir()) == []


def test_the_sample_files_are_the_same_every_time_and_their_keys_hold(tmp_path: Path) -> None:
    rows = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        rows.append(sample_files.write(tmp_path / name, 0.01))
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(f"{table}.csv" for table in TABLES)
    assert rows[0] == rows[1] > 10_000
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with duckdb.connect() as session:
        for child, column, parent in (
            ("orders", "customer_id", "customers"),
            ("orders", "address_id", "addresses"),
            ("order_items", "order_id", "orders"),
            ("order_items", "product_id", "products"),
            ("products", "brand_id", "brands"),
            ("reviews", "customer_id", "customers"),
        ):
            ends = [f"read_csv('{tmp_path}/one/{table}.csv')" for table in (child, parent)]
            orphans = session.execute(
                f"SELECT count(*) FROM {ends[0]} c WHERE c.{column} IS NOT NULL AND NOT EXISTS"
                f" (SELECT 1 FROM {ends[1]} p WHERE p.id = c.{column})"
            ).fetchone()
            assert orphans == (0,), (child, column)
