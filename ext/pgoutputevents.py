"""The messages of PostgreSQL's logical replication that are no row changes, and how they are read.

Layouts: PostgreSQL documentation, "Logical Replication Message Formats". Both decoders read these rare
messages by what is here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ext.pgreadspec import EPOCH_MICROS

MAX_COLUMNS = 1664


class ProtocolError(Exception):
    """Bytes that are no message of the protocol, or one that cannot come where it does."""


@dataclass(frozen=True, slots=True)
class RelationColumn:
    """A column as the log carries it. key: part of the replica identity."""

    name: str
    type_oid: int
    typmod: int
    key: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A table's structure from here on. identity: pg_class.relreplident (d, n, f, i).
    types: those named by Type messages so far that its columns have, by oid: `(schema, name)`; of a domain,
    its base type."""

    oid: int
    schema: str
    name: str
    identity: str
    columns: tuple[RelationColumn, ...]
    types: Mapping[int, tuple[str, str]] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class TypeName:
    oid: int
    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The transaction that is open came from another node. lsn: of its commit there."""

    lsn: int
    name: str


@dataclass(frozen=True, slots=True)
class Truncate:
    oids: tuple[int, ...]
    cascade: bool
    restart_identity: bool
    xid: int = 0  # of the (sub-)transaction, in a streamed one


@dataclass(frozen=True, slots=True)
class Message:
    """pg_logical_emit_message. One that is not transactional belongs to no transaction, wherever it comes."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes
    xid: int = 0


@dataclass(frozen=True, slots=True)
class StreamStart:
    """What follows, up to StreamStop, are changes of the open transaction `xid`."""

    xid: int
    first: bool


@dataclass(frozen=True, slots=True)
class StreamStop:
    xid: int


@dataclass(frozen=True, slots=True)
class StreamCommit:
    xid: int
    commit_lsn: int
    end_lsn: int
    committed_at: int  # microseconds since 1970


