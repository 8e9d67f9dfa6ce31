"""How each DuckDB type is read: what it means, its image, the SELECT expression and what Arrow makes of it.

Nested values travel as JSON text, every digit kept: numbers that are no double, and bytes, are strings there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from engine.connectors.base import ReadColumn
from engine.connectors.duckdb.identifiers import literal, quote
from engine.connectors.duckdb.native import LIST, MAP, STRUCT, UNION, Native, parse
from engine.formats.read_types import INTERVAL, named
from engine.schema import Column
from engine.types import Image, Kind, LogicalType

Finish = Callable[[pa.Array], pa.Array]


@dataclass(frozen=True, slots=True)
class Way:
    """expression: around the quoted column ({}). arrow: what the batches have."""

    logical: LogicalType
    image: Image
    arrow: pa.DataType
    expression: str = "{}"


def _way(kind: Kind, image: Image, arrow: pa.DataType, expression: str = "{}", fraction: int = 0) -> Way:
    return Way(LogicalType(kind, fraction=fraction), image, arrow, expression)


def _integer(kind: Kind, arrow: pa.DataType) -> Way:
    return Way(LogicalType(kind, unsigned=pa.types.is_unsigned_integer(arrow)), Image.INT, arrow)


def _huge(digits: int) -> Way:
    """Beyond what Arrow's decimals hold: as text."""
    logical = LogicalType(Kind.DECIMAL, precision=digits, scale=0)
    return Way(logical, Image.DECIMAL, pa.string(), "CAST({} AS VARCHAR)")


_MOMENT = pa.timestamp("us")
_AS_TEXT = Way(LogicalType(Kind.OTHER), Image.TEXT, pa.string(), "CAST({} AS VARCHAR)")
_UNDER = "CASE WHEN {} IS NULL THEN NULL WHEN epoch_ns({}) % 1000 = 0 THEN CAST({} AS TIMESTAMP)"
_SCALARS: dict[str, Way] = {
    "BOOLEAN": _way(Kind.BOOL, Image.BOOL, pa.bool_()),
    "TINYINT": _integer(Kind.INT8, pa.int8()),
    "SMALLINT": _integer(Kind.INT16, pa.int16()),
    "INTEGER": _integer(Kind.INT32, pa.int32()),
    "BIGINT": _integer(Kind.INT64, pa.int64()),
    "UTINYINT": _integer(Kind.INT8, pa.uint8()),
    "USMALLINT": _integer(Kind.INT16, pa.uint16()),
    "UINTEGER": _integer(Kind.INT32, pa.uint32()),
    "UBIGINT": _integer(Kind.INT64, pa.uint64()),
    "HUGEINT": _huge(39),
    "UHUGEINT": _huge(39),
    "BIGNUM": Way(LogicalType(Kind.DECIMAL), Image.DECIMAL, pa.string(), "CAST({} AS VARCHAR)"),
    "FLOAT": _way(Kind.FLOAT32, Image.FLOAT, pa.float32()),
    "DOUBLE": _way(Kind.FLOAT64, Image.FLOAT, pa.float64()),
    "VARCHAR": _way(Kind.TEXT, Image.TEXT, pa.string()),
    "BLOB": _way(Kind.BLOB, Image.BYTES, pa.binary()),
    "DATE": _way(Kind.DATE, Image.DATE, pa.date32()),
    "TIMESTAMP": _way(Kind.DATETIME, Image.TIMESTAMP, _MOMENT, fraction=6),
    "TIMESTAMP_S": _way(Kind.DATETIME, Image.TIMESTAMP, _MOMENT, "CAST({} AS TIMESTAMP)"),
    "TIMESTAMP_MS": _way(Kind.DATETIME, Image.TIMESTAMP, _MOMENT, "CAST({} AS TIMESTAMP)", 3),
    "TIMESTAMP WITH TIME ZONE": _way(
        Kind.TIMESTAMP, Image.TIMESTAMPTZ, pa.timestamp("us", "UTC"), fraction=6
    ),
    "TIME": _way(Kind.TIME_OF_DAY, Image.DURATION, pa.duration("us"), "epoch_us({})", 6),
    "INTERVAL": _way(Kind.INTERVAL, Image.INTERVAL, INTERVAL, named("INTERVAL").made.replace("{v}", "{}"), 6),
    "UUID": _way(Kind.UUID, Image.UUID, pa.binary(), "unhex(replace(CAST({} AS VARCHAR), '-', ''))"),
    "JSON": _way(Kind.JSON_TEXT, Image.JSON, pa.string(), "CAST({} AS VARCHAR)"),
}
# Chosen by the catalog where a look at the values found none with nanoseconds; checked again when read.
WHOLE_MICROSECONDS = _way(
    Kind.DATETIME,
    Image.TIMESTAMP,
    _MOMENT,
    _UNDER + " ELSE error('a TIMESTAMP_NS with nanoseconds: ' || CAST({} AS VARCHAR)) END",
    6,
)
NANOSECONDS = "TIMESTAMP_NS"


