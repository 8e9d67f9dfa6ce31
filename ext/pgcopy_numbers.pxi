# Part of pgcopy.pyx: numbers.

cdef int _from_integer(Out *out, Field *field, int64_t at, size_t narrow) noexcept nogil:
    cdef int negative
    cdef int kind = field.kind
    cdef uint64_t value = _magnitude(field, at, &negative)
    cdef uint8_t digits[24]
    cdef int count
    if field.flag and (negative or value > 1):
        return NOT_BOOLEAN
    if kind == BOOL:
        if negative or value > 1:
            return NOT_BOOLEAN
        _length(out, 1)
        out.data[out.used] = <uint8_t> value
        out.used += 1
        return FINE
    if kind == NUMERIC:
        return _numeric_integer(out, field, value, negative)
    if kind == FLOAT8 or kind == FLOAT4:
        return _whole_float(out, kind, value, negative)
    if kind == TEXT:
        count = _digits(value, negative, digits)
        return _text(out, field, digits, count, narrow)
    if kind == SET_ARRAY or kind == SET_TEXT:
        if negative:
            return UNKNOWN_LABEL
        return _set(out, field, value, narrow)
    return _integer(out, kind, value, negative)


cdef inline int _integer(Out *out, int kind, uint64_t value, int negative) noexcept nogil:
    """int2recv, int4recv, int8recv: two's complement, refused where it does not fit."""
    cdef int shift = 15 if kind == INT2 else 31 if kind == INT4 else 63
    if value > (<uint64_t> 1 << shift) - 1 + <uint64_t> negative:
        return OUT_OF_RANGE
    if negative:
        value = ~value + 1
    if kind == INT2:
        _length(out, 2)
        put16(out.data + out.used, <uint16_t> value)
        out.used += 2
    elif kind == INT4:
        _length(out, 4)
        put32(out.data + out.used, <uint32_t> value)
        out.used += 4
    else:
        put_field64(out.data + out.used, value)
        out.used += 12
    return FINE


cdef int _whole_float(Out *out, int kind, uint64_t value, int negative) noexcept nogil:
    """Integers up to 2^53 (2^24 in float4) are exact; the few exact ones beyond are refused with the others."""
    cdef double wide = <double> value
    if value > (<uint64_t> 1 << (53 if kind == FLOAT8 else 24)):
        return INEXACT
    if negative:
        wide = -wide
    if kind == FLOAT8:
        _put_double(out, wide)
    else:
        _put_single(out, <float> wide)
    return FINE


cdef inline void _put_double(Out *out, double value) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, &value, 8)
    put_field64(out.data + out.used, word)
    out.used += 12


cdef inline void _put_single(Out *out, float value) noexcept nogil:
    cdef uint32_t word
    memcpy(&word, &value, 4)
    _length(out, 4)
    put32(out.data + out.used, word)
    out.used += 4


cdef inline int _from_float(Out *out, Field *field, int64_t at) noexcept nogil:
    """float4recv, float8recv: IEEE 754. A NaN that changes width becomes the plain one."""
    cdef float single
    cdef double wide
    cdef uint32_t word
    if field.form == F64:
        if field.kind == FLOAT8:
            put_field64(out.data + out.used, (<const uint64_t *> field.values)[at])
            out.used += 12
            return FINE
        wide = (<const double *> field.values)[at]
        single = <float> wide
        if wide == wide and <double> single != wide:
            return INEXACT
        if wide == wide:
            _put_single(out, single)
            return FINE
        word = 0x7FC00000
    elif field.kind == FLOAT8:
        single = (<const float *> field.values)[at]
        if single == single:
            _put_double(out, single)
        else:
            put_field64(out.data + out.used, 0x7FF8000000000000)
            out.used += 12
        return FINE
    else:
        word = (<const uint32_t *> field.values)[at]
    _length(out, 4)
    put32(out.data + out.used, word)
    out.used += 4
    return FINE


# ---------------------------------------------------------------- numeric


cdef int _numeric_integer(Out *out, Field *field, uint64_t value, int negative) noexcept nogil:
    """numeric_recv: int16 count of digits, weight, sign, scale, then the digits, of base 10000."""
    cdef uint16_t digits[5]
    cdef uint64_t left = value
    cdef int64_t zeros = -field.scale
    cdef int count = 0
    cdef int last = 0
    cdef int number
    if field.typed and value:
        if _count_digits(value) > field.integers:
            return OUT_OF_RANGE
        while zeros > 0:
            if left % 10:
                return SCALE_CUT
            left //= 10
            zeros -= 1
    while value:
        digits[count] = <uint16_t> (value % 10000)
        value //= 10000
        count += 1
    while last < count and digits[last] == 0:  # trailing zero groups are not sent
        last += 1
    _length(out, 8 + 2 * (count - last))
    put16(out.data + out.used, <uint16_t> (count - last))
    put16(out.data + out.used + 2, <uint16_t> (count - 1 if count else 0))
    put16(out.data + out.used + 4, 0x4000 if negative else 0)
    put16(out.data + out.used + 6, 0)
    out.used += 8
    for number in range(count - 1, last - 1, -1):
        put16(out.data + out.used, digits[number])
        out.used += 2
    return FINE


