/* The acker against a model of one row per root: what a spout is told, in any
 * order of arrival; when time runs out; what a renewed acker knows. Probes
 * stand in for the tasks. */
#include "actors/stream/acker.h"
#include "actors/stream/executor.h"
#include "actors/stream/topology.h"
#include "core/alloc.h"
#include "core/atomic.h"
#include "core/random.h"
#include "spec/acker_tree.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"

enum { MS = 1000000 };

static void on_ended(void *context, const struct topology_end *end)
{
}

struct desk {
    struct sim *sim;
    struct sim_node *node;
    struct idle_plan idle;
    struct topology *topology;
    actor_id acker, bolt, spouts[TASKS];
};

static void open_rows(struct desk *d, uint32_t task, uint64_t next_sequence)
{
    struct acker_open open = {task, next_sequence};
    sim_send(d->sim, d->spouts[task], d->acker, ACKER_OPEN, &open, sizeof open);
    sim_run(d->sim);
}

static void spawn_acker(struct desk *d)
{
    d->acker =
        sim_spawn(d->node, &acker_kind, &d->topology, sizeof d->topology);
    sim_run(d->sim);
}

/* An acker whose settlements go to probes. */
static struct desk *desk_new(uint64_t seed)
{
    struct desk *d = mem_zero(1, sizeof *d);
    CHECK(d != NULL);
    d->sim = sim_new(seed);
    d->node = sim_node(d->sim, 1);
    idle_plan_init(&d->idle);
    struct topology_config config = {
        .plan = &d->idle.plan, .ackers = 1, .ended = on_ended};
    CHECK_EQ(topology_start(sim_env(d->node), &config, &d->topology), OK);
    sim_run(d->sim);
    for (uint32_t i = 0; i < TASKS; i++) {
        d->spouts[i] = sim_probe(d->node);
        at_store(&topology_task(d->topology, i)->id, d->spouts[i], RELEASE);
    }
    d->bolt = sim_probe(d->node);
    spawn_acker(d);
    for (uint32_t i = 0; i < TASKS; i++)
        open_rows(d, i, 0);
    return d;
}

static void desk_free(struct desk *d)
{
    sim_kill_node(d->node);
    topology_free(d->topology);
    sim_free(d->sim);
    mem_free(d);
}

/* ---- what is said to the acker ---- */

static void say_updates(struct desk *d, uint16_t kind,
                        const struct acker_update *list, uint32_t count)
{
    uint32_t bytes =
        (uint32_t)(offsetof(struct acker_updates, list) + count * sizeof *list);
    struct acker_updates *body = mem_alloc(bytes);
    CHECK(body != NULL);
    body->count = count;
    memcpy(body->list, list, count * sizeof *list);
    sim_send(d->sim, d->bolt, d->acker, kind, body, bytes);
    mem_free(body);
}

static void say(struct desk *d, uint16_t kind, uint64_t root, uint64_t edges)
{
    struct acker_update update = {root, edges};
    say_updates(d, kind, &update, 1);
}

static void say_fail(struct desk *d, uint64_t root, const char *reason)
{
    struct acker_fail fail = {.root = root, .task = 3};
    size_t bytes = strlen(reason) + 1;
    memcpy(fail.reason, reason, bytes);
    sim_send(d->sim, d->bolt, d->acker, ACKER_FAIL, &fail,
             (uint32_t)(offsetof(struct acker_fail, reason) + bytes));
}

/* ---- what a spout has been told ---- */

static unsigned acked(struct desk *d, uint32_t task, uint64_t sequence)
{
    unsigned n = 0;
    for (unsigned i = 0; i < sim_got(d->sim, d->spouts[task], EXECUTOR_ACKED);
         i++) {
        const struct acker_settled *in =
            sim_seen(d->sim, d->spouts[task], EXECUTOR_ACKED, i)->body;
        for (uint32_t k = 0; k < in->count; k++)
            n += in->sequences[k] == sequence;
    }
    return n;
}

