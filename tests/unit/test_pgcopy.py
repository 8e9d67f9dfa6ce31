"""The encoder of binary COPY and its plain twin on cases made by hand: layouts, refusals, memory.

Cases of docs/policies/encoding.md are cited by their slugs.
"""

from __future__ import annotations

import gc
import struct
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ext import pgcopy
from ext.pgcopy import HEADER, TRAILER, CopyEncoder, EncoderSpec
from ext.plain import pgcopy as plain
from ext.rowerror import RowError
from tests.unit.pgcopy_twins import batch_of, fields, outcome, same

QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
POINT = struct.pack("<BIdd", 1, 1, 1.5, -2.0)
TWO_TEXTS = f"{1:08x}{0:08x}{25:08x}{2:08x}{1:08x}"  # dimensions, NULLs, oid, size, lower bound
DAYS = pa.array([0, 10957, -(2**31)], pa.int32()).view(pa.date32())

# ---------------------------------------------------------------- layouts by hand


@pytest.mark.parametrize(
    ("encoder", "options", "array", "expected"),
    [
        ("int8", {}, pa.array([1, None, -1]), ["0000000000000001", None, "ffffffffffffffff"]),
        ("numeric", {}, pa.array(["0", "-0.00"]), ["0000000000000000", "0000000000000002"]),
        ("numeric", {}, pa.array(["12345.6700"]), ["0003000100000004" + "000109291a2c"]),
        ("numeric", {}, pa.array([2**64 - 1], pa.uint64()), ["0005000400000000" + "07341a5802e103bb064f"]),
        ("bit", {"width": 10}, pa.array([b"\x02\xab"]), ["0000000a" + "aac0"]),
        ("interval", {}, pa.array([-1], pa.duration("us")), ["ffffffffffffffff" + "00" * 8]),
        ("inet", {}, pa.array([b"\x7f\0\0\1"]), ["02200004" + "7f000001"]),
        ("list_array", {}, pa.array([""]), ["00000000" + "00000000" + "00000019"]),
        (
            "list_array",
            {},
            pa.array(["a,"]),
            [f"{1:08x}{0:08x}{25:08x}{2:08x}{1:08x}000000016100000000"],
        ),
        ("jsonb", {}, pa.array(["{}"]), ["01" + "7b7d"]),
        ("date", {}, DAYS, ["ffffd533", "00000000", "80000000"]),
        ("ewkb", {}, pa.array([b"\xe6\x10\0\0" + POINT]), ["0101000020e6100000" + POINT[5:].hex()]),
        ("ewkb", {}, pa.array([bytes(4) + POINT]), [POINT.hex()]),
    ],
)
def test_layout(encoder: str, options: dict[str, Any], array: pa.Array, expected: list[str | None]) -> None:
    """Hexadecimal as PostgreSQL's own COPY TO writes it."""
    data = same([EncoderSpec("c0", encoder, options)], batch_of(array))[0]
    assert [None if value is None else value.hex() for (value,) in fields(data)] == expected


@pytest.mark.parametrize("width", range(1, 65))
def test_bits_of_every_width(width: int) -> None:
    """One bit at each place, all of them, and one too many; in as many bytes as are needed, and in more.
    slug: bit-width"""
    spec = EncoderSpec("c0", "bit", {"width": width})
    size = (width + 7) // 8
    for number in (0, 2**width - 1, *(1 << place for place in range(width))):
        for length in (size, size + 3):
            data, _ = same([spec], batch_of(pa.array([number.to_bytes(length, "big")])))
            ((value,),) = fields(data)
            assert value is not None
            assert value[:4] == struct.pack(">i", width)
            assert int.from_bytes(value[4:], "big") == number << (size * 8 - width)
    beyond = (1 << width).to_bytes(size + 1, "big")
    assert same([spec], batch_of(pa.array([beyond])))[:3] == (0, 0, "out-of-range")


def test_an_empty_batch_and_no_columns() -> None:
    assert same([EncoderSpec("c0", "int4")], batch_of(pa.array([], pa.int32()))) == (b"", {})
    assert same([], pa.record_batch([], names=[])) == (b"", {})
    assert HEADER[:11] == b"PGCOPY\n\xff\r\n\0"
    assert TRAILER == b"\xff\xff"


def test_the_null_type_is_null_everywhere() -> None:
    for encoder in pgcopy.ENCODERS:
        data, _ = same([EncoderSpec("c0", encoder)], batch_of(pa.nulls(2)))
        assert fields(data) == [[None], [None]]


