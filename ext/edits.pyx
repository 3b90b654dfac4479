# cython: cdivision=True
# No division here has a negative operand or a zero for its divisor.
"""The compiled twin of `nanocode/hot/edits.py`, which holds the contract; native are the searches of a file."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memset

from nanocode.hot import edits as reference
from nanocode.hot import region

ABI = 1
EXACT, LINE_ENDS, LOOKS = reference.EXACT, reference.LINE_ENDS, reference.LOOKS
Splice = reference.Splice
apply = reference.apply

cdef extern from "pairs.h" nogil:
    ctypedef struct Pairs:
        uint64_t low, high
        uint32_t count

    ctypedef struct Voter:
        Pairs pairs
        uint32_t weight
        Py_ssize_t place

    const int PAIRS_SPARE
    uint32_t common(const Pairs *one, const Pairs *other)
    Pairs hash_plain(const uint8_t *line, Py_ssize_t size, uint32_t factor)
    Pairs hash_wide(const uint8_t *line, Py_ssize_t size, uint32_t factor)
    void cast_plain(
        const Pairs *lines, Py_ssize_t count, const Voter *voters, int number, const uint32_t *shares, uint32_t *votes
    )
    void cast_wide(
        const Pairs *lines, Py_ssize_t count, const Voter *voters, int number, const uint32_t *shares, uint32_t *votes
    )
    int is_wide()

cdef bint WIDE = is_wide()

cdef extern from "scan.h" nogil:
    enum:
        ISA_PLAIN
        ISA_AVX2
        ISA_NEON
        NEEDLE_BYTES

    ctypedef struct Needle:
        pass

    const uint8_t *next_needle "scan.needle"(const Needle *needle, const uint8_t *at, const uint8_t *end)
    void needle_set(Needle *needle, const uint8_t *text, size_t size, int folded)
    int scan_has(int isa)
    void scan_choose(int isa)

scan_choose(ISA_AVX2 if scan_has(ISA_AVX2) else ISA_NEON if scan_has(ISA_NEON) else ISA_PLAIN)

# The sizes of arrays; that they fit the reference's figures is asserted below.
cdef enum:
    SAMPLED = 24
    KEPT = 6
    COMPARED = 256
    WANDER = 16
    BAND = 2 * WANDER + 1
    WORDS = 4
    SPARE = 8
    GAVE_UP = -2
    PATIENCE = 256

assert SPARE >= PAIRS_SPARE
assert (SAMPLED, KEPT, 64 * WORDS, WANDER) == (region.SAMPLED, region.KEPT, region.COMPARED, region.WANDER)

cdef uint32_t KNUTH = region.KNUTH
cdef uint32_t ONE = region.ONE
cdef Py_ssize_t HEAVIEST = region.HEAVIEST
cdef int64_t STRAY = region.STRAY
cdef int64_t WHOLE = region.WHOLE
cdef int64_t WORTH = region.WORTH
cdef int64_t NEAR = region.NEAR

# What a byte of a line is: part of the text, or one of the spaces that do not count.
cdef uint8_t[256] SPACE
memset(SPACE, 0, sizeof(SPACE))
for _byte in region.SPACES:
    SPACE[_byte] = 1

cdef uint32_t[2 * 128 + 1] SHARES
SHARES[0] = 0
for _count in range(1, 2 * 128 + 1):
    SHARES[_count] = 2 * ONE // _count


cdef struct Lines:
    # Where each line begins in the text, one more for the end of the last; the line end is part of the line.
    const uint8_t *text
    Py_ssize_t *starts
    Pairs *pairs
    Py_ssize_t count, room


cdef struct Reached:
    int64_t score
    Py_ssize_t first, last


cdef struct Wanted:
    # A line of the text that is looked for: what counts of it, and for each byte where in it that byte stands.
    uint8_t[COMPARED] bytes
    uint64_t[256][WORDS] where
    Py_ssize_t size
    bint ready


def plan(data, edits):
    """See `nanocode.hot.edits.plan`."""
    return reference.plan(data, edits, nearest, find)


def diff(data, splices, name):
    """See `nanocode.hot.splices.diff`."""
    return reference.diff(data, splices, name, lines_before)


def lines_before(bytes data not None, Py_ssize_t start, Py_ssize_t end):
    """See `nanocode.hot.splices.lines_before`; 0 <= start and end <= len(data)."""
    cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef Py_ssize_t at, count = 0
    if not 0 <= start <= end <= PyBytes_GET_SIZE(data):
        raise ValueError(f"no place `{start}` to `{end}` in `{len(data)}` bytes")
    with nogil:
        # What follows the last byte is readable: a NUL ends all `bytes`.
        for at in range(start, end):
            count += (text[at] == c"\n") | ((text[at] == c"\r") & (text[at + 1] != c"\n"))
    return count


def find(bytes data not None, bytes piece not None, Py_ssize_t start):
    """See `nanocode.hot.edits.find`."""
    cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef const uint8_t *wanted = <const uint8_t *>PyBytes_AS_STRING(piece)
    cdef Py_ssize_t text_size = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(piece)
    cdef Py_ssize_t at
    if not size or start > text_size - size:
        return data.find(piece, start)
    with nogil:
        at = found(text, text_size, wanted, size, &start)
    # Text that repeats itself makes this search quadratic, and that of `bytes` not.
    return data.find(piece, start) if at == GAVE_UP else at


cdef Py_ssize_t found(
    const uint8_t *text, Py_ssize_t text_size, const uint8_t *wanted, Py_ssize_t size, Py_ssize_t *start
) noexcept nogil:
    """Where `wanted` begins at `start` or later, -1 or GAVE_UP; `start` moves on, and all before it is searched."""
    cdef Needle needle
    cdef Py_ssize_t lead = 0, misses = 0
    cdef const uint8_t *at
    # Indentation says little; what stands behind it is looked for, and the rest compared.
    while lead < size - 1 and SPACE[wanted[lead]]:
        lead += 1
    needle_set(&needle, wanted + lead, min(size - lead, NEEDLE_BYTES), False)
    while misses < PATIENCE:
        at = next_needle(&needle, text + start[0] + lead, text + text_size)
        if at == NULL or at - text - lead > text_size - size:
            return -1
        start[0] = at - text - lead
        if memcmp(text + start[0], wanted, size) == 0:
            return start[0]
        start[0] += 1
        misses += 1
    return GAVE_UP


def nearest(bytes data not None, bytes text not None):
    """See `nanocode.hot.region.nearest`."""
    cdef Lines lines, wanted
    cdef Reached found = Reached(0, -1, -1)
    cdef bint done
    memset(&lines, 0, sizeof(lines))
    memset(&wanted, 0, sizeof(wanted))
    cdef const uint8_t *all_bytes = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef const uint8_t *text_bytes = <const uint8_t *>PyBytes_AS_STRING(text)
    cdef Py_ssize_t all_size = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t text_size = PyBytes_GET_SIZE(text)
    with nogil:
        done = (
            read(&lines, all_bytes, all_size)
            and read(&wanted, text_bytes, text_size)
            and search(&lines, &wanted, &found)
        )
        free(lines.starts)
        free(lines.pairs)
        free(wanted.starts)
        free(wanted.pairs)
    if not done:
        raise MemoryError
    return region.Region(found.first, found.last, found.score) if found.score >= NEAR else None


cdef bint read(Lines *lines, const uint8_t *text, Py_ssize_t size) noexcept nogil:
    """Cut the text into lines and hash each; False when memory is short."""
    cdef const uint8_t *at = text
    cdef const uint8_t *end = text + size
    cdef const uint8_t *lf = NULL
    cdef const uint8_t *cr = NULL
    cdef const uint8_t *stop
    lines.text = text
    while True:
        if lines.count + 1 >= lines.room and not grow(lines):
            return False
        lines.starts[lines.count] = at - text
        if at >= end:
            return True
        # Each kind of line end is searched once over the bytes: the position of the next one is kept.
        if lf < at:
            lf = <const uint8_t *>memchr(at, c"\n", end - at)
            lf = end if lf == NULL else lf
        if cr < at:
            cr = <const uint8_t *>memchr(at, c"\r", end - at)
            cr = end if cr == NULL else cr
        stop = min(lf, cr)
        lines.pairs[lines.count] = hashed(at, stop)
        lines.count += 1
        if stop < end:
            stop += 2 if stop == cr and lf == cr + 1 < end else 1
        at = stop


cdef bint grow(Lines *lines) noexcept nogil:
    cdef Py_ssize_t room = max(2 * lines.room, 256)
    cdef void *moved
    if <size_t>room > (<size_t>-1 >> 1) // sizeof(Pairs):
        return False
    moved = realloc(lines.starts, room * sizeof(Py_ssize_t))
    if moved == NULL:
        return False
    lines.starts = <Py_ssize_t *>moved
    moved = realloc(lines.pairs, room * sizeof(Pairs))
    if moved == NULL:
        return False
    lines.pairs = <Pairs *>moved
    lines.room = room
    return True


cdef inline Pairs hashed(const uint8_t *at, const uint8_t *end) noexcept nogil:
    # The byte before the first is NUL; what `hash_wide` reads behind the last does not count.
    cdef uint8_t[1 + COMPARED + SPARE] line
    cdef Py_ssize_t size
    line[0] = 0
    size = squeezed(at, end, line + 1)
    memset(line + 1 + size, 0, SPARE)
    return hash_wide(line + 1, size, KNUTH) if WIDE else hash_plain(line + 1, size, KNUTH)


cdef inline Py_ssize_t squeezed(const uint8_t *at, const uint8_t *end, uint8_t *into) noexcept nogil:
    """Copy what counts of a line; `into` has room for COMPARED bytes."""
    cdef Py_ssize_t size = 0
    while at < end and SPACE[at[0]]:
        at += 1
    if end - at <= COMPARED:
        # Without a branch for each byte: a space is written over.
        while at < end:
            into[size] = at[0]
            size += SPACE[at[0]] ^ 1
            at += 1
        return size
    while at < end and size < COMPARED:
        into[size] = at[0]
        size += SPACE[at[0]] ^ 1
        at += 1
    return size


cdef inline Py_ssize_t squeezed_line(const Lines *lines, Py_ssize_t line, uint8_t *into) noexcept nogil:
    return squeezed(lines.text + lines.starts[line], lines.text + lines.starts[line + 1], into)


cdef bint search(const Lines *lines, Lines *wanted, Reached *found) noexcept nogil:
    """Find the nearest region, its likeness in `found.score`; False when memory is short."""
    cdef Py_ssize_t first = 0, index
    cdef int64_t total = 0
    cdef uint8_t[COMPARED] spare
    cdef uint32_t *weights
    while wanted.count and not wanted.pairs[wanted.count - 1].count:
        wanted.count -= 1
    while first < wanted.count and not wanted.pairs[first].count:
        first += 1
    if first == wanted.count or not lines.count:
        return True
    weights = <uint32_t *>malloc(wanted.count * sizeof(uint32_t))
    if weights == NULL:
        return False
    for index in range(first, wanted.count):
        weights[index] = min(squeezed_line(wanted, index, spare), HEAVIEST)
        total += weights[index]
    cdef bint done = align(lines, wanted, first, weights, total, found)
    free(weights)
    return done


cdef bint align(
    const Lines *lines, const Lines *wanted, Py_ssize_t first, const uint32_t *weights, int64_t total, Reached *found
) noexcept nogil:
    cdef Py_ssize_t[KEPT] places
    cdef Reached reached
    cdef int index
    cdef int kept = vote(lines, wanted, first, weights, places)
    cdef Wanted *line
    if kept < 0:
        return False
    line = <Wanted *>malloc(sizeof(Wanted))
    if line == NULL:
        return False
    memset(line, 0, sizeof(Wanted))
    for index in range(kept):
        reached = aligned(lines, wanted, first, weights, places[index], line)
        reached.score //= total
        if reached.score > found.score:
            found[0] = reached
    free(line)
    return True


cdef int vote(
    const Lines *lines, const Lines *wanted, Py_ssize_t first, const uint32_t *weights, Py_ssize_t *places
) noexcept nogil:
    """Put the best places in order in `places`; return how many there are, -1 when memory is short."""
    cdef Py_ssize_t size = wanted.count - first
    cdef Py_ssize_t count = lines.count + size - 1
    cdef Py_ssize_t at, low, high, best
    cdef Voter[SAMPLED] voters
    cdef int number = elect(wanted, first, weights, voters)
    cdef int kept = 0, index
    cdef uint32_t most
    cdef uint32_t *votes
    if <size_t>count > (<size_t>-1 >> 1) // sizeof(uint32_t):
        return -1
    votes = <uint32_t *>malloc(count * sizeof(uint32_t))
    if votes == NULL:
        return -1
    memset(votes, 0, count * sizeof(uint32_t))
    if WIDE:
        cast_wide(lines.pairs, lines.count, voters, number, SHARES, votes)
    else:
        cast_plain(lines.pairs, lines.count, voters, number, SHARES, votes)
    while kept < KEPT:
        most = 0
        for at in range(count):
            most = max(most, votes[at])
        if not most:
            break
        best = 0
        while votes[best] != most:
            best += 1
        low = max(0, best - size // 2)
        high = min(count, best + size // 2 + 1)
        memset(votes + low, 0, (high - low) * sizeof(uint32_t))
        best -= size - 1
        index = kept
        while index and places[index - 1] > best:
            places[index] = places[index - 1]
            index -= 1
        places[index] = best
        kept += 1
    free(votes)
    return kept


cdef int elect(const Lines *wanted, Py_ssize_t first, const uint32_t *weights, Voter *voters) noexcept nogil:
    """The heaviest lines, of equal ones the first, as voters in order of weight; return how many."""
    cdef Py_ssize_t line
    cdef int number = 0, index
    for line in range(first, wanted.count):
        if number == SAMPLED and weights[line] <= voters[number - 1].weight:
            continue
        number = min(number + 1, SAMPLED)
        index = number - 1
        while index and voters[index - 1].weight < weights[line]:
            voters[index] = voters[index - 1]
            index -= 1
        voters[index] = Voter(wanted.pairs[line], weights[line], wanted.count - 1 - line)
    return number


cdef Reached aligned(
    const Lines *lines,
    const Lines *wanted,
    Py_ssize_t first,
    const uint32_t *weights,
    Py_ssize_t place,
    Wanted *own,
) noexcept nogil:
    cdef Py_ssize_t size = wanted.count - first
    cdef Py_ssize_t reach = min(max(2, size // 4), WANDER)
    cdef Py_ssize_t width = 2 * reach + 1
    cdef Py_ssize_t index, at, line
    cdef Reached[BAND] row
    cdef Reached best, strayed
    cdef int64_t like
    for at in range(width):
        row[at] = Reached(0, -1, -1)
    for index in range(size):
        own.ready = False
        for at in range(width):
            # `row[at + 1]` is still of the row before, `row[at - 1]` already of this one.
            line = place - reach + index + at
            best = row[at]
            like = 0
            if weights[first + index] and 0 <= line < lines.count:
                like = alike(lines, line, wanted, first + index, own)
            if like:
                best = Reached(best.score + weights[first + index] * like, line if best.first < 0 else best.first, line)
            if at + 1 < width and row[at + 1].score > best.score:
                best = row[at + 1]
            if at:
                strayed = row[at - 1]
                if strayed.first >= 0 and line < lines.count and lines.pairs[line].count:
                    strayed.score -= WHOLE * STRAY
                if strayed.score > best.score:
                    best = strayed
            row[at] = best
        clear(own)
    best = row[0]
    for at in range(1, width):
        if row[at].score > best.score:
            best = row[at]
    return best


cdef int64_t alike(
    const Lines *lines, Py_ssize_t line, const Lines *wanted, Py_ssize_t index, Wanted *own
) noexcept nogil:
    """How alike two lines are: 1000 for equal ones, WORTH at least, or 0."""
    cdef const Pairs *one = wanted.pairs + index
    cdef const Pairs *other = lines.pairs + line
    cdef uint8_t[COMPARED] theirs
    cdef Py_ssize_t size, longest
    cdef int64_t like
    if 4 * common(one, other) * SHARES[one.count + other.count] < ONE:
        return 0
    if not own.ready:
        prepare(own, wanted, index)
    size = squeezed_line(lines, line, theirs)
    if size == own.size and memcmp(theirs, own.bytes, size) == 0:
        return WHOLE
    longest = max(size, own.size)
    if WHOLE * min(size, own.size) < WORTH * longest:
        return 0
    like = WHOLE - WHOLE * distance(own, theirs, size) // longest
    return like if like >= WORTH else 0


cdef void prepare(Wanted *own, const Lines *wanted, Py_ssize_t index) noexcept nogil:
    cdef Py_ssize_t at
    own.size = squeezed_line(wanted, index, own.bytes)
    for at in range(own.size):
        own.where[own.bytes[at]][at // 64] |= <uint64_t>1 << (at % 64)
    own.ready = True


cdef void clear(Wanted *own) noexcept nogil:
    """Forget a line: only the rows that its bytes used, not all of the table."""
    cdef Py_ssize_t at
    if own.ready:
        for at in range(own.size):
            memset(own.where[own.bytes[at]], 0, sizeof(own.where[0]))


cdef Py_ssize_t distance(const Wanted *own, const uint8_t *other, Py_ssize_t size) noexcept nogil:
    """Levenshtein's distance, by Myers' and Hyyrö's bit vectors over up to WORDS words."""
    cdef uint64_t[WORDS] up
    cdef uint64_t[WORDS] down
    cdef Py_ssize_t words = (own.size + 63) // 64
    cdef Py_ssize_t count = own.size
    cdef Py_ssize_t at, word
    cdef uint64_t here, diagonal, across, more, less, more_in, less_in, top
    for word in range(words):
        up[word] = ~<uint64_t>0
        down[word] = 0
    for at in range(size):
        # The row above the first grows by one with each column.
        more_in = 1
        less_in = 0
        for word in range(words):
            here = own.where[other[at]][word]
            diagonal = here | down[word]
            across = here | less_in
            across = ((across & up[word]) + up[word]) ^ up[word] | across
            more = down[word] | ~(across | up[word])
            less = up[word] & across
            if word == words - 1:
                top = <uint64_t>1 << ((own.size - 1) % 64)
                count += (more & top) != 0
                count -= (less & top) != 0
            here = more << 1 | more_in
            more_in = more >> 63
            up[word] = (less << 1 | less_in) | ~(diagonal | here)
            less_in = less >> 63
            down[word] = here & diagonal
    return count
