# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Arrow record batches → rows of LOAD DATA text.

The form: MySQL Reference Manual, "LOAD DATA Statement", with FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES
TERMINATED BY '\\n' and CHARACTER SET binary: a byte is a byte whatever column it goes into, NULL is `\\N`, and
only tab, newline and backslash are escaped. The same fields are good inside a quoted string of SQL once `'` is
escaped too.

The server cuts, clamps and rounds what does not fit, some of it with a Note only; an encoder knows the limits
of the column it writes for and refuses such a value, naming row and column.

The row loop runs without the GIL over the batch's own buffers and writes into one buffer that is used again.
An encoder is named after what it writes; the Arrow type of the column decides how its values are read.
`ext/plain/mysqlload.py` says the same in plain Python.

The parts: mysqlload_numbers.pxi, mysqlload_times.pxi, mysqlload_text.pxi (text, bytes, JSON, labels); shared with
pgcopy.pyx: row_encoder.pxi, row_memory.pxi, arrow_layout.pxi, decimal_text.pxi, calendar_days.pxi, utf8_text.pxi,
labels.pxi, address_text.pxi.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from ext.rowerror import RowError, printed


class LoadSpec(NamedTuple):
    """How one column is encoded. `encoder` is a name of ENCODERS. Options, each where it means something:

    not_null: NULL is refused. least, most: the range of an integer. precision, scale, unsigned: of a decimal.
    flag: integers must be 0 or 1. unit: microseconds a value must be a multiple of. first, last: the range of
    a moment or a time, in microseconds. low, high: what -infinity and infinity become (refuse, null, zero: the
    date of zeros, first, last: the ends of the calendar). nan: what NaN and the infinities of numbers become (refuse,
    null). chars, octets: the most a text or a binary value may have; exact: the octets it must have. width:
    bits of a bit string. blanks: a text that ends in a blank is refused. bmp: so are characters beyond the
    basic plane. labels: of an enum or a set. invalid: the policy for bytes that are no UTF-8 (refuse,
    replace; `bytea` refuses). exact_numbers: JSON numbers that neither 64 bits nor a double hold are refused.
    """

    column: str
    encoder: str
    options: Mapping[str, Any] = {}


cdef enum Kind:  # what is written
    INTEGER = 1
    YEAR
    DECIMAL
    FLOAT
    DOUBLE
    TEXT
    BYTES
    BITS
    DATE
    DATETIME
    TIME
    INTERVAL
    UUID_TEXT
    INET_TEXT
    SET_TEXT
    JSON

ENCODERS = {
    "integer": INTEGER,
    "year": YEAR,
    "decimal": DECIMAL,
    "float": FLOAT,
    "double": DOUBLE,
    "text": TEXT,
    "bytes": BYTES,
    "bits": BITS,
    "date": DATE,
    "datetime": DATETIME,
    "time": TIME,
    "interval": INTERVAL,
    "uuid_text": UUID_TEXT,
    "inet_text": INET_TEXT,
    "set_text": SET_TEXT,
    "json": JSON,
}

cdef enum Problem:
    FINE = 0
    IS_NULL  # the policy makes it NULL
    OUT_OF_RANGE
    NOT_BOOLEAN
    BAD_NUMBER
    SCALE_CUT
    FRACTION_CUT
    INEXACT
    INVALID_UTF8
    BAD_JSON
    BAD_LENGTH
    UNKNOWN_LABEL
    TOO_LONG
    BLANKS_CUT
    NOT_IN_CHARSET
    NOT_A_NUMBER
    INFINITE
    NULL_REFUSED
    NO_MEMORY
    BROKEN

_REASONS = {
    OUT_OF_RANGE: "out-of-range",
    NOT_BOOLEAN: "not-boolean",
    BAD_NUMBER: "bad-number",
    SCALE_CUT: "scale-cut",
    FRACTION_CUT: "fraction-cut",
    INEXACT: "inexact",
    INVALID_UTF8: "invalid-utf8",
    BAD_JSON: "bad-json",
    BAD_LENGTH: "bad-length",
    UNKNOWN_LABEL: "unknown-label",
    TOO_LONG: "too-long",
    BLANKS_CUT: "blanks-cut",
    NOT_IN_CHARSET: "not-in-charset",
    NOT_A_NUMBER: "nan",
    INFINITE: "infinity",
    NULL_REFUSED: "null-refused",
}

