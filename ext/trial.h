/* Runs the programs of `hot/trial.py`: backtracking over UTF-8, with a bound on its steps.
 *
 * It goes the ways in the order in which `regex` does, since what a look-ahead or an atomic part finds first is kept.
 */
#ifndef NANOCODE_TRIAL_H
#define NANOCODE_TRIAL_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dfa.h"

enum {
    TRY_END, TRY_ONE, TRY_GREEDY, TRY_LAZY, TRY_POSSESSIVE, TRY_SPLIT, TRY_PLACE, TRY_MARK, TRY_SAME, TRY_AHEAD,
    TRY_NOT_AHEAD, TRY_BEHIND, TRY_NOT_BEHIND, TRY_ONCE
};
/* Steps that a line may take, and more for each of its bytes; ways back kept at once. */
#define TRIAL_STEPS (1u << 20)
#define TRIAL_BYTE_STEPS 16
#define TRIAL_WAYS (1u << 18)
#define TRIAL_UNKNOWN -2

typedef struct {
    int count, entry, sets, classes, bounds, slots, word;
    const int32_t *op, *next, *x, *y, *z;
    const uint8_t *ascii;    /* ascii[set * 128 + byte] */
    const uint8_t *member;   /* member[set * classes + class] */
    const uint32_t *bound;
    const int32_t *run;
    int any;                 /* a match can begin anywhere, else with one of the bytes in `first` */
    uint8_t first[256];
} Trial;

/* A way back: another place to go on from, a slot's earlier value, or a repeat that may give or take a character. */
enum { WAY_BRANCH, WAY_SLOT, WAY_GREEDY, WAY_LAZY };
typedef struct {
    int32_t kind, place;
    const uint8_t *p, *floor;
    uint32_t left;
} Way;

typedef struct {
    const Trial *trial;
    const uint8_t *begin, *end;
    const uint8_t **slots;
    Way *ways;
    size_t depth, room;
    uint64_t steps;
} Trier;

static inline int trial_class(const Trial *trial, uint32_t code)
{
    int low = 0, high = trial->bounds;
    while (high - low > 1) {
        int middle = (low + high) >> 1;
        if (trial->bound[middle] <= code)
            low = middle;
        else
            high = middle;
    }
    return trial->run[low];
}

/* The length of the character at `p` when it is in the set, else 0. */
static inline int trial_one(const Trial *trial, int set, const uint8_t *p, const uint8_t *end)
{
    uint32_t code;
    int length;
    if (p == end)
        return 0;
    if (*p < 0x80)
        return trial->ascii[set * 128 + *p];
    length = utf8_decode(p, end, &code);
    return trial->member[set * trial->classes + trial_class(trial, code)] ? length : 0;
}

static int trial_is_word(const Trier *trier, const uint8_t *p)
{
    return trial_one(trier->trial, trier->trial->word, p, trier->end) != 0;
}

static inline int trial_place(const Trier *trier, int kind, const uint8_t *p)
{
    const uint8_t *word;
    int before = 0;
    uint32_t code;
    if (kind == AT_START)
        return p == trier->begin;
    if (kind == AT_END)
        return p == trier->end;
    word = trier->trial->ascii + trier->trial->word * 128;
    if (p > trier->begin && p < trier->end && (p[-1] | p[0]) < 0x80)
        return (word[p[-1]] != word[p[0]]) == (kind == AT_WORD);
    if (p > trier->begin)
        before = trial_is_word(trier, p - utf8_decode_back(trier->begin, p, &code));
    return (before != trial_is_word(trier, p)) == (kind == AT_WORD);
}

static int trial_push(Trier *trier, Way way)
{
    if (trier->depth == trier->room) {
        size_t room = trier->room ? trier->room * 2 : 64;
        Way *moved = room > TRIAL_WAYS ? NULL : realloc(trier->ways, room * sizeof *moved);
        if (moved == NULL)
            return 0;
        trier->ways = moved;
        trier->room = room;
    }
    trier->ways[trier->depth++] = way;
    return 1;
}

