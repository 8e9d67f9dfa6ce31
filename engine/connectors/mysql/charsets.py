"""Character sets whose text may not survive the server's way to utf8mb4, and how such values are counted."""

from __future__ import annotations

from engine.config import Policies
from engine.connectors.mysql.identifiers import quote
from engine.schema import Column
from engine.types import Kind

TEXT_KINDS = frozenset({Kind.CHAR, Kind.VARCHAR, Kind.TEXT})

# Unicode ones, and those of one byte in which each of the 255 bytes came back from utf8mb4 as it was, on both
# servers. In every other one some bytes have no character: the server silently gives '?' for them.
_EXACT = frozenset(
    {
        "utf8",
        "utf8mb3",
        "utf8mb4",
        "ucs2",
        "utf16",
        "utf16le",
        "utf32",
        "cp850",
        "cp852",
        "cp866",
        "keybcs2",
        "koi8r",
        "koi8u",
        "latin1",
        "latin2",
        "latin5",
        "latin7",
        "macce",
        "macroman",
    }
)


def may_be_lossy(column: Column) -> bool:
    """Whether values of this column have to be looked at before the server's transcoding is trusted."""
    return column.type.kind in TEXT_KINDS and column.charset is not None and column.charset not in _EXACT


def has_nul(column: Column) -> str:
    """A condition, NULL for NULL: the text holds U+0000. Bytes of it say nothing (every second one of UTF-16
    is 0), and collations may pass over it."""
    text = f"CONVERT({quote(column.name)} USING utf8mb4) COLLATE utf8mb4_bin"
    return f"LOCATE(_utf8mb4 X'00' COLLATE utf8mb4_bin, {text}) > 0"


def to_bytes(column: Column, policies: Policies) -> str | None:
    """A condition, never NULL: for this value the column becomes bytes. None where no policy asks for it."""
    if column.type.kind not in TEXT_KINDS:
        return None
    reasons = []
    if policies.invalid_text == "bytea" and may_be_lossy(column):
        reasons.append(lossy(column))
    if policies.nul_byte == "bytea":
        reasons.append(f"COALESCE({has_nul(column)}, FALSE)")
    return f"({' OR '.join(reasons)})" if reasons else None


def lossy(column: Column) -> str:
    """A condition, never NULL: the value loses characters on its way to utf8mb4.

    Bytes that come back otherwise are not enough, because some sets write one character in two ways (0x5C and
    0x815F in sjis); a character is lost where '?' or U+FFFD appears that was not there, or where MySQL's
    CONVERT gives NULL.
    """
    name = quote(column.name)
    unicode = f"CONVERT({name} USING utf8mb4)"
    back = f"CAST(CONVERT({unicode} USING {column.charset}) AS BINARY)"
    marks = f"CHAR_LENGTH({unicode}) - CHAR_LENGTH(REPLACE({unicode}, '?', ''))"
    marks_before = f"CHAR_LENGTH({name}) - CHAR_LENGTH(REPLACE({name}, '?', ''))"
    return (
        f"({name} IS NOT NULL AND NOT ({back} <=> CAST({name} AS BINARY)) AND COALESCE("
        f"{marks} > {marks_before} OR LOCATE(_utf8mb4 X'EFBFBD', {unicode}) > 0, 1))"
    )
