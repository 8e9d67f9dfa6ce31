# Decimals, labels and text of other character sets as UTF-8. Part of binlog.pyx.

cdef int* _GROUP_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4]
cdef uint32_t* _POWERS = [
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000
]


cdef inline void _digits(uint32_t value, int count, uint8_t* out) noexcept nogil:
    while count:
        count -= 1
        out[count] = 48 + value % 10
        value //= 10


cdef int _decimal_text(const uint8_t* p, int precision, int scale, int pad, uint8_t* out) noexcept nogil:
    """A stored decimal as text (decimal.cc, "decimal2bin"): groups of nine digits, big-endian, the first bit
    set for numbers from 0 on, every bit turned for those below. `out` holds 80 bytes. Returns how many were
    written, -1 for a group of more digits than it has."""
    cdef uint8_t digits[80]
    cdef bint negative = not p[0] & 0x80
    cdef uint32_t turn = 0xFFFFFFFF if negative else 0
    cdef int whole = precision - scale
    cdef int written = 0
    cdef int used = 0
    cdef int part = 0
    cdef int left, size, group, first
    cdef uint32_t value
    cdef int half, i
    for half in range(2):
        left = whole if half == 0 else scale
        while left:
            # the odd group is the first of the whole digits, and the last of the fraction
            group = (left % 9 or 9) if half == 0 else min(left, 9)
            size = _GROUP_BYTES[group]
            value = 0
            for i in range(size):
                value = (value << 8) | ((p[used + i] ^ (0x80 if used + i == 0 else 0) ^ turn) & 0xFF)
            if value >= _POWERS[group]:
                return -1
            _digits(value, group, digits + written)
            written += group
            used += size
            left -= group
    if negative:
        out[part] = 45
        part += 1
    first = 0
    if pad == 0:
        while first < whole and digits[first] == 48:
            first += 1
    if first == whole:
        out[part] = 48
        part += 1
    memcpy(out + part, digits + first, whole - first)
    part += whole - first
    if scale:
        out[part] = 46
        memcpy(out + part + 1, digits + whole, scale)
        part += 1 + scale
    return part


cdef Status _decimal(Column* column, int64_t row, const uint8_t* p) noexcept nogil:
    cdef uint8_t* out = _room(column, 80)
    cdef int size
    if out == NULL:
        return NO_MEMORY
    size = _decimal_text(p, column.precision, column.scale, column.pad, out)
    if size < 0:
        return BAD_ROW
    column.data_size += size
    _offset(column, row)
    return FINE


cdef inline int _utf8(uint32_t code, uint8_t* out) noexcept nogil:
    if code < 0x80:
        out[0] = <uint8_t>code
        return 1
    if code < 0x800:
        out[0] = 0xC0 | (code >> 6)
        out[1] = 0x80 | (code & 63)
        return 2
    if code < 0x10000:
        out[0] = 0xE0 | (code >> 12)
        out[1] = 0x80 | ((code >> 6) & 63)
        out[2] = 0x80 | (code & 63)
        return 3
    out[0] = 0xF0 | (code >> 18)
    out[1] = 0x80 | ((code >> 12) & 63)
    out[2] = 0x80 | ((code >> 6) & 63)
    out[3] = 0x80 | (code & 63)
    return 4


cdef Status _single(Column* column, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    """By the table of the set; an entry that is U+FFFD is no character either."""
    cdef uint8_t* out = _room(column, 3 * size)
    cdef uint8_t* start = out
    cdef size_t i
    cdef const Text* entry
    cdef bint lost = False
    if out == NULL:
        return NO_MEMORY
    for i in range(size):
        entry = &column.table[p[i]]
        if entry.size == 1:
            if entry.data[0] == 0 and p[i]:
                lost = True
                out[0] = 63
            else:
                out[0] = entry.data[0]
            out += 1
        elif entry.size == 2:
            out[0] = entry.data[0]
            out[1] = entry.data[1]
            out += 2
        else:
            out[0] = entry.data[0]
            out[1] = entry.data[1]
            out[2] = entry.data[2]
            lost = lost or (out[0] == 0xEF and out[1] == 0xBF and out[2] == 0xBD)
            out += 3
    if lost:
        if not column.replace:
            return BAD_VALUE
        column.touched += 1
    column.data_size += out - start
    _offset(column, row)
    return FINE


cdef Status _wide(Column* column, int64_t row, const uint8_t* p, size_t size) noexcept nogil:
    """1: UCS-2, 2: UTF-16, 3: UTF-16LE, 4: UTF-32"""
    cdef uint8_t* out = _room(column, 2 * size + 4)
    cdef uint8_t* start = out
    cdef const uint8_t* end = p + size
    cdef uint32_t code, low
    cdef bint lost = False
    cdef int unit = 4 if column.wide == 4 else 2
    if out == NULL:
        return NO_MEMORY
    while p < end:
        if end - p < unit:
            code = 0xFFFFFFFF
            p = end
        elif unit == 4:
            code = <uint32_t>_big(p, 4)
            p += 4
        else:
            code = <uint32_t>(_little(p, 2) if column.wide == 3 else _big(p, 2))
            p += 2
            if column.wide > 1 and 0xD800 <= code < 0xDC00 and end - p >= 2:
                low = <uint32_t>(_little(p, 2) if column.wide == 3 else _big(p, 2))
                if 0xDC00 <= low < 0xE000:
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                    p += 2
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            lost = True
            code = 63
        out += _utf8(code, out)
    if lost:
        if not column.replace:
            return BAD_VALUE
        column.touched += 1
    column.data_size += out - start
    _offset(column, row)
    return FINE


cdef Status _label(Column* column, int64_t row, const uint8_t* p) noexcept nogil:
    cdef uint64_t index = _little(p, column.size)
    if index >= <uint64_t>column.entries:
        return BAD_ROW
    if not _put(column, column.table[index].data, column.table[index].size):
        return NO_MEMORY
    _offset(column, row)
    return FINE


cdef Status _set_labels(Column* column, int64_t row, const uint8_t* p) noexcept nogil:
    cdef uint64_t mask = _little(p, column.size)
    cdef bint first = True
    cdef int bit
    if column.entries < 64 and mask >> column.entries:
        return BAD_ROW
    for bit in range(column.entries):
        if not (mask >> bit) & 1:
            continue
        if not first and not _put_byte(column, 44):
            return NO_MEMORY
        first = False
        if not _put(column, column.table[bit].data, column.table[bit].size):
            return NO_MEMORY
    _offset(column, row)
    return FINE
