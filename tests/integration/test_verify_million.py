"""One altered byte in a million rows, and what the comparison of them costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import WriteMode
from engine.connectors.base import TableRead, TargetTable
from tests.integration.verify_ends import Ends

pytestmark = pytest.mark.integration

ROWS = 1_000_000
CREATE = """CREATE TABLE million (
  id bigint unsigned NOT NULL PRIMARY KEY, word varchar(60) NOT NULL, note text, price decimal(12,2),
  made datetime(3), raw varbinary(20), small tinyint)"""
COLUMNS = "id, word, note, price, made, raw, small"


@pytest.fixture(scope="module")
def million(
    source_server: MysqlEndpoint, postgres: PostgresEndpoint
) -> Iterator[tuple[Ends, TableRead, TargetTable]]:
    source_database, target_database = source_server.database(), postgres.database()
    ends = Ends(source_server, source_database, postgres, target_database)
    _, table = ends.table(CREATE)
    ends.on_source(
        "SET cte_max_recursion_depth = 1000000" if ends.info.flavor == "mysql" else "SET @unused = 0",
        f"""INSERT INTO million ({COLUMNS})
        WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
        SELECT i, CONCAT('wörd ', i MOD 1000), CONCAT('note 🦆 ', i), i / 100,
          TIMESTAMPADD(SECOND, i, '2020-01-01') + INTERVAL (i MOD 1000) * 1000 MICROSECOND,
          UNHEX(LPAD(HEX(i), 8, '0')), i MOD 128 - 64
        FROM (SELECT a.i * 1000 + b.i - 1000 AS i FROM n AS a CROSS JOIN n AS b) AS m""",
        "ANALYZE TABLE million",
    )
    ends.on_target(
        f"""INSERT INTO million ({COLUMNS})
        SELECT i, 'wörd ' || i % 1000, 'note 🦆 ' || i, round(i / 100.0, 2),
          timestamp '2020-01-01' + i * interval '1 second' + i % 1000 * interval '1 millisecond',
          decode(lpad(to_hex(i), 8, '0'), 'hex'), i % 128 - 64
        FROM generate_series(1, {ROWS}) AS i""",
        "ANALYZE million",
    )
    yield ends, ends.read_again("million"), table
    source_server.drop_database(source_database)
    postgres.drop_database(target_database)


def test_a_single_altered_byte_is_found_and_its_key_named(
    million: tuple[Ends, TableRead, TargetTable],
) -> None:
    """slug: verify-narrow"""
    ends, read, table = million
    verdict = ends.verify((read, table))
    assert (verdict.equal, verdict.rows_source, verdict.rows_target) == (True, ROWS, ROWS)
    assert "ranges of id" in verdict.method
    print(f"\n{ends.info.flavor}: {verdict.seconds:.2f} s, {ROWS / verdict.seconds:,.0f} rows/s")
    ends.on_target("UPDATE million SET raw = set_byte(raw, 3, get_byte(raw, 3) # 1) WHERE id = 654321")
    try:
        verdict = ends.verify((read, table))
    finally:
        ends.on_target("UPDATE million SET raw = set_byte(raw, 3, get_byte(raw, 3) # 1) WHERE id = 654321")
    assert not verdict.equal
    assert verdict.differences == ({"kind": "different", "key": {"id": 654321}, "columns": ["raw"]},)
    print(f"{ends.info.flavor}: {verdict.seconds:.2f} s with one difference")


def test_a_million_rows_among_others_of_the_target(million: tuple[Ends, TableRead, TargetTable]) -> None:
    """slug: verify-append"""
    ends, read, table = million
    ends.on_target("INSERT INTO million (id, word) VALUES (0, 'before'), (2000000, 'before')")
    try:
        verdict = ends.verify((read, table), write_mode=WriteMode.APPEND)
    finally:
        ends.on_target("DELETE FROM million WHERE word = 'before'")
    assert (verdict.equal, verdict.rows_source, verdict.rows_target) == (True, ROWS, ROWS)
    print(f"\n{ends.info.flavor}: {verdict.seconds:.2f} s for append")
