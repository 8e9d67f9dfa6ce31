"""Packets of a dump, or a log file, taken apart into events: verified, uncompressed, each with its position.

Layouts: MySQL Source Code Documentation, "Binlog Event Header", "Transaction_payload_event"; MariaDB
documentation, "Compressed events" (log_event.cc, "binlog_buf_compress").
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa

from ext.binloglater import inflated
from ext.binlogspec import ARTIFICIAL_FLAG, Event, Log, ProtocolError
from ext.binlogtable import Bytes

FILE_MAGIC = b"\xfebin"
HEADER = struct.Struct("<IBIIIH")
_HEADER_BYTES = 19
_IN_USE_FLAG = 0x1  # of a format description, while the server writes its file
_ONE_SHOT = 64 << 20  # payloads up to this are uncompressed at once, larger ones event by event
_MAX_EVENT = 1 << 30  # the servers' limit of a packet
_MASK32 = (1 << 32) - 1
_COMPRESSED_ROWS = {
    Log.WRITE_ROWS_COMPRESSED_V1: Log.WRITE_ROWS_V1,
    Log.UPDATE_ROWS_COMPRESSED_V1: Log.UPDATE_ROWS_V1,
    Log.DELETE_ROWS_COMPRESSED_V1: Log.DELETE_ROWS_V1,
    Log.WRITE_ROWS_COMPRESSED: Log.WRITE_ROWS,
    Log.UPDATE_ROWS_COMPRESSED: Log.UPDATE_ROWS,
    Log.DELETE_ROWS_COMPRESSED: Log.DELETE_ROWS,
}
_UPDATES = frozenset({Log.UPDATE_ROWS_V1, Log.UPDATE_ROWS})
_NOT_STORED = frozenset({Log.HEARTBEAT, Log.HEARTBEAT_V2})
_NO_COMPRESSION = 255
_ZSTD = 0


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Frames:
    """Follows one dump or file.

    checksum: a checksum follows each event, until a format description says so itself: what was agreed on by
    `SET @master_binlog_checksum`. file, position: where the log is read from, as 64 bits.
    """

    def __init__(self, checksum: bool = True, file: str = "", position: int = 4) -> None:
        self.checksum = checksum
        self.mariadb: bool | None = None  # until a format description says who wrote the log
        self.file = file
        self.position = position

    def packet(self, data: bytes) -> Iterator[Event]:
        """The events of one packet, without its leading OK byte. Raises ProtocolError for garbage, for a
        checksum that is wrong and for a compression that is not known."""
        if len(data) < _HEADER_BYTES:
            raise ProtocolError(f"a packet of {len(data)} bytes is no event")
        timestamp, kind, server_id, size, end, flags = HEADER.unpack_from(data)
        if size != len(data):
            raise ProtocolError(f"an event of {size} bytes in a packet of {len(data)}")
        body = self._verified(data, kind, flags)
        artificial = bool(flags & ARTIFICIAL_FLAG) or (kind == Log.ROTATE and timestamp == 0)
        start, stop, stored = self._place(kind, size, end, artificial)
        if kind == Log.ROTATE:
            self._rotate(body)
        event = Event(kind, timestamp, server_id, flags, start, stop, body, False, stored)
        if kind == Log.TRANSACTION_PAYLOAD:
            return _unpacked(event)
        if Log.QUERY_COMPRESSED <= kind <= Log.DELETE_ROWS_COMPRESSED:
            event = uncompressed(event)
        return iter((event,))

    def whole_file(self, data: bytes) -> Iterator[Event]:
        """The events of a log file. An event cut at the end of the file raises ProtocolError."""
        if data[:4] != FILE_MAGIC:
            raise ProtocolError("a file that is no binary log")
        place = 4
        self.position = 4
        while place < len(data):
            if len(data) - place < _HEADER_BYTES:
                raise ProtocolError("a log file that is cut")
            (size,) = struct.unpack_from("<I", data, place + 9)
            if size < _HEADER_BYTES or size > len(data) - place:
                raise ProtocolError("a log file that is cut")
            yield from self.packet(data[place : place + size])
            place += size

    # ------------------------------------------------------------

    def _verified(self, data: bytes, kind: int, flags: int) -> bytes:
        """The body, its checksum seen and left off. A format description says whether it and what follows
        have one, and always has room for it itself."""
        if kind == Log.FORMAT_DESCRIPTION:
            if len(data) < _HEADER_BYTES + 57 + 5 or data[-5] > 1:
                raise ProtocolError("a format description that is cut, or names an unknown checksum")
            self.checksum = data[-5] == 1
            self.mariadb = b"MariaDB" in data[_HEADER_BYTES + 2 : _HEADER_BYTES + 52]
            if self.checksum:
                # the server counts without its mark that the file is in use
                plain = data[:17] + struct.pack("<H", flags & ~_IN_USE_FLAG) + data[19:]
                _check(plain)
            return data[_HEADER_BYTES:-4]
        if not self.checksum:
            return data[_HEADER_BYTES:]
        if len(data) < _HEADER_BYTES + 4:
            raise ProtocolError("an event that is cut")
        _check(data)
        return data[_HEADER_BYTES:-4]

    def _place(self, kind: int, size: int, end: int, artificial: bool) -> tuple[int, int, bool]:
        """Start and end of an event in its file. Positions in the log have 32 bits and wrap; MariaDB leaves
        out some altogether, and so does every event that the dump made up."""
        if artificial or kind in _NOT_STORED or (end == 0 and kind == Log.FORMAT_DESCRIPTION):
            return self.position, self.position, False
        if kind == Log.FORMAT_DESCRIPTION:
            stop = end
        elif end == 0 or (self.position + size) & _MASK32 == end:
            stop = self.position + size
        else:  # the dump has passed over something
            stop = self.position & ~_MASK32 | end
            if stop < self.position:
                stop += 1 << 32
        self.position = stop
        return max(0, stop - size), stop, True

    def _rotate(self, body: bytes) -> None:
        if len(body) < 9:
            raise ProtocolError("a rotate event that is cut")
        self.position = int.from_bytes(body[:8], "little")
        self.file = body[8:].decode("utf-8", "replace")


def _check(data: bytes) -> None:
    if zlib.crc32(memoryview(data)[:-4]) != int.from_bytes(data[-4:], "little"):
        raise ProtocolError("an event whose checksum is wrong")


def _unpacked(payload: Event) -> Iterator[Event]:
    """The events of a compressed transaction, which have no checksums of their own; all lie at the payload's
    start, and the last ends where it ends, so that no position is inside."""
    held: Event | None = None
    stream = _payload_stream(payload.body)
    while header := stream.read(_HEADER_BYTES):
        if len(header) < _HEADER_BYTES:
            raise ProtocolError("a compressed transaction that is cut")
        timestamp, kind, server_id, size, _, flags = HEADER.unpack(header)
        if not _HEADER_BYTES <= size <= _MAX_EVENT:
            raise ProtocolError(f"an event of {size} bytes in a compressed transaction")
        body = bytes(stream.read(size - _HEADER_BYTES))
        if len(body) != size - _HEADER_BYTES or kind == Log.TRANSACTION_PAYLOAD:
            raise ProtocolError("a compressed transaction that is cut")
        if held is not None:
            yield held
        place = payload.position
        held = Event(kind, timestamp, server_id, flags, place, place, body, True, payload.stored)
    if held is None:
        raise ProtocolError("a compressed transaction without events")
    yield held._replace(end=payload.end)


def _payload_stream(body: bytes) -> _Stream:
    """Fields of type, length and value up to a 0: 1 bytes of the payload, 2 compression, 3 bytes when
    uncompressed."""
    reader = Bytes(body)
    fields = {1: None, 2: _NO_COMPRESSION, 3: None}
    while kind := reader.packed():
        value = Bytes(reader.counted())
        if kind in fields:
            fields[kind] = value.packed()
    data = reader.take(reader.left)
    size, compression, whole = fields[1], fields[2], fields[3]
    if size is not None and size != len(data):
        raise ProtocolError("a compressed transaction of another length than it says")
    if compression == _NO_COMPRESSION:
        return io.BytesIO(data)
    if compression != _ZSTD:
        raise ProtocolError(f"a transaction compressed in the unknown way {compression}")
    try:
        if whole is not None and whole <= _ONE_SHOT:
            codec = pa.Codec("zstd")
            return io.BytesIO(codec.decompress(data, decompressed_size=whole, asbytes=True))
        return _Guarded(pa.CompressedInputStream(pa.BufferReader(data), "zstd"))
    except (OSError, pa.ArrowInvalid) as error:
        raise ProtocolError(f"a compressed transaction that is none: {error}") from None


class _Guarded:
    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        try:
            return bytes(self._stream.read(size))
        except (OSError, pa.ArrowInvalid) as error:
            raise ProtocolError(f"a compressed transaction that is none: {error}") from None


def uncompressed(event: Event) -> Event:
    """A compressed event of MariaDB as the plain one it stands for."""
    if event.type == Log.QUERY_COMPRESSED:
        head = Bytes(event.body)
        head.take(8)
        schema = head.number(1)
        head.take(2)
        head.take(head.number(2) + schema + 1)
        body = event.body[: head.place] + _inflated(event.body[head.place :])
        return event._replace(type=int(Log.QUERY), body=body)
    kind = _COMPRESSED_ROWS[event.type]  # type: ignore[index]
    head = Bytes(event.body)
    head.take(8)
    if kind >= Log.WRITE_ROWS:
        head.take(max(0, head.number(2) - 2))
    bits = (head.packed() + 7) // 8
    head.take(2 * bits if kind in _UPDATES else bits)
    body = event.body[: head.place] + _inflated(event.body[head.place :])
    return event._replace(type=int(kind), body=body)


def _inflated(data: bytes) -> bytes:
    """A byte of 0x80, three bits of the algorithm and three of the length's bytes; the length, big end first;
    a zlib stream."""
    if not data or not data[0] & 0x80 or data[0] & 0x70:
        raise ProtocolError("an event compressed in an unknown way")
    width = data[0] & 7
    return inflated(data[1 + width :], int.from_bytes(data[1 : 1 + width]))
