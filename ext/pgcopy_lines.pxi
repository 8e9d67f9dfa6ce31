# Part of pgcopy.pyx: rows of text COPY, for tables with a type that has no binary form of its own here.
#
# A value is encoded as for binary COPY, with everything that is checked there, and printed from that.

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *text, size_t size, const char *form, ...)


cdef int _lines(
    Out *out,
    Out *scratch,
    Field *fields,
    Py_ssize_t count,
    Py_ssize_t rows,
    Py_ssize_t *at,
    Py_ssize_t *column,
) noexcept nogil:
    """Fields apart by tabs, rows ended by newlines, NULL as \\N."""
    cdef Py_ssize_t row, number
    cdef Field *field
    cdef int64_t bit
    cdef int problem
    cdef size_t begun
    for row in range(rows):
        at[0] = row
        begun = out.used
        if not _room(out, 3 * <size_t> count + 1):
            return NO_MEMORY
        for number in range(count):
            column[0] = number
            field = &fields[number]
            bit = field.first + row
            if not _room(out, 4):
                return NO_MEMORY
            if number:
                _put(out, 9)
            if _is_null(field, bit):
                _put2(out, 92, 78)
                continue
            _emptied(scratch)
            if not _room(scratch, 128):
                return NO_MEMORY
            problem = _field(scratch, field, bit, 64)
            if not problem:
                problem = _line_field(out, field, scratch.data, <int64_t> scratch.used)
            if not problem and out.used - begun > MAX_ROW:
                problem = TOO_LARGE
            if problem:
                return problem
        if not _room(out, 1):
            return NO_MEMORY
        _put(out, 10)
    return FINE


cdef inline void _put(Out *out, uint8_t char) noexcept nogil:
    out.data[out.used] = char
    out.used += 1


cdef inline void _put2(Out *out, uint8_t first, uint8_t second) noexcept nogil:
    out.data[out.used] = first
    out.data[out.used + 1] = second
    out.used += 2


cdef inline uint16_t _get16(const uint8_t *at) noexcept nogil:
    return <uint16_t> ((at[0] << 8) | at[1])


cdef inline uint32_t _get32(const uint8_t *at) noexcept nogil:
    return (<uint32_t> _get16(at) << 16) | _get16(at + 2)


cdef inline uint64_t _get64(const uint8_t *at) noexcept nogil:
    return (<uint64_t> _get32(at) << 32) | _get32(at + 4)


cdef int _line_field(Out *out, Field *field, const uint8_t *encoded, int64_t size) noexcept nogil:
    """A field of binary COPY, its length word first, as text."""
    cdef int kind = field.kind
    cdef int64_t length = size - 4
    cdef const uint8_t *value = encoded + 4
    if _get32(encoded) == <uint32_t> 0xFFFFFFFF:  # a policy made it NULL
        _put2(out, 92, 78)
        return FINE
    if not _room(out, 2 * <size_t> length + 400):
        return NO_MEMORY
    if kind == JSONB:
        return _escaped(out, value + 1, length - 1)
    if kind == BYTEA or kind == EWKB:
        if not field.bare:
            _put2(out, 92, 92)
            _put(out, 120)
        _hexed(out, value, length)
        return FINE
    if kind == INT2 or kind == INT4 or kind == INT8:
        _signed(out, value, length)
        return FINE
    if kind == BOOL:
        _put(out, 116 if value[0] else 102)
        return FINE
    if kind == NUMERIC:
        return _line_numeric(out, value)
    if kind == FLOAT4 or kind == FLOAT8:
        _line_float(out, value, length)
        return FINE
    if kind == BIT:
        return _line_bits(out, value)
    if kind == DATE:
        _line_date(out, <int64_t> <int32_t> _get32(value))
        return FINE
    if kind == TIMESTAMP:
        _line_moment(out, <int64_t> _get64(value))
        return FINE
    if kind == TIME:
        _line_clock(out, <int64_t> _get64(value))
        return FINE
    if kind == INTERVAL:
        _line_interval(out, value)
        return FINE
    if kind == UUID:
        out.used = put_uuid(out.data + out.used, value) - out.data
        return FINE
    if kind == INET:
        out.used += put_address(out.data + out.used, value + 4, value[3])
        return FINE
    if kind == SET_ARRAY or kind == LIST_ARRAY or kind == FLOAT4_ARRAY:
        return _line_array(out, kind, value)
    return _escaped(out, value, length)  # texts of all kinds


