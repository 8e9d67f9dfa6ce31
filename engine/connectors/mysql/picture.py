"""One picture of the source for several connections, with as little locking as the server allows.

MySQL cannot hand a snapshot from one session to another, so the sessions' snapshots are opened one after the
other and must be shown to be the same:

1. Nothing was committed in between: the log position before the first and after the last is equal. No lock.
2. MariaDB tells each session where its own snapshot stands (Binlog_snapshot_file/position): opened again
   until all agree. No lock.
3. FLUSH TABLES WITH READ LOCK for the instant of opening, where the login may; bounded wait.

Where none works, each session keeps its own snapshot and the caller says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

import pymysql
from pymysql.connections import Connection as MysqlSession

from engine.config import Connection
from engine.connectors.base import ServerInfo
from engine.connectors.mysql.session import connect

ROUNDS = 5
LOCK_SECONDS = 3  # FLUSH TABLES WITH READ LOCK waits for long statements and holds up others meanwhile


def log_position(session: MysqlSession[Any], info: ServerInfo) -> str | None:
    """`file:position` of the end of the binary log; None when it is off or this login may not see it."""
    for statement in _status_statements(info):
        try:
            with session.cursor() as cursor:
                cursor.execute(statement)
                row = cursor.fetchone()
        except pymysql.MySQLError:
            continue
        return f"{row[0]}:{row[1]}" if row else None
    return None


def _status_statements(info: ServerInfo) -> Sequence[str]:
    if info.flavor == "mysql" and info.version_tuple >= (8, 2):
        return ("SHOW BINARY LOG STATUS",)
    return ("SHOW MASTER STATUS",)


class Picture:
    """`count` sessions, each in a read-only consistent snapshot; `consistent` says whether it is one and the
    same. `take` hands them out; once they are used up, a session with a newer snapshot is opened and `broken`
    is set: a reader lost its connection."""

    def __init__(self, connection: Connection, database: str, info: ServerInfo, count: int) -> None:
        self._connection = connection
        self._database = database
        self._info = info
        self._lock = threading.Lock()
        self._sessions: list[MysqlSession[Any]] = []
        self.consistent = True
        self.broken = False
        try:
            self._sessions = [connect(connection, database) for _ in range(count)]
            self.consistent = self._align()
        except BaseException:
            self.close()
            raise

    def take(self) -> MysqlSession[Any]:
        with self._lock:
            if self._sessions:
                return self._sessions.pop()
            self.broken = True
        session = connect(self._connection, self._database)
        _begin(session)
        return session

    def close(self) -> None:
        with self._lock:
            for session in self._sessions:
                session.close()
            self._sessions.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------

    def _align(self) -> bool:
        if len(self._sessions) <= 1:
            self._begin_all()
            return True
        ways: list[Callable[[], bool]] = [self._quiet_source]
        if self._info.flavor == "mariadb":
            ways.append(self._same_snapshot_position)
        ways.append(self._under_lock)
        return any(way() for way in ways)

    def _begin_all(self) -> None:
        for session in self._sessions:
            _begin(session)

    def _quiet_source(self) -> bool:
        before = log_position(self._sessions[0], self._info)
        self._begin_all()
        return before is not None and before == log_position(self._sessions[0], self._info)

    def _same_snapshot_position(self) -> bool:
        for _ in range(ROUNDS):
            self._begin_all()
            places = {_snapshot_position(session) for session in self._sessions}
            if len(places) == 1 and None not in places:
                return True
        return False

    def _under_lock(self) -> bool:
        locker = connect(self._connection, self._database)
        try:
            with locker.cursor() as cursor:
                cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
                try:
                    cursor.execute("FLUSH TABLES WITH READ LOCK")
                except pymysql.MySQLError:
                    return False
                self._begin_all()
                cursor.execute("UNLOCK TABLES")
            return True
        finally:
            locker.close()


def _begin(session: MysqlSession[Any]) -> None:
    with session.cursor() as cursor:
        cursor.execute("ROLLBACK")
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")


def _snapshot_position(session: MysqlSession[Any]) -> str | None:
    with session.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Binlog_snapshot_%'")
        values = {name.lower(): value for name, value in cursor.fetchall()}
    file = values.get("binlog_snapshot_file")
    return f"{file}:{values.get('binlog_snapshot_position')}" if file else None
