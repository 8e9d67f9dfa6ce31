"""Request ids: those made here when the client sent none, and the one of the request being answered."""

from __future__ import annotations

import secrets
from contextvars import ContextVar

request_ids: ContextVar[str] = ContextVar("dbstreams_request_id")


def new_request_id() -> str:
    return "req_" + secrets.token_hex(12)
