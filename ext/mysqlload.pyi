from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

ENCODERS: Mapping[str, int]
CALENDAR_FIRST: int
CALENDAR_LAST: int
TIME_LAST: int

class LoadSpec(NamedTuple):
    column: str
    encoder: str
    options: Mapping[str, Any] = ...

class LoadEncoder:
    counters: dict[tuple[str, str], int]
    def __init__(self, specs: Sequence[LoadSpec]) -> None: ...
    def encode(self, batch: pa.RecordBatch) -> memoryview: ...
