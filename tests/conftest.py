"""Servers for the tests: private ones, started when first asked for and removed at the end.

DBSTREAMS_TEST_MARIADB_URL and DBSTREAMS_TEST_POSTGRES_URL name running servers to use instead, with a user
that may do everything; only databases made by the tests are dropped there. DBSTREAMS_TEST_MYSQL_URL adds a
MySQL: tests with `source_server` then run on both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint, endpoint
from benchmarks.servers import Certificates, MariaDB, Postgres, make_certificates

MYSQL_URL = "DBSTREAMS_TEST_MYSQL_URL"


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MysqlEndpoint]:
    """A MariaDB: `.host .port .user .password .url(db)`, `.database()`, `.execute(sql, database=…)`,
    `.query(sql, database=…)`, `.scalar(…)`."""
    url = os.environ.get("DBSTREAMS_TEST_MARIADB_URL")
    if url:
        yield from _running_mysql(url, kind="mariadb")
    else:
        with MariaDB() as server:
            yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresEndpoint]:
    """A PostgreSQL, with the same methods."""
    url = os.environ.get("DBSTREAMS_TEST_POSTGRES_URL")
    if url:
        server = endpoint(url)
        assert isinstance(server, PostgresEndpoint), url
        yield server
        server.drop_databases()
    else:
        with Postgres() as server:
            yield server


@pytest.fixture(scope="session")
def mysql() -> Iterator[MysqlEndpoint]:
    """The MySQL of DBSTREAMS_TEST_MYSQL_URL; a test that asks for it by name cannot run without. Like the
    private servers it leaves writing to the disk to the system."""
    for server in _running_mysql(os.environ[MYSQL_URL], kind="mysql"):
        server.execute("SET GLOBAL sync_binlog = 0; SET GLOBAL innodb_flush_log_at_trx_commit = 2")
        yield server


def _running_mysql(url: str, kind: str) -> Iterator[MysqlEndpoint]:
    server = endpoint(url)
    assert isinstance(server, MysqlEndpoint), url
    server.kind = kind
    yield server
    server.drop_databases()


_SOURCES = ("mariadb", "mysql") if os.environ.get(MYSQL_URL) else ("mariadb",)


@pytest.fixture(scope="session", params=_SOURCES)
def source_server(request: pytest.FixtureRequest) -> MysqlEndpoint:
    """MariaDB, and MySQL too when there is one: `.kind` tells which."""
    server = request.getfixturevalue(request.param)
    assert isinstance(server, MysqlEndpoint)
    return server


@pytest.fixture
def source_database(source_server: MysqlEndpoint) -> Iterator[str]:
    """An empty database on `source_server`, dropped after the test."""
    yield from _one_database(source_server)


@pytest.fixture
def mariadb_database(mariadb: MysqlEndpoint) -> Iterator[str]:
    """An empty database on `mariadb`, dropped after the test."""
    yield from _one_database(mariadb)


@pytest.fixture
def postgres_database(postgres: PostgresEndpoint) -> Iterator[str]:
    """An empty database on `postgres`, dropped after the test."""
    yield from _one_database(postgres)


def _one_database(server: MysqlEndpoint | PostgresEndpoint) -> Iterator[str]:
    name = server.database()
    yield name
    server.drop_database(name)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A private authority, a server pair for localhost, a client pair, and pairs that must be refused."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls_mariadb(certificates: Certificates) -> Iterator[MariaDB]:
    """A private MariaDB that offers TLS with a certificate of `certificates`."""
    with MariaDB(tls=certificates.server) as server:
        yield server


@pytest.fixture(scope="session")
def tls_postgres(certificates: Certificates) -> Iterator[Postgres]:
    """A private PostgreSQL that offers TLS with a certificate of `certificates`."""
    with Postgres(tls=certificates.server) as server:
        yield server


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty folder for the store of one engine or server."""
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    return path
