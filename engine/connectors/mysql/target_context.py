"""What is known while one database is mapped onto MySQL: the options, and each table as it takes shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.config import Policies, StructureOptions
from engine.connectors.base import Facts, Note, Severity, Statement
from engine.connectors.mysql.target_names import Names, Namespace
from engine.connectors.mysql.target_server import TargetServer
from engine.connectors.mysql.target_types import FAMILY, MappedType
from engine.schema import Column, Database, Table


@dataclass(frozen=True)
class MapOptions:
    """How a database is mapped. rename: "schema.table" or "schema.table.column" of the source → new name.
    facts: what a scan said, by source table."""

    schema: str
    server: TargetServer
    policies: Policies = field(default_factory=Policies)
    structure: StructureOptions = field(default_factory=StructureOptions)
    rename: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Facts] = field(default_factory=dict)


@dataclass(slots=True)
class MappedColumn:
    """`generated`: the clause of a column the target computes itself."""

    source: Column
    name: str
    type: MappedType
    nullable: bool
    default: str = ""
    generated: str | None = None


@dataclass(slots=True)
class MappedTable:
    source: Table
    schema: str
    name: str
    columns: dict[str, MappedColumn] = field(default_factory=dict)  # by source name
    definitions: list[str] = field(default_factory=list)  # of the table beyond its columns: keys and checks
    primary_key: tuple[str, ...] = ()  # source columns of the primary key that is made
    indexes: Namespace = field(default_factory=Namespace)
    hashes: dict[str, str] = field(default_factory=dict)  # source column → the column that holds its SHA-256
    statements: list[Statement] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @property
    def is_family(self) -> bool:
        return self.source.dialect in FAMILY

    def find(self, name: str | None) -> MappedColumn | None:
        """The column meant by a reference of the source; names of columns have no case on MySQL."""
        if name is None:
            return None
        if name in self.columns:
            return self.columns[name]
        alike = [column for known, column in self.columns.items() if known.casefold() == name.casefold()]
        return alike[0] if len(alike) == 1 and self.is_family else None

    def note(
        self,
        severity: Severity,
        slug: str,
        message: str,
        column: str | None = None,
        policy: str | None = None,
        count: int | None = None,
    ) -> None:
        self.notes.append(Note(severity, slug, message, self.source.name, column, policy, count))

    def warn(self, slug: str, message: str, column: str | None = None, policy: str | None = None) -> None:
        self.note(Severity.WARNING, slug, message, column, policy)

    def inform(self, slug: str, message: str, column: str | None = None, policy: str | None = None) -> None:
        self.note(Severity.INFO, slug, message, column, policy)


@dataclass(slots=True)
class MappedDatabase:
    source: Database
    options: MapOptions
    names: Names
    tables: dict[str, MappedTable] = field(default_factory=dict)  # by source name
    statements: list[Statement] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @property
    def schema(self) -> str:
        return self.options.schema

    @property
    def server(self) -> TargetServer:
        return self.options.server
