"""The encoder of binary COPY against its plain twin, on arrays made at random.

Cases of docs/policies/encoding.md are cited by their slugs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ext import pgcopy
from ext.pgcopy import EncoderSpec
from ext.plain import pgcopy as plain
from tests.unit.pgcopy_twins import batch_of, same

QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])

INTEGERS = (
    pa.int8(),
    pa.int16(),
    pa.int32(),
    pa.int64(),
    pa.uint8(),
    pa.uint16(),
    pa.uint32(),
    pa.uint64(),
)


def integers(kind: pa.DataType) -> st.SearchStrategy[int]:
    bits = kind.bit_width
    low, high = (0, 2**bits - 1) if str(kind).startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    edges = [
        edge
        for shift in (0, 1, 7, 8, 15, 16, 24, 31, 32, 53, 63, 64)
        for edge in (2**shift - 1, 2**shift, 2**shift + 1, -(2**shift), -(2**shift) - 1, 10**shift)
        if low <= edge <= high
    ]
    return st.sampled_from(edges) | st.integers(low, high) | st.integers(0, 1)


def whole_arrays() -> st.SearchStrategy[pa.Array]:
    def of(kind: pa.DataType) -> st.SearchStrategy[pa.Array]:
        return arrays(integers(kind), kind)

    return st.sampled_from(INTEGERS).flatmap(of) | arrays(st.booleans(), pa.bool_())


def arrays(values: st.SearchStrategy[Any], *kinds: pa.DataType) -> st.SearchStrategy[pa.Array]:
    """Arrays with NULLs, some of them slices from the middle of longer ones, some empty."""
    lists = st.lists(st.none() | values, max_size=24)
    return st.builds(_sliced, lists, st.sampled_from(kinds), st.integers(0, 12), st.integers(0, 12))


def _sliced(values: list[Any], kind: pa.DataType, before: int, after: int) -> pa.Array:
    array = _array(values, kind)
    return array.slice(before, max(len(values) - before - after, 0)) if before < len(values) else array


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """As pa.array, but bytes become text whatever they hold, and integers floats by their bits."""
    if kind in (pa.string(), pa.large_string()):
        return pa.array(values, pa.binary() if kind == pa.string() else pa.large_binary()).view(kind)
    if kind in (pa.float32(), pa.float64()):
        stored = pa.uint32() if kind == pa.float32() else pa.uint64()
        return pa.array(values, stored).view(kind)
    if kind in (pa.date32(), pa.duration("us")) or pa.types.is_timestamp(kind):
        return pa.array(values, pa.int32() if kind == pa.date32() else pa.int64()).view(kind)
    return pa.array(values, kind)


STRINGS = (pa.string(), pa.large_string())
BINARIES = (pa.binary(), pa.large_binary())

any_text = st.text(st.characters(codec="utf-8") | st.sampled_from('a,\0"\\ é€😀'), max_size=30)
odd_text = st.one_of(
    any_text.map(str.encode),
    st.lists(
        st.sampled_from(
            [b"abcdefgh", b"\x00", b"\xc3\xa9", b"\xed\xa0\x80", b"\xff", b"\xf0\x9f\x98\x80", b"\xe2"]
        ),
        max_size=8,
    ).map(b"".join),
    st.binary(max_size=20),
)
number_text = st.one_of(
    st.from_regex(rb"-?[0-9]{0,40}(\.[0-9]{0,32})?", fullmatch=True),
    st.from_regex(rb"-?0{0,9}[0-9]{0,9}0{0,9}(\.0{0,9}[0-9]{0,5}0{0,9})?", fullmatch=True),
    st.sampled_from(
        [
            b"",
            b"-",
            b".",
            b"+1",
            b"1e5",
            b"1.",
            b".5",
            b"-.5",
            b"--1",
            b"1 ",
            b"NaN",
            b"-NaN",
            b"Infinity",
            b"-Infinity",
            b"-0.000",
        ]
    ),
)


def decimals(kind: pa.DataType) -> st.SearchStrategy[pa.Array]:
    limit = 10**kind.precision - 1
    values = st.integers(-limit, limit) | st.integers(-1200, 1200) | st.just(0)
    return arrays(values.map(lambda value: Decimal(value).scaleb(-kind.scale, context=_WIDE)), kind)


_WIDE = Context(prec=100, Emin=-999, Emax=999)


@dataclass
class Random:
    encoder: str
    values: st.SearchStrategy[pa.Array]
    options: tuple[dict[str, Any], ...] = ({},)
    name: str = ""


moments = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([-(2**63), -(2**63) + 1, -211_813_488_000_000_000 + 946_684_800_000_000]),
    st.integers(-10, 10).map(lambda step: -211_813_488_000_000_000 + 946_684_800_000_000 + step),
    st.integers(-2000, 2000).map(lambda seconds: seconds * 1_000_000),
)
spans = (
    st.integers(-10, 86_400_000_010)
    | st.integers(-(10**13), 10**13)
    | st.integers(-99, 99).map(lambda seconds: seconds * 1_000_000)
)
days = st.one_of(
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-1000, 40_000),
    st.sampled_from([-(2**31), -2451545 + 10957, -2451546 + 10957, 106751982 + 10957, 106751983 + 10957]),
)
json_text = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            '"',
            "\\",
            "u",
            "\\u0000",
            "\\ud800",
            "\\udc00",
            "\\uD83D\\uDE00",
            "\\\\",
            "00e9",
            '"a"',
            "é",
        ]
    ),
    max_size=12,
).map(lambda parts: "".join(parts).encode())
labels = tuple(f"label {number}" for number in range(64))
point = struct.pack("<BIdd", 1, 1, 1.5, -2.0)
line = struct.pack("<BII4d", 1, 2, 2, 0, 0, 1, 1)
ring = struct.pack("<BIII6d", 1, 3, 1, 3, 0, 0, 1, 1, 0, 0)


def collection(kind: int, *members: bytes) -> bytes:
    return struct.pack("<BII", 1, kind, len(members)) + b"".join(members)


geometries = st.recursive(
    st.sampled_from(
        [point, line, ring, collection(4, point, point), collection(5, line), collection(6, ring)]
    ),
    lambda inner: st.lists(inner, max_size=3).map(lambda members: collection(7, *members)),
    max_leaves=6,
)
stored_geometries = st.builds(
    lambda srid, wkb, cut, more: (struct.pack("<I", srid) + wkb)[: -cut or None] + more,
    st.sampled_from([0, 4326, 2**32 - 1]),
    geometries,
    st.sampled_from([0, 0, 0, 1, 8, 30]),
    st.sampled_from([b"", b"", b"", b"\0"]),
)
typmods: tuple[dict[str, Any], ...] = (
    {},
    {"precision": 9, "scale": 3, "nan": "null", "infinity": "null"},
    {"precision": 10, "scale": 2},
    {"precision": 5},
    {"precision": 20, "scale": 0},
    {"precision": 65, "scale": 30},
    {"precision": 2, "scale": 5},
    {"precision": 4, "scale": 4},
    {"precision": 5, "scale": -3},
)
texts: tuple[dict[str, Any], ...] = (
    {},
    {"nul": "strip"},
    {"nul": "replace", "invalid": "replace"},
    {"invalid": "replace", "chars": 5},
    {"nul": "bytea", "invalid": "bytea", "octets": 7},
    {"nul": "strip", "invalid": "replace", "labels": ("", "a", "é", "abcdefgh")},
)
DECIMAL_TYPES = (pa.decimal128(38, 10), pa.decimal128(18, 0), pa.decimal256(76, 30), pa.decimal256(65, -4))
decimal_arrays = st.sampled_from(DECIMAL_TYPES).flatmap(decimals)
octets = st.binary(max_size=10) | st.binary(min_size=16, max_size=16) | st.binary(min_size=4, max_size=4)
binary_arrays = arrays(octets, *BINARIES) | arrays(st.binary(min_size=16, max_size=16), pa.binary(16))

span_parts = st.fixed_dictionaries(
    {
        "months": integers(pa.int32()) | st.integers(-30, 30) | st.sampled_from([-(2**31), 2**31 - 1]),
        "days": integers(pa.int32()) | st.integers(-40, 40) | st.sampled_from([-(2**31), 2**31 - 1]),
        "microseconds": integers(pa.int64()) | spans | st.sampled_from([-(2**63), 2**63 - 1]),
    }
)
INTERVALS = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])

thirteen_bits = st.integers(0, 2**13 - 1).map(lambda bits: bits.to_bytes(2, "big"))
one_bit = st.sampled_from([b"", b"\0", b"\1", b"\2", b"\0\1", b"\1\0"])
masks = arrays(integers(pa.uint64()), pa.uint64())
few = ({"labels": labels}, {"labels": labels[:3], "element": 1043})
joined = ({"labels": labels}, {"labels": ("é", "", "x"), "chars": 2})
timestamps = arrays(moments, pa.timestamp("us"), pa.timestamp("us", "UTC"))

RANDOM = [
    *(Random(name, whole_arrays(), ({}, {"flag": True})) for name in ("int2", "int4", "int8", "numeric")),
    *(Random(name, whole_arrays()) for name in ("bool", "float4", "float8", "text", "set_array")),
    *(
        Random(name, arrays(number_text, *STRINGS), ({}, {"nan": "null", "infinity": "null"}), "digits")
        for name in ("int2", "int4", "int8")
    ),
    *(Random(name, decimal_arrays, name="decimals") for name in ("int2", "int4", "int8", "text")),
    Random("numeric", whole_arrays(), typmods, "typed"),
    Random("numeric", arrays(number_text, *STRINGS), typmods, "digits"),
    Random("numeric", decimal_arrays, typmods, "decimals"),
    *(
        Random(name, arrays(st.integers(0, 2**32 - 1), pa.float32()), name="single")
        for name in ("float4", "float8")
    ),
    *(
        Random(name, arrays(st.integers(0, 2**64 - 1) | small, pa.float64()), name="double")
        for name in ("float4", "float8")
        for small in [st.floats(width=32).map(lambda value: struct.unpack("<Q", struct.pack("<d", value))[0])]
    ),
    Random("text", arrays(odd_text, *STRINGS, *BINARIES), texts, "odd"),
    Random("bytea", binary_arrays),
    Random("bytea", arrays(odd_text, *STRINGS), name="text"),
    Random("jsonb", arrays(json_text | odd_text, *STRINGS)),
    Random("bit", binary_arrays, ({}, {"width": 8}, {"width": 13}, {"width": 64}, {"width": 4000})),
    Random("bit", arrays(st.binary(min_size=2, max_size=2), pa.binary(2)), ({"width": 10},), "fixed"),
    Random("bit", arrays(thirteen_bits, *BINARIES), ({"width": 13},), "fitting"),
    Random("bool", arrays(one_bit, *BINARIES), name="bits"),
    Random("date", arrays(days, pa.date32())),
    Random("timestamp", arrays(days, pa.date32()), name="days"),
    Random("timestamp", timestamps, ({}, {"unit": 10**6})),
    Random("interval", arrays(spans, pa.duration("us")), ({}, {"unit": 1000})),
    Random("interval", arrays(span_parts, INTERVALS), ({}, {"unit": 1000}, {"infinite": True}), "parts"),
    Random("interval_text", arrays(span_parts, INTERVALS), ({}, {"chars": 12}, {"infinite": True})),
    Random("time", arrays(spans, pa.duration("us")), ({}, {"unit": 10**6})),
    Random("uuid", binary_arrays),
    Random("uuid_text", binary_arrays, ({}, {"chars": 35})),
    Random("inet", binary_arrays),
    Random("inet_text", binary_arrays, ({}, {"chars": 9})),
    Random("set_array", masks, few),
    Random("set_text", masks, joined),
    Random(
        "set_text", arrays(st.integers(0, 7), pa.uint64(), pa.int32()), ({"labels": ("é", "", "x")},), "small"
    ),
    Random("list_array", arrays(odd_text | any_text.map(str.encode), *STRINGS), ({}, {"element": 1043})),
    Random("ewkb", arrays(stored_geometries | octets, *BINARIES)),
    Random("ewkb", arrays(stored_geometries, *BINARIES), name="whole"),
    Random("float4_array", binary_arrays),
]


@pytest.mark.parametrize("case", RANDOM, ids=lambda case: f"{case.encoder}-{case.name}".rstrip("-"))
def test_both_write_the_same(case: Random) -> None:
    """slugs: encode-exact, encode-refuses"""

    @QUICK
    @given(case.values, st.sampled_from(case.options))
    def check(array: pa.Array, options: dict[str, Any]) -> None:
        same([EncoderSpec("c0", case.encoder, options)], batch_of(array))

    check()


def test_every_encoder_is_tried() -> None:
    assert {case.encoder for case in RANDOM} == set(pgcopy.ENCODERS) == set(plain.ENCODERS)


@QUICK
@given(st.data())
def test_columns_side_by_side(data: st.DataObject) -> None:
    """Rows of several columns of one slice; the first bad value in row order. slug: encode-first-bad"""
    rows = data.draw(st.integers(0, 20))
    picked = data.draw(st.lists(st.sampled_from(("int2", "text", "numeric", "bool", "bytea")), max_size=6))
    columns = {
        "int2": (st.integers(-40_000, 40_000), pa.int32()),
        "text": (odd_text, pa.string()),
        "numeric": (number_text, pa.large_string()),
        "bool": (st.integers(0, 2), pa.int8()),
        "bytea": (st.binary(), pa.binary()),
    }
    arrays_ = []
    for name in picked:
        values, kind = columns[name]
        arrays_.append(_array(data.draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind))
    batch = batch_of(*arrays_)
    start = data.draw(st.integers(0, rows))
    specs = [EncoderSpec(f"c{number}", name) for number, name in enumerate(picked)]
    same(specs, batch.slice(start))
    # What is good of it, so that rows are written and not only refused.
    good = [
        EncoderSpec(f"c{number}", "int4" if name == "int2" else "bytea" if name != "bool" else "int2")
        for number, name in enumerate(picked)
    ]
    assert isinstance(same(good, batch.slice(start))[0], bytes)
