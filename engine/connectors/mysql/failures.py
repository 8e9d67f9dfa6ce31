"""Failures of MySQL and MariaDB as EngineErrors: of opening a session, and of a statement in one."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql

from engine.config import Connection
from engine.connectors.failures import unreachable
from engine.errors import Code, EngineError

# Server and client error numbers (MySQL "Error Message Reference", MariaDB "Error Codes").
_REASONS = {
    1040: "other",  # too many connections
    1044: "auth",  # access denied to the database
    1045: "auth",
    1049: "unknown_database",
    1102: "unknown_database",  # incorrect database name
    1129: "auth",  # host blocked
    1130: "auth",  # host not allowed
    1131: "auth",
    1203: "other",  # max_user_connections
    1226: "other",  # resource limit of the user
    1251: "auth",
    1275: "auth",
    1396: "auth",
    1524: "auth",  # plugin not loaded
    1698: "auth",
    1820: "auth",  # password must be reset
    1862: "auth",  # password expired
    2005: "dns",
    2026: "tls",
    2027: "protocol",
    2054: "auth",
    2059: "auth",
    2061: "auth",
    3118: "auth",  # account locked
    3159: "tls",  # require_secure_transport
    4151: "auth",
}
LOST = frozenset({1053, 1927, 2000, 2006, 2013, 2014, 2055, 3169, 4031})
_DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1370, 1419})
_TIMED_OUT = frozenset({1205, 1907, 1969, 3024})
_TOO_LARGE = frozenset({1153, 1301})


def explain_error(error: BaseException, connection: Connection) -> EngineError:
    """Any failure to open a session, as CONNECTION_FAILED with the reason told apart."""
    number = _number(error)
    reason = _reason(error, number)
    return unreachable(connection, "MySQL", reason, _message(error), errno=number)


def _reason(error: BaseException, number: int | None) -> str:
    cause = getattr(error, "original_exception", None) or error
    if isinstance(cause, socket.gaierror | UnicodeError):
        return "dns"
    if isinstance(cause, ssl.SSLError):
        return "tls"
    if isinstance(cause, TimeoutError) or "timed out" in str(error):
        return "timeout"
    if number in _REASONS:
        return _REASONS[number]
    if isinstance(cause, OSError):
        return "protocol" if isinstance(cause, ConnectionResetError | BrokenPipeError) else "refused"
    if isinstance(error, pymysql.OperationalError) and "SSL is required" in str(error):
        return "tls"
    # What PyMySQL raises over an answer that is no handshake, or over one cut short.
    if number in (2006, 2013) or not isinstance(error, pymysql.MySQLError):
        return "protocol"
    return "protocol" if isinstance(error, pymysql.InternalError) else "other"


def _number(error: BaseException) -> int | None:
    return error.args[0] if error.args and isinstance(error.args[0], int) else None


def _message(error: BaseException) -> str:
    if isinstance(error, pymysql.MySQLError) and len(error.args) > 1:
        return str(error.args[1])
    return str(error) or type(error).__name__


def query_failed(error: BaseException, what: str, **details: Any) -> EngineError:
    """A failed statement: CONNECTION_LOST, PERMISSION_DENIED, QUERY_TIMEOUT or QUERY_FAILED.

    what: what was being done, e.g. "reading shop.orders failed".
    """
    number, message = _number(error), _message(error)
    lost = isinstance(error, OSError | pymysql.InterfaceError | EOFError)
    if number in LOST or (lost and number not in _DENIED):
        code = Code.CONNECTION_LOST
    elif number in _DENIED:
        code = Code.PERMISSION_DENIED
    elif number in _TIMED_OUT:
        code = Code.QUERY_TIMEOUT
    else:
        code = Code.QUERY_FAILED
    hint = "raise max_allowed_packet on the source server" if number in _TOO_LARGE else None
    return EngineError(
        code,
        f"{what}: {message}" + (f"; {hint}" if hint else ""),
        errno=number,
        serverMessage=message,
        hint=hint,
        **details,
    )


def explain(error: pymysql.MySQLError) -> EngineError:
    """What the driver raised where nobody said what was being done."""
    return query_failed(error, "the server refused a statement")


@contextmanager
def explained(what: str, **details: Any) -> Iterator[None]:
    """Whatever PyMySQL raises inside, as `query_failed` tells it apart."""
    try:
        yield
    except (pymysql.MySQLError, OSError) as error:
        raise query_failed(error, what, **details) from None
