"""JSON files as columns of texts: the scanner, and the reader that goes on where it stops, are one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.errors import Code, EngineError
from engine.formats import read_objects
from engine.formats.read_members import ObjectStream, Token
from engine.formats.read_objects import Keys, ObjectTexts

DEEP = "[" * 600 + "]" * 600  # more brackets than the scanner counts, fewer than the reader takes
ROWS = ('{"a": 1.10, "b": "x\\u00e9"}', '{"b": true, "a": null}', f'{{"a": {DEEP}}}', '{"c": [1,  2]}', "{}")
TEXTS = {"a": ["1.10", None, DEEP, None, None], "b": ["xé", "true", None, None, None]}


def read(
    data: bytes, size: int, keys: Sequence[str], raw: frozenset[str] = frozenset()
) -> list[list[str | None]]:
    pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
    columns: list[list[str | None]] = [[] for _ in keys]
    for arrays in ObjectTexts(pieces, "t", raw).batches(keys):
        for column, array in zip(columns, arrays, strict=True):
            column += array.to_pylist()
    return columns


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
@pytest.mark.parametrize(
    "text", ["\n".join(ROWS), "[" + ",".join(ROWS) + "]", " [" + " , ".join(ROWS) + "]\n"]
)
@pytest.mark.parametrize("batch", [1, 2, 20_000])
def test_columns_in_any_pieces(text: str, size: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """json-numbers, json-nested, json-missing-key: also behind an object that the scanner does not take."""
    monkeypatch.setattr(read_objects, "BATCH", batch)
    assert read(text.encode(), size, ["b", "a"]) == [TEXTS["b"], TEXTS["a"]]
    keys = Keys()
    assert ObjectTexts(iter([text.encode()]), "t").look(keys) == len(ROWS)
    assert keys.kinds == {
        "a": Token.NUMBER | Token.NULL | Token.NESTED,
        "b": Token.STRING | Token.BOOL,
        "c": Token.NESTED,
    }
    assert keys.counts == {"a": 3, "b": 2, "c": 1}


def test_values_wanted_as_they_stand() -> None:
    """json-nested: of the keys asked for; null stays null. A key may be asked for twice."""
    found = read(b'{"a": "x\\n", "b": 1}\n{"a": null, "b": "y"}\n', 3, ["a", "b", "a"], frozenset("a"))
    assert found == [['"x\\n"', None], ["1", "y"], ['"x\\n"', None]]


@pytest.mark.parametrize("data", [b"", b" \n", b"[]", b"[ ]\n"])
def test_no_objects(data: bytes) -> None:
    assert read(data, 1, ["a"]) == [[]]
    assert ObjectTexts(iter([data]), "t").look(Keys()) == 0


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}\n\n{"a": 1,}',
        b'{"a": 1}\n{"a": 1',
        b'{"a": 1}\n{"a": 1, "b": 2, "a": 3}',
        b'{"a": 1}\n{"a": 1} x',
        b'{"a": 1}\n\n[{"a": 1}]',
        b'[{"a": 1},\n\n]',
        b'[{"a": 1}\n\n{"a": 2}]',
        b'[{"a": 1},\n{"a": 2}\n',
        b'[{"a": 1}\n]\n{"a": 2}\n',
        b"\n[",
        b"nonsense",
        b'{"a": 1}\n{"a": "\xff"}',
        b'{"a": 1}\n{"a": "\xc3',
        b'{"a": 1}\n{"a": 1}\n"\xc3',
    ],
)
def test_faults_are_named_by_the_reader(data: bytes, size: int) -> None:
    """json-strict: file, line and reason are those of the reader that reads everything."""
    with pytest.raises(EngineError) as expected:
        list(ObjectStream(iter([data]), "t"))
    for attempt in (lambda: read(data, size, ["a"]), lambda: ObjectTexts(iter([data]), "t").look(Keys())):
        with pytest.raises(EngineError) as caught:
            attempt()
        assert caught.value.code is Code.ROW_REJECTED
        assert caught.value.details["line"] == expected.value.details["line"]
        assert caught.value.details["reason"] == expected.value.details["reason"]


def test_half_a_surrogate_pair() -> None:
    """json-strict: it is no text; where only JSON is wanted it is kept as it stands."""
    data = b'{"a": "x"}\n{"a": "\\ud800"}\n'
    with pytest.raises(EngineError) as caught:
        read(data, 100, ["a"])
    assert caught.value.code is Code.VALUE_NOT_REPRESENTABLE
    assert "half a surrogate pair" in caught.value.message
    assert read(data, 100, ["a"], frozenset("a")) == [['"x"', '"\\ud800"']]


def test_a_long_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """json-strict: one that is longer than the limit is refused, one that is as long is not."""
    monkeypatch.setattr("engine.formats.read_members.LONGEST", 100_000)
    monkeypatch.setattr(read_objects, "LONGEST", 100_000)
    fitting = b'{"a": "' + b"x" * 80_000 + b'"}'
    assert read(fitting * 2, 1000, ["a"]) == [["x" * 80_000] * 2]
    with pytest.raises(EngineError, match="unterminated"):
        read(b'{"b": 1}' + b'{"a": "' + b"x" * 900_000 + b'"}', 1000, ["a"])
