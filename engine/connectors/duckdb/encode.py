"""Batches as read → batches of the types the target's columns have: the right half of every codec, one table.

Each step is a function of whole Arrow arrays. What Arrow has no type for goes as it can and is finished by an
expression in the INSERT, which the field's metadata holds under SQL, with `{}` for the column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from engine.config import Policies
from engine.connectors.base import ReadColumn, TableRead, TargetColumn, TargetTable
from engine.connectors.duckdb.native import kept_by, parse
from engine.errors import Code, EngineError
from engine.formats import encode_bytes, encode_numbers, encode_text_values, encode_times
from engine.formats.encode_context import Context, Value, any_true, refuse_first
from engine.types import Image, Kind
from ext.rowerror import RowError, printed

SQL = b"dbstreams.sql"  # key of a field's metadata

DAY = encode_times.DAY
_FIRST_MOMENT = -9_223_372_022_400_000_000  # microseconds: DuckDB's timestamps begin in 290309 BC
_INTERVAL_SQL = "to_months({}.months) + to_days({}.days) + to_microseconds({}.microseconds)"
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_ARROW = {
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(),
    "USMALLINT": pa.uint16(),
    "UINTEGER": pa.uint32(),
    "UBIGINT": pa.uint64(),
    "HUGEINT": pa.decimal128(38, 0),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A column on its way: what `value` gives, and the expression that ends it."""

    arrow: pa.DataType
    value: Value
    sql: str = "{}"


# ---------------------------------------------------------------- steps


def _as_it_is(array: pa.Array, context: Context) -> pa.Array:
    return array


def _cast(array: pa.Array, context: Context) -> pa.Array:
    """Checked: the first value that does not fit is refused."""
    try:
        return pc.cast(array, context.arrow)
    except pa.ArrowInvalid:
        raise _first_misfit(array, context.arrow) from None


def _first_misfit(array: pa.Array, arrow: pa.DataType) -> RowError:
    low, high = 0, len(array)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pc.cast(array.slice(low, middle - low), arrow)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return RowError(0, low, "out-of-range", printed(array, low))


def _numbers(array: pa.Array, context: Context) -> pa.Array:
    """Integers as decimals: widened first, since Arrow asks for as many digits as the type could have."""
    return _cast(pc.cast(array, pa.decimal128(20, 0)), context)


def _integer_text(array: pa.Array, context: Context) -> pa.Array:
    return pc.cast(array, pa.string())


def _flags(array: pa.Array, context: Context) -> pa.Array:
    """0 and 1 out of booleans or small integers."""
    return pc.cast(encode_numbers.booleans(array, context), context.arrow)


def _moments(array: pa.Array, context: Context) -> pa.Array:
    """Our infinities are the smallest and the largest integer; DuckDB's are one from the smallest."""
    width = pa.int32() if pa.types.is_date(array.type) else pa.int64()
    numbers = array.view(width)
    least = -(2 ** (width.bit_width - 1))
    found = pc.min_max(numbers).as_py()
    if found["min"] is None:
        return array
    if width == pa.int64() and found["min"] < _FIRST_MOMENT:
        early = pc.and_(pc.less(numbers, _FIRST_MOMENT), pc.not_equal(numbers, least))
        refuse_first(array, early, "out-of-range")
    elif width == pa.int32():
        refuse_first(array, pc.equal(numbers, least + 1), "out-of-range")
    if found["min"] != least:
        return array
    mask = pc.fill_null(pc.equal(numbers, least), False)
    return pc.if_else(mask, pa.scalar(least + 1, width), numbers).view(array.type)


def _clock(array: pa.Array, context: Context) -> pa.Array:
    """00:00:00 to 24:00:00."""
    numbers = array.view(pa.int64())
    outside = pc.or_(pc.less(numbers, 0), pc.greater(numbers, DAY))
    refuse_first(array, outside, "out-of-range")
    return numbers.view(pa.time64("us"))


