"""The checkpoint table of a target: what it is on every server. A connector adds how its own makes, locks and
writes it (`checkpoint.py` in its folder).

One table a database or schema, one row a fact, written in the transaction it speaks of:

    (stream, '',    -1)  the stream: its epoch, running or finished, and where the source stood
    (stream, table, -1)  a table: its state, with what was decided and its chunks
    (stream, table,  n)  chunk n is committed: its rows and bytes
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from engine.connectors.base import TableState
from engine.errors import Code, EngineError

TABLE = "_dbstreams_checkpoint"
COLUMNS = ("stream_id", "object", "chunk", "epoch", "state", "rows", "bytes", "detail", "updated_at")
STREAM = ""
WHOLE = -1

Session = TypeVar("Session")


class CheckpointRows(ABC, Generic[Session]):
    """The checkpoint rows of one stream in one schema. Methods run in the caller's transaction, if any.

    `schema`: where the table is, `place`: its name there, quoted. `epoch`: of this attempt, once it has
    claimed the stream.
    """

    MARK: ClassVar[str] = "%s"
    NOW: ClassVar[str] = "now()"
    LOCKED: ClassVar[str] = ""  # behind a SELECT: the row stays as it is until the transaction ends
    SIZES: ClassVar[str] = "rows, bytes"  # these two names, quoted where they must be
    WHERE: ClassVar[str] = "schema"  # what holds the table, as users call it

    def __init__(self, schema: str, stream_id: str, place: str) -> None:
        self.schema = schema
        self.stream_id = stream_id
        self.epoch = 0
        self._table = place

    @abstractmethod
    def _ask(self, session: Session, sql: str, args: tuple[Any, ...] = ()) -> Sequence[tuple[Any, ...]]:
        """Run a statement, each MARK in it a value, and give the rows it has."""

    @abstractmethod
    def _found_columns(self, session: Session) -> tuple[str, ...]:
        """The columns of the table, in order; none where it is not there."""

    def _packed(self, detail: Mapping[str, Any]) -> Any:
        return json.dumps(dict(detail))

    def _unpacked(self, detail: Any) -> dict[str, Any]:
        return dict(json.loads(detail)) if isinstance(detail, str | bytes) else dict(detail or {})

    def exists(self, session: Session) -> bool:
        return bool(self._found_columns(session))

    def _is_made(self, session: Session) -> bool:
        """TABLE_EXISTS when a table of that name is not ours."""
        found = self._found_columns(session)
        if found and found != COLUMNS:
            raise EngineError(
                Code.TABLE_EXISTS,
                f"{self._table} exists and is not our checkpoint table: rename it or use another"
                f" {self.WHERE}",
                **{"table": TABLE, self.WHERE: self.schema},
            )
        return bool(found)

    # ------------------------------------------------------------ the stream

    def _of_stream(self, session: Session, column: str, locked: str = "") -> Any:
        """That column of the stream's row; None where there is no row."""
        rows = self._ask(
            session,
            f"SELECT {column} FROM {self._table}"
            f" WHERE stream_id = {self.MARK} AND object = '' AND chunk = -1{locked}",
            (self.stream_id,),
        )
        return rows[0][0] if rows else None

    def compare(self, session: Session, locked: str = "") -> None:
        """EPOCH_SUPERSEDED when another attempt owns the stream now."""
        if self._of_stream(session, "epoch", locked) != self.epoch:
            raise EngineError(
                Code.EPOCH_SUPERSEDED,
                f"stream {self.stream_id} was taken over by another attempt; this one commits nothing more",
                streamId=self.stream_id,
                epoch=self.epoch,
            )

    def guard(self, session: Session) -> None:
        """To be called last in every transaction that changes the target. EPOCH_SUPERSEDED when another
        attempt owns the stream."""
        self.compare(session, self.LOCKED)

    def stream_detail(self, session: Session) -> Mapping[str, Any]:
        return self._unpacked(self._of_stream(session, "detail"))

    def is_finished(self, session: Session) -> bool:
        return bool(self._of_stream(session, "state") == "finished")

    def put_stream(self, session: Session, state: str, detail: Mapping[str, Any]) -> None:
        self._ask(
            session,
            f"UPDATE {self._table} SET state = {self.MARK}, detail = {self.MARK}, updated_at = {self.NOW}"
            f" WHERE stream_id = {self.MARK} AND object = '' AND chunk = -1",
            (state, self._packed(detail), self.stream_id),
        )

    # ------------------------------------------------------------ tables and chunks

    def tables(self, session: Session) -> dict[str, TableState]:
        """Every table the journal knows, with its committed chunks."""
        states: dict[str, TableState] = {}
        chunks: dict[str, dict[int, tuple[int, int]]] = {}
        for name, chunk, state, rows, bytes_, detail in self._ask(
            session,
            f"SELECT object, chunk, state, {self.SIZES}, detail FROM {self._table}"
            f" WHERE stream_id = {self.MARK} AND object <> ''",
            (self.stream_id,),
        ):
            if chunk == WHOLE:
                states[name] = TableState(state, self._unpacked(detail), chunks.setdefault(name, {}))
            else:
                chunks.setdefault(name, {})[chunk] = (int(rows), int(bytes_))
        return states

    def chunk(self, session: Session, table: str, chunk: int) -> tuple[int, int] | None:
        """Rows and bytes of a committed chunk: the answer to an ambiguous COMMIT."""
        rows = self._ask(
            session,
            f"SELECT {self.SIZES} FROM {self._table}"
            f" WHERE stream_id = {self.MARK} AND object = {self.MARK} AND chunk = {self.MARK}",
            (self.stream_id, table, chunk),
        )
        return (int(rows[0][0]), int(rows[0][1])) if rows else None

    def _add_chunk(self, session: Session, table: str, chunk: int, rows: int, bytes_: int) -> None:
        self._ask(
            session,
            f"INSERT INTO {self._table} (stream_id, object, chunk, epoch, state, {self.SIZES})"
            f" VALUES ({', '.join([self.MARK] * 4)}, 'committed', {self.MARK}, {self.MARK})",
            (self.stream_id, table, chunk, self.epoch, rows, bytes_),
        )

    def _is_committed(self, table: str, chunk: int) -> EngineError:
        return EngineError(
            Code.EPOCH_SUPERSEDED,
            f"chunk {chunk} of {table} was committed by another attempt",
            streamId=self.stream_id,
            table=table,
        )

    # ------------------------------------------------------------ other streams

    def unfinished_others(self, session: Session, table: str) -> list[str]:
        """Other streams that began to load this table and have not finished."""
        rows = self._ask(
            session,
            f"SELECT t.stream_id FROM {self._table} t JOIN {self._table} s"
            " ON s.stream_id = t.stream_id AND s.object = '' AND s.chunk = -1"
            f" WHERE t.object = {self.MARK} AND t.chunk = -1 AND t.stream_id <> {self.MARK}"
            " AND s.state <> 'finished'"
            " ORDER BY t.stream_id",
            (table, self.stream_id),
        )
        return [str(stream) for (stream,) in rows]

    def supersede_others(self, session: Session, table: str) -> None:
        """The table is emptied or replaced: what other streams remember of it is void, and none of them may
        commit another chunk."""
        self._ask(
            session,
            f"DELETE FROM {self._table} WHERE stream_id IN"
            f" (SELECT stream_id FROM {self._table} WHERE object = {self.MARK} AND stream_id <> {self.MARK})",
            (table, self.stream_id),
        )

    def _remove(self, session: Session) -> None:
        """This stream's rows, and the table when nobody else has any in it."""
        self._ask(session, f"DELETE FROM {self._table} WHERE stream_id = {self.MARK}", (self.stream_id,))
        if not self._ask(session, f"SELECT 1 FROM {self._table} LIMIT 1"):
            self._ask(session, f"DROP TABLE {self._table}")