/* How many bytes at `p` are what stands in [from, to), -1 for others, TRIAL_UNKNOWN where case is not ASCII's. */
static ptrdiff_t trial_same(const Trier *trier, const uint8_t *from, const uint8_t *to, const uint8_t *p, int folded)
{
    ptrdiff_t size = to - from;
    if (size <= trier->end - p && memcmp(from, p, (size_t)size) == 0)
        return size;
    if (!folded)
        return -1;
    for (ptrdiff_t at = 0; at < size; at++) {
        uint8_t one = from[at], other;
        if (one >= 0x80 || (at < trier->end - p && p[at] >= 0x80))
            return TRIAL_UNKNOWN;
        if (at == trier->end - p)
            return -1;
        other = p[at];
        if (one != other && ((one ^ other) != 0x20 || (one | 0x20) < 'a' || (one | 0x20) > 'z'))
            return -1;
    }
    return size;
}

/* Forget the ways back beyond `base`; slots keep their values, and can be reset with what is before `base`. */
static void trial_settle(Trier *trier, size_t base)
{
    size_t kept = base;
    for (size_t at = base; at < trier->depth; at++)
        if (trier->ways[at].kind == WAY_SLOT)
            trier->ways[kept++] = trier->ways[at];
    trier->depth = kept;
}

static void trial_undo(Trier *trier, size_t base)
{
    while (trier->depth > base) {
        Way *way = &trier->ways[--trier->depth];
        if (way->kind == WAY_SLOT)
            trier->slots[way->place] = way->p;
    }
}

static int trial_run(Trier *trier, int place, const uint8_t *p, const uint8_t *goal, const uint8_t **reached);

/* Whether what starts at `entry` fits somewhere from `least` to `most` characters before `p` and ends there. */
static int trial_behind(Trier *trier, int entry, const uint8_t *p, int least, int most)
{
    const uint8_t *from = p, *reached;
    uint32_t code;
    for (int back = 0; most < 0 || back <= most; back++) {
        if (back >= least) {
            size_t base = trier->depth;
            int found = trial_run(trier, entry, from, p, &reached);
            trial_undo(trier, base);
            if (found)
                return found;
        }
        if (from == trier->begin)
            break;
        if (trier->steps-- == 0)
            return TRIAL_UNKNOWN;
        from -= utf8_decode_back(trier->begin, from, &code);
    }
    return 0;
}

