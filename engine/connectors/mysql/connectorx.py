"""ConnectorX as the reader: a table or key range as record batches, fetched and decoded by its Rust threads.

It does not verify TLS, cannot join a snapshot of ours, and panics on values it does not know; so it reads
only what it carries exactly, every batch is checked on its way to the schema that was asked for, and whatever
goes wrong is an EngineError after which the caller can read the same range with our own reader.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from collections.abc import Generator, Mapping
from typing import Any
from urllib.parse import quote as percent

import pyarrow as pa
import pymysql

from engine.config import Connection, TlsMode
from engine.connectors.base import KeyRange, ReadColumn, ServerInfo, TableRead
from engine.connectors.mysql.failures import query_failed
from engine.connectors.mysql.session import CONNECT_TIMEOUT, connect, pinning
from engine.connectors.mysql.snapshot import select
from engine.errors import Code, EngineError

# A panic is an answer to us, not a report for people: no backtrace of it in the log.
os.environ["RUST_BACKTRACE"] = "0"

_GUESSED_ROW = 1024  # bytes of the widest row where nobody measured it
_ERROR = re.compile(r"ERROR (\d+) \(\w+\): (.*?)\s*}*$", re.DOTALL)
_LOST = re.compile(r"IoError|DriverError|timed out waiting|server disconnected|packet out of order", re.I)
_YEAR_ONE = {"days": -719_162, "microseconds": -719_162 * 86_400_000_000}


def refusal(connection: Connection, info: ServerInfo) -> str | None:
    """Why this connection is not for ConnectorX, None when it is."""
    mode = connection.ssl.mode
    if mode is TlsMode.DISABLE or (mode is TlsMode.PREFER and info.tls is None):
        return None
    return f"ConnectorX reads over plain connections only, and this one uses TLS (ssl.mode {mode.value})"


class ConnectorxReader:
    """A SnapshotReader. Every read is a statement, and so a picture of the source, of its own.

    Raises QUERY_FAILED at once when the connection is to be encrypted.
    """

    def __init__(self, connection: Connection, database: str, info: ServerInfo) -> None:
        reason = refusal(connection, info)
        if reason is not None:
            raise EngineError(Code.QUERY_FAILED, reason, reason="connectorx-tls")
        self._connection = connection
        self._info = info
        self._url = _url(connection, database)
        self._token: str | None = None
        self._lock = threading.Lock()

    @property
    def counters(self) -> Mapping[tuple[str, str], int]:
        """Always empty: what a policy would have to touch is left to our own reader."""
        return {}

    def read(self, read: TableRead, bounds: KeyRange | None) -> Generator[pa.RecordBatch, None, None]:
        what = f"ConnectorX reading {read.table.schema}.{read.table.name} failed"
        missing = [column.name for column in read.columns if column.connectorx is None]
        if missing:
            raise EngineError(
                Code.QUERY_FAILED,
                f"{what}: it does not carry {', '.join(missing)} exactly",
                table=read.table.name,
                reason="connectorx-column",
            )
        token = f"dbstreams:{secrets.token_hex(8)}"
        statement = select(read, bounds, _expression).replace("SELECT", f"SELECT /* {token} */", 1)
        with self._lock:
            self._token = token
        batches = self._open(statement, read, what)
        try:
            while (batch := self._next(batches, what)) is not None:
                yield exact_batch(batch, read)
        finally:
            with self._lock:
                self._token = None
            # Its thread ends when nobody takes the next batch.
            batches.close()

    def cancel(self) -> None:
        """From another thread: stop the running statement, found by the mark it carries."""
        with self._lock:
            token = self._token
        if token is None:
            return
        try:
            killer = connect(self._connection, read_timeout=CONNECT_TIMEOUT)
        except EngineError:
            return
        with contextlib.suppress(pymysql.MySQLError), contextlib.closing(killer), killer.cursor() as cursor:
            cursor.execute("SHOW FULL PROCESSLIST")
            names = [column[0].lower() for column in cursor.description]
            for row in cursor.fetchall():
                if token in str(row[names.index("info")] or ""):
                    cursor.execute(f"KILL QUERY {int(row[names.index('id')])}")

    def close(self) -> None:
        """Nothing is kept open between two reads."""

    # ------------------------------------------------------------

    def _open(self, statement: str, read: TableRead, what: str) -> Any:
        import connectorx

        # Its pool tries a refused login for half a minute; ours says at once what is wrong.
        connect(self._connection, read_timeout=CONNECT_TIMEOUT).close()
        rows = read.batch_bytes // max(1, read.widest_row or _GUESSED_ROW)
        try:
            return connectorx.read_sql(
                self._url,
                statement,
                return_type="arrow_stream",
                batch_size=max(1, min(read.batch_rows, rows)),
                pre_execution_query=list(pinning(self._info.flavor)),
            )
        except BaseException as error:
            raise self._failed(error, what) from None

    def _next(self, batches: Any, what: str) -> pa.RecordBatch | None:
        try:
            return batches.read_next_batch()
        except StopIteration:
            return None
        except BaseException as error:
            raise self._failed(error, what) from None

    def _failed(self, error: BaseException, what: str) -> BaseException:
        """A panic is no Exception, but no reason to end the process either."""
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            return error
        text = str(error)
        secret = self._connection.database.password.get_secret_value()
        for form in (secret, percent(secret, safe="")):
            if len(form) >= 3:
                text = text.replace(form, "********")
        server = _ERROR.search(text)
        if server is not None:
            return query_failed(pymysql.OperationalError(int(server[1]), server[2]), what)
        code = Code.CONNECTION_LOST if _LOST.search(text) else Code.QUERY_FAILED
        return EngineError(code, f"{what}: {text}", reason="connectorx")


def _expression(column: ReadColumn) -> str:
    assert column.connectorx is not None
    return column.connectorx


def _url(connection: Connection, database: str) -> str:
    spec = connection.database
    login = f"{percent(spec.username, safe='')}:{percent(spec.password.get_secret_value(), safe='')}"
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    return f"mysql://{login}@{host}:{spec.port}/{percent(database, safe='')}"


# ---------------------------------------------------------------- batches as they were asked for


def exact_batch(batch: pa.RecordBatch, read: TableRead) -> pa.RecordBatch:
    """The batch in `read.arrow_schema`. QUERY_FAILED where a value would change or is out of the calendar."""
    schema = read.arrow_schema
    if batch.num_columns != len(schema):
        raise EngineError(Code.QUERY_FAILED, f"ConnectorX gave {batch.num_columns} columns for {len(schema)}")
    arrays = []
    for array, column in zip(batch.columns, read.columns, strict=True):
        try:
            arrays.append(_exact(array, column.arrow))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
            raise EngineError(
                Code.QUERY_FAILED,
                f"ConnectorX gave {read.table.name}.{column.name} as {array.type}, not exactly as"
                f" {column.arrow}: {error}",
                table=read.table.name,
                column=column.name,
                reason="connectorx-inexact",
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _exact(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    given = array.type
    if pa.types.is_temporal(wanted):
        return _exact_temporal(array, wanted)
    if given == wanted:
        return array
    text = pa.types.is_string(given) or pa.types.is_large_string(given)
    raw = pa.types.is_binary(given) or pa.types.is_large_binary(given)
    if pa.types.is_integer(given) and pa.types.is_integer(wanted):
        return array.cast(wanted)
    if pa.types.is_floating(given) and pa.types.is_floating(wanted):
        cast = array.cast(wanted)
        if not cast.cast(given).equals(array):
            raise ValueError("digits would be lost")
        return cast
    if (text or raw) and (
        pa.types.is_binary(wanted)
        or pa.types.is_large_binary(wanted)
        or pa.types.is_string(wanted)
        or pa.types.is_large_string(wanted)
    ):
        return array.cast(wanted)
    raise ValueError("another kind of value")


def _exact_temporal(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    given = array.type
    if pa.types.is_duration(wanted):
        if given == wanted:
            return array
        if pa.types.is_integer(given):
            return array.cast(pa.int64()).view(wanted)
        raise ValueError("another kind of value")
    if pa.types.is_date32(given) and pa.types.is_date32(wanted):
        unit = "days"
    elif given == pa.timestamp("us") and pa.types.is_timestamp(wanted) and wanted.unit == "us":
        unit = "microseconds"
    else:
        raise ValueError("another kind of value")
    plain = array.view(pa.int32() if unit == "days" else pa.int64())
    import pyarrow.compute as pc  # half as long to load as all of pyarrow, and only needed here

    least = pc.min(plain).as_py()
    if least is not None and least < _YEAR_ONE[unit]:
        raise ValueError("a year 0")
    return array if given == wanted else plain.view(wanted)
