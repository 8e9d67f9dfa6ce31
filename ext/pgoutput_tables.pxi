# The relations that were announced, and their changes not taken yet. Part of pgoutput.pyx.


cdef struct Table:
    uint32_t oid
    bint ignored
    int count
    uint8_t* keys  # 1: the column is part of the replica identity
    Rows rows
    Rows old
    int64_t* old_rows
    int64_t space  # of what follows, one a row
    int64_t* sequence
    int64_t* ordinal
    uint8_t* op
    uint8_t* kind
    uint32_t* xid
    uint64_t* lsn
    uint64_t* commit_lsn
    int64_t* committed_at


cdef struct Commit:
    int64_t sequence
    uint32_t xid
    uint64_t commit_lsn
    uint64_t end_lsn
    int64_t committed_at
    int64_t changes


cdef class _Relation:
    """One relation. fields: how it is decoded; None when its changes are left out."""

    cdef Table table
    cdef object relation
    cdef object fields
    cdef object schema

    def __cinit__(self):
        memset(&self.table, 0, sizeof(Table))

    def __init__(self, relation, fields):
        cdef int number
        self.relation = relation
        self.table.oid = relation.oid
        self.table.count = len(relation.columns)
        self.table.ignored = fields is None
        self.table.keys = <uint8_t*>calloc(max(1, self.table.count), 1)
        if self.table.keys == NULL:
            raise MemoryError
        keys = [column.key for column in relation.columns]
        for number, key in enumerate(keys):
            self.table.keys[number] = key
        self.fields = tuple(fields or ())
        if fields is not None:
            if len(self.fields) != len(relation.columns):
                raise ValueError(f"{len(self.fields)} fields for {len(relation.columns)} columns")
            _columns(&self.table.rows, self.fields, keys)
            _columns(&self.table.old, self.fields, keys)
        self.schema = pa.schema([pa.field(spec.name, spec.arrow) for spec in self.fields])

    def __dealloc__(self):
        cdef Table* table = &self.table
        _free_columns(&table.rows)
        _free_columns(&table.old)
        free(table.keys)
        free(table.old_rows)
        free(table.sequence)
        free(table.ordinal)
        free(table.op)
        free(table.kind)
        free(table.xid)
        free(table.lsn)
        free(table.commit_lsn)
        free(table.committed_at)

    cdef object changes(self, uint32_t streamed):
        """What came since the last call."""
        cdef Table* table = &self.table
        cdef int64_t count = table.rows.rows
        cdef int64_t olds = table.old.rows
        memory = (
            _taken_buffer(<void**>&table.sequence, count * 8),
            _taken_buffer(<void**>&table.ordinal, count * 8),
            _taken_buffer(<void**>&table.op, count),
            _taken_buffer(<void**>&table.kind, count),
            _taken_buffer(<void**>&table.xid, count * 4),
            _taken_buffer(<void**>&table.lsn, count * 8),
            _taken_buffer(<void**>&table.commit_lsn, count * 8),
            _taken_buffer(<void**>&table.committed_at, count * 8),
        )
        table.space = 0
        meta = [
            pa.Array.from_buffers(kind, count, [None, part], null_count=0)
            for kind, part in zip(META.types, memory)
        ]
        old_rows = pa.Array.from_buffers(
            pa.int64(), olds, [None, _taken_buffer(<void**>&table.old_rows, olds * 8)], null_count=0
        )
        rows, missing = _batch(&table.rows, self.fields, self.schema)
        old, old_missing = _batch(&table.old, self.fields, self.schema)
        return Changes(
            self.relation,
            self.fields,
            pa.RecordBatch.from_arrays(meta, schema=META),
            rows,
            missing,
            old,
            old_rows,
            old_missing,
            streamed,
        )


cdef bint _grow_table(Table* table) noexcept nogil:
    cdef int64_t space = 2 * table.space if table.space else FIRST_ROWS
    if (
        not _more(<void**>&table.sequence, space * 8)
        or not _more(<void**>&table.ordinal, space * 8)
        or not _more(<void**>&table.op, space)
        or not _more(<void**>&table.kind, space)
        or not _more(<void**>&table.xid, space * 4)
        or not _more(<void**>&table.lsn, space * 8)
        or not _more(<void**>&table.commit_lsn, space * 8)
        or not _more(<void**>&table.committed_at, space * 8)
    ):
        return False
    table.space = space
    return True
