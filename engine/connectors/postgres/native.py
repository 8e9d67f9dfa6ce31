"""Structure that comes from PostgreSQL itself: types as they are, and expressions taken over word for word.

The source's session has nothing but pg_catalog in its search path, so every name in what it prints that is
not the server's own is qualified: by that, what would mean something else here is told apart.
"""

from __future__ import annotations

import re

from engine.connectors.base import Severity
from engine.connectors.postgres.context import MappedColumn, MappedTable
from engine.connectors.postgres.identifiers import literal, quote
from engine.connectors.postgres.types import ColumnType, Remark, TypeContext, map_type
from engine.schema import Column
from engine.types import Kind

DIALECT = "postgres"

_MODIFIER = re.compile(r"\([^)]*\)")
_QUALIFIED = re.compile(
    r'^(?:"(?:[^"]|"")+"|[^".\[\](]+)\.(?P<name>[A-Za-z_]\w*)(?P<rest>(?:\(.*\))?(?:\[\])*)$'
)
# Spellings of format_type whose catalog name is another word.
_BASES = {
    "smallint": "int2",
    "integer": "int4",
    "bigint": "int8",
    "real": "float4",
    "double precision": "float8",
    "boolean": "bool",
    "character varying": "varchar",
    "character": "bpchar",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
    "time with time zone": "timetz",
    "bit varying": "varbit",
    '"char"': "char",
}
# Type → extension, where the two are not of one name.
_EXTENSIONS = {"geometry": "postgis", "geography": "postgis", "lquery": "ltree", "ltxtquery": "ltree"}
_EVERYWHERE = frozenset({"C", "POSIX"})  # collations every server has

# Types that servers of the supported versions do not all have.
_SINCE = {
    **dict.fromkeys(("xid8", "pg_snapshot", "regcollation"), 130000),
    **dict.fromkeys((f"{kind}multirange" for kind in ("int4", "int8", "num", "ts", "tstz", "date")), 140000),
}
_SCALED = re.compile(r"numeric\((\d+),(-?\d+)\)(?:\[\])?")

_STRING = re.compile(r"'(?:[^']|'')*'")
_LABEL = re.compile(r"('(?:[^']|'')*')::[^'()]+")
# The server prints a type in lower case after ::, functions in lower case before a parenthesis, and syntax
# that looks like a function (COALESCE, EXTRACT) in capitals.
_CAST = re.compile(r"::(?:[a-z_][a-z0-9_]* ?)+(?:\([0-9,]*\))?")
_CALLED = re.compile(r'(?<![\w"])([a-z_][a-z0-9_]*)\(')
_NAME = re.compile(r'"(?:[^"]|"")+"|[A-Za-z_]\w*')
_DOTTED = re.compile(r'(?:"(?:[^"]|"")+"|[A-Za-z_]\w*)\s*\.\s*(?:"|[A-Za-z_])')


def native_type(column: Column, context: TypeContext) -> ColumnType:
    """The column's own type; text for a type of the source's own making, or of an extension that is missing
    here."""
    if column.type.kind is Kind.ENUM:
        return map_type(column, context)
    native = column.native_type
    qualified = _QUALIFIED.match(native)
    if qualified is None and context.server_version < since(native):
        return _younger(column, context)
    if qualified is None:
        collation = _collation(column)
        return ColumnType(native, base_of(native), collation=collation, remarks=_remarks(column))
    name, rest = qualified["name"], qualified["rest"]
    extension = _EXTENSIONS.get(name, name)
    if extension in context.extensions:
        return ColumnType(f"{context.extension_type(extension, name)}{rest}", base_of(f"{name}{rest}"))
    message = f"The type {native} is not on the target; values are kept as the text the source prints."
    if column.type.kind is Kind.ARRAY:
        message = f"The type {native} is not on the target; arrays are kept as JSON."
        return ColumnType("json", "json", "JSON", remarks=(_foreign(message),))
    return ColumnType("text", "text", "text", remarks=(_foreign(message),))


