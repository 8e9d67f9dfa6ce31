"""Every image into every DuckDB type it fits, inserted as the loader does it and printed by DuckDB."""

from __future__ import annotations

import struct
import uuid
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from engine.config import Policies
from engine.connectors.base import ReadColumn, TableRead, TargetColumn, TargetTable
from engine.connectors.duckdb.encode import DuckdbEncoder
from engine.connectors.duckdb.loader import _expression
from engine.connectors.duckdb.types import base_of
from engine.errors import Code, EngineError
from engine.schema import Column, Table
from engine.types import Image, Kind, LogicalType
from ext.rowerror import RowError

MICROS = pa.timestamp("us")
ZONED = pa.timestamp("us", "UTC")
INTERVAL = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])
DAY = 86_400_000_000


def encoder(
    image: Image, arrow: pa.DataType, target: str, logical: LogicalType | None = None, **policies: Any
) -> DuckdbEncoder:
    source = Column("c", logical or LogicalType(Kind.OTHER), "native")
    labels = ("b", "a") if target.startswith("ENUM") else ()
    read = TableRead(Table("s", "t", (source,)), (ReadColumn("c", "c", image, arrow, source),))
    columns = (TargetColumn("c", "c", target, base_of(target), labels=labels),)
    return DuckdbEncoder(read, TargetTable(read.table, "main", "t", columns), Policies.parse(policies))


def stored(made: DuckdbEncoder, array: pa.Array, target: str) -> list[str | None]:
    batch = made.encode(pa.RecordBatch.from_arrays([array], names=["c"]))
    with duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'")
        session.execute(f"CREATE TABLE t (c {target})")
        session.register("rows", batch)
        session.execute(f"INSERT INTO t SELECT {_expression(batch.schema.field(0))} FROM rows")
        return [row[0] for row in session.execute("SELECT CAST(c AS VARCHAR) FROM t").fetchall()]


def of(kind: pa.DataType, *values: Any) -> pa.Array:
    if pa.types.is_date32(kind):
        return pa.array(values, pa.int32()).view(kind)
    if pa.types.is_temporal(kind):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind)


