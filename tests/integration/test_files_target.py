"""Streams into a folder: write modes, names, options, policies, crashes and resumes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.connectors import registry
from engine.errors import Code, EngineError
from engine.streams.job import StreamJob
from engine.streams.run import plan_stream
from tests.faults.workers import in_a_worker
from tests.integration import file_targets as files
from tests.running import cleanup, finish, run

pytestmark = pytest.mark.integration
CHUNKS = {"workers": 2, "chunkBytes": 65_536, "dataBundleSize": 200}
ROWS = 3_000


@pytest.fixture(scope="module")
def shop(mariadb: MysqlEndpoint) -> str:
    """`t` of 3,000 rows in several chunks, and `u` of two."""
    database = mariadb.database()
    mariadb.execute(
        "CREATE TABLE t (id int PRIMARY KEY, body varchar(400), amount decimal(10,2));"
        f"INSERT INTO t SELECT seq, REPEAT(CONCAT('row ', seq, ' '), 20), seq / 4 FROM seq_1_to_{ROWS};"
        "CREATE TABLE u (id int PRIMARY KEY, note text); INSERT INTO u VALUES (1, 'x'), (2, NULL);",
        database=database,
    )
    mariadb.query("ANALYZE TABLE t, u", database=database)
    return database


@pytest.fixture
def fresh(mariadb: MysqlEndpoint) -> Iterator[str]:
    database = mariadb.database()
    yield database
    mariadb.drop_database(database)


@pytest.fixture
def fresh_pg(postgres: PostgresEndpoint) -> Iterator[str]:
    database = postgres.database()
    yield database
    postgres.drop_database(database)


def into(source: Any, database: str, folder: Path, **spec: Any) -> StreamJob:
    spec = {"fileFormat": "parquet", "options": CHUNKS, **spec}
    return files.job(source, database, files.files_connection(folder), **spec)


def done(stream: StreamJob) -> None:
    finish(stream)
    cleanup(stream)


def refused(stream: StreamJob) -> dict[str, Any]:
    outcome, _ = run(stream)
    assert outcome.status == "FAILED"
    assert outcome.error is not None
    return outcome.error


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def only_listed(folder: Path) -> None:
    listed = {file.path for table in files.manifest(folder).tables for file in table.files}
    assert everything(folder) == listed | {"_dbstreams_manifest.json"}


def rows_of(source: MysqlEndpoint, database: str) -> list[tuple[str, ...]]:
    rows = source.query("SELECT id, body, amount FROM t ORDER BY id", database=database)
    return [(str(a), b, str(c)) for a, b, c in rows]


# ---------------------------------------------------------------- write modes


def test_append_adds_parts(mariadb: MysqlEndpoint, shop: str, tmp_path: Path) -> None:
    """slug: file-append"""
    for _ in range(2):
        done(into(mariadb, shop, tmp_path, tables=["t"]))
    assert files.arrow(tmp_path, "t").num_rows == 2 * ROWS
    assert len({file.stream for file in files.manifest(tmp_path).tables[0].files}) == 2
    only_listed(tmp_path)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("ALTER TABLE t MODIFY amount decimal(12,2)", Code.STRUCTURE_MISMATCH),
        ("ALTER TABLE t ADD extra int", Code.STRUCTURE_MISMATCH),
        ("ALTER TABLE t DROP amount", Code.STRUCTURE_MISMATCH),
    ],
)
def test_parts_of_another_shape_do_not_join(
    mariadb: MysqlEndpoint, fresh: str, tmp_path: Path, change: str, code: Code
) -> None:
    """slug: file-append-shape"""
    mariadb.execute("CREATE TABLE t (id int PRIMARY KEY, amount decimal(10,2))", database=fresh)
    done(into(mariadb, fresh, tmp_path))
    mariadb.execute(change, database=fresh)
    assert refused(into(mariadb, fresh, tmp_path))["code"] == code
    assert refused(into(mariadb, fresh, tmp_path, fileFormat="csv"))["code"] == code
    done(into(mariadb, fresh, tmp_path, writeMode="truncate_and_load"))


def test_truncate_replaces_and_removes_what_was_listed(
    mariadb: MysqlEndpoint, shop: str, tmp_path: Path
) -> None:
    """slug: file-truncate"""
    done(into(mariadb, shop, tmp_path))
    before = set(files.paths(tmp_path, "t"))
    (tmp_path / "t" / "mine.txt").write_text("stays")
    stream = into(mariadb, shop, tmp_path, tables=["t"], writeMode="truncate_and_load")
    _, report = finish(stream)
    cleanup(stream)
    assert "foreign-files" in {fields.get("slug") for _, _, fields in report.logs}
    assert not any(Path(path).exists() for path in before)
    assert files.duck(tmp_path, "t", order="id::int") == rows_of(mariadb, shop)
    assert files.arrow(tmp_path, "u").num_rows == 2
    assert (tmp_path / "t" / "mine.txt").read_text() == "stays"


def test_fail_if_not_empty(mariadb: MysqlEndpoint, shop: str, tmp_path: Path) -> None:
    """slug: file-not-empty"""
    done(into(mariadb, shop, tmp_path, tables=["t"], writeMode="fail_if_not_empty"))
    again = into(mariadb, shop, tmp_path, tables=["t"], writeMode="fail_if_not_empty")
    assert refused(again)["code"] == Code.TABLE_NOT_EMPTY
    (tmp_path / "u").mkdir()
    (tmp_path / "u" / "other.parquet").write_bytes(b"")
    other = into(mariadb, shop, tmp_path, tables=["u"], writeMode="fail_if_not_empty")
    assert refused(other)["code"] == Code.TABLE_NOT_EMPTY


def test_upsert_is_refused_with_the_reason(mariadb: MysqlEndpoint, shop: str, tmp_path: Path) -> None:
    """slug: file-upsert"""
    error = refused(into(mariadb, shop, tmp_path, writeMode="upsert"))
    assert (error["code"], error["details"]["notes"][0]["slug"]) == (Code.PLAN_REFUSED, "upsert-into-files")
    assert everything(tmp_path) == set()


# ---------------------------------------------------------------- one file


@pytest.mark.parametrize(
    ("name", "compression"),
    [
        ("t.parquet", "zstd"),
        ("t.csv", "none"),
        ("t.csv.gz", "gzip"),
        ("t.csv.zst", "zstd"),
        ("t.json", "none"),
        ("t.json.gz", "gzip"),
        ("t.jsonl.zst", "zstd"),
    ],
)
def test_a_single_file(
    mariadb: MysqlEndpoint, shop: str, tmp_path: Path, name: str, compression: str
) -> None:
    """slug: file-single"""
    spec: dict[str, Any] = {
        "fileFormat": name.split(".")[1],
        "path": f"sub/{name}",
        "format": {"compression": compression},
    }
    done(into(mariadb, shop, tmp_path, tables=["t"], **spec))
    folder = tmp_path / "sub"
    assert files.duck(folder, "t", order="id::int") == rows_of(mariadb, shop)
    assert everything(folder) == {name, "_dbstreams_manifest.json"}
    assert refused(into(mariadb, shop, tmp_path, tables=["t"], **spec))["code"] == Code.PLAN_REFUSED
    done(into(mariadb, shop, tmp_path, tables=["u"], writeMode="truncate_and_load", **spec))
    assert len(files.duck(folder, "u")) == 2
    assert everything(folder) == {name, "_dbstreams_manifest.json"}


def test_a_single_file_of_no_rows(mariadb: MysqlEndpoint, fresh: str, tmp_path: Path) -> None:
    """slug: file-empty"""
    mariadb.execute("CREATE TABLE t (id int PRIMARY KEY, note text)", database=fresh)
    for name in ("a/t.json", "b/t.csv", "c/t.parquet", "d/t.jsonl"):
        done(into(mariadb, fresh, tmp_path, fileFormat=name.rpartition(".")[2], path=name))
        assert files.duck(tmp_path / name[0], "t") == []
    assert json.loads((tmp_path / "a/t.json").read_bytes()) == []
    assert (tmp_path / "b/t.csv").read_text() == '"id","note"\n'
    assert pq.read_schema(tmp_path / "c/t.parquet").names == ["id", "note"]


def test_a_single_file_has_one_table(mariadb: MysqlEndpoint, shop: str, tmp_path: Path) -> None:
    """slug: file-single"""
    error = refused(into(mariadb, shop, tmp_path, path="all.parquet"))
    assert error["details"]["notes"][0]["slug"] == "single-file"


# ---------------------------------------------------------------- parts, options, places


def test_parts_are_rolled_by_size(mariadb: MysqlEndpoint, shop: str, tmp_path: Path) -> None:
    """slug: file-parts"""
    options = {"workers": 1, "dataBundleSize": 200}
    done(into(mariadb, shop, tmp_path, tables=["t"], fileFormat="csv", partBytes=65_536, options=options))
    sizes = [file.bytes for file in files.manifest(tmp_path).tables[0].files]
    assert len(sizes) > 5
    assert all(65_536 <= size < 65_536 + 200 * 420 for size in sizes[:-1])
    assert files.duck(tmp_path, "t", order="id::int") == rows_of(mariadb, shop)


def test_parquet_options_are_followed(mariadb: MysqlEndpoint, shop: str, tmp_path: Path) -> None:
    """slug: file-parquet-options"""
    options = {
        "compressionCodec": "zstd",
        "compressionLevel": 9,
        "maxRowGroupSize": 500,
        "enableDictionary": False,
        "enableStatistics": False,
    }
    done(
        into(
            mariadb,
            shop,
            tmp_path,
            tables=["t"],
            format={"parquet": options},
            options={"workers": 1},
        )
    )
    (path,) = files.paths(tmp_path, "t")
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)] == [500] * 6
    column = metadata.row_group(0).column(1)
    assert column.compression == "ZSTD"
    assert not column.is_stats_set
    assert not any("DICT" in encoding for encoding in column.encodings)


@pytest.mark.parametrize(("unit", "arrow"), [("ms", "ms"), ("us", "us"), ("ns", "ns")])
def test_units_of_moments(mariadb: MysqlEndpoint, fresh: str, tmp_path: Path, unit: str, arrow: str) -> None:
    """slug: file-timestamp-unit"""
    mariadb.execute(
        "CREATE TABLE t (a datetime(6)); INSERT INTO t VALUES ('2024-01-01 00:00:00.123'), (NULL)",
        database=fresh,
    )
    spec = {"format": {"parquet": {"timestampUnit": unit}}}
    done(into(mariadb, fresh, tmp_path, **spec))
    assert files.arrow(tmp_path, "t").schema.field("a").type == pa.timestamp(arrow)
    assert files.duck(tmp_path, "t") == [("2024-01-01 00:00:00.123",), (None,)]
    bad = {"ms": "2024-01-01 00:00:00.1234", "ns": "1600-01-01"}.get(unit)
    if bad:
        mariadb.execute(f"INSERT INTO t VALUES ('{bad}')", database=fresh)
        assert refused(into(mariadb, fresh, tmp_path, **spec))["code"] == Code.VALUE_NOT_REPRESENTABLE


@pytest.mark.parametrize(
    "csv",
    [
        {"delimiter": ";", "quote": "'", "header": False},
        {"delimiter": "\t", "quote": '"', "header": True},
        {"delimiter": "-", "quote": "|", "header": True},
        {"delimiter": "1", "quote": '"', "header": True},
    ],
)
def test_csv_dialects(mariadb: MysqlEndpoint, fresh: str, tmp_path: Path, csv: dict[str, Any]) -> None:
    """slug: file-csv-dialect"""
    mariadb.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a varchar(20), b date);"
        "INSERT INTO t VALUES (1, '', '2024-01-01'), (2, NULL, NULL), (-3, '\\'\"|;\\t-1\\n', '2024-12-31')",
        database=fresh,
    )
    done(into(mariadb, fresh, tmp_path, fileFormat="csv", format={"csv": csv}))
    want = [("-3", "'\"|;\t-1\n", "2024-12-31"), ("1", "", "2024-01-01"), ("2", None, None)]
    assert files.duck(tmp_path, "t") == want
    found = files.arrow(tmp_path, "t").to_pylist()
    assert sorted(tuple(row.values()) for row in found) == want


def test_a_column_of_nulls_and_empty_strings(mariadb: MysqlEndpoint, fresh: str, tmp_path: Path) -> None:
    """slug: file-csv-null"""
    mariadb.execute(
        "CREATE TABLE t (a varchar(5)); INSERT INTO t VALUES (NULL), (''), ('\\\\N'), ('x'), (NULL)",
        database=fresh,
    )
    done(into(mariadb, fresh, tmp_path, fileFormat="csv"))
    want = ["", "\\N", "x", None, None]
    assert [row[0] for row in files.duck(tmp_path, "t")] == want
    found = files.arrow(tmp_path, "t").column("a").to_pylist()
    assert sorted(found, key=lambda value: (value is None, value or "")) == want


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"fileFormat": "csv", "format": {"compression": "snappy"}}, "format.compression"),
        ({"fileFormat": "jsonl", "format": {"compression": "snappy"}}, "format.compression"),
        ({"fileFormat": "csv", "format": {"parquet": {"maxRowGroupSize": 5}}}, "format.parquet"),
        ({"fileFormat": "parquet", "format": {"csv": {"delimiter": ";"}}}, "format.csv"),
        ({"fileFormat": "csv", "format": {"csv": {"delimiter": '"'}}}, "format.csv.quote"),
        ({"fileFormat": "csv", "format": {"csv": {"delimiter": "\n"}}}, "format.csv.delimiter"),
        ({"fileFormat": "csv", "format": {"csv": {"quote": "a"}}}, "format.csv.quote"),
        ({"format": {"parquet": {"compressionLevel": 3}}}, "format.parquet.compressionLevel"),
        (
            {"format": {"parquet": {"compressionCodec": "gzip", "compressionLevel": 22}}},
            "format.parquet.compressionLevel",
        ),
        ({"fileFormat": "csv", "path": "x.csv.gz"}, "path"),
        ({"path": "a/_dbstreams_checkpoint"}, "path"),
    ],
)
def test_options_that_cannot_be_honoured_are_refused(
    mariadb: MysqlEndpoint, shop: str, tmp_path: Path, spec: dict[str, Any], field: str
) -> None:
    """slug: file-options"""
    error = refused(into(mariadb, shop, tmp_path, **spec))
    assert error["code"] == Code.VALIDATION_FAILED
    assert error["details"]["fields"][0]["field"] == field


@pytest.mark.parametrize(
    ("policies", "policy"),
    [
        ({"nulByte": "bytea"}, "nulByte"),
        ({"geometry": "postgis"}, "geometry"),
        ({"caseInsensitiveText": "icu"}, "caseInsensitiveText"),
        ({"triggers": "fire"}, "triggers"),
    ],
)
def test_policies_without_a_meaning_are_refused(
    mariadb: MysqlEndpoint, shop: str, tmp_path: Path, policies: dict[str, str], policy: str
) -> None:
    """slug: file-policies"""
    error = refused(into(mariadb, shop, tmp_path, policies=policies))
    assert error["details"]["notes"][0]["policy"] == policy


@pytest.mark.parametrize("path", ["../out", "a/../../out", "/etc", "link/in"])
def test_nothing_leaves_the_base_path(mariadb: MysqlEndpoint, shop: str, tmp_path: Path, path: str) -> None:
    """slug: file-base-path"""
    base, outside = tmp_path / "base", tmp_path / "outside"
    base.mkdir()
    outside.mkdir()
    (base / "link").symlink_to(outside)
    assert refused(into(mariadb, shop, base, path=path))["code"] == Code.PATH_NOT_ALLOWED
    assert everything(outside) == set()
    (base / "safe").mkdir()
    (base / "inner").symlink_to(base / "safe")
    done(into(mariadb, shop, base, path="inner/x", tables=["u"]))
    assert (base / "safe/x/_dbstreams_manifest.json").exists()


def test_why_a_folder_cannot_be_used(tmp_path: Path) -> None:
    """slug: file-connection"""
    (tmp_path / "file").write_text("x")
    for path, reason in (
        (tmp_path / "none", "missing"),
        (tmp_path / "file", "not_a_folder"),
        ("relative", "relative"),
    ):
        with pytest.raises(EngineError) as failed:
            registry.server(files.files_connection(path)).test()
        assert (failed.value.code, failed.value.details["reason"]) == (Code.CONNECTION_FAILED, reason)
    answer = registry.server(files.files_connection(tmp_path)).test()
    assert (answer["ping"], answer["writable"]) == ("ok", True)


# ---------------------------------------------------------------- names


def test_names_that_readers_would_take_for_one(
    postgres: PostgresEndpoint, fresh_pg: str, tmp_path: Path
) -> None:
    """slug: file-names"""
    postgres.execute(
        'CREATE TABLE "T" (a int, "A" int, "A_1" int); INSERT INTO "T" VALUES (1, 2, 3);'
        'CREATE TABLE t (x int); CREATE TABLE "a/b %.." (x int); INSERT INTO "a/b %.." VALUES (7);',
        database=fresh_pg,
    )
    stream = into(postgres, fresh_pg, tmp_path, rename={"public.t.x": "y"})
    _, report = finish(stream)
    assert {"case-collision", "table-folder"} <= {fields.get("slug") for _, _, fields in report.logs}
    tables = {table.structure.name: table for table in files.manifest(tmp_path).tables}
    assert sorted(tables) == ["T", "a/b %..", "t"]
    big = tables["T"]
    names = {column.source.name: column.name for column in big.columns}
    assert names == {"a": "a", "A": "A_2", "A_1": "A_1"}
    assert files.duck(tmp_path, big.name, "a, A_2, A_1") == [(1, 2, 3)]
    assert files.duck(tmp_path, "a/b %..", "x") == [(7,)]
    assert [column.name for column in tables["t"].columns] == ["y"]
    assert len({table.name.casefold() for table in tables.values()}) == 3
    error = refused(into(postgres, fresh_pg, tmp_path, rename={"public.none": "z"}))
    assert error["code"] == Code.VALIDATION_FAILED


# ---------------------------------------------------------------- policies


@pytest.mark.parametrize("file_format", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("policy", ["refuse", "null", "sentinel"])
def test_infinities(
    postgres: PostgresEndpoint, fresh_pg: str, tmp_path: Path, file_format: str, policy: str
) -> None:
    """slug: file-infinity"""
    postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, d date, s timestamp, z timestamptz);"
        "INSERT INTO t VALUES (1, 'infinity', 'infinity', 'infinity'), (2, '-infinity', '-infinity',"
        " '-infinity'), (3, '2024-01-01', '2024-01-01', '2024-01-01Z')",
        database=fresh_pg,
    )
    stream = into(postgres, fresh_pg, tmp_path, fileFormat=file_format, policies={"infinity": policy})
    if policy == "refuse":
        error = refused(stream)
        assert error["code"] == Code.VALUE_NOT_REPRESENTABLE
        assert error["details"]["reason"] == "infinity"
        return
    outcome, _ = finish(stream)
    counted = {note["column"]: note["count"] for note in outcome.notes if note.get("policy") == "infinity"}
    if policy == "null":
        assert counted == {"d": 2, "s": 2, "z": 2}
        assert files.duck(tmp_path, "t", "count(d), count(s), count(z)", "1") == [(1, 1, 1)]
    elif file_format == "parquet":
        table = files.arrow(tmp_path, "t").combine_chunks()
        days = table.column("d").chunk(0).view(pa.int32()).to_pylist()
        assert sorted(days)[::2] == [-(2**31), 2**31 - 1]
        moments = table.column("z").chunk(0).view(pa.int64()).to_pylist()
        assert sorted(moments)[::2] == [-(2**63), 2**63 - 1]
    else:
        with duckdb.connect():
            found = files.duck(tmp_path, "t", "d, s, z", "id::int")
        assert found[:2] == [("infinity",) * 3, ("-infinity",) * 3]


def test_numbers_that_are_none(postgres: PostgresEndpoint, fresh_pg: str, tmp_path: Path) -> None:
    """slug: file-nan"""
    postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, n numeric(10,2)); INSERT INTO t VALUES (1, 'NaN'), (2, 1.5)",
        database=fresh_pg,
    )
    assert refused(into(postgres, fresh_pg, tmp_path))["details"]["reason"] == "nan"
    done(into(postgres, fresh_pg, tmp_path / "", fileFormat="csv", path="csv"))
    assert files.duck(tmp_path / "csv", "t") == [("1", "NaN"), ("2", "1.50")]
    done(into(postgres, fresh_pg, tmp_path, policies={"nan": "null"}, path="null"))
    assert files.duck(tmp_path / "null", "t") == [("1", None), ("2", "1.50")]


@pytest.mark.parametrize(
    ("policy", "kept", "count"), [("refuse", "a\0b", 0), ("strip", "ab", 1), ("replace", "a\ufffdb", 1)]
)
def test_nul_in_text(
    mariadb: MysqlEndpoint, fresh: str, tmp_path: Path, policy: str, kept: str, count: int
) -> None:
    """slug: file-nul"""
    mariadb.execute("CREATE TABLE t (a varchar(9)); INSERT INTO t VALUES ('a\\0b')", database=fresh)
    outcome, _ = finish(into(mariadb, fresh, tmp_path, policies={"nulByte": policy}))
    assert files.duck(tmp_path, "t") == [(kept,)]
    assert sum(note["count"] for note in outcome.notes if note.get("policy") == "nulByte") == count


@pytest.mark.parametrize(
    ("policies", "parquet", "csv"),
    [
        ({}, "uuid", "00112233-4455-6677-8899-aabbccddeeff"),
        ({"uuid": "char"}, "string", "00112233-4455-6677-8899-aabbccddeeff"),
        ({"uuid": "binary"}, "fixed_size_binary[16]", "ABEiM0RVZneImaq7zN3u/w=="),
    ],
)
def test_uuids(
    mariadb: MysqlEndpoint, fresh: str, tmp_path: Path, policies: dict[str, str], parquet: str, csv: str
) -> None:
    """slug: file-uuid"""
    mariadb.execute(
        "CREATE TABLE t (a uuid); INSERT INTO t VALUES ('00112233-4455-6677-8899-aabbccddeeff')",
        database=fresh,
    )
    done(into(mariadb, fresh, tmp_path, policies=policies, path="p"))
    kind = files.arrow(tmp_path / "p", "t").schema.field("a").type
    assert ("uuid" if kind == pa.uuid() else str(kind)) == parquet
    done(into(mariadb, fresh, tmp_path, policies=policies, path="c", fileFormat="csv"))
    assert files.duck(tmp_path / "c", "t") == [(csv,)]


def test_times_as_times(mariadb: MysqlEndpoint, fresh: str, tmp_path: Path) -> None:
    """slug: file-time"""
    mariadb.execute("CREATE TABLE t (a time(6)); INSERT INTO t VALUES ('23:59:59.5')", database=fresh)
    spec: dict[str, Any] = {"policies": {"time": "time"}}
    done(into(mariadb, fresh, tmp_path, **spec))
    assert files.arrow(tmp_path, "t").schema.field("a").type == pa.time64("us")
    assert files.duck(tmp_path, "t") == [("23:59:59.5",)]
    mariadb.execute("INSERT INTO t VALUES ('24:00:00')", database=fresh)
    assert refused(into(mariadb, fresh, tmp_path, **spec))["details"]["reason"] == "out-of-range"


@pytest.mark.parametrize("policy", ["auto", "text"])
@pytest.mark.parametrize("file_format", ["json", "jsonl"])
def test_json_in_json(
    postgres: PostgresEndpoint, fresh_pg: str, tmp_path: Path, file_format: str, policy: str
) -> None:
    """slug: file-json"""
    exact = '{"a":\n 1.10, "a": 123456789012345678901234567890}'
    postgres.execute("CREATE TABLE t (a json)", database=fresh_pg)
    postgres.execute("INSERT INTO t VALUES (%s)", (exact,), database=fresh_pg)
    done(into(postgres, fresh_pg, tmp_path, fileFormat=file_format, policies={"json": policy}))
    body = Path(files.paths(tmp_path, "t")[0]).read_text()
    if policy == "text":
        row = json.loads(body)
        assert (row[0] if file_format == "json" else row)["a"] == exact
    elif file_format == "json":
        assert exact in body
    else:
        assert body == '{"a":' + exact.replace("\n", " ") + "}\n"


@pytest.mark.parametrize("file_format", ["json", "jsonl"])
def test_a_null_of_json_is_not_null(
    postgres: PostgresEndpoint, fresh_pg: str, tmp_path: Path, file_format: str
) -> None:
    """slug: file-json-null"""
    postgres.execute("CREATE TABLE t (id int PRIMARY KEY, a jsonb)", database=fresh_pg)
    postgres.execute("INSERT INTO t VALUES (1, NULL), (2, ' null ')", database=fresh_pg)
    error = refused(into(postgres, fresh_pg, tmp_path, fileFormat=file_format))
    assert (error["code"], error["details"]["reason"]) == (Code.VALUE_NOT_REPRESENTABLE, "json-null")
    assert error["details"]["key"] == {"id": "2"}
    done(into(postgres, fresh_pg, tmp_path, fileFormat=file_format, policies={"json": "text"}))
    assert files.duck(tmp_path, "t", order="id::int") == [("1", None), ("2", '"null"')]


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_a_null_of_json_in_text_is_kept(
    postgres: PostgresEndpoint, fresh_pg: str, tmp_path: Path, file_format: str
) -> None:
    """slug: file-json-null"""
    postgres.execute("CREATE TABLE t (id int PRIMARY KEY, a jsonb)", database=fresh_pg)
    postgres.execute("INSERT INTO t VALUES (1, NULL), (2, 'null')", database=fresh_pg)
    done(into(postgres, fresh_pg, tmp_path, fileFormat=file_format))
    assert files.duck(tmp_path, "t", order="id::int") == [("1", None), ("2", "null")]


# ---------------------------------------------------------------- structure that comes back


def test_the_manifest_keeps_the_structure(mariadb: MysqlEndpoint, fresh: str, tmp_path: Path) -> None:
    """slug: file-manifest"""
    mariadb.execute(
        "CREATE TABLE t (id bigint unsigned AUTO_INCREMENT PRIMARY KEY,"
        " e enum('x','y') DEFAULT 'y' COMMENT 'c',"
        " n int, g int AS (n * 2) STORED, b varbinary(9) DEFAULT x'00ff', UNIQUE KEY k (e, b(3)))",
        database=fresh,
    )
    stream = into(mariadb, fresh, tmp_path)
    done(stream)
    table = files.manifest(tmp_path).tables[0]
    source = registry.open_source(stream.connections["source"], stream.config.source.connections[0])
    (original,) = source.catalog(fresh).tables
    source.close()
    assert table.structure.columns == original.columns
    assert (table.structure.primary_key, table.structure.indexes) == (original.primary_key, original.indexes)
    assert (table.structure.dialect, table.structure.schema) == ("mariadb", fresh)
    (file,) = table.files
    assert file.sha256 is not None
    assert file.rows == 0


# ---------------------------------------------------------------- more than one stream


def test_two_streams_into_one_folder_keep_apart(mariadb: MysqlEndpoint, shop: str, tmp_path: Path) -> None:
    """slug: file-two-streams"""
    streams = [into(mariadb, shop, tmp_path, tables=["t"]) for _ in range(2)]
    outcomes: list[Any] = []
    threads = [threading.Thread(target=lambda s=s: outcomes.append(run(s)[0])) for s in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.status for outcome in outcomes] == ["FINISHED"] * 2
    for stream in streams:
        cleanup(stream)
    want = [row for row in rows_of(mariadb, shop) for _ in range(2)]
    assert files.duck(tmp_path, "t", order="id::int") == want
    only_listed(tmp_path)


def test_a_stream_given_up_leaves_nothing(mariadb: MysqlEndpoint, fresh: str, tmp_path: Path) -> None:
    """slug: file-forget"""
    mariadb.execute(
        "CREATE TABLE t (id int PRIMARY KEY, d date);"
        "SET sql_mode = ''; INSERT INTO t SELECT seq, '2024-01-01' FROM seq_1_to_5000;"
        "UPDATE t SET d = '0000-00-00' WHERE id = 4900",
        database=fresh,
    )
    mariadb.query("ANALYZE TABLE t", database=fresh)
    stream = into(mariadb, fresh, tmp_path)
    assert refused(stream)["code"] == Code.VALUE_NOT_REPRESENTABLE
    assert any("part-" in path for path in everything(tmp_path))
    assert not (tmp_path / "_dbstreams_manifest.json").exists()
    cleanup(stream)
    assert everything(tmp_path) == set()


# ---------------------------------------------------------------- processes killed


@pytest.mark.parametrize(
    ("point", "spec"),
    [
        ("during_chunk:3", {}),
        ("before_chunk_commit:2", {"fileFormat": "csv", "format": {"compression": "gzip"}}),
        ("after_chunk_commit:2", {"writeMode": "truncate_and_load"}),
        ("before_manifest", {"writeMode": "truncate_and_load"}),
        ("after_manifest", {"writeMode": "truncate_and_load"}),
        ("after_manifest", {}),
        ("before_manifest", {"path": "x/one.parquet"}),
        ("after_manifest", {"path": "x/one.json", "fileFormat": "json"}),
        ("after_finished", {"path": "x/one.jsonl", "fileFormat": "jsonl"}),
    ],
)
def test_a_killed_worker_resumes_to_exactly_the_rows(
    mariadb: MysqlEndpoint,
    shop: str,
    tmp_path: Path,
    point: str,
    spec: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """slug: file-crash"""
    replaces = spec.get("writeMode") == "truncate_and_load"
    if replaces:
        done(into(mariadb, shop, tmp_path, tables=["t"]))
    before = everything(tmp_path)
    stream = into(mariadb, shop, tmp_path, tables=["t"], **spec)
    monkeypatch.setenv("DBSTREAMS_FAILPOINT", point)
    assert in_a_worker(stream).code == -9
    monkeypatch.delenv("DBSTREAMS_FAILPOINT")
    if point != "after_manifest":
        assert before <= everything(tmp_path)
    resumed = in_a_worker(stream).result
    assert resumed["status"] == "FINISHED", resumed["error"]
    cleanup(stream)
    folder = tmp_path / "x" if "path" in spec else tmp_path
    assert files.duck(folder, "t", order="id::int") == rows_of(mariadb, shop)
    only_listed(folder)


def test_a_straggler_commits_nothing(mariadb: MysqlEndpoint, shop: str, tmp_path: Path) -> None:
    """slug: file-epoch"""
    stream = into(mariadb, shop, tmp_path, stream_id="stream_twice")
    spec = stream.config.target.spec
    old, new = (registry.open_target(stream.connections["target"], spec, "stream_twice") for _ in range(2))
    assert (old.claim(), new.claim()) == (False, True)
    with pytest.raises(EngineError) as failed:
        old.put_stream("running", {})
    assert failed.value.code is Code.EPOCH_SUPERSEDED
    new.put_stream("running", {"a": 1})
    assert new.stream_detail() == {"a": 1}


def test_memory_is_bounded(mariadb: MysqlEndpoint, fresh: str, tmp_path: Path) -> None:
    """slug: file-memory"""
    mariadb.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a varchar(255), b mediumblob, d decimal(10,2));"
        "INSERT INTO t SELECT seq, REPEAT('a', seq % 200), REPEAT(SHA2(seq, 512), 118), seq / 4"
        " FROM seq_1_to_20000;",
        database=fresh,
    )
    mariadb.query("ANALYZE TABLE t", database=fresh)
    for number, file_format in enumerate(("parquet", "jsonl")):
        stream = into(
            mariadb,
            fresh,
            tmp_path,
            fileFormat=file_format,
            path=f"{number}",
            format={"compression": "zstd"},
            options={"workers": 2},
        )
        result = in_a_worker(stream).result
        assert (result["status"], result["rows"]) == ("FINISHED", 20_000)
        assert result["peakRssBytes"] < 300 << 20


def test_the_plan_says_how_columns_are_written(mariadb: MysqlEndpoint, fresh: str, tmp_path: Path) -> None:
    """slug: file-plan"""
    mariadb.execute("CREATE TABLE t (a decimal(65,30), b bit(3), c time, d datetime)", database=fresh)
    plan = plan_stream(into(mariadb, fresh, tmp_path))
    types = {column["source"]: column["targetType"] for column in plan["tables"][0]["columns"]}
    assert types == {"a": "string", "b": "string", "c": "string", "d": "timestamp[us]"}
    assert "file-text-type" in {note["slug"] for note in plan["notes"]}
    assert plan["executable"]
    assert os.listdir(tmp_path) == []
