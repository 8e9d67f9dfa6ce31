"""What a comparison asks of PostgreSQL: canonical text per column, digests, ranges, cancellation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from engine.config import Connection
from engine.connectors.base import DigestColumn, Form, HashFunction, KeyRange, TargetTable
from engine.connectors.postgres.identifiers import qualified, quote
from engine.connectors.postgres.session import connect, is_connection_loss
from engine.connectors.reading import integers_within
from engine.errors import Code, EngineError

_ARGUMENTS = 50  # concat_ws takes fewer than 100
_TRIM_SCALE = 130000  # the first version with trim_scale


class PostgresDigestSql:
    """The DigestSql of one target table. `utf8` says whether the database is encoded so; `version` is the
    server's, as server_version_num."""

    def __init__(
        self, table: TargetTable, hashing: HashFunction, *, utf8: bool = True, version: int = 150000
    ) -> None:
        self.table = qualified(table.schema, table.name)
        self._hashing = hashing
        self._utf8 = utf8
        self._trims = version >= _TRIM_SCALE
        self._key_names = {column.source: column.name for column in table.columns}

    def field_text(self, column: DigestColumn) -> str:
        return f"coalesce({self._canonical(column)}, '~')"

    def raw(self, column: DigestColumn) -> str:
        name = quote(column.target.name)
        return f"{name}::text" if column.form is Form.JSON else name

    def joined(self, texts: Sequence[str]) -> str:
        while len(texts) > 1:
            groups = [texts[start : start + _ARGUMENTS] for start in range(0, len(texts), _ARGUMENTS)]
            texts = [f"concat_ws('|', {', '.join(group)})" for group in groups]
        return texts[0]

    def digest_hex(self, text: str) -> str:
        return f"left({self._hash(text)}, 16)"

    def number(self, digest_hex: str) -> str:
        return f"('x' || {digest_hex})::bit(64)::bigint"

    def bucket(self, digest_hex: str, count: int) -> str:
        return f"('x' || left({digest_hex}, 4))::bit(16)::int & {int(count) - 1}"

    def within(self, bounds: KeyRange | None) -> str:
        if bounds is None:
            return "TRUE"
        return integers_within(quote(self._key_names[bounds.columns[0]]), bounds)

    # ------------------------------------------------------------ one column

    def _hash(self, text: str) -> str:
        if self._hashing is HashFunction.MD5:
            return f"md5({text})" if self._utf8 else f"md5(convert_to({text}, 'UTF8'))"
        return f"encode(sha256(convert_to({text}, 'UTF8')), 'hex')"

    def _hash_bytes(self, value: str) -> str:
        return f"md5({value})" if self._hashing is HashFunction.MD5 else f"encode(sha256({value}), 'hex')"

    def _canonical(self, column: DigestColumn) -> str:
        name, base = quote(column.target.name), column.target.base
        match column.form:
            case Form.FLOAT_TEXT:
                return f"replace(replace({name}::float8::text, 'e+', 'e'), 'e-0', 'e-')"
            case Form.INTEGER:
                if base == "bool":
                    return f"{name}::int::text"
                scaled = base == "numeric" and not column.target.type.endswith(",0)")
                return self._trimmed(name) if scaled else f"{name}::text"
            case Form.DECIMAL_TRIMMED:
                return self._trimmed(f"{name}::numeric")
            case Form.MOMENT if base == "timestamptz":
                return f"({name} AT TIME ZONE 'UTC')::text"
            case Form.DECIMAL | Form.BITS | Form.DATE | Form.MOMENT | Form.DURATION:
                return f"{name}::text"
            case Form.BYTES:
                short = f"encode({name}, 'hex')"
                return self._or_hash(column, name, short, self._hash_bytes(name))
            case Form.LABELS:
                labels = self._sized(column, f"array_to_string({name}, ',')")
                return f"cardinality({name}) || ',' || {labels}"
            case Form.UUID:
                return f"encode({name}, 'hex')" if base == "bytea" else f"replace({name}::text, '-', '')"
            case Form.INET:
                return f"encode(inet_send({name}), 'hex')"
            case _:
                return self._sized(column, f"{name}::text")

    def _trimmed(self, number: str) -> str:
        if self._trims:
            return f"trim_scale({number})::text"
        text = f"({number})::text"
        return f"CASE WHEN strpos({text}, '.') > 0 THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"

    def _sized(self, column: DigestColumn, text: str) -> str:
        short = f"octet_length({text}) || ':' || {text}"
        return self._or_hash(column, text, short, self._hash(text))

    @staticmethod
    def _or_hash(column: DigestColumn, value: str, short: str, digest: str) -> str:
        hashed = f"'h' || {digest}"
        if column.inline is None:
            return short
        if not column.inline:
            return hashed
        return f"CASE WHEN octet_length({value}) <= {column.inline} THEN {short} ELSE {hashed} END"


class PostgresDigestSession:
    """A pinned session of the target, reading in one snapshot."""

    def __init__(self, connection: Connection, database: str) -> None:
        self._session = connect(connection, database)
        row = self._session.execute(
            "SELECT current_setting('server_encoding'), set_config('jit', 'off', false)"
        ).fetchone()
        self.utf8 = row is not None and row[0] == "UTF8"
        self.version = self._session.info.server_version

    def begin(self) -> None:
        self._execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def end(self) -> None:
        self._execute("ROLLBACK")

    def rows(self, statement: str) -> Iterator[tuple[Any, ...]]:
        # Row by row off the socket: a thousand documents of a megabyte are never here at once.
        try:
            with self._session.cursor(binary=True) as cursor:
                yield from cursor.stream(statement.encode())
        except psycopg.Error as error:
            raise _explained(error) from None

    def fetch(self, statement: str) -> list[tuple[Any, ...]]:
        try:
            return self._session.execute(statement.encode()).fetchall()
        except psycopg.Error as error:
            raise _explained(error) from None

    def leads_an_index(self, table: TargetTable, column: str) -> bool:
        """Whether ranges of the column can be read without scanning the whole table."""
        row = self._session.execute(
            "SELECT 1 FROM pg_index i"
            " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
            " WHERE i.indrelid = to_regclass(%s) AND a.attname = %s AND i.indisvalid AND i.indpred IS NULL"
            " LIMIT 1",
            (qualified(table.schema, table.name), column),
        ).fetchone()
        return row is not None

    def cancel(self) -> None:
        try:
            self._session.cancel_safe(timeout=10)
        except psycopg.Error:
            self._session.cancel()

    def close(self) -> None:
        self._session.close()

    def _execute(self, statement: str) -> None:
        try:
            self._session.execute(statement.encode())
        except psycopg.Error as error:
            raise _explained(error) from None


def _explained(error: psycopg.Error) -> EngineError:
    message = str(error).strip()
    if is_connection_loss(error):
        return EngineError(
            Code.CONNECTION_LOST,
            f"the target's connection was lost while comparing: {message}",
            sqlstate=error.sqlstate,
        )
    return EngineError(
        Code.QUERY_FAILED, f"the target refused a query of the comparison: {message}", sqlstate=error.sqlstate
    )
