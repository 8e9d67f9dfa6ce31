"""One log line a request, without secrets: credentials in the query string are blotted out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import structlog

log = structlog.get_logger("dbstreams.access")
_SECRET = re.compile(r"(?i)(^|&)(api_key|install_id|[^&=]*(?:password|secret|token)[^&=]*)=[^&]*")


def redacted(query: bytes) -> str:
    """The query string with the values of credentials replaced by `***`. Percent-encoded names are blotted
    out too: what cannot be read plainly is not logged."""
    text = query.decode("latin-1")[:2000]
    if "%" in "".join(part.partition("=")[0] for part in text.split("&")):
        return "(encoded)"
    return _SECRET.sub(r"\1\2=***", text)


def log_request(scope: Mapping[str, Any], status: int, seconds: float, request_id: str, route: str) -> None:
    client = scope.get("client")
    log.info(
        "request",
        method=scope["method"][:20],
        path=scope["path"][:500],
        query=redacted(scope["query_string"]) or None,
        route=route,
        status=status,
        ms=round(seconds * 1000, 1),
        request_id=request_id,
        client=client[0] if client else None,
    )
