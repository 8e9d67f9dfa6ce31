"""MySQL and MariaDB column types → PostgreSQL types: one entry a kind, nothing decided anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from engine.config import Policies
from engine.connectors.base import ColumnFacts, Severity
from engine.connectors.postgres.identifiers import qualified, text_array
from engine.connectors.postgres.keys import Shared, is_flag
from engine.connectors.postgres.names import byte_length
from engine.schema import Column
from engine.types import Kind

MAX_LABEL = 63  # bytes of an enum label, NAMEDATALEN - 1

# PostGIS spells the subtypes its own way; the typmod is not case sensitive.
_GEOMETRIES = {
    "point": "Point",
    "linestring": "LineString",
    "polygon": "Polygon",
    "multipoint": "MultiPoint",
    "multilinestring": "MultiLineString",
    "multipolygon": "MultiPolygon",
    "geomcollection": "GeometryCollection",
    "geometrycollection": "GeometryCollection",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """A note before it knows its table and column."""

    severity: Severity
    slug: str
    message: str
    policy: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A rendered target type.

    sql: the type, as in a cast; collation: what follows it in DDL, quoted. base: the catalog name the encoder
    goes by. conversion: one line for people.
    labels: of an enum, or of a set that became an array. enum: labels of a type that has to be created.
    check: SQL before and after the quoted column name, of a CHECK that belongs to the type itself.
    width: bytes a value takes inline (fixed types), or at most (others), None when unbounded.
    """

    sql: str
    base: str
    conversion: str = ""
    collation: str = ""
    labels: tuple[str, ...] = ()
    enum: tuple[str, ...] | None = None
    enum_name: str = ""
    check: tuple[str, str] | None = None
    fixed: int | None = None
    width: int | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def declared(self) -> str:
        """The type as a column definition has it."""
        return f"{self.sql} COLLATE {self.collation}" if self.collation else self.sql


@dataclass(frozen=True, slots=True)
class TypeContext:
    """What the mapping of one column may depend on.

    enum_name: schema and name its enum type would have. extension_schemas: where citext and postgis live.
    collations: the qualified nondeterministic collations of the policy `icu`, without and with accents.
    """

    policies: Policies
    shared: Shared = field(default_factory=Shared)
    facts: ColumnFacts | None = None
    enum_name: tuple[str, str] = ("public", "enum")
    extensions: frozenset[str] = frozenset()
    extension_schemas: Mapping[str, str] = field(default_factory=dict)
    collations: tuple[str, str] = ("", "")
    server_version: int = 150000

    def extension_type(self, extension: str, name: str) -> str:
        return qualified(self.extension_schemas.get(extension, "public"), name)


def map_type(column: Column, context: TypeContext) -> ColumnType:
    """The PostgreSQL type of a column, with everything that does not go over unchanged in its remarks."""
    mapped = _BY_KIND[column.type.kind](column, context)
    if column.type.zerofill:
        remark = Remark(
            Severity.INFO, "zerofill", "ZEROFILL pads numbers for display only; it is not carried over."
        )
        mapped = replace(mapped, remarks=(*mapped.remarks, remark))
    return mapped


Mapper = Callable[[Column, TypeContext], ColumnType]


def _plain(sql: str, base: str, size: int | None, conversion: str = "") -> Mapper:
    return lambda column, context: ColumnType(sql, base, conversion, fixed=size)


# ---------------------------------------------------------------- numbers

_INTEGERS = {  # kind → (signed, unsigned): the narrowest type that holds every value
    Kind.INT8: ("smallint", "smallint"),
    Kind.INT16: ("smallint", "integer"),
    Kind.INT24: ("integer", "integer"),
    Kind.INT32: ("integer", "bigint"),
    Kind.INT64: ("bigint", "numeric(20,0)"),
}
_INTEGER_TYPES = {
    "smallint": ("int2", 2),
    "integer": ("int4", 4),
    "bigint": ("int8", 8),
    "numeric(20,0)": ("numeric", None),
}


def _integer(column: Column, context: TypeContext) -> ColumnType:
    kind = column.type
    remarks: tuple[Remark, ...] = ()
    if context.policies.tinyint1 == "boolean" and is_flag(column):
        if context.shared.boolean:
            return ColumnType("boolean", "bool", "0 becomes false, 1 becomes true", fixed=1)
        message = "tinyint(1) stays smallint: not all values are known to be 0 or 1."
        remarks = (Remark(Severity.WARNING, "tinyint1-not-boolean", message, "tinyint1"),)
    sql = context.shared.wide or _INTEGERS[kind.kind][kind.unsigned]
    base, size = _INTEGER_TYPES[sql]
    conversion, check = "", None
    if kind.unsigned and kind.kind is Kind.INT64:
        check = ("", " >= 0")
        if sql == "bigint":
            conversion = "values above 9223372036854775807 are refused"
            message = (
                "bigint unsigned becomes bigint, because an identity needs it and every value present fits;"
                " larger values will be refused."
            )
            remarks += (Remark(Severity.WARNING, "unsigned-bigint-identity", message),)
    elif sql == "numeric(20,0)":
        conversion = "widened to the type of the columns it is joined with"
    return ColumnType(
        sql, base, conversion, check=check, fixed=size, width=None if size else 14, remarks=remarks
    )


