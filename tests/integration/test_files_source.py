"""CSV, JSON and Parquet files into PostgreSQL, compared by what PostgreSQL prints."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from benchmarks.endpoints import PostgresEndpoint
from tests import running
from tests.integration.file_sources import files_connection, job, printed, types_of

pytestmark = pytest.mark.integration


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(data)
    return bytes(sink.getvalue())


ANEW = {"schemaPolicy": "drop_and_recreate"}
_database: list[str] = []


def database_of(postgres: PostgresEndpoint) -> str:
    """One database for all these tests: making one takes longer than most of them."""
    if not _database:
        _database.append(str(postgres.database()))
    return _database[0]


def loaded(folder: Path, postgres: PostgresEndpoint, **reading: Any) -> tuple[str, list[str]]:
    """The database the folder was streamed into, and the messages of the notes."""
    database = database_of(postgres)
    outcome, _ = running.finish(job(files_connection(folder), postgres, database, db=ANEW, **reading))
    return database, [f"{note['slug']}: {note['message']}" for note in outcome.notes]


def refused(folder: Path, postgres: PostgresEndpoint, **reading: Any) -> dict[str, Any]:
    outcome, _ = running.run(job(files_connection(folder), postgres, database_of(postgres), **reading))
    assert outcome.status == "FAILED"
    assert outcome.error is not None
    return outcome.error


# ---------------------------------------------------------------- values

VALUES = (
    b"id,code,amount,day,at,moment,clock,flag,note,number,big\n"
    b'1,007,1.10,2024-01-02,2024-01-02 03:04:05.5,2024-01-02T03:04:05Z,03:04:05,true,"a\nb",1.5,'
    b"12345678901234567890\n"
    b"2,010,20.00,0001-01-01,2024-01-02 03:04:05,2024-01-02T03:04:05+05:30,23:59:59.25,false,,-2,1\n"
    b'3,,,,,,,,"",,\n'
)
TYPES = {
    "id": "bigint",
    "code": "text",
    "amount": "numeric(18,2)",
    "day": "date",
    "at": "timestamp(6) without time zone",
    "moment": "timestamp(6) with time zone",
    "clock": "time(6) without time zone",
    "flag": "boolean",
    "note": "text",
    "number": "double precision",
    "big": "numeric(38,0)",
}
MOMENTS = (
    ("2024-01-02", "2024-01-02 03:04:05.5", "2024-01-02 03:04:05+00", "03:04:05"),
    ("0001-01-01", "2024-01-02 03:04:05", "2024-01-01 21:34:05+00", "23:59:59.25"),
)
PRINTED = [
    ("1", "007", "1.10", *MOMENTS[0], "true", "a\nb", "1.5", "12345678901234567890"),
    ("2", "010", "20.00", *MOMENTS[1], "false", None, "-2", "1"),
    ("3", None, None, None, None, None, None, None, "", None, None),
]


@pytest.mark.parametrize(
    ("name", "data", "csv"),
    [
        ("t.csv", VALUES, {}),
        ("t.csv.gz", gzip.compress(VALUES[:60]) + gzip.compress(VALUES[60:]), {}),  # two members
        ("t.csv.zst", zstd(VALUES), {}),
        ("t.tsv", VALUES.replace(b",", b"\t"), {}),
        ("t.csv", b"\xef\xbb\xbf" + VALUES, {}),
        ("t.csv", VALUES.decode().encode("utf-16"), {}),
        ("t.csv", VALUES.replace(b",", b"|").replace(b"\n3", b"\n3"), {"delimiter": "|"}),
        ("t.csv", VALUES.replace(b"\n", b"\r\n").replace(b'"a\r\nb"', b'"a\nb"'), {}),
        ("t.csv", b"made by hand\n" + VALUES, {"skip": 1}),
        ("t.csv", VALUES.replace(b'""', b"''").replace(b'"', b"'"), {"quote": "'"}),
        ("t.csv.gz", gzip.compress(VALUES.decode().encode("cp1252")), {"encoding": "cp1252"}),
    ],
)
def test_csv_values(
    tmp_path: Path, postgres: PostgresEndpoint, name: str, data: bytes, csv: dict[str, Any]
) -> None:
    """csv-inference, csv-null, csv-leading-zeros, csv-packed, csv-encoding: one table however packed."""
    (tmp_path / name).write_bytes(data)
    database, _ = loaded(tmp_path, postgres, csv=csv)
    assert types_of(postgres, database, "t") == TYPES
    assert printed(postgres, database, "t") == PRINTED


@pytest.mark.parametrize(
    ("data", "csv", "expected"),
    [
        (b"v\n1\n\n3\n", {}, [("1",), (None,), ("3",)]),  # a line of nothing is a row of one NULL
        (b'v\nx\n""\n', {}, [("x",), ("",)]),
        (b"a,b\n\\N,1\n,2\n", {"null": "\\N"}, [(None, "1"), ("", "2")]),
        (b"a,b\nNA,nan\nNULL,x\n", {}, [("NA", "nan"), ("NULL", "x")]),
        (b"1,2\n3,4\n", {}, [("1", "2"), ("3", "4")]),  # no header
        (b"x,y\na,b\n", {"header": False}, [("x", "y"), ("a", "b")]),
        (b"a;b\n1,5;2\n", {}, [("1,5", "2")]),
        (b"a,b\n\n1,2\n\n\n", {}, [("1", "2")]),  # blank lines between records of several fields
        (b'a,b\n"x ""y"" z",1\n', {}, [('x "y" z', "1")]),
        (b'a,b\n"x \\"y\\" z",1\n', {"escape": "\\"}, [('x "y" z', "1")]),
        ("a,b\né,1\n".encode("latin-1"), {"encoding": "latin-1"}, [("é", "1")]),
    ],
)
def test_csv_dialects(
    tmp_path: Path, postgres: PostgresEndpoint, data: bytes, csv: dict[str, Any], expected: list[Any]
) -> None:
    """csv-null, csv-single-column, csv-dialect."""
    (tmp_path / "t.csv").write_bytes(data)
    database, _ = loaded(tmp_path, postgres, csv=csv)
    assert sorted(printed(postgres, database, "t", "ctid"), key=str) == sorted(expected, key=str)


@pytest.mark.parametrize(
    ("data", "code", "line", "said"),
    [
        (b'a,b,c\n1,"x\ny",3\n4,5\n6,7,8\n', "ROW_REJECTED", 4, "2 fields where there should be 3"),
        (b"a,b\n1,2\n1,2,3\n", "ROW_REJECTED", 3, "3 fields where there should be 2"),
        (b"a,b\n" + b"1,2\n" * 30_000 + b"3\n", "ROW_REJECTED", 30_002, "1 fields"),
        (b'a,b\n1,2\n2,"open\n3,4\n', "ROW_REJECTED", 3, "quoting is broken"),
        (b"a,b\n1,x\n2,\xff\xfe\n", "ROW_REJECTED", 3, "no UTF-8"),
        (b"title\n\nid,v\n1,2\n2,3\n", "ROW_REJECTED", 3, "set csv.skip to 2"),
        (b"", "VALIDATION_FAILED", None, "is empty"),
    ],
)
def test_broken_lines_are_named(
    tmp_path: Path, postgres: PostgresEndpoint, data: bytes, code: str, line: int | None, said: str
) -> None:
    """csv-strict: file, physical line and text of what is not in the dialect, and nothing is loaded."""
    (tmp_path / "t.csv").write_bytes(data)
    error = refused(tmp_path, postgres)
    assert error["code"] == code
    assert error["details"].get("line") == line
    assert "t.csv" in error["error"]
    assert said in error["error"]


def test_a_late_bad_value_is_named(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """csv-type-override: the line counts line ends inside quotes too."""
    rows = b'1,"two\nlines"\n' * 15_000
    (tmp_path / "t.csv").write_bytes(b"n,s\n" + rows + b"x9,end\n")
    error = refused(tmp_path, postgres, columns={"n": "INTEGER"})
    assert error["code"] == "VALUE_NOT_REPRESENTABLE"
    assert error["details"]["line"] == 30_002
    assert error["details"]["value"] == "x9"
    assert error["details"]["column"] == "n"


def test_headers_that_collide(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """column-renamed: `a` and `A` are two names; `a` twice, or nothing, is none."""
    (tmp_path / "t.csv").write_bytes(b"a,A,a,\n1,2,3,4\n")
    database, notes = loaded(tmp_path, postgres)
    assert list(types_of(postgres, database, "t")) == ["a", "A", "a_2", "column3"]
    assert printed(postgres, database, "t") == [("1", "2", "3", "4")]
    assert sum(note.startswith("column-renamed") for note in notes) == 2


def test_what_is_doubtful_is_said(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """csv-ambiguous-date, csv-leading-zeros, csv-all-null: the plan says what was taken for what."""
    (tmp_path / "t.csv").write_bytes(b"d,e,z,n\n01/02/2024,31/01/2024,007,\n03/04/2024,01/02/2024,1,\n")
    database, notes = loaded(tmp_path, postgres)
    assert types_of(postgres, database, "t") == {"d": "text", "e": "date", "z": "text", "n": "text"}
    assert printed(postgres, database, "t", "2 desc")[0] == ("03/04/2024", "2024-02-01", "1", None)
    doubts = {note.split(":")[1].strip(): note for note in notes if note.startswith("inferred-doubtful")}
    assert set(doubts) == {"t.d", "t.e", "t.z", "t.n"}
    assert "DATE '%d/%m/%Y'" in doubts["t.d"]
    assert "%d/%m/%Y" in doubts["t.e"]


# ---------------------------------------------------------------- JSON

JSON_ROWS = (
    '{"id": 1, "price": 1.10, "big": 12345678901234567890123, "s": "007", "at": "2024-01-02T03:04:05Z",'
    ' "ok": true, "nested": {"x": 1.10, "y": [1, 2]}, "mixed": "a", "tiny": 1e-7}',
    '{"id": 2, "price": 20.00, "big": 1, "s": "x\\u00e9\\n", "at": "2024-01-02T03:04:05+05:30", "ok": false,'
    ' "nested": [ ], "mixed": 1.50, "tiny": 2.5E3}',
    '{"id": 3, "price": null, "s": null}',
)
JSON_TYPES = {
    "id": "bigint",
    "price": "numeric(18,2)",
    "big": "numeric(38,0)",
    "s": "text",
    "at": "timestamp(6) with time zone",
    "ok": "boolean",
    "nested": "json",
    "mixed": "json",
    "tiny": "double precision",
}
NESTED = '{"x": 1.10, "y": [1, 2]}'
JSON_PRINTED = [
    ("1", "1.10", "12345678901234567890123", "007", "2024-01-02 03:04:05+00", "true", NESTED, '"a"', "1e-07"),
    ("2", "20.00", "1", "xé\n", "2024-01-01 21:34:05+00", "false", "[ ]", "1.50", "2500"),
    ("3", None, None, None, None, None, None, None, None),
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.jsonl", "\n".join(JSON_ROWS) + "\n"),
        ("t.ndjson", "\n".join(JSON_ROWS)),
        ("t.json", "[" + ",\n ".join(JSON_ROWS) + "]\n"),
        ("t.json", " \n".join(JSON_ROWS)),
        ("t.jsonl.gz", "\r\n".join(JSON_ROWS)),
    ],
)
def test_json_values(tmp_path: Path, postgres: PostgresEndpoint, name: str, text: str) -> None:
    """json-numbers, json-strings, json-nested, json-missing-key."""
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    database, notes = loaded(tmp_path, postgres)
    assert types_of(postgres, database, "t") == JSON_TYPES
    assert printed(postgres, database, "t") == JSON_PRINTED
    assert any(note.startswith("json-missing-key: t.big") for note in notes)
    assert any(note.startswith("json-mixed: t.mixed") for note in notes)


@pytest.mark.parametrize(
    ("name", "data", "line", "said"),
    [
        ("t.jsonl", b'{"a": 1}\n{"a": }\n', 2, "no JSON value"),
        ("t.jsonl", b'{"a": 1}\n{"a": 1, "a": 2}\n', 2, "stands twice"),
        ("t.jsonl", b'{"a": 1}\n[1]\n', 2, "an object"),
        ("t.jsonl", b'{"a": NaN}\n', 1, "no JSON value"),
        ("t.jsonl", b'{"a": [NaN]}\n', 1, "NaN is no JSON"),
        ("t.jsonl", b'{"a": 01}\n', 1, "',' or '}'"),
        ("t.json", b'[{"a": 1},\n{"a": 2}', 2, "',' or ']'"),
        ("t.json", b'[{"a": 1}]\n\n{"a": 2}', 3, "after the end"),
        ("t.json", b'[\n{"a": "x', 2, "unterminated"),
        ("t.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', 2, "no UTF-8"),
    ],
)
def test_broken_json_is_named(
    tmp_path: Path, postgres: PostgresEndpoint, name: str, data: bytes, line: int, said: str
) -> None:
    """json-strict."""
    (tmp_path / name).write_bytes(data)
    error = refused(tmp_path, postgres)
    assert (error["code"], error["details"]["line"]) == ("ROW_REJECTED", line)
    assert said in error["error"]


def test_json_type_asked_for(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """csv-type-override: for JSON too, with the line of the value that is not of the type."""
    (tmp_path / "t.jsonl").write_bytes(b'{"a": 1.10}\n\n{"a": "x"}\n')
    database, _ = loaded(tmp_path, postgres, columns={"a": "VARCHAR"})
    assert printed(postgres, database, "t") == [("1.10",), ("x",)]
    error = refused(tmp_path, postgres, columns={"t.a": "DECIMAL(5,2)"})
    assert (error["code"], error["details"]["line"]) == ("VALUE_NOT_REPRESENTABLE", 3)


def test_half_a_surrogate_pair(tmp_path: Path, postgres: PostgresEndpoint) -> None:
    """json-strict: \\ud800 alone is no character."""
    (tmp_path / "t.jsonl").write_bytes(b'{"a": "\\ud83d\\ude00"}\n{"a": "\\ud800"}\n')
    assert refused(tmp_path, postgres)["code"] == "VALUE_NOT_REPRESENTABLE"
