"""Connections to PostgreSQL: how they are opened, what each session pins, and how a failure is explained."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from engine.config import Connection, Tls, TlsMode
from engine.connectors.base import ServerInfo
from engine.connectors.failures import unreachable
from engine.errors import Code, EngineError

PgConnection = psycopg.Connection[TupleRow]

CONNECT_TIMEOUT = 10  # seconds
DEFAULT_DATABASE = "postgres"

# What a session of ours relies on, whatever the role's or the database's own settings are.
_PINNED = (
    "SET client_encoding = 'UTF8'",
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO, YMD'",
    "SET IntervalStyle = 'postgres'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
    "SET standard_conforming_strings = on",
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET search_path = pg_catalog",
)
_PINNED_SINCE = ((140000, "SET idle_session_timeout = 0"), (170000, "SET transaction_timeout = 0"))


def connect(
    connection: Connection,
    database: str | None = None,
    *,
    autocommit: bool = True,
    application: str = "dbstreams",
) -> PgConnection:
    """Open a pinned session. Raises CONNECTION_FAILED with `details.reason`; never shows the password."""
    spec = connection.database
    with _tls_files(connection.ssl) as tls:
        try:
            session = psycopg.connect(
                host=spec.host,
                port=spec.port,
                user=spec.username,
                password=spec.password.get_secret_value(),
                dbname=database or spec.database or DEFAULT_DATABASE,
                connect_timeout=CONNECT_TIMEOUT,
                application_name=application,
                keepalives=1,
                keepalives_idle=30,
                keepalives_interval=10,
                keepalives_count=3,
                gssencmode="disable",
                # A stale PGPASSFILE or PGOPTIONS of the environment must not change who we are.
                passfile="/nonexistent",
                options="",
                autocommit=True,
                **tls,
            )
        except UnicodeError as error:  # a host name that cannot be one
            raise explain_error(
                psycopg.OperationalError(f"name or service not known: {error}"), connection
            ) from None
        except psycopg.Error as error:
            raise explain_error(error, connection) from None
    try:
        version = session.info.server_version
        later = (statement for since, statement in _PINNED_SINCE if version >= since)
        for statement in (*_PINNED, *later):
            session.execute(sql.SQL(statement))
        session.autocommit = autocommit
    except psycopg.Error as error:
        session.close()
        raise explain_error(error, connection) from None
    return session


@contextmanager
def _tls_files(tls: Tls) -> Iterator[dict[str, Any]]:
    """libpq reads certificates from files: private ones, gone as soon as the handshake is done."""
    settings: dict[str, Any] = {"sslmode": tls.mode.value}
    if tls.mode is TlsMode.DISABLE:
        yield settings
        return
    folder = Path(tempfile.mkdtemp(prefix="dbstreams-tls-"))
    try:
        # An explicit path keeps libpq from picking up ~/.postgresql of the account we happen to run as.
        for option, name, pem in (
            ("sslrootcert", "root.crt", tls.ca if tls.mode is not TlsMode.REQUIRE else None),
            ("sslcert", "client.crt", tls.client_cert),
            ("sslkey", "client.key", tls.client_key.get_secret_value() if tls.client_key else None),
        ):
            path = folder / name
            settings[option] = str(path)
            if pem is not None:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    file.write(pem)
        yield settings
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_SQLSTATE_REASONS = {
    "28P01": "auth",
    "28000": "auth",
    "3D000": "unknown_database",
    "53300": "too_many_connections",
    "57P03": "starting_up",
}
_MESSAGE_REASONS = (
    ("could not translate host name", "dns"),
    ("name or service not known", "dns"),
    ("connection refused", "refused"),
    ("no route to host", "refused"),
    ("network is unreachable", "refused"),
    ("certificate", "tls"),
    ("ssl", "tls"),
    ("timeout", "timeout"),
    ("timed out", "timeout"),
    ("password authentication failed", "auth"),
    ("no password supplied", "auth"),
    ("no pg_hba.conf entry", "auth"),
    ('role "', "auth"),
    ("does not exist", "unknown_database"),
    ("too many connections", "too_many_connections"),
    ("starting up", "starting_up"),
)


def explain_error(error: psycopg.Error, connection: Connection) -> EngineError:
    """Any failure to open a session, as CONNECTION_FAILED with the reason told apart."""
    message = str(error).strip()
    lowered = message.lower()
    reason = _SQLSTATE_REASONS.get(error.sqlstate or "") or next(
        (reason for text, reason in _MESSAGE_REASONS if text in lowered), "other"
    )
    return unreachable(connection, "PostgreSQL", reason, message, sqlstate=error.sqlstate)


def is_connection_loss(error: psycopg.Error) -> bool:
    """The session is gone (as opposed to a statement that failed in a session that lives)."""
    state = error.sqlstate or ""
    return (
        (isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not state)
        or state[:2] in ("08",)
        or state in ("57P01", "57P02", "57P03")
    )


def server_info(session: PgConnection) -> ServerInfo:
    row = session.execute(
        "SELECT current_setting('server_version'), current_setting('server_version_num')::int,"
        " (SELECT system_identifier::text FROM pg_control_system())"
        if _may_read_control(session)
        else "SELECT current_setting('server_version'), current_setting('server_version_num')::int, ''"
    ).fetchone()
    assert row is not None
    number = row[1]
    tls = session.pgconn.ssl_in_use
    return ServerInfo("postgresql", row[0], (number // 10000, number % 10000), row[2], "TLS" if tls else None)


def _may_read_control(session: PgConnection) -> bool:
    row = session.execute("SELECT has_function_privilege('pg_control_system()', 'execute')").fetchone()
    return bool(row and row[0])


# ---------------------------------------------------------------- what connections are asked over REST


def test(connection: Connection) -> dict[str, Any]:
    """Open a session and say what answered: `{ping, serverVersion, flavor, tls}`."""
    with connect(connection) as session:
        info = server_info(session)
    return {"ping": "ok", "serverVersion": info.version, "flavor": info.flavor, "tls": info.tls}


_SYSTEM_DATABASES = ("template0", "template1", "postgres")


def databases(connection: Connection) -> list[dict[str, Any]]:
    """`[{name, isSystem, schemas}]`. Schemas are listed for databases this login may connect to."""
    with connect(connection) as session:
        rows = session.execute(
            "SELECT datname, datallowconn AND has_database_privilege(datname, 'CONNECT')"
            " FROM pg_database WHERE datname <> 'template0' ORDER BY datname"
        ).fetchall()
    return [
        {
            "name": name,
            "isSystem": name in _SYSTEM_DATABASES,
            "schemas": schemas(connection, name) if reachable else [],
        }
        for name, reachable in rows
    ]


def schemas(connection: Connection, database: str) -> list[dict[str, Any]]:
    with connect(connection, database) as session:
        rows = session.execute(
            "SELECT nspname, nspname LIKE 'pg\\_%' OR nspname = 'information_schema' FROM pg_namespace"
            " WHERE nspname !~ '^pg_(toast|temp)' ORDER BY nspname"
        ).fetchall()
    return [{"name": name, "isSystem": system} for name, system in rows]


def create_database(connection: Connection, name: str) -> None:
    """Create a UTF-8 database. NAME_TAKEN when it is there, PERMISSION_DENIED without the right."""
    with connect(connection, DEFAULT_DATABASE) as session:
        _create(session, sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0"), name, "database")


def create_schema(connection: Connection, database: str, name: str) -> None:
    with connect(connection, database) as session:
        _create(session, sql.SQL("CREATE SCHEMA {}"), name, "schema")


def _create(session: PgConnection, statement: sql.SQL, name: str, what: str) -> None:
    if len(name.encode()) > 63:
        raise EngineError(
            Code.VALIDATION_FAILED, f"a PostgreSQL {what} name has at most 63 bytes", field="name"
        )
    try:
        session.execute(statement.format(sql.Identifier(name)))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.DuplicateSchema):
        raise EngineError(Code.NAME_TAKEN, f"{what} {name} exists already", name=name) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise EngineError(
            Code.PERMISSION_DENIED, f"this login may not create the {what} {name}", serverMessage=str(error)
        ) from None
    except psycopg.Error as error:
        raise EngineError(
            Code.QUERY_FAILED, f"cannot create {what} {name}: {error}", sqlstate=error.sqlstate
        ) from None
