"""Move data between MySQL/MariaDB and PostgreSQL: nothing lost, nothing silently changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import Category, Code, EngineError

if TYPE_CHECKING:
    from engine.api import Engine
    from engine.copying import CopyResult

__all__ = ["Category", "Code", "CopyResult", "Engine", "EngineError", "worker_ahead"]


def worker_ahead(source_url: str, target_url: str) -> None:
    """Start the process of the stream that will copy these two ends, as `Engine.copy` takes them, while the
    caller loads and opens its Engine. VALIDATION_FAILED, and then nothing is started."""
    from engine.locations import parse_location
    from engine.streams import process

    process.start_ahead(parse_location(source_url).type, parse_location(target_url).type)


def __getattr__(name: str) -> Any:
    # Workers import this package too; they do not need the store and the supervisor, which load SQLAlchemy.
    if name == "Engine":
        from engine.api import Engine

        return Engine
    if name == "CopyResult":
        from engine.copying import CopyResult

        return CopyResult
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
