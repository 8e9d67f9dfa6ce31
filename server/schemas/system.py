"""System calls."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from engine.config import Model
from server.schemas.common import View


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


class SqlLogging(Model):
    """How much of the SQL run on the ends is reported. `off`: none; `minimal`: statements without values;
    `verbose`: with values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sql_capture_mode: Literal["off", "minimal", "verbose"]
    forward_sql_logs: Annotated[
        bool, Field(alias="forwardSQLLogs", description="Send the entries to /logs/stream too")
    ]


class Service(View):
    name: str
    status: Literal["passing", "critical", "unknown", "initializing"]


class ServicesStatus(View):
    services: list[Service]


class Subscription(View):
    id: str
    name: str
    status: Literal["active", "trial", "expired", "none"]


class User(View):
    """The owner of the key that asks."""

    user_id: Annotated[str, Field(alias="userID")]
    name: str
    email: str
    seat_limit: int
    active_bindings: int
    subscription: Subscription
    subscription_status: Literal["active", "trial", "expired", "none"]


class UserConfigs(View):
    """Everything a page needs at its start."""

    connections: list[dict[str, Any]]
    stream_configs: list[dict[str, Any]]


Ready.model_rebuild()
