"""JSON objects with the text of every value, however the bytes arrive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.config import Connection, SourceConnection
from engine.connectors.files.source import open_source
from engine.errors import Code, EngineError
from engine.formats.read_members import Nested, Number, ObjectStream

OBJECTS = (
    '{"a": 1.10, "b": "x\\u00e9\\n", "c": true, "d": null}',
    '{"a": -12345678901234567890123E+5, "b": "", "c": false}',
    '{"n": {"x": [1.10, "]}"], "y": {}}, "a": 0, "é": "\\ud83d\\ude00"}',
    "{}",
)
EXPECTED: list[dict[str, Any]] = [
    {"a": Number("1.10"), "b": "xé\n", "c": True, "d": None},
    {"a": Number("-12345678901234567890123E+5"), "b": "", "c": False},
    {"n": Nested('{"x": [1.10, "]}"], "y": {}}'), "a": Number("0"), "é": "😀"},
    {},
]


def read(data: bytes, size: int, raw: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
    pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
    return list(ObjectStream(pieces, "t", raw))


@pytest.mark.parametrize("size", [1, 2, 7, 50, 10_000])
@pytest.mark.parametrize(
    "text",
    [
        "\n".join(OBJECTS),
        " \r\n".join(OBJECTS) + "\n\n",
        "".join(OBJECTS),
        "[" + ",".join(OBJECTS) + "]",
        "\n[\n" + " ,\n".join(OBJECTS) + "\n]\n",
    ],
)
def test_objects_in_any_pieces(text: str, size: int) -> None:
    """json-numbers, json-nested: every value keeps its own text."""
    found = read(text.encode(), size)
    assert found == EXPECTED
    assert [[type(value) for value in item.values()] for item in found] == [
        [type(value) for value in item.values()] for item in EXPECTED
    ]


@pytest.mark.parametrize("text", ["\n".join(OBJECTS), "[" + ",".join(OBJECTS) + "]"])
def test_objects_cut_anywhere(text: str) -> None:
    """json-numbers: also in the middle of a number, right after its point or its `e`."""
    data = text.encode()
    for cut in range(len(data)):
        assert list(ObjectStream(iter([data[:cut], data[cut:]]), "t")) == EXPECTED, data[:cut]


@pytest.mark.parametrize("text", ["", " \n", "[]", "[ ]\n"])
def test_no_objects(text: str) -> None:
    assert read(text.encode(), 1) == []


def test_values_wanted_as_they_stand() -> None:
    """json-nested: of the keys asked for; null stays null."""
    found = read(b'{"a": "x\\n", "b": 1}\n{"a": null, "b": 2}\n', 3, frozenset("a"))
    assert found == [{"a": '"x\\n"', "b": "1"}, {"a": None, "b": "2"}]
    assert type(found[0]["a"]) is Nested


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"a": 1}\n\n{"a": 1,}', 3),
        ('{"a": 1}\n{"a": 1', 2),
        ('{"a": 1}\n{"a": tru}', 2),
        ('{"a": 1}\n{a: 1}', 2),
        ('{"a": 1}\n{"a": [1, ]}', 2),
        ('{"a": 1}\n{"a": "\\x"}', 2),
        ('{"a": 1}\n{"a": "line\nend"}', 2),
        ('{"a": 1}\n{"a": 1} x', 2),
        ('{"a": 1}\n1', 2),
        ('[{"a": 1},\n]', 2),
        ('[{"a": 1}\n{"a": 2}]', 2),
        ("[", 1),
        ("nonsense", 1),
        ('{"a": ' + "[" * 200_000, 1),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_is_no_json(text: str, line: int, size: int) -> None:
    """json-strict: the line, however the bytes arrive."""
    if len(text) > 1000 and size == 1:
        size = 1000
    with pytest.raises(EngineError) as caught:
        read(text.encode(), size)
    assert caught.value.code is Code.ROW_REJECTED
    assert caught.value.details["line"] == line


def test_a_look_that_wants_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """json-numbers: DuckDB may still be pulling when the sample has been taken; nothing is lost by that."""
    monkeypatch.setattr("engine.formats.read_objects.BATCH", 100)
    monkeypatch.setattr("engine.formats.infer.SAMPLE", 150)
    rows = [{"n": number, "s": str(number)} for number in range(5000)]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    body = {"name": "f", "type": "files", "spec": {"files": {"basePath": str(tmp_path)}}}
    source = open_source(Connection.parse(body), SourceConnection.parse({"connectionId": "x"}))
    table = source.catalog(source.database).tables[0]
    assert [(column.name, column.native_type) for column in table.columns] == [
        ("n", "BIGINT"),
        ("s", "VARCHAR"),
    ]
    assert table.estimated_rows == 5000
    source.close()
