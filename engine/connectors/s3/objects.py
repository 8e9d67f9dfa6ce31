"""An object being read: one version of it, over as many requests as it takes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError

from engine.connectors.s3 import client as s3_client
from engine.errors import EngineError
from engine.formats.storage import StoredFile, changed

if TYPE_CHECKING:
    from engine.connectors.s3.storage import S3Storage

READ_ATTEMPTS = 5  # at a read cut short, as long as it makes no progress
READ_PIECE = 32 << 10  # of a body at a time: a connection that breaks takes the piece under way with it


class ObjectFile(io.RawIOBase):
    """One version of an object. Reads that follow each other share one request; after a seek only what is
    asked for is fetched, so that a footer costs its bytes. A read cut short is taken up again."""

    def __init__(self, storage: S3Storage, found: StoredFile) -> None:
        super().__init__()
        self._storage = storage
        self._file = found
        self._at = 0
        self._body: Any = None
        self._sequential = True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        at = max(0, base + offset)
        if at != self._at:
            self._drop()
            self._at = at
            self._sequential = False
        return at

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), self._file.size - self._at)
        if length <= 0:
            return 0
        if self._sequential:
            got = self._fill(view[:length])
        else:
            self._sequential = True  # what follows on this read streams
            data = self._storage.read_range(self._file.path, self._at, length, self._file.version)
            got = len(data)
            view[:got] = data
        if not got:
            raise changed(self._file.path)
        self._at += got
        return got

    def _fill(self, view: memoryview) -> int:
        """All of `view`, unless the object ends before; how much."""
        got = failures = 0
        while got < len(view):
            if self._body is None:
                start = self._at + got
                self._body, _ = self._storage.body(self._file.path, start, None, self._file.version)
                if self._body is None:
                    break
            failure: BotoCoreError | OSError | None = None
            piece = b""
            try:
                piece = self._body.read(min(len(view) - got, READ_PIECE))
            except (BotoCoreError, OSError) as error:
                failure = error
            view[got : got + len(piece)] = piece
            got += len(piece)
            failures = 0 if piece else failures + 1
            if not piece:  # broken, or the answer was shorter than the object
                self._drop()
            if failures == READ_ATTEMPTS:
                if failure is not None:
                    raise cut(failure) from failure
                break
        return got

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def close(self) -> None:
        self._drop()
        super().close()


def drain(body: Any) -> tuple[bytes, BotoCoreError | OSError | None]:
    """What of an answer came through, and what broke it off."""
    data = bytearray()
    try:
        while piece := body.read(READ_PIECE):
            data += piece
    except (BotoCoreError, OSError) as error:
        return bytes(data), error
    return bytes(data), None


def cut(error: BotoCoreError | OSError) -> EngineError:
    """A read that broke, as CONNECTION_LOST or what botocore's error means."""
    if isinstance(error, BotoCoreError):
        return s3_client.explain(error)
    return s3_client.lost(str(error))
