"""In which form each column of a table is compared, and which columns tell its rows apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.config import Policies
from engine.connectors.base import (
    SERVER_FORMS,
    DigestColumn,
    Form,
    ReadColumn,
    TableRead,
    TargetColumn,
    TargetTable,
)
from engine.errors import Code, EngineError
from engine.schema import Table
from engine.types import Kind, LogicalType

_INTEGERS = frozenset({Kind.INT8, Kind.INT16, Kind.INT24, Kind.INT32, Kind.INT64, Kind.YEAR, Kind.BOOL})
_TEXTS = frozenset({Kind.CHAR, Kind.VARCHAR, Kind.TEXT})
_BYTES = frozenset({Kind.BINARY, Kind.VARBINARY, Kind.BLOB})
_NUMBERS = frozenset({"int2", "int4", "int8", "numeric", "bool"})
RANGED = frozenset({"int2", "int4", "int8", "numeric"})
_WORDS = frozenset({"text", "varchar", "bpchar", "citext", "enum", "name", "xml"})

_INLINE = 1024  # bytes of a text that goes into the row's text unhashed
_INLINE_WIDE = 64  # the same in a table of many columns: a row's text must stay below max_allowed_packet
_MANY = 256  # columns
_INLINE_BYTES = 128  # of binary values, which double as hexadecimal
_KEY = 3072  # bytes: no index is wider, so a key is always shown as it is

# (kind of the source, base of the target) → form. What is not here is in _form.
_PAIRS: dict[tuple[Kind, str], Form] = {
    (Kind.DECIMAL, "int2"): Form.DECIMAL_TRIMMED,
    (Kind.DECIMAL, "int4"): Form.DECIMAL_TRIMMED,
    (Kind.DECIMAL, "int8"): Form.DECIMAL_TRIMMED,
    (Kind.DECIMAL, "numeric"): Form.DECIMAL_TRIMMED,
    (Kind.BIT, "bit"): Form.BITS,
    (Kind.BIT, "varbit"): Form.BITS,
    (Kind.DATE, "date"): Form.DATE,
    (Kind.DATETIME, "timestamp"): Form.MOMENT,
    (Kind.DATETIME, "timestamptz"): Form.MOMENT,
    (Kind.TIMESTAMP, "timestamp"): Form.MOMENT,
    (Kind.TIMESTAMP, "timestamptz"): Form.MOMENT,
    (Kind.TIME, "interval"): Form.DURATION,
    (Kind.TIME, "time"): Form.DURATION,
    (Kind.SET, "_text"): Form.LABELS,
    (Kind.SET, "_varchar"): Form.LABELS,
    (Kind.JSON, "jsonb"): Form.JSON,
    (Kind.JSON_TEXT, "jsonb"): Form.JSON,
    (Kind.GEOMETRY, "geometry"): Form.GEOMETRY,
    (Kind.GEOMETRY, "bytea"): Form.GEOMETRY,
    (Kind.VECTOR, "_float4"): Form.VECTOR,
    (Kind.VECTOR, "vector"): Form.VECTOR,
    (Kind.UUID, "uuid"): Form.UUID,
    (Kind.UUID, "bytea"): Form.UUID,
    (Kind.BINARY, "uuid"): Form.UUID,
    (Kind.VARBINARY, "uuid"): Form.UUID,
    (Kind.INET4, "inet"): Form.INET,
    (Kind.INET6, "inet"): Form.INET,
}
for _kind in (Kind.FLOAT32, Kind.FLOAT64):
    for _base in ("float4", "float8", "numeric", "text", "varchar"):
        _PAIRS[_kind, _base] = Form.FLOAT

_LIKELY = {Form.FLOAT: Form.FLOAT_TEXT, Form.JSON: Form.JSON_TEXT}


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a comparison. `key` tells the rows apart; empty when nothing does."""

    columns: tuple[DigestColumn, ...]
    key: tuple[DigestColumn, ...]
    inline_text: int = 0  # DigestColumn.inline of a text without bound

    @property
    def streamed(self) -> tuple[DigestColumn, ...]:
        """Those the servers cannot print alike: read from both sides and digested here."""
        return tuple(column for column in self.columns if column.form not in SERVER_FORMS)

    @property
    def likely(self) -> Layout | None:
        """The same columns by texts both servers usually print alike, where that spares reading the rows."""
        if not self.streamed or not all(column.form in _LIKELY for column in self.streamed):
            return None
        if any(column in self.key for column in self.streamed):
            return None
        columns = tuple(
            replace(column, form=_LIKELY[column.form], inline=self.inline_text)
            if column.form in _LIKELY
            else column
            for column in self.columns
        )
        return replace(self, columns=columns)

    @property
    def ranged(self) -> DigestColumn | None:
        """The leading key column when both servers order it as the same integers."""
        if not self.key:
            return None
        first = self.key[0]
        integer = first.form is Form.INTEGER and first.read.source.type.kind is not Kind.BOOL
        return first if integer and first.target.base in RANGED else None


