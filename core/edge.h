/* edge.h - one producer task to one consumer task: credit, order, parking.
 * The producer may send while it has credit; a send that uses it up parks the
 * producer when its activation ends: it takes no data until the consumer has
 * handled some, control messages always. Nothing is dropped, nothing grows
 * beyond the window plus one activation. Markers cost no credit.
 * An edge outlives its ends: a restarted task attaches to it again. It is
 * freed by its owner when neither end nor any of its messages is left.
 * Source: credit-based flow control of Flink's network stack, per channel. */
#ifndef CORE_EDGE_H
#define CORE_EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/atomic.h"
#include "core/msg.h"

enum { EDGE_WINDOW_BYTES = 256 * 1024 };

struct edge {
    /* Of the producer. */
    int64_t left_bytes; /* credit it knows of; below 1: parked */
    bool blocked;
    uint64_t sent; /* messages: numbers the channel */
    int64_t window_bytes;
    /* Shared. */
    _Atomic int64_t returned_bytes;
    _Atomic bool waiting; /* the producer wants a notice of credit */
    _Atomic bool noticed; /* the notice below is under way */
    _Atomic actor_id producer;
    _Atomic actor_id consumer;
    struct msg notice;
    /* Of the consumer. */
    int64_t owed_bytes;      /* handled, not yet returned */
    struct edge *next_owing; /* of the running consumer; see actor.c */
    bool owing;
    /* Undelivered messages of a dead consumer come here, before their credit
     * is returned and their reference dropped. True: the owner has taken the
     * envelope for something else. May be NULL. */
    bool (*discard)(struct env *env, struct edge *edge, struct msg *m);
    void *context; /* of the owner */
};

void edge_init(struct edge *edge, int64_t window_bytes);
/* The running actor is the producer (consumer) from now on. */
void edge_attach_producer(struct env *env, struct edge *edge);
void edge_attach_consumer(struct env *env, struct edge *edge);

/* Sends an envelope that costs `cost_bytes` of credit; the runtime owns it.
 * Only the running producer may call it. Always succeeds; the activation's
 * budget bounds how much. */
void edge_send(struct env *env, struct edge *edge, struct msg *m,
               uint32_t cost_bytes);

/* Producer: what was sent and not yet handled, as far as it is known. */
static inline int64_t edge_used_bytes(struct edge *edge)
{
    return edge->window_bytes - edge->left_bytes -
           at_load(&edge->returned_bytes, RELAXED);
}

/* ---- for the runtime ---- */

/* A notice came: true when the producer has credit again. */
bool edge_credit(struct edge *edge);
/* A notice found that the producer it was for (`to`) had died: true when it
 * must be posted again, because another producer is attached. */
bool edge_notice_lost(struct edge *edge, actor_id to);
/* Consumer: `cost` bytes are handled; true when enough to return at once. */
bool edge_owe(struct edge *edge, int64_t cost_bytes);
/* Consumer: hand back what is owed; true when the notice must be posted. */
bool edge_return(struct edge *edge);
/* Any thread: a message of a dead consumer is gone; true as above. */
bool edge_refund(struct edge *edge, int64_t cost_bytes);

#endif
