"""pgloader, data only, into a table made beforehand: 4 workers, concurrency 2."""

from __future__ import annotations

import json
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
        script, summary = work.scratch / "load.pgloader", work.scratch / "pgloader.json"
        summary.unlink(missing_ok=True)
        script.write_text(
            _LOAD.format(
                source=work.source.url(work.source_database),
                target=work.target.url(work.target_database),
                table=work.table,
                database=work.source_database,
            )
        )
        script.chmod(0o600)
        usage = measured(["pgloader", "--summary", str(summary), str(script)], cwd=work.scratch)
        return Run(usage, _data_seconds(json.loads(summary.read_text())) or usage.seconds)


def _data_seconds(summary: object) -> float | None:
    """The time of the COPY section in pgloader's JSON summary."""
    if not isinstance(summary, list):
        return None
    for section in summary:
        if isinstance(section, dict) and str(section.get("table-name", "")).endswith(
            "COPY Threads Completion"
        ):
            return float(section["total-secs"])
    return None
