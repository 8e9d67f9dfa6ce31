# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False, embedsignature=True
# distutils: extra_compile_args = -O3 -fno-strict-aliasing
# distutils: libraries = pq
"""Messages of PostgreSQL's logical replication (pgoutput) → Arrow record batches, in C without the GIL.

The payloads of CopyData messages come either by `feed` or by `receive`, which takes them from libpq itself, as
many as there are. Begin, Commit and the row changes are decoded here; the rare rest by ext/pgoutputevents.py.
Layouts: PostgreSQL documentation, "Streaming Replication Protocol", "Logical Replication Message Formats". The
plain twin is ext/plain/pgoutput.py.
"""

import sys
from dataclasses import replace

import pyarrow as pa

from ext.pgoutputevents import (
    BARRIERS,
    Event,
    Prepared,
    ProtocolError,
    Relation,
    StreamAbort,
    StreamCommit,
    StreamStart,
    StreamStop,
    TypeName,
    parse_event,
)
from ext.pgoutputspec import COMMITS, LARGEST_BATCH, META, Changes, Form, Taken
from ext.pgreadspec import EPOCH_DAYS, EPOCH_MICROS, OFFSETS32_LIMIT, ConnectionCut, moment_text
from ext.rowerror import RowError

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

__all__ = ["ChangeDecoder"]

if sys.byteorder != "little":
    raise ImportError("ext.pgoutput makes little-endian values; use ext.plain.pgoutput here")

# Declared here, so that libpq's headers need not be where the compiler looks; see pgread.pyx.
cdef extern from * nogil:
    """
    typedef struct pg_conn PGconn;
    extern int PQgetCopyData(PGconn *conn, char **buffer, int async);
    extern int PQconsumeInput(PGconn *conn);
    extern void PQfreemem(void *ptr);
    extern int PQlibVersion(void);
    """
    ctypedef struct PGconn:
        pass
    int PQgetCopyData(PGconn* conn, char** buffer, int asynchronous)
    int PQconsumeInput(PGconn* conn)
    void PQfreemem(void* memory)
    int PQlibVersion()

cdef extern from * nogil:
    uint16_t bswap16 "__builtin_bswap16"(uint16_t)
    uint32_t bswap32 "__builtin_bswap32"(uint32_t)
    uint64_t bswap64 "__builtin_bswap64"(uint64_t)

cdef enum:
    NUMBER = 1
    BOOL = 2
    TEXT = 3
    BYTEA = 4
    UUID = 5
    DATE = 6
    MOMENT = 7
    TIME = 8
    INTERVAL = 9
    NUMERIC = 10
    BITS = 11
    MONEY = 12
    CHAR = 13
    JSONB = 14
    ARRAY = 15
    NUMBERS = 16
    BOOLS = 17

cdef enum Status:
    MORE = 0  # the message was used up
    FULL = 1  # a batch is ready
    OTHER = 2  # a message for Python
    REPLY = 3  # the server asks for a reply
    EMPTY = 4  # no message is there now
    COPY_DONE = 5
    COPY_CUT = 6
    NO_MEMORY = 7
    BAD_VALUE = 8  # cannot go; see bad_column
    BAD_FIELD = 9
    BAD_FRAME = 10
    CUT_SHORT = 11
    BEHIND = 12  # bytes behind a message
    NESTED = 13
    NO_TRANSACTION = 14
    NO_RELATION = 15
    BAD_COUNT = 16
    BAD_KIND = 17

_SAID = {
    BAD_FRAME: "neither a message nor a keepalive",
    CUT_SHORT: "a message that is cut short",
    BEHIND: "bytes behind a message",
    NESTED: "a transaction begins inside another",
    NO_TRANSACTION: "a change or a commit outside of a transaction",
    NO_RELATION: "a change of a relation that was not announced",
    BAD_COUNT: "a tuple of another number of columns than was announced",
    BAD_KIND: "a tuple or a field of an unknown kind",
}

