/* Finds bytes, literals and sets of literals in a buffer, with AVX2 or NEON where the processor has them.
 *
 * Which of the variants runs is decided once (`scan_choose`); all of them find the same. No function reads outside of
 * [p, end).
 */
#ifndef NANOCODE_SCAN_H
#define NANOCODE_SCAN_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define SCAN_AVX2 1
#define AVX2 __attribute__((target("avx2")))
#define SCAN_INLINE static inline __attribute__((always_inline))
#elif defined(__aarch64__)
#include <arm_neon.h>
#define SCAN_NEON 1
#endif

#define NEEDLES 64
#define NEEDLE_BYTES 160
#define BUCKETS 8
/* How many bytes of a literal its fingerprint has: the more where the lower nibbles alone say enough. */
#define PRINT 4
#define FEWER 3
#define CHECKS 4

enum { ISA_PLAIN, ISA_AVX2, ISA_NEON };

/* How common each byte is in source code, prose and data: 255 is the most common. Where there is a CR, each line has one. */
static const uint8_t COMMON[256] = {
    255, 1, 2, 3, 4, 5, 6, 7, 8, 230, 246, 9, 65, 246, 10, 11,
    12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
    255, 167, 226, 202, 155, 164, 175, 203, 234, 235, 221, 169, 231, 223, 236, 232,
    222, 201, 198, 191, 188, 189, 183, 174, 181, 180, 205, 206, 216, 220, 225, 160,
    163, 217, 195, 213, 200, 228, 197, 194, 182, 218, 162, 178, 211, 199, 210, 208,
    204, 165, 214, 229, 224, 196, 179, 173, 185, 171, 161, 187, 176, 186, 150, 244,
    190, 248, 227, 243, 242, 254, 239, 233, 238, 251, 184, 209, 245, 237, 250, 247,
    241, 177, 249, 252, 253, 240, 215, 207, 212, 219, 172, 193, 170, 192, 149, 53,
    152, 114, 140, 123, 119, 128, 122, 108, 137, 131, 117, 107, 129, 105, 101, 120,
    100, 104, 99, 98, 151, 141, 135, 106, 127, 147, 116, 112, 143, 125, 102, 126,
    168, 134, 110, 121, 142, 130, 124, 115, 133, 113, 85, 94, 91, 96, 90, 88,
    103, 93, 97, 86, 95, 83, 92, 89, 145, 136, 139, 138, 132, 148, 109, 146,
    28, 29, 166, 144, 74, 76, 61, 60, 52, 55, 49, 70, 59, 45, 73, 71,
    81, 75, 64, 57, 56, 63, 58, 69, 68, 67, 54, 50, 30, 31, 32, 33,
    79, 72, 153, 78, 118, 158, 159, 157, 156, 154, 77, 87, 111, 80, 66, 82,
    84, 34, 35, 46, 47, 36, 48, 37, 38, 39, 40, 41, 42, 51, 43, 44,
};

/* One literal. A byte matches when it is equal after `| mask`; two of them, the rarest, are looked for at once. */
typedef struct {
    uint8_t text[NEEDLE_BYTES], mask[NEEDLE_BYTES];
    size_t size, first, second;
} Needle;

/* Up to `NEEDLES` literals of which any is looked for, by the nibbles of their rarest neighbouring bytes, in eight
 * buckets. What is found is where those bytes are. */
typedef struct {
    Needle needle[NEEDLES];
    int count;
    size_t print;                         /* how many bytes the fingerprint has, or less than FEWER */
    int halves;                           /* whether the lower nibbles are looked at alone */
    uint8_t low[PRINT][16], high[PRINT][16];
    uint8_t bucket[NEEDLES], from[NEEDLES]; /* of each literal; from: where in it these bytes begin */
} Needles;

/* A set of bytes: bit h & 7 of table[h >> 3][l] for the byte with the nibbles h and l. */
typedef struct {
    uint8_t has[256], table[2][16];
    int beyond;                           /* whether none of them is ASCII */
} ByteSet;

/* What holds at fixed distances in all that is looked for: the byte at `at` is `byte`, or the one at `other`, when both
 * have the bits of `mask` set. */
