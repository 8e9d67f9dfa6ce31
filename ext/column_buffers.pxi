# The memory of columns that grow row by row and become Arrow buffers. Part of mysqlrows.pyx and pgread.pyx, which
# have a struct Column with what is named here: values (or offsets, `width` bytes each), valid, data, nulls.

cdef enum:
    FIRST_ROWS = 1024
    SHRINKS = 65536  # bytes below which nothing is given back


cdef class _Block:
    """Memory of one buffer; freed when the last array or view over it is."""

    cdef void* memory

    def __dealloc__(self):
        free(self.memory)


cdef object _buffer(void* memory, size_t size):
    cdef _Block block = _Block.__new__(_Block)
    block.memory = memory
    return pa.foreign_buffer(<uint64_t>memory, size, base=block)


cdef bint _widened(Column* column, int64_t rows, int64_t before) noexcept nogil:
    """Room for `rows` rows where it was for `before`, all of them valid; False without memory."""
    cdef int64_t old = (before + 7) // 8
    cdef int64_t bits = (rows + 7) // 8
    cdef void* memory = realloc(column.values, (rows + 1) * column.width)
    if memory == NULL:
        return False
    column.values = <uint8_t*>memory
    if before == 0:
        memset(column.values, 0, column.width)  # the first offset
    memory = realloc(column.valid, bits)
    if memory == NULL:
        return False
    column.valid = <uint8_t*>memory
    memset(column.valid + old, 0xFF, bits - old)
    return True


# Memory given to a buffer is no longer the column's, whatever happens next.


cdef object _validity(Column* column, int64_t rows):
    cdef void* memory = column.valid
    column.valid = NULL
    if column.nulls:
        return _buffer(memory, (rows + 7) // 8)
    free(memory)
    return None


cdef list _contents(Column* column, int64_t rows, bint variable):
    """The buffer of the values, or those of the offsets and the bytes."""
    cdef void* memory = column.values
    column.values = NULL
    if variable:
        return [_buffer(memory, (rows + 1) * column.width), _shrunk(column)]
    return [_buffer(memory, rows * column.width)]


cdef object _shrunk(Column* column):
    """The bytes of a column as a buffer no larger than they need."""
    cdef void* memory = column.data
    cdef size_t size = column.data_size
    if memory == NULL:
        return pa.py_buffer(b"")
    if column.data_room > SHRINKS and column.data_room - size > column.data_room // 4:
        memory = realloc(column.data, max(size, 1))
        if memory == NULL:
            memory = column.data
    column.data = NULL
    column.data_size = column.data_room = 0
    return _buffer(memory, size)


cdef void _freed(Column* column) noexcept nogil:
    free(column.values)
    free(column.valid)
    free(column.data)
    column.values = column.valid = column.data = NULL
    column.data_size = column.data_room = 0
    column.nulls = 0
