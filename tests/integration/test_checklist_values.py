"""Values that databases really have, in a stream a set of policies: what the plan says of them, and how they
arrive. The slugs are those of docs/policies; values type by type are in test_type_matrix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from tests.integration.checklist import Case, Note, Ran, ran

pytestmark = pytest.mark.integration


def kept(slug: str, table: str, column: str, *rows: tuple[str, Any], notes: Any = (), **more: Any) -> Case:
    """One column `c` of that definition; rows: literals of the source, and what the target's text must be."""
    values = ", ".join(f"({number}, {literal})" for number, (literal, _) in enumerate(rows))
    shown = more.pop("shown", "c::text")
    return Case(
        slug,
        (table,),
        (
            f"CREATE TABLE {table} (id int PRIMARY KEY, c {column}) DEFAULT CHARSET utf8mb4",
            f"INSERT INTO {table} VALUES {values}",
        ),
        notes,
        ((f"SELECT {shown} FROM public.{table} ORDER BY id", [(text,) for _, text in rows]),),
        **more,
    )


def note(severity: str, slug: str, count: int | None = None) -> tuple[Note, ...]:
    return ((severity, slug, "c", count),)


AS_THEY_ARE = [
    kept("tinyint1-boolean", "flags", "tinyint(1)", ("2", "2"), ("-1", "-1"), ("127", "127"), ("NULL", None)),
    kept("zerofill", "zeros", "int(9) zerofill", ("7", "7"), notes=note("info", "zerofill")),
    kept("verify-float", "minus", "double", ("'-0e0'", "-0"), ("0", "0"), only="mysql"),
    kept("verify-float", "minus", "double", ("'-0e0'", "0"), only="mariadb"),
    kept("integers", "years", "year", ("0", "0"), ("'0'", "2000"), ("'69'", "2069"), ("'70'", "1970")),
    kept("enum-order", "ranked", "enum('b','a')", ("'a'", "b"), ("'b'", "b"), shown="(min(c) OVER ())::text"),
    kept("enum-invalid-value", "unlisted", "enum('a')", ("'a'", "a"), ("0", ""), ("NULL", None),
         notes=note("warning", "enum-invalid-value", 1)),
    kept("enum-long-label", "labels", f"enum('{'é' * 40}','x')", (f"'{'é' * 40}'", "é" * 40),
         notes=note("warning", "enum-long-label")),
    kept("mysql-enum-tokenizer", "quoted", "enum('it''s','a,b','(c)','  d','back\\\\slash','😀')",
         ("'it''s'", "it's"), ("'a,b'", "a,b"), ("'(c)'", "(c)"), ("'  d'", "  d"),
         ("'back\\\\slash'", "back\\slash"), ("'😀'", "😀")),
    kept("set-array", "sets", "set('','c','a b','{q}')", ("0", "{}"), ("1", '{""}'), ("'a b,c'", '{c,"a b"}'),
         ("8", '{"{q}"}')),
    kept("json-types", "docs", "json", ("'{\"b\": 1, \"a\": 2}'", '{"b": 1, "a": 2}'), ("'1e400'", "1e400"),
         ("'{\"a\":1,\"a\":2}'", '{"a":1,"a":2}'), only="mariadb"),
    kept("json-types", "docs", "json", ("'{\"bb\": 1, \"a\": 2}'", '{"a": 2, "bb": 1}'), ("'null'", "null"),
         ("NULL", None), only="mysql"),
    kept("json-opaque", "opaque", "json",
         ("JSON_OBJECT('a', CAST('x' AS BINARY))", '{"a": "base64:type15:eA=="}'),
         ("'{}'", "{}"), notes=note("warning", "json-opaque", 1), only="mysql"),
    kept("mojibake", "twice", "varchar(20) CHARACTER SET latin1",
         ("_binary 0xC3A9", "Ã©"), ("'é'", "é"), ("'e'", "e"),
         ("NULL", None), notes=note("warning", "mojibake", 1)),
    kept("question-marks", "emoji", "varchar(20) CHARACTER SET utf8mb3",
         ("'a?'", "a?"), ("'b'", "b"), ("NULL", None),
         notes=note("info", "question-marks", 1)),
    kept("encode-exact", "holes", "varchar(9) CHARACTER SET latin1",
         ("_binary 0x80", "€"), ("_binary 0x8D", "\x8d")),
    kept("encode-exact", "padded", "binary(4)",
         ("x'ff'", "\\xff000000"), ("x''", "\\x00000000"), ("NULL", None)),
    kept("encode-exact", "blobs", "blob", ("x''", "\\x"), ("NULL", None)),
    kept("encode-exact", "padding", "char(5)", ("'a  '", "a"), ("''", "")),
    kept("duration-interval", "spans", "time", ("'-838:59:59'", "-838:59:59"), ("'24:00:00'", "24:00:00")),
    # Latitude before longitude where MySQL takes a text with this SRID; x is the longitude in all of them.
    kept("mysql-srid", "places", "point /*!80003 SRID 4326 */",
         ("ST_GeomFromText('POINT(10 20)', 4326)", "0101000020e610000000000000000034400000000000002440"),
         shown="encode(c, 'hex')", only="mysql"),
    kept("mysql-srid", "places", "point",
         ("ST_GeomFromText('POINT(20 10)', 4326)", "0101000020e610000000000000000034400000000000002440"),
         ("NULL", None), shown="encode(c, 'hex')", only="mariadb"),
    kept("verify-own-encoder", "nothings", "geometrycollection",
         ("ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')", "010700000000000000"), shown="encode(c, 'hex')"),
    kept("zero-date-default", "defaulted", "date DEFAULT '0000-00-00'", ("'2024-01-01'", "2024-01-01"),
         notes=note("warning", "zero-date-default")),
]  # fmt: skip

