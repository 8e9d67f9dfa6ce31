"""Names on a MySQL or MariaDB server that contain a text: databases, tables, views, routines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pymysql

from engine import clock
from engine.config import Connection
from engine.connectors.mysql import session as sessions
from engine.connectors.mysql.failures import query_failed
from engine.errors import Code, EngineError

_SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")

# (the database, the name) of everything searched. Neither query asks for a column that would make the server
# open each table.
_PLACES = (
    ("information_schema.SCHEMATA", "SCHEMA_NAME", "SCHEMA_NAME"),
    ("information_schema.TABLES", "TABLE_SCHEMA", "TABLE_NAME"),
    ("information_schema.ROUTINES", "ROUTINE_SCHEMA", "ROUTINE_NAME"),
)


def find_names(connection: Connection, text: str, *, limit: int, seconds: float) -> Iterator[tuple[str, ...]]:
    """`(database,)` or `(database, name)` of what contains `text` in any case, at most `limit` of each kind.
    System databases are left out.

    Raises CONNECTION_FAILED, CONNECTION_LOST, PERMISSION_DENIED, and QUERY_TIMEOUT after `seconds`; what was
    given until then holds.
    """
    deadline = clock.monotonic() + seconds
    with contextlib.closing(sessions.connect(connection, read_timeout=seconds + 1)) as session:
        for table, database, name in _PLACES:
            # LOCATE has no wildcards. The comparison is exact after lowering: the columns' own collations
            # depend on the server's file system.
            statement = (
                f"SELECT DISTINCT {database}, {name} FROM {table} WHERE {database} NOT IN %s"
                f" AND LOCATE(LOWER(CONVERT(%s USING utf8mb4)),"
                f" LOWER(CONVERT({name} USING utf8mb4)) COLLATE utf8mb4_bin) > 0"
                f" ORDER BY {database}, {name} LIMIT %s"
            )
            try:
                with session.cursor() as cursor:
                    cursor.execute(_limit(sessions.is_mariadb(session), deadline - clock.monotonic()))
                    cursor.execute(statement, (_SYSTEM, text, limit))
                    rows = cursor.fetchall()
            except (pymysql.MySQLError, OSError) as error:
                raise query_failed(error, "searching for names failed") from None
            for owner, found in rows:
                yield (owner,) if database == name else (owner, found)


def _limit(is_mariadb: bool, left: float) -> str:
    if left <= 0:
        raise EngineError(Code.QUERY_TIMEOUT, "the search took too long")
    if is_mariadb:
        return f"SET SESSION max_statement_time = {left:.3f}"
    return f"SET SESSION max_execution_time = {max(1, int(left * 1000))}"
