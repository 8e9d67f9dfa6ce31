"""Every failure a user can see: one list of stable codes, one exception that carries them.

The HTTP layer maps a code to a status, the command line to an exit code; neither invents codes of its own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self


class Category(StrEnum):
    AUTHENTICATION = "authentication"
    AUTHORIZATION = "authorization"
    VALIDATION = "validation"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    CONNECTION = "connection"
    QUERY = "query"
    STREAM = "stream"
    STORAGE = "storage"
    LIMIT = "limit"
    INTERNAL = "internal"


class Code(StrEnum):
    """A stable code. Renaming one breaks clients: add, never change."""

    category: Category
    status: int

    def __new__(cls, value: str, category: Category, status: int) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.category = category
        member.status = status
        return member

    # authentication and authorization
    AUTHENTICATION_FAILED = ("AUTHENTICATION_FAILED", Category.AUTHENTICATION, 401)
    INSTALL_ID_REQUIRED = ("INSTALL_ID_REQUIRED", Category.AUTHENTICATION, 401)
    INSTALL_ID_MISMATCH = ("INSTALL_ID_MISMATCH", Category.AUTHENTICATION, 401)
    SUBSCRIPTION_REQUIRED = ("SUBSCRIPTION_REQUIRED", Category.AUTHORIZATION, 402)
    PATH_NOT_ALLOWED = ("PATH_NOT_ALLOWED", Category.AUTHORIZATION, 403)
    QUERY_NOT_ALLOWED = ("QUERY_NOT_ALLOWED", Category.AUTHORIZATION, 403)
    # requests
    VALIDATION_FAILED = ("VALIDATION_FAILED", Category.VALIDATION, 400)
    MALFORMED_JSON = ("MALFORMED_JSON", Category.VALIDATION, 400)
    UNKNOWN_COLUMN = ("UNKNOWN_COLUMN", Category.VALIDATION, 400)
    UNKNOWN_TABLE = ("UNKNOWN_TABLE", Category.VALIDATION, 400)
    UNKNOWN_ALIAS = ("UNKNOWN_ALIAS", Category.VALIDATION, 400)
    AMBIGUOUS_BUCKET = ("AMBIGUOUS_BUCKET", Category.VALIDATION, 400)
    UNSUPPORTED_ROUTE = ("UNSUPPORTED_ROUTE", Category.VALIDATION, 400)
    UNSUPPORTED_CONNECTION_TYPE = ("UNSUPPORTED_CONNECTION_TYPE", Category.VALIDATION, 400)
    UNSUPPORTED_MEDIA_TYPE = ("UNSUPPORTED_MEDIA_TYPE", Category.VALIDATION, 415)
    METHOD_NOT_ALLOWED = ("METHOD_NOT_ALLOWED", Category.VALIDATION, 405)
    CONFIRMATION_REQUIRED = ("CONFIRMATION_REQUIRED", Category.VALIDATION, 428)
    # lookups
    ROUTE_NOT_FOUND = ("ROUTE_NOT_FOUND", Category.NOT_FOUND, 404)
    CONNECTION_NOT_FOUND = ("CONNECTION_NOT_FOUND", Category.NOT_FOUND, 404)
    STREAM_CONFIG_NOT_FOUND = ("STREAM_CONFIG_NOT_FOUND", Category.NOT_FOUND, 404)
    STREAM_NOT_FOUND = ("STREAM_NOT_FOUND", Category.NOT_FOUND, 404)
    RUN_NOT_FOUND = ("RUN_NOT_FOUND", Category.NOT_FOUND, 404)
    DATABASE_NOT_FOUND = ("DATABASE_NOT_FOUND", Category.NOT_FOUND, 404)
    KEY_NOT_FOUND = ("KEY_NOT_FOUND", Category.NOT_FOUND, 404)
    # conflicts
    NAME_TAKEN = ("NAME_TAKEN", Category.CONFLICT, 409)
    CONNECTION_IN_USE = ("CONNECTION_IN_USE", Category.CONFLICT, 409)
    CONNECTION_BUSY = ("CONNECTION_BUSY", Category.CONFLICT, 409)
    STREAM_ALREADY_RUNNING = ("STREAM_ALREADY_RUNNING", Category.CONFLICT, 409)
    INVALID_STREAM_STATE = ("INVALID_STREAM_STATE", Category.CONFLICT, 409)
    IDEMPOTENCY_CONFLICT = ("IDEMPOTENCY_CONFLICT", Category.CONFLICT, 409)
    FILE_CHANGED = ("FILE_CHANGED", Category.CONFLICT, 409)
    # the systems at the ends
    CONNECTION_FAILED = ("CONNECTION_FAILED", Category.CONNECTION, 502)
    CONNECTION_LOST = ("CONNECTION_LOST", Category.CONNECTION, 502)
    PERMISSION_DENIED = ("PERMISSION_DENIED", Category.CONNECTION, 403)
    QUERY_FAILED = ("QUERY_FAILED", Category.QUERY, 400)
    QUERY_TIMEOUT = ("QUERY_TIMEOUT", Category.QUERY, 504)
    # streams
    PLAN_REFUSED = ("PLAN_REFUSED", Category.STREAM, 409)
    TABLE_EXISTS = ("TABLE_EXISTS", Category.STREAM, 409)
    TABLE_NOT_EMPTY = ("TABLE_NOT_EMPTY", Category.STREAM, 409)
    STRUCTURE_MISMATCH = ("STRUCTURE_MISMATCH", Category.STREAM, 409)
    VALUE_NOT_REPRESENTABLE = ("VALUE_NOT_REPRESENTABLE", Category.STREAM, 409)
    ROW_REJECTED = ("ROW_REJECTED", Category.STREAM, 409)
    CONSTRAINT_VIOLATION = ("CONSTRAINT_VIOLATION", Category.STREAM, 409)
    EPOCH_SUPERSEDED = ("EPOCH_SUPERSEDED", Category.STREAM, 409)
    WORKER_DIED = ("WORKER_DIED", Category.STREAM, 500)
    VERIFY_MISMATCH = ("VERIFY_MISMATCH", Category.STREAM, 409)
    # storage of ours and of the target
    TARGET_FULL = ("TARGET_FULL", Category.STORAGE, 507)
    STORE_UNAVAILABLE = ("STORE_UNAVAILABLE", Category.STORAGE, 503)
    SECRET_UNREADABLE = ("SECRET_UNREADABLE", Category.STORAGE, 500)
    # limits and the rest
    BODY_TOO_LARGE = ("BODY_TOO_LARGE", Category.LIMIT, 413)
    RATE_LIMITED = ("RATE_LIMITED", Category.LIMIT, 429)
    NOT_READY = ("NOT_READY", Category.INTERNAL, 503)
    INTERNAL_ERROR = ("INTERNAL_ERROR", Category.INTERNAL, 500)


class EngineError(Exception):
    """A failure with a stable code.

    `message` is one sentence for a person and says what to do next where that is known; `details` are for a
    program (field path, connection id, table, column, key, the server's own errno or SQLSTATE). Neither ever
    holds a password or an API key.
    """

    def __init__(self, code: Code, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: dict[str, Any] = {k: v for k, v in details.items() if v is not None}

    def __repr__(self) -> str:
        return f"EngineError({self.code.value}: {self.message})"

    def as_dict(self) -> dict[str, Any]:
        """`{error, code, category, details}`: the contract's envelope without the request id."""
        return {
            "error": self.message,
            "code": self.code.value,
            "category": self.code.category.value,
            "details": self.details,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EngineError:
        """The inverse of `as_dict`, for errors that crossed a process boundary."""
        return cls(Code[data["code"]], data["error"], **data.get("details", {}))
