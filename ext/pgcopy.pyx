# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Arrow record batches → rows of PostgreSQL's binary COPY.

Layout: PostgreSQL documentation, "COPY", "Binary Format": each row is an int16 field count, each field an
int32 length (-1 for NULL) and that many bytes; everything in network byte order. What a field's bytes mean is
the type's `*_recv` function, named at each encoder below.

The row loop runs without the GIL over the batch's own buffers and writes into one buffer that is used again.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ext.rowerror import RowError

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #define DAY 86400000000LL
    #define EPOCH_2000 946684800000000LL
    #define MIN_TIMESTAMP (-211813488000000000LL)
    #define END_TIMESTAMP 9223371331200000000LL
    static inline void put16(uint8_t *p, uint16_t v) { v = __builtin_bswap16(v); memcpy(p, &v, 2); }
    static inline void put32(uint8_t *p, uint32_t v) { v = __builtin_bswap32(v); memcpy(p, &v, 4); }
    static inline void put64(uint8_t *p, uint64_t v) { v = __builtin_bswap64(v); memcpy(p, &v, 8); }
    /* 8 bytes at once: any high bit set, or any byte zero */
    static inline int plain_ascii8(const uint8_t *p) {
        uint64_t w; memcpy(&w, p, 8);
        return !((w & 0x8080808080808080ULL) | ((w - 0x0101010101010101ULL) & ~w & 0x8080808080808080ULL));
    }
    """
    const int64_t DAY, EPOCH_2000, MIN_TIMESTAMP, END_TIMESTAMP  # microseconds; datatype/timestamp.h
    void put16(uint8_t *p, uint16_t v) nogil
    void put32(uint8_t *p, uint32_t v) nogil
    void put64(uint8_t *p, uint64_t v) nogil
    int plain_ascii8(const uint8_t *p) nogil


class EncoderSpec(NamedTuple):
    """How one column is encoded. `encoder` is a name of ENCODERS; `options` what it needs."""

    column: str
    encoder: str
    options: Mapping[str, Any] = {}


# The way a value is written. Names are the wire types of PostgreSQL; see `_plan` for what each one reads.
cdef enum Kind:
    INT2 = 1
    INT4
    INT8
    BOOL
    NUMERIC_INT
    NUMERIC_UINT
    NUMERIC_TEXT
    FLOAT4
    FLOAT8
    BYTES
    TEXT
    JSON
    JSONB
    BIT
    DATE
    TIMESTAMP
    INTERVAL
    TIME
    UUID
    INET
    SET_ARRAY
    SET_TEXT
    LIST_ARRAY
    EWKB
    FLOAT4_ARRAY

ENCODERS = {
    "int2": INT2,
    "int4": INT4,
    "int8": INT8,
    "bool": BOOL,
    "numeric_int": NUMERIC_INT,
    "numeric_uint": NUMERIC_UINT,
    "numeric": NUMERIC_TEXT,
    "float4": FLOAT4,
    "float8": FLOAT8,
    "bytea": BYTES,
    "text": TEXT,
    "json": JSON,
    "jsonb": JSONB,
    "bit": BIT,
    "date": DATE,
    "timestamp": TIMESTAMP,
    "interval": INTERVAL,
    "time": TIME,
    "uuid": UUID,
    "inet": INET,
    "set_array": SET_ARRAY,
    "set_text": SET_TEXT,
    "list_array": LIST_ARRAY,
    "ewkb": EWKB,
    "float4_array": FLOAT4_ARRAY,
}

cdef enum Problem:
    FINE = 0
    OUT_OF_RANGE
    NOT_BOOLEAN
    BAD_NUMBER
    SCALE_CUT
    FRACTION_CUT
    NUL_BYTE
    INVALID_UTF8
    BAD_JSON
    BAD_LENGTH
    UNKNOWN_LABEL
    TOO_LARGE
    NO_MEMORY

_REASONS = {
    OUT_OF_RANGE: "out-of-range",
    NOT_BOOLEAN: "not-boolean",
    BAD_NUMBER: "bad-number",
    SCALE_CUT: "scale-cut",
    FRACTION_CUT: "fraction-cut",
    NUL_BYTE: "nul-byte",
    INVALID_UTF8: "invalid-utf8",
    BAD_JSON: "bad-json",
    BAD_LENGTH: "bad-length",
    UNKNOWN_LABEL: "unknown-label",
    TOO_LARGE: "too-large",
}

cdef enum TextPolicy:
    REFUSE = 0
    STRIP = 1
    REPLACE = 2

_TEXT_POLICIES = {"refuse": REFUSE, "strip": STRIP, "replace": REPLACE, "bytea": REFUSE}

cdef enum:
    MAX_FIELD = 0x3FFFFFFF  # MaxAllocSize, 1 GiB - 1
    MAX_DIGITS = 1000  # of a number's text; MySQL has 65
    KEEP = 64 << 20  # a buffer grown past this by a giant batch is given back


cdef struct Field:
    int kind
    const uint8_t *valid      # bitmap, NULL when every value is there
    const uint8_t *values
    const int32_t *offsets32  # of variable-width values: one of the two
    const int64_t *offsets64
    int64_t first             # the slice's offset into all of them
    int64_t width             # bytes of a fixed-width binary; bits of BIT
    int64_t scale             # fraction digits that fit; -1: any
    int64_t unit              # microseconds a value must be a multiple of; 0: any
    int nul
    int invalid
    const uint8_t *labels     # of a set: int32 length and bytes, one after the other
    int64_t label_count
    int64_t changed_nul
    int64_t changed_invalid


cdef struct Out:
    uint8_t *data
    size_t used
    size_t size


cdef class CopyEncoder:
    """Encodes batches of one shape.

    specs: one a column, in the batches' order. `counters` is (column, policy) → values changed by a policy.
    """

    cdef Field *fields
    cdef Py_ssize_t count
    cdef Out out
    cdef Py_ssize_t exported
    cdef list specs
    cdef list labels
    cdef readonly dict counters

    def __cinit__(self, specs):
        self.specs = list(specs)
        self.count = len(self.specs)
        self.out.data = NULL
        self.out.used = self.out.size = 0
        self.exported = 0
        self.fields = NULL
        if self.count > 32767:
            raise ValueError("more columns than a row of PostgreSQL can have")
        if self.count:
            self.fields = <Field *> realloc(NULL, self.count * sizeof(Field))
            if self.fields == NULL:
                raise MemoryError
            memset(self.fields, 0, self.count * sizeof(Field))
        self.counters = {}
        self.labels = []
        for number, spec in enumerate(self.specs):
            self._prepare(&self.fields[number], spec)

    def __dealloc__(self):
        free(self.fields)
        free(self.out.data)

    cdef _prepare(self, Field *field, spec):
        cdef bytes packed
        options = spec.options
        field.kind = ENCODERS[spec.encoder]
        field.width = options.get("width", 0)
        field.scale = options.get("scale", -1)
        field.unit = options.get("unit", 0)
        field.nul = _TEXT_POLICIES[options.get("nul", "refuse")]
        field.invalid = _TEXT_POLICIES[options.get("invalid", "refuse")]
        labels = options.get("labels", ())
        field.label_count = len(labels)
        packed = b"".join(
            len(label).to_bytes(4, "little") + label for label in (text.encode() for text in labels)
        )
        self.labels.append(packed)  # keeps the pointer alive
        field.labels = <const uint8_t *> <char *> packed

    def encode(self, batch):
        """The batch as COPY rows. The memory is used again by the next call.

        Raises RowError for the first value (in row order) that the target type cannot hold, ValueError when
        the batch does not have the shape of the specs.
        """
        cdef Py_ssize_t rows = batch.num_rows
        cdef Py_ssize_t row = 0
        cdef Py_ssize_t column = 0
        cdef int problem
        if batch.num_columns != self.count:
            raise ValueError(f"{batch.num_columns} columns where {self.count} are encoded")
        arrays = [
            _plan(batch.column(number), spec.encoder, number) for number, spec in enumerate(self.specs)
        ]
        for number, array in enumerate(arrays):
            self._point(&self.fields[number], array)
        if self.out.size > KEEP and self.out.used <= KEEP // 2:
            free(self.out.data)
            self.out.data = NULL
            self.out.size = 0
        self.out.used = 0
        with nogil:
            problem = _rows(&self.out, self.fields, self.count, rows, &row, &column)
        if problem == NO_MEMORY:
            raise MemoryError(f"no memory for {self.out.used} bytes of encoded rows")
        if problem:
            raise RowError(column, row, _REASONS[problem], _printed(batch.column(column)[row]))
        self._count()
        if not self.out.used:
            return memoryview(b"")
        return memoryview(<uint8_t[: self.out.used]> self.out.data).cast("B")

    cdef _point(self, Field *field, array):
        buffers = array.buffers()
        field.first = array.offset
        field.valid = NULL
        if array.null_count and buffers[0] is not None:
            field.valid = <const uint8_t *> <uintptr_t> buffers[0].address
        field.offsets32 = NULL
        field.offsets64 = NULL
        data = buffers[len(buffers) - 1]
        if len(buffers) == 3:
            if buffers[1] is not None and array.type in _WIDE:
                field.offsets64 = <const int64_t *> <uintptr_t> buffers[1].address
            elif buffers[1] is not None:
                field.offsets32 = <const int32_t *> <uintptr_t> buffers[1].address
        elif field.kind != BIT and pa.types.is_fixed_size_binary(array.type):
            field.width = array.type.byte_width
        field.values = NULL if data is None else <const uint8_t *> <uintptr_t> data.address

    cdef _count(self):
        cdef Field *field
        for number, spec in enumerate(self.specs):
            field = &self.fields[number]
            for policy, changed in (
                ("nulByte", field.changed_nul),
                ("invalidText", field.changed_invalid),
            ):
                if changed:
                    key = (spec.column, policy)
                    self.counters[key] = self.counters.get(key, 0) + changed
            field.changed_nul = field.changed_invalid = 0


_WIDE = (pa.large_string(), pa.large_binary())
_INTEGERS = ("int2", "int4", "int8", "bool", "numeric_int")
_TEXTS = ("text", "json", "jsonb", "numeric", "list_array")


def _plan(array, encoder, column):
    """The array in the one physical form its encoder reads; the same array where it is in it already."""
    kind = array.type
    if encoder in _INTEGERS:
        if pa.types.is_int64(kind):
            return array
        if pa.types.is_uint64(kind):
            beyond = pc.index(pc.greater(array, pa.scalar(2**63 - 1, pa.uint64())), True).as_py()
            if beyond >= 0:
                raise RowError(column, beyond, "out-of-range", str(array[beyond].as_py()))
        return array.cast(pa.int64())
    if encoder in ("numeric_uint", "set_array", "set_text"):
        return array if pa.types.is_uint64(kind) else array.cast(pa.uint64())
    if encoder == "float8":
        return array if pa.types.is_float64(kind) else array.cast(pa.float64())
    if encoder == "float4":
        return array if pa.types.is_float32(kind) else array.cast(pa.float32())
    if encoder in _TEXTS:
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
            return array
        return array if kind in _WIDE else array.cast(pa.string())
    if encoder == "date":
        return array if pa.types.is_date32(kind) else array.cast(pa.date32())
    if encoder == "timestamp":
        wanted = pa.timestamp("us", kind.tz if pa.types.is_timestamp(kind) else None)
        return array if kind == wanted else array.cast(wanted)
    if encoder in ("interval", "time"):
        return array if kind == pa.duration("us") else array.cast(pa.duration("us"))
    if encoder == "bit" and pa.types.is_fixed_size_binary(kind):
        return array.cast(pa.binary())
    return array


def _printed(scalar):
    """A value for people, at most 200 characters. Values Python has no type for are shown as their integer."""
    try:
        value = scalar.as_py()
    except (ValueError, OverflowError, UnicodeDecodeError):
        value = scalar.value if hasattr(scalar, "value") else scalar.as_buffer().to_pybytes()
    if isinstance(value, bytes):
        return value[:100].hex()
    if isinstance(value, timedelta):
        return _clock(value // timedelta(microseconds=1))
    return str(value)[:200]


def _clock(micros):
    """As MySQL writes a TIME: hours beyond a day are hours."""
    seconds, fraction = divmod(abs(micros), 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return ("-" if micros < 0 else "") + text + (f".{fraction:06}" if fraction else "")


# ---------------------------------------------------------------- the buffer


cdef inline int _room(Out *out, size_t more) noexcept nogil:
    """Make room for `more` bytes; false without memory."""
    cdef size_t wanted
    cdef uint8_t *grown
    if out.used + more <= out.size:
        return 1
    wanted = out.size * 2 if out.size else 1 << 20
    while wanted < out.used + more:
        wanted *= 2
    grown = <uint8_t *> realloc(out.data, wanted)
    if grown == NULL:
        return 0
    out.data = grown
    out.size = wanted
    return 1


cdef inline void _fixed(Out *out, uint32_t length) noexcept nogil:
    put32(out.data + out.used, length)
    out.used += 4


cdef inline const uint8_t *_value(const Field *field, int64_t row, int64_t *length) noexcept nogil:
    """The bytes of a variable- or fixed-width value."""
    cdef int64_t at = field.first + row
    if field.offsets32 != NULL:
        length[0] = field.offsets32[at + 1] - field.offsets32[at]
        return field.values + field.offsets32[at]
    if field.offsets64 != NULL:
        length[0] = field.offsets64[at + 1] - field.offsets64[at]
        return field.values + field.offsets64[at]
    length[0] = field.width
    return field.values + at * field.width


# ---------------------------------------------------------------- rows


cdef int _rows(
    Out *out, Field *fields, Py_ssize_t count, Py_ssize_t rows, Py_ssize_t *at, Py_ssize_t *column
) noexcept nogil:
    cdef Py_ssize_t row, number
    cdef Field *field
    cdef int64_t bit
    cdef int problem
    cdef size_t narrow = 2 + <size_t> count * 24  # any field of fixed width, and every length word
    for row in range(rows):
        at[0] = row
        if not _room(out, narrow):
            return NO_MEMORY
        put16(out.data + out.used, <uint16_t> count)
        out.used += 2
        for number in range(count):
            field = &fields[number]
            if field.valid != NULL:
                bit = field.first + row
                if not (field.valid[bit >> 3] >> (bit & 7)) & 1:
                    _fixed(out, 0xFFFFFFFF)
                    continue
            problem = _field(out, field, row, narrow)
            if problem:
                column[0] = number
                return problem
    return FINE


cdef inline int _field(Out *out, Field *field, int64_t row, size_t narrow) noexcept nogil:
    cdef int64_t at = field.first + row
    cdef int64_t number
    cdef int64_t length
    cdef const uint8_t *value
    cdef int32_t day
    cdef float single
    cdef double double_
    cdef uint32_t word
    cdef uint64_t wide
    cdef int kind = field.kind
    if kind == INT8:
        _fixed(out, 8)
        put64(out.data + out.used, <uint64_t> (<const int64_t *> field.values)[at])
        out.used += 8
    elif kind == INT4:
        number = (<const int64_t *> field.values)[at]
        if number < -2147483648 or number > 2147483647:
            return OUT_OF_RANGE
        _fixed(out, 4)
        put32(out.data + out.used, <uint32_t> <int32_t> number)
        out.used += 4
    elif kind == INT2:
        number = (<const int64_t *> field.values)[at]
        if number < -32768 or number > 32767:
            return OUT_OF_RANGE
        _fixed(out, 2)
        put16(out.data + out.used, <uint16_t> <int16_t> number)
        out.used += 2
    elif kind == BOOL:
        number = (<const int64_t *> field.values)[at]
        if number != 0 and number != 1:
            return NOT_BOOLEAN
        _fixed(out, 1)
        out.data[out.used] = <uint8_t> number
        out.used += 1
    elif kind == FLOAT8:
        double_ = (<const double *> field.values)[at]
        memcpy(&wide, &double_, 8)
        _fixed(out, 8)
        put64(out.data + out.used, wide)
        out.used += 8
    elif kind == FLOAT4:
        single = (<const float *> field.values)[at]
        memcpy(&word, &single, 4)
        _fixed(out, 4)
        put32(out.data + out.used, word)
        out.used += 4
    elif kind == TIMESTAMP:
        return _timestamp(out, field, (<const int64_t *> field.values)[at])
    elif kind == DATE:
        day = (<const int32_t *> field.values)[at]
        _fixed(out, 4)
        if day != -2147483648:  # the sentinel, which date_recv takes for -infinity
            number = <int64_t> day - 10957  # 2000-01-01
            if number < -2451545 or number >= 2145031949:  # MIN_DATE, END_DATE
                return OUT_OF_RANGE
            day = <int32_t> number
        put32(out.data + out.used, <uint32_t> day)
        out.used += 4
    elif kind == INTERVAL:
        number = (<const int64_t *> field.values)[at]
        if field.unit and number % field.unit:
            return FRACTION_CUT
        _fixed(out, 16)  # interval_recv: microseconds, days, months
        put64(out.data + out.used, <uint64_t> number)
        memset(out.data + out.used + 8, 0, 8)
        out.used += 16
    elif kind == TIME:
        number = (<const int64_t *> field.values)[at]
        if number < 0 or number > DAY:
            return OUT_OF_RANGE
        if field.unit and number % field.unit:
            return FRACTION_CUT
        _fixed(out, 8)
        put64(out.data + out.used, <uint64_t> number)
        out.used += 8
    elif kind == NUMERIC_INT:
        number = (<const int64_t *> field.values)[at]
        wide = <uint64_t> number if number >= 0 else <uint64_t> (-(number + 1)) + 1
        _numeric_integer(out, wide, number < 0)
    elif kind == NUMERIC_UINT:
        _numeric_integer(out, (<const uint64_t *> field.values)[at], 0)
    elif kind == SET_ARRAY or kind == SET_TEXT:
        return _set(out, field, (<const uint64_t *> field.values)[at], narrow)
    else:
        value = _value(field, row, &length)
        return _variable(out, field, value, length, narrow)
    return FINE


cdef int _variable(
    Out *out, Field *field, const uint8_t *value, int64_t length, size_t narrow
) noexcept nogil:
    cdef int kind = field.kind
    if length > MAX_FIELD - 64:
        return TOO_LARGE
    # A list's elements each bring a length word; replacing a byte makes three of it.
    if not _room(out, <size_t> length + narrow + 64):
        return NO_MEMORY
    if kind == TEXT or kind == JSON:
        return _text(out, field, value, length, narrow)
    if kind == NUMERIC_TEXT:
        return _numeric(out, field, value, length)
    if kind == BYTES:
        _fixed(out, <uint32_t> length)
        if length:
            memcpy(out.data + out.used, value, length)
            out.used += length
        return FINE
    if kind == JSONB:
        return _jsonb(out, field, value, length)
    if kind == BIT:
        return _bit(out, field, value, length)
    if kind == UUID:
        if length != 16:
            return BAD_LENGTH
        _fixed(out, 16)
        memcpy(out.data + out.used, value, 16)
        out.used += 16
        return FINE
    if kind == INET:
        return _inet(out, value, length)
    if kind == EWKB:
        return _ewkb(out, value, length)
    if kind == FLOAT4_ARRAY:
        return _float4_array(out, value, length, narrow)
    return _list(out, value, length, narrow)


# ---------------------------------------------------------------- numbers and times


cdef int _timestamp(Out *out, Field *field, int64_t micros) noexcept nogil:
    """timestamp_recv: microseconds since 2000-01-01; the smallest integer is -infinity."""
    if micros != <int64_t> 0x8000000000000000ULL:
        if micros < MIN_TIMESTAMP + EPOCH_2000:
            return OUT_OF_RANGE
        if field.unit and micros % field.unit:
            return FRACTION_CUT
        micros -= EPOCH_2000
        if micros >= END_TIMESTAMP:
            return OUT_OF_RANGE
    _fixed(out, 8)
    put64(out.data + out.used, <uint64_t> micros)
    out.used += 8
    return FINE


cdef void _numeric_integer(Out *out, uint64_t value, int negative) noexcept nogil:
    """numeric_recv: int16 digits, weight, sign, scale, then digits of base 10000."""
    cdef uint16_t digits[5]
    cdef int count = 0
    cdef int weight, first = 0, last, number
    while value:
        digits[count] = <uint16_t> (value % 10000)
        value //= 10000
        count += 1
    weight = count - 1 if count else 0
    last = 0
    while last < count and digits[last] == 0:  # trailing zero groups are not sent
        last += 1
    put32(out.data + out.used, 8 + 2 * (count - last))
    put16(out.data + out.used + 4, <uint16_t> (count - last))
    put16(out.data + out.used + 6, <uint16_t> weight)
    put16(out.data + out.used + 8, 0x4000 if negative else 0)
    put16(out.data + out.used + 10, 0)
    out.used += 12
    number = count - 1
    while number >= last:
        put16(out.data + out.used, digits[number])
        out.used += 2
        number -= 1


cdef int _numeric(Out *out, Field *field, const uint8_t *text, int64_t length) noexcept nogil:
    """Decimal text → numeric_recv's form, keeping the fraction digits that are written."""
    cdef int64_t at = 0
    cdef int64_t point = -1
    cdef int64_t end, integer_from, fraction_from, scale, integers, groups_before, groups_after
    cdef int64_t group, position, digit, number
    cdef int negative = 0
    cdef int started = 0
    cdef int64_t weight = 0
    cdef size_t head
    cdef int count = 0
    cdef int kept
    cdef uint16_t value
    if length > MAX_DIGITS:
        return BAD_NUMBER
    if length and (text[0] == 45 or text[0] == 43):
        negative = text[0] == 45
        at = 1
    integer_from = at
    while at < length and 48 <= text[at] <= 57:
        at += 1
    integers = at - integer_from
    fraction_from = at
    scale = 0
    if at < length and text[at] == 46:
        fraction_from = at + 1
        at += 1
        while at < length and 48 <= text[at] <= 57:
            at += 1
        scale = at - fraction_from
    if at != length or integers + scale == 0:
        return BAD_NUMBER
    if field.scale >= 0 and scale > field.scale:
        while scale > field.scale and text[fraction_from + scale - 1] == 48:
            scale -= 1
        if scale > field.scale:
            return SCALE_CUT
    groups_before = (integers + 3) // 4
    groups_after = (scale + 3) // 4
    head = out.used
    out.used += 12
    kept = 0
    for group in range(-groups_before, groups_after):
        value = 0
        for digit in range(4):
            position = group * 4 + digit  # relative to the decimal point
            value *= 10
            if position < 0:
                if position >= -integers:
                    value += text[integer_from + integers + position] - 48
            elif position < scale:
                value += text[fraction_from + position] - 48
        if not started:
            if value == 0:
                continue
            started = 1
            weight = -group - 1
        put16(out.data + out.used, value)
        out.used += 2
        count += 1
        if value:
            kept = count
    out.used = head + 12 + 2 * kept  # trailing zero groups are not sent
    if not kept:
        negative = 0
        weight = 0
    put32(out.data + head, 8 + 2 * kept)
    put16(out.data + head + 4, <uint16_t> kept)
    put16(out.data + head + 6, <uint16_t> <int16_t> weight)
    put16(out.data + head + 8, 0x4000 if negative else 0)
    put16(out.data + head + 10, <uint16_t> scale)
    return FINE


