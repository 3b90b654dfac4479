/* The inner loop of tokens.pyx: a block of text as the table's symbols, sixteen bytes at once. */

#ifndef NANOCODE_SYMBOLS_H
#define NANOCODE_SYMBOLS_H

#include <stdint.h>
#include <string.h>

/* Bytes of a block, and how many behind it are read too. */
#define BLOCK 64
#define BLOCK_AHEAD 5

/* What a symbol of whitespace before whitespace is the sum of. */
enum { BLANK_SYMBOL = 1, TAB_BITS = 2, LINE_END_BITS = 4, BEFORE_LINE_END = 1 };

#if defined(__GNUC__) || defined(__clang__)
typedef uint8_t Bytes __attribute__((vector_size(16)));
#define WHERE(condition) ((Bytes)(condition))

static inline Bytes bytes_at(const uint8_t *at)
{
    Bytes bytes;
    memcpy(&bytes, at, sizeof bytes);
    return bytes;
}

/* Write the block's symbols; 0 when some run of one character may begin in it, whose symbols differ. */
static int block_symbols(const uint8_t *at, uint8_t *symbols)
{
    Bytes runs = {0};
    for (int i = 0; i < BLOCK; i += (int)sizeof runs) {
        const Bytes one = bytes_at(at + i), two = bytes_at(at + i + 1);
        const Bytes three = bytes_at(at + i + 2), four = bytes_at(at + i + 3);
        const Bytes tab = WHERE(one == '\t'), end = WHERE(one == '\n') | WHERE(one == '\r');
        const Bytes white = WHERE(one == ' ') | tab | end;
        const Bytes before_end = WHERE(two == '\n') | WHERE(two == '\r');
        const Bytes inner = white & (WHERE(two == ' ') | WHERE(two == '\t') | before_end);
        const Bytes own = BLANK_SYMBOL + (tab & TAB_BITS) + (end & LINE_END_BITS) + (before_end & BEFORE_LINE_END);
        const Bytes control = (WHERE(one < ' ') & ~white) | WHERE(one == 0x7F);
        const Bytes symbol = (inner & own) | (~(inner | control) & one);
        /* The subtractions wrap around: what is below the range is above it, too. */
        const Bytes mark = WHERE(one > ' ') & WHERE((one | 0x20) - 'a' > 'z' - 'a') & WHERE(one - '0' > '9' - '0');
        const Bytes same = WHERE(two == bytes_at(at + i + 4)) & WHERE(three == bytes_at(at + i + 5));
        memcpy(symbols + i, &symbol, sizeof symbol);
        runs |= WHERE(one == four) & ((mark & WHERE(one == two) & WHERE(one == three)) | (WHERE(one >= 0xE2) & same));
    }
    uint64_t halves[2];
    memcpy(halves, &runs, sizeof halves);
    return !(halves[0] | halves[1]);
}
#else
static int block_symbols(const uint8_t *at, uint8_t *symbols)
{
    (void)at, (void)symbols;
    return 0;
}
#endif

/* The sum over the pairs of a block's symbols; `table` is by pair in the machine's byte order. */
static uint32_t block_sum(const uint8_t *table, const uint8_t *symbols)
{
    uint32_t sum = 0;
    for (int i = 0; i < BLOCK - 1; i++) {
        uint16_t pair;
        memcpy(&pair, symbols + i, sizeof pair);
        sum += table[pair];
    }
    return sum;
}

#endif
