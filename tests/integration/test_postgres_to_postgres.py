"""PostgreSQL to PostgreSQL: every type and structure, compared by what both servers print and catalog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.endpoints import PostgresEndpoint
from engine.config import StreamConfig
from engine.streams.job import StreamJob
from tests import running
from tests.integration.postgres_versions import has_type

pytestmark = pytest.mark.integration

# Type, and values as the server reads them.
TYPES: list[tuple[str, list[str]]] = [
    ("smallint", ["-32768", "32767"]),
    ("bigint", ["-9223372036854775808", "9223372036854775807"]),
    ("numeric", ["NaN", "Infinity", "-Infinity", "1e-30", "123456789012345678901234567890.5"]),
    ("numeric(5,2)", ["-999.99", "0"]),
    ("numeric(3,-2)", ["99900", "-100"]),
    ("real", ["NaN", "-Infinity", "1e-45", "-0", "3.4028235e38"]),
    ("double precision", ["NaN", "Infinity", "5e-324", "-0", "0.1"]),
    ("money", ["-12.34", "92233720368547758.07"]),
    ("boolean", ["true", "false"]),
    ("text", ["", "é😀", "a'\\\"\n\t"]),
    ("varchar(3)", ["abc", "  "]),
    ("char(4)", ["ab", ""]),
    ('"char"', ["a", ""]),
    ("name", ["n" * 63]),
    ("bytea", ["\\x", "\\x00ff5c27"]),
    ("date", ["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "2024-02-29"]),
    ("timestamp", ["infinity", "-infinity", "0044-03-15 12:00:00 BC", "294246-12-31 23:59:59.999999"]),
    ("timestamptz", ["infinity", "2024-03-31 02:30:00+02", "4713-01-02 00:00:00+00 BC"]),
    ("timestamp(3)", ["2024-01-01 00:00:00.123"]),
    ("time", ["24:00:00", "00:00:00.000001"]),
    ("timetz", ["24:00:00+15:59", "12:30:00.5-03:30"]),
    ("interval", ["1 mon -2 days 03:04:05.000006", "-178000000 years", "00:00:00"]),
    ("interval day to second", ["3 days 04:05:06"]),
    ("bit(5)", ["10101", "00000"]),
    ("varbit", ["", "1", "101010101"]),
    ("uuid", ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    ("inet", ["10.0.0.1", "10.0.0.1/8", "::1"]),
    ("cidr", ["10.0.0.0/8", "::/0"]),
    ("macaddr", ["08:00:2b:01:02:03"]),
    ("macaddr8", ["08:00:2b:01:02:03:04:05"]),
    ("json", ['{"b": 1, "a": 1.10, "a": 2}', "null"]),
    ("jsonb", ['{"b": 12345678901234567890123, "a": [1.10, "\\u00e9"]}', "null"]),
    ("xml", ["<a>b</a>"]),
    ("point", ["(1,2.5)"]),
    ("path", ["[(0,0),(1,1)]", "((0,0),(1,1))"]),
    ("polygon", ["((0,0),(1,1),(1,0))"]),
    ("tsvector", ["'a':1 'cat':3A"]),
    ("tsquery", ["'a' & !'b'"]),
    ("int4range", ["empty", "[1,5)", "(,)"]),
    ("tstzrange", ['["2024-01-01 00:00:00+00",)']),
    ("nummultirange", ["{[1.5,2],[5,)}", "{}"]),
    ("integer[]", ["{}", "{1,NULL,3}", "[0:1]={7,8}", "{{1,2},{3,4}}"]),
    ("text[]", ['{"a,b",NULL,"NULL",""}']),
    ("numeric(6,2)[]", ["{1.50,NaN}"]),
    ("timestamptz[]", ['{"2024-01-01 00:00:00+00",infinity}']),
    ("oid", ["4294967295"]),
    ("pg_lsn", ["16/B374D848"]),
    ("jsonpath", ['$."a"[*]?(@ > 1)']),
]
STRUCTURE = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE parent (id integer GENERATED ALWAYS AS IDENTITY (START 50 INCREMENT 5) PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE);
CREATE TABLE child (
  id bigserial PRIMARY KEY, mood mood DEFAULT 'it''s ok', positive positive,
  "Odd ""name" integer[] DEFAULT '{1,2}',
  doubled bigint GENERATED ALWAYS AS (id * 2) STORED, made timestamptz NOT NULL DEFAULT now(),
  code uuid DEFAULT (md5((random())::text))::uuid, n numeric,
  parent integer REFERENCES parent ON DELETE CASCADE,
  CONSTRAINT n_is_small CHECK (n < 1000 AND "Odd ""name" IS NOT NULL));
CREATE INDEX by_made ON child (made DESC, parent);
CREATE TABLE part (id integer, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('a');
CREATE TABLE part_b PARTITION OF part FOR VALUES IN ('b');
CREATE TABLE base (a integer);
CREATE TABLE heir (b integer) INHERITS (base);
COMMENT ON TABLE child IS 'it''s a child';
COMMENT ON COLUMN child.n IS 'a number';
INSERT INTO parent (name) SELECT 'p' || i FROM generate_series(1, 10) i;
DELETE FROM parent WHERE id = 95;
INSERT INTO child (mood, positive, parent, n) SELECT 'sad', i, 50, i FROM generate_series(1, 100) i;
INSERT INTO part SELECT i, CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 10) i;
INSERT INTO base VALUES (1); INSERT INTO heir VALUES (2, 3);
"""


