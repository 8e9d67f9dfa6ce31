"""Where in a CSV file something stands, by walking it: only for naming a line that is wrong."""

from __future__ import annotations

import codecs
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol


class Layout(Protocol):
    """Of a dialect, what matters for finding records."""

    @property
    def delimiter(self) -> str: ...
    @property
    def quote(self) -> str: ...
    @property
    def escape(self) -> str: ...
    @property
    def header(self) -> bool: ...
    @property
    def skip(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Record:
    """line: where it begins, from 1."""

    line: int
    fields: list[str]


def records(stream: Iterator[bytes], layout: Layout) -> Iterator[Record]:
    """Every record, the header too, blank lines left out unless there is one column. csv.Error for broken
    quoting."""
    lines = _Lines(stream)
    for _ in range(layout.skip):
        next(lines, None)
    options: dict[str, Any] = {"delimiter": layout.delimiter, "strict": True}
    if layout.quote:
        options["quotechar"] = layout.quote
        options["doublequote"] = layout.escape == layout.quote
        if layout.escape and layout.escape != layout.quote:
            options["escapechar"] = layout.escape
    else:
        options["quoting"] = csv.QUOTE_NONE
    before = csv.field_size_limit(sys.maxsize)
    try:
        start, width = lines.count + 1, 0
        for fields in csv.reader(lines, **options):
            width = width or len(fields)
            if fields or width <= 1:
                yield Record(start, fields or [""])
            start = lines.count + 1
    finally:
        csv.field_size_limit(before)


class _Lines(Iterator[str]):
    """Lines with their ends; `count` and `text` are of the last one given."""

    def __init__(self, stream: Iterator[bytes]) -> None:
        self.count = 0
        self.text = ""
        self._lines = self._split(stream)

    def __next__(self) -> str:
        self.text = next(self._lines)
        self.count += 1
        return self.text

    @staticmethod
    def _split(stream: Iterator[bytes]) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        left = ""
        for piece in stream:
            left += decoder.decode(piece)
            if "\r" in left:
                lines = _by_line_ends(left)
            else:
                lines = left.split("\n")
                lines[:-1] = [line + "\n" for line in lines[:-1]]
            left = lines.pop()
            yield from lines
        if left:
            yield left


def _by_line_ends(text: str) -> list[str]:
    """Split after LF, CRLF and lone CR, the rest last; a CR at the very end waits for what follows."""
    out: list[str] = []
    at = 0
    for number, char in enumerate(text):
        if char == "\n" or (char == "\r" and number + 1 < len(text) and text[number + 1] != "\n"):
            out.append(text[at : number + 1])
            at = number + 1
    out.append(text[at:])
    return out


def line_of_row(stream: Iterator[bytes], layout: Layout, row: int) -> int | None:
    """The line where a data row (from 1) begins; None when the walk does not come so far."""
    try:
        for number, record in enumerate(records(stream, layout), 0 if layout.header else 1):
            if number == row:
                return record.line
    except csv.Error:
        pass
    return None


def bad_record(stream: Iterator[bytes], layout: Layout, columns: int) -> tuple[int, str, str] | None:
    """Line, text and fault of the first record that has not as many fields, is no UTF-8, or whose quoting is
    broken."""
    line = layout.skip + 1
    try:
        for record in records(stream, layout):
            line = record.line
            text = layout.delimiter.join(record.fields)
            if len(record.fields) != columns:
                fault = f"{len(record.fields)} fields where there should be {columns}"
                return record.line, text, fault
            if any("\udc80" <= char <= "\udcff" for char in text):
                shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                return record.line, shown, "the bytes are no UTF-8; say the encoding with csv.encoding"
            line += 1
    except csv.Error as error:
        return line, "", f"the quoting is broken ({error})"
    return None
