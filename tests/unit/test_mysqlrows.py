"""Rows of MySQL's binary protocol: the C decoder against its plain twin, and both against written-out cases.

slugs: rows-exact, rows-cut-anywhere, rows-garbage, rows-long-packets, reader-zero-date,
result-error, batch-bounds
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.mysqlrows import RowDecoder as Compiled
from ext.mysqlwire import (
    MAX_PACKET,
    UNSIGNED_FLAG,
    DecodeSpec,
    ProtocolError,
    ServerError,
    Wire,
    printed_row,
)
from ext.plain.mysqlrows import RowDecoder as Plain
from ext.rowerror import RowError

DECODERS = pytest.mark.parametrize("decoder", [Compiled, Plain], ids=["compiled", "plain"])
EOF = b"\xfe\0\0\2\0"

# ---------------------------------------------------------------- writing what a server would send


def lenenc(value: bytes) -> bytes:
    size = len(value)
    if size < 251:
        return bytes([size]) + value
    if size < 1 << 16:
        return b"\xfc" + struct.pack("<H", size) + value
    if size < 1 << 24:
        return b"\xfd" + size.to_bytes(3, "little") + value
    return b"\xfe" + struct.pack("<Q", size) + value


def moment(year: int, month: int, day: int, *rest: int) -> bytes:
    body = struct.pack("<HBB", year, month, day)
    if rest:
        body += bytes(rest[:3])
    if len(rest) > 3:
        body += struct.pack("<I", rest[3])
    return bytes([len(body)]) + body


def duration(negative: bool, days: int, hour: int, minute: int, second: int, micro: int = 0) -> bytes:
    if not (days or hour or minute or second or micro):
        return b"\0"
    body = struct.pack("<BIBBB", negative, days, hour, minute, second)
    if micro:
        body += struct.pack("<I", micro)
    return bytes([len(body)]) + body


def row(values: Sequence[bytes | None]) -> bytes:
    bitmap = sum(1 << number + 2 for number, value in enumerate(values) if value is None)
    head = b"\0" + bitmap.to_bytes((len(values) + 9) // 8, "little")
    return head + b"".join(value for value in values if value is not None)


def framed(packets: Sequence[bytes], sequence: int = 0) -> bytes:
    out = bytearray()
    for packet in packets:
        while True:
            part, packet = packet[:MAX_PACKET], packet[MAX_PACKET:]
            out += len(part).to_bytes(3, "little") + bytes([sequence & 0xFF]) + part
            sequence += 1
            if len(part) < MAX_PACKET:
                break
    return bytes(out)


def decode(decoder: Any, data: bytes, cuts: Sequence[int] = ()) -> list[pa.RecordBatch]:
    """Every batch of a result that comes in pieces; ProtocolError when it does not end."""
    batches = []
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(places):
        decoder.feed(data[start:end])
        while (batch := decoder.take()) is not None:
            for array in batch.columns:
                # whether text is UTF-8 is not the decoder's to say
                (array.view(pa.binary()) if pa.types.is_string(array.type) else array).validate(full=True)
            batches.append(batch)
    if not decoder.finished:
        raise ProtocolError("the result does not end")
    return batches


def values_of(decoder: Any, data: bytes) -> list[Any]:
    return [value for batch in decode(decoder, data) for value in batch.column(0).to_pylist()]


# ---------------------------------------------------------------- one value


def naive(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type] # noqa: DTZ001


UTC = pa.timestamp("us", "UTC")
VALUES: list[tuple[str, int, int, str, pa.DataType, bytes, Any]] = [
    ("tinyint", Wire.TINY, 0, "int", pa.int8(), b"\x80", -128),
    ("bool", Wire.TINY, 0, "bool", pa.int8(), b"\x01", 1),
    ("tinyint-unsigned", Wire.TINY, UNSIGNED_FLAG, "int", pa.uint8(), b"\xff", 255),
    ("smallint-to-int", Wire.SHORT, 0, "int", pa.int32(), b"\x00\x80", -32768),
    ("mediumint", Wire.INT24, 0, "int", pa.int32(), struct.pack("<i", -8388608), -8388608),
    ("year", Wire.YEAR, 0, "int", pa.int16(), b"\x6b\x08", 2155),
    ("year-0", Wire.YEAR, UNSIGNED_FLAG, "int", pa.uint16(), b"\0\0", 0),
    ("int-unsigned", Wire.LONG, UNSIGNED_FLAG, "int", pa.int64(), b"\xff" * 4, 4294967295),
    ("bigint", Wire.LONGLONG, 0, "int", pa.int64(), struct.pack("<q", -(2**63)), -(2**63)),
    ("bigint-unsigned", Wire.LONGLONG, UNSIGNED_FLAG, "int", pa.uint64(), b"\xff" * 8, 2**64 - 1),
    ("set-of-64", Wire.LONGLONG, 0, "set", pa.uint64(), b"\xff" * 8, 2**64 - 1),
    ("set-of-8", Wire.TINY, UNSIGNED_FLAG, "set", pa.uint64(), b"\x81", 0x81),
    ("float", Wire.FLOAT, 0, "float", pa.float32(), struct.pack("<f", 16777217), 16777216.0),
    ("float-to-double", Wire.FLOAT, 0, "float", pa.float64(), struct.pack("<f", 0.1), 0.10000000149011612),
    ("double", Wire.DOUBLE, 0, "float", pa.float64(), struct.pack("<d", 0.1), 0.1),
    ("decimal", Wire.NEWDECIMAL, 0, "decimal", pa.utf8(), lenenc(b"-0.10"), "-0.10"),
    ("text", Wire.VAR_STRING, 0, "text", pa.utf8(), lenenc("é😀\0".encode()), "é😀\0"),
    ("text-empty", Wire.STRING, 0, "text", pa.large_utf8(), b"\0", ""),
    ("text-300", Wire.BLOB, 0, "text", pa.utf8(), lenenc(b"x" * 300), "x" * 300),
    ("blob-70000", Wire.LONG_BLOB, 0, "bytes", pa.large_binary(), lenenc(b"y" * 70_000), b"y" * 70_000),
    ("json", Wire.JSON, 0, "json", pa.utf8(), lenenc(b'{"a": 1}'), '{"a": 1}'),
    ("bits", Wire.BIT, 0, "bits", pa.binary(), b"\x02\x01\xff", b"\x01\xff"),
    ("uuid", Wire.STRING, 0, "uuid", pa.binary(), lenenc(bytes(range(16))), bytes(range(16))),
    ("inet4", Wire.STRING, 0, "inet", pa.binary(), lenenc(b"\x7f\0\0\1"), b"\x7f\0\0\1"),
    ("geometry", Wire.GEOMETRY, 0, "geometry", pa.binary(), lenenc(bytes(25)), bytes(25)),
    ("vector", Wire.VECTOR, 0, "vector", pa.binary(), lenenc(bytes(8)), bytes(8)),
    ("date", Wire.DATE, 0, "date", pa.date32(), moment(2024, 2, 29), dt.date(2024, 2, 29)),
    ("date-1", Wire.DATE, 0, "date", pa.date32(), moment(1, 1, 1), dt.date(1, 1, 1)),
    ("date-9999", Wire.DATE, 0, "date", pa.date32(), moment(9999, 12, 31), dt.date(9999, 12, 31)),
    (
        "midnight",
        Wire.DATETIME,
        0,
        "timestamp",
        pa.timestamp("us"),
        moment(1969, 12, 31),
        naive(1969, 12, 31),
    ),
    (
        "datetime",
        Wire.DATETIME,
        0,
        "timestamp",
        pa.timestamp("us"),
        moment(1000, 1, 1, 23, 59, 59, 999_999),
        naive(1000, 1, 1, 23, 59, 59, 999_999),
    ),
    (
        "timestamp",
        Wire.TIMESTAMP,
        0,
        "timestamptz",
        UTC,
        moment(2038, 1, 19, 3, 14, 7),
        dt.datetime(2038, 1, 19, 3, 14, 7, tzinfo=dt.UTC),
    ),
    ("time-0", Wire.TIME, 0, "duration", pa.duration("us"), b"\0", dt.timedelta()),
    (
        "time-least",
        Wire.TIME,
        0,
        "duration",
        pa.duration("us"),
        duration(True, 34, 22, 59, 59, 999_999),
        -dt.timedelta(hours=838, minutes=59, seconds=59, microseconds=999_999),
    ),
]


@DECODERS
@pytest.mark.parametrize(
    ("name", "wire", "flags", "image", "arrow", "sent", "value"), VALUES, ids=[case[0] for case in VALUES]
)
def test_a_value_and_null(
    decoder: Any, name: str, wire: int, flags: int, image: str, arrow: pa.DataType, sent: bytes, value: Any
) -> None:
    spec = DecodeSpec(name, wire, flags, image, arrow)
    data = framed([row([sent]), row([None]), row([sent]), EOF])
    assert values_of(decoder([spec]), data) == [value, None, value]


OUTSIDE = [
    ("zero", moment(0, 0, 0), "0000-00-00"),
    ("zero-short", b"\0", "0000-00-00"),
    ("zero-day", moment(2024, 5, 0), "2024-05-00"),
    ("zero-month", moment(2024, 0, 0), "2024-00-00"),
    ("no-such-day", moment(2023, 2, 29), "2023-02-29"),
    ("no-such-day-of-a-century", moment(1900, 2, 29), "1900-02-29"),
    ("day-31-of-june", moment(2024, 6, 31), "2024-06-31"),
    ("year-zero", moment(0, 5, 5), "0000-05-05"),
]


@DECODERS
@pytest.mark.parametrize(("name", "sent", "printed"), OUTSIDE, ids=[case[0] for case in OUTSIDE])
def test_dates_outside_the_calendar_follow_the_policy(
    decoder: Any, name: str, sent: bytes, printed: str
) -> None:
    def made(invalid: Literal["refuse", "null", "sentinel"]) -> Any:
        return decoder([DecodeSpec("d", Wire.DATE, 0, "date", pa.date32(), invalid)])

    data = framed([row([moment(2024, 1, 1)]), row([sent]), EOF])
    with pytest.raises(RowError) as refused:
        decode(made("refuse"), data)
    assert (refused.value.column, refused.value.row) == (0, 1)
    assert (refused.value.reason, refused.value.value) == ("zero-date", printed)
    nulled = made("null")
    assert values_of(nulled, data) == [dt.date(2024, 1, 1), None]
    assert nulled.touched == {"d": 1}
    sentinel = made("sentinel")
    (batch,) = decode(sentinel, data)
    assert batch.column(0).view(pa.int32()).to_pylist() == [19723, -(2**31)]
    assert sentinel.touched == {"d": 1}


@DECODERS
def test_a_moment_outside_the_calendar_keeps_its_time_in_the_message(decoder: Any) -> None:
    spec = DecodeSpec("t", Wire.DATETIME, 0, "timestamp", pa.timestamp("us"))
    made = decoder([DecodeSpec("id", Wire.LONG, 0, "int", pa.int32()), spec])
    bad = row([struct.pack("<i", 77), moment(2024, 2, 30, 1, 2, 3, 4)])
    with pytest.raises(RowError, match=r"2024-02-30 01:02:03\.000004"):
        decode(made, framed([bad, EOF]))
    assert printed_row(made.failed_row, made.specs) == ["77", "2024-02-30 01:02:03.000004"]


@DECODERS
@pytest.mark.parametrize(
    ("wire", "flags", "arrow", "sent", "printed"),
    [
        (Wire.LONG, 0, pa.int16(), struct.pack("<i", 32768), "32768"),
        (Wire.LONG, 0, pa.int16(), struct.pack("<i", -32769), "-32769"),
        (Wire.LONG, 0, pa.uint32(), struct.pack("<i", -1), "-1"),
        (Wire.LONGLONG, UNSIGNED_FLAG, pa.int64(), b"\xff" * 8, str(2**64 - 1)),
        (Wire.LONGLONG, UNSIGNED_FLAG, pa.uint8(), struct.pack("<Q", 256), "256"),
    ],
)
def test_an_integer_that_does_not_fit_is_refused(
    decoder: Any, wire: int, flags: int, arrow: pa.DataType, sent: bytes, printed: str
) -> None:
    with pytest.raises(RowError) as refused:
        decode(decoder([DecodeSpec("i", wire, flags, "int", arrow)]), framed([row([sent]), EOF]))
    assert (refused.value.reason, refused.value.value) == ("out-of-range", printed)


@DECODERS
def test_an_address_of_another_length_is_refused(decoder: Any) -> None:
    made = decoder([DecodeSpec("a", Wire.STRING, 0, "inet", pa.binary())])
    with pytest.raises(RowError, match="bad-length"):
        decode(made, framed([row([lenenc(b"12345")]), EOF]))


@DECODERS
@pytest.mark.parametrize(
    ("wire", "image", "arrow"),
    [
        (Wire.VAR_STRING, "int", pa.int64()),
        (Wire.DOUBLE, "float", pa.float32()),
        (Wire.LONG, "text", pa.utf8()),
        (Wire.VAR_STRING, "text", pa.binary()),
        (Wire.DATETIME, "date", pa.date32()),
        (Wire.DATE, "timestamp", pa.timestamp("ms")),
        (Wire.NEWDECIMAL, "decimal", pa.decimal128(10, 2)),
        (200, "bytes", pa.binary()),
    ],
)
def test_a_wire_type_that_is_no_image_is_refused_at_once(
    decoder: Any, wire: int, image: str, arrow: pa.DataType
) -> None:
    with pytest.raises(ProtocolError, match="column c comes as wire type"):
        decoder([DecodeSpec("c", wire, 0, image, arrow)])


# ---------------------------------------------------------------- results


@DECODERS
def test_an_error_in_place_of_a_row_is_raised(decoder: Any) -> None:
    made = decoder([DecodeSpec("i", Wire.TINY, 0, "int", pa.int8())])
    made.feed(framed([row([b"\1"]), b"\xff\x25\x05#70100Query execution was interrupted"]))
    with pytest.raises(ServerError) as raised:
        made.take()
    assert (raised.value.errno, raised.value.sqlstate) == (1317, "70100")
    with pytest.raises(ProtocolError):
        made.take()


@DECODERS
@pytest.mark.parametrize(
    ("deprecate", "end"), [(False, EOF), (True, b"\xfe\0\0\2\0\0\0"), (True, b"\xfe\0\0\2\0\0\0\x03abc")]
)
def test_a_result_ends_by_eof_or_ok(decoder: Any, deprecate: bool, end: bytes) -> None:
    made = decoder([DecodeSpec("i", Wire.TINY, 0, "int", pa.int8())], deprecate_eof=deprecate)
    made.feed(framed([row([b"\1"]), end]) + b"next")
    assert made.take().num_rows == 1
    assert made.finished
    assert made.take() is None
    assert made.rest == b"next"


@DECODERS
def test_a_cut_result_never_ends(decoder: Any) -> None:
    data = framed([row([b"\1"]), row([b"\2"]), EOF])
    for cut in range(len(data)):
        made = decoder([DecodeSpec("i", Wire.TINY, 0, "int", pa.int8())])
        made.feed(data[:cut])
        assert made.take() is None
        assert not made.finished


@DECODERS
def test_packets_out_of_order_are_refused_but_for_a_goodbye(decoder: Any) -> None:
    spec = DecodeSpec("i", Wire.TINY, 0, "int", pa.int8())
    with pytest.raises(ProtocolError, match="order"):
        decode(decoder([spec]), framed([row([b"\1"])], 5))
    made = decoder([spec], sequence=5)
    made.feed(framed([b"\xff\x1d\x04#08S01shutdown"], 0))
    with pytest.raises(ServerError, match="shutdown"):
        made.take()


@DECODERS
@pytest.mark.parametrize(
    ("rows", "size", "expected"), [(2, 1 << 20, [2, 2, 1]), (100, 25, [2, 2, 1]), (100, 1, [1] * 5)]
)
def test_a_batch_ends_by_rows_or_bytes(decoder: Any, rows: int, size: int, expected: list[int]) -> None:
    made = decoder([DecodeSpec("t", Wire.STRING, 0, "text", pa.utf8())], rows, size)
    data = framed([*[row([lenenc(b"x" * 9)])] * 5, EOF])
    assert [batch.num_rows for batch in decode(made, data)] == expected


@DECODERS
def test_discarding_passes_over_what_is_left(decoder: Any) -> None:
    made = decoder([DecodeSpec("i", Wire.TINY, 0, "int", pa.int8())], batch_rows=1)
    made.feed(framed([row([b"\1"]), row([b"\2"]), b"\0garbage", EOF]))
    assert made.take().num_rows == 1
    made.discard()
    assert made.take() is None
    assert made.finished


@DECODERS
def test_discarding_goes_on_after_a_refused_value(decoder: Any) -> None:
    made = decoder([DecodeSpec("d", Wire.DATE, 0, "date", pa.date32())])
    made.feed(framed([row([moment(2024, 1, 1)]), row([b"\0"]), row([b"\0"]), EOF]))
    with pytest.raises(RowError):
        made.take()
    with pytest.raises(ProtocolError):
        made.take()
    made.discard()
    assert made.take() is None
    assert made.finished


@DECODERS
@pytest.mark.parametrize(
    "size", [MAX_PACKET - 12, MAX_PACKET - 11, MAX_PACKET - 10, 2 * MAX_PACKET - 11, 40 << 20]
)
def test_a_row_of_several_packets(decoder: Any, size: int) -> None:
    """Also one whose last packet is empty: 1 + 1 + 9 bytes stand before the value."""
    value = random.Random(size).randbytes(1 << 16) * (size // (1 << 16)) + b"z" * (size % (1 << 16))
    made = decoder([DecodeSpec("b", Wire.LONG_BLOB, 0, "bytes", pa.large_binary())], sequence=254)
    data = framed([row([b"\1a"]), row([lenenc(value)]), row([b"\1b"]), EOF], 254)
    found = [
        item
        for batch in decode(made, data, [5, 1000, MAX_PACKET, MAX_PACKET + 9])
        for item in batch.column(0)
    ]
    assert [item.as_buffer().size for item in found] == [1, len(value), 1]
    assert found[1].as_buffer().to_pybytes() == value


def test_memory_of_a_batch_outlives_the_decoder() -> None:
    made = Compiled([DecodeSpec("t", Wire.STRING, 0, "text", pa.utf8())], 3)
    batches = decode(made, framed([*[row([lenenc(b"x" * n)]) for n in range(10)], EOF]))
    kept = batches[1].slice(1, 1)
    del made, batches
    assert kept.to_pylist() == [{"t": "xxxx"}]


def test_space_cannot_move_under_a_view() -> None:
    made = Compiled([DecodeSpec("t", Wire.STRING, 0, "text", pa.utf8())])
    with made.space() as space:
        size = len(space)
        space[:4] = b"\xff\xff\x7f\0"  # a packet larger than the space announces itself
        made.advance(4)
        made.take()
        with pytest.raises(BufferError):
            made.space()
    with made.space() as space:
        assert len(space) > size


# ---------------------------------------------------------------- both decoders alike


@dataclass(frozen=True)
class Kind:
    spec: Callable[[str, Any], DecodeSpec]
    value: st.SearchStrategy[bytes]


def _kind(
    wire: Wire, image: str, arrow: pa.DataType, value: st.SearchStrategy[bytes], flags: int = 0
) -> Kind:
    return Kind(lambda name, invalid: DecodeSpec(name, wire, flags, image, arrow, invalid), value)


def _sized(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


TEXTS = st.one_of(
    st.text(max_size=12).map(lambda text: lenenc(text.encode())),
    st.sampled_from([250, 251, 252, 65_535, 65_536]).map(lambda size: lenenc(b"v" * size)),
)
DATES = st.one_of(
    st.just(b"\0"),
    st.tuples(st.integers(0, 9999), st.integers(0, 12), st.integers(0, 31)).map(lambda d: moment(*d)),
    st.dates().map(lambda d: moment(d.year, d.month, d.day)),
)
MOMENTS = st.one_of(
    DATES,
    st.datetimes().map(
        lambda t: moment(
            t.year, t.month, t.day, t.hour, t.minute, t.second, *([t.microsecond] * (t.microsecond > 0))
        )
    ),
)
TIMES = st.builds(
    duration,
    st.booleans(),
    st.integers(0, 34),
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(0, 59),
    st.one_of(st.just(0), st.integers(0, 999_999)),
)
KINDS = [
    _kind(Wire.TINY, "int", pa.int8(), _sized(1)),
    _kind(Wire.TINY, "int", pa.int16(), _sized(1), UNSIGNED_FLAG),
    _kind(Wire.SHORT, "int", pa.int16(), _sized(2)),
    _kind(Wire.YEAR, "int", pa.int16(), st.integers(0, 2155).map(lambda y: struct.pack("<H", y))),
    _kind(Wire.INT24, "int", pa.int64(), _sized(4)),
    _kind(Wire.LONG, "int", pa.uint32(), _sized(4), UNSIGNED_FLAG),
    _kind(Wire.LONGLONG, "int", pa.int64(), _sized(8)),
    _kind(Wire.LONGLONG, "set", pa.uint64(), _sized(8)),
    _kind(
        Wire.FLOAT,
        "float",
        pa.float32(),
        st.floats(width=32, allow_nan=False).map(lambda f: struct.pack("<f", f)),
    ),
    _kind(
        Wire.FLOAT,
        "float",
        pa.float64(),
        st.floats(width=32, allow_nan=False).map(lambda f: struct.pack("<f", f)),
    ),
    _kind(Wire.DOUBLE, "float", pa.float64(), st.floats(allow_nan=False).map(lambda f: struct.pack("<d", f))),
    _kind(
        Wire.NEWDECIMAL,
        "decimal",
        pa.utf8(),
        st.decimals(allow_nan=False, allow_infinity=False).map(lambda d: lenenc(f"{d:f}".encode()[:250])),
    ),
    _kind(Wire.VAR_STRING, "text", pa.utf8(), TEXTS),
    _kind(Wire.BLOB, "bytes", pa.large_binary(), st.binary(max_size=20).map(lenenc)),
    _kind(Wire.STRING, "uuid", pa.binary(), _sized(16).map(lenenc)),
    _kind(Wire.NULL, "int", pa.int32(), st.nothing()),
    _kind(Wire.DATE, "date", pa.date32(), DATES),
    _kind(Wire.DATETIME, "timestamp", pa.timestamp("us"), MOMENTS),
    _kind(Wire.TIMESTAMP, "timestamptz", UTC, MOMENTS),
    _kind(Wire.TIME, "duration", pa.duration("us"), TIMES),
]


@st.composite
def results(draw: st.DrawFn) -> tuple[list[DecodeSpec], list[bytes]]:
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=12))
    specs = [
        kind.spec(f"c{number}", draw(st.sampled_from(["refuse", "null", "sentinel", "null"])))
        for number, kind in enumerate(kinds)
    ]
    one = [st.none() if kind.value.is_empty else st.one_of(st.none(), kind.value) for kind in kinds]
    rows = draw(st.lists(st.tuples(*one), max_size=12))
    return specs, [row(values) for values in rows]


def bits(batch: pa.RecordBatch) -> dict[str, list[Any]]:
    """Values as the bits Arrow holds: no date is out of Python's range, and NaN equals itself."""
    found = {}
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        kind = array.type
        if pa.types.is_string(kind):
            array = array.view(pa.binary())
        elif not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_integer(kind)):
            array = array.view(pa.int32() if kind.bit_width == 32 else pa.int64())
        found[name] = array.to_pylist()
    return found


