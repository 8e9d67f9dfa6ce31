"""The checkpoint table in the target: which chunks are durable, and which attempt may still commit.

One table a schema, one row a fact, all of them written in the transaction they speak of:

    (stream, '',    -1)  the stream: its epoch, running or finished, and where the source stood
    (stream, table, -1)  a table whose structure and write policy are decided and carried out, with its chunks
    (stream, table,  n)  chunk n is committed: its rows and bytes

Every attempt raises the epoch. A commit takes a share lock on the stream's row and compares; raising waits
for commits under way. So a worker that should be dead committed before the new attempt looked, or never.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from engine.connectors.base import TableState
from engine.connectors.postgres.identifiers import qualified
from engine.connectors.postgres.session import PgConnection
from engine.errors import Code, EngineError

TABLE = "_dbstreams_checkpoint"
_COLUMNS = ("stream_id", "object", "chunk", "epoch", "state", "rows", "bytes", "detail", "updated_at")
_STREAM = ""
_WHOLE = -1


class Checkpoints:
    """The checkpoint rows of one stream in one schema. Methods run in the caller's transaction, if any."""

    def __init__(self, schema: str, stream_id: str) -> None:
        self.schema = schema
        self.stream_id = stream_id
        self.epoch = 0
        self._table = qualified(schema, TABLE)

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
        rows = session.execute(
            "SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = to_regclass(%s)"
            " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            (self._table,),
        ).fetchall()
        found = tuple(name for (name,) in rows)
        if found and found != _COLUMNS:
            raise EngineError(
                Code.TABLE_EXISTS,
                f"{self._table} exists and is not our checkpoint table: rename it or use another schema",
                table=TABLE,
                schema=self.schema,
            )
        if not found:
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
            (self.stream_id, _STREAM, _WHOLE),
        ).fetchone()
        assert row is not None
        self.epoch = int(row[0])
        return self.epoch > 1

    def guard(self, session: PgConnection) -> None:
        """To be called last in every transaction that changes the target. EPOCH_SUPERSEDED when another
        attempt owns the stream."""
        row = session.execute(
            f"SELECT epoch FROM {self._table} WHERE stream_id = %s AND object = %s AND chunk = %s FOR SHARE",
            (self.stream_id, _STREAM, _WHOLE),
        ).fetchone()
        if row is None or row[0] != self.epoch:
            raise EngineError(
                Code.EPOCH_SUPERSEDED,
                f"stream {self.stream_id} was taken over by another attempt; this one commits nothing more",
                streamId=self.stream_id,
                epoch=self.epoch,
            )

    def tables(self, session: PgConnection) -> dict[str, TableState]:
        """Every table the journal knows, with its committed chunks."""
        states: dict[str, TableState] = {}
        chunks: dict[str, dict[int, tuple[int, int]]] = {}
        for name, chunk, state, rows, bytes_, detail in session.execute(
            f"SELECT object, chunk, state, rows, bytes, detail FROM {self._table}"
            " WHERE stream_id = %s AND object <> ''",
            (self.stream_id,),
        ):
            if chunk == _WHOLE:
                states[name] = TableState(state, detail or {}, chunks.setdefault(name, {}))
            else:
                chunks.setdefault(name, {})[chunk] = (int(rows), int(bytes_))
        return states

    def put_table(self, session: PgConnection, table: str, state: str, detail: Mapping[str, Any]) -> None:
        session.execute(
            f"INSERT INTO {self._table} (stream_id, object, chunk, epoch, state, detail)"
            " VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (stream_id, object, chunk) DO UPDATE SET epoch = excluded.epoch,"
            " state = excluded.state, detail = excluded.detail, updated_at = clock_timestamp()",
            (self.stream_id, table, _WHOLE, self.epoch, state, Jsonb(dict(detail))),
        )

    def put_chunk(self, session: PgConnection, table: str, chunk: int, rows: int, bytes_: int) -> None:
        """Fails with EPOCH_SUPERSEDED when the chunk is there: somebody else has committed it."""
        try:
            session.execute(
                f"INSERT INTO {self._table} (stream_id, object, chunk, epoch, state, rows, bytes)"
                " VALUES (%s, %s, %s, %s, 'committed', %s, %s)",
                (self.stream_id, table, chunk, self.epoch, rows, bytes_),
            )
        except psycopg.errors.UniqueViolation:
            raise EngineError(
                Code.EPOCH_SUPERSEDED,
                f"chunk {chunk} of {table} was committed by another attempt",
                streamId=self.stream_id,
                table=table,
            ) from None

    def chunk(self, session: PgConnection, table: str, chunk: int) -> tuple[int, int] | None:
        """Rows and bytes of a committed chunk: the answer to an ambiguous COMMIT."""
        row = session.execute(
            f"SELECT rows, bytes FROM {self._table} WHERE stream_id = %s AND object = %s AND chunk = %s",
            (self.stream_id, table, chunk),
        ).fetchone()
        return (int(row[0]), int(row[1])) if row else None

    def stream_detail(self, session: PgConnection) -> Mapping[str, Any]:
        row = session.execute(
            f"SELECT detail FROM {self._table} WHERE stream_id = %s AND object = '' AND chunk = -1",
            (self.stream_id,),
        ).fetchone()
        return (row[0] or {}) if row else {}

    def put_stream(self, session: PgConnection, state: str, detail: Mapping[str, Any]) -> None:
        session.execute(
            f"UPDATE {self._table} SET state = %s, detail = %s, updated_at = clock_timestamp()"
            " WHERE stream_id = %s AND object = '' AND chunk = -1",
            (state, Jsonb(dict(detail)), self.stream_id),
        )

    def is_finished(self, session: PgConnection) -> bool:
        row = session.execute(
            f"SELECT state FROM {self._table} WHERE stream_id = %s AND object = '' AND chunk = -1",
            (self.stream_id,),
        ).fetchone()
        return row is not None and row[0] == "finished"

    def unfinished_others(self, session: PgConnection, table: str) -> list[str]:
        """Other streams that began to load this table and have not finished."""
        return [
            stream
            for (stream,) in session.execute(
                f"SELECT t.stream_id FROM {self._table} t JOIN {self._table} s"
                " ON s.stream_id = t.stream_id AND s.object = '' AND s.chunk = -1"
                " WHERE t.object = %s AND t.chunk = -1 AND t.stream_id <> %s AND s.state <> 'finished'"
                " ORDER BY t.stream_id",
                (table, self.stream_id),
            )
        ]

    def supersede_others(self, session: PgConnection, table: str) -> None:
        """The table is emptied or replaced: what other streams remember of it is void, and none of them may
        commit another chunk."""
        session.execute(
            f"DELETE FROM {self._table} WHERE stream_id IN"
            f" (SELECT stream_id FROM {self._table} WHERE object = %s AND stream_id <> %s)",
            (table, self.stream_id),
        )

    def forget(self, session: PgConnection) -> None:
        """Remove this stream's rows, and the table when nobody else has any in it."""
        with session.transaction():
            self._lock_name(session)
            found = session.execute("SELECT to_regclass(%s) IS NOT NULL", (self._table,)).fetchone()
            if not (found and found[0]):
                return
            session.execute(f"DELETE FROM {self._table} WHERE stream_id = %s", (self.stream_id,))
            left = session.execute(f"SELECT EXISTS (SELECT 1 FROM {self._table})").fetchone()
            if left and not left[0]:
                session.execute(f"DROP TABLE {self._table}")
