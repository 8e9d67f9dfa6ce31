"""What each kind becomes on DuckDB: one function a family, one table.

`base` of a type is what the encoder is chosen by: its name without parameters, `ENUM`, or `VARCHAR[]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.config import Policies
from engine.connectors.base import ColumnFacts, Note, Severity
from engine.connectors.duckdb.identifiers import literal
from engine.connectors.duckdb.native import kept_by, parse
from engine.formats.measured import Limits, measured_decimal
from engine.schema import Column
from engine.types import Kind

MOST_DIGITS = 38  # of a DECIMAL
_LIMITS = Limits(MOST_DIGITS, MOST_DIGITS, nullable=False)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A type, what changes on the way for people, and what the plan says of it."""

    type: str
    base: str
    conversion: str = ""
    labels: tuple[str, ...] = ()
    slug: str = ""
    severity: Severity = Severity.INFO
    message: str = ""
    policy: str | None = None

    def note(self, table: str, column: str) -> Note | None:
        if not self.slug:
            return None
        return Note(self.severity, self.slug, self.message, table, column, self.policy)


def _plain(name: str, conversion: str = "") -> Mapped:
    return Mapped(name, name, conversion)


Way = Callable[[Column, Policies, ColumnFacts | None], Mapped]

_INTEGERS = {
    Kind.INT8: ("TINYINT", "UTINYINT"),
    Kind.INT16: ("SMALLINT", "USMALLINT"),
    Kind.INT24: ("INTEGER", "UINTEGER"),
    Kind.INT32: ("INTEGER", "UINTEGER"),
    Kind.INT64: ("BIGINT", "UBIGINT"),
}


_AS_TEXT = frozenset({Kind.OTHER, Kind.DECIMAL, Kind.ARRAY, Kind.JSON_TEXT})


def map_type(column: Column, policies: Policies, facts: ColumnFacts | None, dialect: str = "") -> Mapped:
    """The type of a column on the target. What comes from DuckDB (`dialect`) keeps its own type."""
    as_text = column.type.kind in _AS_TEXT and kept_by(parse(column.native_type)) is not None
    if dialect == "duckdb" and as_text:
        return Mapped(column.native_type, base_of(column.native_type))
    return _WAYS[column.type.kind](column, policies, facts)


def _integer(column: Column, policies: Policies, facts: ColumnFacts | None) -> Mapped:
    kind = column.type
    flag = kind.kind is Kind.INT8 and kind.display_width == 1 and not kind.unsigned
    if flag and policies.tinyint1 == "boolean" and _is_boolean(facts):
        return _plain("BOOLEAN", "0 and 1 become false and true")
    return _plain(_INTEGERS[kind.kind][kind.unsigned])


def _is_boolean(facts: ColumnFacts | None) -> bool:
    """Whether a scan saw nothing but 0 and 1; the encoder checks each value again."""
    return facts is not None and int(facts.min or 0) >= 0 and int(facts.max or 0) <= 1


def _decimal(column: Column, policies: Policies, facts: ColumnFacts | None) -> Mapped:
    precision, scale = column.type.precision, column.type.scale or 0
    if precision is not None and 0 < precision <= MOST_DIGITS and 0 <= scale <= precision:
        return Mapped(f"DECIMAL({precision},{scale})", "DECIMAL")
    said = f"DuckDB's decimals have up to {MOST_DIGITS} digits"
    measured = measured_decimal(column, facts, policies, _LIMITS)
    if measured is not None and not measured.problem:
        sql = f"DECIMAL({measured.precision},{measured.scale})"
        return Mapped(
            sql,
            "DECIMAL",
            slug="numeric-measured",
            message=f"{column.native_type} becomes {sql}, {measured.said}",
            policy="unboundedNumeric",
        )
    if precision is not None:
        return Mapped(
            "VARCHAR",
            "VARCHAR",
            "digits as text",
            slug="wide-decimal",
            severity=Severity.WARNING,
            message=f"{column.native_type} becomes text, every digit kept: {said}",
        )
    if policies.unbounded_numeric == "text":
        return Mapped(
            "VARCHAR",
            "VARCHAR",
            "digits as text",
            slug="unbounded-numeric",
            message=f"{column.native_type} becomes text, every digit kept",
            policy="unboundedNumeric",
        )
    asked = ""
    if policies.unbounded_numeric == "scan":
        asked = f"{measured.problem if measured else 'the source does not look at its values'}; or "
    return Mapped(
        "VARCHAR",
        "VARCHAR",
        slug="unbounded-numeric",
        severity=Severity.REFUSED,
        message=f"{column.native_type} has no limit, and {said}: {asked}set policies.unboundedNumeric to"
        " text",
        policy="unboundedNumeric",
    )


