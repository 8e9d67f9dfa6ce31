"""Rows into PostgreSQL: one chunk, one transaction, one COPY, and the checkpoint row that says so."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import psycopg
import pyarrow as pa
from psycopg import errors as pg
from psycopg.abc import Buffer
from psycopg.copy import LibpqWriter
from psycopg.generators import copy_to

from engine.config import WriteMode
from engine.connectors.base import Encoded, LoadResult, LoadTable, RawRows
from engine.connectors.postgres.checkpoint import Checkpoints
from engine.connectors.postgres.identifiers import qualified, quote
from engine.connectors.postgres.session import PgConnection, is_connection_loss
from engine.errors import Code, EngineError
from engine.failpoints import fail_point
from ext.pgcopy import HEADER, TRAILER

_STAGE = "_dbstreams_stage"
# libpq copies what it is given into its own buffer and sends from there; larger pieces than the socket takes
# at once are moved about in it. Measured: 64 KiB loads 1.4 times as fast as 1 MiB.
WRITE_BYTES = 64 << 10


class _Writer(LibpqWriter):
    """Waits until the socket has taken each piece. psycopg's own goes on at once, and libpq then keeps all
    that a target slower than the source has not read: tens of megabytes, and without bound."""

    def write(self, data: Buffer) -> None:
        self.connection.wait(copy_to(self._pgconn, data, flush=True))


class PostgresLoader:
    """One session of the target, used by one thread."""

    def __init__(self, session: PgConnection, checkpoints: Checkpoints) -> None:
        self._session = session
        self._checkpoints = checkpoints

    def load(self, table: LoadTable, chunk: int, encoded: Iterable[tuple[Encoded, int]]) -> LoadResult:
        """Load one chunk and commit it with its checkpoint row. `encoded` gives rows of COPY, in text
        where the table says so, and how many they are; an exception of it leaves the target as it was.

        Raises EPOCH_SUPERSEDED, CONNECTION_LOST (the commit may or may not have happened: ask `committed`),
        ROW_REJECTED, CONSTRAINT_VIOLATION, TARGET_FULL, PERMISSION_DENIED.
        """
        result = LoadResult()
        into = qualified(table.schema, table.name)
        try:
            with self._session.transaction():
                if table.disable_triggers:
                    # Transactional: whatever happens to us, the triggers are on again.
                    self._session.execute(
                        f"ALTER TABLE {qualified(table.schema, table.name)} DISABLE TRIGGER USER"
                    )
                if table.write_mode is WriteMode.UPSERT:
                    self._upsert(table, encoded, result)
                else:
                    self._copy(into, table, encoded, result)
                if table.disable_triggers:
                    self._session.execute(
                        f"ALTER TABLE {qualified(table.schema, table.name)} ENABLE TRIGGER USER"
                    )
                self._checkpoints.put_chunk(self._session, table.name, chunk, result.rows, result.bytes)
                self._checkpoints.guard(self._session)
                fail_point("before_chunk_commit")
            fail_point("after_chunk_commit")
        except psycopg.Error as error:
            raise explain(error, table) from error
        return result

    def committed(self, table: str, chunk: int) -> tuple[int, int] | None:
        """Rows and bytes of the chunk when it is durable."""
        return self._checkpoints.chunk(self._session, table, chunk)

    def _copy(
        self,
        into: str,
        table: LoadTable,
        encoded: Iterable[tuple[Encoded, int]],
        result: LoadResult,
    ) -> None:
        names = ", ".join(quote(column) for column in table.columns)
        parts = iter(encoded)
        first = next(parts, None)
        # Rows passed on undecoded are binary whatever an encoder would have made of them.
        text = table.text and first is not None and not isinstance(first[0], RawRows)
        form = "(FORMAT text, ENCODING 'UTF8')" if text else "(FORMAT binary)"
        with self._session.cursor() as cursor:
            statement = f"COPY {into} ({names}) FROM STDIN {form}"
            with cursor.copy(statement, writer=_Writer(cursor)) as copy:
                if not text:
                    copy.write(HEADER)
                for part, rows in chain([first] if first is not None else [], parts):
                    assert not isinstance(part, pa.RecordBatch)
                    data = memoryview(part.data) if isinstance(part, RawRows) else part
                    for start in range(0, len(data), WRITE_BYTES):
                        copy.write(data[start : start + WRITE_BYTES])
                    result.rows += rows
                    result.bytes += len(data)
                if not text:
                    copy.write(TRAILER)
            stored = cursor.rowcount
        if stored != result.rows:
            raise EngineError(
                Code.ROW_REJECTED,
                f"the target stored {stored} of {result.rows} rows sent to {into}",
                table=into,
                sent=result.rows,
                stored=stored,
            )

    def _upsert(self, table: LoadTable, encoded: Iterable[tuple[Encoded, int]], result: LoadResult) -> None:
        """Stage the chunk, then insert or update by the declared primary key. Nothing is ever deleted, and a
        key that comes twice in the source is an error of the statement, not the last one winning."""
        names = ", ".join(quote(column) for column in table.columns)
        stage = f"pg_temp.{quote(_STAGE)}"
        self._session.execute(
            f"CREATE TEMPORARY TABLE {quote(_STAGE)} ON COMMIT DROP AS"
            f" SELECT {names} FROM {qualified(table.schema, table.name)} WITH NO DATA"
        )
        self._copy(stage, table, encoded, result)
        key = ", ".join(quote(column) for column in table.primary_key)
        rest = [column for column in table.columns if column not in table.primary_key]
        action = (
            "UPDATE SET " + ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in rest)
            if rest
            else "NOTHING"
        )
        self._session.execute(
            f"INSERT INTO {qualified(table.schema, table.name)} ({names}) OVERRIDING SYSTEM VALUE"
            f" SELECT {names} FROM {stage} ON CONFLICT ({key}) DO {action}"
        )

    def cancel(self) -> None:
        """From another thread: stop the running statement on the server."""
        self._session.cancel_safe(timeout=5)

    def close(self) -> None:
        self._session.close()


_CODES: tuple[tuple[type[psycopg.Error] | tuple[type[psycopg.Error], ...], Code, str], ...] = (
    (
        (pg.DiskFull, pg.OutOfMemory, pg.InsufficientResources, pg.ConfigurationLimitExceeded),
        Code.TARGET_FULL,
        "the target is out of space or memory: make room, then resume the stream",
    ),
    (
        (pg.InsufficientPrivilege, pg.ReadOnlySqlTransaction),
        Code.PERMISSION_DENIED,
        "this login may not do that on the target",
    ),
    (pg.IntegrityError, Code.CONSTRAINT_VIOLATION, "a row breaks a constraint of the target"),
    (
        pg.CardinalityViolation,
        Code.CONSTRAINT_VIOLATION,
        "the source holds a key twice: upsert refuses to choose",
    ),
    ((pg.DataError, pg.ProgramLimitExceeded), Code.ROW_REJECTED, "the target refused a row"),
)


def explain(error: psycopg.Error, table: LoadTable | None = None) -> EngineError:
    """A failure while loading, with the server's own words, SQLSTATE, constraint and column."""
    name = f"{table.schema}.{table.name}" if table else None
    diag = error.diag
    message = diag.message_primary or str(error).strip() or type(error).__name__
    if is_connection_loss(error):
        return EngineError(
            Code.CONNECTION_LOST,
            f"the connection to the target was lost: {message}",
            sqlstate=error.sqlstate,
            table=name,
        )
    code, advice = Code.QUERY_FAILED, "the target refused a statement"
    for kinds, candidate, text in _CODES:
        if isinstance(error, kinds):
            code, advice = candidate, text
            break
    where = f" ({name})" if name else ""
    detail = f"; {diag.message_detail}" if diag.message_detail else ""
    return EngineError(
        code,
        f"{advice}{where}: {message}{detail}",
        sqlstate=error.sqlstate,
        serverMessage=message,
        serverDetail=diag.message_detail,
        constraint=diag.constraint_name,
        column=diag.column_name,
        context=(diag.context or "")[:200] or None,
        table=name,
    )
