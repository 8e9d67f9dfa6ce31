"""Every type with its edge values: what is read, against what the server itself prints."""

from __future__ import annotations

import json
import struct
from typing import Any

import pyarrow as pa
import pytest

from benchmarks.endpoints import PostgresEndpoint
from engine.config import Policies
from engine.connectors.base import Severity
from engine.errors import Code, EngineError
from engine.types import Image, Kind
from tests.integration.postgres_sources import planned, rows_of, source, table_of
from tests.integration.postgres_versions import has_type, needs_type

pytestmark = pytest.mark.integration

# SQL type, image, values as literals
CASES: list[tuple[str, Image, list[str]]] = [
    ("smallint", Image.INT, ["-32768", "0", "32767"]),
    ("integer", Image.INT, ["-2147483648", "0", "2147483647"]),
    ("bigint", Image.INT, ["-9223372036854775808", "-1", "9223372036854775807"]),
    ("oid", Image.INT, ["0", "4294967295"]),
    ("boolean", Image.BOOL, ["true", "false"]),
    ("real", Image.FLOAT, ["1e-45", "-0", "3.4028235e38", "NaN", "Infinity", "-Infinity", "0.1"]),
    (
        "double precision",
        Image.FLOAT,
        ["5e-324", "-0", "1.7976931348623157e308", "NaN", "Infinity", "-Infinity", "0.1"],
    ),
    (
        "numeric",
        Image.DECIMAL,
        [
            "0",
            "0.00",
            "-0.5",
            "1.10",
            "100000000",
            "1e-30",
            "1e100",
            "10000",
            "0.0001",
            "0.00010000",
            "99999999.99999999",
            "-12345678901234567890.123456789012345678901",
            "NaN",
            f"{'9' * 200}.{'1' * 300}",
            f"1{'0' * 5000}",
        ],
    ),
    ("numeric(10,2)", Image.DECIMAL, ["0", "-99999999.99", "1.5"]),
    ("money", Image.DECIMAL, ["0", "-92233720368547758.08", "92233720368547758.07"]),
    ("text", Image.TEXT, ["", " a ", "ünï\U0001f600", "'\"\\\n\t", "x" * 100_000]),
    ("varchar(5)", Image.TEXT, ["", "äöü", "a    "]),
    ("varchar", Image.TEXT, ["", "any"]),
    ("name", Image.TEXT, ["a name"]),
    ("bytea", Image.BYTES, ["", "\\x00ff", "\\x" + "ab" * 5000]),
    ("date", Image.DATE, ["1970-01-01", "4713-01-01 BC", "0001-12-31 BC", "5874897-12-31", "2000-02-29"]),
    (
        "timestamp",
        Image.TIMESTAMP,
        [
            "1970-01-01",
            "4713-01-01 00:00:00 BC",
            "0001-01-01 00:00:00.000001",
            "9999-12-31 23:59:59.999999",
            "294246-12-31 23:59:59.999999",
        ],
    ),
    ("timestamp(3)", Image.TIMESTAMP, ["2024-06-30 12:00:00.123"]),
    (
        "timestamptz",
        Image.TIMESTAMPTZ,
        ["2024-03-31 01:30:00+01", "4713-01-02 00:00:00+00 BC", "294246-12-31 23:59:59.999999+00"],
    ),
    ("time", Image.DURATION, ["00:00:00", "24:00:00", "23:59:59.999999"]),
    (
        "interval",
        Image.INTERVAL,
        [
            "0",
            "-14 months 3 days -04:05:06.789",
            "1 month",
            "2000:00:00",
            "178000000 years",
            "-00:00:00.000001",
        ],
    ),
    ("uuid", Image.UUID, ["00000000-0000-0000-0000-000000000000", "f0e1d2c3-b4a5-9687-7869-5a4b3c2d1e0f"]),
    ("json", Image.JSON, ['{"a" : 1.10, "a":  2}', "[1, 12345678901234567890123]", "null"]),
    ("jsonb", Image.JSON, ['{"b": 1.10, "a": [null, true]}', "1e3", '"\\ud83d\\ude00"']),
    ("bit(1)", Image.BITS, ["0", "1"]),
    ("bit(11)", Image.BITS, ["10000000001", "00000000000", "11111111111"]),
    ("bit(70)", Image.BITS, ["1" + "0" * 68 + "1"]),
    ("varbit", Image.TEXT, ["", "0", "0010", "1" * 100]),
    ("timetz", Image.TEXT, ["24:00:00+00", "12:30:00.5-15:59"]),
    ("cidr", Image.TEXT, ["10.0.0.0/8", "2001:db8::/32"]),
    ("macaddr", Image.TEXT, ["08:00:2b:01:02:03"]),
    ("macaddr8", Image.TEXT, ["08:00:2b:01:02:03:04:05"]),
    ("xml", Image.TEXT, ["<a>b &amp; c</a>", "text"]),
    ("tsvector", Image.TEXT, ["a:1A b:2"]),
    ("tsquery", Image.TEXT, ["a & !b"]),
    ("int4range", Image.TEXT, ["[1,5)", "empty", "(,)"]),
    ("tstzrange", Image.TEXT, ["[2024-01-01 00:00:00+00,)"]),
    ("int4multirange", Image.TEXT, ["{[1,2),[4,6)}", "{}"]),
    ("point", Image.TEXT, ["(1.5,-0)"]),
    ("path", Image.TEXT, ["[(0,0),(1,1)]", "((0,0),(1,1))"]),
    ("pg_lsn", Image.TEXT, ["16/B374D848"]),
    ("regclass", Image.TEXT, ["pg_class"]),
    ("jsonpath", Image.TEXT, ['$."a"']),
    ("test_mood", Image.TEXT, ["ok", "It''s", ""]),
    ("test_pair", Image.TEXT, ['(1,"a ""b"", c")', "(,)"]),
    ("test_posint", Image.INT, ["1", "2147483647"]),
    ("test_short", Image.TEXT, ["abc"]),
]
SETUP = """
CREATE TYPE test_mood AS ENUM ('ok', 'It''s', '');
CREATE TYPE test_pair AS (n int, t text);
CREATE DOMAIN test_posint AS int CHECK (VALUE > 0);
CREATE DOMAIN test_base AS varchar(3);
CREATE DOMAIN test_short AS test_base NOT NULL;
"""


