# MySQL's binary JSON as the text the server prints. Part of binlog.pyx.
# MySQL Source Code Documentation, "json_binary.h": a value is its type and the bytes behind it; offsets of a
# container are from its own start.

cdef enum:
    SMALL_OBJECT = 0
    LARGE_OBJECT = 1
    SMALL_ARRAY = 2
    LARGE_ARRAY = 3
    LITERAL = 4
    INT16 = 5
    UINT16 = 6
    INT32 = 7
    UINT32 = 8
    INT64 = 9
    UINT64 = 10
    DOUBLE = 11
    STRING = 12
    OPAQUE = 15


cdef extern from "stdio.h" nogil:
    int snprintf(char* out, size_t size, const char* form, ...)


cdef Status _json_string(Column* out, const uint8_t* p, size_t size, int64_t* budget) noexcept nogil:
    cdef uint8_t* to
    cdef uint8_t byte
    cdef size_t i
    budget[0] -= size
    if budget[0] < 0:
        return BAD_ROW
    to = _room(out, 6 * size + 2)
    if to == NULL:
        return NO_MEMORY
    cdef uint8_t* start = to
    to[0] = 34
    to += 1
    for i in range(size):
        byte = p[i]
        if byte >= 32 and byte != 34 and byte != 92:
            to[0] = byte
            to += 1
            continue
        to[0] = 92
        to[1] = byte
        if byte == 8:
            to[1] = 98
        elif byte == 9:
            to[1] = 116
        elif byte == 10:
            to[1] = 110
        elif byte == 12:
            to[1] = 102
        elif byte == 13:
            to[1] = 114
        elif byte < 32:
            to[1] = 117
            to[2] = to[3] = 48
            to[4] = 48 + (byte >> 4)
            to[5] = (byte & 15) + (48 if byte & 15 < 10 else 87)
            to += 4
        to += 2
    to[0] = 34
    out.data_size += to + 1 - start
    return FINE


cdef bint _json_length(const uint8_t** place, const uint8_t* end, uint64_t* length) noexcept nogil:
    """Seven bits a byte, the lowest first, at most five bytes."""
    cdef const uint8_t* p = place[0]
    cdef int i
    length[0] = 0
    for i in range(5):
        if p >= end:
            return False
        length[0] |= <uint64_t>(p[0] & 0x7F) << 7 * i
        p += 1
        if not (p - 1)[0] & 0x80:
            place[0] = p
            return <uint64_t>(end - p) >= length[0]
    return False


cdef Status _json_spelled(Column* out, int kind, const uint8_t* p, size_t size) noexcept with gil:
    """Doubles and opaque values, in Python: exact digits matter more there than speed."""
    cdef double number
    cdef bytes text
    try:
        if kind == DOUBLE:
            memcpy(&number, p, 8)
            text = double_text(number)
        else:
            text = opaque_text(kind - 256, (<const char*>p)[:size])
    except (ProtocolError, MemoryError):
        return BAD_ROW
    return FINE if _put(out, <const char*>text, len(text)) else NO_MEMORY


