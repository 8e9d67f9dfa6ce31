"""One side of a comparison: sums, buckets and rows of a table's digests, computed in the server or here.

A row's digest is the first 64 bits of a hash of all its columns; a set of rows has the sum of the digests
modulo 2^64, so that order does not matter and duplicates do not cancel. A row's key has a digest of its own,
which tells rows apart and spreads them over buckets; without a key, the row's digest takes that place.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.connectors.base import (
    SERVER_FORMS,
    DigestColumn,
    DigestSession,
    DigestSql,
    Form,
    HashFunction,
    KeyRange,
)
from engine.streams.verify_columns import Layout
from engine.streams.verify_values import NULL, Encoder

MASK = 2**64 - 1
MAX_BUCKETS = 65_536


@dataclass(frozen=True, slots=True)
class Sums:
    """How many rows, and the sum of their digests modulo 2^64."""

    rows: int = 0
    digest: int = 0


@dataclass(frozen=True, slots=True)
class Buckets:
    """Some of `count` buckets of keys; `numbers` None is all of them."""

    count: int = 1
    numbers: tuple[int, ...] | None = None


EVERY = Buckets()
Pair = tuple[int, int]  # digest of the key, digest of the row


class Side:
    """Reads one table of one server. All methods are for one thread at a time."""

    def __init__(
        self,
        session: DigestSession,
        sql: DigestSql,
        layout: Layout,
        hashing: HashFunction,
        encoder: Callable[[DigestColumn], Encoder],
    ) -> None:
        self._session = session
        self._sql = sql
        self._layout = layout
        self._new_hash = getattr(hashlib, hashing.value)
        self._encoders = {column.read.name: encoder(column) for column in layout.streamed}
        self._server = [column for column in layout.columns if column.form in SERVER_FORMS]
        self._key_on_server = all(column.form in SERVER_FORMS for column in layout.key)
        self._key_here = () if self._key_on_server else layout.key
        self._raw_columns = (*layout.streamed, *self._key_here)

    def sums(self, bounds: KeyRange | None) -> Sums:
        if self._layout.streamed:
            return _summed(self.pairs(bounds))
        total = f"SELECT COUNT(*), SUM({self._sql.number(self._row_hex())})"
        ((rows, digest),) = self._session.fetch(f"{total} FROM {self._from(bounds)}")
        return Sums(int(rows), int(digest or 0) & MASK)

    def buckets(self, bounds: KeyRange | None, count: int) -> dict[int, Sums]:
        """The sums by bucket of the key; empty buckets are absent."""
        if self._layout.streamed:
            return _by_bucket(self.pairs(bounds), count)
        statement = (
            f"SELECT {self._sql.bucket('k', count)} AS b, COUNT(*), SUM({self._sql.number('d')})"
            f" FROM (SELECT {self._key_hex()} AS k, {self._row_hex()} AS d FROM {self._from(bounds)}) AS r"
            " GROUP BY b"
        )
        return {
            int(bucket): Sums(int(rows), int(digest) & MASK)
            for bucket, rows, digest in self._session.fetch(statement)
        }

    def pairs(self, bounds: KeyRange | None, buckets: Buckets = EVERY) -> Iterator[Pair]:
        """Key and row digest of each row, in no order."""
        if not self._layout.streamed:
            key, row = self._sql.number(self._key_hex()), self._sql.number(self._row_hex())
            statement = f"SELECT {key}, {row} FROM {self._from(bounds, buckets)}"
            for k, d in self._session.rows(statement):
                yield int(k) & MASK, int(d) & MASK
            return
        wanted = None if buckets.numbers is None else frozenset(buckets.numbers)
        for key, row, *raw in self._session.rows(self._streaming(bounds, buckets)):
            pair = self._digests(key, row, raw)
            if wanted is None or _bucket(pair[0], buckets.count) in wanted:
                yield pair

    def values(
        self, bounds: KeyRange | None, keys: Collection[int]
    ) -> dict[int, tuple[Any, tuple[bytes, ...]]]:
        """For a few digests of keys: the key itself, by column name, and every column in its form."""
        layout = self._layout
        selected = [self._expression(column) for column in layout.columns]
        where = self._sql.within(bounds)
        if self._key_on_server and layout.key:
            where += f" AND {self._key_hex()} IN ({', '.join(_hex_literal(key) for key in keys)})"
        found: dict[int, tuple[Any, tuple[bytes, ...]]] = {}
        for row in self._session.rows(f"SELECT {', '.join(selected)} FROM {self._sql.table} WHERE {where}"):
            fields = {
                column.read.name: self._field(column, value)
                for column, value in zip(layout.columns, row, strict=True)
            }
            texts = [fields[column.read.name] for column in layout.key]
            key = self._hashed(texts)
            if key in keys:
                shown = {
                    column.read.source.name: _shown(column, text)
                    for column, text in zip(layout.key, texts, strict=True)
                }
                found[key] = (shown, tuple(fields.values()))
        return found

    def cancel(self) -> None:
        self._session.cancel()

    # ------------------------------------------------------------ SQL

    def _from(self, bounds: KeyRange | None, buckets: Buckets = EVERY) -> str:
        condition = self._sql.within(bounds)
        if buckets.numbers is not None:
            numbers = ", ".join(str(int(number)) for number in buckets.numbers)
            condition += f" AND ({self._sql.bucket(self._key_hex(), buckets.count)}) IN ({numbers})"
        return f"{self._sql.table} WHERE {condition}"

    def _row_hex(self) -> str:
        return self._sql.digest_hex(
            self._sql.joined([self._sql.field_text(column) for column in self._server])
        )

    def _key_hex(self) -> str:
        if not self._layout.key:
            return self._row_hex()
        return self._sql.digest_hex(
            self._sql.joined([self._sql.field_text(column) for column in self._layout.key])
        )

    def _expression(self, column: DigestColumn) -> str:
        return self._sql.field_text(column) if column.form in SERVER_FORMS else self._sql.raw(column)

    # ------------------------------------------------------------ rows digested here

    def _streaming(self, bounds: KeyRange | None, buckets: Buckets) -> str:
        """Digest of the key (NULL when it is made here), of the columns the server prints; the others raw."""
        server_key = bool(self._layout.key) and self._key_on_server
        parts = [
            self._key_hex() if server_key else "NULL",
            self._row_hex() if self._server else "''",
            *(self._sql.raw(column) for column in self._layout.streamed),
            *(self._expression(column) for column in self._key_here),
        ]
        source = self._from(bounds, buckets if server_key else EVERY)
        return f"SELECT {', '.join(parts)} FROM {source}"

    def _digests(self, key: str | None, row: str, raw: Sequence[Any]) -> Pair:
        fields = [self._field(column, value) for column, value in zip(self._raw_columns, raw, strict=True)]
        digest = self._hashed([row.encode(), *fields[: len(self._encoders)]])
        if key is not None:
            return int(key, 16), digest
        if self._key_here:
            return self._hashed(fields[len(self._encoders) :]), digest
        return digest, digest

    def _field(self, column: DigestColumn, value: Any) -> bytes:
        if value is None:
            return NULL
        encoder = self._encoders.get(column.read.name)
        if encoder is None:
            return value if isinstance(value, bytes) else str(value).encode()
        encoded = encoder(value)
        return b"%d:%b" % (len(encoded), encoded)

    def _hashed(self, fields: Iterable[bytes]) -> int:
        return int.from_bytes(self._new_hash(b"|".join(fields)).digest()[:8], "big")


def _summed(pairs: Iterable[Pair]) -> Sums:
    rows = total = 0
    for _, digest in pairs:
        rows += 1
        total += digest
    return Sums(rows, total & MASK)


def _by_bucket(pairs: Iterable[Pair], count: int) -> dict[int, Sums]:
    rows: dict[int, int] = {}
    totals: dict[int, int] = {}
    for key, digest in pairs:
        bucket = _bucket(key, count)
        rows[bucket] = rows.get(bucket, 0) + 1
        totals[bucket] = totals.get(bucket, 0) + digest
    return {bucket: Sums(number, totals[bucket] & MASK) for bucket, number in rows.items()}


def _bucket(key: int, count: int) -> int:
    """The twin of DigestSql.bucket: by the leading 16 bits."""
    return (key >> 48) & (count - 1)


def _hex_literal(key: int) -> str:
    return f"'{key:016x}'"


def _shown(column: DigestColumn, field: bytes) -> Any:
    """A key value for people and programs: a number, a text, or hexadecimal."""
    if field == NULL:
        return None
    if column.form is Form.FLOAT:
        (number,) = struct.unpack(">d", field.partition(b":")[2])
        return number
    text = field.decode("utf-8", "replace")
    if column.form is Form.INTEGER:
        return int(text)
    if text[:1] != "h" and column.form in (Form.TEXT, Form.PRINTED):
        return text.partition(":")[2]
    return text
