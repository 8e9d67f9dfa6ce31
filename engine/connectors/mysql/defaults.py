"""COLUMN_DEFAULT → schema.Default, by flavour.

MySQL shows a literal as raw text and marks an expression with DEFAULT_GENERATED in EXTRA. MariaDB shows SQL:
literals of text and dates quoted, numbers and functions bare, NULL as the word.
"""

from __future__ import annotations

import re

from engine.connectors.mysql.expressions import (
    bit_literal,
    hex_literal,
    string_literal,
    unescaped,
)
from engine.schema import Default
from engine.types import Kind, LogicalType

BINARY_KINDS = frozenset({Kind.BINARY, Kind.VARBINARY, Kind.BLOB, Kind.GEOMETRY, Kind.VECTOR})
TEXT_KINDS = frozenset({Kind.CHAR, Kind.VARCHAR, Kind.TEXT, Kind.ENUM, Kind.SET, Kind.JSON_TEXT})
_NUMBER = re.compile(r"^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$", re.IGNORECASE)
_NOW = re.compile(r"^(?:current_timestamp|now|localtime|localtimestamp)\b", re.IGNORECASE)


def bits(value: int, width: int) -> bytes:
    """A BIT(width) value in its wire form: big-endian, right-aligned in ceil(width/8) bytes."""
    return value.to_bytes((width + 7) // 8, "big")


def padded(value: bytes, type_: LogicalType) -> bytes:
    """A BINARY(n) value as the server would give it: zero bytes on the right up to n."""
    return value.ljust(type_.length or 0, b"\0") if type_.kind is Kind.BINARY else value


def unreliable(raw: str | None, extra: str, type_: LogicalType) -> bool:
    """Whether the catalog's text cannot be trusted for this literal default, so that the server must be asked
    for the value itself: the catalog cuts bytes of binary defaults and prints '?' for what it cannot show."""
    if raw is None or raw == "NULL" or "DEFAULT_GENERATED" in extra.upper():
        return False
    if type_.kind in BINARY_KINDS:
        return string_literal(raw) is not None or raw.startswith("0x")
    return type_.kind in TEXT_KINDS and "?" in raw


def mysql_default(raw: str | None, extra: str, type_: LogicalType) -> Default | None:
    """The default of a MySQL column; `raw` is COLUMN_DEFAULT, None when there is none (or it is NULL)."""
    if raw is None:
        return None
    if "DEFAULT_GENERATED" in extra.upper() or (
        type_.kind in (Kind.TIMESTAMP, Kind.DATETIME) and _NOW.match(raw)
    ):
        return _from_expression(unescaped(raw), type_)
    if type_.kind is Kind.BIT:
        number = bit_literal(raw)
        return Default(expression=raw) if number is None else Default(literal=bits(number, type_.length or 1))
    if type_.kind in BINARY_KINDS:
        data = hex_literal(raw)
        return Default(literal=padded(raw.encode() if data is None else data, type_))
    return Default(literal=raw)


def mariadb_default(raw: str | None, type_: LogicalType) -> Default | None:
    """The default of a MariaDB column; `raw` is COLUMN_DEFAULT, SQL text."""
    if raw is None or raw.upper() == "NULL":
        return None
    return _from_expression(raw, type_)


def _from_expression(sql: str, type_: LogicalType) -> Default:
    """A literal when the SQL text is one literal, else the expression."""
    text = string_literal(sql)
    if text is not None:
        if type_.kind in BINARY_KINDS:
            return Default(literal=padded(text.encode(), type_))
        if type_.kind is Kind.BIT:
            return Default(literal=bits(int.from_bytes(text.encode(), "big"), type_.length or 1))
        return Default(literal=text)
    number = bit_literal(sql)
    if number is not None and type_.kind is Kind.BIT:
        return Default(literal=bits(number, type_.length or 1))
    data = hex_literal(sql)
    if data is not None:
        if type_.kind in BINARY_KINDS:
            return Default(literal=padded(data, type_))
        if type_.kind is Kind.BIT:
            return Default(literal=bits(int.from_bytes(data, "big"), type_.length or 1))
        if type_.kind in TEXT_KINDS:
            return Default(literal=data.decode("utf-8", "replace"))
    if _NUMBER.match(sql):
        if type_.kind is Kind.BIT:
            return Default(literal=bits(int(sql), type_.length or 1))
        return Default(literal=sql)
    return Default(expression=sql)


def column_default(raw: str | None, extra: str, type_: LogicalType, flavor: str) -> Default | None:
    """The default as the flavour's catalog shows it."""
    return mysql_default(raw, extra, type_) if flavor == "mysql" else mariadb_default(raw, type_)
