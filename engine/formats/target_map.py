"""Structure of a source → what its files are called and hold. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from engine.config import FilesTarget
from engine.connectors.base import (
    Facts,
    Note,
    ReadColumn,
    Severity,
    TargetColumn,
    TargetDatabase,
    TargetTable,
)
from engine.errors import Code, EngineError
from engine.formats import encode
from engine.formats.encode import Shape, shape_of
from engine.formats.layout import NAME_BYTES, Layout, distinct, folder_name
from engine.formats.manifest import Encoding
from engine.formats.target_digits import measured_digits
from engine.schema import COPIED_KINDS, Column, Database, Table
from engine.types import Image, Kind


def map_database(
    database: Database, facts: Mapping[str, Facts], spec: FilesTarget, where: Layout, field: str
) -> TargetDatabase:
    """Names and types of the files. VALIDATION_FAILED for a rename of what is not there; what the policies
    refuse is a note. `field`: where the spec stands in the config."""
    tables = [table for table in database.tables if table.kind in COPIED_KINDS]
    renames = _renames(tables, spec.rename, field)
    wanted = [renames.get((table.name,)) or _cased(table.name, spec) for table in tables]
    notes = [*encode.refused_policies(spec), *_inventory(database)]
    if where.single and len(tables) != 1:
        said = f"{where.single} is one file: it holds one table, and the stream has {len(tables)}"
        notes.append(Note(Severity.REFUSED, "single-file", said))
    mapped = tuple(
        _map_table(table, name, asked, renames, facts.get(table.name), spec, where)
        for table, name, asked in zip(tables, distinct(wanted), wanted, strict=True)
    )
    return TargetDatabase(where.folder, mapped, (), tuple(notes))


def _cased(name: str, spec: FilesTarget) -> str:
    return name.lower() if spec.policies.identifiers == "lower" else name


def _renames(tables: list[Table], rename: Mapping[str, str], field: str) -> dict[tuple[str, ...], str]:
    meanings: dict[str, list[tuple[str, ...]]] = {}
    for table in tables:
        meanings.setdefault(f"{table.schema}.{table.name}", []).append((table.name,))
        for column in table.columns:
            path = (table.name, column.name)
            meanings.setdefault(f"{table.schema}.{table.name}.{column.name}", []).append(path)
    problems, result = [], {}
    for key, new in rename.items():
        found = meanings.get(key, [])
        if len(found) == 1:
            result[found[0]] = new
        else:
            said = "this name could mean a table or a column" if found else "the stream has nothing so called"
            problems.append({"field": f"{field}.rename.{key}", "problem": said})
    if problems:
        first = problems[0]
        raise EngineError(Code.VALIDATION_FAILED, f"{first['field']}: {first['problem']}", fields=problems)
    return result


def _map_table(
    table: Table,
    name: str,
    asked: str,
    renames: Mapping[tuple[str, ...], str],
    facts: Facts | None,
    spec: FilesTarget,
    where: Layout,
) -> TargetTable:
    digits, notes = measured_digits(table, name, facts, spec)
    if name != asked:
        notes.append(_renamed(f"the table {asked} is written as {name}", name, None))
    folder = folder_name(name)
    if not where.single and len(name.encode()) > NAME_BYTES and spec.policies.long_identifiers == "refuse":
        said = f"the name has more than {NAME_BYTES} bytes: its folder would be cut"
        notes.append(Note(Severity.REFUSED, "long-name", said, name, policy="longIdentifiers"))
    elif not where.single and folder != name:
        notes.append(Note(Severity.INFO, "table-folder", f"its files are in the folder {folder}", name))
    wanted = [renames.get((table.name, column.name)) or _cased(column.name, spec) for column in table.columns]
    columns = []
    for column, given, new in zip(table.columns, wanted, distinct(wanted), strict=True):
        if new != given:
            said = f"{given} is written as {new}: readers would not tell it from another column"
            notes.append(_renamed(said, name, column.name))
        columns.append(_map_column(column, new, spec, digits.get(column.name)))
    return TargetTable(table, where.folder, name, tuple(columns), (), tuple(notes))


def _renamed(said: str, table: str, column: str | None) -> Note:
    return Note(Severity.WARNING, "case-collision", said, table, column)


# What a kind is most likely read as: for the plan alone. The files follow what is really read.
_INTEGERS = {
    Kind.INT8: (pa.int8(), pa.uint8()),
    Kind.INT16: (pa.int16(), pa.uint16()),
    Kind.INT24: (pa.int32(), pa.uint32()),
    Kind.INT32: (pa.int32(), pa.uint32()),
    Kind.INT64: (pa.int64(), pa.uint64()),
    Kind.YEAR: (pa.int16(), pa.int16()),
}
_INTERVAL = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])
_IMAGES: Mapping[Kind, tuple[Image, pa.DataType]] = {
    Kind.BOOL: (Image.BOOL, pa.int8()),
    Kind.FLOAT32: (Image.FLOAT, pa.float32()),
    Kind.FLOAT64: (Image.FLOAT, pa.float64()),
    Kind.DECIMAL: (Image.DECIMAL, pa.string()),
    Kind.BIT: (Image.BITS, pa.binary()),
    Kind.DATE: (Image.DATE, pa.date32()),
    Kind.DATETIME: (Image.TIMESTAMP, pa.timestamp("us")),
    Kind.TIMESTAMP: (Image.TIMESTAMPTZ, pa.timestamp("us", "UTC")),
    Kind.TIME: (Image.DURATION, pa.duration("us")),
    Kind.TIME_OF_DAY: (Image.DURATION, pa.duration("us")),
    Kind.INTERVAL: (Image.INTERVAL, _INTERVAL),
    Kind.BINARY: (Image.BYTES, pa.binary()),
    Kind.VARBINARY: (Image.BYTES, pa.binary()),
    Kind.BLOB: (Image.BYTES, pa.large_binary()),
    Kind.JSON: (Image.JSON, pa.large_string()),
    Kind.JSON_TEXT: (Image.JSON, pa.large_string()),
    Kind.ARRAY: (Image.JSON, pa.large_string()),
    Kind.GEOMETRY: (Image.GEOMETRY, pa.large_binary()),
    Kind.VECTOR: (Image.VECTOR, pa.binary()),
    Kind.UUID: (Image.UUID, pa.binary()),
    Kind.INET4: (Image.INET, pa.binary()),
    Kind.INET6: (Image.INET, pa.binary()),
    Kind.SET: (Image.SET, pa.uint64()),
}


def _map_column(column: Column, name: str, spec: FilesTarget, digits: tuple[int, int] | None) -> TargetColumn:
    kind = column.type.kind
    if kind in _INTEGERS:
        image, arrow = Image.INT, _INTEGERS[kind][column.type.unsigned]
    else:
        image, arrow = _IMAGES.get(kind, (Image.TEXT, pa.string()))
    shape = shape_of(ReadColumn(column.name, "", image, arrow, column), spec, digits)
    return target_column(column, name, shape, spec)


def target_column(column: Column, name: str, shape: Shape, spec: FilesTarget) -> TargetColumn:
    return TargetColumn(
        source=column.name,
        name=name,
        type=_printed(shape, spec),
        base=shape.encoding.value,
        nullable=column.nullable,
        conversion=shape.conversion,
        labels=column.type.labels,
    )


def _printed(shape: Shape, spec: FilesTarget) -> str:
    arrow = "uuid" if shape.arrow == pa.uuid() else str(shape.arrow)
    if spec.file_format == "parquet":
        return arrow
    return arrow if shape.encoding is Encoding.PLAIN else shape.encoding.value


def _inventory(database: Database) -> list[Note]:
    """What files have no place for."""
    left = (
        ("view", database.views),
        ("routine", database.routines),
        ("trigger", database.triggers),
        ("event", database.events),
        ("sequence", database.sequences),
    )
    notes = [
        Note(
            Severity.INFO, "not-in-files", f"{len(found)} {noun}{'s' * (len(found) > 1)} not copied to files"
        )
        for noun, found in left
        if found
    ]
    return [*notes, *(Note(Severity.INFO, "catalog", text) for text in database.notes)]
