"""What PostgreSQL's types mean, and how each is read: SELECT expression, image and Arrow type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from engine.connectors.base import ReadColumn
from engine.connectors.postgres.identifiers import quote
from engine.errors import Code, EngineError
from engine.schema import Column, Table
from engine.types import Image, Kind, LogicalType
from ext.pgreadspec import INTERVAL, FieldSpec, Op

_MODIFIER = 4  # typmods of lengths and numerics count their own header


@dataclass(frozen=True, slots=True)
class SourceType:
    """A column's type below its domains, as pg_type has it.

    native: format_type with modifiers. kind: pg_type.typtype (b, c, d, e, m, r). labels: of an enum.
    domain: the outermost domain, "" for none; required: one of the domains is NOT NULL.
    """

    name: str
    schema: str
    native: str
    typmod: int = -1
    kind: str = "b"
    category: str = ""
    labels: tuple[str, ...] = ()
    domain: str = ""
    required: bool = False
    default: str | None = None
    element: str = ""  # of an array: its type's name in pg_catalog, "" for others

    @property
    def logical(self) -> LogicalType:
        if self.kind == "e":
            return LogicalType(Kind.ENUM, labels=self.labels)
        if self.element or self.native.endswith("[]"):
            return LogicalType(Kind.ARRAY)
        if self.schema == "pg_catalog" and self.kind == "b":
            return _core(self.name, self.typmod)
        if self.name == "citext":
            return LogicalType(Kind.TEXT)
        if self.name == "geometry":
            return _geometry(self.native)
        return LogicalType(Kind.OTHER)


_PLAIN = {
    "bool": Kind.BOOL,
    "int2": Kind.INT16,
    "int4": Kind.INT32,
    "int8": Kind.INT64,
    "float4": Kind.FLOAT32,
    "float8": Kind.FLOAT64,
    "text": Kind.TEXT,
    "bytea": Kind.BLOB,
    "date": Kind.DATE,
    "json": Kind.JSON_TEXT,
    "jsonb": Kind.JSON,
    "uuid": Kind.UUID,
    "interval": Kind.INTERVAL,
}
_FRACTIONS = {"timestamp": Kind.DATETIME, "timestamptz": Kind.TIMESTAMP, "time": Kind.TIME_OF_DAY}
MONEY_DIGITS = 19  # of the 64-bit integer behind it


def _core(name: str, typmod: int) -> LogicalType:
    if name in _PLAIN:
        return LogicalType(_PLAIN[name], fraction=6 if name == "interval" else 0)
    if name in _FRACTIONS:
        return LogicalType(_FRACTIONS[name], fraction=typmod if typmod >= 0 else 6)
    if name == "varchar":
        return LogicalType(Kind.VARCHAR, length=typmod - _MODIFIER) if typmod >= 0 else LogicalType(Kind.TEXT)
    if name == "bpchar":
        return LogicalType(Kind.CHAR, length=typmod - _MODIFIER) if typmod >= 0 else LogicalType(Kind.TEXT)
    if name == "name":
        return LogicalType(Kind.VARCHAR, length=63)
    if name == "numeric":
        return _numeric(typmod)
    if name == "money":
        return LogicalType(Kind.DECIMAL, precision=MONEY_DIGITS, scale=2)
    if name == "bit" and typmod > 0:
        return LogicalType(Kind.BIT, length=typmod)
    if name == "oid":
        return LogicalType(Kind.INT32, unsigned=True)
    return LogicalType(Kind.OTHER)


def _numeric(typmod: int) -> LogicalType:
    """The scale is 11 bits with a sign since PostgreSQL 15, and was never above 1000 before."""
    if typmod < 0:
        return LogicalType(Kind.DECIMAL)
    packed = typmod - _MODIFIER
    scale = ((packed & 0x7FF) ^ 0x400) - 0x400
    return LogicalType(Kind.DECIMAL, precision=(packed >> 16) & 0xFFFF, scale=scale)


def _geometry(native: str) -> LogicalType:
    found = re.fullmatch(r".*geometry(?:\(([A-Za-z]+)(?:,(\d+))?\))?", native)
    subtype, srid = found.groups() if found else (None, None)
    return LogicalType(
        Kind.GEOMETRY,
        geometry=subtype.lower() if subtype and subtype.lower() != "geometry" else None,
        srid=int(srid) if srid else None,
    )


# ---------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class Way:
    """How a kind is read. `expression` is around the quoted column ({0}); the cast keeps a column whose type
    has changed since the plan from being decoded as what it is not."""

    image: Image
    arrow: pa.DataType
    op: Op
    expression: str


_TEXT = Way(Image.TEXT, pa.large_string(), Op.LARGE_BYTES, "{0}::text")
_LABEL = Way(Image.TEXT, pa.string(), Op.BYTES, "{0}::text")
_NUMBERS = {
    Kind.INT16: ("int2", pa.int16()),
    Kind.INT32: ("int4", pa.int32()),
    Kind.INT64: ("int8", pa.int64()),
    Kind.FLOAT32: ("float4", pa.float32()),
    Kind.FLOAT64: ("float8", pa.float64()),
}
_WAYS: Mapping[Kind, Way] = {
    Kind.BOOL: Way(Image.BOOL, pa.int8(), Op.BOOL, "{0}::bool"),
    Kind.DECIMAL: Way(Image.DECIMAL, pa.string(), Op.NUMERIC, "{0}::numeric"),
    Kind.CHAR: Way(Image.TEXT, pa.string(), Op.BYTES, "{0}::bpchar"),
    Kind.VARCHAR: _LABEL,
    Kind.ENUM: _LABEL,
    Kind.TEXT: _TEXT,
    Kind.OTHER: _TEXT,
    Kind.BLOB: Way(Image.BYTES, pa.large_binary(), Op.LARGE_BYTES, "{0}::bytea"),
    Kind.BIT: Way(Image.BITS, pa.binary(), Op.BITS, "{0}"),
    Kind.DATE: Way(Image.DATE, pa.date32(), Op.DATE, "{0}::date"),
    Kind.DATETIME: Way(Image.TIMESTAMP, pa.timestamp("us"), Op.MOMENT, "{0}::timestamp"),
    Kind.TIMESTAMP: Way(Image.TIMESTAMPTZ, pa.timestamp("us", "UTC"), Op.MOMENT, "{0}::timestamptz"),
    Kind.TIME_OF_DAY: Way(Image.DURATION, pa.duration("us"), Op.TIME, "{0}::time"),
    Kind.INTERVAL: Way(Image.INTERVAL, INTERVAL, Op.INTERVAL, "{0}::interval"),
    Kind.JSON: Way(Image.JSON, pa.large_string(), Op.LARGE_BYTES, "{0}::text"),
    Kind.JSON_TEXT: Way(Image.JSON, pa.large_string(), Op.LARGE_BYTES, "{0}::text"),
    Kind.UUID: Way(Image.UUID, pa.binary(), Op.UUID, "{0}::uuid"),
}
# Types whose cast to text is not what the server prints: the blanks of char, the /32 of a host's inet.
_PRINTED = {
    "inet": "pg_catalog.textin(pg_catalog.inet_out({0}))",
    # A byte that is no character is printed in octal, as PostgreSQL 16 does by itself.
    '"char"': "CASE WHEN pg_catalog.get_byte(pg_catalog.charsend({0}), 0) > 127"
    " THEN pg_catalog.encode(pg_catalog.charsend({0}), 'escape') ELSE {0}::text END",
}
_BARE = frozenset({"smallint", "integer", "bigint", "real", "double precision", "boolean"})
_AS_PRINTED = ("inet", "character", "bpchar", '"char"')


def way(column: Column) -> Way:
    kind = column.type.kind
    if kind in _NUMBERS:
        name, arrow = _NUMBERS[kind]
        if column.type.unsigned:
            return Way(Image.INT, pa.uint32(), Op.FIXED, "{0}::oid")
        image = Image.FLOAT if kind in (Kind.FLOAT32, Kind.FLOAT64) else Image.INT
        return Way(image, arrow, Op.FIXED, f"{{0}}::{name}")
    if kind is Kind.ARRAY:
        return Way(Image.JSON, pa.large_string(), Op.LARGE_BYTES, _array(column.native_type))
    if kind is Kind.GEOMETRY:
        return Way(Image.GEOMETRY, pa.large_binary(), Op.LARGE_BYTES, _wkb(column.native_type))
    if column.native_type == "bpchar":
        return Way(Image.TEXT, pa.large_string(), Op.LARGE_BYTES, "{0}::bpchar")
    if column.native_type in _PRINTED:
        return Way(Image.TEXT, pa.large_string(), Op.LARGE_BYTES, _PRINTED[column.native_type])
    return _WAYS[kind]


def _array(native: str) -> str:
    """JSON made by the server: numbers and booleans as such (NaN and infinities as strings), every other
    element as a string with what the server prints for it, so that nothing is bent into JSON's own types."""
    element = native.removesuffix("[]")
    if element in _BARE:
        return "pg_catalog.to_json({0})::text"
    if element.partition("(")[0] in _AS_PRINTED:
        # By way of the array's own text: a cast of each element would use the element's cast to text.
        return "pg_catalog.to_json({0}::text::text[])::text"
    return "pg_catalog.to_json({0}::text[])::text"


