"""The compiled twin of `nanocode/hot/walk.py`, which holds the contract."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from libc.errno cimport errno
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport qsort
from libc.string cimport memcpy, memset

from walk_h cimport (
    WALK_ENTRY,
    WALK_NO_LIMIT,
    Glob,
    Walk,
    WalkCursor,
    WalkEntry,
    WalkError,
    WalkFolder,
    WalkGlob,
    WalkOptions,
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

import os

from nanocode.hot.walk import KINDS, Entry
from nanocode.hot.walk import Walk as Found
from nanocode.hot.walk import checked

ABI = 1

# How many entries to see before threads are worth their start (some 30 us each).
cdef int64_t PATIENCE = 2000
cdef tuple NAMES = ("file", "dir", "link", "other")


cdef extern from "pythread.h" nogil:
    unsigned long PyThread_start_new_thread(void (*run)(void *) noexcept nogil, void *argument)
    unsigned long PYTHREAD_INVALID_THREAD_ID


cdef extern from "Python.h":
    object PyType_GenericAlloc(PyTypeObject *type, Py_ssize_t count)
    void PyObject_GC_UnTrack(object each)


cdef int spawn(void (*run)(void *) noexcept nogil, void *argument) noexcept nogil:
    return PyThread_start_new_thread(run, argument) == PYTHREAD_INVALID_THREAD_ID


cdef struct Dated:
    WalkFolder *folder
    WalkEntry *entry
    int64_t place


cdef int newer(const void *one, const void *other) noexcept nogil:
    cdef const Dated *a = <const Dated *>one
    cdef const Dated *b = <const Dated *>other
    if a.entry.time != b.entry.time:
        return -1 if a.entry.time > b.entry.time else 1
    return -1 if a.place < b.place else 1


cdef class Globs:
    """The compiled globs of one walk."""

    cdef WalkGlob *at
    cdef size_t count

    def __cinit__(self, globs):
        self.at = <WalkGlob *>PyMem_Calloc(len(globs) + 1, sizeof(WalkGlob))
        if self.at == NULL:
            raise MemoryError
        for glob in globs:
            self.at[self.count].wanted = not glob.startswith("!")
            self.at[self.count].glob = compiled(glob.removeprefix("!"))
            self.count += 1

    def __dealloc__(self):
        cdef size_t index
        for index in range(self.count):
            glob_free(self.at[index].glob)
        PyMem_Free(self.at)


cdef Glob *compiled(str pattern) except NULL:
    cdef uint32_t size = len(pattern)
    cdef uint32_t index
    cdef uint32_t *text = <uint32_t *>PyMem_Malloc((size + 1) * sizeof(uint32_t))
    cdef Glob *glob
    if text == NULL:
        raise MemoryError
    for index in range(size):
        text[index] = <Py_UCS4>pattern[index]
    glob = glob_compile(text, size, False)
    PyMem_Free(text)
    if glob == NULL:
        raise MemoryError
    return glob


cdef class Answer:
    """A walk at rest, and what becomes of it."""

    cdef Walk *walk
    cdef WalkCursor cursor
    cdef bytes top, base, excludes
    cdef list entries, unreadable
    cdef int64_t limit, ignored, total

    def __dealloc__(self):
        walk_cursor_free(&self.cursor)
        walk_close(self.walk)

    cdef int start(self) except -1:
        self.entries = []
        self.unreadable = []
        return walk_cursor_push(&self.cursor, self.walk.root)

    cdef int in_path_order(self) except -1:
        while self.total <= self.limit and walk_next(self.walk, &self.cursor) == WALK_ENTRY:
            if self.cursor.fresh:
                self.enter(self.cursor.folder)
            elif self.cursor.entry.listed:
                self.total += 1
                if self.total <= self.limit:
                    self.add(self.cursor.folder, self.cursor.entry)
        return 0

    cdef int newest_first(self) except -1:
        cdef Dated *found = NULL
        cdef Dated *more
        cdef int64_t room = 0
        cdef int64_t place
        try:
            while walk_next(self.walk, &self.cursor) == WALK_ENTRY:
                if self.cursor.fresh:
                    self.enter(self.cursor.folder)
                elif self.cursor.entry.listed:
                    if self.total == room:
                        room = 2 * room + 1024
                        more = <Dated *>PyMem_Realloc(found, room * sizeof(Dated))
                        if more == NULL:
                            raise MemoryError
                        found = more
                    found[self.total] = Dated(self.cursor.folder, self.cursor.entry, self.total)
                    self.total += 1
            if self.total:
                qsort(found, self.total, sizeof(Dated), newer)
            for place in range(min(self.total, self.limit)):
                self.add(found[place].folder, found[place].entry)
        finally:
            PyMem_Free(found)
        return 0

    cdef int add(self, WalkFolder *folder, WalkEntry *entry) except -1:
        cdef size_t length
        cdef const char *path = walk_path(self.walk, folder, &length)
        cdef bytes whole = PyBytes_FromStringAndSize(NULL, length + entry.length)
        memcpy(PyBytes_AS_STRING(whole), path, length)
        memcpy(PyBytes_AS_STRING(whole) + length, entry.name, entry.length)
        # Half the time of calling the class.
        cdef object each = PyType_GenericAlloc(<PyTypeObject *>Entry, 2)
        cdef object kind = NAMES[entry.kind]
        Py_INCREF(whole)
        PyTuple_SET_ITEM(each, 0, whole)
        Py_INCREF(kind)
        PyTuple_SET_ITEM(each, 1, kind)
        # Bytes and text are in no cycle, and the collector need not visit 100,000 of them.
        PyObject_GC_UnTrack(each)
        self.entries.append(each)
        return 0

    cdef int enter(self, WalkFolder *folder) except -1:
        cdef WalkError *error = folder.errors
        self.ignored += folder.ignored
        while error != NULL:
            self.unreadable.append((self.named(error.path), os.strerror(error.error).lower()))
            error = error.next
        return 0

    cdef bytes named(self, bytes path):
        if path.startswith(self.base):
            return path[len(self.base):]
        if path == self.excludes:
            return path
        return os.path.relpath(path, os.path.realpath(self.top))


cdef int opened(Answer answer, WalkOptions *options, bytes top) except -1:
    cdef int error
    with nogil:
        answer.walk = walk_open(options)
        error = errno
    if answer.walk == NULL:
        raise OSError(error, os.strerror(error), top)
    return 0


def walk(
    root, *, globs=(), bint hidden=False, bint no_ignore=False, max_depth=None, limit=None, kinds="all",
    bint sort=True, bint newest=False, excludes=None, stop=None, int threads=0,
):
    cdef Answer answer = Answer()
    cdef Globs wanted
    cdef WalkOptions options
    cdef Py_buffer held
    cdef bytes real
    checked(kinds, limit)
    memset(&options, 0, sizeof(options))
    wanted = Globs(globs)
    answer.top = os.fsencode(root)
    if b"\0" in answer.top:
        raise ValueError("embedded null character in path")
    answer.base = answer.top if answer.top.endswith(b"/") else answer.top + b"/"
    answer.excludes = os.fsencode(excludes or b"")
    answer.limit = WALK_NO_LIMIT - 1 if limit is None else min(limit, WALK_NO_LIMIT - 1)
    real = b"" if no_ignore else os.path.realpath(answer.top)
    options.root = answer.top
    options.real = real
    options.excludes = answer.excludes
    options.ignore = not no_ignore
    options.hidden = hidden
    options.sort = sort or newest
    options.newest = newest
    for kind in KINDS[kinds]:
        options.kinds |= 1 << NAMES.index(kind)
    options.depth = WALK_NO_LIMIT if max_depth is None else max_depth
    options.limit = WALK_NO_LIMIT if limit is None else answer.limit
    options.globs = wanted.at
    options.glob_count = wanted.count
    options.threads = threads or os.cpu_count() or 1
    options.patience = PATIENCE
    options.spawn = spawn
    if stop is not None:
        PyObject_GetBuffer(stop, &held, PyBUF_SIMPLE)
        options.stop = <const char *>held.buf if held.len else NULL
    try:
        opened(answer, &options, answer.top)
        with nogil:
            walk_run(answer.walk)
    finally:
        if stop is not None:
            PyBuffer_Release(&held)
    if answer.walk.failed or answer.start() < 0:
        raise MemoryError
    if newest:
        answer.newest_first()
    else:
        answer.in_path_order()
    truncated = limit is not None and answer.total > limit
    stopped = not truncated and answer.walk.stopped != 0
    return Found(answer.entries, answer.ignored, answer.unreadable, truncated, stopped, answer.total)
