#include "core/runqueue.h"
#include <stddef.h>

enum { MASK = RUNQUEUE_SIZE - 1 };

bool runqueue_push(struct runqueue *queue, struct actor *actor)
{
    uint32_t tail = at_load(&queue->tail, RELAXED);
    uint32_t head = at_load(&queue->head, ACQUIRE);
    if (tail - head >= RUNQUEUE_SIZE) return false;
    at_store(&queue->ring[tail & MASK], actor, RELAXED);
    at_store(&queue->tail, tail + 1, RELEASE); /* shows the actor to thieves */
    return true;
}

struct actor *runqueue_pop(struct runqueue *queue)
{
    uint32_t tail = at_load(&queue->tail, RELAXED);
    uint32_t head = at_load(&queue->head, ACQUIRE);
    while (head != tail) {
        struct actor *actor = at_load(&queue->ring[head & MASK], RELAXED);
        if (at_cas(&queue->head, &head, head + 1, ACQ_REL)) return actor;
    }
    return NULL;
}

struct actor *runqueue_steal(struct runqueue *into, struct runqueue *from)
{
    uint32_t mine = at_load(&into->tail, RELAXED);
    for (;;) {
        uint32_t head = at_load(&from->head, ACQUIRE);
        uint32_t tail = at_load(&from->tail, ACQUIRE);
        uint32_t count = tail - head;
        if (count == 0) return NULL;
        count -= count / 2;
        if (count > RUNQUEUE_SIZE / 2) continue; /* head and tail are torn */
        for (uint32_t i = 0; i < count; i++) {
            struct actor *actor =
                at_load(&from->ring[(head + i) & MASK], RELAXED);
            at_store(&into->ring[(mine + i) & MASK], actor, RELAXED);
        }
        /* Only if nobody took from the head meanwhile are the copies ours. */
        if (!at_cas(&from->head, &head, head + count, ACQ_REL)) continue;
        struct actor *last =
            at_load(&into->ring[(mine + count - 1) & MASK], RELAXED);
        if (count > 1) at_store(&into->tail, mine + count - 1, RELEASE);
        return last;
    }
}