def _text(column: Column, policies: Policies, facts: ColumnFacts | None) -> Mapped:
    if policies.invalid_text == "bytea" and facts is not None and facts.lossy_text:
        return Mapped(
            "BLOB",
            "BLOB",
            "bytes as they are",
            slug="invalid-text",
            severity=Severity.WARNING,
            message=f"{facts.lossy_text} values are no text: the column becomes BLOB",
            policy="invalidText",
        )
    return _plain("VARCHAR")


def _enum(column: Column, policies: Policies, facts: ColumnFacts | None) -> Mapped:
    labels = column.type.labels
    if policies.enum == "text" or not labels or any("\0" in label for label in labels):
        return Mapped("VARCHAR", "VARCHAR", "labels as text", labels)
    return Mapped(f"ENUM({', '.join(literal(label) for label in labels)})", "ENUM", labels=labels)


def _set(column: Column, policies: Policies, facts: ColumnFacts | None) -> Mapped:
    if policies.set == "text":
        return Mapped("VARCHAR", "VARCHAR", "labels joined by ','", column.type.labels)
    return Mapped("VARCHAR[]", "VARCHAR[]", "a list of labels", column.type.labels)


def _json(column: Column, policies: Policies, facts: ColumnFacts | None) -> Mapped:
    return _plain("VARCHAR", "JSON as text") if policies.json_ == "text" else _plain("JSON")


def _array(column: Column, policies: Policies, facts: ColumnFacts | None) -> Mapped:
    return Mapped(
        "VARCHAR" if policies.json_ == "text" else "JSON",
        "VARCHAR" if policies.json_ == "text" else "JSON",
        "an array as JSON",
        slug="array-as-json",
        message=f"{column.native_type} becomes a JSON array",
    )


def _time(column: Column, policies: Policies, facts: ColumnFacts | None) -> Mapped:
    if policies.time == "time":
        return _plain("TIME", "values from 00:00:00 to 24:00:00 only")
    return _plain("INTERVAL")


def _uuid(column: Column, policies: Policies, facts: ColumnFacts | None) -> Mapped:
    if policies.uuid == "char":
        return _plain("VARCHAR", "a UUID as text")
    return _plain("BLOB", "the 16 bytes of a UUID") if policies.uuid == "binary" else _plain("UUID")


def _geometry(column: Column, policies: Policies, facts: ColumnFacts | None) -> Mapped:
    return Mapped(
        "BLOB",
        "BLOB",
        "WKB, with the SRID where it is not 0",
        slug="geometry-as-wkb",
        message=f"{column.native_type} becomes WKB in a BLOB",
    )


def _vector(column: Column, policies: Policies, facts: ColumnFacts | None) -> Mapped:
    return _plain("FLOAT[]")


def _other(column: Column, policies: Policies, facts: ColumnFacts | None) -> Mapped:
    return Mapped(
        "VARCHAR",
        "VARCHAR",
        "the server's own text",
        slug="server-text",
        message=f"{column.native_type} is kept as the source prints it",
    )


def _constant(name: str, conversion: str = "") -> Way:
    mapped = _plain(name, conversion)
    return lambda column, policies, facts: mapped


_WAYS: Mapping[Kind, Way] = {
    **dict.fromkeys(_INTEGERS, _integer),
    Kind.BOOL: _constant("BOOLEAN"),
    Kind.FLOAT32: _constant("FLOAT"),
    Kind.FLOAT64: _constant("DOUBLE"),
    Kind.DECIMAL: _decimal,
    Kind.BIT: _constant("BIT"),
    Kind.YEAR: _constant("SMALLINT"),
    Kind.DATE: _constant("DATE"),
    Kind.DATETIME: _constant("TIMESTAMP"),
    Kind.TIMESTAMP: _constant("TIMESTAMPTZ"),
    Kind.TIME: _time,
    Kind.TIME_OF_DAY: _constant("TIME"),
    Kind.INTERVAL: _constant("INTERVAL"),
    **dict.fromkeys((Kind.CHAR, Kind.VARCHAR, Kind.TEXT), _text),
    **dict.fromkeys((Kind.BINARY, Kind.VARBINARY, Kind.BLOB), _constant("BLOB")),
    Kind.ENUM: _enum,
    Kind.SET: _set,
    **dict.fromkeys((Kind.JSON, Kind.JSON_TEXT), _json),
    Kind.GEOMETRY: _geometry,
    Kind.VECTOR: _vector,
    Kind.UUID: _uuid,
    **dict.fromkeys((Kind.INET4, Kind.INET6), _constant("VARCHAR", "an address, as text")),
    Kind.ARRAY: _array,
    Kind.OTHER: _other,
}

# What pg-style names DuckDB's catalog prints, and what we call them.
_SPELLINGS = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "TIME WITH TIME ZONE": "TIMETZ"}


def base_of(printed: str) -> str:
    """The base of a type as duckdb_columns() prints it: `DECIMAL(18,3)` → DECIMAL, `ENUM('a')` → ENUM."""
    if printed in _SPELLINGS:
        return _SPELLINGS[printed]
    if printed.endswith("]"):
        return printed
    return printed.partition("(")[0]
