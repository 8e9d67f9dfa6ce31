"""A PostgreSQL source: one snapshot, chunks that are the whole table, queries, selections, failures."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import closing
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from benchmarks.endpoints import PostgresEndpoint
from engine.config import Policies, SourceConnection
from engine.connectors.base import Chunk, TableRead
from engine.connectors.postgres.source import PostgresSource
from engine.connectors.registry import open_source
from engine.errors import Code, EngineError
from ext import pgread
from tests.integration.postgres_sources import planned, rows_of, source, table_of
from tests.running import connection

pytestmark = pytest.mark.integration


# ---------------------------------------------------------------- one picture


def test_readers_see_one_snapshot_while_rows_are_written(
    postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """pg-one-snapshot"""
    postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v int);"
        " INSERT INTO t SELECT i, 0 FROM generate_series(1, 500) i",
        database=postgres_database,
    )
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(postgres.url(postgres_database), autocommit=True) as session:
            while not stop.is_set():
                session.execute(
                    "BEGIN; UPDATE t SET v = v + 1; INSERT INTO t SELECT max(id) + 1,"
                    " max(v) FROM t; DELETE FROM t WHERE id = (SELECT min(id) FROM t); COMMIT"
                )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with source(postgres, postgres_database) as opened:
            read = planned(opened, "t")
            with opened.picture(3) as picture:
                assert picture.consistent
                seen = []
                for _ in range(3):
                    with closing(picture.reader("native")) as reader:
                        seen += [[row for b in reader.read(read, None) for row in b.to_pylist()]]
                        seen += [[row for b in reader.read(read, None) for row in b.to_pylist()]]
                assert not picture.broken
    finally:
        stop.set()
        writer.join()
    assert all(rows == seen[0] for rows in seen)
    assert len(seen[0]) == 500
    assert len({row["v"] for row in seen[0]}) == 1


def test_a_snapshot_whose_holder_is_lost_is_replaced_and_said_so(
    postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """pg-picture-lost"""
    postgres.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)", database=postgres_database)
    with source(postgres, postgres_database) as opened:
        read = planned(opened, "t")
        with opened.picture(1) as picture:
            pid = picture._holder.info.backend_pid
            postgres.execute(f"SELECT pg_terminate_backend({pid})")
            alive = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"
            while postgres.scalar(alive):
                time.sleep(0.01)
            with closing(picture.reader("native")) as reader:
                assert sum(batch.num_rows for batch in reader.read(read, None)) == 1
            assert picture.broken


def test_reading_is_read_only(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """pg-read-only"""
    postgres.execute(
        "CREATE TABLE t (id int); CREATE FUNCTION w() RETURNS int LANGUAGE sql AS"
        " 'INSERT INTO public.t VALUES (1) RETURNING id'",
        database=postgres_database,
    )
    with source(postgres, postgres_database) as opened:
        table = opened.query_table("q", "SELECT w() AS id")
        read, _ = opened.plan_read(table, Policies())
        with pytest.raises(EngineError) as failure:
            rows_of(opened, read)
    assert failure.value.code is Code.QUERY_FAILED
    assert postgres.scalar("SELECT count(*) FROM t", database=postgres_database) in (0, "0")


# ---------------------------------------------------------------- chunks

TABLES = {
    "holes": "CREATE TABLE t (id bigint PRIMARY KEY, pad text);"
    " INSERT INTO t SELECT i * i * 1000, repeat('x', 300) FROM generate_series(1, 4000::bigint) i",
    "skew": "CREATE TABLE t (id int PRIMARY KEY, pad text); INSERT INTO t VALUES (-2147483648, ''),"
    " (2147483647, ''); INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(1, 4000) i",
    "text": 'CREATE TABLE t (id text COLLATE "C" PRIMARY KEY, pad text);'
    " INSERT INTO t SELECT 'it''s % ' || md5(i::text), repeat('x', 300) FROM generate_series(1, 4000) i",
    "composite": 'CREATE TABLE t (a int, "b %s" text, pad text, PRIMARY KEY (a, "b %s"));'
    " INSERT INTO t SELECT i % 2, i::text, repeat('x', 300) FROM generate_series(1, 4000) i",
    "descending": "CREATE TABLE t (a int NOT NULL, b date NOT NULL, pad text);"
    " CREATE UNIQUE INDEX ON t (a, b); INSERT INTO t"
    " SELECT i / 7, date '2024-01-01' - i % 7, repeat('x', 300) FROM generate_series(1, 4000) i",
    "numeric": "CREATE TABLE t (id numeric PRIMARY KEY, pad text); INSERT INTO t VALUES ('NaN', '');"
    " INSERT INTO t SELECT i / 3.0 - 500, repeat('x', 300) FROM generate_series(1, 4000) i",
    "timestamps": "CREATE TABLE t (id timestamptz PRIMARY KEY, pad text);"
    " INSERT INTO t VALUES ('infinity', ''), ('-infinity', ''), ('0044-01-01 BC', '');"
    " INSERT INTO t SELECT '2024-01-01'::timestamptz + i * interval '1.000001 s', repeat('x', 300)"
    " FROM generate_series(1, 4000) i",
    "uuid": "CREATE TABLE t (id uuid PRIMARY KEY, pad text); INSERT INTO t"
    " SELECT md5(i::text)::uuid, repeat('x', 300) FROM generate_series(1, 4000) i; ANALYZE t",
    "bytes": "CREATE TABLE t (id bytea PRIMARY KEY, pad text); INSERT INTO t"
    " SELECT decode(md5(i::text), 'hex'), repeat('x', 300) FROM generate_series(1, 4000) i",
    "enum": "CREATE TYPE e AS ENUM ('b', 'a'); CREATE TABLE t (id e, n int, pad text, PRIMARY KEY (id, n));"
    " INSERT INTO t SELECT (ARRAY['b', 'a']::e[])[1 + i % 2], i, repeat('x', 300)"
    " FROM generate_series(1, 4000) i",
    "nulls": "CREATE TABLE t (id int UNIQUE, pad text); INSERT INTO t"
    " SELECT nullif(i, i % 2 * i), repeat('x', 300) FROM generate_series(1, 4000) i",
    "no_key": "CREATE TABLE t (id int, pad text); INSERT INTO t"
    " SELECT i % 3, repeat('x', 300) FROM generate_series(1, 4000) i; DELETE FROM t WHERE id = 1",
    "partitioned": "CREATE TABLE t (id int, pad text) PARTITION BY LIST (id);"
    " CREATE TABLE t0 PARTITION OF t FOR VALUES IN (0); CREATE TABLE t1 PARTITION OF t DEFAULT;"
    " INSERT INTO t SELECT i % 3, repeat('x', 300) FROM generate_series(1, 4000) i",
    "partitioned_key": "CREATE TABLE t (id int PRIMARY KEY, pad text) PARTITION BY RANGE (id);"
    " CREATE TABLE t0 PARTITION OF t FOR VALUES FROM (0) TO (1000);"
    " CREATE TABLE t1 PARTITION OF t DEFAULT;"
    " INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(1, 4000) i",
    "collation": "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
    " CREATE TABLE t (id text COLLATE ci PRIMARY KEY, pad text); INSERT INTO t"
    " SELECT chr(65 + i % 26 + 32 * (i / 26 % 2)) || i, repeat('x', 300) FROM generate_series(1, 4000) i",
    "empty": "CREATE TABLE t (id int PRIMARY KEY)",
}
ONE = {"partitioned", "empty"}
PAGES = {"nulls", "no_key"}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("raw", [False, True])
def test_chunks_are_the_whole_table_once(
    postgres: PostgresEndpoint, postgres_database: str, name: str, raw: bool
) -> None:
    """pg-chunks-cover"""
    postgres.execute(TABLES[name], database=postgres_database)
    with source(postgres, postgres_database) as opened:
        read = planned(opened, "t")
        chunks = opened.chunks(read, 100_000, 2)
        # Before PostgreSQL 14 a server has no scan of a range of pages.
        alone = ONE if postgres.server_version >= 140000 else ONE | PAGES
        assert (len(chunks) == 1) == (name in alone), chunks
        counts = [_count(opened, read, chunk, raw) for chunk in chunks]
        if not raw:
            whole = _lines(rows_of(opened, read))
            parts = [line for chunk in chunks for line in _lines(rows_of(opened, read, chunk.bounds))]
            assert sorted(parts) == sorted(whole)
            if read.key:  # in the server's own order
                assert parts == whole
    assert sum(counts) == int(postgres.scalar("SELECT count(*) FROM t", database=postgres_database))
    if len(chunks) > 1:
        assert max(counts) <= 4 * sum(counts) / len(chunks), counts


def _lines(table: pa.Table) -> list[str]:
    columns = [
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in table.columns
    ]
    return [str(row) for row in pa.table(columns, table.schema.names).to_pylist()]


def _count(opened: PostgresSource, read: TableRead, chunk: Chunk, raw: bool) -> int:
    with opened.picture(1) as picture, closing(picture.reader("native")) as reader:
        if raw:
            return sum(piece.rows for piece in reader.read_raw(read, chunk.bounds))
        return sum(batch.num_rows for batch in reader.read(read, chunk.bounds))


def test_the_same_table_gives_the_same_chunks(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """pg-chunks-stable"""
    postgres.execute(TABLES["holes"], database=postgres_database)
    with source(postgres, postgres_database) as opened:
        read = planned(opened, "t")
        assert opened.chunks(read, 100_000, 2) == opened.chunks(read, 100_000, 2)


def test_a_parent_is_read_without_its_children(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """pg-inheritance"""
    postgres.execute(
        "CREATE TABLE p (a int); CREATE TABLE c () INHERITS (p);"
        " INSERT INTO p VALUES (1); INSERT INTO c VALUES (2)",
        database=postgres_database,
    )
    with source(postgres, postgres_database) as opened:
        assert rows_of(opened, planned(opened, "p")).to_pylist() == [{"a": 1}]
        assert rows_of(opened, planned(opened, "c")).to_pylist() == [{"a": 2}]


def test_a_table_without_columns_has_rows(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """pg-no-columns"""
    postgres.execute("CREATE TABLE t (); INSERT INTO t DEFAULT VALUES", database=postgres_database)
    with source(postgres, postgres_database) as opened:
        read = planned(opened, "t")
        with opened.picture(1) as picture, closing(picture.reader("native")) as reader:
            assert [batch.num_rows for batch in reader.read(read, None)] == [1]


def test_raw_rows_are_those_of_copy(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """pgread-raw"""
    postgres.execute(
        "CREATE TABLE t (id int, n numeric, a text[], r int4range, x text);"
        " INSERT INTO t SELECT i, i / 3.0, ARRAY[i::text, NULL], int4range(0, i), repeat('x', 500)"
        " FROM generate_series(1, 6000) i",
        database=postgres_database,
    )
    with (
        psycopg.connect(postgres.url(postgres_database)) as session,
        session.cursor() as cursor,
        cursor.copy("COPY t TO STDOUT (FORMAT binary)") as copy,
    ):
        expected = b"".join(bytes(part) for part in copy)
    with source(postgres, postgres_database) as opened:
        read = planned(opened, "t")
        with opened.picture(1) as picture, closing(picture.reader("native")) as reader:
            pieces = list(reader.read_raw(read, None))
    assert len(pieces) > 1
    assert sum(piece.rows for piece in pieces) == 6000
    assert b"".join(bytes(piece.data) for piece in pieces) == expected[19:-2]


def test_a_driver_with_a_libpq_of_its_own_is_read_through_it(
    postgres: PostgresEndpoint, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pgread-other-libpq"""
    postgres.execute(TABLES["composite"], database=postgres_database)
    with source(postgres, postgres_database) as opened:
        read, chunk = planned(opened, "t"), Chunk(0, None)
        whole = rows_of(opened, read)
        monkeypatch.setattr(pgread, "_shared_libpq", False)
        assert rows_of(opened, read) == whole
        assert _count(opened, read, chunk, raw=True) == whole.num_rows
        query = opened.query_table("q", "SELECT 1 / (5 - i) AS a FROM generate_series(1, 9) i")
        broken = opened.plan_read(query, Policies())[0]
        with pytest.raises(EngineError, match="division by zero"):
            rows_of(opened, broken)


