"""Comparing ends by reading both: nothing is called equal that was touched, and the row is named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import Connection, StreamConfig
from engine.streams.job import StreamJob
from tests import running

pytestmark = pytest.mark.integration

ROWS = 20_000
TABLES = """
CREATE TABLE keyed (a int, b text, c numeric, d timestamptz, e bytea, f double precision, g jsonb,
  PRIMARY KEY (b, a));
INSERT INTO keyed SELECT i, 'k' || i % 7, i / 8.0, 'epoch'::timestamptz + i * interval '1 s',
  decode(lpad(to_hex(i), 8, '0'), 'hex'), i / 3.0, jsonb_build_object('i', i)
  FROM generate_series(1, {rows}) i;
CREATE TABLE keyless (a int, b text);
INSERT INTO keyless SELECT i % 100, NULLIF('x' || i % 10, 'x3') FROM generate_series(1, 1000) i;
"""


def to_postgres(
    postgres: PostgresEndpoint, source: str, target: str, write_mode: str = "fail_if_not_empty"
) -> StreamJob:
    return running_job(
        {"connectionId": "source", "database": source, "schema": "public"},
        {"db": {"database": target, "schema": "public", "writeMode": write_mode}},
        running.connection(postgres),
        running.connection(postgres),
    )


def running_job(
    part: dict[str, Any], spec: dict[str, Any], source: Connection, target: Connection
) -> StreamJob:
    config = StreamConfig.parse(
        {
            "name": "compared",
            "mode": "convert",
            "source": {"connections": [part], "options": {"workers": 2}},
            "target": {"id": "target", "spec": spec},
        }
    )
    return StreamJob("stream_compared", config, {"source": source, "target": target})


@pytest.fixture(scope="module")
def source(postgres: PostgresEndpoint) -> str:
    name = postgres.database()
    postgres.execute(TABLES.format(rows=ROWS), database=name)
    return name


def verdict(result: dict[str, Any], table: str) -> dict[str, Any]:
    (found,) = [each for each in result["tables"] if each["table"] == table]
    return dict(found)


@pytest.mark.parametrize(
    ("change", "kind", "columns"),
    [
        ("UPDATE keyed SET c = c + 0.000000001 WHERE a = 777", "different", ["c"]),
        ("UPDATE keyed SET e = set_byte(e, 3, get_byte(e, 3) # 1) WHERE a = 777", "different", ["e"]),
        ("UPDATE keyed SET d = d + interval '1 us', f = f + 1e-9 WHERE a = 777", "different", ["d", "f"]),
        ('UPDATE keyed SET g = \'{"i": "777"}\' WHERE a = 777', "different", ["g"]),
        ("UPDATE keyed SET f = NULL WHERE a = 777", "different", ["f"]),
        ("DELETE FROM keyed WHERE a = 777", "missing", None),
        ("INSERT INTO keyed (a, b) VALUES (777, 'new')", "extra", None),
    ],
)
def test_one_row_that_differs(
    postgres: PostgresEndpoint,
    source: str,
    postgres_database: str,
    change: str,
    kind: str,
    columns: list[str] | None,
) -> None:
    """slug: verify-reading"""
    stream = to_postgres(postgres, source, postgres_database)
    running.finish(stream)
    assert running.verify(stream)["equal"] is True
    postgres.execute(change, database=postgres_database)
    result = running.verify(stream)
    assert result["equal"] is False
    (difference,) = verdict(result, "keyed")["differences"]
    assert difference["kind"] == kind
    assert difference["key"]["a"] == "777"
    assert difference.get("columns") == columns
    assert verdict(result, "keyless")["equal"] is True


@pytest.mark.parametrize(
    ("change", "kind", "copies"),
    [
        ("DELETE FROM keyless WHERE ctid = (SELECT ctid FROM keyless WHERE a = 5 LIMIT 1)", "missing", 1),
        ("INSERT INTO keyless VALUES (5, 'x5'), (5, 'x5')", "extra", 2),
    ],
)
def test_copies_of_rows_without_a_key(
    postgres: PostgresEndpoint, source: str, postgres_database: str, change: str, kind: str, copies: int
) -> None:
    """slug: verify-reading"""
    stream = to_postgres(postgres, source, postgres_database)
    running.finish(stream)
    postgres.execute(change, database=postgres_database)
    result = running.verify(stream)
    (difference,) = verdict(result, "keyless")["differences"]
    assert (difference["kind"], difference.get("copies", 1)) == (kind, copies)


def test_rows_that_were_there_before_an_append(
    postgres: PostgresEndpoint, source: str, postgres_database: str
) -> None:
    """Only the source's rows are compared. slug: verify-reading"""
    stream = to_postgres(postgres, source, postgres_database, "append")
    running.finish(stream)
    postgres.execute("INSERT INTO keyed (a, b) VALUES (-1, 'before')", database=postgres_database)
    postgres.execute("INSERT INTO keyless VALUES (-1, 'before')", database=postgres_database)
    result = running.verify(stream)
    assert result["equal"] is True
    assert verdict(result, "keyed")["rowsTarget"] == ROWS
    postgres.execute("UPDATE keyed SET c = 0 WHERE a = 9", database=postgres_database)
    assert running.verify(stream)["equal"] is False


def test_a_value_changed_in_a_parquet_file(
    mariadb: MysqlEndpoint, mariadb_database: str, tmp_path: Path
) -> None:
    """slug: verify-reading"""
    mariadb.execute(
        "CREATE TABLE t (id int PRIMARY KEY, name varchar(20), price decimal(30,10));"
        "INSERT INTO t SELECT seq, CONCAT('n', seq), seq / 7 FROM seq_1_to_5000",
        database=mariadb_database,
    )
    stream = running_job(
        {"connectionId": "source", "database": mariadb_database},
        {"files": {"fileFormat": "parquet"}},
        running.connection(mariadb),
        Connection.parse({"name": "f", "type": "files", "spec": {"files": {"basePath": str(tmp_path)}}}),
    )
    running.finish(stream)
    assert running.verify(stream)["equal"] is True
    # The manifest as a rewritten file would have it: only the value tells.
    (file,) = tmp_path.glob("t/*.parquet")
    table = pq.read_table(file)
    names = table.column("name").to_pylist()
    names[41] = "N42"
    pq.write_table(table.set_column(1, table.field(1), pa.array(names, table.field(1).type)), file)
    manifest = tmp_path / "_dbstreams_manifest.json"
    content = json.loads(manifest.read_text())
    (listed,) = content["tables"][0]["files"]
    listed |= {"bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    manifest.write_text(json.dumps(content))
    result = running.verify(stream)
    assert verdict(result, "t")["differences"] == [
        {"kind": "different", "key": {"id": "42"}, "columns": ["name"]}
    ]
