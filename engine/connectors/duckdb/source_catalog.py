"""Tables of a schema of a DuckDB file as dialect-neutral structure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from engine.connectors.checkpoints import TABLE as CHECKPOINT_TABLE
from engine.connectors.duckdb.catalog import generated_columns
from engine.connectors.duckdb.database import Cursor
from engine.connectors.duckdb.identifiers import qualified, quote
from engine.connectors.duckdb.manifest import TABLE as TYPES_TABLE
from engine.connectors.duckdb.native import parse
from engine.connectors.duckdb.source_types import NANOSECONDS, logical
from engine.schema import (
    Check,
    Column,
    Database,
    Default,
    ForeignKey,
    Generated,
    Index,
    IndexPart,
    Table,
    TableKind,
    View,
)
from engine.schema import (
    Sequence as SequenceObject,
)

DIALECT = "duckdb"
OURS = (CHECKPOINT_TABLE, TYPES_TABLE)
_NAMED = re.compile(r'"((?:[^"]|"")+)"|([A-Za-z_]\w*)')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_CAST = re.compile(r"CAST\((.*) AS [^']*\)", re.DOTALL)

_IN_SCHEMA = "database_name = current_database() AND schema_name = $1"


class Catalog:
    """One look at a schema. `schema` is matched exactly."""

    def __init__(self, cursor: Cursor, catalog: str, schema: str) -> None:
        self._cursor = cursor
        self._catalog = catalog
        self._schema = schema

    def database(self, only: Sequence[str] | None) -> Database:
        """Tables, views and sequences; `only` those tables, and the views of those names as tables too."""
        wanted = None if only is None else set(only)
        tables = [
            self._table(*row)
            for row in self._rows(
                "SELECT table_name, comment, estimated_size, sql FROM duckdb_tables()"
                f" WHERE {_IN_SCHEMA} AND NOT internal AND NOT temporary ORDER BY table_name"
            )
            if (row[0] in wanted if wanted is not None else row[0] not in OURS)
        ]
        views = self._rows(
            f"SELECT view_name, sql FROM duckdb_views() WHERE {_IN_SCHEMA} AND NOT internal AND NOT temporary"
            " ORDER BY view_name"
        )
        if wanted is not None:
            tables += [self._view_as_table(name) for name, _ in views if name in wanted]
        return Database(
            self._catalog,
            tuple(tables),
            tuple(View(self._schema, name, sql) for name, sql in views if wanted is None),
            sequences=self._sequences() if wanted is None else (),
        )

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._cursor.execute(query, [self._schema, *values]).fetchall()

    def _table(self, name: str, comment: str | None, rows: int, sql: str) -> Table:
        columns = self._columns(name, generated_columns(sql))
        constraints = self._rows(
            "SELECT constraint_type, constraint_name, constraint_column_names, expression, referenced_table,"
            f" referenced_column_names FROM duckdb_constraints() WHERE {_IN_SCHEMA} AND table_name = $2"
            " ORDER BY constraint_index",
            name,
        )
        key: tuple[IndexPart, ...] = ()
        indexes = self._indexes(name)
        foreign, checks = [], []
        for kind, label, own, expression, other, theirs in constraints:
            if kind == "PRIMARY KEY":
                key = tuple(IndexPart(column) for column in own)
            elif kind == "UNIQUE":
                indexes.append(Index(label, tuple(IndexPart(column) for column in own), unique=True))
            elif kind == "FOREIGN KEY":
                foreign.append(ForeignKey(label, tuple(own), self._schema, other, tuple(theirs)))
            elif kind == "CHECK":
                checks.append(Check(label, expression))
        return Table(
            self._schema,
            name,
            columns,
            dialect=DIALECT,
            primary_key=key,
            indexes=tuple(indexes),
            foreign_keys=tuple(foreign),
            checks=tuple(checks),
            comment=comment or "",
            estimated_rows=int(rows),
            estimated_bytes=int(rows) * guessed_row(columns),
            create_statement=sql,
        )

    def _columns(self, name: str, generated: frozenset[str]) -> tuple[Column, ...]:
        rows = self._rows(
            "SELECT column_name, data_type, is_nullable, column_default, comment FROM duckdb_columns()"
            f" WHERE {_IN_SCHEMA} AND table_name = $2 ORDER BY column_index",
            name,
        )
        stamps = [column for column, kind, *_ in rows if parse(kind).name == NANOSECONDS]
        whole = self._whole_microseconds(name, stamps)
        return tuple(
            Column(
                column,
                logical(kind, whole_microseconds=column in whole),
                kind,
                nullable,
                None if column in generated else _default(default),
                generated=Generated(default, stored=False) if column in generated else None,
                comment=comment or "",
            )
            for column, kind, nullable, default, comment in rows
        )

    def _whole_microseconds(self, table: str, columns: Sequence[str]) -> frozenset[str]:
        """Columns of nanoseconds that use none of them: those are timestamps, the others go as text."""
        if not columns:
            return frozenset()
        asked = ", ".join(f"coalesce(bool_and(epoch_ns({quote(name)}) % 1000 = 0), true)" for name in columns)
        row = self._cursor.execute(
            f"SELECT {asked} FROM {qualified(self._catalog, self._schema, table)}"
        ).fetchone()
        return frozenset(name for name, whole in zip(columns, row or (), strict=False) if whole)

    def _indexes(self, table: str) -> list[Index]:
        found = []
        for name, unique, expressions in self._rows(
            f"SELECT index_name, is_unique, expressions FROM duckdb_indexes() WHERE {_IN_SCHEMA}"
            " AND table_name = $2 AND NOT is_primary ORDER BY index_name",
            table,
        ):
            inside = expressions.strip("[]")
            parts = tuple(_part(part.strip()) for part in inside.split(", ")) if inside else ()
            found.append(Index(name, parts, unique=bool(unique)))
        return found

    def _view_as_table(self, name: str) -> Table:
        """A view that was asked for by name is read as what it selects."""
        query = f"SELECT * FROM {qualified(self._catalog, self._schema, name)}"
        return described(self._cursor, self._schema, name, query)

    def _sequences(self) -> tuple[SequenceObject, ...]:
        return tuple(
            SequenceObject(self._schema, name, start, step, low, high, cycle)
            for name, start, step, low, high, cycle in self._rows(
                "SELECT sequence_name, start_value, increment_by, min_value, max_value, cycle"
                f" FROM duckdb_sequences() WHERE {_IN_SCHEMA} AND NOT temporary ORDER BY sequence_name"
            )
        )


def described(cursor: Cursor, schema: str, name: str, query: str) -> Table:
    """The result of a SELECT as a table; it is bound, not run. Raises what DuckDB raises."""
    rows = cursor.execute(f"DESCRIBE {query}").fetchall()
    columns = tuple(Column(str(column), logical(kind), kind) for column, kind, *_ in rows)
    return Table(schema, name, columns, dialect=DIALECT, kind=TableKind.QUERY, query=query)


def _part(text: str) -> IndexPart:
    match = _NAMED.fullmatch(text.strip("'"))
    if match is None:
        return IndexPart(expression=text)
    return IndexPart(match[1].replace('""', '"') if match[1] else match[2])


def _default(printed: str | None) -> Default | None:
    """A literal where it is one, else the expression."""
    if printed is None or printed.upper() == "NULL":
        return None
    text = printed.strip()
    cast = _CAST.fullmatch(text)
    inner = cast[1] if cast else text
    quoted = _QUOTED.fullmatch(inner)
    if quoted:
        return Default(literal=quoted[1].replace("''", "'"))
    if _NUMBER.fullmatch(inner):
        return Default(literal=inner)
    return Default(expression=text)


_WIDTHS = {"VARCHAR": 32, "BLOB": 64, "JSON": 64, "UUID": 16, "DECIMAL": 16, "INTERVAL": 16, "HUGEINT": 20}


def guessed_row(columns: Sequence[Column]) -> int:
    """Bytes of a row nobody has looked at."""
    total = 0
    for column in columns:
        native = parse(column.native_type)
        total += 64 if native.is_nested else _WIDTHS.get(native.name, 8)
    return max(1, total)
