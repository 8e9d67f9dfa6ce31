"""Several sources as one: each table knows whose it is, and every call goes to that source.

Tables keep their names; where two sources have the same one, both become `<alias>_<table>`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import cast

import pyarrow as pa

from engine.config import Policies, Selection
from engine.connectors.base import (
    Chunk,
    Facts,
    KeyRange,
    Note,
    Picture,
    RawReader,
    RawRows,
    ReaderKind,
    ServerInfo,
    SnapshotReader,
    SnapshotSource,
    TableRead,
)
from engine.errors import Code, EngineError
from engine.schema import Database, ForeignKey, Table

FLAVOR = "several"


@dataclass(frozen=True, slots=True)
class Member:
    alias: str
    source: SnapshotSource


@dataclass(frozen=True, slots=True)
class _Origin:
    member: Member
    table: Table  # as its source has it


class SeveralSources:
    """Implements SnapshotSource. Owns its members: closing it closes them. `join` comes before anything that
    takes a table."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = tuple(members)
        self._origins: dict[str, _Origin] = {}
        self._joined = Database("")
        self.database = ", ".join(f"{member.alias}: {member.source.database}" for member in members)
        infos = [member.source.info for member in members]
        self.info = ServerInfo(
            FLAVOR,
            ", ".join(f"{info.flavor} {info.version}" for info in infos),
            (),
            ", ".join(info.identity for info in infos),
        )

    @property
    def members(self) -> tuple[Member, ...]:
        return self._members

    def join(self, found: Sequence[Database]) -> tuple[Database, dict[tuple[str, str], str]]:
        """The members' databases, in their order, as one; and the name of each table by (alias, own name)."""
        counts = Counter(table.name for database in found for table in database.tables)
        names = {
            (member.alias, table.name): table.name
            if counts[table.name] == 1
            else f"{member.alias}_{table.name}"
            for member, database in zip(self._members, found, strict=True)
            for table in database.tables
        }
        doubled = [name for name, count in Counter(names.values()).items() if count > 1]
        if doubled:
            raise EngineError(
                Code.VALIDATION_FAILED,
                f"two tables would both be called {doubled[0]}: rename one by target.spec.db.rename, or give"
                " the sources other aliases",
                table=doubled[0],
            )
        tables = []
        for member, database in zip(self._members, found, strict=True):
            for table in database.tables:
                name = names[member.alias, table.name]
                self._origins[name] = _Origin(member, table)
                tables.append(
                    replace(
                        table,
                        name=name,
                        foreign_keys=tuple(
                            _renamed(key, table, names, member.alias) for key in table.foreign_keys
                        ),
                    )
                )
        notes = tuple(
            f"{member.alias}: {note}"
            for member, database in zip(self._members, found, strict=True)
            for note in database.notes
        )
        self._joined = Database(self.database, tuple(tables), notes=notes)
        return self._joined, names

    def catalog(self, database: str, only: Sequence[str] | None = None) -> Database:
        """What was joined."""
        tables = self._joined.tables
        kept = tables if only is None else tuple(table for table in tables if table.name in set(only))
        return replace(self._joined, tables=kept)

    def query_table(self, name: str, query: str) -> Table:
        raise EngineError(
            Code.UNSUPPORTED_ROUTE, "a query belongs to one source: give it there", field="source.connections"
        )

    def facts(self, table: Table, policies: Policies) -> Facts:
        origin = self._origins[table.name]
        return origin.member.source.facts(_as_there(table, origin), policies)

    def plan_read(
        self,
        table: Table,
        policies: Policies,
        *,
        plain_generated: frozenset[str] = frozenset(),
        max_rows: int | None = None,
        selection: Selection | None = None,
    ) -> tuple[TableRead, tuple[Note, ...]]:
        origin = self._origins[table.name]
        read, notes = origin.member.source.plan_read(
            _as_there(table, origin),
            policies,
            plain_generated=plain_generated,
            max_rows=max_rows,
            selection=selection,
        )
        return replace(read, table=replace(read.table, name=table.name)), notes

    def chunks(self, read: TableRead, target_bytes: int, minimum: int) -> tuple[Chunk, ...]:
        origin = self._origins[read.table.name]
        return origin.member.source.chunks(self.as_there(read), target_bytes, minimum)

    def as_there(self, read: TableRead) -> TableRead:
        """The read by the table's name on its own source."""
        return replace(read, table=_as_there(read.table, self._origins[read.table.name]))

    def owner(self, read: TableRead) -> Member:
        return self._origins[read.table.name].member

    def position(self) -> str | None:
        positions = [member.source.position() for member in self._members]
        return None if None in positions else "; ".join(cast(list[str], positions))

    @contextmanager
    def picture(self, count: int) -> Iterator[SeveralPictures]:
        with ExitStack() as stack:
            yield SeveralPictures(
                self,
                {member.alias: stack.enter_context(member.source.picture(count)) for member in self._members},
            )

    def close(self) -> None:
        with ExitStack() as stack:
            for member in self._members:
                stack.callback(member.source.close)


def _as_there(table: Table, origin: _Origin) -> Table:
    return replace(table, name=origin.table.name, foreign_keys=origin.table.foreign_keys)


def _renamed(key: ForeignKey, table: Table, names: Mapping[tuple[str, str], str], alias: str) -> ForeignKey:
    if key.ref_schema != table.schema:
        return key
    return replace(key, ref_table=names.get((alias, key.ref_table), key.ref_table))


def gives_raw(source: SnapshotSource, read: TableRead) -> bool:
    """Whether readers of this table are RawReaders: those of a PostgreSQL server are."""
    owner = source.owner(read).source if isinstance(source, SeveralSources) else source
    return owner.info.flavor == "postgresql"


class SeveralPictures:
    """One picture a source. They are not of one moment: two servers have no common one."""

    def __init__(self, sources: SeveralSources, pictures: Mapping[str, Picture]) -> None:
        self._sources = sources
        self._pictures = pictures

    @property
    def consistent(self) -> bool:
        return all(picture.consistent for picture in self._pictures.values())

    @property
    def broken(self) -> bool:
        return any(picture.broken for picture in self._pictures.values())

    def reader(self, kind: ReaderKind) -> SnapshotReader:
        return _Reader(self._sources, self._pictures, kind)


class _Reader:
    """Opens a reader of a source when the first table of it comes."""

    def __init__(self, sources: SeveralSources, pictures: Mapping[str, Picture], kind: ReaderKind) -> None:
        self._sources = sources
        self._pictures = pictures
        self._kind: ReaderKind = kind
        self._open: dict[str, SnapshotReader] = {}

    def _of(self, read: TableRead) -> SnapshotReader:
        alias = self._sources.owner(read).alias
        if alias not in self._open:
            self._open[alias] = self._pictures[alias].reader(self._kind)
        return self._open[alias]

    def read(self, read: TableRead, bounds: KeyRange | None) -> Generator[pa.RecordBatch, None, None]:
        yield from self._of(read).read(self._sources.as_there(read), bounds)

    def read_raw(self, read: TableRead, bounds: KeyRange | None) -> Generator[RawRows, None, None]:
        yield from cast(RawReader, self._of(read)).read_raw(self._sources.as_there(read), bounds)

    @property
    def counters(self) -> Mapping[tuple[str, str], int]:
        total: Counter[tuple[str, str]] = Counter()
        for reader in self._open.values():
            total.update(reader.counters)
        return total

    def cancel(self) -> None:
        for reader in list(self._open.values()):
            reader.cancel()

    def close(self) -> None:
        for reader in self._open.values():
            reader.close()
