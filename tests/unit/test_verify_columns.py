"""Which form each pair of types is compared in, and which columns are a table's key."""

from __future__ import annotations

import pyarrow as pa
import pytest

from engine.config import Policies
from engine.connectors.base import DigestColumn, Form, ReadColumn, TableRead, TargetColumn, TargetTable
from engine.errors import Code, EngineError
from engine.schema import Column, Index, IndexPart, Table
from engine.streams.verify_columns import Layout, layout
from engine.types import Image, Kind, LogicalType

FORMS: list[tuple[LogicalType, str, str, Form]] = [
    (LogicalType(Kind.INT8), "int2", "smallint", Form.INTEGER),
    (LogicalType(Kind.INT8), "bool", "boolean", Form.INTEGER),
    (LogicalType(Kind.INT64, unsigned=True), "numeric", "numeric(20,0)", Form.INTEGER),
    (LogicalType(Kind.INT32), "text", "text", Form.PRINTED),
    (LogicalType(Kind.YEAR), "int2", "smallint", Form.INTEGER),
    (LogicalType(Kind.BIT, length=3), "bit", "bit(3)", Form.BITS),
    (LogicalType(Kind.BIT, length=1), "bool", "boolean", Form.INTEGER),
    (LogicalType(Kind.DECIMAL, precision=10, scale=2), "numeric", "numeric(10,2)", Form.DECIMAL),
    (LogicalType(Kind.DECIMAL, precision=10, scale=2), "numeric", "numeric(12,4)", Form.DECIMAL_TRIMMED),
    (LogicalType(Kind.DECIMAL, precision=10, scale=2), "numeric", "numeric", Form.DECIMAL_TRIMMED),
    (LogicalType(Kind.DECIMAL, precision=10, scale=2), "text", "text", Form.PRINTED),
    (LogicalType(Kind.FLOAT32), "float4", "real", Form.FLOAT),
    (LogicalType(Kind.FLOAT32), "float8", "double precision", Form.FLOAT),
    (LogicalType(Kind.FLOAT64), "text", "text", Form.FLOAT),
    (LogicalType(Kind.DATE), "date", "date", Form.DATE),
    (LogicalType(Kind.DATETIME), "timestamp", "timestamp(0)", Form.MOMENT),
    (LogicalType(Kind.TIMESTAMP), "timestamptz", "timestamp(0) with time zone", Form.MOMENT),
    (LogicalType(Kind.TIME), "interval", "interval(0)", Form.DURATION),
    (LogicalType(Kind.TIME), "time", "time(0)", Form.DURATION),
    (LogicalType(Kind.VARCHAR, length=9), "varchar", "varchar(9)", Form.TEXT),
    (LogicalType(Kind.TEXT), "citext", "public.citext", Form.TEXT),
    (LogicalType(Kind.TEXT), "bytea", "bytea", Form.BYTES),
    (LogicalType(Kind.BLOB), "bytea", "bytea", Form.BYTES),
    (LogicalType(Kind.BINARY, length=16), "uuid", "uuid", Form.UUID),
    (LogicalType(Kind.ENUM, labels=("a",)), "enum", '"s"."e"', Form.TEXT),
    (LogicalType(Kind.SET, labels=("a",)), "_text", "text[]", Form.LABELS),
    (LogicalType(Kind.SET, labels=("a",)), "text", "text", Form.TEXT),
    (LogicalType(Kind.JSON), "jsonb", "jsonb", Form.JSON),
    (LogicalType(Kind.JSON), "json", "json", Form.PRINTED),
    (LogicalType(Kind.JSON_TEXT), "json", "json", Form.TEXT),
    (LogicalType(Kind.JSON_TEXT), "jsonb", "jsonb", Form.JSON),
    (LogicalType(Kind.GEOMETRY), "bytea", "bytea", Form.GEOMETRY),
    (LogicalType(Kind.GEOMETRY), "geometry", "public.geometry", Form.GEOMETRY),
    (LogicalType(Kind.VECTOR, length=3), "_float4", "real[]", Form.VECTOR),
    (LogicalType(Kind.UUID), "uuid", "uuid", Form.UUID),
    (LogicalType(Kind.UUID), "varchar", "varchar(36)", Form.PRINTED),
    (LogicalType(Kind.INET6), "inet", "inet", Form.INET),
    (LogicalType(Kind.OTHER), "text", "text", Form.PRINTED),
]


def read_column(
    name: str, type_: LogicalType, charset: str | None = None, nullable: bool = False
) -> ReadColumn:
    column = Column(name, type_, "", nullable=nullable, charset=charset)
    return ReadColumn(name, f"`{name}`", Image.TEXT, pa.utf8(), column)


