"""Files, wherever they lie, as the target of a bounded stream: the one object `engine.streams` drives."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from engine.config import DbTarget, FilesTarget, WriteMode
from engine.connectors.base import (
    BatchEncoder,
    Facts,
    LoadTable,
    Note,
    Phase,
    ServerInfo,
    Severity,
    SqlLog,
    Statement,
    TableRead,
    TableState,
    TargetDatabase,
    TargetTable,
)
from engine.errors import Code, EngineError
from engine.formats import encode, layout, target_digits, target_map, target_publish
from engine.formats.layout import Layout
from engine.formats.manifest import Manifest, ManifestTable
from engine.formats.parts import PartLoader, TableFormat
from engine.formats.storage import Storage
from engine.formats.target_digits import Digits
from engine.formats.target_journal import Journal
from engine.formats.target_publish import Publisher
from engine.schema import Database


class FormatTarget:
    """A folder of a storage that a stream writes tables into. Looking changes nothing until `claim`.

    `field`: where the spec stands in the config, for messages. Raises VALIDATION_FAILED for options that
    cannot be honoured, PATH_NOT_ALLOWED, what the storage raises.
    """

    def __init__(
        self, storage: Storage, given: FilesTarget, stream_id: str, field: str, remarks: Sequence[Note] = ()
    ) -> None:
        layout.check_options(given)
        self.files = given
        self.spec = DbTarget(write_mode=given.write_mode, policies=given.policies, rename=given.rename)
        self.storage = storage
        self.where = Layout.of(given, stream_id)
        self.database = storage.place
        self.schema = self.where.folder
        self.info = ServerInfo(storage.flavor, "", (), storage.place)
        self._field = field
        self._remarks = tuple(remarks)
        self._journal = Journal(storage, self.where.journal, stream_id)
        self._manifest = self._read_manifest()
        self._formats: dict[str, TableFormat] = {}
        self._digits: dict[str, Digits] = {}  # by target table, as found by the plan
        self._untidy = threading.Event()  # a chunk was tried again: what it wrote first may still lie there

    def _read_manifest(self) -> Manifest:
        found = self.storage.get(self.where.manifest)
        return Manifest.from_bytes(found[0], self.where.manifest) if found else Manifest()

    # ------------------------------------------------------------ planning

    def map(self, database: Database, facts: Mapping[str, Facts]) -> TargetDatabase:
        mapped = target_map.map_database(database, facts, self.files, self.where, self._field)
        for table in mapped.tables:
            found = facts.get(table.source.name)
            self._digits[table.name], _ = target_digits.measured_digits(
                table.source, table.name, found, self.files
            )
        return TargetDatabase(
            mapped.schema, mapped.tables, mapped.statements, (*mapped.notes, *self._remarks)
        )

    def exists(self, name: str) -> bool:
        return self._manifest.table(name) is not None

    def check(self, read: TableRead, table: TargetTable) -> list[Note]:
        known = self._manifest.table(table.name)
        wider = self._join_digits(table, known)
        format_ = self._format(read, table)
        notes = [
            note
            for column, shape in zip(read.columns, format_.values.shapes, strict=True)
            for note in encode.remarks(column, shape, table.name)
        ]
        if self.spec.write_mode is WriteMode.UPSERT:
            said = "files are written once: upsert needs a database, append and truncate_and_load do not"
            return [*notes, _refused("upsert-into-files", said, table.name)]
        if self.where.single:
            return [*notes, *self._check_single(table.name, known)]
        return [*notes, *wider, *self._check_folder(table.name, format_, known)]

    def _join_digits(self, table: TargetTable, known: ManifestTable | None) -> list[Note]:
        """Parts that join others have the decimals of those, whatever the values would need."""
        new = self._digits.get(table.name)
        if not new or known is None or not known.files or self.spec.write_mode is not WriteMode.APPEND:
            return []
        names = {column.source: column.name for column in table.columns}
        path = self.where.at(known.files[0].path)
        there = target_digits.digits_there(self.storage, path, names)
        self._digits[table.name], wider = target_digits.joined(new, there)
        return [
            _refused(
                "type-mismatch",
                f"{table.name}.{names[column]} is there as decimal{there[column]}: its values have more",
                table.name,
            )
            for column in wider
        ]

    def _check_single(self, name: str, known: ManifestTable | None) -> list[Note]:
        """A single file is replaced or made; adding rows to it would not be one step."""
        assert self.where.single is not None
        path = self.where.at(self.where.single)
        if self.spec.write_mode is WriteMode.TRUNCATE_AND_LOAD or self.storage.stat(path) is None:
            return []
        rows = known.rows if known else None
        if self.spec.write_mode is WriteMode.FAIL_IF_NOT_EMPTY:
            return [] if rows == 0 else [_refused("table-not-empty", f"{path} is there already", name)]
        said = f"{path} is there already: truncate_and_load replaces it, a folder as path takes more parts"
        return [_refused("single-file-append", said, name)]

    def _check_folder(self, name: str, new: TableFormat, known: ManifestTable | None) -> list[Note]:
        mode = self.spec.write_mode
        notes = []
        if known is not None and mode is WriteMode.APPEND and known.files:
            notes += _misfits(known, new)
        if known is not None and mode is WriteMode.FAIL_IF_NOT_EMPTY and known.rows:
            notes.append(_refused("table-not-empty", f"{name} has {known.rows} rows in the manifest", name))
        listed = {file.path for file in known.files} if known else set()
        others = target_publish.strangers(self.storage, self.where, new.folder, listed)
        if others:
            said = f"{others[0]} is in the folder of {name} and was not written by us"
            if mode is WriteMode.FAIL_IF_NOT_EMPTY:
                notes.append(_refused("table-not-empty", said, name))
            else:
                said += ": it stays, and readers that ignore the manifest would take it for a part"
                notes.append(Note(Severity.WARNING, "foreign-files", said, name))
        return notes

    def as_found(self, table: TargetTable) -> TargetTable:
        return table

    def load_order(self, tables: Sequence[TargetTable]) -> tuple[list[list[str]], list[Note]]:
        return ([[table.name for table in tables]] if tables else []), []

    def references_itself(self, name: str) -> bool:
        return False

    def takes_raw(self, read: TableRead, table: TargetTable) -> bool:
        return False

    def encoder(self, read: TableRead, table: TargetTable) -> BatchEncoder:
        return self._format(read, table).encoder()

    def _format(self, read: TableRead, table: TargetTable) -> TableFormat:
        names = {column.source: column.name for column in table.columns}
        return TableFormat(
            name=table.name,
            folder=layout.folder_name(table.name),
            read=read,
            spec=self.files,
            names=tuple(names[column.name] for column in read.columns),
            bare=self.where.single is not None,
            digits=self._digits_of(table.name),
        )

    def _digits_of(self, name: str) -> Digits:
        """What an earlier attempt decided stands: its parts are there."""
        state = self._journal.tables().get(name)
        if state is None:
            return self._digits.get(name, {})
        return {column: (pair[0], pair[1]) for column, pair in state.detail.get("digits", {}).items()}

    # ------------------------------------------------------------ running

    def claim(self) -> bool:
        """Raise the epoch; then what dead attempts left half-written goes."""
        earlier = self._journal.claim()
        if earlier:
            self._sweep()
        return earlier

    def _sweep(self) -> None:
        keep = self._journal.paths() | target_publish.paths_of(self._read_manifest())
        target_publish.sweep(self.storage, self.where, self._folders(), keep)

    def _folders(self) -> list[str]:
        if self.where.single:
            return []
        return [state.detail["folder"] for state in self._journal.tables().values()]

    def journal(self) -> dict[str, TableState]:
        return self._journal.tables()

    def stream_detail(self) -> Mapping[str, Any]:
        return target_publish.plain_detail(self._journal.detail)

    def put_stream(self, state: Literal["running", "finished"], detail: Mapping[str, Any]) -> None:
        """`finished` makes the files tables: only then do they appear in the manifest."""
        if state == "finished":
            journal = self._journal.tables()
            modes = {name: WriteMode(journal[name].detail["mode"]) for name in self._formats}
            Publisher(self.storage, self.where, self._journal, self._formats, modes).publish()
            if self._journal.epoch > 1 or self._untidy.is_set():
                self._sweep()
        self._journal.put_stream(state, detail)
        if state == "finished" and self.where.single:  # the pieces, once nobody joins them again
            self._sweep_unlisted()

    def is_finished(self) -> bool:
        return self._journal.state == "finished"

    def prepare(
        self, database: TargetDatabase, details: Mapping[str, Mapping[str, Any]], log: SqlLog
    ) -> dict[str, TableState]:
        """Journal what was decided; files need nothing made beforehand."""
        self._journal.put_tables(
            {
                table.name: {
                    **details[table.name],
                    "created": not self.exists(table.name),
                    "mode": self.spec.write_mode.value,
                    "folder": layout.folder_name(table.name),
                    "digits": {name: list(pair) for name, pair in self._digits.get(table.name, {}).items()},
                }
                for table in database.tables
            }
        )
        return self._journal.tables()

    def load_table(self, read: TableRead, table: TargetTable) -> LoadTable:
        format_ = self._formats[table.name] = self._format(read, table)
        return LoadTable(self.where.folder, table.name, format_.names, self.spec.write_mode)

    def loader(self) -> PartLoader:
        return PartLoader(
            self.storage, self.where, self._journal, lambda name: self._formats[name], self._untidy.set
        )

    def finishing(
        self, database: TargetDatabase, journal: Mapping[str, TableState]
    ) -> dict[Phase, list[Statement]]:
        return {}

    def finisher(self) -> NoFinisher:
        return NoFinisher()

    def forget(self) -> None:
        """Remove the journal. Of a stream that is given up, also the files that are in no manifest."""
        if not self._journal.exists():
            return
        if self.where.single or not self.is_finished():
            self._sweep_unlisted()
        self._journal.remove()

    def _sweep_unlisted(self) -> None:
        listed = target_publish.paths_of(self._read_manifest())
        target_publish.sweep(self.storage, self.where, self._folders(), listed)

    def close(self) -> None:
        self.storage.close()


class NoFinisher:
    """Files have no statements."""

    def run(self, statement: Statement, log: SqlLog) -> Note | None:
        raise EngineError(Code.INTERNAL_ERROR, f"files take no statement: {statement.object}")

    def close(self) -> None: ...


def _misfits(known: ManifestTable, new: TableFormat) -> list[Note]:
    """Why new parts cannot join those that are listed."""
    if known.format != new.spec.file_format:
        said = f"{new.name} is there as {known.format} files: parts of another format cannot join them"
        return [_refused("type-mismatch", said, new.name)]
    if known.csv != new.csv:
        said = f"{new.name} is there with another CSV dialect: use that one, or truncate_and_load"
        return [_refused("type-mismatch", said, new.name)]
    before = {column.name: column for column in known.columns}
    after = {column.name: column for column in new.columns}
    notes = [
        _refused("column-not-given", f"{new.name}.{name} is in the files there, not in the source", new.name)
        for name in before.keys() - after.keys()
    ]
    notes += [
        _refused("column-missing", f"{new.name}.{name} is not in the files there", new.name)
        for name in after.keys() - before.keys()
    ]
    for name in before.keys() & after.keys():
        old, now = before[name], after[name]
        if _kind(old) != _kind(now):
            was, is_ = old.source.native_type, now.source.native_type
            if was == is_:
                was, is_ = f"{was} ({old.encoding.value})", f"{is_} ({now.encoding.value})"
            said = f"{new.name}.{name} is there as {was}, now {is_}"
            notes.append(_refused("type-mismatch", said, new.name))
    if not notes and [*before] != [*after]:
        notes.append(_refused("type-mismatch", f"{new.name} has its columns in another order", new.name))
    return sorted(notes, key=lambda note: note.message)


def _kind(column: Any) -> tuple[Any, ...]:
    return column.source.native_type, column.image, column.arrow, column.encoding


def _refused(slug: str, message: str, table: str) -> Note:
    return Note(Severity.REFUSED, slug, message, table=table)
