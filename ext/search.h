/* The search of many files by several threads: reads them, finds the lines that match, keeps what will be shown.
 *
 * `hot/search.py` holds the contract. No function here needs the GIL but through `Job.verify`. A worker takes the next
 * file in path order; what it finds is kept under the number of the file, so that the answer does not depend on which
 * worker was faster.
 */
#ifndef NANOCODE_SEARCH_H
#define NANOCODE_SEARCH_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dfa.h"
#include "scan.h"
#include "trial.h"

#ifndef O_CLOEXEC
#define O_CLOEXEC 0
#endif

/* A file of up to BUFFER bytes is read at once; a larger one in pieces of whole lines. */
#define BUFFER (256u << 10)
#define SLACK 64
/* Bytes stand in a buffer as in the pages that they come from: else the kernel copies them a quarter slower. */
#define ALIGNED 16
/* What files of `/proc` that show memory give is whole words of it. */
#define WORD 8
/* Read beyond a piece for the end of its last line, at first. */
#define TAIL 4096
#define LANES 8
#define LANE_BYTES 64
/* Strides between two looks at the lanes. */
#define STRIDES 16
/* When so many lanes meet what is not plain, each goes alone for ALONE times as long. */
#define CROWD (LANES / 2)
#define ALONE 16
_Static_assert(LANES + 1 == DFA_LIVES, "each lane holds a state, and a stride where it began");
/* A larger file is searched by all threads, in pieces: the lines that start in one belong to it. */
#define LARGE (8 << 20)
#define PIECE (1u << 20)
#define MOST_WORKERS 8
/* Bytes kept of a long line on either side of where its match starts: 500 characters at the least. */
#define KEPT 2048

enum { MODE_LINES, MODE_FILES, MODE_COUNT };
enum { TIER_NEEDLE, TIER_NEEDLES, TIER_SET, TIER_RIGID, TIER_DFA };
enum { FILE_UNSEEN, FILE_SEARCHED, FILE_FAILED, FILE_DEFERRED, FILE_LARGE };
enum { WHY_ERRNO, WHY_NOT_REGULAR, WHY_HOLLOW };
enum { CUT_BEFORE = 1, CUT_AFTER = 2 };

/* A pattern made ready; read only, and shared by all workers. */
typedef struct {
    Program program, mirrored;
    Needles needles;
    ByteSet set;
    Rigid rigid;
    int tier, whole;         /* whole: a literal found is a match, nothing is left to decide */
    int verified;            /* the automaton only says maybe: `trial`, when there is one, or `Job.verify` decides */
    int tried;
    Trial trial;
} Engine;

/* A line to show: `size` bytes at `at` of the worker's text, in which the match starts at `start`. */
typedef struct {
    uint64_t number;
    size_t at, size, start;
    int cut;
} Hit;

typedef struct {
    uint64_t count, over;    /* matches; the line of the one beyond the limit */
    uint64_t lines;          /* of a piece of a large file */
    uint32_t hit, hits;      /* where its hits are among those of the worker */
    int32_t error;
    uint8_t state, why, binary, worker, late; /* late: line `over` took too long */
} File;

/* Files whose places in memory must not change. */
#define KEPT_FILES 64
typedef struct Kept {
    struct Kept *next;
    File files[KEPT_FILES];
} Kept;

typedef struct Job Job;

typedef struct {
    Job *job;
    int number;
    Dfa *dfa, *mirrored;
    Trier *trier;
    uint8_t *buffer;
    size_t room;
    uint8_t *text;           /* what will be shown */
    size_t text_size, text_room;
    Hit *hits;
    uint32_t hit_count, hit_room;
    const uint8_t **found[LANES]; /* pairs of start and end of lines, by lane */
    size_t found_count[LANES], found_room[LANES];
    Kept *kept;
    size_t kept_count, kept_room;
    uint64_t searched;       /* files of a tree */
} Worker;

