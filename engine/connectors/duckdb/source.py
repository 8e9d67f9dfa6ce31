"""A schema of a DuckDB file as the source of a bounded read.

The file is opened read-only: several processes may read it, none may write meanwhile. So the rows stay what
they are for as long as the source is open.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import pairwise

from engine import schema
from engine.config import Connection, Policies, Selection, SourceConnection
from engine.connectors.base import Chunk, Facts, KeyRange, Note, Severity, TableRead
from engine.connectors.duckdb.database import open_database, path_of, version
from engine.connectors.duckdb.failures import explained
from engine.connectors.duckdb.manifest import known_types
from engine.connectors.duckdb.queries import ROWID, check_selection, query_table, relation
from engine.connectors.duckdb.reader import DuckdbPicture, session
from engine.connectors.duckdb.source_catalog import Catalog, guessed_row
from engine.connectors.duckdb.source_types import read_column
from engine.connectors.origins import with_origins
from engine.connectors.reading import read_columns
from engine.errors import Code, EngineError
from engine.schema import Table

DEFAULT_SCHEMA = "main"
MAX_BATCH_ROWS = 65_536
BATCH_BYTES = 8 << 20
SHARE_BYTES = 4 << 20  # less than this for each worker is not worth sharing
_PROBED = 2048  # rows, from which the size of the others is guessed


def open_source(connection: Connection, part: SourceConnection) -> DuckdbSource:
    """The source with its schema chosen. VALIDATION_FAILED for another database than the file's."""
    return DuckdbSource(connection, part.database, part.schema_name or DEFAULT_SCHEMA)


class DuckdbSource:
    """Implements SnapshotSource. Raises CONNECTION_FAILED, CONNECTION_BUSY when it cannot be opened."""

    def __init__(self, connection: Connection, database: str | None, schema_name: str) -> None:
        self.schema = schema_name
        path = path_of(connection)
        self._file = open_database(path, read_only=True)
        self.info = version(path)
        self.database = self._file.catalog
        try:
            if database not in (None, self.database):
                self._refuse("database", f"the database in {path} is called {self.database}")
            self._cursor = self._file.cursor()
            row = self._cursor.execute(
                "SELECT count(*) FROM duckdb_schemas() WHERE database_name = ? AND schema_name = ?",
                [self.database, schema_name],
            ).fetchone()
            if not (row and row[0]):
                self._refuse("schema", f"{path} has no schema {schema_name}")
            self._file.release(self._cursor)
            self._cursor = session(self._file, schema_name)
        except BaseException:
            self._file.close()
            raise

    def _refuse(self, name: str, problem: str) -> None:
        field = f"source.connections.0.{name}"
        raise EngineError(
            Code.VALIDATION_FAILED, f"{field}: {problem}", fields=[{"field": field, "problem": problem}]
        )

    def catalog(self, database: str, only: Sequence[str] | None = None) -> schema.Database:
        """As source_catalog.Catalog.database."""
        with explained(f"reading the catalog of {self.schema} failed", database=database):
            found = Catalog(self._cursor, self.database, self.schema).database(only)
            return with_origins(found, known_types(self._cursor, self.database, self.schema))

    def query_table(self, name: str, query: str) -> Table:
        """As queries.query_table; unqualified names in it are of this source's schema."""
        with explained(f"the query {name} cannot be a source", query=name):
            return query_table(self._cursor, self.schema, name, query)

    def facts(self, table: Table, policies: Policies) -> Facts:
        """Nothing a policy asks about can be in a DuckDB file."""
        return Facts({})

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
        with explained(f"planning how {table.schema}.{table.name} is read failed", table=table.name):
            check_selection(self._cursor, self.database, table, chosen)
            widest = self._row_bytes(table)
        columns = tuple(map(read_column, read_columns(table, policies, chosen, plain_generated)))
        rows = max(1, min(max_rows or MAX_BATCH_ROWS, MAX_BATCH_ROWS, BATCH_BYTES // widest + 1))
        read = TableRead(table, columns, table.key_columns, rows, BATCH_BYTES, widest, chosen)
        return read, tuple(_notes(table))

    def _row_bytes(self, table: Table) -> int:
        """Of the first rows on average, as Arrow has them; a guess for a query, which is not run for it."""
        if table.query:
            return guessed_row(table.columns)
        rows = self._cursor.execute(
            f"SELECT * FROM {relation(self.database, table)} LIMIT {_PROBED}"
        ).to_arrow_table()
        return max(1, rows.nbytes // rows.num_rows) if rows.num_rows else guessed_row(table.columns)

    def chunks(self, read: TableRead, target_bytes: int, minimum: int) -> tuple[Chunk, ...]:
        """Ranges of row numbers of about `target_bytes`; one for a query, a selection with an order, and a
        table with a column called rowid, which hides the numbers."""
        table = read.table
        named = {column.name.casefold() for column in table.columns}
        whole = (Chunk(0, None, table.estimated_rows, table.estimated_bytes),)
        if table.query or read.selection.sorts or read.selection.limit is not None or ROWID in named:
            return whole
        with explained(f"cutting {table.schema}.{table.name} into chunks failed", table=table.name):
            row = self._cursor.execute(
                f"SELECT count(*), max({ROWID}) FROM {relation(self.database, table)}"
            ).fetchone()
        count, last = (int(row[0]), row[1]) if row else (0, None)
        size = count * (read.widest_row or 1)
        wanted = max(math.ceil(size / target_bytes), min(minimum, size // SHARE_BYTES))
        if last is None or wanted <= 1:
            return (Chunk(0, None, count, size),)
        step = math.ceil((int(last) + 1) / wanted)
        cuts = list(range(step, int(last) + 1, step))
        edges = [None, *cuts, None]
        return tuple(
            Chunk(
                number,
                KeyRange((ROWID,), None if lower is None else (lower,), None if upper is None else (upper,)),
                count // (len(edges) - 1),
                size // (len(edges) - 1),
            )
            for number, (lower, upper) in enumerate(pairwise(edges))
        )

    def position(self) -> str | None:
        """Size and time of the file and of its log: equal ones mean that nothing was written in between."""
        if not self._file.read_only:
            return None
        found = []
        for path in (self._file.path, f"{self._file.path}.wal"):
            try:
                state = os.stat(path)
            except OSError:
                continue
            found.append(f"{state.st_size}:{state.st_mtime_ns}")
        return " ".join(found)

    def picture(self, count: int) -> DuckdbPicture:
        """One picture of the file for `count` readers."""
        return DuckdbPicture(self._file, self.schema, count)

    def close(self) -> None:
        """Let go of the file. Repeating is harmless."""
        self._file.close()


def _notes(table: Table) -> list[Note]:
    """What is read as something else than it is."""
    return [
        Note(
            Severity.INFO,
            "nanoseconds-as-text",
            f"{column.native_type} holds nanoseconds: read as text",
            table.name,
            column.name,
        )
        for column in table.columns
        if column.native_type == "TIMESTAMP_NS" and column.type.kind.value == "other"
    ]
