"""A user's SELECT as a table, and the selection of a stream as SQL."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any

import pymysql
from pymysql.connections import Connection as MysqlSession
from pymysql.constants import FIELD_TYPE, FLAG
from pymysql.protocol import FieldDescriptorPacket

from engine.config import Filter, Selection, Sort
from engine.connectors.mysql.failures import query_failed
from engine.connectors.mysql.identifiers import literal, qualified, quote
from engine.connectors.mysql.native_types import logical_type
from engine.connectors.mysql.ranges import INTEGERS, order
from engine.errors import Code, EngineError
from engine.schema import Column, Table, TableKind
from engine.types import Kind

_COM_STMT_PREPARE = 0x16
_COM_STMT_CLOSE = 0x19
_BINARY = 63  # the collation id of bytes
_VECTOR = 242  # enum_field_types of MySQL 9
_WIDEST = 4  # bytes of a character of utf8mb4
_UNLIMITED = 31  # "decimals" of an approximate number without a fixed count

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_NUMERIC = INTEGERS | {Kind.DECIMAL, Kind.FLOAT32, Kind.FLOAT64, Kind.BIT}
_COMPARED = frozenset({"=", "!=", "<", "<=", ">", ">="})


def relation(table: Table) -> str:
    """What stands behind FROM: the table's qualified name, or its query."""
    # The line break ends a comment the query may end with.
    return f"({table.query}\n) AS {quote(table.name)}" if table.query else qualified(table.schema, table.name)


# ---------------------------------------------------------------- the columns of a query


def query_table(session: MysqlSession[Any], database: str, dialect: str, name: str, query: str) -> Table:
    """The columns as the server describes them when the statement is prepared; it is not run.

    Raises QUERY_FAILED with the server's words for what is no single SELECT, or names a column twice.
    """
    table = Table(
        database, name, (), dialect=dialect, kind=TableKind.QUERY, query=query.strip().rstrip(";").rstrip()
    )
    try:
        found = _prepared(session, f"SELECT * FROM {relation(table)}")
    except pymysql.MySQLError as error:
        raise query_failed(error, f"the query {name} cannot be a source", query=name) from None
    columns = tuple(_column(field) for field in found)
    return Table(database, name, columns, dialect=dialect, kind=TableKind.QUERY, query=table.query)


def _prepared(session: MysqlSession[Any], statement: str) -> list[FieldDescriptorPacket]:
    session._execute_command(_COM_STMT_PREPARE, statement)
    number, columns, parameters = struct.unpack_from("<IHH", session._read_packet().get_all_data(), 1)
    fields: list[FieldDescriptorPacket] = []
    for count, kept in ((parameters, False), (columns, True)):
        for _ in range(count):
            field = session._read_packet(FieldDescriptorPacket)
            if kept:
                fields.append(field)
        if count:
            session._read_packet()  # EOF
    session._execute_command(_COM_STMT_CLOSE, struct.pack("<I", number))
    return fields


def _column(field: FieldDescriptorPacket) -> Column:
    native = _native(field)
    text = field.charsetnr != _BINARY
    return Column(
        field.name,
        logical_type(native),
        native,
        nullable=not field.flags & FLAG.NOT_NULL,
        charset="utf8mb4" if text and field.type_code in _TEXTS else None,
    )


_TEXTS = frozenset(
    {
        FIELD_TYPE.STRING,
        FIELD_TYPE.VAR_STRING,
        FIELD_TYPE.VARCHAR,
        FIELD_TYPE.ENUM,
        FIELD_TYPE.SET,
        FIELD_TYPE.TINY_BLOB,
        FIELD_TYPE.MEDIUM_BLOB,
        FIELD_TYPE.LONG_BLOB,
        FIELD_TYPE.BLOB,
    }
)
_INTEGER_NAMES: Mapping[int, str] = {
    FIELD_TYPE.TINY: "tinyint",
    FIELD_TYPE.SHORT: "smallint",
    FIELD_TYPE.INT24: "mediumint",
    FIELD_TYPE.LONG: "int",
    FIELD_TYPE.LONGLONG: "bigint",
}
_NAMES: Mapping[int, str] = {
    FIELD_TYPE.FLOAT: "float",
    FIELD_TYPE.DOUBLE: "double",
    FIELD_TYPE.YEAR: "year",
    FIELD_TYPE.DATE: "date",
    FIELD_TYPE.NEWDATE: "date",
    FIELD_TYPE.JSON: "json",
    FIELD_TYPE.GEOMETRY: "geometry",
    FIELD_TYPE.NULL: "char(1)",
}
_TIMES: Mapping[int, str] = {
    FIELD_TYPE.DATETIME: "datetime",
    FIELD_TYPE.TIMESTAMP: "timestamp",
    FIELD_TYPE.TIME: "time",
}


