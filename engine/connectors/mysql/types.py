"""How each MySQL and MariaDB column is read: SELECT expression and image, one entry a kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pymysql.connections import Connection as MysqlSession

from engine.config import Policies
from engine.connectors.base import Note, ReadColumn, ServerInfo, TableRead
from engine.connectors.mysql.identifiers import quote
from engine.schema import Column, IndexMethod, Table
from engine.types import Image, Kind

MAX_BATCH_ROWS = 65_536
BATCH_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Way:
    """How a kind is read: image, Arrow type, and the expression around the quoted column ({}). ConnectorX
    gets `connectorx`, or None where it does not carry the value exactly."""

    image: Image
    arrow: pa.DataType
    expression: str = "{}"
    connectorx: str | None = "{}"


_INTEGERS = {
    Kind.INT8: (pa.int8(), pa.uint8()),
    Kind.INT16: (pa.int16(), pa.uint16()),
    Kind.INT24: (pa.int32(), pa.uint32()),
    Kind.INT32: (pa.int32(), pa.uint32()),
    Kind.INT64: (pa.int64(), pa.uint64()),
}
_PLAIN: Mapping[Kind, Way] = {
    Kind.FLOAT32: Way(Image.FLOAT, pa.float32()),
    Kind.FLOAT64: Way(Image.FLOAT, pa.float64()),
    Kind.DECIMAL: Way(Image.DECIMAL, pa.string(), "{}", "CAST({} AS CHAR)"),
    Kind.BIT: Way(Image.BITS, pa.binary()),
    Kind.YEAR: Way(Image.INT, pa.int16()),
    Kind.DATE: Way(Image.DATE, pa.date32()),
    Kind.DATETIME: Way(Image.TIMESTAMP, pa.timestamp("us")),
    Kind.TIMESTAMP: Way(Image.TIMESTAMPTZ, pa.timestamp("us", "UTC")),
    Kind.TIME: Way(Image.DURATION, pa.duration("us"), "{}", None),
    Kind.CHAR: Way(Image.TEXT, pa.string()),
    Kind.VARCHAR: Way(Image.TEXT, pa.string()),
    Kind.TEXT: Way(Image.TEXT, pa.large_string()),
    Kind.BINARY: Way(Image.BYTES, pa.binary()),
    Kind.VARBINARY: Way(Image.BYTES, pa.binary()),
    Kind.BLOB: Way(Image.BYTES, pa.large_binary()),
    Kind.JSON: Way(Image.JSON, pa.large_string(), "{}", None),
    Kind.JSON_TEXT: Way(Image.JSON, pa.large_string()),
    Kind.GEOMETRY: Way(Image.GEOMETRY, pa.large_binary(), "{}", None),
    Kind.VECTOR: Way(Image.VECTOR, pa.binary(), "{}", None),
    Kind.UUID: Way(Image.UUID, pa.binary(), "CAST({} AS BINARY(16))", None),
    Kind.INET4: Way(Image.INET, pa.binary(), "CAST({} AS BINARY(4))", None),
    Kind.INET6: Way(Image.INET, pa.binary(), "CAST({} AS BINARY(16))", None),
    Kind.OTHER: Way(Image.TEXT, pa.large_string(), "CAST({} AS CHAR)", None),
}


def way(column: Column, policies: Policies, boolean: bool) -> Way:
    kind = column.type.kind
    if kind in _INTEGERS:
        signed, unsigned = _INTEGERS[kind]
        arrow = unsigned if column.type.unsigned else signed
        return Way(Image.BOOL if boolean else Image.INT, arrow)
    if kind is Kind.ENUM:
        if "" in column.type.labels:
            return Way(Image.TEXT, pa.string(), "IF({0} + 0 = 0, '\\0 index 0', {0})", None)
        return Way(Image.TEXT, pa.string())
    if kind is Kind.SET:
        if any("?" in label for label in column.type.labels):
            return Way(Image.SET_TEXT, pa.string())
        return Way(Image.SET, pa.uint64(), "CAST({} + 0 AS UNSIGNED)", None)
    return _PLAIN[kind]


def plan_read(
    session: MysqlSession[Any],
    info: ServerInfo,
    table: Table,
    policies: Policies,
    *,
    plain_generated: frozenset[str] = frozenset(),
    max_rows: int | None = None,
) -> tuple[TableRead, tuple[Note, ...]]:
    """The columns of a table as they are read, the key that ranges its chunks, and the size of its batches.

    Generated columns are left out but for `plain_generated`. `max_rows` caps the rows of a batch.
    """
    columns = tuple(
        _column(session, table, column, policies)
        for column in table.columns
        if column.generated is None or column.name in plain_generated
    )
    widest = widest_row(table)
    rows = max(1, min(max_rows or MAX_BATCH_ROWS, MAX_BATCH_ROWS))
    return TableRead(table, columns, range_key(table), rows, BATCH_BYTES, widest), ()


def _column(session: MysqlSession[Any], table: Table, column: Column, policies: Policies) -> ReadColumn:
    boolean = policies.tinyint1 == "boolean" and is_flag(column) and flags_only(session, table, column.name)
    chosen = way(column, policies, boolean)
    quoted = quote(column.name)
    return ReadColumn(
        name=column.name,
        expression=chosen.expression.format(quoted),
        image=chosen.image,
        arrow=chosen.arrow,
        source=column,
        connectorx=None if chosen.connectorx is None else chosen.connectorx.format(quoted),
        invalid=policies.zero_date,
    )


def is_flag(column: Column) -> bool:
    """tinyint(1), the only display width with a meaning."""
    return column.type.kind is Kind.INT8 and column.type.display_width == 1 and not column.type.unsigned


# Kinds whose order on the server is the order of their values for every comparison of ours. Text is ordered
# by its collation, which the server itself applies to the boundaries; floats, enums, sets and MariaDB's uuid
# are compared in another way than they are written.
_RANGED = frozenset(
    {
        Kind.INT8,
        Kind.INT16,
        Kind.INT24,
        Kind.INT32,
        Kind.INT64,
        Kind.CHAR,
        Kind.VARCHAR,
        Kind.BINARY,
        Kind.VARBINARY,
        Kind.DATE,
        Kind.DATETIME,
        Kind.DECIMAL,
    }
)


def range_key(table: Table) -> tuple[str, ...]:
    """The columns that order a table and range its chunks: the primary key, else a unique index without NULL;
    empty where neither is of kinds with a safe order."""
    by_name = {column.name: column for column in table.columns}
    candidates = [table.primary_key]
    candidates += [
        index.parts
        for index in table.indexes
        if index.unique and index.method is IndexMethod.BTREE and index.visible
    ]
    for parts in candidates:
        columns = [by_name.get(part.column or "") for part in parts]
        if parts and all(
            column is not None
            and part.prefix is None
            and not column.nullable
            and column.generated is None
            and column.type.kind in _RANGED
            for part, column in zip(parts, columns, strict=True)
        ):
            return tuple(column.name for column in columns if column is not None)
    return ()


_WIDTHS = {Kind.TEXT: 1 << 16, Kind.BLOB: 1 << 16, Kind.JSON: 1 << 16, Kind.JSON_TEXT: 1 << 16}


def widest_row(table: Table) -> int:
    """Bytes the widest row may take: declared lengths, and for values without one the average row."""
    total = 0
    for column in table.columns:
        length = column.type.length
        if column.type.kind in (Kind.CHAR, Kind.VARCHAR):
            total += 4 * (length or 255)
        elif column.type.kind in (Kind.BINARY, Kind.VARBINARY):
            total += length or 255
        else:
            total += _WIDTHS.get(column.type.kind, 32)
    average = table.estimated_bytes // table.estimated_rows if table.estimated_rows else 0
    return max(total, average)


def flags_only(session: MysqlSession[Any], table: Table, column: str) -> bool:
    """Whether a column holds nothing but 0, 1 and NULL now; the encoder checks each value again."""
    from engine.connectors.mysql.scan import extremes

    low, high = extremes(session, table, column)
    return (low is None or low >= 0) and (high is None or high <= 1)
