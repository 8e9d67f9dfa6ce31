"""Comparing two ends by reading both: for pairs of systems whose servers cannot be asked to digest alike.

Each side is read through its own reader in one picture of it; values are brought into a common form
(`verify_canonical`), hashed column by column in C, and summed modulo 2^64. Only when the sums differ is the
table read again, its keys and digests kept in a temporary DuckDB file, and the rows that differ are named.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from engine.config import Policies, WriteMode
from engine.connectors.base import (
    PrintsMoments,
    ReadColumn,
    SnapshotReader,
    SnapshotSource,
    TableRead,
    TargetTable,
)
from engine.errors import Code, EngineError
from engine.streams.job import Control, Report
from engine.streams.restored import RestoredRead, RestoringSource
from engine.streams.verify_canonical import Form, canonical, form
from engine.streams.verify_columns import row_key
from engine.streams.verify_narrow import Difference, Kind
from engine.streams.verify_outcome import REPORTED, TableVerdict, log_verdict

_MEMORY = "256MB"
_MASK = 2**64 - 1
_METHOD = "both sides read and digested by our own encoder, 64 bits a row"


@dataclass(frozen=True, slots=True)
class _Side:
    """One end of one table: columns in the order of the comparison."""

    source: SnapshotSource
    read: TableRead
    columns: tuple[ReadColumn, ...]
    forms: tuple[Form, ...]

    def batches(self, reader: SnapshotReader) -> Iterator[pa.Table]:
        """Columns c0, c1, … in their common form."""
        with closing(reader.read(self.read, None)) as batches:
            for batch in batches:
                arrays = [
                    canonical(batch.column(column.name), column, wanted)
                    for column, wanted in zip(self.columns, self.forms, strict=True)
                ]
                yield pa.table(arrays, [f"c{number}" for number in range(len(arrays))])


def verify_by_reading(
    source: SnapshotSource,
    target: SnapshotSource,
    pairs: Sequence[tuple[TableRead, TargetTable]],
    policies: Policies,
    write_mode: WriteMode,
    control: Control,
    report: Report,
) -> list[TableVerdict]:
    """Compare table after table. `target` is the target opened as a source. Raises Interrupted when asked to
    end, STRUCTURE_MISMATCH for a table or column without counterpart, and what the readers raise."""
    names = [table.name for _, table in pairs]
    found = {table.name: table for table in target.catalog(target.database, names).tables}
    zeros = "mariadb" in (source.info.flavor, target.info.flavor)
    verdicts = []
    for read, table in pairs:
        control.check()
        if table.name not in found:
            raise EngineError(Code.STRUCTURE_MISMATCH, f"{table.name} is not on the target", table=table.name)
        report.table(table.schema, table.name, phase="verify", status="RUNNING")
        other, _ = target.plan_read(found[table.name], policies)

        def compared(one: TableRead, two: TableRead, table: TargetTable = table) -> TableVerdict:
            return _Comparison(source, one, target, two, table, policies, write_mode, control, zeros).run()

        try:
            verdict = compared(read, other)
        except EngineError as error:
            verdict = compared(*_printed(source, read, target, other, error))
        verdicts.append(verdict)
        status = "FINISHED" if verdict.equal else "FAILED"
        report.table(table.schema, table.name, phase="done", status=status)
        log_verdict(report, verdict)
    return verdicts


def _printed(
    source: SnapshotSource, read: TableRead, target: SnapshotSource, other: TableRead, error: EngineError
) -> tuple[TableRead, TableRead]:
    """Both reads with moments by their text, where one was read that no image holds: it is in the rows that
    went from server to server undecoded. Any other failure is raised again."""
    one, two = _printing(source, read), _printing(target, other)
    if error.details.get("reason") == "out-of-range" and one is not None and two is not None:
        return one.printed(read), two.printed(other)
    raise error


def _printing(source: SnapshotSource, read: TableRead) -> PrintsMoments | None:
    """Who can print that read's moments: the source itself, under what gives columns their old types back."""
    inner = source.inner if isinstance(source, RestoringSource) else source
    return inner if isinstance(inner, PrintsMoments) and not isinstance(read, RestoredRead) else None


