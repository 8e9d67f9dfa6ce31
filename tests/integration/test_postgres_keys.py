"""Indexes and foreign keys on a real PostgreSQL: every type, long keys, text without case, orphans."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from benchmarks.endpoints import PostgresEndpoint
from engine.config import Policies
from engine.connectors.base import Phase
from engine.connectors.postgres.mapping import MapOptions, map_database
from engine.schema import Check, Column, Database, ForeignKey, Generated, Index, IndexMethod, IndexPart, Table
from engine.types import Kind, LogicalType
from tests.integration.structure_runs import Session, after_data, before_data, carry_out

pytestmark = pytest.mark.integration

INT, BIG = LogicalType(Kind.INT32), LogicalType(Kind.INT64)
UNSIGNED = LogicalType(Kind.INT64, unsigned=True)
TEXT = LogicalType(Kind.VARCHAR, length=50)


@pytest.fixture
def session(postgres: PostgresEndpoint, postgres_database: str) -> Iterator[Session]:
    """A session that finds nothing by search_path, as those of the engine."""
    with postgres.connect(postgres_database, options="-c search_path=pg_catalog -c timezone=UTC") as opened:
        yield opened


def one(session: Session, query: str, *values: Any) -> Any:
    row = session.execute(query.encode(), values or None).fetchone()
    assert row is not None
    return row[0]


def names(session: Session, query: str, *values: Any) -> list[Any]:
    return [row[0] for row in session.execute(query.encode(), values or None).fetchall()]


def key(name: str = "id") -> tuple[IndexPart, ...]:
    return (IndexPart(name),)


def test_orphans_leave_a_key_not_valid(session: Session) -> None:
    """orphans: NOT VALID goes in, VALIDATE fails with the key's name."""
    parent = Table("d", "p", (Column("id", INT, "", False),), primary_key=key())
    child = Table(
        "d", "c", (Column("p", INT, ""),), foreign_keys=(ForeignKey("f", ("p",), "d", "p", ("id",)),)
    )
    database = map_database(Database("d", (child, parent)), MapOptions("s"))
    carry_out(session, database, before_data())
    session.execute(b"INSERT INTO s.c VALUES (1)")
    carry_out(session, database, [p for p in after_data() if p is not Phase.VALIDATE])
    with pytest.raises(AssertionError, match="violates foreign key constraint"):
        carry_out(session, database, [Phase.VALIDATE])
    session.execute(b"DELETE FROM s.c")
    assert len(carry_out(session, database, [Phase.VALIDATE])) == 1
    assert carry_out(session, database, [Phase.VALIDATE]) == []


@pytest.mark.parametrize(
    ("parent_key", "indexes", "refers", "made"),
    [
        (key(), (), ("id",), True),
        ((IndexPart("a"), IndexPart("b")), (), ("b", "a"), True),
        ((IndexPart("a"), IndexPart("b")), (), ("a",), False),
        ((), (Index("u", (IndexPart("a"),), unique=True),), ("a",), True),
        ((), (Index("u", (IndexPart("a"),)),), ("a",), False),
        ((), (Index("u", (IndexPart("v", prefix=3),), unique=True),), ("v",), False),
        ((), (Index("u", (IndexPart("A"),), unique=True),), ("a",), True),
        ((), (), ("missing",), False),
    ],
)
def test_parents_have_to_be_unique(
    session: Session,
    parent_key: tuple[IndexPart, ...],
    indexes: tuple[Index, ...],
    refers: tuple[str, ...],
    made: bool,
) -> None:
    columns = (*(Column(name, INT, "", False) for name in ("id", "a", "b")), Column("v", TEXT, "", False))
    parent = Table("d", "p", columns, primary_key=parent_key, indexes=indexes)
    mine = tuple(f"c{name}" for name in refers)
    logical = TEXT if refers == ("v",) else INT
    child = Table(
        "d",
        "c",
        tuple(Column(name, logical, "") for name in mine),
        foreign_keys=(ForeignKey("f", mine, "d", "P", refers),),
    )
    database = map_database(Database("d", (child, parent)), MapOptions("s"))
    carry_out(session, database)
    assert names(session, "SELECT conname FROM pg_constraint WHERE contype = 'f'") == (["f"] if made else [])
    slugs = [note.slug for note in database.tables[0].notes]
    assert ("foreign-key-skipped" in slugs) is not made


