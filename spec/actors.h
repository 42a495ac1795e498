/* actors.h - what the specs of actors share: an actor that counts its own
 * life, and a probe's watch over another. */
#ifndef SPEC_ACTORS_H
#define SPEC_ACTORS_H

#include "core/actor.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"

enum { NOTE = KIND_OWN, GO, FAIL, FINISH };

struct life {
    unsigned inits, terminates, received, settles;
    unsigned most_in_one_turn, this_turn;
    err ended_with;
    err init_gives, settle_gives;
    actor_id id;
    bool saw_zeroes;
};

struct lively {
    struct life *life;
    char zeroes[100];
};

static inline err lively_init(struct env *env, void *self, const void *args)
{
    struct lively *l = self;
    l->life = *(struct life *const *)args;
    l->life->inits++;
    l->life->id = env_self(env);
    l->life->saw_zeroes = true;
    for (size_t i = 0; i < sizeof l->zeroes; i++)
        if (l->zeroes[i] != 0) l->life->saw_zeroes = false;
    memset(l->zeroes, 7, sizeof l->zeroes);
    return l->life->init_gives;
}

static inline err lively_receive(struct env *env, void *self,
                                 const struct msg *m)
{
    struct lively *l = self;
    l->life->received++;
    if (++l->life->this_turn > l->life->most_in_one_turn)
        l->life->most_in_one_turn = l->life->this_turn;
    if (m->kind == FAIL) return *(err *)msg_body(m);
    return m->kind == FINISH || m->kind == MSG_STOP ? ERR_DONE : OK;
}

static inline err lively_settle(struct env *env, void *self)
{
    struct lively *l = self;
    l->life->settles++;
    l->life->this_turn = 0;
    return l->life->settle_gives;
}

static inline void lively_terminate(struct env *env, void *self, err why)
{
    struct lively *l = self;
    l->life->terminates++;
    l->life->ended_with = why;
}

static const struct actor_kind lively = {
    .name = "lively",
    .state_bytes = sizeof(struct lively),
    .init = lively_init,
    .receive = lively_receive,
    .settle = lively_settle,
    .terminate = lively_terminate,
};

static inline actor_id live(struct sim_node *node,
                            const struct actor_kind *kind, struct life *life)
{
    return sim_spawn(node, kind, &life, sizeof life);
}

static inline void tell_end(struct sim *sim, actor_id probe, actor_id who,
                            err why)
{
    sim_send(sim, probe, who, FAIL, &why, sizeof why);
}

/* One monitor: monitor() is for sim_do(). */
struct watch {
    actor_id who;
    uint64_t ref;
};

static inline err monitor(struct env *env, void *context)
{
    struct watch *watch = context;
    return actor_monitor(env, watch->who, &watch->ref);
}

/* The n-th DOWN of the probe names this. */
static inline void check_down(struct sim *sim, actor_id probe, unsigned n,
                              const struct watch *watch, err why)
{
    const struct sim_message *m = sim_seen(sim, probe, MSG_DOWN, n);
    const struct down *down = m->body;
    CHECK_EQ(m->from, watch->who);
    CHECK_EQ(down->who, watch->who);
    CHECK_EQ(down->why, why);
    CHECK_EQ(down->ref, watch->ref);
}

#endif
