# Where the values of an Arrow array lie ("Arrow Columnar Format: Physical Layouts"). Part of mysqlload.pyx and
# pgcopy.pyx, which have a struct Field with what is pointed at here, the table _READS (encoder → the forms it
# reads) and BROKEN among their problems.

cdef enum Form:  # how a value lies in memory
    NOTHING = 0  # Arrow's null type
    I8
    I16
    I32
    I64
    U8
    U16
    U32
    U64
    BITMAP
    F32
    F64
    DAYS
    MICROS
    SPAN
    PARTS  # a struct of months, days and microseconds
    DECIMAL_WORDS
    FIXED
    NEAR
    FAR

_INTEGER_FORMS = frozenset((I8, I16, I32, I64, U8, U16, U32, U64, BITMAP))
_BYTES_FORMS = frozenset((NEAR, FAR, FIXED))
_WHOLE = _INTEGER_FORMS | {DECIMAL_WORDS, NEAR, FAR}

INTERVAL_PARTS = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])

_FORMS = {
    pa.null(): NOTHING,
    pa.int8(): I8,
    pa.int16(): I16,
    pa.int32(): I32,
    pa.int64(): I64,
    pa.uint8(): U8,
    pa.uint16(): U16,
    pa.uint32(): U32,
    pa.uint64(): U64,
    pa.bool_(): BITMAP,
    pa.float32(): F32,
    pa.float64(): F64,
    pa.date32(): DAYS,
    pa.duration("us"): SPAN,
    INTERVAL_PARTS: PARTS,
    pa.string(): NEAR,
    pa.binary(): NEAR,
    pa.large_string(): FAR,
    pa.large_binary(): FAR,
}

_WIDTHS = {
    **dict.fromkeys((I8, U8), 1),
    **dict.fromkeys((I16, U16), 2),
    **dict.fromkeys((I32, U32, F32, DAYS), 4),
    **dict.fromkeys((I64, U64, F64, MICROS, SPAN), 8),
}


def _laid_out(array, spec):
    """The array and its form; converted first where it is stored in another way than the images are."""
    kind = array.type
    form = _FORMS.get(kind)
    if form is None:
        if pa.types.is_timestamp(kind):
            form = MICROS
            array = array if kind.unit == "us" else array.cast(pa.timestamp("us", kind.tz))
        elif pa.types.is_fixed_size_binary(kind):
            form = FIXED
        elif pa.types.is_decimal(kind):
            form = DECIMAL_WORDS
            array = array if kind.bit_width >= 128 else array.cast(pa.decimal128(38, kind.scale))
            if abs(kind.scale) > 100:
                raise ValueError(f"{spec.column}: a decimal of scale {kind.scale}")
        elif pa.types.is_dictionary(kind):
            return _laid_out(array.dictionary_decode(), spec)
        else:
            for wanted, test in _CONVERTED:
                if test(kind):
                    return _laid_out(array.cast(wanted), spec)
    if form is None or (form != NOTHING and form not in _READS[spec.encoder]):
        raise ValueError(f"{spec.column}: the encoder {spec.encoder} does not read {kind}")
    return array, form


_CONVERTED = (
    (pa.large_string(), lambda kind: kind == pa.string_view()),
    (pa.large_binary(), lambda kind: kind == pa.binary_view()),
    (pa.float32(), pa.types.is_float16),
    (pa.date32(), pa.types.is_date64),
    (pa.duration("us"), pa.types.is_duration),
)