static const struct acker_fail *failure(struct desk *d, uint32_t task,
                                        unsigned i)
{
    return sim_seen(d->sim, d->spouts[task], EXECUTOR_FAILED, i)->body;
}

static unsigned failed(struct desk *d, uint32_t task, uint64_t sequence)
{
    unsigned n = 0;
    for (unsigned i = 0; i < sim_got(d->sim, d->spouts[task], EXECUTOR_FAILED);
         i++)
        n += failure(d, task, i)->root == root_of(task, sequence);
    return n;
}

static unsigned told(struct desk *d)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < TASKS; i++)
        n += sim_got(d->sim, d->spouts[i], EXECUTOR_ACKED) +
             sim_got(d->sim, d->spouts[i], EXECUTOR_FAILED);
    return n;
}

/* ---- one root: Storm's cases ---- */

SPEC(acker, c6_acks_when_all_edges_have_come_twice)
{
    FOR_SEEDS(200)
    {
        struct desk *d = desk_new(spec_seed);
        say(d, ACKER_INIT, root_of(3, 7), 5 ^ 9);
        say(d, ACKER_ACK, root_of(3, 7), 5);
        sim_run(d->sim);
        CHECK_EQ(told(d), 0);
        say(d, ACKER_ACK, root_of(3, 7), 9);
        sim_run(d->sim);
        CHECK_EQ(acked(d, 3, 7), 1);
        CHECK_EQ(told(d), 1);
        desk_free(d);
    }
}

SPEC(acker, c6_acks_though_the_acks_came_before_the_root)
{
    FOR_SEEDS(200)
    {
        struct desk *d = desk_new(spec_seed);
        say(d, ACKER_ACK, root_of(3, 7), 5);
        say(d, ACKER_ACK, root_of(3, 7), 9);
        sim_run(d->sim);
        CHECK_EQ(told(d), 0);
        say(d, ACKER_INIT, root_of(3, 7), 5 ^ 9);
        sim_run(d->sim);
        CHECK_EQ(acked(d, 3, 7), 1);
        CHECK_EQ(told(d), 1);
        desk_free(d);
    }
}

SPEC(acker, does_not_take_the_acks_of_a_root_that_has_not_come_for_all)
{
    struct desk *d = desk_new(1);
    say(d, ACKER_ACK, root_of(0, 0), 5);
    say(d, ACKER_ACK, root_of(0, 0), 5); /* its XOR is zero until the next */
    sim_run(d->sim);
    CHECK_EQ(told(d), 0);
    desk_free(d);
}

SPEC(acker, tells_a_failure_at_once_and_once_with_its_reason)
{
    struct desk *d = desk_new(1);
    say_fail(d, root_of(2, 7), "split.lua:3: no words"); /* before its root */
    say(d, ACKER_INIT, root_of(2, 7), 12);
    say(d, ACKER_ACK, root_of(2, 7), 12);
    say_fail(d, root_of(2, 7), "again");
    sim_run(d->sim);
    CHECK_EQ(failed(d, 2, 7), 1);
    CHECK_EQ(told(d), 1);
    CHECK_TEXT(failure(d, 2, 0)->reason, "split.lua:3: no words");
    CHECK_EQ(failure(d, 2, 0)->task, 3);
    desk_free(d);
}

SPEC(acker, c6_forgets_what_comes_after_the_verdict)
{
    FOR_SEEDS(200)
    {
        struct desk *d = desk_new(spec_seed);
        say(d, ACKER_INIT, root_of(0, 0), 12);
        say_fail(d, root_of(0, 0), "no");
        say(d, ACKER_ACK, root_of(0, 0), 12);
        say(d, ACKER_INIT, root_of(0, 1), 0); /* emitted to no task */
        say(d, ACKER_ACK, root_of(0, 1), 5);
        say(d, ACKER_ACK, root_of(0, 1), 5);
        say_fail(d, root_of(0, 1), "late");
        say(d, ACKER_INIT, root_of(0, 0), 0);
        sim_run(d->sim);
        CHECK_EQ(failed(d, 0, 0), 1);
        CHECK_EQ(acked(d, 0, 0), 0);
        CHECK_EQ(acked(d, 0, 1), 1);
        CHECK_EQ(failed(d, 0, 1), 0);
        desk_free(d);
    }
}

