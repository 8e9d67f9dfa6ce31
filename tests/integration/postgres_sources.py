"""A PostgreSQL source over a database of a test, and reading a whole table of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pyarrow as pa

from benchmarks.endpoints import PostgresEndpoint
from engine.config import Policies, Selection, SourceConnection
from engine.connectors.base import KeyRange, TableRead
from engine.connectors.postgres.source import PostgresSource, open_source
from engine.schema import Table
from tests.running import connection


@contextmanager
def source(server: PostgresEndpoint, database: str, schema: str | None = None) -> Iterator[PostgresSource]:
    part = SourceConnection.parse({"connectionId": "source", "database": database, "schema": schema})
    with closing(open_source(connection(server), part)) as opened:
        yield opened


def table_of(opened: PostgresSource, name: str) -> Table:
    return opened.catalog(opened.database, [name]).tables[0]


def planned(opened: PostgresSource, name: str, **selection: Any) -> TableRead:
    chosen = Selection.parse(selection)
    return opened.plan_read(table_of(opened, name), Policies(), selection=chosen)[0]


def rows_of(opened: PostgresSource, read: TableRead, bounds: KeyRange | None = None) -> pa.Table:
    with opened.picture(1) as picture, closing(picture.reader("native")) as reader:
        return pa.Table.from_batches(reader.read(read, bounds), read.arrow_schema)
