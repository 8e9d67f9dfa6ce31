"""The obvious pipe: the MariaDB client's text into `COPY … FROM STDIN`, one stream."""

from __future__ import annotations

import shlex
import subprocess

from benchmarks.measure import measured
from benchmarks.peers.base import Run, Workload, program


def read_command(work: Workload) -> str:
    """A shell command that writes the table as COPY's text: tabs, escapes and \\N for NULL."""
    query = f"SELECT {', '.join(work.columns)} FROM {work.table}"
    client = program("mariadb", "Debian package mariadb-client-core")
    return (
        f"{client} --no-defaults -h {work.source.host} -P {work.source.port} -u {work.source.user} "
        f"-q -B -N {work.source_database} -e {shlex.quote(query)}"
    )


class Pipe:
    name = "pipe: mariadb to psql"
    moves_rows = True

    def version(self) -> str:
        program("mariadb", "Debian package mariadb-client-core")
        command = [program("psql", "Debian package postgresql-client"), "--version"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[2]

    def prepare(self, work: Workload) -> None:
        """Nothing that lasts: the target database is new for every run."""

    def run(self, work: Workload) -> Run:
        work.target.execute(work.create, database=work.target_database)
        copy = f"COPY {work.table} ({', '.join(work.columns)}) FROM STDIN"
        write = f"psql -X -q -v ON_ERROR_STOP=1 -d {work.target_database} -c {shlex.quote(copy)}"
        usage = measured(
            ["bash", "-o", "pipefail", "-c", f"{read_command(work)} | {write}"],
            env={
                "MYSQL_PWD": work.source.password,
                "PGHOST": work.target.host,
                "PGPORT": str(work.target.port),
                "PGUSER": work.target.user,
                "PGPASSWORD": work.target.password,
            },
        )
        return Run(usage, usage.seconds)