@pytest.mark.parametrize(
    ("stored", "encoder", "plain_form"),
    [
        (pa.array(["a", "b", "a", None]).dictionary_encode(), "text", pa.array(["a", "b", "a", None])),
        (pa.array(["a" * 20, None], pa.string_view()), "text", pa.array(["a" * 20, None])),
        (pa.array([b"a" * 20, None], pa.binary_view()), "bytea", pa.array([b"a" * 20, None])),
        (pa.array([1.5], pa.float16()), "float8", pa.array([1.5])),
        (pa.array([86_400_000], pa.date64()), "date", pa.array([1], pa.int32()).view(pa.date32())),
        (pa.array([7], pa.timestamp("s")), "timestamp", pa.array([7_000_000], pa.timestamp("us"))),
        (pa.array([7], pa.duration("ms")), "interval", pa.array([7_000], pa.duration("us"))),
        (pa.array([Decimal("1.5")], pa.decimal64(5, 2)), "numeric", pa.array(["1.50"])),
    ],
)
def test_other_ways_to_store_the_same(stored: pa.Array, encoder: str, plain_form: pa.Array) -> None:
    spec = [EncoderSpec("c0", encoder)]
    assert outcome(pgcopy, spec, batch_of(stored)) == outcome(plain, spec, batch_of(plain_form))


# ---------------------------------------------------------------- policies, errors


def test_policies_count_values_of_batches_that_went() -> None:
    """slugs: nul-byte, invalid-text"""
    encoder = CopyEncoder([EncoderSpec("c0", "text", {"nul": "strip", "invalid": "replace"})])
    good = batch_of(pa.array([b"a\0b\0", b"\xff\xfe", b"\0\xff", b"fine"]).view(pa.string()))
    assert fields(bytes(encoder.encode(good))) == [
        [b"ab"],
        ["\ufffd\ufffd".encode()],
        ["\ufffd".encode()],
        [b"fine"],
    ]
    assert encoder.counters == {("c0", "nulByte"): 2, ("c0", "invalidText"): 2}
    mixed = CopyEncoder([EncoderSpec("t", "text", {"nul": "strip"}), EncoderSpec("n", "int2")])
    with pytest.raises(RowError):
        mixed.encode(batch_of(pa.array(["\0", "\0"]), pa.array([1, 10**6])))
    mixed.encode(batch_of(pa.array(["\0"]), pa.array([1])))
    assert mixed.counters == {("t", "nulByte"): 1}


@pytest.mark.parametrize(
    ("array", "encoder", "shown"),
    [
        (pa.array([10**6]), "int2", "1000000"),
        (pa.array(["a\0b"]), "text", "a\\x00b"),
        (pa.array([b"caf\xe9"]).view(pa.string()), "text", "636166e9"),
        (pa.array(["\0" + "é" * 5000]), "text", "\\x00" + "é" * 196),
        (pa.array([b"\1" * 17]), "uuid", "01" * 17),
        (pa.array([b"\1" * 5000]), "uuid", "01" * 100),
        (pa.array([86_400_000_001], pa.duration("us")), "time", "24:00:00.000001"),
        (pa.array([-500_000], pa.duration("us")), "time", "-00:00:00.500000"),
        (pa.array([-(2**31) + 1], pa.int32()).view(pa.date32()), "date", "-2147483647"),
        (pa.array([0.1]), "float4", "0.1"),
    ],
)
def test_a_refused_value_is_printed(array: pa.Array, encoder: str, shown: str) -> None:
    """slug: encode-refuses"""
    refused = same([EncoderSpec("c0", encoder)], batch_of(array))
    assert refused[3] == shown


def test_the_first_bad_value_in_row_order() -> None:
    """slug: encode-first-bad"""
    specs = [EncoderSpec("a", "int8"), EncoderSpec("b", "int2"), EncoderSpec("c", "text")]
    batch = batch_of(
        pa.array([1, 2, 2**63], pa.uint64()), pa.array([1, 70_000, 1]), pa.array(["a", "\0", "\0"])
    )
    assert same(specs, batch)[:3] == (1, 1, "out-of-range")


