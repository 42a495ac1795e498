/* supervisor_spec.c - who is restarted, when, how often, and in which order
 * things end. */
#include "core/actor.h"
#include "core/node.h"
#include "core/supervisor.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"

enum { CRASH = KIND_OWN, CHILDREN = 4, EVENTS_MAX = 512 };

#define MS     ((int64_t)1000000)
#define SECOND (1000 * MS)

struct event {
    unsigned child;
    bool start;
    err why; /* of an end */
    int64_t at_ns;
};

/* All that a supervisor's children do, in the order they do it. */
struct family {
    struct sim *sim;
    struct sim_node *node;
    struct event events[EVENTS_MAX];
    unsigned count;
    actor_id ids[CHILDREN]; /* the latest */
    unsigned restarts[CHILDREN];
    struct child_args {
        struct family *family;
        unsigned number;
    } args[CHILDREN];
    struct child_spec specs[CHILDREN];
    struct supervisor_config config;
    actor_id supervisor, probe;
    bool init_fails;
};

static void note(struct env *env, struct family *f, unsigned child, bool start,
                 err why)
{
    CHECK(f->count < EVENTS_MAX);
    f->events[f->count++] = (struct event){child, start, why, env_now(env)};
}

static err child_init(struct env *env, void *self, const void *args)
{
    struct child_args *a = self;
    *a = *(const struct child_args *)args;
    if (a->family->init_fails) return ERR_CONFIG;
    note(env, a->family, a->number, true, OK);
    return OK;
}

static err child_receive(struct env *env, void *self, const struct msg *m)
{
    return *(err *)msg_body(m);
}

static void child_terminate(struct env *env, void *self, err why)
{
    struct child_args *a = self;
    note(env, a->family, a->number, false, why);
}

static const struct actor_kind child_kind = {
    .name = "child",
    .state_bytes = sizeof(struct child_args),
    .init = child_init,
    .receive = child_receive,
    .terminate = child_terminate,
};

static err started(struct env *env, void *context, unsigned child, actor_id id,
                   unsigned restarts)
{
    struct family *f = context;
    f->ids[child] = id;
    f->restarts[child] = restarts;
    return OK;
}

static err monitor(struct env *env, void *context)
{
    struct family *f = context;
    return actor_monitor(env, f->supervisor, NULL);
}

/* Children of the default kind, nothing started yet. */
static void family_init(struct family *f, struct sim *sim,
                        enum supervisor_strategy strategy)
{
    *f = (struct family){.sim = sim, .node = sim_node(sim, 0)};
    for (unsigned i = 0; i < CHILDREN; i++) {
        f->args[i] = (struct child_args){f, i};
        f->specs[i] = (struct child_spec){
            &child_kind, &f->args[i], sizeof f->args[i], CHILD_PERMANENT, NULL};
    }
    f->config = supervisor_defaults();
    f->config.strategy = strategy;
    f->config.children = f->specs;
    f->config.count = CHILDREN;
    f->config.started = started;
    f->config.context = f;
    f->probe = sim_probe(f->node);
}

static void family_start(struct family *f)
{
    f->supervisor =
        sim_spawn(f->node, &supervisor_kind, &f->config, sizeof f->config);
    sim_do(f->sim, f->probe, monitor, f);
    sim_run(f->sim);
}

/* Tells a child to end with this; what follows happens at this very time. */
static void end_child(struct family *f, unsigned child, err why)
{
    sim_send(f->sim, f->probe, f->ids[child], CRASH, &why, sizeof why);
}

static void check_ended(struct family *f, err why)
{
    CHECK_EQ(sim_got(f->sim, f->probe, MSG_DOWN), 1);
    const struct down *down = sim_seen(f->sim, f->probe, MSG_DOWN, 0)->body;
    CHECK_EQ(down->who, f->supervisor);
    CHECK_EQ(down->why, why);
    CHECK_EQ(node_alive(sim_engine(f->node)), 1); /* the probe */
}

static void check_event(const struct family *f, unsigned n, unsigned child,
                        bool start)
{
    CHECK(n < f->count);
    CHECK_EQ(f->events[n].child, child);
    CHECK_EQ(f->events[n].start, start);
}

/* ---- the three strategies ---- */

SPEC(supervisor, starts_all_its_children_once)
{
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, ONE_FOR_ONE);
        family_start(&f);
        CHECK_EQ(f.count, CHILDREN);
        bool seen[CHILDREN] = {false};
        for (unsigned i = 0; i < CHILDREN; i++) {
            CHECK(f.events[i].start && !seen[f.events[i].child]);
            seen[f.events[i].child] = true;
            CHECK_EQ(f.restarts[i], 0);
        }
        sim_free(sim);
    }
}

