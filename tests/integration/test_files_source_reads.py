"""Selections, chunks, resuming, the way back from our own files, and queries over files."""

from __future__ import annotations

import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine import ids
from engine.config import StreamConfig
from engine.streams.job import StreamJob
from tests import running
from tests.integration.file_sources import files_connection, job, printed, types_of
from tests.integration.test_files_source import loaded, refused
from tests.integration.test_files_source_tables import write

pytestmark = pytest.mark.integration


KEY = uuid.UUID("9aa8996b-26de-44c4-8067-11198944f1c0")


# ---------------------------------------------------------------- selections


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"selectedColumns": ["s"]}, [("a",), ("b",), (None,), ("d",)]),
        ({"filters": [{"column": "n", "operator": ">", "value": "2"}]}, [("3", None), ("4", "d")]),
        ({"filters": [{"column": "s", "operator": "is null"}]}, [("3", None)]),
        ({"filters": [{"column": "s", "operator": "in", "value": ["a", "d'"]}]}, [("1", "a")]),
        ({"filters": [{"column": "s", "operator": "like", "value": "%d%"}]}, [("4", "d")]),
        ({"sorts": [{"column": "n", "direction": "DESC"}], "limit": 2}, [("4", "d"), ("3", None)]),
        ({"limit": 0}, []),
        (
            {
                "selectedColumns": ["s"],
                "filters": [{"column": "n", "operator": "!=", "value": "1"}],
                "limit": 1,
            },
            [("b",)],
        ),
    ],
)
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_selections(
    tmp_path: Path, postgres: PostgresEndpoint, form: str, selection: dict[str, Any], expected: list[Any]
) -> None:
    """files-selection: columns, filters, sorts and a limit mean the same in every format."""
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (FROM (VALUES (1, 'a'), (2, 'b'), (3, NULL), (4, 'd')) v(n, s))"
            f" TO '{tmp_path}/t.{form}' (FORMAT {form.removesuffix('l')})"
        )
    database, _ = loaded(tmp_path, postgres, tables_=[{"name": "t", "selection": selection}])
    assert printed(postgres, database, "t", "ctid") == expected