typedef struct {
    uint8_t at, other, byte, mask, same;
} Distance;

/* Checks of bytes of ASCII, of which the farthest is at `span`; any other byte is found too. */
typedef struct {
    Distance check[CHECKS];
    int count;
    size_t span;
} Rigid;

static inline int needle_at(const Needle *needle, const uint8_t *p)
{
    for (size_t i = 0; i < needle->size; i++)
        if ((p[i] | needle->mask[i]) != needle->text[i])
            return 0;
    return 1;
}

static void needle_set(Needle *needle, const uint8_t *text, size_t size, int folded)
{
    needle->size = size;
    needle->first = needle->second = 0;
    for (size_t i = 0; i < size; i++) {
        needle->text[i] = text[i];
        needle->mask[i] = folded && text[i] >= 'a' && text[i] <= 'z' ? 0x20 : 0;
    }
    for (size_t i = 1; i < size; i++)
        if (COMMON[text[i]] < COMMON[text[needle->first]])
            needle->first = i;
    needle->second = needle->first ? 0 : size > 1;
    for (size_t i = 0; i < size; i++)
        if (i != needle->first && COMMON[text[i]] < COMMON[text[needle->second]])
            needle->second = i;
}

static const uint8_t *needle_plain(const Needle *needle, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *last = (size_t)(end - p) < needle->size ? p - 1 : end - needle->size;
    uint8_t rare = needle->text[needle->first], mask = needle->mask[needle->first];
    while (p <= last) {
        const uint8_t *found = memchr(p + needle->first, rare, (size_t)(last - p) + 1);
        if (mask) {
            const uint8_t *upper = memchr(p + needle->first, rare & ~mask, found ? (size_t)(found - p) - needle->first : (size_t)(last - p) + 1);
            found = upper ? upper : found;
        }
        if (found == NULL)
            return NULL;
        p = found - needle->first;
        if (needle_at(needle, p))
            return p;
        p++;
    }
    return NULL;
}

static const uint8_t *set_plain(const ByteSet *set, const uint8_t *p, const uint8_t *end)
{
    while (p < end && !set->has[*p])
        p++;
    return p < end ? p : NULL;
}

/* Whether a literal of these buckets, which lies in [begin, end), has its fingerprint at `p`. */
static inline int needles_at(const Needles *all, const uint8_t *begin, const uint8_t *p, const uint8_t *end, uint8_t buckets)
{
    for (int i = 0; i < all->count; i++) {
        size_t from = all->from[i];
        if (buckets >> all->bucket[i] & 1 && from <= (size_t)(p - begin) && all->needle[i].size - from <= (size_t)(end - p)
            && needle_at(&all->needle[i], p - from))
            return 1;
    }
    return 0;
}

static inline uint8_t needles_print(const Needles *all, const uint8_t *p)
{
    uint8_t buckets = 0xFF;
    for (size_t i = 0; i < all->print; i++)
        buckets &= all->low[i][p[i] & 15] & all->high[i][p[i] >> 4];
    return buckets;
}

/* The first fingerprint from `p` on. */
static const uint8_t *needles_from(const Needles *all, const uint8_t *begin, const uint8_t *p, const uint8_t *end)
{
    for (; (size_t)(end - p) >= all->print; p++) {
        uint8_t buckets = needles_print(all, p);
        if (buckets && needles_at(all, begin, p, end, buckets))
            return p;
    }
    return NULL;
}

static const uint8_t *needles_plain(const Needles *all, const uint8_t *p, const uint8_t *end)
{
    return needles_from(all, p, p, end);
}

static const uint8_t *rigid_plain(const Rigid *rigid, const uint8_t *p, const uint8_t *end)
{
    for (; p < end; p++) {
        int holds = (size_t)(end - p) > rigid->span;
        if (*p >= 0x80)
            return p;
        for (int i = 0; holds && i < rigid->count; i++) {
            const Distance *check = &rigid->check[i];
            uint8_t byte = check->same ? p[check->other] : check->byte;
            holds = (p[check->at] | check->mask) == (byte | check->mask);
        }
        if (holds)
            return p;
    }
    return NULL;
}

