"""Text, JSON and labels in binary COPY, plainly: `ENCODERS` names each encoder as `ext.pgcopy` does."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ext.plain.pgcells import Column, Refused


def _text(value: Any, column: Column) -> bytes:
    if isinstance(value, Decimal):
        value = f"{value:f}".encode()
    elif isinstance(value, int):
        column.check_flag(value)
        value = str(int(value)).encode()
    return allowed(_mended(value, column), column)


def _mended(data: bytes, column: Column) -> bytes:
    """The data with NULs and bytes that are not UTF-8 treated as the policies say, in order of place."""
    nul, invalid = (column.options.get(option, "refuse") for option in ("nul", "invalid"))
    text = data.decode("utf-8", "surrogateescape")
    # A surrogate stands for each byte that is not UTF-8: none is ever decoded.
    bad = {char for char in text if char == "\0" or "\ud800" <= char <= "\udfff"}
    if not bad:
        return data
    for char in text:
        if char == "\0" and nul not in ("strip", "replace"):
            raise Refused("nul-byte")
        if "\ud800" <= char <= "\udfff" and invalid != "replace":
            raise Refused("invalid-utf8")
    if "\0" in bad:
        column.touch("nulByte")
    if bad - {"\0"}:
        column.touch("invalidText")
    replacement = dict.fromkeys(bad, "\ufffd")
    if nul == "strip":
        replacement["\0"] = ""
    return "".join(replacement.get(char, char) for char in text).encode()


def allowed(data: bytes, column: Column) -> bytes:
    options = column.options
    if options.get("octets") and len(data) > options["octets"]:
        raise Refused("too-long")
    if options.get("chars") and len(data.decode()) > options["chars"]:
        raise Refused("too-long")
    if options.get("labels") and data.decode() not in options["labels"]:
        raise Refused("unknown-label")
    return data


def strict(data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    for char in text:
        if char == "\0":
            raise Refused("nul-byte")
        if "\ud800" <= char <= "\udfff":
            raise Refused("invalid-utf8")
    return text


def _jsonb(value: bytes, column: Column) -> bytes:
    try:
        text = strict(value)
    except Refused:
        raise Refused("bad-json") from None
    at, in_string, high = 0, False, False
    while at < len(text):
        char, step, code = text[at], 1, 0
        if char == '"':
            in_string = not in_string
        elif char == "\\" and in_string:
            step = 2
            if at + 1 == len(text):
                raise Refused("bad-json")
            if text[at + 1] == "u":
                digits = text[at + 2 : at + 6]
                if len(digits) < 4 or not set(digits) <= set("0123456789abcdefABCDEF"):
                    raise Refused("bad-json")
                step, code = 6, int(digits, 16)
                if code == 0:
                    raise Refused("bad-json")
        if high != (0xDC00 <= code <= 0xDFFF):
            raise Refused("bad-json")
        high = 0xD800 <= code <= 0xDBFF
        at += step
    if high:
        raise Refused("bad-json")
    return b"\x01" + value


def array(element: int, items: Sequence[bytes]) -> bytes:
    head = struct.pack(">iii", 1 if items else 0, 0, element)
    if items:
        head += struct.pack(">ii", len(items), 1)
    return head + b"".join(struct.pack(">i", len(item)) + item for item in items)


def _members(mask: int, column: Column) -> list[str]:
    labels = column.options.get("labels", ())
    if mask < 0 or mask >> len(labels):
        raise Refused("unknown-label")
    return [label for number, label in enumerate(labels) if mask >> number & 1]


def _set_array(value: int, column: Column) -> bytes:
    return array(column.options.get("element", 25), [label.encode() for label in _members(value, column)])


def _set_text(value: int, column: Column) -> bytes:
    text = ",".join(_members(value, column))
    if column.options.get("chars") and len(text) > column.options["chars"]:
        raise Refused("too-long")
    return text.encode()


def _list_array(value: bytes, column: Column) -> bytes:
    text = strict(value)
    items = [item.encode() for item in text.split(",")] if text else []
    return array(column.options.get("element", 25), items)


ENCODERS: Mapping[str, Callable[[Any, Column], bytes]] = {
    "text": _text,
    "jsonb": _jsonb,
    "set_array": _set_array,
    "set_text": _set_text,
    "list_array": _list_array,
}