struct Job {
    const Engine *engine;
    const char **paths;
    size_t count;
    File *files;
    int folder;              /* descriptor that the paths are relative to, or that of the one large file */
    int follow, mode, multiline;
    int shares;              /* large files are left for a job of their own, whose files are pieces of `size` bytes */
    int known;               /* whether the file is binary has been found out already */
    uint64_t size;
    uint64_t limit;          /* UINT64_MAX for none */
    size_t longest, binary_look;
    uint64_t largest_claim;
    const char *stop;        /* set by the caller, or NULL */
    /* Where the leftmost match in a line starts, -1 when there is none, -2 when that took too long. */
    ptrdiff_t (*verify)(void *context, const uint8_t *line, size_t size);
    void *context;
    size_t next;             /* atomic: the next file */
    int ended;               /* atomic: enough was found, or memory failed */
    int failed;              /* atomic: out of memory */
    pthread_mutex_t lock;    /* of the two below */
    size_t settled;          /* files before this one are done */
    uint64_t settled_count;
    Worker workers[MOST_WORKERS];
};

static inline int job_halted(Job *job)
{
    return __atomic_load_n(&job->ended, __ATOMIC_RELAXED) || (job->stop && __atomic_load_n(job->stop, __ATOMIC_RELAXED));
}

static void job_fail(Job *job)
{
    __atomic_store_n(&job->failed, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&job->ended, 1, __ATOMIC_RELAXED);
}

static inline const uint8_t *line_start(const uint8_t *floor, const uint8_t *p)
{
    while (p > floor && p[-1] != '\n')
        p--;
    return p;
}

static inline const uint8_t *line_end(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *found = memchr(p, '\n', (size_t)(end - p));
    return found ? found : end;
}

/* Whether `size` more fit into an array, grown by doubling; 0 when memory fails. */
static int fits(void **array, size_t *room, size_t size, size_t item)
{
    size_t grown = *room ? *room : 256;
    void *moved;
    if (size <= *room)
        return 1;
    while (grown < size)
        grown *= 2;
    moved = realloc(*array, grown * item);
    if (moved == NULL)
        return 0;
    *array = moved;
    *room = grown;
    return 1;
}

static int is_binary(const Job *job, int descriptor, const uint8_t *buffer, size_t have)
{
    uint8_t *more;
    ssize_t size;
    int found;
    if (have >= job->binary_look)
        return memchr(buffer, 0, job->binary_look) != NULL;
    if (have && memchr(buffer, 0, have))
        return 1;
    if (descriptor < 0)
        return 0;
    more = malloc(job->binary_look);
    if (more == NULL)
        return 0;
    size = pread(descriptor, more, job->binary_look, 0);
    found = size > 0 && memchr(more, 0, (size_t)size) != NULL;
    free(more);
    return found;
}

/* Keep a line for showing, of a long one only what surrounds its match. `start` is -1 when that is not known. */
static int keep(Worker *worker, uint64_t number, const uint8_t *begin, const uint8_t *end, ptrdiff_t start)
{
    size_t size;
    Hit *hit;
    int cut = 0;
    size_t room = worker->hit_room;
    if (end - begin > 500 && start < 0)
        start = dfa_leftmost(worker->mirrored, begin, end);
    if (start < 0)
        start = 0;
    if (end - begin > 2 * KEPT) {
        const uint8_t *match = begin + start;
        if (start > KEPT) {
            begin = match - KEPT;
            /* Decoding starts anew at a byte that continues no character, or at the fourth in a row that does. */
            for (int back = 0; back < 3 && (*begin & 0xC0) == 0x80; back++)
                begin--;
            cut |= CUT_BEFORE;
        }
        start = match - begin;
        if (end - match > KEPT) {
            end = match + KEPT;
            for (int back = 0; back < 3 && (*end & 0xC0) == 0x80; back++)
                end--;
            cut |= CUT_AFTER;
        }
    }
    size = (size_t)(end - begin);
    if (!fits((void **)&worker->text, &worker->text_room, worker->text_size + size, 1)
        || !fits((void **)&worker->hits, &room, (size_t)worker->hit_count + 1, sizeof *worker->hits)) {
        job_fail(worker->job);
        return 0;
    }
    worker->hit_room = (uint32_t)room;
    if (size) /* an empty line may come before there is any text */
        memcpy(worker->text + worker->text_size, begin, size);
    hit = &worker->hits[worker->hit_count++];
    hit->number = number;
    hit->at = worker->text_size;
    hit->size = size;
    hit->start = (size_t)start;
    hit->cut = cut;
    worker->text_size += size;
    return 1;
}

