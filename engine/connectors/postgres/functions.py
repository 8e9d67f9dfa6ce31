"""The functions that are carried, each with the condition under which both servers give the same value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlglot import exp

from engine.connectors.postgres.conditions import comparable, moment
from engine.connectors.postgres.dates import DATES, moment_of, shifted, weekday
from engine.connectors.postgres.jsonpaths import json_extract, unquoted
from engine.connectors.postgres.terms import (
    NUMBERS,
    Handler,
    Meaning,
    Scope,
    Term,
    Untranslatable,
    arithmetic,
    constant_integer,
    emit,
    number,
    only,
    text,
    text_literal,
    unified,
)

_PARTS_FROM_THE_END = 140000  # the first version whose split_part takes a negative number

# ---------------------------------------------------------------- text


def _text_function(name: str) -> Handler:
    """A function of one text that gives text."""

    def handle(node: exp.Expr, scope: Scope) -> Term:
        only(node, "this")
        inner = text(emit(node.this, scope))
        return inner.with_sql(f"{name}({inner.sql})")

    return handle


def _concat(node: exp.Expr, scope: Scope) -> Term:
    only(node, "expressions", "safe")
    parts = [text(emit(part, scope)) for part in node.expressions]
    if not parts:
        raise Untranslatable("CONCAT has no arguments")
    shape = replace(parts[0], folded=any(p.folded for p in parts), padded=any(p.padded for p in parts))
    joined = " || ".join(part.sql for part in parts)
    return replace(shape.with_sql(f"({joined})"), nullable=any(part.nullable for part in parts))


def _concat_ws(node: exp.Expr, scope: Scope) -> Term:
    """CONCAT_WS leaves out what is NULL; PostgreSQL's own is not immutable."""
    only(node, "expressions", "safe", "coalesce")
    separator, *rest = [text(emit(part, scope)) for part in node.expressions]
    if separator.constant is None or not rest:
        raise Untranslatable("CONCAT_WS has a separator that is not constant")
    pieces = " || ".join(f"coalesce({separator.sql} || {part.sql}, '')" for part in rest)
    sql = f"substr({pieces}, {len(separator.constant) + 1})"
    shape = replace(rest[0], folded=any(p.folded for p in rest), padded=any(p.padded for p in rest))
    return replace(shape.with_sql(sql), nullable=False)


def _length(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "binary")
    return _length_of(emit(node.this, scope), bool(node.args.get("binary")))


def _length_of(inner: Term, octets: bool) -> Term:
    if inner.meaning is Meaning.BYTES:
        return Term(f"octet_length({inner.sql})", Meaning.INT, nullable=inner.nullable)
    value = text(inner)
    if octets and not value.utf8:
        raise Untranslatable("LENGTH counts bytes of another character set")
    return Term(
        f"{'octet_length' if octets else 'char_length'}({value.sql})", Meaning.INT, nullable=value.nullable
    )


def _side(name: str) -> Handler:
    def handle(node: exp.Expr, scope: Scope) -> Term:
        only(node, "this", "expression")
        inner, count = emit(node.this, scope), constant_integer(node.expression, scope)
        if inner.meaning is Meaning.BYTES and name == "left":
            return inner.with_sql(f"substring({inner.sql}, 1, {count})")
        value = text(inner)
        return value.with_sql(f"{name}({value.sql}, {count})")

    return handle


def _substring(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "start", "length")
    length = node.args.get("length")
    return _part(emit(node.this, scope), node.args.get("start"), length, scope)


def _part(inner: Term, start: exp.Expr | None, length: exp.Expr | None, scope: Scope) -> Term:
    value = inner if inner.meaning is Meaning.BYTES else text(inner)
    arguments = [value.sql, str(constant_integer(start, scope, 1))]
    if length is not None:
        arguments.append(str(constant_integer(length, scope)))
    return value.with_sql(f"substr({', '.join(arguments)})")


def _trim(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "position", "expression")
    value, what = text(emit(node.this, scope)), node.args.get("expression")
    characters = " " if what is None else emit(what, scope).constant
    if characters is None or len(characters) != 1:
        raise Untranslatable("TRIM takes off a string, PostgreSQL takes off characters")
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(
        str(node.args.get("position") or "").upper(), "btrim"
    )
    return value.with_sql(f"{name}({value.sql}, {text_literal(characters)})")


def _replace(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "expression", "replacement")
    value, old, new = (text(emit(node.args[name], scope)) for name in ("this", "expression", "replacement"))
    return value.with_sql(f"replace({value.sql}, {old.sql}, {new.sql})")


def _repeat(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "times")
    value = text(emit(node.this, scope))
    return value.with_sql(f"repeat({value.sql}, {constant_integer(node.args.get('times'), scope)})")


def _substring_index(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "delimiter", "count")
    value, delimiter = text(emit(node.this, scope)), emit(node.args["delimiter"], scope)
    count = constant_integer(node.args.get("count"), scope, -1)
    if not delimiter.constant or count not in (1, -1):
        raise Untranslatable("SUBSTRING_INDEX is carried for the first and the last part only")
    if count < 0 and scope.server_version < _PARTS_FROM_THE_END:
        parts = f"string_to_array({value.sql}, {delimiter.sql})"  # no parts of an empty text
        return value.with_sql(f"coalesce(({parts})[cardinality({parts})], left({value.sql}, 0))")
    return value.with_sql(f"split_part({value.sql}, {delimiter.sql}, {count})")


