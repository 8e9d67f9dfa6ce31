"""The queries over information_schema: one a kind of object, for a whole database or some of its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

# Above this many names the filter is left to us: long IN lists are slower than reading the database once.
_MOST_NAMES = 200

TABLES = """
select TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_ROWS, DATA_LENGTH, AUTO_INCREMENT, TABLE_COLLATION,
       CREATE_OPTIONS, TABLE_COMMENT
from information_schema.TABLES where TABLE_SCHEMA = %s
  and TABLE_NAME not in ('_dbstreams_checkpoint', '_dbstreams_types')"""

_COLUMNS = """
select TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_DEFAULT, IS_NULLABLE, CHARACTER_SET_NAME,
       COLLATION_NAME, COLUMN_TYPE, EXTRA, COLUMN_COMMENT, GENERATION_EXPRESSION, {srid}
from information_schema.COLUMNS where TABLE_SCHEMA = %s"""
COLUMNS = {"mysql": _COLUMNS.format(srid="SRS_ID"), "mariadb": _COLUMNS.format(srid="null")}

GEOMETRY_COLUMNS = """
select G_TABLE_NAME, G_GEOMETRY_COLUMN, SRID
from information_schema.GEOMETRY_COLUMNS where G_TABLE_SCHEMA = %s"""

_HIDDEN_BEFORE = {"EXPRESSION": (8, 0, 13), "CHECK_CONSTRAINTS": (8, 0, 16)}  # of MySQL
_STATISTICS = """
select TABLE_NAME, INDEX_NAME, NON_UNIQUE, SEQ_IN_INDEX, COLUMN_NAME, COLLATION, SUB_PART, INDEX_TYPE,
       INDEX_COMMENT, {visible}, {expression}
from information_schema.STATISTICS where TABLE_SCHEMA = %s"""
STATISTICS = {
    "mysql": _STATISTICS.format(visible="IS_VISIBLE = 'YES'", expression="EXPRESSION"),
    "mariadb": _STATISTICS.format(visible="IGNORED = 'NO'", expression="null"),
}


def statistics(flavor: str, version: tuple[int, ...]) -> str:
    """The query for key parts; MySQL before 8.0.13 has no expressions in them, nor the column for them, and
    MariaDB before 10.6 no ignored indexes."""
    if flavor == "mysql" and version < _HIDDEN_BEFORE["EXPRESSION"]:
        return _STATISTICS.format(visible="IS_VISIBLE = 'YES'", expression="null")
    if flavor == "mariadb" and version < (10, 6):
        return _STATISTICS.format(visible="1", expression="null")
    return STATISTICS[flavor]


def has_checks(flavor: str, version: tuple[int, ...]) -> bool:
    """Whether the server keeps CHECK constraints: MySQL before 8.0.16 only parsed them."""
    return flavor == "mariadb" or version >= _HIDDEN_BEFORE["CHECK_CONSTRAINTS"]


FOREIGN_KEY_COLUMNS = """
select TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION, COLUMN_NAME, REFERENCED_TABLE_SCHEMA,
       REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME
from information_schema.KEY_COLUMN_USAGE
where TABLE_SCHEMA = %s and REFERENCED_TABLE_NAME is not null"""

FOREIGN_KEY_RULES = """
select TABLE_NAME, CONSTRAINT_NAME, UPDATE_RULE, DELETE_RULE
from information_schema.REFERENTIAL_CONSTRAINTS where CONSTRAINT_SCHEMA = %s"""

CHECKS = {
    "mysql": """
select t.TABLE_NAME, c.CONSTRAINT_NAME, c.CHECK_CLAUSE, t.ENFORCED = 'YES', 'Table'
from information_schema.CHECK_CONSTRAINTS c
join information_schema.TABLE_CONSTRAINTS t
  on t.CONSTRAINT_SCHEMA = c.CONSTRAINT_SCHEMA and t.CONSTRAINT_NAME = c.CONSTRAINT_NAME
 and t.CONSTRAINT_TYPE = 'CHECK'
where c.CONSTRAINT_SCHEMA = %s""",
    "mariadb": """
select TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE, 1, LEVEL
from information_schema.CHECK_CONSTRAINTS where CONSTRAINT_SCHEMA = %s""",
}

PARTITIONS = """
select TABLE_NAME, PARTITION_NAME, PARTITION_ORDINAL_POSITION, PARTITION_METHOD, PARTITION_EXPRESSION,
       PARTITION_DESCRIPTION, TABLE_ROWS, SUBPARTITION_METHOD
from information_schema.PARTITIONS where TABLE_SCHEMA = %s and PARTITION_NAME is not null"""

VIEWS = """
select TABLE_NAME, VIEW_DEFINITION from information_schema.VIEWS where TABLE_SCHEMA = %s"""

TRIGGERS = """
select EVENT_OBJECT_TABLE, TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION, ACTION_STATEMENT, ACTION_ORDER
from information_schema.TRIGGERS where TRIGGER_SCHEMA = %s"""

ROUTINES = """
select ROUTINE_NAME, ROUTINE_TYPE, DTD_IDENTIFIER, ROUTINE_DEFINITION
from information_schema.ROUTINES where ROUTINE_SCHEMA = %s"""

PARAMETERS = """
select SPECIFIC_NAME, ROUTINE_TYPE, ORDINAL_POSITION, PARAMETER_MODE, PARAMETER_NAME, DTD_IDENTIFIER
from information_schema.PARAMETERS where SPECIFIC_SCHEMA = %s and ORDINAL_POSITION > 0"""

EVENTS = """
select EVENT_NAME, EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, EVENT_DEFINITION
from information_schema.EVENTS where EVENT_SCHEMA = %s"""


class Catalog:
    """Runs the queries for one database, and counts nothing twice: each method call is one statement.

    Names are compared as the server compares file names: exactly when lower_case_table_names is 0, else
    without regard to case.
    """

    def __init__(self, conn: Any, database: str, only: Sequence[str] | None, exact_names: bool) -> None:
        self.conn = conn
        self.database = database
        self._exact = exact_names
        self._only = None if only is None else [name if exact_names else name.lower() for name in only]

    def wanted(self, table: str) -> bool:
        """Whether a table is among those asked for."""
        return self._only is None or (table if self._exact else table.lower()) in self._only

    def missing(self, found: Sequence[str]) -> list[str]:
        """The names asked for that are not among `found`."""
        have = {name if self._exact else name.lower() for name in found}
        return [name for name in self._only or () if name not in have]

    def of_tables(self, query: str, column: str = "TABLE_NAME") -> Iterator[tuple[Any, ...]]:
        """Rows whose first field is the name of a wanted table."""
        args: list[str] = [self.database]
        if self._only is not None and 0 < len(self._only) <= _MOST_NAMES:
            query += f" and {column} in ({', '.join(['%s'] * len(self._only))})"
            args += self._only
        for row in self.rows(query, args):
            if self.wanted(row[0]):
                yield row

    def of_database(self, query: str) -> list[tuple[Any, ...]]:
        return self.rows(query, [self.database])

    def rows(self, query: str, args: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        with self.conn.cursor() as cursor:
            cursor.execute(query, args)
            return list(cursor.fetchall())
