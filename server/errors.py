"""Every failure becomes the one envelope here; nothing else in the server builds an error answer."""

from __future__ import annotations

import traceback
from typing import Any

import orjson
import structlog
from blacksheep import Response
from blacksheep.exceptions import HTTPException
from pydantic import ValidationError

from engine.config import validation_failed
from engine.errors import Code, EngineError
from server.redaction import without_secrets
from server.responses import JSON_TEXT, raw_response

log = structlog.get_logger("dbstreams.server")

_BY_STATUS = {
    400: Code.VALIDATION_FAILED,
    401: Code.AUTHENTICATION_FAILED,
    404: Code.ROUTE_NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.BODY_TOO_LARGE,
    415: Code.UNSUPPORTED_MEDIA_TYPE,
    429: Code.RATE_LIMITED,
    503: Code.NOT_READY,
}


def as_engine_error(error: BaseException, request_id: str) -> EngineError:
    """The EngineError a failure stands for. An unexpected one is logged whole and answered without a word of
    its own: its message may hold anything."""
    if isinstance(error, EngineError):
        return error
    if isinstance(error, ValidationError):
        return validation_failed(error)
    if isinstance(error, HTTPException) and error.status in _BY_STATUS:
        return EngineError(_BY_STATUS[error.status], "the request was refused by the HTTP layer")
    log_unexpected("unexpected_error", request_id, error)
    return EngineError(
        Code.INTERNAL_ERROR, "an unexpected error happened; the server's log has it under this request id"
    )


def log_unexpected(event: str, request_id: str, error: BaseException) -> None:
    """The traceback as plain text: never with the values of variables, and without what looks like a secret
    in the message. It is not left to the logger's own formatting, which may show local variables."""
    text = "".join(traceback.format_exception(error))
    log.error(event, request_id=request_id, traceback=without_secrets(text))


def error_response(error: BaseException, request_id: str, headers: dict[str, str] | None = None) -> Response:
    """The envelope with its status. 429 and 503 say when to try again; 401 names the scheme."""
    known = as_engine_error(error, request_id)
    status = known.code.status
    extra = dict(headers or {})
    if status == 401:
        extra["WWW-Authenticate"] = 'ApiKey realm="dbstreams"'
    if status in (429, 503):
        extra.setdefault("Retry-After", "1")
    return raw_response(status, _encode({**known.as_dict(), "requestId": request_id}), JSON_TEXT, extra)


def _encode(envelope: dict[str, Any]) -> bytes:
    """Details come from many places: what JSON has no form for (a Decimal, bytes, a long integer) is said as
    text, so that an error never fails to be told."""
    try:
        return orjson.dumps(envelope, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return orjson.dumps({**envelope, "details": {"text": str(envelope["details"])}})
