"""What information_schema prints wrongly, asked of the server itself.

The catalog's text is utf8mb3: characters outside the basic plane come as '?', in labels and in defaults, and
binary defaults are cut at a zero byte (MySQL) or their high bytes come as '?' (MariaDB). DEFAULT(column)
gives the true default; a temporary table of the same columns gives the true labels.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pymysql

from engine.connectors.mysql.defaults import BINARY_KINDS
from engine.connectors.mysql.identifiers import qualified, quote
from engine.schema import Column, Default
from engine.types import Kind

_CLONE = "_dbstreams_clone"


def repaired(
    conn: Any, database: str, table: str, columns: list[Column], names: list[str], notes: list[str]
) -> list[Column]:
    """The columns with true defaults and labels for those in `names`; what stays unknown goes to `notes`."""
    suspects = [column for column in columns if column.name in names]
    labelled = [column for column in suspects if any("?" in label for label in column.type.labels)]
    wanted = [
        column for column in suspects if column.default is not None and column.default.literal is not None
    ]
    try:
        values = _defaults(conn, database, table, wanted) if wanted else {}
    except pymysql.MySQLError:
        values = {}
    labels: dict[str, tuple[str, ...]] = {}
    unknown = [column for column in wanted if values.get(column.name) is None]
    if labelled or unknown:
        try:
            labels, more = _clone(conn, database, table, labelled, unknown)
            values |= more
        except pymysql.MySQLError as error:
            notes += [
                f"{table}.{name}: the catalog shows '?' or cut bytes, and a temporary table to read the true "
                f"labels or default from could not be made: {error.args[-1]}"
                for name in dict.fromkeys(column.name for column in [*labelled, *unknown])
            ]
    result = []
    for column in columns:
        if column.name in labels:
            column = replace(column, type=replace(column.type, labels=labels[column.name]))
        if values.get(column.name) is not None:
            column = replace(column, default=Default(literal=values[column.name]))
        result.append(column)
    return result


def _value(column: Column, expression: str) -> str:
    """Text in the connection's charset, bytes as bytes."""
    if column.type.kind in BINARY_KINDS:
        return f"cast({expression} as binary)"
    return f"convert({expression} using utf8mb4)"


def _defaults(conn: Any, database: str, table: str, columns: list[Column]) -> dict[str, str | bytes | None]:
    """DEFAULT(column) of a row there is, or of the row an outer join makes up (where a column that is NOT
    NULL reads NULL)."""
    listed = ", ".join(_value(column, f"default(t.{quote(column.name)})") for column in columns)
    query = f"select {listed} from (select 1) o left join {qualified(database, table)} t on true limit 1"
    with conn.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    return {column.name: value for column, value in zip(columns, row, strict=True)}


def _clone(
    conn: Any, database: str, table: str, labelled: list[Column], defaulted: list[Column]
) -> tuple[dict[str, tuple[str, ...]], dict[str, str | bytes | None]]:
    """Labels and defaults of an empty temporary table with the same columns, filled label by label."""
    clone = qualified(database, _CLONE)
    involved = list({column.name: column for column in [*labelled, *defaulted]}.values())
    listed = ", ".join(quote(column.name) for column in involved)
    with conn.cursor() as cursor:
        cursor.execute(
            f"create temporary table {clone} as select {listed} from {qualified(database, table)} where false"
        )
        try:
            values: dict[str, str | bytes | None] = {}
            if defaulted:
                shown = ", ".join(_value(column, f"default({quote(column.name)})") for column in defaulted)
                cursor.execute(f"insert into {clone} () values ()")
                cursor.execute(f"select {shown} from {clone}")
                row = cursor.fetchone()
                values = {column.name: value for column, value in zip(defaulted, row, strict=True)}
            labels = {}
            for column in labelled:
                name = quote(column.name)
                is_set = column.type.kind is Kind.SET
                numbers = [1 << n if is_set else n + 1 for n in range(len(column.type.labels))]
                cursor.execute(f"delete from {clone}")
                rows = ", ".join(f"({number})" for number in numbers)
                cursor.execute(f"insert into {clone} ({name}) values {rows}")
                cursor.execute(f"select cast({name} as unsigned), convert({name} using utf8mb4) from {clone}")
                by_number = dict(cursor.fetchall())
                labels[column.name] = tuple(by_number[number] for number in numbers)
            return labels, values
        finally:
            with contextlib.suppress(pymysql.MySQLError):
                cursor.execute(f"drop temporary table if exists {clone}")