/* ---- many roots, any order ---- */

enum { ROOTS_MAX = 120, SAYINGS_MAX = ROOTS_MAX * TREE_SAYINGS };

static struct tree *tree_of(struct tree *trees, unsigned count, uint64_t root)
{
    for (unsigned i = 0; i < count; i++)
        if (trees[i].root == root) return &trees[i];
    return NULL;
}

static void model_take(struct tree *t, const struct saying *s)
{
    if (t->acked || t->failed) return;
    if (s->kind == ACKER_FAIL) {
        t->failed = true;
        return;
    }
    t->xor ^= s->edges;
    if (s->kind == ACKER_INIT) t->init = true;
    t->acked = t->init && t->xor == 0;
}

/* Says them all in this order, gathered into messages of one kind. */
static void say_all(struct desk *d, struct rng *rng, const struct saying *list,
                    unsigned n)
{
    unsigned i = 0;
    while (i < n) {
        if (list[i].kind == ACKER_FAIL) {
            say_fail(d, list[i++].root, "failed");
            continue;
        }
        struct acker_update updates[64];
        uint32_t count = 0, most = 1 + (uint32_t)rng_below(rng, 64);
        uint16_t kind = list[i].kind;
        while (i < n && list[i].kind == kind && count < most) {
            updates[count++] =
                (struct acker_update){list[i].root, list[i].edges};
            i++;
        }
        say_updates(d, kind, updates, count);
        if (rng_below(rng, 4) == 0) sim_advance(d->sim, MS);
    }
    sim_run(d->sim);
}

SPEC(acker, c6_gives_each_root_one_verdict_in_any_order_of_arrival)
{
    static struct saying list[SAYINGS_MAX];
    static struct tree trees[ROOTS_MAX];
    FOR_SEEDS(200)
    {
        struct rng rng = {spec_seed};
        struct desk *d = desk_new(spec_seed);
        uint64_t next[TASKS] = {0};
        unsigned count = 1 + (unsigned)rng_below(&rng, ROOTS_MAX), n = 0;
        for (unsigned i = 0; i < count; i++) {
            uint32_t task = (uint32_t)rng_below(&rng, TASKS);
            trees[i] = (struct tree){.root = root_of(task, next[task]++)};
            n += tree_grow(&rng, &trees[i], &list[n]);
        }
        sayings_shuffle(&rng, list, n);
        for (unsigned i = 0; i < n; i++)
            model_take(tree_of(trees, count, list[i].root), &list[i]);
        say_all(d, &rng, list, n);
        for (unsigned i = 0; i < count; i++) {
            uint32_t task = root_task(trees[i].root);
            uint64_t sequence = root_sequence(trees[i].root);
            CHECK_EQ(acked(d, task, sequence), trees[i].acked);
            CHECK_EQ(failed(d, task, sequence), trees[i].failed);
            CHECK(!trees[i].complete || trees[i].acked || trees[i].failed);
        }
        desk_free(d);
    }
}

