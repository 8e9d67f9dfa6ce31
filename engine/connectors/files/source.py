"""Files of this machine as the source of a bounded read."""

from __future__ import annotations

import os

import duckdb

from engine.config import Connection, FilesSource, SourceConnection
from engine.connectors.base import ServerInfo
from engine.connectors.files.session import open_storage
from engine.errors import Code, EngineError
from engine.formats.read_source import FilesSnapshot
from engine.formats.storage import parts_of
from engine.formats.storage_local import LocalStorage
from engine.formats.tables import Chosen


def open_source(connection: Connection, part: SourceConnection) -> FilesSnapshot:
    """The files that `part.files` chooses under the connection's base path. Nothing is read yet.

    Raises CONNECTION_FAILED without the connection's folder; PATH_NOT_ALLOWED for a path that leads out;
    VALIDATION_FAILED when `basePath` is no folder.
    """
    assert connection.spec.files is not None
    reading = part.files or FilesSource()
    root = open_storage(connection)
    inner = root.local_path("/".join(parts_of(reading.base_path)))
    assert inner is not None
    if not inner.is_dir():
        raise EngineError(
            Code.VALIDATION_FAILED,
            f"the base path {reading.base_path or connection.spec.files.base_path} is no folder",
            field="files.basePath",
        )
    storage = LocalStorage(inner)

    def choose(chosen: Chosen) -> None:
        for path in reading.paths or [""]:
            chosen.add_path(path)

    version = duckdb.__version__
    numbers = tuple(int(number) for number in version.split(".")[:3])
    info = ServerInfo("files", f"DuckDB {version}", numbers, f"files:{os.fspath(inner)}")
    return FilesSnapshot(storage, reading, info, storage.place, choose)
