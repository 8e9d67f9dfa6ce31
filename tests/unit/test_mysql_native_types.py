"""COLUMN_TYPE → LogicalType (mysql-native-types, mysql-enum-tokenizer, mysql-display-width)."""

from __future__ import annotations

import pytest

from engine.connectors.mysql.native_types import labels, logical_type
from engine.types import Kind, LogicalType


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("tinyint(1)", LogicalType(Kind.INT8, display_width=1)),
        ("tinyint(4)", LogicalType(Kind.INT8, display_width=4)),
        ("tinyint", LogicalType(Kind.INT8)),
        ("tinyint(1) unsigned", LogicalType(Kind.INT8, unsigned=True, display_width=1)),
        ("smallint(5) unsigned zerofill", LogicalType(Kind.INT16, unsigned=True, zerofill=True)),
        ("mediumint(9)", LogicalType(Kind.INT24)),
        ("int(1)", LogicalType(Kind.INT32)),
        ("int unsigned", LogicalType(Kind.INT32, unsigned=True)),
        ("bigint(20) unsigned", LogicalType(Kind.INT64, unsigned=True)),
        ("decimal(65,30)", LogicalType(Kind.DECIMAL, precision=65, scale=30)),
        (
            "decimal(10,0) unsigned zerofill",
            LogicalType(Kind.DECIMAL, precision=10, scale=0, unsigned=True, zerofill=True),
        ),
        ("float", LogicalType(Kind.FLOAT32)),
        ("float(7,3) unsigned", LogicalType(Kind.FLOAT32, unsigned=True)),
        ("double(7,2)", LogicalType(Kind.FLOAT64)),
        ("bit(1)", LogicalType(Kind.BIT, length=1)),
        ("bit(64)", LogicalType(Kind.BIT, length=64)),
        ("year(4)", LogicalType(Kind.YEAR)),
        ("date", LogicalType(Kind.DATE)),
        ("datetime", LogicalType(Kind.DATETIME)),
        ("datetime(6)", LogicalType(Kind.DATETIME, fraction=6)),
        ("datetime(3) /* mariadb-5.3 */", LogicalType(Kind.DATETIME, fraction=3)),
        ("timestamp(1)", LogicalType(Kind.TIMESTAMP, fraction=1)),
        ("time(2)", LogicalType(Kind.TIME, fraction=2)),
        ("char(0)", LogicalType(Kind.CHAR, length=0)),
        ("varchar(100) /*M!100301 COMPRESSED*/", LogicalType(Kind.VARCHAR, length=100)),
        ("tinytext", LogicalType(Kind.TEXT, length=255)),
        ("text", LogicalType(Kind.TEXT, length=65_535)),
        ("mediumtext", LogicalType(Kind.TEXT, length=16_777_215)),
        ("longtext", LogicalType(Kind.TEXT, length=4_294_967_295)),
        ("binary(16)", LogicalType(Kind.BINARY, length=16)),
        ("varbinary(3072)", LogicalType(Kind.VARBINARY, length=3072)),
        ("longblob /*M!100301 COMPRESSED*/", LogicalType(Kind.BLOB, length=4_294_967_295)),
        ("json", LogicalType(Kind.JSON)),
        ("point", LogicalType(Kind.GEOMETRY, geometry="point", srid=4326)),
        ("geomcollection", LogicalType(Kind.GEOMETRY, geometry="geometrycollection", srid=4326)),
        ("geometrycollection", LogicalType(Kind.GEOMETRY, geometry="geometrycollection", srid=4326)),
        ("vector(3)", LogicalType(Kind.VECTOR, length=3)),
        ("uuid", LogicalType(Kind.UUID)),
        ("inet4", LogicalType(Kind.INET4)),
        ("inet6", LogicalType(Kind.INET6)),
        ("enum('a','b')", LogicalType(Kind.ENUM, labels=("a", "b"))),
        ("set('c','a')", LogicalType(Kind.SET, labels=("c", "a"))),
        ("xmltype", LogicalType(Kind.OTHER)),
        ("", LogicalType(Kind.OTHER)),
    ],
)
def test_types(printed: str, expected: LogicalType) -> None:
    srid = 4326 if expected.kind is Kind.GEOMETRY else None
    assert logical_type(printed, srid) == expected


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("('')", ("",)),
        ("('','a','')", ("", "a", "")),
        ("('it''s','''','''''')", ("it's", "'", "''")),
        ("('a,b',',','),(')", ("a,b", ",", "),(")),
        (r"('a\\b','\\','\\''')", ("a\\b", "\\", "\\'")),
        (r"('l\nm','\0','\Z','\r')", ("l\nm", "\0", "\x1a", "\r")),
        ("('   lead','(x)','enum(''y'')')", ("   lead", "(x)", "enum('y')")),
        ("('\"','`',\"')", None),
        ("('ünïcode','日本')", ("ünïcode", "日本")),
        ("('a' 'b')", None),
        ("('a'", None),
        ("('a", None),
        ("()", None),
    ],
)
def test_labels(printed: str, expected: tuple[str, ...] | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="label"):
            labels(printed, 0)
    else:
        assert labels(printed, 0) == expected