SPEC(supervisor, one_for_one_restarts_only_the_one_that_crashed)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, ONE_FOR_ONE);
        family_start(&f);
        int64_t at_ns = sim_now(sim);
        unsigned who = (unsigned)sim_random(sim, CHILDREN);
        actor_id before = f.ids[who];
        end_child(&f, who, ERR_IO);
        sim_run(sim);
        CHECK_EQ(f.count, CHILDREN + 2);
        check_event(&f, CHILDREN, who, false);
        check_event(&f, CHILDREN + 1, who, true);
        CHECK_EQ(f.events[CHILDREN].why, ERR_IO);
        CHECK_EQ(f.events[CHILDREN + 1].at_ns, at_ns); /* at once */
        CHECK_EQ(f.restarts[who], 1);
        CHECK(f.ids[who] != before);
        sim_free(sim);
    }
}

SPEC(supervisor, one_for_all_ends_the_others_last_to_first_and_starts_all)
{
    FOR_SEEDS(40)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, ONE_FOR_ALL);
        family_start(&f);
        unsigned who = (unsigned)sim_random(sim, CHILDREN), n = CHILDREN;
        end_child(&f, who, ERR_IO);
        sim_run(sim);
        CHECK_EQ(f.count, 3 * CHILDREN);
        check_event(&f, n++, who, false);
        for (unsigned i = CHILDREN; i-- > 0;) {
            if (i == who) continue;
            check_event(&f, n, i, false);
            CHECK_EQ(f.events[n++].why, ERR_STOPPED);
        }
        for (; n < f.count; n++)
            CHECK(f.events[n].start);
        for (unsigned i = 0; i < CHILDREN; i++)
            CHECK_EQ(f.restarts[i], i == who);
        sim_free(sim);
    }
}

SPEC(supervisor, rest_for_one_restarts_it_and_those_started_after_it)
{
    FOR_SEEDS(40)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, REST_FOR_ONE);
        family_start(&f);
        unsigned who = (unsigned)sim_random(sim, CHILDREN), n = CHILDREN;
        actor_id before[CHILDREN];
        memcpy(before, f.ids, sizeof before);
        end_child(&f, who, ERR_IO);
        sim_run(sim);
        CHECK_EQ(f.count, CHILDREN + 2 * (CHILDREN - who));
        check_event(&f, n++, who, false);
        for (unsigned i = CHILDREN; i-- > who + 1;)
            check_event(&f, n++, i, false);
        for (unsigned i = 0; i < CHILDREN; i++)
            CHECK_EQ(f.ids[i] == before[i], i < who);
        sim_free(sim);
    }
}

/* ---- which ends count ---- */

SPEC(supervisor, restarts_by_the_kind_of_child)
{
    static const struct {
        enum child_restart restart;
        err why;
        bool restarted;
    } cases[] = {
        {CHILD_PERMANENT, ERR_DONE, true},  {CHILD_PERMANENT, ERR_IO, true},
        {CHILD_TRANSIENT, ERR_DONE, false}, {CHILD_TRANSIENT, ERR_IO, true},
        {CHILD_TEMPORARY, ERR_DONE, false}, {CHILD_TEMPORARY, ERR_IO, false},
    };
    FOR_SEEDS(5)
    {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct sim *sim = sim_new(spec_seed);
            struct family f;
            family_init(&f, sim, ONE_FOR_ALL);
            f.specs[2].restart = cases[i].restart;
            family_start(&f);
            end_child(&f, 2, cases[i].why);
            sim_run(sim);
            CHECK_EQ(f.count, cases[i].restarted ? 3 * CHILDREN : CHILDREN + 1);
            CHECK_EQ(sim_got(sim, f.probe, MSG_DOWN), 0);
            sim_free(sim);
        }
    }
}

SPEC(supervisor, never_restarts_a_temporary_child_that_it_ended_itself)
{
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, ONE_FOR_ALL);
        f.specs[1].restart = CHILD_TEMPORARY;
        f.specs[2].restart = CHILD_TRANSIENT;
        family_start(&f);
        end_child(&f, 3, ERR_IO);
        sim_run(sim);
        CHECK_EQ(f.count, CHILDREN + CHILDREN + CHILDREN - 1);
        for (unsigned n = CHILDREN; n < f.count; n++)
            CHECK(f.events[n].child != 1 || !f.events[n].start);
        sim_free(sim);
    }
}