def test_a_filter_that_means_nothing(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """files-selection."""
    write(tmp_path, t_dot_csv="n\n1\n")
    bad = [{"column": "n", "operator": "=", "value": "x'; DROP TABLE t"}]
    error = refused(tmp_path, postgres, tables_=[{"name": "t", "selection": {"filters": bad}}])
    assert (error["code"], error["details"]["column"]) == ("VALIDATION_FAILED", "n")
    bad = [{"column": "zzz", "operator": "is null"}]
    error = refused(tmp_path, postgres, tables_=[{"name": "t", "selection": {"filters": bad}}])
    assert error["code"] == "UNKNOWN_COLUMN"


# ---------------------------------------------------------------- chunks, changes, the way back


def test_many_chunks(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """files-chunks: row groups and files are shared among workers, every row once."""
    for number in range(3):
        values = pa.table({"n": pa.array(range(number * 1000, (number + 1) * 1000), pa.int32())})
        pq.write_table(values, tmp_path / f"{number}.parquet", row_group_size=100)
    options = {"chunkBytes": 65_536}
    database, _ = loaded(tmp_path, postgres, tables="folder", options=options)
    name = tmp_path.name
    rows = postgres.query(f'SELECT count(*), count(DISTINCT n), sum(n) FROM "{name}"', database=database)
    assert [tuple(int(value) for value in row) for row in rows] == [(3000, 3000, 2999 * 1500)]


def test_a_file_that_changed_meanwhile(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """files-changed: a stream that goes on does not mix two versions of a file."""
    database = str(postgres.database())
    write(tmp_path, t_dot_csv="n\n1\n2\nx\n")
    stream = job(files_connection(tmp_path), postgres, database, columns={"n": "VARCHAR"})
    postgres.execute("CREATE TABLE t (n text CHECK (n <> 'x'))", database=database)
    outcome, _ = running.run(stream)
    assert outcome.status == "FAILED"
    write(tmp_path, t_dot_csv="n\n1\n2\n3\n")
    again = StreamJob(stream.stream_id, stream.config, stream.connections, True)
    outcome, _ = running.run(again)
    assert outcome.error is not None
    assert outcome.error["code"] == "FILE_CHANGED"
    assert any(
        note.slug if hasattr(note, "slug") else note["slug"] == "source-moved" for note in outcome.notes
    )
    assert printed(postgres, database, "t") == []


SAMPLE = (
    "CREATE TABLE t (id bigint unsigned PRIMARY KEY, d decimal(65,30), f float, b bit(9), y year,"
    " ts datetime(6), tz timestamp(3) NULL, tm time(2), v varchar(20) CHARACTER SET latin1, tx text, bl blob,"
    " e enum('a','b,c'), s set('x','y','z'), j json, g point, u uuid, i6 inet6, bo bool)",
    "INSERT INTO t VALUES (18446744073709551615, 1.5, 1.5, b'100000001', 1999, '9999-12-31 23:59:59.999999',"
    " '2024-01-01 00:00:00.123', '-838:59:59.5', 'é', 'a\"b,\\n', x'00ff', 'b,c', 'x,z', '{\"a\": 1.10}',"
    " ST_GeomFromText('point(1 2)', 4326), '9aa8996b-26de-44c4-8067-11198944f1c0', '::1', 1)",
    "INSERT INTO t (id, v, tx, s) VALUES (2, '', NULL, '')",
)


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl", "json"])
def test_the_way_back(tmp_path: Path, mariadb: MysqlEndpoint, postgres: PostgresEndpoint, form: str) -> None:
    """files-manifest: MariaDB → files → PostgreSQL gives what MariaDB → PostgreSQL gives, types and all, and
    reads nothing that the manifest does not list."""
    source = mariadb.database()
    for statement in SAMPLE:
        mariadb.execute(statement, database=source)
    direct = str(postgres.database())
    running.finish(running.job(mariadb, source, postgres, direct))
    config = StreamConfig.parse(
        {
            "name": "out",
            "mode": "convert",
            "source": {"connections": [{"connectionId": "s", "database": source}]},
            "target": {"id": "t", "spec": {"files": {"fileFormat": form, "format": {"compression": "gzip"}}}},
        }
    )
    ends = {"s": running.connection(mariadb), "t": files_connection(tmp_path)}
    running.finish(StreamJob(ids.new("stream"), config, ends, False))
    write(tmp_path, t__stray_dot_csv="x\n1\n")
    back, notes = loaded(tmp_path, postgres)
    assert types_of(postgres, back, "t") == types_of(postgres, direct, "t")
    assert printed(postgres, back, "t") == printed(postgres, direct, "t")
    assert any("stray.csv" in note for note in notes)
    part = next(path for path in (tmp_path / "t").iterdir() if path.name.startswith("part-"))
    part.write_bytes(part.read_bytes() + b"x")
    assert refused(tmp_path, postgres)["code"] == "FILE_CHANGED"


# ---------------------------------------------------------------- queries


def test_a_select_over_files(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """files-query: tables by their names, joined over formats; the types are those of the result."""
    write(tmp_path, orders_dot_csv="id,item,clock\n1,007,03:04:05\n2,008,\n3,007,\n")
    items = {"code": ["007", "008"], "price": [Decimal("1.10"), Decimal("2.00")], "key": [KEY.bytes, None]}
    kinds = pa.schema([("code", pa.string()), ("price", pa.decimal128(10, 2)), ("key", pa.uuid())])
    pq.write_table(pa.table(items, kinds), tmp_path / "items.parquet")
    query = (
        "SELECT i.code, sum(price) AS total, count(*) AS n, min(key) AS key, min(clock) AS clock,"
        " list(o.id ORDER BY o.id) AS ids FROM orders o JOIN items i ON o.item = i.code"
        " GROUP BY ALL ORDER BY 1; -- done"
    )
    database, _ = loaded(tmp_path, postgres, queries=[{"name": "totals", "query": query}])
    assert types_of(postgres, database, "totals") == {
        "code": "text",
        "total": "numeric(38,2)",
        "n": "bigint",
        "key": "uuid",
        "clock": "time(6) without time zone",
        "ids": "json",
    }
    assert printed(postgres, database, "totals") == [
        ("007", "2.20", "2", str(KEY), "03:04:05", "[1,3]"),
        ("008", "2.00", "1", None, None, "[2]"),
    ]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM read_csv('{outside}')", "disabled"),
        ("SELECT * FROM read_text('/etc/passwd')", "disabled"),
        ("SELECT * FROM '{outside}'", "secret"),
        ("COPY t TO '{outside}'", "one SELECT"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("ATTACH '{outside}' AS x", "one SELECT"),
        ("SELECT x, x FROM t", "two columns called x"),
        ("SELECT nothing FROM t", "nothing"),
        ("SELEC", "syntax error"),
        ("SELECT 1) TO '{outside}' --", "syntax error"),
    ],
)
def test_what_a_select_may_not(tmp_path: Path, postgres: PostgresEndpoint, query: str, said: str) -> None:
    """files-query: no file, no network, no second statement."""
    base = tmp_path / "base"
    write(tmp_path, secret_dot_csv="x\n1\n")
    write(base, t_dot_csv="x\n1\n")
    text = query.replace("{outside}", str(tmp_path / "secret.csv"))
    error = refused(base, postgres, queries=[{"name": "q", "query": text}])
    assert error["code"] == "QUERY_FAILED"
    assert said in error["error"]
    assert (tmp_path / "secret.csv").read_text() == "x\n1\n"


def test_a_large_file_in_parts(tmp_path: Path, postgres: PostgresEndpoint, monkeypatch: Any) -> None:
    """files-chunks: a file read in parts gives each row once, as one that is read whole does."""
    monkeypatch.setattr("engine.formats.read_split.PART", 20_000)
    rows = "".join(f'{number},"name, {number}",{number}.50\n' for number in range(5000))
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfid,name,price\n" + rows.encode())
    options = {"chunkBytes": 65_536}
    database, _ = loaded(tmp_path, postgres, options=options)
    found = postgres.query("SELECT count(*), count(DISTINCT id), sum(price) FROM t", database=database)
    assert [tuple(str(value) for value in row) for row in found] == [("5000", "5000", "12500000.00")]
    assert postgres.scalar("SELECT name FROM t WHERE id = 4999", database=database) == "name, 4999"
