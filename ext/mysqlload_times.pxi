# Part of mysqlload.pyx: dates, moments, times and intervals.

cdef extern from *:
    """
    #define LOAD_DAY 86400000000LL
    #define LOAD_MIN INT64_MIN
    #define LOAD_MAX INT64_MAX
    /* YYYY-MM-DD of a day since 1970-01-01 in years 0 to 9999 */
    static inline uint8_t *put_civil(uint8_t *p, int64_t day) {
        Civil date = civil_from_days(day);
        p = put_two(p, (int) (date.year / 100));
        p = put_two(p, (int) (date.year % 100));
        *p++ = 45;
        p = put_two(p, date.month);
        *p++ = 45;
        return put_two(p, date.day);
    }
    """
    const int64_t LOAD_DAY, LOAD_MIN, LOAD_MAX
    uint8_t *put_civil(uint8_t *p, int64_t day) nogil

# Years 1 to 9999. MySQL documents 1000 as the first; both servers store the earlier ones alike.
CALENDAR_FIRST = -62135596800000000
CALENDAR_LAST = 253402300799999999
TIME_LAST = 3020399999999  # 838:59:59.999999; MySQL ends a microsecond short of a second earlier

cdef enum:
    FIRST_DAY = -719162
    LAST_DAY = 2932896


cdef int _infinite(Out *out, Field *field, int high) noexcept nogil:
    """What -infinity or infinity becomes."""
    cdef int policy = field.high if high else field.low
    if policy == REFUSE:
        return INFINITE
    field.changed_infinity += 1
    if policy == AS_NULL:
        return IS_NULL
    if policy == AS_ZERO:
        memcpy(out.data + out.used, b"0000-00-00", 10)
        out.used += 10
    elif policy == AS_FIRST:
        _put_moment(out, field, field.first_moment)
    else:
        _put_moment(out, field, field.last_moment)
    return FINE


cdef inline void _put_moment(Out *out, Field *field, int64_t micros) noexcept nogil:
    cdef int64_t day = micros // LOAD_DAY
    cdef int64_t rest = micros % LOAD_DAY
    cdef uint8_t *begun = out.data + out.used
    cdef uint8_t *p
    cdef int seconds
    if rest < 0:  # cdivision truncates
        rest += LOAD_DAY
        day -= 1
    p = put_civil(begun, day)
    if field.kind == DATETIME:
        if field.unit > 1:
            rest -= rest % field.unit
        seconds = <int> (rest // 1000000)
        p[0] = 32
        p = put_two(p + 1, seconds // 3600)
        p[0] = 58
        p = put_two(p + 1, seconds // 60 % 60)
        p[0] = 58
        p = put_two(p + 1, seconds % 60)
        p = put_fraction(p, <int> (rest % 1000000))
    out.used += p - begun


cdef inline int _moment(Out *out, Field *field, int64_t micros) noexcept nogil:
    if micros == LOAD_MIN or micros == LOAD_MAX:
        return _infinite(out, field, micros == LOAD_MAX)
    if micros < field.first_moment or micros > field.last_moment:
        return OUT_OF_RANGE
    if field.unit and micros % field.unit:
        return FRACTION_CUT
    _put_moment(out, field, micros)
    return FINE


cdef inline int _day(Out *out, Field *field, int32_t day) noexcept nogil:
    """A day, or its first microsecond."""
    cdef int64_t micros
    if day == <int32_t> 0x80000000 or day == <int32_t> 0x7FFFFFFF:
        return _infinite(out, field, day == <int32_t> 0x7FFFFFFF)
    if day < FIRST_DAY or day > LAST_DAY:
        return OUT_OF_RANGE
    micros = day * LOAD_DAY
    if micros < field.first_moment or micros > field.last_moment:
        return OUT_OF_RANGE
    _put_moment(out, field, micros)
    return FINE


cdef inline int _span(Out *out, Field *field, int64_t micros) noexcept nogil:
    """[-]HHH:MM:SS"""
    cdef uint8_t *begun = out.data + out.used
    cdef uint8_t *p = begun
    cdef int64_t seconds
    if micros < field.first_moment or micros > field.last_moment:
        return OUT_OF_RANGE
    if field.unit and micros % field.unit:
        return FRACTION_CUT
    if micros < 0:
        p[0] = 45
        p += 1
        micros = -micros
    seconds = micros // 1000000
    if seconds >= 360000:
        p[0] = <uint8_t> (48 + seconds // 360000)
        p += 1
    p = put_two(p, <int> (seconds // 3600 % 100))
    p[0] = 58
    p = put_two(p + 1, <int> (seconds // 60 % 60))
    p[0] = 58
    p = put_two(p + 1, <int> (seconds % 60))
    p = put_fraction(p, <int> (micros % 1000000))
    out.used += p - begun
    return FINE


cdef inline uint8_t *_part(uint8_t *p, int64_t value, uint8_t unit) noexcept nogil:
    if not value:
        return p
    if value < 0:
        p[0] = 45
        p += 1
        value = -value
    p += put_digits(<uint64_t> value, p)
    p[0] = unit
    return p + 1


cdef int _infinite_interval(Out *out, Field *field, int high) noexcept nogil:
    """By the policy of its end: refused, NULL, or else the word PostgreSQL prints."""
    cdef int policy = field.high if high else field.low
    if policy == REFUSE:
        return INFINITE
    field.changed_infinity += 1
    if policy == AS_NULL:
        return IS_NULL
    if high:
        memcpy(out.data + out.used, b"infinity", 8)
        out.used += 8
    else:
        memcpy(out.data + out.used, b"-infinity", 9)
        out.used += 9
    return FINE


cdef int _interval(Out *out, Field *field, int64_t row) noexcept nogil:
    """ISO 8601 as PostgreSQL's intervalstyle iso_8601 writes it: every part with a sign of its own."""
    cdef int64_t months = field.months[row]
    cdef int64_t days = field.days[row]
    cdef int64_t micros = field.micros[row]
    cdef uint8_t *begun
    cdef uint8_t *p
    cdef int64_t rest, seconds
    cdef int fraction
    if not _room(out, 160):
        return NO_MEMORY
    # Infinite ones (PostgreSQL 17 and newer) have all three at an end.
    if months == 0x7FFFFFFF and days == 0x7FFFFFFF and micros == LOAD_MAX:
        return _infinite_interval(out, field, True)
    if months == -2147483648 and days == -2147483648 and micros == LOAD_MIN:
        return _infinite_interval(out, field, False)
    begun = p = out.data + out.used
    p[0] = 80  # P
    p += 1
    p = _part(p, months // 12, 89)
    p = _part(p, months % 12, 77)
    p = _part(p, days, 68)
    if micros:
        p[0] = 84  # T
        p += 1
        p = _part(p, micros // 60000000 // 60, 72)
        p = _part(p, micros // 60000000 % 60, 77)
        rest = micros % 60000000
        if rest:
            if rest < 0:
                p[0] = 45
                p += 1
                rest = -rest
            p += put_digits(<uint64_t> (rest // 1000000), p)
            fraction = <int> (rest % 1000000)
            if fraction:
                p = put_fraction(p, fraction)
                while (p - 1)[0] == 48:
                    p -= 1
            p[0] = 83
            p += 1
    elif p == begun + 1:
        memcpy(p, b"T0S", 3)
        p += 3
    out.used += p - begun
    return FINE
