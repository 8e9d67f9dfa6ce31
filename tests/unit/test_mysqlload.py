"""LOAD DATA rows: the C encoder as a table of cases, and against its plain twin on random data."""

from __future__ import annotations

import random
import struct
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from ext import mysqlload
from ext.plain import mysqlload as plain
from ext.rowerror import RowError

PARTS = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])
FOREVER = {"months": 2**31 - 1, "days": 2**31 - 1, "microseconds": 2**63 - 1}
NEVER = {"months": -(2**31), "days": -(2**31), "microseconds": -(2**63)}
US = pa.timestamp("us")
SPAN = pa.duration("us")
LOW, HIGH = -(2**63), 2**63 - 1
TEN_TWO = {"precision": 10, "scale": 2}

# encoder, options, Arrow type, value, text
GOES: list[tuple[str, dict[str, Any], Any, Any, bytes]] = [
    ("integer", {}, pa.int64(), LOW, b"-9223372036854775808"),
    ("integer", {"least": 0, "most": 2**64 - 1}, pa.uint64(), 2**64 - 1, b"18446744073709551615"),
    ("integer", {"flag": True}, pa.bool_(), True, b"1"),
    ("integer", {}, pa.string(), "0012.00", b"12"),
    ("integer", {}, pa.string(), "-0", b"0"),
    ("integer", {"nan": "null"}, pa.string(), "NaN", b"\\N"),
    ("year", {}, pa.int16(), 0, b"0000"),
    ("year", {}, pa.int16(), 2155, b"2155"),
    ("decimal", TEN_TWO, pa.string(), "-0.10", b"-0.1"),
    ("decimal", TEN_TWO, pa.string(), "1.500", b"1.5"),
    ("decimal", TEN_TWO, pa.decimal128(20, 4), Decimal("12345678.5000"), b"12345678.5"),
    ("decimal", TEN_TWO, pa.int32(), -12345678, b"-12345678"),
    ("decimal", {**TEN_TWO, "nan": "null"}, pa.string(), "-Infinity", b"\\N"),
    ("double", {}, pa.float64(), 0.1, b"0.1"),
    ("double", {}, pa.float64(), -0.0, b"-0"),
    ("double", {}, pa.float64(), 5e-324, b"4.94065645841247e-324"),
    ("double", {"nan": "null"}, pa.float64(), float("inf"), b"\\N"),
    ("float", {}, pa.float32(), 16777216.0, b"16777216"),
    ("float", {}, pa.int32(), 2**24, b"16777216"),
    ("text", {"chars": 2}, pa.string(), "é😀", "é😀".encode()),
    ("text", {}, pa.string(), "a\tb\nc\\d\0\r", b"a\\tb\\nc\\\\d\0\r"),
    ("text", {}, pa.large_string(), "", b""),
    ("text", {}, pa.string(), "\\N", b"\\\\N"),
    ("text", {"invalid": "replace"}, pa.binary(), b"a\xffb\xc3", "a\ufffdb\ufffd".encode()),
    ("text", {"labels": ("x", "y")}, pa.string(), "y", b"y"),
    ("text", {}, pa.decimal256(70, 2), Decimal("-0.05"), b"-0.05"),
    ("bytes", {}, pa.binary(), bytes(range(8, 14)), b"\x08\\t\\n\x0b\x0c\x0d"),
    ("bytes", {"exact": 3}, pa.binary(3), b"abc", b"abc"),
    ("bits", {"width": 9}, pa.binary(), b"\x01\x01", b"\x01\x01"),
    ("bits", {"width": 1}, pa.binary(), b"\0\0", b"\0"),
    ("bits", {"width": 64}, pa.binary(), b"\\" * 8, b"\\\\" * 8),
    ("date", {}, pa.date32(), -719162, b"0001-01-01"),
    ("date", {"low": "zero"}, pa.date32(), -(2**31), b"0000-00-00"),
    ("date", {"high": "last"}, pa.date32(), 2**31 - 1, b"9999-12-31"),
    ("datetime", {}, US, -1, b"1969-12-31 23:59:59.999999"),
    ("datetime", {"unit": 1000}, US, 1000, b"1970-01-01 00:00:00.001000"),
    ("datetime", {"high": "last", "unit": 1_000_000}, US, HIGH, b"9999-12-31 23:59:59"),
    ("datetime", {"low": "null"}, US, LOW, b"\\N"),
    ("datetime", {}, pa.date32(), 11016, b"2000-02-29 00:00:00"),
    ("time", {}, SPAN, -3_020_399_999_999, b"-838:59:59.999999"),
    ("time", {}, SPAN, 86_400_000_000, b"24:00:00"),
    ("interval", {}, PARTS, {"months": -14, "days": 3, "microseconds": -4_500_000}, b"P-1Y-2M3DT-4.5S"),
    ("interval", {}, PARTS, {"months": 0, "days": 0, "microseconds": 0}, b"PT0S"),
    ("interval", {"high": "last"}, PARTS, FOREVER, b"infinity"),
    ("interval", {"low": "last"}, PARTS, NEVER, b"-infinity"),
    ("interval", {"low": "null"}, PARTS, NEVER, b"\\N"),
    ("uuid_text", {}, pa.binary(16), bytes(range(16)), b"00010203-0405-0607-0809-0a0b0c0d0e0f"),
    ("inet_text", {}, pa.binary(), bytes([10, 0, 0, 1]), b"10.0.0.1"),
    ("inet_text", {}, pa.binary(), bytes(15) + b"\1", b"::1"),
    ("set_text", {"labels": ("a", "b,c", "d\te")}, pa.uint64(), 6, b"b,c,d\\te"),
    ("json", {"exact_numbers": True}, pa.string(), '{"a": [1.10, 18446744073709551615, "\\"9e999"]}', None),  # type: ignore[list-item]
    ("integer", {}, pa.null(), None, b"\\N"),
]