# ---------------------------------------------------------------- text


cdef inline int _sequence(const uint8_t *text, int64_t left) noexcept nogil:
    """Bytes of the UTF-8 sequence at `text`, 0 when it is not one PostgreSQL accepts (pg_utf8_islegal)."""
    cdef uint8_t first = text[0]
    cdef uint8_t low = 0x80
    cdef uint8_t high = 0xBF
    if first < 0x80:
        return 1
    if first < 0xC2 or first > 0xF4:
        return 0
    if first < 0xE0:
        return 2 if left >= 2 and 0x80 <= text[1] <= 0xBF else 0
    if first < 0xF0:
        if first == 0xE0:
            low = 0xA0
        elif first == 0xED:
            high = 0x9F  # surrogates
        return 3 if left >= 3 and low <= text[1] <= high and 0x80 <= text[2] <= 0xBF else 0
    if first == 0xF0:
        low = 0x90
    elif first == 0xF4:
        high = 0x8F
    if left < 4 or not (low <= text[1] <= high):
        return 0
    return 4 if 0x80 <= text[2] <= 0xBF and 0x80 <= text[3] <= 0xBF else 0


cdef inline int64_t _clean(const uint8_t *text, int64_t length, int64_t at) noexcept nogil:
    """Where the first NUL or byte that is not UTF-8 is, from `at` on; `length` when there is none."""
    cdef int step
    while at < length:
        if at + 8 <= length and plain_ascii8(text + at):
            at += 8
            continue
        if text[at] == 0:
            return at
        step = _sequence(text + at, length - at)
        if not step:
            return at
        at += step
    return at


