"""What the handlers share: the engine, the limits, the thread pools, and the sign that the end is near."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from server.idempotency import IdempotencyStore
from server.metrics import Metrics
from server.pool import Pool

if TYPE_CHECKING:
    from engine.api import Engine

MAX_BODY = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """data_dir: where our own files live. files_roots: the folders the file calls may see. max_body: bytes a
    request body may have. heartbeat: seconds between signs of life on an event stream."""

    data_dir: Path
    files_roots: tuple[Path, ...] = ()
    max_body: int = MAX_BODY
    heartbeat: float = 15.0
    local_threads: int = 8
    remote_threads: int = 16
    waiting: int = 256
    max_event_clients: int = 64

    @property
    def export_path(self) -> Path:
        """Where exports go unless a config says otherwise."""
        return self.files_roots[0] if self.files_roots else self.data_dir / "exports"


@dataclass(slots=True)
class Services:
    engine: Engine
    settings: Settings
    idempotency: IdempotencyStore
    metrics: Metrics
    local: Pool
    remote: Pool
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    event_clients: int = 0

    @classmethod
    def of(cls, engine: Engine, settings: Settings) -> Services:
        return cls(
            engine,
            settings,
            IdempotencyStore(settings.data_dir / "idempotency.sqlite"),
            Metrics(engine),
            Pool("local", settings.local_threads, settings.waiting),
            Pool("remote", settings.remote_threads, settings.waiting),
        )

    def close(self) -> None:
        self.closing.set()
        self.local.close()
        self.remote.close()
        self.idempotency.close()
