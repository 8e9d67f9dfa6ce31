# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Arrow record batches → rows of PostgreSQL's binary COPY.

Layout: PostgreSQL documentation, "COPY", "Binary Format": each row is an int16 field count, each field an
int32 length (-1 for NULL) and that many bytes; everything in network byte order. What a field's bytes mean is
the type's `*_recv` function, named at each encoder.

The row loop runs without the GIL over the batch's own buffers and writes into one buffer that is used again.
An encoder is named after what it writes; the Arrow type of the column decides how its values are read.
`ext/plain/pgcopy.py` says the same in plain Python.

The parts: pgcopy_fields.pxi (network byte order), pgcopy_numbers.pxi, pgcopy_times.pxi, pgcopy_text.pxi (text,
JSON, labels), pgcopy_shapes.pxi (bits, addresses, arrays, geometry); pgcopy_lines.pxi (text COPY instead of
binary), pgcopy_arrays.pxi (array literals for it); shared with mysqlload.pyx: row_encoder.pxi, row_memory.pxi,
arrow_layout.pxi, decimal_text.pxi, calendar_days.pxi, utf8_text.pxi, labels.pxi, address_text.pxi.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from ext.rowerror import RowError, printed

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"


class EncoderSpec(NamedTuple):
    """How one column is encoded. `encoder` is a name of ENCODERS. Options, each where it means something:

    precision, scale: of numeric(p,s). unit: microseconds a value must be a multiple of. width: bits of a bit
    string. chars, octets: the most a text may have. labels: of a set or an enum. element: the type oid of an
    array's elements. flag: integers must be 0 or 1. nul, invalid: the policies of text (refuse, strip,
    replace; `bytea` refuses, because such columns have become bytea). nan, infinity: what becomes of those a
    number type cannot hold (refuse, null). infinite: the target's intervals have infinities. In text COPY,
    delimiter: between elements of an array; bare: bytes are hexadecimal without the mark of a bytea.
    """

    column: str
    encoder: str
    options: Mapping[str, Any] = {}


cdef enum Kind:  # what is written
    INT2 = 1
    INT4
    INT8
    BOOL
    NUMERIC
    FLOAT4
    FLOAT8
    BYTEA
    TEXT
    JSONB
    BIT
    DATE
    TIMESTAMP
    INTERVAL
    INTERVAL_TEXT
    TIME
    UUID
    UUID_TEXT
    INET
    INET_TEXT
    SET_ARRAY
    SET_TEXT
    LIST_ARRAY
    EWKB
    FLOAT4_ARRAY
    ARRAY

ENCODERS = {
    "int2": INT2,
    "int4": INT4,
    "int8": INT8,
    "bool": BOOL,
    "numeric": NUMERIC,
    "float4": FLOAT4,
    "float8": FLOAT8,
    "bytea": BYTEA,
    "text": TEXT,
    "jsonb": JSONB,
    "bit": BIT,
    "date": DATE,
    "timestamp": TIMESTAMP,
    "interval": INTERVAL,
    "interval_text": INTERVAL_TEXT,
    "time": TIME,
    "uuid": UUID,
    "uuid_text": UUID_TEXT,
    "inet": INET,
    "inet_text": INET_TEXT,
    "set_array": SET_ARRAY,
    "set_text": SET_TEXT,
    "list_array": LIST_ARRAY,
    "ewkb": EWKB,
    "float4_array": FLOAT4_ARRAY,
}
# Of text COPY only: JSON as an array literal, and text that the type's input function reads.
TEXT_ENCODERS = {"array": ARRAY, "literal": TEXT}

cdef enum Problem:
    FINE = 0
    OUT_OF_RANGE
    NOT_BOOLEAN
    BAD_NUMBER
    SCALE_CUT
    FRACTION_CUT
    INEXACT
    NUL_BYTE
    INVALID_UTF8
    BAD_JSON
    BAD_LENGTH
    BAD_GEOMETRY
    UNKNOWN_LABEL
    TOO_LONG
    TOO_LARGE
    NOT_A_NUMBER
    INFINITE
    NO_MEMORY
    BROKEN

_REASONS = {
    OUT_OF_RANGE: "out-of-range",
    NOT_BOOLEAN: "not-boolean",
    BAD_NUMBER: "bad-number",
    SCALE_CUT: "scale-cut",
    FRACTION_CUT: "fraction-cut",
    INEXACT: "inexact",
    NUL_BYTE: "nul-byte",
    INVALID_UTF8: "invalid-utf8",
    BAD_JSON: "bad-json",
    BAD_LENGTH: "bad-length",
    BAD_GEOMETRY: "bad-geometry",
    UNKNOWN_LABEL: "unknown-label",
    TOO_LONG: "too-long",
    TOO_LARGE: "too-large",
    NOT_A_NUMBER: "nan",
    INFINITE: "infinite",
}

