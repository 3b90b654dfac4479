"""Compiled twin of `nanocode.hot.deltas`; the contract stands there."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy

ABI = 2
TEXT, REASONING, ARGUMENTS = 0, 1, 2

cdef extern from *:
    """
    /* A byte 1 in each of eight places: times a byte it is that byte in all of them. */
    #define EIGHT 0x0101010101010101ULL
    /* Which of eight bytes is the first with its high bit set in `marks`; where that is not known, none is passed. */
    #if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define MARKED(marks) (__builtin_ctzll(marks) >> 3)
    #else
    #define MARKED(marks) 0
    #endif

    /* An ordinary payload but for its text: what stands before, between (where the text stands twice) and behind. */
    typedef struct {
        int kind, position, twice;
        Py_ssize_t head, middle, tail;
        unsigned char bytes[1024];
    } Shape;

    #ifdef _MSC_VER
    #define OF_THREAD __declspec(thread)
    #else
    #define OF_THREAD __thread
    #endif
    /* The last of each kind: the chunks of a stream differ in nothing but their text. */
    static OF_THREAD Shape shapes[3];
    """
    const uint64_t EIGHT
    int MARKED(uint64_t marks) nogil

    ctypedef struct Shape:
        int kind, position, twice
        Py_ssize_t head, middle, tail
        unsigned char bytes[1024]
    Shape shapes[3]

cdef enum:
    DEPTH = 16

# Which of the keys below a level has seen; a key seen twice sends the frame to the JSON library.
cdef enum:
    CHOICES = 1
    NULLED = 2
    INDEX = 4
    DELTA = 8
    FINISH = 16
    CONTENT = 32
    THOUGHT = 64
    CALLS = 128
    FUNCTION = 256
    WORDS = 512
    DETAILS = 1024


cdef struct Cursor:
    const unsigned char *at
    const unsigned char *end
    unsigned char high      # the OR of all bytes read: above 127 where the payload is not ASCII


cdef struct Found:
    int kind                # -1 until the delta has said something
    int position
    const unsigned char *text
    Py_ssize_t size
    const unsigned char *again      # where the same text stands once more, or NULL
    bint escaped
    bint is_null


cdef struct Run:
    char *data
    Py_ssize_t size
    Py_ssize_t room


cdef inline void _blanks(Cursor *c) noexcept nogil:
    while c.at < c.end and (c.at[0] == 32 or c.at[0] == 10 or c.at[0] == 13 or c.at[0] == 9):
        c.at += 1


cdef inline bint _takes(Cursor *c, unsigned char byte) noexcept nogil:
    _blanks(c)
    if c.at < c.end and c.at[0] == byte:
        c.at += 1
        return True
    return False


cdef inline uint64_t _zero(uint64_t eight) noexcept nogil:
    """High bits set where one of eight bytes is zero; the first is right, a byte 1 behind it may have one too."""
    return (eight - EIGHT) & ~eight


cdef bint _string(Cursor *c, Found *found) noexcept nogil:
    """Read a string whose opening quote was taken; `found` gets its raw bytes."""
    cdef const unsigned char *at = c.at
    cdef uint64_t eight, marks
    found.text = at
    found.escaped = False
    while at < c.end:
        # Most of an event is strings that nobody reads: eight plain ASCII bytes are passed in one step.
        if c.end - at >= 8:
            memcpy(&eight, at, 8)
            marks = eight | (eight - EIGHT * 32) | _zero(eight ^ EIGHT * 34) | _zero(eight ^ EIGHT * 92)
            marks &= EIGHT * 128
            if marks == 0:
                at += 8
                continue
            at += MARKED(marks)
        if at[0] == 34:
            found.size = at - found.text
            c.at = at + 1
            return True
        if at[0] < 32:
            return False
        if at[0] == 92:
            found.escaped = True
            at += 1
            if at >= c.end:
                return False
            if at[0] == 117:
                if not _hex4(at + 1, c.end):
                    return False
                at += 4
            elif memchr(b'"\\/bfnrt', at[0], 8) == NULL:
                return False
        c.high |= at[0]
        at += 1
    return False


cdef inline int _digit(unsigned char byte) noexcept nogil:
    if 48 <= byte <= 57:
        return byte - 48
    if 97 <= byte <= 102:
        return byte - 87
    if 65 <= byte <= 70:
        return byte - 55
    return -1


cdef inline bint _hex4(const unsigned char *at, const unsigned char *end) noexcept nogil:
    return (end - at >= 4 and _digit(at[0]) >= 0 and _digit(at[1]) >= 0 and _digit(at[2]) >= 0 and _digit(at[3]) >= 0)


cdef bint _word(Cursor *c, const char *word, Py_ssize_t size) noexcept nogil:
    if c.end - c.at >= size and memcmp(c.at, word, size) == 0:
        c.at += size
        return True
    return False


cdef bint _digits(Cursor *c) noexcept nogil:
    cdef const unsigned char *start = c.at
    while c.at < c.end and 48 <= c.at[0] <= 57:
        c.at += 1
    return c.at > start


cdef bint _number(Cursor *c) noexcept nogil:
    if c.at[0] == 45:
        c.at += 1
    if c.at < c.end and c.at[0] == 48:
        c.at += 1
    elif not _digits(c):
        return False
    if c.at < c.end and c.at[0] == 46:
        c.at += 1
        if not _digits(c):
            return False
    if c.at < c.end and (c.at[0] == 101 or c.at[0] == 69):
        c.at += 1
        if c.at < c.end and (c.at[0] == 43 or c.at[0] == 45):
            c.at += 1
        if not _digits(c):
            return False
    return True


cdef bint _skip(Cursor *c, int depth) noexcept nogil:
    """Pass one JSON value of any kind."""
    cdef Found ignored
    cdef unsigned char byte
    _blanks(c)
    if c.at >= c.end or depth > DEPTH:
        return False
    byte = c.at[0]
    if byte == 34:
        c.at += 1
        return _string(c, &ignored)
    if byte == 110:
        return _word(c, b"null", 4)
    if byte == 116:
        return _word(c, b"true", 4)
    if byte == 102:
        return _word(c, b"false", 5)
    if byte == 123 or byte == 91:
        c.at += 1
        return _skip_members(c, byte == 123, depth)
    return _number(c)


cdef bint _skip_members(Cursor *c, bint keyed, int depth) noexcept nogil:
    cdef Found ignored
    cdef unsigned char close = 125 if keyed else 93
    if _takes(c, close):
        return True
    while True:
        if keyed and not (_takes(c, 34) and _string(c, &ignored) and _takes(c, 58)):
            return False
        if not _skip(c, depth + 1):
            return False
        if _takes(c, close):
            return True
        if not _takes(c, 44):
            return False


cdef inline bint _empty(Cursor *c) noexcept nogil:
    """Null or the empty string: what servers put where nothing is new."""
    cdef Found value
    return _text(c, &value) and value.size == 0


cdef inline bint _null(Cursor *c) noexcept nogil:
    _blanks(c)
    return _word(c, b"null", 4)


cdef inline bint _is(Found *key, const char *name, Py_ssize_t size) noexcept nogil:
    return key.size == size and memcmp(key.text, name, size) == 0


cdef inline bint _once(int *seen, int bit) noexcept nogil:
    """Whether the key is new at this level."""
    if seen[0] & bit:
        return False
    seen[0] |= bit
    return True


cdef bint _text(Cursor *c, Found *value) noexcept nogil:
    """A string or null."""
    value.is_null = False
    if _takes(c, 34):
        return _string(c, value)
    value.is_null = True
    value.size = 0
    return _null(c)


cdef bint _say(Found *found, Found *value, int kind) noexcept nogil:
    """Let the delta say `value`; an empty word yields to one that says something."""
    if value.is_null:
        return True
    if found.kind >= 0 and found.size:
        return value.size == 0
    if found.kind >= 0 and value.size == 0:
        return True
    found.kind, found.text, found.size, found.escaped = kind, value.text, value.size, value.escaped
    found.position = 0
    return True


cdef bint _small(Cursor *c, int *number) noexcept nogil:
    """A number of one to three digits without a leading zero."""
    _blanks(c)
    cdef const unsigned char *start = c.at
    number[0] = 0
    while c.at < c.end and 48 <= c.at[0] <= 57 and c.at - start < 4:
        number[0] = number[0] * 10 + c.at[0] - 48
        c.at += 1
    if not 1 <= c.at - start <= 3 or (start[0] == 48 and c.at - start > 1):
        return False
    return c.at < c.end and c.at[0] != 46 and c.at[0] != 101 and c.at[0] != 69


cdef bint _function(Cursor *c, Found *value) noexcept nogil:
    cdef Found key
    cdef int seen = 0
    if not _takes(c, 123) or _takes(c, 125):
        return False
    while True:
        if not (_takes(c, 34) and _string(c, &key) and not key.escaped and _takes(c, 58)):
            return False
        if _is(&key, b"arguments", 9):
            if not _once(&seen, WORDS) or not _text(c, value) or value.is_null:
                return False
        elif _is(&key, b"name", 4):
            if not _once(&seen, NULLED) or not _empty(c):
                return False
        elif not _skip(c, 0):
            return False
        if _takes(c, 125):
            return (seen & WORDS) != 0
        if not _takes(c, 44):
            return False


cdef bint _call(Cursor *c, Found *found) noexcept nogil:
    """The list of one call that only adds arguments."""
    cdef Found key, value
    cdef int seen = 0, position = 0
    if not _takes(c, 91) or not _takes(c, 123):
        return False
    while True:
        if not (_takes(c, 34) and _string(c, &key) and not key.escaped and _takes(c, 58)):
            return False
        if _is(&key, b"index", 5):
            if not _once(&seen, INDEX) or not _small(c, &position):
                return False
        elif _is(&key, b"id", 2):
            if not _once(&seen, NULLED) or not _empty(c):
                return False
        elif _is(&key, b"function", 8):
            if not _once(&seen, FUNCTION) or not _function(c, &value):
                return False
        elif not _skip(c, 0):
            return False
        if _takes(c, 125):
            break
        if not _takes(c, 44):
            return False
    if not _takes(c, 93) or seen & (INDEX | FUNCTION) != (INDEX | FUNCTION) or (found.kind >= 0 and found.size):
        return False
    found.kind, found.position = 2, position
    found.text, found.size, found.escaped = value.text, value.size, value.escaped
    return True


cdef bint _details(Cursor *c, Found *text) noexcept nogil:
    """Null, an empty list, or a list of one object with a text; `text.size` is 0 where nothing is said."""
    cdef Found key
    cdef int seen = 0
    text.size = 0
    _blanks(c)
    if c.at < c.end and c.at[0] == 110:
        return _null(c)
    if not _takes(c, 91):
        return False
    if _takes(c, 93):
        return True
    if not _takes(c, 123):
        return False
    while True:
        if not (_takes(c, 34) and _string(c, &key) and not key.escaped and _takes(c, 58)):
            return False
        if _is(&key, b"text", 4):
            if not _once(&seen, WORDS) or not _text(c, text):
                return False
        elif not _skip(c, 0):
            return False
        if _takes(c, 125):
            return text.size > 0 and _takes(c, 93)
        if not _takes(c, 44):
            return False


cdef inline bint _detailed(Found *found, Found *details) noexcept nogil:
    """Let the details speak where no other reasoning does, and nothing else."""
    if details.size == 0:
        return found.kind >= 0
    if found.kind == 1 and found.size:
        if details.size == found.size and memcmp(details.text, found.text, found.size) == 0:
            found.again = details.text
        return True
    if found.kind == 2 or found.size:
        return False
    found.kind, found.text, found.size, found.escaped = 1, details.text, details.size, details.escaped
    found.position = 0
    return True


cdef bint _delta(Cursor *c, Found *found) noexcept nogil:
    cdef Found key, value, details
    cdef int seen = 0
    details.size = 0
    if not _takes(c, 123) or _takes(c, 125):
        return False
    while True:
        if not (_takes(c, 34) and _string(c, &key) and not key.escaped and _takes(c, 58)):
            return False
        if _is(&key, b"content", 7):
            if seen & CALLS or not _once(&seen, CONTENT) or not _text(c, &value) or not _say(found, &value, 0):
                return False
        elif _is(&key, b"reasoning_content", 17) or _is(&key, b"reasoning", 9):
            if seen & CALLS or not _once(&seen, THOUGHT) or not _text(c, &value) or not _say(found, &value, 1):
                return False
        elif _is(&key, b"tool_calls", 10):
            if not _once(&seen, CALLS):
                return False
            _blanks(c)
            if c.at < c.end and c.at[0] == 110:
                if not _null(c):
                    return False
                seen &= ~CALLS
            elif not _call(c, found):
                return False
        elif (
            _is(&key, b"refusal", 7)
            or _is(&key, b"function_call", 13)
            or _is(&key, b"reasoning_text", 14)
        ):
            if not _null(c):
                return False
        elif _is(&key, b"reasoning_details", 17):
            if not _once(&seen, DETAILS) or not _details(c, &details):
                return False
        elif not _skip(c, 0):
            return False
        if _takes(c, 125):
            return _detailed(found, &details)
        if not _takes(c, 44):
            return False


cdef bint _choice(Cursor *c, Found *found) noexcept nogil:
    """The list of one choice."""
    cdef Found key
    cdef int seen = 0, index = 0
    if not _takes(c, 91) or not _takes(c, 123):
        return False
    while True:
        if not (_takes(c, 34) and _string(c, &key) and not key.escaped and _takes(c, 58)):
            return False
        if _is(&key, b"delta", 5):
            if not _once(&seen, DELTA) or not _delta(c, found):
                return False
        elif _is(&key, b"index", 5):
            if not _once(&seen, INDEX) or not _small(c, &index) or index != 0:
                return False
        elif (
            _is(&key, b"finish_reason", 13)
            or _is(&key, b"error", 5)
            or _is(&key, b"usage", 5)
            or _is(&key, b"message", 7)
        ):
            if not _null(c):
                return False
        elif not _skip(c, 0):
            return False
        if _takes(c, 125):
            return _takes(c, 93) and seen & DELTA != 0
        if not _takes(c, 44):
            return False


cdef bint _chunk(Cursor *c, Found *found) noexcept nogil:
    """The whole payload; False for anything that is not an ordinary chunk."""
    cdef Found key
    cdef int seen = 0
    if not _takes(c, 123):
        return False
    while True:
        if not (_takes(c, 34) and _string(c, &key) and not key.escaped and _takes(c, 58)):
            return False
        if _is(&key, b"choices", 7):
            if not _once(&seen, CHOICES) or not _choice(c, found):
                return False
        elif _is(&key, b"error", 5) or _is(&key, b"usage", 5) or _is(&key, b"x_groq", 6):
            if not _null(c):
                return False
        elif not _skip(c, 0):
            return False
        if _takes(c, 125):
            break
        if not _takes(c, 44):
            return False
    _blanks(c)
    return c.at == c.end and seen & CHOICES != 0


cdef bint _alike(const Shape *shape, Cursor *c, Found *found) noexcept nogil:
    """Whether the payload differs from an earlier one in its text alone, which then says what that one said."""
    cdef Py_ssize_t spare = c.end - c.at - shape.head - shape.middle - shape.tail
    if spare <= 0 or shape.head == 0 or memcmp(c.at, shape.bytes, shape.head) != 0:
        return False
    c.at += shape.head
    if not _string(c, found) or found.size == 0 or spare != found.size * (1 + shape.twice):
        return False
    # The quote that ends the text is the first byte of what follows.
    c.at -= 1
    if shape.twice:
        if memcmp(c.at, shape.bytes + shape.head, shape.middle) != 0:
            return False
        c.at += shape.middle
        if memcmp(c.at, found.text, found.size) != 0:
            return False
        c.at += found.size
    if memcmp(c.at, shape.bytes + shape.head + shape.middle, shape.tail) != 0:
        return False
    found.kind, found.position = shape.kind, shape.position
    return True


cdef void _learn(const unsigned char *start, const unsigned char *end, const Found *found) noexcept nogil:
    """Keep the shape of an ordinary payload, all of it ASCII."""
    cdef Shape *shape = &shapes[found.kind]
    cdef const unsigned char *after = found.text + found.size
    cdef Py_ssize_t holes = found.size
    if found.again != NULL:
        holes *= 2
    if found.size == 0 or end - start - holes > <Py_ssize_t> sizeof(shape.bytes):
        return
    if found.again != NULL and found.again < found.text:
        return
    shape.kind, shape.position, shape.twice = found.kind, found.position, found.again != NULL
    shape.head, shape.middle = found.text - start, 0
    memcpy(shape.bytes, start, shape.head)
    if found.again != NULL:
        shape.middle = found.again - after
        memcpy(shape.bytes + shape.head, after, shape.middle)
        after = found.again + found.size
    shape.tail = end - after
    memcpy(shape.bytes + shape.head + shape.middle, after, shape.tail)


cdef bint _read(bytes payload, Found *found) except -1:
    """Whether the payload is ordinary; `found` gets what it says."""
    cdef const unsigned char *start = <const unsigned char *> PyBytes_AS_STRING(payload)
    cdef const unsigned char *end = start + PyBytes_GET_SIZE(payload)
    cdef Cursor cursor
    cdef int kind
    for kind in range(3):
        cursor.at, cursor.end, cursor.high = start, end, 0
        if _alike(&shapes[kind], &cursor, found):
            return cursor.high < 128 or _is_utf8(found.text, found.size)
    cursor.at, cursor.end, cursor.high = start, end, 0
    found.kind, found.size, found.again = -1, 0, NULL
    if not _chunk(&cursor, found):
        return False
    if cursor.high >= 128:
        return _is_utf8(start, end - start)
    if found.kind >= 0:
        _learn(start, end, found)
    return True


cdef inline unsigned int _unit(const unsigned char *at) noexcept nogil:
    return (_digit(at[0]) << 12) | (_digit(at[1]) << 8) | (_digit(at[2]) << 4) | _digit(at[3])


cdef Py_ssize_t _unescape(const unsigned char *at, Py_ssize_t size, char *out) noexcept nogil:
    """Copy a checked string without its escapes, as UTF-8; the bytes written, -1 for a lone surrogate."""
    cdef const unsigned char *end = at + size
    cdef char *start = out
    cdef unsigned int code, low
    while at < end:
        if at[0] != 92:
            out[0] = <char> at[0]
            out += 1
            at += 1
            continue
        if at[1] != 117:
            out[0] = _plain(at[1])
            out += 1
            at += 2
            continue
        code = _unit(at + 2)
        at += 6
        if 0xD800 <= code < 0xE000:
            if code >= 0xDC00 or end - at < 6 or at[0] != 92 or at[1] != 117:
                return -1
            low = _unit(at + 2)
            if not 0xDC00 <= low < 0xE000:
                return -1
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            at += 6
        out += _encode(code, out)
    return out - start


cdef inline char _plain(unsigned char byte) noexcept nogil:
    if byte == 110:
        return 10
    if byte == 116:
        return 9
    if byte == 114:
        return 13
    if byte == 98:
        return 8
    if byte == 102:
        return 12
    return <char> byte


cdef inline int _encode(unsigned int code, char *out) noexcept nogil:
    if code < 0x80:
        out[0] = <char> code
        return 1
    if code < 0x800:
        out[0] = <char> (0xC0 | (code >> 6))
        out[1] = <char> (0x80 | (code & 0x3F))
        return 2
    if code < 0x10000:
        out[0] = <char> (0xE0 | (code >> 12))
        out[1] = <char> (0x80 | ((code >> 6) & 0x3F))
        out[2] = <char> (0x80 | (code & 0x3F))
        return 3
    out[0] = <char> (0xF0 | (code >> 18))
    out[1] = <char> (0x80 | ((code >> 12) & 0x3F))
    out[2] = <char> (0x80 | ((code >> 6) & 0x3F))
    out[3] = <char> (0x80 | (code & 0x3F))
    return 4


cdef int _append(Run *run, Found *found) except -2:
    """Add the found text to the run: 1, or 0 where it holds a lone surrogate."""
    cdef Py_ssize_t written = found.size
    cdef char *grown
    if run.size + found.size > run.room:
        grown = <char *> realloc(run.data, 2 * (run.size + found.size) + 256)
        if grown == NULL:
            raise MemoryError
        run.data = grown
        run.room = 2 * (run.size + found.size) + 256
    # An escape is never shorter than what it stands for, so the raw size is room enough.
    if found.escaped:
        written = _unescape(found.text, found.size, run.data + run.size)
        if written < 0:
            return 0
    else:
        memcpy(run.data + run.size, found.text, found.size)
    run.size += written
    return 1


def fuse(frames):
    """See `nanocode.hot.deltas.fuse`."""
    cdef list fused = []
    cdef Run run
    cdef Found found
    cdef int kind = -1, position = -1
    cdef bint ordinary
    cdef str name
    cdef bytes payload
    run.data, run.size, run.room = NULL, 0, 0
    try:
        for frame in frames:
            name, payload = frame
            ordinary = name == "message" and _read(payload, &found)
            if run.size and (not ordinary or found.kind != kind or found.position != position):
                fused.append((kind, position, PyUnicode_DecodeUTF8(run.data, run.size, NULL)))
                run.size = 0
            if ordinary and found.size:
                kind, position = found.kind, found.position
                ordinary = _append(&run, &found)
                if not ordinary and run.size:
                    fused.append((kind, position, PyUnicode_DecodeUTF8(run.data, run.size, NULL)))
                    run.size = 0
            if not ordinary:
                fused.append(frame)
        if run.size:
            fused.append((kind, position, PyUnicode_DecodeUTF8(run.data, run.size, NULL)))
    finally:
        free(run.data)
    return fused


cdef bint _is_utf8(const unsigned char *at, Py_ssize_t size) except -1:
    try:
        PyUnicode_DecodeUTF8(<const char *> at, size, NULL)
    except UnicodeDecodeError:
        return False
    return True
