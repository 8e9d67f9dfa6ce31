"""Comparing two real servers: equal rows must be found equal, and the smallest difference found and named."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import Policies, WriteMode
from engine.errors import Code, EngineError
from engine.streams.job import Interrupted
from tests.integration.verify_ends import SCHEMA, Ends

pytestmark = pytest.mark.integration

JSONB = Policies(json_="jsonb")


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
    """slug: verify-null, verify-text"""
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
    """slug: verify-sum"""
    pair = ends.table(KEYED)
    both(ends, ROWS)
    ends.on_target("UPDATE t SET n = CASE id WHEN 1 THEN 20 ELSE 10 END WHERE id IN (1, 2)")
    verdict = ends.verify(pair)
    assert not verdict.equal
    assert sorted(d["key"]["id"] for d in verdict.differences) == [1, 2]
    assert all(d["columns"] == ["n"] for d in verdict.differences)


def test_the_report_is_bounded_and_the_counts_are_not(ends: Ends) -> None:
    """slug: verify-narrow"""
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
    """slug: verify-sum, verify-keyless"""
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
    """slug: verify-append"""
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
    """slug: verify-append"""
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


# ---------------------------------------------------------------- values the servers print differently


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ("0.1", "0.10000000000000002"),
        ("-1.2761724801771812e-23", "-1.276172480177181e-23"),  # MySQL makes the second of the first
        ("1e23", "1.0000000000000001e23"),
        ("5e-324", "1e-323"),
        ("1.7976931348623157e308", "1.7976931348623155e308"),
    ],
)
def test_a_float_differing_in_the_last_bit(ends: Ends, value: str, other: str) -> None:
    """slug: verify-float"""
    pair = ends.table("CREATE TABLE t (id int PRIMARY KEY, v double, w float, x varchar(9))")
    both(ends, f"INSERT INTO t VALUES (1, {value}, 0.5, 'a'), (2, 0.25, 1.5, 'b')")
    assert ends.verify(pair).equal
    ends.on_target(f"UPDATE t SET v = {other} WHERE id = 1")
    assert ends.verify(pair).differences == ({"kind": "different", "key": {"id": 1}, "columns": ["v"]},)
    ends.on_target(f"UPDATE t SET v = {value}, w = 0.50000006 WHERE id = 1")
    assert ends.verify(pair).differences == ({"kind": "different", "key": {"id": 1}, "columns": ["w"]},)


def test_a_json_document_differing_in_a_nested_value(ends: Ends) -> None:
    """slug: verify-json"""
    pair = ends.table("CREATE TABLE t (id int PRIMARY KEY, v json, w varchar(9))", JSONB)
    document = '{"a": [1, {"b": {"c": [true, "x", 1.50]}}], "é": null}'
    both(ends, f"INSERT INTO t VALUES (1, '{document}', 'a'), (2, '{{}}', 'b'), (3, NULL, 'c')")
    assert ends.verify(pair, policies=JSONB).equal
    for path in ("{a,1,b,c,0}", "{a,0}", "{a,1,b,c,1}"):
        ends.on_target(f"UPDATE t SET v = jsonb_set('{document}', '{path}', '\"y\"') WHERE id = 1")
        verdict = ends.verify(pair, policies=JSONB)
        assert verdict.differences == ({"kind": "different", "key": {"id": 1}, "columns": ["v"]},)


def test_a_difference_beside_values_of_our_own_encoder(ends: Ends) -> None:
    """slug: verify-own-encoder"""
    pair = ends.table("CREATE TABLE t (id int PRIMARY KEY, v double, g point, w varchar(9))")
    ends.on_source("INSERT INTO t VALUES (1, 0.1, ST_GeomFromText('POINT(1 2)'), 'a')")
    ends.on_target("INSERT INTO t VALUES (1, 0.1, '\\x0101000000000000000000f03f0000000000000040', 'A')")
    assert ends.verify(pair).differences == ({"kind": "different", "key": {"id": 1}, "columns": ["w"]},)


# ---------------------------------------------------------------- ranges, names, sizes


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.streams.verify.CHUNK_ROWS", 10)


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize("column", ["varchar(9)", "double"], ids=["in the servers", "by our own encoder"])
def test_every_range_is_compared(ends: Ends, column: str) -> None:
    """slug: verify-ranges"""
    pair = ends.table(f"CREATE TABLE t (id bigint, part int, v {column}, PRIMARY KEY (id, part))")
    values = ", ".join(f"({number * number - 50}, {number % 3}, '{number}')" for number in range(100))
    both(ends, f"INSERT INTO t VALUES {values}")
    verdict = ends.verify(pair)
    assert (verdict.equal, verdict.rows_source, verdict.rows_target) == (True, 100, 100)
    assert "10 ranges of id" in verdict.method
    ends.on_target(
        "DELETE FROM t WHERE id = -50",
        "UPDATE t SET v = '7' WHERE id = 2450",
        "INSERT INTO t VALUES (-99999, 0, '0'), (99999, 0, '0')",
    )
    verdict = ends.verify(pair)
    assert [(d["kind"], d["key"]) for d in verdict.differences] == [
        ("missing", {"id": -50, "part": 0}),
        ("extra", {"id": -99999, "part": 0}),
        ("different", {"id": 2450, "part": 2}),
        ("extra", {"id": 99999, "part": 0}),
    ]
    assert verdict.rows_target == 101
    verdict = ends.verify(pair, write_mode=WriteMode.APPEND)
    assert (verdict.rows_source, verdict.rows_target) == (100, 99)
    assert [d["kind"] for d in verdict.differences] == ["missing", "different"]


@pytest.mark.usefixtures("small_ranges")
def test_a_target_without_the_key_is_compared_at_once(ends: Ends) -> None:
    """slug: verify-ranges"""
    pair = ends.table("CREATE TABLE t (id int PRIMARY KEY, v int)")
    both(ends, "INSERT INTO t VALUES " + ", ".join(f"({n}, {n})" for n in range(30)))
    ends.on_target("ALTER TABLE t DROP CONSTRAINT t_pkey", "ALTER TABLE t ALTER id DROP NOT NULL")
    assert "whole table at once" in ends.verify(pair).method
    ends.on_target("CREATE INDEX ON t (id)", "INSERT INTO t VALUES (NULL, 7), (3, 3)")
    verdict = ends.verify(pair)
    assert "ranges of id" in verdict.method
    assert (verdict.rows_source, verdict.rows_target) == (30, 32)
    found = sorted((d["kind"], str(d["key"]["id"]), d.get("copies", 1)) for d in verdict.differences)
    assert found == [("extra", "3", 1), ("extra", "None", 1)]


def test_odd_names(ends: Ends) -> None:
    names = ["a%s", "%", 'q"q', "it's", "b`b", "日 x", "select", "a.b"]
    columns = ", ".join("`" + name.replace("`", "``") + "` int" for name in names)
    pair = ends.table(f"CREATE TABLE `o%d_t` (`k %(x)s` int PRIMARY KEY, {columns})")
    values = ", ".join(str(number) for number in range(len(names) + 1))
    ends.on_source(f"INSERT INTO `o%d_t` VALUES ({values})")
    ends.on_target(f'INSERT INTO "o%d_t" VALUES ({values})')
    assert ends.verify(pair).equal
    ends.on_target('UPDATE "o%d_t" SET "日 x" = 0, "%" = 0')
    assert ends.verify(pair).differences == (
        {"kind": "different", "key": {"k %(x)s": 0}, "columns": ["%", "日 x"]},
    )


def test_a_thousand_columns(ends: Ends) -> None:
    """slug: verify-long-values"""
    columns = ", ".join(f"c{number} {'tinyint' if number % 8 else 'varchar(9)'}" for number in range(1_000))
    pair = ends.table(f"CREATE TABLE t (id int PRIMARY KEY, {columns}) CHARACTER SET utf8mb4")
    values = ", ".join(("7", "NULL", "'🦆'")[number % 2 or 2 * (number % 8 == 0)] for number in range(1_000))
    both(ends, f"INSERT INTO t VALUES (1, {values}), (2, {values})")
    assert ends.verify(pair).equal
    ends.on_target("UPDATE t SET c992 = '🦉' WHERE id = 2")
    assert ends.verify(pair).differences == ({"kind": "different", "key": {"id": 2}, "columns": ["c992"]},)


def test_values_larger_than_a_packet_of_sql(ends: Ends) -> None:
    """slug: verify-long-values"""
    pair = ends.table("CREATE TABLE t (id int PRIMARY KEY, a longblob, b longtext CHARACTER SET latin1)")
    ends.on_source("INSERT INTO t VALUES (1, REPEAT(X'01', 9000000), REPEAT(X'E9', 9000000))")
    ends.on_target("INSERT INTO t VALUES (1, decode(repeat('01', 9000000), 'hex'), repeat('é', 9000000))")
    assert ends.verify(pair).equal
    ends.on_target("UPDATE t SET a = set_byte(a, 8999999, 2)")
    assert ends.verify(pair).differences == ({"kind": "different", "key": {"id": 1}, "columns": ["a"]},)
    ends.on_target("UPDATE t SET a = set_byte(a, 8999999, 1), b = b || ' '")
    assert ends.verify(pair).differences == ({"kind": "different", "key": {"id": 1}, "columns": ["b"]},)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_target_in_another_encoding(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, encoding: str
) -> None:
    name = f"enc_{source_database}_{encoding.lower()}"
    locale = "LC_COLLATE 'C' LC_CTYPE 'C'"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' {locale}")
    try:
        ends = Ends(source_server, source_database, postgres, name)
        pair = ends.table("CREATE TABLE t (id int PRIMARY KEY, v varchar(20) CHARACTER SET utf8mb4)")
        both(ends, "INSERT INTO t VALUES (1, 'é'), (2, ''), (3, NULL)")
        assert ends.verify(pair).equal
        ends.on_target("UPDATE t SET v = 'è' WHERE id = 1")
        assert [d["key"] for d in ends.verify(pair).differences] == [{"id": 1}]
    finally:
        postgres.drop_database(name)


# ---------------------------------------------------------------- ending early


def test_asked_to_end_before_it_began(ends: Ends) -> None:
    """slug: verify-ranges"""
    pair = ends.table(KEYED)
    ends.control.request("pause")
    with pytest.raises(Interrupted):
        ends.verify(pair)


@pytest.mark.parametrize("column", ["varchar(9)", "double"], ids=["in the servers", "by our own encoder"])
def test_the_statements_of_both_servers_are_cancelled(ends: Ends, column: str) -> None:
    """slug: verify-ranges. The target waits for a lock nobody gives back; the source is done long before."""
    pair = ends.table(f"CREATE TABLE t (id int PRIMARY KEY, v {column})")
    both(ends, "INSERT INTO t VALUES (1, '1')")
    with ends.target.connect(ends.target_database) as holder:
        holder.autocommit = False
        holder.execute(f"LOCK TABLE {SCHEMA}.t IN ACCESS EXCLUSIVE MODE")
        waiting = threading.Thread(target=_request_when_waiting, args=(ends,))
        waiting.start()
        with pytest.raises(Interrupted):
            ends.verify(pair)
        waiting.join()
        rows = ends.target.query(WAITING, (ends.target_database,))
        assert rows == []


WAITING = (
    "SELECT 1 FROM pg_stat_activity"
    " WHERE datname = %s AND wait_event_type = 'Lock' AND application_name = 'dbstreams'"
)


def _request_when_waiting(ends: Ends) -> None:
    while not ends.target.query(WAITING, (ends.target_database,)):
        time.sleep(0.02)
    ends.control.request("stop")


def test_a_table_that_is_gone_is_an_error_of_its_side(ends: Ends) -> None:
    pair = ends.table(KEYED)
    ends.on_target("DROP TABLE t")
    with pytest.raises(EngineError) as failure:
        ends.verify(pair)
    assert failure.value.code is Code.QUERY_FAILED


def test_the_report_hears_of_every_table(ends: Ends) -> None:
    pairs = ends.tables(["CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY)"])
    ends.on_target("INSERT INTO b VALUES (1)")
    verdicts = ends.verify_all(pairs)
    assert [(table, changes["phase"], changes["status"]) for _, table, changes in ends.report.tables] == [
        ("a", "verify", "RUNNING"),
        ("a", "done", "FINISHED"),
        ("b", "verify", "RUNNING"),
        ("b", "done", "FAILED"),
    ]
    assert [level for level, _ in ends.report.lines] == ["info", "error"]
    plain = verdicts[1].as_dict()
    assert plain.pop("seconds") >= 0
    assert plain.pop("method")
    assert plain == {
        "schema": SCHEMA,
        "table": "b",
        "rowsSource": 0,
        "rowsTarget": 1,
        "equal": False,
        "differences": [{"kind": "extra", "key": {"id": 1}}],
    }


def test_wide_values_of_our_own_encoder_are_read_one_by_one(ends: Ends) -> None:
    """slug: verify-own-encoder. 120 MB of documents and shapes go through a few MB of memory."""
    pair = ends.table("CREATE TABLE t (id int PRIMARY KEY, d json, g geometry)", JSONB)
    document = """CONCAT('{"k": "', REPEAT('x', 2000000), '", "n": ', id, '.50}')"""
    ends.on_source(
        "INSERT INTO t (id, g) VALUES "
        + ", ".join(f"({n}, ST_GeomFromText('POINT(1 2)'))" for n in range(60)),
        f"UPDATE t SET d = {document}",
    )
    ends.on_target(
        "INSERT INTO t SELECT id,"
        " CONCAT('{\"k\": \"', REPEAT('x', 2000000), '\", \"n\": ', id, '.5}')::jsonb,"
        " '\\x0101000000000000000000f03f0000000000000040' FROM generate_series(0, 59) AS id"
    )
    gc.collect()
    tracemalloc.start()
    try:
        verdict = ends.verify(pair, policies=JSONB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (verdict.equal, verdict.rows_source) == (True, 60)
    assert peak < 60_000_000
