"""Tables of CSV files: what their columns are, and their rows as images."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import duckdb
import pyarrow as pa

from engine.config import FileReading
from engine.connectors.base import Note, Severity
from engine.errors import Code, EngineError
from engine.formats import read_manifest, read_types
from engine.formats.infer import TextColumn, TextFile, infer
from engine.formats.manifest import ManifestTable
from engine.formats.read_csv import CsvFile, Dialect, with_longer_lines
from engine.formats.read_layout import FileColumn, Layout, Unit, unique_names
from engine.formats.read_session import Sessions
from engine.formats.read_types import FileType
from engine.formats.storage import Storage, StoredFile
from engine.formats.tables import FileTable
from engine.schema import Column, Table, TableKind


@dataclass(frozen=True, slots=True)
class CsvState:
    dialect: Dialect
    fields: int  # of a record


class CsvTables:
    """Implements Format."""

    def __init__(self, storage: Storage, reading: FileReading, schema: str, sessions: Sessions) -> None:
        self._storage = storage
        self._sessions = sessions
        self._reading = reading
        self._schema = schema

    def look(self, table: FileTable) -> Layout:
        if table.manifest is not None:
            return self._known(table, table.manifest)
        files = [self._file(table, file) for file in table.files]
        dialect = files[0].sniff(self._reading.csv)
        try:
            return self._inferred(table, files, dialect)
        except EngineError as error:
            if error.code is not Code.ROW_REJECTED:
                raise
            # Perhaps the sample was too small to see the dialect: look at everything before giving up.
            whole = files[0].sniff(self._reading.csv, sample=-1)
            if whole == dialect:
                raise
            try:
                return self._inferred(table, files, whole)
            except EngineError:
                raise error from None

    def _known(self, table: FileTable, known: ManifestTable) -> Layout:
        assert known.csv is not None
        listed = read_manifest.rows_of(table, known)
        units = [Unit(file, rows=listed[file.path], bytes=file.size) for file in table.files]
        state = CsvState(Dialect.of_manifest(known.csv), len(known.columns))
        return read_manifest.layout_of(table, self._schema, units, state)

    def _file(self, table: FileTable, file: StoredFile) -> CsvFile:
        return CsvFile(self._storage, file, table.compression(file), self._sessions)

    def _inferred(self, table: FileTable, files: Sequence[CsvFile], dialect: Dialect) -> Layout:
        stored = files[0].names(dialect)
        for other in files[1:]:
            _same_header(table, stored, other, dialect)
        names = unique_names(stored)
        notes = renamed_notes(table.name, stored, names)
        columns = [
            TextColumn(name, f"c{number}", asked)
            for number, (name, asked) in enumerate(
                zip(names, asked_types(table.name, names, self._reading.columns), strict=True)
            )
        ]
        while True:
            looked = [
                TextFile(file.file.path, partial(file.open, dialect, [column.sql for column in columns]))
                for file in files
            ]
            try:
                found = infer(table.name, columns, looked)
                break
            except EngineError as error:
                if (longer := with_longer_lines(dialect, error)) is not None:
                    dialect = longer
                    continue
                raise _with_line(error, files, dialect) from None
        layout = make_layout(
            table,
            self._schema,
            [(column.name, column.sql, found.types[column.name]) for column in columns],
            found.rows,
            [*notes, *found.notes],
            found.octets,
            CsvState(dialect, len(columns)),
        )
        layout.units = [
            part
            for file, unit in zip(files, layout.units, strict=True)
            for part in file.parts(dialect, unit.rows) or [unit]
        ]
        return layout

    def batches(
        self, layout: Layout, columns: Sequence[FileColumn], unit: Unit, rows: int
    ) -> Iterator[pa.RecordBatch]:
        state: CsvState = layout.state
        file = self._file(layout.table, unit.file)
        names = [f"c{number}" for number in range(state.fields)]
        if layout.table.manifest is not None:
            yield from self._decoded(layout, columns, file, names, rows)
            return
        kinds = {column.stored: _native(column.how) for column in layout.columns}
        types = [kinds.get(name) or "VARCHAR" for name in names]
        with file.open(state.dialect, names, types, unit) as (connection, relation):
            expressions = [sent(column, kinds[column.stored] is not None) for column in columns]
            yield from stream(connection, f"SELECT {', '.join(expressions)} FROM {relation}", columns, rows)

    def _decoded(
        self, layout: Layout, columns: Sequence[FileColumn], file: CsvFile, names: Sequence[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        state: CsvState = layout.state
        places = {column.name: number for number, column in enumerate(layout.columns)}
        texts = [names[places[column.name]] for column in columns]
        schema = pa.schema([pa.field(name, pa.string()) for name in texts])
        with file.open(state.dialect, names) as (connection, relation):
            for batch in batches_of(connection, f"SELECT {', '.join(texts)} FROM {relation}", schema, rows):
                yield decoded(columns, batch.columns)


def decoded(columns: Sequence[FileColumn], arrays: Sequence[pa.Array]) -> pa.RecordBatch:
    """What stands in a file of ours as images."""
    schema = pa.schema([pa.field(column.name, column.arrow) for column in columns])
    made = [read_manifest.decode(column.how, array) for column, array in zip(columns, arrays, strict=True)]
    return pa.RecordBatch.from_arrays(made, schema=schema)


_NATIVE = frozenset(
    {"BIGINT", "DATE", "DOUBLE", "BOOLEAN", "TIMESTAMP", "TIMESTAMPTZ", "INTEGER", "SMALLINT"}
)


def _native(kind: FileType) -> str | None:
    """The type that DuckDB's CSV reader itself makes, as exactly as a cast: every text was checked."""
    return kind.sql if kind.sql in _NATIVE and not kind.parse else None


