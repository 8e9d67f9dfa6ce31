# Part of mysqlload.pyx: numbers.

cdef extern from *:
    """
    #include <math.h>
    #define LOAD_TENTH 1844674407370955161ULL
    #include <stdio.h>
    #include <stdlib.h>
    static const double load_tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
        1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    /* A finite double as text that reads back as the same double; returns how many bytes (24 at most). Where an
       integer below 2^53 divided by a power of ten up to 10^22 (both exact, so the quotient is rounded once)
       gives the number, its digits do; else as many as are needed of 17. */
    static int put_double(double value, uint8_t *out) {
        int used = 0, places, digits;
        double size = fabs(value);
        if (signbit(value)) out[used++] = 45;
        if (size == 0) { out[used++] = 48; return used; }
        if (size < 9007199254740992.0 && size >= 1e-6) {
            for (places = 0; places <= 16; places++) {
                double scaled = size * load_tens[places], whole;
                if (scaled >= 9007199254740992.0) break;
                whole = rint(scaled);
                if (whole / load_tens[places] == size) {
                    uint8_t text[20];
                    int count = put_digits((uint64_t) whole, text), at;
                    if (count <= places) {
                        out[used++] = 48;
                        out[used++] = 46;
                        for (at = count; at < places; at++) out[used++] = 48;
                        memcpy(out + used, text, count);
                        return used + count;
                    }
                    memcpy(out + used, text, count - places);
                    used += count - places;
                    if (places) {
                        out[used++] = 46;
                        memcpy(out + used, text + count - places, places);
                        used += places;
                    }
                    return used;
                }
            }
        }
        for (digits = 15; digits < 17; digits++) {
            char text[32];
            int count = snprintf(text, sizeof text, "%.*g", digits, value);
            if (strtod(text, NULL) == value) { memcpy(out, text, count); return count; }
        }
        {
            char text[32];
            int count = snprintf(text, sizeof text, "%.17g", value);
            memcpy(out, text, count);
            return count;
        }
    }
    """
    const uint64_t LOAD_TENTH  # of 2^64, rounded down
    int put_double(double value, uint8_t *out) nogil
    double strtod(const char *text, char **end) nogil


cdef inline int _from_integer(Out *out, Field *field, int64_t at, size_t narrow) noexcept nogil:
    cdef int negative, count
    cdef uint64_t value = _magnitude(field, at, &negative)
    cdef int kind = field.kind
    if kind == INTEGER:
        if value > (field.least if negative else field.most):
            return OUT_OF_RANGE
        if field.flag and (negative or value > 1):
            return NOT_BOOLEAN
    elif kind == DECIMAL:
        if field.flag and (negative or value > 1):
            return NOT_BOOLEAN
        if negative and field.is_unsigned:
            return OUT_OF_RANGE
        if _count_digits(value) > field.integers:
            return OUT_OF_RANGE
    elif kind == SET_TEXT:
        return UNKNOWN_LABEL if negative else _set(out, field, value, narrow)
    elif kind == YEAR:
        if negative or (value and (value < 1901 or value > 2155)):
            return OUT_OF_RANGE
        if not value:
            memcpy(out.data + out.used, b"0000", 4)  # '0' would be 2000
            out.used += 4
            return FINE
    elif kind == TEXT:
        count = negative + _count_digits(value) + (value == 0)
        if (field.chars >= 0 and count > field.chars) or (field.octets >= 0 and count > field.octets):
            return TOO_LONG
        if field.label_count:
            return UNKNOWN_LABEL
    elif value > (<uint64_t> 1 << (53 if kind == DOUBLE else 24)):
        return INEXACT  # also the few beyond that a double holds
    out.used += _digits(value, negative, out.data + out.used)
    return FINE