static size_t count_plain(const uint8_t *p, const uint8_t *end)
{
    size_t count = 0;
    for (; p < end; p++)
        count += *p == '\n';
    return count;
}

static size_t rarest_from(const Needle *needle, size_t size)
{
    size_t best = 0;
    unsigned least = UINT_MAX;
    for (size_t from = 0; from + size <= needle->size; from++) {
        unsigned sum = 0;
        for (size_t i = 0; i < size; i++)
            sum += COMMON[needle->text[from + i]];
        if (sum < least) {
            least = sum;
            best = from;
        }
    }
    return best;
}

static void needles_prepare(Needles *all)
{
    all->print = all->count <= BUCKETS ? PRINT : FEWER;
    for (int i = 0; i < all->count; i++)
        if (all->needle[i].size < all->print)
            all->print = all->needle[i].size;
    all->halves = all->print == PRINT;
    memset(all->low, 0, sizeof all->low);
    memset(all->high, 0, sizeof all->high);
    /* What lies beyond the fingerprint may be anything. */
    for (size_t at = all->print; at < PRINT; at++) {
        memset(all->low[at], 0xFF, sizeof all->low[at]);
        memset(all->high[at], 0xFF, sizeof all->high[at]);
    }
    for (int i = 0; i < all->count; i++) {
        const Needle *needle = &all->needle[i];
        size_t from = rarest_from(needle, all->print);
        /* Literals that look alike share a bucket, and the others spread over all of them. */
        uint8_t bucket = (uint8_t)((needle->text[from] * 31 + needle->text[from + all->print - 1] * 7) % BUCKETS);
        if (all->count <= BUCKETS)
            bucket = (uint8_t)i;
        all->from[i] = (uint8_t)from;
        all->bucket[i] = bucket;
        for (size_t at = 0; at < all->print; at++) {
            uint8_t byte = needle->text[from + at], upper = byte & (uint8_t)~needle->mask[from + at];
            all->low[at][byte & 15] |= (uint8_t)(1 << bucket);
            all->high[at][byte >> 4] |= (uint8_t)(1 << bucket);
            all->halves &= byte < 0x80;
            all->low[at][upper & 15] |= (uint8_t)(1 << bucket);
            all->high[at][upper >> 4] |= (uint8_t)(1 << bucket);
        }
    }
}

static void set_prepare(ByteSet *set)
{
    memset(set->table, 0, sizeof set->table);
    set->beyond = memchr(set->has, 1, 0x80) == NULL;
    for (int byte = 0; byte < 256; byte++)
        if (set->has[byte])
            set->table[byte >> 7][byte & 15] |= (uint8_t)(1 << (byte >> 4 & 7));
}

#if SCAN_AVX2
AVX2 static const uint8_t *needle_avx2(const Needle *needle, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *last = (size_t)(end - p) < needle->size ? p - 1 : end - needle->size;
    size_t i = needle->first, j = needle->second;
    const __m256i a = _mm256_set1_epi8((char)needle->text[i]), b = _mm256_set1_epi8((char)needle->text[j]);
    const __m256i folda = _mm256_set1_epi8((char)needle->mask[i]), foldb = _mm256_set1_epi8((char)needle->mask[j]);
    /* The candidates p .. p + 63 and both of their bytes lie before `last + size`. */
    while (last - p >= 63) {
        __m256i x0 = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(p + i)), folda);
        __m256i x1 = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(p + i + 32)), folda);
        __m256i y0 = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(p + j)), foldb);
        __m256i y1 = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(p + j + 32)), foldb);
        __m256i both0 = _mm256_and_si256(_mm256_cmpeq_epi8(x0, a), _mm256_cmpeq_epi8(y0, b));
        __m256i both1 = _mm256_and_si256(_mm256_cmpeq_epi8(x1, a), _mm256_cmpeq_epi8(y1, b));
        if (!_mm256_testz_si256(_mm256_or_si256(both0, both1), _mm256_or_si256(both0, both1))) {
            uint64_t bits = (uint32_t)_mm256_movemask_epi8(both0) | (uint64_t)(uint32_t)_mm256_movemask_epi8(both1) << 32;
            for (; bits; bits &= bits - 1) {
                const uint8_t *found = p + __builtin_ctzll(bits);
                if (needle_at(needle, found))
                    return found;
            }
        }
        p += 64;
    }
    return p <= last ? needle_plain(needle, p, end) : NULL;
}

