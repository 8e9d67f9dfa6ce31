"""A MySQL or MariaDB database as the source of a bounded read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymysql.connections import Connection as PyMySQLConnection

from engine import schema
from engine.config import Connection, Policies, Selection, SourceConnection
from engine.connectors.base import Chunk, Facts, Note, ReaderKind, SnapshotReader, TableRead
from engine.connectors.mysql.catalog import read_database
from engine.connectors.mysql.chunks import plan_chunks
from engine.connectors.mysql.connectorx import ConnectorxReader
from engine.connectors.mysql.failures import explained
from engine.connectors.mysql.picture import Picture, log_position
from engine.connectors.mysql.queries import query_table
from engine.connectors.mysql.scan import facts
from engine.connectors.mysql.session import connect, server_info
from engine.connectors.mysql.snapshot import NativeReader
from engine.connectors.mysql.symptoms import symptoms
from engine.connectors.mysql.target_manifest import known_types
from engine.connectors.mysql.types import plan_read
from engine.connectors.origins import with_origins
from engine.connectors.reading import Closing
from engine.errors import Code, EngineError


def open_source(connection: Connection, part: SourceConnection) -> MysqlSource:
    """The source with its database chosen. VALIDATION_FAILED when neither names one."""
    database = part.database or connection.database.database
    if database is None:
        raise EngineError(
            Code.VALIDATION_FAILED,
            "say which database to read: source.connections.0.database, or the connection's own",
            field="source.connections.0.database",
        )
    return MysqlSource(connection, database)


class MysqlSource:
    """Implements SnapshotSource. Holds one session for the catalog and the chunk probes; every reader has its
    own. Raises CONNECTION_FAILED when it cannot be opened."""

    def __init__(self, connection: Connection, database: str) -> None:
        self.connection = connection
        self.database = database
        self._session = connect(connection, database)
        self.info = server_info(self._session)

    def catalog(self, database: str, only: Sequence[str] | None = None) -> schema.Database:
        """As catalog.read_database."""
        with explained(f"reading the catalog of {database} failed", database=database):
            found = read_database(self._session, self.info, database, only)
            return with_origins(found, known_types(self._session, found.name))

    def query_table(self, name: str, query: str) -> schema.Table:
        dialect = "mariadb" if self.info.flavor == "mariadb" else "mysql"
        return query_table(self._session, self.database, dialect, name, query)

    def facts(self, table: schema.Table, policies: Policies) -> Facts:
        """What the data says where the structure alone does not decide; asks only what the policies need."""
        with explained(f"looking at the values of {table.schema}.{table.name} failed", table=table.name):
            return facts(self._session, table, policies)

    def plan_read(
        self,
        table: schema.Table,
        policies: Policies,
        *,
        plain_generated: frozenset[str] = frozenset(),
        max_rows: int | None = None,
        selection: Selection | None = None,
    ) -> tuple[TableRead, tuple[Note, ...]]:
        """How a table is read. `plain_generated`: generated columns to read as if they were plain."""
        with explained(f"planning how {table.schema}.{table.name} is read failed", table=table.name):
            read, notes = plan_read(
                self._session,
                self.info,
                table,
                policies,
                plain_generated=plain_generated,
                max_rows=max_rows,
                selection=selection,
            )
            columns = [column.source for column in read.columns]
            return read, (*notes, *symptoms(self._session, table, columns))

    def chunks(self, read: TableRead, target_bytes: int, minimum: int) -> tuple[Chunk, ...]:
        if read.selection.sorts or read.selection.limit is not None:
            return (Chunk(0, None, read.table.estimated_rows, read.table.estimated_bytes),)
        return plan_chunks(self._session, read, target_bytes, minimum)

    def position(self) -> str | None:
        """Where the binary log ends now, None when it is off or hidden from this login."""
        return log_position(self._session, self.info)

    def reader(self, kind: ReaderKind, session: PyMySQLConnection[Any] | None = None) -> SnapshotReader:
        """A reader of its own. `session`: one in its snapshot already, for our own reader, which then owns
        it. Raises QUERY_FAILED when ConnectorX may not be used on this connection."""
        if kind == "connectorx":
            return ConnectorxReader(self.connection, self.database, self.info)
        return NativeReader(self.connection, self.database, session)

    def picture(self, count: int) -> SourcePicture:
        """One picture of the source for `count` of our own readers."""
        return SourcePicture(self, count)

    def close(self) -> None:
        self._session._force_close()


class SourcePicture(Closing):
    """Readers that see the same rows, where the server allows it (`consistent`). `broken`: a reader had to be
    replaced by one with a newer picture. ConnectorX readers have a picture of their own for every chunk."""

    def __init__(self, source: MysqlSource, count: int) -> None:
        self._source = source
        self._picture = Picture(source.connection, source.database, source.info, count)

    @property
    def consistent(self) -> bool:
        return self._picture.consistent

    @property
    def broken(self) -> bool:
        return self._picture.broken

    def reader(self, kind: ReaderKind) -> SnapshotReader:
        session = self._picture.take() if kind == "native" else None
        return self._source.reader(kind, session)

    def close(self) -> None:
        self._picture.close()
