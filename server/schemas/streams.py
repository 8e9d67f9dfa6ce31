"""Stream configs, streams, their numbers and their runs, as they are answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from engine.streams.lifecycle import Status
from server.schemas.common import ConfigId, RunId, StreamId, Total, View


class StreamConfigView(View):
    """A stored stream config: what was sent, with defaults filled in, and its id."""

    id: ConfigId
    created: Annotated[int, Field(description="Seconds since the epoch")]
    name: str
    mode: Literal["convert", "cdc"]
    description: str
    reporting_interval: int
    source: dict[str, Any]
    target: dict[str, Any]
    limits: dict[str, Any]


class StreamConfigList(View):
    items: list[StreamConfigView]
    total: Total
    filtered: Total
    limit: int
    offset: int


class PlanView(View):
    """What a start would do: tables, statements, type mapping with warnings, estimates, chunks."""

    tables: list[dict[str, Any]]


class StreamStarted(View):
    id: StreamId


class StreamView(View):
    id: StreamId
    status: Status


class StreamList(View):
    items: list[StreamView]
    total: Total


class TableStats(View):
    table: str
    schema_name: Annotated[str | None, Field(alias="schema")] = None
    status: str
    events: int
    size: int
    rate: float
    elapsed: float
    estimated_rows: int | None = None
    percentage: float | None = None
    phase: str | None = None


class SideStats(View):
    type: str
    status: str
    counter: int
    failed_events: int
    data_size: int
    avg_rate: float
    elapsed: float
    active_nodes: int


class StreamStats(View):
    config_id: Annotated[ConfigId, Field(alias="configID")]
    stream_id: Annotated[StreamId, Field(alias="streamID")]
    status: Status
    source: SideStats
    target: SideStats
    nodes: list[Any]
    tables: list[TableStats]
    stage: int | str
    lag: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class LogEntry(View):
    level: Literal["debug", "info", "warning", "error"]
    timestamp: str
    message: str
    type: str
    category: str


class LogEntries(View):
    items: list[LogEntry]


class VerifyStarted(View):
    status: str


class VerifyView(View):
    """The comparison of both sides, table by table; `status` says whether it still runs."""

    status: str


class Run(View):
    """One run of a stream config."""

    id: RunId
    config_id: ConfigId
    stream_id: StreamId
    timestamp: int | float | str
    duration_ms: int
    status: Status
    data_size: int
    rows_inserted: int
    rows_skipped: int
    error_message: str | None = None


class RunList(View):
    items: list[Run]
    total: Total
