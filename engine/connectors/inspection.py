"""What the façade asks of a server beside its sessions: names that contain a text, foreign keys that hold."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, cast

from engine.config import Connection, ConnectionType
from engine.errors import Code, EngineError

_FOLDERS = {
    ConnectionType.MYSQL: "engine.connectors.mysql",
    ConnectionType.MARIADB: "engine.connectors.mysql",
    ConnectionType.POSTGRESQL: "engine.connectors.postgres",
}
_SEARCHED = {**_FOLDERS, ConnectionType.DUCKDB: "engine.connectors.duckdb"}
_NO_FOREIGN_KEYS = {
    ConnectionType.FILES: "files have no foreign keys",
    ConnectionType.S3: "files in a bucket have no foreign keys",
    ConnectionType.DUCKDB: "a DuckDB target gets no foreign keys",
}


def has_names(kind: ConnectionType) -> bool:
    """Whether servers of this type can be searched with `find_names`."""
    return kind in _SEARCHED


def find_names(connection: Connection, text: str, *, limit: int, seconds: float) -> Iterator[tuple[str, ...]]:
    """Paths (database, schema where there are such, name) of databases, schemas, tables, views and routines
    whose names contain `text` in any case. Opens its own session when first asked for an item.

    Raises in the middle when the server refuses, is lost, or `seconds` are over (QUERY_TIMEOUT).
    """
    found = _module(connection.type, "search").find_names(connection, text, limit=limit, seconds=seconds)
    return cast(Iterator[tuple[str, ...]], found)


def validate_foreign_keys(connection: Connection, database: str | None, schema: str | None) -> dict[str, Any]:
    """`{engine, action, validatedCount, validatedConstraints, totalOrphanRows, violations}` of one database
    (PostgreSQL: of one schema of it). Raises UNSUPPORTED_ROUTE where there are no foreign keys, and what the
    server answers."""
    if connection.type not in _FOLDERS:
        reason = _NO_FOREIGN_KEYS.get(
            connection.type, f"foreign keys of {connection.type.value} cannot be validated yet"
        )
        raise EngineError(
            Code.UNSUPPORTED_ROUTE, f"there is nothing to validate: {reason}", target=connection.type.value
        )
    return dict(_module(connection.type, "validation").validate_foreign_keys(connection, database, schema))


def _module(kind: ConnectionType, name: str) -> Any:
    return importlib.import_module(f"{_SEARCHED[kind]}.{name}")
