"""Rows into MySQL and MariaDB: one chunk, one transaction, and the checkpoint row that says so.

LOAD DATA LOCAL means IGNORE whatever sql_mode says: values are cut and clamped, rows that break a key vanish,
with a warning each. So every batch of a chunk is one statement whose warnings are counted and whose stored
rows are compared with those sent; anything but "all stored, nothing said" rolls the chunk back and is an
error that names the row, which the server numbers within the statement.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pymysql

from engine.config import WriteMode
from engine.connectors.base import Encoded, LoadResult, LoadTable, RawRows
from engine.connectors.mysql.checkpoint import Checkpoints, Session, execute, rows_of, transaction
from engine.connectors.mysql.identifiers import qualified, quote
from engine.connectors.mysql.infile import FORBIDDEN, Stored, load_local
from engine.connectors.mysql.loader_failures import explain
from engine.connectors.mysql.loader_rows import Inserts, line_ends, printed, row_at
from engine.errors import Code, EngineError
from engine.failpoints import fail_point

_STAGE = "_dbstreams_stage"
_FORM = r"FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n'"
_PACKET_HEAD = 1024  # bytes of a packet that are not rows
_INSERT_BYTES = 4 << 20
_AT_ROW = re.compile(r"at row (\d+)\s*$")
_COLUMN = re.compile(r"(?:for )?column (?:['`][^'`]*['`]\.)*['`]([^'`]+)['`]")
_OF_A_ROW = (Code.CONSTRAINT_VIOLATION, Code.ROW_REJECTED)
_SAVEPOINT = "dbstreams_batch"
_COM_QUERY = 3


@dataclass(frozen=True, slots=True)
class _Problem:
    """What the server said of a batch, and of which row (from 1), where it says."""

    number: int
    message: str
    row: int | None


def _problem(number: int, message: str, before: int) -> _Problem:
    at = _AT_ROW.search(message)
    return _Problem(number, message, before + int(at[1]) if at else None)


@dataclass(frozen=True, slots=True)
class SelfReference:
    """A foreign key of a table to itself: its columns and those they point at."""

    name: str
    columns: tuple[str, ...]
    ref_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MysqlLoadTable(LoadTable):
    """`converted`: columns whose bytes have to be declared UTF-8, because theirs is another character set, or
    JSON. `folded`: key columns in which different texts may be the same key. `key_parts`: the primary key as
    SQL. `itself`: foreign keys to the table itself."""

    converted: frozenset[str] = frozenset()
    folded: tuple[str, ...] = ()
    key_parts: str = ""
    itself: tuple[SelfReference, ...] = ()


class MysqlLoader:
    """One session of the target, used by one thread (`cancel` by any)."""

    def __init__(self, session: Session, checkpoints: Checkpoints, kill: Callable[[int], None]) -> None:
        self._session = session
        self._checkpoints = checkpoints
        self._kill = kill
        packet, local = rows_of(session, "SELECT @@max_allowed_packet, @@local_infile")[0]
        self._packet_bytes = max(int(packet) - _PACKET_HEAD, 1024)
        self._local = bool(int(local))

    def load(self, table: LoadTable, chunk: int, encoded: Iterable[tuple[Encoded, int]]) -> LoadResult:
        """Load one chunk and commit it with its checkpoint row. `encoded` gives LOAD DATA rows and how many
        they are; an exception of it leaves the target as it was.

        Raises EPOCH_SUPERSEDED, CONNECTION_LOST (the commit may or may not have happened: ask `committed`),
        ROW_REJECTED, CONSTRAINT_VIOLATION, TARGET_FULL, PERMISSION_DENIED.
        """
        assert isinstance(table, MysqlLoadTable)
        result = LoadResult()
        into = qualified(table.schema, table.name)
        upsert = table.write_mode is WriteMode.UPSERT
        try:
            if upsert:
                self._make_stage(table)
            # A key to the table itself is checked row by row here, in whatever order they come: at the end.
            checked = "0" if table.itself else "1"
            execute(self._session, f"SET SESSION foreign_key_checks = {checked}")
            with transaction(self._session):
                for part, rows in encoded:
                    assert not isinstance(part, pa.RecordBatch | RawRows)
                    if not rows:
                        continue
                    self._store(table, quote(_STAGE) if upsert else into, part, rows)
                    result.rows += rows
                    result.bytes += len(part)
                if upsert:
                    self._merge(table, into, result.rows)
                for reference in table.itself:
                    self._check_reference(table, into, reference)
                self._checkpoints.put_chunk(self._session, table.name, chunk, result.rows, result.bytes)
                self._checkpoints.guard(self._session)
                fail_point("before_chunk_commit")
            fail_point("after_chunk_commit")
        except (pymysql.MySQLError, OSError) as error:
            raise explain(error, f"{table.schema}.{table.name}") from error
        return result

    def committed(self, table: str, chunk: int) -> tuple[int, int] | None:
        """Rows and bytes of the chunk when it is durable."""
        try:
            return self._checkpoints.chunk(self._session, table, chunk)
        except (pymysql.MySQLError, OSError) as error:
            raise explain(error, table) from error

    # ------------------------------------------------------------ storing

    def _store(self, table: MysqlLoadTable, into: str, part: memoryview, rows: int) -> None:
        """One batch. Where the server refuses a row without saying which, parts of the batch are tried
        until it is known."""
        execute(self._session, f"SAVEPOINT {_SAVEPOINT}")
        problem = self._try(table, into, part, rows)
        if problem is None:
            return
        number = problem.row
        if number is None:
            number = self._search(table, into, part, rows)
        raise self._rejected(table, part, number, problem)

    def _try(self, table: MysqlLoadTable, into: str, part: memoryview, rows: int) -> _Problem | None:
        """None when all rows were stored and nothing was said. The row of a problem is counted from 1."""
        if self._local:
            try:
                stored = load_local(self._session, _load_statement(into, table), part, self._packet_bytes)
            except pymysql.MySQLError as error:
                if not error.args[:1] or error.args[0] not in FORBIDDEN:
                    raise
                self._local = False
            else:
                return self._judge(rows, stored, 0)
        inserts = Inserts(into, table.columns, table.converted, min(self._packet_bytes, _INSERT_BYTES))
        before = 0
        for statement, count in inserts.statements(part):
            if len(statement) > self._packet_bytes:
                message = (
                    f"a row of {len(statement)} bytes is above max_allowed_packet: raise it on the target"
                )
                return _Problem(0, message, before + 1)
            try:
                problem = self._judge(count, self._insert(statement), before)
            except (pymysql.IntegrityError, pymysql.DataError, pymysql.OperationalError) as error:
                problem = _problem(error.args[0], str(error.args[-1]), before)
                if problem.row is None and explain(error).code not in _OF_A_ROW:
                    raise
            if problem is not None:
                return problem
            before += count
        return None

    def _insert(self, statement: bytes) -> Stored:
        session = self._session
        session._execute_command(_COM_QUERY, statement)
        session._read_query_result()
        answer = session._result
        return Stored(int(answer.affected_rows), int(answer.warning_count))

    def _judge(self, rows: int, stored: Stored, before: int) -> _Problem | None:
        """`before`: rows of the batch in earlier statements."""
        if stored.warnings == 0 and stored.rows == rows:
            return None
        found = [
            _problem(int(number), str(message), before)
            for _, number, message in rows_of(self._session, "SHOW WARNINGS")
        ]
        placed = [problem for problem in found if problem.row is not None]
        if placed:
            return min(placed, key=lambda problem: problem.row or 0)
        return found[0] if found else _Problem(0, f"{stored.rows} of {rows} rows were stored", None)

    def _search(self, table: MysqlLoadTable, into: str, part: memoryview, rows: int) -> int:
        """The first row with which a batch does not go through, by halves; from 1."""
        ends = line_ends(part)
        good, bad = 0, rows
        while bad - good > 1:
            middle = (good + bad) // 2
            execute(self._session, f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            if self._try(table, into, part[: ends[middle - 1]], middle) is None:
                good = middle
            else:
                bad = middle
        return bad

    def _rejected(
        self, table: MysqlLoadTable, part: memoryview, number: int, problem: _Problem
    ) -> EngineError:
        """The problem as an error that names key, column and value."""
        row = row_at(part, number)
        key = {
            name: printed(row[table.columns.index(name)])
            for name in table.primary_key
            if row is not None and name in table.columns
        }
        named = _COLUMN.search(problem.message)
        column = named[1] if named and named[1] in table.columns else None
        value = printed(row[table.columns.index(column)]) if row and column else None
        shown = ", ".join(f"{name}={value!r}" for name, value in key.items())
        where = f"{table.schema}.{table.name}"
        said = f"the target says {problem.message!r}" if problem.number else problem.message
        code = explain(pymysql.OperationalError(problem.number, problem.message)).code
        return EngineError(
            code if code in _OF_A_ROW else Code.ROW_REJECTED,
            f"{where} at {shown or f'row {number} of the batch'}: {said}",
            table=where,
            column=column,
            key=key or None,
            value=value,
            errno=problem.number or None,
            serverMessage=problem.message,
        )

    # ------------------------------------------------------------ upsert

    def _make_stage(self, table: MysqlLoadTable) -> None:
        """A temporary table like the columns loaded, with the primary key alone: a key that comes twice in
        the source is refused there. Neither statement commits anything, and none is in the transaction."""
        names = ", ".join(quote(column) for column in table.columns)
        execute(self._session, f"DROP TEMPORARY TABLE IF EXISTS {quote(_STAGE)}")
        execute(
            self._session,
            f"CREATE TEMPORARY TABLE {quote(_STAGE)} (PRIMARY KEY ({table.key_parts})) ENGINE=InnoDB"
            f" SELECT {names} FROM {qualified(table.schema, table.name)} WHERE FALSE",
        )

    def _merge(self, table: MysqlLoadTable, into: str, rows: int) -> None:
        """UPDATE what is there by the declared primary key, then INSERT what is not. Never REPLACE nor ON
        DUPLICATE KEY UPDATE, which reach other rows through secondary unique keys: a clash is an error."""
        stage = quote(_STAGE)
        match = " AND ".join(f"t.{quote(name)} = s.{quote(name)}" for name in table.primary_key)
        changed = [name for name in table.columns if name not in table.primary_key or name in table.folded]
        found = 0
        if changed:
            values = ", ".join(f"t.{quote(name)} = s.{quote(name)}" for name in changed)
            found = execute(self._session, f"UPDATE {into} t JOIN {stage} s ON {match} SET {values}")
        names = ", ".join(quote(name) for name in table.columns)
        listed = ", ".join(f"s.{quote(name)}" for name in table.columns)
        fresh = execute(
            self._session,
            f"INSERT INTO {into} ({names}) SELECT {listed} FROM {stage} s"
            f" WHERE NOT EXISTS (SELECT 1 FROM {into} t WHERE {match})",
        )
        if changed and found + fresh != rows:
            raise EngineError(
                Code.ROW_REJECTED,
                f"{found} rows of {table.schema}.{table.name} were found and {fresh} added, of {rows}",
                table=f"{table.schema}.{table.name}",
            )

    def _check_reference(self, table: MysqlLoadTable, into: str, reference: SelfReference) -> None:
        count, sample = orphans(self._session, into, into, reference.columns, reference.ref_columns)
        if count:
            raise EngineError(
                Code.CONSTRAINT_VIOLATION,
                f"{count} rows of {table.schema}.{table.name} have no parent ({reference.name}): {sample}",
                table=f"{table.schema}.{table.name}",
                constraint=reference.name,
                count=count,
            )

    def cancel(self) -> None:
        """From another thread: stop the running statement on the server."""
        self._kill(self._session.thread_id())

    def close(self) -> None:
        # Rolls back whatever is open; the server need not be asked.
        with contextlib.suppress(OSError):
            if self._session._sock is not None:
                self._session._sock.shutdown(socket.SHUT_RDWR)
        self._session._force_close()


def _load_statement(into: str, table: MysqlLoadTable) -> str:
    columns, sets = [], []
    for number, name in enumerate(table.columns):
        if name in table.converted:
            columns.append(f"@v{number}")
            sets.append(f"{quote(name)} = CONVERT(@v{number} USING utf8mb4)")
        else:
            columns.append(quote(name))
    tail = f" SET {', '.join(sets)}" if sets else ""
    return (
        f"LOAD DATA LOCAL INFILE 'dbstreams' INTO TABLE {into} CHARACTER SET binary {_FORM}"
        f" ({', '.join(columns)}){tail}"
    )


def orphans(
    session: Session, child: str, parent: str, columns: Sequence[str], ref_columns: Sequence[str]
) -> tuple[int, str]:
    """How many rows of `child` refer to no row of `parent`, and the values of one."""
    given = " AND ".join(f"c.{quote(column)} IS NOT NULL" for column in columns)
    match = " AND ".join(
        f"p.{quote(ref)} = c.{quote(own)}" for own, ref in zip(columns, ref_columns, strict=True)
    )
    clause = f"FROM {child} c WHERE {given} AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {match})"
    count = int(rows_of(session, f"SELECT COUNT(*) {clause}")[0][0])
    if not count:
        return 0, ""
    listed = ", ".join(f"c.{quote(column)}" for column in columns)
    row = rows_of(session, f"SELECT {listed} {clause} LIMIT 1")
    values = row[0] if row else ()
    return count, "(" + ", ".join(repr(value) for value in values) + ")"
