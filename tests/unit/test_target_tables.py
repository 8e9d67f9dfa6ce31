"""In which order tables are loaded, by the foreign keys that are on the target."""

from __future__ import annotations

import pytest

from engine.connectors.target_tables import waves


@pytest.mark.parametrize(
    ("parents", "wanted", "circle"),
    [
        ({}, [], None),
        ({"b": set(), "a": set()}, [["a", "b"]], None),
        ({"a": {"b"}, "b": {"c"}, "c": set()}, [["c"], ["b"], ["a"]], None),
        ({"a": {"a", "elsewhere"}}, [["a"]], None),
        ({"a": {"b"}, "b": {"a"}, "c": set()}, [["c"], ["a", "b"]], "a"),
    ],
)
def test_parents_are_loaded_before_their_children(
    parents: dict[str, set[str]], wanted: list[list[str]], circle: str | None
) -> None:
    found, notes = waves(parents)
    assert found == wanted
    assert [(note.slug, note.table) for note in notes] == ([("fk-cycle", circle)] if circle else [])
