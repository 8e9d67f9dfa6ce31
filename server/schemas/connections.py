"""Connections as they are answered, and the forms in which they are sent."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel

from engine.config import Connection, ConnectionType, Identifier, Model, Name, Port, Secret, Tls
from server.schemas.common import ConnectionId, Total, View

Masked = Annotated[str, Field(description="A secret, if one is stored", examples=["********"])]


class FlatConnection(Model):
    """A database connection with its coordinates at the top level; stored as `spec.database`."""

    name: Name
    type: Literal[ConnectionType.MYSQL, ConnectionType.MARIADB, ConnectionType.POSTGRESQL]
    alias: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")] | None = None
    ssl: Tls = Tls()
    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Port
    username: Annotated[str, Field(min_length=1, max_length=128)]
    password: Secret
    database: Identifier | None = None
    default_database: Identifier | None = None


class ConnectionBody(RootModel[Connection | FlatConnection]):
    """A connection to save or test. A password, key or token of `********` keeps the stored one on PUT."""


class SchemaInfo(View):
    name: str
    is_system: bool


class DatabaseInfo(View):
    name: str
    is_system: bool
    schemas: list[SchemaInfo]


class TlsView(View):
    model_config = ConfigDict(alias_generator=None)

    mode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"]
    ca: str | None = None
    client_cert: str | None = None
    client_key: Masked | None = None


class DatabaseSpecView(View):
    host: str
    port: int
    username: str
    password: Masked
    database: str | None = None


class ConnectionSpecView(View):
    """Exactly one of these."""

    database: DatabaseSpecView | None = None
    files: dict[str, Any] | None = None
    s3: dict[str, Any] | None = None
    duckdb: dict[str, Any] | None = None


class ConnectionView(View):
    """A saved connection. Secrets read `********`."""

    id: ConnectionId
    name: str
    type: ConnectionType
    created: Annotated[int, Field(description="Seconds since the epoch")]
    status: str
    alias: str | None = None
    ssl: TlsView | None = None
    spec: Annotated[
        ConnectionSpecView | None, Field(description="Absent, like ssl, when its secrets cannot be read")
    ] = None
    databases_info: list[DatabaseInfo]


class SearchGap(View):
    """A connection that was not searched, or not to the end."""

    connection_id: ConnectionId
    name: str
    reason: Annotated[
        Literal["failed", "timeout", "truncated", "unreadable", "unsupported"],
        Field(
            description="The server refused or could not be reached; it was too slow; more names match than"
            " are answered; the connection's secrets cannot be read; its type is not searched"
        ),
    ]
    message: str


class SearchCoverage(View):
    """How far the search has looked into the servers. Connections to files have no names inside."""

    connections: Annotated[Total, Field(description="All that are saved")]
    with_databases: Annotated[Total, Field(description="Those with a stored listing of their databases")]
    searched: Annotated[Total, Field(description="Those searched to the end")]
    incomplete: list[SearchGap]


class ConnectionList(View):
    items: list[ConnectionView]
    total: Annotated[Total, Field(description="All that are saved")]
    filtered: Annotated[Total, Field(description="Those that match the search")]
    search: str | None = None
    matched_paths: Annotated[
        list[str] | None,
        Field(description="Where the text was found: connection/database/[schema/]name, without quoting"),
    ] = None
    database_search_coverage: SearchCoverage | None = None


class ConnectionCreated(View):
    id: ConnectionId
    created: Annotated[int, Field(description="Seconds since the epoch")]


class Ping(View):
    """The server answered."""

    ping: Literal["ok"]
    server_version: str
    flavor: str
    tls: Annotated[
        str | None, Field(description="The protocol, or null without TLS; of database servers alone")
    ] = None
    path: Annotated[str | None, Field(description="Of a files connection: its folder")] = None
    writable: Annotated[bool | None, Field(description="Of a files connection: may be written into")] = None
    endpoint: Annotated[str | None, Field(description="Of an S3 connection: who answered")] = None
    bucket: Annotated[str | None, Field(description="Of an S3 connection with a bucket in its scope")] = None


class NewName(Model):
    name: Identifier


class DatabaseCreated(View):
    name: str
    status: Literal["created"]


class SchemaCreated(View):
    name: str
    database: str
    status: Literal["created"]
