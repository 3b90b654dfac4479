/* Git's ignore rules for a tree, in C and without the GIL; the twin of nanocode/hot/ignore.py, which holds the contract.
   Rules are one compiled file; a Layer adds the folder they act below; a Scope is what is in force in one folder. */

#ifndef NANOCODE_IGNORE_H
#define NANOCODE_IGNORE_H

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wildmatch.h"

#define RULES_LARGEST_FILE ((size_t)100 << 20)

enum { NAME_LITERAL, NAME_PREFIX, NAME_SUFFIX, NAME_ANY, NAME_PATTERN };
enum { FOLDER_ANY, FOLDER_LITERAL, FOLDER_PATTERN };

/* One line. `rank` is twice its number, plus 1 when it ignores rather than re-includes. */
typedef struct Rule {
    uint32_t rank;
    uint8_t folders_only, name_kind, folder_kind;
    const char *name; /* what is fixed of it, for all kinds but patterns */
    uint32_t name_size, folder_size;
    const char *folder; /* literal, with its slash */
    Segment pattern;
    const Segment *folders;
    uint32_t folder_count;
    struct Rule *next; /* the next lower rank of the same list */
} Rule;

/* The best ranks of one literal name, among the rules for files too and among all. */
typedef struct {
    const char *name;
    uint32_t size, hash, file_rank, folder_rank;
} RuleName;

typedef struct {
    atomic_int references;
    Arena arena;
    Rule *prefixes[256], *suffixes[256]; /* by first and by last byte */
    Rule *rest;
    Rule *patterned;  /* those whose folder is a pattern, highest rank first */
    Rule **placed;    /* those whose folder is literal, by folder, highest rank first */
    RuleName *names;
    uint32_t placed_count, name_mask, everywhere;
} Rules;

static inline uint32_t name_hash(const char *name, size_t size)
{
    uint32_t hash = 2166136261u;
    for (size_t at = 0; at < size; at++)
        hash = (hash ^ (uint8_t)name[at]) * 16777619u;
    return hash;
}

static inline int rule_takes(const Rule *rule, const char *name, size_t size)
{
    switch (rule->name_kind) {
    case NAME_LITERAL:
        return size == rule->name_size && memcmp(name, rule->name, size) == 0;
    case NAME_PREFIX:
        return size >= rule->name_size && memcmp(name, rule->name, rule->name_size) == 0;
    case NAME_SUFFIX:
        return size >= rule->name_size && memcmp(name + size - rule->name_size, rule->name, rule->name_size) == 0;
    case NAME_ANY:
        return 1;
    default:
        return places_match(rule->pattern.places, rule->pattern.count, name, size);
    }
}

/* Rank of the first rule of a list, which falls in rank, that asks for `name` and beats `best`. */
static inline uint32_t rule_first(const Rule *rule, const char *name, size_t size, int folder, uint32_t best)
{
    for (; rule && rule->rank > best; rule = rule->next)
        if ((folder || !rule->folders_only) && rule_takes(rule, name, size))
            return rule->rank;
    return best;
}

/* Rank of the last rule, among those that act in every folder, that asks for `name`; 0 for none. */
static inline uint32_t rules_last(const Rules *rules, const char *name, size_t size, int folder)
{
    uint32_t best = 0;
    if (rules->names) {
        uint32_t hash = name_hash(name, size);
        for (uint32_t at = hash & rules->name_mask; rules->names[at].name; at = (at + 1) & rules->name_mask) {
            const RuleName *known = &rules->names[at];
            if (known->hash == hash && known->size == size && memcmp(known->name, name, size) == 0) {
                best = folder ? known->folder_rank : known->file_rank;
                break;
            }
        }
    }
    best = rule_first(rules->prefixes[(uint8_t)name[0]], name, size, folder, best);
    best = rule_first(rules->suffixes[(uint8_t)name[size - 1]], name, size, folder, best);
    return rule_first(rules->rest, name, size, folder, best);
}

/* The part of a line that git reads: no CR, nothing from a NUL on, no trailing blanks but one that a backslash keeps. */
static inline size_t line_size(const char *line, size_t size)
{
    if (size && line[size - 1] == '\r')
        size--;
    const char *nul = memchr(line, 0, size);
    size = nul ? (size_t)(nul - line) : size;
    size_t bare = size, slashes = 0;
    while (bare && line[bare - 1] == ' ')
        bare--;
    while (slashes < bare && line[bare - slashes - 1] == '\\')
        slashes++;
    return bare + (slashes % 2 && size > bare);
}

