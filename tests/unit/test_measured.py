"""Which decimal holds the values there are, and when none does."""

from __future__ import annotations

from typing import Any

import pytest

from engine.config import Policies
from engine.connectors.base import ColumnFacts
from engine.formats.measured import Limits, measured_decimal
from engine.schema import Column
from engine.types import Kind, LogicalType

MYSQL, MARIADB = Limits(65, 30, "nan"), Limits(65, 38, "nan")
DUCKDB = Limits(38, 38, nullable=False)
NUMERIC = Column("n", LogicalType(Kind.DECIMAL), "numeric")
NOT_NULL = Column("n", LogicalType(Kind.DECIMAL), "numeric", nullable=False)


def measured(
    limits: Limits, facts: ColumnFacts | None, column: Column = NUMERIC, **policies: Any
) -> tuple[int, int] | str | None:
    """Precision and scale, or the problem."""
    chosen = Policies.parse({"unboundedNumeric": "scan", **policies})
    found = measured_decimal(column, facts, chosen, limits)
    return None if found is None else found.problem or (found.precision, found.scale)


def facts(before: int | None, behind: int | None, nans: int = 0, infinities: int = 0) -> ColumnFacts:
    return ColumnFacts(integer_digits=before, fraction_digits=behind, nans=nans, infinities=infinities)


@pytest.mark.parametrize(
    ("limits", "known", "made"),
    [
        (MYSQL, facts(35, 30), (65, 30)),
        (MYSQL, facts(36, 30), "its values have 36 digits before the point and 30 behind it"),
        (MYSQL, facts(1, 31), "its values have 1 digits before the point and 31 behind it"),
        (MARIADB, facts(1, 31), (32, 31)),
        (MARIADB, facts(None, None), (65, 32)),
        (MYSQL, facts(None, None), (65, 30)),
        (DUCKDB, facts(0, 38), (38, 38)),
        (DUCKDB, facts(0, 0), (1, 0)),
        (DUCKDB, facts(20, 19), "its values have 20 digits before the point and 19 behind it"),
        (DUCKDB, None, None),
        (DUCKDB, ColumnFacts(max_octets=3), None),
    ],
)
def test_digits(limits: Limits, known: ColumnFacts | None, made: Any) -> None:
    """slug: unbounded-numeric-scan"""
    assert measured(limits, known) == made


@pytest.mark.parametrize(
    ("limits", "column", "known", "policies", "problem"),
    [
        (DUCKDB, NUMERIC, facts(1, 1, nans=2), {}, "2 of its values are NaN"),
        (DUCKDB, NUMERIC, facts(1, 1, nans=2), {"nan": "null"}, None),
        (DUCKDB, NOT_NULL, facts(1, 1, nans=1), {"nan": "null"}, "the column is NOT NULL"),
        (MYSQL, NOT_NULL, facts(1, 1, nans=1), {"nan": "null"}, None),
        (DUCKDB, NUMERIC, facts(1, 1, infinities=1), {"nan": "null"}, "set policies.infinity to null"),
        (DUCKDB, NUMERIC, facts(1, 1, infinities=1), {"infinity": "null"}, None),
        (DUCKDB, NUMERIC, facts(1, 1, infinities=1), {"infinity": "sentinel"}, "1 of its values is infinite"),
        (MYSQL, NUMERIC, facts(1, 1, infinities=1), {"nan": "null"}, None),
        (MYSQL, NUMERIC, facts(None, None, nans=3), {}, "3 of its values are NaN"),
    ],
)
def test_what_is_no_number(
    limits: Limits, column: Column, known: ColumnFacts, policies: dict[str, str], problem: str | None
) -> None:
    """slug: unbounded-numeric-scan"""
    found = measured(limits, known, column, **policies)
    assert found == (2, 1) if problem is None else problem in str(found)


def test_only_where_it_was_asked_for() -> None:
    """slug: unbounded-numeric-scan"""
    assert measured(DUCKDB, facts(1, 1), unboundedNumeric="text") is None
