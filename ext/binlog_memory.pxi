# Columns of an image while they fill, and the reading of numbers. Part of binlog.pyx.

cdef enum:
    FIRST_ROWS = 256
    LEAST_DATA = 4096
    FIRST_YEAR = 1


cdef struct Text:  # of a table: bytes of an entry, -1 for none
    const uint8_t* data
    int size


cdef struct Column:
    int read
    int prefix
    int size
    int width
    bint signed_in
    bint signed_out
    int64_t low
    uint64_t high
    int pad
    int precision
    int scale
    int wide
    int invalid
    bint replace
    bint json  # has a bit among the partial updates
    int length_a  # allowed lengths, -1 for any
    int length_b
    const Text* table
    int entries
    uint8_t* values
    uint8_t* valid
    uint8_t* data
    size_t data_size
    size_t data_room
    int64_t nulls
    int64_t touched


cdef struct Side:  # the images before, or those after
    Column* columns
    int64_t rows
    int64_t room


cdef class _Block:
    """Memory of one Arrow buffer; freed when the last array over it is."""

    cdef void* memory

    def __dealloc__(self):
        free(self.memory)


cdef object _buffer(void* memory, size_t size):
    cdef _Block block = _Block.__new__(_Block)
    block.memory = memory
    return pa.foreign_buffer(<uint64_t>memory, size, base=block)


cdef inline uint64_t _little(const uint8_t* p, int size) noexcept nogil:
    cdef uint64_t value = 0
    memcpy(&value, p, size)
    return value


cdef inline uint64_t _big(const uint8_t* p, int size) noexcept nogil:
    cdef uint64_t value = 0
    cdef int i
    for i in range(size):
        value = (value << 8) | p[i]
    return value


cdef bint _packed(const uint8_t** place, const uint8_t* end, uint64_t* value) noexcept nogil:
    """A length-encoded integer; False when it is cut or none."""
    cdef const uint8_t* p = place[0]
    cdef int size
    if p >= end:
        return False
    if p[0] < 251:
        value[0] = p[0]
        place[0] = p + 1
        return True
    if p[0] == 252:
        size = 2
    elif p[0] == 253:
        size = 3
    elif p[0] == 254:
        size = 8
    else:
        return False
    if end - p < 1 + size:
        return False
    value[0] = _little(p + 1, size)
    place[0] = p + 1 + size
    return True


cdef uint8_t* _room(Column* column, size_t more) noexcept nogil:
    """Where `more` bytes of data can be written; NULL without memory, and past what 32-bit offsets reach.
    `data_size` is the caller's to move."""
    cdef size_t room
    cdef void* memory
    if column.width == 4 and column.data_size + more > 0x7FFFFFFF:
        return NULL
    if column.data_room - column.data_size < more or column.data == NULL:
        room = max(max(column.data_size + more, 2 * column.data_room), <size_t>LEAST_DATA)
        memory = realloc(column.data, room)
        if memory == NULL:
            return NULL
        column.data = <uint8_t*>memory
        column.data_room = room
    return column.data + column.data_size


cdef inline bint _put(Column* column, const void* data, size_t size) noexcept nogil:
    cdef uint8_t* out = _room(column, size)
    if out == NULL:
        return False
    if size:
        memcpy(out, data, size)
    column.data_size += size
    return True


cdef inline bint _put_byte(Column* column, uint8_t byte) noexcept nogil:
    cdef uint8_t* out = _room(column, 1)
    if out == NULL:
        return False
    out[0] = byte
    column.data_size += 1
    return True


cdef inline bint _has_offsets(Column* column) noexcept nogil:
    return (
        DECIMAL <= column.read <= SET_LABELS or column.read == JSON or column.read == LATER
    )


cdef inline void _offset(Column* column, int64_t row) noexcept nogil:
    """The value of `row` ends here."""
    if column.width == 4:
        (<int32_t*>column.values)[row + 1] = <int32_t>column.data_size
    else:
        (<int64_t*>column.values)[row + 1] = <int64_t>column.data_size


cdef inline void _null(Column* column, int64_t row) noexcept nogil:
    column.valid[row >> 3] &= ~(1 << (row & 7))
    column.nulls += 1
    if _has_offsets(column):
        _offset(column, row)
    else:
        memset(column.values + row * column.width, 0, column.width)


cdef bint _grow(Side* side, int count) noexcept nogil:
    """Room for more rows in every column; False without memory."""
    cdef int64_t room = max(<int64_t>FIRST_ROWS, 2 * side.room)
    cdef int64_t old = (side.room + 7) // 8
    cdef int64_t bits = (room + 7) // 8
    cdef int number
    cdef Column* column
    cdef void* memory
    for number in range(count):
        column = &side.columns[number]
        if column.read == PASS_OVER:
            continue
        memory = realloc(column.values, (room + 1) * column.width)
        if memory == NULL:
            return False
        column.values = <uint8_t*>memory
        if side.room == 0:
            memset(column.values, 0, column.width)  # the first offset
        memory = realloc(column.valid, bits)
        if memory == NULL:
            return False
        column.valid = <uint8_t*>memory
        memset(column.valid + old, 0xFF, bits - old)
    side.room = room
    return True


cdef void _emptied(Side* side, int count) noexcept nogil:
    cdef int number
    cdef Column* column
    for number in range(count):
        column = &side.columns[number]
        free(column.values)
        free(column.valid)
        free(column.data)
        column.values = column.valid = column.data = NULL
        column.data_size = column.data_room = 0
        column.nulls = 0
    side.rows = side.room = 0