static inline char *fixed_bytes(const Segment *parts, int count, int slashes, uint32_t *size, Arena *arena)
{
    size_t room = 1;
    for (int part = 0; part < count; part++)
        room += parts[part].count + 1;
    char *bytes = arena_take(arena, room);
    *size = 0;
    for (int part = 0; bytes && part < count; part++) {
        for (uint32_t at = 0; at < parts[part].count; at++)
            if (parts[part].places[at].kind == PLACE_BYTE)
                bytes[(*size)++] = (char)parts[part].places[at].byte;
        if (slashes)
            bytes[(*size)++] = '/';
    }
    return bytes;
}

static inline int rule_name(Rule *rule, const Segment *segment, Arena *arena)
{
    uint32_t fixed = 0, count = segment->count;
    for (uint32_t at = 0; at < count; at++)
        fixed += segment->places[at].kind == PLACE_BYTE;
    rule->pattern = *segment;
    rule->name_kind = NAME_PATTERN;
    if (count == 1 && segment->places[0].kind == PLACE_RUN)
        rule->name_kind = NAME_ANY;
    else if (fixed == count)
        rule->name_kind = NAME_LITERAL;
    else if (fixed + 1 == count && segment->places[count - 1].kind == PLACE_RUN)
        rule->name_kind = NAME_PREFIX;
    else if (fixed + 1 == count && segment->places[0].kind == PLACE_RUN)
        rule->name_kind = NAME_SUFFIX;
    rule->name = fixed_bytes(segment, 1, 0, &rule->name_size, arena);
    return rule->name ? 1 : -1;
}

static inline int rule_folder(Rule *rule, const Segment *parts, int count, Arena *arena)
{
    int literal = 1, deep = 1;
    for (int part = 0; part < count; part++) {
        deep = deep && parts[part].depth == 0;
        literal = literal && parts[part].depth < 0;
        for (uint32_t at = 0; at < parts[part].count; at++)
            literal = literal && parts[part].places[at].kind == PLACE_BYTE;
    }
    rule->folder_kind = literal ? FOLDER_LITERAL : deep ? FOLDER_ANY : FOLDER_PATTERN;
    rule->folders = parts;
    rule->folder_count = (uint32_t)count;
    rule->folder = fixed_bytes(parts, literal ? count : 0, 1, &rule->folder_size, arena);
    return rule->folder ? 1 : -1;
}

/* Compiles line `number`: 0 when it is blank, a comment, or can match nothing; -1 without memory. */
static inline int rule_of(Rule *rule, const char *line, size_t size, uint32_t number, Arena *arena)
{
    if (size && line[0] == '#')
        return 0;
    size = line_size(line, size);
    int negated = size && line[0] == '!';
    line += negated;
    size -= (size_t)negated;
    int folders_only = size && line[size - 1] == '/';
    size -= (size_t)folders_only;
    int anchored = size && memchr(line, '/', size) != NULL;
    if (size && line[0] == '/') {
        line++;
        size--;
    }
    size_t slashes = 2;
    for (size_t at = 0; at < size; at++)
        slashes += line[at] == '/';
    Segment *parts = size ? arena_take(arena, slashes * sizeof(Segment)) : NULL;
    if (!parts)
        return size ? -1 : 0;
    int count = segments_of(line, size, parts, arena);
    if (count <= 0)
        return count;
    rule->rank = number * 2 + !negated;
    rule->folders_only = (uint8_t)folders_only;
    if (rule_name(rule, &parts[count - 1], arena) < 0)
        return -1;
    if (!anchored) {
        rule->folder_kind = FOLDER_ANY;
        return 1;
    }
    return rule_folder(rule, parts, parts[count - 1].depth >= 0 ? count : count - 1, arena);
}

static inline void rules_add_name(Rules *rules, const Rule *rule)
{
    uint32_t hash = name_hash(rule->name, rule->name_size);
    uint32_t at = hash & rules->name_mask;
    RuleName *known = &rules->names[at];
    while (known->name && (known->size != rule->name_size || memcmp(known->name, rule->name, known->size) != 0)) {
        at = (at + 1) & rules->name_mask;
        known = &rules->names[at];
    }
    known->name = rule->name;
    known->size = rule->name_size;
    known->hash = hash;
    known->folder_rank = rule->rank;
    if (!rule->folders_only)
        known->file_rank = rule->rank;
}

