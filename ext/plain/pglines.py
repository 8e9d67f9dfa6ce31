"""Rows of text COPY, plainly: a field of binary COPY printed, and JSON arrays as array literals.

Layout: PostgreSQL documentation, "COPY", "Text Format", and "Arrays", "Array Input and Output Syntax".
"""

from __future__ import annotations

import json
import re
import socket
import struct
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ext.pgreadspec import civil_date, clock_text, numeric_text
from ext.plain.pgcells import Column, Refused
from ext.plain.pgtext import ENCODERS as TEXTS
from ext.plain.pgtext import strict

_DAY = 86_400_000_000
_INFINITIES_32 = {2**31 - 1: "infinity", -(2**31): "-infinity"}
_INFINITIES_64 = {2**63 - 1: "infinity", -(2**63): "-infinity"}
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def escaped(text: str) -> bytes:
    return text.translate(_ESCAPES).encode()


# ---------------------------------------------------------------- arrays

_TOKEN = re.compile(r'[ \t\n\r]+|"(?:[^"\\\x00-\x1f]|\\.)*"|[\[\],]|[0-9A-Za-z+.-]+|\{')
_BRACKETS = {"[": "{", "]": "}"}


def _array(value: bytes, column: Column) -> bytes:
    text = strict(value)
    out: list[str] = []
    at, depth, wanted = 0, 0, 1  # wanted: a value; 2: or the end of an array
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Refused("bad-json")
        token = found[0]
        at = found.end()
        if token.isspace():
            continue
        if token == "]" and depth and wanted != 1:
            depth, wanted = depth - 1, 0
            out.append("}")
            if not depth and text[at:].strip(" \t\n\r"):
                raise Refused("bad-json")
        elif token == "," and depth and not wanted:
            wanted = 1
            out.append(str(column.options.get("delimiter", ",")))
        elif token == "[" and wanted:
            depth, wanted = depth + 1, 2
            out.append("{")
        elif token in "],[" or not depth or not wanted:
            raise Refused("bad-json")
        else:
            wanted = 0
            if token == "{":
                end = _object_end(text, found.start())
                out.append(_quoted(text[found.start() : end]))
                at = end
            elif token.startswith('"'):
                out.append(_quoted(_string(token)))
            else:
                out.append("NULL" if token == "null" else token)
    if depth or wanted:
        raise Refused("bad-json")
    return "".join(out).encode()


def _string(token: str) -> str:
    try:
        value: str = json.loads(token)
    except ValueError:
        raise Refused("bad-json") from None
    for char in value:
        if char == "\0":
            raise Refused("nul-byte")
        if "\ud800" <= char <= "\udfff":
            raise Refused("bad-json")
    return value


def _object_end(text: str, at: int) -> int:
    depth, in_string = 0, False
    while at < len(text):
        char = text[at]
        if in_string:
            if char == "\\":
                at += 1
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    raise Refused("bad-json")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# ---------------------------------------------------------------- fields


def _date(data: bytes, column: Column) -> bytes:
    (day,) = struct.unpack(">i", data)
    return (_INFINITIES_32.get(day) or civil_date(day + 10_957)).encode()


def _timestamp(data: bytes, column: Column) -> bytes:
    (micros,) = struct.unpack(">q", data)
    if micros in _INFINITIES_64:
        return _INFINITIES_64[micros].encode()
    days, rest = divmod(micros, _DAY)
    date, _, era = civil_date(days + 10_957).partition(" ")
    return f"{date} {_clock(rest)}{' ' + era if era else ''}".encode()


def _clock(micros: int) -> str:
    text = clock_text(abs(micros))
    whole, point, fraction = text.partition(".")
    return ("-" if micros < 0 else "") + whole + (point + fraction.ljust(6, "0") if point else "")


def _time(data: bytes, column: Column) -> bytes:
    return _clock(struct.unpack(">q", data)[0]).encode()


def _interval(data: bytes, column: Column) -> bytes:
    micros, days, months = struct.unpack(">qii", data)
    if micros in _INFINITIES_64 and days in _INFINITIES_32 and months == days and (micros > 0) == (days > 0):
        return _INFINITIES_64[micros].encode()
    return f"{months} mons {days} days {'+' if micros >= 0 else ''}{_clock(micros)}".encode()


def _float(code: str, digits: int) -> Callable[[bytes, Column], bytes]:
    def show(data: bytes, column: Column) -> bytes:
        (value,) = struct.unpack(code, data)
        if value != value:
            return b"NaN"
        if value in (float("inf"), float("-inf")):
            return b"Infinity" if value > 0 else b"-Infinity"
        return f"{value:.{digits}g}".encode()

    return show


def _bits(data: bytes, column: Column) -> bytes:
    (count,) = struct.unpack_from(">i", data)
    return "".join(f"{byte:08b}" for byte in data[4:])[:count].encode()


def _inet(data: bytes, column: Column) -> bytes:
    return socket.inet_ntop(socket.AF_INET if data[0] == 2 else socket.AF_INET6, data[4:]).encode()


def _items(data: bytes) -> list[bytes]:
    items, at = [], 20
    while at < len(data):
        (length,) = struct.unpack_from(">i", data, at)
        items.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return items


def _texts(data: bytes, column: Column) -> bytes:
    return escaped("{" + ",".join(_quoted(item.decode()) for item in _items(data)) + "}")


def _floats(data: bytes, column: Column) -> bytes:
    show = _float(">f", 9)
    return b"{" + b",".join(show(item, column) for item in _items(data)) + b"}"


def _hex(data: bytes, column: Column) -> bytes:
    return (b"" if column.options.get("bare") else b"\\\\x") + data.hex().encode()


def _integer(data: bytes, column: Column) -> bytes:
    return str(int.from_bytes(data, "big", signed=True)).encode()


_SHOWN: Mapping[str, Callable[[bytes, Column], bytes]] = {
    **dict.fromkeys(("int2", "int4", "int8"), _integer),
    "bool": lambda data, column: b"t" if data[0] else b"f",
    "numeric": lambda data, column: numeric_text(data).encode(),
    "float4": _float(">f", 9),
    "float8": _float(">d", 17),
    "bytea": _hex,
    "ewkb": _hex,
    "jsonb": lambda data, column: escaped(data[1:].decode()),
    "bit": _bits,
    "date": _date,
    "timestamp": _timestamp,
    "time": _time,
    "interval": _interval,
    "uuid": lambda data, column: str(uuid.UUID(bytes=data)).encode(),
    "inet": _inet,
    **dict.fromkeys(("set_array", "list_array"), _texts),
    "float4_array": _floats,
}
ENCODERS: Mapping[str, Callable[[Any, Column], bytes | None]] = {"array": _array, "literal": TEXTS["text"]}


def shown(encoder: str, data: bytes | None, column: Column) -> bytes:
    """A field of binary COPY as text COPY has it."""
    if data is None:
        return rb"\N"
    printer = _SHOWN.get(encoder)
    return printer(data, column) if printer else escaped(data.decode())
