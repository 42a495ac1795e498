/* loop.h - components that read each other, in a circle or several: tuples go
 * round in it. What closes a circle is a back edge (input_plan.back). Between
 * the tasks of a loop, all in one process, nobody can be sure of the end alone:
 * they share a count of what may still bring something in. */
#ifndef ACTORS_STREAM_LOOP_H
#define ACTORS_STREAM_LOOP_H

#include "core/atomic.h"
#include "core/msg.h"
#include <stdbool.h>
#include <stdint.h>

struct env;
struct topology;

enum { LOOP_BYTES_MAX = 16 << 20 };

/* What is pending, in one word: ways above, batches below. */
#define LOOP_WAY   ((uint64_t)1 << 40)
#define LOOP_BATCH ((uint64_t)1)

struct loop {
    struct topology *topology;
    /* Ways into it that haven't ended, and batches on their way between its
     * tasks: until what was made of them is on its way, too. */
    _Atomic uint64_t pending;
    _Atomic bool over;    /* pending was 0: nothing goes round any more */
    struct msg look;      /* TOPOLOGY_LOOP: is it over? */
    _Atomic bool looking; /* which is on its way */
    _Atomic int64_t waiting_bytes; /* of memory, on its back edges */
    int64_t most_bytes;
    /* So much waited that no emit on a back edge is taken any more, until no
     * batch is on its way: what multiplies itself would fill it for ever. */
    _Atomic bool full;
};

/* A batch is about to be sent on one of its edges; `bytes` are its memory on a
 * back edge, else 0. */
static inline void loop_enter(struct loop *loop, int64_t bytes)
{
    at_add(&loop->pending, LOOP_BATCH, SEQ_CST);
    if (bytes) at_add(&loop->waiting_bytes, bytes, RELAXED);
}

/* A batch of a back edge is processed or lost. */
static inline void loop_took(struct loop *loop, int64_t bytes)
{
    at_sub(&loop->waiting_bytes, bytes, RELAXED);
}

/* So much of what is pending is through. When it was the last the topology
 * looks, and tells the tasks of the loop that it is over. Any actor. */
void loop_leave(struct env *env, struct loop *loop, uint64_t through);
/* The topology looks. True: it is over, since now. */
bool loop_end(struct loop *loop);

static inline bool loop_is_over(struct loop *loop)
{
    return at_load(&loop->over, SEQ_CST);
}

/* No emit on a back edge is taken. */
static inline bool loop_is_full(struct loop *loop)
{
    if (at_load(&loop->waiting_bytes, RELAXED) >= loop->most_bytes)
        at_store(&loop->full, true, RELAXED);
    return at_load(&loop->full, RELAXED);
}

/* Spouts must wait. */
static inline bool loop_is_gated(struct loop *loop)
{
    return at_load(&loop->full, RELAXED) ||
           at_load(&loop->waiting_bytes, RELAXED) > loop->most_bytes / 2;
}

#endif
