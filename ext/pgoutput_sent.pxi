# Fields in the form of the types' send functions. Part of pgoutput.pyx.


cdef Status _sent(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef int32_t days
    cdef int64_t value
    if not c.binary or (c.wire and size != <size_t>c.wire):
        return BAD_FIELD
    if c.form == NUMBER:
        if size == 8:
            (<uint64_t*>c.values)[row] = _u64(p)
        elif size == 4:
            (<uint32_t*>c.values)[row] = _u32(p)
        else:
            (<uint16_t*>c.values)[row] = _u16(p)
        return MORE
    if c.form == TEXT or c.form == BYTEA or c.form == UUID:
        return _copy(c, row, p, size)
    if c.form == NUMERIC:
        return _sent_numeric(c, row, p, size)
    if c.form == JSONB:
        if size < 1 or p[0] != 1:
            return BAD_FIELD
        return _copy(c, row, p + 1, size - 1)
    if c.form == BITS:
        return _sent_bits(c, row, p, size)
    if c.form == BOOL:
        if p[0] > 1:
            return BAD_FIELD
        c.values[row] = p[0]
        return MORE
    if c.form == DATE:
        days = <int32_t>_u32(p)
        if days != 0x7FFFFFFF and days != -0x7FFFFFFF - 1:
            if days + DAYS_APART >= 0x7FFFFFFF:
                return BAD_FIELD
            days += <int32_t>DAYS_APART
        (<int32_t*>c.values)[row] = days
        return MORE
    if c.form == CHAR:
        return _char(c, row, p, 1 if p[0] else 0)
    if c.form == MONEY:
        return _sent_money(c, row, <int64_t>_u64(p))
    if c.form != MOMENT and c.form != TIME and c.form != INTERVAL:
        return BAD_FIELD
    value = <int64_t>_u64(p)
    if c.form == MOMENT:
        if value != MOST and value != LEAST:
            if value >= MOST - MICROS_APART:
                return BAD_VALUE
            value += MICROS_APART
    elif c.form == TIME:
        if value < 0 or value > MICROS_OF_DAY:
            return BAD_FIELD
    else:  # microseconds, days, months
        c.days[row] = <int32_t>_u32(p + 8)
        c.months[row] = <int32_t>_u32(p + 12)
    (<int64_t*>c.values)[row] = value
    return MORE


cdef inline Status _copy(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef uint8_t* into = _reserve(c, size)
    if into == NULL:
        return NO_MEMORY
    memcpy(into, p, size)
    return _used(c, row, size)


cdef Status _char(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    """Of the type "char"; a byte that is no character in octal, as PostgreSQL 16 prints it."""
    cdef uint8_t* into
    if size > 4:
        return BAD_FIELD
    if size != 1 or p[0] < 128:
        return _copy(c, row, p, size)
    into = _reserve(c, 4)
    if into == NULL:
        return NO_MEMORY
    into[0] = 92
    into[1] = 48 + (p[0] >> 6)
    into[2] = 48 + ((p[0] >> 3) & 7)
    into[3] = 48 + (p[0] & 7)
    return _used(c, row, 4)


cdef Status _sent_money(Column* c, int64_t row, int64_t cents) noexcept nogil:
    cdef uint8_t digits[24]
    cdef int place = 24
    cdef uint64_t left = <uint64_t>cents if cents >= 0 else <uint64_t>0 - <uint64_t>cents
    cdef int number = 0
    while left or number < 3:
        if number == 2:
            place -= 1
            digits[place] = 46
        place -= 1
        digits[place] = 48 + left % 10
        left //= 10
        number += 1
    if cents < 0:
        place -= 1
        digits[place] = 45
    return _copy(c, row, &digits[place], 24 - place)


cdef Status _sent_bits(Column* c, int64_t row, const uint8_t* p, size_t length) noexcept nogil:
    """A count of bits, then the bits from the highest place of the first byte on."""
    cdef int32_t bits
    cdef size_t size, number
    cdef int shift
    cdef uint8_t* into
    if length < 4:
        return BAD_FIELD
    bits = <int32_t>_u32(p)
    if bits < 0 or (<size_t>bits + 7) // 8 != length - 4:
        return BAD_FIELD
    size = length - 4
    shift = <int>(8 * size - bits)
    p += 4
    into = _reserve(c, size)
    if into == NULL:
        return NO_MEMORY
    for number in range(size):
        into[number] = p[number] >> shift
        if number and shift:
            into[number] |= <uint8_t>(p[number - 1] << (8 - shift))
    return _used(c, row, size)


cdef inline uint8_t* _four(uint8_t* into, int digit) noexcept nogil:
    into[0] = 48 + digit // 1000
    into[1] = 48 + digit // 100 % 10
    into[2] = 48 + digit // 10 % 10
    into[3] = 48 + digit % 10
    return into + 4


cdef Status _sent_numeric(Column* c, int64_t row, const uint8_t* p, size_t length) noexcept nogil:
    """Groups of four decimal digits, the first of weight 10000^weight; printed with `scale` digits."""
    cdef int count, weight, sign, scale, place, digit, left
    cdef int number
    cdef bint leading = True
    cdef size_t most
    cdef uint8_t* start
    cdef uint8_t* into
    if length < 8:
        return BAD_FIELD
    count = _u16(p)
    weight = <int16_t>_u16(p + 2)
    sign = _u16(p + 4)
    scale = _u16(p + 6)
    if length != <size_t>(8 + 2 * count) or scale > 0x3FFF:
        return BAD_FIELD
    p += 8
    if sign == 0xC000 or sign == 0xD000 or sign == 0xF000:
        if count:
            return BAD_FIELD
        if sign == 0xC000:
            return _copy(c, row, b"NaN", 3)
        if sign == 0xD000:
            return _copy(c, row, b"Infinity", 8)
        return _copy(c, row, b"-Infinity", 9)
    if sign != 0 and sign != 0x4000:
        return BAD_FIELD
    for number in range(count):
        if _u16(p + 2 * number) > 9999:
            return BAD_FIELD
    most = (4 * (weight + 1) if weight >= 0 else 1) + scale + 8
    start = _reserve(c, most)
    if start == NULL:
        return NO_MEMORY
    into = start
    if sign:
        into[0] = 45
        into += 1
    number = 0
    if count == 0:
        weight = -1
    for place in range(weight, -1, -1):
        digit = _u16(p + 2 * number) if number < count else 0
        number += 1
        if not leading:
            into = _four(into, digit)
            continue
        if digit == 0 and place:
            continue
        leading = False
        left = 1000
        while left > 1 and digit < left:
            left //= 10
        while left:
            into[0] = 48 + digit // left % 10
            into += 1
            left //= 10
    if weight < 0:
        into[0] = 48
        into += 1
    if scale:
        into[0] = 46
        into += 1
        place = -1
        left = scale
        while left > 0:
            digit = 0
            if place <= weight and number < count:
                digit = _u16(p + 2 * number)
                number += 1
            into = _four(into, digit)
            left -= 4
            place -= 1
        into += left  # digits of the last group that are not shown
    return _used(c, row, into - start)
