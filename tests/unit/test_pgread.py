"""The C decoder of binary COPY against its plain twin: rows of every type, cut anywhere, and garbage."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext import pgread
from ext.pgreadspec import (
    INTERVAL,
    SIGNATURE,
    CopyError,
    FieldSpec,
    Op,
    bits_right_aligned,
    civil_date,
    moment_text,
    numeric_text,
    printed_row,
)
from ext.plain import pgread as plain
from ext.rowerror import RowError

HEADER = SIGNATURE + struct.pack(">II", 0, 0)
TRAILER = b"\xff\xff"
Row = Sequence[bytes | None]


def tuple_of(row: Row) -> bytes:
    fields = (struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data for data in row)
    return struct.pack(">h", len(row)) + b"".join(fields)


def stream_of(rows: Sequence[Row]) -> bytes:
    return HEADER + b"".join(map(tuple_of, rows)) + TRAILER


def numeric(digits: Sequence[int], weight: int, sign: int, scale: int) -> bytes:
    return struct.pack(f">HhHH{len(digits)}H", len(digits), weight, sign, scale, *digits)


def bits(text: str) -> bytes:
    size = (len(text) + 7) // 8
    return struct.pack(">i", len(text)) + int(text.ljust(8 * size, "0") or "0", 2).to_bytes(size, "big")


def packed(code: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return values.map(lambda value: struct.pack(f">{code}", value))


def integers(width: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1)


NUMERICS = st.builds(
    numeric,
    st.lists(st.integers(0, 9999), max_size=6),
    st.integers(-5, 6),
    st.sampled_from([0, 0x4000]),
    st.integers(0, 30),
) | st.sampled_from([numeric((), 0, sign, 0) for sign in (0xC000, 0xD000, 0xF000)])
FIELDS: list[tuple[FieldSpec, st.SearchStrategy[bytes]]] = [
    (FieldSpec("i2", Op.FIXED, pa.int16()), packed("h", integers(16))),
    (FieldSpec("i4", Op.FIXED, pa.int32()), packed("i", integers(32))),
    (FieldSpec("u4", Op.FIXED, pa.uint32()), packed("I", st.integers(0, 2**32 - 1))),
    (FieldSpec("i8", Op.FIXED, pa.int64()), packed("q", integers(64))),
    (FieldSpec("f4", Op.FIXED, pa.float32()), packed("f", st.floats(width=32, allow_nan=False))),
    (FieldSpec("f8", Op.FIXED, pa.float64()), packed("d", st.floats(allow_nan=False))),
    (FieldSpec("bool", Op.BOOL, pa.int8()), st.sampled_from([b"\0", b"\1"])),
    (FieldSpec("text", Op.BYTES, pa.string()), st.text(max_size=9).map(str.encode)),
    (FieldSpec("bytea", Op.LARGE_BYTES, pa.large_binary()), st.binary(max_size=40)),
    (FieldSpec("uuid", Op.UUID, pa.binary()), st.binary(min_size=16, max_size=16)),
    (FieldSpec("date", Op.DATE, pa.date32()), packed("i", st.integers(-(2**31), 2**31 - 20_000))),
    (
        FieldSpec("moment", Op.MOMENT, pa.timestamp("us")),
        packed("q", st.integers(-(2**63), 2**63 - 2 * 10**15) | st.just(2**63 - 1)),
    ),
    (FieldSpec("time", Op.TIME, pa.duration("us")), packed("q", st.integers(0, 86_400_000_000))),
    (
        FieldSpec("interval", Op.INTERVAL, INTERVAL),
        st.builds(lambda *v: struct.pack(">qii", *v), integers(64), integers(32), integers(32)),
    ),
    (FieldSpec("numeric", Op.NUMERIC, pa.string()), NUMERICS),
    (FieldSpec("bits", Op.BITS, pa.binary()), st.text("01", max_size=70).map(bits)),
]
SPECS = [spec for spec, _ in FIELDS]
ROWS = st.lists(st.tuples(*(st.none() | values for _, values in FIELDS)), max_size=12)


def outcome(decoder: Any, parts: Sequence[bytes]) -> Any:
    """Batches, or the error's kind and where it is."""
    batches = []
    try:
        for part in parts:
            decoder.feed(part)
            while (batch := decoder.take()) is not None:
                batches.append(batch)
    except RowError as error:
        return "row", error.column, error.row, error.reason, error.value, decoder.failed_row
    except CopyError:
        return "copy", len(batches)
    return batches, decoder.finished


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@settings(max_examples=150, deadline=None)
@given(ROWS, st.lists(st.integers(0, 10**6), max_size=6), st.integers(1, 20), st.integers(1, 2_000))
def test_both_decoders_make_the_same_batches(
    rows: list[Row], places: list[int], batch_rows: int, batch_bytes: int
) -> None:
    """pgread-twins"""
    parts = cut(stream_of(rows), places)
    found = outcome(pgread.CopyDecoder(SPECS, batch_rows, batch_bytes), parts)
    assert found == outcome(plain.CopyDecoder(SPECS, batch_rows, batch_bytes), parts)
    batches, finished = found
    assert finished
    assert sum(batch.num_rows for batch in batches) == len(rows)
    for batch in batches:
        batch.validate(full=True)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(*(st.none() | values for _, values in FIELDS)), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 10**6),
    st.lists(st.integers(0, 10**6), max_size=3),
)
def test_damaged_bytes_fail_alike(
    rows: list[Row], damages: list[tuple[int, int]], end: int, places: list[int]
) -> None:
    """pgread-garbage"""
    data = bytearray(stream_of(rows))
    for place, byte in damages:
        data[place % len(data)] = byte
    parts = cut(bytes(data[: 1 + end % len(data)]), places)
    for make in (lambda m: m.CopyDecoder(SPECS), lambda m: m.CopyRows(len(SPECS), 64)):
        mine, twin = (_plain_outcome(make, module, parts) for module in (pgread, plain))
        assert mine == twin


