"""How columns are read and what the data is asked, on both servers (docs/policies/mysql-catalog.md)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from engine.config import Policies
from engine.connectors.base import ColumnFacts, Note, Severity, TableRead
from engine.connectors.mysql.source import MysqlSource
from engine.types import Image
from tests.integration.mysql_catalogs import is_mariadb, run, table

pytest_plugins = ["tests.integration.mysql_catalog_fixtures"]
pytestmark = pytest.mark.integration


def plan(source: MysqlSource, name: str = "t", **policies: Any) -> tuple[TableRead, tuple[Note, ...]]:
    return source.plan_read(table(source, name), Policies(**policies))


def rows(source: MysqlSource, read: TableRead, kind: Any = "native") -> list[dict[str, Any]]:
    reader = source.reader(kind)
    try:
        return pa.Table.from_batches(reader.read(read, None), read.arrow_schema).to_pylist()
    finally:
        reader.close()


CODEC = [
    ("tinyint", Image.INT, pa.int8(), True),
    ("tinyint(1)", Image.INT, pa.int8(), True),
    ("tinyint unsigned", Image.INT, pa.uint8(), True),
    ("smallint", Image.INT, pa.int16(), True),
    ("smallint unsigned", Image.INT, pa.uint16(), True),
    ("mediumint", Image.INT, pa.int32(), True),
    ("mediumint unsigned", Image.INT, pa.uint32(), True),
    ("int", Image.INT, pa.int32(), True),
    ("int unsigned", Image.INT, pa.uint32(), True),
    ("bigint", Image.INT, pa.int64(), True),
    ("bigint unsigned", Image.INT, pa.uint64(), True),
    ("float", Image.FLOAT, pa.float32(), True),
    ("double", Image.FLOAT, pa.float64(), True),
    ("decimal(65,30)", Image.DECIMAL, pa.string(), True),
    ("bit(64)", Image.BITS, pa.binary(), True),
    ("year", Image.INT, pa.int16(), True),
    ("date", Image.DATE, pa.date32(), True),
    ("datetime(6)", Image.TIMESTAMP, pa.timestamp("us"), True),
    ("timestamp NULL", Image.TIMESTAMPTZ, pa.timestamp("us", "UTC"), True),
    ("time(6)", Image.DURATION, pa.duration("us"), False),
    ("char(3)", Image.TEXT, pa.string(), True),
    ("varchar(9)", Image.TEXT, pa.string(), True),
    ("longtext", Image.TEXT, pa.large_string(), True),
    ("binary(4)", Image.BYTES, pa.binary(), True),
    ("varbinary(9)", Image.BYTES, pa.binary(), True),
    ("longblob", Image.BYTES, pa.large_binary(), True),
    ("enum('a','b')", Image.TEXT, pa.string(), True),
    ("enum('','b')", Image.TEXT, pa.string(), True),
    ("set('c','a')", Image.SET, pa.uint64(), True),
    ("geometry", Image.GEOMETRY, pa.large_binary(), False),
]


def test_codec(source: MysqlSource) -> None:
    """mysql-codec"""
    only = [("json", Image.JSON, pa.large_string(), is_mariadb(source))]
    if is_mariadb(source):
        only += [("uuid", Image.UUID, pa.binary(), False), ("inet4", Image.INET, pa.binary(), False)]
        only += [("inet6", Image.INET, pa.binary(), False)]
    else:
        only += [("vector(3)", Image.VECTOR, pa.binary(), False)]
    cases = [*CODEC, *only]
    run(source, f"CREATE TABLE t ({', '.join(f'c{n} {case[0]}' for n, case in enumerate(cases))})")
    read, notes = plan(source)
    assert notes == ()
    for column, (ddl, image, arrow, connectorx) in zip(read.columns, cases, strict=True):
        assert (column.image, column.arrow, column.connectorx is not None) == (image, arrow, connectorx), ddl
        assert column.source == read.table.column(column.name)
    assert rows(source, read) == []


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize("reader", ["native", "connectorx"])
def test_sets_of_64_labels(source: MysqlSource, reader: str) -> None:
    """mysql-set-mask: `s + 0` would go through a double on MySQL and lose the low labels."""
    labels = ",".join(f"'m{number}'" for number in range(64))
    masks = (0, 1, 1 << 63, (1 << 63) + 1, (1 << 53) + 1, (1 << 64) - 1)
    run(source, f"CREATE TABLE t (id int PRIMARY KEY, s set({labels}))")
    run(source, *(f"INSERT INTO t VALUES ({number}, {mask})" for number, mask in enumerate(masks)))
    read, _ = plan(source)
    assert [row["s"] for row in rows(source, read, reader)] == list(masks)


@pytest.mark.parametrize("reader", ["native", "connectorx"])
def test_invalid_enum_values(source: MysqlSource, reader: str) -> None:
    """mysql-enum-invalid"""
    run(
        source,
        "CREATE TABLE t (id int PRIMARY KEY, plain enum('a'), e enum('','index 0','a'), f enum('','a'))",
        "INSERT INTO t VALUES (1, 'a', '', ''), (2, 0, 0, 'a'), (3, NULL, NULL, NULL), (4, 0, 0, '')",
    )
    read, notes = plan(source)
    assert [row["plain"] for row in rows(source, read, reader)] == ["a", "", None, ""]
    assert [row["e"] for row in rows(source, read, reader)] == ["", "index 0'", None, "index 0'"]
    assert [row["f"] for row in rows(source, read, reader)] == ["", "a", None, ""]
    (note,) = notes
    assert (note.severity, note.slug, note.column, note.count) == (Severity.REFUSED, "enum-index-0", "e", 2)
    assert "UPDATE `t` SET `e` = ''" in note.message
    found = source.facts(read.table, Policies()).columns
    assert [found[name].empty_enum for name in ("plain", "e", "f")] == [2, 2, 0]


def test_labels_the_catalog_cannot_be_trusted_for(source: MysqlSource) -> None:
    """mysql-set-text: a label with '?' is read as text, which the target compares with the labels it has."""
    run(source, "CREATE TABLE t (id int, s set('a?','b'))", "INSERT INTO t VALUES (1, 3)")
    read, _ = plan(source)
    assert (read.columns[1].image, rows(source, read)) == (Image.SET_TEXT, [{"id": 1, "s": "a?,b"}])


# ---------------------------------------------------------------- booleans


@pytest.mark.parametrize(
    ("ddl", "values", "policy", "image"),
    [
        ("tinyint(1)", "(0), (1), (NULL)", "boolean", Image.BOOL),
        ("tinyint(1)", "(0), (1)", "smallint", Image.INT),
        ("tinyint(1)", "(2)", "boolean", Image.INT),
        ("tinyint(1)", "(-1)", "boolean", Image.INT),
        ("tinyint(1) unsigned", "(1)", "boolean", Image.INT),
        ("tinyint(4)", "(1)", "boolean", Image.INT),
    ],
)
def test_tinyint1(source: MysqlSource, ddl: str, values: str, policy: str, image: Image) -> None:
    """mysql-tinyint1"""
    run(source, f"CREATE TABLE t (b {ddl})", f"INSERT INTO t VALUES {values}")
    read, notes = plan(source, tinyint1=policy)
    assert (read.columns[0].image, notes) == (image, ())


def test_an_empty_flag_is_boolean(source: MysqlSource) -> None:
    run(source, "CREATE TABLE t (b tinyint(1))")
    assert plan(source, tinyint1="boolean")[0].columns[0].image is Image.BOOL


# ---------------------------------------------------------------- character sets

# charset, bytes, whether a character is lost on the way to utf8mb4
TEXTS = [
    ("sjis", "8740", True),
    ("sjis", "5C41", False),
    ("sjis", "88E6", False),
    ("sjis", "3F", False),
    ("cp1251", "98", True),
    ("cp1251", "FF3F", False),
    ("hebrew", "A1", True),
    ("greek", "FF", True),
    ("tis620", "DB", True),
    ("armscii8", "A4", False),
    ("gbk", "C4E3", False),
    ("big5", "A440", False),
    ("eucjpms", "B0A1", False),
    ("latin1", "80", False),
]


@pytest.mark.parametrize(
    ("policy", "severity", "image"),
    [
        ("refuse", Severity.REFUSED, Image.TEXT),
        ("replace", Severity.WARNING, Image.TEXT),
        ("bytea", Severity.WARNING, Image.BYTES),
    ],
)
def test_lossy_character_sets(source: MysqlSource, policy: str, severity: Severity, image: Image) -> None:
    """mysql-lossy-charset"""
    columns = ", ".join(f"c{n} varchar(9) CHARACTER SET {charset}" for n, (charset, _, _) in enumerate(TEXTS))
    run(source, f"CREATE TABLE t ({columns})", f"INSERT INTO t VALUES ({', '.join(['NULL'] * len(TEXTS))})")
    run(source, f"INSERT INTO t VALUES ({', '.join(f'_binary 0x{data}' for _, data, _ in TEXTS)})")
    read, notes = plan(source, invalid_text=policy)
    damaged = [f"c{number}" for number, (_, _, lost) in enumerate(TEXTS) if lost]
    assert [
        (note.column, note.slug, note.severity, note.count) for note in notes if note.slug == "lossy-charset"
    ] == [(name, "lossy-charset", severity, 1) for name in damaged]
    facts = source.facts(read.table, Policies(invalid_text=policy)).columns
    wanted = set(damaged) if policy == "bytea" else set()
    assert {name for name, fact in facts.items() if fact.lossy_text} == wanted
    assert {column.name: column.image for column in read.columns if column.name in damaged} == dict.fromkeys(
        damaged, image
    )
    if policy == "bytea":
        row = rows(source, read)[1]
        for number, (_, data, lost) in enumerate(TEXTS):
            assert not lost or row[f"c{number}"] == bytes.fromhex(data)


# ---------------------------------------------------------------- generated and invisible columns


def test_generated_and_invisible_columns(source: MysqlSource) -> None:
    """mysql-generated, mysql-invisible"""
    run(
        source,
        "CREATE TABLE t (a int, g int AS (a + 1) STORED, v int AS (a + 2) VIRTUAL, h int INVISIBLE)",
        "INSERT INTO t (a, h) VALUES (1, 9)",
    )
    found = table(source)
    names = {
        "recreate": [column.name for column in plan(source)[0].columns],
        "plain": [column.name for column in plan(source, generated="plain")[0].columns],
        "some": [
            column.name
            for column in source.plan_read(found, Policies(), plain_generated=frozenset({"v"}))[0].columns
        ],
    }
    assert names == {"recreate": ["a", "h"], "plain": ["a", "g", "v", "h"], "some": ["a", "v", "h"]}
    assert rows(source, plan(source, generated="plain")[0]) == [{"a": 1, "g": 2, "v": 3, "h": 9}]


# ---------------------------------------------------------------- keys and batches


@pytest.mark.parametrize(
    ("ddl", "key"),
    [
        ("a int PRIMARY KEY", ("a",)),
        ("a int, b varchar(9), PRIMARY KEY (b, a)", ("b", "a")),
        ("a varchar(40), PRIMARY KEY (a(10))", ()),
        ("a varchar(40), b int NOT NULL UNIQUE, PRIMARY KEY (a(10))", ("b",)),
        ("a int UNIQUE", ()),
        ("a int NOT NULL UNIQUE", ("a",)),
        ("a datetime(6) PRIMARY KEY", ("a",)),
        ("a timestamp(6) PRIMARY KEY", ("a",)),
        ("a time(6) PRIMARY KEY", ("a",)),
        ("a year PRIMARY KEY", ("a",)),
        ("a decimal(30,5) PRIMARY KEY", ("a",)),
        ("a varbinary(9) PRIMARY KEY", ("a",)),
        ("a float PRIMARY KEY", ()),
        ("a double PRIMARY KEY", ()),
        ("a enum('x') PRIMARY KEY", ()),
        ("a set('x') PRIMARY KEY", ()),
        ("a bit(9) PRIMARY KEY", ()),
        ("a int, b int AS (a) STORED UNIQUE", ()),
        ("a int", ()),
    ],
)
def test_range_keys(source: MysqlSource, ddl: str, key: tuple[str, ...]) -> None:
    """mysql-range-key"""
    run(source, f"CREATE TABLE t ({ddl})")
    assert plan(source)[0].key == key


def test_uuid_is_no_range_key(source: MysqlSource) -> None:
    """mysql-range-key: MariaDB orders uuid by its time bits, not as it is written."""
    if not is_mariadb(source):
        return  # MariaDB has it alone
    run(source, "CREATE TABLE t (u uuid PRIMARY KEY)")
    assert plan(source)[0].key == ()


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (
            "time(6)",
            ("-838:59:59.000000", "-00:00:00.000001", "00:00:00", "09:00:00", "100:00:00", "838:59:59"),
        ),
        ("timestamp(6)", ("1970-01-01 00:00:01", "1999-12-31 23:59:59.999999", "2038-01-19 03:14:07.999999")),
        ("year", ("0", "1901", "1970", "2000", "2155")),
        (
            "decimal(30,5)",
            ("-99999999999999999999.99999", "-1", "0", "9", "10", "99999999999999999999.99999"),
        ),
    ],
)
def test_ranges_of_these_keys_are_the_table(source: MysqlSource, type_: str, values: tuple[str, ...]) -> None:
    """mysql-range-key: chunks hold each row once and are in the order of the values."""
    run(source, f"CREATE TABLE t (k {type_} PRIMARY KEY, pad varchar(9))")
    literals = (value if type_ == "year" else f"'{value}'" for value in values)
    run(source, *(f"INSERT INTO t VALUES ({literal}, 'x')" for literal in literals))
    read, _ = plan(source)
    chunks = source.chunks(read, 1, 1)
    reader = source.reader("native")
    got = [row["k"] for chunk in chunks for b in reader.read(read, chunk.bounds) for row in b.to_pylist()]
    reader.close()
    assert len(got) == len(values)
    assert got == [row["k"] for row in rows(source, read)]


@pytest.mark.parametrize(("asked", "got"), [(None, 65_536), (10, 10), (1_000_000, 65_536)])
def test_batch_rows(source: MysqlSource, asked: int | None, got: int) -> None:
    """mysql-batches"""
    run(source, "CREATE TABLE t (a int)")
    assert source.plan_read(table(source), Policies(), max_rows=asked)[0].batch_rows == got


@pytest.mark.parametrize(
    ("ddl", "least", "most"),
    [
        ("a int", 4, 100),
        ("a varchar(1000)", 4_000, 4_100),
        ("a varbinary(1000)", 1_000, 1_100),
        ("a tinyblob", 255, 300),
        ("a longblob", 400_000, 1 << 22),
    ],
)
def test_widest_row(source: MysqlSource, ddl: str, least: int, most: int) -> None:
    """mysql-batches: declared lengths, and a look at a few rows where the declaration says nothing."""
    value = "repeat('x', 200000)" if "long" in ddl else "'1'"
    run(source, f"CREATE TABLE t ({ddl})", f"INSERT INTO t VALUES ({value})")
    widest = plan(source)[0].widest_row
    assert widest is not None
    assert least <= widest <= most


# ---------------------------------------------------------------- facts


@pytest.mark.parametrize(
    ("ddl", "values", "policies", "facts"),
    [
        ("c int", "(1)", {}, None),
        ("c tinyint(1)", "(0), (3)", {}, None),
        ("c tinyint(1)", "(0), (3)", {"tinyint1": "boolean"}, ColumnFacts(min=0, max=3)),
        (
            "c bigint unsigned PRIMARY KEY",
            "(7), (18446744073709551615)",
            {},
            ColumnFacts(min=7, max=2**64 - 1),
        ),
        ("c bigint unsigned", "(7)", {}, None),
        ("c date NOT NULL", "('0000-00-00')", {}, None),
        ("c date", "('0000-00-00')", {"zero_date": "null"}, None),
        (
            "c date NOT NULL",
            "('0000-00-00'), ('2024-00-10'), ('2024-02-00'), ('2024-02-30'), ('2023-02-29'), ('0000-01-01'),"
            " ('2024-02-29'), ('1000-01-01'), ('1900-02-28')",
            {"zero_date": "null"},
            ColumnFacts(zero_dates=6),
        ),
        (
            "c datetime(6) NOT NULL",
            "('0000-00-00'), ('2024-01-01')",
            {"zero_date": "null"},
            ColumnFacts(zero_dates=1),
        ),
        ("c date NOT NULL", "", {"zero_date": "null"}, ColumnFacts(zero_dates=0)),
        ("c enum('a')", "('a'), (0)", {}, ColumnFacts(empty_enum=1)),
        ("c varchar(700), KEY (c)", "('é'), (repeat('é', 600))", {}, ColumnFacts(max_octets=1200)),
        ("c varchar(700) CHARACTER SET latin1, KEY (c)", "(repeat('é', 9))", {}, ColumnFacts(max_octets=18)),
        ("c varchar(700), KEY (c(10))", "('x')", {}, None),
        ("c varchar(100), KEY (c)", "('x')", {}, None),
        ("c varbinary(3000), KEY (c)", "(x'ff00ff')", {}, ColumnFacts(max_octets=3)),
        ("c varchar(400), d varchar(300), KEY (d, c)", "('éé', '')", {}, ColumnFacts(max_octets=4)),
        ("c varchar(9) CHARACTER SET cp1251", "(_binary 0x98), ('a'), (NULL)", {}, None),
        (
            "c varchar(9) CHARACTER SET cp1251",
            "(_binary 0x98), ('a'), (NULL)",
            {"invalid_text": "bytea"},
            ColumnFacts(lossy_text=1),
        ),
        (
            "c varchar(9) CHARACTER SET utf16",
            "('a'), (CONCAT('a', CHAR(0 USING utf8mb4))), (NULL)",
            {"nul_byte": "bytea"},
            ColumnFacts(lossy_text=1),
        ),
    ],
)
def test_facts(
    source: MysqlSource, ddl: str, values: str, policies: dict[str, Any], facts: ColumnFacts | None
) -> None:
    """mysql-facts: only what a policy or an index asks for, one query a table."""
    run(source, "SET sql_mode = 'ALLOW_INVALID_DATES'", f"CREATE TABLE t ({ddl})")
    if values:
        run(source, f"INSERT INTO t VALUES {values}")
    assert source.facts(table(source), Policies(**policies)).columns.get("c") == facts


def test_long_unique_text(source: MysqlSource) -> None:
    """mysql-facts: MariaDB's UNIQUE over a whole text, which it keeps by a hash."""
    if not is_mariadb(source):
        return  # MariaDB has it alone
    run(source, "CREATE TABLE t (c text, UNIQUE (c))", "INSERT INTO t VALUES (repeat('x', 3000))")
    assert source.facts(table(source), Policies()).columns["c"] == ColumnFacts(max_octets=3000)


def test_facts_take_one_query(source: MysqlSource) -> None:
    """mysql-facts"""
    run(source, "CREATE TABLE t (a tinyint(1), b enum('x'), c date NOT NULL)", "CREATE TABLE u (a int)")
    policies = Policies(tinyint1="boolean", zero_date="null")
    counts = []
    for name in ("t", "u"):
        found = table(source, name)
        before = questions(source)
        source.facts(found, policies)
        counts.append(questions(source) - before - 1)
    assert counts == [1, 0]


def questions(source: MysqlSource) -> int:
    with source._session.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Questions'")
        return int(cursor.fetchone()[1])
