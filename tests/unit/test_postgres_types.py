"""MySQL and MariaDB column types → PostgreSQL types, defaults, and the notes that go with them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.config import Policies
from engine.connectors.base import Severity, TargetDatabase
from engine.connectors.postgres.mapping import MapOptions, map_database
from engine.schema import Column, Database, IndexPart, Table
from engine.types import Kind, LogicalType

U = True


def facts(**columns: dict[str, Any]) -> Any:
    blank = {
        "min": None, "max": None, "zero_dates": 0, "empty_enum": 0, "max_octets": None, "lossy_text": 0
    }  # fmt: skip
    return SimpleNamespace(
        columns={name: SimpleNamespace(**{**blank, **given}) for name, given in columns.items()}
    )


def mapped(
    kind: LogicalType | Kind,
    *,
    policies: dict[str, str] | None = None,
    known: dict[str, Any] | None = None,
    extensions: frozenset[str] = frozenset(),
    **column: Any,
) -> TargetDatabase:
    logical = LogicalType(kind) if isinstance(kind, Kind) else kind
    source = Table("d", "t", (Column("c", logical, "native", **column),))
    options = MapOptions(
        "s",
        Policies.model_validate(policies or {}),
        extensions=extensions,
        facts={} if known is None else {"t": facts(c=known)},
    )
    return map_database(Database("d", (source,)), options)


def created(database: TargetDatabase, table: int = 0) -> str:
    statements = database.tables[table].statements
    return next(statement.sql for statement in statements if statement.sql.startswith("CREATE TABLE"))


def L(kind: Kind, **given: Any) -> LogicalType:
    return LogicalType(kind, **given)


# ---------------------------------------------------------------- the table of types


@pytest.mark.parametrize(
    ("logical", "sql", "base"),
    [
        (L(Kind.INT8), "smallint", "int2"),
        (L(Kind.INT8, unsigned=U), "smallint", "int2"),
        (L(Kind.INT8, display_width=1), "smallint", "int2"),
        (L(Kind.INT8, display_width=1, unsigned=U), "smallint", "int2"),
        (L(Kind.INT16), "smallint", "int2"),
        (L(Kind.INT16, unsigned=U), "integer", "int4"),
        (L(Kind.INT24), "integer", "int4"),
        (L(Kind.INT24, unsigned=U), "integer", "int4"),
        (L(Kind.INT32), "integer", "int4"),
        (L(Kind.INT32, unsigned=U), "bigint", "int8"),
        (L(Kind.INT32, unsigned=U, zerofill=U), "bigint", "int8"),
        (L(Kind.INT64), "bigint", "int8"),
        (L(Kind.INT64, unsigned=U), "numeric(20,0)", "numeric"),
        (L(Kind.BOOL), "boolean", "bool"),
        (L(Kind.FLOAT32), "real", "float4"),
        (L(Kind.FLOAT32, unsigned=U), "real", "float4"),
        (L(Kind.FLOAT64), "double precision", "float8"),
        (L(Kind.DECIMAL, precision=10, scale=0), "numeric(10,0)", "numeric"),
        (L(Kind.DECIMAL, precision=65, scale=30), "numeric(65,30)", "numeric"),
        (L(Kind.DECIMAL, precision=30, scale=30), "numeric(30,30)", "numeric"),
        (L(Kind.BIT, length=1), "bit(1)", "bit"),
        (L(Kind.BIT, length=5), "bit(5)", "bit"),
        (L(Kind.BIT, length=64), "bit(64)", "bit"),
        (L(Kind.YEAR), "smallint", "int2"),
        (L(Kind.DATE), "date", "date"),
        (L(Kind.DATETIME), "timestamp(0)", "timestamp"),
        (L(Kind.DATETIME, fraction=6), "timestamp(6)", "timestamp"),
        (L(Kind.TIMESTAMP), "timestamp(0) with time zone", "timestamptz"),
        (L(Kind.TIMESTAMP, fraction=3), "timestamp(3) with time zone", "timestamptz"),
        (L(Kind.TIME), "interval(0)", "interval"),
        (L(Kind.TIME, fraction=6), "interval(6)", "interval"),
        (L(Kind.CHAR, length=1), "varchar(1)", "varchar"),
        (L(Kind.CHAR, length=255), "varchar(255)", "varchar"),
        (L(Kind.CHAR, length=0), "text", "text"),
        (L(Kind.VARCHAR, length=0), "text", "text"),
        (L(Kind.VARCHAR, length=16383), "varchar(16383)", "varchar"),
        (L(Kind.VARCHAR, length=65535), "varchar(65535)", "varchar"),
        (L(Kind.TEXT), "text", "text"),
        (L(Kind.TEXT, length=255), "text", "text"),
        (L(Kind.TEXT, length=4294967295), "text", "text"),
        (L(Kind.BINARY, length=4), "bytea", "bytea"),
        (L(Kind.BINARY, length=0), "bytea", "bytea"),
        (L(Kind.VARBINARY, length=300), "bytea", "bytea"),
        (L(Kind.BLOB), "bytea", "bytea"),
        (L(Kind.ENUM, labels=("a", "b")), '"s"."t_c"', "enum"),
        (L(Kind.ENUM, labels=("",)), '"s"."t_c"', "enum"),
        (L(Kind.ENUM, labels=("x" * 63,)), '"s"."t_c"', "enum"),
        (L(Kind.ENUM, labels=("x" * 64,)), "text", "text"),
        (L(Kind.ENUM, labels=("é" * 32,)), "text", "text"),
        (L(Kind.SET, labels=("a", "b")), "text[]", "_text"),
        (L(Kind.JSON), "jsonb", "jsonb"),
        (L(Kind.JSON_TEXT), "json", "json"),
        (L(Kind.GEOMETRY, geometry="point"), "bytea", "bytea"),
        (L(Kind.VECTOR, length=3), "real[]", "_float4"),
        (L(Kind.UUID), "uuid", "uuid"),
        (L(Kind.INET4), "inet", "inet"),
        (L(Kind.INET6), "inet", "inet"),
        (L(Kind.INTERVAL), "interval", "interval"),
        (L(Kind.OTHER), "text", "text"),
    ],
)
def test_types(logical: LogicalType, sql: str, base: str) -> None:
    database = mapped(logical)
    column = database.tables[0].columns[0]
    assert (column.type, column.base) == (sql, base)
    assert created(database) == f'CREATE TABLE "s"."t" (\n  "c" {sql}\n)'
    assert column.loaded
    assert not [note for note in database.tables[0].notes if note.severity is Severity.REFUSED]


def test_every_kind_is_mapped() -> None:
    for kind in Kind:
        assert mapped(kind).tables[0].columns[0].type


@pytest.mark.parametrize(
    ("logical", "policies", "extensions", "sql", "base"),
    [
        (L(Kind.TIME, fraction=2), {"time": "time"}, (), "time(2) without time zone", "time"),
        (L(Kind.ENUM, labels=("a",)), {"enum": "text"}, (), "text", "text"),
        (L(Kind.SET, labels=("a",)), {"set": "text"}, (), "text", "text"),
        (L(Kind.JSON), {"json": "json"}, (), "json", "json"),
        (L(Kind.JSON), {"json": "jsonb"}, (), "jsonb", "jsonb"),
        (L(Kind.JSON), {"json": "text"}, (), "text", "text"),
        (L(Kind.JSON_TEXT), {"json": "jsonb"}, (), "jsonb", "jsonb"),
        (L(Kind.JSON_TEXT), {"json": "text"}, (), "text", "text"),
        (L(Kind.UUID), {"uuid": "char"}, (), "varchar(36)", "varchar"),
        (L(Kind.UUID), {"uuid": "binary"}, (), "bytea", "bytea"),
        (L(Kind.GEOMETRY), {}, ("postgis",), '"public"."geometry"', "geometry"),
        (
            L(Kind.GEOMETRY, geometry="point"),
            {"geometry": "postgis"},
            ("postgis",),
            '"public"."geometry"(Point)',
            "geometry",
        ),
        (
            L(Kind.GEOMETRY, geometry="geometrycollection", srid=4326),
            {},
            ("postgis",),
            '"public"."geometry"(GeometryCollection,4326)',
            "geometry",
        ),
        (L(Kind.GEOMETRY), {"geometry": "ewkb"}, ("postgis",), "bytea", "bytea"),
    ],
)
def test_types_by_policy(
    logical: LogicalType, policies: dict[str, str], extensions: tuple[str, ...], sql: str, base: str
) -> None:
    column = mapped(logical, policies=policies, extensions=frozenset(extensions)).tables[0].columns[0]
    assert (column.type, column.base) == (sql, base)


# ---------------------------------------------------------------- tinyint(1) (tinyint1-boolean)


@pytest.mark.parametrize(
    ("known", "sql"),
    [
        (None, "smallint"),
        ({"min": 0, "max": 1}, "boolean"),
        ({"min": None, "max": None}, "boolean"),
        ({"min": 0, "max": 2}, "smallint"),
        ({"min": -1, "max": 1}, "smallint"),
        ({"min": 1, "max": 127}, "smallint"),
    ],
)
def test_tinyint1(known: dict[str, Any] | None, sql: str) -> None:
    database = mapped(L(Kind.INT8, display_width=1), policies={"tinyint1": "boolean"}, known=known)
    assert database.tables[0].columns[0].type == sql
    slugs = {note.slug for note in database.tables[0].notes}
    assert ("tinyint1-not-boolean" in slugs) is (sql == "smallint")


@pytest.mark.parametrize(
    "logical", [L(Kind.INT8, display_width=4), L(Kind.INT8, display_width=1, unsigned=U)]
)
def test_other_tinyints_are_never_boolean(logical: LogicalType) -> None:
    database = mapped(logical, policies={"tinyint1": "boolean"}, known={"min": 0, "max": 1})
    assert database.tables[0].columns[0].type == "smallint"


# ---------------------------------------------------------------- enum (enum-invalid-value, enum-long-label)


def enum_sql(database: TargetDatabase) -> str:
    return next(s.sql for s in database.tables[0].statements if s.sql.startswith("CREATE TYPE"))


@pytest.mark.parametrize(
    ("labels", "invalid", "made", "slug"),
    [
        (("b", "a"), 0, "('b', 'a')", None),
        (
            ("it's", 'a"b', "a,b", " x", "\\", "(", "😀"),
            0,
            "('it''s', 'a\"b', 'a,b', ' x', '\\', '(', '😀')",
            None,
        ),
        (("a", ""), 0, "('a', '')", None),
        (("a",), 3, "('', 'a')", "enum-invalid-value"),
        (("a", ""), 3, "('a', '')", None),  # refused where it is read: the two cannot be told apart
    ],
)
def test_enum(labels: tuple[str, ...], invalid: int, made: str, slug: str | None) -> None:
    database = mapped(L(Kind.ENUM, labels=labels), known={"empty_enum": invalid})
    assert enum_sql(database) == f'CREATE TYPE "s"."t_c" AS ENUM {made}'
    notes = [note for note in database.tables[0].notes if note.slug.startswith("enum")]
    assert [(note.slug, note.count) for note in notes] == ([(slug, invalid)] if slug else [])
    assert set(database.tables[0].columns[0].labels) == set(labels) | ({""} if invalid else set())


@pytest.mark.parametrize(
    ("logical", "policies", "check"),
    [
        (L(Kind.INT64, unsigned=U), {}, '"c" >= 0'),
        (L(Kind.ENUM, labels=("x" * 64, "b'")), {}, f"\"c\" = ANY (ARRAY['{'x' * 64}', 'b''']::text[])"),
        (L(Kind.ENUM, labels=("a",)), {"enum": "text"}, "\"c\" = ANY (ARRAY['a']::text[])"),
        (L(Kind.SET, labels=("a", 'b"')), {}, "\"c\" <@ ARRAY['a', 'b\"']::text[]"),
        (L(Kind.VECTOR, length=2), {}, 'cardinality("c") = 2'),
        (L(Kind.CHAR, length=0), {}, "\"c\" = ''"),
        (L(Kind.INT32, unsigned=U), {}, None),
        (L(Kind.SET, labels=("a",)), {"set": "text"}, None),
    ],
)
def test_checks_of_types(logical: LogicalType, policies: dict[str, str], check: str | None) -> None:
    statements = mapped(logical, policies=policies).tables[0].statements
    made = [statement.sql for statement in statements if statement.phase.value == "check"]
    expected = f'ALTER TABLE "s"."t" ADD CONSTRAINT "t_c_check" CHECK ({check})'
    assert made == ([] if check is None else [expected])


# ---------------------------------------------------------------- zero dates (zero-date-nullable)


@pytest.mark.parametrize(
    ("policy", "zeros", "nullable", "slug"),
    [
        ("refuse", 3, False, None),
        ("null", 3, True, "zero-date-nullable"),
        ("null", None, True, "zero-date-nullable"),
        ("null", 0, False, None),
        ("sentinel", 3, False, None),
    ],
)
@pytest.mark.parametrize("kind", [Kind.DATE, Kind.DATETIME, Kind.TIMESTAMP])
def test_zero_dates(kind: Kind, policy: str, zeros: int | None, nullable: bool, slug: str | None) -> None:
    database = mapped(kind, policies={"zeroDate": policy}, known={"zero_dates": zeros}, nullable=False)
    assert database.tables[0].columns[0].nullable is nullable
    assert ("NOT NULL" in created(database)) is not nullable
    slugs = [note.slug for note in database.tables[0].notes if note.slug.startswith("zero")]
    assert slugs == ([slug] if slug else [])


def test_zero_dates_in_a_key_are_refused() -> None:
    source = Table(
        "d", "t", (Column("c", LogicalType(Kind.DATE), "date", False),), primary_key=(IndexPart("c"),)
    )
    options = MapOptions(
        "s", Policies.model_validate({"zeroDate": "null"}), facts={"t": facts(c={"zero_dates": 2})}
    )
    table = map_database(Database("d", (source,)), options).tables[0]
    assert not table.columns[0].nullable
    assert [(n.slug, n.severity, n.count) for n in table.notes] == [("zero-date-in-key", Severity.REFUSED, 2)]


# ---------------------------------------------------------------- text without case (unique-case)


def keyed(policy: str, collation: str, extensions: frozenset[str] = frozenset({"citext"})) -> TargetDatabase:
    text = L(Kind.VARCHAR, length=20)
    source = Table(
        "d",
        "t",
        (Column("k", text, "", False, collation=collation), Column("v", text, "", collation=collation)),
        primary_key=(IndexPart("k"),),
    )
    options = MapOptions("s", Policies.model_validate({"caseInsensitiveText": policy}), extensions=extensions)
    return map_database(Database("d", (source,)), options)


@pytest.mark.parametrize(
    ("policy", "collation", "sql", "slugs"),
    [
        ("plain", "utf8mb4_general_ci", "varchar(20)", ["unique-case"]),
        ("plain", "utf8mb4_bin", "varchar(20)", []),
        ("citext", "utf8mb4_general_ci", '"public"."citext"', []),
        ("citext", "utf8mb4_bin", "varchar(20)", []),
        ("icu", "utf8mb4_general_ci", 'varchar(20) COLLATE "s"."dbstreams_ai_ci"', []),
        ("icu", "utf8mb4_0900_as_ci", 'varchar(20) COLLATE "s"."dbstreams_as_ci"', []),
        ("icu", "utf8mb4_0900_as_cs", "varchar(20)", []),
    ],
)
def test_case_insensitive_text(policy: str, collation: str, sql: str, slugs: list[str]) -> None:
    database = keyed(policy, collation)
    key, value = database.tables[0].columns
    assert (key.type, value.type) == (sql, "varchar(20)")
    assert [note.slug for note in database.tables[0].notes] == slugs
    collations = [s.object for s in database.statements if "COLLATION" in s.sql]
    assert len(collations) == (1 if "COLLATE" in sql else 0)


def test_citext_needs_its_extension() -> None:
    notes = keyed("citext", "utf8mb4_general_ci", frozenset()).tables[0].notes
    assert ("citext-missing", Severity.REFUSED) in [(note.slug, note.severity) for note in notes]


def test_postgis_needs_its_extension() -> None:
    notes = mapped(Kind.GEOMETRY, policies={"geometry": "postgis"}).tables[0].notes
    assert ("postgis-missing", Severity.REFUSED) in [(note.slug, note.severity) for note in notes]


@pytest.mark.parametrize(
    ("lossy", "policy", "sql"), [(3, "bytea", "bytea"), (0, "bytea", "text"), (3, "replace", "text")]
)
def test_undecodable_text(lossy: int, policy: str, sql: str) -> None:
    database = mapped(Kind.TEXT, policies={"invalidText": policy}, known={"lossy_text": lossy})
    assert database.tables[0].columns[0].type == sql


@pytest.mark.parametrize("slug", ["zerofill"])
def test_zerofill_is_noted(slug: str) -> None:
    notes = mapped(L(Kind.INT32, unsigned=U, zerofill=U)).tables[0].notes
    assert slug in [note.slug for note in notes]


def test_unknown_types_are_noted() -> None:
    assert "unknown-type" in [note.slug for note in mapped(Kind.OTHER).tables[0].notes]