SPEC(supervisor, ends_well_when_all_children_have_ended_for_good)
{
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, ONE_FOR_ONE);
        for (unsigned i = 0; i < CHILDREN; i++)
            f.specs[i].restart = i % 2 ? CHILD_TRANSIENT : CHILD_TEMPORARY;
        family_start(&f);
        for (unsigned i = 0; i < CHILDREN; i++) {
            CHECK_EQ(sim_got(sim, f.probe, MSG_DOWN), 0);
            end_child(&f, i, i % 2 ? ERR_DONE : ERR_IO);
            sim_run(sim);
        }
        CHECK_EQ(f.count, 2 * CHILDREN);
        check_ended(&f, ERR_DONE);
        sim_free(sim);
    }
}

/* ---- how often, and when ---- */

SPEC(supervisor, waits_longer_after_each_restart_up_to_a_limit)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, ONE_FOR_ONE);
        f.config.intensity = 9;
        f.config.backoff_max_ns = 3 * SECOND;
        family_start(&f);
        int64_t most_ns = 0;
        for (unsigned restart = 1; restart <= 9; restart++) {
            int64_t crash_ns = sim_now(sim);
            end_child(&f, 1, ERR_IO);
            sim_run(sim);
            const struct event *last = &f.events[f.count - 1];
            CHECK(last->start);
            CHECK(last->at_ns - crash_ns <= most_ns);
            CHECK(last->at_ns - crash_ns >= most_ns - most_ns / 4);
            most_ns = restart == 1 ? 100 * MS : most_ns * 2;
            if (most_ns > 3 * SECOND) most_ns = 3 * SECOND;
        }
        CHECK_EQ(f.restarts[1], 9);
        sim_free(sim);
    }
}

SPEC(supervisor, gives_up_after_more_restarts_than_its_intensity)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, ONE_FOR_ONE);
        f.config.intensity = (unsigned)sim_random(sim, 6);
        family_start(&f);
        for (unsigned i = 0; i < f.config.intensity; i++) {
            end_child(&f, (unsigned)sim_random(sim, CHILDREN), ERR_IO);
            sim_run(sim);
            CHECK_EQ(sim_got(sim, f.probe, MSG_DOWN), 0);
        }
        unsigned n = f.count + 1, last = (unsigned)sim_random(sim, CHILDREN);
        end_child(&f, last, ERR_IO);
        sim_run(sim);
        check_ended(&f, ERR_CRASHED);
        for (unsigned i = CHILDREN; i-- > 0;)
            if (i != last) check_event(&f, n++, i, false);
        CHECK_EQ(f.count, n);
        sim_free(sim);
    }
}

SPEC(supervisor, forgets_restarts_that_are_older_than_its_period)
{
    struct sim *sim = sim_new(spec_seed);
    struct family f;
    family_init(&f, sim, ONE_FOR_ONE);
    f.config.intensity = 2;
    f.config.period_ns = 10 * SECOND;
    family_start(&f);
    for (int i = 0; i < 30; i++) { /* never more than two in ten seconds */
        end_child(&f, 0, ERR_IO);
        sim_run(sim);
        sim_advance(sim, 6 * SECOND);
    }
    CHECK_EQ(f.restarts[0], 30);
    CHECK_EQ(sim_got(sim, f.probe, MSG_DOWN), 0);
    /* Alone in its period, a restart is at once again. */
    sim_advance(sim, 20 * SECOND);
    int64_t crash_ns = sim_now(sim);
    end_child(&f, 0, ERR_IO);
    sim_run(sim);
    CHECK_EQ(f.events[f.count - 1].at_ns, crash_ns);
    sim_free(sim);
}

SPEC(supervisor, gives_up_on_a_child_that_can_not_begin)
{
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, ONE_FOR_ONE);
        f.init_fails = true;
        family_start(&f);
        check_ended(&f, ERR_CRASHED);
        CHECK_EQ(f.count, 0);
        sim_free(sim);
    }
}

/* ---- ends ---- */

SPEC(supervisor, ends_its_children_last_to_first_when_it_is_stopped)
{
    FOR_SEEDS(40)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, ONE_FOR_ONE);
        family_start(&f);
        actor_send(sim_env(f.node), f.supervisor, MSG_STOP, NULL, 0);
        sim_run(sim);
        check_ended(&f, ERR_DONE);
        CHECK_EQ(f.count, 2 * CHILDREN);
        for (unsigned i = 0; i < CHILDREN; i++) {
            check_event(&f, CHILDREN + i, CHILDREN - 1 - i, false);
            CHECK_EQ(f.events[CHILDREN + i].why, ERR_STOPPED);
        }
        sim_free(sim);
    }
}