/* From many senders, the world's seed decides the order. */
SPEC(acker, gives_each_root_one_verdict_whoever_is_faster)
{
    enum { SENDERS = 5, ROOTS = 40 };
    FOR_SEEDS(60)
    {
        struct rng rng = {spec_seed};
        struct desk *d = desk_new(spec_seed);
        actor_id senders[SENDERS];
        for (int i = 0; i < SENDERS; i++)
            senders[i] = sim_probe(d->node);
        for (uint64_t root = 0; root < ROOTS; root++) {
            struct tree t = {.root = root_of(1, root)};
            struct saying list[12];
            unsigned n;
            do
                n = tree_grow(&rng, &t, list);
            while (!t.complete);
            for (unsigned i = 0; i < n; i++) {
                d->bolt = senders[rng_below(&rng, SENDERS)];
                if (list[i].kind == ACKER_FAIL)
                    say_fail(d, list[i].root, "failed");
                else
                    say(d, list[i].kind, list[i].root, list[i].edges);
            }
        }
        sim_run(d->sim);
        for (uint64_t root = 0; root < ROOTS; root++)
            CHECK_EQ(acked(d, 1, root) + failed(d, 1, root), 1);
        desk_free(d);
    }
}

SPEC(acker, tells_acks_that_came_before_a_failure_before_it)
{
    struct desk *d = desk_new(1);
    say(d, ACKER_INIT, root_of(0, 0), 0);
    say_fail(d, root_of(0, 1), "no");
    say(d, ACKER_INIT, root_of(0, 2), 0);
    sim_run(d->sim);
    CHECK_EQ(sim_seen(d->sim, d->spouts[0], 0, 0)->kind, EXECUTOR_ACKED);
    CHECK_EQ(sim_seen(d->sim, d->spouts[0], 0, 1)->kind, EXECUTOR_FAILED);
    CHECK_EQ(sim_seen(d->sim, d->spouts[0], 0, 2)->kind, EXECUTOR_ACKED);
    desk_free(d);
}

/* ---- how many rows ---- */

SPEC(acker, keeps_its_rows_while_their_ring_grows)
{
    enum { OPEN = 40000, EACH = 50 };
    struct desk *d = desk_new(1);
    struct acker_update updates[EACH];
    /* The first stays open, so all behind it stay in the ring. */
    for (uint64_t i = 0; i < OPEN; i += EACH) {
        for (uint64_t k = 0; k < EACH; k++)
            updates[k] = (struct acker_update){root_of(0, i + k), i + k + 1};
        say_updates(d, ACKER_INIT, updates, EACH);
        sim_run(d->sim);
    }
    CHECK_EQ(told(d), 0);
    for (uint64_t i = OPEN; i > 0; i -= EACH) { /* the last first */
        for (uint64_t k = 0; k < EACH; k++)
            updates[k] = (struct acker_update){root_of(0, i - EACH + k),
                                               i - EACH + k + 1};
        say_updates(d, ACKER_ACK, updates, EACH);
        sim_run(d->sim);
    }
    static unsigned seen[OPEN];
    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < sim_got(d->sim, d->spouts[0], EXECUTOR_ACKED);
         i++) {
        const struct acker_settled *in =
            sim_seen(d->sim, d->spouts[0], EXECUTOR_ACKED, i)->body;
        for (uint32_t k = 0; k < in->count; k++)
            seen[in->sequences[k]]++;
    }
    for (int i = 0; i < OPEN; i++)
        CHECK_EQ(seen[i], 1);
    desk_free(d);
}

/* ---- time ---- */

enum { TIMEOUT = 30 * MS };

static int64_t ask_parked(struct desk *d, uint32_t task, int64_t parked_ns)
{
    struct acker_check check = {task, TIMEOUT, parked_ns};
    unsigned before = sim_got(d->sim, d->spouts[task], EXECUTOR_CHECKED);
    int64_t next_ns;
    sim_send(d->sim, d->spouts[task], d->acker, ACKER_CHECK, &check,
             sizeof check);
    sim_run(d->sim);
    CHECK_EQ(sim_got(d->sim, d->spouts[task], EXECUTOR_CHECKED), before + 1);
    memcpy(&next_ns,
           sim_seen(d->sim, d->spouts[task], EXECUTOR_CHECKED, before)->body,
           sizeof next_ns);
    return next_ns;
}

static int64_t ask(struct desk *d, uint32_t task)
{
    return ask_parked(d, task, 0);
}

