"""What each column becomes on MySQL or MariaDB: verbatim between servers of one flavor, else by its kind."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.config import Policies
from engine.connectors.base import ColumnFacts, Severity
from engine.connectors.mysql.target_ddl import text
from engine.connectors.mysql.target_server import TargetServer
from engine.schema import Column
from engine.types import Kind

FAMILY = ("mysql", "mariadb")
_WIDTH = re.compile(r"^(tinyint|smallint|mediumint|int|bigint|year)\(\d+\)")
_TEXTS = frozenset({Kind.CHAR, Kind.VARCHAR, Kind.TEXT, Kind.ENUM, Kind.SET})


@dataclass(frozen=True, slots=True)
class Remark:
    severity: Severity
    slug: str
    message: str
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class MappedType:
    """`sql` without the character set. `key_bytes`: what a value takes in an index, None when only a prefix
    of it can be indexed, -1 when nothing can. `check`: a condition over the column ({})."""

    sql: str
    charset: str | None = None
    collation: str | None = None
    conversion: str = ""
    key_bytes: int | None = 8
    labels: tuple[str, ...] = ()
    check: str | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def declared(self) -> str:
        if self.charset is None:
            return self.sql
        return f"{self.sql} CHARACTER SET {self.charset} COLLATE {self.collation}"


@dataclass(frozen=True, slots=True)
class TypeContext:
    """dialect: of the source. key_chars: characters left for this column in the narrowest unique key it is
    part of, None when it is in none. key_firm: it is in a primary or foreign key."""

    server: TargetServer
    policies: Policies
    dialect: str
    facts: ColumnFacts | None = None
    key_chars: int | None = None
    key_firm: bool = False

    @property
    def same_flavor(self) -> bool:
        return self.dialect == self.server.flavor


def with_labels(column: Column) -> str:
    """The native type, its labels as they are: the servers' catalogs show '?' for some characters."""
    if column.type.kind not in (Kind.ENUM, Kind.SET):
        return column.native_type
    word = "enum" if column.type.kind is Kind.ENUM else "set"
    return f"{word}({','.join(text(label) for label in column.type.labels)})"


def family_type(column: Column, context: TypeContext) -> MappedType:
    """The type of a column that comes from MySQL or MariaDB."""
    kind, policies = column.type.kind, context.policies
    lossy = context.facts is not None and bool(context.facts.lossy_text)
    if kind in _TEXTS and lossy and policies.invalid_text == "bytea":
        note = Remark(
            Severity.WARNING,
            "text-as-bytes",
            "Values are no text in their character set; the column becomes LONGBLOB.",
            "invalidText",
        )
        return MappedType("longblob", conversion="bytes as they are", key_bytes=None, remarks=(note,))
    native = context.same_flavor and _has_type(kind, context.server)
    mapped = _native(column) if native else _other_flavor(column, context)
    if column.charset is None or mapped.charset is not None or kind not in _TEXTS or mapped.sql == "json":
        return mapped
    return _collated(column, mapped, context.server)


def _has_type(kind: Kind, server: TargetServer) -> bool:
    """Whether the target's version has a type that came late."""
    late = {
        Kind.UUID: server.has_uuid,
        Kind.INET4: server.has_inet4,
        Kind.INET6: server.has_inet6,
        Kind.VECTOR: server.has_vector,
    }
    return late.get(kind, True)


def _native(column: Column) -> MappedType:
    kind = column.type.kind
    if kind is Kind.OTHER:
        note = Remark(
            Severity.WARNING, "unknown-type", f"{column.native_type} is not known; it becomes text."
        )
        return MappedType(
            "longtext", "utf8mb4", "utf8mb4_bin", "as the server prints it", None, remarks=(note,)
        )
    if kind is Kind.JSON_TEXT:
        return MappedType("json", key_bytes=None)
    if kind is Kind.GEOMETRY and column.type.srid is not None and "srid" not in column.native_type.lower():
        return MappedType(f"{column.native_type} SRID {column.type.srid}", key_bytes=None)
    return MappedType(with_labels(column), key_bytes=_key_bytes(column), labels=column.type.labels)


def _key_bytes(column: Column) -> int | None:
    kind, length = column.type.kind, column.type.length or 0
    if kind in (Kind.CHAR, Kind.VARCHAR):
        return 4 * length
    if kind in (Kind.BINARY, Kind.VARBINARY):
        return length
    if kind in (Kind.TEXT, Kind.BLOB, Kind.JSON, Kind.JSON_TEXT, Kind.GEOMETRY, Kind.VECTOR, Kind.OTHER):
        return None
    return 34 if kind is Kind.DECIMAL else 16


