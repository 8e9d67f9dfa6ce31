"""Which module serves which type of connection, and which pairs a stream may join. One table each.

Modules are imported when first used: an engine that only lists connections loads no driver.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import Any, cast

from engine.config import Connection, ConnectionType, Mode, SourceConnection, TargetSpec
from engine.connectors.base import SnapshotSource, Target
from engine.errors import Code, EngineError

_SESSIONS = {
    ConnectionType.MYSQL: "engine.connectors.mysql.session",
    ConnectionType.MARIADB: "engine.connectors.mysql.session",
    ConnectionType.POSTGRESQL: "engine.connectors.postgres.session",
    ConnectionType.FILES: "engine.connectors.files.session",
    ConnectionType.S3: "engine.connectors.s3.session",
    ConnectionType.DUCKDB: "engine.connectors.duckdb.session",
}
_MYSQL = (ConnectionType.MYSQL, ConnectionType.MARIADB)

# What opens an end of a bounded stream: (connection, SourceConnection) → SnapshotSource, and (connection,
# TargetSpec, stream id) → Target.
SOURCES = {
    ConnectionType.MYSQL: "engine.connectors.mysql.source:open_source",
    ConnectionType.MARIADB: "engine.connectors.mysql.source:open_source",
    ConnectionType.POSTGRESQL: "engine.connectors.postgres.source:open_source",
    ConnectionType.FILES: "engine.connectors.files.source:open_source",
    ConnectionType.S3: "engine.connectors.s3.source:open_source",
    ConnectionType.DUCKDB: "engine.connectors.duckdb.source:open_source",
}
TARGETS = {
    ConnectionType.MYSQL: "engine.connectors.mysql.target:open_target",
    ConnectionType.MARIADB: "engine.connectors.mysql.target:open_target",
    ConnectionType.POSTGRESQL: "engine.connectors.postgres.target:open_target",
    ConnectionType.FILES: "engine.connectors.files.target:open_target",
    ConnectionType.S3: "engine.connectors.s3.target:open_target",
    ConnectionType.DUCKDB: "engine.connectors.duckdb.target:open_target",
}

# What the drivers raise inside → EngineError: (module of the driver, its base class, what explains it).
_FAILURES = (
    ("psycopg", "Error", "engine.connectors.postgres.loader:explain"),
    ("pymysql", "MySQLError", "engine.connectors.mysql.failures:explain"),
    ("duckdb", "Error", "engine.connectors.duckdb.failures:explain"),
    ("botocore.exceptions", "BotoCoreError", "engine.connectors.s3.client:explain"),
    ("botocore.exceptions", "ClientError", "engine.connectors.s3.client:explain"),
)

# (source, target, mode)
ROUTES = {(source, target, Mode.CONVERT) for source in SOURCES for target in TARGETS}


@dataclass(frozen=True, slots=True)
class Server:
    """What the façade asks of a saved database connection. Every call opens and closes its own session."""

    connection: Connection

    def test(self) -> dict[str, Any]:
        """`{ping: "ok", serverVersion, …}`; CONNECTION_FAILED with `reason` in its details."""
        return dict(self._module().test(self.connection))

    def databases(self) -> list[dict[str, Any]]:
        """`[{name, isSystem, schemas: [{name, isSystem}]}]`"""
        if self.connection.type in _MYSQL:
            with self._mysql() as session:
                found = list(self._module().databases(session))
        else:
            found = list(self._module().databases(self.connection))
        return [{**database, "schemas": database.get("schemas", [])} for database in found]

    def create_database(self, name: str) -> None:
        if self.connection.type in _MYSQL:
            with self._mysql() as session:
                self._module().create_database(session, name)
        else:
            self._module().create_database(self.connection, name)

    def schemas(self, database: str) -> list[dict[str, Any]]:
        self._need_schemas()
        return list(self._module().schemas(self.connection, database))

    def create_schema(self, database: str, name: str) -> None:
        self._need_schemas()
        self._module().create_schema(self.connection, database, name)

    def table_names(self, database: str, schema: str | None) -> set[str]:
        """Tables, views included, of a database (of a schema of it, on PostgreSQL)."""
        if self.connection.type in _MYSQL:
            with self._mysql() as session, session.cursor() as cursor:
                cursor.execute(
                    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", (database,)
                )
                return {_text(row[0]) for row in cursor.fetchall()}
        if hasattr(self._module(), "table_names"):
            return set(self._module().table_names(self.connection, database, schema))
        with self._module().connect(self.connection, database) as session:
            rows = session.execute(
                "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
                " ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
                (schema or "public",),
            )
            return {str(row[0]) for row in rows.fetchall()}

    def _module(self) -> Any:
        return importlib.import_module(_SESSIONS[self.connection.type])

    def _mysql(self) -> _Closing:
        return _Closing(self._module().connect(self.connection, None))

    def _need_schemas(self) -> None:
        if self.connection.type in _MYSQL:
            raise EngineError(
                Code.UNSUPPORTED_ROUTE,
                f"a {self.connection.type.value} server has no schemas inside a database",
                type=self.connection.type.value,
            )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class _Closing:
    def __init__(self, session: Any) -> None:
        self._session = session

    def __enter__(self) -> Any:
        return self._session

    def __exit__(self, *_: object) -> None:
        self._session.close()


def server(connection: Connection) -> Server:
    """UNSUPPORTED_CONNECTION_TYPE for a type this release cannot use."""
    require_supported(connection.type)
    return Server(connection)


def require_supported(kind: ConnectionType) -> None:
    if kind not in _SESSIONS:
        raise EngineError(
            Code.UNSUPPORTED_CONNECTION_TYPE,
            f"{kind.value} connections are not available yet",
            type=kind.value,
            supported=[known.value for known in _SESSIONS],
        )


def require_route(source: ConnectionType, target: ConnectionType, mode: Mode) -> None:
    """UNSUPPORTED_ROUTE naming the pair when this release cannot carry it."""
    if (source, target, mode) not in ROUTES:
        raise EngineError(
            Code.UNSUPPORTED_ROUTE,
            f"{mode.value} from {source.value} to {target.value} is not available yet",
            source=source.value,
            target=target.value,
            mode=mode.value,
            supported=sorted(f"{a.value} → {b.value} ({m.value})" for a, b, m in ROUTES),
        )


def open_source(connection: Connection, part: SourceConnection) -> SnapshotSource:
    """Raises CONNECTION_FAILED, VALIDATION_FAILED (nothing says which database), UNSUPPORTED_ROUTE."""
    opener = _end(SOURCES, connection.type, "source")
    return cast(SnapshotSource, opener(connection, part))


def open_target(connection: Connection, spec: TargetSpec, stream_id: str) -> Target:
    """Open a target; nothing is changed on it yet. Raises as `open_source`."""
    opener = _end(TARGETS, connection.type, "target")
    return cast(Target, opener(connection, spec, stream_id))


def load_ends(source: str = "", target: str = "") -> None:
    """Import the modules of both ends, given as types of connection, so that opening them does not."""
    for ends, kind in ((SOURCES, source), (TARGETS, target)):
        if kind:
            _end(ends, ConnectionType(kind), "end")


_NAMES = {
    ConnectionType.MYSQL: "MySQL",
    ConnectionType.MARIADB: "MariaDB",
    ConnectionType.POSTGRESQL: "PostgreSQL",
    ConnectionType.FILES: "files",
    ConnectionType.S3: "S3",
    ConnectionType.DUCKDB: "DuckDB",
}


def route_table() -> str:
    """The pairs a bounded stream can join, as a Markdown table: sources down, targets across."""
    lines = [
        "| from \\ to | " + " | ".join(_NAMES.values()) + " |",
        "| --- |" + " --- |" * len(_NAMES),
    ]
    for source, name in _NAMES.items():
        cells = ["yes" if (source, target, Mode.CONVERT) in ROUTES else "no" for target in _NAMES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _end(ends: dict[ConnectionType, str], kind: ConnectionType, side: str) -> Any:
    if kind not in ends:
        raise EngineError(
            Code.UNSUPPORTED_ROUTE,
            f"{kind.value} is not available as a {side} yet",
            field=side,
            supported=sorted(known.value for known in ends),
        )
    return _load(ends[kind])


def _load(path: str) -> Any:
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def explain(error: Exception) -> EngineError | None:
    """What a driver raised as an EngineError that tells a lost connection from a statement refused; None for
    what no driver raised. Drivers that are not loaded are not loaded for this."""
    for driver, base, explainer in _FAILURES:
        module = sys.modules.get(driver)
        if module is not None and isinstance(error, getattr(module, base)):
            return cast(EngineError, _load(explainer)(error))
    return None
