"""Foreign keys of MySQL and MariaDB: rows that got in while the checks were off, counted.

Keys are always enforced there, and what was loaded with `foreign_key_checks = 0` is never looked at again: no
statement makes the server do it, so the rows without a parent are counted by a query.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import pymysql
from pymysql.connections import Connection as PyMySQLConnection

from engine.config import Connection
from engine.connectors.mysql import catalog_keys
from engine.connectors.mysql import session as sessions
from engine.connectors.mysql.catalog_sql import Catalog
from engine.connectors.mysql.failures import query_failed
from engine.connectors.mysql.identifiers import qualified, quote
from engine.errors import Code, EngineError
from engine.schema import ForeignKey

_NO_SUCH_TABLE = 1146
_COLUMNS = """
SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s"""
_NAME = re.compile(r"\w+")


class _Column(NamedTuple):
    type: str
    charset: str | None
    collation: str | None


_Columns = dict[tuple[str, str, str], _Column]  # by database, table and column


def validate_foreign_keys(
    connection: Connection, database: str | None, schema: str | None = None
) -> dict[str, Any]:
    """Count the orphans of each foreign key of a database; nothing is changed. `schema` is not used.

    Gives `{engine, action, validatedCount, validatedConstraints, totalOrphanRows, violations}`. Raises
    VALIDATION_FAILED (nothing says which database), CONNECTION_FAILED, PERMISSION_DENIED, QUERY_FAILED.
    """
    name = database or connection.database.database
    if name is None:
        raise EngineError(
            Code.VALIDATION_FAILED,
            "the target names no database, and its connection has none",
            field="target.spec.db.database",
        )
    sound, violations = [], []
    with contextlib.closing(sessions.connect(connection, name)) as session:
        try:
            catalog = Catalog(session, name, None, exact_names=True)
            keys = [
                (table, key)
                for table, found in sorted(catalog_keys.foreign_keys(catalog).items())
                for key in found
            ]
            columns = _columns(catalog, {name, *(key.ref_schema for _, key in keys)})
            for table, key in keys:
                here = {"schemaName": name, "tableName": table, "constraintName": key.name}
                orphans = _orphans(session, name, table, key, columns)
                if orphans:
                    violations.append({**here, "orphanCount": orphans})
                else:
                    sound.append(here)
        except (pymysql.MySQLError, OSError) as error:
            raise query_failed(error, "counting the rows without a parent failed") from None
        engine = sessions.server_info(session).flavor
    return {
        "engine": engine,
        "action": "checked",
        "validatedCount": len(sound),
        "validatedConstraints": sound,
        "totalOrphanRows": sum(violation["orphanCount"] for violation in violations),
        "violations": violations,
    }


def _columns(catalog: Catalog, databases: Iterable[str]) -> _Columns:
    return {
        (database, table, column.lower()): _Column(type_, charset, collation)
        for database in sorted(databases)
        for table, column, type_, charset, collation in catalog.rows(_COLUMNS, [database])
    }


def _orphans(
    session: PyMySQLConnection[Any], database: str, table: str, key: ForeignKey, columns: _Columns
) -> int:
    given = " AND ".join(f"f.{quote(column)} IS NOT NULL" for column in key.columns)
    statement = f"SELECT COUNT(*) FROM {qualified(database, table)} AS f WHERE {given}"
    parent = qualified(key.ref_schema, key.ref_table)
    with session.cursor() as cursor:
        if _exists(cursor, parent):
            pairs = zip(key.columns, key.ref_columns, strict=True)
            equal = " AND ".join(
                _equal(
                    mine,
                    columns.get((database, table, mine.lower())),
                    theirs,
                    columns.get((key.ref_schema, key.ref_table, theirs.lower())),
                )
                for mine, theirs in pairs
            )
            statement += f" AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {equal})"
        cursor.execute(statement)
        row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def _exists(cursor: Any, table: str) -> bool:
    """A key made with the checks off may name a parent that is not there: no row of its child has one. A
    parent that this login may not read is an error."""
    try:
        cursor.execute(f"SELECT 1 FROM {table} LIMIT 0")
    except pymysql.MySQLError as error:
        if error.args[:1] == (_NO_SUCH_TABLE,):
            return False
        raise
    return True


def _equal(mine: str, child: _Column | None, theirs: str, parent: _Column | None) -> str:
    """The comparison InnoDB makes: by the parent's collation, and of enums and sets by their numbers."""
    left, right = f"p.{quote(theirs)}", f"f.{quote(mine)}"
    if child is None or parent is None or child == parent:
        return f"{left} = {right}"
    if all(column.type.startswith(("enum(", "set(")) for column in (child, parent)):
        return f"{left} + 0 = {right} + 0"
    if child.collation and parent.collation and parent.charset and child.collation != parent.collation:
        if not (_NAME.fullmatch(parent.charset) and _NAME.fullmatch(parent.collation)):
            raise EngineError(
                Code.QUERY_FAILED, f"the server names a collation {parent.collation!r} that cannot be one"
            )
        right = f"CONVERT({right} USING {parent.charset}) COLLATE {parent.collation}"
    return f"{left} = {right}"
