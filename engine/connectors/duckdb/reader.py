"""Rows of a DuckDB file as record batches, and the picture of it that several readers share."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping

import duckdb
import pyarrow as pa

from engine.connectors.base import KeyRange, ReaderKind, TableRead
from engine.connectors.duckdb.checkpoint import rollback
from engine.connectors.duckdb.database import Cursor, Database
from engine.connectors.duckdb.failures import explained, said
from engine.connectors.duckdb.identifiers import quote
from engine.connectors.duckdb.queries import select
from engine.connectors.duckdb.source_types import finished
from engine.connectors.reading import Closing
from engine.errors import Code, EngineError


def session(database: Database, schema: str) -> Cursor:
    """A cursor whose unqualified names are of that schema."""
    cursor = database.cursor()
    cursor.execute(f"USE {quote(database.catalog)}.{quote(schema)}")
    return cursor


class DuckdbReader:
    """A SnapshotReader over one cursor in a transaction that sees what its picture saw."""

    def __init__(self, database: Database, cursor: Cursor) -> None:
        self._database = database
        self._cursor = cursor

    @property
    def counters(self) -> Mapping[tuple[str, str], int]:
        """Nothing is changed by reading."""
        return {}

    def read(self, read: TableRead, bounds: KeyRange | None) -> Generator[pa.RecordBatch, None, None]:
        """As SnapshotReader.read."""
        what = f"reading {read.table.schema}.{read.table.name} failed"
        schema = read.arrow_schema
        try:
            statement, values = select(self._database.catalog, read, bounds)
            reader = self._cursor.execute(statement, values).to_arrow_reader(read.batch_rows)
            with reader:
                for batch in reader:
                    if not read.columns:
                        yield pa.RecordBatch.from_struct_array(pa.array([{}] * batch.num_rows, pa.struct([])))
                        continue
                    yield pa.RecordBatch.from_arrays(
                        [
                            finished(array, column)
                            for array, column in zip(batch.columns, read.columns, strict=True)
                        ],
                        schema=schema,
                    )
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            code = Code.VALUE_NOT_REPRESENTABLE if _is_value(error) else Code.QUERY_FAILED
            raise EngineError(code, f"{what}: {said(error)}", table=read.table.name) from error

    def cancel(self) -> None:
        """From another thread: stop the running read."""
        self._cursor.interrupt()

    def close(self) -> None:
        rollback(self._cursor)
        self._database.release(self._cursor)


def _is_value(error: Exception) -> bool:
    text = str(error)
    return "with nanoseconds" in text or "Conversion Error" in text


class DuckdbPicture(Closing):
    """Readers that see the same rows: their transactions are begun together, while nothing commits. A reader
    that comes later, where somebody in this process may have written meanwhile, breaks the picture."""

    def __init__(self, database: Database, schema: str, count: int) -> None:
        self._database = database
        self._schema = schema
        self._lock = threading.Lock()
        self._waiting: list[Cursor] = []
        self.consistent = True
        self.broken = False
        with explained("beginning to read failed", path=database.path), database.lock:
            self._waiting = [self._begin() for _ in range(count)]

    def _begin(self) -> Cursor:
        cursor = session(self._database, self._schema)
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        # What is seen is settled by the first look into the file, not by BEGIN.
        cursor.execute("SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database()")
        return cursor

    def reader(self, kind: ReaderKind) -> DuckdbReader:
        """A reader of its own. There is no ConnectorX here."""
        with self._lock:
            if self._waiting:
                return DuckdbReader(self._database, self._waiting.pop())
            self.broken = self.broken or not self._database.read_only
        with explained("beginning to read failed", path=self._database.path):
            return DuckdbReader(self._database, self._begin())

    def close(self) -> None:
        with self._lock:
            for cursor in self._waiting:
                self._database.release(cursor)
            self._waiting.clear()
