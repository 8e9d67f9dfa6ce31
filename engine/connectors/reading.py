"""What sources have in common: which columns and keys are read, and the picture they are read from."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from engine.config import Policies, Selection
from engine.connectors.base import KeyRange
from engine.errors import Code, EngineError
from engine.schema import Column, Table


def read_columns(
    table: Table, policies: Policies, selection: Selection, plain_generated: frozenset[str]
) -> list[Column]:
    """The selected columns in the table's order. Generated ones are left out but for `plain_generated` and
    where the policy says `plain`."""
    kept = set(selection.selected_columns)
    return [
        column
        for column in table.columns
        if (not kept or column.name in kept)
        and (column.generated is None or policies.generated == "plain" or column.name in plain_generated)
    ]


def require_distinct(query: str, names: Sequence[str], *, caseless: bool = False) -> None:
    """QUERY_FAILED where two columns of a query have one name."""
    alike = [name.casefold() if caseless else name for name in names]
    twice = next((name for name, folded in zip(names, alike, strict=True) if alike.count(folded) > 1), None)
    if twice is not None:
        raise EngineError(
            Code.QUERY_FAILED,
            f"the query {query} gives two columns named {twice}: name one of them with AS",
            query=query,
            column=twice,
        )


def integers_within(name: str, bounds: KeyRange) -> str:
    """The condition of a range over one column of integers; `name` is quoted. NULL comes first."""
    parts = []
    if bounds.lower is not None:
        parts.append(f"{name} >= {int(bounds.lower[0])}")
    if bounds.upper is not None:
        upper = f"{name} < {int(bounds.upper[0])}"
        parts.append(upper if bounds.lower is not None else f"({upper} OR {name} IS NULL)")
    return " AND ".join(parts) or "TRUE"


class Closing:
    """A context manager of what has a `close`."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
