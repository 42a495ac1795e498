/* deadline_spec.c - timers come at their exact times, in order, once, and not
 * at all when they were cancelled. */
#include "core/actor.h"
#include "core/alloc.h"
#include "core/deadline.h"
#include "core/node.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"

enum { MS = 1000000 };

struct order {
    int64_t at_ns;
    uint64_t cookie;
    deadline_id id;
};

static err set(struct env *env, void *context)
{
    struct order *order = context;
    return deadline_set(env, order->at_ns, order->cookie, &order->id);
}

static err cancel(struct env *env, void *context)
{
    struct order *order = context;
    deadline_cancel(env, &order->id);
    CHECK_EQ(order->id, 0);
    return OK;
}

static const struct timer_due *due(struct sim *sim, actor_id probe, unsigned n)
{
    const struct sim_message *m = sim_seen(sim, probe, MSG_TIMER, n);
    CHECK_EQ(m->bytes, sizeof(struct timer_due));
    CHECK_EQ(m->from, probe);
    return m->body;
}

SPEC(deadline, comes_at_its_exact_time_with_its_cookie)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        actor_id probe = sim_probe(sim_node(sim, 0));
        struct order order = {.at_ns = sim_now(sim) + 12345678, .cookie = 42};
        sim_do(sim, probe, set, &order);
        sim_run_until(sim, order.at_ns - 1);
        CHECK_EQ(sim_got(sim, probe, 0), 0);
        CHECK_EQ(sim_now(sim), order.at_ns - 1);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, probe, 0), 1);
        CHECK_EQ(sim_now(sim), order.at_ns);
        CHECK_EQ(sim_seen(sim, probe, MSG_TIMER, 0)->at_ns, order.at_ns);
        CHECK_EQ(due(sim, probe, 0)->cookie, 42);
        CHECK_EQ(due(sim, probe, 0)->at_ns, order.at_ns);
        CHECK_EQ(due(sim, probe, 0)->id, order.id);
        sim_free(sim);
    }
}

SPEC(deadline, that_has_passed_when_it_is_set_comes_at_once)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        actor_id probe = sim_probe(sim_node(sim, 0));
        struct order past = {.at_ns = -5}, now = {.at_ns = sim_now(sim)};
        sim_do(sim, probe, set, &now);
        sim_do(sim, probe, set, &past);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, probe, MSG_TIMER), 2);
        CHECK_EQ(sim_now(sim), now.at_ns);
        sim_free(sim);
    }
}

SPEC(deadline, of_equal_times_come_in_the_order_they_were_set)
{
    enum { COUNT = 200 };
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        actor_id probe = sim_probe(sim_node(sim, 0));
        struct order orders[COUNT];
        int64_t start_ns = sim_now(sim) + MS;
        for (unsigned i = 0; i < COUNT; i++) {
            int64_t at_ns = start_ns + (int64_t)sim_random(sim, 4);
            orders[i] = (struct order){.at_ns = at_ns, .cookie = i};
            sim_do(sim, probe, set, &orders[i]);
        }
        sim_run(sim);
        CHECK_EQ(sim_got(sim, probe, MSG_TIMER), COUNT);
        for (unsigned i = 1; i < COUNT; i++) {
            const struct timer_due *a = due(sim, probe, i - 1);
            const struct timer_due *b = due(sim, probe, i);
            CHECK(a->at_ns < b->at_ns ||
                  (a->at_ns == b->at_ns && a->cookie < b->cookie));
        }
        sim_free(sim);
    }
}

SPEC(deadline, that_was_cancelled_does_not_come)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        actor_id probe = sim_probe(sim_node(sim, 0));
        struct order kept = {.at_ns = sim_now(sim) + MS, .cookie = 1};
        struct order dropped = kept;
        sim_do(sim, probe, set, &dropped);
        sim_do(sim, probe, set, &kept);
        sim_do(sim, probe, cancel, &dropped);
        sim_do(sim, probe, cancel, &dropped); /* zero by now: harmless */
        sim_run(sim);
        CHECK_EQ(sim_got(sim, probe, MSG_TIMER), 1);
        CHECK_EQ(due(sim, probe, 0)->id, kept.id);
        sim_do(sim, probe, cancel, &kept); /* it has come: harmless */
        sim_run(sim);
        sim_free(sim);
    }
}

