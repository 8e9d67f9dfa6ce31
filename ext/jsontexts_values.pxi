# Where JSON values end, and the characters of strings. RFC 8259.


cdef inline const uint8_t* skip_space(const uint8_t* p, const uint8_t* end) noexcept nogil:
    while p < end and (p[0] == 32 or p[0] == 10 or p[0] == 13 or p[0] == 9):
        p += 1
    return p


cdef inline int hexadecimal(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    if 97 <= c <= 102:
        return c - 87
    return -1


cdef inline int four(const uint8_t* p) noexcept nogil:
    """The number in four hexadecimal digits that were looked at before."""
    return (
        (hexadecimal(p[0]) << 12) | (hexadecimal(p[1]) << 8) | (hexadecimal(p[2]) << 4) | hexadecimal(p[3])
    )


cdef const uint8_t* skip_string(
    const uint8_t* p, const uint8_t* end, bint* escaped, int* why
) noexcept nogil:
    """From behind the opening quote to the closing one."""
    cdef int digit
    cdef uint8_t c
    while p < end:
        c = p[0]
        if c == 34:
            return p
        if c < 32:
            why[0] = C_FAULT
            return NULL
        if c != 92:
            p += 1
            continue
        escaped[0] = True
        if p + 1 >= end:
            break
        c = p[1]
        if c == 117:
            for digit in range(2, 6):
                if p + digit >= end:
                    why[0] = C_CUT
                    return NULL
                if hexadecimal(p[digit]) < 0:
                    why[0] = C_FAULT
                    return NULL
            p += 6
        elif c in (34, 92, 47, 98, 102, 110, 114, 116):
            p += 2
        else:
            why[0] = C_FAULT
            return NULL
    why[0] = C_CUT
    return NULL


cdef inline bint is_digit(const uint8_t* p) noexcept nogil:
    return 48 <= p[0] <= 57


cdef const uint8_t* skip_number(const uint8_t* p, const uint8_t* end, int* why) noexcept nogil:
    """Behind the number; where more bytes could belong to it, they must be there."""
    cdef const uint8_t* q
    if p[0] == 45:
        p += 1
        if p >= end:
            why[0] = C_CUT
            return NULL
    if not is_digit(p):
        why[0] = C_FAULT
        return NULL
    if p[0] == 48:
        p += 1
    else:
        while p < end and is_digit(p):
            p += 1
    if p < end and p[0] == 46:
        q = p + 1
        if q < end:
            if not is_digit(q):
                return p
            while q < end and is_digit(q):
                q += 1
        p = q
    if p < end and (p[0] | 32) == 101:
        q = p + 1
        if q < end and (q[0] == 43 or q[0] == 45):
            q += 1
        if q < end:
            if not is_digit(q):
                return p
            while q < end and is_digit(q):
                q += 1
        p = q
    if p >= end:
        why[0] = C_CUT
        return NULL
    return p


cdef const uint8_t* skip_word(
    const uint8_t* p, const uint8_t* end, const char* word, size_t size, int* why
) noexcept nogil:
    cdef size_t left = <size_t>(end - p)
    if memcmp(p, word, size if left > size else left) != 0:
        why[0] = C_FAULT
        return NULL
    if left < size:
        why[0] = C_CUT
        return NULL
    return p + size


cdef const uint8_t* skip_scalar(const uint8_t* p, const uint8_t* end, Text* text, int* why) noexcept nogil:
    """A value that is no object and no array; p < end."""
    cdef uint8_t c = p[0]
    if c == 34:
        text.token = T_STRING
        text.start = p + 1
        p = skip_string(p + 1, end, &text.escaped, why)
        if p == NULL:
            return NULL
        text.stop = p
        return p + 1
    text.start = p
    if c == 110:
        text.token = T_NULL
        p = skip_word(p, end, "null", 4, why)
    elif c == 116:
        text.token = T_BOOL
        p = skip_word(p, end, "true", 4, why)
    elif c == 102:
        text.token = T_BOOL
        p = skip_word(p, end, "false", 5, why)
    else:
        text.token = T_NUMBER
        p = skip_number(p, end, why)
    text.stop = p
    return p


cdef const uint8_t* skip_nested(const uint8_t* p, const uint8_t* end, int* why) noexcept nogil:
    """Behind the object or array that begins at p."""
    cdef uint64_t[WORDS] objects  # a bit for every bracket: whether it is that of an object
    cdef int depth = 0
    cdef bint key = False
    cdef Text text
    cdef uint8_t c
    why[0] = C_CUT
    while True:
        p = skip_space(p, end)
        if p >= end:
            return NULL
        if key:
            if p[0] != 34:
                why[0] = C_FAULT
                return NULL
            p = skip_string(p + 1, end, &text.escaped, why)
            if p == NULL:
                return NULL
            p = skip_space(p + 1, end)
            if p >= end:
                why[0] = C_CUT
                return NULL
            if p[0] != 58:
                why[0] = C_FAULT
                return NULL
            p = skip_space(p + 1, end)
            if p >= end:
                why[0] = C_CUT
                return NULL
            key = False
        c = p[0]
        if c == 123 or c == 91:
            if depth >= WORDS * 64:
                why[0] = C_FAULT
                return NULL
            if c == 123:
                objects[depth >> 6] |= <uint64_t>1 << (depth & 63)
            else:
                objects[depth >> 6] &= ~(<uint64_t>1 << (depth & 63))
            depth += 1
            p = skip_space(p + 1, end)
            if p >= end:
                return NULL
            if p[0] != c + 2:  # '}' and ']' stand two behind their like
                key = c == 123
                continue
            p += 1
            depth -= 1
        else:
            p = skip_scalar(p, end, &text, why)
            if p == NULL:
                return NULL
        while True:
            if depth == 0:
                return p
            p = skip_space(p, end)
            if p >= end:
                why[0] = C_CUT
                return NULL
            key = (objects[(depth - 1) >> 6] >> ((depth - 1) & 63)) & 1
            if p[0] == 44:
                p += 1
                why[0] = C_CUT
                break
            if p[0] != (125 if key else 93):
                why[0] = C_FAULT
                return NULL
            p += 1
            depth -= 1


cdef uint8_t* unescaped(const uint8_t* p, const uint8_t* stop, uint8_t* out) noexcept nogil:
    """The characters of a string that was looked at before; NULL for half a surrogate pair."""
    cdef uint32_t code
    cdef uint32_t low
    cdef uint8_t c
    while p < stop:
        c = p[0]
        if c != 92:
            out[0] = c
            out += 1
            p += 1
            continue
        c = p[1]
        p += 2
        if c == 117:
            code = <uint32_t>four(p)
            p += 4
            if 0xD800 <= code <= 0xDFFF:
                if code >= 0xDC00 or stop - p < 6 or p[0] != 92 or p[1] != 117:
                    return NULL
                low = <uint32_t>four(p + 2)
                if not 0xDC00 <= low <= 0xDFFF:
                    return NULL
                p += 6
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            if code < 0x80:
                out[0] = <uint8_t>code
                out += 1
            elif code < 0x800:
                out[0] = <uint8_t>(0xC0 | (code >> 6))
                out[1] = <uint8_t>(0x80 | (code & 63))
                out += 2
            elif code < 0x10000:
                out[0] = <uint8_t>(0xE0 | (code >> 12))
                out[1] = <uint8_t>(0x80 | ((code >> 6) & 63))
                out[2] = <uint8_t>(0x80 | (code & 63))
                out += 3
            else:
                out[0] = <uint8_t>(0xF0 | (code >> 18))
                out[1] = <uint8_t>(0x80 | ((code >> 12) & 63))
                out[2] = <uint8_t>(0x80 | ((code >> 6) & 63))
                out[3] = <uint8_t>(0x80 | (code & 63))
                out += 4
            continue
        if c == 98:
            c = 8
        elif c == 102:
            c = 12
        elif c == 110:
            c = 10
        elif c == 114:
            c = 13
        elif c == 116:
            c = 9
        out[0] = c
        out += 1
    return out
