"""Quoting for MySQL and MariaDB: the only place that turns names and values into SQL text.

Constants are written in hexadecimal, so that neither `sql_mode` (ANSI_QUOTES, NO_BACKSLASH_ESCAPES) nor the
connection's character set can change what they mean.
"""

from __future__ import annotations

from engine.errors import Code, EngineError


def quote(name: str) -> str:
    """A quoted identifier. Raises VALIDATION_FAILED for an empty name or one with a NUL character."""
    if not name:
        raise EngineError(Code.VALIDATION_FAILED, "A name in MySQL cannot be empty.")
    if "\0" in name:
        raise EngineError(Code.VALIDATION_FAILED, "A name cannot hold a NUL character in MySQL.")
    return "`" + name.replace("`", "``") + "`"


def qualified(schema: str, table: str) -> str:
    """`` `schema`.`table` ``: nothing of ours depends on the current database."""
    return f"{quote(schema)}.{quote(table)}"


def literal(value: int | str | bytes) -> str:
    """A constant: an integer as it is, text as utf8mb4, bytes as a binary string."""
    if isinstance(value, bool):
        raise TypeError("a truth value has no literal of its own: write 0 or 1")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    try:
        return f"_utf8mb4 X'{value.encode().hex()}'"
    except UnicodeEncodeError:
        raise EngineError(
            Code.VALIDATION_FAILED, "A text constant holds a lone surrogate, which is no character."
        ) from None
