"""A CSV file → PostgreSQL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.routes import BASELINE, POSTGRES_TABLE, Copy, Duck, Route, Shell, Stage, stage
from benchmarks.scenarios.mysql_to_postgres import WrongRows

__all__ = ["BASELINE", "PEERS", "TITLE", "WrongRows", "scenario"]

TITLE = "CSV → PostgreSQL"


def make_table(work: Route) -> None:
    work.servers["postgres"].execute(POSTGRES_TABLE.replace(" PRIMARY KEY", ""), database=work.database)


def copied(work: Route) -> str:
    return f"psql -X -q -d {work.database} -c \"\\copy products from '{work.file}' csv header\""


PEERS = {
    "ours": (Copy(),),
    "duckdb": (Duck(lambda work: f"CREATE TABLE out.products AS FROM read_csv('{work.file}')"),),
    "pipe": (Shell("psql \\copy … csv", "psql", "postgresql-client", copied, make_table),),
}


def scenario(rows: int, scratch: Path) -> AbstractContextManager[Stage]:
    return stage(("csv", "postgres"), rows, scratch)