def _position(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "substr")
    value, wanted = text(emit(node.this, scope)), text(emit(node.args["substr"], scope))
    if value.folded or wanted.folded:
        raise Untranslatable("it searches text without case")
    return Term(f"strpos({value.sql}, {wanted.sql})", Meaning.INT, nullable=value.nullable)


def _md5(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this")
    inner = emit(node.this, scope)
    if inner.meaning is not Meaning.BYTES:
        inner = text(inner)
        if not inner.utf8:
            raise Untranslatable("MD5 takes the bytes of another character set")
    return Term(f"md5({inner.sql})", Meaning.TEXT, folded=True, padded=True, nullable=inner.nullable)


def _sha2(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "length")
    inner, bits = emit(node.this, scope), constant_integer(node.args.get("length"), scope)
    if inner.meaning is not Meaning.BYTES or bits not in (224, 256, 384, 512):
        raise Untranslatable("SHA2 of text needs a function that is not immutable")
    return Term(f"encode(sha{bits}({inner.sql}), 'hex')", Meaning.TEXT, folded=True, padded=True)


def _hex(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this")
    inner = emit(node.this, scope)
    if inner.meaning is not Meaning.BYTES:
        raise Untranslatable("HEX is carried for bytes only")
    return Term(f"upper(encode({inner.sql}, 'hex'))", Meaning.TEXT, folded=True, padded=True)


# ---------------------------------------------------------------- numbers


def _numeric_function(name: str, whole: bool = False, doubles: bool = False) -> Handler:
    def handle(node: exp.Expr, scope: Scope) -> Term:
        only(node, "this")
        inner = number(emit(node.this, scope))
        if inner.meaning is Meaning.FLOAT and not doubles:
            raise Untranslatable(f"{name} of a double differs between the servers")
        meaning = Meaning.INT if whole else inner.meaning
        sql = f"{name}({arithmetic(inner, inner.meaning)})"
        return Term(sql, meaning, nullable=inner.nullable, exact=meaning is Meaning.INT)

    return handle


def _rounded(name: str) -> Handler:
    def handle(node: exp.Expr, scope: Scope) -> Term:
        only(node, "this", "decimals")
        inner = number(emit(node.this, scope))
        if inner.meaning is Meaning.FLOAT:
            raise Untranslatable(f"{name} of a double differs between the servers")
        digits = node.args.get("decimals")
        count = constant_integer(digits, scope) if digits is not None else 0
        meaning = Meaning.INT if count == 0 or inner.meaning is Meaning.INT else Meaning.DECIMAL
        sql = f"{name}({arithmetic(inner, inner.meaning)}, {count})"
        return Term(sql, meaning, nullable=inner.nullable, exact=meaning is Meaning.INT)

    return handle


# ---------------------------------------------------------------- choices


def _coalesce(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "expressions")
    values = unified([emit(part, scope) for part in (node.this, *node.expressions)])
    shape = next((value for value in values if value.meaning is not Meaning.NULL), values[0])
    sql = f"coalesce({', '.join(value.sql for value in values)})"
    return replace(shape.with_sql(sql), nullable=all(value.nullable for value in values))


def _nullif(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "expression")
    value, other = emit(node.this, scope), emit(node.expression, scope)
    left, right = comparable(value, other, "=", scope)
    return replace(
        value.with_sql(f"CASE WHEN {left} = {right} THEN NULL ELSE {value.sql} END"), nullable=True
    )


def _extreme(name: str) -> Handler:
    """GREATEST and LEAST, which are NULL on the source as soon as one argument is."""

    def handle(node: exp.Expr, scope: Scope) -> Term:
        only(node, "this", "expressions")
        values = unified([emit(part, scope) for part in (node.this, *node.expressions)])
        if any(value.meaning not in NUMBERS and value.meaning is not values[0].meaning for value in values):
            raise Untranslatable(f"{name} has arguments of different kinds")
        if values[0].meaning in (Meaning.TEXT, Meaning.ENUM, Meaning.NULL):
            raise Untranslatable(f"{name} of text goes by a collation of the source")
        sql = f"{name}({', '.join(value.sql for value in values)})"
        tests = [f"{value.sql} IS NULL" for value in values if value.nullable]
        if tests:
            sql = f"CASE WHEN {' OR '.join(tests)} THEN NULL ELSE {sql} END"
        return replace(values[0].with_sql(sql), nullable=bool(tests))

    return handle


# ---------------------------------------------------------------- casts


def _cast(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "to")
    target = node.args["to"]
    kind = target.this
    sizes = [
        constant_integer(size.this, scope)
        for size in target.expressions
        if isinstance(size, exp.DataTypeParam)
    ]
    if isinstance(node.this, exp.Literal) and node.this.args.get("is_string"):
        value = str(node.this.this)
        if kind is exp.DType.DATE:
            return Term(moment(value, Meaning.DATE), Meaning.DATE, nullable=False)
        if kind in (exp.DType.DATETIME, exp.DType.TIMESTAMPTZ):
            return Term(moment(value, Meaning.DATETIME), Meaning.DATETIME, nullable=False)
    inner = emit(node.this, scope)
    if kind in (exp.DType.CHAR, exp.DType.VARCHAR, exp.DType.CHARACTER_SET):
        charset = str(target.args["kind"].name).lower() if target.args.get("kind") else "utf8mb4"
        if not charset.startswith("utf8"):
            raise Untranslatable(f"it converts to the character set {charset}")
        value_text = text(inner)
        return value_text.with_sql(f"left({value_text.sql}, {sizes[0]})") if sizes else value_text
    if kind is exp.DType.BIGINT and inner.meaning in (Meaning.INT, Meaning.DECIMAL, Meaning.BOOL):
        given = number(inner)
        if given.meaning is Meaning.DECIMAL:
            given = Term(f"round({given.sql})", Meaning.INT, nullable=given.nullable)
        return given
    if kind is exp.DType.DECIMAL and inner.meaning in (Meaning.INT, Meaning.DECIMAL):
        precision, scale = [*sizes, 10, 0][:2] if len(sizes) != 1 else (sizes[0], 0)
        sql = f"({inner.sql})::numeric({precision},{scale})"
        return Term(sql, Meaning.DECIMAL, nullable=inner.nullable)
    if kind is exp.DType.DATE and inner.meaning in (Meaning.DATE, Meaning.DATETIME):
        return Term(f"{inner.sql}::date", Meaning.DATE, nullable=inner.nullable)
    if kind is exp.DType.DATETIME and inner.meaning is Meaning.DATE:
        return Term(f"{inner.sql}::timestamp", Meaning.DATETIME, nullable=inner.nullable)
    raise Untranslatable(f"it converts a {inner.meaning.value} value to another type")


# ---------------------------------------------------------------- functions sqlglot has no node for


def anonymous(node: exp.Expr, scope: Scope) -> Term:
    name, arguments = str(node.this).lower(), list(node.expressions)
    handler = _ANONYMOUS.get((name, len(arguments)))
    if handler is None:
        raise Untranslatable(f"{name.upper()} is not among what is carried")
    return handler(arguments, scope)


def _json_valid(arguments: list[exp.Expr], scope: Scope) -> Term:
    inner = emit(arguments[0], scope)
    if inner.meaning is not Meaning.JSON:
        raise Untranslatable("JSON_VALID of text has no counterpart")
    return Term(f"({inner.sql} IS NOT NULL OR NULL)", Meaning.BOOL, always=True)


_ANONYMOUS: dict[tuple[str, int], Callable[[list[exp.Expr], Scope], Term]] = {
    ("json_unquote", 1): lambda arguments, scope: unquoted(emit(arguments[0], scope), scope),
    ("json_valid", 1): _json_valid,
    ("weekday", 1): weekday,
    ("octet_length", 1): lambda arguments, scope: _length_of(emit(arguments[0], scope), True),
    ("character_length", 1): lambda arguments, scope: _length_of(emit(arguments[0], scope), False),
    ("mid", 3): lambda arguments, scope: _part(emit(arguments[0], scope), arguments[1], arguments[2], scope),
    ("adddate", 2): lambda arguments, scope: shifted(moment_of(arguments[0], scope), arguments[1], None, ""),
    ("subdate", 2): lambda arguments, scope: shifted(moment_of(arguments[0], scope), arguments[1], None, "-"),
}

FUNCTIONS: dict[type[exp.Expr], Handler] = {
    **DATES,
    exp.Anonymous: anonymous,
    exp.Concat: _concat,
    exp.ConcatWs: _concat_ws,
    exp.Lower: _text_function("lower"),
    exp.Upper: _text_function("upper"),
    exp.Reverse: _text_function("reverse"),
    exp.Length: _length,
    exp.Left: _side("left"),
    exp.Right: _side("right"),
    exp.Substring: _substring,
    exp.SubstringIndex: _substring_index,
    exp.StrPosition: _position,
    exp.Trim: _trim,
    exp.Replace: _replace,
    exp.Repeat: _repeat,
    exp.MD5: _md5,
    exp.SHA2: _sha2,
    exp.Hex: _hex,
    exp.Abs: _numeric_function("abs", doubles=True),
    exp.Sign: _numeric_function("sign", whole=True),
    exp.Ceil: _numeric_function("ceil", whole=True),
    exp.Floor: _numeric_function("floor", whole=True),
    exp.Round: _rounded("round"),
    exp.Trunc: _rounded("trunc"),
    exp.Coalesce: _coalesce,
    exp.Nullif: _nullif,
    exp.Greatest: _extreme("greatest"),
    exp.Least: _extreme("least"),
    exp.Cast: _cast,
    exp.JSONExtract: json_extract,
    exp.JSONExtractScalar: lambda node, scope: unquoted(json_extract(node, scope), scope),
}