def way(printed: str, *, whole_microseconds: bool = False) -> Way:
    """How values of a type are read. Types without an image of their own go as DuckDB prints them."""
    native = parse(printed)
    if native.name == NANOSECONDS and whole_microseconds:
        return WHOLE_MICROSECONDS
    if native.name == "DECIMAL":
        precision, scale = native.numbers or (18, 3)
        return Way(
            LogicalType(Kind.DECIMAL, precision=precision, scale=scale),
            Image.DECIMAL,
            pa.decimal128(precision, scale),
        )
    if native.name == "ENUM":
        return Way(
            LogicalType(Kind.ENUM, labels=native.labels), Image.TEXT, pa.string(), "CAST({} AS VARCHAR)"
        )
    if native.is_nested:
        kind = Kind.ARRAY if native.name == LIST else Kind.JSON_TEXT
        expression = f"CAST({_json(native, '{}', 0)} AS VARCHAR)"
        return Way(LogicalType(kind), Image.JSON, pa.string(), expression)
    return _SCALARS.get(native.name, _AS_TEXT)


def logical(printed: str, *, whole_microseconds: bool = False) -> LogicalType:
    return way(printed, whole_microseconds=whole_microseconds).logical


def read_column(column: Column) -> ReadColumn:
    """How a column of a catalog or a query is read."""
    found = way(column.native_type, whole_microseconds=column.type.kind is Kind.DATETIME)
    return ReadColumn(
        column.name,
        found.expression.replace("{}", quote(column.name)),
        found.image,
        found.arrow,
        column,
    )


# ---------------------------------------------------------------- nested values

_EXACT = frozenset(
    {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"} | {"UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)


def _json(native: Native, value: str, depth: int) -> str:
    """An expression of type JSON for a value, NULL for NULL."""
    name = native.name
    if name == LIST:
        element = f"v{depth}"
        (part,) = native.parts
        made = f"to_json(list_transform({value}, lambda {element}: {_json(part, element, depth + 1)}))"
        return f"CASE WHEN {value} IS NOT NULL THEN {made} END"
    if name == STRUCT:
        return _struct(native, value, depth)
    if name == MAP:
        entry = f"v{depth}"
        inner = _json(native.parts[1], f"struct_extract({entry}, 'value')", depth + 1)
        pair = f"{{'key': CAST(struct_extract({entry}, 'key') AS VARCHAR), 'value': {inner}}}"
        entries = f"list_transform(map_entries({value}), lambda {entry}: {pair})"
        return f"CASE WHEN {value} IS NOT NULL THEN to_json(map_from_entries({entries})) END"
    if name == UNION:
        cases = " ".join(
            f"WHEN {literal(field)} THEN to_json(struct_pack({quote(field)} :="
            f" {_json(part, f'union_extract({value}, {literal(field)})', depth)}))"
            for field, part in zip(native.fields, native.parts, strict=True)
        )
        return f"CASE CAST(union_tag({value}) AS VARCHAR) {cases} END"
    if name == "JSON":
        return value
    if name in _EXACT:
        return f"to_json({value})"
    text = f"CAST({value} AS VARCHAR)"
    if name in ("FLOAT", "DOUBLE"):
        number = f"to_json(CAST({text} AS DOUBLE))"
        return f"CASE WHEN isfinite({value}) THEN {number} ELSE to_json({text}) END"
    if name == "BLOB":
        return f"to_json('\\x' || lower(hex({value})))"
    return f"to_json({text})"


def _struct(native: Native, value: str, depth: int) -> str:
    members = []
    for at, (field, part) in enumerate(zip(native.fields, native.parts, strict=True)):
        # A struct without names is read by place, and named by it.
        place = literal(field) if field else str(at + 1)
        inner = _json(part, f"struct_extract({value}, {place})", depth)
        members.append(f"{quote(field or f'v{at + 1}')} := {inner}")
    return f"CASE WHEN {value} IS NOT NULL THEN to_json(struct_pack({', '.join(members)})) END"


# ---------------------------------------------------------------- batches


def finished(array: pa.Array, column: ReadColumn) -> pa.Array:
    """What DuckDB gave as the array the image asks for."""
    if pa.types.is_date32(array.type) or pa.types.is_timestamp(array.type):
        return _infinities(array).view(column.arrow)
    if pa.types.is_duration(column.arrow):
        return array.view(column.arrow)
    return array if array.type == column.arrow else array.cast(column.arrow)


def _infinities(array: pa.Array) -> pa.Array:
    """DuckDB's -infinity is one from the smallest integer; ours is the smallest."""
    width = pa.int32() if pa.types.is_date32(array.type) else pa.int64()
    least = -(2 ** (width.bit_width - 1))
    numbers = array.view(width)
    if pc.min(numbers).as_py() != least + 1:
        return array
    mask = pc.fill_null(pc.equal(numbers, least + 1), False)
    return pc.if_else(mask, pa.scalar(least, width), numbers).view(array.type)
