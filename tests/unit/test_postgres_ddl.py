"""Statements for PostgreSQL, word for word, and the notes for what is not carried."""

from __future__ import annotations

from typing import Any

import pytest

from engine.config import Policies
from engine.connectors.base import Note, Phase, Statement, TargetDatabase
from engine.connectors.postgres import ddl
from engine.connectors.postgres.mapping import MapOptions, map_database
from engine.schema import (
    Check,
    Column,
    Database,
    Event,
    ForeignKey,
    Generated,
    Index,
    IndexMethod,
    IndexPart,
    Partition,
    Routine,
    Sequence,
    Table,
    TableKind,
    Trigger,
    View,
)
from engine.types import Kind, LogicalType

INT = LogicalType(Kind.INT32)
COLUMNS = (
    Column("id", INT, "int", False),
    Column("i", INT, "int"),
    Column("v", LogicalType(Kind.VARCHAR, length=20), "varchar(20)", collation="utf8mb4_bin"),
    Column("x", LogicalType(Kind.TEXT), "text", collation="utf8mb4_bin"),
    Column("b", LogicalType(Kind.BLOB), "blob"),
    Column("j", LogicalType(Kind.JSON), "json"),
    Column("g", LogicalType(Kind.GEOMETRY), "geometry"),
    Column("e", LogicalType(Kind.ENUM, labels=("p", "q")), "enum"),
)
KEY = (IndexPart("id"),)


def mapped(*tables: Table, **options: Any) -> TargetDatabase:
    return map_database(Database("d", tables), MapOptions("s", **options))


def sqls(database: TargetDatabase, *phases: Phase, table: int = 0) -> list[str]:
    return [s.sql for s in database.tables[table].statements if s.phase in phases]


def slugs(notes: tuple[Note, ...]) -> list[str]:
    return [note.slug for note in notes]


# ---------------------------------------------------------------- indexes


def part(column: str, **given: Any) -> IndexPart:
    return IndexPart(column, **given)


@pytest.mark.parametrize(
    ("index", "extensions", "expected", "noted"),
    [
        (Index("k", (part("i"),)), (), 'USING btree ("i")', []),
        (Index("k", (part("i"),), unique=True), (), 'USING btree ("i")', []),
        (Index("k", (part("i", descending=True), part("v"))), (), 'USING btree ("i" DESC, "v")', []),
        (Index("k", (part("I"),)), (), 'USING btree ("i")', []),
        (Index("k", (part("v", prefix=5),)), (), 'USING btree (left("v", 5))', []),
        (Index("k", (part("v", prefix=20),)), (), 'USING btree ("v")', []),
        (Index("k", (part("x", prefix=10),)), (), 'USING btree (left("x", 10))', []),
        (
            Index("k", (part("b", prefix=10, descending=True),)),
            (),
            'USING btree (substring("b", 1, 10) DESC)',
            [],
        ),
        (
            Index("k", (IndexPart(expression="(`i` + 1)"),)),
            (),
            'USING btree ((("i"::numeric + 1::numeric)))',
            [],
        ),
        (
            Index("k", (IndexPart(expression="lower(`v`)"), part("i"))),
            (),
            'USING btree ((lower("v")), "i")',
            [],
        ),
        (Index("k", (IndexPart(expression="crc32(`v`)"),)), (), None, ["index-skipped"]),
        (Index("k", (part("gone"),)), (), None, ["index-skipped"]),
        (Index("k", (part("i"),), visible=False), (), None, ["index-invisible"]),
        (
            Index("k", (part("i"),), unique=True, visible=False),
            (),
            'USING btree ("i")',
            ["index-invisible-unique"],
        ),
        (Index("k", (part("i"),), method=IndexMethod.HASH), (), 'USING hash ("i")', []),
        (Index("k", (part("i"), part("v")), method=IndexMethod.HASH), (), 'USING btree ("i", "v")', []),
        (Index("k", (part("i"),), True, IndexMethod.HASH), (), 'USING btree ("i")', []),
        (Index("k", (part("x"),), True, IndexMethod.HASH), (), 'USING btree (md5("x"))', ["index-digest"]),
        (
            Index("k", (part("v"), part("x")), method=IndexMethod.FULLTEXT),
            (),
            "USING gin (to_tsvector('pg_catalog.simple'::regconfig,"
            " coalesce(\"v\"::text, '') || ' ' || coalesce(\"x\"::text, '')))",
            ["index-fulltext"],
        ),
        (Index("k", (part("b"),), method=IndexMethod.FULLTEXT), (), None, ["index-skipped"]),
        (Index("k", (part("g"),), method=IndexMethod.SPATIAL), (), None, ["index-skipped"]),
        (Index("k", (part("g"),), method=IndexMethod.SPATIAL), ("postgis",), 'USING gist ("g")', []),
        (
            Index(
                "k",
                (IndexPart(expression="cast(json_extract(`j`,_utf8mb4'$.t') as unsigned array)"),),
                method=IndexMethod.MULTIVALUE,
            ),
            (),
            "USING gin (((\"j\" #> ARRAY['t']::text[])))",
            ["index-multivalue"],
        ),
        (
            Index(
                "k",
                (IndexPart(expression="cast(`j`->'$[*]' as char(10) array)"),),
                True,
                IndexMethod.MULTIVALUE,
            ),
            (),
            'USING gin (("j"))',
            ["index-multivalue"],
        ),
        (
            Index(
                "k",
                (part("i"), IndexPart(expression="cast(`j`->'$.t' as unsigned array)")),
                method=IndexMethod.MULTIVALUE,
            ),
            (),
            None,
            ["index-skipped"],
        ),
    ],
)
def test_indexes(index: Index, extensions: tuple[str, ...], expected: str | None, noted: list[str]) -> None:
    """prefix-index, functional-index, index-fulltext, index-multivalue, index-invisible, long-keys."""
    table = Table("d", "t", COLUMNS, indexes=(index,), primary_key=KEY)
    database = mapped(table, extensions=frozenset(extensions))
    unique = "UNIQUE " if index.unique and index.method is not IndexMethod.MULTIVALUE else ""
    made = [f'CREATE {unique}INDEX "t_k" ON "s"."t" {expected}'] if expected else []
    assert sqls(database, Phase.INDEX) == made
    assert slugs(database.tables[0].notes) == noted


