"""A source database, a target database and the comparison between them, for the tests of verify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pydantic import SecretStr

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import Connection, ConnectionSpec, DatabaseSpec, Policies, WriteMode
from engine.connectors.base import Phase, ReadColumn, ServerInfo, TableRead, TargetTable
from engine.connectors.mysql.catalog import read_database
from engine.connectors.postgres.mapping import MapOptions, map_database
from engine.schema import Table
from engine.streams.job import Control
from engine.streams.verify import verify_tables
from engine.streams.verify_outcome import TableVerdict
from engine.types import Image

SCHEMA = "v"


class Recorder:
    """A Report that keeps what it is told."""

    def __init__(self) -> None:
        self.tables: list[tuple[str, str, dict[str, Any]]] = []
        self.lines: list[tuple[str, str]] = []

    def stage(self, number: int) -> None: ...

    def plan(self, plan: Mapping[str, Any]) -> None: ...

    def table(self, schema: str, table: str, **changes: Any) -> None:
        self.tables.append((schema, table, changes))

    def progress(self, schema: str, table: str, rows: int, bytes_: int) -> None: ...

    def phase(self, name: str, seconds: float) -> None: ...

    def log(self, level: str, message: str, category: str = "general", **fields: Any) -> None:
        self.lines.append((level, message))

    def sql(self, entry: Mapping[str, Any]) -> None: ...


class Ends:
    """Tables are made on the source by their MySQL statement and on the target as the mapping says; the rows
    are put on both sides by the test."""

    def __init__(
        self, source: MysqlEndpoint, source_database: str, target: PostgresEndpoint, target_database: str
    ) -> None:
        self.source, self.source_database = source, source_database
        self.target, self.target_database = target, target_database
        self.control = Control()
        self.report = Recorder()
        version = str(source.scalar("SELECT VERSION()"))
        numbers = tuple(int(part) for part in version.split("-")[0].split("."))
        flavor = "mariadb" if "MariaDB" in version else "mysql"
        self.info = ServerInfo(flavor, version, numbers, "")

    def on_source(self, *statements: str) -> None:
        with self.source.connect(self.source_database) as connection, connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'")
            for statement in statements:
                cursor.execute(statement)

    def on_target(self, *statements: str) -> None:
        with self.target.connect(self.target_database) as connection:
            connection.execute(f"SET search_path = {SCHEMA}, pg_catalog")
            connection.execute("SET TimeZone = 'UTC'; SET client_encoding = 'UTF8'")
            for statement in statements:
                connection.execute(statement.encode())

    def table(self, create: str, policies: Policies | None = None) -> tuple[TableRead, TargetTable]:
        """Create it on both sides; the pair to compare."""
        return self.tables([create], policies)[0]

    def tables(
        self, creates: Sequence[str], policies: Policies | None = None
    ) -> list[tuple[TableRead, TargetTable]]:
        """One catalog for all of them, in the order given."""
        policies = policies or Policies()
        self.on_source(*creates)
        with self.source.connect(self.source_database) as connection:
            database = read_database(connection, self.info, self.source_database, None)
        mapped = map_database(
            database, MapOptions(SCHEMA, policies, server_version=self.target.server_version)
        )
        by_name = {table.source.name: table for table in mapped.tables}
        chosen = [by_name[create.split()[2].strip("`")] for create in creates]
        early = (Phase.NAMESPACE, Phase.TYPE, Phase.TABLE, Phase.PRIMARY_KEY)
        for statement in (*mapped.statements, *(each for table in chosen for each in table.statements)):
            if statement.phase in early and not self._exists(statement.exists):
                self.on_target(statement.sql)
        return [(read_of(table.source, policies), table) for table in chosen]

    def read_again(self, name: str) -> TableRead:
        """The read of a table with the estimates of now."""
        with self.source.connect(self.source_database) as connection:
            database = read_database(connection, self.info, self.source_database, [name])
        return read_of(database.tables[0], Policies())

    def _exists(self, query: str | None) -> bool:
        return query is not None and bool(self.target.query(query, database=self.target_database))

    def verify(
        self,
        *pairs: tuple[TableRead, TargetTable],
        policies: Policies | None = None,
        write_mode: WriteMode = WriteMode.FAIL_IF_NOT_EMPTY,
    ) -> TableVerdict:
        """The verdict of the last pair."""
        return self.verify_all(pairs, policies, write_mode)[-1]

    def verify_all(
        self,
        pairs: Sequence[tuple[TableRead, TargetTable]],
        policies: Policies | None = None,
        write_mode: WriteMode = WriteMode.FAIL_IF_NOT_EMPTY,
    ) -> list[TableVerdict]:
        verdicts = verify_tables(
            connection_of(self.source),
            self.source_database,
            connection_of(self.target),
            self.target_database,
            pairs,
            policies or Policies(),
            write_mode,
            self.control,
            self.report,
        )
        assert len(verdicts) == len(pairs)
        return verdicts


def connection_of(server: MysqlEndpoint | PostgresEndpoint) -> Connection:
    spec = DatabaseSpec(
        host=server.host, port=server.port, username=server.user, password=SecretStr(server.password)
    )
    return Connection(name="end", type=server.kind, spec=ConnectionSpec(database=spec))


def read_of(table: Table, policies: Policies) -> TableRead:
    """What the comparison needs of a planned read: every column that is not generated."""
    columns = tuple(
        ReadColumn(
            column.name,
            f"`{column.name}`",
            Image.TEXT,
            pa.utf8(),
            column,
            invalid=policies.zero_date,
        )
        for column in table.columns
        if column.generated is None
    )
    return TableRead(table, columns, table.key_columns)