def type_name(native: str) -> str:
    """The bare name of a type as format_type prints it: `public."My type"` → My type."""
    return _bare(_NAME.findall(native)[-1])


def _younger(column: Column, context: TypeContext) -> ColumnType:
    """What stands for a built-in type the target's version does not have yet."""
    native, version = column.native_type, since(column.native_type) // 10000
    message = f"The type {native} needs PostgreSQL {version}"
    array = "[]" if native.endswith("[]") else ""
    if base_of(native.removesuffix("[]")) == "numeric":
        kept = _foreign(f"{message}: the column is numeric, which keeps the numbers and rounds none.")
        return ColumnType(f"numeric{array}", base_of(f"numeric{array}"), "numeric", remarks=(kept,))
    if array:
        kept = _foreign(f"{message}: arrays are kept as JSON.")
        return ColumnType("json", "json", "JSON", remarks=(kept,))
    kept = _foreign(f"{message}: values are kept as the text the source prints.")
    return ColumnType("text", "text", "text", remarks=(kept,))


def since(native: str) -> int:
    """The first version that has a type of the server's own, as server_version_num; 0 for those it always
    had. A scale below 0 or above the precision came late."""
    scaled = _SCALED.fullmatch(native)
    if scaled and not 0 <= int(scaled[2]) <= int(scaled[1]):
        return 150000
    return _SINCE.get(native.removesuffix("[]"), 0)


def _foreign(message: str) -> Remark:
    return Remark(Severity.WARNING, "foreign-type", message)


def base_of(native: str) -> str:
    """The catalog's name of a type of the server's own, as the encoder is chosen by it."""
    if native.endswith("[]"):
        return "_" + base_of(native.removesuffix("[]"))
    bare = " ".join(_MODIFIER.sub("", native).split())
    return "interval" if bare.startswith("interval ") else _BASES.get(bare, bare)


def _collation(column: Column) -> str:
    return f'"pg_catalog".{quote(column.collation)}' if column.collation in _EVERYWHERE else ""


def _remarks(column: Column) -> tuple[Remark, ...]:
    if column.collation is None or column.collation in _EVERYWHERE or column.collation == "default":
        return ()
    message = f"The collation {column.collation} is not carried: text compares as the target does by default."
    return (Remark(Severity.WARNING, "foreign-collation", message),)


# ---------------------------------------------------------------- expressions


def default_of(column: MappedColumn, functions: frozenset[str] = frozenset()) -> str | None:
    """The default as it is; None when it names what the target does not have."""
    given = column.source.default
    if given is None:
        return None
    if given.expression is None:
        value = given.literal
        return None if isinstance(value, bytes) or value is None else literal(value)
    if column.type.base == "enum":
        label = _LABEL.fullmatch(given.expression.strip())
        return label[1] if label else None
    return given.expression if own(given.expression, functions) else None


def own(expression: str, functions: frozenset[str] = frozenset()) -> bool:
    """Whether an expression names nothing but the server's own functions and types; `functions`: the names of
    those the target has too, as far as that is known."""
    plain = _STRING.sub("''", expression)
    if _DOTTED.search(plain):
        return False
    called = set(_CALLED.findall(_CAST.sub("", plain)))
    return not functions or called <= functions


def verbatim(table: MappedTable, expression: str) -> str | None:
    """An expression over the table's columns, when all it names has the same name here."""
    plain = _STRING.sub("''", expression)
    if not own(expression, table.functions):
        return None
    names = {_bare(found) for found in _NAME.findall(plain)}
    for column in table.columns.values():
        if column.source.name in names and (
            column.name != column.source.name or column.type.sql != column.source.native_type
        ):
            return None
    # A column that was left out would be unknown.
    known = {column.source.name for column in table.columns.values()}
    missing = {column.name for column in table.source.columns} - known
    return None if names & missing else expression


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
