"""The binary log of a test server, read by COM_BINLOG_DUMP over a PyMySQL session."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pymysql
from pymysql.connections import Connection

from benchmarks.endpoints import MysqlEndpoint
from ext.binlogframes import Frames
from ext.binlogspec import Event

_COM_BINLOG_DUMP = 0x12
_NON_BLOCK = 1
_ANNOTATED = 2  # MariaDB sends ANNOTATE_ROWS


def session_on(server: MysqlEndpoint, database: str | None = None) -> Connection:
    return pymysql.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        database=database,
        autocommit=True,
        charset="utf8mb4",
    )


def log_end(server: MysqlEndpoint) -> tuple[str, int]:
    """File and position behind what is logged now."""
    with session_on(server) as session, session.cursor() as cursor:
        try:
            cursor.execute("SHOW BINARY LOG STATUS")
        except pymysql.Error:
            cursor.execute("SHOW MASTER STATUS")
        row = cursor.fetchone()
    assert row is not None
    return row[0], int(row[1])


def packets(server: MysqlEndpoint, file: str, position: int, checksum: bool = True) -> Iterator[bytes]:
    """What the server sends from there to the end of its log."""
    session = session_on(server)
    try:
        with session.cursor() as cursor:
            cursor.execute(f"SET @master_binlog_checksum = '{'CRC32' if checksum else 'NONE'}'")
            cursor.execute("SET @mariadb_slave_capability = 4")
        flags = _NON_BLOCK | (_ANNOTATED if server.kind == "mariadb" else 0)
        command = struct.pack("<IHI", position, flags, 77_001) + file.encode()
        session._execute_command(_COM_BINLOG_DUMP, command)
        while True:
            packet = session._read_packet()
            if packet.is_eof_packet():
                return
            yield packet.get_all_data()[1:]
    finally:
        session.close()


def events_of(server: MysqlEndpoint, write: Callable[[], None], checksum: bool = True) -> list[Event]:
    """What `write` makes the server log (and whoever else writes meanwhile)."""
    file, position = log_end(server)
    write()
    frames = Frames(checksum, file, position)
    found: list[Event] = []
    for packet in packets(server, file, position, checksum):
        found.extend(frames.packet(packet))
    return found