def layout(read: TableRead, target: TargetTable, policies: Policies, *, utf8: bool) -> Layout:
    """Raises STRUCTURE_MISMATCH when a column read has no counterpart. `utf8`: the target's encoding is."""
    counterparts = {column.source: column for column in target.columns}
    inline = _INLINE if len(read.columns) <= _MANY else _INLINE_WIDE
    names = row_key(read)
    columns = []
    for column in read.columns:
        name = column.source.name
        if name not in counterparts:
            raise EngineError(
                Code.STRUCTURE_MISMATCH,
                f"{target.schema}.{target.name} has no column for {name}: nothing to compare it with",
                table=target.name,
                column=name,
            )
        form = _form(column, counterparts[name])
        limit = max(inline, _KEY) if name in names else inline
        columns.append(DigestColumn(column, counterparts[name], form, _inline(column, form, limit, utf8)))
    by_name = {column.read.source.name: column for column in columns}
    key = tuple(by_name[name] for name in names)
    return Layout(tuple(columns), key, inline if utf8 else 0)


def row_key(read: TableRead) -> tuple[str, ...]:
    """Column names that tell rows apart: the primary key, else the read's key where it is unique and never
    NULL. A key with a column that is not read (a generated one) does not count."""
    present = {column.source.name for column in read.columns}
    for names in (read.table.key_columns, read.key):
        if (
            names
            and present.issuperset(names)
            and (names == read.table.key_columns or _unique(read.table, names))
        ):
            return tuple(names)
    return ()


def _unique(table: Table, names: tuple[str, ...]) -> bool:
    if any(table.column(name).nullable for name in names):
        return False
    return any(
        index.unique
        and {part.column for part in index.parts} <= set(names)
        and all(p.column for p in index.parts)
        for index in table.indexes
    )


def _form(read: ReadColumn, target: TargetColumn) -> Form:
    logical, base = read.source.type, target.base
    if logical.kind in _INTEGERS or logical.kind is Kind.BIT:
        if base in _NUMBERS:
            return Form.INTEGER
    elif logical.kind in _TEXTS or logical.kind in (Kind.ENUM, Kind.SET):
        if base == "bytea":
            return Form.BYTES
        if base in _WORDS:
            return Form.TEXT
    elif logical.kind in _BYTES and base == "bytea":
        return Form.BYTES
    elif logical.kind is Kind.JSON_TEXT and base in ("json", *_WORDS):
        return Form.TEXT
    if logical.kind is Kind.DECIMAL and target.type == f"numeric({logical.precision},{logical.scale})":
        return Form.DECIMAL
    return _PAIRS.get((logical.kind, base), Form.PRINTED)


def _inline(read: ReadColumn, form: Form, limit: int, utf8: bool) -> int | None:
    """DigestColumn.inline: None where the type itself keeps values short."""
    if form is Form.BYTES:
        limit = limit if limit >= _KEY else min(limit, _INLINE_BYTES)
    elif form not in (Form.TEXT, Form.PRINTED, Form.LABELS):
        return None
    elif not utf8:
        return 0  # lengths would be those of another encoding
    longest = _longest(read.source.type)
    return limit if longest is None or longest > limit else None


def _longest(logical: LogicalType) -> int | None:
    """Bytes of the longest value as text, None when the type has no useful bound."""
    match logical.kind:
        case Kind.CHAR | Kind.VARCHAR:
            return None if logical.length is None else 4 * logical.length
        case Kind.BINARY | Kind.VARBINARY:
            return logical.length
        case Kind.ENUM:
            return max((len(label.encode()) for label in logical.labels), default=0)
        case Kind.SET:
            return sum(len(label.encode()) + 1 for label in logical.labels)
        case Kind.TEXT | Kind.BLOB | Kind.JSON | Kind.JSON_TEXT | Kind.GEOMETRY | Kind.VECTOR | Kind.OTHER:
            return None
        case _:
            return 0  # numbers and times: a few dozen digits
