"""What a step of an encoder is told, and the few things every step needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from engine.config import Policies
from engine.connectors.base import ReadColumn
from ext.rowerror import RowError, printed


@dataclass(frozen=True, slots=True)
class Context:
    """arrow: the type a value step gives. counters: (column, policy) → values, shared by a table."""

    read: ReadColumn
    policies: Policies
    arrow: pa.DataType
    counters: dict[tuple[str, str], int]

    def count(self, policy: str, values: int) -> None:
        if values:
            key = (self.read.name, policy)
            self.counters[key] = self.counters.get(key, 0) + values


Value: TypeAlias = "Callable[[pa.Array, Context], pa.Array]"
Cell: TypeAlias = "Callable[[pa.Array, Context], pa.Array]"


def refuse_first(array: pa.Array, mask: pa.Array, reason: str) -> None:
    """RowError for the first value where `mask` is true."""
    row = pc.index(mask, pa.scalar(True)).as_py()
    if row >= 0:
        raise RowError(0, row, reason, printed(array, row))


def any_true(mask: pa.Array) -> bool:
    return bool(pc.any(mask, min_count=0).as_py())


def settle(
    array: pa.Array, mask: pa.Array, reason: str, context: Context, policy: str, choice: str
) -> pa.Array:
    """What cannot go: NULL, counted, where the policy's `choice` is null; else the first is refused."""
    if not any_true(mask):
        return array
    if choice != "null":
        refuse_first(array, mask, reason)
    context.count(policy, pc.sum(mask).as_py() or 0)
    return pc.if_else(pc.fill_null(mask, False), pa.scalar(None, array.type), array)
