"""What a database target says of a table before rows go into it: the refusals of the plan that are the same
on every server, and the order in which tables are loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set

from engine.config import Connection, DbTarget, SchemaPolicy, TargetSpec, WriteMode
from engine.connectors.base import Note, Severity, TableRead, TargetTable
from engine.errors import Code, EngineError


class TablesThere(ABC):
    """What follows from the tables that are on the target now."""

    @abstractmethod
    def live(self, name: str) -> object | None:
        """The table as it is on the target; None when it is not there."""

    @abstractmethod
    def _parents(self, name: str) -> set[str]:
        """The tables of the schema that its foreign keys on the target point at, itself among them."""

    def exists(self, name: str) -> bool:
        return self.live(name) is not None

    def references_itself(self, name: str) -> bool:
        return name in self._parents(name)

    def load_order(self, tables: Sequence[TargetTable]) -> tuple[list[list[str]], list[Note]]:
        """Waves of target table names: rows a kept foreign key points at come in an earlier wave. Keys of
        created tables are added after the data and do not count."""
        return waves({table.name: self._parents(table.name) for table in tables})


def database_spec(spec: TargetSpec, connection: Connection) -> DbTarget:
    """UNSUPPORTED_ROUTE when the spec is not one of a database."""
    if spec.db is None:
        message = f"a {connection.type.value} connection needs target.spec.db"
        raise EngineError(Code.UNSUPPORTED_ROUTE, message, field="target.spec")
    return spec.db


def refused(slug: str, message: str, table: str, column: str | None = None) -> Note:
    return Note(Severity.REFUSED, slug, message, table=table, column=column)


def missing(table: TargetTable, spec: DbTarget, key: Sequence[object]) -> list[Note]:
    """Of a table that is not on the target; `key`: what an upsert would go by."""
    name = table.name
    if spec.schema_policy is SchemaPolicy.VALIDATE_EXISTING:
        return [refused("table-missing", f"{name} is not on the target", name)]
    if not spec.structure_options.tables:
        message = f"{name} is not on the target and structureOptions.tables is off"
        return [refused("table-missing", message, name)]
    return [without_key(name)] if spec.write_mode is WriteMode.UPSERT and not key else []


def without_key(name: str, where: str = "") -> Note:
    return refused("upsert-without-key", f"{name} has no primary key{where}", name)


def reserved(name: str) -> Note:
    return refused("reserved-name", f"{name} is the name of our own table", name)


def present(name: str) -> Note:
    return refused("table-exists", f"{name} exists on the target", name)


def no_table(name: str) -> Note:
    return refused("table-kind", f"{name} exists on the target and is not a table", name)


def not_empty(name: str) -> Note:
    return refused("table-not-empty", f"{name} has rows on the target", name)


def half_loaded(name: str, others: Iterable[str]) -> list[Note]:
    """Adding rows to what another stream left half-way would double those it has committed."""
    return [
        refused(
            "half-loaded",
            f"{name} holds rows of the unfinished stream {other}: resume that stream, drop its"
            " checkpoints (stop with cleanup=true), or choose truncate_and_load or drop_and_recreate",
            name,
        )
        for other in others
    ]


def vanished(name: str) -> EngineError:
    return EngineError(Code.STRUCTURE_MISMATCH, f"{name} vanished from the target", table=name)


def waves(parents: Mapping[str, Set[str]]) -> tuple[list[list[str]], list[Note]]:
    """Waves of table names: rows a kept foreign key points at come in an earlier wave. `parents`: by name,
    the tables that its foreign keys on the target point at, also those that are not loaded, and itself."""
    needs = {name: (others & parents.keys()) - {name} for name, others in parents.items()}
    found: list[list[str]] = []
    placed: set[str] = set()
    while len(placed) < len(needs):
        wave = sorted(name for name in needs.keys() - placed if needs[name] <= placed)
        if not wave:
            circle = sorted(needs.keys() - placed)
            message = f"foreign keys on the target go in a circle among {', '.join(circle)}: drop one first"
            return [*found, circle], [refused("fk-cycle", message, circle[0])]
        found.append(wave)
        placed.update(wave)
    return found, []


# ---------------------------------------------------------------- columns and keys of a table that is there


def column_missing(table: str, column: str) -> Note:
    return refused("column-missing", f"{table}.{column} is not on the target", table, column)


def column_generated(table: str, column: str) -> Note:
    message = f"{table}.{column} is generated on the target and cannot be given values"
    return refused("column-generated", message, table, column)


def column_not_given(table: str, column: str) -> Note:
    message = f"{table}.{column} is NOT NULL without a default and the source has no such column"
    return refused("column-not-given", message, table, column)


def lacking_labels(table: str, column: str, wanted: Iterable[str], labels: Iterable[str]) -> list[Note]:
    """Of an enum on the target that has `labels`, where it is given `wanted`."""
    known = set(labels)
    lacking = [label for label in wanted if label not in known]
    if not lacking:
        return []
    message = f"{table}.{column} lacks the labels {', '.join(map(repr, lacking[:5]))}"
    return [refused("enum-labels", message, table, column)]


def type_mismatch(table: str, error: EngineError) -> Note:
    return refused("type-mismatch", error.message, table, error.details.get("column"))


def upsert_key(read: TableRead, table: TargetTable) -> set[str]:
    """The source's key by the names its columns have on the target."""
    by_source = {column.source: column.name for column in table.columns}
    return {by_source[column] for column in read.table.key_columns if column in by_source}


def other_key(table: str, live: tuple[str, ...], key: Set[str], *, caseless: bool) -> list[Note]:
    """Of a primary key on the target that is not the source's, `key`."""
    if caseless:
        key = {name.casefold() for name in key}
    if {name.casefold() if caseless else name for name in live} == key:
        return []
    message = (
        f"the primary key of {table} is ({', '.join(live)}) on the target and"
        f" ({', '.join(sorted(key))}) on the source"
    )
    return [refused("upsert-key-differs", message, table)]
