/* runqueue.h - one thread's runnable actors: it pushes and pops, others
 * steal. A ring of 256; what doesn't fit goes to the scheduler's overflow.
 * Source: Go's and Tokio's local run queue (owner moves the tail, everybody
 * moves the head by compare-and-swap; a thief takes half). */
#ifndef CORE_RUNQUEUE_H
#define CORE_RUNQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/atomic.h"

struct actor;

enum { RUNQUEUE_SIZE = 256 };

struct runqueue {
    _Atomic uint32_t head; /* next to take; owner and thieves */
    _Atomic uint32_t tail; /* next free place; owner only */
    _Atomic(struct actor *) ring[RUNQUEUE_SIZE];
};

/* Owner. False: full, nothing was pushed. */
bool runqueue_push(struct runqueue *queue, struct actor *actor);
/* Owner. NULL: empty. */
struct actor *runqueue_pop(struct runqueue *queue);
/* The owner of `into`, which is empty, takes half of `from`; returns one of
 * them, the rest is in `into`. NULL: nothing to steal. */
struct actor *runqueue_steal(struct runqueue *into, struct runqueue *from);
/* Any thread; a moment's view. */
static inline uint32_t runqueue_count(struct runqueue *queue)
{
    uint32_t head = at_load(&queue->head, ACQUIRE);
    uint32_t tail = at_load(&queue->tail, ACQUIRE);
    return tail - head > RUNQUEUE_SIZE ? 0 : tail - head;
}

#endif
