"""Column defaults as typed PostgreSQL constants, or as expressions known to mean the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from ipaddress import ip_address
from uuid import UUID

from engine.config import Policies
from engine.connectors.postgres import native
from engine.connectors.postgres.context import MapOptions, MappedColumn, MappedDatabase, MappedTable
from engine.connectors.postgres.expressions import translate
from engine.connectors.postgres.generated import assigned
from engine.connectors.postgres.identifiers import bytes_literal, literal, qualified, text_array
from engine.connectors.postgres.terms import Purpose, Scope, Untranslatable, text_literal
from engine.types import Kind

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOW = re.compile(
    r"\(*\s*(?:current_timestamp|now|localtime|localtimestamp)\s*(?:\(\s*([0-6])?\s*\))?\s*\)*", re.IGNORECASE
)
_TODAY = re.compile(r"\(*\s*(?:curdate|current_date)\s*(?:\(\s*\))?\s*\)*", re.IGNORECASE)
_CLOCK = re.compile(r"\(*\s*(?:curtime|current_time)\s*(?:\(\s*([0-6])?\s*\))?\s*\)*", re.IGNORECASE)
_UTC = re.compile(r"\(*\s*utc_timestamp\s*(?:\(\s*([0-6])?\s*\))?\s*\)*", re.IGNORECASE)
_UUID = re.compile(r"\(*\s*(uuid_to_bin\s*\(\s*)?(?:sys_guid|uuid)\s*\(\s*\)\s*\)*", re.IGNORECASE)
_NEXTVAL = re.compile(
    r"\(*\s*nextval\s*\(\s*(?:`((?:[^`]|``)+)`\s*\.\s*)?`((?:[^`]|``)+)`\s*\)\s*\)*", re.IGNORECASE
)
_EMPTY_JSON = re.compile(r"\(*\s*json_(array|object)\s*\(\s*\)\s*\)*", re.IGNORECASE)
_RANDOM_UUID = 130000  # the first version that makes them without an extension
_TIME = re.compile(r"-?[0-9]{1,3}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?")


class _Zero(Exception):
    """A date of zeros, or with a zero month or day."""


def decide_default(table: MappedTable, column: MappedColumn, database: MappedDatabase) -> None:
    """Set the column's default; what cannot be carried is dropped with a note."""
    given, name = column.source.default, column.source.name
    if given is None or column.source.auto_increment or column.source.generated is not None:
        return
    if table.source.dialect == native.DIALECT:
        column.default = native.default_of(column, table.functions)
        if column.default is None:
            message = f"The default {given.expression!r} names what the target does not have: not carried."
            table.warn("default-dropped", message, name)
        return
    policies = database.options.policies
    shown = given.expression if given.expression is not None else given.literal
    try:
        if given.expression is not None:
            column.default = _expression(given.expression, table, column, database)
        else:
            column.default = _constant(given.literal if given.literal is not None else "", column)
    except _Zero:
        if policies.zero_date == "sentinel":
            column.default = f"'-infinity'::{column.type.sql}"
        message = f"The default {shown!r} is not a date; " + (
            "it becomes -infinity." if column.default else "the column has no default here."
        )
        table.warn("zero-date-default", message, name, "zeroDate")
    except Untranslatable as error:
        message = f"The default {shown!r} is not carried: {error.reason}."
        table.warn("default-dropped", message, name)


# ---------------------------------------------------------------- constants


def _constant(value: str | bytes, column: MappedColumn) -> str:
    """The constant in the column's target type. Raises Untranslatable, or _Zero."""
    base = column.type.base
    writer = _CONSTANTS.get(base)
    if writer is None:
        raise Untranslatable(f"a constant of type {column.type.sql} cannot be written")
    return writer(value, column)


def _as_text(value: str | bytes) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise Untranslatable("its bytes are not text") from None


def _number(value: str | bytes, column: MappedColumn) -> str:
    shown = _as_text(value).strip()
    if not _NUMBER.fullmatch(shown):
        raise Untranslatable("it is not a number")
    return str(int(shown)) if shown.isdigit() else f"'{shown}'::{column.type.sql}"


def _bool(value: str | bytes, column: MappedColumn) -> str:
    known = {"0": "false", "1": "true"}.get(_as_text(value).strip())
    if known is None:
        raise Untranslatable("it is neither 0 nor 1")
    return known


