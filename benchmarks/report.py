"""Results as numbers and as the tables people read."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """One run. Seconds; memory in MB. total: start of the command until the primary key is there."""

    data: float
    total: float
    peer_cpu: float
    source_cpu: float
    target_cpu: float
    peak_rss_mb: float
    notes: str = ""


@dataclass(slots=True)
class Result:
    """A peer's runs, or why there are none."""

    name: str
    version: str = ""
    missing: str = ""
    samples: list[Sample] = field(default_factory=list)
    gil_share: float | None = None  # of the data phase, where the peer is Python and it was measured

    def median(self, figure: str) -> float:
        values: list[float] = [getattr(sample, figure) for sample in self.samples]
        return statistics.median(values)


def machine() -> dict[str, str]:
    """What the numbers were taken on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown"
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def markdown(
    title: str, rows: int, results: Sequence[Result], baseline: str, settings: Mapping[str, str]
) -> str:
    """The report. Ratios are of median data seconds to those of `baseline` in the same run."""
    base = next((result for result in results if result.name == baseline and result.samples), None)
    runs = max((len(result.samples) for result in results), default=0)
    lines = [
        f"# {title}, {rows:,} rows",
        "",
        f"Median of {runs} runs, taken in turn. *data*: the rows alone, without keys; *with key*: from the "
        "start of the command until the primary key is there. CPU in seconds; memory: the peer alone; "
        "GIL: the part of the data phase in which the interpreter's lock is held.",
        "",
        f"| who | data s | min–max | × {baseline} | with key s | CPU: peer | source | target | MB | GIL |",
        f"| --- |{' ---: |' * 9}",
    ]
    lines += [_line(result, base) for result in results]
    notes = [f"- {result.name}: {result.samples[-1].notes}" for result in results if _noted(result)]
    versions = [f"{result.name} {result.version}" for result in results if result.version]
    lines += ["", *notes, *([""] if notes else []), "Versions: " + ", ".join(versions) + ".", ""]
    lines += [_sentence("Servers", settings), "", _sentence("Machine", machine()), ""]
    return "\n".join(lines)


def _line(result: Result, base: Result | None) -> str:
    if not result.samples:
        return f"| {result.name} | {result.missing} |" + " |" * 8
    data = sorted(sample.data for sample in result.samples)
    ratio = f"{result.median('data') / base.median('data'):.2f}" if base else "–"
    figures = (result.median(figure) for figure in ("total", "peer_cpu", "source_cpu", "target_cpu"))
    cells = [
        result.name,
        f"{result.median('data'):.2f}",
        f"{data[0]:.2f}–{data[-1]:.2f}",
        ratio,
        *(f"{figure:.2f}" for figure in figures),
        f"{max(sample.peak_rss_mb for sample in result.samples):.0f}",
        "–" if result.gil_share is None else f"{result.gil_share:.0%}",
    ]
    return f"| {' | '.join(cells)} |"


def _noted(result: Result) -> bool:
    return bool(result.samples and result.samples[-1].notes)


def _sentence(head: str, facts: Mapping[str, str]) -> str:
    return f"{head}: " + "; ".join(f"{name} {value}" for name, value in facts.items()) + "."


def as_json(
    title: str, rows: int, results: Iterable[Result], baseline: str, settings: Mapping[str, str]
) -> dict[str, Any]:
    """The same with every run, for a program."""
    return {
        "title": title,
        "rows": rows,
        "baseline": baseline,
        "servers": dict(settings),
        "machine": machine(),
        "results": [asdict(result) for result in results],
    }
