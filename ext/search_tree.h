/* The search of a tree while it is walked: each file is searched by the thread that listed it, next to its folder.
 *
 * What is found in a file is kept with its entry of the walk, which gives it back in path order.
 */
#ifndef NANOCODE_SEARCH_TREE_H
#define NANOCODE_SEARCH_TREE_H

#include "search.h"
#include "walk.h"

/* Every thread of the walk is one worker of the job. */
static Worker *tree_worker(Job *job, int thread)
{
    /* A walk short of descriptors may come back with a further number once the other threads are gone. */
    int number = thread % MOST_WORKERS;
    return job->workers[number].job || worker_prepare(job, number) == 0 ? &job->workers[number] : NULL;
}

static File *tree_keep(Worker *worker, const File *file)
{
    File *kept;
    if (worker->kept_count == worker->kept_room) {
        /* Entries hold pointers to files, so what is there must not move. */
        Kept *more = malloc(sizeof *more);
        if (more == NULL)
            return NULL;
        more->next = worker->kept;
        worker->kept = more;
        worker->kept_count = 0;
        worker->kept_room = KEPT_FILES;
    }
    kept = &worker->kept->files[worker->kept_count++];
    *kept = *file;
    return kept;
}

/* A `WalkVisit`; `self` is the job. */
static int tree_visit(void *self, int thread, int descriptor, WalkEntry *entries, size_t count)
{
    Job *job = self;
    Worker *worker = tree_worker(job, thread);
    if (worker == NULL) {
        job_fail(job);
        return 1;
    }
    for (size_t at = 0; at < count && !job_halted(job); at++) {
        File file = {0};
        file_search(worker, &file, descriptor, entries[at].name);
        if (file.state == FILE_SEARCHED) {
            worker->searched++;
            if (!file.count && !file.over)
                continue;
            entries[at].weight = job->mode != MODE_LINES ? 1 : (uint32_t)(file.count + (file.over && !file.late));
        }
        entries[at].data = tree_keep(worker, &file);
        if (entries[at].data == NULL) {
            job_fail(job);
            return 1;
        }
    }
    return __atomic_load_n(&job->failed, __ATOMIC_RELAXED);
}

#endif