@pytest.mark.parametrize(
    ("specs", "batch", "message"),
    [
        ([], batch_of(pa.array([1])), "1 columns where 0"),
        ([EncoderSpec("c", "int4")], batch_of(pa.array([1.5])), "int4 does not read double"),
        ([EncoderSpec("c", "uuid")], batch_of(pa.array([1])), "uuid does not read int64"),
        ([EncoderSpec("c", "text")], batch_of(pa.array([[1]])), "text does not read list"),
    ],
)
def test_batches_of_another_shape(specs: list[EncoderSpec], batch: pa.RecordBatch, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CopyEncoder(specs).encode(batch)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (EncoderSpec("c", "int5"), "no encoder 'int5'"),
        (EncoderSpec("c", "text", {"length": 5}), "unknown options length"),
        (EncoderSpec("c", "bit", {"width": 0}), "bit string of 0"),
        (EncoderSpec("c", "set_array", {"labels": tuple(map(str, range(65)))}), "set of 65"),
    ],
)
def test_specs_that_mean_nothing(spec: EncoderSpec, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CopyEncoder([spec])


# ---------------------------------------------------------------- memory


def test_a_view_lives_until_the_next_batch_and_its_slices_longer() -> None:
    encoder = CopyEncoder([EncoderSpec("c0", "int4")])
    first = encoder.encode(batch_of(pa.array([1, 2])))
    piece, kept = first[:10], bytes(first)
    second = encoder.encode(batch_of(pa.array([3, 4])))
    with pytest.raises(ValueError, match="released"):
        bytes(first)
    assert bytes(piece) == kept[:10]
    del encoder
    gc.collect()
    assert fields(bytes(second)) == [[b"\0\0\0\3"], [b"\0\0\0\4"]]
    assert second.readonly


def test_a_giant_batch_gives_its_memory_back() -> None:
    """slug: encode-memory"""

    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    encoder = CopyEncoder([EncoderSpec("c0", "bytea")])
    small = batch_of(pa.array([b"a"]))
    encoder.encode(small)
    before = resident()
    giant = pa.array([bytes(96 << 20)])
    encoder.encode(batch_of(giant))
    assert resident() - before > 90 << 20
    del giant
    encoder.encode(small)
    gc.collect()
    pa.default_memory_pool().release_unused()
    assert resident() - before < 32 << 20


def _variable(kind: pa.DataType, offsets: list[int], data: bytes) -> pa.RecordBatch:
    """A column with these offsets. They are put in behind pyarrow's back, which refuses them otherwise."""
    width = np.int64 if kind in (pa.large_string(), pa.large_binary()) else np.int32
    stored = np.zeros(len(offsets), width)
    array = pa.Array.from_buffers(
        kind, len(offsets) - 1, [None, pa.py_buffer(stored), pa.py_buffer(data)], null_count=0
    )
    batch = batch_of(array)
    stored[:] = offsets
    return batch


def test_a_field_of_a_gibibyte_is_refused_before_it_is_touched() -> None:
    """slug: too-large"""
    batch = _variable(pa.large_binary(), [0, 3, 2**30], b"abc")
    with pytest.raises(RowError) as refused:
        CopyEncoder([EncoderSpec("c0", "bytea")]).encode(batch)
    assert (refused.value.row, refused.value.reason) == (1, "too-large")


@pytest.mark.parametrize(
    "offsets",
    [[0, 3, 9], [-5, 3, 3], [0, 3, 1], [2, -2, 3], [0, 2**31 - 70, 3], [10**6, 10**6 + 1, 10**6 + 2]],
    ids=str,
)
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_offsets_outside_of_the_data(offsets: list[int], kind: pa.DataType) -> None:
    """slug: encode-hostile"""
    batch = _variable(kind, offsets, b"abc")
    for encoder in ("text", "bytea", "jsonb", "numeric", "list_array", "int4"):
        with pytest.raises(ValueError, match=r"outside of the column's data|bad-number|too-large"):
            CopyEncoder([EncoderSpec("c0", encoder)]).encode(batch)


@pytest.mark.parametrize(
    ("kind", "encoder", "shortened"),
    [
        (pa.int64(), "int8", 1),
        (pa.int64(), "int8", 0),
        (pa.string(), "text", 1),
        (pa.large_string(), "text", 1),
        (pa.bool_(), "bool", 1),
        (pa.binary(16), "bytea", 1),
        (pa.decimal128(10, 2), "numeric", 1),
    ],
    ids=str,
)
def test_buffers_shorter_than_their_array(kind: pa.DataType, encoder: str, shortened: int) -> None:
    """slug: encode-hostile"""
    buffers = [pa.allocate_buffer(256, resizable=True) for _ in range(3)]
    for buffer in buffers:
        np.frombuffer(buffer, np.uint8)[:] = 0
    count = 3 if "string" in str(kind) else 2
    array = pa.Array.from_buffers(kind, 10, buffers[:count], null_count=10)
    batch = batch_of(array)
    assert fields(bytes(CopyEncoder([EncoderSpec("c0", encoder)]).encode(batch))) == [[None]] * 10
    buffers[shortened].resize(1)
    with pytest.raises(ValueError, match="shorter than its array"):
        CopyEncoder([EncoderSpec("c0", encoder)]).encode(batch)


@QUICK
@given(
    st.sampled_from(sorted(pgcopy.ENCODERS)),
    st.binary(max_size=200),
    st.lists(st.integers(0, 220), min_size=2, max_size=8),
    st.booleans(),
)
def test_any_bytes_at_all(encoder: str, data: bytes, cuts: list[int], ordered: bool) -> None:
    """Whatever the bytes are, they are encoded or refused. slug: encode-hostile"""
    batch = _variable(pa.binary(), sorted(cuts) if ordered else cuts, data)
    options = {"labels": ("a", "b")} if "set" in encoder else {}
    try:
        data_ = bytes(CopyEncoder([EncoderSpec("c0", encoder, options)]).encode(batch))
    except ValueError:
        return
    assert len(fields(data_)) == batch.num_rows
