"""Whether rows of another PostgreSQL can be passed on undecoded."""

from __future__ import annotations

import pyarrow as pa
import pytest

from engine.connectors.base import ReadColumn, TableRead, TargetColumn, TargetTable
from engine.connectors.postgres.fit import same_types
from engine.schema import Column, Table
from engine.types import Image, Kind, LogicalType

LABELS = ("a", "b")


def same(
    native: str,
    type_: str,
    base: str,
    *,
    dialect: str = "postgres",
    kind: Kind = Kind.OTHER,
    labels: tuple[str, ...] = (),
    versions: tuple[int, int] = (150000, 150000),
) -> bool:
    """versions: of the source and of the target."""
    column = Column("c", LogicalType(kind, labels=LABELS if kind is Kind.ENUM else ()), native)
    table = Table("public", "t", (column,), dialect)
    read = TableRead(table, (ReadColumn("c", '"c"', Image.TEXT, pa.string(), column),), version=versions[0])
    target = TargetTable(table, "public", "t", (TargetColumn("c", "c", type_, base, labels=labels),))
    return same_types(read, target, versions[1])


@pytest.mark.parametrize(
    ("native", "type_", "base", "expected"),
    [
        ("integer", "integer", "int4", True),
        ("integer", "bigint", "int8", False),
        ("numeric(5,2)", "numeric(5,2)", "numeric", True),
        ("numeric(5,2)", "numeric", "numeric", False),
        ("text", 'text COLLATE "pg_catalog"."C"', "text", True),
        ("int4range[]", "int4range[]", "_int4range", True),
        ("public.hstore", "public.hstore", "hstore", False),
        ("public.pair", "public.pair", "pair", False),
        ("regclass", "regclass", "regclass", False),
        ("regtype[]", "regtype[]", "_regtype", False),
        ("oid", "oid", "oid", True),
    ],
)
def test_types(native: str, type_: str, base: str, expected: bool) -> None:
    """slugs: same-types, raw-ids"""
    assert same(native, type_, base) is expected
    assert not same(native, type_, base, dialect="duckdb")


@pytest.mark.parametrize(
    ("versions", "expected"),
    [((160000, 160000), True), ((170000, 160000), False), ((170000, 180000), True), ((140000, 180000), True)],
)
@pytest.mark.parametrize("type_", ["interval", "interval(3)", "interval[]"])
def test_infinite_intervals(type_: str, versions: tuple[int, int], expected: bool) -> None:
    """slug: raw-ids"""
    base = "_interval" if type_.endswith("[]") else "interval"
    assert same(type_, type_, base, versions=versions) is expected


@pytest.mark.parametrize(
    ("labels", "expected"), [(LABELS, True), (("b", "x", "a"), True), (("a",), False), ((), False)]
)
def test_enums_go_by_their_labels(labels: tuple[str, ...], expected: bool) -> None:
    """slug: same-types"""
    assert same("src.mood", '"public"."t_c"', "enum", kind=Kind.ENUM, labels=labels) is expected
