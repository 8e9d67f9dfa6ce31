"""Values finished when a batch is taken: East Asian text and MariaDB's compressed columns."""

from __future__ import annotations

import zlib

import pyarrow as pa

from ext.binlogcharsets import NONE, UNICODE, NoCharacter, multibyte, single_byte, text_of
from ext.binlogspec import LogCodec, LogColumn, ProtocolError
from ext.rowerror import SHOWN, RowError

MAX_INFLATED = 1 << 30  # the servers' own limit of a value
_ZLIB = 8


def later(array: pa.Array, column: LogColumn, codec: LogCodec, number: int) -> tuple[pa.Array, int]:
    """The array as it is wanted, and how many values had characters replaced. RowError (column: `number`)
    and ProtocolError are raised."""
    values: list[bytes | str | None] = []
    replaced = 0
    for row, value in enumerate(array.to_pylist()):
        if value is None:
            values.append(None)
            continue
        data = inflated_column(value) if codec.later == "compressed" else value
        if column.image == "bytes" or column.charset in UNICODE:
            values.append(data)
            continue
        text, lost = _text(data, column, number, row)
        replaced += lost
        values.append(text.encode())
    large = pa.types.is_large_string(column.arrow) or pa.types.is_large_binary(column.arrow)
    return pa.array(values, pa.large_binary() if large else pa.binary()).view(column.arrow), replaced


def _text(data: bytes, column: LogColumn, number: int, row: int) -> tuple[str, bool]:
    charset = column.charset or ""
    decode = multibyte(charset)
    table = single_byte(charset)
    if decode is not None:
        try:
            return decode(data, False), False
        except NoCharacter:
            lost = True
    elif table is not None:
        lost = any(table[code] in (NONE, "\ufffd") and code for code in data)
    else:
        lost = False
    if lost and column.lossy == "refuse":
        raise RowError(number, row, "lossy-charset", data.hex()[:SHOWN])
    return text_of(data, charset), lost


def inflated_column(data: bytes) -> bytes:
    """A value of a COMPRESSED column (field.cc, "Field_longstr::compress"): 0 and the value as it is, or the
    algorithm in the upper half of a byte, the bytes of the length in its lower three bits, the length, big
    end first, and a deflated stream. Raises ProtocolError."""
    if not data:
        return b""
    if data[0] == 0:
        return data[1:]
    if data[0] >> 4 != _ZLIB:
        raise ProtocolError(f"a column compressed in the unknown way {data[0] >> 4}")
    width = data[0] & 7
    wrapped = not data[0] & 8
    length = int.from_bytes(data[1 : 1 + width])
    return inflated(data[1 + width :], length, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


def inflated(data: bytes, length: int, bits: int = zlib.MAX_WBITS) -> bytes:
    """`length` bytes out of a deflated stream; ProtocolError when it is none or another length."""
    if length > MAX_INFLATED:
        raise ProtocolError(f"{length} bytes out of one compressed value")
    stream = zlib.decompressobj(bits)
    try:
        whole = stream.decompress(data, length + 1)
    except zlib.error as error:
        raise ProtocolError(f"compressed bytes that are none: {error}") from None
    if len(whole) != length or not stream.eof:
        raise ProtocolError(f"compressed bytes of another length than {length}")
    return whole