def _bits(value: str | bytes, column: MappedColumn) -> str:
    width = column.source.type.length or 1
    if isinstance(value, bytes):
        integer = int.from_bytes(value, "big")
    else:
        shown = value.strip()
        found = re.fullmatch(r"(?:b'([01]*)'|0b([01]+)|([0-9]+))", shown, re.IGNORECASE)
        if found is None:
            raise Untranslatable("it is not a bit string")
        integer = int(found[3]) if found[3] else int(found[1] or found[2] or "0", 2)
    if integer >> width:
        raise Untranslatable("it has more bits than the column")
    return f"B'{integer:0{width}b}'"


def _text(value: str | bytes, column: MappedColumn) -> str:
    if column.source.type.kind is Kind.TIME:
        raise Untranslatable("it is not text")
    return f"{text_literal(_as_text(value))}::{column.type.sql}"


def _bytes(value: str | bytes, column: MappedColumn) -> str:
    kind = column.source.type.kind
    if kind is Kind.GEOMETRY:
        raise Untranslatable("a spatial constant is not carried")
    if kind is Kind.UUID:
        return bytes_literal(_uuid_of(value).bytes)
    data = value if isinstance(value, bytes) else value.encode()
    if kind is Kind.BINARY:
        data = data.ljust(column.source.type.length or 0, b"\0")
    return bytes_literal(data)


def _enum(value: str | bytes, column: MappedColumn) -> str:
    label = _as_text(value)
    if label not in column.type.labels:
        raise Untranslatable("it is not a label of the enum")
    return f"{text_literal(label)}::{column.type.sql}"


def _array(value: str | bytes, column: MappedColumn) -> str:
    if column.source.type.kind is not Kind.SET:
        raise Untranslatable("a constant array is not carried")
    given = _as_text(value)
    wanted = set(given.split(",")) if given else set()
    if not wanted <= set(column.type.labels):
        raise Untranslatable("it is not made of labels of the set")
    return text_array(label for label in column.type.labels if label in wanted)


def _moment(value: str | bytes, column: MappedColumn) -> str:
    shown = _as_text(value).strip()
    if re.match(r"0000-|[0-9]{4}-00-|[0-9]{4}-[0-9]{2}-00", shown):
        raise _Zero
    try:
        if column.type.base == "date":
            return f"'{date.fromisoformat(shown[:10]).isoformat()}'::date"
        parsed = datetime.fromisoformat(shown)
    except ValueError:
        raise Untranslatable("it is not a date of the calendar") from None
    zone = "+00:00" if column.type.base == "timestamptz" else ""
    return f"'{parsed.isoformat(' ')}{zone}'::{column.type.sql}"


def _time(value: str | bytes, column: MappedColumn) -> str:
    shown = _as_text(value).strip()
    if not _TIME.fullmatch(shown):
        raise Untranslatable("it is not a time")
    if column.type.base == "time" and (shown.startswith("-") or int(shown.partition(":")[0]) > 23):
        raise Untranslatable("it is not a time of day")
    return f"'{shown}'::{column.type.sql}"


def _json(value: str | bytes, column: MappedColumn) -> str:
    shown = _as_text(value)
    try:
        json.loads(shown)
    except ValueError:
        raise Untranslatable("it is not JSON") from None
    if column.type.base == "jsonb" and re.search(r"\\u(?:0000|[dD][89a-fA-F])", shown):
        raise Untranslatable("jsonb cannot hold one of its characters")
    return f"{text_literal(shown)}::{column.type.sql}"


def _uuid_of(value: str | bytes) -> UUID:
    try:
        return UUID(bytes=value) if isinstance(value, bytes) and len(value) == 16 else UUID(_as_text(value))
    except ValueError:
        raise Untranslatable("it is not a UUID") from None


def _inet(value: str | bytes, column: MappedColumn) -> str:
    try:
        return f"'{ip_address(_as_text(value).strip())}'::inet"
    except ValueError:
        raise Untranslatable("it is not an address") from None


_CONSTANTS: dict[str, Callable[[str | bytes, MappedColumn], str]] = {
    **dict.fromkeys(("int2", "int4", "int8", "numeric", "float4", "float8"), _number),
    "bool": _bool,
    "bit": _bits,
    **dict.fromkeys(("text", "varchar", "citext"), _text),
    "bytea": _bytes,
    "enum": _enum,
    "_text": _array,
    **dict.fromkeys(("date", "timestamp", "timestamptz"), _moment),
    **dict.fromkeys(("time", "interval"), _time),
    **dict.fromkeys(("json", "jsonb"), _json),
    "uuid": lambda value, column: f"'{_uuid_of(value)}'::uuid",
    "inet": _inet,
}


