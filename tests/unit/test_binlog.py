"""The decoders of the binary log: the one in C and the plain one give the same, or fail alike."""

from __future__ import annotations

import struct
import zlib

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.binlog import RowsDecoder, json_text
from ext.binlogcharsets import known
from ext.binlogframes import Frames
from ext.binlogspec import Changes, Field, Log, LogColumn, MappedColumn, ProtocolError, TableMap
from ext.plain.binlog import RowsDecoder as PlainDecoder
from ext.plain.binlog import json_text as plain_json_text
from ext.rowerror import RowError

MICROS = pa.timestamp("us")
UTC = pa.timestamp("us", "UTC")
# type, meta, image, Arrow type, what else is said of the column
COLUMNS: dict[str, tuple[int, int, LogColumn]] = {
    "tiny": (Field.TINY, 0, LogColumn("c", "int", pa.int8())),
    "tiny to bool": (Field.TINY, 0, LogColumn("c", "bool", pa.int8())),
    "medium": (Field.INT24, 0, LogColumn("c", "int", pa.int32())),
    "medium unsigned": (Field.INT24, 0, LogColumn("c", "int", pa.uint32(), unsigned=True)),
    "narrowed": (Field.LONG, 0, LogColumn("c", "int", pa.int16())),
    "long long": (Field.LONGLONG, 0, LogColumn("c", "int", pa.uint64(), unsigned=True)),
    "float": (Field.FLOAT, 0, LogColumn("c", "float", pa.float32())),
    "widened": (Field.FLOAT, 0, LogColumn("c", "float", pa.float64())),
    "double": (Field.DOUBLE, 0, LogColumn("c", "float", pa.float64())),
    "year": (Field.YEAR, 0, LogColumn("c", "int", pa.int16())),
    "decimal": (Field.NEWDECIMAL, 10 << 8 | 2, LogColumn("c", "decimal", pa.string())),
    "decimal of 65": (Field.NEWDECIMAL, 65 << 8 | 30, LogColumn("c", "decimal", pa.string())),
    "zerofill": (Field.NEWDECIMAL, 12 << 8 | 3, LogColumn("c", "decimal", pa.string(), zerofill=True)),
    "bit": (Field.BIT, 1 << 8 | 3, LogColumn("c", "bits", pa.binary())),
    "date": (Field.DATE, 0, LogColumn("c", "date", pa.date32())),
    "date or null": (Field.DATE, 0, LogColumn("c", "date", pa.date32(), invalid="null")),
    "datetime": (Field.DATETIME2, 6, LogColumn("c", "timestamp", MICROS, invalid="sentinel")),
    "datetime 3": (Field.DATETIME2, 3, LogColumn("c", "timestamp", MICROS)),
    "old datetime": (Field.DATETIME, 0, LogColumn("c", "timestamp", MICROS, invalid="null")),
    "timestamp": (Field.TIMESTAMP2, 2, LogColumn("c", "timestamptz", UTC, invalid="null")),
    "old timestamp": (Field.TIMESTAMP, 0, LogColumn("c", "timestamptz", UTC)),
    "time": (Field.TIME2, 0, LogColumn("c", "duration", pa.duration("us"))),
    "time 5": (Field.TIME2, 5, LogColumn("c", "duration", pa.duration("us"))),
    "old time": (Field.TIME, 0, LogColumn("c", "duration", pa.duration("us"))),
    "varchar": (Field.VARCHAR, 300, LogColumn("c", "text", pa.string(), charset="utf8mb4")),
    "latin1": (Field.VARCHAR, 9, LogColumn("c", "text", pa.large_string(), charset="latin1")),
    "ascii": (Field.STRING, 9, LogColumn("c", "text", pa.string(), charset="ascii", lossy="replace")),
    "utf16": (Field.BLOB, 2, LogColumn("c", "text", pa.string(), charset="utf16", lossy="replace")),
    "utf16le": (Field.BLOB, 1, LogColumn("c", "text", pa.string(), charset="utf16le")),
    "utf32": (Field.BLOB, 1, LogColumn("c", "text", pa.string(), charset="utf32", lossy="replace")),
    "gbk": (Field.BLOB, 1, LogColumn("c", "text", pa.string(), charset="gbk", lossy="replace")),
    "blob": (Field.BLOB, 4, LogColumn("c", "bytes", pa.large_binary())),
    "binary": (Field.STRING, 8, LogColumn("c", "bytes", pa.binary(), charset="binary")),
    "uuid": (Field.STRING, 16, LogColumn("c", "uuid", pa.binary(), charset="binary")),
    "enum": (Field.ENUM, 1, LogColumn("c", "text", pa.string(), labels=("a", "é"))),
    "set": (Field.SET, 3, LogColumn("c", "set", pa.uint64())),
    "set text": (Field.SET, 1, LogColumn("c", "set_text", pa.string(), labels=tuple("abcdef"))),
    "json": (Field.JSON, 4, LogColumn("c", "json", pa.large_string())),
    "compressed": (Field.BLOB_COMPRESSED, 1, LogColumn("c", "bytes", pa.binary())),
}


