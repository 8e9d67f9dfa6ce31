"""Paths into JSON: names only, and only where the column became jsonb."""

from __future__ import annotations

import re

from sqlglot import exp

from engine.connectors.postgres.identifiers import text_array
from engine.connectors.postgres.terms import INTEGER, Meaning, Scope, Term, Untranslatable, emit, only


def json_path(node: exp.Expr | None) -> list[str]:
    """The keys of a path like `$.a.b`: names only, for positions mean different things on the two servers."""
    if isinstance(node, exp.Introducer):
        node = node.args.get("expression")
    if isinstance(node, exp.Literal):
        found = re.fullmatch(r'\$((?:\.(?:[A-Za-z_$][\w$]*|"[^"\\]+"))+)', str(node.this))
        keys = re.findall(r'\.(?:"([^"\\]+)"|([A-Za-z_$][\w$]*))', found.group(1)) if found else []
        names = [quoted or bare for quoted, bare in keys]
    elif isinstance(node, exp.JSONPath):
        rest = node.expressions[1:]
        if not all(isinstance(part, exp.JSONPathKey) and isinstance(part.this, str) for part in rest):
            raise Untranslatable("a JSON path has more than names")
        names = [str(part.this) for part in rest]
    else:
        raise Untranslatable("a JSON path is not constant")
    if not names or any(INTEGER.fullmatch(name) for name in names):
        raise Untranslatable("a JSON path has more than names")
    return names


def is_root(node: exp.Expr | None) -> bool:
    """Whether the path is `$`, the whole value."""
    if isinstance(node, exp.Introducer):
        node = node.args.get("expression")
    if isinstance(node, exp.JSONPath):
        return len(node.expressions) == 1
    return isinstance(node, exp.Literal) and str(node.this) == "$"


def json_extract(node: exp.Expr, scope: Scope) -> Term:
    only(node, "this", "expression")
    inner = emit(node.this, scope)
    if inner.base != "jsonb":
        raise Untranslatable("a path into JSON is carried for jsonb only")
    sql = f"({inner.sql} #> {text_array(json_path(node.expression))})"
    return Term(sql, Meaning.JSON, base="jsonb")


def unquoted(term: Term, scope: Scope) -> Term:
    """JSON_UNQUOTE: the text of a JSON value; JSON's null is the word."""
    if term.meaning is not Meaning.JSON or term.base != "jsonb":
        raise Untranslatable("JSON_UNQUOTE is carried for jsonb only")
    scope.remarks.add("numbers inside JSON beyond 64 bits are printed differently")
    sql = f"CASE WHEN jsonb_typeof({term.sql}) = 'null' THEN 'null' ELSE {term.sql} #>> '{{}}'::text[] END"
    return Term(f"({sql})", Meaning.TEXT, padded=True)
