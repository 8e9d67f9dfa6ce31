"""Logical replication messages → Arrow in plain Python: what ext/pgoutput.pyx must do, shown simply."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import replace
from typing import Any

import pyarrow as pa

from ext.pgoutputevents import (
    BARRIERS,
    Body,
    Event,
    Prepared,
    ProtocolError,
    Reader,
    Relation,
    StreamAbort,
    StreamCommit,
    StreamStart,
    StreamStop,
    TypeName,
    parse_event,
)
from ext.pgoutputspec import COMMITS, LARGEST_BATCH, META, ChangeField, Changes, Form, Missing, Resolve, Taken
from ext.pgreadspec import moment_text
from ext.plain.pgoutputfields import printed_value, sent_value
from ext.rowerror import RowError

__all__ = ["ChangeDecoder"]

_UNCHANGED = object()


class _Rows:
    """Tuples of one relation, column by column."""

    def __init__(self, fields: tuple[ChangeField, ...]) -> None:
        self.fields = fields
        self.count = 0
        self.values: list[list[Any]] = [[] for _ in fields]
        self.missing: list[list[bool]] = [[] for _ in fields]

    def add(self, values: list[Any]) -> None:
        for number, value in enumerate(values):
            self.values[number].append(None if value is _UNCHANGED else value)
            self.missing[number].append(value is _UNCHANGED)
        self.count += 1

    def batch(self) -> pa.RecordBatch:
        if not self.fields:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * self.count, pa.struct([])))
        arrays = [_array(spec, values) for spec, values in zip(self.fields, self.values, strict=True)]
        schema = pa.schema([pa.field(spec.name, spec.arrow) for spec in self.fields])
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def absent(self) -> Missing:
        return tuple(pa.array(column, pa.bool_()) if any(column) else None for column in self.missing)


class _Table:
    """A relation as it is known now, and its changes not taken yet."""

    def __init__(self, relation: Relation, fields: tuple[ChangeField, ...] | None) -> None:
        self.relation = relation
        self.fields = fields
        self.clear()

    def clear(self) -> None:
        self.meta: list[tuple[int, ...]] = []
        self.rows = _Rows(self.fields or ())
        self.old = _Rows(self.fields or ())
        self.old_rows: list[int] = []


class ChangeDecoder:
    """As ext.pgoutput.ChangeDecoder."""

    def __init__(self, resolve: Resolve, batch_rows: int = 65_536, batch_bytes: int = 8 << 20) -> None:
        if batch_rows < 1 or batch_bytes < 1:
            raise ValueError("batch_rows and batch_bytes are at least 1")
        self._resolve = resolve
        self._batch_rows = batch_rows
        self._batch_bytes = min(batch_bytes, LARGEST_BATCH)
        self._pending: deque[bytes] = deque()
        self._tables: dict[int, _Table] = {}
        self._types: dict[int, tuple[str, str]] = {}
        self._events: list[Event] = []
        self._commits: list[tuple[int, ...]] = []
        self._streams: dict[int, int] = {}
        self._retired: list[_Table] = []
        self._rows_stream = 0
        self._rows = 0
        self._used = 0
        self._open = False
        self._xid = self._commit_lsn = self._committed_at = 0
        self._ordinal = 0
        self._lsn = 0
        self._broken = False
        self.stream = 0
        self.sequence = 0
        self.wal_end = 0
        self.server_time = 0
        self.reply_requested = False
        self.ended = False
        self.failed_relation: Relation | None = None

    @property
    def in_transaction(self) -> bool:
        return self._open or self.stream != 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        self._pending.append(bytes(data))

    def take(self) -> Taken | None:
        if self._broken:
            raise ProtocolError("the messages failed before")
        self._broken = True  # unless all goes well
        taken = None
        while self._pending:
            barrier = self._message(self._pending.popleft())
            if barrier or self._rows >= self._batch_rows or self._used >= self._batch_bytes:
                break
        taken = self._taken()
        self._broken = False
        return taken

    def receive(self, pgconn: Any) -> Taken | None:
        while True:
            taken = self.take()
            if taken is not None:
                return taken
            if self.ended:
                return None
            size, data = pgconn.get_copy_data(1)
            if size == 0:
                pgconn.consume_input()
                size, data = pgconn.get_copy_data(1)
            if size > 0:
                self.feed(data)
                if not self.reply_requested:
                    continue
            self.ended = size < 0
            return None

    def _taken(self) -> Taken | None:
        tables = [*self._retired, *self._tables.values()]
        self._retired = []
        changes = tuple(self._changes(table) for table in tables if table.meta)
        events, self._events = tuple(self._events), []
        commits, self._commits = self._commits, []
        self._rows = self._used = 0
        if not changes and not events and not commits:
            return None
        return Taken(changes, _records(commits, COMMITS), events)

    def _changes(self, table: _Table) -> Changes:
        old = pa.array(table.old_rows, pa.int64())
        made = Changes(
            table.relation,
            table.rows.fields,
            _records(table.meta, META),
            table.rows.batch(),
            table.rows.absent(),
            table.old.batch(),
            old,
            table.old.absent(),
            self._rows_stream,
        )
        table.clear()
        return made

    # ------------------------------------------------------------ one message

    def _message(self, data: bytes) -> bool:
        """True after a barrier."""
        reader = Reader(data)
        kind = reader.bytes(1)
        if kind == b"k":
            self.wal_end = max(self.wal_end, reader.number("Q"))
            self.server_time = reader.moment()
            asked = reader.number("B")
            if asked > 1:
                raise ProtocolError("a keepalive that neither asks for a reply nor not")
            self.reply_requested |= asked == 1
            reader.end()
            return False
        if kind != b"w":
            raise ProtocolError(f"neither a message nor a keepalive: {kind!r}")
        self._lsn = reader.number("Q")
        self.wal_end = max(self.wal_end, reader.number("Q"))
        self.server_time = reader.moment()
        self.sequence += 1
        body = reader.bytes(reader.left)
        self._used += len(body)
        match body[:1]:
            case b"B":
                self._begin(Reader(body, 1))
            case b"C":
                self._commit(Reader(body, 1))
            case b"I" | b"U" | b"D":
                self._change(body[:1].decode(), Reader(body, 1))
            case _:
                return self._event(parse_event(body, self.stream))
        return False

    def _begin(self, reader: Reader) -> None:
        if self.in_transaction:
            raise ProtocolError("a transaction begins inside another")
        self._commit_lsn, self._committed_at = reader.number("Q"), reader.moment()
        self._xid = reader.number("I")
        reader.end()
        self._open, self._ordinal = True, 0

    def _commit(self, reader: Reader) -> None:
        if not self._open:
            raise ProtocolError("a commit of no transaction")
        reader.number("B")
        lsn, end, at = reader.number("Q"), reader.number("Q"), reader.moment()
        reader.end()
        self._commits.append((self.sequence, self._xid, lsn, end, at, self._ordinal))
        self._open = False

    def _event(self, body: Body) -> bool:
        barrier = isinstance(body, BARRIERS)
        match body:
            case TypeName():
                self._types[body.oid] = (body.schema, body.name)
            case Relation():
                known = self._tables.get(body.oid)
                types = {
                    c.type_oid: self._types[c.type_oid] for c in body.columns if c.type_oid in self._types
                }
                body = replace(body, types=types)
                if known is not None and known.relation == body and known.relation.types == types:
                    return False
                barrier = known is not None
                self._events.append(Event(self.sequence, self._lsn, body))
                self._know(body)
                return barrier
            case StreamStart():
                if self._open:
                    raise ProtocolError("a stream begins inside a transaction")
                self.stream = body.xid
                self._commit_lsn = self._committed_at = 0
                self._ordinal = self._streams.get(body.xid, 0)
            case StreamStop():
                self._streams[body.xid] = self._ordinal
                self.stream = 0
            case StreamCommit() | StreamAbort():
                if isinstance(body, StreamCommit) or body.xid == body.subxid:
                    self._streams.pop(body.xid, None)
            case Prepared():
                self._prepared(body)
            case _:
                pass
        self._events.append(Event(self.sequence, self._lsn, body))
        return barrier

    def _prepared(self, body: Prepared) -> None:
        if body.kind == "begin":
            if self.in_transaction:
                raise ProtocolError("a transaction begins inside another")
            self._xid, self._commit_lsn, self._committed_at = body.xid, body.lsn, body.at
            self._open, self._ordinal = True, 0
        elif body.kind == "prepare":
            if not self._open:
                raise ProtocolError("a transaction is prepared that did not begin")
            self._open = False
        elif body.kind == "stream":
            self._streams.pop(body.xid, None)

    def _know(self, relation: Relation) -> None:
        fields = self._resolve(relation)
        if fields is not None and len(fields) != len(relation.columns):
            raise ValueError(f"{len(fields)} fields for {len(relation.columns)} columns")
        known = self._tables.get(relation.oid)
        if known is not None and known.meta:
            self._retired.append(known)
        self._tables[relation.oid] = _Table(relation, None if fields is None else tuple(fields))

    # ------------------------------------------------------------ row changes

    def _change(self, op: str, reader: Reader) -> None:
        if not self.in_transaction:
            raise ProtocolError("a change outside of a transaction")
        xid = reader.number("I") if self.stream else self._xid
        table = self._tables.get(reader.number("I"))
        if table is None:
            raise ProtocolError("a change of a relation that was not announced")
        self.failed_relation = table.relation
        kind = chr(reader.number("B"))
        old: list[Any] | None = None
        old_kind = 0
        if op != "I" and kind in "KO":
            old_kind = ord(kind)
            old = self._tuple(table, reader, keys_only=kind == "K")
            kind = chr(reader.number("B")) if op == "U" else ""
        if kind != ("" if op == "D" else "N"):
            raise ProtocolError(f"a change with a tuple of the unknown kind {kind!r}")
        new = old if op == "D" else self._tuple(table, reader)
        reader.end()
        self.failed_relation = None
        ordinal, self._ordinal = self._ordinal, self._ordinal + 1
        if table.fields is None or new is None:
            return
        if op == "U" and old is not None:
            table.old_rows.append(table.rows.count)
            table.old.add(old)
        table.rows.add(new)
        table.meta.append(
            (
                self.sequence,
                ordinal,
                ord(op),
                old_kind,
                xid,
                self._lsn,
                self._commit_lsn,
                self._committed_at,
            )
        )
        self._rows += 1
        self._rows_stream = self.stream

    def _tuple(self, table: _Table, reader: Reader, keys_only: bool = False) -> list[Any]:
        columns = table.relation.columns
        count = reader.number("h")
        if count != len(columns):
            raise ProtocolError(f"a tuple of {count} columns where {len(columns)} were announced")
        values: list[Any] = []
        for number, column in enumerate(columns):
            kind = chr(reader.number("B"))
            data = b""
            if kind in "tb":
                data = reader.bytes(reader.number("i"))
            elif kind not in "nu":
                raise ProtocolError(f"a field of the unknown kind {kind!r}")
            if kind == "u" or (keys_only and not column.key):
                values.append(_UNCHANGED)
            elif kind == "n" or table.fields is None:
                values.append(None)
            else:
                values.append(self._value(table, table.fields[number], number, kind, data))
        return values

    def _value(self, table: _Table, spec: ChangeField, number: int, kind: str, data: bytes) -> Any:
        try:
            return printed_value(spec, data) if kind == "t" else sent_value(spec, data)
        except OverflowError:
            shown = data.decode() if kind == "t" else moment_text(struct.unpack(">q", data)[0])
            raise RowError(number, table.rows.count, "out-of-range", shown) from None
        except ValueError:
            raise ProtocolError(f"a field of column {number} is no {spec.form.name}") from None


def _records(rows: list[tuple[int, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    kinds = [pa.int64() if pa.types.is_timestamp(field.type) else field.type for field in schema]
    arrays = [
        pa.array(column, kind).view(field.type)
        for column, kind, field in zip(columns, kinds, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(spec: ChangeField, values: list[Any]) -> pa.Array:
    if spec.form is Form.NUMBER:
        zero = bytes(spec.width)
        raw = b"".join(zero if value is None else value for value in values)
        valid = [value is not None for value in values]
        bitmap = None if all(valid) else pa.array(valid, pa.bool_()).buffers()[1]
        return pa.Array.from_buffers(spec.arrow, len(values), [bitmap, pa.py_buffer(raw)])
    if spec.variable:
        large = spec.width == 8
        # A view: whether text is UTF-8 is the encoder's to say.
        return pa.array(values, pa.large_binary() if large else pa.binary()).view(spec.arrow)
    if spec.form is Form.INTERVAL:
        return pa.array(values, spec.arrow)
    if spec.form is Form.DATE:
        return pa.array(values, pa.int32()).view(spec.arrow)
    if spec.form is Form.BOOL:
        return pa.array(values, pa.int8())
    return pa.array(values, pa.int64()).view(spec.arrow)
