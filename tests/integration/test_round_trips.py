"""There and back again: data that went through other systems equals what it was, by the servers' own word."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine import ids
from engine.config import Connection, StreamConfig
from engine.streams.job import StreamJob
from tests import running

pytestmark = pytest.mark.integration

MYSQL_TABLE = """
CREATE TABLE t (
  id bigint unsigned NOT NULL PRIMARY KEY, tiny tinyint, small smallint unsigned, whole int,
  price decimal(20,5), big decimal(65,30), ratio double, single float, flags bit(5), made year,
  day date, at datetime(6), seen timestamp(3) NULL, took time(2), name varchar(40) COLLATE utf8mb4_bin,
  code char(6) CHARACTER SET latin1, note mediumtext, raw varbinary(20), image longblob,
  mood enum('sad','it''s ok',''), tags set('a','b','c'), doc json, uni varchar(20) CHARACTER SET utf16,
  place point, shape geometry
) DEFAULT CHARSET utf8mb4;
INSERT INTO t VALUES
  (1, -128, 65535, -2147483648, '-123456789012345.67891',
   '99999999999999999999999999999999999.123456789012345678901234567890',
   0.1, 16777216, b'10101', 1901, '1000-01-01', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01.001',
   '-838:59:59.00', 'é😀\\'"\\\\', 'ab', 'line\\nline\\ttab', x'00ff', x'89504e470d0a1a0a', 'sad', 'a,c',
   '{"a": [1, 2.50, null], "b": "é"}', 'ünï', ST_GeomFromText('POINT(1 2)'),
   ST_GeomFromText('LINESTRING(0 0,1 1.5)', 4326)),
  (18446744073709551615, 127, 0, 2147483647, 0, 0, 1.7976931348623157e308, -1.5, b'00000', 0,
   '9999-12-31', '1000-01-01 00:00:00', '2038-01-19 03:14:07.999', '838:59:59', '', '', '', '', '',
   'it''s ok', '', '[]', '', NULL, NULL),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE nothing (a int, b text);
CREATE TABLE single (a varchar(5)); INSERT INTO single VALUES (NULL), (''), ('NULL'), ('x');
"""
OF_ONE_FLAVOR = {
    "mariadb": "CREATE TABLE own (id int PRIMARY KEY, u uuid, four inet4, six inet6);"
    " INSERT INTO own VALUES (1, '00010203-0405-0607-0809-0a0b0c0d0e0f', '192.0.2.1', '2001:db8::1'),"
    " (2, NULL, '0.0.0.0', '::ffff:192.0.2.1')",
    "mysql": "CREATE TABLE own (id int PRIMARY KEY, v vector(3), place point SRID 4326, low varchar(9)"
    " COLLATE utf8mb4_0900_ai_ci); INSERT INTO own VALUES (1, STRING_TO_VECTOR('[1,2.5,-0.1]'),"
    " ST_GeomFromText('POINT(1 2)', 4326), 'É'), (2, NULL, NULL, NULL)",
}
POSTGRES_TABLE = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'ok');
CREATE TABLE t (
  id integer PRIMARY KEY, flag boolean, big bigint, price numeric(20,5), ratio double precision, single real,
  name text, code varchar(10), raw bytea, day date, at timestamp, seen timestamptz, took time, uid uuid,
  doc jsonb, exact json, span interval, ints integer[], words text[], fixed char(4), bits bit(5),
  loose bit varying(9), state mood, host inet, net cidr, mac macaddr, range int4range, moments tstzrange,
  many int8multirange, found tsvector, page xml, place point, grid numeric(4,1)[][]);
INSERT INTO t VALUES
  (1, true, 9223372036854775807, -123456789012345.67891, 0.1, 1.5, E'é😀\\'"\\\\ \\n', 'ab', '\\x00ff',
   '2024-02-29', '2024-01-01 12:00:00.123456', '2024-01-01 12:00:00.5+02', '23:59:59.999999',
   '00010203-0405-0607-0809-0a0b0c0d0e0f', '{"a": [1, 2.5], "b": null}', '{"b": 1,  "a": 1.10}',
   '1 year 2 mons -3 days 04:05:06.789', '{1,NULL,3}', '{"a,b",NULL,"NULL",""}', 'ab', B'10101', B'011',
   'it''s ok', '192.0.2.1/24', '2001:db8::/32', '08:00:2b:01:02:03', '[1,5)',
   '["2024-01-01 00:00:00+00",)', '{[1,3),[7,9)}', 'a:1 b:2C', '<a>é</a>', '(1.5,-2)',
   '{{1.5,2},{NULL,4}}'),
  (2, false, -1, 0, -0.5, 0, '', '', '', '0001-01-01', '1000-01-01 00:00:00', '1970-01-01 00:00:00+00',
   '00:00:00', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '[]', 'null', '-00:00:00.5', '{}', '{}', '', B'00000',
   B'', 'sad', '::1', '10.0.0.0/8', 'ff:ff:ff:ff:ff:ff', 'empty', 'empty', '{}', '', '', '(0,0)', '{}');
INSERT INTO t (id) VALUES (3);
CREATE TABLE single (a varchar(5)); INSERT INTO single VALUES (NULL), (''), ('NULL'), ('x');
"""