/* What has been found in a file so far, and where the lines of the block at hand are. */
typedef struct {
    Worker *worker;
    File *file;
    uint64_t room;           /* matches this file may give before the next one is `over` */
    uint64_t number;         /* of the line at `counted` */
    const uint8_t *counted;
    const uint8_t *begin;    /* of the block */
    int descriptor, first;   /* first: the block begins the file, and `raw` its first byte */
    const uint8_t *raw;
    size_t have;
    int whole;               /* the block is the whole file */
} Sight;

/* One line matches, or may where that is verified. Return 0 when the file is done. */
static int sight(Sight *sight, const uint8_t *begin, const uint8_t *end, const uint8_t *match, int ended)
{
    Worker *worker = sight->worker;
    Job *job = worker->job;
    File *file = sight->file;
    ptrdiff_t start = match ? match - begin : -1;
    if (end > begin && end[-1] == '\r' && ended)
        end--;
    sight->number += scan.newlines(sight->counted, begin);
    sight->counted = begin;
    if (job->engine->verified) {
        start = worker->trier ? trial_find(worker->trier, begin, end) : TRIAL_UNKNOWN;
        if (start == TRIAL_UNKNOWN)
            start = job->verify(job->context, begin, (size_t)(end - begin));
        if (start == -2) {
            file->over = sight->number;
            file->late = 1;
            return 0;
        }
        if (start < 0)
            return 1;
    }
    if (file->count == 0 && !file->binary && !job->known) {
        if (sight->first ? is_binary(job, sight->whole ? -1 : sight->descriptor, sight->raw, sight->have)
                         : is_binary(job, sight->descriptor, NULL, 0)) {
            file->binary = 1;
            file->count = 1;
            return 0;
        }
    }
    if (file->count == sight->room) {
        file->over = sight->number;
        return 0;
    }
    file->count++;
    if (job->mode == MODE_LINES && !keep(worker, sight->number, begin, end, start))
        return 0;
    return job->mode != MODE_FILES;
}

static int lane_found(Worker *worker, int lane, const uint8_t *begin, const uint8_t *end)
{
    size_t count = worker->found_count[lane];
    if (!fits((void **)&worker->found[lane], &worker->found_room[lane], count + 2, sizeof **worker->found)) {
        job_fail(worker->job);
        return 0;
    }
    worker->found[lane][count] = begin;
    worker->found[lane][count + 1] = end;
    worker->found_count[lane] = count + 2;
    return 1;
}

/* The lines of [begin, end) that the automaton finds, one after the other. */
static int block_dfa(Sight *sights, const uint8_t *begin, const uint8_t *end)
{
    Worker *worker = sights->worker;
    const uint8_t *p = begin;
    while (p < end) {
        const uint8_t *line = p;
        int found;
        found = dfa_line(worker->dfa, &p, end);
        if (worker->dfa->failed) {
            job_fail(worker->job);
            return 0;
        }
        if (found) {
            p = line_end(p, end);
            if (!sight(sights, line, p, NULL, p < end))
                return 0;
        }
        p++;
    }
    return 1;
}

typedef struct {
    const uint8_t *p, *end, *floor;
    uint64_t left;
} Lane;

/* One character of a lane: 1 when it was a plain byte, 0 when the lane is done, -1 for all else. */
static int lane_step(Worker *worker, Lane *lane, uint32_t *rows, int at)
{
    Dfa *dfa = worker->dfa;
    const uint8_t *p = lane->p;
    uint32_t next;
    int column = dfa->column[*p], length = 1;
    if (column == dfa->decode) {
        uint32_t code;
        length = utf8_decode(p, lane->end, &code);
        column = dfa_class(dfa, code);
    }
    next = dfa->table[rows[at] + (uint32_t)column];
    if (next == 0)
        next = dfa_learn(dfa, rows, LANES + 1, at, column);
    if (next == (uint32_t)ROW_MATCH << dfa->shift) {
        const uint8_t *begin = line_start(lane->floor, p), *end = line_end(p, lane->end);
        lane->p = lane->floor = end < lane->end ? end + 1 : end;
        rows[at] = dfa_start(dfa);
        return lane_found(worker, at, begin, end) && --lane->left ? -1 : 0;
    }
    rows[at] = next;
    lane->p = p + length;
    return *p < 0x80 ? 1 : -1;
}

