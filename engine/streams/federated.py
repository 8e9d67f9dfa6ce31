"""SQL over several sources as the source of a stream.

The tables the statement names are first copied, by streams like any other, into a DuckDB file of this run
alone; there the statement runs. So every value comes through the same exact readers as in any transfer, and
none through a scanner that bends it. The file is as large as the tables are, and goes when the source is
closed.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.config import Connection, ConnectionType, Policies, Selection, SourceConnection, StreamConfig
from engine.connectors import registry
from engine.connectors.base import (
    Chunk,
    Facts,
    Note,
    Picture,
    ServerInfo,
    Severity,
    SnapshotSource,
    TableRead,
)
from engine.errors import EngineError
from engine.schema import Database, Table
from engine.streams.job import Control, Interrupted, Report, StreamJob

if TYPE_CHECKING:
    from engine.streams.federated_query import Reference

FLAVOR = "federated"
_SCHEMALESS = (ConnectionType.MYSQL, ConnectionType.MARIADB)


def open_federated(job: StreamJob, control: Control | None, report: Report | None) -> FederatedSource:
    """Raises UNKNOWN_ALIAS, QUERY_FAILED, QUERY_NOT_ALLOWED, and what opening and reading a source raises."""
    folder = Path(tempfile.mkdtemp(prefix="dbstreams-federated-"))
    try:
        return FederatedSource(job, folder, control or Control(), report or _Silent())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


class FederatedSource:
    """Implements SnapshotSource: one table, the result of the statement. The structure of what it names is
    staged at once, the rows when a picture is asked for."""

    def __init__(self, job: StreamJob, folder: Path, control: Control, report: Report) -> None:
        from engine.streams.federated_query import resolved  # loads sqlglot, which other streams do without

        assert job.config.source.query is not None
        self._job = job
        self._folder = folder
        self._control = control
        self._report = report
        self._parts = {part.alias or "": part for part in job.config.source.connections}
        self.name = re.sub(r"\W+", "_", job.config.name).strip("_").lower() or "result"
        self._statement, self._references = resolved(job.config.source.query, self._parts, self.name)
        self._file = Connection.parse(
            {"name": "staged", "type": "duckdb", "spec": {"duckdb": {"path": str(folder / "staged.duckdb")}}}
        )
        self._stage(skip_data=True)
        self._inner = self._open()
        self.database = ", ".join(sorted({reference.alias for reference in self._references}))
        inner = self._inner.info
        self.info = ServerInfo(FLAVOR, f"{inner.flavor} {inner.version}", inner.version_tuple, str(folder))

    def _open(self) -> SnapshotSource:
        return registry.open_source(self._file, SourceConnection.parse({"connectionId": "staged"}))

    # ------------------------------------------------------------ staging

    def _stage(self, *, skip_data: bool) -> None:
        groups: dict[tuple[str, str | None], list[Reference]] = {}
        for reference in self._references:
            groups.setdefault((reference.alias, reference.space), []).append(reference)
        for (alias, space), references in groups.items():
            self._copy(self._parts[alias], space, references, skip_data)

    def _copy(
        self, part: SourceConnection, space: str | None, references: Sequence[Reference], skip_data: bool
    ) -> None:
        from engine.streams.run import run_stream

        given: dict[str, Any] = part.to_json()
        given["tables"] = [{"name": reference.table} for reference in references]
        given.pop("queries", None)
        if space is not None:
            schemaless = self._job.connections[part.connection_id].type in _SCHEMALESS
            given["database" if schemaless else "schema"] = space
        options = self._job.config.source.options
        target = {
            "schema": references[0].staged_schema,
            "schemaPolicy": "drop_and_recreate",
            "writeMode": "append",
            "skipData": skip_data,
            "structureOptions": {"indexes": False, "foreignKeys": False, "checkConstraints": False},
        }
        config = StreamConfig.parse(
            {
                "name": "staging",
                "mode": "convert",
                "source": {"connections": [given], "options": {"workers": options.workers}},
                "target": {"id": "staged", "spec": {"db": target}},
            }
        )
        connections = {**self._job.connections, "staged": self._file}
        outcome = run_stream(
            StreamJob(f"staging.{references[0].staged_schema}.{skip_data}", config, connections),
            self._control,
            _Quiet(self._report),
        )
        if outcome.error is not None:
            raise EngineError.from_dict(outcome.error)
        self._control.check()
        if outcome.status.value != "FINISHED":
            raise Interrupted("stop")

    # ------------------------------------------------------------ the source

    def catalog(self, database: str, only: Sequence[str] | None = None) -> Database:
        return Database(self.database)

    def query_table(self, name: str, query: str) -> Table:
        return self._inner.query_table(name, query)

    def result(self) -> Table:
        """The statement's result as a table."""
        return self.query_table(self.name, self._statement)

    def facts(self, table: Table, policies: Policies) -> Facts:
        return self._inner.facts(table, policies)

    def plan_read(
        self,
        table: Table,
        policies: Policies,
        *,
        plain_generated: frozenset[str] = frozenset(),
        max_rows: int | None = None,
        selection: Selection | None = None,
    ) -> tuple[TableRead, tuple[Note, ...]]:
        read, notes = self._inner.plan_read(table, policies, max_rows=max_rows, selection=selection)
        names = ", ".join(sorted(f"{r.staged_schema}.{r.table}" for r in self._references))
        staged = Note(
            Severity.INFO,
            "federated-staged",
            f"copied whole into a temporary file first: {names}",
            table.name,
        )
        return read, (*notes, staged)

    def chunks(self, read: TableRead, target_bytes: int, minimum: int) -> tuple[Chunk, ...]:
        return (Chunk(0, None),)

    def position(self) -> str | None:
        return None

    @contextmanager
    def picture(self, count: int) -> Iterator[Picture]:
        self._inner.close()
        self._stage(skip_data=False)
        self._inner = self._open()
        with self._inner.picture(count) as picture:
            yield picture

    def close(self) -> None:
        self._inner.close()
        shutil.rmtree(self._folder, ignore_errors=True)


# ---------------------------------------------------------------- reports of the staging


class _Silent:
    """A Report for nobody: a plan."""

    def stage(self, number: int) -> None: ...
    def plan(self, plan: Mapping[str, Any]) -> None: ...
    def table(self, schema: str, table: str, **changes: Any) -> None: ...
    def progress(self, schema: str, table: str, rows: int, bytes_: int) -> None: ...
    def phase(self, name: str, seconds: float) -> None: ...
    def log(
        self,
        level: Literal["debug", "info", "warning", "error"],
        message: str,
        category: str = "general",
        **fields: Any,
    ) -> None: ...
    def sql(self, entry: Mapping[str, Any]) -> None: ...


class _Quiet(_Silent):
    """The log of the staging goes into the stream's own; its stages and tables are not the stream's."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def log(
        self,
        level: Literal["debug", "info", "warning", "error"],
        message: str,
        category: str = "general",
        **fields: Any,
    ) -> None:
        self._report.log(level, message, category, **fields)

    def sql(self, entry: Mapping[str, Any]) -> None:
        self._report.sql(entry)