def outcome(kind: type, names: list[str], skipped: list[bool], event: int, body: bytes) -> object:
    """The changes, or what was raised."""
    mapped = tuple(MappedColumn(COLUMNS[name][0], COLUMNS[name][1], True) for name in names)
    wanted = [None if skip else COLUMNS[name][2] for name, skip in zip(names, skipped, strict=True)]
    decoder = kind(TableMap(1, 0, "d", "t", mapped), wanted)
    try:
        decoder.add(event, body, 7)
        changes: Changes = decoder.take()
    except RowError as error:
        return error.column, error.row, error.reason, error.value
    except ProtocolError:
        return ProtocolError
    for batch in (changes.before, changes.after):
        for array in batch.columns:
            if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
                array.validate(full=True)
    return (
        changes.tags.to_pylist(),
        [changes.shapes[number] for number in changes.shape.to_pylist()],
        *(tuple(map(raw, batch.columns)) for batch in (changes.before, changes.after)),
        changes.diffs,
        dict(decoder.touched),
    )


def raw(array: pa.Array) -> tuple[str, list[object]]:
    """Values as bytes, so that NaN is NaN and what is no UTF-8 is compared too."""
    kind = array.type
    if pa.types.is_string(kind):
        array = array.view(pa.binary())
    elif pa.types.is_large_string(kind):
        array = array.view(pa.large_binary())
    elif not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        array = array.view({1: pa.int8(), 2: pa.int16(), 4: pa.int32(), 8: pa.int64()}[kind.bit_width // 8])
    return str(kind), array.to_pylist()


def twins_agree(names: list[str], skipped: list[bool], event: int, body: bytes) -> object:
    ours = outcome(RowsDecoder, names, skipped, event, body)
    assert ours == outcome(PlainDecoder, names, skipped, event, body)
    return ours


def head(event: int, count: int, bits: bytes) -> bytes:
    extra = b"\2\0" if event >= Log.WRITE_ROWS else b""
    return b"\1\0\0\0\0\0\1\0" + extra + bytes([count]) + bits


@pytest.mark.parametrize("name", COLUMNS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_bytes_are_the_same_to_both(name: str, data: st.DataObject) -> None:
    value = data.draw(st.binary(max_size=24))
    if COLUMNS[name][0] in (Field.BLOB, Field.JSON, Field.BLOB_COMPRESSED):
        value = len(value).to_bytes(COLUMNS[name][1], "little") + value
    elif data.draw(st.booleans()):
        value = bytes([len(value)]) + value
    body = head(Log.WRITE_ROWS, 1, b"\1") + b"\0" + value
    twins_agree([name], [False], Log.WRITE_ROWS, body)


@settings(max_examples=300, deadline=None)
@given(
    names=st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=10),
    event=st.sampled_from(
        [Log.WRITE_ROWS_V1, Log.UPDATE_ROWS_V1, Log.DELETE_ROWS, Log.UPDATE_ROWS, Log.PARTIAL_UPDATE_ROWS]
    ),
    data=st.data(),
)
def test_any_rows_are_the_same_to_both(names: list[str], event: int, data: st.DataObject) -> None:
    skipped = data.draw(st.lists(st.booleans(), min_size=len(names), max_size=len(names)))
    size = (len(names) + 7) // 8
    images = 2 if event in (Log.UPDATE_ROWS_V1, Log.UPDATE_ROWS, Log.PARTIAL_UPDATE_ROWS) else 1
    bits = data.draw(st.binary(min_size=images * size, max_size=images * size))
    rows = data.draw(st.binary(max_size=80)) + data.draw(st.sampled_from([b"", bytes(60), b"\x80" * 40]))
    twins_agree(names, skipped, event, head(event, len(names), bits) + rows)


def test_a_known_row() -> None:
    """-12345.67800 and {"a": 1.0}, in the bytes the server wrote"""
    specs = [LogColumn("id", "int", pa.int32()), LogColumn("d", "decimal", pa.string())]
    specs.append(LogColumn("j", "json", pa.large_string()))
    fields = [(Field.LONG, 0), (Field.NEWDECIMAL, 20 << 8 | 5), (Field.JSON, 4)]
    table = TableMap(1, 0, "d", "t", tuple(MappedColumn(kind, meta, True) for kind, meta in fields))
    values = "01000000 7fffffffffcfc6fef727 15000000 00010014000b0001000b0c0061000000000000f03f"
    body = head(Log.WRITE_ROWS, 3, b"\7") + b"\0" + bytes.fromhex(values)
    for kind in (RowsDecoder, PlainDecoder):
        decoder = kind(table, specs)
        assert decoder.add(Log.WRITE_ROWS, body, 5) == 1
        changes = decoder.take()
        assert changes.after.to_pylist() == [{"id": 1, "d": "-12345.67800", "j": '{"a": 1.0}'}]
        assert changes.tags.to_pylist() == [5]
        for cut in range(1, len(bytes.fromhex(values)) + 1):
            with pytest.raises(ProtocolError):
                kind(table, specs).add(Log.WRITE_ROWS, body[:-cut], 5)


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.builds(
            lambda kind, count, rest: bytes([kind, count, 0, 4 + len(rest), 0]) + rest,
            st.integers(0, 3),
            st.integers(0, 4),
            st.binary(max_size=60),
        ),
    )
)
def test_any_json_is_the_same_to_both(data: bytes) -> None:
    texts = []
    for read in (json_text, plain_json_text):
        try:
            texts.append(read(data))
        except ProtocolError:
            texts.append(None)
    assert texts[0] == texts[1]


