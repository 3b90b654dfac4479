"""The compiled twin of `nanocode/hot/search.py`, which holds the contract."""

import os
import stat
from array import array
from threading import Lock

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from nanocode.hot.automaton import CHARS, MATCH, NO_WORD_EDGE, SPLIT, STARTS, WORD_EDGE, compiled
from nanocode.hot.lines import SHOWN, shown
from nanocode.hot.lines import around as lines_around
from nanocode.hot.query import query
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
    file_matches,
    opened,
)
from nanocode.hot.syntax import mirrored, relaxed
from nanocode.hot.walk import walk

cdef extern from "search.h" nogil:
    enum: NEEDLES, NEEDLE_BYTES, MOST_WORKERS
    enum: MODE_LINES, MODE_FILES, MODE_COUNT
    enum: TIER_NEEDLE, TIER_NEEDLES, TIER_SET, TIER_DFA
    enum: FILE_UNSEEN, FILE_SEARCHED, FILE_FAILED, FILE_DEFERRED
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

    ctypedef struct Engine:
        Program program, mirrored
        Needles needles
        ByteSet set
        int tier, whole, verified

    ctypedef struct Hit:
        uint64_t number
        size_t at, size, start
        int cut

    ctypedef struct File:
        uint64_t count, over
        uint32_t hit, hits
        int32_t error
        uint8_t state, why, binary, worker, late

    ctypedef struct Worker:
        uint8_t *text
        Hit *hits

    ctypedef struct Job:
        const Engine *engine
        const char **paths
        size_t count
        File *files
        int folder, follow, mode, multiline
        uint64_t limit
        size_t longest, binary_look
        uint64_t largest_claim
        const char *stop
        Py_ssize_t (*verify)(void *, const uint8_t *, size_t) noexcept nogil
        void *context
        int ended
        Worker *workers

    void needle_set(Needle *needle, const uint8_t *text, size_t size, int folded)
    void needles_prepare(Needles *all)
    void set_prepare(ByteSet *set)
    int scan_has(int isa)
    void scan_choose(int isa)
    int job_run(Job *job, int threads)
    void job_free(Job *job)

ABI = 1

ISAS = {"plain": ISA_PLAIN, "avx2": ISA_AVX2, "neon": ISA_NEON}
# A literal with no rarer byte than this, by the ranks of `COMMON`, is in every other line: to look for it is in vain.
cdef int FREQUENT = 225
# A set of first bytes that are all rarer than this is worth skipping to.
cdef int SELDOM = 170
# So few files are searched sooner than a thread starts.
cdef size_t FEW_FILES = 16


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
        self.plan(wanted)

    cdef int fill(self, Program *into, program) except -1:
        width = len(program.words)
        parts = [
            array("i", program.ops),
            array("i", program.xs),
            array("i", program.ys),
            bytes(inside for members in program.sets for inside in members) + b"\0",
            bytes(program.words),
            array("I", program.bounds),
            array("i", program.classes),
        ]
        self.kept += parts
        into.count = len(program.ops)
        into.entry = program.entry
        into.sets = len(program.sets)
        into.classes = width
        into.bounds = len(program.bounds)
        into.has_start = STARTS in program.edges
        into.has_word = WORD_EDGE in program.edges or NO_WORD_EDGE in program.edges
        into.op = <const int32_t *><size_t>parts[0].buffer_info()[0]
        into.x = <const int32_t *><size_t>parts[1].buffer_info()[0]
        into.y = <const int32_t *><size_t>parts[2].buffer_info()[0]
        into.member = <const uint8_t *>PyBytes_AS_STRING(parts[3])
        into.is_word = <const uint8_t *>PyBytes_AS_STRING(parts[4])
        into.bound = <const uint32_t *><size_t>parts[5].buffer_info()[0]
        into.run = <const int32_t *><size_t>parts[6].buffer_info()[0]
        return 0

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
        return 0

    cdef bint rare(self, required):
        return all(min(COMMON[byte] for byte in literal.text) < FREQUENT for literal in required)


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
        tree = walk(
            top, globs=globs, hidden=hidden, no_ignore=no_ignore, kinds="files", excludes=excludes, stop=stop
        )
        answer.unreadable += tree.unreadable
        answer.ignored = tree.ignored
        if tree.stopped:
            answer.stopped = True
        else:
            answer.base = os.path.join(top, b"")
            answer.run([entry.path for entry in tree.entries])
    elif stat.S_ISREG(kind):
        answer.base = top
        answer.run([b""])
    else:
        answer.unreadable.append((b"", NOT_REGULAR))
    return answer.made()


