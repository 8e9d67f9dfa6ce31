"""Private database servers: started on free ports of 127.0.0.1 in a folder of their own, removed afterwards.

    with MariaDB() as source, Postgres() as target:
        target.execute("CREATE TABLE t (a int)", database=target.database())

The programs are the system's (`mariadbd`, `postgres`); its services and configuration files are not touched.
Started by root, a server runs as the system user `mysql` or `postgres` (`nobody` where there
is none); otherwise as the caller.
The folder lies in DBSTREAMS_SERVERS_DIR, by default a folder of the caller's in the temporary directory.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import psycopg
import pymysql

from benchmarks import guard
from benchmarks.certificates import Certificates, make_certificates
from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint, endpoint

__all__ = [
    "Certificates",
    "MariaDB",
    "MysqlEndpoint",
    "Postgres",
    "PostgresEndpoint",
    "PrivateServer",
    "ServerMissing",
    "endpoint",
    "make_certificates",
]

Tls = tuple[Path, Path, Path]  # authority, certificate, key


class ServerMissing(RuntimeError):
    """The programs of a server are not installed."""


class ServerFailed(RuntimeError):
    """A server did not start; the message carries the end of its log."""


class PrivateServer:
    """The process and the folder of a private server; its subclasses are endpoints as well.

    settings: options of the server, by their own names, over the defaults here.
    durable: False leaves out the flushes to disk that only matter when the machine itself goes down; what was
    committed survives `kill` either way.
    """

    account: ClassVar[str]  # system user that runs it when the caller is root
    errors: ClassVar[tuple[type[Exception], ...]]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    host: str
    port: int

    def _prepare(self, settings: Mapping[str, str | int] | None, tls: Tls | None, durable: bool) -> None:
        self.settings = dict(settings or {})
        self.durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._run_as = _account(self.account)
        root = private_root()
        guard.sweep(root)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.account}-", dir=root))
        guard.watch(self.folder)
        self.folder.chmod(0o755)
        self.data, self.scratch = self.folder / "data", self.folder / "tmp"
        for folder in (self.data, self.scratch):
            folder.mkdir(mode=0o700)
            os.chown(folder, self._run_as.pw_uid, self._run_as.pw_gid)
        self.log = self.folder / "log"
        self.tls = tuple(self._own_copy(path) for path in tls) if tls else None
        atexit.register(self.close)

    def _own_copy(self, path: Path) -> Path:
        copy = self.folder / Path(path).name
        shutil.copyfile(path, copy)
        copy.chmod(0o600)
        os.chown(copy, self._run_as.pw_uid, self._run_as.pw_gid)
        return copy

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        user = self._run_as if os.geteuid() == 0 else None
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                start_new_session=True,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )
        guard.record(self.folder, process.pid)
        return process

    def _run(self, command: list[str]) -> None:
        if self._spawn(command).wait(timeout=120):
            raise ServerFailed(f"{Path(command[0]).name} failed:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-3000:]
        return ""

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _ping(self) -> None:
        raise NotImplementedError

    def start(self, timeout: float = 60) -> None:
        """Start the (stopped or killed) server on its port and wait until it answers. Raises ServerFailed."""
        if self.running:
            return
        deadline = time.monotonic() + timeout
        while True:
            self._process = self._spawn(self._command())
            while self._process.poll() is None:
                try:
                    self._ping()
                    return
                except self.errors:
                    if time.monotonic() > deadline:
                        raise ServerFailed(f"{self!r} does not answer:\n{self._log_tail()}") from None
                    time.sleep(0.05)
            # after SIGKILL the old backends of PostgreSQL hold its shared memory for a moment
            if time.monotonic() > deadline - timeout + 10:
                raise ServerFailed(f"{self!r} did not start:\n{self._log_tail()}")
            time.sleep(0.2)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the server's main process."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Shut down in order: clients are disconnected, everything is written."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """SIGKILL: nothing is written any more; `start` then runs crash recovery."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End the server and remove its folder. Harmless when done already."""
        if self.folder.exists():
            self._end(signal.SIGKILL)
            guard.remove(self.folder)
            guard.forget(self.folder)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MariaDB(PrivateServer, MysqlEndpoint):
    """A private MariaDB with binary log in row format and LOCAL INFILE. User `dbs` has all rights.

    Raises ServerMissing, ServerFailed."""

    account = "mysql"
    errors = (pymysql.MySQLError, OSError)

    def __init__(
        self,
        settings: Mapping[str, str | int] | None = None,
        *,
        tls: Tls | None = None,
        durable: bool = False,
    ) -> None:
        self._server = _program("mariadbd", "mysqld")
        install = _program("mariadb-install-db", "mysql_install_db")
        MysqlEndpoint.__init__(self, "127.0.0.1", free_port(), "dbs", secrets.token_hex(8), "mariadb")
        self._prepare(settings, tls, durable)
        self._ready = False
        try:
            self._run(
                [
                    install,
                    "--no-defaults",
                    f"--datadir={self.data}",
                    # A MariaDB that starts removes the temporary tables of every other in the same folder.
                    f"--tmpdir={self.scratch}",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    "--skip-name-resolve",
                ]
            )
            self.start()
        except BaseException:
            self.close()
            raise

    def _command(self) -> list[str]:
        options: dict[str, str | int] = {
            "datadir": str(self.data),
            "tmpdir": str(self.scratch),
            "socket": str(self.data / "s"),
            "pid-file": str(self.data / "pid"),
            "port": self.port,
            "bind-address": "127.0.0.1",
            "skip-name-resolve": "ON",
            "server-id": 1,
            "log-bin": "bin",
            "binlog-format": "ROW",
            "local-infile": "ON",
            "character-set-server": "utf8mb4",
            "max-connections": 300,
            "max-allowed-packet": "1G",
            "innodb-buffer-pool-size": "256M",
            "log-bin-trust-function-creators": "ON",
        }
        if not self.durable:
            options |= {"innodb-flush-log-at-trx-commit": 2, "sync-binlog": 0}
        if self.tls:
            options |= dict(zip(("ssl-ca", "ssl-cert", "ssl-key"), map(str, self.tls), strict=True))
        options |= self.settings
        return [self._server, "--no-defaults", *(f"--{name}={value}" for name, value in options.items())]

    def _ping(self) -> None:
        if self._ready:
            self.connect().close()
            return
        with pymysql.connect(unix_socket=str(self.data / "s"), user="root") as root, root.cursor() as cursor:
            for statement in (
                "SET SESSION sql_log_bin = 0",
                "DELETE FROM mysql.global_priv WHERE User = ''",
                "FLUSH PRIVILEGES",
                f"CREATE OR REPLACE USER dbs@'%' IDENTIFIED BY '{self.password}'",
                "GRANT ALL ON *.* TO dbs@'%' WITH GRANT OPTION",
            ):
                cursor.execute(statement)
        self._ready = True
        self.connect().close()


