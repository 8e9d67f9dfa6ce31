"""Streams out of files: the job, and what PostgreSQL prints of the result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.endpoints import PostgresEndpoint
from engine import ids
from engine.config import Connection, StreamConfig
from engine.streams.job import StreamJob
from tests import running


def files_connection(folder: Path) -> Connection:
    body = {"name": "files", "type": "files", "spec": {"files": {"basePath": str(folder)}}}
    return Connection.parse(body)


def job(
    source: Connection,
    target: PostgresEndpoint,
    database: str,
    *,
    tables_: list[dict[str, Any]] | None = None,
    queries: list[dict[str, str]] | None = None,
    options: Mapping[str, Any] | None = None,
    stream_id: str | None = None,
    resume: bool = False,
    db: Mapping[str, Any] | None = None,
    **reading: Any,
) -> StreamJob:
    """A convert job of `tables_`, or of all; `reading` are fields of `source.connections.0.files` (`.s3`) by
    their wire names."""
    config = StreamConfig.parse(
        {
            "name": "test",
            "mode": "convert",
            "source": {
                "connections": [
                    {
                        "connectionId": "source",
                        "tables": tables_ or [],
                        "queries": queries or [],
                        source.type.value: reading,
                    }
                ],
                "options": {"workers": 2, **(options or {})},
            },
            "target": {
                "id": "target",
                "spec": {"db": {"database": database, "schema": "public", **(db or {})}},
            },
        }
    )
    ends = {"source": source, "target": running.connection(target)}
    return StreamJob(stream_id or ids.new("stream"), config, ends, resume)


def types_of(server: PostgresEndpoint, database: str, table: str) -> dict[str, str]:
    """Column → type, as PostgreSQL prints it."""
    rows = server.query(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid ="
        f" 'public.\"{table}\"'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        database=database,
    )
    return {str(name): str(kind) for name, kind in rows}


def printed(server: PostgresEndpoint, database: str, table: str, order: str = "1") -> list[tuple[Any, ...]]:
    """Every value as PostgreSQL prints it, None for NULL."""
    names = types_of(server, database, table)
    columns = ", ".join(f'"{name}"::text' for name in names)
    rows = server.query(f'SELECT {columns} FROM public."{table}" ORDER BY {order}', database=database)
    return [tuple(row) for row in rows]
