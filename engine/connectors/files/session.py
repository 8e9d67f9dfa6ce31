"""What a files connection is asked over REST, and the one place that opens its folder."""

from __future__ import annotations

import os
from typing import Any

from engine.config import Connection
from engine.errors import Code, EngineError
from engine.formats.storage_local import LocalStorage

_ADVICE = {
    "missing": "there is no such folder",
    "not_a_folder": "it is not a folder",
    "not_readable": "this process may not read it",
    "not_writable": "this process may not write into it",
    "relative": "basePath must be absolute",
}


def open_storage(connection: Connection, *, write: bool = False) -> LocalStorage:
    """The connection's folder. CONNECTION_FAILED with `reason` when it is not there or not ours to use."""
    assert connection.spec.files is not None
    base = connection.spec.files.base_path
    reason = _problem(base, write)
    if reason is not None:
        raise EngineError(
            Code.CONNECTION_FAILED,
            f"cannot use the folder {base}: {_ADVICE[reason]}",
            reason=reason,
            path=base,
        )
    return LocalStorage(base)


def _problem(base: str, write: bool) -> str | None:
    if not os.path.isabs(base) or "\0" in base:
        return "relative"
    if not os.path.exists(base):
        return "missing"
    if not os.path.isdir(base):
        return "not_a_folder"
    if not os.access(base, os.R_OK | os.X_OK):
        return "not_readable"
    return "not_writable" if write and not os.access(base, os.W_OK) else None


def test(connection: Connection) -> dict[str, Any]:
    """`{ping, serverVersion, flavor, writable}`; a folder that can only be read is still a source."""
    storage = open_storage(connection)
    return {
        "ping": "ok",
        "serverVersion": "",
        "flavor": "files",
        "path": storage.place,
        "writable": os.access(storage.place, os.W_OK),
    }


def databases(connection: Connection) -> list[dict[str, Any]]:
    """Folders are no databases: their content is browsed, not listed here."""
    open_storage(connection)
    return []


def create_database(connection: Connection, name: str) -> None:
    raise _none("databases")


def schemas(connection: Connection, database: str) -> list[dict[str, Any]]:
    raise _none("schemas")


def create_schema(connection: Connection, database: str, name: str) -> None:
    raise _none("schemas")


def table_names(connection: Connection, database: str, schema: str | None) -> set[str]:
    raise _none("databases")


def _none(what: str) -> EngineError:
    return EngineError(Code.UNSUPPORTED_ROUTE, f"a files connection has no {what}", type="files")
