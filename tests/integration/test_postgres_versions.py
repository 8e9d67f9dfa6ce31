"""What stands for functions an older PostgreSQL does not have gives the values of those functions."""

from __future__ import annotations

import itertools
from typing import Any

import pyarrow as pa
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import StreamConfig
from engine.connectors.base import DigestColumn, Form, HashFunction, ReadColumn, TargetColumn, TargetTable
from engine.connectors.postgres import session
from engine.connectors.postgres.digest import PostgresDigestSql
from engine.connectors.postgres.expressions import translate
from engine.connectors.postgres.terms import Meaning, Purpose, Scope, Term
from engine.schema import Column, Table
from engine.streams.run import StreamJob
from engine.types import Image, Kind, LogicalType
from tests import running

pytestmark = pytest.mark.integration

_NUMBERS = itertools.count()


def job(
    source: PostgresEndpoint,
    target: PostgresEndpoint | MysqlEndpoint,
    from_database: str,
    to_database: str,
    limit: int = 0,
    **db: Any,
) -> StreamJob:
    config = StreamConfig.parse(
        {
            "name": "versions",
            "mode": "convert",
            "source": {
                "connections": [{"connectionId": "source", "database": from_database, "schema": "public"}],
                "options": {"workers": 1},
            },
            "target": {"id": "target", "spec": {"db": {"database": to_database, **db}}},
            "limits": {"numberOfEvents": limit},
        }
    )
    ends = {"source": running.connection(source), "target": running.connection(target)}
    return StreamJob(f"stream_versions_{next(_NUMBERS)}", config, ends)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.00", "0"),
        ("-10.50", "-10.5"),
        ("100", "100"),
        ("100.000", "100"),
        ("1e20", "100000000000000000000"),
        ("0.0001000", "0.0001"),
        ("NaN", "NaN"),
    ],
)
def test_trimmed_numbers(postgres: PostgresEndpoint, value: str, expected: str) -> None:
    column = Column("n", LogicalType(Kind.DECIMAL), "decimal")
    target = TargetColumn("n", "n", "numeric", "numeric")
    table = TargetTable(Table("d", "t", (column,)), "s", "t", (target,))
    read = ReadColumn("n", "`n`", Image.DECIMAL, pa.string(), column)
    digest = DigestColumn(read, target, Form.DECIMAL_TRIMMED, None)
    for version in (120000, 130000):
        if version <= postgres.server_version:
            sql = PostgresDigestSql(table, HashFunction.MD5, version=version).field_text(digest)
            assert postgres.scalar(f"SELECT {sql} FROM (SELECT '{value}'::numeric AS n) t") == expected


@pytest.mark.parametrize("delimiter", ["@", "--", "aa", "äö"])
@pytest.mark.parametrize("text", ["", "x", "a@b@", "a---b", "aaa", "aaaa", "äöäöä", None])
def test_the_last_part_of_a_text(
    mariadb: MysqlEndpoint, postgres: PostgresEndpoint, text: str | None, delimiter: str
) -> None:
    theirs = mariadb.scalar("SELECT substring_index(%s, %s, -1)", (text, delimiter))
    for version in (130000, 140000):
        if version <= postgres.server_version:
            columns = {"s": ("s", Term("s", Meaning.TEXT))}
            scope = Scope(Purpose.GENERATED, columns, server_version=version)
            sql = translate(f"substring_index(s, '{delimiter}', -1)", scope).term.sql
            assert postgres.scalar(f"SELECT {sql} FROM (SELECT %s::text AS s) t", (text,)) == theirs


# From which version on, statements, and what the catalog then says: notes, or columns that may be NULL.
CATALOG: list[tuple[int, str, str, list[str]]] = [
    (
        180000,
        "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, NULL);"
        "ALTER TABLE t ADD CONSTRAINT n NOT NULL a NOT VALID",
        "a",
        ["NOT NULL of t.a is not valid: it is not carried"],
    ),
    (180000, "CREATE TABLE t (id int PRIMARY KEY, a int CONSTRAINT n NOT NULL)", "", []),
    (
        180000,
        "CREATE EXTENSION btree_gist;"
        "CREATE TABLE t (id int, a daterange, CONSTRAINT k PRIMARY KEY (id, a WITHOUT OVERLAPS));"
        "CREATE TABLE u (b daterange, id int,"
        " CONSTRAINT f FOREIGN KEY (id, PERIOD b) REFERENCES t (id, PERIOD a));"
        "INSERT INTO t VALUES (1, '[2024-01-01,2025-01-01)');"
        "INSERT INTO u VALUES ('[2024-02-01,2024-03-01)', 1)",
        "",
        [
            "primary key k of t is WITHOUT OVERLAPS: it is carried as a plain one",
            "foreign key f of u is of a PERIOD: it is not carried",
        ],
    ),
    (
        180000,
        "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, CONSTRAINT c CHECK (a > 0) NOT ENFORCED,"
        " CONSTRAINT f FOREIGN KEY (a) REFERENCES t NOT ENFORCED); INSERT INTO t VALUES (1, -1)",
        "",
        ["foreign key f of t is not enforced: it is not carried"],
    ),
    (120000, "CREATE TABLE t (id int PRIMARY KEY, a int)", "a", []),
]