GROUPS: dict[str, tuple[dict[str, str], list[Case]]] = {
    "default": ({}, AS_THEY_ARE),
    "boolean": (
        {"tinyint1": "boolean", "zeroDate": "null", "nulByte": "bytea", "enum": "text", "set": "text"},
        [
            kept("tinyint1-boolean", "flags", "tinyint(1)", ("0", "false"), ("1", "true"), ("NULL", None)),
            kept("tinyint1-not-boolean", "counts", "tinyint(1)", ("0", "0"), ("2", "2"),
                 notes=note("warning", "tinyint1-not-boolean")),
            kept("tinyint1-boolean", "tinyu", "tinyint(1) unsigned", ("1", "1")),
            kept("zero-date-nullable", "dates", "date NOT NULL",
                 ("'0000-00-00'", None), ("'2024-00-10'", None),
                 ("'2024-02-00'", None), ("'2024-02-30'", None), ("'0000-01-01'", None),
                 ("'2024-02-29'", "2024-02-29"), ("'0009-01-01'", "0009-01-01"),
                 notes=note("warning", "zero-date-nullable", 5)),
            kept("mysql-facts", "realdates", "date NOT NULL", ("'2024-02-29'", "2024-02-29")),
            kept("mysql-nul-bytes", "nuls", "varchar(9)",
                 ("CONCAT('é', CHAR(0))", "\\xc3a900"), ("'b'", "\\x62"),
                 ("NULL", None), notes=note("warning", "text-as-bytea")),
            kept("mysql-nul-bytes", "wide", "varchar(9) CHARACTER SET utf16", ("'ab'", "ab")),
            Case(
                "primary-key-skipped",
                ("nulkey",),
                (
                    "CREATE TABLE nulkey (c varchar(9), PRIMARY KEY (c(3))) DEFAULT CHARSET utf8mb4",
                    "INSERT INTO nulkey VALUES (CONCAT('x', CHAR(0)))",
                ),
                (("warning", "primary-key-skipped", None, None), ("warning", "text-as-bytea", "c", None)),
            ),
            Case(
                "text-as-bytea",
                ("nulparent", "nulchild"),
                (
                    "CREATE TABLE nulparent (c varchar(9) PRIMARY KEY) DEFAULT CHARSET utf8mb4",
                    "CREATE TABLE nulchild (id int PRIMARY KEY, c varchar(9), CONSTRAINT nulf FOREIGN KEY (c)"
                    " REFERENCES nulparent (c)) DEFAULT CHARSET utf8mb4",
                    "INSERT INTO nulparent VALUES ('é'), (CONCAT('x', CHAR(0)))",
                    "INSERT INTO nulchild VALUES (1, 'é')",
                ),
                (
                    ("info", "foreign-key-case", "c", None),
                    ("warning", "text-as-bytea", "c", None),
                    ("warning", "unique-case", "c", None),
                ),
                (("SELECT convalidated FROM pg_constraint WHERE conname = 'nulf'", [(True,)]),),
            ),
            kept("enum-long-label", "enums", "enum('b','a')", ("'a'", "a")),
            kept("set-array", "settext", "set('c','a')", ("'a,c'", "c,a"), ("0", "")),
        ],
    ),
    "sentinel": (
        {"zeroDate": "sentinel", "nulByte": "replace", "json": "json", "time": "time"},
        [
            kept("sentinel-infinity", "dates", "date NOT NULL", ("'0000-00-00'", "-infinity"),
                 ("'2024-02-30'", "-infinity"), ("'2024-02-29'", "2024-02-29")),
            kept("zero-date-default", "defaulted", "date DEFAULT '0000-00-00'",
                 ("'2024-01-01'", "2024-01-01"),
                 notes=note("warning", "zero-date-default")),
            kept("nul-byte", "nuls", "varchar(9)", ("CONCAT('a', CHAR(0))", "a\ufffd"), ("'b'", "b")),
            kept("bad-json", "docs", "json", ("'{\"a\": \"\\\\u0000\"}'", '{"a": "\\u0000"}')),
            kept("duration-interval", "times", "time",
                 ("'24:00:00'", "24:00:00"), ("'00:00:00'", "00:00:00")),
        ],
    ),
}  # fmt: skip
CASES = [(group, case) for group, (_, cases) in GROUPS.items() for case in cases]


@pytest.fixture(scope="module")
def whole(source_server: MysqlEndpoint, postgres: PostgresEndpoint) -> Iterator[dict[str, Ran]]:
    with ExitStack() as opened:
        yield {
            group: opened.enter_context(ran(source_server, postgres, cases, policies=policies))
            for group, (policies, cases) in GROUPS.items()
        }


@pytest.mark.parametrize(("group", "case"), CASES, ids=[f"{group}-{case.tables[0]}" for group, case in CASES])
def test_values_arrive(whole: dict[str, Ran], group: str, case: Case) -> None:
    if case.only not in (None, whole[group].flavor):
        pytest.skip(f"{case.only} alone has it")
    for what, have, want in whole[group].compared(case):
        assert have == want, what


# group, policy, table, values changed
CONVERTED = [
    ("boolean", "zeroDate", "dates", 5),
    ("sentinel", "zeroDate", "dates", 2),
    ("sentinel", "nulByte", "nuls", 1),
]


@pytest.mark.parametrize(("group", "policy", "table", "count"), CONVERTED)
def test_changed_values_are_counted(
    whole: dict[str, Ran], group: str, policy: str, table: str, count: int
) -> None:
    """slug: values-converted"""
    (found,) = [
        note
        for note in whole[group].end
        if (note["slug"], note["policy"], note["table"]) == ("values-converted", policy, table)
    ]
    assert (found["severity"], found["column"], found["count"]) == ("warning", "c", count)
