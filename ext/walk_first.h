/* The walk with a limit, a part of `walk.h`: the first entries in path order, and little beyond them is looked at.

   What is to be done stands in one list in path order: folders to be listed, the rest of those that are, and what the
   threads have taken, which stays in its place until it is done. A thread takes the first thing that none has taken.
   The weight of what is done belongs to the task before it, so the list is about as long as the tree is deep, and says
   how much is known before each task. Where that exceeds the limit, all that follows is cut off: it is not begun, and
   the threads that are at it leave it. Weight that is found later before the cut can only move the cut forward. */

#ifndef NANOCODE_WALK_FIRST_H
#define NANOCODE_WALK_FIRST_H

/* So many files are taken at once. */
#define WALK_CHUNK 8

/* -- the list, under the lock ----------------------------------------------------------------------------------- */

static inline void walk_link(WalkTask *task, WalkTask *before)
{
    task->next = before;
    task->before = before->before;
    task->before->next = task;
    before->before = task;
    task->after = 0;
}

static inline void walk_unlink(Walk *walk, WalkTask *task)
{
    task->before->after += task->after;
    task->before->next = task->next;
    task->next->before = task->before;
    task->before = NULL;
    if (walk->tasks.next == &walk->tasks)
        walk_end(walk);
}

/* Takes out all that comes after the first entries whose weight exceeds the limit. */
static inline void walk_cut(Walk *walk)
{
    WalkTask *last = &walk->tasks;
    int64_t weight = last->after;
    while (weight <= walk->options.limit) {
        last = last->next;
        weight += last->after;
    }
    while (last->next != &walk->tasks) {
        WalkTask *task = last->next;
        walk->weight -= task->after;
        task->after = 0;
        atomic_store_explicit(&task->cut, 1, memory_order_relaxed);
        walk_unlink(walk, task);
    }
}

/* Counts what was found right after a task. */
static inline void walk_weigh(Walk *walk, WalkTask *task, int64_t weight)
{
    task->after += weight;
    walk->weight += weight;
    if (walk->weight > walk->options.limit)
        walk_cut(walk);
}

/* -- taking and doing ------------------------------------------------------------------------------------------- */

/* Takes the files of a folder that come next, but for those that come after a subfolder. */
static inline WalkTask *walk_files(WalkThread *thread, WalkFolder *folder)
{
    WalkTask *task = &thread->chunk;
    uint32_t upto = folder->task.from;
    memset(task, 0, sizeof *task);
    task->folder = folder;
    task->from = upto;
    while (upto < folder->count && upto - task->from < WALK_CHUNK && !folder->entries[upto].below)
        upto++;
    folder->task.from = task->upto = upto;
    atomic_fetch_add_explicit(&folder->pieces, 1, memory_order_relaxed);
    return task;
}

/* Takes the next thing of a listed folder: files, or a subfolder to be listed; NULL when there is nothing more. */
static inline WalkTask *walk_split(WalkThread *thread, WalkFolder *folder)
{
    Walk *walk = thread->walk;
    WalkTask *rest = &folder->task, *task = NULL;
    while (!task && rest->before && rest->from < folder->count) {
        const WalkEntry *entry = &folder->entries[rest->from];
        if (walk->options.visit && !entry->below) {
            task = walk_files(thread, folder);
        } else {
            rest->from++;
            task = entry->below ? &entry->below->task : NULL;
            if (!walk->options.visit && entry->listed)
                walk_weigh(walk, rest->before, 1);
        }
        if (task && rest->before)
            walk_link(task, rest);
    }
    if (rest->before && !task) {
        walk_unlink(walk, rest);
        walk_piece_done(walk, folder);
    }
    return rest->before ? task : NULL;
}

/* The first task in path order that no thread has taken, which waits for one while others may still bring some; NULL at
   the end. */
static inline WalkTask *walk_first(WalkThread *thread)
{
    Walk *walk = thread->walk;
    WalkTask *task = NULL;
    pthread_mutex_lock(&walk->lock);
    while (!task && !walk_ended(walk)) {
        WalkTask *first = walk->tasks.next;
        while (first != &walk->tasks && first->taken)
            first = first->next;
        if (first != &walk->tasks) {
            task = first->listed ? walk_split(thread, first->folder) : first;
        } else {
            walk->idle++;
            pthread_cond_wait(&walk->changed, &walk->lock);
            walk->idle--;
        }
    }
    if (task) {
        task->taken = 1;
        task->room = walk->options.limit;
        for (WalkTask *each = task->before; each != &walk->tasks; each = each->before)
            task->room -= each->after;
        task->room -= walk->tasks.after;
    }
    if (walk->idle && (!task || (task->next != &walk->tasks && !task->next->taken)))
        pthread_cond_broadcast(&walk->changed);
    pthread_mutex_unlock(&walk->lock);
    return task;
}

static inline int walk_task_cut(Walk *walk, const WalkTask *task)
{
    return walk_ended(walk) || atomic_load_explicit(&task->cut, memory_order_relaxed);
}

