"""The process a worker runs in, and how one is started ahead of its job.

A Python process needs about as long to load its modules as a small copy takes. A caller who knows that a
stream will follow starts the process first, and loads its own modules meanwhile; the next worker takes it.
This module loads nothing that would hold that up.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

# Ours that are no business of a worker: the store's keys, the API key, the passwords of the command line.
_WITHHELD = re.compile(r"DBSTREAMS_\w*(KEY|KEY_FILE|PASSWORD)")


@dataclass(frozen=True, slots=True)
class Process:
    """popen: with stdin and stdout as pipes. report: the descriptor the worker's reports are read from."""

    popen: subprocess.Popen[bytes]
    report: int

    def discard(self) -> None:
        """End a process that got no job: the end of its stdin tells it to leave."""
        assert self.popen.stdin is not None
        with contextlib.suppress(OSError):
            self.popen.stdin.close()
        os.close(self.report)
        self.popen.kill()  # it has touched nothing
        self.popen.wait()
        assert self.popen.stdout is not None
        self.popen.stdout.close()


def spawn(*kinds: str) -> Process:
    """A new process; `kinds`, the types of connection of the source and of the target, are loaded at once.
    Raises OSError."""
    report, report_of_child = os.pipe()
    try:
        popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.streams.worker", str(report_of_child), *kinds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(report_of_child,),
            start_new_session=True,  # Ctrl-C at a terminal is for the supervisor, which stops it cleanly
            env=_environment(),
        )
    except OSError:
        os.close(report)
        raise
    finally:
        os.close(report_of_child)
    return Process(popen, report)


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not _WITHHELD.fullmatch(name)}
    # The worker must import this very package, wherever it came from, and never one in its folder (-P).
    root = str(Path(__file__).resolve().parents[2])
    known = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
    environment["PYTHONPATH"] = os.pathsep.join([root, *(part for part in known if part != root)])
    return environment


class _Ahead:
    """At most one process that waits for a job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Process | None = None

    def start(self, *kinds: str) -> None:
        with self._lock:
            if self._waiting is None:
                with contextlib.suppress(OSError):  # told where a job needs a process
                    self._waiting = spawn(*kinds)

    def take(self) -> Process | None:
        with self._lock:
            process, self._waiting = self._waiting, None
        if process is not None and process.popen.poll() is not None:
            process.discard()
            return None
        return process


_ahead = _Ahead()


def start_ahead(*kinds: str) -> None:
    """Start the process of the next worker now, with the types of the connections of its source and target.
    One that gets no job ends with this process, or by `discard_ahead`."""
    _ahead.start(*kinds)


def discard_ahead() -> None:
    """End the process that waits, if there is one."""
    process = _ahead.take()
    if process is not None:
        process.discard()


def take() -> Process:
    """The process that was started ahead, or a new one. Raises OSError."""
    return _ahead.take() or spawn()
