"""Where to cut a table into ranges of about equal size.

A cut is a key value, or a page; neighbouring ranges share it, one with `<`, the other with `>=`, so that
whatever cuts are chosen the ranges together are the whole table and no two overlap. How well they are chosen
decides only how even the ranges are.

- With a key, cuts are quantiles of a sample of the table's pages, ordered by the server in the key's own
  order: holes, skew and any type of key make no difference.
- Without one, ranges of pages (`ctid`), which servers can scan by themselves from version 14 on. A table that
  is being written moves rows between pages; one snapshot sees each row in one place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from psycopg import errors as pg

from engine.connectors.base import Chunk, KeyRange, KeyValue, ServerInfo, TableRead
from engine.connectors.postgres.identifiers import quoted_list
from engine.connectors.postgres.ranges import CTID, PARTITIONED, key_expression, relation
from engine.connectors.postgres.session import PgConnection
from engine.schema import Table, TableKind
from engine.types import Kind

SHARE_BYTES = 4 << 20  # less than this for each worker is not worth sharing
_PAGE = 8192
_SAMPLE_PAGES = 100  # of every chunk
_LEAST_SAMPLE = 1_000  # pages
_SEED = 20_001  # the same cuts again while the table is as it was
_SCATTERED = 0.5  # correlation of key and place below which every range reads pages all over the table
_SCATTERED_CHUNKS = 8  # for each worker, of such a table

Cut = tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class _Size:
    rows: int
    bytes: int
    chunks: int


def plan_chunks(
    session: PgConnection, info: ServerInfo, read: TableRead, target_bytes: int, minimum: int
) -> tuple[Chunk, ...]:
    """Chunks of about `target_bytes`, and `minimum` of them where the table is worth sharing."""
    table, selection = read.table, read.selection
    size = _size(table, target_bytes, minimum)
    alone = selection.sorts or selection.limit is not None or table.kind is TableKind.QUERY
    if alone or size.chunks <= 1:
        return _numbered((), (), size)
    if read.key:
        if _scattered(session, read):
            size = _Size(size.rows, size.bytes, min(size.chunks, _SCATTERED_CHUNKS * max(1, minimum)))
        return _numbered(read.key, _sampled(session, read, size), size)
    if table.engine == PARTITIONED or info.version_tuple < (14,) or table.engine not in ("heap", None, ""):
        return _numbered((), (), size)
    return _numbered((CTID,), _pages(session, table, size), size)


def _size(table: Table, target_bytes: int, minimum: int) -> _Size:
    total = table.estimated_bytes
    chunks = max(1, math.ceil(total / target_bytes), min(minimum, total // SHARE_BYTES))
    if minimum < chunks <= 8 * minimum:
        chunks = math.ceil(chunks / minimum) * minimum  # so that no worker waits for the last one
    return _Size(table.estimated_rows, total, chunks)


def _scattered(session: PgConnection, read: TableRead) -> bool:
    row = session.execute(
        "SELECT correlation FROM pg_stats WHERE schemaname = %s AND tablename = %s AND attname = %s",
        (read.table.schema, read.table.name, read.key[0]),
    ).fetchone()
    return bool(row and row[0] is not None and abs(row[0]) < _SCATTERED)


def _sampled(session: PgConnection, read: TableRead, size: _Size) -> list[Cut]:
    """Keys that cut a sample of the table into equal parts, in the server's order, none twice."""
    pages = max(1, size.bytes // _PAGE)
    share = min(100.0, 100 * max(_LEAST_SAMPLE, _SAMPLE_PAGES * size.chunks) / pages)
    order = quoted_list(read.key)
    expressions = [key_expression(read.table.column(name)) for name in read.key]
    inner = ", ".join(f"{expression} AS k{number}" for number, expression in enumerate(expressions))
    outer = ", ".join(f"k{number}" for number in range(len(expressions)))
    parts = size.chunks
    try:
        rows = session.execute(
            f"SELECT {outer} FROM (SELECT {inner}, row_number() OVER (ORDER BY {order}) - 1 AS place,"
            f" count(*) OVER () AS total FROM {relation(read.table)}"
            f" TABLESAMPLE SYSTEM ({share:.6f}) REPEATABLE ({_SEED})) AS sample"
            f" WHERE place > 0 AND place * {parts} / total <> (place - 1) * {parts} / total ORDER BY place"
        ).fetchall()
    except (pg.WrongObjectType, pg.FeatureNotSupported):  # a foreign table is one of the partitions
        return []
    cuts: list[Cut] = [
        tuple(value if isinstance(value, int) else str(value) for value in row) for row in rows
    ]
    return list(dict.fromkeys(cuts))


def _pages(session: PgConnection, table: Table, size: _Size) -> list[Cut]:
    row = session.execute(
        "SELECT pg_relation_size(c.oid) / current_setting('block_size')::int FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
        (table.schema, table.name),
    ).fetchone()
    pages = int(row[0]) if row else 0
    places = {pages * number // size.chunks for number in range(1, size.chunks)} - {0}
    return [(f"({place},0)",) for place in sorted(places)]


def _numbered(columns: tuple[str, ...], cuts: list[Cut] | tuple[()], size: _Size) -> tuple[Chunk, ...]:
    edges: list[Cut | None] = [None, *cuts, None]
    count = len(edges) - 1
    return tuple(
        Chunk(
            number,
            KeyRange(columns, edges[number], edges[number + 1]) if count > 1 else None,
            size.rows // count,
            size.bytes // count,
        )
        for number in range(count)
    )


def row_bytes(table: Table) -> int | None:
    """Bytes of an average row by the statistics; None where they say nothing."""
    if table.estimated_rows <= 0 or not table.estimated_bytes:
        return None
    return max(1, table.estimated_bytes // table.estimated_rows)


def guessed_row(table: Table) -> int:
    """Bytes of a row as its types suggest, its header included."""
    small = {Kind.BOOL: 1, Kind.INT16: 2, Kind.INT32: 4, Kind.FLOAT32: 4, Kind.DATE: 4, Kind.UUID: 16}
    wide = (Kind.TEXT, Kind.BLOB, Kind.JSON, Kind.JSON_TEXT, Kind.ARRAY, Kind.OTHER, Kind.VARCHAR)
    return 28 + sum(
        32 if column.type.kind in wide else small.get(column.type.kind, 8) for column in table.columns
    )