# ---------------------------------------------------------------- selections

SELECTIONS: list[tuple[dict[str, Any], list[int]]] = [
    ({"filters": [{"column": "n", "operator": ">=", "value": "2.5"}]}, [3, 4]),
    ({"filters": [{"column": "n", "operator": "!=", "value": "1"}]}, [2, 3, 4]),
    ({"filters": [{"column": "t", "operator": "=", "value": "it's"}]}, [2]),
    ({"filters": [{"column": "t", "operator": "like", "value": "%\\%%"}]}, [3]),
    ({"filters": [{"column": "n", "operator": "like", "value": "1%"}]}, [1]),
    ({"filters": [{"column": "t", "operator": "in", "value": ["one", "it's"]}]}, [1, 2]),
    ({"filters": [{"column": "t", "operator": "in", "value": []}]}, []),
    ({"filters": [{"column": "t", "operator": "is null"}]}, [4]),
    ({"filters": [{"column": "t", "operator": "is not null"}]}, [1, 2, 3]),
    ({"filters": [{"column": "d", "operator": "<", "value": "2024-01-02"}]}, [1]),
    ({"filters": [{"column": "m", "operator": ">", "value": "b"}]}, [2, 4]),
    ({"filters": [{"column": "t", "operator": "=", "value": "'; DROP TABLE t; --"}]}, []),
    ({"sorts": [{"column": "n", "direction": "DESC"}], "limit": 2}, [4, 3]),
    ({"sorts": [{"column": "m"}, {"column": "id", "direction": "DESC"}]}, [3, 1, 4, 2]),
    ({"limit": 0}, []),
    (
        {
            "selectedColumns": ["id"],
            "filters": [{"column": "n", "operator": ">", "value": "1"}],
            "sorts": [{"column": "d", "direction": "DESC"}],
        },
        [4, 3, 2],
    ),
]


