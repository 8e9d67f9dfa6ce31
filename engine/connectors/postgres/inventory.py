"""What a copy of tables does not carry: said once each, so that nobody finds out later."""

from __future__ import annotations

from engine.connectors.base import Severity
from engine.connectors.mapped import not_copied
from engine.connectors.postgres.context import MappedDatabase, MappedTable

MAX_COLUMNS = 1600  # PostgreSQL, MaxHeapAttributeNumber
MAX_ROW = 8160  # bytes of a row on its page
_HEADER = 24  # of a row, without the bitmap of NULLs
_TOASTED = 18  # bytes left in the row of a value stored outside


def note_database(database: MappedDatabase) -> None:
    """Views, routines, triggers and events of the source."""
    database.notes += not_copied(database.source)


def note_table(table: MappedTable) -> None:
    """What the table itself loses, and what it may not be able to hold."""
    table.note_losses()
    for column in table.source.columns:
        if column.invisible:
            table.inform("invisible-column", "Invisible on the source; a plain column here.", column.name)
    _note_width(table)


def _note_width(table: MappedTable) -> None:
    count = len(table.columns)
    if count > MAX_COLUMNS:
        message = f"The table has {count} columns; PostgreSQL holds at most {MAX_COLUMNS}."
        table.note(Severity.REFUSED, "too-many-columns", message)
        return
    inline = inline_bytes(table)
    if inline > MAX_ROW:
        message = (
            f"A full row takes about {inline} bytes even with long values stored outside; PostgreSQL's limit"
            f" is {MAX_ROW}: rows with most columns filled will be refused."
        )
        table.warn("row-too-wide", message)


def inline_bytes(table: MappedTable) -> int:
    """The bytes of a row whose every column is filled and every long value is stored outside."""
    total = _HEADER + (len(table.columns) + 7) // 8
    for column in table.columns.values():
        if column.type.fixed is not None:
            total += column.type.fixed
        else:
            total += min(column.type.width or _TOASTED, _TOASTED)
    return total
