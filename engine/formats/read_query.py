"""A SELECT over the tables of a source of files.

It runs in a DuckDB database of its own, in a folder that is removed afterwards, into which the tables it
names are copied first: the session can open no file, no network and no extension, whatever the SELECT
says. Its tables hold DuckDB's types: decimals beyond 38 digits are text, nested values JSON text.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from engine.errors import Code, EngineError
from engine.formats import read_types
from engine.formats.read_layout import FileColumn, Layout, Unit
from engine.formats.read_session import MEMORY, THREADS, Pulled, literal, quote
from engine.formats.read_text import batches_of
from engine.formats.read_types import FileType
from engine.formats.select import carried
from engine.formats.storage import StoredFile
from engine.formats.tables import FileTable
from engine.schema import Column, Table, TableKind
from engine.types import Image, Kind, LogicalType

Rows = Callable[[Layout], Generator[pa.RecordBatch, None, None]]


@dataclass(frozen=True, slots=True)
class QueryState:
    """sources: the tables the SELECT names, by their layouts."""

    query: str
    sources: tuple[Layout, ...]


def look(name: str, query: str, schema: str, known: Sequence[str], layout: Callable[[str], Layout]) -> Layout:
    """The result of a SELECT as a table, found out over empty tables. QUERY_FAILED with DuckDB's words, and
    for what is no single SELECT."""
    with contextlib.closing(duckdb.connect(":memory:")) as parser:
        _check_statement(parser, query)
        named = {table.casefold() for table in _named(parser, query)}
    sources = tuple(layout(table) for table in known if table.casefold() in named)
    with _session() as connection:
        for source in sources:
            _create(connection, source, None)
        _lock(connection)
        try:
            found = connection.execute(f"DESCRIBE {query}").fetchall()
        except duckdb.Error as error:
            raise _failed(error) from None
    columns = tuple(_column(number, str(row[0]), str(row[1])) for number, row in enumerate(found))
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        twice = next(item for item in names if names.count(item) > 1)
        raise EngineError(
            Code.QUERY_FAILED,
            f"the query {name} has two columns called {twice}: give them names",
            column=twice,
        )
    structure = Table(
        schema,
        name,
        tuple(column.column for column in columns),
        dialect="duckdb",
        kind=TableKind.QUERY,
        estimated_rows=sum(source.structure.estimated_rows for source in sources),
        estimated_bytes=sum(source.structure.estimated_bytes for source in sources),
        query=query,
    )
    unit = Unit(StoredFile("(query)", 0, ""), rows=-1, bytes=structure.estimated_bytes)
    return Layout(
        FileTable(name, "parquet", ()), columns, {}, [unit], structure, state=QueryState(query, sources)
    )


def batches(
    layout: Layout, columns: Sequence[FileColumn], rows: int, read: Rows
) -> Generator[pa.RecordBatch, None, None]:
    """The rows of the SELECT. `read` gives those of a table, all its columns in order."""
    state: QueryState = layout.state
    with _session() as connection:
        for source in state.sources:
            _create(connection, source, read)
        _lock(connection)
        sent = ", ".join(f"{column.how} AS {column.stored}" for column in columns)
        names = ", ".join(column.stored for column in layout.columns)
        schema = pa.schema([pa.field(column.name, column.arrow) for column in columns])
        try:
            # As a view the text is the end of its statement, comments behind a semicolon and all.
            connection.execute(f"CREATE TEMP VIEW _query({names}) AS {state.query}")
            yield from batches_of(connection, f"SELECT {sent} FROM _query", schema, rows)
        except duckdb.Error as error:
            raise _failed(error) from error


def _check_statement(parser: duckdb.DuckDBPyConnection, query: str) -> None:
    try:
        statements = parser.extract_statements(query)
    except duckdb.Error as error:
        raise _failed(error) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise EngineError(Code.QUERY_FAILED, "the query must be one SELECT", query=query[:1000])


def _named(parser: duckdb.DuckDBPyConnection, query: str) -> set[str]:
    try:
        return set(parser.get_table_names(query))
    except duckdb.Error as error:
        raise _failed(error) from None


def _failed(error: duckdb.Error) -> EngineError:
    said = str(error).strip()
    return EngineError(
        Code.QUERY_FAILED, f"the query was refused: {said.splitlines()[0][:300]}", serverMessage=said[:2000]
    )


@contextlib.contextmanager
def _session() -> Iterator[duckdb.DuckDBPyConnection]:
    with tempfile.TemporaryDirectory(prefix="dbstreams-query-") as folder:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": THREADS,
            "memory_limit": MEMORY,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        }
        with contextlib.closing(
            duckdb.connect(os.path.join(folder, "query.db"), config=config)
        ) as connection:
            connection.execute(f"SET temp_directory = {literal(folder)}")
            connection.execute("SET TimeZone = 'UTC'")
            yield connection


def _lock(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _create(connection: duckdb.DuckDBPyConnection, source: Layout, read: Rows | None) -> None:
    """The table as the SELECT sees it, empty without `read`."""
    schema = pa.schema([pa.field(column.name, carried(column.arrow)) for column in source.columns])
    failure: list[BaseException] = []

    def carry() -> Generator[pa.RecordBatch, None, None]:
        if read is None:
            return
        try:
            for batch in read(source):
                arrays = [
                    array if array.type == field.type else array.cast(field.type)
                    for array, field in zip(batch.columns, schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        except GeneratorExit:
            raise
        except BaseException as error:
            failure.append(error)
            raise

    pulled = Pulled(carry())
    connection.register("_rows", pa.RecordBatchReader.from_batches(schema, pulled))
    values = ", ".join(f"{_value(column)} AS {quote(column.name)}" for column in source.columns)
    try:
        connection.execute(f"CREATE TABLE {quote(source.table.name)} AS SELECT {values} FROM _rows")
    except duckdb.Error as error:
        if failure:
            raise failure[0] from None
        raise _failed(error) from error
    finally:
        pulled.close()
        connection.unregister("_rows")
    if failure:
        raise failure[0]


def _value(column: FileColumn) -> str:
    """What a SELECT should see of an image."""
    name = quote(column.name)
    if column.image is Image.UUID:
        return f"CAST(lower(hex({name})) AS UUID)"
    if column.image is Image.DURATION:
        if column.column.type.kind is Kind.TIME_OF_DAY:
            return f"CAST(to_microseconds({name}) AS VARCHAR)::TIME"
        return f"to_microseconds({name})"
    if column.image is Image.INTERVAL:
        parts = (f"to_{unit}({name}.{unit})" for unit in ("months", "days", "microseconds"))
        return " + ".join(parts)
    return name


def _column(number: int, name: str, kind: str) -> FileColumn:
    """A column of the result: how is the expression that makes its image."""
    value = f"c{number}"
    found = _known(kind)
    if found is not None:
        made = found.sent(value if found.sql else f"CAST({value} AS VARCHAR)")
        column = Column(name, found.logical, kind)
        return FileColumn(column, found.image, found.arrow, value, made, kind)
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        made = f"CAST(to_json({value}) AS VARCHAR)"
        column = Column(name, LogicalType(Kind.JSON_TEXT), kind)
        return FileColumn(column, Image.JSON, pa.string(), value, made, kind)
    column = Column(name, LogicalType(Kind.TEXT), kind)
    return FileColumn(column, Image.TEXT, pa.string(), value, f"CAST({value} AS VARCHAR)", kind)


def _known(kind: str) -> FileType | None:
    try:
        return read_types.named(kind)
    except EngineError:
        return None
