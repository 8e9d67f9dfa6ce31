"""Defaults of columns on a MySQL target: literals of any source, expressions only where they are known to
mean the same."""

from __future__ import annotations

import re

from engine.connectors.mysql.identifiers import literal
from engine.connectors.mysql.target_ddl import text as quoted_text
from engine.connectors.mysql.target_types import FAMILY, MappedType, TypeContext
from engine.schema import Column
from engine.types import Kind

_NOW = re.compile(
    r"^(?:current_timestamp|now|localtime|localtimestamp)\s*(?:\(\s*(\d*)\s*\))?$", re.IGNORECASE
)
_NUMBER = re.compile(r"^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$", re.IGNORECASE)
_TYPE = r"(?:::[\w\s\"\.]+(?:\(\d+(?:,\s*\d+)?\))?)*"
_QUOTED = re.compile(rf"^'((?:[^']|'')*)'{_TYPE}$", re.DOTALL)
_CAST_NUMBER = re.compile(rf"^\(?([+-]?\d+(?:\.\d+)?)\)?{_TYPE}$")
_POSTGRES_NOW = re.compile(
    r"^(?:now\(\)|current_timestamp(?:\(\d\))?|transaction_timestamp\(\))$", re.IGNORECASE
)
_POSTGRES_UUID = re.compile(r"^(?:gen_random_uuid|uuid_generate_v4)\(\)$", re.IGNORECASE)

_NUMBERS = frozenset(
    {
        Kind.INT8,
        Kind.INT16,
        Kind.INT24,
        Kind.INT32,
        Kind.INT64,
        Kind.FLOAT32,
        Kind.FLOAT64,
        Kind.DECIMAL,
        Kind.YEAR,
    }
)
_TEXTS = frozenset({Kind.CHAR, Kind.VARCHAR, Kind.TEXT, Kind.ENUM, Kind.SET})
_MOMENTS = frozenset({Kind.DATE, Kind.DATETIME, Kind.TIME, Kind.TIME_OF_DAY})
_LOBS = re.compile(r"^(?:tiny|medium|long)?(?:text|blob)|^json|^geom|^point|^line|^poly|^multi|^vector", re.I)


class Untranslatable(Exception):
    """The default is left out, and the plan says so."""


def default_clause(column: Column, mapped: MappedType, context: TypeContext) -> str:
    """`DEFAULT …` (and `ON UPDATE …`), empty when there is none. Raises Untranslatable."""
    clause = _default(column, mapped, context)
    if column.on_update_now:
        fraction = f"({column.type.fraction})" if column.type.fraction else ""
        clause += f" ON UPDATE CURRENT_TIMESTAMP{fraction}"
    return clause


def _default(column: Column, mapped: MappedType, context: TypeContext) -> str:
    default = column.default
    if default is None:
        return ""
    if default.literal is not None:
        text = _literal(column, default.literal)
        return f" DEFAULT ({text})" if _LOBS.match(mapped.sql) else f" DEFAULT {text}"
    expression = default.expression or ""
    if context.dialect in FAMILY:
        return _family_expression(column, expression, context)
    return _foreign_expression(column, expression, mapped)


def _literal(column: Column, value: str | bytes) -> str:
    if isinstance(value, bytes):
        if column.type.kind is Kind.BIT:
            return f"b'{int.from_bytes(value, 'big'):b}'"
        return literal(value)
    if column.type.kind in _NUMBERS and _NUMBER.match(value):
        return value
    return quoted_text(value)


def _family_expression(column: Column, expression: str, context: TypeContext) -> str:
    now = _NOW.match(expression.strip())
    if now and column.type.kind in (Kind.DATETIME, Kind.TIMESTAMP):
        fraction = f"({column.type.fraction})" if column.type.fraction else ""
        return f" DEFAULT CURRENT_TIMESTAMP{fraction}"
    if context.same_flavor:
        return f" DEFAULT ({expression})"
    if re.fullmatch(r"uuid\(\)", expression.strip(), re.IGNORECASE):
        return " DEFAULT (uuid())"
    raise Untranslatable(expression)


def _foreign_expression(column: Column, expression: str, mapped: MappedType) -> str:
    """PostgreSQL's and DuckDB's: constants, the time now, a random UUID."""
    text, kind = expression.strip(), column.type.kind
    if text.upper() in ("NULL", "") or text.upper().startswith("NULL::"):
        return ""
    if kind is Kind.BOOL and text.lower() in ("true", "false"):
        return f" DEFAULT {int(text.lower() == 'true')}"
    if kind in (Kind.DATETIME, Kind.TIMESTAMP) and _POSTGRES_NOW.match(text):
        fraction = f"({column.type.fraction})" if column.type.fraction else ""
        # The session's time is local, as PostgreSQL's is for a timestamp without zone; an instant is UTC.
        return (
            f" DEFAULT CURRENT_TIMESTAMP{fraction}"
            if kind is Kind.DATETIME or mapped.sql.startswith("timestamp")
            else f" DEFAULT (UTC_TIMESTAMP{fraction or '()'})"
        )
    if kind is Kind.UUID and _POSTGRES_UUID.match(text) and mapped.sql in ("char(36)", "uuid"):
        return " DEFAULT (uuid())"
    if kind in _NUMBERS:
        number = _CAST_NUMBER.match(text) or _QUOTED.match(text)
        if number and _NUMBER.match(number[1]):
            return f" DEFAULT {number[1]}"
    quoted = _QUOTED.match(text)
    if quoted:
        value = quoted[1].replace("''", "'")
        if kind in _TEXTS:
            constant = quoted_text(value)
            return f" DEFAULT ({constant})" if _LOBS.match(mapped.sql) else f" DEFAULT {constant}"
        if kind in _MOMENTS and re.fullmatch(r"[\d :.-]+", value):
            return f" DEFAULT {quoted_text(value)}"
    raise Untranslatable(expression)
