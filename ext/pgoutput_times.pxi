# Dates, times and intervals as the server prints them (DateStyle ISO, IntervalStyle postgres, TimeZone UTC).
# Part of pgoutput.pyx.

cdef extern from *:
    """
    static const int days_before[13] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    """
    const int days_before[13]

cdef enum:
    LAST_DAY = 106751991  # the day in which 64 bits of microseconds since 1970 end
cdef int64_t LAST_MICROS = 14454775806  # of that day
cdef int64_t MOST_DAYS = 0x80000000
cdef int64_t LAST_HOUR = 2562047788  # in which 64 bits of microseconds end


cdef inline int _two(const uint8_t* p) noexcept nogil:
    """Two digits, -1 for anything else."""
    if not _digit(p[0]) or not _digit(p[1]):
        return -1
    return 10 * (p[0] - 48) + p[1] - 48


cdef inline int64_t _floor(int64_t value, int64_t by) noexcept nogil:
    return value // by if value >= 0 else -((by - 1 - value) // by)


cdef bint _date(Text* text, int64_t* year, int* month, int* day) noexcept nogil:
    """[0-9]{4,7}-[0-9]{2}-[0-9]{2}; what the parts mean is not looked at."""
    cdef int count = 0
    year[0] = 0
    while text.p < text.end and _digit(text.p[0]):
        year[0] = 10 * year[0] + text.p[0] - 48
        text.p += 1
        count += 1
        if count > 7:
            return False
    if count < 4 or text.end - text.p < 6 or text.p[0] != 45 or text.p[3] != 45:
        return False
    month[0] = _two(text.p + 1)
    day[0] = _two(text.p + 4)
    text.p += 6
    return month[0] >= 0 and day[0] >= 0


cdef bint _era(Text* text) noexcept nogil:
    """Eat " BC"."""
    if text.end - text.p >= 3 and memcmp(text.p, b" BC", 3) == 0:
        text.p += 3
        return True
    return False


cdef bint _days(int64_t year, int month, int day, bint before_christ, int64_t* days) noexcept nogil:
    """Since 1970-01-01, proleptic Gregorian; False for no date."""
    cdef bint leap
    cdef int length
    cdef int64_t before
    if before_christ:
        year = 1 - year
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if month < 1 or month > 12 or day < 1:
        return False
    length = days_before[month] - days_before[month - 1] + (leap and month == 2)
    if day > length:
        return False
    before = year - 1
    days[0] = (
        before * 365
        + _floor(before, 4)
        - _floor(before, 100)
        + _floor(before, 400)
        + days_before[month - 1]
        + (leap and month > 2)
        + day
        - 719163
    )
    return True


cdef bint _fraction(Text* text, int64_t* micros) noexcept nogil:
    """(\\.[0-9]{1,6})?"""
    cdef int count = 0
    cdef int64_t value = 0
    if text.p == text.end or text.p[0] != 46:
        return True
    text.p += 1
    while text.p < text.end and _digit(text.p[0]):
        value = 10 * value + text.p[0] - 48
        text.p += 1
        count += 1
        if count > 6:
            return False
    if count == 0:
        return False
    while count < 6:
        value *= 10
        count += 1
    micros[0] += value
    return True


cdef bint _clock(Text* text, int64_t* micros) noexcept nogil:
    """HH:MM:SS(.f)?, seconds up to 60"""
    cdef int hours, minutes, seconds
    if text.end - text.p < 8 or text.p[2] != 58 or text.p[5] != 58:
        return False
    hours = _two(text.p)
    minutes = _two(text.p + 3)
    seconds = _two(text.p + 6)
    if hours < 0 or minutes < 0 or minutes > 59 or seconds < 0 or seconds > 60:
        return False
    text.p += 8
    micros[0] = (<int64_t>hours * 3600 + minutes * 60 + seconds) * 1000000
    return _fraction(text, micros)


