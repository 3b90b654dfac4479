/* A lazy automaton over UTF-8: the states of `hot/automaton.py`, in one table of next states.
 *
 * A byte of ASCII is one lookup; a longer character is decoded and looked up by its class. `\n` ends a line and leads
 * back to the start; a `\r` is held back until the next byte shows whether it is part of the line's end. Where wanted,
 * a row also holds what follows in one stride, of two bytes where their kinds are few: 0 where that is not known or
 * more than a plain step of each, so that it need not be looked at after each stride, since row 0 leads to itself.
 */
#ifndef NANOCODE_DFA_H
#define NANOCODE_DFA_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OP_MATCH, OP_CHARS, OP_SPLIT, OP_AT };
enum { AT_START, AT_END, AT_WORD, AT_NO_WORD };
enum { SIDE_NOTHING, SIDE_OTHER, SIDE_WORD };

/* Of one automaton; the table is forgotten and built anew when it would grow beyond either. */
#define DFA_STATES 4096
#define DFA_BYTES (8u << 20)
/* Characters whose classes are at hand. */
#define DFA_CACHE 1024
/* States that a caller may hold at once. */
#define DFA_LIVES 9
/* Rows that are no states: not known yet, a character to decode, a match. */
enum { ROW_UNKNOWN, ROW_DECODE, ROW_MATCH, ROW_FIRST };

typedef struct {
    int count, entry, sets, classes, bounds;
    int has_start, has_word;
    const int32_t *op, *x, *y;
    const uint8_t *member;   /* member[set * classes + class] */
    const uint8_t *is_word;  /* by class */
    const uint32_t *bound;   /* first character of each run */
    const int32_t *run;      /* and its class */
} Program;

typedef struct {
    uint32_t key, size;      /* where in `keys`, how many places */
    uint8_t side, held, hit; /* what was read last, whether a CR is held back, whether a match ended before it */
    uint32_t next;           /* in its bucket */
} State;

typedef struct {
    const Program *program;
    int shift, marks;        /* log2 of a row's size; whether states mark matches instead of ending at them */
    uint32_t limit;          /* rows below this are no states */
    int eol, cr, decode;     /* columns after those of the classes */
    uint16_t column[256];
    int stride, quick;       /* bytes of a stride, 0 where none are wanted; its first column */
    uint8_t *kind;           /* and which of the columns after it, by those bytes (`stride_at`) */
    uint32_t *table;
    State *states;
    uint16_t *keys;
    uint32_t count, room, most, used, keys_room;
    uint32_t buckets[4096];
    /* Scratch: the set of places seen, a stack, the places that take a character, the next key. */
    uint32_t *seen, stamp;
    uint16_t *stack, *takers, *target;
    uint32_t cache_code[DFA_CACHE];
    int32_t cache_class[DFA_CACHE];
    int failed;              /* out of memory */
} Dfa;

static inline int program_class(const Program *program, uint32_t code)
{
    int low = 0, high = program->bounds;
    while (high - low > 1) {
        int middle = (low + high) >> 1;
        if (program->bound[middle] <= code)
            low = middle;
        else
            high = middle;
    }
    return program->run[low];
}

static inline int dfa_class(Dfa *dfa, uint32_t code)
{
    uint32_t slot = code & (DFA_CACHE - 1);
    if (dfa->cache_code[slot] != code) {
        dfa->cache_code[slot] = code;
        dfa->cache_class[slot] = program_class(dfa->program, code);
    }
    return dfa->cache_class[slot];
}