/* Go on with one lane, at least up to `stop`. Return 0 when the lane is done. */
static int lane_walk(Worker *worker, Lane *lane, uint32_t *rows, int at, const uint8_t *stop)
{
    Dfa *dfa = worker->dfa;
    while (lane->p < stop) {
        uint32_t quick = 0;
        int plain = *lane->p < 0x80 && lane->end - lane->p >= dfa->stride;
        if (plain) {
            uint32_t next;
            quick = (uint32_t)dfa->quick + dfa->kind[stride_at(lane->p, dfa->stride)];
            next = dfa->table[rows[at] + quick];
            if (next) {
                rows[at] = next;
                lane->p += dfa->stride;
                continue;
            }
        }
        /* Where states are forgotten, the one that the stride began in is not. */
        rows[LANES] = rows[at];
        for (int taken = 0; taken < (plain ? dfa->stride : 1); taken++) {
            int step = lane->p < lane->end ? lane_step(worker, lane, rows, at) : -1;
            if (step == 0 || dfa->failed)
                return 0;
            plain = plain && step > 0;
        }
        if (plain)
            dfa->table[rows[LANES] + quick] = rows[at];
    }
    return 1;
}

/* Up to `times` times STRIDES strides of all lanes: how many times none of them met anything that is not known to be
 * plain. `rows` are then those before, and `reached` has a 0 for each lane that did. */
static inline size_t lanes_run(const Dfa *dfa, const uint8_t **at, uint32_t *rows, uint32_t *reached, size_t times, int stride)
{
    const uint8_t *p0 = at[0], *p1 = at[1], *p2 = at[2], *p3 = at[3], *p4 = at[4], *p5 = at[5], *p6 = at[6], *p7 = at[7];
    uint32_t r0 = rows[0], r1 = rows[1], r2 = rows[2], r3 = rows[3], r4 = rows[4], r5 = rows[5], r6 = rows[6], r7 = rows[7];
    const uint32_t *table = dfa->table + dfa->quick;
    const uint8_t *kind = dfa->kind;
    size_t done = 0, from = 0;
    for (; done < times; done++) {
        /* Unrolled, since there are too few registers for what counts. */
#pragma GCC unroll 16
        for (int i = 0; i < STRIDES; i++, from += (size_t)stride) {
            r0 = table[r0 + kind[stride_at(p0 + from, stride)]];
            r1 = table[r1 + kind[stride_at(p1 + from, stride)]];
            r2 = table[r2 + kind[stride_at(p2 + from, stride)]];
            r3 = table[r3 + kind[stride_at(p3 + from, stride)]];
            r4 = table[r4 + kind[stride_at(p4 + from, stride)]];
            r5 = table[r5 + kind[stride_at(p5 + from, stride)]];
            r6 = table[r6 + kind[stride_at(p6 + from, stride)]];
            r7 = table[r7 + kind[stride_at(p7 + from, stride)]];
        }
        reached[0] = r0;
        reached[1] = r1;
        reached[2] = r2;
        reached[3] = r3;
        reached[4] = r4;
        reached[5] = r5;
        reached[6] = r6;
        reached[7] = r7;
        if (!r0 | !r1 | !r2 | !r3 | !r4 | !r5 | !r6 | !r7)
            break;
        memcpy(rows, reached, LANES * sizeof *rows);
    }
    return done;
}

