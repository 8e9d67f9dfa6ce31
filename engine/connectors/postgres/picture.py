"""One exported snapshot for every reader of a stream, held open by a session of its own.

PostgreSQL documentation, "SET TRANSACTION SNAPSHOT" and "Snapshot Synchronization Functions". A standby
exports snapshots too.
"""

from __future__ import annotations

import threading

import psycopg

from engine.config import Connection
from engine.connectors.base import ReaderKind
from engine.connectors.postgres.identifiers import literal
from engine.connectors.postgres.reader import PostgresReader
from engine.connectors.postgres.reader_failures import explained
from engine.connectors.postgres.session import PgConnection, connect
from engine.connectors.reading import Closing

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# By name where the server knows it: no timeout ends a stream, nothing hides rows, compiling expressions does
# not pay for a COPY.
_SETTINGS = {
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "row_security": "off",
    "jit": "off",
    "default_transaction_read_only": "on",
}


def open_session(connection: Connection, database: str) -> PgConnection:
    """A session for reading. Raises CONNECTION_FAILED."""
    session = connect(connection, database, application="dbstreams source")
    try:
        with explained("preparing the session failed"):
            session.execute(
                "SELECT set_config(s.name, w.value, false) FROM pg_settings s"
                " JOIN unnest(%s::text[], %s::text[]) AS w(name, value) ON w.name = s.name",
                (list(_SETTINGS), list(_SETTINGS.values())),
            )
    except BaseException:
        session.close()
        raise
    return session


def log_position(session: PgConnection) -> str | None:
    """Where the log ends now, on a standby where it was replayed to; None when this login may not know."""
    try:
        row = session.execute(
            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
            " ELSE pg_current_wal_lsn() END::text"
        ).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return str(row[0]) if row and row[0] is not None else None


class SourcePicture(Closing):
    """Readers that all see the rows of one snapshot. `broken`: the session that held it was lost, and readers
    opened since see a newer one."""

    consistent = True

    def __init__(self, connection: Connection, database: str, schema: str) -> None:
        self._connection = connection
        self._database = database
        self._schema = schema
        self._lock = threading.Lock()
        self.broken = False
        self._holder, self._snapshot = self._export()

    def reader(self, kind: ReaderKind) -> PostgresReader:
        """A reader of its own. There is no ConnectorX for PostgreSQL: its decimals are cut at ten digits."""
        session = open_session(self._connection, self._database)
        try:
            return PostgresReader(session, self._schema, self._begin())
        except BaseException:
            session.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._holder.close()

    # ------------------------------------------------------------

    def _begin(self) -> tuple[str, ...]:
        with self._lock:
            if not self._alive():
                self._holder.close()
                self._holder, self._snapshot = self._export()
                self.broken = True
            return BEGIN, f"SET TRANSACTION SNAPSHOT {literal(self._snapshot)}"

    def _alive(self) -> bool:
        try:
            self._holder.execute("SELECT")
        except psycopg.Error:
            return False
        return True

    def _export(self) -> tuple[PgConnection, str]:
        session = open_session(self._connection, self._database)
        try:
            with explained("exporting a snapshot failed"):
                session.execute(BEGIN)
                row = session.execute("SELECT pg_export_snapshot()").fetchone()
                assert row is not None
                return session, str(row[0])
        except BaseException:
            session.close()
            raise
