# Text as UTF-8. Part of mysqlload.pyx and pgcopy.pyx, which say in NUL_IS_BAD whether a text may hold the
# character of code 0.

cdef extern from *:
    """
    /* 8 bytes at once: no high bit set, and no byte zero if `nul` */
    static inline int plain_ascii8(const uint8_t *p, int nul) {
        uint64_t w, high = 0x8080808080808080ULL; memcpy(&w, p, 8);
        return !((w & high) | (nul ? (w - 0x0101010101010101ULL) & ~w & high : 0));
    }
    """
    int plain_ascii8(const uint8_t *p, int nul) nogil


cdef inline int _sequence(const uint8_t *text, int64_t left) noexcept nogil:
    """Bytes of the UTF-8 sequence at `text`, 0 when it is none (overlong forms and surrogates are none)."""
    cdef uint8_t first = text[0]
    cdef uint8_t low = 0x80
    cdef uint8_t high = 0xBF
    if first < 0x80:
        return 1
    if first < 0xC2 or first > 0xF4:
        return 0
    if first < 0xE0:
        return 2 if left >= 2 and 0x80 <= text[1] <= 0xBF else 0
    if first < 0xF0:
        if first == 0xE0:
            low = 0xA0
        elif first == 0xED:
            high = 0x9F
        return 3 if left >= 3 and low <= text[1] <= high and 0x80 <= text[2] <= 0xBF else 0
    if first == 0xF0:
        low = 0x90
    elif first == 0xF4:
        high = 0x8F
    if left < 4 or not (low <= text[1] <= high):
        return 0
    return 4 if 0x80 <= text[2] <= 0xBF and 0x80 <= text[3] <= 0xBF else 0


cdef inline int64_t _clean(const uint8_t *text, int64_t length, int64_t at) noexcept nogil:
    """Where the first byte that is not UTF-8 (or a NUL, where that is bad) is, from `at` on; `length` when there
    is none."""
    cdef int step
    while at < length:
        if at + 8 <= length and plain_ascii8(text + at, NUL_IS_BAD):
            at += 8
            continue
        if NUL_IS_BAD and text[at] == 0:
            return at
        step = _sequence(text + at, length - at)
        if not step:
            return at
        at += step
    return at


cdef int64_t _characters(const uint8_t *text, int64_t length) noexcept nogil:
    """Of valid text."""
    cdef int64_t chars = 0
    cdef int64_t at
    for at in range(length):
        chars += (text[at] & 0xC0) != 0x80
    return chars