# ---------------------------------------------------------------- expressions


def _expression(sql: str, table: MappedTable, column: MappedColumn, database: MappedDatabase) -> str:
    known = (
        _now(sql, column, database.options.policies)
        or _random(sql, table, column, database.options)
        or _next(sql, database, table, column)
        or _empty_json(sql, column)
    )
    if known is not None:
        return known
    scope = Scope(Purpose.DEFAULT, server_version=table.server_version)
    return f"({assigned(translate(sql, scope).term, column)})"


def _now(sql: str, column: MappedColumn, policies: Policies) -> str | None:
    """The current date and time, of the start of the transaction as everywhere in PostgreSQL."""
    if _TODAY.fullmatch(sql) or (_NOW.fullmatch(sql) and column.type.base == "date"):
        return _typed_now("CURRENT_DATE", column, ("date", "timestamp"))
    if found := _NOW.fullmatch(sql):
        digits = f"({found[1] or 0})"
        if column.type.base in ("varchar", "text"):
            return f"to_char(LOCALTIMESTAMP{digits}, 'YYYY-MM-DD HH24:MI:SS')" if not found[1] else None
        clock = "CURRENT_TIMESTAMP" if column.type.base == "timestamptz" else "LOCALTIMESTAMP"
        return _typed_now(clock + digits, column, ("timestamp", "timestamptz"))
    if found := _UTC.fullmatch(sql):
        return _typed_now(f"(CURRENT_TIMESTAMP({found[1] or 0}) AT TIME ZONE 'UTC')", column, ("timestamp",))
    if found := _CLOCK.fullmatch(sql):
        clock = f"LOCALTIME({found[1] or 0})"
        return (
            f"{clock}::interval" if column.type.base == "interval" else _typed_now(clock, column, ("time",))
        )
    return None


def _typed_now(sql: str, column: MappedColumn, bases: tuple[str, ...]) -> str:
    if column.type.base not in bases:
        raise Untranslatable(f"a column of type {column.type.sql} would not hold it alike")
    return sql


def _random(sql: str, table: MappedTable, column: MappedColumn, options: MapOptions) -> str | None:
    """UUID(): version 4 instead of the version 1 of the source."""
    found = _UUID.fullmatch(sql)
    if found is None:
        return None
    made, base = "gen_random_uuid()", column.type.base
    if options.server_version < _RANDOM_UUID:
        if "pgcrypto" not in options.extensions:
            raise Untranslatable("gen_random_uuid() needs the extension pgcrypto before PostgreSQL 13")
        made = f"{qualified(options.extension_schemas.get('pgcrypto', 'public'), 'gen_random_uuid')}()"
    table.inform("uuid-default", "UUID() makes version 1, gen_random_uuid() version 4.", column.source.name)
    if base == "bytea" and (found[1] or column.source.type.kind is Kind.UUID):
        return f"decode(replace({made}::text, '-', ''), 'hex')"
    if found[1] is None and base == "uuid":
        return made
    if found[1] is None and base in ("varchar", "text"):
        return f"{made}::text"
    raise Untranslatable(f"a column of type {column.type.sql} would not hold it alike")


def _empty_json(sql: str, column: MappedColumn) -> str | None:
    found = _EMPTY_JSON.fullmatch(sql)
    if found is None or column.type.base not in ("json", "jsonb"):
        return None
    return f"'{'[]' if found[1].lower() == 'array' else '{}'}'::{column.type.sql}"


def _next(sql: str, database: MappedDatabase, table: MappedTable, column: MappedColumn) -> str | None:
    """NEXTVAL of a sequence object of the same database."""
    found = _NEXTVAL.fullmatch(sql)
    if found is None:
        return None
    schema = (found[1] or table.source.schema).replace("``", "`")
    target = database.names.sequences.get(found[2].replace("``", "`"))
    if schema != table.source.schema or target is None or not database.options.structure.tables:
        raise Untranslatable("its sequence is not part of the stream")
    if column.type.base not in ("int2", "int4", "int8", "numeric"):
        raise Untranslatable("it numbers a column that is not a number")
    return f"pg_catalog.nextval({literal(qualified(database.schema, target))}::regclass)"
