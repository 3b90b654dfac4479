/* The inner loops of `nearest` in edits.pyx: lines as sets of byte pairs, and the votes of some for the places of a text. */

#ifndef NANOCODE_PAIRS_H
#define NANOCODE_PAIRS_H

#include <stddef.h>
#include <stdint.h>

#if defined(_MSC_VER) && !defined(__clang__)
#define PAIRS_INLINE static __forceinline
#else
#define PAIRS_INLINE static inline __attribute__((always_inline))
#endif

/* Machines since 2008 count bits in one instruction, those since 2013 have AVX2; wheels are built for all. */
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <immintrin.h>
#define PAIRS_WIDE __attribute__((target("avx2,popcnt")))
#endif

/* Bytes that `hash` may read behind the line. */
#define PAIRS_SPARE 8

/* The pairs of neighbouring bytes of a line, hashed to 128 bits, and how many of these are set. */
typedef struct {
    uint64_t low, high;
    uint32_t count;
} Pairs;

typedef struct {
    Pairs pairs;
    uint32_t weight;
    ptrdiff_t place; /* where the vote for line 0 goes */
} Voter;

PAIRS_INLINE uint32_t ones(uint64_t bits)
{
#if defined(_MSC_VER) && !defined(__clang__)
    bits -= (bits >> 1) & 0x5555555555555555u;
    bits = (bits & 0x3333333333333333u) + ((bits >> 2) & 0x3333333333333333u);
    return (uint32_t)((((bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u) >> 56);
#else
    return (uint32_t)__builtin_popcountll(bits);
#endif
}

PAIRS_INLINE uint32_t common(const Pairs *one, const Pairs *other)
{
    return ones(one->low & other->low) + ones(one->high & other->high);
}

/* `line[-1]` is readable and is the byte before the first. */
static Pairs hash_plain(const uint8_t *line, ptrdiff_t size, uint32_t factor)
{
    Pairs pairs = {0, 0, 0};
    for (ptrdiff_t at = 0; at < size; at++) {
        const uint32_t bit = (((uint32_t)line[at - 1] << 8 | line[at]) * factor) >> 25;
        const uint64_t one = (uint64_t)1 << (bit & 63), in_high = (uint64_t)0 - (bit >> 6);
        pairs.low |= one & ~in_high;
        pairs.high |= one & in_high;
    }
    pairs.count = ones(pairs.low) + ones(pairs.high);
    return pairs;
}

/* `votes` has room for every voter's `place` plus every line; `shares[n]` is what one of n bits is worth. */
PAIRS_INLINE void cast(const Pairs *lines, ptrdiff_t count, const Voter *voters, int number, const uint32_t *shares,
                       uint32_t *votes)
{
    for (ptrdiff_t line = 0; line < count; line++) {
        const Pairs pairs = lines[line];
        if (pairs.count == 0)
            continue;
        for (int voter = 0; voter < number; voter++) {
            const Voter *from = voters + voter;
            votes[from->place + line] +=
                from->weight * common(&pairs, &from->pairs) * shares[pairs.count + from->pairs.count];
        }
    }
}

#ifdef PAIRS_WIDE
/* Eight pairs a step. A shift by 64 or more gives 0, which sorts bits into `low` and `high`, and drops those of the
 * places behind the line, whose bit 7 is set. */
PAIRS_WIDE static Pairs hash_wide(const uint8_t *line, ptrdiff_t size, uint32_t factor)
{
    const __m256i one = _mm256_set1_epi64x(1), half = _mm256_set1_epi64x(64);
    const __m256i factors = _mm256_set1_epi32((int)factor), behind = _mm256_set1_epi32(128);
    __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), low = _mm256_setzero_si256(), high = low;
    const __m256i last = _mm256_set1_epi32((int)size - 1);
    Pairs pairs;
    for (ptrdiff_t at = 0; at < size; at += 8) {
        const __m256i before = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(line + at - 1)));
        const __m256i here = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(line + at)));
        const __m256i keys = _mm256_or_si256(_mm256_slli_epi32(before, 8), here);
        __m256i bits = _mm256_srli_epi32(_mm256_mullo_epi32(keys, factors), 25);
        bits = _mm256_or_si256(bits, _mm256_and_si256(_mm256_cmpgt_epi32(lanes, last), behind));
        lanes = _mm256_add_epi32(lanes, _mm256_set1_epi32(8));
        const __m256i first = _mm256_cvtepu32_epi64(_mm256_castsi256_si128(bits));
        const __m256i second = _mm256_cvtepu32_epi64(_mm256_extracti128_si256(bits, 1));
        low = _mm256_or_si256(low, _mm256_or_si256(_mm256_sllv_epi64(one, first), _mm256_sllv_epi64(one, second)));
        high = _mm256_or_si256(high, _mm256_or_si256(_mm256_sllv_epi64(one, _mm256_sub_epi64(first, half)),
                                                     _mm256_sllv_epi64(one, _mm256_sub_epi64(second, half))));
    }
    const __m128i lows = _mm_or_si128(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    const __m128i highs = _mm_or_si128(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
    pairs.low = (uint64_t)_mm_cvtsi128_si64(lows) | (uint64_t)_mm_extract_epi64(lows, 1);
    pairs.high = (uint64_t)_mm_cvtsi128_si64(highs) | (uint64_t)_mm_extract_epi64(highs, 1);
    pairs.count = ones(pairs.low) + ones(pairs.high);
    return pairs;
}

PAIRS_WIDE static void cast_wide(const Pairs *lines, ptrdiff_t count, const Voter *voters, int number,
                                 const uint32_t *shares, uint32_t *votes)
{
    cast(lines, count, voters, number, shares, votes);
}

static int is_wide(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
}
#else
#define hash_wide hash_plain
#define cast_wide cast_plain
static int is_wide(void) { return 0; }
#endif

static void cast_plain(const Pairs *lines, ptrdiff_t count, const Voter *voters, int number, const uint32_t *shares,
                       uint32_t *votes)
{
    cast(lines, count, voters, number, shares, votes);
}

#endif