/* Take all lanes as far as all that are left can go together. Return 0 when there is none, -1 when memory fails. */
static int lanes_step(Worker *worker, Lane *lanes, uint32_t *rows)
{
    Dfa *dfa = worker->dfa;
    const ptrdiff_t piece = STRIDES * dfa->stride;
    const uint8_t *at[LANES];
    uint32_t before[LANES], reached[LANES];
    size_t times = SIZE_MAX, done;
    int busy = -1, met = 0, runs[LANES];
    for (int i = 0; i < LANES; i++) {
        size_t most = (size_t)((lanes[i].end - lanes[i].p) / piece);
        runs[i] = most > 0;
        if (most && most < times)
            times = most;
        busy = most ? i : busy;
    }
    if (busy < 0)
        return 0;
    for (int i = 0; i < LANES; i++) {
        /* A lane that is done does what another does. */
        int like = runs[i] ? i : busy;
        at[i] = lanes[like].p;
        before[i] = rows[like];
    }
    done = dfa->stride == 2 ? lanes_run(dfa, at, before, reached, times, 2) : lanes_run(dfa, at, before, reached, times, 1);
    for (int i = 0; i < LANES; i++) {
        if (!runs[i])
            continue;
        lanes[i].p += (ptrdiff_t)done * piece;
        rows[i] = before[i];
        if (done < times && reached[i]) {
            lanes[i].p += piece;
            rows[i] = reached[i];
        }
        met += done < times && !reached[i];
    }
    for (int i = 0; i < LANES && met; i++) {
        /* Where much is not plain, going together gains nothing for a while. */
        const uint8_t *stop = lanes[i].p + (met >= CROWD ? ALONE * piece : piece);
        if (!runs[i] || (met < CROWD && reached[i]))
            continue;
        if (!lane_walk(worker, &lanes[i], rows, i, stop < lanes[i].end ? stop : lanes[i].end)) {
            if (dfa->failed || lanes[i].left)
                return -1;
            /* It found all that may be found, so that those after it are of no use. */
            for (int later = i; later < LANES; later++)
                lanes[later].p = lanes[later].end;
        }
    }
    return 1;
}

/* The same lines, in stretches of the block that are read together: each step waits for memory, and many can wait at
 * once. */
static int block_lanes(Sight *sights, const uint8_t *begin, const uint8_t *end)
{
    Worker *worker = sights->worker;
    Dfa *dfa = worker->dfa;
    Lane lanes[LANES];
    uint32_t rows[LANES + 1];
    uint64_t most = sights->room - sights->file->count;
    size_t part = (size_t)(end - begin) / LANES;
    const uint8_t *from = begin;
    int running;
    for (int i = 0; i < LANES; i++) {
        const uint8_t *to = i == LANES - 1 ? end : begin + (i + 1) * part;
        to = to <= from ? from : to == end ? end : line_end(to, end);
        to = to < end ? to + (to > from) : end;
        lanes[i].p = lanes[i].floor = from;
        lanes[i].end = to;
        lanes[i].left = most == UINT64_MAX || worker->job->engine->verified ? UINT64_MAX : most + 1;
        from = to;
        worker->found_count[i] = 0;
    }
    for (int i = 0; i <= LANES; i++)
        rows[i] = dfa_start(dfa);
    do
        running = lanes_step(worker, lanes, rows);
    while (running > 0);
    for (int i = 0; i < LANES && !dfa->failed; i++) {
        Lane *lane = &lanes[i];
        if (lane->left)
            lane_walk(worker, lane, rows, i, lane->end);
        /* A last line without its end. */
        if (lane->left && lane->end == end && lane->p == end && lane->floor < end && end[-1] != '\n' && dfa_ends(dfa, rows[i])
            && !lane_found(worker, i, line_start(lane->floor, end), end))
            return 0;
        for (size_t at = 0; !dfa->failed && at < worker->found_count[i]; at += 2) {
            const uint8_t *stop = worker->found[i][at + 1];
            if (!sight(sights, worker->found[i][at], stop, NULL, stop < end))
                return 0;
        }
    }
    if (dfa->failed) {
        job_fail(worker->job);
        return 0;
    }
    return 1;
}

/* The lines around what the literals, the set or the checks find, decided by the automaton where that is not enough. */
static int block_skip(Sight *sights, const uint8_t *begin, const uint8_t *end)
{
    Worker *worker = sights->worker;
    const Engine *engine = worker->job->engine;
    const uint8_t *floor = begin;
    while (floor < end) {
        const uint8_t *found, *line, *p;
        if (engine->tier == TIER_NEEDLE)
            found = scan.needle(&engine->needles.needle[0], floor, end);
        else if (engine->tier == TIER_NEEDLES)
            found = scan.needles(&engine->needles, floor, end);
        else if (engine->tier == TIER_SET)
            found = scan.set(&engine->set, floor, end);
        else
            found = scan.rigid(&engine->rigid, floor, end);
        if (found == NULL)
            return 1;
        line = line_start(floor, found);
        if (engine->whole) {
            /* Of several literals, that of the first fingerprint need not begin first. */
            const uint8_t *match = engine->tier == TIER_NEEDLE ? found : NULL;
            p = line_end(found, end);
            if (!sight(sights, line, p, match, p < end))
                return 0;
        } else {
            int match;
            p = line;
            match = dfa_line(worker->dfa, &p, end);
            if (worker->dfa->failed) {
                job_fail(worker->job);
                return 0;
            }
            if (p < end && *p != '\n')
                p = line_end(p, end);
            if (match && !sight(sights, line, p, NULL, p < end))
                return 0;
        }
        floor = p < end ? p + 1 : end;
    }
    return 1;
}

