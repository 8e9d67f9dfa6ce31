"""The tables behind test_pgcopy_server.py: values with what PostgreSQL prints of them, values that are
refused, and pairs of image and type without an encoder."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from engine.config import Policies
from engine.types import Image, Kind, LogicalType

SMALLEST = -(2**63)
SET = LogicalType(Kind.SET, labels=("a", 'b"{', "ç\\", "NULL"))
POINT = struct.pack("<BIdd", 1, 1, 1.5, -2.0)
V6 = bytes.fromhex("20010db8000000000000000000000001")
UUID = bytes.fromhex("00112233445566778899aabbccddeeff")


@dataclass(frozen=True)
class Case:
    image: Image
    values: pa.Array
    type: str
    expected: tuple[str | None, ...]
    source: LogicalType = LogicalType(Kind.OTHER)  # noqa: RUF009
    policies: Policies = Policies()  # noqa: RUF009
    counters: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        return f"{self.image.value}-{self.values.type}-{self.type}".replace(" ", "_")


def bits(length: int) -> LogicalType:
    return LogicalType(Kind.BIT, length=length)


def micros(*values: int | None, zone: str | None = None) -> pa.Array:
    return pa.array(values, pa.int64()).view(pa.timestamp("us", zone))


def parts(*values: tuple[int, int, int] | None) -> pa.Array:
    """Months, days and microseconds."""
    names = ("months", "days", "microseconds")
    kind = pa.struct(list(zip(names, (pa.int32(), pa.int32(), pa.int64()), strict=True)))
    return pa.array([None if v is None else dict(zip(names, v, strict=True)) for v in values], kind)


def spans(*values: int | None) -> pa.Array:
    return pa.array(values, pa.int64()).view(pa.duration("us"))


def days(*values: int | None) -> pa.Array:
    return pa.array(values, pa.int32()).view(pa.date32())


def raw(*values: bytes) -> pa.Array:
    """Text whose bytes are nothing one may rely on."""
    return pa.array(values, pa.binary()).view(pa.string())


HOUR = 3_600_000_000
NINES = "9" * 35 + "." + "9" * 30
T, I = (Image.TIMESTAMP, Image.INT)  # noqa: E741

INTEGERS = [
    Case(I, pa.array([0, -128, 127, None], pa.int8()), "smallint", ("0", "-128", "127", None)),
    Case(I, pa.array([0, -32768, 32767], pa.int16()), "smallint", ("0", "-32768", "32767")),
    Case(I, pa.array([0, -(2**31), 2**31 - 1], pa.int32()), "integer", ("0", "-2147483648", "2147483647")),
    Case(I, pa.array([-(2**63), 2**63 - 1]), "bigint", ("-9223372036854775808", "9223372036854775807")),
    Case(I, pa.array([0, 255], pa.uint8()), "smallint", ("0", "255")),
    Case(I, pa.array([0, 65535], pa.uint16()), "integer", ("0", "65535")),
    Case(I, pa.array([0, 2**32 - 1], pa.uint32()), "bigint", ("0", "4294967295")),
    Case(
        I, pa.array([0, 2**64 - 1, 10**19], pa.uint64()), "numeric(20,0)", ("0", str(2**64 - 1), str(10**19))
    ),
    Case(I, pa.array([-(2**63), 10_000, -1, 0]), "numeric", (str(-(2**63)), "10000", "-1", "0")),
    Case(I, pa.array([7, -7], pa.int8()), "numeric(5,2)", ("7.00", "-7.00")),
    Case(I, pa.array([12000, -3000]), "numeric(5,-3)", ("12000", "-3000")),
    Case(
        I,
        pa.array([2**53, -(2**53), 3]),
        "double precision",
        ("9.007199254740992e+15", "-9.007199254740992e+15", "3"),
    ),
    Case(I, pa.array([2**24, -1]), "real", ("1.6777216e+07", "-1")),
    Case(I, pa.array([0, 1, None], pa.int8()), "boolean", ("false", "true", None)),
    Case(I, pa.array([-(2**63), 2**63 - 1]), "text", (str(-(2**63)), str(2**63 - 1))),
    Case(I, pa.array([2**64 - 1], pa.uint64()), "varchar(20)", (str(2**64 - 1),)),
    Case(Image.BOOL, pa.array([0, 1, None], pa.int8()), "boolean", ("false", "true", None)),
    Case(Image.BOOL, pa.array([False, True, None]), "boolean", ("false", "true", None)),
    Case(Image.BOOL, pa.array([False, True]), "smallint", ("0", "1")),
    Case(Image.BOOL, pa.array([0, 1], pa.int8()), "numeric(1,0)", ("0", "1")),
]
FLOATS = [
    Case(
        Image.FLOAT,
        pa.array([0.0, -0.0, 0.1, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf, None]),
        "double precision",
        ("0", "-0", "0.1", "5e-324", "1.7976931348623157e+308", "NaN", "Infinity", "-Infinity", None),
    ),
    Case(
        Image.FLOAT,
        pa.array([1.1, 1e-45, 3.4028234e38, math.nan, -math.inf], pa.float32()),
        "real",
        ("1.1", "1e-45", "3.4028235e+38", "NaN", "-Infinity"),
    ),
    Case(Image.FLOAT, pa.array([1.5, math.nan], pa.float32()), "double precision", ("1.5", "NaN")),
    Case(Image.FLOAT, pa.array([1.5, math.nan, math.inf, -0.0]), "real", ("1.5", "NaN", "Infinity", "-0")),
]
DECIMALS = [
    Case(
        Image.DECIMAL,
        pa.array(["0.00", "-0.01", "99999999.99", "1.10", "0001.50", ".5", "-0.00", None]),
        "numeric",
        ("0.00", "-0.01", "99999999.99", "1.10", "1.50", "0.5", "0.00", None),
    ),
    Case(
        Image.DECIMAL,
        pa.array([NINES, "-" + NINES], pa.large_string()),
        "numeric(65,30)",
        (NINES, "-" + NINES),
    ),
    Case(Image.DECIMAL, pa.array(["0." + "0" * 29 + "1"]), "numeric(30,30)", ("0." + "0" * 29 + "1",)),
    Case(
        Image.DECIMAL,
        pa.array(["1" + "0" * 64, "10000", "100000000.0001"]),
        "numeric",
        ("1" + "0" * 64, "10000", "100000000.0001"),
    ),
    Case(Image.DECIMAL, pa.array(["1.5000", "-99.9"]), "numeric(4,2)", ("1.50", "-99.90")),
    Case(Image.DECIMAL, pa.array(["0.00012", "0.00099"]), "numeric(2,5)", ("0.00012", "0.00099")),
    Case(
        Image.DECIMAL,
        pa.array([Decimal("1E-8"), Decimal("-1.5")], pa.decimal128(38, 10)),
        "numeric",
        ("0.0000000100", "-1.5000000000"),
    ),
    Case(Image.DECIMAL, pa.array([Decimal(NINES)], pa.decimal256(65, 30)), "numeric(65,30)", (NINES,)),
    Case(Image.DECIMAL, pa.array(["7.00", "-9223372036854775808"]), "bigint", ("7", "-9223372036854775808")),
    Case(Image.DECIMAL, pa.array([Decimal("7.00")], pa.decimal128(9, 2)), "integer", ("7",)),
    Case(Image.DECIMAL, pa.array(["1.50"]), "varchar(4)", ("1.50",)),
]
TEXTS = [
    Case(
        Image.TEXT,
        pa.array(["", "plain ascii text of some length", "é€😀", "a\\b\t\n'", " x ", None]),
        "text",
        ("", "plain ascii text of some length", "é€😀", "a\\b\t\n'", " x ", None),
    ),
    Case(Image.TEXT, pa.array(["é" * 5, "abc  "], pa.large_string()), "varchar(5)", ("é" * 5, "abc  ")),
    Case(Image.TEXT, pa.array(["ab"]), "char(2)", ("ab",)),
    Case(Image.TEXT, pa.array(["ab"]), "char(5)", ("ab",)),
    Case(Image.TEXT, pa.array(["aB"]), "citext", ("aB",)),
    Case(Image.TEXT, pa.array(["n" * 63]), "name", ("n" * 63,)),
    Case(Image.TEXT, pa.array(["happy", "it's"]), "mood", ("happy", "it's")),
    Case(Image.TEXT, pa.array(["<a>é</a>"]), "xml", ("<a>é</a>",)),
    Case(Image.TEXT, raw(b"a\0\xff"), "bytea", ("\\x6100ff",)),
    Case(
        Image.TEXT,
        raw(b"a\0b", b"\0"),
        "text",
        ("ab", ""),
        policies=Policies(nul_byte="strip"),
        counters=(("nulByte", 2),),
    ),
    Case(
        Image.TEXT,
        raw(b"a\0b\xff", b"\xed\xa0\x80", b"caf\xc3"),
        "varchar(5)",
        ("a\ufffdb\ufffd", "\ufffd" * 3, "caf\ufffd"),
        policies=Policies(nul_byte="replace", invalid_text="replace"),
        counters=(("nulByte", 1), ("invalidText", 3)),
    ),
    Case(Image.SET_TEXT, pa.array(["", "a", 'a,b"{'], pa.string()), "text[]", ("{}", "{a}", '{a,"b\\"{"}')),
    Case(Image.SET_TEXT, pa.array(["", "a,b"]), "varchar(3)[]", ("{}", "{a,b}")),
    Case(Image.SET_TEXT, pa.array(["", "a,b"]), "text", ("", "a,b")),
    Case(
        Image.SET,
        pa.array([0, 1, 15, 8, None], pa.uint64()),
        "text[]",
        ("{}", "{a}", '{a,"b\\"{","ç\\\\","NULL"}', '{"NULL"}', None),
        SET,
    ),
    Case(Image.SET, pa.array([0, 5], pa.uint64()), "varchar[]", ("{}", '{a,"ç\\\\"}'), SET),
    Case(Image.SET, pa.array([0, 5], pa.uint64()), "text", ("", "a,ç\\"), SET),
]
SHAPES = [
    Case(Image.BYTES, pa.array([b"", b"\0\xff", None], pa.large_binary()), "bytea", ("\\x", "\\x00ff", None)),
    Case(Image.BYTES, pa.array([b"ab"], pa.binary(2)), "bytea", ("\\x6162",)),
    Case(Image.BYTES, pa.array([UUID]), "uuid", ("00112233-4455-6677-8899-aabbccddeeff",)),
    Case(Image.BITS, pa.array([b"\0", b"\1"]), "bit(1)", ("0", "1"), bits(1)),
    Case(Image.BITS, pa.array([b"\0", b"\1"]), "boolean", ("false", "true"), bits(1)),
    Case(Image.BITS, pa.array([b"\x02\xab"]), "bit(10)", ("1010101011",), bits(10)),
    Case(Image.BITS, pa.array([b"\x02\xab"]), "bit(12)", ("001010101011",), bits(10)),
    Case(Image.BITS, pa.array([b"\x02"]), "bit(2)", ("10",), bits(10)),
    Case(Image.BITS, pa.array([b"\x02\xab"]), "varbit", ("1010101011",), bits(10)),
    Case(Image.BITS, pa.array([b"\x80" + b"\0" * 6 + b"\1"]), "bit(64)", ("1" + "0" * 62 + "1",), bits(64)),
    Case(Image.UUID, pa.array([UUID], pa.binary(16)), "uuid", ("00112233-4455-6677-8899-aabbccddeeff",)),
    Case(Image.UUID, pa.array([UUID]), "varchar(36)", ("00112233-4455-6677-8899-aabbccddeeff",)),
    Case(Image.UUID, pa.array([UUID]), "bytea", ("\\x" + UUID.hex(),)),
    Case(
        Image.INET,
        pa.array([b"\x7f\0\0\1", V6, bytes(16)]),
        "inet",
        ("127.0.0.1/32", "2001:db8::1/128", "::/128"),
    ),
    Case(Image.INET, pa.array([b"\xff\0\0\1", V6]), "text", ("255.0.0.1", "2001:db8::1")),
    Case(Image.INET, pa.array([bytes(10) + b"\xff\xff\1\2\3\4"]), "text", ("::ffff:1.2.3.4",)),
    Case(
        Image.GEOMETRY,
        pa.array([b"\xe6\x10\0\0" + POINT]),
        "bytea",
        ("\\x0101000020e6100000" + POINT[5:].hex(),),
    ),
    Case(Image.GEOMETRY, pa.array([bytes(4) + POINT]), "bytea", ("\\x" + POINT.hex(),)),
    Case(
        Image.VECTOR,
        pa.array([struct.pack("<3f", 1.5, -2, math.inf), b""]),
        "real[]",
        ("{1.5,-2,Infinity}", "{}"),
    ),
]
JSONS = [
    Case(
        Image.JSON,
        pa.array(['{"b": 1,  "a": 1e400, "a": "\\u0000"}']),
        "json",
        ('{"b": 1,  "a": 1e400, "a": "\\u0000"}',),
    ),
    Case(
        Image.JSON,
        pa.array(['{"b":1,"a":"\\ud83d\\ude00"}', '"\\\\u0000"', "null"], pa.large_string()),
        "jsonb",
        ('{"a": "😀", "b": 1}', '"\\\\u0000"', "null"),
    ),
    Case(Image.JSON, pa.array(['{ "a":1}']), "text", ('{ "a":1}',)),
]
TIMES = [
    Case(
        Image.DATE,
        days(0, -719162, -719163, 2932896, -(2**31), None),
        "date",
        ("1970-01-01", "0001-01-01", "0001-12-31 BC", "9999-12-31", "-infinity", None),
    ),
    Case(Image.DATE, days(-2451545 + 10957, 2145031948 + 10957), "date", ("4714-11-24 BC", "5874897-12-31")),
    Case(Image.DATE, days(0, -(2**31)), "timestamp", ("1970-01-01 00:00:00", "-infinity")),
    Case(
        T,
        micros(0, 1, -1, SMALLEST, None),
        "timestamp",
        (
            "1970-01-01 00:00:00",
            "1970-01-01 00:00:00.000001",
            "1969-12-31 23:59:59.999999",
            "-infinity",
            None,
        ),
    ),
    Case(
        T,
        micros(-62135596800_000_000, 253402300799_999_999),
        "timestamp(6)",
        ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"),
    ),
    Case(T, micros(1_500_000, -500_000), "timestamp(1)", ("1970-01-01 00:00:01.5", "1969-12-31 23:59:59.5")),
    Case(
        T,
        micros(-211_813_488_000_000_000 + 946_684_800_000_000, 2**63 - 2, 2**63 - 1),
        "timestamp",
        ("4714-11-24 00:00:00 BC", "294247-01-10 04:00:54.775806", "infinity"),
    ),
    Case(Image.DATE, days(2**31 - 1), "date", ("infinity",)),
    Case(Image.DATE, days(2**31 - 1), "timestamp", ("infinity",)),
    Case(
        Image.DECIMAL, pa.array(["NaN", "Infinity", "-Infinity"]), "numeric", ("NaN", "Infinity", "-Infinity")
    ),
    Case(Image.DECIMAL, pa.array(["NaN", "1.5"]), "numeric(5,2)", ("NaN", "1.50")),
    Case(
        Image.INTERVAL,
        parts((0, 0, 0), (14, -3, 1_500_000), (-1, 40, -1), None),
        "interval",
        ("00:00:00", "1 year 2 mons -3 days +00:00:01.5", "-1 mons +40 days -00:00:00.000001", None),
    ),
    Case(
        Image.INTERVAL,
        parts((0, 0, 0), (14, -3, 1_500_000), (0, 0, -1)),
        "text",
        ("PT0S", "P14M-3DT1.5S", "PT-0.000001S"),
    ),
    Case(
        Image.TIMESTAMPTZ,
        micros(0, SMALLEST, zone="UTC"),
        "timestamptz",
        ("1970-01-01 00:00:00+00", "-infinity"),
    ),
    Case(
        Image.DURATION,
        spans(0, 3020399_000_000, -3020399_999_999, HOUR * 24, None),
        "interval",
        ("00:00:00", "838:59:59", "-838:59:59.999999", "24:00:00", None),
    ),
    Case(Image.DURATION, spans(500_000), "interval(1)", ("00:00:00.5",)),
    Case(Image.DURATION, spans(HOUR * 30 + 1), "interval day to second", ("30:00:00.000001",)),
    Case(Image.DURATION, spans(HOUR * 30), "interval hour", ("30:00:00",)),
    Case(Image.DURATION, spans(0, HOUR * 24, 1), "time", ("00:00:00", "24:00:00", "00:00:00.000001")),
]

CASES = [*INTEGERS, *FLOATS, *DECIMALS, *TEXTS, *SHAPES, *JSONS, *TIMES]

# ---------------------------------------------------------------- refused: image, values, type, reason

REFUSED: list[tuple[Image, pa.Array, str, str]] = [
    (I, pa.array([1, 32768]), "smallint", "out-of-range"),
    (I, pa.array([1, -(2**31) - 1]), "integer", "out-of-range"),
    (I, pa.array([1, 2**63], pa.uint64()), "bigint", "out-of-range"),
    (I, pa.array([1, 1000]), "numeric(3,0)", "out-of-range"),
    (I, pa.array([1000, 1500]), "numeric(3,-3)", "scale-cut"),
    (I, pa.array([1, 2**53 + 1]), "double precision", "inexact"),
    (I, pa.array([1, 2**24 + 1]), "real", "inexact"),
    (I, pa.array([1, 2], pa.int8()), "boolean", "not-boolean"),
    (I, pa.array([1, 100]), "varchar(2)", "too-long"),
    (Image.BOOL, pa.array([1, 2], pa.int8()), "boolean", "not-boolean"),
    (Image.BOOL, pa.array([1, -1], pa.int8()), "integer", "not-boolean"),
    (Image.FLOAT, pa.array([1.5, 0.1]), "real", "inexact"),
    (Image.FLOAT, pa.array([1.5, 1e39]), "real", "inexact"),
    (Image.DECIMAL, pa.array(["1.5", "1.555"]), "numeric(5,2)", "scale-cut"),
    (Image.DECIMAL, pa.array(["1.5", "1.555"]), "cents", "scale-cut"),
    (Image.DECIMAL, pa.array(["1.5", "1.555"]), "price", "scale-cut"),
    (Image.DECIMAL, pa.array(["1.5", "1000"]), "numeric(5,2)", "out-of-range"),
    (Image.DECIMAL, pa.array(["0.00099", "0.001"]), "numeric(2,5)", "out-of-range"),
    (Image.DECIMAL, pa.array(["1", "1e3"]), "numeric", "bad-number"),
    (Image.DECIMAL, pa.array(["1.0", "1.5"]), "bigint", "scale-cut"),
    (Image.DECIMAL, pa.array(["1", "9223372036854775808"]), "bigint", "out-of-range"),
    (Image.TEXT, raw(b"a", b"a\0"), "text", "nul-byte"),
    (Image.TEXT, raw(b"a", b"\xff"), "text", "invalid-utf8"),
    (Image.TEXT, pa.array(["abc", "abc "]), "varchar(3)", "too-long"),
    (Image.TEXT, pa.array(["a", "é" * 4]), "char(3)", "too-long"),
    (Image.TEXT, pa.array(["a", "é" * 32]), "name", "too-long"),
    (Image.TEXT, pa.array(["happy", "sad"]), "mood", "unknown-label"),
    (Image.SET_TEXT, raw(b"a", b"\xc3"), "text[]", "invalid-utf8"),
    (Image.SET, pa.array([1, 16], pa.uint64()), "text[]", "unknown-label"),
    (Image.BYTES, pa.array([UUID, b"a"]), "uuid", "bad-length"),
    (Image.BITS, pa.array([b"\1", b"\4"]), "bit(2)", "out-of-range"),
    (Image.INET, pa.array([V6, b"a"]), "inet", "bad-length"),
    (Image.GEOMETRY, pa.array([bytes(4) + POINT, bytes(4) + POINT[:-1]]), "bytea", "bad-geometry"),
    (Image.GEOMETRY, pa.array([bytes(4) + POINT, b"\0"]), "bytea", "bad-geometry"),
    (Image.VECTOR, pa.array([b"", b"abc"]), "real[]", "bad-length"),
    (Image.JSON, pa.array(["1", '"\\u0000"']), "jsonb", "bad-json"),
    (Image.JSON, pa.array(["1", '"\\ud800"']), "jsonb", "bad-json"),
    (Image.DATE, days(0, -2451546 + 10957), "date", "out-of-range"),
    (Image.DATE, days(0, 2**31 - 2), "timestamp", "out-of-range"),
    (Image.DECIMAL, pa.array(["1", "Infinity"]), "numeric(5,2)", "infinite"),
    (Image.DECIMAL, pa.array(["1", "NaN"]), "bigint", "nan"),
    (Image.INTERVAL, parts((0, 0, 0), (0, 0, 1)), "interval(5)", "fraction-cut"),
    (T, micros(0, SMALLEST + 1), "timestamp", "out-of-range"),
    (T, micros(0, 1), "timestamp(5)", "fraction-cut"),
    (Image.DURATION, spans(0, 1), "interval(5)", "fraction-cut"),
    (Image.DURATION, spans(HOUR, HOUR // 2), "interval hour", "fraction-cut"),
    (Image.DURATION, spans(0, -1), "time", "out-of-range"),
    (Image.DURATION, spans(0, HOUR * 24 + 1), "time", "out-of-range"),
]

# ---------------------------------------------------------------- pairs: image, Arrow type, type, source

UNCARRIED: list[tuple[Image, Any, str, LogicalType]] = [
    (Image.FLOAT, pa.float64(), "numeric", LogicalType(Kind.FLOAT64)),
    (Image.FLOAT, pa.float64(), "bigint", LogicalType(Kind.FLOAT64)),
    (Image.DECIMAL, pa.string(), "double precision", LogicalType(Kind.DECIMAL)),
    (Image.INT, pa.int32(), "money", LogicalType(Kind.INT32)),
    (Image.TEXT, pa.string(), "integer", LogicalType(Kind.TEXT)),
    (Image.BYTES, pa.binary(), "text", LogicalType(Kind.BLOB)),
    (Image.BITS, pa.binary(), "boolean", bits(2)),
    (Image.BITS, pa.binary(), "varbit(7)", bits(8)),
    (Image.TIMESTAMP, pa.timestamp("us"), "date", LogicalType(Kind.DATETIME)),
    (Image.TIMESTAMP, pa.timestamp("us"), "timestamptz", LogicalType(Kind.DATETIME)),
    (Image.TIMESTAMPTZ, pa.timestamp("us", "UTC"), "timestamp", LogicalType(Kind.TIMESTAMP)),
    (Image.DURATION, pa.duration("us"), "interval day", LogicalType(Kind.TIME)),
    (Image.DURATION, pa.duration("us"), "interval year to month", LogicalType(Kind.TIME)),
]