@pytest.mark.parametrize("number", range(len(CATALOG)))
def test_structure_goes_over_by_version(
    postgres: PostgresEndpoint, postgres_database: str, number: int
) -> None:
    """slug: pgcat-later-constraints"""
    since, statements, nullable, notes = CATALOG[number]
    if since > postgres.server_version:  # as the last case, which every server has
        _, statements, nullable, notes = CATALOG[-1]
    source = postgres.database()
    postgres.execute(statements, database=source)
    _, report = running.finish(job(postgres, postgres, source, postgres_database))
    found = [note["message"] for note in report.plans[0]["notes"] if note["slug"] == "catalog"]
    assert found == notes
    query = "SELECT attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'a'"
    assert postgres.scalar(query, database=postgres_database) is not bool(nullable)
    assert postgres.query("TABLE t", database=postgres_database) == postgres.query("TABLE t", database=source)
    postgres.drop_database(source)


def test_virtual_columns(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """Virtual where the server has that, and not written. slug: same-expressions"""
    how = "VIRTUAL" if postgres.server_version >= 180000 else "STORED"
    source = postgres.database()
    postgres.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id * 2) {how}, w text);"
        "INSERT INTO t (id, w) VALUES (1, 'x'), (2, 'y')",
        database=source,
    )
    running.finish(job(postgres, postgres, source, postgres_database))
    for database in (source, postgres_database):
        assert postgres.query("TABLE t", database=database) == [(1, 2, "x"), (2, 4, "y")]
        kind = "SELECT attgenerated::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'v'"
        assert postgres.scalar(kind, database=database) == how[0].lower()
    # Into the table that is there now, and with a limit, for which rows are decoded.
    again = {"schemaPolicy": "validate_existing", "writeMode": "upsert"}
    outcome, _ = running.run(job(postgres, postgres, source, postgres_database, 1, **again))
    assert (outcome.status, outcome.rows) == ("EVENT_LIMIT_REACHED", 1)
    assert postgres.scalar("SELECT count(*) FROM t", database=postgres_database) == 2
    postgres.drop_database(source)


def test_infinite_intervals(
    postgres: PostgresEndpoint, postgres_database: str, mariadb: MysqlEndpoint
) -> None:
    """Undecoded, decoded, and where there are none. slugs: raw-ids, mysql-infinity"""
    endless = postgres.server_version >= 170000
    values = ["infinity", "-infinity"] if endless else ["1 day", "-1 day"]
    source = postgres.database()
    postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v interval);"
        f"INSERT INTO t VALUES (1, '{values[0]}'), (2, '{values[1]}'), (3, NULL)",
        database=source,
    )
    for limit in (0, 1000):
        again = {"schemaPolicy": "drop_and_recreate"}
        outcome, _ = running.run(job(postgres, postgres, source, postgres_database, limit, **again))
        assert outcome.rows == 3, outcome.error
        for database in (source, postgres_database):
            found = postgres.query("SELECT v::text FROM t ORDER BY id", database=database)
            assert found == [(f"{value}s" if value == "-1 day" else value,) for value in values] + [(None,)]
    for policy, shown in {
        "refuse": None,
        "null": [None, None, None],
        "sentinel": ["infinity", "-infinity", None],
    }.items():
        name = mariadb.database()
        outcome, _ = running.run(job(postgres, mariadb, source, name, policies={"infinity": policy}))
        if endless and shown is None:
            assert (outcome.error or {})["code"] == "VALUE_NOT_REPRESENTABLE"
        else:
            expected = shown if endless else ["P1D", "P-1D", None]
            assert [v for (v,) in mariadb.query("SELECT v FROM t ORDER BY id", database=name)] == expected
        mariadb.drop_database(name)
    postgres.drop_database(source)


def test_time_limits_of_the_database_do_not_end_a_session(
    postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """slug: pg-no-time-limits"""
    limits = {"statement_timeout": 90000, "idle_in_transaction_session_timeout": 90000}
    limits |= {"idle_session_timeout": 140000, "transaction_timeout": 170000}
    names = [name for name, since in limits.items() if since <= postgres.server_version]
    for name in names:
        postgres.execute(f"ALTER DATABASE {postgres_database} SET {name} = '77s'")
    with session.connect(running.connection(postgres), postgres_database) as opened:
        for name in names:
            assert opened.execute(f"SHOW {name}".encode()).fetchone() == ("0",)
