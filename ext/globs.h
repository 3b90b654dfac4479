/* Glob patterns as people write them, without the GIL; the twin of nanocode/hot/globs.py, which holds the contract.
   A pattern is a nondeterministic automaton, run over all its places at once: O(path x pattern) at worst, and what
   does not end as the pattern does is refused before. A compiled Glob is constant; each thread has its own GlobRun. */

#ifndef NANOCODE_GLOBS_H
#define NANOCODE_GLOBS_H

#include "wildmatch.h"

enum { TEST_ALWAYS, TEST_WITHIN, TEST_CHAR, TEST_SET, TEST_SKIP };

typedef struct {
    uint32_t first, last;
} GlobRange;

typedef struct {
    GlobRange *ranges;
    uint32_t count;
    int negated;
} GlobSet;

/* From a place on: where a character that passes the test leads, or no character at all for TEST_SKIP. */
typedef struct GlobEdge {
    struct GlobEdge *next;
    uint32_t target, value; /* the character */
    const GlobSet *set;
    int test;
} GlobEdge;

typedef struct {
    const char *bytes;
    size_t size;
} GlobText;

typedef struct {
    Arena arena;
    int anchored, folders_only, simple, star;
    GlobText *names; /* of a simple pattern: the names, or with `star` the ends of names */
    uint32_t name_count;
    GlobEdge **edges;
    uint32_t place_count, place_room, last;
    GlobText tail; /* how the last name of all that fits ends */
} Glob;

/* The places a thread has reached: `folder` those after the folder last entered, `now` and `next` while a name is read. */
typedef struct {
    uint32_t *folder, *now, *next, *marks, *waiting;
    uint32_t folder_count, mark;
} GlobRun;

/* What stands at a place of the pattern's text. `kind` is '*', '#' for `**`, '/' for a deep one, '?', '[' or 'c'; a
   `plain` character may turn out to be a brace or a comma of alternatives. */
typedef struct {
    uint32_t start, end, value;
    uint8_t kind, plain, structural;
} GlobToken;

/* Length of the `[:name:]` at `at` and the number of its set; 0 when there is none. */
static inline uint32_t glob_posix(const uint32_t *text, uint32_t size, uint32_t at, int *index)
{
    if (at + 3 >= size || text[at] != '[' || text[at + 1] != ':')
        return 0;
    for (*index = 0; *index < POSIX_COUNT; ++*index) {
        const char *name = POSIX_SETS[*index].name;
        uint32_t length = (uint32_t)strlen(name), same = 0;
        if (at + length + 4 > size || text[at + length + 2] != ':' || text[at + length + 3] != ']')
            continue;
        while (same < length && text[at + 2 + same] == (uint8_t)name[same])
            same++;
        if (same == length)
            return length + 4;
    }
    return 0;
}

/* Where the class that opens at `at` ends, 0 when it is none. */
static inline uint32_t glob_set_end(const uint32_t *text, uint32_t size, uint32_t at)
{
    int index;
    at++;
    at += at < size && (text[at] == '!' || text[at] == '^');
    at += at < size && text[at] == ']';
    while (at < size && text[at] != ']') {
        uint32_t named = glob_posix(text, size, at, &index);
        at += named ? named : text[at] == '\\' ? 2 : 1;
    }
    return at < size ? at + 1 : 0;
}

/* Reads one token, of which `start` says where. */
static inline void glob_token(GlobToken *token, const uint32_t *text, uint32_t size)
{
    uint32_t at = token->start, stars = 0;
    token->value = text[at];
    token->kind = 'c';
    token->plain = token->structural = 0;
    token->end = at + 1;
    while (at + stars < size && text[at + stars] == '*')
        stars++;
    if (text[at] == '\\' && at + 1 < size) {
        token->value = text[at + 1];
        token->end = at + 2;
    } else if (text[at] == '[' && glob_set_end(text, size, at)) {
        token->kind = '[';
        token->end = glob_set_end(text, size, at);
    } else if (stars) {
        int deep = stars > 1 && at + stars < size && text[at + stars] == '/';
        token->kind = deep ? '/' : stars > 1 ? '#' : '*';
        token->end = at + stars + (uint32_t)deep;
    } else if (text[at] == '?') {
        token->kind = '?';
    } else {
        token->plain = 1;
    }
}

