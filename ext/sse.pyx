"""The compiled twin of `nanocode/hot/sse.py`, which holds the contract."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_Append
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memchr, memcmp, memcpy

cimport cython

from nanocode.hot.sse import LIMIT, RETRY_DIGITS, not_bytes, too_large

ABI = 1

cdef Py_ssize_t SPARE = 64 << 10
cdef Py_ssize_t MOST_DIGITS = RETRY_DIGITS
cdef object MOST_BYTES = (<size_t>-1) >> 1


cdef struct Buffer:
    char *at
    Py_ssize_t size
    Py_ssize_t room


cdef int extend(Buffer *buffer, const char *at, Py_ssize_t size) except -1:
    # Doubling keeps the copies linear in the bytes held, however small the reads.
    cdef Py_ssize_t room = buffer.room
    cdef char *moved
    if size == 0:
        return 0
    if size > room - buffer.size:
        room = max(2 * room, buffer.size + size, 256)
        moved = <char *>PyMem_Realloc(buffer.at, room)
        if moved == NULL:
            raise MemoryError
        buffer.at = moved
        buffer.room = room
    memcpy(buffer.at + buffer.size, at, size)
    buffer.size += size
    return 0


cdef void empty(Buffer *buffer) noexcept:
    # One huge event must not keep its room for the rest of the stream.
    buffer.size = 0
    if buffer.room > SPARE:
        release(buffer)


cdef void release(Buffer *buffer) noexcept:
    PyMem_Free(buffer.at)
    buffer.at = NULL
    buffer.size = 0
    buffer.room = 0


cdef inline bint named(const char *line, Py_ssize_t size, const char *name, Py_ssize_t length) noexcept:
    return size == length and memcmp(line, name, length) == 0


cdef class SseDecoder:
    """See `nanocode.hot.sse.SseDecoder`."""

    cdef public str last_event_id
    cdef public object retry
    cdef Py_ssize_t limit, bom
    cdef bint spent, skip_lf
    cdef str event, id, name
    cdef bytes raw_name
    # The line being read; the data of an event that outlives a read, each value with its LF. The first value of
    # an event stays where it lies in the read (`first`), since most events begin and end within one.
    cdef Buffer line, data
    cdef const char *first
    cdef Py_ssize_t first_size

    def __cinit__(self):
        self.line = Buffer(NULL, 0, 0)
        self.data = Buffer(NULL, 0, 0)

    def __init__(self, limit=LIMIT):
        if limit < 1:
            raise ValueError(f"`limit` is `{limit}`; give at least 1 byte")
        self.limit = min(limit, MOST_BYTES)
        self.last_event_id = ""
        self.retry = None
        self.name = ""
        self.raw_name = b""
        self.restart()

    def __dealloc__(self):
        release(&self.line)
        release(&self.data)

    @cython.critical_section
    def feed(self, data):
        cdef list events = []
        cdef const char *at
        cdef const char *end
        if not PyBytes_Check(data):
            raise not_bytes(data)
        if self.spent:
            raise too_large(self.limit)
        at = PyBytes_AS_STRING(data)
        end = at + PyBytes_GET_SIZE(data)
        try:
            if self.bom >= 0:
                at = self.opened(at, end)
            self.lines(at, end, events)
        except BaseException:
            # `first` may point into this read, which is about to go.
            self.restart()
            self.spent = True
            raise
        return events

    @cython.critical_section
    def finish(self):
        cdef object block = None
        if self.line.size:
            self.field(self.line.at, self.line.size)
        if self.has_data():
            block = (self.event or "message", self.taken())
        self.restart()
        return block

    cdef int restart(self) except -1:
        self.spent = False
        self.bom = 0
        self.skip_lf = False
        self.event = ""
        self.id = self.last_event_id
        self.first = NULL
        empty(&self.line)
        empty(&self.data)
        return 0

    cdef const char *opened(self, const char *at, const char *end) except? NULL:
        # `bom` counts the bytes of a BOM seen so far and is -1 once the stream has begun; the bytes of one that
        # was not to be belong to the first line.
        cdef const char *mark = b"\xef\xbb\xbf"
        while at < end and self.bom < 3 and at[0] == mark[self.bom]:
            at += 1
            self.bom += 1
        if self.bom == 3:
            self.bom = -1
        elif at < end:
            extend(&self.line, mark, self.bom)
            self.bom = -1
        return at

    cdef int lines(self, const char *at, const char *end, list events) except -1:
        # Each kind of line end is searched once over the bytes, not once a line: both positions are kept.
        cdef const char *lf = NULL
        cdef const char *cr = NULL
        cdef const char *stop
        if self.skip_lf and at < end:
            self.skip_lf = False
            at += at[0] == b"\n"
        while at < end:
            if lf < at:
                lf = <const char *>memchr(at, b"\n", end - at)
                lf = end if lf == NULL else lf
            if cr < at:
                cr = <const char *>memchr(at, b"\r", end - at)
                cr = end if cr == NULL else cr
            stop = min(lf, cr)
            if stop == end:
                break
            self.line_ended(at, stop - at, events)
            at = stop + 1
            if stop == cr:
                if at == end:
                    self.skip_lf = True
                else:
                    at += at[0] == b"\n"
        return self.keep(at, end - at)

    cdef int keep(self, const char *tail, Py_ssize_t size) except -1:
        """Copy what a later read needs, before this one's bytes go away."""
        self.settle()
        extend(&self.line, tail, size)
        return self.guard(self.line.size)

    cdef int settle(self) except -1:
        if self.first != NULL:
            extend(&self.data, self.first, self.first_size)
            extend(&self.data, b"\n", 1)
            self.first = NULL
        return 0

    cdef int guard(self, Py_ssize_t line) except -1:
        cdef Py_ssize_t held = self.data.size if self.first == NULL else self.first_size + 1
        if line > self.limit - held:
            raise too_large(self.limit)
        return 0

    cdef int line_ended(self, const char *at, Py_ssize_t size, list events) except -1:
        if self.line.size:
            extend(&self.line, at, size)
            self.field(self.line.at, self.line.size)
            # A first value that lies in this buffer must leave it before it is used again.
            self.settle()
            empty(&self.line)
        elif size:
            self.field(at, size)
        else:
            if self.has_data():
                PyList_Append(events, (self.event or "message", self.taken()))
            self.event = ""
            self.last_event_id = self.id
        return 0

    cdef inline bint has_data(self) noexcept:
        return self.first != NULL or self.data.size > 0

    cdef bytes taken(self):
        cdef bytes value
        if self.first != NULL:
            value = PyBytes_FromStringAndSize(self.first, self.first_size)
            self.first = NULL
        else:
            value = PyBytes_FromStringAndSize(self.data.at, self.data.size - 1)
            empty(&self.data)
        return value

    cdef int field(self, const char *line, Py_ssize_t size) except -1:
        cdef const char *colon
        cdef const char *value
        cdef Py_ssize_t length
        self.guard(size)
        if size >= 5 and memcmp(line, b"data:", 5) == 0:
            colon = line + 4
        else:
            colon = <const char *>memchr(line, b":", size)
        if colon == NULL:
            value = line + size
            length = size
        else:
            value = colon + 1
            length = colon - line
            if value < line + size and value[0] == b" ":
                value += 1
        return self.assign(line, length, value, line + size - value)

    cdef int assign(self, const char *field, Py_ssize_t length, const char *value, Py_ssize_t size) except -1:
        if named(field, length, b"data", 4):
            self.add(value, size)
        elif named(field, length, b"event", 5):
            self.event = self.name_of(value, size)
        elif named(field, length, b"id", 2):
            if memchr(value, 0, size) == NULL:
                self.id = PyUnicode_DecodeUTF8(value, size, "replace")
        elif named(field, length, b"retry", 5):
            self.ask(value, size)
        return 0

    cdef int add(self, const char *value, Py_ssize_t size) except -1:
        if not self.has_data():
            self.first = value
            self.first_size = size
            return 0
        self.settle()
        extend(&self.data, value, size)
        return extend(&self.data, b"\n", 1)

    cdef str name_of(self, const char *value, Py_ssize_t size):
        # A stream repeats a few names; the last one is decoded once.
        if not named(value, size, PyBytes_AS_STRING(self.raw_name), PyBytes_GET_SIZE(self.raw_name)):
            self.name = PyUnicode_DecodeUTF8(value, size, "replace")
            self.raw_name = PyBytes_FromStringAndSize(value, size)
        return self.name

    cdef int ask(self, const char *value, Py_ssize_t size) except -1:
        cdef Py_ssize_t index
        cdef long long number = 0
        if not 0 < size <= MOST_DIGITS:
            return 0
        for index in range(size):
            if not b"0" <= value[index] <= b"9":
                return 0
            number = 10 * number + (value[index] - 48)
        self.retry = number
        return 0
