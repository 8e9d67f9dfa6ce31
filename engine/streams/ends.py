"""Which systems can be the two ends of a stream: the only place where streams meet concrete connectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic.alias_generators import to_camel

from engine.config import Connection, ConnectionType, Mode, Policies, SourceConnection, StreamConfig
from engine.connectors import registry
from engine.connectors.base import SnapshotSource, Target
from engine.errors import Code, EngineError
from engine.streams.job import StreamJob

_MYSQL = (ConnectionType.MYSQL, ConnectionType.MARIADB)
_OTHER_SOURCES = ("infinity", "nan", "unbounded_numeric")  # policies for values MySQL does not have
_LATER = ("gcs", "azure", "snowflake")
_SPECS = {ConnectionType.FILES: "files", ConnectionType.S3: "s3"}


def policies_of(config: StreamConfig) -> Policies:
    spec = config.target.spec
    given = spec.db or spec.files or spec.s3
    return given.policies if given is not None else Policies()


def check_route(config: StreamConfig, source: Connection, target: Connection) -> None:
    """UNSUPPORTED_ROUTE with the reason for everything of the contract that this release cannot carry."""
    part = config.source.connections[0]
    spec = config.target.spec
    given = policies_of(config)
    foreign = [name for name in _OTHER_SOURCES if getattr(given, name) != getattr(Policies(), name)]
    options = config.source.options
    later = next((name for name in _LATER if getattr(spec, name) is not None), None)
    wanted = _SPECS.get(target.type, "db")
    refusals = (
        (config.mode is Mode.CDC, "mode", "change data capture is not available yet"),
        (len(config.source.connections) > 1, "source.connections", "several sources are not available yet"),
        (config.source.query is not None, "source.query", "federated streams are not available yet"),
        (
            part.files is not None and source.type is not ConnectionType.FILES,
            "source.connections.0.files",
            f"a {source.type.value} connection has no files",
        ),
        (
            part.s3 is not None and source.type is not ConnectionType.S3,
            "source.connections.0.s3",
            f"a {source.type.value} connection has no buckets",
        ),
        (
            bool(options.replication_slot or options.publication_name or options.binlog_position)
            or options.slot_cleanup
            or not options.initial_load
            or len(set(options.operations)) < 3,
            "source.options",
            "replication options belong to change data capture",
        ),
        (later is not None, "target.spec", f"{later} targets are not available yet"),
        (
            source.type not in registry.SOURCES,
            "source",
            f"{source.type.value} is not available as a source yet",
        ),
        (
            target.type not in registry.TARGETS,
            "target",
            f"{target.type.value} is not available as a target yet",
        ),
        (
            getattr(spec, wanted) is None,
            "target.spec",
            f"a {target.type.value} connection needs target.spec.{wanted}",
        ),
    )
    if foreign and source.type in _MYSQL:
        name = to_camel(foreign[0])
        raise EngineError(
            Code.UNSUPPORTED_ROUTE,
            f"the policy {name} is for values that MySQL and MariaDB do not have",
            field=f"target.spec.{wanted}.policies.{name}",
        )
    for refused, field, reason in refusals:
        if refused:
            raise EngineError(Code.UNSUPPORTED_ROUTE, reason, field=field)


def source_of(job: StreamJob) -> tuple[Connection, SourceConnection]:
    part = job.config.source.connections[0]
    return _connection(job, part.connection_id), part


def target_of(job: StreamJob) -> Connection:
    return _connection(job, job.config.target.id)


def _connection(job: StreamJob, identifier: str) -> Connection:
    try:
        return job.connections[identifier]
    except KeyError:
        raise EngineError(
            Code.CONNECTION_NOT_FOUND, f"there is no connection {identifier}", connectionId=identifier
        ) from None


def open_source(job: StreamJob) -> SnapshotSource:
    """The source with its database chosen; UNSUPPORTED_ROUTE before anything is opened."""
    connection, part = source_of(job)
    check_route(job.config, connection, target_of(job))
    return registry.open_source(connection, part)


def open_target(job: StreamJob) -> Target:
    return registry.open_target(target_of(job), job.config.target.spec, job.stream_id)


def open_written(job: StreamJob, target: Target) -> SnapshotSource:
    """The target opened for reading back what the stream put there."""
    spec = job.config.target.spec
    part: dict[str, object] = {"connectionId": job.config.target.id}
    if spec.s3 is not None:
        prefix = "/".join(name for name in (spec.s3.upload.prefix, spec.s3.path) if name)
        part["s3"] = {"bucket": spec.s3.upload.bucket, "prefixes": [prefix] if prefix else []}
    elif spec.files is not None:
        part["files"] = {"basePath": spec.files.path}
    else:
        part.update(database=target.database, schema=target.schema)
    return registry.open_source(target_of(job), SourceConnection.parse(part))


@contextmanager
def explained() -> Iterator[None]:
    """What the drivers of either end raise inside, as an EngineError that tells a lost connection from a
    statement that was refused."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        explanation = registry.explain(error)
        if explanation is None:
            raise
        raise explanation from error


def is_loss(error: BaseException) -> bool:
    """Another attempt may go through: a connection was lost, or could not be made just now."""
    return isinstance(error, EngineError) and error.code in (Code.CONNECTION_LOST, Code.CONNECTION_FAILED)
