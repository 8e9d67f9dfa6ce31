"""Which systems can be the two ends of a stream: the only place where streams meet concrete connectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pydantic.alias_generators import to_camel

from engine.config import Connection, ConnectionType, Mode, Policies, SourceConnection, StreamConfig
from engine.connectors import registry
from engine.connectors.base import SnapshotSource, Target
from engine.errors import Code, EngineError
from engine.streams.federated import open_federated
from engine.streams.job import Control, Report, StreamJob
from engine.streams.restored import restoring
from engine.streams.several import Member, SeveralSources

_MYSQL = (ConnectionType.MYSQL, ConnectionType.MARIADB)
_OTHER_SOURCES = ("infinity", "nan", "unbounded_numeric")  # policies for values MySQL does not have
_LATER = ("gcs", "azure", "snowflake")
_SPECS = {ConnectionType.FILES: "files", ConnectionType.S3: "s3"}


def policies_of(config: StreamConfig) -> Policies:
    spec = config.target.spec
    given = spec.db or spec.files or spec.s3
    return given.policies if given is not None else Policies()


def check_route(config: StreamConfig, sources: Sequence[Connection], target: Connection) -> None:
    """UNSUPPORTED_ROUTE with the reason for everything of the contract that this release cannot carry, and
    VALIDATION_FAILED for what fits no release. `sources` in the order of `source.connections`."""
    for refused, field, reason in (*_refusals(config, target), *_source_refusals(config, sources)):
        if refused:
            raise EngineError(Code.UNSUPPORTED_ROUTE, reason, field=field)
    aliases = [part.alias for part in config.source.connections]
    federated = config.source.query is not None
    for number, part in enumerate(config.source.connections):
        if federated and (part.tables or part.queries or part.exclude):
            raise EngineError(
                Code.VALIDATION_FAILED,
                "source.query names its tables itself: leave out tables, queries and exclude",
                field=f"source.connections.{number}",
            )
    alike = None in aliases or len(set(aliases)) < len(aliases)
    if (federated or len(aliases) > 1) and alike:
        raise EngineError(
            Code.VALIDATION_FAILED,
            "several sources, and those of a federated query, need an alias each, all different",
            field="source.connections.alias",
        )


_Refusal = tuple[bool, str, str]  # whether, the field, the reason


def _refusals(config: StreamConfig, target: Connection) -> Iterator[_Refusal]:
    spec, options = config.target.spec, config.source.options
    wanted = _SPECS.get(target.type, "db")
    yield config.mode is Mode.CDC, "mode", "change data capture is not available yet"
    yield (
        bool(options.replication_slot or options.publication_name or options.binlog_position)
        or options.slot_cleanup
        or not options.initial_load
        or len(set(options.operations)) < 3,
        "source.options",
        "replication options belong to change data capture",
    )
    for name in _LATER:
        yield getattr(spec, name) is not None, "target.spec", f"{name} targets are not available yet"
    kind = target.type.value
    yield target.type not in registry.TARGETS, "target", f"{kind} is not available as a target yet"
    yield getattr(spec, wanted) is None, "target.spec", f"a {kind} connection needs target.spec.{wanted}"


def _source_refusals(config: StreamConfig, sources: Sequence[Connection]) -> Iterator[_Refusal]:
    wanted = "db" if config.target.spec.db else "files" if config.target.spec.files else "s3"
    given = policies_of(config)
    foreign = [name for name in _OTHER_SOURCES if getattr(given, name) != getattr(Policies(), name)]
    for number, (part, source) in enumerate(zip(config.source.connections, sources, strict=True)):
        at, kind = f"source.connections.{number}", source.type.value
        is_files, is_s3 = source.type is ConnectionType.FILES, source.type is ConnectionType.S3
        yield source.type not in registry.SOURCES, "source", f"{kind} is not available as a source yet"
        yield part.files is not None and not is_files, f"{at}.files", f"a {kind} connection has no files"
        yield part.s3 is not None and not is_s3, f"{at}.s3", f"a {kind} connection has no buckets"
    if foreign and all(source.type in _MYSQL for source in sources):
        name = to_camel(foreign[0])
        yield (
            True,
            f"target.spec.{wanted}.policies.{name}",
            f"the policy {name} is for values that MySQL and MariaDB do not have",
        )


def source_of(job: StreamJob) -> tuple[Connection, SourceConnection]:
    """The first source; the only one of most streams."""
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


def open_source(
    job: StreamJob, control: Control | None = None, report: Report | None = None
) -> SnapshotSource:
    """The source with its database chosen; UNSUPPORTED_ROUTE before anything is opened. `control` and
    `report` are for a federated one, which has work of its own to do."""
    parts = job.config.source.connections
    connections = [_connection(job, part.connection_id) for part in parts]
    target, policies = target_of(job), policies_of(job.config)
    check_route(job.config, connections, target)
    if job.config.source.query is not None:
        return open_federated(job, control, report)
    if len(parts) == 1:
        return restoring(registry.open_source(connections[0], parts[0]), target.type, policies)
    with ExitStack() as opened:
        members = []
        for connection, part in zip(connections, parts, strict=True):
            source = registry.open_source(connection, part)
            opened.callback(source.close)
            members.append(Member(part.alias or "", restoring(source, target.type, policies)))
        opened.pop_all()
    return SeveralSources(members)


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
