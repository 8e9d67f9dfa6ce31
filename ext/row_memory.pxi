# The buffer that rows are written into. Part of mysqlload.pyx and pgcopy.pyx.

cdef enum:
    KEEP = 64 << 20  # a buffer grown past this by a giant batch is given back


cdef struct Out:
    uint8_t *data
    size_t used
    size_t size


cdef class Memory:
    """Owns what was written: as long as a view of it lives, so do the bytes."""

    cdef Out out
    cdef Py_ssize_t views

    def __dealloc__(self):
        free(self.out.data)

    def __getbuffer__(self, Py_buffer *view, int flags):
        cdef char *data = <char *> self.out.data
        if data == NULL:
            data = <char *> b""
        PyBuffer_FillInfo(view, self, data, <Py_ssize_t> self.out.used, 1, flags)
        self.views += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.views -= 1


cdef extern from "Python.h":
    int PyBuffer_FillInfo(
        Py_buffer *view, object exporter, void *data, Py_ssize_t length, int readonly, int flags
    ) except -1


cdef void _emptied(Out *out) noexcept nogil:
    """Written anew; what a giant batch grew is given back as soon as the next one begins."""
    if out.size > KEEP:
        free(out.data)
        out.data = NULL
        out.size = 0
    out.used = 0


cdef inline int _room(Out *out, size_t more) noexcept nogil:
    """Make room for `more` bytes; false without memory."""
    if out.used + more <= out.size:
        return 1
    return _grow(out, more)


cdef int _grow(Out *out, size_t more) noexcept nogil:
    cdef size_t wanted = out.size if out.size else 1 << 20
    cdef uint8_t *grown
    while wanted < out.used + more and wanted < KEEP:
        wanted *= 2
    if wanted < out.used + more:
        wanted = out.used + more + (out.used + more) // 8
    grown = <uint8_t *> realloc(out.data, wanted)
    if grown == NULL:
        return 0
    out.data = grown
    out.size = wanted
    return 1
