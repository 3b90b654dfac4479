# Declarations of walk.h; see there.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "walk.h" nogil:
    int64_t WALK_NO_LIMIT
    enum:
        WALK_FILE, WALK_DIR, WALK_LINK, WALK_OTHER
        WALK_END, WALK_ENTRY, WALK_WAIT

    ctypedef struct Glob:
        pass
    Glob *glob_compile(const uint32_t *text, uint32_t size, bint anchored)
    void glob_free(Glob *glob)

    ctypedef struct WalkGlob:
        Glob *glob
        bint wanted
    ctypedef struct WalkError:
        WalkError *next
        int error
        const char *path
    ctypedef struct WalkEntry:
        const char *name
        uint32_t length, weight
        uint8_t kind, listed
        void *data
        int64_t time
    ctypedef struct WalkFolder:
        WalkError *errors
        int64_t ignored
        int descriptor
    ctypedef int (*WalkVisit)(void *self, int thread, int descriptor, WalkEntry *entries, size_t count) noexcept
    ctypedef int (*WalkSpawn)(void (*run)(void *) noexcept nogil, void *argument) noexcept
    ctypedef struct WalkOptions:
        const char *root
        const char *real
        const char *excludes
        bint ignore, hidden, sort, newest
        int kinds, threads
        int64_t depth, limit, patience
        const WalkGlob *globs
        size_t glob_count, piece
        const char *stop
        WalkSpawn spawn
        WalkVisit visit
        void *self
        int *over
    ctypedef struct WalkCursor:
        WalkFolder *folder
        WalkEntry *entry
        bint fresh
    ctypedef struct Walk:
        WalkFolder *root
        int failed, stopped

    const char *walk_path(const Walk *walk, const WalkFolder *folder, size_t *length)
    Walk *walk_open(const WalkOptions *options)
    void walk_run(Walk *walk)
    int walk_cursor_push(WalkCursor *cursor, WalkFolder *folder)
    int walk_next(Walk *walk, WalkCursor *cursor)
    void walk_cursor_free(WalkCursor *cursor)
    void walk_close(Walk *walk)
