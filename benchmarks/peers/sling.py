"""sling, full refresh of one table. Its binary is in the package `sling-linux-amd64`; the package `sling`
would fetch one from elsewhere."""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import measured
from benchmarks.peers.base import PeerMissing, Run, Workload


class Sling:
    name = "sling"
    moves_rows = True

    def _program(self) -> str:
        package = find_spec("sling_linux_amd64")
        if package is None or package.origin is None:
            raise PeerMissing("sling-linux-amd64 is not installed (make bench installs it)")
        place = Path(package.origin).parent / "bin" / "sling-linux-amd64"
        place.chmod(place.stat().st_mode | 0o111)
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
