# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False, embedsignature=True
# distutils: extra_compile_args = -O3 -fno-strict-aliasing
"""JSON objects, one after the other or in an array → a column of texts for each key, in C without the GIL.

Every value keeps its own text: of a string the characters, of anything else what stands there. Grammar:
RFC 8259, with no key twice in one object. What the scanner does not take (a fault, half a surrogate pair, more
than DEPTH brackets) it leaves to a reader that can say what is wrong: it stops before that object. The bytes
must be UTF-8, which the caller checks. The plain twin is ext/plain/jsontexts.py.
"""

import pyarrow as pa

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

__all__ = ["AFTER", "CUT", "DEPTH", "END", "FAULT", "FIRST", "FULL", "LINES", "NEXT", "START", "TextScanner"]

# Why a scan stopped.
CUT = 0  # the bytes end, perhaps within an object
FULL = 1  # enough rows for a batch
FAULT = 2  # what stands here must be looked at by somebody else

# Where it stands.
START = 0  # before everything
LINES = 1  # between objects, outside of an array
FIRST = 2  # after '['
AFTER = 3  # after an object of the array
NEXT = 4  # after ',' in the array
END = 5  # after ']'

cdef enum:
    C_CUT = 0
    C_FULL = 1
    C_FAULT = 2
    C_MEMORY = 3
    AT_START = 0
    IN_LINES = 1
    AT_FIRST = 2
    BEHIND_OBJECT = 3
    BEFORE_NEXT = 4
    AT_END = 5
    T_NULL = 1
    T_STRING = 2
    T_NUMBER = 4
    T_BOOL = 8
    T_NESTED = 16
    WORDS = 8  # of 64 brackets each
    FIRST_ROWS = 1024
    FIRST_DATA = 4096
    FIRST_KEYS = 16

DEPTH = WORDS * 64  # brackets around a value that are kept count of

cdef struct Column:
    int32_t* ends  # ends[row] is where row begins
    uint8_t* valid  # a bitmap
    uint8_t* data
    size_t size
    size_t room
    int64_t nulls
    uint64_t seen

cdef struct Text:
    const uint8_t* start
    const uint8_t* stop
    bint escaped
    int token


include "jsontexts_values.pxi"
include "jsontexts_keys.pxi"