@pytest.mark.parametrize(
    ("key", "expected", "phase"),
    [
        ((part("id"),), 'ADD CONSTRAINT "t_pkey" PRIMARY KEY ("id")', Phase.PRIMARY_KEY),
        ((part("v"), part("id")), 'ADD CONSTRAINT "t_pkey" PRIMARY KEY ("v", "id")', Phase.PRIMARY_KEY),
        ((part("v", prefix=5), part("id")), 'btree (left("v", 5), "id")', Phase.INDEX),
        ((part("id", descending=True),), 'ADD CONSTRAINT "t_pkey" PRIMARY KEY ("id")', Phase.PRIMARY_KEY),
    ],
)
def test_primary_keys(key: tuple[IndexPart, ...], expected: str, phase: Phase) -> None:
    database = mapped(Table("d", "t", COLUMNS, primary_key=key))
    (statement,) = [s for s in database.tables[0].statements if s.object == "t_pkey"]
    assert expected in statement.sql
    assert statement.phase is phase
    assert ("primary-key-as-index" in slugs(database.tables[0].notes)) is (phase is Phase.INDEX)


# ---------------------------------------------------------------- constraints


def child(key: ForeignKey, **given: Any) -> tuple[Table, Table]:
    parent = Table("d", "p", COLUMNS, primary_key=KEY)
    return Table("d", "c", COLUMNS, foreign_keys=(key,), primary_key=KEY, **given), parent


@pytest.mark.parametrize(
    ("key", "rules", "noted"),
    [
        (ForeignKey("f", ("i",), "d", "p", ("id",)), "ON UPDATE NO ACTION ON DELETE NO ACTION", []),
        (
            ForeignKey("f", ("i",), "d", "p", ("id",), "CASCADE", "SET NULL"),
            "ON UPDATE CASCADE ON DELETE SET NULL",
            [],
        ),
        (
            ForeignKey("f", ("I",), "d", "P", ("ID",), "RESTRICT"),
            "ON UPDATE RESTRICT ON DELETE NO ACTION",
            [],
        ),
        (
            ForeignKey("f", ("i",), "d", "p", ("id",), "NO ACTION", "SET DEFAULT"),
            "ON UPDATE NO ACTION ON DELETE SET DEFAULT",
            ["foreign-key-set-default"],
        ),
        (ForeignKey("f", ("i",), "d", "p", ("id",), "WHATEVER"), None, ["foreign-key-skipped"]),
        (ForeignKey("f", ("i",), "other", "p", ("id",)), None, ["foreign-key-skipped"]),
        (ForeignKey("f", ("i",), "d", "gone", ("id",)), None, ["foreign-key-skipped"]),
        (ForeignKey("f", ("gone",), "d", "p", ("id",)), None, ["foreign-key-skipped"]),
        (ForeignKey("f", ("v",), "d", "p", ("id",)), None, ["foreign-key-skipped"]),
        (ForeignKey("f", ("i",), "d", "p", ("i",)), None, ["foreign-key-skipped"]),
        (ForeignKey("f", ("i", "id"), "d", "p", ("id",)), None, ["foreign-key-skipped"]),
    ],
)
def test_foreign_keys(key: ForeignKey, rules: str | None, noted: list[str]) -> None:
    """fk-rules, foreign-key-skipped: NOT VALID first, VALIDATE in a phase of its own."""
    database = mapped(*child(key))
    made = (
        'ALTER TABLE "s"."c" ADD CONSTRAINT "f" FOREIGN KEY ("i") REFERENCES "s"."p" ("id")'
        f" {rules} NOT VALID"
    )
    assert sqls(database, Phase.FOREIGN_KEY) == ([made] if rules else [])
    validated = ['ALTER TABLE "s"."c" VALIDATE CONSTRAINT "f"'] if rules else []
    assert sqls(database, Phase.VALIDATE) == validated
    assert slugs(database.tables[0].notes) == noted


