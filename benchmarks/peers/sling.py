"""sling, full refresh of one table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import measured
from benchmarks.peers.base import PeerMissing, Run, Workload


class Sling:
    name = "sling"
    moves_rows = True

    def _program(self) -> str:
        place = Path(sys.executable).with_name("sling")
        if not place.exists():
            raise PeerMissing("sling is not installed (make bench installs it)")
        return str(place)

    def version(self) -> str:
        printed = subprocess.run(
            [self._program(), "--version"], capture_output=True, text=True, env=_environment(), check=True
        )
        return (printed.stdout + printed.stderr).strip().splitlines()[-1].removeprefix("Version: ")

    def prepare(self, work: Workload) -> None:
        """Nothing: a full refresh makes the table."""

    def run(self, work: Workload) -> Run:
        usage = measured(
            [
                self._program(),
                "run",
                "--src-conn",
                work.source.url(work.source_database),
                "--src-stream",
                f"{work.source_database}.{work.table}",
                "--tgt-conn",
                f"{work.target.url(work.target_database)}?sslmode=disable",
                "--tgt-object",
                f"public.{work.table}",
                "--mode",
                "full-refresh",
            ],
            env=_environment(),
        )
        return Run(usage, usage.seconds)


def _environment() -> dict[str, str]:
    return {**os.environ, "SLING_DISABLE_TELEMETRY": "TRUE", "SLING_LOADED_AT_COLUMN": "FALSE"}
