"""Sequences, routines, triggers and the rest of a schema's inventory."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from engine.connectors.postgres import source_catalog_sql as sql
from engine.connectors.postgres.identifiers import qualified
from engine.connectors.postgres.session import PgConnection
from engine.schema import Routine, Sequence, Trigger

_AT_ONCE = 200  # sequences whose state one query asks for
_ROUTINES = {"f": "FUNCTION", "p": "PROCEDURE", "a": "AGGREGATE", "w": "WINDOW FUNCTION"}
_BEFORE, _INSTEAD = 2, 64
_EVENTS = ((4, "INSERT"), (8, "DELETE"), (16, "UPDATE"), (32, "TRUNCATE"))


@dataclass(frozen=True, slots=True)
class OwnedSequence:
    """A sequence that belongs to a column. callers: the defaults (pg_attrdef) that ask it."""

    sequence: Sequence
    column: int
    identity: bool
    callers: frozenset[int]


def read_sequences(
    session: PgConnection, schema: str, tables: list[int], notes: list[str]
) -> tuple[tuple[Sequence, ...], dict[int, list[OwnedSequence]]]:
    """Sequences of the schema that stand by themselves, and those owned by columns, by table."""
    rows = session.execute(sql.SEQUENCES, {"schema": schema, "tables": tables}).fetchall()
    states = _states(session, [(row[0], row[12], row[1]) for row in rows if row[11]])
    free: list[Sequence] = []
    owned: dict[int, list[OwnedSequence]] = defaultdict(list)
    for oid, name, start, increment, low, high, cycle, table, column, how, callers, _, _ in rows:
        value = _next(states.get(oid), increment, low, high, cycle)
        if value is None:
            notes.append(f"sequence {name}: this login may not read where it stands")
        sequence = Sequence(schema, name, start, increment, low, high, cycle, value)
        if table is not None and (how == "i" or callers):
            owned[table].append(OwnedSequence(sequence, column, how == "i", frozenset(callers)))
            if len(callers) <= 1:  # a table that inherits the default counts by it too
                continue
        free.append(sequence)
    return tuple(free), owned


def _states(session: PgConnection, names: list[tuple[int, str, str]]) -> dict[int, tuple[int, bool]]:
    states = {}
    for start in range(0, len(names), _AT_ONCE):
        query = " UNION ALL ".join(
            f"SELECT {int(oid)}::int8, last_value, is_called FROM {qualified(schema, name)}"
            for oid, schema, name in names[start : start + _AT_ONCE]
        )
        for oid, last, called in session.execute(query).fetchall():
            states[oid] = (last, called)
    return states


def _next(state: tuple[int, bool] | None, increment: int, low: int, high: int, cycle: bool) -> int | None:
    """What nextval would give; past its end, for a sequence that is used up."""
    if state is None:
        return None
    last, called = state
    if not called:
        return last
    value = last + increment
    if cycle and not low <= value <= high:
        return low if increment > 0 else high
    return value


def read_routines(session: PgConnection, schema: str) -> tuple[Routine, ...]:
    rows = session.execute(sql.ROUTINES, {"schema": schema}).fetchall()
    return tuple(
        Routine(schema, name, _ROUTINES.get(str(kind), str(kind)), text or "") for name, kind, text in rows
    )


def read_triggers(session: PgConnection, schema: str, tables: list[int]) -> tuple[Trigger, ...]:
    rows = session.execute(sql.TRIGGERS, (tables,)).fetchall()
    return tuple(
        Trigger(
            schema,
            name,
            table,
            "INSTEAD OF" if kind & _INSTEAD else "BEFORE" if kind & _BEFORE else "AFTER",
            " OR ".join(event for bit, event in _EVENTS if kind & bit),
            text,
        )
        for name, table, kind, text in rows
    )


def other_notes(session: PgConnection, tables: list[int]) -> list[str]:
    rows: list[tuple[Any, ...]] = session.execute(sql.OTHERS, {"tables": tables}).fetchall()
    return [f"{what} {name} of {table} is not carried" for what, name, table in rows]
