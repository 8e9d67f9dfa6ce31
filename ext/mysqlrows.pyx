# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False, embedsignature=True
# distutils: extra_compile_args = -O3 -fno-strict-aliasing
"""MySQL binary-protocol rows → Arrow record batches, the row loop in C without the GIL.

The decoder owns the bytes received and not yet decoded; whoever reads the socket fills `space()` and says
`advance(n)`, then asks `take()` for batches. Layout: MySQL Source Code Documentation, "Binary Protocol
Resultset Row". Its plain twin is ext/plain/mysqlrows.py.
"""

import sys

import pyarrow as pa

from ext.mysqlwire import (
    FIRST_YEAR,
    INPUT_BYTES,
    OFFSETS32_LIMIT,
    ProtocolError,
    ServerError,
    codec,
    printed_date,
    printed_moment,
    server_error,
)
from ext.rowerror import RowError

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

__all__ = ["RowDecoder"]

if sys.byteorder != "little":
    raise ImportError("ext.mysqlrows reads little-endian values as they are; use ext.plain.mysqlrows here")

cdef enum:
    NOTHING = 0
    COPY = 1
    INTEGER = 2
    WIDEN = 3
    BYTES = 4
    LARGE_BYTES = 5
    DATE = 6
    MOMENT = 7
    TIME = 8

cdef enum:
    REFUSE = 0
    MAKE_NULL = 1
    SENTINEL = 2

cdef enum Status:
    MORE = 0  # input used up
    FULL = 1  # a batch is ready
    ENDED = 2  # the packet after the last row was seen
    FAILED = 3  # ERR packet
    BAD_ROW = 4
    BAD_VALUE = 5  # a value that cannot go; see bad_column
    OUT_OF_ORDER = 6
    NO_MEMORY = 7

cdef enum:
    MAX_PACKET = 0xFFFFFF
    LEAST_SPACE = 65536
    MAX_DAYS = 1000000

cdef struct Column:
    int op
    int size  # bytes on the wire
    int width  # bytes in `values` (of an offset, for bytes)
    bint signed_in
    bint signed_out
    int invalid
    int64_t low
    uint64_t high
    int length_a  # allowed lengths, -1 for any
    int length_b
    uint8_t* values
    uint8_t* valid
    uint8_t* data
    size_t data_size
    size_t data_room
    int64_t nulls
    int64_t touched


include "column_buffers.pxi"


cdef inline uint32_t _u16(const uint8_t* p) noexcept nogil:
    return p[0] | (<uint32_t>p[1] << 8)


cdef inline uint32_t _u24(const uint8_t* p) noexcept nogil:
    return p[0] | (<uint32_t>p[1] << 8) | (<uint32_t>p[2] << 16)


cdef inline uint32_t _u32(const uint8_t* p) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, p, 4)
    return value


cdef inline bint _leap(int year) noexcept nogil:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


