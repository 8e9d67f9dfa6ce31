# Dates and times as the log stores them. Part of binlog.pyx.
# MySQL Source Code Documentation, "Date and time data type representation"; old forms: my_time.cc, field.cc.

cdef struct Moment:
    int year
    int month
    int day
    int hour
    int minute
    int second
    int micro


cdef inline bint _leap(int year) noexcept nogil:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


cdef inline int _days_in(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if _leap(year) else 28
    if month == 4 or month == 6 or month == 9 or month == 11:
        return 30
    return 31


cdef inline int64_t _days(int year, int month, int day) noexcept nogil:
    """Days since 1970-01-01 in the proleptic Gregorian calendar, for years from 0 on."""
    cdef int y = year - (1 if month <= 2 else 0) + 400  # eras of 400 years, none negative
    cdef int era = y // 400
    cdef int of_era = y - era * 400
    cdef int of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    cdef int64_t days = <int64_t>era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year
    return days - 719468 - 146097


cdef inline int _fraction(const uint8_t* p, int digits) noexcept nogil:
    """Microseconds of a stored fraction; more than 999999 for garbage."""
    if digits == 0:
        return 0
    if digits <= 2:
        return p[0] * 10000
    if digits <= 4:
        return <int>_big(p, 2) * 100
    return <int>_big(p, 3)


cdef inline void _date_parts(uint64_t packed, Moment* at) noexcept nogil:
    at.day = packed & 31
    at.month = (packed >> 5) & 15
    at.year = <int>(packed >> 9)
    at.hour = at.minute = at.second = at.micro = 0


cdef inline void _moment_parts(uint64_t packed, Moment* at) noexcept nogil:
    """17 bits year * 13 + month, 5 day, 5 hour, 6 minute, 6 second"""
    cdef uint64_t months = (packed >> 22) & 0x1FFFF
    at.year = <int>(months // 13)
    at.month = <int>(months % 13)
    at.day = (packed >> 17) & 31
    at.hour = (packed >> 12) & 31
    at.minute = (packed >> 6) & 63
    at.second = packed & 63


cdef bint _parts(Column* column, const uint8_t* p, Moment* at) noexcept nogil:
    """The fields of a date or a moment without zone; False for what no server stores."""
    cdef uint64_t packed
    if column.read == DATE:
        _date_parts(_little(p, 3), at)
    elif column.read == OLD_DATETIME:
        packed = _little(p, 8)
        if packed > <uint64_t>99991231235959ULL:
            return False
        at.second = packed % 100
        at.minute = packed // 100 % 100
        at.hour = packed // 10000 % 100
        at.day = packed // 1000000 % 100
        at.month = packed // <uint64_t>100000000 % 100
        at.year = <int>(packed // <uint64_t>10000000000ULL)
        at.micro = 0
    else:
        packed = _big(p, 5)
        if not packed & <uint64_t>0x8000000000:
            return False
        _moment_parts(packed, at)
        at.micro = _fraction(p + 5, column.scale)
    return (
        at.year <= 9999 and at.month <= 12 and at.day <= 31 and at.hour <= 23 and at.minute <= 59
        and at.second <= 59 and at.micro <= 999999
    )


cdef inline Status _outside(Column* column, int64_t row) noexcept nogil:
    """A moment that is none, by the policy."""
    if column.invalid == REFUSE:
        return BAD_VALUE
    column.touched += 1
    if column.invalid == MAKE_NULL:
        _null(column, row)
    elif column.width == 4:
        (<int32_t*>column.values)[row] = <int32_t>(-0x7FFFFFFF - 1)
    else:
        (<int64_t*>column.values)[row] = <int64_t>(<uint64_t>1 << 63)
    return FINE


cdef Status _calendar(Column* column, int64_t row, const uint8_t* p) noexcept nogil:
    cdef Moment at
    cdef int64_t value
    if not _parts(column, p, &at):
        return BAD_ROW
    if at.year < FIRST_YEAR or at.month == 0 or at.day == 0 or at.day > _days_in(at.year, at.month):
        return _outside(column, row)
    value = _days(at.year, at.month, at.day)
    if column.read == DATE:
        (<int32_t*>column.values)[row] = <int32_t>value
    else:
        value = ((value * 24 + at.hour) * 60 + at.minute) * 60 + at.second
        (<int64_t*>column.values)[row] = value * 1000000 + at.micro
    return FINE


cdef Status _instant(Column* column, int64_t row, const uint8_t* p) noexcept nogil:
    """Seconds since 1970, unsigned; 0 is the zero moment."""
    cdef int64_t seconds
    cdef int micro = 0
    if column.read == OLD_TIMESTAMP:
        seconds = <int64_t>_little(p, 4)
    else:
        seconds = <int64_t>_big(p, 4)
        micro = _fraction(p + 4, column.scale)
    if micro > 999999:
        return BAD_ROW
    if seconds == 0 and micro == 0:
        return _outside(column, row)
    (<int64_t*>column.values)[row] = seconds * 1000000 + micro
    return FINE


cdef Status _duration(Column* column, int64_t row, const uint8_t* p) noexcept nogil:
    cdef int64_t packed, magnitude, value
    cdef int bytes, hour, minute, second, micro
    if column.read == OLD_TIME:
        packed = <int64_t>(_little(p, 3) << 40) >> 40
        magnitude = -packed if packed < 0 else packed
        hour, minute, second = magnitude // 10000, magnitude // 100 % 100, magnitude % 100
        micro = 0
    else:
        # A fraction is stored with the whole as one number, so that a negative time is negated in one.
        bytes = (column.scale + 1) // 2
        packed = <int64_t>_big(p, 3 + bytes) - (<int64_t>0x800000 << 8 * bytes)
        magnitude = -packed if packed < 0 else packed
        micro = <int>(magnitude & ((<int64_t>1 << 8 * bytes) - 1))
        if bytes == 1:
            micro *= 10000
        elif bytes == 2:
            micro *= 100
        magnitude >>= 8 * bytes
        hour, minute, second = magnitude >> 12, (magnitude >> 6) & 63, magnitude & 63
    if minute > 59 or second > 59 or micro > 999999:
        return BAD_ROW
    value = ((<int64_t>hour * 60 + minute) * 60 + second) * 1000000 + micro
    (<int64_t*>column.values)[row] = -value if packed < 0 else value
    return FINE
