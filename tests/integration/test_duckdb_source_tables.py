"""Structure, chunks and pictures of DuckDB files as sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import Policies, SourceConnection
from engine.connectors.base import KeyRange
from engine.connectors.duckdb.database import open_database
from engine.connectors.duckdb.source import open_source
from engine.streams.run import plan_stream
from tests import running
from tests.integration.duckdb_files import SHOP, ask, build, duckdb_connection, job

pytestmark = pytest.mark.integration


def test_structure_is_read(tmp_path: Path) -> None:
    """slug: duckdb-catalog"""
    file = tmp_path / "market.duckdb"
    build(file, *SHOP)
    source = open_source(
        duckdb_connection(file), SourceConnection.parse({"connectionId": "a", "schema": "shop"})
    )
    database = source.catalog("shop")
    source.close()
    assert [table.name for table in database.tables] == ["orders", "people"]
    orders, people = database.tables
    assert people.key_columns == ("id",)
    assert [(c.name, c.default and (c.default.literal or c.default.expression)) for c in people.columns] == [
        ("id", None),
        ("name", "it's"),
        ("n", "7"),
        ("made", "now()"),
        ("double_n", None),
    ]
    assert people.column("double_n").generated is not None
    assert (people.comment, people.column("name").comment) == ("who", "how")
    assert [check.expression for check in people.checks] == ["(n > 0)"]
    assert [index.parts[0].column for index in people.indexes] == ["name"]
    assert [(key.columns, key.ref_table) for key in orders.foreign_keys] == [(("person",), "people")]
    assert [index.unique for index in orders.indexes] == [True]
    assert [view.name for view in database.views] == ["names"]


def test_tables_views_and_generated_columns_are_copied(tmp_path: Path) -> None:
    """slugs: duckdb-views, duckdb-generated"""
    file, other = tmp_path / "market.duckdb", tmp_path / "other.duckdb"
    build(file, *SHOP)
    running.finish(job(file, other, source_schema="shop", tables=["people", "names"], schema="shop"))
    query = "SELECT id, name, n, double_n FROM shop.people ORDER BY id"
    assert ask(other, query) == ask(file, query)
    query = "SELECT * FROM shop.names ORDER BY name"
    assert ask(other, query) == ask(file, query)


@pytest.mark.parametrize("rows", [0, 1, 300_000])
def test_chunks_are_the_whole_table_once(tmp_path: Path, rows: int) -> None:
    """slug: duckdb-chunks. After deletes, and with rows spread over many groups."""
    file, other = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    build(
        file,
        f"CREATE TABLE t AS SELECT i, repeat('x', 40) AS s, i * 7 % 1000 AS k FROM range({rows}) r(i)",
        "DELETE FROM t WHERE i % 3 = 0 AND i > 0",
    )
    stream = job(file, other, options={"chunkBytes": 1 << 20})
    plan = plan_stream(stream)
    assert (plan["chunks"] > 3) is (rows > 1)
    running.finish(stream)
    query = "SELECT count(*), count(DISTINCT i), sum(i), sum(k) FROM t"
    assert ask(other, query) == ask(file, query)


def test_a_column_called_rowid_is_no_row_number(tmp_path: Path) -> None:
    """slug: duckdb-chunks"""
    file, other = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    build(file, "CREATE TABLE t AS SELECT 1 AS rowid, i, repeat('x', 100) s FROM range(100000) r(i)")
    running.finish(job(file, other, options={"chunkBytes": 1 << 20}))
    assert ask(other, "SELECT count(*), count(DISTINCT i) FROM t") == [(100000, 100000)]


def test_readers_of_one_picture_see_the_same(tmp_path: Path) -> None:
    """slug: duckdb-picture"""
    file = tmp_path / "a.duckdb"
    build(file, "CREATE TABLE t AS SELECT i FROM range(10) r(i)")
    writer = open_database(str(file), read_only=False)
    source = open_source(duckdb_connection(file), SourceConnection.parse({"connectionId": "a"}))
    read, _ = source.plan_read(source.catalog("a").tables[0], Policies())
    with source.picture(2) as picture:
        writer.cursor().execute("INSERT INTO t SELECT i FROM range(5) r(i)")
        readers = [picture.reader("native") for _ in range(3)]
        counts = [sum(b.num_rows for b in reader.read(read, None)) for reader in readers]
        bounded = sum(b.num_rows for b in readers[0].read(read, KeyRange(("rowid",), (2,), (5,))))
        for reader in readers:
            reader.close()
    assert (counts, bounded, picture.broken) == ([10, 10, 15], 3, True)
    assert source.position() is None
    source.close()
    writer.close()