cdef int _text(
    Out *out, Field *field, const uint8_t *text, int64_t length, size_t narrow
) noexcept nogil:
    cdef int64_t bad = _clean(text, length, 0)
    if bad < length:
        return _mended(out, field, text, length, bad, narrow)
    _fixed(out, <uint32_t> length)
    if length:
        memcpy(out.data + out.used, text, length)
        out.used += length
    return FINE


cdef int _mended(
    Out *out, Field *field, const uint8_t *text, int64_t length, int64_t bad, size_t narrow
) noexcept nogil:
    """Text with a NUL or an invalid byte: refused, or changed as the policy of that case says, and counted."""
    cdef int64_t at = 0
    cdef size_t head
    cdef int nuls = 0
    cdef int invalids = 0
    if length > MAX_FIELD // 3:
        return TOO_LARGE
    if not _room(out, <size_t> length * 3 + narrow + 64):
        return NO_MEMORY
    head = out.used
    out.used += 4
    while True:
        if bad > at:
            memcpy(out.data + out.used, text + at, bad - at)
            out.used += bad - at
        if bad >= length:
            break
        if text[bad] == 0:
            if field.nul == REFUSE:
                return NUL_BYTE
            nuls = 1
            if field.nul == STRIP:
                at = bad + 1
                bad = _clean(text, length, at)
                continue
        elif field.invalid != REPLACE:
            return INVALID_UTF8
        else:
            invalids = 1
        out.data[out.used] = 0xEF  # U+FFFD
        out.data[out.used + 1] = 0xBF
        out.data[out.used + 2] = 0xBD
        out.used += 3
        at = bad + 1
        bad = _clean(text, length, at)
    field.changed_nul += nuls
    field.changed_invalid += invalids
    put32(out.data + head, <uint32_t> (out.used - head - 4))
    return FINE


