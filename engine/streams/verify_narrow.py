"""From sums that differ to the rows that differ, in bounded memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from engine.connectors.base import KeyRange
from engine.streams.verify_columns import Layout
from engine.streams.verify_sides import EVERY, MAX_BUCKETS, Buckets, Pair, Side, Sums

_LEAF_ROWS = 1024  # rows a bucket should have when rows are fetched one by one
_LEAVES = 64  # buckets fetched together
_PART_ROWS = 1 << 20  # rows of the source whose digests are held at once (16 bytes each, sorted copies)
_BATCH = 65_536

Kind = Literal["missing", "extra", "different"]
Digests = npt.NDArray[np.uint64]  # shape (rows, 2): digest of the key, digest of the row
Left = TypeVar("Left")
Right = TypeVar("Right")


class Both(Protocol):
    """Runs one function per side at the same time."""

    def __call__(self, source: Callable[[], Left], target: Callable[[], Right]) -> tuple[Left, Right]: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """A row on one side only, or one that differs. `key` is None in a table without one; then `digest` names
    the row and `copies` says how many more of it there are."""

    kind: Kind
    key: dict[str, Any] | None
    columns: tuple[str, ...] = ()
    digest: str | None = None
    copies: int = 1

    def as_dict(self) -> dict[str, Any]:
        plain: dict[str, Any] = {"kind": self.kind, "key": self.key}
        if self.kind == "different":
            plain["columns"] = list(self.columns)
        if self.digest is not None:
            plain["digest"] = self.digest
        if self.copies != 1:
            plain["copies"] = self.copies
        return plain


@dataclass(frozen=True, slots=True)
class Found:
    """The comparison of one range."""

    rows_source: int
    rows_target: int
    equal: bool
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    kind: Kind
    key: int
    copies: int = 1


def narrow(
    both: Both, source: Side, target: Side, layout: Layout, bounds: KeyRange | None, rows: int, wanted: int
) -> list[Difference]:
    """At most `wanted` differing rows of a range known to differ; `rows` is the larger side's count."""
    count = min(MAX_BUCKETS, _power_of_two(rows / _LEAF_ROWS))
    ours, theirs = both(lambda: source.buckets(bounds, count), lambda: target.buckets(bounds, count))
    empty = Sums()
    suspects = iter(
        sorted(
            number
            for number in ours.keys() | theirs.keys()
            if ours.get(number, empty) != theirs.get(number, empty)
        )
    )
    found: list[_Row] = []
    while len(found) < wanted and (numbers := tuple(islice(suspects, _LEAVES))):
        leaf = Buckets(count, numbers)
        left, right = both(
            partial(_collected_from, source, bounds, leaf), partial(_collected_from, target, bounds, leaf)
        )
        found += _differing(left, right)
    return _named(both, source, target, layout, bounds, found[:wanted])


def compare_subset(
    both: Both, source: Side, target: Side, layout: Layout, bounds: KeyRange | None, rows: int, wanted: int
) -> Found:
    """Compare the rows of the source with those of the target that have a key of the source (without a key:
    that are equal to one). The rest of the target is not looked at."""
    parts = min(MAX_BUCKETS, _power_of_two(rows / _PART_ROWS))
    rows_source = rows_target = 0
    found: list[_Row] = []
    equal = True
    for number in range(parts):
        part = EVERY if parts == 1 else Buckets(parts, (number,))
        ours, _ = both(partial(_collected_from, source, bounds, part), _nothing)
        keys = np.unique(ours[:, 0])
        _, theirs = both(_nothing, partial(_known_from, target, bounds, part, keys))
        differing = _differing(ours, theirs)
        matched = len(theirs)
        if not layout.key:
            # More copies of an equal row were there before; only missing ones count.
            matched -= sum(row.copies for row in differing if row.kind == "extra")
            differing = [row for row in differing if row.kind == "missing"]
        rows_source += len(ours)
        rows_target += matched
        equal = equal and not differing
        found += differing[: max(0, wanted - len(found))]
    return Found(rows_source, rows_target, equal, tuple(_named(both, source, target, layout, bounds, found)))


# ---------------------------------------------------------------- digests of rows


def _collected(pairs: Iterable[Pair]) -> Digests:
    flat = array("Q")
    for key, digest in pairs:
        flat.append(key)
        flat.append(digest)
    return np.frombuffer(flat, dtype=np.uint64).reshape(-1, 2) if flat else np.empty((0, 2), np.uint64)


def _collected_from(side: Side, bounds: KeyRange | None, part: Buckets) -> Digests:
    return _collected(side.pairs(bounds, part))


def _nothing() -> None:
    return None


def _known_from(side: Side, bounds: KeyRange | None, part: Buckets, keys: npt.NDArray[np.uint64]) -> Digests:
    """Those rows whose key is among the sorted `keys`."""
    pairs = side.pairs(bounds, part)
    kept = [np.empty((0, 2), np.uint64)]
    while len(batch := _collected(islice(pairs, _BATCH))):
        places = np.minimum(np.searchsorted(keys, batch[:, 0]), max(0, len(keys) - 1))
        if len(keys):
            kept.append(batch[keys[places] == batch[:, 0]])
    return np.concatenate(kept)


def _differing(ours: Digests, theirs: Digests) -> list[_Row]:
    """Rows on one side only, those of one key on both taken together as different."""
    rows, inverse = np.unique(np.concatenate((ours, theirs)), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    surplus = np.bincount(inverse[: len(ours)], minlength=len(rows)) - np.bincount(
        inverse[len(ours) :], minlength=len(rows)
    )
    here: dict[int, int] = {}
    there: dict[int, int] = {}
    for place in np.flatnonzero(surplus):
        side, key, copies = (
            (here if surplus[place] > 0 else there),
            int(rows[place, 0]),
            abs(int(surplus[place])),
        )
        side[key] = side.get(key, 0) + copies
    return [
        *(_Row("different", key) for key in here if key in there),
        *(_Row("missing", key, copies) for key, copies in here.items() if key not in there),
        *(_Row("extra", key, copies) for key, copies in there.items() if key not in here),
    ]


# ---------------------------------------------------------------- names for people


def _named(
    both: Both,
    source: Side,
    target: Side,
    layout: Layout,
    bounds: KeyRange | None,
    rows: Sequence[_Row],
) -> list[Difference]:
    if not rows:
        return []
    if not layout.key:
        return [Difference(row.kind, None, digest=f"{row.key:016x}", copies=row.copies) for row in rows]
    ours = frozenset(row.key for row in rows if row.kind != "extra")
    theirs = frozenset(row.key for row in rows if row.kind != "missing")
    left, right = both(
        lambda: source.values(bounds, ours) if ours else {},
        lambda: target.values(bounds, theirs) if theirs else {},
    )
    return [_difference(row, left.get(row.key), right.get(row.key), layout) for row in rows]


def _difference(
    row: _Row,
    ours: tuple[Any, tuple[bytes, ...]] | None,
    theirs: tuple[Any, tuple[bytes, ...]] | None,
    layout: Layout,
) -> Difference:
    shown = ours or theirs
    assert shown is not None  # both were read in one snapshot
    columns: tuple[str, ...] = ()
    if ours is not None and theirs is not None:
        columns = tuple(
            column.read.source.name
            for column, left, right in zip(layout.columns, ours[1], theirs[1], strict=True)
            if left != right
        )
    return Difference(row.kind, shown[0], columns, copies=row.copies)


def _power_of_two(least: float) -> int:
    power = 1
    while power < least:
        power *= 2
    return power
