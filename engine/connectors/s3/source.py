"""Objects of a bucket as the source of a bounded read: by prefixes, by keys, or as a manifest lists them."""

from __future__ import annotations

import duckdb

from engine.config import Connection, S3Source, SourceConnection
from engine.connectors.base import ServerInfo
from engine.connectors.s3.client import endpoint_of, spec_of
from engine.connectors.s3.storage import S3Storage
from engine.errors import Code, EngineError
from engine.formats.read_source import FilesSnapshot
from engine.formats.storage import join, parts_of
from engine.formats.tables import Chosen, nothing_there


def open_source(connection: Connection, part: SourceConnection) -> FilesSnapshot:
    """The objects that `part.s3` chooses in its bucket; without any choice, everything in the connection's
    scope. Nothing is asked of the server yet.

    Raises PATH_NOT_ALLOWED for what is outside the scope; VALIDATION_FAILED without a bucket, or when a
    manifest and other objects are both chosen.
    """
    scope = spec_of(connection).scope
    reading = part.s3
    if reading is None:
        if not scope.bucket:
            raise EngineError(
                Code.VALIDATION_FAILED,
                "say which bucket to read: source.connections.0.s3.bucket, or the connection's scope",
                field="source.connections.0.s3",
            )
        reading = S3Source(bucket=scope.bucket)
    if reading.manifest_path is not None and (reading.prefixes or reading.objects):
        raise EngineError(
            Code.VALIDATION_FAILED,
            "manifestPath names every object to read: it goes without prefixes and objects",
            field="source.connections.0.s3.manifestPath",
        )
    if scope.bucket and scope.bucket != reading.bucket:
        raise _outside(reading.bucket, "")
    within = f"{join(scope.prefix)}/" if scope.prefix and join(scope.prefix) else ""
    prefixes = [_inside(reading.bucket, within, prefix) for prefix in reading.prefixes]
    objects = [_inside(reading.bucket, within, key) for key in reading.objects]
    manifest = reading.manifest_path and _inside(reading.bucket, within, reading.manifest_path)
    storage = S3Storage(connection, reading.bucket)

    def choose(chosen: Chosen) -> None:
        if manifest:
            chosen.add_manifest_at(manifest)
            return
        for key in objects:
            found = storage.stat(key)
            if found is None:
                raise nothing_there(key)
            chosen.add_file(found)
        for prefix in prefixes if prefixes or objects else [within]:
            chosen.add_prefix(prefix)

    version = duckdb.__version__
    numbers = tuple(int(number) for number in version.split(".")[:3])
    where = endpoint_of(connection) or f"aws:{spec_of(connection).region}"
    info = ServerInfo("s3", f"DuckDB {version}", numbers, f"{where}/{reading.bucket}")
    return FilesSnapshot(storage, reading, info, storage.place, choose)


def _inside(bucket: str, within: str, key: str) -> str:
    """The key as the storage has it. A prefix keeps its last '/': what it ends in is part of what it says."""
    path = join(*parts_of(key.lstrip("/"))) + ("/" if key.endswith("/") and key.strip("/") else "")
    if not path.startswith(within):
        raise _outside(bucket, key)
    return path


def _outside(bucket: str, key: str) -> EngineError:
    return EngineError(
        Code.PATH_NOT_ALLOWED,
        f"s3://{join(bucket, key)} is outside the connection's scope",
        bucket=bucket,
        key=key,
    )
