# Numbers as decimal digits, and such text taken apart. Part of mysqlload.pyx and pgcopy.pyx.

cdef extern from *:
    """
    static const char digit_pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
        "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
        "9899";
    /* Decimal digits of an integer; returns how many bytes (20 at most). */
    static inline int put_digits(uint64_t value, uint8_t *out) {
        uint8_t backward[20];
        int count = 20;
        while (value >= 100) {
            count -= 2;
            memcpy(backward + count, digit_pairs + 2 * (value % 100), 2);
            value /= 100;
        }
        if (value >= 10) { count -= 2; memcpy(backward + count, digit_pairs + 2 * value, 2); }
        else backward[--count] = 48 + (uint8_t) value;
        memcpy(out, backward + count, 20 - count);
        return 20 - count;
    }
    /* An Arrow decimal (little-endian two's complement words) as digits with a point; returns the length.
       `out` holds 80 digits and |scale| more. Division by 10^18, word by word from the highest. */
    static int put_words(const uint8_t *value, int words, int scale, uint8_t *out) {
        uint64_t word[4], rest;
        uint8_t digit[80];
        int count = 0, used = 0, i, part, empty;
        int negative = value[words * 8 - 1] >> 7;
        memcpy(word, value, words * 8);
        if (negative) {
            unsigned carry = 1;
            for (i = 0; i < words; i++) { word[i] = ~word[i] + carry; carry = carry && !word[i]; }
        }
        do {
            empty = 1;
            rest = 0;
            for (i = words - 1; i >= 0; i--) {
                unsigned __int128 whole = ((unsigned __int128) rest << 64) | word[i];
                word[i] = (uint64_t) (whole / 1000000000000000000ULL);
                rest = (uint64_t) (whole % 1000000000000000000ULL);
                if (word[i]) empty = 0;
            }
            for (part = 0; part < 18 && (!empty || rest || !count); part++) {
                digit[count++] = 48 + rest % 10;
                rest /= 10;
            }
        } while (!empty);
        if (negative) out[used++] = 45;
        if (scale > 0 && count <= scale) {
            out[used++] = 48;
            out[used++] = 46;
            for (i = count; i < scale; i++) out[used++] = 48;
            scale = 0;
        }
        for (i = count - 1; i >= 0; i--) {
            out[used++] = digit[i];
            if (scale > 0 && i == scale) out[used++] = 46;
        }
        if (count > 1 || digit[0] != 48)
            for (i = scale; i < 0; i++) out[used++] = 48;
        return used;
    }
    """
    int put_digits(uint64_t value, uint8_t *out) nogil
    int put_words(const uint8_t *value, int words, int scale, uint8_t *out) nogil


cdef inline int _digits(uint64_t value, int negative, uint8_t *text) noexcept nogil:
    """The digits of an integer, behind a sign where `negative` is 1; returns how many bytes."""
    if negative:
        text[0] = 45
    return negative + put_digits(value, text + negative)


cdef inline int _count_digits(uint64_t value) noexcept nogil:
    """Digits that count: none of zero."""
    cdef int count = 0
    while value:
        value //= 10
        count += 1
    return count


cdef struct Spelled:  # decimal text taken apart; positions in it
    int negative
    int64_t integers, integers_at    # digits before the point, without leading zeros
    int64_t fraction, fraction_at    # digits behind it


cdef inline int _spelled(Spelled *number, const uint8_t *text, int64_t length) noexcept nogil:
    """Optional '-', digits, optional '.' and digits; at least one digit."""
    cdef int64_t at = 0
    cdef int64_t begun, some
    number.negative = 0
    if length and text[0] == 45:
        number.negative = 1
        at = 1
    begun = at
    while at < length and 48 <= text[at] <= 57:
        at += 1
    some = at - begun
    number.integers_at = begun
    while number.integers_at < at and text[number.integers_at] == 48:
        number.integers_at += 1
    number.integers = at - number.integers_at
    number.fraction = 0
    number.fraction_at = at
    if at < length and text[at] == 46:
        at += 1
        number.fraction_at = at
        while at < length and 48 <= text[at] <= 57:
            at += 1
        number.fraction = at - number.fraction_at
    if at != length or some + number.fraction == 0:
        return BAD_NUMBER
    return FINE
