/* kept.h - lines that can't be read again, until they are settled.
 * Dense as the executor's pending roots: a line is found by its number. What
 * it holds is bounded by what may be pending. One thread. */
#ifndef ACTORS_CONNECTORS_KEPT_H
#define ACTORS_CONNECTORS_KEPT_H

#include <stdint.h>

#include "core/err.h"

struct kept_line {
    uint32_t count;
    uint8_t bytes[];
};

/* All zeroes is an empty one. Pairs with kept_fini(). */
struct kept {
    struct kept_line **ring; /* owned, with its lines; room is a power of 2 */
    uint64_t room;
    uint64_t base, next; /* numbers: all before base are dropped */
};

void kept_fini(struct kept *k);
/* Copies a line; *token is its number. ERR_NOMEM: nothing was kept. */
err kept_add(struct kept *k, const uint8_t *bytes, uint32_t count,
             uint64_t *token);
/* Borrowed until it is dropped. NULL: it was, or never came. */
const struct kept_line *kept_get(const struct kept *k, uint64_t token);
/* Twice is harmless. */
void kept_drop(struct kept *k, uint64_t token);

#endif
