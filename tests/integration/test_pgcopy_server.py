"""Every encoder × edge values through a real COPY BINARY, read back as the text PostgreSQL prints.

A case names the image, the Arrow array, the type of the target column (the encoder is chosen by its entry in
the live catalog) and the text of each value. Cases of docs/policies/encoding.md are cited by their slugs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from benchmarks.endpoints import PostgresEndpoint
from engine.config import Policies
from engine.connectors.base import ReadColumn, TargetColumn
from engine.connectors.postgres import catalog, encode
from engine.connectors.postgres.session import PgConnection
from engine.errors import Code, EngineError
from engine.schema import Column
from engine.types import Image, Kind, LogicalType
from ext import pgcopy
from ext.pgcopy import HEADER, TRAILER, EncoderSpec
from ext.plain import pgcopy as plain
from ext.rowerror import RowError
from tests.integration.pgcopy_cases import CASES, HOUR, REFUSED, SET, UNCARRIED, Case, micros, spans
from tests.integration.postgres_versions import has_type, needs_type

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def database(postgres: PostgresEndpoint) -> Iterator[PgConnection]:
    name = postgres.database()
    with postgres.connect(name) as session:
        session.prepare_threshold = None  # the same table again and again, each time of another type
        session.execute("SET timezone = 'UTC'")
        session.execute("CREATE EXTENSION citext")
        session.execute("CREATE TYPE mood AS ENUM ('happy', 'it''s')")
        session.execute("CREATE DOMAIN cents AS numeric(5,2)")
        session.execute("CREATE DOMAIN price AS cents CHECK (VALUE > 0)")
        yield session
    postgres.drop_database(name)


def table(session: PgConnection, type_: str) -> TargetColumn:
    """A table `t` with one column of the type, as the catalog then shows it."""
    needs_type(session.info.server_version, type_)
    session.execute("DROP TABLE IF EXISTS t")
    session.execute(f"CREATE TABLE t (n serial, c {type_})".encode())
    live = catalog.live_table(session, "public", "t")
    assert live is not None
    column = live.column("c")
    assert column is not None
    return TargetColumn("c", "c", column.type, column.base, labels=column.labels)


def read_column(case: Case) -> ReadColumn:
    return ReadColumn(
        "c", "`c`", case.image, case.values.type, Column("c", case.source, str(case.values.type))
    )


def load(session: PgConnection, data: bytes | memoryview) -> None:
    with session.cursor().copy("COPY t (c) FROM STDIN (FORMAT binary)") as copy:
        copy.write(HEADER)
        copy.write(data)
        copy.write(TRAILER)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_server_prints_what_was_meant(database: PgConnection, case: Case) -> None:
    """slugs: encode-exact, nul-byte, invalid-text, char-padding, number-narrow, number-float, decimal-scale,
    bit-width, duration-interval, sentinel-infinity, inet-host, number-specials, date-infinity,
    interval-parts"""
    spec = encode.choose(read_column(case), table(database, case.type), case.policies)
    encoder = pgcopy.CopyEncoder([spec])
    data = encoder.encode(pa.record_batch([case.values], names=["c"]))
    assert data == plain.CopyEncoder([spec]).encode(pa.record_batch([case.values], names=["c"]))
    load(database, data)
    stored = database.execute("SELECT c::text FROM t ORDER BY n").fetchall()
    assert tuple(text for (text,) in stored) == case.expected
    assert encoder.counters == {("c", policy): count for policy, count in case.counters}


def test_every_encoder_reaches_the_server(database: PgConnection) -> None:
    cases = [case for case in CASES if has_type(database.info.server_version, case.type)]
    targets = {type_: table(database, type_) for type_ in {case.type for case in cases}}
    specs = [encode.choose(read_column(case), targets[case.type], case.policies) for case in cases]
    assert {spec.encoder for spec in specs} == set(pgcopy.ENCODERS)


@pytest.mark.parametrize("type_", ["bit({})", "bit varying({})"])
def test_bits_of_every_width(database: PgConnection, type_: str) -> None:
    """The number is the source's in columns of 1 to 64 bits, all in one table. slug: bit-width"""
    widths = range(1, 65)
    columns = ", ".join(f"c{width} {type_.format(width)}" for width in widths)
    database.execute("DROP TABLE IF EXISTS t")
    database.execute(f"CREATE TABLE t ({columns})".encode())
    rows = [
        [number % 2**width for width in widths] for number in (0, 1, 2**64 - 1, 0x5555555555555555, 1 << 63)
    ]
    arrays = [
        pa.array([row[width - 1].to_bytes((width + 7) // 8, "big") for row in rows]) for width in widths
    ]
    encoder = pgcopy.CopyEncoder([EncoderSpec(f"c{width}", "bit", {"width": width}) for width in widths])
    with database.cursor().copy("COPY t FROM STDIN (FORMAT binary)") as copy:
        copy.write(HEADER)
        copy.write(encoder.encode(pa.record_batch(arrays, names=[f"c{width}" for width in widths])))
        copy.write(TRAILER)
    printed = ", ".join(f"c{width}::text" for width in widths)
    stored = database.execute(f"SELECT {printed} FROM t ORDER BY ctid".encode()).fetchall()
    assert stored == [
        tuple(f"{value:0{width}b}" for width, value in zip(widths, row, strict=True)) for row in rows
    ]


# ---------------------------------------------------------------- refused, value by value


@pytest.mark.parametrize(("image", "values", "type_", "reason"), REFUSED, ids=lambda value: str(value)[:30])
def test_a_value_the_column_cannot_hold(
    database: PgConnection, image: Image, values: pa.Array, type_: str, reason: str
) -> None:
    """The second value is refused by both encoders; the first alone is loaded. slugs: encode-refuses,
    not-boolean, unknown-label, bad-json, date-range, bad-geometry, bad-length, typmod-domain"""
    case = Case(image, values, type_, (), SET if image is Image.SET else LogicalType(Kind.OTHER, length=None))
    spec = encode.choose(read_column(case), table(database, type_), Policies())
    for module in (pgcopy, plain):
        with pytest.raises(RowError) as refused:
            module.CopyEncoder([spec]).encode(pa.record_batch([values], names=["c"]))
        assert (refused.value.column, refused.value.row, refused.value.reason) == (0, 1, reason)
    load(database, pgcopy.CopyEncoder([spec]).encode(pa.record_batch([values.slice(0, 1)], names=["c"])))
    assert database.execute("SELECT count(*) FROM t WHERE c IS NOT NULL").fetchone() == (1,)


@pytest.mark.parametrize(
    ("type_", "spec", "values", "printed"),
    [
        ("numeric(5,2)", EncoderSpec("c", "numeric"), pa.array(["1.555"]), "1.56"),
        ("numeric(3,-3)", EncoderSpec("c", "numeric"), pa.array([1500]), "2000"),
        ("timestamp(0)", EncoderSpec("c", "timestamp"), micros(999_999), "1970-01-01 00:00:01"),
        ("interval(0)", EncoderSpec("c", "interval"), spans(999_999), "00:00:01"),
        ("interval hour", EncoderSpec("c", "interval"), spans(HOUR - 1), "00:00:00"),
        ("time(0)", EncoderSpec("c", "time"), spans(999_999), "00:00:01"),
        ("varchar(3)", EncoderSpec("c", "text"), pa.array(["abc  "]), "abc"),
        ("cents", EncoderSpec("c", "numeric"), pa.array(["1.555"]), "1.56"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_the_server_would_do_without_a_word(
    database: PgConnection, type_: str, spec: EncoderSpec, values: pa.Array, printed: str
) -> None:
    """Why the encoder looks at type modifiers. slug: typmod-cut"""
    table(database, type_)
    load(database, pgcopy.CopyEncoder([spec]).encode(pa.record_batch([values], names=["c"])))
    assert database.execute("SELECT c::text FROM t").fetchone() == (printed,)


@pytest.mark.parametrize(
    ("type_", "value"), [("varchar(3)", "abcd"), ("char(3)", "abcd"), ("name", "n" * 64), ("mood", "sad")]
)
def test_what_the_server_refuses_by_itself(database: PgConnection, type_: str, value: str) -> None:
    table(database, type_)
    encoder = pgcopy.CopyEncoder([EncoderSpec("c", "text")])
    with pytest.raises((psycopg.DataError, psycopg.errors.NameTooLong)):
        load(database, encoder.encode(pa.record_batch([pa.array([value])], names=["c"])))


# ---------------------------------------------------------------- refused as a pair


@pytest.mark.parametrize(("image", "arrow", "type_", "source"), UNCARRIED, ids=lambda value: str(value)[:30])
def test_pairs_without_an_encoder(
    database: PgConnection, image: Image, arrow: Any, type_: str, source: LogicalType
) -> None:
    """slug: encode-pair"""
    column = ReadColumn("price", "`price`", image, arrow, Column("price", source, "native(1)"))
    target = table(database, type_)
    with pytest.raises(EngineError) as refused:
        encode.choose(column, target, Policies())
    assert refused.value.code is Code.STRUCTURE_MISMATCH
    assert refused.value.details == {"column": "price", "image": image.value, "targetType": target.type}
