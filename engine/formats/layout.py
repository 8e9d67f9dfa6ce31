"""Which file is called what, and which format options can be honoured.

    <path>/_dbstreams_manifest.json               written last: what is listed there is a table
    <path>/<table>/part-<stream>-<chunk>-<n>-<try>.<suffix>
    <path>/_dbstreams_checkpoint/<stream>.json    the journal of a stream that has not ended
    <path>/_dbstreams_checkpoint/part-…           pieces of a single file, joined at the end

`<stream>` is the stream's id without its `stream_`, so that two streams in one folder keep apart; `<try>` is
drawn anew for every attempt at a chunk, so that an attempt that should be dead never writes where another one
has committed.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from engine.config import CsvFormat, FilesTarget, ParquetFormat
from engine.errors import Code, EngineError
from engine.formats import manifest
from engine.formats.storage import join, parts_of

CHECKPOINTS: Final = "_dbstreams_checkpoint"
NAME_BYTES: Final = 255  # of one name on the usual file systems
_COMPRESSED = {"none": "", "gzip": ".gz", "zstd": ".zst", "snappy": ".snappy"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths from the root of the storage. `single`: the name of the one file, in `folder`."""

    folder: str
    stream: str
    suffix: str  # of a part, with its dot
    single: str | None = None

    @classmethod
    def of(cls, spec: FilesTarget, stream_id: str) -> Layout:
        """PATH_NOT_ALLOWED for a path that leads out; VALIDATION_FAILED for one that belongs to us."""
        names = parts_of(spec.path)
        suffix = suffix_of(spec)
        for name in names:
            if name in (manifest.NAME, CHECKPOINTS):
                raise _invalid("path", f"{name} is the name of our own files")
        single = names[-1] if names and is_single(names[-1], spec) else None
        folder = join(*names[:-1]) if single else join(*names)
        return cls(folder, stream_id.removeprefix("stream_"), suffix, single)

    @property
    def manifest(self) -> str:
        return join(self.folder, manifest.NAME)

    @property
    def checkpoints(self) -> str:
        return join(self.folder, CHECKPOINTS)

    @property
    def journal(self) -> str:
        return join(self.checkpoints, f"{self.stream}.json")

    @property
    def part_prefix(self) -> str:
        """How the names of all parts of this stream begin."""
        return f"part-{self.stream}-"

    def new_try(self) -> str:
        return secrets.token_hex(4)

    def part(self, table_folder: str, chunk: int, number: int, attempt: str) -> str:
        """Relative to `folder`."""
        where = CHECKPOINTS if self.single else table_folder
        return join(where, f"{self.part_prefix}{chunk:05}-{number:03}-{attempt}{self.suffix}")

    def at(self, path: str) -> str:
        """A path relative to `folder`, from the root of the storage."""
        return join(self.folder, path)


def suffix_of(spec: FilesTarget) -> str:
    """`.parquet`, `.csv.gz`, `.jsonl.zst`…"""
    if spec.file_format == "parquet":
        return ".parquet"
    return f".{spec.file_format}{_COMPRESSED[spec.format.compression]}"


def is_single(name: str, spec: FilesTarget) -> bool:
    """Whether the last name of a path means one file. VALIDATION_FAILED for a name whose end says another
    compression than the format does."""
    bare = f".{spec.file_format}"
    if name.endswith(suffix_of(spec)):
        return True
    for end in _COMPRESSED.values():
        if name.endswith(bare + end):
            raise _invalid(
                "path", f"{name} does not fit format.compression: its name should end in {suffix_of(spec)}"
            )
    return False


def folder_name(table: str) -> str:
    """The folder of a table: its name, where that can be one; else with the bytes that cannot written as %XX,
    and a hash in place of the end when that is too long."""
    safe = "".join(
        char if _plain(char) else "".join(f"%{byte:02X}" for byte in char.encode()) for char in table
    )
    if safe.startswith((".", "_dbstreams")):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if len(safe.encode()) <= NAME_BYTES:
        return safe
    digest = hashlib.sha256(table.encode()).hexdigest()[:12]
    cut = safe.encode()[: NAME_BYTES - 13].decode(errors="ignore")
    return f"{cut}~{digest}"


def _plain(char: str) -> bool:
    return char not in '/\\%:*?"<>|' and char.isprintable()


def distinct(names: list[str]) -> list[str]:
    """The names with `_1`, `_2`… after those that differ from an earlier one by case alone, or not at all:
    many readers, and some file systems, would take them for one."""
    taken = {name.casefold() for name in names}
    seen: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 0
        while candidate.casefold() in seen or (number and candidate.casefold() in taken):
            number += 1
            candidate = f"{name}_{number}"
        seen.add(candidate.casefold())
        result.append(candidate)
    return result


# ---------------------------------------------------------------- options


def check_options(spec: FilesTarget) -> None:
    """VALIDATION_FAILED naming the field that cannot be honoured."""
    options = spec.format
    if spec.file_format != "parquet":
        if options.compression == "snappy":
            raise _invalid(
                "format.compression",
                f"snappy is for Parquet: {spec.file_format} files take none, gzip or zstd",
            )
        if options.parquet != ParquetFormat():
            raise _invalid("format.parquet", f"{spec.file_format} files have no Parquet options")
    else:
        _check_parquet(spec)
    if spec.file_format != "csv":
        if options.csv != CsvFormat():
            raise _invalid("format.csv", f"{spec.file_format} files have no CSV options")
    else:
        _check_csv(options.csv)


def codec_of(spec: FilesTarget) -> str:
    return spec.format.parquet.compression_codec or spec.format.compression


def _check_parquet(spec: FilesTarget) -> None:
    codec, level = codec_of(spec), spec.format.parquet.compression_level
    if level is None:
        return
    if codec in ("none", "snappy"):
        raise _invalid("format.parquet.compressionLevel", f"the codec {codec} has no levels")
    low, high = (
        pa.Codec.minimum_compression_level(codec),
        pa.Codec.maximum_compression_level(codec),
    )
    if not low <= level <= high:
        raise _invalid("format.parquet.compressionLevel", f"{codec} has levels {max(1, low)} to {high}")


def _check_csv(csv: CsvFormat) -> None:
    for name, char in (("delimiter", csv.delimiter), ("quote", csv.quote)):
        if char in "\r\n\0":
            raise _invalid(f"format.csv.{name}", "a line end or NUL cannot be it")
    if csv.delimiter == csv.quote:
        raise _invalid("format.csv.quote", "delimiter and quote must differ")
    if csv.quote.isalnum() or csv.quote in "+-.: \\":
        raise _invalid("format.csv.quote", "a character of unquoted values cannot quote")


def _invalid(field: str, problem: str) -> EngineError:
    return EngineError(
        Code.VALIDATION_FAILED, f"{field}: {problem}", fields=[{"field": field, "problem": problem}]
    )
