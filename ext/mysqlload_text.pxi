# Part of mysqlload.pyx: text, bytes, JSON, labels of enums and sets, UUIDs and addresses.

cdef extern from *:
    """
    #define LOAD_ONES 0x0101010101010101ULL
    #define LOAD_HIGHS 0x8080808080808080ULL
    #define LOAD_HAS(word, byte) ((((word) ^ (LOAD_ONES * (byte))) - LOAD_ONES) & ~((word) ^ (LOAD_ONES * (byte))))
    /* Copy with tab, newline and backslash escaped; `out` has room for twice the length. Returns the end. */
    static inline uint8_t *put_escaped(uint8_t *out, const uint8_t *text, int64_t length) {
        int64_t at = 0;
        while (at < length) {
            if (at + 8 <= length) {
                uint64_t w; memcpy(&w, text + at, 8);
                if (!((LOAD_HAS(w, 9) | LOAD_HAS(w, 10) | LOAD_HAS(w, 92)) & LOAD_HIGHS)) {
                    memcpy(out, &w, 8);
                    out += 8;
                    at += 8;
                    continue;
                }
            }
            uint8_t c = text[at++];
            if (c == 9) { *out++ = 92; c = 't'; }
            else if (c == 10) { *out++ = 92; c = 'n'; }
            else if (c == 92) *out++ = 92;
            *out++ = c;
        }
        return out;
    }
    """
    uint8_t *put_escaped(uint8_t *out, const uint8_t *text, int64_t length) nogil


cdef int _text(
    Out *out, Out *scratch, Field *field, const uint8_t *text, int64_t length, size_t narrow
) noexcept nogil:
    cdef int problem
    cdef int64_t bad = _clean(text, length, 0)
    if bad < length:
        if field.invalid != REPLACE:
            return INVALID_UTF8
        problem = _mended(scratch, text, length, bad)
        if problem:
            return problem
        field.changed_invalid += 1
        text, length = scratch.data, <int64_t> scratch.used
    problem = _json(field, text, length) if field.kind == JSON else _allowed(field, text, length)
    if problem:
        return problem
    return _escaped(out, text, length, narrow)


cdef inline int _escaped(Out *out, const uint8_t *text, int64_t length, size_t narrow) noexcept nogil:
    if not _room(out, 2 * <size_t> length + narrow + 64):
        return NO_MEMORY
    out.used = put_escaped(out.data + out.used, text, length) - out.data
    return FINE


cdef int _mended(Out *scratch, const uint8_t *text, int64_t length, int64_t bad) noexcept nogil:
    """The text with each invalid byte replaced by U+FFFD."""
    cdef int64_t at = 0
    scratch.used = 0
    while True:
        if not _room(scratch, <size_t> (length - at) + 8):
            return NO_MEMORY
        memcpy(scratch.data + scratch.used, text + at, bad - at)
        scratch.used += bad - at
        if bad >= length:
            return FINE
        memcpy(scratch.data + scratch.used, b"\xef\xbf\xbd", 3)
        scratch.used += 3
        at = bad + 1
        bad = _clean(text, length, at)


cdef inline int _allowed(Field *field, const uint8_t *text, int64_t length) noexcept nogil:
    """Whether valid text may be in the column: its length, its last blank, its characters, its labels."""
    cdef int64_t at
    if field.octets >= 0 and length > field.octets:
        return TOO_LONG
    if field.chars >= 0 and length > field.chars and _characters(text, length) > field.chars:
        return TOO_LONG
    if field.blanks and length and text[length - 1] == 32:
        return BLANKS_CUT
    if field.bmp:
        for at in range(length):
            if text[at] >= 0xF0:
                return NOT_IN_CHARSET
    if field.label_count and not _is_label(field, text, length):
        return UNKNOWN_LABEL
    return FINE


cdef int _bytes(Out *out, Field *field, const uint8_t *value, int64_t length, size_t narrow) noexcept nogil:
    if field.octets >= 0 and length > field.octets:
        return TOO_LONG
    if field.exact >= 0 and length != field.exact:
        return BAD_LENGTH
    return _escaped(out, value, length, narrow)


cdef int _bits(Out *out, Field *field, const uint8_t *value, int64_t length, size_t narrow) noexcept nogil:
    """A bit string, right-aligned, as the bytes of the number: what BIT stores of a binary string."""
    cdef int64_t wide
    cdef uint8_t top
    while length and value[0] == 0:
        value += 1
        length -= 1
    wide = 8 * length
    if length:
        top = value[0]
        while not top & 0x80:
            top <<= 1
            wide -= 1
    if wide > field.bits:
        return OUT_OF_RANGE
    if not length:
        out.data[out.used] = 0
        out.used += 1
        return FINE
    return _escaped(out, value, length, narrow)


# ---------------------------------------------------------------- labels


