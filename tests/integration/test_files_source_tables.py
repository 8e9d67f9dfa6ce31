"""Which files become which tables, what is outside, and the types of Parquet."""

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

from benchmarks.endpoints import PostgresEndpoint
from engine.connectors.files.source import open_source
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
        ({"paths": ["a.csv"], "columns": {"zzz": "DATE"}}, "UNKNOWN_COLUMN", "zzz"),
        ({"paths": ["j.jsonl"], "csv": {"delimiter": ";"}}, "VALIDATION_FAILED", "no CSV file"),
        ({"paths": ["a.csv"], "csv": {"encoding": "klingon"}}, "VALIDATION_FAILED", "klingon"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, postgres: PostgresEndpoint, reading: dict[str, Any], code: str, said: str
) -> None:
    """files-outside, files-collision: nothing outside the base path is opened, whatever leads there."""
    base = tmp_path / "base"
    write(tmp_path, secret_dot_csv="x\n1\n")
    write(base, a_dot_csv="x\n1\n", sub__a_dot_csv="x\n1\n", odd_dot_bin="x", j_dot_jsonl='{"x": 1}')
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
    ("iv", "INTERVAL '14 months 3 days 4 seconds'", "interval", "1 year 2 mons 3 days 00:00:04"),
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
