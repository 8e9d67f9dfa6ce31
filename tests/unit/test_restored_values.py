"""Values of other systems' types in the image of the type a column once had.

slugs: source-type, source-type-value
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.formats.read_types import INTERVAL
from engine.streams.restored_values import conversion, iso_interval
from engine.types import Image, Kind, LogicalType
from ext.plain import mysqlload
from ext.rowerror import RowError

SET = LogicalType(Kind.SET, labels=("b", "a", "c"))
US = pa.timestamp("us")


def span(months: int, days: int, microseconds: int) -> dict[str, int]:
    return {"months": months, "days": days, "microseconds": microseconds}


def made(image: Image, array: pa.Array, home: LogicalType) -> pa.Array:
    found = conversion(image, home)
    assert found is not None
    return array if found.make is None else found.make(array, home)


@pytest.mark.parametrize(
    ("image", "array", "home", "result"),
    [
        (Image.INT, pa.array([0, 1, None], pa.int8()), LogicalType(Kind.BOOL), [False, True, None]),
        (Image.INT, pa.array([0, 1, None], pa.uint64()), LogicalType(Kind.BOOL), [False, True, None]),
        (Image.JSON, pa.array(['["a","b"]', "[]", None]), SET, ["b,a", "", None]),
        (Image.TEXT, pa.array(["a,c", "", None]), SET, ["a,c", "", None]),
        (Image.TEXT, pa.array(["00101", None]), LogicalType(Kind.BIT, length=5), [b"\x05", None]),
        (Image.TEXT, pa.array(["1" * 9]), LogicalType(Kind.BIT, length=9), [b"\x01\xff"]),
        (Image.TEXT, pa.array(["0A" * 16]), LogicalType(Kind.UUID), [b"\x0a" * 16]),
        (Image.BYTES, pa.array([b"x" * 16, None]), LogicalType(Kind.UUID), [b"x" * 16, None]),
        (Image.TEXT, pa.array(["1.2.3.4"]), LogicalType(Kind.INET4), [b"\x01\x02\x03\x04"]),
        (
            Image.TEXT,
            pa.array(["1.2.3.4"]),
            LogicalType(Kind.INET6),
            [bytes(10) + b"\xff\xff\x01\x02\x03\x04"],
        ),
        (Image.JSON, pa.array(["[1, 0.5]"]), LogicalType(Kind.VECTOR), [b"\0\0\x80?\0\0\0?"]),
        (
            Image.BYTES,
            pa.array([bytes.fromhex("0101000020e6100000") + bytes(16)]),
            LogicalType(Kind.GEOMETRY),
            [bytes.fromhex("e61000000101000000") + bytes(16)],
        ),
        (Image.TEXT, pa.array(["PT0S", None]), LogicalType(Kind.INTERVAL), [span(0, 0, 0), None]),
    ],
    ids=lambda value: str(getattr(value, "value", "")) or None,
)
def test_values(image: Image, array: pa.Array, home: LogicalType, result: list[Any]) -> None:
    assert made(image, array, home).to_pylist() == result


@pytest.mark.parametrize(
    ("image", "array", "home", "row", "reason"),
    [
        (Image.INT, pa.array([1, 2], pa.int8()), LogicalType(Kind.BOOL), 1, "not-boolean"),
        (Image.INT, pa.array([-1], pa.int16()), LogicalType(Kind.BOOL), 0, "not-boolean"),
        (Image.JSON, pa.array(["[]", '["d"]']), SET, 1, "unknown-label"),
        (Image.JSON, pa.array(['["a","a"]']), SET, 0, "unknown-label"),
        (Image.JSON, pa.array(['"a"']), SET, 0, "unknown-label"),
        (Image.JSON, pa.array(["[[]]"]), SET, 0, "unknown-label"),
        (Image.TEXT, pa.array(["a,d"]), SET, 0, "unknown-label"),
        (Image.TEXT, pa.array(["101010"]), LogicalType(Kind.BIT, length=5), 0, "no-bits"),
        (Image.TEXT, pa.array(["12"]), LogicalType(Kind.BIT, length=5), 0, "no-bits"),
        (Image.TEXT, pa.array(["0"]), LogicalType(Kind.UUID), 0, "no-uuid"),
        (Image.BYTES, pa.array([b"x"]), LogicalType(Kind.UUID), 0, "no-uuid"),
        (Image.TEXT, pa.array(["1.2.3.4/8"]), LogicalType(Kind.INET4), 0, "no-address"),
        (Image.TEXT, pa.array(["::1"]), LogicalType(Kind.INET4), 0, "no-address"),
        (Image.BYTES, pa.array([b"\1"]), LogicalType(Kind.GEOMETRY), 0, "no-geometry"),
        (Image.JSON, pa.array(['["x"]']), LogicalType(Kind.VECTOR), 0, "no-vector"),
        (Image.TEXT, pa.array(["P"]), LogicalType(Kind.INTERVAL), 0, "no-interval"),
        (Image.TEXT, pa.array(["1 day"]), LogicalType(Kind.INTERVAL), 0, "no-interval"),
        (Image.INTERVAL, pa.array([span(1, 0, 0)], INTERVAL), LogicalType(Kind.TIME), 0, "no-duration"),
    ],
    ids=lambda value: str(getattr(value, "value", "")) or None,
)
def test_values_that_are_none_of_the_type(
    image: Image, array: pa.Array, home: LogicalType, row: int, reason: str
) -> None:
    with pytest.raises(RowError) as caught:
        made(image, array, home)
    assert (caught.value.row, caught.value.reason) == (row, reason)


def test_moments_keep_their_infinities() -> None:
    ends = pa.array([-(2**63), 0, 2**63 - 1, None], pa.int64())
    instants = made(Image.TIMESTAMP, ends.view(US), LogicalType(Kind.TIMESTAMP))
    assert instants.type == pa.timestamp("us", "UTC")
    assert instants.view(pa.int64()).to_pylist() == ends.to_pylist()
    plain = made(Image.TIMESTAMPTZ, instants, LogicalType(Kind.DATETIME))
    assert (plain.type, plain.view(pa.int64()).to_pylist()) == (US, ends.to_pylist())


def test_spans_are_both_ways_alike() -> None:
    array = pa.array([90_000_000_001, -1, None], pa.duration("us"))
    spans = made(Image.DURATION, array, LogicalType(Kind.INTERVAL))
    assert spans.to_pylist() == [span(0, 0, 90_000_000_001), span(0, 0, -1), None]
    assert made(Image.INTERVAL, spans, LogicalType(Kind.TIME)).equals(array)


@pytest.mark.parametrize("kind", [Kind.GEOMETRY, Kind.SET, Kind.UUID, Kind.BOOL, Kind.DATE])
def test_there_is_no_way_from_a_number_of_some_other_meaning(kind: Kind) -> None:
    assert conversion(Image.FLOAT, LogicalType(kind)) is None


LIMIT = 2**31 - 1
PARTS = st.builds(
    span,
    st.integers(-LIMIT, LIMIT),
    st.integers(-LIMIT, LIMIT),
    st.integers(-(2**62), 2**62),
)


@given(PARTS)
def test_intervals_as_mysql_holds_them(value: dict[str, int]) -> None:
    text = mysqlload._interval(value, mysqlload.Field(mysqlload.LoadSpec("c", "interval", {})))
    assert iso_interval(text.decode()) == value
