"""Numbers of PostgreSQL that have no limit, on targets whose decimals have one: by the values there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import Policies
from engine.connectors.base import ColumnFacts
from engine.streams.run import plan_stream
from tests import running
from tests.integration import duckdb_files, file_targets
from tests.integration.postgres_sources import source, table_of

pytestmark = pytest.mark.integration
SCAN = {"unboundedNumeric": "scan"}

# Column, its type, its values → the decimal on MariaDB, on DuckDB and in Parquet.
COLUMNS: list[tuple[str, str, list[str | None], tuple[int, int], tuple[int, int]]] = [
    ("usual", "numeric", ["1.10", "-12345.678", None], (8, 3), (8, 3)),
    ("whole", "numeric", ["99999999999999999999", "-1", "0"], (20, 0), (20, 0)),
    ("small", "numeric", ["0.0005", "-0.00", None], (4, 4), (4, 4)),
    ("zero", "numeric", ["0", "0", "0"], (1, 0), (1, 0)),
    ("nothing", "numeric", [None, None, None], (65, 32), (38, 19)),
    ("filled", "numeric", ["9" * 20 + "." + "9" * 18, "1", "1"], (38, 18), (38, 18)),
    ("own", "amount", ["5.25", "1", "100"], (5, 2), (5, 2)),
    ("declared", "numeric(50,3)", ["5.25", "-10000", "1"], (50, 3), (8, 3)),
]
TYPES = [(name, mysql, other) for name, _, _, mysql, other in COLUMNS]


@pytest.fixture(scope="module")
def numbers(postgres: PostgresEndpoint) -> Iterator[str]:
    database = postgres.database()
    columns = ", ".join(f"{name} {kind}" for name, kind, *_ in COLUMNS)
    rows = ", ".join(
        f"({at}, {', '.join(values[at] or 'NULL' for _, _, values, _, _ in COLUMNS)})" for at in range(3)
    )
    postgres.execute(
        f"CREATE DOMAIN amount AS numeric; CREATE TABLE t (id int PRIMARY KEY, {columns});"
        f"INSERT INTO t VALUES {rows};",
        database=database,
    )
    yield database
    postgres.drop_database(database)


def expected(postgres: PostgresEndpoint, database: str, other: bool) -> list[tuple[Any, ...]]:
    """As a decimal of the target's own scale prints them; DuckDB writes no 0 where there is room for none."""
    types = [(name, duck if other else mysql) for name, mysql, duck in TYPES]
    asked = ", ".join(
        f"replace(round({name}, {scale})::text, '0.', '.')" if other and precision == scale
        else f"round({name}, {scale})::text" for name, (precision, scale) in types
    )  # fmt: skip
    return [tuple(row) for row in postgres.query(f"SELECT {asked} FROM t ORDER BY id", database=database)]


def test_mysql_decimals_by_their_values(
    postgres: PostgresEndpoint, numbers: str, mariadb: MysqlEndpoint, mariadb_database: str
) -> None:
    """slugs: unbounded-numeric-scan, mysql-numeric"""
    stream = running.job(postgres, numbers, mariadb, mariadb_database, tables=["t"], policies=SCAN)  # type: ignore[arg-type]
    running.finish(stream)
    types = mariadb.query(
        "SELECT column_type FROM information_schema.columns WHERE table_schema = DATABASE()"
        " AND table_name = 't' AND ordinal_position > 1 ORDER BY ordinal_position",
        database=mariadb_database,
    )
    assert [row[0] for row in types] == [f"decimal({p},{s})" for _, (p, s), _ in TYPES]
    asked = ", ".join(f"CAST({name} AS char)" for name, _, _ in TYPES)
    found = mariadb.query(f"SELECT {asked} FROM t ORDER BY id", database=mariadb_database)
    assert [tuple(row) for row in found] == expected(postgres, numbers, other=False)
    assert running.verify(stream)["equal"]


def test_duckdb_decimals_by_their_values(postgres: PostgresEndpoint, numbers: str, tmp_path: Path) -> None:
    """slugs: unbounded-numeric-scan, duckdb-numeric"""
    file = tmp_path / "a.duckdb"
    stream = duckdb_files.job(
        postgres,
        file,
        database=numbers,
        tables=["t"],
        queries={"q": "SELECT usual * 10 AS ten FROM t"},
        policies=SCAN,
    )
    running.finish(stream)
    types = duckdb_files.ask(
        file, "SELECT table_name, data_type FROM duckdb_columns() WHERE column_name <> 'id' AND"
        " table_name IN ('t', 'q') ORDER BY table_name DESC, column_index",
    )  # fmt: skip
    assert types == [*(("t", f"DECIMAL({p},{s})") for _, _, (p, s) in TYPES), ("q", "DECIMAL(9,3)")]
    asked = ", ".join(name for name, _, _ in TYPES)
    assert duckdb_files.printed(file, f"SELECT {asked} FROM t ORDER BY id") == expected(
        postgres, numbers, other=True
    )
    assert running.verify(stream)["equal"]


