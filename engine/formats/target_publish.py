"""The end of a stream into files: parts joined where one file was asked for, the manifest, the broom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from engine import clock
from engine.config import WriteMode
from engine.connectors.base import LoadTable
from engine.errors import Code, EngineError
from engine.failpoints import fail_point
from engine.formats import write_parquet
from engine.formats.layout import Layout
from engine.formats.manifest import Manifest, ManifestFile, ManifestTable
from engine.formats.parts import PartLoader, TableFormat, manifest_file
from engine.formats.storage import ABSENT, Conflict, PartWriter, Storage
from engine.formats.target_journal import Journal
from engine.formats.write_text import TextFile

COPY_BYTES = 4 << 20
_OURS = re.compile(r"part-.+-\d{5,}-\d{3,}-[0-9a-f]{8}\.[a-z.]+")


@dataclass(frozen=True, slots=True)
class Publisher:
    """tables: by target name, with what the journal decided of each as `modes`."""

    storage: Storage
    where: Layout
    journal: Journal
    tables: Mapping[str, TableFormat]
    modes: Mapping[str, WriteMode]

    def publish(self) -> None:
        """Make the stream's files tables. May be called again after a crash anywhere in it."""
        self._at_least_one_file()
        tables = [self._table(format_) for format_ in self.tables.values()]
        fail_point("before_manifest")
        self._write_manifest(tables)
        fail_point("after_manifest")
        self._remove_replaced()

    def _at_least_one_file(self) -> None:
        """A table of no chunks has a schema all the same."""
        loader = PartLoader(self.storage, self.where, self.journal, lambda name: self.tables[name])
        for name in self.tables:
            if not self.journal.files(name) and self.journal.chunk(name, 0) is None:
                loader.load(LoadTable(self.where.folder, name, (), self.modes[name]), 0, ())

    def _table(self, table: TableFormat) -> ManifestTable:
        files = self.journal.files(table.name)
        if self.where.single:
            files = (self._join(table, files),)
        structure = table.read.table
        kept = {column.name for column in table.read.columns}
        return ManifestTable(
            name=table.name,
            format=table.spec.file_format,
            compression=table.compression,
            columns=table.columns,
            structure=replace(
                structure,
                columns=tuple(column.source for column in table.read.columns),
                primary_key=structure.primary_key if kept.issuperset(structure.key_columns) else (),
                estimated_rows=0,
                estimated_bytes=0,
                create_statement="",
            ),
            created=clock.iso(),
            files=files,
            csv=table.csv,
        )

    # ------------------------------------------------------------ one file

    def _join(self, table: TableFormat, parts: Iterable[ManifestFile]) -> ManifestFile:
        parts = tuple(parts)
        assert self.where.single is not None
        rows = sum(part.rows for part in parts)
        with self.storage.create(self.where.at(self.where.single)) as sink:
            if table.spec.file_format != "parquet":
                self._join_text(table, sink, [part for part in parts if part.rows])
            elif len(parts) == 1:
                self._copy(parts[0], sink)
            else:
                with ExitStack() as stack:
                    opened = (stack.enter_context(self.storage.open(self.where.at(p.path))) for p in parts)
                    write_parquet.join(sink, table.schema, table.spec, opened)
            stored = sink.commit()
        return manifest_file(self.where.single, stored, rows, self.where.stream, 0)

    def _join_text(self, table: TableFormat, sink: PartWriter, parts: Iterable[ManifestFile]) -> None:
        """Head, the parts as they are, tail. Compressed pieces one after the other are one compressed file:
        members of gzip (RFC 1952, 2.2), frames of zstd (RFC 8878, 3)."""
        frame = table.frame
        self._piece(table, sink, frame.head)
        for number, part in enumerate(parts):
            if number and frame.separates:
                self._piece(table, sink, frame.end)
            self._copy(part, sink)
        self._piece(table, sink, frame.tail)

    def _copy(self, part: ManifestFile, sink: PartWriter) -> None:
        with self.storage.open(self.where.at(part.path)) as file:
            while piece := file.read(COPY_BYTES):
                sink.write(piece)

    def _piece(self, table: TableFormat, sink: PartWriter, data: bytes) -> None:
        if data:
            file = TextFile(sink, replace(table.frame, head=data, tail=b""), table.compression)
            file.close()

    # ------------------------------------------------------------ the manifest

    def _write_manifest(self, tables: Iterable[ManifestTable]) -> None:
        tables = tuple(tables)
        while True:
            found = self.storage.get(self.where.manifest)
            known = Manifest.from_bytes(found[0], self.where.manifest) if found else Manifest()
            manifest = replace(known, stream=self.where.stream, written=clock.iso())
            replaced: set[str] = set()
            for table in tables:
                merged = self._merged(known.table(table.name), table)
                old = known.table(table.name)
                replaced |= {file.path for file in old.files} if old else set()
                manifest = manifest.with_table(merged)
            self._remember_replaced(replaced - paths_of(manifest))
            try:
                self.storage.put(self.where.manifest, manifest.to_bytes(), found[1] if found else ABSENT)
            except Conflict:  # another stream into this folder has just ended
                continue
            return

    def _merged(self, old: ManifestTable | None, new: ManifestTable) -> ManifestTable:
        """What another stream has put there meanwhile is judged as it would have been at the start."""
        ours = {file.path for file in new.files}
        others = tuple(file for file in old.files if file.path not in ours) if old else ()
        mode = self.modes[new.name]
        if old is None or mode is WriteMode.TRUNCATE_AND_LOAD or not others:
            return new
        if mode is WriteMode.FAIL_IF_NOT_EMPTY and any(file.rows for file in others):
            raise EngineError(
                Code.TABLE_NOT_EMPTY,
                f"another stream has put rows into {new.name} meanwhile",
                table=new.name,
            )
        if old.shape != new.shape:
            raise EngineError(
                Code.STRUCTURE_MISMATCH,
                f"another stream has put files of another shape into {new.name} meanwhile",
                table=new.name,
            )
        return replace(new, created=old.created, files=(*others, *new.files))

    # ------------------------------------------------------------ the broom

    def _remember_replaced(self, paths: set[str]) -> None:
        """Before the manifest forgets them: a crash right after it must not leave them for ever."""
        detail = dict(self.journal.detail)
        known = set(detail.get("replaced", ()))
        if paths - known:
            self.journal.put_stream("running", {**detail, "replaced": sorted(known | paths)})

    def _remove_replaced(self) -> None:
        replaced = self.journal.detail.get("replaced", ())
        if not replaced:
            return
        found = self.storage.get(self.where.manifest)
        listed = paths_of(Manifest.from_bytes(found[0])) if found else set()
        for path in replaced:
            if path not in listed:
                self.storage.delete(self.where.at(path))


