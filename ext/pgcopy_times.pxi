# Part of pgcopy.pyx: dates, moments and durations.

cdef extern from *:
    """
    #define DAY 86400000000LL
    #define EPOCH_2000 946684800000000LL
    #define MIN_TIMESTAMP (-211813488000000000LL)
    """
    const int64_t DAY, EPOCH_2000, MIN_TIMESTAMP  # microseconds; PostgreSQL's datatype/timestamp.h


cdef inline int _timestamp(Out *out, Field *field, int64_t micros) noexcept nogil:
    """timestamp_recv, timestamptz_recv: microseconds since 2000-01-01; the smallest integer is -infinity, the
    largest infinity. The latest moment of 64 bits since 1970 is before END_TIMESTAMP."""
    if micros != <int64_t> 0x8000000000000000ULL and micros != <int64_t> 0x7FFFFFFFFFFFFFFFULL:
        if micros < MIN_TIMESTAMP + EPOCH_2000:
            return OUT_OF_RANGE
        if field.unit and micros % field.unit:
            return FRACTION_CUT
        micros -= EPOCH_2000
    put_field64(out.data + out.used, <uint64_t> micros)
    out.used += 12
    return FINE


cdef inline int _days(Out *out, Field *field, int32_t day) noexcept nogil:
    """date_recv: days since 2000-01-01, the smallest integer is -infinity, the largest infinity; or the day's
    first microsecond."""
    cdef int64_t since = <int64_t> day - 10957
    cdef int64_t micros
    if field.kind == TIMESTAMP:
        micros = <int64_t> 0x8000000000000000ULL if day < 0 else <int64_t> 0x7FFFFFFFFFFFFFFFULL
        if day != <int32_t> 0x80000000 and day != 0x7FFFFFFF:
            if since < -2451545 or since >= 106751983:  # MIN_TIMESTAMP, END_TIMESTAMP: 294277-01-01
                return OUT_OF_RANGE
            micros = since * DAY
        put_field64(out.data + out.used, <uint64_t> micros)
        out.used += 12
        return FINE
    if day == <int32_t> 0x80000000 or day == 0x7FFFFFFF:
        since = day
    elif since < -2451545 or since >= 2145031949:  # datetime.h: 4714-11-24 BC, DATE_END_JULIAN
        return OUT_OF_RANGE
    _length(out, 4)
    put32(out.data + out.used, <uint32_t> <int32_t> since)
    out.used += 4
    return FINE


cdef inline int _span(Out *out, Field *field, int64_t micros) noexcept nogil:
    """interval_recv: microseconds, days, months (a TIME of MySQL has hours only); time_recv: microseconds."""
    if field.kind == TIME and (micros < 0 or micros > DAY):
        return OUT_OF_RANGE
    if field.unit and micros % field.unit:
        return FRACTION_CUT
    if field.kind == TIME:
        put_field64(out.data + out.used, <uint64_t> micros)
        out.used += 12
        return FINE
    _length(out, 16)
    put64(out.data + out.used, <uint64_t> micros)
    memset(out.data + out.used + 8, 0, 8)
    out.used += 16
    return FINE


cdef int _parts(Out *out, Field *field, int64_t at) noexcept nogil:
    """interval_recv: microseconds, days, months. Since PostgreSQL 17 the extremes of all three are the
    infinities; before, they were a time span like any other, so they go only where they mean the same."""
    cdef int64_t micros = field.micros[at - field.first]
    cdef int32_t days = field.days[at - field.first]
    cdef int32_t months = field.months[at - field.first]
    if micros == <int64_t> 0x7FFFFFFFFFFFFFFFULL and days == 0x7FFFFFFF and months == 0x7FFFFFFF:
        if not field.infinite:
            return INFINITE
        if field.kind == INTERVAL_TEXT:
            _bytes(out, <const uint8_t *> <const char *> "infinity", 8)
            return FINE
    elif micros == <int64_t> 0x8000000000000000ULL and days == <int32_t> 0x80000000 and months == days:
        if not field.infinite:
            return INFINITE
        if field.kind == INTERVAL_TEXT:
            _bytes(out, <const uint8_t *> <const char *> "-infinity", 9)
            return FINE
    elif field.kind == INTERVAL_TEXT:
        return _interval_text(out, field, months, days, micros)
    elif field.unit and micros % field.unit:
        return FRACTION_CUT
    _length(out, 16)
    put64(out.data + out.used, <uint64_t> micros)
    put32(out.data + out.used + 8, <uint32_t> days)
    put32(out.data + out.used + 12, <uint32_t> months)
    out.used += 16
    return FINE


cdef int _interval_text(Out *out, Field *field, int32_t months, int32_t days, int64_t micros) noexcept nogil:
    """ISO 8601 with a sign for each part: P-1M2DT-3.000004S; nothing at all is PT0S."""
    cdef uint8_t text[80]
    cdef int used = 1
    cdef uint64_t rest = <uint64_t> micros if micros >= 0 else ~<uint64_t> micros + 1
    cdef int fraction = <int> (rest % 1000000)
    text[0] = 80
    if months:
        used += _digits(_absolute(months), months < 0, text + used)
        text[used] = 77
        used += 1
    if days:
        used += _digits(_absolute(days), days < 0, text + used)
        text[used] = 68
        used += 1
    if micros or used == 1:
        text[used] = 84
        used += 1
        used += _digits(rest // 1000000, micros < 0, text + used)
        if fraction:
            put_fraction(text + used, fraction)
            used += 7
            while text[used - 1] == 48:
                used -= 1
        text[used] = 83
        used += 1
    if field.chars and used > field.chars:
        return TOO_LONG
    _bytes(out, text, used)
    return FINE


cdef inline uint64_t _absolute(int64_t number) noexcept nogil:
    return <uint64_t> number if number >= 0 else ~<uint64_t> number + 1