/* Whether the 128 bytes at `p` are all ASCII. */
AVX2 static inline int ascii_avx2(const uint8_t *p)
{
    const __m256i *at = (const __m256i *)p;
    __m256i one = _mm256_or_si256(_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1));
    __m256i other = _mm256_or_si256(_mm256_loadu_si256(at + 2), _mm256_loadu_si256(at + 3));
    return _mm256_movemask_epi8(_mm256_or_si256(one, other)) == 0;
}

AVX2 static const uint8_t *set_avx2(const ByteSet *set, const uint8_t *p, const uint8_t *end)
{
    const __m256i lower = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)set->table[0]));
    const __m256i upper = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)set->table[1]));
    const __m256i bits = _mm256_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32,
                                          64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
    const __m256i nibble = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    for (;; p += 32) {
        __m256i data;
        while (set->beyond && end - p >= 128 && ascii_avx2(p))
            p += 128;
        if (end - p < 32)
            return set_plain(set, p, end);
        data = _mm256_loadu_si256((const __m256i *)p);
        __m256i low = _mm256_and_si256(data, nibble);
        __m256i high = _mm256_and_si256(_mm256_srli_epi16(data, 4), nibble);
        /* A byte with its top bit set takes the second table. */
        __m256i row = _mm256_blendv_epi8(_mm256_shuffle_epi8(lower, low), _mm256_shuffle_epi8(upper, low), data);
        __m256i hits = _mm256_and_si256(row, _mm256_shuffle_epi8(bits, high));
        uint32_t found = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(hits, zero));
        if (found)
            return p + __builtin_ctz(found);
    }
}

/* The buckets whose fingerprint may be at each of the 32 bytes from `p` on. */
AVX2 SCAN_INLINE __m256i prints_avx2(const __m256i *low, const __m256i *high, const uint8_t *p, int halves)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i hits = _mm256_set1_epi8(-1);
#pragma GCC unroll 4
    for (size_t i = 0; i < PRINT; i++) {
        __m256i data = _mm256_loadu_si256((const __m256i *)(p + i));
        /* The shuffle takes the lower nibble of a byte of ASCII, and gives 0 for any other. */
        if (halves) {
            hits = _mm256_and_si256(hits, _mm256_shuffle_epi8(low[i], data));
        } else if (i < FEWER) {
            __m256i one = _mm256_shuffle_epi8(low[i], _mm256_and_si256(data, nibble));
            __m256i other = _mm256_shuffle_epi8(high[i], _mm256_and_si256(_mm256_srli_epi16(data, 4), nibble));
            hits = _mm256_and_si256(hits, _mm256_and_si256(one, other));
        }
    }
    return hits;
}

AVX2 SCAN_INLINE const uint8_t *needles_wide(const Needles *all, const uint8_t *begin, const uint8_t *end, int halves)
{
    const uint8_t *p = begin;
    const ptrdiff_t step = 64, reach = step + PRINT - 1;
    const __m256i zero = _mm256_setzero_si256();
    __m256i low[PRINT], high[PRINT];
    for (size_t i = 0; i < PRINT; i++) {
        low[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)all->low[i]));
        high[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)all->high[i]));
    }
    while (end - begin >= reach && end - p >= PRINT) {
        __m256i one, other;
        uint64_t found;
        /* The last step overlaps the one before it. */
        if (end - p < reach)
            p = end - reach;
        one = prints_avx2(low, high, p, halves);
        other = prints_avx2(low, high, p + 32, halves);
        if (!_mm256_testz_si256(_mm256_or_si256(one, other), _mm256_or_si256(one, other))) {
            found = ~((uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(one, zero))
                      | (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(other, zero)) << 32);
            for (; found; found &= found - 1) {
                const uint8_t *at = p + __builtin_ctzll(found);
                if (needles_at(all, begin, at, end, needles_print(all, at)))
                    return at;
            }
        }
        p += step;
    }
    return needles_from(all, begin, p, end);
}

