"""What is refused, by name, before or while rows are copied. The slugs are those of docs/policies."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.connectors.base import Severity
from engine.connectors.postgres.mapping import MapOptions, map_database
from engine.schema import Database
from tests import running
from tests.integration.checklist import make

pytestmark = pytest.mark.integration

MANY = ", ".join(f"c{number} tinyint" for number in range(1601))
FULL = ", ".join(f"c{number} time" for number in range(600))

# slug, DDL, policies, the table and column that are named
PLANS: list[tuple[str, tuple[str, ...], dict[str, str], str, str | None]] = [
    ("too-many-columns", (f"CREATE TABLE t ({MANY}) ENGINE=MyISAM",), {}, "t", None),
    (
        "name-collision",
        ("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE T (id int PRIMARY KEY)"),
        {"identifiers": "lower"},
        "t",
        None,
    ),
    (
        "name-collision",  # and the other one is told by name-taken
        ("CREATE TABLE t (xmin int PRIMARY KEY, xmin_eafb2f50 int)",),
        {},
        "t",
        "xmin_eafb2f50",
    ),
    (
        "long-name-refused",
        (f"CREATE TABLE t (`{'n' * 64}` int)",),
        {"longIdentifiers": "refuse"},
        "t",
        "n" * 64,
    ),
    (
        "zero-date-in-key",
        ("CREATE TABLE t (c date PRIMARY KEY)", "INSERT INTO t VALUES ('0000-00-00')"),
        {"zeroDate": "null"},
        "t",
        "c",
    ),
    ("postgis-missing", ("CREATE TABLE t (c geometry)",), {"geometry": "postgis"}, "t", "c"),
    (
        "enum-index-0",
        ("CREATE TABLE t (c enum('', 'a'))", "INSERT INTO t VALUES (0)"),
        {},
        "t",
        "c",
    ),
]


@pytest.mark.parametrize(("slug", "ddl", "policies", "table", "column"), PLANS)
def test_refused_by_the_plan(
    source_server: MysqlEndpoint,
    source_database: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
    slug: str,
    ddl: tuple[str, ...],
    policies: dict[str, str],
    table: str,
    column: str | None,
) -> None:
    make(source_server, source_database, ddl)
    stream = running.job(source_server, source_database, postgres, postgres_database, policies=policies)
    outcome, _ = running.run(stream)
    assert outcome.status == "FAILED"
    error: dict[str, Any] = outcome.error or {}
    assert error["code"] == "PLAN_REFUSED"
    (note,) = error["details"]["notes"]
    assert (note["slug"], note["table"], note.get("column")) == (slug, table, column)
    made = (
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_dbstreams_checkpoint'"
    )
    assert postgres.scalar(made, database=postgres_database) == 0


def test_servers_too_old_are_refused() -> None:
    """target-too-old: told by the version, since none as old is at hand."""
    for version, slugs in ((110_022, ["target-too-old"]), (120_000, [])):
        notes = map_database(Database("d"), MapOptions("s", server_version=version)).notes
        assert [note.slug for note in notes if note.severity is Severity.REFUSED] == slugs


# slug, column, value, policies, what the error says
VALUES: list[tuple[str, str, str, dict[str, str], str]] = [
    ("reader-zero-date", "date", "'0000-00-00'", {}, "0000-00-00"),
    ("reader-zero-date", "date", "'2024-00-10'", {}, "2024-00-10"),
    ("reader-zero-date", "date", "'2024-02-00'", {}, "2024-02-00"),
    ("reader-zero-date", "datetime", "'2024-02-30 01:02:03'", {}, "2024-02-30"),
    ("reader-zero-date", "date", "'0000-03-01'", {}, "0000-03-01"),
    ("nul-byte", "varchar(9)", "CONCAT('a', CHAR(0))", {}, "nul-byte"),
    ("bad-json", "json", '\'{"a": "\\\\u0000"}\'', {"json": "jsonb"}, "bad-json"),
    ("duration-interval", "time", "'24:00:01'", {"time": "time"}, "24:00:01"),
    ("duration-interval", "time", "'-00:00:01'", {"time": "time"}, "-00:00:01"),
]


@pytest.mark.parametrize("reader", ["native", "connectorx"])
@pytest.mark.parametrize(("slug", "column", "value", "policies", "said"), VALUES)
def test_refused_naming_the_row(
    source_server: MysqlEndpoint,
    source_database: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
    reader: str,
    slug: str,
    column: str,
    value: str,
    policies: dict[str, str],
    said: str,
) -> None:
    """connectorx-panic: whatever ConnectorX stumbles over is named by our own reader."""
    ddl = (
        f"CREATE TABLE t (id int PRIMARY KEY, c {column})",
        f"INSERT INTO t VALUES (1, NULL), (77, {value})",
    )
    make(source_server, source_database, ddl)
    stream = running.job(
        source_server,
        source_database,
        postgres,
        postgres_database,
        options={"reader": reader},
        policies=policies,
    )
    outcome, _ = running.run(stream)
    error: dict[str, Any] = outcome.error or {}
    assert error["code"] == "VALUE_NOT_REPRESENTABLE", error
    details = error["details"]
    assert (details["table"], details["column"], details["key"]) == ("t", "c", {"id": "77"})
    assert said in error["error"], slug
    assert postgres.scalar("SELECT count(*) FROM public.t", database=postgres_database) == 0


def test_a_row_the_plan_foretold_to_be_too_wide(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """row-too-wide: the table goes over, a row with every column filled does not, which is said."""
    full = ", ".join(["'01:02:03'"] * 600)
    make(
        source_server,
        source_database,
        (f"CREATE TABLE t (id int PRIMARY KEY, {FULL})", f"INSERT INTO t VALUES (1, {full})"),
    )
    outcome, report = running.run(running.job(source_server, source_database, postgres, postgres_database))
    assert "row-too-wide" in {note["slug"] for note in report.plans[-1]["notes"]}
    error: dict[str, Any] = outcome.error or {}
    assert "row is too big" in error["error"], error
    assert error["details"]["table"] == "public.t"
