"""Small tables on a source server and the TableReads over them: what the reader and chunk tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.endpoints import MysqlEndpoint
from engine.config import Connection, Policies
from engine.connectors.base import TableRead
from engine.connectors.mysql.source import MysqlSource


def connection(server: MysqlEndpoint, ssl: dict[str, Any] | None = None) -> Connection:
    return Connection.parse(
        {
            "name": "source",
            "type": server.kind,
            "host": server.host,
            "port": server.port,
            "username": server.user,
            "password": server.password,
            "ssl": ssl or {"mode": "disable"},
        }
    )


@contextmanager
def opened(server: MysqlEndpoint, database: str, ssl: dict[str, Any] | None = None) -> Iterator[MysqlSource]:
    source = MysqlSource(connection(server, ssl), database)
    try:
        yield source
    finally:
        source.close()


def planned(source: MysqlSource, table: str = "t", **policies: Any) -> TableRead:
    found = source.catalog(source.database, [table]).tables[0]
    read, _ = source.plan_read(found, Policies(**policies))
    return read


def filled(server: MysqlEndpoint, database: str, columns: str, rows: int, value: str) -> None:
    """Table t(id, …) with `rows` rows; `value` may use n, from 1 on."""
    server.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, {columns}) DEFAULT CHARSET utf8mb4", database=database
    )
    digits = "SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4"
    numbers = "SELECT a.d + 5 * b.d + 25 * c.d + 125 * e.d + 625 * f.d + 3125 * g.d + 15625 * h.d + 1 n FROM "
    numbers += ", ".join(f"({digits}) {name}" for name in "abcefgh")
    server.execute(
        f"INSERT INTO t SELECT n, {value} FROM ({numbers}) numbered WHERE n <= {rows}", database=database
    )
