"""The compiled twin of `nanocode/hot/ignore.py`, which holds the contract."""

import os

ABI = 1


cdef extern from "walk.h" nogil:
    ctypedef void (*IgnoreReport)(void *self, const char *path, int error) noexcept
    ctypedef struct Shelf:
        const char *excludes
        IgnoreReport report
        void *self
    int walk_ignored(const char *real, const char *path, bint folder, const Shelf *shelf)


cdef void note(void *faults, const char *path, int error) noexcept with gil:
    (<list>faults).append((path, error))


def ignored(root, bytes path not None, *, bint folder=False, excludes=None, report=None):
    cdef bytes real = os.path.realpath(os.fsencode(root))
    cdef bytes general = os.fsencode(excludes) if excludes else b""
    cdef list faults = []
    cdef Shelf shelf = Shelf(general, note, <void *>faults)
    cdef const char *at = real
    cdef const char *asked = path
    cdef int answer
    with nogil:
        answer = walk_ignored(at, asked, folder, &shelf)
    if answer < 0:
        raise MemoryError
    for fault, error in faults if report else ():
        report(fault, OSError(error, os.strerror(error), fault))
    return answer > 0