/* Shows one file to the visitor, below the root's descriptor where that of the folder is not kept. */
static inline int walk_show_one(WalkThread *thread, WalkFolder *folder, WalkEntry *entry)
{
    const WalkOptions *options = &thread->walk->options;
    size_t length;
    char name[2 * PATH_MAX];
    if (folder->descriptor >= 0)
        return options->visit(options->self, thread->index, folder->descriptor, entry, 1);
    WalkEntry named = *entry;
    const char *path = walk_path(thread->walk, folder, &length);
    memcpy(name, path, length);
    /* What is too long for the system remains so. */
    size_t size = entry->length < PATH_MAX ? entry->length : PATH_MAX - 1;
    memcpy(name + length, entry->name, size);
    name[length + size] = 0;
    named.name = name;
    named.length = (uint32_t)(length + size);
    int failed = options->visit(options->self, thread->index, thread->walk->root_descriptor, &named, 1);
    entry->weight = named.weight;
    entry->data = named.data;
    return failed;
}

/* Shows the files that the thread has taken, until they alone fill the room there is for them. */
static inline void walk_chunk(WalkThread *thread)
{
    Walk *walk = thread->walk;
    WalkTask *task = &thread->chunk;
    WalkFolder *folder = task->folder;
    int64_t weight = 0;
    uint32_t at = task->from;
    for (; at < task->upto && weight <= task->room && !walk_task_cut(walk, task); at++) {
        if (walk_show_one(thread, folder, &folder->entries[at]) != 0)
            walk_fail(walk, ENOMEM);
        weight += folder->entries[at].weight;
    }
    atomic_fetch_add_explicit(&walk->seen, at - task->from, memory_order_relaxed);
    pthread_mutex_lock(&walk->lock);
    if (task->before) {
        WalkTask *before = task->before;
        walk_unlink(walk, task);
        walk_weigh(walk, before, weight);
    }
    walk_piece_done(walk, folder);
    pthread_mutex_unlock(&walk->lock);
}

/* Leaves the folder's descriptor open for its files where not too many are; under the lock, as is all that counts it. */
static inline void walk_keep_open(Walk *walk, WalkFolder *folder)
{
    int files = 0;
    for (uint32_t at = 0; walk->options.visit && at < folder->count && !files; at++)
        files = !folder->entries[at].below;
    if (files && walk->continued < WALK_CONTINUED) {
        walk->continued++;
    } else {
        close(folder->descriptor);
        folder->descriptor = -1;
    }
}

/* Reads all of a folder, since what comes first in path order may be listed last. */
static inline void walk_list(WalkThread *thread, WalkTask *task)
{
    Walk *walk = thread->walk;
    WalkFolder *folder = task->folder;
    int more = 1;
    thread->folder = folder;
    thread->shared = 0;
    while (more && !walk_task_cut(walk, task)) {
        size_t used = walk_read_piece(thread, &more);
        if (!walk_task_cut(walk, task) && folder->depth <= walk->options.depth && walk_piece(thread, used) < 0)
            walk_fail(walk, ENOMEM);
    }
    if (folder->pieces_read > 1)
        walk_sort(folder->entries, folder->count);
    scope_leave(&folder->scope);
    layer_drop(folder->layers);
    folder->layers = NULL;
    pthread_mutex_lock(&walk->lock);
    walk_keep_open(walk, folder);
    task->listed = 1;
    task->taken = 0;
    if (walk->idle)
        pthread_cond_broadcast(&walk->changed);
    pthread_mutex_unlock(&walk->lock);
}

/* Opens a folder to be listed: 0 when it waits for a descriptor that another thread will give back. */
static inline int walk_enter(Walk *walk, WalkTask *task)
{
    WalkFolder *folder = task->folder;
    if (folder->descriptor >= 0 || (folder->descriptor = walk_open_folder(walk, folder)) >= 0)
        return 1;
    int error = errno, waits = 0;
    pthread_mutex_lock(&walk->lock);
    if (error == EMFILE || error == ENFILE)
        for (const WalkTask *each = walk->tasks.next; each != &walk->tasks; each = each->next)
            waits |= each != task && each->taken;
    if (waits) {
        task->taken = 0;
        pthread_cond_broadcast(&walk->changed);
    } else {
        walk_fault(walk, folder, error);
        if (task->before)
            walk_unlink(walk, task);
        walk_piece_done(walk, folder);
    }
    pthread_mutex_unlock(&walk->lock);
    return waits ? 0 : -1;
}

/* Works until the answer is there, or with too few descriptors for all threads leaves the rest to the others. */
static inline void walk_work_first(WalkThread *thread)
{
    Walk *walk = thread->walk;
    WalkTask *task;
    while ((task = walk_first(thread))) {
        if (task == &thread->chunk) {
            walk_chunk(thread);
        } else {
            int begun = walk_enter(walk, task);
            if (begun == 0)
                return;
            if (begun > 0)
                walk_list(thread, task);
        }
        walk_help(walk, !walk_ended(walk));
    }
}

#endif
