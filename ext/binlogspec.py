"""What both decoders of the MySQL binary log agree on: events, columns of table maps, and how each is read.

Layouts: MySQL Source Code Documentation, "Binlog Event", "Table_map_event" and "Rows_event"; MariaDB
documentation, "Binlog Event Header".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, NamedTuple

import pyarrow as pa

from ext.binlogcharsets import UNICODE, WIDE, known, multibyte, single_byte
from ext.mysqlwire import ProtocolError, WireTypeError

__all__ = ["ProtocolError", "WireTypeError"]


class Log(IntEnum):
    """Types of events; the compressed ones of MariaDB never get past `ext.binlogframes`."""

    QUERY = 2
    STOP = 3
    ROTATE = 4
    INTVAR = 5
    RAND = 13
    USER_VAR = 14
    FORMAT_DESCRIPTION = 15
    XID = 16
    TABLE_MAP = 19
    WRITE_ROWS_V1 = 23
    UPDATE_ROWS_V1 = 24
    DELETE_ROWS_V1 = 25
    INCIDENT = 26
    HEARTBEAT = 27
    ROWS_QUERY = 29
    WRITE_ROWS = 30
    UPDATE_ROWS = 31
    DELETE_ROWS = 32
    GTID = 33
    ANONYMOUS_GTID = 34
    PREVIOUS_GTIDS = 35
    XA_PREPARE = 38
    PARTIAL_UPDATE_ROWS = 39
    TRANSACTION_PAYLOAD = 40
    HEARTBEAT_V2 = 41
    GTID_TAGGED = 42
    ANNOTATE_ROWS = 160
    BINLOG_CHECKPOINT = 161
    MARIADB_GTID = 162
    MARIADB_GTID_LIST = 163
    START_ENCRYPTION = 164
    QUERY_COMPRESSED = 165
    WRITE_ROWS_COMPRESSED_V1 = 166
    UPDATE_ROWS_COMPRESSED_V1 = 167
    DELETE_ROWS_COMPRESSED_V1 = 168
    WRITE_ROWS_COMPRESSED = 169
    UPDATE_ROWS_COMPRESSED = 170
    DELETE_ROWS_COMPRESSED = 171


INSERTS = frozenset({Log.WRITE_ROWS_V1, Log.WRITE_ROWS})
UPDATES = frozenset({Log.UPDATE_ROWS_V1, Log.UPDATE_ROWS, Log.PARTIAL_UPDATE_ROWS})
DELETES = frozenset({Log.DELETE_ROWS_V1, Log.DELETE_ROWS})
ROWS = INSERTS | UPDATES | DELETES
ROWS_V2 = frozenset({Log.WRITE_ROWS, Log.UPDATE_ROWS, Log.DELETE_ROWS, Log.PARTIAL_UPDATE_ROWS})

ARTIFICIAL_FLAG = 0x20  # made by the dump, not in the file
STATEMENT_END_FLAG = 0x1  # of a rows event


class Event(NamedTuple):
    """One event of the log, unpacked and verified.

    position, end: of its first byte and behind its last in the log file, as 64 bits. Events of a compressed
    transaction lie at the start of that payload, and only the last ends at its end. body: without header and
    checksum. payload: it came out of a compressed transaction. stored: it is in the file itself, so that
    `end` is a position of the file.
    """

    type: int
    timestamp: int
    server_id: int
    flags: int
    position: int
    end: int
    body: bytes
    payload: bool
    stored: bool


class Field(IntEnum):
    """enum_field_types, as a table map has them (real types: STRING that is an ENUM or SET is that)."""

    DECIMAL = 0
    TINY = 1
    SHORT = 2
    LONG = 3
    FLOAT = 4
    DOUBLE = 5
    NULL = 6
    TIMESTAMP = 7
    LONGLONG = 8
    INT24 = 9
    DATE = 10
    TIME = 11
    DATETIME = 12
    YEAR = 13
    NEWDATE = 14
    VARCHAR = 15
    BIT = 16
    TIMESTAMP2 = 17
    DATETIME2 = 18
    TIME2 = 19
    BLOB_COMPRESSED = 140
    VARCHAR_COMPRESSED = 141
    VECTOR = 242
    JSON = 245
    NEWDECIMAL = 246
    ENUM = 247
    SET = 248
    TINY_BLOB = 249
    MEDIUM_BLOB = 250
    LONG_BLOB = 251
    BLOB = 252
    VAR_STRING = 253
    STRING = 254
    GEOMETRY = 255


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """A column as a table map has it. What is None was not in the log (binlog_row_metadata).

    meta: by type: length of the length of blobs, bytes of VARCHAR and STRING, precision << 8 | scale of
    decimals, digits of a second, bits of BIT, bytes of ENUM and SET. prefix: characters of the column in the
    primary key, 0 for all of it, None where it is no part of it.
    """

    type: int
    meta: int
    nullable: bool
    name: str | None = None
    unsigned: bool | None = None
    collation: int | None = None
    charset: str | None = None
    labels: tuple[str, ...] | None = None
    geometry: int | None = None
    dimensions: int | None = None
    visible: bool | None = None


@dataclass(frozen=True, slots=True)
class TableMap:
    """primary_key: (column, prefix in characters or 0) in the order of the key; None where the log says
    nothing about it, () is never given: a table without a key looks the same as one without metadata."""

    table_id: int
    flags: int
    schema: str
    table: str
    columns: tuple[MappedColumn, ...]
    primary_key: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class LogColumn:
    """How a column of a table map is wanted: the counterpart of `ext.mysqlwire.DecodeSpec`.

    image, arrow, invalid: as there. unsigned, charset, labels: of the column, from the table map where that
    has them and else from the catalog. lossy: what becomes of bytes that are no character of `charset`;
    replaced, they read as the servers' own '?'. zero_label: the text of an ENUM's index 0. zerofill: decimals
    are padded as the server prints them.
    """

    name: str
    image: str
    arrow: pa.DataType
    invalid: Literal["refuse", "null", "sentinel"] = "refuse"
    unsigned: bool = False
    charset: str | None = None
    labels: tuple[str, ...] = ()
    zero_label: str = ""
    lossy: Literal["refuse", "replace"] = "refuse"
    zerofill: bool = False


class Read(IntEnum):
    """How a value is decoded. The number is shared with the C code."""

    PASS_OVER = 0
    COPY = 1  # `size` bytes as they are
    INTEGER = 2  # to another width or sign, range checked
    WIDEN = 3  # float to double
    YEAR = 4
    DECIMAL = 5
    BYTES = 6
    PADDED = 7  # zeros behind, to `pad` bytes
    SINGLE = 9  # text of a character set of one byte
    WIDE = 10  # of UTF-16 or UTF-32
    LABEL = 11
    SET_LABELS = 12
    DATE = 13
    OLD_DATETIME = 14
    OLD_TIMESTAMP = 15
    OLD_TIME = 16
    DATETIME2 = 17
    TIMESTAMP2 = 18
    TIME2 = 19
    JSON = 20
    LATER = 21  # bytes now, text or uncompressed bytes when a batch is taken
    SET_MASK = 22


@dataclass(frozen=True, slots=True)
class LogCodec:
    """prefix: bytes of the length in front of a value, 0 where it has `size` bytes. width: bytes in the Arrow
    values buffer (of an offset, for bytes and text). low, high: what the Arrow integer holds. pad: bytes a
    value is filled up to. precision, scale: of a decimal; scale also the digits of a second. table: of texts,
    by byte or label. later: multibyte, compressed text or compressed bytes."""

    read: Read
    prefix: int = 0
    size: int = 0
    width: int = 0
    signed: bool = False
    low: int = 0
    high: int = 0
    pad: int = 0
    precision: int = 0
    scale: int = 0
    wide: int = 0
    table: tuple[bytes, ...] = field(default=(), repr=False)
    later: str = ""
    lengths: tuple[int, ...] = ()


_INTEGER_BYTES = {Field.TINY: 1, Field.SHORT: 2, Field.INT24: 3, Field.LONG: 4, Field.LONGLONG: 8}
_BLOBS = frozenset(
    {
        Field.TINY_BLOB,
        Field.BLOB,
        Field.MEDIUM_BLOB,
        Field.LONG_BLOB,
        Field.GEOMETRY,
        Field.JSON,
        Field.VECTOR,
        Field.BLOB_COMPRESSED,
    }
)
_FRACTION_BYTES = (0, 1, 1, 2, 2, 3, 3)
_DIGITS_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
_TEXTUAL = frozenset({"text", "json", "set_text", "decimal"})
_BINARY = frozenset({"bytes", "bits", "uuid", "inet", "geometry", "vector"})
_COMPRESSED = frozenset({Field.BLOB_COMPRESSED, Field.VARCHAR_COMPRESSED})
_LENGTHS = {"uuid": (16,), "inet": (4, 16)}


def _layout(column: MappedColumn) -> tuple[int, int] | None:
    """(bytes of the length, bytes of the value); one of them is 0. None for a type that is not known."""
    kind, meta = column.type, column.meta
    if kind in _INTEGER_BYTES:
        return 0, _INTEGER_BYTES[Field(kind)]
    if kind in _BLOBS:
        return (meta, 0) if 1 <= meta <= 4 else None
    if kind in (Field.VARCHAR, Field.VAR_STRING, Field.STRING, Field.VARCHAR_COMPRESSED):
        return (2 if meta > 255 else 1), 0
    if kind == Field.NEWDECIMAL:
        precision, scale = meta >> 8, meta & 0xFF
        if not (1 <= precision <= 65 and scale <= 38 and scale <= precision):
            return None
        return 0, sum(digits // 9 * 4 + _DIGITS_BYTES[digits % 9] for digits in (precision - scale, scale))
    if kind in (Field.DATETIME2, Field.TIMESTAMP2, Field.TIME2):
        whole = {Field.DATETIME2: 5, Field.TIMESTAMP2: 4, Field.TIME2: 3}[Field(kind)]
        return (0, whole + _FRACTION_BYTES[meta]) if meta <= 6 else None
    if kind == Field.BIT:
        bits = 8 * (meta >> 8) + (meta & 0xFF)
        return (0, (bits + 7) // 8) if 1 <= bits <= 64 else None
    if kind in (Field.ENUM, Field.SET):
        return (0, meta) if 1 <= meta <= (2 if kind == Field.ENUM else 8) else None
    sizes = {
        Field.FLOAT: 4,
        Field.DOUBLE: 8,
        Field.YEAR: 1,
        Field.DATE: 3,
        Field.NEWDATE: 3,
        Field.TIME: 3,
        Field.DATETIME: 8,
        Field.TIMESTAMP: 4,
    }
    return (0, sizes[Field(kind)]) if kind in sizes else None


def log_codec(mapped: MappedColumn, wanted: LogColumn | None) -> LogCodec:
    """How a column is decoded, or passed over where it is not wanted. WireTypeError when this type is not
    read into that image and Arrow type."""
    layout = _layout(mapped)
    if layout is None:
        name = wanted.name if wanted else mapped.name
        raise WireTypeError(f"column {name} has type {mapped.type} ({mapped.meta}), which is not known")
    prefix, size = layout
    if wanted is None:
        return LogCodec(Read.PASS_OVER, prefix, size)
    found = _variable(mapped, wanted, prefix, size) if _offsets(wanted) else _fixed(mapped, wanted, size)
    if found is None:
        raise WireTypeError(
            f"column {wanted.name} is logged as type {mapped.type}, "
            f"not read as {wanted.image} ({wanted.arrow})"
        )
    return found


def _offsets(wanted: LogColumn) -> int:
    """Bytes of an offset of the Arrow type, 0 where it has none or does not fit the image."""
    arrow = wanted.arrow
    textual, binary = wanted.image in _TEXTUAL, wanted.image in _BINARY
    if (textual and pa.types.is_string(arrow)) or (binary and pa.types.is_binary(arrow)):
        return 4
    if (textual and pa.types.is_large_string(arrow)) or (binary and pa.types.is_large_binary(arrow)):
        return 8
    return 0


def _variable(mapped: MappedColumn, wanted: LogColumn, prefix: int, size: int) -> LogCodec | None:
    width, kind, image = _offsets(wanted), mapped.type, wanted.image
    if kind == Field.NEWDECIMAL:
        pad = mapped.meta >> 8 if wanted.zerofill else 0
        precision, scale = mapped.meta >> 8, mapped.meta & 0xFF
        textual = image in ("decimal", "text")
        return (
            LogCodec(Read.DECIMAL, 0, size, width, precision=precision, scale=scale, pad=pad)
            if textual
            else None
        )
    if kind == Field.BIT:
        return LogCodec(Read.BYTES, 0, size, width) if image in ("bits", "bytes") else None
    if kind == Field.ENUM:
        labels = (wanted.zero_label, *wanted.labels)
        table = tuple(label.encode() for label in labels)
        return LogCodec(Read.LABEL, 0, size, width, table=table) if image == "text" else None
    if kind == Field.SET:
        table = tuple(label.encode() for label in wanted.labels)
        return LogCodec(Read.SET_LABELS, 0, size, width, table=table) if image == "set_text" else None
    if not prefix:
        return None
    if kind == Field.JSON:
        return LogCodec(Read.JSON, prefix, 0, width) if image == "json" else None
    lengths = _LENGTHS.get(image, ())
    pad = mapped.meta if kind == Field.STRING else 0
    compressed = kind in _COMPRESSED
    if image in _BINARY:
        if compressed:
            return LogCodec(Read.LATER, prefix, 0, width, later="compressed")
        pad = 0 if wanted.charset not in (None, "binary") else pad  # CHAR read as its bytes is not padded
        read = Read.PADDED if pad else Read.BYTES
        return LogCodec(read, prefix, 0, width, pad=pad, lengths=lengths)
    if image not in ("text", "json"):
        return None
    return _text(wanted, prefix, width, compressed)


def _text(wanted: LogColumn, prefix: int, width: int, compressed: bool) -> LogCodec | None:
    charset = wanted.charset or ""
    if not known(charset):
        return None
    if compressed:
        return LogCodec(Read.LATER, prefix, 0, width, later="compressed")
    if charset in UNICODE:
        return LogCodec(Read.BYTES, prefix, 0, width)
    if charset in WIDE:
        return LogCodec(Read.WIDE, prefix, 0, width, wide=WIDE[charset])
    characters = single_byte(charset)
    if characters is not None:
        table = tuple(char.encode() for char in characters)
        return LogCodec(Read.SINGLE, prefix, 0, width, table=table)
    return LogCodec(Read.LATER, prefix, 0, width, later="multibyte") if multibyte(charset) else None


_MOMENTS: dict[str, dict[int, Read]] = {
    "date": {Field.DATE: Read.DATE, Field.NEWDATE: Read.DATE},
    "timestamp": {Field.DATETIME: Read.OLD_DATETIME, Field.DATETIME2: Read.DATETIME2},
    "timestamptz": {Field.TIMESTAMP: Read.OLD_TIMESTAMP, Field.TIMESTAMP2: Read.TIMESTAMP2},
    "duration": {Field.TIME: Read.OLD_TIME, Field.TIME2: Read.TIME2},
}


def _fixed(mapped: MappedColumn, wanted: LogColumn, size: int) -> LogCodec | None:
    if not _fixed_fits(wanted.image, wanted.arrow):
        return None
    image, kind, width = wanted.image, mapped.type, wanted.arrow.bit_width // 8
    if image in _MOMENTS:
        read = _MOMENTS[image].get(kind)
        digits = mapped.meta if kind in (Field.DATETIME2, Field.TIMESTAMP2, Field.TIME2) else 0
        return None if read is None else LogCodec(read, 0, size, width, scale=digits)
    if image == "float":
        if (kind, width) in ((Field.FLOAT, 4), (Field.DOUBLE, 8)):
            return LogCodec(Read.COPY, 0, size, width)
        return LogCodec(Read.WIDEN, 0, 4, 8) if kind == Field.FLOAT else None
    if image == "set":
        return LogCodec(Read.SET_MASK, 0, size, 8) if kind == Field.SET else None
    wants_sign = bool(pa.types.is_signed_integer(wanted.arrow))
    low, high = (-(1 << 8 * width - 1), (1 << 8 * width - 1) - 1) if wants_sign else (0, (1 << 8 * width) - 1)
    if kind == Field.YEAR:
        fits = image == "int" and width >= 2
        return LogCodec(Read.YEAR, 0, 1, width) if fits else None
    if kind not in _INTEGER_BYTES:
        return None
    signed = not wanted.unsigned
    if size == width and signed == wants_sign:
        return LogCodec(Read.COPY, 0, size, width)
    return LogCodec(Read.INTEGER, 0, size, width, signed, low, high)


def _fixed_fits(image: str, arrow: pa.DataType) -> bool:
    match image:
        case "int":
            return bool(pa.types.is_integer(arrow))
        case "bool":
            return bool(arrow == pa.int8())
        case "set":
            return bool(arrow == pa.uint64())
        case "float":
            return bool(arrow == pa.float32() or arrow == pa.float64())
        case "date":
            return bool(arrow == pa.date32())
        case "timestamp":
            return bool(arrow == pa.timestamp("us"))
        case "timestamptz":
            return bool(pa.types.is_timestamp(arrow) and arrow.unit == "us" and arrow.tz is not None)
        case "duration":
            return bool(arrow == pa.duration("us"))
        case _:
            return False


class Shape(NamedTuple):
    """What rows have in common: kind (insert, update, delete) and which of the wanted columns their images
    hold. A column that is absent is NULL in the arrays and means "unchanged", never NULL."""

    kind: Literal["insert", "update", "delete"]
    before: tuple[bool, ...]
    after: tuple[bool, ...]


class JsonChange(NamedTuple):
    """One step of a partial update of a JSON value: at `path`, `value` (JSON text, None for remove)."""

    operation: Literal["replace", "insert", "remove"]
    path: str
    value: str | None


class JsonChanges(NamedTuple):
    """row: of `Changes.after`. column: of the wanted ones. An empty `steps` leaves the value as it is."""

    row: int
    column: int
    steps: tuple[JsonChange, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Row changes of one table, in the order of the log.

    tags: int64, what the caller gave with the event of each change. shapes, shape: `shapes[shape[i]]` is the
    shape of change i (uint16). before: the rows of updates and deletes, after: of inserts and updates, each
    in order; both have the wanted columns. diffs: partial updates of JSON, whose values in `after` are NULL.
    """

    tags: pa.Array
    shape: pa.Array
    shapes: tuple[Shape, ...]
    before: pa.RecordBatch
    after: pa.RecordBatch
    diffs: tuple[JsonChanges, ...] = ()
