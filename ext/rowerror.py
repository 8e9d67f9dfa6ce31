"""The one exception of the row encoders and decoders in `ext`."""

from __future__ import annotations


class RowError(ValueError):
    """A value that cannot go as it is: which one, and why (a short slug such as `zero-date`).

    column: index in the batch's schema. row: index of the row in the batch. value: printed, for people.
    """

    def __init__(self, column: int, row: int, reason: str, value: str) -> None:
        super().__init__(f"column {column}, row {row}: {reason} ({value})")
        self.column = column
        self.row = row
        self.reason = reason
        self.value = value

    def __reduce__(self) -> tuple[type[RowError], tuple[int, int, str, str]]:
        return type(self), (self.column, self.row, self.reason, self.value)
