"""Mapped structures carried out on a real PostgreSQL, twice, and looked at in its own catalog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from benchmarks.endpoints import PostgresEndpoint
from engine.config import StructureOptions
from engine.connectors.base import Phase
from engine.connectors.postgres import ddl
from engine.connectors.postgres.identifiers import qualified, quote
from engine.connectors.postgres.mapping import MapOptions, map_database
from engine.schema import (
    Check,
    Column,
    Database,
    Default,
    ForeignKey,
    Generated,
    Index,
    IndexMethod,
    IndexPart,
    Sequence,
    Table,
)
from engine.types import Kind, LogicalType
from tests.integration.structure_runs import Session, after_data, before_data, carry_out, statements

pytestmark = pytest.mark.integration

INT, BIG = LogicalType(Kind.INT32), LogicalType(Kind.INT64)
TEXT = LogicalType(Kind.VARCHAR, length=50)
ODD = [
    "a b",
    "a.b",
    'q"uote',
    "q'uote",
    "back`tick",
    "select",
    "1st",
    "😀",
    "ünï",
    "UPPER",
    "x" * 64,
    "é" * 40,
]


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


# ---------------------------------------------------------------- everything, twice


def rich() -> Database:
    """Every kind of object under hostile names."""
    tables = []
    for number, name in enumerate(ODD):
        columns = (
            Column("id", INT, "int", False, auto_increment=True, comment='it\'s \\ "q"'),
            *(Column(odd, TEXT, "varchar(50)", collation="utf8mb4_general_ci") for odd in ODD),
            Column("e", LogicalType(Kind.ENUM, labels=("a'", '"', "")), "enum", default=Default("a'")),
            Column("s", LogicalType(Kind.SET, labels=("x'", "y")), "set"),
            Column("up", LogicalType(Kind.INT32), "int", generated=Generated("`id` + 1", False)),
            Column("at", LogicalType(Kind.TIMESTAMP), "timestamp", on_update_now=True),
            Column("parent", INT, "int"),
        )
        parent = ODD[number - 1] if number else name
        tables.append(
            Table(
                "shop",
                name,
                columns,
                primary_key=key(),
                indexes=(
                    *(Index(odd, (IndexPart(odd),)) for odd in ODD),
                    Index("u", (IndexPart(ODD[0], prefix=5), IndexPart("e")), unique=True, comment="it's"),
                    Index("ft", (IndexPart(ODD[1]), IndexPart(ODD[2])), method=IndexMethod.FULLTEXT),
                    Index("fn", (IndexPart(expression="lower(`UPPER`)"),)),
                    Index("desc", (IndexPart("id", descending=True), IndexPart("s"))),
                ),
                foreign_keys=(
                    ForeignKey(f"fk {name}", ("parent",), "shop", parent, ("id",), "CASCADE", "SET NULL"),
                ),
                checks=(Check(f"ck {name}", "`id` > 0"), Check("u", "char_length(`select`) < 60")),
                comment="table's \\ comment",
                auto_increment=number + 1,
            )
        )
    return Database("shop", tuple(tables), sequences=(Sequence("shop", "num'bers", 1, 2, next_value=7),))


@pytest.mark.parametrize("schema", ["public", 'odd "schema". name', "é" * 31])
def test_everything_is_made_once(session: Session, schema: str) -> None:
    """odd-names, long-name, index-names: all DDL runs, and a second run finds everything there."""
    database = map_database(rich(), MapOptions(schema))
    carry_out(session, database)
    again = carry_out(session, database)
    harmless = {Phase.SEQUENCE, Phase.COMMENT, Phase.ANALYZE}
    assert [s.sql for s in again if s.phase not in harmless and "OR REPLACE" not in s.sql] == []
    assert one(
        session,
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = %s AND relkind = 'r'",
        schema,
    ) == len(ODD)
    assert names(session, "SELECT conname FROM pg_constraint WHERE NOT convalidated") == []
    counts = dict(
        session.execute(
            b"SELECT contype::text, count(*) FROM pg_constraint WHERE conname !~ '^pg_' GROUP BY 1"
        ).fetchall()
    )
    assert (counts["p"], counts["f"]) == (len(ODD), len(ODD))
    for table in database.tables:
        target = qualified(schema, table.name)
        assert one(
            session, f"SELECT obj_description('{target.replace(chr(39), chr(39) * 2)}'::regclass)"
        ) == ("table's \\ comment")
        session.execute(f"INSERT INTO {target} DEFAULT VALUES".encode())
        assert one(session, f"SELECT up FROM {target} WHERE id = (SELECT max(id) FROM {target})") > 1


def test_objects_are_unique_within_phase_and_table() -> None:
    seen = [(s.phase, s.table, s.object) for s in statements(map_database(rich(), MapOptions("s")))]
    assert len(seen) == len(set(seen))


def test_drops_leave_nothing(session: Session) -> None:
    database = map_database(rich(), MapOptions("s"))
    carry_out(session, database)
    for table in database.tables:
        for statement in ddl.drops(table):
            session.execute(statement.encode())
    left = "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 's'"
    assert names(session, left) == ["num'bers"]
    left = "SELECT typname FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace WHERE nspname = 's'"
    left += " AND typrelid = 0"  # before PostgreSQL 14 a sequence has a type of its own
    assert names(session, left) == []
    carry_out(session, database)


@pytest.mark.parametrize(
    ("options", "phases"),
    [
        ({}, {"namespace", "type", "table", "primary_key", "index", "check", "foreign_key", "validate"}),
        (
            {"indexes": False},
            {"namespace", "type", "table", "primary_key", "check", "foreign_key", "validate"},
        ),
        ({"foreignKeys": False}, {"namespace", "type", "table", "primary_key", "index", "check", "validate"}),
        (
            {"foreignKeys": False, "checkConstraints": False},
            {"namespace", "type", "table", "primary_key", "index"},
        ),
        ({"tables": False, "indexes": False, "foreignKeys": False, "checkConstraints": False}, set()),
    ],
)
def test_structure_options_leave_statements_out(options: dict[str, bool], phases: set[str]) -> None:
    structure = StructureOptions.model_validate(options)
    made = {s.phase.value for s in statements(map_database(rich(), MapOptions("s", structure=structure)))}
    rest = {"sequence", "analyze"} | ({"trigger", "comment"} if options.get("tables", True) else set())
    assert made - rest == phases


def test_key_first(session: Session) -> None:
    database = map_database(rich(), MapOptions("s", key_first=True))
    carry_out(session, database, before_data())
    assert one(
        session, "SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND conname !~ '^pg_'"
    ) == len(ODD)
    assert carry_out(session, database, [Phase.PRIMARY_KEY]) == []


def test_nothing_depends_on_search_path(session: Session) -> None:
    """Objects of the same names elsewhere are neither taken for ours nor used."""
    source = Database("d", (Table("d", "t", (Column("e", LogicalType(Kind.ENUM, labels=("a",)), ""),)),))
    session.execute(b"CREATE SCHEMA other; CREATE TYPE other.t_e AS ENUM ('z'); CREATE TABLE other.t (x int)")
    session.execute(b"SET search_path = other, pg_catalog")
    database = map_database(source, MapOptions("s"))
    assert len(carry_out(session, database)) == len(statements(database))
    assert one(session, "SELECT enum_range(NULL::s.t_e)::text") == "{a}"


def test_an_enum_of_other_labels_is_an_error(session: Session) -> None:
    source = Database("d", (Table("d", "t", (Column("e", LogicalType(Kind.ENUM, labels=("a",)), ""),)),))
    session.execute(b"CREATE SCHEMA s; CREATE TYPE s.t_e AS ENUM ('z')")
    with pytest.raises(AssertionError, match="already exists"):
        carry_out(session, map_database(source, MapOptions("s")))


# ---------------------------------------------------------------- counters (auto-increment)

SMALL, UNSIGNED = LogicalType(Kind.INT8), LogicalType(Kind.INT64, unsigned=True)


@pytest.mark.parametrize(
    ("logical", "counter", "rows", "expected"),
    [
        (INT, None, [], 1),
        (INT, 1, [], 1),
        (INT, 50, [], 50),
        (INT, 50, [3, 4], 50),
        (INT, 2, [3, 99], 100),
        (INT, 1, [-5, -1], 1),
        (INT, 1, [0], 1),
        (INT, 1, [-5, 0, 7], 8),
        (SMALL, 1, [32767], None),
        (INT, 2**31, [], None),
        (BIG, 1, [2**63 - 1], None),
        (BIG, 2**63 - 1, [], 2**63 - 1),
        (UNSIGNED, 5, [2**63], None),
        (UNSIGNED, 5, [2**40], 2**40 + 1),
        (UNSIGNED, 2**64 - 1, [], None),
        (LogicalType(Kind.FLOAT64), 5, [7.5], 8),
    ],
)
def test_counters(
    session: Session, logical: LogicalType, counter: int | None, rows: list[Any], expected: int | None
) -> None:
    table = Table(
        "d",
        "t",
        (Column("id", logical, "", False, auto_increment=True), Column("x", INT, "")),
        primary_key=key(),
        auto_increment=counter,
    )
    database = map_database(Database("d", (table,)), MapOptions("s"))
    carry_out(session, database, before_data())
    for row in rows:
        session.execute(b"INSERT INTO s.t (id) VALUES (%s)", (row,))
    for _ in range(2):
        carry_out(session, database, after_data())
    insert = "INSERT INTO s.t (x) VALUES (1) RETURNING id"
    if expected is None:
        with pytest.raises(psycopg.errors.SequenceGeneratorLimitExceeded):
            one(session, insert)
    else:
        assert one(session, insert) == expected


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        (Sequence("d", "q"), [1, 2]),
        (Sequence("d", "q", 5, 3, 1, 9, True, 8), [8, 1]),
        (Sequence("d", "q", 5, 3, 1, 9, False, 11), []),
        (Sequence("d", "q", -1, -2, -9, -1, False, -5), [-5, -7]),
        (Sequence("d", "q", 1, 1, 1, 2**63 - 2, False, 1000), [1000, 1001]),
        (Sequence("d", "q", 1, 1, -(2**70), 2**70, False, 4), [4, 5]),
    ],
)
def test_sequence_objects(session: Session, sequence: Sequence, expected: list[int]) -> None:
    database = map_database(Database("d", sequences=(sequence,)), MapOptions("s"))
    carry_out(session, database)
    carry_out(session, database)
    for value in expected:
        assert one(session, "SELECT nextval('s.q')") == value
    if not expected:
        with pytest.raises(psycopg.errors.SequenceGeneratorLimitExceeded):
            one(session, "SELECT nextval('s.q')")


# ---------------------------------------------------------------- on update (on-update-trigger)


def test_touch_trigger(session: Session) -> None:
    table = Table(
        "d",
        "t",
        (
            Column("id", INT, "", False),
            Column("v", TEXT, ""),
            Column("j", LogicalType(Kind.JSON_TEXT), ""),
            Column("g", INT, "", generated=Generated("`id` + 1", True)),
            Column("at", LogicalType(Kind.TIMESTAMP, fraction=6), "", False, on_update_now=True),
            Column("local", LogicalType(Kind.DATETIME), "", on_update_now=True),
        ),
        primary_key=key(),
    )
    carry_out(session, map_database(Database("d", (table,)), MapOptions("s")))
    old = "2001-01-01 00:00:00+00"
    reset = f"UPDATE s.t SET id = 1, v = 'a', j = '{{}}', at = '{old}', local = '2002-02-02'"
    session.execute(f"INSERT INTO s.t VALUES (1, 'a', '{{}}', DEFAULT, '{old}', '2002-02-02')".encode())
    touched = f"SELECT (at <> '{old}', local <> '2002-02-02')::text FROM s.t"
    for change, expected in [
        ("v = 'b'", "(t,t)"),
        ("j = '{ }'", "(t,t)"),
        ("v = NULL", "(t,t)"),
        ("v = 'a'", "(f,f)"),
        ("id = 1, v = 'a'", "(f,f)"),
        ("v = 'b', at = '2003-03-03 00:00:00+00'", "(t,t)"),
        ("v = v", "(f,f)"),
    ]:
        session.execute(b"ALTER TABLE s.t DISABLE TRIGGER USER")
        session.execute(reset.encode())
        session.execute(b"ALTER TABLE s.t ENABLE TRIGGER USER")
        session.execute(f"UPDATE s.t SET {change}".encode())
        assert one(session, touched) == expected, change
    assert one(session, "SELECT at > now() - interval '1 hour' FROM s.t") is False


# ---------------------------------------------------------------- limits and quoting


def test_wide_tables(session: Session) -> None:
    """too-many-columns, row-too-wide: what the notes foretell is what PostgreSQL says."""
    for count, slug in ((1601, "too-many-columns"), (1600, "row-too-wide"), (900, None)):
        columns = tuple(Column(f"c{n}", BIG, "", True) for n in range(count))
        database = map_database(Database("d", (Table("d", "t", columns),)), MapOptions("s"))
        slugs = [note.slug for note in database.tables[0].notes if note.slug != "no-primary-key"]
        assert slugs == ([slug] if slug else [])
        if slug == "too-many-columns":
            with pytest.raises(AssertionError, match="1600"):
                carry_out(session, database)
            continue
        carry_out(session, database)
        insert = f"INSERT INTO s.t SELECT {', '.join(['9'] * count)}"
        if slug:
            with pytest.raises(psycopg.errors.ProgramLimitExceeded):
                session.execute(insert.encode())
        else:
            session.execute(insert.encode())
        session.execute(b"DROP SCHEMA s CASCADE")


def test_quote_is_what_the_server_says(session: Session) -> None:
    for name in ODD:
        assert one(session, "SELECT %s::name::text", name[:31]) == name[:31]
        column = session.execute(f"SELECT 1 AS {quote(name[:31])}".encode()).description
        assert column is not None
        assert column[0].name == name[:31]