/* All tokens of the text, which are at most as many as its characters. */
static inline uint32_t glob_tokens(GlobToken *tokens, const uint32_t *text, uint32_t size)
{
    uint32_t count = 0;
    for (uint32_t at = 0; at < size; at = tokens[count++].end) {
        tokens[count].start = at;
        glob_token(&tokens[count], text, size);
    }
    return count;
}

/* Marks the braces that have a partner, and the commas that belong to one; `opened` has room for each token. */
static inline void glob_structure(GlobToken *tokens, uint32_t count, uint32_t *opened)
{
    uint32_t depth = 0;
    for (uint32_t at = 0; at < count; at++) {
        uint32_t value = tokens[at].plain ? tokens[at].value : 0;
        if (value == '{' || (value == ',' && depth))
            opened[depth++] = at;
        if (value != '}' || !depth)
            continue;
        if (opened[depth - 1] + 1 == at && tokens[at - 1].value == '{') {
            depth--;
            continue;
        }
        tokens[at].structural = 1;
        do
            tokens[opened[--depth]].structural = 1;
        while (tokens[opened[depth]].value == ',');
    }
}

static inline uint32_t glob_place(Glob *glob)
{
    if (glob->place_count == glob->place_room) {
        uint32_t room = glob->place_room ? 2 * glob->place_room : 16;
        GlobEdge **edges = realloc(glob->edges, room * sizeof(GlobEdge *));
        if (!edges)
            return UINT32_MAX;
        glob->edges = edges;
        glob->place_room = room;
    }
    glob->edges[glob->place_count] = NULL;
    return glob->place_count++;
}

static inline int glob_edge(Glob *glob, uint32_t from, uint32_t target, int test, uint32_t value, const GlobSet *set)
{
    GlobEdge *edge = target == UINT32_MAX ? NULL : arena_take(&glob->arena, sizeof(GlobEdge));
    if (!edge)
        return -1;
    *edge = (GlobEdge){glob->edges[from], target, value, set, test};
    glob->edges[from] = edge;
    return 0;
}

/* A place behind one edge of `from`; UINT32_MAX without memory. */
static inline uint32_t glob_after(Glob *glob, uint32_t from, int test, uint32_t value, const GlobSet *set)
{
    uint32_t target = glob_place(glob);
    return glob_edge(glob, from, target, test, value, set) < 0 ? UINT32_MAX : target;
}

static inline uint32_t glob_repeat(Glob *glob, uint32_t from, int test)
{
    uint32_t loop = glob_after(glob, from, TEST_SKIP, 0, NULL);
    return loop == UINT32_MAX || glob_edge(glob, loop, loop, test, 0, NULL) < 0 ? UINT32_MAX : loop;
}

static inline uint32_t glob_member(const uint32_t *text, uint32_t *at, uint32_t end)
{
    *at += text[*at] == '\\' && *at + 1 < end;
    return text[(*at)++];
}

/* The set between the brackets of a class; NULL without memory. */
static inline const GlobSet *glob_set(Glob *glob, const uint32_t *text, uint32_t at, uint32_t end)
{
    GlobSet *set = arena_take(&glob->arena, sizeof(GlobSet));
    int index;
    if (!set)
        return NULL;
    set->ranges = arena_take(&glob->arena, 4 * (size_t)(end - at) * sizeof(GlobRange));
    if (!set->ranges)
        return NULL;
    set->count = 0;
    set->negated = text[at] == '!' || text[at] == '^';
    at += (uint32_t)set->negated;
    while (at < end) {
        uint32_t named = glob_posix(text, end, at, &index);
        if (named) {
            const uint8_t *ends = (const uint8_t *)POSIX_SETS[index].ends;
            for (int pair = 0; pair < POSIX_SETS[index].count; pair++)
                set->ranges[set->count++] = (GlobRange){ends[2 * pair], ends[2 * pair + 1]};
            at += named;
            continue;
        }
        GlobRange range;
        range.first = range.last = glob_member(text, &at, end);
        if (at + 1 < end && text[at] == '-' && !glob_posix(text, end, at + 1, &index)) {
            at++;
            range.last = glob_member(text, &at, end);
        }
        set->ranges[set->count++] = range;
    }
    return set;
}

