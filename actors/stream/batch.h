/* batch.h - tuples of one stream from one task to another: what travels.
 * A batch is the body of a data message: it moves by pointer, from the pool of
 * the thread that wrote it to the pool of the one that read it. Values stand
 * one tuple behind another from the front, the acking entries from the back:
 *
 *   | header | values ... -> | free | <- ... anchor 1 | anchor 0 |
 *
 * An anchor says: the next `tuples` tuples belong to `root` (0: untracked), and
 * `edge` is the id that this batch entered into the root's XOR: one per root
 * and batch. No anchors at all: the whole batch is untracked. Tuples of several
 * roots have an anchor for each: all but the last say 0 tuples, and join the
 * next. SHORT_SLACK bytes behind all of it may be read.
 *
 * A combined batch (combiner.h) holds rows of two values, a key and how many
 * tuples had it, or what their numbers were reduced to. Which root a row is of
 * can't be told: each anchor stands for the batch as a whole (its `tuples` is
 * 0), which is processed or fails as one. */
#ifndef ACTORS_STREAM_BATCH_H
#define ACTORS_STREAM_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/msg.h"
#include "core/short.h"

enum batch_marker {
    BATCH_DATA, /* tuples */
    BATCH_END,  /* the source task has ended */
    BATCH_MARK, /* new code, or a checkpoint */
    BATCH_DRY,  /* the source has no more input: what comes, comes again */
};

/* Marks have numbers that rise. Those of checkpoints are odd; those of new code
 * are its version. */
static inline bool mark_is_barrier(uint64_t mark)
{
    return mark & 1;
}

struct anchor {
    uint64_t root;
    uint64_t edge;
    uint32_t tuples; /* 0: those of the next anchor */
    uint32_t joined; /* writer: by others, so no more tuples belong to it */
};

struct batch {
    uint32_t epoch;  /* of the assignment */
    uint32_t schema; /* of the stream: number of the source component's */
    uint32_t task;   /* that wrote it */
    uint32_t marker; /* enum batch_marker */
    uint64_t number; /* of the marker; of the channel's batches else */
    uint32_t count;  /* tuples */
    uint32_t used;   /* bytes of values */
    uint32_t room;   /* bytes of `data`; a multiple of 8 */
    uint32_t anchors;
    uint64_t combined; /* tuples that all rows stand for; 0: each is one */
    uint8_t data[];
};

enum {
    BATCH_ROOM = MSG_BYTES_MAX - (int)sizeof(struct batch) - SHORT_SLACK,
    BATCH_ROOM_FEW = MSG_BYTES_PAGE - (int)sizeof(struct batch) - SHORT_SLACK,
    BATCH_SEAL_BYTES = 16384,  /* sent when it costs this much */
    BATCH_SEAL_TUPLES = 2048,  /* or so many */
    BATCH_MAX_BYTES = 64 << 20 /* of one call's unsealed output */
};

static inline struct batch *batch_of(const struct msg *m)
{
    return msg_body(m);
}

/* The i-th anchor, from 0. */
static inline struct anchor *batch_anchor(struct batch *b, uint32_t i)
{
    struct anchor *end = (struct anchor *)(void *)(b->data + b->room);
    return end - 1 - i;
}

/* How many tuples it brings. */
static inline uint64_t batch_tuples(const struct batch *b)
{
    return b->combined ? b->combined : b->count;
}

/* What it costs of an edge's credit. */
static inline uint32_t batch_cost_bytes(const struct batch *b)
{
    return (uint32_t)sizeof *b + b->used +
           b->anchors * (uint32_t)sizeof(struct anchor);
}

/* What it takes of memory, whatever it holds. */
static inline int64_t batch_memory_bytes(const struct batch *b)
{
    return (int64_t)sizeof *b + b->room + SHORT_SLACK;
}

/* An empty data batch with at least `room` bytes (BATCH_ROOM and _FEW: a pooled
 * one). Its message's kind is EXECUTOR_BATCH. NULL: out of memory. Owned. */
struct msg *batch_new(struct env *env, uint32_t room);

/* The bytes that go to another process, or a file: little endian, without the
 * free part. Appends to `out`. ERR_NOMEM. */
err batch_encode(const struct batch *b, struct buffer *out);
/* From bytes that nobody vouches for, of a stream with `arity` fields (2 in a
 * combined one) to a reader that `reduces` or not: all counts, anchors and
 * values are checked before anything is taken. ERR_NOMEM, ERR_TRUNCATED,
 * ERR_FORMAT, ERR_DEEP, ERR_BIG; then nothing is made. */
err batch_decode(struct env *env, const uint8_t *bytes, size_t count,
                 unsigned arity, bool reduces, struct msg **out);

#endif
