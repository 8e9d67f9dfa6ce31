"""How much of a copy's data phase the interpreter's lock is held: what threads cannot share out among cores.

Sampled by py-spy in a run of its own, which is not timed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import measured

_RATE = 200  # samples a second
_DATA_PHASE = "engine/streams/snapshot.py"  # a frame of it is in every stack of the data phase's threads


def sampler() -> str | None:
    """The path of py-spy, where it is installed."""
    return shutil.which("py-spy", path=str(Path(sys.executable).parent))


def held_seconds(command: Sequence[str]) -> tuple[float, str]:
    """Seconds in which a thread of the data phase held the lock, and what the command printed.

    Raises CommandFailed."""
    program = sampler()
    assert program is not None
    with tempfile.TemporaryDirectory() as folder:
        stacks = Path(folder) / "stacks"
        usage = measured(
            [
                program,
                *("record", "--gil", "--subprocesses", "--full-filenames", "--format", "raw"),
                *("--rate", str(_RATE), "--output", str(stacks), "--", *command),
            ]
        )
        return _count(stacks.read_text()) / _RATE, usage.output


def _count(raw: str) -> int:
    """Samples in py-spy's raw format, `frame;frame;frame N` a line, that belong to the data phase."""
    lines = (line.rpartition(" ") for line in raw.splitlines())
    return sum(int(number) for stack, _, number in lines if _DATA_PHASE in stack)