/* The character at `p`: its length, and `code`; a byte that starts none is one of its own, a surrogate. */
static inline int utf8_decode(const uint8_t *p, const uint8_t *end, uint32_t *code)
{
    uint32_t lead = p[0];
    size_t left = (size_t)(end - p);
    *code = 0xDC00 + lead;
    if (lead < 0x80) {
        *code = lead;
        return 1;
    }
    if (lead >= 0xC2 && lead < 0xE0 && left > 1 && (p[1] & 0xC0) == 0x80) {
        *code = (lead & 0x1F) << 6 | (p[1] & 0x3F);
        return 2;
    }
    if (lead >= 0xE0 && lead < 0xF0 && left > 2 && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80) {
        uint32_t found = (lead & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
        if (found >= 0x800 && (found < 0xD800 || found > 0xDFFF)) {
            *code = found;
            return 3;
        }
    }
    if (lead >= 0xF0 && lead < 0xF5 && left > 3 && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80
        && (p[3] & 0xC0) == 0x80) {
        uint32_t found = (lead & 7) << 18 | (uint32_t)(p[1] & 0x3F) << 12 | (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
        if (found >= 0x10000 && found <= 0x10FFFF) {
            *code = found;
            return 4;
        }
    }
    return 1;
}

/* The character that ends right before `p`: every byte that continues none is where decoding starts anew. */
static inline int utf8_decode_back(const uint8_t *begin, const uint8_t *p, uint32_t *code)
{
    for (int length = 1; length <= 4 && p - length >= begin; length++) {
        if ((p[-length] & 0xC0) != 0x80) {
            if (utf8_decode(p - length, p, code) == length)
                return length;
            break;
        }
    }
    *code = 0xDC00 + p[-1];
    return 1;
}

static int dfa_grow(Dfa *dfa)
{
    uint32_t room = dfa->room ? dfa->room * 2 : 32;
    uint32_t *table;
    State *states;
    if (room > dfa->most)
        room = dfa->most;
    table = realloc(dfa->table, ((size_t)room << dfa->shift) * sizeof *table);
    if (table == NULL)
        return -1;
    dfa->table = table;
    states = realloc(dfa->states, room * sizeof *states);
    if (states == NULL)
        return -1;
    dfa->states = states;
    dfa->room = room;
    return 0;
}

/* The row of a state, made when it is new; 0 when memory fails. `key` is sorted. */
static uint32_t dfa_intern(Dfa *dfa, const uint16_t *key, uint32_t size, int side, int held, int hit)
{
    uint32_t hash = 2166136261u ^ (uint32_t)(side | held << 2 | hit << 3), index;
    State *state;
    for (uint32_t i = 0; i < size; i++)
        hash = (hash ^ key[i]) * 16777619u;
    hash = (hash ^ hash >> 15) & 4095;
    for (index = dfa->buckets[hash]; index; index = dfa->states[index].next) {
        state = &dfa->states[index];
        if (state->size == size && state->side == side && state->held == held && state->hit == hit
            && memcmp(dfa->keys + state->key, key, size * sizeof *key) == 0)
            return index << dfa->shift;
    }
    if (dfa->count >= dfa->room && dfa_grow(dfa) < 0)
        return 0;
    while (dfa->used + size > dfa->keys_room) {
        uint32_t room = dfa->keys_room ? dfa->keys_room * 2 : 1024;
        uint16_t *keys = realloc(dfa->keys, room * sizeof *keys);
        if (keys == NULL)
            return 0;
        dfa->keys = keys;
        dfa->keys_room = room;
    }
    index = dfa->count++;
    state = &dfa->states[index];
    memcpy(dfa->keys + dfa->used, key, size * sizeof *key);
    state->key = dfa->used;
    state->size = size;
    state->side = (uint8_t)side;
    state->held = (uint8_t)held;
    state->hit = (uint8_t)hit;
    state->next = dfa->buckets[hash];
    dfa->buckets[hash] = index;
    dfa->used += size;
    memset(dfa->table + ((size_t)index << dfa->shift), 0, sizeof(uint32_t) << dfa->shift);
    dfa->table[((size_t)index << dfa->shift) + (size_t)dfa->decode] = (uint32_t)ROW_DECODE << dfa->shift;
    return index << dfa->shift;
}

static inline uint32_t dfa_start(const Dfa *dfa)
{
    return (uint32_t)ROW_FIRST << dfa->shift;
}

static void dfa_clear(Dfa *dfa)
{
    uint16_t entry = (uint16_t)dfa->program->entry;
    memset(dfa->buckets, 0, sizeof dfa->buckets);
    dfa->count = ROW_FIRST;
    dfa->used = 0;
    if (dfa_intern(dfa, &entry, 1, dfa->program->has_start || dfa->program->has_word ? SIDE_NOTHING : SIDE_OTHER, 0, 0) == 0)
        dfa->failed = 1;
}

static void dfa_free(Dfa *dfa)
{
    if (dfa == NULL)
        return;
    free(dfa->table);
    free(dfa->states);
    free(dfa->keys);
    free(dfa->kind);
    free(dfa->seen);
    free(dfa->stack);
    free(dfa->takers);
    free(dfa->target);
    free(dfa);
}

/* Where `kind` tells of the bytes at `p`. */
static inline size_t stride_at(const uint8_t *p, int stride)
{
    uint16_t both = *p;
    if (stride == 2)
        memcpy(&both, p, 2);
    return both;
}

/* Find out what strides there are; return how many columns they take, -1 when memory fails. */
static int dfa_strides(Dfa *dfa)
{
    static const uint8_t one[2] = {1, 0}, other[2] = {0, 1};
    uint8_t narrow[256];
    int count = 0, pairs;
    for (int byte = 0; byte < 256; byte++) {
        int like = 0;
        while (dfa->column[like] != dfa->column[byte])
            like++;
        narrow[byte] = (uint8_t)(like == byte ? count++ : narrow[like]);
    }
    pairs = count <= 16;
    dfa->stride = 1 + pairs;
    dfa->kind = malloc(pairs ? 1 << 16 : 1 << 8);
    if (dfa->kind == NULL)
        return -1;
    for (size_t second = 0; second < (pairs ? 256 : 1); second++)
        for (size_t first = 0; first < 256; first++)
            dfa->kind[pairs ? first * stride_at(one, 2) + second * stride_at(other, 2) : first]
                = (uint8_t)(narrow[first] + (pairs ? narrow[second] * count : 0));
    return pairs ? count * count : count;
}

/* NULL when memory fails. `program` has to outlive it. */
static Dfa *dfa_new(const Program *program, int marks, int strides)
{
    Dfa *dfa = calloc(1, sizeof *dfa);
    size_t places = (size_t)program->count + 1;
    int columns;
    if (dfa == NULL)
        return NULL;
    dfa->program = program;
    dfa->marks = marks;
    dfa->eol = program->classes;
    dfa->cr = program->classes + 1;
    dfa->decode = program->classes + 2;
    for (int byte = 0; byte < 256; byte++)
        dfa->column[byte] = (uint16_t)(byte < 128 ? program_class(program, (uint32_t)byte) : dfa->decode);
    if (!marks) {
        dfa->column['\n'] = (uint16_t)dfa->eol;
        dfa->column['\r'] = (uint16_t)dfa->cr;
    }
    dfa->quick = program->classes + 3;
    columns = dfa->quick + (strides ? dfa_strides(dfa) : 0);
    while (1 << dfa->shift < columns)
        dfa->shift++;
    dfa->limit = (uint32_t)ROW_FIRST << dfa->shift;
    dfa->most = DFA_BYTES / (sizeof(uint32_t) << dfa->shift);
    dfa->most = dfa->most > DFA_STATES ? DFA_STATES : dfa->most < 64 ? 64 : dfa->most;
    for (int slot = 0; slot < DFA_CACHE; slot++)
        dfa->cache_code[slot] = UINT32_MAX;
    dfa->seen = calloc(places, sizeof *dfa->seen);
    dfa->stack = malloc(places * sizeof *dfa->stack);
    dfa->takers = malloc(places * sizeof *dfa->takers);
    dfa->target = malloc(places * sizeof *dfa->target);
    if (dfa->seen == NULL || dfa->stack == NULL || dfa->takers == NULL || dfa->target == NULL
        || (strides && dfa->kind == NULL) || dfa_grow(dfa) < 0) {
        dfa_free(dfa);
        return NULL;
    }
    memset(dfa->table, 0, dfa->limit * sizeof *dfa->table);
    dfa_clear(dfa);
    if (dfa->failed) {
        dfa_free(dfa);
        return NULL;
    }
    return dfa;
}

static inline void dfa_stamp(Dfa *dfa)
{
    if (++dfa->stamp == 0) {
        memset(dfa->seen, 0, ((size_t)dfa->program->count + 1) * sizeof *dfa->seen);
        dfa->stamp = 1;
    }
}

/* Fill `takers` with what can take the next character between two sides; return how many, and whether it `hit`. */
static int dfa_closure(Dfa *dfa, const uint16_t *key, uint32_t size, int before, int after, int *hit)
{
    const Program *program = dfa->program;
    int depth = 0, found = 0;
    *hit = 0;
    dfa_stamp(dfa);
    for (uint32_t i = 0; i < size; i++) {
        dfa->seen[key[i]] = dfa->stamp;
        dfa->stack[depth++] = key[i];
    }
    while (depth) {
        int place = dfa->stack[--depth], ways[2], count = 0;
        switch (program->op[place]) {
        case OP_CHARS:
            dfa->takers[found++] = (uint16_t)place;
            continue;
        case OP_MATCH:
            *hit = 1;
            continue;
        case OP_SPLIT:
            ways[count++] = program->x[place];
            ways[count++] = program->y[place];
            break;
        default: {
            int kind = program->x[place], edge = (before == SIDE_WORD) != (after == SIDE_WORD);
            if (kind == AT_START ? before == SIDE_NOTHING : kind == AT_END ? after == SIDE_NOTHING : edge == (kind == AT_WORD))
                ways[count++] = program->y[place];
        }
        }
        while (count) {
            int way = ways[--count];
            if (dfa->seen[way] != dfa->stamp) {
                dfa->seen[way] = dfa->stamp;
                dfa->stack[depth++] = (uint16_t)way;
            }
        }
    }
    return found;
}

static int places_compare(const void *one, const void *other)
{
    return (int)*(const uint16_t *)one - (int)*(const uint16_t *)other;
}

/* Take a character of `class` from `key`: the next key is in `target`, its size is returned, `side` is updated. */
static uint32_t dfa_take(Dfa *dfa, const uint16_t *key, uint32_t size, int *side, int class, int *hit)
{
    const Program *program = dfa->program;
    int after = program->has_word && program->is_word[class] ? SIDE_WORD : SIDE_OTHER;
    int takers = dfa_closure(dfa, key, size, *side, after, hit);
    uint32_t count = 0;
    dfa_stamp(dfa);
    dfa->seen[program->entry] = dfa->stamp;
    dfa->target[count++] = (uint16_t)program->entry;
    for (int i = 0; i < takers; i++) {
        int place = dfa->takers[i], next = program->y[place];
        if (program->member[program->x[place] * program->classes + class] && dfa->seen[next] != dfa->stamp) {
            dfa->seen[next] = dfa->stamp;
            dfa->target[count++] = (uint16_t)next;
        }
    }
    qsort(dfa->target, count, sizeof *dfa->target, places_compare);
    *side = after;
    return count;
}

/* Forget all states but the `live` ones, whose rows are updated. */
static void dfa_forget(Dfa *dfa, uint32_t *live, int lives)
{
    uint16_t *keys = dfa->keys;
    State kept[DFA_LIVES];
    for (int i = 0; i < lives; i++)
        kept[i] = dfa->states[live[i] >> dfa->shift];
    dfa->keys = NULL;
    dfa->keys_room = 0;
    dfa_clear(dfa);
    for (int i = 0; i < lives && !dfa->failed; i++) {
        live[i] = dfa_intern(dfa, keys + kept[i].key, kept[i].size, kept[i].side, kept[i].held, kept[i].hit);
        dfa->failed = live[i] == 0;
    }
    free(keys);
}

/* The next row of `live[at]` for a column, learned; `live` may be changed by forgetting. */
static uint32_t dfa_learn(Dfa *dfa, uint32_t *live, int lives, int at, int column)
{
    const Program *program = dfa->program;
    State state;
    const uint16_t *key;
    uint16_t *held_key = NULL;
    uint32_t size, row;
    int side, held, hit = 0, last_hit = 0;
    if (dfa->count + 1 >= dfa->most) {
        dfa_forget(dfa, live, lives);
        if (dfa->failed)
            return (uint32_t)ROW_MATCH << dfa->shift;
    }
    state = dfa->states[live[at] >> dfa->shift];
    key = dfa->keys + state.key;
    size = state.size;
    side = state.side;
    held = state.held;
    if (column == dfa->eol) {
        dfa_closure(dfa, key, size, side, SIDE_NOTHING, &hit);
        row = hit ? (uint32_t)ROW_MATCH << dfa->shift : dfa_start(dfa);
        dfa->table[live[at] + (uint32_t)column] = row;
        return row;
    }
    if (held) {
        /* The CR was part of the line after all. */
        size = dfa_take(dfa, key, size, &side, program_class(program, '\r'), &hit);
        held_key = malloc((size + 1) * sizeof *held_key);
        if (held_key == NULL) {
            dfa->failed = 1;
            return (uint32_t)ROW_MATCH << dfa->shift;
        }
        memcpy(held_key, dfa->target, size * sizeof *held_key);
        key = held_key;
    }
    if (column == dfa->cr) {
        memcpy(dfa->target, key, size * sizeof *key);
        held = 1;
    } else {
        size = dfa_take(dfa, key, size, &side, column, &last_hit);
        held = 0;
    }
    free(held_key);
    if ((hit || last_hit) && !dfa->marks)
        row = (uint32_t)ROW_MATCH << dfa->shift;
    else {
        row = dfa_intern(dfa, dfa->target, size, side, held, dfa->marks && last_hit);
        if (row == 0) {
            dfa->failed = 1;
            return (uint32_t)ROW_MATCH << dfa->shift;
        }
    }
    dfa->table[live[at] + (uint32_t)column] = row;
    return row;
}

/* Whether a match ends at the end of the text in this state. */
static int dfa_ends(Dfa *dfa, uint32_t row)
{
    State state = dfa->states[row >> dfa->shift];
    const uint16_t *key = dfa->keys + state.key;
    int side = state.side, hit = 0, last = 0;
    uint32_t size = state.size;
    if (state.held) {
        uint16_t *copy;
        size = dfa_take(dfa, key, size, &side, program_class(dfa->program, '\r'), &hit);
        copy = malloc((size + 1) * sizeof *copy);
        if (copy == NULL) {
            dfa->failed = 1;
            return 1;
        }
        memcpy(copy, dfa->target, size * sizeof *copy);
        dfa_closure(dfa, copy, size, side, SIDE_NOTHING, &last);
        free(copy);
        return hit || last;
    }
    dfa_closure(dfa, key, size, side, SIDE_NOTHING, &hit);
    return hit;
}

/* Where the leftmost match in a line starts, by its mirrored automaton from the end; -1 when there is none. */
static ptrdiff_t dfa_leftmost(Dfa *dfa, const uint8_t *begin, const uint8_t *end)
{
    const uint8_t *p = end;
    ptrdiff_t found = -1;
    uint32_t row = dfa_start(dfa);
    while (p > begin && !dfa->failed) {
        uint32_t code, next;
        int length = utf8_decode_back(begin, p, &code), class = dfa_class(dfa, code);
        next = dfa->table[row + (uint32_t)class];
        if (next == 0)
            next = dfa_learn(dfa, &row, 1, 0, class);
        row = next;
        /* The mark tells of the place before this character, as read: behind it. */
        if (dfa->states[row >> dfa->shift].hit)
            found = p - begin;
        p -= length;
    }
    return !dfa->failed && dfa_ends(dfa, row) ? 0 : found;
}

/* From `p`, where `row` holds, to the match in this line or to its end: whether it matches. `p` then is at the `\n`, or
 * somewhere in the line, or at `end`. */
static int dfa_line(Dfa *dfa, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    const uint32_t *table = dfa->table;
    uint32_t row = dfa_start(dfa), decode = (uint32_t)ROW_DECODE << dfa->shift, match = (uint32_t)ROW_MATCH << dfa->shift;
    while (p < end) {
        int column = dfa->column[*p], length = 1;
        uint32_t next = table[row + (uint32_t)column];
        if (next < dfa->limit) {
            if (next == decode) {
                uint32_t code;
                length = utf8_decode(p, end, &code);
                column = dfa_class(dfa, code);
                next = table[row + (uint32_t)column];
            }
            if (next == 0) {
                next = dfa_learn(dfa, &row, 1, 0, column);
                table = dfa->table;
            }
            if (next == match) {
                *at = p;
                return 1;
            }
        }
        if (column == dfa->eol) {
            *at = p;
            return 0;
        }
        row = next;
        p += length;
    }
    *at = end;
    return dfa_ends(dfa, row);
}

#endif
