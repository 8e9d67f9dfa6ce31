"""PostgreSQL → MariaDB; the floor is psql's text into LOAD DATA LOCAL, one stream, key in place."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.routes import BASELINE, DATABASE, Copy, Duck, Route, Shell, Stage, stage
from benchmarks.scenarios.mysql_to_postgres import MYSQL_TABLE, WrongRows

__all__ = ["BASELINE", "PEERS", "TITLE", "WrongRows", "scenario"]

TITLE = "PostgreSQL → MariaDB"


def make_table(work: Route) -> None:
    work.servers["mariadb"].execute(MYSQL_TABLE.replace("timestamp", "datetime(6)"), database=work.database)


def pipe(work: Route) -> str:
    server = work.servers["mariadb"]
    query = "COPY (SELECT id, name, price, weight, updated AT TIME ZONE 'UTC' FROM products) TO STDOUT"
    load = "LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE products"
    return (
        f'psql -X -q -d {DATABASE} -c "{query}"'
        f" | mariadb --no-defaults --local-infile=1 -h {server.host} -P {server.port} -u {server.user}"
        f' {work.database} -e "{load}"'
    )


PEERS = {
    "ours": (Copy(),),
    "duckdb": (Duck(lambda work: "CREATE TABLE my.products AS FROM pg.products"),),
    "pipe": (Shell("pipe: psql to mariadb", "mariadb", "mariadb-client-core", pipe, make_table),),
}


def scenario(rows: int, scratch: Path) -> AbstractContextManager[Stage]:
    return stage(("postgres", "mariadb"), rows, scratch)
