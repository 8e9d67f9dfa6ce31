"""What the plain encoders of binary COPY are given and raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Refused(Exception):
    """A value that cannot go; the message is the reason's slug."""


@dataclass
class Column:
    """What an encoder may look at besides the value, and the policies it applied to the batch."""

    options: Mapping[str, Any]
    touched: dict[str, int] = field(default_factory=dict)

    def touch(self, policy: str) -> None:
        self.touched[policy] = self.touched.get(policy, 0) + 1

    def missing(self, reason: str, policy: str) -> None:
        """NULL for a value the type has not, where the policy says so."""
        if self.options.get(policy) != "null":
            raise Refused(reason)
        self.touch(policy)

    def check_flag(self, value: int) -> None:
        if self.options.get("flag") and value not in (0, 1):
            raise Refused("not-boolean")


@dataclass(frozen=True)
class Single:
    """A float32 by its bits."""

    bits: int


@dataclass(frozen=True)
class Day:
    number: int  # since 1970-01-01


@dataclass(frozen=True)
class Parts:
    """An interval: three numbers that are not carried over into one another."""

    months: int
    days: int
    micros: int
