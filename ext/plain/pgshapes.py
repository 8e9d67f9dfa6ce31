"""Bytes, bits, identifiers, addresses and geometry in binary COPY, plainly: `ENCODERS` names each encoder as
`ext.pgcopy` does."""

from __future__ import annotations

import socket
import struct
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ext.plain.pgcells import Column, Refused
from ext.plain.pgtext import allowed, array


def _bytea(value: bytes, column: Column) -> bytes:
    return value


def _bit(value: bytes, column: Column) -> bytes:
    width = int(column.options.get("width", 1))
    number = int.from_bytes(value, "big")
    if number >> width:
        raise Refused("out-of-range")
    size = (width + 7) // 8
    return struct.pack(">i", width) + (number << (size * 8 - width)).to_bytes(size, "big")


def _uuid(value: bytes, column: Column) -> bytes:
    if len(value) != 16:
        raise Refused("bad-length")
    return value


def _uuid_text(value: bytes, column: Column) -> bytes:
    return allowed(str(uuid.UUID(bytes=_uuid(value, column))).encode(), column)


def _inet(value: bytes, column: Column) -> bytes:
    if len(value) not in (4, 16):
        raise Refused("bad-length")
    return bytes([2 if len(value) == 4 else 3, len(value) * 8, 0, len(value)]) + value


def _inet_text(value: bytes, column: Column) -> bytes:
    if len(value) not in (4, 16):
        raise Refused("bad-length")
    family = socket.AF_INET if len(value) == 4 else socket.AF_INET6
    return allowed(socket.inet_ntop(family, value).encode(), column)


def _float4_array(value: bytes, column: Column) -> bytes:
    if len(value) % 4:
        raise Refused("bad-length")
    return array(700, [value[at : at + 4][::-1] for at in range(0, len(value), 4)])


def _ewkb(value: bytes, column: Column) -> bytes:
    try:
        whole = _geometry(value, 4, 0, 0) == len(value)
    except struct.error:
        whole = False
    if not whole:
        raise Refused("bad-geometry")
    srid, order, kind = struct.unpack_from("<IBI", value)
    if not srid:
        return value[4:]
    return struct.pack("<BII", order, kind | 0x20000000, srid) + value[9:]


def _geometry(wkb: bytes, at: int, wanted: int, depth: int) -> int:
    """The place behind the geometry that begins at `at`; struct.error when it is none, or is cut."""
    order, kind, count = struct.unpack_from("<BII", wkb, at)
    if order != 1 or not 1 <= kind <= 7 or (wanted and kind != wanted) or depth > 200:
        raise struct.error
    at += 9
    if kind == 1:
        at += 12
    elif kind == 2:
        at += 16 * count
    else:
        for _ in range(count):
            if kind == 3:
                (points,) = struct.unpack_from("<I", wkb, at)
                at += 4 + 16 * points
            else:
                at = _geometry(wkb, at, 0 if kind == 7 else kind - 3, depth + 1)
    if at > len(wkb):
        raise struct.error
    return at


ENCODERS: Mapping[str, Callable[[Any, Column], bytes]] = {
    "bytea": _bytea,
    "bit": _bit,
    "uuid": _uuid,
    "uuid_text": _uuid_text,
    "inet": _inet,
    "inet_text": _inet_text,
    "ewkb": _ewkb,
    "float4_array": _float4_array,
}
