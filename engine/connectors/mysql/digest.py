"""What a comparison asks of MySQL or MariaDB: canonical text per column, digests, ranges, cancellation.

Traps that shape the SQL:
- CONCAT of columns in several collations is an error, of several charsets a conversion: every text is brought
  to utf8mb4_bin explicitly.
- CONCAT of more than max_allowed_packet gives NULL with a warning: long values go in as their hash.
- A sum in BIGINT or DOUBLE would overflow or round: CAST AS UNSIGNED makes SUM a DECIMAL.
- `s + 0` of a SET goes through a double: CAST AS UNSIGNED does not.
- FLOAT prints six digits: CAST AS DOUBLE prints all of them. Where MySQL makes it a text within SQL, it cuts
  at 22 characters; in a result set it does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pymysql
from pymysql.cursors import SSCursor

from engine.config import Connection, Policies
from engine.connectors.base import DigestColumn, Form, HashFunction, KeyRange
from engine.connectors.mysql.charsets import lossy, may_be_lossy
from engine.connectors.mysql.failures import query_failed
from engine.connectors.mysql.identifiers import qualified, quote
from engine.connectors.mysql.scan import outside_calendar
from engine.connectors.mysql.session import connect, is_mariadb, kill_query
from engine.connectors.reading import integers_within
from engine.schema import Table
from engine.types import Image, Kind, LogicalType

_TEXTUAL = frozenset({Kind.CHAR, Kind.VARCHAR, Kind.TEXT, Kind.ENUM, Kind.SET, Kind.JSON_TEXT})
_SILENCE = 24 * 3600  # seconds; the sum of a table at once comes when all of it has been read
_STORED = frozenset({Kind.CHAR, Kind.VARCHAR, Kind.TEXT, Kind.JSON_TEXT})
_UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii"})
_CUT = 22  # characters to which MySQL cuts a DOUBLE made into text: one that long may not name its value


class MysqlDigestSql:
    """The DigestSql of one source table."""

    def __init__(self, table: Table, policies: Policies, hashing: HashFunction) -> None:
        self.table = qualified(table.schema, table.name)
        self._policies = policies
        self._hashing = hashing

    def field_text(self, column: DigestColumn) -> str:
        text = self._canonical(column)
        return f"IFNULL({text}, '~')"

    def raw(self, column: DigestColumn) -> str:
        name = quote(column.read.source.name)
        match column.form:
            case Form.FLOAT:
                return f"CAST({name} AS DOUBLE)"
            case Form.JSON:
                return f"CONVERT({name} USING utf8mb4)"
            case Form.VECTOR:
                return f"HEX({name})"
            case _:
                return name

    def joined(self, texts: Sequence[str]) -> str:
        return texts[0] if len(texts) == 1 else f"CONCAT_WS('|', {', '.join(texts)})"

    def digest_hex(self, text: str) -> str:
        return f"LEFT({self._hash(text)}, 16)"

    def number(self, digest_hex: str) -> str:
        return f"CAST(CONV({digest_hex}, 16, 10) AS UNSIGNED)"

    def bucket(self, digest_hex: str, count: int) -> str:
        return f"CAST(CONV(LEFT({digest_hex}, 4), 16, 10) AS UNSIGNED) & {int(count) - 1}"

    def within(self, bounds: KeyRange | None) -> str:
        return "TRUE" if bounds is None else integers_within(quote(bounds.columns[0]), bounds)

    # ------------------------------------------------------------ one column

    def _hash(self, value: str) -> str:
        return f"MD5({value})" if self._hashing is HashFunction.MD5 else f"SHA2({value}, 256)"

    def _canonical(self, column: DigestColumn) -> str:
        source = column.read.source
        name, logical = quote(source.name), source.type
        match column.form:
            case Form.FLOAT_TEXT:
                text = f"CAST(CAST({name} AS DOUBLE) AS CHAR)"
                return f"IF(LENGTH({text}) < {_CUT}, {text}, CONCAT({text}, '?'))"
            case Form.INTEGER:
                return name if _prints_plainly(logical) else f"CAST({name} AS UNSIGNED)"
            case Form.DECIMAL:
                return _decimal(name, logical)
            case Form.DECIMAL_TRIMMED:
                text = f"CAST({_decimal(name, logical)} AS CHAR)"
                return _trimmed(text) if logical.scale else text
            case Form.BITS:
                return f"LPAD(BIN(CAST({name} AS UNSIGNED)), {logical.length or 1}, '0')"
            case Form.DATE | Form.MOMENT:
                return self._temporal(column, name)
            case Form.DURATION:
                text = f"CAST({name} AS CHAR)"
                return _trimmed(text) if logical.fraction else text
            case Form.BYTES:
                value = name
                if logical.kind in _TEXTUAL:
                    stored = column.read.image is Image.BYTES  # as opposed to its UTF-8
                    value = f"CAST({name} AS BINARY)" if stored else _utf8(name)
                return self._or_hash(column, value, value, f"LOWER(HEX({value}))")
            case Form.LABELS:
                mask = f"CAST({name} AS UNSIGNED)"
                return f"CONCAT(BIT_COUNT({mask}), ',', {self._sized(column, self._text(column, name))})"
            case Form.UUID:
                binary = logical.kind in (Kind.BINARY, Kind.VARBINARY)
                return f"LOWER(HEX({name}))" if binary else f"LOWER(REPLACE(CAST({name} AS CHAR), '-', ''))"
            case Form.INET:
                width, family = (4, "02200004") if logical.kind is Kind.INET4 else (16, "03800010")
                return f"CONCAT('{family}', LOWER(HEX(CAST({name} AS BINARY({width})))))"
            case _:
                return self._sized(column, self._text(column, name))

    def _sized(self, column: DigestColumn, text: str) -> str:
        stored = quote(column.read.source.name)
        plain = column.read.source.type.kind in _STORED and column.read.source.charset in _UTF8
        sized = stored if plain and self._policies.nul_byte == "refuse" else text
        short = f"CONCAT(LENGTH({sized}), ':', {text})"
        found = self._or_hash(column, sized, text, short)
        if not may_be_lossy(column.read.source) or self._policies.invalid_text == "replace":
            return found
        # What the server would turn into '?' equals nothing.
        marked = f"CONCAT('?', {self._hash(f'CAST({stored} AS BINARY)')})"
        return f"IF({lossy(column.read.source)}, {marked}, {found})"

    def _or_hash(self, column: DigestColumn, sized: str, value: str, short: str) -> str:
        """`sized` has the length in bytes of `value`, and may be cheaper."""
        hashed = f"CONCAT('h', {self._hash(value)})"
        if column.inline is None:
            return short
        return f"IF(LENGTH({sized}) <= {column.inline}, {short}, {hashed})" if column.inline else hashed

    def _text(self, column: DigestColumn, name: str) -> str:
        source = column.read.source
        kind = source.type.kind
        if kind in (Kind.DATE, Kind.DATETIME, Kind.TIMESTAMP):
            return _utf8(self._temporal(column, name))
        if kind is Kind.DECIMAL:
            return _utf8(f"CAST({_decimal(name, source.type)} AS CHAR)")
        if kind not in _TEXTUAL and not _prints_plainly(source.type):
            number = kind in (Kind.BIT, Kind.YEAR) or source.type.zerofill
            return _utf8(f"CAST({name} AS {'UNSIGNED' if number else 'CHAR'})")
        text = _utf8(name)
        if kind in (Kind.CHAR, Kind.VARCHAR, Kind.TEXT):
            if self._policies.nul_byte == "strip":
                text = f"REPLACE({text}, _utf8mb4 X'00' COLLATE utf8mb4_bin, '')"
            elif self._policies.nul_byte == "replace":
                text = f"REPLACE({text}, _utf8mb4 X'00' COLLATE utf8mb4_bin, _utf8mb4 X'EFBFBD')"
        return text

    def _temporal(self, column: DigestColumn, name: str) -> str:
        """ISO text as PostgreSQL prints it. Values outside the calendar follow the column's policy; refused
        ones stay as they print, so that they are found should they be on the source now."""
        logical = column.read.source.type
        text = f"CAST({name} AS CHAR)"
        if logical.kind is not Kind.DATE and logical.fraction:
            text = _trimmed(text)
        if column.read.invalid == "refuse":
            return text
        instead = "NULL" if column.read.invalid == "null" else "'-infinity'"
        return f"CASE WHEN {outside_calendar(name)} THEN {instead} ELSE {text} END"


def _utf8(value: str) -> str:
    return f"CONVERT({value} USING utf8mb4) COLLATE utf8mb4_bin"


def _prints_plainly(logical: LogicalType) -> bool:
    integer = logical.kind in (Kind.INT8, Kind.INT16, Kind.INT24, Kind.INT32, Kind.INT64, Kind.BOOL)
    return integer and not logical.zerofill


def _decimal(name: str, logical: LogicalType) -> str:
    if not logical.zerofill:
        return name
    return f"CAST({name} AS DECIMAL({logical.precision or 10}, {logical.scale or 0}))"


def _trimmed(text: str) -> str:
    return f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {text}))"


class MysqlDigestSession:
    """A pinned session of the source, reading in one snapshot."""

    def __init__(self, connection: Connection, database: str) -> None:
        self._connection = connection
        self._session = connect(connection, database, read_timeout=_SILENCE)

    @property
    def flavor(self) -> str:
        """mysql or mariadb."""
        return "mariadb" if is_mariadb(self._session) else "mysql"

    @property
    def hashing(self) -> HashFunction:
        """MD5 where the server has it; MySQL 9.6 moved it into a component."""
        try:
            with self._session.cursor() as cursor:
                cursor.execute("SELECT MD5('')")
                cursor.fetchall()
        except pymysql.MySQLError:
            return HashFunction.SHA256
        return HashFunction.MD5

    def begin(self) -> None:
        self._execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        self._execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def end(self) -> None:
        self._execute("ROLLBACK")

    def rows(self, statement: str) -> Iterator[tuple[Any, ...]]:
        try:
            cursor = self._session.cursor(SSCursor)
            cursor.execute(statement)
            yield from iter(cursor.fetchone, None)
            cursor.close()
        except (pymysql.MySQLError, OSError) as error:
            raise query_failed(error, "comparing on the source failed") from None

    def fetch(self, statement: str) -> list[tuple[Any, ...]]:
        return list(self.rows(statement))

    def count(self, table: str) -> int:
        return int(self.fetch(f"SELECT COUNT(*) FROM {table}")[0][0])

    def bounds(self, table: str, column: str) -> tuple[int, int] | None:
        """Smallest and largest value of an integer column, None for an empty table."""
        name = quote(column)
        ((low, high),) = self.fetch(f"SELECT MIN({name}), MAX({name}) FROM {table}")
        return None if low is None else (int(low), int(high))

    def cancel(self) -> None:
        kill_query(self._connection, self._session.thread_id())

    def close(self) -> None:
        # Without COM_QUIT and without draining a result that may be half read.
        self._session._force_close()

    def _execute(self, statement: str) -> None:
        try:
            with self._session.cursor() as cursor:
                cursor.execute(statement)
        except (pymysql.MySQLError, OSError) as error:
            raise query_failed(error, "comparing on the source failed") from None
