"""The selection of a stream over batches of files: filters, sorts and a limit, by DuckDB, values bound."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from engine.config import Filter, Selection
from engine.errors import Code, EngineError
from engine.formats.read_layout import FileColumn, Layout
from engine.formats.read_session import MEMORY, THREADS, Pulled, literal, quote
from engine.types import Image

_COMPARED = {  # image → type a value of a filter is cast to; None: not compared by value
    Image.BOOL: "BOOLEAN",
    Image.TEXT: "VARCHAR",
    Image.DATE: "DATE",
    Image.TIMESTAMP: "TIMESTAMP",
    Image.TIMESTAMPTZ: "TIMESTAMPTZ",
    Image.JSON: "VARCHAR",
    Image.UUID: "UUID",
    Image.FLOAT: "DOUBLE",
}


def columns_of(selection: Selection) -> list[str]:
    return [*(item.column for item in selection.filters), *(item.column for item in selection.sorts)]


def check(layout: Layout, selection: Selection) -> None:
    """UNKNOWN_COLUMN for one that is not there; VALIDATION_FAILED for a filter that has no meaning."""
    for name in (*selection.selected_columns, *columns_of(selection)):
        layout.column(name)
    with contextlib.closing(duckdb.connect(":memory:")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for item in selection.filters:
            column = layout.column(item.column)
            sql, values = condition(item, column, quote(column.name))
            empty = pa.schema([pa.field(column.name, carried(column.arrow))]).empty_table()
            connection.register("rows", empty)
            try:
                # An aggregate has one row, so that the casts of the values are carried out.
                marks = " AND ".join(f"CAST(? AS {_type(column)}) IS NOT NULL" for _ in values) or "true"
                connection.execute(f"SELECT {marks}", values)
                connection.execute(f"SELECT 1 FROM rows WHERE {sql}", values)
            except duckdb.Error as error:
                said = str(error).split("\n", 1)[0][:300]
                raise EngineError(
                    Code.VALIDATION_FAILED,
                    f"the filter of {item.column} ({column.column.native_type}) cannot be applied: {said}",
                    column=item.column,
                    operator=item.operator,
                ) from None


def _type(column: FileColumn) -> str:
    if column.image is Image.INT:
        return "HUGEINT" if pa.types.is_unsigned_integer(column.arrow) else "DECIMAL(38,6)"
    if column.image is Image.DECIMAL and pa.types.is_decimal128(column.arrow):
        scale = column.arrow.scale
        return f"DECIMAL(38,{min(37, scale + 2)})"
    if column.image is Image.DURATION:
        return "TIME"
    kind = _COMPARED.get(column.image)
    if kind is None:
        raise EngineError(
            Code.VALIDATION_FAILED,
            f"{column.name} ({column.column.native_type}) can be filtered by is null and is not null only",
            column=column.name,
        )
    return kind


def condition(item: Filter, column: FileColumn, name: str) -> tuple[str, list[Any]]:
    """SQL with a mark for each value, and the values."""
    if item.operator in ("is null", "is not null"):
        return f"{name} {item.operator.upper()}", []
    if item.value is None:
        raise EngineError(
            Code.VALIDATION_FAILED, f"the filter of {item.column} needs a value", column=item.column
        )
    kind = _type(column)
    left, mark = _operand(column, name), _mark(column, kind)
    if item.operator == "in":
        values = item.value if isinstance(item.value, list) else [item.value]
        if not values:
            return "false", []
        return f"{left} IN ({', '.join([mark] * len(values))})", list(values)
    if isinstance(item.value, list):
        raise EngineError(
            Code.VALIDATION_FAILED, f"only `in` takes several values ({item.column})", column=item.column
        )
    if item.operator == "like":
        if column.image not in (Image.TEXT, Image.JSON):
            raise EngineError(
                Code.VALIDATION_FAILED, f"like needs a text, which {item.column} is not", column=item.column
            )
        return f"{left} LIKE ?", [item.value]
    return f"{left} {item.operator} {mark}", [item.value]


def _operand(column: FileColumn, name: str) -> str:
    return f"CAST({name} AS HUGEINT)" if pa.types.is_unsigned_integer(column.arrow) else name


def _mark(column: FileColumn, kind: str) -> str:
    if column.image is Image.UUID:
        return "unhex(replace(CAST(CAST(? AS UUID) AS VARCHAR), '-', ''))"
    if column.image is Image.DURATION:
        return "epoch_us(CAST(? AS TIME))"
    return f"CAST(? AS {kind})"


def carried(arrow: pa.DataType) -> pa.DataType:
    """The Arrow type in which a column passes through DuckDB unchanged."""
    if pa.types.is_duration(arrow):
        return pa.int64()
    return arrow


def apply(
    batches: Generator[pa.RecordBatch, None, None],
    given: Sequence[FileColumn],
    wanted: Sequence[FileColumn],
    selection: Selection,
    rows: int,
) -> Generator[pa.RecordBatch, None, None]:
    """The wanted columns of the rows that are selected, in the order of the sorts, NULLs last."""
    through = pa.schema([pa.field(column.name, carried(column.arrow)) for column in given])
    result = pa.schema([pa.field(column.name, column.arrow) for column in wanted])
    failure: list[BaseException] = []
    pulled = Pulled(_carry(batches, through, failure))
    source = pa.RecordBatchReader.from_batches(through, pulled)
    folder = tempfile.mkdtemp(prefix="dbstreams-sort-")
    connection = duckdb.connect(":memory:", config={"threads": THREADS, "memory_limit": MEMORY})
    try:
        connection.execute(f"SET temp_directory = {literal(folder)}")
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rows", source)
        statement, values = _statement(given, wanted, selection)
        reader = connection.execute(statement, values).to_arrow_reader(rows)
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                break
            yield pa.RecordBatch.from_arrays(
                [
                    array if array.type == field.type else array.cast(field.type)
                    for array, field in zip(batch.columns, result, strict=True)
                ],
                schema=result,
            )
        if failure:
            raise failure[0]
    except (duckdb.Error, pa.ArrowException) as error:
        if failure:
            raise failure[0] from None
        raise EngineError(Code.QUERY_FAILED, f"selecting rows failed: {str(error)[:300]}") from error
    finally:
        pulled.close()
        connection.close()
        batches.close()
        shutil.rmtree(os.fspath(folder), ignore_errors=True)


def _carry(
    batches: Generator[pa.RecordBatch, None, None], schema: pa.Schema, failure: list[BaseException]
) -> Generator[pa.RecordBatch, None, None]:
    try:
        for batch in batches:
            yield pa.RecordBatch.from_arrays(
                [
                    array if array.type == field.type else array.cast(field.type)
                    for array, field in zip(batch.columns, schema, strict=True)
                ],
                schema=schema,
            )
    except GeneratorExit:
        raise
    except BaseException as error:
        failure.append(error)
        raise


def _statement(
    given: Sequence[FileColumn], wanted: Sequence[FileColumn], selection: Selection
) -> tuple[str, list[Any]]:
    by_name = {column.name: column for column in given}
    conditions, values = [], []
    for item in selection.filters:
        sql, bound = condition(item, by_name[item.column], quote(item.column))
        conditions.append(sql)
        values += bound
    statement = f"SELECT {', '.join(quote(column.name) for column in wanted)} FROM rows"
    if conditions:
        statement += f" WHERE {' AND '.join(conditions)}"
    if selection.sorts:
        order = ", ".join(f"{quote(sort.column)} {sort.direction} NULLS LAST" for sort in selection.sorts)
        statement += f" ORDER BY {order}"
    if selection.limit is not None:
        statement += f" LIMIT {int(selection.limit)}"
    return statement, values
