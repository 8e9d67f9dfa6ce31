"""Both readers of MySQL and MariaDB against real servers.

slugs: reader-types, reader-zero-date, reader-key-named, reader-cut, reader-cancel, reader-early-close,
reader-snapshot, reader-wide, reader-huge-rows, connectorx-same, connectorx-refuses, connectorx-panic
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
import tenacity

from benchmarks.endpoints import MysqlEndpoint
from benchmarks.servers import Certificates, MariaDB
from engine.connectors.base import KeyRange, SnapshotReader, TableRead
from engine.connectors.mysql.snapshot import NativeReader
from engine.errors import Code, EngineError
from engine.types import Image
from tests.integration.mysql_tables import filled, opened, planned

pytestmark = pytest.mark.integration


@pytest.fixture
def read_all() -> Callable[..., pa.Table]:
    def run(reader: SnapshotReader, read: TableRead, bounds: KeyRange | None = None) -> pa.Table:
        batches = list(reader.read(read, bounds))
        for batch in batches:
            batch.validate(full=True)
        return pa.Table.from_batches(batches, read.arrow_schema)

    return run


# ---------------------------------------------------------------- values


def printed(value: Any, image: Image) -> str | None:
    """As the servers print it; bytes and text in hexadecimal."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.hex().upper()
    if image in (Image.TEXT, Image.JSON, Image.SET_TEXT):
        return str(value).encode().hex().upper()
    if isinstance(value, dt.timedelta):
        micros = value // dt.timedelta(microseconds=1)
        seconds, fraction = divmod(abs(micros), 1_000_000)
        hours, rest = divmod(seconds, 3600)
        return f"{'-' * (micros < 0)}{hours:02}:{rest // 60:02}:{rest % 60:02}.{fraction:06}"
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
    return str(value)


# type, values, how the server prints one (%s) in the form above
TYPES: list[tuple[str, tuple[str, ...], str]] = [
    ("tinyint", ("-128", "127"), "%s"),
    ("tinyint unsigned", ("0", "255"), "%s"),
    ("smallint", ("-32768", "32767"), "%s"),
    ("smallint unsigned", ("65535",), "%s"),
    ("mediumint", ("-8388608", "8388607"), "%s"),
    ("mediumint unsigned", ("16777215",), "%s"),
    ("int", ("-2147483648", "2147483647"), "%s"),
    ("int unsigned zerofill", ("7", "4294967295"), "CAST(%s AS UNSIGNED)"),
    ("bigint", ("-9223372036854775808", "9223372036854775807"), "%s"),
    ("bigint unsigned", ("18446744073709551615",), "%s"),
    ("decimal(65,30)", ("-12345678901234567890123456789012345.123456789012345678901234567890", "0"), "%s"),
    ("decimal(10,0) unsigned", ("0", "9999999999"), "%s"),
    ("bit(1)", ("b'1'", "b'0'"), "LPAD(HEX(%s), 2, '0')"),
    ("bit(12)", ("b'101010101010'", "1"), "LPAD(HEX(%s), 4, '0')"),
    ("bit(64)", ("18446744073709551615", "1"), "LPAD(HEX(%s), 16, '0')"),
    ("year", ("0", "1901", "2155"), "CAST(%s AS UNSIGNED)"),
    ("date", ("'1000-01-01'", "'9999-12-31'", "'2024-02-29'", "'0001-01-01'"), "%s"),
    ("datetime", ("'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"), "CAST(%s AS DATETIME(6))"),
    ("datetime(6)", ("'1969-12-31 23:59:59.999999'", "'2024-02-29 00:00:00.000001'"), "%s"),
    ("timestamp(3) NULL", ("'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999'"), "CAST(%s AS DATETIME(6))"),
    ("time(6)", ("'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:00.000001'"), "%s"),
    ("time", ("'24:00:00'", "'-01:02:03'"), "CONCAT(%s, '.000000')"),
    ("char(5)", ("'a  '", "''", "'éß😀'"), "HEX(%s)"),
    ("varchar(20) CHARACTER SET latin1", ("X'80E98D'", "'a '"), "HEX(CONVERT(%s USING utf8mb4))"),
    ("varchar(20) CHARACTER SET utf16", ("'é😀'",), "HEX(CONVERT(%s USING utf8mb4))"),
    ("text", ("CONCAT('a', CHAR(0), 'b')", "REPEAT('é', 20000)"), "HEX(%s)"),
    ("longtext", ("REPEAT('x', 251)", "REPEAT('x', 65536)"), "HEX(%s)"),
    ("binary(4)", ("X'FF'", "X''"), "HEX(%s)"),
    ("varbinary(300)", ("X''", "REPEAT(X'00', 252)"), "HEX(%s)"),
    ("longblob", ("X'00FF'", "REPEAT(X'FF', 70000)"), "HEX(%s)"),
    ("enum('b','a','é')", ("'a'", "'é'"), "HEX(%s)"),
    ("set('c','a','d')", ("'a,c'", "''", "'d'"), "%s + 0"),
    ("json", ('\'{"b": [1, 2.5, null], "a": "é"}\'',), "HEX(CONVERT(%s USING utf8mb4))"),
    ("point", ("ST_GeomFromText('POINT(1 2)')",), "HEX(%s)"),
]


