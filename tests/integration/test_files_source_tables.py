"""Which files become which tables, what is outside, Parquet's types, selections, chunks and resuming."""

from __future__ import annotations

import datetime
import os
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
from engine.connectors.files.source import open_source
from engine.streams.job import StreamJob
from tests import running
from tests.integration.file_sources import files_connection, job, printed, types_of
from tests.integration.test_files_source import loaded, refused

pytestmark = pytest.mark.integration


NOWHERE = PostgresEndpoint("127.0.0.1", 1, "nobody", "")


def write(folder: Path, **files: str) -> None:
    """Files by path, '__' for '/' and '_dot_' for '.'."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def tables_in(folder: Path, **reading: Any) -> dict[str, list[str]]:
    """Table → its files, as the source says without reading."""
    config = job(files_connection(folder), NOWHERE, "x", **reading).config
    source = open_source(files_connection(folder), config.source.connections[0])
    try:
        return {name: [file.path for file in table.files] for name, table in source.tables().items()}
    finally:
        source.close()


TREE = {
    "a_dot_csv": "x\n1\n",
    "b_dot_csv_dot_gz": "",
    "sub__c_dot_jsonl": '{"x": 1}\n',
    "sub__deep__d_dot_csv": "x\n1\n",
    "sub__deep__e_dot_csv": "x\n2\n",
    "notes_dot_md": "",
}


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ({"paths": ["a.csv"]}, {"a": ["a.csv"]}),
        ({"paths": ["*.csv"]}, {"a": ["a.csv"]}),
        ({"paths": ["**/*.csv"]}, {"a": ["a.csv"], "d": ["sub/deep/d.csv"], "e": ["sub/deep/e.csv"]}),
        ({"paths": ["sub/*"]}, {"c": ["sub/c.jsonl"]}),
        ({"paths": ["sub/deep/[!d].csv"]}, {"e": ["sub/deep/e.csv"]}),
        ({"basePath": "sub/deep"}, {"d": ["d.csv"], "e": ["e.csv"]}),
        ({"paths": ["sub/deep"], "tables": "folder"}, {"deep": ["sub/deep/d.csv", "sub/deep/e.csv"]}),
        ({"paths": ["notes.md"], "format": "csv"}, {"notes": ["notes.md"]}),
        (
            {},
            {
                "a": ["a.csv"],
                "b": ["b.csv.gz"],
                "c": ["sub/c.jsonl"],
                "d": ["sub/deep/d.csv"],
                "e": ["sub/deep/e.csv"],
            },
        ),
    ],
)
def test_what_is_chosen(tmp_path: Path, reading: dict[str, Any], expected: dict[str, list[str]]) -> None:
    """files-choice."""
    write(tmp_path, **TREE)
    assert tables_in(tmp_path, **reading) == expected


@pytest.mark.parametrize(
    ("reading", "code", "said"),
    [
        ({"paths": ["../secret.csv"]}, "PATH_NOT_ALLOWED", "../secret.csv"),
        ({"paths": ["/etc/passwd"]}, "PATH_NOT_ALLOWED", "/etc/passwd"),
        ({"paths": ["link.csv"]}, "PATH_NOT_ALLOWED", "link.csv"),
        ({"paths": ["out/secret.csv"]}, "PATH_NOT_ALLOWED", "out/secret.csv"),
        ({"paths": ["pipe.csv"]}, "PATH_NOT_ALLOWED", "pipe.csv"),
        ({"basePath": ".."}, "PATH_NOT_ALLOWED", ".."),
        ({"paths": ["missing.csv"]}, "VALIDATION_FAILED", "missing.csv"),
        ({"paths": ["*.parquet"]}, "VALIDATION_FAILED", "*.parquet"),
        ({"paths": ["odd.bin"]}, "VALIDATION_FAILED", "format"),
        ({"paths": ["a.csv", "sub/a.csv"]}, "VALIDATION_FAILED", "two tables would be called a"),
        ({"paths": ["a.csv"], "columns": {"x": "WHATEVER"}}, "VALIDATION_FAILED", "WHATEVER"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, postgres: PostgresEndpoint, reading: dict[str, Any], code: str, said: str
) -> None:
    """files-outside, files-collision: nothing outside the base path is opened, whatever leads there."""
    base = tmp_path / "base"
    write(tmp_path, secret_dot_csv="x\n1\n")
    write(base, a_dot_csv="x\n1\n", sub__a_dot_csv="x\n1\n", odd_dot_bin="x")
    (base / "link.csv").symlink_to(tmp_path / "secret.csv")
    (base / "out").symlink_to(tmp_path)
    os.mkfifo(base / "pipe.csv")
    error = refused(base, postgres, **reading)
    assert error["code"] == code
    assert said in error["error"]


def test_links_that_lead_out_are_not_in_a_folder(tmp_path: Path) -> None:
    """files-outside: a folder is what is in it."""
    base = tmp_path / "base"
    write(tmp_path, secret_dot_csv="x\n1\n")
    write(base, a_dot_csv="x\n1\n")
    (base / "link.csv").symlink_to(tmp_path / "secret.csv")
    (base / "out").symlink_to(tmp_path)
    os.mkfifo(base / "pipe.csv")
    assert tables_in(base) == {"a": ["a.csv"]}


@pytest.mark.parametrize(
    ("files", "column", "file"),
    [
        ({"a_dot_csv": "x,y\n1,2\n", "b_dot_csv": "x,z\n1,2\n"}, "z", "b.csv"),
        ({"a_dot_csv": "x,y\n1,2\n", "b_dot_csv": "x\n1\n"}, "y", "b.csv"),
        ({"a_dot_csv": "x,y\n1,2\n", "b_dot_csv": "y,x\n1,2\n"}, "(their order)", "b.csv"),
    ],
)
def test_a_folder_of_two_shapes(
    tmp_path: Path, postgres: PostgresEndpoint, files: dict[str, str], column: str, file: str
) -> None:
    """files-one-shape."""
    write(tmp_path, **files)
    error = refused(tmp_path, postgres, tables="folder")
    assert error["code"] == "STRUCTURE_MISMATCH"
    assert (error["details"]["column"], error["details"]["file"]) == (column, file)


def test_a_folder_of_one_shape(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """files-one-shape: types are those that hold every file's values."""
    write(tmp_path, t__a_dot_csv="x,y\n1,a\n", t__b_dot_csv="x,y\n2.50,\n")
    database, _ = loaded(tmp_path, postgres, tables="folder")
    assert types_of(postgres, database, "t") == {"x": "numeric(18,2)", "y": "text"}
    assert printed(postgres, database, "t") == [("1.00", "a"), ("2.50", None)]


