"""Bits, UUIDs, addresses and geometries in files."""

from __future__ import annotations

import socket
import struct

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.formats.encode_context import Context, refuse_first
from ext.rowerror import RowError, printed


def bits(array: pa.Array, context: Context) -> pa.Array:
    """Right-aligned big-endian bytes → as many '0' and '1' as the column has bits."""
    width = context.read.source.type.length or 1
    octets = (width + 7) // 8
    matrix = _matrix(array, octets, "broken-bits")
    digits = np.unpackbits(matrix, axis=1) if len(matrix) else np.zeros((0, octets * 8), np.uint8)
    spare = octets * 8 - width
    if spare and digits[:, :spare].any():
        row = int(digits[:, :spare].any(axis=1).argmax())
        raise RowError(0, row, "broken-bits", printed(array, row))
    return _strings(digits[:, spare:] + ord("0"), array)


_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)
_DASHES = (8, 13, 18, 23)


def uuid_text(array: pa.Array, context: Context) -> pa.Array:
    """16 bytes → 36 lower-case characters."""
    matrix = _matrix(array, 16, "broken-uuid")
    text = np.full((len(matrix), 36), ord("-"), np.uint8)
    places = [at for at in range(36) if at not in _DASHES]
    text[:, places] = _HEX[matrix].reshape(len(matrix), 32)
    return _strings(text, array)


def sixteen(array: pa.Array, context: Context) -> pa.Array:
    """16 bytes as a fixed-size binary."""
    matrix = _matrix(array, 16, "broken-uuid")
    data = pa.py_buffer(np.ascontiguousarray(matrix))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(array), [_validity(array), data])


def uuids(array: pa.Array, context: Context) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), sixteen(array, context))


def addresses(array: pa.Array, context: Context) -> pa.Array:
    """4 or 16 bytes in network order → the address as text."""
    families = {4: socket.AF_INET, 16: socket.AF_INET6}
    sizes = pc.binary_length(array)
    refuse_first(array, pc.invert(pc.is_in(sizes, pa.array([4, 16, None], sizes.type))), "broken-inet")
    values = [
        None if value is None else socket.inet_ntop(families[len(value)], value)
        for value in array.to_pylist()
    ]
    return pa.array(values, pa.string())


_SRID_FLAG = 0x20000000  # of the geometry type in PostGIS's EWKB


def ewkb(array: pa.Array, context: Context) -> pa.Array:
    """4 bytes of SRID, then WKB → WKB; with PostGIS's flag and SRID where that is not 0."""
    array = pc.cast(array, pa.large_binary())
    short = pc.less(pc.binary_length(array), 9)
    refuse_first(array, short, "broken-geometry")
    values = [None if value is None else _with_srid(value) for value in array.to_pylist()]
    return pa.array(values, pa.large_binary())


def _with_srid(value: bytes) -> bytes:
    srid = value[:4]
    if srid == b"\0\0\0\0":
        return value[4:]
    order = "<" if value[4] else ">"
    (kind,) = struct.unpack_from(f"{order}I", value, 5)
    (number,) = struct.unpack("<I", srid)
    return value[4:5] + struct.pack(f"{order}II", kind | _SRID_FLAG, number) + value[9:]


# ---------------------------------------------------------------- values of one width


def _matrix(array: pa.Array, width: int, reason: str) -> np.ndarray:
    """A row a value, zeros for NULL. RowError for a value of another width."""
    sizes = pc.binary_length(array)
    refuse_first(array, pc.not_equal(sizes, pa.scalar(width, sizes.type)), reason)
    if pa.types.is_fixed_size_binary(array.type):
        array = pc.cast(array, pa.binary())
    filled = pc.cast(pc.fill_null(array, pa.scalar(b"\0" * width, array.type)), pa.large_binary())
    _, offsets, data = filled.buffers()
    if not len(filled):
        return np.zeros((0, width), np.uint8)
    (start,) = struct.unpack_from("=q", offsets, filled.offset * 8)
    return np.frombuffer(data, np.uint8, len(filled) * width, start).reshape(-1, width)


def _strings(matrix: np.ndarray, like: pa.Array) -> pa.Array:
    """Rows of characters as strings, NULL where `like` is."""
    rows, width = matrix.shape
    offsets = np.arange(rows + 1, dtype=np.int64) * width
    data = pa.py_buffer(np.ascontiguousarray(matrix, np.uint8))
    text = pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), data, _validity(like))
    return pc.cast(text, pa.string())


def _validity(array: pa.Array) -> pa.Buffer | None:
    if not array.null_count:
        return None
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    return pa.py_buffer(np.packbits(valid, bitorder="little"))