cdef int _escaped(Out *out, const uint8_t *text, int64_t length) noexcept nogil:
    """Backslashes, tabs and line ends are written with a backslash. There is room for twice the length."""
    cdef int64_t at
    cdef uint8_t char
    for at in range(length):
        char = text[at]
        if char == 92:
            _put2(out, 92, 92)
        elif char == 9:
            _put2(out, 92, 116)
        elif char == 10:
            _put2(out, 92, 110)
        elif char == 13:
            _put2(out, 92, 114)
        else:
            _put(out, char)
    return FINE


cdef void _hexed(Out *out, const uint8_t *value, int64_t length) noexcept nogil:
    cdef int64_t at
    for at in range(length):
        _put2(out, hex_digits[value[at] >> 4], hex_digits[value[at] & 15])


cdef void _signed(Out *out, const uint8_t *value, int64_t length) noexcept nogil:
    cdef int64_t number
    if length == 2:
        number = <int16_t> _get16(value)
    elif length == 4:
        number = <int32_t> _get32(value)
    else:
        number = <int64_t> _get64(value)
    out.used += _digits(_absolute(number), number < 0, out.data + out.used)


cdef void _line_float(Out *out, const uint8_t *value, int64_t length) noexcept nogil:
    """As many digits as tell every number of that width apart."""
    cdef uint64_t word
    cdef uint32_t half
    cdef double wide
    cdef float single
    if length == 4:
        half = _get32(value)
        memcpy(&single, &half, 4)
        wide = single
    else:
        word = _get64(value)
        memcpy(&wide, &word, 8)
    if wide != wide:
        memcpy(out.data + out.used, <const char *> "NaN", 3)
        out.used += 3
    elif wide - wide != 0:
        if wide < 0:
            _put(out, 45)
        memcpy(out.data + out.used, <const char *> "Infinity", 8)
        out.used += 8
    else:
        out.used += snprintf(
            <char *> out.data + out.used, 40, "%.9g" if length == 4 else "%.17g", wide
        )


cdef int _line_numeric(Out *out, const uint8_t *value) noexcept nogil:
    """The groups of four digits with a point after the one of weight 0; fraction digits as the scale says."""
    cdef int count = _get16(value)
    cdef int weight = <int16_t> _get16(value + 2)
    cdef int sign = _get16(value + 4)
    cdef int scale = _get16(value + 6)
    cdef int place, digit, group
    cdef int begun = 0
    cdef int left = scale
    cdef uint8_t four[4]
    if sign == 0xC000:
        memcpy(out.data + out.used, <const char *> "NaN", 3)
        out.used += 3
        return FINE
    if sign == 0xF000 or sign == 0x4000:
        _put(out, 45)
    if sign >= 0xD000:
        memcpy(out.data + out.used, <const char *> "Infinity", 8)
        out.used += 8
        return FINE
    if not _room(out, 4 * <size_t> (weight + 2 if weight > 0 else 2) + <size_t> scale + 64):
        return NO_MEMORY
    for place in range(weight, -1, -1):
        group = _group(value, count, weight, place)
        _four(four, group)
        for digit in range(4):
            if begun or four[digit] != 48:
                _put(out, four[digit])
                begun = 1
    if not begun:
        _put(out, 48)
    if scale:
        _put(out, 46)
    place = -1
    while left > 0:
        _four(four, _group(value, count, weight, place))
        for digit in range(4 if left > 4 else left):
            _put(out, four[digit])
        left -= 4
        place -= 1
    return FINE


cdef inline int _group(const uint8_t *value, int count, int weight, int place) noexcept nogil:
    """The group of digits that counts 10000 ** place."""
    cdef int number = weight - place
    return _get16(value + 8 + 2 * number) if 0 <= number < count else 0