cdef int _jsonb(Out *out, Field *field, const uint8_t *text, int64_t length) noexcept nogil:
    """jsonb_recv: a version byte, then the text. What the server would refuse without naming the row is found
    here: \\u0000 and surrogates that do not come in pairs."""
    cdef int64_t at = 0
    cdef int code, low
    cdef int in_string = 0
    if _clean(text, length, 0) < length:
        return BAD_JSON
    while at < length:
        if text[at] == 34:
            in_string = not in_string
        elif text[at] == 92 and in_string:
            at += 1
            if at >= length:
                return BAD_JSON
            if text[at] == 117:
                code = _hex4(text + at + 1, length - at - 1)
                if code <= 0:
                    return BAD_JSON
                at += 4
                if 0xDC00 <= code <= 0xDFFF:
                    return BAD_JSON
                if 0xD800 <= code <= 0xDBFF:
                    if at + 6 >= length or text[at + 1] != 92 or text[at + 2] != 117:
                        return BAD_JSON
                    low = _hex4(text + at + 3, length - at - 3)
                    if low < 0xDC00 or low > 0xDFFF:
                        return BAD_JSON
                    at += 6
        at += 1
    _fixed(out, <uint32_t> (length + 1))
    out.data[out.used] = 1
    memcpy(out.data + out.used + 1, text, length)
    out.used += length + 1
    return FINE


