"""One table moved between other pairs of ends: what their scenarios and peers share.

A scenario is a `Route`: servers as far as it needs them, a source and a target as `dbstreams copy` takes
them, and peers that are commands. The table is the `products` of `scenarios.mysql_to_postgres`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import duckdb

from benchmarks.measure import measured
from benchmarks.peers.base import PeerMissing, Run, program
from benchmarks.peers.ours import summary_of
from benchmarks.scenarios.mysql_to_postgres import MYSQL_TABLE, WrongRows, fill
from benchmarks.servers import MariaDB, Postgres

DATABASE = "bench"
TABLE = "products"
BASELINE = "DuckDB"
_BATCH = 1_000_000
POSTGRES_TABLE = """
CREATE TABLE products (id bigint NOT NULL PRIMARY KEY, name varchar(255) NOT NULL,
  price numeric(10,2) NOT NULL, weight double precision NOT NULL, updated timestamptz NOT NULL)
"""
_POSTGRES_FILL = """
INSERT INTO products SELECT i, 'Product ' || i || ' ' || left(md5(i::text), (10 + i % 9)::int),
  (i * 7919 % 9999999) / 100.0, (i * 104729 % 4294967296) / 1000.0,
  timestamptz '2020-01-01 00:00:00+00' + (i * 15485863 % 150000000) * interval '1 second'
FROM generate_series({first}::bigint, {last}) AS i
"""
_TOTALS = "SELECT count(*), sum(id), sum(CAST(price AS decimal(10,2))), sum(char_length(name)) FROM "

End = Literal["mariadb", "postgres", "parquet", "csv", "jsonl", "duckdb"]
_FILES = ("parquet", "csv", "jsonl")


@dataclass(frozen=True, slots=True)
class Route:
    """The work of one run. `source` and `target` as `dbstreams copy` takes them; `folder` is new, empty."""

    ends: tuple[End, End]
    rows: int
    scratch: Path
    folder: Path
    servers: Mapping[str, Any] = field(default_factory=dict)  # end → MariaDB or Postgres
    database: str = ""  # of a target server
    add_key: str = ""

    @property
    def pids(self) -> tuple[int | None, int | None]:
        found = [self.servers.get(end) for end in self.ends]
        first, second = (None if server is None else server.pid for server in found)
        return first, None if first == second else second

    @property
    def file(self) -> Path:
        """The source, where it is a file."""
        return self.scratch / f"products.{self.ends[0]}"

    @property
    def source(self) -> str:
        if self.ends[0] in _FILES:
            return str(self.file)
        return str(self.servers[self.ends[0]].url(DATABASE))

    @property
    def target(self) -> str:
        if self.ends[1] in _FILES:
            return str(self.folder)
        if self.ends[1] == "duckdb":
            return str(self.folder / "products.duckdb")
        return str(self.servers[self.ends[1]].url(self.database))

    def environment(self) -> dict[str, str]:
        """Passwords for the shells of peers."""
        found: dict[str, str] = {}
        for end, server in self.servers.items():
            if end == "mariadb":
                found.update(MYSQL_PWD=server.password)
            else:
                found.update(
                    PGHOST=server.host,
                    PGPORT=str(server.port),
                    PGUSER=server.user,
                    PGPASSWORD=server.password,
                )
        return found


# ---------------------------------------------------------------- peers


class Copy:
    """`dbstreams copy`."""

    name = "dbstreams"
    moves_rows = True

    def version(self) -> str:
        return version("dbstreams")

    def prepare(self, work: Route) -> None:
        """Nothing: the copy makes what it needs."""

    def run(self, work: Route) -> Run:
        own = str(Path(sys.executable).with_name("dbstreams"))
        ends = [work.source, work.target]
        options = [] if work.ends[0] in _FILES else ["--tables", TABLE]
        options += ["--format", work.ends[1]] if work.ends[1] in _FILES else []
        with tempfile.TemporaryDirectory(dir=work.scratch) as data_dir:
            usage = measured([own, "copy", *ends, *options, "--json", "--data-dir", data_dir])
        summary = summary_of(usage.output)
        phases = summary["phases"]
        notes = ", ".join(f"{name} {seconds:.2f}" for name, seconds in phases.items())
        return Run(
            usage, phases["data"], keyed=True, notes=f"{notes}; worker peak {summary['peakRssMb']:.0f} MB"
        )


@dataclass(frozen=True, slots=True)
class Shell:
    """A pipe of the servers' own clients; all of it is the data phase."""

    name: str
    program: str
    package: str
    script: Callable[[Route], str]
    before: Callable[[Route], None] = lambda work: None
    moves_rows: bool = True

    def version(self) -> str:
        program(self.program, f"Debian package {self.package}")
        return ""

    def prepare(self, work: Route) -> None:
        """Nothing that lasts."""

    def run(self, work: Route) -> Run:
        self.before(work)
        usage = measured(["bash", "-o", "pipefail", "-c", self.script(work)], env=work.environment())
        return Run(usage, usage.seconds, keyed=True)


