/* tie_spec.c - ties between actors, on schedules that the seed chooses: a
 * monitor is told of a death, a link shares it. */
#include "core/actor.h"
#include "core/node.h"
#include "core/runtime.h"
#include "spec/actors.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"

/* ---- monitors ---- */

static err demonitor(struct env *env, void *context)
{
    struct watch *watch = context;
    actor_demonitor(env, watch->who, watch->ref);
    return OK;
}

SPEC(actor, tells_each_monitor_once)
{
    FOR_SEEDS(50)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id probe = sim_probe(node), other = sim_probe(node);
        struct life life = {0};
        actor_id id = live(node, &lively, &life);
        struct watch watches[3] = {{.who = id}, {.who = id}, {.who = id}};
        sim_do(sim, probe, monitor, &watches[0]);
        sim_do(sim, probe, monitor, &watches[1]);
        sim_do(sim, other, monitor, &watches[2]);
        sim_run(sim);
        sim_kill_actor(sim, id, ERR_IO);
        sim_run(sim);
        CHECK(watches[0].ref != 0 && watches[0].ref != watches[1].ref);
        CHECK_EQ(sim_got(sim, probe, 0), 2);
        CHECK_EQ(sim_got(sim, other, 0), 1);
        const struct down *first = sim_seen(sim, probe, MSG_DOWN, 0)->body;
        unsigned swapped = first->ref == watches[1].ref;
        check_down(sim, probe, swapped, &watches[0], ERR_IO);
        check_down(sim, probe, !swapped, &watches[1], ERR_IO);
        check_down(sim, other, 0, &watches[2], ERR_IO);
        sim_free(sim);
    }
}

SPEC(actor, is_down_at_once_for_who_monitors_the_dead)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id probe = sim_probe(node);
        struct life life = {0};
        struct watch watch = {.who = live(node, &lively, &life)};
        sim_kill_actor(sim, watch.who, ERR_DONE);
        sim_run(sim);
        sim_do(sim, probe, monitor, &watch);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, probe, 0), 1);
        check_down(sim, probe, 0, &watch, ERR_NOTFOUND);
        sim_free(sim);
    }
}

SPEC(actor, is_down_for_who_monitors_nobody)
{
    struct sim *sim = sim_new(spec_seed);
    struct sim_node *node = sim_node(sim, 0);
    struct life life = {0};
    actor_id first = live(node, &lively, &life); /* it frees slot 0 */
    sim_run(sim);
    actor_id probe = sim_probe(node);
    sim_kill_actor(sim, first, ERR_DONE);
    sim_run(sim);
    struct watch watch = {.who = 0};
    sim_do(sim, probe, monitor, &watch);
    sim_run(sim);
    CHECK_EQ(sim_got(sim, probe, MSG_DOWN), 1);
    check_down(sim, probe, 0, &watch, ERR_NOTFOUND);
    sim_free(sim);
}

SPEC(actor, tells_nobody_who_demonitored)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id probe = sim_probe(node);
        struct life life = {0};
        actor_id id = live(node, &lively, &life);
        struct watch kept = {.who = id}, dropped = {.who = id};
        sim_do(sim, probe, monitor, &dropped);
        sim_do(sim, probe, monitor, &kept);
        sim_do(sim, probe, demonitor, &dropped);
        sim_run(sim);
        sim_kill_actor(sim, id, ERR_CRASHED);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, probe, 0), 1);
        check_down(sim, probe, 0, &kept, ERR_CRASHED);
        sim_free(sim);
    }
}

static err link_to(struct env *env, void *context)
{
    return actor_link(env, *(actor_id *)context);
}

SPEC(actor, forgets_watchers_that_have_ended)
{
    FOR_SEEDS(5)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct life life = {0};
        actor_id id = live(node, &lively, &life);
        actor_id lasting = sim_probe(node);
        struct watch last = {.who = id};
        sim_do(sim, lasting, monitor, &last);
        for (int i = 0; i < 200; i++) {
            actor_id passing = sim_probe(node);
            struct watch watch = {.who = id};
            if (i % 2)
                sim_do(sim, passing, monitor, &watch);
            else
                sim_do(sim, passing, link_to, &id);
            sim_run(sim);
            sim_kill_actor(sim, passing, ERR_DONE);
            sim_run(sim);
        }
        unsigned ties = 0;
        const struct actor *actor = actor_at(sim_engine(node), id_slot(id));
        for (const struct tie *tie = actor->ties; tie; tie = tie->next)
            ties++;
        CHECK(ties < 20);
        sim_kill_actor(sim, id, ERR_IO);
        sim_run(sim);
        check_down(sim, lasting, 0, &last, ERR_IO);
        sim_free(sim);
    }
}

