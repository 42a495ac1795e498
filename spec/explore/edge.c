/* edge.c - a producer and a consumer on two threads: nobody stays parked while
 * there is credit, each message is received or discarded once, and all credit
 * comes home; also when ends are killed and replaced from a third thread. */
#include "core/edge.h"
#include "spec/explore/crew.h"

enum { TUPLES = KIND_OWN, TOTAL = 7 };

struct story {
    struct crew *crew;
    struct edge edge;
    int64_t window_bytes;
    unsigned sent, received, discarded;
    unsigned char fate[TOTAL];
    unsigned last;
    actor_id producer, consumer;
    unsigned kill_at; /* messages sent */
    bool in_producer, in_consumer;
};

static bool discarded(struct env *env, struct edge *edge, struct msg *m)
{
    struct story *s = edge->context;
    s->discarded++;
    s->fate[*(unsigned *)msg_body(m)]++;
    return false;
}

static err producer_init(struct env *env, void *self, const void *args)
{
    struct story *s = *(struct story **)self = *(struct story *const *)args;
    edge_attach_producer(env, &s->edge);
    env_again(env);
    return OK;
}

static err producer_receive(struct env *env, void *self, const struct msg *m)
{
    struct story *s = *(struct story **)self;
    if (m->kind != MSG_AGAIN) return ERR_BADMSG;
    EXPLORE_CHECK(!s->in_producer);
    s->in_producer = true;
    for (uint64_t n = 1 + explore_random(2); n > 0 && s->sent < TOTAL; n--) {
        struct msg *out = msg_new(env, TUPLES, sizeof s->sent);
        EXPLORE_CHECK(out != NULL);
        *(unsigned *)msg_body(out) = s->sent++;
        edge_send(env, &s->edge, out, 1);
    }
    if (s->sent < TOTAL) env_again(env);
    s->in_producer = false;
    return OK;
}

static const struct actor_kind producer_kind = {
    .name = "producer",
    .state_bytes = sizeof(struct story *),
    .init = producer_init,
    .receive = producer_receive,
};

static err consumer_init(struct env *env, void *self, const void *args)
{
    struct story *s = *(struct story **)self = *(struct story *const *)args;
    edge_attach_consumer(env, &s->edge);
    return OK;
}

static err consumer_receive(struct env *env, void *self, const struct msg *m)
{
    struct story *s = *(struct story **)self;
    EXPLORE_CHECK(!s->in_consumer);
    s->in_consumer = true;
    unsigned number = *(unsigned *)msg_body(m);
    EXPLORE_CHECK(number >= s->last);
    s->last = number + 1;
    s->fate[number]++;
    s->received++;
    explore_point();
    s->in_consumer = false;
    return OK;
}

static const struct actor_kind consumer_kind = {
    .name = "consumer",
    .state_bytes = sizeof(struct story *),
    .init = consumer_init,
    .receive = consumer_receive,
};

static actor_id start(struct story *s, const struct actor_kind *kind)
{
    actor_id id;
    err e = actor_spawn(s->crew->outside[0], kind, &s, sizeof s, &id);
    EXPLORE_CHECK(e == OK);
    return id;
}

static bool is_time_to_kill(void *context)
{
    const struct story *s = context;
    return s->sent >= s->kill_at || crew_is_quiet(s->crew);
}

static bool one_has_ended(void *context)
{
    const struct story *s = context;
    return node_alive(s->crew->node) == 1;
}

/* Kills an end and, when it has ended, starts it again, twice at most. */
static void torment(void *context)
{
    struct story *s = context;
    for (uint64_t kills = 1 + explore_random(2); kills > 0; kills--) {
        s->kill_at = s->sent + (unsigned)explore_random(TOTAL);
        explore_wait(is_time_to_kill, s);
        bool first = explore_random(3) > 0;
        actor_id *who = first ? &s->producer : &s->consumer;
        actor_kill(s->crew->outside[0], *who, ERR_IO);
        explore_wait(one_has_ended, s);
        *who = start(s, first ? &producer_kind : &consumer_kind);
    }
    crew_left(s->crew);
}

static void *make(void)
{
    return crew_new(CREW_THREADS);
}

static void drop(void *world)
{
    crew_free(world);
}

static void explore_ends(struct crew *crew, bool deaths)
{
    struct story s = {.crew = crew,
                      .window_bytes = 1 + (int64_t)explore_random(3)};
    edge_init(&s.edge, s.window_bytes);
    s.edge.discard = discarded;
    s.edge.context = &s;
    s.consumer = start(&s, &consumer_kind);
    crew_settle(crew);
    s.producer = start(&s, &producer_kind);
    crew_explore(crew);
    if (deaths) {
        crew->outsiders = 1;
        explore_fiber(torment, &s);
    }
    explore_all();
    EXPLORE_CHECK(s.sent == TOTAL);
    EXPLORE_CHECK(s.received + s.discarded == TOTAL);
    if (!deaths) EXPLORE_CHECK(s.discarded == 0);
    for (int i = 0; i < TOTAL; i++)
        EXPLORE_CHECK(s.fate[i] == 1);
    EXPLORE_CHECK(s.edge.left_bytes + atomic_load(&s.edge.returned_bytes) ==
                  s.window_bytes);
    actor_kill(crew->outside[0], s.producer, ERR_DONE);
    actor_kill(crew->outside[0], s.consumer, ERR_DONE);
    crew_settle(crew);
    EXPLORE_CHECK(node_alive(crew->node) == 0);
}

static void run(void *world)
{
    explore_ends(world, false);
}

static void run_deaths(void *world)
{
    explore_ends(world, true);
}

const struct explore_story explore_edge = {
    .name = "edge", .runs = 60000, .make = make, .run = run, .drop = drop};

const struct explore_story explore_edge_deaths = {.name = "edge-deaths",
                                                  .runs = 60000,
                                                  .make = make,
                                                  .run = run_deaths,
                                                  .drop = drop};
