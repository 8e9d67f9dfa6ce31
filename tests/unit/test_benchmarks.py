"""What the benchmark says about a command, and how it tells it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks import report
from benchmarks.measure import CommandFailed, cpu_seconds, measured
from benchmarks.peers import PEERS, peers_of
from benchmarks.peers.pgloader import _data_seconds
from benchmarks.report import Result, Sample

BUSY = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nprint('done')"
HOLD = "import time\nheld = bytearray(200 << 20)\nheld[::4096] = b'x' * len(held[::4096])\ntime.sleep(0.4)"


def test_cpu_counts_what_a_command_started() -> None:
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}], check=True)"
    usage = measured([sys.executable, "-c", nested])
    assert usage.output == "done\n"
    assert 0.3 <= usage.cpu_seconds < 20
    assert usage.seconds > 0


def test_memory_is_the_most_that_was_held_at_once() -> None:
    usage = measured([sys.executable, "-c", HOLD])
    assert 200 < usage.peak_rss_mb < 400


def test_a_failed_command_is_told_with_what_it_said() -> None:
    with pytest.raises(CommandFailed, match=r"(?s)ended with 3.*out.*err"):
        measured([sys.executable, "-c", "import sys; print('out'); sys.stderr.write('err'); sys.exit(3)"])


def test_cpu_seconds_of_a_tree_include_ended_children() -> None:
    before = cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", BUSY], check=True, stdout=subprocess.DEVNULL)
    assert cpu_seconds(os.getpid()) - before >= 0.25


def sample(data: float) -> Sample:
    return Sample(data, data + 1, 0.5, 0.25, 0.125, 100 + data, "a note")


def test_the_table() -> None:
    results = [
        Result("ours", "0.1", samples=[sample(2.0), sample(1.0), sample(6.0)]),
        Result("DuckDB", "1.5", samples=[sample(4.0)], gil_share=0.42),
        Result("absent", missing="not installed"),
    ]
    text = report.markdown("A → B", 2_000_000, results, "DuckDB", {"A": "1", "B": "2"})
    lines = text.splitlines()
    assert lines[0] == "# A → B, 2,000,000 rows"
    assert "| ours | 2.00 | 1.00–6.00 | 0.50 | 3.00 | 0.50 | 0.25 | 0.12 | 106 | – |" in lines
    assert "| DuckDB | 4.00 | 4.00–4.00 | 1.00 | 5.00 | 0.50 | 0.25 | 0.12 | 104 | 42% |" in lines
    assert "| absent | not installed | | | | | | | | |" in lines
    assert "Servers: A 1; B 2." in lines
    assert report.as_json("A → B", 1, results, "DuckDB", {})["results"][0]["samples"][1]["data"] == 1.0


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("COPY Threads Completion          0          4                     0.808s", 0.808),
        ("COPY Threads Completion          0          4                     1m2.345s  ", 62.345),
        ("      Total import time          ✓     200000    14.6 MB          0.856s", None),
    ],
)
def test_pgloader_s_clock(line: str, seconds: float | None) -> None:
    assert _data_seconds(f"before\n{line}\nafter\n") == pytest.approx(seconds)


def test_peers_have_names_of_their_own() -> None:
    every = peers_of([name for name in PEERS if name not in ("native", "connectorx")])
    assert len({peer.name for peer in every}) == len(every) == 8
    assert all("|" not in peer.name for peer in every)  # they stand in a Markdown table
    with pytest.raises(KeyError):
        peers_of(["nobody"])
