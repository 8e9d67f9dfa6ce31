"""Structure that databases really have, in one stream a server: what its plan says of each case, and what is
on the target afterwards. The slugs are those of docs/policies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from tests.integration.checklist import Case, Ran, index, ran

pytestmark = pytest.mark.integration

CUT = "c" + "é" * 63  # 127 bytes in 64 characters


NAMES = [
    Case(
        "long-name",
        ("longnames",),
        (
            f"CREATE TABLE longnames (id int PRIMARY KEY, `{CUT}` int, `{CUT[:-1]}z` int)",
            "INSERT INTO longnames VALUES (1, 2, 3)",
        ),
        (("warning", "long-name", CUT, None), ("warning", "long-name", CUT[:-1] + "z", None)),
        (
            (
                "SELECT count(*), max(octet_length(attname::text)) <= 63, count(DISTINCT attname)"
                " FROM pg_attribute WHERE attrelid = 'public.longnames'::regclass AND attnum > 1",
                [(2, True, 2)],
            ),
        ),
    ),
    Case(
        "mysql-name-case",
        ("foo", "FOO"),
        (
            "CREATE TABLE foo (id int PRIMARY KEY, v varchar(5)); CREATE TABLE FOO LIKE foo",
            "INSERT INTO foo VALUES (1, 'lower'); INSERT INTO FOO VALUES (1, 'upper'), (2, 'upper')",
        ),
        (),
        (('SELECT v FROM public."FOO"', [("upper",)] * 2), ("SELECT v FROM public.foo", [("lower",)])),
    ),
    Case(
        "system-column-name",
        ("sys tem",),
        (
            "CREATE TABLE `sys tem` (xmin int PRIMARY KEY, `select` int)",
            "INSERT INTO `sys tem` VALUES (1, 2)",
        ),
        (("warning", "system-column-name", "xmin", None),),
        (('SELECT "select" FROM public."sys tem"', [(2,)]),),
    ),
    Case(
        "index-name",
        ("n", "n_k", "m"),
        (
            "CREATE TABLE n (id int PRIMARY KEY, a int, KEY k (a)); CREATE TABLE m LIKE n",
            "CREATE TABLE n_k (id int PRIMARY KEY)",
        ),
        (("info", "index-name", None, None),),
        (
            index("n", "btree (a)"),
            index("m", "btree (a)"),
            ("SELECT relkind::text FROM pg_class WHERE relname = 'n_k'", [("r",)]),
        ),
    ),
    Case(
        "constraint-name",
        ("conname",),
        ("CREATE TABLE conname (id int PRIMARY KEY, a int, CONSTRAINT conname_pkey CHECK (a > 0))",),
        (("info", "constraint-name", None, None),),
        (
            (
                "SELECT count(*) FROM pg_constraint"
                " WHERE contype <> 'n' AND conrelid = 'public.conname'::regclass",
                [(2,)],
            ),
        ),
    ),
]

COLUMNS = [
    Case(
        "generated-columns",
        ("computed",),
        (
            "CREATE TABLE computed (id int PRIMARY KEY, a int AS (id + 1) STORED, b int AS (id * 2) VIRTUAL,"
            " c int AS (a + 1) VIRTUAL, d bigint AS (crc32(id)) STORED)",
            "INSERT INTO computed (id) VALUES (1), (2)",
        ),
        (
            ("info", "generated-virtual-stored", "b", None),
            ("warning", "generated-not-translated", "c", None),
            ("warning", "generated-not-translated", "d", None),
        ),
        (
            (
                "SELECT id, a, b, c, d FROM public.computed ORDER BY 1",
                [(1, 2, 2, 3, 2212294583), (2, 3, 4, 4, 450215437)],
            ),
            (
                "SELECT attname::text FROM pg_attribute WHERE attrelid = 'public.computed'::regclass"
                " AND attgenerated = 's' ORDER BY 1",
                [("a",), ("b",)],
            ),
        ),
    ),
    Case(
        "generated-remark",
        ("dug",),
        (
            "CREATE TABLE dug (id int PRIMARY KEY, j json, g varchar(50) CHARACTER SET utf8mb4"
            " COLLATE utf8mb4_bin AS (JSON_UNQUOTE(JSON_EXTRACT(j, '$.a'))) STORED)",
            'INSERT INTO dug (id, j) VALUES (1, \'{"a": "x"}\'), (2, \'{"a": 5}\'), (3, NULL)',
        ),
        (("info", "generated-remark", "g", None),),
        (("SELECT g FROM public.dug ORDER BY id", [("x",), ("5",), (None,)]),),
        only="mysql",
    ),
    Case(
        "on-update-dropped",
        ("lonely",),
        (
            "CREATE TABLE lonely (at timestamp NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP)",
            "INSERT INTO lonely VALUES ('2001-01-01')",
        ),
        (("warning", "on-update-dropped", "at", None),),
        (("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'public.lonely'::regclass", [(0,)]),),
    ),
    Case(
        "on-update-trigger",
        ("implicit",),
        (
            "SET explicit_defaults_for_timestamp = OFF",
            # The first TIMESTAMP gets DEFAULT and ON UPDATE by itself, and takes no NULL; the second zeros.
            "CREATE TABLE implicit (id int PRIMARY KEY, first timestamp, second timestamp NULL)",
            "SET explicit_defaults_for_timestamp = ON",
            "INSERT INTO implicit VALUES (1, '2001-01-01', NULL)",
        ),
        (("info", "on-update-trigger", "first", None),),
        (
            (
                "SELECT attname::text, attnotnull, atthasdef FROM pg_attribute"
                " WHERE attrelid = 'public.implicit'::regclass AND attnum > 1 ORDER BY 1",
                [("first", True, True), ("second", False, False)],
            ),
            ("UPDATE public.implicit SET id = 2 RETURNING first > '2001-01-01'", [(True,)]),
            ("ALTER TABLE public.implicit DISABLE TRIGGER USER", []),
            ("UPDATE public.implicit SET id = 1, first = '2001-01-01'", []),
        ),
    ),
    Case(
        "invisible-column",
        ("hidden",),
        (
            "CREATE TABLE hidden (id int PRIMARY KEY, seen int, h int DEFAULT 3 INVISIBLE)",
            "INSERT INTO hidden (id, seen, h) VALUES (1, 2, 7)",
        ),
        (("info", "invisible-column", "h", None), ("warning", "trigger-not-copied", None, None)),
        (("SELECT * FROM public.hidden", [(1, 2, 7)]),),
    ),
    Case(
        "mysql-gipk",
        ("gipk",),
        (
            "SET sql_generate_invisible_primary_key = ON",
            "CREATE TABLE gipk (a int)",
            "SET sql_generate_invisible_primary_key = OFF",
            "INSERT INTO gipk VALUES (5), (6)",
        ),
        (
            ("info", "invisible-column", "my_row_id", None),
            ("warning", "unsigned-bigint-identity", "my_row_id", None),
        ),
        (("SELECT my_row_id, a FROM public.gipk ORDER BY 1", [(1, 5), (2, 6)]),),
        only="mysql",
    ),
    Case(
        "mysql-comment-marks",
        ("commented",),
        ("CREATE TABLE commented (id int PRIMARY KEY COMMENT 'it''s \\\\ \"é\"') COMMENT 'why 😀'",),
        (),
        (
            ("SELECT col_description('public.commented'::regclass, 1)", [('it\'s \\ "é"',)]),
            ("SELECT obj_description('public.commented'::regclass)", [("why ?",)]),
        ),
    ),
    Case(
        "mysql-without-overlaps",
        ("periods",),
        (
            "CREATE TABLE periods (id int, s date NOT NULL, e date NOT NULL, PERIOD FOR p (s, e),"
            " UNIQUE k (id, p WITHOUT OVERLAPS))",
            "INSERT INTO periods VALUES (1, '2020-01-01', '2020-02-01'), (1, '2020-02-01', '2020-03-01')",
        ),
        (),
        (index("periods", "unique btree (id, e, s)"),),
        only="mariadb",
    ),
]


def partitioned(name: str, how: str) -> tuple[str, str]:
    return (
        f"CREATE TABLE {name} (id int, d date NOT NULL, PRIMARY KEY (id, d)) PARTITION BY {how}",
        f"INSERT INTO {name} VALUES (1, '1999-01-01'), (2, '2024-01-01')",
    )


TABLES = [
    Case(
        "partitions-flattened",
        ("by_range", "by_list", "by_hash", "by_key"),
        (
            *partitioned(
                "by_range",
                "RANGE (YEAR(d)) (PARTITION a VALUES LESS THAN (2000),"
                " PARTITION b VALUES LESS THAN MAXVALUE)",
            ),
            *partitioned("by_list", "LIST (id) (PARTITION a VALUES IN (1), PARTITION b VALUES IN (2))"),
            *partitioned("by_hash", "HASH (id) PARTITIONS 3"),
            *partitioned("by_key", "KEY (id) PARTITIONS 3"),
        ),
        (("info", "partitions-flattened", None, None),),
        (
            ("SELECT count(*) FROM public.by_range, public.by_list, public.by_hash, public.by_key", [(16,)]),
            (
                "SELECT count(*) FROM pg_constraint WHERE contype = 'p'"
                " AND conrelid::regclass::text LIKE 'by\\_%'",
                [(4,)],
            ),
        ),
    ),
    Case(
        "system-versioned",
        ("versioned", "withrows"),
        (
            "CREATE TABLE versioned (id int PRIMARY KEY, v int) WITH SYSTEM VERSIONING",
            "INSERT INTO versioned VALUES (1, 1), (2, 1)",
            "UPDATE versioned SET v = 2 WHERE id = 1",
            "DELETE FROM versioned WHERE id = 2",
            "CREATE TABLE withrows (id int PRIMARY KEY, s timestamp(6) GENERATED ALWAYS AS ROW START,"
            " e timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e))"
            " WITH SYSTEM VERSIONING",
            "INSERT INTO withrows (id) VALUES (1)",
        ),
        (
            ("warning", "system-versioned", None, None),
            ("warning", "generated-not-translated", "s", None),
            ("warning", "generated-not-translated", "e", None),
        ),
        (
            ("SELECT id, v FROM public.versioned", [(1, 2)]),
            ("SELECT s > '2020-01-01', e > '2038-01-01' FROM public.withrows", [(True, True)]),
        ),
        only="mariadb",
    ),
    Case(
        "row-too-wide",
        ("wide",),
        (
            f"CREATE TABLE wide (id int PRIMARY KEY, {', '.join(f'c{n} time' for n in range(600))})",
            "INSERT INTO wide (id, c0) VALUES (1, '00:00:02')",
        ),
        (("warning", "row-too-wide", None, None),),
        (("SELECT c0::text FROM public.wide", [("00:00:02",)]),),
    ),
    Case(
        "engine-without-snapshot",
        ("isam", "memory"),
        (
            "CREATE TABLE isam (id int PRIMARY KEY) ENGINE=MyISAM",
            "CREATE TABLE memory (id int PRIMARY KEY) ENGINE=MEMORY",
            "INSERT INTO isam VALUES (1)",
        ),
        (("warning", "engine-without-snapshot", None, None),),
    ),
]

CASES = [*NAMES, *COLUMNS, *TABLES]

# What belongs to no table: one object of each, with its name in the report.
CODE = (
    "CREATE VIEW a_view AS SELECT id FROM longnames",
    "CREATE FUNCTION a_function() RETURNS int DETERMINISTIC RETURN 1",
    "CREATE PROCEDURE a_procedure() BEGIN SELECT 1; END",
    "CREATE TRIGGER a_trigger BEFORE INSERT ON hidden FOR EACH ROW SET NEW.seen = 1",
    "CREATE EVENT an_event ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1",
)
INVENTORY = [
    ("view-not-copied", ["a_view"]),
    ("routine-not-copied", ["a_function", "a_procedure"]),
    ("trigger-not-copied", ["a_trigger"]),
    ("event-not-copied", ["an_event"]),
]


@pytest.fixture(scope="module")
def whole(source_server: MysqlEndpoint, postgres: PostgresEndpoint) -> Iterator[Ran]:
    code = Case("inventory", (), CODE)
    with ran(source_server, postgres, [*CASES, code]) as finished:
        yield finished


@pytest.mark.parametrize("case", CASES, ids=str)
def test_structure_as_the_plan_says(whole: Ran, case: Case) -> None:
    if case.only not in (None, whole.flavor):
        pytest.skip(f"{case.only} alone has it")
    for what, have, want in whole.compared(case):
        assert have == want, what


@pytest.mark.parametrize(("slug", "objects"), INVENTORY, ids=[slug for slug, _ in INVENTORY])
def test_code_is_listed_by_name(whole: Ran, slug: str, objects: list[str]) -> None:
    """view-not-copied, routine-not-copied, trigger-not-copied, event-not-copied"""
    said = sorted(whole.said(slug))
    assert len(said) == len(objects)
    for message, name in zip(said, objects, strict=True):
        assert name in message


def test_comments_that_lost_characters_in_the_catalog_are_named(whole: Ran) -> None:
    """mysql-comment-marks"""
    assert any("commented" in message for message in whole.said("catalog"))
