"""Files → tables: which files are chosen, what each is by its name, and which make up a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engine.config import FileFormat, FileReading
from engine.errors import Code, EngineError
from engine.formats import manifest
from engine.formats.layout import CHECKPOINTS
from engine.formats.manifest import Manifest, ManifestFile, ManifestTable
from engine.formats.storage import Storage, StoredFile, changed, join, not_allowed, parts_of

_FORMATS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
Compression = Literal["none", "gzip", "zstd"]
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a name says: the format (None: nothing), the compression, and the name without its suffixes."""

    format: FileFormat | None
    compression: Compression
    stem: str


@dataclass(frozen=True, slots=True)
class FileTable:
    """A table and its files, in the order they are read. `manifest`: what its manifest says of it, when there
    is one; `folder` is then where the manifest lies."""

    name: str
    format: FileFormat
    files: tuple[StoredFile, ...]
    manifest: ManifestTable | None = None

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)

    def compression(self, file: StoredFile) -> Compression:
        return kind_of(file.path).compression


def kind_of(path: str) -> FileKind:
    """By the suffixes of the last part of a path: `orders.csv.gz` is gzip CSV called `orders`."""
    name = path.rsplit("/", 1)[-1]
    stem = name
    compression: Compression = "none"
    for suffix, found in _COMPRESSIONS.items():
        if stem.lower().endswith(suffix) and len(stem) > len(suffix):
            stem, compression = stem[: -len(suffix)], found
            break
    for suffix, form in _FORMATS.items():
        if stem.lower().endswith(suffix) and len(stem) > len(suffix):
            return FileKind(form, compression, stem[: -len(suffix)])
    return FileKind(None, compression, stem.rsplit(".", 1)[0] or stem)


# ---------------------------------------------------------------- choosing


class Chosen:
    """The files of a selection and the manifests that speak for them. `notes`: what was passed over."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.files: dict[str, StoredFile] = {}
        self.manifests: dict[str, Manifest] = {}  # folder → its manifest
        self.named: set[str] = set()  # chosen by their own names, not found in a folder
        self.notes: list[str] = []
        self._without: set[str] = set()  # folders known to have no manifest

    def add_path(self, path: str) -> None:
        """A file, a glob or a folder. PATH_NOT_ALLOWED for one that leads out, or is neither file nor folder;
        VALIDATION_FAILED when nothing is there."""
        parts = parts_of(path)
        wild = next((number for number, part in enumerate(parts) if _WILD.search(part)), None)
        if wild is not None and not self._is_file(join(*parts)):
            self._add_glob("/".join(parts[:wild]), join(*parts))
        elif (found := self._storage.stat(join(*parts)) if parts else None) is not None:
            self.add_file(found)
        else:
            self._add_folder(join(*parts))

    def add_file(self, file: StoredFile) -> None:
        """A file chosen by name. A manifest in its folder, or in the one above, says what it is."""
        self.files[file.path] = file
        self.named.add(file.path)
        folder = file.path.rpartition("/")[0]
        for place in (folder, folder.rpartition("/")[0]):
            self.add_manifest(place, known=False)

    def _is_file(self, path: str) -> bool:
        return self._storage.stat(path) is not None

    def _add_folder(self, path: str) -> None:
        found = list(self._storage.list(path))
        local = self._storage.local_path(path)
        if local is not None and local.exists() and not local.is_dir():
            raise not_allowed(path)  # a device, a socket, a pipe
        if not found and (local is None or not local.is_dir()):
            raise nothing_there(path or self._storage.place)
        self._add_all(found)

    def _add_glob(self, under: str, pattern: str) -> None:
        matches = glob_matcher(pattern)
        found = [file for file in self._storage.list(under) if matches(file.path)]
        if not found:
            raise nothing_there(pattern)
        self._add_all(found)

    def _add_all(self, found: Sequence[StoredFile]) -> None:
        for file in found:
            if file.path.rsplit("/", 1)[-1] == manifest.NAME:
                self.add_manifest(file.path.rpartition("/")[0])
        self.files.update({file.path: file for file in found})

    def add_manifest(self, folder: str, *, known: bool = True) -> Manifest | None:
        """Read the manifest of a folder, if there is one. Of one that is not `known` to be there, a storage
        that may not be listed only says that it is denied."""
        if folder not in self.manifests and folder not in self._without:
            path = join(folder, manifest.NAME)
            try:
                content = self._storage.get(path)
            except EngineError as error:
                if known or error.details.get("reason") != "denied":
                    raise
                self.notes.append(f"{path} is not there, or may not be read: types are found by looking")
                content = None
            if content is None:
                self._without.add(folder)
            else:
                self.manifests[folder] = Manifest.from_bytes(content[0], path)
        return self.manifests.get(folder)

    def add_manifest_at(self, path: str) -> None:
        """The manifest of that path, whatever its name. VALIDATION_FAILED when there is none."""
        content = self._storage.get(path)
        if content is None:
            raise nothing_there(path)
        self.manifests[path.rpartition("/")[0]] = Manifest.from_bytes(content[0], path)

    def add_prefix(self, prefix: str) -> None:
        """Every file whose path begins so."""
        under, _, begins = prefix.rpartition("/")
        found = list(self._storage.list(under, begins))
        if not found:
            raise nothing_there(f"{prefix}*")
        self._add_all(found)


def nothing_there(path: str) -> EngineError:
    return EngineError(Code.VALIDATION_FAILED, f"there is no file {path}", path=path)


def glob_matcher(pattern: str) -> Callable[[str], bool]:
    """`*` and `?` stay within a part of the path, `**` is any number of parts, `[abc]` one of them."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**/"):
            out.append("(?:[^/]+/)*")
            at += 3
        elif rest.startswith("**"):
            out.append(".*")
            at += 2
        elif rest[0] == "*":
            out.append("[^/]*")
            at += 1
        elif rest[0] == "?":
            out.append("[^/]")
            at += 1
        elif rest[0] == "[" and (end := pattern.find("]", at + 2)) > 0:
            inner = pattern[at + 1 : end].replace("\\", "\\\\")
            inner = "^" + inner[1:] if inner.startswith("!") else inner.replace("^", "\\^", 1)
            out.append(f"(?!/)[{inner}]")
            at = end + 1
        else:
            out.append(re.escape(rest[0]))
            at += 1
    compiled = re.compile("".join(out), re.DOTALL)
    return lambda path: compiled.fullmatch(path) is not None


