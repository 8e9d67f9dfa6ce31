"""MySQL and MariaDB expressions → PostgreSQL, by an allow-list.

sqlglot parses; what it found is written out again, node by node (`nodes`). A node, a function or an argument
that is not listed makes the whole expression untranslatable: it is then reported, and never guessed at.
Differences that look alike are the reason: integer division, NULL in CONCAT, comparison without case,
overflow half-way.

Most databases have no expressions, and sqlglot takes as long to load as such a database takes to copy: it is
loaded with the first one.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.connectors.postgres.terms import Scope, Term, Untranslatable, emit

MAX_LENGTH = 20_000  # characters; longer ones are reported, not parsed


@dataclass(frozen=True, slots=True)
class Translation:
    """The PostgreSQL term, the source columns it reads, and what to tell people about it."""

    term: Term
    used: frozenset[str]
    remarks: tuple[str, ...] = ()


def translate(expression: str, scope: Scope) -> Translation:
    """The expression for `scope.purpose`. Raises Untranslatable with the reason."""
    if len(expression) > MAX_LENGTH:
        raise Untranslatable("it is too long")
    from engine.connectors.postgres.nodes import parse

    try:
        term = emit(parse(expression), scope)
    except RecursionError:
        raise Untranslatable("it is nested too deep") from None
    return Translation(term, frozenset(scope.used), tuple(sorted(scope.remarks)))
