"""Our own reader: one table, key range or query as record batches, or as undecoded rows, by binary COPY."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import pyarrow as pa
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus

from engine.connectors.base import KeyRange, RawRows, TableRead
from engine.connectors.postgres.identifiers import quote
from engine.connectors.postgres.queries import select
from engine.connectors.postgres.reader_failures import explain_source
from engine.connectors.postgres.session import PgConnection
from engine.connectors.postgres.source_types import field_spec
from engine.errors import Code, EngineError
from ext.pgread import CopyDecoder, CopyRows
from ext.pgreadspec import ConnectionCut, CopyError, printed_row
from ext.rowerror import RowError

RAW_BYTES = 1 << 20


class PostgresReader:
    """A RawReader. `begin` opens a transaction in the stream's snapshot: before the first read, and again
    after a statement that failed. A lost connection is not replaced."""

    def __init__(self, session: PgConnection, schema: str, begin: tuple[str, ...]) -> None:
        self._session = session
        self._schema = schema
        self._begin = begin
        self._shown = "pg_catalog"  # search_path, as every session of ours begins
        self._ensure_begun()

    @property
    def counters(self) -> Mapping[tuple[str, str], int]:
        """Nothing is ever changed while it is read."""
        return {}

    def read(self, read: TableRead, bounds: KeyRange | None) -> Generator[pa.RecordBatch, None, None]:
        """Batches with `read.arrow_schema`, in key order. Raises VALUE_NOT_REPRESENTABLE naming the row,
        CONNECTION_LOST, PERMISSION_DENIED, QUERY_FAILED."""
        decoder = CopyDecoder(
            [field_spec(column) for column in read.columns], read.batch_rows, read.batch_bytes
        )
        with self._copying(read, select(read, bounds)):
            try:
                while (batch := decoder.receive(self._session.pgconn)) is not None:
                    yield batch
            except RowError as error:
                raise _refused(read, error, decoder) from error
            self._end_of_copy(decoder)

    def read_raw(self, read: TableRead, bounds: KeyRange | None) -> Generator[RawRows, None, None]:
        """Rows as the server sends them: every column in its own type's binary form, in no order."""
        rows = CopyRows(len(read.columns), RAW_BYTES)
        with self._copying(read, select(read, bounds, raw=True)):
            while (piece := rows.receive(self._session.pgconn)) is not None:
                yield RawRows(*piece)
            self._end_of_copy(rows)

    def cancel(self) -> None:
        """From another thread: stop the running statement on the server."""
        with contextlib.suppress(psycopg.Error):
            self._session.cancel_safe(timeout=5)

    def close(self) -> None:
        self._session.close()

    # ------------------------------------------------------------

    @contextmanager
    def _copying(self, read: TableRead, statement: str) -> Iterator[None]:
        """A COPY under way; whatever is left of it is got rid of at the end."""
        table = read.table
        what = f"reading {table.schema}.{table.name} failed"
        copying = False
        try:
            self._ensure_begun()
            self._search_path(table.query != "")
            self._start(f"COPY ({statement}) TO STDOUT (FORMAT binary)")
            copying = True
            yield
            copying = False
        except CopyError as error:
            raise EngineError(Code.QUERY_FAILED, f"{what}: {error}", table=table.name) from None
        except ConnectionCut as error:
            self._session.pgconn.finish()
            raise EngineError(Code.CONNECTION_LOST, f"{what}: {error}", table=table.name) from None
        except psycopg.Error as error:
            copying = False
            raise explain_source(error, what, table=table.name) from None
        finally:
            if copying:
                self._give_up()

    def _ensure_begun(self) -> None:
        session = self._session
        if session.pgconn.transaction_status == TransactionStatus.INTRANS:
            return
        try:
            if session.pgconn.transaction_status == TransactionStatus.INERROR:
                session.execute("ROLLBACK")
            for statement in self._begin:
                session.execute(statement)
            self._shown = "pg_catalog"
        except psycopg.Error as error:
            if error.sqlstate in ("22023", "55000", "42704"):  # the snapshot is gone with its holder
                session.close()
                raise EngineError(
                    Code.CONNECTION_LOST, f"the snapshot of the source is no longer there: {error}"
                ) from None
            raise explain_source(error, "opening the snapshot failed") from None

    def _search_path(self, query: bool) -> None:
        """A user's query finds its tables by name, as it would in a session of the user's; statements of ours
        see nothing that somebody else could have put in their way."""
        path = f"{quote(self._schema)}, public" if query else "pg_catalog"
        if self._shown != path:
            self._session.execute(f"SET LOCAL search_path = {path}")
            self._shown = path

    def _start(self, statement: str) -> None:
        result = self._session.pgconn.exec_(statement.encode())
        if result.status != ExecStatus.COPY_OUT:
            raise self._error(result)

    def _end_of_copy(self, rows: CopyDecoder | CopyRows) -> None:
        """The server's last word: its error, if it stopped early."""
        result: Any = self._session.pgconn.get_result()
        while (following := self._session.pgconn.get_result()) is not None:
            result = following
        if result is None or result.status != ExecStatus.COMMAND_OK:
            raise self._error(result)
        if not rows.finished:
            raise CopyError("the rows ended without a trailer")

    def _error(self, result: Any) -> Exception:
        if result is None or self._session.pgconn.status != ConnStatus.OK:
            return ConnectionCut(self._session.pgconn.get_error_message().strip())
        return psycopg.errors.error_from_result(result)

    def _give_up(self) -> None:
        """Stop the statement and pass over what is under way, so that the session can be used again."""
        connection = self._session.pgconn
        with contextlib.suppress(psycopg.Error):
            self._session.cancel_safe(timeout=5)
            while connection.get_copy_data(0)[0] > 0:
                pass
            while connection.get_result() is not None:
                pass
            return
        self._session.close()


def _refused(read: TableRead, error: RowError, decoder: CopyDecoder) -> EngineError:
    table, column = read.table, read.columns[error.column]
    texts = printed_row(decoder.failed_row or b"", decoder.specs)
    names = [member.name for member in read.columns]
    wanted = read.key or table.key_columns
    key = {name: texts[names.index(name)] for name in wanted if name in names}
    where = ", ".join(f"{name}={value!r}" for name, value in key.items()) or "a row of a table without a key"
    return EngineError(
        Code.VALUE_NOT_REPRESENTABLE,
        f"{table.name}.{column.name} at {where}: {error.value!r} cannot be carried ({error.reason}):"
        " it is beyond the year 294247, where 64 bits of microseconds end",
        table=table.name,
        column=column.name,
        key=key,
        value=error.value,
        reason=error.reason,
    )
