/* lines.h - a splitter: from blocks of bytes to lines.
 * Lines inside a block are looks into it, nothing is copied; one that spans
 * blocks is put together in a buffer. A line ends with "\n", "\r\n" counts as
 * one, and the last line of an input needs no end. One thread. */
#ifndef ACTORS_CONNECTORS_LINES_H
#define ACTORS_CONNECTORS_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/buffer.h"
#include "core/value.h"

/* Bytes of the longest line (with its "\r"): what one value can carry. */
enum { LINE_BYTES_MAX = VALUE_BYTES_MAX - VALUE_HEAD_MAX };

enum lines_state {
    LINES_FRESH, /* at the beginning of a line */
    LINES_PART,  /* in a line whose beginning is in `part` */
    LINES_SKIP,  /* in a line that nobody wants */
};

/* All zeroes is one at offset 0. Pairs with lines_fini(). */
struct lines {
    const uint8_t *at, *end; /* borrowed: what is left of the block */
    int64_t offset;          /* of `at` in the input */
    enum lines_state state;
    int64_t start;      /* LINES_PART: offset of the line */
    struct buffer part; /* owned */
};

/* Borrowed from the block or the splitter: valid until its next call. */
struct line {
    const uint8_t *bytes;
    uint32_t count;
    int64_t offset; /* where it starts in the input */
};

enum lines_step {
    LINES_LINE,  /* here it is */
    LINES_MORE,  /* the block is used up: lines_feed() or lines_end() */
    LINES_LONG,  /* one above LINE_BYTES_MAX, at line->offset, is left out */
    LINES_NOMEM, /* nothing has changed */
};

void lines_fini(struct lines *l);
/* What follows is read at `offset`. With `skip` that is in the middle of a
 * line (maybe its end), which is left out. */
void lines_seek(struct lines *l, int64_t offset, bool skip);

/* The next bytes of the input; the block before is used up. */
static inline void lines_feed(struct lines *l, const uint8_t *bytes,
                              size_t count)
{
    l->at = bytes;
    l->end = bytes + count;
}

/* Where the next line starts, as far as is known. */
static inline int64_t lines_start(const struct lines *l)
{
    return l->state == LINES_PART ? l->start : l->offset;
}

/* `feed` is the line's "\n". */
static inline uint32_t lines_length(const uint8_t *at, const uint8_t *feed)
{
    return (uint32_t)(feed - at) - (feed > at && feed[-1] == '\r');
}

enum lines_step lines_next_slow(struct lines *l, struct line *line);
static inline enum lines_step lines_next(struct lines *l, struct line *line)
{
    if (l->state != LINES_FRESH || l->at == l->end)
        return lines_next_slow(l, line);
    const uint8_t *feed = memchr(l->at, '\n', (size_t)(l->end - l->at));
    if (feed == NULL || feed - l->at > LINE_BYTES_MAX)
        return lines_next_slow(l, line);
    *line = (struct line){l->at, lines_length(l->at, feed), l->offset};
    l->offset += feed + 1 - l->at;
    l->at = feed + 1;
    return LINES_LINE;
}

/* The input has ended (after LINES_MORE): true when there is one more line,
 * which had no end. */
bool lines_end(struct lines *l, struct line *line);

#endif