SPEC(acker, fails_a_root_at_its_deadline_and_not_before)
{
    struct desk *d = desk_new(1);
    int64_t began_ns = sim_now(d->sim);
    CHECK_EQ(ask(d, 0), INT64_MAX); /* nothing is open */
    say(d, ACKER_INIT, root_of(0, 0), 5);
    sim_run(d->sim);
    sim_advance(d->sim, TIMEOUT - 1);
    CHECK_EQ(ask(d, 0), began_ns + TIMEOUT);
    CHECK_EQ(failed(d, 0, 0), 0);
    sim_advance(d->sim, 1);
    CHECK_EQ(ask(d, 0), INT64_MAX);
    CHECK_EQ(failed(d, 0, 0), 1);
    CHECK_EQ(failure(d, 0, 0)->task, UINT32_MAX);
    say(d, ACKER_ACK, root_of(0, 0), 5); /* too late */
    sim_run(d->sim);
    CHECK_EQ(told(d), 1);
    desk_free(d);
}

SPEC(acker, takes_the_progress_of_earlier_roots_for_progress)
{
    struct desk *d = desk_new(1);
    int64_t began_ns = sim_now(d->sim);
    for (uint64_t i = 0; i < 3; i++)
        say(d, ACKER_INIT, root_of(0, i), 1);
    sim_run(d->sim);
    sim_advance(d->sim, 20 * MS);
    say(d, ACKER_ACK, root_of(0, 1), 8); /* moves on, and so does the last */
    sim_run(d->sim);
    sim_advance(d->sim, 10 * MS);
    CHECK_EQ(ask(d, 0), began_ns + 20 * MS + TIMEOUT);
    CHECK_EQ(failed(d, 0, 0), 1);
    CHECK_EQ(failed(d, 0, 1) + failed(d, 0, 2), 0);
    sim_advance(d->sim, 20 * MS);
    CHECK_EQ(ask(d, 0), INT64_MAX);
    CHECK_EQ(failed(d, 0, 1) + failed(d, 0, 2), 2);
    desk_free(d);
}

SPEC(acker, does_not_take_a_root_that_ran_out_of_time_for_progress)
{
    struct desk *d = desk_new(1);
    int64_t began_ns = sim_now(d->sim);
    say(d, ACKER_INIT, root_of(0, 0), 1);
    sim_run(d->sim);
    sim_advance(d->sim, 10 * MS);
    say(d, ACKER_INIT, root_of(0, 1), 1);
    sim_run(d->sim);
    sim_advance(d->sim, 20 * MS);
    CHECK_EQ(ask(d, 0), began_ns + 10 * MS + TIMEOUT);
    CHECK_EQ(failed(d, 0, 0), 1);
    sim_advance(d->sim, 10 * MS);
    CHECK_EQ(ask(d, 0), INT64_MAX);
    CHECK_EQ(failed(d, 0, 1), 1);
    desk_free(d);
}

SPEC(acker, lets_the_clock_stand_while_a_parked_spout_moves_nothing)
{
    struct desk *d = desk_new(1);
    say(d, ACKER_INIT, root_of(0, 0), 1);
    say(d, ACKER_INIT, root_of(0, 1), 2);
    sim_run(d->sim);
    int64_t parked_ns = sim_now(d->sim) + 5 * MS;
    sim_advance(d->sim, 100 * MS);
    ask_parked(d, 0, parked_ns);
    sim_advance(d->sim, 100 * MS);
    ask_parked(d, 0, parked_ns);
    CHECK_EQ(told(d), 0);
    /* One moves: both have the rest of their time, 25 ms, or all of it. */
    unsigned before = sim_got(d->sim, d->spouts[0], EXECUTOR_CHECKED);
    say(d, ACKER_ACK, root_of(0, 1), 8);
    sim_run(d->sim);
    CHECK_EQ(sim_got(d->sim, d->spouts[0], EXECUTOR_CHECKED), before + 1);
    int64_t next_ns;
    memcpy(&next_ns,
           sim_seen(d->sim, d->spouts[0], EXECUTOR_CHECKED, before)->body,
           sizeof next_ns);
    CHECK_EQ(next_ns, sim_now(d->sim) + 25 * MS);
    sim_advance(d->sim, 25 * MS - 1);
    ask(d, 0);
    CHECK_EQ(told(d), 0);
    sim_advance(d->sim, 1);
    CHECK_EQ(ask(d, 0), sim_now(d->sim) + 5 * MS);
    CHECK_EQ(failed(d, 0, 0), 1);
    CHECK_EQ(failed(d, 0, 1), 0);
    desk_free(d);
}

