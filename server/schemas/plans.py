"""What a plan and a comparison say."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from server.schemas.common import View


class Note(View):
    """A decision, a loss, or a refusal. `slug` names the policy it comes from."""

    severity: str
    slug: str
    message: str
    table: str | None = None
    column: str | None = None
    policy: str | None = None
    count: int | None = None


class PlannedStatement(View):
    phase: str
    sql: str


class PlannedColumn(View):
    source: str
    source_type: str
    target: str
    target_type: str
    generated: Annotated[bool, Field(description="Computed by the target, not loaded")]
    conversion: str


class TableName(View):
    schema_name: Annotated[str, Field(alias="schema")]
    table: str


class PlannedTable(View):
    source: TableName
    target: TableName
    creates: bool
    estimated_rows: int
    estimated_bytes: int
    chunks: int
    columns: list[PlannedColumn]
    statements: list[PlannedStatement]


class PlannedSource(View):
    server: str
    database: str


class PlannedTarget(View):
    server: str
    database: str
    schema_name: Annotated[str, Field(alias="schema")]


class Plan(View):
    """What a start would do. When `executable` is false a start is refused for the notes of severity
    `refused`."""

    executable: bool
    source: PlannedSource
    target: PlannedTarget
    tables: list[PlannedTable]
    statements: list[PlannedStatement]
    estimated_rows: int
    estimated_bytes: int
    chunks: int
    notes: list[Note]


class Difference(View):
    """A row that differs, by its key; rows without a key by their digest."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    kind: str
    key: Any = None
    columns: list[str] | None = None
    digest: str | None = None
    copies: int | None = None


class TableVerdict(View):
    schema_name: Annotated[str, Field(alias="schema")]
    table: str
    rows_source: int
    rows_target: int
    equal: bool
    method: str
    differences: Annotated[list[Difference], Field(description="The first ones found")]
    seconds: float


class Comparison(View):
    equal: bool
    tables: list[TableVerdict]
    seconds: float
