"""The way back from our own files: what stands in them → the images the source once gave, types and all.

The inverse of encode.py, chosen once a column by (image, encoding). In CSV and JSON every value arrives as
text; in Parquet as the file's own type.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import re
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import Code, EngineError
from engine.formats.manifest import Encoding, ManifestColumn, ManifestTable
from engine.formats.read_layout import FileColumn, Layout, Unit
from engine.formats.read_types import INTERVAL
from engine.formats.tables import FileTable
from engine.schema import TableKind
from engine.types import Image

Decode = Callable[[pa.Array], pa.Array]
_LOW, _HIGH = -(2**63), 2**63 - 1


def layout_of(table: FileTable, schema: str, units: list[Unit], state: object) -> Layout:
    """A table as its manifest has it. `schema`: what the source calls its database."""
    known = table.manifest
    assert known is not None
    columns = tuple(
        FileColumn(column.source, column.image, column.arrow_type, column.name, column, _label(column))
        for column in known.columns
    )
    old = known.structure.schema
    structure = replace(
        known.structure,
        schema=schema,
        name=known.name,
        kind=TableKind.FILE,
        query="",
        foreign_keys=tuple(
            replace(key, ref_schema=schema if key.ref_schema == old else key.ref_schema)
            for key in known.structure.foreign_keys
        ),
        estimated_rows=sum(unit.rows for unit in units),
        estimated_bytes=table.bytes,
    )
    rows = rows_of(table, known)
    return Layout(table, columns, rows, units, structure, [], {}, state)


def rows_of(table: FileTable, known: ManifestTable) -> dict[str, int]:
    """Rows by path, as listed; the paths of a manifest are from its own folder."""
    found = {}
    for file in table.files:
        for listed in known.files:
            if file.path == listed.path or file.path.endswith(f"/{listed.path}"):
                found[file.path] = listed.rows
    return found


def _label(column: ManifestColumn) -> str:
    return f"{column.encoding} {column.image} {column.arrow}"


def decoder(column: ManifestColumn) -> Decode:
    """VALIDATION_FAILED for a pair of image and encoding that this release does not know."""
    return lambda array: decode(column, array)


def decode(column: ManifestColumn, array: pa.Array) -> pa.Array:
    """The image. VALUE_NOT_REPRESENTABLE for what the encoding cannot be."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    make = _BY_ENCODING.get(column.encoding) or _BY_IMAGE.get(column.image)
    if make is None:
        raise EngineError(
            Code.VALIDATION_FAILED, f"{column.name}: {column.encoding} of {column.image} is not known here"
        )
    try:
        made = make(column, array)
        wanted = column.arrow_type
        return made if made.type == wanted else made.cast(wanted)
    except (pa.ArrowException, ValueError, KeyError, OSError, OverflowError, struct.error) as error:
        raise EngineError(
            Code.VALUE_NOT_REPRESENTABLE,
            f"{column.name}: a value of the file is none of {column.encoding} {column.image}"
            f" ({str(error)[:200]}); the file is not the one that was written",
            column=column.name,
        ) from error


def _is_text(array: pa.Array) -> bool:
    return bool(pa.types.is_string(array.type) or pa.types.is_large_string(array.type))


def _each(array: pa.Array, make: Callable[[Any], Any], arrow: pa.DataType) -> pa.Array:
    return pa.array([None if value is None else make(value) for value in array.to_pylist()], arrow)


# ---------------------------------------------------------------- by image, in the format's own form


def _same(column: ManifestColumn, array: pa.Array) -> pa.Array:
    return array


def _float(column: ManifestColumn, array: pa.Array) -> pa.Array:
    if not _is_text(array):
        return array
    return array.cast(column.arrow_type)


def _bool(column: ManifestColumn, array: pa.Array) -> pa.Array:
    return array.cast(pa.bool_()) if _is_text(array) else array


def _decimal(column: ManifestColumn, array: pa.Array) -> pa.Array:
    wanted = column.arrow_type
    if pa.types.is_decimal(array.type) and not pa.types.is_decimal(wanted):
        text = array.cast(pa.string())
        if pc.any(pc.match_substring(text, "E")).as_py():
            return _each(array, lambda value: format(value, "f"), pa.string())
        return text
    return array