SPEC(acker, lets_the_clock_go_when_credit_comes)
{
    struct desk *d = desk_new(1);
    say(d, ACKER_INIT, root_of(0, 0), 1);
    sim_run(d->sim);
    int64_t parked_ns = sim_now(d->sim);
    sim_advance(d->sim, 100 * MS);
    ask_parked(d, 0, parked_ns);
    sim_advance(d->sim, 3 * MS);
    CHECK_EQ(ask(d, 0), sim_now(d->sim) + TIMEOUT);
    sim_advance(d->sim, TIMEOUT);
    CHECK_EQ(ask(d, 0), INT64_MAX);
    CHECK_EQ(failed(d, 0, 0), 1);
    desk_free(d);
}

SPEC(acker, fails_a_lost_root_in_time_where_all_others_of_a_parked_spout_move)
{
    struct desk *d = desk_new(1);
    int64_t parked_ns = sim_now(d->sim) + 1;
    say(d, ACKER_INIT, root_of(0, 0), 1);
    for (uint64_t i = 1; i <= 6; i++) {
        say(d, ACKER_INIT, root_of(0, i), 1);
        sim_run(d->sim);
        sim_advance(d->sim, TIMEOUT / 6);
        say(d, ACKER_ACK, root_of(0, i), 1);
        sim_run(d->sim);
        CHECK_EQ(acked(d, 0, i), 1);
    }
    ask_parked(d, 0, parked_ns);
    CHECK_EQ(failed(d, 0, 0), 1);
    desk_free(d);
}

enum { ROWS = 200 };

struct law {
    int64_t touched_ns[ROWS];
    uint64_t xor [ROWS];
    bool init[ROWS], over[ROWS], expired[ROWS];
};

/* What an exact reading of the header asks for: the latest progress of a root
 * and all before it, plus the timeout. */
static int64_t law_check(struct law *law, int64_t now_ns)
{
    int64_t progress_ns = 0;
    for (int i = 0; i < ROWS; i++) {
        if (law->touched_ns[i] > progress_ns) progress_ns = law->touched_ns[i];
        if (!law->init[i] || law->over[i]) continue;
        if (progress_ns + TIMEOUT > now_ns) return progress_ns + TIMEOUT;
        law->over[i] = law->expired[i] = true;
    }
    return INT64_MAX;
}

