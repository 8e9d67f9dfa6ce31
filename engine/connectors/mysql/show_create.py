"""SHOW CREATE, for the few objects whose text information_schema does not show whole.

information_schema is utf8mb3: on MariaDB a character outside the basic plane comes as one '?' a byte, and on
MySQL the bodies of routines, triggers and events come with their doubled quotes undone. SHOW CREATE has the
text as it is, but on MariaDB also raw bytes of binary defaults: it is read as bytes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pymysql

from engine.connectors.mysql.identifiers import qualified, quote
from engine.schema import Check, Column, Default, Generated

_QUESTIONABLE = re.compile(r"""['"?\\]""")
_MARKS = re.compile(r"(\?+)")
_SQL_COLUMNS = ("SQL Original Statement", "Create ")


def questionable(body: str | None) -> bool:
    """Whether a body from information_schema may differ from what was written."""
    return body is not None and _QUESTIONABLE.search(body) is not None


def statement(conn: Any, kind: str, database: str, name: str) -> str | None:
    """The CREATE statement of a TABLE, VIEW, FUNCTION, PROCEDURE, TRIGGER or EVENT; None where this user may
    not see it. Bytes that are no UTF-8 come as surrogates."""
    unicode = conn.use_unicode
    conn.use_unicode = False
    try:
        with conn.cursor() as cursor:
            cursor.execute(f"SHOW CREATE {kind} {qualified(database, name)}")
            row = cursor.fetchone()
            names = [
                item[0] if isinstance(item[0], str) else item[0].decode() for item in cursor.description or ()
            ]
    except pymysql.MySQLError:
        return None
    finally:
        conn.use_unicode = unicode
    for position, column in enumerate(names):
        if row and column.startswith(_SQL_COLUMNS):
            text = row[position]
            return text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
    return None


def view_query(shown: str, name: str) -> str | None:
    """The SELECT of a CREATE VIEW statement."""
    start = shown.find(f"{quote(name)} ")
    found = re.compile(r"(?:\((?:[^`)]|`(?:[^`]|``)*`)*\) )?AS ", re.IGNORECASE).match(
        shown, start + len(quote(name)) + 1
    )
    return shown[found.end() :] if start >= 0 and found else None


def restored(text: str, shown: str, before: str, after: str = "") -> str | None:
    """`text`, whose characters outside the basic plane are '?', as it stands in `shown` between `before` and
    `after`; None when it is not there exactly once."""
    parts = _MARKS.split(text)
    pattern = "".join(
        f".{{1,{len(part)}}}" if number % 2 else re.escape(part) for number, part in enumerate(parts)
    )
    found = re.findall(re.escape(before) + f"({pattern})" + re.escape(after), shown, re.DOTALL)
    return found[0] if len(set(found)) == 1 else None


def column_restored(column: Column, shown: str) -> Column | None:
    """The column with its expressions as SHOW CREATE TABLE has them; None when they were not found."""
    line = re.search(rf"^  {re.escape(quote(column.name))} (.*?),?$", shown, re.MULTILINE)
    if line is None:
        return None
    generated, default = column.generated, column.default
    if generated is not None and "?" in generated.expression:
        text = restored(generated.expression, line.group(1), "GENERATED ALWAYS AS (", ")")
        if text is None:
            return None
        generated = Generated(text, generated.stored)
    if default is not None and default.expression is not None and "?" in default.expression:
        text = restored(default.expression, line.group(1), "DEFAULT ")
        if text is None:
            return None
        default = Default(expression=text)
    return replace(column, generated=generated, default=default)


def check_restored(check: Check, shown: str) -> Check | None:
    """The same for a check of the table or of a column."""
    text = restored(check.expression, shown, "CHECK (", ")")
    return None if text is None else Check(check.name, text, check.enforced)
