"""The bytes of a text file as UTF-8: unpacked, decoded, without a byte order mark."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator

import pyarrow as pa

from engine.errors import Code, EngineError
from engine.formats.storage import Storage, StoredFile
from engine.formats.tables import Compression

PIECE = 1 << 20
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def pieces(
    storage: Storage,
    file: StoredFile,
    compression: Compression,
    encoding: str | None,
    start: int = 0,
    end: int | None = None,
) -> Iterator[bytes]:
    """The text in pieces of at most a few MB. `encoding` None: by the byte order mark, else UTF-8 (which is
    passed on unchecked: whoever parses it checks it). `start`, `end`: a range of a plain UTF-8 file.

    Raises ROW_REJECTED for bytes that the encoding does not have, and for a packed file that is cut off.
    """
    with storage.open(file.path, file.version) as raw:
        if start or end is not None:
            yield from _range(raw, file, start, file.size if end is None else end)
            return
        with unpacked(raw, compression, file.path) as stream:
            first = stream.read(PIECE)
            _, name = next(((m, n) for m, n in _MARKS if first.startswith(m)), (b"", None))
            coding = coding_of(encoding) if encoding else coding_of(name or "utf-8")
            if coding == "utf-8":
                first = first.removeprefix(codecs.BOM_UTF8)
                yield first
                while piece := stream.read(PIECE):
                    yield piece
                return
            yield from _decoded(stream, first, coding, file.path)


def _range(raw: io.RawIOBase, file: StoredFile, start: int, end: int) -> Iterator[bytes]:
    raw.seek(start)
    left = end - start
    first = start == 0
    while left > 0:
        piece = raw.read(min(left, PIECE))
        if not piece:
            raise EngineError(Code.FILE_CHANGED, f"{file.path} became shorter", path=file.path)
        left -= len(piece)
        yield piece.removeprefix(codecs.BOM_UTF8) if first else piece
        first = False


def coding_of(name: str) -> str:
    """The codec of an encoding's name; VALIDATION_FAILED for one nobody knows."""
    try:
        found = codecs.lookup(name)
        "".encode(found.name)
    except (LookupError, TypeError):
        raise EngineError(
            Code.VALIDATION_FAILED, f"csv.encoding: {name!r} is no encoding of text", field="csv.encoding"
        ) from None
    return "utf-8" if found.name == "utf-8-sig" else found.name


def _decoded(stream: io.BufferedIOBase, first: bytes, coding: str, path: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(coding)("strict")
    at = 0
    line = 1
    piece = first
    while True:
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].decode(coding, "replace").count("\n")
            raise EngineError(
                Code.ROW_REJECTED,
                f"{path}, line {line}: the bytes {error.object[error.start : error.end].hex()} are no"
                f" {coding} text (near byte {at + error.start}); say the encoding with csv.encoding",
                file=path,
                line=line,
            ) from None
        if at == 0:
            text = text.removeprefix("\ufeff")
        at += len(piece)
        line += text.count("\n")
        yield text.encode("utf-8", "surrogatepass")
        if not piece:
            return
        piece = stream.read(PIECE)


# ---------------------------------------------------------------- unpacking


def unpacked(raw: io.RawIOBase, compression: Compression, path: str) -> io.BufferedIOBase:
    """A buffered stream of what is inside; several members or frames are one stream."""
    if compression == "gzip":
        return _Guarded(gzip.GzipFile(fileobj=io.BufferedReader(raw, PIECE), mode="rb"), path)
    if compression == "zstd":
        return _Guarded(_Zstd(raw), path)
    return io.BufferedReader(raw, PIECE)


class _Zstd(io.RawIOBase):
    """Zstandard frames, one after the other."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__()
        self._raw = raw
        self._stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(None if size < 0 else size)
        return data

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


class _Guarded(io.BufferedIOBase):
    """What a broken packing raises, as an EngineError that names the file."""

    def __init__(self, stream: gzip.GzipFile | _Zstd, path: str) -> None:
        super().__init__()
        self._stream = stream
        self._path = path

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return self._stream.read(-1 if size is None else size)
        except (EOFError, gzip.BadGzipFile, zlib.error, pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise EngineError(
                Code.ROW_REJECTED,
                f"{self._path}: the packed data are broken or cut off ({error})",
                file=self._path,
            ) from None