KINDS = {
    "i": INT, "big": BIG, "num": UNSIGNED, "f": LogicalType(Kind.FLOAT64), "v": TEXT,
    "b": LogicalType(Kind.VARBINARY, length=50), "d": LogicalType(Kind.DATE),
    "ts": LogicalType(Kind.TIMESTAMP), "dt": LogicalType(Kind.DATETIME),
    "u": LogicalType(Kind.UUID), "e": LogicalType(Kind.ENUM, labels=("a",)),
    "e2": LogicalType(Kind.ENUM, labels=("b",)), "bit": LogicalType(Kind.BIT, length=3),
    "set": LogicalType(Kind.SET, labels=("a",)), "t": LogicalType(Kind.TIME),
}  # fmt: skip


@pytest.mark.parametrize("parent_kind", list(KINDS))
def test_joinable_is_what_postgres_says(session: Session, parent_kind: str) -> None:
    """Every pair of types: a foreign key is made exactly where PostgreSQL takes it."""
    parent = Table("d", "p", (Column("id", KINDS[parent_kind], "", False),), primary_key=key())
    for logical in KINDS.values():
        child = Table(
            "d", "c", (Column("x", logical, ""),), foreign_keys=(ForeignKey("f", ("x",), "d", "p", ("id",)),)
        )
        database = map_database(Database("d", (child, parent)), MapOptions("s"))
        carry_out(session, database)
        if not names(session, "SELECT 1 FROM pg_constraint WHERE contype = 'f'"):
            with pytest.raises(psycopg.Error):
                session.execute(b"ALTER TABLE s.c ADD FOREIGN KEY (x) REFERENCES s.p (id)")
        session.execute(b"DROP SCHEMA s CASCADE")


INDEXABLE = {
    **KINDS, "j": LogicalType(Kind.JSON), "jt": LogicalType(Kind.JSON_TEXT),
    "tx": LogicalType(Kind.TEXT), "bl": LogicalType(Kind.BLOB), "vec": LogicalType(Kind.VECTOR, length=2),
    "g": LogicalType(Kind.GEOMETRY), "i6": LogicalType(Kind.INET6), "y": LogicalType(Kind.YEAR),
    "m": LogicalType(Kind.DECIMAL, precision=5, scale=2), "fl": LogicalType(Kind.FLOAT32),
}  # fmt: skip


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("method", [IndexMethod.BTREE, IndexMethod.HASH])
def test_every_type_can_be_indexed(session: Session, unique: bool, method: IndexMethod) -> None:
    columns = tuple(Column(name, logical, "") for name, logical in INDEXABLE.items())
    indexes = [Index(name, (IndexPart(name),), unique, method) for name in INDEXABLE]
    indexes += [Index(f"{name} i", (IndexPart(name), IndexPart("i")), unique, method) for name in INDEXABLE]
    indexes += [
        Index(f"{name} p", (IndexPart(name, prefix=3),), unique, method)
        for name in ("v", "b", "tx", "bl", "jt")
    ]
    database = map_database(
        Database("d", (Table("d", "t", columns, indexes=tuple(indexes)),)), MapOptions("s")
    )
    carry_out(session, database)
    assert one(session, "SELECT count(*) FROM pg_index WHERE indrelid = 's.t'::regclass") == len(indexes)


def test_prefix_unique_means_the_prefix(session: Session) -> None:
    columns = (Column("v", TEXT, ""), Column("b", LogicalType(Kind.BLOB), ""))
    indexes = (
        Index("v", (IndexPart("v", prefix=3),), unique=True),
        Index("b", (IndexPart("b", prefix=2),), unique=True),
    )
    database = map_database(Database("d", (Table("d", "t", columns, indexes=indexes),)), MapOptions("s"))
    carry_out(session, database)
    session.execute(
        b"INSERT INTO s.t VALUES ('abcd', '\\x0102'), ('abd', '\\x0103'), (NULL, NULL), (NULL, NULL)"
    )
    for values in ("('abcx', NULL)", "(NULL, '\\x010299')"):
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.execute(f"INSERT INTO s.t VALUES {values}".encode())


