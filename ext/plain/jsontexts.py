"""The plain twin of ext/jsontexts.pyx: the same scanner, by regular expressions."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pyarrow as pa

CUT, FULL, FAULT = 0, 1, 2
START, LINES, FIRST, AFTER, NEXT, END = range(6)
DEPTH = 512
NULL, STRING, NUMBER, BOOL, NESTED = 1, 2, 4, 8, 16

_SPACE = re.compile(rb"[ \t\n\r]*")
_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_CUT_ESCAPE = re.compile(rb"(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_CUT_NUMBER = re.compile(rb"-\Z|-?(?:0|[1-9][0-9]*)(?:\.\Z|(?:\.[0-9]+)?(?:[eE][+-]?)?\Z)")
_WORDS = ((b"null", NULL), (b"true", BOOL), (b"false", BOOL))


class _Stop(Exception):
    """reason: CUT or FAULT."""

    def __init__(self, reason: int) -> None:
        super().__init__(reason)
        self.reason = reason


class TextScanner:
    """As ext.jsontexts.TextScanner."""

    def __init__(self, keys: Sequence[str] = (), raw: frozenset[str] = frozenset()) -> None:
        if len(set(keys)) != len(keys):
            raise ValueError("a key is asked for twice")
        self.stopped = CUT
        self.place = START
        self.rows = 0
        self._raw = raw
        self._columns: dict[str, list[str | None]] = {key: [] for key in keys}
        self._keys: dict[str, tuple[int, int]] = dict.fromkeys(keys, (0, 0))
        self.batch_rows = 0
        self._batch_bytes = 0

    def scan(self, data: bytes, at: int, rows: int, size: int) -> int:
        if not 0 <= at <= len(data):
            raise ValueError(at)
        while True:
            at = _space(data, at)
            if at >= len(data):
                self.stopped = CUT
                return at
            mark = data[at : at + 1]
            if self.place == START:
                self.place = FIRST if mark == b"[" else LINES
                if mark == b"[":
                    at += 1
                    continue
            elif self.place == AFTER:
                if mark not in b",]":
                    self.stopped = FAULT
                    return at
                self.place = NEXT if mark == b"," else END
                at += 1
                continue
            elif self.place == FIRST and mark == b"]":
                self.place = END
                at += 1
                continue
            if self.place == END or mark != b"{":
                self.stopped = FAULT
                return at
            if self.batch_rows >= rows or (self.batch_rows and self._batch_bytes >= size):
                self.stopped = FULL
                return at
            try:
                found, end = self._object(data, at)
            except _Stop as stop:
                self.stopped = stop.reason
                return at
            self._commit(found)
            self._batch_bytes += end - at
            at = end
            if self.place != LINES:
                self.place = AFTER

    def _object(self, data: bytes, at: int) -> tuple[dict[str, tuple[int, str | None]], int]:
        found: dict[str, tuple[int, str | None]] = {}
        at = _ready(data, at + 1)
        if data[at : at + 1] == b"}":
            return found, at + 1
        while True:
            key_end = _string(data, at)
            key = _text(data[at:key_end])
            at = _colon(data, key_end)
            token, end = _value(data, at)
            if key in found:
                raise _Stop(FAULT)
            text = None
            if key in self._columns and token != NULL:
                text = data[at:end].decode()
                if token == STRING and key not in self._raw:
                    text = _text(data[at:end])
            found[key] = token, text
            at = _ready(data, end)
            mark = data[at : at + 1]
            if mark == b"}":
                return found, at + 1
            if mark != b",":
                raise _Stop(FAULT)
            at = _ready(data, at + 1)

    def _commit(self, found: dict[str, tuple[int, str | None]]) -> None:
        for key, (token, _) in found.items():
            tokens, count = self._keys.get(key, (0, 0))
            self._keys[key] = tokens | token, count + 1
        for key, values in self._columns.items():
            values.append(found[key][1] if key in found else None)
        self.batch_rows += 1
        self.rows += 1

    def batch(self) -> list[pa.StringArray]:
        arrays = [pa.array(values, pa.string()) for values in self._columns.values()]
        self._columns = {key: [] for key in self._columns}
        self.batch_rows = self._batch_bytes = 0
        return arrays

    def found(self) -> list[tuple[str, int, int]]:
        return [(key, tokens, count) for key, (tokens, count) in self._keys.items() if count]


def _space(data: bytes, at: int) -> int:
    match = _SPACE.match(data, at)
    assert match is not None
    return match.end()


def _ready(data: bytes, at: int) -> int:
    """Behind white space, where something must stand."""
    at = _space(data, at)
    if at >= len(data):
        raise _Stop(CUT)
    return at


def _string(data: bytes, at: int) -> int:
    """Behind the string that should begin here."""
    match = _STRING.match(data, at)
    if match is None:
        raise _Stop(FAULT)
    if data[match.end() : match.end() + 1] == b'"':
        return match.end() + 1
    raise _Stop(CUT if _CUT_ESCAPE.match(data, match.end()) else FAULT)


def _text(string: bytes) -> str:
    text: str = json.loads(string)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Stop(FAULT) from None
    return text


def _colon(data: bytes, at: int) -> int:
    at = _ready(data, at)
    if data[at : at + 1] != b":":
        raise _Stop(FAULT)
    return _ready(data, at + 1)


def _value(data: bytes, at: int) -> tuple[int, int]:
    """What stands here, and where it ends."""
    first = data[at : at + 1]
    if first in (b"{", b"["):
        return NESTED, _nested(data, at)
    return _scalar(data, at)


def _scalar(data: bytes, at: int) -> tuple[int, int]:
    if data[at : at + 1] == b'"':
        return STRING, _string(data, at)
    for word, token in _WORDS:
        if data[at : at + 1] == word[:1]:
            there = data[at : at + len(word)]
            if there == word:
                return token, at + len(word)
            raise _Stop(CUT if word.startswith(there) else FAULT)
    if _CUT_NUMBER.match(data, at):
        raise _Stop(CUT)
    match = _NUMBER.match(data, at)
    if match is None:
        raise _Stop(FAULT)
    return NUMBER, match.end()


def _nested(data: bytes, at: int) -> int:
    closing: list[bytes] = []
    key = False
    while True:
        at = _ready(data, at)
        if key:
            if data[at : at + 1] != b'"':
                raise _Stop(FAULT)
            at = _colon(data, _string(data, at))
            key = False
        mark = data[at : at + 1]
        if mark in (b"{", b"["):
            if len(closing) >= DEPTH:
                raise _Stop(FAULT)
            closing.append(b"}" if mark == b"{" else b"]")
            at = _ready(data, at + 1)
            if data[at : at + 1] != closing[-1]:
                key = mark == b"{"
                continue
            closing.pop()
            at += 1
        else:
            _, at = _scalar(data, at)
        while closing:
            at = _ready(data, at)
            mark = data[at : at + 1]
            if mark == b",":
                key = closing[-1] == b"}"
                at += 1
                break
            if mark != closing[-1]:
                raise _Stop(FAULT)
            closing.pop()
            at += 1
        else:
            return at
