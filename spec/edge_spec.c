/* edge_spec.c - credit: nothing is lost, reordered or grown without bound,
 * and nobody waits for ever, whoever dies in between. */
#include "core/actor.h"
#include "core/alloc.h"
#include "core/deadline.h"
#include "core/edge.h"
#include "core/node.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"

enum { TUPLES = KIND_OWN, MARKER, NUDGE };
enum { TOTAL = 300, COST_MAX = 400, BURST_MAX = 12, KEPT_MAX = 16 };

/* One edge, what has gone in and what came out, in a spec's hands: it sees
 * everything at once, because all runs in one thread. */
struct channel {
    struct edge edge;
    int64_t window_bytes;
    unsigned sent, received, discarded; /* messages */
    int64_t flying_bytes;               /* sent, neither handled nor dropped */
    int64_t most_flying_bytes;
    int64_t burst_bytes; /* of the producer's activation */
    int64_t most_burst_bytes;
    unsigned char fate[TOTAL];     /* how often it was received or discarded */
    uint32_t last;                 /* number received last, + 1 */
    bool may_lose;                 /* an end may die */
    bool slow;                     /* the consumer keeps messages for a while */
    unsigned producers, consumers; /* lives so far */
    actor_id producer, consumer;
    unsigned controls; /* control messages that the producer has seen */
};

struct tuples {
    uint32_t number;
    uint32_t cost_bytes;
};

static bool discarded(struct env *env, struct edge *edge, struct msg *m)
{
    struct channel *c = edge->context;
    const struct tuples *t = msg_body(m);
    CHECK(c->may_lose);
    c->discarded++;
    c->fate[t->number]++;
    c->flying_bytes -= t->cost_bytes;
    return false;
}

static void channel_init(struct channel *c, struct sim *sim)
{
    *c = (struct channel){.window_bytes = 1 + (int64_t)sim_random(sim, 3000)};
    edge_init(&c->edge, c->window_bytes);
    c->edge.discard = discarded;
    c->edge.context = c;
}

/* ---- the two ends ---- */

struct end {
    struct channel *channel;
    struct msg *kept[KEPT_MAX];
    unsigned kept_count;
};

static err producer_init(struct env *env, void *self, const void *args)
{
    struct end *p = self;
    struct channel *c = p->channel = *(struct channel *const *)args;
    c->producers++;
    c->producer = env_self(env);
    edge_attach_producer(env, &c->edge);
    env_again(env);
    return OK;
}

static err produce(struct env *env, struct channel *c)
{
    struct msg *m = msg_new(env, TUPLES, sizeof(struct tuples));
    if (m == NULL) return ERR_NOMEM;
    struct tuples *t = msg_body(m);
    *t = (struct tuples){c->sent++, 1 + (uint32_t)env_random(env) % COST_MAX};
    c->flying_bytes += t->cost_bytes;
    c->burst_bytes += t->cost_bytes;
    if (c->flying_bytes > c->most_flying_bytes)
        c->most_flying_bytes = c->flying_bytes;
    edge_send(env, &c->edge, m, t->cost_bytes);
    return OK;
}

static err producer_receive(struct env *env, void *self, const struct msg *m)
{
    struct channel *c = ((struct end *)self)->channel;
    if (m->kind == NUDGE) c->controls++;
    if (m->kind != MSG_AGAIN) return OK;
    uint64_t burst = env_random(env) % BURST_MAX;
    for (; burst > 0 && c->sent < TOTAL; burst--) {
        err e = produce(env, c);
        if (e != OK) return e;
    }
    if (c->sent < TOTAL) env_again(env);
    return OK;
}

static err producer_settle(struct env *env, void *self)
{
    struct channel *c = ((struct end *)self)->channel;
    if (c->burst_bytes > c->most_burst_bytes)
        c->most_burst_bytes = c->burst_bytes;
    c->burst_bytes = 0;
    return OK;
}

static const struct actor_kind producer_kind = {
    .name = "producer",
    .state_bytes = sizeof(struct end),
    .init = producer_init,
    .receive = producer_receive,
    .settle = producer_settle,
};

static err consumer_init(struct env *env, void *self, const void *args)
{
    struct end *end = self;
    struct channel *c = end->channel = *(struct channel *const *)args;
    c->consumers++;
    c->consumer = env_self(env);
    edge_attach_consumer(env, &c->edge);
    return OK;
}

