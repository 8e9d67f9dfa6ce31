"""A companion process that ends private servers and removes their folders when the process that started them
is gone, however it went: an exit handler does not run after SIGKILL, this does.

It reads lines `+folder` (guard) and `-folder` (no longer) from its standard input, and acts at end of file.
Folders left by an earlier run whose guard was killed as well are found by `sweep`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

OWNER = "owner"  # file in a server's folder: pid and start time of the process that made it
SERVER = "server"  # the same of the server itself

_lock = threading.Lock()
_guard: subprocess.Popen[str] | None = None


def watch(folder: Path) -> None:
    """From now on `folder`, and the server recorded in it, do not outlive this process."""
    (folder / OWNER).write_text(identity(os.getpid()))
    _tell(f"+{folder}")


def record(folder: Path, pid: int) -> None:
    """`pid` is the server that runs in `folder`."""
    (folder / SERVER).write_text(identity(pid))


def forget(folder: Path) -> None:
    """The owner has removed `folder` itself."""
    _tell(f"-{folder}")


def _tell(line: str) -> None:
    global _guard
    with _lock:
        if _guard is None or _guard.poll() is not None:
            _guard = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.guard"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=Path(__file__).resolve().parent.parent,
                start_new_session=True,  # Ctrl-C at a terminal must not reach it
            )
        assert _guard.stdin is not None
        _guard.stdin.write(line + "\n")
        _guard.stdin.flush()


def identity(pid: int) -> str:
    """`pid starttime`: tells a process from a later one with the same number. Empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else f"{pid} {fields[19]}"


def alive(recorded: str) -> bool:
    """Whether the process of an `identity` still runs."""
    return bool(recorded) and identity(int(recorded.split()[0])) == recorded


def sweep(root: Path) -> None:
    """Remove the folders in `root` whose owner is gone, and end the servers still running in them."""
    for folder in root.iterdir() if root.is_dir() else ():
        owner = _read(folder / OWNER)
        if owner and not alive(owner):
            remove(folder)


def remove(folder: Path) -> None:
    """End the server recorded in `folder`, if it still runs, and delete the folder."""
    server = _read(folder / SERVER)
    if alive(server):
        os.kill(int(server.split()[0]), signal.SIGKILL)
    for _ in range(50):  # PostgreSQL's backends notice the end of the postmaster a moment later
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    guarded: set[str] = set()
    for line in sys.stdin:
        change, folder = line[0], line[1:].rstrip("\n")
        (guarded.add if change == "+" else guarded.discard)(folder)
    for folder in guarded:
        remove(Path(folder))


if __name__ == "__main__":
    main()
