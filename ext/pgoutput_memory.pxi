# Columns that grow row by row, and the Arrow arrays made of them. Part of pgoutput.pyx.

cdef enum:
    FIRST_ROWS = 256
    LEAST_DATA = 1024


cdef struct Column:
    int form
    int code  # of a number: h, i, I, q, f, d as in struct
    int wire  # bytes of every binary field, 0 for any
    int width  # bytes in `values` (of an offset, where values vary in length)
    bint variable
    bint binary
    bint utc
    bint key
    uint8_t delimiter
    uint8_t* values
    uint8_t* valid
    uint8_t* missing
    uint8_t* data
    size_t data_size
    size_t data_room
    int32_t* months
    int32_t* days
    int64_t nulls
    int64_t misses


cdef struct Rows:
    Column* columns
    int count
    int64_t rows
    int64_t space


cdef class _Block:
    """Memory of one buffer; freed when the last array over it is."""

    cdef void* memory

    def __dealloc__(self):
        free(self.memory)


cdef object _buffer(void* memory, size_t size):
    cdef _Block block = _Block.__new__(_Block)
    block.memory = memory
    return pa.foreign_buffer(<uint64_t>memory, size, base=block)


cdef int _columns(Rows* rows, fields, keys) except -1:
    cdef int number
    cdef Column* column
    rows.columns = <Column*>calloc(max(1, len(fields)), sizeof(Column))
    if rows.columns == NULL:
        raise MemoryError
    rows.count = len(fields)
    for number, spec in enumerate(fields):
        column = &rows.columns[number]
        column.form = Form(spec.form)
        column.code = ord(spec.code) if spec.code else 0
        column.wire = spec.wire_bytes
        column.width = spec.width
        column.variable = spec.variable
        column.binary = spec.binary
        column.utc = column.form == MOMENT and spec.arrow.tz is not None
        column.key = keys[number]
        column.delimiter = ord(spec.delimiter)
    return 0


cdef void _free_columns(Rows* rows) noexcept:
    cdef int number
    cdef Column* column
    if rows.columns == NULL:
        return
    for number in range(rows.count):
        column = &rows.columns[number]
        free(column.values)
        free(column.valid)
        free(column.missing)
        free(column.data)
        free(column.months)
        free(column.days)
    free(rows.columns)
    rows.columns = NULL


cdef bint _more(void** memory, size_t size) noexcept nogil:
    cdef void* grown = realloc(memory[0], size)
    if grown == NULL:
        return False
    memory[0] = grown
    return True


cdef bint _grow_rows(Rows* rows) noexcept nogil:
    """Room for more rows in every column; False without memory."""
    cdef int64_t space = 2 * rows.space if rows.space else FIRST_ROWS
    cdef int64_t old = rows.space // 8
    cdef int64_t bits = space // 8
    cdef int number
    cdef Column* column
    for number in range(rows.count):
        column = &rows.columns[number]
        if not _more(<void**>&column.values, (space + 1) * column.width):
            return False
        if rows.space == 0:
            memset(column.values, 0, column.width)  # the first offset
        if not _more(<void**>&column.valid, bits) or not _more(<void**>&column.missing, bits):
            return False
        memset(column.valid + old, 0xFF, bits - old)
        memset(column.missing + old, 0, bits - old)
        if column.form == INTERVAL:
            if not _more(<void**>&column.months, space * 4) or not _more(<void**>&column.days, space * 4):
                return False
    rows.space = space
    return True


cdef inline uint8_t* _reserve(Column* column, size_t size) noexcept nogil:
    """Where `size` more bytes of the column go; NULL without memory."""
    cdef size_t room
    if column.data_room - column.data_size < size or column.data == NULL:
        room = max(2 * column.data_room, column.data_size + size + LEAST_DATA)
        if not _more(<void**>&column.data, room):
            return NULL
        column.data_room = room
    return column.data + column.data_size


cdef inline Status _used(Column* column, int64_t row, size_t size) noexcept nogil:
    """`size` bytes were written where `_reserve` said."""
    column.data_size += size
    if column.width == 8:
        (<int64_t*>column.values)[row + 1] = column.data_size
    elif column.data_size > OFFSETS32:
        return NO_MEMORY
    else:
        (<int32_t*>column.values)[row + 1] = <int32_t>column.data_size
    return MORE


cdef inline void _no_value(Column* column, int64_t row) noexcept nogil:
    """The place of a NULL (or of a value that did not come), valid for every width."""
    column.valid[row >> 3] &= ~(1 << (row & 7))
    column.nulls += 1
    if column.variable:
        if column.width == 8:
            (<int64_t*>column.values)[row + 1] = column.data_size
        else:
            (<int32_t*>column.values)[row + 1] = <int32_t>column.data_size
    else:
        memset(column.values + row * column.width, 0, column.width)
        if column.form == INTERVAL:
            column.months[row] = 0
            column.days[row] = 0


cdef object _taken_buffer(void** memory, size_t size):
    """Memory given to a buffer is no longer ours, whatever happens next."""
    cdef void* given = memory[0]
    memory[0] = NULL
    if given == NULL:
        return pa.py_buffer(b"")
    return _buffer(given, size)


cdef object _batch(Rows* rows, fields, schema):
    """(record batch, missing) of what the columns hold; they are empty afterwards."""
    cdef int64_t count = rows.rows
    cdef int number
    cdef Column* column
    arrays = []
    missing = []
    rows.rows = rows.space = 0
    if rows.count == 0:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * count, pa.struct([]))), ()
    for number in range(rows.count):
        column = &rows.columns[number]
        arrow = fields[number].arrow
        valid = _taken_buffer(<void**>&column.valid, (count + 7) // 8)
        absent = _taken_buffer(<void**>&column.missing, (count + 7) // 8)
        nulls, column.nulls = column.nulls, 0
        misses, column.misses = column.misses, 0
        missing.append(
            pa.Array.from_buffers(pa.bool_(), count, [None, absent], null_count=0) if misses else None
        )
        buffers = [valid if nulls else None]
        if column.form == INTERVAL:
            parts = (
                (pa.int32(), _taken_buffer(<void**>&column.months, count * 4)),
                (pa.int32(), _taken_buffer(<void**>&column.days, count * 4)),
                (pa.int64(), _taken_buffer(<void**>&column.values, count * 8)),
            )
            children = [pa.Array.from_buffers(kind, count, [None, part], null_count=0) for kind, part in parts]
            arrays.append(pa.Array.from_buffers(arrow, count, buffers, nulls, children=children))
            continue
        if column.variable:
            if column.values == NULL:  # the one offset of no rows
                buffers.append(pa.py_buffer(bytes(column.width)))
            else:
                buffers.append(_taken_buffer(<void**>&column.values, (count + 1) * column.width))
            buffers.append(_shrunk(column))
        else:
            buffers.append(_taken_buffer(<void**>&column.values, count * column.width))
        arrays.append(pa.Array.from_buffers(arrow, count, buffers, null_count=nulls))
    return pa.RecordBatch.from_arrays(arrays, schema=schema), tuple(missing)


cdef object _shrunk(Column* column):
    """The bytes of a column as a buffer not much larger than they need."""
    cdef size_t size = column.data_size
    if column.data_room > 65536 and column.data_room - size > column.data_room // 4:
        _more(<void**>&column.data, max(size, 1))
    column.data_size = column.data_room = 0
    return _taken_buffer(<void**>&column.data, size)
