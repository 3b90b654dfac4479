/* A tree listed the way git sees it, by several threads and without the GIL; the twin of nanocode/hot/walk.py, which
   holds the contract.

   How to use it (see `walk.pyx`; all of it without the GIL):

       WalkOptions options = {.root = "src/", .limit = WALK_NO_LIMIT, .depth = WALK_NO_LIMIT, .kinds = 1 << WALK_FILE, …};
       Walk *walk = walk_open(&options);            // NULL with errno: the root cannot be listed
       walk_run(walk);                              // on this thread and on those that options.spawn starts
       while ((step = walk_next(walk, &cursor)) …)  // what was kept, in path order
       walk_close(walk);

   Without `visit`, all entries wanted are kept. With it, `visit(self, thread, descriptor, entries, count)` is called
   while the walk runs, from any of its threads, for each batch of wanted entries of one folder, sorted by name within
   the batch, for `openat(descriptor, entry->name, …)`; the descriptor and the names are good only until `visit` returns.
   An entry is kept when `visit` sets its `weight` or its `data`; then `walk_next` gives it in path order at the end, so
   an answer is put in order without a sort of its own. The walk ends early as soon as the weights of the first entries
   in path order exceed `limit`, and sets `*options.over`: the answer is the same however many threads ran, and
   `walk_first.h` is how little is looked at that is not in it. `visit` returns nonzero when it is out of memory: that
   ends the walk with `walk->failed` set.
   `thread` is below `options.threads`: an index for what each thread has of its own.

   Without a limit, folders wait in one LIFO; a folder that does not fit into one piece goes back to it, open, as soon as
   a piece is read, so that another thread may go on with it. Descriptors: two a thread and at most WALK_CONTINUED more.
   */

#ifndef NANOCODE_WALK_H
#define NANOCODE_WALK_H

#include <dirent.h>
#include <limits.h>
#include <pthread.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

#include "globs.h"
#include "ignore.h"

#define WALK_NO_LIMIT INT64_MAX
#define WALK_MOST_THREADS 8
#define WALK_CONTINUED 16
/* What is read of a folder at once, in bytes of its listing; `options.piece` may ask for less. */
#define WALK_PIECE (128 << 10)
#define WALK_SMALLEST_PIECE (4 << 10)

enum { WALK_FILE, WALK_DIR, WALK_LINK, WALK_OTHER };
enum { WALK_END, WALK_ENTRY, WALK_WAIT };

typedef struct WalkFolder WalkFolder;

typedef struct {
    const char *name; /* with a NUL at its end */
    uint64_t key;     /* its first eight bytes, for comparisons */
    uint32_t length;
    uint8_t kind, listed;
    uint32_t weight; /* how much it counts for the limit */
    union {
        void *data;   /* the visitor's */
        int64_t time; /* nanoseconds of the last change, when the walk is to be newest first */
    };
    WalkFolder *below; /* the folder that it is, when that is descended */
} WalkEntry;

typedef struct WalkError {
    struct WalkError *next;
    int error;
    char path[]; /* as the system was asked */
} WalkError;

typedef struct WalkNames {
    struct WalkNames *next;
    char bytes[];
} WalkNames;

/* What is to be done, in a walk with a limit; under the lock but for `cut`. */
typedef struct WalkTask {
    struct WalkTask *before, *next; /* in path order; `before` is NULL outside of the list */
    WalkFolder *folder;
    uint32_t from, upto; /* entries of the folder */
    int64_t after;       /* the weight of what is done between this task and the next one */
    int64_t room;        /* what the limit left for it when it was taken */
    int listed, taken;
    atomic_int cut; /* nothing of it can be in the answer */
} WalkTask;

struct WalkFolder {
    WalkFolder *all; /* the next of all folders of the walk */
    Layer *layers;
    Scope scope;
    WalkEntry *entries;
    WalkNames *names;
    WalkError *errors, **last_error;
    int64_t ignored;
    int64_t depth;
    uint32_t count, room;
    atomic_int pieces; /* in work, and one more until the listing has ended */
    WalkTask task;
    int descriptor, repository, pieces_read, own;
    atomic_int done;
    uint32_t length; /* of `place`: the path from the repository's root above, "" or with a slash at its end */
    char place[];
};

typedef int (*WalkVisit)(void *self, int thread, int descriptor, WalkEntry *entries, size_t count);
typedef int (*WalkSpawn)(void (*run)(void *), void *argument); /* 0 when a thread was started */

typedef struct {
    Glob *glob;
    int wanted;
} WalkGlob;

typedef struct {
    const char *root;  /* as the caller named it */
    const char *real;  /* with links resolved; only needed with ignore rules */
    const char *excludes;
    int ignore, hidden, sort, newest;
    int kinds; /* bits 1 << WALK_FILE and so on */
    int64_t depth, limit;
    const WalkGlob *globs; /* the last one that matches decides */
    size_t glob_count;
    const char *stop; /* a byte that another thread may set */
    int threads;       /* at most; 1 for this thread alone */
    int64_t patience;  /* entries to see before other threads are started */
    size_t piece;      /* 0 for WALK_PIECE */
    WalkSpawn spawn;
    WalkVisit visit;
    void *self;
    int *over; /* or NULL; becomes 1 when what `visit` is still at is beyond the limit */
} WalkOptions;

typedef struct {
    WalkFolder **folders;
    uint32_t *at;
    uint32_t depth, room;
    WalkFolder *folder; /* of the entry last given */
    WalkEntry *entry;
    int fresh; /* the folder was entered by this step: its errors and ignored come before the entry */
} WalkCursor;

