"""The private servers themselves: crash, restart, TLS, and nothing left behind however the owner ends."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pymysql
import pytest

from benchmarks import guard
from benchmarks.servers import Certificates, MariaDB, Postgres

pytestmark = pytest.mark.integration

OWNER = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits it ignored
from benchmarks.servers import MariaDB, Postgres
server = {"MariaDB": MariaDB, "Postgres": Postgres}[sys.argv[1]]()
print(server.pid, server.folder, flush=True)
time.sleep(600)
"""


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A folder the servers' accounts can reach; those of tmp_path are for this user alone."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize("make", [MariaDB, Postgres])
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_committed_rows_survive_stop_and_kill(make: type[MariaDB | Postgres], end: str) -> None:
    with make() as server:
        database = server.database()
        server.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)", database=database)
        getattr(server, end)()
        assert not server.running
        server.start()
        assert server.scalar("SELECT sum(a) FROM t", database=database) == 3
    assert not server.folder.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("kind", ["MariaDB", "Postgres"])
def test_no_server_outlives_its_owner(kind: str, number: signal.Signals, open_dir: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "DBSTREAMS_SERVERS_DIR": str(open_dir)},
    )
    assert owner.stdout is not None
    with owner:
        try:
            pid, folder = owner.stdout.readline().split()
            assert guard.identity(int(pid))
            owner.send_signal(number)
            owner.wait(timeout=60)
        finally:
            owner.kill()
    _until(lambda: not guard.identity(int(pid)) and not Path(folder).exists())


def test_sweep_removes_what_a_dead_owner_left(tmp_path: Path) -> None:
    left, kept = tmp_path / "left", tmp_path / "kept"
    sleeper = subprocess.Popen(["sleep", "600"])
    for folder, owner in ((left, "1 0"), (kept, guard.identity(os.getpid()))):
        folder.mkdir()
        (folder / guard.OWNER).write_text(owner)
    (left / guard.SERVER).write_text(guard.identity(sleeper.pid))
    guard.sweep(tmp_path)
    assert sleeper.wait(timeout=60) == -signal.SIGKILL
    assert not left.exists()
    assert kept.exists()


def test_mariadb_tls(tls_mariadb: MariaDB, certificates: Certificates) -> None:
    context = ssl.create_default_context(cafile=str(certificates.ca))
    connection = tls_mariadb.connect(ssl=context)
    with connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
        assert cursor.fetchall()[0][1].startswith("TLSv1.")
    foreign = ssl.create_default_context(cafile=str(certificates.foreign_ca))
    with pytest.raises(pymysql.err.OperationalError, match="CERTIFICATE_VERIFY_FAILED"):
        tls_mariadb.connect(ssl=foreign)


def test_postgres_tls(tls_postgres: Postgres, certificates: Certificates) -> None:
    with tls_postgres.connect(sslmode="verify-full", sslrootcert=str(certificates.ca)) as connection:
        row = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        assert row == (True,)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        tls_postgres.connect(sslmode="verify-full", sslrootcert=str(certificates.foreign_ca))


def _until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
