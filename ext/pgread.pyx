# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False, embedsignature=True
# distutils: extra_compile_args = -O3 -fno-strict-aliasing
# distutils: libraries = pq
"""PostgreSQL's binary COPY → Arrow record batches, or its rows as they are, in C without the GIL.

Bytes come either by `feed`, cut anywhere, or by `receive`, which takes them from libpq itself, many rows a
call: libpq hands out one row at a time, and a turn of the interpreter for each costs more than the row does.
Layouts: PostgreSQL documentation, "COPY", section "Binary Format"; the fields are those of the types' send
functions (numeric_send, interval_send, bit_send …). The plain twin is ext/plain/pgread.py.
"""

import sys

import pyarrow as pa

from ext.pgreadspec import (
    CRITICAL_FLAGS,
    EPOCH_DAYS,
    EPOCH_MICROS,
    HEADER_BYTES,
    MAX_FIELDS,
    OFFSETS32_LIMIT,
    SIGNATURE,
    ConnectionCut,
    CopyError,
    Op,
    moment_text,
)
from ext.rowerror import RowError

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

__all__ = ["CopyDecoder", "CopyRows", "libpq_version"]

if sys.byteorder != "little":
    raise ImportError("ext.pgread makes little-endian values; use ext.plain.pgread here")

# Declared here, so that libpq's headers need not be where the compiler looks: three functions whose signatures
# have not changed since PostgreSQL 7.4 (and 9.1).
cdef extern from * nogil:
    """
    typedef struct pg_conn PGconn;
    extern int PQgetCopyData(PGconn *conn, char **buffer, int async);
    extern void PQfreemem(void *ptr);
    extern int PQlibVersion(void);
    """
    ctypedef struct PGconn:
        pass
    int PQgetCopyData(PGconn* conn, char** buffer, int asynchronous)
    void PQfreemem(void* memory)
    int PQlibVersion()

cdef extern from * nogil:
    uint16_t bswap16 "__builtin_bswap16"(uint16_t)
    uint32_t bswap32 "__builtin_bswap32"(uint32_t)
    uint64_t bswap64 "__builtin_bswap64"(uint64_t)

cdef enum:
    FIXED = 1
    BOOL = 2
    BYTES = 3
    LARGE_BYTES = 4
    UUID = 5
    DATE = 6
    MOMENT = 7
    TIME = 8
    INTERVAL = 9
    NUMERIC = 10
    BITS = 11

cdef enum Status:
    MORE = 0  # the bytes are used up
    FULL = 1  # a batch is ready, before the next row
    BAD_HEADER = 2
    BAD_COUNT = 3  # of fields in a row
    BAD_FIELD = 4  # its length, or what is in it
    BAD_VALUE = 5  # a value that cannot go; see bad_column
    BEHIND_END = 6
    NO_MEMORY = 7
    COPY_DONE = 8  # libpq: no more rows, ask for the result
    COPY_CUT = 9  # libpq: the connection failed

cdef enum:
    SIGNATURE_BYTES = 11
    HEADER = 19
    LARGEST_EXTENSION = 1048576
    LEAST_DATA = 4096

cdef int64_t DAYS_APART = EPOCH_DAYS
cdef int64_t MICROS_APART = EPOCH_MICROS
cdef int64_t MICROS_OF_DAY = 86400000000
cdef int64_t MOST = 0x7FFFFFFFFFFFFFFF
cdef int64_t LEAST = <int64_t>(<uint64_t>1 << 63)
cdef size_t OFFSETS32 = OFFSETS32_LIMIT
cdef bytes _signature = SIGNATURE
cdef const uint8_t* SIGNED_WITH = <const uint8_t*><char*>_signature
assert HEADER == HEADER_BYTES and SIGNATURE_BYTES == len(SIGNATURE)


def libpq_version():
    """Of the libpq this module calls; a connection of another one must not be given to it."""
    return PQlibVersion()


cdef struct Column:
    int op
    int size  # bytes on the wire, 0 for any
    int width  # bytes in `values` (of an offset, for bytes)
    uint8_t* values
    uint8_t* valid
    uint8_t* data
    size_t data_size
    size_t data_room
    int32_t* months
    int32_t* days
    int64_t nulls


include "column_buffers.pxi"
include "pgread_framing.pxi"