@pytest.mark.parametrize(
    ("check", "expected", "noted"),
    [
        (Check("c", "`i` > 0"), '("i" > 0)', []),
        (Check("c", "`i`"), '("i" <> 0)', []),
        (Check("c", "`i` > 0", enforced=False), None, ["check-not-enforced"]),
        (Check("c", "sleep(1)"), None, ["check-not-translated"]),
        (Check("c", "json_valid(`j`)"), None, ["check-implied"]),
        (Check("c", "`v`"), None, ["check-not-translated"]),
    ],
)
def test_checks(check: Check, expected: str | None, noted: list[str]) -> None:
    database = mapped(Table("d", "t", COLUMNS, checks=(check,), primary_key=KEY))
    made = [f'ALTER TABLE "s"."t" ADD CONSTRAINT "c" CHECK ({expected}) NOT VALID'] if expected else []
    assert sqls(database, Phase.CHECK) == made
    assert len(sqls(database, Phase.VALIDATE)) == len(made)
    assert slugs(database.tables[0].notes) == noted


def test_constraint_names_are_unique_per_table() -> None:
    columns = (Column("id", INT, "", False), Column("u", LogicalType(Kind.INT64, unsigned=True), ""))
    table = Table(
        "d",
        "t",
        columns,
        primary_key=KEY,
        checks=(Check("t_u_check", "`id` > 0"), Check("t_pkey", "`id` > 0"), Check("f", "`id` > 0")),
        foreign_keys=(ForeignKey("f", ("id",), "d", "t", ("id",)),),
    )
    made = [
        s.object for s in mapped(table).tables[0].statements if s.phase in (Phase.CHECK, Phase.FOREIGN_KEY)
    ]
    assert len(set(made)) == len(made) == 5
    assert "t_pkey" not in made


# ---------------------------------------------------------------- generated columns


@pytest.mark.parametrize(
    ("expression", "stored", "loaded", "noted"),
    [
        ("`i` + 1", True, False, []),
        ("`i` + 1", False, False, ["generated-virtual-stored"]),
        ("crc32(`v`)", True, True, ["generated-not-translated"]),
        ("`gen` + 1", True, True, ["generated-not-translated"]),
        ("`gone` + 1", True, True, ["generated-not-translated"]),
        ("`v`", True, True, ["generated-not-translated"]),
    ],
)
def test_generated_columns(expression: str, stored: bool, loaded: bool, noted: list[str]) -> None:
    generated = Column("gen", INT, "int", generated=Generated(expression, stored))
    database = mapped(Table("d", "t", (*COLUMNS, generated), primary_key=KEY))
    assert database.tables[0].columns[-1].loaded is loaded
    assert ("GENERATED ALWAYS" in sqls(database, Phase.TABLE)[0]) is not loaded
    assert slugs(database.tables[0].notes) == noted


def test_a_written_generated_column_is_plain() -> None:
    generated = Column("gen", INT, "int", generated=Generated("`i` + 1", True))
    key = ForeignKey("f", ("gen",), "d", "p", ("id",), "CASCADE")
    parent = Table("d", "p", COLUMNS, primary_key=KEY)
    database = mapped(Table("d", "t", (*COLUMNS, generated), primary_key=KEY, foreign_keys=(key,)), parent)
    assert database.tables[0].columns[-1].loaded


# ---------------------------------------------------------------- the rest of the report


