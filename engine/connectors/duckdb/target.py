"""A DuckDB file as the target of a bounded load: the one object `engine.streams` drives.

The file is opened when the target is, if it is there, and made by `claim` if not. It stays open until
`close`, so that for the length of a stream this process is its owner.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from engine.config import Connection, DbTarget, SchemaPolicy, TargetSpec, WriteMode
from engine.connectors import target_tables
from engine.connectors.base import (
    Facts,
    LoadTable,
    Note,
    Phase,
    ServerInfo,
    SqlLog,
    Statement,
    TableRead,
    TableState,
    TargetDatabase,
    TargetTable,
)
from engine.connectors.checkpoints import TABLE as CHECKPOINT_TABLE
from engine.connectors.duckdb import catalog, fit, structure
from engine.connectors.duckdb.catalog import LiveTable
from engine.connectors.duckdb.checkpoint import Checkpoints, transaction
from engine.connectors.duckdb.database import Cursor, Database, database_name, open_database, path_of, version
from engine.connectors.duckdb.encode import DuckdbEncoder
from engine.connectors.duckdb.failures import explained
from engine.connectors.duckdb.identifiers import quote
from engine.connectors.duckdb.loader import DuckdbLoader
from engine.connectors.duckdb.manifest import TABLE as TYPES_TABLE
from engine.connectors.duckdb.mapping import MapOptions, map_database
from engine.connectors.target_tables import TablesThere, database_spec
from engine.errors import Code, EngineError
from engine.schema import Database as SourceDatabase

DEFAULT_SCHEMA = "main"
_SYSTEM = ("information_schema", "pg_catalog")


def open_target(connection: Connection, spec: TargetSpec, stream_id: str) -> DuckdbTarget:
    """UNSUPPORTED_ROUTE when the spec is not one of a database; VALIDATION_FAILED for a database or schema
    that cannot be. CONNECTION_BUSY while another process has the file."""
    return DuckdbTarget(connection, database_spec(spec, connection), stream_id)


class DuckdbTarget(TablesThere):
    """A schema of a file that a stream loads into. Looking changes nothing until `claim`."""

    def __init__(self, connection: Connection, spec: DbTarget, stream_id: str) -> None:
        self.spec = spec
        self.path = path_of(connection)
        self.database = database_name(self.path)
        self.schema = spec.schema_name or DEFAULT_SCHEMA
        self._check_names()
        self.checkpoints = Checkpoints(self.schema, stream_id)
        self.info: ServerInfo = version(self.path)
        self._file: Database | None = None
        self._live: dict[str, LiveTable | None] = {}
        if os.path.exists(self.path):
            self._open()
        elif not os.path.isdir(os.path.dirname(self.path)):
            open_database(self.path, read_only=False)  # raises with the reason

    def _check_names(self) -> None:
        if self.spec.database not in (None, self.database):
            problem, field = f"the database in {self.path} is called {self.database}", "database"
        elif self.schema in _SYSTEM:
            problem, field = "the schema belongs to DuckDB itself", "schema"
        else:
            return
        field = f"target.spec.db.{field}"
        raise EngineError(
            Code.VALIDATION_FAILED, f"{field}: {problem}", fields=[{"field": field, "problem": problem}]
        )

    def _open(self) -> None:
        self._file = open_database(self.path, read_only=False)
        self._cursor = self._file.cursor()
        self._watch = self._file.cursor()
        self.database = self._file.catalog
        self.checkpoints.bind(self._file)

    @property
    def _opened(self) -> tuple[Database, Cursor]:
        if self._file is None:
            raise EngineError(Code.CONNECTION_LOST, f"{self.path} is not open", path=self.path)
        return self._file, self._cursor

    # ------------------------------------------------------------ planning

    def map(self, database: SourceDatabase, facts: Mapping[str, Facts]) -> TargetDatabase:
        return map_database(database, MapOptions(self.database, self.schema, self.spec, facts))

    def live(self, name: str) -> LiveTable | None:
        """The table as it is in the file; None when it, or the file, is not there."""
        if self._file is None:
            return None
        if name not in self._live:
            with explained("reading the catalog failed", path=self.path):
                self._live[name] = catalog.live_table(self._cursor, self.schema, name)
        return self._live[name]

    def takes_raw(self, read: TableRead, table: TargetTable) -> bool:
        return False

    def check(self, read: TableRead, table: TargetTable) -> list[Note]:
        """What the schema policy and the write mode say of a table that is or is not there."""
        live, name = self.live(table.name), table.name
        policy, mode = self.spec.schema_policy, self.spec.write_mode
        if name.casefold() in (CHECKPOINT_TABLE, TYPES_TABLE):
            return [target_tables.reserved(name)]
        if live is None:
            return target_tables.missing(table, self.spec, table.source.key_columns)
        if policy is SchemaPolicy.FAIL_IF_EXISTS:
            return [target_tables.present(name)]
        if policy is SchemaPolicy.DROP_AND_RECREATE:
            if not live.is_table:
                return [target_tables.no_table(name)]
            keyless = mode is WriteMode.UPSERT and not table.source.key_columns
            return [target_tables.without_key(name)] if keyless else []
        notes = fit.misfits(read, table, live, mode)
        file, cursor = self._opened
        if mode is not WriteMode.TRUNCATE_AND_LOAD:
            notes += self._half_loaded(name)
        if mode is WriteMode.FAIL_IF_NOT_EMPTY and catalog.has_rows(cursor, file.catalog, self.schema, name):
            notes.append(target_tables.not_empty(name))
        return notes

    def _half_loaded(self, name: str) -> list[Note]:
        cursor = self._journaled()
        if cursor is None:
            return []
        return target_tables.half_loaded(name, self.checkpoints.unfinished_others(cursor, name))

    def _journaled(self) -> Cursor | None:
        """A cursor where the checkpoint table is; None where it is not."""
        if self._file is None or not self.checkpoints.exists(self._cursor):
            return None
        return self._cursor

    def as_found(self, table: TargetTable) -> TargetTable:
        """The table with its live column types, where it is there and stays."""
        live = self.live(table.name)
        return fit.live_columns(table, live) if live is not None else table

    def _parents(self, name: str) -> set[str]:
        live = self.live(name)
        return set(live.references) if live is not None else set()

    def encoder(self, read: TableRead, table: TargetTable) -> DuckdbEncoder:
        return DuckdbEncoder(read, table, self.spec.policies)

    # ------------------------------------------------------------ running

    def claim(self) -> bool:
        """Own the stream: make file and schema when absent, raise the epoch. True when an earlier attempt
        left something."""
        if self._file is None:
            self._open()
        file, cursor = self._opened
        with explained("taking over the stream failed", path=self.path):
            with file.lock, transaction(cursor):
                cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(file.catalog)}.{quote(self.schema)}")
            return self.checkpoints.claim(file, cursor)

    def journal(self) -> dict[str, TableState]:
        """What earlier attempts decided and committed; empty before the first `claim`."""
        cursor = self._journaled()
        return {} if cursor is None else self.checkpoints.tables(cursor)

    def stream_detail(self) -> Mapping[str, Any]:
        return self.checkpoints.stream_detail(self._opened[1])

    def put_stream(self, state: Literal["running", "finished"], detail: Mapping[str, Any]) -> None:
        file, cursor = self._opened
        with file.lock, transaction(cursor):
            self.checkpoints.put_stream(cursor, state, detail)
            self.checkpoints.guard(self._watch)

    def is_finished(self) -> bool:
        return self.checkpoints.is_finished(self._opened[1])

    def prepare(
        self, database: TargetDatabase, details: Mapping[str, Mapping[str, Any]], log: SqlLog
    ) -> dict[str, TableState]:
        """Decide and create. The returned journal holds every table, READY."""
        file, cursor = self._opened
        file.make_room(max((len(table.columns) for table in database.tables), default=0))
        made = structure.Structure(file, cursor, self._watch, self.checkpoints, log)
        made.decide(database.tables, self.journal(), self.spec, details)
        made.create(database, self.journal())
        self._live.clear()
        return self.journal()

    def load_table(self, read: TableRead, table: TargetTable) -> LoadTable:
        """Where the rows go, by what is in the file now. The key is the table's own, else the source's."""
        live = self.live(table.name)
        if live is None:
            raise target_tables.vanished(table.name)
        found = fit.live_columns(table, live)
        names = {column.source: column.name for column in found.columns}
        return LoadTable(
            schema=self.schema,
            name=table.name,
            columns=tuple(names[column.name] for column in read.columns),
            write_mode=self.spec.write_mode,
            primary_key=live.primary_key
            or tuple(names[name] for name in read.table.key_columns if name in names),
        )

    def loader(self) -> DuckdbLoader:
        return DuckdbLoader(self._opened[0], self.checkpoints)

    def finishing(
        self, database: TargetDatabase, journal: Mapping[str, TableState]
    ) -> dict[Phase, list[Statement]]:
        return structure.finishing(self._opened[0].catalog, database, journal)

    def finisher(self) -> structure.Finisher:
        return structure.Finisher(self._opened[0], self.checkpoints)

    def forget(self) -> None:
        """Remove this stream's checkpoint rows: after the store says FINISHED, or for cleanup."""
        if self._file is not None:
            with explained("removing the checkpoints failed", path=self.path):
                self.checkpoints.forget(self._file, self._cursor)

    def close(self) -> None:
        """Let go of the file. Repeating is harmless."""
        if self._file is not None:
            self._file.close()
            self._file = None
