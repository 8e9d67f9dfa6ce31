"""The one exception of the row encoders and decoders in `ext`, and how a value is shown to people."""

from __future__ import annotations

from typing import Any

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


def printed(scalar: pa.Scalar) -> str:
    """A value for people, at most SHOWN characters: text with what cannot be printed escaped, bytes (and text
    that is not UTF-8) in hexadecimal, durations as MySQL writes a TIME, what Python has no type for as the
    integer it is stored as. A long value is not copied whole."""
    kind = scalar.type
    if _is_bytes(kind):
        buffer = scalar.as_buffer()
        if buffer is None:
            return "None"
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            text = _text(_head(buffer, 4 * SHOWN), whole=buffer.size <= 4 * SHOWN)
            if text is not None:
                return _escaped(text[:SHOWN])[:SHOWN]
        return _head(buffer, SHOWN // 2).hex()
    if pa.types.is_duration(kind) and kind.unit == "us" and scalar.is_valid:
        return _clock(scalar.value)
    try:
        value = scalar.as_py()
    except (ValueError, OverflowError):
        value = scalar.value
    return _escaped(str(value))[:SHOWN]


def _is_bytes(kind: Any) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _head(buffer: pa.Buffer, size: int) -> bytes:
    return bytes(buffer.slice(0, min(size, buffer.size)).to_pybytes())


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