cdef int _hex4(const uint8_t *text, int64_t left) noexcept nogil:
    cdef int value = 0
    cdef int number
    cdef uint8_t char
    if left < 4:
        return -1
    for number in range(4):
        char = text[number]
        value *= 16
        if 48 <= char <= 57:
            value += char - 48
        elif 65 <= char <= 70:
            value += char - 55
        elif 97 <= char <= 102:
            value += char - 87
        else:
            return -1
    return value


# ---------------------------------------------------------------- bits, addresses, arrays, geometry


cdef int _bit(Out *out, Field *field, const uint8_t *value, int64_t length) noexcept nogil:
    """bit_recv: int32 bits, then bytes filled from the left; the source's bytes are filled from the right."""
    cdef int64_t bits = field.width
    cdef int64_t size = (bits + 7) // 8
    cdef int64_t number
    cdef int shift = <int> (size * 8 - bits)
    cdef uint16_t pair
    for number in range(length - size):
        if value[number]:
            return OUT_OF_RANGE
    if length > size:
        value += length - size
        length = size
    if length == size and shift and value[0] >> (8 - shift):
        return OUT_OF_RANGE
    _fixed(out, <uint32_t> (4 + size))
    put32(out.data + out.used, <uint32_t> bits)
    out.used += 4
    for number in range(size):
        pair = 0
        if number - (size - length) >= 0:
            pair = <uint16_t> (value[number - (size - length)] << 8)
        if number + 1 - (size - length) >= 0 and number + 1 < size:
            pair |= value[number + 1 - (size - length)]
        out.data[out.used + number] = <uint8_t> (<uint16_t> (pair << shift) >> 8)
    out.used += size
    return FINE