AVX2 static const uint8_t *needles_avx2(const Needles *all, const uint8_t *p, const uint8_t *end)
{
    return all->halves ? needles_wide(all, p, end, 1) : needles_wide(all, p, end, 0);
}

AVX2 static const uint8_t *rigid_avx2(const Rigid *rigid, const uint8_t *p, const uint8_t *end)
{
    while ((size_t)(end - p) >= 32 + rigid->span) {
        __m256i hits = _mm256_set1_epi8(-1);
        uint32_t found;
        for (int i = 0; i < rigid->count; i++) {
            const Distance *check = &rigid->check[i];
            const __m256i mask = _mm256_set1_epi8((char)check->mask);
            __m256i one = _mm256_loadu_si256((const __m256i *)(p + check->at));
            __m256i other = check->same ? _mm256_loadu_si256((const __m256i *)(p + check->other)) : _mm256_set1_epi8((char)check->byte);
            hits = _mm256_and_si256(hits, _mm256_cmpeq_epi8(_mm256_or_si256(one, mask), _mm256_or_si256(other, mask)));
        }
        /* The top bit of what is beyond ASCII is taken as it is. */
        found = (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(hits, _mm256_loadu_si256((const __m256i *)p)));
        if (found)
            return p + __builtin_ctz(found);
        p += 32;
    }
    return rigid_plain(rigid, p, end);
}

AVX2 static size_t count_avx2(const uint8_t *p, const uint8_t *end)
{
    const __m256i newline = _mm256_set1_epi8('\n');
    size_t count = 0;
    for (; end - p >= 64; p += 64) {
        uint32_t one = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)p), newline));
        uint32_t other = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(p + 32)), newline));
        count += (size_t)(__builtin_popcount(one) + __builtin_popcount(other));
    }
    return count + count_plain(p, end);
}
#endif

#if SCAN_NEON
/* Four bits for each of the 16 bytes. */
static inline uint64_t neon_bits(uint8x16_t hits)
{
    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(hits), 4)), 0);
}

static const uint8_t *needle_neon(const Needle *needle, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *last = (size_t)(end - p) < needle->size ? p - 1 : end - needle->size;
    size_t i = needle->first, j = needle->second;
    const uint8x16_t a = vdupq_n_u8(needle->text[i]), b = vdupq_n_u8(needle->text[j]);
    const uint8x16_t folda = vdupq_n_u8(needle->mask[i]), foldb = vdupq_n_u8(needle->mask[j]);
    for (; last - p >= 15; p += 16) {
        uint8x16_t x = vceqq_u8(vorrq_u8(vld1q_u8(p + i), folda), a);
        uint8x16_t y = vceqq_u8(vorrq_u8(vld1q_u8(p + j), foldb), b);
        uint64_t bits = neon_bits(vandq_u8(x, y));
        while (bits) {
            int at = __builtin_ctzll(bits) >> 2;
            if (needle_at(needle, p + at))
                return p + at;
            bits &= ~((uint64_t)15 << (at * 4));
        }
    }
    return p <= last ? needle_plain(needle, p, end) : NULL;
}

