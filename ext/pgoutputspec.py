"""What both decoders of PostgreSQL's logical replication protocol agree on: forms of fields and results.

The messages are those of ext/pgoutputevents.py and the row changes; the fields are what the types' output
functions print ('t') or their send functions write ('b').
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import pyarrow as pa

from ext.pgoutputevents import Event, Relation
from ext.pgreadspec import INTERVAL, OFFSETS32_LIMIT

ARRAY_DEPTH = 6  # dimensions an array has at most
LARGEST_BATCH = OFFSETS32_LIMIT // 2


class Form(IntEnum):
    """How the fields of a column are decoded. The number is shared with the C code."""

    NUMBER = 1
    BOOL = 2
    TEXT = 3  # as it is
    BYTEA = 4
    UUID = 5
    DATE = 6
    MOMENT = 7  # timestamp and timestamptz (TimeZone of the session: UTC)
    TIME = 8
    INTERVAL = 9  # IntervalStyle of the session: postgres
    NUMERIC = 10  # to text
    BITS = 11  # to bytes, right-aligned
    MONEY = 12  # to text; lc_monetary of the session: C
    CHAR = 13  # of the type "char": one byte, printed in octal where it is no character
    JSONB = 14
    ARRAY = 15  # to JSON, the elements as strings
    NUMBERS = 16  # to JSON, the elements as numbers
    BOOLS = 17  # to JSON, the elements as true and false


_NUMBERS: Mapping[pa.DataType, tuple[str, int]] = {  # code of struct, bytes
    pa.int16(): ("h", 2),
    pa.int32(): ("i", 4),
    pa.uint32(): ("I", 4),
    pa.int64(): ("q", 8),
    pa.float32(): ("f", 4),
    pa.float64(): ("d", 8),
}
_TEXTS = (pa.string(), pa.large_string())
_ARROW: Mapping[Form, tuple[pa.DataType, ...]] = {
    Form.NUMBER: tuple(_NUMBERS),
    Form.BOOL: (pa.int8(),),
    Form.TEXT: _TEXTS,
    Form.BYTEA: (pa.binary(), pa.large_binary()),
    Form.UUID: (pa.binary(),),
    Form.DATE: (pa.date32(),),
    Form.MOMENT: (pa.timestamp("us"), pa.timestamp("us", "UTC")),
    Form.TIME: (pa.duration("us"),),
    Form.INTERVAL: (INTERVAL,),
    Form.NUMERIC: (pa.string(),),
    Form.BITS: (pa.binary(),),
    Form.MONEY: (pa.string(),),
    Form.CHAR: _TEXTS,
    Form.JSONB: _TEXTS,
    Form.ARRAY: _TEXTS,
    Form.NUMBERS: _TEXTS,
    Form.BOOLS: _TEXTS,
}
_WIRE = {
    Form.BOOL: 1,
    Form.UUID: 16,
    Form.DATE: 4,
    Form.MOMENT: 8,
    Form.TIME: 8,
    Form.INTERVAL: 16,
    Form.MONEY: 8,
    Form.CHAR: 1,
}
_FIXED_WIDTH = {Form.BOOL: 1, Form.DATE: 4, Form.MOMENT: 8, Form.TIME: 8, Form.INTERVAL: 8}
_LARGE = (pa.large_string(), pa.large_binary())


@dataclass(frozen=True, slots=True)
class ChangeField:
    """How one column of a relation is decoded.

    binary: a field that comes in the type's binary form can be decoded; without it that is a ProtocolError.
    delimiter: between the elements of an array's text (";" for box).
    """

    name: str
    form: Form
    arrow: pa.DataType
    binary: bool = True
    delimiter: str = ","

    def __post_init__(self) -> None:
        if self.arrow not in _ARROW[self.form]:
            raise ValueError(f"{self.name}: {self.form.name} does not make {self.arrow}")
        if len(self.delimiter.encode()) != 1:
            raise ValueError(f"{self.name}: a delimiter is one byte")

    @property
    def wire_bytes(self) -> int:
        """Of every binary field; 0 for fields of any length."""
        return _NUMBERS[self.arrow][1] if self.form is Form.NUMBER else _WIRE.get(self.form, 0)

    @property
    def variable(self) -> bool:
        """The Arrow array has offsets."""
        return self.form is not Form.NUMBER and self.form not in _FIXED_WIDTH

    @property
    def width(self) -> int:
        """Bytes of one value in the Arrow buffer, of one offset where values vary in length."""
        if self.form is Form.NUMBER:
            return _NUMBERS[self.arrow][1]
        return _FIXED_WIDTH.get(self.form) or (8 if self.arrow in _LARGE else 4)

    @property
    def code(self) -> str:
        """Of a NUMBER: the code of `struct`; else ""."""
        return _NUMBERS[self.arrow][0] if self.form is Form.NUMBER else ""


# ---------------------------------------------------------------- results

META = pa.schema(
    [
        pa.field("sequence", pa.int64(), False),  # number of the message since the decoder began
        pa.field("ordinal", pa.int64(), False),  # of the change in its transaction, from 0
        pa.field("op", pa.uint8(), False),  # ord of I, U or D
        pa.field("old", pa.uint8(), False),  # ord of K or O: which old tuple came; 0 for none
        pa.field("xid", pa.uint32(), False),  # in a streamed transaction that of the sub-transaction
        pa.field("lsn", pa.uint64(), False),  # of the change's record
        pa.field("commit_lsn", pa.uint64(), False),  # 0 in a streamed transaction
        pa.field("committed_at", pa.timestamp("us", "UTC"), False),  # 1970 in a streamed transaction
    ]
)
COMMITS = pa.schema(
    [
        pa.field("sequence", pa.int64(), False),
        pa.field("xid", pa.uint32(), False),
        pa.field("commit_lsn", pa.uint64(), False),
        pa.field("end_lsn", pa.uint64(), False),
        pa.field("committed_at", pa.timestamp("us", "UTC"), False),
        pa.field("changes", pa.int64(), False),  # rows of the transaction, those of ignored relations too
    ]
)
Missing = tuple[pa.BooleanArray | None, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Row changes of one relation in the order of the log.

    meta: one row a change, with META. rows: as many rows; the new tuple of I and U, the old one of D.
    missing: for each column None, or which of its values did not come: true in an I or U is an unchanged
    TOAST value, in a D a column outside the key. Such a value is null in `rows`, and is not NULL.
    old: the old tuples of updates that had one (a key that changed, or REPLICA IDENTITY FULL); old_rows:
    their rows' numbers (int64); old_missing: as missing. streamed: the transaction (top level) that was open
    when these came, 0 for those that had committed.
    """

    relation: Relation
    fields: tuple[ChangeField, ...]
    meta: pa.RecordBatch
    rows: pa.RecordBatch
    missing: Missing
    old: pa.RecordBatch
    old_rows: pa.Int64Array
    old_missing: Missing
    streamed: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What came since the last call. Order is that of `sequence` everywhere. When a barrier (BARRIERS, or a
    relation whose structure changed) is among the events it is the last of all."""

    changes: tuple[Changes, ...]
    commits: pa.RecordBatch  # with COMMITS; not of streamed transactions
    events: tuple[Event, ...]


Resolve = Callable[[Relation], Sequence[ChangeField] | None]
