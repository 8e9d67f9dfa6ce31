"""DuckDB's type names → what a column of a file is: its meaning, its image, and the SQL that makes it.

The one table for inferred and overridden columns of text formats. Integers, dates and so on are DuckDB's own;
`DECIMAL(p,s)` may have more than its 38 digits, since such a column travels as text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from engine.errors import Code, EngineError
from engine.types import Image, Kind, LogicalType

INTERVAL = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])
MAX_DECIMAL = 38  # digits DuckDB computes with


@dataclass(frozen=True, slots=True)
class FileType:
    """One column type.

    sql: the DuckDB type a text is cast to ('' is none: it stays text). valid: a condition on the text
    `{c}` that says it is exactly a value of the type, nothing rounded or cut. made: from the value `{v}` of
    type `sql`, what travels in `arrow`.
    """

    name: str  # as a person writes it, normalised
    logical: LogicalType
    image: Image
    arrow: pa.DataType
    sql: str
    valid: str
    made: str = "{v}"
    parse: str = ""  # from the text {c}; default: CAST({c} AS sql)
    carrier: pa.DataType | None = None  # what DuckDB gives, where Arrow makes `arrow` of it

    def parsed(self, text: str) -> str:
        """The value of type `sql` from the SQL expression of a text."""
        if self.parse:
            return self.parse.replace("{c}", text)
        return f"CAST({text} AS {self.sql})" if self.sql else text

    def is_valid(self, text: str) -> str:
        return self.valid.replace("{c}", text)

    def sent(self, value: str) -> str:
        """The expression whose result DuckDB gives as Arrow."""
        return self.made.replace("{v}", value)


def _integer(name: str, kind: Kind, arrow: pa.DataType, unsigned: bool = False) -> FileType:
    valid = f"TRY_CAST({{c}} AS {name}) IS NOT NULL AND regexp_full_match({{c}}, '[+-]?[0-9]+')"
    return FileType(name, LogicalType(kind, unsigned=unsigned), Image.INT, arrow, name, valid)


def decimal(precision: int, scale: int) -> FileType:
    """DECIMAL(p,s): numbers of at most s fraction digits and p-s others; anything else is not valid."""
    name = f"DECIMAL({precision},{scale})"
    logical = LogicalType(Kind.DECIMAL, precision=precision, scale=scale)
    whole = precision - scale
    fraction = f"(\\.[0-9]{{0,{scale}}}0*)?" if scale else "(\\.0*)?"
    number = f"'[+-]?0*[0-9]{{0,{whole}}}{fraction}'"
    valid = f"regexp_full_match({{c}}, {number}) AND regexp_matches({{c}}, '[0-9]')"
    if precision > MAX_DECIMAL or scale > MAX_DECIMAL:
        # As text: an encoder takes digits with a sign and a point, as they stand.
        return FileType(name, logical, Image.DECIMAL, pa.string(), "", valid, parse="ltrim({c}, '+')")
    return FileType(name, logical, Image.DECIMAL, pa.decimal128(precision, scale), name, valid)


_TS = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?"
_ZONE = r" ?(Z|z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?"
_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def _temporal(
    name: str, kind: Kind, image: Image, arrow: pa.DataType, pattern: str, made: str, carrier: pa.DataType
) -> FileType:
    valid = f"(regexp_full_match({{c}}, '{pattern}') AND TRY_CAST({{c}} AS {name}) IS NOT NULL)"
    if name in ("DATE", "TIMESTAMP"):
        # What prints as it stands costs no regular expression; the years are those with four digits.
        printed = f"CAST(TRY_CAST({{c}} AS {name}) AS VARCHAR) = {{c}} AND strlen({{c}}) <= 26"
        valid = f"(CASE WHEN {printed} THEN {{c}} < 'A' AND NOT contains({{c}}, '(') ELSE {valid} END)"
    fraction = 0 if kind is Kind.DATE else 6
    return FileType(
        name, LogicalType(kind, fraction=fraction), image, arrow, name, valid, made, carrier=carrier
    )


VARCHAR = FileType("VARCHAR", LogicalType(Kind.TEXT), Image.TEXT, pa.string(), "", "true")
BOOLEAN = FileType(
    "BOOLEAN", LogicalType(Kind.BOOL), Image.BOOL, pa.bool_(), "BOOLEAN", "lower({c}) IN ('true', 'false')"
)
BIGINT = _integer("BIGINT", Kind.INT64, pa.int64())
DOUBLE = FileType(
    "DOUBLE",
    LogicalType(Kind.FLOAT64),
    Image.FLOAT,
    pa.float64(),
    "DOUBLE",
    "TRY_CAST({c} AS DOUBLE) IS NOT NULL AND regexp_full_match({c},"
    " '[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?|(?i)[+-]?(nan|inf|infinity)')",
)
FLOAT = FileType(
    "FLOAT",
    LogicalType(Kind.FLOAT32),
    Image.FLOAT,
    pa.float32(),
    "FLOAT",
    DOUBLE.valid.replace("DOUBLE", "FLOAT"),
)
DATE = _temporal("DATE", Kind.DATE, Image.DATE, pa.date32(), _DATE, "{v}", pa.date32())
TIMESTAMP = _temporal(
    "TIMESTAMP", Kind.DATETIME, Image.TIMESTAMP, pa.timestamp("us"), _TS, "{v}", pa.timestamp("us")
)
TIMESTAMPTZ = _temporal(
    "TIMESTAMPTZ",
    Kind.TIMESTAMP,
    Image.TIMESTAMPTZ,
    pa.timestamp("us", "UTC"),
    _TS + _ZONE,
    "{v}",
    pa.timestamp("us", "UTC"),
)
TIME = _temporal(
    "TIME", Kind.TIME_OF_DAY, Image.DURATION, pa.duration("us"), _TIME, "epoch_us({v})", pa.int64()
)
UUID = FileType(
    "UUID",
    LogicalType(Kind.UUID),
    Image.UUID,
    pa.binary(),
    "UUID",
    f"regexp_full_match({{c}}, '{_UUID}')",
    "unhex(replace(CAST({v} AS VARCHAR), '-', ''))",
)
JSON = FileType("JSON", LogicalType(Kind.JSON_TEXT), Image.JSON, pa.string(), "", "json_valid({c})")
BLOB = FileType(
    "BLOB",
    LogicalType(Kind.BLOB),
    Image.BYTES,
    pa.binary(),
    "BLOB",
    "TRY(from_base64({c})) IS NOT NULL",
    parse="from_base64({c})",
)
INTERVAL_TYPE = FileType(
    "INTERVAL",
    LogicalType(Kind.INTERVAL, fraction=6),
    Image.INTERVAL,
    INTERVAL,
    "INTERVAL",
    "TRY_CAST({c} AS INTERVAL) IS NOT NULL",
    "CASE WHEN {v} IS NULL THEN NULL ELSE {'months': CAST(datepart('year', {v}) * 12 +"
    " datepart('month', {v}) AS INTEGER), 'days': CAST(datepart('day', {v}) AS INTEGER), 'microseconds':"
    " CAST(datepart('hour', {v}) * 3600000000 + datepart('minute', {v}) * 60000000 +"
    " datepart('microsecond', {v}) AS BIGINT)} END",
)

_PLAIN = {
    kind.name: kind
    for kind in (
        _integer("TINYINT", Kind.INT8, pa.int8()),
        _integer("SMALLINT", Kind.INT16, pa.int16()),
        _integer("INTEGER", Kind.INT32, pa.int32()),
        BIGINT,
        _integer("UTINYINT", Kind.INT8, pa.uint8(), True),
        _integer("USMALLINT", Kind.INT16, pa.uint16(), True),
        _integer("UINTEGER", Kind.INT32, pa.uint32(), True),
        _integer("UBIGINT", Kind.INT64, pa.uint64(), True),
        *(VARCHAR, BOOLEAN, DOUBLE, FLOAT, DATE, TIMESTAMP, TIMESTAMPTZ, TIME, UUID, JSON, BLOB),
        INTERVAL_TYPE,
    )
}
_ALIASES = {
    **{"INT1": "TINYINT", "INT2": "SMALLINT", "SHORT": "SMALLINT", "INT": "INTEGER", "INT4": "INTEGER"},
    **{"SIGNED": "INTEGER", "INT8": "BIGINT", "LONG": "BIGINT", "BOOL": "BOOLEAN", "LOGICAL": "BOOLEAN"},
    **{"TEXT": "VARCHAR", "STRING": "VARCHAR", "CHAR": "VARCHAR", "BPCHAR": "VARCHAR", "REAL": "FLOAT"},
    **{"FLOAT4": "FLOAT", "FLOAT8": "DOUBLE", "DATETIME": "TIMESTAMP", "BYTEA": "BLOB", "BINARY": "BLOB"},
    **{"VARBINARY": "BLOB", "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "NUMERIC": "DECIMAL"},
}
_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC|DEC)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?")
_FORMATTED = re.compile(r"(DATE|TIMESTAMP|TIME)\s+'([^']+)'", re.IGNORECASE)
_HUGE = {"HUGEINT": 39, "UHUGEINT": 39}


def named(text: str) -> FileType:
    """The type a user names. VALIDATION_FAILED for one that is unknown or cannot be read from text.

    Beside DuckDB's names: `DATE '%d/%m/%Y'` and `TIMESTAMP '…'`, with the format the texts have.
    """
    name = " ".join(text.strip().upper().split())
    name = _ALIASES.get(name, name)
    if name in _PLAIN:
        return _PLAIN[name]
    if name in _HUGE:
        return decimal(_HUGE[name], 0)
    if match := _DECIMAL.fullmatch(name):
        precision, scale = int(match[1] or 18), int(match[2] or (0 if match[1] else 3))
        if 1 <= precision <= 1000 and scale <= precision:
            return decimal(precision, scale)
    if match := _FORMATTED.fullmatch(text.strip()):
        return formatted(match[1].upper(), match[2])
    if re.fullmatch(r"(VARCHAR|CHAR|TEXT)\s*\(\s*\d+\s*\)", name):
        return VARCHAR  # DuckDB ignores the length as well
    raise EngineError(
        Code.VALIDATION_FAILED,
        f"columns: {text!r} is no type that a file's text can be read as",
        field="columns",
        supported=sorted([*_PLAIN, "DECIMAL(p,s)", "DATE '<format>'", "TIMESTAMP '<format>'"]),
    )


def formatted(name: str, pattern: str) -> FileType:
    """A date or moment whose texts have a strptime format."""
    plain = _PLAIN[name]
    literal = "'" + pattern.replace("'", "''") + "'"
    parsed = f"CAST(try_strptime({{c}}, {literal}) AS {name})"
    return FileType(
        f"{name} '{pattern}'",
        plain.logical,
        plain.image,
        plain.arrow,
        plain.sql,
        f"try_strptime({{c}}, {literal}) IS NOT NULL",
        plain.made,
        parse=parsed,
        carrier=plain.carrier,
    )