cdef enum TextPolicy:
    REFUSE = 0
    STRIP = 1
    REPLACE = 2

_TEXT_POLICIES = {"refuse": REFUSE, "strip": STRIP, "replace": REPLACE, "bytea": REFUSE}
_SPECIAL_POLICIES = {"refuse": 0, "null": 1, "sentinel": 0}

cdef enum:
    NUL_IS_BAD = 1
    # MaxAllocSize is 1 GiB - 1, for a field and for the tuple of a row; headers and padding come on top.
    MAX_FIELD = 0x3FFFFFFF - 64
    MAX_ROW = 0x3FFFFFFF - 1024
    MAX_BITS = 83886080  # MaxAttrSize * 8, varbit.c
    # Of a number's text: NUMERIC holds 131072 before the point and 16383 behind it. In binary form it is
    # taken with at most NUMERIC_MAX_PRECISION + NUMERIC_MAX_RESULT_SCALE groups of four (numeric_recv).
    MAX_DIGITS = 131072 + 16383 + 2
    MAX_GROUPS = 3000
    MAX_SCALE = 16383


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
    int64_t bits              # of a bit string on the target
    int decimal_scale         # of the Arrow type
    int typed                 # numeric(p,s): the next two hold
    int64_t scale             # fraction digits that fit; less than 0: so many zeros must end the number
    int64_t integers          # digits that fit before the point (less than 0: zeros that must follow it)
    int64_t unit              # microseconds a value must be a multiple of; 0: any
    int flag
    int64_t chars             # the most a text may have; 0: any
    int64_t octets
    uint32_t element
    int nul
    int invalid
    int nan
    int infinity
    int infinite
    int bare
    uint8_t delimiter
    const int32_t *months     # of PARTS, each already at the slice's first
    const int32_t *days
    const int64_t *micros
    const uint8_t *labels     # int32 length and bytes, one after the other
    int64_t label_count
    int32_t *buckets          # enum: hash → 1 + offset into `labels`
    uint64_t bucket_mask
    int64_t changed_nul
    int64_t changed_invalid
    int64_t changed_nan
    int64_t changed_infinity


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
    **dict.fromkeys(("int2", "int4", "int8", "numeric"), _WHOLE),
    "bool": _INTEGER_FORMS | _BYTES_FORMS,
    "float4": _INTEGER_FORMS | {F32, F64},
    "float8": _INTEGER_FORMS | {F32, F64},
    "text": _WHOLE,
    **dict.fromkeys(("set_array", "set_text"), _INTEGER_FORMS),
    "date": frozenset((DAYS,)),
    "timestamp": frozenset((MICROS, DAYS)),
    "interval": frozenset((SPAN, PARTS)),
    "interval_text": frozenset((PARTS,)),
    "time": frozenset((SPAN,)),
    **dict.fromkeys(("jsonb", "list_array", "array"), frozenset((NEAR, FAR))),
    "literal": _WHOLE,
    **dict.fromkeys(
        ("bytea", "bit", "uuid", "uuid_text", "inet", "inet_text", "ewkb", "float4_array"), _BYTES_FORMS
    ),
}


include "pgcopy_fields.pxi"
include "pgcopy_numbers.pxi"
include "pgcopy_times.pxi"
include "pgcopy_text.pxi"
include "pgcopy_shapes.pxi"
include "pgcopy_lines.pxi"
include "pgcopy_arrays.pxi"


cdef class CopyEncoder(_RowEncoder):
    """Encodes batches of one shape as rows of COPY.

    specs: one a column, in the batches' order. text: rows of text COPY instead of binary. `counters` is
    (column, policy) → values changed by a policy.
    """

    cdef readonly bint text

    def __cinit__(self, specs, *, text=False):
        self.text = text
        specs = [EncoderSpec(*spec) for spec in specs]
        if len(specs) > 1600:
            raise ValueError(f"{len(specs)} columns; a table of PostgreSQL has at most 1600")
        self._begin(specs)

    cdef int _prepare(self, Field *field, spec, dict options) except -1:
        known = {**ENCODERS, **TEXT_ENCODERS} if self.text else ENCODERS
        if spec.encoder not in known:
            raise ValueError(f"{spec.column}: no encoder {spec.encoder!r}")
        field.kind = known[spec.encoder]
        field.bare = options.pop("bare", False)
        field.delimiter = ord(options.pop("delimiter", ","))
        precision, scale = options.pop("precision", None), options.pop("scale", None)
        if precision is not None:
            field.typed = 1
            field.scale = scale or 0
            field.integers = precision - (scale or 0)
        field.bits = options.pop("width", 1)
        if not 0 < field.bits <= MAX_BITS:
            raise ValueError(f"{spec.column}: a bit string of {field.bits} bits")
        field.unit = options.pop("unit", 0)
        field.flag = options.pop("flag", False)
        field.chars = options.pop("chars", 0)
        field.octets = options.pop("octets", 0)
        field.element = options.pop("element", 25)
        field.nul = _TEXT_POLICIES[options.pop("nul", "refuse")]
        field.invalid = _TEXT_POLICIES[options.pop("invalid", "refuse")]
        field.nan = _SPECIAL_POLICIES[options.pop("nan", "refuse")]
        field.infinity = _SPECIAL_POLICIES[options.pop("infinity", "refuse")]
        field.infinite = options.pop("infinite", False)
        return 0

    cdef int _write(self, Out *out, Py_ssize_t rows, Py_ssize_t *row, Py_ssize_t *column) noexcept nogil:
        if self.text:
            return _lines(out, &self.scratch, self.fields, self.count, rows, row, column)
        return _rows(out, self.fields, self.count, rows, row, column)


