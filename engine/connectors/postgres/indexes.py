"""Primary keys and indexes: what PostgreSQL has instead of each kind MySQL knows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.connectors.base import Phase, Severity, Statement
from engine.connectors.postgres import ddl
from engine.connectors.postgres.context import MappedColumn, MappedDatabase, MappedTable
from engine.connectors.postgres.expressions import translate
from engine.connectors.postgres.generated import scope_of
from engine.connectors.postgres.identifiers import qualified, quote
from engine.connectors.postgres.keys import TEXTS, is_case_insensitive
from engine.connectors.postgres.terms import Meaning, Purpose, Untranslatable, emit
from engine.schema import Index, IndexMethod, IndexPart
from engine.types import Kind

MAX_KEY = 2700  # bytes of a btree entry: 2704 less its header (PostgreSQL, BTMaxItemSize)
MAX_DOCUMENT = 1_000_000  # bytes of text a tsvector is made of; it holds 1 MiB itself
_TEXT = frozenset({"text", "varchar", "citext"})
_DIGEST_BYTES = 32
_DIGESTED = _TEXT | {"bytea", "json", "jsonb"}
_NOT_HASHED = frozenset({"bit"})  # no operator class for hash


@dataclass(frozen=True, slots=True)
class _Part:
    """One key part as SQL. column: of a part that is a column. whole: it stands for the full value.
    octets: at most this many bytes in the index; known: a scan said so."""

    sql: str
    column: MappedColumn | None = None
    whole: bool = True
    octets: int | None = 0
    known: bool = True
    descending: bool = False

    @property
    def rendered(self) -> str:
        return self.sql + (" DESC" if self.descending else "")


def add_primary_key(table: MappedTable, database: MappedDatabase) -> None:
    """The primary key, or a unique index where the key is not made of whole columns of bearable length."""
    if not table.source.primary_key:
        return
    name = database.names.relations.take(f"{table.name}_pkey", f"{table.source.name}.PRIMARY")
    table.constraints.take(name, name)
    key = Index("PRIMARY", table.source.primary_key, unique=True)
    try:
        parts = [_part(table, part) for part in key.parts]
    except Untranslatable as error:
        table.warn("primary-key-skipped", f"The primary key is not made, because {error.reason}.")
        return
    _note_case(table, key, parts)
    shortened = _shortened(table, key, parts)
    columns = [part.column for part in shortened if part.column is not None and part.whole]
    if len(columns) == len(parts):
        names = [column.name for column in columns]
        first = database.options.key_first
        table.statements.append(ddl.primary_key(table.schema, table.name, name, names, first=first))
        table.primary_key = tuple(column.source.name for column in columns)
        return
    message = "The primary key covers only part of a value: a unique index takes its place."
    table.warn("primary-key-as-index", message)
    _create(table, replace(key, comment=""), name, "btree", [part.rendered for part in shortened])


def add_indexes(table: MappedTable, database: MappedDatabase) -> None:
    """Statements for the table's indexes; whatever is not made gets a note."""
    for index in table.source.indexes:
        if not index.visible and not index.unique:
            table.inform(
                "index-invisible", f"The index {index.name!r} is switched off on the source: not made."
            )
            continue
        try:
            method, parts = _METHODS.get(index.method, _btree)(table, index)
        except Untranslatable as error:
            table.warn("index-skipped", f"The index {index.name!r} is not made, because {error.reason}.")
            continue
        if not index.visible:
            message = f"The unique index {index.name!r} is invisible on the source; it is in use here."
            table.inform("index-invisible-unique", message)
        # Names are unique in a schema there too, but in a table only on MySQL.
        own = table.source.dialect == "postgres"
        wanted = index.name if own else f"{table.name}_{index.name}"
        name = database.names.relations.take(wanted, f"{table.source.name}.{index.name}")
        if name != wanted:
            table.inform("index-name", f"The index {index.name!r} is called {name!r} on the target.")
        _create(table, index, name, method, parts)


