"""Failures of the source, told apart and with the server's own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors as pg

from engine.connectors.postgres.session import is_connection_loss
from engine.errors import Code, EngineError


def explain_source(error: psycopg.Error, what: str, **details: Any) -> EngineError:
    """CONNECTION_LOST, PERMISSION_DENIED or QUERY_FAILED; `what` says what was being done."""
    message = error.diag.message_primary or str(error).strip() or type(error).__name__
    if is_connection_loss(error):
        return EngineError(
            Code.CONNECTION_LOST,
            f"{what}: the connection to the source was lost: {message}",
            sqlstate=error.sqlstate,
            **details,
        )
    code = Code.PERMISSION_DENIED if isinstance(error, pg.InsufficientPrivilege) else Code.QUERY_FAILED
    hint = None
    if isinstance(error, pg.InsufficientPrivilege) and "row-level security" in message:
        hint = "read with a login that row security does not filter (BYPASSRLS, or the table's owner)"
    elif error.sqlstate == "40001" and "recovery" in message:
        hint = "raise max_standby_streaming_delay, or turn on hot_standby_feedback, on the standby"
    return EngineError(
        code,
        f"{what}: {message}" + (f"; {hint}" if hint else ""),
        sqlstate=error.sqlstate,
        serverMessage=message,
        serverDetail=error.diag.message_detail,
        hint=hint,
        **details,
    )


@contextmanager
def explained(what: str, **details: Any) -> Iterator[None]:
    """psycopg's errors inside as EngineErrors of the source."""
    try:
        yield
    except psycopg.Error as error:
        raise explain_source(error, what, **details) from None
