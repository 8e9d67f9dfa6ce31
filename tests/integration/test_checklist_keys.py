"""Keys, indexes, constraints and counters that databases really have, in one stream a server: what its
plan says of each case, and what is on the target afterwards. The slugs are those of docs/policies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from tests.integration.checklist import Case, Ran, index, ran

pytestmark = pytest.mark.integration

KEYS = [
    Case(
        "prefix-index",
        ("prefixes",),
        (
            "CREATE TABLE prefixes (id int PRIMARY KEY, a varchar(50), b blob, UNIQUE ua (a(3)),"
            " KEY kb (b(4)))",
            "INSERT INTO prefixes VALUES (1, 'abcd', 'x'), (2, 'abx', x'00ff00ff00'), (3, NULL, NULL)",
        ),
        (("warning", "unique-case", "a", None),),
        (
            index(
                "prefixes",
                'unique btree ("left"((a)::text, 3))',
                'btree ("substring"(b, 1, 4))',
            ),
        ),
    ),
    Case(
        "index-digest",
        ("longkeys",),
        (
            "CREATE TABLE longkeys (id int PRIMARY KEY, u varbinary(3072), h varbinary(3072),"
            " m varbinary(3000), n int, short varchar(700), UNIQUE uu (u), KEY kh (h), KEY km (m, n),"
            " KEY (short))",
            # Random, so that compression does not save it.
            "INSERT INTO longkeys SELECT 1, bytes, bytes, LEFT(bytes, 3000), 1, 'x' FROM (SELECT CAST(CONCAT("
            + ", ".join("RANDOM_BYTES(1024)" for _ in range(3))
            + ") AS BINARY) bytes) made",
        ),
        (("warning", "index-digest", None, None),),
        (
            index(
                "longkeys", "unique btree (sha256(u))", "hash (h)", "btree (sha256(m), n)", "btree (short)"
            ),
            ("SELECT octet_length(u) FROM public.longkeys", [(3072,)]),
        ),
    ),
    Case(
        "unique-case",
        ("folding",),
        (
            "CREATE TABLE folding (id int PRIMARY KEY, a varchar(9) COLLATE utf8mb4_general_ci,"
            " b varchar(9) COLLATE utf8mb4_bin, UNIQUE ka (a), UNIQUE kb (b))",
            "INSERT INTO folding VALUES (1, 'abc', 'x'), (2, 'straße', 'X')",
        ),
        (("warning", "unique-case", "a", None),),
        (index("folding", "unique btree (a)", "unique btree (b)"),),
    ),
    Case(
        "functional-index",
        ("functional",),
        (
            "CREATE TABLE functional (id int PRIMARY KEY, s varchar(20) COLLATE utf8mb4_bin, j json,"
            " KEY f ((lower(s))), KEY x ((id * 2)), KEY c ((crc32(s))),"
            " KEY mv ((CAST(j->'$.tags' AS unsigned ARRAY))))",
            "INSERT INTO functional VALUES (1, 'É', '{\"tags\": [1, 2]}')",
        ),
        (
            ("info", "index-multivalue", None, None),
            ("warning", "index-skipped", None, None),
        ),
        (("SELECT count(*) FROM pg_index WHERE indrelid = 'public.functional'::regclass", [(4,)]),),
        only="mysql",
    ),
    Case(
        "index-fulltext",
        ("methods",),
        (
            "CREATE TABLE methods (id int PRIMARY KEY, a text, g geometry NOT NULL, n int, FULLTEXT ft (a),"
            " SPATIAL KEY sp (g), KEY d (n DESC))",
            "INSERT INTO methods VALUES (1, 'word', ST_GeomFromText('POINT(1 2)'), 3)",
        ),
        (("info", "index-fulltext", None, None), ("warning", "index-skipped", None, None)),
        (("SELECT count(*) FROM pg_index WHERE indrelid = 'public.methods'::regclass", [(3,)]),),
    ),
    Case(
        "index-invisible",
        ("unseen",),
        (
            "CREATE TABLE unseen (id int PRIMARY KEY, a int, b int, KEY ka (a) /*!80000 INVISIBLE */"
            " /*M! IGNORED */,"
            " UNIQUE kb (b) /*!80000 INVISIBLE */ /*M! IGNORED */)",
        ),
        (("info", "index-invisible", None, None), ("info", "index-invisible-unique", None, None)),
        (index("unseen", "unique btree (b)"),),
    ),
    Case(
        "primary-key-as-index",
        ("prefixed",),
        (
            "CREATE TABLE prefixed (a varbinary(20), PRIMARY KEY (a(5)))",
            "INSERT INTO prefixed VALUES ('abcdef')",
        ),
        (("warning", "primary-key-as-index", None, None),),
        (
            (
                "SELECT contype::text FROM pg_constraint"
                " WHERE contype <> 'n' AND conrelid = 'public.prefixed'::regclass",
                [],
            ),
        ),
    ),
    Case(
        "foreign-key-skipped",
        ("parent", "child"),
        (
            "CREATE TABLE parent (id int PRIMARY KEY, plain int, KEY (plain)) ENGINE=InnoDB",
            "SET foreign_key_checks = 0",
            "CREATE TABLE child (id int PRIMARY KEY, p int, q int, r int,"
            " CONSTRAINT f_plain FOREIGN KEY (p) REFERENCES parent (plain),"
            " CONSTRAINT f_gone FOREIGN KEY (q) REFERENCES nowhere (id),"
            " CONSTRAINT f_orphan FOREIGN KEY (r) REFERENCES parent (id) ON DELETE CASCADE)",
            "INSERT INTO parent VALUES (1, 1)",
            "INSERT INTO child VALUES (1, 1, 5, 1), (2, NULL, NULL, 77), (3, 1, 5, 78)",
            "SET foreign_key_checks = 1",
        ),
        (("warning", "foreign-key-skipped", None, None),),
        (
            (
                "SELECT conname::text, convalidated, confdeltype::text FROM pg_constraint"
                " WHERE conrelid = 'public.child'::regclass AND contype = 'f'",
                [("f_orphan", False, "c")],
            ),
        ),
    ),
    Case(
        "foreign-key-set-default",
        ("setparent", "setchild"),
        (
            "CREATE TABLE setparent (id int PRIMARY KEY)",
            "CREATE TABLE setchild (id int PRIMARY KEY, p int DEFAULT 1, CONSTRAINT sd FOREIGN KEY (p)"
            " REFERENCES setparent (id) ON DELETE SET DEFAULT)",
            "INSERT INTO setparent VALUES (1), (2); INSERT INTO setchild VALUES (1, 2)",
        ),
        (("warning", "foreign-key-set-default", None, None),),
        (
            ("DELETE FROM public.setparent WHERE id = 2", []),
            ("SELECT p FROM public.setchild", [(1,)]),
            ("INSERT INTO public.setparent VALUES (2)", []),
            ("UPDATE public.setchild SET p = 2", []),
        ),
        only="mysql",
    ),
    Case(
        "mysql-set-default",
        ("setparent", "setchild"),
        (
            "CREATE TABLE setparent (id int PRIMARY KEY)",
            "CREATE TABLE setchild (id int PRIMARY KEY, p int DEFAULT 1, CONSTRAINT sd FOREIGN KEY (p)"
            " REFERENCES setparent (id) ON DELETE SET DEFAULT)",
        ),
        (),
        (("SELECT confdeltype::text FROM pg_constraint WHERE conname = 'sd'", [("r",)]),),
        only="mariadb",
    ),
    Case(
        "checks",
        ("checked",),
        (
            "CREATE TABLE checked (id int PRIMARY KEY, a int, s varchar(9), j json,"
            " CONSTRAINT good CHECK (a > 0), CONSTRAINT odd CHECK (crc32(s) > 1),"
            " CONSTRAINT valid CHECK (json_valid(j)))",
            "INSERT INTO checked VALUES (1, 1, 'x', '{}')",
        ),
        (("info", "check-implied", None, None), ("warning", "check-not-translated", None, None)),
        (
            (
                "SELECT conname::text, convalidated FROM pg_constraint WHERE contype = 'c' AND conrelid ="
                " 'public.checked'::regclass",
                [("good", True)],
            ),
        ),
    ),
    Case(
        "check-not-enforced",
        ("lax",),
        (
            "CREATE TABLE lax (id int PRIMARY KEY, a int, CONSTRAINT lax1 CHECK (a > 0) NOT ENFORCED)",
            "INSERT INTO lax VALUES (1, -1)",
        ),
        (("info", "check-not-enforced", None, None),),
        only="mysql",
    ),
]

COUNTERS = [
    Case(
        "auto-increment",
        ("counted",),
        (
            "CREATE TABLE counted (id int AUTO_INCREMENT PRIMARY KEY, v int)",
            "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
            "INSERT INTO counted VALUES (0, 1), (-5, 2), (40, 3)",
            "DELETE FROM counted WHERE id = 40",
            "SET sql_mode = 'ALLOW_INVALID_DATES'",
        ),
        (),
        (
            ("SELECT id FROM public.counted ORDER BY 1", [(-5,), (0,)]),
            ("INSERT INTO public.counted (v) VALUES (9) RETURNING id", [(41,)]),
            ("DELETE FROM public.counted WHERE v = 9", []),
        ),
    ),
    Case(
        "identity-as-default",
        ("exhausted",),
        (
            "CREATE TABLE exhausted (id bigint unsigned AUTO_INCREMENT PRIMARY KEY)",
            "INSERT INTO exhausted VALUES (18446744073709551615), (7)",
        ),
        (("info", "identity-as-default", "id", None),),
        (("SELECT max(id)::text FROM public.exhausted", [("18446744073709551615",)]),),
    ),
    Case(
        "unsigned-bigint-identity",
        ("small", "refers"),
        (
            "CREATE TABLE small (id bigint unsigned AUTO_INCREMENT PRIMARY KEY)",
            "CREATE TABLE refers (id int PRIMARY KEY, s bigint unsigned,"
            " FOREIGN KEY (s) REFERENCES small (id))",
            "INSERT INTO small VALUES (9223372036854775806)",
            "INSERT INTO refers VALUES (1, 9223372036854775806)",
        ),
        (
            ("warning", "unsigned-bigint-identity", "id", None),
            ("warning", "unsigned-bigint-identity", "s", None),
        ),
        (
            (
                "SELECT attrelid::regclass::text, format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid IN ('small'::regclass, 'refers'::regclass) AND attname IN ('id', 's')"
                " ORDER BY 1, 2",
                [("refers", "bigint"), ("refers", "integer"), ("small", "bigint")],
            ),
        ),
    ),
    Case(
        "unsigned-keys",
        ("bigparent", "bigchild"),
        (
            "CREATE TABLE bigparent (id bigint unsigned PRIMARY KEY)",
            "CREATE TABLE bigchild (id int PRIMARY KEY, p bigint unsigned, CONSTRAINT bigf FOREIGN KEY (p)"
            " REFERENCES bigparent (id))",
            "INSERT INTO bigparent VALUES (18446744073709551615)",
            "INSERT INTO bigchild VALUES (1, 18446744073709551615)",
        ),
        (),
        (("SELECT convalidated FROM pg_constraint WHERE conname = 'bigf'", [(True,)]),),
    ),
    Case(
        "auto-increment-per-prefix",
        ("perprefix",),
        (
            "CREATE TABLE perprefix (a int, b int AUTO_INCREMENT, PRIMARY KEY (a, b)) ENGINE=MyISAM",
            "INSERT INTO perprefix (a) VALUES (1), (1), (2)",
        ),
        (
            ("warning", "auto-increment-per-prefix", "b", None),
            ("warning", "engine-without-snapshot", None, None),
        ),
        (
            ("SELECT a, b FROM public.perprefix ORDER BY 1, 2", [(1, 1), (1, 2), (2, 1)]),
            ("INSERT INTO public.perprefix (a) VALUES (2) RETURNING b > 2", [(True,)]),
            ("DELETE FROM public.perprefix WHERE b > 2", []),
        ),
    ),
    Case(
        "mysql-sequences",
        ("sequenced",),
        (
            "CREATE SEQUENCE numbers START WITH 5 INCREMENT BY 3 NOCACHE",
            "CREATE TABLE sequenced (id int DEFAULT NEXTVAL(numbers) PRIMARY KEY, v int)",
            "INSERT INTO sequenced (v) VALUES (1), (2)",
        ),
        (),
        (
            ("INSERT INTO public.sequenced (v) VALUES (3) RETURNING id", [(11,)]),
            ("DELETE FROM public.sequenced WHERE v = 3", []),
        ),
        only="mariadb",
    ),
]

CASES = [*KEYS, *COUNTERS]


@pytest.fixture(scope="module")
def whole(source_server: MysqlEndpoint, postgres: PostgresEndpoint) -> Iterator[Ran]:
    with ran(source_server, postgres, CASES) as finished:
        yield finished


@pytest.mark.parametrize("case", CASES, ids=str)
def test_keys_as_the_plan_says(whole: Ran, case: Case) -> None:
    if case.only not in (None, whole.flavor):
        pytest.skip(f"{case.only} alone has it")
    for what, have, want in whole.compared(case):
        assert have == want, what


def test_orphans_are_counted_with_one_of_them(whole: Ran) -> None:
    """constraint-not-valid"""
    (note,) = [note for note in whole.end if note["slug"] == "constraint-not-valid"]
    assert (note["table"], note["count"]) == ("child", 2)
    assert "f_orphan" in note["message"]
    assert "(r)=(77)" in note["message"] or "(r)=(78)" in note["message"]


def test_reasons_of_skipped_foreign_keys(whole: Ran) -> None:
    """foreign-keys, foreign-key-skipped, mysql-foreign-key-missing"""
    said = sorted(whole.said("foreign-key-skipped"))
    assert [message.split("'")[1] for message in said] == ["f_gone", "f_plain"]
    assert "nowhere" in said[0]
    assert "CREATE UNIQUE INDEX" in said[1]
