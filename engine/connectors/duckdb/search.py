"""Names in a DuckDB file that contain a text: its database, schemas, tables, views and macros."""

from __future__ import annotations

import os
from collections.abc import Iterator

from engine.config import Connection
from engine.connectors.duckdb.database import database_name, path_of
from engine.connectors.duckdb.failures import explained
from engine.connectors.duckdb.session import opened

# A schema of DuckDB's own holds names of its own.
_NAMES = """
WITH named AS (
    SELECT schema_name AS schema, NULL AS name, schema_name AS searched, database_name FROM duckdb_schemas()
    UNION ALL
    SELECT schema_name, table_name, table_name, database_name FROM duckdb_tables()
    UNION ALL
    SELECT schema_name, view_name, view_name, database_name FROM duckdb_views() WHERE NOT internal
    UNION ALL
    SELECT schema_name, function_name, function_name, database_name FROM duckdb_functions() WHERE NOT internal
)
SELECT DISTINCT schema, name FROM named
WHERE database_name = current_database() AND schema NOT IN ('information_schema', 'pg_catalog')
  AND contains(lower(searched), lower($text))
ORDER BY schema, name NULLS FIRST LIMIT $limit"""


def find_names(connection: Connection, text: str, *, limit: int, seconds: float) -> Iterator[tuple[str, ...]]:
    """`(database,)`, `(database, schema)` or `(database, schema, name)` of what contains `text` in any case,
    at most `limit`. A catalog of one file is read at once, whatever `seconds`. Nothing is inside a file that
    is not there yet. Raises CONNECTION_BUSY, CONNECTION_FAILED."""
    path = path_of(connection)
    name = database_name(path)
    if text.lower() in name.lower():
        yield (name,)
    if not os.path.exists(path):
        return
    with opened(connection) as file, explained("searching the names failed", path=path):
        rows = file.cursor().execute(_NAMES, {"text": text, "limit": limit}).fetchall()
    yield from ((name, *(part for part in row if part is not None)) for row in rows)
