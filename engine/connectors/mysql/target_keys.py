"""Primary keys, indexes and foreign keys on a MySQL target.

The primary key is in CREATE TABLE, because rows are stored by it; indexes and foreign keys follow the data.
An index entry has at most 3,072 bytes: longer text is indexed by its beginning, or kept unique by its
SHA-256.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.connectors.mysql import target_ddl as ddl
from engine.connectors.mysql.identifiers import quote
from engine.connectors.mysql.target_context import MappedColumn, MappedDatabase, MappedTable
from engine.connectors.mysql.target_server import KEY_BYTES
from engine.schema import ForeignKey, Index, IndexMethod, IndexPart, Table
from engine.types import Kind

_PREFIX_CHARS = 255
_RULES = frozenset({"NO ACTION", "RESTRICT", "CASCADE", "SET NULL"})
_UNBOUNDED = frozenset(
    {Kind.TEXT, Kind.CHAR, Kind.VARCHAR, Kind.BLOB, Kind.VARBINARY, Kind.DECIMAL, Kind.OTHER}
)
_NEVER = ("json", "vector")


class Unindexable(Exception):
    """The index or key is left out, for this reason."""


@dataclass(frozen=True, slots=True)
class _Part:
    sql: str
    octets: int


@dataclass(frozen=True, slots=True)
class Room:
    """chars: how many a column may have as part of its keys. firm: one of them is a primary or a foreign key,
    which a hash cannot stand for."""

    chars: int
    firm: bool


def key_rooms(table: Table) -> dict[str, Room]:
    """For each column of a unique or a foreign key what an index entry has room for: what is left by the
    others, shared among those without a limit of their own."""
    keys = [(table.key_columns, True)]
    keys += [
        (tuple(part.column for part in index.parts if part.column is not None), False)
        for index in table.indexes
        if index.unique
    ]
    keys += [(key.columns, True) for key in table.foreign_keys]
    known = {column.name: column for column in table.columns}
    rooms: dict[str, Room] = {}
    for names, firm in keys:
        columns = [known[name] for name in names if name in known]
        wide = [column for column in columns if column.type.kind in _UNBOUNDED]
        if not wide:
            continue
        room = (KEY_BYTES - 36 * (len(columns) - len(wide))) // 4 // len(wide)
        for column in wide:
            before = rooms.get(column.name, Room(room, False))
            rooms[column.name] = Room(min(before.chars, room), before.firm or firm)
    return rooms


def add_primary_key(table: MappedTable, database: MappedDatabase) -> None:
    source = table.source
    if not source.primary_key:
        return
    try:
        parts = _parts(table, source.primary_key, unique=True, database=database)
    except Unindexable as error:
        table.warn("primary-key-skipped", f"The primary key is not made: {error}.")
        return
    if table.hashes.keys() & set(source.key_columns):
        table.warn(
            "primary-key-as-unique",
            "The primary key is longer than an index entry: the SHA-256 of its text is kept unique instead.",
        )
        name = table.indexes.take("primary_key", "primary key")
        table.definitions.append(f"UNIQUE KEY {quote(name)} ({parts})")
        return
    table.definitions.insert(0, f"PRIMARY KEY ({parts})")
    table.primary_key = source.key_columns


def add_indexes(table: MappedTable, database: MappedDatabase) -> None:
    """All of a table in one statement, but for the methods the server builds one at a time."""
    names, clauses = [], []
    for index in table.source.indexes:
        name = table.indexes.take(index.name, index.name)
        try:
            clause = _clause(table, database, index, name)
        except Unindexable as error:
            table.warn("index-skipped", f"The index {index.name!r} is not made: {error}.")
            continue
        if _carries_counter(table, index):
            table.definitions.append(clause)
        elif index.method in (IndexMethod.FULLTEXT, IndexMethod.SPATIAL):
            table.statements.append(ddl.add_indexes(table.schema, table.name, [name], [clause]))
        else:
            names.append(name)
            clauses.append(clause)
    if names:
        table.statements.append(ddl.add_indexes(table.schema, table.name, names, clauses))


def _carries_counter(table: MappedTable, index: Index) -> bool:
    """An AUTO_INCREMENT column must lead a key from the beginning; so much for those the primary key does not
    serve."""
    leading = table.find(index.parts[0].column)
    if leading is None or not leading.source.auto_increment:
        return False
    return not table.primary_key or table.primary_key[0] != leading.source.name


def add_counter_key(table: MappedTable, with_indexes: bool) -> None:
    """A key for an AUTO_INCREMENT column that leads none."""
    for column in table.columns.values():
        if not column.source.auto_increment:
            continue
        leading = [table.primary_key[:1]]
        if with_indexes:
            leading += [(index.parts[0].column or "",) for index in table.source.indexes]
        if (column.source.name,) not in leading:
            name = table.indexes.take(column.name, f"counter {column.name}")
            table.definitions.append(f"KEY {quote(name)} ({quote(column.name)})")
            table.inform(
                "counter-key", "An AUTO_INCREMENT column needs a key: one is added.", column.source.name
            )


def _clause(table: MappedTable, database: MappedDatabase, index: Index, name: str) -> str:
    same = table.source.dialect == database.server.flavor
    if index.method is IndexMethod.MULTIVALUE and not same:
        raise Unindexable("the target has no index over the members of an array")
    word = {IndexMethod.FULLTEXT: "FULLTEXT ", IndexMethod.SPATIAL: "SPATIAL "}.get(index.method, "")
    if word and not table.is_family:
        raise Unindexable(f"{index.method.value} indexes of {table.source.dialect} have no counterpart")
    word = word or ("UNIQUE " if index.unique else "")
    parts = _parts(table, index.parts, index.unique, database, plain=index.method is IndexMethod.FULLTEXT)
    clause = f"{word}KEY {quote(name)} ({parts})"
    if index.comment:
        clause += f" COMMENT {ddl.text(index.comment[:1024])}"
    if not index.visible and not index.unique:
        clause += " IGNORED" if database.server.flavor == "mariadb" else " INVISIBLE"
    return clause


def _parts(
    table: MappedTable,
    parts: Sequence[IndexPart],
    unique: bool,
    database: MappedDatabase,
    plain: bool = False,
) -> str:
    rendered, left = [], KEY_BYTES
    for part in parts:
        made = _part(table, part, unique, database, left, plain)
        rendered.append(made.sql + (" DESC" if part.descending else ""))
        left -= made.octets
    if left < 0 and not table.is_family:
        raise Unindexable(f"its entries have up to {KEY_BYTES - left} bytes, where {KEY_BYTES} are the most")
    return ", ".join(rendered)


def _part(
    table: MappedTable, part: IndexPart, unique: bool, database: MappedDatabase, left: int, plain: bool
) -> _Part:
    if part.expression is not None:
        if table.source.dialect != database.server.flavor:
            raise Unindexable("it is over an expression, which is not translated")
        return _Part(f"({part.expression})", 0)
    column = table.find(part.column)
    if column is None:
        raise Unindexable(f"the column {part.column!r} is not copied")
    if part.prefix is not None:
        return _Part(f"{quote(column.name)}({part.prefix})", 0)
    if table.is_family and (column.type.key_bytes is not None or plain or column.source.type.geometry):
        return _Part(quote(column.name), column.type.key_bytes or 0)
    if column.type.sql.startswith(_NEVER) or column.type.key_bytes == -1:
        raise Unindexable(f"{column.source.name} is {column.type.sql}, which has no order")
    if column.type.key_bytes is not None and (column.type.key_bytes <= left or not unique):
        if column.type.key_bytes <= left:
            return _Part(quote(column.name), column.type.key_bytes)
        return _Part(f"{quote(column.name)}({max(left // 4, 1)})", left)
    if unique:
        return _Part(quote(_hash(table, column)), 32)
    chars = max(1, min(_PREFIX_CHARS, left // 4))
    return _Part(f"{quote(column.name)}({chars})", 4 * chars)


def _hash(table: MappedTable, column: MappedColumn) -> str:
    """The column that holds the SHA-256 of a text too long for an index entry."""
    known = table.hashes.get(column.source.name)
    if known is None:
        taken = {other.name.casefold() for other in table.columns.values()}
        known = f"{column.name[:52]}_sha256"
        while known.casefold() in taken:
            known = "_" + known
        table.hashes[column.source.name] = known
        table.definitions.insert(
            0,
            f"{quote(known)} binary(32) GENERATED ALWAYS AS (UNHEX(SHA2({quote(column.name)}, 256))) STORED",
        )
        table.inform(
            "unique-by-hash",
            f"Too long for an index entry: the column {known} holds its SHA-256, which is kept unique.",
            column.source.name,
        )
    return known


# ---------------------------------------------------------------- foreign keys


def add_foreign_keys(table: MappedTable, database: MappedDatabase) -> None:
    """The table's foreign keys; one that cannot be made is reported with the reason."""
    for key in table.source.foreign_keys:
        try:
            _add_foreign_key(table, database, key)
        except Unindexable as error:
            table.warn("foreign-key-skipped", f"The foreign key {key.name!r} is not made, because {error}.")


