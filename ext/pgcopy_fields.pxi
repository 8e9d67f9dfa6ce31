# Part of pgcopy.pyx: fields in network byte order.

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline void put16(uint8_t *p, uint16_t v) { v = __builtin_bswap16(v); memcpy(p, &v, 2); }
    static inline void put32(uint8_t *p, uint32_t v) { v = __builtin_bswap32(v); memcpy(p, &v, 4); }
    static inline void put64(uint8_t *p, uint64_t v) { v = __builtin_bswap64(v); memcpy(p, &v, 8); }
    static inline void put_field64(uint8_t *p, uint64_t v) { put32(p, 8); put64(p + 4, v); }
    """
    void put16(uint8_t *p, uint16_t v) nogil
    void put32(uint8_t *p, uint32_t v) nogil
    void put64(uint8_t *p, uint64_t v) nogil
    void put_field64(uint8_t *p, uint64_t v) nogil  # length word and value


cdef inline void _length(Out *out, uint32_t length) noexcept nogil:
    put32(out.data + out.used, length)
    out.used += 4


cdef inline void _bytes(Out *out, const uint8_t *value, int64_t length) noexcept nogil:
    """A whole field; there is room for it."""
    _length(out, <uint32_t> length)
    if length:
        memcpy(out.data + out.used, value, length)
        out.used += length
