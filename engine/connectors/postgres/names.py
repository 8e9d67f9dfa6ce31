"""Names on the target: 63 bytes, one namespace a schema, and a map of everything that got another name.

Every choice is a pure function of the source's structure and the options, so that a second plan of the same
stream finds the objects the first one made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from engine.config import Policies
from engine.connectors.base import Note, Severity
from engine.connectors.renames import Path, resolved
from engine.schema import COPIED_KINDS, Database, Table

MAX_BYTES = 63  # NAMEDATALEN - 1
_DIGEST = 8  # hex digits that tell cut names apart

# Columns every PostgreSQL table has already (PostgreSQL documentation, "System Columns").
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def byte_length(name: str) -> int:
    return len(name.encode("utf-8", "surrogatepass"))


def _cut(name: str, size: int) -> str:
    """The longest prefix of whole characters within `size` bytes."""
    return name.encode("utf-8", "surrogatepass")[:size].decode("utf-8", "ignore")


def shorten(name: str, identity: str | None = None) -> str:
    """A name of at most 63 bytes ending in a digest of `identity` (the name itself when None)."""
    digest = sha256((identity or name).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{_cut(name, MAX_BYTES - _DIGEST - 1)}_{digest}"


def fit(name: str) -> str:
    """The name when PostgreSQL can hold it, else cut and marked by its own digest."""
    return name if byte_length(name) <= MAX_BYTES else shorten(name)


class Namespace:
    """Names taken so far in one scope (a schema's relations, a table's columns, a table's constraints)."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def take(self, wanted: str, identity: str) -> str:
        """`wanted` within 63 bytes, made unique by a digest of `identity` where it is taken already."""
        name = fit(wanted)
        attempt = 0
        while name in self._taken:
            attempt += 1
            name = shorten(wanted, f"{identity}\0{attempt}" if attempt > 1 else identity)
        self._taken.add(name)
        return name


@dataclass(slots=True)
class Names:
    """Source names → target names. Keys are exact source names."""

    tables: dict[str, str] = field(default_factory=dict)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    sequences: dict[str, str] = field(default_factory=dict)
    relations: Namespace = field(default_factory=Namespace)  # the schema's tables, indexes and sequences
    types: Namespace = field(default_factory=Namespace)  # its types; every table is one too
    table_notes: dict[str, list[Note]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def find_table(self, name: str) -> str | None:
        """The source table meant by a reference: exactly, else the only one equal without case."""
        return _find(self.tables, name)

    def find_column(self, table: str, name: str) -> str | None:
        """The source column meant by a reference; column names have no case on MySQL."""
        return _find(self.columns.get(table, {}), name)


def _find(names: Mapping[str, str], name: str) -> str | None:
    if name in names:
        return name
    alike = [known for known in names if known.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def copied_tables(source: Database) -> tuple[Table, ...]:
    """The tables that hold rows of their own."""
    return tuple(table for table in source.tables if table.kind in COPIED_KINDS)


def resolve_names(source: Database, policies: Policies, rename: Mapping[str, str]) -> Names:
    """Target names of all tables, sequences and columns.

    Raises VALIDATION_FAILED for a rename key that names nothing (or two things) and for a new name that
    PostgreSQL cannot hold. Names the policies refuse, and names that fall together, become REFUSED notes.
    """
    tables = copied_tables(source)
    renamed = resolved(tables, rename, _rename_problem, sequences=source.sequences)
    names = Names()
    scope = _Scope(policies, names.relations, "table")
    for table in tables:
        notes = names.table_notes.setdefault(table.name, [])
        wanted = renamed.get((table.name,))
        names.tables[table.name] = scope.name(table.name, wanted, notes, table.name, None)
    names.types = Namespace(names.tables.values())
    sequence_scope = _Scope(policies, names.relations, "sequence", scope.folded)
    for sequence in source.sequences:
        wanted = renamed.get((sequence.name,))
        names.sequences[sequence.name] = sequence_scope.name(sequence.name, wanted, names.notes, None, None)
    for table in tables:
        notes = names.table_notes[table.name]
        inner = _Scope(policies, Namespace(SYSTEM_COLUMNS), "column")
        names.columns[table.name] = {
            column.name: inner.name(
                column.name, renamed.get((table.name, column.name)), notes, table.name, column.name
            )
            for column in table.columns
        }
    return names


class _Scope:
    """Naming within one namespace, with the notes for whatever does not keep its name."""

    def __init__(
        self, policies: Policies, space: Namespace, noun: str, folded: dict[str, str] | None = None
    ) -> None:
        self._policies = policies
        self._space = space
        self._noun = noun
        self.folded: dict[str, str] = {} if folded is None else folded  # target name → source name

    def name(
        self, source: str, wanted: str | None, notes: list[Note], table: str | None, column: str | None
    ) -> str:
        """The target name of `source`; `wanted` is the user's own choice."""
        asked = wanted if wanted is not None else source
        if wanted is None and self._policies.identifiers == "lower":
            asked = source.lower()
        self._check(source, asked, notes, table, column)
        target = self._space.take(asked, source)
        self.folded[target] = source
        if target != source:
            severity, slug, why = self._reason(source, asked, target, wanted is not None)
            message = f"The {self._noun} {source!r} is called {target!r} on the target{why}."
            notes.append(Note(severity, slug, message, table, column))
        return target

    def _check(
        self, source: str, asked: str, notes: list[Note], table: str | None, column: str | None
    ) -> None:
        if byte_length(asked) > MAX_BYTES and self._policies.long_identifiers == "refuse":
            message = f"The {self._noun} name {asked!r} is longer than {MAX_BYTES} bytes."
            notes.append(
                Note(Severity.REFUSED, "long-name-refused", message, table, column, "longIdentifiers")
            )
        other = self.folded.get(fit(asked))
        if other is not None:
            message = (
                f"The {self._noun}s {other!r} and {source!r} would both be called {asked!r};"
                " rename one of them or keep exact names."
            )
            notes.append(Note(Severity.REFUSED, "name-collision", message, table, column, "identifiers"))

    def _reason(self, source: str, asked: str, target: str, chosen: bool) -> tuple[Severity, str, str]:
        if chosen:
            return Severity.INFO, "renamed", " as asked for"
        if byte_length(asked) > MAX_BYTES:
            return Severity.WARNING, "long-name", f": PostgreSQL names have at most {MAX_BYTES} bytes"
        if self._noun == "column" and asked in SYSTEM_COLUMNS:
            return Severity.WARNING, "system-column-name", f": {asked!r} is a system column of PostgreSQL"
        if target == asked:
            return Severity.INFO, "lower-case-name", ", in lower case"
        return Severity.WARNING, "name-taken", ": another object has that name"


def _rename_problem(path: Path, new: str) -> str | None:
    if not new or "\0" in new:
        return "the new name is empty or has a NUL character"
    if byte_length(new) > MAX_BYTES:
        return f"the new name is longer than {MAX_BYTES} bytes"
    if len(path) == 2 and new in SYSTEM_COLUMNS:
        return f"{new!r} is a system column of PostgreSQL"
    return None