def _native(field: FieldDescriptorPacket) -> str:
    """COLUMN_TYPE as a table made of the result would have it; labels a result does not tell."""
    code, length, scale = field.type_code, int(field.length), int(field.scale)
    unsigned = " unsigned" if field.flags & FLAG.UNSIGNED else ""
    if code in _INTEGER_NAMES:
        return _INTEGER_NAMES[code] + unsigned
    if code == FIELD_TYPE.NEWDECIMAL:
        precision = length - (scale > 0) - (not unsigned)
        return f"decimal({max(precision, scale, 1)},{scale}){unsigned}"
    if code == FIELD_TYPE.BIT:
        return f"bit({length})"
    if code in _TIMES:
        return f"{_TIMES[code]}({scale})" if 0 < scale < _UNLIMITED else _TIMES[code]
    if code == _VECTOR:
        return f"vector({length // 4})"
    if code in _NAMES:
        return _NAMES[code]
    binary = field.charsetnr == _BINARY and not field.flags & (FLAG.ENUM | FLAG.SET)
    if binary:
        return f"varbinary({length})" if length <= 65_535 else "longblob"
    characters = length // _WIDEST
    return f"varchar({characters})" if characters <= 16_383 else "longtext"


# ---------------------------------------------------------------- selections


def where(table: Table, selection: Selection) -> list[str]:
    """The filters as conditions; UNKNOWN_COLUMN and VALIDATION_FAILED name the field that is wrong."""
    return [_condition(table, wanted) for wanted in selection.filters]


def ordered(table: Table, selection: Selection) -> str:
    return ", ".join(_sorted(table, sort) for sort in selection.sorts)


def check(table: Table, selection: Selection) -> None:
    """UNKNOWN_COLUMN for a column the table does not have, VALIDATION_FAILED for a value that fits none."""
    for name in selection.selected_columns:
        _known(table, name)
    where(table, selection)
    ordered(table, selection)


def ordering(selection: Selection, table: Table, key: tuple[str, ...]) -> str:
    """ORDER BY of a read: the sorts, or the key that orders the chunks."""
    return ordered(table, selection) or (order(key) if key else "")


def _known(table: Table, name: str) -> Column:
    try:
        return table.column(name)
    except KeyError:
        raise EngineError(
            Code.UNKNOWN_COLUMN, f"{table.name} has no column {name}", table=table.name, column=name
        ) from None


def _sorted(table: Table, sort: Sort) -> str:
    return f"{quote(_known(table, sort.column).name)} {sort.direction}"


def _condition(table: Table, wanted: Filter) -> str:
    column = _known(table, wanted.column)
    name = quote(column.name)
    if wanted.operator in ("is null", "is not null"):
        if wanted.value is not None:
            raise _invalid(table, wanted, "takes no value")
        return f"{name} {wanted.operator.upper()}"
    if wanted.operator == "in":
        if not isinstance(wanted.value, list) or not wanted.value:
            raise _invalid(table, wanted, "takes a list of values")
        return f"{name} IN ({', '.join(_constant(table, column, wanted, text) for text in wanted.value)})"
    if not isinstance(wanted.value, str):
        raise _invalid(table, wanted, "takes one value")
    if wanted.operator == "like":
        return f"{name} LIKE {literal(wanted.value)}"
    assert wanted.operator in _COMPARED
    return f"{name} {wanted.operator} {_constant(table, column, wanted, wanted.value)}"


def _constant(table: Table, column: Column, wanted: Filter, text: str) -> str:
    """A constant of the column's kind: numbers compared with text would be compared as doubles."""
    if column.type.kind in _NUMERIC:
        if not _NUMBER.fullmatch(text):
            raise _invalid(table, wanted, f"{text!r} is no number")
        return text
    if column.type.kind in (Kind.BINARY, Kind.VARBINARY, Kind.BLOB):
        return literal(text.encode())
    return literal(text)


def _invalid(table: Table, wanted: Filter, problem: str) -> EngineError:
    return EngineError(
        Code.VALIDATION_FAILED,
        f"the filter {wanted.operator!r} on {table.name}.{wanted.column}: {problem}",
        table=table.name,
        column=wanted.column,
    )
