"""The checkpoint table in a DuckDB file (engine/connectors/checkpoints.py says what is in it).

A DuckDB file has one process, and in it every commit is made under the file's lock; so a look through a
second session, just before COMMIT, sees the truth: `guard` is given one without a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import duckdb

from engine.connectors.checkpoints import STREAM, TABLE, WHOLE, CheckpointRows
from engine.connectors.duckdb.database import Cursor, Database
from engine.connectors.duckdb.identifiers import qualified


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


class Checkpoints(CheckpointRows[Cursor]):
    """The checkpoint rows of one stream in one schema. The table has its name once `bind` was called."""

    MARK = "?"

    def __init__(self, schema: str, stream_id: str) -> None:
        super().__init__(schema, stream_id, "")

    def bind(self, database: Database) -> None:
        """The file is known: so is the table's full name."""
        self._table = qualified(database.catalog, self.schema, TABLE)

    def _ask(self, cursor: Cursor, sql: str, args: tuple[Any, ...] = ()) -> Sequence[tuple[Any, ...]]:
        return cursor.execute(sql, list(args)).fetchall()

    def _found_columns(self, cursor: Cursor) -> tuple[str, ...]:
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
            if not self._is_made(cursor):
                cursor.execute(
                    f"CREATE TABLE {self._table} (stream_id VARCHAR NOT NULL, object VARCHAR NOT NULL,"
                    " chunk INTEGER NOT NULL, epoch BIGINT NOT NULL, state VARCHAR NOT NULL, rows BIGINT,"
                    " bytes BIGINT, detail VARCHAR, updated_at TIMESTAMPTZ NOT NULL DEFAULT now())"
                )
            earlier = self._of_stream(cursor, "epoch")
            self.epoch = (earlier or 0) + 1
            if earlier is None:
                self._insert(cursor, STREAM, "running")
            else:
                cursor.execute(
                    f"UPDATE {self._table} SET epoch = ?, updated_at = now()"
                    " WHERE stream_id = ? AND object = '' AND chunk = -1",
                    [self.epoch, self.stream_id],
                )
        return earlier is not None

    def put_table(self, cursor: Cursor, table: str, state: str, detail: Mapping[str, Any]) -> None:
        cursor.execute(
            f"DELETE FROM {self._table} WHERE stream_id = ? AND object = ? AND chunk = -1",
            [self.stream_id, table],
        )
        self._insert(cursor, table, state, self._packed(detail))

    def put_chunk(
        self, cursor: Cursor, watch: Cursor, table: str, chunk: int, rows: int, bytes_: int
    ) -> None:
        """Under the file's lock. EPOCH_SUPERSEDED when the chunk is there: somebody has committed it."""
        if self.chunk(watch, table, chunk) is not None:
            raise self._is_committed(table, chunk)
        self._add_chunk(cursor, table, chunk, rows, bytes_)

    def _insert(self, cursor: Cursor, name: str, state: str, detail: str | None = None) -> None:
        cursor.execute(
            f"INSERT INTO {self._table} (stream_id, object, chunk, epoch, state, detail)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [self.stream_id, name, WHOLE, self.epoch, state, detail],
        )

    def forget(self, database: Database, cursor: Cursor) -> None:
        """Remove this stream's rows, and the table when nobody else has any in it."""
        with database.lock, transaction(cursor):
            if self.exists(cursor):
                self._remove(cursor)