/* ---- links ---- */

static err lover_receive(struct env *env, void *self, const struct msg *m)
{
    if (m->kind == GO) return link_to(env, msg_body(m));
    return lively_receive(env, self, m);
}

static const struct actor_kind lover = {
    .name = "lover",
    .state_bytes = sizeof(struct lively),
    .init = lively_init,
    .receive = lover_receive,
    .terminate = lively_terminate,
};

static const struct actor_kind lively_trapping = {
    .name = "lively-trapping",
    .state_bytes = sizeof(struct lively),
    .traps_exits = true,
    .init = lively_init,
    .receive = lively_receive,
    .terminate = lively_terminate,
};

static void link_up(struct sim *sim, actor_id probe, actor_id a, actor_id b)
{
    sim_send(sim, probe, a, GO, &b, sizeof b);
}

SPEC(actor, shares_the_crash_of_who_it_is_linked_to_both_ways)
{
    FOR_SEEDS(50)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id probe = sim_probe(node);
        struct life lives[4] = {{0}};
        actor_id ids[4];
        for (int i = 0; i < 4; i++)
            ids[i] = live(node, &lover, &lives[i]);
        for (int i = 0; i < 3; i++)
            link_up(sim, probe, ids[i], ids[i + 1]);
        sim_run(sim);
        uint64_t first = sim_random(sim, 4);
        tell_end(sim, probe, ids[first], ERR_BIG);
        sim_run(sim);
        for (int i = 0; i < 4; i++) {
            CHECK_EQ(lives[i].terminates, 1);
            CHECK_EQ(lives[i].ended_with, ERR_BIG);
        }
        CHECK_EQ(node_alive(sim_engine(node)), 1);
        sim_free(sim);
    }
}

SPEC(actor, survives_the_good_end_of_who_it_is_linked_to)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id probe = sim_probe(node);
        struct life a = {0}, b = {0};
        actor_id one = live(node, &lover, &a), two = live(node, &lover, &b);
        link_up(sim, probe, one, two);
        sim_run(sim);
        bool first = sim_random(sim, 2) == 0;
        sim_send(sim, probe, first ? one : two, FINISH, NULL, 0);
        sim_run(sim);
        CHECK_EQ(a.terminates, first);
        CHECK_EQ(b.terminates, !first);
        sim_free(sim);
    }
}

SPEC(actor, that_traps_exits_is_told_instead)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id probe = sim_probe(node); /* traps */
        struct life a = {0}, b = {0};
        actor_id one = live(node, &lover, &a);
        actor_id two = live(node, &lively_trapping, &b);
        link_up(sim, probe, one, probe);
        link_up(sim, probe, one, two);
        sim_run(sim);
        tell_end(sim, probe, one, ERR_IO);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, probe, MSG_EXIT), 1);
        const struct down *down = sim_seen(sim, probe, MSG_EXIT, 0)->body;
        CHECK_EQ(down->who, one);
        CHECK_EQ(down->why, ERR_IO);
        CHECK_EQ(down->ref, 0);
        CHECK_EQ(b.received, 1);
        CHECK_EQ(b.terminates, 0);
        sim_free(sim);
    }
}

SPEC(actor, does_not_outlive_a_link_to_the_dead)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id probe = sim_probe(node);
        struct life a = {0}, b = {0};
        actor_id one = live(node, &lover, &a), two = live(node, &lover, &b);
        sim_kill_actor(sim, two, ERR_DONE);
        sim_run(sim);
        link_up(sim, probe, one, two);
        sim_run(sim);
        CHECK_EQ(a.terminates, 1);
        CHECK_EQ(a.ended_with, ERR_NOTFOUND);
        sim_free(sim);
    }
}
