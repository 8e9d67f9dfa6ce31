"""The C decoder of logical replication against its plain twin: golden messages, random ones, and garbage."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext import pgoutput
from ext.pgoutputevents import (
    Message,
    Origin,
    Prepared,
    ProtocolError,
    Relation,
    StreamAbort,
    StreamCommit,
    StreamStart,
    StreamStop,
    Truncate,
    TypeName,
)
from ext.pgoutputspec import ChangeField, Changes, Form, Taken
from ext.pgreadspec import EPOCH_MICROS, INTERVAL
from ext.plain import pgoutput as plain
from ext.rowerror import RowError

OID = 16_384
Field = tuple[str, bytes]  # kind and data, as in TupleData
NULL: Field = ("n", b"")
UNCHANGED: Field = ("u", b"")


def text(data: bytes | str) -> Field:
    return "t", data.encode() if isinstance(data, str) else data


def wal(body: bytes, lsn: int = 100) -> bytes:
    return b"w" + struct.pack(">QQq", lsn, lsn + 1, 0) + body


def keepalive(end: int, reply: int = 0) -> bytes:
    return b"k" + struct.pack(">QqB", end, 7, reply)


def begin(xid: int = 5, lsn: int = 200) -> bytes:
    return wal(b"B" + struct.pack(">QqI", lsn, 1_000_000, xid))


def commit(lsn: int = 200) -> bytes:
    return wal(b"C" + struct.pack(">BQQq", 0, lsn, lsn + 8, 1_000_000))


def announced(columns: Sequence[tuple[str, int, int, bool]], oid: int = OID, xid: int = 0) -> bytes:
    body = b"R" + (struct.pack(">I", xid) if xid else b"") + struct.pack(">I", oid) + b"public\0t\0d"
    body += struct.pack(">h", len(columns))
    for name, kind, typmod, key in columns:
        body += struct.pack(">B", key) + name.encode() + b"\0" + struct.pack(">Ii", kind, typmod)
    return wal(body)


def tuple_of(fields: Sequence[Field]) -> bytes:
    parts = [struct.pack(">h", len(fields))]
    for kind, data in fields:
        parts.append(kind.encode() + (struct.pack(">i", len(data)) + data if kind in "tb" else b""))
    return b"".join(parts)


def change(op: str, *tuples: tuple[str, Sequence[Field]], oid: int = OID, xid: int = 0) -> bytes:
    head = op.encode() + (struct.pack(">I", xid) if xid else b"") + struct.pack(">I", oid)
    return wal(head + b"".join(kind.encode() + tuple_of(fields) for kind, fields in tuples))


def stream_start(xid: int, first: int = 1) -> bytes:
    return wal(b"S" + struct.pack(">IB", xid, first))


STOP = wal(b"E")


# ---------------------------------------------------------------- both twins


def as_text(value: Any) -> Any:
    """Everything of a result in a form that compares, invalid UTF-8 and NaN too."""
    if isinstance(value, Taken):
        return [*map(as_text, value.changes), as_text(value.commits), value.events]
    if isinstance(value, Changes):
        return (
            value.relation,
            value.fields,
            as_text(value.meta),
            as_text(value.rows),
            [None if part is None else part.to_pylist() for part in value.missing],
            as_text(value.old),
            value.old_rows.to_pylist(),
            [None if part is None else part.to_pylist() for part in value.old_missing],
            value.streamed,
        )
    if isinstance(value, pa.RecordBatch):
        value.validate()
        return value.schema, value.num_rows, [raw(column) for column in value.columns]
    return value


def raw(array: pa.Array) -> Any:
    if pa.types.is_struct(array.type):
        return array.to_pylist()
    if pa.types.is_string(array.type):
        array = array.view(pa.binary())
    elif pa.types.is_large_string(array.type):
        array = array.view(pa.large_binary())
    elif not pa.types.is_binary(array.type) and not pa.types.is_large_binary(array.type):
        integers = {1: pa.int8(), 2: pa.int16(), 4: pa.int32(), 8: pa.int64()}
        array = array.view(integers[array.type.bit_width // 8])
    return array.to_pylist()


def outcome(decoder: Any, payloads: Sequence[bytes]) -> Any:
    """What was taken, or the kind of error after it."""
    taken = []
    try:
        for payload in payloads:
            decoder.feed(payload)
        while True:
            part = decoder.take()
            if part is None:
                break
            taken.append(as_text(part))
    except RowError as error:
        return taken, "row", error.column, error.row, error.reason, error.value, decoder.failed_relation
    except ProtocolError:
        return taken, "protocol"
    state = decoder.wal_end, decoder.server_time, decoder.sequence, decoder.stream
    return taken, state, decoder.in_transaction, decoder.reply_requested


def both(
    payloads: Sequence[bytes],
    fields: Sequence[ChangeField] | None,
    batch_rows: int = 65_536,
    size: int = 8 << 20,
) -> Any:
    def resolve(relation: Relation) -> Sequence[ChangeField] | None:
        return fields

    compiled = outcome(pgoutput.ChangeDecoder(resolve, batch_rows, size), payloads)
    assert compiled == outcome(plain.ChangeDecoder(resolve, batch_rows, size), payloads)
    return compiled


def decoded(payloads: Sequence[bytes], fields: Sequence[ChangeField]) -> list[Taken]:
    """By the C decoder, after both were found to agree."""
    both(payloads, fields)
    decoder = pgoutput.ChangeDecoder(lambda relation: fields)
    for payload in payloads:
        decoder.feed(payload)
    return list(iter(decoder.take, None))


# ---------------------------------------------------------------- golden fields


def be(code: str, *values: Any) -> bytes:
    return struct.pack(f">{code}", *values)


UUID = bytes.fromhex("00112233445566778899aabbccddeeff")
T, L = pa.string(), pa.large_string()
TS, TZ = pa.timestamp("us"), pa.timestamp("us", "UTC")
SPAN = {"months": 14, "days": -3, "microseconds": 14_706_789_000}
GOLDEN: list[tuple[Form, pa.DataType, bytes, bytes, Any]] = [
    # form, Arrow type, printed, sent, value as raw gives it
    (Form.NUMBER, pa.int16(), b"-32768", be("h", -32768), -32768),
    (Form.NUMBER, pa.int32(), b"2147483647", be("i", 2**31 - 1), 2**31 - 1),
    (Form.NUMBER, pa.uint32(), b"4294967295", be("I", 2**32 - 1), -1),
    (Form.NUMBER, pa.int64(), b"-9223372036854775808", be("q", -(2**63)), -(2**63)),
    (Form.NUMBER, pa.float64(), b"0.1", be("d", 0.1), struct.unpack("<q", struct.pack("<d", 0.1))[0]),
    (Form.NUMBER, pa.float32(), b"3.4028235e+38", b"\x7f\x7f\xff\xff", 0x7F7FFFFF),
    (Form.NUMBER, pa.float64(), b"-Infinity", be("d", float("-inf")), -(2**52)),
    (Form.BOOL, pa.int8(), b"t", b"\1", 1),
    (Form.TEXT, L, "ü\n".encode(), "ü\n".encode(), "ü\n".encode()),
    (Form.BYTEA, pa.large_binary(), b"\\x00FF", b"\0\xff", b"\0\xff"),
    (
        Form.UUID,
        pa.binary(),
        b"00112233-4455-6677-8899-aabbccddeeff",
        UUID,
        UUID,
    ),
    (Form.DATE, pa.date32(), b"1970-01-02", be("i", -10_956), 1),
    (Form.DATE, pa.date32(), b"0001-12-31 BC", be("i", -730_120), -719_163),
    (Form.DATE, pa.date32(), b"infinity", be("i", 2**31 - 1), 2**31 - 1),
    (Form.MOMENT, TS, b"1969-12-31 23:59:59.999999", be("q", -EPOCH_MICROS - 1), -1),
    (Form.MOMENT, TZ, b"1970-01-01 00:00:00.5+00", be("q", 500_000 - EPOCH_MICROS), 500_000),
    (Form.MOMENT, TS, b"-infinity", be("q", -(2**63)), -(2**63)),
    (Form.TIME, pa.duration("us"), b"24:00:00", be("q", 86_400_000_000), 86_400_000_000),
    (
        Form.INTERVAL,
        INTERVAL,
        b"1 year 2 mons -3 days +04:05:06.789",
        be("qii", 14_706_789_000, -3, 14),
        SPAN,
    ),
    (Form.NUMERIC, T, b"-12.340", be("HhHHHH", 2, 0, 0x4000, 3, 12, 3400), b"-12.340"),
    (Form.NUMERIC, T, b"NaN", be("HhHH", 0, 0, 0xC000, 0), b"NaN"),
    (Form.BITS, pa.binary(), b"1000000011", be("i", 10) + b"\x80\xc0", b"\x02\x03"),
    (Form.MONEY, T, b"-$92,233,720,368,547,758.08", be("q", -(2**63)), b"-92233720368547758.08"),
    (Form.MONEY, T, b"$0.05", be("q", 5), b"0.05"),
    (Form.CHAR, L, b"\xe4", b"\xe4", b"\\344"),
    (Form.CHAR, L, b"", b"\0", b""),
    (Form.JSONB, L, b'{"a": 1}', b'\1{"a": 1}', b'{"a": 1}'),
]


@pytest.mark.parametrize(("form", "arrow", "printed", "sent", "value"), GOLDEN)
def test_a_field_is_the_same_value_in_both_forms(
    form: Form, arrow: pa.DataType, printed: bytes, sent: bytes, value: Any
) -> None:
    fields = [ChangeField("a", form, arrow)]
    rows = [change("I", ("N", [field])) for field in (("t", printed), ("b", sent), NULL)]
    (taken,) = decoded([announced([("a", 1, -1, True)]), begin(), *rows, commit()], fields)
    (changes,) = taken.changes
    assert raw(changes.rows.column(0)) == [value, value, None]


ARRAYS: list[tuple[Form, str, str | None]] = [
    (Form.NUMBERS, "{}", "[]"),
    (Form.NUMBERS, "{1,NULL,-3}", "[1,null,-3]"),
    (Form.NUMBERS, "{{1e-45,NaN},{-Infinity,0.5}}", '[[1e-45,"NaN"],["-Infinity",0.5]]'),
    (Form.NUMBERS, "[2:3]={7,8}", "[7,8]"),
    (Form.BOOLS, "{t,f,NULL}", "[true,false,null]"),
    (Form.ARRAY, '{a,"b c","",NULL,"NULL","q\\"\\\\\n\x01",{}', None),
    (Form.ARRAY, '{a,"b c","",NULL,"NULL"}', '["a","b c","",null,"NULL"]'),
    (Form.ARRAY, '{"q\\"\\\\\n\x01","{,}"}', '["q\\"\\\\\\n\\u0001","{,}"]'),
    (Form.ARRAY, "{{ä},{b}}", '[["ä"],["b"]]'),
    (Form.ARRAY, "", None),
    (Form.ARRAY, "{a,}", None),
    (Form.ARRAY, "{a}}", None),
    (Form.ARRAY, "{{{{{{{a}}}}}}}", None),
    (Form.NUMBERS, '{"1"}', None),
]


@pytest.mark.parametrize(("form", "printed", "json"), ARRAYS)
def test_the_text_of_an_array_becomes_json(form: Form, printed: str, json: str | None) -> None:
    payloads = [announced([("a", 1, -1, True)]), begin(), change("I", ("N", [text(printed)]))]
    taken, *rest = both(payloads, [ChangeField("a", form, L)])
    if json is None:
        assert rest == ["protocol"]
    else:
        (changes, _, _) = taken[0]
        assert changes[3][2] == [[json.encode()]]


# ---------------------------------------------------------------- messages

COLUMNS = [("id", 23, -1, True), ("body", 25, -1, False)]
FIELDS = [ChangeField("id", Form.NUMBER, pa.int32()), ChangeField("body", Form.TEXT, L)]


def one(taken: Sequence[Taken]) -> Changes:
    (changes,) = [changes for part in taken for changes in part.changes]
    return changes


def test_an_unchanged_value_is_kept_apart_from_null() -> None:
    """postgres-changes-unchanged-toast"""
    rows = [
        change("U", ("N", [text("1"), UNCHANGED])),
        change("U", ("N", [text("2"), NULL])),
        change("U", ("K", [text("3"), NULL]), ("N", [text("4"), text("x")])),
        change("D", ("K", [text("4"), NULL])),
        change("D", ("O", [text("5"), NULL])),
    ]
    changes = one(decoded([announced(COLUMNS), begin(), *rows, commit()], FIELDS))
    assert changes.rows.to_pylist() == [
        {"id": 1, "body": None},
        {"id": 2, "body": None},
        {"id": 4, "body": "x"},
        {"id": 4, "body": None},
        {"id": 5, "body": None},
    ]
    assert changes.missing[0] is None
    assert changes.missing[1] is not None
    assert changes.missing[1].to_pylist() == [True, False, False, True, False]
    assert changes.old.to_pylist() == [{"id": 3, "body": None}]
    assert changes.old_rows.to_pylist() == [2]
    assert changes.old_missing[1] is not None
    assert changes.old_missing[1].to_pylist() == [True]
    assert bytes(changes.meta["op"].to_pylist()) == b"UUUDD"
    assert bytes(changes.meta["old"].to_pylist()) == b"\0\0KKO"
    assert changes.meta["ordinal"].to_pylist() == [0, 1, 2, 3, 4]
    assert set(changes.meta["commit_lsn"].to_pylist()) == {200}


def test_commits_count_rows_of_relations_that_are_left_out() -> None:
    payloads = [announced(COLUMNS), begin(), change("I", ("N", [text("1"), NULL])), commit()]
    taken, *_ = both(payloads, None)
    schema, _, columns = taken[0][-2]
    commits = dict(zip(schema.names, columns, strict=True))
    assert (commits["changes"], commits["end_lsn"]) == ([1], [208])


def test_blocks_of_streamed_transactions_come_apart() -> None:
    """postgres-changes-streamed"""

    def insert(number: int, xid: int) -> bytes:
        return change("I", ("N", [text(str(number)), NULL]), xid=xid)

    payloads = [
        stream_start(7),
        announced(COLUMNS, xid=7),
        insert(1, 7),
        insert(2, 8),
        STOP,
        stream_start(9),
        insert(3, 9),
        STOP,
        stream_start(7, 0),
        insert(4, 7),
        STOP,
        wal(b"A" + be("II", 7, 8)),
        wal(b"c" + be("IBQQq", 7, 0, 300, 308, 5)),
        wal(b"A" + be("IIQq", 9, 9, 310, 5)),
    ]
    taken = decoded(payloads, FIELDS)
    assert [
        (changes.streamed, changes.meta["xid"].to_pylist(), changes.meta["ordinal"].to_pylist())
        for part in taken
        for changes in part.changes
    ] == [(7, [7, 8], [0, 1]), (9, [9], [0]), (7, [7], [2])]
    bodies = [event.body for part in taken for event in part.events if type(event.body) is not Relation]
    assert bodies[0:2] == [StreamStart(7, True), StreamStop(7)]
    assert bodies[-3:] == [
        StreamAbort(7, 8),
        StreamCommit(7, 300, 308, 5 + EPOCH_MICROS),
        StreamAbort(9, 9, 310, 5 + EPOCH_MICROS),
    ]
    for part in taken:  # a barrier is the last of all
        last = [changes.meta["sequence"].to_pylist()[-1] for changes in part.changes]
        assert all(part.events[-1].sequence > sequence for sequence in last)


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (b"O" + be("Q", 9) + b"node\0", Origin(9, "node")),
        (b"Y" + be("I", 70_000) + b"s\0mood\0", TypeName(70_000, "s", "mood")),
        (b"T" + be("iBII", 2, 3, 5, 6), Truncate((5, 6), True, True)),
        (b"M" + be("BQ", 1, 9) + b"p\0" + be("i", 2) + b"\xff\0", Message(True, 9, "p", b"\xff\0")),
        (b"b" + be("QQqI", 1, 2, 3, 4) + b"g\0", Prepared("begin", 4, "g", 1, 2, 3 + EPOCH_MICROS)),
        (b"K" + be("BQQqI", 0, 1, 2, 3, 4) + b"g\0", Prepared("commit", 4, "g", 1, 2, 3 + EPOCH_MICROS)),
        (
            b"r" + be("BQQqqI", 0, 1, 2, 0, 3, 4) + b"g\0",
            Prepared("rollback", 4, "g", 1, 2, 3 + EPOCH_MICROS),
        ),
        (b"p" + be("BQQqI", 0, 1, 2, 3, 4) + b"g\0", Prepared("stream", 4, "g", 1, 2, 3 + EPOCH_MICROS)),
    ],
)
def test_the_rare_messages(message: bytes, body: Any) -> None:
    taken = decoded([wal(message)], FIELDS)
    events = [event.body for part in taken for event in part.events]
    assert events == ([] if isinstance(body, TypeName) else [body]) or events == [body]
    for size in range(1, len(message)):
        assert both([wal(message[:size])], FIELDS)[1] == "protocol"
    assert both([wal(message + b"\0" * 17)], FIELDS)[1] == "protocol"


def test_a_changed_relation_is_a_barrier_and_the_same_again_is_none() -> None:
    wider = [*COLUMNS, ("more", 25, -1, False)]
    fields = {2: FIELDS, 3: [*FIELDS, ChangeField("more", Form.TEXT, L)]}
    payloads = [
        announced(COLUMNS),
        begin(),
        change("I", ("N", [text("1"), NULL])),
        announced(COLUMNS),
        change("I", ("N", [text("2"), NULL])),
        announced(wider),
        change("I", ("N", [text("3"), NULL, text("x")])),
        commit(),
    ]
    results = []
    for module in (pgoutput, plain):
        decoder = module.ChangeDecoder(lambda relation: fields[len(relation.columns)])
        results.append(outcome(decoder, payloads))
    assert results[0] == results[1]
    taken = results[0][0]
    assert [len(part[0][2][2][0]) for part in taken] == [2, 1]


def test_an_unknown_message_is_named_by_its_byte() -> None:
    """postgres-changes-unknown-message"""
    decoder = pgoutput.ChangeDecoder(lambda relation: FIELDS)
    decoder.feed(wal(b"\x7aabc"))
    with pytest.raises(ProtocolError, match=r"0x7a \('z'\)"):
        decoder.take()
    with pytest.raises(ProtocolError, match="before"):
        decoder.take()


@pytest.mark.parametrize(
    "payloads",
    [
        [b""],
        [b"x"],
        [b"k" + be("QqB", 1, 2, 2)],
        [keepalive(5) + b"\0"],
        [wal(b"")],
        [begin(), begin()],
        [commit()],
        [STOP],
        [stream_start(0)],
        [begin(), stream_start(7)],
        [stream_start(7), stream_start(8)],
        [stream_start(7), wal(b"c" + be("IBQQq", 7, 0, 1, 2, 3))],
        [announced(COLUMNS), change("I", ("N", [NULL, NULL]))],
        [begin(), change("I", ("N", [NULL, NULL]))],
        [announced(COLUMNS), begin(), change("I", ("N", [NULL]))],
        [announced(COLUMNS), begin(), change("I", ("N", [NULL, NULL, NULL]))],
        [announced(COLUMNS), begin(), change("I", ("K", [NULL, NULL]))],
        [announced(COLUMNS), begin(), change("D", ("N", [NULL, NULL]))],
        [announced(COLUMNS), begin(), change("U", ("K", [NULL, NULL]))],
        [announced(COLUMNS), begin(), change("I", ("N", [("x", b""), NULL]))],
        [announced(COLUMNS), begin(), change("I", ("N", [("b", b"\0\1"), NULL]))],
        [announced(COLUMNS), begin(), change("I", ("N", [NULL, NULL])) + b"\0"],
    ],
)
def test_what_cannot_come_is_refused_by_both(payloads: list[bytes]) -> None:
    assert both(payloads, FIELDS)[1] == "protocol"


@pytest.mark.parametrize("field", [text("294277-01-01 00:00:00"), ("b", be("q", 2**63 - EPOCH_MICROS))])
def test_a_moment_beyond_64_bits_is_named(field: Field) -> None:
    columns = [("a", 1114, -1, True)]
    payloads = [announced(columns), begin(), change("I", ("N", [field]))]
    found = both(payloads, [ChangeField("a", Form.MOMENT, TS)])
    assert found[1:5] == ("row", 0, 0, "out-of-range")
    assert found[5].startswith(("294277-01-01", "294247-01-10"))


def test_a_binary_field_of_a_type_decoded_from_text_is_refused() -> None:
    field = ChangeField("a", Form.TEXT, L, binary=False)
    assert (
        both([announced([("a", 1, -1, True)]), begin(), change("I", ("N", [("b", b"x")]))], [field])[1]
        == "protocol"
    )


def test_keepalives_move_the_end_of_the_log_and_ask_for_replies() -> None:
    decoder = pgoutput.ChangeDecoder(lambda relation: FIELDS)
    for payload in (keepalive(500), keepalive(400, 1)):
        decoder.feed(payload)
    assert decoder.take() is None
    assert (decoder.wal_end, decoder.reply_requested) == (500, True)
    both([keepalive(500), keepalive(400, 1)], FIELDS)


# ---------------------------------------------------------------- random messages, and garbage

EDGES: dict[Form, tuple[pa.DataType, st.SearchStrategy[bytes]]] = {
    Form.NUMBER: (pa.int64(), st.integers(-(2**64), 2**64).map(lambda value: str(value).encode())),
    Form.BYTEA: (pa.binary(), st.binary(max_size=9).map(lambda data: b"\\x" + data.hex().encode())),
    Form.DATE: (pa.date32(), st.from_regex(rb"\A[0-9]{4,7}-[01][0-9]-[0-3][0-9]( BC)?\Z")),
    Form.MOMENT: (
        TS,
        st.from_regex(
            rb"\A[0-9]{4,6}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,6})?( BC)?\Z"
        ),
    ),
    Form.TIME: (pa.duration("us"), st.from_regex(rb"\A[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,6})?\Z")),
    Form.INTERVAL: (
        INTERVAL,
        st.from_regex(
            rb"\A([+-]?[0-9]{1,11} years? )?([+-]?[0-9]{1,10} mons? )?([+-]?[0-9]{1,10} days? ?)?"
            rb"([+-]?[0-9]{2,10}:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?)?\Z"
        ),
    ),
    Form.NUMERIC: (T, st.from_regex(rb"\A-?[0-9]{1,9}(\.[0-9]{0,5})?\Z") | st.just(b"Infinity")),
    Form.BITS: (pa.binary(), st.text("01", max_size=70).map(str.encode)),
    Form.MONEY: (T, st.from_regex(rb"\A-?\$[0-9]{1,4}(,[0-9]{2,3})*\.[0-9]{2}\Z")),
    Form.CHAR: (L, st.binary(max_size=5)),
    Form.ARRAY: (
        L,
        st.lists(st.sampled_from([b"{", b"}", b",", b'"', b"\\", b"a", b"\x02", b"NULL"])).map(b"".join),
    ),
    Form.NUMBERS: (
        L,
        st.lists(st.sampled_from([b"{", b"}", b",", b"1", b"-", b".5", b"e3", b"NaN"])).map(b"".join),
    ),
    Form.BOOLS: (L, st.lists(st.sampled_from([b"{", b"}", b",", b"t", b"f", b"x"])).map(b"".join)),
}


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(sorted(EDGES)).flatmap(
        lambda form: st.tuples(st.just(form), EDGES[form][1] | st.binary(max_size=20))
    )
)
def test_both_decoders_take_and_refuse_the_same_text(case: tuple[Form, bytes]) -> None:
    form, printed = case
    payloads = [announced([("a", 1, -1, True)]), begin(), change("I", ("N", [text(printed)]))]
    both(payloads, [ChangeField("a", form, EDGES[form][0])])


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([pa.float32(), pa.float64()]), st.floats(width=32) | st.floats())
def test_floats_are_what_was_printed(arrow: pa.DataType, value: float) -> None:
    printed = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(str(value), repr(value))
    payloads = [announced([("a", 1, -1, True)]), begin(), change("I", ("N", [text(printed)]))]
    both(payloads, [ChangeField("a", Form.NUMBER, arrow)])


EVERY = [ChangeField(f"c{place}", form, arrow) for place, (form, arrow, _, _, _) in enumerate(GOLDEN)]
EVERY_COLUMNS = [(spec.name, 1, -1, place % 3 == 0) for place, spec in enumerate(EVERY)]
ROW = st.tuples(
    *(st.sampled_from([NULL, UNCHANGED, ("t", printed), ("b", sent)]) for _, _, printed, sent, _ in GOLDEN)
)
CHANGE = st.one_of(
    ROW.map(lambda row: change("I", ("N", row))),
    ROW.map(lambda row: change("D", ("K", row))),
    ROW.map(lambda row: change("U", ("N", row))),
    st.tuples(st.sampled_from("KO"), ROW, ROW).map(
        lambda case: change("U", (case[0], case[1]), ("N", case[2]))
    ),
)
TRANSACTION = st.lists(CHANGE, max_size=6).map(lambda changes: [begin(), *changes, commit()])


@settings(max_examples=60, deadline=None)
@given(st.lists(TRANSACTION, max_size=4), st.integers(1, 9), st.integers(1, 4_000))
def test_both_decoders_make_the_same_batches(transactions: list[list[bytes]], rows: int, size: int) -> None:
    payloads = [announced(EVERY_COLUMNS), *(part for transaction in transactions for part in transaction)]
    both(payloads, EVERY, rows, size)


@settings(max_examples=300, deadline=None)
@given(st.lists(TRANSACTION, min_size=1, max_size=2), st.data())
def test_garbage_is_refused_alike(transactions: list[list[bytes]], data: st.DataObject) -> None:
    payloads = [announced(EVERY_COLUMNS), *(part for transaction in transactions for part in transaction)]
    place = data.draw(st.integers(0, len(payloads) - 1))
    damaged = bytearray(payloads[place])
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    payloads[place] = bytes(damaged)
    both(payloads, EVERY)
