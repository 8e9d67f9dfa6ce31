"""Every type of every server into every format, by the server's own printing and by DuckDB's reading."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from tests.integration import file_targets as files
from tests.running import finish

pytestmark = pytest.mark.integration
FORMATS = [
    ("parquet", "none"),
    ("parquet", "snappy"),
    ("parquet", "gzip"),
    ("parquet", "zstd"),
    *((text, compression) for text in ("csv", "json", "jsonl") for compression in ("none", "gzip", "zstd")),
]


def exactly(value: Any) -> Any:
    return value


def number(value: Any) -> Any:
    return None if value is None else float(value)


def parsed(value: Any) -> Any:
    return None if value is None else json.loads(value)


def singles(value: Any) -> Any:
    return None if value is None else pa.array(json.loads(value), pa.float32()).to_pylist()


@dataclass(frozen=True, slots=True)
class Case:
    """server: what prints the column `c`. The others are DuckDB's expressions over it. same: what both
    prints are put through before they are compared."""

    type: str
    values: tuple[str, ...]
    server: str = "CAST({} AS CHAR)"
    parquet: str = "{}::VARCHAR"
    csv: str = "{}"
    json: str = "{}"
    same: Callable[[Any], Any] = exactly
    kinds: tuple[str, ...] = ("mariadb", "mysql")
    arrow: pa.DataType | None = None

    def duck(self, file_format: str) -> str:
        return {"parquet": self.parquet, "csv": self.csv}.get(file_format, self.json)


def octets(type_: str, *values: str, kinds: tuple[str, ...] = ("mariadb", "mysql")) -> Case:
    return Case(
        type_, values, "HEX({})", "hex({})", "hex(from_base64({}))", "hex(from_base64({}))", kinds=kinds
    )


def words(type_: str, *values: str, convert: bool = True) -> Case:
    server = "HEX(CONVERT({} USING utf8mb4))" if convert else "HEX({})"
    return Case(type_, values, server, "hex({})", "hex({})", "hex({})")


_FORMATTED = "DATE_FORMAT({}, '%%Y-%%m-%%d %%T.%%f')"
MICROS = "CAST(UNIX_TIMESTAMP({}) * 1000000 AS SIGNED)"
_HARD = ("'é😀\\'\"\\\\,;\\r\\n\\t'", "''", "'a\\0b'", "' x '", "'NULL'", "'\\\\N'", "'\x01\x1f\x7f'")
MYSQL: dict[str, Case] = {
    "i8": Case("tinyint", ("-128", "127"), arrow=pa.int8()),
    "u8": Case("tinyint unsigned", ("0", "255"), arrow=pa.uint8()),
    "flag": Case("tinyint(1)", ("0", "1", "-128")),
    "i16": Case("smallint", ("-32768", "32767"), arrow=pa.int16()),
    "u24": Case("mediumint unsigned", ("0", "16777215"), arrow=pa.uint32()),
    "i32": Case("int", ("-2147483648", "2147483647"), arrow=pa.int32()),
    "i64": Case("bigint", ("-9223372036854775808", "9223372036854775807"), arrow=pa.int64()),
    "u64": Case("bigint unsigned", ("0", "18446744073709551615"), arrow=pa.uint64()),
    "d5": Case("decimal(5,2)", ("-999.99", "0", "0.10"), arrow=pa.decimal128(5, 2)),
    "d38": Case("decimal(38,10)", ("-9999999999999999999999999999.9999999999", "0.0000000001")),
    "d65": Case(
        "decimal(65,30)", ("-99999999999999999999999999999999999.000000000000000000000000000001", "1")
    ),
    "f": Case(
        "float",
        ("16777216", "-3.40282e38", "1e-38", "0"),
        "CAST({} AS DOUBLE)",
        "{}::DOUBLE::VARCHAR",
        "{}::FLOAT::DOUBLE",
        "{}::FLOAT::DOUBLE",
        number,
    ),
    "d": Case("double", ("0.1", "1.7976931348623157e308", "5e-324", "1e20", "-0e0"), same=number),
    "b1": Case("bit(1)", ("b'0'", "b'1'"), "BIN({} + 0)"),
    "b13": Case("bit(13)", ("b'1'", "b'1000000000001'"), "LPAD(BIN({} + 0), 13, '0')"),
    "b64": Case("bit(64)", ("b'0'", "0xFFFFFFFFFFFFFFFF"), "LPAD(BIN({} + 0), 64, '0')"),
    "y": Case("year", ("1901", "2155", "0"), "{} + 0"),
    "dt": Case("date", ("'1000-01-01'", "'9999-12-31'", "'0001-01-01'"), arrow=pa.date32()),
    "at": Case(
        "datetime(6)",
        ("'1000-01-01 00:00:00'", "'9999-12-31 23:59:59.999999'"),
        _FORMATTED,
        "strftime({}, '%Y-%m-%d %H:%M:%S.%f')",
        "{}",
        "replace({}, 'T', ' ')",
        arrow=pa.timestamp("us"),
    ),
    "at0": Case(
        "datetime",
        ("'2024-02-29 01:02:03'",),
        _FORMATTED,
        "strftime({}, '%Y-%m-%d %H:%M:%S.%f')",
        "{}",
        "replace({}, 'T', ' ')",
    ),
    "ts": Case(
        "timestamp(6) NULL",
        ("'1970-01-02 00:00:01.000001'", "'2038-01-18 03:14:07.999999'"),
        MICROS,
        "epoch_us({})",
        "epoch_us({}::TIMESTAMPTZ)",
        "epoch_us({}::TIMESTAMPTZ)",
        number,
        arrow=pa.timestamp("us", "UTC"),
    ),
    "tm": Case("time(6)", ("'-838:59:58.999999'", "'838:59:59'", "'00:00:00'", "'23:59:59.5'")),
    "tm0": Case("time", ("'-00:00:01'", "'24:00:00'")),
    "ch": words("char(20)", "'ab'", "''", "'é'"),
    "vc": words("varchar(50)", *_HARD),
    "l1": words("varchar(20) CHARACTER SET latin1", "'é€'", "''"),
    "tx": words("mediumtext", *_HARD),
    "bn": octets("binary(4)", "x'00ff'", "x'ffffffff'"),
    "vb": octets("varbinary(20)", "x''", "x'0001fe22'"),
    "bl": octets("longblob", "x''", "x'89504e470d0a1a0a'"),
    "en": words("enum('a','it''s','é😀','')", "'a'", "'it\\'s'", "'é😀'", "''"),
    "st": Case(
        "set('x','y z','\"')",
        ("''", "'x'", "'x,y z,\"'"),
        parquet="array_to_string({}, ',')",
        json="array_to_string({}::JSON::VARCHAR[], ',')",
    ),
    "js": Case("json", ('\'{"a": [1, 2.5, null, "é\\\\n"]}\'', "'\"x\"'", "'[]'"), same=parsed),
    "ge": Case(
        "geometry",
        ("ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')"),
        "HEX(ST_AsWKB({}))",
        "hex({})",
        "hex(from_base64({}))",
        "hex(from_base64({}))",
    ),
    "uu": Case("uuid", ("'00112233-4455-6677-8899-aabbccddeeff'",), kinds=("mariadb",)),
    "i4": Case("inet4", ("'1.2.3.4'", "'255.255.255.255'"), kinds=("mariadb",)),
    "i6": Case("inet6", ("'::1'", "'2001:db8::ff00:42:8329'"), kinds=("mariadb",)),
    "ve": Case(
        "vector(3)",
        ("STRING_TO_VECTOR('[1,-2.5,0.1]')",),
        "VECTOR_TO_STRING({})",
        "to_json({})::VARCHAR",
        same=singles,
        kinds=("mysql",),
    ),
}


def mysql_cases(server: MysqlEndpoint) -> dict[str, Case]:
    return {name: case for name, case in MYSQL.items() if server.kind in case.kinds}


@pytest.fixture(scope="module")
def mysql_types(source_server: MysqlEndpoint) -> str:
    """One table: as many rows as the longest case has values, the others NULL there, and a row of NULLs."""
    database = source_server.database()
    cases = mysql_cases(source_server)
    columns = ", ".join(f"{name} {case.type}" for name, case in cases.items())
    source_server.execute(
        f"CREATE TABLE m (id int PRIMARY KEY, {columns}) DEFAULT CHARSET utf8mb4", database=database
    )
    for row in range(max(len(case.values) for case in cases.values()) + 1):
        values = ", ".join(case.values[row] if row < len(case.values) else "NULL" for case in cases.values())
        source_server.execute(f"INSERT INTO m VALUES ({row}, {values})", database=database)
    return database


@pytest.mark.parametrize(("file_format", "compression"), FORMATS)
def test_every_mysql_type(
    source_server: MysqlEndpoint, mysql_types: str, tmp_path: Path, file_format: str, compression: str
) -> None:
    """slugs: file-types, file-text-types"""
    stream = files.job(
        source_server,
        mysql_types,
        files.files_connection(tmp_path),
        fileFormat=file_format,
        path="out",
        format={"compression": compression},
    )
    finish(stream)
    cases = mysql_cases(source_server)
    printed = ", ".join(case.server.format(f"`{name}`") for name, case in cases.items())
    want = source_server.query(f"SELECT {printed} FROM m ORDER BY id", (), database=mysql_types)
    select = ", ".join(case.duck(file_format).format(f'"{name}"') for name, case in cases.items())
    have = files.duck(tmp_path / "out", "m", select, "id::int")
    for at, (name, case) in enumerate(cases.items()):
        expected = [case.same(text(row[at])) for row in want]
        assert [case.same(text(row[at])) for row in have] == expected, name


def text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode()
    return None if value is None else str(value)


def test_parquet_types_as_pyarrow_sees_them(mariadb: MysqlEndpoint, tmp_path: Path) -> None:
    """slug: file-types"""
    database = mariadb.database()
    columns = {name: case for name, case in MYSQL.items() if case.arrow is not None}
    body = ", ".join(f"{name} {case.type}" for name, case in columns.items())
    mariadb.execute(f"CREATE TABLE m (id int PRIMARY KEY, {body}, u uuid)", database=database)
    finish(files.job(mariadb, database, files.files_connection(tmp_path), fileFormat="parquet"))
    schema = files.arrow(tmp_path, "m").schema
    assert {name: schema.field(name).type for name in columns} == {n: c.arrow for n, c in columns.items()}
    assert schema.field("u").type == pa.uuid()
    assert schema.field("u64").metadata[b"dbstreams.source_type"] == b"bigint(20) unsigned"
    assert files.duck(tmp_path, "m") == []
    mariadb.drop_database(database)


# ---------------------------------------------------------------- PostgreSQL


def pg(type_: str, *values: str, **how: Any) -> Case:
    return Case(type_, values, how.pop("server", "{}::text"), kinds=("postgresql",), **how)


_EPOCH = "(extract(epoch from {}) * 1000000)::bigint::text"
_BC = "replace({}::VARCHAR, '0044-03-15 (BC)', '-0043-03-15')"  # DuckDB's way, and ours
_PRINTED = "CASE WHEN {0} IS NOT NULL THEN format('%s', {0}) END"  # ::text always shows the mask
_MOMENT = "to_char({}, 'YYYY-MM-DD HH24:MI:SS.US')"
_DUCK_MOMENT = "strftime({}, '%Y-%m-%d %H:%M:%S.%f')"
POSTGRES: dict[str, Case] = {
    "bo": pg(
        "boolean",
        "true",
        "false",
    ),
    "i2": pg("smallint", "-32768", "32767"),
    "i4": pg("integer", "-2147483648"),
    "i8": pg("bigint", "-9223372036854775808", "9223372036854775807"),
    "n": pg("numeric(20,5)", "-123456789012345.67891", "0"),
    "nu": pg("numeric", "1e-30", "123456789012345678901234567890.000", "'NaN'", "'Infinity'", "'-Infinity'"),
    "f4": pg("real", "0.1", "'NaN'", "'-Infinity'", same=number),
    "f8": pg("double precision", "0.1", "'NaN'", "'Infinity'", "-0.0", same=number),
    "t": pg(
        "text",
        "'é😀''\"\\,'",
        "''",
        "E'a\\nb\\tc'",
        server="upper(encode(convert_to({}, 'UTF8'), 'hex'))",
        parquet="hex({})",
        csv="hex({})",
        json="hex({})",
    ),
    "by": pg(
        "bytea",
        "'\\x00ff'",
        "''",
        server="upper(encode({}, 'hex'))",
        parquet="hex({})",
        csv="hex(from_base64({}))",
        json="hex(from_base64({}))",
    ),
    "da": pg("date", "'2024-02-29'", "'0001-01-01'"),
    "bc": pg("date", "'0044-03-15 BC'", server="'-0043-03-15'", parquet=_BC),
    "fa": pg("date", "'12345-03-15'"),
    "ti": pg(
        "timestamp",
        "'2024-01-01 12:00:00.123456'",
        "'0001-01-01'",
        server=_MOMENT,
        parquet=_DUCK_MOMENT,
        json="replace({}, 'T', ' ')",
    ),
    "tz": pg(
        "timestamptz",
        "'2024-01-01 12:00:00.5+02'",
        "'1970-01-01Z'",
        server=_EPOCH,
        parquet="epoch_us({})",
        csv="epoch_us({}::TIMESTAMPTZ)",
        json="epoch_us({}::TIMESTAMPTZ)",
    ),
    "td": pg(
        "time",
        "'23:59:59.999999'",
        "'24:00:00'",
        "'00:00:00'",
        server="to_char({}::interval, 'HH24:MI:SS.US')",
    ),
    "tt": pg("timetz", "'23:59:59.5+05:30'"),
    "iv": pg(
        "interval",
        "'1 year 2 mons -3 days 04:05:06.789'",
        "'-00:00:01'",
        "'0'",
        server="(extract(year from {0}) * 12 + extract(month from {0}))::int || '/' ||"
        " extract(day from {0})::int || '/' ||"
        " (extract(epoch from {0} - date_trunc('day', {0}))*1000000)::bigint",
        parquet="{0}.months || '/' || {0}.days || '/' || {0}.microseconds",
        csv="regexp_extract({0}, 'P(.*)M', 1) || '/' || regexp_extract({0}, 'M(.*)DT', 1) || '/' ||"
        " (regexp_extract({0}, 'DT(.*)S', 1)::DECIMAL(30,6) * 1000000)::BIGINT",
        json="regexp_extract({0}, 'P(.*)M', 1) || '/' || regexp_extract({0}, 'M(.*)DT', 1) || '/' ||"
        " (regexp_extract({0}, 'DT(.*)S', 1)::DECIMAL(30,6) * 1000000)::BIGINT",
    ),
    "uu": pg("uuid", "'00112233-4455-6677-8899-aabbccddeeff'"),
    "js": pg("json", '\'{"b": 1,  "a": [null, "é"]}\'', same=parsed),
    "jb": pg("jsonb", '\'{"b": 1,  "a": [null, 2.5]}\'', "'[]'", same=parsed),
    "inet_": pg("inet", "'1.2.3.4/24'", "'::1'", "'10.0.0.1'", server=_PRINTED),
    "ci": pg("cidr", "'10.0.0.0/8'"),
    "ma": pg("macaddr", "'08:00:2b:01:02:03'"),
    "ai": pg("integer[]", "'{1,NULL,3}'", "'{}'", "'{{1,2},{3,4}}'", server="to_json({})::text", same=parsed),
    "at": pg("text[]", '\'{"a,b",NULL,"NULL",""}\'', server="to_json({})::text", same=parsed),
    "bt": pg("bit(5)", "B'10101'"),
    "vb": pg("bit varying(20)", "B'101'", "B''"),
    "ra": pg("int4range", "'[1,5)'"),
    "xm": pg("xml", "'<a>é</a>'"),
    "pt": pg("point", "'(1,2.5)'"),
    "en": pg("mood", "'sad'", "'it''s'"),
}


@pytest.fixture(scope="module")
def postgres_types(postgres: PostgresEndpoint) -> str:
    database = postgres.database()
    columns = ", ".join(f"{name} {case.type}" for name, case in POSTGRES.items())
    postgres.execute(
        f"CREATE TYPE mood AS ENUM ('sad', 'it''s'); CREATE TABLE m (id integer PRIMARY KEY, {columns})",
        database=database,
    )
    for row in range(max(len(case.values) for case in POSTGRES.values()) + 1):
        values = ", ".join(
            case.values[row] if row < len(case.values) else "NULL" for case in POSTGRES.values()
        )
        postgres.execute(f"INSERT INTO m VALUES ({row}, {values})", database=database)
    return database


@pytest.mark.parametrize(
    ("file_format", "compression"),
    [("parquet", "zstd"), ("csv", "none"), ("json", "gzip"), ("jsonl", "zstd")],
)
def test_every_postgresql_type(
    postgres: PostgresEndpoint, postgres_types: str, tmp_path: Path, file_format: str, compression: str
) -> None:
    """slugs: file-types, file-text-types"""
    finish(
        files.job(
            postgres,
            postgres_types,
            files.files_connection(tmp_path),
            fileFormat=file_format,
            path="out",
            format={"compression": compression},
        )
    )
    printed = ", ".join(case.server.format(f'"{name}"') for name, case in POSTGRES.items())
    want = postgres.query(f"SELECT {printed} FROM m ORDER BY id", database=postgres_types)
    select = ", ".join(case.duck(file_format).format(f'"{name}"') for name, case in POSTGRES.items())
    have = files.duck(tmp_path / "out", "m", select, "id::int")
    for at, (name, case) in enumerate(POSTGRES.items()):
        expected = [str(case.same(text(row[at]))) for row in want]
        found = [str(case.same(text(row[at]))) for row in have]
        if name == "bc":
            expected[1:] = ["None"] * (len(expected) - 1)
        assert found == expected, name