static inline int glob_takes(const GlobEdge *edge, uint32_t value)
{
    switch (edge->test) {
    case TEST_ALWAYS:
        return 1;
    case TEST_WITHIN:
        return value != '/';
    case TEST_CHAR:
        return value == edge->value;
    case TEST_SET: {
        int inside = 0;
        for (uint32_t at = 0; at < edge->set->count && !inside; at++)
            inside = edge->set->ranges[at].first <= value && value <= edge->set->ranges[at].last;
        return value != '/' && inside != edge->set->negated;
    }
    default:
        return 0;
    }
}

/* Where the reading of a pattern stands: the place reached, and the one reached only where a name starts. */
typedef struct {
    uint32_t place, at_name;
} GlobFront;

#define GLOB_NOWHERE UINT32_MAX

/* An open group: where it began, and the places that its alternatives so far have ended at. */
typedef struct {
    GlobFront entry;
    uint32_t end, name_end; /* places that all ends skip to, made with the first of them */
} GlobGroup;

static inline int glob_group_end(Glob *glob, GlobGroup *group, GlobFront front)
{
    if (group->end == GLOB_NOWHERE && (group->end = glob_place(glob)) == GLOB_NOWHERE)
        return -1;
    if (glob_edge(glob, front.place, group->end, TEST_SKIP, 0, NULL) < 0)
        return -1;
    if (front.at_name == GLOB_NOWHERE)
        return 0;
    if (group->name_end == GLOB_NOWHERE && (group->name_end = glob_place(glob)) == GLOB_NOWHERE)
        return -1;
    return glob_edge(glob, front.at_name, group->name_end, TEST_SKIP, 0, NULL);
}

static inline int glob_brace(Glob *glob, uint32_t brace, GlobGroup *groups, uint32_t *depth, GlobFront *front)
{
    if (brace == '{') {
        groups[(*depth)++] = (GlobGroup){*front, GLOB_NOWHERE, GLOB_NOWHERE};
        return 0;
    }
    GlobGroup *group = &groups[*depth - 1];
    if (glob_group_end(glob, group, *front) < 0)
        return -1;
    if (brace == '}')
        --*depth;
    *front = brace == ',' ? group->entry : (GlobFront){group->end, group->name_end};
    return 0;
}

static inline int glob_deep(Glob *glob, GlobFront *front)
{
    uint32_t loop = glob_repeat(glob, front->place, TEST_ALWAYS);
    uint32_t after = loop == GLOB_NOWHERE ? loop : glob_after(glob, loop, TEST_CHAR, '/', NULL);
    if (after != GLOB_NOWHERE && front->at_name != GLOB_NOWHERE) {
        uint32_t joined = glob_after(glob, after, TEST_SKIP, 0, NULL);
        if (joined == GLOB_NOWHERE || glob_edge(glob, front->at_name, joined, TEST_SKIP, 0, NULL) < 0)
            return -1;
        after = joined;
    }
    *front = (GlobFront){after, after};
    return after == GLOB_NOWHERE ? -1 : 0;
}