# encoder, options, Arrow type, value, reason
REFUSED: list[tuple[str, dict[str, Any], Any, Any, str]] = [
    ("integer", {"least": -128, "most": 127}, pa.int16(), 128, "out-of-range"),
    ("integer", {"least": 0}, pa.int16(), -1, "out-of-range"),
    ("integer", {"flag": True}, pa.int8(), 2, "not-boolean"),
    ("integer", {}, pa.string(), "1.5", "scale-cut"),
    ("integer", {}, pa.string(), "99999999999999999999", "out-of-range"),
    ("integer", {}, pa.string(), "1e3", "bad-number"),
    ("integer", {"not_null": True}, pa.int8(), None, "null-refused"),
    ("year", {}, pa.int16(), 1900, "out-of-range"),
    ("decimal", TEN_TWO, pa.string(), "1.005", "scale-cut"),
    ("decimal", TEN_TWO, pa.string(), "123456789", "out-of-range"),
    ("decimal", {**TEN_TWO, "unsigned": True}, pa.string(), "-1", "out-of-range"),
    ("decimal", TEN_TWO, pa.string(), "NaN", "nan"),
    ("double", {}, pa.float64(), float("nan"), "nan"),
    ("double", {}, pa.int64(), 2**53 + 1, "inexact"),
    ("float", {}, pa.float64(), 0.1, "inexact"),
    ("text", {"chars": 2}, pa.string(), "abc", "too-long"),
    ("text", {"octets": 2}, pa.string(), "éa", "too-long"),
    ("text", {"blanks": True}, pa.string(), "a ", "blanks-cut"),
    ("text", {"bmp": True}, pa.string(), "😀", "not-in-charset"),
    ("text", {"labels": ("A",)}, pa.string(), "a", "unknown-label"),
    ("text", {}, pa.binary(), b"\xed\xa0\x80", "invalid-utf8"),
    ("bytes", {"octets": 2}, pa.binary(), b"abc", "too-long"),
    ("bytes", {"exact": 4}, pa.binary(), b"abc", "bad-length"),
    ("bits", {"width": 5}, pa.binary(), b"\x20", "out-of-range"),
    ("date", {}, pa.date32(), -719163, "out-of-range"),
    ("date", {}, pa.date32(), 2**31 - 1, "infinity"),
    ("interval", {}, PARTS, FOREVER, "infinity"),
    ("interval", {"high": "null"}, PARTS, NEVER, "infinity"),
    ("datetime", {"first": 1_000_000}, US, 0, "out-of-range"),
    ("datetime", {"unit": 1_000_000}, US, 500_000, "fraction-cut"),
    ("datetime", {"low": "null", "not_null": True}, US, LOW, "null-refused"),
    ("time", {"last": 3_020_399_000_000}, SPAN, 3_020_399_000_001, "out-of-range"),
    ("uuid_text", {}, pa.binary(), b"short", "bad-length"),
    ("set_text", {"labels": ("a",)}, pa.uint64(), 2, "unknown-label"),
    ("json", {"exact_numbers": True}, pa.string(), "[12345678901234567890123]", "inexact"),
    ("json", {"exact_numbers": True}, pa.string(), "0.12345678901234567891", "inexact"),
    ("json", {"exact_numbers": True}, pa.string(), "1e400", "inexact"),
]


