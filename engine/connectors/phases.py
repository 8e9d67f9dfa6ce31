"""The statements of a target by their phases: which come before the data, which follow it, and how one that
fails is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.connectors.base import Phase, Statement, TableState, TargetDatabase
from engine.errors import EngineError

_BEFORE = (Phase.NAMESPACE, Phase.TYPE, Phase.TABLE)
_ORDER = {phase: number for number, phase in enumerate(Phase)}
# A kept table is the user's: only what the new rows call for is done to it.
_FOR_KEPT_TABLES = frozenset({Phase.SEQUENCE, Phase.ANALYZE})
_SHOWN = 2000  # characters of a statement that failed


def before_data(statements: Iterable[Statement]) -> list[Statement]:
    """Those that make the structure rows need, in the order of phases."""
    return sorted(
        (statement for statement in statements if statement.phase in _BEFORE),
        key=lambda statement: _ORDER[statement.phase],
    )


def finishing(database: TargetDatabase, journal: Mapping[str, TableState]) -> dict[Phase, list[Statement]]:
    """The statements that follow the data, by phase, in the order of phases."""
    phases: dict[Phase, list[Statement]] = {
        phase: [] for phase in Phase if _ORDER[phase] > _ORDER[Phase.DATA]
    }
    for table in database.tables:
        created = journal[table.name].detail["created"]
        for statement in table.statements:
            if statement.phase in phases and (created or statement.phase in _FOR_KEPT_TABLES):
                phases[statement.phase].append(statement)
    for statement in database.statements:
        if statement.phase in phases:
            phases[statement.phase].append(statement)
    return phases


def failed(failure: EngineError, purpose: str, sql: str) -> EngineError:
    """What a driver's exception was told apart as, with what was being done and the statement."""
    details = {**failure.details, "statement": sql[:_SHOWN]}
    return EngineError(failure.code, f"{purpose}: {failure.message}", **details)


def failed_to_finish(failure: EngineError, statement: Statement) -> EngineError:
    """The same of a statement that follows the data."""
    purpose = f"{statement.phase.value.replace('_', ' ')} {statement.object}"
    found = failed(failure, purpose, statement.sql)
    return EngineError(found.code, found.message, **{**found.details, "table": statement.table})
