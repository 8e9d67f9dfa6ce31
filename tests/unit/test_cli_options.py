"""The small parts of the command line: options as they are typed, figures as they are shown."""

from __future__ import annotations

from typing import Any

import pytest

from engine import EngineError
from server import copying, terminal


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, None),
        ([], None),
        (["a"], ["a"]),
        (["a,b", "c"], ["a", "b", "c"]),
        (["a,,b,"], ["a", "b"]),
        (['"with,comma"', "b"], ["with,comma", "b"]),
        (["dot.ted"], ["dot.ted"]),
    ],
)
def test_names(given: list[str] | None, names: list[str] | None) -> None:
    assert copying.names(given) == names


def test_policies() -> None:
    assert copying.policies(["zeroDate=null", "enum=text"]) == {"zeroDate": "null", "enum": "text"}
    with pytest.raises(EngineError, match="NAME=VALUE"):
        copying.policies(["zeroDate"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("1970-01-02", 86_400.0), ("1970-01-01T01:00:00+01:00", 0.0)],
)
def test_moments_are_utc_unless_they_say_otherwise(text: str | None, seconds: float | None) -> None:
    assert copying.moment(text) == seconds


def test_a_moment_that_is_none() -> None:
    with pytest.raises(EngineError, match="2027-01-31"):
        copying.moment("tomorrow")


@pytest.mark.parametrize(
    ("url", "completed"),
    [
        ("mysql://u@h/d", "mysql://u:p%40ss%2F@h/d"),
        ("mysql://u@h:3306/d?ssl-mode=require", "mysql://u:p%40ss%2F@h:3306/d?ssl-mode=require"),
        ("mysql://u:own@h/d", "mysql://u:own@h/d"),
        ("mysql://h/d", "mysql://h/d"),
    ],
)
def test_a_password_from_the_environment(url: str, completed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_PASSWORD", "p@ss/")
    assert copying.with_password(url, "THE_PASSWORD") == completed
    monkeypatch.delenv("THE_PASSWORD")
    assert copying.with_password(url, "THE_PASSWORD") == url


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (3e15, "3000.0 TB")]
)
def test_sizes(count: float, shown: str) -> None:
    assert terminal.size(count) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(5, "5 s"), (120, "2 min"), (7200, "2.0 h")])
def test_durations(seconds: float, shown: str) -> None:
    assert terminal.duration(seconds) == shown


def stats(**changes: Any) -> dict[str, Any]:
    target = {"rate": 100.0, "counter": 1000, "elapsed": 10.0}
    return {"stage": 3, "estimatedRows": 3000, "target": {**target, **changes.pop("target", {})}, **changes}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (stats(), ", about 20 s left"),
        (stats(target={"elapsed": 1.0}), ""),  # not steady yet
        (stats(target={"rate": 0.0}), ""),
        (stats(estimatedRows=None), ""),
        (stats(target={"counter": 4000}), ""),  # past the estimate: nothing sensible to say
        (stats(stage=2), ""),
    ],
)
def test_a_remaining_time_is_shown_only_when_it_means_something(given: dict[str, Any], shown: str) -> None:
    assert terminal.remaining(given) == shown


def test_a_stall_is_said() -> None:
    assert terminal.stalled(stats(target={"rate": 0.0, "elapsed": 60.0}))
    assert not terminal.stalled(stats(target={"rate": 0.0, "elapsed": 5.0}))