@dataclass(frozen=True, slots=True)
class Duck:
    """DuckDB with its scanners, in a process of its own; `statement` is what is timed."""

    statement: Callable[[Route], str]
    name: str = "DuckDB"
    moves_rows: bool = True

    def version(self) -> str:
        try:
            version("duckdb-extension-mysql-scanner")
            version("duckdb-extension-postgres-scanner")
            return version("duckdb")
        except PackageNotFoundError as error:
            raise PeerMissing(f"{error.name} is not installed (make bench installs it)") from None

    def prepare(self, work: Route) -> None:
        """Nothing."""

    def run(self, work: Route) -> Run:
        attached = []
        for end, server in work.servers.items():
            if end == "mariadb":
                dsn = f"host={server.host} port={server.port} user={server.user} passwd={server.password}"
                database = work.database if work.ends[1] == "mariadb" else DATABASE
                attached.append(f"ATTACH '{dsn} db={database}' AS my (TYPE mysql)")
            else:
                dsn = f"host={server.host} port={server.port} user={server.user} password={server.password}"
                if work.ends[0] == "postgres":
                    attached.append(f"ATTACH '{dsn} dbname={DATABASE}' AS pg (TYPE postgres, READ_ONLY)")
                if work.ends[1] == "postgres":
                    attached.append(f"ATTACH '{dsn} dbname={work.database}' AS out (TYPE postgres)")
        statements = json.dumps([*attached, self.statement(work)])
        usage = measured([sys.executable, "-m", "benchmarks.duckdb_statements", statements])
        return Run(usage, json.loads(usage.output.strip().splitlines()[-1])["data"], keyed=True)


# ---------------------------------------------------------------- the stage


class Stage:
    """Servers with the table made; `fresh` gives each run an empty target, `check` compares what arrived."""

    def __init__(self, work: Route) -> None:
        self._work = work
        self._runs = 0
        self._expected = self._totals(work.ends[0], work, DATABASE)

    def fresh(self) -> Route:
        self._runs += 1
        folder = self._work.scratch / f"run{self._runs}"
        folder.mkdir()
        work = replace(self._work, folder=folder)
        server = work.servers.get(work.ends[1])
        if server is None:
            return work
        if self._runs > 1:
            server.drop_database(f"target_{self._runs - 1}")
        server.create_database(f"target_{self._runs}")
        if work.ends[1] == "postgres":
            server.execute("CHECKPOINT")
        return replace(work, database=f"target_{self._runs}")

    def check(self, work: Route) -> None:
        """Raises WrongRows."""
        found = self._totals(work.ends[1], work, work.database)
        if found != self._expected:
            raise WrongRows(f"the source holds {self._expected}, the target {found}")

    def settings(self) -> dict[str, str]:
        settings = {"durability": "the servers' defaults (fsync on, flush at commit)"}
        for end, server in self._work.servers.items():
            settings.update({f"{end} {name}": str(value) for name, value in server.settings.items()})
        return settings

    def _totals(self, end: End, work: Route, database: str) -> list[str]:
        if end in ("mariadb", "postgres"):
            ((*row,),) = work.servers[end].query(_TOTALS + TABLE, database=database)
        else:
            with duckdb.connect() as connection:
                found = connection.execute(_TOTALS + _readable(end, work)).fetchone()
            row = list(found or ())
        return [str(int(value * 100)) for value in row]


def _readable(end: End, work: Route) -> str:
    found = work.source if end == work.ends[0] else f"{work.folder}/**/*.{end}"
    if end == "csv":
        return f"read_csv('{found}', types={{'price': 'DECIMAL(10,2)'}})"
    if end == "jsonl":
        types = "{'id': 'BIGINT', 'name': 'VARCHAR', 'price': 'DECIMAL(10,2)'}"
        return f"read_json('{found}', format='newline_delimited', columns={types})"
    if end == "parquet":
        return f"read_parquet('{found}')"
    raise ValueError(end)


@contextmanager
def stage(ends: tuple[End, End], rows: int, scratch: Path) -> Iterator[Stage]:
    """Start what the route needs and make the table of `rows` rows."""
    with ExitStack() as stack:
        servers: dict[str, Any] = {}
        for end in dict.fromkeys(ends):
            if end == "mariadb":
                pool = f"{max(512, min(6000, rows // 2500))}M"
                settings = {"innodb-buffer-pool-size": pool, "local-infile": "1"}
                servers[end] = stack.enter_context(MariaDB(settings, durable=True))
            elif end == "postgres":
                limits = {"shared_buffers": "1GB", "max_wal_size": "8GB"}
                servers[end] = stack.enter_context(Postgres(limits, durable=True))
        work = Route(ends, rows, scratch, scratch, servers)
        _make_source(work)
        yield Stage(work)


def _make_source(work: Route) -> None:
    end = work.ends[0]
    if end == "mariadb":
        server = work.servers[end]
        server.database(DATABASE)
        server.execute(MYSQL_TABLE, database=DATABASE)
        for first in range(1, work.rows + 1, _BATCH):
            server.execute(fill(first, min(first + _BATCH - 1, work.rows)), database=DATABASE)
        server.execute(f"ANALYZE TABLE {TABLE}", database=DATABASE)
    elif end == "postgres":
        server = work.servers[end]
        server.database(DATABASE)
        server.execute(POSTGRES_TABLE, database=DATABASE)
        server.execute(_POSTGRES_FILL.format(first=1, last=work.rows), database=DATABASE)
        server.execute(f"VACUUM ANALYZE {TABLE}", database=DATABASE)
    else:
        form = "HEADER" if end == "csv" else "FORMAT json"
        with duckdb.connect() as connection:
            connection.execute(
                f"COPY (SELECT i AS id, 'Product ' || i || ' ' || left(md5(i::VARCHAR), 10 + i % 9) AS name,"
                " ((i * 7919 % 9999999) / 100.0)::DECIMAL(10,2) AS price,"
                " (i * 104729 % 4294967296) / 1000.0 AS weight,"
                " TIMESTAMP '2020-01-01' + to_seconds(i * 15485863 % 150000000) AS updated"
                f" FROM range(1, {work.rows + 1}) AS r(i)) TO '{work.file}' ({form})"
            )
