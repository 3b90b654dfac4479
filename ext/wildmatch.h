/* Git's wildmatch patterns, cut at their slashes and matched; the twin of nanocode/hot/wildmatch.py. */

#ifndef NANOCODE_WILDMATCH_H
#define NANOCODE_WILDMATCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Memory that is given back all at once. */
typedef struct ArenaChunk {
    struct ArenaChunk *next;
} ArenaChunk;

typedef struct {
    ArenaChunk *chunks;
    char *at, *end;
} Arena;

static inline void *arena_take(Arena *arena, size_t size)
{
    size = (size + 7) & ~(size_t)7;
    if ((size_t)(arena->end - arena->at) < size) {
        size_t room = size > 4096 ? size : 4096;
        ArenaChunk *chunk = malloc(sizeof(ArenaChunk) + room);
        if (!chunk)
            return NULL;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->at = (char *)(chunk + 1);
        arena->end = arena->at + room;
    }
    arena->at += size;
    return arena->at - size;
}

static inline void arena_release(Arena *arena)
{
    while (arena->chunks) {
        ArenaChunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    arena->at = arena->end = NULL;
}

/* One place of a pattern: a byte, any run of bytes, or one of a set of bytes. */
enum { PLACE_BYTE, PLACE_RUN, PLACE_SET };

typedef struct {
    uint8_t kind, byte;
    const uint8_t *set; /* 256 bits */
} Place;

/* What stands between two slashes; `depth` is the fewest folders that `**` spans, -1 for all else. */
typedef struct {
    const Place *places;
    uint32_t count;
    int depth;
} Segment;

static inline int place_takes(const Place *place, uint8_t byte)
{
    if (place->kind == PLACE_BYTE)
        return place->byte == byte;
    return place->set[byte >> 3] >> (byte & 7) & 1;
}

/* Whether `places` take all of `name`. Only the last run is ever widened: what comes before it is final. */
static inline int places_match(const Place *places, size_t count, const char *name, size_t size)
{
    size_t at = 0, place = 0, run = SIZE_MAX, resume = 0;
    /* Most patterns fail at their end, which is known without a search. */
    while (count > 0 && size > 0 && places[count - 1].kind != PLACE_RUN) {
        if (!place_takes(&places[count - 1], (uint8_t)name[size - 1]))
            return 0;
        count--;
        size--;
    }
    while (at < size) {
        if (place < count && places[place].kind == PLACE_RUN) {
            run = place++;
            resume = at;
        } else if (place < count && place_takes(&places[place], (uint8_t)name[at])) {
            place++;
            at++;
        } else if (run != SIZE_MAX) {
            place = run + 1;
            at = ++resume;
        } else {
            return 0;
        }
    }
    while (place < count && places[place].kind == PLACE_RUN)
        place++;
    return place == count;
}

/* Whether `parts` take all of `folder`, names that each end in a slash. */
static inline int segments_match(const Segment *parts, size_t count, const char *folder, size_t size)
{
    size_t part = 0, deep = SIZE_MAX;
    const char *at = folder, *end = folder + size, *resume = folder, *slash;
    for (;;) {
        while (part < count && parts[part].depth >= 0) {
            for (int spanned = 0; spanned < parts[part].depth; spanned++) {
                if (at == end)
                    return 0;
                at = (const char *)memchr(at, '/', (size_t)(end - at)) + 1;
            }
            deep = ++part;
            resume = at;
        }
        if (at == end)
            return part == count;
        slash = (const char *)memchr(at, '/', (size_t)(end - at));
        if (part < count && places_match(parts[part].places, parts[part].count, at, (size_t)(slash - at))) {
            part++;
            at = slash + 1;
        } else if (deep != SIZE_MAX) {
            resume = (const char *)memchr(resume, '/', (size_t)(end - resume)) + 1;
            at = resume;
            part = deep;
        } else {
            return 0;
        }
    }
}

/* Pairs of first and last member. ASCII only, and git's own idea of space (its ctype.c). */
static const struct {
    const char *name;
    const char *ends;
    int count;
} POSIX_SETS[] = {
    {"alnum", "09AZaz", 3},   {"alpha", "AZaz", 2}, {"blank", "\t\t  ", 2}, {"cntrl", "\0\x1f\x7f\x7f", 2},
    {"digit", "09", 1},       {"graph", "!~", 1},   {"lower", "az", 1},     {"print", " ~", 1},
    {"punct", "!/:@[`{~", 4}, {"space", "\t\n\r\r  ", 3}, {"upper", "AZ", 1}, {"xdigit", "09AFaf", 3},
};
#define POSIX_COUNT ((int)(sizeof POSIX_SETS / sizeof *POSIX_SETS))

static inline void set_add(uint8_t *set, int first, int last)
{
    for (int byte = first; byte <= last; byte++)
        set[byte >> 3] |= (uint8_t)(1 << (byte & 7));
}

/* Adds the class called `name`; 0 when there is none of that name. */
static inline int set_add_posix(uint8_t *set, const char *name, size_t size)
{
    for (int index = 0; index < POSIX_COUNT; index++) {
        if (strlen(POSIX_SETS[index].name) == size && memcmp(POSIX_SETS[index].name, name, size) == 0) {
            const uint8_t *ends = (const uint8_t *)POSIX_SETS[index].ends;
            for (int pair = 0; pair < POSIX_SETS[index].count; pair++)
                set_add(set, ends[2 * pair], ends[2 * pair + 1]);
            return 1;
        }
    }
    return 0;
}

/* Name in the `[:name:]` at `at`: its size, 0 also when nothing closes it; -1 where the next `]` ends a plain class. */
static inline ptrdiff_t posix_name(const char *pattern, size_t size, size_t at)
{
    const char *start = pattern + at + 2;
    const char *end = memchr(start, ']', size - at - 2);
    if (!end)
        return 0;
    if (end == start || end[-1] != ':')
        return -1;
    return end - 1 - start;
}

/* Reads the class that opens at `start` into `set`: where it ends, 0 when it is malformed. */
static inline size_t bracket(const char *pattern, size_t size, size_t start, uint8_t *set)
{
    size_t at = start + 1;
    int negated = at < size && (pattern[at] == '!' || pattern[at] == '^');
    int first = 1, previous = -1;
    at += (size_t)negated;
    memset(set, 0, 32);
    while (first || at >= size || pattern[at] != ']') {
        first = 0;
        if (at + 1 < size && pattern[at] == '[' && pattern[at + 1] == ':') {
            ptrdiff_t length = posix_name(pattern, size, at);
            if (length >= 0) {
                if (!set_add_posix(set, pattern + at + 2, (size_t)length))
                    return 0;
                at += (size_t)length + 4;
                previous = -1;
                continue;
            }
        }
        int ranged = previous >= 0 && at + 1 < size && pattern[at] == '-' && pattern[at + 1] != ']';
        at += (size_t)ranged;
        at += at < size && pattern[at] == '\\';
        if (at >= size)
            return 0;
        uint8_t byte = (uint8_t)pattern[at++];
        set_add(set, ranged ? previous : byte, byte);
        previous = ranged ? -1 : byte;
    }
    for (int index = 0; negated && index < 32; index++)
        set[index] = (uint8_t)~set[index];
    set['/' >> 3] &= (uint8_t) ~(1 << ('/' & 7));
    return at + 1;
}

/* The place of a set: a byte when it has one member; 0 when it has none, -1 without memory. */
static inline int place_of(Place *place, const uint8_t *set, Arena *arena)
{
    int members = 0, last = 0;
    for (int byte = 0; byte < 256; byte++)
        if (set[byte >> 3] >> (byte & 7) & 1) {
            members++;
            last = byte;
        }
    place->kind = members == 1 ? PLACE_BYTE : PLACE_SET;
    place->byte = (uint8_t)last;
    if (members > 1) {
        uint8_t *kept = arena_take(arena, 32);
        if (!kept)
            return -1;
        memcpy(kept, set, 32);
        place->set = kept;
    }
    return members > 0;
}

static inline void segment_end(Segment *segment, Place *places, uint32_t count, int depth)
{
    uint32_t runs = 0, kept = 0;
    for (uint32_t at = 0; at < count; at++)
        runs += places[at].kind == PLACE_RUN;
    for (uint32_t at = 0; at < count; at++)
        if (places[at].kind != PLACE_RUN || kept == 0 || places[kept - 1].kind != PLACE_RUN)
            places[kept++] = places[at];
    segment->places = places;
    segment->count = kept;
    segment->depth = count > 1 && runs == count ? depth : -1;
}

/* Cuts `pattern` into `parts`, which have room for one more than it has slashes: their number, 0 when it can match
   nothing (an open or empty class, a lone backslash at the end, nothing between two slashes), -1 without memory. */
static inline int segments_of(const char *pattern, size_t size, Segment *parts, Arena *arena)
{
    Place *places = arena_take(arena, (size + 1) * sizeof(Place));
    uint8_t set[32];
    uint32_t start = 0, count = 0;
    int done = 0, kept;
    if (!places)
        return -1;
    for (size_t at = 0; at <= size; at++) {
        int escaped = at < size && pattern[at] == '\\';
        at += (size_t)escaped;
        if (escaped && at >= size)
            return 0;
        char byte = at < size ? pattern[at] : '/';
        Place *place = &places[count];
        if (byte == '/') {
            if (count == start)
                return 0;
            segment_end(&parts[done++], places + start, count - start, at < size && escaped);
            start = count;
            continue;
        }
        place->kind = PLACE_BYTE;
        place->byte = (uint8_t)byte;
        place->set = NULL;
        count++;
        if (escaped)
            continue;
        if (byte == '*') {
            place->kind = PLACE_RUN;
        } else if (byte == '?' || byte == '[') {
            if (byte == '?') {
                memset(set, 0xff, 32);
                set['/' >> 3] &= (uint8_t) ~(1 << ('/' & 7));
            } else {
                at = bracket(pattern, size, at, set);
                if (!at)
                    return 0;
                at--;
            }
            kept = place_of(place, set, arena);
            if (kept <= 0)
                return kept;
        }
    }
    return done;
}

#endif
