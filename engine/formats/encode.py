"""How each image stands in a file: the right half of every codec, chosen once a column.

A column goes through one or two steps, each a function of whole Arrow arrays:

    image → value (`Shape.value`: what is in a Parquet file)  → cell (text formats: encode_text.py)

What a file cannot hold exactly is a RowError naming the value, or becomes NULL where a policy says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from engine.config import FilesTarget, Policies
from engine.connectors.base import Note, ReadColumn, Severity, TableRead
from engine.formats import encode_bytes, encode_numbers, encode_text_values, encode_times
from engine.formats.encode_context import Cell, Context, Value
from engine.formats.manifest import Encoding
from engine.types import Image, Kind
from ext.rowerror import RowError

Counters = dict[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Shape:
    """A column in the file. `arrow` is the type of what `value` gives; `conversion` is a line for people."""

    encoding: Encoding
    arrow: pa.DataType
    value: Value
    conversion: str = ""


def _same(arrow: pa.DataType, conversion: str = "") -> Shape:
    return Shape(Encoding.PLAIN, arrow, _as_it_is, conversion)


def _as_it_is(array: pa.Array, context: Context) -> pa.Array:
    return array


def shape_of(read: ReadColumn, spec: FilesTarget, digits: tuple[int, int] | None = None) -> Shape:
    """How a column is written in that format under those policies. `digits`: precision and scale, where they
    were found by looking at the values."""
    text = spec.file_format != "parquet"
    if digits is not None and read.image is Image.DECIMAL and not text:
        return Shape(Encoding.PLAIN, pa.decimal128(*digits), encode_numbers.decimal128, "by its values")
    return _SHAPES[read.image](read, spec, text)


def _integer(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    return _same(read.arrow)


def _float(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    return _same(read.arrow)


def _bool(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    return Shape(Encoding.PLAIN, pa.bool_(), encode_numbers.booleans)


def _decimal(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    if text:
        return Shape(Encoding.PLAIN, pa.string(), encode_numbers.decimal_text)
    precision, scale = _digits(read)
    if precision is None or not 0 < precision <= encode_numbers.MOST_DIGITS or not 0 <= scale <= precision:
        said = "digits as text: Parquet readers agree on decimals of up to 38 digits"
        return Shape(Encoding.TEXT_DECIMAL, pa.string(), encode_numbers.decimal_text, said)
    return Shape(Encoding.PLAIN, pa.decimal128(precision, scale), encode_numbers.decimal128)


def _digits(read: ReadColumn) -> tuple[int | None, int]:
    if pa.types.is_decimal(read.arrow):
        return read.arrow.precision, read.arrow.scale
    kind = read.source.type
    return kind.precision, kind.scale or 0


def _text(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    return Shape(Encoding.PLAIN, _text_type(read), encode_text_values.text)


def _text_type(read: ReadColumn) -> pa.DataType:
    return read.arrow if pa.types.is_large_string(read.arrow) else pa.string()


def _bytes(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    return Shape(Encoding.BASE64 if text else Encoding.PLAIN, read.arrow, _as_it_is)


def _bits(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    return Shape(Encoding.BITS, pa.string(), encode_bytes.bits, "binary digits, as text")


def _date(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    return Shape(Encoding.PLAIN, pa.date32(), encode_times.moments)


def _timestamp(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    zone = "UTC" if read.image is Image.TIMESTAMPTZ else None
    unit = "us" if text else spec.format.parquet.timestamp_unit
    return Shape(Encoding.PLAIN, pa.timestamp(unit, zone), encode_times.moments)


def _duration(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    if spec.policies.time == "time" and not text:
        return Shape(Encoding.PLAIN, pa.time64("us"), encode_times.times_of_day)
    return Shape(Encoding.CLOCK, pa.string(), encode_times.clock, "hours, minutes and seconds, as text")


def _interval(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    if text:
        return Shape(Encoding.ISO_INTERVAL, pa.string(), encode_times.iso_intervals, "ISO 8601 duration")
    return Shape(Encoding.PLAIN, read.arrow, encode_times.intervals, "a struct of months, days, microseconds")


def _json(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    nested = spec.file_format in ("json", "jsonl") and spec.policies.json_ != "text"
    if nested:
        return Shape(Encoding.PLAIN, _text_type(read), encode_text_values.json_values, "nested JSON")
    return Shape(Encoding.JSON_TEXT, _text_type(read), encode_text_values.text, "JSON, as text")


def _uuid(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    policy = spec.policies.uuid
    if policy == "binary":
        return Shape(Encoding.BASE64 if text else Encoding.PLAIN, pa.binary(16), encode_bytes.sixteen)
    if text or policy == "char":
        return Shape(Encoding.UUID_TEXT, pa.string(), encode_bytes.uuid_text)
    return Shape(Encoding.PLAIN, pa.uuid(), encode_bytes.uuids)


def _inet(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    return Shape(Encoding.INET_TEXT, pa.string(), encode_bytes.addresses, "an address, as text")


def _set(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    if spec.file_format == "csv" or spec.policies.set == "text":
        return Shape(
            Encoding.LABELS_TEXT, pa.string(), encode_text_values.labels_text, "labels joined by ','"
        )
    return Shape(Encoding.LABELS, pa.list_(pa.string()), encode_text_values.labels, "a list of labels")


def _geometry(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    encoding = Encoding.EWKB_BASE64 if text else Encoding.EWKB
    return Shape(encoding, pa.large_binary(), encode_bytes.ewkb, "WKB, with the SRID where it is not 0")


def _vector(read: ReadColumn, spec: FilesTarget, text: bool) -> Shape:
    encoding = Encoding.FLOATS_TEXT if spec.file_format == "csv" else Encoding.PLAIN
    return Shape(encoding, pa.list_(pa.float32()), encode_numbers.vectors)


_SHAPES: Mapping[Image, Callable[[ReadColumn, FilesTarget, bool], Shape]] = {
    Image.INT: _integer,
    Image.FLOAT: _float,
    Image.BOOL: _bool,
    Image.DECIMAL: _decimal,
    Image.TEXT: _text,
    Image.BYTES: _bytes,
    Image.BITS: _bits,
    Image.DATE: _date,
    Image.TIMESTAMP: _timestamp,
    Image.TIMESTAMPTZ: _timestamp,
    Image.DURATION: _duration,
    Image.INTERVAL: _interval,
    Image.JSON: _json,
    Image.UUID: _uuid,
    Image.INET: _inet,
    Image.SET: _set,
    Image.SET_TEXT: _set,
    Image.GEOMETRY: _geometry,
    Image.VECTOR: _vector,
}


# ---------------------------------------------------------------- a table


@dataclass(slots=True)
class TableValues:
    """Batches as read → arrays as they are in a Parquet file, by column; policies counted."""

    read: TableRead
    spec: FilesTarget
    digits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    shapes: tuple[Shape, ...] = field(init=False)
    counters: Counters = field(init=False, default_factory=dict)
    _contexts: tuple[Context, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.shapes = tuple(
            shape_of(column, self.spec, self.digits.get(column.name)) for column in self.read.columns
        )
        self._contexts = tuple(
            Context(column, self.spec.policies, shape.arrow, self.counters)
            for column, shape in zip(self.read.columns, self.shapes, strict=True)
        )

    def arrays(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """Raises RowError for the first column with a value that cannot go."""
        return [self.array(batch, at) for at in range(len(self.shapes))]

    def array(self, batch: pa.RecordBatch, at: int) -> pa.Array:
        shape, context = self.shapes[at], self._contexts[at]
        try:
            return shape.value(batch.column(at), context)
        except RowError as error:
            raise RowError(at, error.row, error.reason, error.value) from None

    def cell(self, array: pa.Array, at: int, cell: Cell) -> pa.Array:
        """An array of values through a step of a text format."""
        try:
            return cell(array, self._contexts[at])
        except RowError as error:
            raise RowError(at, error.row, error.reason, error.value) from None


# ---------------------------------------------------------------- what cannot be honoured

_IN_TEXT = (
    "unboundedNumeric",
    "CSV and JSON take every number as it is: scan is for targets whose decimals have a precision",
)
_MEANINGLESS: tuple[tuple[Callable[[Policies], bool], str, str], ...] = (
    (
        lambda p: p.nul_byte == "bytea",
        "nulByte",
        "files hold NUL in text: refuse carries it, strip removes it",
    ),
    (lambda p: p.geometry == "postgis", "geometry", "files have no PostGIS: auto and ewkb write WKB"),
    (lambda p: p.case_insensitive_text != "plain", "caseInsensitiveText", "files have no collations"),
    (lambda p: p.triggers != "refuse", "triggers", "files have no triggers"),
)


def refused_policies(spec: FilesTarget) -> list[Note]:
    """Policies that would be ignored are refused by name."""
    found = [(name, why) for test, name, why in _MEANINGLESS if test(spec.policies)]
    if spec.policies.unbounded_numeric == "scan" and spec.file_format != "parquet":
        found.append(_IN_TEXT)
    return [
        Note(Severity.REFUSED, "policy-without-meaning", f"policies.{name}: {why}", policy=name)
        for name, why in found
    ]


def remarks(column: ReadColumn, shape: Shape, table: str) -> list[Note]:
    """What a plan says of a column that changes its form on the way."""
    if column.source.type.kind is Kind.OTHER:
        said = f"{column.source.native_type} is written as the server's own text"
    elif shape.conversion and shape.encoding is Encoding.TEXT_DECIMAL:
        said = f"{column.source.native_type}: {shape.conversion}"
    else:
        return []
    return [Note(Severity.INFO, "file-text-type", said, table, column.name)]