def _plain_outcome(make: Callable[[Any], Any], module: Any, parts: list[bytes]) -> Any:
    found = outcome(make(module), parts)
    if isinstance(found[0], list) and found[0] and isinstance(found[0][0], tuple):
        return [(bytes(data), rows) for data, rows in found[0]], found[1]
    if isinstance(found[0], list):  # a damaged byte may have made a NaN, which equals nothing
        return [_bytes_of(batch) for batch in found[0]], found[1]
    return found


def _bytes_of(batch: pa.RecordBatch) -> list[Any]:
    columns = []
    for column in batch.columns:
        if pa.types.is_floating(column.type):
            column = column.view(pa.int64() if column.type == pa.float64() else pa.int32())
        elif column.type in (pa.string(), pa.timestamp("us"), pa.date32(), pa.duration("us")):
            wide = {pa.string(): pa.binary(), pa.date32(): pa.int32()}.get(column.type, pa.int64())
            column = column.view(wide)
        columns.append(column.to_pylist())
    return columns


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_garbage_never_crashes(data: bytes) -> None:
    """pgread-garbage"""
    for head in (b"", HEADER, HEADER + struct.pack(">h", len(SPECS))):
        parts = [head + data]
        assert outcome(pgread.CopyDecoder(SPECS), parts) == outcome(plain.CopyDecoder(SPECS), parts)


def one(spec: FieldSpec, data: bytes | None, module: Any = pgread) -> Any:
    decoder = module.CopyDecoder([spec])
    decoder.feed(stream_of([[data]]))
    return decoder.take().column(0)


@pytest.mark.parametrize("module", [pgread, plain])
@pytest.mark.parametrize(
    ("digits", "weight", "sign", "scale", "text"),
    [
        ((), 0, 0, 0, "0"),
        ((), 0, 0, 3, "0.000"),
        ((1,), 0, 0, 0, "1"),
        ((1, 5000), 0, 0, 1, "1.5"),
        ((1, 5000), 0, 0x4000, 4, "-1.5000"),
        ((1,), 2, 0, 0, "100000000"),
        ((12, 3456), 1, 0, 2, "123456.00"),
        ((1,), -2, 0, 8, "0.00000001"),
        ((9999, 9999), 0, 0, 3, "9999.999"),
        ((5,), -1, 0, 4, "0.0005"),
        ((0, 7), 1, 0, 0, "7"),
        ((), 0, 0xC000, 0, "NaN"),
        ((), 0, 0xF000, 0, "-Infinity"),
    ],
)
def test_numerics(module: Any, digits: Any, weight: int, sign: int, scale: int, text: str) -> None:
    """pgread-numeric"""
    data = numeric(digits, weight, sign, scale)
    assert one(FieldSpec("n", Op.NUMERIC, pa.string()), data, module).to_pylist() == [text]
    assert numeric_text(data) == text


