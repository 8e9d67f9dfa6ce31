"""Structure on a MySQL target: what is decided once per table, carried out, and finished after the data.

DDL commits by itself, so a decision and its statements are apart:

    pending   decided and journaled, nothing done
    applying  DROP, TRUNCATE or CREATE may have happened, or not: the catalog says which
    ready     done; chunks are committed from here on, and nothing of this is repeated

Between `applying` and `ready` the table holds no row of this stream, so that an attempt which finds it so may
drop or empty it again. Each of these statements runs under the stream's lock (checkpoint.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pymysql

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
from engine.connectors.mysql.checkpoint import Checkpoints, Session, execute, rows_of, transaction
from engine.connectors.mysql.identifiers import literal, qualified
from engine.connectors.mysql.loader import orphans
from engine.connectors.mysql.loader_failures import explain
from engine.connectors.phases import before_data, failed, failed_to_finish
from engine.errors import Code, EngineError
from engine.failpoints import fail_point

PENDING = "pending"
APPLYING = "applying"
READY = "ready"

_EXISTS = frozenset({1050, 1061, 1826, 3822})  # made by an earlier attempt's last statement meanwhile


def decide(
    session: Session,
    checkpoints: Checkpoints,
    tables: Sequence[TargetTable],
    present: frozenset[str],
    journal: Mapping[str, TableState],
    schema_policy: SchemaPolicy,
    write_mode: WriteMode,
    details: Mapping[str, Mapping[str, Any]],
) -> None:
    """Journal what the schema policy and the write mode say of every table the journal does not know yet, all
    in one transaction. `present`: tables that are on the target now. `details[table]` is kept with the
    decision."""
    fresh = [table for table in tables if table.name not in journal]
    if not fresh:
        return
    actions: dict[str, str] = {}
    for table in fresh:
        there = table.name in present
        if there and schema_policy is SchemaPolicy.DROP_AND_RECREATE:
            actions[table.name] = "drop"
        elif there and write_mode is WriteMode.TRUNCATE_AND_LOAD:
            actions[table.name] = "truncate"
        else:
            actions[table.name] = "keep" if there else "create"
    emptied = [name for name, action in actions.items() if action in ("drop", "truncate")]
    if emptied:
        _refuse_referenced(session, checkpoints.database, emptied)
    with transaction(session):
        for table in fresh:
            action = actions[table.name]
            if action != "keep":
                checkpoints.supersede_others(session, table.name)
            created = action in ("drop", "create")
            detail = {**details[table.name], "created": created, "action": action}
            checkpoints.put_table(session, table.name, PENDING, detail)
        checkpoints.guard(session)
        fail_point("before_decision_commit")
    fail_point("after_decision_commit")


def _refuse_referenced(session: Session, database: str, names: Sequence[str]) -> None:
    """Emptying a table under foreign keys of others would leave orphans that nobody checks."""
    listed = ", ".join(literal(name) for name in names)
    found = rows_of(
        session,
        "SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_NAME"
        " FROM information_schema.KEY_COLUMN_USAGE"
        f" WHERE REFERENCED_TABLE_SCHEMA = {literal(database)} AND REFERENCED_TABLE_NAME IN ({listed})"
        f" AND NOT (TABLE_SCHEMA = {literal(database)} AND TABLE_NAME IN ({listed})) LIMIT 1",
    )
    if found:
        schema, table, constraint, parent = (str(value) for value in found[0])
        raise EngineError(
            Code.CONSTRAINT_VIOLATION,
            f"{parent} cannot be emptied or replaced: {schema}.{table} refers to it ({constraint})",
            table=parent,
            constraint=constraint,
        )


def apply(
    session: Session,
    checkpoints: Checkpoints,
    database: TargetDatabase,
    journal: Mapping[str, TableState],
    log: SqlLog,
) -> None:
    """Carry out what is decided and not ready. `journal` is read after `decide`."""
    waiting = [table for table in database.tables if journal[table.name].state != READY]
    with checkpoints.structure_lock(session):
        for statement in before_data(database.statements):
            if not _exists(session, statement):
                _run(session, statement.sql, statement.phase.value, log)
        for table in waiting:
            state = journal[table.name]
            if state.detail["action"] != "keep":
                _apply_one(session, checkpoints, table, state, log)
            checkpoints.put_table(session, table.name, READY, state.detail)
            fail_point("after_ready")


def _apply_one(
    session: Session, checkpoints: Checkpoints, table: TargetTable, state: TableState, log: SqlLog
) -> None:
    action, name = state.detail["action"], qualified(table.schema, table.name)
    begun = state.state == APPLYING
    if not begun:
        checkpoints.put_table(session, table.name, APPLYING, state.detail)
        fail_point("after_applying")
    # Whether others refer to the table was looked at when this was decided; those emptied go together.
    execute(session, "SET SESSION foreign_key_checks = 0")
    try:
        if action == "truncate":
            _run(session, f"TRUNCATE TABLE {name}", "truncate", log)
            fail_point("after_truncate")
            return
        if action == "drop":
            _run(session, f"DROP TABLE IF EXISTS {name}", "drop", log)
            fail_point("after_drop")
        for statement in before_data(table.statements):
            if _exists(session, statement):
                _require_ours(session, statement, name, begun)
                continue
            _run(session, statement.sql, statement.phase.value, log)
            fail_point("after_create")
    finally:
        execute(session, "SET SESSION foreign_key_checks = 1")


def _require_ours(session: Session, statement: Statement, name: str, begun: bool) -> None:
    """A table that is there before its CREATE: ours when an earlier attempt got as far as applying and nobody
    has put rows into it."""
    if begun and not rows_of(session, f"SELECT 1 FROM {name} LIMIT 1"):
        return
    raise EngineError(
        Code.TABLE_EXISTS,
        f"{statement.object} appeared on the target after it was decided to create it",
        table=statement.table,
    )


def _exists(session: Session, statement: Statement) -> bool:
    return statement.exists is not None and bool(rows_of(session, statement.exists))


def _run(session: Session, sql: str, purpose: str, log: SqlLog) -> None:
    try:
        execute(session, sql)
    except (pymysql.MySQLError, OSError) as error:
        raise failed(explain(error), purpose, sql) from error
    log(sql, purpose)


# ---------------------------------------------------------------- after the data

_ORPHANS = frozenset({1452, 1216})
# No index on the parent, types that do not match, no such table or column: what a source could have and this
# server does not take.
_IMPOSSIBLE = frozenset({150, 1005, 1072, 1215, 1822, 1824, 1830, 3734, 3780, 6125})


def finish_one(session: Session, checkpoints: Checkpoints, statement: Statement, log: SqlLog) -> Note | None:
    """Run one statement that follows the data, unless it has been. A foreign key that the source's own rows
    break, or that this server cannot have, is left out and reported; everything else that fails, fails the
    stream."""
    try:
        checkpoints.compare(session)
        if _exists(session, statement):
            return None
        execute(session, statement.sql)
    except (pymysql.MySQLError, OSError) as error:
        number = error.args[0] if error.args else None
        if number in _EXISTS and _exists(session, statement):
            return None
        if statement.phase is Phase.FOREIGN_KEY and number in _ORPHANS | _IMPOSSIBLE:
            return _left_out(session, statement, str(error.args[-1]), number in _ORPHANS)
        raise failed_to_finish(explain(error, statement.table), statement) from error
    fail_point(f"during_{statement.phase.value}")
    log(statement.sql, statement.phase.value)
    return None


def _left_out(session: Session, statement: Statement, message: str, orphaned: bool) -> Note:
    count, sample = None, ""
    if orphaned:
        count, sample = _orphans_of(session, statement.sql)
        message = f"{count} rows have no parent, for example {sample}"
    return Note(
        Severity.WARNING,
        "foreign-key-orphans" if orphaned else "foreign-key-skipped",
        f"the foreign key {statement.object} is left out: {message}",
        table=statement.table,
        count=count,
    )


_QUOTED = r"`(?:[^`]|``)+`"
_LISTED = rf"\(({_QUOTED}(?:, {_QUOTED})*)\)"
_FOREIGN_KEY = re.compile(
    rf"ALTER TABLE ({_QUOTED}\.{_QUOTED}) ADD CONSTRAINT {_QUOTED} FOREIGN KEY {_LISTED}"
    rf" REFERENCES ({_QUOTED}\.{_QUOTED}) {_LISTED}"
)


def _orphans_of(session: Session, sql: str) -> tuple[int, str]:
    """By the names in our own statement."""
    found = _FOREIGN_KEY.match(sql)
    assert found is not None, sql
    child, own, parent, other = found.groups()
    return orphans(session, child, parent, _names(own), _names(other))


def _names(listed: str) -> list[str]:
    return [name[1:-1].replace("``", "`") for name in re.findall(_QUOTED, listed)]
