"""Every MySQL and MariaDB type × edge values, copied for real and compared by what the two servers print.

A case names a column type, values as SQL literals of the source, the PostgreSQL type that must come out, and
for each server the expression whose text both must agree on. `norm` levels differences of mere spelling.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from tests import running

pytestmark = pytest.mark.integration


def same(text: Any) -> Any:
    return text


def number(text: Any) -> Any:
    return Decimal(str(text))


def floating(text: Any) -> Any:
    value = float(text)
    return value.hex()


def as_json(text: Any) -> Any:
    return json.loads(text, parse_float=Decimal) if isinstance(text, str | bytes) else text


def clock(text: Any) -> Any:
    """`-838:59:59.500000` and `-838:59:59.5`"""
    text = str(text)
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True)
class Case:
    name: str
    ddl: str
    values: tuple[str, ...]
    pg: str
    source: str = "CAST(c AS CHAR)"
    target: str = "c::text"
    norm: Callable[[Any], Any] = same
    only: str | None = None
    policies: tuple[tuple[str, str], ...] = ()


HEX = {"source": "HEX(c)", "target": "upper(encode(c, 'hex'))"}
# Not as text inside SQL: MySQL 9 cuts a double there at 22 characters.
FLOAT = {"source": "CAST(c AS DOUBLE)", "target": "c::float8::text", "norm": floating}
JSONB = {"norm": as_json}


def bits(length: int) -> dict[str, Any]:
    return {"source": f"LPAD(BIN(c + 0), {length}, '0')"}


INTEGERS = [
    Case("tinyint", "tinyint", ("-128", "-1", "0", "1", "127"), "smallint"),
    Case("tinyint1-not-boolean", "tinyint(1)", ("-1", "0", "1", "2", "127"), "smallint"),
    Case("bool", "bool", ("0", "1", "NULL"), "smallint"),
    Case(
        "tinyint1-boolean",
        "tinyint(1)",
        ("0", "1", "NULL"),
        "boolean",
        target="c::int::text",
        policies=(("tinyint1", "boolean"),),
    ),
    Case("tinyint-unsigned", "tinyint unsigned", ("0", "255"), "smallint"),
    Case("smallint", "smallint", ("-32768", "32767"), "smallint"),
    Case("smallint-unsigned", "smallint unsigned", ("0", "65535"), "integer"),
    Case("mediumint", "mediumint", ("-8388608", "8388607"), "integer"),
    Case("mediumint-unsigned", "mediumint unsigned", ("0", "16777215"), "integer"),
    Case("int", "int", ("-2147483648", "0", "2147483647"), "integer"),
    Case("int-width", "int(11)", ("-1", "7"), "integer"),
    Case("int-zerofill", "int(8) unsigned zerofill", ("7",), "bigint", source="CAST(c + 0 AS CHAR)"),
    Case("int-unsigned", "int unsigned", ("0", "4294967295"), "bigint"),
    Case("bigint", "bigint", ("-9223372036854775808", "9223372036854775807"), "bigint"),
    Case(
        "bigint-unsigned",
        "bigint unsigned",
        ("0", "9223372036854775808", "18446744073709551615"),
        "numeric(20,0)",
    ),
    Case("year", "year", ("0", "'0'", "1901", "2155", "NULL"), "smallint", source="CAST(c + 0 AS CHAR)"),
]

NUMBERS = [
    Case("decimal", "decimal(10,2)", ("0", "-0.01", "99999999.99", "-99999999.99", "1.10"), "numeric(10,2)"),
    Case("decimal-integer", "decimal(5,0)", ("-99999", "0", "99999"), "numeric(5,0)"),
    Case("decimal-fraction", "decimal(30,30)", ("0." + "9" * 30, "-0." + "0" * 29 + "1"), "numeric(30,30)"),
    Case("decimal-widest", "decimal(65,0)", ("9" * 65, "-" + "9" * 65, "1"), "numeric(65,0)"),
    Case(
        "decimal-widest-scale",
        "decimal(65,30)",
        ("9" * 35 + "." + "9" * 30, "-0." + "0" * 29 + "1", "1"),
        "numeric(65,30)",
    ),
    Case("decimal-unsigned", "decimal(8,4) unsigned", ("0", "9999.9999"), "numeric(8,4)"),
    Case(
        "float",
        "float",
        ("0", "-1.5", "16777216", "3.4028234e38", "1.17549435e-38", "1e-45", "123456.789", "NULL"),
        "real",
        **FLOAT,
    ),
    Case(
        "double",
        "double",
        ("0", "0.1", "-1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "9007199254740993"),
        "double precision",
        **FLOAT,
    ),
    Case("bit-1", "bit(1)", ("b'0'", "b'1'", "NULL"), "bit(1)", **bits(1)),
    Case("bit-5", "bit(5)", ("b'00101'", "b'11111'", "0"), "bit(5)", **bits(5)),
    Case("bit-9", "bit(9)", ("b'100000001'", "1"), "bit(9)", **bits(9)),
    Case("bit-64", "bit(64)", ("18446744073709551615", "1", "0"), "bit(64)", **bits(64)),
]

MOMENTS = [
    Case("date", "date", ("'1000-01-01'", "'0001-01-01'", "'9999-12-31'", "'2024-02-29'", "NULL"), "date"),
    Case(
        "datetime",
        "datetime",
        ("'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'2024-03-31 02:30:00'"),
        "timestamp(0) without time zone",
    ),
    Case(
        "datetime-6",
        "datetime(6)",
        ("'2024-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999999'", "'1000-01-01 00:00:00.5'"),
        "timestamp(6) without time zone",
        norm=clock,
    ),
    Case(
        "datetime-3",
        "datetime(3)",
        ("'2024-01-01 00:00:00.123'",),
        "timestamp(3) without time zone",
        norm=clock,
    ),
    Case(
        "timestamp",
        "timestamp NULL",
        ("'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2024-10-27 01:30:00'", "NULL"),
        "timestamp(0) with time zone",
        target="(c AT TIME ZONE 'UTC')::text",
    ),
    Case(
        "timestamp-6",
        "timestamp(6) NULL",
        ("'1970-01-01 00:00:01.000001'", "'2038-01-19 03:14:07.999999'"),
        "timestamp(6) with time zone",
        target="(c AT TIME ZONE 'UTC')::text",
        norm=clock,
    ),
    Case(
        "time",
        "time",
        ("'00:00:00'", "'23:59:59'", "'24:00:00'", "'838:59:59'", "'-838:59:59'", "'-00:00:01'"),
        "interval(0)",
    ),
    Case(
        "time-6",
        "time(6)",
        ("'00:00:00.000001'", "'-00:00:00.000001'", "'838:59:58.999999'", "'-12:34:56.5'"),
        "interval(6)",
        norm=clock,
    ),
    Case(
        "time-of-day",
        "time(3)",
        ("'00:00:00'", "'23:59:59.999'", "'24:00:00'"),
        "time(3) without time zone",
        norm=clock,
        policies=(("time", "time"),),
    ),
    Case(
        "zero-date-null",
        "date NOT NULL",
        ("'0000-00-00'", "'2024-00-00'", "'2024-02-00'", "'2024-02-29'"),
        "date",
        source="CASE WHEN DAY(c) = 0 OR MONTH(c) = 0 THEN NULL ELSE CAST(c AS CHAR) END",
        policies=(("zeroDate", "null"),),
    ),
    Case(
        "zero-date-sentinel",
        "datetime(6)",
        ("'0000-00-00'", "'2024-05-06 07:08:09'"),
        "timestamp(6) without time zone",
        source="CASE WHEN MONTH(c) = 0 THEN '-infinity' ELSE CAST(c AS CHAR) END",
        norm=clock,
        policies=(("zeroDate", "sentinel"),),
    ),
]

TEXTS = [
    Case("char", "char(10)", ("''", "'a'", "'a  '", "'héllo'", "NULL"), "character varying(10)"),
    Case(
        "varchar",
        "varchar(255)",
        ("''", "' a '", "'😀𝄞'", "'it''s \\\\ \"q\"'", "REPEAT('é', 255)"),
        "character varying(255)",
    ),
    Case("varchar-0", "varchar(0)", ("''", "NULL"), "text"),
    Case("tinytext", "tinytext", ("''", "REPEAT('x', 255)"), "text"),
    Case("text", "text", ("''", "REPEAT('x', 65535)", "'line\\nbreak\\ttab\\r'"), "text"),
    Case("mediumtext", "mediumtext", ("REPEAT('é', 100000)",), "text"),
    Case("longtext", "longtext", ("REPEAT('😀', 300000)", "''", "NULL"), "text"),
    Case("latin1", "varchar(20) CHARACTER SET latin1", ("'é€ü'", "_latin1 X'8D'"), "character varying(20)"),
    Case("utf8mb3", "varchar(20) CHARACTER SET utf8mb3", ("'éü中'",), "character varying(20)"),
    Case("ucs2", "varchar(20) CHARACTER SET ucs2", ("'é中'",), "character varying(20)"),
    Case("utf16", "varchar(20) CHARACTER SET utf16", ("'é😀'",), "character varying(20)"),
    Case("sjis", "varchar(20) CHARACTER SET sjis", ("_utf8mb4 'テスト'",), "character varying(20)"),
    Case("cp1251", "varchar(20) CHARACTER SET cp1251", ("'Привет'",), "character varying(20)"),
    Case("gbk", "varchar(20) CHARACTER SET gbk", ("'中文'",), "character varying(20)"),
    Case("utf8mb4-bin", "varchar(20) COLLATE utf8mb4_bin", ("'a'", "'A '"), "character varying(20)"),
    Case(
        "nul-strip",
        "varchar(20)",
        ("CONCAT('a', CHAR(0), 'b')", "'c'"),
        "character varying(20)",
        source="REPLACE(c, CHAR(0), '')",
        policies=(("nulByte", "strip"),),
    ),
    Case("enum", "enum('b','a','it''s, (x)')", ("'a'", "'b'", "'it''s, (x)'", "NULL"), "t_c"),
    Case("enum-emoji", "enum('😀','plain')", ("'😀'", "'plain'"), "t_c"),
    Case("enum-long", "enum('" + "é" * 40 + "','x')", ("'" + "é" * 40 + "'", "'x'"), "text"),
    Case("enum-text", "enum('b','a')", ("'a'",), "text", policies=(("enum", "text"),)),
    Case(
        "set",
        "set('c','a','b \"q\" {x}')",
        ("''", "'a,c'", "'b \"q\" {x}'", "NULL"),
        "text[]",
        target="array_to_string(c, ',')",
    ),
    Case("set-text", "set('c','a')", ("''", "'a,c'"), "text", policies=(("set", "text"),)),
    Case(
        "set-64",
        "set(" + ",".join(f"'l{number}'" for number in range(64)) + ")",
        ("18446744073709551615", "9223372036854775808", "1"),
        "text[]",
        target="array_to_string(c, ',')",
    ),
]

BYTES = [
    Case("binary", "binary(4)", ("X'FF'", "X'00'", "X'01020304'", "NULL"), "bytea", **HEX),
    Case("varbinary", "varbinary(300)", ("X''", "X'00FF00'", "REPEAT(X'FE', 300)"), "bytea", **HEX),
    Case("tinyblob", "tinyblob", ("X''", "X'00'"), "bytea", **HEX),
    Case("blob", "blob", ("REPEAT(X'00', 65535)",), "bytea", **HEX),
    Case("mediumblob", "mediumblob", ("REPEAT(X'ABCD', 200000)",), "bytea", **HEX),
    Case("longblob", "longblob", ("REPEAT(X'0F', 3000000)", "X''", "NULL"), "bytea", **HEX),
]

JSONS = [
    Case(
        "json-mysql",
        "json",
        (
            '\'{"b": 1.5, "a": [null, true, "é\\\\n"]}\'',
            "'[]'",
            "'\"x\"'",
            "'null'",
            "NULL",
            "'18446744073709551615'",
        ),
        "jsonb",
        only="mysql",
        **JSONB,
    ),
    Case(
        "json-mariadb",
        "json",
        ('\'{"b":1,  "a":2, "b":3}\'', "'1e400'", "'[1.10]'", "NULL"),
        "json",
        only="mariadb",
    ),
    Case(
        "json-jsonb",
        "json",
        ('\'{"b":1,"a":[1,2]}\'', "NULL"),
        "jsonb",
        policies=(("json", "jsonb"),),
        **JSONB,
    ),
    Case("json-text", "json", ("'{\"a\": 1}'",), "text", policies=(("json", "text"),)),
]

OTHERS = [
    Case(
        "geometry",
        "geometry",
        ("ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')", "NULL"),
        "bytea",
        source="HEX(SUBSTRING(c, 5))",
        target="upper(encode(c, 'hex'))",
    ),
    Case(
        "point-srid",
        "point",
        ("ST_GeomFromText('POINT(10 20)', 4326)",),
        "bytea",
        # EWKB: the type word carries the SRID flag, the SRID follows it, then x (longitude) and y.
        source="CONCAT('01', '01000020', 'E6100000', HEX(SUBSTRING(c, 10)))",
        target="upper(encode(c, 'hex'))",
    ),
    Case("uuid", "uuid", ("'123e4567-e89b-12d3-a456-426655440000'", "NULL"), "uuid", only="mariadb"),
    Case(
        "inet6",
        "inet6",
        ("'::1'", "'2001:db8::ff00:42:8329'", "NULL"),
        "inet",
        target="host(c)",
        only="mariadb",
    ),
    Case("inet4", "inet4", ("'10.0.0.1'", "NULL"), "inet", target="host(c)", only="mariadb"),
    Case(
        "vector",
        "vector(3)",
        ("STRING_TO_VECTOR('[1, -2.5, 0.1]')", "NULL"),
        "real[]",
        source="VECTOR_TO_STRING(c)",
        target="array_to_json(c)::text",
        norm=lambda text: [float(item).hex() for item in json.loads(text)],
        only="mysql",
    ),
]

CASES = [*INTEGERS, *NUMBERS, *MOMENTS, *TEXTS, *BYTES, *JSONS, *OTHERS]


@pytest.mark.parametrize("reader", ["native", "connectorx"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_values_arrive_as_the_source_prints_them(
    source_server: MysqlEndpoint,
    source_database: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
    case: Case,
    reader: str,
) -> None:
    if case.only not in (None, source_server.kind):
        pytest.skip(f"the type exists on {case.only} only")
    fill(source_server, source_database, case)
    stream = running.job(
        source_server,
        source_database,
        postgres,
        postgres_database,
        options={"reader": reader},
        policies=dict(case.policies),
    )
    running.finish(stream)
    assert column_type(postgres, postgres_database) == case.pg
    want = source_server.query(f"SELECT id, {case.source} FROM t ORDER BY id", database=source_database)
    have = postgres.query(f"SELECT id, {case.target} FROM public.t ORDER BY id", database=postgres_database)
    assert normal(have, case) == normal(want, case)
    assert running.verify(stream)["equal"]


def fill(server: MysqlEndpoint, database: str, case: Case) -> None:
    server.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, c {case.ddl}) DEFAULT CHARSET utf8mb4", database=database
    )
    rows = ", ".join(f"({number}, {value})" for number, value in enumerate(case.values))
    # Zero dates and year 0 are what old, lenient servers hold.
    server.execute(f"SET sql_mode = ''; INSERT INTO t VALUES {rows}", database=database)


def column_type(postgres: PostgresEndpoint, database: str) -> str:
    return str(
        postgres.scalar(
            "SELECT replace(format_type(atttypid, atttypmod), '\"', '') FROM pg_attribute"
            " WHERE attrelid = 'public.t'::regclass AND attname = 'c'",
            database=database,
        )
    )


def normal(rows: list[tuple[Any, ...]], case: Case) -> list[tuple[Any, Any]]:
    return [(key, None if value is None else case.norm(text(value))) for key, value in rows]


def text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


REFUSED = [
    ("zero-date", "date", "'0000-00-00'", {}, "0000-00-00"),
    ("partial-date", "datetime", "'2024-02-00 00:00:00'", {}, "2024-02-00"),
    ("nul-byte", "varchar(10)", "CONCAT('a', CHAR(0))", {}, "nul-byte"),
    ("time-beyond-a-day", "time", "'25:00:00'", {"time": "time"}, "25:00:00"),
    ("year-zero-date", "date", "'0000-01-01'", {}, "0000-01-01"),
]


@pytest.mark.parametrize("reader", ["native", "connectorx"])
@pytest.mark.parametrize(("slug", "ddl", "value", "policies", "said"), REFUSED, ids=[c[0] for c in REFUSED])
def test_a_value_that_cannot_go_fails_naming_it(
    source_server: MysqlEndpoint,
    source_database: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
    slug: str,
    ddl: str,
    value: str,
    policies: dict[str, str],
    said: str,
    reader: str,
) -> None:
    case = Case(slug, ddl, ("NULL",), "")
    fill(source_server, source_database, case)
    source_server.execute(f"SET sql_mode = ''; INSERT INTO t VALUES (77, {value})", database=source_database)
    stream = running.job(
        source_server,
        source_database,
        postgres,
        postgres_database,
        options={"reader": reader},
        policies=policies,
    )
    outcome, _ = running.run(stream)
    assert outcome.status == "FAILED"
    assert outcome.error is not None
    assert outcome.error["code"] == "VALUE_NOT_REPRESENTABLE", outcome.error
    details = outcome.error["details"]
    assert (details["table"], details["column"], details["key"]) == ("t", "c", {"id": "77"})
    assert said in outcome.error["error"]
    assert postgres.scalar("SELECT count(*) FROM public.t", database=postgres_database) == 0