def job(postgres: PostgresEndpoint, source: str, target: str, limit: int = 0, **db: Any) -> StreamJob:
    config = StreamConfig.parse(
        {
            "name": "same",
            "mode": "convert",
            "source": {
                "connections": [{"connectionId": "source", "database": source, "schema": "public"}],
                "options": {"workers": 2},
            },
            "target": {"id": "target", "spec": {"db": {"database": target, "schema": "public", **db}}},
            "limits": {"numberOfEvents": limit},
        }
    )
    ends = {"source": running.connection(postgres), "target": running.connection(postgres)}
    return StreamJob("stream_same", config, ends)


@pytest.fixture(scope="module")
def types(postgres: PostgresEndpoint) -> Iterator[str]:
    """A table a type, and one with all of them."""
    name = postgres.database()
    with postgres.connect(name) as session:
        known = [case for case in TYPES if has_type(postgres.server_version, case[0])]
        columns = ", ".join(f"c{number} {type_}" for number, (type_, _) in enumerate(known))
        session.execute(f"CREATE TABLE whole (id integer PRIMARY KEY, {columns})".encode())
        rows = max(len(values) for _, values in known)
        for row in range(rows + 1):  # the last is NULL all over
            given = {
                f"c{number}": values[row] for number, (_, values) in enumerate(known) if row < len(values)
            }
            marks = ", ".join(f"%s::{known[int(key[1:])][0]}" for key in given)
            into, values = ", ".join(["id", *given]), ", ".join(filter(None, ["%s", marks]))
            insert = f"INSERT INTO whole ({into}) VALUES ({values})"
            session.execute(insert.encode(), [row, *given.values()])
    yield name
    postgres.drop_database(name)


def printed(postgres: PostgresEndpoint, database: str, table: str) -> list[Any]:
    return postgres.query(f"SELECT t::text FROM {table} t ORDER BY 1", database=database)


