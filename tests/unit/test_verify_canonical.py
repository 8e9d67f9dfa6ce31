"""Values of two images brought into one form: equal exactly when the values are. slugs: verify-common"""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from engine.config import Policies
from engine.connectors.base import ReadColumn
from engine.errors import Code, EngineError
from engine.schema import Column
from engine.streams.verify_canonical import canonical, form
from engine.types import Image, Kind, LogicalType

N, D, T = Image.INT, Image.DECIMAL, Image.TEXT
UTC = pa.timestamp("us", "UTC")
SPAN = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])
NOON = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
SET = LogicalType(Kind.SET, labels=("a", "b", "c"))
MASK = b"\x05"
TINY = pa.array([Decimal("1.5"), Decimal("1E-7")], pa.decimal128(20, 7))
MIDNIGHT = pa.array([dt.datetime(2024, 2, 29)], pa.timestamp("us"))  # noqa: DTZ001
PLAIN_NOON = pa.array([NOON.replace(tzinfo=None)], pa.timestamp("us"))
LEAST_DAY = pa.array([-(2**31)], pa.int32()).cast(pa.date32())
BACK = pa.array([-5_500_000], pa.duration("us"))
BACK_SPAN = pa.array([{"months": 0, "days": 0, "microseconds": -5_500_000}], SPAN)
MIXED_SPAN = pa.array([{"months": 14, "days": -3, "microseconds": 1_500_000}], SPAN)


def column(image: Image, array: pa.Array, type_: LogicalType) -> ReadColumn:
    return ReadColumn("c", "c", image, array.type, Column("c", type_, str(array.type)))


def compared(
    left: tuple[Image, pa.Array],
    right: tuple[Image, pa.Array],
    policies: Policies | None = None,
    type_: LogicalType | None = None,
    *,
    zeros: bool = False,
) -> list[bool]:
    type_ = type_ or LogicalType(Kind.OTHER)
    ours, theirs = column(*left, type_), column(*right, type_)
    wanted = form(ours, theirs, policies or Policies(), zeros=zeros)
    one, other = canonical(left[1], ours, wanted), canonical(right[1], theirs, wanted)
    assert one.type == other.type
    return [a == b for a, b in zip(one.to_pylist(), other.to_pylist(), strict=True)]


def _named(side: tuple[Image, pa.Array]) -> str:
    image, array = side
    return f"{image.value}:{array.type}"