static inline int glob_step(Glob *glob, const GlobToken *token, const uint32_t *text, GlobFront *front)
{
    const GlobSet *set = NULL;
    if (token->kind == '/')
        return glob_deep(glob, front);
    if (token->kind == '*' || token->kind == '#') {
        uint32_t loop = glob_repeat(glob, front->place, token->kind == '*' ? TEST_WITHIN : TEST_ALWAYS);
        *front = (GlobFront){loop, GLOB_NOWHERE};
        return loop == GLOB_NOWHERE ? -1 : 0;
    }
    if (token->kind == '[' && !(set = glob_set(glob, text, token->start + 1, token->end - 1)))
        return -1;
    int test = set ? TEST_SET : token->kind == '?' ? TEST_WITHIN : TEST_CHAR;
    uint32_t target = glob_after(glob, front->place, test, token->value, set);
    *front = (GlobFront){target, token->kind == 'c' && token->value == '/' ? target : GLOB_NOWHERE};
    return target == GLOB_NOWHERE ? -1 : 0;
}

static inline size_t glob_encode(char *bytes, uint32_t value)
{
    if (value < 0x80) {
        bytes[0] = (char)value;
        return 1;
    }
    if (value >= 0xdc80 && value <= 0xdcff) {
        bytes[0] = (char)(value - 0xdc00);
        return 1;
    }
    int more = value < 0x800 ? 1 : value < 0x10000 ? 2 : 3;
    bytes[0] = (char)((0xff00 >> (more + 1) & 0xff) | (value >> 6 * more));
    for (int at = 1; at <= more; at++)
        bytes[at] = (char)(0x80 | (value >> 6 * (more - at) & 0x3f));
    return (size_t)more + 1;
}

/* The characters that every match ends with, within its last name. */
static inline int glob_tail(Glob *glob, const GlobToken *tokens, uint32_t count)
{
    uint32_t from = count;
    while (from > 0 && tokens[from - 1].kind == 'c' && !tokens[from - 1].structural && tokens[from - 1].value != '/')
        from--;
    char *bytes = arena_take(&glob->arena, 4 * (size_t)(count - from) + 1);
    if (!bytes)
        return -1;
    glob->tail.bytes = bytes;
    for (; from < count; from++)
        glob->tail.size += glob_encode(bytes + glob->tail.size, tokens[from].value);
    return 0;
}

static inline int glob_build(Glob *glob, const uint32_t *text, uint32_t size, GlobToken *tokens, uint32_t *opened)
{
    uint32_t count = glob_tokens(tokens, text, size), depth = 0;
    GlobGroup *groups = malloc((count + 1) * sizeof(GlobGroup));
    GlobFront front = {glob_place(glob), 0};
    int failed = !groups || front.place == GLOB_NOWHERE;
    glob_structure(tokens, count, opened);
    for (uint32_t at = 0; at < count && !failed; at++) {
        const GlobToken *token = &tokens[at];
        failed = token->structural ? glob_brace(glob, token->value, groups, &depth, &front)
                                   : glob_step(glob, token, text, &front);
    }
    glob->last = front.place;
    free(groups);
    return failed || glob_tail(glob, tokens, count) < 0 ? -1 : 0;
}

static inline int glob_is_plain(uint32_t value, int comma)
{
    return value != '\\' && value != '*' && value != '?' && value != '[' && value != '{' && value != '}'
           && value != '/' && (comma || value != ',') && (value < 0xd800 || value > 0xdfff);
}

/* Compiles `name`, `*.py` and `*.{ts,tsx}` to names or ends of names: 1, or 0 when the pattern is none of these. */
static inline int glob_simple(Glob *glob, const uint32_t *text, uint32_t size)
{
    uint32_t star = size && text[0] == '*', head = star, open, close, tail, alternatives = 1;
    while (head < size && glob_is_plain(text[head], 0))
        head++;
    open = close = tail = head;
    if (head < size && text[head] == '{') {
        for (close = ++open; close < size && glob_is_plain(text[close], 1); close++)
            alternatives += text[close] == ',';
        if (close == open || close == size || text[close] != '}')
            return 0;
        tail = close + 1;
    }
    for (uint32_t at = tail; at < size; at++)
        if (!glob_is_plain(text[at], 0))
            return 0;
    glob->names = arena_take(&glob->arena, alternatives * sizeof(GlobText));
    if (!glob->names)
        return -1;
    for (uint32_t from = open; glob->name_count < alternatives;) {
        uint32_t to = from, at;
        while (to < close && text[to] != ',')
            to++;
        char *bytes = arena_take(&glob->arena, 4 * (size_t)(head - star + to - from + size - tail) + 1);
        GlobText *name = &glob->names[glob->name_count++];
        if (!bytes)
            return -1;
        *name = (GlobText){bytes, 0};
        for (at = star; at < head; at++)
            name->size += glob_encode(bytes + name->size, text[at]);
        for (at = from; at < to; at++)
            name->size += glob_encode(bytes + name->size, text[at]);
        for (at = tail; at < size; at++)
            name->size += glob_encode(bytes + name->size, text[at]);
        from = to + 1;
    }
    glob->star = (int)star;
    return 1;
}

