"""pgloader, data only, into a table made beforehand: 4 workers, concurrency 2."""

from __future__ import annotations

import re
import subprocess

from benchmarks.measure import measured
from benchmarks.peers.base import Run, Workload, program

_LOAD = """
LOAD DATABASE
  FROM {source}
  INTO {target}
  WITH data only, create no tables, include no drop, no truncate, workers = 4, concurrency = 2
  INCLUDING ONLY TABLE NAMES MATCHING '{table}'
  ALTER SCHEMA '{database}' RENAME TO 'public';
"""


class Pgloader:
    name = "pgloader"
    moves_rows = True

    def version(self) -> str:
        command = [program("pgloader", "Debian package pgloader"), "--version"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return printed.splitlines()[0].removeprefix("pgloader version ").strip('"')

    def prepare(self, work: Workload) -> None:
        """Nothing that lasts: the target database is new for every run."""

    def run(self, work: Workload) -> Run:
        work.target.execute(work.create, database=work.target_database)
        script = work.scratch / "load.pgloader"
        script.write_text(
            _LOAD.format(
                source=work.source.url(work.source_database),
                target=work.target.url(work.target_database),
                table=work.table,
                database=work.source_database,
            )
        )
        script.chmod(0o600)
        usage = measured(["pgloader", str(script)], cwd=work.scratch)
        return Run(usage, _data_seconds(usage.output) or usage.seconds)


def _data_seconds(output: str) -> float | None:
    """The time of the COPY threads that pgloader prints: `COPY Threads Completion  0  4  1m2.345s`."""
    found = re.search(r"COPY Threads Completion\s.*?\s(?:(\d+)m)?([\d.]+)s\s*$", output, re.MULTILINE)
    return None if found is None else int(found[1] or 0) * 60 + float(found[2])
