# What the encoders of rows have in common. Part of mysqlload.pyx and pgcopy.pyx, which say how a column is
# prepared and a row is written, and the reason of each problem in _REASONS.


cdef class _RowEncoder:
    cdef Field *fields
    cdef Py_ssize_t count
    cdef Memory memory
    cdef Out scratch
    cdef object shown  # the view handed out last
    cdef list specs
    cdef list labels
    cdef readonly dict counters

    cdef int _begin(self, list specs) except -1:
        self.specs = specs
        self.count = len(specs)
        self.memory = Memory()
        self.counters = {}
        self.labels = []
        self.fields = <Field *> calloc(max(self.count, 1), sizeof(Field))
        if self.fields == NULL:
            raise MemoryError
        for number, spec in enumerate(specs):
            options = dict(spec.options)
            self._prepare(&self.fields[number], spec, options)
            self._label(&self.fields[number], spec, options)
            if options:
                raise ValueError(f"{spec.column}: unknown options {', '.join(sorted(options))}")
        return 0

    def __dealloc__(self):
        cdef Py_ssize_t number
        if self.fields != NULL:
            for number in range(self.count):
                free(self.fields[number].buckets)
            free(self.fields)
        free(self.scratch.data)

    cdef int _prepare(self, Field *field, spec, dict options) except -1:
        """Take what the column's encoder knows out of `options`."""
        raise NotImplementedError

    cdef int _label(self, Field *field, spec, dict options) except -1:
        cdef bytes packed
        encoded = [label.encode() for label in options.pop("labels", ())]
        field.label_count = len(encoded)
        if _of_sets(field.kind) and field.label_count > 64:
            raise ValueError(f"{spec.column}: a set of {field.label_count} labels")
        packed = b"".join(len(label).to_bytes(4, "little") + label for label in encoded)
        self.labels.append(packed)  # keeps the pointer alive
        field.labels = <const uint8_t *> <char *> packed
        if field.kind == TEXT and encoded:
            _index(field, len(packed))
        return 0

    cdef int _write(self, Out *out, Py_ssize_t rows, Py_ssize_t *row, Py_ssize_t *column) noexcept nogil:
        """Every row of the batch that `fields` point at, or the first problem and where it is."""
        return BROKEN

    def encode(self, batch):
        """The batch as rows. The view is released by the next call, which writes to the same memory (to other
        memory while a slice of the view is still held).

        Raises RowError for the first value (in row order) that the column cannot hold, ValueError when the
        batch does not have the shape of the specs.
        """
        cdef Py_ssize_t rows = batch.num_rows
        cdef Py_ssize_t row = 0
        cdef Py_ssize_t column = 0
        cdef int problem
        cdef Out *out
        if batch.num_columns != self.count:
            raise ValueError(f"{batch.num_columns} columns where {self.count} are encoded")
        arrays = [_laid_out(batch.column(number), spec) for number, spec in enumerate(self.specs)]
        for number, (array, form) in enumerate(arrays):
            _point(&self.fields[number], array, form)
            self.fields[number].changed_nul = self.fields[number].changed_invalid = 0
            self.fields[number].changed_nan = self.fields[number].changed_infinity = 0
        if self.shown is not None:
            self.shown.release()
            self.shown = None
        if self.memory.views:
            self.memory = Memory()
        out = &self.memory.out
        _emptied(out)
        _emptied(&self.scratch)
        with nogil:
            problem = self._write(out, rows, &row, &column)
        if problem == NO_MEMORY:
            raise MemoryError(f"no memory for {out.used} bytes of encoded rows")
        if problem == BROKEN:
            raise ValueError(f"{self.specs[column].column}: row {row} lies outside of the column's data")
        if problem:
            raise RowError(column, row, _REASONS[problem], printed(batch.column(column), row))
        self._count()
        self.shown = memoryview(self.memory)
        return self.shown

    cdef _count(self):
        cdef Field *field
        for number, spec in enumerate(self.specs):
            field = &self.fields[number]
            for policy, changed in (
                ("nulByte", field.changed_nul),
                ("invalidText", field.changed_invalid),
                ("nan", field.changed_nan),
                ("infinity", field.changed_infinity),
            ):
                if changed:
                    key = (spec.column, policy)
                    self.counters[key] = self.counters.get(key, 0) + changed
