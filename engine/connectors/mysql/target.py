"""MySQL and MariaDB as the target of a bounded load: the one object `engine.streams` drives."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pymysql

from engine.config import Connection, DbTarget, SchemaPolicy, TargetSpec, WriteMode
from engine.connectors import phases, target_tables
from engine.connectors.base import (
    Facts,
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
from engine.connectors.mysql import fit, target_live, target_structure
from engine.connectors.mysql import session as sessions
from engine.connectors.mysql.checkpoint import Checkpoints, Session, rows_of, transaction
from engine.connectors.mysql.encode import Server
from engine.connectors.mysql.fit import LiveTable
from engine.connectors.mysql.identifiers import qualified
from engine.connectors.mysql.loader import MysqlLoader, MysqlLoadTable
from engine.connectors.mysql.loader_failures import explain
from engine.connectors.mysql.target_map import MapOptions, map_database
from engine.connectors.mysql.target_server import read_server
from engine.connectors.mysql.target_session import open_session
from engine.connectors.target_tables import TablesThere, database_spec
from engine.errors import Code, EngineError
from engine.schema import Database
from ext.mysqlload import LoadEncoder


def open_target(connection: Connection, spec: TargetSpec, stream_id: str) -> MysqlTarget:
    """UNSUPPORTED_ROUTE when the spec is not one of a database; VALIDATION_FAILED when none is named."""
    db = database_spec(spec, connection)
    database = db.database or connection.database.database
    if database is None:
        raise EngineError(
            Code.VALIDATION_FAILED,
            "say which database to load into: target.spec.db.database, or the connection's own",
            field="target.spec.db.database",
        )
    return MysqlTarget(connection, db, database, stream_id)


class MysqlTarget(TablesThere):
    """A database that a stream loads into. Looking changes nothing until `claim`."""

    def __init__(self, connection: Connection, spec: DbTarget, database: str, stream_id: str) -> None:
        self.connection = connection
        self.spec = spec
        self.database = database
        self.schema = database  # one and the same here
        self.checkpoints = Checkpoints(database, stream_id)
        self.missing_database = False
        self._session = self._look()
        self.info: ServerInfo = sessions.server_info(self._session)
        with _explained():
            self.server = read_server(self._session, self.info)
        self._values = Server(self.info.flavor, self.info.version_tuple)
        self._live = target_live.LiveTables(self._session, self.info, database, self.server.exact_names)

    def _look(self) -> Session:
        try:
            return open_session(self.connection, self.database)
        except EngineError as error:
            if error.details.get("reason") != "unknown_database":
                raise
        self.missing_database = True
        return open_session(self.connection, "information_schema")

    # ------------------------------------------------------------ planning

    def map(self, database: Database, facts: Mapping[str, Facts]) -> TargetDatabase:
        mapped = map_database(
            database,
            MapOptions(
                schema=self.schema,
                server=self.server,
                policies=self.spec.policies,
                structure=self.spec.structure_options,
                rename=self.spec.rename,
                facts=facts,
            ),
        )
        self._live.expect([table.name for table in mapped.tables])
        return mapped

    def live(self, name: str) -> LiveTable | None:
        if self.missing_database:
            return None
        with _explained():
            return self._live.get(name)

    def takes_raw(self, read: TableRead, table: TargetTable) -> bool:
        return False

    def check(self, read: TableRead, table: TargetTable) -> list[Note]:
        """What the schema policy and the write mode say of a table that is or is not there."""
        live = self.live(table.name)
        policy, mode = self.spec.schema_policy, self.spec.write_mode
        if table.name.casefold() in target_live.OURS:
            return [target_tables.reserved(table.name)]
        if live is None:
            return target_tables.missing(table, self.spec, table.source.primary_key)
        if policy is SchemaPolicy.FAIL_IF_EXISTS:
            return [target_tables.present(table.name)]
        if policy is SchemaPolicy.DROP_AND_RECREATE:
            return [target_tables.no_table(table.name)] if live.table is None else []
        notes = fit.misfits(read, table, live, self.spec, self._values)
        if mode is not WriteMode.TRUNCATE_AND_LOAD:
            notes += self._half_loaded(table.name)
        if mode is WriteMode.FAIL_IF_NOT_EMPTY and live.table is not None and self._has_rows(table.name):
            notes.append(target_tables.not_empty(table.name))
        return notes

    def _has_rows(self, name: str) -> bool:
        with _explained():
            return bool(rows_of(self._session, f"SELECT 1 FROM {qualified(self.schema, name)} LIMIT 1"))

    def _half_loaded(self, name: str) -> list[Note]:
        if not self._has_checkpoints():
            return []
        with _explained():
            others = self.checkpoints.unfinished_others(self._session, name)
        return target_tables.half_loaded(name, others)

    def _has_checkpoints(self) -> bool:
        if self.missing_database:
            return False
        with _explained():
            return self.checkpoints.exists(self._session)

    def as_found(self, table: TargetTable) -> TargetTable:
        """The table with its live column types, where it is there and stays."""
        live = self.live(table.name)
        return fit.live_columns(table, live) if live is not None else table

    def _parents(self, name: str) -> set[str]:
        live = self.live(name)
        if live is None or live.table is None:
            return set()
        return {key.ref_table for key in live.table.foreign_keys if key.ref_schema == self.schema}

    def encoder(self, read: TableRead, table: TargetTable) -> LoadEncoder:
        return LoadEncoder(fit.encoders(read, table, self.spec.policies, self._values))

    # ------------------------------------------------------------ running

    def claim(self) -> bool:
        """Own the stream: create the database when absent, raise the epoch. True when an earlier attempt left
        something."""
        with _explained():
            if self.missing_database:
                try:
                    sessions.create_database(self._session, self.database)
                except EngineError as error:
                    if error.code is not Code.NAME_TAKEN:  # made by another stream meanwhile
                        raise
                self._session.select_db(self.database)
                self.missing_database = False
            return self.checkpoints.claim(self._session)

    def journal(self) -> dict[str, TableState]:
        """What earlier attempts decided and committed; empty before the first `claim`."""
        if not self._has_checkpoints():
            return {}
        with _explained():
            return self.checkpoints.tables(self._session)

    def stream_detail(self) -> Mapping[str, Any]:
        with _explained():
            return self.checkpoints.stream_detail(self._session)

    def put_stream(self, state: Literal["running", "finished"], detail: Mapping[str, Any]) -> None:
        with _explained(), transaction(self._session):
            self.checkpoints.put_stream(self._session, state, detail)
            self.checkpoints.guard(self._session)

    def is_finished(self) -> bool:
        with _explained():
            return self.checkpoints.is_finished(self._session)

    def prepare(
        self, database: TargetDatabase, details: Mapping[str, Mapping[str, Any]], log: SqlLog
    ) -> dict[str, TableState]:
        """Decide and create. The returned journal holds every table, ready."""
        with _explained():
            self._live.forget()
            present = self._live.names()
            target_structure.decide(
                self._session,
                self.checkpoints,
                database.tables,
                frozenset(table.name for table in database.tables if self._live.key(table.name) in present),
                self.journal(),
                self.spec.schema_policy,
                self.spec.write_mode,
                details,
            )
            target_structure.apply(self._session, self.checkpoints, database, self.journal(), log)
        self._live.forget()
        return self.journal()

    def load_table(self, read: TableRead, table: TargetTable) -> MysqlLoadTable:
        """Where the rows go, by what is on the target now."""
        live = self.live(table.name)
        if live is None or live.table is None:
            raise target_tables.vanished(table.name)
        return target_live.load_table(read, table, live, self.schema, self.spec.write_mode)

    def loader(self) -> MysqlLoader:
        def kill(thread: int) -> None:
            sessions.kill_query(self.connection, thread)

        session = self._open()
        try:
            with _explained():
                return MysqlLoader(session, self.checkpoints, kill)
        except BaseException:
            session._force_close()
            raise

    def finisher(self) -> Finisher:
        return Finisher(self._open(), self.checkpoints, self.connection)

    def _open(self) -> Session:
        return open_session(self.connection, self.database)

    def finishing(
        self, database: TargetDatabase, journal: Mapping[str, TableState]
    ) -> dict[Phase, list[Statement]]:
        return phases.finishing(database, journal)

    def forget(self) -> None:
        """Remove this stream's checkpoint rows: after the store says FINISHED, or for cleanup."""
        if not self.missing_database:
            with _explained():
                self.checkpoints.forget(self._session)

    def close(self) -> None:
        self._session._force_close()


class Finisher:
    """One session that runs statements after the data, used by one thread."""

    def __init__(self, session: Session, checkpoints: Checkpoints, connection: Connection) -> None:
        self._session = session
        self._checkpoints = checkpoints
        self._connection = connection

    def run(self, statement: Statement, log: SqlLog) -> Note | None:
        return target_structure.finish_one(self._session, self._checkpoints, statement, log)

    def cancel(self) -> None:
        sessions.kill_query(self._connection, self._session.thread_id())

    def close(self) -> None:
        self._session._force_close()


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Whatever PyMySQL raises inside, told apart."""
    try:
        yield
    except (pymysql.MySQLError, OSError) as error:
        raise explain(error) from error