def test_every_type_passes_as_it_is(postgres: PostgresEndpoint, types: str, postgres_database: str) -> None:
    """slug: same-types"""
    stream = job(postgres, types, postgres_database)
    outcome, _ = running.finish(stream)
    assert {note["slug"] for note in outcome.notes if note["severity"] != "info"} <= {"array-bounds"}
    assert printed(postgres, postgres_database, "whole") == printed(postgres, types, "whole")
    query = (
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'whole'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert postgres.query(query, database=postgres_database) == postgres.query(query, database=types)
    assert running.verify(stream)["equal"] is True


def test_moments_beyond_microseconds_are_compared_by_their_text(
    postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """slug: same-moments"""
    source = postgres.database()
    postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a timestamp, b timestamptz, c timestamp(0));"
        "INSERT INTO t VALUES (1, '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', NULL),"
        " (2, '294247-01-10 04:00:54.775807', 'infinity', '294276-12-31'),"
        " (3, '-infinity', '4713-01-02 00:00:00+00 BC', '2024-01-01'), (4, NULL, now(), 'infinity')",
        database=source,
    )
    stream = job(postgres, source, postgres_database)
    running.finish(stream)
    assert printed(postgres, postgres_database, "t") == printed(postgres, source, "t")
    assert running.verify(stream)["equal"] is True
    change = "UPDATE t SET b = b - interval '1 microsecond' WHERE id = 1"
    postgres.execute(change, database=postgres_database)
    found = running.verify(stream)
    postgres.drop_database(source)
    assert found["equal"] is False
    assert [(d["key"], d["columns"]) for d in found["tables"][0]["differences"]] == [({"id": "1"}, ["b"])]


def test_structure(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """Defaults, identities past their counters, generated columns, checks, keys; partitions as one table,
    an inherited table by its own rows. slugs: same-structure, same-expressions"""
    source = postgres.database()
    postgres.execute(STRUCTURE, database=source)
    stream = job(postgres, source, postgres_database)
    running.finish(stream)
    for table in ("parent", "child", "part", "heir"):
        assert printed(postgres, postgres_database, table) == printed(postgres, source, table)
    assert printed(postgres, postgres_database, "base") == [("(1)",)]
    assert running.verify(stream)["equal"] is True
    made = (
        'INSERT INTO child (positive, parent) VALUES (1, 55) RETURNING id, doubled, mood::text, "Odd ""name"'
    )
    assert postgres.query(made, database=postgres_database) == [(101, 202, "it's ok", [1, 2])]
    identity = "INSERT INTO parent (name) VALUES ('new') RETURNING id"
    ((fresh,),) = postgres.query(identity, database=postgres_database)
    assert fresh >= 100  # the source's counter stands behind 95, whose row is gone
    indexes = "SELECT indexname FROM pg_indexes WHERE tablename = 'child' ORDER BY 1"
    assert postgres.query(indexes, database=postgres_database) == postgres.query(indexes, database=source)
    for query in (
        "SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint"
        " WHERE conrelid = 'child'::regclass AND contype IN ('c', 'f') ORDER BY 1",
        "SELECT obj_description('child'::regclass), col_description('child'::regclass, 9)",
        "SELECT pg_get_indexdef('by_made'::regclass)",
    ):
        assert postgres.query(query, database=postgres_database) == postgres.query(query, database=source)
    postgres.drop_database(source)


def test_a_limit_counts_decoded_rows(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """slugs: limit-rows, same-types"""
    source = postgres.database()
    postgres.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, b text, c timestamptz, d bytea);"
        "INSERT INTO t SELECT i, 'x' || i, now(), '\\x00' FROM generate_series(1, 5000) i",
        database=source,
    )
    outcome, _ = running.run(job(postgres, source, postgres_database, 1234))
    assert (outcome.status, outcome.rows) == ("EVENT_LIMIT_REACHED", 1234)
    assert postgres.scalar("SELECT count(*) FROM t", database=postgres_database) == 1234
    postgres.drop_database(source)