cdef _point(Field *field, array, int form):
    """Where the array's values are. Buffers too short for its length are a ValueError."""
    cdef int64_t end = array.offset + len(array)
    if form == PARTS:
        _point_at_parts(field, array)
        return
    buffers = array.buffers()
    field.form = form
    field.first = array.offset
    field.valid = field.values = NULL
    field.near = NULL
    field.far = NULL
    field.values_size = 0
    if form == NOTHING:
        return
    if array.null_count and buffers[0] is not None:
        _holds(buffers[0], (end + 7) // 8)
        field.valid = <const uint8_t *> <uintptr_t> buffers[0].address
    data = buffers[len(buffers) - 1]
    if data is not None:
        field.values = <const uint8_t *> <uintptr_t> data.address
        field.values_size = data.size
    if not len(array):
        return
    if form == NEAR:
        _holds(buffers[1], 4 * (end + 1))
        field.near = <const int32_t *> <uintptr_t> buffers[1].address
    elif form == FAR:
        _holds(buffers[1], 8 * (end + 1))
        field.far = <const int64_t *> <uintptr_t> buffers[1].address
    elif form == BITMAP:
        _holds(data, (end + 7) // 8)
    else:
        if form == FIXED or form == DECIMAL_WORDS:
            field.width = array.type.byte_width
            field.decimal_scale = array.type.scale if form == DECIMAL_WORDS else 0
        else:
            field.width = _WIDTHS[form]
        if field.width:
            _holds(data, end * field.width)


cdef _point_at_parts(Field *field, array):
    """A struct's children begin where they like; a value that has no part of it there is a ValueError."""
    _point(field, array.field(0).slice(0, 0), I32)
    field.form = PARTS
    field.first = array.offset
    if array.null_count:
        validity = array.buffers()[0]
        _holds(validity, (array.offset + len(array) + 7) // 8)
        field.valid = <const uint8_t *> <uintptr_t> validity.address
    places = []
    for child, width in zip(array.flatten(), (4, 4, 8)):
        if child.null_count > array.null_count:
            raise ValueError("an interval without one of its parts")
        data = child.buffers()[1]
        if len(child):
            _holds(data, (child.offset + len(child)) * width)
        places.append(0 if data is None else data.address + child.offset * width)
    field.months = <const int32_t *> <uintptr_t> places[0]
    field.days = <const int32_t *> <uintptr_t> places[1]
    field.micros = <const int64_t *> <uintptr_t> places[2]


def _holds(buffer, size):
    if buffer is None or buffer.size < size:
        raise ValueError("an Arrow buffer is shorter than its array")


cdef inline int _is_null(const Field *field, int64_t bit) noexcept nogil:
    return field.form == NOTHING or (field.valid != NULL and not (field.valid[bit >> 3] >> (bit & 7)) & 1)


cdef inline int _value(const Field *field, int64_t at, const uint8_t **value, int64_t *length) noexcept nogil:
    """The bytes of a variable- or fixed-width value; BROKEN, with its length, where it lies outside of the data."""
    cdef int64_t start, size
    if field.form == NEAR:
        start = field.near[at]
        size = field.near[at + 1] - start
    elif field.form == FAR:
        start = field.far[at]
        size = field.far[at + 1] - start
    else:
        start = at * field.width
        size = field.width
    length[0] = size
    if start < 0 or size < 0 or start > field.values_size - size:
        return BROKEN
    value[0] = field.values + start
    return FINE


cdef inline uint64_t _magnitude(const Field *field, int64_t at, int *negative) noexcept nogil:
    """An integer of any width, as its absolute value and sign."""
    cdef int64_t number
    cdef int form = field.form
    if form == I64:
        number = (<const int64_t *> field.values)[at]
    elif form == I32:
        number = (<const int32_t *> field.values)[at]
    elif form == I16:
        number = (<const int16_t *> field.values)[at]
    elif form == I8:
        number = (<const int8_t *> field.values)[at]
    else:
        negative[0] = 0
        if form == U64:
            return (<const uint64_t *> field.values)[at]
        if form == U32:
            return (<const uint32_t *> field.values)[at]
        if form == U16:
            return (<const uint16_t *> field.values)[at]
        if form == U8:
            return field.values[at]
        return (field.values[at >> 3] >> (at & 7)) & 1
    negative[0] = number < 0
    return <uint64_t> number if number >= 0 else ~<uint64_t> number + 1