SPEC(supervisor, can_be_stopped_while_it_waits_to_restart)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, ONE_FOR_ALL);
        family_start(&f);
        end_child(&f, 0, ERR_IO);
        sim_run(sim);
        end_child(&f, 0, ERR_IO);
        sim_advance(sim, 50 * MS); /* of at least 75 */
        unsigned count = f.count;
        actor_send(sim_env(f.node), f.supervisor, MSG_STOP, NULL, 0);
        sim_run(sim);
        check_ended(&f, ERR_DONE);
        CHECK_EQ(f.count, count); /* nobody was left, nobody came back */
        sim_free(sim);
    }
}

SPEC(supervisor, that_gives_up_does_not_end_well_for_being_stopped_too)
{
    FOR_SEEDS(40)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, ONE_FOR_ONE);
        f.config.intensity = 0;
        family_start(&f);
        err why = ERR_IO;
        actor_send(sim_env(f.node), f.ids[1], CRASH, &why, sizeof why);
        while (f.count == CHILDREN)
            sim_step(sim, sim_now(sim));
        /* Its DOWN is there before the stop. */
        actor_send(sim_env(f.node), f.supervisor, MSG_STOP, NULL, 0);
        sim_run(sim);
        check_ended(&f, ERR_CRASHED);
        sim_free(sim);
    }
}

SPEC(supervisor, takes_its_children_with_it_when_it_is_killed)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family f;
        family_init(&f, sim, ONE_FOR_ONE);
        family_start(&f);
        sim_kill_actor(sim, f.supervisor, ERR_KILLED);
        sim_run(sim);
        check_ended(&f, ERR_KILLED);
        CHECK_EQ(f.count, 2 * CHILDREN);
        sim_free(sim);
    }
}

/* A supervisor of two: a family, and one child that is started after it. */
SPEC(supervisor, of_supervisors_ends_the_whole_tree_in_order)
{
    FOR_SEEDS(40)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family inner, outer;
        family_init(&inner, sim, ONE_FOR_ONE);
        family_init(&outer, sim, ONE_FOR_ONE);
        inner.config.count = 2;
        outer.config.count = 2;
        outer.specs[0].kind = outer.specs[1].kind = &child_kind;
        outer.specs[1] =
            (struct child_spec){&supervisor_kind, &inner.config,
                                sizeof inner.config, CHILD_PERMANENT, NULL};
        /* All write into one list: 0 is outside, 2 and 3 are within. */
        outer.args[2].family = outer.args[3].family = &outer;
        inner.specs[0].args = &outer.args[2];
        inner.specs[1].args = &outer.args[3];
        family_start(&outer);
        CHECK_EQ(outer.count, 3);
        actor_send(sim_env(outer.node), outer.supervisor, MSG_STOP, NULL, 0);
        sim_run(sim);
        CHECK_EQ(outer.count, 6);
        check_event(&outer, 3, 3, false);
        check_event(&outer, 4, 2, false);
        check_event(&outer, 5, 0, false);
        CHECK_EQ(node_alive(sim_engine(outer.node)), 2); /* two probes */
        sim_free(sim);
    }
}

SPEC(supervisor, escalates_to_the_one_above_it)
{
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct family inner, outer;
        family_init(&inner, sim, ONE_FOR_ONE);
        family_init(&outer, sim, ONE_FOR_ONE);
        inner.config.intensity = 1;
        outer.config.count = 1;
        outer.specs[0] =
            (struct child_spec){&supervisor_kind, &inner.config,
                                sizeof inner.config, CHILD_PERMANENT, NULL};
        family_start(&outer);
        CHECK_EQ(inner.count, CHILDREN);
        end_child(&inner, 2, ERR_IO);
        sim_run(sim);
        CHECK_EQ(outer.restarts[0], 0);
        end_child(&inner, 2, ERR_IO); /* one too many: the family begins anew */
        sim_run(sim);
        CHECK_EQ(outer.restarts[0], 1);
        CHECK_EQ(inner.restarts[2], 0);
        CHECK_EQ(node_alive(sim_engine(outer.node)), 2 + 2 + CHILDREN);
        sim_free(sim);
    }
}