@dataclass(slots=True)
class Place:
    """One end: how to read from it and write to it, and what its server prints."""

    connection: Connection
    source: dict[str, Any]
    target: dict[str, Any]
    printed: Callable[[], set[Any]] = set


@dataclass(slots=True)
class World:
    mariadb: MysqlEndpoint
    postgres: PostgresEndpoint
    mysql: MysqlEndpoint | None
    folder: Path
    made: list[tuple[MysqlEndpoint | PostgresEndpoint, str]] = field(default_factory=list)
    count: int = 0

    def server(self, kind: str) -> Any:
        return {"mariadb": self.mariadb, "mysql": self.mysql, "postgres": self.postgres}[kind]

    def place(self, kind: str, **policies: Any) -> Place:
        self.count += 1
        if kind in ("mariadb", "mysql", "postgres"):
            server = self.server(kind)
            name = server.database()
            self.made.append((server, name))
            spec = {"database": name, "policies": policies}
            printed = _postgres_prints if kind == "postgres" else _mysql_prints
            return Place(
                running.connection(server), {"database": name}, {"db": spec}, lambda: printed(server, name)
            )
        if kind == "duckdb":
            body = {
                "name": "d",
                "type": "duckdb",
                "spec": {"duckdb": {"path": str(self.folder / f"{self.count}.duckdb")}},
            }
            return Place(Connection.parse(body), {}, {"db": {"policies": policies}})
        if kind.startswith("json"):
            policies["json"] = "text"  # a nested null of a JSON file cannot be told from NULL
        base = self.folder / f"files{self.count}"
        base.mkdir()
        body = {"name": "f", "type": "files", "spec": {"files": {"basePath": str(base)}}}
        return Place(
            Connection.parse(body), {"files": {}}, {"files": {"fileFormat": kind, "policies": policies}}
        )

    def move(self, source: Place, target: Place) -> None:
        config = StreamConfig.parse(
            {
                "name": "leg",
                "mode": "convert",
                "source": {"connections": [{"connectionId": "s", **source.source}]},
                "target": {"id": "t", "spec": target.target},
            }
        )
        stream = StreamJob(ids.new("stream"), config, {"s": source.connection, "t": target.connection})
        running.finish(stream)
        running.cleanup(stream)
        result = running.verify(stream)
        assert result["equal"] is True, [table["differences"] for table in result["tables"]]


def _mysql_prints(server: MysqlEndpoint, database: str) -> set[tuple[Any, ...]]:
    """Each column's type and each cell, as the server prints them."""
    found: set[tuple[Any, ...]] = set()
    for (table,) in server.query("SHOW TABLES", database=database):
        if table.startswith("_dbstreams"):
            continue
        columns = server.query(
            "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COLLATION_NAME FROM information_schema.COLUMNS"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            (database, table),
        )
        first = columns[0][0]
        for name, kind, type_, collation in columns:
            found.add((table, name, type_, collation))
            raw = kind in ("bit", "blob", "longblob", "varbinary", "point", "geometry", "vector")
            shown = f"HEX(`{name}`)" if raw else f"HEX(CONVERT(`{name}` USING utf8mb4))"
            rows = server.query(f"SELECT `{first}`, {shown} FROM `{table}`", database=database)
            found |= {(table, name, key, value) for key, value in rows}
    return found