cdef class Answer:
    """One search, from the files to the answer."""

    cdef object wanted, mode, stop
    cdef Py_ssize_t context
    cdef object limit
    cdef public bytes base
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
        self.limit = limit
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

    def run(self, list paths):
        cdef Job *job = <Job *>calloc(1, sizeof(Job))
        cdef Py_buffer flag
        cdef Check check = Check()
        cdef Compiled compiled_query = compiled_form(self.wanted)
        cdef bint flagged = False
        if job == NULL:
            raise MemoryError
        job.folder = -1
        try:
            job.engine = &compiled_query.engine
            check.in_line = self.wanted.in_line
            check.job = job
            job.verify = verify
            job.context = <void *>check
            if self.stop is not None:
                PyObject_GetBuffer(self.stop, &flag, PyBUF_SIMPLE)
                flagged = True
                job.stop = <const char *>flag.buf
            self.search(job, paths)
            if check.error is not None:
                raise check.error
            self.collect(job, paths)
        finally:
            if flagged:
                PyBuffer_Release(&flag)
            if job.folder >= 0:
                os.close(job.folder)
            job_free(job)
            free(job.files)
            free(<void *>job.paths)
            free(job)

    cdef int search(self, Job *job, list paths) except -1:
        cdef size_t count = len(paths), at
        cdef int threads, failed
        job.count = count
        job.files = <File *>calloc(count + 1, sizeof(File))
        job.paths = <const char **>calloc(count + 1, sizeof(char *))
        if job.files == NULL or job.paths == NULL:
            raise MemoryError
        for at in range(count):
            job.paths[at] = PyBytes_AS_STRING(paths[at])
        if paths == [b""]:
            # A file named by the caller: its links are followed.
            job.paths[0] = PyBytes_AS_STRING(self.base)
            job.follow = 1
            job.folder = os.open(b".", os.O_RDONLY | os.O_DIRECTORY)
        else:
            job.folder = os.open(self.base, os.O_RDONLY | os.O_DIRECTORY)
        job.mode = {"lines": MODE_LINES, "files": MODE_FILES, "count": MODE_COUNT}[self.mode]
        job.multiline = self.wanted.multiline
        job.limit = <uint64_t>-1 if self.limit is None else self.limit
        job.longest = LONGEST
        job.binary_look = BINARY_LOOK
        job.largest_claim = LARGEST_CLAIM
        threads = 1 if count <= FEW_FILES else min(processors(), MOST_WORKERS)
        with nogil:
            failed = job_run(job, threads)
        if failed:
            raise MemoryError
        return 0

    cdef int collect(self, Job *job, list paths) except -1:
        """Put together what the workers found, in path order and up to the limit."""
        cdef size_t at
        cdef File *file
        for at in range(job.count):
            file = &job.files[at]
            if file.state == FILE_UNSEEN:
                self.stopped = bool(self.stop and self.stop[0])
                break
            if file.state == FILE_FAILED:
                self.unreadable.append((paths[at], why(file)))
                continue
            if file.state == FILE_DEFERRED:
                self.deferred(paths[at])
            else:
                self.searched += 1
                if file.count or file.over:
                    self.found(job, file, paths[at])
            if self.limit_reached or self.stopped:
                break
        self.stopped = self.stopped or bool(self.stop and self.stop[0])
        return 0

    cdef object room(self):
        """How many more matches, or files, there may be; None without a bound."""
        if self.limit is None:
            return None
        return self.limit - (self.matches if self.mode == "lines" else len(self.files))

    cdef int found(self, Job *job, File *file, path) except -1:
        room = self.room()
        if file.late:
            self.unreadable.append((path, f"the pattern took too long in line {file.over}"))
            if not file.count:
                return 0
        if room == 0:
            self.limit_reached = True
            return 0
        if file.binary:
            self.add(FileMatches(path, 1, (), BINARY_NOTE))
            return 0
        if self.mode != "lines":
            self.add(FileMatches(path, file.count, (), ""))
            return 0
        hits = shown_hits(job, file)
        over = 0 if file.late else file.over
        if room is not None and len(hits) > room:
            over = hits[room][0]
            hits = hits[:room]
        count = len(hits)
        self.limit_reached = over > 0
        if self.context:
            hits = self.surrounded(path, hits, over)
        self.add(FileMatches(path, count, tuple([Line(*hit) for hit in hits]), ""))
        return 0

    cdef list surrounded(self, path, hits, over):
        descriptor = opened(self.base + path, follow=not path)
        try:
            return lines_around(blocks(descriptor, whole=self.wanted.multiline), hits, self.context, over)
        finally:
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


cdef list shown_hits(Job *job, File *file):
    cdef Worker *worker = &job.workers[file.worker]
    cdef Hit *hit
    cdef size_t at
    cdef list found = []
    for at in range(file.hit, file.hit + file.hits):
        hit = &worker.hits[at]
        data = PyBytes_FromStringAndSize(<const char *>worker.text + hit.at, hit.size)
        text = data.decode("utf-8", "surrogateescape")
        if len(text) > SHOWN:
            text = window(data, text, hit.start, hit.cut)
        elif not text.isascii():
            text = shown(text, 0)
        found.append((hit.number, text, True))
    return found


cdef str window(data, text, start, cut):
    """What `shown` gives of the whole line, from the stretch around the match that was kept of it."""
    start = len(data[:start].decode("utf-8", "surrogateescape"))
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


LOCK = Lock()


cdef Compiled compiled_form(wanted):
    with LOCK:
        if wanted.native is None:
            wanted.native = Compiled(wanted)
        return wanted.native
