/* hash.h - the trace hash: FNV-1a over 64 bits, fed by words.
 * Source: Fowler, Noll and Vo. */
#ifndef CORE_HASH_H
#define CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* Folds eight bytes into the hash, lowest first on every machine. */
static inline uint64_t hash_word(uint64_t hash, uint64_t word)
{
    for (int i = 0; i < 8; i++, word >>= 8)
        hash = (hash ^ (word & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

static inline uint64_t hash_bytes(uint64_t hash, const void *bytes,
                                  size_t count)
{
    const uint8_t *at = bytes;
    while (count-- > 0)
        hash = (hash ^ *at++) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