static inline int rule_by_folder(const void *one, const void *other)
{
    const Rule *a = *(Rule *const *)one, *b = *(Rule *const *)other;
    size_t shared = a->folder_size < b->folder_size ? a->folder_size : b->folder_size;
    int order = shared ? memcmp(a->folder, b->folder, shared) : 0;
    if (order || a->folder_size != b->folder_size)
        return order ? order : a->folder_size < b->folder_size ? -1 : 1;
    return a->rank > b->rank ? -1 : 1;
}

/* Puts a rule where `rules_last` and `scope_enter` look; they come in rising rank, so each goes to the front. */
static inline void rules_add(Rules *rules, Rule *rule)
{
    Rule **list = &rules->rest;
    if (rule->folder_kind == FOLDER_LITERAL) {
        rules->placed[rules->placed_count++] = rule;
        return;
    }
    if (rule->folder_kind == FOLDER_PATTERN)
        list = &rules->patterned;
    else if (rule->name_kind == NAME_LITERAL)
        list = NULL;
    else if (rule->name_kind == NAME_PREFIX)
        list = &rules->prefixes[(uint8_t)rule->name[0]];
    else if (rule->name_kind == NAME_SUFFIX)
        list = &rules->suffixes[(uint8_t)rule->name[rule->name_size - 1]];
    rules->everywhere += rule->folder_kind == FOLDER_ANY;
    if (list) {
        rule->next = *list;
        *list = rule;
    } else {
        rules_add_name(rules, rule);
    }
}

static inline void rules_drop(Rules *rules)
{
    if (rules && atomic_fetch_sub_explicit(&rules->references, 1, memory_order_acq_rel) == 1) {
        arena_release(&rules->arena);
        free(rules);
    }
}

static inline int rules_fill(Rules *rules, const char *data, size_t size)
{
    size_t lines = 1, room = 4;
    for (size_t at = 0; at < size; at++)
        lines += data[at] == '\n';
    while (room < 2 * lines)
        room *= 2;
    rules->placed = arena_take(&rules->arena, lines * sizeof(Rule *));
    rules->names = arena_take(&rules->arena, room * sizeof(RuleName));
    if (!rules->placed || !rules->names)
        return -1;
    memset(rules->names, 0, room * sizeof(RuleName));
    rules->name_mask = (uint32_t)room - 1;
    const char *end = data + size;
    for (uint32_t number = 1; data <= end; number++) {
        const char *stop = data < end ? memchr(data, '\n', (size_t)(end - data)) : NULL;
        stop = stop ? stop : end;
        Rule *rule = stop > data ? arena_take(&rules->arena, sizeof(Rule)) : NULL;
        if (rule) {
            memset(rule, 0, sizeof(Rule));
            int kept = rule_of(rule, data, (size_t)(stop - data), number, &rules->arena);
            if (kept < 0)
                return -1;
            if (kept)
                rules_add(rules, rule);
        } else if (stop > data) {
            return -1;
        }
        data = stop + 1;
    }
    if (rules->placed_count)
        qsort(rules->placed, rules->placed_count, sizeof(Rule *), rule_by_folder);
    return 0;
}

/* Compiles one file of rules, which keeps nothing of `data`; NULL without memory. */
static inline Rules *rules_compile(const char *data, size_t size)
{
    Rules *rules = calloc(1, sizeof(Rules));
    if (!rules)
        return NULL;
    atomic_init(&rules->references, 1);
    /* The rules keep pointers into the bytes they were read from. */
    char *copy = arena_take(&rules->arena, size + 1);
    if (copy && size)
        memcpy(copy, data, size);
    size_t mark = size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    if (!copy || rules_fill(rules, copy + mark, size - mark) < 0) {
        rules_drop(rules);
        return NULL;
    }
    return rules;
}

/* Rules and the folder they act below: `base` is the length of its path. The chain goes from high precedence to low. */
typedef struct Layer {
    atomic_int references;
    Rules *rules;
    struct Layer *outer;
    uint32_t base;
    uint8_t git;
} Layer;

static inline Layer *layer_take(Layer *layer)
{
    if (layer)
        atomic_fetch_add_explicit(&layer->references, 1, memory_order_relaxed);
    return layer;
}

