"""Text files: a head, rows, a tail, through a compressor into whatever takes bytes."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from engine.formats.storage import PartWriter

GZIP_LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS  # with gzip's header and trailer


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the rows of a file. The rows as encoded end in `end`; the last one must not when
    `end` separates (a JSON array)."""

    head: bytes = b""
    end: bytes = b"\n"
    tail: bytes = b""
    separates: bool = False


class Compressor(Protocol):
    def write(self, data: Any) -> None: ...

    def close(self) -> None:
        """Write what is left; the file under it stays open."""


class _Stored:
    def __init__(self, sink: PartWriter) -> None:
        self._sink = sink

    def write(self, data: Any) -> None:
        self._sink.write(data)

    def close(self) -> None:
        pass


class _Gzip:
    def __init__(self, sink: PartWriter) -> None:
        self._sink = sink
        self._stream = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP)

    def write(self, data: Any) -> None:
        if packed := self._stream.compress(data):
            self._sink.write(packed)

    def close(self) -> None:
        self._sink.write(self._stream.flush())


class _Zstd:
    def __init__(self, sink: PartWriter) -> None:
        self._stream = pa.CompressedOutputStream(pa.PythonFile(_Open(sink), mode="w"), "zstd")

    def write(self, data: Any) -> None:
        self._stream.write(data)

    def close(self) -> None:
        self._stream.close()


class _Open(io.RawIOBase):
    """A file that stays open when those above it close theirs."""

    def __init__(self, sink: PartWriter) -> None:
        super().__init__()
        self._sink = sink

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self._sink.write(data)

    def tell(self) -> int:
        return self._sink.tell()


_COMPRESSORS: dict[str, Callable[[PartWriter], Compressor]] = {"none": _Stored, "gzip": _Gzip, "zstd": _Zstd}


class TextFile:
    """One file being written. `rows` are bytes as the encoder gives them."""

    def __init__(self, sink: PartWriter, frame: Frame, compression: str) -> None:
        self._frame = frame
        self._out: Compressor = _COMPRESSORS[compression](sink)
        self._first = True
        if frame.head:
            self._out.write(frame.head)

    def write(self, rows: memoryview) -> None:
        if not len(rows):
            return
        if self._frame.separates:
            if not self._first:
                self._out.write(self._frame.end)
            rows = rows[: -len(self._frame.end)]
        self._first = False
        self._out.write(rows)

    def close(self) -> None:
        """The tail, and what the compressor holds. Committing the sink is the caller's."""
        if self._frame.tail:
            self._out.write(self._frame.tail)
        self._out.close()


def open_for_library(sink: PartWriter) -> io.RawIOBase:
    """`sink` for a library that closes what it writes to."""
    return _Open(sink)
