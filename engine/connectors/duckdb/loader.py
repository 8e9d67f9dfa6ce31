"""Rows into DuckDB: one chunk, one transaction, and the checkpoint row that says so.

The rows of a chunk go in by INSERT … SELECT from Arrow, as one stream the encoder feeds. Chunks are loaded at
the same time; their commits take turns.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain

import duckdb
import pyarrow as pa

from engine.config import WriteMode
from engine.connectors.base import Encoded, LoadResult, LoadTable
from engine.connectors.duckdb.checkpoint import Checkpoints, rollback
from engine.connectors.duckdb.database import Database
from engine.connectors.duckdb.encode import SQL
from engine.connectors.duckdb.failures import explain
from engine.connectors.duckdb.identifiers import qualified, quote
from engine.errors import Code, EngineError
from engine.failpoints import fail_point

_ROWS = "_dbstreams_rows"
_STAGE = "_dbstreams_stage"


class DuckdbLoader:
    """One session of the file, used by one thread; `close` lets go of its share of the file."""

    def __init__(self, database: Database, checkpoints: Checkpoints) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._cursor = database.cursor()
        self._watch = database.cursor()  # sees what is committed, not what this transaction began with

    def load(self, table: LoadTable, chunk: int, encoded: Iterable[tuple[Encoded, int]]) -> LoadResult:
        """As Loader.load."""
        result = LoadResult()
        try:
            self._cursor.execute("BEGIN TRANSACTION")
            try:
                staged = self._rows(table, encoded, result)
                with self._database.lock:
                    if staged:
                        self._merge(qualified(self._database.catalog, table.schema, table.name), table)
                    self._checkpoints.put_chunk(
                        self._cursor, self._watch, table.name, chunk, result.rows, result.bytes
                    )
                    self._checkpoints.guard(self._watch)
                    fail_point("before_chunk_commit")
                    self._cursor.execute("COMMIT")
            except BaseException:
                rollback(self._cursor)
                raise
            fail_point("after_chunk_commit")
        except duckdb.Error as error:
            raise explain(error, table) from error
        return result

    def committed(self, table: str, chunk: int) -> tuple[int, int] | None:
        """Rows and bytes of the chunk when it is durable."""
        return self._checkpoints.chunk(self._watch, table, chunk)

    # ------------------------------------------------------------ rows

    def _rows(self, table: LoadTable, encoded: Iterable[tuple[Encoded, int]], result: LoadResult) -> bool:
        """Whether they are in the stage, still to be merged."""
        feed = _Feed(encoded, result)
        first = feed.first()
        if first is None:
            return False
        into = qualified(self._database.catalog, table.schema, table.name)
        if table.write_mode is not WriteMode.UPSERT:
            self._insert(into, table, feed, first)
            return False
        self._stage(into, table.columns)
        self._insert(f"temp.main.{quote(_STAGE)}", table, feed, first)
        return True

    def _insert(self, into: str, table: LoadTable, feed: _Feed, first: pa.RecordBatch) -> None:
        names = ", ".join(quote(column) for column in table.columns)
        values = ", ".join(_expression(field) for field in first.schema)
        reader = pa.RecordBatchReader.from_batches(first.schema, feed.batches(first))
        self._cursor.register(_ROWS, reader)
        try:
            row = self._cursor.execute(
                f"INSERT INTO {into} ({names}) SELECT {values} FROM {_ROWS}"
            ).fetchone()
        except BaseException:
            feed.end()
            raise
        finally:
            self._cursor.unregister(_ROWS)
            reader.close()
        feed.end()
        stored = int(row[0]) if row else 0
        if stored != feed.result.rows:
            raise EngineError(
                Code.ROW_REJECTED,
                f"the target stored {stored} of {feed.result.rows} rows sent to {table.name}",
                table=table.name,
                sent=feed.result.rows,
                stored=stored,
            )

    # ------------------------------------------------------------ upsert

    def _stage(self, into: str, columns: Sequence[str]) -> None:
        names = ", ".join(quote(column) for column in columns)
        self._cursor.execute(
            f"CREATE OR REPLACE TEMPORARY TABLE {quote(_STAGE)} AS SELECT {names} FROM {into} LIMIT 0"
        )

    def _merge(self, into: str, table: LoadTable) -> None:
        """Change the rows whose key is there, add the others. Nothing is deleted; a key that comes twice, or
        is NULL, is refused."""
        stage, key = f"temp.main.{quote(_STAGE)}", [quote(name) for name in table.primary_key]
        self._refuse_doubtful(stage, table, key)
        names = [quote(column) for column in table.columns]
        rest = [name for name in names if name not in key]
        equal = " AND ".join(f"t.{name} = s.{name}" for name in key)
        if rest:
            changes = ", ".join(f"{name} = s.{name}" for name in rest)
            self._cursor.execute(f"UPDATE {into} AS t SET {changes} FROM {stage} AS s WHERE {equal}")
        self._cursor.execute(
            f"INSERT INTO {into} ({', '.join(names)}) SELECT {', '.join(names)} FROM {stage} AS s"
            f" WHERE NOT EXISTS (SELECT 1 FROM {into} AS t WHERE {equal})"
        )
        self._cursor.execute(f"DROP TABLE {stage}")

    def _refuse_doubtful(self, stage: str, table: LoadTable, key: Sequence[str]) -> None:
        columns = ", ".join(key)
        texts = ", ".join(f"CAST({name} AS VARCHAR)" for name in key)
        null = " OR ".join(f"{name} IS NULL" for name in key)
        row = self._cursor.execute(
            f"SELECT {texts} FROM {stage} GROUP BY {columns} HAVING count(*) > 1 OR {null} LIMIT 1"
        ).fetchone()
        if row is not None:
            shown = dict(zip(table.primary_key, row, strict=True))
            raise EngineError(
                Code.CONSTRAINT_VIOLATION,
                f"the source holds a key of {table.name} twice, or one with NULL: upsert refuses to choose"
                f" ({', '.join(f'{name}={value!r}' for name, value in shown.items())})",
                table=table.name,
                key=shown,
            )

    def cancel(self) -> None:
        """From another thread: stop the running statement."""
        self._cursor.interrupt()

    def close(self) -> None:
        """Close the two sessions; the file stays open for the others."""
        self._database.release(self._cursor)
        self._database.release(self._watch)


def _expression(field: pa.Field) -> str:
    made = (field.metadata or {}).get(SQL, b"{}").decode()
    return str(made.replace("{}", quote(field.name)))


class _Feed:
    """Encoded batches as DuckDB pulls them, on a thread of its own. What breaks the stream off is kept: on
    its way through DuckDB an exception would be left with nothing but its text."""

    def __init__(self, encoded: Iterable[tuple[Encoded, int]], result: LoadResult) -> None:
        self._encoded = iter(encoded)
        self._error: BaseException | None = None
        self.result = result

    def first(self) -> pa.RecordBatch | None:
        return next(self._counted(), None)

    def _counted(self) -> Iterator[pa.RecordBatch]:
        for part, rows in self._encoded:
            assert isinstance(part, pa.RecordBatch)
            self.result.rows += rows
            self.result.bytes += part.nbytes
            yield part

    def batches(self, first: pa.RecordBatch) -> Generator[pa.RecordBatch, None, None]:
        try:
            yield from chain((first,), self._counted())
        except BaseException as error:
            if not isinstance(error, GeneratorExit):
                self._error = error
            raise

    def end(self) -> None:
        """Raises what broke the stream off."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
