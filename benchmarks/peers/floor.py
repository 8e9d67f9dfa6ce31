"""Floors, not peers: loading a ready binary file, and reading the source to nowhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks.measure import measured
from benchmarks.peers.base import Run, Workload, program
from benchmarks.peers.pipe import Pipe, read_command


class LoadFloor:
    """`\\copy … (format binary)` from a file written by a previous load of the same rows."""

    name = "floor: binary \\copy from a file"
    moves_rows = True

    def version(self) -> str:
        command = [program("psql", "Debian package postgresql-client"), "--version"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[2]

    def prepare(self, work: Workload) -> None:
        Pipe().run(work)
        self._psql(work, f"\\copy {work.table} to '{self._file(work)}' (format binary)")

    def run(self, work: Workload) -> Run:
        work.target.execute(work.create, database=work.target_database)
        return self._psql(work, f"\\copy {work.table} from '{self._file(work)}' (format binary)")

    def _file(self, work: Workload) -> Path:
        return work.scratch / f"{work.table}.pgcopy"

    def _psql(self, work: Workload, command: str) -> Run:
        usage = measured(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", work.target_database, "-c", command],
            env={
                "PGHOST": work.target.host,
                "PGPORT": str(work.target.port),
                "PGUSER": work.target.user,
                "PGPASSWORD": work.target.password,
            },
        )
        return Run(usage, usage.seconds)


class ReadFloor:
    """The MariaDB client reading the table to /dev/null."""

    name = "floor: mariadb client to /dev/null"
    moves_rows = False

    def version(self) -> str:
        command = [program("mariadb", "Debian package mariadb-client-core"), "--version"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return printed.partition("Distrib ")[2].split(",")[0]

    def prepare(self, work: Workload) -> None:
        """Nothing."""

    def run(self, work: Workload) -> Run:
        usage = measured(
            ["bash", "-c", f"{read_command(work)} >/dev/null"], env={"MYSQL_PWD": work.source.password}
        )
        return Run(usage, usage.seconds)
