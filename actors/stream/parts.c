/* parts.c - what a task gives to checkpoints, and how it goes on from one. */
#include "actors/stream/checkpoint.h"
#include "actors/stream/executor_state.h"
#include "actors/stream/ledger.h"
#include "actors/stream/state.h"
#include <stdio.h>
#include <string.h>

err parts_begin(struct executor *x)
{
    const struct component_plan *component = x->context.component;
    struct store *store = topology_store(x->topology);
    struct ledger_key key;
    if (!component->durable) return OK;
    if (store == NULL) {
        snprintf(x->context.error, sizeof x->context.error,
                 "it keeps state, and there is no store");
        return ERR_HOPELESS;
    }
    err e = ledger_key(LEDGER_STATE, x->context.plan, component,
                       x->context.index, &key);
    if (e != OK) return e;
    x->context.state = state_new(store, ledger_bytes(&key));
    return x->context.state ? OK : ERR_NOMEM;
}

static err restore(struct executor *x, struct store_view *view)
{
    struct ledger_task was;
    err e = ledger_read_task(view, x->context.plan, x->context.component,
                             x->context.index, &was);
    if (e != OK || was.position.at == NULL) return e;
    return x->class->restore(&x->context, x->self, was.position);
}

err parts_restore(struct executor *x)
{
    struct store *store = topology_store(x->topology);
    struct store_view *view;
    if (store == NULL || x->class->restore == NULL) return OK;
    if (!is_spout(x) && !x->task->back) return OK; /* its output stays */
    err e = store_view(store, &view);
    if (e != OK) return e;
    e = restore(x, view);
    store_unview(view);
    return e;
}

enum {
    SOON_BYTES = 32 << 20,  /* of changes: then a checkpoint comes soon */
    WAIT_BYTES = 256 << 20, /* and so many stop the spouts until it is there */
};

void parts_rest(struct executor *x)
{
    state_rest(x->context.state);
    size_t changed = state_changed_bytes(x->context.state);
    if (changed >= SOON_BYTES)
        executor_checkpoint_soon(&x->context, changed >= WAIT_BYTES);
}

/* A barrier comes after the checkpoint before it was decided. */
static err fill(struct executor *x, struct checkpoint_part *p)
{
    err e = OK;
    if (x->class->snapshot)
        e = x->class->snapshot(&x->context, x->self,
                               is_spout(x) ? pending_oldest(&x->pending)
                                           : TOKEN_NONE,
                               &p->position);
    p->has_position = p->position.used > 0;
    p->busy = x->pending.count + x->pending.replay_count > 0;
    /* The last part is decided with a later barrier: nothing comes then. */
    if (p->mark) undecided_snapshot(&x->task->undecided);
    if (e == OK && x->class->reveal)
        e = x->class->reveal(&x->context, x->self, &p->names);
    if (e == OK && x->context.component->keeps)
        e = x->class->keep(&x->context, x->self, &p->rows);
    if (e != OK || x->context.state == NULL) return e;
    state_thaw(x->context.state);
    return state_freeze(x->context.state, &p->state);
}

err parts_send(struct executor *x, struct checkpoint_part *p)
{
    struct env *env = x->context.env;
    struct msg *m = msg_new(env, TOPOLOGY_PART, sizeof p);
    if (m == NULL) {
        ref_drop(env, &p->ref);
        return ERR_NOMEM;
    }
    memcpy(msg_body(m), &p, sizeof p);
    m->flags = MSG_REF;
    m->from = env_self(env);
    actor_post(env, topology_actor(x->topology), m);
    return OK;
}

err parts_give(struct executor *x, uint64_t mark)
{
    if (topology_store(x->topology) == NULL) return OK;
    x->asked = 0;
    struct checkpoint_part *p = checkpoint_part_new(x->task->number, mark);
    if (p == NULL) return ERR_NOMEM;
    bool kept = false;
    err e = fill(x, p);
    if (e == OK) e = backlog_begin(x, p, &kept);
    if (e == OK) return kept ? OK : parts_send(x, p);
    ref_drop(x->context.env, &p->ref);
    return e;
}
