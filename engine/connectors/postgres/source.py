"""A schema of a PostgreSQL database as the source of a bounded read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine import schema
from engine.config import Connection, Policies, Selection, SourceConnection
from engine.connectors.base import Chunk, Facts, Note, Severity, TableRead
from engine.connectors.origins import with_origins
from engine.connectors.postgres.chunks import guessed_row, plan_chunks, row_bytes
from engine.connectors.postgres.facts import facts
from engine.connectors.postgres.identifiers import quote
from engine.connectors.postgres.manifest import known_types
from engine.connectors.postgres.picture import SourcePicture, log_position, open_session
from engine.connectors.postgres.queries import check_selection, query_table
from engine.connectors.postgres.ranges import range_key, relation
from engine.connectors.postgres.reader_failures import explained
from engine.connectors.postgres.session import server_info
from engine.connectors.postgres.source_catalog import read_database
from engine.connectors.postgres.source_types import printed_moment, read_column
from engine.connectors.reading import read_columns
from engine.errors import Code, EngineError
from engine.schema import Column, Table
from engine.types import Kind

DEFAULT_SCHEMA = "public"
MAX_BATCH_ROWS = 65_536
BATCH_BYTES = 8 << 20
_DIMENSIONS = 6  # an array has at most


def open_source(connection: Connection, part: SourceConnection) -> PostgresSource:
    """The source with its database and schema chosen. VALIDATION_FAILED when nothing names a database."""
    database = part.database or connection.database.database
    if database is None:
        raise EngineError(
            Code.VALIDATION_FAILED,
            "say which database to read: source.connections.0.database, or the connection's own",
            field="source.connections.0.database",
        )
    return PostgresSource(connection, database, part.schema_name or DEFAULT_SCHEMA)


class PostgresSource:
    """Implements SnapshotSource. Holds one session for the catalog and the chunk probes; every reader has its
    own. Raises CONNECTION_FAILED when it cannot be opened."""

    def __init__(self, connection: Connection, database: str, schema_name: str = DEFAULT_SCHEMA) -> None:
        self.connection = connection
        self.database = database
        self.schema = schema_name
        self._session = open_session(connection, database)
        try:
            with explained("asking the server what it is failed"):
                self.info = server_info(self._session)
        except BaseException:
            self._session.close()
            raise

    def catalog(self, database: str, only: Sequence[str] | None = None) -> schema.Database:
        """As source_catalog.read_database, of this source's schema."""
        with explained(f"reading the catalog of {self.schema} failed", database=database):
            found = read_database(self._session, self.info, self.schema, only)
            return with_origins(found, known_types(self._session, self.schema))

    def query_table(self, name: str, query: str) -> Table:
        """As queries.query_table; unqualified names in it are of this source's schema, then of public."""
        with explained(f"the query {name} cannot be a source", query=name), self._session.transaction():
            self._session.execute(f"SET LOCAL search_path = {quote(self.schema)}, public")
            return query_table(self._session, self.schema, name, query)

    def facts(self, table: Table, policies: Policies) -> Facts:
        """As facts.facts; a query is run for it, its unqualified names of this source's schema."""
        with explained(f"looking at the values of {table.schema}.{table.name} failed", table=table.name):
            if not table.query:
                return facts(self._session, table, policies)
            with self._session.transaction():
                self._session.execute(f"SET LOCAL search_path = {quote(self.schema)}, public")
                return facts(self._session, table, policies)

    def plan_read(
        self,
        table: Table,
        policies: Policies,
        *,
        plain_generated: frozenset[str] = frozenset(),
        max_rows: int | None = None,
        selection: Selection | None = None,
    ) -> tuple[TableRead, tuple[Note, ...]]:
        """How a table is read. `plain_generated`: generated columns to read as if they were plain."""
        chosen = selection or Selection()
        check_selection(table, chosen)
        columns = tuple(map(read_column, read_columns(table, policies, chosen, plain_generated)))
        with explained(f"planning how {table.schema}.{table.name} is read failed", table=table.name):
            notes = [*self._encoding_notes(table), *self._bound_notes(table, [c.source for c in columns])]
        read = TableRead(
            table,
            columns,
            range_key(table),
            max(1, min(max_rows or MAX_BATCH_ROWS, MAX_BATCH_ROWS)),
            BATCH_BYTES,
            row_bytes(table) or guessed_row(table),
            chosen,
            self._session.info.server_version,
        )
        return read, tuple(notes)

    def printed(self, read: TableRead) -> TableRead:
        """As PrintsMoments says: for comparing what no image holds."""
        return replace(read, columns=tuple(printed_moment(column) for column in read.columns))

    def chunks(self, read: TableRead, target_bytes: int, minimum: int) -> tuple[Chunk, ...]:
        table = read.table
        with explained(f"cutting {table.schema}.{table.name} into chunks failed", table=table.name):
            return plan_chunks(self._session, self.info, read, target_bytes, minimum)

    def position(self) -> str | None:
        """Where the server's log stands now, None when this login may not know."""
        with explained("asking for the position of the log failed"):
            return log_position(self._session)

    def picture(self, count: int) -> SourcePicture:
        """One snapshot for every reader, however many."""
        return SourcePicture(self.connection, self.database, self.schema)

    def close(self) -> None:
        self._session.close()

    # ------------------------------------------------------------

    def _encoding_notes(self, table: Table) -> list[Note]:
        if self._session.info.parameter_status("server_encoding") != "SQL_ASCII":
            return []
        text = "The database's encoding is SQL_ASCII: the server does not say what its text is, and what is"
        return [Note(Severity.WARNING, "sql-ascii", f"{text} not UTF-8 will be refused.", table.name)]

    def _bound_notes(self, table: Table, columns: Sequence[Column]) -> list[Note]:
        """Arrays that do not begin at 1, which JSON cannot say. One query, for tables with arrays only."""
        arrays = [column for column in columns if column.type.kind is Kind.ARRAY]
        if not arrays or table.query:
            return []
        asked = ", ".join(f"count(*) FILTER (WHERE {_moved(column)})" for column in arrays)
        row = self._session.execute(f"SELECT {asked} FROM {relation(table)}").fetchone() or ()
        return [
            Note(
                Severity.WARNING,
                "array-bounds",
                "Arrays begin at another index than 1; where they travel as JSON that is not carried.",
                table.name,
                column.name,
                count=int(count),
            )
            for column, count in zip(arrays, row, strict=True)
            if count
        ]


def _moved(column: Column) -> str:
    name = quote(column.name)
    return " OR ".join(f"array_lower({name}, {number}) <> 1" for number in range(1, _DIMENSIONS + 1))
