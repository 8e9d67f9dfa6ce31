# Fields in the form of the types' output functions. Part of pgoutput.pyx.

cdef extern from *:
    """
    #include <errno.h>
    #include <locale.h>
    #include <math.h>
    #include <stdlib.h>
    #ifdef __APPLE__
    #include <xlocale.h>
    #endif
    static locale_t plain_locale;
    /* Without regard to the locale of the process. */
    static inline double text_double(const char *text, char **end) { return strtod_l(text, end, plain_locale); }
    static inline float text_float(const char *text, char **end) { return strtof_l(text, end, plain_locale); }
    static int begin_locale(void) {
        plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t) 0);
        return plain_locale != (locale_t) 0;
    }
    """
    double text_double(const char* text, char** end) nogil
    float text_float(const char* text, char** end) nogil
    int begin_locale()
    bint isinf(double value) nogil
    double NAN
    double INFINITY

if not begin_locale():
    raise ImportError("no C locale")


cdef struct Text:
    const uint8_t* p
    const uint8_t* end


cdef inline bint _is(const uint8_t* p, size_t size, const char* text, size_t length) noexcept nogil:
    return size == length and memcmp(p, text, length) == 0


cdef Status _printed(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    if c.form == TEXT or c.form == JSONB:
        return _copy(c, row, p, size)
    if c.form == NUMBER:
        if c.code == 102 or c.code == 100:
            return _float_text(c, row, p, size)
        return _integer_text(c, row, p, size)
    if c.form == NUMERIC:
        return _numeric_text(c, row, p, size)
    if c.form == BOOL:
        if size != 1 or (p[0] != 116 and p[0] != 102):
            return BAD_FIELD
        c.values[row] = p[0] == 116
        return MORE
    if c.form == MOMENT:
        return _moment_text(c, row, p, size)
    if c.form == DATE:
        return _date_text(c, row, p, size)
    if c.form == UUID:
        return _uuid_text(c, row, p, size)
    if c.form == BYTEA:
        return _bytea_text(c, row, p, size)
    if c.form == TIME:
        return _time_text(c, row, p, size)
    if c.form == INTERVAL:
        return _interval_text(c, row, p, size)
    if c.form == BITS:
        return _bits_text(c, row, p, size)
    if c.form == MONEY:
        return _money_text(c, row, p, size)
    if c.form == CHAR:
        return _char(c, row, p, size)
    return _array_text(c, row, p, size)


cdef inline bint _digit(uint8_t byte) noexcept nogil:
    return byte >= 48 and byte <= 57


cdef Status _integer_text(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef bint minus = size > 0 and p[0] == 45
    cdef uint64_t value = 0
    cdef uint64_t most
    cdef size_t place
    if size - minus < 1 or size - minus > 19 or size == 0:
        return BAD_FIELD
    for place in range(minus, size):
        if not _digit(p[place]):
            return BAD_FIELD
        value = 10 * value + (p[place] - 48)
    if c.code == 73:
        most = 0 if minus else 0xFFFFFFFF
    else:
        most = (<uint64_t>1 << (8 * c.width - 1)) - (0 if minus else 1)
    if value > most:
        return BAD_FIELD
    if minus:
        value = <uint64_t>0 - value
    memcpy(c.values + row * c.width, &value, c.width)  # little-endian
    return MORE


cdef bint _is_float(const uint8_t* p, size_t size) noexcept nogil:
    """-?[0-9]{1,20}(\\.[0-9]{1,20})?(e[+-]?[0-9]{1,4})?"""
    cdef size_t place = 0
    cdef size_t count
    if place < size and p[place] == 45:
        place += 1
    count = place
    while place < size and _digit(p[place]):
        place += 1
    if place == count or place - count > 20:
        return False
    if place < size and p[place] == 46:
        place += 1
        count = place
        while place < size and _digit(p[place]):
            place += 1
        if place == count or place - count > 20:
            return False
    if place < size and p[place] == 101:
        place += 1
        if place < size and (p[place] == 43 or p[place] == 45):
            place += 1
        count = place
        while place < size and _digit(p[place]):
            place += 1
        if place == count or place - count > 4:
            return False
    return place == size


cdef bint _unending(const uint8_t* p, size_t size) noexcept nogil:
    return _is(p, size, b"NaN", 3) or _is(p, size, b"Infinity", 8) or _is(p, size, b"-Infinity", 9)


cdef Status _float_text(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef char text[64]
    cdef double wide
    cdef float narrow
    if _unending(p, size):
        wide = NAN if size == 3 else INFINITY if size == 8 else -INFINITY
        narrow = <float>wide
    else:
        if not _is_float(p, size):  # so it is at most 48 bytes
            return BAD_FIELD
        memcpy(text, p, size)
        text[size] = 0
        if c.code == 102:
            narrow = text_float(text, NULL)
            wide = narrow
        else:
            wide = text_double(text, NULL)
            narrow = 0
        if isinf(wide):
            return BAD_FIELD
    if c.code == 102:
        (<float*>c.values)[row] = narrow
    else:
        (<double*>c.values)[row] = wide
    return MORE


cdef Status _numeric_text(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    """-?[0-9]+(\\.[0-9]+)?, or NaN or an infinity"""
    cdef size_t place = 0
    cdef size_t first
    if not _unending(p, size):
        if size and p[0] == 45:
            place = 1
        first = place
        while place < size and _digit(p[place]):
            place += 1
        if place == first:
            return BAD_FIELD
        if place < size and p[place] == 46:
            place += 1
            first = place
            while place < size and _digit(p[place]):
                place += 1
            if place == first:
                return BAD_FIELD
        if place != size:
            return BAD_FIELD
    return _copy(c, row, p, size)


cdef inline int _hex(uint8_t byte) noexcept nogil:
    if _digit(byte):
        return byte - 48
    byte |= 32
    return byte - 87 if byte >= 97 and byte <= 102 else -1


cdef Status _bytea_text(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef uint8_t* into
    cdef size_t count, number
    cdef int high, low
    if size < 2 or size % 2 or p[0] != 92 or p[1] != 120:
        return BAD_FIELD
    count = size // 2 - 1
    into = _reserve(c, count)
    if into == NULL:
        return NO_MEMORY
    p += 2
    for number in range(count):
        high = _hex(p[2 * number])
        low = _hex(p[2 * number + 1])
        if high < 0 or low < 0:
            return BAD_FIELD
        into[number] = <uint8_t>(high << 4 | low)
    return _used(c, row, count)


cdef Status _uuid_text(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef uint8_t* into
    cdef int number, high, low
    cdef int place = 0
    if size != 36:
        return BAD_FIELD
    into = _reserve(c, 16)
    if into == NULL:
        return NO_MEMORY
    for number in range(16):
        if number == 4 or number == 6 or number == 8 or number == 10:
            if p[place] != 45:
                return BAD_FIELD
            place += 1
        high = _hex(p[place])
        low = _hex(p[place + 1])
        if high < 0 or low < 0:
            return BAD_FIELD
        into[number] = <uint8_t>(high << 4 | low)
        place += 2
    return _used(c, row, 16)


cdef Status _bits_text(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    cdef size_t count = (size + 7) // 8
    cdef size_t number, place
    cdef uint8_t* into = _reserve(c, count)
    if into == NULL:
        return NO_MEMORY
    memset(into, 0, count)
    for number in range(size):
        if p[number] != 48 and p[number] != 49:
            return BAD_FIELD
        place = size - 1 - number  # counted from the right
        into[count - 1 - place // 8] |= <uint8_t>((p[number] - 48) << (place % 8))
    return _used(c, row, count)


cdef Status _money_text(Column* c, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    """-?\\$[0-9]{1,3}(,[0-9]{3})*\\.[0-9]{2} without the sign of the currency and the commas"""
    cdef uint8_t* start = _reserve(c, size)
    cdef uint8_t* into = start
    cdef size_t place = 0
    cdef int count = 0
    cdef bint first = True
    if start == NULL:
        return NO_MEMORY
    if size and p[0] == 45:
        into[0] = 45
        into += 1
        place = 1
    if size - place < 5 or p[place] != 36:
        return BAD_FIELD
    place += 1
    while place < size and p[place] != 46:
        if p[place] == 44:
            if count == 0 or (count != 3 and not first):
                return BAD_FIELD
            first = False
            count = 0
        elif _digit(p[place]) and count < 3:
            into[0] = p[place]
            into += 1
            count += 1
        else:
            return BAD_FIELD
        place += 1
    if count == 0 or (count != 3 and not first):
        return BAD_FIELD
    if size - place != 3 or not _digit(p[place + 1]) or not _digit(p[place + 2]):
        return BAD_FIELD
    memcpy(into, p + place, 3)
    return _used(c, row, into + 3 - start)


include "pgoutput_times.pxi"
include "pgoutput_arrays.pxi"
