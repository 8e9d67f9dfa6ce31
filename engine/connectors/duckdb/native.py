"""The types DuckDB's catalog prints, taken apart: `STRUCT(a INTEGER, "b c" DECIMAL(5,2)[])` and the like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.connectors.duckdb.labels import enum_labels

LIST, STRUCT, MAP, UNION = "LIST", "STRUCT", "MAP", "UNION"


@dataclass(frozen=True, slots=True)
class Native:
    """name: upper case without parameters; LIST for a list and for an array of one size. parts: of a LIST
    its element, of a MAP key and value, of a STRUCT and a UNION the members, whose names are in `fields`
    ('' where a struct has none)."""

    name: str
    printed: str
    numbers: tuple[int, ...] = ()
    parts: tuple[Native, ...] = ()
    fields: tuple[str, ...] = ()

    @property
    def is_nested(self) -> bool:
        return self.name in (LIST, STRUCT, MAP, UNION)

    @property
    def labels(self) -> tuple[str, ...]:
        return enum_labels(self.printed) if self.name == "ENUM" else ()


def parse(printed: str) -> Native:
    """A type as duckdb_columns() and DESCRIBE print it."""
    text = printed.strip()
    if text.endswith("]"):
        return Native(LIST, text, parts=(parse(text[: text.rindex("[")]),))
    head, bracket, rest = text.partition("(")
    name = head.strip().strip('"').upper()
    if not bracket or name == "ENUM":
        return Native(name, text)
    inside = rest[: rest.rindex(")")]
    if name == MAP:
        return Native(MAP, text, parts=tuple(parse(part) for part in _split(inside)))
    if name in (STRUCT, UNION):
        members = [_member(part) for part in _split(inside)]
        return Native(
            name,
            text,
            parts=tuple(parse(kind) for _, kind in members),
            fields=tuple(field for field, _ in members),
        )
    if all(part.strip().isdigit() for part in inside.split(",")):
        return Native(name, text, numbers=tuple(int(part) for part in inside.split(",")))
    return Native(name, text)


def _member(text: str) -> tuple[str, str]:
    """`"b c" INTEGER` → name and type. A struct without names has types only."""
    text = text.strip()
    if text.startswith('"'):
        at = 1
        while text[at] != '"' or text[at + 1 : at + 2] == '"':
            at += 2 if text[at] == '"' else 1
        return text[1:at].replace('""', '"'), text[at + 1 :]
    name, space, kind = text.partition(" ")
    if not space or "(" in name or kind.startswith("WITH"):
        return "", text
    return name, kind


def _split(text: str) -> Iterator[str]:
    """At the commas outside brackets and quotes."""
    depth, quote, start = 0, "", 0
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == "," and not depth:
            yield text[start:at]
            start = at + 1
    yield text[start:]


_AS_PRINTED = frozenset(
    {"HUGEINT", "UHUGEINT", "BIGNUM", "BIT", "TIME WITH TIME ZONE", "TIMESTAMP_NS", "TIME_NS"}
)
_NOT_FROM_JSON = frozenset({"BLOB", "BIT", "BIGNUM", "VARIANT", "GEOMETRY", UNION})


def kept_by(native: Native) -> str | None:
    """For a value that travelled as text: the expression around it ({}) that makes it that type again, or
    None where nothing does so exactly."""
    if native.name in _AS_PRINTED:
        return f"CAST({{}} AS {native.printed})"
    if native.is_nested and _from_json(native):
        return f"CAST(CAST({{}} AS JSON) AS {native.printed})"
    return None


def _from_json(native: Native) -> bool:
    named = all(native.fields) if native.name == STRUCT else True
    return named and native.name not in _NOT_FROM_JSON and all(_from_json(part) for part in native.parts)