def test_every_type_is_read_as_the_server_prints_it(
    source_server: MysqlEndpoint, source_database: str, read_all: Callable[..., pa.Table]
) -> None:
    columns = ", ".join(f"c{number} {ddl}" for number, (ddl, _, _) in enumerate(TYPES))
    source_server.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, {columns}) DEFAULT CHARSET utf8mb4", database=source_database
    )
    statements = ["SET sql_mode = '', time_zone = '+00:00'", "INSERT INTO t (id) VALUES (0)"]
    for row in range(max(len(values) for _, values, _ in TYPES)):
        cells = [values[row] if row < len(values) else "NULL" for _, values, _ in TYPES]
        statements.append(f"INSERT INTO t VALUES ({row + 1}, {', '.join(cells)})")
    source_server.execute("; ".join(statements), database=source_database)
    prints = ", ".join(f"CAST({form % f'c{number}'} AS CHAR)" for number, (_, _, form) in enumerate(TYPES))
    with closing(source_server.connect(source_database)) as session, session.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(f"SELECT {prints} FROM t ORDER BY id")
        expected = [list(row) for row in cursor.fetchall()]
    with opened(source_server, source_database) as source, closing(source.reader("native")) as reader:
        read = planned(source)
        table = read_all(reader, read)
    images = [column.image for column in read.columns]
    found = [
        [printed(value, image) for value, image in zip(row.values(), images, strict=True)][1:]
        for row in table.to_pylist()
    ]
    for row, (have, want) in enumerate(zip(found, expected, strict=True)):
        wrong = [
            (ddl, have[number], want[number])
            for number, (ddl, _, _) in enumerate(TYPES)
            if have[number] != want[number]
        ]
        assert wrong == [], f"row {row}"


def test_floats_are_exact(
    source_server: MysqlEndpoint, source_database: str, read_all: Callable[..., pa.Table]
) -> None:
    """The text protocol would print six digits of a FLOAT."""
    source_server.execute(
        "CREATE TABLE t (id int PRIMARY KEY, f float, d double);"
        "INSERT INTO t VALUES (1, 16777217, 0.1), (2, 3.4028234e38, 1.7976931348623157e308),"
        " (3, 123456.789, 5e-324), (4, 1e-45, '-0e0')",
        database=source_database,
    )
    with opened(source_server, source_database) as source, closing(source.reader("native")) as reader:
        table = read_all(reader, planned(source))
    assert table.column("f").to_pylist() == [
        16777216.0,
        3.4028234663852886e38,
        123456.7890625,
        1.401298464324817e-45,
    ]
    doubles = table.column("d").to_pylist()
    assert doubles == [0.1, 1.7976931348623157e308, 5e-324, 0.0]
    assert str(doubles[3]) == ("-0.0" if source_server.kind == "mysql" else "0.0")


