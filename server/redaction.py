"""Keeping secrets out of the server's own log."""

from __future__ import annotations

import re

MASK = "***"
_WORDS = r"api[_-]?key|install[_-]?id|pass(?:word|wd|phrase)?|pwd|secret\w*|token"
_PARAMETER = re.compile(rf"(?i)(^|&)([^&=]*(?:{_WORDS})[^&=]*)=[^&]*")
_ASSIGNED = re.compile(rf"""(?i)(\b[\w-]*(?:{_WORDS})[\w-]*["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;)}}\]]+)""")
_URL = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+(?=@)")
_LONGEST = 2_000


def redacted_query(query: bytes) -> str:
    """A query string without the values of credentials. When a name is percent-encoded nothing is shown:
    what cannot be read plainly is not logged."""
    text = query.decode("latin-1")[:_LONGEST]
    if any("%" in part.partition("=")[0] for part in text.split("&")):
        return "(encoded)"
    return _PARAMETER.sub(rf"\1\2={MASK}", text)


def without_secrets(text: str) -> str:
    """A text without what is assigned to a name that sounds like a secret, and without URL passwords."""
    return _URL.sub(rf"\1{MASK}", _ASSIGNED.sub(rf"\1{MASK}", text))
