"""Policies about what is read, seen in real runs to PostgreSQL (docs/policies/mysql-catalog.md)."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from tests import running

pytestmark = pytest.mark.integration


class Ends:
    def __init__(
        self, source: MysqlEndpoint, source_database: str, target: PostgresEndpoint, target_database: str
    ) -> None:
        self.source, self.source_database = source, source_database
        self.target, self.target_database = target, target_database

    def make(self, *statements: str) -> None:
        self.source.execute(";\n".join(["SET sql_mode = ''", *statements]), database=self.source_database)

    def run(self, **policies: Any) -> tuple[Any, list[dict[str, Any]]]:
        """The outcome and the notes of the plan."""
        stream = running.job(
            self.source, self.source_database, self.target, self.target_database, policies=policies
        )
        outcome, report = running.run(stream)
        notes = report.plans[-1]["notes"] if report.plans else (outcome.error or {})["details"]["notes"]
        return outcome, notes

    def values(self, column: str) -> list[Any]:
        rows = self.target.query(f"SELECT {column} FROM public.t ORDER BY id", database=self.target_database)
        return [value for (value,) in rows]


@pytest.fixture
def ends(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> Ends:
    return Ends(source_server, source_database, postgres, postgres_database)


def of(notes: list[dict[str, Any]], slug: str) -> list[tuple[str, str, int]]:
    return [(note["severity"], note["column"], note["count"]) for note in notes if note["slug"] == slug]


LOSSY = (
    "CREATE TABLE t (id int PRIMARY KEY, c varchar(9) CHARACTER SET sjis)",
    "INSERT INTO t VALUES (1, _binary 0x8740), (2, _binary 0x5C41), (3, NULL)",
)


@pytest.mark.parametrize(
    ("policy", "severity", "values"),
    [
        ("refuse", "refused", None),
        ("replace", "warning", ["?", "\\A", None]),
        ("bytea", "warning", [b"\x87\x40", b"\x5c\x41", None]),
    ],
)
def test_lossy_character_set(ends: Ends, policy: str, severity: str, values: list[Any] | None) -> None:
    """mysql-lossy-charset"""
    ends.make(*LOSSY)
    outcome, notes = ends.run(invalidText=policy)
    assert of(notes, "lossy-charset") == [(severity, "c", 1)]
    assert (outcome.status == "FINISHED") is (values is not None), outcome.error
    if values is not None:
        assert ends.values("c") == values


def test_invalid_enum_value_beside_an_empty_label(ends: Ends) -> None:
    """mysql-enum-invalid"""
    ends.make(
        "CREATE TABLE t (id int PRIMARY KEY, e enum('', 'a'))",
        "INSERT INTO t VALUES (1, ''), (2, 0), (3, 'a')",
    )
    outcome, notes = ends.run()
    assert outcome.status != "FINISHED"
    assert of(notes, "enum-index-0") == [("refused", "e", 1)]
    ends.make("UPDATE t SET e = '' WHERE e + 0 = 0")
    outcome, notes = ends.run()
    assert outcome.status == "FINISHED", outcome.error
    assert of(notes, "enum-index-0") == []
    assert ends.values("e::text") == ["", "", "a"]


def test_sets_of_64_labels(ends: Ends) -> None:
    """mysql-set-mask"""
    labels = ",".join(f"'m{number}'" for number in range(64))
    ends.make(
        f"CREATE TABLE t (id int PRIMARY KEY, s set({labels}))",
        f"INSERT INTO t VALUES (1, {(1 << 63) + 1}), (2, {(1 << 64) - 1}), (3, 0)",
    )
    outcome, _ = ends.run()
    assert outcome.status == "FINISHED", outcome.error
    assert ends.values("s") == [["m0", "m63"], [f"m{number}" for number in range(64)], []]


def test_defaults_the_catalog_hides(ends: Ends) -> None:
    """mysql-hidden-values"""
    ends.make(
        "CREATE TABLE t (id int PRIMARY KEY, b binary(4) DEFAULT 0x00FF0000,"
        " q varchar(9) CHARACTER SET utf8mb4 DEFAULT '😀',"
        " e enum('😀', 'b') CHARACTER SET utf8mb4 DEFAULT '😀')",
        "INSERT INTO t (id) VALUES (1)",
    )
    outcome, _ = ends.run()
    assert outcome.status == "FINISHED", outcome.error
    ends.target.execute("INSERT INTO public.t (id) VALUES (2)", database=ends.target_database)
    assert ends.values("b") == [b"\0\xff\0\0"] * 2
    assert ends.values("q") == ["😀"] * 2
    assert ends.values("e::text") == ["😀"] * 2


def test_what_the_catalog_could_not_carry_is_in_the_plan(ends: Ends) -> None:
    """mysql-partitions, mysql-comment-marks"""
    ends.make(
        "CREATE TABLE t (id int PRIMARY KEY COMMENT 'why?') PARTITION BY HASH (id) PARTITIONS 2",
        "INSERT INTO t VALUES (1)",
    )
    outcome, notes = ends.run()
    assert outcome.status == "FINISHED", outcome.error
    assert any("comment of t.id" in note["message"] for note in notes if note["slug"] == "catalog")
