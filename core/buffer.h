/* buffer.h - bytes that grow at their end.
 * All zeroes is an empty buffer that owns nothing. To use one again, set
 * `used` to 0 and the memory stays. One thread at a time. */
#ifndef CORE_BUFFER_H
#define CORE_BUFFER_H

#include "core/err.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buffer {
    uint8_t *data; /* owned; NULL while room is 0; moves when it grows */
    size_t used;   /* bytes written */
    size_t room;   /* bytes allocated */
};

/* The slow half of buffer_reserve(). */
err buffer_grow(struct buffer *b, size_t more_bytes);

/* Allocates nothing yet. Pairs with buffer_fini(). */
static inline void buffer_init(struct buffer *b)
{
    *b = (struct buffer){0};
}

/* Frees what it owns and leaves an empty buffer; twice is harmless. */
void buffer_fini(struct buffer *b);

/* Makes sure of `more_bytes` behind data + used, for the caller to write and
 * then to add to `used`. The room at least doubles when it grows, so a byte
 * is copied twice on average. ERR_NOMEM: nothing has changed. */
static inline err buffer_reserve(struct buffer *b, size_t more_bytes)
{
    if (b->data && more_bytes <= b->room - b->used) return OK;
    return buffer_grow(b, more_bytes);
}

/* Copies `count` bytes to the end; `bytes` may be NULL when count is 0 and
 * must not lie inside the buffer. ERR_NOMEM: nothing has changed. */
static inline err buffer_append(struct buffer *b, const void *bytes,
                                size_t count)
{
    if (count == 0) return OK;
    err e = buffer_reserve(b, count);
    if (e != OK) return e;
    memcpy(b->data + b->used, bytes, count);
    b->used += count;
    return OK;
}

#endif
