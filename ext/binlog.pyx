# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False, embedsignature=True
# distutils: extra_compile_args = -O3 -fno-strict-aliasing
"""Row events of MySQL's and MariaDB's binary log → Arrow arrays, whole events in C without the GIL.

The images are those in which ext/mysqlrows.pyx reads the same columns, so that a row copied and a row logged
are the same bytes. Layout: MySQL Source Code Documentation, "Rows_event". Its plain twin is ext/plain/binlog.py.
"""

import sys

import pyarrow as pa

from ext.binlogjson import MAX_DEPTH, double_text, json_steps, opaque_text
from ext.binloglater import later
from ext.binlogspec import (
    INSERTS,
    ROWS,
    ROWS_V2,
    UPDATES,
    Changes,
    JsonChanges,
    Log,
    ProtocolError,
    Shape,
    log_codec,
)
from ext.mysqlwire import OFFSETS32_LIMIT, printed_date, printed_moment
from ext.rowerror import SHOWN, RowError

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

__all__ = ["RowsDecoder", "json_text"]

if sys.byteorder != "little":
    raise ImportError("ext.binlog reads little-endian values as they are; use ext.plain.binlog here")

cdef enum:
    PASS_OVER = 0
    COPY = 1
    INTEGER = 2
    WIDEN = 3
    YEAR = 4
    DECIMAL = 5
    BYTES = 6
    PADDED = 7
    SINGLE = 9
    WIDE = 10
    LABEL = 11
    SET_LABELS = 12
    DATE = 13
    OLD_DATETIME = 14
    OLD_TIMESTAMP = 15
    OLD_TIME = 16
    DATETIME2 = 17
    TIMESTAMP2 = 18
    TIME2 = 19
    JSON = 20
    LATER = 21
    SET_MASK = 22

cdef enum:
    REFUSE = 0
    MAKE_NULL = 1
    SENTINEL = 2

cdef enum Status:
    FINE = 0
    BAD_ROW = 1
    BAD_VALUE = 2  # a value that cannot go
    NO_MEMORY = 3

cdef int MAX_JSON_DEPTH = MAX_DEPTH

include "binlog_memory.pxi"
include "binlog_times.pxi"
include "binlog_text.pxi"
include "binlog_json.pxi"


cdef struct Partial:  # a partial update of a JSON value, where it lies in the event
    int64_t row
    int column
    size_t place
    size_t size


