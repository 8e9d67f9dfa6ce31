"""Decimals as wide as the values that were looked at: `unboundedNumeric: scan` for targets whose decimals
need a precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.config import Policies
from engine.connectors.base import ColumnFacts
from engine.schema import Column


@dataclass(frozen=True, slots=True)
class Limits:
    """What a target's decimals hold: digits in all, and behind the point. `infinity`: the policy that decides
    there about infinite numbers. `nullable`: NOT NULL is dropped where a policy makes NULL of some."""

    digits: int
    places: int
    infinity: Literal["nan", "infinity"] = "infinity"
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Measured:
    """A decimal that holds every value there was, or why there is none (`problem`). `said`: for the plan."""

    precision: int
    scale: int
    said: str
    problem: str = ""


def measured_decimal(
    column: Column, facts: ColumnFacts | None, policies: Policies, limits: Limits
) -> Measured | None:
    """None where the policy is another one, or nobody has looked at the values (`ColumnFacts.nans`)."""
    if policies.unbounded_numeric != "scan" or facts is None or facts.nans is None:
        return None
    problem = _specials(column, facts, policies, limits)
    if facts.integer_digits is None or facts.fraction_digits is None:
        places = min(limits.places, limits.digits // 2)
        return Measured(limits.digits, places, "it has no values: the widest", problem)
    before, places = facts.integer_digits, facts.fraction_digits
    said = f"by its values: {before} digits before the point, {places} behind it"
    if before + places > limits.digits or places > limits.places:
        problem = f"its values have {before} digits before the point and {places} behind it"
    return Measured(max(before + places, 1), places, said, problem)


def _specials(column: Column, facts: ColumnFacts, policies: Policies, limits: Limits) -> str:
    """Why NaN and infinities cannot go, or nothing."""
    policy_of = {"nan": policies.nan, "infinity": policies.infinity}
    for count, what, policy in (
        (facts.nans or 0, "NaN", "nan"),
        (facts.infinities or 0, "infinite", limits.infinity),
    ):
        if not count:
            continue
        said = f"{count} of its values {'is' if count == 1 else 'are'} {what}, which no decimal is"
        if policy_of[policy] != "null":
            return f"{said}: set policies.{policy} to null"
        if not column.nullable and not limits.nullable:
            return f"{said}, and the column is NOT NULL"
    return ""
