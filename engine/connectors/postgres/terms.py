"""What a translated expression is: SQL with the meaning that decides how it may be combined."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from engine.connectors.postgres.identifiers import literal

if TYPE_CHECKING:
    from sqlglot import exp

INTEGER = re.compile(r"-?[0-9]{1,9}")


class Untranslatable(Exception):
    """The expression means something PostgreSQL would not compute alike. `reason` is part of a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Purpose(StrEnum):
    """Where an expression goes. A CHECK only has to accept the same rows; the others have to give the same
    values, by immutable functions."""

    CHECK = "check"
    GENERATED = "generated"
    INDEX = "index"
    DEFAULT = "default"


class Meaning(StrEnum):
    BOOL = "bool"
    INT = "int"
    DECIMAL = "decimal"
    FLOAT = "float"
    TEXT = "text"
    BYTES = "bytes"
    DATE = "date"
    DATETIME = "datetime"
    INSTANT = "instant"
    DURATION = "duration"
    ENUM = "enum"
    JSON = "json"
    NULL = "null"
    OTHER = "other"


NUMBERS = frozenset({Meaning.INT, Meaning.DECIMAL, Meaning.FLOAT})
CALENDAR = frozenset({Meaning.DATE, Meaning.DATETIME, Meaning.INSTANT})


@dataclass(frozen=True, slots=True)
class Term:
    """A translated expression.

    constant: the value of a literal, as text. folded: text the source compares without case. padded: text it
    compares without trailing blanks; collated: by an explicit COLLATE, which decides for both sides.
    utf8: its bytes on the source are UTF-8. type_name: of an enum.
    exact: a number whose text is the same on both sides (integers, decimal columns). always: never false.
    """

    sql: str
    meaning: Meaning
    constant: str | None = None
    folded: bool = False
    padded: bool = False
    collated: bool = False
    utf8: bool = True
    nullable: bool = True
    exact: bool = True
    always: bool = False
    type_name: str = ""
    labels: tuple[str, ...] = ()
    base: str = ""

    def with_sql(self, sql: str) -> Term:
        """The same kind of value out of another expression."""
        return replace(self, sql=sql, constant=None, base="", always=False)


@dataclass(slots=True)
class Scope:
    """The columns an expression may name, by folded source name, and what it named."""

    purpose: Purpose
    columns: Mapping[str, tuple[str, Term]] = field(default_factory=dict)  # folded → (source name, term)
    used: set[str] = field(default_factory=set)
    remarks: set[str] = field(default_factory=set)
    server_version: int = 150000

    def column(self, name: str) -> Term:
        found = self.columns.get(name.casefold())
        if found is None:
            raise Untranslatable(f"it names {name!r}, which is not a column here")
        self.used.add(found[0])
        return found[1]

    @property
    def exact_values(self) -> bool:
        return self.purpose is not Purpose.CHECK


# ---------------------------------------------------------------- coercions


def text_literal(value: str) -> str:
    if "\0" in value:
        raise Untranslatable("it holds a NUL character")
    return literal(value)


def boolean(term: Term) -> str:
    """The term as a condition: MySQL takes every number but 0 as true."""
    if term.meaning is Meaning.BOOL:
        return term.sql
    if term.meaning in NUMBERS:
        return f"({term.sql} <> 0)"
    if term.meaning is Meaning.NULL:
        return "NULL::boolean"
    raise Untranslatable(f"a {term.meaning.value} value is used as a condition")


def number(term: Term) -> Term:
    """The term as a number; a condition counts as 0 or 1."""
    if term.meaning is Meaning.BOOL:
        return Term(f"({term.sql})::integer", Meaning.INT, nullable=term.nullable)
    if term.meaning in NUMBERS:
        return term
    raise Untranslatable(f"a {term.meaning.value} value is used as a number")


def arithmetic(term: Term, meaning: Meaning) -> str:
    """The operand of an operation: numeric never overflows half-way, as MySQL's 64-bit integers do not."""
    given = number(term)
    if meaning is Meaning.FLOAT:
        return f"{given.sql}::double precision"
    if given.meaning is Meaning.DECIMAL or given.base == "numeric":
        return given.sql
    return f"{given.sql}::numeric"


def widest(*terms: Term) -> Meaning:
    """What an operation on these numbers gives: a double if any is one, else a decimal, else an integer."""
    meanings = {number(term).meaning for term in terms}
    for meaning in (Meaning.FLOAT, Meaning.DECIMAL):
        if meaning in meanings:
            return meaning
    return Meaning.INT


def text(term: Term) -> Term:
    """The term as text, where both servers print it alike."""
    if term.meaning is Meaning.TEXT:
        return term
    if term.constant is not None and term.meaning in (Meaning.INT, Meaning.DECIMAL):
        return Term(text_literal(term.constant), Meaning.TEXT, term.constant, nullable=False)
    if term.meaning is Meaning.INT or (term.meaning is Meaning.DECIMAL and term.exact):
        return Term(f"{term.sql}::text", Meaning.TEXT, nullable=term.nullable)
    raise Untranslatable(f"the text of a {term.meaning.value} value differs between the servers")


def unified(terms: list[Term]) -> list[Term]:
    """The branches of CASE, COALESCE and the like, made one kind of value."""
    given = [term for term in terms if term.meaning is not Meaning.NULL]
    if not given:
        return terms
    meanings = {term.meaning for term in given}
    if meanings <= NUMBERS | {Meaning.BOOL}:
        if meanings == {Meaning.BOOL}:
            return terms
        wide = widest(*given)
        return [
            term
            if term.meaning is Meaning.NULL
            else replace(number(term), meaning=wide, exact=wide is Meaning.INT, constant=None)
            for term in terms
        ]
    if Meaning.TEXT in meanings and meanings <= {Meaning.TEXT, Meaning.INT}:
        folded, padded = any(t.folded for t in given), any(t.padded for t in given)
        return [
            term
            if term.meaning is Meaning.NULL
            else replace(text(term), folded=folded, padded=padded, constant=None)
            for term in terms
        ]
    if len(meanings) == 1 and given[0].meaning is not Meaning.ENUM:
        return terms
    raise Untranslatable("its branches are of different kinds")


# ---------------------------------------------------------------- nodes

Handler: TypeAlias = "Callable[[exp.Expr, Scope], Term]"

HANDLERS: dict[type[exp.Expr], Handler] = {}  # filled by `nodes`


def only(node: exp.Expr, *names: str) -> None:
    """Refuse a node that carries more than these arguments: an option not listed could change the meaning."""
    for name, value in node.args.items():
        if name not in names and value not in (None, False, []):
            raise Untranslatable(f"{node.key.upper()} has an option that is not carried ({name})")


def emit(node: exp.Expr, scope: Scope) -> Term:
    """One node, by the table of what is known."""
    handler = HANDLERS.get(type(node))
    if handler is None:
        raise Untranslatable(f"{node.key.upper()} is not among what is carried")
    return handler(node, scope)


def is_padded(collation: str) -> bool:
    """Whether the collation ignores trailing blanks in a comparison (MySQL manual, "Pad attribute")."""
    name = collation.lower()
    return "nopad" not in name and "_0900_" not in name and name != "binary"


def constant_integer(node: exp.Expr | None, scope: Scope, lowest: int = 0) -> int:
    """A constant integer argument."""
    term = emit(node, scope) if node is not None else None
    if term is None or term.constant is None or not INTEGER.fullmatch(term.constant):
        raise Untranslatable("an argument has to be a constant integer")
    value = int(term.constant)
    if value < lowest:
        raise Untranslatable(f"an argument is below {lowest}")
    return value
