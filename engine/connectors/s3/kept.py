"""`keepLocalFiles`: what is uploaded is also kept in a folder of this machine, under the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.config import Connection, S3Upload
from engine.connectors.s3.storage import S3Storage
from engine.formats import manifest
from engine.formats.storage import PartWriter, StoredFile
from engine.formats.storage_local import LocalStorage


class KeptStorage(S3Storage):
    """The bucket, and a copy of every data file and manifest in `folder`, which is made when it is absent."""

    def __init__(self, connection: Connection, upload: S3Upload, folder: Path) -> None:
        super().__init__(connection, upload.bucket, upload.prefix, upload)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.local = LocalStorage(folder)

    def create(self, path: str) -> PartWriter:
        return _Both(super().create(path), self.local.create(path))

    def put(self, path: str, data: bytes, expect: str | None = None) -> str:
        tag = super().put(path, data, expect)
        if path.rsplit("/", 1)[-1] == manifest.NAME:
            self.local.put(path, data)
        return tag

    def delete(self, path: str) -> None:
        super().delete(path)
        self.local.delete(path)

    def abandon(self, under: str, name_prefix: str) -> int:
        self.local.abandon(under, name_prefix)
        return super().abandon(under, name_prefix)


class _Both(PartWriter):
    def __init__(self, remote: PartWriter, local: PartWriter) -> None:
        super().__init__()
        self._remote = remote
        self._local = local

    @property
    def size(self) -> int:
        return self._remote.size

    def write(self, data: Any, /) -> int:
        self._local.write(data)
        return self._remote.write(data)

    def commit(self) -> StoredFile:
        self._local.commit()
        return self._remote.commit()

    def abort(self) -> None:
        self._local.abort()
        self._remote.abort()
