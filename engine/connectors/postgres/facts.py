"""Questions to the data that the structure alone does not answer, asked only where something needs them."""

from __future__ import annotations

from typing import Any

from engine.config import Policies
from engine.connectors.base import ColumnFacts, Facts
from engine.connectors.postgres.identifiers import quote
from engine.connectors.postgres.ranges import relation
from engine.connectors.postgres.session import PgConnection
from engine.schema import Column, Table
from engine.types import Kind

SURE_DIGITS = 38  # a declared precision up to which every target has a decimal of its own
_INFINITE_NUMBERS = 140000  # the first version that has them


def facts(session: PgConnection, table: Table, policies: Policies) -> Facts:
    """One query a table with every question in it; none when there is nothing to ask. How long values of
    keyed text without a limit are decides whether a key can hold them; how many digits numbers have, by the
    policy `unboundedNumeric: scan`, what they become. Of the whole table, whatever is selected of it."""
    questions: list[tuple[str, str, str]] = []  # column, fact, SQL
    for column in table.columns:
        if _is_unlimited_key(table, column):
            questions.append((column.name, "max_octets", f"max(octet_length({quote(column.name)}))"))
        if policies.unbounded_numeric == "scan" and _is_wide(column):
            asked = _digits(quote(column.name), session.info.server_version >= _INFINITE_NUMBERS)
            questions += [(column.name, fact, sql) for fact, sql in asked]
    if not questions:
        return Facts({})
    expressions = ", ".join(sql for _, _, sql in questions)
    row = session.execute(f"SELECT {expressions} FROM {relation(table)}").fetchone() or ()
    found: dict[str, dict[str, Any]] = {}
    for (name, fact, _), value in zip(questions, row, strict=True):
        found.setdefault(name, {})[fact] = int(value or 0) if fact == "max_octets" else value
    return Facts({name: _column(values) for name, values in found.items()})


def _column(values: dict[str, Any]) -> ColumnFacts:
    if "integer_digits" in values:
        whole = values["integer_digits"]
        values["integer_digits"] = None if whole is None else len(whole) if whole != "0" else 0
    return ColumnFacts(**values)


def _digits(name: str, infinite: bool) -> list[tuple[str, str]]:
    """The largest number before the point, as text; the most digits behind it, as they are printed; what is
    no number. NaN sorts above infinity."""
    number = f"{name}::numeric"
    finite = f"abs({number}) < 'Infinity'::numeric" if infinite else f"{number} <> 'NaN'::numeric"
    endless = f"count(*) FILTER (WHERE abs({number}) = 'Infinity'::numeric)" if infinite else "0"
    return [
        ("integer_digits", f"trunc(max(abs({number})) FILTER (WHERE {finite}))::text"),
        ("fraction_digits", f"max(scale({number})) FILTER (WHERE {finite})"),
        ("nans", f"count(*) FILTER (WHERE {number} = 'NaN'::numeric)"),
        ("infinities", endless),
    ]


def _is_wide(column: Column) -> bool:
    kind = column.type
    return kind.kind is Kind.DECIMAL and (kind.precision is None or kind.precision > SURE_DIGITS)


def _is_unlimited_key(table: Table, column: Column) -> bool:
    if column.type.kind not in (Kind.TEXT, Kind.BLOB):
        return False
    parts = [*table.primary_key, *(part for index in table.indexes for part in index.parts)]
    named = {part.column for part in parts} | {name for key in table.foreign_keys for name in key.columns}
    return column.name in named
