"""Tables of Parquet files, by row groups, with the types the files themselves declare."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.config import FileReading
from engine.connectors.base import Note, Severity
from engine.errors import Code, EngineError
from engine.formats import read_arrow, read_manifest
from engine.formats.read_arrow import Carried
from engine.formats.read_layout import FileColumn, Layout, Unit, unique_names
from engine.formats.read_text import decoded, renamed_notes
from engine.formats.storage import Storage, StoredFile
from engine.formats.tables import FileTable
from engine.schema import Column, Table, TableKind


@dataclass(frozen=True, slots=True)
class ParquetState:
    """simple: columns can be asked for by name, one of each, no dots."""

    schema: pa.Schema
    simple: bool


class ParquetTables:
    """Implements Format."""

    def __init__(self, storage: Storage, reading: FileReading, schema: str) -> None:
        self._storage = storage
        self._reading = reading
        self._schema = schema

    @contextlib.contextmanager
    def _open(self, file: StoredFile) -> Iterator[pq.ParquetFile]:
        """The file, its INT96 as microseconds: nanoseconds reach from 1677 to 2262 only."""
        with contextlib.ExitStack() as stack:
            source: Any = stack.enter_context(self._storage.open(file.path, file.version))
            try:
                opened = pq.ParquetFile(pa.PythonFile(source, mode="r"), coerce_int96_timestamp_unit="us")
                stack.callback(opened.close)
                yield opened
            except (pa.ArrowException, OSError) as error:
                raise EngineError(
                    Code.ROW_REJECTED,
                    f"{file.path} is no Parquet file, or a damaged one: {str(error)[:300]}",
                    file=file.path,
                ) from error

    def look(self, table: FileTable) -> Layout:
        first: pa.Schema | None = None
        units: list[Unit] = []
        rows: dict[str, int] = {}
        plain: dict[int, str] = {}
        for file in table.files:
            with self._open(file) as opened:
                if first is None:
                    first = opened.schema_arrow
                    plain = _physical(opened)
                else:
                    _same_schema(table, first, opened.schema_arrow, file)
                rows[file.path] = opened.metadata.num_rows
                for number in range(opened.metadata.num_row_groups):
                    group = opened.metadata.row_group(number)
                    size = max(1, group.total_byte_size)
                    units.append(Unit(file, number, number + 1, group.num_rows, size))
        if table.manifest is not None:
            names = first.names if first is not None else []
            state = ParquetState(first or pa.schema([]), _is_simple(names))
            return _numbered(read_manifest.layout_of(table, self._schema, units, state), names)
        assert first is not None
        return self._layout(table, first, plain, rows, units)

    def _layout(
        self,
        table: FileTable,
        schema: pa.Schema,
        plain: dict[int, str],
        rows: dict[str, int],
        units: list[Unit],
    ) -> Layout:
        if asked := sorted(set(self._reading.columns) & set(schema.names)):
            raise EngineError(
                Code.VALIDATION_FAILED,
                f"columns: the types of a Parquet file are its own; {asked[0]} of {table.name} cannot be"
                " given another",
                field="columns",
                column=asked[0],
            )
        names = unique_names(schema.names)
        notes = renamed_notes(table.name, schema.names, names)
        columns = []
        for number, (name, field) in enumerate(zip(names, schema, strict=True)):
            how = _carried(table, field, plain.get(number, ""))
            remark = how.remark or _REMARKS.get(plain.get(number, ""), "")
            if remark:
                message = f"{table.name}.{name}: {remark}."
                notes.append(Note(Severity.INFO, "inferred-doubtful", message, table.name, name))
            column = Column(name, how.logical, str(field.type), nullable=field.nullable)
            columns.append(FileColumn(column, how.image, how.arrow, str(number), how, str(field.type)))
        structure = Table(
            self._schema,
            table.name,
            tuple(column.column for column in columns),
            dialect="duckdb",
            kind=TableKind.FILE,
            estimated_rows=sum(rows.values()),
            estimated_bytes=sum(unit.bytes for unit in units),
        )
        state = ParquetState(schema, _is_simple(schema.names))
        return Layout(table, tuple(columns), rows, units, structure, notes, {}, state)

    def batches(
        self, layout: Layout, columns: Sequence[FileColumn], unit: Unit, rows: int
    ) -> Iterator[pa.RecordBatch]:
        state: ParquetState = layout.state
        schema = pa.schema([pa.field(column.name, column.arrow) for column in columns])
        numbers = [int(column.stored) for column in columns]
        names = [state.schema.names[number] for number in numbers] if state.simple else None
        end = unit.end if unit.end is not None else unit.start + 1
        at = 0
        with self._open(unit.file) as opened:
            groups = list(range(unit.start, end))
            for batch in opened.iter_batches(rows, row_groups=groups, columns=names, use_threads=False):
                found = (
                    [batch.column(name) for name in names]
                    if names is not None
                    else [batch.column(number) for number in numbers]
                )
                if layout.table.manifest is not None:
                    yield decoded(columns, found)
                    continue
                arrays = [
                    _converted(layout, column, array, unit, at)
                    for column, array in zip(columns, found, strict=True)
                ]
                at += batch.num_rows
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _is_simple(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names) and not any("." in name for name in names)


def _numbered(layout: Layout, names: Sequence[str]) -> Layout:
    """With the places of the columns in the files, where there are any."""
    if names:
        layout.columns = tuple(
            replace(column, stored=str(names.index(column.stored))) for column in layout.columns
        )
    return layout


_REMARKS = {
    "INT96": "an INT96 moment says nothing of its zone: taken for one without, read as UTC gives it",
}


def _physical(opened: pq.ParquetFile) -> dict[int, str]:
    """What the Arrow schema does not tell, of columns without children: INT96 and INTERVAL, by number."""
    numbers = {name: number for number, name in enumerate(opened.schema_arrow.names)}
    found = {}
    for index in range(len(opened.schema)):
        column = opened.schema.column(index)
        if column.path in numbers:
            if column.physical_type == "INT96":
                found[numbers[column.path]] = "INT96"
            elif column.converted_type == "INTERVAL":
                found[numbers[column.path]] = "INTERVAL"
    return found


def _carried(table: FileTable, field: pa.Field, physical: str) -> Carried:
    how = read_arrow.interval() if physical == "INTERVAL" else read_arrow.carried(field.type)
    if how is None:
        raise EngineError(
            Code.VALUE_NOT_REPRESENTABLE,
            f"{table.name}.{field.name}: the type {field.type} cannot be carried",
            table=table.name,
            column=field.name,
        )
    return how


def _same_schema(table: FileTable, first: pa.Schema, other: pa.Schema, file: StoredFile) -> None:
    if first.names == other.names and first.types == other.types:
        return
    odd = next((name for name in other.names if name not in first.names), None)
    odd = odd or next((name for name in first.names if name not in other.names), None)
    if odd is None:
        pairs = zip(first, other, strict=True)
        odd = next((b.name for a, b in pairs if a.name == b.name and a.type != b.type), "(their order)")
    kinds = (
        f" ({first.field(odd).type}, {other.field(odd).type})"
        if odd in first.names and odd in other.names
        else ""
    )
    raise EngineError(
        Code.STRUCTURE_MISMATCH,
        f"{file.path} has not the columns of {table.files[0].path}, though both are of the table"
        f" {table.name}: {odd}{kinds}",
        table=table.name,
        file=file.path,
        column=odd,
    )


def _converted(layout: Layout, column: FileColumn, array: pa.Array, unit: Unit, at: int) -> pa.Array:
    how: Carried = column.how
    try:
        made = how.convert(array)
    except pa.ArrowInvalid as error:
        for number in range(len(array)):
            try:
                how.convert(array.slice(number, 1))
            except pa.ArrowInvalid:
                raise EngineError(
                    Code.VALUE_NOT_REPRESENTABLE,
                    f"{layout.table.name}.{column.name} in {unit.file.path}, row {at + number + 1} of row"
                    f" group {unit.start}: {_printed(array, number)} cannot be carried exactly ({error})",
                    table=layout.table.name,
                    column=column.name,
                    file=unit.file.path,
                ) from error
        raise
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def _printed(array: pa.Array, number: int) -> str:
    """A value that Python's own types may be too narrow for."""
    return str(array.slice(number, 1).cast(pa.string())[0].as_py())