cdef inline int _of_sets(int kind) noexcept nogil:
    return kind == SET_ARRAY or kind == SET_TEXT


# ---------------------------------------------------------------- rows


cdef int _rows(
    Out *out, Field *fields, Py_ssize_t count, Py_ssize_t rows, Py_ssize_t *at, Py_ssize_t *column
) noexcept nogil:
    cdef Py_ssize_t row, number
    cdef Field *field
    cdef int64_t bit
    cdef int problem
    cdef size_t begun
    cdef size_t narrow = 2 + <size_t> count * 24  # any field of fixed width, and every length word
    for row in range(rows):
        at[0] = row
        if not _room(out, narrow):
            return NO_MEMORY
        begun = out.used
        put16(out.data + out.used, <uint16_t> count)
        out.used += 2
        for number in range(count):
            field = &fields[number]
            bit = field.first + row
            if _is_null(field, bit):
                _length(out, 0xFFFFFFFF)
                continue
            problem = _field(out, field, bit, narrow)
            if not problem and out.used - begun > MAX_ROW:
                problem = TOO_LARGE
            if problem:
                column[0] = number
                return problem
    return FINE


cdef inline int _field(Out *out, Field *field, int64_t at, size_t narrow) noexcept nogil:
    """One value that is not NULL. There is room for `narrow` bytes, and must be for what is left of it after."""
    cdef int64_t length
    cdef const uint8_t *value
    cdef int problem
    cdef int form = field.form
    if form == I64 and field.kind == INT8 and not field.flag:
        put_field64(out.data + out.used, <uint64_t> (<const int64_t *> field.values)[at])
        out.used += 12
        return FINE
    if form <= BITMAP:
        return _from_integer(out, field, at, narrow)
    if form == F32 or form == F64:
        return _from_float(out, field, at)
    if form == MICROS:
        return _timestamp(out, field, (<const int64_t *> field.values)[at])
    if form == DAYS:
        return _days(out, field, (<const int32_t *> field.values)[at])
    if form == SPAN:
        return _span(out, field, (<const int64_t *> field.values)[at])
    if form == PARTS:
        return _parts(out, field, at)
    if form == DECIMAL_WORDS:
        return _from_decimal(out, field, at, narrow)
    problem = _value(field, at, &value, &length)
    if length > MAX_FIELD:
        return TOO_LARGE
    if problem:
        return problem
    return _from_bytes(out, field, value, length, narrow)


cdef inline int _from_bytes(
    Out *out, Field *field, const uint8_t *value, int64_t length, size_t narrow
) noexcept nogil:
    cdef int kind = field.kind
    # What fits here always: the value itself, its length word and the head of an array. More is asked for by
    # those that write more.
    if not _room(out, <size_t> length + narrow + 64):
        return NO_MEMORY
    if kind == TEXT:
        return _text(out, field, value, length, narrow)
    if kind == NUMERIC:
        return _numeric(out, field, value, length)
    if kind == BYTEA:
        _bytes(out, value, length)
        return FINE
    if kind == JSONB:
        return _jsonb(out, value, length)
    if kind == BIT:
        return _bit(out, field, value, length, narrow)
    if kind == UUID or kind == UUID_TEXT:
        return _uuid(out, field, value, length)
    if kind == INET or kind == INET_TEXT:
        return _inet(out, field, value, length)
    if kind == EWKB:
        return _ewkb(out, value, length)
    if kind == FLOAT4_ARRAY:
        return _float4_array(out, value, length, narrow)
    if kind == LIST_ARRAY:
        return _list(out, field, value, length, narrow)
    if kind == ARRAY:
        return _array_literal(out, field, value, length, narrow)
    if kind == BOOL:
        return _bit_as_bool(out, value, length)
    return _integer_text(out, field, value, length)