cdef enum Policy:
    REFUSE = 0
    AS_NULL
    AS_ZERO
    AS_FIRST
    AS_LAST
    REPLACE

_POLICIES = {
    "refuse": REFUSE,
    "null": AS_NULL,
    "zero": AS_ZERO,
    "first": AS_FIRST,
    "last": AS_LAST,
    "replace": REPLACE,
    "bytea": REFUSE,
}

cdef enum:
    NUL_IS_BAD = 0
    MAX_DIGITS = 20000  # of a number's text; PostgreSQL's have up to 147,455 that no column here could hold
    NARROW = 48  # bytes a value of fixed width takes at most, with its separator


cdef struct Field:
    int kind
    int form
    const uint8_t *valid      # bitmap, NULL when every value is there
    const uint8_t *values
    int64_t values_size       # bytes
    const int32_t *near       # offsets of variable-width values: one of the two
    const int64_t *far
    int64_t first             # the slice's offset into all of them
    int64_t width             # bytes of a fixed-width value
    int decimal_scale         # of the Arrow type
    const int32_t *months     # of PARTS, each already at the slice's first
    const int32_t *days
    const int64_t *micros
    int not_null
    uint64_t least            # magnitude of the negative end
    uint64_t most
    int64_t integers          # digits that fit before the point
    int64_t scale             # behind it
    int is_unsigned
    int flag
    int64_t unit              # microseconds a value must be a multiple of; 0: any
    int64_t first_moment
    int64_t last_moment
    int low
    int high
    int nan
    int64_t chars             # the most a text may have; less than 0: any
    int64_t octets
    int64_t exact             # octets; less than 0: any
    int64_t bits
    int blanks
    int bmp
    int exact_numbers
    int invalid
    const uint8_t *labels     # int32 length and bytes, one after the other
    int64_t label_count
    int32_t *buckets          # hash → 1 + offset into `labels`
    uint64_t bucket_mask
    int64_t changed_infinity
    int64_t changed_nul       # none: a text may hold it
    int64_t changed_nan
    int64_t changed_invalid


include "row_memory.pxi"
include "arrow_layout.pxi"
include "decimal_text.pxi"
include "calendar_days.pxi"
include "utf8_text.pxi"
include "labels.pxi"
include "address_text.pxi"
include "row_encoder.pxi"

# encoder → the forms it reads
_READS = {
    **dict.fromkeys(("integer", "decimal", "text"), _WHOLE),
    **dict.fromkeys(("year", "set_text"), _INTEGER_FORMS),
    **dict.fromkeys(("float", "double"), _INTEGER_FORMS | {F32, F64}),
    "date": frozenset((DAYS,)),
    "datetime": frozenset((MICROS, DAYS)),
    "time": frozenset((SPAN,)),
    "interval": frozenset((PARTS,)),
    "json": frozenset((NEAR, FAR)),
    **dict.fromkeys(("bytes", "bits", "uuid_text", "inet_text"), _BYTES_FORMS),
}


include "mysqlload_numbers.pxi"
include "mysqlload_times.pxi"
include "mysqlload_text.pxi"