class JsonCheck:
    """Asks DuckDB itself whether texts are JSON, so that nothing fails inside the INSERT."""

    def __init__(self) -> None:
        self._session: duckdb.DuckDBPyConnection | None = None

    def __call__(self, array: pa.Array, context: Context) -> pa.Array:
        array = encode_text_values.text(array, context)
        if context.read.source.type.kind in (Kind.JSON, Kind.ARRAY):
            return array  # parsed or made by the source
        if self._session is None:
            self._session = duckdb.connect(":memory:", config={"threads": 1})
        self._session.register("given", pa.table({"x": array}))
        valid = self._session.execute("SELECT json_valid(x) AS ok FROM given").to_arrow_table()["ok"]
        refuse_first(array, pc.invert(valid.combine_chunks()), "bad-json")
        return array


# ---------------------------------------------------------------- the table


def _decimal_type(target: TargetColumn) -> pa.DataType:
    match = _DECIMAL.fullmatch(target.type)
    assert match is not None
    return pa.decimal128(int(match[1]), int(match[2]))


_LARGE = (Image.TEXT, Image.JSON, Image.SET_TEXT)
_TEXT_STEPS: Mapping[Image, Value] = {
    Image.INT: _integer_text,
    Image.DECIMAL: encode_numbers.decimal_text,
    Image.TEXT: encode_text_values.text,
    Image.JSON: encode_text_values.text,
    Image.UUID: encode_bytes.uuid_text,
    Image.INET: encode_bytes.addresses,
    Image.SET: encode_text_values.labels_text,
    Image.SET_TEXT: encode_text_values.labels_text,
    Image.BITS: encode_bytes.bits,
    Image.DURATION: encode_times.clock,
}


def shape_of(read: ReadColumn, target: TargetColumn, json: JsonCheck) -> Shape | None:
    """How values read as `read.image` go into a column of that type; None where they would be changed."""
    image, base, arrow = read.image, target.base, read.arrow
    native = parse(target.type) if read.source.native_type == target.type else None
    again = kept_by(native) if native is not None else None
    if again is not None and pa.types.is_string(arrow):
        return Shape(arrow, encode_text_values.text, again)  # from DuckDB, as it was there
    if base == "VARCHAR" and image in _TEXT_STEPS:
        text = pa.large_string() if image in _LARGE and pa.types.is_large_string(arrow) else pa.string()
        return Shape(text, _TEXT_STEPS[image])
    if base == "ENUM" and image is Image.TEXT:
        return Shape(arrow, _labels(target.labels))
    if base == "JSON" and image in (Image.JSON, Image.TEXT):
        return Shape(arrow, json)
    if base == "DECIMAL" and image in (Image.INT, Image.DECIMAL):
        step = _numbers if image is Image.INT else encode_numbers.decimal128
        return Shape(_decimal_type(target), step)
    if base == "HUGEINT" and image in (Image.INT, Image.DECIMAL):
        return Shape(_ARROW[base], _numbers if image is Image.INT else encode_numbers.decimal128)
    if image is Image.BOOL:
        if base == "BOOLEAN":
            return Shape(pa.bool_(), encode_numbers.booleans)
        return Shape(_ARROW[base], _flags) if base in _ARROW and base not in ("FLOAT", "DOUBLE") else None
    if image is Image.INT:
        if base == "BOOLEAN":
            return Shape(pa.bool_(), encode_numbers.booleans)
        return Shape(_ARROW[base], _cast) if base in _ARROW else None
    if image is Image.FLOAT:
        wide = base == "DOUBLE" or (base == "FLOAT" and pa.types.is_float32(arrow))
        return Shape(_ARROW[base], _cast) if wide else None
    return _SHAPES.get((image, base))


