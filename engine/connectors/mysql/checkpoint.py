"""The checkpoint table in the target: which chunks are durable, and which attempt may still commit.

One InnoDB table a database, one row a fact, written in the transaction it speaks of:

    (stream, '',    -1)  the stream: its epoch, running or finished, and where the source stood
    (stream, table, -1)  a table: pending, applying or ready, with what was decided and its chunks
    (stream, table,  n)  chunk n is committed: its rows and bytes

Every attempt raises the epoch. A commit locks the stream's row in share mode and compares; raising waits for
commits under way. So a worker that should be dead committed before the new attempt looked, or never.

DDL commits by itself here, so a statement of structure cannot be guarded in its own transaction: it runs
under the stream's named lock, taken before the epoch is compared. An attempt that takes the stream over takes
that lock too, so a straggler's DROP is over before the new attempt looks, or finds the epoch raised.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import pymysql
from pymysql.connections import Connection as PyMySQLConnection

from engine.connectors.base import TableState
from engine.connectors.mysql.failures import query_failed
from engine.connectors.mysql.identifiers import qualified
from engine.errors import Code, EngineError

TABLE = "_dbstreams_checkpoint"
_COLUMNS = ("stream_id", "object", "chunk", "epoch", "state", "rows", "bytes", "detail", "updated_at")
_STREAM = ""
_WHOLE = -1
_LOCK_SECONDS = 120
_DUPLICATE = 1062

Session: TypeAlias = "PyMySQLConnection[Any]"


def rows_of(session: Session, sql: str, args: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    with session.cursor() as cursor:
        cursor.execute(sql, args)
        return list(cursor.fetchall())


def execute(session: Session, sql: str, args: tuple[Any, ...] = ()) -> int:
    """Rows found (of an UPDATE) or stored."""
    with session.cursor() as cursor:
        return int(cursor.execute(sql, args or None))


@contextmanager
def transaction(session: Session) -> Iterator[None]:
    """COMMIT when the block ends, ROLLBACK when it raises. A lost connection has rolled back by itself."""
    session.begin()
    try:
        yield
    except BaseException:
        _rollback(session)
        raise
    session.commit()


def _rollback(session: Session) -> None:
    try:
        session.rollback()
    except (pymysql.MySQLError, OSError):
        session._force_close()


class Checkpoints:
    """The checkpoint rows of one stream in one database. Methods run in the caller's transaction, if any."""

    def __init__(self, database: str, stream_id: str) -> None:
        self.database = database
        self.stream_id = stream_id
        self.epoch = 0
        self._table = qualified(database, TABLE)

    # ------------------------------------------------------------ locks

    @contextmanager
    def _lock(self, session: Session, what: str) -> Iterator[None]:
        """A named lock of the server, held by the session: it ends with the block, or with the session."""
        digest = hashlib.sha256(f"{self.database}\0{what}".encode()).hexdigest()[:40]
        name = f"dbstreams:{digest}"
        got = rows_of(session, "SELECT GET_LOCK(%s, %s)", (name, _LOCK_SECONDS))[0][0]
        if got != 1:
            raise EngineError(
                Code.CONNECTION_LOST,
                f"another attempt of stream {self.stream_id} still changes the structure of {self.database}",
                streamId=self.stream_id,
                database=self.database,
            )
        try:
            yield
        finally:
            try:
                execute(session, "DO RELEASE_LOCK(%s)", (name,))
            except (pymysql.MySQLError, OSError):
                session._force_close()

    @contextmanager
    def structure_lock(self, session: Session) -> Iterator[None]:
        """Around DDL that must not happen once another attempt owns the stream. EPOCH_SUPERSEDED when it
        does already."""
        with self._lock(session, self.stream_id):
            self.compare(session)
            yield

    def compare(self, session: Session) -> None:
        """EPOCH_SUPERSEDED when another attempt owns the stream now."""
        self._compare(rows_of(session, self._epoch_query(), (self.stream_id,)))

    # ------------------------------------------------------------ the stream

    def exists(self, session: Session) -> bool:
        return bool(self._found_columns(session))

    def _found_columns(self, session: Session) -> tuple[str, ...]:
        rows = rows_of(
            session,
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
            " ORDER BY ORDINAL_POSITION",
            (self.database, TABLE),
        )
        return tuple(str(name) for (name,) in rows)

    def claim(self, session: Session) -> bool:
        """Raise the epoch and own the stream from now on; the table is made when it is not there. True when
        an earlier attempt left something. TABLE_EXISTS when a table of that name is not ours."""
        with self._lock(session, ""), self._lock(session, self.stream_id):
            self._ensure(session)
            with transaction(session):
                execute(
                    session,
                    f"INSERT INTO {self._table} (stream_id, object, chunk, epoch, state)"
                    " VALUES (%s, '', -1, 1, 'running')"
                    " ON DUPLICATE KEY UPDATE epoch = epoch + 1, updated_at = NOW(6)",
                    (self.stream_id,),
                )
                self.epoch = int(rows_of(session, self._epoch_query(), (self.stream_id,))[0][0])
        return self.epoch > 1

    def _ensure(self, session: Session) -> None:
        found = self._found_columns(session)
        if found and found != _COLUMNS:
            raise EngineError(
                Code.TABLE_EXISTS,
                f"{self._table} exists and is not our checkpoint table: rename it or use another database",
                table=TABLE,
                database=self.database,
            )
        if not found:
            execute(
                session,
                f"CREATE TABLE {self._table} ("
                " stream_id varchar(64) NOT NULL, object varchar(64) NOT NULL, chunk int NOT NULL,"
                " epoch bigint NOT NULL, state varchar(16) NOT NULL, `rows` bigint, `bytes` bigint,"
                " detail longtext, updated_at datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),"
                " PRIMARY KEY (stream_id, object, chunk))"
                " ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
                " COMMENT='dbstreams: which chunks of a running stream are durable. Goes when they finish.'",
            )

    def _epoch_query(self) -> str:
        return f"SELECT epoch FROM {self._table} WHERE stream_id = %s AND object = '' AND chunk = -1"

    def guard(self, session: Session) -> None:
        """To be called last in every transaction that changes the target. EPOCH_SUPERSEDED when another
        attempt owns the stream."""
        self._compare(rows_of(session, f"{self._epoch_query()} LOCK IN SHARE MODE", (self.stream_id,)))

    def _compare(self, rows: list[tuple[Any, ...]]) -> None:
        if not rows or rows[0][0] != self.epoch:
            raise EngineError(
                Code.EPOCH_SUPERSEDED,
                f"stream {self.stream_id} was taken over by another attempt; this one commits nothing more",
                streamId=self.stream_id,
                epoch=self.epoch,
            )

    def stream_detail(self, session: Session) -> Mapping[str, Any]:
        rows = rows_of(
            session,
            f"SELECT detail FROM {self._table} WHERE stream_id = %s AND object = '' AND chunk = -1",
            (self.stream_id,),
        )
        return _detail(rows[0][0]) if rows else {}

    def put_stream(self, session: Session, state: str, detail: Mapping[str, Any]) -> None:
        execute(
            session,
            f"UPDATE {self._table} SET state = %s, detail = %s, updated_at = NOW(6)"
            " WHERE stream_id = %s AND object = '' AND chunk = -1",
            (state, json.dumps(dict(detail)), self.stream_id),
        )

    def is_finished(self, session: Session) -> bool:
        return bool(
            rows_of(
                session,
                f"SELECT 1 FROM {self._table} WHERE stream_id = %s AND object = '' AND chunk = -1"
                " AND state = 'finished'",
                (self.stream_id,),
            )
        )

    # ------------------------------------------------------------ tables and chunks

    def tables(self, session: Session) -> dict[str, TableState]:
        """Every table the journal knows, with its committed chunks."""
        states: dict[str, TableState] = {}
        chunks: dict[str, dict[int, tuple[int, int]]] = {}
        for name, chunk, state, rows, bytes_, detail in rows_of(
            session,
            f"SELECT object, chunk, state, `rows`, `bytes`, detail FROM {self._table}"
            " WHERE stream_id = %s AND object <> ''",
            (self.stream_id,),
        ):
            if chunk == _WHOLE:
                states[name] = TableState(state, _detail(detail), chunks.setdefault(name, {}))
            else:
                chunks.setdefault(name, {})[chunk] = (int(rows), int(bytes_))
        return states

    def put_table(self, session: Session, table: str, state: str, detail: Mapping[str, Any]) -> None:
        execute(
            session,
            f"INSERT INTO {self._table} (stream_id, object, chunk, epoch, state, detail)"
            " VALUES (%s, %s, -1, %s, %s, %s)"
            " ON DUPLICATE KEY UPDATE epoch = VALUES(epoch), state = VALUES(state), detail = VALUES(detail),"
            " updated_at = NOW(6)",
            (self.stream_id, table, self.epoch, state, json.dumps(dict(detail))),
        )

    def put_chunk(self, session: Session, table: str, chunk: int, rows: int, bytes_: int) -> None:
        """Fails with EPOCH_SUPERSEDED when the chunk is there: somebody else has committed it."""
        try:
            execute(
                session,
                f"INSERT INTO {self._table} (stream_id, object, chunk, epoch, state, `rows`, `bytes`)"
                " VALUES (%s, %s, %s, %s, 'committed', %s, %s)",
                (self.stream_id, table, chunk, self.epoch, rows, bytes_),
            )
        except pymysql.IntegrityError as error:
            if error.args[:1] != (_DUPLICATE,):
                raise
            raise EngineError(
                Code.EPOCH_SUPERSEDED,
                f"chunk {chunk} of {table} was committed by another attempt",
                streamId=self.stream_id,
                table=table,
            ) from None

    def chunk(self, session: Session, table: str, chunk: int) -> tuple[int, int] | None:
        """Rows and bytes of a committed chunk: the answer to an ambiguous COMMIT."""
        rows = rows_of(
            session,
            f"SELECT `rows`, `bytes` FROM {self._table} WHERE stream_id = %s AND object = %s AND chunk = %s",
            (self.stream_id, table, chunk),
        )
        return (int(rows[0][0]), int(rows[0][1])) if rows else None

    def unfinished_others(self, session: Session, table: str) -> list[str]:
        """Other streams that began to load this table and have not finished."""
        return [
            str(stream)
            for (stream,) in rows_of(
                session,
                f"SELECT t.stream_id FROM {self._table} t JOIN {self._table} s"
                " ON s.stream_id = t.stream_id AND s.object = '' AND s.chunk = -1"
                " WHERE t.object = %s AND t.chunk = -1 AND t.stream_id <> %s AND s.state <> 'finished'"
                " ORDER BY t.stream_id",
                (table, self.stream_id),
            )
        ]

    def supersede_others(self, session: Session, table: str) -> None:
        """The table is emptied or replaced: what other streams remember of it is void, and none of them may
        commit another chunk."""
        others = rows_of(
            session,
            f"SELECT DISTINCT stream_id FROM {self._table} WHERE object = %s AND stream_id <> %s",
            (table, self.stream_id),
        )
        for (stream,) in others:
            execute(session, f"DELETE FROM {self._table} WHERE stream_id = %s", (stream,))

    def forget(self, session: Session) -> None:
        """Remove this stream's rows, and the table when nobody else has any in it."""
        with self._lock(session, ""):
            if not self.exists(session):
                return
            try:
                execute(session, f"DELETE FROM {self._table} WHERE stream_id = %s", (self.stream_id,))
                if not rows_of(session, f"SELECT 1 FROM {self._table} LIMIT 1"):
                    execute(session, f"DROP TABLE {self._table}")
            except pymysql.MySQLError as error:
                raise query_failed(error, f"cleaning {self._table} failed") from None


def _detail(text: str | bytes | None) -> dict[str, Any]:
    return dict(json.loads(text)) if text else {}
