"""What the types of PostgreSQL, DuckDB and files become: by kind, one function a family."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.connectors.base import Severity
from engine.connectors.mysql.encode import INTERVAL_CHARS
from engine.connectors.mysql.target_ddl import text
from engine.connectors.mysql.target_server import KEY_CHARS
from engine.connectors.mysql.target_types import (
    MappedType,
    Remark,
    TypeContext,
    address_type,
    json_text,
    uuid_type,
)
from engine.formats.measured import Limits, measured_decimal
from engine.schema import Column
from engine.types import Kind

MOST_CHARS = 16_383  # of a VARCHAR in utf8mb4
_MOST_LABEL = 255
_MOST_LABELS = 65_535
_MOST_DIGITS = 65

_INTEGERS = {
    Kind.INT8: "tinyint",
    Kind.INT16: "smallint",
    Kind.INT24: "mediumint",
    Kind.INT32: "int",
    Kind.INT64: "bigint",
}


def foreign_type(column: Column, context: TypeContext) -> MappedType:
    """The type of a column that comes from another kind of system."""
    return _WAYS.get(column.type.kind, _text)(column, context)


def _integer(column: Column, context: TypeContext) -> MappedType:
    unsigned = " unsigned" if column.type.unsigned else ""
    return MappedType(_INTEGERS[column.type.kind] + unsigned)


def _boolean(column: Column, context: TypeContext) -> MappedType:
    return MappedType("tinyint(1)", conversion="false and true become 0 and 1")


def _decimal(column: Column, context: TypeContext) -> MappedType:
    precision, scale = column.type.precision, column.type.scale or 0
    policy, most = context.policies.unbounded_numeric, context.server.most_scale
    if precision is not None and scale < 0:
        precision, scale = precision - scale, 0
    if precision is not None and max(precision, scale) <= _MOST_DIGITS and scale <= most:
        return MappedType(f"decimal({max(precision, scale)},{scale})", key_bytes=34)
    measured = measured_decimal(column, context.facts, context.policies, Limits(_MOST_DIGITS, most, "nan"))
    if measured is not None and not measured.problem:
        sql = f"decimal({measured.precision},{measured.scale})"
        note = Remark(
            Severity.INFO,
            "numeric-measured",
            f"{column.native_type} becomes {sql}, {measured.said}.",
            "unboundedNumeric",
        )
        return MappedType(sql, key_bytes=34, remarks=(note,))
    limits = f"{_MOST_DIGITS} digits, {most} of them behind the point"
    if policy == "text":
        note = Remark(
            Severity.WARNING,
            "numeric-as-text",
            f"{column.native_type} becomes text: the target's decimals have at most {limits}.",
            "unboundedNumeric",
        )
        return _limited(context, "digits as text", (note,))
    asked = ""
    if policy == "scan":
        asked = f"{measured.problem if measured else 'the source does not look at its values'}; or "
    note = Remark(
        Severity.REFUSED,
        "unbounded-numeric" if precision is None else "decimal-too-wide",
        f"{column.native_type} may not fit {limits}: {asked}set policies.unboundedNumeric to text",
        "unboundedNumeric",
    )
    return MappedType(f"decimal({_MOST_DIGITS},{most})", key_bytes=34, remarks=(note,))


def _limited(context: TypeContext, conversion: str, remarks: tuple[Remark, ...] = ()) -> MappedType:
    """Text without a limit: LONGTEXT, or what a unique key can hold of it. Longer values are refused when
    they come."""
    collation = context.server.exact_collation
    if context.key_chars is None:
        return MappedType("longtext", "utf8mb4", collation, conversion, None, remarks=remarks)
    chars = max(1, min(context.key_chars, KEY_CHARS))
    octets = context.facts.max_octets if context.facts is not None else None
    if octets is not None and octets > (4 * chars if context.key_firm else chars):
        return MappedType("longtext", "utf8mb4", collation, conversion, None, remarks=remarks)
    note = Remark(
        Severity.INFO,
        "text-in-key",
        f"The column is part of a key and becomes varchar({chars}); longer values are refused.",
    )
    return MappedType(
        f"varchar({chars})", "utf8mb4", collation, conversion, 4 * chars, remarks=(*remarks, note)
    )


def _text(column: Column, context: TypeContext) -> MappedType:
    conversion = "as the source prints it" if column.type.kind is Kind.OTHER else ""
    length = column.type.length
    if column.type.kind in (Kind.CHAR, Kind.VARCHAR) and length is not None and 0 < length <= MOST_CHARS:
        if context.key_chars is not None and length > context.key_chars:
            return _limited(context, conversion)
        return MappedType(
            f"varchar({length})", "utf8mb4", context.server.exact_collation, conversion, 4 * length
        )
    return _limited(context, conversion)


def _bytes(column: Column, context: TypeContext) -> MappedType:
    length = column.type.length
    if column.type.kind is Kind.VARBINARY and length is not None and length <= MOST_CHARS:
        return MappedType(f"varbinary({length})", key_bytes=length)
    if column.type.kind is Kind.BINARY and length is not None and length <= 255:
        return MappedType(f"binary({length})", key_bytes=length)
    if context.key_chars is not None:
        most = 4 * context.key_chars
        return MappedType(f"varbinary({most})", conversion="in a key", key_bytes=most)
    return MappedType("longblob", key_bytes=None)


def _bits(column: Column, context: TypeContext) -> MappedType:
    length = column.type.length or 1
    if length <= 64:
        return MappedType(f"bit({length})")
    octets = (length + 7) // 8
    return MappedType(f"varbinary({octets})", conversion="bits as bytes, right-aligned", key_bytes=octets)


def _enum(column: Column, context: TypeContext) -> MappedType:
    labels, collation = column.type.labels, context.server.exact_collation
    if context.policies.enum == "native" and _fit(labels):
        listed = ",".join(text(label) for label in labels)
        return MappedType(f"enum({listed})", "utf8mb4", collation, key_bytes=2, labels=labels)
    longest = max((len(label) for label in labels), default=1) or 1
    listed = ", ".join(text(label) for label in labels)
    message = "The labels become text with a check, and sort as text."
    note = Remark(Severity.WARNING, "enum-as-text", message, "enum")
    return MappedType(
        f"varchar({longest})",
        "utf8mb4",
        collation,
        "labels as text",
        4 * longest,
        check=f"{{}} IN ({listed})" if labels else None,
        remarks=(note,),
    )


def _fit(labels: tuple[str, ...]) -> bool:
    """MySQL drops blanks at the end of labels, and reads '' as its own error value too."""
    return 0 < len(labels) <= _MOST_LABELS and all(
        0 < len(label) <= _MOST_LABEL and not label.endswith(" ") for label in labels
    )


def _json(column: Column, context: TypeContext) -> MappedType:
    if context.policies.json_ == "text":
        return MappedType("longtext", "utf8mb4", "utf8mb4_bin", "JSON as text", None)
    if context.server.flavor == "mysql" and context.policies.json_ == "auto":
        facts = context.facts
        if facts is not None and facts.inexact_json:
            return json_text(context, f"{facts.inexact_json} values hold numbers MySQL's JSON would change")
    return MappedType("json", key_bytes=None)


def _json_text(column: Column, context: TypeContext) -> MappedType:
    if context.policies.json_ == "text":
        return MappedType("longtext", "utf8mb4", "utf8mb4_bin", "JSON as text", None)
    if context.server.flavor == "mariadb":
        return MappedType("json", key_bytes=None)
    return json_text(context, "The source keeps the exact text of its JSON; MySQL's would change it")


def _array(column: Column, context: TypeContext) -> MappedType:
    note = Remark(Severity.INFO, "array-as-json", f"{column.native_type} becomes a JSON array.")
    if context.policies.json_ == "text":
        return MappedType("longtext", "utf8mb4", "utf8mb4_bin", "an array as JSON", None, remarks=(note,))
    return MappedType("json", conversion="an array as JSON", key_bytes=None, remarks=(note,))


def _fraction(name: str, conversion: str = "") -> Callable[[Column, TypeContext], MappedType]:
    def way(column: Column, context: TypeContext) -> MappedType:
        fraction = column.type.fraction
        return MappedType(f"{name}({fraction})" if fraction else name, conversion=conversion)

    return way


def _interval(column: Column, context: TypeContext) -> MappedType:
    note = Remark(Severity.INFO, "interval-as-text", "Intervals become ISO 8601 text, such as P1Y2M3DT4H.")
    return MappedType(
        f"varchar({INTERVAL_CHARS})", "ascii", "ascii_bin", "ISO 8601 text", INTERVAL_CHARS, remarks=(note,)
    )


def _geometry(column: Column, context: TypeContext) -> MappedType:
    return MappedType(column.type.geometry or "geometry", key_bytes=None)


def _uuid(column: Column, context: TypeContext) -> MappedType:
    return uuid_type(context)


def _address(column: Column, context: TypeContext) -> MappedType:
    return address_type(column.type.kind, context.server)


def _plain(sql: str) -> Callable[[Column, TypeContext], MappedType]:
    return lambda column, context: MappedType(sql)


def _vector(column: Column, context: TypeContext) -> MappedType:
    if context.server.has_vector and column.type.length:
        return MappedType(f"vector({column.type.length})", key_bytes=-1)
    return MappedType("longblob", conversion="the floats of a vector as bytes", key_bytes=None)


_WAYS: Mapping[Kind, Callable[[Column, TypeContext], MappedType]] = {
    **dict.fromkeys(_INTEGERS, _integer),
    Kind.BOOL: _boolean,
    Kind.FLOAT32: _plain("float"),
    Kind.FLOAT64: _plain("double"),
    Kind.DECIMAL: _decimal,
    Kind.BIT: _bits,
    Kind.YEAR: _plain("year"),
    Kind.DATE: _plain("date"),
    Kind.DATETIME: _fraction("datetime"),
    Kind.TIMESTAMP: _fraction("datetime", "an instant, in UTC"),
    Kind.TIME: _fraction("time"),
    Kind.TIME_OF_DAY: _fraction("time"),
    Kind.INTERVAL: _interval,
    Kind.BINARY: _bytes,
    Kind.VARBINARY: _bytes,
    Kind.BLOB: _bytes,
    Kind.ENUM: _enum,
    Kind.JSON: _json,
    Kind.JSON_TEXT: _json_text,
    Kind.ARRAY: _array,
    Kind.GEOMETRY: _geometry,
    Kind.VECTOR: _vector,
    Kind.UUID: _uuid,
    Kind.INET4: _address,
    Kind.INET6: _address,
}
