"""The C scanner of JSON texts against its plain twin and against the reader that explains faults."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.formats.read_members import TOKENS, ObjectStream
from ext import jsontexts
from ext.plain import jsontexts as plain

KEYS = ("a", "b", "é", 'q"\n')
MANY, LARGE = 1 << 30, 1 << 40

_texts = st.text(st.characters(codec="utf-8"), max_size=8)
_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _texts
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_objects = st.dictionaries(st.sampled_from(KEYS) | _texts, _values, max_size=6)
_files = st.tuples(
    st.lists(_objects, max_size=6),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 1]),
)


def written(file: tuple[list[dict[str, Any]], bool, bool, int | None]) -> bytes:
    objects, array, ascii_, indent = file
    texts = [json.dumps(item, ensure_ascii=ascii_, indent=indent) for item in objects]
    return (f"[{' ,'.join(texts)}\n]" if array else "\n".join(texts)).encode()


def is_text(data: bytes) -> bool:
    """The scanner is given UTF-8 only."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


Scanned = tuple[list[list[str | None]], list[tuple[str, int, int]], int, int, int, int]


def scanned(module: Any, data: bytes, cut: int, keys: tuple[str, ...], raw: frozenset[str]) -> Scanned:
    """Everything a scanner says of data[:cut], then of the whole."""
    scanner = module.TextScanner(keys, raw)
    at = scanner.scan(data[:cut], 0, MANY, LARGE)
    if scanner.stopped == module.CUT:
        at = scanner.scan(data, at, MANY, LARGE)
    columns = [array.to_pylist() for array in scanner.batch()]
    return columns, scanner.found(), scanner.rows, scanner.stopped, scanner.place, at


@settings(max_examples=80, deadline=None)
@given(_files, st.data())
def test_as_the_plain_twin(file: Any, data: st.DataObject) -> None:
    """json-texts-twins"""
    text = written(file)
    cut = data.draw(st.integers(0, len(text)))
    raw = frozenset(data.draw(st.sets(st.sampled_from(KEYS))))
    found = scanned(jsontexts, text, cut, KEYS, raw)
    assert found == scanned(plain, text, cut, KEYS, raw)
    assert found[3] == jsontexts.CUT
    assert found[2] == len(file[0])


@settings(max_examples=150, deadline=None)
@given(_files, st.data())
def test_garbage_as_the_plain_twin(file: Any, data: st.DataObject) -> None:
    """json-texts-twins: bytes changed, left out or put in: the same rows, and the same place to stop at."""
    text = bytearray(written(file))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from(
                [b"", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"-", b".", b"e", b"\\u"]
            )
        )
    made = bytes(text)
    assume(is_text(made))
    cut = data.draw(st.integers(0, len(made)))
    assert scanned(jsontexts, made, cut, KEYS, frozenset("a")) == scanned(
        plain, made, cut, KEYS, frozenset("a")
    )


@settings(max_examples=100, deadline=None)
@given(_files, st.data())
def test_as_the_reader_that_explains(file: Any, data: st.DataObject) -> None:
    """json-strict: what the scanner takes, the reader takes, and it is the same."""
    text = bytearray(written(file))
    if data.draw(st.booleans()):
        text = bytearray(written((*file[:2], False, file[3])))  # no pair of escapes to break in two
        at = data.draw(st.integers(0, len(text)))
        text[at : at + 1] = data.draw(st.sampled_from([b"", b'"', b"}", b",", b"1", b" "]))
    made = bytes(text)
    assume(is_text(made))
    try:
        objects = list(ObjectStream(iter([made]), "t", frozenset("a")))
    except EngineError:
        objects = None
    columns, keys, rows, stopped, place, at = scanned(jsontexts, made, 0, KEYS, frozenset("a"))
    whole = stopped == jsontexts.CUT and at == len(made)
    whole = whole and place in (jsontexts.START, jsontexts.LINES, jsontexts.END)
    assert whole == (objects is not None)
    if objects is None:
        return
    assert rows == len(objects)
    words = {True: "true", False: "false"}
    for key, column in zip(KEYS, columns, strict=True):
        values = [item.get(key) for item in objects]
        assert column == [words[value] if isinstance(value, bool) else value for value in values]
    seen: dict[str, int] = {}
    for item in ObjectStream(iter([made]), "t"):
        for key, value in item.items():
            seen[key] = seen.get(key, 0) | TOKENS[type(value)]
    assert {key: tokens for key, tokens, _ in keys} == seen


