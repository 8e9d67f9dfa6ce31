"""Encoded rows (LOAD DATA text of `ext.mysqlload`) taken apart again: for INSERT, and to name a bad row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from engine.connectors.mysql.identifiers import quote

_NULL = b"\\N"
_SHOWN = 200
_UNESCAPED = {b"t": b"\t", b"n": b"\n", b"\\": b"\\"}
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


def row_at(data: memoryview, number: int) -> list[bytes] | None:
    """The fields, still escaped, of row `number` (from 1); None when there are fewer."""
    text = bytes(data)
    begin = 0
    for _ in range(number - 1):
        begin = text.find(b"\n", begin) + 1
        if not begin:
            return None
    end = text.find(b"\n", begin)
    return text[begin:end].split(b"\t") if end >= 0 else None


def line_ends(data: memoryview) -> list[int]:
    """Where each row ends, its newline included."""
    return [found.end() for found in re.finditer(rb"\n", data)]


def printed(field: bytes) -> str | None:
    """A field for people: text, or hexadecimal when it is none; None for NULL."""
    if field == _NULL:
        return None
    value = _ESCAPE.sub(lambda match: _UNESCAPED.get(match[1], match[1]), field)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value[: _SHOWN // 2].hex()
    return text[:_SHOWN] if text.isprintable() else text[:_SHOWN].encode("unicode_escape").decode("ascii")


class Inserts:
    """Multi-row INSERT statements for the rows, each below a number of bytes.

    Fields become binary strings in quotes, stored as LOAD DATA with CHARACTER SET binary stores them;
    `converted` are the columns whose text has to be declared UTF-8 first.
    """

    def __init__(self, table: str, columns: Sequence[str], converted: frozenset[str], most: int) -> None:
        names = ", ".join(quote(column) for column in columns)
        self._head = f"INSERT INTO {table} ({names}) VALUES ".encode()
        self._converted = [column in converted for column in columns]
        self._most = most

    def statements(self, data: memoryview) -> Iterator[tuple[bytes, int]]:
        """SQL and its number of rows. A row too long for one statement is a statement of its own: the server
        says so."""
        parts: list[bytes] = []
        size = len(self._head)
        for line in bytes(data).split(b"\n")[:-1]:
            row = self._row(line)
            if parts and size + len(row) + 1 > self._most:
                yield self._head + b",".join(parts), len(parts)
                parts, size = [], len(self._head)
            parts.append(row)
            size += len(row) + 1
        if parts:
            yield self._head + b",".join(parts), len(parts)

    def _row(self, line: bytes) -> bytes:
        # \t, \n and \\ mean the same inside a quoted string; only the quote is missing.
        values = []
        for field, converted in zip(line.split(b"\t"), self._converted, strict=True):
            if field == _NULL:
                values.append(b"NULL")
            elif converted:
                values.append(b"CONVERT(_binary'" + field.replace(b"'", b"\\'") + b"' USING utf8mb4)")
            else:
                values.append(b"_binary'" + field.replace(b"'", b"\\'") + b"'")
        return b"(" + b",".join(values) + b")"
