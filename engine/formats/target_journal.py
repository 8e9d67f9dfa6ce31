"""The journal of a stream beside its data: which attempt may commit, what was decided, which chunks are in.

One small file, replaced as a whole under the condition that it is still the one we know. Every attempt begins
by raising the epoch in it, so a worker that should be dead has committed before the new attempt looked, or
finds the journal changed and commits nothing more. Where the storage takes no conditions (an S3 server
without If-Match), the journal is compared just before it is replaced instead.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson

from engine import clock
from engine.connectors.base import TableState
from engine.errors import Code, EngineError
from engine.formats.manifest import ManifestFile
from engine.formats.storage import ABSENT, Conflict, Storage

VERSION: Final = 1


class Journal:
    """Called from any thread. `path` is from the root of the storage."""

    def __init__(self, storage: Storage, path: str, stream_id: str) -> None:
        self._storage = storage
        self._path = path
        self._stream_id = stream_id
        self._lock = threading.Lock()
        self._content: dict[str, Any] = {}
        self._tag: str | None = None  # None: to be read again before it is written
        self.epoch = 0

    # ------------------------------------------------------------ owning

    def claim(self) -> bool:
        """Raise the epoch. True when an earlier attempt left something."""
        with self._lock:
            while True:
                content, tag = self._read()
                content["epoch"] += 1
                content["updated"] = clock.iso()
                try:
                    self._tag = self._storage.put(self._path, orjson.dumps(content), tag)
                except Conflict:
                    continue
                self._content, self.epoch = content, content["epoch"]
                return self.epoch > 1

    def _read(self) -> tuple[dict[str, Any], str]:
        found = self._storage.get(self._path)
        if found is None:
            empty = {
                "version": VERSION,
                "stream": self._stream_id,
                "epoch": 0,
                "state": "running",
                "detail": {},
                "tables": {},
            }
            return empty, ABSENT
        try:
            content = orjson.loads(found[0])
            if content["version"] == VERSION and content["stream"] == self._stream_id:
                return content, found[1]
        except (ValueError, TypeError, KeyError):
            pass
        raise EngineError(
            Code.VALIDATION_FAILED,
            f"{self._path} in {self._storage.place} is no journal of this stream: move it away",
            path=self._path,
        )

    def _superseded(self) -> EngineError:
        return EngineError(
            Code.EPOCH_SUPERSEDED,
            f"stream {self._stream_id} was taken over by another attempt; this one commits nothing more",
            streamId=self._stream_id,
            epoch=self.epoch,
        )

    def _current(self) -> dict[str, Any]:
        """What the storage holds, where we are not sure that we know it. Under the lock."""
        if self._tag is None:
            self._content, self._tag = self._read()
        if self.epoch and self._content["epoch"] != self.epoch:
            raise self._superseded()
        return self._content

    def _write(self, content: dict[str, Any]) -> None:
        """Under the lock. Until it has gone through we do not know what is there."""
        tag, self._tag = self._tag, None
        content["updated"] = clock.iso()
        try:
            self._tag = self._storage.put(self._path, orjson.dumps(content), tag)
        except Conflict:
            found, self._tag = self._read()
            self._content = found
            if found["epoch"] != self.epoch:
                raise self._superseded() from None
            # Our own words, whose answer was lost. The caller tries again from what is there now.
            raise EngineError(
                Code.CONNECTION_LOST, "the journal was written, but the answer got lost", path=self._path
            ) from None
        self._content = content

    # ------------------------------------------------------------ the stream

    @property
    def state(self) -> str:
        with self._lock:
            return str(self._current()["state"])

    @property
    def detail(self) -> Mapping[str, Any]:
        with self._lock:
            return dict(self._current()["detail"])

    def put_stream(self, state: str, detail: Mapping[str, Any]) -> None:
        with self._lock:
            self._write({**self._current(), "state": state, "detail": dict(detail)})

    # ------------------------------------------------------------ tables

    def tables(self) -> dict[str, TableState]:
        with self._lock:
            return {
                name: TableState(
                    "ready",
                    table["detail"],
                    {
                        int(number): (chunk["rows"], chunk["bytes"])
                        for number, chunk in table["chunks"].items()
                    },
                )
                for name, table in self._current()["tables"].items()
            }

    def put_tables(self, details: Mapping[str, Mapping[str, Any]]) -> None:
        """Tables the journal does not hold yet; what was decided of the others stands."""
        with self._lock:
            content = self._current()
            new = {
                name: {"detail": dict(detail), "chunks": {}}
                for name, detail in details.items()
                if name not in content["tables"]
            }
            if new:
                self._write({**content, "tables": {**content["tables"], **new}})

    # ------------------------------------------------------------ chunks

    def commit_chunk(
        self, table: str, chunk: int, rows: int, bytes_: int, files: Sequence[ManifestFile]
    ) -> None:
        """EPOCH_SUPERSEDED when another attempt owns the stream, or has committed the chunk."""
        with self._lock:
            content = self._current()
            known = content["tables"][table]
            if str(chunk) in known["chunks"]:
                raise self._superseded()
            entry = {"rows": rows, "bytes": bytes_, "files": [_entry(file) for file in files]}
            changed = {**known, "chunks": {**known["chunks"], str(chunk): entry}}
            self._write({**content, "tables": {**content["tables"], table: changed}})

    def chunk(self, table: str, chunk: int) -> tuple[int, int] | None:
        with self._lock:
            found = self._current()["tables"].get(table, {}).get("chunks", {}).get(str(chunk))
        return (found["rows"], found["bytes"]) if found else None

    def files(self, table: str) -> tuple[ManifestFile, ...]:
        """All of a table, in the order of chunks and parts."""
        with self._lock:
            chunks = self._current()["tables"].get(table, {}).get("chunks", {})
        return tuple(
            ManifestFile(**file) for number in sorted(chunks, key=int) for file in chunks[number]["files"]
        )

    def paths(self) -> set[str]:
        """Of all committed files, from the folder of the manifest."""
        with self._lock:
            names = list(self._current()["tables"])
        return {file.path for name in names for file in self.files(name)}

    # ------------------------------------------------------------ the end

    def exists(self) -> bool:
        return self._storage.get(self._path) is not None

    def remove(self) -> None:
        with self._lock:
            self._storage.delete(self._path)
            self._tag = None


def _entry(file: ManifestFile) -> dict[str, Any]:
    return {name: value for name, value in asdict(file).items() if value is not None}
