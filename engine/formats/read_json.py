"""Tables of JSON and JSONL files: every value keeps its own text until it becomes what its column is."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial

import duckdb
import pyarrow as pa

from engine.config import FileReading
from engine.connectors.base import Note, Severity
from engine.errors import Code, EngineError
from engine.formats import read_manifest, read_types
from engine.formats.infer import Inferred, TextColumn, TextFile, infer
from engine.formats.read_layout import FileColumn, Layout, Unit, unique_names
from engine.formats.read_members import ObjectStream, Token
from engine.formats.read_objects import Keys, ObjectTexts
from engine.formats.read_session import Pulled, Sessions
from engine.formats.read_stream import pieces
from engine.formats.read_text import asked_types, batches_of, decoded, make_layout, renamed_notes, sent
from engine.formats.read_types import FileType
from engine.formats.storage import Storage, StoredFile
from engine.formats.tables import FileTable
from engine.types import Image


class JsonTables:
    """Implements Format."""

    def __init__(self, storage: Storage, reading: FileReading, schema: str, sessions: Sessions) -> None:
        self._storage = storage
        self._sessions = sessions
        self._reading = reading
        self._schema = schema

    def _pieces(self, table: FileTable, file: StoredFile) -> Iterator[bytes]:
        return pieces(self._storage, file, table.compression(file), self._reading.csv.encoding)

    def _objects(self, table: FileTable, file: StoredFile, raw: frozenset[str] = frozenset()) -> ObjectTexts:
        return ObjectTexts(self._pieces(table, file), file.path, raw)

    # ------------------------------------------------------------ looking

    def look(self, table: FileTable) -> Layout:
        if table.manifest is not None:
            listed = read_manifest.rows_of(table, table.manifest)
            units = [Unit(file, rows=listed[file.path], bytes=file.size) for file in table.files]
            return read_manifest.layout_of(table, self._schema, units, None)
        kinds, rows, gaps = self._keys(table)
        if not kinds:
            raise EngineError(
                Code.VALIDATION_FAILED,
                f"{table.files[0].path} holds no object with a key: {table.name} would have no columns",
                table=table.name,
                path=table.files[0].path,
            )
        keys = list(kinds)
        names = unique_names(keys)
        asked = asked_types(table.name, names, self._reading.columns)
        types: dict[str, FileType] = {}
        for key, kind in zip(keys, asked, strict=True):
            if (fixed := _fixed(kinds[key], kind)) is not None:
                types[key] = fixed
        raw = frozenset(key for key, kind in types.items() if kind is read_types.JSON)
        columns = [
            TextColumn(name, f"c{number}", kind, _family(kinds[key]))
            for number, (name, key, kind) in enumerate(zip(names, keys, asked, strict=True))
            if key not in types
        ]
        notes = [
            *renamed_notes(table.name, keys, names),
            *_notes(table.name, keys, names, kinds, types, gaps),
        ]
        octets: dict[str, int] = {}
        if columns:
            found = self._inferred(table, columns, keys, raw)
            types |= {keys[int(column.sql[1:])]: found.types[column.name] for column in columns}
            octets = found.octets
            notes += found.notes
        made = [(name, key, types[key]) for name, key in zip(names, keys, strict=True)]
        return make_layout(table, self._schema, made, rows, notes, octets, raw)

    def _inferred(
        self, table: FileTable, columns: Sequence[TextColumn], keys: Sequence[str], raw: frozenset[str]
    ) -> Inferred:
        places = {column.sql: keys[int(column.sql[1:])] for column in columns}
        files = [
            TextFile(file.path, partial(self._relation, table, file, places, raw)) for file in table.files
        ]
        try:
            return infer(table.name, columns, files)
        except EngineError as error:
            raise self._with_line(error, table) from None

    def _keys(self, table: FileTable) -> tuple[dict[str, Token], dict[str, int], set[str]]:
        """Every key in the order of its first appearance with the kinds of its values; rows by file; the keys
        that some object lacks."""
        keys = Keys()
        rows = {file.path: self._objects(table, file).look(keys) for file in table.files}
        total = sum(rows.values())
        return keys.kinds, rows, {key for key, count in keys.counts.items() if count < total}

    @contextlib.contextmanager
    def _relation(
        self, table: FileTable, file: StoredFile, places: Mapping[str, str], raw: frozenset[str]
    ) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """The texts of a file as a relation with a column for each of `places`: its name → the key."""
        schema = pa.schema([pa.field(name, pa.string()) for name in places])
        failure: list[EngineError] = []
        objects = self._objects(table, file, raw)
        batches = Pulled(self._texts(objects, list(places.values()), schema, failure))
        try:
            with self._sessions.take() as session:
                session.connection.register("rows", pa.RecordBatchReader.from_batches(schema, batches))
                yield session.connection, "rows"
                session.connection.unregister("rows")
        except (duckdb.Error, pa.ArrowException):
            if failure:
                raise failure[0] from None
            raise
        finally:
            batches.close()
        if failure:
            raise failure[0]

    def _texts(
        self, objects: ObjectTexts, keys: Sequence[str], schema: pa.Schema, failure: list[EngineError]
    ) -> Generator[pa.RecordBatch, None, None]:
        """Batches of texts, NULL for what is null or missing."""
        try:
            for arrays in objects.batches(keys):
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        except EngineError as error:
            failure.append(error)
            raise

    def _with_line(self, error: EngineError, table: FileTable) -> EngineError:
        row, path = error.details.get("row"), error.details.get("file")
        file = next((file for file in table.files if file.path == path), None)
        if row is None or file is None:
            return error
        objects = ObjectStream(self._pieces(table, file), file.path)
        if next(itertools.islice(objects, row - 1, None), None) is not None:
            error.details["line"] = objects.line
            error.message = error.message.replace(f"{path}:", f"{path}, line {objects.line}:", 1)
            error.args = (error.message,)
        return error

    # ------------------------------------------------------------ reading

    def batches(
        self, layout: Layout, columns: Sequence[FileColumn], unit: Unit, rows: int
    ) -> Iterator[pa.RecordBatch]:
        table = layout.table
        names = [f"c{number}" for number in range(len(columns))]
        places = {name: column.stored for name, column in zip(names, columns, strict=True)}
        if table.manifest is not None:
            raw = frozenset(column.stored for column in columns if _is_nested(column))
            schema = pa.schema([pa.field(name, pa.string()) for name in names])
            objects = self._objects(table, unit.file, raw)
            for batch in self._texts(objects, list(places.values()), schema, []):
                yield decoded(columns, batch.columns)
            return
        made = pa.schema([pa.field(column.name, column.arrow) for column in columns])
        expressions = [
            sent(FileColumn(column.column, column.image, column.arrow, name, column.how), False)
            for name, column in zip(names, columns, strict=True)
        ]
        with self._relation(table, unit.file, places, layout.state) as (connection, relation):
            statement = f"SELECT {', '.join(expressions)} FROM {relation}"
            yield from batches_of(connection, statement, made, rows)


def _is_nested(column: FileColumn) -> bool:
    """Whether JSON of ours has the value nested, so that its own text is wanted."""
    known = column.how
    return column.image in (Image.JSON, Image.VECTOR, Image.SET, Image.SET_TEXT) and known.encoding in (
        "plain",
        "labels",
    )


def _fixed(kinds: Token, asked: FileType | None) -> FileType | None:
    """The type of a column that is not inferred from texts: nested, or of several kinds."""
    given = kinds & ~Token.NULL
    if asked is not None:
        return read_types.JSON if asked is read_types.JSON else None
    if given & Token.NESTED or given not in (Token(0), Token.STRING, Token.NUMBER, Token.BOOL):
        return read_types.JSON
    return read_types.BOOLEAN if given is Token.BOOL else None


def _family(kinds: Token) -> str:
    return "number" if kinds & Token.NUMBER else "string"


def _notes(
    table: str,
    keys: Sequence[str],
    names: Sequence[str],
    kinds: Mapping[str, Token],
    fixed: Mapping[str, FileType],
    gaps: set[str],
) -> Iterator[Note]:
    for key, name in zip(keys, names, strict=True):
        given = kinds[key] & ~Token.NULL
        if key in fixed and fixed[key] is read_types.JSON and given != Token.NESTED:
            message = f"{table}.{name}: values of several kinds of JSON: kept as JSON."
            yield Note(Severity.INFO, "json-mixed", message, table, name)
        if key in gaps:
            message = f"{table}.{name}: some objects lack the key, which is read as NULL like a null."
            yield Note(Severity.INFO, "json-missing-key", message, table, name)
