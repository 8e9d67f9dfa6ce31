"""SQL over a DuckDB file as a source, what it may not reach, and selections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.config import SourceConnection
from engine.connectors.duckdb.database import open_database
from engine.connectors.duckdb.source import open_source
from engine.errors import Code, EngineError
from engine.streams.run import plan_stream
from tests import running
from tests.integration.duckdb_files import SHOP, ask, build, duckdb_connection, job

pytestmark = pytest.mark.integration


def test_a_query_is_a_table(tmp_path: Path) -> None:
    """slug: duckdb-query"""
    file, other = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    build(file, *SHOP)
    query = "WITH p AS (SELECT * FROM people) SELECT name AS who, sum(n) AS total FROM p GROUP BY 1 -- all"
    running.finish(job(file, other, source_schema="shop", queries={"totals": query + "\n;"}))
    assert ask(other, "SELECT who, total FROM totals ORDER BY 1") == [(f"p{i}", 14) for i in range(5)]
    types = "SELECT data_type FROM duckdb_columns() WHERE table_name = 'totals' ORDER BY column_index"
    assert ask(other, types) == [("VARCHAR",), ("HUGEINT",)]


NOT_ALLOWED = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 't')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT (SELECT max(content) FROM read_text('/etc/passwd'))",
    "WITH x AS (SELECT * FROM parquet_scan('/x')) SELECT 1",
    "SELECT * FROM people WHERE EXISTS (FROM sniff_csv('/etc/passwd'))",
    "SELECT current_setting('temp_directory')",
]
NO_SELECT = [
    "DELETE FROM shop.people",
    "ATTACH '/tmp/x.duckdb'",
    "COPY shop.people TO '/tmp/x.csv'",
    "INSTALL httpfs",
    "SET memory_limit = '1GB'",
    "SELECT 1; SELECT 2",
    "SELECT FROM",
    "",
    "SHOW TABLES",
    "DESCRIBE shop.people",
    "EXPLAIN SELECT 1",
    "SELECT * FROM shop.people WHERE id = $1",
    "SELECT 1 AS a, 2 AS A",
    "SELECT nothing FROM shop.people",
    "SELECT 1) AS t; DROP TABLE shop.people; SELECT * FROM (SELECT 1",
    "SELECT * FROM '/etc/passwd'",
]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        *((query, Code.QUERY_NOT_ALLOWED) for query in NOT_ALLOWED),
        *((q, Code.QUERY_FAILED) for q in NO_SELECT),
    ],
)
def test_a_query_that_reaches_further_is_refused(tmp_path: Path, query: str, code: Code) -> None:
    """slug: duckdb-query-wall"""
    file = tmp_path / "a.duckdb"
    build(file, *SHOP)
    source = open_source(duckdb_connection(file), SourceConnection.parse({"connectionId": "a"}))
    with pytest.raises(EngineError) as caught:
        source.query_table("q", query)
    source.close()
    assert caught.value.code is code, caught.value


def test_the_session_itself_reaches_nothing_else(tmp_path: Path) -> None:
    """slug: duckdb-query-wall. Behind the parser stands the instance's own lock."""
    file = tmp_path / "a.duckdb"
    build(file, *SHOP)
    database = open_database(str(file), read_only=True)
    for statement in (*NOT_ALLOWED[:3], "ATTACH '/tmp/y.duckdb'", "SET enable_external_access = true"):
        with pytest.raises(duckdb.Error):
            database.cursor().execute(statement).fetchall()
    database.close()


def test_memory_is_bounded_and_the_rest_spills_beside_the_file(tmp_path: Path) -> None:
    """slug: duckdb-memory"""
    file = tmp_path / "a.duckdb"
    build(file, *SHOP)
    settings = "SELECT current_setting('memory_limit'), current_setting('temp_directory')"
    for read_only, limit in ((True, "512.0 MiB"), (False, "256.0 MiB")):
        database = open_database(str(file), read_only=read_only)
        assert database.cursor().execute(settings).fetchone() == (limit, f"{file}.tmp")
        database.close()


def test_a_wide_table_is_given_the_memory_its_row_groups_need(tmp_path: Path) -> None:
    """slug: duckdb-memory"""
    database = open_database(str(tmp_path / "a.duckdb"), read_only=False)
    cursor = database.cursor()
    limits = []
    for columns in (5, 400, 10):
        database.make_room(columns)
        limits.append(cursor.execute("SELECT current_setting('memory_limit')").fetchone())
    assert limits[0] == ("256.0 MiB",)
    assert limits[1] == limits[2] != limits[0]  # never lowered while somebody may need it
    database.close()


SELECTIONS: list[tuple[dict[str, Any], list[int]]] = [
    ({"filters": [{"column": "id", "operator": ">", "value": "8"}]}, [9, 10]),
    ({"filters": [{"column": "id", "operator": "<", "value": "1.5"}]}, [1]),
    ({"filters": [{"column": "name", "operator": "in", "value": ["p1", "p'2"]}]}, [1, 6]),
    ({"filters": [{"column": "name", "operator": "like", "value": "%3"}]}, [3, 8]),
    ({"filters": [{"column": "n", "operator": "is null"}]}, []),
    ({"filters": [{"column": "name", "operator": "=", "value": "x' OR 1=1 --"}]}, []),
    ({"sorts": [{"column": "id", "direction": "DESC"}], "limit": 3, "selectedColumns": ["id"]}, [8, 9, 10]),
]


@pytest.mark.parametrize(("selection", "ids"), SELECTIONS)
def test_a_selection_is_what_is_copied(tmp_path: Path, selection: dict[str, Any], ids: list[int]) -> None:
    """slug: duckdb-selection"""
    file, other = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    build(file, *SHOP)
    stream = job(file, other, source_schema="shop", selections={"people": selection})
    running.finish(stream)
    assert [key for (key,) in ask(other, "SELECT id FROM people ORDER BY id")] == ids
    assert running.verify(stream)["equal"]


@pytest.mark.parametrize(
    ("selection", "code"),
    [
        ({"filters": [{"column": "nope", "operator": "=", "value": "1"}]}, Code.UNKNOWN_COLUMN),
        ({"filters": [{"column": "id", "operator": "=", "value": "x"}]}, Code.VALIDATION_FAILED),
        ({"filters": [{"column": "id", "operator": "="}]}, Code.VALIDATION_FAILED),
        ({"filters": [{"column": "id", "operator": "is null", "value": "1"}]}, Code.VALIDATION_FAILED),
        ({"sorts": [{"column": "nope"}]}, Code.UNKNOWN_COLUMN),
    ],
)
def test_a_selection_without_sense_is_refused(tmp_path: Path, selection: dict[str, Any], code: Code) -> None:
    """slug: duckdb-selection"""
    file = tmp_path / "a.duckdb"
    build(file, *SHOP)
    stream = job(file, tmp_path / "b.duckdb", source_schema="shop", selections={"people": selection})
    with pytest.raises(EngineError) as caught:
        plan_stream(stream)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("part", "field"), [({"database": "other"}, "database"), ({"source_schema": "nope"}, "schema")]
)
def test_another_database_or_schema_is_named(tmp_path: Path, part: dict[str, Any], field: str) -> None:
    """slug: duckdb-names"""
    file = tmp_path / "a.duckdb"
    build(file, *SHOP)
    with pytest.raises(EngineError) as caught:
        plan_stream(job(file, tmp_path / "b.duckdb", **part))
    assert (caught.value.code, caught.value.details["fields"][0]["field"]) == (
        Code.VALIDATION_FAILED,
        f"source.connections.0.{field}",
    )
