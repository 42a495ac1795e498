/* group_spec.c - of those who share a turn one is in it, whoever dies, and they
 * get it in the order in which they came. */
#include "actors/stream/plan.h"
#include "core/actor.h"
#include "core/group.h"
#include "core/node.h"
#include "core/real.h"
#include "core/runtime.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <sched.h>
#include <stdatomic.h>

SPEC(group, gives_the_turn_in_the_order_of_arrival)
{
    struct actor actors[4] = {0}; /* addresses and links only */
    struct actor_group *group = group_new();
    CHECK(group != NULL);
    CHECK(group_enter(group, &actors[0]));
    CHECK(!group_enter(group, &actors[2]));
    CHECK(!group_enter(group, &actors[1]));
    CHECK(group_leave(group) == &actors[2]);
    CHECK(!group_enter(group, &actors[0])); /* behind who waits */
    CHECK(group_enter(group, &actors[2]));  /* it has been given the turn */
    CHECK(group_leave(group) == &actors[1]);
    CHECK(group_enter(group, &actors[1]));
    CHECK(group_leave(group) == &actors[0]);
    CHECK(group_enter(group, &actors[0]));
    CHECK(group_leave(group) == NULL);
    CHECK(group_enter(group, &actors[3]));
    CHECK(group_leave(group) == NULL);
    CHECK(group_enter(group, &actors[0]));
    CHECK(!group_enter(group, &actors[0])); /* the last one is to leave yet */
    CHECK(group_leave(group) == &actors[0]);
    group_free(group);
}

/* ---- real threads ---- */

enum { WORK = KIND_OWN };
enum { MEMBERS = 12, ROUNDS = 4000, LIVES_EACH = 5 };

struct band {
    struct actor_group *group;
    unsigned patience; /* how often one who is inside lets others run */
    _Atomic unsigned inside, most, worked, ended;
};

static void inside(struct band *band)
{
    unsigned now = atomic_fetch_add(&band->inside, 1) + 1;
    unsigned most = atomic_load(&band->most);
    while (now > most && !atomic_compare_exchange_weak(&band->most, &most, now))
        continue;
    for (unsigned i = 0; i < band->patience && atomic_load(&band->most) < 2;
         i++)
        sched_yield(); /* others have their chance */
    atomic_fetch_sub(&band->inside, 1);
}

static err member_init(struct env *env, void *self, const void *args)
{
    *(struct band **)self = *(struct band *const *)args;
    inside(*(struct band **)self);
    return OK;
}

static err member_receive(struct env *env, void *self, const struct msg *m)
{
    struct band *band = *(struct band **)self;
    if (m->kind != WORK) return ERR_BADMSG;
    inside(band);
    atomic_fetch_add(&band->worked, 1);
    return OK;
}

static void member_terminate(struct env *env, void *self, err why)
{
    struct band *band = *(struct band **)self;
    inside(band);
    atomic_fetch_add(&band->ended, 1);
}

static const struct actor_kind member_kind = {
    .name = "member",
    .state_bytes = sizeof(struct band *),
    .init = member_init,
    .receive = member_receive,
    .terminate = member_terminate,
};

/* All have ended, and everything that was sent before an end was received. */
static void play(struct band *band, struct node *node, struct env *env)
{
    unsigned sent = 0;
    for (unsigned life = 0; life < LIVES_EACH; life++) {
        actor_id ids[MEMBERS];
        for (unsigned i = 0; i < MEMBERS; i++)
            CHECK_EQ(actor_spawn_grouped(env, band->group, &member_kind, &band,
                                         sizeof band, &ids[i]),
                     OK);
        for (unsigned i = 0; i < ROUNDS / LIVES_EACH; i++, sent++)
            CHECK_EQ(actor_send(env, ids[i % MEMBERS], WORK, NULL, 0), OK);
        for (unsigned i = 0; i < MEMBERS; i++) /* waiting, or in its turn */
            CHECK_EQ(actor_kill(env, ids[i], ERR_KILLED), OK);
    }
    for (unsigned i = 0; node_alive(node) > 0; i++) {
        struct timespec pause = {.tv_nsec = 1000000};
        CHECK(i < 60000);
        nanosleep(&pause, NULL);
    }
    CHECK_EQ(atomic_load(&band->worked), sent);
    CHECK_EQ(atomic_load(&band->ended), MEMBERS * LIVES_EACH);
}

static unsigned most_at_once(unsigned threads, bool grouped)
{
    struct band band = {.group = grouped ? group_new() : NULL,
                        .patience = grouped ? 1 : 1000000};
    CHECK(!grouped || band.group != NULL);
    struct real *real = real_new(threads, spec_seed, NULL, NULL);
    CHECK(real != NULL);
    CHECK_EQ(real_start(real), OK);
    struct env *env = node_outside(real_node(real));
    CHECK(env != NULL);
    play(&band, real_node(real), env);
    node_outside_free(env);
    real_stop(real);
    real_free(real);
    group_free(band.group);
    return atomic_load(&band.most);
}

SPEC(group, lets_one_run_at_a_time_on_any_number_of_threads)
{
    CHECK_EQ(most_at_once(1, true), 1);
    CHECK_EQ(most_at_once(2, true), 1);
    CHECK_EQ(most_at_once(4, true), 1);
    CHECK(most_at_once(4, false) > 1); /* which shows that it would be seen */
}

/* ---- tasks of executors ---- */

static void check_spread(unsigned tasks, unsigned executors)
{
    struct component_plan c = {.tasks = tasks, .executors = executors};
    unsigned counts[COMPONENT_TASKS_MAX] = {0}, last = 0;
    for (unsigned i = 0; i < tasks; i++) {
        unsigned executor = plan_executor(&c, i);
        CHECK(executor < executors);
        CHECK(executor == last || executor == last + 1);
        last = executor;
        counts[executor]++;
    }
    for (unsigned i = 0; i < executors; i++)
        CHECK_EQ(counts[i], tasks / executors + (i < tasks % executors));
}

SPEC(plan, spreads_tasks_over_executors_the_longer_runs_first)
{
    static const unsigned all[][2] = {{5, 3},    {6, 3},       {1, 1},
                                      {3, 3},    {7, 2},       {1000, 7},
                                      {1000, 1}, {1000, 1000}, {999, 1000 / 2}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        check_spread(all[i][0], all[i][1]);
    struct component_plan alone = {.tasks = 3};
    CHECK_EQ(plan_executor(&alone, 2), 2);
}

/* Some crash meanwhile: whoever comes for them joins the same turn. */
static void tell_turns(struct stream *s)
{
    stream_feed(s, "feed1", 300);
    STREAM_AWAIT(s, stream_totals(s, "turns").executed >= 100);
    stream_kill(s, "turns", 1);
    stream_feed(s, "feed1", 3000);
    STREAM_AWAIT(s, stream_said(s, "feed1 ") == 3000);
    CHECK_EQ(stream_most_in_turn(s), 1);
}

SPEC(group, of_an_executor_lets_one_task_run_at_a_time)
{
    stream_tell("return topology 't' {\n"
                "  spout 'feed1' { next = print, fields = {'n'} },\n"
                "  bolt 'turns' { from = shuffle 'feed1', tasks = 5,\n"
                "    executors = 2, fields = {'n'}, execute = print },\n"
                "  sink 'out' { from = shuffle 'turns', null {} } }\n",
                20, tell_turns);
}
