# Days and dates of the proleptic Gregorian calendar. Part of mysqlload.pyx and pgcopy.pyx.

cdef extern from *:
    """
    typedef struct { int64_t year; int month, day; } Civil;
    /* The date of a day since 1970-01-01; Howard Hinnant, "civil_from_days": counted from the 1st of March of the
       year 0, in eras of 400 years. */
    static inline Civil civil_from_days(int64_t days) {
        int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
        unsigned doe = (unsigned) (z - era * 146097);
        unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
        unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        unsigned mp = (5 * doy + 2) / 153;
        Civil date;
        date.month = (int) (mp < 10 ? mp + 3 : mp - 9);
        date.day = (int) (doy - (153 * mp + 2) / 5 + 1);
        date.year = (int64_t) yoe + era * 400 + (date.month <= 2);
        return date;
    }
    static inline uint8_t *put_two(uint8_t *p, int value) {
        memcpy(p, digit_pairs + 2 * value, 2);
        return p + 2;
    }
    /* .ffffff unless it is nothing */
    static inline uint8_t *put_fraction(uint8_t *p, int micros) {
        if (!micros) return p;
        *p++ = 46;
        p = put_two(p, micros / 10000);
        p = put_two(p, micros / 100 % 100);
        return put_two(p, micros % 100);
    }
    """
    ctypedef struct Civil:
        int64_t year
        int month
        int day
    Civil civil_from_days(int64_t days) nogil
    uint8_t *put_two(uint8_t *p, int value) nogil
    uint8_t *put_fraction(uint8_t *p, int micros) nogil
