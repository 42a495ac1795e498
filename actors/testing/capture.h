/* capture.h - tuples that a test will look at: what a component emitted on a
 * stream, or what a sink received, in order. One thread. */
#ifndef ACTORS_TESTING_CAPTURE_H
#define ACTORS_TESTING_CAPTURE_H

#include "core/buffer.h"
#include <stdbool.h>

/* All of one trial together may hold this much. */
enum { CAPTURE_BYTES_MAX = 64 << 20 };

struct capture_limit {
    size_t used_bytes;
    bool full;      /* CAPTURE_BYTES_MAX: the rest is left out */
    bool no_memory; /* as above */
};

/* All zeroes is an empty one. Pairs with capture_fini(). */
struct capture {
    uint64_t count;
    /* Each tuple: the number of its values in a byte, then the values. */
    struct buffer tuples;
};

/* Copies a tuple; `limit` says when it could not. */
static inline void capture_add(struct capture *c, struct capture_limit *limit,
                               unsigned arity, const uint8_t *values,
                               size_t bytes)
{
    const uint8_t head = (uint8_t)arity; /* FIELDS_MAX is 64 */
    if (limit->full || limit->no_memory) return;
    limit->used_bytes += bytes + 1;
    limit->full = limit->used_bytes > CAPTURE_BYTES_MAX;
    limit->no_memory = buffer_reserve(&c->tuples, bytes + 1) != OK;
    if (limit->full || limit->no_memory) return;
    buffer_append(&c->tuples, &head, 1);
    buffer_append(&c->tuples, values, bytes);
    c->count++;
}

static inline void capture_fini(struct capture *c)
{
    buffer_fini(&c->tuples);
}

#endif
