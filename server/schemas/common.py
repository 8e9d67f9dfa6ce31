"""What several resources share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from engine.errors import Category, Code


def _id(prefix: str) -> Any:
    return Field(pattern=f"^{prefix}_[0-9A-Z]{{26}}$", examples=[f"{prefix}_01J9ZK7M3V5X8Q2W4R6T0Y1B3C"])


ConnectionId = Annotated[str, _id("conn")]
ConfigId = Annotated[str, _id("config")]
StreamId = Annotated[str, _id("stream")]
RunId = Annotated[str, _id("run")]
Total = Annotated[int, Field(ge=0)]


class View(BaseModel):
    """An answer. Clients ignore fields they do not know: later versions add some."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Error(View):
    """Every answer that is not 2xx."""

    error: Annotated[str, Field(description="One sentence for a person")]
    code: Annotated[Code, Field(description="Stable; new codes may be added")]
    category: Category
    details: Annotated[
        dict[str, Any],
        Field(description="For a program: field paths, ids, the server's own errno or SQLSTATE"),
    ]
    request_id: str


class FieldProblem(View):
    """An item of `details.fields` of VALIDATION_FAILED."""

    field: Annotated[str, Field(description="The path of the field, parts joined by dots")]
    problem: str


class Created(View):
    """What was made."""

    id: str


class Deleted(View):
    """What was deleted."""

    deleted: Annotated[int, Field(ge=0, description="How many")]


class Done(View):
    status: Annotated[str, Field(examples=["ok"])]
