"""Which numbers of a stream become decimals of Parquet by their values, and of how many digits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.config import FilesTarget
from engine.connectors.base import Facts, Note, Severity
from engine.formats.encode_numbers import MOST_DIGITS
from engine.formats.measured import Limits, measured_decimal
from engine.formats.storage import Storage
from engine.schema import Table

Digits = Mapping[str, tuple[int, int]]  # precision and scale by source column
_LIMITS = Limits(MOST_DIGITS, MOST_DIGITS)


def measured_digits(
    table: Table, name: str, facts: Facts | None, spec: FilesTarget
) -> tuple[Digits, list[Note]]:
    """Of the columns whose values were looked at (`unboundedNumeric: scan`). What no decimal holds stays
    text, and is in the notes. `name`: of the table on the target."""
    digits: dict[str, tuple[int, int]] = {}
    notes = []
    for column in table.columns if spec.file_format == "parquet" else ():
        known = None if facts is None else facts.columns.get(column.name)
        found = measured_decimal(column, known, spec.policies, _LIMITS)
        if found is None:
            continue
        if found.problem:
            said = f"{column.native_type} is written as text: {found.problem}"
        else:
            digits[column.name] = found.precision, found.scale
            said = (
                f"{column.native_type} is written as decimal({found.precision},{found.scale}), {found.said}"
            )
        severity, slug = (
            (Severity.WARNING, "unbounded-numeric") if found.problem else (Severity.INFO, "numeric-measured")
        )
        notes.append(Note(severity, slug, said, name, column.name, "unboundedNumeric"))
    return digits, notes


def digits_there(storage: Storage, path: str, names: Mapping[str, str]) -> Digits:
    """The decimals a Parquet file has; `names`: source column → the column in the file."""
    with storage.open(path) as source:
        file: Any = source
        schema = pq.read_schema(pa.PythonFile(file, mode="r"))
    return {
        column: (schema.field(name).type.precision, schema.field(name).type.scale)
        for column, name in names.items()
        if name in schema.names and pa.types.is_decimal(schema.field(name).type)
    }


def joined(new: Digits, there: Digits) -> tuple[Digits, list[str]]:
    """The digits of parts that join others: those of the files that are there, as far as the values fit them;
    and the columns whose values do not."""
    digits, wider = dict(new), []
    for column, (precision, scale) in there.items():
        wanted = new.get(column)
        if wanted is None:
            continue
        digits[column] = precision, scale
        if wanted[1] > scale or wanted[0] - wanted[1] > precision - scale:
            wider.append(column)
    return digits, wider