cdef int _inet(Out *out, const uint8_t *value, int64_t length) noexcept nogil:
    """inet_recv: family (2 is IPv4, 3 is IPv6), prefix bits, is_cidr, size, address."""
    if length != 4 and length != 16:
        return BAD_LENGTH
    _fixed(out, <uint32_t> (4 + length))
    out.data[out.used] = 2 if length == 4 else 3
    out.data[out.used + 1] = <uint8_t> (length * 8)
    out.data[out.used + 2] = 0
    out.data[out.used + 3] = <uint8_t> length
    memcpy(out.data + out.used + 4, value, length)
    out.used += 4 + length
    return FINE


cdef inline void _array_head(Out *out, uint32_t element, uint32_t count) noexcept nogil:
    """array_recv: dimensions, has-nulls, element type, then size and lower bound of each dimension."""
    put32(out.data + out.used, 1 if count else 0)
    put32(out.data + out.used + 4, 0)
    put32(out.data + out.used + 8, element)
    out.used += 12
    if count:
        put32(out.data + out.used, count)
        put32(out.data + out.used + 4, 1)
        out.used += 8


cdef int _set(Out *out, Field *field, uint64_t mask, size_t narrow) noexcept nogil:
    """The labels whose bits are set, in definition order: text[] or text joined by commas."""
    cdef const uint8_t *label = field.labels
    cdef size_t head
    cdef uint32_t length, count = 0
    cdef int64_t number
    cdef int joined = field.kind == SET_TEXT
    if field.label_count < 64 and mask >> field.label_count:
        return UNKNOWN_LABEL
    if not _room(out, narrow + 64):
        return NO_MEMORY
    head = out.used
    out.used += 4
    if not joined:
        for number in range(field.label_count):
            count += (mask >> number) & 1
        _array_head(out, 25, count)
    count = 0
    for number in range(field.label_count):
        memcpy(&length, label, 4)
        if (mask >> number) & 1:
            if not _room(out, narrow + 64 + length):
                return NO_MEMORY
            if not joined:
                put32(out.data + out.used, length)
                out.used += 4
            elif count:
                out.data[out.used] = 44
                out.used += 1
            memcpy(out.data + out.used, label + 4, length)
            out.used += length
            count += 1
        label += 4 + length
    put32(out.data + head, <uint32_t> (out.used - head - 4))
    return FINE