@pytest.fixture(scope="module")
def typed(postgres: PostgresEndpoint) -> Any:
    name = postgres.database()
    postgres.execute(SETUP, database=name)
    for number, (kind, _, values) in enumerate(CASES):
        if not has_type(postgres.server_version, kind):
            continue
        rows = ", ".join(f"({place}, {_quoted(value)})" for place, value in enumerate(values))
        nothing = "" if kind == "test_short" else f", ({len(values)}, NULL)"
        postgres.execute(
            f"CREATE TABLE t{number} (n int PRIMARY KEY, v {kind});"
            f" INSERT INTO t{number} VALUES {rows}{nothing}",
            database=name,
        )
    yield name
    postgres.drop_database(name)


def _quoted(value: str) -> str:
    return "'" + value.replace("''", "'").replace("'", "''") + "'"


@pytest.mark.parametrize(("number", "kind"), [(number, case[0]) for number, case in enumerate(CASES)])
def test_values_are_what_the_server_prints(
    postgres: PostgresEndpoint, typed: str, number: int, kind: str
) -> None:
    """pg-types-exact"""
    needs_type(postgres.server_version, kind)
    image = CASES[number][1]
    with source(postgres, typed) as opened:
        read = planned(opened, f"t{number}")
        table = rows_of(opened, read)
        assert read.columns[1].image is image
        table.validate(full=True)
        expected = opened._session.execute(
            f"SELECT v::text FROM public.t{number} ORDER BY n"
            if kind != "money"
            else f"SELECT v::numeric::text FROM public.t{number} ORDER BY n"
        ).fetchall()
        found = [_printed(opened, image, value, kind) for value in _values(table.column("v"))]
    assert table.column("n").to_pylist() == list(range(len(expected)))
    if image is Image.FLOAT:
        code = "f" if kind == "real" else "d"
        assert [_bits(code, value) for value in found] == [_bits(code, text) for (text,) in expected]
    else:
        assert found == [text for (text,) in expected]


def _bits(code: str, value: Any) -> Any:
    return None if value is None else struct.pack(code, float(value))


