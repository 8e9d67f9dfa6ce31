"""The store of kept answers: whose, for how long, how many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import Code, EngineError
from server import idempotency
from server.idempotency import IdempotencyStore, Kept, Ticket, digest_of

KEPT = Kept(201, b'{"id":"x"}', "/x")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[IdempotencyStore]:
    opened = IdempotencyStore(tmp_path / "kept.sqlite", clock)
    yield opened
    opened.close()


def begun(store: IdempotencyStore, key: str, digest: bytes = b"d", owner: str = "o") -> Ticket:
    ticket = store.begin(owner, key, digest)
    assert isinstance(ticket, Ticket)
    return ticket


@pytest.mark.parametrize(
    ("seconds", "kept"), [(0, True), (24 * 3600 - 1, True), (24 * 3600, False), (48 * 3600, False)]
)
def test_an_answer_is_kept_for_a_day(store: IdempotencyStore, clock: Clock, seconds: int, kept: bool) -> None:
    store.finish(begun(store, "k"), KEPT)
    clock.now += seconds
    found = store.begin("o", "k", b"d")
    assert (found == KEPT) is kept


@pytest.mark.parametrize("finished", [False, True])
def test_another_request_under_the_key_is_refused(store: IdempotencyStore, finished: bool) -> None:
    ticket = begun(store, "k")
    if finished:
        store.finish(ticket, KEPT)
    with pytest.raises(EngineError) as caught:
        store.begin("o", "k", b"other")
    assert caught.value.code is Code.IDEMPOTENCY_CONFLICT


def test_a_running_call_is_not_run_twice(store: IdempotencyStore) -> None:
    ticket = begun(store, "k")
    with pytest.raises(EngineError, match="still running"):
        store.begin("o", "k", b"d")
    store.abandon(ticket)
    begun(store, "k")


def test_the_oldest_go(store: IdempotencyStore, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "KEPT_ANSWERS", 3)
    for number in range(5):
        clock.now += 1
        store.finish(begun(store, f"k{number}"), KEPT)
    assert [isinstance(store.begin("o", f"k{number}", b"d"), Kept) for number in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_a_very_long_answer_is_not_kept(store: IdempotencyStore) -> None:
    store.finish(begun(store, "k"), Kept(200, b" " * (idempotency.MAX_ANSWER + 1), ""))
    begun(store, "k")


@pytest.mark.parametrize(
    "other",
    [
        ("k2", "POST", "/a", b"q", b"b"),
        ("k", "PUT", "/a", b"q", b"b"),
        ("k", "POST", "/ab", b"q", b"b"),
        ("k", "POST", "/a", b"", b"qb"),
        ("k", "POST", "/a", b"qb", b""),
        ("k", "POST", "/a", b"q", b"c"),
    ],
)
def test_what_makes_requests_equal(other: tuple[str, str, str, bytes, bytes]) -> None:
    same = ("k", "POST", "/a", b"q", b"b")
    assert digest_of(*same) == digest_of(*same)
    assert digest_of(*same) != digest_of(*other)


def test_the_file_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    IdempotencyStore(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