cdef Status _date_text(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef Text text
    cdef int64_t year, days
    cdef int month, day
    cdef bint before_christ
    if _is(p, size, b"infinity", 8):
        (<int32_t*>c.values)[row] = 0x7FFFFFFF
        return MORE
    if _is(p, size, b"-infinity", 9):
        (<int32_t*>c.values)[row] = -0x7FFFFFFF - 1
        return MORE
    text.p = p
    text.end = p + size
    if not _date(&text, &year, &month, &day):
        return BAD_FIELD
    before_christ = _era(&text)
    if text.p != text.end or not _days(year, month, day, before_christ, &days):
        return BAD_FIELD
    if days >= 0x7FFFFFFF or days <= -MOST_DAYS:
        return BAD_FIELD
    (<int32_t*>c.values)[row] = <int32_t>days
    return MORE


cdef Status _time_text(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef Text text
    cdef int64_t micros
    text.p = p
    text.end = p + size
    if not _clock(&text, &micros) or text.p != text.end or micros > MICROS_OF_DAY:
        return BAD_FIELD
    (<int64_t*>c.values)[row] = micros
    return MORE


cdef Status _moment_text(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef Text text
    cdef int64_t year, days, micros
    cdef int month, day
    cdef bint utc = False
    cdef bint before_christ
    if _is(p, size, b"infinity", 8):
        (<int64_t*>c.values)[row] = MOST
        return MORE
    if _is(p, size, b"-infinity", 9):
        (<int64_t*>c.values)[row] = LEAST
        return MORE
    text.p = p
    text.end = p + size
    if not _date(&text, &year, &month, &day):
        return BAD_FIELD
    if text.p == text.end or text.p[0] != 32:
        return BAD_FIELD
    text.p += 1
    if not _clock(&text, &micros):
        return BAD_FIELD
    if text.end - text.p >= 3 and memcmp(text.p, b"+00", 3) == 0:
        utc = True
        text.p += 3
    before_christ = _era(&text)
    if text.p != text.end or utc != c.utc or micros > MICROS_OF_DAY:
        return BAD_FIELD
    if not _days(year, month, day, before_christ, &days) or days <= -LAST_DAY:
        return BAD_FIELD
    if days > LAST_DAY or (days == LAST_DAY and micros > LAST_MICROS):
        return BAD_VALUE
    (<int64_t*>c.values)[row] = days * MICROS_OF_DAY + micros
    return MORE


cdef bint _unit(Text* text, const char* unit, size_t length, int64_t* value) noexcept nogil:
    """([+-]?[0-9]{1,10} unit s?) with the blank behind it; False leaves the text where it was."""
    cdef const uint8_t* p = text.p
    cdef bint minus = False
    cdef int64_t number = 0
    cdef int count = 0
    if p < text.end and (p[0] == 45 or p[0] == 43):
        minus = p[0] == 45
        p += 1
    while p < text.end and _digit(p[0]) and count < 11:
        number = 10 * number + p[0] - 48
        p += 1
        count += 1
    if count == 0 or count > 10 or text.end - p < <ptrdiff_t>length + 1 or p[0] != 32:
        return False
    if memcmp(p + 1, unit, length) != 0:
        return False
    p += length + 1
    if p < text.end and p[0] == 115:
        p += 1
    if p < text.end and p[0] == 32:
        p += 1
    text.p = p
    value[0] = -number if minus else number
    return True


cdef bint _span(Text* text, int64_t* micros) noexcept nogil:
    """[+-]?[0-9]{2,10}:MM:SS(.f)?"""
    cdef bint minus = False
    cdef int64_t hours = 0
    cdef int64_t part = 0
    cdef uint64_t total
    cdef int count = 0
    cdef int minutes, seconds
    if text.p[0] == 45 or text.p[0] == 43:
        minus = text.p[0] == 45
        text.p += 1
    while text.p < text.end and _digit(text.p[0]) and count < 11:
        hours = 10 * hours + text.p[0] - 48
        text.p += 1
        count += 1
    if count < 2 or count > 10 or text.end - text.p < 6 or text.p[0] != 58 or text.p[3] != 58:
        return False
    minutes = _two(text.p + 1)
    seconds = _two(text.p + 4)
    if minutes < 0 or minutes > 59 or seconds < 0 or seconds > 59:
        return False
    text.p += 6
    if not _fraction(text, &part):
        return False
    if hours > LAST_HOUR:
        return False
    total = (<uint64_t>hours * 3600 + minutes * 60 + seconds) * 1000000 + <uint64_t>part
    if total > <uint64_t>MOST + minus:
        return False
    micros[0] = <int64_t>(<uint64_t>0 - total) if minus else <int64_t>total
    return True


cdef Status _interval_text(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef Text text
    cdef int64_t years = 0
    cdef int64_t months = 0
    cdef int64_t days = 0
    cdef int64_t micros = 0
    if _is(p, size, b"infinity", 8) or _is(p, size, b"-infinity", 9):  # as interval_send has them
        c.months[row] = 0x7FFFFFFF if size == 8 else -0x7FFFFFFF - 1
        c.days[row] = c.months[row]
        (<int64_t*>c.values)[row] = MOST if size == 8 else LEAST
        return MORE
    if size == 0 or p[size - 1] == 32:
        return BAD_FIELD
    text.p = p
    text.end = p + size
    _unit(&text, b"year", 4, &years)
    _unit(&text, b"mon", 3, &months)
    _unit(&text, b"day", 3, &days)
    if text.p != text.end and (not _span(&text, &micros) or text.p != text.end):
        return BAD_FIELD
    months += 12 * years
    if months != <int32_t>months or days != <int32_t>days:
        return BAD_FIELD
    c.months[row] = <int32_t>months
    c.days[row] = <int32_t>days
    (<int64_t*>c.values)[row] = micros
    return MORE