def _moment(column: ManifestColumn, array: pa.Array) -> pa.Array:
    wanted = column.arrow_type
    if _is_text(array):
        try:
            return array.cast(wanted)
        except pa.ArrowInvalid:
            physical = pa.int32() if wanted == pa.date32() else pa.int64()
            return _each(array, lambda text: _far(text, wanted), physical).view(wanted)
    if pa.types.is_date(array.type) or array.type == wanted:
        return array
    numbers = array.view(pa.int64())
    factor = {"s": 1_000_000, "ms": 1000}.get(array.type.unit)
    if factor is None:
        scaled = pc.divide(numbers, 1000)
    else:
        special = pc.fill_null(pc.is_in(numbers, pa.array([_LOW, _HIGH])), False)
        plain = pc.multiply_checked(pc.if_else(special, 0, numbers), factor)
        scaled = plain
    for end in (_LOW, _HIGH):
        at_end = pc.fill_null(pc.equal(numbers, end), False)
        scaled = pc.if_else(at_end, pa.scalar(end, pa.int64()), scaled)
    return scaled.view(wanted)


_FAR = re.compile(r"([+-]?\d{4,})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?Z?)?")
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097  # after which the Gregorian calendar repeats itself
_EPOCH = datetime.date(1970, 1, 1).toordinal()


def _far(text: str, wanted: pa.DataType) -> int:
    """A date (days) or moment (microseconds) beyond what Arrow parses, and the infinities."""
    low, high = (-(2**31), 2**31 - 1) if wanted == pa.date32() else (_LOW, _HIGH)
    if text in ("infinity", "-infinity"):
        return high if text == "infinity" else low
    match = _FAR.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no date")
    cycles, year = divmod(int(match[1]) - 2000, _CYCLE_YEARS)
    near = datetime.date(2000 + year, int(match[2]), int(match[3]))
    days = near.toordinal() - _EPOCH + cycles * _CYCLE_DAYS
    if wanted == pa.date32():
        return days
    seconds = days * 86_400 + int(match[4]) * 3600 + int(match[5]) * 60 + int(match[6])
    return seconds * 1_000_000 + int((match[7] or "0").ljust(6, "0"))


def _time(column: ManifestColumn, array: pa.Array) -> pa.Array:
    if pa.types.is_time(array.type):
        return array.cast(pa.time64("us")).view(pa.int64()).cast(pa.duration("us"))
    return array


def _uuid(column: ManifestColumn, array: pa.Array) -> pa.Array:
    return array.cast(pa.binary()) if pa.types.is_fixed_size_binary(array.type) else array


def _json(column: ManifestColumn, array: pa.Array) -> pa.Array:
    return array


def _vector(column: ManifestColumn, array: pa.Array) -> pa.Array:
    if _is_text(array):
        return _floats_text(column, array)
    return _each(array, _packed_floats, pa.binary())


def _packed_floats(numbers: list[float]) -> bytes:
    return np.asarray([float(number) for number in numbers], "<f4").tobytes()


# ---------------------------------------------------------------- by encoding


def _base64(column: ManifestColumn, array: pa.Array) -> pa.Array:
    return _each(array, lambda text: base64.b64decode(text, validate=True), pa.large_binary())


def _bits(column: ManifestColumn, array: pa.Array) -> pa.Array:
    def packed(text: str) -> bytes:
        return int(text, 2).to_bytes((len(text) + 7) // 8, "big")

    return _each(array, packed, pa.binary())


_CLOCK = r"^(?P<sign>-?)(?P<h>[0-9]+):(?P<m>[0-9]{2}):(?P<s>[0-9]{2})(?:\.(?P<f>[0-9]{1,6}))?$"


def _clock(column: ManifestColumn, array: pa.Array) -> pa.Array:
    found = pc.extract_regex(array, _CLOCK)
    broken = pc.and_not(array.is_valid(), found.is_valid())
    if pc.any(broken).as_py():
        raise ValueError("no time of hours, minutes and seconds")
    part = {name: pc.struct_field(found, name) for name in ("sign", "h", "m", "s", "f")}
    hours, minutes, seconds = (part[name].cast(pa.int64()) for name in ("h", "m", "s"))
    fraction = pc.utf8_rpad(part["f"], 6, "0").cast(pa.int64())
    total = pc.add(pc.multiply(pc.add(pc.multiply(hours, 60), minutes), 60), seconds)
    micros = pc.add(pc.multiply(total, 1_000_000), fraction)
    signed = pc.if_else(pc.equal(part["sign"], "-"), pc.negate(micros), micros)
    return signed.cast(pa.duration("us"))


_ISO = re.compile(r"P(-?\d+)M(-?\d+)DT(-?)(\d+)(?:\.(\d+))?S")
INFINITE = {
    "Infinity": {"months": 2**31 - 1, "days": 2**31 - 1, "microseconds": _HIGH},
    "-Infinity": {"months": -(2**31), "days": -(2**31), "microseconds": _LOW},
}


def _iso_interval(column: ManifestColumn, array: pa.Array) -> pa.Array:
    def parsed(text: str) -> dict[str, int]:
        if text in INFINITE:
            return INFINITE[text]
        match = _ISO.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no interval")
        micros = int(match[4]) * 1_000_000 + int((match[5] or "0").ljust(6, "0"))
        sign = -1 if match[3] else 1
        return {"months": int(match[1]), "days": int(match[2]), "microseconds": sign * micros}

    return _each(array, parsed, INTERVAL)


def _uuid_text(column: ManifestColumn, array: pa.Array) -> pa.Array:
    return _each(array, lambda text: bytes.fromhex(text.replace("-", "")), pa.binary())


def _inet_text(column: ManifestColumn, array: pa.Array) -> pa.Array:
    def packed(text: str) -> bytes:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)

    return _each(array, packed, pa.binary())


