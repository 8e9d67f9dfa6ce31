from collections.abc import Sequence

import pyarrow as pa

CUT: int
FULL: int
FAULT: int

START: int
LINES: int
FIRST: int
AFTER: int
NEXT: int
END: int

DEPTH: int

class TextScanner:
    stopped: int
    place: int
    rows: int
    def __init__(self, keys: Sequence[str] = ..., raw: frozenset[str] = ...) -> None: ...
    @property
    def batch_rows(self) -> int: ...
    def scan(self, data: bytes, at: int, rows: int, size: int) -> int: ...
    def batch(self) -> list[pa.StringArray]: ...
    def found(self) -> list[tuple[str, int, int]]: ...
