/* The acker on real threads: what several say at once, in the order of no seed.
 * Listeners stand in for the spouts' tasks. */
#include "actors/stream/acker.h"
#include "actors/stream/executor.h"
#include "actors/stream/topology.h"
#include "core/alloc.h"
#include "core/atomic.h"
#include "core/real.h"
#include "spec/acker_tree.h"
#include "spec/spec.h"
#include <time.h>

static void on_ended(void *context, const struct topology_end *end)
{
}

enum { SAYERS = 3, ROOTS = 400, SAYINGS = ROOTS * TREE_SAYINGS };

/* What the actors of a node share. */
struct hall {
    struct topology *topology;
    actor_id acker;
    _Atomic unsigned open; /* tasks that have opened their rows */
    _Atomic unsigned acked[TASKS][ROOTS], failed[TASKS][ROOTS];
    struct saying list[SAYINGS];
    unsigned count;
};

/* Listens in a task's place. args: struct place */
struct place {
    struct hall *hall;
    uint32_t number;
};

static err listener_init(struct env *env, void *self, const void *args)
{
    struct place *place = self;
    memcpy(place, args, sizeof *place);
    struct hall *h = place->hall;
    at_store(&topology_task(h->topology, place->number)->id, env_self(env),
             RELEASE);
    struct acker_open open = {place->number, 0};
    err e = actor_send(env, h->acker, ACKER_OPEN, &open, sizeof open);
    at_add(&h->open, 1, RELEASE);
    return e;
}

static err listener_receive(struct env *env, void *self, const struct msg *m)
{
    const struct place *place = self;
    struct hall *h = place->hall;
    if (m->kind == EXECUTOR_ACKED) {
        const struct acker_settled *in = msg_body(m);
        for (uint32_t i = 0; i < in->count; i++)
            at_add(&h->acked[place->number][in->sequences[i]], 1, RELEASE);
    }
    if (m->kind == EXECUTOR_FAILED) {
        const struct acker_fail *in = msg_body(m);
        at_add(&h->failed[place->number][root_sequence(in->root)], 1, RELEASE);
    }
    return OK;
}

static const struct actor_kind listener_kind = {
    .name = "listener",
    .state_bytes = sizeof(struct place),
    .init = listener_init,
    .receive = listener_receive,
};

/* Says every SAYERS-th saying, from its number on. args: struct place */
static err sayer_init(struct env *env, void *self, const void *args)
{
    memcpy(self, args, sizeof(struct place));
    env_again(env);
    return OK;
}

static err sayer_receive(struct env *env, void *self, const struct msg *m)
{
    const struct place *place = self;
    struct hall *h = place->hall;
    if (m->kind != MSG_AGAIN) return OK;
    for (unsigned i = place->number; i < h->count; i += SAYERS) {
        const struct saying *s = &h->list[i];
        struct acker_fail fail = {.root = s->root, .task = 3, .reason = "no"};
        struct acker_updates *one =
            mem_alloc(sizeof *one + sizeof one->list[0]);
        if (one == NULL) return ERR_NOMEM;
        one->count = 1;
        one->list[0] = (struct acker_update){s->root, s->edges};
        err e = s->kind == ACKER_FAIL
                    ? actor_send(env, h->acker, ACKER_FAIL, &fail,
                                 offsetof(struct acker_fail, reason) + 3)
                    : actor_send(env, h->acker, s->kind, one,
                                 sizeof *one + sizeof one->list[0]);
        mem_free(one);
        if (e != OK) return e;
    }
    return OK;
}

static const struct actor_kind sayer_kind = {
    .name = "sayer",
    .state_bytes = sizeof(struct place),
    .init = sayer_init,
    .receive = sayer_receive,
};

static void rest_1ms(void)
{
    struct timespec rest = {0, 1000000};
    nanosleep(&rest, NULL);
}

static unsigned verdicts(struct hall *h, const struct tree *t)
{
    uint32_t task = root_task(t->root);
    uint64_t sequence = root_sequence(t->root);
    return at_load(&h->acked[task][sequence], ACQUIRE) +
           at_load(&h->failed[task][sequence], ACQUIRE);
}

/* What the hall's actors say comes in the order of no seed. */
static void say_in_parallel(struct env *env, struct hall *h, struct tree *trees)
{
    struct place place = {.hall = h};
    actor_id id;
    for (uint32_t i = 0; i < TASKS; i++) /* else they'd take their places */
        for (int ms = 0; topology_task_id(h->topology, i) == 0; ms++) {
            CHECK(ms < 60000);
            rest_1ms();
        }
    CHECK_EQ(actor_spawn(env, &acker_kind, &h->topology, sizeof h->topology,
                         &h->acker),
             OK);
    for (; place.number < TASKS; place.number++)
        CHECK_EQ(actor_spawn(env, &listener_kind, &place, sizeof place, &id),
                 OK);
    for (int ms = 0; at_load(&h->open, ACQUIRE) < TASKS; ms++) {
        CHECK(ms < 60000);
        rest_1ms();
    }
    for (place.number = 0; place.number < SAYERS; place.number++)
        CHECK_EQ(actor_spawn(env, &sayer_kind, &place, sizeof place, &id), OK);
    for (unsigned i = 0; i < ROOTS; i++)
        for (int ms = 0; trees[i].acked + trees[i].failed > 0 &&
                         verdicts(h, &trees[i]) == 0;
             ms++) {
            CHECK(ms < 60000);
            rest_1ms();
        }
    rest_1ms(); /* nor does another come */
}

static void run_hall(struct hall *h, struct tree *trees, unsigned threads)
{
    struct idle_plan idle;
    idle_plan_init(&idle);
    struct real *real = real_new(threads, spec_seed, NULL, NULL);
    struct env *env = real ? node_outside(real_node(real)) : NULL;
    CHECK(env != NULL);
    struct topology_config config = {
        .plan = &idle.plan, .ackers = 1, .ended = on_ended};
    CHECK_EQ(topology_start(env, &config, &h->topology), OK);
    CHECK_EQ(real_start(real), OK);
    say_in_parallel(env, h, trees);
    real_stop(real);
    node_outside_free(env);
    real_free(real);
    topology_free(h->topology);
}

/* A root of which all is said and nothing fails is acked, one of which a part
 * is missing is not; one that fails has one verdict, whichever was first. */
SPEC(acker, c6_gives_each_root_one_verdict_on_real_threads)
{
    static struct tree trees[ROOTS];
    for (unsigned threads = 1; threads <= 4; threads *= 2) {
        struct rng rng = {spec_seed + threads};
        struct hall *h = mem_zero(1, sizeof *h);
        CHECK(h != NULL);
        for (unsigned i = 0; i < ROOTS; i++) {
            trees[i] = (struct tree){.root = root_of(i % TASKS, i / TASKS)};
            unsigned n = tree_grow(&rng, &trees[i], &h->list[h->count]);
            trees[i].acked = trees[i].complete;
            for (; n > 0; n--)
                trees[i].failed |= h->list[h->count++].kind == ACKER_FAIL;
        }
        sayings_shuffle(&rng, h->list, h->count);
        run_hall(h, trees, threads);
        for (unsigned i = 0; i < ROOTS; i++) {
            const struct tree *t = &trees[i];
            uint32_t task = root_task(t->root);
            CHECK_EQ(verdicts(h, t), t->acked || t->failed);
            if (!t->failed)
                CHECK_EQ(h->acked[task][root_sequence(t->root)], t->complete);
        }
        mem_free(h);
        spec_note_threads(threads);
    }
}