LEAST, MOST = -(2**63), 2**63 - 1
CASES: list[tuple[Image, pa.Array, str, list[Any], LogicalType | None]] = [
    (Image.INT, of(pa.uint64(), 0, 2**64 - 1, None), "UBIGINT", ["0", str(2**64 - 1), None], None),
    (Image.INT, of(pa.int64(), -5, 5), "TINYINT", ["-5", "5"], None),
    (Image.INT, of(pa.uint64(), 2**64 - 1), "HUGEINT", [str(2**64 - 1)], None),
    (Image.INT, of(pa.int64(), -(2**63)), "DECIMAL(19,0)", [str(-(2**63))], None),
    (Image.INT, of(pa.int8(), 0, 1, None), "BOOLEAN", ["false", "true", None], None),
    (Image.INT, of(pa.int32(), 7), "VARCHAR", ["7"], None),
    (Image.INT, of(pa.int32(), 7), "DOUBLE", ["7.0"], None),
    (Image.BOOL, of(pa.int8(), 0, 1, None), "BOOLEAN", ["false", "true", None], None),
    (Image.BOOL, of(pa.bool_(), True), "TINYINT", ["1"], None),
    (Image.FLOAT, of(pa.float32(), 0.5, float("nan"), float("-inf")), "FLOAT", ["0.5", "nan", "-inf"], None),
    (Image.FLOAT, of(pa.float32(), 0.5), "DOUBLE", ["0.5"], None),
    (Image.DECIMAL, of(pa.string(), "-1.10", "0", None), "DECIMAL(5,2)", ["-1.10", "0.00", None], None),
    (Image.DECIMAL, of(pa.decimal128(5, 2), Decimal("1.10")), "DECIMAL(7,4)", ["1.1000"], None),
    (Image.DECIMAL, of(pa.string(), "NaN", "1" + "0" * 40), "VARCHAR", ["NaN", "1" + "0" * 40], None),
    (Image.TEXT, of(pa.string(), "", "a\0b", "é", None), "VARCHAR", ["", "a\0b", "é", None], None),
    (Image.TEXT, of(pa.large_string(), "x"), "VARCHAR", ["x"], None),
    (Image.TEXT, of(pa.string(), "a", None), "ENUM('b', 'a')", ["a", None], None),
    (Image.TEXT, of(pa.string(), "é"), "BLOB", ["\\xC3\\xA9"], None),
    (Image.TEXT, of(pa.string(), '{"a": 1.10}', None), "JSON", ['{"a": 1.10}', None], None),
    (Image.TEXT, of(pa.string(), "0101"), "BIT", ["0101"], None),
    (Image.BYTES, of(pa.binary(), b"\0\xff", b"", None), "BLOB", ["\\x00\\xFF", "", None], None),
    (Image.BITS, of(pa.binary(), b"\x01\x01"), "BIT", ["100000001"], LogicalType(Kind.BIT, length=9)),
    (
        Image.DATE,
        of(pa.date32(), 0, 2**31 - 1, -(2**31), None),
        "DATE",
        ["1970-01-01", "infinity", "-infinity", None],
        None,
    ),
    (
        Image.TIMESTAMP,
        of(MICROS, 1, MOST, LEAST),
        "TIMESTAMP",
        ["1970-01-01 00:00:00.000001", "infinity", "-infinity"],
        None,
    ),
    (
        Image.TIMESTAMP,
        of(MICROS, -9_223_372_022_400_000_000),
        "TIMESTAMP",
        ["290309-12-22 (BC) 00:00:00"],
        None,
    ),
    (Image.TIMESTAMPTZ, of(ZONED, 0, LEAST), "TIMESTAMPTZ", ["1970-01-01 00:00:00+00", "-infinity"], None),
    (Image.DURATION, of(pa.duration("us"), -3_020_399_000_001), "INTERVAL", ["-838:59:59.000001"], None),
    (Image.DURATION, of(pa.duration("us"), 0, DAY), "TIME", ["00:00:00", "24:00:00"], None),
    (Image.DURATION, of(pa.duration("us"), -1_500_000), "VARCHAR", ["-00:00:01.500000"], None),
    (
        Image.INTERVAL,
        pa.array([{"months": -14, "days": 3, "microseconds": MOST}, None], INTERVAL),
        "INTERVAL",
        ["-1 year -2 months 3 days 2562047788:00:54.775807", None],
        None,
    ),
    (Image.JSON, of(pa.string(), "[1, 1e400]", None), "JSON", ["[1, 1e400]", None], None),
    (Image.JSON, of(pa.large_string(), "[]"), "VARCHAR", ["[]"], None),
    (Image.UUID, of(pa.binary(), uuid.UUID(int=1).bytes, None), "UUID", [str(uuid.UUID(int=1)), None], None),
    (Image.UUID, of(pa.binary(), uuid.UUID(int=1).bytes), "VARCHAR", [str(uuid.UUID(int=1))], None),
    (Image.UUID, of(pa.binary(), b"a" * 16), "BLOB", ["a" * 16], None),
    (
        Image.INET,
        of(pa.binary(), b"\n\0\0\1", b"\0" * 15 + b"\1", None),
        "VARCHAR",
        ["10.0.0.1", "::1", None],
        None,
    ),
    (
        Image.SET,
        of(pa.uint64(), 0, 3, None),
        "VARCHAR[]",
        ["[]", "[x, y]", None],
        LogicalType(Kind.SET, labels=("x", "y")),
    ),
    (Image.SET, of(pa.uint64(), 2), "VARCHAR", ["y"], LogicalType(Kind.SET, labels=("x", "y"))),
    (
        Image.SET_TEXT,
        of(pa.string(), "x,y", ""),
        "VARCHAR[]",
        ["[x, y]", "[]"],
        LogicalType(Kind.SET, labels=("x", "y")),
    ),
    (
        Image.GEOMETRY,
        of(pa.binary(), b"\0\0\0\0" + b"\1" + struct.pack("<Idd", 1, 0, 0), None),
        "BLOB",
        ["\\x01\\x01" + "\\x00" * 19, None],
        None,
    ),
    (
        Image.VECTOR,
        of(pa.binary(), struct.pack("<2f", 1.5, -2), None),
        "FLOAT[]",
        ["[1.5, -2.0]", None],
        None,
    ),
]


@pytest.mark.parametrize(("image", "array", "target", "want", "logical"), CASES)
def test_values_are_stored_as_they_are(
    image: Image, array: pa.Array, target: str, want: list[Any], logical: LogicalType | None
) -> None:
    """slug: duckdb-types"""
    assert stored(encoder(image, array.type, target, logical), array, target) == want


