"""Stream configs, streams, their numbers and their runs, as they are answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from engine.config import Limits, Mode, Source, Target
from server.schemas.common import ConfigId, RunId, StreamId, Total, View
from server.schemas.plans import Comparison, Note, Plan

StreamStatus = Literal[
    "READY",
    "STARTING",
    "RUNNING",
    "PAUSING",
    "PAUSED",
    "STOPPING",
    "STOPPED",
    "FINISHED",
    "FAILED",
    "TIME_LIMIT_REACHED",
    "EVENT_LIMIT_REACHED",
]
Level = Literal["debug", "info", "warning", "error"]
Seconds = Annotated[int, Field(description="Seconds since the epoch")]


class StoredError(View):
    """Why a stream failed: the envelope without a request id."""

    error: str
    code: str
    category: str
    details: dict[str, Any]


class StreamConfigView(View):
    """A stored stream config: what was sent, with defaults filled in."""

    id: ConfigId
    created: Seconds
    modified: Seconds
    name: str
    mode: Mode
    description: str
    reporting_interval: int
    source: Source
    target: Target
    limits: Limits


class StreamConfigList(View):
    items: list[StreamConfigView]
    total: Total
    filtered: Total
    limit: int
    offset: int


class StreamStarted(View):
    id: StreamId


class StreamSummary(View):
    """One execution of a stream config."""

    id: StreamId
    run_id: RunId
    config_id: ConfigId
    name: str
    mode: Mode
    status: StreamStatus
    stage: Annotated[int, Field(description="1 init, 2 structure, 3 data, 4 upload, 5 finished; 0 before")]
    created: Seconds
    started: Seconds | None
    ended: Seconds | None
    elapsed: Annotated[float, Field(description="Seconds a worker was at work, over all attempts")]
    rows_inserted: Annotated[int, Field(description="Rows committed on the target")]
    data_size: Annotated[int, Field(description="Their bytes, as loaded")]
    reason: Annotated[str | None, Field(description="Why it is paused, when nobody asked for it")]
    error: StoredError | None


class StreamView(StreamSummary):
    """One stream with the config it was started with and its plan."""

    config: StreamConfigOfRun
    plan: Plan | None
    positions: Annotated[dict[str, Any], Field(description="Where the source's log has been read to")]


class StreamConfigOfRun(View):
    """The config as it was when the stream was started."""

    name: str
    mode: Mode
    description: str
    reporting_interval: int
    source: Source
    target: Target
    limits: Limits


class StreamList(View):
    items: list[StreamSummary]
    total: Total
    filtered: Total
    limit: int
    offset: int


class TableStats(View):
    """One table's progress. Phases add fields of their own."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    table: str
    schema_name: Annotated[str, Field(alias="schema")]
    status: str
    events: Annotated[int, Field(description="Rows committed")]
    size: Annotated[int, Field(description="Bytes")]
    rate: Annotated[float, Field(description="Rows a second")]
    elapsed: Annotated[float, Field(description="Seconds")]
    estimated_rows: int | None
    estimated_bytes: int | None
    percentage: float | None
    phase: str


class EndStats(View):
    """One end of the stream. Counts are rows committed on the target."""

    type: str
    status: StreamStatus
    counter: int
    failed_events: int
    data_size: int
    avg_rate: float
    rate: float
    elapsed: float
    active_nodes: int


class NodeStats(View):
    id: str
    status: StreamStatus
    pid: int | None
    peak_rss_mb: float
    counter: int
    data_size: int
    avg_rate: float
    elapsed: float


class StreamStats(View):
    config_id: Annotated[ConfigId, Field(alias="configID")]
    stream_id: Annotated[StreamId, Field(alias="streamID")]
    status: StreamStatus
    source: EndStats
    target: EndStats
    nodes: list[NodeStats]
    tables: list[TableStats]
    estimated_rows: int | None
    stage: int
    stage_name: str
    phases: Annotated[dict[str, float], Field(description="Seconds each finished phase took")]
    peak_rss_mb: float
    notes: list[Note]
    reason: str | None = None
    lag: dict[str, Any] | None = None
    error: StoredError | None = None


class LogEntry(View):
    """Categories add fields of their own."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    level: Level
    timestamp: str
    message: str
    type: Literal["api", "source", "target"]
    category: str
    node_id: str
    stream_id: StreamId


class LogEntries(View):
    items: list[LogEntry]


class Verification(View):
    """A comparison of both sides: its progress by table and, when it is over, its result."""

    id: str
    stream_id: StreamId
    status: StreamStatus
    started_at: str
    finished_at: str | None
    elapsed: float
    tables: list[TableStats]
    peak_rss_mb: float
    result: Comparison | None
    error: StoredError | None
    reason: str | None = None


class ConstraintName(View):
    """A constraint of the target."""

    schema_name: Annotated[str, Field(description="On MySQL and MariaDB the database")]
    table_name: str
    constraint_name: str


class ConstraintViolation(ConstraintName):
    """A foreign key that rows break."""

    orphan_count: Annotated[int, Field(ge=1, description="Rows without a parent, counted exactly")]


class ConstraintValidation(View):
    """What validating the foreign keys of a target gave."""

    engine: Annotated[str, Field(examples=["postgresql"])]
    action: Annotated[
        Literal["validated", "checked"],
        Field(
            description="`validated`: keys that were NOT VALID and hold are valid now (PostgreSQL)."
            " `checked`: every key was counted and nothing changed (MySQL, MariaDB: their keys are always"
            " enforced, but rows loaded with the checks off are never looked at again)"
        ),
    ]
    validated_count: Total
    validated_constraints: Annotated[list[ConstraintName], Field(description="Those that hold")]
    total_orphan_rows: Annotated[int, Field(ge=0, description="The sum over the violations")]
    violations: list[ConstraintViolation]


class Run(View):
    """One run of a stream config."""

    id: RunId
    config_id: ConfigId
    stream_id: StreamId
    timestamp: Seconds
    duration_ms: int
    status: StreamStatus
    data_size: int
    rows_inserted: int
    rows_skipped: int
    error_message: str | None


class RunList(View):
    items: list[Run]
    total: Total


StreamView.model_rebuild()