def _create(table: MappedTable, index: Index, name: str, method: str, parts: list[str]) -> None:
    unique = "UNIQUE " if index.unique and method == "btree" else ""
    target = qualified(table.schema, table.name)
    sql = f"CREATE {unique}INDEX {quote(name)} ON {target} USING {method} ({', '.join(parts)})"
    exists = ddl.index_exists(table.schema, table.name, name)
    table.statements.append(Statement(Phase.INDEX, table.name, name, sql, exists))
    if index.comment:
        what = f"INDEX {qualified(table.schema, name)}"
        table.statements.append(ddl.comment(table.name, f"index {name}", what, index.comment))


# ---------------------------------------------------------------- by method


def _btree(table: MappedTable, index: Index) -> tuple[str, list[str]]:
    parts = [_part(table, part) for part in index.parts]
    _note_case(table, index, parts)
    if _is_hash(index, parts):
        return "hash", [parts[0].sql]
    parts = _shortened(table, index, parts)
    whole = [part.column.source.name for part in parts if part.column is not None and part.whole]
    if index.unique and len(whole) == len(parts):
        table.unique.append(tuple(whole))
    return "btree", [part.rendered for part in parts]


def _is_hash(index: Index, parts: list[_Part]) -> bool:
    """One column looked up by equality only: asked for, or too long to be ordered."""
    if index.unique or len(parts) != 1:
        return False
    part = parts[0]
    if part.column is not None and part.column.type.base in _NOT_HASHED:
        return False
    return index.method is IndexMethod.HASH or (part.known and (part.octets or 0) > MAX_KEY)


def _fulltext(table: MappedTable, index: Index) -> tuple[str, list[str]]:
    texts = []
    for part in index.parts:
        column = table.find(part.column)
        if column is None or column.type.base not in _TEXT:
            raise Untranslatable("a column of it is not text here")
        if column.facts is not None and (column.facts.max_octets or 0) > MAX_DOCUMENT:
            raise Untranslatable("a value is longer than a document of PostgreSQL's text search")
        texts.append(f"coalesce({quote(column.name)}::text, '')")
    message = (
        f"FULLTEXT {index.name!r} becomes GIN over to_tsvector('simple', …): queries have to use the same."
    )
    table.inform("index-fulltext", message)
    document = " || ' ' || ".join(texts)
    return "gin", [f"to_tsvector('pg_catalog.simple'::regconfig, {document})"]


def _spatial(table: MappedTable, index: Index) -> tuple[str, list[str]]:
    columns = [table.find(part.column) for part in index.parts]
    if any(column is None or column.type.base != "geometry" for column in columns):
        raise Untranslatable("a spatial index needs PostGIS")
    return "gist", [quote(column.name) for column in columns if column is not None]


def _multivalue(table: MappedTable, index: Index) -> tuple[str, list[str]]:
    """CAST(json AS type ARRAY): a GIN index over the JSON array."""
    from sqlglot import exp

    from engine.connectors.postgres.jsonpaths import is_root
    from engine.connectors.postgres.nodes import parse

    if len(index.parts) != 1 or index.parts[0].expression is None:
        raise Untranslatable("only an index over one JSON array has a counterpart")
    tree = parse(index.parts[0].expression.replace("[*]'", "'"))
    while isinstance(tree, exp.Paren):
        tree = tree.this
    if not isinstance(tree, exp.Cast) or tree.args["to"].this is not exp.DType.ARRAY:
        raise Untranslatable("it is not a cast to an array")
    array = tree.this
    if isinstance(array, exp.JSONExtract) and is_root(array.expression):
        array = array.this
    term = emit(array, scope_of(table, Purpose.INDEX))
    if term.meaning is not Meaning.JSON or term.base != "jsonb":
        raise Untranslatable("it is not over a jsonb column")
    lost = "; it does not keep values unique" if index.unique else ""
    message = f"The multi-valued index {index.name!r} becomes GIN over jsonb, to be searched with @>{lost}."
    table.note(Severity.WARNING if index.unique else Severity.INFO, "index-multivalue", message)
    return "gin", [f"({term.sql})"]


_METHODS = {
    IndexMethod.FULLTEXT: _fulltext,
    IndexMethod.SPATIAL: _spatial,
    IndexMethod.MULTIVALUE: _multivalue,
}


# ---------------------------------------------------------------- parts


