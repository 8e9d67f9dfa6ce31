from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from engine import clock, ids


def test_ids_increase_strictly_from_any_thread() -> None:
    """slug: ids-monotonic"""
    made = [ids.new("conn") for _ in range(5_000)]
    assert made == sorted(set(made))
    with ThreadPoolExecutor(8) as pool:
        many = list(pool.map(lambda _: ids.new("conn"), range(4_000)))
    assert len(set(many)) == 4_000
    assert min(many) > made[-1]


def test_a_clock_that_steps_back_does_not_reorder_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """slug: ids-monotonic"""
    before = ids.new("run")
    monkeypatch.setattr(clock, "now", lambda: 1_000.0)
    assert ids.new("run") > before


@pytest.mark.parametrize(
    ("prefix", "value", "expected"),
    [
        ("conn", "conn_01J8ZQ4T9V6K3M2N1P0R5S7W8X", True),
        ("conn", "stream_01J8ZQ4T9V6K3M2N1P0R5S7W8X", False),
        ("conn", "conn_01j8zq4t9v6k3m2n1p0r5s7w8x", False),
        ("conn", "conn_", False),
        ("conn", "conn_01J8ZQ4T9V6K3M2N1P0R5S7W8!", False),
        ("conn", "../../etc/passwd", False),
    ],
)
def test_the_form_of_an_id(prefix: str, value: str, expected: bool) -> None:
    assert ids.is_a(prefix, value) is expected


def test_every_kind_is_recognised() -> None:
    for prefix in (ids.CONNECTION, ids.CONFIG, ids.STREAM, ids.RUN, ids.KEY):
        assert ids.is_a(prefix, ids.new(prefix))
