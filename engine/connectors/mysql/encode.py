"""Which encoder of `ext.mysqlload` carries an image into a live column: the right half of every codec.

What the server would cut, clamp or round (with a warning, or with a Note only) goes into the encoder's
options, so that such a value is refused before it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.config import Policies
from engine.connectors.base import ReadColumn, TargetColumn
from engine.connectors.mysql.native_types import logical_type
from engine.errors import Code, EngineError
from engine.types import Image, Kind, LogicalType
from ext.mysqlload import LoadSpec

_CHARSET = re.compile(r" CHARACTER SET (\w+)(?: COLLATE (\w+))?$")
_FLOAT_DIGITS = re.compile(r"^(?:float|double)\s*\(\s*\d+\s*,", re.IGNORECASE)
_DAY = 86_400_000_000
_TIME_LAST = {"mysql": 3_020_399_000_000, "mariadb": 3_020_399_999_999}  # 838:59:59, on MariaDB .999999
_YEAR_2038 = 2_147_483_647_999_999
_YEAR_2106 = 4_294_967_295_999_999  # MariaDB from 11.5 on
INTERVAL_CHARS = 64
UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii", "binary"})
BMP = frozenset({"utf8mb3", "utf8", "ucs2"})


@dataclass(frozen=True, slots=True)
class Server:
    """What of the target server decides how a value is stored."""

    flavor: str
    version: tuple[int, ...]

    @property
    def time_last(self) -> int:
        return _TIME_LAST[self.flavor]

    @property
    def timestamp_range(self) -> tuple[int, int]:
        wide = self.flavor == "mariadb" and self.version >= (11, 5)
        return (1 if self.flavor == "mariadb" else 1_000_000), _YEAR_2106 if wide else _YEAR_2038


@dataclass(frozen=True, slots=True)
class LiveType:
    """The type of a target column out of its rendered form: `varchar(20) CHARACTER SET latin1 COLLATE …`."""

    logical: LogicalType
    rendered: str
    charset: str | None

    @classmethod
    def of(cls, column: TargetColumn) -> LiveType:
        found = _CHARSET.search(column.type)
        bare = column.type[: found.start()] if found else column.type
        return cls(logical_type(bare), bare, found[1].lower() if found else None)

    @property
    def kind(self) -> Kind:
        return self.logical.kind


@dataclass(frozen=True, slots=True)
class Pair:
    """One column on both sides."""

    read: ReadColumn
    target: TargetColumn
    live: LiveType
    policies: Policies
    server: Server


Options = Callable[[Pair], Mapping[str, Any] | None]

_BITS = {Kind.INT8: 8, Kind.INT16: 16, Kind.INT24: 24, Kind.INT32: 32, Kind.INT64: 64}
_INTEGERS = tuple(_BITS)
_TEXTS = (Kind.CHAR, Kind.VARCHAR, Kind.TEXT)
_BYTES = (Kind.BINARY, Kind.VARBINARY, Kind.BLOB)


def _nothing(pair: Pair) -> Mapping[str, Any]:
    return {}


def _integer(pair: Pair) -> Mapping[str, Any]:
    bits = _BITS[pair.live.kind]
    nan = {"nan": pair.policies.nan} if pair.read.image is Image.DECIMAL else {}
    flag = {"flag": True} if pair.read.image is Image.BOOL else {}
    if pair.live.logical.unsigned or pair.live.logical.zerofill:
        return {"least": 0, "most": 2**bits - 1, **flag, **nan}
    return {"least": -(2 ** (bits - 1)), "most": 2 ** (bits - 1) - 1, **flag, **nan}


def _decimal(pair: Pair) -> Mapping[str, Any]:
    kind = pair.live.logical
    return {
        "precision": kind.precision or 10,
        "scale": kind.scale or 0,
        "unsigned": kind.unsigned or kind.zerofill,
        "nan": pair.policies.nan,
        "flag": pair.read.image is Image.BOOL,
    }


def _floating(pair: Pair) -> Mapping[str, Any] | None:
    """float(m,d) rounds: only values of such a column are sure to stay. Unsigned ones are left to the server,
    whose warning is an error."""
    if _FLOAT_DIGITS.match(pair.live.rendered) and (
        pair.live.rendered.lower() != pair.read.source.native_type.lower()
    ):
        return None
    return {"nan": pair.policies.nan} if pair.read.image is Image.FLOAT else {}


def _chars(pair: Pair) -> Mapping[str, Any]:
    """CHAR and VARCHAR have a length in characters, TEXT in bytes of the column's own character set: what is
    longer there is told by the server. CHAR loses the blanks at the end."""
    kind = pair.live.logical
    options: dict[str, Any] = {}
    if pair.live.kind is Kind.TEXT:
        if pair.live.charset in UTF8 or pair.live.charset is None:
            options["octets"] = kind.length
    else:
        options["chars"] = kind.length
        options["blanks"] = pair.live.kind is Kind.CHAR
    if pair.live.charset in BMP:
        options["bmp"] = True
    return options


def _text(pair: Pair) -> Mapping[str, Any]:
    return {**_chars(pair), "invalid": pair.policies.invalid_text}


def _digits(pair: Pair) -> Mapping[str, Any]:
    return {key: value for key, value in _chars(pair).items() if key not in ("blanks", "bmp")}


def _label(pair: Pair) -> Mapping[str, Any]:
    return {"labels": pair.live.logical.labels, "invalid": pair.policies.invalid_text}


def _mask(pair: Pair) -> Mapping[str, Any] | None:
    """Bits are numbered by the source's labels; the target's SET must have them all."""
    labels = pair.read.source.type.labels
    return {"labels": labels} if set(labels) <= set(pair.live.logical.labels) else None


def _mask_text(pair: Pair) -> Mapping[str, Any]:
    return {"labels": pair.read.source.type.labels, **_digits(pair)}


def _octets(pair: Pair) -> Mapping[str, Any]:
    """BINARY(n) is filled up with zero bytes, so a shorter value would change."""
    if pair.live.kind is Kind.BINARY:
        return {"exact": pair.live.logical.length}
    return {"octets": pair.live.logical.length}


def _sixteen(pair: Pair) -> Mapping[str, Any] | None:
    length = pair.live.logical.length or 0
    fits = length == 16 if pair.live.kind is Kind.BINARY else length >= 16
    return {"exact": 16} if fits else None


def _room(needed: int) -> Options:
    """A fixed text into a column of at least so many characters."""

    def options(pair: Pair) -> Mapping[str, Any] | None:
        return {} if (pair.live.logical.length or 0) >= needed else None

    return options


def _width(pair: Pair) -> Mapping[str, Any]:
    return {"width": pair.live.logical.length or 1}


def _infinities(pair: Pair) -> Mapping[str, Any]:
    """A source with zero dates gives -infinity for them, by the policy `zeroDate`."""
    if pair.read.invalid == "sentinel":
        return {"low": "zero"}
    policy = pair.policies.infinity
    return {"low": {"sentinel": "zero"}.get(policy, policy), "high": {"sentinel": "last"}.get(policy, policy)}


def _interval(pair: Pair) -> Mapping[str, Any] | None:
    """ISO 8601 text; `sentinel` writes infinite ones as the word PostgreSQL prints."""
    if (pair.live.logical.length or 0) < INTERVAL_CHARS:
        return None
    policy = {"sentinel": "last"}.get(pair.policies.infinity, pair.policies.infinity)
    return {"low": policy, "high": policy}


def _moment(pair: Pair) -> Mapping[str, Any]:
    fraction = pair.live.logical.fraction
    options: dict[str, Any] = {**_infinities(pair), "unit": 10 ** (6 - fraction) if fraction < 6 else 0}
    if pair.live.kind is Kind.TIMESTAMP:
        options["first"], options["last"] = pair.server.timestamp_range
    return options


def _span(pair: Pair) -> Mapping[str, Any]:
    fraction = pair.live.logical.fraction
    last = pair.server.time_last
    return {"unit": 10 ** (6 - fraction) if fraction < 6 else 0, "first": -last, "last": last}


def _json(pair: Pair) -> Mapping[str, Any]:
    return {"exact_numbers": True, "invalid": pair.policies.invalid_text}


def _json_text(pair: Pair) -> Mapping[str, Any]:
    return {"invalid": pair.policies.invalid_text, "octets": pair.live.logical.length or -1}


def _dimensions(pair: Pair) -> Mapping[str, Any]:
    return {"exact": 4 * (pair.live.logical.length or 0)}


def _address(length: int) -> Options:
    return lambda pair: {"exact": length}


# (image, kind of the live column) → encoder and its options (None: not carried).
_ENCODERS: dict[tuple[Image, Kind], tuple[str, Options]] = {
    **{(image, kind): ("integer", _integer) for image in (Image.INT, Image.BOOL) for kind in _INTEGERS},
    (Image.INT, Kind.YEAR): ("year", _nothing),
    (Image.INT, Kind.DECIMAL): ("decimal", _decimal),
    (Image.BOOL, Kind.DECIMAL): ("decimal", _decimal),
    (Image.INT, Kind.FLOAT32): ("float", _floating),
    (Image.INT, Kind.FLOAT64): ("double", _floating),
    **{(Image.INT, kind): ("text", _digits) for kind in _TEXTS},
    (Image.FLOAT, Kind.FLOAT32): ("float", _floating),
    (Image.FLOAT, Kind.FLOAT64): ("double", _floating),
    (Image.DECIMAL, Kind.DECIMAL): ("decimal", _decimal),
    **{(Image.DECIMAL, kind): ("integer", _integer) for kind in _INTEGERS},
    **{(Image.DECIMAL, kind): ("text", _digits) for kind in _TEXTS},
    **{(Image.TEXT, kind): ("text", _text) for kind in _TEXTS},
    (Image.TEXT, Kind.ENUM): ("text", _label),
    **{(Image.TEXT, kind): ("bytes", _octets) for kind in (Kind.VARBINARY, Kind.BLOB)},
    **{(Image.BYTES, kind): ("bytes", _octets) for kind in _BYTES},
    (Image.BITS, Kind.BIT): ("bits", _width),
    **{(Image.BITS, kind): ("bytes", _octets) for kind in (Kind.VARBINARY, Kind.BLOB)},
    (Image.DATE, Kind.DATE): ("date", _infinities),
    (Image.DATE, Kind.DATETIME): ("datetime", _moment),
    (Image.TIMESTAMP, Kind.DATETIME): ("datetime", _moment),
    (Image.TIMESTAMPTZ, Kind.DATETIME): ("datetime", _moment),
    (Image.TIMESTAMPTZ, Kind.TIMESTAMP): ("datetime", _moment),
    (Image.DURATION, Kind.TIME): ("time", _span),
    **{(Image.INTERVAL, kind): ("interval", _interval) for kind in (Kind.VARCHAR, Kind.TEXT)},
    (Image.JSON, Kind.JSON): ("json", _json),
    **{(Image.JSON, kind): ("json", _json_text) for kind in (Kind.JSON_TEXT, Kind.TEXT)},
    (Image.JSON, Kind.VARCHAR): ("text", _text),
    **{(Image.UUID, kind): ("bytes", _sixteen) for kind in _BYTES},
    (Image.UUID, Kind.UUID): ("bytes", _address(16)),
    **{(Image.UUID, kind): ("uuid_text", _room(36)) for kind in _TEXTS},
    (Image.INET, Kind.INET4): ("bytes", _address(4)),
    (Image.INET, Kind.INET6): ("bytes", _address(16)),
    **{(Image.INET, kind): ("inet_text", _room(45)) for kind in (Kind.VARCHAR, Kind.TEXT)},
    (Image.SET, Kind.SET): ("set_text", _mask),
    **{(Image.SET, kind): ("set_text", _mask_text) for kind in (Kind.VARCHAR, Kind.TEXT)},
    (Image.SET_TEXT, Kind.SET): ("text", lambda pair: {"invalid": pair.policies.invalid_text}),
    **{(Image.SET_TEXT, kind): ("text", _text) for kind in _TEXTS},
    (Image.GEOMETRY, Kind.GEOMETRY): ("bytes", _nothing),
    (Image.GEOMETRY, Kind.BLOB): ("bytes", _octets),
    (Image.VECTOR, Kind.VECTOR): ("bytes", _dimensions),
    **{(Image.VECTOR, kind): ("bytes", _octets) for kind in (Kind.VARBINARY, Kind.BLOB)},
}


def choose(read: ReadColumn, target: TargetColumn, policies: Policies, server: Server) -> LoadSpec:
    """The encoder for values read as `read.image` into a column of the live type `target.type`.

    A target wider than the source's values takes them all, a narrower one those that fit; the others are a
    RowError when they come. Raises STRUCTURE_MISMATCH when there is no encoder for the pair: the values would
    have to be changed on the way.
    """
    live = LiveType.of(target)
    encoder, wanted = _ENCODERS.get((read.image, live.kind), ("", _nothing))
    options = wanted(Pair(read, target, live, policies, server)) if encoder else None
    if options is None:
        raise EngineError(
            Code.STRUCTURE_MISMATCH,
            f"{read.name} ({read.source.native_type}) cannot be carried exactly into {target.name}"
            f" ({target.type})",
            column=read.name,
            image=read.image.value,
            targetType=target.type,
        )
    chosen = {name: value for name, value in options.items() if value is not None}
    if not target.nullable:
        chosen["not_null"] = True
    return LoadSpec(read.name, encoder, chosen)


def needs_conversion(target: TargetColumn) -> bool:
    """Whether the column stores its text in another character set than UTF-8, or is JSON: its bytes have to
    be declared as what they are."""
    live = LiveType.of(target)
    if live.kind is Kind.JSON:
        return True
    texts = (*_TEXTS, Kind.ENUM, Kind.SET)
    return live.kind in texts and live.charset is not None and live.charset not in UTF8
