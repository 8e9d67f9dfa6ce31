"""Connections to MySQL and MariaDB: how they are opened, what each session pins, what REST asks of them."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
from typing import Any

import pymysql
from pymysql.connections import Connection as PyMySQLConnection

from engine.config import Connection, TlsMode
from engine.connectors.base import ServerInfo
from engine.connectors.mysql import tls
from engine.connectors.mysql.failures import explain_error, query_failed
from engine.connectors.mysql.identifiers import quote
from engine.errors import Code, EngineError

__all__ = [
    "CONNECT_TIMEOUT",
    "READ_TIMEOUT",
    "connect",
    "create_database",
    "databases",
    "explain_error",
    "is_mariadb",
    "kill_query",
    "pinning",
    "server_info",
    "test",
]

CONNECT_TIMEOUT = 10  # seconds, for the TCP connection and for each answer of the handshake
READ_TIMEOUT = 3600  # a query may compute long before its first row; a dead peer is found by keepalive
_NET_TIMEOUT = 600  # how long the server waits for a slow reader; its default of 60 kills streams
_IDLE_TIMEOUT = 7 * 24 * 3600  # a session of a picture waits for its turn
_METADATA_LOCK_TIMEOUT = 600

_SYSTEM_DATABASES = ("information_schema", "mysql", "performance_schema", "sys")

# What a session of ours relies on, whatever the server's or the login's own settings are.
_PINNED = (
    "SET SESSION time_zone = '+00:00', sql_mode = '', autocommit = 1,"
    f" net_write_timeout = {_NET_TIMEOUT}, net_read_timeout = {_NET_TIMEOUT}",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
)
# What is good to have and unknown to one server or another.
_WISHES = (
    f"wait_timeout = {_IDLE_TIMEOUT}",
    f"lock_wait_timeout = {_METADATA_LOCK_TIMEOUT}",
    "sql_select_limit = 18446744073709551615",
    "sql_big_selects = 1",
    "sql_auto_is_null = 0",
    "sql_quote_show_create = 1",
)
_WISHES_MARIADB = (
    "max_statement_time = 0",
    "idle_transaction_timeout = 0",
    "idle_readonly_transaction_timeout = 0",
)
_WISHES_MYSQL = ("max_execution_time = 0",)


class _NoPlainPassword:
    """Refuses mysql_clear_password on a line that is not encrypted: the server alone chooses the method."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def authenticate(self, packet: Any) -> Any:
        session = self._session
        if not session._secure:
            raise pymysql.OperationalError(
                2061, "the server asks for the password in plain text on a connection without TLS"
            )
        session.write_packet(session.password + b"\0")
        answer = session._read_packet()
        answer.check_error()
        return answer


def connect(
    connection: Connection,
    database: str | None = None,
    *,
    read_timeout: float = READ_TIMEOUT,
    application: str = "dbstreams",
    flags: int = 0,
) -> PyMySQLConnection[Any]:
    """Open a pinned session in autocommit: UTC, utf8mb4, sql_mode '', REPEATABLE READ, no statement timeout.

    `database` None takes the connection's own, or none. `flags`: further capabilities to announce.
    Raises CONNECTION_FAILED with `details.reason`; never shows the password.
    """
    try:
        session = _opened(connection, database, application, flags)
    except (pymysql.MySQLError, OSError, struct.error, LookupError, ValueError, RuntimeError) as error:
        raise explain_error(error, connection) from None
    try:
        _pin(session)
    except (pymysql.MySQLError, OSError) as error:
        session._force_close()
        raise explain_error(error, connection) from None
    session._read_timeout = read_timeout
    session._write_timeout = read_timeout
    return session


def _opened(
    connection: Connection, database: str | None, application: str, flags: int
) -> PyMySQLConnection[Any]:
    spec = connection.database
    context = tls.context(connection.ssl)
    session: PyMySQLConnection[Any] = pymysql.connect(
        host=spec.host,
        port=spec.port,
        user=spec.username,
        # Encoded here: PyMySQL would take latin1, the server's accounts are UTF-8.
        password=spec.password.get_secret_value().encode(),
        database=database or spec.database,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=CONNECT_TIMEOUT,
        write_timeout=CONNECT_TIMEOUT,
        program_name=application,
        client_flag=flags,
        auth_plugin_map={"mysql_clear_password": _NoPlainPassword},
        ssl=context,
        # Without this PyMySQL goes over to TLS by itself wherever the server offers it.
        ssl_disabled=True if context is None else None,
        defer_connect=True,
    )
    if connection.ssl.mode is TlsMode.PREFER:
        session._ssl_required = False
        session.client_flag &= ~pymysql.constants.CLIENT.SSL  # announced only when the server offers it
    session.connect()
    _keep_alive(session)
    return session


