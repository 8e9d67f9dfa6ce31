"""What a PostgreSQL target of an older version is given instead of what it does not have."""

from __future__ import annotations

import pytest

from engine.connectors.base import TargetDatabase
from engine.connectors.postgres.context import MapOptions
from engine.connectors.postgres.mapping import map_database
from engine.connectors.postgres.native import own
from engine.schema import Column, Database, Default, Generated, Table
from engine.types import Kind, LogicalType


def mapped(column: Column, dialect: str, version: int, *extensions: str) -> TargetDatabase:
    options = MapOptions("s", server_version=version, extensions=frozenset(extensions))
    return map_database(Database("d", (Table("d", "t", (column,), dialect),)), options)


def created(database: TargetDatabase) -> str:
    statements = database.tables[0].statements
    return next(statement.sql for statement in statements if statement.sql.startswith("CREATE TABLE"))


@pytest.mark.parametrize(
    ("native", "kind", "since", "older"),
    [
        ("int4multirange", Kind.OTHER, 140000, "text"),
        ("tstzmultirange[]", Kind.ARRAY, 140000, "json"),
        ("xid8", Kind.OTHER, 130000, "text"),
        ("regcollation", Kind.OTHER, 130000, "text"),
        ("numeric(5,-2)", Kind.DECIMAL, 150000, "numeric"),
        ("numeric(3,5)", Kind.DECIMAL, 150000, "numeric"),
        ("numeric(3,5)[]", Kind.ARRAY, 150000, "numeric[]"),
        ("numeric(5,2)", Kind.DECIMAL, 0, ""),
        ("int4range[]", Kind.ARRAY, 0, ""),
    ],
)
def test_types_of_a_younger_source(native: str, kind: Kind, since: int, older: str) -> None:
    """slug: foreign-type"""
    column = Column("c", LogicalType(kind), native)
    for version in (120000, 130000, 140000, 150000, 180000):
        database = mapped(column, "postgres", version)
        expected = older if version < since else native
        assert f'"c" {expected}\n' in created(database)
        assert ("foreign-type" in [note.slug for note in database.tables[0].notes]) == (version < since)


@pytest.mark.parametrize(
    ("version", "extensions", "default"),
    [
        (130000, (), "gen_random_uuid()"),
        (120000, ("pgcrypto",), '"public"."gen_random_uuid"()'),
        (120000, (), None),
    ],
)
def test_random_uuids(version: int, extensions: tuple[str, ...], default: str | None) -> None:
    """slugs: uuid-default, default-dropped"""
    column = Column("c", LogicalType(Kind.UUID), "uuid", default=Default(expression="uuid()"))
    database = mapped(column, "mariadb", version, *extensions)
    assert created(database).endswith(f'"c" uuid DEFAULT {default}\n)' if default else '"c" uuid\n)')
    assert [note.slug for note in database.tables[0].notes if note.column] == [
        "uuid-default" if default else "default-dropped"
    ]


FUNCTIONS = frozenset({"lower", "now", "nextval"})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("uuidv7()", False),
        ("now()", True),
        ("'uuidv7()'::text", True),
        ("COALESCE(lower((a)::text), 'x'::character varying(10)::text)", True),
        ("(EXTRACT(year FROM d))::numeric(5,2)", True),
        ("CASE WHEN (a > 0) THEN (a + 1) ELSE ANY (ARRAY[1]) END", True),
        ("lower(casefold(a))", False),
        ("(CURRENT_TIMESTAMP)::timestamp(3) without time zone", True),
    ],
)
def test_functions_the_target_does_not_have(expression: str, expected: bool) -> None:
    """slug: same-expressions"""
    assert own(expression, FUNCTIONS) is expected
    assert own(expression)


@pytest.mark.parametrize(
    ("version", "how", "slugs"),
    [(180000, "VIRTUAL", []), (170000, "STORED", ["generated-virtual-stored"])],
)
def test_virtual_columns(version: int, how: str, slugs: list[str]) -> None:
    """slugs: same-expressions, generated-virtual-stored"""
    generated = Column("c", LogicalType(Kind.INT32), "integer", generated=Generated("(1 + 1)", False))
    database = mapped(generated, "postgres", version)
    assert f'"c" integer GENERATED ALWAYS AS ((1 + 1)) {how}\n' in created(database)
    assert [note.slug for note in database.tables[0].notes if note.column] == slugs