def _part(table: MappedTable, part: IndexPart) -> _Part:
    if part.expression is not None:
        translation = translate(part.expression, scope_of(table, Purpose.INDEX))
        sql = f"({translation.term.sql})"
        return _Part(sql, whole=False, octets=None, known=False, descending=part.descending)
    column = table.find(part.column)
    if column is None:
        raise Untranslatable(f"its column {part.column!r} is not copied")
    sql, base, source = quote(column.name), column.type.base, column.source.type
    octets, known = _octets(column)
    prefix = part.prefix
    if prefix is not None and source.kind is not Kind.TEXT and prefix >= (source.length or prefix + 1):
        prefix = None
    whole = prefix is None
    if base == "json":
        sql, whole = f"({sql}::text)", False
    if prefix is not None:
        size = prefix if base == "bytea" else 4 * prefix
        octets, known = (size, True) if octets is None or size < octets else (octets, known)
        sql = _prefixed(column, sql, prefix)
    return _Part(sql, column, whole, octets, known, part.descending)


def _prefixed(column: MappedColumn, sql: str, prefix: int) -> str:
    base = column.type.base
    if base in ("varchar", "text", "json"):
        return f"left({sql}, {prefix})"
    if base == "citext":
        return f"((left({sql}::text, {prefix}))::{column.type.sql})"
    if base == "bytea" and column.source.type.kind not in TEXTS:
        return f"substring({sql}, 1, {prefix})"
    raise Untranslatable(f"a prefix of type {column.type.sql} has no counterpart")


def _octets(column: MappedColumn) -> tuple[int | None, bool]:
    """The longest value in bytes, and whether that is known rather than declared."""
    if column.type.fixed is not None:
        return column.type.fixed, True
    if column.facts is not None and column.facts.max_octets is not None:
        return column.facts.max_octets, True
    return column.type.width, column.type.width is not None and column.type.width <= MAX_KEY


def _shortened(table: MappedTable, index: Index, parts: list[_Part]) -> list[_Part]:
    """The parts within the length of a btree entry: digests in place of the longest values."""
    result = list(parts)
    # MariaDB keeps unique keys over unbounded columns as hashes: their values may be of any length.
    unbounded = index.method is IndexMethod.HASH and index.unique
    while True:
        places = [place for place, part in enumerate(result) if _is_digestible(part)]
        endless = [place for place in places if unbounded and result[place].octets is None]
        if not endless and (not places or sum(part.octets or 0 for part in result) <= MAX_KEY):
            return result
        place = endless[0] if endless else max(places, key=lambda place: result[place].octets or 0)
        part = result[place]
        if not part.known and not unbounded:
            message = f"The index {index.name!r} may meet values longer than {MAX_KEY} bytes and refuse them."
            table.warn("index-long-key", message)
            return parts
        result[place] = replace(part, sql=_digest(part), whole=False, octets=_DIGEST_BYTES, known=True)
        effect = "unique by digest" if index.unique else "for equality only"
        name = part.column.source.name if part.column is not None else ""
        message = f"The index {index.name!r} holds a digest of {name!r} ({effect}): too long."
        table.warn("index-digest", message)


def _is_digestible(part: _Part) -> bool:
    """Whether a digest can stand for the value, and would be shorter."""
    return part.column is not None and part.column.type.base in _DIGESTED and part.octets != _DIGEST_BYTES


def _digest(part: _Part) -> str:
    column = part.column
    base = column.type.base if column is not None else ""
    if base == "bytea":
        return f"sha256({part.sql})"
    if base in ("json", "jsonb"):
        return f"md5({part.sql}::text)"
    folded = column is not None and column.shared.folded
    return f"md5(lower({part.sql}::text))" if folded else f"md5({part.sql})"


def _note_case(table: MappedTable, index: Index, parts: list[_Part]) -> None:
    """Unique keys over text that the source compares without case accept more here."""
    if not index.unique:
        return
    for part in parts:
        column = part.column
        if column is not None and is_case_insensitive(column.source) and not column.shared.folded:
            message = (
                f"The unique index {index.name!r} compares exactly here; the source compares by"
                f" {column.source.collation}."
            )
            table.warn("unique-case", message, column.source.name, "caseInsensitiveText")