def planned(
    columns: list[tuple[ReadColumn, TargetColumn]],
    primary: tuple[str, ...] = (),
    indexes: tuple[Index, ...] = (),
    key: tuple[str, ...] = (),
    utf8: bool = True,
) -> Layout:
    table = Table(
        "db",
        "t",
        tuple(read.source for read, _ in columns),
        primary_key=tuple(IndexPart(name) for name in primary),
        indexes=indexes,
    )
    read = TableRead(table, tuple(read for read, _ in columns), key)
    target = TargetTable(table, "s", "t", tuple(target for _, target in columns))
    return layout(read, target, Policies(), utf8=utf8)


def one(type_: LogicalType, base: str, sql: str, charset: str | None = None, **more: bool) -> DigestColumn:
    pair = (read_column("v", type_, charset), TargetColumn("v", "v", sql, base))
    return planned([pair], **more).columns[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(("type_", "base", "sql", "form"), FORMS, ids=lambda value: str(value)[:40])
def test_the_form_of_a_pair(type_: LogicalType, base: str, sql: str, form: Form) -> None:
    assert one(type_, base, sql).form is form


@pytest.mark.parametrize(
    ("type_", "base", "inline"),
    [
        (LogicalType(Kind.VARCHAR, length=256), "varchar", None),
        (LogicalType(Kind.VARCHAR, length=257), "varchar", 1024),
        (LogicalType(Kind.TEXT, length=65_535), "text", 1024),
        (LogicalType(Kind.VARBINARY, length=128), "bytea", None),
        (LogicalType(Kind.BLOB), "bytea", 128),
        (LogicalType(Kind.ENUM, labels=("a" * 255,)), "enum", None),
        (LogicalType(Kind.SET, labels=tuple("a" * 100 + str(n) for n in range(64))), "_text", 1024),
        (LogicalType(Kind.INT32), "int4", None),
    ],
)
def test_long_values_go_as_their_hash(type_: LogicalType, base: str, inline: int | None) -> None:
    assert one(type_, base, "").inline == inline
    other = one(type_, base, "", utf8=False).inline
    assert other == (0 if base in ("varchar", "text", "enum", "_text") else inline)


def _pair(name: str, kind: Kind, base: str, nullable: bool = False) -> tuple[ReadColumn, TargetColumn]:
    return read_column(name, LogicalType(kind), nullable=nullable), TargetColumn(
        name, name.upper(), base, base
    )


ID, CODE, MAYBE = (
    _pair("id", Kind.INT32, "int4"),
    _pair("code", Kind.VARCHAR, "varchar"),
    _pair("maybe", Kind.INT32, "int4", nullable=True),
)
UNIQUE = Index("u", (IndexPart("code"),), unique=True)


@pytest.mark.parametrize(
    ("arguments", "key", "ranged"),
    [
        ({"primary": ("id",)}, ["id"], "id"),
        ({"primary": ("id", "code")}, ["id", "code"], "id"),
        ({"primary": ("code", "id")}, ["code", "id"], None),
        ({"primary": ("gone",)}, [], None),
        ({"primary": ("gone",), "key": ("code",), "indexes": (UNIQUE,)}, ["code"], None),
        ({"key": ("code",), "indexes": (UNIQUE,)}, ["code"], None),
        ({"key": ("code",)}, [], None),
        ({"key": ("id",), "indexes": (UNIQUE,)}, [], None),
        ({"key": ("maybe",), "indexes": (Index("u", (IndexPart("maybe"),), unique=True),)}, [], None),
        ({}, [], None),
    ],
)
def test_the_key_of_a_table(arguments: dict[str, object], key: list[str], ranged: str | None) -> None:
    found = planned([ID, CODE, MAYBE], **arguments)  # type: ignore[arg-type]
    assert [column.read.name for column in found.key] == key
    assert (found.ranged.read.name if found.ranged else None) == ranged


def test_likely_texts_stand_in_for_what_is_streamed() -> None:
    number, document = _pair("f", Kind.FLOAT64, "float8"), _pair("j", Kind.JSON, "jsonb")
    shape = _pair("g", Kind.GEOMETRY, "bytea")
    likely = planned([ID, number, document], primary=("id",)).likely
    assert likely is not None
    assert [column.form for column in likely.columns] == [Form.INTEGER, Form.FLOAT_TEXT, Form.JSON_TEXT]
    assert likely.streamed == ()
    assert planned([ID], primary=("id",)).likely is None
    assert planned([ID, number, shape], primary=("id",)).likely is None
    assert planned([number, ID], primary=("f",)).likely is None


def test_a_column_without_counterpart_is_not_left_out() -> None:
    with pytest.raises(EngineError) as failure:
        planned([(CODE[0], ID[1])])
    assert failure.value.code is Code.STRUCTURE_MISMATCH
    assert failure.value.details["column"] == "code"
