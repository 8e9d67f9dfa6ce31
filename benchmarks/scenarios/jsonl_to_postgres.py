"""JSONL file → PostgreSQL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.routes import BASELINE, Copy, Duck, Stage, stage
from benchmarks.scenarios.mysql_to_postgres import WrongRows

__all__ = ["BASELINE", "PEERS", "TITLE", "WrongRows", "scenario"]

TITLE = "JSONL → PostgreSQL"

PEERS = {
    "ours": (Copy(),),
    "duckdb": (
        Duck(
            lambda work: f"CREATE TABLE out.products AS FROM read_json('{work.source}')",
        ),
    ),
}


def scenario(rows: int, scratch: Path) -> AbstractContextManager[Stage]:
    return stage(("jsonl", "postgres"), rows, scratch)
