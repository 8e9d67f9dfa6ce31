"""`dbstreams copy`, with either of its readers."""

from __future__ import annotations

import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import gil
from benchmarks.measure import measured
from benchmarks.peers.base import PeerMissing, Run, Workload


class Ours:
    moves_rows = True

    def __init__(self, reader: str) -> None:
        self.name = f"dbstreams ({reader} reader)"
        self._reader = reader
        self._program = Path(sys.executable).with_name("dbstreams")

    def version(self) -> str:
        if not self._program.exists():
            raise PeerMissing("dbstreams is not installed in this environment (make setup)")
        return version("dbstreams")

    def prepare(self, work: Workload) -> None:
        """Nothing: the table is made by the copy."""

    def command(self, work: Workload, data_dir: str) -> list[str]:
        """The command line of one copy, with its metadata in `data_dir`."""
        return [
            str(self._program),
            "copy",
            work.source.url(work.source_database, "mariadb"),
            work.target.url(work.target_database),
            "--tables",
            work.table,
            "--reader",
            self._reader,
            "--json",
            "--data-dir",
            data_dir,
        ]

    def run(self, work: Workload) -> Run:
        with tempfile.TemporaryDirectory(dir=work.scratch) as data_dir:
            usage = measured(self.command(work, data_dir))
        summary = summary_of(usage.output)
        phases = summary["phases"]
        notes = ", ".join(f"{name} {seconds:.2f}" for name, seconds in phases.items())
        return Run(
            usage,
            phases["data"],
            keyed=True,
            notes=f"{notes}; worker peak {summary['peakRssMb']:.0f} MB",
        )

    def gil_share(self, work: Workload) -> float | None:
        """The part of the data phase in which the interpreter's lock is held; None without py-spy."""
        if gil.sampler() is None:
            return None
        with tempfile.TemporaryDirectory(dir=work.scratch) as data_dir:
            held, output = gil.held_seconds(self.command(work, data_dir))
        return held / float(summary_of(output)["phases"]["data"])


def summary_of(output: str) -> dict[str, Any]:
    """The last line of `copy --json`."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    summary: dict[str, Any] = json.loads(lines[-1])
    return summary
