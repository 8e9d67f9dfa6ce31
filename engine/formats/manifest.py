"""The manifest beside our files: which files make up a table, and what its columns were at the source.

One manifest a folder, `_dbstreams_manifest.json`, replaced as a whole and last: a reader that takes only what
it lists sees a table whole or not at all, and gets the source's types back exactly. Format, version 1:

    {"version": 1, "stream": last writer's id, "written": ISO time, "tables": [{
        "name", "schema", "dialect", "format", "compression", "created",
        "columns": [{"name" (in the files), "encoding", "image", "arrow", "source": {a schema.Column}}],
        "primaryKey": [source names], "structure": {the rest of a schema.Table},
        "csv": {"delimiter", "quote", "header", "null"} or null,
        "files": [{"path" (from the manifest's folder), "rows", "bytes", "sha256" or "etag", "stream",
                   "chunk"}]
    }]}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self

import orjson
import pyarrow as pa

from engine.errors import Code, EngineError
from engine.plainvalues import plain, rich
from engine.schema import Column, Table
from engine.types import Image

NAME: Final = "_dbstreams_manifest.json"
VERSION: Final = 1


class Encoding(StrEnum):
    """How the values of a column stand in a file, where the file's own type does not say it.

    `plain` is the format's own: a Parquet type; in CSV and JSON the text of an integer, a float (`NaN`,
    `Infinity`, `-Infinity`), a decimal (likewise), a string, true or false, a date `YYYY-MM-DD`, or a moment
    `YYYY-MM-DD HH:MM:SS.ffffff` (`…Z` for an instant; JSON has T for the blank). Years before 1 and after
    9999 are those of ISO 8601 (`-0043-03-15`, `10000-01-01`); infinite moments read `infinity`, `-infinity`
    (Parquet: the largest and smallest integer). In JSON 64-bit integers, decimals and moments are strings;
    JSON is nested, and sets and vectors are arrays.
    """

    PLAIN = "plain"
    TEXT_DECIMAL = "text_decimal"  # decimal digits, NaN, Infinity, -Infinity, as a string
    BASE64 = "base64"  # bytes
    BITS = "bits"  # '0' and '1', as many as the column has bits
    CLOCK = "clock"  # [-]HH:MM:SS[.ffffff], hours as many as needed
    ISO_INTERVAL = "iso_interval"  # P<months>M<days>DT<seconds>S, each with its sign
    JSON_TEXT = "json_text"  # a string that holds JSON
    UUID_TEXT = "uuid_text"  # xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx
    INET_TEXT = "inet_text"  # an address as text
    LABELS_TEXT = "labels_text"  # labels of a set, joined by ','
    LABELS = "labels"  # a list of strings
    EWKB = "ewkb"  # WKB, with PostGIS's SRID field where the SRID is not 0
    EWKB_BASE64 = "ewkb_base64"
    FLOATS_TEXT = "floats_text"  # [1,2.5]


@dataclass(frozen=True, slots=True)
class ManifestColumn:
    """name: in the files; `source.name`: at the source. arrow: type of the image, `str(DataType)`."""

    name: str
    source: Column
    image: Image
    arrow: str
    encoding: Encoding = Encoding.PLAIN

    @property
    def arrow_type(self) -> pa.DataType:
        return arrow_type(self.arrow)


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """path: from the folder of the manifest. Exactly one of sha256 (local files) and etag (S3) is given."""

    path: str
    rows: int
    bytes: int
    stream: str
    chunk: int
    sha256: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class ManifestCsv:
    """null: the unquoted text that is NULL; whatever is quoted is a string."""

    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    null: str = ""


@dataclass(frozen=True, slots=True)
class ManifestTable:
    """structure: the table at the source (`Table.dialect` says which), with the columns that are in the files
    and those alone; statistics and the CREATE statement are left out."""

    name: str
    format: str  # csv, json, jsonl, parquet
    compression: str  # none, gzip, zstd, snappy
    columns: tuple[ManifestColumn, ...]
    structure: Table
    created: str  # ISO time
    files: tuple[ManifestFile, ...] = ()
    csv: ManifestCsv | None = None

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def shape(self) -> tuple[Any, ...]:
        """What has to be equal for files of two streams to make up one table."""
        columns = tuple(
            (column.name, column.source.native_type, column.image, column.arrow, column.encoding)
            for column in self.columns
        )
        return self.format, columns, self.csv

    def to_json(self) -> dict[str, Any]:
        rest = plain(replace(self.structure, columns=(), primary_key=(), create_statement=""))
        return {
            "name": self.name,
            "schema": self.structure.schema,
            "dialect": self.structure.dialect,
            "format": self.format,
            "compression": self.compression,
            "created": self.created,
            "columns": [
                {
                    "name": column.name,
                    "encoding": column.encoding.value,
                    "image": column.image.value,
                    "arrow": column.arrow,
                    "source": plain(column.source),
                }
                for column in self.columns
            ],
            "primaryKey": [plain(part) for part in self.structure.primary_key],
            "structure": rest,
            "csv": dataclasses.asdict(self.csv) if self.csv is not None else None,
            "files": [plain(file) for file in self.files],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        columns = tuple(
            ManifestColumn(
                item["name"],
                rich(Column, item["source"]),
                Image(item["image"]),
                item["arrow"],
                Encoding(item["encoding"]),
            )
            for item in data["columns"]
        )
        structure: Table = rich(
            Table,
            {
                **data["structure"],
                "schema": data["schema"],
                "dialect": data["dialect"],
                "columns": [item["source"] for item in data["columns"]],
                "primary_key": data["primaryKey"],
            },
        )
        return cls(
            name=data["name"],
            format=data["format"],
            compression=data["compression"],
            columns=columns,
            structure=structure,
            created=data["created"],
            files=tuple(rich(ManifestFile, item) for item in data["files"]),
            csv=rich(ManifestCsv, data["csv"]) if data["csv"] is not None else None,
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    tables: tuple[ManifestTable, ...] = ()
    stream: str = ""
    written: str = ""

    def table(self, name: str) -> ManifestTable | None:
        return next((table for table in self.tables if table.name == name), None)

    def with_table(self, table: ManifestTable) -> Manifest:
        """With that table in place of the one of its name, or after the others."""
        if self.table(table.name) is None:
            return replace(self, tables=(*self.tables, table))
        return replace(
            self, tables=tuple(table if known.name == table.name else known for known in self.tables)
        )

    def to_bytes(self) -> bytes:
        return orjson.dumps(
            {
                "version": VERSION,
                "stream": self.stream,
                "written": self.written,
                "tables": [table.to_json() for table in self.tables],
            },
            option=orjson.OPT_INDENT_2,
        )

    @classmethod
    def from_bytes(cls, data: bytes, path: str = NAME) -> Manifest:
        """VALIDATION_FAILED for what is no manifest of ours, or one of a later release."""
        try:
            content = orjson.loads(data)
            version = content["version"]
            if version != VERSION:
                raise EngineError(
                    Code.VALIDATION_FAILED,
                    f"{path} is a manifest of version {version!r}; this release reads {VERSION}",
                    path=path,
                )
            return cls(
                tuple(ManifestTable.from_json(table) for table in content["tables"]),
                content["stream"],
                content["written"],
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise EngineError(
                Code.VALIDATION_FAILED,
                f"{path} is no manifest of dbstreams, or a damaged one ({type(error).__name__}: {error})",
                path=path,
            ) from None


# ---------------------------------------------------------------- Arrow types by name

_INTERVAL = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])
_ARROW = {
    str(kind): kind
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float32(), pa.float64(), pa.bool_(), pa.date32(), pa.duration("us")),
        *(pa.string(), pa.large_string(), pa.binary(), pa.large_binary()),
        *(pa.timestamp("us"), pa.timestamp("us", "UTC"), _INTERVAL),
    )
}


def arrow_type(name: str) -> pa.DataType:
    """The type whose `str` is `name`, among those an image may have (engine/types.py); ValueError else."""
    if name in _ARROW:
        return _ARROW[name]
    head, _, rest = name.partition("(")
    maker = {"decimal128": pa.decimal128, "decimal256": pa.decimal256}.get(head)
    if maker is None:
        raise ValueError(f"no image has the Arrow type {name!r}")
    precision, _, scale = rest.rstrip(")").partition(",")
    return maker(int(precision), int(scale))
