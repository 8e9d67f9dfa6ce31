"""MariaDB → PostgreSQL: one table `products` of five columns, about 65 bytes of text a row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.peers.base import Workload
from benchmarks.servers import MariaDB, Postgres

TITLE = "MariaDB → PostgreSQL"
BASELINE = "DuckDB"
DATABASE = "bench"
TABLE = "products"
COLUMNS = ("id", "name", "price", "weight", "updated")
_BATCH = 1_000_000
MYSQL_TABLE = """
CREATE TABLE products (
  id bigint NOT NULL PRIMARY KEY, name varchar(255) NOT NULL, price decimal(10,2) NOT NULL,
  weight double NOT NULL, updated timestamp NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
"""
_TARGET = """
CREATE TABLE products (id bigint NOT NULL, name varchar(255) NOT NULL, price numeric(10,2) NOT NULL,
  weight double precision NOT NULL, updated timestamptz NOT NULL)
"""
_FINGERPRINT = "SELECT count(*), sum(id), sum(price), sum(char_length(name)), {seconds} FROM products"


class WrongRows(RuntimeError):
    """What arrived is not what was sent."""


class Scenario:
    """Private servers with the table made; `fresh` gives each run an empty target, `check` compares."""

    def __init__(self, work: Workload) -> None:
        self.work = work
        self._runs = 0
        self._expected = self._fingerprint_of_source()

    def _fingerprint_of_source(self) -> list[str]:
        query = "SET time_zone = '+00:00'; " + _FINGERPRINT.format(seconds="sum(unix_timestamp(updated))")
        with self.work.source.connect(DATABASE) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            cursor.nextset()
            return [str(int(value * 100)) for value in cursor.fetchall()[0]]

    def fresh(self) -> Workload:
        """The work with a new, empty target database; the target's buffers are written out before."""
        self.work.target.drop_databases()
        self._runs += 1
        database = self.work.target.database(f"bench_{self._runs}")
        self.work.target.execute("CHECKPOINT")
        return replace(self.work, target_database=database)

    def check(self, work: Workload) -> None:
        """Raises WrongRows."""
        query = _FINGERPRINT.format(seconds="sum(extract(epoch FROM updated))")
        with work.target.connect(work.target_database) as connection:
            connection.execute("SET timezone = 'UTC'")
            row = connection.execute(query.encode()).fetchone()
        found = [str(int(value * 100)) for value in row or ()]
        if found != self._expected:
            raise WrongRows(f"the source holds {self._expected}, the target {found}")

    def settings(self) -> dict[str, str]:
        """What the servers run with, for the report."""
        source, target = self.work.source, self.work.target
        return {
            "MariaDB": str(source.scalar("SELECT version()")),
            "PostgreSQL": str(target.scalar("SHOW server_version")),
            "durability": "the servers' defaults (fsync on, flush at commit)",
            **{f"MariaDB {name}": str(value) for name, value in source.settings.items()},
            **{f"PostgreSQL {name}": str(value) for name, value in target.settings.items()},
        }


@contextmanager
def scenario(rows: int, scratch: Path) -> Iterator[Scenario]:
    """Start the servers and make the table of `rows` rows."""
    pool = f"{max(512, min(6000, rows // 2500))}M"  # the table stays in memory: 20M rows are about 2 GB
    with (
        MariaDB({"innodb-buffer-pool-size": pool}, durable=True) as source,
        Postgres({"shared_buffers": "1GB", "max_wal_size": "8GB"}, durable=True) as target,
    ):
        source.database(DATABASE)
        source.execute(MYSQL_TABLE, database=DATABASE)
        for start in range(1, rows + 1, _BATCH):
            source.execute(fill(start, min(start + _BATCH - 1, rows)), database=DATABASE)
        source.execute("ANALYZE TABLE products", database=DATABASE)
        yield Scenario(
            Workload(
                source=source,
                target=target,
                source_database=DATABASE,
                target_database="",
                table=TABLE,
                columns=COLUMNS,
                create=_TARGET,
                add_key="ALTER TABLE products ADD PRIMARY KEY (id)",
                rows=rows,
                scratch=scratch,
            )
        )


def fill(first: int, last: int) -> str:
    return (
        "SET time_zone = '+00:00'; INSERT INTO products "
        "SELECT seq, CONCAT('Product ', seq, ' ', LEFT(SHA2(seq, 256), 10 + seq % 9)), "
        "CRC32(seq) % 9999999 / 100, CRC32(seq * 7) / 1000, "
        "'2020-01-01' + INTERVAL CRC32(seq * 3) % 150000000 SECOND "
        f"FROM seq_{first}_to_{last}"
    )
