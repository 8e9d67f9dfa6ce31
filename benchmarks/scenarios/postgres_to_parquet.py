"""PostgreSQL → Parquet."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.routes import BASELINE, Copy, Duck, Stage, stage
from benchmarks.scenarios.mysql_to_postgres import WrongRows

__all__ = ["BASELINE", "PEERS", "TITLE", "WrongRows", "scenario"]

TITLE = "PostgreSQL → Parquet"
PEERS = {
    "ours": (Copy(),),
    "duckdb": (Duck(lambda work: f"COPY (FROM pg.products) TO '{work.folder}/products.parquet'"),),
}


def scenario(rows: int, scratch: Path) -> AbstractContextManager[Stage]:
    return stage(("postgres", "parquet"), rows, scratch)