@pytest.mark.parametrize(
    ("unique", "parts", "expected"),
    [
        (False, ("v",), "USING hash (v)"),
        (True, ("v",), "USING btree (md5(v))"),
        (True, ("b",), "USING btree (sha256(b))"),
        (False, ("v", "i"), "USING btree (md5(v), i)"),
        (True, ("j",), "USING btree (md5((j)::text))"),
    ],
)
def test_long_keys(session: Session, unique: bool, parts: tuple[str, ...], expected: str) -> None:
    """long-keys: what a scan found too long for a btree entry goes in as a digest, and holds such values."""
    columns = (
        Column("v", LogicalType(Kind.TEXT), ""),
        Column("b", LogicalType(Kind.BLOB), ""),
        Column("j", LogicalType(Kind.JSON_TEXT), ""),
        Column("i", INT, ""),
    )
    table = Table("d", "t", columns, indexes=(Index("k", tuple(IndexPart(p) for p in parts), unique),))
    long = SimpleNamespace(min=None, max=None, zero_dates=0, empty_enum=0, max_octets=9000, lossy_text=0)
    facts: Any = SimpleNamespace(columns={"v": long, "b": long, "j": long})
    database = map_database(Database("d", (table,)), MapOptions("s", facts={"t": facts}))
    carry_out(session, database, before_data())
    session.execute(
        b"INSERT INTO s.t SELECT string_agg(md5(n::text), ''), string_agg(sha256(n::text::bytea), ''),"
        b" to_json(string_agg(md5(n::text), '')), 1 FROM generate_series(1, 280) n"
    )
    carry_out(session, database, after_data())
    assert expected in one(session, "SELECT indexdef FROM pg_indexes WHERE indexname = 't_k'")
    if unique:
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.execute(b"INSERT INTO s.t SELECT * FROM s.t")


@pytest.mark.parametrize("policy", ["citext", "icu"])
def test_keys_without_case(session: Session, policy: str) -> None:
    """unique-case: with the policy the key refuses what the source would refuse; children refer to it."""
    session.execute(b"CREATE EXTENSION citext SCHEMA public")
    collation = "utf8mb4_general_ci"
    text = Column("k", TEXT, "", False, collation=collation)
    long = Column("v", LogicalType(Kind.TEXT), "", collation=collation)
    parent = Table(
        "d",
        "p",
        (
            text,
            long,
            Column("g", TEXT, "", generated=Generated("concat(`k`, '!')", True), collation=collation),
        ),
        primary_key=key("k"),
        indexes=(
            Index("v", (IndexPart("v", prefix=4),), True),
            Index("g", (IndexPart("g"),)),
            Index("f", (IndexPart("v"), IndexPart("k")), method=IndexMethod.FULLTEXT),
        ),
        checks=(
            Check("c1", "`k` like 'a%' or `k` in ('X', 'y')"),
            Check("c2", "substring_index(`k`, 'z', 1) <> ''"),
        ),
    )
    child = Table("d", "c", (text,), foreign_keys=(ForeignKey("f", ("k",), "d", "p", ("k",)),))
    options = MapOptions(
        "s",
        Policies.model_validate({"caseInsensitiveText": policy}),
        extensions=frozenset({"citext"}),
    )
    database = map_database(Database("d", (child, parent)), options)
    carry_out(session, database)
    session.execute(b"INSERT INTO s.p VALUES ('abc', 'long one')")
    session.execute(b"INSERT INTO s.c VALUES ('ABC')")
    for values in ("('ABC', NULL)", "('x', 'LONGer')"):
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.execute(f"INSERT INTO s.p VALUES {values}".encode())
    session.execute(b"SET search_path = public")
    assert one(session, "SELECT v FROM s.p WHERE k = 'aBc'") == "long one"
    with pytest.raises((psycopg.errors.CheckViolation, psycopg.errors.StringDataRightTruncation)):
        session.execute(b"INSERT INTO s.p VALUES (%s, NULL)", ("a" * 51,))
