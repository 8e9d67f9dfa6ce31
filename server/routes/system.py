"""Health, readiness, defaults, SQL logging, services, metrics."""

from __future__ import annotations

from typing import Any

from blacksheep import Response

from engine.errors import Code, EngineError
from server.metrics import MEDIA
from server.operations import Answer, Auth, Body, Call, Table
from server.responses import raw_response
from server.schemas.system import Defaults, Health, Ready, ServicesStatus, SqlLogging, SqlLoggingChange

table = Table("system")


@table.call(
    "GET",
    "/health",
    "getHealth",
    "Whether the server answers",
    auth=Auth.NONE,
    at_root=True,
    answer=Answer(Health, example={"ping": "ok", "status": "ok"}),
)
async def health(call: Call) -> Any:
    return {"ping": "ok", "status": "ok"}


@table.call(
    "GET",
    "/ready",
    "getReadiness",
    "Whether the server can do its work",
    auth=Auth.NONE,
    at_root=True,
    answer=Answer(Ready),
    errors=(Code.NOT_READY,),
)
async def ready(call: Call) -> Any:
    """503 names the parts that are not ready in `details.services`."""
    if call.services.closing.is_set():
        raise EngineError(Code.NOT_READY, "the server is shutting down")
    services = await call.run(call.engine.services)
    waiting = [item for item in services["services"] if item["status"] in ("critical", "initializing")]
    if waiting:
        names = ", ".join(item["name"] for item in waiting)
        raise EngineError(Code.NOT_READY, f"not ready: {names}", services=waiting)
    return {"status": "ready", "services": services["services"]}


@table.call(
    "GET",
    "/system/defaults",
    "getSystemDefaults",
    "The installation's id, version and default paths",
    auth=Auth.NONE,
    answer=Answer(Defaults),
)
async def defaults(call: Call) -> Any:
    known = await call.run(call.engine.defaults)
    return {**known, "defaultExportPath": str(call.services.settings.export_path)}


@table.call("GET", "/system/sql-logging", "getSqlLogging", "What is logged of SQL", answer=Answer(SqlLogging))
async def get_sql_logging(call: Call) -> Any:
    return await call.run(call.engine.sql_logging.get)


@table.call(
    "PUT",
    "/system/sql-logging",
    "updateSqlLogging",
    "Set what is logged of SQL",
    body=Body(SqlLoggingChange, {"sqlCaptureMode": "minimal", "forwardSQLLogs": True}, parse=False),
    answer=Answer(SqlLogging),
    idempotent=True,
)
async def put_sql_logging(call: Call) -> Any:
    return await call.run(call.engine.sql_logging.set, call.body)


@table.call(
    "GET",
    "/services/status",
    "getServicesStatus",
    "The state of each part of the server",
    answer=Answer(ServicesStatus),
)
async def services_status(call: Call) -> Any:
    return await call.run(call.engine.services)


@table.call(
    "GET",
    "/metrics",
    "getMetrics",
    "Prometheus metrics",
    answer=Answer(description="Prometheus text format", media=MEDIA),
)
async def metrics(call: Call) -> Response:
    return raw_response(200, await call.run(call.services.metrics.render), MEDIA)
