"""A user's SELECT as a table, the selection of a stream as SQL with bound values, and how a range is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import orjson

from engine.config import Filter, Selection
from engine.connectors.base import KeyRange, TableRead
from engine.connectors.duckdb.database import Cursor
from engine.connectors.duckdb.failures import said
from engine.connectors.duckdb.identifiers import qualified, quote
from engine.connectors.duckdb.native import parse
from engine.connectors.duckdb.source_catalog import described
from engine.connectors.reading import require_distinct
from engine.errors import Code, EngineError
from engine.schema import Column, Table

ROWID = "rowid"

# The functions a query may select from. Everything else that gives a table reaches for files, servers or
# DuckDB's own insides.
_TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree", "repeat"})
# Functions that run SQL out of a text, or tell about this process.
_REFUSED = (
    "query",
    "query_table",
    "getenv",
    "current_setting",
    "which_secret",
    "pragma_",
    "duckdb_",
    "read_",
)


def query_table(cursor: Cursor, schema: str, name: str, query: str) -> Table:
    """The columns of a query as DuckDB binds them; it is not run.

    Raises QUERY_FAILED with DuckDB's words for what is no single SELECT or names a column twice, and
    QUERY_NOT_ALLOWED for one that reaches beyond the file.
    """
    text = query.strip().rstrip(";").rstrip()
    check_query(cursor, name, text)
    try:
        table = described(cursor, schema, name, text)
        cursor.execute(f"EXPLAIN SELECT * FROM (\n{text}\n) AS t")  # in brackets it is what it was alone
    except duckdb.Error as error:
        raise _unusable(name, said(error)) from None
    require_distinct(name, [column.name for column in table.columns], caseless=True)
    return table


def check_query(cursor: Cursor, name: str, text: str) -> None:
    """By DuckDB's own parser: what is checked is what would run."""
    row = cursor.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
    assert row is not None
    parsed: dict[str, Any] = orjson.loads(row[0])
    if parsed["error"]:
        raise _unusable(name, str(parsed.get("error_message") or "it is no SELECT"))
    if len(parsed["statements"]) != 1:
        raise _unusable(name, "it is not one statement")
    for node in _nodes(parsed["statements"][0]):
        kind = node.get("type")
        if kind == "TABLE_FUNCTION":
            called = str(node["function"].get("function_name", "")).lower()
            if called not in _TABLE_FUNCTIONS:
                raise _not_allowed(name, called)
        elif kind in ("SHOW_REF", "FILE_REF"):
            raise _unusable(name, "it is no SELECT")
        elif kind == "VALUE_PARAMETER" or node.get("class") == "PARAMETER":
            raise _unusable(name, "it has parameters")
        elif node.get("class") == "FUNCTION":
            called = str(node.get("function_name", "")).lower()
            if called in _REFUSED or called.startswith(("pragma_", "duckdb_", "read_")):
                raise _not_allowed(name, called)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a parse tree; a deep one is walked without recursion."""
    waiting = [tree]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)


def _unusable(name: str, problem: str) -> EngineError:
    return EngineError(Code.QUERY_FAILED, f"the query {name} cannot be a source: {problem}", query=name)


def _not_allowed(name: str, called: str) -> EngineError:
    return EngineError(
        Code.QUERY_NOT_ALLOWED,
        f"the query {name} calls {called}, which a source may not: it reads this database only",
        query=name,
        function=called,
    )


# ---------------------------------------------------------------- reading


def relation(catalog: str, table: Table) -> str:
    if table.query:
        return f"(\n{table.query}\n) AS t"
    return qualified(catalog, table.schema, table.name)


def select(catalog: str, read: TableRead, bounds: KeyRange | None) -> tuple[str, list[Any]]:
    """The statement and its values. Rows come in the order they are stored, or in that of the sorts."""
    columns = ", ".join(column.expression for column in read.columns) or "NULL"
    conditions, values = _within(bounds)
    for item in read.selection.filters:
        sql, bound = condition(read.table, item)
        conditions.append(sql)
        values += bound
    order = ", ".join(f"{quote(sort.column)} {sort.direction}" for sort in read.selection.sorts)
    limit = read.selection.limit
    return (
        f"SELECT {columns} FROM {relation(catalog, read.table)}"
        + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
        + (f" ORDER BY {order}" if order else "")
        + (f" LIMIT {int(limit)}" if limit is not None else ""),
        values,
    )


def _within(bounds: KeyRange | None) -> tuple[list[str], list[Any]]:
    parts = []
    if bounds is not None and bounds.lower is not None:
        parts.append(f"{ROWID} >= {int(bounds.lower[0])}")
    if bounds is not None and bounds.upper is not None:
        parts.append(f"{ROWID} < {int(bounds.upper[0])}")
    return parts, []


def check_selection(cursor: Cursor, catalog: str, table: Table, selection: Selection) -> None:
    """UNKNOWN_COLUMN for a column that is not there, VALIDATION_FAILED for a filter that makes no sense."""
    known = {column.name for column in table.columns}
    asked = [*selection.selected_columns, *(item.column for item in selection.filters)]
    for name in (*asked, *(sort.column for sort in selection.sorts)):
        if name not in known:
            raise EngineError(
                Code.UNKNOWN_COLUMN, f"{table.name} has no column {name}", table=table.name, column=name
            )
    for item in selection.filters:
        sql, values = condition(table, item)
        marks = " AND ".join(f"{_mark(table.column(item.column))} IS NOT NULL" for _ in values)
        try:
            if item.operator != "like" and marks:
                cursor.execute(f"SELECT {marks}", values)
            cursor.execute(f"EXPLAIN SELECT 1 FROM {relation(catalog, table)} WHERE {sql}", values)
        except duckdb.Error as error:
            raise _senseless(table, item, said(error)) from None


def condition(table: Table, item: Filter) -> tuple[str, list[Any]]:
    """SQL with a mark for each value, and the values."""
    column = table.column(item.column)
    name = quote(column.name)
    if item.operator in ("is null", "is not null"):
        if item.value is not None:
            raise _senseless(table, item, f"{item.operator} takes no value")
        return f"{name} {item.operator.upper()}", []
    if parse(column.native_type).is_nested:
        raise _senseless(table, item, "a nested value is compared with nothing")
    if item.operator == "in":
        values = [item.value] if isinstance(item.value, str) else item.value
        if values is None:
            raise _senseless(table, item, "in needs a list of values")
        marks = ", ".join([_mark(column)] * len(values))
        return (f"{name} IN ({marks})", list(values)) if values else ("false", [])
    if not isinstance(item.value, str):
        raise _senseless(table, item, f"{item.operator} needs one value")
    if item.operator == "like":
        return f"CAST({name} AS VARCHAR) LIKE ?", [item.value]
    return f"{name} {item.operator} {_mark(column)}", [item.value]


_SMALL = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})


def _mark(column: Column) -> str:
    """A value as the type it is compared in: wide enough that no digit of it is rounded off."""
    native = parse(column.native_type)
    if native.name in _SMALL:
        return "CAST(? AS DECIMAL(38,10))"
    if native.name == "DECIMAL":
        scale = native.numbers[1] if native.numbers else 3
        return f"CAST(? AS DECIMAL(38,{min(37, scale + 4)}))"
    if native.name == "UBIGINT":
        return "CAST(? AS HUGEINT)"
    if native.name == "ENUM":
        return "CAST(? AS VARCHAR)"
    return f"CAST(? AS {column.native_type})"


def _senseless(table: Table, item: Filter, problem: str) -> EngineError:
    return EngineError(
        Code.VALIDATION_FAILED,
        f"the filter on {table.name}.{item.column}: {problem}",
        table=table.name,
        column=item.column,
        operator=item.operator,
    )
