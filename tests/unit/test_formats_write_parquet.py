"""Parquet files as we write them: which columns get a dictionary, and that every value is there."""

from __future__ import annotations

import io
import uuid
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.formats.write_parquet import repeating

ROWS = 30_000


def _cycle(values: list[Any], arrow: pa.DataType) -> pa.Array:
    return pa.array([values[row % len(values)] for row in range(ROWS)], arrow)


@pytest.mark.parametrize(
    ("column", "paths"),
    [
        (pa.array(range(ROWS)), []),
        (_cycle([*range(50)], pa.int64()), ["c"]),
        (_cycle([*range(1_000)], pa.int64()), ["c"]),
        (_cycle([*range(20_000)], pa.int64()), []),  # in too many places to make the file smaller
        (_cycle(["one", "two", None], pa.string()), ["c"]),
        (_cycle(["one", "two"], pa.large_string()), ["c"]),
        (pa.array([f"text {row}" for row in range(ROWS)]), []),
        (pa.array([None] * ROWS, pa.int32()), []),
        (_cycle([True, False], pa.bool_()), []),
        (_cycle([1, 2], pa.date32()), ["c"]),
        (_cycle([1, 2], pa.timestamp("us", "UTC")), ["c"]),
        (_cycle([1, 2], pa.time64("us")), ["c"]),
        (_cycle([b"ab", b"cd"], pa.binary(2)), ["c"]),
        (_cycle([["a"], ["a", "b"], [], None], pa.list_(pa.string())), ["c.list.element"]),
        (
            pa.array([{"days": row, "months": 1} for row in range(ROWS)]),
            ["c.months"],
        ),
        (_cycle([uuid.UUID(int=1).bytes], pa.uuid()), []),
        (pa.array([], pa.int64()), []),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "-".join(value),
)
def test_a_dictionary_where_values_repeat(column: pa.Array, paths: list[str]) -> None:
    table = pa.table({"c": column})
    assert repeating(table) == paths
    file = io.BytesIO()
    with pq.ParquetWriter(file, table.schema, use_dictionary=repeating(table)) as writer:
        writer.write_table(table)
    written = pq.ParquetFile(file)
    row_group = written.metadata.row_group(0) if len(column) else None
    columns = [row_group.column(number) for number in range(row_group.num_columns)] if row_group else []
    assert [chunk.path_in_schema for chunk in columns if chunk.has_dictionary_page] == paths
    assert written.read().equals(table)