typedef struct {
    WalkOptions options;
    char *base; /* the root with a slash at its end */
    size_t base_length;
    uint32_t above; /* length of what `place` has before the root's own part */
    int root_descriptor;
    Shelf shelf;
    WalkFolder *root;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* From here on under the lock, but for the atomics. */
    WalkFolder **waiting;
    uint32_t waiting_count, waiting_room;
    WalkFolder *all;
    int busy, live, continued, idle;
    WalkTask tasks; /* the head of the list of a walk with a limit */
    int64_t weight; /* of all that is done of it */
    atomic_int started, ended, failed, stopped;
    atomic_llong seen, listed;
    atomic_int next_thread;
} Walk;

/* What one thread has for itself. */
typedef struct {
    Walk *walk;
    WalkFolder *folder;
    int index;
    int shared; /* whether other threads may have pieces of the folder in work */
    char *buffer;
    size_t room;
    WalkEntry *batch;
    size_t batch_room;
    GlobRun *runs;
    WalkTask chunk;
} WalkThread;

/* The folder's path relative to the root, "" or with a slash at its end. */
static inline const char *walk_path(const Walk *walk, const WalkFolder *folder, size_t *length)
{
    *length = folder->length - walk->above;
    return folder->place + walk->above;
}

/* Whether only the first entries in path order are wanted. */
static inline int walk_ordered(const WalkOptions *options)
{
    return options->limit != WALK_NO_LIMIT && options->sort && !options->newest;
}

static inline int walk_ended(Walk *walk)
{
    if (walk->options.stop && __atomic_load_n(walk->options.stop, __ATOMIC_RELAXED))
        atomic_store_explicit(&walk->stopped, 1, memory_order_relaxed);
    return atomic_load_explicit(&walk->ended, memory_order_relaxed)
           || atomic_load_explicit(&walk->stopped, memory_order_relaxed);
}

static inline void walk_end(Walk *walk)
{
    atomic_store(&walk->ended, 1);
    if (walk->options.over)
        __atomic_store_n(walk->options.over, 1, __ATOMIC_RELAXED);
}

static inline void walk_fail(Walk *walk, int error)
{
    atomic_store(&walk->failed, error);
    walk_end(walk);
}

static inline uint64_t walk_key(const char *name, size_t length)
{
    uint64_t key = 0;
    for (size_t at = 0; at < 8; at++)
        key = key << 8 | (at < length ? (uint8_t)name[at] : 0);
    return key;
}

static inline int walk_order(const void *one, const void *other)
{
    const WalkEntry *a = one, *b = other;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    uint32_t shared = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->name, b->name, shared);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static inline void walk_sort(WalkEntry *entries, size_t count)
{
    if (count > 24) {
        qsort(entries, count, sizeof *entries, walk_order);
        return;
    }
    for (size_t at = 1; at < count; at++) {
        WalkEntry entry = entries[at];
        size_t to = at;
        for (; to > 0 && walk_order(&entries[to - 1], &entry) > 0; to--)
            entries[to] = entries[to - 1];
        entries[to] = entry;
    }
}

/* Keeps an error of the folder in the order they come. */
static inline void walk_report(void *self, const char *path, int error)
{
    WalkFolder *folder = self;
    size_t length = strlen(path);
    WalkError *kept = malloc(sizeof *kept + length + 1);
    if (!kept)
        return;
    kept->next = NULL;
    kept->error = error;
    memcpy(kept->path, path, length + 1);
    *folder->last_error = kept;
    folder->last_error = &kept->next;
}

/* A folder named `name` in `above`, which may be NULL; NULL without memory. */
static inline WalkFolder *walk_folder(const WalkFolder *above, const char *name, size_t length)
{
    uint32_t head = above ? above->length : 0;
    WalkFolder *folder = malloc(sizeof *folder + head + length + 2);
    if (!folder)
        return NULL;
    memset(folder, 0, sizeof *folder);
    folder->last_error = &folder->errors;
    folder->task.folder = folder;
    folder->descriptor = -1;
    folder->depth = above ? above->depth + 1 : 1;
    folder->layers = above ? layer_take(above->layers) : NULL;
    folder->repository = above ? above->repository : 0;
    atomic_init(&folder->pieces, 1);
    atomic_init(&folder->done, 0);
    if (head)
        memcpy(folder->place, above->place, head);
    memcpy(folder->place + head, name, length);
    folder->length = head + (uint32_t)length;
    if (length && name[length - 1] != '/')
        folder->place[folder->length++] = '/';
    folder->place[folder->length] = 0;
    return folder;
}

static inline void walk_names_free(WalkFolder *folder)
{
    while (folder->names) {
        WalkNames *next = folder->names->next;
        free(folder->names);
        folder->names = next;
    }
}

static inline void walk_folder_free(WalkFolder *folder)
{
    while (folder->errors) {
        WalkError *next = folder->errors->next;
        free(folder->errors);
        folder->errors = next;
    }
    walk_names_free(folder);
    if (folder->descriptor >= 0)
        close(folder->descriptor);
    scope_leave(&folder->scope);
    layer_drop(folder->layers);
    free(folder->entries);
    free(folder);
}

/* The folder's path for the system, without its last slash unless it is the root; to be freed. */
static inline char *walk_system_path(const Walk *walk, const WalkFolder *folder, int slash)
{
    size_t length, size = walk->base_length;
    const char *path = walk_path(walk, folder, &length);
    char *full = malloc(size + length + 1);
    if (!full)
        return NULL;
    memcpy(full, walk->base, size);
    memcpy(full + size, path, length);
    full[size + length] = 0;
    if (!slash && length)
        full[size + length - 1] = 0;
    return full;
}

