# Part of pgcopy.pyx: JSON arrays as PostgreSQL's array literals.


cdef int _array_literal(
    Out *out, Field *field, const uint8_t *text, int64_t length, size_t narrow
) noexcept nogil:
    """array_in: braces for brackets; strings are unescaped and quoted, null becomes NULL, objects are quoted as
    they are; numbers, true and false stay. Dimensions that do not match are the server's to refuse."""
    cdef size_t head = out.used
    cdef int64_t at = 0
    cdef int64_t begun
    cdef int depth = 0
    cdef int wanted = 1  # a value may come here; 2: or the end of an array
    cdef int problem
    cdef uint8_t char
    cdef int64_t bad = _clean(text, length, 0)
    if bad < length:
        return INVALID_UTF8 if text[bad] else NUL_BYTE
    if length > MAX_FIELD // 2 - 64:
        return TOO_LARGE
    if not _room(out, 2 * <size_t> length + narrow + 64):
        return NO_MEMORY
    out.used += 4
    while at < length:
        char = text[at]
        if char == 32 or char == 9 or char == 10 or char == 13:
            at += 1
        elif char == 91 and wanted:
            depth += 1
            _put(out, 123)
            wanted = 2
            at += 1
        elif char == 93 and depth and wanted != 1:
            depth -= 1
            _put(out, 125)
            wanted = 0
            at += 1
            if not depth and _blank(text, length, at) < length:
                return BAD_JSON
        elif char == 44 and depth and not wanted:
            _put(out, field.delimiter)
            wanted = 1
            at += 1
        elif not depth or not wanted:
            return BAD_JSON
        elif char == 34:
            problem = _array_string(out, text, length, &at)
            if problem:
                return problem
            wanted = 0
        elif char == 123:
            begun = at
            at = _object_end(text, length, at)
            if at < 0:
                return BAD_JSON
            _array_quoted(out, text + begun, at - begun)
            wanted = 0
        else:
            begun = at
            while at < length and _is_bare(text[at]):
                at += 1
            if at == begun:
                return BAD_JSON
            if at - begun == 4 and memcmp(text + begun, <const char *> "null", 4) == 0:
                memcpy(out.data + out.used, <const char *> "NULL", 4)
            else:
                memcpy(out.data + out.used, text + begun, at - begun)
            out.used += at - begun
            wanted = 0
    if depth or wanted:
        return BAD_JSON
    put32(out.data + head, <uint32_t> (out.used - head - 4))
    return FINE


cdef inline int _is_bare(uint8_t char) noexcept nogil:
    """Of a number, true, false or null."""
    return 48 <= char <= 57 or 97 <= char <= 122 or 65 <= char <= 90 or char == 43 or char == 45 or char == 46


cdef inline int64_t _blank(const uint8_t *text, int64_t length, int64_t at) noexcept nogil:
    while at < length and (text[at] == 32 or text[at] == 9 or text[at] == 10 or text[at] == 13):
        at += 1
    return at


cdef inline void _array_char(Out *out, uint8_t char) noexcept nogil:
    if char == 34 or char == 92:
        _put(out, 92)
    _put(out, char)


cdef void _array_quoted(Out *out, const uint8_t *text, int64_t length) noexcept nogil:
    cdef int64_t at
    _put(out, 34)
    for at in range(length):
        _array_char(out, text[at])
    _put(out, 34)


cdef int64_t _object_end(const uint8_t *text, int64_t length, int64_t at) noexcept nogil:
    """The place behind an object, -1 when it does not end; what is in it is the server's to read."""
    cdef int depth = 0
    cdef int in_string = 0
    while at < length:
        if in_string:
            if text[at] == 92:
                at += 1
            elif text[at] == 34:
                in_string = 0
        elif text[at] == 34:
            in_string = 1
        elif text[at] == 123:
            depth += 1
        elif text[at] == 125:
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    return -1


cdef int _array_string(Out *out, const uint8_t *text, int64_t length, int64_t *place) noexcept nogil:
    """A JSON string as a quoted element; `place` goes from its first quote to behind its last."""
    cdef int64_t at = place[0] + 1
    cdef int code, low
    cdef uint8_t char
    _put(out, 34)
    while at < length:
        char = text[at]
        at += 1
        if char == 34:
            _put(out, 34)
            place[0] = at
            return FINE
        if char < 32:
            return BAD_JSON
        if char != 92:
            _put(out, char)
            continue
        if at >= length:
            return BAD_JSON
        char = text[at]
        at += 1
        if char == 117:
            code = _hex4(text + at, length - at)
            at += 4
            if code < 0:
                return BAD_JSON
            if not code:
                return NUL_BYTE
            if 0xDC00 <= code <= 0xDFFF:
                return BAD_JSON
            if 0xD800 <= code <= 0xDBFF:
                if at + 6 > length or text[at] != 92 or text[at + 1] != 117:
                    return BAD_JSON
                low = _hex4(text + at + 2, length - at - 2)
                if low < 0xDC00 or low > 0xDFFF:
                    return BAD_JSON
                at += 6
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            _utf8(out, code)
        elif char == 34 or char == 92 or char == 47:
            _array_char(out, char)
        elif char == 98:
            _put(out, 8)
        elif char == 102:
            _put(out, 12)
        elif char == 110:
            _put(out, 10)
        elif char == 114:
            _put(out, 13)
        elif char == 116:
            _put(out, 9)
        else:
            return BAD_JSON
    return BAD_JSON


cdef void _utf8(Out *out, int code) noexcept nogil:
    if code < 0x80:
        _array_char(out, <uint8_t> code)
    elif code < 0x800:
        _put2(out, <uint8_t> (0xC0 | code >> 6), <uint8_t> (0x80 | code & 63))
    elif code < 0x10000:
        _put(out, <uint8_t> (0xE0 | code >> 12))
        _put2(out, <uint8_t> (0x80 | code >> 6 & 63), <uint8_t> (0x80 | code & 63))
    else:
        _put2(out, <uint8_t> (0xF0 | code >> 18), <uint8_t> (0x80 | code >> 12 & 63))
        _put2(out, <uint8_t> (0x80 | code >> 6 & 63), <uint8_t> (0x80 | code & 63))