def paths_of(manifest: Manifest) -> set[str]:
    return {file.path for table in manifest.tables for file in table.files}


def sweep(storage: Storage, where: Layout, folders: Iterable[str], keep: set[str]) -> None:
    """Remove this stream's unfinished writes, and its parts that are not kept: what dead attempts left."""
    for folder in {where.checkpoints, *(where.at(folder) for folder in folders)}:
        storage.abandon(folder, where.part_prefix)
        for file in list(storage.list(folder)):
            inner = file.path[len(where.folder) + 1 :] if where.folder else file.path
            if inner.rsplit("/", 1)[-1].startswith(where.part_prefix) and inner not in keep:
                storage.delete(file.path)


def strangers(storage: Storage, where: Layout, folder: str, listed: set[str]) -> list[str]:
    """Files in a table's folder that no stream of ours wrote, up to a few."""
    found: list[str] = []
    for file in storage.list(where.at(folder)):
        inner = file.path[len(where.folder) + 1 :] if where.folder else file.path
        if inner not in listed and not _OURS.fullmatch(inner.rsplit("/", 1)[-1]):
            found.append(inner)
            if len(found) == 3:
                break
    return found


def plain_detail(detail: Mapping[str, Any]) -> dict[str, Any]:
    """A stream's detail without what is only for the end of it."""
    return {name: value for name, value in detail.items() if name != "replaced"}