def _labels(column: ManifestColumn, array: pa.Array) -> pa.Array:
    """A list, its JSON, or the labels joined by ',' → a mask, or the labels joined."""
    joined = column.encoding is Encoding.LABELS_TEXT

    def named(value: Any) -> list[str]:
        if isinstance(value, list):
            return value
        if joined:
            return str(value).split(",") if value else []
        return list(orjson.loads(value))

    if column.image is Image.SET_TEXT:
        return array if joined else _each(array, lambda value: ",".join(named(value)), pa.string())
    bits = {label: 1 << number for number, label in enumerate(column.source.type.labels)}
    return _each(array, lambda value: sum(bits[label] for label in named(value)), pa.uint64())


def _geometry(column: ManifestColumn, array: pa.Array) -> pa.Array:
    packed = _base64(column, array) if column.encoding is Encoding.EWKB_BASE64 else array
    return _each(packed, with_srid, pa.binary())


_SRID_FLAG = 0x20000000  # of the geometry type in PostGIS's EWKB


def with_srid(value: bytes) -> bytes:
    """EWKB → 4 bytes of SRID, then WKB."""
    order = "<" if value[0] else ">"
    (kind,) = struct.unpack_from(f"{order}I", value, 1)
    if not kind & _SRID_FLAG:
        return bytes(4) + value
    (srid,) = struct.unpack_from(f"{order}I", value, 5)
    return struct.pack("<I", srid) + value[:1] + struct.pack(f"{order}I", kind ^ _SRID_FLAG) + value[9:]


def _floats_text(column: ManifestColumn, array: pa.Array) -> pa.Array:
    return _each(array, lambda text: _packed_floats(orjson.loads(text)), pa.binary())


def _text_decimal(column: ManifestColumn, array: pa.Array) -> pa.Array:
    if pa.types.is_decimal(column.arrow_type):
        kind = column.arrow_type
        return _each(array, decimal.Decimal, kind)
    return array


_BY_IMAGE: Mapping[Image, Callable[[ManifestColumn, pa.Array], pa.Array]] = {
    Image.INT: _same,
    Image.FLOAT: _float,
    Image.BOOL: _bool,
    Image.DECIMAL: _decimal,
    Image.TEXT: _same,
    Image.BYTES: _same,
    Image.DATE: _moment,
    Image.TIMESTAMP: _moment,
    Image.TIMESTAMPTZ: _moment,
    Image.DURATION: _time,
    Image.INTERVAL: _same,
    Image.JSON: _json,
    Image.UUID: _uuid,
    Image.VECTOR: _vector,
}
_BY_ENCODING: Mapping[Encoding, Callable[[ManifestColumn, pa.Array], pa.Array]] = {
    Encoding.TEXT_DECIMAL: _text_decimal,
    Encoding.BASE64: _base64,
    Encoding.BITS: _bits,
    Encoding.CLOCK: _clock,
    Encoding.ISO_INTERVAL: _iso_interval,
    Encoding.JSON_TEXT: _json,
    Encoding.UUID_TEXT: _uuid_text,
    Encoding.INET_TEXT: _inet_text,
    Encoding.LABELS_TEXT: _labels,
    Encoding.LABELS: _labels,
    Encoding.EWKB: _geometry,
    Encoding.EWKB_BASE64: _geometry,
    Encoding.FLOATS_TEXT: _floats_text,
}
