"""System calls."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from engine.config import Model
from server.schemas.common import View
from server.schemas.connections import ConnectionView
from server.schemas.streams import StreamConfigView


class Health(View):
    ping: Literal["ok"]
    status: Literal["ok"]


class Ready(View):
    """Whether every part can do its work."""

    status: Literal["ready"]
    services: list[Service]


class Defaults(View):
    default_export_path: str
    mode: Literal["desktop", "server", "docker"]
    install_id: str
    version: str


Capture = Literal["off", "minimal", "verbose"]
Forward = Annotated[bool, Field(alias="forwardSQLLogs", description="Send the entries to /logs/stream too")]


class SqlLogging(View):
    """How much of the SQL run on the ends is kept. `off`: nothing; `minimal`: the statement's head, without
    parameters; `verbose`: all of it."""

    sql_capture_mode: Capture
    forward_sql_logs: Forward


class SqlLoggingChange(Model):
    """What is left out stays as it is."""

    sql_capture_mode: Capture | SkipJsonSchema[None] = None
    forward_sql_logs: Annotated[bool | SkipJsonSchema[None], Field(alias="forwardSQLLogs")] = None


class Service(View):
    name: str
    status: Literal["passing", "critical", "unknown", "initializing"]
    running: Annotated[int | None, Field(description="Streams that run (workers only)")] = None
    workers: Annotated[int | None, Field(description="Worker processes (workers only)")] = None


class ServicesStatus(View):
    services: list[Service]


SubscriptionStatus = Literal["active", "trial", "expired", "none"]


class Subscription(View):
    id: str
    name: str
    status: SubscriptionStatus
    until: str | None
    byte_limit: int | None
    bytes_used: int
    cdc_seconds_limit: int | None
    cdc_seconds_used: float


class User(View):
    """The owner of the key that asks."""

    user_id: Annotated[str, Field(alias="userID")]
    name: str
    email: str
    seat_limit: int
    active_bindings: int
    subscription: Subscription
    install_id: str
    subscription_status: SubscriptionStatus


class UserConfigs(View):
    """Everything a page needs at its start."""

    connections: list[ConnectionView]
    stream_configs: list[StreamConfigView]


Ready.model_rebuild()
