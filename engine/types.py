"""Logical types, and the images in which values travel between a reader and a loader.

A value's way through the engine is decided once per column, before any row is read:

    native type → SELECT expression → image (an Arrow array) → target encoder → target type

The source connector fills in the left half as a `ReadColumn` (connectors/base.py); the target connector picks
the encoder from the pair (image, live target type). Nobody else knows about either half.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a column *means*, independent of dialect."""

    BOOL = "bool"
    INT8 = "int8"
    INT16 = "int16"
    INT24 = "int24"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    DECIMAL = "decimal"
    BIT = "bit"
    YEAR = "year"
    DATE = "date"
    DATETIME = "datetime"  # without zone
    TIMESTAMP = "timestamp"  # an instant
    TIME = "time"  # MySQL's: a signed duration
    TIME_OF_DAY = "time_of_day"  # 00:00:00 to 24:00:00, without zone
    INTERVAL = "interval"  # months, days and microseconds, each signed
    CHAR = "char"
    VARCHAR = "varchar"
    TEXT = "text"
    BINARY = "binary"
    VARBINARY = "varbinary"
    BLOB = "blob"
    ENUM = "enum"
    SET = "set"
    JSON = "json"  # normalised by the server (MySQL json, jsonb)
    JSON_TEXT = "json_text"  # exact text kept (MariaDB JSON, PostgreSQL json)
    GEOMETRY = "geometry"
    VECTOR = "vector"
    UUID = "uuid"
    INET4 = "inet4"
    INET6 = "inet6"
    ARRAY = "array"  # of any element type and any dimensions
    OTHER = "other"  # known by its native type only


@dataclass(frozen=True, slots=True)
class LogicalType:
    """A kind with its parameters; those that do not apply are None.

    length: characters for text, bytes for binary, bits for BIT, dimensions for VECTOR.
    precision/scale: DECIMAL. fraction: digits of a second, 0..6. labels: ENUM and SET in definition order.
    display_width: MySQL's "(1)" of tinyint(1); it has no other meaning. geometry: the subtype, e.g. "point".
    """

    kind: Kind
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    unsigned: bool = False
    zerofill: bool = False
    fraction: int = 0
    labels: tuple[str, ...] = ()
    display_width: int | None = None
    geometry: str | None = None
    srid: int | None = None


class Image(StrEnum):
    """The exact meaning of an Arrow array between reader and encoder. Arrow types are listed per image.

    NULL is always Arrow NULL. A temporal value outside the calendar (MySQL zero or partial dates) never
    gets into an image: the reader refuses it, makes it NULL or a sentinel, by policy, and counts it.
    The sentinel is the smallest integer of the physical type; PostgreSQL reads it as `-infinity`. The largest
    is `infinity`. Sources that have infinities of their own give these; a target without them goes by policy.
    """

    INT = "int"  # int8..int64, uint8..uint64
    FLOAT = "float"  # float32, float64
    BOOL = "bool"  # int8 of 0 or 1 (any other value is an error of the encoder), or Arrow bool
    # utf8: optional '-', digits, optional '.', digits; no exponent; NaN, Infinity, -Infinity where the source
    # has them; or decimal128/256
    DECIMAL = "decimal"
    TEXT = "text"  # utf8 (validity promised by the source, checked by the encoder)
    BYTES = "bytes"  # binary
    BITS = "bits"  # binary, big-endian, right-aligned in ceil(n/8) bytes (the MySQL wire form)
    DATE = "date"  # date32
    TIMESTAMP = "timestamp"  # timestamp[us], no zone
    TIMESTAMPTZ = "timestamptz"  # timestamp[us, UTC]
    DURATION = "duration"  # duration[us], signed; also a time of day
    INTERVAL = "interval"  # struct<months: int32, days: int32, microseconds: int64>
    JSON = "json"  # utf8; arrays of databases too, as JSON arrays
    UUID = "uuid"  # binary, 16 bytes in text order
    INET = "inet"  # binary, 4 or 16 bytes, network order, always a host address
    SET = "set"  # uint64 bit mask over the labels (bit 0 = first label)
    SET_TEXT = "set_text"  # utf8, labels joined by ','
    GEOMETRY = "geometry"  # binary, MySQL's internal form: 4-byte little-endian SRID, then WKB
    VECTOR = "vector"  # binary, little-endian float32 each
