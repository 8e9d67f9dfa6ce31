"""The small tables of the DuckDB connector: types printed and taken apart, names, mapping, failures."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from engine.config import DbTarget, Policies
from engine.connectors.base import ColumnFacts, Facts, Phase, Severity
from engine.connectors.duckdb.catalog import generated_columns
from engine.connectors.duckdb.failures import explain
from engine.connectors.duckdb.identifiers import catalog_name, qualified
from engine.connectors.duckdb.labels import enum_labels
from engine.connectors.duckdb.mapping import MapOptions, map_database
from engine.connectors.duckdb.native import Native, kept_by, parse
from engine.connectors.duckdb.source_types import way
from engine.connectors.duckdb.types import base_of, map_type
from engine.errors import Code, EngineError
from engine.schema import Column, Database, Default, IndexPart, Table
from engine.types import Image, Kind, LogicalType

NAMES = [
    "shop.duckdb",
    "a.b.duckdb",
    "temp.db",
    "main.db",
    "system.db",
    "memory.db",
    ".hidden",
    "no",
    "Ä x.db",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_database_of_a_file_is_called_as_duckdb_calls_it(name: str, tmp_path: Any) -> None:
    with duckdb.connect(str(tmp_path / name)) as session:
        assert session.execute("SELECT current_database()").fetchone() == (
            catalog_name(str(tmp_path / name)),
        )


def test_names_are_quoted_with_their_database() -> None:
    assert qualified('a"b', "main", "t") == '"a""b"."main"."t"'


PRINTED = [
    "BOOLEAN",
    "DECIMAL(18,3)",
    "TIMESTAMP WITH TIME ZONE",
    "ENUM('a', 'it''s', '(x), y', '')",
    "INTEGER[]",
    "VARCHAR[3][]",
    'STRUCT(a INTEGER, "b ""c" DECIMAL(5,2)[], "d,e" STRUCT(f DATE))',
    "MAP(VARCHAR, MAP(INTEGER, ENUM('x, y')))",
    'UNION(num INTEGER, "a b" VARCHAR[])',
    "STRUCT(INTEGER, VARCHAR)",
    "STRUCT(TIMESTAMP WITH TIME ZONE, INTEGER)",
]


def again(native: Native) -> str:
    """The type from its parts alone."""
    if native.name == "LIST":
        return again(native.parts[0]) + native.printed[native.printed.rindex("[") :]
    inner = [
        f"{_quoted(field)} {again(part)}" if field else again(part)
        for field, part in zip(native.fields or ("",) * len(native.parts), native.parts, strict=True)
    ]
    if native.parts:
        return f"{native.name}({', '.join(inner)})"
    if native.labels:
        return "ENUM(" + ", ".join("'" + label.replace("'", "''") + "'" for label in native.labels) + ")"
    return native.name + (f"({','.join(map(str, native.numbers))})" if native.numbers else "")


def _quoted(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("printed", PRINTED)
def test_printed_types_are_taken_apart_and_put_together(printed: str) -> None:
    with duckdb.connect() as session:
        session.execute(
            f"CREATE TABLE t (c {printed})"
            if "STRUCT(I" not in printed and "STRUCT(T" not in printed
            else "CREATE TABLE t (c INTEGER)"
        )
        row = session.execute("SELECT data_type FROM duckdb_columns() WHERE table_name = 't'").fetchone()
    assert row is not None
    if row[0] != "INTEGER":
        assert row[0] == printed  # the list above is spelled as DuckDB prints it
    assert again(parse(printed)) == printed


@pytest.mark.parametrize(
    ("printed", "base"),
    [
        ("DECIMAL(18,3)", "DECIMAL"),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"),
        ("ENUM('a')", "ENUM"),
        ("VARCHAR[]", "VARCHAR[]"),
        ("BIGINT", "BIGINT"),
    ],
)
def test_bases(printed: str, base: str) -> None:
    assert base_of(printed) == base


def test_labels_of_an_enum() -> None:
    assert enum_labels("ENUM('a', 'it''s', '(x), y', '')") == ("a", "it's", "(x), y", "")


@pytest.mark.parametrize(
    ("printed", "kept"),
    [
        ("HUGEINT", True),
        ("TIME WITH TIME ZONE", True),
        ("INTEGER[]", True),
        ("MAP(VARCHAR, DECIMAL(5,2)[])", True),
        ("BLOB[]", False),
        ("UNION(a INTEGER)", False),
        ("STRUCT(INTEGER)", False),
        ("INTEGER", False),
    ],
)
def test_what_comes_back_out_of_text(printed: str, kept: bool) -> None:
    assert (kept_by(parse(printed)) is not None) is kept


def test_generated_columns_are_not_defaults() -> None:
    statement = "CREATE TABLE t(a INTEGER DEFAULT(1), b INTEGER GENERATED ALWAYS AS((a + 1)), c VARCHAR);"
    assert generated_columns(statement) == {"b"}
    assert generated_columns("CREATE TABLE t(a INTEGER DEFAULT(1));") == frozenset()


# ---------------------------------------------------------------- mapping


def column(kind: Kind, native: str = "", **changes: Any) -> Column:
    return Column("c", LogicalType(kind, **changes), native)


MAPPED: list[tuple[Column, dict[str, str], str]] = [
    (column(Kind.INT64, unsigned=True), {}, "UBIGINT"),
    (column(Kind.INT24), {}, "INTEGER"),
    (column(Kind.YEAR), {}, "SMALLINT"),
    (column(Kind.BOOL), {}, "BOOLEAN"),
    (column(Kind.DECIMAL, precision=38, scale=38), {}, "DECIMAL(38,38)"),
    (column(Kind.DECIMAL, precision=39, scale=0), {}, "VARCHAR"),
    (column(Kind.DECIMAL, precision=5, scale=-2), {}, "VARCHAR"),
    (column(Kind.TIME), {}, "INTERVAL"),
    (column(Kind.TIME), {"time": "time"}, "TIME"),
    (column(Kind.TIME_OF_DAY), {}, "TIME"),
    (column(Kind.ENUM, labels=("a", "it's")), {}, "ENUM('a', 'it''s')"),
    (column(Kind.ENUM, labels=("a",)), {"enum": "text"}, "VARCHAR"),
    (column(Kind.SET, labels=("a",)), {}, "VARCHAR[]"),
    (column(Kind.SET, labels=("a",)), {"set": "text"}, "VARCHAR"),
    (column(Kind.JSON), {}, "JSON"),
    (column(Kind.JSON_TEXT), {"json": "text"}, "VARCHAR"),
    (column(Kind.UUID), {}, "UUID"),
    (column(Kind.UUID), {"uuid": "char"}, "VARCHAR"),
    (column(Kind.UUID), {"uuid": "binary"}, "BLOB"),
    (column(Kind.INET6), {}, "VARCHAR"),
    (column(Kind.GEOMETRY), {}, "BLOB"),
    (column(Kind.VECTOR, length=3), {}, "FLOAT[]"),
    (column(Kind.ARRAY, "integer[]"), {}, "JSON"),
    (column(Kind.OTHER, "tsvector"), {}, "VARCHAR"),
]


@pytest.mark.parametrize(("source", "policies", "made"), MAPPED)
def test_types(source: Column, policies: dict[str, str], made: str) -> None:
    """slug: duckdb-types"""
    assert map_type(source, Policies.parse(policies), None).type == made


def test_every_kind_has_a_type() -> None:
    for kind in Kind:
        assert map_type(column(kind), Policies(), None).type


@pytest.mark.parametrize(
    ("facts", "made"),
    [
        (None, "TINYINT"),
        (ColumnFacts(min=0, max=1), "BOOLEAN"),
        (ColumnFacts(min=0, max=2), "TINYINT"),
        (ColumnFacts(min=-1, max=1), "TINYINT"),
    ],
)
def test_booleans_by_what_a_scan_saw(facts: ColumnFacts | None, made: str) -> None:
    source = column(Kind.INT8, display_width=1)
    assert map_type(source, Policies(tinyint1="boolean"), facts).type == made


@pytest.mark.parametrize(
    ("policy", "severity"),
    [("refuse", Severity.REFUSED), ("scan", Severity.REFUSED), ("text", Severity.INFO)],
)
def test_numbers_without_limit(policy: Any, severity: Severity) -> None:
    """slug: duckdb-numeric"""
    mapped = map_type(column(Kind.DECIMAL, "numeric"), Policies(unbounded_numeric=policy), None)
    assert (mapped.type, mapped.severity, mapped.slug) == ("VARCHAR", severity, "unbounded-numeric")


def options(facts: dict[str, Facts] | None = None, **spec: Any) -> MapOptions:
    return MapOptions("file", "main", DbTarget.parse(spec), facts or {})


def table(name: str, *columns: Column, **more: Any) -> Table:
    return Table("s", name, columns, **more)


@pytest.mark.parametrize(
    ("default", "made"),
    [
        (Default(literal="it's"), "DEFAULT CAST('it''s' AS VARCHAR)"),
        (Default(expression="uuid()"), ""),
        (Default(literal=b"x"), ""),
        (None, ""),
    ],
)
def test_literal_defaults_are_carried(default: Default | None, made: str) -> None:
    """slug: duckdb-defaults"""
    source = table("t", Column("c", LogicalType(Kind.TEXT), "text", default=default))
    (mapped,) = map_database(Database("s", (source,)), options()).tables
    (statement,) = [item for item in mapped.statements if item.phase is Phase.TABLE]
    assert (made in statement.sql) if made else ("DEFAULT" not in statement.sql)
    assert bool(mapped.notes) is (default is not None and not made)


@pytest.mark.parametrize(("zeros", "loose"), [(0, False), (3, True), (None, True)])
def test_zero_dates_that_become_null_drop_not_null(zeros: int | None, loose: bool) -> None:
    """slug: duckdb-zero-date"""
    source = table("t", Column("c", LogicalType(Kind.DATE), "date", nullable=False))
    facts = {"t": Facts({"c": ColumnFacts(zero_dates=zeros)})}
    (mapped,) = map_database(Database("s", (source,)), options(facts, policies={"zeroDate": "null"})).tables
    assert mapped.columns[0].nullable is loose
    assert ("NOT NULL" in mapped.statements[0].sql) is not loose


@pytest.mark.parametrize(
    ("spec", "keyed"),
    [
        ({}, False),
        ({"writeMode": "upsert"}, True),
        ({"writeMode": "upsert", "structureOptions": {"indexes": False}}, False),
    ],
)
def test_a_primary_key_only_where_upsert_asks(spec: dict[str, Any], keyed: bool) -> None:
    """slug: duckdb-upsert"""
    source = table("t", column(Kind.INT32), primary_key=(IndexPart("c"),))
    (mapped,) = map_database(Database("s", (source,)), options(**spec)).tables
    assert ('PRIMARY KEY ("c")' in mapped.statements[0].sql) is keyed


@pytest.mark.parametrize("key", ["s.nope", "s.t.nope"])
def test_a_rename_of_nothing_is_refused(key: str) -> None:
    with pytest.raises(EngineError) as caught:
        map_database(Database("s", (table("t", column(Kind.INT32)),)), options(rename={key: "x"}))
    assert caught.value.code is Code.VALIDATION_FAILED


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("printed", "kind", "image"),
    [
        ("HUGEINT", Kind.DECIMAL, Image.DECIMAL),
        ("UBIGINT", Kind.INT64, Image.INT),
        ("DECIMAL(38,10)", Kind.DECIMAL, Image.DECIMAL),
        ("TIMESTAMP_S", Kind.DATETIME, Image.TIMESTAMP),
        ("TIMESTAMP_NS", Kind.OTHER, Image.TEXT),
        ("TIME WITH TIME ZONE", Kind.OTHER, Image.TEXT),
        ("TIME", Kind.TIME_OF_DAY, Image.DURATION),
        ("INTERVAL", Kind.INTERVAL, Image.INTERVAL),
        ("BIT", Kind.OTHER, Image.TEXT),
        ("INTEGER[]", Kind.ARRAY, Image.JSON),
        ("STRUCT(a INTEGER)", Kind.JSON_TEXT, Image.JSON),
        ("ENUM('a')", Kind.ENUM, Image.TEXT),
        ("GEOMETRY", Kind.OTHER, Image.TEXT),
    ],
)
def test_how_types_are_read(printed: str, kind: Kind, image: Image) -> None:
    """slug: duckdb-read-types"""
    found = way(printed)
    assert (found.logical.kind, found.image) == (kind, image)


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT nothing", Code.QUERY_FAILED),
        ("INSERT INTO t VALUES (1), (1)", Code.CONSTRAINT_VIOLATION),
        ("INSERT INTO t VALUES ('x')", Code.ROW_REJECTED),
        ("SELECT CAST(300 AS TINYINT)", Code.ROW_REJECTED),
        ("ATTACH '/tmp/none.duckdb'", Code.PERMISSION_DENIED),
    ],
)
def test_failures_have_codes(statement: str, code: Code) -> None:
    """slug: duckdb-failures"""
    with duckdb.connect() as session:
        session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        session.execute("SET enable_external_access = false")
        with pytest.raises(duckdb.Error) as caught:
            session.execute(statement).fetchall()
    assert explain(caught.value).code is code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (duckdb.IOException("IO Error: Could not write file: No space left on device"), Code.TARGET_FULL),
        (duckdb.OutOfMemoryException("Out of Memory Error: could not allocate block"), Code.TARGET_FULL),
        (duckdb.FatalException("FATAL Error: database has been invalidated"), Code.CONNECTION_LOST),
        (
            duckdb.TransactionException("Failed to commit: PRIMARY KEY or UNIQUE constraint violation"),
            Code.CONSTRAINT_VIOLATION,
        ),
    ],
)
def test_failures_that_are_hard_to_bring_about(error: Exception, code: Code) -> None:
    """slug: duckdb-failures"""
    assert explain(error).code is code
