# The stream cut into rows: bytes fed, or messages of libpq. Part of pgread.pyx.


cdef inline uint16_t _u16(const uint8_t* p) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, p, 2)
    return bswap16(value)


cdef inline uint32_t _u32(const uint8_t* p) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, p, 4)
    return bswap32(value)


cdef inline uint64_t _u64(const uint8_t* p) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, p, 8)
    return bswap64(value)


_shared_libpq = None


cdef object _pointer(object pgconn):
    """The address of the PGconn, 0 where its functions are not those this module is linked with."""
    global _shared_libpq
    if _shared_libpq is None:
        from psycopg import pq
        _shared_libpq = pq.__impl__ in ("c", "python") and pq.version() == PQlibVersion()
    if not _shared_libpq:
        return 0
    pointer = pgconn.pgconn_ptr
    if pointer is None:
        raise ConnectionCut("the connection is closed")
    return pointer


cdef class _Framing:
    """The stream cut into rows. A message of libpq is decoded where it is when it begins with a row; what is
    left of it, and all that is fed, goes through `pending`."""

    cdef int count
    cdef bint started
    cdef readonly bint ended
    cdef bint broken
    cdef bint done  # libpq said so
    cdef uint8_t* pending  # bytes [start, end) of it are not used up
    cdef size_t start
    cdef size_t end
    cdef size_t room
    cdef char* message
    cdef size_t message_size
    cdef size_t message_place

    def __cinit__(self):
        self.pending = NULL
        self.message = NULL

    def __dealloc__(self):
        free(self.pending)
        if self.message != NULL:
            PQfreemem(self.message)

    cdef int _begin(self, int count) except -1:
        if not 0 <= count <= MAX_FIELDS:
            raise ValueError(f"{count} columns")
        self.count = count
        return 0

    def feed(self, data):
        """Put bytes behind those not decoded yet, whatever their number."""
        cdef const uint8_t[::1] view = memoryview(data).cast("B")
        cdef size_t size = view.shape[0]
        if size and not self._append(&view[0], size):
            raise MemoryError

    cdef bint _append(self, const uint8_t* p, size_t size) noexcept nogil:
        cdef size_t room
        cdef void* memory
        if self.start == self.end:
            self.start = self.end = 0
        if self.room - self.end < size:
            if self.start:
                memmove(self.pending, self.pending + self.start, self.end - self.start)
                self.end -= self.start
                self.start = 0
            if self.room - self.end < size:
                room = max(2 * self.room, self.end + size)
                memory = realloc(self.pending, room)
                if memory == NULL:
                    return False
                self.pending = <uint8_t*>memory
                self.room = room
        memcpy(self.pending + self.end, p, size)
        self.end += size
        return True

    cdef Status _row(self, const uint8_t* p, size_t size) noexcept nogil:
        """One whole row; FULL leaves it."""
        return BAD_FIELD

    cdef Status _eat(self, const uint8_t* p, size_t size, size_t* used) noexcept nogil:
        """Rows from `p` on, as long as they are whole; `used` is how many bytes were."""
        cdef size_t place = used[0]
        cdef size_t row
        cdef int fields, number
        cdef int32_t length
        cdef uint32_t extension
        cdef Status status
        if not self.started:
            if size - place < HEADER:
                return MORE
            if memcmp(p + place, SIGNED_WITH, SIGNATURE_BYTES) != 0:
                return BAD_HEADER
            if _u32(p + place + SIGNATURE_BYTES) & <uint32_t>0xFFFF0000:
                return BAD_HEADER
            extension = _u32(p + place + SIGNATURE_BYTES + 4)
            if extension > LARGEST_EXTENSION:
                return BAD_HEADER
            if size - place - HEADER < extension:
                return MORE
            place += HEADER + extension
            used[0] = place
            self.started = True
        while True:
            if self.ended:
                return MORE if place == size else BEHIND_END
            if size - place < 2:
                return MORE
            fields = <int16_t>_u16(p + place)
            if fields == -1:
                self.ended = True
                place += 2
                used[0] = place
                continue
            if fields != self.count:
                return BAD_COUNT
            row = 2
            for number in range(fields):
                if size - place - row < 4:
                    return MORE
                length = <int32_t>_u32(p + place + row)
                row += 4
                if length < -1:
                    return BAD_FIELD
                if length > 0:
                    if size - place - row < <size_t>length:
                        return MORE
                    row += length
            status = self._row(p + place, row)
            if status != MORE:
                return status
            place += row
            used[0] = place

    cdef Status _eat_pending(self) noexcept nogil:
        cdef size_t place = self.start
        cdef Status status
        if self.pending == NULL:
            return MORE
        status = self._eat(self.pending, self.end, &place)
        self.start = place
        return status

    cdef Status _pump(self, PGconn* conn) noexcept nogil:
        """Rows from libpq until a batch is full, there are none left, or something is wrong."""
        cdef Status status
        cdef int size
        while True:
            if self.start != self.end:
                status = self._eat_pending()
                if status != MORE:
                    return status
            while self.message != NULL:
                if self.start == self.end:
                    status = self._eat(
                        <const uint8_t*>self.message, self.message_size, &self.message_place
                    )
                    if status != MORE:
                        return status
                if self.message_place < self.message_size:
                    if not self._append(
                        <const uint8_t*>self.message + self.message_place,
                        self.message_size - self.message_place,
                    ):
                        return NO_MEMORY
                PQfreemem(self.message)
                self.message = NULL
                status = self._eat_pending()
                if status != MORE:
                    return status
            size = PQgetCopyData(conn, &self.message, 0)
            if size == -1:
                return COPY_DONE
            if size < 0:
                return COPY_CUT
            self.message_size = size
            self.message_place = 0

    cdef int _sound(self) except -1:
        if self.broken:
            raise CopyError("the rows failed before")
        return 0

    cdef int _fail(self, Status status) except -1:
        self.broken = True
        if status == BAD_HEADER:
            raise CopyError("no header of a binary COPY")
        if status == BAD_COUNT:
            raise CopyError(f"a row of another number of fields than {self.count}")
        if status == BEHIND_END:
            raise CopyError("bytes behind the trailer")
        if status == COPY_CUT:
            raise ConnectionCut("the connection was lost in the middle of the rows")
        if status == NO_MEMORY:
            raise MemoryError
        raise CopyError("a field of an impossible length")

    cdef Status _receive(self, object pgconn) except *:
        """As `_pump`; through psycopg where its libpq is another one."""
        cdef uint64_t address
        cdef PGconn* conn
        cdef Status status
        if self.done:
            return COPY_DONE
        address = _pointer(pgconn)
        if address:
            conn = <PGconn*>address
            with nogil:
                status = self._pump(conn)
        else:
            status = self._eat_pending()
            while status == MORE:
                size, data = pgconn.get_copy_data(0)
                if size < 0:
                    status = COPY_DONE
                    break
                self.feed(data)
                status = self._eat_pending()
        self.done = status == COPY_DONE
        return status
