"""API keys: made here, shown once, stored as digests; and what their subscription allows.

A key is `dbs_` and 32 random bytes in base62. With 256 bits of entropy a plain SHA-256 is enough: slow hashes
exist for passwords that can be guessed, and here they would only make every request slow.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from engine import clock, ids
from engine.errors import Code, EngineError
from engine.store import Store, api_keys

SUBSCRIPTIONS = ("active", "trial", "expired", "none")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 43  # base62 digits of 32 bytes
_PROVISIONED = re.compile(r"[\x21-\x7e]{16,256}")


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What is known of a key; never the key itself. Times are seconds since the epoch."""

    id: str
    name: str
    email: str
    hint: str
    created: float
    revoked: float | None
    subscription: str
    until: float | None
    byte_limit: int | None
    bytes_used: int
    cdc_seconds_limit: int | None
    cdc_seconds_used: float

    @property
    def lapsed(self) -> str | None:
        """Why streams may not run under this key, or None when they may."""
        if self.revoked is not None:
            return "the API key was revoked"
        if self.subscription in ("expired", "none"):
            return (
                "the subscription has expired"
                if self.subscription == "expired"
                else "there is no subscription"
            )
        if self.until is not None and clock.now() >= self.until:
            return f"the {self._word} ended on {clock.iso(self.until)}"
        if self.subscription == "trial":
            if self.byte_limit is not None and self.bytes_used >= self.byte_limit:
                return f"the trial's {self.byte_limit} bytes have been converted"
            if self.cdc_seconds_limit is not None and self.cdc_seconds_used >= self.cdc_seconds_limit:
                return f"the trial's {self.cdc_seconds_limit} seconds of cdc have been used"
        return None

    @property
    def _word(self) -> str:
        return "trial" if self.subscription == "trial" else "subscription"

    @property
    def status(self) -> str:
        """active, trial, expired or none: as it stands now."""
        if self.lapsed is None:
            return self.subscription
        return "none" if self.subscription == "none" else "expired"

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "email": self.email,
            "hint": self.hint,
            "created": int(self.created),
            "revoked": self.revoked is not None,
            "status": "revoked" if self.revoked is not None else self.status,
            "subscription": self.status,
            "until": None if self.until is None else clock.iso(self.until),
            "byteLimit": self.byte_limit,
            "bytesUsed": self.bytes_used,
            "cdcSecondsLimit": self.cdc_seconds_limit,
            "cdcSecondsUsed": round(self.cdc_seconds_used, 3),
        }


