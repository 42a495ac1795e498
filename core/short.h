/* short.h - a string of at most 15 bytes as two words: compared, hashed and
 * copied without a loop or a branch on its length. Words and names are short,
 * and a processor that guesses a word's length is wrong every other time. */
#ifndef CORE_SHORT_H
#define CORE_SHORT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    SHORT_MAX = 15,
    /* Behind strings that short_read() reads, so many bytes may be read: of
     * batches (batch.h) and of Lua's heap (lua/heap.h). */
    SHORT_SLACK = 16,
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the first byte of a string is the lowest of its word");

/* The bytes, zeros behind them, their number on top: equal for equal strings
 * and no others. */
struct short_string {
    uint64_t low, high;
};

/* Of `count` bytes, at most SHORT_MAX, with SHORT_SLACK behind them. */
static inline struct short_string short_read(const char *bytes, size_t count)
{
    static const uint8_t masks[32] = {255, 255, 255, 255, 255, 255, 255, 255,
                                      255, 255, 255, 255, 255, 255, 255, 255};
    uint64_t low, high, low_mask, high_mask;
    memcpy(&low, bytes, 8);
    memcpy(&high, bytes + 8, 8);
    memcpy(&low_mask, masks + 16 - count, 8);
    memcpy(&high_mask, masks + 24 - count, 8);
    return (struct short_string){low & low_mask,
                                 (high & high_mask) | (uint64_t)count << 56};
}

/* The same where nothing may be read behind the string. */
static inline struct short_string short_copy(const char *bytes, size_t count)
{
    char padded[16] = {0};
    memcpy(padded, bytes, count);
    return short_read(padded, count);
}

/* Writes 16 bytes, of which the first ones are the string. */
static inline void short_write(uint8_t *at, struct short_string s)
{
    memcpy(at, &s.low, 8);
    memcpy(at + 8, &s.high, 8);
}

/* Source: the folded multiplication of wyhash, by Wang Yi. */
static inline uint64_t short_hash(struct short_string s, uint64_t seed)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)(s.low ^ 0x2d358dccaa6c78a5u ^ seed) *
                   (s.high ^ 0x8bb84b93962eacc9u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#endif
