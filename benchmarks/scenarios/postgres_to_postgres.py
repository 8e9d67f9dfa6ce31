"""PostgreSQL → PostgreSQL, both on one server; the floor is the binary pipe with one stream and with two."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.routes import BASELINE, DATABASE, POSTGRES_TABLE, Copy, Duck, Route, Shell, Stage, stage
from benchmarks.scenarios.mysql_to_postgres import WrongRows

__all__ = ["BASELINE", "PEERS", "TITLE", "WrongRows", "scenario"]

TITLE = "PostgreSQL → PostgreSQL"


def make_table(work: Route) -> None:
    """Without the key, as the copy loads it."""
    work.servers["postgres"].execute(POSTGRES_TABLE.replace(" PRIMARY KEY", ""), database=work.database)


def pipe(work: Route, where: str = "") -> str:
    query = f"COPY (SELECT * FROM products {where}) TO STDOUT (FORMAT binary)"
    return (
        f'psql -X -q -d {DATABASE} -c "{query}"'
        f' | psql -X -q -d {work.database} -c "COPY products FROM STDIN (FORMAT binary)"'
    )


def two_pipes(work: Route) -> str:
    half = work.rows // 2
    first, second = pipe(work, f"WHERE id <= {half}"), pipe(work, f"WHERE id > {half}")
    return f"({first}) & one=$!; ({second}); status=$?; wait $one && exit $status"


PEERS = {
    "ours": (Copy(),),
    "duckdb": (Duck(lambda work: "CREATE TABLE out.products AS FROM pg.products"),),
    "pipe": (
        Shell("pipe: binary, one stream", "psql", "postgresql-client", pipe, make_table),
        Shell("pipe: binary, two streams", "psql", "postgresql-client", two_pipes, make_table),
    ),
}


def scenario(rows: int, scratch: Path) -> AbstractContextManager[Stage]:
    return stage(("postgres", "postgres"), rows, scratch)
