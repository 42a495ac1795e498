#include "core/edge.h"
#include "core/runtime.h"

void edge_init(struct edge *edge, int64_t window_bytes)
{
    *edge = (struct edge){
        .left_bytes = window_bytes,
        .window_bytes = window_bytes,
        .notice = {.kind = SYS_CREDIT, .flags = MSG_EMBEDDED},
    };
}

/* Ask for a notice, unless credit has come meanwhile. The seq_cst pair with
 * edge_return() makes sure that one of the two sees the other. */
static void park(struct edge *edge, struct actor *producer)
{
    at_store(&edge->waiting, true, SEQ_CST);
    edge->left_bytes += at_swap(&edge->returned_bytes, 0, SEQ_CST);
    if (edge->left_bytes > 0) {
        at_store(&edge->waiting, false, RELAXED);
        return; /* a notice may come all the same: it finds credit */
    }
    edge->blocked = true;
    producer->holds++;
    producer->parks++;
}

void edge_attach_producer(struct env *env, struct edge *edge)
{
    at_store(&edge->producer, env->actor->id, SEQ_CST);
    edge->blocked = false; /* the former producer's parking died with it */
    if (edge->left_bytes <= 0) park(edge, env->actor);
}

void edge_attach_consumer(struct env *env, struct edge *edge)
{
    at_store(&edge->consumer, env->actor->id, RELEASE);
}

void edge_send(struct env *env, struct edge *edge, struct msg *m,
               uint32_t cost_bytes)
{
    m->by = edge;
    m->flags |= MSG_DATA;
    m->cost_bytes = cost_bytes;
    edge->sent++;
    edge->left_bytes -= cost_bytes;
    env->spent++;
    actor_post(env, at_load(&edge->consumer, ACQUIRE), m);
    if (edge->left_bytes > 0 || edge->blocked) return;
    edge->left_bytes += at_swap(&edge->returned_bytes, 0, ACQ_REL);
    if (edge->left_bytes <= 0) park(edge, env->actor);
}

bool edge_credit(struct edge *edge)
{
    at_store(&edge->noticed, false, SEQ_CST); /* may be sent again from here */
    if (!edge->blocked) return false;
    edge->left_bytes += at_swap(&edge->returned_bytes, 0, SEQ_CST);
    if (edge->left_bytes <= 0) {
        at_store(&edge->waiting, true, SEQ_CST);
        edge->left_bytes += at_swap(&edge->returned_bytes, 0, SEQ_CST);
        if (edge->left_bytes <= 0) return false;
    }
    at_store(&edge->waiting, false, RELAXED);
    edge->blocked = false;
    return true;
}

bool edge_notice_lost(struct edge *edge, actor_id to)
{
    at_store(&edge->noticed, false, SEQ_CST);
    /* A producer that attaches from here on looks for credit itself, and is
     * sent a notice of its own. One that had attached before may have parked
     * while this one was still thought to be under way. */
    if (at_load(&edge->producer, SEQ_CST) == to) return false;
    return !at_swap(&edge->noticed, true, SEQ_CST);
}

bool edge_owe(struct edge *edge, int64_t cost_bytes)
{
    edge->owed_bytes += cost_bytes;
    return edge->owed_bytes >= edge->window_bytes / 4;
}

bool edge_refund(struct edge *edge, int64_t cost_bytes)
{
    at_add(&edge->returned_bytes, cost_bytes, SEQ_CST);
    if (!at_load(&edge->waiting, SEQ_CST)) return false;
    at_store(&edge->waiting, false, SEQ_CST);
    /* A notice that is under way will find this credit. */
    return !at_swap(&edge->noticed, true, SEQ_CST);
}

bool edge_return(struct edge *edge)
{
    int64_t owed = edge->owed_bytes;
    edge->owed_bytes = 0;
    return owed != 0 && edge_refund(edge, owed);
}
