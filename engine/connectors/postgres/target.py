"""PostgreSQL as the target of a bounded load: the one object `engine.streams` drives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from engine.config import Connection, DbTarget, SchemaPolicy, TargetSpec, WriteMode
from engine.connectors import phases, target_tables
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
from engine.connectors.postgres import catalog, fit, manifest, session, structure
from engine.connectors.postgres.catalog import LiveTable
from engine.connectors.postgres.checkpoint import Checkpoints
from engine.connectors.postgres.identifiers import qualified
from engine.connectors.postgres.loader import PostgresLoader
from engine.connectors.postgres.manifest import TABLE as TYPES_TABLE
from engine.connectors.postgres.mapping import MapOptions, map_database
from engine.connectors.postgres.session import PgConnection
from engine.connectors.target_tables import TablesThere, database_spec
from engine.errors import Code, EngineError
from engine.schema import Database
from ext.pgcopy import CopyEncoder


def open_target(connection: Connection, spec: TargetSpec, stream_id: str) -> PostgresTarget:
    """UNSUPPORTED_ROUTE when the spec is not one of a database."""
    return PostgresTarget(connection, database_spec(spec, connection), stream_id)


class PostgresTarget(TablesThere):
    """A database and schema that a stream loads into. Looking changes nothing until `claim`."""

    def __init__(self, connection: Connection, spec: DbTarget, stream_id: str) -> None:
        self.connection = connection
        self.spec = spec
        self.database = spec.database or connection.database.database or session.DEFAULT_DATABASE
        self.schema = spec.schema_name or "public"
        self.checkpoints = Checkpoints(self.schema, stream_id)
        self.missing_database = False
        self._session = self._look()
        self.info: ServerInfo = session.server_info(self._session)
        self._version = int(self._session.info.server_version)
        self._extensions = {} if self.missing_database else catalog.extensions(self._session)
        self._functions = catalog.functions(self._session)
        self._live: dict[str, LiveTable | None] = {}

    def _look(self) -> PgConnection:
        try:
            return session.connect(self.connection, self.database)
        except EngineError as error:
            if error.details.get("reason") != "unknown_database":
                raise
        self.missing_database = True
        return session.connect(self.connection, session.DEFAULT_DATABASE)

    # ------------------------------------------------------------ planning

    def map(self, database: Database, facts: Mapping[str, Facts]) -> TargetDatabase:
        return map_database(
            database,
            MapOptions(
                schema=self.schema,
                policies=self.spec.policies,
                structure=self.spec.structure_options,
                rename=self.spec.rename,
                server_version=self._version,
                functions=self._functions,
                extensions=frozenset(self._extensions),
                extension_schemas=self._extensions,
                facts=facts,
                key_first=self.spec.write_mode is WriteMode.UPSERT,
            ),
        )

    def live(self, name: str) -> LiveTable | None:
        if self.missing_database:
            return None
        if name not in self._live:
            self._live[name] = catalog.live_table(self._session, self.schema, name)
        return self._live[name]

    def takes_raw(self, read: TableRead, table: TargetTable) -> bool:
        return fit.same_types(read, table, self._version)

    def check(self, read: TableRead, table: TargetTable) -> list[Note]:
        """What the schema policy and the write mode say of a table that is or is not there."""
        live = self.live(table.name)
        policy, mode = self.spec.schema_policy, self.spec.write_mode
        if table.name in (CHECKPOINT_TABLE, TYPES_TABLE):
            return [target_tables.reserved(table.name)]
        if live is None:
            refusals = target_tables.missing(table, self.spec, table.source.primary_key)
            return refusals or self._pairs(read, table)
        if policy is SchemaPolicy.FAIL_IF_EXISTS:
            return [target_tables.present(table.name)]
        if policy is SchemaPolicy.DROP_AND_RECREATE:
            return self._pairs(read, table)
        notes = fit.misfits(read, table, live, self.spec, self._version)
        notes += self._money(read, self.as_found(table))
        if mode is not WriteMode.TRUNCATE_AND_LOAD:
            notes += self._half_loaded(table.name)
        if mode is WriteMode.FAIL_IF_NOT_EMPTY and catalog.has_rows(
            self._session, qualified(self.schema, table.name)
        ):
            notes.append(target_tables.not_empty(table.name))
        return notes

    def _pairs(self, read: TableRead, table: TargetTable) -> list[Note]:
        return [
            *fit.pair_misfits(read, table, self.spec.policies, self._version),
            *self._money(read, table),
        ]

    def _money(self, read: TableRead, table: TargetTable) -> list[Note]:
        """Money that is not passed on undecoded is written with a point and two digits behind it."""
        loaded = {column.name for column in read.columns}
        column = next((c for c in table.columns if c.base == "money" and c.source in loaded), None)
        if column is None or self.takes_raw(read, table):
            return []
        found = self._session.execute("SELECT '-1234.56'::money::numeric = -1234.56").fetchone()
        if found and found[0]:
            return []
        message = "the target's lc_monetary writes money in another way than with a point and two digits"
        return [target_tables.refused("money-locale", message, table.name)]

    def _half_loaded(self, name: str) -> list[Note]:
        if not self._has_checkpoints():
            return []
        return target_tables.half_loaded(name, self.checkpoints.unfinished_others(self._session, name))

    def _has_checkpoints(self) -> bool:
        if self.missing_database:
            return False
        return self.checkpoints.exists(self._session)

    def as_found(self, table: TargetTable) -> TargetTable:
        """The table with its live column types, where it is there and stays."""
        live = self.live(table.name)
        return fit.live_columns(table, live) if live is not None else table

    def _parents(self, name: str) -> set[str]:
        live = self.live(name)
        references = live.references if live is not None else ()
        return {other for schema, other in references if schema == self.schema}

    def encoder(self, read: TableRead, table: TargetTable) -> CopyEncoder:
        specs = fit.encoders(read, table, self.spec.policies, self._version)
        return CopyEncoder(specs, text=fit.by_text(specs))

    # ------------------------------------------------------------ running

    def claim(self) -> bool:
        """Own the stream: create the database and schema when absent, raise the epoch. True when an earlier
        attempt left something."""
        if self.missing_database:
            session.create_database(self.connection, self.database)
            self._session.close()
            self._session = session.connect(self.connection, self.database)
            self._extensions = catalog.extensions(self._session)
            self.missing_database = False
        found = self._session.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = %s)", (self.schema,)
        ).fetchone()
        if not (found and found[0]):
            try:
                session.create_schema(self.connection, self.database, self.schema)
            except EngineError as error:
                if error.code is not Code.NAME_TAKEN:  # made by another stream meanwhile
                    raise
        return self.checkpoints.claim(self._session)

    def journal(self) -> dict[str, TableState]:
        """What earlier attempts decided and committed; empty before the first `claim`."""
        if not self._has_checkpoints():
            return {}
        return self.checkpoints.tables(self._session)

    def stream_detail(self) -> Mapping[str, Any]:
        return self.checkpoints.stream_detail(self._session)

    def put_stream(self, state: Literal["running", "finished"], detail: Mapping[str, Any]) -> None:
        with self._session.transaction():
            self.checkpoints.put_stream(self._session, state, detail)
            self.checkpoints.guard(self._session)

    def is_finished(self) -> bool:
        return self.checkpoints.is_finished(self._session)

    def prepare(
        self, database: TargetDatabase, details: Mapping[str, Mapping[str, Any]], log: SqlLog
    ) -> dict[str, TableState]:
        """Decide and create. The returned journal holds every table, READY."""
        structure.decide(
            self._session,
            self.checkpoints,
            database.tables,
            self.journal(),
            self.spec.schema_policy,
            self.spec.write_mode,
            details,
            log,
        )
        structure.create(self._session, self.checkpoints, database, self.journal(), log)
        self._live.clear()
        return self.journal()

    def load_table(self, read: TableRead, table: TargetTable) -> LoadTable:
        """Where the rows go, by what is on the target now."""
        live = self.live(table.name)
        if live is None:
            raise target_tables.vanished(table.name)
        names = {column.source: column.name for column in table.columns}
        return LoadTable(
            schema=self.schema,
            name=table.name,
            columns=tuple(names[column.name] for column in read.columns),
            write_mode=self.spec.write_mode,
            primary_key=live.primary_key,
            disable_triggers=bool(live.triggers) and self.spec.policies.triggers == "disable",
            text=self._by_text(read, fit.live_columns(table, live)),
        )

    def _by_text(self, read: TableRead, table: TargetTable) -> bool:
        try:
            return fit.by_text(fit.encoders(read, table, self.spec.policies, self._version))
        except EngineError:  # then rows are passed on undecoded, or the encoder says the same again
            return False

    def loader(self) -> PostgresLoader:
        return PostgresLoader(self._open(), self.checkpoints)

    def finisher(self) -> Finisher:
        return Finisher(self._open(), self.checkpoints)

    def _open(self) -> PgConnection:
        return session.connect(self.connection, self.database)

    def finishing(
        self, database: TargetDatabase, journal: Mapping[str, TableState]
    ) -> dict[Phase, list[Statement]]:
        """What is left to do after the data; and the source's types of the columns that were made go into a
        table beside them."""
        found = phases.finishing(database, journal)
        created = [table for table in database.tables if journal[table.name].detail["created"]]
        for statement in manifest.statements(self.schema, created):
            found[statement.phase].append(statement)
        return found

    def forget(self) -> None:
        """Remove this stream's checkpoint rows: after the store says FINISHED, or for cleanup."""
        if not self.missing_database:
            self.checkpoints.forget(self._session)

    def close(self) -> None:
        self._session.close()


class Finisher:
    """One session that runs statements after the data, used by one thread."""

    def __init__(self, opened: PgConnection, checkpoints: Checkpoints) -> None:
        self._session = opened
        self._checkpoints = checkpoints

    def run(self, statement: Statement, log: SqlLog) -> Note | None:
        return structure.finish_one(self._session, self._checkpoints, statement, log)

    def cancel(self) -> None:
        self._session.cancel_safe(timeout=5)

    def close(self) -> None:
        self._session.close()
