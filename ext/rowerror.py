"""The one exception of the row encoders and decoders in `ext`, and how a value is shown to people."""

from __future__ import annotations

import struct

import pyarrow as pa

SHOWN = 200  # characters of a value


class RowError(ValueError):
    """A value that cannot go as it is: which one, and why (a short slug such as `zero-date`).

    column: index in the batch's schema. row: index of the row in the batch. value: printed, for people.
    """

    def __init__(self, column: int, row: int, reason: str, value: str) -> None:
        super().__init__(f"column {column}, row {row}: {reason} ({value})")
        self.column = column
        self.row = row
        self.reason = reason
        self.value = value

    def __reduce__(self) -> tuple[type[RowError], tuple[int, int, str, str]]:
        return type(self), (self.column, self.row, self.reason, self.value)


def printed(array: pa.Array, row: int) -> str:
    """A value for people, at most SHOWN characters: text with what cannot be printed escaped, bytes (and text
    that is not UTF-8) in hexadecimal, durations as MySQL writes a TIME, what Python has no type for as the
    integer it is stored as. A long value is not copied whole; offsets are not trusted."""
    kind = array.type
    if kind in _OFFSETS:
        data, size = _slice(array, row)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            text = _text(data, whole=size <= 4 * SHOWN)
            if text is not None:
                return _escaped(text[:SHOWN])[:SHOWN]
        return data[: SHOWN // 2].hex()
    scalar = array[row]
    if pa.types.is_duration(kind) and kind.unit == "us" and scalar.is_valid:
        return _clock(scalar.value)
    try:
        value = scalar.as_py()
    except (ValueError, OverflowError):
        value = scalar.value
    if isinstance(value, bytes):
        return value[: SHOWN // 2].hex()
    return _escaped(str(value))[:SHOWN]


_OFFSETS = {pa.string(): "i", pa.binary(): "i", pa.large_string(): "q", pa.large_binary(): "q"}


def _slice(array: pa.Array, row: int) -> tuple[bytes, int]:
    """The first 4 * SHOWN bytes of a value of variable width, and its length."""
    _, offsets, data = array.buffers()
    code = _OFFSETS[array.type]
    width = struct.calcsize(code)
    at = (array.offset + row) * width
    start, end = struct.unpack(f"={code}{code}", memoryview(offsets)[at : at + 2 * width])
    if data is None or not 0 <= start <= end:
        return b"", 0
    return bytes(memoryview(data)[start : min(end, start + 4 * SHOWN)]), end - start


def _text(data: bytes, *, whole: bool) -> str | None:
    """Decoded, where a cut may have gone through the last character; None when it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if whole or error.start < len(data) - 3:
            return None
        return data[: error.start].decode()


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def _clock(micros: int) -> str:
    """Hours beyond a day are hours."""
    seconds, fraction = divmod(abs(micros), 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return ("-" if micros < 0 else "") + text + (f".{fraction:06}" if fraction else "")
