# Part of pgcopy.pyx: text, JSON, and the labels of enums and sets.

cdef extern from *:
    """
    /* 8 bytes at once: no high bit set and no byte zero */
    static inline int plain_ascii8(const uint8_t *p) {
        uint64_t w; memcpy(&w, p, 8);
        return !((w & 0x8080808080808080ULL) | ((w - 0x0101010101010101ULL) & ~w & 0x8080808080808080ULL));
    }
    """
    int plain_ascii8(const uint8_t *p) nogil


cdef inline int _sequence(const uint8_t *text, int64_t left) noexcept nogil:
    """Bytes of the UTF-8 sequence at `text`, 0 when it is not one PostgreSQL accepts (pg_utf8_islegal)."""
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
            high = 0x9F  # surrogates
        return 3 if left >= 3 and low <= text[1] <= high and 0x80 <= text[2] <= 0xBF else 0
    if first == 0xF0:
        low = 0x90
    elif first == 0xF4:
        high = 0x8F
    if left < 4 or not (low <= text[1] <= high):
        return 0
    return 4 if 0x80 <= text[2] <= 0xBF and 0x80 <= text[3] <= 0xBF else 0


cdef inline int64_t _clean(const uint8_t *text, int64_t length, int64_t at) noexcept nogil:
    """Where the first NUL or byte that is not UTF-8 is, from `at` on; `length` when there is none."""
    cdef int step
    while at < length:
        if at + 8 <= length and plain_ascii8(text + at):
            at += 8
            continue
        if text[at] == 0:
            return at
        step = _sequence(text + at, length - at)
        if not step:
            return at
        at += step
    return at


cdef int _text(
    Out *out, Field *field, const uint8_t *text, int64_t length, size_t narrow
) noexcept nogil:
    """textrecv, varcharrecv, bpcharrecv, namerecv, enum_recv, json_recv: the characters."""
    cdef size_t head = out.used
    cdef int problem = FINE
    cdef int64_t bad = _clean(text, length, 0)
    if bad == length:
        _bytes(out, text, length)
    else:
        problem = _mended(out, field, text, length, bad, narrow)
    if not problem and (field.chars or field.octets or field.label_count):
        problem = _allowed(field, out.data + head + 4, <int64_t> (out.used - head - 4))
    return problem


cdef int _mended(
    Out *out, Field *field, const uint8_t *text, int64_t length, int64_t bad, size_t narrow
) noexcept nogil:
    """Text with a NUL or an invalid byte: refused, or changed as the policy of that case says, and counted.
    Each invalid byte is replaced by itself."""
    cdef int64_t at = 0
    cdef size_t head = out.used
    cdef int nuls = 0
    cdef int invalids = 0
    out.used += 4
    while True:
        if not _room(out, <size_t> (length - at) + 3 + narrow + 64):
            return NO_MEMORY
        if bad > at:
            memcpy(out.data + out.used, text + at, bad - at)
            out.used += bad - at
        if bad >= length:
            break
        at = bad + 1
        if text[bad] == 0:
            if field.nul == REFUSE:
                return NUL_BYTE
            nuls = 1
        else:
            if field.invalid != REPLACE:
                return INVALID_UTF8
            invalids = 1
        if text[bad] != 0 or field.nul == REPLACE:
            out.data[out.used] = 0xEF  # U+FFFD
            out.data[out.used + 1] = 0xBF
            out.data[out.used + 2] = 0xBD
            out.used += 3
        bad = _clean(text, length, at)
    if out.used - head > MAX_FIELD:
        return TOO_LARGE
    field.changed_nul += nuls
    field.changed_invalid += invalids
    put32(out.data + head, <uint32_t> (out.used - head - 4))
    return FINE


cdef int _allowed(Field *field, const uint8_t *text, int64_t length) noexcept nogil:
    """Whether valid text may be in the column. The server cuts blanks beyond varchar(n) without a word, and
    names neither row nor column of a label an enum lacks."""
    cdef int64_t chars = 0
    cdef int64_t at
    if field.octets and length > field.octets:
        return TOO_LONG
    if field.chars and length > field.chars:
        for at in range(length):
            chars += (text[at] & 0xC0) != 0x80
        if chars > field.chars:
            return TOO_LONG
    if field.label_count and not _is_label(field, text, length):
        return UNKNOWN_LABEL
    return FINE


# ---------------------------------------------------------------- labels


cdef inline uint64_t _hash(const uint8_t *text, int64_t length) noexcept nogil:
    """FNV-1a."""
    cdef uint64_t value = 0xCBF29CE484222325ULL
    cdef int64_t at
    for at in range(length):
        value = (value ^ text[at]) * <uint64_t> 0x100000001B3
    return value ^ (value >> 32)


