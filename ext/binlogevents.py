"""What the control events of a binary log say.

Layouts: MySQL Source Code Documentation, "Replication Protocol" (libs/mysql/binlog/event); MariaDB
documentation, "Replication Protocol", its events from 160 on.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from ext.binlogspec import Event, Log, ProtocolError
from ext.binlogtable import Bytes

__all__ = ["Control", "parse"]


@dataclass(frozen=True, slots=True)
class FormatDescription:
    version: int
    server: str
    header_bytes: int
    checksum: bool

    @property
    def mariadb(self) -> bool:
        return "MariaDB" in self.server


@dataclass(frozen=True, slots=True)
class Rotate:
    file: str
    position: int


@dataclass(frozen=True, slots=True)
class Query:
    """sql_mode, charset (of the client; ids of collations: client, connection, server) are None where the
    event does not say. xid: of a statement that is its own transaction (MySQL's atomic DDL)."""

    schema: str
    statement: str
    error: int
    thread: int
    seconds: int
    flags: int | None = None
    sql_mode: int | None = None
    charset: tuple[int, int, int] | None = None
    time_zone: str | None = None
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class Xid:
    xid: int


@dataclass(frozen=True, slots=True)
class MysqlGtid:
    """gtid is empty for an anonymous transaction. Timestamps in microseconds since 1970; length: bytes of
    the whole transaction in the log. None where the server says nothing."""

    gtid: str
    server: str
    number: int
    tag: str = ""
    last_committed: int | None = None
    sequence_number: int | None = None
    immediate_commit: int | None = None
    original_commit: int | None = None
    length: int | None = None
    immediate_server: int | None = None
    original_server: int | None = None
    flags: int = 0


@dataclass(frozen=True, slots=True)
class PreviousGtids:
    gtids: str


@dataclass(frozen=True, slots=True)
class MariadbGtid:
    """standalone: no COMMIT follows. xa: (format, gtrid, bqual) of a prepared or completed transaction."""

    gtid: str
    domain: int
    server: int
    number: int
    standalone: bool
    transactional: bool
    ddl: bool
    prepared_xa: bool
    completed_xa: bool
    flags: int
    commit_id: int | None = None
    xa: tuple[int, bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class GtidList:
    gtids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """Of the rows that follow: ANNOTATE_ROWS and ROWS_QUERY."""

    text: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    file: str
    position: int | None


@dataclass(frozen=True, slots=True)
class XaPrepare:
    one_phase: bool
    format: int
    gtrid: bytes
    bqual: bytes


@dataclass(frozen=True, slots=True)
class IntVar:
    kind: int  # 1 LAST_INSERT_ID, 2 INSERT_ID
    value: int


@dataclass(frozen=True, slots=True)
class Rand:
    seed1: int
    seed2: int


@dataclass(frozen=True, slots=True)
class UserVar:
    name: str
    null: bool
    kind: int | None = None
    collation: int | None = None
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class Incident:
    """1: LOST_EVENTS"""

    number: int
    message: str


@dataclass(frozen=True, slots=True)
class Stop:
    pass


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """MariaDB: the oldest log file that recovery still needs."""

    file: str


@dataclass(frozen=True, slots=True)
class Unknown:
    type: int
    flags: int
    body: bytes = field(repr=False)


Control = (
    FormatDescription
    | Rotate
    | Query
    | Xid
    | MysqlGtid
    | PreviousGtids
    | MariadbGtid
    | GtidList
    | Statement
    | Heartbeat
    | XaPrepare
    | IntVar
    | Rand
    | UserVar
    | Incident
    | Stop
    | Checkpoint
    | Unknown
)


def parse(event: Event, mariadb: bool) -> Control:
    """An event that is neither a table map nor rows; Unknown, with its type, for every type not listed above.
    mariadb: the log is MariaDB's. Raises ProtocolError for one that is cut."""
    if event.type == Log.MARIADB_GTID:
        return _mariadb_gtid(Bytes(event.body), event.server_id)
    reader = _READERS.get(event.type)
    if reader is None:
        return Unknown(event.type, event.flags, event.body)
    try:
        return reader(Bytes(event.body), mariadb)
    except (struct.error, IndexError, ValueError) as error:
        raise ProtocolError(f"an event of type {event.type} that is garbage: {error}") from None


def _rest(reader: Bytes) -> str:
    return reader.take(reader.left).decode("utf-8", "replace")


def _format(reader: Bytes, mariadb: bool) -> Control:
    version = reader.number(2)
    server = reader.take(50).rstrip(b"\0").decode("ascii", "replace")
    reader.take(4)
    return FormatDescription(version, server, reader.number(1), reader.data[-1] == 1)


def _rotate(reader: Bytes, mariadb: bool) -> Control:
    position = reader.number(8)
    return Rotate(_rest(reader), position)


_VARIABLE_BYTES = {1: 8, 3: 4, 4: 6, 7: 2, 8: 2, 9: 8, 10: 4, 13: 3, 16: 1, 17: 8, 18: 2, 19: 1, 20: 1}


def _query(reader: Bytes, mariadb: bool) -> Control:
    thread, seconds, length, error, size = struct.unpack("<IIBHH", reader.take(13))
    variables = _variables(Bytes(reader.take(size)), mariadb)
    schema = reader.take(length).decode("utf-8", "replace")
    if reader.take(1) != b"\0":
        raise ProtocolError("the schema of a query that does not end")
    return Query(schema, _rest(reader), error, thread, seconds, **variables)  # type: ignore[arg-type]


def _variables(reader: Bytes, mariadb: bool) -> dict[str, object]:
    """Status variables ("Query_event"). What follows one that is not known cannot be read and is left."""
    found: dict[str, object] = {}
    while reader.left:
        kind = reader.number(1)
        if kind == 0:
            found["flags"] = reader.number(4)
        elif kind == 1:
            found["sql_mode"] = reader.number(8)
        elif kind == 4:
            found["charset"] = (reader.number(2), reader.number(2), reader.number(2))
        elif kind == 5:
            found["time_zone"] = reader.take(reader.number(1)).decode("utf-8", "replace")
        elif kind == 17 and not mariadb:
            found["xid"] = reader.number(8)
        elif kind == 2:
            reader.take(reader.number(1) + 1)
        elif kind == 6:
            reader.take(reader.number(1))
        elif kind == 11:
            reader.take(reader.number(1))
            reader.take(reader.number(1))
        elif kind == 12:
            count = reader.number(1)
            for _ in range(count if count != 254 else 0):
                while reader.number(1):
                    pass
        elif kind in (128, 129) and mariadb:  # microseconds; the transaction's id
            reader.take(3 if kind == 128 else 8)
        elif kind in _VARIABLE_BYTES:
            reader.take(_VARIABLE_BYTES[kind])
        else:
            break
    return found


def _xid(reader: Bytes, mariadb: bool) -> Control:
    return Xid(reader.number(8))


def _gtid(reader: Bytes, mariadb: bool) -> Control:
    """GTID and ANONYMOUS_GTID. Commit times of 7 bytes, the first says in its highest bit that the original
    one follows; then the length; then the servers' versions."""
    flags = reader.number(1)
    server = str(uuid.UUID(bytes=reader.take(16)))
    number = reader.number(8)
    more: dict[str, int] = {"flags": flags}
    if reader.left >= 17 and reader.number(1) == 2:
        more |= {"last_committed": reader.number(8), "sequence_number": reader.number(8)}
        if reader.left >= 7:
            immediate = reader.number(7)
            given = immediate >> 55 & 1
            immediate &= (1 << 55) - 1
            more |= {
                "immediate_commit": immediate,
                "original_commit": reader.number(7) if given else immediate,
            }
        if reader.left:
            more["length"] = reader.packed()
        if reader.left >= 4:
            version = reader.number(4)
            given, version = version >> 31, version & 0x7FFFFFFF
            more |= {"immediate_server": version, "original_server": reader.number(4) if given else version}
    return MysqlGtid(f"{server}:{number}" if number else "", server, number, **more)  # type: ignore[arg-type]


def _number(reader: Bytes) -> int:
    """An unsigned integer of the library "mysql::serialization": one bits in front, in the first byte, say
    how many bytes follow it."""
    head = reader.number(1)
    follow = 0
    while follow < 8 and head >> follow & 1:
        follow += 1
    if follow == 8:
        return reader.number(8)
    return (head >> follow + 1) + (reader.number(follow) << 7 - follow)


def _signed(reader: Bytes) -> int:
    value = _number(reader)
    return -(value >> 1) - 1 if value & 1 else value >> 1


def _tagged(reader: Bytes, mariadb: bool) -> Control:
    """GTID_TAGGED: fields with ids of their own, by "mysql::serialization": version of the format, bytes of
    all, last field that must be known; then id and value each."""
    for _ in range(3):
        _number(reader)
    values: dict[int, int] = {}
    server, tag = "", ""
    while reader.left:
        kind = _number(reader)
        if kind == 1:
            server = str(uuid.UUID(bytes=bytes(_number(reader) for _ in range(16))))
        elif kind == 3:
            tag = reader.take(_number(reader)).decode("ascii", "replace")
        elif kind in (2, 4, 5):
            values[kind] = _signed(reader)
        elif kind <= 11:
            values[kind] = _number(reader)
        else:
            break
    immediate, version = values.get(6), values.get(9)
    number = values.get(2, 0)
    gtid = ":".join(part for part in (server, tag, str(number)) if part)
    return MysqlGtid(
        gtid,
        server,
        number,
        tag,
        values.get(4),
        values.get(5),
        immediate,
        values.get(7, immediate),
        values.get(8),
        version,
        values.get(10, version),
        values.get(0, 0),
    )


def _previous(reader: Bytes, mariadb: bool) -> Control:
    """As text, the way the server writes a set. The tagged form has a 1 in the highest and lowest byte of the
    count, and a tag behind each server."""
    head = reader.number(8)
    tagged = head >> 56 == 1
    count = (head >> 8 & (1 << 48) - 1) if tagged else head
    parts: list[str] = []
    for _ in range(count):
        name = str(uuid.UUID(bytes=reader.take(16)))
        if tagged:
            tag = reader.take(_number(reader)).decode("ascii", "replace")
            name += f":{tag}" if tag else ""
        spans = []
        for _ in range(reader.number(8)):
            start, end = reader.number(8), reader.number(8)
            spans.append(str(start) if end == start + 1 else f"{start}-{end - 1}")
        parts.append(":".join([name, *spans]))
    return PreviousGtids(",".join(parts))


def _mariadb_gtid(reader: Bytes, server: int) -> MariadbGtid:
    """The server is the one in the event's header. XA has format, two lengths and the bytes of both parts."""
    number, domain, flags = reader.number(8), reader.number(4), reader.number(1)
    commit_id = reader.number(8) if flags & 0x02 else None
    xa = None
    if flags & 0xC0:
        form = int.from_bytes(reader.take(4), "little", signed=True)
        gtrid, bqual = reader.number(1), reader.number(1)
        xa = (form, reader.take(gtrid), reader.take(bqual))
    return MariadbGtid(
        gtid=f"{domain}-{server}-{number}",
        domain=domain,
        server=server,
        number=number,
        standalone=bool(flags & 0x01),
        transactional=bool(flags & 0x04),
        ddl=bool(flags & 0x20),
        prepared_xa=bool(flags & 0x40),
        completed_xa=bool(flags & 0x80),
        flags=flags,
        commit_id=commit_id,
        xa=xa,
    )


def _gtid_list(reader: Bytes, mariadb: bool) -> Control:
    count = reader.number(4) & 0x0FFFFFFF
    entries = (struct.unpack("<IIQ", reader.take(16)) for _ in range(count))
    return GtidList(tuple(f"{domain}-{server}-{number}" for domain, server, number in entries))


def _annotate(reader: Bytes, mariadb: bool) -> Control:
    return Statement(_rest(reader))


def _rows_query(reader: Bytes, mariadb: bool) -> Control:
    reader.take(1)  # a length cut to a byte: the text goes on to the end
    return Statement(_rest(reader))


def _heartbeat(reader: Bytes, mariadb: bool) -> Control:
    return Heartbeat(_rest(reader), None)


def _heartbeat2(reader: Bytes, mariadb: bool) -> Control:
    """Type, length and value up to a 0: 1 the file, 2 the position as a length-encoded integer."""
    file, position = "", None
    while reader.left and (kind := reader.packed()):
        value = reader.counted()
        if kind == 1:
            file = value.decode("utf-8", "replace")
        elif kind == 2:
            position = Bytes(value).packed()
    return Heartbeat(file, position)


def _xa(reader: Bytes, mariadb: bool) -> Control:
    one_phase = bool(reader.number(1))
    form, gtrid, bqual = struct.unpack("<iII", reader.take(12))
    return XaPrepare(one_phase, form, reader.take(gtrid), reader.take(bqual))


def _intvar(reader: Bytes, mariadb: bool) -> Control:
    return IntVar(reader.number(1), reader.number(8))


def _rand(reader: Bytes, mariadb: bool) -> Control:
    return Rand(reader.number(8), reader.number(8))


def _uservar(reader: Bytes, mariadb: bool) -> Control:
    name = reader.take(reader.number(4)).decode("utf-8", "replace")
    if reader.number(1):
        return UserVar(name, True)
    kind, collation, length = reader.number(1), reader.number(4), reader.number(4)
    return UserVar(name, False, kind, collation, reader.take(length))


def _incident(reader: Bytes, mariadb: bool) -> Control:
    number = reader.number(2)
    return Incident(number, reader.take(reader.number(1) if reader.left else 0).decode("utf-8", "replace"))


def _stop(reader: Bytes, mariadb: bool) -> Control:
    return Stop()


def _checkpoint(reader: Bytes, mariadb: bool) -> Control:
    return Checkpoint(reader.take(reader.number(4)).decode("utf-8", "replace"))


_READERS: dict[int, Callable[[Bytes, bool], Control]] = {
    Log.FORMAT_DESCRIPTION: _format,
    Log.ROTATE: _rotate,
    Log.QUERY: _query,
    Log.XID: _xid,
    Log.GTID: _gtid,
    Log.ANONYMOUS_GTID: _gtid,
    Log.GTID_TAGGED: _tagged,
    Log.PREVIOUS_GTIDS: _previous,
    Log.MARIADB_GTID_LIST: _gtid_list,
    Log.ANNOTATE_ROWS: _annotate,
    Log.ROWS_QUERY: _rows_query,
    Log.HEARTBEAT: _heartbeat,
    Log.HEARTBEAT_V2: _heartbeat2,
    Log.XA_PREPARE: _xa,
    Log.INTVAR: _intvar,
    Log.RAND: _rand,
    Log.USER_VAR: _uservar,
    Log.INCIDENT: _incident,
    Log.STOP: _stop,
    Log.BINLOG_CHECKPOINT: _checkpoint,
}
