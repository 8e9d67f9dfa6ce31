"""The one clock. Wall time is for people and rows of the store; durations are measured with `monotonic`."""

from __future__ import annotations

import time
from datetime import UTC, datetime

monotonic = time.monotonic


def now() -> float:
    """Seconds since the epoch."""
    return time.time()


def iso(seconds: float | None = None) -> str:
    """UTC, RFC 3339 with milliseconds: `2025-01-31T09:15:00.123Z`."""
    moment = datetime.fromtimestamp(now() if seconds is None else seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
