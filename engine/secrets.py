"""Encryption at rest: AES-256-GCM under keys kept apart from the store.

Keys come from `DBSTREAMS_SECRET_KEY` (one or several, comma separated, newest first), else from a key file:
`DBSTREAMS_SECRET_KEY_FILE`, or `<data dir>.key` beside the data directory, so that a copy of the directory
alone reveals nothing. The newest key encrypts, every key decrypts.

Layout of a sealed value: version byte 1, 8 bytes naming the key (the head of its SHA-256), 12 bytes nonce,
ciphertext with the 16-byte tag. The caller's label (the row id) is authenticated with it: a sealed body moved
to another row does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.errors import Code, EngineError

KEY_VARIABLE = "DBSTREAMS_SECRET_KEY"
FILE_VARIABLE = "DBSTREAMS_SECRET_KEY_FILE"
_VERSION = 1
_ID, _NONCE = 8, 12


class Keyring:
    """The keys in use, newest first. `repr` shows none of them."""

    def __init__(self, keys: Sequence[bytes], file: Path | None = None) -> None:
        if not keys:
            raise EngineError(Code.SECRET_UNREADABLE, "no encryption key is configured")
        self.file = file
        self._keys = list(keys)
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._newest = _key_id(keys[0])

    def __repr__(self) -> str:
        return f"Keyring({len(self._keys)} keys)"

    def seal(self, plain: bytes, label: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._ciphers[self._newest].encrypt(nonce, plain, label.encode())
        return bytes([_VERSION]) + self._newest + nonce + sealed

    def open(self, sealed: bytes, label: str) -> bytes:
        """SECRET_UNREADABLE when no key fits or the value was altered."""
        head, nonce, body = (
            sealed[1 : 1 + _ID],
            sealed[1 + _ID : 1 + _ID + _NONCE],
            sealed[1 + _ID + _NONCE :],
        )
        cipher = self._ciphers.get(head)
        if not sealed or sealed[0] != _VERSION or cipher is None:
            raise EngineError(
                Code.SECRET_UNREADABLE,
                f"{label} was encrypted with a key that is not configured; give the old key as well in "
                f"{KEY_VARIABLE} or the key file",
                id=label,
            )
        try:
            return cipher.decrypt(nonce, body, label.encode())
        except InvalidTag:
            raise EngineError(
                Code.SECRET_UNREADABLE, f"{label} was altered after it was encrypted", id=label
            ) from None

    def is_newest(self, sealed: bytes) -> bool:
        return sealed[1 : 1 + _ID] == self._newest

    def with_new_key(self) -> Keyring:
        """The same keys behind a fresh one, written to the key file first: a crash in between loses nothing.

        From the environment keys are rotated by putting the new one first in the variable.
        """
        if self.file is None:
            return self
        keys = [AESGCM.generate_key(256), *self._keys]
        _write(self.file, keys)
        return Keyring(keys, self.file)

    def only_newest(self) -> Keyring:
        """Forget the older keys, once every value has been sealed again."""
        if self.file is None:
            return self
        _write(self.file, self._keys[:1])
        return Keyring(self._keys[:1], self.file)


def load(data_dir: Path, *, may_create: bool) -> Keyring:
    """The keyring of a data directory. A missing key file is made only when `may_create`, that is when
    nothing has been encrypted yet: a new key beside old secrets would only hide that the old key is lost."""
    from_environment = os.environ.get(KEY_VARIABLE)
    if from_environment:
        return Keyring([_decode(part, KEY_VARIABLE) for part in from_environment.split(",") if part.strip()])
    file = key_file(data_dir)
    if not file.exists():
        if not may_create:
            raise EngineError(
                Code.SECRET_UNREADABLE,
                f"the key file {file} is missing but the store holds encrypted connections; restore it, or "
                f"set {KEY_VARIABLE}",
                path=str(file),
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, [AESGCM.generate_key(256)])
    info = file.stat()
    if stat.S_IMODE(info.st_mode) & 0o077 or info.st_uid not in (os.geteuid(), 0):
        raise EngineError(
            Code.SECRET_UNREADABLE,
            f"the key file {file} can be read by others; make it yours and run: chmod 600 {file}",
            path=str(file),
            mode=oct(stat.S_IMODE(info.st_mode)),
        )
    lines = [line.strip() for line in file.read_text("ascii", errors="replace").splitlines()]
    return Keyring([_decode(line, str(file)) for line in lines if line and not line.startswith("#")], file)


def key_file(data_dir: Path) -> Path:
    named = os.environ.get(FILE_VARIABLE)
    return Path(named) if named else data_dir.with_name(data_dir.name + ".key")


def new_key() -> str:
    """A fresh key in the form that the variable and the file take: base64 of 32 bytes."""
    return base64.urlsafe_b64encode(AESGCM.generate_key(256)).decode()


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"dbstreams key id" + key).digest()[:_ID]


def _decode(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise EngineError(Code.SECRET_UNREADABLE, f"{where}: a key is 32 bytes in base64", where=where)
    return key


def _write(file: Path, keys: Sequence[bytes]) -> None:
    beside = file.with_name(f"{file.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        handle.write("# dbstreams: keys of the encrypted connections, newest first. Keep this file apart.\n")
        handle.writelines(base64.urlsafe_b64encode(key).decode() + "\n" for key in keys)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(beside, file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