cdef class RowsDecoder:
    """Collects the rows of one table's events, as one table map has them.

    table: the TableMap. columns: for each of its columns a LogColumn, or None where it is not wanted. Raises
    WireTypeError for a type that is not read into the wanted image, ValueError for another number of columns.
    """

    cdef Side before
    cdef Side after
    cdef int count
    cdef readonly object table
    cdef readonly object columns
    cdef list codecs
    cdef list wanted  # numbers of the columns wanted
    cdef object schema
    cdef list keep  # owns the tables of the columns
    cdef dict found  # shapes by their bytes
    cdef list shapes
    cdef list diffs
    cdef dict late
    cdef int json_count
    cdef uint16_t* shape
    cdef int64_t* tags
    cdef int64_t changes
    cdef int64_t room
    cdef readonly int64_t used
    cdef bint broken
    # partial updates of the event under way
    cdef Partial* partials
    cdef int partial_count
    cdef int partial_room
    # the value the last status is about
    cdef int bad_column
    cdef const uint8_t* bad_value
    cdef size_t bad_size
    cdef Side* bad_side

    def __cinit__(self):
        self.before.columns = self.after.columns = NULL
        self.shape = NULL
        self.tags = NULL
        self.partials = NULL
        self.count = 0

    def __init__(self, table, columns):
        if self.before.columns != NULL:
            raise RuntimeError("a decoder is initialised once")
        self.table = table
        self.columns = tuple(columns)
        if len(self.columns) != len(table.columns):
            raise ValueError(f"{len(self.columns)} columns for a table of {len(table.columns)}")
        self.codecs = [log_codec(mapped, column) for mapped, column in zip(table.columns, self.columns)]
        self.wanted = [number for number, column in enumerate(self.columns) if column is not None]
        self.schema = pa.schema([pa.field(self.columns[n].name, self.columns[n].arrow) for n in self.wanted])
        self.keep = []
        self.before.columns = self._columns()
        self.after.columns = self._columns()
        self.count = len(self.codecs)
        self.json_count = sum(column.type == 245 for column in table.columns)
        self.found = {}
        self.shapes = []
        self.diffs = []
        self.late = {}
        self.changes = self.room = self.used = 0
        self.broken = False

    cdef Column* _columns(self) except NULL:
        cdef Column* columns = <Column*>calloc(max(1, len(self.codecs)), sizeof(Column))
        cdef Column* column
        cdef _Block block
        cdef Text* entries
        cdef int number, entry
        if columns == NULL:
            raise MemoryError
        for number, (plan, spec) in enumerate(zip(self.codecs, self.columns)):
            column = &columns[number]
            column.read = plan.read
            column.prefix = plan.prefix
            column.size = plan.size
            column.width = plan.width
            column.signed_in = plan.signed
            column.signed_out = plan.low < 0
            column.low = plan.low
            column.high = plan.high
            column.pad = plan.pad
            column.precision = plan.precision
            column.scale = plan.scale
            column.wide = plan.wide
            column.json = self.table.columns[number].type == 245
            column.length_a = min(plan.lengths, default=-1)
            column.length_b = max(plan.lengths, default=-1)
            if spec is not None:
                column.invalid = ("refuse", "null", "sentinel").index(spec.invalid)
                column.replace = spec.lossy == "replace"
            if plan.table:
                block = _Block.__new__(_Block)
                block.memory = malloc(len(plan.table) * sizeof(Text))
                if block.memory == NULL:
                    free(columns)
                    raise MemoryError
                entries = <Text*>block.memory
                for entry in range(len(plan.table)):
                    entries[entry].data = <const uint8_t*><const char*>(<bytes>plan.table[entry])
                    entries[entry].size = len(plan.table[entry])
                column.table = entries
                column.entries = len(plan.table)
                self.keep.append((block, plan.table))
        return columns

    def __dealloc__(self):
        _emptied(&self.before, self.count)
        _emptied(&self.after, self.count)
        free(self.before.columns)
        free(self.after.columns)
        free(self.shape)
        free(self.tags)
        free(self.partials)

    # ------------------------------------------------------------ input

    @property
    def rows(self):
        """Changes collected and not taken."""
        return self.changes

    @property
    def touched(self):
        """By column name: how many values a policy changed (`invalid`, `lossy`)."""
        counts = dict(self.late)
        for number in self.wanted:
            n = self.before.columns[number].touched + self.after.columns[number].touched
            if n:
                name = self.columns[number].name
                counts[name] = counts.get(name, 0) + n
        return counts

    def add(self, kind, body, tag=0):
        """Decode a rows event of this table behind those collected; returns how many changes it holds. `tag`
        is given back with each of them.

        Raises ProtocolError for bytes that are no rows of these columns, RowError for a value that cannot go
        (row: the number of its change). After either the decoder is of no use.
        """
        if self.broken:
            raise ProtocolError("the decoder failed before")
        if kind not in ROWS:
            raise ProtocolError(f"an event of type {kind} has no rows")
        if self.used + 6 * len(body) > OFFSETS32_LIMIT and self.changes:
            raise ProtocolError("more rows than a batch holds: take first")
        cdef const uint8_t[::1] view = body
        cdef size_t size = len(view)
        cdef const uint8_t* start
        cdef const uint8_t* p
        cdef const uint8_t* end
        cdef const uint8_t* present_before
        cdef const uint8_t* present_after
        cdef uint64_t count
        cdef size_t bits = (self.count + 7) // 8
        cdef bint update = kind in UPDATES
        cdef bint insert = kind in INSERTS
        cdef bint partial = kind == Log.PARTIAL_UPDATE_ROWS
        cdef int64_t first = self.changes
        cdef Status status
        cdef int shape
        cdef int64_t mark = tag
        self.broken = True  # until it went well
        if size < 8:
            raise self._garbage(size)
        start = &view[0]
        p = start + 8
        end = start + size
        if kind in ROWS_V2:
            if end - p < 2 or _little(p, 2) < 2 or <uint64_t>(end - p) < _little(p, 2):
                raise self._garbage(size)
            p += _little(p, 2)
        if not _packed(&p, end, &count) or count != <uint64_t>self.count:
            raise self._garbage(size)
        if <size_t>(end - p) < (2 if update else 1) * bits:
            raise self._garbage(size)
        present_before = NULL if insert else p
        present_after = NULL if not insert and not update else p + (bits if update else 0)
        shape = self._shape(insert, update, body[p - start:p - start + (2 if update else 1) * bits])
        p += (2 if update else 1) * bits
        self.partial_count = 0
        with nogil:
            status = self._rows(p, end, start, present_before, present_after, partial, shape, mark)
        if status != FINE:
            self._fail(status, size)
        if self.partial_count:
            self._partial_updates(body)
        self.used += size
        self.broken = False
        return self.changes - first

    cdef int _shape(self, bint insert, bint update, bytes bits) except -1:
        key = (insert, update, bits)
        found = self.found.get(key)
        if found is not None:
            return found
        if len(self.shapes) > 65535:
            raise ProtocolError("more kinds of images than a batch holds: take first")
        half = len(bits) // 2 if update else len(bits)
        first = tuple([bool(bits[n >> 3] >> (n & 7) & 1) for n in self.wanted])
        none = (False,) * len(self.wanted)
        if update:
            second = tuple([bool(bits[half + (n >> 3)] >> (n & 7) & 1) for n in self.wanted])
            shape = Shape("update", first, second)
        else:
            shape = Shape("insert", none, first) if insert else Shape("delete", first, none)
        self.found[key] = len(self.shapes)
        self.shapes.append(shape)
        return len(self.shapes) - 1

    cdef object _garbage(self, size_t size):
        return ProtocolError(f"a rows event of {size} bytes holds no rows of {self.count} columns")

    cdef int _fail(self, Status status, size_t size) except -1:
        cdef Column* column
        cdef Moment at
        if status == NO_MEMORY:
            raise MemoryError("no memory, or more than 2 GiB in one column: take sooner")
        if status == BAD_ROW:
            raise self._garbage(size)
        column = &self.bad_side.columns[self.bad_column]
        number = self.wanted.index(self.bad_column)
        value = (<const char*>self.bad_value)[:self.bad_size]
        if column.read == INTEGER:
            printed = str(int.from_bytes(value, "little", signed=column.signed_in))
            raise RowError(number, self.changes, "out-of-range", printed)
        if DATE <= column.read <= TIME2:
            memset(&at, 0, sizeof(Moment))
            if column.read != OLD_TIMESTAMP and column.read != TIMESTAMP2:
                _parts(column, self.bad_value, &at)
            if column.read == DATE:
                printed = printed_date(at.year, at.month, at.day)
            else:
                printed = printed_moment(
                    at.year, at.month, at.day, at.hour, at.minute, at.second, at.micro
                )
            raise RowError(number, self.changes, "zero-date", printed)
        reason = "lossy-charset" if column.read == SINGLE or column.read == WIDE else "bad-length"
        raise RowError(number, self.changes, reason, value.hex()[:SHOWN])

    cdef int _partial_updates(self, bytes body) except -1:
        cdef int i
        cdef Partial* partial
        for i in range(self.partial_count):
            partial = &self.partials[i]
            steps = json_steps(body[partial.place:partial.place + partial.size], json_text)
            if partial.column in self.wanted:
                number = self.wanted.index(partial.column)
                self.diffs.append(JsonChanges(partial.row, number, steps))
        return 0

    # ------------------------------------------------------------ rows

    cdef Status _rows(
        self,
        const uint8_t* p,
        const uint8_t* end,
        const uint8_t* start,
        const uint8_t* present_before,
        const uint8_t* present_after,
        bint partial,
        int shape,
        int64_t tag,
    ) noexcept nogil:
        cdef Status status
        cdef uint64_t options
        cdef const uint8_t* partial_bits
        cdef size_t partial_size = (self.json_count + 7) // 8
        if _present(present_before, self.count) == 0 and _present(present_after, self.count) == 0 and p < end:
            return BAD_ROW  # rows of no bytes have no end
        while p < end:
            if self.changes >= self.room and not self._more():
                return NO_MEMORY
            self.shape[self.changes] = <uint16_t>shape
            self.tags[self.changes] = tag
            if present_before != NULL:
                status = self._image(&self.before, &p, end, start, present_before, NULL)
                if status != FINE:
                    return status
            if present_after != NULL:
                partial_bits = NULL
                if partial:
                    if not _packed(&p, end, &options):
                        return BAD_ROW
                    if options & ~<uint64_t>1:
                        return BAD_ROW
                    if options & 1:
                        if <size_t>(end - p) < partial_size:
                            return BAD_ROW
                        partial_bits = p
                        p += partial_size
                status = self._image(&self.after, &p, end, start, present_after, partial_bits)
                if status != FINE:
                    return status
            self.changes += 1
        return FINE

    cdef bint _more(self) noexcept nogil:
        cdef int64_t room = max(<int64_t>FIRST_ROWS, 2 * self.room)
        cdef void* memory = realloc(self.shape, room * sizeof(uint16_t))
        if memory == NULL:
            return False
        self.shape = <uint16_t*>memory
        memory = realloc(self.tags, room * sizeof(int64_t))
        if memory == NULL:
            return False
        self.tags = <int64_t*>memory
        self.room = room
        return True

    cdef Status _image(
        self,
        Side* side,
        const uint8_t** place,
        const uint8_t* end,
        const uint8_t* start,
        const uint8_t* present,
        const uint8_t* partial,
    ) noexcept nogil:
        cdef const uint8_t* p = place[0]
        cdef const uint8_t* nulls = p
        cdef int64_t row = side.rows
        cdef int number
        cdef int bit = 0
        cdef int json_bit = 0
        cdef bint is_partial
        cdef Column* column
        cdef Status status
        cdef uint64_t size
        cdef int bytes = (_present(present, self.count) + 7) // 8
        if end - p < bytes:
            return BAD_ROW
        p += bytes
        if row >= side.room and not _grow(side, self.count):
            return NO_MEMORY
        for number in range(self.count):
            column = &side.columns[number]
            is_partial = False
            if column.json:
                is_partial = partial != NULL and (partial[json_bit >> 3] >> (json_bit & 7)) & 1
                json_bit += 1
            if not (present[number >> 3] >> (number & 7)) & 1:
                if column.read != PASS_OVER:
                    _null(column, row)
                continue
            bit += 1
            if (nulls[(bit - 1) >> 3] >> ((bit - 1) & 7)) & 1:
                if column.read != PASS_OVER:
                    _null(column, row)
                continue
            if column.prefix:
                if end - p < column.prefix:
                    return BAD_ROW
                if column.prefix == 1:
                    size = p[0]
                elif column.prefix == 2:
                    size = p[0] | (<uint64_t>p[1] << 8)
                else:
                    size = _little(p, column.prefix)
                p += column.prefix
            else:
                size = column.size
            if <uint64_t>(end - p) < size:
                return BAD_ROW
            if column.read == COPY:
                if size == 8:
                    memcpy(column.values + row * 8, p, 8)
                elif size == 4:
                    memcpy(column.values + row * 4, p, 4)
                else:
                    memcpy(column.values + row * size, p, size)
            elif is_partial:
                if not self._note_partial(row, number, p - start, size):
                    return NO_MEMORY
                if column.read != PASS_OVER:
                    _null(column, row)
            elif column.read != PASS_OVER:
                status = _value(column, row, p, size)
                if status != FINE:
                    self.bad_column = number
                    self.bad_value = p
                    self.bad_size = size
                    self.bad_side = side
                    return status
            p += size
        side.rows += 1
        place[0] = p
        return FINE

    cdef bint _note_partial(self, int64_t row, int column, size_t place, size_t size) noexcept nogil:
        cdef int room
        cdef void* memory
        if self.partial_count >= self.partial_room:
            room = max(64, 2 * self.partial_room)
            memory = realloc(self.partials, room * sizeof(Partial))
            if memory == NULL:
                return False
            self.partials = <Partial*>memory
            self.partial_room = room
        self.partials[self.partial_count].row = row
        self.partials[self.partial_count].column = column
        self.partials[self.partial_count].place = place
        self.partials[self.partial_count].size = size
        self.partial_count += 1
        return True

    # ------------------------------------------------------------ output

    def take(self):
        """The changes collected so far; none leaves both images without rows. Raises RowError."""
        if self.broken:
            raise ProtocolError("the decoder failed before")
        self.broken = True
        cdef int64_t changes = self.changes
        cdef void* memory
        memory, self.tags = self.tags, NULL
        tags = self._numbers(pa.int64(), changes, memory, 8)
        memory, self.shape = self.shape, NULL
        shape = self._numbers(pa.uint16(), changes, memory, 2)
        before = self._batch(&self.before)
        after = self._batch(&self.after)
        result = Changes(tags, shape, tuple(self.shapes), before, after, tuple(self.diffs))
        self.changes = self.room = 0
        self.used = 0
        self.found = {}
        self.shapes = []
        self.diffs = []
        self.broken = False
        return result

    cdef object _numbers(self, object kind, int64_t count, void* memory, int width):
        buffer = pa.py_buffer(b"") if memory == NULL else _buffer(memory, count * width)
        return pa.Array.from_buffers(kind, count, [None, buffer], null_count=0)

    cdef object _batch(self, Side* side):
        cdef int number
        cdef Column* column
        cdef int64_t rows = side.rows
        cdef void* memory
        cdef size_t size
        arrays = []
        if not rows:
            return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in self.schema], schema=self.schema)
        for number in self.wanted:
            column = &side.columns[number]
            buffers = [None]
            # Memory given to a buffer is no longer ours, whatever happens next.
            memory, column.valid = column.valid, NULL
            if column.nulls:
                buffers[0] = _buffer(memory, (rows + 7) // 8)
            else:
                free(memory)
            memory, column.values = column.values, NULL
            arrow = self.columns[number].arrow
            if _has_offsets(column):
                buffers.append(_buffer(memory, (rows + 1) * column.width))
                memory, column.data = column.data, NULL
                size = column.data_size
                column.data_size = column.data_room = 0
                buffers.append(pa.py_buffer(b"") if memory == NULL else _buffer(memory, size))
                if column.read == LATER:
                    arrow = pa.binary() if column.width == 4 else pa.large_binary()
            else:
                buffers.append(_buffer(memory, rows * column.width))
            array = pa.Array.from_buffers(arrow, rows, buffers, null_count=column.nulls)
            column.nulls = 0
            if column.read == LATER:
                spec = self.columns[number]
                array, lost = later(array, spec, self.codecs[number], self.wanted.index(number))
                if lost:
                    self.late[spec.name] = self.late.get(spec.name, 0) + lost
            arrays.append(array)
        side.rows = side.room = 0
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


cdef int _present(const uint8_t* bits, int count) noexcept nogil:
    cdef int number
    cdef int found = 0
    if bits == NULL:
        return 0
    for number in range(count):
        found += (bits[number >> 3] >> (number & 7)) & 1
    return found


cdef Status _value(Column* column, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef int read = column.read
    cdef float narrow
    cdef uint64_t raw
    cdef Status status
    cdef uint8_t* out
    if read == BYTES or read == LATER:
        if column.length_a >= 0 and size != <size_t>column.length_a and size != <size_t>column.length_b:
            return BAD_VALUE
        if not _put(column, p, size):
            return NO_MEMORY
        _offset(column, row)
        return FINE
    if read == INTEGER:
        return _integer(column, row, p)
    if read == DECIMAL:
        return _decimal(column, row, p)
    if read == DATE or read == DATETIME2 or read == OLD_DATETIME:
        return _calendar(column, row, p)
    if read == TIMESTAMP2 or read == OLD_TIMESTAMP:
        return _instant(column, row, p)
    if read == TIME2 or read == OLD_TIME:
        return _duration(column, row, p)
    if read == SINGLE:
        return _single(column, row, p, size)
    if read == WIDE:
        return _wide(column, row, p, size)
    if read == LABEL:
        return _label(column, row, p)
    if read == SET_LABELS:
        return _set_labels(column, row, p)
    if read == SET_MASK:
        (<uint64_t*>column.values)[row] = _little(p, column.size)
        return FINE
    if read == WIDEN:
        memcpy(&narrow, p, 4)
        (<double*>column.values)[row] = narrow
        return FINE
    if read == YEAR:
        raw = p[0] + 1900 if p[0] else 0
        memcpy(column.values + row * column.width, &raw, column.width)
        return FINE
    if read == JSON:
        status = _json_document(column, p, size)
        if status == FINE:
            _offset(column, row)
        return status
    if size > <size_t>column.pad:
        return BAD_ROW
    out = _room(column, column.pad)
    if out == NULL:
        return NO_MEMORY
    memset(out, 0, column.pad)
    memcpy(out, p, size)
    if column.length_a >= 0 and column.pad != column.length_a and column.pad != column.length_b:
        return BAD_VALUE
    column.data_size += column.pad
    _offset(column, row)
    return FINE


cdef Status _integer(Column* column, int64_t row, const uint8_t* p) noexcept nogil:
    cdef uint64_t raw = _little(p, column.size)
    cdef int64_t value
    cdef int shift
    if column.signed_in:
        shift = 64 - 8 * column.size
        value = <int64_t>(raw << shift) >> shift
        raw = <uint64_t>value
        if value < 0:
            if not column.signed_out or value < column.low:
                return BAD_VALUE
        elif raw > column.high:
            return BAD_VALUE
    elif raw > column.high:
        return BAD_VALUE
    memcpy(column.values + row * column.width, &raw, column.width)
    return FINE
