"""Columns of MySQL and MariaDB against the schema values they must give.

Cases of docs/policies/mysql-catalog.md; the slugs are named at the tests.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine.connectors.mysql.source import MysqlSource
from engine.schema import (
    Column,
    Default,
    Generated,
)
from engine.types import Kind, LogicalType
from tests.integration.mysql_catalogs import (
    UTF8,
    is_mariadb,
    run,
    table,
    value,
    varchar,
)

pytest_plugins = ["tests.integration.mysql_catalog_fixtures"]
pytestmark = pytest.mark.integration

# ddl, the expected column without its native type, and the flavour it is for (None: both)
COLUMNS: list[tuple[str, dict[str, Any], str | None]] = [
    ("tinyint(1) NOT NULL", {"type": LogicalType(Kind.INT8, display_width=1), "nullable": False}, None),
    ("boolean DEFAULT true", {"type": LogicalType(Kind.INT8, display_width=1), "default": value("1")}, None),
    ("smallint unsigned", {"type": LogicalType(Kind.INT16, unsigned=True)}, None),
    ("mediumint", {"type": LogicalType(Kind.INT24)}, None),
    (
        "int unsigned zerofill DEFAULT 7",
        {"type": LogicalType(Kind.INT32, unsigned=True, zerofill=True), "default": value("0000000007")},
        None,
    ),
    (
        "bigint unsigned DEFAULT 18446744073709551615",
        {"type": LogicalType(Kind.INT64, unsigned=True), "default": value("18446744073709551615")},
        None,
    ),
    (
        "decimal(65,30) DEFAULT -1.5",
        {
            "type": LogicalType(Kind.DECIMAL, precision=65, scale=30),
            "default": value("-1." + "5".ljust(30, "0")),
        },
        None,
    ),
    ("float(7,3)", {"type": LogicalType(Kind.FLOAT32)}, None),
    ("double DEFAULT 1e100", {"type": LogicalType(Kind.FLOAT64), "default": value("1e100")}, None),
    ("bit(5) DEFAULT b'101'", {"type": LogicalType(Kind.BIT, length=5), "default": value(b"\x05")}, None),
    (
        "bit(64) DEFAULT 5",
        {"type": LogicalType(Kind.BIT, length=64), "default": value(bytes(7) + b"\5")},
        None,
    ),
    ("year DEFAULT 2000", {"type": LogicalType(Kind.YEAR), "default": value("2000")}, None),
    ("date DEFAULT '0000-00-00'", {"type": LogicalType(Kind.DATE), "default": value("0000-00-00")}, None),
    (
        "time(3) DEFAULT '-10:00:00.5'",
        {"type": LogicalType(Kind.TIME, fraction=3), "default": value("-10:00:00.500")},
        None,
    ),
    ("timestamp NULL DEFAULT NULL", {"type": LogicalType(Kind.TIMESTAMP)}, None),
    (
        "timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)",
        {
            "type": LogicalType(Kind.TIMESTAMP, fraction=6),
            "nullable": False,
            "default": Default(expression="CURRENT_TIMESTAMP(6)"),
            "on_update_now": True,
        },
        "mysql",
    ),
    (
        "timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)",
        {
            "type": LogicalType(Kind.TIMESTAMP, fraction=6),
            "nullable": False,
            "default": Default(expression="current_timestamp(6)"),
            "on_update_now": True,
        },
        "mariadb",
    ),
    (
        "varchar(20) DEFAULT 'it''s \\\\ x'",
        {"type": varchar(20), **UTF8, "default": value("it's \\ x")},
        None,
    ),
    ("varchar(20) DEFAULT 'NULL'", {"type": varchar(20), **UTF8, "default": value("NULL")}, None),
    (
        "varchar(20) DEFAULT 'current_timestamp()'",
        {"type": varchar(20), **UTF8, "default": value("current_timestamp()")},
        None,
    ),
    (
        "varchar(20) NOT NULL DEFAULT ''",
        {"type": varchar(20), **UTF8, "nullable": False, "default": value("")},
        None,
    ),
    ("varchar(20) DEFAULT '😀'", {"type": varchar(20), **UTF8, "default": value("😀")}, None),
    (
        "varchar(20) NOT NULL DEFAULT '😀?'",
        {"type": varchar(20), **UTF8, "nullable": False, "default": value("😀?")},
        None,
    ),
    ("varchar(20) DEFAULT 'a\\nb\\tc'", {"type": varchar(20), **UTF8, "default": value("a\nb\tc")}, None),
    (
        "text DEFAULT ('abc')",
        {"type": LogicalType(Kind.TEXT, length=65_535), **UTF8, "default": value("abc")},
        None,
    ),
    (
        "varchar(9) CHARACTER SET latin1",
        {"type": varchar(9), "charset": "latin1", "collation": "latin1_swedish_ci"},
        None,
    ),
    (
        "int DEFAULT (1 + 1)",
        {"type": LogicalType(Kind.INT32), "default": Default(expression="(1 + 1)")},
        None,
    ),
    (
        "varchar(20) DEFAULT (concat('é😀','?'))",
        {"type": varchar(20), **UTF8, "default": Default(expression="concat('é😀','?')")},
        "mariadb",
    ),
    (
        "varchar(20) DEFAULT (concat('é😀','?'))",
        {"type": varchar(20), **UTF8, "default": Default(expression="concat(_utf8mb4'é😀',_utf8mb4'?')")},
        "mysql",
    ),
    (
        "binary(4) DEFAULT 0x00FF0000",
        {"type": LogicalType(Kind.BINARY, length=4), "default": value(b"\0\xff\0\0")},
        None,
    ),
    (
        "binary(3) NOT NULL DEFAULT 'ab'",
        {"type": LogicalType(Kind.BINARY, length=3), "nullable": False, "default": value(b"ab\0")},
        None,
    ),
    (
        "varbinary(10) NOT NULL DEFAULT 0xFF00",
        {"type": LogicalType(Kind.VARBINARY, length=10), "nullable": False, "default": value(b"\xff\0")},
        None,
    ),
    (
        "blob DEFAULT (x'00ff')",
        {"type": LogicalType(Kind.BLOB, length=65_535), "default": value(b"\0\xff")},
        None,
    ),
    (
        "enum('a','b''c','d,e','f\\\\g','','emoji😀','   lead','q?') DEFAULT 'emoji😀'",
        {
            "type": LogicalType(
                Kind.ENUM, labels=("a", "b'c", "d,e", "f\\g", "", "emoji😀", "   lead", "q?")
            ),
            **UTF8,
            "default": value("emoji😀"),
        },
        None,
    ),
    (
        "set('c😀','a') NOT NULL DEFAULT 'a,c😀'",
        {
            "type": LogicalType(Kind.SET, labels=("c😀", "a")),
            **UTF8,
            "nullable": False,
            "default": value("c😀,a"),
        },
        None,
    ),
    ("int COMMENT 'it''s \\\\'", {"type": LogicalType(Kind.INT32), "comment": "it's \\"}, None),
    ("int INVISIBLE", {"type": LogicalType(Kind.INT32), "invisible": True}, None),
    (
        "int GENERATED ALWAYS AS (k + 1) VIRTUAL",
        {"type": LogicalType(Kind.INT32), "generated": Generated("(`k` + 1)", False)},
        "mysql",
    ),
    (
        "int GENERATED ALWAYS AS (k + 1) VIRTUAL",
        {"type": LogicalType(Kind.INT32), "generated": Generated("`k` + 1", False)},
        "mariadb",
    ),
    (
        "varchar(50) GENERATED ALWAYS AS (concat(k,'x''y\\\\😀')) STORED",
        {
            "type": varchar(50),
            **UTF8,
            "generated": Generated(r"concat(`k`,_utf8mb4'x\'y\\😀')", True),
        },
        "mysql",
    ),
    (
        "varchar(50) GENERATED ALWAYS AS (concat(k,'x''y\\\\😀')) STORED",
        {"type": varchar(50), **UTF8, "generated": Generated(r"concat(`k`,'x\'y\\😀')", True)},
        "mariadb",
    ),
    ("json", {"type": LogicalType(Kind.JSON)}, "mysql"),
    ("json", {"type": LogicalType(Kind.JSON_TEXT), **UTF8}, "mariadb"),
    (
        "point NOT NULL SRID 4326",
        {"type": LogicalType(Kind.GEOMETRY, geometry="point", srid=4326), "nullable": False},
        "mysql",
    ),
    (
        "point REF_SYSTEM_ID=4326",
        {"type": LogicalType(Kind.GEOMETRY, geometry="point", srid=4326)},
        "mariadb",
    ),
    ("geometrycollection", {"type": LogicalType(Kind.GEOMETRY, geometry="geometrycollection")}, None),
    ("vector(3)", {"type": LogicalType(Kind.VECTOR, length=3)}, "mysql"),
    (
        "uuid DEFAULT uuid()",
        {"type": LogicalType(Kind.UUID), "default": Default(expression="uuid()")},
        "mariadb",
    ),
    ("inet4", {"type": LogicalType(Kind.INET4)}, "mariadb"),
    ("inet6 DEFAULT '::1'", {"type": LogicalType(Kind.INET6), "default": value("::1")}, "mariadb"),
    ("varchar(100) COMPRESSED", {"type": varchar(100), **UTF8}, "mariadb"),
]


def test_columns(source: MysqlSource) -> None:
    """mysql-native-types, mysql-defaults, mysql-hidden-values, mysql-escaped-expressions, mysql-json-text,
    mysql-invisible, mysql-generated, mysql-on-update, mysql-srid"""
    cases = [(ddl, want) for ddl, want, only in COLUMNS if only in (None, source.info.flavor)]
    columns = ", ".join(f"c{number} {ddl}" for number, (ddl, _) in enumerate(cases))
    run(source, f"CREATE TABLE t (k int PRIMARY KEY, {columns})")
    found = table(source)
    for number, (ddl, want) in enumerate(cases):
        column = found.column(f"c{number}")
        assert column == Column(name=column.name, native_type=column.native_type, **want), ddl
    assert found.checks == ()
    assert source.catalog(source.database).notes == ()


def test_native_type_is_what_the_server_prints(source: MysqlSource) -> None:
    run(source, "CREATE TABLE t (a int unsigned, b enum('x'))")
    printed = [column.native_type for column in table(source).columns]
    assert printed == ["int(10) unsigned" if is_mariadb(source) else "int unsigned", "enum('x')"]