cdef _index(Field *field, int64_t size):
    """Open addressing over the labels, at most half full."""
    cdef uint64_t slots = 16
    cdef uint64_t slot
    cdef int64_t at = 0
    cdef int32_t length
    while slots < 2 * <uint64_t> field.label_count:
        slots *= 2
    field.buckets = <int32_t *> calloc(slots, sizeof(int32_t))
    if field.buckets == NULL:
        raise MemoryError
    field.bucket_mask = slots - 1
    while at < size:
        memcpy(&length, field.labels + at, 4)
        slot = _hash(field.labels + at + 4, length) & field.bucket_mask
        while field.buckets[slot]:
            slot = (slot + 1) & field.bucket_mask
        field.buckets[slot] = <int32_t> (at + 1)
        at += 4 + length


cdef int _is_label(Field *field, const uint8_t *text, int64_t length) noexcept nogil:
    cdef uint64_t slot = _hash(text, length) & field.bucket_mask
    cdef const uint8_t *label
    cdef int32_t size
    while field.buckets[slot]:
        label = field.labels + field.buckets[slot] - 1
        memcpy(&size, label, 4)
        if size == length and memcmp(label + 4, text, length) == 0:
            return 1
        slot = (slot + 1) & field.bucket_mask
    return 0


cdef int _set(Out *out, Field *field, uint64_t mask, size_t narrow) noexcept nogil:
    """The labels whose bits are set, in definition order: text[] or text joined by commas."""
    cdef const uint8_t *label = field.labels
    cdef size_t head
    cdef uint32_t length, count = 0
    cdef int64_t number
    cdef int joined = field.kind == SET_TEXT
    if field.label_count < 64 and mask >> field.label_count:
        return UNKNOWN_LABEL
    if not _room(out, narrow + 64):
        return NO_MEMORY
    head = out.used
    out.used += 4
    if not joined:
        for number in range(field.label_count):
            count += (mask >> number) & 1
        _array_head(out, field.element, count)
    count = 0
    for number in range(field.label_count):
        memcpy(&length, label, 4)
        if (mask >> number) & 1:
            if not _room(out, narrow + 64 + length):
                return NO_MEMORY
            if not joined:
                _length(out, length)
            elif count:
                out.data[out.used] = 44
                out.used += 1
            memcpy(out.data + out.used, label + 4, length)
            out.used += length
            count += 1
        label += 4 + length
    put32(out.data + head, <uint32_t> (out.used - head - 4))
    if joined and field.chars:
        return _short(field, out.data + head + 4, <int64_t> (out.used - head - 4))
    return FINE


cdef int _short(Field *field, const uint8_t *text, int64_t length) noexcept nogil:
    cdef int64_t chars = 0
    cdef int64_t at
    for at in range(length):
        chars += (text[at] & 0xC0) != 0x80
    return TOO_LONG if chars > field.chars else FINE


# ---------------------------------------------------------------- JSON


cdef int _jsonb(Out *out, const uint8_t *text, int64_t length) noexcept nogil:
    """jsonb_recv: a version byte, then the text. What the server would refuse without naming the row is found
    here: \\u0000 and surrogates that do not come in pairs."""
    cdef int64_t at = 0
    cdef int code, low
    cdef int in_string = 0
    if _clean(text, length, 0) < length:
        return BAD_JSON
    while at < length:
        if text[at] == 34:
            in_string = not in_string
        elif text[at] == 92 and in_string:
            at += 1
            if at >= length:
                return BAD_JSON
            if text[at] == 117:
                code = _hex4(text + at + 1, length - at - 1)
                if code <= 0:
                    return BAD_JSON
                at += 4
                if 0xDC00 <= code <= 0xDFFF:
                    return BAD_JSON
                if 0xD800 <= code <= 0xDBFF:
                    if at + 6 >= length or text[at + 1] != 92 or text[at + 2] != 117:
                        return BAD_JSON
                    low = _hex4(text + at + 3, length - at - 3)
                    if low < 0xDC00 or low > 0xDFFF:
                        return BAD_JSON
                    at += 6
        at += 1
    _length(out, <uint32_t> (length + 1))
    out.data[out.used] = 1
    memcpy(out.data + out.used + 1, text, length)
    out.used += length + 1
    return FINE


cdef int _hex4(const uint8_t *text, int64_t left) noexcept nogil:
    cdef int value = 0
    cdef int number
    cdef uint8_t char
    if left < 4:
        return -1
    for number in range(4):
        char = text[number]
        value *= 16
        if 48 <= char <= 57:
            value += char - 48
        elif 65 <= char <= 70:
            value += char - 55
        elif 97 <= char <= 102:
            value += char - 87
        else:
            return -1
    return value
