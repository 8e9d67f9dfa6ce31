"""Every type × edge values: the same value on both servers is equal, the nearest other value is not.

Each case: column type on the source, pairs of literals (source, target) of equal values, and a literal of the
target that differs from the first of them in the least way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import Policies
from engine.types import Image
from tests.integration.verify_ends import Ends

pytestmark = pytest.mark.integration

UTF8 = "CHARACTER SET utf8mb4"
Values = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Case:
    type: str
    values: Values
    other: str  # of the target, for the first value
    only: str | None = None  # flavor


def same(*literals: str) -> Values:
    return tuple((literal, literal) for literal in literals)


CASES = {
    "tinyint": Case("tinyint", same("-128", "127", "0"), "-127"),
    "tinyint_1": Case("tinyint(1)", same("2", "-1", "127"), "1"),
    "tinyint_unsigned": Case("tinyint unsigned", same("255", "0"), "254"),
    "smallint": Case("smallint", same("-32768", "32767"), "-32767"),
    "smallint_unsigned": Case("smallint unsigned", same("65535"), "65534"),
    "mediumint": Case("mediumint", same("-8388608", "8388607"), "0"),
    "mediumint_unsigned": Case("mediumint unsigned", same("16777215"), "0"),
    "int": Case("int", same("-2147483648", "2147483647"), "0"),
    "int_unsigned": Case("int unsigned", same("4294967295"), "4294967294"),
    "int_zerofill": Case("int(7) zerofill", same("42", "0"), "43"),
    "bigint": Case("bigint", same("-9223372036854775808", "9223372036854775807"), "-9223372036854775807"),
    "bigint_unsigned": Case("bigint unsigned", same("18446744073709551615", "0"), "18446744073709551614"),
    "decimal": Case("decimal(10,2)", same("-0.05", "12345678.90", "0", "-99999999.99"), "-0.04"),
    "decimal_0": Case("decimal(5,0)", same("-99999", "0"), "99999"),
    "decimal_65_30": Case(
        "decimal(65,30)",
        same("-" + "9" * 35 + "." + "9" * 30, "0." + "0" * 29 + "1", "1"),
        "-" + "9" * 35 + "." + "9" * 29 + "8",
    ),
    "decimal_zerofill": Case("decimal(8,2) zerofill", same("1.5", "0"), "1.51"),
    "float": Case(
        "float",
        (("16777216", "16777216"), ("3.4028234e38", "3.4028235e38"), ("1e-45", "1e-45"), ("0.1", "0.1")),
        "16777214",
    ),
    "double": Case(
        "double",
        same(
            "0.1",
            "1e23",
            "-1.2761724801771812e-23",
            "1.7976931348623157e308",
            "5e-324",
            "-2.2250738585072014e-308",
            "123456.789",
        ),
        "0.10000000000000002",
    ),
    "bit_1": Case("bit(1)", (("b'1'", "B'1'"), ("b'0'", "B'0'")), "B'0'"),
    "bit_5": Case("bit(5)", (("b'101'", "B'00101'"),), "B'10100'"),
    "bit_64": Case(
        "bit(64)", (("18446744073709551615", f"B'{'1' * 64}'"), ("1", f"B'{'0' * 63}1'")), f"B'0{'1' * 63}'"
    ),
    "year": Case("year", same("2155", "0", "1901", "2000"), "2154"),
    "date": Case(
        "date",
        (*same("'2024-02-29'", "'0001-01-01'", "'9999-12-31'"),),
        "'2024-02-28'",
    ),
    "datetime": Case(
        "datetime",
        (("'2024-03-31 02:30:00'", "'2024-03-31 02:30:00'"), ("'1000-01-01'", "'1000-01-01'")),
        "'2024-03-31 02:30:01'",
    ),
    "datetime_6": Case(
        "datetime(6)",
        same("'9999-12-31 23:59:59.999999'", "'1000-01-01 00:00:00.000001'", "'2024-01-01 10:20:30.500000'"),
        "'9999-12-31 23:59:59.999998'",
    ),
    "datetime_3": Case(
        "datetime(3)", same("'2024-01-01 10:20:30.120'", "'2024-01-01 10:00:00'"), "'2024-01-01 10:20:30.121'"
    ),
    "timestamp": Case(
        "timestamp NULL",
        (
            ("'2024-10-27 01:30:00'", "'2024-10-27 01:30:00+00'"),
            ("'2038-01-19 03:14:07'", "'2038-01-19 03:14:07+00'"),
        ),
        "'2024-10-27 01:30:00+01'",
    ),
    "timestamp_6": Case(
        "timestamp(6) NULL",
        (("'1970-01-01 00:00:01.000001'", "'1970-01-01 00:00:01.000001+00'"),),
        "'1970-01-01 00:00:01.000002+00'",
    ),
    "time": Case("time", same("'-838:59:59'", "'838:59:59'", "'00:00:00'", "'24:00:00'"), "'-838:59:58'"),
    "time_6": Case(
        "time(6)", same("'-00:00:00.500000'", "'12:34:56.789012'", "'-838:59:59'"), "'00:00:00.5'"
    ),
    "char": Case(f"char(10) {UTF8}", same("'ab'", "''", "'日本語🦆'"), "'ab '"),
    "varchar": Case(f"varchar(20) {UTF8}", same("' a|1:~ '", "''", "'🦆🦆'", "'ß'"), "' a|1:~'"),
    "varchar_wide": Case(f"varchar(2000) {UTF8}", same(f"'{'é' * 1999}'", "''", "'a '"), f"'{'é' * 1998}'"),
    "text": Case(f"text {UTF8}", same("'~'", "''", "'a\t\n'", f"'{'x' * 5000}'"), "NULL"),
    "longtext": Case(f"longtext {UTF8}", same("'Straße'", "''"), "'STRASSE'"),
    "utf8mb3": Case("varchar(10) CHARACTER SET utf8mb3", same("'añ€'"), "'an€'"),
    "ascii": Case("varchar(10) CHARACTER SET ascii", same("'abc'"), "'abd'"),
    "latin1": Case(
        "varchar(10) CHARACTER SET latin1",
        (("X'80E9FF'", "'€éÿ'"), ("X'8D'", "U&'\\008D'"), ("'plain'", "'plain'")),
        "U&'\\0080éÿ'",
    ),
    "latin1_text": Case("text CHARACTER SET latin1", (("X'DF'", "'ß'"),), "'ss'"),
    "latin2": Case("varchar(10) CHARACTER SET latin2", (("X'B1'", "'ą'"),), "'a'"),
    "cp1251": Case("varchar(10) CHARACTER SET cp1251", (("X'DFFF'", "'Яя'"),), "'яЯ'"),
    "sjis": Case(
        "varchar(20) CHARACTER SET sjis",
        (
            ("X'93FA967B'", "'日本'"),
            ("X'8160'", "U&'\\301C'"),
            ("X'815F'", "'\\'"),
            ("'a?'", "'a?'"),
            ("''", "''"),
        ),
        "'日本 '",
    ),
    "cp932": Case("varchar(20) CHARACTER SET cp932", (("X'8740'", "'①'"),), "'?'"),
    "gbk": Case("text CHARACTER SET gbk", (("X'C4E3BAC3'", "'你好'"),), "'你'"),
    "ucs2": Case("varchar(10) CHARACTER SET ucs2", (("'é€'", "'é€'"),), "'é'"),
    "utf16": Case("varchar(10) CHARACTER SET utf16", (("'🦆'", "'🦆'"),), "'🦉'"),
    "binary": Case("binary(4)", (("X'ff'", "'\\xff000000'"), ("X''", "'\\x00000000'")), "'\\xff'"),
    "varbinary": Case("varbinary(20)", (("X'00ff00'", "'\\x00ff00'"), ("X''", "'\\x'")), "'\\x00ff'"),
    "varbinary_wide": Case(
        "varbinary(500)",
        (("REPEAT(X'00', 500)", "decode(repeat('00', 500), 'hex')"),),
        "decode(repeat('00', 499), 'hex')",
    ),
    "blob": Case("blob", (("X'00'", "'\\x00'"), ("X''", "'\\x'"), ("'~'", "'~'::bytea")), "'\\x0000'"),
    "longblob": Case(
        "longblob",
        (("REPEAT(X'ab', 100000)", "decode(repeat('ab', 100000), 'hex')"),),
        "decode(repeat('ab', 99999) || 'ac', 'hex')",
    ),
    "enum": Case(
        f"enum('b','a','','it''s') {UTF8}", (("'a'", "'a'"), ("''", "''"), ("'it''s'", "'it''s'")), "'b'"
    ),
    "set": Case(
        f"set('c','a','') {UTF8}",
        (("'a,c'", "ARRAY['c','a']"), ("0", "'{}'"), ("4", "ARRAY['']"), ("3", "ARRAY['c','a']")),
        "ARRAY['a','c']",
    ),
    "set_empty": Case(f"set('','x') {UTF8}", (("0", "'{}'"), ("1", "ARRAY['']")), "ARRAY['']"),
    "set_64": Case(
        "set(" + ",".join(f"'m{number}'" for number in range(64)) + ")",
        (("9223372036854775809", "ARRAY['m0','m63']"),),
        "ARRAY['m63']",
    ),
    "json": Case(
        "json",
        (
            ("""'{"b": [1, {"x": 1.5}], "a": "é🦆"}'""", """'{"b": [1, {"x": 1.5}], "a": "é🦆"}'"""),
            ("'null'", "'null'"),
            ("""'[1e2, -0.25, true, ""]'""", "'[1e2, -0.25, true, \"\"]'"),
            ("'18446744073709551615'", "'18446744073709551615'"),
        ),
        """'{"b": [1, {"x": 1.6}], "a": "é🦆"}'""",
    ),
    "point": Case(
        "point",
        (("ST_GeomFromText('POINT(1 2)')", "'\\x0101000000000000000000f03f0000000000000040'"),),
        "'\\x01010000000000000000000040000000000000f03f'",
    ),
    "geometry_srid": Case(
        "geometry",
        (
            (
                "ST_GeomFromText('POINT(1 2)', 3857)",
                "'\\x0101000020110f0000000000000000f03f0000000000000040'",
            ),
            (
                "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2))')",
                "'\\x0107000000010000000101000000000000000000f03f0000000000000040'",
            ),
        ),
        "'\\x0101000000000000000000f03f0000000000000040'",
    ),
    "uuid": Case(
        "uuid",
        same("'00112233-4455-6677-8899-aabbccddeeff'"),
        "'00112233-4455-6677-8899-aabbccddeefe'",
        "mariadb",
    ),
    "inet4": Case("inet4", same("'255.0.0.1'"), "'255.0.0.2'", "mariadb"),
    "inet6": Case(
        "inet6", same("'::'", "'2001:db8::1'", "'::ffff:1.2.3.4'", "'1:0:2:0:0:0:3:4'"), "'::1'", "mariadb"
    ),
    "vector": Case(
        "vector(3)",
        (("STRING_TO_VECTOR('[1,-0.5,0.1]')", "'{1,-0.5,0.1}'"),),
        "'{1,-0.5,0.10000001}'",
        "mysql",
    ),
    "json_text": Case(
        "json",
        (('\'{"a": 1,  "a": 1e400}\'', '\'{"a": 1,  "a": 1e400}\''),),
        '\'{"a": 1, "a": 1e400}\'',
        "mariadb",
    ),
}


@pytest.fixture
def ends(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> Ends:
    return Ends(source_server, source_database, postgres, postgres_database)


def compare(ends: Ends, cases: dict[str, Case], policies: Policies | None = None) -> None:
    cases = {name: case for name, case in cases.items() if case.only in (None, ends.info.flavor)}
    pairs = ends.tables(
        [f"CREATE TABLE c_{name} (id int PRIMARY KEY, v {case.type})" for name, case in cases.items()],
        policies,
    )
    for name, case in cases.items():
        rows = [*case.values, ("NULL", "NULL")]
        for side, insert in ((0, ends.on_source), (1, ends.on_target)):
            values = ", ".join(f"({number}, {row[side]})" for number, row in enumerate(rows))
            insert(f"INSERT INTO c_{name} VALUES {values}")
    verdicts = ends.verify_all(pairs, policies)
    assert [v.table + str(v.differences) for v in verdicts if not v.equal] == []
    assert [v.rows_source for v in verdicts] == [len(case.values) + 1 for case in cases.values()]
    for name, case in cases.items():
        ends.on_target(f"UPDATE c_{name} SET v = {case.other} WHERE id = 0")
    expected = ({"kind": "different", "key": {"id": 0}, "columns": ["v"]},)
    verdicts = ends.verify_all(pairs, policies)
    assert [v.table for v in verdicts if v.equal or v.differences != expected] == []


def test_equal_values_are_equal_and_the_nearest_other_is_not(ends: Ends) -> None:
    """slug: verify-numbers, verify-times, verify-charset"""
    compare(ends, CASES)


POLICIES: dict[str, tuple[dict[str, str], dict[str, Case]]] = {
    "zeroDate null": (
        {"zero_date": "null"},
        {
            "date": Case(
                "date",
                (
                    *same("'2024-01-01'"),
                    *((literal, "NULL") for literal in ("'0000-00-00'", "'2024-00-10'", "'2024-02-00'")),
                    ("'2023-02-29'", "NULL"),
                    ("'0000-02-29'", "NULL"),
                    ("'0000-05-05'", "NULL"),
                ),
                "NULL",
            ),
            "datetime": Case(
                "datetime(3)", (("'2024-02-30 10:00:00'", "NULL"), ("'0000-00-00'", "NULL")), "'-infinity'"
            ),
            "timestamp": Case("timestamp NULL", (("'0000-00-00'", "NULL"),), "'epoch'"),
        },
    ),
    "zeroDate sentinel": (
        {"zero_date": "sentinel"},
        {
            "date": Case("date", (("'0000-00-00'", "'-infinity'"), ("'2024-02-30'", "'-infinity'")), "NULL"),
            "datetime": Case("datetime", (("'0000-00-00'", "'-infinity'"),), "'infinity'"),
            "timestamp": Case("timestamp(6) NULL", (("'0000-00-00'", "'-infinity'"),), "NULL"),
        },
    ),
    "nulByte strip": (
        {"nul_byte": "strip"},
        {
            "text": Case(
                f"text {UTF8}", (("CONCAT('a', CHAR(0), 'b', CHAR(0))", "'ab'"), ("'x'", "'x'")), "'a b'"
            ),
            "latin1": Case("varchar(9) CHARACTER SET latin1", (("X'E900'", "'é'"),), "'e'"),
            "sjis": Case("varchar(9) CHARACTER SET sjis", (("X'0093FA00'", "'日'"),), "'1'"),
        },
    ),
    "nulByte replace": (
        {"nul_byte": "replace"},
        {
            "char": Case(f"char(9) {UTF8}", (("CONCAT('a', CHAR(0), 'b')", "U&'a\\FFFDb'"),), "'ab'"),
            "sjis": Case("text CHARACTER SET sjis", (("X'0093FA'", "U&'\\FFFD' || '日'"),), "'日'"),
        },
    ),
    "enum text, set text": (
        {"enum": "text", "set": "text"},
        {
            "enum": Case("enum('b','a')", (("'a'", "'a'"),), "'b'"),
            "set": Case("set('c','a')", (("'a,c'", "'c,a'"), ("0", "''")), "'a,c'"),
        },
    ),
    "invalidText replace": (
        {"invalid_text": "replace"},
        {"sjis": Case("varchar(9) CHARACTER SET sjis", (("X'61874062'", "'a?b'"), ("'?'", "'?'")), "'a①b'")},
    ),
    "json jsonb": (
        {"json_": "jsonb"},
        {
            "json": Case(
                "json",
                (("""'{"b":1.50, "a":[1e2,-0.0,null]}'""", """'{"a": [100, 0, null], "b": 1.5}'"""),),
                """'{"a": [100, 0, null], "b": 1.5000000000000001}'""",
            ),
            "deep": Case(
                "json",
                (("""'[[[["x", {"y": [{"z": "1"}]}]]]]'""",) * 2,),
                """'[[[["x", {"y": [{"z": 1}]}]]]]'""",
            ),
            "duplicates": Case("json", (("""'{"a": 1, "a": 2}'""", """'{"a": 2}'"""),), """'{"a": 1}'"""),
        },
    ),
    "json text": (
        {"json_": "text"},
        {"json": Case("json", (("""'{"a": [1, 2]}'""",) * 2,), """'{"a": [1,2]}'""")},
    ),
    "time time": (
        {"time": "time"},
        {"time": Case("time(3)", same("'23:59:59.999'", "'24:00:00'"), "'23:59:59.998'")},
    ),
    "uuid char": (
        {"uuid": "char"},
        {
            "uuid": Case(
                "uuid",
                same("'00112233-4455-6677-8899-aabbccddeeff'"),
                "'00112233-4455-6677-8899-AABBCCDDEEFF'",
                "mariadb",
            )
        },
    ),
    "uuid binary": (
        {"uuid": "binary"},
        {
            "uuid": Case(
                "uuid",
                (("'00112233-4455-6677-8899-aabbccddeeff'", "'\\x00112233445566778899aabbccddeeff'"),),
                "'\\x00112233445566778899aabbccddeefe'",
                "mariadb",
            )
        },
    ),
}


@pytest.mark.parametrize("name", POLICIES)
def test_a_converted_value_equals_its_conversion(ends: Ends, name: str) -> None:
    """slug: verify-policy"""
    settings, cases = POLICIES[name]
    if all(case.only not in (None, ends.info.flavor) for case in cases.values()):
        return  # a type of the other server only
    compare(ends, cases, Policies(**settings))  # type: ignore[arg-type]


def test_refused_dates_on_the_source_are_differences(ends: Ends) -> None:
    """slug: verify-policy"""
    pair = ends.table("CREATE TABLE t (id int PRIMARY KEY, v date)")
    ends.on_source("INSERT INTO t VALUES (1, '0000-00-00'), (2, '2024-02-30')")
    ends.on_target("INSERT INTO t VALUES (1, NULL), (2, '-infinity')")
    verdict = ends.verify(pair)
    assert sorted(d["key"]["id"] for d in verdict.differences) == [1, 2]


def test_text_the_source_cannot_convert_is_a_difference(ends: Ends) -> None:
    """slug: verify-charset"""
    pair = ends.table("CREATE TABLE t (id int PRIMARY KEY, v varchar(9) CHARACTER SET sjis)")
    ends.on_source("INSERT INTO t VALUES (1, X'8740'), (2, '?'), (3, X'93FA')")
    ends.on_target("INSERT INTO t VALUES (1, '?'), (2, '?'), (3, '日')")
    assert [d["key"]["id"] for d in ends.verify(pair).differences] == [1]


def test_text_kept_as_its_bytes(ends: Ends) -> None:
    """slug: verify-charset"""
    policies = Policies(invalid_text="bytea")
    pair = ends.table("CREATE TABLE t (id int PRIMARY KEY, v varchar(9) CHARACTER SET sjis)")
    read, table = pair
    stored = replace(read.columns[1], image=Image.BYTES)
    column = replace(table.columns[1], type="bytea", base="bytea")
    ends.on_target("ALTER TABLE t ALTER v TYPE bytea USING NULL")
    ends.on_source("INSERT INTO t VALUES (1, X'8740'), (2, X'93FA')")
    ends.on_target("INSERT INTO t VALUES (1, '\\x8740'), (2, '\\x93fa')")
    pair = (
        replace(read, columns=(read.columns[0], stored)),
        replace(table, columns=(table.columns[0], column)),
    )
    assert ends.verify(pair, policies=policies).equal
    ends.on_target("UPDATE t SET v = '\\x8741' WHERE id = 1")
    assert [d["key"]["id"] for d in ends.verify(pair, policies=policies).differences] == [1]


def test_minus_zero_is_zero_only_where_the_source_cannot_keep_it(ends: Ends) -> None:
    """slug: verify-float"""
    pair = ends.table("CREATE TABLE t (id int PRIMARY KEY, v double)")
    ends.on_source("INSERT INTO t VALUES (1, 0)")
    ends.on_target("INSERT INTO t VALUES (1, '-0')")
    assert ends.verify(pair).equal is (ends.info.flavor == "mariadb")


def test_a_key_of_every_kind_names_its_row(ends: Ends) -> None:
    cases = {
        "varchar(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin": ("'a:b|c'", "a:b|c"),
        "varchar(300) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin": ("'long'", "long"),
        "varbinary(40)": ("'\\x00ff'", "00ff"),
        "decimal(20,3)": ("1.500", "1.500"),
        "datetime(3)": ("'2024-01-01 00:00:00.5'", "2024-01-01 00:00:00.5"),
        "bigint unsigned": ("18446744073709551615", 18446744073709551615),
        "double": ("0.1", 0.1),
        "varchar(20) CHARACTER SET sjis": ("'日本'", "日本"),
    }
    creates = [f"CREATE TABLE k_{n} (k {type_} PRIMARY KEY, v int)" for n, type_ in enumerate(cases)]
    pairs = ends.tables(creates)
    for number, (literal, _) in enumerate(cases.values()):
        ends.on_target(f"INSERT INTO k_{number} VALUES ({literal}, 1)")
    verdicts = ends.verify_all(pairs)
    expected = [({"kind": "extra", "key": {"k": shown}},) for _, shown in cases.values()]
    assert [verdict.differences for verdict in verdicts] == expected
