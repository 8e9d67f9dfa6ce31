"""Identifiers: a prefix that says the kind, then a ULID, so that ids sort by the time they were made."""

from __future__ import annotations

import secrets
import threading
from typing import Final

from ulid import ULID

from engine import clock

CONNECTION: Final = "conn"
CONFIG: Final = "config"
STREAM: Final = "stream"
RUN: Final = "run"
KEY: Final = "key"
USER: Final = "user"
INSTALL: Final = "install"
JOB: Final = "job"

_lock = threading.Lock()
_last_ms = 0
_last_random = 0


def _ulid() -> ULID:
    # Within one millisecond, and when the wall clock steps back, the random part counts up instead of being
    # drawn again: ids of one process are strictly increasing (the ULID specification, "Monotonicity").
    global _last_ms, _last_random
    with _lock:
        moment = int(clock.now() * 1000)
        if moment > _last_ms:
            _last_ms, _last_random = moment, secrets.randbits(79)
        else:
            _last_random += 1
        return ULID.from_bytes(_last_ms.to_bytes(6, "big") + _last_random.to_bytes(10, "big"))


def new(prefix: str) -> str:
    """A new id such as `conn_01J…`: 26 Crockford base32 characters after the prefix, strictly increasing."""
    return f"{prefix}_{_ulid()}"


def is_a(prefix: str, value: str) -> bool:
    """Whether `value` has the form of an id of that kind; says nothing about its existence."""
    head, _, tail = value.partition("_")
    if head != prefix or len(tail) != 26:
        return False
    try:
        ULID.from_str(tail)
    except ValueError:
        return False
    return tail == tail.upper()