# ---------------------------------------------------------------- Parquet

NOON = datetime.datetime(2024, 1, 2, 12, tzinfo=datetime.UTC)
KEY = uuid.UUID("9aa8996b-26de-44c4-8067-11198944f1c0")


def column(kind: pa.DataType, value: Any) -> pa.Array:
    return pa.array([value, None], kind)


PARQUET = [
    ("u64", column(pa.uint64(), 2**64 - 1), "numeric(20,0)", "18446744073709551615"),
    ("i8", column(pa.int8(), -128), "smallint", "-128"),
    ("u32", column(pa.uint32(), 2**32 - 1), "bigint", "4294967295"),
    ("f16", pa.array([1.5, None], pa.float16()), "real", "1.5"),
    ("nan", column(pa.float64(), float("nan")), "double precision", "NaN"),
    ("dec", column(pa.decimal128(10, 2), Decimal("1.10")), "numeric(10,2)", "1.10"),
    ("d38", column(pa.decimal128(38, 0), Decimal(10**37)), "numeric(38,0)", str(10**37)),
    ("d65", column(pa.decimal256(65, 30), Decimal("1.5")), "numeric(65,30)", "1." + "5".ljust(30, "0")),
    ("day", column(pa.date32(), datetime.date(1, 1, 1)), "date", "0001-01-01"),
    (
        "t32",
        column(pa.time32("ms"), datetime.time(1, 2, 3, 4000)),
        "time(3) without time zone",
        "01:02:03.004",
    ),
    (
        "t64",
        column(pa.time64("us"), datetime.time(1, 2, 3, 4)),
        "time(6) without time zone",
        "01:02:03.000004",
    ),
    (
        "ms",
        column(pa.timestamp("ms"), NOON.replace(tzinfo=None)),
        "timestamp(3) without time zone",
        "2024-01-02 12:00:00",
    ),
    (
        "tz",
        column(pa.timestamp("us", "Asia/Kolkata"), NOON),
        "timestamp(6) with time zone",
        "2024-01-02 12:00:00+00",
    ),
    ("bin", column(pa.binary(), b"\x00\xff"), "bytea", "\\x00ff"),
    ("fix", column(pa.binary(2), b"\x00\xff"), "bytea", "\\x00ff"),
    ("uid", column(pa.uuid(), KEY.bytes), "uuid", str(KEY)),
    ("txt", column(pa.large_string(), "é\n"), "text", "é\n"),
    ("dic", pa.array(["x", None]).dictionary_encode(), "text", "x"),
    ("bool", column(pa.bool_(), True), "boolean", "true"),
    ("list", column(pa.list_(pa.int64()), [1, 2**62, None]), "json", f"[1, {2**62}, null]"),
    (
        "rec",
        column(
            pa.struct([("a", pa.decimal128(5, 2)), ("b", pa.binary())]), {"a": Decimal("1.10"), "b": b"\0"}
        ),
        "json",
        '{"a": 1.10, "b": "AA=="}',
    ),
    ("map", column(pa.map_(pa.string(), pa.int8()), [("k", 1)]), "json", '[{"key": "k", "value": 1}]'),
    ("none", pa.nulls(2), "text", None),
]


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
def test_parquet_types(tmp_path: Path, postgres: PostgresEndpoint, codec: str) -> None:
    """parquet-types: what pyarrow writes, by what PostgreSQL prints."""
    table = pa.table([array for _, array, _, _ in PARQUET], [name for name, _, _, _ in PARQUET])
    pq.write_table(table, tmp_path / "t.parquet", compression=codec)
    database, _ = loaded(tmp_path, postgres)
    assert types_of(postgres, database, "t") == {name: kind for name, _, kind, _ in PARQUET}
    rows = printed(postgres, database, "t")
    assert rows[0] == tuple(text for _, _, _, text in PARQUET)
    assert rows[1] == (None,) * len(PARQUET)