cdef inline int _from_float(Out *out, Field *field, int64_t at) noexcept nogil:
    """The column FLOAT is given a text of the double that equals the float: the server reads a double and
    rounds it once."""
    cdef double value
    if field.form == F64:
        value = (<const double *> field.values)[at]
    else:
        value = (<const float *> field.values)[at]
    if value != value or value - value != 0:
        if field.nan == AS_NULL:
            field.changed_nan += 1
            return IS_NULL
        return NOT_A_NUMBER
    if field.kind == FLOAT and field.form == F64 and <double> <float> value != value:
        return INEXACT
    out.used += put_double(value, out.data + out.used)
    return FINE


# ---------------------------------------------------------------- decimals


cdef int _special(Field *field, const uint8_t *text, int64_t length) noexcept nogil:
    """NaN, Infinity, -Infinity."""
    if (length == 3 and memcmp(text, b"NaN", 3) == 0) or (length == 8 and memcmp(text, b"Infinity", 8) == 0) or (
        length == 9 and memcmp(text, b"-Infinity", 9) == 0
    ):
        if field.nan == AS_NULL:
            field.changed_nan += 1
            return IS_NULL
        return NOT_A_NUMBER
    return BAD_NUMBER


cdef int _from_digits(Out *out, Field *field, const uint8_t *text, int64_t length) noexcept nogil:
    """Decimal text into a decimal or an integer column. The server rounds what has more fraction digits with
    a Note only; zeros that end the fraction are not digits that count."""
    cdef Spelled number
    cdef uint64_t value = 0
    cdef int64_t at
    cdef int problem = OUT_OF_RANGE if length > MAX_DIGITS else _spelled(&number, text, length)
    if problem == BAD_NUMBER:
        return _special(field, text, length)
    if problem:
        return problem
    while number.fraction and text[number.fraction_at + number.fraction - 1] == 48:
        number.fraction -= 1
    if number.negative and not number.integers and not number.fraction:
        number.negative = 0
    if field.kind == INTEGER:
        if number.fraction:
            return SCALE_CUT
        if number.integers > 20:
            return OUT_OF_RANGE
        for at in range(number.integers):
            if value > LOAD_TENTH or (
                value == LOAD_TENTH and text[number.integers_at + at] > 53
            ):
                return OUT_OF_RANGE
            value = value * 10 + (text[number.integers_at + at] - 48)
        if value > (field.least if number.negative else field.most):
            return OUT_OF_RANGE
        if field.flag and (number.negative or value > 1):
            return NOT_BOOLEAN
    else:
        if number.integers > field.integers or (number.negative and field.is_unsigned):
            return OUT_OF_RANGE
        if number.fraction > field.scale:
            return SCALE_CUT
    if not _room(out, <size_t> (number.integers + number.fraction) + 8):
        return NO_MEMORY
    if number.negative:
        out.data[out.used] = 45
        out.used += 1
    if number.integers:
        memcpy(out.data + out.used, text + number.integers_at, number.integers)
        out.used += number.integers
    else:
        out.data[out.used] = 48
        out.used += 1
    if number.fraction:
        out.data[out.used] = 46
        memcpy(out.data + out.used + 1, text + number.fraction_at, number.fraction)
        out.used += 1 + number.fraction
    return FINE


cdef int _from_words(Out *out, Field *field, int64_t at, size_t narrow) noexcept nogil:
    """An Arrow decimal by way of its text: 77 digits, a hundred zeros of scale, sign and point."""
    cdef uint8_t text[200]
    cdef int length = put_words(
        field.values + at * field.width, <int> (field.width // 8), field.decimal_scale, text
    )
    if not _room(out, <size_t> length + narrow + 64):
        return NO_MEMORY
    if field.kind != TEXT:
        return _from_digits(out, field, text, length)
    if field.label_count:
        return UNKNOWN_LABEL
    if (field.chars >= 0 and length > field.chars) or (field.octets >= 0 and length > field.octets):
        return TOO_LONG
    memcpy(out.data + out.used, text, length)
    out.used += length
    return FINE
