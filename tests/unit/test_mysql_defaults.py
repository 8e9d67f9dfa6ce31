"""Defaults and expressions, by flavour (mysql-defaults, mysql-escaped-expressions, mysql-hidden-values)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.connectors.mysql import expressions, show_create
from engine.connectors.mysql.charsets import may_be_lossy
from engine.connectors.mysql.defaults import column_default, unreliable
from engine.connectors.mysql.types import impossible_label
from engine.schema import Check, Column, Default, Generated
from engine.types import Kind, LogicalType

INT = LogicalType(Kind.INT32)
TEXT = LogicalType(Kind.VARCHAR, length=20)
MOMENT = LogicalType(Kind.DATETIME, fraction=6)
DATE = LogicalType(Kind.DATE)
BIT5 = LogicalType(Kind.BIT, length=5)
BIT12 = LogicalType(Kind.BIT, length=12)
BYTES = LogicalType(Kind.VARBINARY, length=10)
BINARY4 = LogicalType(Kind.BINARY, length=4)
BLOB = LogicalType(Kind.BLOB, length=65_535)
ENUM = LogicalType(Kind.ENUM, labels=("a", "b'c"))
GENERATED = "DEFAULT_GENERATED"


def value(literal: str | bytes) -> Default:
    return Default(literal=literal)


def sql(expression: str) -> Default:
    return Default(expression=expression)


MYSQL = [
    (None, "", INT, None),
    ("7", "", INT, value("7")),
    ("-1.500", "", LogicalType(Kind.DECIMAL, precision=10, scale=3), value("-1.500")),
    ("it's \\ x", "", TEXT, value("it's \\ x")),
    ("", "", TEXT, value("")),
    ("NULL", "", TEXT, value("NULL")),
    ("current_timestamp()", "", TEXT, value("current_timestamp()")),
    ("uuid()", "", TEXT, value("uuid()")),
    ("0x41", "", TEXT, value("0x41")),
    (
        "CURRENT_TIMESTAMP(6)",
        GENERATED + " ON UPDATE CURRENT_TIMESTAMP(6)",
        MOMENT,
        sql("CURRENT_TIMESTAMP(6)"),
    ),
    ("CURRENT_TIMESTAMP", "", MOMENT, sql("CURRENT_TIMESTAMP")),
    ("0000-00-00 00:00:00", "", MOMENT, value("0000-00-00 00:00:00")),
    ("2020-01-01", "", DATE, value("2020-01-01")),
    ("uuid()", GENERATED, TEXT, sql("uuid()")),
    ("(1 + 1)", GENERATED, INT, sql("(1 + 1)")),
    (r"_utf8mb4\'abc\'", GENERATED, TEXT, value("abc")),
    (r"_utf8mb4\'it\\\'s\'", GENERATED, TEXT, value("it's")),
    (r"concat(_utf8mb4\'a\',_utf8mb4\'b\')", GENERATED, TEXT, sql("concat(_utf8mb4'a',_utf8mb4'b')")),
    ("0x00ff", GENERATED, BLOB, value(b"\0\xff")),
    ("b'101'", "", BIT5, value(b"\x05")),
    ("b'101'", "", BIT12, value(b"\x00\x05")),
    ("0xFF00", "", BYTES, value(b"\xff\0")),
    ("0x6162", "", BINARY4, value(b"ab\0\0")),
    ("b'c", "", ENUM, value("b'c")),
]
MARIADB = [
    (None, "", INT, None),
    ("NULL", "", INT, None),
    ("'NULL'", "", TEXT, value("NULL")),
    ("0000000007", "", INT, value("0000000007")),
    ("-1.500", "", LogicalType(Kind.DECIMAL, precision=10, scale=3), value("-1.500")),
    ("1e100", "", LogicalType(Kind.FLOAT64), value("1e100")),
    ("'it''s \\\\ x'", "", TEXT, value("it's \\ x")),
    ("''", "", TEXT, value("")),
    ("'current_timestamp()'", "", TEXT, value("current_timestamp()")),
    ("current_timestamp()", "", MOMENT, sql("current_timestamp()")),
    ("curdate()", "", DATE, sql("curdate()")),
    ("'0000-00-00'", "", DATE, value("0000-00-00")),
    ("uuid()", "", TEXT, sql("uuid()")),
    ("(1 + 1)", "", INT, sql("(1 + 1)")),
    ("concat('a','b')", "", TEXT, sql("concat('a','b')")),
    ("'a' 'b'", "", TEXT, sql("'a' 'b'")),
    (r"""'{"a": "x\'y"}'""", "", LogicalType(Kind.JSON_TEXT), value("""{"a": "x'y"}""")),
    (r"'a\nb'", "", TEXT, value("a\nb")),
    ("b'101'", "", BIT5, value(b"\x05")),
    ("X'00ff'", "", BLOB, value(b"\0\xff")),
    ("'x''y'", "", BYTES, value(b"x'y")),
    (r"'ab\0'", "", BINARY4, value(b"ab\0\0")),
    ("'b''c'", "", ENUM, value("b'c")),
    ("nextval(`d`.`s`)", "", INT, sql("nextval(`d`.`s`)")),
]


@pytest.mark.parametrize(("raw", "extra", "type_", "expected"), MYSQL)
def test_mysql(raw: str | None, extra: str, type_: LogicalType, expected: Default | None) -> None:
    assert column_default(raw, extra, type_, "mysql") == expected


@pytest.mark.parametrize(("raw", "extra", "type_", "expected"), MARIADB)
def test_mariadb(raw: str | None, extra: str, type_: LogicalType, expected: Default | None) -> None:
    assert column_default(raw, extra, type_, "mariadb") == expected


@pytest.mark.parametrize(
    ("raw", "extra", "type_", "asked"),
    [
        (None, "", BYTES, False),
        ("NULL", "", BYTES, False),
        ("0x", "", BINARY4, True),
        ("'\\0?\\0\\0'", "", BINARY4, True),
        ("uuid()", GENERATED, BYTES, False),
        ("?", "", TEXT, True),
        ("plain", "", TEXT, False),
        ("'?'", "", ENUM, True),
        ("?", "", INT, False),
    ],
)
def test_which_defaults_the_catalog_cannot_show(
    raw: str | None, extra: str, type_: LogicalType, asked: bool
) -> None:
    assert unreliable(raw, extra, type_) is asked


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("(`a` + 1)", "(`a` + 1)"),
        (r"_utf8mb4\'$.k\'", "_utf8mb4'$.k'"),
        (r"concat(`b`,_utf8mb4\'x\\\'y\\\\z\')", r"concat(`b`,_utf8mb4'x\'y\\z')"),
        (r"_utf8mb4\'" + "é😀".encode().decode("latin-1") + r"\'", "_utf8mb4'é😀'"),
        ("`é`", "`é`"),
        ("trailing\\", "trailing\\"),
    ],
)
def test_unescaped(shown: str, expected: str) -> None:
    assert expressions.unescaped(shown) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("b'101'", 5), ("B''", 0), ("0b11", 3), ("5", None), ("b'2'", None)],
)
def test_bit_literal(text: str, expected: int | None) -> None:
    assert expressions.bit_literal(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0x", b""), ("0xF", b"\x0f"), ("x'00ff'", b"\0\xff"), ("_binary X'ff'", b"\xff"), ("xff", None)],
)
def test_hex_literal(text: str, expected: bytes | None) -> None:
    assert expressions.hex_literal(text) == expected


SHOWN = (
    "CREATE TABLE `t` (\n"
    "  `a` varchar(10) DEFAULT concat('😀','x') COMMENT 'DEFAULT concat(?)',\n"
    "  `g` varchar(20) GENERATED ALWAYS AS (concat(`a`,'😀?')) STORED,\n"
    "  CONSTRAINT `c` CHECK (`a` <> '😀')\n)"
)


def test_expressions_restored_from_show_create() -> None:
    a = Column("a", TEXT, "varchar(10)", default=sql("concat('????','x')"))
    g = Column("g", TEXT, "varchar(20)", generated=Generated("concat(`a`,'?????')", True))
    assert show_create.column_restored(a, SHOWN) == replace(a, default=sql("concat('😀','x')"))
    assert show_create.column_restored(g, SHOWN) == replace(g, generated=Generated("concat(`a`,'😀?')", True))
    assert show_create.column_restored(replace(a, name="other"), SHOWN) is None
    assert show_create.column_restored(replace(a, default=sql("lower('?')")), SHOWN) is None
    assert show_create.check_restored(Check("c", "`a` <> '????'"), SHOWN) == Check("c", "`a` <> '😀'")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("CREATE ALGORITHM=UNDEFINED DEFINER=`r`@`l` SQL SECURITY DEFINER VIEW `v` AS select 1", "select 1"),
        ("CREATE VIEW `d`.`v` (`a`,`b) AS `) AS select 2 AS `a`", "select 2 AS `a`"),
        ("CREATE VIEW `w` AS select 1", None),
    ],
)
def test_view_query(shown: str, expected: str | None) -> None:
    assert show_create.view_query(shown, "v") == expected


@pytest.mark.parametrize(
    ("charset", "lossy"),
    [
        ("utf8mb4", False),
        ("latin1", False),
        ("koi8r", False),
        ("sjis", True),
        ("cp1251", True),
        (None, False),
    ],
)
def test_charsets_looked_at(charset: str | None, lossy: bool) -> None:
    assert may_be_lossy(Column("c", TEXT, "varchar(20)", charset=charset)) is lossy


def test_the_invalid_value_reads_as_no_label() -> None:
    taken = ("", "index 0", "index 0'")
    assert impossible_label(taken) not in taken
