"""Conditions: comparisons that PostgreSQL has to decide as the source's types and collations do."""

from __future__ import annotations

import re
from datetime import datetime

from sqlglot import exp

from engine.connectors.postgres.terms import (
    CALENDAR,
    NUMBERS,
    Handler,
    Meaning,
    Scope,
    Term,
    Untranslatable,
    boolean,
    emit,
    number,
    only,
    text,
    text_literal,
)

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)?")
# Regular expressions that mean the same in ICU (MySQL), PCRE (MariaDB) and PostgreSQL.
_PLAIN_PATTERN = re.compile(
    r"(?:[^\\\[\](){}?*+]|\\[.\\^$|()\[\]{}*+?/-]|\[\^?[\w .,;:@#/+_-]+\]|[()*+?]"
    r"|\{[0-9]+(?:,[0-9]*)?\})+"
)


def _logic(operator: str) -> Handler:
    def handle(node: exp.Expr, scope: Scope) -> Term:
        only(node, "this", "expression")
        sides = [boolean(emit(side, scope)) for side in (node.this, node.expression)]
        return Term(f"({f' {operator} '.join(sides)})", Meaning.BOOL)

    return handle


def _xor(node: exp.Expr, scope: Scope) -> Term:
    if any(isinstance(near, exp.Connector) for near in (node.this, node.expression, node.parent)):
        raise Untranslatable("XOR stands beside AND or OR without brackets")
    return _logic("<>")(node, scope)


def _not(node: exp.Expr, scope: Scope) -> Term:
    inner = emit(node.this, scope)
    return Term(f"(NOT {boolean(inner)})", Meaning.BOOL, nullable=inner.nullable)


def _comparison(operator: str) -> Handler:
    def handle(node: exp.Expr, scope: Scope) -> Term:
        only(node, "this", "expression")
        left, right = comparable(emit(node.this, scope), emit(node.expression, scope), operator, scope)
        return Term(f"({left} {operator} {right})", Meaning.BOOL)

    return handle


def comparable(left: Term, right: Term, operator: str, scope: Scope) -> tuple[str, str]:
    """Both sides of a comparison, so that PostgreSQL decides as the source does."""
    if Meaning.NULL in (left.meaning, right.meaning):
        return left.sql, right.sql
    equality = operator in ("=", "<>", "IS NOT DISTINCT FROM")
    if {left.meaning, right.meaning} <= NUMBERS | {Meaning.BOOL}:
        if left.meaning is right.meaning is Meaning.BOOL and equality:
            return left.sql, right.sql
        return number(left).sql, number(right).sql
    if left.meaning in CALENDAR or right.meaning in CALENDAR:
        return _calendar(left, right), _calendar(right, left)
    if Meaning.ENUM in (left.meaning, right.meaning):
        if not equality:
            raise Untranslatable("an enum is compared by its text")
        return _label(left, right), _label(right, left)
    if left.meaning is right.meaning is Meaning.TEXT:
        return _texts(left, right, equality, scope)
    if left.meaning is right.meaning is Meaning.BYTES:
        return left.sql, right.sql
    raise Untranslatable(f"a {left.meaning.value} value is compared with a {right.meaning.value} value")


def _texts(left: Term, right: Term, equality: bool, scope: Scope) -> tuple[str, str]:
    sides = [side for side in (left, right) if side.collated] or [left, right]
    folded, padded = any(side.folded for side in sides), any(side.padded for side in sides)
    if folded and scope.exact_values:
        raise Untranslatable("it compares text without case")
    if folded and not equality:
        raise Untranslatable("it orders text by a collation of the source")
    if folded:
        scope.remarks.add("text is compared by lower(), which keeps accents apart")
    return _side(left, equality, folded, padded), _side(right, equality, folded, padded)


def _side(term: Term, equality: bool, folded: bool, padded: bool) -> str:
    """One side of a comparison of texts, without what the source's collation ignores."""
    value, sql = term.constant, term.sql
    if value is not None and value.isascii():
        value = value.rstrip(" ") if padded else value
        return text_literal(value.lower() if folded else value)
    if padded:
        sql = f"rtrim({sql}, ' ')"
    if folded:
        return f"lower({sql})"
    return sql if equality else f'({sql} COLLATE "C")'


