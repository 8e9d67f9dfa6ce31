"""SQL access to a database server, private or not: what tests, the demo and the benchmarks need of one."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urlsplit

import psycopg
import pymysql
from psycopg import sql
from pymysql.constants import CLIENT

Row = tuple[Any, ...]


class Endpoint:
    """A server with rights enough to make databases. Connections are opened per call: a server may be killed
    and restarted between two calls."""

    kind: str  # connection type in the JSON contract: mysql, mariadb or postgresql
    scheme: ClassVar[str]

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self.host = host
        self.port = port
        self.user = user
        self.password = password
        self._databases: list[str] = []
        self._names = (f"t_{secrets.token_hex(3)}_{number}" for number in itertools.count(1))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.host}:{self.port})"

    def url(self, database: str = "", scheme: str | None = None) -> str:
        """`scheme://user:password@host:port/database`, each part percent-encoded."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"{scheme or self.scheme}://{login}@{self.host}:{self.port}/{quote(database, safe='')}"

    def database(self, name: str | None = None) -> str:
        """Create an empty database (a fresh name when none is given), dropped by `drop_databases`."""
        name = name or next(self._names)
        self.create_database(name)
        self._databases.append(name)
        return name

    def drop_databases(self) -> None:
        """Drop every database made by `database`."""
        while self._databases:
            self.drop_database(self._databases.pop())

    def create_database(self, name: str) -> None:
        raise NotImplementedError

    def drop_database(self, name: str) -> None:
        raise NotImplementedError

    def execute(self, statement: str, params: Sequence[Any] | None = None, *, database: str = "") -> None:
        """Run one statement with parameters, or several separated by `;` without; committed at once."""
        raise NotImplementedError

    def query(self, statement: str, params: Sequence[Any] | None = None, *, database: str = "") -> list[Row]:
        """Rows of one statement."""
        raise NotImplementedError

    def scalar(self, statement: str, params: Sequence[Any] | None = None, *, database: str = "") -> Any:
        """The first column of the only row."""
        ((value, *_),) = self.query(statement, params, database=database)
        return value


class MysqlEndpoint(Endpoint):
    """MySQL or MariaDB."""

    scheme = "mysql"

    def __init__(self, host: str, port: int, user: str, password: str, kind: str = "mysql") -> None:
        super().__init__(host, port, user, password)
        self.kind = kind

    def connect(self, database: str = "", **options: Any) -> pymysql.connections.Connection[Any]:
        """A PyMySQL connection in autocommit with `utf8mb4` and several statements a call allowed."""
        return pymysql.connect(
            **{
                "host": self.host,
                "port": self.port,
                "user": self.user,
                "password": self.password,
                "database": database or None,
                "charset": "utf8mb4",
                "autocommit": True,
                "local_infile": True,
                "client_flag": CLIENT.MULTI_STATEMENTS,
                **options,
            }
        )

    def execute(self, statement: str, params: Sequence[Any] | None = None, *, database: str = "") -> None:
        with closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, params)
            while cursor.nextset():
                pass

    def query(self, statement: str, params: Sequence[Any] | None = None, *, database: str = "") -> list[Row]:
        with closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, params)
            return list(cursor.fetchall())

    def create_database(self, name: str) -> None:
        self.execute(f"CREATE DATABASE {_backticked(name)} CHARACTER SET utf8mb4")

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {_backticked(name)}")


class PostgresEndpoint(Endpoint):
    """PostgreSQL. An empty database name means `postgres`."""

    scheme = "postgresql"
    kind = "postgresql"

    def connect(self, database: str = "", **options: Any) -> psycopg.Connection[Row]:
        """A psycopg connection in autocommit."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database or "postgres",
            autocommit=True,
            **options,
        )

    def execute(self, statement: str, params: Sequence[Any] | None = None, *, database: str = "") -> None:
        with self.connect(database) as connection:
            connection.execute(statement.encode(), params)

    def query(self, statement: str, params: Sequence[Any] | None = None, *, database: str = "") -> list[Row]:
        with self.connect(database) as connection:
            return connection.execute(statement.encode(), params).fetchall()

    def create_database(self, name: str) -> None:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        self.execute(statement.as_string())

    def drop_database(self, name: str) -> None:
        if self.server_version < 130000:  # which have no FORCE
            self.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            self.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)).as_string())
            return
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        self.execute(statement.as_string())

    @cached_property
    def server_version(self) -> int:
        """server_version_num, e.g. 150018."""
        return int(self.scalar("SHOW server_version_num"))


def endpoint(url: str) -> MysqlEndpoint | PostgresEndpoint:
    """The running server named by a `mysql://`, `mariadb://` or `postgresql://` URL."""
    parts = urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme in ("mysql", "mariadb"):
        return MysqlEndpoint(host, parts.port or 3306, user, password, parts.scheme)
    if parts.scheme in ("postgresql", "postgres"):
        return PostgresEndpoint(host, parts.port or 5432, user, password)
    raise ValueError(f"not a mysql:// or postgresql:// URL: scheme {parts.scheme!r}")


def _backticked(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