/* ---- its time has come, its message is on the way ---- */

struct late {
    struct order first, second, third;
    unsigned came;
    bool too_late; /* the second one came */
};

static err late_init(struct env *env, void *self, const void *args)
{
    struct late *late = *(struct late **)self = *(struct late *const *)args;
    err e = set(env, &late->first);
    if (e == OK) e = set(env, &late->second);
    return e;
}

static err late_receive(struct env *env, void *self, const struct msg *m)
{
    struct late *late = *(struct late **)self;
    const struct timer_due *timer = msg_body(m);
    late->came++;
    if (timer->id == late->first.id) {
        deadline_cancel(env, &late->second.id);
        return set(env, &late->third); /* may live where the second did */
    }
    if (timer->cookie == 2) late->too_late = true;
    return OK;
}

SPEC(deadline, can_be_cancelled_while_its_message_waits)
{
    static const struct actor_kind kind = {
        .name = "late",
        .state_bytes = sizeof(struct late *),
        .init = late_init,
        .receive = late_receive,
    };
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        int64_t at_ns = sim_now(sim) + MS;
        struct late late = {.first = {.at_ns = at_ns, .cookie = 1},
                            .second = {.at_ns = at_ns, .cookie = 2},
                            .third = {.at_ns = at_ns + MS, .cookie = 3}};
        struct late *pointer = &late;
        sim_spawn(node, &kind, &pointer, sizeof pointer);
        sim_run(sim);
        CHECK_EQ(late.came, 2);
        CHECK(!late.too_late);
        sim_free(sim);
    }
}

SPEC(deadline, ids_are_not_used_again)
{
    enum { COUNT = 300 };
    struct sim *sim = sim_new(spec_seed);
    actor_id probe = sim_probe(sim_node(sim, 0));
    deadline_id ids[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        struct order order = {.at_ns = sim_now(sim) + MS};
        sim_do(sim, probe, set, &order);
        if (i % 3 == 0)
            sim_run(sim); /* else several at once */
        else
            sim_run_until(sim, sim_now(sim));
        ids[i] = order.id;
        CHECK(ids[i] != 0);
        for (unsigned k = 0; k < i; k++)
            CHECK(ids[k] != ids[i]);
    }
    /* An old id cancels nothing. */
    struct order order = {.at_ns = sim_now(sim) + MS};
    unsigned got = sim_got(sim, probe, MSG_TIMER);
    sim_run(sim);
    got = sim_got(sim, probe, MSG_TIMER);
    order.at_ns = sim_now(sim) + MS;
    sim_do(sim, probe, set, &order);
    struct order old[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        old[i] = (struct order){.id = ids[i]};
        sim_do(sim, probe, cancel, &old[i]);
    }
    sim_run(sim);
    CHECK_EQ(sim_got(sim, probe, MSG_TIMER), got + 1);
    sim_free(sim);
}

SPEC(deadline, of_an_actor_that_died_is_nobodys)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id dead = sim_probe(node);
        struct order order = {.at_ns = sim_now(sim) + MS};
        sim_do(sim, dead, set, &order);
        sim_run_until(sim, sim_now(sim));
        sim_kill_actor(sim, dead, ERR_CRASHED);
        sim_run_until(sim, sim_now(sim) + MS / 2);
        actor_id heir = sim_probe(node); /* of its slot */
        CHECK_EQ(heir >> 24, dead >> 24);
        sim_run(sim);
        CHECK_EQ(sim_now(sim), order.at_ns);
        CHECK_EQ(sim_got(sim, dead, 0), 0);
        CHECK_EQ(sim_got(sim, heir, 0), 0);
        sim_free(sim);
    }
}