static inline void layer_drop(Layer *layer)
{
    while (layer && atomic_fetch_sub_explicit(&layer->references, 1, memory_order_acq_rel) == 1) {
        Layer *outer = layer->outer;
        rules_drop(layer->rules);
        free(layer);
        layer = outer;
    }
}

/* Puts `rules` over `outer`, and takes over what the caller holds of both; NULL without memory. */
static inline Layer *layer_over(Layer *outer, Rules *rules, uint32_t base, int git)
{
    Layer *layer = rules ? malloc(sizeof(Layer)) : NULL;
    if (!layer) {
        rules_drop(rules);
        layer_drop(outer);
        return NULL;
    }
    atomic_init(&layer->references, 1);
    layer->rules = rules;
    layer->outer = outer;
    layer->base = base;
    layer->git = (uint8_t)git;
    return layer;
}

/* What one layer says in one folder. */
typedef struct {
    const Rules *rules; /* NULL when it has none for every folder */
    Rule **placed;      /* further rules that act in this one, highest rank first */
    uint32_t count;
} Voice;

/* The rules in force in one folder. `layers` is the caller's to hold. */
typedef struct {
    Voice *voices;
    uint32_t count;
} Scope;

static inline void scope_leave(Scope *scope)
{
    for (uint32_t at = 0; at < scope->count; at++)
        free(scope->voices[at].placed);
    free(scope->voices);
    scope->voices = NULL;
    scope->count = 0;
}