def _keep_alive(session: PyMySQLConnection[Any]) -> None:
    """A peer that vanished without a word is noticed after a minute, also in the middle of a long read."""
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        number = getattr(socket, option, None)
        if number is not None:
            session._sock.setsockopt(socket.IPPROTO_TCP, number, value)


def _pin(session: PyMySQLConnection[Any]) -> None:
    wishes = (*_WISHES, *(_WISHES_MARIADB if is_mariadb(session) else _WISHES_MYSQL))
    with session.cursor() as cursor:
        for statement in _PINNED:
            cursor.execute(statement)
        try:
            cursor.execute(f"SET SESSION {', '.join(wishes)}")
        except pymysql.MySQLError:
            for wish in wishes:
                with contextlib.suppress(pymysql.MySQLError):
                    cursor.execute(f"SET SESSION {wish}")


def pinning(flavor: str) -> tuple[str, ...]:
    """The statements that pin a session another driver opens."""
    unlimited = "max_statement_time = 0" if flavor == "mariadb" else "max_execution_time = 0"
    return ("SET NAMES utf8mb4", *_PINNED, f"SET SESSION {unlimited}")


def is_mariadb(session: PyMySQLConnection[Any]) -> bool:
    return "mariadb" in session.get_server_info().lower()


def server_info(session: PyMySQLConnection[Any]) -> ServerInfo:
    """Flavor, version and identity of the server a session is on."""
    with session.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        version = str(cursor.fetchone()[0])
        flavor = "mariadb" if "mariadb" in version.lower() or is_mariadb(session) else "mysql"
        identity = _identity(cursor, flavor)
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    version_tuple = tuple(int(part) for part in numbers.groups("0")) if numbers else ()
    encrypted = session._sock.version() if isinstance(session._sock, ssl.SSLSocket) else None
    return ServerInfo(flavor, version, version_tuple, identity, encrypted)


def _identity(cursor: Any, flavor: str) -> str:
    own = "SELECT @@server_uuid" if flavor == "mysql" else "SELECT @@server_uid"
    for statement in (own, "SELECT CONCAT_WS(':', @@hostname, @@port, @@server_id, @@datadir)"):
        try:
            cursor.execute(statement)
        except pymysql.MySQLError:
            continue
        row = cursor.fetchone()
        if row and row[0]:
            return str(row[0])
    return ""


def kill_query(connection: Connection, thread: int) -> None:
    """Stop the running statement of a session by a second one. A session already gone needs none; a source
    that takes no second connection is left to notice by itself."""
    try:
        killer = connect(connection, read_timeout=CONNECT_TIMEOUT)
    except EngineError:
        return
    with contextlib.suppress(pymysql.MySQLError), contextlib.closing(killer), killer.cursor() as cursor:
        cursor.execute(f"KILL QUERY {int(thread)}")


# ---------------------------------------------------------------- what connections are asked over REST


def test(connection: Connection) -> dict[str, Any]:
    """Open a session and say what answered: `{ping, serverVersion, flavor, tls}`."""
    with contextlib.closing(connect(connection, read_timeout=CONNECT_TIMEOUT)) as session:
        session.ping()
        info = server_info(session)
    return {"ping": "ok", "serverVersion": info.version, "flavor": info.flavor, "tls": info.tls}


def databases(session: PyMySQLConnection[Any]) -> list[dict[str, Any]]:
    """`[{name, isSystem}]`: the databases this login may see."""
    with session.cursor() as cursor:
        cursor.execute("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME")
        names = [str(row[0]) for row in cursor.fetchall()]
    return [{"name": name, "isSystem": name.lower() in _SYSTEM_DATABASES} for name in names]


def create_database(session: PyMySQLConnection[Any], name: str) -> None:
    """Create a utf8mb4 database. NAME_TAKEN when it is there, PERMISSION_DENIED without the right."""
    if len(name) > 64:
        raise EngineError(
            Code.VALIDATION_FAILED, "a MySQL database name has at most 64 characters", field="name"
        )
    try:
        with session.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {quote(name)} CHARACTER SET utf8mb4")
    except pymysql.MySQLError as error:
        if error.args[:1] == (1007,):
            raise EngineError(Code.NAME_TAKEN, f"database {name} exists already", name=name) from None
        raise query_failed(error, f"cannot create database {name}") from None
