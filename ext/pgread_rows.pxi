# Rows as they are, undecoded. Part of pgread.pyx.


cdef class CopyRows(_Framing):
    """The rows of one COPY … TO STDOUT (FORMAT binary) as they are, without header and trailer, in pieces of
    at least `size` bytes (the last one may be shorter). count: fields of every row."""

    cdef uint8_t* block
    cdef size_t block_size
    cdef size_t block_room
    cdef size_t size
    cdef int64_t rows

    def __cinit__(self):
        self.block = NULL

    def __init__(self, count, size=1 << 20):
        if size < 1:
            raise ValueError("size is at least 1")
        self._begin(count)
        self.size = size

    def __dealloc__(self):
        free(self.block)

    @property
    def finished(self):
        """The trailer was seen and every row was taken."""
        return self.ended and self.rows == 0

    def take(self):
        """`(bytes, rows)` of the next piece; None when bytes are missing. Raises CopyError."""
        cdef Status status
        self._sound()
        with nogil:
            status = self._eat_pending()
        if status > FULL:
            self._fail(status)
        if status == FULL or (self.ended and self.rows):
            return self._piece()
        return None

    def receive(self, pgconn):
        """The next piece from libpq, waiting for it; None when libpq has no more. As CopyDecoder.receive."""
        self._sound()
        cdef Status status = self._receive(pgconn)
        if status > FULL and status != COPY_DONE:
            self._fail(status)
        if status == FULL or (self.ended and self.rows):
            return self._piece()
        return None

    cdef object _piece(self):
        cdef void* memory = self.block
        self.block = NULL
        size, self.block_size = self.block_size, 0
        rows, self.rows = self.rows, 0
        self.block_room = 0
        return memoryview(_buffer(memory, size)).cast("B"), rows

    cdef Status _row(self, const uint8_t* p, size_t size) noexcept nogil:
        cdef size_t room
        cdef void* memory
        if self.block_size >= self.size:
            return FULL
        if self.block_room - self.block_size < size:
            room = max(self.size + LEAST_DATA, self.block_size + size)
            memory = realloc(self.block, room)
            if memory == NULL:
                return NO_MEMORY
            self.block = <uint8_t*>memory
            self.block_room = room
        memcpy(self.block + self.block_size, p, size)
        self.block_size += size
        self.rows += 1
        return MORE
