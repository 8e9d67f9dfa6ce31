# Part of pgcopy.pyx: bits, identifiers, addresses, arrays, geometry.

cdef int _bit(Out *out, Field *field, const uint8_t *value, int64_t length, size_t narrow) noexcept nogil:
    """bit_recv: int32 bits, then bytes filled from the left; the source's bytes are filled from the right."""
    cdef int64_t size = (field.bits + 7) // 8
    cdef int64_t number, from_value
    cdef int shift = <int> (size * 8 - field.bits)
    cdef uint16_t pair
    while length > size:
        if value[0]:
            return OUT_OF_RANGE
        value += 1
        length -= 1
    if length == size and shift and value[0] >> (8 - shift):
        return OUT_OF_RANGE
    if not _room(out, <size_t> size + narrow + 64):
        return NO_MEMORY
    _length(out, <uint32_t> (4 + size))
    put32(out.data + out.used, <uint32_t> field.bits)
    out.used += 4
    for number in range(size):
        from_value = number - (size - length)
        pair = <uint16_t> (value[from_value] << 8) if from_value >= 0 else 0
        if from_value >= -1 and from_value + 1 < length:
            pair |= value[from_value + 1]
        out.data[out.used + number] = <uint8_t> (<uint16_t> (pair << shift) >> 8)
    out.used += size
    return FINE


cdef int _bit_as_bool(Out *out, const uint8_t *value, int64_t length) noexcept nogil:
    """boolrecv: one byte. The source's bits are 0 or 1, whatever their number."""
    cdef int64_t number
    if not length:
        return BAD_LENGTH
    for number in range(length - 1):
        if value[number]:
            return NOT_BOOLEAN
    if value[length - 1] > 1:
        return NOT_BOOLEAN
    _bytes(out, value + length - 1, 1)
    return FINE


cdef int _uuid(Out *out, Field *field, const uint8_t *value, int64_t length) noexcept nogil:
    """uuid_recv: 16 bytes; or its text in lower case."""
    if length != 16:
        return BAD_LENGTH
    if field.kind == UUID:
        _bytes(out, value, 16)
        return FINE
    if field.chars and field.chars < 36:
        return TOO_LONG
    _length(out, 36)
    put_uuid(out.data + out.used, value)
    out.used += 36
    return FINE


cdef int _inet(Out *out, Field *field, const uint8_t *value, int64_t length) noexcept nogil:
    """inet_recv: family (2 is IPv4, 3 is IPv6), prefix bits, is_cidr, size, address; or the address's text."""
    cdef uint8_t text[46]
    cdef int written
    if length != 4 and length != 16:
        return BAD_LENGTH
    if field.kind == INET_TEXT:
        written = put_address(text, value, length)
        if field.chars and written > field.chars:
            return TOO_LONG
        _bytes(out, text, written)
        return FINE
    _length(out, <uint32_t> (4 + length))
    out.data[out.used] = 2 if length == 4 else 3
    out.data[out.used + 1] = <uint8_t> (length * 8)
    out.data[out.used + 2] = 0
    out.data[out.used + 3] = <uint8_t> length
    memcpy(out.data + out.used + 4, value, length)
    out.used += 4 + length
    return FINE


# ---------------------------------------------------------------- arrays


cdef inline void _array_head(Out *out, uint32_t element, uint32_t count) noexcept nogil:
    """array_recv: dimensions, has-nulls, element type, then size and lower bound of each dimension."""
    put32(out.data + out.used, 1 if count else 0)
    put32(out.data + out.used + 4, 0)
    put32(out.data + out.used + 8, element)
    out.used += 12
    if count:
        put32(out.data + out.used, count)
        put32(out.data + out.used + 4, 1)
        out.used += 8


cdef int _list(Out *out, Field *field, const uint8_t *text, int64_t length, size_t narrow) noexcept nogil:
    """Labels joined by commas → text[]; the empty text is the empty array."""
    cdef size_t head
    cdef int64_t count = 1 if length else 0
    cdef int64_t at, start = 0
    cdef int64_t bad = _clean(text, length, 0)
    if bad < length:
        return INVALID_UTF8 if text[bad] else NUL_BYTE
    for at in range(length):
        count += text[at] == 44
    if length + 4 * count > MAX_FIELD:
        return TOO_LARGE
    if not _room(out, <size_t> (length + 4 * count) + narrow + 64):
        return NO_MEMORY
    head = out.used
    out.used += 4
    _array_head(out, field.element, <uint32_t> count)
    for at in range(length + 1):
        if count and (at == length or text[at] == 44):
            _bytes(out, text + start, at - start)
            start = at + 1
    put32(out.data + head, <uint32_t> (out.used - head - 4))
    return FINE


cdef int _float4_array(Out *out, const uint8_t *value, int64_t length, size_t narrow) noexcept nogil:
    cdef int64_t count = length // 4
    cdef int64_t number
    cdef uint32_t word
    if length % 4:
        return BAD_LENGTH
    if count * 8 > MAX_FIELD:
        return TOO_LARGE
    if not _room(out, <size_t> count * 8 + narrow + 64):
        return NO_MEMORY
    _length(out, <uint32_t> ((20 if count else 12) + 8 * count))
    _array_head(out, 700, <uint32_t> count)
    for number in range(count):
        memcpy(&word, value + 4 * number, 4)
        _length(out, 4)
        put32(out.data + out.used, word)
        out.used += 4
    return FINE


# ---------------------------------------------------------------- geometry

cdef enum:
    DEEPEST = 200  # collections in one another


cdef int _ewkb(Out *out, const uint8_t *value, int64_t length) noexcept nogil:
    """MySQL's internal geometry (little-endian SRID, then WKB) → EWKB: with a SRID, the type word gets PostGIS'
    flag and the SRID follows it. Geometries inside a collection carry none."""
    cdef uint32_t srid, word
    if length < 9 or _geometry(value + 4, length - 4, 0, 0) != length - 4:
        return BAD_GEOMETRY
    memcpy(&srid, value, 4)
    if srid == 0:
        _bytes(out, value + 4, length - 4)
        return FINE
    memcpy(&word, value + 5, 4)
    word |= 0x20000000
    _length(out, <uint32_t> length)
    out.data[out.used] = 1
    memcpy(out.data + out.used + 1, &word, 4)
    memcpy(out.data + out.used + 5, &srid, 4)
    memcpy(out.data + out.used + 9, value + 9, length - 9)
    out.used += length
    return FINE


cdef int64_t _geometry(const uint8_t *wkb, int64_t left, uint32_t wanted, int depth) noexcept nogil:
    """Bytes of the little-endian WKB geometry at `wkb` (OGC 06-103r4, 8.2), -1 when it is none. `wanted` is its
    type, 0 for any."""
    cdef uint32_t kind, count, number, points
    cdef int64_t used = 9
    cdef int64_t part
    if left < 9 or wkb[0] != 1 or depth > DEEPEST:
        return -1
    memcpy(&kind, wkb + 1, 4)
    if kind < 1 or kind > 7 or (wanted and kind != wanted):
        return -1
    if kind == 1:
        return 21 if left >= 21 else -1
    memcpy(&count, wkb + 5, 4)
    if kind == 2:
        used += 16 * <int64_t> count
        return used if used <= left else -1
    for number in range(count):
        if kind == 3:
            if left - used < 4:
                return -1
            memcpy(&points, wkb + used, 4)
            part = 4 + 16 * <int64_t> points
        else:
            part = _geometry(wkb + used, left - used, 0 if kind == 7 else kind - 3, depth + 1)
        if part < 0 or part > left - used:
            return -1
        used += part
    return used