def test_what_the_target_does_not_have(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """A composite as text, arrays of it as JSON, a collation left behind, a default that calls a function of
    the source's own. slugs: foreign-type, foreign-collation, same-expressions"""
    source = postgres.database()
    postgres.execute(
        "CREATE TYPE pair AS (a integer, b text);"
        "CREATE FUNCTION seven() RETURNS integer LANGUAGE sql AS 'SELECT 7';"
        "CREATE TABLE t (id integer PRIMARY KEY, p pair, ps pair[], n integer DEFAULT seven(),"
        ' w text COLLATE "en-x-icu");'
        "INSERT INTO t VALUES (1, '(1,\"x y\")', ARRAY['(2,z)'::pair], 3, 'é')",
        database=source,
    )
    _, report = running.finish(job(postgres, source, postgres_database))
    slugs = {note["slug"] for note in report.plans[0]["notes"]}
    assert slugs >= {"foreign-type", "foreign-collation", "default-dropped"}
    query = "SELECT id, p::text, (ps->>0), n, w FROM t"
    assert postgres.query(query, database=postgres_database) == [(1, '(1,"x y")', "(2,z)", 3, "é")]
    postgres.drop_database(source)


def test_every_type_decoded(postgres: PostgresEndpoint, types: str, postgres_database: str) -> None:
    """Rows that are counted are decoded, and loaded by text COPY where a type has no binary form here. Only
    bounds of arrays are lost. slugs: own-type, array-literal, text-copy"""
    outcome, _ = running.run(job(postgres, types, postgres_database, 1000))
    assert (outcome.status, outcome.rows) == ("FINISHED", 6), outcome.error
    named = (
        "SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'whole'::regclass"
    )
    ((columns,),) = postgres.query(f"{named} AND attnum > 0", database=types)
    for column in columns:
        query = f"SELECT {column}::text FROM whole ORDER BY id"
        expected = [
            (text.replace("[0:1]={", "{") if text else text,)
            for (text,) in postgres.query(query, database=types)
        ]
        assert postgres.query(query, database=postgres_database) == expected, column


def test_extensions_on_both_sides(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """Types of extensions are qualified, so their rows are decoded: hstore and ltree by their own text,
    citext as text, an enum by its label. slugs: own-type, same-types"""
    extensions = "CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree;"
    source = postgres.database()
    postgres.execute(
        f"{extensions} CREATE TYPE mood AS ENUM ('sad', 'ok');"
        "CREATE TABLE t (id integer PRIMARY KEY, h hstore, c citext, l ltree, m mood, d interval, n numeric,"
        " i integer[], r regclass, t timestamptz, b bytea, f double precision, x bit(5));"
        "INSERT INTO t VALUES (1, 'a=>\"x\\\\y\", b=>NULL', 'Tab\tNew\nLine\\', 'top.sub', 'ok',"
        " '1 mon -1 day', 'NaN', '{{1,NULL},{2,3}}', 'pg_class',"
        " '0044-03-15 12:00:00.5+00 BC', '\\x005c0a', 0.1, '10101'),"
        " (2, NULL, NULL, NULL, NULL, NULL, NULL, '{}', NULL, 'infinity', '', '-Infinity', NULL)",
        database=source,
    )
    postgres.execute(extensions, database=postgres_database)
    stream = job(postgres, source, postgres_database)
    running.finish(stream)
    assert printed(postgres, postgres_database, "t") == printed(postgres, source, "t")
    assert postgres.query(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass"
        " AND attnum IN (2, 3, 4) ORDER BY attnum",
        database=postgres_database,
    ) == [("hstore",), ("citext",), ("ltree",)]
    postgres.drop_database(source)


def test_source_types_are_kept_beside_the_data(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """What changed, by table and column; a stream from there does not carry the table. slug: source-types"""
    source = postgres.database()
    postgres.execute(
        "CREATE TYPE pair AS (a integer, b text);"
        "CREATE TABLE t (id integer PRIMARY KEY, p pair, n numeric(5,2)); CREATE TABLE same (id integer);"
        "INSERT INTO t VALUES (1, '(1,x)', 2)",
        database=source,
    )
    running.finish(job(postgres, source, postgres_database))
    running.finish(job(postgres, source, postgres_database, schemaPolicy="drop_and_recreate"))
    kept = 'SELECT "table", "column", dialect, source_schema, source_type, policy FROM _dbstreams_types'
    assert postgres.query(kept, database=postgres_database) == [
        ("t", "p", "postgres", "public", "public.pair", "text")
    ]
    third = postgres.database()
    running.finish(job(postgres, postgres_database, third))
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^_' ORDER BY 1"
    assert postgres.query(tables, database=third) == [("same",), ("t",)]
    for name in (source, third):
        postgres.drop_database(name)