cdef inline int _days_in(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if _leap(year) else 28
    if month == 4 or month == 6 or month == 9 or month == 11:
        return 30
    return 31


cdef inline int64_t _days(int year, int month, int day) noexcept nogil:
    """Days since 1970-01-01 in the proleptic Gregorian calendar, for years from 0 on."""
    cdef int y = year - (1 if month <= 2 else 0) + 400  # eras of 400 years, none negative
    cdef int era = y // 400
    cdef int of_era = y - era * 400
    cdef int of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    cdef int64_t days = <int64_t>era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year
    return days - 719468 - 146097


cdef class RowDecoder:
    """Decodes the rows of one binary result.

    columns: a DecodeSpec for every column of the result, in its order. A batch ends at `batch_rows` rows or
    before the row that would take its values past `batch_bytes`. sequence: number of the first packet fed.
    deprecate_eof: CLIENT_DEPRECATE_EOF was agreed on, so the result ends with an OK packet.
    Raises ProtocolError for a wire type that is not read into the wanted image.
    """

    cdef Column* columns
    cdef int count
    cdef readonly object specs
    cdef object schema
    cdef int64_t batch_rows
    cdef size_t batch_bytes
    cdef bint deprecate_eof
    cdef uint8_t sequence
    # input: bytes [start, end) of `input` are not decoded yet
    cdef object input
    cdef size_t start
    cdef size_t end
    cdef size_t joined  # bytes of a packet of several parts put together so far, from `start` on
    cdef bint whole  # that packet is complete
    cdef size_t wanted  # bytes needed from `start` on before anything can be decoded
    # the packet the last status is about
    cdef size_t packet
    cdef size_t packet_size
    # the batch being filled
    cdef int64_t rows
    cdef int64_t room
    cdef size_t used
    cdef int bad_column
    cdef const uint8_t* bad_value
    cdef Status status
    cdef bint discarding
    cdef bint broken
    cdef readonly object failed_row

    def __cinit__(self):
        self.columns = NULL
        self.count = 0

    def __init__(self, columns, batch_rows=65536, batch_bytes=8 << 20, sequence=0, deprecate_eof=False):
        if batch_rows < 1 or batch_bytes < 1:
            raise ValueError("batch_rows and batch_bytes are at least 1")
        if self.columns != NULL:
            raise RuntimeError("a decoder is initialised once")
        self.specs = tuple(columns)
        codecs = [codec(spec) for spec in self.specs]
        self.schema = pa.schema([pa.field(spec.name, spec.arrow) for spec in self.specs])
        self.columns = <Column*>calloc(max(1, len(codecs)), sizeof(Column))
        if self.columns == NULL:
            raise MemoryError
        self.count = len(codecs)
        cdef Column* column
        cdef int number
        for number, (spec, plan) in enumerate(zip(self.specs, codecs)):
            column = &self.columns[number]
            column.op = plan.op
            column.size = plan.size
            column.width = plan.width
            column.signed_in = plan.signed
            column.signed_out = plan.low < 0
            column.low = plan.low
            column.high = plan.high
            column.invalid = ("refuse", "null", "sentinel").index(spec.invalid)
            column.length_a = min(plan.lengths, default=-1)
            column.length_b = max(plan.lengths, default=-1)
        self.batch_rows = batch_rows
        self.batch_bytes = min(batch_bytes, OFFSETS32_LIMIT)
        self.deprecate_eof = deprecate_eof
        self.sequence = sequence & 0xFF
        self.input = bytearray(INPUT_BYTES)
        self.start = self.end = self.joined = 0
        self.whole = False
        self.wanted = 4
        self.rows = self.room = 0
        self.used = 0
        self.status = MORE
        self.discarding = self.broken = False
        self.failed_row = None

    def __dealloc__(self):
        self._free_batch()
        free(self.columns)
        self.columns = NULL

    # ------------------------------------------------------------ input

    def space(self):
        """Writable memory for the bytes that follow; release it (or let go of it) before anything else."""
        cdef size_t size = PyByteArray_GET_SIZE(self.input)
        cdef size_t left = self.end - self.start
        cdef size_t least
        cdef char* memory
        self._require_sound()
        if self.start and (left == 0 or size - self.end < LEAST_SPACE or left < 4096):
            memory = PyByteArray_AS_STRING(self.input)
            memmove(memory, memory + self.start, left)
            self.start = 0
            self.end = left
        if left == 0 and size > 4 * INPUT_BYTES:
            PyByteArray_Resize(self.input, INPUT_BYTES)
            size = INPUT_BYTES
        # A packet of several parts does not say how long it is: doubling keeps the copying linear.
        least = max(self.start + self.wanted, self.end) + LEAST_SPACE
        if least > size:
            size = max(least, min(2 * size, least + (64 << 20)))
            PyByteArray_Resize(self.input, size)
        return memoryview(self.input)[self.end:]

    def advance(self, Py_ssize_t received):
        """So many bytes were put into `space()`."""
        if received < 0 or self.end + received > <size_t>PyByteArray_GET_SIZE(self.input):
            raise ValueError("more than there was space for")
        self.end += received

    def feed(self, data):
        """Put bytes behind those not decoded yet, whatever their number."""
        view = memoryview(data).cast("B")
        while len(view):
            with self.space() as space:
                length = min(len(space), len(view))
                space[:length] = view[:length]
            self.advance(length)
            view = view[length:]

    def discard(self):
        """From here on rows are passed over undecoded; for getting to the end of an unwanted result, also
        after a RowError."""
        self.discarding = True
        self._free_batch()
        if self.status == BAD_VALUE and self.broken:
            self.start += self.joined
            self.joined = 0
            self.whole = False
            self.wanted = 4
            self.status = MORE
            self.broken = False

    # ------------------------------------------------------------ output

    @property
    def finished(self):
        """The end of the result was seen and every row was taken."""
        return self.status == ENDED and self.rows == 0

    @property
    def rest(self):
        """Bytes received behind the end of the result."""
        return bytes(memoryview(self.input)[self.start:self.end]) if self.status == ENDED else b""

    @property
    def next_sequence(self):
        return self.sequence

    @property
    def touched(self):
        """By column name: how many values `invalid` made NULL or the sentinel."""
        return {
            spec.name: self.columns[number].touched
            for number, spec in enumerate(self.specs)
            if self.columns[number].touched
        }

    def take(self):
        """The next full batch; the rest of the rows at the end of the result; None when bytes are missing.

        Raises ServerError for an ERR packet, ProtocolError for bytes that are no rows of these columns,
        RowError for a value that cannot go (`failed_row` is then its row). After any of them the decoder is of
        no use, but for `discard` after a RowError.
        """
        cdef uint8_t* memory
        self._require_sound()
        if self.status != ENDED:
            memory = <uint8_t*>PyByteArray_AS_STRING(self.input)
            with nogil:
                self.status = self._run(memory)
            if self.status > ENDED:
                self._fail()
        if self.status == FULL or (self.status == ENDED and self.rows):
            return self._batch()
        return None

    cdef int _require_sound(self) except -1:
        if self.broken:
            raise ProtocolError("the result failed before")
        return 0

    cdef int _fail(self) except -1:
        self.broken = True
        packet = bytes(memoryview(self.input)[self.packet:self.packet + self.packet_size])
        if self.status == FAILED:
            raise server_error(packet)
        if self.status == BAD_VALUE:
            self.failed_row = packet
            raise self._row_error()
        if self.status == OUT_OF_ORDER:
            raise ProtocolError("packets out of order")
        if self.status == NO_MEMORY:
            raise MemoryError
        raise ProtocolError(f"a packet of {len(packet)} bytes is no row of {self.count} columns")

    cdef object _row_error(self):
        cdef Column* column = &self.columns[self.bad_column]
        cdef const uint8_t* p = self.bad_value
        cdef size_t length
        row = self.rows
        if column.op == INTEGER:
            value = int.from_bytes(p[:column.size], "little", signed=column.signed_in)
            return RowError(self.bad_column, row, "out-of-range", str(value))
        if column.op == BYTES or column.op == LARGE_BYTES:
            length = p[0]
            return RowError(self.bad_column, row, "bad-length", (<bytes>p[1:1 + length]).hex())
        year, month, day, hour, minute, second, micro = 0, 0, 0, 0, 0, 0, 0
        if p[0] >= 4:
            year, month, day = _u16(p + 1), p[3], p[4]
        if p[0] >= 7:
            hour, minute, second = p[5], p[6], p[7]
        if p[0] >= 11:
            micro = _u32(p + 8)
        if column.op == DATE:
            text = printed_date(year, month, day)
        else:
            text = printed_moment(year, month, day, hour, minute, second, micro)
        return RowError(self.bad_column, row, "zero-date", text)

    cdef object _batch(self):
        cdef int number
        cdef Column* column
        cdef int64_t rows = self.rows
        arrays = []
        for number in range(self.count):
            column = &self.columns[number]
            variable = column.op == BYTES or column.op == LARGE_BYTES
            buffers = [_validity(column, rows), *_contents(column, rows, variable)]
            arrays.append(pa.Array.from_buffers(self.specs[number].arrow, rows, buffers, null_count=column.nulls))
            column.nulls = 0
        self.rows = self.room = 0
        self.used = 0
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    cdef void _free_batch(self) noexcept:
        cdef int number
        for number in range(self.count):
            _freed(&self.columns[number])
        self.rows = self.room = 0
        self.used = 0

    # ------------------------------------------------------------ packets

    cdef Status _run(self, uint8_t* memory) noexcept nogil:
        """Decode until the batch is full, the input is used up or the result ends."""
        cdef size_t length
        cdef size_t place
        cdef Status status
        cdef uint8_t* header
        while True:
            # 1. a whole packet: [packet, packet + packet_size)
            while not self.whole:
                place = self.start + self.joined
                if self.end - place < 4:
                    self.wanted = self.joined + 4
                    return MORE
                header = memory + place
                length = _u24(header)
                if self.end - place - 4 < length:
                    self.wanted = self.joined + 4 + length
                    return MORE
                if header[3] != self.sequence:
                    # MariaDB says goodbye with number 0
                    if not (header[3] == 0 and length > 0 and header[4] == 0xFF and self.joined == 0):
                        self.packet = place
                        self.packet_size = 0
                        return OUT_OF_ORDER
                self.sequence += 1
                if self.joined == 0:
                    self.start += 4
                    self.joined = length
                else:
                    # the parts of a long packet are put side by side
                    memmove(header, header + 4, self.end - place - 4)
                    self.end -= 4
                    self.joined += length
                self.whole = length < MAX_PACKET
                self.wanted = self.joined
            self.packet = self.start
            self.packet_size = self.joined
            # 2. what it is
            status = self._packet(memory + self.packet, self.packet_size)
            if status == FULL:
                return FULL
            if status > ENDED:
                return status
            self.start += self.joined
            self.joined = 0
            self.whole = False
            self.wanted = 4
            if status == ENDED:
                return ENDED

    cdef Status _packet(self, const uint8_t* p, size_t size) noexcept nogil:
        """One packet: MORE when it was a row that is in the batch now."""
        cdef Status status
        if size == 0:
            return BAD_ROW
        if p[0] == 0xFF:
            return FAILED if size >= 3 else BAD_ROW
        if p[0] == 0xFE:
            if self.deprecate_eof:
                return ENDED if size >= 7 and size < MAX_PACKET else BAD_ROW
            return ENDED if size == 5 or size == 1 else BAD_ROW
        if p[0] != 0:
            return BAD_ROW
        if self.discarding:
            return MORE
        if self.rows and (self.rows >= self.batch_rows or self.used + size > self.batch_bytes):
            return FULL
        if size > OFFSETS32:
            return BAD_ROW
        if self.rows >= self.room and not self._grow():
            return NO_MEMORY
        status = self._row(p, p + size)
        if status != MORE:
            return status
        self.rows += 1
        self.used += size
        return MORE

    cdef bint _grow(self) noexcept nogil:
        """Room for more rows in every column; False without memory."""
        cdef int64_t room = max(FIRST_ROWS, 2 * self.room)
        cdef int number
        if room > self.batch_rows:
            room = self.batch_rows
        for number in range(self.count):
            if not _widened(&self.columns[number], room, self.room):
                return False
        self.room = room
        return True

    # ------------------------------------------------------------ one row

    cdef Status _row(self, const uint8_t* p, const uint8_t* end) noexcept nogil:
        cdef int64_t row = self.rows
        cdef const uint8_t* nulls = p + 1
        cdef int number
        cdef Column* column
        cdef Status status
        if end - p < 1 + (self.count + 9) // 8:
            return BAD_ROW
        p += 1 + (self.count + 9) // 8
        for number in range(self.count):
            column = &self.columns[number]
            if (nulls[(number + 2) >> 3] >> ((number + 2) & 7)) & 1:
                self._null(column, row)
                continue
            if column.op == COPY:
                if end - p < column.size:
                    return BAD_ROW
                if column.size == 8:
                    memcpy(column.values + row * 8, p, 8)
                elif column.size == 4:
                    memcpy(column.values + row * 4, p, 4)
                else:
                    memcpy(column.values + row * column.size, p, column.size)
                p += column.size
                continue
            if column.op == BYTES or column.op == LARGE_BYTES:
                status = self._bytes(column, row, &p, end)
            elif column.op == INTEGER:
                status = self._integer(column, row, &p, end)
            elif column.op == DATE or column.op == MOMENT:
                status = self._moment(column, row, &p, end)
            elif column.op == TIME:
                status = self._time(column, row, &p, end)
            elif column.op == WIDEN:
                if end - p < 4:
                    return BAD_ROW
                self._widen(column, row, p)
                p += 4
                status = MORE
            else:
                return BAD_ROW
            if status != MORE:
                self.bad_column = number
                return status
        return MORE if p == end else BAD_ROW

    cdef inline void _null(self, Column* column, int64_t row) noexcept nogil:
        column.valid[row >> 3] &= ~(1 << (row & 7))
        column.nulls += 1
        if column.op == BYTES:
            (<int32_t*>column.values)[row + 1] = (<int32_t*>column.values)[row]
        elif column.op == LARGE_BYTES:
            (<int64_t*>column.values)[row + 1] = (<int64_t*>column.values)[row]
        else:
            memset(column.values + row * column.width, 0, column.width)

    cdef inline void _widen(self, Column* column, int64_t row, const uint8_t* p) noexcept nogil:
        cdef float narrow
        memcpy(&narrow, p, 4)
        (<double*>column.values)[row] = narrow

    cdef inline Status _bytes(
        self, Column* column, int64_t row, const uint8_t** place, const uint8_t* end
    ) noexcept nogil:
        cdef const uint8_t* p = place[0]
        cdef uint64_t length
        cdef size_t room
        cdef void* memory
        if p >= end:
            return BAD_ROW
        length = p[0]
        if length < 251:
            p += 1
        elif length == 252:
            if end - p < 3:
                return BAD_ROW
            length = _u16(p + 1)
            p += 3
        elif length == 253:
            if end - p < 4:
                return BAD_ROW
            length = _u24(p + 1)
            p += 4
        elif length == 254:
            if end - p < 9:
                return BAD_ROW
            memcpy(&length, p + 1, 8)
            p += 9
        else:
            return BAD_ROW
        if <uint64_t>(end - p) < length:
            return BAD_ROW
        if column.length_a >= 0 and length != <uint64_t>column.length_a and length != <uint64_t>column.length_b:
            if length >= 251:
                return BAD_ROW
            self.bad_value = place[0]
            return BAD_VALUE
        if column.data_room - column.data_size < length:
            room = column.data_size + length
            if room < self.batch_bytes:
                room = max(room, min(max(<size_t>LEAST_SPACE, 2 * column.data_room), self.batch_bytes))
            memory = realloc(column.data, room)
            if memory == NULL:
                return NO_MEMORY
            column.data = <uint8_t*>memory
            column.data_room = room
        if length:
            memcpy(column.data + column.data_size, p, length)
        column.data_size += length
        if column.op == BYTES:
            (<int32_t*>column.values)[row + 1] = <int32_t>column.data_size
        else:
            (<int64_t*>column.values)[row + 1] = <int64_t>column.data_size
        place[0] = p + length
        return MORE

    cdef Status _integer(
        self, Column* column, int64_t row, const uint8_t** place, const uint8_t* end
    ) noexcept nogil:
        cdef const uint8_t* p = place[0]
        cdef uint64_t raw = 0
        cdef int64_t value
        cdef int shift
        if end - p < column.size:
            return BAD_ROW
        memcpy(&raw, p, column.size)
        if column.signed_in:
            shift = 64 - 8 * column.size
            value = <int64_t>(raw << shift) >> shift
            raw = <uint64_t>value
            if value < 0:
                if not column.signed_out or value < column.low:
                    self.bad_value = p
                    return BAD_VALUE
            elif raw > column.high:
                self.bad_value = p
                return BAD_VALUE
        elif raw > column.high:
            self.bad_value = p
            return BAD_VALUE
        memcpy(column.values + row * column.width, &raw, column.width)
        place[0] = p + column.size
        return MORE

    cdef inline Status _moment(
        self, Column* column, int64_t row, const uint8_t** place, const uint8_t* end
    ) noexcept nogil:
        cdef const uint8_t* p = place[0]
        cdef int length, year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0
        cdef uint32_t micro = 0
        cdef int64_t value
        if p >= end:
            return BAD_ROW
        length = p[0]
        if length != 0 and length != 4 and length != 7 and length != 11:
            return BAD_ROW
        if end - p < 1 + length:
            return BAD_ROW
        if length >= 4:
            year = _u16(p + 1)
            month = p[3]
            day = p[4]
        if length >= 7:
            hour = p[5]
            minute = p[6]
            second = p[7]
        if length == 11:
            micro = _u32(p + 8)
        if hour > 23 or minute > 59 or second > 59 or micro > 999999 or year > 9999 or month > 12 or day > 31:
            return BAD_ROW
        if column.op == DATE and (hour or minute or second or micro):
            return BAD_ROW
        place[0] = p + 1 + length
        if year < FIRST or month == 0 or day == 0 or day > _days_in(year, month):
            if column.invalid == REFUSE:
                self.bad_value = p
                return BAD_VALUE
            column.touched += 1
            if column.invalid == MAKE_NULL:
                self._null(column, row)
            elif column.op == DATE:
                (<int32_t*>column.values)[row] = <int32_t>(-0x7FFFFFFF - 1)
            else:
                (<int64_t*>column.values)[row] = <int64_t>(<uint64_t>1 << 63)
            return MORE
        value = _days(year, month, day)
        if column.op == DATE:
            (<int32_t*>column.values)[row] = <int32_t>value
        else:
            value = ((value * 24 + hour) * 60 + minute) * 60 + second
            (<int64_t*>column.values)[row] = value * 1000000 + micro
        return MORE

    cdef inline Status _time(
        self, Column* column, int64_t row, const uint8_t** place, const uint8_t* end
    ) noexcept nogil:
        cdef const uint8_t* p = place[0]
        cdef int length, hour = 0, minute = 0, second = 0
        cdef uint32_t days = 0, micro = 0
        cdef bint negative = False
        cdef int64_t value
        if p >= end:
            return BAD_ROW
        length = p[0]
        if length != 0 and length != 8 and length != 12:
            return BAD_ROW
        if end - p < 1 + length:
            return BAD_ROW
        if length >= 8:
            if p[1] > 1:
                return BAD_ROW
            negative = p[1] == 1
            days = _u32(p + 2)
            hour = p[6]
            minute = p[7]
            second = p[8]
        if length == 12:
            micro = _u32(p + 9)
        if days > MAX_DAYS or hour > 23 or minute > 59 or second > 59 or micro > 999999:
            return BAD_ROW
        value = (((<int64_t>days * 24 + hour) * 60 + minute) * 60 + second) * 1000000 + micro
        (<int64_t*>column.values)[row] = -value if negative else value
        place[0] = p + 1 + length
        return MORE


cdef size_t OFFSETS32 = OFFSETS32_LIMIT
cdef int FIRST = FIRST_YEAR