static void release(struct env *env, struct end *end)
{
    struct channel *c = end->channel;
    struct msg *m = end->kept[--end->kept_count];
    c->flying_bytes -= m->cost_bytes;
    msg_done(env, m);
}

static err consumer_receive(struct env *env, void *self, const struct msg *m)
{
    struct end *end = self;
    struct channel *c = end->channel;
    if (m->kind == MSG_TIMER) {
        while (end->kept_count > 0)
            release(env, end);
        return OK;
    }
    const struct tuples *t = msg_body(m);
    CHECK(msg_edge(m) == &c->edge);
    CHECK_EQ(m->cost_bytes, t->cost_bytes);
    CHECK(t->number >= c->last);
    if (!c->may_lose) CHECK_EQ(t->number, c->last);
    c->last = t->number + 1;
    c->received++;
    c->fate[t->number]++;
    if (c->slow && end->kept_count < KEPT_MAX && env_random(env) % 2) {
        struct msg *mine = (struct msg *)(uintptr_t)m;
        msg_keep(env);
        end->kept[end->kept_count++] = mine;
        deadline_id id;
        return deadline_set(env, env_now(env) + 1000, 0, &id);
    }
    c->flying_bytes -= m->cost_bytes;
    return OK;
}

static void consumer_terminate(struct env *env, void *self, err why)
{
    struct end *end = self;
    while (end->kept_count > 0)
        release(env, end);
}

static const struct actor_kind consumer_kind = {
    .name = "consumer",
    .state_bytes = sizeof(struct end),
    .init = consumer_init,
    .receive = consumer_receive,
    .terminate = consumer_terminate,
};

static void start(struct sim_node *node, const struct actor_kind *kind,
                  struct channel *c)
{
    sim_spawn(node, kind, &c, sizeof c);
}

/* All credit is home again. */
static void check_whole(struct channel *c)
{
    CHECK_EQ(c->flying_bytes, 0);
    CHECK_EQ(c->edge.left_bytes + atomic_load(&c->edge.returned_bytes),
             c->window_bytes);
    CHECK_EQ(c->edge.owed_bytes, 0);
    CHECK(!c->edge.owing);
}

/* ---- both ends live ---- */

SPEC(edge, c14_loses_and_reorders_nothing_and_keeps_its_window)
{
    FOR_SEEDS(200)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct channel c;
        channel_init(&c, sim);
        c.slow = sim_random(sim, 2);
        start(node, &consumer_kind, &c);
        sim_run(sim);
        start(node, &producer_kind, &c);
        sim_run(sim);
        CHECK_EQ(c.sent, TOTAL);
        CHECK_EQ(c.received, TOTAL);
        CHECK(c.most_flying_bytes <= c.window_bytes + c.most_burst_bytes);
        check_whole(&c);
        sim_free(sim);
    }
}

static err hold(struct env *env, void *context)
{
    env_hold_data(env);
    edge_attach_consumer(env, context);
    return OK;
}

static err resume(struct env *env, void *context)
{
    env_resume_data(env);
    return OK;
}

SPEC(edge, stands_still_while_the_consumer_takes_no_data)
{
    FOR_SEEDS(50)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct channel c;
        channel_init(&c, sim);
        actor_id probe = sim_probe(node);
        sim_do(sim, probe, hold, &c.edge);
        sim_run(sim);
        start(node, &producer_kind, &c);
        sim_run(sim);
        CHECK(c.sent < TOTAL);
        CHECK(c.edge.left_bytes <= 0);
        CHECK(c.flying_bytes >= c.window_bytes);
        CHECK_EQ(sim_got(sim, probe, TUPLES), 0);
        unsigned sent = c.sent;
        /* Control still reaches a parked producer. */
        for (int i = 0; i < 3; i++)
            actor_send(sim_env(node), c.producer, NUDGE, NULL, 0);
        sim_run(sim);
        CHECK_EQ(c.controls, 3);
        CHECK_EQ(c.sent, sent);
        sim_do(sim, probe, resume, NULL);
        sim_run(sim);
        CHECK_EQ(c.sent, TOTAL);
        CHECK_EQ(sim_got(sim, probe, TUPLES), TOTAL);
        for (unsigned i = 0; i < TOTAL; i++) {
            const struct tuples *t = sim_seen(sim, probe, TUPLES, i)->body;
            CHECK_EQ(t->number, i);
        }
        sim_free(sim);
    }
}

static err send_marker(struct env *env, void *context)
{
    struct msg *m = msg_new(env, MARKER, 0);
    if (m == NULL) return ERR_NOMEM;
    edge_send(env, context, m, 0);
    return OK;
}

