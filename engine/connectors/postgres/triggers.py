"""ON UPDATE CURRENT_TIMESTAMP as a trigger that fires when MySQL would have touched the column."""

from __future__ import annotations

from engine.connectors.base import Phase, Statement
from engine.connectors.postgres.context import MappedColumn, MappedDatabase, MappedTable
from engine.connectors.postgres.ddl import trigger_exists
from engine.connectors.postgres.identifiers import literal, qualified, quote
from engine.connectors.postgres.names import Namespace, fit

_CLOCKS = frozenset({"timestamp", "timestamptz", "date"})


def add_touch_triggers(table: MappedTable, database: MappedDatabase) -> None:
    """A BEFORE UPDATE trigger per column: only when something else changed and the column itself was not set
    to another value. One function serves all columns of a name in the schema."""
    space = Namespace()
    for column in table.columns.values():
        if not column.source.on_update_now or column.generated is not None:
            continue
        name = column.source.name
        others = [_compared(other) for other in table.columns.values() if other is not column]
        changed = [pair for pair in others if pair is not None]
        if column.type.base not in _CLOCKS or not changed:
            table.warn("on-update-dropped", "ON UPDATE CURRENT_TIMESTAMP is not carried.", name)
            continue
        function = fit(f"dbstreams_touch_{column.name}")
        _add_function(database, function, column.name)
        trigger = space.take(f"touch_{column.name}", name)
        own = quote(column.name)
        old, new = (", ".join(side) for side in zip(*changed, strict=True))
        sql = (
            f"CREATE TRIGGER {quote(trigger)} BEFORE UPDATE ON {qualified(table.schema, table.name)}"
            f" FOR EACH ROW WHEN (OLD.{own} IS NOT DISTINCT FROM NEW.{own}"
            f" AND ROW({old}) IS DISTINCT FROM ROW({new}))"
            f" EXECUTE FUNCTION {qualified(table.schema, function)}()"
        )
        exists = trigger_exists(table.schema, table.name, trigger)
        table.statements.append(Statement(Phase.TRIGGER, table.name, trigger, sql, exists))
        message = (
            "ON UPDATE CURRENT_TIMESTAMP becomes a trigger; setting the column to its old value is not seen."
        )
        table.inform("on-update-trigger", message, name)


def _compared(column: MappedColumn) -> tuple[str, str] | None:
    """Both sides of a comparison that sees every change; None for columns a BEFORE trigger cannot see."""
    if column.generated is not None:
        return None
    name, cast = quote(column.name), ""
    if column.type.base in ("json", "citext"):
        cast = "::text"
    elif column.type.base == "geometry":
        cast = "::bytea"
    elif column.type.collation:
        cast = ' COLLATE "C"'
    return f"OLD.{name}{cast}", f"NEW.{name}{cast}"


def _add_function(database: MappedDatabase, function: str, column: str) -> None:
    label = f"function {function}"
    if any(statement.object == label for statement in database.statements):
        return
    body = f"BEGIN NEW.{quote(column)} := CURRENT_TIMESTAMP; RETURN NEW; END"
    sql = (
        f"CREATE OR REPLACE FUNCTION {qualified(database.schema, function)}() RETURNS trigger"
        f" LANGUAGE plpgsql AS {literal(body)}"
    )
    # Made first: the trigger needs it, and its body is not looked at before it runs.
    database.statements.append(Statement(Phase.TYPE, None, label, sql))
