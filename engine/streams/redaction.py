"""Keep secrets out of text nobody foresaw: a driver's message, the output of a worker that died."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from engine.config import MASK
from engine.streams.job import StreamJob


def secrets_of(job: StreamJob) -> list[str]:
    """Every secret value in the job's connections, longest first."""
    found: set[str] = set()

    def walk(revealed: Any, masked: Any) -> None:
        if isinstance(revealed, dict):
            for key, value in revealed.items():
                walk(value, masked[key])
        elif isinstance(revealed, str) and masked == MASK and revealed:
            found.add(revealed)
            # A key in PEM is quoted line by line, if at all.
            found.update(line for line in revealed.splitlines() if len(line) >= 32)

    for connection in job.connections.values():
        walk(connection.to_json(reveal=True), connection.to_json())
    return sorted(found, key=len, reverse=True)


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret masked. Only whole words: a password `a` must not eat every letter a."""
    for secret in secrets:
        left = r"(?<!\w)" if secret[0].isalnum() else ""
        right = r"(?!\w)" if secret[-1].isalnum() else ""
        text = re.sub(left + re.escape(secret) + right, MASK, text)
    return text
