"""DuckDB with its MySQL and PostgreSQL scanners: `CREATE TABLE pg.t AS FROM my.t`, in its own process."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import PackageNotFoundError, version

from benchmarks.measure import measured
from benchmarks.peers.base import PeerMissing, Run, Workload

_PACKAGES = (
    "duckdb",
    "duckdb-extensions",
    "duckdb-extension-mysql-scanner",
    "duckdb-extension-postgres-scanner",
)


class DuckDB:
    name = "DuckDB"
    moves_rows = True

    def version(self) -> str:
        try:
            versions = {version(package) for package in _PACKAGES}
        except PackageNotFoundError as error:
            raise PeerMissing(f"{error.name} is not installed (make bench installs it)") from None
        if len(versions) != 1:
            raise PeerMissing(f"duckdb and its extensions differ in version: {sorted(versions)}")
        return versions.pop()

    def prepare(self, work: Workload) -> None:
        """Nothing: CREATE TABLE AS makes the table."""

    def run(self, work: Workload) -> Run:
        usage = measured(
            [
                sys.executable,
                "-m",
                "benchmarks.peers.duckdb",
                f"host={work.source.host} port={work.source.port} user={work.source.user} "
                f"passwd={work.source.password} db={work.source_database}",
                f"host={work.target.host} port={work.target.port} user={work.target.user} "
                f"password={work.target.password} dbname={work.target_database}",
                work.table,
            ]
        )
        return Run(usage, json.loads(usage.output.strip().splitlines()[-1])["data"])


def main(source: str, target: str, table: str) -> None:
    import duckdb
    import duckdb_extensions

    connection = duckdb.connect()
    for extension in ("mysql_scanner", "postgres_scanner"):
        duckdb_extensions.import_extension(extension)
        connection.execute(f"LOAD {extension}")
    connection.execute(f"ATTACH '{source}' AS my (TYPE mysql, READ_ONLY)")
    connection.execute(f"ATTACH '{target}' AS pg (TYPE postgres)")
    began = time.monotonic()
    connection.execute(f'CREATE TABLE pg.public."{table}" AS FROM my."{table}"')
    print(json.dumps({"data": time.monotonic() - began}))


if __name__ == "__main__":
    main(*sys.argv[1:])
