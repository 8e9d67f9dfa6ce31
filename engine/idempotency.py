"""Answers of mutating calls, kept for a day under the caller's `Idempotency-Key`."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa

from engine import clock
from engine.errors import Code, EngineError
from engine.store import Store, idempotency

KEPT_SECONDS = 24 * 3600.0
ABANDONED_SECONDS = 600.0  # a call without an answer for so long died with its server


class Idempotency:
    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, scope: str, key: str, request: bytes) -> Any | None:
        """The kept answer of an equal call, or None: then carry the call out and `finish` or `forget` it.

        scope: who asks and for what (key id, method, path). IDEMPOTENCY_CONFLICT when the key was used for
        another request, or the first call is still running.
        """
        name, fingerprint, now = _name(scope, key), hashlib.sha256(request).hexdigest(), clock.now()
        with self._store.write() as connection:
            connection.execute(
                sa.delete(idempotency).where(
                    sa.or_(
                        idempotency.c.created < now - KEPT_SECONDS,
                        sa.and_(
                            idempotency.c.answer.is_(None), idempotency.c.created < now - ABANDONED_SECONDS
                        ),
                    )
                )
            )
            row = connection.execute(sa.select(idempotency).where(idempotency.c.key == name)).one_or_none()
            if row is None:
                connection.execute(
                    sa.insert(idempotency).values(key=name, fingerprint=fingerprint, created=now)
                )
                return None
        if row.fingerprint != fingerprint:
            raise EngineError(
                Code.IDEMPOTENCY_CONFLICT, "this Idempotency-Key was used for another request", key=key
            )
        if row.answer is None:
            raise EngineError(
                Code.IDEMPOTENCY_CONFLICT,
                "the first call with this Idempotency-Key is still running",
                key=key,
            )
        return row.answer

    def finish(self, scope: str, key: str, answer: Any) -> None:
        """Keep the answer (JSON: say status and body)."""
        with self._store.write() as connection:
            connection.execute(
                sa.update(idempotency).where(idempotency.c.key == _name(scope, key)).values(answer=answer)
            )

    def forget(self, scope: str, key: str) -> None:
        """The call failed in a way that may be tried again."""
        with self._store.write() as connection:
            connection.execute(sa.delete(idempotency).where(idempotency.c.key == _name(scope, key)))


def _name(scope: str, key: str) -> str:
    return hashlib.sha256(f"{scope}\0{key}".encode()).hexdigest()