cdef int64_t DAYS_APART = EPOCH_DAYS
cdef int64_t MICROS_APART = EPOCH_MICROS
cdef int64_t MICROS_OF_DAY = 86400000000
cdef int64_t MOST = 0x7FFFFFFFFFFFFFFF
cdef int64_t LEAST = <int64_t>(<uint64_t>1 << 63)
cdef size_t OFFSETS32 = OFFSETS32_LIMIT


cdef inline uint16_t _u16(const uint8_t* p) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, p, 2)
    return bswap16(value)


cdef inline uint32_t _u32(const uint8_t* p) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, p, 4)
    return bswap32(value)


cdef inline uint64_t _u64(const uint8_t* p) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, p, 8)
    return bswap64(value)


include "pgoutput_memory.pxi"
include "pgoutput_sent.pxi"
include "pgoutput_printed.pxi"
include "pgoutput_tables.pxi"

_shared_libpq = None


cdef object _pointer(object pgconn):
    """The address of the PGconn, 0 where its functions are not those this module is linked with."""
    global _shared_libpq
    if _shared_libpq is None:
        from psycopg import pq
        _shared_libpq = pq.__impl__ in ("c", "python") and pq.version() == PQlibVersion()
    if not _shared_libpq:
        return 0
    pointer = pgconn.pgconn_ptr
    if pointer is None:
        raise ConnectionCut("the connection is closed")
    return pointer


