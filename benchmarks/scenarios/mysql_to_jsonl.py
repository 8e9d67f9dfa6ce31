"""MariaDB → JSONL files."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.routes import BASELINE, Copy, Duck, Stage, stage
from benchmarks.scenarios.mysql_to_postgres import WrongRows

__all__ = ["BASELINE", "PEERS", "TITLE", "WrongRows", "scenario"]

TITLE = "MariaDB → JSONL"

PEERS = {
    "ours": (Copy(),),
    "duckdb": (
        Duck(lambda work: f"COPY (FROM my.products) TO '{work.folder}/products.jsonl' (FORMAT json)"),
    ),
}


def scenario(rows: int, scratch: Path) -> AbstractContextManager[Stage]:
    return stage(("mariadb", "jsonl"), rows, scratch)
