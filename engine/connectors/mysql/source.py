"""A MySQL or MariaDB database as the source of a bounded read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pymysql.connections import Connection as PyMySQLConnection

from engine import schema
from engine.config import Connection
from engine.connectors.base import Chunk, Note, SnapshotReader, TableRead
from engine.connectors.mysql.catalog import read_database
from engine.connectors.mysql.session import connect, server_info
from engine.connectors.mysql.snapshot import NativeReader


class MysqlSource:
    """Implements SnapshotSource. Holds one session for the catalog and the chunk probes; every reader has its
    own. Raises CONNECTION_FAILED when it cannot be opened."""

    def __init__(self, connection: Connection, database: str) -> None:
        self.connection = connection
        self.database = database
        self._session = connect(connection, database)
        self.info = server_info(self._session)

    def catalog(self, database: str, only: Sequence[str] | None = None) -> schema.Database:
        return read_database(self._session, self.info, database, only)

    def reader(
        self, kind: Literal["native", "connectorx"], session: PyMySQLConnection[Any] | None = None
    ) -> SnapshotReader:
        """A reader of its own. `session`: one that is in its snapshot already; the reader then owns it."""
        return NativeReader(self.connection, self.database, session)

    def close(self) -> None:
        self._session._force_close()
