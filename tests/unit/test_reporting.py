from __future__ import annotations

import os
import threading
from datetime import date
from decimal import Decimal
from typing import Any

import orjson
import pytest

from engine.streams.reporting import MAX_LOGS, PipeReport, encode, peak_rss


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1: "a"}, {"1": "a"}),
        (2**64 - 1, 2**64 - 1),
        (2**70, str(2**70)),
        ([Decimal("1.10"), date(2024, 2, 29)], ["1.10", "2024-02-29"]),
        (b"\x00\xff", "0x00ff"),
        ("half a pair \ud83d", "half a pair \\ud83d"),
        ({"key": (2**70, b"\x01", None, 1.5)}, {"key": [str(2**70), "0x01", None, 1.5]}),
    ],
)
def test_any_value_of_an_error_crosses_the_pipe(value: Any, expected: Any) -> None:
    """slug: report-any-value"""
    assert orjson.loads(encode({"details": value})) == {"details": expected}


def read_all(descriptor: int) -> list[dict[str, Any]]:
    with os.fdopen(descriptor, "rb") as lines:
        return [orjson.loads(line) for line in lines]


def test_numbers_are_summed_and_the_result_comes_last() -> None:
    """slug: report-coalesced"""
    reading, writing = os.pipe()
    report = PipeReport(writing, "verbose", on_broken=lambda: None)
    report.started()
    report.table("s", "t", status="RUNNING", rows=100, bytes=1000)
    for _ in range(500):
        report.progress("s", "t", 1, 10)
    report.log("info", "done", tableName="t")
    report.sql({"query": "SELECT 1"})
    report.finish({"status": "FINISHED"})
    os.close(writing)
    messages = read_all(reading)
    tables = [message for message in messages if message["t"] == "tables"]
    assert len(tables) <= 3
    assert tables[-1]["tables"] == [
        {"schema": "s", "table": "t", "status": "RUNNING", "rows": 600, "bytes": 6000}
    ]
    assert messages[-1]["t"] == "result"
    assert messages[-1]["peakRssBytes"] > 0


def test_a_reader_that_stands_still_never_blocks_the_work() -> None:
    """slug: report-bounded"""
    reading, writing = os.pipe()
    report = PipeReport(writing, "off", on_broken=lambda: None)
    for number in range(20 * MAX_LOGS):
        report.log("info", f"{number} " + "x" * 200)
    assert len(report._logs) <= MAX_LOGS
    collected: list[dict[str, Any]] = []
    reader = threading.Thread(target=lambda: collected.extend(read_all(reading)))
    reader.start()
    report.finish({"status": "FINISHED"})
    os.close(writing)
    reader.join()
    kept = sum(len(message["entries"]) for message in collected if message["t"] == "logs")
    dropped = sum(message["count"] for message in collected if message["t"] == "dropped")
    assert kept + dropped == 20 * MAX_LOGS


def test_a_supervisor_that_is_gone_is_told_once() -> None:
    reading, writing = os.pipe()
    told = threading.Event()
    report = PipeReport(writing, "off", on_broken=told.set)
    os.close(reading)
    report.log("info", "nobody hears")
    assert told.wait(10)
    report.finish({"status": "PAUSED"})
    os.close(writing)


def test_peak_memory_is_this_program_s_own() -> None:
    assert 5 * 2**20 < peak_rss() < 2**40