REFUSED: list[tuple[Image, pa.Array, str, int, str]] = [
    (Image.INT, of(pa.int64(), 1, 300), "TINYINT", 1, "out-of-range"),
    (Image.INT, of(pa.int64(), None, -1), "UBIGINT", 1, "out-of-range"),
    (Image.INT, of(pa.int64(), 1, 2, 2**53 + 1), "DOUBLE", 2, "out-of-range"),
    (Image.INT, of(pa.int64(), 9, 100), "DECIMAL(3,1)", 1, "out-of-range"),
    (Image.INT, of(pa.int8(), 1, 2), "BOOLEAN", 1, "not-boolean"),
    (Image.DECIMAL, of(pa.string(), "1.10", "1.105"), "DECIMAL(5,2)", 1, "out-of-range"),
    (Image.DECIMAL, of(pa.string(), "1", "NaN"), "DECIMAL(5,2)", 1, "nan"),
    (Image.DECIMAL, of(pa.string(), "1", "-Infinity"), "DECIMAL(5,2)", 1, "infinity"),
    (Image.TEXT, of(pa.string(), "a", "z"), "ENUM('b', 'a')", 1, "unknown-label"),
    (Image.TEXT, of(pa.string(), "{}", "{"), "JSON", 1, "bad-json"),
    (Image.JSON, of(pa.string(), None, "nope"), "JSON", 1, "bad-json"),
    (Image.DURATION, of(pa.duration("us"), 0, -1), "TIME", 1, "out-of-range"),
    (Image.DURATION, of(pa.duration("us"), DAY + 1), "TIME", 0, "out-of-range"),
    (Image.TIMESTAMP, of(MICROS, 0, -9_223_372_022_400_000_001), "TIMESTAMP", 1, "out-of-range"),
    (Image.DATE, of(pa.date32(), 0, -(2**31) + 1), "DATE", 1, "out-of-range"),
    (Image.UUID, of(pa.binary(), b"a" * 16, b"a"), "UUID", 1, "broken-uuid"),
    (
        Image.INTERVAL,
        pa.array([{"months": 2**31 - 1, "days": 2**31 - 1, "microseconds": MOST}], INTERVAL),
        "INTERVAL",
        0,
        "infinity",
    ),
]


@pytest.mark.parametrize(("image", "array", "target", "row", "reason"), REFUSED)
def test_the_first_value_that_cannot_go_is_named(
    image: Image, array: pa.Array, target: str, row: int, reason: str
) -> None:
    """slug: duckdb-row-error"""
    with pytest.raises(RowError) as caught:
        encoder(image, array.type, target).encode(pa.RecordBatch.from_arrays([array], names=["c"]))
    assert (caught.value.column, caught.value.row, caught.value.reason) == (0, row, reason)


def test_text_that_is_none() -> None:
    """slug: duckdb-text. Refused, mended, or bytes, by policy."""
    data = pa.py_buffer(b"a\xff")
    array = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(struct.pack("<2i", 0, 2)), data])
    with pytest.raises(RowError, match="invalid-utf8"):
        stored(encoder(Image.TEXT, pa.string(), "VARCHAR"), array, "VARCHAR")
    mending = encoder(Image.TEXT, pa.string(), "VARCHAR", invalidText="replace")
    assert stored(mending, array, "VARCHAR") == ["a\ufffd"]
    assert mending.counters == {("c", "invalidText"): 1}
    assert stored(encoder(Image.TEXT, pa.string(), "BLOB"), array, "BLOB") == ["a\\xFF"]


@pytest.mark.parametrize(("policy", "want"), [("refuse", "a\0b"), ("strip", "ab"), ("replace", "a\ufffdb")])
def test_nul_in_text(policy: str, want: str) -> None:
    """slug: duckdb-nul"""
    array = pa.array(["a\0b"])
    assert stored(encoder(Image.TEXT, array.type, "VARCHAR", nulByte=policy), array, "VARCHAR") == [want]


UNFIT = [
    (Image.TEXT, pa.string(), "INTEGER"),
    (Image.FLOAT, pa.float64(), "FLOAT"),
    (Image.DECIMAL, pa.string(), "BIGINT"),
    (Image.TIMESTAMP, MICROS, "TIMESTAMPTZ"),
    (Image.TIMESTAMPTZ, ZONED, "TIMESTAMP"),
    (Image.BYTES, pa.binary(), "VARCHAR"),
    (Image.SET, pa.uint64(), "INTEGER[]"),
]


@pytest.mark.parametrize(("image", "arrow", "target"), UNFIT)
def test_a_pair_that_would_change_values_is_refused(image: Image, arrow: pa.DataType, target: str) -> None:
    """slug: duckdb-misfits"""
    with pytest.raises(EngineError) as caught:
        encoder(image, arrow, target)
    assert caught.value.code is Code.STRUCTURE_MISMATCH
