"""The two ends of a route, of any kind: a table of rows to move, and what is in it by its own word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine import ids
from engine.config import Connection, ConnectionType, StreamConfig
from engine.streams.job import StreamJob
from tests import running
from tests.integration import s3_server as s3
from tests.integration.s3_server import S3Server

Row = tuple[int, str | None, str | None]
TABLE = "CREATE TABLE t (id int NOT NULL PRIMARY KEY, name varchar(20), price decimal(10,2))"
QUERY = "SELECT id, name, price FROM t ORDER BY id"
GROUP_ROWS = 1000  # of a Parquet file


@dataclass(frozen=True, slots=True)
class End:
    """One end with its connection: how a config speaks of it, and what is in it."""

    connection: Connection
    part: dict[str, Any]
    spec: dict[str, Any]
    found: Callable[[], list[Any]]

    def rows(self) -> list[Row]:
        return [(id_, name, None if price is None else str(price)) for id_, name, price in self.found()]


def parquet(folder: Path) -> list[Any]:
    with duckdb.connect() as session:
        files = f"read_parquet('{folder}/**/*.parquet')"
        return session.execute(QUERY.replace("FROM t", f"FROM {files}")).fetchall()


def embedded(path: Path) -> list[Any]:
    with duckdb.connect(str(path), read_only=True) as session:
        return session.execute(QUERY).fetchall()


def insert(rows: Sequence[Row]) -> str:
    def literal(value: object) -> str:
        return "NULL" if value is None else f"'{value}'"

    return f"INSERT INTO t VALUES {', '.join(f'({i}, {literal(n)}, {literal(p)})' for i, n, p in rows)}"


def table(rows: Sequence[Row]) -> pa.Table:
    ids_, names, prices = zip(*rows, strict=True)
    decimals = [None if price is None else Decimal(price) for price in prices]
    return pa.table(
        {"id": pa.array(ids_, pa.int32()), "name": names, "price": pa.array(decimals, pa.decimal128(10, 2))}
    )


class Ends:
    """Makes ends; `close` drops the databases."""

    def __init__(
        self, mariadb: MysqlEndpoint, postgres: PostgresEndpoint, server: S3Server, bucket: str, folder: Path
    ) -> None:
        self.mariadb, self.postgres, self.server, self.bucket = mariadb, postgres, server, bucket
        self.folder = folder
        self._databases: list[tuple[Any, str]] = []

    def close(self) -> None:
        for server, name in self._databases:
            server.drop_database(name)

    def make(self, kind: ConnectionType, name: str, rows: Sequence[Row] = ()) -> End:
        """An end of that kind; with rows, the table `t` is there and holds them."""
        if kind in (ConnectionType.MYSQL, ConnectionType.MARIADB, ConnectionType.POSTGRESQL):
            server: Any = self.postgres if kind is ConnectionType.POSTGRESQL else self.mariadb
            database = server.database()
            self._databases.append((server, database))
            if rows:
                server.execute(f"{TABLE}; {insert(rows)}", database=database)
                if server is self.postgres:
                    server.execute("ANALYZE t", database=database)
                else:
                    server.query("ANALYZE TABLE t", database=database)
            connection = running.connection(server, type=kind.value)
            spec = {"db": {"database": database}}
            return End(connection, spec["db"], spec, lambda: server.query(QUERY, database=database))
        place = self.folder / name
        if kind is ConnectionType.DUCKDB:
            path = place.with_suffix(".duckdb")
            if rows:
                with duckdb.connect(str(path)) as session:
                    session.execute(f"{TABLE}; {insert(rows)}")
            body = {"name": name, "type": "duckdb", "spec": {"duckdb": {"path": str(path)}}}
            return End(Connection.parse(body), {}, {"db": {}}, lambda: embedded(path))
        files = {"fileFormat": "parquet"}
        if kind is ConnectionType.FILES:
            place.mkdir()
            body = {"name": name, "type": "files", "spec": {"files": {"basePath": str(place)}}}
            end = End(Connection.parse(body), {"files": {}}, {"files": files}, lambda: parquet(place))
        else:
            place = self.server.root / self.bucket / name
            end = End(
                s3.connection(self.server.endpoint),
                {"s3": {"bucket": self.bucket, "prefixes": [name]}},
                {"s3": {**files, "upload": {"bucket": self.bucket, "prefix": name}}},
                lambda: parquet(place),
            )
        if rows:
            place.mkdir(exist_ok=True)
            pq.write_table(table(rows), place / "t.parquet", row_group_size=GROUP_ROWS)
        return end


def stream_between(one: End, other: End, **options: Any) -> StreamJob:
    config = StreamConfig.parse(
        {
            "name": "route",
            "mode": "convert",
            "source": {"connections": [{"connectionId": "s", **one.part}], "options": options},
            "target": {"id": "t", "spec": other.spec},
        }
    )
    return StreamJob(ids.new("stream"), config, {"s": one.connection, "t": other.connection})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routes")


@pytest.fixture
def ends(
    mariadb: MysqlEndpoint, postgres: PostgresEndpoint, s3_server: S3Server, bucket: str, folder: Path
) -> Iterator[Ends]:
    made = Ends(mariadb, postgres, s3_server, bucket, folder)
    yield made
    made.close()
