"""Structure in a DuckDB file: what is decided once per table, and carried out with its journal row. DDL is
transactional here, so the journal and the catalog never disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from engine.config import DbTarget, SchemaPolicy, WriteMode
from engine.connectors.base import (
    Note,
    Phase,
    SqlLog,
    Statement,
    TableState,
    TargetDatabase,
    TargetTable,
)
from engine.connectors.duckdb import manifest
from engine.connectors.duckdb.catalog import live_table
from engine.connectors.duckdb.checkpoint import Checkpoints, transaction
from engine.connectors.duckdb.database import Cursor, Database
from engine.connectors.duckdb.failures import explain
from engine.connectors.duckdb.identifiers import qualified
from engine.connectors.phases import failed, failed_to_finish
from engine.errors import Code, EngineError
from engine.failpoints import fail_point

DECIDED = "decided"
READY = "ready"


class Structure:
    """The structure of one schema of an open file. One thread at a time."""

    def __init__(
        self, database: Database, cursor: Cursor, watch: Cursor, checkpoints: Checkpoints, log: SqlLog
    ) -> None:
        self._database = database
        self._cursor = cursor
        self._watch = watch
        self._checkpoints = checkpoints
        self._log = log

    def decide(
        self,
        tables: Sequence[TargetTable],
        journal: Mapping[str, TableState],
        spec: DbTarget,
        details: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Carry out the schema policy and the write mode for the tables the journal does not know, in one
        transaction with the journal rows. Later attempts find those and skip this."""
        fresh = [table for table in tables if table.name not in journal]
        if not fresh:
            return
        with self._database.lock, transaction(self._cursor):
            kept = set()
            for table in fresh:
                place = qualified(self._database.catalog, table.schema, table.name)
                there = live_table(self._cursor, table.schema, table.name) is not None
                if there and spec.schema_policy is SchemaPolicy.DROP_AND_RECREATE:
                    self._run(f"DROP TABLE {place}", "drop")
                    there = False
                if there and spec.write_mode is WriteMode.TRUNCATE_AND_LOAD:
                    self._run(f"DELETE FROM {place}", "truncate")
                if there:
                    kept.add(table.name)
                if not there or spec.write_mode is WriteMode.TRUNCATE_AND_LOAD:
                    self._checkpoints.supersede_others(self._cursor, table.name)
            for table in fresh:
                detail = {**details[table.name], "created": table.name not in kept}
                self._checkpoints.put_table(self._cursor, table.name, DECIDED, detail)
            self._checkpoints.guard(self._watch)
            fail_point("before_decision_commit")
        fail_point("after_decision_commit")

    def create(self, database: TargetDatabase, journal: Mapping[str, TableState]) -> None:
        """Make what is decided and not there yet. `journal` is read after `decide`."""
        waiting = [table for table in database.tables if journal[table.name].state == DECIDED]
        if not waiting:
            return
        with self._database.lock, transaction(self._cursor):
            for table in waiting:
                state = journal[table.name]
                if state.detail["created"]:
                    self._create(table)
                self._checkpoints.put_table(self._cursor, table.name, READY, state.detail)
            self._checkpoints.guard(self._watch)
            fail_point("before_create_commit")

    def _create(self, table: TargetTable) -> None:
        if live_table(self._cursor, table.schema, table.name) is not None:
            raise EngineError(
                Code.TABLE_EXISTS,
                f"{table.name} appeared on the target after it was decided to create it",
                table=table.name,
            )
        for statement in table.statements:
            if statement.phase is Phase.TABLE:
                self._run(statement.sql, "table")

    def _run(self, sql: str, purpose: str) -> None:
        try:
            self._cursor.execute(sql)
        except duckdb.Error as error:
            raise failed(explain(error), purpose, sql) from error
        self._log(sql, purpose)


def finishing(
    catalog: str, database: TargetDatabase, journal: Mapping[str, TableState]
) -> dict[Phase, list[Statement]]:
    """Comments of the tables this stream made, and what their columns were on the source."""
    found: list[Statement] = []
    for table in database.tables:
        if journal[table.name].detail["created"]:
            found += [item for item in table.statements if item.phase is Phase.COMMENT]
            types = manifest.statement(catalog, table)
            found += [] if types is None else [types]
    return {Phase.COMMENT: found} if found else {}


class Finisher:
    """One session that runs statements after the data."""

    def __init__(self, database: Database, checkpoints: Checkpoints) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._cursor = database.cursor()
        self._watch = database.cursor()

    def run(self, statement: Statement, log: SqlLog) -> Note | None:
        try:
            with self._database.lock, transaction(self._cursor):
                self._cursor.execute(statement.sql)
                self._checkpoints.guard(self._watch)
                fail_point(f"during_{statement.phase.value}")
        except duckdb.Error as error:
            raise failed_to_finish(explain(error), statement) from error
        log(statement.sql, statement.phase.value)
        return None

    def cancel(self) -> None:
        self._cursor.interrupt()

    def close(self) -> None:
        self._database.release(self._cursor)
        self._database.release(self._watch)
