"""What a format says of a table before its rows are read, and the seam between formats and the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from engine.connectors.base import Note
from engine.errors import Code, EngineError
from engine.formats.storage import StoredFile
from engine.formats.tables import FileTable
from engine.schema import Column, Table
from engine.types import Image


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A column of the table. stored: its name in the files; how: what makes the image of it, for its format
    alone; label: that in words, part of the shape a stream remembers."""

    column: Column
    image: Image
    arrow: pa.DataType
    stored: str
    how: Any
    label: str = ""

    @property
    def name(self) -> str:
        return self.column.name


@dataclass(frozen=True, slots=True)
class Unit:
    """The least that is read at once: a whole file (0, None), a range of its bytes, or some row groups.
    `end` is the first that is not of it."""

    file: StoredFile
    start: int = 0
    end: int | None = None
    rows: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Layout:
    """A table of files as a format sees it. rows: by path. state: of the format alone."""

    table: FileTable
    columns: tuple[FileColumn, ...]
    rows: dict[str, int]
    units: list[Unit]
    structure: Table
    notes: list[Note] = field(default_factory=list)
    octets: dict[str, int] = field(default_factory=dict)
    state: Any = None

    def column(self, name: str) -> FileColumn:
        for column in self.columns:
            if column.name == name:
                return column
        raise EngineError(
            Code.UNKNOWN_COLUMN,
            f"{self.table.name} has no column {name}",
            table=self.table.name,
            column=name,
        )


class Format(Protocol):
    def look(self, table: FileTable) -> Layout:
        """Columns and units of a table. Raises ROW_REJECTED, VALUE_NOT_REPRESENTABLE, STRUCTURE_MISMATCH."""

    def batches(
        self, layout: Layout, columns: Sequence[FileColumn], unit: Unit, rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a unit in their order, as the images of those columns, about `rows` a batch. Closing
        the iterator ends what it began."""


def unique_names(stored: Sequence[str]) -> list[str]:
    """Names of columns from those in a file: what is empty is `column<n>`, what repeats gets `_<n>`."""
    taken: set[str] = set()
    names: list[str] = []
    for number, name in enumerate(stored):
        wanted = name.replace("\0", "") or f"column{number}"
        found, count = wanted, 1
        while found in taken or (found != name and found in stored):
            count += 1
            found = f"{wanted}_{count}"
        taken.add(found)
        names.append(found)
    return names
