"""Comparing two real servers: equal rows must be found equal, and the smallest difference found and named."""

from __future__ import annotations

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import WriteMode
from tests.integration.verify_ends import Ends

pytestmark = pytest.mark.integration


@pytest.fixture
def ends(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> Ends:
    return Ends(source_server, source_database, postgres, postgres_database)


def both(ends: Ends, statement: str) -> None:
    ends.on_source(statement)
    ends.on_target(statement)


# ---------------------------------------------------------------- rows

KEYED = "CREATE TABLE t (id int PRIMARY KEY, word varchar(40) CHARACTER SET utf8mb4, note text, n bigint)"
ROWS = (
    "INSERT INTO t VALUES"
    " (1, 'one', 'uno', 10), (2, 'two', NULL, 20), (3, 'three', '', 30), (4, 'x ', 'y', 40)"
)

DIFFERENCES = {
    "a missing row": ("DELETE FROM t WHERE id = 2", "missing", 2, ()),
    "an extra row": ("INSERT INTO t VALUES (7, '', '', 0)", "extra", 7, ()),
    "a row before the first": ("INSERT INTO t VALUES (-7, '', '', 0)", "extra", -7, ()),
    "NULL for ''": ("UPDATE t SET note = NULL WHERE id = 3", "different", 3, ("note",)),
    "'' for NULL": ("UPDATE t SET note = '' WHERE id = 2", "different", 2, ("note",)),
    "the text ~ for NULL": ("UPDATE t SET note = '~' WHERE id = 2", "different", 2, ("note",)),
    "a trailing blank": ("UPDATE t SET word = 'two ' WHERE id = 2", "different", 2, ("word",)),
    "a trailing blank lost": ("UPDATE t SET word = 'x' WHERE id = 4", "different", 4, ("word",)),
    "case": ("UPDATE t SET word = 'Two' WHERE id = 2", "different", 2, ("word",)),
    "an accent": ("UPDATE t SET note = 'unó' WHERE id = 1", "different", 1, ("note",)),
    "values moved across a column border": (
        "UPDATE t SET word = 'on', note = 'euno' WHERE id = 1",
        "different",
        1,
        ("word", "note"),
    ),
    "a separator in a text": ("UPDATE t SET word = 'one|3:uno' WHERE id = 1", "different", 1, ("word",)),
    "two columns": ("UPDATE t SET n = n + 1, note = 'z' WHERE id = 4", "different", 4, ("note", "n")),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_difference_is_found_and_its_key_named(ends: Ends, case: str) -> None:
    change, kind, key, columns = DIFFERENCES[case]
    pair = ends.table(KEYED)
    both(ends, ROWS)
    verdict = ends.verify(pair)
    assert (verdict.equal, verdict.rows_source, verdict.rows_target, verdict.differences) == (True, 4, 4, ())
    ends.on_target(change)
    verdict = ends.verify(pair)
    expected = {"kind": kind, "key": {"id": key}}
    if columns:
        expected["columns"] = list(columns)
    assert (verdict.equal, list(verdict.differences)) == (False, [expected])


def test_values_swapped_between_two_rows_are_two_differences(ends: Ends) -> None:
    pair = ends.table(KEYED)
    both(ends, ROWS)
    ends.on_target("UPDATE t SET n = CASE id WHEN 1 THEN 20 ELSE 10 END WHERE id IN (1, 2)")
    verdict = ends.verify(pair)
    assert not verdict.equal
    assert sorted(d["key"]["id"] for d in verdict.differences) == [1, 2]
    assert all(d["columns"] == ["n"] for d in verdict.differences)


def test_the_report_is_bounded_and_the_counts_are_not(ends: Ends) -> None:
    pair = ends.table("CREATE TABLE t (id int PRIMARY KEY)")
    values = ", ".join(f"({number})" for number in range(500))
    ends.on_source(f"INSERT INTO t VALUES {values}")
    verdict = ends.verify(pair)
    assert (verdict.rows_source, verdict.rows_target, len(verdict.differences)) == (500, 0, 20)
    assert {d["kind"] for d in verdict.differences} == {"missing"}


def test_an_empty_table_is_equal(ends: Ends) -> None:
    verdict = ends.verify(ends.table(KEYED))
    assert (verdict.equal, verdict.rows_source, verdict.rows_target) == (True, 0, 0)


# ---------------------------------------------------------------- tables without a key


@pytest.mark.parametrize("extra", [(), ("f double",)], ids=["in the servers", "by our own encoder"])
def test_duplicates_of_a_keyless_table_do_not_cancel(ends: Ends, extra: tuple[str, ...]) -> None:
    columns = ", ".join(("a int", "b varchar(10)", *extra))
    pair = ends.table(f"CREATE TABLE t ({columns})")
    both(ends, "INSERT INTO t (a, b) VALUES (1, 'x'), (1, 'x'), (2, NULL), (3, 'y')")
    assert ends.verify(pair).equal
    both(ends, "INSERT INTO t (a, b) VALUES (3, 'y')")
    ends.on_target("INSERT INTO t (a, b) VALUES (1, 'x'), (1, 'x')")
    ends.on_source("INSERT INTO t (a, b) VALUES (2, NULL), (2, NULL)")
    verdict = ends.verify(pair)
    assert (verdict.equal, verdict.rows_source, verdict.rows_target) == (False, 7, 7)
    kinds = sorted((d["kind"], d["key"], d["copies"], len(d["digest"])) for d in verdict.differences)
    assert kinds == [("extra", None, 2, 16), ("missing", None, 2, 16)]


# ---------------------------------------------------------------- append and upsert


@pytest.mark.parametrize("mode", [WriteMode.APPEND, WriteMode.UPSERT])
def test_rows_the_target_had_before_do_not_count(ends: Ends, mode: WriteMode) -> None:
    pair = ends.table(KEYED)
    both(ends, ROWS)
    ends.on_target("INSERT INTO t VALUES (0, 'before', '', 0), (100, 'before', '', 0)")
    verdict = ends.verify(pair, write_mode=mode)
    assert (verdict.equal, verdict.rows_source, verdict.rows_target) == (True, 4, 4)
    ends.on_target("UPDATE t SET n = 21 WHERE id = 2", "DELETE FROM t WHERE id = 3")
    verdict = ends.verify(pair, write_mode=mode)
    assert (verdict.equal, verdict.rows_source, verdict.rows_target) == (False, 4, 3)
    assert sorted((d["kind"], d["key"]["id"]) for d in verdict.differences) == [
        ("different", 2),
        ("missing", 3),
    ]


def test_append_without_a_key_wants_every_row_of_the_source(ends: Ends) -> None:
    pair = ends.table("CREATE TABLE t (a int, b varchar(10))")
    both(ends, "INSERT INTO t VALUES (1, 'x'), (1, 'x'), (2, NULL)")
    ends.on_target("INSERT INTO t VALUES (1, 'x'), (9, 'before')")
    verdict = ends.verify(pair, write_mode=WriteMode.APPEND)
    assert (verdict.equal, verdict.rows_source, verdict.rows_target) == (True, 3, 3)
    ends.on_target("DELETE FROM t WHERE a = 2")
    verdict = ends.verify(pair, write_mode=WriteMode.APPEND)
    assert (verdict.equal, verdict.rows_target, [d["kind"] for d in verdict.differences]) == (
        False,
        2,
        ["missing"],
    )
