"""The checkpoint table on MySQL and MariaDB, in InnoDB (engine/connectors/checkpoints.py says what is in it).

Every attempt raises the epoch. A commit locks the stream's row in share mode and compares; raising waits for
commits under way. So a worker that should be dead committed before the new attempt looked, or never.

DDL commits by itself here, so a statement of structure cannot be guarded in its own transaction: it runs
under the stream's named lock, taken before the epoch is compared. An attempt that takes the stream over takes
that lock too, so a straggler's DROP is over before the new attempt looks, or finds the epoch raised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import pymysql
from pymysql.connections import Connection as PyMySQLConnection

from engine.connectors.checkpoints import TABLE, CheckpointRows
from engine.connectors.mysql.failures import query_failed
from engine.connectors.mysql.identifiers import qualified
from engine.errors import Code, EngineError

_LOCK_SECONDS = 120
_DUPLICATE = 1062

Session: TypeAlias = "PyMySQLConnection[Any]"


def rows_of(session: Session, sql: str, args: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    with session.cursor() as cursor:
        cursor.execute(sql, args or None)
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


class Checkpoints(CheckpointRows[Session]):
    """The checkpoint rows of one stream in one database."""

    NOW = "NOW(6)"
    LOCKED = " LOCK IN SHARE MODE"
    SIZES = "`rows`, `bytes`"
    WHERE = "database"

    def __init__(self, database: str, stream_id: str) -> None:
        super().__init__(database, stream_id, qualified(database, TABLE))
        self.database = database

    def _ask(self, session: Session, sql: str, args: tuple[Any, ...] = ()) -> Sequence[tuple[Any, ...]]:
        return rows_of(session, sql, args)

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

    # ------------------------------------------------------------ the stream

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
                self.epoch = int(self._of_stream(session, "epoch"))
        return self.epoch > 1

    def _ensure(self, session: Session) -> None:
        if not self._is_made(session):
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

    # ------------------------------------------------------------ tables and chunks

    def put_table(self, session: Session, table: str, state: str, detail: Mapping[str, Any]) -> None:
        execute(
            session,
            f"INSERT INTO {self._table} (stream_id, object, chunk, epoch, state, detail)"
            " VALUES (%s, %s, -1, %s, %s, %s)"
            " ON DUPLICATE KEY UPDATE epoch = VALUES(epoch), state = VALUES(state), detail = VALUES(detail),"
            " updated_at = NOW(6)",
            (self.stream_id, table, self.epoch, state, self._packed(detail)),
        )

    def put_chunk(self, session: Session, table: str, chunk: int, rows: int, bytes_: int) -> None:
        """Fails with EPOCH_SUPERSEDED when the chunk is there: somebody else has committed it."""
        try:
            self._add_chunk(session, table, chunk, rows, bytes_)
        except pymysql.IntegrityError as error:
            if error.args[:1] != (_DUPLICATE,):
                raise
            raise self._is_committed(table, chunk) from None

    def supersede_others(self, session: Session, table: str) -> None:
        """As on other servers; by two statements, because one may not delete from what it reads."""
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
                self._remove(session)
            except pymysql.MySQLError as error:
                raise query_failed(error, f"cleaning {self._table} failed") from None
