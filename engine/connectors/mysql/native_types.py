"""COLUMN_TYPE of information_schema → LogicalType, by a tokenizer rather than by patterns over labels."""

from __future__ import annotations

import re

from engine.connectors.mysql.expressions import unquoted
from engine.types import Kind, LogicalType

_NAME = re.compile(r"\s*([a-z0-9_]+)\s*", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_NUMBERS = re.compile(r"\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")

_INTEGERS = {
    "tinyint": Kind.INT8,
    "smallint": Kind.INT16,
    "mediumint": Kind.INT24,
    "int": Kind.INT32,
    "integer": Kind.INT32,
    "bigint": Kind.INT64,
}
_TEMPORAL = {"datetime": Kind.DATETIME, "timestamp": Kind.TIMESTAMP, "time": Kind.TIME}
_SIZED = {
    "char": Kind.CHAR,
    "varchar": Kind.VARCHAR,
    "binary": Kind.BINARY,
    "varbinary": Kind.VARBINARY,
    "bit": Kind.BIT,
    "vector": Kind.VECTOR,
}
_PLAIN = {
    "year": Kind.YEAR,
    "date": Kind.DATE,
    "json": Kind.JSON,
    "uuid": Kind.UUID,
    "inet4": Kind.INET4,
    "inet6": Kind.INET6,
}
# Bytes a column may hold (MySQL Reference Manual, "Data Type Storage Requirements").
_LOBS = {"tiny": 255, "": 65_535, "medium": 16_777_215, "long": 4_294_967_295}
_TEXTS = {f"{size}text": length for size, length in _LOBS.items()}
_BLOBS = {f"{size}blob": length for size, length in _LOBS.items()}
_GEOMETRIES = {
    name: name
    for name in (
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
    )
} | {"geomcollection": "geometrycollection"}


def labels(text: str, start: int) -> tuple[str, ...]:
    """The labels of an ENUM or SET; `start` is the position of the opening bracket.

    Labels are single-quoted, with quotes doubled and backslash escapes, separated by commas.
    Raises ValueError when the text is anything else.
    """
    found: list[str] = []
    position = start + 1
    while True:
        if text[position : position + 1] != "'":
            raise ValueError(f"no label at {position} of {text!r}")
        end = position + 1
        while True:
            char = text[end : end + 1]
            if char == "":
                raise ValueError(f"label without end in {text!r}")
            if char == "\\" or (char == "'" and text[end + 1 : end + 2] == "'"):
                end += 2
            elif char == "'":
                break
            else:
                end += 1
        found.append(unquoted(text[position + 1 : end]))
        separator = text[end + 1 : end + 2]
        if separator == ")":
            return tuple(found)
        if separator != ",":
            raise ValueError(f"neither comma nor bracket after a label in {text!r}")
        position = end + 2


def logical_type(column_type: str, srid: int | None = None) -> LogicalType:
    """The logical type of a COLUMN_TYPE such as `int(10) unsigned zerofill` or `enum('a','b''c')`.

    A type the table does not know gives Kind.OTHER; the planner refuses it by name.
    """
    match = _NAME.match(column_type)
    if match is None:
        return LogicalType(Kind.OTHER)
    name = match.group(1).lower()
    if name in ("enum", "set"):
        kind = Kind.ENUM if name == "enum" else Kind.SET
        return LogicalType(kind, labels=labels(column_type, match.end()))
    numbers = _NUMBERS.match(column_type, match.end())
    first = int(numbers.group(1)) if numbers else None
    second = int(numbers.group(2)) if numbers and numbers.group(2) else None
    words = set(_COMMENT.sub(" ", column_type[numbers.end() if numbers else match.end() :]).lower().split())
    unsigned, zerofill = "unsigned" in words, "zerofill" in words
    if name in _INTEGERS:
        width = first if name == "tinyint" else None
        return LogicalType(_INTEGERS[name], unsigned=unsigned, zerofill=zerofill, display_width=width)
    if name in ("decimal", "numeric"):
        return LogicalType(
            Kind.DECIMAL,
            precision=10 if first is None else first,
            scale=second or 0,
            unsigned=unsigned,
            zerofill=zerofill,
        )
    if name in ("float", "double"):
        kind = Kind.FLOAT32 if name == "float" else Kind.FLOAT64
        return LogicalType(kind, unsigned=unsigned, zerofill=zerofill)
    if name in _TEMPORAL:
        return LogicalType(_TEMPORAL[name], fraction=first or 0)
    if name in _SIZED:
        return LogicalType(_SIZED[name], length=1 if first is None else first)
    if name in _TEXTS:
        return LogicalType(Kind.TEXT, length=_TEXTS[name])
    if name in _BLOBS:
        return LogicalType(Kind.BLOB, length=_BLOBS[name])
    if name in _GEOMETRIES:
        return LogicalType(Kind.GEOMETRY, geometry=_GEOMETRIES[name], srid=srid)
    if name in _PLAIN:
        return LogicalType(_PLAIN[name])
    return LogicalType(Kind.OTHER)
