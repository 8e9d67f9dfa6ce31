"""Databases and schemas of a connection."""

from __future__ import annotations

from typing import Any

from engine.errors import Code
from server.operations import Answer, Body, Call, Table
from server.routes.connections import REACHING
from server.schemas.connections import DatabaseCreated, DatabaseInfo, NewName, SchemaCreated, SchemaInfo

table = Table("databases")

_ERRORS = (
    Code.CONNECTION_NOT_FOUND,
    Code.SECRET_UNREADABLE,
    Code.QUERY_TIMEOUT,
    Code.QUERY_FAILED,
    *REACHING,
)
_IN_ONE = (*_ERRORS, Code.DATABASE_NOT_FOUND, Code.UNSUPPORTED_ROUTE)


@table.call(
    "GET",
    "/connections/{id}/databases",
    "listDatabases",
    "Databases on the server",
    answer=Answer(DatabaseInfo, listed=True),
    errors=_ERRORS,
)
async def list_databases(call: Call) -> Any:
    return await call.reach(call.engine.connections.databases, call.path["id"])


@table.call(
    "POST",
    "/connections/{id}/databases",
    "createDatabase",
    "Create a database",
    body=Body(NewName, {"name": "shop"}, plain_text_field="name"),
    answer=Answer(DatabaseCreated, 201, "Created"),
    errors=(*_ERRORS, Code.NAME_TAKEN, Code.UNSUPPORTED_ROUTE),
    idempotent=True,
)
async def create_database(call: Call) -> Any:
    return await call.reach(call.engine.connections.create_database, call.path["id"], call.body.name)


@table.call(
    "GET",
    "/connections/{id}/databases/{db}/schemas",
    "listSchemas",
    "Schemas of a database",
    answer=Answer(SchemaInfo, listed=True),
    errors=_IN_ONE,
)
async def list_schemas(call: Call) -> Any:
    return await call.reach(call.engine.connections.schemas, call.path["id"], call.path["db"])


@table.call(
    "POST",
    "/connections/{id}/databases/{db}/schemas",
    "createSchema",
    "Create a schema (PostgreSQL)",
    body=Body(NewName, {"name": "staging"}, plain_text_field="name"),
    answer=Answer(SchemaCreated, 201, "Created"),
    errors=(*_IN_ONE, Code.NAME_TAKEN),
    idempotent=True,
)
async def create_schema(call: Call) -> Any:
    return await call.reach(
        call.engine.connections.create_schema, call.path["id"], call.path["db"], call.body.name
    )
