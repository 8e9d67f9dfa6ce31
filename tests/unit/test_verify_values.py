"""Our canonical encoder: equal values give equal bytes, different ones do not."""

from __future__ import annotations

import struct

import pytest

from engine.streams.verify_values import (
    array_vector,
    ewkb_geometry,
    float_bits,
    float_bits_without_sign_of_zero,
    json_value,
    mysql_geometry,
    mysql_vector,
    pgvector_vector,
)

JSON_EQUAL = [
    ('{"b": 1, "a": 2}', '{"a":2,"b":1}'),
    ('{"a": 1, "a": 2}', '{"a": 2}'),
    ("[1.10, 1e2, 1E+2]", "[1.1, 100, 100.0]"),
    ("-0.0", "0"),
    ("1e400", "1" + "0" * 400),
    ("123456789012345678901234567890.5", "123456789012345678901234567890.50"),
    ('"\\u00e9\\ud83e\\udd86"', '"é🦆"'),
    ('"a\\/b"', '"a/b"'),
    ("[ ]", "[]"),
    ("0e5", "0"),
]
JSON_DIFFERENT = [
    ("1", '"1"'),
    ("null", '"null"'),
    ("true", '"true"'),
    ("[1, 2]", "[2, 1]"),
    ("[[1], 2]", "[1, [2]]"),
    ("[]", "{}"),
    ("[null]", "[]"),
    ('{"a": null}', "{}"),
    ("0.1", "0.1000000000000000055511151231257827"),
    ("12345678901234567890123456789", "12345678901234567890123456788"),
    ('"a"', '"A"'),
    ('["a,b"]', '["a","b"]'),
    ("1", "-1"),
    ("1", "10"),
    ('{"a": {"b": [1, {"c": 1}]}}', '{"a": {"b": [1, {"c": 2}]}}'),
]


@pytest.mark.parametrize(("left", "right"), JSON_EQUAL)
def test_json_of_one_value(left: str, right: str) -> None:
    assert json_value(left) == json_value(right) == json_value(right.encode())


@pytest.mark.parametrize(("left", "right"), JSON_DIFFERENT)
def test_json_of_two_values(left: str, right: str) -> None:
    assert json_value(left) != json_value(right)


def test_numbers_longer_than_python_converts() -> None:
    assert json_value("9" * 10_000) != json_value("9" * 9_999 + "8")


def test_floats_differ_in_the_last_bit() -> None:
    assert float_bits(0.1) != float_bits(0.10000000000000002)
    assert float_bits(-0.0) != float_bits(0.0)
    assert float_bits_without_sign_of_zero(-0.0) == float_bits_without_sign_of_zero(0.0)
    assert float_bits_without_sign_of_zero(-0.5) == float_bits(-0.5)


def _wkb(order: str, kind: int, body: str, *values: float, srid: int | None = None) -> bytes:
    flag = 0x20000000 if srid is not None else 0
    head = struct.pack(f"{order}BI", 1 if order == "<" else 0, kind | flag)
    head += b"" if srid is None else struct.pack(f"{order}I", srid)
    return head + struct.pack(f"{order}{body}", *values)


POINT = _wkb("<", 1, "2d", 1, 2)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (b"\0\0\0\0" + POINT, POINT),
        (b"\0\0\0\0" + POINT, _wkb(">", 1, "2d", 1, 2)),
        (struct.pack("<I", 4326) + POINT, _wkb("<", 1, "2d", 1, 2, srid=4326)),
        (struct.pack("<I", 4326) + POINT, _wkb(">", 1, "2d", 1, 2, srid=4326)),
        (b"\0\0\0\0" + _wkb("<", 2, "I4d", 2, 0, 0, 1, 1), _wkb(">", 2, "I4d", 2, 0, 0, 1, 1)),
        (b"\0\0\0\0" + _wkb("<", 3, "II2d", 1, 1, 5, 6), _wkb(">", 3, "II2d", 1, 1, 5, 6)),
        (
            b"\1\0\0\0" + _wkb("<", 7, "I", 2) + POINT + _wkb("<", 4, "I", 1) + POINT,
            _wkb(">", 7, "I", 2, srid=1) + POINT + _wkb(">", 4, "I", 1) + _wkb(">", 1, "2d", 1, 2),
        ),
        (b"\0\0\0\0" + _wkb("<", 7, "I", 0), _wkb("<", 7, "I", 0)),
    ],
)
def test_geometries_of_either_byte_order(source: bytes, target: bytes) -> None:
    assert mysql_geometry(source) == ewkb_geometry(target)


@pytest.mark.parametrize("wrong", [b"", POINT[:-1], POINT + b"\0", b"\1\x63\0\0\0"])
def test_bytes_that_are_no_geometry(wrong: bytes) -> None:
    with pytest.raises(ValueError, match=r"WKB|geometry"):
        ewkb_geometry(wrong)


def test_vectors() -> None:
    source = mysql_vector(struct.pack("<3f", 1, -0.5, 0.1).hex().upper())
    single = struct.unpack("<f", struct.pack("<f", 0.1))[0]
    assert source == array_vector([1.0, -0.5, single])
    assert source == pgvector_vector(struct.pack(">HH3f", 3, 0, 1, -0.5, 0.1))
    assert source != array_vector([1.0, -0.5, 0.10000001])
