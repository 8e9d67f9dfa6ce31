"""One log line a request, without secrets: credentials in the query string are blotted out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from server.redaction import redacted_query

log = structlog.get_logger("dbstreams.access")


def log_request(scope: Mapping[str, Any], status: int, seconds: float, request_id: str, route: str) -> None:
    client = scope.get("client")
    log.info(
        "request",
        method=scope["method"][:20],
        path=scope["path"][:500],
        query=redacted_query(scope["query_string"]) or None,
        route=route,
        status=status,
        ms=round(seconds * 1000, 1),
        request_id=request_id,
        client=client[0] if client else None,
    )
