"""What a run costs: wall seconds, CPU seconds by process tree, peak resident memory. Linux, from /proc."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE_SECONDS = 0.05


class CommandFailed(RuntimeError):
    """A measured command ended with an error; the message holds the end of its output."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one command and everything it started. Memory, in MB (2^20): the processes alive together, each with
    the most it ever held, where that sum was largest."""

    seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    output: str  # what it printed to stdout


def measured(command: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Usage:
    """Run a command to its end. Raises CommandFailed."""
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            text=True,
            errors="replace",
        )
        sampler = _MemorySampler(process.pid)
        sampler.start()
        assert process.stdout is not None
        try:
            output = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            sampler.done.set()
            process.stdout.close()
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            complaints.seek(0)
            said = (output + complaints.read())[-3000:]
            raise CommandFailed(f"{command[0]} ended with {process.returncode}:\n{said}")
    return Usage(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_rss_mb=sampler.peak / 2**20,
        output=output,
    )


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all it ever started, ended ones included once they were waited for."""
    total = 0.0
    for each in tree(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(fields[index]) for index in (11, 12, 13, 14)) / _TICKS  # utime stime cutime cstime
    return total


def tree(pid: int) -> Iterator[int]:
    """A process and its living descendants."""
    yield pid
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for task in tasks:
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            yield from tree(int(child))


class _MemorySampler(threading.Thread):
    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.done = threading.Event()
        self.peak = 0

    def run(self) -> None:
        while not self.done.wait(_SAMPLE_SECONDS):
            self.peak = max(self.peak, sum(map(self._resident, tree(self._pid))))

    def _resident(self, pid: int) -> int:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return 0
        line = status.partition("VmHWM:")[2].split(maxsplit=1)  # in kB; a process that is ending has none
        return int(line[0]) * 1024 if line else 0