@pytest.mark.parametrize(("selection", "expected"), SELECTIONS)
def test_selections(
    postgres: PostgresEndpoint, postgres_database: str, selection: dict[str, Any], expected: list[int]
) -> None:
    """pg-selection"""
    postgres.execute(
        "CREATE TYPE mood AS ENUM ('b', 'a');"
        " CREATE TABLE t (id int PRIMARY KEY, n numeric(5,1), t text, d date, m mood);"
        " INSERT INTO t VALUES (1, 1, 'one', '2024-01-01', 'b'), (2, 2, 'it''s', '2024-01-02', 'a'),"
        " (3, 3, '10% off', '2024-01-03', 'b'), (4, 4, NULL, '2024-01-04', 'a')",
        database=postgres_database,
    )
    with source(postgres, postgres_database) as opened:
        read = planned(opened, "t", **selection)
        found = [row["id"] for row in rows_of(opened, read).to_pylist()]
        if "selectedColumns" in selection:
            assert [column.name for column in read.columns] == selection["selectedColumns"]
        if read.selection.sorts or read.selection.limit is not None:
            assert len(opened.chunks(read, 1, 4)) == 1
    assert found == expected


@pytest.mark.parametrize(
    ("selection", "code"),
    [
        ({"filters": [{"column": "x", "operator": "is null"}]}, Code.UNKNOWN_COLUMN),
        ({"sorts": [{"column": "x"}]}, Code.UNKNOWN_COLUMN),
        ({"filters": [{"column": "id", "operator": "="}]}, Code.VALIDATION_FAILED),
        ({"filters": [{"column": "id", "operator": "in"}]}, Code.VALIDATION_FAILED),
        ({"filters": [{"column": "id", "operator": "is null", "value": "1"}]}, Code.VALIDATION_FAILED),
    ],
)
def test_selections_that_make_no_sense(
    postgres: PostgresEndpoint, postgres_database: str, selection: dict[str, Any], code: Code
) -> None:
    """pg-selection"""
    postgres.execute("CREATE TABLE t (id int)", database=postgres_database)
    with source(postgres, postgres_database) as opened, pytest.raises(EngineError) as failure:
        planned(opened, "t", **selection)
    assert failure.value.code is code


