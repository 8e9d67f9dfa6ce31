"""Short questions about a table's key: each one dive into the index, or a walk of a bounded length."""

from __future__ import annotations

from typing import Any

from pymysql.connections import Connection as PyMySQLConnection

from engine.connectors.base import KeyRange, KeyValue, TableRead
from engine.connectors.mysql.identifiers import literal, qualified, quote
from engine.connectors.mysql.ranges import condition, index_hint, key_expression, key_literal, order, up_to
from engine.connectors.mysql.session import is_mariadb

Cut = tuple[KeyValue, ...]


class KeyProbes:
    """Asks about the key of `read`; raises what PyMySQL raises."""

    def __init__(self, session: PyMySQLConnection[Any], read: TableRead) -> None:
        self._session = session
        self._table = read.table
        self._key = read.key
        self._columns = [read.table.column(name) for name in read.key]
        self._from = f"{qualified(read.table.schema, read.table.name)}{index_hint(read.table, read.key)}"
        self._first = quote(read.key[0])
        # MySQL can be set to explain as a tree; MariaDB knows the table form only.
        self._explain = "EXPLAIN" if is_mariadb(session) else "EXPLAIN FORMAT=TRADITIONAL"

    def limits(self) -> tuple[int, int] | None:
        """Smallest and largest value of the leading integer, None for an empty table."""
        low, high = self._row(f"SELECT MIN({self._first}), MAX({self._first}) FROM {self._from}")
        return None if low is None else (int(low), int(high))

    def estimate(self, low: int, high: int) -> int:
        """The server's estimate of the rows from `low` to `high`. Nothing is counted: MySQL dives into a
        forced index only to explain an aggregate, and says 1 otherwise."""
        with self._session.cursor() as cursor:
            cursor.execute(
                f"{self._explain} SELECT COUNT(*) FROM {self._from}"
                f" WHERE {self._first} BETWEEN {literal(low)} AND {literal(high)}"
            )
            names = [column[0].lower() for column in cursor.description]
            return sum(int(row[names.index("rows")] or 0) for row in cursor.fetchall())

    def around(self, low: int, middle: int, high: int) -> tuple[int, int]:
        """The largest key of [low, middle] and the smallest of (middle, high]; `low` and `high` exist."""
        left, right = self._row(
            f"SELECT (SELECT MAX({self._first}) FROM {self._from}"
            f" WHERE {self._first} BETWEEN {literal(low)} AND {literal(middle)}),"
            f" (SELECT MIN({self._first}) FROM {self._from}"
            f" WHERE {self._first} > {literal(middle)} AND {self._first} <= {literal(high)})"
        )
        # A row may have gone since.
        return (low if left is None else int(left)), (high if right is None else int(right))

    def nth(self, low: Cut | None, high: Cut | None, offset: int) -> Cut | None:
        """The key `offset` rows behind the first one from `low` on, if that is not behind `high`."""
        expressions = ", ".join(key_expression(column) for column in self._columns)
        row = self._row(
            f"SELECT {expressions} FROM {self._from}{self._where(low, high)}"
            f" ORDER BY {order(self._key)} LIMIT 1 OFFSET {int(offset)}"
        )
        return tuple(_plain(value) for value in row) if row else None

    def more_than(self, low: Cut | None, high: Cut | None, count: int) -> bool:
        """Are there more than `count` rows from `low` to `high`? Counts no further than that."""
        return bool(
            self._row(
                f"SELECT 1 FROM {self._from}{self._where(low, high)}"
                f" ORDER BY {order(self._key)} LIMIT 1 OFFSET {int(count)}"
            )
        )

    def exists(self, cut: Cut) -> bool:
        """Is there a row whose key the server takes for `cut`? Not when its text could not be converted."""
        equal = " AND ".join(
            f"{quote(column.name)} = {key_literal(column, value)}"
            for column, value in zip(self._columns, cut, strict=True)
        )
        return bool(self._row(f"SELECT 1 FROM {self._from} WHERE {equal} LIMIT 1"))

    # ------------------------------------------------------------

    def _where(self, low: Cut | None, high: Cut | None) -> str:
        parts = [
            condition(self._table, KeyRange(self._key, low, None)) if low is not None else "",
            up_to(self._table, self._key, high) if high is not None else "",
        ]
        text = " AND ".join(part for part in parts if part)
        return f" WHERE {text}" if text else ""

    def _row(self, statement: str) -> Any:
        with self._session.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()


def _plain(value: Any) -> KeyValue:
    """Numbers of any kind as int: `enum + 0` comes as a float from some servers."""
    return value if isinstance(value, str | bytes) else int(value)
