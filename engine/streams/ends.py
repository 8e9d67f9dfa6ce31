"""Which systems can be the two ends of a stream: the only place where streams meet concrete connectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pymysql
from pydantic.alias_generators import to_camel

from engine.config import Connection, ConnectionType, Mode, Policies, SourceConnection, StreamConfig
from engine.connectors.mysql.failures import query_failed
from engine.connectors.mysql.source import MysqlSource
from engine.connectors.postgres.loader import explain
from engine.connectors.postgres.target import PostgresTarget
from engine.errors import Code, EngineError
from engine.streams.job import StreamJob

_SOURCES = (ConnectionType.MYSQL, ConnectionType.MARIADB)
_TARGETS = (ConnectionType.POSTGRESQL,)
_OTHER_SOURCES = ("infinity", "nan", "unbounded_numeric")  # policies for PostgreSQL as the source


def check_route(config: StreamConfig, source: Connection, target: Connection) -> None:
    """UNSUPPORTED_ROUTE with the reason for everything of the contract that this release cannot carry."""
    part = config.source.connections[0]
    selected = [table.name for table in part.tables if not table.selection.is_everything]
    given = config.target.spec.db.policies if config.target.spec.db else Policies()
    foreign = [name for name in _OTHER_SOURCES if getattr(given, name) != getattr(Policies(), name)]
    options = config.source.options
    refusals = (
        (config.mode is Mode.CDC, "mode", "change data capture is not available yet"),
        (len(config.source.connections) > 1, "source.connections", "several sources are not available yet"),
        (config.source.query is not None, "source.query", "federated streams are not available yet"),
        (bool(part.queries), "source.connections.0.queries", "SQL as a source is not available yet"),
        (part.files is not None, "source.connections.0.files", "files as a source are not available yet"),
        (part.s3 is not None, "source.connections.0.s3", "S3 as a source is not available yet"),
        (
            bool(selected),
            "source.connections.0.tables",
            f"selections are not available yet ({', '.join(selected[:5])})",
        ),
        (
            config.limits.number_of_events > 0 or config.limits.elapsed_time > 0,
            "limits",
            "limits are not available yet",
        ),
        (
            bool(options.replication_slot or options.publication_name or options.binlog_position)
            or options.slot_cleanup
            or not options.initial_load
            or len(set(options.operations)) < 3,
            "source.options",
            "replication options belong to change data capture",
        ),
        (config.target.spec.db is None, "target.spec", "only database targets are available yet"),
        (
            source.type not in _SOURCES,
            "source",
            f"{source.type.value} is not available as a source yet",
        ),
        (
            target.type not in _TARGETS,
            "target",
            f"{target.type.value} is not available as a target yet",
        ),
    )
    if foreign:
        name = to_camel(foreign[0])
        raise EngineError(
            Code.UNSUPPORTED_ROUTE,
            f"the policy {name} is for values that MySQL and MariaDB do not have",
            field=f"target.spec.db.policies.{name}",
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


def open_source(job: StreamJob) -> MysqlSource:
    """The source with its database chosen; UNSUPPORTED_ROUTE before anything is opened."""
    connection, part = source_of(job)
    check_route(job.config, connection, target_of(job))
    database = part.database or connection.database.database
    if database is None:
        raise EngineError(
            Code.VALIDATION_FAILED,
            "say which database to read: source.connections.0.database, or the connection's own",
            field="source.connections.0.database",
        )
    return MysqlSource(connection, database)


def open_target(job: StreamJob) -> PostgresTarget:
    spec = job.config.target.spec.db
    assert spec is not None  # check_route has refused everything else
    return PostgresTarget(target_of(job), spec, job.stream_id)


@contextmanager
def explained() -> Iterator[None]:
    """What the drivers of either end raise inside, as an EngineError that tells a lost connection from a
    statement that was refused."""
    try:
        yield
    except psycopg.Error as error:
        raise explain(error) from error
    except pymysql.MySQLError as error:
        raise query_failed(error, "the source refused a statement") from error


def is_loss(error: BaseException) -> bool:
    """Another attempt may go through: a connection was lost, or could not be made just now."""
    return isinstance(error, EngineError) and error.code in (Code.CONNECTION_LOST, Code.CONNECTION_FAILED)