class Keys:
    def __init__(self, store: Store) -> None:
        self._store = store

    def create(
        self,
        name: str,
        subscription: Literal["active", "trial", "expired", "none"] = "active",
        until: float | datetime | None = None,
        *,
        email: str = "",
        byte_limit: int | None = None,
        cdc_seconds_limit: int | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        """The key's facts with `key` itself, which cannot be shown again. `key` provisions a given one.

        VALIDATION_FAILED for an empty name, an unknown subscription, a limit without a trial, a weak given
        key.
        """
        if not name.strip():
            raise _invalid("name", "a key needs a name")
        if subscription not in SUBSCRIPTIONS:
            raise _invalid("subscription", f"one of {', '.join(SUBSCRIPTIONS)}")
        for field, limit in (("byteLimit", byte_limit), ("cdcSecondsLimit", cdc_seconds_limit)):
            if limit is not None and (limit < 0 or subscription != "trial"):
                raise _invalid(field, "a limit of 0 or more, for a trial only")
        if key is not None and not _PROVISIONED.fullmatch(key):
            raise _invalid("key", "a given key is 16 to 256 printable ASCII characters without blanks")
        key = key or f"dbs_{_base62(secrets.token_bytes(32))}"
        if isinstance(until, datetime):
            until = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp()
        key_id = ids.new(ids.KEY)
        with self._store.write() as connection:
            taken = connection.scalar(sa.select(api_keys.c.id).where(api_keys.c.digest == _digest(key)))
            if taken is not None:
                raise EngineError(Code.NAME_TAKEN, "this key exists already", id=taken)
            connection.execute(
                sa.insert(api_keys).values(
                    id=key_id,
                    digest=_digest(key),
                    hint=f"{key[:8]}…",
                    name=name,
                    email=email,
                    created=clock.now(),
                    subscription=subscription,
                    until=until,
                    byte_limit=byte_limit,
                    cdc_seconds_limit=cdc_seconds_limit,
                )
            )
        return {**self.get(key_id).to_json(), "key": key}

    def list(self) -> dict[str, Any]:
        """`{items, total}`, oldest first, the revoked ones included; never a key itself."""
        with self._store.read() as connection:
            rows = connection.execute(sa.select(api_keys).order_by(api_keys.c.id)).all()
        return {"items": [_info(row).to_json() for row in rows], "total": len(rows)}

    def get(self, key_id: str) -> KeyInfo:
        with self._store.read() as connection:
            row = connection.execute(sa.select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
        if row is None:
            raise EngineError(Code.KEY_NOT_FOUND, f"there is no API key {key_id}", id=key_id)
        return _info(row)

    def revoke(self, key_id: str) -> None:
        """At once and for ever; the row stays for the record. KEY_NOT_FOUND."""
        with self._store.write() as connection:
            known = connection.execute(
                sa.update(api_keys)
                .where(api_keys.c.id == key_id)
                .values(revoked=sa.func.coalesce(api_keys.c.revoked, clock.now()))
            )
        if not known.rowcount:
            raise EngineError(Code.KEY_NOT_FOUND, f"there is no API key {key_id}", id=key_id)

    def authenticate(self, key: str) -> KeyInfo:
        """AUTHENTICATION_FAILED for anything but a key that stands."""
        digest = _digest(key)
        with self._store.read() as connection:
            row = connection.execute(sa.select(api_keys).where(api_keys.c.digest == digest)).one_or_none()
        # The index finds the row by a digest of what was sent, which an attacker cannot steer towards a
        # stored one; the comparison that decides takes the same time wherever they differ.
        known = row.digest if row is not None else bytes(32)
        if not hmac.compare_digest(known, digest) or row is None or row.revoked is not None:
            raise EngineError(Code.AUTHENTICATION_FAILED, "the API key is missing or not valid")
        return _info(row)

    def require_subscription(self, key: KeyInfo) -> None:
        """SUBSCRIPTION_REQUIRED unless streams may run under this key now."""
        if (why := self.get(key.id).lapsed) is not None:
            raise EngineError(
                Code.SUBSCRIPTION_REQUIRED,
                f"this needs an active subscription: {why}",
                subscriptionStatus=key.status,
                keyId=key.id,
            )

    def standing(self, key_id: str | None) -> str | None:
        """The key if streams may run under it now."""
        return key_id if key_id is None or self.get(key_id).lapsed is None else None

    def ensure_first(self, key_from_env: str | None = None) -> str | None:
        """With a key from the environment: make sure that it is known. Otherwise make one at the first start.

        Gives a newly generated key, to be shown once, or None.
        """
        if key_from_env:
            with self._store.read() as connection:
                known = connection.scalar(
                    sa.select(api_keys.c.id).where(api_keys.c.digest == _digest(key_from_env))
                )
            if known is None:
                self.create("environment", key=key_from_env)
            return None
        with self._store.read() as connection:
            if connection.scalar(sa.select(sa.func.count()).select_from(api_keys)):
                return None
        return str(self.create("first key")["key"])

    def charge(self, key_id: str, bytes_: int, cdc_seconds: float) -> None:
        """Count what a stream has used against its key."""
        with self._store.write() as connection:
            connection.execute(
                sa.update(api_keys)
                .where(api_keys.c.id == key_id)
                .values(
                    bytes_used=api_keys.c.bytes_used + bytes_,
                    cdc_seconds_used=api_keys.c.cdc_seconds_used + cdc_seconds,
                )
            )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _base62(value: bytes) -> str:
    number, digits = int.from_bytes(value, "big"), ""
    for _ in range(_LENGTH):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return digits


def _info(row: Any) -> KeyInfo:
    return KeyInfo(**{name: getattr(row, name) for name in KeyInfo.__slots__})


def _invalid(field: str, problem: str) -> EngineError:
    return EngineError(
        Code.VALIDATION_FAILED, f"{field}: {problem}", fields=[{"field": field, "problem": problem}]
    )
