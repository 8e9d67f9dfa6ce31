"""Chunk boundaries on real servers: together the table, never overlapping, about even.

slugs: chunks-partition, chunks-holes, chunks-skew, chunks-collation, chunks-composite, chunks-no-key,
chunks-unsigned, chunks-stale-statistics, chunks-bounded-probes
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.endpoints import MysqlEndpoint
from engine.connectors.base import Chunk, KeyRange, TableRead
from engine.connectors.mysql import chunks as planner
from engine.connectors.mysql.chunks import plan_chunks
from engine.connectors.mysql.identifiers import qualified
from engine.connectors.mysql.probes import KeyProbes
from engine.connectors.mysql.ranges import condition
from tests.integration.mysql_tables import filled, opened, planned

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def small_tables_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "SHARE_BYTES", 64)
    monkeypatch.setattr(planner, "_LEAST_COUNT", 8)


def counts(server: MysqlEndpoint, read: TableRead, found: Sequence[Chunk]) -> list[int]:
    """Rows of each chunk, counted by the server; every row must be in exactly one."""
    name = qualified(read.table.schema, read.table.name)
    tests = [condition(read.table, chunk.bounds) or "TRUE" for chunk in found]
    sums = ", ".join(f"COALESCE(SUM({test}), 0)" for test in tests)
    once = " + ".join(f"({test})" for test in tests)
    row = server.query(f"SELECT COUNT(*), COALESCE(SUM(({once}) = 1), 0), {sums} FROM {name}")[0]
    total, exactly_once, *each = (int(value) for value in row)
    assert exactly_once == total
    assert sum(each) == total
    return each


def plan(
    server: MysqlEndpoint, database: str, target: int, minimum: int
) -> tuple[TableRead, tuple[Chunk, ...]]:
    server.query("ANALYZE TABLE t", database=database)
    with opened(server, database) as source:
        read = planned(source)
        return read, source.chunks(read, target, minimum)


# ---------------------------------------------------------------- any keys

# columns, key, one value of each key column
KEYS: dict[str, tuple[str, str, st.SearchStrategy[tuple[Any, ...]]]] = {
    "bigint": ("a bigint", "a", st.tuples(st.integers(-(2**63), 2**63 - 1))),
    "bigint-unsigned": ("a bigint unsigned", "a", st.tuples(st.integers(0, 2**64 - 1))),
    "tinyint": ("a tinyint", "a", st.tuples(st.integers(-128, 127))),
    "text-ci": (
        "a varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        "a",
        st.tuples(st.text(st.sampled_from("aAbBzZ_é ßs😀0"), max_size=5)),
    ),
    "text-latin1": (
        "a varchar(9) CHARACTER SET latin1",
        "a",
        st.tuples(st.text(st.sampled_from("aAbé€ÿ'\\"), max_size=5)),
    ),
    "text-sjis": (
        "a varchar(9) CHARACTER SET sjis",
        "a",
        st.tuples(st.text(st.sampled_from("aアｱ①表Z"), max_size=4)),
    ),
    "binary": ("a varbinary(6)", "a", st.tuples(st.binary(max_size=6))),
    "decimal": (
        "a decimal(30,10)",
        "a",
        st.tuples(st.decimals(-(10**19), 10**19, places=10, allow_nan=False, allow_infinity=False)),
    ),
    "date": ("a date", "a", st.tuples(st.dates(dt.date(1000, 1, 1)))),
    "datetime": (
        "a datetime(6)",
        "a",
        st.tuples(st.datetimes(dt.datetime(1000, 1, 1)).map(str)),  # noqa: DTZ001
    ),
    "int-text": ("a int, b varchar(5)", "a, b", st.tuples(st.integers(-2, 2), st.text("abAB", max_size=4))),
    "crowded": ("a int, b bigint", "a, b", st.tuples(st.sampled_from([7, 7, 7, 8]), st.integers(-99, 99))),
    "text-text-int": (
        "a char(3), b char(3), c int",
        "a, b, c",
        st.tuples(st.text("aB", max_size=2), st.text("xY", max_size=2), st.integers(-3, 3)),
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_chunks_are_a_partition(source_server: MysqlEndpoint, source_database: str, name: str) -> None:
    columns, key, values = KEYS[name]
    source_server.execute(
        f"CREATE TABLE t ({columns}, v varchar(20), PRIMARY KEY ({key})) DEFAULT CHARSET utf8mb4",
        database=source_database,
    )
    with closing(source_server.connect(source_database)) as session, session.cursor() as cursor:
        cursor.execute("SET sql_mode = ''")

        @settings(
            max_examples=12,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        )
        @given(st.lists(values, max_size=60), st.integers(20, 500), st.integers(1, 5))
        def check(rows: list[tuple[Any, ...]], target: int, minimum: int) -> None:
            cursor.execute("DELETE FROM t")
            places = ", ".join(["%s"] * (len(key.split(",")) + 1))
            if rows:
                cursor.executemany(
                    f"INSERT IGNORE INTO t VALUES ({places})", [(*row, "x" * 20) for row in rows]
                )
            read, found = plan(source_server, source_database, target, minimum)
            assert read.key == tuple(part.strip() for part in key.split(","))
            assert [chunk.number for chunk in found] == list(range(len(found)))
            for chunk in found:
                assert chunk.bounds is None or KeyRange.from_json(chunk.bounds.to_json()) == chunk.bounds
            counts(source_server, read, found)

        check()


# ---------------------------------------------------------------- even shares

BULK = ("v varchar(60)", "REPEAT('x', 60)")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("dense", "id"),
        ("negative", "id = id - 10000"),
        ("two-islands", "id = IF(id > 10000, id + 2000000000, id)"),
        ("one-far-away", "id = IF(id = 20000, 2147483647, id)"),
        ("every-thousandth", "id = id * 1000"),
        ("skewed", "id = IF(id <= 19000, id, (id - 19000) * 2000000)"),
    ],
)
def test_integer_chunks_are_even_over_holes_and_skew(
    source_server: MysqlEndpoint, source_database: str, name: str, key: str
) -> None:
    filled(source_server, source_database, BULK[0], 20_000, BULK[1])
    if name != "dense":
        # downwards where keys grow, upwards where they shrink: no two rows meet on the way
        direction = "ASC" if name == "negative" else "DESC"
        source_server.execute(f"UPDATE t SET {key} ORDER BY id {direction}", database=source_database)
    read, found = plan(source_server, source_database, 200_000, 2)
    each = counts(source_server, read, found)
    assert len(found) >= 6
    assert max(each) <= 2.5 * sum(each) / len(each), each


def test_the_index_is_asked_for_the_rows_of_a_range(
    source_server: MysqlEndpoint, source_database: str
) -> None:
    filled(source_server, source_database, BULK[0], 20_000, BULK[1])
    source_server.query("ANALYZE TABLE t", database=source_database)
    with opened(source_server, source_database) as source:
        probes = KeyProbes(source._session, planned(source))
        assert probes.limits() == (1, 20_000)
        assert 50 <= probes.estimate(101, 200) <= 200
        assert 2_000 <= probes.estimate(1, 4_000) <= 10_000
        assert probes.around(1, 100, 20_000) == (100, 101)


@pytest.mark.parametrize("key", ["a", "a, b"])
def test_text_keys_are_even_in_the_order_of_the_server(
    source_server: MysqlEndpoint, source_database: str, key: str
) -> None:
    filled(
        source_server, source_database, "a varchar(70) NOT NULL, b int NOT NULL", 20_000, "SHA2(n, 256), n"
    )
    source_server.execute(
        f"ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY ({key})", database=source_database
    )
    read, found = plan(source_server, source_database, 300_000, 2)
    each = counts(source_server, read, found)
    assert len(found) >= 4
    assert max(each) <= 2.5 * sum(each) / len(each), each


def test_unsigned_keys_up_to_the_last(source_server: MysqlEndpoint, source_database: str) -> None:
    filled(source_server, source_database, BULK[0], 5000, BULK[1])
    source_server.execute("ALTER TABLE t MODIFY id bigint unsigned", database=source_database)
    source_server.execute(
        "UPDATE t SET id = 18446744073709551615 - (5000 - id) * 3000000000000000 ORDER BY id DESC",
        database=source_database,
    )
    read, found = plan(source_server, source_database, 60_000, 2)
    each = counts(source_server, read, found)
    assert len(found) >= 4
    assert max(each) <= 2.5 * sum(each) / len(each), each
    assert any(chunk.bounds and chunk.bounds.lower and chunk.bounds.lower[0] > 2**63 for chunk in found)  # type: ignore[operator]


def test_a_value_shared_by_most_rows_is_cut_by_the_columns_behind_it(
    source_server: MysqlEndpoint, source_database: str
) -> None:
    filled(
        source_server, source_database, f"k int NOT NULL, {BULK[0]}", 20_000, f"IF(n % 10, 5, n), {BULK[1]}"
    )
    source_server.execute("ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (k, id)", database=source_database)
    read, found = plan(source_server, source_database, 200_000, 2)
    each = counts(source_server, read, found)
    assert max(each) <= 0.5 * sum(each), each


def test_a_table_without_a_key_is_one_chunk(source_server: MysqlEndpoint, source_database: str) -> None:
    source_server.execute(
        "CREATE TABLE t (a int, UNIQUE (a)); INSERT INTO t VALUES (NULL), (NULL), (1)",
        database=source_database,
    )
    read, found = plan(source_server, source_database, 1, 4)
    assert [chunk.bounds for chunk in found] == [None]
    assert counts(source_server, read, found) == [3]
    with opened(source_server, source_database) as source:
        nullable = replace(planned(source), key=("a",))
        assert [chunk.bounds for chunk in source.chunks(nullable, 1, 4)] == [None]


@pytest.mark.parametrize("key", ["id", "v"])
def test_statistics_that_know_of_no_rows_are_noticed(
    source_server: MysqlEndpoint, source_database: str, key: str
) -> None:
    filled(source_server, source_database, "v varchar(64) NOT NULL", 900, "SHA2(n, 256)")
    source_server.execute(
        f"ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY ({key})", database=source_database
    )
    with opened(source_server, source_database) as source:
        read = planned(source)
        read = replace(read, table=replace(read.table, estimated_rows=0, estimated_bytes=0))
        found = source.chunks(read, 5_000, 2)
    each = counts(source_server, read, found)
    assert len(found) > 1
    assert max(each) < 600, each


def test_the_number_of_questions_is_bounded(
    source_server: MysqlEndpoint, source_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(source_server, source_database, BULK[0], 20_000, BULK[1])
    source_server.execute(
        "UPDATE t SET id = IF(id <= 19950, id, 19950 + POW(2, (id - 19950) / 2)) ORDER BY id DESC",
        database=source_database,
    )
    asked = 0
    real = KeyProbes._row

    def counted(self: KeyProbes, statement: str) -> Any:
        nonlocal asked
        asked += 1
        return real(self, statement)

    monkeypatch.setattr(KeyProbes, "_row", counted)
    read, found = plan(source_server, source_database, 100_000, 2)
    counts(source_server, read, found)
    assert asked <= 8 * len(found) + 140


def test_a_lost_session_is_told_apart(source_server: MysqlEndpoint, source_database: str) -> None:
    filled(source_server, source_database, "v int", 10, "n")
    with opened(source_server, source_database) as source:
        read = planned(source)
        session = source._session
        source_server.execute(f"KILL {session.thread_id()}")
        with pytest.raises(Exception, match=r"cutting .* into chunks failed") as failed:
            plan_chunks(session, read, 10, 1)
    assert failed.value.code.value == "CONNECTION_LOST"  # type: ignore[attr-defined]