def _values(column: pa.ChunkedArray) -> list[Any]:
    kind = column.type
    if pa.types.is_date32(kind):
        return [None if v is None else v for v in column.cast(pa.int32()).to_pylist()]
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return list(column.cast(pa.int64()).to_pylist())
    return list(column.to_pylist())


def _printed(opened: Any, image: Image, value: Any, kind: str) -> Any:
    if value is None:
        return None
    match image:
        case Image.INT:
            return str(value)
        case Image.BOOL:
            return "true" if value else "false"
        case Image.BYTES:
            return "\\x" + value.hex()
        case Image.BITS:
            width = int(kind[4:-1])
            assert len(value) == (width + 7) // 8
            return f"{int.from_bytes(value, 'big'):0{width}b}"
        case Image.UUID:
            text = value.hex()
            return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
        case Image.DATE:
            return _asked(opened, f"(DATE '1970-01-01' + ({value}))")
        case Image.TIMESTAMP | Image.TIMESTAMPTZ:
            days, micros = divmod(value, 86_400_000_000)
            zone = "timestamptz" if image is Image.TIMESTAMPTZ else "timestamp"
            return _asked(
                opened,
                f"{zone} '1970-01-01 00:00:00Z' + interval '{days} days' + interval '{micros} microseconds'",
            )
        case Image.DURATION:
            seconds, micros = divmod(value, 1_000_000)
            text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
            return text + (f".{micros:06}".rstrip("0") if micros else "")
        case Image.INTERVAL:
            return _asked(
                opened,
                f"make_interval(months => {value['months']}, days => {value['days']})"
                f" + interval '{value['microseconds']} microseconds'",
            )
        case _:
            return value


def _asked(opened: Any, expression: str) -> str:
    return str(opened._session.execute(f"SELECT ({expression})::text").fetchone()[0])


# ---------------------------------------------------------------- what has no ::text to compare with

SPECIAL: list[tuple[str, str, Any]] = [
    ("date", "infinity", 2**31 - 1),
    ("date", "-infinity", -(2**31)),
    ("timestamp", "infinity", 2**63 - 1),
    ("timestamp", "-infinity", -(2**63)),
    ("timestamptz", "-infinity", -(2**63)),
    ("inet", "10.0.0.1", "10.0.0.1"),
    ("inet", "10.0.0.1/24", "10.0.0.1/24"),
    ("inet", "2001:db8::1", "2001:db8::1"),
    ("character(5)", "ab", "ab   "),
    ("bpchar", "ab ", "ab "),
    ('"char"', "\\", "\\"),
    ("integer[]", "{1,NULL,-3}", "[1,null,-3]"),
    ("integer[]", "{}", "[]"),
    ("bigint[]", "{9223372036854775807}", "[9223372036854775807]"),
    ("integer[]", "{{1,2},{3,NULL}}", "[[1,2],[3,null]]"),
    ("text[]", '{NULL,"NULL","","a\\"b\\\\"}', '[null,"NULL","","a\\"b\\\\"]'),
    ("numeric[]", "{1.10,NaN,1e-30,NULL}", '["1.10","NaN","0.000000000000000000000000000001",null]'),
    ("bytea[]", '{"\\\\x00ff",NULL}', '["\\\\x00ff",null]'),
    ("double precision[]", "{NaN,Infinity,-0,0.1}", '["NaN","Infinity",-0,0.1]'),
    ("boolean[]", "{t,f,NULL}", "[true,false,null]"),
    ("timestamptz[]", '{"2024-01-01 00:00:00+01",infinity}', '["2023-12-31 23:00:00+00","infinity"]'),
    ("date[]", '{"0044-03-15 BC"}', '["0044-03-15 BC"]'),
    ("jsonb[]", '{"[1, 2]","\\"a\\""}', '["[1, 2]","\\"a\\""]'),
    ("inet[]", "{10.0.0.1,10.0.0.1/8}", '["10.0.0.1","10.0.0.1/8"]'),
    ("character(3)[]", "{a,NULL}", '["a  ",null]'),
    ("uuid[]", "{00000000-0000-0000-0000-000000000001}", '["00000000-0000-0000-0000-000000000001"]'),
    ("box[]", "{(1,1),(0,0)}", '["(1,1),(0,0)"]'),
]


