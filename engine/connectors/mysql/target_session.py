"""Sessions of a MySQL target: pinned as a source's are, and strict."""

from __future__ import annotations

import contextlib

import pymysql

from engine.config import Connection
from engine.connectors.mysql.checkpoint import Session, execute, rows_of
from engine.connectors.mysql.infile import CLIENT_FLAGS
from engine.connectors.mysql.session import connect, explain_error

# Dates of zeros are allowed, because a policy may want them; nothing else that is no value is.
_MODE = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO"
_PINNED = (
    f"SET SESSION sql_mode = '{_MODE}', foreign_key_checks = 1, unique_checks = 1, sql_notes = 1,"
    " max_error_count = 1024, innodb_lock_wait_timeout = 300"
)
# What is unknown to one server or another, or not every login's to set.
_WISHES = (
    "innodb_strict_mode = 1",
    "explicit_defaults_for_timestamp = 1",
    "check_constraint_checks = 1",
    "innodb_snapshot_isolation = 0",  # from MariaDB 11.6 on: a row another loader has changed is an error
    "sql_require_primary_key = 0",
    "sql_generate_invisible_primary_key = 0",
    "information_schema_stats_expiry = 0",
)


def open_session(connection: Connection, database: str | None) -> Session:
    """A session for looking, changing and loading. Raises CONNECTION_FAILED.

    READ COMMITTED where the binary log takes it: two loaders of one table then do not lock the gaps between
    each other's keys. The transactions of a load read nothing but what they lock themselves.
    """
    session = connect(connection, database, flags=CLIENT_FLAGS)
    try:
        execute(session, _PINNED)
        for wish in _WISHES:
            with contextlib.suppress(pymysql.MySQLError):
                execute(session, f"SET SESSION {wish}")
        if str(rows_of(session, "SELECT @@binlog_format")[0][0]).upper() != "STATEMENT":
            execute(session, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    except (pymysql.MySQLError, OSError) as error:
        session._force_close()
        raise explain_error(error, connection) from None
    return session