/* -- reading ---------------------------------------------------------------------------------------------------- */

/* One entry of a listing, as getdents64 lays it out and as the reading through readdir copies it. */
typedef struct {
    uint64_t inode;
    int64_t offset;
    unsigned short size;
    unsigned char type;
    char name[];
} WalkRecord;

/* Reads entries into `buffer`: their bytes, 0 at the end of the folder, -1 with errno. */
static inline ssize_t walk_read(int descriptor, char *buffer, size_t room)
{
#ifdef __linux__
    ssize_t got;
    do
        got = syscall(SYS_getdents64, descriptor, buffer, room);
    while (got < 0 && errno == EINTR);
    return got;
#else
    /* The stream belongs to a copy of the descriptor, whose place in the folder they share. */
    int copy = dup(descriptor);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    size_t used = 0;
    long last = -1;
    if (!stream) {
        if (copy >= 0)
            close(copy);
        return -1;
    }
    for (struct dirent *found; (last = telldir(stream), found = readdir(stream));) {
        size_t length = strlen(found->d_name), size = (sizeof(WalkRecord) + length + 1 + 7) & ~(size_t)7;
        if (size > room - used) {
            seekdir(stream, last);
            break;
        }
        WalkRecord *record = (WalkRecord *)(buffer + used);
        record->size = (unsigned short)size;
        record->type = found->d_type;
        memcpy(record->name, found->d_name, length + 1);
        used += size;
    }
    closedir(stream);
    return (ssize_t)used;
#endif
}

static inline void walk_fault(Walk *walk, WalkFolder *folder, int error)
{
    char *path = walk_system_path(walk, folder, 0);
    if (path)
        walk_report(folder, path, error);
    free(path);
}

/* Reads until the buffer is nearly full or the folder ends: the bytes read, and whether it has ended in `*ended`. */
static inline size_t walk_fill(WalkThread *thread, int *ended)
{
    size_t used = 0, least = thread->room / 4;
    *ended = 0;
    while (thread->room - used >= least && !walk_ended(thread->walk)) {
        ssize_t got = walk_read(thread->folder->descriptor, thread->buffer + used, thread->room - used);
        if (got < 0)
            walk_fault(thread->walk, thread->folder, errno);
        if (got <= 0) {
            *ended = 1;
            break;
        }
        used += (size_t)got;
    }
    return used;
}

