"""The compiled twin of `nanocode/hot/search.py`, which holds the contract."""

import os
import stat
import sys
from array import array
from bisect import bisect_right
from threading import Lock

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.errno cimport errno
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from posix.unistd cimport close

from nanocode.hot.automaton import CHARS, MATCH, NO_WORD_EDGE, SPLIT, STARTS, WORD_EDGE, compiled
from nanocode.hot.lines import SHOWN, shown
from nanocode.hot.lines import around as lines_around
from nanocode.hot.query import query
from nanocode.hot.rigid import checks
from nanocode.hot.search import (
    BINARY_LOOK,
    BINARY_NOTE,
    HOLLOW,
    LARGEST_CLAIM,
    LONGEST,
    MODES,
    NOT_REGULAR,
    FileMatches,
    Line,
    Search,
    blocks,
    is_binary,
    file_matches,
    opened,
)
from nanocode.hot.syntax import mirrored, relaxed
from nanocode.hot.trial import trial

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    void PyObject_GC_UnTrack(object)

cdef extern from "fcntl.h":
    int AT_FDCWD

from walk_h cimport (
    WALK_ENTRY,
    WALK_FILE,
    WALK_NO_LIMIT,
    Walk,
    WalkCursor,
    WalkError,
    WalkGlob,
    WalkOptions,
    WalkVisit,
    glob_compile,
    glob_free,
    walk_close,
    walk_cursor_free,
    walk_cursor_push,
    walk_next,
    walk_open,
    walk_path,
    walk_run,
)

cdef extern from "pythread.h" nogil:
    unsigned long PyThread_start_new_thread(void (*run)(void *) noexcept nogil, void *argument)
    unsigned long PYTHREAD_INVALID_THREAD_ID

cdef extern from "search_tree.h" nogil:
    enum: NEEDLES, NEEDLE_BYTES, CHECKS, MOST_WORKERS
    enum: MODE_LINES, MODE_FILES, MODE_COUNT
    enum: TIER_NEEDLE, TIER_NEEDLES, TIER_SET, TIER_RIGID, TIER_DFA
    enum: FILE_UNSEEN, FILE_SEARCHED, FILE_FAILED, FILE_DEFERRED, FILE_LARGE
    enum: LARGE, PIECE
    enum: WHY_ERRNO, WHY_NOT_REGULAR, WHY_HOLLOW
    enum: CUT_BEFORE, CUT_AFTER
    enum: ISA_PLAIN, ISA_AVX2, ISA_NEON
    const uint8_t *COMMON

    ctypedef struct Program:
        int count, entry, sets, classes, bounds
        int has_start, has_word
        const int32_t *op
        const int32_t *x
        const int32_t *y
        const uint8_t *member
        const uint8_t *is_word
        const uint32_t *bound
        const int32_t *run

    ctypedef struct Needle:
        size_t first

    ctypedef struct Needles:
        Needle *needle
        int count

    ctypedef struct ByteSet:
        uint8_t *has

    ctypedef struct Distance:
        uint8_t at, other, byte, mask, same

    ctypedef struct Rigid:
        Distance *check
        int count
        size_t span

    ctypedef struct Trial:
        int count, entry, sets, classes, bounds, slots, word, any
        const int32_t *op
        const int32_t *next
        const int32_t *x
        const int32_t *y
        const int32_t *z
        const uint8_t *ascii
        const uint8_t *member
        const uint32_t *bound
        const int32_t *run
        uint8_t *first

    ctypedef struct Engine:
        Program program, mirrored
        Needles needles
        ByteSet set
        Rigid rigid
        Trial trial
        int tier, whole, verified, tried

    ctypedef struct Hit:
        uint64_t number
        size_t at, size, start
        int cut

    ctypedef struct File:
        uint64_t count, over, lines
        uint32_t hit, hits
        int32_t error
        uint8_t state, why, binary, worker, late

    ctypedef struct Worker:
        uint64_t searched
        uint8_t *text
        Hit *hits

    ctypedef struct Job:
        const Engine *engine
        const char **paths
        size_t count
        File *files
        int folder, follow, mode, multiline, shares, known
        uint64_t size
        uint64_t limit
        size_t longest, binary_look
        uint64_t largest_claim
        const char *stop
        Py_ssize_t (*verify)(void *, const uint8_t *, size_t) noexcept nogil
        void *context
        int ended, failed
        Worker *workers

    void needle_set(Needle *needle, const uint8_t *text, size_t size, int folded)
    void needles_prepare(Needles *all)
    void set_prepare(ByteSet *set)
    int scan_has(int isa)
    void scan_choose(int isa)
    int job_run(Job *job, int threads)
    int tree_visit(void *self, int thread, int descriptor, void *entries, size_t count) noexcept
    void job_free(Job *job)

