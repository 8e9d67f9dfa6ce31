"""One SELECT by the binary protocol over a PyMySQL session's socket, its rows decoded in `ext.mysqlrows`.

PyMySQL opens and authenticates the session; the statement is prepared through it, executed with a packet of
ours, and the answer is read from the socket itself. Prepared because only the binary protocol carries floats
exactly, and integers and times without text. Layouts: MySQL Source Code Documentation, "COM_STMT_PREPARE",
"COM_STMT_EXECUTE" and "Binary Protocol Resultset".
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pymysql
from pymysql.connections import Connection as PyMySQLConnection
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket

from ext.mysqlrows import RowDecoder
from ext.mysqlwire import MAX_PACKET, DecodeSpec, ProtocolError, ServerError, server_error

_COM_STMT_PREPARE = 0x16
_COM_STMT_EXECUTE = 0x17
_COM_STMT_CLOSE = 0x19
_EOF = 0xFE
_ERR = 0xFF


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column as the server describes it in a result."""

    name: str
    wire: int
    flags: int
    charset: int


class ConnectionCut(OSError):
    """The server closed the connection in the middle of a result."""

    def __init__(self) -> None:
        super().__init__("the server closed the connection in the middle of a result")


Planner = Callable[[Sequence[ResultColumn]], Sequence[DecodeSpec]]


class BinaryResult:
    """The rows of one SELECT. Used up by iterating `batches`; `close` gets rid of what is left of it.

    Raises pymysql.MySQLError when the statement is refused, and from `batches`: ServerError, ProtocolError,
    OSError (ConnectionCut among them), RowError.
    """

    def __init__(self, session: PyMySQLConnection[Any], statement: str) -> None:
        self._session = session
        self._pending = bytearray()
        self._sequence = 1
        self._number = self._prepare(statement)
        self._decoder: RowDecoder | None = None
        self._open = True
        self._execute()
        self.columns = self._read_columns()

    def batches(self, plan: Planner, batch_rows: int, batch_bytes: int) -> Iterator[pa.RecordBatch]:
        """Decode the rows; `plan` makes the specs from the result's own columns."""
        decoder = RowDecoder(plan(self.columns), batch_rows, batch_bytes, self._sequence)
        self._decoder = decoder
        decoder.feed(self._pending)
        self._pending.clear()
        while not decoder.finished:
            try:
                batch = decoder.take()
            except ServerError:
                self._end()
                raise
            if batch is not None:
                yield batch
            elif not decoder.finished:
                self._receive(decoder)
        self._end()

    @property
    def decoder(self) -> RowDecoder | None:
        return self._decoder

    def close(self, stop: Callable[[], None]) -> bool:
        """Leave the session usable: when rows are still to come, `stop` is called to end the statement on the
        server and what is under way is passed over. False when that failed; the session is then closed."""
        if not self._open:
            return True
        self._open = False
        if self._session._sock is None:
            return False
        try:
            stop()
            self._pass_over()
            self._close_statement()
        except (OSError, ProtocolError, pymysql.MySQLError):
            self._session._force_close()
            return False
        return True

    # ------------------------------------------------------------

    def _prepare(self, statement: str) -> int:
        session = self._session
        session._execute_command(_COM_STMT_PREPARE, statement)
        header = session._read_packet().get_all_data()
        number, columns, parameters = struct.unpack_from("<IHH", header, 1)
        for count in (parameters, columns):
            for _ in range(count + 1 if count else 0):  # the definitions and an EOF
                session._read_packet()
        return int(number)

    def _execute(self) -> None:
        """No cursor, no parameters. From here on PyMySQL's own buffered reader is not used: it is empty,
        since the server says nothing unasked."""
        session = self._session
        session._execute_command(_COM_STMT_EXECUTE, struct.pack("<IBI", self._number, 0, 1))
        # PyMySQL sets the socket's timeout when it reads, which it will not do here.
        session._sock.settimeout(session._read_timeout)
        session._current_timeout = session._read_timeout

    def _read_columns(self) -> tuple[ResultColumn, ...]:
        head = self._packet()
        count = MysqlPacket(head, "utf8").read_length_encoded_integer()
        if not count:
            raise ProtocolError("the statement gives no rows")
        columns = []
        for _ in range(count):
            field = FieldDescriptorPacket(self._packet(), "utf-8")
            columns.append(ResultColumn(field.name, field.type_code, field.flags, field.charsetnr))
        if self._packet()[:1] != bytes([_EOF]):
            raise ProtocolError("no end of the column definitions")
        return tuple(columns)

    def _packet(self) -> bytes:
        """The next packet; ServerError raised as PyMySQL raises it."""
        pending = self._pending
        while len(pending) < 4 or len(pending) - 4 < int.from_bytes(pending[:3], "little"):
            data = self._session._sock.recv(1 << 16)
            if not data:
                raise ConnectionCut
            pending += data
        length = int.from_bytes(pending[:3], "little")
        if length == MAX_PACKET:
            raise ProtocolError("a column definition of 16 MiB")
        if pending[3] != self._sequence and not (pending[3] == 0 and pending[4] == _ERR):
            raise ProtocolError("packets out of order")
        self._sequence = (self._sequence + 1) & 0xFF
        packet = bytes(pending[4 : 4 + length])
        del pending[: 4 + length]
        if packet[:1] == bytes([_ERR]):
            raise server_error(packet)
        return packet

    def _receive(self, decoder: RowDecoder) -> None:
        with decoder.space() as space:
            received = self._session._sock.recv_into(space)
        if not received:
            raise ConnectionCut
        decoder.advance(received)

    def _pass_over(self) -> None:
        decoder = self._decoder
        if decoder is None:
            decoder = RowDecoder((), sequence=self._sequence)
            decoder.feed(self._pending)
        decoder.discard()
        while True:
            try:
                decoder.take()
            except ServerError:
                return  # how a stopped statement ends
            if decoder.finished:
                return
            self._receive(decoder)

    def _end(self) -> None:
        """The server has said all it had to say about this statement."""
        self._open = False
        with contextlib.suppress(pymysql.MySQLError, OSError):
            self._close_statement()

    def _close_statement(self) -> None:
        """The server does not answer COM_STMT_CLOSE."""
        self._session._execute_command(_COM_STMT_CLOSE, struct.pack("<I", self._number))
