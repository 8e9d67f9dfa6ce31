"""All calls of the API, resource by resource."""

from __future__ import annotations

from server.operations import Operation
from server.routes import connections, databases, docs, logs, stream_configs, streams, system, user

TABLES = (
    system.table,
    docs.table,
    user.table,
    connections.table,
    databases.table,
    stream_configs.table,
    streams.table,
    logs.table,
)


def all_operations() -> list[Operation]:
    """In the order in which the document shows them."""
    return [operation for table in TABLES for operation in table]
