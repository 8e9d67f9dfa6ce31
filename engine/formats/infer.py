"""The types of columns that are only text: DuckDB looks at every value, and a type is given only where every
text is what the type would print, or names the same value exactly.

A first look at a sample proposes a type; the whole of the data is then checked against it, and a column that
fails is looked at whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import duckdb

from engine.connectors.base import Note, Severity
from engine.errors import Code, EngineError
from engine.formats import read_types as types
from engine.formats.read_session import quote
from engine.formats.read_types import FileType

SAMPLE = 3_000  # rows of the first look
WIDE = 200  # columns looked at by one statement


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column of texts. sql: its name in the relation. asked: the type the user gave. family: what a format
    that tells them apart says its values are: strings never become numbers, nor numbers text."""

    name: str
    sql: str
    asked: FileType | None = None
    family: str = "any"  # any, string, number


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file as a relation of texts; opened anew for every look. `failed` explains what DuckDB said."""

    path: str
    open: Callable[[], AbstractContextManager[tuple[duckdb.DuckDBPyConnection, str]]]


@dataclass(slots=True)
class Inferred:
    types: dict[str, FileType]
    rows: dict[str, int]  # by file
    notes: list[Note] = field(default_factory=list)
    octets: dict[str, int] = field(default_factory=dict)  # longest text of a column


# ---------------------------------------------------------------- what a value can be

_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"
_EXPONENT = r"-?[0-9]+(\.[0-9]+)?[eE][+-]?[0-9]+"
_SLASHED = r"[0-9]{1,2}[/.][0-9]{1,2}[/.][0-9]{4}"
_AS_PRINTED = "TRY_CAST({c} AS DOUBLE) IS NOT NULL AND isfinite(TRY_CAST({c} AS DOUBLE))"
# The common case first: what follows WHEN is all that most values cost.
_SHORTEST = (
    "(CASE WHEN CAST(TRY_CAST({c} AS DOUBLE) AS VARCHAR) = {c} THEN isfinite(TRY_CAST({c} AS DOUBLE))"
    " ELSE TRY_CAST({c} AS BIGINT) BETWEEN -9007199254740992 AND 9007199254740992"
    " AND CAST(TRY_CAST({c} AS BIGINT) AS VARCHAR) = {c} END)"
)
_INT = "(TRY_CAST({c} AS BIGINT) IS NOT NULL AND CAST(TRY_CAST({c} AS BIGINT) AS VARCHAR) = {c})"

# name → (aggregate, over {c}); counts are of values that are not NULL
_FLAGS: Mapping[str, str] = {
    "n": "count({c})",
    "octets": "coalesce(max(strlen({c})), 0)",
    "int": f"count_if({_INT})",
    "bool": "count_if(lower({c}) IN ('true', 'false'))",
    "number": f"count_if(regexp_full_match({{c}}, '{_NUMBER}'))",
    "minus_zero": "count_if(regexp_full_match({c}, '-0(\\.0+)?'))",
    "whole": f"coalesce(max(length(split_part(ltrim({{c}}, '-'), '.', 1)))"
    f" FILTER (regexp_full_match({{c}}, '{_NUMBER}')), 0)",
    "scale": f"coalesce(max(length(split_part({{c}}, '.', 2)))"
    f" FILTER (regexp_full_match({{c}}, '{_NUMBER}')), 0)",
    "least_scale": f"coalesce(min(length(split_part({{c}}, '.', 2)))"
    f" FILTER (regexp_full_match({{c}}, '{_NUMBER}')), 0)",
    "shortest": f"count_if({_SHORTEST})",
    "float": f"count_if({_AS_PRINTED} AND ({_SHORTEST} OR (regexp_full_match({{c}}, '{_EXPONENT}')"
    " AND length(regexp_replace(split_part(lower({c}), 'e', 1), '[-.]', '', 'g')) <= 15)))",
    "zeros": "count_if(regexp_full_match({c}, '[+-]?0[0-9]+'))",
    "date": f"count_if({types.DATE.valid})",
    "timestamp": f"count_if({types.TIMESTAMP.valid})",
    "timestamptz": f"count_if({types.TIMESTAMPTZ.valid})",
    "time": f"count_if({types.TIME.valid})",
    "slashed": f"count_if(regexp_full_match({{c}}, '{_SLASHED}'))",
    "day_first": f"count_if(regexp_full_match({{c}}, '{_SLASHED}')"
    " AND try_strptime(replace({c}, '.', '/'), '%d/%m/%Y') IS NOT NULL)",
    "month_first": f"count_if(regexp_full_match({{c}}, '{_SLASHED}')"
    " AND try_strptime(replace({c}, '.', '/'), '%m/%d/%Y') IS NOT NULL)",
    "separators": f"count(DISTINCT regexp_extract({{c}}, '[/.]'))"
    f" FILTER (regexp_full_match({{c}}, '{_SLASHED}'))",
    "dotted": f"count_if(regexp_full_match({{c}}, '{_SLASHED}') AND contains({{c}}, '.'))",
}
_LEAST = ("least_scale",)
_MOST = ("whole", "scale", "octets", "separators")
Stats = dict[str, int]


def _merged(one: Stats | None, other: Stats) -> Stats:
    """Of two parts of a column. A part without values says nothing of the least."""
    if one is None or one["n"] == 0:
        return other if one is None else {**other, "octets": max(one["octets"], other["octets"])}
    if other["n"] == 0:
        return one
    return {
        key: min(one[key], other[key])
        if key in _LEAST
        else max(one[key], other[key])
        if key in _MOST
        else one[key] + other[key]
        for key in one
    }


@dataclass(frozen=True, slots=True)
class Guess:
    """A type and the condition a text must meet to be of it; `doubt` goes into the plan."""

    type: FileType
    valid: str
    doubt: str = ""


def decide(stats: Stats, family: str = "any") -> Guess:
    """The type of a column from what its values can be."""
    n = stats["n"]
    if n == 0:
        return Guess(types.VARCHAR, "false", "every value is NULL: taken for text")
    if family == "string":
        return _decide_text(stats)
    if stats["bool"] == n:
        return Guess(types.BOOLEAN, types.BOOLEAN.valid)
    if stats["int"] == n:
        return Guess(types.BIGINT, _INT)
    guess = _decide_number(stats)
    if guess is not None:
        return guess
    return _decide_text(stats)


def _decide_number(stats: Stats) -> Guess | None:
    n, whole, scale = stats["n"], stats["whole"], stats["scale"]
    exact = stats["number"] == n and stats["minus_zero"] == 0
    fixed = scale == stats["least_scale"]
    if exact and not fixed and stats["shortest"] == n:
        doubt = "numbers of differing fraction digits, each as a double prints it: taken for DOUBLE"
        return Guess(types.DOUBLE, _SHORTEST, doubt)
    if exact and fixed:
        precision = _round_up(max(whole, 1) + scale)
        if precision <= types.MAX_DECIMAL:
            kind = types.decimal(precision, scale)
            return Guess(kind, f"(CAST(TRY_CAST({{c}} AS {kind.name}) AS VARCHAR) = {{c}})")
    if exact:
        kind = types.decimal(_round_up(max(whole, 1) + scale), scale)
        doubt = "" if fixed else f"numbers of differing fraction digits: taken for {kind.name}"
        return Guess(kind, kind.valid, doubt)
    if stats["float"] == n:
        return Guess(types.DOUBLE, types.DOUBLE.valid)
    return None


def _round_up(digits: int) -> int:
    """18 and 38 are the sizes DuckDB computes in; beyond, what is needed."""
    return next((size for size in (18, types.MAX_DECIMAL) if digits <= size), digits)


def _decide_text(stats: Stats) -> Guess:
    n = stats["n"]
    for name, kind in (
        ("date", types.DATE),
        ("timestamp", types.TIMESTAMP),
        ("timestamptz", types.TIMESTAMPTZ),
        ("time", types.TIME),
    ):
        if stats[name] == n:
            return Guess(kind, kind.valid)
    if stats["timestamp"] and stats["timestamp"] + stats["timestamptz"] == n:
        doubt = "moments with and without a time zone: kept as text"
        return Guess(types.VARCHAR, "true", doubt)
    if stats["slashed"] == n:
        return _decide_slashed(stats)
    if stats["zeros"]:
        doubt = "numbers with leading zeros: kept as text"
        return Guess(types.VARCHAR, "true", doubt)
    return Guess(types.VARCHAR, "true")


def _decide_slashed(stats: Stats) -> Guess:
    n = stats["n"]
    day, month = stats["day_first"] == n, stats["month_first"] == n
    mark = "." if stats["dotted"] else "/"
    if day != month and stats["separators"] == 1:
        pattern = mark.join(("%d", "%m", "%Y") if day else ("%m", "%d", "%Y"))
        kind = types.formatted("DATE", pattern)
        doubt = f"dates read as {pattern}, the only order that fits every value"
        return Guess(kind, kind.valid, doubt)
    doubt = "dates whose order cannot be told"
    if day and month and stats["separators"] == 1:
        orders = [mark.join(order) for order in (("%d", "%m", "%Y"), ("%m", "%d", "%Y"))]
        doubt += f": kept as text; say columns: DATE '{orders[0]}' or DATE '{orders[1]}'"
    else:
        doubt += ": kept as text"
    return Guess(types.VARCHAR, "true", doubt)


# ---------------------------------------------------------------- looking


def infer(table: str, columns: Sequence[TextColumn], files: Sequence[TextFile]) -> Inferred:
    """The types of the columns over all files. VALUE_NOT_REPRESENTABLE names file and row of the first value
    that is not of the type the user gave; the caller turns the row into a line."""
    sample = _look(columns, files[:1], SAMPLE)
    guesses = {
        column.name: Guess(column.asked, column.asked.valid)
        if column.asked is not None
        else decide(sample[column.name], column.family)
        for column in columns
    }
    rows, failed, octets = _check(columns, files, guesses)
    for column in columns:
        if column.asked is not None and column.name in failed:
            raise _not_of_type(table, column, files, column.asked)
    again = [column for column in columns if column.name in failed]
    if again:
        whole = _look(again, files, None)
        guesses.update({column.name: decide(whole[column.name], column.family) for column in again})
    found = Inferred({name: guess.type for name, guess in guesses.items()}, rows, octets=octets)
    for name, guess in guesses.items():
        if guess.doubt:
            found.notes.append(
                Note(Severity.INFO, "inferred-doubtful", f"{table}.{name}: {guess.doubt}.", table, name)
            )
    return found


def _pieces(columns: Sequence[TextColumn]) -> Iterator[Sequence[TextColumn]]:
    for start in range(0, len(columns), WIDE):
        yield columns[start : start + WIDE]


def _look(columns: Sequence[TextColumn], files: Sequence[TextFile], limit: int | None) -> dict[str, Stats]:
    """Everything the values can be, over all files."""
    merged: dict[str, Stats] = {}
    for file in files:
        for some in _pieces(columns):
            aggregates = [
                flag.replace("{c}", quote(column.sql)) for column in some for flag in _FLAGS.values()
            ]
            with file.open() as (connection, relation):
                source = f"(SELECT * FROM {relation} LIMIT {limit})" if limit else relation
                row = connection.execute(f"SELECT {', '.join(aggregates)} FROM {source}").fetchone()
            assert row is not None
            for number, column in enumerate(some):
                values = row[number * len(_FLAGS) : (number + 1) * len(_FLAGS)]
                stats = {key: int(value or 0) for key, value in zip(_FLAGS, values, strict=True)}
                merged[column.name] = _merged(merged.get(column.name), stats)
    return merged


def _check(
    columns: Sequence[TextColumn], files: Sequence[TextFile], guesses: Mapping[str, Guess]
) -> tuple[dict[str, int], set[str], dict[str, int]]:
    """Rows by file, the columns that hold a value that is not of its type, and the longest texts."""
    rows: dict[str, int] = {}
    failed: set[str] = set()
    octets: dict[str, int] = {}
    for file in files:
        for some in _pieces(columns):
            aggregates = ["count(*)"]
            for column in some:
                name = quote(column.sql)
                valid = guesses[column.name].valid.replace("{c}", name)
                aggregates.append(
                    f"count({name}) - coalesce(count_if({valid}), 0)" if valid != "true" else "0"
                )
                aggregates.append(f"coalesce(max(strlen({name})), 0)")
            with file.open() as (connection, relation):
                row = connection.execute(f"SELECT {', '.join(aggregates)} FROM {relation}").fetchone()
            assert row is not None
            rows[file.path] = int(row[0])
            for number, column in enumerate(some):
                if row[1 + 2 * number]:
                    failed.add(column.name)
                longest = int(row[2 + 2 * number])
                octets[column.name] = max(octets.get(column.name, 0), longest)
    return rows, failed, octets


def _not_of_type(table: str, column: TextColumn, files: Sequence[TextFile], kind: FileType) -> EngineError:
    """The first value that is not of the type asked for."""
    name = quote(column.sql)
    for file in files:
        with file.open() as (connection, relation):
            found = connection.execute(
                f"SELECT row, value FROM (SELECT row_number() OVER () AS row, {name} AS value"
                f" FROM {relation}) WHERE value IS NOT NULL AND NOT coalesce({kind.is_valid('value')}, false)"
                " ORDER BY row LIMIT 1"
            ).fetchone()
        if found is not None:
            return EngineError(
                Code.VALUE_NOT_REPRESENTABLE,
                f"{file.path}: {found[1][:200]!r} in column {column.name} is no {kind.name}",
                table=table,
                column=column.name,
                file=file.path,
                row=int(found[0]),
                value=found[1][:200],
                type=kind.name,
            )
    return EngineError(Code.FILE_CHANGED, f"the files of {table} changed while they were looked at")
