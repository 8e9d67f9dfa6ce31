"""The structure of one schema of a PostgreSQL database, read with a fixed number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Sequence as Row
from typing import Any

from engine.connectors.base import ServerInfo
from engine.connectors.postgres import source_catalog_sql as sql
from engine.connectors.postgres.queries import source_type
from engine.connectors.postgres.ranges import PARTITIONED
from engine.connectors.postgres.session import PgConnection
from engine.connectors.postgres.source_catalog_keys import Keys, checks_of, foreign_keys_of, read_keys
from engine.connectors.postgres.source_catalog_objects import (
    OwnedSequence,
    other_notes,
    read_routines,
    read_sequences,
    read_triggers,
)
from engine.connectors.postgres.source_types import SourceType
from engine.schema import Column, Database, Default, Generated, Partition, Sequence, Table, TableKind, View

_STRATEGIES = {"r": "RANGE", "l": "LIST", "h": "HASH"}
_PAGE = 8192


def read_database(
    session: PgConnection, info: ServerInfo, schema_name: str, only: Row[str] | None = None
) -> Database:
    """Tables, views and the inventory of a schema; `only` those tables and views, where given. Raises what
    psycopg raises."""
    return _Catalog(session, info, schema_name, only).database()


class _Relation:
    """A row of sql.RELATIONS."""

    def __init__(self, row: Row[Any]) -> None:
        (
            self.oid,
            self.name,
            self.kind,
            self.persistence,
            self.is_partition,
            self.method,
            self.comment,
            self.rows,
            self.pages,
            self.secured,
            self.has_rules,
            self.main_bytes,
            self.bytes,
            self.definition,
            self.partition_key,
            self.inherits,
        ) = row


class _Catalog:
    def __init__(
        self, session: PgConnection, info: ServerInfo, schema_name: str, only: Row[str] | None
    ) -> None:
        self._session = session
        self._info = info
        self._schema = schema_name
        self._only = list(only) if only is not None else None
        self._notes: list[str] = []
        self._others: list[Sequence] = []  # of columns, but not what their table counts by

    def database(self) -> Database:
        found = [_Relation(row) for row in self._rows(sql.RELATIONS, schema=self._schema, only=self._only)]
        tables = [relation for relation in found if self._is_read(relation)]
        views = [relation for relation in found if relation.kind in "vm"]
        oids = [relation.oid for relation in tables]
        columns = self._columns([relation.oid for relation in (*tables, *views)])
        keys = read_keys(self._session, self._info, oids)
        partitions = self._partitions(oids)
        leaves = {row[0]: row[1:] for row in self._rows(sql.LEAVES, self._of_kind(tables, "p"))}
        sequences, owned = read_sequences(self._session, self._schema, oids, self._notes)
        made = tuple(
            self._table(
                relation,
                columns[relation.oid],
                keys,
                partitions[relation.oid],
                leaves.get(relation.oid),
                owned.get(relation.oid, []),
            )
            for relation in tables
        )
        self._domains(made, columns)
        self._notes += other_notes(self._session, oids)
        return Database(
            self._schema,
            tables=made,
            views=tuple(self._view(relation, columns[relation.oid]) for relation in views),
            routines=read_routines(self._session, self._schema) if self._only is None else (),
            triggers=read_triggers(self._session, self._schema, oids),
            sequences=_distinct(sequences, self._others) if self._only is None else (),
            notes=tuple(self._notes),
        )

    # ------------------------------------------------------------

    def _rows(self, statement: str, *positional: Any, **named: Any) -> list[tuple[Any, ...]]:
        return self._session.execute(statement, positional or named).fetchall()

    def _of_kind(self, relations: Iterable[_Relation], kind: str) -> list[int]:
        return [relation.oid for relation in relations if relation.kind == kind]

    def _is_read(self, relation: _Relation) -> bool:
        if relation.kind == "f":
            self._notes.append(f"table {relation.name} is a foreign table: it is not read")
            return False
        if relation.kind not in "rp" or relation.is_partition:
            return False
        if relation.persistence == "u" and self._in_recovery():
            self._notes.append(f"table {relation.name} is unlogged: a standby does not have its rows")
            return False
        if relation.persistence == "u":
            self._notes.append(f"table {relation.name} is unlogged: that is not carried")
        if relation.inherits:
            self._notes.append(
                f"table {relation.name} inherits from another one: each is read with its own rows only"
            )
        if relation.secured:
            self._notes.append(f"table {relation.name} has row security: its policies are not carried")
        return True

    def _in_recovery(self) -> bool:
        row = self._session.execute("SELECT pg_is_in_recovery()").fetchone()
        return bool(row and row[0])

    # ------------------------------------------------------------ columns

    def _columns(self, oids: list[int]) -> dict[int, list[tuple[Row[Any], SourceType]]]:
        columns: dict[int, list[tuple[Row[Any], SourceType]]] = defaultdict(list)
        for row in self._rows(sql.COLUMNS, oids):
            columns[row[0]].append((row, source_type(row[10:])))
        return columns

    def _column(self, row: Row[Any], kind: SourceType, owned: list[OwnedSequence]) -> Column:
        _, number, name, not_null, identity, generated, expression, collation, comment, default_oid = row[:10]
        counter = next((item for item in owned if item.column == number), None)
        counts = counter is not None and (bool(identity) or default_oid in counter.callers)
        default = expression if not generated else None
        if default is None and not generated:
            default = kind.default
        return Column(
            name,
            kind.logical,
            kind.native,
            nullable=not (not_null or kind.required),
            default=Default(expression=default) if default is not None and not counts else None,
            auto_increment=counts,
            generated=Generated(expression, stored=generated == "s") if generated else None,
            collation=collation,
            comment=comment,
        )

    def _domains(self, tables: Row[Table], columns: dict[int, list[tuple[Row[Any], SourceType]]]) -> None:
        used = sorted({kind.domain for rows in columns.values() for _, kind in rows if kind.domain})
        if not used:
            return
        checks = defaultdict(list)
        for domain, name, text in self._rows(sql.DOMAIN_CHECKS, used):
            checks[domain].append(f"{name} {text}")
        for domain in used:
            rules = "; ".join(checks[domain])
            self._notes.append(
                f"domain {domain}: its columns are carried as its base type"
                + (f", without its checks ({rules})" if rules else "")
            )

    # ------------------------------------------------------------ tables

    def _table(
        self,
        relation: _Relation,
        rows: list[tuple[Row[Any], SourceType]],
        keys: Keys,
        partitions: list[Partition],
        leaves: Row[Any] | None,
        owned: list[OwnedSequence],
    ) -> Table:
        counter = _first_counter(rows, owned, self._notes, relation.name)
        self._others += [item.sequence for item in owned if item is not counter]
        columns = tuple(self._column(row, kind, [counter] if counter else []) for row, kind in rows)
        count, pages, main_bytes, total = leaves or (
            relation.rows,
            relation.pages,
            relation.main_bytes,
            relation.bytes,
        )
        primary, indexes, notes = keys.of(relation.oid, relation.name)
        self._notes += notes
        checks, more = checks_of(keys, relation.oid, relation.name)
        foreign, others = foreign_keys_of(keys, relation.oid, relation.name)
        self._notes += [*more, *others]
        return Table(
            self._schema,
            relation.name,
            columns,
            dialect="postgres",
            primary_key=primary,
            indexes=indexes,
            foreign_keys=foreign,
            checks=checks,
            partitions=tuple(partitions),
            comment=relation.comment,
            kind=TableKind.TABLE,
            engine=PARTITIONED if relation.kind == "p" else relation.method or "heap",
            auto_increment=counter.sequence.next_value if counter else None,
            estimated_rows=_estimated_rows(count, pages, int(main_bytes), len(columns)),
            estimated_bytes=int(total),
        )

    def _view(self, relation: _Relation, rows: list[tuple[Row[Any], SourceType]]) -> View:
        return View(
            self._schema,
            relation.name,
            relation.definition,
            tuple(self._column(row, kind, []) for row, kind in rows),
            materialized=relation.kind == "m",
        )

    def _partitions(self, oids: list[int]) -> dict[int, list[Partition]]:
        partitions: dict[int, list[Partition]] = defaultdict(list)
        for parent, name, strategy, key, bound, rows in self._rows(sql.PARTITIONS, oids):
            partitions[parent].append(
                Partition(name, _STRATEGIES.get(strategy, strategy), key, bound, int(rows))
            )
        return partitions


def _distinct(*groups: Iterable[Sequence]) -> tuple[Sequence, ...]:
    return tuple(sorted({item.name: item for group in groups for item in group}.values(), key=_name))


def _name(sequence: Sequence) -> str:
    return sequence.name


def _first_counter(
    rows: list[tuple[Row[Any], SourceType]], owned: list[OwnedSequence], notes: list[str], table: str
) -> OwnedSequence | None:
    """The one sequence a table counts by: an identity before a serial; others keep their default."""
    defaults = {row[1]: row[9] for row, _ in rows}
    counting = [item for item in owned if item.identity or defaults.get(item.column) in item.callers]
    counting.sort(key=lambda item: (not item.identity, item.column))
    notes += [
        f"table {table} counts by more than one sequence: {item.sequence.name} stays a default"
        for item in counting[1:]
    ]
    return counting[0] if counting else None


def _estimated_rows(rows: float, pages: float, main_bytes: int, columns: int) -> int:
    """As the planner does: the density of the last ANALYZE over the pages of now; from the number of columns
    where there was none."""
    if not main_bytes:
        return 0
    if rows > 0 and pages > 0:
        return round(rows * (main_bytes / _PAGE) / pages)
    return max(1, main_bytes // (28 + 16 * max(1, columns)))
