"""Carrying out a mapped structure on a real PostgreSQL, and reading real source catalogs, for the tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import psycopg

from benchmarks.endpoints import MysqlEndpoint
from engine.connectors.base import Phase, ServerInfo, Statement, TargetDatabase
from engine.connectors.mysql.catalog import read_database
from engine.schema import Database

Session = psycopg.Connection[Any]


def statements(database: TargetDatabase, phases: Iterable[Phase] = Phase) -> list[Statement]:
    """All statements in the order of a stream."""
    everything = [*database.statements, *(s for table in database.tables for s in table.statements)]
    return [statement for phase in phases for statement in everything if statement.phase is phase]


def carry_out(session: Session, database: TargetDatabase, phases: Iterable[Phase] = Phase) -> list[Statement]:
    """Run what is not there yet; the statements that ran."""
    ran = []
    for statement in statements(database, phases):
        if statement.exists is not None and session.execute(statement.exists.encode()).fetchone():
            continue
        try:
            session.execute(statement.sql.encode())
        except psycopg.Error as error:
            raise AssertionError(f"{error}\n{statement.sql}") from error
        ran.append(statement)
    return ran


def before_data() -> list[Phase]:
    return [phase for phase in Phase if list(Phase).index(phase) < list(Phase).index(Phase.DATA)]


def after_data() -> list[Phase]:
    return [phase for phase in Phase if list(Phase).index(phase) > list(Phase).index(Phase.DATA)]


def source_catalog(server: MysqlEndpoint, name: str, ddl: Sequence[str]) -> Database:
    """The catalog of `name` after the statements ran there, with zero dates and odd keys allowed."""
    with closing(server.connect(name)) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = '', time_zone = '+00:00'")
        if server.kind == "mysql":
            cursor.execute("SET SESSION restrict_fk_on_non_standard_key = OFF")
        for statement in ddl:
            cursor.execute(statement)
        cursor.execute("SELECT version()")
        version = cursor.fetchone()[0]
        numbers = tuple(int(part) for part in version.partition("-")[0].split("."))
        info = ServerInfo(server.kind, version, numbers, "test")
        return read_database(connection, info, name, None)
