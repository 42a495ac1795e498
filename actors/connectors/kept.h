/* kept.h - lines that can't be read again, until they are settled.
 * A token names a slot, which the next line takes when its own was dropped: so
 * there is room for as many lines as were held at once, however long one of
 * them stays. One thread. */
#ifndef ACTORS_CONNECTORS_KEPT_H
#define ACTORS_CONNECTORS_KEPT_H

#include <stdint.h>

#include "core/err.h"

struct kept_line {
    int64_t place;
    uint32_t count;
    uint8_t bytes[];
};

struct kept_slot;

/* All zeroes is an empty one. Pairs with kept_fini(). */
struct kept {
    struct kept_slot *slots; /* owned, with their lines */
    uint32_t room, first_free;
};

void kept_fini(struct kept *k);
/* Copies a line, which is at `place` of the input; *token, below 2^63, will
 * find it. ERR_NOMEM: nothing was kept. */
err kept_add(struct kept *k, const uint8_t *bytes, uint32_t count,
             int64_t place, uint64_t *token);
/* The least place of those that are held; INT64_MAX: none is. */
int64_t kept_oldest(const struct kept *k);
/* Borrowed until it is dropped. NULL: it was, or never came. */
const struct kept_line *kept_get(const struct kept *k, uint64_t token);
/* Twice is harmless. */
void kept_drop(struct kept *k, uint64_t token);

#endif
