"""Quoting for PostgreSQL: the only place that turns names and values into SQL text.

Literals need no E'' form: every session pins `standard_conforming_strings = on` (session.py), so a backslash
is an ordinary character. NUL cannot be written in either; PostgreSQL has no such character.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.errors import Code, EngineError


def _no_nul(text: str, what: str) -> str:
    if "\0" in text:
        raise EngineError(Code.VALIDATION_FAILED, f"A {what} cannot hold a NUL character in PostgreSQL.")
    return text


def quote(name: str) -> str:
    """A quoted identifier. Raises VALIDATION_FAILED for an empty name or one with a NUL character."""
    if not name:
        raise EngineError(Code.VALIDATION_FAILED, "A name in PostgreSQL cannot be empty.")
    return '"' + _no_nul(name, "name").replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """`"schema"."name"`: nothing of ours depends on search_path."""
    return f"{quote(schema)}.{quote(name)}"


def quoted_list(names: Iterable[str]) -> str:
    """Quoted identifiers, comma separated."""
    return ", ".join(quote(name) for name in names)


def literal(value: str) -> str:
    """A quoted string constant. Raises VALIDATION_FAILED for text with a NUL character."""
    return "'" + _no_nul(value, "text constant").replace("'", "''") + "'"


def bytes_literal(value: bytes) -> str:
    """A bytea constant in hex form, independent of `bytea_output`."""
    return f"'\\x{value.hex()}'::bytea"


def text_array(values: Iterable[str]) -> str:
    """A text[] constant, element by element, so that no character of an element is special."""
    items = ", ".join(literal(value) for value in values)
    return f"ARRAY[{items}]::text[]" if items else "'{}'::text[]"