cdef class ChangeDecoder:
    """Decodes what START_REPLICATION … LOGICAL sends with pgoutput, protocol 1 to 4.

    resolve: how the columns of a Relation are decoded, a ChangeField each; None leaves out its changes. Called
    for every new or changed relation, with the GIL. A batch ends with the row that takes it to `batch_rows` rows
    or its messages to `batch_bytes`, and with every barrier.
    """

    cdef object resolve
    cdef int64_t batch_rows
    cdef size_t batch_bytes
    cdef object pending  # payloads fed, last first
    cdef char* message  # of libpq, being decoded
    cdef dict types
    cdef dict tables
    cdef list retired
    cdef list events
    cdef dict streams
    cdef Table** known  # sorted by oid
    cdef int known_count
    cdef int last
    cdef Commit* commits
    cdef int64_t commit_count
    cdef int64_t commit_room
    cdef int64_t rows
    cdef size_t used
    cdef bint open
    cdef uint32_t xid
    cdef uint64_t commit_lsn
    cdef int64_t committed_at
    cdef int64_t ordinal
    cdef uint64_t lsn
    cdef bint broken
    cdef uint32_t rows_stream
    cdef Table* failed
    cdef int bad_column
    cdef bint bad_text
    cdef const uint8_t* bad_value
    cdef size_t bad_size
    cdef const uint8_t* other
    cdef size_t other_size
    cdef readonly uint32_t stream
    cdef readonly int64_t sequence
    cdef readonly uint64_t wal_end
    cdef readonly int64_t server_time
    cdef public bint reply_requested
    cdef readonly bint ended
    cdef readonly object failed_relation

    def __cinit__(self):
        self.message = NULL
        self.known = NULL
        self.commits = NULL

    def __init__(self, resolve, batch_rows=65536, batch_bytes=8 << 20):
        if batch_rows < 1 or batch_bytes < 1:
            raise ValueError("batch_rows and batch_bytes are at least 1")
        if self.tables is not None:
            raise RuntimeError("a decoder is initialised once")
        self.resolve = resolve
        self.batch_rows = batch_rows
        self.batch_bytes = min(batch_bytes, LARGEST_BATCH)
        self.pending = []
        self.types = {}
        self.tables = {}
        self.retired = []
        self.events = []
        self.streams = {}
        self.failed_relation = None

    def __dealloc__(self):
        free(self.known)
        free(self.commits)
        if self.message != NULL:
            PQfreemem(self.message)

    @property
    def in_transaction(self):
        """A transaction is open that has not ended, or a block of one that is streamed."""
        return self.open or self.stream != 0

    def feed(self, data):
        """Put the payload of one CopyData message behind those not decoded yet."""
        self.pending.append(bytes(data))

    def take(self):
        """What can be taken: all that was fed, or up to the end of a batch; None when there is nothing.

        Raises ProtocolError, or RowError for a value that cannot go; `failed_relation` is then the relation.
        After either the decoder is of no use.
        """
        cdef const uint8_t[::1] view
        cdef Status status = MORE
        cdef bint barrier = False
        cdef size_t place = 0
        cdef size_t count = len(self.pending)
        self._sound()
        while place < count and not barrier and not self._full():
            payload = self.pending[place]
            place += 1
            if len(payload) == 0:
                self._fail(BAD_FRAME)
            view = payload
            status = self._frame(&view[0], len(payload))
            if status == OTHER:
                barrier = self._event()
            elif status != MORE and status != REPLY:
                self._fail(status)
        del self.pending[:place]
        taken = self._taken()
        self.broken = False
        return taken

    def receive(self, pgconn):
        """What libpq has now, up to the end of a batch, without waiting; None when there is nothing.

        Returns early when the server asks for a reply (`reply_requested`, to be reset by the caller). `ended`:
        the server ended the COPY, the result of the statement says why. Raises as `take`, and ConnectionCut.
        """
        cdef Status status = MORE
        cdef bint barrier = False
        cdef PGconn* conn
        cdef uint64_t address = _pointer(pgconn)
        if not address:
            return self._receive_slowly(pgconn)
        conn = <PGconn*>address
        self._sound()
        while not barrier and not self.ended:
            with nogil:
                status = self._pump(conn)
            if status == OTHER:
                barrier = self._event()
                continue
            if status == COPY_DONE:
                self.ended = True
            elif status != FULL and status != EMPTY and status != REPLY:
                self._fail(status)
            break
        taken = self._taken()
        self.broken = False
        return taken

    def _receive_slowly(self, pgconn):
        """Through psycopg, where its libpq is another one."""
        while True:
            taken = self.take()
            if taken is not None or self.ended:
                return taken
            size, data = pgconn.get_copy_data(1)
            if size == 0:
                pgconn.consume_input()
                size, data = pgconn.get_copy_data(1)
            if size > 0:
                self.feed(data)
                if not self.reply_requested:
                    continue
            self.ended = size < 0
            return None

    cdef int _sound(self) except -1:
        if self.broken:
            raise ProtocolError("the messages failed before")
        self.broken = True  # unless all goes well
        return 0

    cdef int _fail(self, Status status) except -1:
        if self.failed != NULL:
            for relation in [*self.tables.values(), *self.retired]:
                if &(<_Relation>relation).table == self.failed:
                    self.failed_relation = (<_Relation>relation).relation
                    spec = (<_Relation>relation).fields
        if status == BAD_VALUE:
            value = self.bad_value[:self.bad_size]
            shown = value.decode() if self.bad_text else moment_text(<int64_t>_u64(self.bad_value))
            raise RowError(self.bad_column, self.failed.rows.rows, "out-of-range", shown)
        if status == BAD_FIELD:
            raise ProtocolError(f"a field of column {self.bad_column} is no {spec[self.bad_column].form.name}")
        if status == COPY_CUT:
            raise ConnectionCut("the connection was lost while the log was read")
        if status == NO_MEMORY:
            raise MemoryError
        raise ProtocolError(_SAID[status])

    cdef inline bint _full(self) noexcept nogil:
        return self.rows >= self.batch_rows or self.used >= self.batch_bytes

    cdef Status _pump(self, PGconn* conn) noexcept nogil:
        """Messages from libpq until a batch is full or something is to be done."""
        cdef Status status
        cdef int size
        while True:
            if self.message != NULL:
                PQfreemem(self.message)
                self.message = NULL
            if self._full():
                return FULL
            size = PQgetCopyData(conn, &self.message, 1)
            if size == 0:
                status = MORE if PQconsumeInput(conn) else COPY_CUT
                size = PQgetCopyData(conn, &self.message, 1)
                if size == 0:
                    return EMPTY if status == MORE else COPY_CUT
            if size == -1:
                return COPY_DONE
            if size < 0:
                return COPY_CUT
            status = self._frame(<const uint8_t*>self.message, size)
            if status != MORE:
                return status

    # ------------------------------------------------------------ what was decoded

    cdef object _taken(self):
        cdef _Relation relation
        changes = []
        for relation in [*self.retired, *self.tables.values()]:
            if relation.table.rows.rows:
                changes.append(relation.changes(self.rows_stream))
        self.retired = []
        self.rows = 0
        self.used = 0
        events, self.events = tuple(self.events), []
        if not changes and not events and not self.commit_count:
            return None
        return Taken(tuple(changes), self._commits(), events)

    cdef object _commits(self):
        cdef int64_t number
        cdef int64_t count = self.commit_count
        columns = [[], [], [], [], [], []]
        for number in range(count):
            columns[0].append(self.commits[number].sequence)
            columns[1].append(self.commits[number].xid)
            columns[2].append(self.commits[number].commit_lsn)
            columns[3].append(self.commits[number].end_lsn)
            columns[4].append(self.commits[number].committed_at)
            columns[5].append(self.commits[number].changes)
        self.commit_count = 0
        arrays = [
            pa.array(values, pa.int64()).view(kind) if pa.types.is_timestamp(kind) else pa.array(values, kind)
            for values, kind in zip(columns, COMMITS.types)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=COMMITS)

    # ------------------------------------------------------------ rare messages

    cdef bint _event(self) except -1:
        """True after a barrier."""
        body = parse_event(self.other[:self.other_size], self.stream)
        barrier = isinstance(body, BARRIERS)
        if isinstance(body, TypeName):
            self.types[body.oid] = (body.schema, body.name)
        elif isinstance(body, Relation):
            oids = {column.type_oid for column in body.columns}
            types = {oid: name for oid, name in self.types.items() if oid in oids}
            body = replace(body, types=types)
            known = self.tables.get(body.oid)
            if known is not None:
                before = (<_Relation>known).relation
                if before == body and before.types == types:
                    return False
            self.events.append(Event(self.sequence, self.lsn, body))
            self._know(body)
            return known is not None
        elif isinstance(body, StreamStart):
            if self.open:
                self._fail(NESTED)
            self.stream = body.xid
            self.commit_lsn = 0
            self.committed_at = 0
            self.ordinal = self.streams.get(body.xid, 0)
        elif isinstance(body, StreamStop):
            self.streams[body.xid] = self.ordinal
            self.stream = 0
        elif isinstance(body, StreamCommit) or (isinstance(body, StreamAbort) and body.xid == body.subxid):
            self.streams.pop(body.xid, None)
        elif isinstance(body, Prepared):
            self._prepared(body)
        self.events.append(Event(self.sequence, self.lsn, body))
        return barrier

    cdef int _prepared(self, body) except -1:
        if body.kind == "begin":
            if self.open or self.stream:
                self._fail(NESTED)
            self.xid = body.xid
            self.commit_lsn = body.lsn
            self.committed_at = body.at
            self.open = True
            self.ordinal = 0
        elif body.kind == "prepare":
            if not self.open:
                self._fail(NO_TRANSACTION)
            self.open = False
        elif body.kind == "stream":
            self.streams.pop(body.xid, None)
        return 0

    cdef int _know(self, relation) except -1:
        cdef _Relation made = _Relation(relation, self.resolve(relation))
        cdef _Relation member
        cdef int place
        cdef void* memory
        known = self.tables.get(relation.oid)
        if known is not None and (<_Relation>known).table.rows.rows:
            self.retired.append(known)
        self.tables[relation.oid] = made
        memory = realloc(self.known, len(self.tables) * sizeof(Table*))
        if memory == NULL:
            raise MemoryError
        self.known = <Table**>memory
        self.known_count = self.last = 0
        for place, oid in enumerate(sorted(self.tables)):
            member = self.tables[oid]
            self.known[place] = &member.table
            self.known_count = place + 1
        return 0

    cdef Table* _find(self, uint32_t oid) noexcept nogil:
        cdef int low = 0
        cdef int high = self.known_count
        cdef int middle
        if self.last < high and self.known[self.last].oid == oid:
            return self.known[self.last]
        while low < high:
            middle = (low + high) // 2
            if self.known[middle].oid < oid:
                low = middle + 1
            else:
                high = middle
        if low == self.known_count or self.known[low].oid != oid:
            return NULL
        self.last = low
        return self.known[low]

    # ------------------------------------------------------------ one message

    cdef Status _frame(self, const uint8_t* p, size_t size) noexcept nogil:
        """A payload of CopyData: a keepalive, or a message of the log in XLogData."""
        cdef uint64_t end
        if size < 1:
            return BAD_FRAME
        if p[0] == 107:  # k: end of the log, time, whether to reply
            if size < 18:
                return CUT_SHORT
            if size > 18:
                return BEHIND
            if p[17] > 1:
                return BAD_FRAME
            end = _u64(p + 1)
            if end > self.wal_end:
                self.wal_end = end
            self.server_time = <int64_t>(_u64(p + 9) + <uint64_t>MICROS_APART)
            if p[17] == 1:
                self.reply_requested = True
                return REPLY
            return MORE
        if p[0] != 119:
            return BAD_FRAME
        if size < 25:  # w: start and end of the log, time
            return CUT_SHORT
        self.lsn = _u64(p + 1)
        end = _u64(p + 9)
        if end > self.wal_end:
            self.wal_end = end
        self.server_time = <int64_t>(_u64(p + 17) + <uint64_t>MICROS_APART)
        self.sequence += 1
        self.used += size - 25
        p += 25
        size -= 25
        if size:
            if p[0] == 73 or p[0] == 85 or p[0] == 68:
                return self._change(p[0], p + 1, p + size)
            if p[0] == 66:
                return self._begin(p + 1, size - 1)
            if p[0] == 67:
                return self._commit(p + 1, size - 1)
        self.other = p
        self.other_size = size
        return OTHER

    cdef Status _begin(self, const uint8_t* p, size_t size) noexcept nogil:
        if self.open or self.stream:
            return NESTED
        if size != 20:
            return CUT_SHORT if size < 20 else BEHIND
        self.commit_lsn = _u64(p)
        self.committed_at = <int64_t>(_u64(p + 8) + <uint64_t>MICROS_APART)
        self.xid = _u32(p + 16)
        self.open = True
        self.ordinal = 0
        return MORE

    cdef Status _commit(self, const uint8_t* p, size_t size) noexcept nogil:
        cdef Commit* commit
        cdef int64_t room
        if not self.open:
            return NO_TRANSACTION
        if size != 25:
            return CUT_SHORT if size < 25 else BEHIND
        if self.commit_count == self.commit_room:
            room = 2 * self.commit_room if self.commit_room else FIRST_ROWS
            if not _more(<void**>&self.commits, room * sizeof(Commit)):
                return NO_MEMORY
            self.commit_room = room
        commit = &self.commits[self.commit_count]
        commit.sequence = self.sequence
        commit.xid = self.xid
        commit.commit_lsn = _u64(p + 1)
        commit.end_lsn = _u64(p + 9)
        commit.committed_at = <int64_t>(_u64(p + 17) + <uint64_t>MICROS_APART)
        commit.changes = self.ordinal
        self.commit_count += 1
        self.open = False
        return MORE

    cdef Status _change(self, uint8_t op, const uint8_t* p, const uint8_t* end) noexcept nogil:
        cdef Table* table
        cdef uint32_t xid = self.xid
        cdef uint8_t old = 0
        cdef int64_t row
        cdef Status status
        if not self.open and not self.stream:
            return NO_TRANSACTION
        if self.stream:
            if end - p < 4:
                return CUT_SHORT
            xid = _u32(p)
            p += 4
        if end - p < 4:
            return CUT_SHORT
        table = self._find(_u32(p))
        p += 4
        if table == NULL:
            return NO_RELATION
        self.failed = table
        if not table.ignored and table.rows.rows == table.space:
            if not _grow_table(table):
                return NO_MEMORY
        if p == end:
            return CUT_SHORT
        if op != 73 and (p[0] == 75 or p[0] == 79):
            old = p[0]
            p += 1
            if op == 85:
                status = self._tuple(table, &table.old, &p, end, old == 75)
                if status != MORE:
                    return status
                if p == end:
                    return CUT_SHORT
        if op == 68:
            if not old:
                return BAD_KIND
        else:
            if p[0] != 78:
                return BAD_KIND
            p += 1
        status = self._tuple(table, &table.rows, &p, end, op == 68 and old == 75)
        if status != MORE:
            return status
        if p != end:
            return BEHIND
        self.failed = NULL
        self.ordinal += 1
        if table.ignored:
            return MORE
        row = table.rows.rows
        if op == 85 and old:
            if not _more(<void**>&table.old_rows, table.old.space * 8):
                return NO_MEMORY
            table.old_rows[table.old.rows] = row
            table.old.rows += 1
        table.sequence[row] = self.sequence
        table.ordinal[row] = self.ordinal - 1
        table.op[row] = op
        table.kind[row] = old
        table.xid[row] = xid
        table.lsn[row] = self.lsn
        table.commit_lsn[row] = self.commit_lsn
        table.committed_at[row] = self.committed_at
        table.rows.rows = row + 1
        self.rows += 1
        self.rows_stream = self.stream
        return MORE

    cdef Status _tuple(
        self, Table* table, Rows* rows, const uint8_t** place, const uint8_t* end, bint keys_only
    ) noexcept nogil:
        """One tuple into row `rows.rows`, which is not counted yet."""
        cdef const uint8_t* p = place[0]
        cdef int64_t row = rows.rows
        cdef Column* column
        cdef int number
        cdef int32_t length
        cdef uint8_t kind
        cdef Status status
        if end - p < 2:
            return CUT_SHORT
        if _u16(p) != table.count:
            return BAD_COUNT
        p += 2
        if not table.ignored and row == rows.space and not _grow_rows(rows):
            return NO_MEMORY
        for number in range(table.count):
            if p == end:
                return CUT_SHORT
            kind = p[0]
            p += 1
            length = 0
            if kind == 116 or kind == 98:
                if end - p < 4:
                    return CUT_SHORT
                length = <int32_t>_u32(p)
                p += 4
                if length < 0 or end - p < length:
                    return CUT_SHORT
            elif kind != 110 and kind != 117:
                return BAD_KIND
            if not table.ignored:
                column = &rows.columns[number]
                if kind == 117 or (keys_only and not table.keys[number]):
                    column.missing[row >> 3] |= 1 << (row & 7)
                    column.misses += 1
                    _no_value(column, row)
                elif kind == 110:
                    _no_value(column, row)
                else:
                    status = _printed(column, row, p, length) if kind == 116 else _sent(column, row, p, length)
                    if status != MORE:
                        self.bad_column = number
                        self.bad_text = kind == 116
                        self.bad_value = p
                        self.bad_size = length
                        return status
            p += length
        place[0] = p
        return MORE
