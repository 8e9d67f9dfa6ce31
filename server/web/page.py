"""The documentation page: our own script and style, put into the page itself, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent


@cache
def docs_page() -> tuple[bytes, str]:
    """(the page, its Content-Security-Policy, which lets only our script and style run, by their hash)."""
    page = (_HERE / "docs.html").read_text("utf-8")
    style = (_HERE / "docs.css").read_text("utf-8")
    script = (_HERE / "docs.js").read_text("utf-8")
    page = page.replace("/* style */", style).replace("/* script */", script)
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page.encode(), policy


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