ABI = 2

FORMS = {"lines": MODE_LINES, "files": MODE_FILES, "count": MODE_COUNT}
UNBOUNDED = <uint64_t>-1
cdef Py_ssize_t SHOWN_MOST = SHOWN
cdef object new_tuple = tuple.__new__

ISAS = {"plain": ISA_PLAIN, "avx2": ISA_AVX2, "neon": ISA_NEON}
# A literal with no rarer byte than this, by the ranks of `COMMON`, is in every other line: to look for it is in vain.
cdef int FREQUENT = 225
# A set of first bytes that are all rarer than this is worth skipping to.
cdef int SELDOM = 170
# So few files are searched sooner than a thread starts.
cdef size_t FEW_FILES = 16
# Bytes of a folder's listing that one thread takes at once, some hundred files.
cdef size_t LISTING = 8 << 10
cdef size_t WHOLE = 32 << 10
UTF32 = f"utf-32-{sys.byteorder[0]}e"


cdef int spawn(void (*run)(void *) noexcept nogil, void *argument) noexcept nogil:
    return PyThread_start_new_thread(run, argument) == PYTHREAD_INVALID_THREAD_ID


def isas():
    """The instruction sets that this processor has, the best one last."""
    return [name for name, isa in ISAS.items() if scan_has(isa)]


def choose(name):
    """Search with this instruction set, one of `isas()`."""
    if name not in isas():
        raise ValueError(f"no `{name}` here; use one of {', '.join(isas())}")
    scan_choose(ISAS[name])


choose(isas()[-1])


