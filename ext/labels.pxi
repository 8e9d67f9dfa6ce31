# The labels of an enum or a set. Part of mysqlload.pyx and pgcopy.pyx.


cdef inline uint64_t _hash(const uint8_t *text, int64_t length) noexcept nogil:
    """FNV-1a."""
    cdef uint64_t value = 0xCBF29CE484222325ULL
    cdef int64_t at
    for at in range(length):
        value = (value ^ text[at]) * <uint64_t> 0x100000001B3
    return value ^ (value >> 32)


cdef _index(Field *field, int64_t size):
    """Open addressing over the labels, at most half full."""
    cdef uint64_t slots = 16
    cdef uint64_t slot
    cdef int64_t at = 0
    cdef int32_t length
    while slots < 2 * <uint64_t> field.label_count:
        slots *= 2
    field.buckets = <int32_t *> calloc(slots, sizeof(int32_t))
    if field.buckets == NULL:
        raise MemoryError
    field.bucket_mask = slots - 1
    while at < size:
        memcpy(&length, field.labels + at, 4)
        slot = _hash(field.labels + at + 4, length) & field.bucket_mask
        while field.buckets[slot]:
            slot = (slot + 1) & field.bucket_mask
        field.buckets[slot] = <int32_t> (at + 1)
        at += 4 + length


cdef int _is_label(Field *field, const uint8_t *text, int64_t length) noexcept nogil:
    cdef uint64_t slot = _hash(text, length) & field.bucket_mask
    cdef const uint8_t *label
    cdef int32_t size
    while field.buckets[slot]:
        label = field.labels + field.buckets[slot] - 1
        memcpy(&size, label, 4)
        if size == length and memcmp(label + 4, text, length) == 0:
            return 1
        slot = (slot + 1) & field.bucket_mask
    return 0