def _postgres_prints(server: PostgresEndpoint, database: str) -> set[tuple[Any, ...]]:
    """Each column's type and each cell, as the server prints them."""
    columns = server.query(
        "SELECT relname, attname, format_type(atttypid, atttypmod), attnum FROM pg_class JOIN pg_attribute"
        " ON attrelid = pg_class.oid WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND attnum > 0 AND relname NOT LIKE '\\_dbstreams%%'",
        database=database,
    )
    firsts = {table: name for table, name, _, number in columns if number == 1}
    found = {(table, name, type_) for table, name, type_, _ in columns}
    for table, name, *_ in columns:
        rows = server.query(f'SELECT "{firsts[table]}"::text, "{name}"::text FROM {table}', database=database)
        found |= {(table, name, key, value) for key, value in rows}
    return found


@pytest.fixture
def world(
    request: pytest.FixtureRequest, mariadb: MysqlEndpoint, postgres: PostgresEndpoint, tmp_path: Path
) -> Iterator[World]:
    mysql = request.getfixturevalue("mysql") if os.environ.get("DBSTREAMS_TEST_MYSQL_URL") else None
    made = World(mariadb, postgres, mysql, tmp_path)
    yield made
    for server, name in made.made:
        server.drop_database(name)


def go(world: World, start: Place, legs: Sequence[str]) -> Place:
    here = start
    for leg in legs:
        there = world.place(leg)
        world.move(here, there)
        here = there
    return here


@pytest.mark.parametrize(
    "legs",
    [
        ["mariadb"],
        ["postgres", "mariadb"],
        ["parquet", "mariadb"],
        ["csv", "mariadb"],
        ["jsonl", "mariadb"],
        ["json", "mariadb"],
        ["duckdb", "mariadb"],
        ["postgres", "parquet", "mariadb"],
        ["parquet", "postgres", "csv", "duckdb", "mariadb"],
        ["mysql", "postgres", "mariadb"],
    ],
    ids="-".join,
)
def test_mariadb_there_and_back(world: World, legs: Sequence[str]) -> None:
    """slug: round-trip"""
    there_and_back(world, "mariadb", legs)


@pytest.mark.parametrize(
    "legs",
    [["postgres", "mysql"], ["duckdb", "mysql"], ["mariadb", "jsonl", "mysql"]],
    ids="-".join,
)
def test_mysql_there_and_back(world: World, legs: Sequence[str]) -> None:
    """slug: round-trip"""
    there_and_back(world, "mysql", legs)


def there_and_back(world: World, flavor: str, legs: Sequence[str]) -> None:
    if "mysql" in (flavor, *legs) and world.mysql is None:
        pytest.skip("there is no MySQL")
    start = world.place(flavor)
    server = world.server(flavor)
    server.execute(MYSQL_TABLE, database=start.source["database"])
    server.execute(OF_ONE_FLAVOR[flavor], database=start.source["database"])
    assert go(world, start, legs).printed() ^ start.printed() == set()


@pytest.mark.parametrize(
    "legs",
    [
        ["postgres"],
        ["parquet", "postgres"],
        ["csv", "postgres"],
        ["jsonl", "postgres"],
        ["duckdb", "postgres"],
        ["mariadb", "postgres"],
        ["mysql", "duckdb", "postgres"],
        ["parquet", "duckdb", "jsonl", "postgres"],
    ],
    ids="-".join,
)
def test_postgres_there_and_back(world: World, legs: Sequence[str]) -> None:
    """slug: round-trip"""
    if "mysql" in legs and world.mysql is None:
        pytest.skip("there is no MySQL")
    start = world.place("postgres")
    world.postgres.execute(POSTGRES_TABLE, database=start.source["database"])
    assert go(world, start, legs).printed() ^ start.printed() == set()
