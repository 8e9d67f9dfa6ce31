"""Streams into files, and their files read by DuckDB and pyarrow: never by a reader of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine import ids
from engine.config import Connection, StreamConfig
from engine.formats.manifest import NAME, Manifest
from engine.streams.job import StreamJob
from engine.types import Image
from tests.running import connection

SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst", "snappy": ""}


def files_connection(base: Path | str) -> Connection:
    return Connection.parse({"name": "files", "type": "files", "spec": {"files": {"basePath": str(base)}}})


def job(
    source: MysqlEndpoint | PostgresEndpoint,
    database: str,
    target: Connection,
    *,
    tables: list[str] | None = None,
    options: Mapping[str, Any] | None = None,
    stream_id: str | None = None,
    **spec: Any,
) -> StreamJob:
    """A convert job into files, or S3; `spec` is `target.spec.files` (`.s3`) by its wire names."""
    kind = "s3" if target.type.value == "s3" else "files"
    config = StreamConfig.parse(
        {
            "name": "test",
            "mode": "convert",
            "source": {
                "connections": [
                    {
                        "connectionId": "source",
                        "database": database,
                        "tables": [{"name": name} for name in tables or []],
                    }
                ],
                "options": {"workers": 2, **(options or {})},
            },
            "target": {"id": "target", "spec": {kind: spec}},
        }
    )
    ends = {"source": connection(source), "target": target}
    return StreamJob(stream_id or ids.new("stream"), config, ends)


def manifest(folder: Path) -> Manifest:
    return Manifest.from_bytes((folder / NAME).read_bytes())


def paths(folder: Path, table: str) -> list[str]:
    found = manifest(folder).table(table)
    assert found is not None
    return [str(folder / file.path) for file in found.files]


def duck(
    folder: Path, table: str, select: str = "COLUMNS(*)::VARCHAR", order: str = "1"
) -> list[tuple[Any, ...]]:
    """Rows by DuckDB, from the files the manifest lists, with the dialect it says."""
    listed = manifest(folder).table(table)
    assert listed is not None
    files = paths(folder, table)
    if listed.format == "parquet":
        scan = f"read_parquet({files!r})"
    elif listed.format == "csv":
        assert listed.csv is not None
        csv = listed.csv
        columns = {column.name: "VARCHAR" for column in listed.columns}
        scan = (
            f"read_csv({files!r}, header={csv.header}, delim={_sql(csv.delimiter)}, quote={_sql(csv.quote)},"
            f" escape={_sql(csv.quote)}, nullstr={_sql(csv.null)}, allow_quoted_nulls=false,"
            f" columns={columns!r})"
        )
    else:
        columns = {
            column.name: "JSON" if column.image is Image.JSON else "VARCHAR" for column in listed.columns
        }
        shape = "array" if listed.format == "json" else "newline_delimited"
        scan = f"read_json({files!r}, format='{shape}', columns={columns!r})"
    with duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'")
        return session.execute(f"SELECT {select} FROM {scan} ORDER BY {order}").fetchall()


def _sql(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def arrow(folder: Path, table: str) -> pa.Table:
    """Rows by pyarrow: Parquet with its types; CSV with every column a string."""
    listed = manifest(folder).table(table)
    assert listed is not None
    files = paths(folder, table)
    if listed.format == "parquet":
        return pa.concat_tables(pq.ParquetFile(path).read() for path in files)
    if listed.format == "jsonl":
        return pa.concat_tables(pajson.read_json(path) for path in files)
    assert listed.csv is not None
    names = [column.name for column in listed.columns]
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[listed.csv.null],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = pacsv.ParseOptions(
        delimiter=listed.csv.delimiter, quote_char=listed.csv.quote, newlines_in_values=True
    )
    read = pacsv.ReadOptions(column_names=names, skip_rows=int(listed.csv.header))
    return pa.concat_tables(
        pacsv.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)
        for path in files
    )
