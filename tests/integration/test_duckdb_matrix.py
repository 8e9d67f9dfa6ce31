"""Every MySQL and MariaDB type × edge values into a DuckDB file, compared by what server and DuckDB print.

The cases are those of the matrix for PostgreSQL; here stands what each becomes on DuckDB and how it prints.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint
from tests import running
from tests.integration.duckdb_files import ask, job
from tests.integration.test_type_matrix import CASES, Case, as_json, clock, floating, number, same

pytestmark = pytest.mark.integration

_HEX = "hex(c)"
_LABELS = "array_to_string(c, ',')"


def span(text: Any) -> Any:
    """DuckDB prints an interval of hours as the server prints a TIME, less the last zeros."""
    return clock(text)


def moment(text: Any) -> Any:
    return clock(re.sub(r"\+00$", "", str(text)))


# Case → type on DuckDB, its printing, and what levels the spelling of both sides.
_TYPES: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    **{
        name: (kind, "", same)
        for name, kind in {
            "tinyint": "TINYINT",
            "tinyint1-not-boolean": "TINYINT",
            "bool": "TINYINT",
            "tinyint-unsigned": "UTINYINT",
            "smallint": "SMALLINT",
            "smallint-unsigned": "USMALLINT",
            "mediumint": "INTEGER",
            "mediumint-unsigned": "UINTEGER",
            "int": "INTEGER",
            "int-width": "INTEGER",
            "int-zerofill": "UINTEGER",
            "int-unsigned": "UINTEGER",
            "bigint": "BIGINT",
            "bigint-unsigned": "UBIGINT",
            "year": "SMALLINT",
            "decimal": "DECIMAL(10,2)",
            "decimal-integer": "DECIMAL(5,0)",
            "decimal-widest": "VARCHAR",
            "decimal-widest-scale": "VARCHAR",
            "decimal-unsigned": "DECIMAL(8,4)",
            "bit-1": "BIT",
            "bit-5": "BIT",
            "bit-9": "BIT",
            "bit-64": "BIT",
            "date": "DATE",
            "zero-date-null": "DATE",
            "uuid": "UUID",
            "inet4": "VARCHAR",
            "inet6": "VARCHAR",
            "json-mariadb": "JSON",
            "json-text": "VARCHAR",
            "set-text": "VARCHAR",
            "enum-text": "VARCHAR",
            "enum": "ENUM('b', 'a', 'it''s, (x)')",
            "enum-emoji": "ENUM('😀', 'plain')",
            "enum-long": "ENUM('" + "é" * 40 + "', 'x')",
        }.items()
    },
    # Printed without the 0 before its point.
    "decimal-fraction": ("DECIMAL(30,30)", "", number),
    "tinyint1-boolean": ("BOOLEAN", "CAST(CAST(c AS INTEGER) AS VARCHAR)", same),
    "float": ("FLOAT", "CAST(CAST(c AS DOUBLE) AS VARCHAR)", floating),
    "double": ("DOUBLE", "", floating),
    "time": ("INTERVAL", "", span),
    "time-6": ("INTERVAL", "", span),
    "time-of-day": ("TIME", "", clock),
    **dict.fromkeys(
        ("datetime", "datetime-3", "datetime-6", "zero-date-sentinel"), ("TIMESTAMP", "", moment)
    ),
    "timestamp": ("TIMESTAMP WITH TIME ZONE", "", moment),
    "timestamp-6": ("TIMESTAMP WITH TIME ZONE", "", moment),
    "set": ("VARCHAR[]", _LABELS, same),
    "set-64": ("VARCHAR[]", _LABELS, same),
    "json-mysql": ("JSON", "", as_json),
    "geometry": ("BLOB", _HEX, same),
    "point-srid": ("BLOB", _HEX, same),
    "vector": (
        "FLOAT[]",
        "'[' || array_to_string(list_transform(c, lambda v: CAST(v AS VARCHAR)), ',') || ']'",
        same,
    ),
    **dict.fromkeys(
        ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), ("BLOB", _HEX, same)
    ),
}
_LATER = {"json-jsonb"}  # a policy DuckDB refuses: it has one JSON


def expected(case: Case) -> tuple[str, str, Callable[[Any], Any]]:
    kind, target, norm = _TYPES.get(case.name, ("VARCHAR", "", same))
    norm = case.norm if case.name == "vector" else norm
    return kind, target or "CAST(c AS VARCHAR)", norm


def groups() -> list[tuple[tuple[tuple[str, str], ...], list[Case]]]:
    """Cases by policies: each group is one stream."""
    wanted = sorted((case for case in CASES if case.name not in _LATER), key=lambda case: case.policies)
    return [(policies, list(cases)) for policies, cases in groupby(wanted, key=lambda case: case.policies)]


@pytest.mark.parametrize(
    ("policies", "cases"),
    groups(),
    ids=lambda value: "-".join(f"{a}-{b}" for a, b in value) or "default" if isinstance(value, tuple) else "",
)
def test_values_arrive_as_the_source_prints_them(
    source_server: MysqlEndpoint,
    source_database: str,
    tmp_path: Path,
    policies: tuple[tuple[str, str], ...],
    cases: list[Case],
) -> None:
    """slugs: duckdb-types, duckdb-infinity, duckdb-wide-decimal"""
    present = [case for case in cases if case.only in (None, source_server.kind)]
    for case in present:
        _fill(source_server, source_database, case)
    file = tmp_path / "types.duckdb"
    stream = job(source_server, file, database=source_database, policies=dict(policies))
    running.finish(stream)
    for case in present:
        kind, target, norm = expected(case)
        found = ask(
            file,
            "SELECT data_type FROM duckdb_columns() WHERE table_name = ? AND column_name = 'c'",
            case.name,
        )
        assert found == [(kind,)], case.name
        want = source_server.query(
            f"SELECT id, {case.source} FROM `{case.name}` ORDER BY id", database=source_database
        )
        have = ask(file, f'SELECT id, {target} FROM main."{case.name}" ORDER BY id')
        assert _level(have, norm) == _level(want, norm), case.name
    verdict = running.verify(stream)
    assert verdict["equal"], [table for table in verdict["tables"] if not table["equal"]]


def _fill(server: MysqlEndpoint, database: str, case: Case) -> None:
    name = f"`{case.name}`"
    server.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, c {case.ddl}) DEFAULT CHARSET utf8mb4", database=database
    )
    rows = ", ".join(f"({number}, {value})" for number, value in enumerate(case.values))
    server.execute(f"SET sql_mode = ''; INSERT INTO {name} VALUES {rows}", database=database)


def _level(rows: list[tuple[Any, ...]], norm: Callable[[Any], Any]) -> list[tuple[Any, Any]]:
    return [(key, None if value is None else norm(_plain(value))) for key, value in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return str(value) if isinstance(value, datetime.date) else value


def test_nul_in_text_stays(source_server: MysqlEndpoint, source_database: str, tmp_path: Path) -> None:
    """slug: duckdb-nul"""
    _fill(source_server, source_database, Case("t", "varchar(20)", ("CONCAT('a', CHAR(0), 'b')",), ""))
    file = tmp_path / "nul.duckdb"
    running.finish(job(source_server, file, database=source_database))
    assert ask(file, "SELECT c, hex(c) FROM t") == [("a\0b", "610062")]


REFUSED = [
    ("zero-date", "date", "'0000-00-00'", {}, "0000-00-00"),
    ("time-beyond-a-day", "time", "'25:00:00'", {"time": "time"}, "25:00:00"),
]


@pytest.mark.parametrize(("name", "ddl", "value", "policies", "said"), REFUSED, ids=[c[0] for c in REFUSED])
def test_a_value_that_cannot_go_fails_naming_it(
    mariadb: MysqlEndpoint,
    mariadb_database: str,
    tmp_path: Path,
    name: str,
    ddl: str,
    value: str,
    policies: dict[str, str],
    said: str,
) -> None:
    """slug: duckdb-row-error"""
    _fill(mariadb, mariadb_database, Case("t", ddl, ("NULL",), ""))
    mariadb.execute(f"SET sql_mode = ''; INSERT INTO t VALUES (77, {value})", database=mariadb_database)
    file = tmp_path / "refused.duckdb"
    outcome, _ = running.run(job(mariadb, file, database=mariadb_database, policies=policies))
    assert outcome.error is not None
    assert outcome.error["code"] == "VALUE_NOT_REPRESENTABLE", outcome.error
    details = outcome.error["details"]
    assert (details["table"], details["column"], details["key"]) == ("t", "c", {"id": "77"})
    assert said in outcome.error["error"]
    assert ask(file, "SELECT count(*) FROM t") == [(0,)]
