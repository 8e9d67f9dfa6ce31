"""MySQL's binary JSON as text, in plain Python: the oracle of ext/binlog_json.pxi."""

from __future__ import annotations

import struct

from ext.binlogjson import MAX_DEPTH, double_text, opaque_text
from ext.binlogspec import ProtocolError

_LITERAL, _DOUBLE, _STRING, _OPAQUE = 4, 11, 12, 15
_INTEGERS = {5: (2, True), 6: (2, False), 7: (4, True), 8: (4, False), 9: (8, True), 10: (8, False)}
_ESCAPES = {8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r", 34: b'\\"', 92: b"\\\\"}


def json_text(data: bytes) -> str:
    """As ext.binlog.json_text."""
    return json_bytes(data).decode("utf-8", "replace")


def json_bytes(data: bytes) -> bytes:
    """The text as it comes, UTF-8 or not."""
    if not data:
        return b"null"
    return _Document(len(data)).value(data[0], data[1:], 1)


def _garbage() -> ProtocolError:
    return ProtocolError("bytes that are no JSON document")


class _Document:
    """Overlapping parts, which no server writes, could print far more than there are bytes: every entry and
    every byte of a string is paid for."""

    def __init__(self, budget: int) -> None:
        self._budget = budget

    def _pay(self, amount: int) -> None:
        self._budget -= amount
        if self._budget < 0:
            raise _garbage()

    def value(self, kind: int, data: bytes, depth: int) -> bytes:
        if kind < _LITERAL:
            return self._container(kind, data, depth)
        if kind == _LITERAL:
            if not data or data[0] > 2:
                raise _garbage()
            return (b"null", b"true", b"false")[data[0]]
        if kind in _INTEGERS:
            size, signed = _INTEGERS[kind]
            if len(data) < size:
                raise _garbage()
            return b"%d" % int.from_bytes(data[:size], "little", signed=signed)
        if kind == _DOUBLE:
            if len(data) < 8:
                raise _garbage()
            return double_text(struct.unpack_from("<d", data)[0])
        if kind == _STRING:
            return self._string(_counted(data))
        if kind == _OPAQUE and data:
            content = _counted(data[1:])
            self._pay(len(content))
            return opaque_text(data[0], content)
        raise _garbage()

    def _string(self, data: bytes) -> bytes:
        self._pay(len(data))
        if min(data, default=32) < 32 or b'"' in data or b"\\" in data:
            data = b"".join(
                _ESCAPES.get(byte) or (b"\\u%04x" % byte if byte < 32 else bytes((byte,))) for byte in data
            )
        return b'"' + data + b'"'

    def _container(self, kind: int, data: bytes, depth: int) -> bytes:
        large, named = kind in (1, 3), kind in (0, 1)
        wide = 4 if large else 2
        if depth > MAX_DEPTH or len(data) < 2 * wide:
            raise _garbage()
        count, size = (int.from_bytes(data[at : at + wide], "little") for at in (0, wide))
        key = wide + 2 if named else 0
        heads = 2 * wide + count * (1 + wide + key)
        if size > len(data) or heads > size:
            raise _garbage()
        self._pay(count)
        data = data[:size]
        parts = []
        for number in range(count):
            name = self._name(data, 2 * wide + number * key, wide) + b": " if named else b""
            at = 2 * wide + count * key + number * (1 + wide)
            inline = data[at + 1 : at + 1 + wide]
            inside = data[at] in (_LITERAL, 5, 6) or (large and data[at] in (7, 8))
            offset = int.from_bytes(inline, "little")
            if not inside and not heads <= offset <= size:
                raise _garbage()
            parts.append(name + self.value(data[at], inline if inside else data[offset:], depth + 1))
        text = b", ".join(parts)
        return b"{" + text + b"}" if named else b"[" + text + b"]"

    def _name(self, data: bytes, at: int, wide: int) -> bytes:
        offset = int.from_bytes(data[at : at + wide], "little")
        length = int.from_bytes(data[at + wide : at + wide + 2], "little")
        if offset + length > len(data):
            raise _garbage()
        return self._string(data[offset : offset + length])


def _counted(data: bytes) -> bytes:
    """Bytes behind their length: seven bits a byte, the lowest first, at most five bytes."""
    length = 0
    for place, byte in enumerate(data[:5]):
        length |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            if length > len(data) - place - 1:
                break
            return data[place + 1 : place + 1 + length]
    raise _garbage()