static inline int walk_open_folder(Walk *walk, WalkFolder *folder)
{
    size_t length;
    const char *path = walk_path(walk, folder, &length);
    char name[PATH_MAX];
    /* What a path from the root's own name on would be too long for; the limit must not depend on how it is opened. */
    if (walk->base_length + length > PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, path, length);
    name[length - 1] = 0;
    return openat(walk->root_descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
}

static inline int walk_kind(WalkThread *thread, const WalkRecord *record)
{
    WalkFolder *folder = thread->folder;
    struct stat facts;
    switch (record->type) {
    case DT_REG:
        return WALK_FILE;
    case DT_DIR:
        return WALK_DIR;
    case DT_LNK:
        return WALK_LINK;
    case DT_UNKNOWN:
        break;
    default:
        return WALK_OTHER;
    }
    if (fstatat(folder->descriptor, record->name, &facts, AT_SYMLINK_NOFOLLOW) != 0) {
        int error = errno;
        char *at = walk_system_path(thread->walk, folder, 1), *path = at ? path_join(at, record->name) : NULL;
        pthread_mutex_lock(&thread->walk->lock);
        if (path)
            walk_report(folder, path, error);
        pthread_mutex_unlock(&thread->walk->lock);
        free(path);
        free(at);
        return WALK_OTHER;
    }
    return S_ISREG(facts.st_mode)   ? WALK_FILE
           : S_ISDIR(facts.st_mode) ? WALK_DIR
           : S_ISLNK(facts.st_mode) ? WALK_LINK
                                    : WALK_OTHER;
}

/* -- rules and globs -------------------------------------------------------------------------------------------- */

/* Takes in the files of rules `own` of the folder, and finds what applies in it; -1 without memory. */
static inline int walk_rules(Walk *walk, WalkFolder *folder, int own)
{
    int failed = 0;
    if (!walk->options.ignore)
        return 0;
    if (own) {
        char *path = walk_system_path(walk, folder, 1);
        Shelf shelf = walk->shelf;
        shelf.self = folder;
        RulePlace place = {path, folder->descriptor, folder->length};
        failed = !path || layers_add(&folder->layers, &folder->repository, own, &shelf, place) < 0;
        free(path);
    }
    if (failed || scope_enter(&folder->scope, folder->layers, folder->place, folder->length) < 0)
        return -1;
    return 0;
}

/* 1 when the globs let an entry pass, 0 when one takes it out, -1 when it lacks one that wants it. */
static inline int walk_verdict(WalkThread *thread, const char *name, size_t length, int folder)
{
    const WalkOptions *options = &thread->walk->options;
    int unmatched = 1;
    for (size_t at = options->glob_count; at-- > 0;) {
        const WalkGlob *each = &options->globs[at];
        if ((folder || !each->glob->folders_only) && glob_matches(each->glob, &thread->runs[at], name, length))
            return each->wanted;
        if (each->wanted)
            unmatched = -1;
    }
    return unmatched;
}

/* -- one piece of a folder -------------------------------------------------------------------------------------- */

static inline int walk_batch_add(WalkThread *thread, size_t count, const WalkEntry *entry)
{
    if (count == thread->batch_room) {
        size_t room = thread->batch_room ? 2 * thread->batch_room : 256;
        WalkEntry *batch = realloc(thread->batch, room * sizeof *batch);
        if (!batch)
            return -1;
        thread->batch = batch;
        thread->batch_room = room;
    }
    thread->batch[count] = *entry;
    return 0;
}

/* Sifts the records of a piece into the thread's batch: their number, -1 without memory. */
static inline ssize_t walk_sift(WalkThread *thread, size_t used, int64_t *ignored)
{
    const WalkOptions *options = &thread->walk->options;
    WalkFolder *folder = thread->folder;
    size_t count = 0;
    int scoped = folder->scope.count > 0, descends = folder->depth < options->depth;
    for (size_t at = 0; at < used;) {
        const WalkRecord *record = (const WalkRecord *)(thread->buffer + at);
        const char *name = record->name;
        at += record->size;
        if (name[0] == '.'
            && (!options->hidden || !name[1] || (name[1] == '.' && !name[2]) || strcmp(name, ".git") == 0))
            continue;
        WalkEntry entry = {0};
        entry.name = name;
        entry.length = (uint32_t)strlen(name);
        entry.kind = (uint8_t)walk_kind(thread, record);
        int directory = entry.kind == WALK_DIR;
        if (scoped && scope_ignores(&folder->scope, name, entry.length, directory)) {
            ++*ignored;
            continue;
        }
        int verdict = options->glob_count ? walk_verdict(thread, name, entry.length, directory) : 1;
        entry.listed = verdict > 0 && (options->kinds >> entry.kind & 1);
        int below = directory && verdict != 0 && descends;
        if (!entry.listed && !below)
            continue;
        entry.key = walk_key(name, entry.length);
        if (below && !(entry.below = walk_folder(folder, name, entry.length)))
            return -1;
        if (walk_batch_add(thread, count++, &entry) < 0) {
            if (entry.below)
                walk_folder_free(entry.below);
            return -1;
        }
    }
    return (ssize_t)count;
}

static inline int64_t walk_time(int folder, const char *name)
{
    struct stat facts;
    if (fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
#ifdef __APPLE__
    return (int64_t)facts.st_mtimespec.tv_sec * 1000000000 + facts.st_mtimespec.tv_nsec;
#else
    return (int64_t)facts.st_mtim.tv_sec * 1000000000 + facts.st_mtim.tv_nsec;
#endif
}

/* Shows the listed entries to the visitor, all of which come to the front of the batch for it. */
static inline int walk_show(WalkThread *thread, size_t *count)
{
    Walk *walk = thread->walk;
    WalkEntry *batch = thread->batch;
    size_t listed = 0, kept = 0;
    for (size_t at = 0; at < *count; at++)
        listed += batch[at].listed && !batch[at].below;
    if (listed < *count) {
        /* Folders to descend are no business of a visitor that asked for files. */
        WalkEntry *apart = malloc(*count * sizeof *apart);
        size_t front = 0, back = listed;
        if (!apart)
            return -1;
        for (size_t at = 0; at < *count; at++)
            apart[batch[at].listed && !batch[at].below ? front++ : back++] = batch[at];
        memcpy(batch, apart, *count * sizeof *apart);
        free(apart);
    }
    if (listed && walk->options.visit(walk->options.self, thread->index, thread->folder->descriptor, batch, listed) != 0)
        return -1;
    for (size_t at = 0; at < *count; at++)
        if (batch[at].below || batch[at].weight || batch[at].data)
            batch[kept++] = batch[at];
    *count = kept;
    return 0;
}

/* Copies the batch to the folder; the lock is held when others may do the same. */
static inline int walk_keep(WalkThread *thread, size_t count)
{
    WalkFolder *folder = thread->folder;
    WalkEntry *batch = thread->batch;
    size_t size = 0;
    if (!count)
        return 0;
    for (size_t at = 0; at < count; at++)
        size += batch[at].length + 1;
    if (folder->room - folder->count < count) {
        size_t room = folder->room ? (size_t)folder->count + count + folder->count / 2 : count;
        WalkEntry *entries = realloc(folder->entries, room * sizeof *entries);
        if (!entries)
            return -1;
        folder->entries = entries;
        folder->room = (uint32_t)room;
    }
    WalkNames *names = malloc(sizeof *names + size);
    if (!names)
        return -1;
    names->next = folder->names;
    folder->names = names;
    char *to = names->bytes;
    for (size_t at = 0; at < count; at++) {
        memcpy(to, batch[at].name, batch[at].length + 1);
        batch[at].name = to;
        to += batch[at].length + 1;
    }
    memcpy(folder->entries + folder->count, batch, count * sizeof *batch);
    folder->count += (uint32_t)count;
    return 0;
}

/* Lets go of what a limit makes superfluous: in one folder, no more entries can be given than the limit and one. */
static inline int walk_trim(Walk *walk, WalkFolder *folder)
{
    int64_t limit = walk->options.limit;
    uint32_t kept = 0;
    size_t size = 0;
    if (limit > (1 << 20) || !walk->options.sort || walk->options.newest || walk->options.visit
        || folder->count < 4096 + 2 * limit)
        return 0;
    walk_sort(folder->entries, folder->count);
    for (int64_t listed = 0; kept < folder->count && listed <= limit; kept++) {
        listed += folder->entries[kept].listed;
        size += folder->entries[kept].length + 1;
    }
    WalkNames *names = malloc(sizeof *names + size);
    if (!names)
        return -1;
    char *to = names->bytes;
    for (uint32_t at = 0; at < kept; at++) {
        memcpy(to, folder->entries[at].name, folder->entries[at].length + 1);
        folder->entries[at].name = to;
        to += folder->entries[at].length + 1;
    }
    walk_names_free(folder);
    names->next = NULL;
    folder->names = names;
    folder->count = kept;
    return 0;
}

static inline int walk_push(Walk *walk, WalkFolder *folder)
{
    if (walk->waiting_count == walk->waiting_room) {
        uint32_t room = walk->waiting_room ? 2 * walk->waiting_room : 64;
        WalkFolder **waiting = realloc(walk->waiting, room * sizeof *waiting);
        if (!waiting)
            return -1;
        walk->waiting = waiting;
        walk->waiting_room = room;
    }
    walk->waiting[walk->waiting_count++] = folder;
    return 0;
}

/* Puts the subfolders of the batch where threads find them, the first in order on top; under the lock. */
static inline int walk_descend(WalkThread *thread, size_t count)
{
    Walk *walk = thread->walk;
    for (size_t at = count; at-- > 0;) {
        WalkFolder *below = thread->batch[at].below;
        if (!below)
            continue;
        below->all = walk->all;
        walk->all = below;
        if (!walk_ordered(&walk->options) && walk_push(walk, below) < 0)
            return -1;
    }
    return 0;
}

/* -- the end of a folder, and the answer ------------------------------------------------------------------------ */

static inline int walk_cursor_push(WalkCursor *cursor, WalkFolder *folder)
{
    if (cursor->depth == cursor->room) {
        uint32_t room = cursor->room ? 2 * cursor->room : 32;
        WalkFolder **folders = realloc(cursor->folders, room * sizeof *folders);
        if (!folders)
            return -1;
        cursor->folders = folders;
        uint32_t *at = realloc(cursor->at, room * sizeof *at);
        if (!at)
            return -1;
        cursor->at = at;
        cursor->room = room;
    }
    cursor->at[cursor->depth] = UINT32_MAX;
    cursor->folders[cursor->depth++] = folder;
    return 0;
}

/* The next entry in path order: WALK_ENTRY, also with `entry` NULL when only a folder was entered; WALK_WAIT where a
   folder is not finished, from which a cursor goes on when it is; WALK_END. A cursor starts zeroed with the root pushed. */
static inline int walk_next(Walk *walk, WalkCursor *cursor)
{
    while (cursor->depth) {
        WalkFolder *folder = cursor->folders[cursor->depth - 1];
        uint32_t *at = &cursor->at[cursor->depth - 1];
        if (!atomic_load_explicit(&folder->done, memory_order_acquire))
            return WALK_WAIT;
        cursor->folder = folder;
        cursor->entry = NULL;
        cursor->fresh = *at == UINT32_MAX;
        if (cursor->fresh) {
            *at = 0;
            return WALK_ENTRY;
        }
        if (*at == folder->count) {
            cursor->depth--;
            continue;
        }
        cursor->entry = &folder->entries[(*at)++];
        if (cursor->entry->below && walk_cursor_push(cursor, cursor->entry->below) < 0) {
            walk_fail(walk, ENOMEM);
            return WALK_END;
        }
        return WALK_ENTRY;
    }
    return WALK_END;
}

static inline void walk_cursor_free(WalkCursor *cursor)
{
    free(cursor->folders);
    free(cursor->at);
}

/* Lets go of what was looked at and is not in the answer. */
static inline void walk_pack(WalkFolder *folder)
{
    uint32_t kept = 0;
    for (uint32_t at = 0; at < folder->count; at++) {
        const WalkEntry *entry = &folder->entries[at];
        if (entry->below || entry->weight || entry->data)
            folder->entries[kept++] = *entry;
    }
    folder->count = kept;
    if (kept)
        return;
    free(folder->entries);
    folder->entries = NULL;
    folder->room = 0;
    walk_names_free(folder);
}

static inline void walk_finish(Walk *walk, WalkFolder *folder)
{
    int ordered = walk_ordered(&walk->options);
    if (folder->descriptor >= 0) {
        close(folder->descriptor);
        if (ordered)
            walk->continued--;
    }
    folder->descriptor = -1;
    scope_leave(&folder->scope);
    layer_drop(folder->layers);
    folder->layers = NULL;
    if (ordered && walk->options.visit)
        walk_pack(folder);
    else if (!ordered && walk->options.sort && (folder->pieces_read > 1 || walk->options.visit))
        walk_sort(folder->entries, folder->count);
    atomic_store_explicit(&folder->done, 1, memory_order_release);
}

static inline void walk_piece_done(Walk *walk, WalkFolder *folder)
{
    if (atomic_fetch_sub_explicit(&folder->pieces, 1, memory_order_acq_rel) == 1)
        walk_finish(walk, folder);
}

/* -- threads ---------------------------------------------------------------------------------------------------- */

static inline void walk_worker(void *argument);

/* Starts the other threads once there is work for them, folders or more of this one, and the walk is no small one. */
static inline void walk_help(Walk *walk, int more)
{
    if (walk->started || walk->options.threads < 2 || !walk->options.spawn
        || atomic_load_explicit(&walk->seen, memory_order_relaxed) < walk->options.patience)
        return;
    pthread_mutex_lock(&walk->lock);
    int wanted = more || walk->waiting_count ? walk->options.threads - 1 : 0;
    walk->started = wanted > 0;
    walk->live += wanted;
    pthread_mutex_unlock(&walk->lock);
    for (int at = 0; at < wanted; at++) {
        if (walk->options.spawn(walk_worker, walk) != 0) {
            pthread_mutex_lock(&walk->lock);
            walk->live -= wanted - at;
            pthread_mutex_unlock(&walk->lock);
            return;
        }
    }
}

/* Puts a batch where it belongs; the thread's part of the piece ends here. */
static inline int walk_settle(WalkThread *thread, size_t count, int64_t ignored)
{
    Walk *walk = thread->walk;
    WalkFolder *folder = thread->folder;
    int failed;
    size_t folders = 0;
    for (size_t at = 0; at < count; at++)
        folders += thread->batch[at].below != NULL;
    /* One piece is one thread's alone, so only its subfolders need the lock. */
    int shared = thread->shared || folders;
    if (shared)
        pthread_mutex_lock(&walk->lock);
    folder->ignored += ignored;
    failed = walk_descend(thread, count) < 0 || walk_keep(thread, count) < 0 || walk_trim(walk, folder) < 0;
    if (shared) {
        if (folders && walk->idle)
            pthread_cond_broadcast(&walk->changed);
        pthread_mutex_unlock(&walk->lock);
    }
    return failed ? -1 : 0;
}

static inline int walk_piece(WalkThread *thread, size_t used)
{
    Walk *walk = thread->walk;
    const WalkOptions *options = &walk->options;
    int64_t ignored = 0, listed = 0;
    for (size_t at = 0; at < options->glob_count; at++) {
        size_t length;
        const char *path = walk_path(walk, thread->folder, &length);
        glob_enter(options->globs[at].glob, &thread->runs[at], path, length);
    }
    ssize_t found = walk_sift(thread, used, &ignored);
    if (found < 0)
        return -1;
    size_t count = (size_t)found;
    int shows = options->visit && !walk_ordered(options);
    atomic_fetch_add_explicit(&walk->seen, shows || !options->visit ? (long long)count : 1, memory_order_relaxed);
    if (options->sort || options->visit)
        walk_sort(thread->batch, count);
    for (size_t at = 0; at < count; at++) {
        WalkEntry *entry = &thread->batch[at];
        listed += entry->listed;
        if (options->newest && entry->listed)
            entry->time = walk_time(thread->folder->descriptor, entry->name);
    }
    if (!options->visit && !options->sort && !options->newest && options->limit != WALK_NO_LIMIT
        && atomic_fetch_add(&walk->listed, listed) + listed > options->limit)
        atomic_store(&walk->ended, 1);
    if (shows && walk_show(thread, &count) < 0)
        return -1;
    return walk_settle(thread, count, ignored);
}

/* The files of rules that the piece in the buffer shows. */
static inline int walk_own(WalkThread *thread, size_t used)
{
    int own = 0;
    for (size_t at = 0; at < used;) {
        const WalkRecord *record = (const WalkRecord *)(thread->buffer + at);
        at += record->size;
        if (record->name[0] != '.')
            continue;
        int one = own_of(record->name, strlen(record->name));
        if (one == OWN_REPOSITORY || (one && walk_kind(thread, record) == WALK_FILE))
            own |= one;
    }
    return own;
}

/* Gives the reading of a folder back to the LIFO, for any thread to go on with: 1, or 0 to go on oneself. */
static inline int walk_hand_on(Walk *walk, WalkFolder *folder)
{
    int handed = 0;
    if (!walk->started)
        return 0;
    pthread_mutex_lock(&walk->lock);
    if (walk->continued < WALK_CONTINUED && walk_push(walk, folder) == 0) {
        walk->continued++;
        handed = 1;
        atomic_fetch_add_explicit(&folder->pieces, 1, memory_order_relaxed);
        if (walk->idle)
            pthread_cond_signal(&walk->changed);
    }
    pthread_mutex_unlock(&walk->lock);
    return handed;
}

/* Reads the first or the next piece of the thread's folder: its bytes, and whether there are more pieces in `*more`. */
static inline size_t walk_read_piece(WalkThread *thread, int *more)
{
    Walk *walk = thread->walk;
    WalkFolder *folder = thread->folder;
    int ended;
    size_t used = walk_fill(thread, &ended);
    *more = !ended && !walk_ended(walk);
    if (folder->pieces_read++ == 0 && walk->options.ignore) {
        if (walk_rules(walk, folder, ended ? walk_own(thread, used) : own_probed(folder->descriptor, ".git")) < 0)
            walk_fail(walk, ENOMEM);
    }
    return used;
}

static inline void walk_read_folder(WalkThread *thread)
{
    Walk *walk = thread->walk;
    WalkFolder *folder = thread->folder;
    int more = 1, handed = 0;
    while (more && !handed && !walk_ended(walk)) {
        size_t used = walk_read_piece(thread, &more);
        thread->shared = folder->pieces_read > 1;
        handed = more && walk_hand_on(walk, folder);
        thread->shared |= handed;
        if (!walk_ended(walk) && folder->depth <= walk->options.depth && walk_piece(thread, used) < 0)
            walk_fail(walk, ENOMEM);
        walk_help(walk, more && !handed);
    }
    walk_piece_done(walk, folder);
}

/* 0 when the folder waits for a descriptor that another thread will give back. */
static inline int walk_begin(Walk *walk, WalkFolder *folder)
{
    folder->descriptor = walk_open_folder(walk, folder);
    if (folder->descriptor >= 0)
        return 1;
    int error = errno, waits = 0;
    if (error == EMFILE || error == ENFILE) {
        pthread_mutex_lock(&walk->lock);
        waits = walk->busy > 1 && walk_push(walk, folder) == 0;
        pthread_mutex_unlock(&walk->lock);
    }
    if (waits)
        return 0;
    walk_fault(walk, folder, error);
    walk_piece_done(walk, folder);
    return -1;
}

/* The next folder for a thread, which waits for one while others may still find some; NULL at the end. */
static inline WalkFolder *walk_take(Walk *walk, int worked)
{
    WalkFolder *folder = NULL;
    pthread_mutex_lock(&walk->lock);
    walk->busy -= worked;
    while (!walk_ended(walk) && !walk->waiting_count && walk->busy) {
        walk->idle++;
        pthread_cond_wait(&walk->changed, &walk->lock);
        walk->idle--;
    }
    if (!walk_ended(walk) && walk->waiting_count) {
        folder = walk->waiting[--walk->waiting_count];
        walk->busy++;
        walk->continued -= folder->descriptor >= 0;
    } else if (walk->idle) {
        pthread_cond_broadcast(&walk->changed);
    }
    pthread_mutex_unlock(&walk->lock);
    return folder;
}

#include "walk_first.h"

static inline int walk_thread_make(WalkThread *thread, Walk *walk)
{
    size_t globs = walk->options.glob_count;
    memset(thread, 0, sizeof *thread);
    thread->walk = walk;
    thread->index = atomic_fetch_add(&walk->next_thread, 1);
    thread->room = walk->options.piece;
    thread->buffer = malloc(thread->room);
    thread->runs = calloc(globs + 1, sizeof(GlobRun));
    if (!thread->buffer || !thread->runs)
        return -1;
    for (size_t at = 0; at < globs; at++)
        if (glob_run_make(&thread->runs[at], walk->options.globs[at].glob) < 0)
            return -1;
    return 0;
}

static inline void walk_thread_free(WalkThread *thread)
{
    for (size_t at = 0; thread->runs && at < thread->walk->options.glob_count; at++)
        glob_run_free(&thread->runs[at]);
    free(thread->runs);
    free(thread->batch);
    free(thread->buffer);
}

static inline void walk_work_all(WalkThread *thread)
{
    Walk *walk = thread->walk;
    int worked = 0, retire = 0;
    while (!retire && (thread->folder = walk_take(walk, worked))) {
        int begun = thread->folder->descriptor >= 0 ? 1 : walk_begin(walk, thread->folder);
        worked = 1;
        if (begun > 0)
            walk_read_folder(thread);
        /* With too few descriptors for all threads, this one leaves its folder to the others. */
        retire = begun == 0;
    }
    if (retire) {
        pthread_mutex_lock(&walk->lock);
        walk->busy--;
        pthread_cond_broadcast(&walk->changed);
        pthread_mutex_unlock(&walk->lock);
    }
}

static inline void walk_work(Walk *walk)
{
    WalkThread thread;
    if (walk_thread_make(&thread, walk) < 0)
        walk_fail(walk, ENOMEM);
    else if (walk_ordered(&walk->options))
        walk_work_first(&thread);
    else
        walk_work_all(&thread);
    walk_thread_free(&thread);
}

static inline void walk_worker(void *argument)
{
    Walk *walk = argument;
    walk_work(walk);
    pthread_mutex_lock(&walk->lock);
    walk->live--;
    pthread_cond_broadcast(&walk->changed);
    /* After this the walk may be gone. */
    pthread_mutex_unlock(&walk->lock);
}

/* Runs the walk to its end, or until it is stopped; it is then at rest, on this thread alone. */
static inline void walk_run(Walk *walk)
{
    walk_work(walk);
    pthread_mutex_lock(&walk->lock);
    /* A retired thread may have left folders behind. */
    while (walk->live)
        pthread_cond_wait(&walk->changed, &walk->lock);
    int left = !walk_ended(walk) && (walk->waiting_count || walk_ordered(&walk->options));
    pthread_mutex_unlock(&walk->lock);
    if (left)
        walk_work(walk);
    /* What was cut off is given out as far as it came. */
    for (WalkFolder *folder = walk->all; folder; folder = folder->all)
        if (!atomic_load(&folder->done))
            walk_finish(walk, folder);
}

/* -- start and end ---------------------------------------------------------------------------------------------- */

/* The layers that the root inherits from its repository, put into `root`, whose `place` becomes the path from there. */
static inline WalkFolder *walk_above(Walk *walk, const char *real)
{
    WalkFolder *root = walk_folder(NULL, "", 0);
    struct stat facts;
    size_t length = strlen(real), cut = length;
    char *at = strdup(real), *path = NULL;
    int found = 0;
    /* Upwards to the first folder with a `.git`. */
    while (root && at && !found) {
        at[cut] = 0;
        path = path_join(cut ? at : "/", ".git");
        found = path && fstatat(AT_FDCWD, path, &facts, AT_SYMLINK_NOFOLLOW) == 0;
        free(path);
        if (found || !cut)
            break;
        while (cut && at[cut - 1] != '/')
            cut--;
        cut -= cut > 0;
    }
    free(at);
    if (!root || !at || !found || cut == length)
        return root;
    const char *names = real + cut + (real[cut] == '/');
    WalkFolder *inner = walk_folder(NULL, names, strlen(names));
    if (!inner) {
        walk_folder_free(root);
        return NULL;
    }
    Shelf shelf = walk->shelf;
    shelf.self = inner;
    for (const char *name = names; *name && inner;) {
        size_t size = strcspn(name, "/"), base = (size_t)(name - names);
        char *folder = strndup(real, (size_t)(name - real)), *git_path = folder ? path_join(folder, ".git") : NULL;
        int own = git_path ? own_probed(AT_FDCWD, git_path) : 0;
        RulePlace place = {folder, -1, (uint32_t)base};
        Scope scope = {NULL, 0};
        int failed = !git_path || layers_add(&inner->layers, &inner->repository, own, &shelf, place) < 0
                     || scope_enter(&scope, inner->layers, inner->place, base) < 0;
        int git = size == 4 && memcmp(name, ".git", 4) == 0;
        int dropped = !failed && (git || scope_ignores(&scope, name, size, 1));
        scope_leave(&scope);
        free(git_path);
        free(folder);
        if (failed || dropped) {
            /* A root that was named is walked, under the rules in and below it alone. */
            root->repository = !git;
            *root->last_error = inner->errors;
            root->last_error = inner->errors ? inner->last_error : root->last_error;
            inner->errors = NULL;
            walk_folder_free(inner);
            if (failed) {
                walk_folder_free(root);
                return NULL;
            }
            return root;
        }
        name += size + (name[size] == '/');
    }
    walk_folder_free(root);
    walk->above = inner->length;
    return inner;
}

static inline void walk_close(Walk *walk)
{
    if (!walk)
        return;
    int error = errno;
    while (walk->all) {
        WalkFolder *next = walk->all->all;
        walk_folder_free(walk->all);
        walk->all = next;
    }
    if (walk->root_descriptor >= 0)
        close(walk->root_descriptor);
    pthread_mutex_destroy(&walk->lock);
    pthread_cond_destroy(&walk->changed);
    free(walk->waiting);
    free(walk->base);
    free(walk);
    errno = error;
}

/* Opens the root; NULL with errno. What `options` points to must outlive the walk. */
static inline Walk *walk_open(const WalkOptions *options)
{
    Walk *walk = calloc(1, sizeof *walk);
    if (!walk)
        return NULL;
    walk->options = *options;
    if (walk->options.threads > WALK_MOST_THREADS)
        walk->options.threads = WALK_MOST_THREADS;
    if (!walk->options.piece)
        walk->options.piece = WALK_PIECE;
    if (walk->options.piece < WALK_SMALLEST_PIECE)
        walk->options.piece = WALK_SMALLEST_PIECE;
    pthread_mutex_init(&walk->lock, NULL);
    pthread_cond_init(&walk->changed, NULL);
    walk->shelf = (Shelf){options->excludes, walk_report, NULL};
    walk->root_descriptor = open(options->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    if (walk->root_descriptor < 0) {
        walk_close(walk);
        return NULL;
    }
    walk->base = path_join(options->root, "");
    walk->base_length = walk->base ? strlen(walk->base) : 0;
    walk->root = !walk->base ? NULL : options->ignore ? walk_above(walk, options->real) : walk_folder(NULL, "", 0);
    if (!walk->root) {
        walk_close(walk);
        errno = ENOMEM;
        return NULL;
    }
    walk->all = walk->root;
    walk->root->depth = 1;
    walk->root->descriptor = fcntl(walk->root_descriptor, F_DUPFD_CLOEXEC, 0);
    if (walk->root->descriptor < 0) {
        walk_close(walk);
        return NULL;
    }
    if (walk_ordered(&walk->options)) {
        walk->tasks.before = walk->tasks.next = &walk->tasks;
        walk_link(&walk->root->task, &walk->tasks);
    } else if (walk_push(walk, walk->root) < 0) {
        walk_close(walk);
        return NULL;
    } else {
        walk->continued = 1;
    }
    return walk;
}

/* Whether a walk of `real` (links resolved) leaves out `path`, by its own rule or that of a folder above it; -1 without
   memory. Files of rules that cannot be read are reported to `shelf`. */
static inline int walk_ignored(const char *real, const char *path, int folder, const Shelf *shelf)
{
    Walk above = {0};
    above.shelf = (Shelf){shelf->excludes, walk_report, NULL};
    WalkFolder *at = walk_above(&above, real);
    char *system = path_join(real, "");
    int answer = at && system ? 0 : -1;
    for (const WalkError *error = at ? at->errors : NULL; error; error = error->next)
        shelf->report(shelf->self, error->path, error->error);
    while (answer == 0 && *path) {
        size_t size = strcspn(path, "/");
        char *name = strndup(path, size), *git = path_join(system, ".git");
        RulePlace place = {system, -1, at->length};
        Scope scope = {NULL, 0};
        if (!name || !git
            || layers_add(&at->layers, &at->repository, own_probed(AT_FDCWD, git), shelf, place) < 0
            || scope_enter(&scope, at->layers, at->place, at->length) < 0)
            answer = -1;
        else
            answer = scope_ignores(&scope, name, size, path[size] == '/' || folder);
        scope_leave(&scope);
        WalkFolder *below = name ? walk_folder(at, name, size) : NULL;
        walk_folder_free(at);
        at = below;
        char *joined = name ? path_join(system, name) : NULL;
        free(system);
        system = joined ? path_join(joined, "") : NULL;
        free(joined);
        free(name);
        free(git);
        path += size + (path[size] == '/');
        answer = at && system ? answer : -1;
    }
    if (at)
        walk_folder_free(at);
    free(system);
    return answer;
}

#endif
