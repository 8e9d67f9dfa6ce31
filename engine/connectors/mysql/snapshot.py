"""Our own reader: one table or key range as record batches, over one session of the source."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pymysql
from pymysql.connections import Connection as PyMySQLConnection

from engine.config import Connection
from engine.connectors.base import KeyRange, ReadColumn, TableRead
from engine.connectors.mysql.failures import LOST, query_failed
from engine.connectors.mysql.queries import ordering, relation, where
from engine.connectors.mysql.ranges import condition, index_hint
from engine.connectors.mysql.session import connect, kill_query
from engine.connectors.mysql.wire import BinaryResult, ResultColumn
from engine.errors import Code, EngineError
from ext.mysqlwire import DecodeSpec, ProtocolError, ServerError, WireTypeError, printed_row
from ext.rowerror import RowError

_INTERRUPTED = 1317
_POLICY = "zeroDate"


def select(read: TableRead, bounds: KeyRange | None, expression: Callable[[ReadColumn], str]) -> str:
    """The SELECT of a table or range, in key order unless the selection sorts."""
    table = read.table
    columns = ", ".join(expression(column) for column in read.columns) or "NULL"
    selection = read.selection
    conditions = [part for part in (condition(table, bounds), *where(table, selection)) if part]
    hint = "" if selection.sorts else index_hint(table, read.key)
    ordered = ordering(selection, table, read.key)
    return (
        f"SELECT {columns} FROM {relation(table)}{hint}"
        + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
        + (f" ORDER BY {ordered}" if ordered else "")
        + (f" LIMIT {selection.limit:d}" if selection.limit is not None else "")
    )


class NativeReader:
    """A SnapshotReader over the binary protocol. Reads in one snapshot of the source, begun by the first
    `read` or brought along by `session` (which the reader then owns); a lost connection is not replaced."""

    def __init__(
        self,
        connection: Connection,
        database: str | None = None,
        session: PyMySQLConnection[Any] | None = None,
    ) -> None:
        self._connection = connection
        self._session = session if session is not None else connect(connection, database)
        self._begun = session is not None
        self._thread = self._session.thread_id()
        self._reading = False
        self._cancelled = False
        self._counters: dict[tuple[str, str], int] = {}

    @property
    def counters(self) -> Mapping[tuple[str, str], int]:
        """(column, "zeroDate") → values changed, over all reads so far."""
        return self._counters

    def read(self, read: TableRead, bounds: KeyRange | None) -> Generator[pa.RecordBatch, None, None]:
        what = f"reading {read.table.schema}.{read.table.name} failed"
        result: BinaryResult | None = None
        self._reading, self._cancelled = True, False
        try:
            self._begin()
            statement = select(read, bounds, lambda column: column.expression)
            result = BinaryResult(self._session, statement)
            yield from result.batches(lambda found: _specs(read, found), read.batch_rows, read.batch_bytes)
        except RowError as error:
            assert result is not None
            raise self._refused(read, bounds, error, result) from error
        except ServerError as error:
            raise self._failed(pymysql.OperationalError(error.errno, error.message), what) from None
        except WireTypeError as error:
            raise EngineError(Code.QUERY_FAILED, f"{what}: {error}", table=read.table.name) from None
        except ProtocolError as error:
            self._session._force_close()
            raise EngineError(Code.CONNECTION_LOST, f"{what}: {error}", table=read.table.name) from None
        except (pymysql.MySQLError, OSError) as error:
            raise self._failed(error, what) from None
        finally:
            self._reading = False
            if result is not None:
                self._count(result)
                result.close(lambda: kill_query(self._connection, self._thread))

    def cancel(self) -> None:
        """From another thread: stop the running SELECT on the server."""
        self._cancelled = True
        if self._reading:
            kill_query(self._connection, self._thread)

    def close(self) -> None:
        # Without COM_QUIT: another thread may be in the middle of a result.
        self._session._force_close()

    # ------------------------------------------------------------

    def _begin(self) -> None:
        if not self._begun:
            with self._session.cursor() as cursor:
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            self._begun = True

    def _count(self, result: BinaryResult) -> None:
        if result.decoder is not None:
            for name, count in result.decoder.touched.items():
                self._counters[name, _POLICY] = self._counters.get((name, _POLICY), 0) + count

    def _failed(self, error: BaseException, what: str) -> EngineError:
        """A statement interrupted by somebody else's KILL of the whole session is a lost connection."""
        if error.args[:1] == (_INTERRUPTED,) and not self._cancelled:
            try:
                self._session.ping()
            except (pymysql.MySQLError, OSError) as gone:
                error = gone
        failure = query_failed(error, what)
        if failure.code is Code.CONNECTION_LOST or error.args[:1] in {(number,) for number in LOST}:
            self._session._force_close()
        return failure

    def _refused(
        self, read: TableRead, bounds: KeyRange | None, error: RowError, result: BinaryResult
    ) -> EngineError:
        table, column = read.table, read.columns[error.column]
        decoder = result.decoder
        assert decoder is not None
        texts = printed_row(decoder.failed_row or b"", decoder.specs)
        names = [member.name for member in read.columns]
        key = {name: texts[names.index(name)] for name in read.key if name in names}
        where = ", ".join(f"{name}={value!r}" for name, value in key.items())
        if not where:
            where = "a row of a table without a key"
        hint = "set policies.zeroDate to null or sentinel" if error.reason == "zero-date" else None
        return EngineError(
            Code.VALUE_NOT_REPRESENTABLE,
            f"{table.name}.{column.name} at {where}: {error.value!r} cannot be carried ({error.reason})"
            + (f"; {hint}" if hint else ""),
            table=table.name,
            column=column.name,
            key=key,
            value=error.value,
            reason=error.reason,
            hint=hint,
        )


def _specs(read: TableRead, found: Sequence[ResultColumn]) -> list[DecodeSpec]:
    if len(found) != len(read.columns):
        raise WireTypeError(f"{len(found)} columns came where {len(read.columns)} were asked for")
    return [
        DecodeSpec(column.name, sent.wire, sent.flags, column.image.value, column.arrow, column.invalid)
        for column, sent in zip(read.columns, found, strict=True)
    ]