cdef class Compiled:
    """A query as C wants it."""

    cdef Engine engine
    cdef list kept

    def __cinit__(self, wanted):
        self.kept = []
        self.fill(&self.engine.program, wanted.program)
        self.fill(&self.engine.mirrored, compiled(mirrored(relaxed(wanted.node))))
        self.engine.verified = not wanted.regular
        if self.engine.verified:
            self.engine.tried = self.attempt(trial(wanted.node), first_bytes(wanted.program))
        self.plan(wanted)

    cdef int fill(self, Program *into, program) except -1:
        width = len(program.words)
        into.count = len(program.ops)
        into.entry = program.entry
        into.sets = len(program.sets)
        into.classes = width
        into.bounds = len(program.bounds)
        into.has_start = STARTS in program.edges
        into.has_word = WORD_EDGE in program.edges or NO_WORD_EDGE in program.edges
        into.op = <const int32_t *>self.kept_at(array("i", program.ops))
        into.x = <const int32_t *>self.kept_at(array("i", program.xs))
        into.y = <const int32_t *>self.kept_at(array("i", program.ys))
        into.member = <const uint8_t *>self.kept_at(flags(program.sets))
        into.is_word = <const uint8_t *>self.kept_at(flags([program.words]))
        into.bound = <const uint32_t *>self.kept_at(array("I", program.bounds))
        into.run = <const int32_t *>self.kept_at(array("i", program.classes))
        return 0

    cdef size_t kept_at(self, values) except 0:
        """Where the values of an array are, which lives as long as this."""
        self.kept.append(values)
        return values.buffer_info()[0]

    cdef bint attempt(self, made, firsts) except -1:
        """Take the program of a pattern that no automaton decides; False when there is none."""
        cdef Trial *into = &self.engine.trial
        if made is None:
            return False
        into.count = len(made.ops)
        into.entry = made.entry
        into.sets = len(made.sets)
        into.classes = max(made.classes) + 1
        into.bounds = len(made.bounds)
        into.slots = made.slots
        into.word = made.word
        into.op = <const int32_t *>self.kept_at(array("i", made.ops))
        into.next = <const int32_t *>self.kept_at(array("i", made.nexts))
        into.x = <const int32_t *>self.kept_at(array("i", made.xs))
        into.y = <const int32_t *>self.kept_at(array("i", made.ys))
        into.z = <const int32_t *>self.kept_at(array("i", made.zs))
        kinds = [made.classes[bisect_right(made.bounds, code) - 1] for code in range(128)]
        into.ascii = <const uint8_t *>self.kept_at(flags([members[kind] for kind in kinds] for members in made.sets))
        into.member = <const uint8_t *>self.kept_at(flags(made.sets))
        into.bound = <const uint32_t *>self.kept_at(array("I", made.bounds))
        into.run = <const int32_t *>self.kept_at(array("i", made.classes))
        into.any = firsts is None
        for byte in firsts or ():
            into.first[byte] = 1
        return True

    cdef int plan(self, wanted) except -1:
        """Choose what finds the lines that are worth a look."""
        required = [literal for literal in wanted.needles.required if literal.text]
        usable = len(required) == len(wanted.needles.required) and 0 < len(required) <= NEEDLES
        usable = usable and all(len(literal.text) <= NEEDLE_BYTES for literal in required)
        whole = wanted.needles.whole and wanted.regular and not any(b"\r" in literal.text for literal in required)
        self.engine.tier = TIER_DFA
        if usable and (whole or min(len(literal.text) for literal in required) > 2 or self.rare(required)):
            self.engine.whole = whole
            self.engine.tier = TIER_NEEDLE if len(required) == 1 else TIER_NEEDLES
            self.engine.needles.count = len(required)
            for at, (text, folded) in enumerate(required):
                needle_set(&self.engine.needles.needle[at], <const uint8_t *>PyBytes_AS_STRING(text), len(text), folded)
            needles_prepare(&self.engine.needles)
            return 0
        firsts = first_bytes(wanted.program)
        if firsts and all(COMMON[byte] < SELDOM for byte in firsts):
            self.engine.tier = TIER_SET
            for byte in firsts:
                self.engine.set.has[byte] = 1
            set_prepare(&self.engine.set)
        elif self.engine.verified:
            self.measure(checks(wanted.node))
        return 0

    cdef int measure(self, found) except -1:
        """Take the checks that the fewest places stand, if there are any."""
        cdef Distance *into
        if not found:
            return 0
        rarest = sorted(found, key=lambda each: (each.same, 0 if each.same else COMMON[each.other]))
        # Of a repeated text the first and the last characters say the most.
        literals = [each for each in rarest if not each.same][: CHECKS // 2]
        same = [each for each in rarest if each.same]
        room = CHECKS - len(literals)
        chosen = literals + same[-1:] + same[: min(room, len(same)) - 1]
        for each in chosen:
            into = &self.engine.rigid.check[self.engine.rigid.count]
            into.at = each.at
            into.same = each.same
            into.other, into.byte = (each.other, 0) if each.same else (0, each.other)
            into.mask = 0x20 if each.folded else 0
            self.engine.rigid.count += 1
            self.engine.rigid.span = max(self.engine.rigid.span, each.at)
        self.engine.tier = TIER_RIGID
        return 0

    cdef bint rare(self, required):
        return all(min(COMMON[byte] for byte in literal.text) < FREQUENT for literal in required)


def flags(rows):
    """One byte for each of the truths in some rows, and one more so that there is any."""
    return array("B", bytes(inside for row in rows for inside in row) + b"\0")


def first_bytes(program):
    """The bytes that a match can begin with, None when it can be empty."""
    seen, waiting, sets = {program.entry}, [program.entry], set()
    while waiting:
        place = waiting.pop()
        op, x, y = program.ops[place], program.xs[place], program.ys[place]
        if op == MATCH:
            return None
        if op == CHARS:
            sets.add(x)
            continue
        for way in (x, y) if op == SPLIT else (y,):
            if way not in seen:
                seen.add(way)
                waiting.append(way)
    found = set()
    ends = [*program.bounds[1:], 0x110000]
    for first, end, kind in zip(program.bounds, ends, program.classes, strict=True):
        if any(program.sets[members][kind] for members in sets):
            found.update(range(first, min(end, 0x80)))
            if end > 0x80:
                found.update(range(lead(max(first, 0x80)), lead(end - 1) + 1))
    return found


def lead(code):
    """The first byte of a character beyond ASCII."""
    return 0xC0 | code >> 6 if code < 0x800 else 0xE0 | code >> 12 if code < 0x10000 else 0xF0 | code >> 18


@cython.final
cdef class Check:
    """What decides about the lines of a pattern that no automaton decides; keeps an error for the caller."""

    cdef object in_line, error
    cdef Job *job

    cdef Py_ssize_t start(self, const uint8_t *line, size_t size):
        text = PyBytes_FromStringAndSize(<const char *>line, <Py_ssize_t>size).decode("utf-8", "surrogateescape")
        found = self.in_line(text)
        return found if found <= 0 or text.isascii() else len(text[:found].encode("utf-8", "surrogateescape"))


cdef Py_ssize_t verify(void *context, const uint8_t *line, size_t size) noexcept with gil:
    cdef Check check = <Check>context
    try:
        return check.start(line, size)
    except TimeoutError:
        return -2
    except BaseException as error:
        check.error = error
        check.job.ended = 1
        return -2


def search(
    root,
    pattern,
    *,
    ignore_case=False,
    literal=False,
    context=0,
    multiline=False,
    mode="lines",
    limit=None,
    globs=(),
    hidden=False,
    no_ignore=False,
    excludes=None,
    stop=None,
):
    """See `nanocode.hot.search.search`."""
    if mode not in MODES:
        raise ValueError(f"`mode` is `{mode}`; use one of {', '.join(f'`{each}`' for each in MODES)}")
    wanted = query(pattern, ignore_case, literal, multiline)
    top = os.fsencode(root)
    kind = os.stat(top).st_mode
    answer = Answer(wanted, mode, context if mode == "lines" else 0, limit, stop)
    if stat.S_ISDIR(kind):
        answer.base = os.path.join(top, b"")
        answer.excludes = os.fsencode(excludes or b"")
        answer.tree(top, Globs(globs), hidden, no_ignore)
    elif stat.S_ISREG(kind):
        answer.base = top
        answer.one_file()
    else:
        answer.unreadable.append((b"", NOT_REGULAR))
    return answer.made()


cdef class Globs:
    """Globs as the walk wants them."""

    cdef WalkGlob *at
    cdef size_t count

    def __cinit__(self, globs):
        cdef bytes text
        self.at = <WalkGlob *>calloc(len(globs) + 1, sizeof(WalkGlob))
        if self.at == NULL:
            raise MemoryError
        for glob in globs:
            # Lone surrogates included, as the reference takes them.
            text = glob.removeprefix("!").encode(UTF32, "surrogatepass")
            self.at[self.count].wanted = not glob.startswith("!")
            self.at[self.count].glob = glob_compile(<const uint32_t *>PyBytes_AS_STRING(text), len(text) // 4, False)
            if self.at[self.count].glob == NULL:
                raise MemoryError
            self.count += 1

    def __dealloc__(self):
        cdef size_t at
        for at in range(self.count):
            glob_free(self.at[at].glob)
        free(self.at)


@cython.final
cdef class Walking:
    """A walk, and the place in it while it gives back its entries."""

    cdef Walk *walk
    cdef WalkCursor cursor

    def __dealloc__(self):
        walk_cursor_free(&self.cursor)
        walk_close(self.walk)

    cdef int open(self, WalkOptions *options, bytes top) except -1:
        cdef int error
        with nogil:
            self.walk = walk_open(options)
            error = errno
        if self.walk == NULL:
            raise OSError(error, os.strerror(error), top)
        return 0

    cdef int start(self) except -1:
        if walk_cursor_push(&self.cursor, self.walk.root) < 0:
            raise MemoryError
        return 0

    cdef bytes path(self):
        """Of the entry given last, relative to the root."""
        cdef size_t length
        cdef const char *folder = walk_path(self.walk, self.cursor.folder, &length)
        return folder[:length] + self.cursor.entry.name[: self.cursor.entry.length]


cdef class Answer:
    """One search, from the files to the answer."""

    cdef object wanted, mode, stop
    cdef Py_ssize_t context
    cdef object limit
    cdef public bytes base, excludes
    cdef public list unreadable
    cdef public bint stopped
    cdef public Py_ssize_t ignored
    cdef list files
    cdef Py_ssize_t matches, searched
    cdef bint limit_reached

    def __init__(self, wanted, mode, context, limit, stop):
        self.wanted = wanted
        self.mode = mode
        self.context = context
        self.limit = None if limit is None else min(limit, WALK_NO_LIMIT - 1)
        self.stop = stop
        self.unreadable = []
        self.files = []

    def made(self):
        return Search(
            tuple(self.files),
            self.matches,
            self.searched,
            self.ignored,
            sum(each.note == BINARY_NOTE for each in self.files),
            self.limit_reached,
            self.wanted.fallback,
            tuple(self.unreadable),
            self.stopped,
        )

    cdef Shift shift(self, size_t count):
        cdef Shift shift = Shift(self.wanted, self.stop, count)
        shift.job.mode = FORMS[self.mode]
        shift.job.shares = self.wanted.regular and not self.wanted.multiline and processors() > 1
        shift.job.limit = UNBOUNDED if self.limit is None else self.limit
        return shift

    def one_file(self):
        """Search `base` itself, a file that the caller named: its links are followed."""
        cdef Shift shift = self.shift(1)
        shift.job.paths[0] = PyBytes_AS_STRING(self.base)
        shift.job.follow = 1
        shift.job.folder = AT_FDCWD
        shift.run(1)
        if shift.job.files[0].state != FILE_UNSEEN:
            self.searched += shift.job.files[0].state == FILE_SEARCHED
            self.file(shift.job, &shift.job.files[0], b"")
        self.stopped = self.stopped or bool(self.stop and self.stop[0])

    def tree(self, bytes top, Globs globs, hidden, no_ignore):
        """Search the files below a folder while it is walked."""
        cdef Shift shift = self.shift(0)
        cdef WalkOptions options
        cdef bytes real = b"" if no_ignore else os.path.realpath(top)
        memset(&options, 0, sizeof(options))
        options.root = top
        options.real = real
        options.excludes = self.excludes
        options.ignore = not no_ignore
        options.hidden = hidden
        options.sort = True
        options.kinds = 1 << WALK_FILE
        options.depth = WALK_NO_LIMIT
        options.limit = WALK_NO_LIMIT if self.limit is None else min(self.limit, WALK_NO_LIMIT - 1)
        options.globs = globs.at
        options.glob_count = globs.count
        options.threads = min(processors(), MOST_WORKERS)
        options.patience = FEW_FILES
        # With a limit, a thread takes single files of a folder.
        options.piece = LISTING if self.limit is None else WHOLE
        options.over = &shift.job.ended
        options.spawn = spawn
        options.visit = <WalkVisit>tree_visit
        options.self = shift.job
        options.stop = <const char *>shift.job.stop
        cdef Walking walking = Walking()
        walking.open(&options, top)
        with nogil:
            walk_run(walking.walk)
        if shift.check.error is not None:
            raise shift.check.error
        if shift.job.failed or walking.walk.failed:
            raise MemoryError
        cdef int at
        for at in range(MOST_WORKERS):
            self.searched += shift.job.workers[at].searched
        self.collect(shift.job, walking)
        self.stopped = self.stopped or (not self.limit_reached and walking.walk.stopped != 0)

    cdef int collect(self, Job *job, Walking walking) except -1:
        """Put together what was found, in path order and up to the limit."""
        cdef WalkError *error
        cdef list faults = []
        walking.start()
        while not self.limit_reached and not self.stopped and walk_next(walking.walk, &walking.cursor) == WALK_ENTRY:
            if walking.cursor.fresh:
                self.ignored += walking.cursor.folder.ignored
                error = walking.cursor.folder.errors
                while error != NULL:
                    faults.append((self.named(error.path), os.strerror(error.error).lower()))
                    error = error.next
            elif walking.cursor.entry.data != NULL:
                self.file(job, <File *>walking.cursor.entry.data, walking.path())
        self.unreadable = faults + self.unreadable
        return 0

    cdef bytes named(self, bytes path):
        """A path that the walk could not read, as the reference says it."""
        if path.startswith(self.base):
            return path[len(self.base):]
        return path if path == self.excludes else os.path.relpath(path, os.path.realpath(self.base))

    cdef int file(self, Job *job, File *file, bytes path) except -1:
        if file.state == FILE_FAILED:
            self.unreadable.append((path, why(file)))
        elif file.state == FILE_DEFERRED:
            self.deferred(path)
        elif file.state == FILE_LARGE:
            self.large(path)
        elif file.count or file.over:
            self.found(job, file, path)
        return 0

    cdef int large(self, path) except -1:
        """Search one large file with all threads."""
        room = self.room()
        try:
            descriptor = opened(self.base + path, follow=not path)
        except OSError as error:
            self.unreadable.append((path, (error.strerror or str(error)).lower()))
            return 0
        size = os.fstat(descriptor).st_size
        cdef Shift shift = Shift(self.wanted, self.stop, (size + PIECE - 1) // PIECE)
        cdef Job *job = shift.job
        cdef bint binary, any_is_enough
        job.folder = descriptor
        job.size = size
        job.known = 1
        self.searched += 1
        binary = is_binary(descriptor)
        any_is_enough = binary or self.mode == "files" or room == 0
        job.mode = MODE_FILES if any_is_enough else FORMS[self.mode]
        job.limit = 0 if any_is_enough else UNBOUNDED if room is None or self.mode == "count" else room
        shift.run(processors())
        self.stopped = bool(self.stop and self.stop[0])
        self.pieces(job, path, binary, any_is_enough)
        return 0

    cdef int pieces(self, Job *job, path, bint binary, bint any_is_enough) except -1:
        """Put the pieces of a large file together."""
        cdef size_t at
        cdef uint64_t count = 0, lines = 0
        cdef File whole
        cdef list hits = []
        over = 0
        for at in range(job.count):
            whole = job.files[at]
            if whole.state == FILE_UNSEEN:
                break
            if whole.state == FILE_FAILED:
                self.unreadable.append((path, why(&whole)))
                return 0
            count += whole.count
            hits += shown_hits(job, &whole, lines)
            if whole.over and not over:
                over = lines + whole.over
            lines += whole.lines
            if over or (any_is_enough and count):
                break
        if any_is_enough:
            count = min(count, 1)
        if count or over:
            self.take(path, count, over, hits, binary)
        return 0

    cdef object room(self):
        """How many more matches, or files, there may be; None without a bound."""
        if self.limit is None:
            return None
        return self.limit - (self.matches if self.mode == "lines" else len(self.files))

    cdef int found(self, Job *job, File *file, path) except -1:
        if file.late:
            self.unreadable.append((path, f"the pattern took too long in line {file.over}"))
            if not file.count:
                return 0
        over = 0 if file.late else file.over
        lines = self.mode == "lines" and not file.binary
        return self.take(path, file.count, over, shown_hits(job, file, 0) if lines else [], file.binary)

    cdef int take(self, path, count, over, list hits, bint binary) except -1:
        """Add what was found in one file, as far as there is room for it."""
        room = self.room()
        if room == 0:
            self.limit_reached = True
            return 0
        if binary:
            self.add(FileMatches(path, 1, (), BINARY_NOTE))
            return 0
        if self.mode != "lines":
            self.add(FileMatches(path, count, (), ""))
            return 0
        if room is not None and len(hits) > room:
            over = hits[room][0]
            hits = hits[:room]
        count = len(hits)
        self.limit_reached = over > 0
        if self.context:
            hits = [Line(*hit) for hit in self.surrounded(path, hits, over)]
        self.add(FileMatches(path, count, tuple(hits), ""))
        return 0

    cdef list surrounded(self, path, hits, over):
        try:
            descriptor = opened(self.base + path, follow=not path)
        except OSError:
            # It has gone meanwhile, or only its folder's descriptor leads to it; what was found stays.
            return hits
        try:
            pieces = blocks(descriptor, whole=self.wanted.multiline)
            return lines_around(pieces, hits, self.context, over, self.stop)
        finally:
            self.stopped = self.stopped or bool(self.stop and self.stop[0])
            os.close(descriptor)

    cdef int deferred(self, path) except -1:
        """Leave a file to the reference: UTF-16, and what may match over lines."""
        try:
            descriptor = opened(self.base + path, follow=not path)
            self.searched += 1
            try:
                one = file_matches(descriptor, self.wanted, self.mode, self.room(), self.context, self.stop)
            finally:
                os.close(descriptor)
        except OSError as error:
            self.unreadable.append((path, (error.strerror or str(error)).lower()))
            return 0
        if one.late:
            self.unreadable.append((path, one.late))
        self.stopped = one.stopped
        self.limit_reached = one.over
        if one.count:
            self.add(FileMatches(path, one.count, tuple([Line(*hit) for hit in one.hits]), one.note))
        return 0

    cdef int add(self, matches) except -1:
        self.files.append(matches)
        self.matches += matches.count
        return 0


cdef object why(File *file):
    if file.why == WHY_NOT_REGULAR:
        return NOT_REGULAR
    return HOLLOW if file.why == WHY_HOLLOW else os.strerror(file.error).lower()


cdef list shown_hits(Job *job, File *file, uint64_t before):
    """The lines of a file, of which `before` lie before the piece that was searched."""
    cdef Worker *worker = &job.workers[file.worker]
    cdef const char *text
    cdef Hit *hit
    cdef size_t at
    cdef str line
    cdef list found = []
    for at in range(file.hit, file.hit + file.hits):
        hit = &worker.hits[at]
        text = <const char *>worker.text + hit.at
        line = PyUnicode_DecodeUTF8(text, hit.size, "surrogateescape")
        if len(line) > SHOWN_MOST:
            line = window(text[: hit.start], line, hit.cut)
        elif not PyUnicode_IS_ASCII(line):
            line = shown(line, 0)
        made = new_tuple(Line, (before + hit.number, line, True))
        # It can be in no cycle, and many of them would cost the collector as much as they cost to find.
        PyObject_GC_UnTrack(made)
        found.append(made)
    return found


cdef str window(head, text, cut):
    """What `shown` gives of the whole line, from the stretch of it that was kept; `head` is what precedes the match."""
    start = len(head.decode("utf-8", "surrogateescape"))
    if not cut:
        return shown(text, start)
    begin = max(0, start - SHOWN)
    end = start + SHOWN
    return shown(text[begin:end], start - begin, begin > 0 or cut & CUT_BEFORE, end < len(text) or cut & CUT_AFTER)


cdef object processors():
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


@cython.final
cdef class Shift:
    """A job, with all that it needs until it is done."""

    cdef Job *job
    cdef Check check
    cdef Compiled form
    cdef Py_buffer flag
    cdef bint flagged

    def __cinit__(self, wanted, stop, size_t count):
        self.job = <Job *>calloc(1, sizeof(Job))
        if self.job == NULL:
            raise MemoryError
        self.job.folder = -1
        self.job.count = count
        self.job.files = <File *>calloc(count + 1, sizeof(File))
        self.job.paths = <const char **>calloc(count + 1, sizeof(char *))
        if self.job.files == NULL or self.job.paths == NULL:
            raise MemoryError
        self.form = compiled_form(wanted)
        self.job.engine = &self.form.engine
        self.check = Check()
        self.check.in_line = wanted.in_line
        self.check.job = self.job
        self.job.verify = verify
        self.job.context = <void *>self.check
        self.job.multiline = wanted.multiline
        self.job.longest = LONGEST
        self.job.binary_look = BINARY_LOOK
        self.job.largest_claim = LARGEST_CLAIM
        if stop is not None:
            PyObject_GetBuffer(stop, &self.flag, PyBUF_SIMPLE)
            self.flagged = True
            self.job.stop = <const char *>self.flag.buf

    def __dealloc__(self):
        if self.flagged:
            PyBuffer_Release(&self.flag)
        if self.job == NULL:
            return
        if self.job.folder >= 0:
            close(self.job.folder)
        job_free(self.job)
        free(self.job.files)
        free(<void *>self.job.paths)
        free(self.job)

    cdef int run(self, int threads) except -1:
        cdef int failed
        with nogil:
            failed = job_run(self.job, threads)
        if self.check.error is not None:
            raise self.check.error
        if failed:
            raise MemoryError
        return 0


LOCK = Lock()


cdef Compiled compiled_form(wanted):
    with LOCK:
        if wanted.native is None:
            wanted.native = Compiled(wanted)
        return wanted.native
