"""Every type × edge values into MySQL and MariaDB, compared by what the two servers print.

The cases of MySQL and MariaDB are those of the matrix towards PostgreSQL; those of PostgreSQL have the type
that must come out here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import pytest

from benchmarks.endpoints import PostgresEndpoint, Row
from tests import running
from tests.integration.mysql_targets import FAMILY, TARGETS, Ends, ends
from tests.integration.postgres_versions import has_type
from tests.integration.test_type_matrix import CASES, Case, clock, floating, normal, number, same, text

pytestmark = pytest.mark.integration


def kept(case: Case, source: str, target: str) -> bool:
    """A vector has no counterpart on this MariaDB that could be compared: it becomes its bytes."""
    return case.only in (None, source) and (case.name != "vector" or source == target)


def of_column(expression: str, name: str, quote: str = "`") -> str:
    """The case's expression over the column `c`, over the column of that name."""
    return re.sub(r"\bc\b", f"{quote}{name}{quote}", expression)


def rows_of(values: Sequence[Sequence[str]]) -> str:
    """All cases side by side, a column each; the shorter ones end in NULL."""
    lines = zip_longest(*values, fillvalue="NULL")
    return ", ".join(f"({number}, {', '.join(line)})" for number, line in enumerate(lines))


@pytest.mark.parametrize(("source", "target"), FAMILY)
def test_values_arrive_as_the_source_prints_them(
    request: pytest.FixtureRequest, source: str, target: str
) -> None:
    """slugs: mysql-load-exact, mysql-same-flavor, mysql-other-flavor"""
    cases = [case for case in CASES if kept(case, source, target) and not case.policies]
    with ends(request, source, target) as pair:
        create(pair.load, cases)
        stream = pair.job()
        running.finish(stream)
        wrong = {}
        for case in cases:
            want, have = pair.ask(f"SELECT id, {of_column(case.source, case.name)} FROM t ORDER BY id")
            if normal(want, case) != normal(have, case):
                wrong[case.name] = (normal(want, case), normal(have, case))
        assert wrong == {}
        if pair.same:
            types = "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME,"
            types += " COLUMN_DEFAULT, IS_NULLABLE, EXTRA FROM information_schema.COLUMNS"
            types += " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't' ORDER BY 1"
            want, have = pair.ask(types)
            assert have == want
        assert running.verify(stream)["equal"]


def create(load: Callable[[str], None], cases: Sequence[Case]) -> None:
    columns = ", ".join(f"`{case.name}` {case.ddl}" for case in cases)
    load(
        f"SET sql_mode = ''; CREATE TABLE t (id int PRIMARY KEY, {columns}) DEFAULT CHARSET utf8mb4;"
        f" INSERT INTO t VALUES {rows_of([case.values for case in cases])}"
    )


ZEROS = ("'0000-00-00'", "'2024-05-06 07:08:09'", "NULL")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("policies", "first"),
    [({"zeroDate": "sentinel"}, "0000-00-00 00:00:00"), ({"zeroDate": "null"}, None)],
)
def test_zero_dates_come_back_by_policy(
    request: pytest.FixtureRequest, target: str, policies: dict[str, str], first: str | None
) -> None:
    """slug: mysql-zero-dates"""
    with ends(request, target, target) as pair:
        create(pair.load, [Case("zeros", "datetime", ZEROS, "")])
        stream = pair.job(policies=policies)
        running.finish(stream)
        have = [text(value) for (value,) in pair.have("SELECT CAST(zeros AS CHAR) FROM t ORDER BY id")]
        assert have == [first, "2024-05-06 07:08:09", None]


# ---------------------------------------------------------------- from PostgreSQL


@dataclass(frozen=True)
class Foreign:
    """A column of PostgreSQL: `types` are those that must come out, on MariaDB and on MySQL."""

    name: str
    ddl: str
    values: tuple[str, ...]
    types: tuple[str, str]
    source: str = "c::text"
    target: str = "CAST(c AS CHAR)"
    norm: Callable[[Any], Any] = same
    policies: dict[str, str] = field(default_factory=dict)


def parsed(value: Any) -> Any:
    return json.loads(value, parse_float=Decimal)


def plain(value: Any) -> Any:
    return Decimal(str(value)).normalize()


