from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import clock
from engine.errors import Code, EngineError
from engine.keys import Keys
from engine.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store.sqlite")
    yield store
    store.close()


@pytest.fixture
def keys(store: Store) -> Keys:
    return Keys(store)


def test_a_key_is_shown_once_and_stored_as_a_digest(keys: Keys, store: Store) -> None:
    """slug: api-keys-hashed"""
    made = keys.create("ci")
    assert re.fullmatch(r"dbs_[0-9A-Za-z]{43}", made["key"])
    assert keys.authenticate(made["key"]).id == made["id"]
    assert "key" not in keys.list()["items"][0]
    secret = made["key"].removeprefix("dbs_")
    for file in store.path.parent.iterdir():
        assert secret.encode() not in file.read_bytes()
    with sqlite3.connect(store.path) as raw:
        (digest,) = raw.execute("SELECT digest FROM api_keys").fetchone()
    assert len(digest) == 32


@pytest.mark.parametrize("wrong", ["", "dbs_", "x" * 47, "dbs_" + "0" * 43, "ключ", "\ud800", "a" * 100_000])
def test_anything_else_is_refused(keys: Keys, wrong: str) -> None:
    keys.create("ci")
    with pytest.raises(EngineError) as caught:
        keys.authenticate(wrong)
    assert caught.value.code is Code.AUTHENTICATION_FAILED
    assert not wrong or wrong not in caught.value.message or len(wrong) < 5


def test_a_revoked_key_is_refused_at_once(keys: Keys) -> None:
    made = keys.create("ci")
    info = keys.authenticate(made["key"])
    keys.revoke(made["id"])
    keys.revoke(made["id"])
    for use in (lambda: keys.authenticate(made["key"]), lambda: keys.require_subscription(info)):
        with pytest.raises(EngineError):
            use()
    (listed,) = keys.list()["items"]
    assert (listed["revoked"], listed["status"]) == (True, "revoked")
    with pytest.raises(EngineError) as caught:
        keys.revoke("key_unknown")
    assert caught.value.code is Code.KEY_NOT_FOUND


@pytest.mark.parametrize(
    ("subscription", "limits", "used", "allowed"),
    [
        ("active", {}, (10**15, 10**9), True),
        ("active", {"until": 100.0}, (0, 0), False),
        ("active", {"until": 4e9}, (0, 0), True),
        ("expired", {}, (0, 0), False),
        ("none", {}, (0, 0), False),
        ("trial", {}, (10**15, 0), True),
        ("trial", {"until": 100.0}, (0, 0), False),
        ("trial", {"byte_limit": 1000}, (999, 0), True),
        ("trial", {"byte_limit": 1000}, (1000, 0), False),
        ("trial", {"cdc_seconds_limit": 60}, (0, 59.0), True),
        ("trial", {"cdc_seconds_limit": 60}, (0, 60.0), False),
    ],
)
def test_what_a_subscription_allows(
    keys: Keys, subscription: Any, limits: dict[str, Any], used: tuple[int, float], allowed: bool
) -> None:
    """slug: subscription-states"""
    made = keys.create("ci", subscription, **limits)
    keys.charge(made["id"], *used)
    info = keys.authenticate(made["key"])
    if allowed:
        keys.require_subscription(info)
        assert info.status == subscription
        return
    with pytest.raises(EngineError) as caught:
        keys.require_subscription(info)
    assert caught.value.code is Code.SUBSCRIPTION_REQUIRED
    assert info.status == ("none" if subscription == "none" else "expired")


def test_a_trial_lapses_while_it_is_used(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    made = keys.create("trial", "trial", until=clock.now() + 100)
    info = keys.authenticate(made["key"])
    keys.require_subscription(info)
    later = clock.now() + 101
    monkeypatch.setattr(clock, "now", lambda: later)
    with pytest.raises(EngineError, match="the trial ended on"):
        keys.require_subscription(info)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "a", "subscription": "gold"}, "subscription"),
        ({"name": "a", "byte_limit": 5}, "byteLimit"),
        ({"name": "a", "subscription": "trial", "cdc_seconds_limit": -1}, "cdcSecondsLimit"),
        ({"name": "a", "key": "short"}, "key"),
        ({"name": "a", "key": "with a blank in it, long enough"}, "key"),
    ],
)
def test_what_cannot_be_made(keys: Keys, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(EngineError) as caught:
        keys.create(**arguments)
    assert caught.value.code is Code.VALIDATION_FAILED
    assert caught.value.details["fields"][0]["field"] == field


def test_the_first_start_makes_one_key(keys: Keys) -> None:
    """slug: first-key"""
    first = keys.ensure_first()
    assert first is not None
    assert keys.authenticate(first).subscription == "active"
    assert keys.ensure_first() is None
    assert keys.list()["total"] == 1


def test_a_key_from_the_environment_is_provisioned_instead(keys: Keys) -> None:
    """slug: first-key"""
    given = "a-key-given-by-the-operator"
    assert keys.ensure_first(given) is None
    assert keys.ensure_first(given) is None
    assert keys.authenticate(given).name == "environment"
    assert keys.list()["total"] == 1
