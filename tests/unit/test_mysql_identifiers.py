"""Names and constants of MySQL as SQL text, and key ranges made of them.

slugs: mysql-quoting, mysql-constants, chunks-composite
"""

from __future__ import annotations

import pytest

from engine.connectors.base import KeyRange, KeyValue
from engine.connectors.mysql.identifiers import literal, qualified, quote
from engine.connectors.mysql.ranges import condition, index_hint, key_expression, key_literal
from engine.errors import Code, EngineError
from engine.schema import Column, Index, IndexPart, Table
from engine.types import Kind, LogicalType


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("a", "`a`"),
        ("select", "`select`"),
        ("a b.c", "`a b.c`"),
        ("`", "````"),
        ("a`; DROP TABLE x -- ", "`a``; DROP TABLE x -- `"),
        ('"quoted"', '`"quoted"`'),
        ("é😀", "`é😀`"),
        ("back\\slash", "`back\\slash`"),
        ("%s", "`%s`"),
    ],
)
def test_names(name: str, quoted: str) -> None:
    assert quote(name) == quoted
    assert qualified(name, "t") == f"{quoted}.`t`"


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(EngineError) as refused:
        quote(name)
    assert refused.value.code is Code.VALIDATION_FAILED


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-(2**63), "-9223372036854775808"),
        (2**64 - 1, "18446744073709551615"),
        ("", "_utf8mb4 X''"),
        ("it's \\ %s", "_utf8mb4 X'69742773205c202573'"),
        ("é", "_utf8mb4 X'c3a9'"),
        ("\0", "_utf8mb4 X'00'"),
        (b"", "X''"),
        (b"\0\xff'", "X'00ff27'"),
    ],
)
def test_constants_hold_in_any_sql_mode(value: int | str | bytes, text: str) -> None:
    assert literal(value) == text


def test_constants_that_cannot_be() -> None:
    with pytest.raises(TypeError):
        literal(True)
    with pytest.raises(EngineError):
        literal("\ud800")


def column(name: str, kind: Kind, nullable: bool = False) -> Column:
    return Column(name, LogicalType(kind), kind.value, nullable)


TABLE = Table(
    "s",
    "t",
    (column("a", Kind.INT64), column("b", Kind.VARCHAR), column("c", Kind.BINARY), column("d", Kind.DECIMAL)),
    primary_key=(IndexPart("a"), IndexPart("b")),
    indexes=(
        Index("by`d", (IndexPart("d"),), unique=True),
        Index("part", (IndexPart("b", prefix=3),), unique=True),
        Index("hidden", (IndexPart("c"),), unique=True, visible=False),
        Index("several", (IndexPart("c"), IndexPart("d"))),
    ),
)


@pytest.mark.parametrize(
    ("columns", "lower", "upper", "text"),
    [
        (("a",), None, None, ""),
        (("a",), (1,), None, "`a` >= 1"),
        (("a",), None, (9,), "`a` < 9"),
        (("a",), (1,), (9,), "`a` >= 1 AND `a` < 9"),
        (
            ("a", "c"),
            (1, b"\1"),
            (9, b"\2"),
            "`a` >= 1 AND ((`a` > 1) OR (`a` = 1 AND `c` >= X'01'))"
            " AND `a` <= 9 AND ((`a` < 9) OR (`a` = 9 AND `c` < X'02'))",
        ),
        (
            ("a", "b", "c"),
            (1, "x", b"\1"),
            None,
            "`a` >= 1 AND ((`a` > 1) OR (`a` = 1 AND `b` > _utf8mb4 X'78')"
            " OR (`a` = 1 AND `b` = _utf8mb4 X'78' AND `c` >= X'01'))",
        ),
        # a cut may name the first columns only
        (
            ("a", "b"),
            (1,),
            (1, "x"),
            "`a` >= 1 AND `a` <= 1 AND ((`a` < 1) OR (`a` = 1 AND `b` < _utf8mb4 X'78'))",
        ),
        (("d",), ("-1.50",), None, "`d` >= -1.50"),
    ],
)
def test_ranges(
    columns: tuple[str, ...],
    lower: tuple[KeyValue, ...] | None,
    upper: tuple[KeyValue, ...] | None,
    text: str,
) -> None:
    assert condition(TABLE, KeyRange(columns, lower, upper)) == text


def test_a_number_is_never_text_of_another_kind() -> None:
    with pytest.raises(EngineError):
        key_literal(TABLE.column("d"), "1 OR 1=1")


@pytest.mark.parametrize(
    ("kind", "expression"),
    [
        (Kind.INT64, "`k`"),
        (Kind.VARCHAR, "`k`"),
        (Kind.ENUM, "`k` + 0"),
        (Kind.DECIMAL, "CAST(`k` AS CHAR)"),
        (Kind.FLOAT32, "CAST(CAST(`k` AS DOUBLE) AS CHAR)"),
    ],
)
def test_key_values_are_asked_for_in_a_form_that_comes_back(kind: Kind, expression: str) -> None:
    assert key_expression(column("k", kind)) == expression


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        (("a", "b"), " FORCE INDEX (PRIMARY)"),
        (("d",), " FORCE INDEX (`by``d`)"),
        (("b",), ""),
        (("c",), ""),
        (("c", "d"), ""),
        ((), ""),
    ],
)
def test_the_index_that_is_the_key(key: tuple[str, ...], hint: str) -> None:
    assert index_hint(TABLE, key) == hint