def batch_of(kind: Any, *values: Any) -> pa.RecordBatch:
    return pa.record_batch({"c": pa.array(values, kind)})


@pytest.mark.parametrize(("encoder", "options", "kind", "value", "text"), GOES)
@pytest.mark.parametrize("module", [mysqlload, plain])
def test_values_become_text(
    module: Any, encoder: str, options: dict[str, Any], kind: Any, value: Any, text: bytes | None
) -> None:
    """slug: mysql-load-exact"""
    encoded = bytes(module.LoadEncoder([("c", encoder, options)]).encode(batch_of(kind, value)))
    if text is None:
        text = value.encode().replace(b"\\", b"\\\\")
    if encoder == "double" and module is plain and b"e" in text:
        assert float(encoded) == value
    else:
        assert encoded == text + b"\n"


@pytest.mark.parametrize(("encoder", "options", "kind", "value", "reason"), REFUSED)
@pytest.mark.parametrize("module", [mysqlload, plain])
def test_values_that_cannot_go_are_refused(
    module: Any, encoder: str, options: dict[str, Any], kind: Any, value: Any, reason: str
) -> None:
    """slug: mysql-load-refuses. The second row, after one that goes."""
    first = None if not options.get("not_null") else _harmless(kind)
    batch = pa.record_batch({"a": pa.array([1, 2]), "c": pa.array([first, value], kind)})
    made = module.LoadEncoder([("a", "integer", {}), ("c", encoder, options)])
    with pytest.raises(RowError) as caught:
        made.encode(batch)
    assert (caught.value.column, caught.value.row, caught.value.reason) == (1, 1, reason)


def _harmless(kind: Any) -> Any:
    return 1_000_000 if kind == US else 1


def test_every_double_reads_back_as_itself() -> None:
    """slug: mysql-load-doubles"""
    chance = random.Random(7)
    values = [struct.unpack("<d", chance.randbytes(8))[0] for _ in range(20_000)]
    values += [round(chance.uniform(-1e6, 1e6), chance.randrange(12)) for _ in range(20_000)]
    values = [value for value in values if value - value == 0]
    made = mysqlload.LoadEncoder([mysqlload.LoadSpec("c", "double")])
    encoded = bytes(made.encode(batch_of(pa.float64(), *values))).split()
    assert [float(text) for text in encoded] == values


def test_counters_say_what_policies_changed() -> None:
    """slug: mysql-load-counters"""
    for module in (mysqlload, plain):
        made = module.LoadEncoder([("c", "datetime", {"low": "null", "high": "last"})])
        made.encode(batch_of(US, LOW, HIGH, 0, None))
        made.encode(batch_of(US, LOW))
        assert made.counters == {("c", "infinity"): 3}


