"""SQL text as the servers keep it, turned back into SQL text one can read; and string literals into values.

MySQL stores generation expressions, CHECK clauses, functional key parts and default expressions escaped once
more (`_utf8mb4\\'x\\'`) and their UTF-8 bytes read as latin1. MariaDB stores them as they are.
"""

from __future__ import annotations

import re

_ESCAPES = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}
_LITERAL = re.compile(r"^(?:_([a-z0-9]+))?\s*'((?:[^'\\]|\\.|'')*)'$", re.DOTALL)
_HEX = re.compile(r"^(?:_[a-z0-9]+\s*)?(?:0x([0-9a-f]*)|x'([0-9a-f]*)')$", re.IGNORECASE)
_BITS = re.compile(r"^(?:b'([01]*)'|0b([01]+))$", re.IGNORECASE)


def mojibake_undone(text: str) -> str:
    """UTF-8 that was read as latin1, read as UTF-8 again; any other text as it is."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def unescaped(text: str) -> str:
    """The SQL text MySQL's information_schema shows escaped: `\\'` is `'`, `\\\\` is one backslash.

    What stays inside a string literal is still escaped as SQL needs it: the server escapes the whole
    expression, so exactly one level comes off.
    """
    return mojibake_undone(_undone(text))


def server_expression(text: str, flavor: str) -> str:
    """An expression of the catalog as SQL text of the source dialect."""
    return unescaped(text) if flavor == "mysql" else text


def unquoted(body: str) -> str:
    """The value of the inside of a single-quoted literal: backslash escapes and doubled quotes undone."""
    return _undone(body, quotes=True)


def _undone(text: str, *, quotes: bool = False) -> str:
    out: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char == "\\" and position + 1 < len(text):
            position += 1
            char = _ESCAPES.get(text[position], text[position])
        elif quotes and char == "'" and text[position + 1 : position + 2] == "'":
            position += 1
        out.append(char)
        position += 1
    return "".join(out)


def string_literal(text: str) -> str | None:
    """The value of an SQL text that is one single-quoted literal (an introducer allowed); else None."""
    found = _LITERAL.match(text.strip())
    return unquoted(found.group(2)) if found else None


def hex_literal(text: str) -> bytes | None:
    """The bytes of `0x…` or `x'…'`, an odd digit padded on the left; None for any other text."""
    found = _HEX.match(text.strip())
    if not found:
        return None
    digits = found.group(1) if found.group(1) is not None else found.group(2)
    return bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)


def bit_literal(text: str) -> int | None:
    """The number of `b'…'` or `0b…`; None for any other text."""
    found = _BITS.match(text.strip())
    if not found:
        return None
    return int(found.group(1) or found.group(2) or "0", 2)
