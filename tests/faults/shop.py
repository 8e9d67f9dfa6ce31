"""A small database that takes several chunks, keys, indexes and foreign keys to copy, and its comparison."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint

ROWS = 30_000

_STRUCTURE = """
CREATE TABLE parent (
  id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name varchar(60) NOT NULL,
  amount decimal(12,3),
  at datetime(6) NOT NULL,
  KEY by_name (name)
);
CREATE TABLE child (
  id int NOT NULL PRIMARY KEY,
  parent_id int unsigned NOT NULL,
  body text,
  KEY by_parent (parent_id),
  CONSTRAINT child_parent FOREIGN KEY (parent_id) REFERENCES parent (id)
);
CREATE TABLE keyless (a int, b varchar(20));
"""


def build(server: MysqlEndpoint, database: str, rows: int = ROWS) -> None:
    server.execute(_STRUCTURE, database=database)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
    limit = (
        "SET SESSION max_recursive_iterations = 10000000;"
        if server.kind == "mariadb"
        else ("SET SESSION cte_max_recursion_depth = 10000000;")
    )
    server.execute(
        f"{limit} INSERT INTO parent (id, name, amount, at)"
        f" {numbers} SELECT i, CONCAT('name ', i * 7919 % 1000), i / 8,"
        " '2024-01-01' + INTERVAL i SECOND FROM n;"
        f" INSERT INTO child {numbers} SELECT i, 1 + i * 31 % {rows}, REPEAT('x', i % 200) FROM n;"
        f" INSERT INTO keyless {numbers} SELECT i % 5, 'same' FROM n WHERE i <= 1000;",
        database=database,
    )
    # The number of chunks goes by the estimates; fresh ones make it the same every time.
    server.query("ANALYZE TABLE parent, child, keyless", database=database)


_TABLES = {
    "parent": (
        "id, name, CAST(amount AS CHAR), CAST(at AS CHAR)",
        "id, name, amount::text, to_char(at, 'YYYY-MM-DD HH24:MI:SS.US')",
    ),
    "child": ("id, parent_id, body", "id, parent_id, body"),
    "keyless": ("a, b", "a, b"),
}


def differences(
    source: MysqlEndpoint, source_database: str, target: PostgresEndpoint, target_database: str
) -> dict[str, Any]:
    """Per table that differs, the rows of both sides, and keys and indexes that are missing; empty when both
    sides are equal. Asked of both servers, not of our own readers."""
    found: dict[str, Any] = {}
    for table, (mine, theirs) in _TABLES.items():
        want = sorted(source.query(f"SELECT {mine} FROM {table}", database=source_database))
        have = sorted(target.query(f"SELECT {theirs} FROM public.{table}", database=target_database))
        if want != have:
            found[table] = (len(want), len(have))
    constraints = target.query(
        "SELECT conrelid::regclass::text, contype::text, convalidated FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'f')"
        " AND left(conrelid::regclass::text, 1) <> '_' ORDER BY 1, 2",
        database=target_database,
    )
    if constraints != [("child", "f", True), ("child", "p", True), ("parent", "p", True)]:
        found["constraints"] = constraints
    indexes = target.scalar(
        "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public' AND left(tablename, 1) <> '_'",
        database=target_database,
    )
    if indexes != 4:
        found["indexes"] = indexes
    if not _checkpoints_go(target, target_database):
        found["checkpoints"] = "left behind"
    return found


def _checkpoints_go(target: PostgresEndpoint, database: str) -> bool:
    """They are dropped once the store says FINISHED, by a process of its own: soon, not at once."""
    for _ in range(100):
        if target.scalar("SELECT to_regclass('public._dbstreams_checkpoint') IS NULL", database=database):
            return True
        time.sleep(0.2)
    return False
