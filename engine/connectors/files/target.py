"""Files of this machine as a target: the folder of the connection, and what is written under it."""

from __future__ import annotations

from engine.config import Connection, TargetSpec
from engine.connectors.files.session import open_storage
from engine.errors import Code, EngineError
from engine.formats.target import FormatTarget


def open_target(connection: Connection, spec: TargetSpec, stream_id: str) -> FormatTarget:
    """UNSUPPORTED_ROUTE when the spec is not one of files; CONNECTION_FAILED without the folder."""
    if spec.files is None:
        raise EngineError(
            Code.UNSUPPORTED_ROUTE, "a files connection needs target.spec.files", field="target.spec"
        )
    storage = open_storage(connection, write=True)
    return FormatTarget(storage, spec.files, stream_id, "target.spec.files")
