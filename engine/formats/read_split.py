"""Parts of one large CSV file that can be read apart from each other.

Where they may begin is proven, not guessed: every record ends in a line end of its own, the last perhaps in
none. When a file, read whole, gave as many records as it has line ends, none of them is inside a field and
none ends an empty line, so that a record begins after each.
"""

from __future__ import annotations

import io

import numpy as np

from engine.formats.read_layout import Unit
from engine.formats.storage import StoredFile

PART = 16 << 20  # bytes
_PIECE = 1 << 20
_LF = 10


def parts(stream: io.RawIOBase, file: StoredFile, rows: int, before: int) -> list[Unit] | None:
    """Parts of about PART bytes, with their rows; None when the file is small or nothing is proven.

    rows: of the whole file as DuckDB read it. before: lines that are none, header and skipped ones.
    """
    if file.size < 2 * PART:
        return None
    ends: list[tuple[int, int]] = []  # where a part ends, and the line ends before it
    at = lines = 0
    last = b""
    while piece := stream.read(_PIECE):
        found = np.flatnonzero(np.frombuffer(piece, np.uint8) == _LF)
        wanted = (len(ends) + 1) * PART
        if len(found) and at + int(found[-1]) + 1 >= wanted and at + len(piece) < file.size:
            index = int(np.searchsorted(found, wanted - at - 1))
            ends.append((at + int(found[index]) + 1, lines + index + 1))
        lines += len(found)
        at += len(piece)
        last = piece[-1:]
    total = lines + (0 if last == b"\n" else 1)
    if at != file.size or total != rows + before:
        return None
    ends.append((at, total))
    units, start, counted = [], 0, before
    for end, count in ends:
        if end > start:
            units.append(Unit(file, start, end, count - counted, end - start))
        start, counted = end, count
    return units
