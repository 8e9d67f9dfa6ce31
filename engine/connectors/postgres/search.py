"""Names on a PostgreSQL server that contain a text: databases, schemas, tables, views, routines."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from engine import clock
from engine.config import Connection
from engine.connectors.postgres import session as sessions
from engine.connectors.postgres.loader import explain
from engine.errors import Code, EngineError

_DATABASES = """
SELECT datname::text FROM pg_database
WHERE datallowconn AND NOT datistemplate AND has_database_privilege(datname, 'CONNECT')
ORDER BY datname <> current_database(), datname"""

# strpos has no wildcards. A name's own collation lowers ASCII only, the database's all letters it knows;
# where that one is "C" other letters are still found in the case they are written in.
_NAMES = """
WITH named AS (
    SELECT nspname::text AS schema, NULL AS name, nspname::text AS searched FROM pg_namespace
    UNION
    SELECT n.nspname, c.relname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION
    SELECT n.nspname, p.proname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
)
SELECT schema, name FROM named
WHERE schema !~ '^pg_' AND schema <> 'information_schema'
  AND (strpos(lower(searched COLLATE "default"), lower(%(text)s COLLATE "default")) > 0
       OR strpos(searched, %(text)s) > 0)
ORDER BY schema, name NULLS FIRST LIMIT %(limit)s"""


def find_names(connection: Connection, text: str, *, limit: int, seconds: float) -> Iterator[tuple[str, ...]]:
    """`(database,)`, `(database, schema)` or `(database, schema, name)` of what contains `text` in any case,
    at most `limit` of each database; the connection's own database first. System schemas are left out.

    Raises CONNECTION_FAILED, CONNECTION_LOST, QUERY_FAILED, and QUERY_TIMEOUT after `seconds`; what was given
    until then holds. A database that cannot be searched is raised after the others were.
    """
    deadline = clock.monotonic() + seconds
    databases = _databases(connection, deadline)
    yield from ((name,) for name in databases if text.lower() in name.lower())
    failed: EngineError | None = None
    for database in databases:
        try:
            rows = _names_in(connection, database, {"text": text, "limit": limit}, deadline)
        except EngineError as error:
            if error.code is Code.QUERY_TIMEOUT:
                raise
            if database in _databases(connection, deadline):  # else it was dropped just now
                failed = failed or error
            continue
        yield from ((database, *(part for part in row if part is not None)) for row in rows)
    if failed is not None:
        raise failed


def _databases(connection: Connection, deadline: float) -> list[str]:
    with sessions.connect(connection) as session:
        return [str(name) for (name,) in _fetch(session, _DATABASES, {}, deadline)]


def _names_in(
    connection: Connection, database: str, values: dict[str, object], deadline: float
) -> list[tuple[str, ...]]:
    _left(deadline)
    with sessions.connect(connection, database) as session:
        return _fetch(session, _NAMES, values, deadline)


def _fetch(
    session: sessions.PgConnection, statement: str, values: dict[str, object], deadline: float
) -> list[tuple[str, ...]]:
    try:
        session.execute(
            "SELECT set_config('statement_timeout', %s, false)", (str(int(1000 * _left(deadline)) + 1),)
        )
        return list(session.execute(statement, values).fetchall())
    except psycopg.errors.QueryCanceled:
        raise EngineError(Code.QUERY_TIMEOUT, "the search took too long") from None
    except psycopg.Error as error:
        raise explain(error) from None


def _left(deadline: float) -> float:
    """Seconds until the deadline; QUERY_TIMEOUT past it."""
    left = deadline - clock.monotonic()
    if left <= 0:
        raise EngineError(Code.QUERY_TIMEOUT, "the search took too long")
    return left
