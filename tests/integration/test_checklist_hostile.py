"""A server whose own settings bend what careless clients read: none of them may show."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.endpoints import PostgresEndpoint
from benchmarks.servers import MariaDB
from tests import running
from tests.integration.checklist import make

pytestmark = pytest.mark.integration

SETTINGS = {
    "sql-mode": "PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT",
    "default-time-zone": "+05:30",
    "explicit-defaults-for-timestamp": "OFF",
    "character-set-server": "latin1",
    "init-connect": "SET NAMES latin1",
    "net-write-timeout": 1,
    "max-statement-time": 3600,
    "transaction-isolation": "READ-UNCOMMITTED",
}


@pytest.fixture(scope="module")
def hostile() -> Iterator[MariaDB]:
    with MariaDB(SETTINGS) as server:
        # The init_connect statement is for logins without SUPER only.
        server.execute("CREATE USER reader IDENTIFIED BY 'reader'; GRANT SELECT ON *.* TO reader")
        yield server


COLUMNS = [
    # source column, literal of the source, the target's text
    ("char(5)", "'a'", "a"),
    ("char(5) CHARACTER SET utf8mb4", "'é'", "é"),
    ("varchar(9) CHARACTER SET utf8mb4", "'😀\\'", "😀\\"),
    ("varchar(9) CHARACTER SET latin1", "'é€'", "é€"),
    ("timestamp NULL", "'2024-10-27 01:30:00'", "2024-10-27 01:30:00+00"),
    ("timestamp NULL", "'2024-03-31 02:30:00'", "2024-03-31 02:30:00+00"),
    ("datetime", "'2024-03-31 02:30:00'", "2024-03-31 02:30:00"),
    ("float", "16777216", "1.6777216e+07"),
    ("float", "123456.789", "123456.79"),
    ("decimal(30,30)", "0.000000000000000000000000000001", "0.000000000000000000000000000001"),
    ("decimal(65,0)", "9" * 65, "9" * 65),
    ("bigint unsigned", "18446744073709551615", "18446744073709551615"),
    ("bit(5)", "b'00101'", "00101"),
    ("enum('a','b') CHARACTER SET utf8mb4", "'b'", "b"),
]


@pytest.mark.parametrize("reader", ["native", "connectorx"])
def test_the_servers_own_settings_do_not_show(
    hostile: MariaDB, postgres: PostgresEndpoint, postgres_database: str, reader: str
) -> None:
    """mysql-pinned, connectorx-same: padded CHAR, quotes, zones and character sets of the server, and what a
    login's first statement sets."""
    database = hostile.database()
    columns = ", ".join(f'"c{number}" {kind}' for number, (kind, _, _) in enumerate(COLUMNS))
    values = ", ".join(literal for _, literal, _ in COLUMNS)
    make(
        hostile,
        database,
        (
            "SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
            f'CREATE TABLE "t" ("id" int PRIMARY KEY, {columns},'
            ' "code" varchar(20) CHARACTER SET utf8mb4 DEFAULT \'a\\b"\','
            ' "first" timestamp, CHECK ("id" > 0))',
            'CREATE VIEW "v" AS SELECT "id" || \'x\' AS "y" FROM "t"',
            f"INSERT INTO t VALUES (1, {values}, DEFAULT, '2024-01-01 00:00:00')",
        ),
    )
    stream = running.job(hostile, database, postgres, postgres_database, options={"reader": reader})
    ends = {**stream.connections, "source": running.connection(hostile, username="reader", password="reader")}
    stream = type(stream)(stream.stream_id, stream.config, ends)
    running.finish(stream)
    assert running.verify(stream)["equal"]
    shown = ", ".join(f"c{number}::text" for number in range(len(COLUMNS)))
    with postgres.connect(postgres_database, options="-c timezone=UTC") as session:
        row = session.execute(f"SELECT {shown}, code, first::text FROM public.t".encode()).fetchone()
    assert row == (*(text for _, _, text in COLUMNS), 'a\\b"', "2024-01-01 00:00:00+00")
    hostile.drop_database(database)


def test_the_first_timestamp_is_what_the_server_made_of_it(
    hostile: MariaDB, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """mysql-defaults, mysql-on-update: with explicit_defaults_for_timestamp off, DDL says less than the
    server does."""
    database = hostile.database()
    make(hostile, database, ("CREATE TABLE t (id int PRIMARY KEY, at timestamp, later timestamp)",))
    outcome, report = running.run(
        running.job(hostile, database, postgres, postgres_database, policies={"zeroDate": "sentinel"})
    )
    assert outcome.status == "FINISHED", outcome.error
    assert {(note["slug"], note.get("column")) for note in report.plans[-1]["notes"]} == {
        ("on-update-trigger", "at"),
        ("zero-date-default", "later"),
    }
    postgres.execute("INSERT INTO public.t (id) VALUES (1)", database=postgres_database)
    rows = postgres.query(
        "SELECT at > now() - interval '1 hour', later::text FROM public.t", database=postgres_database
    )
    assert rows == [(True, "-infinity")]
    hostile.drop_database(database)
