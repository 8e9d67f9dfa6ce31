"""What a comparison says of one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.streams.job import Report

REPORTED = 20  # differing rows a table names


@dataclass(frozen=True, slots=True)
class TableVerdict:
    """The comparison of one table. Names are the target's; `rows_target` counts the rows compared: in the
    write modes append and upsert, those with a key of the source."""

    schema: str
    table: str
    rows_source: int
    rows_target: int
    equal: bool
    method: str
    differences: tuple[dict[str, Any], ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "schema": self.schema,
            "table": self.table,
            "rowsSource": self.rows_source,
            "rowsTarget": self.rows_target,
            "equal": self.equal,
            "method": self.method,
            "differences": list(self.differences),
            "seconds": round(self.seconds, 3),
        }


def log_verdict(report: Report, verdict: TableVerdict) -> None:
    outcome = "equal" if verdict.equal else f"different ({len(verdict.differences)} rows named)"
    report.log(
        "info" if verdict.equal else "error",
        f"{verdict.schema}.{verdict.table}: {verdict.rows_source} rows on the source,"
        f" {verdict.rows_target} on the target, {outcome}",
        "verify",
        **verdict.as_dict(),
    )