def _other_flavor(column: Column, context: TypeContext) -> MappedType:
    """Between MySQL and MariaDB: what the other does not have becomes what it has."""
    kind, server, type_ = column.type.kind, context.server, column.type
    if kind is Kind.DECIMAL and (type_.scale or 0) > server.most_scale:
        note = Remark(
            Severity.REFUSED,
            "decimal-too-wide",
            f"{column.native_type}: the target keeps 30 fraction digits.",
        )
        return MappedType(column.native_type, remarks=(note,))
    if kind is Kind.JSON_TEXT:
        return json_text(context, "MariaDB's JSON is text; MySQL's would change its spelling")
    if kind is Kind.JSON:
        if context.policies.json_ == "text":
            return MappedType("longtext", "utf8mb4", "utf8mb4_bin", "JSON as text", None)
        return MappedType("json", conversion="JSON as text with a check", key_bytes=None)
    if kind is Kind.UUID:
        return uuid_type(context)
    if kind in (Kind.INET4, Kind.INET6):
        return address_type(kind, server)
    if kind is Kind.VECTOR:
        if server.has_vector:
            return MappedType(f"vector({type_.length})", key_bytes=-1)
        return MappedType("longblob", conversion="the floats of a vector as bytes", key_bytes=None)
    if kind is Kind.GEOMETRY:
        notes: tuple[Remark, ...] = ()
        if type_.srid:
            message = f"The column's SRID {type_.srid} is not declared; every value keeps its own."
            notes = (Remark(Severity.INFO, "srid-not-declared", message),)
        return MappedType(type_.geometry or "geometry", key_bytes=None, remarks=notes)
    if kind is Kind.OTHER:
        return _native(column)
    native = with_labels(column)
    if not type_.zerofill and type_.display_width != 1:
        native = _WIDTH.sub(r"\1", native)
    return MappedType(native, key_bytes=_key_bytes(column), labels=type_.labels)


def json_text(context: TypeContext, why: str) -> MappedType:
    """JSON whose exact text counts, on a server whose JSON type would change it."""
    if context.policies.json_ in ("json", "jsonb"):
        note = Remark(Severity.WARNING, "json-normalised", "The server orders keys and drops blanks.", "json")
        return MappedType("json", conversion="normalised by the server", key_bytes=None, remarks=(note,))
    remark = Remark(Severity.INFO, "json-as-text", f"{why}: the column becomes LONGTEXT.", "json")
    return MappedType("longtext", "utf8mb4", "utf8mb4_bin", "JSON as text", None, remarks=(remark,))


def uuid_type(context: TypeContext) -> MappedType:
    policy = context.policies.uuid
    if policy == "binary":
        return MappedType("binary(16)", conversion="16 bytes", key_bytes=16)
    if policy == "native" and context.server.has_uuid:
        return MappedType("uuid", key_bytes=16)
    return MappedType("char(36)", "ascii", "ascii_bin", "36 characters, lower case", 36)


def address_type(kind: Kind, server: TargetServer) -> MappedType:
    if kind is Kind.INET4 and server.has_inet4:
        return MappedType("inet4", key_bytes=4)
    if kind is Kind.INET6 and server.has_inet6:
        return MappedType("inet6", key_bytes=16)
    return MappedType("varchar(45)", "ascii", "ascii_bin", "an address as text", 45)


def _collated(column: Column, mapped: MappedType, server: TargetServer) -> MappedType:
    """The type in the source's own character set and collation, or the nearest there is."""
    charset = {"utf8": "utf8mb3"}.get(column.charset or "", column.charset or "")
    wanted = column.collation or f"{charset}_bin"
    if wanted.startswith("utf8_"):
        wanted = wanted.replace("utf8_", "utf8mb3_", 1)
    found = server.nearest_collation(charset, wanted)
    remarks = mapped.remarks
    if found is None:
        charset = "utf8mb4"
        found = server.nearest_collation(charset, "utf8mb4_" + wanted.partition("_")[2]) or "utf8mb4_bin"
    full = {wanted, f"{charset}_{wanted}"}
    if found not in full:
        message = f"The collation {wanted} becomes {found}: texts may compare otherwise."
        remarks = (*remarks, Remark(Severity.WARNING, "collation-changed", message))
    return MappedType(
        mapped.sql, charset, found, mapped.conversion, mapped.key_bytes, mapped.labels, mapped.check, remarks
    )
