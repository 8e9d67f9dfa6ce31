"""What is known while one database is mapped: the options, and each table as it takes shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.config import Policies, StructureOptions
from engine.connectors.base import ColumnFacts, Facts, Note, Statement
from engine.connectors.mapped import Mapped
from engine.connectors.postgres.keys import Ref, Shared, column_facts
from engine.connectors.postgres.names import Names, Namespace
from engine.connectors.postgres.types import ColumnType, Remark
from engine.schema import Column, Database, Table


@dataclass(frozen=True)
class MapOptions:
    """How a database is mapped.

    rename: "schema.table" or "schema.table.column" of the source → new name.
    server_version: of the target, as server_version_num, e.g. 150018. functions: the names of those it has
    built in; empty when that is not known.
    extensions: those installed in the target database (postgis, citext); extension_schemas: where, when
    not in public. facts: what a scan said, by source table. key_first: primary keys before the rows (upsert).
    """

    schema: str
    policies: Policies = field(default_factory=Policies)
    structure: StructureOptions = field(default_factory=StructureOptions)
    rename: Mapping[str, str] = field(default_factory=dict)
    server_version: int = 150000
    functions: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()
    extension_schemas: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Facts] = field(default_factory=dict)
    key_first: bool = False


@dataclass(slots=True)
class MappedColumn:
    """A column on its way: what it was and what it becomes. `generated` is the translated expression of a
    column the target computes itself: on writing when `stored`, else on reading."""

    source: Column
    name: str
    type: ColumnType
    shared: Shared
    facts: ColumnFacts | None
    nullable: bool
    default: str | None = None
    generated: str | None = None
    stored: bool = True
    identity: str | None = None  # name of its own sequence
    in_key: bool = False


@dataclass(slots=True)
class MappedTable(Mapped[MappedColumn]):
    source: Table
    schema: str
    name: str
    columns: dict[str, MappedColumn] = field(default_factory=dict)  # by source name
    constraints: Namespace = field(default_factory=Namespace)
    statements: list[Statement] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    primary_key: tuple[str, ...] = ()  # source columns of a primary key that is made
    unique: list[tuple[str, ...]] = field(default_factory=list)  # source columns of unique keys that are made
    server_version: int = 150000
    functions: frozenset[str] = frozenset()  # built in on the target; empty when that is not known

    def remark(self, column: str, remark: Remark) -> None:
        self.note(remark.severity, remark.slug, remark.message, column, remark.policy, remark.count)


@dataclass(slots=True)
class MappedDatabase:
    source: Database
    options: MapOptions
    names: Names
    tables: dict[str, MappedTable] = field(default_factory=dict)  # by source name
    enum_names: dict[Ref, str] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @property
    def schema(self) -> str:
        return self.options.schema

    def facts(self, table: str, column: str) -> ColumnFacts | None:
        return column_facts(self.options.facts, (table, column))
