from __future__ import annotations

from typing import Any

import pytest

from engine import clock
from engine.streams.lifecycle import Status
from engine.streams.progress import WINDOW, Progress, Rate


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(clock, "monotonic", lambda: self.now)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def tables(**changes: Any) -> dict[str, Any]:
    return {"t": "tables", "tables": [{"schema": "public", "table": "film", **changes}]}


def stats(progress: Progress, status: Status = Status.RUNNING) -> dict[str, Any]:
    return progress.stats("stream_1", "config_1", status)


def test_the_contract_s_fields_are_there() -> None:
    progress = Progress("mysql", "postgresql")
    progress.begin()
    progress.feed(tables(status="RUNNING", estimatedRows=10, rows=3, bytes=30))
    found = stats(progress)
    assert {"configID", "streamID", "status", "source", "target", "nodes", "tables", "stage"} <= set(found)
    ends = ["type", "status", "counter", "failedEvents", "dataSize", "avgRate", "elapsed", "activeNodes"]
    for end in ("source", "target"):
        assert set(ends) <= set(found[end])
    table = [
        "table",
        "schema",
        "status",
        "events",
        "size",
        "rate",
        "elapsed",
        "estimatedRows",
        "percentage",
        "phase",
    ]
    assert {*table, "percentage"} <= set(found["tables"][0])
    assert "error" not in found
    assert found["source"]["counter"] == found["target"]["counter"] == 3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rows": 50, "estimatedRows": 100}, 50.0),
        ({"rows": 250, "estimatedRows": 100}, 99.9),  # an estimate too low never shows a finished table
        ({"rows": 5, "estimatedRows": 0}, 0.0),
        ({"rows": 5}, None),
        (
            {"rows": 40, "estimatedRows": 100, "status": "FINISHED"},
            100.0,
        ),  # nor one too high an unfinished one
    ],
)
def test_percentage(changes: dict[str, Any], expected: float | None) -> None:
    """slug: progress-percentage"""
    progress = Progress("mysql", "postgresql")
    progress.feed(tables(**changes))
    assert stats(progress)["tables"][0]["percentage"] == expected


def test_a_rate_is_smoothed_and_falls_when_nothing_comes(time: Clock) -> None:
    """slug: progress-rate"""
    rate = Rate()
    for second in range(60):
        rate.add(time.now + second, 1_000 * second)
    time.now += 59
    assert rate.value(time.now) == pytest.approx(1_000, rel=0.05)
    assert rate.value(time.now + WINDOW) < 600
    assert len(rate._samples) < 100


def test_a_rate_starts_anew_when_an_attempt_counts_from_what_was_committed(time: Clock) -> None:
    rate = Rate()
    rate.add(0.0, 5_000)
    rate.add(1.0, 9_000)
    rate.add(2.0, 4_000)
    assert rate.value(3.0) == 0.0
    rate.add(4.0, 6_000)
    assert rate.value(4.0) == 1_000


def test_elapsed_counts_the_time_at_work_over_attempts(time: Clock) -> None:
    progress = Progress("mysql", "postgresql")
    progress.begin()
    time.now += 10
    progress.end()
    time.now += 500  # paused
    assert progress.elapsed == 10
    resumed = Progress("mysql", "postgresql", stats(progress, Status.PAUSED))
    resumed.begin()
    time.now += 5
    assert resumed.elapsed == 15


def test_stored_stats_come_back_as_they_were(time: Clock) -> None:
    progress = Progress("mysql", "postgresql")
    progress.begin()
    progress.feed({"t": "stage", "stage": 3})
    progress.feed({"t": "phase", "name": "data", "seconds": 1.5})
    progress.feed({"t": "usage", "peakRssBytes": 200 * 2**20})
    progress.feed(tables(status="RUNNING", rows=7, bytes=70, estimatedRows=10, chunks=4))
    time.now += 2
    progress.feed(tables(status="FINISHED", rows=10, bytes=100, phase="done"))
    progress.end()
    before = stats(progress, Status.FINISHED)
    after = stats(Progress("mysql", "postgresql", before), Status.FINISHED)
    assert after["tables"] == before["tables"]
    assert after["tables"][0]["chunks"] == 4
    assert (after["stage"], after["phases"], after["peakRssMb"]) == (3, {"data": 1.5}, 200.0)
    assert after["target"] == before["target"]


def test_tables_that_were_running_when_the_worker_left_are_not_running_any_more(time: Clock) -> None:
    progress = Progress("mysql", "postgresql")
    progress.begin()
    progress.feed(tables(status="RUNNING", rows=7))
    time.now += 3
    progress.end()
    table = stats(progress, Status.PAUSED)["tables"][0]
    assert (table["status"], table["elapsed"]) == ("READY", 3.0)


def test_a_finished_stream_has_only_finished_tables(time: Clock) -> None:
    progress = Progress("mysql", "postgresql")
    progress.begin()
    progress.feed(tables(status="RUNNING", rows=7, estimatedRows=900))
    progress.end()
    progress.complete()
    found = stats(progress, Status.FINISHED)
    assert (found["stage"], found["tables"][0]["status"], found["tables"][0]["percentage"]) == (
        5,
        "FINISHED",
        100,
    )
