"""What a copy of tables does not carry: said once each, so that nobody finds out later."""

from __future__ import annotations

from engine.connectors.base import Severity
from engine.connectors.mapped import left_behind, not_copied
from engine.connectors.mysql.target_context import MappedDatabase, MappedTable
from engine.connectors.mysql.target_server import MAX_COLUMNS


def note_database(database: MappedDatabase) -> None:
    """Views, routines, triggers, events and sequences of the source."""
    database.notes += not_copied(database.source)
    database.notes += [left_behind("sequence", sequence.name) for sequence in database.source.sequences]


def note_table(table: MappedTable) -> None:
    """What the table itself loses, and what it may not be able to hold."""
    source = table.source
    table.note_losses()
    if table.is_family and source.engine and source.engine.lower() != "innodb":
        table.inform("engine-changed", f"The table is {source.engine} on the source and InnoDB here.")
    count = len(source.columns)
    if count > MAX_COLUMNS:
        message = f"The table has {count} columns; InnoDB holds at most {MAX_COLUMNS}."
        table.note(Severity.REFUSED, "too-many-columns", message)
