"""Saved connections."""

from __future__ import annotations

from typing import Any

from engine.errors import Code
from server.operations import Answer, Body, Call, Confirm, Link, Table
from server.parameters import Search
from server.schemas.common import Deleted
from server.schemas.connections import (
    ConnectionBody,
    ConnectionCreated,
    ConnectionList,
    ConnectionView,
    Ping,
)

table = Table("connections")

EXAMPLE = {
    "name": "shop",
    "type": "mysql",
    "ssl": {"mode": "require"},
    "spec": {
        "database": {
            "host": "db.example.com",
            "port": 3306,
            "username": "app",
            "password": "secret",
            "database": "shop",
        }
    },
}
_BODY = Body(ConnectionBody, EXAMPLE, parse=False)
_SAVING = (Code.NAME_TAKEN, Code.UNSUPPORTED_CONNECTION_TYPE, Code.PATH_NOT_ALLOWED)
_ONE = (Code.CONNECTION_NOT_FOUND, Code.SECRET_UNREADABLE)
REACHING = (
    Code.CONNECTION_FAILED,
    Code.CONNECTION_LOST,
    Code.CONNECTION_BUSY,
    Code.PERMISSION_DENIED,
    Code.UNSUPPORTED_CONNECTION_TYPE,
    Code.PATH_NOT_ALLOWED,
)
_LINKS = {
    "get": Link("getConnection"),
    "update": Link("updateConnection"),
    "clone": Link("cloneConnection"),
    "ping": Link("pingConnection"),
    "databases": Link("listDatabases"),
    "delete": Link("deleteConnection"),
}


@table.call(
    "GET",
    "/connections",
    "listConnections",
    "Saved connections",
    query=Search,
    answer=Answer(ConnectionList),
    errors=(Code.SECRET_UNREADABLE,),
)
async def list_connections(call: Call) -> Any:
    """The search looks at names, hosts and aliases, and asks the servers for databases, schemas, tables,
    views and routines whose names contain the text, whatever its case; no character of it is a wildcard. It
    waits 8 seconds at most: `databaseSearchCoverage` says which servers could not be searched to the end, and
    what they answer later is there for the same search repeated. Answers are kept for 30 seconds."""
    query = call.params(Search)
    page = {"limit": query.limit, "offset": query.offset}
    if not query.search:
        return await call.run(call.engine.connections.list, **page)
    return await call.reach(call.engine.connections.search, query.search, **page)


@table.call(
    "POST",
    "/connections",
    "createConnection",
    "Save a connection",
    body=_BODY,
    answer=Answer(ConnectionCreated, 201, "Saved"),
    errors=_SAVING,
    idempotent=True,
    location="/connections/{id}",
    links=_LINKS,
)
async def create_connection(call: Call) -> Any:
    return await call.run(call.engine.connections.create, call.body)


@table.call(
    "DELETE",
    "/connections",
    "deleteConnections",
    "Delete all connections",
    answer=Answer(Deleted),
    errors=(Code.CONNECTION_IN_USE,),
    confirm=Confirm.NEEDED,
    idempotent=True,
)
async def delete_connections(call: Call) -> Any:
    return {"deleted": await call.run(call.engine.connections.delete_all)}


@table.call(
    "POST",
    "/connections/test",
    "testConnection",
    "Try a connection without saving it",
    body=_BODY,
    answer=Answer(Ping),
    errors=REACHING,
)
async def test_connection(call: Call) -> Any:
    """502 CONNECTION_FAILED says in `details.reason` what failed: dns, refused, tls, auth,
    unknown_database or timeout."""
    return await call.reach(call.engine.connections.test, call.body)


@table.call(
    "GET",
    "/connections/{id}",
    "getConnection",
    "One connection",
    answer=Answer(ConnectionView),
    errors=_ONE,
)
async def get_connection(call: Call) -> Any:
    return await call.run(call.engine.connections.get, call.path["id"])


@table.call(
    "PUT",
    "/connections/{id}",
    "updateConnection",
    "Replace a connection",
    body=_BODY,
    answer=Answer(ConnectionView),
    errors=(*_ONE, *_SAVING, Code.CONNECTION_IN_USE),
    idempotent=True,
)
async def update_connection(call: Call) -> Any:
    """A secret of `********` keeps the stored one."""
    return await call.run(call.engine.connections.update, call.path["id"], call.body)


@table.call(
    "DELETE",
    "/connections/{id}",
    "deleteConnection",
    "Delete a connection",
    answer=Answer(Deleted),
    errors=(Code.CONNECTION_NOT_FOUND, Code.CONNECTION_IN_USE, Code.CONFIRMATION_REQUIRED),
    confirm=Confirm.ACCEPTED,
    idempotent=True,
)
async def delete_connection(call: Call) -> Any:
    """One that stream configs still use needs X-Confirm-Delete; one that a running stream uses is refused."""
    await call.run(call.engine.connections.delete, call.path["id"], confirmed=call.confirmed)
    return {"deleted": 1}


@table.call(
    "PUT",
    "/connections/{id}/clone",
    "cloneConnection",
    "Copy a connection under a new name",
    answer=Answer(ConnectionView),
    errors=_ONE,
    idempotent=True,
)
async def clone_connection(call: Call) -> Any:
    return await call.run(call.engine.connections.clone, call.path["id"])


@table.call(
    "POST",
    "/connections/{id}/ping",
    "pingConnection",
    "Try a saved connection",
    answer=Answer(Ping),
    errors=(*_ONE, *REACHING),
)
async def ping_connection(call: Call) -> Any:
    return await call.reach(call.engine.connections.ping, call.path["id"])