@pytest.mark.parametrize("kind", ["native", "connectorx"])
def test_an_empty_table(
    source_server: MysqlEndpoint, source_database: str, read_all: Callable[..., pa.Table], kind: Any
) -> None:
    source_server.execute("CREATE TABLE t (id int PRIMARY KEY, v varchar(9))", database=source_database)
    with opened(source_server, source_database) as source, closing(source.reader(kind)) as reader:
        assert read_all(reader, planned(source)).num_rows == 0


def test_a_table_of_a_thousand_columns(
    source_server: MysqlEndpoint, source_database: str, read_all: Callable[..., pa.Table]
) -> None:
    columns = ", ".join(f"`c {number}` smallint" for number in range(1000))
    numbers = ", ".join(str(number) for number in range(1000))
    source_server.execute(
        f"CREATE TABLE t ({columns}); INSERT INTO t VALUES ({numbers}), ({numbers})", database=source_database
    )
    with opened(source_server, source_database) as source, closing(source.reader("native")) as reader:
        table = read_all(reader, planned(source))
    assert table.num_rows == 2
    assert [column[1].as_py() for column in table.columns] == list(range(1000))


def test_rows_of_64_megabytes_come_one_at_a_time(tls_mariadb: MariaDB, certificates: Certificates) -> None:
    """Also over TLS, whose records are small."""
    database = tls_mariadb.database()
    size = 64 << 20
    tls_mariadb.execute("CREATE TABLE t (id int PRIMARY KEY, b longblob)", database=database)
    for number in (1, 2, 3):
        tls_mariadb.execute(f"INSERT INTO t VALUES ({number}, REPEAT('{number}', {size}))", database=database)
    ssl = {"mode": "verify-full", "ca": certificates.ca.read_text()}
    with opened(tls_mariadb, database, ssl) as source, closing(source.reader("native")) as reader:
        lengths = []
        for batch in reader.read(planned(source), None):
            value = batch.column(1)[0].as_buffer()
            lengths.append((batch.num_rows, value.size, bytes(value[:1]), bytes(value[-1:])))
    assert lengths == [(1, size, str(n).encode(), str(n).encode()) for n in (1, 2, 3)]


# ---------------------------------------------------------------- what a policy decides

ZERO = "CREATE TABLE t (a date, d datetime(6) NOT NULL, k1 int, k2 varchar(9), {key}) DEFAULT CHARSET utf8mb4"
ZERO_ROWS = (
    "SET sql_mode = 'ALLOW_INVALID_DATES';"
    "INSERT INTO t VALUES ('2024-01-01', '2024-01-01 01:02:03', 1, 'b'),"
    " ('2024-02-30', '2024-05-00', 1, 'é'), ('0000-00-00', '0000-00-00', 2, 'a')"
)


def test_a_zero_date_is_refused_naming_its_row(source_server: MysqlEndpoint, source_database: str) -> None:
    """The key is named although its columns come after the value."""
    source_server.execute(ZERO.format(key="PRIMARY KEY (k1, k2)"), database=source_database)
    source_server.execute(ZERO_ROWS, database=source_database)
    with opened(source_server, source_database) as source, closing(source.reader("native")) as reader:
        read = planned(source)
        with pytest.raises(EngineError) as refused:
            list(reader.read(read, None))
        error = refused.value
        assert error.code is Code.VALUE_NOT_REPRESENTABLE
        assert error.details == {
            "table": "t",
            "column": "a",
            "key": {"k1": "1", "k2": "é"},
            "value": "2024-02-30",
            "reason": "zero-date",
            "hint": "set policies.zeroDate to null or sentinel",
        }
        assert "zeroDate" in error.message
        # The session goes on.
        assert sum(batch.num_rows for batch in reader.read(read, KeyRange(("k1",), None, (0,)))) == 0
    with opened(source_server, source_database) as source, closing(source.reader("native")) as reader:
        moments = planned(source)
        moments = replace(moments, columns=moments.columns[1:])
        with pytest.raises(EngineError, match="2024-05-00 00:00:00"):
            list(reader.read(moments, None))