SPEC(acker, keeps_the_law_of_deadlines_whatever_happens)
{
    static struct law law;
    FOR_SEEDS(60)
    {
        struct rng rng = {spec_seed};
        struct desk *d = desk_new(spec_seed);
        law = (struct law){0};
        uint64_t reach = 1;
        for (int step = 0; step < 400; step++) {
            if (reach < ROWS && rng_below(&rng, 2)) reach++;
            uint64_t back = rng_below(&rng, reach < 12 ? reach : 12);
            uint64_t i =
                rng_below(&rng, 5) ? reach - 1 - back : rng_below(&rng, reach);
            unsigned what = (unsigned)rng_below(&rng, 10);
            if (what == 0) {
                CHECK_EQ(ask(d, 1), law_check(&law, sim_now(d->sim)));
                sim_advance(d->sim, (int64_t)rng_below(&rng, 20 * MS));
                continue;
            }
            bool init = what < 5 && !law.init[i], fail = what == 5;
            uint64_t edges = rng_below(&rng, 3) ? rng_next(&rng) : law.xor [i];
            if (fail)
                say_fail(d, root_of(1, i), "by chance");
            else
                say(d, init ? ACKER_INIT : ACKER_ACK, root_of(1, i), edges);
            sim_run(d->sim);
            if (!law.over[i]) {
                law.touched_ns[i] = sim_now(d->sim);
                if (!fail) law.xor [i] ^= edges;
                law.init[i] = law.init[i] || init;
                law.over[i] = fail || (law.init[i] && law.xor [i] == 0);
            }
            if (rng_below(&rng, 3) == 0)
                sim_advance(d->sim, (int64_t)rng_below(&rng, 4 * MS));
        }
        for (uint64_t i = 0; i < ROWS; i++) {
            CHECK_EQ(acked(d, 1, i) + failed(d, 1, i), law.over[i]);
            if (law.expired[i]) CHECK_EQ(failed(d, 1, i), 1);
        }
        desk_free(d);
    }
}

/* ---- beginnings ---- */

SPEC(acker, that_is_a_new_one_ignores_old_roots_until_the_spout_opens_its_rows)
{
    struct desk *d = desk_new(1);
    enum { NEXT = 50000000 }; /* more rows than a ring may have */
    spawn_acker(d);
    say(d, ACKER_ACK, root_of(2, NEXT - 2), 5);
    say(d, ACKER_INIT, root_of(2, NEXT - 1), 0);
    say_fail(d, root_of(2, NEXT - 2), "the acker doesn't know it");
    sim_run(d->sim);
    CHECK_EQ(ask(d, 2), INT64_MAX);
    CHECK_EQ(told(d), 0);
    open_rows(d, 2, NEXT);
    say(d, ACKER_ACK, root_of(2, NEXT - 2), 5);
    say(d, ACKER_ACK, root_of(2, NEXT), 6);
    say(d, ACKER_INIT, root_of(2, NEXT), 6);
    sim_run(d->sim);
    CHECK_EQ(acked(d, 2, NEXT), 1);
    CHECK_EQ(told(d), 1);
    desk_free(d);
}

SPEC(acker, forgets_the_rows_of_a_spout_that_begins_again)
{
    struct desk *d = desk_new(1);
    say(d, ACKER_INIT, root_of(1, 0), 5);
    say(d, ACKER_INIT, root_of(1, 1), 6);
    say(d, ACKER_INIT, root_of(2, 0), 7); /* another spout's stay */
    sim_run(d->sim);
    open_rows(d, 1, 2);
    say(d, ACKER_ACK, root_of(1, 0), 5);
    say(d, ACKER_ACK, root_of(1, 1), 6);
    say(d, ACKER_INIT, root_of(1, 2), 8);
    say(d, ACKER_ACK, root_of(2, 0), 7);
    sim_run(d->sim);
    CHECK_EQ(sim_got(d->sim, d->spouts[1], EXECUTOR_ACKED), 0);
    CHECK_EQ(acked(d, 2, 0), 1);
    say(d, ACKER_ACK, root_of(1, 2), 8);
    sim_run(d->sim);
    CHECK_EQ(acked(d, 1, 2), 1);
    sim_advance(d->sim, TIMEOUT);
    CHECK_EQ(ask(d, 1), INT64_MAX); /* the old ones have no time to run out */
    CHECK_EQ(told(d), 2);
    desk_free(d);
}

SPEC(acker, crashes_on_a_root_of_no_task)
{
    struct desk *d = desk_new(1);
    say(d, ACKER_ACK, root_of(TASKS, 0), 5);
    say(d, ACKER_INIT, root_of(0, 0), 0);
    sim_run(d->sim);
    CHECK_EQ(told(d), 0); /* it is gone */
    desk_free(d);
}
