"""Names of DuckDB in SQL. Quoting itself is that of `engine.formats.read_session`, the one place for it."""

from __future__ import annotations

import os

from engine.formats.read_session import literal, quote

__all__ = ["catalog_name", "literal", "qualified", "quote"]

_RESERVED = ("main", "temp", "system")


def qualified(catalog: str, schema: str, name: str) -> str:
    """With the catalog: a schema called like the database is ambiguous without it."""
    return f"{quote(catalog)}.{quote(schema)}.{quote(name)}"


def catalog_name(path: str) -> str:
    """What DuckDB calls the database in a file: the name up to its first dot, reserved ones with `_db`."""
    name = next((part for part in os.path.basename(path).split(".") if part), "")
    return f"{name}_db" if name in _RESERVED else name
