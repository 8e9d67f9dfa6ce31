"""Pairs of servers with MySQL or MariaDB as the target, and how a stream is run between them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint, Row
from engine.streams.job import StreamJob
from tests import running

Endpoint = MysqlEndpoint | PostgresEndpoint

HAS_MYSQL = bool(os.environ.get("DBSTREAMS_TEST_MYSQL_URL"))
TARGETS = ("mariadb", "mysql") if HAS_MYSQL else ("mariadb",)
FAMILY = [(source, target) for source in TARGETS for target in TARGETS]


@dataclass
class Ends:
    """A source database and a target database, both fresh."""

    source: Endpoint
    target: MysqlEndpoint
    source_database: str
    target_database: str

    @property
    def same(self) -> bool:
        return self.source.kind == self.target.kind

    def job(self, *, options: Mapping[str, Any] | None = None, **db: Any) -> StreamJob:
        tables = db.pop("tables", None)
        return running.job(
            self.source,
            self.source_database,
            self.target,  # type: ignore[arg-type]
            self.target_database,
            tables=tables,
            options=options,
            **db,
        )

    def ask(self, statement: str) -> tuple[list[Row], list[Row]]:
        """The answers of both servers."""
        return (
            self.source.query(statement, database=self.source_database),
            self.target.query(statement, database=self.target_database),
        )

    def shown(self, table: str) -> str:
        return str(self.target.query(f"SHOW CREATE TABLE `{table}`", database=self.target_database)[0][1])

    def have(self, statement: str) -> list[Row]:
        return self.target.query(statement, database=self.target_database)

    def load(self, statement: str) -> None:
        self.source.execute(statement, database=self.source_database)


@contextmanager
def ends(request: pytest.FixtureRequest, source: str, target: str) -> Iterator[Ends]:
    """Ends by the names of their fixtures; the databases are dropped afterwards."""
    first, second = request.getfixturevalue(source), request.getfixturevalue(target)
    made = Ends(first, second, first.database(), second.database())
    try:
        yield made
    finally:
        first.drop_database(made.source_database)
        second.drop_database(made.target_database)
