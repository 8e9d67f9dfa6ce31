"""The user's map of new names, resolved against what the stream has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from engine.errors import Code, EngineError
from engine.schema import Sequence, Table

Path = tuple[str, ...]  # (table,) or (table, column) of the source; (sequence,) too


def resolved(
    tables: Iterable[Table],
    rename: Mapping[str, str],
    problem_of: Callable[[Path, str], str | None],
    *,
    sequences: Iterable[Sequence] = (),
    field: str = "target.spec.db",
) -> dict[Path, str]:
    """What is renamed → its new name. `problem_of` says why a name cannot be given on the target.
    VALIDATION_FAILED names every key of `rename` that cannot be followed, under `field`."""
    meanings: dict[str, list[Path]] = {}
    for table in tables:
        meanings.setdefault(f"{table.schema}.{table.name}", []).append((table.name,))
        for column in table.columns:
            key = f"{table.schema}.{table.name}.{column.name}"
            meanings.setdefault(key, []).append((table.name, column.name))
    for sequence in sequences:
        meanings.setdefault(f"{sequence.schema}.{sequence.name}", []).append((sequence.name,))
    problems = []
    for key, new in rename.items():
        found = meanings.get(key, [])
        if not found:
            problem: str | None = "no table or column of the stream has this name"
        elif len(found) > 1:
            problem = "this name could mean a table or a column; it cannot be renamed here"
        else:
            problem = problem_of(found[0], new)
        if problem:
            problems.append({"field": f"{field}.rename.{key}", "problem": problem})
    if problems:
        first = problems[0]
        raise EngineError(Code.VALIDATION_FAILED, f"{first['field']}: {first['problem']}", fields=problems)
    return {meanings[key][0]: new for key, new in rename.items()}