static inline void glob_free(Glob *glob)
{
    if (!glob)
        return;
    arena_release(&glob->arena);
    free(glob->edges);
    free(glob);
}

static inline int glob_starts(const uint32_t *text, uint32_t size, const char *start)
{
    uint32_t length = (uint32_t)strlen(start);
    for (uint32_t at = 0; at < length; at++)
        if (at >= size || text[at] != (uint8_t)start[at])
            return 0;
    return 1;
}

static inline int glob_has(const uint32_t *text, uint32_t size, const char *part)
{
    for (uint32_t at = 0; at < size; at++)
        if (glob_starts(text + at, size - at, part))
            return 1;
    return 0;
}

static inline int glob_read(Glob *glob, const uint32_t *text, uint32_t size, GlobToken *tokens, uint32_t *opened)
{
    uint32_t count = glob_tokens(tokens, text, size);
    glob->folders_only = count && (tokens[count - 1].kind == '/'
                                   || (tokens[count - 1].plain && tokens[count - 1].value == '/'));
    size -= (uint32_t)glob->folders_only;
    if (glob_starts(text, size, "./")) {
        glob->anchored = 1;
        text++;
        size--;
    }
    int led = glob_starts(text, size, "/");
    text += led;
    size -= (uint32_t)led;
    glob->anchored |= led;
    if (glob_starts(text, size, "**/") && !glob_has(text + 3, size - 3, "/") && !glob_has(text + 3, size - 3, "**")) {
        glob->anchored = 0;
        text += 3;
        size -= 3;
    } else {
        count = glob_tokens(tokens, text, size);
        for (uint32_t at = 0; at < count; at++)
            glob->anchored |= tokens[at].kind == '/' || (tokens[at].kind == 'c' && tokens[at].value == '/');
    }
    glob->simple = glob->anchored ? 0 : glob_simple(glob, text, size);
    if (glob->simple < 0)
        return -1;
    return glob->simple ? 0 : glob_build(glob, text, size, tokens, opened);
}

/* Compiles `size` code points; NULL without memory. */
static inline Glob *glob_compile(const uint32_t *text, uint32_t size, int anchored)
{
    Glob *glob = calloc(1, sizeof(Glob));
    GlobToken *tokens = malloc((size + 1) * sizeof(GlobToken));
    uint32_t *opened = malloc((size + 1) * sizeof(uint32_t));
    if (glob)
        glob->anchored = anchored;
    int failed = !glob || !tokens || !opened || glob_read(glob, text, size, tokens, opened) < 0;
    free(tokens);
    free(opened);
    if (failed) {
        glob_free(glob);
        return NULL;
    }
    return glob;
}

/* Makes a run of `glob`; -1 without memory. To be freed by `glob_run_free`, also then. */
static inline int glob_run_make(GlobRun *run, const Glob *glob)
{
    size_t room = (size_t)glob->place_count + 1;
    memset(run, 0, sizeof *run);
    if (glob->simple)
        return 0;
    run->folder = calloc(5 * room, sizeof(uint32_t));
    if (!run->folder)
        return -1;
    run->now = run->folder + room;
    run->next = run->now + room;
    run->marks = run->next + room;
    run->waiting = run->marks + room;
    return 0;
}

static inline void glob_run_free(GlobRun *run)
{
    free(run->folder);
    run->folder = NULL;
}