def test_inventory() -> None:
    """views, routines, triggers, events: named in the report, never half copied."""
    table = Table(
        "d",
        "t",
        (*COLUMNS, Column("hidden", INT, "int", invisible=True)),
        kind=TableKind.SYSTEM_VERSIONED,
        partitions=(Partition("p0", "RANGE", "id", "1"), Partition("p1", "RANGE", "id", "2")),
    )
    source = Database(
        "d",
        (table, Table("d", "w", COLUMNS, kind=TableKind.VIEW)),
        views=(View("d", "v", "select 1"),),
        routines=(Routine("d", "r", "FUNCTION", ""),),
        triggers=(Trigger("d", "g", "t", "BEFORE", "INSERT", ""),),
        events=(Event("d", "e", ""),),
        notes=("seen and not read",),
    )
    database = map_database(source, MapOptions("s"))
    assert [table.name for table in database.tables] == ["t"]
    assert slugs(database.notes) == [
        "catalog",
        "view-not-copied",
        "view-not-copied",
        "routine-not-copied",
        "trigger-not-copied",
        "event-not-copied",
    ]
    assert slugs(database.tables[0].notes) == [
        "partitions-flattened",
        "system-versioned",
        "no-primary-key",
        "invisible-column",
    ]


def test_statements_in_full() -> None:
    table = Table(
        "d",
        "t",
        (
            Column("id", INT, "int", False, auto_increment=True, comment="c'"),
            Column("at", LogicalType(Kind.TIMESTAMP), "timestamp", False, on_update_now=True),
        ),
        primary_key=KEY,
        comment="t'",
        auto_increment=8,
    )
    source = Database("d", (table,), sequences=(Sequence("d", "q", 3, -1, -9, 3, True, 2),))
    database = map_database(source, MapOptions("s"))
    everything = [*database.statements, *database.tables[0].statements]
    assert [(s.phase.value, s.object, s.exists is not None) for s in everything] == [
        ("namespace", "s", True),
        ("type", "q", True),
        ("sequence", "q", False),
        ("type", "function dbstreams_touch_at", False),
        ("table", "t", True),
        ("trigger", "touch_at", True),
        ("comment", "table", False),
        ("comment", "column id", False),
        ("primary_key", "t_pkey", True),
        ("sequence", "t_id_seq", False),
        ("analyze", "t", False),
    ]
    by_object = {(s.phase, s.object): s for s in everything}
    assert by_object[Phase.TABLE, "t"].sql == (
        'CREATE TABLE "s"."t" (\n'
        '  "id" integer GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME "s"."t_id_seq") NOT NULL,\n'
        '  "at" timestamp(0) with time zone NOT NULL\n)'
    )
    assert by_object[Phase.TYPE, "q"].sql == (
        'CREATE SEQUENCE "s"."q" INCREMENT BY -1 MINVALUE -9 MAXVALUE 3 START WITH 3 CYCLE'
    )
    assert by_object[Phase.COMMENT, "table"].sql == "COMMENT ON TABLE \"s\".\"t\" IS 't'''"
    assert by_object[Phase.COMMENT, "column id"].sql == 'COMMENT ON COLUMN "s"."t"."id" IS \'c\'\'\''
    assert by_object[Phase.ANALYZE, "t"].sql == 'ANALYZE "s"."t"'
    assert by_object[Phase.TRIGGER, "touch_at"].sql == (
        'CREATE TRIGGER "touch_at" BEFORE UPDATE ON "s"."t" FOR EACH ROW'
        ' WHEN (OLD."at" IS NOT DISTINCT FROM NEW."at" AND ROW(OLD."id") IS DISTINCT FROM ROW(NEW."id"))'
        ' EXECUTE FUNCTION "s"."dbstreams_touch_at"()'
    )


def test_drops() -> None:
    table = Table("d", "t", COLUMNS)
    assert ddl.drops(mapped(table).tables[0]) == (
        'DROP TABLE IF EXISTS "s"."t" CASCADE',
        'DROP TYPE IF EXISTS "s"."t_e"',
    )


def test_the_map_is_the_same_every_time() -> None:
    tables = [Table("d", name, COLUMNS, primary_key=KEY) for name in ("t" * 64, "T" * 64, "x", "X")]
    options = MapOptions("s", Policies.model_validate({"identifiers": "lower"}))
    first, second = (map_database(Database("d", tuple(tables)), options) for _ in range(2))
    assert first == second


def test_statements_are_plain_values() -> None:
    statement = mapped(Table("d", "t", COLUMNS)).tables[0].statements[0]
    assert isinstance(statement, Statement)
