"""Structure on a PostgreSQL target: what is decided once per table, carried out with its journal row, and
finished after the data. PostgreSQL's DDL is transactional, so the journal and the catalog can never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors as pg

from engine.config import SchemaPolicy, WriteMode
from engine.connectors.base import (
    Note,
    Phase,
    Severity,
    SqlLog,
    Statement,
    TableState,
    TargetDatabase,
    TargetTable,
)
from engine.connectors.phases import before_data, failed, failed_to_finish
from engine.connectors.postgres.catalog import live_table
from engine.connectors.postgres.checkpoint import Checkpoints
from engine.connectors.postgres.identifiers import qualified, quote
from engine.connectors.postgres.loader import explain
from engine.connectors.postgres.session import PgConnection
from engine.errors import Code, EngineError
from engine.failpoints import fail_point

DECIDED = "decided"
READY = "ready"
FINISHED = "finished"

_TOGETHER = 100  # tables created in one transaction: each takes several slots of the server's lock table


def decide(
    session: PgConnection,
    checkpoints: Checkpoints,
    tables: Sequence[TargetTable],
    journal: Mapping[str, TableState],
    schema_policy: SchemaPolicy,
    write_mode: WriteMode,
    details: Mapping[str, Mapping[str, Any]],
    log: SqlLog,
) -> None:
    """Carry out the schema policy and the write mode for every table the journal does not know yet: one
    transaction drops, truncates and journals all of them. Later attempts find the journal and skip this.

    `details[table]` is kept with the decision: the chunks, and whether the table is created by us.
    """
    fresh = [table for table in tables if table.name not in journal]
    if not fresh:
        return
    with session.transaction():
        present = [table for table in fresh if live_table(session, table.schema, table.name) is not None]
        if present and schema_policy is SchemaPolicy.DROP_AND_RECREATE:
            _drop(session, present, log)
            present = []
        if present and write_mode is WriteMode.TRUNCATE_AND_LOAD:
            names = ", ".join(qualified(table.schema, table.name) for table in present)
            _run(session, f"TRUNCATE TABLE {names}", "truncate", log)
        kept = {table.name for table in present}
        for table in fresh:
            if table.name not in kept or write_mode is WriteMode.TRUNCATE_AND_LOAD:
                checkpoints.supersede_others(session, table.name)
        for table in fresh:
            detail = {**details[table.name], "created": table.name not in kept}
            checkpoints.put_table(session, table.name, DECIDED, detail)
        checkpoints.guard(session)
        fail_point("before_decision_commit")
    fail_point("after_decision_commit")


def _drop(session: PgConnection, tables: Sequence[TargetTable], log: SqlLog) -> None:
    # All at once: they may refer to each other.
    names = ", ".join(qualified(table.schema, table.name) for table in tables)
    _run(session, f"DROP TABLE {names}", "drop", log)
    for table in tables:
        for statement in table.statements:
            if statement.phase is Phase.TYPE:
                # Also one with other labels than now: the source's may have changed since it was made.
                name = qualified(table.schema, statement.object)
                _drop_type(session, name, log)


def _drop_type(session: PgConnection, name: str, log: SqlLog) -> None:
    """A type that tables of others use stays."""
    sql = f"DROP TYPE IF EXISTS {name}"
    try:
        with session.transaction():
            session.execute(sql)
    except pg.DependentObjectsStillExist:
        return
    log(sql, "drop")


def create(
    session: PgConnection,
    checkpoints: Checkpoints,
    database: TargetDatabase,
    journal: Mapping[str, TableState],
    log: SqlLog,
) -> None:
    """Make what is decided and not there yet. `journal` is read after `decide`."""
    with session.transaction():
        for statement in before_data(database.statements):
            _once(session, statement, log)
        checkpoints.guard(session)
    waiting = [table for table in database.tables if journal[table.name].state == DECIDED]
    for first in range(0, len(waiting), _TOGETHER):
        with session.transaction():
            for table in waiting[first : first + _TOGETHER]:
                state = journal[table.name]
                if state.detail["created"]:
                    for statement in before_data(table.statements):
                        _once(session, statement, log, must_be_new=statement.phase is Phase.TABLE)
                checkpoints.put_table(session, table.name, READY, state.detail)
            checkpoints.guard(session)
            fail_point("before_create_commit")


def _once(session: PgConnection, statement: Statement, log: SqlLog, must_be_new: bool = False) -> None:
    if _exists(session, statement):
        if must_be_new:
            raise EngineError(
                Code.TABLE_EXISTS,
                f"{statement.object} appeared on the target after it was decided to create it",
                table=statement.table,
            )
        return
    _run(session, statement.sql, statement.phase.value, log)


def _exists(session: PgConnection, statement: Statement) -> bool:
    if statement.exists is None:
        return False
    return session.execute(statement.exists).fetchone() is not None


def _run(session: PgConnection, sql: str, purpose: str, log: SqlLog) -> None:
    try:
        session.execute(sql)
    except psycopg.Error as error:
        raise failed(explain(error), purpose, sql) from error
    log(sql, purpose)


# ---------------------------------------------------------------- after the data


def finish_one(
    session: PgConnection, checkpoints: Checkpoints, statement: Statement, log: SqlLog
) -> Note | None:
    """Run one statement that follows the data, unless it has been. A constraint that the source's own rows
    break stays NOT VALID and is reported; everything else that fails, fails the stream."""
    try:
        with session.transaction():
            if _exists(session, statement):
                return None
            session.execute(statement.sql)
            checkpoints.guard(session)
            fail_point(f"during_{statement.phase.value}")
    except (pg.ForeignKeyViolation, pg.CheckViolation) as error:
        if statement.phase is not Phase.VALIDATE:
            raise failed_to_finish(explain(error), statement) from error
        return _violations(session, checkpoints.schema, statement, error)
    except psycopg.Error as error:
        raise failed_to_finish(explain(error), statement) from error
    log(statement.sql, statement.phase.value)
    return None


_FOREIGN_KEY = """
SELECT c.conrelid::regclass::text, c.confrelid::regclass::text,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k(num, n)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num),
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.confkey) WITH ORDINALITY k(num, n)
        JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num)
FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace JOIN pg_class t ON t.oid = c.conrelid
WHERE c.contype = 'f' AND n.nspname = %s AND t.relname = %s AND c.conname = %s
"""


def _violations(session: PgConnection, schema: str, statement: Statement, error: psycopg.Error) -> Note:
    """How many rows break the constraint: orphans of a foreign key are counted by the server."""
    row = session.execute(_FOREIGN_KEY, (schema, statement.table, statement.object)).fetchone()
    detail = error.diag.message_detail or error.diag.message_primary or ""
    count = None
    if row is not None:
        child, parent, columns, ref_columns = row
        given = " AND ".join(f"c.{quote(column)} IS NOT NULL" for column in columns)
        match = " AND ".join(
            f"p.{quote(ref)} = c.{quote(own)}" for own, ref in zip(columns, ref_columns, strict=True)
        )
        found = session.execute(
            f"SELECT count(*) FROM {child} c WHERE {given} AND NOT EXISTS"
            f" (SELECT 1 FROM {parent} p WHERE {match})"
        ).fetchone()
        count = int(found[0]) if found else None
    return Note(
        Severity.WARNING,
        "constraint-not-valid",
        f"{statement.object} stays NOT VALID: rows of the source break it ({detail})",
        table=statement.table,
        count=count,
    )
