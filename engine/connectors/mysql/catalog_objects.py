"""Partitions, and the objects that hold code or counters: routines, triggers, events, sequences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from engine import schema
from engine.connectors.mysql import catalog_sql as sql
from engine.connectors.mysql.catalog_sql import Catalog
from engine.connectors.mysql.identifiers import qualified, quote
from engine.connectors.mysql.show_create import questionable, statement

_SEQUENCES_A_QUERY = 50


def partitions(catalog: Catalog, notes: list[str]) -> dict[str, tuple[schema.Partition, ...]]:
    """By table, in order. Subpartitions are summed into their partition and noted."""
    grouped: dict[tuple[str, int], list[tuple[Any, ...]]] = defaultdict(list)
    for row in catalog.of_tables(sql.PARTITIONS):
        grouped[row[0], int(row[2])].append(row)
    result: dict[str, list[schema.Partition]] = defaultdict(list)
    for (table, _), rows in sorted(grouped.items()):
        _, name, _, method, expression, description, _, sub_method = rows[0]
        if sub_method is not None and table not in result:
            notes.append(f"{table} is subpartitioned by {sub_method.lower()}; subpartitions are not carried")
        rows_in_it = sum(int(row[6] or 0) for row in rows)
        result[table].append(schema.Partition(name, method, expression or "", description, rows_in_it))
    return {table: tuple(found) for table, found in result.items()}


def triggers(catalog: Catalog) -> tuple[schema.Trigger, ...]:
    """Triggers of the wanted tables, each with its whole CREATE statement, in the order they fire."""
    rows = sorted(
        catalog.of_tables(sql.TRIGGERS, "EVENT_OBJECT_TABLE"),
        key=lambda row: (row[0], row[2], row[3], int(row[5]), row[1]),
    )
    found = []
    for table, name, timing, event, body, _ in rows:
        head = f"CREATE TRIGGER {quote(name)} {timing} {event} ON {quote(table)} FOR EACH ROW"
        definition = _definition(catalog, "TRIGGER", name, body, f"{head} {body}")
        found.append(schema.Trigger(catalog.database, name, table, timing, event, definition))
    return tuple(found)


def _definition(catalog: Catalog, kind: str, name: str, body: str | None, made: str) -> str:
    """`made` out of the catalog, or SHOW CREATE's own where the catalog may have bent the body."""
    if kind.startswith("PACKAGE") or not questionable(body):
        return made
    return statement(catalog.conn, kind, catalog.database, name) or made


def routines(catalog: Catalog, notes: list[str]) -> tuple[schema.Routine, ...]:
    """Functions and procedures, each with its CREATE statement put together from the catalog."""
    rows = catalog.of_database(sql.ROUTINES)
    parameters: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    if rows:
        for row in catalog.of_database(sql.PARAMETERS):
            parameters[row[0], row[1]].append(row)
    found = []
    for name, kind, returns, body in sorted(rows, key=lambda row: (row[0], row[1])):
        if body is None:
            notes.append(f"the body of {kind.lower()} {name} is not shown to this user")
        listed = ", ".join(
            f"{mode + ' ' if mode and kind == 'PROCEDURE' else ''}{quote(parameter)} {type_}"
            for _, _, _, mode, parameter, type_ in sorted(parameters[name, kind], key=lambda row: int(row[2]))
        )
        head = f"CREATE {kind} {quote(name)}"
        if kind in ("FUNCTION", "PROCEDURE"):
            head += f"({listed})"
        if kind == "FUNCTION":
            head += f" RETURNS {returns}"
        made = "" if body is None else f"{head} {body}"
        definition = _definition(catalog, kind, name, body, made)
        found.append(schema.Routine(catalog.database, name, kind, definition))
    return tuple(found)


def events(catalog: Catalog) -> tuple[schema.Event, ...]:
    rows = sorted(catalog.of_database(sql.EVENTS), key=lambda row: str(row[0]))
    result = []
    for name, kind, execute_at, value, unit, body in rows:
        schedule = f"AT '{execute_at}'" if kind == "ONE TIME" else f"EVERY {value} {unit}"
        made = f"CREATE EVENT {quote(name)} ON SCHEDULE {schedule} DO {body}"
        result.append(schema.Event(catalog.database, name, _definition(catalog, "EVENT", name, body, made)))
    return tuple(result)


def sequences(catalog: Catalog, names: Sequence[str]) -> tuple[schema.Sequence, ...]:
    """MariaDB's sequences. The next value is the first one not cached by the server: never one handed out."""
    found = []
    for start in range(0, len(names), _SEQUENCES_A_QUERY):
        some = names[start : start + _SEQUENCES_A_QUERY]
        query = " union all ".join(
            f"select {number}, start_value, increment, minimum_value, maximum_value, cycle_option, "
            f"next_not_cached_value from {qualified(catalog.database, name)}"
            for number, name in enumerate(some)
        )
        for number, first, increment, minimum, maximum, cycle, next_value in sorted(catalog.rows(query)):
            found.append(
                schema.Sequence(
                    schema=catalog.database,
                    name=some[int(number)],
                    start=int(first),
                    increment=int(increment),
                    minimum=int(minimum),
                    maximum=int(maximum),
                    cycle=bool(cycle),
                    next_value=int(next_value),
                )
            )
    return tuple(found)
