"""Our own canonical encoder: values both servers hold alike but print differently, as the same bytes.

Each encoder takes what a driver hands over (the source's `raw` expression through PyMySQL, the target's
through psycopg in binary form) and gives bytes that are equal exactly when the values are.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from engine.connectors.base import DigestColumn, Form

Encoder = Callable[[Any], bytes]

NULL = b"~"
_DIGITS = 4_000  # of an integer; Python refuses to print those of more than 4,300
_SRID_FLAG = 0x20000000  # of EWKB (PostGIS manual, "ST_AsEWKB")


def float_bits(value: float) -> bytes:
    return struct.pack(">d", value)


def float_bits_without_sign_of_zero(value: float) -> bytes:
    """MariaDB stores -0 as 0: the two are one value there."""
    return struct.pack(">d", value or 0.0)


# ---------------------------------------------------------------- JSON


def json_value(text: str | bytes) -> bytes:
    """Keys sorted, the last of duplicates kept, numbers by value: what jsonb keeps of a document."""
    value = json.loads(text, parse_float=_number, parse_int=_integer, parse_constant=_no_constant)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_marked).encode()


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) < _DIGITS else _number(text)


def _number(text: str) -> int | Decimal:
    """Integers as such, however they are written. Zero has no sign, as in jsonb's numeric."""
    value = Decimal(text)
    if not value:
        return 0
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    kept = len(digits)
    while digits[kept - 1] == 0:
        kept -= 1
    exponent += len(digits) - kept
    if exponent >= 0 and value.adjusted() < _DIGITS - 2:
        return int(value)
    return Decimal((sign, digits[:kept], exponent))


def _marked(value: Decimal) -> dict[str, str]:
    """A key no document of either server can have: a lone surrogate."""
    return {"\ud800": str(value)}


# ---------------------------------------------------------------- geometry and vectors


def mysql_geometry(value: bytes) -> bytes:
    """MySQL's internal form (4-byte little-endian SRID, then WKB) as SRID, then WKB in little endian."""
    (srid,) = struct.unpack_from("<I", value)
    return struct.pack("<I", srid) + wkb_little_endian(value[4:])[1]


def ewkb_geometry(value: bytes) -> bytes:
    """EWKB of either byte order as SRID, then WKB in little endian."""
    srid, wkb = wkb_little_endian(bytes(value))
    return struct.pack("<I", srid) + wkb


def wkb_little_endian(value: bytes) -> tuple[int, bytes]:
    """(SRID or 0, WKB without SRID). Raises ValueError on bytes that are no geometry."""
    try:
        srid, end, wkb = _geometry(value, 0)
    except struct.error:
        raise ValueError("truncated WKB") from None
    if end != len(value):
        raise ValueError(f"{len(value) - end} bytes after the WKB")
    return srid, wkb


def _geometry(value: bytes, at: int) -> tuple[int, int, bytes]:
    order = "<" if value[at : at + 1] == b"\x01" else ">"
    (kind,) = struct.unpack_from(f"{order}I", value, at + 1)
    at += 5
    srid = 0
    if kind & _SRID_FLAG:
        (srid,) = struct.unpack_from(f"{order}I", value, at)
        kind &= ~_SRID_FLAG
        at += 4
    dimensions = 2 + bool(kind & 0x80000000) + bool(kind & 0x40000000)
    parts = [struct.pack("<BI", 1, kind)]

    def count() -> int:
        nonlocal at
        (number,) = struct.unpack_from(f"{order}I", value, at)
        at += 4
        parts.append(struct.pack("<I", number))
        return int(number)

    def points(number: int) -> None:
        nonlocal at
        numbers = struct.unpack_from(f"{order}{number * dimensions}d", value, at)
        at += 8 * len(numbers)
        parts.append(struct.pack(f"<{len(numbers)}d", *numbers))

    match kind & 0xFF:
        case 1:
            points(1)
        case 2:
            points(count())
        case 3:
            for _ in range(count()):
                points(count())
        case 4 | 5 | 6 | 7:
            for _ in range(count()):
                _, at, part = _geometry(value, at)
                parts.append(part)
        case other:
            raise ValueError(f"unknown geometry type {other}")
    return srid, at, b"".join(parts)


def mysql_vector(value: str | bytes) -> bytes:
    """Hexadecimal of little-endian singles."""
    return bytes.fromhex(value if isinstance(value, str) else value.decode())


def array_vector(value: Iterable[float]) -> bytes:
    """An array of real, as the driver hands it over."""
    numbers = tuple(value)
    return struct.pack(f"<{len(numbers)}f", *numbers)


def pgvector_vector(value: bytes) -> bytes:
    """pgvector's binary form: dimensions, a reserved word, then big-endian singles."""
    (count,) = struct.unpack_from(">H", value)
    return array_vector(struct.unpack_from(f">{count}f", value, 4))


# ---------------------------------------------------------------- the table of encoders


def source_encoder(column: DigestColumn, flavor: str) -> Encoder:
    match column.form:
        case Form.FLOAT:
            return _float(flavor)
        case Form.JSON:
            return json_value
        case Form.GEOMETRY:
            return mysql_geometry
        case Form.VECTOR:
            return mysql_vector
    raise ValueError(f"{column.form} is printed by the server")


def target_encoder(column: DigestColumn, flavor: str) -> Encoder:
    """`flavor` is the source's: it decides which zeros are one value."""
    match column.form:
        case Form.FLOAT:
            return _float(flavor)
        case Form.JSON:
            return json_value
        case Form.GEOMETRY:
            return ewkb_geometry
        case Form.VECTOR:
            return pgvector_vector if column.target.base == "vector" else array_vector
    raise ValueError(f"{column.form} is printed by the server")


def _float(flavor: str) -> Encoder:
    bits = float_bits_without_sign_of_zero if flavor == "mariadb" else float_bits
    return lambda value: bits(float(value))