cdef class TextScanner(_Keys):
    """keys: those that get a column, each once. raw: those of them whose strings are wanted as they stand,
    with their quotes. Values that are null, and of keys that are missing, are NULL."""

    cdef readonly int stopped
    cdef readonly int place
    cdef readonly int64_t rows  # of all that was scanned
    cdef Column* _columns
    cdef int _column_count
    cdef int _batch_rows
    cdef size_t _batch_bytes
    cdef int _row_room
    cdef uint64_t _tries
    cdef uint8_t* _scratch
    cdef size_t _scratch_room

    def __cinit__(self, keys=(), raw=frozenset()):
        cdef int number
        cdef bytes name
        cdef int key
        self._column_count = len(keys)
        self._columns = <Column*>calloc(max(1, self._column_count), sizeof(Column))
        if self._columns == NULL:
            raise MemoryError
        for number, text in enumerate(keys):
            name = text.encode()
            key = self._key(<const uint8_t*><const char*>name, len(name), -1)
            if key < 0:
                raise MemoryError
            if self._keys[key].column >= 0:
                raise ValueError(f"the key {text!r} is asked for twice")
            self._keys[key].column = number
            self._keys[key].raw = text in raw
        if not self._more_rows(FIRST_ROWS):
            raise MemoryError

    def __dealloc__(self):
        cdef int number
        for number in range(self._column_count if self._columns else 0):
            free(self._columns[number].ends)
            free(self._columns[number].valid)
            free(self._columns[number].data)
        free(self._columns)
        free(self._scratch)

    def scan(self, bytes data, Py_ssize_t at, int rows, Py_ssize_t size):
        """Take objects from data[at:] until the batch holds `rows` of them or was made of `size` bytes, the
        bytes end (`stopped` is CUT) or something is wrong (FAULT). Gives the place behind what was taken.
        ValueError for a place that is none."""
        cdef const uint8_t* base = <const uint8_t*><const char*>data
        cdef const uint8_t* end = base + len(data)
        cdef const uint8_t* p
        if not 0 <= at <= len(data):
            raise ValueError(at)
        with nogil:
            p = self._scan(base + at, end, rows, <size_t>size)
        if self.stopped == C_MEMORY:
            raise MemoryError
        return p - base

    def batch(self):
        """The texts of the objects since the last batch, an array for each key asked for."""
        cdef Column* column
        cdef int number
        cdef int rows = self._batch_rows
        arrays = []
        for number in range(self._column_count):
            column = &self._columns[number]
            column.size = <size_t>column.ends[rows]
            valid = None
            if column.nulls:
                valid = pa.py_buffer((<const char*>column.valid)[: (rows + 7) // 8])
            arrays.append(
                pa.StringArray.from_buffers(
                    rows,
                    pa.py_buffer((<const char*>column.ends)[: (rows + 1) * sizeof(int32_t)]),
                    pa.py_buffer((<const char*>column.data)[: column.size] if column.size else b""),
                    valid,
                    column.nulls,
                )
            )
            memset(column.valid, 0, (rows + 7) // 8)
            column.size = 0
            column.nulls = 0
        self._batch_rows = 0
        self._batch_bytes = 0
        return arrays

    @property
    def batch_rows(self):
        """Objects since the last batch."""
        return self._batch_rows

    # ------------------------------------------------------------

    cdef const uint8_t* _scan(
        self, const uint8_t* p, const uint8_t* end, int rows, size_t size
    ) noexcept nogil:
        cdef const uint8_t* q
        cdef uint8_t c
        self.stopped = C_CUT
        while True:
            p = skip_space(p, end)
            if p >= end:
                return p
            c = p[0]
            if self.place == AT_START:
                if c == 91:
                    self.place = AT_FIRST
                    p += 1
                    continue
                self.place = IN_LINES
            elif self.place == BEHIND_OBJECT:
                if c == 44:
                    self.place = BEFORE_NEXT
                    p += 1
                    continue
                if c == 93:
                    self.place = AT_END
                    p += 1
                    continue
                self.stopped = C_FAULT
                return p
            elif self.place == AT_FIRST and c == 93:
                self.place = AT_END
                p += 1
                continue
            if self.place == AT_END or c != 123:
                self.stopped = C_FAULT
                return p
            if self._batch_rows >= rows or (self._batch_rows and self._batch_bytes >= size):
                self.stopped = C_FULL
                return p
            q = self._object(p, end)
            if q == NULL:
                return p
            if not self._commit():
                self.stopped = C_MEMORY
                return p
            self._batch_bytes += <size_t>(q - p)
            p = q
            if self.place != IN_LINES:
                self.place = BEHIND_OBJECT

    cdef const uint8_t* _object(self, const uint8_t* p, const uint8_t* end) noexcept nogil:
        """Behind the object that begins at p; NULL with `stopped` saying why there is none."""
        cdef int number
        cdef int key
        cdef Text text
        cdef size_t size
        cdef const uint8_t* name
        cdef uint8_t* stop
        self._tries += 1
        self._members = 0
        for number in range(self._column_count):
            self._columns[number].size = <size_t>self._columns[number].ends[self._batch_rows]
        self.stopped = C_CUT
        p = skip_space(p + 1, end)
        if p >= end:
            return NULL
        if p[0] == 125:
            return p + 1
        while True:
            if p[0] != 34:
                self.stopped = C_FAULT
                return NULL
            text.escaped = False
            name = p + 1
            p = skip_string(name, end, &text.escaped, &self.stopped)
            if p == NULL:
                return NULL
            size = <size_t>(p - name)
            if text.escaped:
                if not self._enough_scratch(size):
                    self.stopped = C_MEMORY
                    return NULL
                stop = unescaped(name, p, self._scratch)
                if stop == NULL:
                    self.stopped = C_FAULT
                    return NULL
                name = self._scratch
                size = <size_t>(stop - self._scratch)
            p = skip_space(p + 1, end)
            if p < end and p[0] != 58:
                self.stopped = C_FAULT
                return NULL
            if p < end:
                p = skip_space(p + 1, end)
            if p >= end:
                self.stopped = C_CUT
                return NULL
            key = self._key(name, size, self._members)
            if key < 0:
                self.stopped = C_MEMORY
                return NULL
            text.start = p
            text.escaped = False
            if p[0] == 123 or p[0] == 91:
                text.token = T_NESTED
                p = skip_nested(p, end, &self.stopped)
                text.stop = p
            else:
                p = skip_scalar(p, end, &text, &self.stopped)
            if p == NULL:
                return NULL
            if self._keys[key].seen == self._tries:
                self.stopped = C_FAULT
                return NULL
            self._keys[key].seen = self._tries
            self._found[self._members] = key
            self._tokens[self._members] = text.token
            self._members += 1
            if self._keys[key].column >= 0 and text.token != T_NULL:
                self.stopped = self._append(&self._keys[key], &text)
                if self.stopped != C_CUT:
                    return NULL
            self.stopped = C_CUT
            p = skip_space(p, end)
            if p >= end:
                return NULL
            if p[0] == 125:
                return p + 1
            if p[0] != 44:
                self.stopped = C_FAULT
                return NULL
            p = skip_space(p + 1, end)
            if p >= end:
                return NULL

    cdef int _append(self, Key* key, Text* text) noexcept nogil:
        """C_CUT, which is none, when the value is in its column."""
        cdef Column* column = &self._columns[key.column]
        cdef const uint8_t* start = text.start
        cdef const uint8_t* stop = text.stop
        cdef bint escaped = text.escaped
        cdef size_t size
        cdef size_t room
        cdef uint8_t* end
        cdef void* made
        if key.raw and text.token == T_STRING:
            start -= 1
            stop += 1
            escaped = False
        size = <size_t>(stop - start)
        if column.size + size > 0x7FFFFFFF:
            return C_FAULT
        if column.size + size > column.room:
            room = column.room * 2 if column.room else FIRST_DATA
            if room < column.size + size:
                room = column.size + size
            made = realloc(column.data, room)
            if made == NULL:
                return C_MEMORY
            column.data = <uint8_t*>made
            column.room = room
        if escaped:
            end = unescaped(start, stop, column.data + column.size)
            if end == NULL:
                return C_FAULT
            column.size = <size_t>(end - column.data)
        elif size:
            memcpy(column.data + column.size, start, size)
            column.size += size
        column.seen = self._tries
        return C_CUT

    cdef bint _commit(self) noexcept nogil:
        """The object is whole: it becomes a row."""
        cdef int number
        cdef int row = self._batch_rows
        cdef Column* column
        cdef Key* key
        if row + 1 >= self._row_room and not self._more_rows(2 * self._row_room):
            return False
        for number in range(self._members):
            key = &self._keys[self._found[number]]
            key.count += 1
            key.tokens |= self._tokens[number]
            self._order[number] = self._found[number]
        for number in range(self._column_count):
            column = &self._columns[number]
            column.ends[row + 1] = <int32_t>column.size
            if column.seen == self._tries:
                column.valid[row >> 3] |= <uint8_t>(1 << (row & 7))
            else:
                column.nulls += 1
        self._batch_rows = row + 1
        self.rows += 1
        return True

    cdef bint _more_rows(self, int rows) noexcept nogil:
        cdef int number
        cdef Column* column
        cdef void* made
        for number in range(self._column_count):
            column = &self._columns[number]
            made = realloc(column.ends, (rows + 1) * sizeof(int32_t))
            if made == NULL:
                return False
            column.ends = <int32_t*>made
            if self._row_room == 0:
                column.ends[0] = 0
            made = realloc(column.valid, rows // 8 + 1)
            if made == NULL:
                return False
            column.valid = <uint8_t*>made
            memset(column.valid + (self._row_room + 7) // 8, 0, rows // 8 + 1 - (self._row_room + 7) // 8)
        self._row_room = rows
        return True

    cdef bint _enough_scratch(self, size_t size) noexcept nogil:
        cdef void* made
        if size > self._scratch_room:
            made = realloc(self._scratch, size)
            if made == NULL:
                return False
            self._scratch = <uint8_t*>made
            self._scratch_room = size
        return True
