/* Walks a tree by several threads, with a visitor and with a limit, for a race checker to watch; see .ci/races. */

#include <stdio.h>
#include <time.h>

#include "walk.h"

static int spawn(void (*run)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, (void *(*)(void *))(void (*)(void))run, argument) != 0)
        return -1;
    return pthread_detach(thread);
}

static int visit(void *self, int thread, int descriptor, WalkEntry *entries, size_t count)
{
    atomic_llong *files = self;
    struct stat facts;
    (void)thread;
    for (size_t at = 0; at < count; at++)
        entries[at].weight = fstatat(descriptor, entries[at].name, &facts, AT_SYMLINK_NOFOLLOW) == 0;
    atomic_fetch_add(files, (long long)count);
    return 0;
}

/* Lets a thread that has been here before wait until another one has, so that no thread can do all the work. */
static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static int visitors, been[WALK_MOST_THREADS];

static int meet(void *self, int thread, int descriptor, WalkEntry *entries, size_t count)
{
    struct timespec until;
    int failed;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&door);
    if (!been[thread]) {
        been[thread] = 1;
        visitors++;
        pthread_cond_broadcast(&opened);
    } else {
        while (visitors < 2 && pthread_cond_timedwait(&opened, &door, &until) == 0)
            ;
        *(int *)self |= visitors < 2;
    }
    failed = *(int *)self;
    pthread_mutex_unlock(&door);
    (void)descriptor, (void)entries, (void)count;
    return failed;
}

/* Whether the files of one folder without folders below it are given to several threads. */
static int shared(const char *flat)
{
    int alone = 0;
    WalkOptions options = {.root = flat, .real = "", .kinds = 1 << WALK_FILE, .threads = 2, .piece = 1};
    options.depth = options.limit = WALK_NO_LIMIT;
    options.visit = meet;
    options.self = &alone;
    options.spawn = spawn;
    Walk *walk = walk_open(&options);
    if (!walk)
        return 0;
    walk_run(walk);
    walk_close(walk);
    return visitors > 1 && !alone;
}

static long long listed(Walk *walk)
{
    WalkCursor cursor = {0};
    long long count = 0;
    walk_cursor_push(&cursor, walk->root);
    while (walk_next(walk, &cursor) == WALK_ENTRY)
        count += cursor.entry && cursor.entry->listed;
    walk_cursor_free(&cursor);
    return count;
}

int main(int count, char **words)
{
    atomic_llong files = 0;
    if (count != 3)
        return 2;
    if (!shared(words[2])) {
        fprintf(stderr, "one thread did all of %s\n", words[2]);
        return 1;
    }
    char *real = realpath(words[1], NULL);
    for (int round = 0; round < 16; round++) {
        WalkOptions options = {.root = words[1], .real = real, .ignore = 1, .sort = 1, .kinds = 15, .threads = 8};
        options.depth = WALK_NO_LIMIT;
        options.limit = round & 1 ? 300 : WALK_NO_LIMIT;
        options.kinds = round & 2 ? 1 << WALK_FILE : 15;
        options.visit = round & 2 ? visit : NULL;
        options.self = &files;
        options.piece = 1;
        options.spawn = spawn;
        Walk *walk = walk_open(&options);
        if (!walk)
            return 1;
        walk_run(walk);
        printf("%lld listed\n", listed(walk));
        walk_close(walk);
    }
    free(real);
    return 0;
}
