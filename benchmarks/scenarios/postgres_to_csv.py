"""PostgreSQL → CSV files."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.routes import BASELINE, DATABASE, Copy, Duck, Route, Shell, Stage, stage
from benchmarks.scenarios.mysql_to_postgres import WrongRows

__all__ = ["BASELINE", "PEERS", "TITLE", "WrongRows", "scenario"]

TITLE = "PostgreSQL → CSV"


def copied(work: Route) -> str:
    query = rf"\copy products TO '{work.folder}/products.csv' (FORMAT csv, HEADER)"
    return f'psql -X -q -d {DATABASE} -c "{query}"'


PEERS = {
    "ours": (Copy(),),
    "duckdb": (Duck(lambda work: f"COPY (FROM pg.products) TO '{work.folder}/products.csv' (HEADER)"),),
    "pipe": (Shell("psql \\copy … to csv", "psql", "postgresql-client", copied),),
}


def scenario(rows: int, scratch: Path) -> AbstractContextManager[Stage]:
    return stage(("postgres", "csv"), rows, scratch)