def test_without_a_key_the_value_alone_is_named(source_server: MysqlEndpoint, source_database: str) -> None:
    source_server.execute(ZERO.format(key="KEY (k1)"), database=source_database)
    source_server.execute(ZERO_ROWS, database=source_database)
    with (
        opened(source_server, source_database) as source,
        closing(source.reader("native")) as reader,
        pytest.raises(EngineError, match="a row of a table without a key") as refused,
    ):
        list(reader.read(planned(source), None))
    assert refused.value.details["key"] == {}


@pytest.mark.parametrize(("policy", "expected"), [("null", None), ("sentinel", -(2**63))])
def test_zero_dates_by_policy_are_counted(
    source_server: MysqlEndpoint,
    source_database: str,
    read_all: Callable[..., pa.Table],
    policy: str,
    expected: int | None,
) -> None:
    source_server.execute(ZERO.format(key="PRIMARY KEY (k1, k2)"), database=source_database)
    source_server.execute(ZERO_ROWS, database=source_database)
    with opened(source_server, source_database) as source, closing(source.reader("native")) as reader:
        read = planned(source, zero_date=policy)
        table = read_all(reader, read)
        assert dict(reader.counters) == {("a", "zeroDate"): 2, ("d", "zeroDate"): 2}
        read_all(reader, read)
        assert reader.counters["a", "zeroDate"] == 4
    moments = table.column("d").cast(pa.int64()).to_pylist()
    assert moments == [1_704_070_923_000_000, expected, expected]


# ---------------------------------------------------------------- a result that does not come to its end

WIDE = ("v varchar(2000)", 60_000, "REPEAT('x', 2000)")


@pytest.fixture
def wide(source_server: MysqlEndpoint, source_database: str) -> str:
    """A result larger than what sockets hold: the server is in the middle of it while we look at a batch."""
    filled(source_server, source_database, *WIDE)
    return source_database


def threads(server: MysqlEndpoint, database: str) -> list[tuple[int, str]]:
    rows = server.query("SHOW FULL PROCESSLIST")
    return [(int(row[0]), str(row[7])) for row in rows if row[3] == database and row[7]]


def reading(server: MysqlEndpoint, database: str, text: str) -> int:
    """The thread that runs a statement with `text`, once it does."""
    for attempt in tenacity.Retrying(wait=tenacity.wait_fixed(0.02), stop=tenacity.stop_after_delay(30)):
        with attempt:
            ((thread, _),) = [found for found in threads(server, database) if text in found[1]]
    return thread


@pytest.mark.parametrize(
    ("statement", "code"), [("KILL QUERY", Code.QUERY_FAILED), ("KILL", Code.CONNECTION_LOST)]
)
def test_a_cut_result_is_never_a_short_one(
    source_server: MysqlEndpoint, wide: str, statement: str, code: Code
) -> None:
    with opened(source_server, wide) as source, closing(source.reader("native")) as reader:
        batches = reader.read(planned(source), None)
        next(batches)
        source_server.execute(f"{statement} {reading(source_server, wide, 'FORCE INDEX')}")
        with pytest.raises(EngineError) as failed:
            list(batches)
    assert failed.value.code is code, failed.value.message


def test_a_cut_result_of_connectorx_is_never_a_short_one(source_server: MysqlEndpoint, wide: str) -> None:
    """It reads ahead by batches of its own: either it had everything, or it fails."""
    with opened(source_server, wide) as source, closing(source.reader("connectorx")) as reader:
        batches = reader.read(replace(planned(source), batch_rows=50), None)
        rows = next(batches).num_rows
        for thread, text in threads(source_server, wide):
            if "dbstreams:" in text:
                source_server.execute(f"KILL {thread}")
        try:
            rows += sum(batch.num_rows for batch in batches)
        except EngineError:
            return
    assert rows == WIDE[1]


