"""Names on a MySQL target: 64 characters of the basic plane, no blank at the end, and what falls together.

Every choice is a pure function of the source's structure and the options, so that a second plan of the same
stream finds the objects the first one made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from engine.config import Policies
from engine.connectors.base import Note, Severity
from engine.connectors.renames import Path, resolved
from engine.schema import COPIED_KINDS, Database, Table

MAX_CHARS = 64
_DIGEST = 8  # hex digits that tell changed names apart


def storable(name: str) -> bool:
    """Whether the server takes the name as it is."""
    return (
        0 < len(name) <= MAX_CHARS
        and not name.endswith(" ")
        and all("\0" < char <= "\uffff" for char in name)
    )


def shorten(name: str, identity: str | None = None) -> str:
    """A name the server takes, ending in a digest of `identity` (the name itself when None)."""
    digest = sha256((identity or name).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    plain = "".join(char if "\0" < char <= "\uffff" else "_" for char in name)
    return f"{plain[: MAX_CHARS - _DIGEST - 1]}_{digest}"


def fit(name: str) -> str:
    return name if storable(name) else shorten(name)


class Namespace:
    """Names taken so far in one scope; `fold` is what makes two names the same there."""

    def __init__(self, fold: Callable[[str], str] = str.casefold) -> None:
        self._fold = fold
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self._fold(name) in self._taken

    def take(self, wanted: str, identity: str) -> str:
        """`wanted` as the server takes it, made unique by a digest of `identity` where it is taken."""
        name, attempt = fit(wanted), 0
        while name in self:
            attempt += 1
            name = shorten(wanted, f"{identity}\0{attempt}" if attempt > 1 else identity)
        self._taken.add(self._fold(name))
        return name


@dataclass(slots=True)
class Names:
    """Source names → target names. Keys are exact source names."""

    tables: dict[str, str] = field(default_factory=dict)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: dict[str, list[Note]] = field(default_factory=dict)  # by source table
    constraints: Namespace = field(default_factory=Namespace)  # foreign keys and checks of the database


def copied_tables(source: Database) -> tuple[Table, ...]:
    """The tables that hold rows of their own."""
    return tuple(table for table in source.tables if table.kind in COPIED_KINDS)


def resolve_names(
    source: Database, policies: Policies, rename: Mapping[str, str], exact_tables: bool
) -> Names:
    """Target names of all tables and columns. `exact_tables`: the server tells table names apart by case.

    Raises VALIDATION_FAILED for a rename key that names nothing (or two things) and for a new name that the
    server cannot hold. Names the policies refuse, and tables that fall together, become REFUSED notes.
    """
    tables = copied_tables(source)
    wanted = resolved(tables, rename, _rename_problem)
    names = Names()
    relations = Namespace(str if exact_tables else str.casefold)
    for table in tables:
        notes = names.notes.setdefault(table.name, [])
        choose = _Choice(policies, relations, "table", notes, table.name)
        names.tables[table.name] = choose(table.name, wanted.get((table.name,)))
        columns = Namespace()
        names.columns[table.name] = {
            column.name: _Choice(policies, columns, "column", notes, table.name, column.name)(
                column.name, wanted.get((table.name, column.name))
            )
            for column in table.columns
        }
    return names


@dataclass(slots=True)
class _Choice:
    policies: Policies
    space: Namespace
    noun: str
    notes: list[Note]
    table: str
    column: str | None = None

    def __call__(self, source: str, renamed: str | None) -> str:
        asked = renamed if renamed is not None else source
        if renamed is None and self.policies.identifiers == "lower":
            asked = source.lower()
        if not storable(asked) and self.policies.long_identifiers == "refuse":
            message = f"The {self.noun} name {asked!r} is none that MySQL can hold."
            self._note(Severity.REFUSED, "long-name-refused", message, "longIdentifiers")
        if self.noun == "table" and storable(asked) and asked in self.space:
            message = f"Another table is called {asked!r} on the target too: rename one of them."
            self._note(Severity.REFUSED, "name-collision", message, "identifiers")
        target = self.space.take(asked, source)
        if target != source:
            self._explain(source, asked, target, renamed is not None)
        return target

    def _explain(self, source: str, asked: str, target: str, chosen: bool) -> None:
        severity, slug, why = Severity.WARNING, "name-taken", ": names are compared without case there"
        if chosen:
            severity, slug, why = Severity.INFO, "renamed", " as asked for"
        elif not storable(asked):
            slug, why = "long-name", f": names have at most {MAX_CHARS} plain characters there"
        elif target == asked:
            severity, slug, why = Severity.INFO, "lower-case-name", ", in lower case"
        self._note(severity, slug, f"The {self.noun} {source!r} is called {target!r} on the target{why}.")

    def _note(self, severity: Severity, slug: str, message: str, policy: str | None = None) -> None:
        self.notes.append(Note(severity, slug, message, self.table, self.column, policy))


def _rename_problem(path: Path, new: str) -> str | None:
    if storable(new):
        return None
    return f"a name of MySQL has 1 to {MAX_CHARS} characters and no blank at its end"
