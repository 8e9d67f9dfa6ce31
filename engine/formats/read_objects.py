"""The objects of a JSON file as columns of texts: by the scanner in C as far as it goes, and from there, if
something stands in its way, by the reader that takes or explains everything.
"""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from engine.errors import Code, EngineError
from engine.formats.read_members import LONGEST, TOKENS, Members, ObjectStream, Place, Token
from ext.jsontexts import FAULT, FULL, TextScanner

BATCH = 20_000  # objects
BATCH_BYTES = 8 << 20
_COMPLETE = (Place.START, Place.LINES, Place.END)


@dataclass(slots=True)
class Keys:
    """Every key in the order of its first appearance: the kinds of its values, and how often it is there."""

    kinds: dict[str, Token] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, key: str, token: Token, count: int) -> None:
        self.kinds[key] = self.kinds.get(key, Token(0)) | token
        self.counts[key] = self.counts.get(key, 0) + count


class ObjectTexts:
    """The objects of one file, read once. `raw`: keys whose values are wanted as they stand."""

    def __init__(self, pieces: Iterator[bytes], path: str, raw: frozenset[str] = frozenset()) -> None:
        self._pieces = pieces
        self._path = path
        self._raw = raw
        self._rest: ObjectStream | None = None  # for what the scanner has not taken

    def look(self, keys: Keys) -> int:
        """Count the objects, and add what their keys are. Raises ROW_REJECTED."""
        scanner = TextScanner()
        for _ in self._scan(scanner, BATCH, BATCH_BYTES):
            scanner.batch()
        for key, tokens, count in scanner.found():
            keys.add(key, Token(tokens), count)
        rows = scanner.rows
        for members in self._rest or ():
            rows += 1
            for key, value in members.items():
                keys.add(key, TOKENS[type(value)], 1)
        return rows

    def batches(self, keys: Sequence[str]) -> Generator[list[pa.Array], None, None]:
        """The texts of those keys, an array each; NULL for what is null or missing. Raises ROW_REJECTED, and
        VALUE_NOT_REPRESENTABLE for a string that is no text."""
        scanner = TextScanner(list(dict.fromkeys(keys)), self._raw)
        places = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        for _ in self._scan(scanner, BATCH, BATCH_BYTES):
            arrays = scanner.batch()
            yield [arrays[places[key]] for key in keys]
        if self._rest is not None:
            for group in _grouped(self._rest):
                yield [_column(self._rest, group, key) for key in keys]

    def _scan(self, scanner: TextScanner, rows: int, size: int) -> Iterator[None]:
        """Stops whenever the scanner holds a batch. What it does not take is left in `_rest`."""
        check = codecs.getincrementaldecoder("utf-8")("strict")
        held = b""
        line = 1
        while self._rest is None and (data := self._longer(held)) is not None:
            at = 0
            scanned = _is_text(check, data[len(held) :])
            while scanned:
                at = scanner.scan(data, at, rows, size)
                if scanner.stopped != FULL:
                    break
                yield
            line += data.count(b"\n", 0, at)
            held = data[at:]
            if not scanned or scanner.stopped == FAULT or len(held) >= LONGEST:
                self._leave(scanner, held, line)
        if self._rest is None and (held or scanner.place not in _COMPLETE):
            self._leave(scanner, held, line)
        if scanner.batch_rows:
            yield

    def _longer(self, held: bytes) -> bytes | None:
        """`held` and more, as much again at least, so that a long object is not tried too often; None at the
        end."""
        parts = [held]
        size = 0
        for piece in self._pieces:
            parts.append(piece)
            size += len(piece)
            if size > len(held):
                break
        return b"".join(parts) if size else None

    def _leave(self, scanner: TextScanner, held: bytes, line: int) -> None:
        pieces = itertools.chain((held,), self._pieces)
        self._rest = ObjectStream(pieces, self._path, self._raw, Place(scanner.place), line)


def _is_text(check: codecs.IncrementalDecoder, data: bytes) -> bool:
    try:
        check.decode(data)
    except UnicodeDecodeError:
        return False
    return True


def _grouped(objects: ObjectStream) -> Iterator[list[Members]]:
    group: list[Members] = []
    size = 0
    for members in objects:
        group.append(members)
        size += objects.size
        if len(group) >= BATCH or size >= BATCH_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _column(objects: ObjectStream, group: Sequence[Members], key: str) -> pa.Array:
    values = [members.get(key) for members in group]
    if True in values or False in values:
        values = [_WORDS[value] if isinstance(value, bool) else value for value in values]
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError as error:
        raise EngineError(
            Code.VALUE_NOT_REPRESENTABLE,
            f"a string of {key!r} at or before line {objects.line} holds half a surrogate pair"
            f" ({error.object[error.start : error.end]!a}), which is no text",
            column=key,
        ) from None


_WORDS = {True: "true", False: "false"}
