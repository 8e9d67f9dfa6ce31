# Part of pgcopy.pyx: dates, moments and durations.

cdef extern from *:
    """
    #define DAY 86400000000LL
    #define EPOCH_2000 946684800000000LL
    #define MIN_TIMESTAMP (-211813488000000000LL)
    """
    const int64_t DAY, EPOCH_2000, MIN_TIMESTAMP  # microseconds; PostgreSQL's datatype/timestamp.h



cdef inline int _timestamp(Out *out, Field *field, int64_t micros) noexcept nogil:
    """timestamp_recv, timestamptz_recv: microseconds since 2000-01-01; the smallest integer is -infinity.
    The latest one of 64 bits since 1970 is before END_TIMESTAMP."""
    if micros != <int64_t> 0x8000000000000000ULL:
        if micros < MIN_TIMESTAMP + EPOCH_2000:
            return OUT_OF_RANGE
        if field.unit and micros % field.unit:
            return FRACTION_CUT
        micros -= EPOCH_2000
    put_field64(out.data + out.used, <uint64_t> micros)
    out.used += 12
    return FINE


cdef inline int _days(Out *out, Field *field, int32_t day) noexcept nogil:
    """date_recv: days since 2000-01-01, the smallest integer is -infinity; or the day's first microsecond."""
    cdef int64_t since = <int64_t> day - 10957
    cdef int64_t micros
    if field.kind == TIMESTAMP:
        micros = <int64_t> 0x8000000000000000ULL
        if day != <int32_t> 0x80000000:
            if since < -2451545 or since >= 106751983:  # MIN_TIMESTAMP, END_TIMESTAMP: 294277-01-01
                return OUT_OF_RANGE
            micros = since * DAY
        put_field64(out.data + out.used, <uint64_t> micros)
        out.used += 12
        return FINE
    if day == <int32_t> 0x80000000:
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