@pytest.mark.parametrize(("kind", "text", "expected"), SPECIAL)
def test_values_that_print_another_way(
    postgres: PostgresEndpoint, postgres_database: str, kind: str, text: str, expected: Any
) -> None:
    """pg-infinity, pg-arrays, pg-inet, pg-char-padded"""
    value = "'" + text.replace("'", "''") + "'"
    postgres.execute(f"CREATE TABLE t (v {kind}); INSERT INTO t VALUES ({value})", database=postgres_database)
    with source(postgres, postgres_database) as opened:
        read = planned(opened, "t")
        assert _values(rows_of(opened, read).column("v")) == [expected]
    if read.columns[0].image is Image.JSON:
        json.loads(expected)
        assert read.columns[0].source.type.kind is Kind.ARRAY


def test_a_byte_that_is_no_character_is_printed_in_octal(
    postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """pg-char-octal"""
    postgres.execute('CREATE TABLE t AS SELECT (-1)::integer::"char" AS v', database=postgres_database)
    with source(postgres, postgres_database) as opened:
        assert rows_of(opened, planned(opened, "t")).column("v").to_pylist() == ["\\377"]


def test_arrays_that_do_not_begin_at_one_are_noted(
    postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """pg-array-bounds"""
    postgres.execute(
        "CREATE TABLE t (a int[], b text[]);"
        " INSERT INTO t VALUES ('[2:3]={1,2}', '{a}'), ('[1:1][0:1]={{1,2}}', NULL), ('{}', '{}')",
        database=postgres_database,
    )
    with source(postgres, postgres_database) as opened:
        _, notes = opened.plan_read(table_of(opened, "t"), Policies())
    assert [(n.severity, n.slug, n.column, n.count) for n in notes] == [
        (Severity.WARNING, "array-bounds", "a", 2)
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("timestamp", "294247-01-10 04:00:54.775807"), ("timestamptz", "294276-12-31 23:59:59.999999+00")],
)
def test_moments_beyond_microseconds_are_refused_by_name(
    postgres: PostgresEndpoint, postgres_database: str, kind: str, value: str
) -> None:
    """pg-moment-range"""
    postgres.execute(
        f"CREATE TABLE t (k text PRIMARY KEY, v {kind}); INSERT INTO t VALUES ('a', now()), ('b', '{value}')",
        database=postgres_database,
    )
    with source(postgres, postgres_database) as opened:
        read = planned(opened, "t")
        with pytest.raises(EngineError) as failure:
            rows_of(opened, read)
    assert failure.value.code is Code.VALUE_NOT_REPRESENTABLE
    assert failure.value.details["column"] == "v"
    assert failure.value.details["key"] == {"k": "b"}
    assert failure.value.details["value"] == value.removesuffix("+00")


def test_types_of_extensions(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """pg-extension-types"""
    postgres.execute(
        'CREATE SCHEMA "Ext"; CREATE EXTENSION citext SCHEMA "Ext"; CREATE EXTENSION hstore SCHEMA "Ext";'
        ' CREATE EXTENSION ltree SCHEMA "Ext"; SET search_path = public, "Ext";'
        " CREATE TABLE t (c citext PRIMARY KEY, h hstore, l ltree, a citext[]);"
        " INSERT INTO t VALUES ('Ab', 'a=>1, b=>NULL', 'top.low', '{X,NULL}'), ('b', NULL, NULL, NULL)",
        database=postgres_database,
    )
    with source(postgres, postgres_database) as opened:
        read = planned(opened, "t", filters=[{"column": "c", "operator": "=", "value": "aB"}])
        assert [column.source.native_type for column in read.columns] == [
            '"Ext".citext',
            '"Ext".hstore',
            '"Ext".ltree',
            '"Ext".citext[]',
        ]
        assert read.key == ()
        assert rows_of(opened, read).to_pylist() == [
            {"c": "Ab", "h": '"a"=>"1", "b"=>NULL', "l": "top.low", "a": '["X",null]'}
        ]
        like = planned(opened, "t", filters=[{"column": "c", "operator": "like", "value": "B%"}])
        assert rows_of(opened, like).column("c").to_pylist() == ["b"]
