"""What a MySQL or MariaDB expression is made of, node by node: constants, columns, arithmetic, choices."""

from __future__ import annotations

import re
from dataclasses import replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from engine.connectors.postgres.conditions import CONDITIONS, comparable
from engine.connectors.postgres.dates import shifted
from engine.connectors.postgres.functions import FUNCTIONS
from engine.connectors.postgres.identifiers import bytes_literal
from engine.connectors.postgres.terms import (
    HANDLERS,
    Handler,
    Meaning,
    Scope,
    Term,
    Untranslatable,
    arithmetic,
    boolean,
    emit,
    is_padded,
    number,
    only,
    text,
    text_literal,
    unified,
    widest,
)

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
_FLOAT = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)e[+-]?[0-9]+", re.IGNORECASE)
_UNICODE = frozenset({"_utf8mb4", "_utf8", "_utf8mb3", "_ascii"})


def parse(expression: str) -> exp.Expr:
    """The tree of one expression, for `terms.emit`. Raises Untranslatable."""
    try:
        tree = sqlglot.parse(f"SELECT {expression}", dialect="mysql")
    except (SqlglotError, ValueError):
        raise Untranslatable("it does not parse") from None
    select = tree[0] if len(tree) == 1 else None
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        raise Untranslatable("it is not one expression")
    if any(value for name, value in select.args.items() if name not in ("expressions", "kind")):
        raise Untranslatable("it is not one expression")
    found: exp.Expr = select.expressions[0]
    return found


# ---------------------------------------------------------------- constants and columns


def _literal(node: exp.Expr, scope: Scope) -> Term:
    value = str(node.this)
    if node.args.get("is_string"):
        return Term(text_literal(value), Meaning.TEXT, value, nullable=False)
    if _NUMBER.fullmatch(value):
        meaning = Meaning.DECIMAL if "." in value else Meaning.INT
        return Term(value, meaning, value, nullable=False)
    if _FLOAT.fullmatch(value):
        return Term(f"{value}::double precision", Meaning.FLOAT, nullable=False, exact=False)
    raise Untranslatable(f"{value!r} is not a number")


def _introducer(node: exp.Expr, scope: Scope) -> Term:
    charset, inner = str(node.this).lower(), node.args.get("expression")
    if not isinstance(inner, exp.Literal) or not inner.args.get("is_string"):
        raise Untranslatable(f"{charset} stands before something other than a string")
    if charset not in _UNICODE and not str(inner.this).isascii():
        raise Untranslatable(f"a string is in the character set {charset[1:]}")
    if charset == "_binary":
        return Term(bytes_literal(str(inner.this).encode()), Meaning.BYTES, nullable=False)
    return _literal(inner, scope)


def _column(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "table", "db")
    return scope.column(node.name)


def _hex(node: exp.Expr, scope: Scope) -> Term:
    digits = str(node.this)
    data = bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)
    return Term(bytes_literal(data), Meaning.BYTES, nullable=False)


def _bits(node: exp.Expr, scope: Scope) -> Term:
    value = str(int(str(node.this) or "0", 2))
    return Term(value, Meaning.INT, value, nullable=False)


def _collate(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "expression")
    inner = text(emit(node.this, scope))
    name = node.expression.name.lower()
    if not name.endswith(("_bin", "_ci", "_cs", "binary")):
        raise Untranslatable(f"the collation {name} is not known")
    folded = name.endswith("_ci")
    return replace(inner, folded=folded, padded=is_padded(name), collated=True)


# ---------------------------------------------------------------- arithmetic


def _arithmetic(operator: str) -> Handler:
    def handle(node: exp.Expr, scope: Scope) -> Term:
        only(node, "this", "expression")
        if isinstance(node.expression, exp.Interval):
            sign = "-" if operator == "-" else ""
            interval = node.expression
            only(interval, "this", "unit")
            return shifted(emit(node.this, scope), interval.this, interval.args.get("unit"), sign)
        left, right = emit(node.this, scope), emit(node.expression, scope)
        meaning = widest(left, right)
        sql = f"({arithmetic(left, meaning)} {operator} {arithmetic(right, meaning)})"
        return Term(sql, meaning, nullable=left.nullable or right.nullable, exact=meaning is Meaning.INT)

    return handle


def _divide(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "expression", "typed", "safe")
    left, right = emit(node.this, scope), emit(node.expression, scope)
    meaning = widest(left, right)
    if meaning is not Meaning.FLOAT:
        if scope.exact_values:
            raise Untranslatable("the digits of a division differ between the servers")
        meaning = Meaning.DECIMAL
    sql = f"({arithmetic(left, meaning)} / {_divisor(right, meaning)})"
    return Term(sql, meaning, exact=False)


