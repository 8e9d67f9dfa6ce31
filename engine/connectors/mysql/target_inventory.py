"""What a copy of tables does not carry: said once each, so that nobody finds out later."""

from __future__ import annotations

from engine.connectors.base import Note, Severity
from engine.connectors.mysql.target_context import MappedDatabase, MappedTable
from engine.connectors.mysql.target_server import MAX_COLUMNS
from engine.schema import TableKind


def note_database(database: MappedDatabase) -> None:
    """Views, routines, triggers, events and sequences of the source."""
    source = database.source
    for view in source.views:
        _warn(database, "view-not-copied", f"The view {view.name!r} is not copied.")
    for table in source.tables:
        if table.kind is TableKind.VIEW:
            _warn(database, "view-not-copied", f"The view {table.name!r} is not copied.")
    for routine in source.routines:
        _warn(database, "routine-not-copied", f"The {routine.kind.lower()} {routine.name!r} is not copied.")
    for trigger in source.triggers:
        message = f"The trigger {trigger.name!r} ({trigger.timing} {trigger.event}) is not copied."
        database.notes.append(Note(Severity.WARNING, "trigger-not-copied", message, trigger.table))
    for event in source.events:
        _warn(database, "event-not-copied", f"The event {event.name!r} is not copied.")
    for sequence in source.sequences:
        _warn(database, "sequence-not-copied", f"The sequence {sequence.name!r} is not copied.")


def _warn(database: MappedDatabase, slug: str, message: str) -> None:
    database.notes.append(Note(Severity.WARNING, slug, message))


def note_table(table: MappedTable) -> None:
    """What the table itself loses, and what it may not be able to hold."""
    source = table.source
    if source.partitions:
        count, method = len(source.partitions), source.partitions[0].method
        table.inform("partitions-flattened", f"{count} partitions ({method}) become one plain table.")
    if source.kind is TableKind.SYSTEM_VERSIONED:
        table.warn("system-versioned", "Only the current rows are copied, not their history.")
    if table.is_family and source.engine and source.engine.lower() != "innodb":
        table.inform("engine-changed", f"The table is {source.engine} on the source and InnoDB here.")
    if not source.primary_key:
        table.inform("no-primary-key", "The table has no primary key.")
    count = len(source.columns)
    if count > MAX_COLUMNS:
        message = f"The table has {count} columns; InnoDB holds at most {MAX_COLUMNS}."
        table.note(Severity.REFUSED, "too-many-columns", message)