def _decimal(column: Column, context: TypeContext) -> ColumnType:
    precision, scale = column.type.precision or 10, column.type.scale or 0
    width = 8 + 2 * (precision // 4 + 2)
    return ColumnType(f"numeric({precision},{scale})", "numeric", width=width)


def _bit(column: Column, context: TypeContext) -> ColumnType:
    length = column.type.length or 1
    return ColumnType(f"bit({length})", "bit", width=8 + (length + 7) // 8)


# ---------------------------------------------------------------- dates and times


def _datetime(column: Column, context: TypeContext) -> ColumnType:
    return ColumnType(f"timestamp({column.type.fraction})", "timestamp", fixed=8)


def _timestamp(column: Column, context: TypeContext) -> ColumnType:
    return ColumnType(f"timestamp({column.type.fraction}) with time zone", "timestamptz", fixed=8)


def _time(column: Column, context: TypeContext) -> ColumnType:
    fraction = column.type.fraction
    if context.policies.time == "time":
        conversion = "a time of day: values outside 00:00:00 to 24:00:00 are refused"
        return ColumnType(f"time({fraction}) without time zone", "time", conversion, fixed=8)
    return ColumnType(f"interval({fraction})", "interval", "a duration, as MySQL's TIME is one", fixed=16)


def _time_of_day(column: Column, context: TypeContext) -> ColumnType:
    return ColumnType(f"time({column.type.fraction}) without time zone", "time", fixed=8)


def _year(column: Column, context: TypeContext) -> ColumnType:
    return ColumnType("smallint", "int2", "a number; 0 stays 0", fixed=2)


# ---------------------------------------------------------------- text and bytes


def _text(column: Column, context: TypeContext) -> ColumnType:
    kind = column.type
    if context.shared.as_bytes:
        message = "Some of the text cannot be text on PostgreSQL; the column is kept as bytes."
        remark = Remark(Severity.WARNING, "text-as-bytea", message, "invalidText")
        return ColumnType("bytea", "bytea", "the stored bytes", remarks=(remark,))
    if context.shared.folded:
        return _folded(column, context)
    if kind.kind is Kind.TEXT or kind.length is None:
        return ColumnType("text", "text")
    if kind.length == 0:
        return ColumnType("text", "text", "holds the empty string only", check=("", " = ''"), width=1)
    return ColumnType(f"varchar({kind.length})", "varchar", width=4 * kind.length + 4)


def _folded(column: Column, context: TypeContext) -> ColumnType:
    """Text that compares without case: citext, or text under a nondeterministic collation."""
    length = column.type.length if column.type.kind is not Kind.TEXT else None
    if context.policies.case_insensitive_text == "citext":
        if "citext" not in context.extensions:
            message = "The policy citext needs the extension citext in the target database."
            remark = Remark(Severity.REFUSED, "citext-missing", message, "caseInsensitiveText")
            return ColumnType("text", "text", remarks=(remark,))
        sql = context.extension_type("citext", "citext")
        check = None if length is None else ("char_length((", f")::text) <= {length}")
        return ColumnType(sql, "citext", "compares without case, and with accents", check=check)
    sql = "text" if length is None or length == 0 else f"varchar({length})"
    base = "text" if sql == "text" else "varchar"
    accents = context.shared.accents
    conversion = f"compares without case{'' if accents else ' and accents'}; LIKE needs PostgreSQL 18"
    return ColumnType(sql, base, conversion, context.collations[accents])


def _bytes(column: Column, context: TypeContext) -> ColumnType:
    length = column.type.length if column.type.kind in (Kind.BINARY, Kind.VARBINARY) else None
    return ColumnType("bytea", "bytea", width=None if length is None else length + 4)


# ---------------------------------------------------------------- labels


def _enum(column: Column, context: TypeContext) -> ColumnType:
    labels = column.type.labels
    remarks: list[Remark] = []
    invalid = (context.facts.empty_enum if context.facts else 0) or 0
    if context.shared.enum_gap and "" not in labels:
        labels = ("", *labels)
    if invalid and "" not in column.type.labels:
        message = "Rows hold the invalid value (index 0); the label '' is added for them."
        remarks.append(Remark(Severity.WARNING, "enum-invalid-value", message, count=invalid))
    long = [label for label in labels if byte_length(label) > MAX_LABEL]
    if context.policies.enum == "native" and not long:
        schema, name = context.enum_name
        return ColumnType(
            qualified(schema, name),
            "enum",
            labels=labels,
            enum=labels,
            enum_name=name,
            fixed=4,
            remarks=tuple(remarks),
        )
    if long:
        message = (
            f"A label is longer than {MAX_LABEL} bytes: text with a CHECK; it sorts by text, not by index."
        )
        remarks.append(Remark(Severity.WARNING, "enum-long-label", message))
    check = ("", f" = ANY ({text_array(labels)})")
    conversion = "text; sorts by text, not by the order of the labels"
    return ColumnType("text", "text", conversion, labels=labels, check=check, remarks=tuple(remarks))


def _set(column: Column, context: TypeContext) -> ColumnType:
    labels = column.type.labels
    if context.policies.set == "text":
        return ColumnType("text", "text", "the labels joined by commas", labels=labels)
    check = ("", f" <@ {text_array(labels)}")
    return ColumnType(
        "text[]", "_text", "an array of labels in the order of the definition", labels=labels, check=check
    )


# ---------------------------------------------------------------- the others


def _json(column: Column, context: TypeContext) -> ColumnType:
    choice = context.policies.json_
    if choice == "auto":
        choice = "jsonb" if column.type.kind is Kind.JSON else "json"
    if choice == "jsonb" and column.type.kind is Kind.JSON_TEXT:
        conversion = "normalised: duplicate keys, their order and the spelling of the text are not kept"
    elif choice == "text":
        conversion = "the text as the source prints it"
    else:
        conversion = ""
    return ColumnType(choice, choice, conversion)


def _geometry(column: Column, context: TypeContext) -> ColumnType:
    wanted = context.policies.geometry
    if wanted != "ewkb" and "postgis" in context.extensions:
        subtype = _GEOMETRIES.get((column.type.geometry or "").lower(), "Geometry")
        typmod = "" if subtype == "Geometry" else f"({subtype})"
        if column.type.srid is not None:
            typmod = f"({subtype},{column.type.srid})"
        return ColumnType(
            f"{context.extension_type('postgis', 'geometry')}{typmod}",
            "geometry",
            "longitude before latitude",
        )
    remarks: tuple[Remark, ...] = ()
    if wanted == "postgis":
        message = "The policy postgis needs the extension postgis in the target database."
        remarks = (Remark(Severity.REFUSED, "postgis-missing", message, "geometry"),)
    return ColumnType("bytea", "bytea", "EWKB with its SRID, longitude before latitude", remarks=remarks)


def _vector(column: Column, context: TypeContext) -> ColumnType:
    length = column.type.length
    check = None if length is None else ("cardinality(", f") = {length}")
    return ColumnType("real[]", "_float4", "an array of the same numbers", check=check)


def _uuid(column: Column, context: TypeContext) -> ColumnType:
    if context.policies.uuid == "char":
        return ColumnType("varchar(36)", "varchar", "36 characters in lower case", width=40)
    if context.policies.uuid == "binary":
        return ColumnType("bytea", "bytea", "16 bytes in text order", width=20)
    return ColumnType("uuid", "uuid", fixed=16)


def _other(column: Column, context: TypeContext) -> ColumnType:
    message = (
        f"The type {column.native_type} has no counterpart; values are kept as the text the source prints."
    )
    return ColumnType("text", "text", "text", remarks=(Remark(Severity.WARNING, "unknown-type", message),))


_BY_KIND: Mapping[Kind, Mapper] = {
    Kind.BOOL: _plain("boolean", "bool", 1),
    Kind.INT8: _integer,
    Kind.INT16: _integer,
    Kind.INT24: _integer,
    Kind.INT32: _integer,
    Kind.INT64: _integer,
    Kind.FLOAT32: _plain("real", "float4", 4),
    Kind.FLOAT64: _plain("double precision", "float8", 8),
    Kind.DECIMAL: _decimal,
    Kind.BIT: _bit,
    Kind.YEAR: _year,
    Kind.DATE: _plain("date", "date", 4),
    Kind.DATETIME: _datetime,
    Kind.TIMESTAMP: _timestamp,
    Kind.TIME: _time,
    Kind.TIME_OF_DAY: _time_of_day,
    Kind.INTERVAL: _plain("interval", "interval", 16),
    Kind.CHAR: _text,
    Kind.VARCHAR: _text,
    Kind.TEXT: _text,
    Kind.BINARY: _bytes,
    Kind.VARBINARY: _bytes,
    Kind.BLOB: _bytes,
    Kind.ENUM: _enum,
    Kind.SET: _set,
    Kind.JSON: _json,
    Kind.JSON_TEXT: _json,
    Kind.GEOMETRY: _geometry,
    Kind.VECTOR: _vector,
    Kind.UUID: _uuid,
    Kind.INET4: _plain("inet", "inet", None),
    Kind.INET6: _plain("inet", "inet", None),
    Kind.ARRAY: _json,
    Kind.OTHER: _other,
}