@pytest.mark.parametrize(
    ("op", "arrow", "data"),
    [
        (Op.FIXED, pa.int32(), b"\0\0\0"),
        (Op.FIXED, pa.int64(), b"\0\0\0\0"),
        (Op.BOOL, pa.int8(), b"\2"),
        (Op.UUID, pa.binary(), b"\0" * 15),
        (Op.DATE, pa.date32(), struct.pack(">i", 2**31 - 2)),
        (Op.TIME, pa.duration("us"), struct.pack(">q", -1)),
        (Op.TIME, pa.duration("us"), struct.pack(">q", 86_400_000_001)),
        (Op.NUMERIC, pa.string(), b"\0" * 7),
        (Op.NUMERIC, pa.string(), numeric((10_000,), 0, 0, 0)),
        (Op.NUMERIC, pa.string(), numeric((1,), 0, 0, 0)[:-1]),
        (Op.NUMERIC, pa.string(), numeric((1,), 0, 0x1234, 0)),
        (Op.NUMERIC, pa.string(), numeric((1,), 0, 0, 0x4000)),
        (Op.NUMERIC, pa.string(), numeric((1,), 0, 0xC000, 0)),
        (Op.BITS, pa.binary(), b"\0\0\0"),
        (Op.BITS, pa.binary(), b"\xff\xff\xff\xff"),
        (Op.BITS, pa.binary(), b"\0\0\0\x09\0"),
    ],
)
def test_fields_that_are_none_of_their_type(op: Op, arrow: pa.DataType, data: bytes) -> None:
    """pgread-malformed"""
    for module in (pgread, plain):
        with pytest.raises(CopyError, match="column 0"):
            one(FieldSpec("v", op, arrow), data, module)


@pytest.mark.parametrize(
    "data",
    [
        b"PGCOPX" + HEADER[6:],
        SIGNATURE + struct.pack(">II", 1 << 16, 0),
        SIGNATURE + struct.pack(">II", 0, 1 << 30),
        HEADER + struct.pack(">h", 2),
        HEADER + struct.pack(">h", -2),
        HEADER + struct.pack(">hi", 1, -2),
        HEADER + TRAILER + b"x",
    ],
)
def test_broken_framing(data: bytes) -> None:
    """pgread-malformed"""
    spec = FieldSpec("v", Op.BYTES, pa.binary())
    for decoder in (pgread.CopyDecoder([spec]), plain.CopyDecoder([spec]), pgread.CopyRows(1)):
        decoder.feed(data)
        with pytest.raises(CopyError):
            decoder.take()
        with pytest.raises(CopyError):
            decoder.take()


def test_a_header_with_an_extension_and_flags_that_do_not_matter() -> None:
    """pgread-header"""
    data = SIGNATURE + struct.pack(">II", 7, 3) + b"abc" + tuple_of([b"x"]) + TRAILER
    for module in (pgread, plain):
        decoder = module.CopyDecoder([FieldSpec("v", Op.BYTES, pa.string())])
        decoder.feed(data)
        assert decoder.take().to_pylist() == [{"v": "x"}]
        assert decoder.finished


def test_a_moment_that_cannot_go_names_its_row() -> None:
    """pgread-moment-range"""
    specs = [FieldSpec("k", Op.BYTES, pa.string()), FieldSpec("v", Op.MOMENT, pa.timestamp("us"))]
    rows: list[Row] = [[b"a", None], [b"b", struct.pack(">q", 2**63 - 2)]]
    for module in (pgread, plain):
        decoder = module.CopyDecoder(specs)
        decoder.feed(stream_of(rows))
        with pytest.raises(RowError) as failure:
            decoder.take()
        assert (failure.value.column, failure.value.row) == (1, 1)
        assert printed_row(decoder.failed_row, specs) == ["b", "294277-01-09 04:00:54.775806"]


def test_rows_without_columns() -> None:
    """pgread-no-columns"""
    for module in (pgread, plain):
        decoder = module.CopyDecoder([])
        decoder.feed(stream_of([[], [], []]))
        assert decoder.take().num_rows == 3


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.none() | st.binary(max_size=30), min_size=2, max_size=2), max_size=20),
    st.lists(st.integers(0, 10**6), max_size=6),
    st.integers(1, 100),
)
def test_raw_rows_are_the_stream_without_its_ends(rows: list[Row], places: list[int], size: int) -> None:
    """pgread-raw"""
    data = stream_of(rows)
    for module in (pgread, plain):
        pieces, finished = outcome(module.CopyRows(2, size), cut(data, places))
        assert finished
        assert b"".join(bytes(piece) for piece, _ in pieces) == data[len(HEADER) : -len(TRAILER)]
        assert sum(count for _, count in pieces) == len(rows)
        assert all(len(piece) >= size for piece, _ in pieces[:-1])


@pytest.mark.parametrize(
    ("days", "text"),
    [(0, "1970-01-01"), (-719_162, "0001-01-01"), (-719_163, "0001-12-31 BC"), (11_016, "2000-02-29")],
)
def test_dates_for_people(days: int, text: str) -> None:
    assert civil_date(days) == text


def test_values_for_people() -> None:
    assert moment_text(2**63 - 1) == "infinity"
    assert moment_text(0) == "2000-01-01 00:00:00"
    assert bits_right_aligned(bits("10000000001")) == b"\x04\x01"