# ---------------------------------------------------------------- tables


def tables_of(chosen: Chosen, storage: Storage, reading: FileReading) -> list[FileTable]:
    """The tables of the chosen files, by name. VALIDATION_FAILED when two would have one name, when a file
    chosen by name is of no format we know, or when the format asked for is not the manifest's."""
    tables: list[FileTable] = []
    left = {path: file for path, file in chosen.files.items() if not _is_ours(path)}
    for folder, content in sorted(chosen.manifests.items()):
        tables += _of_manifest(storage, folder, content, chosen, left)
    grouped: dict[str, list[StoredFile]] = {}
    for path in sorted(left):
        if (found := _format_of(left[path], reading, path in chosen.named)) is None:
            chosen.notes.append(f"{path} is passed over: its name says no format that can be read")
            continue
        folder = path.rpartition("/")[0]
        place = f"{folder}\0{found}" if reading.tables == "folder" else path
        grouped.setdefault(place, []).append(left[path])
    for place, files in grouped.items():
        form = _format_of(files[0], reading, True)
        assert form is not None
        tables.append(FileTable(_name_of(place, files, storage, reading), form, tuple(files)))
    _refuse_collisions(tables)
    return sorted(tables, key=lambda table: table.name)


def _is_ours(path: str) -> bool:
    """A manifest, or what a stream that has not ended keeps beside its files."""
    *folders, name = path.split("/")
    return name == manifest.NAME or CHECKPOINTS in folders


def _format_of(file: StoredFile, reading: FileReading, named: bool) -> FileFormat | None:
    by_name = kind_of(file.path).format
    if reading.format is not None:
        return reading.format if named or by_name in (reading.format, None) else None
    if by_name is None and named:
        raise EngineError(
            Code.VALIDATION_FAILED,
            f"{file.path}: the name does not say the format; set format to csv, json, jsonl or parquet",
            path=file.path,
            field="format",
        )
    return by_name


def _name_of(place: str, files: Sequence[StoredFile], storage: Storage, reading: FileReading) -> str:
    if reading.tables == "folder":
        folder = place.partition("\0")[0] or storage.place.rstrip("/")
        return folder.rsplit("/", 1)[-1] or "files"
    return kind_of(files[0].path).stem


def _refuse_collisions(tables: Iterable[FileTable]) -> None:
    by_name: dict[str, FileTable] = {}
    for table in tables:
        other = by_name.setdefault(table.name, table)
        if other is not table:
            paths = [other.files[0].path if other.files else "", table.files[0].path if table.files else ""]
            raise EngineError(
                Code.VALIDATION_FAILED,
                f"two tables would be called {table.name}: of {paths[0]} and of {paths[1]}; choose one"
                " of them with paths, or set tables to folder",
                table=table.name,
                paths=paths,
            )


def _of_manifest(
    storage: Storage, folder: str, content: Manifest, chosen: Chosen, left: dict[str, StoredFile]
) -> list[FileTable]:
    """The tables a manifest lists; what else lies beside them and was not chosen by name is no table."""
    found: list[FileTable] = []
    whole = not any(path.startswith(f"{folder}/" if folder else "") for path in chosen.named)
    for table in content.tables:
        listed = [(join(folder, file.path), file) for file in table.files]
        files = [
            _checked(storage, path, file, left.pop(path, None))
            for path, file in listed
            if whole or path in left
        ]
        if whole or files:
            found.append(FileTable(table.name, _known_format(table), tuple(files), table))
    under = f"{folder}/" if folder else ""
    for path in [path for path in left if path.startswith(under) and path not in chosen.named]:
        if not any(path.startswith(f"{other}/") for other in chosen.manifests if other and other != folder):
            del left[path]
            chosen.notes.append(f"{path} is passed over: the manifest in its folder does not list it")
    return found


def _known_format(table: ManifestTable) -> FileFormat:
    for known in ("csv", "json", "jsonl", "parquet"):
        if table.format == known:
            return known
    raise EngineError(
        Code.VALIDATION_FAILED,
        f"the manifest says that {table.name} is {table.format!r}, which cannot be read",
        table=table.name,
    )


def _checked(storage: Storage, path: str, listed: ManifestFile, found: StoredFile | None) -> StoredFile:
    """The file as the manifest has it; FILE_CHANGED when the one that is there is another."""
    if found is None and storage.flavor == "files":
        found = storage.stat(path)
        if found is None:
            raise EngineError(Code.FILE_CHANGED, f"{path} is in the manifest and is not there", path=path)
    if found is None:  # a bucket is not asked: a read is of this very version, or fails
        return StoredFile(path, listed.bytes, listed.etag or "")
    if found.size != listed.bytes or (listed.etag is not None and found.version != listed.etag):
        error = changed(path)
        error.message = f"{path} is not the file its manifest lists: {found.size} bytes, not {listed.bytes}"
        raise error
    return replace(found, sha256=listed.sha256)
