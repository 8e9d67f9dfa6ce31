"""Every pair of the README's table, run: the rows arrive, by the target's own word, and verify agrees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from engine.connectors.registry import SOURCES, TARGETS
from engine.streams.job import StreamJob
from tests import running
from tests.integration import s3_server as s3
from tests.integration.s3_server import S3Server, bucket, s3_server

pytestmark = pytest.mark.integration
__all__ = ["bucket", "s3_server"]  # fixtures

ROWS = [(1, "é\n", "1.50"), (2, "", "-0.25"), (3, None, None)]
TABLE = "CREATE TABLE t (id int NOT NULL, name varchar(20), price decimal(10,2))"
INSERT = "INSERT INTO t VALUES (1, 'é\n', 1.50), (2, '', -0.25), (3, NULL, NULL)"
QUERY = "SELECT id, name, price FROM t ORDER BY id"


@dataclass(frozen=True, slots=True)
class End:
    """One end with its connection: how a config speaks of it, and what is in it by its own word."""

    connection: Connection
    part: dict[str, Any]
    spec: dict[str, Any]
    rows: Callable[[], list[Any]]


def parquet(folder: Path) -> list[Any]:
    with duckdb.connect() as session:
        files = f"read_parquet('{folder}/**/*.parquet')"
        return session.execute(QUERY.replace("FROM t", f"FROM {files}")).fetchall()


def embedded(path: Path) -> list[Any]:
    with duckdb.connect(str(path), read_only=True) as session:
        return session.execute(QUERY).fetchall()


class Ends:
    def __init__(
        self, mariadb: MysqlEndpoint, postgres: PostgresEndpoint, server: S3Server, bucket: str, folder: Path
    ) -> None:
        self.mariadb, self.postgres, self.server, self.bucket = mariadb, postgres, server, bucket
        self.folder = folder
        self.databases: list[tuple[Any, str]] = []

    def make(self, kind: ConnectionType, name: str, *, filled: bool) -> End:
        if kind in (ConnectionType.MYSQL, ConnectionType.MARIADB, ConnectionType.POSTGRESQL):
            server: Any = self.postgres if kind is ConnectionType.POSTGRESQL else self.mariadb
            database = server.database()
            self.databases.append((server, database))
            if filled:
                server.execute(f"{TABLE}; {INSERT}", database=database)
            connection = running.connection(server, type=kind.value)
            spec = {"db": {"database": database}}
            return End(connection, spec["db"], spec, lambda: server.query(QUERY, database=database))
        place = self.folder / name
        if kind is ConnectionType.DUCKDB:
            path = place.with_suffix(".duckdb")
            if filled:
                with duckdb.connect(str(path)) as session:
                    session.execute(f"{TABLE}; {INSERT}")
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
        if filled:
            place.mkdir(exist_ok=True)
            pq.write_table(table(), place / "t.parquet")
        return end


def table() -> pa.Table:
    ids_, names, prices = zip(*ROWS, strict=True)
    decimals = [None if price is None else Decimal(price) for price in prices]
    return pa.table(
        {"id": pa.array(ids_, pa.int32()), "name": names, "price": pa.array(decimals, pa.decimal128(10, 2))}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routes")


@pytest.fixture
def ends(
    mariadb: MysqlEndpoint, postgres: PostgresEndpoint, s3_server: S3Server, bucket: str, folder: Path
) -> Iterator[Ends]:
    made = Ends(mariadb, postgres, s3_server, bucket, folder)
    yield made
    for server, name in made.databases:
        server.drop_database(name)


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_a_route(ends: Ends, source: ConnectionType, target: ConnectionType) -> None:
    """slug: every-route"""
    name = f"{source.value}-{target.value}"
    one, other = ends.make(source, f"{name}-from", filled=True), ends.make(target, f"{name}-to", filled=False)
    config = StreamConfig.parse(
        {
            "name": name,
            "mode": "convert",
            "source": {"connections": [{"connectionId": "s", **one.part}]},
            "target": {"id": "t", "spec": other.spec},
        }
    )
    stream = StreamJob(ids.new("stream"), config, {"s": one.connection, "t": other.connection})
    outcome, _ = running.finish(stream)
    running.cleanup(stream)
    assert outcome.rows == len(ROWS)
    rows = [(id_, name_, None if price is None else str(price)) for id_, name_, price in other.rows()]
    assert rows == ROWS
    assert running.verify(stream)["equal"] is True
