"""Streams into and out of DuckDB files, and the files asked by DuckDB itself in a session of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine import ids
from engine.config import Connection, StreamConfig
from engine.streams.job import StreamJob
from tests.running import connection

Server = MysqlEndpoint | PostgresEndpoint


def duckdb_connection(path: Path | str) -> Connection:
    """The saved form of a connection to that file."""
    return Connection.parse({"name": "file", "type": "duckdb", "spec": {"duckdb": {"path": str(path)}}})


def ask(path: Path | str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of a query by DuckDB's own client, once nobody has the file open."""
    with duckdb.connect(str(path), read_only=True) as session:
        session.execute("SET TimeZone = 'UTC'")
        return session.execute(query, list(values)).fetchall()


def printed(path: Path | str, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query with every value as DuckDB prints it."""
    return ask(path, f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({query})")


def build(path: Path | str, *statements: str) -> None:
    """Run statements in a file, which is made when it is missing."""
    with duckdb.connect(str(path)) as session:
        for statement in statements:
            session.execute(statement)


def _end(end: Server | Path | Connection) -> Connection:
    if isinstance(end, Connection):
        return end
    return duckdb_connection(end) if isinstance(end, Path) else connection(end)


def job(
    source: Server | Path | Connection,
    target: Server | Path | Connection,
    *,
    database: str | None = None,
    source_schema: str | None = None,
    target_database: str | None = None,
    tables: list[str] | None = None,
    queries: Mapping[str, str] | None = None,
    selections: Mapping[str, Mapping[str, Any]] | None = None,
    options: Mapping[str, Any] | None = None,
    stream_id: str | None = None,
    **db: Any,
) -> StreamJob:
    """A convert job between two ends, a path meaning a DuckDB file; `db` are fields of `target.spec.db` by
    their wire names."""
    if target_database is not None:
        db["database"] = target_database
    part: dict[str, Any] = {"connectionId": "source"}
    if database is not None:
        part["database"] = database
    if source_schema is not None:
        part["schema"] = source_schema
    names = tables or list(selections or {})
    part["tables"] = [{"name": name, "selection": (selections or {}).get(name, {})} for name in names]
    part["queries"] = [{"name": name, "query": query} for name, query in (queries or {}).items()]
    config = StreamConfig.parse(
        {
            "name": "test",
            "mode": "convert",
            "source": {"connections": [part], "options": {"workers": 2, **(options or {})}},
            "target": {"id": "target", "spec": {"db": db}},
        }
    )
    ends = {"source": _end(source), "target": _end(target)}
    return StreamJob(stream_id or ids.new("stream"), config, ends)


# A schema with keys, defaults, a generated column, a view and a table called like ours.
SHOP = (
    "CREATE SCHEMA shop",
    "CREATE TABLE shop.people (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL DEFAULT 'it''s', n INTEGER"
    " DEFAULT 7, made TIMESTAMP DEFAULT now(), double_n INTEGER GENERATED ALWAYS AS (n * 2), CHECK (n > 0))",
    "CREATE TABLE shop.orders (id INTEGER, person INTEGER REFERENCES shop.people (id), u VARCHAR UNIQUE)",
    "CREATE INDEX by_name ON shop.people (name)",
    "COMMENT ON TABLE shop.people IS 'who'",
    "COMMENT ON COLUMN shop.people.name IS 'how'",
    "CREATE VIEW shop.names AS SELECT name, count(*) AS c FROM shop.people GROUP BY name",
    "INSERT INTO shop.people (id, name) SELECT i, 'p' || i % 5 FROM range(1, 11) r(i)",
    "CREATE TABLE shop._dbstreams_checkpoint (x INTEGER)",
)