HEX = {"source": "upper(encode(c, 'hex'))", "target": "HEX(c)"}
FOREIGN = [
    Foreign("bool", "boolean", ("true", "false", "NULL"), ("tinyint(1)",) * 2, source="c::int::text"),
    Foreign("int2", "smallint", ("-32768", "32767"), ("smallint(6)", "smallint")),
    Foreign("int4", "integer", ("-2147483648", "2147483647"), ("int(11)", "int")),
    Foreign("int8", "bigint", ("-9223372036854775808", "9223372036854775807"), ("bigint(20)", "bigint")),
    Foreign("oid", "oid", ("0", "4294967295"), ("int(10) unsigned", "int unsigned")),
    Foreign(
        "numeric",
        "numeric(65,30)",
        ("9" * 35 + "." + "9" * 30, "-0." + "0" * 29 + "1", "0"),
        ("decimal(65,30)",) * 2,
        norm=plain,
    ),
    Foreign("numeric-negative-scale", "numeric(5,-2)", ("1234500", "-100"), ("decimal(7,0)",) * 2),
    Foreign("numeric-small", "numeric(3,5)", ("0.00123",), ("decimal(5,5)",) * 2),
    Foreign("money", "money", ("'12.50'", "'-0.01'"), ("decimal(19,2)",) * 2, source="c::numeric::text"),
    Foreign(
        "float4",
        "real",
        ("1.5", "3.4028234e38", "1e-45", "16777216", "0.1"),
        ("float",) * 2,
        source="c::float8::text",
        target="CAST(c AS DOUBLE)",
        norm=floating,
    ),
    Foreign(
        "float8",
        "double precision",
        ("0.1", "5e-324", "-1.7976931348623157e308", "9007199254740993"),
        ("double",) * 2,
        target="CAST(c AS DOUBLE)",
        norm=floating,
    ),
    Foreign(
        "text",
        "text",
        ("''", "' a '", "'é😀'", "repeat('z', 70000)", "E'a\\tb\\nc\\\\d\\r'"),
        ("longtext",) * 2,
    ),
    Foreign("varchar", "varchar(20)", ("''", "'a  '", "'NULL'", "E'\\\\N'", "NULL"), ("varchar(20)",) * 2),
    Foreign("varchar-wide", "varchar(20000)", ("repeat('é', 20000)",), ("longtext",) * 2),
    Foreign(
        "bpchar", "char(4)", ("'ab'", "''", "'abcd'"), ("varchar(4)",) * 2, source="textin(bpcharout(c))"
    ),
    Foreign("bytea", "bytea", (r"'\x00ff095c0a27'", "''", "NULL"), ("longblob",) * 2, **HEX),
    Foreign("date", "date", ("'0001-01-01'", "'9999-12-31'", "'2024-02-29'"), ("date",) * 2),
    Foreign(
        "timestamp",
        "timestamp",
        ("'0001-01-01'", "'9999-12-31 23:59:59.999999'", "'1969-12-31 23:59:59.5'"),
        ("datetime(6)",) * 2,
        source="to_char(c, 'YYYY-MM-DD HH24:MI:SS.US')",
        norm=clock,
    ),
    Foreign("timestamp-0", "timestamp(0)", ("'2024-03-31 02:30:00'",), ("datetime",) * 2),
    Foreign(
        "timestamptz",
        "timestamptz",
        ("'2024-10-27 02:30:00+02'", "'1970-01-01 00:00:00Z'", "'2500-01-01 00:00:00.000001Z'"),
        ("datetime(6)",) * 2,
        source="to_char(c at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
        norm=clock,
    ),
    Foreign("time", "time", ("'00:00:00'", "'24:00:00'", "'23:59:59.999999'"), ("time(6)",) * 2, norm=clock),
    Foreign("timetz", "timetz", ("'12:00:00+05:30'", "'24:00:00-12'"), ("longtext",) * 2),
    Foreign(
        "interval",
        "interval",
        ("'1 year -2 mons 3 days -04:05:06.789'", "'0'", "'-178000000 years'", "'2540400010 hours'"),
        ("varchar(64)",) * 2,
    ),
    Foreign(
        "uuid",
        "uuid",
        ("'123e4567-e89b-12d3-a456-426655440000'",),
        ("uuid", "char(36)"),
    ),
    Foreign(
        "uuid-binary",
        "uuid",
        ("'123e4567-e89b-12d3-a456-426655440000'",),
        ("binary(16)",) * 2,
        source="upper(replace(c::text, '-', ''))",
        target="HEX(c)",
        policies={"uuid": "binary"},
    ),
    Foreign(
        "uuid-char",
        "uuid",
        ("'123e4567-e89b-12d3-a456-426655440000'",),
        ("char(36)",) * 2,
        policies={"uuid": "char"},
    ),
    Foreign("json", "json", ('\'{"a" : 1,  "a":2}\'', "'1e400'"), ("longtext",) * 2),
    Foreign(
        "jsonb",
        "jsonb",
        ('\'{"b":1.5,"a":[null,true,"é\\n"]}\'', "'18446744073709551615'", "'\"x\"'"),
        ("longtext", "json"),
        norm=parsed,
    ),
    Foreign(
        "jsonb-text",
        "jsonb",
        ("'[12345678901234567890123456789, 0.1234567890123456789]'",),
        ("longtext",) * 2,
        policies={"json": "text"},
    ),
    Foreign(
        "ints",
        "int[]",
        ("'{1,NULL,-3}'", "'{}'"),
        ("longtext", "json"),
        source="to_json(c)::text",
        norm=parsed,
    ),
    Foreign(
        "texts",
        "text[]",
        ('\'{NULL,"NULL","a,b"}\'',),
        ("longtext", "json"),
        source="to_json(c)::text",
        norm=parsed,
    ),
    Foreign(
        "matrix", "int[]", ("'{{1,2},{3,4}}'",), ("longtext", "json"), source="to_json(c)::text", norm=parsed
    ),
    Foreign(
        "bit", "bit(9)", ("b'100000001'", "b'000000000'"), ("bit(9)",) * 2, target="LPAD(BIN(c + 0), 9, '0')"
    ),
    Foreign(
        "bit-wide",
        "bit(70)",
        ("b'1" + "0" * 68 + "1'",),
        ("varbinary(9)",) * 2,
        source="lpad(upper(to_hex(substring(c from 1 for 6)::int)), 2, '0')"
        " || lpad(upper(to_hex(substring(c from 7)::bit(64)::bigint)), 16, '0')",
        target="HEX(c)",
    ),
    Foreign("varbit", "varbit(20)", ("b'101'", "b''"), ("longtext",) * 2),
    Foreign("inet", "inet", ("'10.0.0.1/8'", "'::1'"), ("longtext",) * 2, source="textin(inet_out(c))"),
    Foreign("cidr", "cidr", ("'10.0.0.0/8'",), ("longtext",) * 2),
    Foreign("macaddr", "macaddr", ("'08:00:2b:01:02:03'",), ("longtext",) * 2),
    Foreign("range", "int4range", ("'[1,5)'", "'empty'"), ("longtext",) * 2),
    Foreign("tsvector", "tsvector", ("'a fat cat'",), ("longtext",) * 2),
    Foreign("xml", "xml", ("'<a>b</a>'",), ("longtext",) * 2),
    Foreign("point", "point", ("'(1.5,2)'",), ("longtext",) * 2),
    Foreign(
        "unbounded-text",
        "numeric",
        ("1e-40", "1" * 80, "'NaN'", "'-Infinity'"),
        ("longtext",) * 2,
        policies={"unboundedNumeric": "text"},
    ),
    Foreign(
        "nan",
        "numeric(5,2)",
        ("'NaN'", "1.5"),
        ("decimal(5,2)",) * 2,
        source="nullif(c, 'NaN')::text",
        norm=number,
        policies={"nan": "null"},
    ),
    Foreign(
        "infinite-null",
        "date",
        ("'infinity'", "'-infinity'", "'2024-01-01'"),
        ("date",) * 2,
        source="CASE WHEN isfinite(c) THEN c::text END",
        policies={"infinity": "null"},
    ),
    Foreign(
        "infinite-sentinel",
        "timestamp(3)",
        ("'infinity'", "'-infinity'"),
        ("datetime(3)",) * 2,
        source="CASE WHEN c > 'epoch' THEN '9999-12-31 23:59:59.999' ELSE '0000-00-00 00:00:00.000' END",
        policies={"infinity": "sentinel"},
    ),
]
_GROUPS = sorted({tuple(sorted(case.policies.items())) for case in FOREIGN})


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "policies", _GROUPS, ids=lambda group: "-".join(name for pair in group for name in pair) or "defaults"
)
def test_values_of_postgresql_arrive(
    request: pytest.FixtureRequest, target: str, policies: tuple[tuple[str, str], ...]
) -> None:
    """slugs: mysql-foreign-types, mysql-numeric, mysql-infinity, mysql-uuid and mysql-json"""
    cases = [case for case in FOREIGN if tuple(sorted(case.policies.items())) == policies]
    with ends(request, "postgres", target) as pair:
        assert isinstance(pair.source, PostgresEndpoint)
        version = pair.source.server_version
        cases = [case for case in cases if has_type(version, case.ddl)]
        columns = ", ".join(f'"{case.name}" {case.ddl}' for case in cases)
        pair.load(f"CREATE TABLE t (id int PRIMARY KEY, {columns})")
        pair.load(f"INSERT INTO t VALUES {rows_of([case.values for case in cases])}")
        stream = pair.job(policies=dict(policies))
        running.finish(stream)
        types = dict(
            pair.have(
                "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS"
                " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't'"
            )
        )
        wrong = {}
        for case in cases:
            want = printed(
                pair, f"SELECT id, {of_column(case.source, case.name, chr(34))} FROM t ORDER BY id"
            )
            have = pair.have(f"SELECT id, {of_column(case.target, case.name)} FROM t ORDER BY id")
            spelled = Case(case.name, "", (), "", norm=case.norm)
            if normal(want, spelled) != normal(have, spelled):
                wrong[case.name] = (normal(want, spelled), normal(have, spelled))
            expected = case.types[target == "mysql"]
            if types[case.name] != expected:
                wrong[case.name + " type"] = (types[case.name], expected)
        assert wrong == {}


def printed(pair: Ends, statement: str) -> list[Row]:
    """What PostgreSQL prints, intervals in ISO 8601."""
    assert isinstance(pair.source, PostgresEndpoint)
    with pair.source.connect(pair.source_database) as session:
        session.execute("SET intervalstyle = iso_8601")
        return session.execute(statement.encode()).fetchall()