cdef Status _json_container(
    Column* out, int kind, const uint8_t* p, const uint8_t* end, int depth, int64_t* budget
) noexcept nogil:
    cdef bint large = kind == LARGE_OBJECT or kind == LARGE_ARRAY
    cdef bint named = kind == SMALL_OBJECT or kind == LARGE_OBJECT
    cdef int wide = 4 if large else 2
    cdef int entry = 1 + wide
    cdef uint64_t count, size, i, offset, length, heads
    cdef const uint8_t* at
    cdef Status status
    if depth > MAX_JSON_DEPTH or end - p < 2 * wide:
        return BAD_ROW
    count = _little(p, wide)
    size = _little(p + wide, wide)
    if size > <uint64_t>(end - p):
        return BAD_ROW
    end = p + size
    heads = 2 * wide + count * (entry + (wide + 2 if named else 0))
    if heads > size:
        return BAD_ROW
    budget[0] -= count
    if budget[0] < 0:
        return BAD_ROW
    if not _put_byte(out, 123 if named else 91):
        return NO_MEMORY
    for i in range(count):
        if i and not _put(out, b", ", 2):
            return NO_MEMORY
        if named:
            at = p + 2 * wide + i * (wide + 2)
            offset = _little(at, wide)
            length = _little(at + wide, 2)
            if offset > size or length > size - offset:
                return BAD_ROW
            status = _json_string(out, p + offset, length, budget)
            if status != FINE:
                return status
            if not _put(out, b": ", 2):
                return NO_MEMORY
        at = p + 2 * wide + (count * (wide + 2) if named else 0) + i * entry
        if at[0] == LITERAL or at[0] == INT16 or at[0] == UINT16 or (
            large and (at[0] == INT32 or at[0] == UINT32)
        ):
            status = _json_value(out, at[0], at + 1, at + entry, depth + 1, budget)
        else:
            offset = _little(at + 1, wide)
            if offset < heads or offset > size:
                return BAD_ROW
            status = _json_value(out, at[0], p + offset, end, depth + 1, budget)
        if status != FINE:
            return status
    return FINE if _put_byte(out, 125 if named else 93) else NO_MEMORY


cdef Status _json_value(
    Column* out, int kind, const uint8_t* p, const uint8_t* end, int depth, int64_t* budget
) noexcept nogil:
    cdef char number[24]
    cdef uint64_t length
    cdef int size, written
    cdef int64_t whole
    if kind <= LARGE_ARRAY:
        return _json_container(out, kind, p, end, depth, budget)
    if kind == LITERAL:
        if p >= end or p[0] > 2:
            return BAD_ROW
        if p[0] == 0:
            return FINE if _put(out, b"null", 4) else NO_MEMORY
        if p[0] == 1:
            return FINE if _put(out, b"true", 4) else NO_MEMORY
        return FINE if _put(out, b"false", 5) else NO_MEMORY
    if INT16 <= kind <= UINT64:
        size = 2 if kind <= UINT16 else (4 if kind <= UINT32 else 8)
        if end - p < size:
            return BAD_ROW
        length = _little(p, size)
        if kind == INT16 or kind == INT32 or kind == INT64:
            whole = <int64_t>(length << (64 - 8 * size)) >> (64 - 8 * size)
            written = snprintf(number, 24, b"%lld", <long long>whole)
        else:
            written = snprintf(number, 24, b"%llu", <unsigned long long>length)
        return FINE if _put(out, number, written) else NO_MEMORY
    if kind == DOUBLE:
        return _json_spelled(out, DOUBLE, p, 8) if end - p >= 8 else BAD_ROW
    if kind == STRING:
        if not _json_length(&p, end, &length):
            return BAD_ROW
        return _json_string(out, p, length, budget)
    if kind == OPAQUE:
        if p >= end:
            return BAD_ROW
        kind = p[0]
        p += 1
        if not _json_length(&p, end, &length):
            return BAD_ROW
        budget[0] -= length
        if budget[0] < 0:
            return BAD_ROW
        return _json_spelled(out, 256 + kind, p, length)
    return BAD_ROW


cdef Status _json_document(Column* out, const uint8_t* p, size_t size) noexcept nogil:
    """Overlapping parts, which no server writes, could print far more than there are bytes: every entry and
    every byte of a string is paid for."""
    cdef int64_t budget = size
    if size == 0:  # of an older server: null
        return FINE if _put(out, b"null", 4) else NO_MEMORY
    return _json_value(out, p[0], p + 1, p + size, 1, &budget)


def json_text(data):
    """A binary JSON document as the text the server prints. Raises ProtocolError."""
    cdef const uint8_t[::1] view = data
    cdef Column out
    cdef Status status
    memset(&out, 0, sizeof(Column))
    try:
        status = _json_document(&out, &view[0] if len(view) else NULL, len(view))
        if status == NO_MEMORY:
            raise MemoryError
        if status != FINE:
            raise ProtocolError("bytes that are no JSON document")
        return (<const char*>out.data)[:out.data_size].decode("utf-8", "replace")
    finally:
        free(out.data)