def _divisor(term: Term, meaning: Meaning) -> str:
    """The operand by which is divided: zero gives NULL on the source, an error on PostgreSQL."""
    sql = arithmetic(term, meaning)
    return sql if term.constant is not None and term.constant.strip("-0.") else f"nullif({sql}, 0)"


def _whole(function: str) -> Handler:
    """DIV and MOD, which give NULL for a zero divisor."""

    def handle(node: exp.Expr, scope: Scope) -> Term:
        only(node, "this", "expression")
        left, right = emit(node.this, scope), emit(node.expression, scope)
        meaning = widest(left, right)
        if meaning is Meaning.FLOAT:
            raise Untranslatable("the remainder of a double differs between the servers")
        if function == "div":
            meaning = Meaning.INT
        divisor = _divisor(right, meaning)
        return Term(
            f"{function}({arithmetic(left, meaning)}, {divisor})", meaning, exact=meaning is Meaning.INT
        )

    return handle


def _negate(node: exp.Expr, scope: Scope) -> Term:
    inner = number(emit(node.this, scope))
    if inner.constant is not None:
        return replace(inner, sql=f"(-{inner.sql})", constant=f"-{inner.constant}")
    return inner.with_sql(f"(- {arithmetic(inner, inner.meaning)})")


def _bit_and(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "expression")
    left, right = emit(node.this, scope), emit(node.expression, scope)
    if (
        left.meaning is not Meaning.INT
        or right.meaning is not Meaning.INT
        or "numeric" in (left.base, right.base)
    ):
        raise Untranslatable("& is carried for signed integers only")
    if left.constant is None and right.constant is None:
        raise Untranslatable("& of two columns is unsigned on the source")
    return Term(f"({left.sql}::bigint & {right.sql}::bigint)", Meaning.INT)


# ---------------------------------------------------------------- choices


def _if(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "true", "false")
    branches = [emit(node.args["true"], scope)]
    branches.append(emit(node.args["false"], scope) if node.args.get("false") else _null(node, scope))
    return _case_of([boolean(emit(node.this, scope))], branches)


def _case(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "ifs", "default")
    subject = emit(node.this, scope) if node.this else None
    conditions, branches = [], []
    for branch in node.args["ifs"]:
        tested = emit(branch.this, scope)
        if subject is None:
            conditions.append(boolean(tested))
        else:
            conditions.append("{} = {}".format(*comparable(subject, tested, "=", scope)))
        branches.append(emit(branch.args["true"], scope))
    default = node.args.get("default")
    branches.append(emit(default, scope) if default else _null(node, scope))
    return _case_of(conditions, branches)


def _case_of(conditions: list[str], branches: list[Term]) -> Term:
    values = unified(branches)
    whens = " ".join(
        f"WHEN {condition} THEN {value.sql}" for condition, value in zip(conditions, values, strict=False)
    )
    shape = next((value for value in values if value.meaning is not Meaning.NULL), values[0])
    sql = f"CASE {whens} ELSE {values[-1].sql} END"
    return replace(shape.with_sql(sql), nullable=any(value.nullable for value in values))


def _null(node: exp.Expr, scope: Scope) -> Term:
    return Term("NULL", Meaning.NULL)


def _truth(node: exp.Expr, scope: Scope) -> Term:
    return Term("true" if node.this else "false", Meaning.BOOL, nullable=False)


_NODES: dict[type[exp.Expr], Handler] = {
    exp.Literal: _literal,
    exp.Introducer: _introducer,
    exp.National: lambda node, scope: Term(text_literal(str(node.this)), Meaning.TEXT, str(node.this)),
    exp.Column: _column,
    exp.HexString: _hex,
    exp.BitString: _bits,
    exp.Null: _null,
    exp.Boolean: _truth,
    exp.Paren: lambda node, scope: emit(node.this, scope),
    exp.Collate: _collate,
    exp.Add: _arithmetic("+"),
    exp.Sub: _arithmetic("-"),
    exp.Mul: _arithmetic("*"),
    exp.Div: _divide,
    exp.IntDiv: _whole("div"),
    exp.Mod: _whole("mod"),
    exp.Neg: _negate,
    exp.BitwiseAnd: _bit_and,
    exp.If: _if,
    exp.Case: _case,
}

for _table in (_NODES, CONDITIONS, FUNCTIONS):
    HANDLERS.update(_table)
