"""What a DuckDB connection is asked over REST. Each call opens the file, reads and lets go of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from engine.config import Connection
from engine.connectors.duckdb.database import Database, database_name, open_database, path_of
from engine.connectors.duckdb.failures import explain
from engine.connectors.duckdb.identifiers import quote
from engine.errors import Code, EngineError

_SYSTEM_SCHEMAS = ("information_schema", "pg_catalog")


@contextmanager
def opened(connection: Connection, *, read_only: bool = True) -> Iterator[Database]:
    """The file for as long as the block lasts."""
    database = open_database(path_of(connection), read_only=read_only)
    try:
        yield database
    finally:
        database.close()


def test(connection: Connection) -> dict[str, Any]:
    """`{ping, serverVersion, flavor, tls}`. A file that is not there yet is made by the first
    stream into it, if its folder can be written."""
    path = path_of(connection)
    if os.path.exists(path):
        with opened(connection):
            pass
    elif not os.access(os.path.dirname(path), os.W_OK):
        open_database(path, read_only=False).close()  # raises with the reason
    return {
        "ping": "ok",
        "serverVersion": duckdb.__version__,
        "flavor": "duckdb",
        "tls": None,
    }


def databases(connection: Connection) -> list[dict[str, Any]]:
    """`[{name, isSystem, schemas}]`: the one database of the file, without schemas while it is missing."""
    path = path_of(connection)
    name = database_name(path)
    if not os.path.exists(path):
        return [{"name": name, "isSystem": False, "schemas": []}]
    return [{"name": name, "isSystem": False, "schemas": schemas(connection, name)}]


def schemas(connection: Connection, database: str) -> list[dict[str, Any]]:
    with opened(connection) as file:
        _require(file, database)
        rows = (
            file.cursor()
            .execute(
                "SELECT schema_name FROM duckdb_schemas() WHERE database_name = ? ORDER BY schema_name",
                [file.catalog],
            )
            .fetchall()
        )
    return [{"name": name, "isSystem": name in _SYSTEM_SCHEMAS} for (name,) in rows]


def table_names(connection: Connection, database: str, schema: str | None) -> set[str]:
    """Tables and views of a schema."""
    with opened(connection) as file:
        _require(file, database)
        rows = (
            file.cursor()
            .execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = $1 AND schema_name = $2"
                " UNION ALL SELECT view_name FROM duckdb_views()"
                " WHERE database_name = $1 AND schema_name = $2",
                [file.catalog, schema or "main"],
            )
            .fetchall()
        )
    return {str(name) for (name,) in rows}


def create_database(connection: Connection, name: str) -> None:
    raise EngineError(
        Code.UNSUPPORTED_ROUTE,
        "a DuckDB connection is one database: its file is made by the first stream into it",
        type="duckdb",
    )


def create_schema(connection: Connection, database: str, name: str) -> None:
    """NAME_TAKEN when it is there; the file is made when it is missing."""
    with opened(connection, read_only=False) as file:
        _require(file, database)
        try:
            file.cursor().execute(f"CREATE SCHEMA {quote(file.catalog)}.{quote(name)}")
        except duckdb.CatalogException:
            raise EngineError(Code.NAME_TAKEN, f"schema {name} exists already", name=name) from None
        except duckdb.Error as error:
            raise explain(error) from None


def _require(file: Database, database: str) -> None:
    if database != file.catalog:
        raise EngineError(
            Code.DATABASE_NOT_FOUND,
            f"{file.path} holds the database {file.catalog}, not {database}",
            database=database,
        )
