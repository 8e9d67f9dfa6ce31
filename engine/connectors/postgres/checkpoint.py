"""The checkpoint table on PostgreSQL (engine/connectors/checkpoints.py says what is in it).

Every attempt raises the epoch. A commit takes a share lock on the stream's row and compares; raising waits
for commits under way. So a worker that should be dead committed before the new attempt looked, or never.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from engine.connectors.checkpoints import STREAM, TABLE, WHOLE, CheckpointRows
from engine.connectors.postgres.identifiers import qualified
from engine.connectors.postgres.session import PgConnection


class Checkpoints(CheckpointRows[PgConnection]):
    """The checkpoint rows of one stream in one schema."""

    NOW = "clock_timestamp()"
    LOCKED = " FOR SHARE"

    def __init__(self, schema: str, stream_id: str) -> None:
        super().__init__(schema, stream_id, qualified(schema, TABLE))

    def _ask(self, session: PgConnection, sql: str, args: tuple[Any, ...] = ()) -> Sequence[tuple[Any, ...]]:
        cursor = session.execute(sql, args)
        return cursor.fetchall() if cursor.description else []

    def _found_columns(self, session: PgConnection) -> tuple[str, ...]:
        rows = session.execute(
            "SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = to_regclass(%s)"
            " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            (self._table,),
        ).fetchall()
        return tuple(name for (name,) in rows)

    def _packed(self, detail: Mapping[str, Any]) -> Jsonb:
        return Jsonb(dict(detail))

    def claim(self, session: PgConnection) -> bool:
        """Raise the epoch and own the stream from now on; the table is made when it is not there. True when
        an earlier attempt left something. TABLE_EXISTS when a table of that name is not ours."""
        with session.transaction():
            self._lock_name(session)
            self._ensure(session)
            return self._raise_epoch(session)

    def _lock_name(self, session: PgConnection) -> None:
        """Two streams that start at once would both find the table missing; one that ends could drop it under
        one that starts. Both take this lock first."""
        session.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (self._table,))

    def _ensure(self, session: PgConnection) -> None:
        if self._is_made(session):
            return
        session.execute(
            f"CREATE TABLE {self._table} ("
            " stream_id text NOT NULL, object text NOT NULL, chunk integer NOT NULL,"
            " epoch bigint NOT NULL, state text NOT NULL, rows bigint, bytes bigint, detail jsonb,"
            " updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),"
            " PRIMARY KEY (stream_id, object, chunk))"
        )
        session.execute(
            f"COMMENT ON TABLE {self._table} IS"
            " 'dbstreams: which chunks of a running stream are durable. Emptied when streams finish.'"
        )

    def _raise_epoch(self, session: PgConnection) -> bool:
        row = session.execute(
            f"INSERT INTO {self._table} AS c (stream_id, object, chunk, epoch, state)"
            " VALUES (%s, %s, %s, 1, 'running')"
            " ON CONFLICT (stream_id, object, chunk) DO UPDATE"
            " SET epoch = c.epoch + 1, updated_at = clock_timestamp() RETURNING epoch",
            (self.stream_id, STREAM, WHOLE),
        ).fetchone()
        assert row is not None
        self.epoch = int(row[0])
        return self.epoch > 1

    def put_table(self, session: PgConnection, table: str, state: str, detail: Mapping[str, Any]) -> None:
        session.execute(
            f"INSERT INTO {self._table} (stream_id, object, chunk, epoch, state, detail)"
            " VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (stream_id, object, chunk) DO UPDATE SET epoch = excluded.epoch,"
            " state = excluded.state, detail = excluded.detail, updated_at = clock_timestamp()",
            (self.stream_id, table, WHOLE, self.epoch, state, self._packed(detail)),
        )

    def put_chunk(self, session: PgConnection, table: str, chunk: int, rows: int, bytes_: int) -> None:
        """Fails with EPOCH_SUPERSEDED when the chunk is there: somebody else has committed it."""
        try:
            self._add_chunk(session, table, chunk, rows, bytes_)
        except psycopg.errors.UniqueViolation:
            raise self._is_committed(table, chunk) from None

    def forget(self, session: PgConnection) -> None:
        """Remove this stream's rows, and the table when nobody else has any in it."""
        with session.transaction():
            self._lock_name(session)
            if self.exists(session):
                self._remove(session)