/* ---- against a model ---- */

enum { PROBES = 5, TIMERS = 2000, TIMERS_ALL = PROBES * TIMERS };

struct expected {
    struct order order;
    bool cancelled;
    bool came;
};

struct model {
    struct expected timers[TIMERS_ALL]; /* in the order they were set */
    unsigned count;
};

struct act {
    struct model *model;
    unsigned first; /* this probe's timers */
    unsigned count;
    int64_t last_ns;
    uint64_t last_cookie;
};

static err act_init(struct env *env, void *self, const void *args)
{
    *(struct act **)self = *(struct act *const *)args;
    env_again(env);
    return OK;
}

static err act_set(struct env *env, struct act *act)
{
    if (act->count == TIMERS) return OK;
    struct expected *timer = &act->model->timers[act->first + act->count];
    /* Often equal, often near, sometimes far. */
    int64_t in_ns = (int64_t)(env_random(env) % 50) * 1000;
    if (env_random(env) % 8 == 0) in_ns *= 1000;
    *timer = (struct expected){
        .order = {.at_ns = env_now(env) + in_ns, .cookie = act->count++}};
    act->model->count++;
    return set(env, &timer->order);
}

static err act_cancel(struct env *env, struct act *act)
{
    if (act->count == 0) return OK;
    struct expected *timer =
        &act->model->timers[act->first + env_random(env) % act->count];
    if (!timer->came) timer->cancelled = true;
    deadline_cancel(env, &timer->order.id);
    return OK;
}

static err act_receive(struct env *env, void *self, const struct msg *m)
{
    struct act *act = *(struct act **)self;
    err e = OK;
    if (m->kind == MSG_TIMER) {
        const struct timer_due *timer = msg_body(m);
        struct expected *wanted =
            &act->model->timers[act->first + timer->cookie];
        CHECK_EQ(timer->id, wanted->order.id);
        CHECK_EQ(timer->at_ns, wanted->order.at_ns);
        CHECK_EQ(env_now(env), wanted->order.at_ns);
        CHECK(!wanted->came && !wanted->cancelled);
        CHECK(
            timer->at_ns > act->last_ns ||
            (timer->at_ns == act->last_ns && timer->cookie > act->last_cookie));
        act->last_ns = timer->at_ns;
        act->last_cookie = timer->cookie;
        wanted->came = true;
    }
    for (uint64_t n = env_random(env) % 4; n > 0 && e == OK; n--)
        e = env_random(env) % 4 ? act_set(env, act) : act_cancel(env, act);
    if (e == OK && m->kind == MSG_AGAIN && act->count < TIMERS / 10)
        env_again(env);
    return e;
}

SPEC(deadline, ten_thousand_random_ones_behave_as_in_a_model)
{
    static const struct actor_kind kind = {
        .name = "act",
        .state_bytes = sizeof(struct act *),
        .init = act_init,
        .receive = act_receive,
    };
    FOR_SEEDS(3)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct model *model = mem_zero(1, sizeof *model);
        CHECK(model != NULL);
        struct act acts[PROBES];
        for (unsigned i = 0; i < PROBES; i++) {
            acts[i] = (struct act){.model = model, .first = i * TIMERS};
            struct act *act = &acts[i];
            sim_spawn(node, &kind, &act, sizeof act);
        }
        sim_run(sim);
        CHECK_EQ(node_alive(sim_engine(node)), PROBES);
        CHECK_EQ(model->count, TIMERS_ALL);
        unsigned cancelled = 0;
        for (unsigned i = 0; i < PROBES; i++)
            for (unsigned k = 0; k < acts[i].count; k++) {
                const struct expected *timer = &model->timers[i * TIMERS + k];
                CHECK(timer->came != timer->cancelled);
                cancelled += timer->cancelled;
            }
        CHECK(cancelled > TIMERS_ALL / 100);
        sim_free(sim);
        mem_free(model);
    }
}