def test_parquet_decimals_by_their_values(postgres: PostgresEndpoint, numbers: str, tmp_path: Path) -> None:
    """slugs: unbounded-numeric-scan, file-numeric"""
    target = file_targets.files_connection(tmp_path)
    stream = file_targets.job(postgres, numbers, target, tables=["t"], fileFormat="parquet", policies=SCAN)
    running.finish(stream)
    running.cleanup(stream)
    schema = pq.read_schema(next((tmp_path / "t").iterdir()))
    assert [(name, str(schema.field(name).type)) for name, _, _ in TYPES] == [
        (name, f"decimal128({p}, {s})") for name, _, (p, s) in TYPES
    ]
    asked = ", ".join(f"{name}::varchar" for name, _, _ in TYPES)
    assert file_targets.duck(tmp_path, "t", asked, "id") == expected(postgres, numbers, other=True)
    assert running.verify(stream)["equal"]


# ---------------------------------------------------------------- what no decimal is

SPECIALS = [
    ("{NaN,1.5}", {}, "NaN", None),
    ("{NaN,NaN,1.5}", {"nan": "null"}, None, [None, None, "1.5"]),
    ("{Infinity,-Infinity,2}", {}, "infinite", None),
    ("{1e45,0.5}", {}, "46 digits before the point", None),
    ("{0." + "1" * 45 + "}", {}, "45 behind it", None),
]


@pytest.mark.parametrize(("values", "policies", "problem", "there"), SPECIALS)
def test_what_no_decimal_of_duckdb_is(
    postgres: PostgresEndpoint,
    postgres_database: str,
    tmp_path: Path,
    values: str,
    policies: dict[str, str],
    problem: str | None,
    there: list[str | None] | None,
) -> None:
    """slug: unbounded-numeric-scan. Refused by the plan, with what was found; in Parquet it stays text."""
    postgres.execute(
        f"CREATE TABLE t AS SELECT ordinality::int AS id, n FROM unnest('{values}'::numeric[])"
        " WITH ORDINALITY AS u(n, ordinality)",
        database=postgres_database,
    )
    file = tmp_path / "a.duckdb"
    stream = duckdb_files.job(postgres, file, database=postgres_database, policies={**SCAN, **policies})
    if problem is None:
        running.finish(stream)
        assert duckdb_files.printed(file, "SELECT n FROM t ORDER BY id") == [
            (value,) for value in there or []
        ]
    else:
        notes = [note for note in plan_stream(stream)["notes"] if note["severity"] == "refused"]
        assert [(note["slug"], note["column"]) for note in notes] == [("unbounded-numeric", "n")]
        assert problem in notes[0]["message"]
    target = file_targets.files_connection(tmp_path)
    written = file_targets.job(
        postgres, postgres_database, target, fileFormat="parquet", policies={**SCAN, **policies}
    )
    running.finish(written)
    running.cleanup(written)
    want = postgres.query("SELECT n::text FROM t ORDER BY id", database=postgres_database)
    nulled = [None if policies and row[0] == "NaN" else row[0] for row in want]
    assert file_targets.duck(tmp_path, "t", "n::varchar", "id") == [(value,) for value in nulled]


@pytest.mark.parametrize(
    ("declared", "policies", "refused"),
    [
        ("numeric", {}, True),
        ("numeric", {"nan": "null"}, False),
        ("numeric NOT NULL", {"nan": "null"}, False),  # NOT NULL is dropped, and the plan says so
    ],
)
def test_nan_on_the_way_to_mysql(
    postgres: PostgresEndpoint,
    postgres_database: str,
    mariadb: MysqlEndpoint,
    mariadb_database: str,
    declared: str,
    policies: dict[str, str],
    refused: bool,
) -> None:
    """slugs: unbounded-numeric-scan, mysql-numeric"""
    postgres.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, n {declared});"
        "INSERT INTO t VALUES (1, 'NaN'), (2, 1.25), (3, '-Infinity')",
        database=postgres_database,
    )
    stream = running.job(
        postgres,  # type: ignore[arg-type]
        postgres_database,
        mariadb,  # type: ignore[arg-type]
        mariadb_database,
        policies={**SCAN, **policies},
    )
    outcome, _ = running.run(stream)
    assert (outcome.error is not None) is refused
    if refused:
        assert "1 of its values is NaN" in str(outcome.error)
        return
    found = mariadb.query("SELECT id, CAST(n AS char) FROM t ORDER BY id", database=mariadb_database)
    assert [tuple(row) for row in found] == [(1, None), (2, "1.25"), (3, None)]