def micros(*values: int | None) -> pa.Array:
    return pa.array(values, pa.int64()).cast(pa.timestamp("us"))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((N, pa.array([1, -5, None], pa.int8())), (N, pa.array([1, -5, None], pa.int64()))),
        ((N, pa.array([2**64 - 1], pa.uint64())), (D, pa.array(["18446744073709551615"]))),
        ((N, pa.array([0, 1], pa.int8())), (Image.BOOL, pa.array([False, True]))),
        ((D, pa.array(["1.50", "-0.00", "100", "NaN"])), (D, pa.array(["1.5", "0", "100.000", "NaN"]))),
        ((D, pa.array(["1.5", "0.0000001"])), (D, TINY)),
        ((D, pa.array(["12.30"])), (T, pa.array(["12.3"]))),
        ((Image.FLOAT, pa.array([0.1, float("nan")])), (Image.FLOAT, pa.array([0.1, float("nan")]))),
        ((Image.FLOAT, pa.array([0.5], pa.float32())), (Image.FLOAT, pa.array([0.5], pa.float64()))),
        ((Image.FLOAT, pa.array([1.5])), (D, pa.array(["1.5"]))),
        ((Image.DATE, pa.array([dt.date(2024, 2, 29)])), (Image.TIMESTAMP, MIDNIGHT)),
        ((Image.TIMESTAMPTZ, pa.array([NOON], UTC)), (Image.TIMESTAMP, PLAIN_NOON)),
        ((Image.TIMESTAMP, micros(-(2**63))), (Image.DATE, LEAST_DAY)),
        ((Image.TIMESTAMPTZ, pa.array([NOON], UTC)), (T, pa.array(["2024-02-29T12:00:00.000Z"]))),
        ((Image.DATE, pa.array([dt.date(2024, 2, 29)])), (T, pa.array(["2024-02-29"]))),
        ((Image.DURATION, BACK), (Image.INTERVAL, BACK_SPAN)),
        ((Image.DURATION, BACK), (T, pa.array(["-00:00:05.5"]))),
        ((Image.INTERVAL, MIXED_SPAN), (T, pa.array(["P1Y2M-3DT1.5S"]))),
        ((Image.JSON, pa.array(['{"b": 1.0, "a": [1e2]}'])), (T, pa.array(['{"a":[100],"b":1}']))),
        ((Image.UUID, pa.array([bytes(range(16))])), (T, pa.array(["00010203-0405-0607-0809-0A0B0C0D0E0F"]))),
        ((Image.UUID, pa.array([bytes(range(16))])), (Image.BYTES, pa.array([bytes(range(16))]))),
        ((Image.INET, pa.array([b"\x7f\0\0\x01"])), (T, pa.array(["127.0.0.1/32"]))),
        ((Image.BYTES, pa.array([b"\xc3\xa9"])), (T, pa.array(["é"]))),
        ((Image.VECTOR, pa.array([struct.pack("<2f", 1, 0.5)])), (Image.JSON, pa.array(["[1, 0.5]"]))),
        ((T, pa.array(["a"]).dictionary_encode()), (T, pa.array(["a"], pa.large_string()))),
    ],
    ids=_named,
)  # fmt: skip
def test_equal(left: tuple[Image, pa.Array], right: tuple[Image, pa.Array]) -> None:
    assert all(compared(left, right))
    assert all(compared(right, left))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((N, pa.array([1, None], pa.int8())), (N, pa.array([2, 0], pa.int64()))),
        ((D, pa.array(["1.50", "10", "0"])), (D, pa.array(["1.51", "1", "NaN"]))),
        ((Image.FLOAT, pa.array([0.1])), (Image.FLOAT, pa.array([0.1 + 2**-55]))),
        ((Image.TIMESTAMP, micros(0, None)), (Image.TIMESTAMP, micros(1, 0))),
        ((T, pa.array(["a", "A", ""])), (T, pa.array(["a ", "a", None]))),
        ((Image.JSON, pa.array(["[1,2]"])), (Image.JSON, pa.array(["[2,1]"]))),
        ((Image.BYTES, pa.array([b"a"])), (Image.BYTES, pa.array([b"a\0"]))),
        ((Image.DURATION, pa.array([1], pa.duration("us"))), (T, pa.array(["00:00:00.000002"]))),
    ],
    ids=_named,
)  # fmt: skip
def test_different(left: tuple[Image, pa.Array], right: tuple[Image, pa.Array]) -> None:
    assert not any(compared(left, right))
    assert not any(compared(right, left))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((Image.SET, pa.array([5, 0], pa.uint64())), (Image.JSON, pa.array(['["a","c"]', "[]"]))),
        ((Image.SET, pa.array([5], pa.uint64())), (T, pa.array(["a,c"]))),
        ((Image.SET_TEXT, pa.array(["b"])), (Image.SET, pa.array([2], pa.uint64()))),
    ],
)  # fmt: skip
def test_sets(left: tuple[Image, pa.Array], right: tuple[Image, pa.Array]) -> None:
    assert all(compared(left, right, type_=SET))


def test_bits_as_digits_and_numbers() -> None:
    type_ = LogicalType(Kind.BIT, length=5)
    assert all(compared((Image.BITS, pa.array([MASK])), (T, pa.array(["00101"])), type_=type_))
    assert all(compared((Image.BITS, pa.array([MASK])), (N, pa.array([5])), type_=type_))
    assert not any(compared((Image.BITS, pa.array([MASK])), (T, pa.array(["101"])), type_=type_))


@pytest.mark.parametrize(
    ("policies", "image", "before", "after"),
    [
        ({"nan": "null"}, Image.FLOAT, pa.array([float("nan")]), pa.array([None], pa.float64())),
        ({"nan": "null"}, D, pa.array(["NaN"]), pa.array([None], pa.string())),
        ({"infinity": "null"}, Image.FLOAT, pa.array([float("-inf")]), pa.array([None], pa.float64())),
        ({"infinity": "null"}, D, pa.array(["Infinity"]), pa.array([None], pa.string())),
        ({"infinity": "null"}, Image.TIMESTAMP, micros(2**63 - 1), micros(None)),
        ({"nulByte": "strip"}, T, pa.array(["a\0b"]), pa.array(["ab"])),
        ({"nulByte": "replace"}, T, pa.array(["a\0b"]), pa.array(["a\ufffdb"])),
    ],
)
def test_what_a_policy_changed_is_no_difference(
    policies: dict[str, Any], image: Image, before: pa.Array, after: pa.Array
) -> None:
    assert not any(compared((image, before), (image, after)))
    assert all(compared((image, before), (image, after), Policies.model_validate(policies)))


def test_zeros_with_and_without_a_sign() -> None:
    """MariaDB stores -0 as 0. slug: verify-float"""
    left, right = (Image.FLOAT, pa.array([-0.0])), (Image.FLOAT, pa.array([0.0]))
    assert not any(compared(left, right))
    assert all(compared(left, right, zeros=True))


def test_a_pair_nothing_is_known_about() -> None:
    with pytest.raises(EngineError) as refused:
        compared((Image.GEOMETRY, pa.array([b""])), (Image.DATE, pa.array([dt.date(2024, 1, 1)])))
    assert refused.value.code is Code.STRUCTURE_MISMATCH