def test_a_killed_server_is_a_lost_connection() -> None:
    with MariaDB() as server:
        database = server.database()
        filled(server, database, *WIDE)
        with opened(server, database) as source, closing(source.reader("native")) as reader:
            read = planned(source)
            batches = reader.read(read, None)
            next(batches)
            server.kill()
            with pytest.raises(EngineError) as lost:
                list(batches)
            assert lost.value.code is Code.CONNECTION_LOST
            with pytest.raises(EngineError) as again:
                list(reader.read(read, None))
            assert again.value.code is Code.CONNECTION_LOST


def test_closing_early_keeps_session_and_snapshot(source_server: MysqlEndpoint, wide: str) -> None:
    with opened(source_server, wide) as source, closing(source.reader("native")) as reader:
        read = planned(source)
        batches = reader.read(read, None)
        next(batches)
        batches.close()
        source_server.execute("INSERT INTO t VALUES (1000000, 'later')", database=wide)
        assert threads(source_server, wide) == []
        assert sum(batch.num_rows for batch in reader.read(read, None)) == WIDE[1]
    with opened(source_server, wide) as source, closing(source.reader("native")) as reader:
        assert sum(batch.num_rows for batch in reader.read(read, None)) == WIDE[1] + 1


def test_cancelling_stops_the_server(source_server: MysqlEndpoint, source_database: str) -> None:
    filled(source_server, source_database, "v int", 100, "n")
    with opened(source_server, source_database) as source, closing(source.reader("native")) as reader:
        read = planned(source)
        slow = replace(read.columns[1], expression="v + SLEEP(60)")
        read = replace(read, columns=(read.columns[0], slow))
        failed: list[EngineError] = []

        def work() -> None:
            try:
                list(reader.read(read, None))
            except EngineError as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        reading(source_server, source_database, "SLEEP(60)")
        reader.cancel()
        thread.join(30)
        assert not thread.is_alive()
        assert [error.code for error in failed] == [Code.QUERY_FAILED]
        assert threads(source_server, source_database) == []


@pytest.mark.parametrize("kind", ["native", "connectorx"])
def test_a_refused_statement(source_server: MysqlEndpoint, source_database: str, kind: Any) -> None:
    filled(source_server, source_database, "v int", 3, "n")
    with opened(source_server, source_database) as source, closing(source.reader(kind)) as reader:
        read = planned(source)
        source_server.execute("DROP TABLE t", database=source_database)
        with pytest.raises(EngineError) as failed:
            list(reader.read(read, None))
    assert failed.value.code is Code.QUERY_FAILED
    assert failed.value.details["errno"] == 1146


def test_a_value_of_another_type_than_planned(source_server: MysqlEndpoint, source_database: str) -> None:
    """slug: reader-planned-type. The server's own description of the result is checked, not trusted."""
    filled(source_server, source_database, "v int", 3, "n")
    with opened(source_server, source_database) as source:
        read = planned(source)

    def failure() -> EngineError:
        with (
            opened(source_server, source_database) as source,
            closing(source.reader("native")) as reader,
            pytest.raises(EngineError) as failed,
        ):
            list(reader.read(read, None))
        return failed.value

    source_server.execute("ALTER TABLE t MODIFY v varchar(20)", database=source_database)
    error = failure()
    assert error.code is Code.QUERY_FAILED
    assert "column v comes as wire type" in error.message
    source_server.execute("ALTER TABLE t MODIFY v bigint", database=source_database)
    source_server.execute("UPDATE t SET v = 1 << 40 WHERE id = 2", database=source_database)
    error = failure()
    assert error.code is Code.VALUE_NOT_REPRESENTABLE
    assert error.details["value"] == str(1 << 40)
    assert error.details["key"] == {"id": "2"}


def test_a_session_brought_along_keeps_its_snapshot(
    source_server: MysqlEndpoint, source_database: str, read_all: Callable[..., pa.Table]
) -> None:
    filled(source_server, source_database, "v int", 3, "n")
    with opened(source_server, source_database) as source, source.picture(2) as picture:
        assert picture.consistent
        source_server.execute("DELETE FROM t", database=source_database)
        read = planned(source)
        for _ in range(2):
            with closing(picture.reader("native")) as reader:
                assert isinstance(reader, NativeReader)
                assert read_all(reader, read).num_rows == 3
        assert not picture.broken