def event(kind: int, body: bytes, end: int, flags: int = 0, timestamp: int = 1) -> bytes:
    whole = struct.pack("<IBIIIH", timestamp, kind, 1, 23 + len(body), end, flags) + body
    return whole + zlib.crc32(whole).to_bytes(4, "little")


def test_positions_go_on_past_32_bits() -> None:
    frames = Frames(True, "bin.1", (1 << 32) - 10)
    (found,) = frames.packet(event(Log.XID, bytes(8), 21))
    assert (found.position, found.end, found.stored) == ((1 << 32) - 10, (1 << 32) + 21, True)


def test_events_without_a_position_are_counted() -> None:
    frames = Frames(True, "bin.1", 100)
    (found,) = frames.packet(event(Log.XID, bytes(8), 0))
    assert (found.position, found.end) == (100, 131)


def test_a_made_up_rotate_sets_the_place() -> None:
    frames = Frames()
    (found,) = frames.packet(event(Log.ROTATE, struct.pack("<Q", 5000) + b"bin.7", 0, 0x20, 0))
    assert (frames.file, frames.position, found.stored) == ("bin.7", 5000, False)


def test_compressed_events_of_mariadb_are_the_plain_ones() -> None:
    rows = bytes(range(200))
    packed = b"\x82\x00\xc8" + zlib.compress(rows)
    frames = Frames(True, "bin.1", 100)
    start = b"\1\0\0\0\0\0\1\0\3\7"
    (found,) = frames.packet(event(Log.WRITE_ROWS_COMPRESSED_V1, start + packed, 0))
    assert (found.type, found.body) == (Log.WRITE_ROWS_V1, start + rows)
    start = b"\1\0\0\0\0\0\1\0\3\7\7"
    (found,) = frames.packet(event(Log.UPDATE_ROWS_COMPRESSED_V1, start + packed, 0))
    assert (found.type, found.body) == (Log.UPDATE_ROWS_V1, start + rows)
    query = struct.pack("<IIBHH", 1, 0, 1, 0, 0) + b"d\0"
    (found,) = frames.packet(event(Log.QUERY_COMPRESSED, query + packed, 0))
    assert (found.type, found.body) == (Log.QUERY, query + rows)


@pytest.mark.parametrize("place", [0, 5, 20, 30])
def test_a_changed_bit_is_seen(place: int) -> None:
    data = bytearray(event(Log.XID, bytes(8), 131))
    data[place] ^= 1
    with pytest.raises(ProtocolError):
        list(Frames(True, "bin.1", 100).packet(bytes(data)))


@pytest.mark.parametrize("charset", ["latin1", "sjis", "utf16", "utf8mb4", "gb18030", "swe7"])
def test_character_sets_are_known(charset: str) -> None:
    assert known(charset)