def test_nothing_is_looked_at_without_the_policy(postgres: PostgresEndpoint, numbers: str) -> None:
    """slug: unbounded-numeric-scan"""
    with source(postgres, numbers) as opened:
        table = table_of(opened, "t")
        assert opened.facts(table, Policies()).columns == {}
        found = opened.facts(table, Policies(unbounded_numeric="scan")).columns
    assert set(found) == {name for name, _, _ in TYPES}
    assert found["usual"] == ColumnFacts(integer_digits=5, fraction_digits=3, nans=0, infinities=0)
    assert found["nothing"] == ColumnFacts(nans=0, infinities=0)


# ---------------------------------------------------------------- parts of several attempts and streams


def test_a_row_that_has_grown_since_the_plan_is_refused(
    postgres: PostgresEndpoint, postgres_database: str, tmp_path: Path
) -> None:
    """slugs: unbounded-numeric-scan, file-numeric. What an attempt decided stands for the next one."""
    postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, n numeric, d date, pad text);"
        "ALTER TABLE t ALTER pad SET STORAGE PLAIN;"
        "INSERT INTO t SELECT i, i / 8.0, '2024-01-01', repeat('x', 1500) FROM generate_series(1, 400) i;"
        "UPDATE t SET d = 'infinity' WHERE id = 400; ANALYZE t",
        database=postgres_database,
    )
    target = file_targets.files_connection(tmp_path)

    def stream(**more: Any) -> Any:
        return file_targets.job(
            postgres,
            postgres_database,
            target,
            fileFormat="parquet",
            policies=SCAN,
            stream_id="stream_grown",
            options={"workers": 1, "chunkBytes": 65_536},
            **more,
        )

    outcome, _ = running.run(stream())
    assert outcome.error is not None
    first = {path: pq.read_schema(path).field("n").type for path in (tmp_path / "t").iterdir()}
    assert first
    postgres.execute(
        "UPDATE t SET d = '2024-01-02' WHERE id = 400; UPDATE t SET n = 123456.5 WHERE id = 1",
        database=postgres_database,
    )
    running.finish(stream())
    running.cleanup(stream())
    types = {str(pq.read_schema(path).field("n").type) for path in (tmp_path / "t").iterdir()}
    assert types == {str(next(iter(first.values())))}
    assert file_targets.duck(tmp_path, "t", "count(*), count(DISTINCT id), sum(n)::varchar", "1")[0][:2] == (
        400,
        400,
    )


@pytest.mark.parametrize(
    ("value", "policies", "refused"),
    [
        ("7.5", SCAN, None),
        ("7.125", SCAN, "more"),
        ("7.5", {}, "numeric (plain), now numeric (text_decimal)"),
    ],
)
def test_parts_that_join_have_the_decimals_that_are_there(
    postgres: PostgresEndpoint,
    postgres_database: str,
    tmp_path: Path,
    value: str,
    policies: dict[str, str],
    refused: str | None,
) -> None:
    """slugs: file-numeric, file-append-shape"""
    target = file_targets.files_connection(tmp_path)
    postgres.execute("CREATE TABLE t (n numeric); INSERT INTO t VALUES (12.25)", database=postgres_database)
    first = file_targets.job(postgres, postgres_database, target, fileFormat="parquet", policies=SCAN)
    running.finish(first)
    running.cleanup(first)
    postgres.execute(f"DELETE FROM t; INSERT INTO t VALUES ({value})", database=postgres_database)
    second = file_targets.job(postgres, postgres_database, target, fileFormat="parquet", policies=policies)
    outcome, _ = running.run(second)
    if refused is not None:
        assert outcome.error is not None
        assert refused in outcome.error["error"]
        return
    assert outcome.error is None
    running.cleanup(second)
    assert file_targets.duck(tmp_path, "t", "n::varchar", "1") == [("12.25",), ("7.50",)]


@pytest.mark.parametrize("file_format", ["csv", "json", "jsonl"])
def test_text_formats_have_no_precision(
    postgres: PostgresEndpoint, numbers: str, tmp_path: Path, file_format: str
) -> None:
    """slugs: file-numeric, file-policies"""
    target = file_targets.files_connection(tmp_path)
    stream = file_targets.job(postgres, numbers, target, fileFormat=file_format, policies=SCAN)
    notes = [note for note in plan_stream(stream)["notes"] if note["severity"] == "refused"]
    assert [(note["slug"], note["policy"]) for note in notes] == [
        ("policy-without-meaning", "unboundedNumeric")
    ]
