# UUIDs and internet addresses as text. Part of mysqlload.pyx and pgcopy.pyx.

cdef extern from *:
    """
    #include <arpa/inet.h>
    static const char hex_digits[] = "0123456789abcdef";
    /* 16 bytes → 36 characters; returns the end. */
    static inline uint8_t *put_uuid(uint8_t *out, const uint8_t *value) {
        int at;
        for (at = 0; at < 16; at++) {
            if (at == 4 || at == 6 || at == 8 || at == 10) *out++ = 45;
            *out++ = hex_digits[value[at] >> 4];
            *out++ = hex_digits[value[at] & 15];
        }
        return out;
    }
    /* 4 or 16 bytes → at most 45 characters; returns how many. */
    static inline int put_address(uint8_t *out, const uint8_t *value, int64_t length) {
        char text[INET6_ADDRSTRLEN];
        if (!inet_ntop(length == 4 ? AF_INET : AF_INET6, value, text, sizeof text)) return 0;
        memcpy(out, text, strlen(text));
        return (int) strlen(text);
    }
    """
    const char *hex_digits
    uint8_t *put_uuid(uint8_t *out, const uint8_t *value) nogil
    int put_address(uint8_t *out, const uint8_t *value, int64_t length) nogil
