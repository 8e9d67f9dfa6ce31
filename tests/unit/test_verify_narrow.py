"""Narrowing over two sides held in memory: what is found must be what a comparison of sets finds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

import pytest

from engine.connectors.base import KeyRange
from engine.streams import verify_narrow
from engine.streams.verify import _even_ranges
from engine.streams.verify_columns import Layout
from engine.streams.verify_narrow import compare_subset, narrow
from engine.streams.verify_sides import EVERY, MASK, Buckets, Pair, Side, _bucket, _by_bucket

Left = TypeVar("Left")
Right = TypeVar("Right")


class MemorySide(Side):
    """A Side over pairs of digests."""

    def __init__(self, pairs: list[Pair]) -> None:
        self._pairs = pairs

    def buckets(self, bounds: KeyRange | None, count: int) -> Any:
        return _by_bucket(self._pairs, count)

    def pairs(self, bounds: KeyRange | None, buckets: Buckets = EVERY) -> Iterator[Pair]:
        for pair in self._pairs:
            if buckets.numbers is None or _bucket(pair[0], buckets.count) in buckets.numbers:
                yield pair

    def values(self, bounds: KeyRange | None, keys: Collection[int]) -> Any:
        return {key: ({"k": key}, ()) for key, _ in self._pairs if key in keys}


def both(source: Callable[[], Left], target: Callable[[], Right]) -> tuple[Left, Right]:
    return source(), target()


KEYED = Layout((), (None,))  # type: ignore[arg-type]
KEYLESS = Layout((), ())


def rows(seed: int, number: int) -> list[Pair]:
    dice = random.Random(seed)
    return [(dice.getrandbits(64), dice.getrandbits(64)) for _ in range(number)]


@pytest.mark.parametrize("number", [1, 10, 5_000, 40_000])
def test_a_changed_a_missing_and_an_extra_row(number: int) -> None:
    source = [*rows(1, number), (MASK, 1), (0, 2)]
    target = [*rows(1, number)[::-1], (MASK, 3), (1 << 63, 4)]
    found = narrow(both, MemorySide(source), MemorySide(target), KEYED, None, number, 20)
    assert {(d.kind, d.key["k"]) for d in found if d.key} == {
        ("different", MASK),
        ("missing", 0),
        ("extra", 1 << 63),
    }


def test_no_more_than_wanted() -> None:
    found = narrow(both, MemorySide(rows(1, 9_000)), MemorySide([]), KEYED, None, 9_000, 20)
    assert len(found) == 20


@pytest.mark.parametrize("seed", range(20))
def test_keyless_rows_are_a_multiset(seed: int) -> None:
    dice = random.Random(seed)
    values = [dice.getrandbits(64) for _ in range(5)]
    source = [(value, value) for value in dice.choices(values, k=30)]
    target = [(value, value) for value in dice.choices(values, k=30)]
    found = narrow(both, MemorySide(source), MemorySide(target), KEYLESS, None, 30, 100)
    missing, extra = Counter(source) - Counter(target), Counter(target) - Counter(source)
    assert {(d.kind, d.digest, d.copies) for d in found} == {
        *(("missing", f"{key:016x}", copies) for (key, _), copies in missing.items()),
        *(("extra", f"{key:016x}", copies) for (key, _), copies in extra.items()),
    }
    subset = compare_subset(both, MemorySide(source), MemorySide(target), KEYLESS, None, 30, 100)
    assert subset.rows_target == 30 - sum(missing.values())
    assert subset.equal is (not missing)


@pytest.mark.parametrize("part", [1 << 20, 100])
def test_the_rest_of_the_target_is_not_looked_at(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(verify_narrow, "_PART_ROWS", part)
    source = rows(1, 1_000)
    target = [*rows(2, 3_000), *source]
    result = compare_subset(both, MemorySide(source), MemorySide(target), KEYED, None, 1_000, 20)
    assert (result.rows_source, result.rows_target, result.equal, result.differences) == (
        1_000,
        1_000,
        True,
        (),
    )
    target[-1] = (target[-1][0], 5)
    result = compare_subset(
        both, MemorySide(source), MemorySide(target[:-3] + target[-2:]), KEYED, None, 1_000, 20
    )
    assert (result.rows_source, result.rows_target, result.equal) == (1_000, 999, False)
    assert sorted(d.kind for d in result.differences) == ["different", "missing"]


@pytest.mark.parametrize(
    ("low", "high", "number"),
    [(1, 1, 3), (0, 2**64 - 1, 7), (-(2**63), 2**63 - 1, 4), (5, 6, 10), (-10, 10, 1)],
)
def test_ranges_are_the_whole_axis(low: int, high: int, number: int) -> None:
    ranges = list(_even_ranges("k", low, high, number))
    assert ranges[0].lower is None
    assert ranges[-1].upper is None
    assert [r.upper for r in ranges[:-1]] == [r.lower for r in ranges[1:]]
    assert len(ranges) <= number
