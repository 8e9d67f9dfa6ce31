"""Parts of tables, queries and limits as what a stream moves, compared by what both servers print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import StreamConfig
from engine.errors import Code
from engine.streams.job import StreamJob
from tests import running

pytestmark = pytest.mark.integration

ROWS = 5_000


@pytest.fixture(scope="module")
def shop(mariadb: MysqlEndpoint) -> Iterator[str]:
    name = mariadb.database()
    with mariadb.connect(name) as session, session.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE item (id int PRIMARY KEY, name varchar(40) CHARACTER SET latin1,"
            " price decimal(9,2), kind enum('a','b','c''d'), made datetime(3), raw varbinary(8),"
            " gone int NULL, KEY by_kind (kind), KEY by_price (price, id), CHECK (price >= 0))"
        )
        cursor.execute(
            "INSERT INTO item SELECT seq, CONCAT('it''s \\\\ ', seq), seq / 4,"
            " ELT(1 + seq % 3, 'a', 'b', 'c''d'), '2024-01-01' + INTERVAL seq MINUTE, CHAR(seq % 250),"
            f" IF(seq % 5, seq, NULL) FROM seq_1_to_{ROWS}"
        )
        cursor.execute("ANALYZE TABLE item")
        session.commit()
    yield name
    mariadb.drop_database(name)


def job(
    mariadb: MysqlEndpoint,
    shop: str,
    postgres: PostgresEndpoint,
    database: str,
    *,
    selection: dict[str, Any] | None = None,
    queries: list[dict[str, str]] | None = None,
    limits: dict[str, int] | None = None,
) -> StreamJob:
    part: dict[str, Any] = {"connectionId": "source", "database": shop}
    if selection is not None:
        part["tables"] = [{"name": "item", "selection": selection}]
    if queries is not None:
        part["queries"] = queries
    config = StreamConfig.parse(
        {
            "name": "part",
            "mode": "convert",
            "source": {"connections": [part], "options": {"workers": 2, "chunkBytes": 65_536}},
            "target": {"id": "target", "spec": {"db": {"database": database, "schema": "public"}}},
            "limits": limits or {},
        }
    )
    ends = {"source": running.connection(mariadb), "target": running.connection(postgres)}
    return StreamJob("stream_part", config, ends)


def where(column: str, operator: str, value: str | list[str] | None = None) -> dict[str, Any]:
    return {"column": column, "operator": operator, **({} if value is None else {"value": value})}


@pytest.mark.parametrize(
    ("filters", "condition"),
    [
        ([where("id", "<=", "10")], "id <= 10"),
        ([where("id", "!=", "10"), where("price", ">", "12.50")], "id <> 10 AND price > 12.5"),
        ([where("kind", "=", "c'd")], "kind = 'c''d'"),
        ([where("kind", "in", ["a", "c'd"])], "kind IN ('a', 'c''d')"),
        ([where("name", "=", "it's \\ 77")], "name = 'it''s \\\\ 77'"),
        ([where("name", "like", "it's %7")], "name LIKE 'it''s %7'"),
        ([where("made", ">=", "2024-01-02 00:00:00.5")], "made >= '2024-01-02 00:00:00.5'"),
        ([where("gone", "is null")], "gone IS NULL"),
        ([where("gone", "is not null"), where("id", "<", "100")], "gone IS NOT NULL AND id < 100"),
        ([where("raw", "=", "A")], "raw = 'A'"),
        ([where("name", "=", "' OR 1=1 -- ")], "0 = 1"),
        ([where("name", "=", "x\\' OR 1=1 -- ")], "0 = 1"),
    ],
    ids=str,
)
def test_filters(
    mariadb: MysqlEndpoint,
    shop: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
    filters: list[dict[str, Any]],
    condition: str,
) -> None:
    """slug: selection-filter"""
    stream = job(mariadb, shop, postgres, postgres_database, selection={"filters": filters})
    running.finish(stream)
    with mariadb.connect(shop) as session, session.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*), COALESCE(SUM(id), 0) FROM item WHERE {condition}")
        expected = tuple(int(value) for value in cursor.fetchone())
    with postgres.connect(postgres_database) as session:
        found = session.execute("SELECT count(*), coalesce(sum(id), 0) FROM item").fetchone()
    assert found == expected


@pytest.mark.parametrize(
    ("selection", "code"),
    [
        ({"filters": [where("nothing", "=", "1")]}, Code.UNKNOWN_COLUMN),
        ({"sorts": [{"column": "nothing"}]}, Code.UNKNOWN_COLUMN),
        ({"selectedColumns": ["nothing"]}, Code.UNKNOWN_COLUMN),
        ({"filters": [where("id", "=", "1 OR 1=1")]}, Code.VALIDATION_FAILED),
        ({"filters": [where("id", "in", "1")]}, Code.VALIDATION_FAILED),
        ({"filters": [where("id", "is null", "1")]}, Code.VALIDATION_FAILED),
        ({"filters": [where("id", "=")]}, Code.VALIDATION_FAILED),
    ],
    ids=str,
)
def test_selections_that_fit_no_table(
    mariadb: MysqlEndpoint,
    shop: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
    selection: dict[str, Any],
    code: Code,
) -> None:
    outcome, _ = running.run(job(mariadb, shop, postgres, postgres_database, selection=selection))
    assert outcome.error is not None
    assert outcome.error["code"] == code.value
    with postgres.connect(postgres_database) as session:
        assert session.execute("SELECT to_regclass('item')").fetchone() == (None,)


def test_columns_sorts_and_limit(
    mariadb: MysqlEndpoint, shop: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """The hundred dearest with an even id, by columns that are not all taken; indexes of others are left out.
    slugs: selection-columns, selection-limit"""
    selection = {
        "selectedColumns": ["kind", "id"],
        "filters": [where("id", "in", [str(number) for number in range(2, ROWS, 2)])],
        "sorts": [{"column": "price", "direction": "DESC"}],
        "limit": 100,
    }
    stream = job(mariadb, shop, postgres, postgres_database, selection=selection)
    running.finish(stream)
    with postgres.connect(postgres_database) as session:
        assert session.execute("SELECT count(*), min(id), max(id) FROM item").fetchone() == (100, 4800, 4998)
        names = session.execute(
            "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute"
            " WHERE attrelid = 'item'::regclass AND attnum > 0"
        ).fetchone()
        assert names == ("id,kind",)
        indexes = session.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'item'").fetchone()
        assert indexes == (2,)  # the key and by_kind


@pytest.mark.parametrize(
    ("query", "columns", "expected"),
    [
        ("SELECT id, price * 2 AS twice FROM item WHERE id < 4", "id integer,twice numeric(10,2)", "1|0.50"),
        ("SELECT kind, COUNT(*) n FROM item GROUP BY kind; ", "kind character varying(3),n bigint", None),
        ("SELECT 1 AS one -- the end", "one integer", "1"),
        ("WITH x AS (SELECT 7 AS a) SELECT a, 'é' AS t, X'00ff' AS b FROM x", None, "7|é|\\x00ff"),
        ("SELECT i.id, j.made FROM item i JOIN item j ON i.id = j.id + 1 WHERE i.id = 2", None, None),
        ("SELECT NULL AS nothing, CAST('12:30:00.25' AS TIME(2)) AS t", None, None),
    ],
)
def test_queries_as_sources(
    mariadb: MysqlEndpoint,
    shop: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
    query: str,
    columns: str | None,
    expected: str | None,
) -> None:
    """slug: query-source"""
    stream = job(mariadb, shop, postgres, postgres_database, queries=[{"name": "answer", "query": query}])
    outcome, _ = running.finish(stream)
    with mariadb.connect(shop) as session, session.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM ({query.strip().rstrip(';')}\n) AS q")
        assert outcome.rows == cursor.fetchone()[0]
    with postgres.connect(postgres_database) as session:
        if columns is not None:
            made = session.execute(
                "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ',' ORDER BY attnum)"
                " FROM pg_attribute WHERE attrelid = 'answer'::regclass AND attnum > 0"
            ).fetchone()
            assert made == (columns,)
        if expected is not None:
            row = session.execute("SELECT * FROM answer ORDER BY 1 LIMIT 1").fetchone()
            assert row is not None
            texts = [f"\\x{value.hex()}" if isinstance(value, bytes) else str(value) for value in row]
            assert "|".join(texts) == expected


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM item",
        "SELECT 1; DROP TABLE item",
        "SELECT 1 AS a) AS t; DROP TABLE item; SELECT * FROM (SELECT 2 AS b",
        "SELECT id, id FROM item",
        "SELECT nothing FROM item",
        "SELECT",
    ],
)
def test_queries_that_are_none(
    mariadb: MysqlEndpoint, shop: str, postgres: PostgresEndpoint, postgres_database: str, query: str
) -> None:
    outcome, _ = running.run(
        job(mariadb, shop, postgres, postgres_database, queries=[{"name": "answer", "query": query}])
    )
    assert outcome.error is not None
    assert outcome.error["code"] == Code.QUERY_FAILED.value
    assert mariadb.scalar("SELECT COUNT(*) FROM item", database=shop) == ROWS


@pytest.mark.parametrize("wanted", [1, 777, ROWS - 1])
def test_limit_of_rows(
    mariadb: MysqlEndpoint, shop: str, postgres: PostgresEndpoint, postgres_database: str, wanted: int
) -> None:
    """Exactly that many, over several chunks, in a state of its own. slug: limit-rows"""
    stream = job(mariadb, shop, postgres, postgres_database, limits={"numberOfEvents": wanted})
    outcome, report = running.run(stream)
    assert outcome.status == "EVENT_LIMIT_REACHED", outcome.error
    assert outcome.rows == wanted
    with postgres.connect(postgres_database) as session:
        assert session.execute("SELECT count(*), max(id) FROM item").fetchone() == (wanted, wanted)
        assert session.execute(
            "SELECT count(*) FROM pg_indexes WHERE tablename = 'item' AND indexname = 'item_pkey'"
        ).fetchone() == (1,)
    assert sum(report.rows.values()) == wanted


def test_limit_beyond_the_rows(
    mariadb: MysqlEndpoint, shop: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    stream = job(mariadb, shop, postgres, postgres_database, limits={"numberOfEvents": ROWS + 1})
    outcome, _ = running.run(stream)
    assert (outcome.status, outcome.rows) == ("FINISHED", ROWS)


def test_limit_of_time(
    mariadb: MysqlEndpoint, shop: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """A query that takes longer is ended; nothing of the chunk under way is kept. slug: limit-time"""
    query = "SELECT a.id FROM item a, item b, item c WHERE a.id + b.id + c.id < 0"
    slow = [{"name": "slow", "query": query}]
    stream = job(mariadb, shop, postgres, postgres_database, queries=slow, limits={"elapsedTime": 1})
    outcome, _ = running.run(stream)
    assert outcome.status == "TIME_LIMIT_REACHED", outcome.error
    with postgres.connect(postgres_database) as session:
        assert session.execute("SELECT count(*) FROM slow").fetchone() == (0,)


def test_the_name_of_our_own_table(
    mariadb: MysqlEndpoint, shop: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """Refused before anything is made. slug: reserved-name"""
    queries = [{"name": "_dbstreams_checkpoint", "query": "SELECT 1 AS a"}]
    outcome, _ = running.run(job(mariadb, shop, postgres, postgres_database, queries=queries))
    assert outcome.error is not None
    assert outcome.error["code"] == Code.TABLE_EXISTS.value
    with postgres.connect(postgres_database) as session:
        assert session.execute("SELECT to_regclass('_dbstreams_checkpoint')").fetchone() == (None,)