static err send_much(struct env *env, void *context)
{
    struct channel *c = context;
    edge_attach_producer(env, &c->edge);
    for (int i = 0; i < 4; i++) {
        struct msg *m = msg_new(env, TUPLES, 0);
        if (m == NULL) return ERR_NOMEM;
        edge_send(env, &c->edge, m, (uint32_t)c->window_bytes / 4 + 1);
    }
    return OK;
}

SPEC(edge, lets_a_parked_producer_send_markers_in_their_place)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct channel c;
        channel_init(&c, sim);
        c.edge.discard = NULL;
        actor_id from = sim_probe(node), to = sim_probe(node);
        sim_do(sim, to, hold, &c.edge);
        sim_run(sim);
        sim_do(sim, from, send_much, &c);
        sim_do(sim, from, send_marker, &c.edge);
        sim_do(sim, from, send_marker, &c.edge);
        sim_run(sim);
        int64_t left_bytes = c.edge.left_bytes;
        CHECK(left_bytes <= 0);
        sim_do(sim, to, resume, NULL);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, to, 0), 6);
        CHECK_EQ(sim_seen(sim, to, 0, 3)->kind, TUPLES);
        CHECK_EQ(sim_seen(sim, to, 0, 4)->kind, MARKER);
        CHECK_EQ(sim_seen(sim, to, 0, 5)->kind, MARKER);
        CHECK_EQ(c.edge.sent, 6);
        sim_free(sim);
    }
}

/* ---- a producer of several edges waits for all, a consumer for none ---- */

enum { FAN = 4 };

struct fan {
    struct channel channels[FAN];
    unsigned left;
};

static err fan_init(struct env *env, void *self, const void *args)
{
    struct fan *fan = *(struct fan *const *)args;
    *(struct fan **)self = fan;
    for (int i = 0; i < FAN; i++)
        edge_attach_producer(env, &fan->channels[i].edge);
    env_again(env);
    return OK;
}

static err fan_receive(struct env *env, void *self, const struct msg *m)
{
    struct fan *fan = *(struct fan **)self;
    if (m->kind != MSG_AGAIN) return OK;
    for (int i = 0; i < FAN; i++) /* parked: no data, no MSG_AGAIN */
        CHECK(fan->channels[i].edge.left_bytes > 0 ||
              !fan->channels[i].edge.blocked);
    for (int i = 0; i < 5; i++) {
        struct channel *c = &fan->channels[env_random(env) % FAN];
        if (c->sent == TOTAL) continue;
        err e = produce(env, c);
        if (e != OK) return e;
        fan->left--;
    }
    if (fan->left > 0) env_again(env);
    return OK;
}

SPEC(edge, parks_a_producer_of_many_edges_until_all_have_credit)
{
    static const struct actor_kind fan_kind = {
        .name = "fan",
        .state_bytes = sizeof(struct fan *),
        .init = fan_init,
        .receive = fan_receive,
    };
    FOR_SEEDS(60)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct fan *fan = mem_zero(1, sizeof *fan);
        CHECK(fan != NULL);
        fan->left = FAN * TOTAL;
        for (int i = 0; i < FAN; i++) {
            channel_init(&fan->channels[i], sim);
            fan->channels[i].slow = sim_random(sim, 2);
            start(node, &consumer_kind, &fan->channels[i]);
        }
        sim_run(sim);
        sim_spawn(node, &fan_kind, &fan, sizeof fan);
        sim_run(sim);
        for (int i = 0; i < FAN; i++) {
            CHECK_EQ(fan->channels[i].received, TOTAL);
            check_whole(&fan->channels[i]);
        }
        sim_free(sim);
        mem_free(fan);
    }
}

/* Several producers into one consumer: each has its own window. */
struct confluence {
    struct channel channels[FAN];
    unsigned received;
};

static err confluence_init(struct env *env, void *self, const void *args)
{
    struct confluence *in = *(struct confluence *const *)args;
    *(struct confluence **)self = in;
    for (int i = 0; i < FAN; i++)
        edge_attach_consumer(env, &in->channels[i].edge);
    return OK;
}

static err confluence_receive(struct env *env, void *self, const struct msg *m)
{
    struct confluence *in = *(struct confluence **)self;
    struct channel *c = msg_edge(m)->context;
    const struct tuples *t = msg_body(m);
    CHECK_EQ(t->number, c->last);
    c->last++;
    c->received++;
    c->flying_bytes -= m->cost_bytes;
    in->received++;
    return OK;
}