/* Adds `place` and all that skips reach from there to `places`, each once in a step. */
static inline uint32_t glob_reach(const Glob *glob, GlobRun *run, uint32_t place, uint32_t *places, uint32_t count)
{
    uint32_t waiting = 0;
    if (run->marks[place] == run->mark)
        return count;
    run->marks[place] = run->mark;
    run->waiting[waiting++] = place;
    while (waiting) {
        place = run->waiting[--waiting];
        places[count++] = place;
        for (const GlobEdge *edge = glob->edges[place]; edge; edge = edge->next) {
            if (edge->test == TEST_SKIP && run->marks[edge->target] != run->mark) {
                run->marks[edge->target] = run->mark;
                run->waiting[waiting++] = edge->target;
            }
        }
    }
    return count;
}

/* One character of UTF-8, or a byte that is none as Python's surrogateescape has it; how many bytes it takes. */
static inline size_t glob_char(const uint8_t *text, size_t size, uint32_t *value)
{
    uint32_t lead = text[0];
    size_t more = lead < 0xc2 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : 0;
    *value = lead < 0x80 ? lead : 0xdc00 + lead;
    if (!more || more >= size)
        return 1;
    uint32_t found = lead & (0x3f >> more);
    for (size_t at = 1; at <= more; at++) {
        if ((text[at] & 0xc0) != 0x80)
            return 1;
        found = found << 6 | (text[at] & 0x3f);
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (found < least[more] || found > 0x10ffff || (found >= 0xd800 && found <= 0xdfff))
        return 1;
    *value = found;
    return more + 1;
}

/* Runs on from the places in `now` over `text`; how many places are reached. */
static inline uint32_t glob_advance(const Glob *glob, GlobRun *run, uint32_t count, const char *text, size_t size)
{
    const uint8_t *at = (const uint8_t *)text, *end = at + size;
    while (at < end && count) {
        uint32_t value, reached = 0;
        at += glob_char(at, (size_t)(end - at), &value);
        if (++run->mark == 0) {
            memset(run->marks, 0, (glob->place_count + 1) * sizeof(uint32_t));
            run->mark = 1;
        }
        for (uint32_t place = 0; place < count; place++)
            for (const GlobEdge *edge = glob->edges[run->now[place]]; edge; edge = edge->next)
                if (glob_takes(edge, value))
                    reached = glob_reach(glob, run, edge->target, run->next, reached);
        uint32_t *swap = run->now;
        run->now = run->next;
        run->next = swap;
        count = reached;
    }
    return count;
}

/* Keeps what the folder's path, "" or with a slash at its end, does to an anchored pattern. */
static inline void glob_enter(const Glob *glob, GlobRun *run, const char *folder, size_t size)
{
    if (glob->simple)
        return;
    run->mark++;
    uint32_t count = glob_reach(glob, run, 0, run->now, 0);
    count = glob_advance(glob, run, count, folder, glob->anchored ? size : 0);
    memcpy(run->folder, run->now, count * sizeof(uint32_t));
    run->folder_count = count;
}

/* Whether the entry `name` of the folder last entered fits. */
static inline int glob_matches(const Glob *glob, GlobRun *run, const char *name, size_t size)
{
    if (glob->simple) {
        for (uint32_t at = 0; at < glob->name_count; at++) {
            const GlobText *known = &glob->names[at];
            if ((glob->star ? size >= known->size : size == known->size)
                && memcmp(name + size - known->size, known->bytes, known->size) == 0)
                return 1;
        }
        return 0;
    }
    if (size < glob->tail.size || memcmp(name + size - glob->tail.size, glob->tail.bytes, glob->tail.size) != 0)
        return 0;
    memcpy(run->now, run->folder, run->folder_count * sizeof(uint32_t));
    uint32_t count = glob_advance(glob, run, run->folder_count, name, size);
    for (uint32_t at = 0; at < count; at++)
        if (run->now[at] == glob->last)
            return 1;
    return 0;
}

#endif