DUCKDB = [
    ("i", "7::UTINYINT", "smallint", "7"),
    ("d", "1.10::DECIMAL(4,2)", "numeric(4,2)", "1.10"),
    (
        "ts",
        "TIMESTAMP '2024-01-02 03:04:05.678901'",
        "timestamp(6) without time zone",
        "2024-01-02 03:04:05.678901",
    ),
    ("tz", "TIMESTAMPTZ '2024-01-02 03:04:05+00'", "timestamp(6) with time zone", "2024-01-02 03:04:05+00"),
    ("u", f"UUID '{KEY}'", "uuid", str(KEY)),
    ("l", "['a', NULL]", "json", '["a", null]'),
    ("t", "TIME '23:59:59.5'", "time(6) without time zone", "23:59:59.5"),
    ("e", "'x'::ENUM('x', 'y')", "text", "x"),
]


def test_parquet_of_duckdb(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """parquet-types: what DuckDB writes."""
    columns = ", ".join(f"{sql} AS {name}" for name, sql, _, _ in DUCKDB)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY (SELECT {columns}) TO '{tmp_path}/t.parquet' (FORMAT parquet)")
    database, _ = loaded(tmp_path, postgres)
    assert types_of(postgres, database, "t") == {name: kind for name, _, kind, _ in DUCKDB}
    assert printed(postgres, database, "t") == [tuple(text for _, _, _, text in DUCKDB)]


def test_parquet_int96(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """parquet-int96: years that nanoseconds do not reach are read right."""
    moments = pa.array(["0001-01-01 00:00:00", "9999-12-31 23:59:59"]).cast(pa.timestamp("us"))
    table = pa.table({"at": moments})
    pq.write_table(table, tmp_path / "t.parquet", use_deprecated_int96_timestamps=True)
    database, notes = loaded(tmp_path, postgres)
    assert printed(postgres, database, "t") == [("0001-01-01 00:00:00",), ("9999-12-31 23:59:59",)]
    assert any("INT96" in note for note in notes)


def test_parquet_nanoseconds(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """parquet-nanoseconds: a value that microseconds cannot hold is named, not cut."""
    pq.write_table(pa.table({"at": pa.array([1000, 2000], pa.timestamp("ns"))}), tmp_path / "t.parquet")
    database, _ = loaded(tmp_path, postgres)
    assert printed(postgres, database, "t")[1] == ("1970-01-01 00:00:00.000002",)
    pq.write_table(pa.table({"at": pa.array([1000, 1001], pa.timestamp("ns"))}), tmp_path / "t.parquet")
    error = refused(tmp_path, postgres, paths=["t.parquet"])
    assert error["code"] == "VALUE_NOT_REPRESENTABLE"
    assert "row 2" in error["error"]


def test_parquet_names(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """column-renamed: dots, repetitions and case, as in CSV."""
    table = pa.table([pa.array([1]), pa.array([2]), pa.array([3]), pa.array([4])], ["a.b", "a", "a", "A"])
    pq.write_table(table, tmp_path / "t.parquet")
    database, _ = loaded(tmp_path, postgres)
    assert list(types_of(postgres, database, "t")) == ["a.b", "a", "a_2", "A"]
    assert printed(postgres, database, "t") == [("1", "2", "3", "4")]


def test_damaged_parquet(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """parquet-damaged."""
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing else")
    error = refused(tmp_path, postgres)
    assert (error["code"], error["details"]["file"]) == ("ROW_REJECTED", "t.parquet")


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