SPEC(edge, gives_each_producer_of_a_consumer_its_own_window)
{
    static const struct actor_kind kind = {
        .name = "confluence",
        .state_bytes = sizeof(struct confluence *),
        .init = confluence_init,
        .receive = confluence_receive,
    };
    FOR_SEEDS(60)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct confluence *in = mem_zero(1, sizeof *in);
        CHECK(in != NULL);
        for (int i = 0; i < FAN; i++)
            channel_init(&in->channels[i], sim);
        sim_spawn(node, &kind, &in, sizeof in);
        sim_run(sim);
        for (int i = 0; i < FAN; i++)
            start(node, &producer_kind, &in->channels[i]);
        sim_run(sim);
        CHECK_EQ(in->received, FAN * TOTAL);
        for (int i = 0; i < FAN; i++) {
            struct channel *c = &in->channels[i];
            CHECK(c->most_flying_bytes <=
                  c->window_bytes + c->most_burst_bytes);
            check_whole(c);
        }
        sim_free(sim);
        mem_free(in);
    }
}

/* ---- ends die ---- */

SPEC(edge, gives_the_credit_back_that_a_dead_consumer_held)
{
    FOR_SEEDS(60)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct channel c;
        channel_init(&c, sim);
        c.may_lose = true;
        c.slow = sim_random(sim, 2);
        start(node, &consumer_kind, &c);
        sim_run(sim);
        start(node, &producer_kind, &c);
        for (uint64_t i = sim_random(sim, 200); i > 0; i--)
            sim_step(sim, sim_now(sim) + 100000);
        sim_kill_actor(sim, c.consumer, ERR_CRASHED);
        sim_run(sim); /* it is never replaced: all else is discarded */
        CHECK_EQ(c.sent, TOTAL);
        CHECK_EQ(c.received + c.discarded, TOTAL);
        for (unsigned i = 0; i < TOTAL; i++)
            CHECK_EQ(c.fate[i], 1);
        check_whole(&c);
        sim_free(sim);
    }
}

/* Both ends are killed and started again, at any moment. */
static void torment(struct sim *sim, struct sim_node *node, struct channel *c,
                    bool producers, bool consumers)
{
    for (int kills = 0; kills < 12; kills++) {
        for (uint64_t i = sim_random(sim, 60); i > 0; i--)
            sim_step(sim, sim_now(sim) + 100000);
        bool producer = producers && (!consumers || sim_random(sim, 2));
        sim_kill_actor(sim, producer ? c->producer : c->consumer, ERR_IO);
        for (uint64_t i = sim_random(sim, 20); i > 0; i--)
            sim_step(sim, sim_now(sim) + 100000);
        unsigned lives = producer ? c->producers : c->consumers;
        start(node, producer ? &producer_kind : &consumer_kind, c);
        /* The next one to kill is the one that lives. */
        while ((producer ? c->producers : c->consumers) == lives)
            CHECK(sim_step(sim, sim_now(sim) + 100000));
    }
}

static void torment_seeds(bool producers, bool consumers)
{
    FOR_SEEDS(250)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct channel c;
        channel_init(&c, sim);
        if (sim_random(sim, 2)) sim_set_turn_ns(sim, 2000);
        c.may_lose = true; /* a dying consumer's mail is not moved on */
        c.slow = sim_random(sim, 2);
        start(node, &consumer_kind, &c);
        sim_run(sim);
        start(node, &producer_kind, &c);
        while (c.producers == 0)
            sim_step(sim, sim_now(sim));
        torment(sim, node, &c, producers, consumers);
        sim_run(sim);
        CHECK_EQ(c.sent, TOTAL); /* nobody waits for ever */
        CHECK_EQ(c.received + c.discarded, TOTAL);
        if (!consumers) CHECK_EQ(c.received, TOTAL);
        CHECK(c.most_flying_bytes <= c.window_bytes + c.most_burst_bytes);
        for (unsigned i = 0; i < TOTAL; i++)
            CHECK_EQ(c.fate[i], 1);
        check_whole(&c);
        sim_free(sim);
    }
}

SPEC(edge, goes_on_with_a_restarted_consumer)
{
    torment_seeds(false, true);
}

SPEC(edge, goes_on_with_a_restarted_producer)
{
    torment_seeds(true, false);
}

SPEC(edge, goes_on_when_both_are_restarted)
{
    torment_seeds(true, true);
}