static inline uint32_t placed_from(const Rules *rules, const char *folder, size_t size)
{
    Rule wanted = {0}, *key = &wanted;
    uint32_t low = 0, high = rules->placed_count;
    wanted.folder = folder;
    wanted.folder_size = (uint32_t)size;
    wanted.rank = UINT32_MAX;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (rule_by_folder(&rules->placed[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline int voice_enter(Voice *voice, const Rules *rules, const char *folder, size_t size)
{
    uint32_t from = placed_from(rules, folder, size), literal = 0, count = 0, room = 0;
    while (from + literal < rules->placed_count) {
        const Rule *rule = rules->placed[from + literal];
        if (rule->folder_size != size || (size && memcmp(rule->folder, folder, size) != 0))
            break;
        literal++;
    }
    for (const Rule *rule = rules->patterned; rule; rule = rule->next)
        room++;
    voice->rules = rules->everywhere ? rules : NULL;
    voice->placed = NULL;
    voice->count = 0;
    if (!literal && !room)
        return 0;
    voice->placed = malloc((literal + room) * sizeof(Rule *));
    if (!voice->placed)
        return -1;
    /* Both lists fall in rank, and so does what they become. */
    Rule *next = rules->patterned;
    for (uint32_t at = 0; at < literal || next;) {
        if (at < literal && (!next || rules->placed[from + at]->rank > next->rank)) {
            voice->placed[count++] = rules->placed[from + at++];
        } else {
            if (segments_match(next->folders, next->folder_count, folder, size))
                voice->placed[count++] = next;
            next = next->next;
        }
    }
    voice->count = count;
    return 0;
}

/* Finds what `layers` say in the folder `place`, "" or with a slash at its end; -1 without memory. */
static inline int scope_enter(Scope *scope, const Layer *layers, const char *place, size_t size)
{
    uint32_t room = 0;
    for (const Layer *layer = layers; layer; layer = layer->outer)
        room++;
    scope->count = 0;
    scope->voices = room ? malloc(room * sizeof(Voice)) : NULL;
    if (room && !scope->voices)
        return -1;
    for (const Layer *layer = layers; layer; layer = layer->outer) {
        Voice *voice = &scope->voices[scope->count];
        if (voice_enter(voice, layer->rules, place + layer->base, size - layer->base) < 0)
            return -1;
        if (voice->rules || voice->count)
            scope->count++;
        else
            free(voice->placed);
    }
    return 0;
}

/* Whether the entry `name`, which is not empty, is left out; a symbolic link is no folder. */
static inline int scope_ignores(const Scope *scope, const char *name, size_t size, int folder)
{
    for (uint32_t at = 0; at < scope->count; at++) {
        const Voice *voice = &scope->voices[at];
        uint32_t rank = voice->rules ? rules_last(voice->rules, name, size, folder) : 0;
        for (uint32_t index = 0; index < voice->count && voice->placed[index]->rank > rank; index++) {
            const Rule *rule = voice->placed[index];
            if ((folder || !rule->folders_only) && rule_takes(rule, name, size))
                rank = rule->rank;
        }
        if (rank)
            return rank & 1;
    }
    return 0;
}

/* Called with the path and the errno of each file of rules that cannot be read. */
typedef void (*IgnoreReport)(void *self, const char *path, int error);

/* Reads files of rules; `excludes` is the file core.excludesFile names, or NULL. */
typedef struct {
    const char *excludes;
    IgnoreReport report;
    void *self;
} Shelf;

/* Bytes of a file, with a NUL behind them; `bytes` is NULL without memory. */
typedef struct {
    char *bytes;
    size_t size;
} Contents;

static inline Contents descriptor_contents(int descriptor, size_t expected)
{
    size_t room = expected < RULES_LARGEST_FILE ? expected + 64 : RULES_LARGEST_FILE;
    Contents found = {malloc(room + 1), 0};
    while (found.bytes) {
        ssize_t got = read(descriptor, found.bytes + found.size, room - found.size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0)
            found.size += (size_t)got;
        if (found.size > RULES_LARGEST_FILE)
            found.size = 0;
        else if (got > 0 && found.size < room)
            continue;
        else if (got > 0) {
            char *more = realloc(found.bytes, 2 * room + 1);
            if (!more)
                free(found.bytes);
            found.bytes = more;
            room *= 2;
            continue;
        }
        found.bytes[found.size] = 0;
        break;
    }
    return found;
}

/* What a file holds, nothing when it is missing, no regular file or too large; `path` is for the report. */
static inline Contents shelf_read(const Shelf *shelf, int folder, const char *name, int follow, const char *path)
{
    struct stat facts;
    Contents found = {NULL, 0};
    int descriptor = openat(folder, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    if (descriptor < 0) {
        if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
            shelf->report(shelf->self, path, errno);
        found.bytes = calloc(1, 1);
        return found;
    }
    int regular = fstat(descriptor, &facts) == 0 && S_ISREG(facts.st_mode);
    found = regular ? descriptor_contents(descriptor, (size_t)facts.st_size) : (Contents){calloc(1, 1), 0};
    close(descriptor);
    return found;
}

/* `folder`, a slash and `name`, or `name` alone when it is absolute; to be freed. */
static inline char *path_join(const char *folder, const char *name)
{
    size_t head = name[0] == '/' ? 0 : strlen(folder), tail = strlen(name);
    char *path = malloc(head + tail + 2);
    if (!path)
        return NULL;
    memcpy(path, folder, head);
    if (head && folder[head - 1] != '/')
        path[head++] = '/';
    memcpy(path + head, name, tail + 1);
    return path;
}

static inline Contents path_contents(const Shelf *shelf, char *path)
{
    Contents none = {NULL, 0};
    Contents found = path ? shelf_read(shelf, AT_FDCWD, path, 1, path) : none;
    free(path);
    return found;
}

/* Follows the text of a pointer file: `folder` joined with it, or NULL without memory or with a NUL in it. */
static inline char *path_followed(const char *folder, Contents told, size_t skip)
{
    size_t size = told.size;
    while (size > skip && (told.bytes[size - 1] == '\n' || told.bytes[size - 1] == '\r'))
        size--;
    told.bytes[size] = 0;
    return strlen(told.bytes) < size ? NULL : path_join(folder, told.bytes + skip);
}

/* The repository's folder behind the `.git` of `folder`: itself, or where a worktree's or submodule's file points. */
static inline char *repository_common(const Shelf *shelf, const char *folder)
{
    char *place = path_join(folder, ".git"), *common = NULL;
    Contents pointer = path_contents(shelf, place ? strdup(place) : NULL);
    if (pointer.bytes && pointer.size >= 8 && memcmp(pointer.bytes, "gitdir: ", 8) == 0) {
        free(place);
        place = path_followed(folder, pointer, 8);
    }
    free(pointer.bytes);
    Contents told = place ? path_contents(shelf, path_join(place, "commondir")) : (Contents){NULL, 0};
    if (told.bytes)
        common = path_followed(place, told, 0);
    free(told.bytes);
    free(place);
    return common;
}

/* core.excludesFile, then `info/exclude`, which wins, as one file. */
static inline Rules *repository_rules(const Shelf *shelf, const char *folder)
{
    Contents general = shelf->excludes && shelf->excludes[0]
                           ? path_contents(shelf, strdup(shelf->excludes))
                           : (Contents){calloc(1, 1), 0};
    char *common = repository_common(shelf, folder);
    Contents private = common ? path_contents(shelf, path_join(common, "info/exclude")) : (Contents){calloc(1, 1), 0};
    free(common);
    Rules *rules = NULL;
    char *both = general.bytes && private.bytes ? malloc(general.size + private.size + 1) : NULL;
    if (both) {
        size_t mark = general.size >= 3 && memcmp(general.bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
        size_t other = private.size >= 3 && memcmp(private.bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
        size_t size = general.size - mark;
        memcpy(both, general.bytes + mark, size);
        both[size++] = '\n';
        memcpy(both + size, private.bytes + other, private.size - other);
        rules = rules_compile(both, size + private.size - other);
    }
    free(both);
    free(general.bytes);
    free(private.bytes);
    return rules;
}

/* Which files of rules a folder has. */
enum { OWN_REPOSITORY = 1, OWN_GIT = 2, OWN_IGNORE = 4, OWN_NANOCODE = 8 };
static const char *const RULE_FILES[] = {".gitignore", ".ignore", ".nanocodeignore"};

static inline int own_of(const char *name, size_t size)
{
    if (size == 4 && memcmp(name, ".git", 4) == 0)
        return OWN_REPOSITORY;
    for (int file = 0; file < 3; file++)
        if (strlen(RULE_FILES[file]) == size && memcmp(name, RULE_FILES[file], size) == 0)
            return OWN_GIT << file;
    return 0;
}

/* The layers without those of git, over `floor`; takes over `floor` and leaves `layers` to the caller. */
static inline Layer *layers_without_git(const Layer *layers, Layer *floor)
{
    size_t count = 0;
    for (const Layer *layer = layers; layer; layer = layer->outer)
        count += !layer->git;
    for (size_t wanted = count; floor && wanted-- > 0;) {
        const Layer *layer = layers;
        for (size_t seen = 0; layer->git || seen++ < wanted; layer = layer->outer)
            ;
        atomic_fetch_add_explicit(&layer->rules->references, 1, memory_order_relaxed);
        floor = layer_over(floor, layer->rules, layer->base, 0);
    }
    return floor;
}

/* Where rules stand: a folder's path for the system and its descriptor, and the length of its path for the rules. */
typedef struct {
    const char *path; /* with a slash at its end */
    int descriptor;   /* or -1 */
    uint32_t base;
} RulePlace;

/* Adds the rules of the files `own` of a folder to `*layers`; -1 without memory, when `*layers` is NULL. */
static inline int layers_add(Layer **layers, int *repository, int own, const Shelf *shelf, RulePlace place)
{
    if (own & OWN_REPOSITORY) {
        Layer *outer = *layers, *floor = layer_over(NULL, repository_rules(shelf, place.path), place.base, 1);
        *layers = floor ? layers_without_git(outer, floor) : NULL;
        layer_drop(outer);
        *repository = 1;
        if (!*layers)
            return -1;
    }
    for (int file = 0; file < 3; file++) {
        if (!(own & (OWN_GIT << file)) || (file == 0 && !*repository))
            continue;
        char *path = path_join(place.path, RULE_FILES[file]);
        int relative = place.descriptor >= 0;
        Contents told = {NULL, 0};
        if (path)
            told = shelf_read(shelf, relative ? place.descriptor : AT_FDCWD, relative ? RULE_FILES[file] : path, 0, path);
        free(path);
        Rules *rules = told.bytes ? rules_compile(told.bytes, told.size) : NULL;
        free(told.bytes);
        *layers = layer_over(*layers, rules, place.base, file == 0);
        if (!*layers)
            return -1;
    }
    return 0;
}

/* The files of rules that a folder may have, where no listing tells: all but a `.git` that is not at `path`. */
static inline int own_probed(int folder, const char *path)
{
    struct stat facts;
    int own = OWN_GIT | OWN_IGNORE | OWN_NANOCODE;
    return fstatat(folder, path, &facts, AT_SYMLINK_NOFOLLOW) == 0 ? own | OWN_REPOSITORY : own;
}

#endif
