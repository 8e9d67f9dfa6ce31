"""How each MySQL and MariaDB column is read: SELECT expression and image, one entry a kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pymysql.connections import Connection as MysqlSession

from engine.config import Policies, Selection
from engine.connectors.base import Note, ReadColumn, ServerInfo, Severity, TableRead
from engine.connectors.mysql.charsets import lossy, may_be_lossy, to_bytes
from engine.connectors.mysql.identifiers import literal, quote
from engine.connectors.mysql.queries import check, relation
from engine.connectors.mysql.scan import extremes
from engine.connectors.reading import read_columns
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
            impossible = literal(impossible_label(column.type.labels))
            told_apart = f"IF({{0}} + 0 = 0, {impossible}, {{0}})"
            return Way(Image.TEXT, pa.string(), told_apart, told_apart)
        return Way(Image.TEXT, pa.string())
    if kind is Kind.SET:
        if any("?" in label for label in column.type.labels):
            return Way(Image.SET_TEXT, pa.string())
        # Not `+ 0`: on MySQL that goes through a double, which has 53 bits for 64 labels.
        return Way(Image.SET, pa.uint64(), "CAST({} AS UNSIGNED)", "CAST({} AS UNSIGNED)")
    return _PLAIN[kind]


def impossible_label(labels: tuple[str, ...]) -> str:
    """A text that is no label: what the invalid value (index 0) reads as where '' is a label itself, so that
    no target takes it for that one."""
    text = "index 0"
    while text in labels:
        text += "'"
    return text


def plan_read(
    session: MysqlSession[Any],
    info: ServerInfo,
    table: Table,
    policies: Policies,
    *,
    plain_generated: frozenset[str] = frozenset(),
    max_rows: int | None = None,
    selection: Selection | None = None,
) -> tuple[TableRead, tuple[Note, ...]]:
    """The columns of a table as they are read, the key that ranges its chunks, and the size of its batches.

    Generated columns are left out but for `plain_generated` and where the policy says `plain`. `max_rows`
    caps the rows of a batch. Notes are about values that cannot be read as they are; those of severity
    REFUSED say so with a count. Raises what PyMySQL raises.
    """
    selection = selection or Selection()
    check(table, selection)
    read = read_columns(table, policies, selection, plain_generated)
    counts = _damaged(session, table, read)
    notes = tuple(
        _note(table, column, policies, counts[column.name]) for column in read if counts.get(column.name)
    )
    as_bytes = _to_bytes(session, table, read, policies)
    columns = tuple(_column(session, table, column, policies, column.name in as_bytes) for column in read)
    rows = max(1, min(max_rows or MAX_BATCH_ROWS, MAX_BATCH_ROWS))
    widest = widest_row(table, _longest_seen(session, table, read))
    return TableRead(table, columns, range_key(table), rows, BATCH_BYTES, widest, selection), notes


def _damaged(session: MysqlSession[Any], table: Table, columns: list[Column]) -> dict[str, int]:
    """By column: values that read as something else than they are. One query, none where nothing can be."""
    questions = {column.name: lossy(column) for column in columns if may_be_lossy(column)}
    questions |= {
        column.name: f"{quote(column.name)} + 0 = 0"
        for column in columns
        if column.type.kind is Kind.ENUM and "" in column.type.labels
    }
    return _counted(session, table, questions)


def _to_bytes(
    session: MysqlSession[Any], table: Table, columns: list[Column], policies: Policies
) -> frozenset[str]:
    """Text columns that are read as their bytes, because a policy says so and a value calls for it."""
    wanted = {column.name: to_bytes(column, policies) for column in columns}
    counts = _counted(session, table, {name: sql for name, sql in wanted.items() if sql is not None})
    return frozenset(name for name, count in counts.items() if count)


def _counted(session: MysqlSession[Any], table: Table, questions: Mapping[str, str]) -> dict[str, int]:
    if not questions:
        return {}
    asked = ", ".join(f"COALESCE(SUM({condition}), 0)" for condition in questions.values())
    with session.cursor() as cursor:
        cursor.execute(f"SELECT {asked} FROM {relation(table)}")
        row = cursor.fetchone() or ()
    return {name: int(count) for name, count in zip(questions, row, strict=True)}


def _note(table: Table, column: Column, policies: Policies, count: int) -> Note:
    if column.type.kind is Kind.ENUM:
        text = (
            "Rows hold the invalid value (index 0), which as text cannot be told from the label ''; "
            f"give them a label at the source: UPDATE {quote(table.name)} SET {quote(column.name)} = '' "
            f"WHERE {quote(column.name)} + 0 = 0."
        )
        return Note(Severity.REFUSED, "enum-index-0", text, table.name, column.name, None, count)
    outcome = {
        "refuse": "set policies.invalidText to replace or bytea",
        "replace": "they come as '?'",
        "bytea": f"the column is read as its {column.charset} bytes",
    }[policies.invalid_text]
    text = f"Values have bytes that are no character of {column.charset}; {outcome}."
    severity = Severity.REFUSED if policies.invalid_text == "refuse" else Severity.WARNING
    return Note(severity, "lossy-charset", text, table.name, column.name, "invalidText", count)


def _column(
    session: MysqlSession[Any], table: Table, column: Column, policies: Policies, as_bytes: bool
) -> ReadColumn:
    boolean = policies.tinyint1 == "boolean" and is_flag(column) and flags_only(session, table, column.name)
    chosen = way(column, policies, boolean)
    if as_bytes:
        chosen = Way(Image.BYTES, pa.large_binary(), "CAST({} AS BINARY)")
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


# Kinds that order and range a table. The server alone compares boundaries, each written as ranges.key_literal
# does, so text goes by its collation and TIMESTAMP by the session's UTC. Left out: floats (a printed boundary
# need not be the stored value), enums, sets and bits (compared as numbers, past their index), MariaDB's uuid
# and inet (their order is not that of their text, and no other side could repeat it), text and blobs (only
# prefixes of them are indexed).
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
        Kind.TIMESTAMP,
        Kind.TIME,
        Kind.YEAR,
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


_LOBS = frozenset({Kind.TEXT, Kind.BLOB, Kind.JSON, Kind.JSON_TEXT, Kind.GEOMETRY, Kind.VECTOR, Kind.OTHER})
_SMALL_LOB = 65_535  # declared length up to which the declaration is taken
_PROBED_BYTES = 16 << 20
_PROBED_ROWS = 500
_FEW_ROWS = 100


def widest_row(table: Table, longest: int = 0) -> int:
    """Bytes the widest row may take: declared lengths, an average row, and for large values without a useful
    length `longest`, twice."""
    total = 0
    for column in table.columns:
        length = column.type.length
        if column.type.kind in (Kind.CHAR, Kind.VARCHAR):
            total += 4 * (length or 255)
        elif column.type.kind in (Kind.BINARY, Kind.VARBINARY):
            total += length or 255
        elif column.type.kind in _LOBS:
            total += min(length or _SMALL_LOB, _SMALL_LOB)
        else:
            total += 32
    return max(total, _average_row(table), 2 * longest)


def _average_row(table: Table) -> int:
    """Bytes by the server's estimates; 0 for a table so small that its pages are mostly empty."""
    return table.estimated_bytes // table.estimated_rows if table.estimated_rows >= _FEW_ROWS else 0


def _longest_seen(session: MysqlSession[Any], table: Table, columns: list[Column]) -> int:
    """The longest row, by its large values, among a few: as many as the server says lie in 16 MiB. A value
    larger than all of them is still read, only in a larger batch."""
    large = [
        column
        for column in columns
        if column.type.kind in _LOBS and (column.type.length or _SMALL_LOB + 1) > _SMALL_LOB
    ]
    if not large:
        return 0
    average = table.estimated_bytes // max(1, table.estimated_rows)
    rows = max(1, min(_PROBED_ROWS, _PROBED_BYTES // max(1, average)))
    total = " + ".join(f"COALESCE(LENGTH({quote(column.name)}), 0)" for column in large)
    with session.cursor() as cursor:
        cursor.execute(f"SELECT MAX(n) FROM (SELECT {total} n FROM {relation(table)} LIMIT {rows}) few")
        row = cursor.fetchone()
    return int(row[0] or 0) if row else 0


def flags_only(session: MysqlSession[Any], table: Table, column: str) -> bool:
    """Whether a column holds nothing but 0, 1 and NULL now; the encoder checks each value again."""
    low, high = extremes(session, table, column)
    return (low is None or low >= 0) and (high is None or high <= 1)