cdef int _set(Out *out, Field *field, uint64_t mask, size_t narrow) noexcept nogil:
    """The labels whose bits are set, in definition order, joined by commas."""
    cdef const uint8_t *label = field.labels
    cdef uint32_t length
    cdef int64_t number
    cdef size_t begun = out.used
    if field.label_count < 64 and mask >> field.label_count:
        return UNKNOWN_LABEL
    for number in range(field.label_count):
        memcpy(&length, label, 4)
        if (mask >> number) & 1:
            if not _room(out, 2 * <size_t> length + narrow + 64):
                return NO_MEMORY
            if out.used > begun:
                out.data[out.used] = 44
                out.used += 1
            out.used = put_escaped(out.data + out.used, label + 4, length) - out.data
        label += 4 + length
    if field.chars >= 0 and _characters(out.data + begun, out.used - begun) > field.chars:
        return TOO_LONG
    return FINE


# ---------------------------------------------------------------- JSON


cdef int _json(Field *field, const uint8_t *text, int64_t length) noexcept nogil:
    """What the server would change without a word: numbers that neither 64 bits nor a double hold exactly.
    Whether the text is JSON at all is the server's to say."""
    cdef int64_t at = 0
    cdef int64_t begun
    if field.octets >= 0 and length > field.octets:
        return TOO_LONG
    if not field.exact_numbers:
        return FINE
    while at < length:
        if text[at] == 34:
            at += 1
            while at < length and text[at] != 34:
                at += 2 if text[at] == 92 else 1
            at += 1
        elif text[at] == 45 or 48 <= text[at] <= 57:
            begun = at
            at += 1
            while at < length and (
                48 <= text[at] <= 57 or text[at] == 46 or text[at] == 43 or text[at] == 45 or (text[at] | 32) == 101
            ):
                at += 1
            if not _exact_number(text + begun, at - begun):
                return INEXACT
        else:
            at += 1
    return FINE


cdef int _exact_number(const uint8_t *text, int64_t length) noexcept nogil:
    """Whether a JSON number is one of int64 or uint64, or prints again with the same digits as a double."""
    cdef uint8_t digits[20]
    cdef uint8_t printed_text[32]
    cdef uint8_t printed_digits[20]
    cdef char copied[400]
    cdef int count, exponent, printed_count, printed_exponent, whole
    cdef double value
    count = _significant(text, length, digits, &exponent, &whole)
    if count < 0:
        return 0
    if count == 0:
        return 1
    if whole and exponent >= 0 and count + exponent <= 18:
        return 1
    if whole and _in_64_bits(text, length):
        return 1
    if count > 17 or length >= 400:
        return 0
    memcpy(copied, text, length)
    copied[length] = 0
    value = strtod(copied, NULL)
    if value - value != 0:
        return 0
    printed_count = put_double(value, printed_text)
    printed_count = _significant(printed_text, printed_count, printed_digits, &printed_exponent, &whole)
    return (
        printed_count == count
        and printed_exponent == exponent
        and memcmp(digits, printed_digits, count) == 0
    )


cdef int _significant(
    const uint8_t *text, int64_t length, uint8_t *digits, int *exponent, int *whole
) noexcept nogil:
    """The digits that count (at most 20), and the power of ten the last of them stands at; -1 when there are more.
    whole: neither point nor exponent is written."""
    cdef int64_t at = 0
    cdef int count = 0
    cdef int zeros = 0
    cdef int places = 0
    cdef int behind = 0
    cdef int written = 0
    cdef int sign = 1
    whole[0] = 1
    if length and text[0] == 45:
        at = 1
    while at < length and text[at] != 101 and text[at] != 69:
        if text[at] == 46:
            behind = 1
            whole[0] = 0
        elif text[at] == 48:
            places += behind
            if count:
                zeros += 1
        else:
            if count + zeros >= 20:
                return -1
            while zeros:
                digits[count] = 48
                count += 1
                zeros -= 1
            digits[count] = text[at]
            count += 1
            places += behind
        at += 1
    if at < length:
        whole[0] = 0
        at += 1
        if at < length and (text[at] == 45 or text[at] == 43):
            sign = -1 if text[at] == 45 else 1
            at += 1
        while at < length:
            if written > 100000:
                return -1
            written = written * 10 + (text[at] - 48)
            at += 1
    exponent[0] = zeros - places + sign * written
    return count


cdef int _in_64_bits(const uint8_t *text, int64_t length) noexcept nogil:
    cdef int negative = text[0] == 45
    cdef uint64_t value = 0
    cdef int64_t at
    for at in range(negative, length):
        if value > LOAD_TENTH or (value == LOAD_TENTH and text[at] > 53):
            return 0
        value = value * 10 + (text[at] - 48)
    return not negative or value <= <uint64_t> 1 << 63


# ---------------------------------------------------------------- UUIDs and addresses

cdef inline int _uuid(Out *out, const uint8_t *value, int64_t length) noexcept nogil:
    if length != 16:
        return BAD_LENGTH
    out.used = put_uuid(out.data + out.used, value) - out.data
    return FINE


cdef inline int _inet(Out *out, const uint8_t *value, int64_t length) noexcept nogil:
    if length != 4 and length != 16:
        return BAD_LENGTH
    out.used += put_address(out.data + out.used, value, length)
    return FINE
