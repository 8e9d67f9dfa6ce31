"""Key ranges in SQL: which index serves them, how a key value is asked for and how it is written.

Cut points are compared by the server alone, in the column's own order and collation. A range of several
columns is written so that the parts of an index can be used: `k1 >= a AND (k1 > a OR (k1 = a AND k2 >= b))`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine import schema
from engine.connectors.base import KeyRange, KeyValue
from engine.connectors.mysql.identifiers import literal, quote
from engine.errors import Code, EngineError
from engine.types import Kind

INTEGERS = frozenset({Kind.BOOL, Kind.INT8, Kind.INT16, Kind.INT24, Kind.INT32, Kind.INT64, Kind.YEAR})
# Compared and ordered by their number, not by their text.
_NUMBERED = frozenset({Kind.ENUM, Kind.SET, Kind.BIT})
_PRINTED = frozenset(
    {Kind.DECIMAL, Kind.DATE, Kind.DATETIME, Kind.TIMESTAMP, Kind.TIME, Kind.UUID, Kind.INET4, Kind.INET6}
)
_FLOATS = frozenset({Kind.FLOAT32, Kind.FLOAT64})
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)


def key_expression(column: schema.Column) -> str:
    """The key column as PyMySQL hands it over as int, str or bytes."""
    name = quote(column.name)
    kind = column.type.kind
    if kind in _NUMBERED:
        return f"{name} + 0"
    if kind in _FLOATS:
        return f"CAST(CAST({name} AS DOUBLE) AS CHAR)"
    if kind in _PRINTED:
        return f"CAST({name} AS CHAR)"
    return name


def key_literal(column: schema.Column, value: KeyValue) -> str:
    """A key value as a constant of the column's own kind: a decimal compared with text would be compared as a
    float."""
    if column.type.kind is Kind.DECIMAL or column.type.kind in _FLOATS:
        text = str(value)
        if not _NUMBER.fullmatch(text):
            raise EngineError(Code.VALIDATION_FAILED, f"{text!r} is no value of the key {column.name}")
        return f"{text}e0" if column.type.kind in _FLOATS and "e" not in text.lower() else text
    return literal(value)


def condition(table: schema.Table, bounds: KeyRange | None) -> str:
    """The range as a condition, "" for the whole table."""
    if bounds is None:
        return ""
    parts = []
    for values, leading, inner, last in ((bounds.lower, ">=", ">", ">="), (bounds.upper, "<=", "<", "<")):
        if values is not None:
            columns = [table.column(name) for name in bounds.columns[: len(values)]]
            parts.append(_side(columns, values, leading, inner, last))
    return " AND ".join(parts)


def up_to(table: schema.Table, key: Sequence[str], values: Sequence[KeyValue]) -> str:
    """Rows whose key is not behind `values`, which may be the first columns only."""
    return _side([table.column(name) for name in key[: len(values)]], values, "<=", "<", "<=")


def _side(
    columns: Sequence[schema.Column], values: Sequence[KeyValue], leading: str, inner: str, last: str
) -> str:
    terms = [
        (quote(column.name), key_literal(column, value))
        for column, value in zip(columns, values, strict=True)
    ]
    if len(terms) == 1:
        name, value = terms[0]
        return f"{name} {last} {value}"
    alternatives = []
    for number, (name, value) in enumerate(terms):
        operator = last if number == len(terms) - 1 else inner
        equal = [f"{before} = {constant}" for before, constant in terms[:number]]
        alternatives.append("(" + " AND ".join([*equal, f"{name} {operator} {value}"]) + ")")
    name, value = terms[0]
    return f"{name} {leading} {value} AND ({' OR '.join(alternatives)})"


def order(key: Sequence[str]) -> str:
    return ", ".join(quote(name) for name in key)


def index_hint(table: schema.Table, key: Sequence[str]) -> str:
    """`FORCE INDEX (…)` for the index that is the key: without it a server may scan another one and sort."""
    if not key:
        return ""
    if table.key_columns == tuple(key):
        return " FORCE INDEX (PRIMARY)"
    for index in table.indexes:
        names = tuple(part.column for part in index.parts)
        plain = all(part.prefix is None and not part.descending for part in index.parts)
        if index.unique and index.visible and plain and names == tuple(key):
            return f" FORCE INDEX ({quote(index.name)})"
    return ""