cdef class CopyDecoder(_Framing):
    """Decodes the rows of one COPY … TO STDOUT (FORMAT binary).

    columns: a FieldSpec for every field of a row, in order. A batch ends at `batch_rows` rows or before the
    row that would take its values past `batch_bytes`.
    """

    cdef Column* columns
    cdef readonly object specs
    cdef readonly object failed_row
    cdef object schema
    cdef int64_t batch_rows
    cdef size_t batch_bytes
    cdef int64_t rows
    cdef int64_t space
    cdef size_t used
    cdef int bad_column
    cdef const uint8_t* bad_row
    cdef size_t bad_size
    cdef const uint8_t* bad_value

    def __cinit__(self):
        self.columns = NULL

    def __init__(self, columns, batch_rows=65536, batch_bytes=8 << 20):
        if batch_rows < 1 or batch_bytes < 1:
            raise ValueError("batch_rows and batch_bytes are at least 1")
        if self.columns != NULL:
            raise RuntimeError("a decoder is initialised once")
        self.specs = tuple(columns)
        self._begin(len(self.specs))
        self.schema = pa.schema([pa.field(spec.name, spec.arrow) for spec in self.specs])
        self.columns = <Column*>calloc(max(1, self.count), sizeof(Column))
        if self.columns == NULL:
            raise MemoryError
        cdef int number
        for number, spec in enumerate(self.specs):
            self.columns[number].op = Op(spec.op)
            self.columns[number].size = spec.wire_bytes
            self.columns[number].width = spec.width
        self.batch_rows = batch_rows
        self.batch_bytes = min(batch_bytes, OFFSETS32_LIMIT // 2)
        self.bad_column = -1
        self.failed_row = None

    def __dealloc__(self):
        cdef int number
        cdef Column* column
        if self.columns == NULL:
            return
        for number in range(self.count):
            column = &self.columns[number]
            _freed(column)
            free(column.months)
            free(column.days)
        free(self.columns)

    @property
    def finished(self):
        """The trailer was seen and every row was taken."""
        return self.ended and self.rows == 0

    def take(self):
        """The next full batch; the rest of the rows behind the trailer; None when bytes are missing.

        Raises CopyError for bytes that are no rows of these columns, RowError for a value that cannot go
        (`failed_row` is then its row). After either the decoder is of no use.
        """
        cdef Status status
        self._sound()
        with nogil:
            status = self._eat_pending()
        if status > FULL:
            self._fail(status)
        if status == FULL or (self.ended and self.rows):
            return self._batch()
        return None

    def receive(self, pgconn):
        """The next batch from libpq, waiting for it; None when libpq has no more: the statement's result then
        says why, and without an error of it `finished` must hold. Raises as `take`, and ConnectionCut."""
        self._sound()
        cdef Status status = self._receive(pgconn)
        if status > FULL and status != COPY_DONE:
            self._fail(status)
        if status == FULL or (self.ended and self.rows):
            return self._batch()
        return None

    cdef int _fail(self, Status status) except -1:
        if status == BAD_VALUE:
            self.broken = True
            self.failed_row = self.bad_row[:self.bad_size]
            micros = <int64_t>_u64(self.bad_value)
            raise RowError(self.bad_column, self.rows, "out-of-range", moment_text(micros))
        if status == BAD_FIELD and self.bad_column >= 0:
            self.broken = True
            name = Op(self.columns[self.bad_column].op).name
            raise CopyError(f"a field of column {self.bad_column} is no {name}")
        return _Framing._fail(self, status)

    # ------------------------------------------------------------ batches

    cdef object _batch(self):
        cdef int number
        cdef Column* column
        cdef int64_t rows = self.rows
        cdef void* memory
        arrays = []
        self.rows = self.space = 0
        self.used = 0
        if self.count == 0:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
        for number in range(self.count):
            column = &self.columns[number]
            arrow = self.specs[number].arrow
            nulls = column.nulls
            buffers = [_validity(column, rows)]
            column.nulls = 0
            if column.op == INTERVAL:
                (micros,) = _contents(column, rows, False)
                memory, column.months = column.months, NULL
                months = _buffer(memory, rows * 4)
                memory, column.days = column.days, NULL
                days = _buffer(memory, rows * 4)
                children = [
                    pa.Array.from_buffers(kind, rows, [None, part], null_count=0)
                    for kind, part in ((pa.int32(), months), (pa.int32(), days), (pa.int64(), micros))
                ]
                arrays.append(pa.Array.from_buffers(arrow, rows, buffers, nulls, children=children))
                continue
            buffers += _contents(column, rows, self._variable(column))
            arrays.append(pa.Array.from_buffers(arrow, rows, buffers, null_count=nulls))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    cdef inline bint _variable(self, Column* column) noexcept nogil:
        return (
            column.op == BYTES
            or column.op == LARGE_BYTES
            or column.op == UUID
            or column.op == NUMERIC
            or column.op == BITS
        )

    cdef bint _grow(self) noexcept nogil:
        """Room for more rows in every column; False without memory."""
        cdef int64_t space = max(FIRST_ROWS, 2 * self.space)
        cdef int number
        cdef Column* column
        cdef void* memory
        if space > self.batch_rows:
            space = self.batch_rows
        for number in range(self.count):
            column = &self.columns[number]
            if not _widened(column, space, self.space):
                return False
            if column.op == INTERVAL:
                memory = realloc(column.months, space * 4)
                if memory == NULL:
                    return False
                column.months = <int32_t*>memory
                memory = realloc(column.days, space * 4)
                if memory == NULL:
                    return False
                column.days = <int32_t*>memory
        self.space = space
        return True

    # ------------------------------------------------------------ one row

    cdef Status _row(self, const uint8_t* p, size_t size) noexcept nogil:
        cdef int64_t row = self.rows
        cdef const uint8_t* field = p + 2
        cdef int32_t length
        cdef int number
        cdef Column* column
        cdef Status status
        if row and (row >= self.batch_rows or self.used + size > self.batch_bytes):
            return FULL
        if row >= self.space and not self._grow():
            return NO_MEMORY
        self.used += size
        for number in range(self.count):
            column = &self.columns[number]
            length = <int32_t>_u32(field)
            field += 4
            if length < 0:
                self._null(column, row)
                continue
            if column.size and length != column.size:
                self.bad_column = number
                return BAD_FIELD
            if column.op == FIXED:
                if length == 8:
                    (<uint64_t*>column.values)[row] = _u64(field)
                elif length == 4:
                    (<uint32_t*>column.values)[row] = _u32(field)
                else:
                    (<uint16_t*>column.values)[row] = _u16(field)
                status = MORE
            elif column.op == BYTES or column.op == LARGE_BYTES or column.op == UUID:
                status = self._bytes(column, row, field, length)
            elif column.op == NUMERIC:
                status = self._numeric(column, row, field, length)
            elif column.op == BITS:
                status = self._bits(column, row, field, length)
            else:
                status = self._other(column, row, field)
            if status != MORE:
                self.bad_column = number
                if status == BAD_VALUE:
                    self.bad_row = p
                    self.bad_size = size
                    self.bad_value = field
                return status
            field += length
        self.rows = row + 1
        return MORE

    cdef inline void _null(self, Column* column, int64_t row) noexcept nogil:
        column.valid[row >> 3] &= ~(1 << (row & 7))
        column.nulls += 1
        if self._variable(column):
            self._offset(column, row)
        else:
            memset(column.values + row * column.width, 0, column.width)
            if column.op == INTERVAL:
                column.months[row] = 0
                column.days[row] = 0

    cdef inline void _offset(self, Column* column, int64_t row) noexcept nogil:
        if column.width == 8:
            (<int64_t*>column.values)[row + 1] = column.data_size
        else:
            (<int32_t*>column.values)[row + 1] = <int32_t>column.data_size

    cdef inline uint8_t* _reserve(self, Column* column, size_t size) noexcept nogil:
        """Where `size` more bytes of the column go; NULL without memory."""
        cdef size_t room
        cdef void* memory
        if column.data == NULL or column.data_room - column.data_size < size:
            room = max(2 * column.data_room, column.data_size + size + LEAST_DATA)
            memory = realloc(column.data, room)
            if memory == NULL:
                return NULL
            column.data = <uint8_t*>memory
            column.data_room = room
        return column.data + column.data_size

    cdef inline Status _bytes(
        self, Column* column, int64_t row, const uint8_t* p, int32_t length
    ) noexcept nogil:
        cdef uint8_t* into = self._reserve(column, length)
        if into == NULL or (column.width == 4 and column.data_size + length > OFFSETS32):
            return NO_MEMORY
        memcpy(into, p, length)
        column.data_size += length
        self._offset(column, row)
        return MORE

    cdef Status _other(self, Column* column, int64_t row, const uint8_t* p) noexcept nogil:
        cdef int32_t days
        cdef int64_t value
        if column.op == BOOL:
            if p[0] > 1:
                return BAD_FIELD
            column.values[row] = p[0]
            return MORE
        if column.op == DATE:
            days = <int32_t>_u32(p)
            if days != 0x7FFFFFFF and days != -0x7FFFFFFF - 1:
                if days + DAYS_APART >= 0x7FFFFFFF:
                    return BAD_FIELD
                days += <int32_t>DAYS_APART
            (<int32_t*>column.values)[row] = days
            return MORE
        value = <int64_t>_u64(p)
        if column.op == MOMENT:
            if value != MOST and value != LEAST:
                if value >= MOST - MICROS_APART:
                    return BAD_VALUE
                value += MICROS_APART
        elif column.op == TIME:
            if value < 0 or value > MICROS_OF_DAY:
                return BAD_FIELD
        else:  # INTERVAL: microseconds, days, months
            column.days[row] = <int32_t>_u32(p + 8)
            column.months[row] = <int32_t>_u32(p + 12)
        (<int64_t*>column.values)[row] = value
        return MORE

    cdef Status _bits(self, Column* column, int64_t row, const uint8_t* p, int32_t length) noexcept nogil:
        """A count of bits, then the bits from the highest place of the first byte on."""
        cdef int32_t bits
        cdef size_t size, number
        cdef int shift
        cdef uint8_t* into
        if length < 4:
            return BAD_FIELD
        bits = <int32_t>_u32(p)
        if bits < 0 or (<size_t>bits + 7) // 8 != <size_t>length - 4:
            return BAD_FIELD
        size = length - 4
        shift = <int>(8 * size - bits)
        p += 4
        into = self._reserve(column, size)
        if into == NULL or column.data_size + size > OFFSETS32:
            return NO_MEMORY
        for number in range(size):
            into[number] = p[number] >> shift
            if number and shift:
                into[number] |= <uint8_t>(p[number - 1] << (8 - shift))
        column.data_size += size
        self._offset(column, row)
        return MORE

    cdef Status _numeric(
        self, Column* column, int64_t row, const uint8_t* p, int32_t length
    ) noexcept nogil:
        """Groups of four decimal digits, the first of weight 10000^weight; printed with `scale` digits."""
        cdef int count, weight, sign, scale, place, number, digit, left
        cdef size_t most
        cdef uint8_t* start
        cdef uint8_t* into
        cdef const char* special
        if length < 8:
            return BAD_FIELD
        count = _u16(p)
        weight = <int16_t>_u16(p + 2)
        sign = _u16(p + 4)
        scale = _u16(p + 6)
        if length != 8 + 2 * count or scale > 0x3FFF:
            return BAD_FIELD
        p += 8
        if sign == 0xC000 or sign == 0xD000 or sign == 0xF000:
            if count:
                return BAD_FIELD
            special = "NaN" if sign == 0xC000 else "Infinity" if sign == 0xD000 else "-Infinity"
            left = 3 if sign == 0xC000 else 8 if sign == 0xD000 else 9
            into = self._reserve(column, left)
            if into == NULL or column.data_size + left > OFFSETS32:
                return NO_MEMORY
            memcpy(into, special, left)
            column.data_size += left
            self.used += left
            self._offset(column, row)
            return MORE
        if sign != 0 and sign != 0x4000:
            return BAD_FIELD
        most = (4 * (weight + 1) if weight >= 0 else 1) + scale + 8
        start = self._reserve(column, most)
        if start == NULL or column.data_size + most > OFFSETS32:
            return NO_MEMORY
        into = start
        if sign:
            into[0] = 45  # '-'
            into += 1
        number = 0  # the next group of the wire
        # whole digits
        if count == 0 or weight < 0:
            into[0] = 48
            into += 1
        else:
            left = 1  # leading zeros are still left out
            for place in range(weight, -1, -1):
                digit = 0
                if number < count:
                    digit = _u16(p + 2 * number)
                    number += 1
                    if digit > 9999:
                        return BAD_FIELD
                if left:
                    if digit == 0 and place:
                        continue
                    left = 0
                    if digit >= 1000:
                        into = _four(into, digit)
                    elif digit >= 100:
                        into[0] = 48 + digit // 100
                        into[1] = 48 + digit // 10 % 10
                        into[2] = 48 + digit % 10
                        into += 3
                    elif digit >= 10:
                        into[0] = 48 + digit // 10
                        into[1] = 48 + digit % 10
                        into += 2
                    else:
                        into[0] = 48 + digit
                        into += 1
                else:
                    into = _four(into, digit)
        # fraction
        if scale:
            into[0] = 46  # '.'
            into += 1
            place = -1
            left = scale
            while left > 0:
                digit = 0
                if count and place <= weight and number < count:
                    digit = _u16(p + 2 * number)
                    number += 1
                    if digit > 9999:
                        return BAD_FIELD
                into = _four(into, digit)
                left -= 4
                place -= 1
            into += left  # digits of the last group that are not shown
        while number < count:
            if _u16(p + 2 * number) > 9999:
                return BAD_FIELD
            number += 1
        self.used += into - start
        column.data_size += into - start
        self._offset(column, row)
        return MORE


cdef inline uint8_t* _four(uint8_t* into, int digit) noexcept nogil:
    into[0] = 48 + digit // 1000
    into[1] = 48 + digit // 100 % 10
    into[2] = 48 + digit // 10 % 10
    into[3] = 48 + digit % 10
    return into + 4


include "pgread_rows.pxi"
