# Part of pgcopy.pyx: text, JSON, and the labels of enums and sets.

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
    if field.octets and length > field.octets:
        return TOO_LONG
    if field.chars and length > field.chars and _characters(text, length) > field.chars:
        return TOO_LONG
    if field.label_count and not _is_label(field, text, length):
        return UNKNOWN_LABEL
    return FINE


# ---------------------------------------------------------------- labels


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
    if joined and field.chars and _characters(out.data + head + 4, out.used - head - 4) > field.chars:
        return TOO_LONG
    return FINE


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