cdef int _list(Out *out, const uint8_t *text, int64_t length, size_t narrow) noexcept nogil:
    """Labels joined by commas → text[]; the empty text is the empty array."""
    cdef size_t head
    cdef uint32_t count = 1 if length else 0
    cdef int64_t at, start = 0
    if _clean(text, length, 0) < length:
        return INVALID_UTF8
    for at in range(length):
        count += text[at] == 44
    if not _room(out, <size_t> length + narrow + 64 + 4 * <size_t> count):
        return NO_MEMORY
    head = out.used
    out.used += 4
    _array_head(out, 25, count)
    for at in range(length + 1):
        if count and (at == length or text[at] == 44):
            put32(out.data + out.used, <uint32_t> (at - start))
            memcpy(out.data + out.used + 4, text + start, at - start)
            out.used += 4 + (at - start)
            start = at + 1
    put32(out.data + head, <uint32_t> (out.used - head - 4))
    return FINE


cdef int _float4_array(Out *out, const uint8_t *value, int64_t length, size_t narrow) noexcept nogil:
    cdef int64_t count = length // 4
    cdef int64_t number
    cdef uint32_t word
    if length % 4:
        return BAD_LENGTH
    if not _room(out, <size_t> count * 8 + narrow + 64):
        return NO_MEMORY
    _fixed(out, <uint32_t> ((20 if count else 12) + 8 * count))
    _array_head(out, 700, <uint32_t> count)
    for number in range(count):
        memcpy(&word, value + 4 * number, 4)
        put32(out.data + out.used, 4)
        put32(out.data + out.used + 4, word)
        out.used += 8
    return FINE


cdef int _ewkb(Out *out, const uint8_t *value, int64_t length) noexcept nogil:
    """MySQL's internal geometry (little-endian SRID, then WKB) → EWKB: with a SRID, the type word gets PostGIS'
    flag and the SRID follows it. Geometries inside a collection carry none."""
    cdef uint32_t srid, word
    if length < 9 or value[4] != 1:
        return BAD_LENGTH
    memcpy(&srid, value, 4)
    memcpy(&word, value + 5, 4)
    if srid == 0:
        _fixed(out, <uint32_t> (length - 4))
        memcpy(out.data + out.used, value + 4, length - 4)
        out.used += length - 4
        return FINE
    word |= 0x20000000
    _fixed(out, <uint32_t> length)
    out.data[out.used] = 1
    memcpy(out.data + out.used + 1, &word, 4)
    memcpy(out.data + out.used + 5, &srid, 4)
    memcpy(out.data + out.used + 9, value + 9, length - 9)
    out.used += length
    return FINE
