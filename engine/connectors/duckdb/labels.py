"""The labels of an enum out of the name DuckDB's catalog prints for its type."""

from __future__ import annotations

import re

_LABEL = re.compile(r"'((?:[^']|'')*)'")


def enum_labels(printed: str) -> tuple[str, ...]:
    """`ENUM('a', 'it''s')` → ("a", "it's")."""
    inside = printed[printed.index("(") + 1 : printed.rindex(")")]
    return tuple(found.replace("''", "'") for found in _LABEL.findall(inside))