def test_slices_and_a_reused_buffer() -> None:
    """slug: mysql-load-memory. What was handed out is released; a slice still held keeps its bytes."""
    made = mysqlload.LoadEncoder([("c", "text", {}), ("d", "interval", {})])
    parts = [{"months": n, "days": 0, "microseconds": 0} for n in range(6)]
    batch = pa.record_batch({"c": pa.array(list("abcdef")), "d": pa.array(parts, PARTS)})
    first = made.encode(batch.slice(2, 2))
    held = first[:1]
    assert bytes(first) == b"c\tP2M\nd\tP3M\n"
    second = made.encode(batch.slice(5))
    assert bytes(second) == b"f\tP5M\n"
    assert bytes(held) == b"c"
    with pytest.raises(ValueError, match="released"):
        len(first)


def _random_column(chance: random.Random) -> tuple[tuple[str, dict[str, Any]], pa.Array]:
    count = 20
    text = ["".join(chance.choice("ab\t\n\\é😀 ") for _ in range(chance.randrange(12))) for _ in range(count)]
    choices: list[tuple[tuple[str, dict[str, Any]], list[Any], Any]] = [
        (("integer", {}), [chance.randrange(LOW, HIGH) for _ in range(count)], pa.int64()),
        (("text", {"chars": 12}), text, pa.large_string()),
        (("bytes", {}), [chance.randbytes(chance.randrange(20)) for _ in range(count)], pa.binary()),
        (("text", {"invalid": "replace"}), [chance.randbytes(9) for _ in range(count)], pa.binary()),
        (
            ("decimal", {"precision": 40, "scale": 20}),
            [f"{chance.randrange(-(10**18), 10**18)}.{chance.randrange(10**12):012}" for _ in range(count)],
            pa.string(),
        ),
        (("datetime", {}), [chance.randrange(-(10**16), 10**17) for _ in range(count)], US),
        (("date", {}), [chance.randrange(-700_000, 2_900_000) for _ in range(count)], pa.date32()),
        (("time", {}), [chance.randrange(-3 * 10**12, 3 * 10**12) for _ in range(count)], SPAN),
        (("bits", {}), [chance.randbytes(8) for _ in range(count)], pa.binary()),
        (
            ("interval", {}),
            [
                {
                    "months": chance.randrange(-99, 99),
                    "days": chance.randrange(-99, 99),
                    "microseconds": chance.randrange(-(10**13), 10**13),
                }
                for _ in range(count)
            ],
            PARTS,
        ),
    ]
    spec, values, kind = chance.choice(choices)
    return spec, pa.array([value if chance.random() > 0.2 else None for value in values], kind)


@pytest.mark.parametrize("seed", range(40))
def test_both_twins_agree_on_random_rows(seed: int) -> None:
    """slug: mysql-load-exact"""
    chance = random.Random(seed)
    columns = [_random_column(chance) for _ in range(chance.randrange(1, 6))]
    specs = [(f"c{number}", *spec) for number, (spec, _) in enumerate(columns)]
    batch = pa.record_batch({f"c{number}": array for number, (_, array) in enumerate(columns)})
    batch = batch.slice(chance.randrange(3))
    one, other = mysqlload.LoadEncoder(specs), plain.LoadEncoder(specs)
    assert bytes(one.encode(batch)) == bytes(other.encode(batch))
    assert one.counters == other.counters


def test_hostile_offsets_are_an_error() -> None:
    """slug: mysql-load-hostile"""
    offsets = pa.py_buffer(struct.pack("<3i", 0, 100, 5))
    array = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"hello")])
    made = mysqlload.LoadEncoder([("c", "text", {})])
    with pytest.raises(ValueError, match="outside"):
        made.encode(pa.record_batch({"c": array}))


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ([("c", "nothing", {})], "no encoder"),
        ([("c", "text", {"odd": 1})], "unknown options"),
        ([], "0 columns"),
    ],
)
def test_specs_that_make_no_sense(specs: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        mysqlload.LoadEncoder(specs)
