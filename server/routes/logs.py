"""The live feed."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from server.events import MEDIA, open_stream
from server.operations import Answer, Auth, Call, Table
from server.parameters import QueryModel, header

table = Table("logs")


class FeedQuery(QueryModel):
    last_event_id: Annotated[
        str | None,
        Field(max_length=32, pattern=r"^\d*$", description="For clients that cannot set Last-Event-ID"),
    ] = None


@table.call(
    "GET",
    "/logs/stream",
    "streamLogs",
    "Log and SQL entries as they happen",
    query=FeedQuery,
    auth=Auth.BROWSER,
    answer=Answer(
        description="Server-Sent Events: `event: log` and `event: sql`, each with an `id`",
        media=MEDIA,
    ),
)
async def stream(call: Call) -> Any:
    """Resumes after `Last-Event-ID` as far back as entries are kept. Before the server ends it sends
    `event: end`. A client that is too slow gets one log entry that says how many it missed."""
    last = header(call.request, b"last-event-id") or call.params(FeedQuery).last_event_id
    return open_stream(call.services, call.request, last)
