/* sort_key.h - scalars as bytes whose order (memcmp, a prefix first) is theirs:
 * false, true, numbers by value, strings by their bytes. So records of a store
 * stand in the order of their keys. 1 and 1.0 are one key. */
#ifndef CORE_SORT_KEY_H
#define CORE_SORT_KEY_H

#include "core/store.h"
#include "core/value.h"

enum {
    SORT_KEY_HEAD_MAX = 17
}; /* of what is no string; 1 and its bytes else */

/* Writes a boolean, a number or a string; returns the end. Not NaN. */
uint8_t *sort_key_put(uint8_t *at, const struct value *v);
static inline uint8_t *sort_key_put_bytes(uint8_t *at, const char *bytes,
                                          size_t count)
{
    *at = 0x30;
    if (count) memcpy(at + 1, bytes, count);
    return at + 1 + count;
}
/* What it was; a string is borrowed. False: it is no such key. */
bool sort_key_get(struct bytes key, struct value *out);

#endif
