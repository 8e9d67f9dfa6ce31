"""Rows of text COPY against PostgreSQL: every case of binary COPY the other way, arrays, and types by
their own text.

Cases of docs/policies/encoding.md are cited by their slugs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa
import pytest

from benchmarks.endpoints import PostgresEndpoint
from engine.config import Policies
from engine.connectors.base import ReadColumn, TargetColumn
from engine.connectors.postgres import catalog, encode, session
from engine.connectors.postgres.session import PgConnection
from engine.errors import Code, EngineError
from engine.schema import Column
from engine.types import Image, Kind, LogicalType
from ext import pgcopy
from ext.plain import pgcopy as plain
from ext.rowerror import RowError
from tests.integration.pgcopy_cases import CASES, Case, parts
from tests.integration.postgres_versions import needs_type
from tests.running import connection

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def database(postgres: PostgresEndpoint) -> Iterator[PgConnection]:
    name = postgres.database()
    opened = session.connect(connection(postgres), name)
    opened.prepare_threshold = None
    opened.execute("SET search_path = public")
    for statement in (
        "CREATE EXTENSION citext",
        "CREATE EXTENSION hstore",
        "CREATE TYPE mood AS ENUM ('happy', 'it''s')",
        "CREATE TYPE pair AS (a integer, b text)",
        "CREATE DOMAIN cents AS numeric(5,2)",
        "CREATE DOMAIN price AS cents CHECK (VALUE > 0)",
    ):
        opened.execute(statement.encode())
    yield opened
    opened.close()
    postgres.drop_database(name)


def table(opened: PgConnection, type_: str) -> TargetColumn:
    """A table `t` with one column of the type, as the catalog shows it to our sessions."""
    needs_type(opened.info.server_version, type_)
    opened.execute("DROP TABLE IF EXISTS t")
    opened.execute(f"CREATE TABLE t (n serial, c {type_})".encode())
    opened.execute("SET search_path = pg_catalog")
    live = catalog.live_table(opened, "public", "t")
    opened.execute("SET search_path = public")
    column = live.column("c") if live is not None else None
    assert column is not None
    return TargetColumn("c", "c", column.type, column.base, labels=column.labels)


def load(opened: PgConnection, data: bytes | memoryview, shown: str = "c::text") -> list[str | None]:
    with opened.cursor().copy("COPY t (c) FROM STDIN (FORMAT text)") as copy:
        copy.write(data)
    return [text for (text,) in opened.execute(f"SELECT {shown} FROM t ORDER BY n".encode()).fetchall()]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_text_says_what_binary_says(database: PgConnection, case: Case) -> None:
    """slug: text-copy"""
    arrow = case.values.type
    read = ReadColumn("c", "c", case.image, arrow, Column("c", case.source, str(arrow)))
    spec = encode.choose(read, table(database, case.type), case.policies)
    batch = pa.record_batch([case.values], names=["c"])
    encoder = pgcopy.CopyEncoder([spec], text=True)
    data = encoder.encode(batch)
    assert data == plain.CopyEncoder([spec], text=True).encode(batch)
    assert tuple(load(database, data)) == case.expected
    assert encoder.counters == {("c", policy): count for policy, count in case.counters}


# Type as the source and the target print it, and values as they do.
OWN_TYPES = [
    ("int4range", ["empty", "[1,5)", "(,)"]),
    ("nummultirange", ["{}", "{[1.5,2],[5,)}"]),
    ("tsvector", ["'a':1 'b\\\\':3A"]),
    ("tsquery", ["'a' & !'b'"]),
    ("inet", ["10.0.0.1", "10.0.0.1/8", "::1"]),
    ("cidr", ["10.0.0.0/8"]),
    ("macaddr", ["08:00:2b:01:02:03"]),
    ("time with time zone", ["24:00:00+15:59"]),
    ("bit varying(5)", ["", "10101"]),
    ("point", ["(1,2.5)"]),
    ("public.hstore", ['"d"=>NULL, "a\\\\b"=>"c\\"\t"']),
    ("public.pair", ['(1,"x y")']),
    ("regclass", ["pg_class"]),
    ("xml", ["<a>\n\t</a>"]),
    ("pg_lsn", ["16/B374D848"]),
]


@pytest.mark.parametrize(("type_", "values"), OWN_TYPES)
def test_types_by_their_own_text(database: PgConnection, type_: str, values: list[str]) -> None:
    """slug: own-type"""
    read = ReadColumn("c", "c", Image.TEXT, pa.string(), Column("c", LogicalType(Kind.OTHER), type_))
    spec = encode.choose(read, table(database, type_), Policies())
    data = pgcopy.CopyEncoder([spec], text=True).encode(
        pa.record_batch([pa.array([*values, None])], names=["c"])
    )
    # A cast of inet to text is not what the type prints.
    shown = "CASE WHEN t.c IS NOT NULL THEN format('%s', t.c) END"
    assert load(database, data, shown) == [*values, None]


# Element type, the array as text, and as a source gives it in JSON.
ARRAYS = [
    ("integer[]", "{}", []),
    ("integer[]", "{{1,NULL},{3,4}}", [[1, None], [3, 4]]),
    ("boolean[]", "{t,f}", [True, False]),
    ("double precision[]", "{NaN,-Infinity,0.1}", ["NaN", "-Infinity", 0.1]),
    ("text[]", '{"a,b","NULL",NULL,"","q\\"\\\\"}', ["a,b", "NULL", None, "", 'q"\\']),
    ("numeric[]", "{1.50,NaN}", ["1.50", "NaN"]),
    ("bytea[]", '{"\\\\x00ff"}', ["\\x00ff"]),
    ("uuid[]", "{00112233-4455-6677-8899-aabbccddeeff}", ["00112233-4455-6677-8899-aabbccddeeff"]),
    ("timestamp with time zone[]", '{"0044-03-15 12:00:00+00 BC"}', ["0044-03-15 12:00:00+00 BC"]),
    ("jsonb[]", '{"{\\"a\\": 1}","[1, 2]"}', ['{"a": 1}', "[1, 2]"]),
    ("jsonb[]", '{"{\\"a\\": 1}"}', [{"a": 1}]),
    ("box[]", "{(2,2),(1,1);(4,4),(3,3)}", ["(2,2),(1,1)", "(4,4),(3,3)"]),
    ("public.mood[]", "{happy,it's}", ["happy", "it's"]),
    ("public.pair[]", '{"(1,\\"x y\\")"}', ['(1,"x y")']),
]


@pytest.mark.parametrize(("type_", "printed", "elements"), ARRAYS)
def test_arrays(database: PgConnection, type_: str, printed: str, elements: list[object]) -> None:
    """slug: array-literal"""
    read = ReadColumn("c", "c", Image.JSON, pa.string(), Column("c", LogicalType(Kind.ARRAY), type_))
    spec = encode.choose(read, table(database, type_), Policies())
    assert spec.encoder == "array"
    values = pa.array([json.dumps(elements), None])
    data = pgcopy.CopyEncoder([spec], text=True).encode(pa.record_batch([values], names=["c"]))
    assert load(database, data) == [printed, None]


@pytest.mark.parametrize(
    ("kind", "image", "native", "type_"),
    [
        (Kind.OTHER, Image.TEXT, "bit varying", "bit varying(3)"),
        (Kind.OTHER, Image.TEXT, "time with time zone", "timetz(0)"),
        (Kind.OTHER, Image.TEXT, "macaddr", "cidr"),
        (Kind.TEXT, Image.TEXT, "text", "int4range"),
        (Kind.ARRAY, Image.JSON, "numeric[]", "numeric(5,2)[]"),
        (Kind.ARRAY, Image.JSON, "src.other[]", "mood[]"),
        (Kind.JSON, Image.JSON, "json", "integer[]"),
        (Kind.DECIMAL, Image.DECIMAL, "numeric(19,2)", "money"),
    ],
)
def test_pairs_refused(database: PgConnection, kind: Kind, image: Image, native: str, type_: str) -> None:
    """slugs: own-type, array-literal"""
    read = ReadColumn("c", "c", image, pa.string(), Column("c", LogicalType(kind), native))
    with pytest.raises(EngineError) as refused:
        encode.choose(read, table(database, type_), Policies())
    assert refused.value.code is Code.STRUCTURE_MISMATCH


def test_infinite_intervals(database: PgConnection) -> None:
    """slug: interval-infinite"""
    values = parts((2**31 - 1, 2**31 - 1, 2**63 - 1), (-(2**31), -(2**31), -(2**63)))
    read = ReadColumn(
        "c", "c", Image.INTERVAL, values.type, Column("c", LogicalType(Kind.INTERVAL), "interval")
    )
    target = table(database, "interval")
    batch = pa.record_batch([values], names=["c"])
    for text in (False, True):
        with pytest.raises(RowError, match="infinite"):
            pgcopy.CopyEncoder([encode.choose(read, target, Policies(), 160000)], text=text).encode(batch)
    spec = encode.choose(read, target, Policies(), 170000)
    assert bytes(pgcopy.CopyEncoder([spec], text=True).encode(batch)) == b"infinity\n-infinity\n"
    fields = bytes(pgcopy.CopyEncoder([spec]).encode(batch))
    assert fields == b"\0\1\0\0\0\x10\x7f" + b"\xff" * 7 + (b"\x7f" + b"\xff" * 3) * 2 + (
        b"\0\1\0\0\0\x10\x80" + bytes(7) + (b"\x80" + bytes(3)) * 2
    )