/* From `place` at `p` to an end, which is at `goal` when that is given: 1, 0 or TRIAL_UNKNOWN. Ways back stay on 1. */
static int trial_run(Trier *trier, int place, const uint8_t *p, const uint8_t *goal, const uint8_t **reached)
{
    const Trial *trial = trier->trial;
    const uint8_t *end = trier->end;
    const size_t base = trier->depth;
    for (;;) {
        int fits = 1, length;
        if (trier->steps-- == 0)
            return TRIAL_UNKNOWN;
        switch (trial->op[place]) {
        case TRY_END:
            if (goal == NULL || p == goal) {
                *reached = p;
                return 1;
            }
            fits = 0;
            break;
        case TRY_ONE:
            length = trial_one(trial, trial->x[place], p, end);
            p += length;
            fits = length > 0;
            break;
        case TRY_GREEDY:
        case TRY_LAZY:
        case TRY_POSSESSIVE: {
            uint32_t least = (uint32_t)trial->y[place], most = (uint32_t)trial->z[place], taken = 0;
            uint32_t wanted = trial->op[place] == TRY_LAZY ? least : most;
            const uint8_t *from = p, *floor = p;
            while (taken < wanted && (length = trial_one(trial, trial->x[place], p, end)) > 0) {
                p += length;
                if (++taken == least)
                    floor = p;
            }
            if ((uint64_t)(p - from) > trier->steps)
                return TRIAL_UNKNOWN;
            trier->steps -= (uint64_t)(p - from);
            fits = taken >= least;
            if (!fits || trial->op[place] == TRY_POSSESSIVE || (trial->op[place] == TRY_LAZY ? least == most : p == floor))
                break;
            if (!trial_push(trier, trial->op[place] == TRY_LAZY ? (Way){WAY_LAZY, place, p, NULL, most - least}
                                                                : (Way){WAY_GREEDY, place, p, floor, 0}))
                return TRIAL_UNKNOWN;
            break;
        }
        case TRY_SPLIT:
            if (!trial_push(trier, (Way){WAY_BRANCH, trial->x[place], p, NULL, 0}))
                return TRIAL_UNKNOWN;
            break;
        case TRY_PLACE:
            fits = trial_place(trier, trial->x[place], p);
            break;
        case TRY_MARK:
            if (!trial_push(trier, (Way){WAY_SLOT, trial->x[place], trier->slots[trial->x[place]], NULL, 0}))
                return TRIAL_UNKNOWN;
            trier->slots[trial->x[place]] = p;
            break;
        case TRY_SAME: {
            const uint8_t *from = trier->slots[trial->x[place]], *to = trier->slots[trial->x[place] + 1];
            ptrdiff_t size = to ? trial_same(trier, from, to, p, trial->y[place]) : -1;
            if (size == TRIAL_UNKNOWN)
                return TRIAL_UNKNOWN;
            fits = size >= 0;
            p += fits ? size : 0;
            break;
        }
        case TRY_AHEAD:
        case TRY_NOT_AHEAD:
        case TRY_ONCE: {
            size_t kept = trier->depth;
            const uint8_t *there = p;
            int found = trial_run(trier, trial->x[place], p, NULL, &there);
            if (found == TRIAL_UNKNOWN)
                return TRIAL_UNKNOWN;
            fits = found != (trial->op[place] == TRY_NOT_AHEAD);
            if (trial->op[place] == TRY_NOT_AHEAD)
                trial_undo(trier, kept);
            else
                trial_settle(trier, kept);
            if (trial->op[place] == TRY_ONCE)
                p = there;
            break;
        }
        case TRY_BEHIND:
        case TRY_NOT_BEHIND: {
            int found = trial_behind(trier, trial->x[place], p, trial->y[place], trial->z[place]);
            if (found == TRIAL_UNKNOWN)
                return TRIAL_UNKNOWN;
            fits = found == (trial->op[place] == TRY_BEHIND);
        }
        }
        if (fits) {
            place = trial->next[place];
            continue;
        }
        for (;;) {
            Way *way;
            if (trier->depth == base)
                return 0;
            way = &trier->ways[trier->depth - 1];
            if (way->kind == WAY_SLOT) {
                trier->slots[way->place] = way->p;
                trier->depth--;
                continue;
            }
            if (way->kind == WAY_BRANCH) {
                place = way->place;
                p = way->p;
                trier->depth--;
                break;
            }
            if (way->kind == WAY_GREEDY) {
                /* What was taken are whole characters. */
                do
                    way->p--;
                while ((*way->p & 0xC0) == 0x80);
            } else {
                length = trial_one(trial, trial->x[way->place], way->p, end);
                if (length == 0) {
                    trier->depth--;
                    continue;
                }
                way->p += length;
                way->left--;
            }
            place = trial->next[way->place];
            p = way->p;
            if (way->kind == WAY_GREEDY ? p == way->floor : way->left == 0)
                trier->depth--;
            break;
        }
    }
}

/* Whether a match can begin at `p`. */
static int trial_opens(const Trier *trier, const uint8_t *p)
{
    const Trial *trial = trier->trial;
    if (!trial->any && (p == trier->end || !trial->first[*p]))
        return 0;
    return trial->op[trial->entry] != TRY_PLACE || trial_place(trier, trial->x[trial->entry], p);
}

/* Where the leftmost match in a line starts, -1 when there is none, TRIAL_UNKNOWN when `regex` has to say. */
static ptrdiff_t trial_find(Trier *trier, const uint8_t *begin, const uint8_t *end)
{
    const Trial *trial = trier->trial;
    const uint8_t *p = begin, *reached;
    trier->begin = begin;
    trier->end = end;
    trier->depth = 0;
    trier->steps = TRIAL_STEPS + TRIAL_BYTE_STEPS * (uint64_t)(end - begin);
    memset((void *)trier->slots, 0, (size_t)trial->slots * sizeof *trier->slots);
    for (;;) {
        uint32_t code;
        int found = trial_opens(trier, p) ? trial_run(trier, trial->entry, p, NULL, &reached) : 0;
        if (found)
            return found == TRIAL_UNKNOWN ? TRIAL_UNKNOWN : p - begin;
        if (p == end)
            return -1;
        p += utf8_decode(p, end, &code);
    }
}

static Trier *trier_new(const Trial *trial)
{
    Trier *trier = calloc(1, sizeof *trier);
    if (trier == NULL)
        return NULL;
    trier->trial = trial;
    trier->slots = calloc((size_t)trial->slots + 1, sizeof *trier->slots);
    if (trier->slots == NULL) {
        free(trier);
        return NULL;
    }
    return trier;
}

static void trier_free(Trier *trier)
{
    if (trier == NULL)
        return;
    free((void *)trier->slots);
    free(trier->ways);
    free(trier);
}

#endif
