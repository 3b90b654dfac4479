"""Compiled twin of `nanocode.hot.tokens`; the contract stands there."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from nanocode.hot import tokens

cdef extern from "Python.h":
    bint PyUnicode_Check(object text)
    bint PyUnicode_IS_ASCII(object text)
    const uint8_t *PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef extern from "symbols.h" nogil:
    enum:
        BLOCK
        BLOCK_AHEAD
        BLANK_SYMBOL
        TAB_BITS
        LINE_END_BITS
    bint block_symbols(const uint8_t *at, uint8_t *symbols)
    uint32_t block_sum(const uint8_t *table, const uint8_t *symbols)

ABI = 1

cdef int ONE = tokens.ONE, SPACE = tokens.SPACE, TAB = tokens.TAB, LINE_END = tokens.LINE_END
cdef int SAME = tokens.SAME, SAME_WIDE = tokens.SAME_WIDE
cdef Py_ssize_t SHORTEST = tokens.SHORTEST, SHORTEST_WIDE = tokens.SHORTEST_WIDE

assert (SPACE, TAB, LINE_END) == (BLANK_SYMBOL, BLANK_SYMBOL + TAB_BITS, BLANK_SYMBOL + LINE_END_BITS)

cdef bytes KEPT = tokens.TABLE, KEPT_BY_PAIR = tokens.BY_PAIR
cdef const uint8_t *TABLE = <const uint8_t *> PyBytes_AS_STRING(KEPT)
cdef const uint8_t *BY_PAIR = <const uint8_t *> PyBytes_AS_STRING(KEPT_BY_PAIR)

# The symbol of a byte before a byte that is no whitespace, a blank or tab, or a line end.
cdef uint8_t[3][256] SYMBOL
# Which of the three a byte is.
cdef uint8_t[256] AFTER
# Whether a byte is ASCII punctuation.
cdef uint8_t[256] MARK
cdef uint8_t[256] NOTHING


cdef void _classify() noexcept:
    cdef int byte, after
    for byte in range(256):
        NOTHING[byte] = 0
        AFTER[byte] = 1 if byte == 32 or byte == 9 else 2 if byte == 10 or byte == 13 else 0
        MARK[byte] = 33 <= byte <= 47 or 58 <= byte <= 64 or 91 <= byte <= 96 or 123 <= byte <= 126
    for after in range(3):
        for byte in range(256):
            SYMBOL[after][byte] = 0 if (byte < 32 and not AFTER[byte]) or byte == 127 else byte
            if after and AFTER[byte]:
                SYMBOL[after][byte] = (SPACE if byte == 32 else TAB if byte == 9 else LINE_END) + after - 1


_classify()


cdef inline Py_ssize_t _run(const uint8_t *at, const uint8_t *end, int width) noexcept nogil:
    """How many times the character of `width` bytes comes in a row."""
    cdef const uint8_t *ahead = at + width
    while ahead < end and ahead[0] == (ahead - width)[0]:
        ahead += 1
    return (ahead - at) // width


cdef struct Sum:
    uint64_t value
    const uint8_t *row      # of the table: the pairs that begin with the last symbol


cdef inline void _take(Sum *sum, int symbol) noexcept nogil:
    sum.value += sum.row[symbol]
    sum.row = TABLE + 256 * symbol


cdef const uint8_t *_repeat(Sum *sum, const uint8_t *at, Py_ssize_t times, int width, int symbol) noexcept nogil:
    """Take a run of `times` characters; where it ends."""
    cdef Py_ssize_t inner = (times - 2) * width
    cdef int index
    for index in range(width):
        _take(sum, at[index])
    _take(sum, symbol)
    sum.value += (inner - 1) * <uint64_t> sum.row[symbol]
    at += width + inner
    for index in range(width):
        _take(sum, at[index])
    return at + width


cdef uint64_t _total(const uint8_t *at, const uint8_t *end) noexcept nogil:
    cdef uint8_t[BLOCK] symbols
    cdef Sum sum
    # Nothing comes before the first symbol, so it ends no pair.
    sum.value, sum.row = ONE, &NOTHING[0]
    while end - at >= BLOCK + BLOCK_AHEAD:
        if block_symbols(at, symbols):
            sum.value += sum.row[symbols[0]] + block_sum(BY_PAIR, symbols)
            sum.row = TABLE + 256 * symbols[BLOCK - 1]
            at += BLOCK
        else:
            at = _one_by_one(&sum, at, at + BLOCK, end)
    at = _one_by_one(&sum, at, end - 1, end)
    if at < end:
        _take(&sum, SYMBOL[0][at[0]])
    return sum.value


cdef const uint8_t *_one_by_one(Sum *sum, const uint8_t *at, const uint8_t *stop, const uint8_t *end) noexcept nogil:
    """Take what begins before `stop`, which is before `end`; where that ends."""
    cdef Py_ssize_t times
    while at < stop:
        if at[0] == at[1]:
            if MARK[at[0]]:
                times = _run(at, end, 1)
                if times >= SHORTEST:
                    at = _repeat(sum, at, times, 1, SAME)
                    continue
        elif at[0] >= 0xE2 and end - at > 3 and at[3] == at[0] and at[0] < 0xF0:
            times = _run(at, end, 3)
            if times >= SHORTEST_WIDE:
                at = _repeat(sum, at, times, 3, SAME_WIDE)
                continue
        _take(sum, SYMBOL[AFTER[at[1]]][at[0]])
        at += 1
    return at


def estimate(text):
    """See `nanocode.hot.tokens.estimate`."""
    cdef bytes data
    cdef const uint8_t *at
    cdef Py_ssize_t size
    if PyUnicode_Check(text) and PyUnicode_IS_ASCII(text):
        at, size = PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text)
    else:
        data = str.encode(text, "utf-8", "replace")
        at, size = <const uint8_t *> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)
    return (_total(at, at + size) + ONE // 2) // ONE if size else 0
