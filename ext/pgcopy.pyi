from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

HEADER: bytes
TRAILER: bytes
ENCODERS: Mapping[str, int]
TEXT_ENCODERS: Mapping[str, int]

class EncoderSpec(NamedTuple):
    column: str
    encoder: str
    options: Mapping[str, Any] = ...

class CopyEncoder:
    counters: dict[tuple[str, str], int]
    text: bool
    def __init__(self, specs: Sequence[EncoderSpec], *, text: bool = ...) -> None: ...
    def encode(self, batch: pa.RecordBatch) -> memoryview: ...