def _add_foreign_key(table: MappedTable, database: MappedDatabase, key: ForeignKey) -> None:
    parent = database.tables.get(key.ref_table) if key.ref_schema == table.source.schema else None
    if parent is None:
        raise Unindexable(f"the table {key.ref_schema}.{key.ref_table} is not part of the stream")
    own = _columns(table, key.columns)
    other = _columns(parent, key.ref_columns)
    for child, referred in zip(own, other, strict=True):
        if None in (child.type.key_bytes, referred.type.key_bytes):
            raise Unindexable(f"{child.source.name} is too long to be indexed")
    rules = (key.on_update, key.on_delete)
    if not set(rules) <= _RULES:
        raise Unindexable(f"the target has no such rules ({key.on_update}, {key.on_delete})")
    if key.on_update in ("SET NULL",) and any(not column.nullable for column in own):
        raise Unindexable("SET NULL needs columns that may be NULL")
    name = database.names.constraints.take(key.name, f"{table.name}.{key.name}")
    if name != key.name:
        table.inform("constraint-name", f"The foreign key {key.name!r} is called {name!r} on the target.")
    table.statements.append(
        ddl.add_foreign_key(
            table.schema,
            table.name,
            name,
            [column.name for column in own],
            parent.name,
            [column.name for column in other],
            rules,
        )
    )


def _columns(table: MappedTable, names: Iterable[str]) -> list[MappedColumn]:
    found = []
    for name in names:
        column = table.find(name)
        if column is None:
            raise Unindexable(f"the column {name!r} of {table.source.name!r} is not copied")
        found.append(column)
    return found
