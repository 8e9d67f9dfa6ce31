"""What is known while one database is mapped onto MySQL: the options, and each table as it takes shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.config import Policies, StructureOptions
from engine.connectors.base import Facts, Note, Statement
from engine.connectors.mapped import Mapped
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
class MappedTable(Mapped[MappedColumn]):
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

    @property
    def caseless(self) -> bool:
        return self.is_family


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