@dataclass(frozen=True, slots=True)
class StreamAbort:
    """The changes of `subxid` are void; all of `xid` when both are the same. lsn and aborted_at: protocol 4
    with parallel streaming, else 0."""

    xid: int
    subxid: int
    lsn: int = 0
    aborted_at: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A step of a two-phase commit (protocol 3). kind: begin, prepare, commit, rollback, stream (the name of
    the message without Prepare). lsn: of prepare or commit."""

    kind: str
    xid: int
    gid: str
    lsn: int
    end_lsn: int
    at: int


Body = (
    Relation
    | TypeName
    | Origin
    | Truncate
    | Message
    | StreamStart
    | StreamStop
    | StreamCommit
    | StreamAbort
    | Prepared
)
# Whoever applies rows must have applied all that came before these, and nothing of what comes after.
BARRIERS = (Truncate, StreamStart, StreamStop, StreamCommit, StreamAbort, Prepared)


@dataclass(frozen=True, slots=True)
class Event:
    """sequence: the number of its message, the order among events, commits and rows. lsn: of its record."""

    sequence: int
    lsn: int
    body: Body


# ---------------------------------------------------------------- messages that are rare


class Reader:
    """Reads one message from front to back; ProtocolError where it is too short."""

    def __init__(self, data: bytes, place: int = 0) -> None:
        self._data = data
        self._place = place

    def number(self, code: str) -> int:
        try:
            (value,) = struct.unpack_from(f">{code}", self._data, self._place)
        except struct.error:
            raise ProtocolError("a message that is cut short") from None
        self._place += struct.calcsize(code)
        return int(value)

    def text(self) -> str:
        end = self._data.find(b"\0", self._place)
        if end < 0:
            raise ProtocolError("a name without an end")
        raw = self._data[self._place : end]
        self._place = end + 1
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise ProtocolError("a name that is not UTF-8") from None

    def moment(self) -> int:
        """Microseconds since 1970; in 64 bits, whatever the bytes say."""
        return (self.number("q") + EPOCH_MICROS + 2**63) % 2**64 - 2**63

    def bytes(self, size: int) -> bytes:
        if not 0 <= size <= len(self._data) - self._place:
            raise ProtocolError("a message that is cut short")
        self._place += size
        return self._data[self._place - size : self._place]

    @property
    def left(self) -> int:
        return len(self._data) - self._place

    def end(self) -> None:
        if self.left:
            raise ProtocolError(f"{self.left} bytes behind a message")


def parse_event(data: bytes, stream: int) -> Body:
    """A message that is no Begin, Commit or row change. stream: the transaction whose stream is open, or 0.
    Raises ProtocolError naming the byte of an unknown kind."""
    kind = data[:1]
    parse = _PARSE.get(kind)
    if parse is None:
        shown = f"{kind[0]:#04x} ({chr(kind[0])!r})" if kind else "without a kind"
        raise ProtocolError(f"a message of an unknown kind: {shown}")
    reader = Reader(data, 1)
    body = parse(reader, stream)
    reader.end()
    return body


def _xid(reader: Reader, stream: int) -> int:
    return reader.number("I") if stream else 0


def _origin(reader: Reader, stream: int) -> Body:
    return Origin(reader.number("Q"), reader.text())


def _relation(reader: Reader, stream: int) -> Body:
    _xid(reader, stream)
    oid = reader.number("I")
    # An empty namespace stands for pg_catalog.
    schema, name = reader.text() or "pg_catalog", reader.text()
    identity = chr(reader.number("B"))
    if identity not in "dnfi":
        raise ProtocolError(f"{schema}.{name} has an unknown replica identity {identity!r}")
    count = reader.number("h")
    if not 0 <= count <= MAX_COLUMNS:
        raise ProtocolError(f"{schema}.{name} has {count} columns")
    columns = []
    for _ in range(count):
        flags = reader.number("B")
        column = reader.text()
        columns.append(RelationColumn(column, reader.number("I"), reader.number("i"), bool(flags & 1)))
    return Relation(oid, schema, name, identity, tuple(columns))


def _type(reader: Reader, stream: int) -> Body:
    _xid(reader, stream)
    return TypeName(reader.number("I"), reader.text() or "pg_catalog", reader.text())


def _truncate(reader: Reader, stream: int) -> Body:
    xid = _xid(reader, stream)
    count = reader.number("i")
    flags = reader.number("B")
    if count < 0 or 4 * count > reader.left:
        raise ProtocolError("a message that is cut short")
    return Truncate(tuple(reader.number("I") for _ in range(count)), bool(flags & 1), bool(flags & 2), xid)


def _message(reader: Reader, stream: int) -> Body:
    xid = _xid(reader, stream)
    flags = reader.number("B")
    lsn, prefix = reader.number("Q"), reader.text()
    return Message(bool(flags & 1), lsn, prefix, reader.bytes(reader.number("i")), xid)


def _stream_start(reader: Reader, stream: int) -> Body:
    if stream:
        raise ProtocolError("a stream begins inside another")
    xid, first = reader.number("I"), reader.number("B")
    if not xid:
        raise ProtocolError("a stream of no transaction")
    return StreamStart(xid, first == 1)


def _stream_stop(reader: Reader, stream: int) -> Body:
    if not stream:
        raise ProtocolError("a stream ends that did not begin")
    return StreamStop(stream)


def _stream_commit(reader: Reader, stream: int) -> Body:
    _outside(stream)
    xid, _flags = reader.number("I"), reader.number("B")
    return StreamCommit(xid, reader.number("Q"), reader.number("Q"), reader.moment())


def _stream_abort(reader: Reader, stream: int) -> Body:
    _outside(stream)
    xid, subxid = reader.number("I"), reader.number("I")
    if reader.left:
        return StreamAbort(xid, subxid, reader.number("Q"), reader.moment())
    return StreamAbort(xid, subxid)


def _outside(stream: int) -> None:
    if stream:
        raise ProtocolError("a transaction ends inside its stream")


def _begin_prepare(reader: Reader, stream: int) -> Body:
    lsn, end, at = reader.number("Q"), reader.number("Q"), reader.moment()
    return Prepared("begin", reader.number("I"), reader.text(), lsn, end, at)


def _prepared(kind: str) -> Callable[[Reader, int], Body]:
    def parse(reader: Reader, stream: int) -> Body:
        _outside(stream)
        reader.number("B")
        lsn, end, at = reader.number("Q"), reader.number("Q"), reader.moment()
        return Prepared(kind, reader.number("I"), reader.text(), lsn, end, at)

    return parse


def _rollback_prepared(reader: Reader, stream: int) -> Body:
    reader.number("B")
    lsn, end = reader.number("Q"), reader.number("Q")
    reader.number("q")  # when it was prepared
    at = reader.moment()
    return Prepared("rollback", reader.number("I"), reader.text(), lsn, end, at)


_PARSE: Mapping[bytes, Callable[[Reader, int], Body]] = {
    b"O": _origin,
    b"R": _relation,
    b"Y": _type,
    b"T": _truncate,
    b"M": _message,
    b"S": _stream_start,
    b"E": _stream_stop,
    b"c": _stream_commit,
    b"A": _stream_abort,
    b"b": _begin_prepare,
    b"P": _prepared("prepare"),
    b"K": _prepared("commit"),
    b"r": _rollback_prepared,
    b"p": _prepared("stream"),
}