cdef inline void _four(uint8_t *digits, int group) noexcept nogil:
    digits[0] = <uint8_t> (48 + group // 1000)
    digits[1] = <uint8_t> (48 + group // 100 % 10)
    digits[2] = <uint8_t> (48 + group // 10 % 10)
    digits[3] = <uint8_t> (48 + group % 10)


cdef int _line_bits(Out *out, const uint8_t *value) noexcept nogil:
    cdef int64_t bits = _get32(value)
    cdef int64_t at
    if not _room(out, <size_t> bits + 16):
        return NO_MEMORY
    for at in range(bits):
        _put(out, 48 + ((value[4 + (at >> 3)] >> (7 - (at & 7))) & 1))
    return FINE


# ---------------------------------------------------------------- dates and times


cdef int _calendar(Out *out, int64_t day) noexcept nogil:
    """A day since 2000-01-01 as ISO 8601; whether it is before the year 1, which is said at the end."""
    cdef Civil date = civil_from_days(day + 10957)
    cdef int64_t shown = date.year if date.year > 0 else 1 - date.year
    cdef int64_t limit = 1000
    cdef uint8_t *p
    while shown < limit and limit > 1:
        _put(out, 48)
        limit //= 10
    p = out.data + out.used
    p += put_digits(<uint64_t> shown, p)
    p[0] = 45
    p = put_two(p + 1, date.month)
    p[0] = 45
    p = put_two(p + 1, date.day)
    out.used = p - out.data
    return date.year <= 0


cdef void _before_christ(Out *out) noexcept nogil:
    memcpy(out.data + out.used, <const char *> " BC", 3)
    out.used += 3


cdef void _endless(Out *out, int negative) noexcept nogil:
    if negative:
        _put(out, 45)
    memcpy(out.data + out.used, <const char *> "infinity", 8)
    out.used += 8


cdef void _line_date(Out *out, int64_t day) noexcept nogil:
    if day == 0x7FFFFFFF or day == -<int64_t> 0x80000000:
        _endless(out, day < 0)
    elif _calendar(out, day):
        _before_christ(out)


cdef void _line_clock(Out *out, int64_t micros) noexcept nogil:
    """HH:MM:SS.ffffff, a sign before negative ones; hours as many as there are."""
    cdef uint64_t rest = _absolute(micros)
    cdef uint64_t seconds = rest // 1000000
    cdef uint8_t *p
    if micros < 0:
        _put(out, 45)
    if seconds < 36000:
        _put(out, 48)
    p = out.data + out.used
    p += put_digits(seconds // 3600, p)
    p[0] = 58
    p = put_two(p + 1, <int> (seconds // 60 % 60))
    p[0] = 58
    p = put_two(p + 1, <int> (seconds % 60))
    p = put_fraction(p, <int> (rest % 1000000))
    out.used = p - out.data


cdef void _line_moment(Out *out, int64_t micros) noexcept nogil:
    """Without a zone: the session's is UTC."""
    cdef int64_t day
    cdef int before
    if micros == <int64_t> 0x7FFFFFFFFFFFFFFFULL or micros == <int64_t> 0x8000000000000000ULL:
        _endless(out, micros < 0)
        return
    day = micros // DAY
    if day * DAY > micros:  # C divides towards zero
        day -= 1
    before = _calendar(out, day)
    _put(out, 32)
    _line_clock(out, micros - day * DAY)
    if before:
        _before_christ(out)


cdef void _line_interval(Out *out, const uint8_t *value) noexcept nogil:
    """Months, days and a clock, each with a sign of its own (IntervalStyle postgres)."""
    cdef int64_t micros = <int64_t> _get64(value)
    cdef int64_t days = <int32_t> _get32(value + 8)
    cdef int64_t months = <int32_t> _get32(value + 12)
    if micros == <int64_t> 0x7FFFFFFFFFFFFFFFULL and days == 0x7FFFFFFF and months == days:
        _endless(out, 0)
        return
    if micros == <int64_t> 0x8000000000000000ULL and days == -<int64_t> 0x80000000 and months == days:
        _endless(out, 1)
        return
    out.used += _digits(_absolute(months), months < 0, out.data + out.used)
    memcpy(out.data + out.used, <const char *> " mons ", 6)
    out.used += 6
    out.used += _digits(_absolute(days), days < 0, out.data + out.used)
    memcpy(out.data + out.used, <const char *> " days ", 6)
    out.used += 6
    if micros >= 0:
        _put(out, 43)
    _line_clock(out, micros)


# ---------------------------------------------------------------- arrays


cdef int _line_array(Out *out, int kind, const uint8_t *value) noexcept nogil:
    """One dimension without NULLs, every text in quotes."""
    cdef uint32_t count = _get32(value + 12) if _get32(value) else 0
    cdef uint32_t number
    cdef int64_t at = 20
    cdef int64_t length, place
    cdef uint8_t char
    _put(out, 123)
    for number in range(count):
        length = _get32(value + at)
        at += 4
        if not _room(out, 4 * <size_t> length + 64):
            return NO_MEMORY
        if number:
            _put(out, 44)
        if kind == FLOAT4_ARRAY:
            _line_float(out, value + at, 4)
        else:
            _put(out, 34)
            for place in range(length):
                char = value[at + place]
                if char == 34 or char == 92:  # once for the array, once for the line
                    _put2(out, 92, 92)
                _escaped(out, &char, 1)
            _put(out, 34)
        at += length
    if not _room(out, 64):
        return NO_MEMORY
    _put(out, 125)
    return FINE