@pytest.mark.parametrize("module", [jsontexts, plain], ids=["c", "plain"])
@pytest.mark.parametrize(
    ("text", "stopped", "place", "at"),
    [
        ("", "CUT", "START", 0),
        (" \n", "CUT", "START", 2),
        ("[", "CUT", "FIRST", 1),
        ("[]", "CUT", "END", 2),
        ("[] {}", "FAULT", "END", 3),
        ("{}{}", "CUT", "LINES", 4),
        ("{},{}", "FAULT", "LINES", 2),
        ("[{}", "CUT", "AFTER", 3),
        ("[{},", "CUT", "NEXT", 4),
        ("[{},]", "FAULT", "NEXT", 4),
        ("[{} {}]", "FAULT", "AFTER", 4),
        ('{"a": 1} {"a": 1', "CUT", "LINES", 9),
        ('{"a": 1} {"a": 1.', "CUT", "LINES", 9),
        ('{"a": 1} {"a": 1.}', "FAULT", "LINES", 9),
        ('{"a": 01}', "FAULT", "LINES", 0),
        ('{"a": 1e+', "CUT", "LINES", 0),
        ('{"a": 1e+}', "FAULT", "LINES", 0),
        ('{"a": -', "CUT", "LINES", 0),
        ('{"a": -a', "FAULT", "LINES", 0),
        ('{"a": NaN}', "FAULT", "LINES", 0),
        ('{"a": tru', "CUT", "LINES", 0),
        ('{"a": trx', "FAULT", "LINES", 0),
        ('{"a": 1, "a": 2}', "FAULT", "LINES", 0),
        ('{"x": 1, "\\u0078": 2}', "FAULT", "LINES", 0),
        ('{"x": {"y": 1, "y": 2}}', "CUT", "LINES", 23),
        ('{"a": "\\ud800"}', "FAULT", "LINES", 0),
        ('{"a": "\\ud83d\\ude00"}', "CUT", "LINES", 21),
        ('{"a": "\\udc00\\ud800"}', "FAULT", "LINES", 0),
        ('{"x": "\\ud800"}', "CUT", "LINES", 15),  # nobody asked for its characters
        ('{"\\ud800": 1}', "FAULT", "LINES", 0),
        ('{"a": "\t"}', "FAULT", "LINES", 0),
        ('{"a": "\\x"}', "FAULT", "LINES", 0),
        ('{"a": "\\u12', "CUT", "LINES", 0),
        ('{"a": "\\u1x', "FAULT", "LINES", 0),
        ('{"a": [1, ]}', "FAULT", "LINES", 0),
        ('{"a": {"b": 1, }}', "FAULT", "LINES", 0),
        ('{"a": {"b" 1}}', "FAULT", "LINES", 0),
        ('{"a": [}}', "FAULT", "LINES", 0),
        ('{"a": ' + "[" * 512 + "]" * 512 + "}", "CUT", "LINES", 1031),
        ('{"a": ' + "[" * 513 + "]" * 513 + "}", "FAULT", "LINES", 0),
        ("1", "FAULT", "LINES", 0),
    ],
)
def test_where_it_stops(module: Any, text: str, stopped: str, place: str, at: int) -> None:
    """json-strict: what is cut off might be mended by more bytes, a fault might not."""
    scanner = module.TextScanner(("a",))
    found = scanner.scan(text.encode(), 0, MANY, LARGE)
    assert (scanner.stopped, scanner.place, found) == (getattr(module, stopped), getattr(module, place), at)


@pytest.mark.parametrize("module", [jsontexts, plain], ids=["c", "plain"])
def test_batches(module: Any) -> None:
    """json-numbers, json-nested: bounded by rows and by bytes; every value with its own text."""
    rows = [f'{{"n": 1.{row}0, "x": [{row}, 1E5], "s": "\\u00e9{row}"}}' for row in range(5_000)]
    data = "\n".join(rows).encode()
    scanner = module.TextScanner(("x", "n", "s"), frozenset("s"))
    at = 0
    batches: list[list[Any]] = []
    while scanner.stopped != module.CUT or not batches:
        at = scanner.scan(data, at, 1_500, LARGE)
        assert scanner.batch_rows == min(1_500, 5_000 - 1_500 * len(batches))
        batches.append(scanner.batch())
    for array in (array for batch in batches for array in batch):
        array.validate(full=True)
    assert [value for batch in batches for value in batch[0].to_pylist()] == [
        f"[{row}, 1E5]" for row in range(5_000)
    ]
    assert [value for batch in batches for value in batch[1].to_pylist()] == [
        f"1.{row}0" for row in range(5_000)
    ]
    assert [value for batch in batches for value in batch[2].to_pylist()] == [
        f'"\\u00e9{row}"' for row in range(5_000)
    ]
    small = module.TextScanner(("n",))
    small.scan(data, 0, MANY, 100)
    assert (small.stopped, small.batch_rows) == (module.FULL, 3)


def test_many_keys() -> None:
    """json-missing-key: each object with keys of its own, more than there is room for at first."""
    objects = [{f"k{number}": number for number in range(row, row + 40)} for row in range(200)]
    data = "\n".join(map(json.dumps, objects)).encode()
    keys = ("k0", "k150", "never")
    results = [scanned(module, data, 1000, keys, frozenset()) for module in (jsontexts, plain)]
    assert results[0] == results[1]
    assert len(results[0][1]) == 239


@pytest.mark.parametrize("module", [jsontexts, plain], ids=["c", "plain"])
def test_what_cannot_be_asked(module: Any) -> None:
    with pytest.raises(ValueError, match="twice"):
        module.TextScanner(("a", "a"))
    with pytest.raises(ValueError, match="9"):
        module.TextScanner().scan(b"{}", 9, 1, 1)
