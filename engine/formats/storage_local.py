"""A folder of this machine as a storage: writes beside, fsync, rename; nothing outside the folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from engine.errors import Code, EngineError
from engine.formats.storage import (
    ABSENT,
    Conflict,
    PartWriter,
    StoredFile,
    changed,
    join,
    not_allowed,
    not_found,
    parts_of,
)

TEMPORARY = ".tmp"  # the end of the name of what is being written; it begins with '.'


class LocalStorage:
    """Files under `base`, which exists. A symbolic link is followed only where it stays inside."""

    flavor: Literal["files", "s3"] = "files"
    conditional = True

    def __init__(self, base: Path | str) -> None:
        self._base = os.path.realpath(base)
        self.place = self._base

    # ------------------------------------------------------------ looking

    def list(self, under: str = "", begins: str = "") -> Iterator[StoredFile]:
        root = self._real(under)
        start = join(under, begins)
        found: list[StoredFile] = []
        with explained(under):
            for folder, folders, files in os.walk(root, onerror=_raise_unless_missing):
                folders.sort()
                for name in files:
                    if _is_temporary(name):
                        continue
                    path = join(os.path.relpath(os.path.join(folder, name), self._base).replace(os.sep, "/"))
                    if begins and not path.startswith(start):
                        continue
                    stored = self._stat_inside(path)
                    if stored is not None:
                        found.append(stored)
        yield from sorted(found, key=lambda file: file.path)

    def _stat_inside(self, path: str) -> StoredFile | None:
        """None for a link that leads out, or is gone meanwhile: a listing is no reason to fail."""
        try:
            return self.stat(path)
        except EngineError as error:
            if error.code is Code.PATH_NOT_ALLOWED:
                return None
            raise

    def stat(self, path: str) -> StoredFile | None:
        real = self._real(path)
        with explained(path):
            try:
                found = os.stat(real)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return _stored(path, found) if os.path.isfile(real) else None

    def open(self, path: str, version: str | None = None) -> io.RawIOBase:
        real = self._real(path)
        with explained(path):
            try:
                file = io.FileIO(real, "rb")
            except (FileNotFoundError, NotADirectoryError):
                raise not_found(path, self.place) from None
        if version is not None and _stored(path, os.fstat(file.fileno())).version != version:
            file.close()
            raise changed(path)
        return file

    def read_range(self, path: str, start: int, length: int, version: str | None = None) -> bytes:
        with self.open(path, version) as file, explained(path):
            file.seek(start)
            data = bytearray()
            while len(data) < length and (piece := file.read(length - len(data))):
                data += piece
        return bytes(data)

    def local_path(self, path: str) -> Path | None:
        return Path(self._real(path))

    # ------------------------------------------------------------ small files

    def get(self, path: str) -> tuple[bytes, str] | None:
        with explained(path):
            try:
                data = Path(self._real(path)).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return data, _tag(data)

    def put(self, path: str, data: bytes, expect: str | None = None) -> str:
        with explained(path), self._locked(path):
            if expect is not None:
                now = self.get(path)
                if (now[1] if now else ABSENT) != expect:
                    raise Conflict(path)
            self._drop_unfinished(path)
            with self.create(path) as writer:
                writer.write(data)
                writer.commit()
        return _tag(data)

    def _drop_unfinished(self, path: str) -> None:
        """What one who died in the middle of `put` has left. Under the lock nobody else is in the middle."""
        folder, name = self._folder(path), parts_of(path)[-1]
        for found in os.listdir(folder):
            if _is_temporary(found) and found.startswith(f".{name}."):
                os.unlink(os.path.join(folder, found))

    @contextlib.contextmanager
    def _locked(self, path: str) -> Iterator[None]:
        """Alone, among those who put, in the folder of `path`. The lock is on the folder itself, which may be
        removed and made again by others until we have it."""
        while True:
            folder = self._folder(path)
            with _flock(folder) as owned:
                if owned:
                    yield
                    return

    # ------------------------------------------------------------ writing

    def create(self, path: str) -> PartWriter:
        with explained(path):
            return LocalPartWriter(path, os.path.join(self._folder(path), parts_of(path)[-1]))

    def _folder(self, path: str) -> str:
        """The folder of a file, made when it is not there."""
        names = parts_of(path)
        if not names:
            raise not_allowed(path)
        folder = self._real("/".join(names[:-1]))
        os.makedirs(folder, exist_ok=True)
        return folder

    def delete(self, path: str) -> None:
        real = self._real(path)
        with explained(path):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(real)
            self._prune(os.path.dirname(real))

    def _prune(self, folder: str) -> None:
        """Remove folders that are empty, upwards; under their lock, so that nobody loses the one it holds."""
        while folder.startswith(self._base + os.sep):
            with _flock(folder) as owned:
                try:
                    if owned:
                        os.rmdir(folder)
                except OSError:  # not empty
                    return
            folder = os.path.dirname(folder)

    def abandon(self, under: str, name_prefix: str) -> int:
        removed = 0
        with explained(under):
            for folder, _, files in os.walk(self._real(under), onerror=_raise_unless_missing):
                for name in files:
                    if _is_temporary(name) and name[1:].startswith(name_prefix):
                        with contextlib.suppress(FileNotFoundError):
                            os.unlink(os.path.join(folder, name))
                            removed += 1
        return removed

    def close(self) -> None:
        pass

    # ------------------------------------------------------------

    def _real(self, path: str) -> str:
        """The absolute path, with every link in it resolved; PATH_NOT_ALLOWED when that is outside."""
        real = os.path.realpath(os.path.join(self._base, *parts_of(path)))
        if real != self._base and not real.startswith(self._base.rstrip(os.sep) + os.sep):
            raise not_allowed(path)
        return real


class LocalPartWriter(PartWriter):
    def __init__(self, path: str, final: str) -> None:
        super().__init__()
        self._path = path
        self._final = final
        folder, name = os.path.split(final)
        self._temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}{TEMPORARY}")
        self._file: io.FileIO | None = io.FileIO(self._temporary, "xb")
        self._digest = hashlib.sha256()
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        assert self._file is not None
        with explained(self._path):
            left = view
            while left:
                left = left[self._file.write(left) or 0 :]
        self._digest.update(view)
        self._size += len(view)
        return len(view)

    def commit(self) -> StoredFile:
        assert self._file is not None
        with explained(self._path):
            os.fsync(self._file.fileno())
            stored = _stored(self._path, os.fstat(self._file.fileno()), self._digest.hexdigest())
            os.replace(self._temporary, self._final)
            self._file.close()
            self._file = None
            _sync_folder(os.path.dirname(self._final))
        return stored

    def abort(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)


@contextlib.contextmanager
def _flock(folder: str) -> Iterator[bool]:
    """The folder's lock; False when it has been removed, or replaced, while we waited."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield _is_still(folder, descriptor)
    finally:
        os.close(descriptor)


