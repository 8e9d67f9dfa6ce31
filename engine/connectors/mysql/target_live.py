"""The tables that are on the target now, read together as far as a stream needs them."""

from __future__ import annotations

from collections.abc import Iterable

from engine.config import WriteMode
from engine.connectors.base import ServerInfo, TableRead, TargetTable
from engine.connectors.checkpoints import TABLE as CHECKPOINT_TABLE
from engine.connectors.mysql.catalog import read_database
from engine.connectors.mysql.checkpoint import Session, rows_of
from engine.connectors.mysql.encode import needs_conversion
from engine.connectors.mysql.fit import LiveTable, live_columns
from engine.connectors.mysql.identifiers import quote
from engine.connectors.mysql.loader import MysqlLoadTable, SelfReference
from engine.connectors.mysql.target_manifest import TABLE as MANIFEST_TABLE
from engine.types import Kind

OURS = (CHECKPOINT_TABLE, MANIFEST_TABLE)  # which no catalog shows
_FOLDING = frozenset({Kind.CHAR, Kind.VARCHAR, Kind.TEXT})


class LiveTables:
    """A cache; `forget` empties it. Names are compared as the server compares them."""

    def __init__(self, session: Session, info: ServerInfo, database: str, exact: bool) -> None:
        self._session = session
        self._info = info
        self._database = database
        self._exact = exact
        self._expected: tuple[str, ...] = ()
        self._names: dict[str, str] | None = None  # key → the name as it is on the target
        self._tables: dict[str, LiveTable] = {}

    def key(self, name: str) -> str:
        return name if self._exact else name.lower()

    def expect(self, names: Iterable[str]) -> None:
        """Tables that will be asked for: they are read together."""
        self._expected = tuple(names)

    def forget(self) -> None:
        self._names = None
        self._tables.clear()

    def names(self) -> dict[str, str]:
        if self._names is None:
            rows = rows_of(
                self._session,
                "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s",
                (self._database,),
            )
            self._names = {self.key(str(name)): str(name) for (name,) in rows}
        return self._names

    def get(self, name: str) -> LiveTable | None:
        key, names = self.key(name), self.names()
        if key not in names:
            return None
        if key not in self._tables:
            wanted = {self.key(other) for other in (*self._expected, name)} & names.keys()
            self._read([names[each] for each in sorted(wanted)])
        return self._tables[key]

    def _read(self, names: list[str]) -> None:
        ours = [name for name in names if name.casefold() in OURS]
        self._tables.update({self.key(name): LiveTable(name, None) for name in ours})
        names = [name for name in names if name not in ours]
        if not names:
            return
        found = read_database(self._session, self._info, self._database, names)
        tables = {self.key(table.name): table for table in found.tables}
        for name in names:
            key = self.key(name)
            triggers = tuple(trigger for trigger in found.triggers if self.key(trigger.table) == key)
            self._tables[key] = LiveTable(name, tables.get(key), triggers)


def load_table(
    read: TableRead, table: TargetTable, live: LiveTable, schema: str, mode: WriteMode
) -> MysqlLoadTable:
    """Where the rows go, and what the loader has to know of the table."""
    assert live.table is not None
    found = live_columns(table, live)
    by_source = {column.source: column for column in found.columns}
    columns = tuple(by_source[column.name] for column in read.columns)
    kinds = {column.name: column.type.kind for column in live.table.columns}
    parts = ", ".join(
        quote(part.column) + (f"({part.prefix})" if part.prefix else "")
        for part in live.table.primary_key
        if part.column is not None
    )
    return MysqlLoadTable(
        schema=schema,
        name=table.name,
        columns=tuple(column.name for column in columns),
        write_mode=mode,
        primary_key=live.primary_key,
        converted=frozenset(column.name for column in columns if needs_conversion(column)),
        folded=tuple(name for name in live.primary_key if kinds.get(name) in _FOLDING),
        key_parts=parts,
        itself=tuple(
            SelfReference(key.name, key.columns, key.ref_columns)
            for key in live.table.foreign_keys
            if (key.ref_schema, key.ref_table) == (schema, live.name)
        ),
    )
