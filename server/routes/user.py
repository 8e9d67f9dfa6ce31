"""The key's owner, and what belongs to it."""

from __future__ import annotations

from typing import Any

from server.operations import Answer, Call, Table
from server.schemas.common import Done
from server.schemas.system import User, UserConfigs

table = Table("user")


@table.call("GET", "/user", "getUser", "The owner of the key", answer=Answer(User))
async def user(call: Call) -> Any:
    return await call.run(call.engine.user, call.key)


@table.call(
    "GET",
    "/user/configs",
    "getUserConfigs",
    "All connections and stream configs together",
    answer=Answer(UserConfigs),
)
async def user_configs(call: Call) -> Any:
    return await call.run(call.engine.user_configs)


@table.call(
    "POST",
    "/user/clear-key",
    "clearCachedKey",
    "Forget the cached key",
    answer=Answer(Done, example={"status": "ok"}),
    idempotent=True,
)
async def clear_key(call: Call) -> Any:
    """Keys are looked up afresh by every call, so there is nothing to wait for."""
    return {"status": "ok"}
