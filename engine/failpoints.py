"""Named points at which a test can kill or stop the process. Inert unless DBSTREAMS_FAILPOINT is set.

The variable holds `name`, or `name:N` for the N-th passage; the process then kills itself with SIGKILL, which
is what a power cut or an out-of-memory killer does: no handler runs, no buffer is flushed.
"""

from __future__ import annotations

import os
import signal
import threading

_lock = threading.Lock()
_passages = 0


def fail_point(name: str) -> None:
    """Kill this process here when a test asked for it."""
    wanted = os.environ.get("DBSTREAMS_FAILPOINT")
    if wanted is None:
        return
    global _passages
    point, _, nth = wanted.partition(":")
    if point != name:
        return
    with _lock:
        _passages += 1
        due = _passages == int(nth or 1)
    if due:
        os.kill(os.getpid(), signal.SIGKILL)
