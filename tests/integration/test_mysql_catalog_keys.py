"""Keys and checks of MySQL and MariaDB against the schema values they must give.

Cases of docs/policies/mysql-catalog.md; the slugs are named at the tests.
"""

from __future__ import annotations

import pytest

from benchmarks.endpoints import MysqlEndpoint
from engine.connectors.mysql.source import MysqlSource
from engine.schema import (
    Check,
    ForeignKey,
    Index,
    IndexMethod,
    IndexPart,
)
from engine.types import Kind
from tests.integration.mysql_catalogs import (
    is_mariadb,
    part,
    run,
    table,
)

pytest_plugins = ["tests.integration.mysql_catalog_fixtures"]
pytestmark = pytest.mark.integration


def test_indexes(source: MysqlSource) -> None:
    """mysql-indexes, mysql-prefix"""
    hidden = "IGNORED" if is_mariadb(source) else "INVISIBLE"
    run(
        source,
        "CREATE TABLE t (a int NOT NULL, b varchar(40), c text, d blob, p point NOT NULL,"
        " PRIMARY KEY (b(7), a), UNIQUE u (a, b), KEY pre (c(10), d(20)), KEY dsc (a DESC, b),"
        f" KEY hid (b) {hidden} COMMENT 'it''s', FULLTEXT ft (b, c), SPATIAL sp (p))",
    )
    found = table(source)
    assert found.primary_key == (part("b", prefix=7), part("a"))
    assert found.indexes == (
        Index("dsc", (part("a", descending=True), part("b"))),
        Index("ft", (part("b"), part("c")), method=IndexMethod.FULLTEXT),
        Index("hid", (part("b"),), visible=False, comment="it's"),
        Index("pre", (part("c", prefix=10), part("d", prefix=20))),
        Index("sp", (part("p"),), method=IndexMethod.SPATIAL),
        Index("u", (part("a"), part("b")), unique=True),
    )


def test_functional_and_multivalued_indexes(source: MysqlSource) -> None:
    """mysql-functional-index, mysql-multivalued-index"""
    if is_mariadb(source):
        return  # MySQL has it alone
    run(
        source,
        "CREATE TABLE t (b varchar(20), j json, KEY e ((lower(b)) DESC, b),"
        " KEY x ((concat(b, 'x''é\\\\'))), KEY m ((CAST(j->'$.a' AS UNSIGNED ARRAY))))",
    )
    by_name = {index.name: index for index in table(source).indexes}

    assert by_name["e"].parts == (IndexPart(expression="lower(`b`)", descending=True), part("b"))
    assert by_name["x"].parts[0].expression == r"concat(`b`,_utf8mb4'x\'é\\')"
    assert by_name["m"].method is IndexMethod.MULTIVALUE
    assert by_name["m"].parts == (
        IndexPart(expression="cast(json_extract(`j`,_utf8mb4'$.a') as unsigned array)"),
    )


def test_hash_indexes(source: MysqlSource) -> None:
    """mysql-hash-index"""
    if not is_mariadb(source):
        return  # MariaDB has it alone
    run(
        source,
        "CREATE TABLE t (a text, UNIQUE u (a))",
        "CREATE TABLE m (a int, KEY h (a) USING HASH) ENGINE=MEMORY",
    )
    assert table(source).indexes == (Index("u", (part("a"),), True, IndexMethod.HASH),)
    assert table(source, "m").indexes == (Index("h", (part("a"),), False, IndexMethod.HASH),)


def test_foreign_keys(source: MysqlSource, source_server: MysqlEndpoint) -> None:
    """mysql-foreign-keys, mysql-foreign-key-outside, mysql-foreign-key-missing, mysql-set-default"""
    other = source_server.database()
    none = "RESTRICT" if is_mariadb(source) else "NO ACTION"
    run(
        source,
        f"CREATE TABLE {other}.far (id int PRIMARY KEY)",
        "CREATE TABLE p (x int, y int, PRIMARY KEY (x, y))",
        "SET foreign_key_checks = 0",
        "CREATE TABLE t (a int, b int, c int, CONSTRAINT two FOREIGN KEY (b, a) REFERENCES p (x, y)"
        " ON DELETE CASCADE ON UPDATE SET NULL,"
        f" CONSTRAINT far FOREIGN KEY (a) REFERENCES {other}.far (id) ON DELETE SET NULL,"
        " CONSTRAINT gone FOREIGN KEY (c) REFERENCES `no``where` (z),"
        f" CONSTRAINT def FOREIGN KEY (c) REFERENCES {other}.far (id) ON DELETE SET DEFAULT)",
    )
    set_default = "RESTRICT" if is_mariadb(source) else "SET DEFAULT"
    assert table(source).foreign_keys == (
        ForeignKey("def", ("c",), other, "far", ("id",), none, set_default),
        ForeignKey("far", ("a",), other, "far", ("id",), none, "SET NULL"),
        ForeignKey("gone", ("c",), source.database, "no`where", ("z",), none, none),
        ForeignKey("two", ("b", "a"), source.database, "p", ("x", "y"), "SET NULL", "CASCADE"),
    )


def test_checks_of_mysql(source: MysqlSource) -> None:
    """mysql-checks, mysql-not-enforced, mysql-escaped-expressions"""
    if is_mariadb(source):
        return  # MySQL has it alone
    run(
        source,
        "CREATE TABLE t (a int, b varchar(10), j json, CONSTRAINT off CHECK (a > 1) NOT ENFORCED,"
        " CONSTRAINT txt CHECK (b <> 'x''é😀\\\\'), CONSTRAINT own CHECK (json_valid(j)))",
    )
    assert table(source).checks == (
        Check("off", "(`a` > 1)", enforced=False),
        Check("own", "json_valid(`j`)"),
        Check("txt", r"(`b` <> _utf8mb4'x\'é😀\\')"),
    )


def test_checks_of_mariadb(source: MysqlSource) -> None:
    """mysql-checks, mysql-check-names, mysql-json-text"""
    if not is_mariadb(source):
        return  # MariaDB has it alone
    run(
        source,
        "CREATE TABLE t (j json, `j``2` json NOT NULL, v varchar(9) CHECK (json_valid(v)),"
        " x int CHECK (x < 10), l longtext, CHECK (x <> 3), CONSTRAINT txt CHECK (v <> 'x''é😀\\\\'),"
        " CONSTRAINT lv CHECK (json_valid(l)))",
        "CREATE TABLE u (x int, CONSTRAINT txt CHECK (x > 0))",
    )
    found = table(source)
    assert [column.type.kind for column in found.columns] == [
        Kind.JSON_TEXT,
        Kind.JSON_TEXT,
        Kind.VARCHAR,
        Kind.INT32,
        Kind.TEXT,
    ]
    assert found.checks == (
        Check("CONSTRAINT_1", "`x` <> 3"),
        Check("lv", "json_valid(`l`)"),
        Check("txt", r"`v` <> 'x\'é😀\\'"),
        Check("v", "json_valid(`v`)"),
        Check("x", "`x` < 10"),
    )
    assert table(source, "u").checks == (Check("txt", "`x` > 0"),)
