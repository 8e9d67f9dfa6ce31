"""Streams: executions of stream configs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from engine.errors import Code
from server.operations import Answer, Auth, Call, Table
from server.parameters import DIGITS, MAX_LIMIT, TRUTH, QueryModel, Search
from server.schemas.streams import (
    LogEntries,
    StreamList,
    StreamStats,
    StreamView,
    Verification,
)

table = Table("streams")

_ONE = (Code.STREAM_NOT_FOUND,)
_COMMAND = (*_ONE, Code.INVALID_STREAM_STATE)


class StopQuery(QueryModel):
    force: Annotated[bool, Field(description="Kill the worker; what is committed stays"), TRUTH] = False
    cleanup: Annotated[
        bool, Field(description="Also drop slot, publication and checkpoint: no resume after that"), TRUTH
    ] = False


class LogQuery(QueryModel):
    level: Annotated[
        Literal["debug", "info", "warning", "error"] | None, Field(description="This level and those above")
    ] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="The newest so many"), DIGITS] = 100


@table.call(
    "GET", "/streams", "listStreams", "Streams, newest first", query=Search, answer=Answer(StreamList)
)
async def list_streams(call: Call) -> Any:
    query = call.params(Search)
    return await call.run(
        call.engine.streams.list, search=query.search, limit=query.limit, offset=query.offset
    )


@table.call("GET", "/streams/{id}", "getStream", "One stream", answer=Answer(StreamView), errors=_ONE)
async def get_stream(call: Call) -> Any:
    return await call.run(call.engine.streams.get, call.path["id"])


@table.call(
    "POST",
    "/streams/{id}/pause",
    "pauseStream",
    "Pause at the next safe point",
    answer=Answer(StreamView),
    errors=_COMMAND,
    subscription=True,
    idempotent=True,
)
async def pause(call: Call) -> Any:
    return await call.reach(call.engine.streams.pause, call.path["id"])


@table.call(
    "POST",
    "/streams/{id}/resume",
    "resumeStream",
    "Go on from what the target holds",
    answer=Answer(StreamView),
    errors=(*_COMMAND, Code.STREAM_ALREADY_RUNNING, Code.CONNECTION_NOT_FOUND, Code.SECRET_UNREADABLE),
    subscription=True,
    idempotent=True,
)
async def resume(call: Call) -> Any:
    """Also continues a FAILED or STOPPED stream under its id."""
    return await call.reach(call.engine.streams.resume, call.path["id"], key=call.key)


@table.call(
    "POST",
    "/streams/{id}/stop",
    "stopStream",
    "Stop at the next safe point, or at once",
    query=StopQuery,
    answer=Answer(StreamView),
    errors=(*_COMMAND, Code.CONNECTION_NOT_FOUND, Code.CONNECTION_FAILED, Code.SECRET_UNREADABLE),
    subscription=True,
    idempotent=True,
)
async def stop(call: Call) -> Any:
    query = call.params(StopQuery)
    return await call.reach(
        call.engine.streams.stop, call.path["id"], force=query.force, cleanup=query.cleanup
    )


@table.call(
    "GET",
    "/streams/{id}/stats",
    "getStreamStats",
    "Progress in numbers",
    answer=Answer(StreamStats),
    errors=(*_ONE, Code.STREAM_CONFIG_NOT_FOUND),
    auth=Auth.KEY,
)
async def stats(call: Call) -> Any:
    """The id of a stream config means its newest stream. Needs only X-API-Key."""
    return await call.run(call.engine.streams.stats, call.path["id"])


@table.call(
    "GET",
    "/streams/{id}/logs",
    "listStreamLogs",
    "Log entries of a stream",
    query=LogQuery,
    answer=Answer(LogEntries),
    errors=_ONE,
)
async def logs(call: Call) -> Any:
    query = call.params(LogQuery)
    return await call.run(call.engine.streams.logs, call.path["id"], level=query.level, limit=query.limit)


@table.call(
    "POST",
    "/streams/{id}/verify",
    "verifyStream",
    "Compare both sides",
    answer=Answer(Verification, 202, "The comparison runs"),
    errors=(*_COMMAND, Code.CONNECTION_NOT_FOUND, Code.SECRET_UNREADABLE),
    idempotent=True,
)
async def verify(call: Call) -> Any:
    """Runs in the background; GET on the same path gives its progress and its result."""
    return await call.reach(call.engine.streams.verify, call.path["id"])


@table.call(
    "GET",
    "/streams/{id}/verify",
    "getVerification",
    "The comparison's progress or result",
    answer=Answer(Verification),
    errors=(*_ONE, Code.RUN_NOT_FOUND),
)
async def verify_result(call: Call) -> Any:
    return await call.run(call.engine.streams.verify_result, call.path["id"])
