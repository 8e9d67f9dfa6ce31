"""Every type of DuckDB out of a file: into PostgreSQL, compared by both prints, and into another file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import PostgresEndpoint
from tests import running
from tests.integration.duckdb_files import ask, build, job, printed

pytestmark = pytest.mark.integration


def same(text: Any) -> Any:
    return text


def floating(text: Any) -> Any:
    return None if text is None else float(text).hex()


def as_json(text: Any) -> Any:
    return None if text is None else json.loads(text, parse_float=Decimal)


@dataclass(frozen=True)
class Case:
    name: str
    ddl: str
    values: tuple[str, ...]
    duck: str = "CAST(c AS VARCHAR)"
    pg: str = "c::text"
    norm: Callable[[Any], Any] = same


NESTED = {"norm": as_json}
CASES = [
    Case("boolean", "BOOLEAN", ("true", "false", "NULL")),
    Case("tinyint", "TINYINT", ("-128", "127")),
    Case("smallint", "SMALLINT", ("-32768", "32767")),
    Case("integer", "INTEGER", ("-2147483648", "2147483647")),
    Case("bigint", "BIGINT", ("-9223372036854775808", "9223372036854775807")),
    Case("utinyint", "UTINYINT", ("0", "255")),
    Case("usmallint", "USMALLINT", ("0", "65535")),
    Case("uinteger", "UINTEGER", ("0", "4294967295")),
    Case("ubigint", "UBIGINT", ("0", "18446744073709551615")),
    Case(
        "hugeint",
        "HUGEINT",
        ("-170141183460469231731687303715884105728", "170141183460469231731687303715884105727", "NULL"),
    ),
    Case("uhugeint", "UHUGEINT", ("0", "340282366920938463463374607431768211455")),
    Case("float", "FLOAT", ("0.1", "'nan'", "'inf'", "'-inf'", "1e-45", "'-0.0'"), norm=floating),
    Case("double", "DOUBLE", ("0.1", "'nan'", "'-inf'", "5e-324", "1.7976931348623157e308"), norm=floating),
    Case("decimal", "DECIMAL(10,2)", ("1.10", "-99999999.99", "NULL")),
    Case("decimal-wide", "DECIMAL(38,10)", ("'9999999999999999999999999999.9999999999'", "-0.0000000001")),
    Case("varchar", "VARCHAR", ("''", "'a''b'", "'😀'", "repeat('é', 70000)", "NULL")),
    Case("blob", "BLOB", ("''", "'\\x00\\xFF'", "NULL"), "lower(hex(c))", "encode(c, 'hex')"),
    Case("date", "DATE", ("'infinity'", "'-infinity'", "'0001-01-01'", "'9999-12-31'", "NULL")),
    Case("timestamp", "TIMESTAMP", ("'infinity'", "'-infinity'", "'2024-02-29 23:59:59.999999'", "NULL")),
    Case("timestamp-s", "TIMESTAMP_S", ("'2024-02-29 23:59:59'", "NULL")),
    Case("timestamp-ms", "TIMESTAMP_MS", ("'2024-02-29 23:59:59.123'",)),
    Case("timestamp-us-in-ns", "TIMESTAMP_NS", ("'2024-02-29 23:59:59.123456'", "NULL")),
    Case("timestamp-ns", "TIMESTAMP_NS", ("'2024-02-29 23:59:59.123456789'", "NULL")),
    Case("timestamptz", "TIMESTAMPTZ", ("'2024-02-29 23:59:59.5+00'", "'infinity'", "'-infinity'")),
    Case("time", "TIME", ("'00:00:00'", "'23:59:59.999999'", "'24:00:00'", "NULL")),
    Case("timetz", "TIMETZ", ("'12:00:00+05:30'", "'00:00:00-15:59'")),
    Case(
        "interval",
        "INTERVAL",
        ("'14 months -3 days 5.25 seconds'", "'-1 year'", "'100000 hours'", "NULL"),
        "datepart('year', c) * 12 + datepart('month', c) || ' ' || datepart('day', c) || ' ' ||"
        " datepart('hour', c) * 3600000000 + datepart('minute', c) * 60000000 + datepart('microsecond', c)",
        "(extract(year from c) * 12 + extract(month from c))::int || ' ' || extract(day from c) || ' ' ||"
        " (extract(hour from c) * 3600000000 + extract(minute from c) * 60000000"
        " + extract(microseconds from c))::bigint",
    ),
    Case("uuid", "UUID", ("'123e4567-e89b-12d3-a456-426655440000'", "NULL")),
    Case("json", "JSON", ('\'{"b": 1.10,  "a": [null]}\'', "'1e400'", "NULL")),
    Case("enum", "ENUM('b', 'a', 'it''s, (x)', '')", ("'b'", "'it''s, (x)'", "''", "NULL")),
    Case("bit", "BIT", ("'0101'", "'1'", "NULL")),
    Case("list", "INTEGER[]", ("[1, NULL, 3]", "[]", "NULL"), "CAST(to_json(c) AS VARCHAR)", **NESTED),
    Case(
        "list-decimal",
        "DECIMAL(20,10)[][]",
        ("[[1.10], NULL, [12345678.0000000001]]",),
        '\'[["1.1000000000"],null,["12345678.0000000001"]]\'',
        **NESTED,
    ),
    Case(
        "array",
        "DOUBLE[2]",
        ("[0.1::DOUBLE, 'nan'::DOUBLE]", "NULL"),
        "CASE WHEN c IS NOT NULL THEN '[0.1,\"nan\"]' END",
        **NESTED,
    ),
    Case(
        "struct",
        'STRUCT(a INTEGER, "b c" DECIMAL(5,2), d DATE)',
        ("{'a': 1, 'b c': 1.10, 'd': DATE '2024-01-01'}", "NULL"),
        'CASE WHEN c IS NOT NULL THEN \'{"a":1,"b c":"1.10","d":"2024-01-01"}\' END',
        **NESTED,
    ),
    Case(
        "map",
        "MAP(INTEGER, DECIMAL(5,2))",
        ("MAP {1: 2.50, 2: NULL}", "MAP {}", "NULL"),
        "CASE WHEN c IS NULL THEN NULL WHEN cardinality(c) = 0 THEN '{}' ELSE"
        ' \'{"1":"2.50","2":null}\' END',
        **NESTED,
    ),
    Case(
        "union",
        "UNION(num DECIMAL(5,2), str VARCHAR)",
        ("union_value(num := 1.10)", "union_value(str := 'x')", "NULL"),
        "CASE CAST(union_tag(c) AS VARCHAR) WHEN 'num' THEN '{\"num\":\"1.10\"}' WHEN 'str' THEN"
        ' \'{"str":"x"}\' END',
        **NESTED,
    ),
    Case("blob-list", "BLOB[]", ("['\\x00\\xFF']",), "'[\"\\x00ff\"]'", norm=same),
]


def _fill(file: Path, cases: list[Case] = CASES) -> None:
    for case in cases:
        rows = ", ".join(f"({number}, {value})" for number, value in enumerate(case.values))
        build(
            file,
            f'CREATE TABLE "{case.name}" (id INTEGER PRIMARY KEY, c {case.ddl})',
            f'INSERT INTO "{case.name}" VALUES {rows}',
        )


def test_values_arrive_in_postgres_as_duckdb_prints_them(
    tmp_path: Path, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """slugs: duckdb-read-types, duckdb-read-nested, duckdb-read-infinity, duckdb-nanoseconds"""
    file = tmp_path / "source.duckdb"
    _fill(file)
    stream = job(
        file,
        postgres,
        target_database=postgres_database,
        policies={"infinity": "sentinel", "unboundedNumeric": "text"},
    )
    running.finish(stream)
    for case in CASES:
        want = ask(file, f'SELECT id, {case.duck} FROM main."{case.name}" ORDER BY id')
        have = postgres.query(
            f'SELECT id, {case.pg} FROM public."{case.name}" ORDER BY id', database=postgres_database
        )
        level = [(key, case.norm(value)) for key, value in want]
        if case.name == "blob-list":
            level = [(key, '["\\\\x00ff"]') for key, _ in want]
        assert [(key, case.norm(_text(value))) for key, value in have] == level, case.name
    verdict = running.verify(stream)
    assert verdict["equal"], [table for table in verdict["tables"] if not table["equal"]]


def _text(value: Any) -> Any:
    return value.replace("T", " ") if isinstance(value, str) and value[4:5] == "-" else value


# Types a DuckDB target cannot be given back exactly out of text: they stay JSON there.
_CHANGED = {"union", "blob-list"}


def test_another_file_gets_the_same_types_and_values(tmp_path: Path) -> None:
    """slug: duckdb-to-duckdb"""
    file, other = tmp_path / "one.duckdb", tmp_path / "two.duckdb"
    _fill(file)
    stream = job(file, other)
    running.finish(stream)
    types = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
    left = " AND table_name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY 1, 2"
    want = [row for row in ask(file, types + left) if row[0] not in _CHANGED | {"timestamp-us-in-ns"}]
    narrowed = {"TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP"}
    want = [(table, column, narrowed.get(kind, kind)) for table, column, kind in want]
    have = [row for row in ask(other, types + left) if row[0] not in _CHANGED | {"timestamp-us-in-ns"}]
    assert have == want
    for case in CASES:
        if case.name not in _CHANGED:
            query = f'SELECT * FROM main."{case.name}" ORDER BY id'
            assert printed(other, query) == printed(file, query), case.name
    assert running.verify(stream)["equal"]
