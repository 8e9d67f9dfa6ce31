"""Rows from the binary log are, byte for byte, the rows the snapshot reads: every type and edge values."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from benchmarks.endpoints import MysqlEndpoint
from engine.config import Policies
from engine.connectors.base import TableRead
from engine.connectors.mysql.log_columns import log_columns
from engine.connectors.mysql.snapshot import NativeReader
from ext.binlog import RowsDecoder
from ext.binlogevents import MariadbGtid, MysqlGtid, Query, Statement, Xid, parse
from ext.binlogspec import ROWS, Changes, Event, Log, TableMap
from ext.binlogtable import parse_table_map
from ext.plain.binlog import RowsDecoder as PlainDecoder
from tests.integration.binlog_dump import events_of, session_on
from tests.integration.mysql_tables import connection, opened, planned

pytestmark = pytest.mark.integration

NULLS = "NULL"
BOTH: dict[str, tuple[str, list[str]]] = {
    "tinyint": ("tinyint", ["-128", "127", "0"]),
    "tinyint_u": ("tinyint unsigned", ["0", "128", "255"]),
    "smallint": ("smallint", ["-32768", "32767"]),
    "smallint_u": ("smallint unsigned", ["32768", "65535"]),
    "mediumint": ("mediumint", ["-8388608", "8388607", "-1"]),
    "mediumint_u": ("mediumint unsigned", ["8388608", "16777215"]),
    "int": ("int", ["-2147483648", "2147483647"]),
    "int_u": ("int unsigned", ["2147483648", "4294967295"]),
    "bigint": ("bigint", ["-9223372036854775808", "9223372036854775807"]),
    "bigint_u": ("bigint unsigned", ["9223372036854775808", "18446744073709551615"]),
    "decimal": ("decimal(10,0)", ["-9999999999", "0", "1"]),
    "decimal_wide": ("decimal(65,30)", ["-" + "9" * 35 + "." + "9" * 30, "0.000000000000000000000000000001"]),
    "decimal_small": ("decimal(3,3)", ["0.001", "-0.999", "0"]),
    "decimal_fill": ("decimal(9,2) unsigned zerofill", ["1.5", "1234567.89"]),
    "float": ("float", ["1.1", "-3.4e38", "1e-45", "0"]),
    "double": ("double", ["1.1", "1.7976931348623157e308", "-0.0", "5e-324"]),
    "bit1": ("bit(1)", ["b'1'", "b'0'"]),
    "bit9": ("bit(9)", ["b'100000001'", "1"]),
    "bit64": ("bit(64)", ["x'ffffffffffffffff'", "x'0102030405060708'"]),
    "year": ("year", ["1901", "2155", "0"]),
    "date": ("date", ["'0001-01-01'", "'9999-12-31'", "'1969-12-31'", "'2020-02-29'"]),
    "datetime": ("datetime", ["'0001-01-01 00:00:00'", "'9999-12-31 23:59:59'"]),
    "datetime1": ("datetime(1)", ["'2020-01-02 03:04:05.6'"]),
    "datetime3": ("datetime(3)", ["'1969-12-31 23:59:59.999'"]),
    "datetime6": ("datetime(6)", ["'2020-01-02 03:04:05.000001'", "'0999-01-01 00:00:00.999999'"]),
    "timestamp": ("timestamp NULL", ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"]),
    "timestamp4": ("timestamp(4) NULL", ["'2020-01-02 03:04:05.6789'"]),
    "timestamp6": ("timestamp(6) NULL", ["'1970-01-01 00:00:01.000001'", "'2038-01-19 03:14:07.999999'"]),
    "time": ("time", ["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'"]),
    **{
        f"time{digits}": (f"time({digits})", ["'-00:00:00.100000'", "'-12:34:56.999999'", "'838:59:58.5'"])
        for digits in range(1, 7)
    },
    "char": ("char(10)", ["''", "'abc'", "'ü€😀'"]),
    "char_wide": ("char(255)", ["repeat('€', 255)", "''"]),
    "char_latin1": ("char(3) CHARACTER SET latin1", ["'é'", "x'80819d'", "x'ff'"]),
    "varchar": ("varchar(200)", ["''", "'ä  '", "repeat('x', 200)"]),
    "varchar_long": ("varchar(2000)", ["repeat('ü', 2000)", "'a'"]),
    "text_tiny": ("tinytext", ["''", "'abc'"]),
    "text": ("text", ["repeat('ab', 10000)"]),
    "text_medium": ("mediumtext", ["repeat('ab', 40000)"]),
    "text_long": ("longtext", ["repeat('ab', 40000)", "''"]),
    **{
        f"cs_{charset}": (f"varchar(60) CHARACTER SET {charset}", values)
        for charset, values in {
            "utf8mb3": ["'ü€'"],
            "ascii": ["'abc'"],
            "ucs2": ["'ü€'"],
            "utf16": ["'ü€😀'"],
            "utf16le": ["'ü€😀'"],
            "utf32": ["'ü€😀'"],
            "cp1250": ["'Žluťoučký'"],
            "cp1251": ["'Привет'"],
            "koi8r": ["'Привет'"],
            "latin2": ["'Žluťoučký'"],
            "greek": ["'Ωμέγα'"],
            "hebrew": ["'שלום'"],
            "swe7": ["'ÅÄÖ'"],
            "tis620": ["'ไทย'"],
            "gbk": ["'汉字A'"],
            "gb2312": ["'汉字A'"],
            "big5": ["'漢字A'"],
            "sjis": ["'漢字ｶﾅA'"],
            "cp932": ["'漢字ｶﾅ①'"],
            "ujis": ["'漢字ｶﾅA'", "x'8fa2c3'"],
            "eucjpms": ["'漢字ｶﾅ①'"],
            "euckr": ["'한국어A'"],
        }.items()
    },
    "binary": ("binary(8)", ["x'0102'", "x'00'", "x'0102030405060708'"]),
    "binary_wide": ("binary(255)", ["x'ff'"]),
    "varbinary": ("varbinary(300)", ["x'00ff00'", "''", "repeat(x'00', 300)"]),
    "blob_tiny": ("tinyblob", ["x'00'"]),
    "blob": ("blob", ["x'00ff'", "''"]),
    "blob_medium": ("mediumblob", ["repeat(x'fe', 70000)"]),
    "blob_long": ("longblob", ["repeat(x'fe', 300)"]),
    "enum": ("enum('a','é','')", ["'a'", "'é'", "3"]),
    "enum_many": (
        "enum(" + ",".join(f"'l{n}'" for n in range(300)) + ")",
        ["'l0'", "'l299'"],
    ),
    "set": ("set('a','é','c')", ["''", "'a,é'", "7"]),
    "set64": ("set(" + ",".join(f"'m{n}'" for n in range(64)) + ")", ["18446744073709551615", "1"]),
    "set_text": ("set('a?','b')", ["'a?,b'", "''"]),
    "json": (
        "json",
        [
            """'{"b": [1, -1, 65536, 4294967296, 18446744073709551615], "a": {}, "aa": []}'""",
            "'[9007199254740993, -9223372036854775808]'",
            """'[1.0, 1e16, 6.02e23, 1e15, 1e14, 0.1, -0.0, 1e-5, 1e-15, 1e-16, 123456789012345678.5]'""",
            """'["\\\\"\\\\\\\\ \\\\n\\\\t\\\\u0001 ü€😀/", true, false, null]'""",
            "'null'",
            "'\"x\"'",
            "concat('[', repeat('\"abcdefghij\", ', 8000), '1]')",
        ],
    ),
    "geometry": ("geometry", ["ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('LINESTRING(0 0,1 1)')"]),
}
MARIADB: dict[str, tuple[str, list[str]]] = {
    "uuid": ("uuid", ["'01234567-89ab-1def-8123-456789abcdef'", "'12345678-0000-7000-8000-000000000000'"]),
    "inet4": ("inet4", ["'1.2.3.0'", "'255.255.255.255'", "'0.0.0.0'"]),
    "inet6": ("inet6", ["'::'", "'::1:0'", "'ffff::'"]),
    "varchar_zip": ("varchar(500) COMPRESSED", ["'abc'", "repeat('ab', 200)", "''"]),
    "text_zip": ("text CHARACTER SET latin1 COMPRESSED", ["repeat('é', 300)"]),
    "blob_zip": ("blob COMPRESSED", ["repeat(x'00ff', 300)", "x'01'"]),
}
MYSQL: dict[str, tuple[str, list[str]]] = {
    "vector": ("vector(3)", ["STRING_TO_VECTOR('[1,2,3]')"]),
    "gb18030": ("varchar(20) CHARACTER SET gb18030", ["'汉字ü€😀'"]),
    "json_opaque": (
        "json",
        [
            "JSON_ARRAY(CAST(1.50 AS DECIMAL(10,2)), CAST('-0.007' AS DECIMAL(60,30)))",
            "JSON_ARRAY(CAST('2020-01-02' AS DATE), CAST('-12:34:56.789' AS TIME(3)))",
            "JSON_ARRAY(TIMESTAMP'2020-01-02 03:04:05.6', CAST('2020-01-02 03:04:05' AS DATETIME))",
            "JSON_ARRAY(CAST(x'00ff' AS BINARY), b'101', CAST(2020 AS YEAR))",
        ],
    ),
}


def columns_of(server: MysqlEndpoint) -> dict[str, tuple[str, list[str]]]:
    return BOTH | (MARIADB if server.kind == "mariadb" else MYSQL)


def made(server: MysqlEndpoint, database: str) -> list[str]:
    """Table t with a column of each type; returns the statements that fill it, a value of each at a time."""
    columns = columns_of(server)
    declared = ", ".join(f"`{name}` {kind}" for name, (kind, _) in columns.items())
    server.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, {declared}) DEFAULT CHARSET utf8mb4 ROW_FORMAT=DYNAMIC",
        database=database,
    )
    rows = max(len(values) for _, values in columns.values())
    statements = []
    for number in range(rows):
        values = ", ".join(values[number % len(values)] for _, values in columns.values())
        statements.append(f"INSERT INTO t VALUES ({number}, {values})")
    statements.append("INSERT INTO t (id) VALUES (1000)")
    return statements


def tables(events: list[Event], server: MysqlEndpoint, database: str) -> Iterator[tuple[TableMap, Event]]:
    """The rows events of this database, each with its table."""
    maps: dict[int, TableMap] = {}
    for event in events:
        if event.type == Log.TABLE_MAP:
            table = parse_table_map(event.body, server.kind == "mariadb")
            maps[table.table_id] = table
        elif event.type in ROWS:
            table = maps[int.from_bytes(event.body[:6], "little")]
            if table.schema == database:
                yield table, event


def decoded(events: list[Event], server: MysqlEndpoint, database: str, read: TableRead) -> Changes:
    """All changes of the table, by both decoders alike."""
    taken = []
    for kind in (RowsDecoder, PlainDecoder):
        decoder = None
        for table, event in tables(events, server, database):
            if decoder is None:
                decoder = kind(table, log_columns(table, read.table, read.columns, Policies()))
            decoder.add(event.type, event.body, event.end)
        assert decoder is not None
        taken.append(decoder.take())
    assert taken[0].after.equals(taken[1].after)
    assert taken[0].before.equals(taken[1].before)
    assert taken[0].shapes == taken[1].shapes
    assert taken[0].tags.equals(taken[1].tags)
    assert taken[0].diffs == taken[1].diffs
    return taken[0]


def snapshot(server: MysqlEndpoint, database: str, read: TableRead) -> pa.Table:
    reader = NativeReader(connection(server), database)
    try:
        return pa.Table.from_batches(list(reader.read(read, None)), schema=read.arrow_schema)
    finally:
        reader.close()


def run(server: MysqlEndpoint, database: str, statements: list[str], session: str = "") -> None:
    with session_on(server, database) as link, link.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION', time_zone = '+00:00'")
        if session:
            cursor.execute(session)
        for statement in statements:
            cursor.execute(statement)


def same(logged: pa.RecordBatch, copied: pa.Table) -> None:
    """Bytes, not values: NaN, -0.0 and every bit of a float count."""
    logged_table = pa.Table.from_batches([logged]).sort_by("id")
    copied = copied.sort_by("id")
    for name in copied.column_names:
        one, other = (table.column(name).combine_chunks() for table in (logged_table, copied))
        assert one.type == other.type, name
        assert one.equals(other), (name, one, other)


@pytest.mark.parametrize("checksum", [True, False], ids=["crc32", "no checksum"])
def test_a_logged_row_is_the_row_copied(
    source_server: MysqlEndpoint, source_database: str, checksum: bool
) -> None:
    server, database = source_server, source_database
    statements = made(server, database)
    events = events_of(server, lambda: run(server, database, statements), checksum)
    with opened(server, database) as source:
        read = planned(source)
        changes = decoded(events, server, database, read)
        assert len(changes.after) == len(statements)
        assert [shape.kind for shape in changes.shapes] == ["insert"]
        same(changes.after, snapshot(server, database, read))


def test_updates_and_deletes_have_both_images(source_server: MysqlEndpoint, source_database: str) -> None:
    server, database = source_server, source_database
    run(server, database, made(server, database))
    with opened(server, database) as source:
        read = planned(source)
        before = snapshot(server, database, read)
        statements = ["UPDATE t SET id = id + 5000 ORDER BY id DESC"]
        events = events_of(server, lambda: run(server, database, statements))
        changes = decoded(events, server, database, read)
        same(changes.before, before)
        same(changes.after, snapshot(server, database, read))
        events = events_of(server, lambda: run(server, database, ["DELETE FROM t"]))
        gone = decoded(events, server, database, read)
        assert len(gone.after) == 0
        assert [shape.kind for shape in gone.shapes] == ["delete"]
        assert gone.before.sort_by("id").equals(changes.after.sort_by("id"))


def test_absent_columns_are_marked(source_server: MysqlEndpoint, source_database: str) -> None:
    server, database = source_server, source_database
    server.execute("CREATE TABLE t (id int PRIMARY KEY, a int, b text, c int)", database=database)
    statements = ["INSERT INTO t VALUES (1, 2, 'x', NULL)", "UPDATE t SET c = 7", "DELETE FROM t"]
    session = "SET SESSION binlog_row_image = 'MINIMAL'"
    events = events_of(server, lambda: run(server, database, statements, session))
    with opened(server, database) as source:
        changes = decoded(events, server, database, planned(source))
    kinds = [changes.shapes[number] for number in changes.shape.to_pylist()]
    assert [kind.kind for kind in kinds] == ["insert", "update", "delete"]
    assert kinds[1].before == (True, False, False, False)
    assert kinds[1].after == (False, False, False, True)
    assert changes.after.to_pylist()[1] == {"id": None, "a": None, "b": None, "c": 7}
    assert changes.before.to_pylist()[1] == {"id": 1, "a": None, "b": None, "c": None}


def test_a_compressed_log_says_the_same(source_server: MysqlEndpoint, source_database: str) -> None:
    """MySQL's zstd transactions by session; MariaDB's compressed events are a setting of the server, so that
    only their twins in tests/unit/test_binlog.py have them."""
    server, database = source_server, source_database
    statements = made(server, database)
    session = "SET SESSION binlog_transaction_compression = ON" if server.kind == "mysql" else ""
    events = events_of(server, lambda: run(server, database, statements, session))
    ours = [event for _, event in tables(events, server, database)]
    assert all(event.payload for event in ours) == (server.kind == "mysql")
    with opened(server, database) as source:
        read = planned(source)
        same(decoded(events, server, database, read).after, snapshot(server, database, read))


def test_control_events_say_what_was_done(source_server: MysqlEndpoint, source_database: str) -> None:
    server, database = source_server, source_database
    mariadb = server.kind == "mariadb"
    statements = ["CREATE TABLE `ü` (id int PRIMARY KEY)", "INSERT INTO `ü` VALUES (1)"]
    session = "" if mariadb else "SET SESSION binlog_rows_query_log_events = ON"
    events = events_of(server, lambda: run(server, database, statements, session))
    said = [parse(event, mariadb) for event in events if event.type not in ROWS | {Log.TABLE_MAP}]
    created = [each for each in said if isinstance(each, Query) and each.schema == database]
    assert "CREATE TABLE `ü`" in created[0].statement
    assert created[0].charset is not None
    assert any(isinstance(each, Statement) and each.text == statements[1] for each in said)
    assert any(isinstance(each, Xid) for each in said)
    if mariadb:
        gtids = [each for each in said if isinstance(each, MariadbGtid)]
        assert any(gtid.ddl and gtid.standalone for gtid in gtids)
        assert any(gtid.transactional and not gtid.standalone for gtid in gtids)
        last = server.scalar("SELECT @@gtid_binlog_pos")
        assert int(last.rpartition("-")[2]) >= gtids[-1].number
    else:
        gtids = [each for each in said if isinstance(each, MysqlGtid)]
        assert all(gtid.server == server.scalar("SELECT @@server_uuid") for gtid in gtids)
        assert all(gtid.immediate_commit and gtid.length for gtid in gtids)


def test_a_tagged_gtid_is_read(mysql: MysqlEndpoint) -> None:
    database = mysql.database()
    mysql.execute("CREATE TABLE t (id int PRIMARY KEY)", database=database)
    session = "SET SESSION gtid_next = 'AUTOMATIC:shop'"
    events = events_of(mysql, lambda: run(mysql, database, ["INSERT INTO t VALUES (1)"], session))
    (tagged,) = [parse(event, False) for event in events if event.type == Log.GTID_TAGGED]
    assert isinstance(tagged, MysqlGtid)
    assert tagged.server == mysql.scalar("SELECT @@server_uuid")
    assert tagged.tag == "shop"
    assert tagged.number >= 1
    assert tagged.length
    start = next(event.position for event in events if event.type == Log.GTID_TAGGED)
    assert tagged.length == next(e.end for e in events if e.type == Log.XID and e.end > start) - start


def test_partial_updates_of_json_are_steps(mysql: MysqlEndpoint) -> None:
    database = mysql.database()
    mysql.execute("CREATE TABLE t (id int PRIMARY KEY, j json, k json)", database=database)
    run(mysql, database, ["""INSERT INTO t VALUES (1, '{"a": 1, "b": [1, 2, 3], "c": "long text"}', '[]')"""])
    changed = "UPDATE t SET j = JSON_REMOVE(JSON_SET(j, '$.a', 25), '$.c')"
    session = "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'"
    events = events_of(mysql, lambda: run(mysql, database, [changed], session))
    with opened(mysql, database) as source:
        changes = decoded(events, mysql, database, planned(source))
    diff, unchanged = changes.diffs
    assert (diff.row, diff.column) == (0, 1)
    assert [tuple(step) for step in diff.steps] == [("replace", "$.a", "25"), ("remove", "$.c", None)]
    assert unchanged == (0, 2, ())
    assert changes.after.to_pylist() == [{"id": 1, "j": None, "k": None}]
    assert changes.before.to_pylist()[0]["k"] == "[]"
