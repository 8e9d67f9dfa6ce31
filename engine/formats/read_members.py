"""JSON objects one after the other, each value with its own text: no number becomes a double on the way.

A file is an array of objects, or objects with white space between them (one a line, or not). RFC 8259 is the
grammar: NaN, comments and trailing commas are refused, and so is an object that has a key twice.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Generator, Iterator, Mapping
from enum import IntEnum, IntFlag
from json.decoder import scanstring  # type: ignore[attr-defined]

from engine.errors import Code, EngineError
from ext import jsontexts

LONGEST = 256 << 20  # characters of one object


class Token(IntFlag):
    NULL = 1
    STRING = 2
    NUMBER = 4
    BOOL = 8
    NESTED = 16


class Place(IntEnum):
    """Where a reader stands between two objects."""

    START = jsontexts.START  # before everything
    LINES = jsontexts.LINES  # outside of an array
    FIRST = jsontexts.FIRST  # behind '['
    AFTER = jsontexts.AFTER  # behind an object of the array
    NEXT = jsontexts.NEXT  # behind ','
    END = jsontexts.END  # behind ']'


class Number(str):
    """The text of a number."""


class Nested(str):
    """The text of an object, of an array, or of any value of a key whose own text is wanted."""


Value = str | bool | None  # a string's characters, Number, Nested, true or false, null
Members = dict[str, Value]
TOKENS: Mapping[type, Token] = {
    str: Token.STRING,
    Number: Token.NUMBER,
    Nested: Token.NESTED,
    bool: Token.BOOL,
    type(None): Token.NULL,
}

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_CUT = re.compile(r"(?:\.|[eE][+-]?)?\Z")  # what can follow the part of a number that is there already
_WORDS: Mapping[str, tuple[str, Value]] = {"n": ("null", None), "t": ("true", True), "f": ("false", False)}


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


# Only finds the end of a nested value: what it makes of it is thrown away.
_scan = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_no_constant).scan_once  # type: ignore[attr-defined]


def _once(pairs: list[tuple[str, Value]]) -> Members:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


# For an object without nested values, all of it at once.
_scan_flat = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=_no_constant, object_pairs_hook=_once
).scan_once  # type: ignore[attr-defined]
_PLAIN = frozenset((str, Number, bool, type(None)))


class _Fault(Exception):
    """at: where in the text. unfinished: more text might mend it."""

    def __init__(self, at: int, said: str, unfinished: bool = False) -> None:
        super().__init__(said)
        self.at = at
        self.said = said
        self.unfinished = unfinished


def members(text: str, at: int, raw: frozenset[str]) -> tuple[Members, int]:
    """The members of the object at text[at], and where it ends. Values of the keys in `raw` are Nested.
    _Fault for what is no object."""
    try:
        found, end = _scan_flat(text, at)
    except (StopIteration, ValueError, RecursionError):
        return _members(text, at, raw)  # which knows what is wrong, and where
    if _PLAIN.issuperset(map(type, found.values())) and (not raw or raw.isdisjoint(found)):
        return found, end
    return _members(text, at, raw)


def _members(text: str, at: int, raw: frozenset[str]) -> tuple[Members, int]:
    """The same a value at a time."""
    found: Members = {}
    at = _space(text, at + 1)
    if text.startswith("}", at):
        return found, at + 1
    while True:
        if not text.startswith('"', at):
            raise _Fault(at, 'a key in "…" should stand here', at >= len(text))
        key, at = _string(text, at)
        at = _space(text, at)
        if not text.startswith(":", at):
            raise _Fault(at, "':' should stand here", at >= len(text))
        start = _space(text, at + 1)
        value, at = _value(text, start)
        if key in found:
            raise _Fault(start, f"the key {key!r} stands twice in one object")
        found[key] = Nested(text[start:at]) if key in raw and value is not None else value
        at = _space(text, at)
        if text.startswith(",", at):
            at = _space(text, at + 1)
        elif text.startswith("}", at):
            return found, at + 1
        else:
            raise _Fault(at, "',' or '}' should stand here", at >= len(text))


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _string(text: str, at: int) -> tuple[str, int]:
    try:
        value, end = scanstring(text, at + 1, True)
    except json.JSONDecodeError as error:
        unfinished = error.msg.startswith("Unterminated") or error.pos >= len(text) - 12
        raise _Fault(error.pos, error.msg.lower(), unfinished) from None
    return value, end


def _value(text: str, at: int) -> tuple[Value, int]:
    first = text[at : at + 1]
    if first == '"':
        return _string(text, at)
    if first in ("{", "["):
        return _nested(text, at)
    if first in _WORDS:
        word, meant = _WORDS[first]
        if text.startswith(word, at):
            return meant, at + len(word)
    elif (match := _NUMBER.match(text, at)) is not None:
        if _CUT.match(text, match.end()):
            raise _Fault(at, "the object does not end", True)
        return Number(match[0]), match.end()
    raise _Fault(at, "no JSON value stands here", at + 5 >= len(text))


def _nested(text: str, at: int) -> tuple[Value, int]:
    try:
        _, end = _scan(text, at)
    except StopIteration as stop:
        raise _Fault(stop.value, "no JSON value stands here", stop.value + 5 >= len(text)) from None
    except json.JSONDecodeError as error:
        unfinished = error.msg.startswith("Unterminated") or error.pos >= len(text) - 12
        raise _Fault(error.pos, error.msg.lower(), unfinished) from None
    except (ValueError, RecursionError) as error:
        raise _Fault(at, str(error)) from None
    return Nested(text[at:end]), end


class ObjectStream:
    """The objects of one file, in order. `line` is where the last one given begins. A file that somebody else
    has begun to read goes on at a `place` and a line (`first`)."""

    def __init__(
        self,
        pieces: Iterator[bytes],
        path: str,
        raw: frozenset[str] = frozenset(),
        place: Place = Place.START,
        first: int = 1,
    ) -> None:
        self._pieces = pieces
        self._path = path
        self._raw = raw
        self._place = place
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._text = ""
        self._at = 0
        self._ended = False
        self._line = first  # of text[0]
        self._start = 0

    @property
    def size(self) -> int:
        """Characters of the last object given."""
        return self._at - self._start

    @property
    def line(self) -> int:
        return self._line + self._text.count("\n", 0, self._start)

    def __iter__(self) -> Generator[Members, None, None]:
        """ROW_REJECTED names file and line of what is no JSON object."""
        if self._place is Place.START:
            opened = self._peek() == "["
            self._at += opened
            self._place = Place.FIRST if opened else Place.LINES
        if self._place is not Place.LINES:
            yield from self._array()
            return
        while self._peek():
            yield self._next()

    def _array(self) -> Generator[Members, None, None]:
        while self._place is not Place.END:
            mark = self._peek()
            if self._place is Place.AFTER:
                if not mark or mark not in ",]":
                    raise self._error(self._at, "',' or ']' should stand here")
                self._at += 1
                self._place = Place.NEXT if mark == "," else Place.END
            elif self._place is Place.FIRST and mark == "]":
                self._at += 1
                self._place = Place.END
            else:
                found = self._next()
                self._place = Place.AFTER
                yield found
        if self._peek():
            raise self._error(self._at, "something stands after the end of the array")

    def _peek(self) -> str:
        """The next character that is no white space; '' at the end."""
        while True:
            self._at = _space(self._text, self._at)
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def _next(self) -> Members:
        if not self._text.startswith("{", self._at):
            raise self._error(self._at, "an object {…} should stand here")
        while True:
            try:
                found, end = members(self._text, self._at, self._raw)
            except _Fault as fault:
                within = fault.at - self._at
                size = len(self._text) - self._at
                if fault.unfinished and size < LONGEST and self._more():
                    continue
                raise self._error(self._at + within, fault.said) from None
            self._start, self._at = self._at, end
            return found

    def _more(self) -> bool:
        """Append text: as much again as is held already, so that a long object is not tried too often."""
        if self._ended:
            return False
        self._line += self._text.count("\n", 0, self._at)
        held = [self._text[self._at :]]
        size = wanted = len(held[0])
        self._at = self._start = 0
        while size < wanted * 2 + 1:
            piece = next(self._pieces, None)
            self._ended = piece is None
            try:
                text = self._decoder.decode(piece or b"", final=piece is None)
            except UnicodeDecodeError as error:
                good = error.object[: error.start].decode("utf-8", "replace")
                line = self._line + "".join(held).count("\n") + good.count("\n")
                raise self._at_line(
                    line, "", "the bytes are no UTF-8; say the encoding with csv.encoding"
                ) from None
            held.append(text)
            size += len(text)
            if self._ended:
                break
        self._text = "".join(held)
        return size > wanted

    def _error(self, at: int, said: str) -> EngineError:
        line = self._line + self._text.count("\n", 0, at)
        start = self._text.rfind("\n", 0, at) + 1
        end = self._text.find("\n", at)
        return self._at_line(line, self._text[start : end if end >= 0 else None][:1000], said)

    def _at_line(self, line: int, text: str, said: str) -> EngineError:
        return EngineError(
            Code.ROW_REJECTED,
            f"{self._path}, line {line}: {said}" + (f": {text[:200]!r}" if text else ""),
            file=self._path,
            line=line,
            text=text or None,
            reason=said,
        )