static const uint8_t *set_neon(const ByteSet *set, const uint8_t *p, const uint8_t *end)
{
    static const uint8_t powers[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t lower = vld1q_u8(set->table[0]), upper = vld1q_u8(set->table[1]), power = vld1q_u8(powers);
    for (; end - p >= 16; p += 16) {
        uint8x16_t data = vld1q_u8(p), low = vandq_u8(data, vdupq_n_u8(15));
        uint8x16_t top = vcgeq_u8(data, vdupq_n_u8(128));
        uint8x16_t row = vbslq_u8(top, vqtbl1q_u8(upper, low), vqtbl1q_u8(lower, low));
        uint64_t bits = neon_bits(vtstq_u8(row, vqtbl1q_u8(power, vshrq_n_u8(data, 4))));
        if (bits)
            return p + (__builtin_ctzll(bits) >> 2);
    }
    return set_plain(set, p, end);
}

static const uint8_t *needles_neon(const Needles *all, const uint8_t *begin, const uint8_t *end)
{
    const uint8_t *p = begin;
    for (; end - p >= 16 + PRINT - 1; p += 16) {
        uint8x16_t hits = vdupq_n_u8(255);
        for (size_t i = 0; i < FEWER; i++) {
            uint8x16_t data = vld1q_u8(p + i);
            uint8x16_t one = vqtbl1q_u8(vld1q_u8(all->low[i]), vandq_u8(data, vdupq_n_u8(15)));
            hits = vandq_u8(hits, vandq_u8(one, vqtbl1q_u8(vld1q_u8(all->high[i]), vshrq_n_u8(data, 4))));
        }
        uint64_t bits = neon_bits(vtstq_u8(hits, hits));
        while (bits) {
            int at = __builtin_ctzll(bits) >> 2;
            if (needles_at(all, begin, p + at, end, needles_print(all, p + at)))
                return p + at;
            bits &= ~((uint64_t)15 << (at * 4));
        }
    }
    return needles_from(all, begin, p, end);
}

static const uint8_t *rigid_neon(const Rigid *rigid, const uint8_t *p, const uint8_t *end)
{
    while ((size_t)(end - p) >= 16 + rigid->span) {
        uint8x16_t hits = vdupq_n_u8(255);
        uint64_t bits;
        for (int i = 0; i < rigid->count; i++) {
            const Distance *check = &rigid->check[i];
            const uint8x16_t mask = vdupq_n_u8(check->mask);
            uint8x16_t other = check->same ? vld1q_u8(p + check->other) : vdupq_n_u8(check->byte);
            hits = vandq_u8(hits, vceqq_u8(vorrq_u8(vld1q_u8(p + check->at), mask), vorrq_u8(other, mask)));
        }
        bits = neon_bits(vorrq_u8(hits, vcgeq_u8(vld1q_u8(p), vdupq_n_u8(128))));
        if (bits)
            return p + (__builtin_ctzll(bits) >> 2);
        p += 16;
    }
    return rigid_plain(rigid, p, end);
}

static size_t count_neon(const uint8_t *p, const uint8_t *end)
{
    size_t count = 0;
    for (; end - p >= 16; p += 16)
        count += vaddvq_u8(vshrq_n_u8(vceqq_u8(vld1q_u8(p), vdupq_n_u8('\n')), 7));
    return count + count_plain(p, end);
}
#endif

static struct {
    int isa;
    const uint8_t *(*needle)(const Needle *, const uint8_t *, const uint8_t *);
    const uint8_t *(*needles)(const Needles *, const uint8_t *, const uint8_t *);
    const uint8_t *(*set)(const ByteSet *, const uint8_t *, const uint8_t *);
    const uint8_t *(*rigid)(const Rigid *, const uint8_t *, const uint8_t *);
    size_t (*newlines)(const uint8_t *, const uint8_t *);
} scan = {ISA_PLAIN, needle_plain, needles_plain, set_plain, rigid_plain, count_plain};

static int scan_has(int isa)
{
#if SCAN_AVX2
    __builtin_cpu_init();
    return isa == ISA_PLAIN || (isa == ISA_AVX2 && __builtin_cpu_supports("avx2"));
#elif SCAN_NEON
    return isa == ISA_PLAIN || isa == ISA_NEON;
#else
    return isa == ISA_PLAIN;
#endif
}

/* Take this variant, which the processor has to have. */
static void scan_choose(int isa)
{
    scan.isa = isa;
    scan.needle = needle_plain;
    scan.needles = needles_plain;
    scan.set = set_plain;
    scan.rigid = rigid_plain;
    scan.newlines = count_plain;
#if SCAN_AVX2
    if (isa == ISA_AVX2) {
        scan.needle = needle_avx2;
        scan.needles = needles_avx2;
        scan.set = set_avx2;
        scan.rigid = rigid_avx2;
        scan.newlines = count_avx2;
    }
#elif SCAN_NEON
    if (isa == ISA_NEON) {
        scan.needle = needle_neon;
        scan.needles = needles_neon;
        scan.set = set_neon;
        scan.rigid = rigid_neon;
        scan.newlines = count_neon;
    }
#endif
}

#endif
