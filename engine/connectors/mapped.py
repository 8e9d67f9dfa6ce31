"""A table of the source on its way to a target: what is found in it by name, and what the plan says of it."""

from __future__ import annotations

from typing import Generic, TypeVar

from engine.connectors.base import Note, Severity
from engine.schema import Database, Table, TableKind

Column = TypeVar("Column")


class Mapped(Generic[Column]):
    """To be mixed into a dataclass with these three; `columns` are by the names of the source."""

    __slots__ = ()
    source: Table
    columns: dict[str, Column]
    notes: list[Note]

    @property
    def caseless(self) -> bool:
        """Whether a reference of the source means a column whatever the case of its name."""
        return True

    def find(self, name: str | None) -> Column | None:
        """The column meant by a reference of the source."""
        if name is None:
            return None
        if name in self.columns:
            return self.columns[name]
        alike = [column for known, column in self.columns.items() if known.casefold() == name.casefold()]
        return alike[0] if len(alike) == 1 and self.caseless else None

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

    def note_losses(self) -> None:
        """What a table loses on every server."""
        if self.source.partitions:
            count, method = len(self.source.partitions), self.source.partitions[0].method
            self.inform("partitions-flattened", f"{count} partitions ({method}) become one plain table.")
        if self.source.kind is TableKind.SYSTEM_VERSIONED:
            self.warn("system-versioned", "Only the current rows are copied, not their history.")
        if not self.source.primary_key:
            self.inform("no-primary-key", "The table has no primary key.")


def not_copied(source: Database) -> list[Note]:
    """Views, routines, triggers and events of the source: said once each, so that nobody finds out later."""
    views = [view.name for view in source.views]
    views += [table.name for table in source.tables if table.kind is TableKind.VIEW]
    notes = [left_behind("view", name) for name in views]
    notes += [left_behind("routine", routine.name, routine.kind.lower()) for routine in source.routines]
    for trigger in source.triggers:
        message = f"The trigger {trigger.name!r} ({trigger.timing} {trigger.event}) is not copied."
        notes.append(Note(Severity.WARNING, "trigger-not-copied", message, trigger.table))
    return notes + [left_behind("event", event.name) for event in source.events]


def left_behind(kind: str, name: str, called: str = "") -> Note:
    return Note(Severity.WARNING, f"{kind}-not-copied", f"The {called or kind} {name!r} is not copied.")
