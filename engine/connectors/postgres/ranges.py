"""Key ranges in SQL: which columns can range a table, how a key value is asked for and how it is written.

Cut points are compared by the server alone, in the column's own order and collation: a constant without a
type takes the type of the column it is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.connectors.base import KeyRange, KeyValue
from engine.connectors.postgres.identifiers import literal, quote, quoted_list
from engine.schema import Column, IndexMethod, IndexPart, Table
from engine.types import Kind

CTID = "ctid"  # no column of a table can have this name
PARTITIONED = "partitioned"  # Table.engine of a partitioned table

_INTEGERS = frozenset({Kind.INT16, Kind.INT32, Kind.INT64})
# Ordered by operators of pg_catalog, and the same value again when read from their text.
_RANGED = _INTEGERS | {
    Kind.BOOL,
    Kind.FLOAT32,
    Kind.FLOAT64,
    Kind.DECIMAL,
    Kind.CHAR,
    Kind.VARCHAR,
    Kind.TEXT,
    Kind.BLOB,
    Kind.DATE,
    Kind.DATETIME,
    Kind.TIMESTAMP,
    Kind.TIME_OF_DAY,
    Kind.UUID,
    Kind.ENUM,
    Kind.BIT,
}


def range_key(table: Table) -> tuple[str, ...]:
    """The primary key, or else a unique key without NULLs, when all its columns can range; () without."""
    candidates = [table.primary_key]
    candidates += [
        index.parts for index in table.indexes if index.unique and index.method is IndexMethod.BTREE
    ]
    for number, parts in enumerate(candidates):
        names = tuple(part.column for part in parts if part.column is not None)
        if names and all(_can_range(table, part, primary=number == 0) for part in parts):
            return names
    return ()


def _can_range(table: Table, part: IndexPart, *, primary: bool) -> bool:
    if part.column is None:
        return False
    column = table.column(part.column)
    if column.native_type == "money" or column.native_type.endswith("citext"):
        return False
    return column.type.kind in _RANGED and (primary or (not column.nullable and not part.descending))


def relation(table: Table) -> str:
    """What stands behind FROM, named t: the rows of the table itself, those of its partitions with it, or a
    query."""
    if table.query:
        # The line break ends a comment the query may end with.
        return f"({table.query}\n) AS t"
    only = "" if table.engine == PARTITIONED else "ONLY "
    return f"{only}{quote(table.schema)}.{quote(table.name)} AS t"


def key_expression(column: Column) -> str:
    """The key column as psycopg hands it over as int or str."""
    name = quote(column.name)
    return name if column.type.kind in _INTEGERS and not column.type.unsigned else f"{name}::text"


def key_literal(value: KeyValue) -> str:
    """A key value as a constant that takes the column's type."""
    assert not isinstance(value, bytes)
    return literal(str(value))


def condition(bounds: KeyRange | None) -> str:
    """The range as a condition, "" for the whole table."""
    if bounds is None:
        return ""
    sides = ((bounds.lower, ">="), (bounds.upper, "<"))
    return " AND ".join(
        _side(bounds.columns[: len(values)], values, operator)
        for values, operator in sides
        if values is not None
    )


def _side(columns: Sequence[str], values: Sequence[KeyValue], operator: str) -> str:
    if tuple(columns) == (CTID,):
        return f"ctid {operator} {key_literal(values[0])}::tid"
    names = quoted_list(columns)
    constants = ", ".join(key_literal(value) for value in values)
    return f"({names}) {operator} ({constants})" if len(values) > 1 else f"{names} {operator} {constants}"