def _same_header(table: FileTable, stored: Sequence[str], other: CsvFile, dialect: Dialect) -> None:
    names = other.names(dialect)
    if names == list(stored):
        return
    odd = next((name for name in names if name not in stored), None)
    odd = odd or next((name for name in stored if name not in names), None) or "(their order)"
    raise EngineError(
        Code.STRUCTURE_MISMATCH,
        f"{other.file.path} has not the columns of {table.files[0].path}, though both are of the table"
        f" {table.name}: {odd}",
        table=table.name,
        file=other.file.path,
        column=odd,
    )


def _with_line(error: EngineError, files: Sequence[CsvFile], dialect: Dialect) -> EngineError:
    """The line of a row that an error names."""
    row, path = error.details.get("row"), error.details.get("file")
    file = next((file for file in files if file.file.path == path), None)
    if row is None or file is None or "line" in error.details:
        return error
    line = file.line_of(dialect, row)
    if line is not None:
        error.details["line"] = line
        error.message = error.message.replace(f"{path}:", f"{path}, line {line}:", 1)
        error.args = (error.message,)
    return error


# ---------------------------------------------------------------- shared with JSON


def asked_types(table: str, names: Sequence[str], asked: Mapping[str, str]) -> list[FileType | None]:
    """The user's types by column; a key is a column's name, or `table.column`."""
    return [
        read_types.named(text) if (text := asked.get(f"{table}.{name}", asked.get(name))) else None
        for name in names
    ]


def renamed_notes(table: str, stored: Sequence[str], names: Sequence[str]) -> list[Note]:
    return [
        Note(
            Severity.WARNING,
            "column-renamed",
            f"{table}: the column {was!r}, number {number + 1}, is called {name} here: its own name is empty"
            " or taken.",
            table,
            name,
        )
        for number, (was, name) in enumerate(zip(stored, names, strict=True))
        if was != name
    ]


def make_layout(
    table: FileTable,
    schema: str,
    columns: Sequence[tuple[str, str, FileType]],
    rows: dict[str, int],
    notes: list[Note],
    octets: dict[str, int],
    state: object,
) -> Layout:
    made = tuple(
        FileColumn(
            Column(name, kind.logical, kind.name), kind.image, kind.arrow, stored, kind, kind.parsed("text")
        )
        for name, stored, kind in columns
    )
    structure = Table(
        schema,
        table.name,
        tuple(column.column for column in made),
        dialect="duckdb",
        kind=TableKind.FILE,
        estimated_rows=sum(rows.values()),
        estimated_bytes=table.bytes,
    )
    units = [Unit(file, rows=rows.get(file.path, 0), bytes=file.size) for file in table.files]
    return Layout(table, made, rows, units, structure, notes, octets, state)


def sent(column: FileColumn, parsed: bool) -> str:
    """The SELECT expression that gives a column's image, from its text or its value."""
    kind: FileType = column.how
    text = column.stored
    return f"{kind.sent(text if parsed else kind.parsed(text))} AS {text}"


def stream(
    connection: duckdb.DuckDBPyConnection, statement: str, columns: Sequence[FileColumn], rows: int
) -> Generator[pa.RecordBatch, None, None]:
    """The result of a SELECT as batches of images."""
    schema = pa.schema([pa.field(column.name, column.arrow) for column in columns])
    yield from batches_of(connection, statement, schema, rows)


def batches_of(
    connection: duckdb.DuckDBPyConnection, statement: str, schema: pa.Schema, rows: int
) -> Generator[pa.RecordBatch, None, None]:
    """The result of a SELECT, cast to a schema whose names need not be its own."""
    reader = connection.execute(statement).to_arrow_reader(rows)
    with contextlib.closing(reader):
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except pa.ArrowException as error:  # what DuckDB raises while it streams
                raise duckdb.Error(str(error)) from None
            arrays = [
                array if array.type == field.type else array.cast(field.type)
                for array, field in zip(batch.columns, schema, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
