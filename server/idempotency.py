"""Idempotency-Key: the first answer of a mutating call, kept for a day and given again.

Kept in a small SQLite file of its own, so that a client that retries across a restart of the server is
answered too. What is kept is the answer as it was sent, in which secrets are masked. The request is kept only
as a digest, keyed by the client's Idempotency-Key, which is itself kept only as a digest: who steals the file
cannot try passwords against it. Only successes are kept: a call that failed changed nothing, and doing it
again is what its caller wants.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.errors import Code, EngineError

KEPT_SECONDS = 24 * 3600
KEPT_ANSWERS = 10_000
MAX_ANSWER = 256 * 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer to give again. location: its Location header, empty when it had none."""

    status: int
    body: bytes
    location: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to run a call for the first time; hand it back with `finish` or `abandon`."""

    owner: str
    name: bytes
    digest: bytes


def digest_of(key: str, method: str, path: str, query: bytes, body: bytes) -> bytes:
    """What makes two requests under one Idempotency-Key the same one."""
    whole = hmac.new(key.encode(), digestmod="sha256")
    for part in (method.encode(), path.encode("utf-8", "surrogateescape"), query, body):
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.digest()


class IdempotencyStore:
    """Thread-safe; every method blocks on a local file for a moment."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        os.chmod(path, 0o600)
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[tuple[str, bytes], bytes] = {}
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS answer (owner TEXT, name BLOB, digest BLOB NOT NULL,"
            " at REAL NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL, location TEXT NOT NULL,"
            " PRIMARY KEY (owner, name)) WITHOUT ROWID"
        )
        self._db.execute("CREATE INDEX IF NOT EXISTS answer_at ON answer (at)")

    def begin(self, owner: str, key: str, digest: bytes) -> Kept | Ticket:
        """The kept answer, or the right to make it. IDEMPOTENCY_CONFLICT when the key stands for another
        request, or its first request is still running."""
        name = hashlib.sha256(b"idempotency key\0" + key.encode()).digest()
        with self._lock, _translated():
            row = self._db.execute(
                "SELECT digest, status, body, location FROM answer WHERE owner = ? AND name = ? AND at > ?",
                (owner, name, self._clock() - KEPT_SECONDS),
            ).fetchone()
            if row is not None:
                if row[0] != digest:
                    raise _conflict("this Idempotency-Key was used for a different request")
                return Kept(*row[1:])
            if (owner, name) in self._running:
                if self._running[owner, name] != digest:
                    raise _conflict("this Idempotency-Key is in use by a different request")
                raise _conflict("the first request with this Idempotency-Key is still running")
            self._running[owner, name] = digest
            return Ticket(owner, name, digest)

    def finish(self, ticket: Ticket, kept: Kept) -> None:
        """Keep the answer; the oldest go when there are too many."""
        with self._lock, _translated():
            self._running.pop((ticket.owner, ticket.name), None)
            if len(kept.body) > MAX_ANSWER:
                return
            now = self._clock()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute("DELETE FROM answer WHERE at <= ?", (now - KEPT_SECONDS,))
                self._db.execute(
                    "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (ticket.owner, ticket.name, ticket.digest, now, *_columns(kept)),
                )
                self._db.execute(
                    "DELETE FROM answer WHERE (owner, name) IN (SELECT owner, name FROM answer"
                    " ORDER BY at DESC LIMIT -1 OFFSET ?)",
                    (KEPT_ANSWERS,),
                )
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def abandon(self, ticket: Ticket) -> None:
        """The call failed: the key is free again."""
        with self._lock:
            self._running.pop((ticket.owner, ticket.name), None)

    def close(self) -> None:
        with self._lock:
            self._db.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise EngineError(
            Code.STORE_UNAVAILABLE, f"the store of idempotent answers cannot be used: {error}"
        ) from error


def _columns(kept: Kept) -> tuple[int, bytes, str]:
    return kept.status, kept.body, kept.location


def _conflict(message: str) -> EngineError:
    return EngineError(Code.IDEMPOTENCY_CONFLICT, message)
