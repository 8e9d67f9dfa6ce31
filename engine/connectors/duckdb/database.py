"""Open DuckDB files of this process. A file is opened once; everybody who asks for it shares the instance.

DuckDB locks a file for one process: another one that wants to write, or that reads what is being written,
is turned away. So a worker opens it, and lets go of it when it ends.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field

import duckdb

from engine.config import Connection
from engine.connectors.base import ServerInfo
from engine.connectors.duckdb.failures import said
from engine.connectors.duckdb.identifiers import catalog_name
from engine.errors import Code, EngineError

Cursor = duckdb.DuckDBPyConnection

# Bytes of buffers; more goes to the file's own .tmp folder. What a load has written is not read again, while
# a query sorts and groups in them.
READ_MEMORY = 512 << 20
WRITE_MEMORY = 256 << 20
# A load keeps row groups of 122,880 rows in buffers, column by column, and so does the checkpoint after it;
# those being written cannot go to the folder. Measured with 300 columns and two loaders: 2 MB a column and
# loader do for the rows, not for the checkpoint.
COLUMN_MEMORY = 4 << 20
BUSY_SECONDS = 2.0  # how long another process is waited for that may be about to let go of the file

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}
# Nothing but the file itself can be reached, whatever SQL comes; and nobody changes that afterwards. Only the
# limit of memory is raised for wide tables: SQL of users is one SELECT, which changes no setting.
_LOCKED = (
    "SET GLOBAL TimeZone = 'UTC'",
    "SET GLOBAL enable_external_access = false",
    "SET GLOBAL allowed_configs = ['memory_limit']",
    "SET GLOBAL lock_configuration = true",
)
_ADVICE = {
    "relative": "the path must be absolute",
    "missing": "there is no such file",
    "no_folder": "its folder does not exist",
    "not_a_database": "it is no DuckDB database, or one of a newer release",
    "not_readable": "this process may not read it",
    "not_writable": "this process may not write it",
    "other": "it cannot be opened",
}


@dataclass(slots=True)
class _Instance:
    path: str
    read_only: bool
    connection: Cursor
    catalog: str
    memory: int  # its limit, in bytes
    users: int = 0
    commits: threading.Lock = field(default_factory=threading.Lock)  # held by whoever commits


_guard = threading.Lock()
_instances: dict[str, _Instance] = {}


class Database:
    """One user's share of an open file. `lock` is held while something is committed into it. Cursors taken
    from it are closed with it."""

    def __init__(self, instance: _Instance) -> None:
        self._instance = instance
        self._cursors: list[Cursor] = []
        self._closed = False
        self.path = instance.path
        self.catalog = instance.catalog
        self.read_only = instance.read_only
        self.lock = instance.commits

    def cursor(self) -> Cursor:
        """A session of its own, for one thread."""
        with _guard:
            cursor = self._instance.connection.cursor()
            self._cursors.append(cursor)
        return cursor

    def make_room(self, columns: int) -> None:
        """Before tables of up to so many columns are loaded, by as many loaders as there are cores: raise the
        limit of memory where they need more, to half of this machine's at most."""
        needed = min(columns * COLUMN_MEMORY * _cores(), _physical_memory() // 2)
        with _guard:
            if needed > self._instance.memory:
                self._instance.connection.execute(f"SET GLOBAL memory_limit = '{needed}B'")
                self._instance.memory = needed

    def release(self, cursor: Cursor) -> None:
        """Close one cursor early."""
        with _guard:
            self._cursors = [other for other in self._cursors if other is not cursor]
        cursor.close()

    def close(self) -> None:
        """Let go of the file; the last user closes it, and its log goes into it. Repeating is harmless."""
        with _guard:
            if self._closed:
                return
            self._closed = True
            for cursor in self._cursors:
                cursor.close()
            self._cursors.clear()
            self._instance.users -= 1
            if not self._instance.users:
                del _instances[self.path]
                self._instance.connection.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def path_of(connection: Connection) -> str:
    """The file of a connection, links resolved."""
    assert connection.spec.duckdb is not None
    path = connection.spec.duckdb.path
    if not os.path.isabs(path) or "\0" in path:
        raise _failed(path, "relative")
    return os.path.realpath(path)


def open_database(path: str, *, read_only: bool) -> Database:
    """Open a file, or share it. A missing file is made unless `read_only`.

    Raises CONNECTION_FAILED with `details.reason`, CONNECTION_BUSY while another process has the file, or
    this one reads it and is asked to write.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with _guard:
                return Database(_shared(path, read_only))
        except EngineError as error:
            if error.code is not Code.CONNECTION_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _shared(path: str, read_only: bool) -> _Instance:
    instance = _instances.get(path)
    if instance is None:
        instance = _instances[path] = _open(path, read_only)
    elif instance.read_only and not read_only:
        raise _busy(path, "this process reads it: one stream cannot read and write the same file")
    instance.users += 1
    return instance


def _open(path: str, read_only: bool) -> _Instance:
    reason = _problem(path, read_only)
    if reason is not None:
        raise _failed(path, reason)
    try:
        memory = READ_MEMORY if read_only else WRITE_MEMORY
        connection = duckdb.connect(
            path,
            read_only=read_only,
            config={**_CONFIG, "memory_limit": f"{memory}B", "threads": _cores()},
        )
    except duckdb.Error as error:
        raise _explained(path, error) from None
    try:
        for statement in _LOCKED:
            connection.execute(statement)
        row = connection.execute("SELECT current_database()").fetchone()
    except duckdb.Error as error:
        connection.close()
        raise _explained(path, error) from None
    assert row is not None
    return _Instance(path, read_only, connection, str(row[0]), memory)


def _problem(path: str, read_only: bool) -> str | None:
    if not os.path.isdir(os.path.dirname(path)):
        return "no_folder"
    if os.path.isdir(path):
        return "not_a_database"
    if os.path.exists(path):
        if not os.access(path, os.R_OK):
            return "not_readable"
        return None if read_only or os.access(path, os.W_OK) else "not_writable"
    if read_only:
        return "missing"
    return None if os.access(os.path.dirname(path), os.W_OK) else "not_writable"


def _explained(path: str, error: duckdb.Error) -> EngineError:
    message = said(error)
    lowered = message.lower()
    if "could not set lock" in lowered or "different configuration" in lowered:
        return _busy(path, message)
    if "not a valid duckdb" in lowered or "serialization" in lowered or "version" in lowered:
        return _failed(path, "not_a_database", message)
    return _failed(path, "not_writable" if "permission denied" in lowered else "other", message)


def _busy(path: str, message: str) -> EngineError:
    return EngineError(
        Code.CONNECTION_BUSY,
        f"{path} is in use: a DuckDB file has one owner at a time; end the stream or the program that has it"
        f" open, then try again ({message})",
        path=path,
        serverMessage=message,
    )


def _failed(path: str, reason: str, message: str | None = None) -> EngineError:
    return EngineError(
        Code.CONNECTION_FAILED,
        f"cannot open the DuckDB database {path}: {_ADVICE[reason]}" + (f" ({message})" if message else ""),
        reason=reason,
        path=path,
        serverMessage=message,
    )


def database_name(path: str) -> str:
    """What the database in a file is called, whether it is there or not."""
    return catalog_name(path)


def version(path: str) -> ServerInfo:
    """What reads and writes the file: the DuckDB inside this process."""
    printed = duckdb.__version__
    return ServerInfo("duckdb", printed, tuple(int(part) for part in printed.split(".")[:2]), path)
