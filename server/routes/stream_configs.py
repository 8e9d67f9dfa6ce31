"""Saved descriptions of transfers, their dry run, their start and their history."""

from __future__ import annotations

from typing import Any

from engine.config import StreamConfig
from engine.errors import Code
from server.operations import Answer, Body, Call, Confirm, Link, Table
from server.parameters import Paging, Search
from server.routes.connections import REACHING
from server.schemas.common import Deleted
from server.schemas.plans import Plan
from server.schemas.streams import (
    ConstraintValidation,
    RunList,
    StreamConfigList,
    StreamConfigView,
    StreamStarted,
)

table = Table("stream-configs")

EXAMPLE = {
    "name": "shop_to_warehouse",
    "mode": "convert",
    "source": {"connections": [{"connectionId": "conn_01J9ZK7M3V5X8Q2W4R6T0Y1B3C", "database": "shop"}]},
    "target": {
        "id": "conn_01J9ZK7M3V5X8Q2W4R6T0Y1B3D",
        "spec": {"db": {"database": "warehouse", "schema": "public", "writeMode": "append"}},
    },
}
_BODY = Body(StreamConfig, EXAMPLE, parse=False)
_VALIDATING = (
    Code.NAME_TAKEN,
    Code.CONNECTION_NOT_FOUND,
    Code.DATABASE_NOT_FOUND,
    Code.UNKNOWN_TABLE,
    Code.UNKNOWN_COLUMN,
    Code.UNSUPPORTED_ROUTE,
    Code.UNSUPPORTED_CONNECTION_TYPE,
    Code.SECRET_UNREADABLE,
    Code.PATH_NOT_ALLOWED,
)
_ONE = (Code.STREAM_CONFIG_NOT_FOUND,)
_PLANNING = (
    *_ONE,
    *REACHING,
    Code.CONNECTION_NOT_FOUND,
    Code.DATABASE_NOT_FOUND,
    Code.UNKNOWN_TABLE,
    Code.UNKNOWN_COLUMN,
    Code.UNSUPPORTED_ROUTE,
    Code.SECRET_UNREADABLE,
    Code.QUERY_FAILED,
    Code.QUERY_TIMEOUT,
    Code.PLAN_REFUSED,
    Code.TABLE_EXISTS,
    Code.TABLE_NOT_EMPTY,
    Code.STRUCTURE_MISMATCH,
)


@table.call(
    "GET",
    "/stream-configs",
    "listStreamConfigs",
    "Saved stream configs",
    query=Search,
    answer=Answer(StreamConfigList),
)
async def list_configs(call: Call) -> Any:
    query = call.params(Search)
    return await call.run(
        call.engine.configs.list, search=query.search, limit=query.limit, offset=query.offset
    )


@table.call(
    "POST",
    "/stream-configs",
    "createStreamConfig",
    "Save a stream config",
    body=_BODY,
    answer=Answer(StreamConfigView, 201, "Saved"),
    errors=_VALIDATING,
    idempotent=True,
    location="/stream-configs/{id}",
    links={
        "get": Link("getStreamConfig"),
        "update": Link("updateStreamConfig"),
        "plan": Link("planStreamConfig"),
        "start": Link("startStream"),
        "clone": Link("cloneStreamConfig"),
        "history": Link("listRuns"),
        "delete": Link("deleteStreamConfig"),
    },
)
async def create_config(call: Call) -> Any:
    """Checked against both ends as far as they answer."""
    return await call.reach(call.engine.configs.create, call.body)


@table.call(
    "DELETE",
    "/stream-configs",
    "deleteStreamConfigs",
    "Delete all stream configs",
    answer=Answer(Deleted),
    errors=(Code.STREAM_ALREADY_RUNNING,),
    confirm=Confirm.NEEDED,
    idempotent=True,
)
async def delete_configs(call: Call) -> Any:
    """As deleteStreamConfig, each of them."""
    return {"deleted": await call.run(call.engine.configs.delete_all)}


@table.call(
    "GET",
    "/stream-configs/{id}",
    "getStreamConfig",
    "One stream config",
    answer=Answer(StreamConfigView),
    errors=_ONE,
)
async def get_config(call: Call) -> Any:
    return await call.run(call.engine.configs.get, call.path["id"])


@table.call(
    "PUT",
    "/stream-configs/{id}",
    "updateStreamConfig",
    "Replace a stream config",
    body=_BODY,
    answer=Answer(StreamConfigView),
    errors=(*_ONE, *_VALIDATING),
    idempotent=True,
)
async def update_config(call: Call) -> Any:
    """A stream that runs keeps the config it was started with."""
    return await call.reach(call.engine.configs.update, call.path["id"], call.body)


