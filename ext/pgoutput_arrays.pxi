# The text of an array → JSON, as to_json writes it. Part of pgoutput.pyx.

cdef enum:
    DEPTH = 6  # dimensions an array has at most
    MOST_OF_A_BYTE = 6  # \u001f; an element is in two quotes instead of a delimiter at least


cdef uint8_t* _json_byte(uint8_t* into, uint8_t byte) noexcept nogil:
    """As escape_json of the server."""
    cdef uint8_t letter = 0
    if byte >= 32 and byte != 34 and byte != 92:
        into[0] = byte
        return into + 1
    if byte == 34 or byte == 92:
        letter = byte
    elif byte == 8:
        letter = 98
    elif byte == 9:
        letter = 116
    elif byte == 10:
        letter = 110
    elif byte == 12:
        letter = 102
    elif byte == 13:
        letter = 114
    into[0] = 92
    if letter:
        into[1] = letter
        return into + 2
    memcpy(into + 1, b"u00", 3)
    into[4] = 48 + (byte >> 4)
    into[5] = 48 + (byte & 15) if (byte & 15) < 10 else 87 + (byte & 15)
    return into + 6


cdef Status _array_text(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef Text text
    cdef uint8_t* start
    cdef uint8_t* into
    cdef int depth = 0
    cdef bint first = False
    cdef bint wanted = True
    cdef uint8_t byte
    if size > 0x40000000:
        return BAD_FIELD
    start = _reserve(c, MOST_OF_A_BYTE * size + 16)
    if start == NULL:
        return NO_MEMORY
    into = start
    text.p = p
    text.end = p + size
    if size and p[0] == 91:  # bounds: [2:3]=
        while text.p < text.end and text.p[0] != 61:
            text.p += 1
        if text.p == text.end:
            return BAD_FIELD
        text.p += 1
    while text.p < text.end:
        byte = text.p[0]
        if wanted and byte == 123:
            depth += 1
            if depth > DEPTH:
                return BAD_FIELD
            into[0] = 91
            into += 1
            first = True
            text.p += 1
        elif byte == 125 and depth and (first or not wanted):
            depth -= 1
            into[0] = 93
            into += 1
            wanted = first = False
            text.p += 1
        elif not wanted and depth and byte == c.delimiter:
            into[0] = 44
            into += 1
            wanted = True
            text.p += 1
        elif wanted and depth:
            into = _quoted(c, &text, into) if byte == 34 else _bare(c, &text, into)
            if into == NULL:
                return BAD_FIELD
            wanted = first = False
        else:
            return BAD_FIELD
    if wanted or depth:
        return BAD_FIELD
    return _used(c, row, into - start)


cdef uint8_t* _quoted(Column* c, Text* text, uint8_t* into) noexcept nogil:
    if c.form != ARRAY:
        return NULL
    into[0] = 34
    into += 1
    text.p += 1
    while text.p < text.end and text.p[0] != 34:
        if text.p[0] == 92:
            text.p += 1
            if text.p == text.end:
                return NULL
        into = _json_byte(into, text.p[0])
        text.p += 1
    if text.p == text.end:
        return NULL
    text.p += 1
    into[0] = 34
    return into + 1


cdef uint8_t* _bare(Column* c, Text* text, uint8_t* into) noexcept nogil:
    """An element without quotes, up to a delimiter or a closing brace."""
    cdef const uint8_t* p = text.p
    cdef size_t size, place
    cdef uint8_t byte
    while text.p < text.end and text.p[0] != c.delimiter and text.p[0] != 125:
        byte = text.p[0]
        if byte == 123 or byte == 34 or byte == 92:
            return NULL
        text.p += 1
    size = text.p - p
    if size == 0 or text.p == text.end:
        return NULL
    if _is(p, size, b"NULL", 4):
        memcpy(into, b"null", 4)
        return into + 4
    if c.form == BOOLS:
        if size != 1 or (p[0] != 116 and p[0] != 102):
            return NULL
        if p[0] == 116:
            memcpy(into, b"true", 4)
            return into + 4
        memcpy(into, b"false", 5)
        return into + 5
    if c.form == NUMBERS and not _unending(p, size):
        if not _is_float(p, size):
            return NULL
        memcpy(into, p, size)
        return into + size
    into[0] = 34
    into += 1
    for place in range(size):
        into = _json_byte(into, p[place])
    into[0] = 34
    return into + 1