# ---------------------------------------------------------------- queries


def test_a_query_is_a_table(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """pg-query"""
    postgres.execute(
        "CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('ok');"
        " CREATE TABLE shop.t (id int, n numeric(6,2), m shop.mood, b bit(3));"
        " INSERT INTO shop.t VALUES (1, 1.50, 'ok', '101')",
        database=postgres_database,
    )
    query = 'SELECT t.*, n * 2 AS "double %", ARRAY[id, NULL] AS a FROM t -- all;\n;'
    with source(postgres, postgres_database, "shop") as opened:
        table = opened.query_table("q", query)
        assert [column.native_type for column in table.columns][:3] == ["integer", "numeric(6,2)", "mood"]
        read, notes = opened.plan_read(table, Policies())
        assert notes == ()
        assert opened.chunks(read, 1, 4)[0].bounds is None
        assert rows_of(opened, read).to_pylist() == [
            {"id": 1, "n": "1.50", "m": "ok", "b": b"\x05", "double %": "3.00", "a": "[1,null]"}
        ]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT 1) AS t) TO STDOUT; DROP TABLE t; --", "syntax error"),
        ("SELECT 1; SELECT 2", "multiple commands"),
        ("DELETE FROM t RETURNING id", "syntax error"),
        ("WITH x AS (DELETE FROM t RETURNING id) SELECT * FROM x", "WITH clause"),
        ("SELECT $1::int AS a", "parameters"),
        ("SELECT 1 AS a, 2 AS a", "two columns"),
        ("SELECT 1 /* open", "unterminated"),
        ("SELEC", "syntax error"),
        ("", "no SELECT"),
        ("SELECT * FROM missing", "does not exist"),
        ("COPY t TO STDOUT", "SELECT"),
    ],
)
def test_what_is_no_query(postgres: PostgresEndpoint, postgres_database: str, query: str, words: str) -> None:
    """pg-query-refused"""
    postgres.execute("CREATE TABLE t (id int)", database=postgres_database)
    with source(postgres, postgres_database) as opened:
        with pytest.raises(EngineError, match=words) as failure:
            opened.query_table("q", query)
        assert failure.value.code is Code.QUERY_FAILED
        assert len(opened.query_table("q", "SELECT 1 AS fine").columns) == 1


