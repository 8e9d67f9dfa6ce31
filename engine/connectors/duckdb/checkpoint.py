"""The checkpoint table in the file: which chunks are durable, and which attempt may still commit.

Rows as on every database target: (stream, '', -1) the stream with its epoch, (stream, table, -1) a table that
is decided, (stream, table, n) chunk n. A DuckDB file has one process, and in it every commit is made under
the file's lock; so a look through a second session, just before COMMIT, sees the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import duckdb
import orjson

from engine.connectors.base import TableState
from engine.connectors.duckdb.database import Cursor, Database
from engine.connectors.duckdb.identifiers import qualified
from engine.errors import Code, EngineError

TABLE = "_dbstreams_checkpoint"
_COLUMNS = ("stream_id", "object", "chunk", "epoch", "state", "rows", "bytes", "detail", "updated_at")
_STREAM = ""
_WHOLE = -1


@contextmanager
def transaction(cursor: Cursor) -> Iterator[None]:
    """BEGIN, then COMMIT, or ROLLBACK when the block raises."""
    cursor.execute("BEGIN TRANSACTION")
    try:
        yield
        cursor.execute("COMMIT")
    except BaseException:
        rollback(cursor)
        raise


def rollback(cursor: Cursor) -> None:
    """Harmless where there is no transaction any more."""
    with suppress(duckdb.Error):
        cursor.execute("ROLLBACK")


class Checkpoints:
    """The checkpoint rows of one stream in one schema. `table` exists once `claim` was called."""

    def __init__(self, schema: str, stream_id: str) -> None:
        self.schema = schema
        self.stream_id = stream_id
        self.epoch = 0
        self._place = ""

    def bind(self, database: Database) -> None:
        """The file is known: so is the table's full name."""
        self._place = qualified(database.catalog, self.schema, TABLE)

    def exists(self, cursor: Cursor) -> bool:
        return bool(self._found(cursor))

    def _found(self, cursor: Cursor) -> tuple[str, ...]:
        rows = cursor.execute(
            "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database()"
            " AND schema_name = ? AND table_name = ? ORDER BY column_index",
            [self.schema, TABLE],
        ).fetchall()
        return tuple(name for (name,) in rows)

    def claim(self, database: Database, cursor: Cursor) -> bool:
        """Raise the epoch; the table is made when it is not there. True when an earlier attempt left
        something. TABLE_EXISTS when a table of that name is not ours."""
        with database.lock, transaction(cursor):
            found = self._found(cursor)
            if found and found != _COLUMNS:
                raise EngineError(
                    Code.TABLE_EXISTS,
                    f"{self.schema}.{TABLE} exists and is not our checkpoint table: rename it or use another"
                    " schema",
                    table=TABLE,
                    schema=self.schema,
                )
            if not found:
                cursor.execute(
                    f"CREATE TABLE {self._place} (stream_id VARCHAR NOT NULL, object VARCHAR NOT NULL,"
                    " chunk INTEGER NOT NULL, epoch BIGINT NOT NULL, state VARCHAR NOT NULL, rows BIGINT,"
                    " bytes BIGINT, detail VARCHAR, updated_at TIMESTAMPTZ NOT NULL DEFAULT now())"
                )
            earlier = self._epoch(cursor)
            self.epoch = (earlier or 0) + 1
            if earlier is None:
                self._insert(cursor, _STREAM, _WHOLE, "running")
            else:
                cursor.execute(
                    f"UPDATE {self._place} SET epoch = ?, updated_at = now()"
                    " WHERE stream_id = ? AND object = '' AND chunk = -1",
                    [self.epoch, self.stream_id],
                )
        return earlier is not None

    def _epoch(self, cursor: Cursor) -> int | None:
        row = cursor.execute(
            f"SELECT epoch FROM {self._place} WHERE stream_id = ? AND object = '' AND chunk = -1",
            [self.stream_id],
        ).fetchone()
        return None if row is None else int(row[0])

    def guard(self, watch: Cursor) -> None:
        """Before COMMIT, under the file's lock: `watch` is a session without a transaction of its own.
        EPOCH_SUPERSEDED when another attempt owns the stream."""
        if self._epoch(watch) != self.epoch:
            raise EngineError(
                Code.EPOCH_SUPERSEDED,
                f"stream {self.stream_id} was taken over by another attempt; this one commits nothing more",
                streamId=self.stream_id,
                epoch=self.epoch,
            )

    def tables(self, cursor: Cursor) -> dict[str, TableState]:
        """Every table the journal knows, with its committed chunks."""
        states: dict[str, tuple[str, Mapping[str, Any]]] = {}
        chunks: dict[str, dict[int, tuple[int, int]]] = {}
        for name, chunk, state, rows, bytes_, detail in cursor.execute(
            f"SELECT object, chunk, state, rows, bytes, detail FROM {self._place}"
            " WHERE stream_id = ? AND object <> ''",
            [self.stream_id],
        ).fetchall():
            if chunk == _WHOLE:
                states[name] = (state, orjson.loads(detail or "{}"))
            else:
                chunks.setdefault(name, {})[chunk] = (int(rows), int(bytes_))
        return {
            name: TableState(state, detail, chunks.get(name, {})) for name, (state, detail) in states.items()
        }

    def put_table(self, cursor: Cursor, table: str, state: str, detail: Mapping[str, Any]) -> None:
        cursor.execute(
            f"DELETE FROM {self._place} WHERE stream_id = ? AND object = ? AND chunk = -1",
            [self.stream_id, table],
        )
        self._insert(cursor, table, _WHOLE, state, detail=dict(detail))

    def put_chunk(
        self, cursor: Cursor, watch: Cursor, table: str, chunk: int, rows: int, bytes_: int
    ) -> None:
        """Under the file's lock. EPOCH_SUPERSEDED when the chunk is there: somebody has committed it."""
        if self.chunk(watch, table, chunk) is not None:
            raise EngineError(
                Code.EPOCH_SUPERSEDED,
                f"chunk {chunk} of {table} was committed by another attempt",
                streamId=self.stream_id,
                table=table,
            )
        self._insert(cursor, table, chunk, "committed", rows, bytes_)

    def _insert(
        self,
        cursor: Cursor,
        name: str,
        chunk: int,
        state: str,
        rows: int | None = None,
        bytes_: int | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        text = None if detail is None else orjson.dumps(detail).decode()
        cursor.execute(
            f"INSERT INTO {self._place} (stream_id, object, chunk, epoch, state, rows, bytes, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [self.stream_id, name, chunk, self.epoch, state, rows, bytes_, text],
        )

    def chunk(self, cursor: Cursor, table: str, chunk: int) -> tuple[int, int] | None:
        """Rows and bytes of a committed chunk."""
        row = cursor.execute(
            f"SELECT rows, bytes FROM {self._place} WHERE stream_id = ? AND object = ? AND chunk = ?",
            [self.stream_id, table, chunk],
        ).fetchone()
        return (int(row[0]), int(row[1])) if row else None

    def stream_detail(self, cursor: Cursor) -> Mapping[str, Any]:
        row = cursor.execute(
            f"SELECT detail FROM {self._place} WHERE stream_id = ? AND object = '' AND chunk = -1",
            [self.stream_id],
        ).fetchone()
        return orjson.loads(row[0]) if row and row[0] else {}

    def put_stream(self, cursor: Cursor, state: str, detail: Mapping[str, Any]) -> None:
        cursor.execute(
            f"UPDATE {self._place} SET state = ?, detail = ?, updated_at = now()"
            " WHERE stream_id = ? AND object = '' AND chunk = -1",
            [state, orjson.dumps(dict(detail)).decode(), self.stream_id],
        )

    def is_finished(self, cursor: Cursor) -> bool:
        row = cursor.execute(
            f"SELECT state FROM {self._place} WHERE stream_id = ? AND object = '' AND chunk = -1",
            [self.stream_id],
        ).fetchone()
        return row is not None and row[0] == "finished"

    def unfinished_others(self, cursor: Cursor, table: str) -> list[str]:
        """Other streams that began to load this table and have not finished."""
        rows = cursor.execute(
            f"SELECT t.stream_id FROM {self._place} t JOIN {self._place} s"
            " ON s.stream_id = t.stream_id AND s.object = '' AND s.chunk = -1"
            " WHERE t.object = ? AND t.chunk = -1 AND t.stream_id <> ? AND s.state <> 'finished'"
            " ORDER BY t.stream_id",
            [table, self.stream_id],
        ).fetchall()
        return [stream for (stream,) in rows]

    def supersede_others(self, cursor: Cursor, table: str) -> None:
        """The table is emptied or replaced: what other streams remember of it is void, and none of them may
        commit another chunk."""
        cursor.execute(
            f"DELETE FROM {self._place} WHERE stream_id IN"
            f" (SELECT stream_id FROM {self._place} WHERE object = ? AND stream_id <> ?)",
            [table, self.stream_id],
        )

    def forget(self, database: Database, cursor: Cursor) -> None:
        """Remove this stream's rows, and the table when nobody else has any in it."""
        with database.lock, transaction(cursor):
            if not self.exists(cursor):
                return
            cursor.execute(f"DELETE FROM {self._place} WHERE stream_id = ?", [self.stream_id])
            left = cursor.execute(f"SELECT count(*) FROM {self._place}").fetchone()
            if left and not left[0]:
                cursor.execute(f"DROP TABLE {self._place}")