@table.call(
    "DELETE",
    "/stream-configs/{id}",
    "deleteStreamConfig",
    "Delete a stream config with its runs",
    answer=Answer(Deleted),
    errors=(*_ONE, Code.STREAM_ALREADY_RUNNING),
    confirm=Confirm.ACCEPTED,
    idempotent=True,
)
async def delete_config(call: Call) -> Any:
    """Checkpoints that its streams left on their targets are dropped in the background: the answer does not
    wait for a target."""
    await call.run(call.engine.configs.delete, call.path["id"])
    return {"deleted": 1}


@table.call(
    "PUT",
    "/stream-configs/{id}/clone",
    "cloneStreamConfig",
    "Copy a stream config under a new name",
    answer=Answer(StreamConfigView),
    errors=_ONE,
    idempotent=True,
)
async def clone_config(call: Call) -> Any:
    return await call.run(call.engine.configs.clone, call.path["id"])


@table.call(
    "POST",
    "/stream-configs/{id}/plan",
    "planStreamConfig",
    "What a start would do, without doing it",
    answer=Answer(Plan),
    errors=_PLANNING,
)
async def plan_config(call: Call) -> Any:
    return await call.reach(call.engine.configs.plan, call.path["id"])


@table.call(
    "POST",
    "/stream-configs/{id}/start",
    "startStream",
    "Start a new run",
    answer=Answer(StreamStarted, 201, "Started"),
    errors=(*_PLANNING, Code.STREAM_ALREADY_RUNNING, Code.VALUE_NOT_REPRESENTABLE),
    subscription=True,
    idempotent=True,
    location="/streams/{id}",
    links={
        "get": Link("getStream"),
        "stats": Link("getStreamStats"),
        "pause": Link("pauseStream"),
        "stop": Link("stopStream"),
        "resume": Link("resumeStream"),
        "logs": Link("listStreamLogs"),
        "verify": Link("verifyStream"),
    },
)
async def start(call: Call) -> Any:
    return await call.reach(call.engine.configs.start, call.path["id"], key=call.key)


async def validate_constraints(call: Call) -> Any:
    """PostgreSQL targets: each foreign key of the config's schema that is NOT VALID is validated, and one
    that cannot be stays as it is, with its orphans counted. MySQL and MariaDB targets: the orphans of every
    foreign key of the database are counted. It may take as long as reading the tables. The id is that of a
    stream config, or of a stream."""
    return await call.reach(call.engine.configs.validate_constraints, call.path["id"])


_VALIDATIONS = (
    (
        "/stream-configs/{id}/validate-constraints",
        "validateConstraints",
        "Validate the target's foreign keys",
    ),
    ("/stream/{id}/validate-constraints", "validateStreamConstraints", "Another path of validateConstraints"),
)
for _path, _id, _summary in _VALIDATIONS:
    table.call(
        "POST",
        _path,
        _id,
        _summary,
        answer=Answer(ConstraintValidation),
        errors=(
            *_ONE,
            *REACHING,
            Code.STREAM_NOT_FOUND,
            Code.CONNECTION_NOT_FOUND,
            Code.SECRET_UNREADABLE,
            Code.INVALID_STREAM_STATE,
            Code.UNSUPPORTED_ROUTE,
            Code.DATABASE_NOT_FOUND,
            Code.QUERY_FAILED,
            Code.QUERY_TIMEOUT,
            Code.CONSTRAINT_VIOLATION,
            Code.TARGET_FULL,
        ),
        idempotent=True,
    )(validate_constraints)


@table.call(
    "GET",
    "/stream-configs/{id}/history",
    "listRuns",
    "Runs of a stream config, newest first",
    query=Paging,
    answer=Answer(RunList),
    errors=_ONE,
)
async def history(call: Call) -> Any:
    query = call.params(Paging)
    page = {"limit": query.limit, "offset": query.offset}
    return await call.run(call.engine.configs.history, call.path["id"], **page)


@table.call(
    "DELETE",
    "/stream-configs/{id}/runs",
    "deleteRuns",
    "Delete all finished runs of a stream config",
    answer=Answer(Deleted),
    errors=_ONE,
    confirm=Confirm.NEEDED,
    idempotent=True,
)
async def delete_runs(call: Call) -> Any:
    """As deleteRun, each of them."""
    return {"deleted": await call.run(call.engine.configs.delete_runs, call.path["id"])}


@table.call(
    "DELETE",
    "/stream-configs/{id}/runs/{runId}",
    "deleteRun",
    "Delete one run",
    answer=Answer(Deleted),
    errors=(*_ONE, Code.RUN_NOT_FOUND, Code.INVALID_STREAM_STATE),
    confirm=Confirm.ACCEPTED,
    idempotent=True,
)
async def delete_run(call: Call) -> Any:
    """Checkpoints that its stream left on the target are dropped in the background; it cannot be resumed."""
    await call.run(call.engine.configs.delete_run, call.path["id"], call.path["runId"])
    return {"deleted": 1}