_SHAPES: Mapping[tuple[Image, str], Shape] = {
    (Image.TEXT, "BLOB"): Shape(pa.large_binary(), lambda array, context: pc.cast(array, pa.large_binary())),
    (Image.BYTES, "BLOB"): Shape(pa.large_binary(), lambda array, context: pc.cast(array, pa.large_binary())),
    (Image.BYTES, "UUID"): Shape(pa.uuid(), encode_bytes.uuids),
    (Image.BITS, "BIT"): Shape(pa.string(), encode_bytes.bits, "CAST({} AS BIT)"),
    (Image.TEXT, "BIT"): Shape(pa.string(), encode_text_values.text, "CAST({} AS BIT)"),
    (Image.DATE, "DATE"): Shape(pa.date32(), _moments),
    (Image.TIMESTAMP, "TIMESTAMP"): Shape(pa.timestamp("us"), _moments),
    (Image.TIMESTAMPTZ, "TIMESTAMPTZ"): Shape(pa.timestamp("us", "UTC"), _moments),
    (Image.DURATION, "INTERVAL"): Shape(pa.duration("us"), _as_it_is),
    (Image.DURATION, "TIME"): Shape(pa.time64("us"), _clock),
    (Image.INTERVAL, "INTERVAL"): Shape(
        pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())]),
        encode_times.intervals,
        f"CASE WHEN {{}} IS NOT NULL THEN {_INTERVAL_SQL} END",
    ),
    (Image.UUID, "UUID"): Shape(pa.uuid(), encode_bytes.uuids),
    (Image.UUID, "BLOB"): Shape(pa.binary(16), encode_bytes.sixteen),
    (Image.INET, "BLOB"): Shape(pa.binary(), _as_it_is),
    (Image.SET, "VARCHAR[]"): Shape(pa.list_(pa.string()), encode_text_values.labels),
    (Image.SET_TEXT, "VARCHAR[]"): Shape(pa.list_(pa.string()), encode_text_values.labels),
    (Image.GEOMETRY, "BLOB"): Shape(pa.large_binary(), encode_bytes.ewkb),
    (Image.VECTOR, "FLOAT[]"): Shape(pa.list_(pa.float32()), encode_numbers.vectors),
}


def _labels(labels: tuple[str, ...]) -> Value:
    """Texts that are all labels of the target's enum."""

    def step(array: pa.Array, context: Context) -> pa.Array:
        array = encode_text_values.text(array, context)
        known = pc.is_in(array, pa.array([*labels, None], array.type))
        if not any_true(pc.invert(known)):
            return array
        refuse_first(array, pc.invert(known), "unknown-label")
        raise AssertionError("a value that is no label was not found")

    return step


def shapes(read: TableRead, table: TargetTable) -> tuple[Shape, ...]:
    """A shape for every column of the read, in its order. STRUCTURE_MISMATCH names a pair without one."""
    by_source = {column.source: column for column in table.columns}
    json = JsonCheck()
    found = []
    for column in read.columns:
        target = by_source[column.name]
        shape = shape_of(column, target, json)
        if shape is None:
            raise EngineError(
                Code.STRUCTURE_MISMATCH,
                f"{column.name} ({column.source.native_type}) cannot be carried exactly into {target.name}"
                f" ({target.type})",
                column=column.name,
                image=column.image.value,
                targetType=target.type,
            )
        found.append(shape)
    return tuple(found)


class DuckdbEncoder:
    """A BatchEncoder: record batches whose columns are called c0, c1, …"""

    def __init__(self, read: TableRead, table: TargetTable, policies: Policies) -> None:
        self._shapes = shapes(read, table)
        self._counters: dict[tuple[str, str], int] = {}
        self._contexts = tuple(
            Context(column, policies, shape.arrow, self._counters)
            for column, shape in zip(read.columns, self._shapes, strict=True)
        )
        self._schema = pa.schema(
            [
                pa.field(f"c{at}", shape.arrow, metadata={SQL: shape.sql})
                for at, shape in enumerate(self._shapes)
            ]
        )

    @property
    def counters(self) -> Mapping[tuple[str, str], int]:
        return self._counters

    def encode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Raises RowError for the first value that cannot go."""
        arrays = []
        for at, (shape, context) in enumerate(zip(self._shapes, self._contexts, strict=True)):
            try:
                array = shape.value(batch.column(at), context)
            except RowError as error:
                raise RowError(at, error.row, error.reason, error.value) from None
            arrays.append(array if array.type == shape.arrow else pc.cast(array, shape.arrow))
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)