# ---------------------------------------------------------------- failures

SLOW = "SELECT i, pg_sleep(0.001)::text AS s FROM generate_series(1, 1000000) i"


@pytest.mark.parametrize("end", ["cancel", "terminate"])
def test_a_running_read_is_ended_from_another_thread(
    postgres: PostgresEndpoint, postgres_database: str, end: str
) -> None:
    """pg-cancel, pg-connection-lost"""
    with source(postgres, postgres_database) as opened:
        read, _ = opened.plan_read(opened.query_table("q", SLOW), Policies(), max_rows=10)
        with opened.picture(1) as picture, closing(picture.reader("native")) as reader:
            batches = reader.read(read, None)
            next(batches)
            if end == "cancel":
                ending = threading.Thread(target=reader.cancel)
            else:
                pid = reader._session.info.backend_pid
                ending = threading.Thread(
                    target=postgres.execute, args=(f"SELECT pg_terminate_backend({pid})",)
                )
            ending.start()
            with pytest.raises(EngineError) as failure:
                deque(batches, maxlen=0)
            ending.join()
            wanted = Code.QUERY_FAILED if end == "cancel" else Code.CONNECTION_LOST
            assert failure.value.code is wanted
            if end == "cancel":  # the reader and its snapshot are still of use
                one, _ = opened.plan_read(opened.query_table("q", "SELECT 1 AS a"), Policies())
                assert [batch.num_rows for batch in reader.read(one, None)] == [1]


def test_giving_up_a_read_keeps_the_reader(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """pg-early-close"""
    with source(postgres, postgres_database) as opened:
        slow, _ = opened.plan_read(opened.query_table("q", SLOW), Policies(), max_rows=10)
        one, _ = opened.plan_read(opened.query_table("q", "SELECT 1 AS a"), Policies())
        with opened.picture(1) as picture, closing(picture.reader("native")) as reader:
            batches = reader.read(slow, None)
            next(batches)
            batches.close()
            assert [batch.num_rows for batch in reader.read(one, None)] == [1]


@pytest.mark.parametrize(
    ("query", "words"), [("SELECT 1 / (5 - i) AS a FROM generate_series(1, 9) i", "division by zero")]
)
def test_an_error_of_the_server_is_not_a_short_result(
    postgres: PostgresEndpoint, postgres_database: str, query: str, words: str
) -> None:
    """pg-error-midway"""
    with source(postgres, postgres_database) as opened:
        read, _ = opened.plan_read(opened.query_table("q", query), Policies(), max_rows=2)
        with pytest.raises(EngineError, match=words) as failure:
            rows_of(opened, read)
    assert failure.value.code is Code.QUERY_FAILED


def test_row_security_refuses_instead_of_hiding(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """pg-row-security"""
    role = f"reader_{postgres_database}"
    postgres.execute(
        f"CREATE TABLE t (id int); INSERT INTO t VALUES (1); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
        f" CREATE ROLE {role} LOGIN PASSWORD 'reader'; GRANT SELECT ON t TO {role};"
        f" GRANT CONNECT ON DATABASE {postgres_database} TO {role}",
        database=postgres_database,
    )
    try:
        saved = connection(postgres, username=role, password="reader")
        with closing(PostgresSource(saved, postgres_database)) as opened:
            read, _ = opened.plan_read(table_of(opened, "t"), Policies())
            with pytest.raises(EngineError) as failure:
                rows_of(opened, read)
        assert failure.value.code is Code.PERMISSION_DENIED
        assert "BYPASSRLS" in failure.value.message
    finally:
        postgres.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", database=postgres_database)


def test_a_source_without_a_database_is_refused(postgres: PostgresEndpoint) -> None:
    """pg-source-database"""
    with pytest.raises(EngineError) as failure:
        open_source(connection(postgres), SourceConnection.parse({"connectionId": "s"}))
    assert failure.value.code is Code.VALIDATION_FAILED


def test_the_position_moves_with_writes(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """pg-position"""
    postgres.execute("CREATE TABLE t (id int)", database=postgres_database)
    with source(postgres, postgres_database) as opened:
        before = opened.position()
        postgres.execute("INSERT INTO t VALUES (1)", database=postgres_database)
        assert before is not None
        assert opened.position() != before