def _wkb(native: str) -> str:
    """MySQL's form: the SRID in four bytes, the lowest first, then WKB in the same order."""
    place = re.match(r'(.*)\.("?)geometry', native)
    schema = f"{place.group(1)}." if place else ""
    srid = f"pg_catalog.int4send({schema}st_srid({{0}}))"
    swapped = " || ".join(f"pg_catalog.substr({srid}, {byte}, 1)" for byte in (4, 3, 2, 1))
    return f"{swapped} || {schema}st_asbinary({{0}}, 'NDR')"


def read_column(column: Column) -> ReadColumn:
    chosen = way(column)
    expression = chosen.expression.replace("{0}", quote(column.name))
    return ReadColumn(column.name, expression, chosen.image, chosen.arrow, column)


_MOMENTS = {
    Kind.DATETIME: "{0}::timestamp::text",
    Kind.TIMESTAMP: "({0}::timestamptz AT TIME ZONE 'UTC')::text",
}


def printed_moment(column: ReadColumn) -> ReadColumn:
    """A timestamp by its text: 64 bits of microseconds since 1970 end 29 years before PostgreSQL's do. Other
    columns are as they were."""
    expression = _MOMENTS.get(column.source.type.kind)
    if expression is None:
        return column
    asked = expression.replace("{0}", quote(column.source.name))
    return ReadColumn(column.name, asked, _TEXT.image, _TEXT.arrow, column.source)


def field_spec(column: ReadColumn) -> FieldSpec:
    chosen = way(column.source)
    op = chosen.op if column.image is chosen.image else _TEXT.op
    return FieldSpec(column.name, op, column.arrow)


def require_columns(table: Table, names: set[str]) -> None:
    """UNKNOWN_COLUMN for the first name that is no column of the table."""
    unknown = sorted(names - {column.name for column in table.columns})
    if unknown:
        raise EngineError(
            Code.UNKNOWN_COLUMN,
            f"{table.name} has no column {unknown[0]}",
            table=table.name,
            column=unknown[0],
        )
