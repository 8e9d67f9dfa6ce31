"""TABLE_MAP events, with all of their optional metadata.

Layout: MySQL Source Code Documentation, "Table_map_event". MariaDB 10.5 and later write the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from ext.binlogcharsets import charset_of, text_of
from ext.binlogspec import Field, MappedColumn, ProtocolError, TableMap

_MAX_COLUMNS = 4096
_META_BYTES = {
    Field.FLOAT: 1,
    Field.DOUBLE: 1,
    Field.TINY_BLOB: 1,
    Field.MEDIUM_BLOB: 1,
    Field.LONG_BLOB: 1,
    Field.BLOB: 1,
    Field.BLOB_COMPRESSED: 1,
    Field.GEOMETRY: 1,
    Field.JSON: 1,
    Field.VECTOR: 1,
    Field.TIMESTAMP2: 1,
    Field.DATETIME2: 1,
    Field.TIME2: 1,
    Field.VARCHAR: 2,
    Field.VARCHAR_COMPRESSED: 2,
    Field.BIT: 2,
    Field.NEWDECIMAL: 2,
    Field.STRING: 2,
    Field.ENUM: 2,
    Field.SET: 2,
    Field.VAR_STRING: 2,
}
_BIG_META = frozenset({Field.NEWDECIMAL, Field.STRING, Field.ENUM, Field.SET, Field.VAR_STRING})
_NUMERIC = frozenset(
    {
        Field.TINY,
        Field.SHORT,
        Field.INT24,
        Field.LONG,
        Field.LONGLONG,
        Field.FLOAT,
        Field.DOUBLE,
        Field.NEWDECIMAL,
        Field.YEAR,
    }
)
_CHARACTER = frozenset(
    {
        Field.STRING,
        Field.VAR_STRING,
        Field.VARCHAR,
        Field.VARCHAR_COMPRESSED,
        Field.TINY_BLOB,
        Field.BLOB,
        Field.MEDIUM_BLOB,
        Field.LONG_BLOB,
        Field.BLOB_COMPRESSED,
    }
)


class _Meta(IntEnum):
    SIGNEDNESS = 1
    DEFAULT_CHARSET = 2
    COLUMN_CHARSET = 3
    COLUMN_NAME = 4
    SET_LABELS = 5
    ENUM_LABELS = 6
    GEOMETRY_TYPE = 7
    SIMPLE_PRIMARY_KEY = 8
    PRIMARY_KEY_WITH_PREFIX = 9
    LABELS_DEFAULT_CHARSET = 10
    LABELS_COLUMN_CHARSET = 11
    VISIBILITY = 12
    DIMENSIONS = 13


class Bytes:
    """Reads a body from its start to its end; ProtocolError when it is shorter than what it should hold."""

    def __init__(self, data: bytes, place: int = 0) -> None:
        self.data = data
        self.place = place

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.place:
            raise ProtocolError("an event that is cut")
        self.place += size
        return self.data[self.place - size : self.place]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def packed(self) -> int:
        """A length-encoded integer."""
        head = self.number(1)
        if head < 251:
            return head
        if head in (251, 255):
            raise ProtocolError("a length in an event that is none")
        return self.number({252: 2, 253: 3, 254: 8}[head])

    def counted(self) -> bytes:
        return self.take(self.packed())

    @property
    def left(self) -> int:
        return len(self.data) - self.place


def parse_table_map(body: bytes, mariadb: bool) -> TableMap:
    """The table of a TABLE_MAP event's body, of a log that MariaDB wrote or MySQL. Raises ProtocolError for a
    cut one, and for metadata that does not fit the columns."""
    reader = Bytes(body)
    table_id, flags = reader.number(6), reader.number(2)
    schema, table = _name(reader), _name(reader)
    count = reader.packed()
    if count > _MAX_COLUMNS:
        raise ProtocolError(f"a table of {count} columns")
    types = reader.take(count)
    metas = Bytes(reader.counted())
    fields = [_field(kind, metas) for kind in types]
    if metas.left:
        raise ProtocolError(f"the metadata of {schema}.{table} is longer than its columns need")
    nulls = reader.take((count + 7) // 8)
    optional = _optional(reader)
    facts: list[dict[str, object]] = [
        {"type": kind, "meta": meta, "nullable": bool(nulls[number >> 3] >> (number & 7) & 1)}
        for number, (kind, meta) in enumerate(fields)
    ]
    kinds = [kind for kind, _ in fields]
    _signs(facts, kinds, optional)
    _charsets(facts, kinds, optional, mariadb)
    _names(facts, optional)
    _labels(facts, kinds, optional)
    _numbers(facts, [kind == Field.GEOMETRY for kind in kinds], optional.get(_Meta.GEOMETRY_TYPE), "geometry")
    _numbers(facts, [kind == Field.VECTOR for kind in kinds], optional.get(_Meta.DIMENSIONS), "dimensions")
    _visibility(facts, optional)
    columns = tuple(MappedColumn(**fact) for fact in facts)  # type: ignore[arg-type]
    return TableMap(table_id, flags, schema, table, columns, _key(optional, count))


def _name(reader: Bytes) -> str:
    name = reader.take(reader.number(1))
    if reader.take(1) != b"\0":
        raise ProtocolError("a name in a table map that does not end")
    return name.decode("utf-8", "replace")


def _field(kind: int, metas: Bytes) -> tuple[int, int]:
    """Real type and meta. A STRING has both in two bytes: two bits of a length past 255 are kept, turned, in
    the type ("Field_string::do_save_field_metadata")."""
    size = _META_BYTES.get(kind, 0)  # type: ignore[call-overload]
    raw = metas.take(size)
    meta = int.from_bytes(raw, "big" if kind in _BIG_META else "little")
    if kind not in (Field.STRING, Field.VAR_STRING, Field.ENUM, Field.SET):
        return kind, meta
    first, second = raw
    if first & 0x30 != 0x30:
        return first | 0x30, second | (first & 0x30 ^ 0x30) << 4
    return (first, second) if first else (kind, second)


def _optional(reader: Bytes) -> dict[int, bytes]:
    """Type, length and value each; types we do not know are kept and mean nothing to us."""
    found = {}
    while reader.left:
        kind = reader.number(1)
        found[kind] = reader.counted()
    return found


def _bits(data: bytes, count: int) -> list[bool]:
    """One bit each, from the highest of the first byte on."""
    if len(data) * 8 < count:
        raise ProtocolError("bits of a table map that are cut")
    return [bool(data[number >> 3] >> (7 - (number & 7)) & 1) for number in range(count)]


def _signs(facts: list[dict[str, object]], kinds: list[int], optional: dict[int, bytes]) -> None:
    data = optional.get(_Meta.SIGNEDNESS)
    if data is None:
        return
    numeric = [number for number, kind in enumerate(kinds) if kind in _NUMERIC]
    for number, unsigned in zip(numeric, _bits(data, len(numeric)), strict=True):
        facts[number]["unsigned"] = unsigned


def _collations(optional: dict[int, bytes], default: int, each: int, members: list[int]) -> dict[int, int]:
    """By column: the collations of `members`, given as a default with exceptions or one by one."""
    if default in optional:
        reader = Bytes(optional[default])
        found = dict.fromkeys(members, reader.packed())
        while reader.left:
            member, collation = reader.packed(), reader.packed()
            if member >= len(members):
                raise ProtocolError("a collation of a column that is not there")
            found[members[member]] = collation
        return found
    if each in optional:
        reader = Bytes(optional[each])
        return {number: reader.packed() for number in members}
    return {}


def _charsets(
    facts: list[dict[str, object]], kinds: list[int], optional: dict[int, bytes], mariadb: bool
) -> None:
    """Among the columns with characters MariaDB counts geometries, MySQL vectors."""
    counted = _CHARACTER | ({Field.GEOMETRY} if mariadb else {Field.VECTOR})
    texts = [number for number, kind in enumerate(kinds) if kind in counted]
    labelled = [number for number, kind in enumerate(kinds) if kind in (Field.ENUM, Field.SET)]
    found = _collations(optional, _Meta.DEFAULT_CHARSET, _Meta.COLUMN_CHARSET, texts)
    found |= _collations(optional, _Meta.LABELS_DEFAULT_CHARSET, _Meta.LABELS_COLUMN_CHARSET, labelled)
    for number, collation in found.items():
        if kinds[number] in (Field.GEOMETRY, Field.VECTOR):
            continue
        facts[number]["collation"] = collation
        facts[number]["charset"] = charset_of(collation)


def _names(facts: list[dict[str, object]], optional: dict[int, bytes]) -> None:
    data = optional.get(_Meta.COLUMN_NAME)
    if data is None:
        return
    reader = Bytes(data)
    for fact in facts:
        fact["name"] = reader.counted().decode("utf-8", "replace")


def _labels(facts: list[dict[str, object]], kinds: list[int], optional: dict[int, bytes]) -> None:
    for kind, entry in ((Field.SET, _Meta.SET_LABELS), (Field.ENUM, _Meta.ENUM_LABELS)):
        data = optional.get(entry)
        if data is None:
            continue
        reader = Bytes(data)
        for number, other in enumerate(kinds):
            if other == kind:
                charset = str(facts[number].get("charset") or "utf8mb4")
                facts[number]["labels"] = tuple(_strings(reader, charset))


def _strings(reader: Bytes, charset: str) -> Iterator[str]:
    for _ in range(reader.packed()):
        yield text_of(reader.counted(), charset)


def _numbers(facts: list[dict[str, object]], members: list[bool], data: bytes | None, name: str) -> None:
    if data is None:
        return
    reader = Bytes(data)
    for fact, member in zip(facts, members, strict=True):
        if member:
            fact[name] = reader.packed()


def _visibility(facts: list[dict[str, object]], optional: dict[int, bytes]) -> None:
    data = optional.get(_Meta.VISIBILITY)
    if data is not None:
        for fact, visible in zip(facts, _bits(data, len(facts)), strict=True):
            fact["visible"] = visible


def _key(optional: dict[int, bytes], count: int) -> tuple[tuple[int, int], ...] | None:
    parts: list[tuple[int, int]] = []
    if _Meta.SIMPLE_PRIMARY_KEY in optional:
        reader = Bytes(optional[_Meta.SIMPLE_PRIMARY_KEY])
        while reader.left:
            parts.append((reader.packed(), 0))
    elif _Meta.PRIMARY_KEY_WITH_PREFIX in optional:
        reader = Bytes(optional[_Meta.PRIMARY_KEY_WITH_PREFIX])
        while reader.left:
            parts.append((reader.packed(), reader.packed()))
    if any(number >= count for number, _ in parts):
        raise ProtocolError("a primary key with a column that is not there")
    return tuple(parts) or None


class TableMaps:
    """Table maps by their id, as the events of a group need them; one that comes again is not parsed."""

    def __init__(self, mariadb: bool) -> None:
        self._mariadb = mariadb
        self._open: dict[int, TableMap] = {}
        self._known: dict[bytes, TableMap] = {}

    def add(self, body: bytes) -> TableMap:
        """The table of a TABLE_MAP event: the same object as before where nothing about it has changed."""
        table = self._known.get(body)
        if table is None:
            table = parse_table_map(body, self._mariadb)
            if len(self._known) >= 10_000:
                self._known.clear()
            self._known[body] = table
        self._open[table.table_id] = table
        return table

    def of(self, rows: bytes) -> TableMap:
        """The table of a rows event's body. ProtocolError where no table map came before it in its group."""
        table = self._open.get(int.from_bytes(rows[:6], "little"))
        if table is None or len(rows) < 8:
            raise ProtocolError("a rows event of a table that was not announced")
        return table

    def clear(self) -> None:
        """A statement or the file has ended: ids mean nothing any more."""
        self._open.clear()