cdef int _fits(Field *field, Spelled *number, const uint8_t *text) noexcept nogil:
    """numeric(p,s) rounds silently what has more digits than s and refuses what is 10^(p-s) or more; both are
    found here. Zeros that end the fraction are not digits that count."""
    cdef int64_t at
    while number.fraction > field.scale and number.fraction and (
        text[number.fraction_at + number.fraction - 1] == 48
    ):
        number.fraction -= 1
    if number.integers > field.integers and number.integers:
        return OUT_OF_RANGE
    if field.integers < 0 and not number.integers:
        for at in range(number.fraction):
            if text[number.fraction_at + at] != 48:
                if at < -field.integers:
                    return OUT_OF_RANGE
                break
    if number.fraction > field.scale and number.fraction:
        return SCALE_CUT
    for at in range(-field.scale):
        if at >= number.integers:
            break
        if text[number.integers_at + number.integers - 1 - at] != 48:
            return SCALE_CUT
    return FINE


cdef int _numeric(Out *out, Field *field, const uint8_t *text, int64_t length) noexcept nogil:
    """Decimal text → numeric_recv's form, keeping the fraction digits that are written."""
    cdef Spelled number
    cdef int64_t group, position, digit, weight = 0
    cdef size_t head
    cdef int count = 0
    cdef int kept = 0
    cdef uint16_t value
    cdef int problem = _special(text, length)
    if problem:
        return _numeric_special(out, field, problem, text[0] == 45)
    problem = BAD_NUMBER if length > MAX_DIGITS else _spelled(&number, text, length)
    if not problem and field.typed:
        problem = _fits(field, &number, text)
    if not problem and (number.fraction > MAX_SCALE or (number.integers + 3) // 4 > MAX_GROUPS):
        problem = TOO_LARGE
    if problem:
        return problem
    head = out.used
    out.used += 12
    for group in range(-((number.integers + 3) // 4), (number.fraction + 3) // 4):
        value = 0
        for digit in range(4):
            position = group * 4 + digit  # relative to the decimal point
            value *= 10
            if position < 0:
                if position >= -number.integers:
                    value += text[number.integers_at + number.integers + position] - 48
            elif position < number.fraction:
                value += text[number.fraction_at + position] - 48
        if not count:
            if value == 0:
                continue  # leading zero groups are not sent either
            weight = -group - 1
        put16(out.data + out.used, value)
        out.used += 2
        count += 1
        if value:
            kept = count
    if kept > MAX_GROUPS:
        return TOO_LARGE
    out.used = head + 12 + 2 * kept
    put32(out.data + head, 8 + 2 * kept)
    put16(out.data + head + 4, <uint16_t> kept)
    put16(out.data + head + 6, <uint16_t> <int16_t> (weight if kept else 0))
    put16(out.data + head + 8, 0x4000 if number.negative and kept else 0)
    put16(out.data + head + 10, <uint16_t> number.fraction)
    return FINE


cdef inline int _special(const uint8_t *text, int64_t length) noexcept nogil:
    """NOT_A_NUMBER, INFINITE, or FINE for every other text."""
    if length == 3 and memcmp(text, <const char *> "NaN", 3) == 0:
        return NOT_A_NUMBER
    if (length == 8 and memcmp(text, <const char *> "Infinity", 8) == 0) or (
        length == 9 and memcmp(text, <const char *> "-Infinity", 9) == 0
    ):
        return INFINITE
    return FINE


cdef int _numeric_special(Out *out, Field *field, int special, int negative) noexcept nogil:
    """Signs without digits. numeric(p,s) has NaN and no infinities."""
    cdef uint64_t sign = 0xC000
    if special == INFINITE:
        if field.typed:
            return _missing(out, field, special)
        sign = 0xF000 if negative else 0xD000
    put_field64(out.data + out.used, sign << 16)
    out.used += 12
    return FINE


cdef int _missing(Out *out, Field *field, int special) noexcept nogil:
    """What the type has no value for: NULL where the policy says so, counted."""
    if not (field.nan if special == NOT_A_NUMBER else field.infinity):
        return special
    if special == NOT_A_NUMBER:
        field.changed_nan += 1
    else:
        field.changed_infinity += 1
    _length(out, 0xFFFFFFFF)
    return FINE


cdef int _from_decimal(Out *out, Field *field, int64_t at, size_t narrow) noexcept nogil:
    """An Arrow decimal by way of its text: 77 digits, a hundred zeros of scale, sign and point."""
    cdef uint8_t text[200]
    cdef int length = put_words(
        field.values + at * field.width, <int> (field.width // 8), field.decimal_scale, text
    )
    if not _room(out, <size_t> length + narrow + 64):
        return NO_MEMORY
    if field.kind == NUMERIC:
        return _numeric(out, field, text, length)
    if field.kind == TEXT:
        return _text(out, field, text, length, narrow)
    return _integer_text(out, field, text, length)


cdef int _integer_text(Out *out, Field *field, const uint8_t *text, int64_t length) noexcept nogil:
    """Decimal text that is a whole number → int2, int4, int8."""
    cdef Spelled number
    cdef uint64_t value = 0
    cdef int64_t at
    cdef int problem = _special(text, length)
    if problem:
        return _missing(out, field, problem)
    problem = BAD_NUMBER if length > MAX_DIGITS else _spelled(&number, text, length)
    if problem:
        return problem
    for at in range(number.fraction):
        if text[number.fraction_at + at] != 48:
            return SCALE_CUT
    if number.integers > 19:
        return OUT_OF_RANGE
    for at in range(number.integers):
        value = value * 10 + (text[number.integers_at + at] - 48)
    return _integer(out, field.kind, value, number.negative and value != 0)
