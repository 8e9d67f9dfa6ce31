"""Functions of the calendar: on dates and times without zone, whose results do not depend on a session."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from engine.connectors.postgres.conditions import moment
from engine.connectors.postgres.terms import (
    INTEGER,
    Handler,
    Meaning,
    Scope,
    Term,
    Untranslatable,
    emit,
    only,
)

_UNITS = {
    "DAY": "days",
    "WEEK": "weeks",
    "MONTH": "months",
    "YEAR": "years",
    "HOUR": "hours",
    "MINUTE": "mins",
    "SECOND": "secs",
}
_WHOLE_DAYS = frozenset({"DAY", "WEEK", "MONTH", "YEAR"})


def moment_of(node: exp.Expr, scope: Scope) -> Term:
    """An argument that is a date or a time without zone; what sqlglot wraps around it says nothing new."""
    if isinstance(node, exp.TsOrDsToDate):
        only(node, "this")
        return moment_of(node.this, scope)
    term = emit(node, scope)
    if term.meaning is Meaning.TEXT and term.constant is not None:
        short = len(term.constant.strip()) == 10
        meaning = Meaning.DATE if short else Meaning.DATETIME
        return Term(moment(term.constant, meaning), meaning, nullable=False)
    if term.meaning not in (Meaning.DATE, Meaning.DATETIME):
        raise Untranslatable(f"a {term.meaning.value} value is taken for a date without zone")
    return term


def _field(name: str, shift: str = "") -> Handler:
    def handle(node: exp.Expr, scope: Scope) -> Term:
        only(node, "this")
        inner = moment_of(node.this, scope)
        return Term(f"({extracted(name, inner)}{shift})", Meaning.INT, nullable=inner.nullable)

    return handle


def extracted(name: str, inner: Term) -> str:
    # PostgreSQL has no hour of a date.
    clock = name in ("hour", "minute", "second") and inner.meaning is Meaning.DATE
    value = f"extract({name} FROM {inner.sql}{'::timestamp' if clock else ''})"
    return f"floor({value})::integer" if name == "second" else f"{value}::integer"


def _to_date(node: exp.Expr, scope: Scope) -> Term:
    inner = moment_of(node.this, scope)
    return Term(f"{inner.sql}::date", Meaning.DATE, nullable=inner.nullable)


def _last_day(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this")
    inner = moment_of(node.this, scope)
    sql = f"(date_trunc('month', {inner.sql}::timestamp) + interval '1 month -1 day')::date"
    return Term(sql, Meaning.DATE, nullable=inner.nullable)


def _date_diff(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "expression", "date_part_boundary", "unit")
    unit, left = node.args.get("unit"), moment_of(node.this, scope)
    if unit is not None:
        # How sqlglot writes TO_DAYS: the days since the year 0, which MySQL counts as a common year.
        since = node.expression.this if isinstance(node.expression, exp.TsOrDsToDate) else node.expression
        if not isinstance(since, exp.Literal) or str(since.this) != "0000-01-01":
            raise Untranslatable("a difference of dates is not in days")
        sql = f"({left.sql}::date - '0001-01-01'::date + 365)"
        return Term(sql, Meaning.INT, nullable=left.nullable)
    right = moment_of(node.expression, scope)
    return Term(
        f"({left.sql}::date - {right.sql}::date)", Meaning.INT, nullable=left.nullable or right.nullable
    )


def _date_step(sign: str) -> Handler:
    def handle(node: exp.Expr, scope: Scope) -> Term:
        only(node, "this", "expression", "unit")
        return shifted(moment_of(node.this, scope), node.expression, node.args.get("unit"), sign)

    return handle


def shifted(value: Term, amount: exp.Expr | None, unit: exp.Expr | None, sign: str) -> Term:
    """A date or time plus or minus a constant interval."""
    name = str(unit.name if unit is not None else "DAY").upper()
    given = str(amount.this) if isinstance(amount, exp.Literal) else ""
    if value.meaning not in (Meaning.DATE, Meaning.DATETIME):
        raise Untranslatable(f"an interval is added to a {value.meaning.value} value")
    if name not in _UNITS or not INTEGER.fullmatch(given):
        raise Untranslatable("an interval is not a constant number of one unit")
    sql = f"({value.sql} {'-' if sign else '+'} interval '{given} {_UNITS[name]}')"
    if value.meaning is Meaning.DATE and name in _WHOLE_DAYS:
        return value.with_sql(f"{sql}::date")
    return replace(value.with_sql(sql), meaning=Meaning.DATETIME)


def weekday(arguments: list[exp.Expr], scope: Scope) -> Term:
    inner = moment_of(arguments[0], scope)
    return Term(f"({extracted('isodow', inner)} - 1)", Meaning.INT, nullable=inner.nullable)


DATES: dict[type[exp.Expr], Handler] = {
    exp.Year: _field("year"),
    exp.Month: _field("month"),
    exp.Day: _field("day"),
    exp.DayOfMonth: _field("day"),
    exp.DayOfYear: _field("doy"),
    exp.DayOfWeek: _field("dow", " + 1"),
    exp.Quarter: _field("quarter"),
    exp.Hour: _field("hour"),
    exp.Minute: _field("minute"),
    exp.Second: _field("second"),
    exp.TsOrDsToDate: _to_date,
    exp.LastDay: _last_day,
    exp.DateDiff: _date_diff,
    exp.DateAdd: _date_step(""),
    exp.DateSub: _date_step("-"),
}
