# The keys of objects: each once, however many objects have it.

cdef struct Key:
    uint8_t* name
    size_t size
    uint32_t digest
    int column  # among those asked for, -1 for none
    bint raw
    uint64_t seen  # the object it was last seen in
    int64_t count
    int tokens


cdef class _Keys:
    cdef Key* _keys
    cdef int _key_count
    cdef int _key_room
    cdef int* _slots  # a hash table of places in _keys, -1 for free
    cdef int _slot_count
    cdef int* _order  # the keys of the last object, as they came
    cdef int* _found  # the keys of this one,
    cdef int* _tokens  # what their values are,
    cdef int _members  # and how many

    def __cinit__(self, *_, **__):
        self._key_room = FIRST_KEYS
        self._keys = <Key*>calloc(FIRST_KEYS, sizeof(Key))
        self._order = <int*>calloc(FIRST_KEYS, sizeof(int))
        self._found = <int*>calloc(FIRST_KEYS, sizeof(int))
        self._tokens = <int*>calloc(FIRST_KEYS, sizeof(int))
        self._slot_count = 4 * FIRST_KEYS
        self._slots = <int*>malloc(self._slot_count * sizeof(int))
        if not (self._keys and self._order and self._found and self._tokens and self._slots):
            raise MemoryError
        memset(self._slots, 0xFF, self._slot_count * sizeof(int))

    def __dealloc__(self):
        cdef int number
        for number in range(self._key_count):
            free(self._keys[number].name)
        free(self._keys)
        free(self._slots)
        free(self._order)
        free(self._found)
        free(self._tokens)

    def found(self):
        """Every key seen so far, in the order of its first appearance (those asked for before them), what its
        values were (null 1, string 2, number 4, true or false 8, nested 16), and how often it was there."""
        cdef int number
        cdef Key* key
        found = []
        for number in range(self._key_count):
            key = &self._keys[number]
            if key.count:
                found.append(((<const char*>key.name)[: key.size].decode(), key.tokens, key.count))
        return found

    cdef int _key(self, const uint8_t* name, size_t size, int place) noexcept nogil:
        """Its place in _keys, where it is put when it is new; -1 without memory. `place`: in its object, where
        the same key is looked for that stood there last time."""
        cdef uint32_t digest = 2166136261
        cdef size_t number
        cdef int slot
        cdef int key
        if 0 <= place < self._key_count:
            key = self._order[place]
            if key < self._key_count and self._same(key, name, size):
                return key
        for number in range(size):
            digest = (digest ^ name[number]) * 16777619
        slot = <int>(digest & <uint32_t>(self._slot_count - 1))
        while self._slots[slot] >= 0:
            key = self._slots[slot]
            if self._keys[key].digest == digest and self._same(key, name, size):
                return key
            slot = (slot + 1) & (self._slot_count - 1)
        return self._new_key(name, size, digest)

    cdef inline bint _same(self, int key, const uint8_t* name, size_t size) noexcept nogil:
        return self._keys[key].size == size and memcmp(self._keys[key].name, name, size) == 0

    cdef int _new_key(self, const uint8_t* name, size_t size, uint32_t digest) noexcept nogil:
        cdef Key* key
        cdef uint8_t* copy
        if self._key_count == self._key_room and not self._more_keys():
            return -1
        copy = <uint8_t*>malloc(size + 1)
        if copy == NULL:
            return -1
        memcpy(copy, name, size)
        key = &self._keys[self._key_count]
        key.name = copy
        key.size = size
        key.digest = digest
        key.column = -1
        key.raw = False
        key.seen = 0
        key.count = 0
        key.tokens = 0
        self._enter(self._key_count)
        self._key_count += 1
        return self._key_count - 1

    cdef void _enter(self, int key) noexcept nogil:
        cdef int slot = <int>(self._keys[key].digest & <uint32_t>(self._slot_count - 1))
        while self._slots[slot] >= 0:
            slot = (slot + 1) & (self._slot_count - 1)
        self._slots[slot] = key

    cdef bint _more_keys(self) noexcept nogil:
        """No object has more members than there are keys: one room for all."""
        cdef int room = 2 * self._key_room
        cdef void* made
        cdef int number
        made = realloc(self._keys, room * sizeof(Key))
        if made == NULL:
            return False
        self._keys = <Key*>made
        made = realloc(self._order, room * sizeof(int))
        if made == NULL:
            return False
        self._order = <int*>made
        memset(self._order + self._key_room, 0, self._key_room * sizeof(int))
        made = realloc(self._found, room * sizeof(int))
        if made == NULL:
            return False
        self._found = <int*>made
        made = realloc(self._tokens, room * sizeof(int))
        if made == NULL:
            return False
        self._tokens = <int*>made
        made = realloc(self._slots, 4 * room * sizeof(int))
        if made == NULL:
            return False
        self._slots = <int*>made
        self._key_room = room
        self._slot_count = 4 * room
        memset(self._slots, 0xFF, self._slot_count * sizeof(int))
        for number in range(self._key_count):
            self._enter(number)
        return True