class _Comparison:
    def __init__(
        self,
        source: SnapshotSource,
        read: TableRead,
        target: SnapshotSource,
        other: TableRead,
        table: TargetTable,
        policies: Policies,
        write_mode: WriteMode,
        control: Control,
        zeros: bool,
    ) -> None:
        self._table = table
        self._control = control
        self._subset = write_mode in (WriteMode.APPEND, WriteMode.UPSERT)
        ours, theirs = _counterparts(read, other, table)
        forms = tuple(form(one, two, policies, zeros=zeros) for one, two in zip(ours, theirs, strict=True))
        self._names = [column.name for column in ours]
        self._key = [self._names.index(name) for name in row_key(read) if name in self._names]
        self._left = _Side(source, read, ours, forms)
        self._right = _Side(target, other, theirs, forms)

    def run(self) -> TableVerdict:
        began = time.monotonic()
        with (
            tempfile.TemporaryDirectory(prefix="dbstreams-verify-") as folder,
            closing(_open(Path(folder))) as database,
        ):
            rows, digest = self._each(self._left, lambda data: self._sums(database, data))
            other_rows, other_digest = self._each(self._right, lambda data: self._sums(database, data))
            equal = (rows, digest) == (other_rows, other_digest)
            differences: list[Difference] = []
            if not equal:
                self._keep(database, "ours", self._left)
                self._keep(database, "theirs", self._right)
                differences, other_rows, equal = self._differences(database, other_rows)
        return TableVerdict(
            self._table.schema,
            self._table.name,
            rows,
            other_rows,
            equal,
            _METHOD + ("; rows of the source only" if self._subset else ""),
            tuple(difference.as_dict() for difference in differences),
            time.monotonic() - began,
        )

    def _each(self, side: _Side, sums: Callable[[pa.Table], tuple[int, int]]) -> tuple[int, int]:
        rows = digest = 0
        with side.source.picture(1) as picture, closing(picture.reader("native")) as reader:
            for data in side.batches(reader):
                self._control.check()
                more, part = sums(data)
                rows += more
                digest = (digest + part) & _MASK
        return rows, digest

    def _hashes(self) -> list[str]:
        return [f"hash(c{number})" for number in range(len(self._names))]

    def _sums(self, database: duckdb.DuckDBPyConnection, data: pa.Table) -> tuple[int, int]:
        if not data.num_rows:
            return 0, 0
        total = f"sum(hash({', '.join(self._hashes()) or '0'})::HUGEINT)"
        row = database.execute(f"SELECT count(*), {total} FROM data").fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    def _keep(self, database: duckdb.DuckDBPyConnection, name: str, side: _Side) -> None:
        """A table of keys as text (k0, k1, …) and the columns' hashes (h0, h1, …)."""
        keys = [f"c{number}::VARCHAR AS k{place}" for place, number in enumerate(self._key)]
        hashes = [f"hash(c{number}) AS h{number}" for number in range(len(self._names))]
        selected = ", ".join([*keys, *hashes, f"hash({', '.join(self._hashes()) or '0'}) AS d"])
        made = False

        def insert(data: pa.Table) -> tuple[int, int]:
            nonlocal made
            how = f"INSERT INTO {name}" if made else f"CREATE OR REPLACE TABLE {name} AS"
            database.execute(f"{how} SELECT {selected} FROM data")
            made = True
            return 0, 0

        self._each(side, insert)
        if not made:
            empty = pa.table(
                [pa.array([], pa.large_string())] * len(self._names),
                [f"c{number}" for number in range(len(self._names))],
            )
            insert(empty)

    # ------------------------------------------------------------ what differs

    def _differences(
        self, database: duckdb.DuckDBPyConnection, other_rows: int
    ) -> tuple[list[Difference], int, bool]:
        return self._by_key(database, other_rows) if self._key else self._by_digest(database, other_rows)

    def _by_key(
        self, database: duckdb.DuckDBPyConnection, other_rows: int
    ) -> tuple[list[Difference], int, bool]:
        on = " AND ".join(f"a.k{n} IS NOT DISTINCT FROM b.k{n}" for n in range(len(self._key)))
        join = "LEFT" if self._subset else "FULL"
        shown = ", ".join(f"coalesce(a.k{n}, b.k{n})" for n in range(len(self._key)))
        unequal = ", ".join(f"a.h{n} IS DISTINCT FROM b.h{n}" for n in range(len(self._names)))
        found = f"ours a {join} JOIN theirs b ON {on} WHERE a.d IS DISTINCT FROM b.d"
        rows = database.execute(
            f"SELECT a.d IS NULL, b.d IS NULL, {shown}, {unequal} FROM {found} LIMIT {REPORTED}"
        ).fetchall()
        differences = []
        width = len(self._key)
        for extra, missing, *rest in rows:
            key = {self._names[number]: value for number, value in zip(self._key, rest[:width], strict=True)}
            kind: Kind = "extra" if extra else "missing" if missing else "different"
            columns = (
                ()
                if extra or missing
                else tuple(name for name, differs in zip(self._names, rest[width:], strict=True) if differs)
            )
            differences.append(Difference(kind, key, columns))
        if self._subset:
            counted = database.execute(
                f"SELECT count(*) FROM theirs b WHERE EXISTS (SELECT 1 FROM ours a WHERE {on})"
            ).fetchone()
            other_rows = int(counted[0]) if counted else 0
        return differences, other_rows, not differences

    def _by_digest(
        self, database: duckdb.DuckDBPyConnection, other_rows: int
    ) -> tuple[list[Difference], int, bool]:
        """Without a key a row is its digest; more copies on the target are extra, fewer are missing."""
        rows = database.execute(
            "SELECT d, coalesce(a.n, 0) - coalesce(b.n, 0) AS more"
            " FROM (SELECT d, count(*) n FROM ours GROUP BY d) a"
            " FULL JOIN (SELECT d, count(*) n FROM theirs GROUP BY d) b USING (d)"
            f" WHERE more {'>' if self._subset else '<>'} 0 LIMIT {REPORTED}"
        ).fetchall()
        differences = [
            Difference("missing" if more > 0 else "extra", None, digest=f"{digest:016x}", copies=abs(more))
            for digest, more in rows
        ]
        if self._subset:
            counted = database.execute(
                "SELECT coalesce(sum(least(a.n, b.n)), 0)"
                " FROM (SELECT d, count(*) n FROM ours GROUP BY d) a"
                " JOIN (SELECT d, count(*) n FROM theirs GROUP BY d) b USING (d)"
            ).fetchone()
            other_rows = int(counted[0]) if counted else 0
        return differences, other_rows, not differences


def _counterparts(
    read: TableRead, other: TableRead, table: TargetTable
) -> tuple[tuple[ReadColumn, ...], tuple[ReadColumn, ...]]:
    names = {column.source: column.name for column in table.columns}
    theirs = {column.name: column for column in other.columns}
    ours, matched = [], []
    for column in read.columns:
        name = names.get(column.name)
        if name is None or name not in theirs:
            raise EngineError(
                Code.STRUCTURE_MISMATCH,
                f"{table.name} has no column for {column.name}: nothing to compare it with",
                table=table.name,
                column=column.name,
            )
        ours.append(column)
        matched.append(theirs[name])
    return tuple(ours), tuple(matched)


def _open(folder: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        str(folder / "digests.duckdb"),
        config={"memory_limit": _MEMORY, "temp_directory": str(folder / "spill"), "threads": "2"},
    )