# ---------------------------------------------------------------- ConnectorX

SHARED = (
    "i bigint unsigned, n decimal(40,20), f float, d double, s varchar(99), b longblob, da date,"
    " dt datetime(6), ts timestamp(6) NULL, y year, bi bit(12), e enum('a','b'), j longtext"
)
SHARED_VALUE = (
    "18446744073709551615 - n, n / 7, n / 7, n / 7, CONCAT('é😀', n), UNHEX(SHA2(n, 256)),"
    " DATE'1000-01-01' + INTERVAL n * 31 DAY, TIMESTAMP'2024-01-01 00:00:00' + INTERVAL n SECOND,"
    " IF(n % 7 = 0, NULL, FROM_UNIXTIME(n * 1000)), 1901 + n % 250, n % 4096, 1 + n % 2, REPEAT(n, n % 50)"
)


@pytest.mark.parametrize(
    "bounds", [None, KeyRange(("id",), (100,), (2500,)), KeyRange(("id",), None, (7,))], ids=str
)
def test_both_readers_give_the_same(
    source_server: MysqlEndpoint,
    source_database: str,
    read_all: Callable[..., pa.Table],
    bounds: KeyRange | None,
) -> None:
    filled(source_server, source_database, SHARED, 3000, SHARED_VALUE)
    with opened(source_server, source_database) as source:
        read = replace(planned(source), batch_rows=700)
        assert all(column.connectorx for column in read.columns)
        with closing(source.reader("native")) as native, closing(source.reader("connectorx")) as other:
            ours = read_all(native, read, bounds)
            theirs = read_all(other, read, bounds)
            assert ours.num_rows == {None: 3000}.get(bounds, ours.num_rows) > 0
            assert ours.combine_chunks().equals(theirs.combine_chunks())
            assert not other.counters


@pytest.mark.parametrize("value", ["'0000-00-00'", "'2024-02-00'", "'0000-05-05'"])
def test_connectorx_gives_up_where_our_reader_names_the_row(
    source_server: MysqlEndpoint, source_database: str, value: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A panic is an error, without a backtrace in the log; the year 0 is one too."""
    filled(source_server, source_database, "v date", 1, "'2024-01-01'")
    source_server.execute(f"SET sql_mode = ''; INSERT INTO t VALUES (7, {value})", database=source_database)
    with opened(source_server, source_database) as source:
        read = planned(source)
        with closing(source.reader("connectorx")) as reader, pytest.raises(EngineError) as failed:
            list(reader.read(read, None))
        assert failed.value.code is Code.QUERY_FAILED
        with closing(source.reader("native")) as reader, pytest.raises(EngineError) as named:
            list(reader.read(read, None))
    assert named.value.details["key"] == {"id": "7"}
    assert named.value.details["value"] == value.strip("'")
    assert "stack backtrace" not in capfd.readouterr().err


def test_connectorx_is_not_used_over_tls(tls_mariadb: MariaDB, certificates: Certificates) -> None:
    database = tls_mariadb.database()
    for ssl in (
        {"mode": "prefer"},
        {"mode": "require"},
        {"mode": "verify-ca", "ca": certificates.ca.read_text()},
    ):
        with (
            opened(tls_mariadb, database, ssl) as source,
            pytest.raises(EngineError, match="plain") as refused,
        ):
            source.reader("connectorx")
        assert refused.value.code is Code.QUERY_FAILED
    with opened(tls_mariadb, database, {"mode": "disable"}) as source:
        source.reader("connectorx").close()


def test_connectorx_refuses_columns_it_bends(source_server: MysqlEndpoint, source_database: str) -> None:
    filled(source_server, source_database, "v time", 1, "'100:00:00'")
    with (
        opened(source_server, source_database) as source,
        closing(source.reader("connectorx")) as reader,
        pytest.raises(EngineError, match="does not carry v exactly"),
    ):
        list(reader.read(planned(source), None))
