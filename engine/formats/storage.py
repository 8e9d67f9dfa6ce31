"""Where files lie, as one protocol: a folder of this machine, or a bucket.

Paths are relative to the storage's root, with '/' between their parts; a file appears under its path whole or
not at all.
"""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from engine.errors import Code, EngineError

ABSENT: Final = ""  # what `Storage.put` expects of a file that must not be there yet


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as it is now. `version` changes whenever its content does (an ETag; or inode, size and time of
    the last change). sha256 is known of what a local PartWriter has just written; modified is in seconds."""

    path: str
    size: int
    version: str
    modified: float | None = None
    sha256: str | None = None


class Conflict(Exception):
    """A file is not as `Storage.put` expected: somebody else has written it meanwhile."""


class PartWriter(io.RawIOBase):
    """A file being written beside its final place, by one thread. Nobody sees it before `commit`. Closing
    without `commit` is `abort`."""

    def writable(self) -> bool:
        return True

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes written so far."""

    @abstractmethod
    def write(self, data: Any, /) -> int:
        """Take all of `data` (any buffer). May wait for the storage; raises EngineError."""

    @abstractmethod
    def commit(self) -> StoredFile:
        """Make the file durable and visible; nothing can be written after it."""

    @abstractmethod
    def abort(self) -> None:
        """Throw away what was written; harmless after `commit` and twice."""

    def tell(self) -> int:
        return self.size

    def close(self) -> None:
        if not self.closed:
            self.abort()
        super().close()


class Storage(Protocol):
    """Files under one root. Methods are called from any thread. Raises EngineError: PATH_NOT_ALLOWED for a
    path that leaves the root, PERMISSION_DENIED, CONNECTION_LOST, TARGET_FULL."""

    flavor: Literal["files", "s3"]
    place: str  # what a person would call the root: `/data/exports`, `s3://bucket/prefix`

    def list(self, under: str = "", begins: str = "") -> Iterator[StoredFile]:
        """Every file below a folder ('' is the root), by path; of those whose path within it `begins` so.
        Unfinished writes are not among them."""

    def stat(self, path: str) -> StoredFile | None: ...

    def open(self, path: str, version: str | None = None) -> io.RawIOBase:
        """The file for reading: seekable, one thread at a time, fetched by ranges. FILE_CHANGED when it is
        not, or no longer, of that version; VALIDATION_FAILED when there is none."""

    def read_range(self, path: str, start: int, length: int, version: str | None = None) -> bytes:
        """At most `length` bytes from `start`; from any thread. Raises as `open`."""

    def get(self, path: str) -> tuple[bytes, str] | None:
        """A small file and its tag, for `put`; None when there is none."""

    def put(self, path: str, data: bytes, expect: str | None = None) -> str:
        """Replace a small file at once and give its new tag. With `expect`, only while its tag is that one
        (ABSENT: while there is none), else Conflict: atomically where `conditional`."""

    @property
    def conditional(self) -> bool:
        """Whether `put` compares and replaces as one step. May ask the storage the first time."""

    def create(self, path: str) -> PartWriter: ...

    def delete(self, path: str) -> None:
        """Remove a file; one that is not there is no error. Folders left empty go too."""

    def abandon(self, under: str, name_prefix: str) -> int:
        """Remove unfinished writes, below a folder, of files whose names begin so; how many there were."""

    def local_path(self, path: str) -> Path | None:
        """The file for programs that open paths; None where it is not on this machine."""

    def close(self) -> None: ...


def parts_of(path: str) -> list[str]:
    """The names in a path, empty ones left out. PATH_NOT_ALLOWED for '..', NUL and an absolute path."""
    names = [name for name in path.split("/") if name not in ("", ".")]
    if path.startswith("/") or ".." in names or "\0" in path:
        raise not_allowed(path)
    return names


def join(*paths: str) -> str:
    """One path from several, any of which may be empty."""
    return "/".join(name for path in paths for name in path.split("/") if name)


def not_allowed(path: str) -> EngineError:
    return EngineError(Code.PATH_NOT_ALLOWED, f"{path!r} leads out of the connection's base path", path=path)


def not_found(path: str, place: str) -> EngineError:
    return EngineError(Code.VALIDATION_FAILED, f"there is no file {path} in {place}", path=path)


def changed(path: str) -> EngineError:
    return EngineError(Code.FILE_CHANGED, f"{path} changed while it was read", path=path)