def _is_still(folder: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(folder))
    except FileNotFoundError:
        return False


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(TEMPORARY)


def _stored(path: str, found: os.stat_result, sha256: str | None = None) -> StoredFile:
    version = f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"
    return StoredFile(join(path), found.st_size, version, found.st_mtime, sha256)


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sync_folder(folder: str) -> None:
    """A rename is durable once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


_CODES = {
    errno.ENOSPC: (Code.TARGET_FULL, "no space is left on the disk: make room, then resume the stream"),
    errno.EDQUOT: (Code.TARGET_FULL, "the disk quota is used up: make room, then resume the stream"),
    errno.EFBIG: (Code.TARGET_FULL, "the file system takes no file that large: set partBytes lower"),
    errno.EACCES: (Code.PERMISSION_DENIED, "this process may not do that"),
    errno.EPERM: (Code.PERMISSION_DENIED, "this process may not do that"),
    errno.EROFS: (Code.PERMISSION_DENIED, "the file system is read-only"),
    errno.ENAMETOOLONG: (Code.VALIDATION_FAILED, "the file system takes no name that long"),
}


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """What the operating system refuses, as an EngineError naming the path as the user knows it."""
    try:
        yield
    except OSError as error:
        code, advice = _CODES.get(error.errno or 0, (Code.STORE_UNAVAILABLE, "the file system failed"))
        raise EngineError(
            code, f"{path or 'the folder'}: {advice} ({error.strerror})", path=path, errno=error.errno
        ) from error