def outcome(
    decoder: Any, specs: Sequence[DecodeSpec], data: bytes, cuts: Sequence[int], **budget: int
) -> Any:
    """What came of it, comparable: the batches, or the failure."""
    try:
        made = decoder(specs, **budget)
        batches = decode(made, data, cuts)
        return [bits(batch) for batch in batches], dict(made.touched)
    except (RowError, ServerError, ProtocolError) as error:
        return type(error).__name__, str(error)


@settings(max_examples=400, deadline=None)
@given(
    results(),
    st.lists(st.integers(0, 1 << 20), max_size=6),
    st.integers(1, 6),
    st.integers(1, 4000),
    st.integers(0, 255),
)
def test_both_decode_alike_wherever_the_bytes_are_cut(
    result: tuple[list[DecodeSpec], list[bytes]], cuts: list[int], rows: int, size: int, sequence: int
) -> None:
    specs, packets = result
    data = framed([*packets, EOF], sequence)
    budget = {"batch_rows": rows, "batch_bytes": size, "sequence": sequence}
    compiled = outcome(Compiled, specs, data, cuts, **budget)
    assert compiled == outcome(Plain, specs, data, (), **budget)
    if isinstance(compiled[0], list):
        assert sum(len(batch["c0"]) for batch in compiled[0]) == len(packets)


@settings(max_examples=600, deadline=None)
@given(
    results(),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=4),
    st.integers(0, 1 << 20),
    st.booleans(),
)
def test_garbage_fails_alike_and_reads_nothing_beyond(
    result: tuple[list[DecodeSpec], list[bytes]], changes: list[tuple[int, int]], cut: int, truncate: bool
) -> None:
    """Bytes changed inside the packets, whose frames stay whole, or the packets cut short."""
    specs, packets = result
    broken = []
    for packet in packets:
        body = bytearray(packet)
        for place, byte in changes:
            body[place % len(body)] = byte
        broken.append(bytes(body[: cut % (len(body) + 1)] if truncate else body))
    data = framed([*broken, EOF])
    assert outcome(Compiled, specs, data, ()) == outcome(Plain, specs, data, ())


@settings(max_examples=300, deadline=None)
@given(results(), st.binary(max_size=200))
def test_bytes_that_are_no_result(result: tuple[list[DecodeSpec], list[bytes]], data: bytes) -> None:
    specs, _ = result
    assert outcome(Compiled, specs, data, ()) == outcome(Plain, specs, data, ())