def _label(term: Term, other: Term) -> str:
    if term.meaning is Meaning.ENUM:
        return term.sql
    if term.constant is None or other.meaning is not Meaning.ENUM:
        raise Untranslatable("an enum is compared with something other than one of its labels")
    alike = [label for label in other.labels if label.casefold() == term.constant.casefold()]
    label = term.constant if term.constant in other.labels else alike[0] if len(alike) == 1 else None
    if label is None:
        raise Untranslatable(f"{term.constant!r} is not a label of the enum")
    return f"{text_literal(label)}::{other.type_name}"


def _calendar(term: Term, other: Term) -> str:
    if term.meaning in CALENDAR:
        if Meaning.INSTANT in (term.meaning, other.meaning) and term.meaning is not other.meaning:
            raise Untranslatable("an instant is compared with a time of the session's zone")
        return term.sql
    if term.constant is None or term.meaning is not Meaning.TEXT:
        raise Untranslatable(f"a {term.meaning.value} value is compared with a date")
    return moment(term.constant, other.meaning)


def moment(value: str, meaning: Meaning) -> str:
    """A date or time constant of the source, typed; only the full spelling is taken."""
    try:
        parsed = datetime.fromisoformat(value.strip()) if _MOMENT.fullmatch(value.strip()) else None
    except ValueError:
        parsed = None
    if parsed is None:
        raise Untranslatable(f"{value!r} is not a date of the calendar")
    shown = parsed.isoformat(" ")
    if meaning is Meaning.DATE and len(value.strip()) == 10:
        return f"'{shown[:10]}'::date"
    if meaning is Meaning.INSTANT:
        raise Untranslatable("an instant is compared with a time of the session's zone")
    return f"'{shown}'::timestamp"


def _between(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "low", "high")
    value, low, high = (emit(node.args[name], scope) for name in ("this", "low", "high"))
    first, second = comparable(value, low, ">=", scope), comparable(value, high, "<=", scope)
    return Term(f"({first[0]} >= {first[1]} AND {second[0]} <= {second[1]})", Meaning.BOOL)


def _in(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "expressions")
    value = emit(node.this, scope)
    pairs = [comparable(value, emit(item, scope), "=", scope) for item in node.expressions]
    if not pairs:
        raise Untranslatable("IN has no list")
    if len({left for left, _ in pairs}) == 1:
        return Term(f"({pairs[0][0]} IN ({', '.join(right for _, right in pairs)}))", Meaning.BOOL)
    return Term("(" + " OR ".join(f"{left} = {right}" for left, right in pairs) + ")", Meaning.BOOL)


def _is(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "expression")
    inner, wanted = emit(node.this, scope), node.expression
    if isinstance(wanted, exp.Null):
        return Term(f"({inner.sql} IS NULL)", Meaning.BOOL, nullable=False)
    if isinstance(wanted, exp.Boolean):
        return Term(f"({boolean(inner)} IS {str(bool(wanted.this)).upper()})", Meaning.BOOL, nullable=False)
    raise Untranslatable("IS is followed by something unknown")


def _like(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "expression", "negate")
    value, pattern = text(emit(node.this, scope)), emit(node.expression, scope)
    if pattern.constant is None or "\\" in pattern.constant:
        raise Untranslatable("LIKE has a pattern that is not plain text")
    if value.folded and scope.exact_values:
        raise Untranslatable("it compares text without case")
    operator = "ILIKE" if value.folded else "LIKE"
    negated = "NOT " if node.args.get("negate") else ""
    return Term(f"({value.sql} {negated}{operator} {pattern.sql})", Meaning.BOOL)


def _regexp(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "expression")
    value, pattern = text(emit(node.this, scope)), emit(node.expression, scope)
    if scope.exact_values or pattern.constant is None or not _PLAIN_PATTERN.fullmatch(pattern.constant):
        raise Untranslatable("regular expressions differ between the servers")
    return Term(f"({value.sql} {'~*' if value.folded else '~'} {pattern.sql})", Meaning.BOOL)


CONDITIONS: dict[type[exp.Expr], Handler] = {
    exp.And: _logic("AND"),
    exp.Or: _logic("OR"),
    exp.Xor: _xor,
    exp.Not: _not,
    exp.EQ: _comparison("="),
    exp.NEQ: _comparison("<>"),
    exp.GT: _comparison(">"),
    exp.GTE: _comparison(">="),
    exp.LT: _comparison("<"),
    exp.LTE: _comparison("<="),
    exp.NullSafeEQ: _comparison("IS NOT DISTINCT FROM"),
    exp.Between: _between,
    exp.In: _in,
    exp.Is: _is,
    exp.Like: _like,
    exp.RegexpLike: _regexp,
}
