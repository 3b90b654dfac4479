"""The compiled twin of `nanocode/hot/globs.py`, which holds the contract."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint32_t

cimport cython

ABI = 1


cdef extern from "globs.h" nogil:
    ctypedef struct GlobText:
        const char *bytes
        size_t size
    ctypedef struct Compiled "Glob":
        bint anchored, folders_only, simple, star
        GlobText *names
        uint32_t name_count
    ctypedef struct GlobRun:
        pass
    Compiled *glob_compile(const uint32_t *text, uint32_t size, bint anchored)
    void glob_free(Compiled *glob)
    int glob_run_make(GlobRun *run, const Compiled *glob)
    void glob_run_free(GlobRun *run)
    void glob_enter(const Compiled *glob, GlobRun *run, const char *folder, size_t size)
    bint glob_matches(const Compiled *glob, GlobRun *run, const char *name, size_t size)


cdef class Glob:
    """See `nanocode.hot.globs.Glob`."""

    cdef readonly str pattern
    cdef Compiled *compiled
    cdef GlobRun run
    cdef bytes folder

    def __init__(self, str pattern, *, bint anchored=False):
        cdef uint32_t size = len(pattern)
        cdef uint32_t index
        cdef uint32_t *text = <uint32_t *>PyMem_Malloc((size + 1) * sizeof(uint32_t))
        if text == NULL:
            raise MemoryError
        for index in range(size):
            text[index] = <Py_UCS4>pattern[index]
        self.release()
        self.pattern = pattern
        self.folder = None
        self.compiled = glob_compile(text, size, anchored)
        PyMem_Free(text)
        if self.compiled == NULL or glob_run_make(&self.run, self.compiled) < 0:
            raise MemoryError

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        if self.compiled != NULL:
            glob_run_free(&self.run)
            glob_free(self.compiled)
            self.compiled = NULL

    @property
    def anchored(self):
        return self.compiled.anchored

    @property
    def folders_only(self):
        return self.compiled.folders_only

    @property
    def literal(self):
        if not self.compiled.simple or self.compiled.star or self.compiled.name_count != 1:
            return None
        return self.compiled.names[0].bytes[:self.compiled.names[0].size]

    @cython.critical_section
    def matches(self, bytes path not None):
        cdef Py_ssize_t cut = path.rfind(b"/") + 1
        cdef const char *text = path
        # Names of one folder come one after the other.
        if self.folder is None or path[:cut] != self.folder:
            self.folder = path[:cut]
            glob_enter(self.compiled, &self.run, text, cut)
        return glob_matches(self.compiled, &self.run, text + cut, len(path) - cut)
