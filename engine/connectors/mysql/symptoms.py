"""What the plan says of a source's own doings: values it damaged before anybody read them, engines without
snapshots. Nothing here changes how a value is read."""

from __future__ import annotations

from typing import Any

from pymysql.connections import Connection as MysqlSession

from engine.connectors.base import Note, Severity
from engine.connectors.mysql.charsets import TEXT_KINDS
from engine.connectors.mysql.identifiers import quote
from engine.connectors.mysql.queries import relation
from engine.schema import Column, Table
from engine.types import Kind

_ROWS = 10_000
_BYTES = 16 << 20
_TRANSACTIONAL = frozenset({"innodb", "rocksdb", "ndbcluster", "tokudb"})

# Character sets of one byte, in which the bytes of UTF-8 are characters of their own.
_ONE_BYTE = frozenset(
    {
        "latin1", "latin2", "latin5", "latin7", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852",
        "cp866", "dec8", "geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "macce",
        "macroman", "armscii8", "tis620",
    }
)  # fmt: skip
_EVERY_CHARACTER = frozenset({"utf8mb4", "utf16", "utf16le", "utf32", "binary"})


def symptoms(session: MysqlSession[Any], table: Table, columns: list[Column]) -> tuple[Note, ...]:
    """Notes about a table and the columns that are read. One bounded question at most: to the first rows, as
    many as lie in 16 MiB. Raises what PyMySQL raises."""
    return (*_engine(table), *_values(session, table, columns))


def _engine(table: Table) -> tuple[Note, ...]:
    if table.engine is None or table.engine.lower() in _TRANSACTIONAL:
        return ()
    text = (
        f"{table.engine} tables are in no snapshot: rows written while the stream reads may be missed, or"
        " come in a state the other tables do not share."
    )
    return (Note(Severity.WARNING, "engine-without-snapshot", text, table.name),)


def _values(session: MysqlSession[Any], table: Table, columns: list[Column]) -> tuple[Note, ...]:
    questions = [(slug, column, sql) for column in columns for slug, sql in _questions(column)]
    if not questions:
        return ()
    average = table.estimated_bytes // max(1, table.estimated_rows)
    rows = max(1, min(_ROWS, _BYTES // max(1, average)))
    names = ", ".join(dict.fromkeys(quote(column.name) for _, column, _ in questions))
    asked = ", ".join(f"COALESCE(SUM({sql}), 0)" for _, _, sql in questions)
    with session.cursor() as cursor:
        cursor.execute(f"SELECT {asked} FROM (SELECT {names} FROM {relation(table)} LIMIT {rows}) few")
        row = cursor.fetchone() or ()
    return tuple(
        _note(slug, table, column, int(count), rows)
        for (slug, column, _), count in zip(questions, row, strict=True)
        if count
    )


def _questions(column: Column) -> list[tuple[str, str]]:
    """Slug and condition on one value."""
    name, charset = quote(column.name), column.charset
    if column.type.kind is Kind.JSON:
        return [("json-opaque", f"""LOCATE('"base64:type', CAST({name} AS CHAR)) > 0""")]
    if column.type.kind not in TEXT_KINDS or charset is None:
        return []
    asked = []
    if charset in _ONE_BYTE:
        stored = f"CAST({name} AS BINARY)"
        text = f"CONVERT({name} USING utf8mb4)"
        read_again = f"CAST(CONVERT({stored} USING utf8mb4) AS BINARY)"
        # Where a byte is invalid MySQL gives NULL and MariaDB a '?'.
        asked.append(
            ("mojibake", f"LENGTH({text}) > CHAR_LENGTH({text}) AND COALESCE({read_again} = {stored}, FALSE)")
        )
    if charset not in _EVERY_CHARACTER:
        asked.append(("question-marks", f"LOCATE('?', {name}) > 0"))
    return asked


def _note(slug: str, table: Table, column: Column, count: int, rows: int) -> Note:
    text = {
        "json-opaque": "Values hold members that are no JSON (bytes, bits), which the server prints as"
        " strings of base64; they arrive as these strings.",
        "mojibake": f"Text stored as {column.charset} is valid UTF-8 byte by byte: it was probably written"
        " over a wrongly declared connection. It is carried as the source shows it; a query with"
        f" CONVERT(CAST({quote(column.name)} AS BINARY) USING utf8mb4) reads it as it was meant.",
        "question-marks": f"Values hold '?', which is also what a lenient server stored for characters that"
        f" {column.charset} lacks; what was lost so cannot be brought back.",
    }[slug]
    severity = Severity.INFO if slug == "question-marks" else Severity.WARNING
    text += f" Counted among the first {rows} rows."
    return Note(severity, slug, text, table.name, column.name, None, count)
