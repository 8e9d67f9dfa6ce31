"""LOAD DATA LOCAL INFILE answered from memory.

The server answers the statement with a request for a file by name (0xFB and the name) and takes the packets
that follow for its content, up to an empty one: MySQL Source Code Documentation, "LOCAL INFILE Request".
PyMySQL would open the file; here nothing is ever opened, and a request nobody asked for is an error.

A session that may be asked announces CLIENT_LOCAL_FILES when it connects; PyMySQL's own handling stays off,
so that a server cannot ask for a file in answer to any other statement.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.connections import Connection as PyMySQLConnection
from pymysql.constants import CLIENT
from pymysql.protocol import OKPacketWrapper

# LOCAL_FILES, and matched rows rather than changed ones as the count of an UPDATE.
CLIENT_FLAGS = CLIENT.LOCAL_FILES | CLIENT.FOUND_ROWS

# ER_NOT_ALLOWED_COMMAND, ER_CLIENT_LOCAL_FILES_DISABLED, MariaDB's ER_LOAD_INFILE_CAPABILITY_DISABLED.
FORBIDDEN = frozenset({1148, 3948, 4166})

_COM_QUERY = 3
_LARGEST_PACKET = (1 << 24) - 1
PACKET_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """What the server says of one statement: rows stored, and conditions (warnings and notes) raised."""

    rows: int
    warnings: int


def load_local(
    session: PyMySQLConnection[Any], statement: str, data: memoryview, packet_bytes: int
) -> Stored:
    """Run a LOAD DATA LOCAL statement with `data` as the content of its file. `packet_bytes`: the most one
    packet may hold, below the server's max_allowed_packet.

    Raises pymysql.MySQLError (of FORBIDDEN when LOCAL is not allowed, before anything is sent) and OSError.
    """
    session._execute_command(_COM_QUERY, statement)
    if not session._read_packet().is_load_local_packet():
        raise pymysql.OperationalError(2014, "the server did not ask for the rows of LOAD DATA LOCAL")
    _send(session, data, min(packet_bytes, PACKET_BYTES, _LARGEST_PACKET - 1))
    session.write_packet(b"")
    answer = session._read_packet()
    if not answer.is_ok_packet():
        raise pymysql.OperationalError(2014, "no OK packet after the rows of LOAD DATA LOCAL")
    ok = OKPacketWrapper(answer)
    session.server_status = ok.server_status
    return Stored(int(ok.affected_rows), int(ok.warning_count))


def _send(session: PyMySQLConnection[Any], data: memoryview, size: int) -> None:
    """The content in packets, straight from the encoder's buffer."""
    sock = session._sock
    sock.settimeout(session._write_timeout)
    # PyMySQL sets the socket's timeout when it reads, unless it believes it is set already.
    session._current_timeout = session._write_timeout
    encrypted = isinstance(sock, ssl.SSLSocket)
    for begin in range(0, len(data), size):
        piece = data[begin : begin + size]
        head = len(piece).to_bytes(3, "little") + bytes([session._next_seq_id])
        session._next_seq_id = (session._next_seq_id + 1) % 256
        if encrypted:
            sock.sendall(head)
            sock.sendall(piece)
            continue
        sent = sock.sendmsg([head, piece])
        if sent < len(head):
            sock.sendall(head[sent:])
            sent = len(head)
        if sent - len(head) < len(piece):
            sock.sendall(piece[sent - len(head) :])