cdef class LoadEncoder(_RowEncoder):
    """Encodes batches of one shape as rows of LOAD DATA.

    specs: one a column, in the batches' order. `counters` is (column, policy) → values changed by a policy.
    """

    def __cinit__(self, specs):
        specs = [LoadSpec(*spec) for spec in specs]
        if not 0 < len(specs) <= 4096:
            raise ValueError(f"{len(specs)} columns; a table of MySQL has 1 to 4096")
        self._begin(specs)

    cdef int _prepare(self, Field *field, spec, dict options) except -1:
        if spec.encoder not in ENCODERS:
            raise ValueError(f"{spec.column}: no encoder {spec.encoder!r}")
        field.kind = ENCODERS[spec.encoder]
        field.not_null = options.pop("not_null", False)
        field.least = -options.pop("least", -(2**63))
        field.most = options.pop("most", 2**63 - 1)
        precision, scale = options.pop("precision", 65), options.pop("scale", 0)
        field.scale = scale
        field.integers = precision - scale
        field.is_unsigned = options.pop("unsigned", False)
        field.flag = options.pop("flag", False)
        field.unit = options.pop("unit", 0)
        field.first_moment = options.pop("first", CALENDAR_FIRST if field.kind != TIME else -TIME_LAST)
        field.last_moment = options.pop("last", CALENDAR_LAST if field.kind != TIME else TIME_LAST)
        field.low = _POLICIES[options.pop("low", "refuse")]
        field.high = _POLICIES[options.pop("high", "refuse")]
        field.nan = _POLICIES[options.pop("nan", "refuse")]
        field.chars = options.pop("chars", -1)
        field.octets = options.pop("octets", -1)
        field.exact = options.pop("exact", -1)
        field.bits = options.pop("width", 64)
        field.blanks = options.pop("blanks", False)
        field.bmp = options.pop("bmp", False)
        field.exact_numbers = options.pop("exact_numbers", False)
        field.invalid = _POLICIES[options.pop("invalid", "refuse")]
        return 0

    cdef int _write(self, Out *out, Py_ssize_t rows, Py_ssize_t *row, Py_ssize_t *column) noexcept nogil:
        return _rows(out, &self.scratch, self.fields, self.count, rows, row, column)


cdef inline int _of_sets(int kind) noexcept nogil:
    return kind == SET_TEXT


# ---------------------------------------------------------------- rows


cdef int _rows(
    Out *out, Out *scratch, Field *fields, Py_ssize_t count, Py_ssize_t rows, Py_ssize_t *at, Py_ssize_t *column
) noexcept nogil:
    cdef Py_ssize_t row, number
    cdef Field *field
    cdef int64_t bit
    cdef int problem
    cdef size_t narrow = <size_t> count * NARROW  # whatever of a row has a fixed width
    for row in range(rows):
        at[0] = row
        if not _room(out, narrow):
            return NO_MEMORY
        for number in range(count):
            field = &fields[number]
            bit = field.first + row
            if _is_null(field, bit):
                problem = IS_NULL
            elif field.form == PARTS:
                problem = _interval(out, field, row)
            else:
                problem = _field(out, scratch, field, bit, narrow)
            if problem:
                if problem == IS_NULL and field.not_null:
                    problem = NULL_REFUSED
                if problem != IS_NULL:
                    column[0] = number
                    return problem
                out.data[out.used] = 92
                out.data[out.used + 1] = 78
                out.used += 2
            out.data[out.used] = 9
            out.used += 1
        out.data[out.used - 1] = 10
    return FINE


cdef inline int _field(Out *out, Out *scratch, Field *field, int64_t at, size_t narrow) noexcept nogil:
    """One value that is not NULL. There is room for `narrow` bytes, and must be for what is left of it after."""
    cdef int64_t length
    cdef const uint8_t *value
    cdef int problem
    cdef int form = field.form
    if form <= BITMAP:
        return _from_integer(out, field, at, narrow)
    if form == F32 or form == F64:
        return _from_float(out, field, at)
    if form == MICROS:
        return _moment(out, field, (<const int64_t *> field.values)[at])
    if form == DAYS:
        return _day(out, field, (<const int32_t *> field.values)[at])
    if form == SPAN:
        return _span(out, field, (<const int64_t *> field.values)[at])
    if form == DECIMAL_WORDS:
        return _from_words(out, field, at, narrow)
    problem = _value(field, at, &value, &length)
    if problem:
        return problem
    if field.kind == TEXT or field.kind == JSON:
        return _text(out, scratch, field, value, length, narrow)
    if field.kind == DECIMAL or field.kind == INTEGER:
        return _from_digits(out, field, value, length)
    if field.kind == BYTES:
        return _bytes(out, field, value, length, narrow)
    if field.kind == BITS:
        return _bits(out, field, value, length, narrow)
    if field.kind == UUID_TEXT:
        return _uuid(out, value, length)
    return _inet(out, value, length)
