"""The whole job in one call: two URLs or paths in, copied data out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from engine.config import Connection
from engine.errors import Code, EngineError
from engine.locations import Endpoint, parse_location, parse_target, source_part, target_spec
from engine.streams.lifecycle import Status

if TYPE_CHECKING:
    from engine.api import Engine

OnProgress = Callable[[dict[str, Any]], None]
PROGRESS_SECONDS = 1.0
STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CopyRequest:
    source_url: str = field(repr=False)
    target_url: str = field(repr=False)
    tables: list[str] | None = None
    exclude: list[str] | None = None
    schema_policy: str = "create_missing_only"
    write_mode: str = "append"
    skip_data: bool = False
    workers: int = 0
    policies: dict[str, Any] | None = None
    reader: str = "auto"
    queries: dict[str, str] | None = None  # name → SELECT
    file_format: str | None = None
    compression: str | None = None


@dataclass(frozen=True, slots=True)
class CopyResult:
    """How a copy ended. Sizes in bytes, phases in seconds; `tables` as in the stats; `verify` its result."""

    status: str
    stream_id: str
    config_id: str
    tables: list[dict[str, Any]]
    rows: int
    bytes: int
    phases: dict[str, float]
    peak_rss_mb: float
    notes: list[dict[str, Any]]
    verify: dict[str, Any] | None = None


def prepare(engine: Engine, request: CopyRequest) -> str:
    """Save, or find again, the connections and the config of a copy; the config's id. Nothing is started."""
    source, target = parse_location(request.source_url), parse_target(request.target_url)
    options: dict[str, Any] = {
        "schemaPolicy": request.schema_policy,
        "writeMode": request.write_mode,
        "skipData": request.skip_data,
        "policies": request.policies or {},
        "fileFormat": request.file_format,
        "compression": request.compression,
    }
    part = source_part(source, "")
    spec = target_spec(target, options)
    part.update(
        connectionId=_connection(engine, source),
        tables=[{"name": name} for name in request.tables or []],
        exclude=list(request.exclude or []),
        queries=[{"name": name, "query": query} for name, query in (request.queries or {}).items()],
    )
    config: dict[str, Any] = {
        "mode": "convert",
        "reportingInterval": 1,
        "source": {
            "connections": [part],
            "options": {"workers": request.workers, "reader": request.reader},
        },
        "target": {"id": _connection(engine, target), "spec": spec},
    }
    # Equal requests share a config, so that a copy that was interrupted is found again.
    digest = hashlib.sha256(orjson.dumps(config, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
    config["name"] = f"copy {source.name[-100:]} to {target.name[-100:]} ({digest})"
    for known in engine.configs.list(search=config["name"], limit=10)["items"]:
        if known["name"] == config["name"]:
            return str(known["id"])
    return str(engine.configs.create(config)["id"])


def run(
    engine: Engine, config_id: str, *, verify: bool = False, on_progress: OnProgress | None = None
) -> CopyResult:
    """Start a config and wait. An exception in the waiting thread, as Ctrl-C is one, stops the stream."""
    try:
        stream_id = engine.configs.start(config_id)["id"]
    except EngineError as error:
        # The same copy may be under way already: an earlier owner of the directory died, and opening the
        # engine has resumed its stream.
        if error.code is not Code.STREAM_ALREADY_RUNNING or error.details["state"] == Status.PAUSED:
            raise
        stream_id = error.details["streamId"]
    try:
        return follow(engine, stream_id, verify=verify, on_progress=on_progress)
    except BaseException:
        _stop(engine, stream_id)
        raise


def _stop(engine: Engine, stream_id: str) -> None:
    try:
        engine.streams.stop(stream_id)
        engine.streams.wait(stream_id, STOP_SECONDS)
    except EngineError:
        return  # it is over


def follow(
    engine: Engine, stream_id: str, *, verify: bool = False, on_progress: OnProgress | None = None
) -> CopyResult:
    """Wait for a started stream, then compare both sides when asked to."""
    while True:
        state = engine.streams.wait(stream_id, None if on_progress is None else PROGRESS_SECONDS)
        if on_progress is not None:
            on_progress(engine.streams.stats(stream_id))
        status = Status(state["status"])
        if not status.has_worker:
            break
    if status is Status.FAILED:
        raise EngineError.from_dict(state["error"])
    stats = engine.streams.stats(stream_id)
    phases = dict(stats["phases"])
    compared: dict[str, Any] | None = None
    if verify and status is Status.FINISHED:
        engine.streams.verify(stream_id)
        job = engine.streams.wait_verify(stream_id)
        if job["status"] != Status.FINISHED:
            raise (
                EngineError.from_dict(job["error"])
                if job["error"]
                else EngineError(
                    Code.WORKER_DIED, "the comparison did not finish; verify again", streamId=stream_id
                )
            )
        compared = job["result"] or {}
        phases["verify"] = job["elapsed"]
        if compared.get("equal") is False:
            raise EngineError(
                Code.VERIFY_MISMATCH, "source and target differ", streamId=stream_id, verify=compared
            )
    return CopyResult(
        status=status.value,
        stream_id=stream_id,
        config_id=stats["configID"],
        tables=stats["tables"],
        rows=stats["target"]["counter"],
        bytes=stats["target"]["dataSize"],
        phases=phases,
        peak_rss_mb=stats["peakRssMb"],
        notes=stats["notes"],
        verify=compared,
    )


def _connection(engine: Engine, endpoint: Endpoint) -> str:
    """The id of the connection of this label, made or brought up to date with the URL."""
    wanted = Connection.parse(endpoint.body)
    for known in engine.connections.list(search=endpoint.label, limit=1 << 31)["items"]:
        if known["name"] != endpoint.label:
            continue
        if engine.connections.model(known["id"]).to_json(reveal=True) != wanted.to_json(reveal=True):
            engine.connections.update(known["id"], endpoint.body)
        return str(known["id"])
    return str(engine.connections.create(endpoint.body)["id"])
