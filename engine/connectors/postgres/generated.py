"""Generated columns, and the columns as an expression sees them."""

from __future__ import annotations

from engine.connectors.postgres import native
from engine.connectors.postgres.context import MappedColumn, MappedDatabase, MappedTable
from engine.connectors.postgres.expressions import Translation, translate
from engine.connectors.postgres.identifiers import quote
from engine.connectors.postgres.keys import INTEGERS, TEXTS
from engine.connectors.postgres.terms import (
    NUMBERS,
    Meaning,
    Purpose,
    Scope,
    Term,
    Untranslatable,
    boolean,
    is_padded,
    number,
    text,
)
from engine.types import Kind

_BY_BASE = {
    "int2": Meaning.INT,
    "int4": Meaning.INT,
    "int8": Meaning.INT,
    "float4": Meaning.FLOAT,
    "float8": Meaning.FLOAT,
    "bool": Meaning.BOOL,
    "date": Meaning.DATE,
    "timestamp": Meaning.DATETIME,
    "timestamptz": Meaning.INSTANT,
    "interval": Meaning.DURATION,
    "enum": Meaning.ENUM,
    "jsonb": Meaning.JSON,
    "json": Meaning.JSON,
}
VIRTUAL_STORED = "VIRTUAL on the source, STORED here: PostgreSQL computes it on writing."
_VIRTUAL = 180000  # the first version with virtual columns
_BINARIES = frozenset({Kind.BINARY, Kind.VARBINARY, Kind.BLOB})


def column_term(column: MappedColumn, table_collation: str | None) -> Term:
    """A mapped column as an expression sees it."""
    source, kind = column.source, column.source.type.kind
    base = column.type.base
    meaning = _BY_BASE.get(base, Meaning.OTHER)
    if base == "numeric":
        meaning = Meaning.INT if kind in INTEGERS else Meaning.DECIMAL
    elif base in ("varchar", "text", "citext") and (kind in TEXTS or kind is Kind.ENUM):
        meaning = Meaning.TEXT
    elif base == "bytea" and kind in _BINARIES:
        meaning = Meaning.BYTES
    collation = source.collation or table_collation or ""
    charset = source.charset or "utf8mb4"
    sql = quote(column.name)
    if base == "citext":
        sql = f"{sql}::text"
    elif column.type.collation:
        # Searching in text needs a deterministic collation.
        sql = f'({sql} COLLATE "pg_catalog"."default")'
    return Term(
        sql,
        meaning,
        folded=not collation.endswith(("_bin", "_cs", "binary")),
        padded=is_padded(collation),
        utf8=charset.startswith("utf8") or charset == "ascii",
        nullable=column.nullable,
        type_name=column.type.sql if base == "enum" else "",
        labels=column.type.labels,
        base=base,
    )


def scope_of(table: MappedTable, purpose: Purpose) -> Scope:
    """A scope with all columns of the table."""
    columns = {
        name.casefold(): (name, column_term(column, table.source.collation))
        for name, column in table.columns.items()
    }
    return Scope(purpose, columns, server_version=table.server_version)


def decide_generated(table: MappedTable, database: MappedDatabase) -> None:
    """For each generated column: the expression the target computes it by, or a plain column and a note."""
    for column in table.columns.values():
        generated = column.source.generated
        if generated is None:
            continue
        name = column.source.name
        if database.options.policies.generated == "plain":
            table.inform("generated-plain", "A plain column, as asked for.", name, "generated")
            continue
        if table.source.dialect == native.DIALECT:
            column.generated = native.verbatim(table, generated.expression)
            if column.generated is None:
                message = "Generated on the source; a plain column here: it names what is another here."
                table.warn("generated-not-translated", message, name, "generated")
            elif not generated.stored and table.server_version >= _VIRTUAL:
                column.stored = False
            elif not generated.stored:
                table.inform("generated-virtual-stored", VIRTUAL_STORED, name)
            continue
        try:
            translation = _translate(table, column, generated.expression)
        except Untranslatable as error:
            message = f"Generated on the source; a plain column here, because {error.reason}."
            table.warn("generated-not-translated", message, name, "generated")
            continue
        column.generated = translation.term.sql
        if not generated.stored:
            table.inform("generated-virtual-stored", VIRTUAL_STORED, name)
        for remark in translation.remarks:
            table.inform("generated-remark", f"Generated column: {remark}.", name)


def _translate(table: MappedTable, column: MappedColumn, expression: str) -> Translation:
    if any(
        column.source.name in key.columns
        and (key.on_update not in ("NO ACTION", "RESTRICT") or key.on_delete.startswith("SET"))
        for key in table.source.foreign_keys
    ):
        raise Untranslatable("a foreign key on it has an action that would write it")
    translation = translate(expression, scope_of(table, Purpose.GENERATED))
    for used in sorted(translation.used):
        if table.columns[used].generated is not None or used == column.source.name:
            raise Untranslatable(f"it refers to {used!r}, which is generated itself")
    sql = assigned(translation.term, column)
    return Translation(translation.term.with_sql(sql), translation.used, translation.remarks)


def assigned(term: Term, column: MappedColumn) -> str:
    """The expression as a value for the column, where storing it converts as the source does."""
    base, meaning = column.type.base, term.meaning
    if meaning is Meaning.NULL:
        return f"NULL::{column.type.sql}"
    if base == "bool":
        return boolean(term)
    if base in ("int2", "int4", "int8", "numeric") and meaning in (
        Meaning.INT,
        Meaning.DECIMAL,
        Meaning.BOOL,
    ):
        return f"({number(term).sql})::{column.type.sql}"
    if base in ("float4", "float8") and meaning in NUMBERS | {Meaning.BOOL}:
        return f"({number(term).sql})::{column.type.sql}"
    if base in ("varchar", "text", "citext") and column.source.type.kind in TEXTS:
        return f"({text(term).sql})::{column.type.sql}" if base == "citext" else text(term).sql
    same = {
        "date": (Meaning.DATE,),
        "timestamp": (Meaning.DATETIME, Meaning.DATE),
        "timestamptz": (Meaning.INSTANT,),
        "interval": (Meaning.DURATION,),
        "jsonb": (Meaning.JSON,),
        "bytea": (Meaning.BYTES,),
    }
    if meaning in same.get(base, ()) and (base != "bytea" or column.source.type.kind is not Kind.BINARY):
        return term.sql
    raise Untranslatable(f"it gives a {meaning.value} value for a column of type {column.type.sql}")