class Postgres(PrivateServer, PostgresEndpoint):
    """A private PostgreSQL, UTF8, with logical WAL and SCRAM passwords. User `dbs` is its superuser.

    Raises ServerMissing, ServerFailed."""

    account = "postgres"
    errors = (psycopg.OperationalError,)
    stop_signal = signal.SIGINT  # "fast": SIGTERM would wait for clients to leave

    def __init__(
        self,
        settings: Mapping[str, str | int] | None = None,
        *,
        tls: Tls | None = None,
        durable: bool = False,
    ) -> None:
        self._server = _program("postgres")
        initdb = _program("initdb")
        PostgresEndpoint.__init__(self, "127.0.0.1", free_port(), "dbs", secrets.token_hex(8))
        self._prepare(settings, tls, durable)
        password = self.folder / "password"
        try:
            password.write_text(self.password)
            os.chown(password, self._run_as.pw_uid, self._run_as.pw_gid)
            self._run(
                [
                    initdb,
                    f"--pgdata={self.data}",
                    f"--username={self.user}",
                    f"--pwfile={password}",
                    "--encoding=UTF8",
                    "--locale=C.UTF-8",
                    "--auth=scram-sha-256",
                    "--no-sync",
                ]
            )
            password.unlink()
            self.start()
        except BaseException:
            self.close()
            raise

    def _command(self) -> list[str]:
        options: dict[str, str | int] = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "wal_level": "logical",
            "shared_buffers": "128MB",
            "max_wal_size": "2GB",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.durable:
            options |= {"fsync": "off", "full_page_writes": "off"}
        if self.tls:
            names = ("ssl_ca_file", "ssl_cert_file", "ssl_key_file")
            options |= {"ssl": "on", **dict(zip(names, map(str, self.tls), strict=True))}
        options |= self.settings
        pairs = (part for name, value in options.items() for part in ("-c", f"{name}={value}"))
        return [self._server, "-D", str(self.data), *pairs]

    def _ping(self) -> None:
        self.connect(connect_timeout=5).close()


def free_port() -> int:
    """A TCP port of 127.0.0.1 nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _account(name: str) -> pwd.struct_passwd:
    """Who runs a server: the caller; for root, whom servers refuse, `name`, or `nobody` on a system that has
    the program without its account."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return pwd.getpwnam("nobody")


def _program(*names: str) -> str:
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: float(path.parent.name) if path.parent.name.replace(".", "").isdigit() else 0,
        reverse=True,
    )
    places = os.pathsep.join(
        [*map(str, versions), os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin"]
    )
    for name in names:
        found = shutil.which(name, path=places)
        if found:
            return found
    raise ServerMissing(f"{names[0]} is not installed (make setup installs it)")


def private_root() -> Path:
    """Where the folders of private servers are made, and those of crashed runs are looked for."""
    chosen = os.environ.get("DBSTREAMS_SERVERS_DIR")
    root = Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"dbstreams-servers-{os.geteuid()}"
    root.mkdir(parents=True, exist_ok=True)
    if root.stat().st_uid != os.geteuid():
        raise ServerFailed(f"{root} belongs to another user; set DBSTREAMS_SERVERS_DIR")
    root.chmod(root.stat().st_mode | 0o111)  # servers run as other users when the caller is root
    return root
