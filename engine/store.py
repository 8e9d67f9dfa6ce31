"""Durable metadata: connections, stream configs, streams with their logs, API keys. SQLite in WAL mode.

Only the process that owns the data directory writes here while streams run; workers report to it and never
open the store. `synchronous=FULL` because a status that was answered to a client must survive a power cut.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from engine.errors import Code, EngineError

metadata = sa.MetaData()
_JSON = sa.JSON(none_as_null=True)

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

connections = sa.Table(
    "connections",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("created", sa.Integer, nullable=False),
    sa.Column("modified", sa.Float, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # the whole connection, encrypted
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("databases", _JSON),  # the last listing: names only
)

stream_configs = sa.Table(
    "stream_configs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created", sa.Integer, nullable=False),
    sa.Column("modified", sa.Float, nullable=False),
    sa.Column("body", _JSON, nullable=False),
)

config_connections = sa.Table(
    "config_connections",
    metadata,
    sa.Column("config_id", sa.Text, sa.ForeignKey("stream_configs.id", ondelete="CASCADE"), primary_key=True),
    # Not a foreign key: a connection may be deleted, with confirmation, while a config still names it.
    sa.Column("connection_id", sa.Text, primary_key=True, index=True),
)

streams = sa.Table(
    "streams",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False, unique=True),
    sa.Column(
        "config_id",
        sa.Text,
        sa.ForeignKey("stream_configs.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("config", _JSON, nullable=False),  # as it was at the start: resume must not see later edits
    sa.Column("key_id", sa.Text),  # the API key that started it; None from the same machine
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.Column("active_seconds", sa.Float, nullable=False, default=0.0),
    sa.Column("stage", sa.Integer, nullable=False, default=0),
    sa.Column("rows", sa.Integer, nullable=False, default=0),
    sa.Column("bytes", sa.Integer, nullable=False, default=0),
    sa.Column("rows_skipped", sa.Integer, nullable=False, default=0),
    sa.Column("reason", sa.Text),  # why it is paused or stopped, when nobody asked for it
    sa.Column("error", _JSON),
    sa.Column("stats", _JSON),
    sa.Column("plan", _JSON),
    sa.Column("verify", _JSON),
    sa.Column("cleaned", sa.Boolean, nullable=False, default=False),  # its checkpoints were dropped
)

stream_logs = sa.Table(
    "stream_logs",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("stream_id", sa.Text, sa.ForeignKey("streams.id", ondelete="CASCADE"), nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("entry", _JSON, nullable=False),
    sa.Index("stream_logs_by_stream", "stream_id", "seq"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("hint", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False, default=""),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("revoked", sa.Float),
    sa.Column("subscription", sa.Text, nullable=False),
    sa.Column("until", sa.Float),
    sa.Column("byte_limit", sa.Integer),
    sa.Column("bytes_used", sa.Integer, nullable=False, default=0),
    sa.Column("cdc_seconds_limit", sa.Integer),
    sa.Column("cdc_seconds_used", sa.Float, nullable=False, default=0.0),
)


def _first_version(connection: sa.Connection) -> None:
    metadata.create_all(connection)
    # One living stream a config, decided by the store itself so that two starts at once cannot both win.
    connection.exec_driver_sql(
        "CREATE UNIQUE INDEX streams_one_alive ON streams (config_id)"
        " WHERE status IN ('STARTING', 'RUNNING', 'PAUSING', 'PAUSED', 'STOPPING')"
    )


# Entry N brings a store of version N to N + 1. Append only; an entry never changes once released. An entry
# after the first names its own statements and does not use `metadata`, which is always the newest shape.
MIGRATIONS: list[Callable[[sa.Connection], None]] = [_first_version]


class Store:
    """One SQLite file. Threads share it; each `read` or `write` block is one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write_lock = threading.RLock()
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            poolclass=sa.QueuePool,
            pool_size=8,
            max_overflow=32,
            connect_args={"check_same_thread": False, "timeout": 30.0},
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            hide_parameters=True,  # bodies and digests stay out of error messages
        )
        sa.event.listen(self._engine, "connect", _prepare)
        sa.event.listen(self._engine, "begin", _begin)
        try:
            path.touch(mode=0o600, exist_ok=True)
            os.chmod(path, 0o600)
            self._migrate()
        except OSError as error:
            raise _unavailable(path, error.strerror or str(error)) from None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent picture. STORE_UNAVAILABLE when SQLite cannot give one."""
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that commits at the end of the block and rolls back on any error."""
        with (
            self._write_lock,
            self._translated(),
            self._engine.connect().execution_options(dbstreams_write=True) as connection,
            connection.begin(),
        ):
            yield connection

    def get_meta(self, key: str) -> str | None:
        with self.read() as connection:
            return connection.scalar(sa.select(meta.c.value).where(meta.c.key == key))

    def set_meta(self, key: str, value: str) -> None:
        with self.write() as connection:
            connection.execute(sa.delete(meta).where(meta.c.key == key))
            connection.execute(sa.insert(meta).values(key=key, value=value))

    def meta_once(self, key: str, make: Callable[[], str]) -> str:
        """The value of `key`, made and stored by the first caller of any process."""
        with self.write() as connection:
            value = connection.scalar(sa.select(meta.c.value).where(meta.c.key == key))
            if value is None:
                value = make()
                connection.execute(sa.insert(meta).values(key=key, value=value))
            return str(value)

    def close(self) -> None:
        self._engine.dispose()

    def _migrate(self) -> None:
        with self.write() as connection:
            version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
            if version > len(MIGRATIONS):
                raise EngineError(
                    Code.STORE_UNAVAILABLE,
                    f"{self.path} was written by a newer release (store version {version}, this release "
                    f"knows {len(MIGRATIONS)}); use that release or another data directory",
                    path=str(self.path),
                    version=version,
                )
            for step in MIGRATIONS[version:]:
                step(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.IntegrityError:
            raise
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise _unavailable(self.path, str(cause)) from error


def _unavailable(path: Path, reason: str) -> EngineError:
    return EngineError(
        Code.STORE_UNAVAILABLE, f"the metadata store cannot be used: {reason}", path=str(path), reason=reason
    )


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin`, not guessed by the driver
    cursor = connection.cursor()
    for pragma in ("busy_timeout = 30000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    # IMMEDIATE takes the write lock at once: a read that later wants to write could otherwise be refused.
    writes = connection.get_execution_options().get("dbstreams_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