/* Search a block of whole lines, of which the last may lack its end. Return 0 when the file is done. */
static int block(Sight *sights, const uint8_t *begin, const uint8_t *end)
{
    sights->begin = sights->counted = begin;
    switch (sights->worker->job->engine->tier) {
    case TIER_DFA:
        return end - begin >= LANES * LANE_BYTES ? block_lanes(sights, begin, end) : block_dfa(sights, begin, end);
    default:
        return block_skip(sights, begin, end);
    }
}

static size_t character_end(const uint8_t *piece, size_t size)
{
    size_t at = size - 1;
    while (at > size - 4 && (piece[at] & 0xC0) == 0x80)
        at--;
    return piece[at] >= 0xC0 ? at : size;
}

/* Up to `size` bytes from `offset` on, fewer only at the end of the file; -1 on an error. */
static ssize_t filled(int descriptor, uint8_t *at, size_t size, uint64_t offset)
{
    size_t have = 0;
    while (have < size) {
        ssize_t got = pread(descriptor, at + have, size - have, (off_t)(offset + have));
        if (got < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

static int marks_utf16(const uint8_t *p, size_t have)
{
    return have >= 2 && ((p[0] == 0xFF && p[1] == 0xFE) || (p[0] == 0xFE && p[1] == 0xFF));
}

static int starts_utf16(int descriptor)
{
    uint8_t start[2];
    return filled(descriptor, start, 2, 0) == 2 && marks_utf16(start, 2);
}

static int lacks_needles(const Engine *engine, const uint8_t *begin, const uint8_t *end)
{
    if (engine->tier == TIER_NEEDLE)
        return scan.needle(&engine->needles.needle[0], begin, end) == NULL;
    return engine->tier == TIER_NEEDLES && scan.needles(&engine->needles, begin, end) == NULL;
}

/* Make room for a line of up to `longest` bytes and the mark before it. */
static int buffer_grow(Worker *worker)
{
    size_t most = worker->job->longest + 8, room = worker->room * 2 > most ? most : worker->room * 2;
    uint8_t *moved = realloc(worker->buffer, ALIGNED + room + SLACK);
    if (moved == NULL) {
        job_fail(worker->job);
        return 0;
    }
    worker->buffer = moved;
    worker->room = room;
    return 1;
}

/* Where the buffer holds what begins at `at` of a file. */
static uint8_t *base_of(const Worker *worker, uint64_t at)
{
    return worker->buffer + at % ALIGNED;
}

/* Let the buffer, which holds `have` bytes from `at` on, begin at `first` instead. */
static void buffer_drop(const Worker *worker, uint64_t *at, size_t *have, const uint8_t *first)
{
    size_t dropped = (size_t)(first - base_of(worker, *at));
    *at += dropped;
    *have -= dropped;
    memmove(base_of(worker, *at), first, *have);
}

/* Search the lines of a file that start in [from, upto); `claimed` is its size, 0 when that is not known. */
static void file_read(Worker *worker, File *file, int descriptor, uint64_t claimed, uint64_t from, uint64_t upto)
{
    Job *job = worker->job;
    Sight sights = {.worker = worker, .file = file, .room = job->limit, .number = 1, .descriptor = descriptor, .first = from == 0};
    uint64_t at = from ? from - 1 : 0; /* where the buffer begins in the file */
    size_t have = 0;
    int ended = 0, entered = from == 0, torn = 0;
    if (job->mode == MODE_FILES)
        sights.room = 1;
    else if (job->mode == MODE_COUNT)
        sights.room = UINT64_MAX;
    for (;;) {
        uint8_t *base = base_of(worker, at);
        const uint8_t *begin = base, *end;
        size_t wanted = worker->room - have;
        ssize_t got;
        if (claimed > at + have && claimed - at - have < wanted)
            wanted = (size_t)(claimed - at - have);
        /* A file that claims no size, as those of `/proc`, may have no end. */
        if (!claimed) {
            if (job->longest - (size_t)(at + have) < wanted)
                wanted = job->longest - (size_t)(at + have);
            wanted -= wanted % WORD;
        }
        if (at + have < upto && wanted > TAIL && upto - at - have < wanted - TAIL)
            wanted = (size_t)(upto - at - have) + TAIL;
        got = filled(descriptor, base + have, wanted, at + have);
        if (got < 0) {
            file->state = FILE_FAILED;
            file->error = errno;
            return;
        }
        have += (size_t)got;
        ended = (size_t)got < wanted || at + have >= (claimed ? claimed : job->longest);
        if (sights.first) {
            if (marks_utf16(begin, have) || (job->multiline && !(ended && lacks_needles(job->engine, begin, begin + have)))) {
                file->state = FILE_DEFERRED;
                return;
            }
            if (job->multiline)
                return;
            sights.raw = begin;
            sights.have = have;
            sights.whole = ended;
            if (have >= 3 && memcmp(begin, "\xEF\xBB\xBF", 3) == 0)
                begin += 3;
        }
        if (!entered) {
            /* The buffer begins one byte early: when that ends a line, the next one starts right at `from`. */
            const uint8_t *found = memchr(begin, '\n', have);
            if (found == NULL) {
                buffer_drop(worker, &at, &have, base + have);
                if (ended || at >= upto || job_halted(job))
                    return;
                continue;
            }
            begin = found + 1;
        }
        if (!torn && at + (uint64_t)(begin - base) >= upto)
            return;
        end = base + have;
        if ((size_t)(end - begin) >= job->longest && memchr(begin, '\n', job->longest) == NULL)
            end = begin + character_end(begin, job->longest);
        else if (!ended || (size_t)(end - begin) >= job->longest)
            end = line_start(begin, end);
        if (end == begin && !ended) {
            /* One line fills the buffer; what stands before it is looked at again. */
            if (!entered)
                buffer_drop(worker, &at, &have, begin);
            else if (worker->room - have < WORD && !buffer_grow(worker))
                return;
            entered = 1;
            continue;
        }
        if (at + (uint64_t)(end - base) >= upto) {
            /* Lines that start beyond are another's: end with the one that is under way there. */
            const uint8_t *last = upto - 1 > at ? base + (upto - 1 - at) : base;
            last = line_end(last < begin ? begin : last, end);
            end = last < end ? last + 1 : end;
        }
        if (end > begin) {
            torn = end[-1] != '\n';
            if (!block(&sights, begin, end) || (upto == UINT64_MAX && ended && end == base + have))
                return;
            sights.number += scan.newlines(sights.counted, end) + (uint64_t)torn;
            file->lines = sights.number - 1;
        }
        sights.first = 0;
        entered = 1;
        buffer_drop(worker, &at, &have, end);
        if ((ended && have == 0) || job_halted(job) || (!torn && at >= upto))
            return;
    }
}

static void file_search(Worker *worker, File *file, int folder, const char *path)
{
    Job *job = worker->job;
    struct stat facts;
    int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (job->follow ? 0 : O_NOFOLLOW);
    int descriptor = openat(folder, path, flags);
    file->worker = (uint8_t)worker->number;
    file->hit = worker->hit_count;
    if (descriptor < 0 || fstat(descriptor, &facts) < 0) {
        file->error = errno;
        file->state = FILE_FAILED;
    } else if (!S_ISREG(facts.st_mode)) {
        file->why = WHY_NOT_REGULAR;
        file->state = FILE_FAILED;
    } else if ((uint64_t)facts.st_size > job->largest_claim && facts.st_blocks == 0) {
        file->why = WHY_HOLLOW;
        file->state = FILE_FAILED;
    } else {
        file->state = FILE_SEARCHED;
        if (facts.st_size >= LARGE && job->shares && !starts_utf16(descriptor))
            file->state = FILE_LARGE;
        else
            file_read(worker, file, descriptor, (uint64_t)facts.st_size, 0, UINT64_MAX);
        file->hits = worker->hit_count - file->hit;
    }
    if (descriptor >= 0)
        close(descriptor);
}

/* Files are done in any order: with a limit, find out whether those before the first that is not hold enough. */
static void job_settle(Job *job, size_t index, uint8_t *done)
{
    pthread_mutex_lock(&job->lock);
    done[index] = 1;
    while (job->settled < job->count && done[job->settled]) {
        File *file = &job->files[job->settled++];
        if (file->state == FILE_SEARCHED)
            job->settled_count += job->mode == MODE_LINES ? file->count + (file->over && !file->late) : file->count > 0;
    }
    if (job->settled_count > job->limit)
        __atomic_store_n(&job->ended, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&job->lock);
}

typedef struct {
    Worker *worker;
    uint8_t *done;
} Start;

/* Search one piece of a large file. */
static void piece_search(Worker *worker, size_t index)
{
    Job *job = worker->job;
    File *file = &job->files[index];
    file->worker = (uint8_t)worker->number;
    file->hit = worker->hit_count;
    file->state = FILE_SEARCHED;
    file_read(worker, file, job->folder, job->size, index * (uint64_t)PIECE, (index + 1) * (uint64_t)PIECE);
    file->hits = worker->hit_count - file->hit;
}

static void worker_run(Worker *worker, uint8_t *done)
{
    Job *job = worker->job;
    while (!job_halted(job)) {
        size_t index = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
        if (index >= job->count)
            return;
        if (job->size)
            piece_search(worker, index);
        else
            file_search(worker, &job->files[index], job->folder, job->paths[index]);
        if (done)
            job_settle(job, index, done);
    }
}

static void *worker_start(void *argument)
{
    Start *start = argument;
    worker_run(start->worker, start->done);
    return NULL;
}

static int worker_prepare(Job *job, int number)
{
    Worker *worker = &job->workers[number];
    worker->job = job;
    worker->number = number;
    worker->room = BUFFER;
    worker->buffer = malloc(ALIGNED + BUFFER + SLACK);
    worker->dfa = dfa_new(&job->engine->program, 0, job->engine->tier == TIER_DFA);
    worker->mirrored = dfa_new(&job->engine->mirrored, 1, 0);
    worker->trier = job->engine->tried ? trier_new(&job->engine->trial) : NULL;
    return worker->buffer && worker->dfa && worker->mirrored && (worker->trier || !job->engine->tried) ? 0 : -1;
}

/* Search all files with up to `threads` threads; return -1 when memory fails. Ends early when `stop` is set. */
static int job_run(Job *job, int threads)
{
    pthread_t handles[MOST_WORKERS];
    Start starts[MOST_WORKERS];
    uint8_t *done = job->limit == UINT64_MAX ? NULL : calloc(job->count + 1, 1);
    int started = 1;
    if ((job->limit != UINT64_MAX && done == NULL) || worker_prepare(job, 0) < 0) {
        free(done);
        return -1;
    }
    pthread_mutex_init(&job->lock, NULL);
    for (int i = 1; i < threads && i < MOST_WORKERS; i++) {
        starts[i] = (Start){&job->workers[i], done};
        /* Fewer threads are slower, but no failure. */
        if (worker_prepare(job, i) < 0 || pthread_create(&handles[i], NULL, worker_start, &starts[i]) != 0)
            break;
        started = i + 1;
    }
    worker_run(&job->workers[0], done);
    for (int i = 1; i < started; i++)
        pthread_join(handles[i], NULL);
    pthread_mutex_destroy(&job->lock);
    free(done);
    return job->failed ? -1 : 0;
}

static void job_free(Job *job)
{
    for (int i = 0; i < MOST_WORKERS; i++) {
        Worker *worker = &job->workers[i];
        dfa_free(worker->dfa);
        dfa_free(worker->mirrored);
        trier_free(worker->trier);
        free(worker->buffer);
        free(worker->text);
        free(worker->hits);
        while (worker->kept) {
            Kept *next = worker->kept->next;
            free(worker->kept);
            worker->kept = next;
        }
        for (int lane = 0; lane < LANES; lane++)
            free((void *)worker->found[lane]);
    }
}

#endif
